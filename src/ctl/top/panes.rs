//! What runs, its log, and what the parameters matter.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::draw::{Look, put, right_of, titled};
use super::study::Study;
use super::view::View;
use crate::ctl::{importance, prose, status};
use crate::model::curve::Curve;
use crate::report::curves;
use crate::report::phrase::clean;
use crate::term::color::{ACCENT, BOLD, DIM};
use crate::term::width::{fold, pad_left, pad_right, shorten};
use crate::wire::reply::{Running, Status};

/// The longest bar of what a parameter matters.
const BAR: usize = 10;
/// Its share takes so many columns, with the gap.
const SHARE: usize = 6;

/// What the parameters matter, the most important first.
pub fn effects(buffer: &mut Buffer, area: Rect, study: &Study, look: Look) {
    if area.is_empty() {
        return;
    }
    let area = right_of(area, 1);
    let area = titled(buffer, area, "Parameters", look);
    let Some(found) = &study.importance else {
        put(buffer, area, "being estimated", look.style(DIM));
        return;
    };
    let Some(known) = &found.known else {
        let text = format!(
            "not known yet: {} of {} trials are there that it takes",
            found.trials, found.needed
        );
        lines(
            buffer,
            area,
            &fold(&text, usize::from(area.width)),
            look.style(DIM),
        );
        return;
    };
    let names = usize::from(area.width).saturating_sub(BAR + SHARE + 1);
    for (effect, line) in known.parameters.iter().zip(area.rows()) {
        let share = effect.share.mean.clamp(0.0, 1.0);
        let bar = "#".repeat((share * BAR as f64).round() as usize);
        let name = clean(&effect.name);
        let name = pad_right(&shorten(&name, names), names);
        put(buffer, line, &name, Style::new());
        put(buffer, right_of(line, names + 1), &bar, look.style(ACCENT));
        let share = pad_left(&importance::percent(share), SHARE);
        put(
            buffer,
            right_of(line, names + 1 + BAR),
            &share,
            look.style(DIM),
        );
    }
}

/// What runs, and the last lines of its log.
pub fn running(
    buffer: &mut Buffer,
    area: Rect,
    study: &Study,
    status: Option<&Status>,
    view: &View,
    look: Look,
) {
    let area = titled(buffer, area, &title(study), look);
    let shown = doings(study, status, view, usize::from(area.width));
    let used = lines(buffer, area, &shown, look.style(BOLD));
    let area = below(area, used);
    let log = study.log.last(usize::from(area.height), 0);
    lines(buffer, area, &log, Style::new());
}

/// The log of what runs.
pub fn log(
    buffer: &mut Buffer,
    area: Rect,
    study: &Study,
    status: Option<&Status>,
    view: &mut View,
    look: Look,
) {
    let area = titled(buffer, area, &title(study), look);
    let shown = doings(study, status, view, usize::from(area.width));
    let used = lines(buffer, area, &shown, look.style(BOLD));
    let area = below(area, used);
    view.height = usize::from(area.height);
    view.scrolled = view
        .scrolled
        .min(study.log.len().saturating_sub(view.height));
    let log = study.log.last(view.height, view.scrolled);
    lines(buffer, area, &log, Style::new());
}

fn title(study: &Study) -> String {
    match &study.log.source {
        Some(source) => format!("Log of trial {}, {}", source.trial, clean(&source.step)),
        None => "Log".to_owned(),
    }
}

/// What runs, a line or two for each trial; of the one that is watched also
/// what its run has told.
fn doings(study: &Study, status: Option<&Status>, view: &View, columns: usize) -> Vec<String> {
    let Some(status) = status else {
        return Vec::new();
    };
    let running: Vec<&Running> = study.running().collect();
    let watched = view.watched_of(study);
    let mut shown = Vec::new();
    for one in &running {
        let mut text = status::running_text(status, one);
        if running.len() > 1 && watched == Some(one.trial) {
            text = format!("> {text}");
        }
        if running.len() > 1 {
            shown.push(shorten(&text, columns).into_owned());
        } else {
            shown.extend(fold(&text, columns).into_iter().take(2));
        }
        if watched == Some(one.trial) {
            let curves: Vec<Curve> = one.curves.iter().map(Into::into).collect();
            if let Some(told) = curves::in_one_line(curves.iter()) {
                let course = curves.first().map(curves::sparkline).unwrap_or_default();
                shown.push(shorten(&format!("{told} {course}"), columns).into_owned());
            }
        }
    }
    for slot in &status.slots {
        if let Some(idle) = &slot.idle {
            let text = format!("slot {}: {}", clean(&slot.name), clean(idle));
            shown.extend(fold(&text, columns).into_iter().take(2));
        }
    }
    if running.is_empty() {
        shown.push("nothing runs".to_owned());
    }
    if !status.waiting.is_empty() && running.is_empty() {
        let next = &status.waiting[0];
        shown.push(format!(
            "next: trial {} ({})",
            next.trial,
            prose::changes(&next.changes)
        ));
    }
    shown
}

/// Puts lines into an area, as many as there is room for; gives how many.
fn lines(buffer: &mut Buffer, area: Rect, text: &[String], style: Style) -> u16 {
    let mut used = 0;
    for (text, line) in text.iter().zip(area.rows()) {
        put(buffer, line, text, style);
        used += 1;
    }
    used
}

fn below(area: Rect, lines: u16) -> Rect {
    Rect {
        y: area.y + lines,
        height: area.height - lines,
        ..area
    }
}
