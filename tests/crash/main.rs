//! The promise that nothing is lost and nothing is left: daemon and runner are
//! killed at every point of a trial, the children do not behave, the host gets
//! in the way. Real processes throughout.
//!
//! | file | part |
//! |---|---|
//! | `kills` | SIGKILL of daemon, runner and both, in every phase of a trial |
//! | `containment` | children that try to stay |
//! | `stopping` | SIGINT and SIGTERM, once and twice |
//! | `environment` | what a step sees |
//! | `repair` | a second daemon, torn journals, lost results |
//! | `slots` | trials side by side |
//! | `strangers` | ports that somebody else holds |

#[path = "../support/mod.rs"]
mod support;

/// Makes two tests of each function that takes whether trials are to have
/// cgroups of their own. Where the system has none to give, both are the same.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {
        mod with_cgroup {
            $(#[test] fn $name() { super::$name(true); })*
        }
        mod without_cgroup {
            $(#[test] fn $name() { super::$name(false); })*
        }
    };
}

mod checks;
mod containment;
mod environment;
mod kills;
mod repair;
mod slots;
mod stopping;
mod strangers;
