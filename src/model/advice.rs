//! What a language model, the advisor, is asked about a study, and what came
//! of it. Nothing here is the model's own text but comments: what it proposes
//! is checked params, like everybody's.

use std::sync::Arc;
use std::time::Duration;

use super::Name;
use super::params::Params;

/// What the advisor is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// From which params to begin, and which parameters matter most.
    Plan,
    /// The next value of one parameter, every other one as it is in `base`.
    Value {
        /// The parameter.
        parameter: Name,
        /// The best params so far of those that differ in it alone.
        base: Params,
    },
    /// Any params that are worth a trial: it is one proposer among others.
    Params,
    /// What is to be said about the study now that it is over.
    Summary,
}

/// What the advisor answered, after it was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Plan`].
    Plan {
        /// From which params to begin.
        base: Params,
        /// Which parameters to go through, the most important first; none twice.
        priority: Vec<Name>,
    },
    /// To [`Question::Value`] and [`Question::Params`]: params that were not
    /// tried before.
    Params(Params),
    /// To [`Question::Value`]: no other value of this parameter is worth a trial.
    Enough,
    /// To [`Question::Summary`]: a text for people, without control characters.
    Summary(String),
    /// To any question: the study had changed by the time the answer came. It
    /// is not used, and the question is asked anew.
    Outdated,
}

/// A question and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// What was asked.
    pub question: Question,
    /// What was answered; where nothing of use was, why, for people. The
    /// fall-back takes its place then.
    pub answer: Result<Answer, String>,
    /// Why the advisor answers so, in its own words: for people, short, without
    /// control characters.
    pub comment: Option<String>,
    /// Why answers before the last one were refused, for people.
    pub refused: Vec<String>,
    /// What it took.
    pub usage: Usage,
}

/// What an endpoint has answered to a small real request.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// What its server calls the model.
    pub model: String,
    /// How it wants to be asked: `json_schema`, `json_object`, `plain`.
    pub format: &'static str,
    /// Whether its answer was as the format has it.
    pub keeps_format: bool,
    /// How long the answer took.
    pub took: Duration,
    /// What it took in all.
    pub usage: Usage,
    /// Whether the tokens are a guess: the server counts none.
    pub estimated: bool,
}

/// What language models were paid with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Requests that were sent.
    pub requests: u64,
    /// Tokens of the questions, as the server counts them.
    pub prompt_tokens: u64,
    /// Tokens of the answers, as the server counts them.
    pub completion_tokens: u64,
}

impl Usage {
    /// Tokens of questions and answers together.
    pub const fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let add = |own: &mut u64, more: u64| *own = own.saturating_add(more);
        add(&mut self.requests, other.requests);
        add(&mut self.prompt_tokens, other.prompt_tokens);
        add(&mut self.completion_tokens, other.completion_tokens);
    }
}

impl Advice {
    /// That there is none, and why.
    pub fn none(question: Question, why: String) -> Self {
        Self {
            question,
            answer: Err(why),
            comment: None,
            refused: Vec::new(),
            usage: Usage::default(),
        }
    }

    /// Whether the server was asked and gave no answer at all, not even one
    /// that had to be refused: it cannot be reached, or lets nobody in.
    pub fn is_unanswered(&self) -> bool {
        let nothing = self.refused.is_empty() && self.usage.completion_tokens == 0;
        self.usage.requests > 0 && self.answer.is_err() && nothing
    }
}

/// So many plans that came to nothing are enough: the fall-back's order goes from
/// then on.
pub const FAILED_PLANS_MAX: usize = 3;

/// So many questions in a row that the server left unanswered are enough.
pub const UNANSWERED_MAX: u32 = 3;

/// All advice that a study has had. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Consultations {
    all: Arc<Vec<Arc<Advice>>>,
    /// How many there were when the last trial was planned.
    before_trial: usize,
    unanswered: u32,
    usage: Usage,
}

impl Consultations {
    /// All advice, in order; the first has the number 1.
    pub fn all(&self) -> &[Arc<Advice>] {
        &self.all
    }

    /// Those since the last trial was planned.
    pub fn since_trial(&self) -> &[Arc<Advice>] {
        &self.all[self.before_trial..]
    }

    /// The advice of that number, from 1.
    pub fn of(&self, number: u32) -> Option<&Arc<Advice>> {
        self.all.get((number as usize).checked_sub(1)?)
    }

    /// Whether the server left so many questions in a row
    /// [unanswered](Advice::is_unanswered) that it is not asked any more. What
    /// may mend it begins anew: a start of the daemon, a reload of the spec,
    /// `resume`.
    pub const fn is_silent(&self) -> bool {
        self.unanswered >= UNANSWERED_MAX
    }

    /// How many plans were asked for and came to nothing. Those that nobody was
    /// asked for, the advisor being switched off or left alone, do not count.
    pub fn failed_plans(&self) -> usize {
        let is_failed = |advice: &&Arc<Advice>| {
            let is_plan = advice.question == Question::Plan && advice.usage.requests > 0;
            is_plan && advice.answer.is_err()
        };
        self.all.iter().filter(is_failed).count()
    }

    /// What all of them took together.
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    pub(super) fn add(&mut self, advice: &Arc<Advice>) {
        self.usage += advice.usage;
        if advice.is_unanswered() {
            self.unanswered += 1;
        } else if advice.usage.requests > 0 {
            self.unanswered = 0;
        }
        Arc::make_mut(&mut self.all).push(Arc::clone(advice));
    }

    pub(super) fn trial_planned(&mut self) {
        self.before_trial = self.all.len();
    }

    pub(super) const fn try_anew(&mut self) {
        self.unanswered = 0;
    }
}
