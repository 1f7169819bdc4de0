//! Columns of text. Widths are counted in characters, before colour.

/// Text, and how it is painted.
type Cell = (String, fn(&str) -> String);

/// A table whose last column is as long as it likes.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<Cell>>,
}

fn as_is(text: &str) -> String {
    text.to_owned()
}

impl Table {
    /// A table with a heading.
    #[must_use]
    pub fn with_heading(cells: &[&str]) -> Self {
        let heading = cells
            .iter()
            .map(|c| ((*c).to_owned(), super::bold as fn(&str) -> String));
        Self {
            rows: vec![heading.collect()],
        }
    }

    /// A row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|c| (c, as_is as fn(&str) -> String)).collect());
    }

    /// A row with a colour for each cell.
    pub fn painted(&mut self, cells: impl IntoIterator<Item = (String, fn(&str) -> String)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines, each indented by this many spaces.
    #[must_use]
    pub fn render(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let last = row.iter().rposition(|(text, _)| !text.is_empty()).unwrap_or(0);
            out.push_str(&" ".repeat(indent));
            for (column, (text, paint)) in row.iter().enumerate().take(last + 1) {
                out.push_str(&paint(text));
                if column < last {
                    out.push_str(&" ".repeat(widths[column] - text.chars().count() + 2));
                }
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_spaces() {
        let mut table = Table::default();
        table.row(["ä".into(), "long".into(), String::new()]);
        table.row(["abc".into(), "x".into(), "tail".into()]);
        assert_eq!(table.render(1), " ä    long\n abc  x     tail\n");
    }
}
