//! What was tuned and how, and on what.

use super::{Block, Column, Section, Table, Teller, number_column, text_column};
use crate::base::quantity::{show_duration, show_size};
use crate::model::domain::{Domain, Scale};
use crate::model::metric::Direction;
use crate::model::prior;
use crate::model::space::Parameter;
use crate::model::spec::{Budget, SamplerKind};
use crate::model::step::StepKind;
use crate::report::phrase::{clean, counted, cut, percent, shown};
use crate::report::{discretion, retrial};
use crate::search::neighbours::Disturbance;

/// What the values of a parameter take at most of a line, in columns.
const VALUES: usize = 160;

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let spec = study.spec();
    let (english, chinese) = match spec.objective.direction {
        Direction::Maximize => ("maximize", "最大化"),
        Direction::Minimize => ("minimize", "最小化"),
    };
    let goal = words.label(english, chinese);
    let mut facts = vec![
        (words.label("study", "研究"), clean(&spec.name)),
        (
            words.label("objective", "目标"),
            format!("{goal}: {}", clean(&spec.objective.metric)),
        ),
    ];
    if !spec.constraints.is_empty() {
        let wanted: Vec<String> = spec
            .constraints
            .iter()
            .map(|wanted| teller.constraint(wanted))
            .collect();
        facts.push((words.label("constraints", "约束"), wanted.join(", ")));
    }
    let each = teller.runs(spec.runs_per_trial().into());
    let racing = match spec.search.racing {
        true => words.label("on", "开启"),
        false => words.label("off", "关闭"),
    };
    facts.extend([
        (words.label("sampler", "采样器"), sampler(teller)),
        (words.label("a trial", "每个试验"), each),
        (words.label("racing", "提前淘汰"), racing),
        (words.label("confirmation", "确认"), confirmation(teller)),
        (words.label("budget", "预算"), budget(teller, &spec.budget)),
        (words.label("seed", "随机种子"), spec.seed.to_string()),
    ]);
    if !spec.slots.is_empty() {
        let slots: Vec<String> = spec.slots.iter().map(|slot| clean(&slot.name)).collect();
        let name = words.label("side by side, in the slots", "并行槽位");
        facts.push((name, slots.join(", ")));
    }
    let disturbed = Disturbance::of(study).filter(Disturbance::is_clear);
    if let Some(found) = disturbed {
        let (metric, difference) = (&spec.objective.metric, percent(found.difference));
        let told = words.label(
            &retrial::disturbed(metric, found.difference),
            &format!(
                "有并行试验时，初始参数的 {} 相差 {difference}，超出噪声：试验之间相互干扰",
                clean(metric)
            ),
        );
        facts.push((words.label("beside neighbours", "并行影响"), told));
    }
    if !study.amendments().is_empty() {
        let changed: Vec<String> = study.amendments().iter().map(ToString::to_string).collect();
        let changed = clean(&changed.join("; "));
        facts.push((words.label("changed meanwhile", "中途更改"), changed));
    }
    let sources = study.priors().sources().iter().map(|source| {
        let (count, file) = (source.rows.len(), clean(&source.file));
        words.label(
            &prior::imported(count, &file),
            &format!("来自 {file} 的 {count} 条测量"),
        )
    });
    let sources: Vec<String> = sources.collect();
    if !sources.is_empty() {
        // They are no trials: nothing else in a report is about them.
        let name = words.label("learned from as well", "另外参考");
        facts.push((name, sources.join(", ")));
    }
    let mut blocks = vec![Block::Facts(facts), Block::Table(space(teller))];
    let rules: Vec<String> = spec.space.rules().iter().map(ToString::to_string).collect();
    if !rules.is_empty() {
        let rules = clean(&rules.join("; "));
        blocks.push(words.text(
            format!("No params are tried that break a rule: {rules}."),
            format!("违反以下规则的参数组合不予尝试：{rules}。"),
        ));
    }
    blocks.push(Block::Table(steps(teller)));
    teller.section(
        "setup",
        ("What was tuned, and how", "调优内容与方法"),
        blocks,
    )
}

fn sampler(teller: &Teller<'_>) -> String {
    let sampler = teller.study.spec().search.sampler;
    let (english, chinese) = match sampler {
        SamplerKind::Model => (
            "what a model of the space promises most of",
            "由模型预测最有希望的组合",
        ),
        SamplerKind::Tpe => (
            "what is frequent among good trials and rare among others",
            "在好试验中常见、在其他试验中少见的取值",
        ),
        SamplerKind::Coordinate => (
            "one parameter after the other, from the best so far",
            "从当前最优出发，逐个参数调整",
        ),
        SamplerKind::Grid => ("every combination", "遍历所有组合"),
        SamplerKind::Random => ("combinations at random", "随机组合"),
        SamplerKind::Advisor => (
            "what a language model advises, one parameter after the other",
            "按语言模型的建议逐个参数调整",
        ),
    };
    format!(
        "{} ({})",
        sampler.name(),
        teller.words.label(english, chinese)
    )
}

fn confirmation(teller: &Teller<'_>) -> String {
    match teller.study.spec().confirm_runs() {
        0 => teller.words.label("none", "无"),
        runs => teller.words.label(
            &format!("{runs} fresh starts each of the best and the baseline"),
            &format!("最优与基线各重新启动 {runs} 次"),
        ),
    }
}

fn budget(teller: &Teller<'_>, budget: &Budget) -> String {
    let words = teller.words;
    let trials = |most: u32| {
        let english = counted(most.into(), "trial");
        words.label(&english, &format!("{most} 个试验"))
    };
    let gpu = |most| {
        let most = show_duration(most);
        words.label(&format!("{most} of GPU time"), &format!("GPU 时间 {most}"))
    };
    let parts = [
        budget.trials.map(trials),
        budget.runs.map(|most| teller.runs(most.into())),
        budget.wall.map(show_duration),
        budget.gpu_time.map(gpu),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => words.label("no limit", "不限"),
        false => parts.join(", "),
    }
}

fn space(teller: &Teller<'_>) -> Table {
    let words = teller.words;
    let mut table = Table::new(
        words.label("Search space", "搜索空间"),
        vec![
            text_column(words.label("parameter", "参数")),
            text_column(words.label("values", "取值")),
            text_column(words.label("at the start", "起始值")),
            text_column(words.label("only where", "生效条件")),
        ],
    );
    for parameter in teller.study.spec().space.parameters() {
        let when = parameter.when.as_ref().map(ToString::to_string);
        table.row(vec![
            clean(&parameter.name),
            domain(teller, parameter),
            teller.value(&parameter.name, &parameter.base),
            clean(&when.unwrap_or_default()),
        ]);
    }
    if table.rows.iter().all(|row| row.cells[3].is_empty()) {
        table.columns.pop();
        table.rows.iter_mut().for_each(|row| drop(row.cells.pop()));
    }
    table
}

fn domain(teller: &Teller<'_>, parameter: &Parameter) -> String {
    let words = teller.words;
    if discretion::is_secret(teller.study.spec(), &parameter.name) {
        return discretion::WITHHELD.to_owned();
    }
    let scale = |scale| match scale {
        Scale::Linear => String::new(),
        Scale::Log => format!(", {}", words.label("log", "对数")),
    };
    match &parameter.domain {
        Domain::Values(values) => {
            let values: Vec<String> = values.iter().map(shown).collect();
            cut(&values.join(", "), VALUES)
        }
        Domain::Int(range) => {
            let (low, high) = range.ends();
            let whole = words.label("whole numbers", "整数");
            format!("{low} … {high}, {whole}{}", scale(range.scale()))
        }
        Domain::Float(range) => {
            let (low, high) = range.ends();
            format!("{low:?} … {high:?}{}", scale(range.scale()))
        }
    }
}

fn steps(teller: &Teller<'_>) -> Table {
    let words = teller.words;
    let columns: Vec<Column> = vec![
        text_column(words.label("step", "步骤")),
        text_column(words.label("what it does", "作用")),
        number_column(words.label("runs", "次数")),
        text_column(words.label("command", "命令")),
    ];
    let mut table = Table::new(words.label("A trial", "一个试验"), columns);
    for step in &teller.study.spec().steps {
        let (what, runs) = match &step.kind {
            StepKind::Service(_) => (words.label("service", "服务"), String::new()),
            StepKind::Task { .. } => (words.label("task", "任务"), "1".to_owned()),
            StepKind::Measure { runs, .. } => (words.label("measure", "评测"), runs.to_string()),
        };
        let command: Vec<String> = step.command.iter().map(|w| w.source().to_owned()).collect();
        let command = discretion::words(&command).join(" ");
        table.row(vec![
            clean(&step.name),
            what,
            runs,
            cut(&clean(&command), VALUES),
        ]);
    }
    table
}

/// On what it ran.
pub(super) fn host(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let mut facts = Vec::new();
    if let Some(host) = study.host() {
        let threads = words.label(
            &format!("{} usable", host.cpus),
            &format!("可用 {} 核", host.cpus),
        );
        facts.extend([
            (words.label("host", "主机"), clean(&host.name)),
            (
                words.label("processors", "处理器"),
                format!("{} ({threads})", clean(&host.cpu)),
            ),
            (words.label("memory", "内存"), show_size(host.memory)),
            (words.label("kernel", "内核"), clean(&host.kernel)),
        ]);
        for gpu in &host.gpus {
            let memory = gpu.memory.map(|bytes| format!(", {}", show_size(bytes)));
            let text = format!("{}{}", clean(&gpu.name), memory.unwrap_or_default());
            facts.push(("GPU".to_owned(), text));
        }
        if let Some(driver) = &host.gpu_driver {
            facts.push((words.label("GPU driver", "GPU 驱动"), clean(driver)));
        }
    }
    facts.push(("autotune".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    let digest = &study.spec().digest;
    if !digest.is_empty() {
        let digest = format!("SHA-256 {digest}");
        facts.push((words.label("spec", "配置摘要"), digest));
    }
    teller.section(
        "environment",
        ("Environment", "环境"),
        vec![Block::Facts(facts)],
    )
}
