//! What is known, drawn as the user looks at it.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::panes;
use super::plot;
use super::study::Study;
use super::table;
use super::view::{Page, View};
use crate::ctl::{approve, importance, prose, show, status};
use crate::report::phrase::clean;
use crate::term::color::{BAD, BOLD, DIM, DOUBTFUL, GOOD};
use crate::term::width::{fold, shorten, width};
use crate::wire::reply::{Phase, Status};

/// The least room that there is a use for: columns and lines.
pub const LEAST: (u16, u16) = (60, 16);

/// Below so many columns there is no room beside the plot.
const WIDE: u16 = 80;
/// So wide is what the parameters matter, beside the plot.
const BESIDE: u16 = 32;

/// The names in the head take so many columns, with the gap.
const NAMES: usize = 10;

/// How things are set off.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// By colours, too: the 16 of any terminal.
    pub color: bool,
}

impl Look {
    /// The style that stands for one of [`crate::term::color`].
    pub fn style(self, style: anstyle::Style) -> Style {
        let mut drawn = Style::new();
        let effects = style.get_effects();
        if effects.contains(anstyle::Effects::BOLD) {
            drawn = drawn.add_modifier(Modifier::BOLD);
        }
        if effects.contains(anstyle::Effects::DIMMED) {
            drawn = drawn.add_modifier(Modifier::DIM);
        }
        let Some(anstyle::Color::Ansi(color)) = style.get_fg_color() else {
            return drawn;
        };
        let color = match color {
            anstyle::AnsiColor::Green => Color::Green,
            anstyle::AnsiColor::Red => Color::Red,
            anstyle::AnsiColor::Yellow => Color::Yellow,
            anstyle::AnsiColor::Cyan => Color::Cyan,
            _ => Color::Reset,
        };
        if self.color { drawn.fg(color) } else { drawn }
    }

    /// What stands out against everything else.
    pub fn reversed() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, study: &Study, view: &mut View, look: Look) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(buffer, area, study);
        return;
    }
    let status = study.status();
    let most = usize::from(area.height / 6).clamp(3, 8);
    let head = status.as_ref().map(|status| head(status, most));
    let head = head.unwrap_or_default();
    let [title, top, page, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(head.len() as u16),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_title(buffer, title, study, status.as_ref());
    for ((name, text, style), line) in head.iter().zip(top.rows()) {
        put(buffer, line, name, look.style(DIM));
        put(buffer, right_of(line, NAMES), text, look.style(*style));
    }
    match view.page {
        Page::Overview => overview(buffer, page, study, status.as_ref(), view, look),
        Page::Trials => table::draw(buffer, page, study, view, look),
        Page::Log => panes::log(buffer, page, study, status.as_ref(), view, look),
        Page::Parameters => {
            let text = match &study.importance {
                Some(importance) => importance::text(importance, false, false),
                None => "The daemon is being asked; that takes some seconds.\n".to_owned(),
            };
            text_page(buffer, page, "Parameters", &text, view, look);
        }
        Page::Trial(trial) => {
            let text = match &study.open {
                Some(open) if open.row.trial == trial => show::text(open, false),
                _ => "The daemon is being asked.\n".to_owned(),
            };
            text_page(buffer, page, &format!("Trial {trial}"), &text, view, look);
        }
        Page::Help => text_page(buffer, page, "Keys", HELP, view, look),
    }
    let is_asked = status.is_some_and(|status| status.proposal.is_some());
    draw_foot(buffer, foot, view, is_asked, look);
    draw_notice(buffer, area, study, view, look);
}

/// What the keys do.
const HELP: &str = "\
1 2 3 4, Tab     all at once, trials, log, parameters; the next of these
Up Down, j k     go through the trials, or a long page; also PageUp,
                 PageDown, Space, Home, End
Enter            open a trial; Esc goes back
s t              sort by number, objective or time; turn the order round
f                only complete, infeasible, pruned, failed, unsettled trials
/                only trials with these words, as BATCH=32; Enter ends them,
                 Esc takes them back
w                watch another one, where several trials run

p r              pause the study; resume it
x                end the chosen trial for good, or the one that is watched
a d              approve of what is proposed; reject it
                 Each of these asks first.

Ctrl-L           draw everything anew
Ctrl-Z           stop this program; the shell's fg goes on with it
q, Ctrl-C        end this program; the study goes on

The plot: o complete, x infeasible, ~ pruned, ! failed, * the best so far,
- what was best until then. Numbers beyond the plot stand at its edge. Of more
trials than there is room for the best of each outcome are drawn.
";

fn draw_title(buffer: &mut Buffer, area: Rect, study: &Study, status: Option<&Status>) {
    buffer.set_style(area, Look::reversed());
    let name = study.met.as_ref().map(|pong| clean(&pong.study));
    let left = match status {
        Some(status) => format!(" {} {}", clean(&status.study), short_phase(status)),
        None => format!(" {}", name.unwrap_or_default()),
    };
    let right = status.map(|status| format!("{} ", status::time(status)));
    let right = right.unwrap_or_default();
    put(buffer, area, &left, Style::new());
    let room = usize::from(area.width).saturating_sub(width(&left) + 2);
    let mut right = right.as_str();
    if width(right) > room {
        // What ends it is the least of it.
        right = right.split(" (").next().unwrap_or_default();
    }
    let right = shorten(right, room);
    let start = usize::from(area.width) - width(&right);
    put(buffer, right_of(area, start), &right, Style::new());
}

/// Whether the study goes on, without what to type.
fn short_phase(status: &Status) -> String {
    match &status.phase {
        Phase::Paused { .. } if !status.stopping => {
            let phase = status::phase(status);
            phase.split(';').next().unwrap_or_default().to_owned()
        }
        _ => status::phase(status),
    }
}

/// What matters most, in so many lines at most.
fn head(status: &Status, most: usize) -> Vec<(&'static str, String, anstyle::Style)> {
    let mut lines = Vec::new();
    let plain = anstyle::Style::new();
    if let Some(trouble) = &status.disk_trouble {
        lines.push(("disk", format!("takes no data: {}", clean(trouble)), BAD));
    }
    if let Some(proposal) = &status.proposal {
        let proposed = approve::proposed(proposal, status.now);
        let text = proposed.split("; to answer").next().unwrap_or_default();
        lines.push(("proposal", text.to_owned(), DOUBTFUL));
    }
    if let Some(held_up) = &status.held_up {
        let text = status::held_up_text(status.now, held_up);
        lines.push(("held up", text, DOUBTFUL));
    }
    match &status.best {
        Some(best) => {
            let metrics = prose::metrics(best);
            lines.push(("best", format!("trial {}: {metrics}", best.trial), GOOD));
        }
        None => lines.push(("best", prose::gain(&status.gain, &status.objective), plain)),
    }
    lines.push(("trials", status::trials(status), plain));
    if status.best.is_some() {
        lines.push(("gain", prose::gain(&status.gain, &status.objective), plain));
    }
    if let Some(leader) = &status.leader {
        lines.push(("leads", prose::leads(leader), plain));
    }
    if let Some(advisor) = &status.advisor {
        let text = status::advisor_text(status.now, advisor);
        lines.push(("advisor", text, plain));
    }
    if !status.changes.is_empty() {
        lines.push(("with", prose::changes(&status.changes), plain));
    }
    if !status.constraints.is_empty() {
        let constraints: Vec<String> = status.constraints.iter().map(|c| clean(c)).collect();
        lines.push(("where", constraints.join(" and "), plain));
    }
    lines.truncate(most);
    lines
}

fn overview(
    buffer: &mut Buffer,
    area: Rect,
    study: &Study,
    status: Option<&Status>,
    view: &mut View,
    look: Look,
) {
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length((area.height * 2 / 5).max(4)),
        Constraint::Length((area.height * 3 / 10).max(3)),
        Constraint::Min(0),
    ])
    .areas(area);
    let beside = if area.width < WIDE { 0 } else { BESIDE };
    let [left, right] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(beside)]).areas(top);
    plot::draw(buffer, left, study, look);
    panes::effects(buffer, right, study, look);
    panes::running(buffer, middle, study, status, view, look);
    table::draw(buffer, bottom, study, view, look);
}

/// A title over the rest of the area, which is what is left.
pub fn titled(buffer: &mut Buffer, area: Rect, title: &str, look: Look) -> Rect {
    let [line, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let rule = "─".repeat(usize::from(line.width));
    put(buffer, line, &rule, look.style(DIM));
    if line.width > 4 {
        let room = Rect {
            x: line.x + 1,
            width: line.width - 2,
            ..line
        };
        let title = shorten(title, usize::from(room.width) - 2);
        put(buffer, room, &format!(" {title} "), look.style(BOLD));
    }
    rest
}

/// Text in one line, shortened to the room that there is.
pub fn put(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    if area.is_empty() {
        return;
    }
    let text = shorten(text, usize::from(area.width));
    buffer.set_stringn(area.x, area.y, text, usize::from(area.width), style);
}

/// What of an area is to the right of so many columns.
pub fn right_of(area: Rect, columns: usize) -> Rect {
    let columns = u16::try_from(columns).unwrap_or(u16::MAX).min(area.width);
    Rect {
        x: area.x + columns,
        width: area.width - columns,
        ..area
    }
}

/// A page of text that can be scrolled.
fn text_page(
    buffer: &mut Buffer,
    area: Rect,
    title: &str,
    text: &str,
    view: &mut View,
    look: Look,
) {
    let lines: Vec<&str> = text.lines().collect();
    let height = usize::from(area.height.saturating_sub(1));
    view.height = height;
    view.scrolled = view.scrolled.min(lines.len().saturating_sub(height));
    let shown = &lines[view.scrolled..];
    let last = view.scrolled + shown.len().min(height);
    let title = match last < lines.len() || view.scrolled > 0 {
        true => format!(
            "{title}, lines {} to {last} of {}",
            view.scrolled + 1,
            lines.len()
        ),
        false => title.to_owned(),
    };
    let area = titled(buffer, area, &title, look);
    for (text, line) in shown.iter().zip(area.rows()) {
        put(buffer, line, text, Style::new());
    }
}

/// The keys; those that answer first where a proposal `is_asked` about.
fn draw_foot(buffer: &mut Buffer, area: Rect, view: &View, is_asked: bool, look: Look) {
    if view.typing {
        put(
            buffer,
            area,
            &format!("find: {}_", view.words),
            look.style(BOLD),
        );
        return;
    }
    let keys = match view.page {
        Page::Overview | Page::Trials if is_asked => {
            "q quit  ? help  Tab page  a approve  d reject  p pause  Enter open  s sort"
        }
        Page::Overview | Page::Trials => {
            "q quit  ? help  Tab page  p pause  r resume  x skip  Enter open  s sort  / find"
        }
        Page::Log => "q quit  ? help  Tab page  Esc back  Up Down scroll  w watch the next",
        _ => "q quit  ? help  Tab page  Esc back  Up Down scroll",
    };
    put(buffer, area, keys, look.style(DIM));
}

/// A question, what came of a wish, or that nobody answers: over the last
/// lines.
fn draw_notice(buffer: &mut Buffer, area: Rect, study: &Study, view: &View, look: Look) {
    let (text, style) = if let Some(question) = &view.question {
        let mut text = question.text.clone();
        for (key, what, _) in &question.answers {
            text += &format!("  [{key}] {what}");
        }
        (text + "  [n] do nothing", look.style(BOLD))
    } else {
        let (text, style) = match (&view.said, &study.answer) {
            (Some(said), _) => (said.as_str(), BOLD),
            (None, Some((answer, granted))) => (answer.as_str(), if *granted { GOOD } else { BAD }),
            (None, None) => ("", DOUBTFUL),
        };
        // An earlier answer does not hide it.
        let trouble = study.trouble.as_deref().unwrap_or_default();
        (format!("{text}\n{trouble}"), look.style(style))
    };
    let room = usize::from(area.width) - 2;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        lines.extend(fold(line, room));
    }
    lines.truncate(usize::from(area.height / 2));
    let height = lines.len() as u16;
    let bottom = Rect {
        y: area.bottom() - height,
        height,
        ..area
    };
    for (text, line) in lines.iter().zip(bottom.rows()) {
        let blank = " ".repeat(usize::from(line.width));
        put(buffer, line, &blank, Style::reset());
        put(
            buffer,
            right_of(line, 1),
            text,
            style.patch(Look::reversed()),
        );
    }
}

/// Where nothing could be read: why, and the least that there is to know.
fn too_small(buffer: &mut Buffer, area: Rect, study: &Study) {
    let (columns, lines) = LEAST;
    let mut text = vec![format!(
        "{}×{} is too small: make it {columns}×{lines} or more, or use autotunectl status --watch \
         (q quits)",
        area.width, area.height
    )];
    if let Some(trouble) = &study.trouble {
        text.push(trouble.clone());
    }
    if let Some(status) = study.status() {
        text.push(format!("{} {}", clean(&status.study), short_phase(&status)));
        for running in study.running() {
            text.push(status::running_text(&status, running));
        }
    }
    let lines = text
        .iter()
        .flat_map(|text| fold(text, usize::from(area.width)));
    for (text, line) in lines.zip(area.rows()) {
        put(buffer, line, &text, Style::new());
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
