//! What the owner of a study adds by `[report]`: notes, the data sets that models
//! are evaluated on, and sample dialogues of the base model and the best.

use super::{Block, Section, Table, Teller, number_column, text_column};
use crate::base::quantity::show_size;
use crate::model::Name;
use crate::model::dialogues::{Dialogues, Trouble};
use crate::model::form::{Dataset, Figure};
use crate::model::metric::Summary;
use crate::model::trial::Trial;
use crate::report::discretion;
use crate::report::phrase::{clean, clean_lines, cut, figures, mean_and_spread};

/// A text of a dialogue takes at most so many columns.
const TEXT: usize = 1200;

/// The owner's words.
pub(super) fn notes(teller: &Teller<'_>) -> Option<Section> {
    let notes = teller.study.spec().report.notes.iter();
    let notes = notes.map(|text| Block::Plain(clean_lines(&discretion::text(text))));
    teller.section("notes", ("Notes", "说明"), notes.collect())
}

/// The base model against the best, by data set.
pub(super) fn evaluation(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let datasets = study.spec().report.datasets.iter();
    let datasets: Vec<&Dataset> = datasets.filter(|set| has_words(teller, set)).collect();
    let mut headings: Vec<&str> = Vec::new();
    for (heading, _) in datasets.iter().copied().flat_map(|set| &set.metrics) {
        if !headings.contains(&heading.as_str()) {
            headings.push(heading);
        }
    }
    // Where there are no figures of a base model, the baseline stands for it.
    let has_base = datasets.iter().any(|set| knows_base(teller, set));
    let (base, left) = match has_base {
        true => (("base model", "基座模型"), None),
        false => (("baseline", "基线"), study.baseline()),
    };
    let best = match study.spec().trains() {
        true => ("tuned model", "微调后模型"),
        false => ("best", "最优"),
    };
    let incumbent = study.incumbent().map(|trial| &**trial);
    let left = left.map(|trial| &**trial);
    let samples = datasets.iter().any(|set| set.samples.is_some());
    let has_notes = datasets.iter().any(|set| set.notes.is_some());
    let mut columns = vec![text_column(words.label("data set", "数据集"))];
    if samples {
        columns.push(number_column(words.label("samples", "样本数")));
    }
    for heading in &headings {
        let (english, chinese) = named(heading);
        for (side, chinese_side) in [base, best] {
            columns.push(number_column(words.label(
                &format!("{english}, {side}"),
                &format!("{chinese}（{chinese_side}）"),
            )));
        }
    }
    if has_notes {
        columns.push(text_column(words.label("notes", "备注")));
    }
    let mut table = Table::new(words.label("By data set", "各数据集"), columns);
    for set in datasets {
        let mut cells = vec![clean(&set.name)];
        if samples {
            let count = set.samples.as_ref().map(|count| match count {
                Figure::Known(count) => figures(count.get(), 9),
                Figure::Metric(metric) => anywhere(teller, metric, incumbent)
                    .map_or("–".to_owned(), |found| figures(found.mean, 9)),
            });
            cells.push(count.unwrap_or_default());
        }
        for heading in &headings {
            cells.push(of_base(teller, set, heading, left));
            let metric = set.metrics.iter().find(|(known, _)| known == heading);
            let found = metric.and_then(|(_, metric)| incumbent?.summary(metric));
            cells.push(match metric {
                Some(_) => measured(found),
                None => String::new(),
            });
        }
        if has_notes {
            let notes = set.notes.as_deref().unwrap_or_default();
            cells.push(clean_lines(&discretion::text(notes)));
        }
        table.row(cells);
    }
    if table.rows.is_empty() {
        return None;
    }
    let mut blocks = vec![Block::Table(table)];
    if !has_base {
        blocks.push(words.text(
            "The baseline is the trial with the starting values.",
            "基线为采用起始参数的试验。",
        ));
    }
    let title = match (has_base, study.spec().trains()) {
        (true, true) => ("The base model and the tuned one", "基座模型与微调后模型"),
        (true, false) => ("The base model and the best", "基座模型与最优"),
        (false, _) => ("Evaluation by data set", "各数据集评测"),
    };
    teller.section("evaluation", title, blocks)
}

/// Whether there is anything to say of a data set: one that a preset names may
/// never be evaluated.
fn has_words(teller: &Teller<'_>, set: &Dataset) -> bool {
    let is_measured = |metric| anywhere(teller, metric, None).is_some();
    set.notes.is_some()
        || knows_base(teller, set)
        || set.metrics.iter().any(|(_, metric)| is_measured(metric))
}

/// Whether there is a figure of the base model.
fn knows_base(teller: &Teller<'_>, set: &Dataset) -> bool {
    set.base.iter().any(|(_, figure)| match figure {
        Figure::Known(_) => true,
        Figure::Metric(metric) => anywhere(teller, metric, None).is_some(),
    })
}

/// A heading in both languages, where it is a word of the trade.
fn named(heading: &str) -> (String, String) {
    let chinese = match heading.to_lowercase().as_str() {
        "accuracy" | "acc" => "准确率",
        "partial" | "partial_credit" => "弹性准确率",
        "f1" => "F1 分数",
        "loss" => "损失",
        "key_points" => "要点命中率",
        _ => heading,
    };
    (clean(heading), clean(chinese))
}

/// What the base model has under a heading.
fn of_base(teller: &Teller<'_>, set: &Dataset, heading: &str, left: Option<&Trial>) -> String {
    let known = set.base.iter().find(|(known, _)| known == heading);
    let metric = set.metrics.iter().find(|(known, _)| known == heading);
    match (known, metric, left) {
        (Some((_, Figure::Known(number))), ..) => figures(number.get(), 4),
        (_, Some((_, metric)), Some(left)) => measured(left.summary(metric)),
        (Some((_, Figure::Metric(metric))), ..) => measured(anywhere(
            teller,
            metric,
            teller.study.baseline().map(|t| &**t),
        )),
        (None, Some(_), None) => "–".to_owned(),
        (None, None, _) => String::new(),
    }
}

fn measured(summary: Option<Summary>) -> String {
    summary.map_or("–".to_owned(), |summary| mean_and_spread(&summary))
}

/// What a trial has measured of a metric, else the first that has: what is about
/// the base model is often measured once.
fn anywhere(teller: &Teller<'_>, metric: &Name, first: Option<&Trial>) -> Option<Summary> {
    let others = teller.study.trials().iter().map(|trial| &**trial);
    let mut trials = first.into_iter().chain(others);
    trials.find_map(|trial| trial.summary(metric))
}

/// What both models answer.
pub(super) fn dialogues(teller: &Teller<'_>, dialogues: Option<&Dialogues>) -> Option<Section> {
    let (words, found) = (teller.words, dialogues?);
    let mut blocks = Vec::new();
    if !found.samples.is_empty() {
        let mut table = Table::new(
            words.label("Answers to the same prompts", "对相同提示的回答"),
            vec![
                text_column(words.label("prompt", "提示")),
                text_column(words.label("base model", "基座模型")),
                text_column(words.label("best model", "最优模型")),
            ],
        );
        for sample in &found.samples {
            let texts = [&sample.prompt, &sample.base, &sample.best];
            table.row(texts.map(|text| said(text)).into());
        }
        blocks.push(Block::Table(table));
        let file = clean(&found.file);
        blocks.push(words.text(
            format!("These are the words of language models, from {file}. Long ones are cut."),
            format!("以上为语言模型的原话，取自 {file}；过长者已截断。"),
        ));
    }
    if found.more > 0 {
        let more = found.more;
        blocks.push(words.text(
            format!("The file has {more} more."),
            format!("文件中另有 {more} 条。"),
        ));
    }
    if found.malformed_count > 0 {
        let count = found.malformed_count;
        let mut lines: Vec<String> = found.malformed.iter().map(usize::to_string).collect();
        if count > lines.len() {
            lines.push("…".to_owned());
        }
        let lines = lines.join(", ");
        blocks.push(words.text(
            format!(
                "Lines that are not {{\"prompt\": …, \"base\": …, \"best\": …}} were left out: \
                 {count} (line {lines})."
            ),
            format!(
                "有 {count} 行不是 {{\"prompt\": …, \"base\": …, \"best\": …}}，已略去（第 {lines} 行）。"
            ),
        ));
    }
    let file = clean(&found.file);
    blocks.extend(found.trouble.as_ref().map(|trouble| match trouble {
        Trouble::NoFile => words.text(
            format!("No file matches {file} yet: there are no sample dialogues."),
            format!("尚无文件与 {file} 匹配：没有样例对话。"),
        ),
        Trouble::TooLarge(read) => {
            let read = show_size(*read);
            words.text(
                format!("Only the first {read} of the file were read."),
                format!("仅读取了文件的前 {read}。"),
            )
        }
        Trouble::Unreadable(why) => {
            let why = clean(why);
            words.text(
                format!("{file} cannot be read: {why}"),
                format!("无法读取 {file}：“{why}”"),
            )
        }
    }));
    teller.section("dialogues", ("Sample dialogues", "样例对话"), blocks)
}

fn said(text: &str) -> String {
    cut(&clean_lines(&discretion::text(text.trim())), TEXT)
}
