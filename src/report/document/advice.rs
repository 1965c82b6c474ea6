//! What a language model, the advisor, had to do with it, and what it says.

use std::collections::BTreeMap;

use super::{Block, Section, Table, Teller, number_column, text_column};
use crate::model::advice::{Advice, Answer};
use crate::model::choice::Rule;
use crate::model::outcome::Outcome;
use crate::model::trial::{Origin, Trial};
use crate::report::phrase::{clean, cut, figures, percent};

/// A comment takes at most so many columns of a table.
const COMMENT: usize = 300;

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let advice = study.advice();
    if advice.is_empty() {
        return None;
    }
    let count = |is: &dyn Fn(&Advice) -> bool| advice.iter().filter(|one| is(one)).count();
    let usage = study.consultations().usage();
    let mut facts = vec![
        (words.label("questions", "提问"), advice.len().to_string()),
        (
            words.label("answers that were used", "采用的回答"),
            count(&|one| is_used(one)).to_string(),
        ),
        (
            words.label("refused once, then mended", "先被拒绝后改正"),
            count(&|one| is_used(one) && !one.refused.is_empty()).to_string(),
        ),
        (
            words.label(
                "of no use, so that the fall-back took over",
                "无效，由后备方法接替",
            ),
            count(&|one| one.answer.is_err()).to_string(),
        ),
        (words.label("requests", "请求"), usage.requests.to_string()),
        (
            words.label("tokens", "词元"),
            format!("{} + {}", usage.prompt_tokens, usage.completion_tokens),
        ),
    ];
    if let Some(advisor) = &study.spec().advisor {
        facts.insert(0, (words.label("model", "模型"), clean(&advisor.model)));
        let cost = advisor.cost(&usage).map(|cost| {
            let cost = figures(cost, 3);
            words.label(
                &format!("{cost}, in the currency of [advisor] price"),
                &format!("{cost}（货币同 [advisor] price）"),
            )
        });
        facts.extend(cost.map(|cost| (words.label("cost", "费用"), cost)));
    }
    let plan = advice.iter().rev().find_map(|one| match &one.answer {
        Ok(Answer::Plan { priority, .. }) => Some((priority, one.comment.as_deref())),
        _ => None,
    });
    if let Some((priority, comment)) = plan {
        let names: Vec<String> = priority.iter().map(|name| clean(name)).collect();
        let comment = comment.map(|comment| format!(" ({})", cut(&clean(comment), COMMENT)));
        let text = names.join(", ") + &comment.unwrap_or_default();
        facts.push((words.label("its plan", "计划"), text));
    }
    let mut blocks = vec![Block::Facts(facts), Block::Table(credit(teller))];
    blocks.push(words.text(
        "What was gained is by the runs of the search, each time over the best before: it is not \
         confirmed, and who comes first finds what is easy.",
        "收益依据搜索过程中的评测，相对于当时的最优：未经确认，且先提出者更容易取得收益。",
    ));
    let summary = advice.iter().rev().find_map(|one| match &one.answer {
        Ok(Answer::Summary(text)) => Some(text),
        _ => None,
    });
    if let Some(summary) = summary {
        blocks.push(words.text(
            "The advisor's closing summary. These are the words of a language model: nobody has \
             checked them, and the figures above are what was measured.",
            "顾问的总结。以下为语言模型的原话，未经核实；实测数据以上文为准。",
        ));
        let lines: Vec<String> = summary.lines().map(clean).collect();
        blocks.push(Block::Quote(lines.join("\n")));
    }
    teller.section("advice", ("The advisor", "顾问（语言模型）"), blocks)
}

fn is_used(advice: &Advice) -> bool {
    matches!(&advice.answer, Ok(answer) if *answer != Answer::Outdated)
}

/// What the advisor said of a trial that it proposed, in its own words.
pub(super) fn comment(teller: &Teller<'_>, trial: &Trial) -> String {
    let proposed = trial.choice.as_deref().map(|choice| choice.rule);
    let Some(Rule::Advisor { .. }) = proposed else {
        return String::new();
    };
    let advice = teller.study.advice_of(trial);
    let comment = advice.and_then(|advice| advice.comment.as_deref());
    cut(&clean(comment.unwrap_or_default()), COMMENT)
}

/// Who has proposed what, and what came of it.
fn credit(teller: &Teller<'_>) -> Table {
    let (study, words) = (teller.study, teller.words);
    let mut table = Table::new(
        words.label("By who proposed it", "按提出者"),
        vec![
            text_column(words.label("proposed by", "提出者")),
            number_column(words.label("trials", "试验数")),
            number_column(words.label("complete", "完成")),
            number_column(words.label("best of their time", "成为最优")),
            number_column(words.label("gained, together", "累计收益")),
        ],
    );
    #[derive(Default)]
    struct Credit {
        trials: u32,
        complete: u32,
        best: u32,
        gained: f64,
    }
    let mut credits: BTreeMap<u8, Credit> = BTreeMap::new();
    let mut best: Option<&Trial> = None;
    for trial in study.trials() {
        let credit = credits.entry(proposer(trial)).or_default();
        credit.trials += 1;
        credit.complete += u32::from(trial.outcome == Some(Outcome::Complete));
        let better = study.better_of(best, trial);
        if better.is_some_and(|better| better.id == trial.id) {
            let means = best
                .and_then(|best| study.levelled(best))
                .zip(study.levelled(trial));
            let objective = &study.spec().objective;
            let gained = means.and_then(|(old, new)| objective.gain(old.mean, new.mean));
            // The first of all has nothing to be better than.
            credit.best += u32::from(best.is_some());
            credit.gained += gained.unwrap_or_default();
        }
        best = better;
    }
    let sampler = study.spec().search.sampler.name();
    for (who, credit) in credits {
        let name = match who {
            0 => words.label("the advisor", "顾问"),
            1 => words.label("the fall-back", "后备方法"),
            2 => format!("{} ({sampler})", words.label("the sampler", "采样器")),
            _ => words.label(
                "others (baseline, users, history)",
                "其他（基线、用户、历史）",
            ),
        };
        table.row(vec![
            name,
            credit.trials.to_string(),
            credit.complete.to_string(),
            credit.best.to_string(),
            percent(credit.gained),
        ]);
    }
    table
}

/// The row of whoever proposed a trial.
fn proposer(trial: &Trial) -> u8 {
    let rule = trial.choice.as_deref().map(|choice| choice.rule);
    match (trial.origin, rule) {
        (Origin::Sampler, Some(Rule::Advisor { .. })) => 0,
        (Origin::Sampler, Some(Rule::Fallback { .. })) => 1,
        (Origin::Sampler, _) => 2,
        _ => 3,
    }
}
