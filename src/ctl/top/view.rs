//! What the user looks at, and how keys change that.

use std::cmp::Ordering;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::study::Study;
use crate::ctl::{approve, prose};
use crate::wire::reply::{Phase, TrialRow};
use crate::wire::request::{End, Instead, Steer};

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// A part of everything.
    #[default]
    Overview,
    /// The table of trials.
    Trials,
    /// The log of what runs.
    Log,
    /// What the parameters matter.
    Parameters,
    /// One trial.
    Trial(u32),
    /// What the keys do.
    Help,
}

/// The order of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The best objective first; what has none comes last.
    Best,
    /// The longest first.
    Longest,
}

impl Order {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Newest => "newest first",
            Self::Best => "best first",
            Self::Longest => "longest first",
        }
    }
}

/// The outcomes that the table can be kept to, one after the other.
pub const OUTCOMES: [&str; 5] = ["complete", "infeasible", "pruned", "failed", "not settled"];

/// What is asked before something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What.
    pub text: String,
    /// The keys that answer it, what each does in words, and what it sends. Any
    /// other key does nothing.
    pub answers: Vec<(char, &'static str, Steer)>,
}

/// What a key has the program do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but show what has changed.
    Show,
    /// End.
    Quit,
    /// Stop, as Ctrl-Z does.
    Stop,
    /// Draw everything anew.
    Redraw,
    /// Change the study.
    Steer(Steer),
}

/// What is looked at.
#[derive(Default)]
pub struct View {
    /// The page.
    pub page: Page,
    /// Where `Esc` goes back to.
    back: Page,
    /// The order of the table.
    pub order: Order,
    /// Whether it is turned round.
    pub reversed: bool,
    /// The outcome that the table is kept to, as an index of [`OUTCOMES`].
    pub outcome: Option<usize>,
    /// The words that a trial must have to be in the table.
    pub words: String,
    /// Whether these are being typed.
    pub typing: bool,
    /// The trial that is chosen; `None` for the first of the table.
    pub chosen: Option<u32>,
    /// Which of several running trials is watched.
    pub watched: usize,
    /// So many lines of the page are scrolled past.
    pub scrolled: usize,
    /// What is asked.
    pub question: Option<Question>,
    /// What is said of the last key.
    pub said: Option<String>,
    /// How many rows of the table, or lines of the page, were last shown.
    pub height: usize,
}

impl View {
    /// Takes in what the terminal tells.
    pub fn take(&mut self, event: &Event, study: &mut Study) -> Action {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.press(key, study),
            _ => Action::Show,
        }
    }

    fn press(&mut self, key: &KeyEvent, study: &mut Study) -> Action {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Action::Quit,
                KeyCode::Char('z') => Action::Stop,
                KeyCode::Char('l') => Action::Redraw,
                _ => Action::Show,
            };
        }
        self.said = None;
        study.answer = None;
        if let Some(question) = self.question.take() {
            let given = question
                .answers
                .into_iter()
                .find(|(answer, ..)| key.code == KeyCode::Char(*answer));
            let Some((_, _, steer)) = given else {
                self.said = Some("nothing is done".to_owned());
                return Action::Show;
            };
            return Action::Steer(steer);
        }
        if self.typing {
            self.write(key.code);
            return Action::Show;
        }
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc if self.page == Page::Overview => self.words.clear(),
            KeyCode::Esc | KeyCode::Backspace => self.turn_to(match self.page {
                Page::Trial(_) | Page::Help => self.back,
                _ => Page::Overview,
            }),
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => self.lay_over(Page::Help),
            KeyCode::Char('1') => self.turn_to(Page::Overview),
            KeyCode::Char('2') => self.turn_to(Page::Trials),
            KeyCode::Char('3') => self.turn_to(Page::Log),
            KeyCode::Char('4') => self.turn_to(Page::Parameters),
            KeyCode::Tab => self.turn_to(match self.page {
                Page::Overview => Page::Trials,
                Page::Trials => Page::Log,
                Page::Log => Page::Parameters,
                _ => Page::Overview,
            }),
            KeyCode::Enter => {
                if let Some(trial) = self.chosen_of(study) {
                    study.open(trial);
                    self.lay_over(Page::Trial(trial));
                }
            }
            KeyCode::Up | KeyCode::Char('k') => self.step(study, -1),
            KeyCode::Down | KeyCode::Char('j') => self.step(study, 1),
            KeyCode::PageUp => self.step(study, -(self.height.max(2) as isize - 1)),
            KeyCode::PageDown | KeyCode::Char(' ') => {
                self.step(study, self.height.max(2) as isize - 1);
            }
            KeyCode::Home => self.step(study, isize::MIN / 2),
            KeyCode::End => self.step(study, isize::MAX / 2),
            KeyCode::Char('s') => {
                self.order = match self.order {
                    Order::Newest => Order::Best,
                    Order::Best => Order::Longest,
                    Order::Longest => Order::Newest,
                };
            }
            KeyCode::Char('t') => self.reversed = !self.reversed,
            KeyCode::Char('f') => {
                self.outcome = match self.outcome {
                    None => Some(0),
                    Some(last) => Some(last + 1).filter(|next| *next < OUTCOMES.len()),
                };
            }
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('w') => {
                self.watched = (self.watched + 1) % study.running().count().max(1);
            }
            KeyCode::Char('p' | 'r' | 'x' | 'a' | 'd') => self.ask(key.code, study),
            _ => {}
        }
        Action::Show
    }

    fn turn_to(&mut self, page: Page) {
        self.page = page;
        self.scrolled = 0;
    }

    /// Shows a page until `Esc`.
    fn lay_over(&mut self, page: Page) {
        if !matches!(self.page, Page::Trial(_) | Page::Help) {
            self.back = self.page;
        }
        self.turn_to(page);
    }

    fn write(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.words.clear();
            }
            KeyCode::Backspace => drop(self.words.pop()),
            KeyCode::Char(c) => self.words.push(c),
            _ => {}
        }
        self.chosen = None;
    }

    /// Goes down by so many rows or lines.
    fn step(&mut self, study: &Study, by: isize) {
        match self.page {
            Page::Overview | Page::Trials => {
                let rows = self.rows(study);
                let last = rows.len().saturating_sub(1);
                // The first step chooses the first one.
                let to = match self.place(&rows) {
                    Some(at) => at.saturating_add_signed(by).min(last),
                    None => 0usize.saturating_add_signed(by.saturating_sub(1)).min(last),
                };
                self.chosen = rows.get(to).map(|row| row.trial);
            }
            // It stands at its end until it is scrolled back.
            Page::Log => {
                let most = study.log.len().saturating_sub(self.height);
                self.scrolled = self.scrolled.saturating_add_signed(-by).min(most);
            }
            _ => self.scrolled = self.scrolled.saturating_add_signed(by),
        }
    }

    /// The rows of the table.
    pub fn rows<'a>(&self, study: &'a Study) -> Vec<&'a TrialRow> {
        let outcome = self.outcome.map(|index| OUTCOMES[index]);
        let words: Vec<String> = self
            .words
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let wanted = |row: &&TrialRow| {
            let fits = match outcome {
                None => true,
                Some("not settled") => !OUTCOMES.contains(&row.outcome.as_str()),
                Some(outcome) => row.outcome == outcome,
            };
            fits && (words.is_empty() || {
                let text = format!(
                    "{} {} {}",
                    row.trial,
                    row.outcome,
                    prose::changes(&row.changes)
                );
                let text = text.to_lowercase();
                words.iter().all(|word| text.contains(word))
            })
        };
        let mut rows: Vec<&TrialRow> = study.rows.iter().filter(wanted).collect();
        let maximize = study.objective.as_ref().is_some_and(|o| o.maximize);
        let mean = |row: &TrialRow| row.objective.map(|objective| objective.mean);
        let misses = |row: &TrialRow| row.outcome == "infeasible";
        rows.sort_by(|a, b| match self.order {
            Order::Newest => b.trial.cmp(&a.trial),
            Order::Longest => b.elapsed.cmp(&a.elapsed),
            // However good it is, what misses a constraint is not the best.
            Order::Best => match (mean(a), mean(b)) {
                (Some(_), Some(_)) if misses(a) != misses(b) => misses(a).cmp(&misses(b)),
                (Some(a), Some(b)) if maximize => b.total_cmp(&a),
                (Some(a), Some(b)) => a.total_cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => Ordering::Equal,
            },
        });
        if self.reversed {
            rows.reverse();
        }
        rows
    }

    /// Where the chosen trial is in the table.
    pub fn place(&self, rows: &[&TrialRow]) -> Option<usize> {
        rows.iter().position(|row| Some(row.trial) == self.chosen)
    }

    /// The chosen trial, or the first of the table.
    fn chosen_of(&self, study: &Study) -> Option<u32> {
        let rows = self.rows(study);
        let place = self.place(&rows).unwrap_or(0);
        rows.get(place).map(|row| row.trial)
    }

    /// The running trial that is watched.
    pub fn watched_of(&self, study: &Study) -> Option<u32> {
        let running = study.running().nth(self.watched);
        let running = running.or_else(|| study.running().next());
        running.map(|running| running.trial)
    }

    /// Asks before something is done, or says why it cannot be.
    fn ask(&mut self, key: KeyCode, study: &Study) {
        let asked = match (&study.met, study.status()) {
            _ if study.trouble.is_some() => Err("the daemon does not answer".to_owned()),
            (Some(pong), _) if !pong.may_steer => {
                Err("this user may look, but not change anything".to_owned())
            }
            (Some(_), Some(status)) => match key {
                KeyCode::Char('p') => match status.phase {
                    Phase::Paused { by_user: true, .. } => {
                        Err("it is paused already; r resumes".to_owned())
                    }
                    _ => Ok(pause(study)),
                },
                KeyCode::Char('r') => Ok(Question {
                    text: "Go on with the study?".to_owned(),
                    answers: vec![('y', "go on", Steer::Resume)],
                }),
                KeyCode::Char('x') => self.skip(study),
                _ => match &status.proposal {
                    None => Err("nothing waits for approval".to_owned()),
                    Some(proposal) => {
                        let number = proposal.number;
                        let changes = approve::changes(proposal);
                        Ok(match key {
                            KeyCode::Char('a') => approved(number, &changes),
                            _ => rejected(number, &changes, proposal.parameter.is_some()),
                        })
                    }
                },
            },
            _ => Err("nothing is known yet".to_owned()),
        };
        match asked {
            Ok(question) => self.question = Some(question),
            Err(why) => self.said = Some(why),
        }
    }

    /// Ends the chosen trial where it runs or waits, else the one that is
    /// watched.
    fn skip(&self, study: &Study) -> Result<Question, String> {
        let is_open = |row: &TrialRow| !OUTCOMES.contains(&row.outcome.as_str());
        let chosen = match self.page {
            Page::Trial(trial) => Some(trial),
            _ => self.chosen,
        };
        let chosen = chosen.filter(|trial| {
            let row = study.rows.iter().find(|row| row.trial == *trial);
            row.is_some_and(is_open)
        });
        let trial = chosen.or_else(|| self.watched_of(study));
        let trial = trial.ok_or("no trial runs; choose one that waits")?;
        Ok(Question {
            text: format!("End trial {trial} for good? What it has measured is kept."),
            answers: vec![('y', "end it", Steer::Skip(Some(trial)))],
        })
    }
}

fn pause(study: &Study) -> Question {
    let running: Vec<String> = study.running().map(|r| r.trial.to_string()).collect();
    let pause = |now| Steer::Pause { now };
    if running.is_empty() {
        return Question {
            text: "Pause the study?".to_owned(),
            answers: vec![('y', "pause", pause(false))],
        };
    }
    let trials = if running.len() == 1 {
        "trial"
    } else {
        "trials"
    };
    Question {
        text: format!(
            "Pause the study? It has {trials} {} running.",
            running.join(", ")
        ),
        answers: vec![
            ('y', "finish first", pause(false)),
            ('i', "interrupt", pause(true)),
        ],
    }
}

fn approved(number: u32, changes: &str) -> Question {
    let approve = Steer::Approve {
        number: Some(number),
        instead: Instead::Nothing,
    };
    Question {
        text: format!("Try proposal {number}: {changes}?"),
        answers: vec![('y', "try it", approve)],
    }
}

fn rejected(number: u32, changes: &str, has_parameter: bool) -> Question {
    let reject = |end| Steer::Reject {
        number: Some(number),
        end,
    };
    let mut answers = vec![('y', "reject it", reject(End::Proposal))];
    if has_parameter {
        answers.push(('v', "and the parameter", reject(End::Parameter)));
    }
    answers.push(('e', "and end the study", reject(End::Study)));
    Question {
        text: format!("Reject proposal {number}: {changes}?"),
        answers,
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
