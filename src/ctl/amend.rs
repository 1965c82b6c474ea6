//! What came of a change of the spec, in words.

use super::prose;
use crate::base::wrap::wrap;
use crate::report::phrase::clean;
use crate::wire::reply::Amended;

/// What the daemon says of a change: a sentence a line.
pub fn sentences(amended: &Amended, changed: bool) -> String {
    if !changed {
        return "it is so already".to_owned();
    }
    let mut lines = Vec::new();
    let mut add = |text: String| lines.extend(wrap("", "  ", &text));
    for (word, texts) in [
        ("changed", &amended.changed),
        ("taken back", &amended.withdrawn),
    ] {
        for text in texts {
            add(format!("{word}: {}", clean(text)));
        }
    }
    if let Some(all) = prose::trials(amended.running, &amended.beside) {
        let after = if amended.beside.is_empty() {
            "it"
        } else {
            "them"
        };
        add(format!(
            "{} {} on as {} started; what starts after {after} obeys",
            all.names, all.run, all.they
        ));
    }
    if !amended.outside.is_empty() {
        let trials: Vec<String> = amended.outside.iter().map(ToString::to_string).collect();
        let (noun, verb) = match trials.len() {
            1 => ("trial", "was planned before and is"),
            _ => ("trials", "were planned before and are"),
        };
        add(format!(
            "{noun} {} {verb} tried all the same",
            trials.join(", ")
        ));
    }
    match (amended.best_before, amended.best) {
        (before, Some(best)) if before != Some(best) => {
            add(format!("the best is now trial {best}"))
        }
        (Some(_), None) => add("no trial so far keeps the constraints as they are now".to_owned()),
        _ => {}
    }
    if let (Some(best), true) = (amended.best, amended.best_outside) {
        add(format!(
            "trial {best}, the best, has values that are not tried any more; it still competes"
        ));
    }
    if amended.paused {
        add("the study is paused; to go on: autotunectl resume".to_owned());
    }
    if amended.done {
        add("the study was done; it goes on if there is more to try now".to_owned());
    }
    lines.join("\n")
}
