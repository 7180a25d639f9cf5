//! Tables without lines: columns two blanks apart, as `docker ps` and `kubectl get` print them.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// On which side the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A text on one line of a terminal: what would move the cursor or change colors, such as a name in a ledger that
/// somebody else wrote may hold, is replaced.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A head and rows, as text without trailing blanks.
pub fn table(head: &[(&str, Align)], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().map(|(name, _)| *name));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    for (i, (_, align)) in head.iter().enumerate() {
        if let Some(column) = table.column_mut(i) {
            column.set_padding((0, 2));
            if *align == Align::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Align, plain, table};

    #[test]
    fn a_cell_is_one_line_without_control_characters() {
        assert_eq!(plain("ü \u{1b}[31mred\nline"), "ü \u{fffd}[31mred\u{fffd}line");
        let head = [("NAME", Align::Left), ("N", Align::Right)];
        let text = table(&head, vec![vec!["a\u{1b}[2J\nb".to_owned(), "1".to_owned()]]);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
