//! The objective over the trials, in characters that every terminal has.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::draw::{Look, put, right_of, titled};
use super::study::Study;
use crate::report::phrase::clean;
use crate::term::color::{BAD, DIM, DOUBTFUL, GOOD};
use crate::term::number::{FIGURES, significant};
use crate::term::width::{pad_left, width};
use crate::wire::reply::TrialRow;

/// Numbers outside this part of all, in order, stand at the edge: one that is
/// far off leaves room for the others.
const EDGE: f64 = 0.05;
/// Where a column stands for more trials, all of them would fill the plot: the
/// best of each outcome are left.
const CROWD: usize = 2;

/// What the marks mean.
const LEGEND: &str = "o complete x infeasible ~ pruned ! failed";

/// Draws it.
pub fn draw(buffer: &mut Buffer, area: Rect, study: &Study, look: Look) {
    let objective = study.objective.as_ref();
    let range = range(&study.rows);
    let labels = range.map(|(low, high)| [high, low].map(|bound| significant(bound, FIGURES)));
    let labels = labels.unwrap_or_default();
    let gutter = labels.iter().map(|label| width(label)).max().unwrap_or(0) + 1;
    let columns = usize::from(area.width).saturating_sub(gutter).max(1);
    let count = study.rows.len();
    let is_crowded = count > CROWD * columns;
    let mut title = objective.map_or("Objective".to_owned(), |objective| {
        let more = if objective.maximize { "more" } else { "less" };
        format!("{}, {more} is better", clean(&objective.metric))
    });
    if is_crowded {
        title += &format!(": best of each {}", count.div_ceil(columns));
    }
    let head = area;
    let area = titled(buffer, area, &title, look);
    let start = usize::from(head.width).saturating_sub(width(LEGEND) + 4);
    if start > width(&title) + 4 {
        let head = Rect { height: 1, ..head };
        put(
            buffer,
            right_of(head, start),
            &format!(" {LEGEND} "),
            look.style(DIM),
        );
    }
    let maximize = objective.is_some_and(|objective| objective.maximize);
    let Some((low, high)) = range else {
        put(buffer, area, "no result yet", look.style(DIM));
        return;
    };
    // The last line is for trials without a number, and the axis.
    let height = area.height.saturating_sub(1);
    if height == 0 {
        return;
    }
    let field = right_of(area, gutter);
    if field.is_empty() {
        return;
    }
    for (label, y) in labels.iter().zip([area.y, area.y + height - 1]) {
        let line = Rect {
            y,
            height: 1,
            ..area
        };
        put(buffer, line, &pad_left(label, gutter - 1), look.style(DIM));
    }
    let column = |index: usize| {
        // Fewer trials than columns stand some columns apart.
        let apart = (usize::from(field.width) / count).clamp(1, 4);
        match count > usize::from(field.width) {
            true => index * usize::from(field.width) / count,
            false => index * apart,
        }
    };
    let at = |index: usize| field.x + column(index) as u16;
    let line = |value: f64| {
        let share = if high > low {
            ((value - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            0.5
        };
        field.y + ((1.0 - share) * f64::from(height - 1)).round() as u16
    };
    let mut best: Option<f64> = None;
    for (index, row) in study.rows.iter().enumerate() {
        let found = mean(row).filter(|_| row.outcome == "complete");
        let better = |new: &f64| best.is_none_or(|best| (*new > best) == maximize);
        if let Some(new) = found.filter(better) {
            best = Some(new);
        }
        let next = if index + 1 < count {
            at(index + 1)
        } else {
            at(index) + 1
        };
        if let Some(best) = best {
            for x in at(index)..next.max(at(index) + 1).min(field.right()) {
                set(buffer, x, line(best), '-', look.style(DIM));
            }
        }
    }
    // What matters more is drawn over what matters less.
    for wanted in ["failed", "pruned", "infeasible", "complete"] {
        // The best of each column, where there is room for that alone.
        let mut tops: BTreeMap<u16, u16> = BTreeMap::new();
        let place = |row: &TrialRow| mean(row).map_or(area.bottom() - 1, line);
        let rows = study.rows.iter().enumerate();
        let rows = rows.filter(|(_, row)| row.outcome == wanted);
        for (index, row) in rows.clone() {
            let (x, y) = (at(index), place(row));
            let top = tops.entry(x).or_insert(y);
            *top = if maximize { y.min(*top) } else { y.max(*top) };
        }
        for (index, row) in rows {
            let (x, y) = (at(index), place(row));
            if is_crowded && tops.get(&x) != Some(&y) {
                continue;
            }
            let (mark, style) = mark(row);
            set(buffer, x, y, mark, look.style(style));
        }
    }
    if let Some((index, row)) = study.rows.iter().enumerate().find(|(_, row)| row.is_best)
        && let Some(mean) = mean(row)
    {
        set(buffer, at(index), line(mean), '*', look.style(GOOD.bold()));
    }
}

fn set(buffer: &mut Buffer, x: u16, y: u16, mark: char, style: Style) {
    if let Some(cell) = buffer.cell_mut((x, y)) {
        cell.set_char(mark).set_style(style);
    }
}

const fn mark(row: &TrialRow) -> (char, anstyle::Style) {
    match row.outcome.as_bytes() {
        b"complete" => ('o', GOOD),
        b"infeasible" => ('x', DOUBTFUL),
        b"pruned" => ('~', DIM),
        _ => ('!', BAD),
    }
}

/// The objective of a trial that is over.
fn mean(row: &TrialRow) -> Option<f64> {
    let objective = row.objective.filter(|_| row.outcome != "failed");
    objective.map(|objective| objective.mean)
}

/// From where to where it is drawn.
fn range(rows: &[TrialRow]) -> Option<(f64, f64)> {
    let over = |row: &&TrialRow| matches!(&*row.outcome, "complete" | "infeasible" | "pruned");
    let mut means: Vec<f64> = rows.iter().filter(over).filter_map(mean).collect();
    means.sort_by(f64::total_cmp);
    let last = means.len().checked_sub(1)?;
    let out = (means.len() as f64 * EDGE) as usize;
    let (mut low, mut high) = (means[out], means[last - out]);
    // These are never at the edge.
    for row in rows.iter().filter(|row| row.is_best || row.is_baseline) {
        if let Some(mean) = mean(row) {
            (low, high) = (low.min(mean), high.max(mean));
        }
    }
    Some((low, high))
}
