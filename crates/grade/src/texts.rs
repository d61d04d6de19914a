//! What stands in an exercise's README and hints, section by section and row by row.

/// Headings of the second level outside of code, each with the text up to the next.
pub fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        match line.strip_prefix("## ") {
            Some(name) if !in_code => sections.push((name.trim().to_owned(), String::new())),
            _ => {
                if let Some((_, body)) = sections.last_mut() {
                    body.push_str(line);
                    body.push('\n');
                }
            }
        }
    }
    sections
}

/// The text of one section, without the blank lines around it.
pub fn section(text: &str, heading: &str) -> Option<String> {
    let sections = sections(text);
    let (_, body) = sections.iter().find(|(name, _)| name == heading)?;
    Some(body.trim_matches('\n').to_owned())
}

/// A row of a table: its cells, without those of the heading.
pub type Row = Vec<String>;

/// The tables in a text, in order: the cells of the heading, and the rows.
pub fn tables(text: &str) -> Vec<(Row, Vec<Row>)> {
    let mut tables: Vec<(Row, Vec<Row>)> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim();
        if !line.starts_with('|') {
            inside = false;
            continue;
        }
        let is_rule = line
            .chars()
            .all(|character| matches!(character, '|' | '-' | ':' | ' '));
        match tables.last_mut() {
            Some(_) if is_rule => {}
            Some((_, rows)) if inside => rows.push(cells(line)),
            _ => tables.push((cells(line), Vec::new())),
        }
        inside = true;
    }
    tables
}

/// The cells of a line of a table. A bar in code, or after a backslash, is no border.
fn cells(line: &str) -> Row {
    let mut cells = vec![String::new()];
    let mut in_code = false;
    let mut escaped = false;
    for character in line.trim().trim_start_matches('|').chars() {
        match character {
            '|' if escaped => {
                let cell = cells.last_mut().expect("there is always one");
                cell.pop();
                cell.push('|');
            }
            '|' if !in_code => cells.push(String::new()),
            _ => {
                in_code ^= character == '`';
                cells
                    .last_mut()
                    .expect("there is always one")
                    .push(character);
            }
        }
        escaped = character == '\\';
    }
    // After the last bar there is nothing.
    if cells.last().is_some_and(|cell| cell.trim().is_empty()) {
        cells.pop();
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// The words that stand between backquotes.
pub fn code_words(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_in_code_begins_no_section() {
        let text = "# A\n## One\na\n```\n## b\n```\n\n## Two\nc\n";
        assert_eq!(section(text, "One").unwrap(), "a\n```\n## b\n```");
        assert_eq!(section(text, "Two").unwrap(), "c");
        assert_eq!(section(text, "b"), None);
    }

    #[test]
    fn bars_in_code_are_no_borders() {
        let text = "| a | b |\n|---|:-:|\n| `x | y` | 1 \\| 2 |\n\ntext\n| c |\n|---|\n| d |\n";
        let tables = tables(text);
        assert_eq!(tables.len(), 2);
        assert_eq!(tables[0].0, ["a", "b"]);
        assert_eq!(tables[0].1, [["`x | y`", "1 | 2"]]);
        assert_eq!(tables[1].1, [["d"]]);
        assert_eq!(code_words("`a`, the `b`"), ["a", "b"]);
    }
}
