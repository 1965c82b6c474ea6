//! The control socket under load, against peers that mean harm or do not read,
//! and through restarts of the daemon.

mod followers;
mod hostile;
mod restarts;
mod slow;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::{Child, Command};

use autotune::model::trial::TrialId;
use support::Study;

/// Three values, one run each, which waits at the gate of its value; what it
/// prints is in the log.
const GATED: &str = r#"
[study]
name = "streamed"
pass_env = ["PIDS"]
[objective]
maximize = "score"
[space]
N = [1, 2, 3]
[[step]]
name = "eval"
kind = "measure"
command = ["sh", "-c", "echo begun; exec \"$0\" \"$@\"", "{child}", "run", "--gate", "{dir}gate-{{ N }}", "--print", "score={{ N }}"]
metrics.score = 'score=(\S+)'
"#;

fn open_gates(study: &Study) {
    (1..=3).for_each(|value| study.open_gate(&format!("gate-{value}")));
}

/// A client that was started; what it says goes to files.
struct Follower {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Follower {
    fn start(study: &Study, name: &str, mut command: Command) -> Self {
        let (out, err) = (
            study.path(&format!("{name}.out")),
            study.path(&format!("{name}.err")),
        );
        let file = |path: &PathBuf| std::fs::File::create(path).expect("a file");
        command.stdout(file(&out)).stderr(file(&err));
        let child = command.spawn().expect("autotunectl");
        Self { child, out, err }
    }

    fn out(&self) -> String {
        std::fs::read_to_string(&self.out).expect("its output")
    }

    fn err(&self) -> String {
        std::fs::read_to_string(&self.err).expect("what it says")
    }

    /// Its exit code, once it has ended.
    fn end(&mut self, study: &Study) -> i32 {
        let child = std::cell::RefCell::new(&mut self.child);
        let ended = || child.borrow_mut().try_wait().expect("its status").is_some();
        study.wait("the end of a client", ended);
        let status = self.child.wait().expect("its status");
        status.code().unwrap_or(-1)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many connections the daemon has accepted and not yet closed.
fn connections(pid: i32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let files = files.into_iter().flatten().flatten();
    let own: Vec<String> = files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect();
    let table = std::fs::read_to_string("/proc/net/unix").expect("the kernel's table");
    // Address, references, protocol, flags, type, state, inode, path: 03 is
    // connected; only what was accepted by a listening socket has its path.
    let is_own = |line: &&str| {
        let socket: Vec<&str> = line.split_whitespace().collect();
        matches!(socket[..], [_, _, _, _, _, "03", inode, _] if own.contains(&format!("socket:[{inode}]")))
    };
    table.lines().filter(is_own).count()
}

/// The log of trial 1 in one of its sittings.
fn log(study: &Study, sitting: u32) -> Vec<u8> {
    let name = autotune::model::trial::log_name(TrialId(1), sitting, Some("eval"));
    std::fs::read(study.out("tune_server_logs").join(name)).expect("a log")
}
