//! The question whether a proposal is tried, on a terminal.
//!
//! ```text
//!   proposal waits ──▶ shown ──┬─ a line is typed ──▶ wish ──▶ refused: shown again
//!                       ▲      │                          └──▶ done: gone
//!                       │      └─ answered elsewhere ─────────▶ gone
//!                       └───────── a trial of a user has run
//! ```
//!
//! What was typed before the question was shown answers nothing: nobody
//! approves of what he has not seen.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use rustix::termios::{QueueSelector, tcflush, tcgetpgrp};
use tokio::sync::{mpsc, oneshot};

use crate::base::wrap::wrap;
use crate::daemon::Wish;
use crate::model::study::{Phase, Study};
use crate::report::phrase::clean;
use crate::report::proposal;
use crate::term::color::{ACCENT, BOLD, DIM};
use crate::wire::reply::{Refusal, Reply};
use crate::wire::request::{End, Instead, Steer};

/// How often a job in the background looks whether it is in front again.
const LOOK: Duration = Duration::from_millis(500);

/// Whether there is somebody to be asked: not where another program has the
/// terminal.
pub(super) fn is_possible() -> bool {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    terminal && io::stderr().is_terminal() && is_in_front()
}

/// Asks at the terminal.
pub(super) struct Prompter {
    wishes: mpsc::UnboundedSender<Wish>,
    /// What is typed, once somebody is asked.
    lines: Option<mpsc::UnboundedReceiver<String>>,
    /// The last proposal that was explained.
    explained: Option<u32>,
    /// What is on the screen.
    shown: Option<Question>,
    answering: Option<oneshot::Receiver<Reply>>,
}

/// What came of an answer.
pub(super) enum Heard {
    /// A line that is to be shown before the question is asked again.
    Again(String),
    /// Nothing that is to be shown.
    Nothing,
}

impl Prompter {
    /// One whose wishes go to a daemon.
    pub(super) fn new(wishes: mpsc::UnboundedSender<Wish>) -> Self {
        Self {
            wishes,
            lines: None,
            explained: None,
            shown: None,
            answering: None,
        }
    }

    /// Whether the question is on the screen.
    pub(super) fn is_shown(&self) -> bool {
        self.shown.is_some()
    }

    /// The question that is to be on the screen and is not.
    pub(super) fn wanted(&self, study: &Study) -> Option<Question> {
        let question = Question::of(study)?;
        let shown = self.shown.as_ref().map(|shown| shown.number);
        (self.answering.is_none() && shown != Some(question.number)).then_some(question)
    }

    /// Takes the question away where it is no longer to be there.
    pub(super) fn erase_stale(&mut self, study: &Study) {
        let wanted = Question::of(study).map(|question| question.number);
        let shown = self.shown.as_ref();
        if shown.is_some_and(|shown| Some(shown.number) != wanted) {
            self.erase();
        }
    }

    /// Asks.
    pub(super) fn show(&mut self, question: Question) {
        let lines = self.lines.get_or_insert_with(read_lines);
        forget_typed();
        while lines.try_recv().is_ok() {}
        let mut out = anstream::stdout();
        if self.explained != Some(question.number) {
            for line in &question.text {
                let _ = writeln!(out, "{line}");
            }
        }
        self.explained = Some(question.number);
        self.shown = Some(question);
        self.print();
    }

    fn print(&self) {
        if let Some(question) = &self.shown {
            let mut out = anstream::stdout();
            let _ = write!(out, "{BOLD}{}{BOLD:#} ", question.prompt);
            let _ = out.flush();
        }
    }

    /// Prints above the question.
    pub(super) fn line(&self, text: &str) {
        clear_line();
        let _ = writeln!(anstream::stdout(), "{text}");
        self.print();
    }

    /// Takes the question away.
    pub(super) fn erase(&mut self) {
        if self.shown.take().is_some() {
            self.explained = None;
            clear_line();
        }
    }

    /// Waits for what somebody types, or for what came of that.
    pub(super) async fn hear(&mut self) -> Heard {
        if let Some(answering) = &mut self.answering {
            let reply = answering.await;
            self.answering = None;
            return match reply {
                Ok(Reply::Refused(refusal)) => refused(&refusal),
                _ => Heard::Nothing,
            };
        }
        let Some(lines) = &mut self.lines else {
            return std::future::pending().await;
        };
        let Some(line) = lines.recv().await else {
            // The terminal is closed; others can still answer.
            return std::future::pending().await;
        };
        // What answers no question is nothing.
        let Some(question) = self.shown.take() else {
            return Heard::Nothing;
        };
        match question.understand(&line) {
            Err(help) => Heard::Again(help),
            Ok(steer) => {
                let (reply, answer) = oneshot::channel();
                if self.wishes.send((steer, reply)).is_ok() {
                    self.answering = Some(answer);
                }
                Heard::Nothing
            }
        }
    }
}

fn refused(refusal: &Refusal) -> Heard {
    Heard::Again(match refusal {
        Refusal::BadParams(errors) => {
            let errors: Vec<String> = errors.iter().map(|error| clean(error)).collect();
            errors.join("\n")
        }
        Refusal::TriedAlready(trial) => format!("trial {trial} has tried that already"),
        // It was answered elsewhere in the meantime.
        Refusal::NothingProposed | Refusal::OtherProposal(_) | Refusal::Leaving => {
            return Heard::Nothing;
        }
        _ => "that cannot be done now".to_owned(),
    })
}

/// A question, as it is asked.
pub(super) struct Question {
    number: u32,
    /// The one parameter that a bare value is for.
    single: Option<String>,
    /// What `n` ends.
    end: End,
    /// Whether `p` ends the parameter.
    skips_parameter: bool,
    text: Vec<String>,
    prompt: String,
}

impl Question {
    /// The one about what waits for approval.
    fn of(study: &Study) -> Option<Self> {
        let waits = *study.phase() == Phase::AwaitingApproval;
        let proposal = &study.pending().filter(|_| waits)?.proposal;
        let changed = study.changed_by(proposal);
        let single = match &changed[..] {
            [one] => Some(clean(one)),
            _ => None,
        };
        let stays = study.stays_with_parameter();
        let parameter = proposal.parameter.as_ref().map(|name| clean(name));
        let end = if stays { End::Parameter } else { End::Study };
        let skips_parameter = parameter.is_some() && !stays;
        let mut keys = vec![("y", "try it".to_owned())];
        keys.push(match &single {
            Some(name) => ("VALUE", format!("try that for {name}")),
            None => ("NAME=VALUE …", "try it with these".to_owned()),
        });
        keys.push(("s", "propose something else".to_owned()));
        let parameter = parameter.unwrap_or_default();
        if skips_parameter {
            keys.push(("p", format!("leave {parameter} as it is")));
        }
        keys.push(match end {
            End::Parameter => ("n", format!("enough of {parameter}")),
            _ => ("n", "end the study".to_owned()),
        });
        keys.push(("q", "stop for now".to_owned()));
        let number = proposal.number;
        let words = proposal::in_words(study, proposal);
        let mut text = wrap("", "  ", &format!("proposal {number}: {words}"));
        if let Some(first) = text.first_mut() {
            *first = format!("{ACCENT}{first}{ACCENT:#}");
        }
        let longest = keys.iter().map(|(key, _)| key.chars().count()).max();
        let width = longest.unwrap_or_default();
        let keys = keys
            .iter()
            .map(|(key, what)| format!("  {key:<width$}  {what}"));
        text.extend(keys.map(|line| format!("{DIM}{line}{DIM:#}")));
        let letters = if skips_parameter {
            "y/s/p/n/q"
        } else {
            "y/s/n/q"
        };
        Some(Self {
            number,
            single,
            end,
            skips_parameter,
            text,
            prompt: format!("try it? [{letters}]"),
        })
    }

    /// What somebody wants who types this.
    ///
    /// # Errors
    /// What can be typed.
    fn understand(&self, line: &str) -> Result<Steer, String> {
        let number = Some(self.number);
        let approve = |instead| Steer::Approve { number, instead };
        let reject = |end| Steer::Reject { number, end };
        let text = line.trim();
        let value = text.strip_prefix("v ").map(str::trim);
        Ok(match (text.to_lowercase().as_str(), value) {
            ("", _) => return Err(self.help()),
            ("y" | "yes", _) => approve(Instead::Nothing),
            ("n" | "no", _) => reject(self.end),
            ("s" | "skip", _) => reject(End::Proposal),
            ("p", _) if self.skips_parameter => reject(End::Parameter),
            ("q" | "quit", _) => Steer::Stop { now: false },
            (_, Some(value)) => approve(Instead::Value(value.to_owned())),
            _ => {
                let pair = |word: &str| {
                    let (name, value) = word.split_once('=')?;
                    Some((name.to_owned(), value.to_owned()))
                };
                let pairs: Option<Vec<_>> = text.split_whitespace().map(pair).collect();
                match (pairs, &self.single) {
                    (Some(pairs), _) => approve(Instead::Values(pairs)),
                    (None, Some(_)) => approve(Instead::Value(text.to_owned())),
                    (None, None) => return Err(self.help()),
                }
            }
        })
    }

    fn help(&self) -> String {
        match &self.single {
            Some(name) => format!("type one of these letters, or a value of {name}"),
            None => "type one of these letters, or NAME=VALUE".to_owned(),
        }
    }
}

/// Takes away what is on the cursor's line.
fn clear_line() {
    let mut out = anstream::stdout();
    let _ = write!(out, "\r\x1b[K");
    let _ = out.flush();
}

/// Whether this job may use the terminal.
fn is_in_front() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|front| front == rustix::process::getpgrp())
}

/// Forgets what was typed and not read.
fn forget_typed() {
    // In the background it is meant for another program, and asking for it would
    // stop this one.
    if is_in_front() {
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
    }
}

/// Reads what is typed, on a thread: it may never come.
fn read_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    let read = move || {
        // A job in the background that reads is stopped with all its threads;
        // with the signal blocked it gets an error instead.
        let mut stops = SigSet::empty();
        stops.add(Signal::SIGTTIN);
        let _ = stops.thread_block();
        loop {
            let mut line = String::new();
            match io::stdin().lock().read_line(&mut line) {
                Ok(0) => return,
                Ok(_) if sender.send(line).is_err() => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
                Err(error) => {
                    let is_behind = error.raw_os_error() == Some(Errno::EIO as i32)
                        && tcgetpgrp(io::stdin()).is_ok()
                        && !is_in_front();
                    if !is_behind {
                        return;
                    }
                    std::thread::sleep(LOOK);
                }
            }
        }
    };
    // Without a thread nobody is heard here; others can still answer.
    drop(
        std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(read),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(single: Option<&str>, end: End) -> Question {
        Question {
            number: 3,
            single: single.map(str::to_owned),
            end,
            skips_parameter: end == End::Study,
            text: Vec::new(),
            prompt: String::new(),
        }
    }

    #[test]
    fn letters_values_and_pairs_are_told_apart() {
        let inside = question(Some("N"), End::Parameter);
        let number = Some(3);
        let reject = |end| Ok(Steer::Reject { number, end });
        let approve = |instead| Ok(Steer::Approve { number, instead });
        assert_eq!(inside.understand("y\n"), approve(Instead::Nothing));
        assert_eq!(inside.understand(" N \n"), reject(End::Parameter));
        assert_eq!(inside.understand("s\n"), reject(End::Proposal));
        assert_eq!(inside.understand("q\n"), Ok(Steer::Stop { now: false }));
        let value = |text: &str| approve(Instead::Value(text.to_owned()));
        assert_eq!(inside.understand("0.5\n"), value("0.5"));
        // A value that is a letter as well.
        assert_eq!(inside.understand("v y\n"), value("y"));
        assert_eq!(inside.understand("p\n"), value("p"));
        assert!(inside.understand("\n").is_err());
        let between = question(Some("N"), End::Study);
        assert_eq!(between.understand("no\n"), reject(End::Study));
        assert_eq!(between.understand("p\n"), reject(End::Parameter));
        let several = question(None, End::Study);
        let pairs = vec![
            ("A".to_owned(), "1".to_owned()),
            ("B".to_owned(), "x".to_owned()),
        ];
        assert_eq!(
            several.understand("A=1 B=x\n"),
            approve(Instead::Values(pairs))
        );
        assert!(several.understand("12\n").is_err());
    }
}
