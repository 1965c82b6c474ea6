//! The texts of the questions: what is known of the study, as lines that a
//! model can read. Nothing that a trial has printed is in them: numbers, the
//! spec's own words, and the fixed names of failures are.

use std::collections::BTreeMap;

use super::message::Message;
use super::schema::most_planned;
use crate::base::text::{clean, cut};
use crate::model::advice::Question;
use crate::model::domain::Domain;
use crate::model::metric::{Direction, Summary};
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::space::Parameter;
use crate::model::spec::{Advisor, Language};
use crate::model::study::Study;
use crate::model::template::Template;
use crate::model::trial::{Trial, TrialId};
use crate::model::value::Value;

const SYSTEM: &str = include_str!("prompts/system.txt");
const PLAN: &str = include_str!("prompts/plan.txt");
const VALUE: &str = include_str!("prompts/value.txt");
const PARAMS: &str = include_str!("prompts/params.txt");
const SUMMARY: &str = include_str!("prompts/summary.txt");

/// So many of the best trials, of the latest, and of those that differ in one
/// parameter alone are told, and of those that failed.
const BEST: usize = 10;
const LATEST: usize = 10;
const SERIES: usize = 20;
const FAILED: usize = 5;
/// So many of the params that a user has refused are told, the latest.
const REFUSED: usize = 20;
/// So many parameters are told of.
const PARAMETERS: usize = 200;
/// So many values of a range are given as instances of it.
const INSTANCES: usize = 7;
/// So many columns of a value, and of a domain.
const VALUE_COLUMNS: usize = 60;
const DOMAIN_COLUMNS: usize = 400;

/// What is said to the model at the beginning of a dialogue.
///
/// # Errors
/// When a text of the owner's cannot be filled in.
pub(super) fn messages(
    question: &Question,
    advisor: &Advisor,
    study: &Study,
) -> Result<[Message; 2], String> {
    let (own, text) = match question {
        Question::Plan => (&advisor.prompts.plan, PLAN),
        Question::Value { .. } => (&advisor.prompts.value, VALUE),
        Question::Params => (&advisor.prompts.params, PARAMS),
        Question::Summary => (&advisor.prompts.summary, SUMMARY),
    };
    let values = values(question, advisor, study);
    let render = |own: &Option<Template>, text: &str| {
        let template = match own {
            Some(own) => own.clone(),
            None => Template::new(text).map_err(|error| error.to_string())?,
        };
        let rendered = template.render(&values);
        let rendered = rendered.map_err(|error| format!("the question cannot be put: {error}"));
        rendered.map(|text| text.trim().to_owned())
    };
    Ok([
        Message::system(render(&advisor.prompts.system, SYSTEM)?),
        Message::user(render(own, text)?),
    ])
}

/// See [`PROMPT_NAMES`](crate::model::spec::PROMPT_NAMES).
fn values(question: &Question, advisor: &Advisor, study: &Study) -> BTreeMap<String, String> {
    let spec = study.spec();
    let parameters = spec.space.parameters();
    let parameter = match question {
        Question::Value { parameter, .. } => spec.space.parameter(parameter),
        _ => None,
    };
    let best = study.incumbent().map(|trial| study.params_of(trial));
    let base = match question {
        Question::Value { base, .. } => Some(base.clone()),
        Question::Plan if study.gone_through().is_empty() => spec.space.baseline().ok(),
        Question::Plan | Question::Params | Question::Summary => {
            best.or_else(|| spec.space.baseline().ok())
        }
    };
    let tunable: Vec<&Parameter> = parameters.iter().filter(|one| one.is_tunable()).collect();
    let fixed: Vec<&Parameter> = parameters.iter().filter(|one| !one.is_tunable()).collect();
    let better = match spec.objective.direction {
        Direction::Maximize => "more is better",
        Direction::Minimize => "less is better",
    };
    let constraints: Vec<String> = (spec.constraints.iter())
        .map(|one| format!("- {}", clean(&one.to_string())))
        .chain(
            spec.space
                .rules()
                .iter()
                .map(|rule| format!("- {}", clean(&rule.to_string()))),
        )
        .collect();
    let space = lines(&tunable, |one| {
        let when = one.when.as_ref().map(|when| format!(", only when {when}"));
        let (domain, base) = (domain(&one.domain), value(&one.base));
        let when = clean(&when.unwrap_or_default());
        format!("- {}: {domain}; starts at {base}{when}", one.name)
    });
    let fixed = lines(&fixed, |one| {
        format!("- {} = {}", one.name, value(&one.base))
    });
    let base_lines = base.as_ref().map(|params| {
        let lines = params.iter().take(PARAMETERS);
        let lines: Vec<String> = lines
            .map(|(n, v)| format!("- {n} = {}", value(v)))
            .collect();
        lines.join("\n")
    });
    let all: [(&str, String); 13] = [
        ("study", clean(&spec.name)),
        ("about", advisor.about.clone().unwrap_or_default()),
        (
            "objective",
            format!("{}, {better}", clean(&spec.objective.metric)),
        ),
        ("constraints", or_none(constraints.join("\n"))),
        ("space", space),
        ("fixed", fixed),
        ("base", base_lines.unwrap_or_default()),
        ("history", history(question, study)),
        (
            "parameter",
            parameter
                .map(|one| one.name.to_string())
                .unwrap_or_default(),
        ),
        (
            "domain",
            parameter
                .map(|one| domain(&one.domain) + &instances(one, question, study))
                .unwrap_or_default(),
        ),
        (
            "max_priority_params",
            most_planned(advisor, study).to_string(),
        ),
        ("language", language(advisor.language).to_owned()),
        ("answer", answer(question).to_owned()),
    ];
    let all = all.into_iter();
    all.map(|(name, text)| (name.to_owned(), text)).collect()
}

const fn language(language: Language) -> &'static str {
    match language {
        Language::English => "Write comments in English: one or two plain sentences.",
        Language::Chinese => {
            "Write comments in Chinese (简体中文): one or two plain sentences. The keys of the JSON \
             stay as they are."
        }
        Language::Both => {
            "Write comments in English, one or two plain sentences, and then say the same in \
             Chinese (简体中文), in the same text."
        }
    }
}

const fn answer(question: &Question) -> &'static str {
    match question {
        Question::Plan => {
            "Answer with a JSON object of three keys: `base`, an object of parameters and their \
             values; `priority`, a list of names; `comment`, why."
        }
        Question::Value { .. } => {
            "Answer with a JSON object of two keys: `value`, the value or null; `comment`, why."
        }
        Question::Params => {
            "Answer with a JSON object of two keys: `params`, an object of parameters and their \
             values; `comment`, why."
        }
        Question::Summary => "Answer with a JSON object of one key: `summary`, the text.",
    }
}

fn lines(parameters: &[&Parameter], line: impl Fn(&Parameter) -> String) -> String {
    let shown = parameters.iter().take(PARAMETERS);
    let mut lines: Vec<String> = shown.map(|one| line(one)).collect();
    let more = parameters.len().saturating_sub(PARAMETERS);
    if more > 0 {
        lines.push(format!("- and {more} more"));
    }
    or_none(lines.join("\n"))
}

fn or_none(text: String) -> String {
    match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    }
}

fn domain(domain: &Domain) -> String {
    cut(&clean(&domain.to_string()), DOMAIN_COLUMNS)
}

/// Some values of a range that were not tried: a small model that is told its
/// ends alone answers with numbers that are none of it.
fn instances(parameter: &Parameter, question: &Question, study: &Study) -> String {
    let (Domain::Int(_) | Domain::Float(_), Question::Value { base, .. }) =
        (&parameter.domain, question)
    else {
        return String::new();
    };
    let space = &study.spec().space;
    let is_untried = |value: &Value| {
        let params = space.with(base, &parameter.name, value);
        params.is_ok_and(|params| study.is_new(&params))
    };
    let levels = parameter.domain.levels(INSTANCES).into_iter();
    let values: Vec<String> = levels.filter(is_untried).map(|one| value(&one)).collect();
    match values.is_empty() {
        true => String::new(),
        false => format!(", for instance {}", values.join(", ")),
    }
}

fn value(value: &Value) -> String {
    let text = cut(&clean(&value.to_string()), VALUE_COLUMNS);
    match text.trim().is_empty() {
        true => format!("\"{text}\""),
        false => text,
    }
}

/// A table of the trials that tell most: the first, the best, the latest, those
/// that differ in the parameter alone that is asked about, some that failed.
fn history(question: &Question, study: &Study) -> String {
    let settled = || study.trials().iter().filter(|trial| trial.is_settled());
    let count = settled().count();
    if count == 0 {
        return "nothing yet".to_owned();
    }
    let objective = &study.spec().objective;
    let is_failed =
        |trial: &&std::sync::Arc<Trial>| matches!(trial.outcome, Some(Outcome::Failed(_)));
    let mut ranked: Vec<(f64, TrialId)> = settled()
        .filter(|trial| trial.outcome == Some(Outcome::Complete))
        .filter_map(|trial| Some((study.objective(trial)?.mean, trial.id)))
        .collect();
    ranked.sort_by(|(a, _), (b, _)| match objective.direction {
        Direction::Maximize => b.total_cmp(a),
        Direction::Minimize => a.total_cmp(b),
    });
    let mut told: Vec<TrialId> = study.baseline().map(|trial| trial.id).into_iter().collect();
    told.extend(ranked.iter().take(BEST).map(|(_, id)| *id));
    let mut ids: Vec<TrialId> = settled().map(|trial| trial.id).collect();
    ids.reverse();
    told.extend(ids.iter().take(LATEST));
    let mut failed: Vec<TrialId> = settled().filter(is_failed).map(|trial| trial.id).collect();
    failed.reverse();
    told.extend(failed.into_iter().take(FAILED));
    if let Question::Value { parameter, base } = question {
        let series = settled().filter(|trial| {
            let difference = study.params_of(trial).difference(base);
            difference.iter().all(|name| name == parameter)
        });
        let mut series: Vec<TrialId> = series.map(|trial| trial.id).collect();
        series.reverse();
        told.extend(series.into_iter().take(SERIES));
    }
    told.sort_unstable();
    told.dedup();
    let metrics: Vec<&str> = std::iter::once(&*objective.metric)
        .chain(study.spec().constraints.iter().map(|one| &*one.metric))
        .collect();
    let mut lines = vec![format!(
        "{} of {count} trials (mean ± spread over the runs; params as they differ from trial 1's \
         start):",
        told.len()
    )];
    lines.push(format!(
        "trial | outcome | {} | params",
        metrics.join(" | ")
    ));
    let best = study.incumbent().map(|trial| trial.id);
    let baseline = study.spec().space.baseline().ok();
    for trial in told.iter().filter_map(|id| study.trial(*id)) {
        let measured: Vec<String> = metrics
            .iter()
            .map(|metric| {
                trial
                    .summary(metric)
                    .map_or("–".to_owned(), |one| spread(&one))
            })
            .collect();
        let mark = if best == Some(trial.id) {
            " (best)"
        } else {
            ""
        };
        lines.push(format!(
            "{}{mark} | {} | {} | {}",
            trial.id,
            outcome(trial),
            measured.join(" | "),
            difference(&study.params_of(trial), baseline.as_ref())
        ));
    }
    lines.extend(over(question, study));
    lines.extend(refused(question, study, baseline.as_ref()));
    lines.join("\n")
}

/// What a plan need not name.
fn over(question: &Question, study: &Study) -> Option<String> {
    let parameters = study.spec().space.parameters().iter();
    let over = parameters.filter(|one| one.is_tunable() && !study.is_left_to_plan(&one.name));
    let names: Vec<&str> = over.take(PARAMETERS).map(|one| &*one.name).collect();
    let is_asked = *question == Question::Plan && !names.is_empty();
    is_asked.then(|| {
        format!(
            "These are over, and not to be planned again: {}",
            names.join(", ")
        )
    })
}

/// The latest of the params that a person has refused.
fn refused(question: &Question, study: &Study, baseline: Option<&Params>) -> Vec<String> {
    let matters = |params: &Params| match question {
        Question::Value { parameter, base } => {
            let difference = params.difference(base);
            difference.iter().all(|name| name == parameter)
        }
        _ => true,
    };
    let mut params: Vec<Params> = study.rejected().filter(matters).collect();
    let told = params.split_off(params.len().saturating_sub(REFUSED));
    if told.is_empty() {
        return Vec::new();
    }
    let heading = "A person has refused these params; they are not to be proposed again:";
    let lines = told
        .iter()
        .map(|params| format!("- {}", difference(params, baseline)));
    std::iter::once(heading.to_owned()).chain(lines).collect()
}

/// What came of it, by fixed names alone.
fn outcome(trial: &Trial) -> String {
    match &trial.outcome {
        Some(Outcome::Failed(failure)) => {
            let cause = failure
                .cause
                .as_ref()
                .map(|cause| format!(", {}", cause.name));
            format!(
                "failed: {}{}",
                failure.kind.name(),
                cause.unwrap_or_default()
            )
        }
        Some(Outcome::Pruned) => "pruned: it could not win".to_owned(),
        Some(other) => other.word().to_owned(),
        None => "not over".to_owned(),
    }
}

fn spread(summary: &Summary) -> String {
    let mean = figures(summary.mean, 5);
    match summary.spread {
        Some(spread) => format!("{mean} ± {}", figures(spread, 2)),
        None => mean,
    }
}

/// A number with so many significant figures.
fn figures(number: f64, figures: usize) -> String {
    let rounded = format!("{number:.*e}", figures.saturating_sub(1));
    let rounded: f64 = rounded.parse().unwrap_or(number);
    format!("{rounded:?}")
}

fn difference(params: &Params, baseline: Option<&Params>) -> String {
    let names = baseline.map(|baseline| params.difference(baseline));
    let names = names.unwrap_or_else(|| params.iter().map(|(name, _)| name.clone()).collect());
    if names.is_empty() {
        return "as at the start".to_owned();
    }
    let shown = names
        .iter()
        .take(PARAMETERS)
        .map(|name| match params.get(name) {
            Some(set) => format!("{name}={}", value(set)),
            None => format!("no {name}"),
        });
    shown.collect::<Vec<_>>().join(", ")
}
