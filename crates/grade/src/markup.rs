//! Text that somebody else wrote, made safe for HTML, SVG and XML.

/// As text of a page: no mark-up, no control character, nothing that turns the direction of writing.
pub fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for character in console::strip_ansi_codes(raw).chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => safe.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ if character.is_control() => safe.push('\u{fffd}'),
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_submission_says_is_text() {
        let hostile = "<script>alert('1')</script>\" onload=x &amp; \u{7}\u{202e}\u{1b}[31mred";
        let safe = text(hostile);
        assert_eq!(
            safe,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; onload=x &amp;amp; \u{fffd}\u{fffd}red"
        );
    }
}
