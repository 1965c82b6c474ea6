//! Every trial; what failed, and what missed a constraint.

use std::collections::BTreeMap;

use super::{Block, Mark, Row, Section, Table, Teller, advice, number_column, text_column};
use crate::base::quantity::show_duration;
use crate::model::choice::{Choice, Rule};
use crate::model::metric::Summary;
use crate::model::outcome::{Failure, Outcome};
use crate::model::params::Params;
use crate::model::trial::{Origin, Trial, TrialId, log_name};
use crate::report::overview::misses;
use crate::report::phrase::{clean, constraint, cut, figures, mean_and_spread, percent};

/// So many metrics have a column each.
const METRICS: usize = 6;
/// So many numbers of trials are told one by one.
const TOLD: usize = 12;
/// What failed texts take at most, in columns.
const MESSAGE: usize = 200;
/// So many values are told at which trials fail.
const VALUES: usize = 15;

/// All trials, in order.
pub(super) fn table(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let metrics = teller.metrics(METRICS);
    let mut columns = vec![
        number_column(words.label("trial", "试验")),
        text_column(words.label("change", "参数变化")),
        text_column(words.label("outcome", "结果")),
    ];
    columns.extend(metrics.iter().map(|metric| number_column(clean(metric))));
    columns.extend([
        number_column(words.label("runs", "评测次数")),
        number_column(words.label("took", "耗时")),
        text_column(words.label("why it was tried", "选择理由")),
    ]);
    let advised = !study.advice().is_empty();
    if advised {
        columns.push(text_column(
            words.label("the advisor's words", "顾问的说明"),
        ));
    }
    let mut table = Table::new(words.label("Trials", "试验"), columns);
    for trial in study.trials() {
        let is_best = study.incumbent().is_some_and(|best| best.id == trial.id);
        let mark = match &trial.outcome {
            _ if is_best => Mark::Best,
            Some(Outcome::Failed(_) | Outcome::Infeasible) => Mark::Bad,
            _ => Mark::None,
        };
        let shown = |summary: Option<Summary>| summary.map(|s| mean_and_spread(&s));
        let measured = metrics.iter().map(|metric| shown(trial.summary(metric)));
        let mut cells = vec![
            trial.id.to_string(),
            changed(teller, trial),
            outcome(teller, trial),
        ];
        cells.extend(measured.map(Option::unwrap_or_default));
        let good = trial.runs.iter().filter(|run| run.is_good()).count();
        cells.extend([
            good.to_string(),
            show_duration(trial.elapsed(teller.now)),
            why(teller, trial),
        ]);
        if advised {
            cells.push(advice::comment(teller, trial));
        }
        table.marked(cells, mark);
    }
    if table.rows.is_empty() {
        return None;
    }
    let note = words.text(
        "Each change is against the params that the trial was made from: those of the trial in \
         parentheses, else the baseline's.",
        "参数变化是相对于该试验所依据的参数：括号中注明的试验，否则为基线。",
    );
    let blocks = vec![note, Block::Table(table)];
    teller.section("trials", ("All trials", "全部试验"), blocks)
}

/// How the params differ from those that they were made from.
fn changed(teller: &Teller<'_>, trial: &Trial) -> String {
    let base = base(teller, trial);
    let params = teller.study.params_of(trial);
    match base {
        Some((id, base)) => {
            let differs = teller.difference(&base, &params);
            format!("{differs} ({id})")
        }
        None => teller.from_start(trial),
    }
}

/// The trial whose params the sampler varied, other than the baseline.
fn base(teller: &Teller<'_>, trial: &Trial) -> Option<(TrialId, Params)> {
    let Rule::Coordinate { base } = trial.choice.as_ref()?.rule else {
        return None;
    };
    let is_baseline = teller
        .study
        .baseline()
        .is_some_and(|start| start.id == base);
    let base = teller.study.trial(base).filter(|_| !is_baseline)?;
    Some((base.id, teller.study.params_of(base)))
}

/// What came of a trial, and by what it missed or was given up.
fn outcome(teller: &Teller<'_>, trial: &Trial) -> String {
    let mut text = teller.outcome(trial);
    if trial.outcome == Some(Outcome::Infeasible) {
        text = format!("{text}: {}", missed(teller, trial));
    }
    if let Some(found) = trial.pruned_by_racing() {
        let mean = figures(found.mean, 4);
        let needed = figures(found.needed, 4);
        let rival = found.rival.map(|rival| format!(" ({rival})"));
        text += &format!(": {} {mean} vs {needed}", clean(&found.metric));
        text += &rival.unwrap_or_default();
    }
    text
}

fn why(teller: &Teller<'_>, trial: &Trial) -> String {
    let words = teller.words;
    match (trial.origin, trial.choice.as_deref()) {
        (Origin::Baseline, _) => words.label("the start", "起点"),
        (Origin::User, _) => words.label("a user's wish", "用户指定"),
        (Origin::Imported, _) => words.label("taken over", "导入的历史"),
        (Origin::Sampler, None) => words.label("by the sampler", "由采样器选择"),
        (Origin::Sampler, Some(choice)) => chosen(teller, choice),
    }
}

fn chosen(teller: &Teller<'_>, choice: &Choice) -> String {
    let (english, chinese) = match choice.rule {
        Rule::Opening => ("a first look", "初始探索"),
        Rule::Model => ("the model promised most", "模型预测最有希望"),
        Rule::Tpe => ("like the good ones", "近似于好的试验"),
        Rule::Coordinate { .. } => ("the next value of one parameter", "单个参数的下一取值"),
        Rule::Grid => ("the next combination", "下一个组合"),
        Rule::Advisor { .. } => ("the advisor proposed it", "顾问提出"),
        Rule::Fallback { .. } => (
            "the nearest value not tried yet: the advisor was of no help",
            "最近的未尝试取值（顾问未能给出建议）",
        ),
        Rule::Random => ("at random", "随机"),
    };
    let rule = teller.words.label(english, chinese);
    let expected = choice.expected.as_ref().and_then(|found| found.objective);
    match expected {
        Some(forecast) => {
            let [mean, low, high] =
                [forecast.mean, forecast.low, forecast.high].map(|number| figures(number, 3));
            let expected = teller.words.label("expected", "预期");
            format!("{rule}; {expected} {mean} ({low} … {high})")
        }
        None => rule,
    }
}

/// What broke: by cause, by value, and one by one.
pub(super) fn failures(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let failed: Vec<(&Trial, &Failure)> = study
        .trials()
        .iter()
        .filter_map(|trial| match &trial.outcome {
            Some(Outcome::Failed(failure)) => Some((&**trial, &**failure)),
            _ => None,
        })
        .collect();
    if failed.is_empty() {
        return None;
    }
    let mut blocks = vec![Block::Table(by_cause(teller, &failed))];
    let by_value = by_value(teller, &failed);
    if !by_value.rows.is_empty() {
        blocks.push(Block::Table(by_value));
        blocks.push(words.text(
            "Other parameters differ between these trials, too: what stands first is where to \
             look first, not what is proved.",
            "这些试验的其他参数也不相同：排在前面的取值值得优先排查，但并不构成证明。",
        ));
    }
    let mut table = Table::new(
        words.label("Failed trials", "失败的试验"),
        vec![
            number_column(words.label("trial", "试验")),
            text_column(words.label("params", "参数")),
            text_column(words.label("what broke", "失败原因")),
            text_column(words.label("log", "日志")),
        ],
    );
    for (trial, failure) in &failed {
        table.row(vec![
            trial.id.to_string(),
            teller.from_start(trial),
            cut(&clean(failure.message.trim()), MESSAGE),
            log(teller, trial, failure),
        ]);
    }
    blocks.push(Block::Table(table));
    teller.section("failures", ("What failed", "失败的试验"), blocks)
}

/// The file that shows a failure, within the output folder.
fn log(teller: &Teller<'_>, trial: &Trial, failure: &Failure) -> String {
    let Some(step) = &failure.step else {
        return String::new();
    };
    let sitting = trial.sittings.last().map_or(1, |sitting| sitting.number);
    let is_first = teller.study.first_service_name().as_ref() == Some(step);
    let step = (!is_first).then_some(&**step);
    let logs = &teller.study.spec().files.logs;
    clean(&format!("{logs}/{}", log_name(trial.id, sitting, step)))
}

fn by_cause(teller: &Teller<'_>, failed: &[(&Trial, &Failure)]) -> Table {
    let words = teller.words;
    let mut causes: BTreeMap<&str, Vec<(&Trial, &Failure)>> = BTreeMap::new();
    for (trial, failure) in failed {
        let cause = failure.cause.as_ref().map(|cause| cause.name.as_str());
        let cause = cause.unwrap_or(failure.kind.name());
        causes.entry(cause).or_default().push((trial, failure));
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, trials)| std::cmp::Reverse(trials.len()));
    let mut table = Table::new(
        words.label("By cause", "按原因"),
        vec![
            text_column(words.label("cause", "原因")),
            number_column(words.label("count", "个数")),
            text_column(words.label("trials", "试验")),
            text_column(words.label("hint", "建议")),
            text_column(words.label("what the program said", "程序输出")),
        ],
    );
    for (name, trials) in causes {
        let cause = trials
            .iter()
            .find_map(|(_, failure)| failure.cause.as_ref());
        let mut told: Vec<String> = trials
            .iter()
            .take(TOLD)
            .map(|(trial, _)| trial.id.to_string())
            .collect();
        if trials.len() > TOLD {
            told.push("…".to_owned());
        }
        let hint = cause.map(|cause| hint(teller, name, &cause.hint));
        let line = cause.map(|cause| cut(&clean(cause.line.trim()), MESSAGE));
        table.row(vec![
            clean(name),
            trials.len().to_string(),
            told.join(", "),
            hint.unwrap_or_default(),
            line.unwrap_or_default(),
        ]);
    }
    table
}

/// What to do about a cause, which is recorded in English.
fn hint(teller: &Teller<'_>, cause: &str, recorded: &str) -> String {
    let chinese = match cause {
        "gpu-lost" => "GPU 或其驱动出错：查看 nvidia-smi 与 dmesg 中的 xid",
        "gpu-out-of-memory" => "这组取值超出显存：去掉最大的批大小、序列数或显存占比",
        "address-in-use" => "端口被其他程序占用：用 ss -ltnp 查看",
        "disk-full" => "磁盘已满：用 df -h 与 df -i 查看并清理",
        "bf16-unsupported" => "该 GPU 不支持 bfloat16：改用 float16",
        "flash-attention-off" => "量化的 V 缓存需要 flash attention：用 [[rule]] 排除这种组合",
        "out-of-memory" | "memory-limit" => "这组取值超出内存或其限额",
        "host-out-of-memory" => "主机内存不足：去掉最耗内存的取值，查看 free -h 与 dmesg",
        "module-missing" => "步骤所用的环境缺少 Python 包：检查启动的是哪个 python",
        "library-missing" => "缺少共享库：检查 [env] 或 pass_env 中的 LD_LIBRARY_PATH",
        "not-found" => "缺少步骤需要的文件或程序：步骤在 workdir 中运行",
        _ => recorded,
    };
    clean(&teller.words.label(recorded, chinese))
}

/// The values at which trials fail, the surest first.
fn by_value(teller: &Teller<'_>, failed: &[(&Trial, &Failure)]) -> Table {
    let (study, words) = (teller.study, teller.words);
    let mut counts: BTreeMap<(usize, String), (u32, u32)> = BTreeMap::new();
    let places = study.spec().space.parameters().iter().enumerate();
    let places: Vec<_> = places
        .filter(|(_, p)| p.domain.size().is_some_and(|n| n <= 64))
        .collect();
    for trial in study.trials().iter().filter(|trial| trial.is_settled()) {
        let params = study.params_of(trial);
        for (place, parameter) in &places {
            let Some(value) = params.get(&parameter.name) else {
                continue;
            };
            let value = teller.value(&parameter.name, value);
            let (tried, broke) = counts.entry((*place, value)).or_default();
            *tried += 1;
            *broke += u32::from(failed.iter().any(|(one, _)| one.id == trial.id));
        }
    }
    let share = |tried: u32, broke: u32| f64::from(broke) / f64::from(tried.max(1));
    let settled = study.counts().all() - study.counts().unsettled;
    let usual = share(settled, failed.len() as u32);
    // Where no more fail than anywhere there is nothing to look for.
    let mut counts: Vec<_> = counts
        .into_iter()
        .filter(|(_, (tried, broke))| share(*tried, *broke) > usual)
        .collect();
    counts.sort_by(|(_, a), (_, b)| {
        share(b.0, b.1)
            .total_cmp(&share(a.0, a.1))
            .then(b.1.cmp(&a.1))
    });
    let mut table = Table::new(
        words.label("By value", "按参数取值"),
        vec![
            text_column(words.label("parameter", "参数")),
            text_column(words.label("value", "取值")),
            number_column(words.label("trials", "试验数")),
            number_column(words.label("failed", "失败数")),
            number_column(words.label("share", "比例")),
        ],
    );
    for ((place, value), (tried, broke)) in counts.into_iter().take(VALUES) {
        let parameter = &study.spec().space.parameters()[place];
        table.row(vec![
            clean(&parameter.name),
            value,
            tried.to_string(),
            broke.to_string(),
            percent(share(tried, broke)),
        ]);
    }
    table
}

/// What misses a constraint, and by how much.
pub(super) fn infeasible(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let mut table = Table::new(
        words.label("Infeasible trials", "未达约束的试验"),
        vec![
            number_column(words.label("trial", "试验")),
            text_column(words.label("params", "参数")),
            text_column(words.label("what it misses", "未满足的约束")),
        ],
    );
    let trials = study.trials().iter();
    for trial in trials.filter(|trial| trial.outcome == Some(Outcome::Infeasible)) {
        let id = trial.id.to_string();
        let cells = vec![id, teller.from_start(trial), missed(teller, trial)];
        table.rows.push(Row {
            cells,
            mark: Mark::None,
        });
    }
    if table.rows.is_empty() {
        return None;
    }
    teller.section(
        "infeasible",
        ("What missed a constraint", "未达约束的试验"),
        vec![Block::Table(table)],
    )
}

/// `accuracy 0.871 (accuracy ≥ 0.88)`.
fn missed(teller: &Teller<'_>, trial: &Trial) -> String {
    let each = misses(teller.study, trial).into_iter().map(|miss| {
        let mean = figures(miss.mean, 4);
        format!(
            "{} {mean} ({})",
            clean(&miss.constraint.metric),
            constraint(&miss.constraint)
        )
    });
    each.collect::<Vec<_>>().join("; ")
}
