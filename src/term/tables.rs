//! Tables: columns two blanks apart, no lines.

use std::io::{self, Write};

use anstyle::Style;

use super::color::{BOLD, paint};
use super::width::{clean, fold, pad_left, pad_right, shorten, width};

/// The width of a terminal that does not tell its own.
pub const DEFAULT_WIDTH: usize = 80;

const GAP: &str = "  ";

/// No column is made narrower than this.
const NARROWEST: usize = 6;

/// On which side the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// How a column looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    header: String,
    align: Align,
    flexible: bool,
    folded: bool,
}

impl Column {
    /// A column of text.
    pub fn left(header: impl Into<String>) -> Self {
        Self::new(header, Align::Left)
    }

    /// A column of numbers.
    pub fn right(header: impl Into<String>) -> Self {
        Self::new(header, Align::Right)
    }

    fn new(header: impl Into<String>, align: Align) -> Self {
        Self {
            header: clean(&header.into()).into_owned(),
            align,
            flexible: false,
            folded: false,
        }
    }

    /// The column may be shortened where the table is too wide.
    #[must_use]
    pub fn flexible(mut self) -> Self {
        self.flexible = true;
        self
    }

    /// The column may be made narrower where the table is too wide; what has
    /// no room goes on in further lines of its row.
    #[must_use]
    pub fn folded(mut self) -> Self {
        self.folded = true;
        self.flexible()
    }
}

/// The text of one cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A cell in a style of [`super::color`].
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: clean(&text.into()).into_owned(),
            style,
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::styled(text, Style::new())
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::styled(text, Style::new())
    }
}

/// A table with a line of headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row. Cells that are missing at its end are empty, those for
    /// which there is no column are dropped.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        let mut cells: Vec<Cell> = cells
            .into_iter()
            .take(self.columns.len())
            .map(Into::into)
            .collect();
        cells.resize_with(self.columns.len(), Cell::default);
        self.rows.push(cells);
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, each with its newline. Flexible columns are
    /// shortened, the widest first, until the table takes `total` columns of
    /// the terminal; where that is not enough it is wider.
    pub fn render(&self, total: usize, color: bool) -> String {
        let widths = self.widths(total);
        let headers = self.columns.iter().map(|c| (c.header.as_str(), BOLD));
        let mut text = self.line(headers, &widths, color);
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).zip(&widths);
            let cells = cells.map(|((cell, column), width)| match column.folded {
                true => fold(&cell.text, *width),
                false => vec![cell.text.clone()],
            });
            let cells: Vec<Vec<String>> = cells.collect();
            let height = cells.iter().map(Vec::len).max().unwrap_or(1);
            for index in 0..height {
                let line = cells.iter().map(|lines| lines.get(index));
                let line = line.map(|line| line.map_or("", String::as_str));
                let styles = row.iter().map(|cell| cell.style);
                text.push_str(&self.line(line.zip(styles), &widths, color));
            }
        }
        text
    }

    /// Writes what [`Table::render`] gives.
    ///
    /// # Errors
    /// Whatever `out` answers.
    pub fn write(&self, out: &mut impl Write, total: usize, color: bool) -> io::Result<()> {
        out.write_all(self.render(total, color).as_bytes())
    }

    fn widths(&self, total: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|c| width(&c.header)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(&cell.text));
            }
        }
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        loop {
            let taken = widths.iter().sum::<usize>() + gaps;
            let Some(excess) = taken.checked_sub(total).filter(|excess| *excess > 0) else {
                return widths;
            };
            let flexible = (0..widths.len()).filter(|index| self.columns[*index].flexible);
            let flexible = flexible.filter(|index| widths[*index] > NARROWEST);
            let mut order: Vec<usize> = flexible.collect();
            order.sort_by_key(|index| std::cmp::Reverse(widths[*index]));
            let Some(&widest) = order.first() else {
                return widths;
            };
            // Down to the next widest, and with that one by one.
            let next = order.get(1).map_or(NARROWEST, |index| widths[*index]);
            let step = excess.min(widths[widest].saturating_sub(next)).max(1);
            widths[widest] -= step;
        }
    }

    fn line<'a>(
        &self,
        cells: impl Iterator<Item = (&'a str, Style)>,
        widths: &[usize],
        color: bool,
    ) -> String {
        let mut line = String::new();
        // Blanks are written when something follows them: no line ends in one.
        let mut pending = String::new();
        for (index, (text, style)) in cells.enumerate() {
            let (Some(column), Some(&columns)) = (self.columns.get(index), widths.get(index))
            else {
                break;
            };
            if index > 0 {
                pending.push_str(GAP);
            }
            let text = shorten(text, columns);
            let blanks = " ".repeat(columns.saturating_sub(width(&text)));
            let (before, after) = match column.align {
                Align::Left => ("", blanks.as_str()),
                Align::Right => (blanks.as_str(), ""),
            };
            pending.push_str(before);
            if !text.is_empty() {
                line.push_str(&pending);
                line.push_str(&paint(&text, style, color));
                pending.clear();
            }
            pending.push_str(after);
        }
        line.push('\n');
        line
    }
}

/// Names and values below each other, the values in one column; a value of
/// several lines goes on below its first.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>, color: bool) -> String {
    let pairs: Vec<(&str, String)> = pairs.into_iter().collect();
    let widest = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let mut text = String::new();
    for (name, value) in pairs {
        let mut lead = paint(&pad_right(name, widest), super::color::DIM, color);
        if value.is_empty() {
            text.push_str(&paint(name, super::color::DIM, color));
            text.push('\n');
        }
        for line in value.lines() {
            text.push_str(&lead);
            text.push_str(GAP);
            text.push_str(&clean(line));
            text.push('\n');
            lead = pad_left("", widest);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::term::color::{BAD, GOOD};

    fn trials() -> Table {
        let mut table = Table::new([
            Column::right("TRIAL"),
            Column::left("状态"),
            Column::right("TPS"),
            Column::left("PARAMS").flexible(),
        ]);
        let row = |table: &mut Table, id: &str, state, tps: &str, params: &str| {
            table.row([Cell::from(id), state, tps.into(), params.into()]);
        };
        row(
            &mut table,
            "1",
            Cell::styled("完成", GOOD),
            "5940.4",
            "UTIL=0.97 SEQS=512",
        );
        row(
            &mut table,
            "12",
            Cell::styled("内存不足", BAD),
            "",
            "UTIL=0.99 SEQS=1536 模型长度=2048 STOP=<|im_end|>",
        );
        row(&mut table, "100", "ok".into(), "12.5", "");
        table
    }

    #[test]
    fn chinese_text_is_aligned() {
        insta::assert_snapshot!(trials().render(DEFAULT_WIDTH, false), @r"
        TRIAL  状态         TPS  PARAMS
            1  完成      5940.4  UTIL=0.97 SEQS=512
           12  内存不足          UTIL=0.99 SEQS=1536 模型长度=2048 STOP=<|im_end|>
          100  ok          12.5
        ");
    }

    #[test]
    fn the_flexible_column_is_shortened() {
        insta::assert_snapshot!(trials().render(50, false), @r"
        TRIAL  状态         TPS  PARAMS
            1  完成      5940.4  UTIL=0.97 SEQS=512
           12  内存不足          UTIL=0.99 SEQS=1536 模型…
          100  ok          12.5
        ");
        // What cannot be shortened stays.
        assert!(
            trials()
                .render(3, false)
                .contains("内存不足          UTIL=…")
        );
    }

    #[test]
    fn the_folded_column_goes_on_below() {
        let mut table = trials();
        table.columns[3] = Column::left("PARAMS").folded();
        insta::assert_snapshot!(table.render(50, false), @r"
        TRIAL  状态         TPS  PARAMS
            1  完成      5940.4  UTIL=0.97 SEQS=512
           12  内存不足          UTIL=0.99 SEQS=1536
                                 模型长度=2048
                                 STOP=<|im_end|>
          100  ok          12.5
        ");
    }

    #[test]
    fn colours_change_no_width() {
        let colored = trials().render(DEFAULT_WIDTH, true);
        assert!(colored.contains("\u{1b}[32m完成\u{1b}[0m"));
        let plain = anstream::adapter::strip_str(&colored).to_string();
        assert_eq!(plain, trials().render(DEFAULT_WIDTH, false));
    }

    #[test]
    fn rows_of_another_length_do_no_harm() {
        let mut table = Table::new([Column::left("A"), Column::left("B")]);
        table.row(["1"]);
        table.row(["1", "2", "3"]);
        table.row(["a\nb", "\u{1b}[2J"]);
        assert_eq!(table.render(80, false), "A    B\n1\n1    2\na b   [2J\n");
        assert_eq!(Table::new([]).render(80, true), "\n");
        let mut out = Vec::new();
        table.write(&mut out, 80, false).expect("memory takes it");
        assert_eq!(out, table.render(80, false).into_bytes());
    }

    #[test]
    fn pairs_align_their_values() {
        let shown = pairs(
            [
                ("study", "qwen".to_owned()),
                ("最优", "1\n2".to_owned()),
                ("none", String::new()),
            ],
            false,
        );
        assert_eq!(shown, "study  qwen\n最优   1\n       2\nnone\n");
    }

    proptest! {
        #[test]
        fn a_table_fits_where_it_can(
            cells in proptest::collection::vec(proptest::collection::vec(".{0,30}", 0..5), 0..6),
            total in 0usize..100,
        ) {
            let columns = ["a", "b", "c", "d"].map(|header| Column::left(header).flexible());
            let mut table = Table::new(columns);
            for row in cells {
                table.row(row);
            }
            let widest = (NARROWEST + GAP.len()) * 4;
            for line in table.render(total, false).lines() {
                prop_assert!(width(line) <= total.max(widest), "{line:?}");
            }
        }
    }
}
