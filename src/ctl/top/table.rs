//! The table of trials.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::draw::{Look, put, titled};
use super::study::Study;
use super::view::{OUTCOMES, View};
use crate::ctl::prose;
use crate::report::phrase::clean;
use crate::term::color::{BAD, DIM, DOUBTFUL, GOOD};
use crate::term::number::{FIGURES, significant};
use crate::term::width::{pad_left, pad_right, shorten, width};
use crate::wire::reply::TrialRow;

/// The widest that the columns of numbers are.
const WIDEST: usize = 18;

/// The last column takes what room is left.
const LAST: usize = 6;

/// Draws it.
pub fn draw(buffer: &mut Buffer, area: Rect, study: &Study, view: &mut View, look: Look) {
    let rows = view.rows(study);
    let area = titled(buffer, area, &title(study, view, rows.len()), look);
    let height = usize::from(area.height.saturating_sub(1));
    let place = view.place(&rows);
    // The chosen row stays about in the middle.
    let most = rows.len().saturating_sub(height);
    let first = place.unwrap_or(0).saturating_sub(height / 2).min(most);
    let shown = &rows[first..rows.len().min(first + height)];
    let head = [
        "TRIAL".to_owned(),
        "OUTCOME".to_owned(),
        study
            .objective
            .as_ref()
            .map(|o| clean(&o.metric))
            .unwrap_or_default(),
        study
            .constraints
            .first()
            .map(|text| clean(text))
            .unwrap_or_default(),
        "RUNS".to_owned(),
        "TIME".to_owned(),
        "TRIED".to_owned(),
    ];
    let cells: Vec<[String; LAST + 1]> = shown.iter().map(|row| cells(row)).collect();
    let mut widths = [0; LAST + 1];
    for line in std::iter::once(&head).chain(&cells) {
        for (widest, cell) in widths.iter_mut().zip(line) {
            *widest = width(cell).min(WIDEST).max(*widest);
        }
    }
    let styles = std::iter::once(look.style(DIM)).chain(shown.iter().map(|row| style(row, look)));
    let all = std::iter::once(&head).chain(&cells);
    for (index, ((line, style), area)) in all.zip(styles).zip(area.rows()).enumerate() {
        let is_chosen = index > 0 && place == Some(first + index - 1);
        let mut text = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            match column {
                // A column that nobody fills.
                _ if width == 0 => continue,
                LAST => text += cell,
                1 => text += &pad_right(&shorten(cell, width), width),
                _ => text += &pad_left(&shorten(cell, width), width),
            }
            if column < LAST {
                text += "  ";
            }
        }
        let mut style = style;
        if is_chosen {
            text = pad_right(&text, usize::from(area.width));
            style = style.patch(Look::reversed());
        }
        put(buffer, area, &text, style);
    }
    view.height = height;
}

fn title(study: &Study, view: &View, shown: usize) -> String {
    let all = study.rows.len();
    let mut title = format!("Trials, {}", view.order.word());
    if view.reversed {
        title += ", turned round";
    }
    if let Some(outcome) = view.outcome {
        title += &format!(", {}", OUTCOMES[outcome]);
    }
    if !view.words.is_empty() {
        title += &format!(", with {}", clean(&view.words));
    }
    if shown < all {
        title += &format!(": {shown} of {all}");
    }
    title
}

fn cells(row: &TrialRow) -> [String; LAST + 1] {
    let star = if row.is_best { " *" } else { "" };
    let objective = match (&row.objective, &row.cause) {
        (_, Some(cause)) => clean(cause),
        (Some(objective), None) => prose::summary(objective),
        (None, None) => String::new(),
    };
    let checked = row.constraints.first().copied().flatten();
    [
        row.trial.to_string(),
        format!("{}{star}", clean(&row.outcome)),
        objective,
        checked
            .map(|c| significant(c.mean, FIGURES))
            .unwrap_or_default(),
        row.runs.to_string(),
        match row.outcome.as_str() {
            // Its timer stands with what runs.
            "running" => String::new(),
            _ => prose::duration(row.elapsed),
        },
        prose::changes(&row.changes),
    ]
}

fn style(row: &TrialRow, look: Look) -> Style {
    look.style(match row.outcome.as_str() {
        _ if row.is_best => GOOD,
        "failed" | "infeasible" => BAD,
        "pruned" | "held up" | "interrupted" => DOUBTFUL,
        "planned" => DIM,
        _ => anstyle::Style::new(),
    })
}
