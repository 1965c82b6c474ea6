//! A drawing as text.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::escape;
use crate::report::document::State;

/// How wide a column of text is drawn.
const COLUMN: f64 = 7.8;

/// A drawing.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// Where a text stands.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

impl Svg {
    /// An empty one of this size.
    pub(super) const fn new(width: f64, height: f64) -> Self {
        Self {
            body: String::new(),
            width,
            height,
        }
    }

    /// The text of the whole, with its name and what it is.
    pub(super) fn finish(self, title: &str, description: &str) -> String {
        let Self {
            body,
            width,
            height,
        } = self;
        let (title, description) = (escape(title), escape(description));
        format!(
            "<svg role=\"img\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             xmlns=\"http://www.w3.org/2000/svg\"><title>{title}</title>\
             <desc>{description}</desc>\n{body}</svg>\n"
        )
    }

    /// A path, with what is told of it where there is anything.
    pub(super) fn path(&mut self, class: &str, data: &str, title: &str) {
        let _ = match title.is_empty() {
            true => writeln!(self.body, "<path class=\"{class}\" d=\"{data}\"/>"),
            false => {
                let title = escape(title);
                writeln!(
                    self.body,
                    "<path class=\"{class}\" d=\"{data}\"><title>{title}</title></path>"
                )
            }
        };
    }

    /// A straight line.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let data = format!(
            "M{} {}L{} {}",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1)
        );
        self.path(class, &data, "");
    }

    /// A box; `opacity` is that of its inside.
    pub(super) fn rect(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        opacity: Option<f64>,
    ) {
        let (x, y, width, height) = (short(x), short(y), short(width), short(height));
        let opacity = opacity.map(|share| format!(" fill-opacity=\"{}\"", short(share)));
        let opacity = opacity.unwrap_or_default();
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" \
             height=\"{height}\"{opacity}/>"
        );
    }

    /// A text.
    pub(super) fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        self.turned((x, y), anchor, text, None);
    }

    /// A text, turned by so many degrees around its place.
    pub(super) fn turned(
        &mut self,
        (x, y): (f64, f64),
        anchor: Anchor,
        text: &str,
        turn: Option<f64>,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, text) = (short(x), short(y), escape(text));
        let turn = turn.map(|turn| format!(" transform=\"rotate({turn:.0} {x} {y})\""));
        let turn = turn.unwrap_or_default();
        let _ = writeln!(
            self.body,
            "<text class=\"on\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{turn}>{text}</text>"
        );
    }
}

/// How wide a text is drawn, about.
pub(super) fn width(text: &str) -> f64 {
    text.width() as f64 * COLUMN
}

/// A number of at most one decimal.
pub(super) fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// The class of points of a state.
pub(super) const fn class(state: State) -> &'static str {
    match state {
        State::Complete => "complete",
        State::Infeasible => "infeasible",
        State::Pruned => "pruned",
        State::Failed => "failed",
        State::Baseline => "baseline",
        State::Best => "best",
    }
}

/// The shape of a state at a place: each differs from the others by more than its
/// colour.
pub(super) fn shape(state: State, x: f64, y: f64) -> String {
    let at = |dx: f64, dy: f64| format!("M{} {}", short(x + dx), short(y + dy));
    match state {
        State::Complete => at(0.0, 0.0) + "h0",
        State::Infeasible => at(0.0, -5.0) + "l4.5 8h-9z",
        State::Pruned => at(-4.0, 0.0) + "h8",
        State::Failed => at(-3.5, -3.5) + "l7 7m0-7l-7 7",
        State::Baseline => at(-4.0, -4.0) + "h8v8h-8z",
        State::Best => {
            at(0.0, -8.0)
                + "l2.4 5.2l5.6 .6l-4.2 3.8l1.2 5.6l-5-2.8l-5 2.8l1.2-5.6l-4.2-3.8l5.6-.6z"
        }
    }
}

/// The same, smaller, where there are very many of them.
pub(super) fn small(state: State, x: f64, y: f64) -> String {
    let at = |dx: f64, dy: f64| format!("M{} {}", short(x + dx), short(y + dy));
    match state {
        State::Infeasible => at(0.0, -3.0) + "l2.6 4.6h-5.2z",
        State::Pruned => at(-2.0, 0.0) + "h4",
        State::Failed => at(-2.0, -2.0) + "l4 4m0-4l-4 4",
        State::Complete | State::Baseline | State::Best => shape(state, x, y),
    }
}
