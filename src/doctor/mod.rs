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
//! | [`folders`] | the folders that are written to |
//! | [`limits`] | whether trials can have the limits of the spec |
//! | [`side_by_side`] | all of it at once, with a time limit each |
//!
//! Nothing is changed by looking, but for a file that is made and removed to see
//! whether one can be.

pub mod finding;
pub mod folders;
pub mod limits;
pub mod side_by_side;
pub mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use self::finding::{Check, Finding, State};
use self::side_by_side::Look;
use crate::model::spec::Spec;

/// How long one look may take.
pub const LIMIT: Duration = Duration::from_secs(5);

/// What the host is looked at for.
#[derive(Clone, Debug)]
pub struct Study {
    /// Its spec.
    pub spec: Arc<Spec>,
    /// The folder of its files.
    pub output_dir: PathBuf,
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
/// Takes `limit` at most, whatever hangs.
pub fn examine(study: Option<&Study>, limit: Duration) -> Vec<Finding> {
    let mut looks: Vec<Look> = Vec::new();
    if let Some(Study { spec, output_dir }) = study {
        let steps = Arc::clone(spec);
        looks.push(Look::new(Check::Steps, move || steps::look(&steps)));
        let wanted = spec.limits.clone();
        looks.push(Look::new(Check::Limits, move || limits::look(&wanted)));
        let spec = Arc::clone(spec);
        let workdirs = move || folders::look_at_workdirs(&spec);
        looks.push(Look::new(Check::Workdir, workdirs));
        let output_dir = output_dir.clone();
        let output = move || folders::look_at_output(&output_dir);
        looks.push(Look::new(Check::Output, output));
    }
    side_by_side::all(looks, limit)
}
