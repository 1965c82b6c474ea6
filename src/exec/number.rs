//! Reading numbers that programs write, and choosing among several of them.

use regex::bytes::Captures;
use serde_json::Value as Json;

use crate::model::step::{Groups, Which};
use crate::model::value::Finite;

/// The most that a complaint quotes of what is no number, in characters.
const SHOWN_MAX: usize = 80;

/// Reads a number, strictly.
pub(super) fn number(text: &str) -> Result<f64, String> {
    let text = text.trim();
    // A pattern may have caught megabytes; the complaint goes into the journal.
    let shown = match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    };
    match text.parse::<f64>() {
        Ok(number) => Finite::new(number)
            .map(Finite::get)
            .ok_or_else(|| not_finite(&shown)),
        Err(_) if text.contains(',') => Err(format!(
            "`{shown}` is not a number: write it with a point and without commas"
        )),
        Err(_) => Err(format!("`{shown}` is not a number")),
    }
}

fn not_finite(text: &str) -> String {
    format!("`{text}` is not a finite number")
}

/// The number at an RFC 6901 pointer.
pub(super) fn at(json: &Json, pointer: &str) -> Result<f64, String> {
    match json.pointer(pointer) {
        Some(Json::Number(found)) => found
            .as_f64()
            .filter(|n| n.is_finite())
            .ok_or_else(|| not_finite(&found.to_string())),
        // Some programs write their numbers as texts.
        Some(Json::String(text)) => number(text),
        Some(_) => Err(format!("`{pointer}` is not a number")),
        None => Err(format!("has nothing at `{pointer}`")),
    }
}

/// A training step, and that at which the run will end, where it is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Position {
    pub(super) at: f64,
    pub(super) of: Option<f64>,
}

impl Position {
    /// Reads `340` or, as ms-swift writes it, `340/1000`.
    fn read(text: &str) -> Option<Self> {
        let (at, of) = match text.split_once('/') {
            Some((at, of)) => (at, Some(number(of).ok()?)),
            None => (text, None),
        };
        let at = number(at).ok()?;
        Some(Self { at, of })
    }

    /// That at a pointer.
    pub(super) fn in_json(json: &Json, pointer: &str) -> Option<Self> {
        match json.pointer(pointer)? {
            Json::String(text) => Self::read(text),
            _ => Some(Self {
                at: at(json, pointer).ok()?,
                of: None,
            }),
        }
    }

    /// That in the groups of a match.
    pub(super) fn in_match(captures: &Captures<'_>, groups: Groups) -> Option<Self> {
        let text = |group: usize| std::str::from_utf8(captures.get(group)?.as_bytes()).ok();
        let mut position = Self::read(text(groups.step?)?)?;
        let of = groups.of.and_then(text).and_then(|of| number(of).ok());
        position.of = of.or(position.of);
        Some(position)
    }
}

/// The one of several numbers that counts.
#[derive(Clone, Debug)]
pub struct Picked {
    which: Which,
    found: Option<Result<f64, String>>,
    /// The least and the greatest training step that there was.
    steps: Option<(f64, f64)>,
}

impl Picked {
    /// Nothing yet.
    pub const fn new(which: Which) -> Self {
        Self {
            which,
            found: None,
            steps: None,
        }
    }

    /// Takes the next one, or why it is no number.
    pub(super) fn offer(&mut self, step: Option<f64>, number: Result<f64, String>) {
        if let Some(step) = step {
            let (low, high) = self.steps.unwrap_or((step, step));
            self.steps = Some((low.min(step), high.max(step)));
        }
        let counts = match (self.which, &self.found, &number) {
            (Which::At(wanted), ..) => step == Some(wanted.get()),
            (Which::Last, ..) | (_, None, _) => true,
            (Which::First, Some(_), _) => false,
            (Which::Least, Some(Ok(known)), Ok(number)) => number < known,
            (Which::Most, Some(Ok(known)), Ok(number)) => number > known,
            (Which::Least | Which::Most, Some(known), number) => known.is_err() && number.is_ok(),
        };
        if counts {
            self.found = Some(number);
        }
    }

    /// The number; where there is none, `nothing` says so.
    ///
    /// # Errors
    /// That sentence, or why what counts is no number.
    pub fn number(&self, nothing: &str) -> Result<f64, String> {
        match (&self.found, self.which, self.steps) {
            (Some(found), ..) => found.clone(),
            (None, Which::At(wanted), Some((low, high))) => Err(format!(
                "{nothing} at step {}: those that have one go from step {low} to {high}",
                wanted.get()
            )),
            (None, ..) => Err(nothing.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_strictly() {
        assert_eq!(number(" 0.8815 "), Ok(0.8815));
        assert_eq!(number("1e3"), Ok(1000.0));
        for (text, expected) in [
            ("1.2.3", "`1.2.3` is not a number"),
            ("nan", "`nan` is not a finite number"),
            ("inf", "`inf` is not a finite number"),
            (
                "1,5",
                "`1,5` is not a number: write it with a point and without commas",
            ),
            ("", "`` is not a number"),
        ] {
            assert_eq!(number(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn training_steps_as_programs_write_them() {
        let record = json!({"global_step/max_steps": "340/1000", "step": 12, "text": "x"});
        let read = |pointer| Position::in_json(&record, pointer);
        let (at, of) = (340.0, Some(1000.0));
        assert_eq!(read("/global_step~1max_steps"), Some(Position { at, of }));
        assert_eq!(read("/step").map(|position| position.at), Some(12.0));
        assert_eq!(read("/text"), None);
        assert_eq!(read("/nothing"), None);
    }

    #[test]
    fn one_of_several_counts() {
        let pick = |which| {
            let mut picked = Picked::new(which);
            let offered = [(10.0, "3"), (20.0, "nan"), (30.0, "1"), (40.0, "2")];
            for (step, text) in offered {
                picked.offer(Some(step), number(text));
            }
            picked.number("nothing")
        };
        let step = |step| Which::At(Finite::new(step).expect("finite"));
        assert_eq!(pick(Which::First), Ok(3.0));
        assert_eq!(pick(Which::Last), Ok(2.0));
        assert_eq!(pick(Which::Least), Ok(1.0));
        assert_eq!(pick(Which::Most), Ok(3.0));
        assert_eq!(pick(step(30.0)), Ok(1.0));
        assert_eq!(
            pick(step(25.0)),
            Err("nothing at step 25: those that have one go from step 10 to 40".to_owned())
        );
        assert!(pick(step(20.0)).is_err());
        assert!(Picked::new(Which::Least).number("nothing").is_err());
    }
}
