//! The sections about the study as a whole: `[study]`, `[objective]`,
//! `[[constraint]]`, `[budget]`, `[search]`, `[confirm]`, `[host]` and `[files]`.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use super::curves::{self, SaidOfMedian};
use super::reader::{Node, Reader, Section, did_you_mean};
use super::{approval, names};
use crate::model::Name;
use crate::model::metric::{Constraint, Direction, Objective};
use crate::model::spec::{
    Budget, Confirm, Control, Converged, FileNames, HostCare, SamplerKind, Search,
};
use crate::model::step::Step;
use crate::model::value::Finite;

/// What `[study]` says.
pub(super) struct Study {
    pub(super) name: String,
    pub(super) workdir: PathBuf,
    pub(super) output_dir: Option<PathBuf>,
    pub(super) seed: u64,
    pub(super) pass_env: Vec<String>,
    pub(super) pass_secrets: Vec<String>,
    pub(super) log_max: u64,
    pub(super) approval: approval::Said,
}

pub(super) fn study(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Study {
    let mut study = Study {
        name: String::new(),
        workdir: r.folder.clone(),
        output_dir: None,
        seed: 42,
        pass_env: Vec::new(),
        pass_secrets: Vec::new(),
        log_max: 64 << 20,
        approval: approval::Said::default(),
    };
    let Some(mut section) = section else {
        return study;
    };
    if let Some(node) = section.require(r, "name", "\"qwen-serving\"")
        && let Some(name) = node.text(r)
        && names::plain(r, &node.span, name, "-_.")
    {
        study.name = name.to_owned();
    }
    let folder = r.folder.clone();
    if let Some(node) = section.take("workdir") {
        study.workdir = path(r, &node, &folder).unwrap_or(study.workdir);
    }
    study.output_dir = section
        .take("output_dir")
        .and_then(|node| path(r, &node, &folder));
    if let Some(node) = section.take("seed") {
        study.seed = node.whole(r, 0..=u64::MAX).unwrap_or(study.seed);
    }
    let pass_env = section
        .take("pass_env")
        .and_then(|node| node.list(r, "names"));
    for node in pass_env.unwrap_or_default() {
        if let Some(pattern) = node.text(r)
            && names::passed(r, &node.span, pattern)
        {
            study.pass_env.push(pattern.to_owned());
        }
    }
    let secrets = section.take("pass_secrets");
    let secrets = secrets.and_then(|node| node.list(r, "names"));
    for node in secrets.unwrap_or_default() {
        if let Some(name) = node.text(r)
            && names::variable(r, &node.span, name)
        {
            study.pass_secrets.push(name.to_owned());
        }
    }
    if let Some(node) = section.take("log_max") {
        study.log_max = node.size(r).unwrap_or(study.log_max);
        if study.log_max < 4096 {
            r.error(&node.span, "`log_max` must be 4 KiB at least");
        }
    }
    study.approval = approval::take(r, &mut section);
    section.finish(r);
    study
}

/// A path, relative to `folder` unless it is absolute.
pub(super) fn path(r: &mut Reader<'_>, node: &Node<'_>, folder: &Path) -> Option<PathBuf> {
    let text = node.filled_text(r)?;
    if text.starts_with(['~', '$']) {
        let message = format!("`{text}`: neither `~` nor a variable is filled in here");
        r.error_help(&node.span, message, "write the whole path");
        return None;
    }
    // An absolute path takes the place of the folder.
    Some(std::path::absolute(folder.join(text)).unwrap_or_else(|_| folder.join(text)))
}

/// A metric that the study asks for, with its place.
pub(super) type Asked = (Name, Range<usize>);

/// The name of a metric. It becomes a field of the results file, among others
/// that have a fixed meaning there.
pub(super) fn metric_name(r: &mut Reader<'_>, span: &Range<usize>, name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > 64 || name.contains(bad) {
        let message = format!("`{name}` cannot be the name of a metric");
        r.error_help(span, message, "use up to 64 letters without blanks");
        return false;
    }
    let fields = ["i", "ok", "returncode", "timeout", "error", "elapsed_s"];
    if fields.contains(&name) {
        let message = format!("`{name}` cannot be the name of a metric");
        let help = "each run in the results file has a field of this name: choose another";
        r.error_help(span, message, help);
        return false;
    }
    true
}

fn asked(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Asked> {
    let name = node.filled_text(r)?;
    metric_name(r, &node.span, name).then(|| (name.into(), node.span.clone()))
}

pub(super) fn objective(
    r: &mut Reader<'_>,
    section: Option<Section<'_>>,
) -> Option<(Objective, Range<usize>)> {
    let mut section = section?;
    let (maximize, minimize) = (section.take("maximize"), section.take("minimize"));
    let span = section.span.clone();
    section.finish(r);
    let (node, direction) = match (maximize, minimize) {
        (Some(node), None) => (node, Direction::Maximize),
        (None, Some(node)) => (node, Direction::Minimize),
        (Some(one), Some(two)) => {
            let later = one.key_span.start.max(two.key_span.start);
            r.error(
                &(later..later + "maximize".len()),
                "a study has one objective: give either `maximize` or `minimize`; a bound on the other goes into [[constraint]]",
            );
            return None;
        }
        (None, None) => {
            r.error(
                &span,
                "[objective] must name a metric: maximize = \"…\" or minimize = \"…\"",
            );
            return None;
        }
    };
    let (metric, span) = asked(r, &node)?;
    Some((Objective { metric, direction }, span))
}

pub(super) fn constraints(
    r: &mut Reader<'_>,
    sections: Vec<Section<'_>>,
) -> Vec<(Constraint, Range<usize>)> {
    let mut constraints: Vec<(Constraint, Range<usize>)> = Vec::new();
    for mut section in sections {
        let metric = section.require(r, "metric", "\"accuracy\"");
        let metric = metric.and_then(|node| asked(r, &node));
        let (min, max) = (section.take("min"), section.take("max"));
        let confidence = section.take("confidence");
        let confidence = confidence.and_then(|node| confidence_of(r, &node));
        let span = section.span.clone();
        section.finish(r);
        if min.is_none() && max.is_none() {
            r.error(&span, "[[constraint]] needs `min`, `max` or both");
            continue;
        }
        let low = min.as_ref().and_then(|node| node.number(r));
        let high = max.as_ref().and_then(|node| node.number(r));
        if let (Some(low), Some(high), Some(node)) = (low, high, &max)
            && low > high
        {
            r.error(
                &node.span,
                format!("`max` is {high:?}, below `min`, {low:?}"),
            );
        }
        let Some((metric, span)) = metric else {
            continue;
        };
        if constraints.iter().any(|(known, _)| known.metric == metric) {
            let message = format!("`{metric}` has a constraint already");
            r.error_help(&span, message, "put `min` and `max` into one");
        }
        let (min, max) = (low, high);
        let constraint = Constraint {
            metric,
            min,
            max,
            confidence,
        };
        constraints.push((constraint, span));
    }
    constraints
}

/// `"mean"`, or a number.
fn confidence_of(r: &mut Reader<'_>, node: &Node<'_>) -> Option<Finite> {
    let is_text = node.is_text();
    if is_text && node.text(r)? == "mean" {
        return None;
    }
    let number = if is_text { None } else { Some(node.number(r)?) };
    let confidence = number.filter(|number| (0.5..1.0).contains(&number.get()));
    if confidence.is_none() {
        let message = "`confidence` must be \"mean\", or 0.5 or more and less than 1";
        let help = "0.9 wants to be right in 9 of 10 cases";
        r.error_help(&node.span, message, help);
    }
    confidence
}

pub(super) fn budget(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Budget {
    let Some(mut section) = section else {
        return Budget {
            converged: Some(Converged::default()),
            ..Budget::default()
        };
    };
    let mut count = |r: &mut Reader<'_>, key| {
        section
            .take(key)
            .and_then(|node| node.whole32(r, 1..=u32::MAX))
    };
    let (trials, runs) = (count(r, "trials"), count(r, "runs"));
    let gpus = count(r, "gpus");
    let asks = count(r, "converged_asks");
    let wall = section.take("wall").and_then(|node| node.some_time(r));
    let gpu_hours = section.take("gpu_hours").and_then(|node| {
        let hours = node.number(r)?.get();
        let time = gpu_hours(hours);
        if time.is_none() {
            let message = "`gpu_hours` must be a number of hours above 0";
            r.error_help(&node.span, message, "for instance gpu_hours = 24");
        }
        time
    });
    let under = section.take("converged").and_then(|node| {
        let under = node.number(r)?.get();
        if !(0.0..1.0).contains(&under) {
            let message = "`converged` must be a share: 0 or more, and less than 1";
            r.error_help(
                &node.span,
                message,
                "0.001 is a tenth of a percent; 0 never ends a study",
            );
        }
        Some(under)
    });
    section.finish(r);
    Budget {
        trials,
        runs,
        wall,
        gpu_time: gpu_hours,
        gpus,
        converged: converged(under, asks),
    }
}

/// Hours above 0 as a duration.
pub(super) fn gpu_hours(hours: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(hours * 3600.0).ok()?;
    (!time.is_zero()).then_some(time)
}

/// What is not given is as it is by default; 0 never ends a study.
fn converged(under: Option<f64>, asks: Option<u32>) -> Option<Converged> {
    let default = Converged::default();
    let under = under.unwrap_or(default.under);
    (under > 0.0).then(|| Converged {
        under,
        asks: asks.unwrap_or(default.asks),
    })
}

/// The search, and where its sampler is named.
pub(super) fn search(
    r: &mut Reader<'_>,
    section: Option<Section<'_>>,
) -> (Search, Option<Range<usize>>, Option<SaidOfMedian>) {
    let mut search = Search {
        sampler: SamplerKind::Model,
        passes: 1,
        levels: 5,
        racing: true,
        median: None,
        recheck: None,
    };
    let Some(mut section) = section else {
        return (search, None, None);
    };
    let mut place = None;
    if let Some(node) = section.take("sampler") {
        let names = SamplerKind::ALL.map(SamplerKind::name);
        let index = node.choice(r, &names);
        search.sampler = index.map_or(search.sampler, |index| SamplerKind::ALL[index]);
        place = Some(node.span);
    }
    if let Some(node) = section.take("passes") {
        search.passes = node.whole32(r, 1..=1000).unwrap_or(search.passes);
    }
    if let Some(node) = section.take("levels") {
        let levels = node.whole32(r, 2..=1000);
        search.levels = levels.map_or(search.levels, |levels| levels as usize);
    }
    let racing = section.take("racing").and_then(|node| node.truth(r));
    search.racing = racing.unwrap_or(search.racing);
    let recheck = section.take("recheck");
    search.recheck = recheck.and_then(|node| node.whole32(r, 0..=u32::MAX));
    let median = curves::median(r, &mut section);
    section.finish(r);
    (search, place, median)
}

/// A sampler that asks somebody needs somebody to ask.
pub(super) fn advised(
    r: &mut Reader<'_>,
    search: &Search,
    sampler: Option<&Range<usize>>,
    has_advisor: bool,
) {
    if let (SamplerKind::Advisor, Some(span), false) = (search.sampler, sampler, has_advisor) {
        let message = "the sampler `advisor` needs to know whom to ask";
        let help = "for instance: [advisor] with model = \"gpt-4o-mini\"; see autotune.toml(5)";
        r.error_help(span, message, help);
    }
}

pub(super) fn confirm(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Confirm {
    let Some(mut section) = section else {
        return Confirm::default();
    };
    let runs = section.take("runs");
    let runs = runs.and_then(|node| node.whole32(r, 0..=1000));
    section.finish(r);
    Confirm { runs }
}

pub(super) fn host(r: &mut Reader<'_>, section: Option<Section<'_>>) -> HostCare {
    let mut host = HostCare {
        port_wait: Duration::from_secs(30),
        port_kill: Vec::new(),
        gpu_release: Duration::from_secs(30),
        cooldown: Duration::ZERO,
        fault_wait: Duration::from_secs(10),
        cgroup: true,
    };
    let Some(mut section) = section else {
        return host;
    };
    let places = [
        ("port_wait", &mut host.port_wait),
        ("gpu_release", &mut host.gpu_release),
        ("cooldown", &mut host.cooldown),
        ("fault_wait", &mut host.fault_wait),
    ];
    for (key, place) in places {
        let given = section.take(key).and_then(|node| node.duration(r));
        *place = given.unwrap_or(*place);
    }
    let texts = section.take("port_kill");
    let texts = texts.and_then(|node| node.list(r, "texts"));
    for node in texts.unwrap_or_default() {
        let text = node.filled_text(r);
        host.port_kill.extend(text.map(str::to_owned));
    }
    let cgroup = section.take("cgroup").and_then(|node| node.truth(r));
    host.cgroup = cgroup.unwrap_or(host.cgroup);
    section.finish(r);
    host
}

pub(super) fn control(r: &mut Reader<'_>, section: Option<Section<'_>>) -> Control {
    let Some(mut section) = section else {
        return Control::default();
    };
    let folder = r.folder.clone();
    let socket = section.take("socket");
    let socket = socket.and_then(|node| path(r, &node, &folder));
    let read = section.take("read");
    let read = read.and_then(|node| node.choice(r, &["owner", "all"]));
    let group = section.take("group").and_then(|node| node.filled_text(r));
    section.finish(r);
    Control {
        socket,
        all_read: read == Some(1),
        group: group.map(str::to_owned),
    }
}

pub(super) fn files(r: &mut Reader<'_>, section: Option<Section<'_>>) -> FileNames {
    let mut files = FileNames::default();
    let Some(mut section) = section else {
        return files;
    };
    let mut given: Vec<(&str, Range<usize>)> = Vec::new();
    let places = [
        ("results", &mut files.results),
        ("best", &mut files.best),
        ("status", &mut files.status),
        ("logs", &mut files.logs),
        ("best_model", &mut files.best_model),
        ("report", &mut files.report),
    ];
    for (key, place) in places {
        if let Some(node) = section.take(key)
            && let Some(name) = file_name(r, &node)
        {
            if key == "report" && !good_report(r, &node, name) {
                continue;
            }
            *place = name.to_owned();
            given.push((key, node.span));
        }
    }
    if let Some(node) = section.take("journal")
        && let Some(name) = file_name(r, &node)
    {
        files.journal = Some(name.to_owned());
        given.push(("journal", node.span));
    }
    if let Some(node) = section.take("metrics")
        && let Some(name) = metrics_file(r, &node)
    {
        files.metrics = Some(name.to_owned());
        given.push(("metrics", node.span));
    }
    section.finish(r);
    let named = [
        ("results", &files.results),
        ("best", &files.best),
        ("status", &files.status),
        ("logs", &files.logs),
        ("best_model", &files.best_model),
        ("report", &files.report),
    ];
    let journal = files.journal.iter().map(|name| ("journal", name));
    let metrics = files.metrics.iter().map(|name| ("metrics", name));
    let all: Vec<(&str, &String)> = named.into_iter().chain(journal).chain(metrics).collect();
    let is_folder = |key: &str| matches!(key, "logs" | "best_model" | "journal");
    for (key, span) in given {
        let Some((_, own)) = all.iter().find(|(other, _)| *other == key) else {
            continue;
        };
        // A file cannot also be a folder on the way to another.
        let clash = all.iter().find(|(other, name)| {
            *other != key
                && (Path::new(own).starts_with(name) && !is_folder(other)
                    || Path::new(name).starts_with(own) && !is_folder(key)
                    || own == name)
        });
        if let Some((other, _)) = clash {
            r.error(
                &span,
                format!("`{key}` and `{other}` would be the same file"),
            );
        }
    }
    files
}

/// Checks the name of a report, which has a place for the time.
fn good_report(r: &mut Reader<'_>, node: &Node<'_>, name: &str) -> bool {
    let rest = name.replacen("{time}", "", 1);
    let is_good = rest.len() < name.len() && !rest.contains(['{', '}']);
    if !is_good || !name.ends_with(".md") {
        let message = format!("`{name}` must have `{{time}}` once and end in .md");
        let help = "as in \"docs/reports/agent_run_report_{time}.md\"";
        r.error_help(&node.span, message, help);
    }
    is_good && name.ends_with(".md")
}

fn file_name<'a>(r: &mut Reader<'_>, node: &Node<'a>) -> Option<&'a str> {
    let name = node.filled_text(r)?;
    let inside = |c: Component<'_>| matches!(c, Component::Normal(_));
    if !Path::new(name).components().all(inside) || name.ends_with('/') {
        let message = format!("`{name}` must be the name of a file within the output folder");
        r.error_help(
            &node.span,
            message,
            "`output_dir` in [study] says where that folder is",
        );
        return None;
    }
    if Path::new(name) == Path::new("journal.jsonl") {
        r.error(
            &node.span,
            "the study's journal has this name: choose another",
        );
        return None;
    }
    Some(name)
}

/// The file of metrics, which is often one of another program's folder.
fn metrics_file<'a>(r: &mut Reader<'_>, node: &Node<'a>) -> Option<&'a str> {
    let name = node.filled_text(r)?;
    let path = Path::new(name);
    if path.extension().is_none_or(|end| end != "prom") {
        let message = format!("`{name}` must end in .prom");
        r.error_help(&node.span, message, "node_exporter reads no other files");
        return None;
    }
    if path.is_absolute() && !path.components().any(|c| c == Component::ParentDir) {
        return Some(name);
    }
    file_name(r, node)
}

/// Complains when a run may do without a metric that the study asks for.
pub(super) fn not_optional(r: &mut Reader<'_>, wanted: &Name, span: &Range<usize>, steps: &[Step]) {
    let mut rules = steps.iter().flat_map(|step| &step.metrics);
    if rules.any(|rule| rule.metric == *wanted && rule.optional) {
        let message = format!("the metric `{wanted}` is optional, but the study needs it");
        r.error_help(
            span,
            message,
            "leave `optional = true` out of [step.metrics]",
        );
    }
}

/// Complains when no step yields a metric that the study asks for.
pub(super) fn yielded(r: &mut Reader<'_>, wanted: &Name, span: &Range<usize>, yields: &[Name]) {
    if yields.contains(wanted) {
        return;
    }
    let hint = did_you_mean(wanted, yields.iter().map(|name| &**name));
    let help = hint.unwrap_or_else(|| {
        if yields.is_empty() {
            format!("say where it is read: [step.metrics] with {wanted} = '…'")
        } else {
            format!("the steps yield: {}", yields.join(", "))
        }
    });
    let message = format!("no step yields the metric `{wanted}`");
    r.error_help(span, message, help.as_str());
}
