//! What a step is told of files that are there only once it begins: `find`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::artifacts::Roots;
use super::order::{Invocation, OrderError, RunOrder, Scope, StepOrder, Work};
use super::report::FailureReport;
use super::runner::Sitting;
use super::search::{Search, Written};
use super::work::Broken;
use crate::model::outcome::FailureKind;
use crate::model::step::Step;

/// A file or folder to be found as a step begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindOrder {
    /// By which templates ask for it.
    pub name: String,
    /// What it matches.
    pub pattern: String,
    /// Which one of those it is: 1 is the newest, 2 the one before.
    pub nth: u32,
}

/// What stands for it in an [`Invocation`] until it is known. No parameter has
/// such a letter.
fn place(name: &str) -> String {
    format!("\u{1}{name}\u{1}")
}

impl Scope {
    /// What is to be found as a step begins; templates that are filled in from
    /// here on may ask for it.
    pub(super) fn find(&mut self, step: &Step) -> Result<Vec<FindOrder>, OrderError> {
        let each = step.find.iter().map(|find| {
            Ok(FindOrder {
                name: find.name.to_string(),
                pattern: self.fill(step, &find.pattern, "find")?,
                nth: find.nth,
            })
        });
        let orders: Vec<FindOrder> = each.collect::<Result<_, _>>()?;
        for order in &orders {
            self.values.insert(order.name.clone(), place(&order.name));
        }
        Ok(orders)
    }

    /// The next step knows nothing of it.
    pub(super) fn forget(&mut self, step: &Step) {
        for find in &step.find {
            self.values.remove(&*find.name);
        }
    }
}

impl FindOrder {
    fn look(&self, roots: &Roots<'_>) -> Result<PathBuf, String> {
        let (root, rest) = roots.place(&self.pattern)?;
        let mut search = Search::new(&root, &rest)?;
        search.written = Written {
            since: Some(i64::MIN),
            spans: &[],
        };
        search
            .go()
            .map_err(|error| format!("{} cannot be looked through: {error}", root.display()))?;
        let newest_in = |top: usize| {
            let files = search.files.iter().filter(|(_, of)| *of == top);
            files.map(|(file, _)| file.modified).max()
        };
        let tops = search.tops.iter().enumerate();
        let mut found: Vec<(i64, &Path)> = tops
            .filter_map(|(top, path)| Some((newest_in(top)?, path.as_path())))
            .collect();
        found.sort_unstable();
        let nth = found.iter().rev().nth(self.nth.saturating_sub(1) as usize);
        let lacks = || match found.len() {
            0 => format!("nothing matches `{}`", self.pattern),
            few => format!("only {few} of {} match `{}`", self.nth, self.pattern),
        };
        nth.map(|(_, path)| root.join(path)).ok_or_else(lacks)
    }
}

impl Sitting {
    /// What a step is to do, with what it finds.
    ///
    /// # Errors
    /// When something is not there.
    pub(super) async fn with_found(&self, step: &StepOrder) -> Result<Work, Broken> {
        let mut work = step.work.clone();
        for order in &step.find {
            let (order, step_dir) = (order.clone(), step.workdir.clone());
            let (name, trial) = (place(&order.name), self.order.trial_dir.clone());
            let output = self.order.keep.output_dir.clone();
            let look = tokio::task::spawn_blocking(move || {
                order.look(&Roots {
                    trial: &trial,
                    work: &step_dir,
                    output: &output,
                })
            });
            let found = look.await.map_err(|panic| panic.to_string());
            let found = found
                .and_then(|found| found)
                .map_err(|why| lacking(step, why))?;
            fill(&mut work, &name, &found.to_string_lossy());
        }
        Ok(work)
    }
}

fn lacking(step: &StepOrder, why: String) -> Broken {
    Box::new(FailureReport {
        kind: FailureKind::Task.name().to_owned(),
        step: Some(step.name.clone()),
        ending: None,
        message: format!("`find` of the step `{}`: {why}", step.name),
        cause: None,
        health: None,
    })
}

fn fill(work: &mut Work, place: &str, found: &str) {
    let fill = |invocation: &mut Invocation| {
        let env = invocation.env.iter_mut().map(|(_, value)| value);
        for text in invocation.command.iter_mut().chain(env) {
            if text.contains(place) {
                *text = text.replace(place, found);
            }
        }
    };
    match work {
        Work::Service { invocation, .. } => fill(invocation),
        Work::Runs { runs, .. } => {
            for RunOrder {
                invocation, resume, ..
            } in runs
            {
                fill(invocation);
                if let Some(resume) = resume {
                    fill(&mut resume.invocation);
                }
            }
        }
    }
}
