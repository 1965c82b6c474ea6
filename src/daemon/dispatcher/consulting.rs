//! Asking the advisor, on a task of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;

use super::Dispatcher;
use crate::advisor::{self, Access, Consulted};
use crate::base::clock;
use crate::daemon::board::Asking;
use crate::daemon::decide::Input;
use crate::daemon::{Update, dialogue};
use crate::model::advice::{Advice, Question};
use crate::model::spec::Advisor;
use crate::model::study::Study;
use crate::report::advice::subject;

/// How long a summary is waited for: by then all else is done.
const SUMMARY: Duration = Duration::from_secs(60);

/// The way to the endpoint, once it was found.
pub(super) type Way = Arc<OnceCell<Access>>;

impl Dispatcher {
    /// Asks; the answer comes as an [`Input::Consulted`].
    pub(super) fn consult(&mut self, question: Question) {
        let study = Arc::clone(&self.state.study);
        let about = subject(&question);
        self.tell(Update::Asking(about.clone()));
        let since = clock::now();
        self.board.asking(Some(Asking { about, since }));
        let inquiry = Inquiry {
            way: Arc::clone(&self.way),
            dialogue: self.folders.dialogue(),
            updates: self.updates.clone(),
        };
        let (trials, revision) = (study.trials().len(), study.revision());
        let sender = self.sender.clone();
        // A set ends what it holds when it is dropped.
        let mut asked = JoinSet::new();
        asked.spawn(inquiry.ask(study, question.clone()));
        self.consulting = Some(tokio::spawn(async move {
            let advice = match asked.join_next().await {
                Some(Ok(advice)) => advice,
                _ => Advice::none(question, "asking it failed: please report this".to_owned()),
            };
            let _ = sender.send(Input::Consulted {
                trials,
                revision,
                advice,
            });
        }));
    }

    /// Nobody needs the answer any more.
    pub(super) fn forget_consulting(&mut self) {
        if let Some(consulting) = self.consulting.take() {
            consulting.abort();
        }
    }
}

struct Inquiry {
    way: Way,
    dialogue: PathBuf,
    updates: mpsc::UnboundedSender<Update>,
}

impl Inquiry {
    async fn ask(self, study: Arc<Study>, question: Question) -> Advice {
        let spec = study.spec();
        let Some(advisor) = &spec.advisor else {
            return Advice::none(question, "the spec has no [advisor]".to_owned());
        };
        let find = || find(advisor.clone(), spec.workdir.clone());
        let access = match self.way.get_or_try_init(find).await {
            Ok(access) => access,
            Err(why) => return Advice::none(question, why),
        };
        let patience = match question {
            Question::Summary => SUMMARY,
            // It has limits of its own.
            _ => Duration::MAX,
        };
        let spent = study.consultations().usage();
        let consulted = advisor::consult(advisor, access, &study, question.clone(), spent);
        let Ok(consulted) = tokio::time::timeout(patience, consulted).await else {
            let seconds = SUMMARY.as_secs();
            return Advice::none(question, format!("no answer within {seconds} s"));
        };
        let Consulted { advice, dialogue } = consulted;
        let lines: Vec<String> = dialogue.iter().map(advisor::Exchange::line).collect();
        self.keep(lines).await;
        advice
    }

    /// Puts what was said into the file of the dialogue. Nothing depends on
    /// that.
    async fn keep(&self, lines: Vec<String>) {
        let path = self.dialogue.clone();
        let kept = tokio::task::spawn_blocking(move || {
            dialogue::append(&path, &lines).map_err(|error| failed(&path, &error))
        });
        if let Ok(Err(text)) = kept.await {
            let _ = self.updates.send(Update::Warning(text));
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    format!("failed to keep what the advisor said in {path}: {error}, ignoring it")
}

async fn find(advisor: Advisor, workdir: PathBuf) -> Result<Access, String> {
    let found = tokio::task::spawn_blocking(move || {
        let variable = |name: &str| std::env::var_os(name);
        Access::find(&advisor, &workdir, &variable).map_err(|error| error.to_string())
    });
    found.await.map_err(|panic| panic.to_string())?
}
