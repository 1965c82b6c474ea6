//! Looks at the host before trials do: is there all that a study needs?
//!
//! ```text
//!   look (slow, may hang) ── what is there ──▶ judge (pure) ──▶ findings
//! ```
//!
//! | file | part |
//! |---|---|
//! | [`finding`] | what was found |
//! | [`steps`] | programs, scripts and folders of the steps |
//! | [`folders`], [`disk`] | the folders that are written to, and their disks |
//! | [`host`] | memory, open files, the clock, certificates |
//! | [`ports`], [`gpus`] | what others may hold |
//! | [`notify`] | secrets and certificates of the channels |
//! | [`advisor`] | key and certificates of the advisor |
//! | [`secrets`] | what steps get by `pass_secrets` |
//! | [`service`], [`limits`] | cgroups, journald, systemd, containers; the limits of the spec |
//! | [`side_by_side`] | all of it at once, for so long at most |
//!
//! Looking changes nothing, but for a file and a cgroup that are made and removed
//! to see whether they can be.

pub mod advisor;
pub mod disk;
pub mod finding;
pub mod folders;
pub mod gpus;
pub mod host;
pub mod limits;
pub mod notify;
pub mod ports;
pub mod secrets;
pub mod service;
pub mod side_by_side;
pub mod steps;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub use self::finding::{Check, Finding, State};
use self::side_by_side::Look;
use crate::base::random;
use crate::exec::gpu::{self, Gpu, Seen};
use crate::exec::order::{Order, Places};
use crate::model::slot::Slot;
use crate::model::spec::{Limits, Spec};
use crate::model::trial::{Origin, Trial, TrialId};

/// How long all may take together.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the GPUs may take, so that what they say comes in time.
const GPU_LIMIT: Duration = Duration::from_secs(9);

/// What the host is looked at for.
#[derive(Clone, Debug)]
pub struct Study {
    /// Its spec.
    pub spec: Arc<Spec>,
    /// The folder of its files.
    pub output_dir: PathBuf,
}

/// What a look at the host has brought.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What was found, in the order of [`Check`].
    pub findings: Vec<Finding>,
    /// The GPUs, unless they took too long.
    pub gpus: Option<Seen>,
}

/// What a spec names and this machine lacks. Waits for whatever hangs.
pub fn of_spec(spec: &Spec) -> Vec<Finding> {
    let output = spec.output_dir.as_deref().map(folders::look_at_kind);
    [
        steps::look(spec),
        output.unwrap_or_default(),
        limits::look(&spec.limits),
    ]
    .concat()
}

/// Looks at everything that concerns a study; without one, at the host alone.
/// Takes about 10 s at most, whatever hangs.
pub fn examine(study: Option<&Study>) -> Examined {
    look(looks_for(study))
}

/// The same before a daemon starts, without what the check of its spec has told
/// and what a service alone can tell.
pub fn before_start(study: &Study) -> Examined {
    let told = [
        Check::Steps,
        Check::Limits,
        Check::Containers,
        Check::Systemd,
    ];
    let says_nothing = study.spec.notify.channels.is_empty() && study.spec.advisor.is_none();
    let mut looks = looks_for(Some(study));
    looks.0.retain(|look| {
        let is_needed = look.check() != Check::Certificates || !says_nothing;
        is_needed && !told.contains(&look.check())
    });
    look(looks)
}

type Looks = (Vec<Look>, Arc<OnceLock<Seen>>);

fn look((looks, gpus): Looks) -> Examined {
    Examined {
        findings: side_by_side::all(looks, LIMIT),
        gpus: gpus.get().cloned(),
    }
}

fn looks_for(study: Option<&Study>) -> Looks {
    let mut looks: Vec<Look> = Vec::new();
    let mut add = |check, work: Box<dyn FnOnce() -> Vec<Finding> + Send>| {
        looks.push(Look::new(check, work));
    };
    let limits = study.map_or_else(Limits::default, |study| study.spec.limits.clone());
    if let Some(Study { spec, output_dir }) = study.cloned() {
        let with = |look: fn(&Spec, &Path) -> Vec<Finding>| {
            let (spec, output_dir) = (Arc::clone(&spec), output_dir.clone());
            Box::new(move || look(&spec, &output_dir))
        };
        add(Check::Steps, with(|spec, _| steps::look(spec)));
        add(
            Check::Workdir,
            with(|spec, _| folders::look_at_workdirs(spec)),
        );
        add(
            Check::Output,
            with(|_, output| folders::look_at_output(output)),
        );
        add(Check::Disk, with(disk::look));
        add(Check::Ports, with(look_at_ports));
        add(Check::Limits, with(|spec, _| limits::look(&spec.limits)));
        let containers = with(|spec, _| service::look_at_containers(spec));
        add(Check::Containers, containers);
        add(Check::Notify, with(|spec, _| notify::look(&spec.notify)));
        let advisor = |spec: &Spec, _: &Path| advisor::look(spec.advisor.as_ref(), &spec.workdir);
        add(Check::Advisor, with(advisor));
        add(Check::Secrets, with(|spec, _| secrets::look(spec)));
    }
    add(
        Check::Memory,
        Box::new(move || host::look_at_memory(&limits)),
    );
    add(Check::OpenFiles, Box::new(host::look_at_open_files));
    let gpus = Arc::new(OnceLock::new());
    let (seen, owner) = (Arc::clone(&gpus), study.cloned());
    let look = move || look_at_gpus(owner.as_ref(), &seen);
    add(Check::Gpu, Box::new(look));
    add(Check::Clock, Box::new(host::look_at_clock));
    let cgroup = study.is_none_or(|study| study.spec.host.cgroup);
    let cgroups = move || service::look_at_cgroups(cgroup);
    add(Check::Cgroups, Box::new(cgroups));
    add(Check::Certificates, Box::new(host::look_at_certificates));
    add(Check::Journald, Box::new(service::look_at_journald));
    add(Check::Systemd, Box::new(service::look_at_systemd));
    looks.sort_by_key(Look::check);
    (looks, gpus)
}

fn look_at_ports(spec: &Spec, output_dir: &Path) -> Vec<Finding> {
    let orders = baselines(spec, output_dir);
    ports::look(&orders)
}

fn look_at_gpus(study: Option<&Study>, seen: &OnceLock<Seen>) -> Vec<Finding> {
    let seen = seen.get_or_init(|| gpu::look(GPU_LIMIT));
    let orders = study.map(|study| baselines(&study.spec, &study.output_dir));
    let orders = orders.unwrap_or_default();
    let used = |order: &Order, all: &[Gpu]| -> Vec<String> {
        let used = gpu::used_by(order, all).into_iter();
        used.map(|gpu| gpu.uuid.clone()).collect()
    };
    let mut findings = gpus::judge(seen, |gpus| match &orders[..] {
        [] => gpus.iter().collect(),
        orders => {
            let of_each = orders.iter().flat_map(|order| used(order, gpus));
            let of_any: Vec<String> = of_each.collect();
            gpus.iter()
                .filter(|gpu| of_any.contains(&gpu.uuid))
                .collect()
        }
    });
    if let (Some(study), Seen::Gpus { gpus, .. }) = (study, seen) {
        let slots = study.spec.slots.iter().map(|slot| slot.name.to_string());
        let of_slots: Vec<(String, Vec<String>)> = slots
            .zip(orders.iter().map(|order| used(order, gpus)))
            .collect();
        findings.extend(gpus::shared(gpus, &of_slots));
    }
    findings
}

/// What a trial of the starting params would be told, with all templates filled
/// in, in each slot where there are slots; none where a rule or a template is
/// against that.
fn baselines(spec: &Spec, output_dir: &Path) -> Vec<Order> {
    let Ok(params) = spec.space.baseline() else {
        return Vec::new();
    };
    let trial = Trial::new(TrialId(1), params, Origin::Baseline);
    let order = |slot: Option<&Slot>| {
        let places = Places {
            output_dir: output_dir.to_owned(),
            logs: output_dir.join(&spec.files.logs),
            trial_dir: output_dir.to_owned(),
            slot: slot.cloned(),
        };
        Order::new(spec, &trial, 1, random::token(), &places).ok()
    };
    let orders: Option<Vec<Order>> = match &spec.slots[..] {
        [] => order(None).map(|order| vec![order]),
        slots => slots.iter().map(|slot| order(Some(slot))).collect(),
    };
    orders.unwrap_or_default()
}
