//! Source text and edits of it: where they are, what comes out, and how the difference reads.

use std::ops::Range;

/// Other text in place of a range of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What goes.
    pub range: Range<usize>,
    /// What comes.
    pub with: String,
}

impl Edit {
    /// `with` in place of `range`.
    pub fn new(range: Range<usize>, with: impl Into<String>) -> Self {
        Self {
            range,
            with: with.into(),
        }
    }
}

/// `source` after `edits`, which must not overlap; those that do are left out.
pub fn apply(source: &str, edits: &[Edit]) -> String {
    let mut text = String::with_capacity(source.len());
    let mut done = 0;
    for edit in in_order(edits) {
        let Some(kept) = source.get(done..edit.range.start) else {
            continue;
        };
        text.push_str(kept);
        text.push_str(&edit.with);
        done = edit.range.end;
    }
    text.push_str(source.get(done..).unwrap_or(""));
    text
}

/// The line, counted from 1, that holds the byte at `offset`.
pub fn line_of(source: &str, offset: usize) -> usize {
    1 + source.as_bytes()[..offset.min(source.len())]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
}

/// What `edits` change, line by line: old lines behind `-`, new ones behind `+`.
pub fn diff(source: &str, edits: &[Edit]) -> String {
    let mut hunks: Vec<(Range<usize>, Vec<Edit>)> = Vec::new();
    for edit in in_order(edits) {
        let lines = whole_lines(source, &edit.range);
        match hunks.last_mut() {
            Some((last, edits)) if lines.start < last.end => {
                last.end = last.end.max(lines.end);
                edits.push(edit.clone());
            }
            _ => hunks.push((lines, vec![edit.clone()])),
        }
    }
    let mut text = String::new();
    for (lines, mut edits) in hunks {
        for edit in &mut edits {
            edit.range = edit.range.start - lines.start..edit.range.end - lines.start;
        }
        text.push_str(&format!("@@ line {}\n", line_of(source, lines.start)));
        let before = &source[lines];
        for line in before.lines() {
            text.push_str(&format!("-{line}\n"));
        }
        for line in apply(before, &edits).lines() {
            text.push_str(&format!("+{line}\n"));
        }
    }
    text
}

fn in_order(edits: &[Edit]) -> Vec<&Edit> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.range.start);
    edits
}

fn whole_lines(source: &str, range: &Range<usize>) -> Range<usize> {
    let begin = source[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = source[range.end..]
        .find('\n')
        .map_or(source.len(), |at| range.end + at + 1);
    begin..end
}

/// Where `needle` is, if it is there exactly once; otherwise how often.
pub fn only_match(source: &str, needle: &str) -> Result<Range<usize>, usize> {
    if needle.is_empty() {
        return Err(0);
    }
    let mut matches = source.match_indices(needle);
    match (matches.next(), matches.count()) {
        (Some((at, _)), 0) => Ok(at..at + needle.len()),
        (None, _) => Err(0),
        (Some(_), more) => Err(more + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_the_order_of_the_text() {
        let edits = [Edit::new(4..5, "E"), Edit::new(0..1, "AA")];
        assert_eq!(apply("a b e", &edits), "AA b E");
    }

    #[test]
    fn a_difference_shows_whole_lines() {
        let source = "one\ntwo two\nthree\n";
        let edits = [Edit::new(4..7, "2"), Edit::new(8..11, "II")];
        assert_eq!(diff(source, &edits), "@@ line 2\n-two two\n+2 II\n");
    }

    #[test]
    fn a_text_matches_once_or_not_at_all() {
        assert_eq!(only_match("abcab", "c"), Ok(2..3));
        assert_eq!(only_match("abcab", "ab"), Err(2));
        assert_eq!(only_match("abcab", "x"), Err(0));
        assert_eq!(only_match("abcab", ""), Err(0));
    }
}
