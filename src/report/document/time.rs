//! What it took: where the time went, what racing has saved, and whether the
//! host stayed what it was.

use std::time::Duration;

use super::{Block, Section, Table, Teller, figures, number_column, text_column};
use crate::base::clock::Timestamp;
use crate::base::quantity::show_duration;
use crate::model::outcome::Outcome;
use crate::model::trial::{Purpose, SittingEnd};
use crate::report::phrase::{clean, figures, percent};

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// From the first sitting to the end of the last.
    pub(super) whole: Duration,
    /// The same for each slot, together: what the parts below are parts of.
    pub(super) available: Duration,
    /// Until the services were ready.
    pub(super) startup: Duration,
    /// In runs that measured.
    pub(super) runs: Duration,
    /// In sittings that broke before they measured anything.
    pub(super) broken: Duration,
    /// In sittings otherwise: warm-up, ending, waiting for ports and memory.
    pub(super) other: Duration,
    /// With no sitting at all: pauses, rests, choosing, and no daemon.
    pub(super) idle: Duration,
    /// Of all that, what was for fresh starts and checks.
    pub(super) beside: Duration,
}

pub(super) fn spent(teller: &Teller<'_>) -> Option<(Timestamp, Timestamp, Spent)> {
    let mut spent = Spent::default();
    let mut ends: Option<(Timestamp, Timestamp)> = None;
    let mut busy = Duration::ZERO;
    for trial in teller.study.trials() {
        for sitting in &trial.sittings {
            let end = sitting.ended.unwrap_or(teller.now);
            let length = end.since(sitting.started);
            let (first, last) = ends.unwrap_or((sitting.started, end));
            ends = Some((first.min(sitting.started), last.max(end)));
            busy += length;
            if sitting.purpose != Purpose::Measure {
                spent.beside += length;
            }
            let own = trial.runs.iter().chain(&trial.extra);
            let own = own.filter(|run| run.sitting == sitting.number);
            let runs: Duration = own.map(|run| run.elapsed).sum();
            let broke = matches!(&sitting.end, Some(SittingEnd::Finished(Outcome::Failed(_))));
            if broke && runs.is_zero() {
                spent.broken += length;
                continue;
            }
            let startup = sitting.startup.unwrap_or_default().min(length);
            let runs = runs.min(length - startup);
            spent.startup += startup;
            spent.runs += runs;
            spent.other += length - startup - runs;
        }
    }
    let (first, last) = ends?;
    spent.whole = last.since(first);
    // A study has one place at least. More than there are now may have been there.
    let places = u32::try_from(teller.study.spec().places().len()).unwrap_or(u32::MAX);
    spent.available = spent.whole.saturating_mul(places).max(busy);
    spent.idle = spent.available - busy;
    Some((first, last, spent))
}

pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let (first, last, spent) = spent(teller)?;
    let mut facts = vec![
        (words.label("began", "开始"), first.to_string()),
        (words.label("latest", "最近"), last.to_string()),
        (words.label("in all", "总时长"), show_duration(spent.whole)),
    ];
    let host_has_gpus = study.host().is_some_and(|host| !host.gpus.is_empty());
    if study.spec().budget.gpus.is_some() || host_has_gpus {
        let gpus = study.spec().gpus();
        let hours = figures(study.gpu_time(teller.now).as_secs_f64() / 3600.0, 3);
        let text = words.label(
            &format!("{hours} hours, with {gpus} a trial"),
            &format!("{hours} 小时（每个试验 {gpus} 个）"),
        );
        facts.push((words.label("GPU time", "GPU 时间"), text));
    }
    let (saved, run) = (
        study.runs_saved(),
        f64::from(study.runs()) + study.runs_cut(),
    );
    if saved > 0.0 {
        let (count, all) = (figures(saved, 3), figures(saved + run, 4));
        let share = percent(saved / (saved + run));
        facts.push((
            words.label("saved by racing", "提前淘汰节省"),
            words.label(
                &format!("{count} of {all} runs ({share})"),
                &format!("{all} 次评测中的 {count} 次（{share}）"),
            ),
        ));
    }
    let mut blocks = vec![Block::Facts(facts)];
    blocks.extend(figures::timeline(teller));
    blocks.push(Block::Table(table(teller, &spent)));
    if let Some(drift) = study.drift() {
        let metric = clean(&study.spec().objective.metric);
        let size = match drift.is_share {
            true => percent(drift.amount.abs()),
            false => figures(drift.amount.abs(), 3),
        };
        let (less, fewer) = match drift.amount < 0.0 {
            true => ("less", "低"),
            false => ("more", "高"),
        };
        let since = drift.since;
        blocks.push(words.text(
            format!(
                "The host has drifted: since {since} the same params give {size} {less} {metric} \
                 than in the beginning. Comparisons allow for it."
            ),
            format!(
                "主机性能发生漂移：自 {since} 起，相同参数的 {metric} 比开始时{fewer} {size}。\
                 各项比较已作修正。"
            ),
        ));
    } else if study.spec().recheck() > 0 {
        blocks.push(words.text("No drift of the host was seen.", "未发现主机性能漂移。"));
    }
    teller.section("time", ("Where the time went", "时间去向"), blocks)
}

fn table(teller: &Teller<'_>, spent: &Spent) -> Table {
    let words = teller.words;
    let name = match teller.study.spec().slots.len() {
        0 | 1 => words.label("Time", "时间"),
        slots => words.label(
            &format!("Time, of {slots} slots together"),
            &format!("时间（{slots} 个槽位合计）"),
        ),
    };
    let mut table = Table::new(
        name,
        vec![
            text_column(words.label("for", "用于")),
            number_column(words.label("time", "时间")),
            number_column(words.label("share", "比例")),
        ],
    );
    let rows = [
        (words.label("runs that measured", "评测"), spent.runs),
        (words.label("starting services", "启动服务"), spent.startup),
        (
            words.label("what broke before it measured", "未及评测即失败"),
            spent.broken,
        ),
        (
            words.label("warming up, ending, waiting", "预热、停止与等待"),
            spent.other,
        ),
        (words.label("between sittings", "空闲"), spent.idle),
    ];
    let available = spent.available.as_secs_f64().max(f64::MIN_POSITIVE);
    for (name, time) in rows.into_iter().filter(|(_, time)| !time.is_zero()) {
        let share = percent(time.as_secs_f64() / available);
        table.row(vec![name, show_duration(time), share]);
    }
    if !spent.beside.is_zero() {
        let share = percent(spent.beside.as_secs_f64() / available);
        let name = words.label(
            "of all that, fresh starts and checks",
            "其中用于确认与漂移检查",
        );
        table.row(vec![name, show_duration(spent.beside), share]);
    }
    table
}
