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

/// A trial, and how many stand before it.
type Numbered<'a> = (usize, &'a TrialRow);

/// Draws it.
pub fn draw(buffer: &mut Buffer, area: Rect, study: &Study, look: Look) {
    let objective = study.objective.as_ref();
    let maximize = objective.is_some_and(|objective| objective.maximize);
    let count = study.rows.len();
    let all: Vec<Numbered<'_>> = study.rows.iter().enumerate().collect();
    // How wide the numbers are, all of them tell.
    let gutter = gutter(&labels(range(&all)));
    let columns = usize::from(area.width).saturating_sub(gutter).max(1);
    let is_crowded = count > CROWD * columns;
    let shown = if is_crowded {
        best_of_each(&all, columns, maximize)
    } else {
        all
    };
    // What is not shown takes no room.
    let range = range(&shown);
    let labels = labels(range);
    let gutter = gutter.max(self::gutter(&labels));
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
        for (index, row) in shown.iter().filter(|(_, row)| row.outcome == wanted) {
            let y = mean(row).map_or(area.bottom() - 1, line);
            let (mark, style) = mark(row);
            set(buffer, at(*index), y, mark, look.style(style));
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

/// Of the trials that share a column, the best of each outcome.
fn best_of_each<'a>(all: &[Numbered<'a>], columns: usize, maximize: bool) -> Vec<Numbered<'a>> {
    let mut best: BTreeMap<(usize, &str), Numbered<'a>> = BTreeMap::new();
    for (index, row) in all {
        let place = (index * columns / all.len(), &*row.outcome);
        let former = best.entry(place).or_insert((*index, *row));
        let is_better = mean(row)
            .zip(mean(former.1))
            .is_some_and(|(new, old)| new != old && (new > old) == maximize);
        if is_better {
            *former = (*index, *row);
        }
    }
    best.into_values().collect()
}

/// From where to where it is drawn.
fn range(rows: &[Numbered<'_>]) -> Option<(f64, f64)> {
    let over = |row: &&TrialRow| matches!(&*row.outcome, "complete" | "infeasible" | "pruned");
    let rows = rows.iter().map(|(_, row)| *row);
    let mut means: Vec<f64> = rows.clone().filter(over).filter_map(mean).collect();
    means.sort_by(f64::total_cmp);
    let last = means.len().checked_sub(1)?;
    let out = (means.len() as f64 * EDGE) as usize;
    let (mut low, mut high) = (means[out], means[last - out]);
    // These are never at the edge.
    for row in rows.filter(|row| row.is_best || row.is_baseline) {
        if let Some(mean) = mean(row) {
            (low, high) = (low.min(mean), high.max(mean));
        }
    }
    Some((low, high))
}

/// The greatest and the least number of a range, as they stand beside the plot.
fn labels(range: Option<(f64, f64)>) -> [String; 2] {
    let texts = range.map(|(low, high)| [high, low].map(|bound| significant(bound, FIGURES)));
    texts.unwrap_or_default()
}

/// How many columns these take, with the one that sets them off.
fn gutter(labels: &[String]) -> usize {
    labels.iter().map(|label| width(label)).max().unwrap_or(0) + 1
}
