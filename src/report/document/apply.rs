//! How to use what was found.

use std::collections::BTreeMap;

use super::{Block, Section, Teller};
use crate::model::step::{Step, StepKind};
use crate::model::template::Template;
use crate::model::trial::Trial;
use crate::report::discretion;
use crate::report::phrase::{clean, shell};

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let spec = study.spec();
    let best = study.incumbent()?;
    let path = |name: &str| clean(&teller.output_dir.join(name).display().to_string());
    let mut blocks =
        vec![words.text(
        format!(
            "The params of trial {}, ready to be pasted into a shell, with the commands that it \
             ran.",
            best.id
        ),
        format!("第 {} 个试验的参数及其运行的命令，可直接粘贴到终端。", best.id),
    )];
    blocks.push(Block::Code(script(teller, best)));
    if spec.steps.iter().any(|step| !step.files.is_empty()) {
        let files = spec.steps.iter().flat_map(|step| &step.files);
        let names: Vec<String> = files.map(|file| clean(&file.name)).collect();
        let names = names.join(", ");
        blocks.push(words.text(
            format!("Before that, the spec's templates are to be filled in: {names}."),
            format!("运行之前需先由配置中的模板生成文件：{names}。"),
        ));
    }
    let mut places = vec![
        (
            words.label("best params", "最优参数"),
            path(&spec.files.best),
        ),
        (
            words.label("every trial", "全部试验"),
            path(&spec.files.results),
        ),
        (
            words.label("output of programs", "程序输出"),
            path(&spec.files.logs),
        ),
    ];
    if let Some(kept) = study.kept() {
        let mut place = path(&kept.folder);
        if kept.trial != best.id {
            place += &words.label(
                &format!(" (of trial {})", kept.trial),
                &format!("（第 {} 个试验的）", kept.trial),
            );
        }
        places.push((words.label("best artifacts", "最优产物"), place));
    }
    blocks.push(Block::Facts(places));
    teller.section("apply", ("How to use it", "如何使用"), blocks)
}

/// The environment and the commands of a trial, as lines for a shell.
fn script(teller: &Teller<'_>, best: &Trial) -> String {
    let spec = teller.study.spec();
    let params = teller.study.params_of(best);
    let mut values: BTreeMap<String, String> = params
        .iter()
        .map(|(name, value)| {
            let is_secret = discretion::is_secret(spec, name);
            let value = value.to_string();
            let value = if is_secret {
                discretion::WITHHELD.to_owned()
            } else {
                value
            };
            (name.to_string(), value)
        })
        .collect();
    let mut lines = Vec::new();
    let in_env = spec.steps.iter().any(|step| step.params_in_env);
    if in_env {
        lines.extend(values.iter().map(|(name, value)| export(name, value)));
    }
    let own = [
        ("study", spec.name.clone()),
        ("trial", best.id.to_string()),
        ("sitting", "1".to_owned()),
        ("run", "1".to_owned()),
        ("part", "1".to_owned()),
        ("parts", "1".to_owned()),
        ("output_dir", teller.output_dir.display().to_string()),
        ("trial_dir", "TRIAL_DIR".to_owned()),
    ];
    values.extend(own.map(|(name, value)| (name.to_owned(), value)));
    lines.extend(
        spec.env
            .iter()
            .map(|(name, text)| variable(teller, name, text, &values)),
    );
    let mut folder = None;
    for step in &spec.steps {
        values.insert("step".to_owned(), step.name.to_string());
        values.insert("workdir".to_owned(), step.workdir.display().to_string());
        // What is found as it begins is among these.
        for find in &step.find {
            let pattern = filled(&find.pattern, &values);
            values.insert(find.name.to_string(), pattern);
        }
        // What a step has of its own is its alone.
        let own = step
            .env
            .iter()
            .map(|(name, text)| variable(teller, name, text, &values));
        let own: Vec<String> = own.collect();
        if folder != Some(&step.workdir) {
            let path = shell(&clean(&step.workdir.display().to_string()));
            lines.push(format!("cd {path}"));
            folder = Some(&step.workdir);
        }
        lines.extend(own);
        lines.push(command(step, &values));
    }
    lines.join("\n")
}

fn export(name: &str, value: &str) -> String {
    format!("export {}={}", clean(name), shell(&clean(value)))
}

/// A variable that the spec sets.
fn variable(
    teller: &Teller<'_>,
    name: &str,
    text: &Template,
    values: &BTreeMap<String, String>,
) -> String {
    let value = filled(text, values);
    let value = match discretion::is_secret(teller.study.spec(), name) {
        true => discretion::WITHHELD.to_owned(),
        false => discretion::address(&value),
    };
    export(name, &value)
}

fn filled(text: &Template, values: &BTreeMap<String, String>) -> String {
    text.render(values)
        .unwrap_or_else(|_| text.source().to_owned())
}

/// The command of a step; what it is for stands behind it.
fn command(step: &Step, values: &BTreeMap<String, String>) -> String {
    let words = step.command.iter();
    // What these params do not fill in stays as it was written, and what they
    // leave out is no empty argument.
    let words = words.filter_map(|word| {
        let filled = filled(word, values);
        (!filled.is_empty() || word.source().is_empty()).then_some(filled)
    });
    let words: Vec<String> = words.collect();
    let words: Vec<String> = discretion::words(&words)
        .iter()
        .map(|w| shell(&clean(w)))
        .collect();
    let (kind, behind) = match step.kind {
        // It stays, and what comes after it needs it.
        StepKind::Service(_) => ("service", " &"),
        StepKind::Task { .. } => ("task", ""),
        StepKind::Measure { .. } => ("measure", ""),
    };
    format!(
        "{}{behind}  # {kind}: {}",
        words.join(" "),
        clean(&step.name)
    )
}
