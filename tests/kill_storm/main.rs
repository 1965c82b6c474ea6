//! SIGKILL at random moments, again and again, while clients look on and
//! steer. Real processes throughout.
//!
//! A few kills are made by every `cargo test`, and hundreds by
//!
//! ```text
//! KILLS=500 SEED=7 cargo test --release --test kill_storm -- --ignored --nocapture
//! ```
//!
//! with a cgroup for each trial and, at the same time, without. `KILLS` is 500
//! where it is not given, `SEED` is drawn and printed. A seed repeats the
//! choices, not the moments that the machine makes of them.
//!
//! | file | part |
//! |---|---|
//! | `clients` | followers, pollers, steerers, readers of files |
//! | `seen` | what they were shown and promised, each checked as it comes |
//! | `verdict` | what must hold at the end |

#[path = "../support/mod.rs"]
mod support;

#[path = "../crash/checks.rs"]
#[allow(dead_code, reason = "the tests of crashes use all of it")]
mod checks;
mod clients;
#[path = "../notify/receiver.rs"]
#[allow(dead_code, reason = "the tests of [notify] use all of it")]
mod receiver;
mod seen;
mod verdict;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use autotune::base::random::{Generator, generator};
use rand::RngExt;

use crate::receiver::{Answer, Receiver};
use crate::seen::{Journal, Storm, on_disk};
use crate::support::{Daemon, kill};

const SPEC: &str = r#"
[study]
name = "storm"
pass_env = ["PIDS"]
approve = "trial"
approve_timeout = "30ms"
approve_default = "approve"
[objective]
maximize = "speed"
[search]
sampler = "grid"
racing = true
recheck = 0
[advisor]
base_url = "{advisor}"
model = "tiny"
api_key = false
share = 0.3
max_tokens = 0
[retention]
artifacts = 2
[space]
N = [{values}]
[host]
fault_wait = "0s"
cgroup = {cgroup}
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}", "--leave"]
ready = { http = "http://127.0.0.1:{port}/" }
stop_grace = "50ms"
[[step]]
name = "eval"
kind = "measure"
runs = 3
stop_grace = "50ms"
artifacts = ["made/model-{{ N }}"]
progress.told = 'speed=(\S+)'
command = ["sh", "-c", 'mkdir -p made && echo "$N" > "made/model-$N" && exec "$@"', "sh", "{child}", "run", "--sleep", "20", "--leave", "--print", "speed={{ N }}", "--stamp", "--done", "{dir}/runs", "--line", "{{ trial }} eval {{ run }}"]
metrics.speed = 'speed=(\S+)'
metrics.stamp = 'stamp=(\S+)'
"#;

/// Longer than a trial takes, so that some live to their end.
const PAUSE_MAX_MS: u64 = 400;
/// How long nothing may change while the study is to be finished.
const STANDSTILL: Duration = Duration::from_secs(120);

mod with_cgroup {
    #[test]
    fn a_few_kills() {
        super::storm(true, 12, None);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn kill_storm() {
        super::long_storm(true);
    }
}

mod without_cgroup {
    #[test]
    fn a_few_kills() {
        super::storm(false, 12, None);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn kill_storm() {
        super::long_storm(false);
    }
}

fn long_storm(cgroup: bool) {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    storm(cgroup, number("KILLS").unwrap_or(500), number("SEED"));
}

fn storm(cgroup: bool, kills: u64, seed: Option<u64>) {
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0) % 10_000);
    let way = if cgroup { "cgroup" } else { "fall-back" };
    say(&format!("{way}: {kills} kills, seed {seed}"));
    let values = kills / 2 + 2;
    let list: Vec<String> = (1..=values).map(|value| value.to_string()).collect();
    // A model that is often wrong, and sometimes not there.
    let advisor = Receiver::start(move |request| match request % 4 {
        0 => Answer::status(401),
        1 => says("I would rather not say."),
        _ => says(&format!(
            r#"{{"params": {{"N": {}}}}}"#,
            request as u64 % values + 1
        )),
    });
    let spec = SPEC
        .replace("{advisor}", &advisor.url("/v1"))
        .replace("{values}", &list.join(", "))
        .replace("{cgroup}", &cgroup.to_string());
    let storm = Arc::new(Storm::new(&spec, seed, values));
    let begun = Instant::now();
    let mut killer = Killer::new(&storm);
    let clients = clients::start(&storm);
    for number in 1..=kills {
        killer.strike();
        if number % 50 == 0 {
            let (at, shown) = (begun.elapsed().as_secs(), storm.events_shown());
            say(&format!(
                "{way}: {number} kills, {at} s, {shown} events shown"
            ));
        }
        assert!(storm.is_well(), "seed {seed}\n{}", storm.faults());
    }
    storm.steering.store(false, Relaxed);
    killer.finish();
    verdict::await_follower(&storm);
    drop(clients);
    killer.stop();
    let runs = verdict::check(&storm);
    let kinds = verdict::kinds(&storm);
    verdict::check_files(&storm);
    let mut summary = format!(
        "{way}, seed {seed}: {kills} kills in {} s, {} starts of the daemon, {} of a client that \
         follows\n",
        begun.elapsed().as_secs(),
        killer.starts,
        storm.followers.load(Relaxed),
    );
    for (what, count) in &killer.struck {
        let _ = writeln!(summary, "  {count:>6} × {what}");
    }
    let _ = writeln!(
        summary,
        "  {} events and {} runs shown, {runs} runs in the journal, all once; answers:",
        storm.events_shown(),
        storm.runs_shown()
    );
    for ((verb, answer), count) in storm.answers() {
        let _ = writeln!(summary, "  {count:>6} × {verb}: {answer}");
    }
    summary += "events:\n";
    for (kind, count) in &kinds {
        let _ = writeln!(summary, "  {count:>6} × {kind}");
    }
    say(&summary);
}

/// What a server answers with when its model says this.
fn says(text: &str) -> Answer {
    let message = serde_json::json!({ "role": "assistant", "content": text });
    let choice = serde_json::json!({ "index": 0, "message": message, "finish_reason": "stop" });
    let usage = serde_json::json!({ "prompt_tokens": 100, "completion_tokens": 20 });
    let answer = serde_json::json!({ "id": "x", "object": "chat.completion", "model": "tiny",
        "choices": [choice], "usage": usage });
    Answer::Http(
        200,
        "content-type: application/json\r\n",
        answer.to_string(),
    )
}

/// Printed whole, also beside the other storm.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Starts the daemon and kills it, its runner, or both.
struct Killer<'a> {
    storm: &'a Storm,
    random: Generator,
    journal: Journal,
    daemon: Daemon,
    starts: u32,
    /// How often the study had been opened before this daemon.
    opened: usize,
    struck: BTreeMap<String, u32>,
}

impl<'a> Killer<'a> {
    fn new(storm: &'a Storm) -> Self {
        Self {
            storm,
            random: generator(storm.seed, 0),
            journal: Journal::default(),
            daemon: storm.study.start(),
            starts: 1,
            opened: 0,
            struck: BTreeMap::new(),
        }
    }

    fn strike(&mut self) {
        let study = &self.storm.study;
        // The moment is what is random here, so nothing is waited for.
        let pause = self.random.random_range(0..PAUSE_MAX_MS);
        std::thread::sleep(Duration::from_millis(pause));
        let runner = self.storm.living_runner();
        let before = on_disk(study, &mut self.journal);
        let phase = self.journal.phase(self.opened);
        let victim = match self.random.random_range(0..8) {
            0..4 => {
                self.daemon.kill();
                "the daemon"
            }
            4 => {
                self.daemon.kill();
                runner.into_iter().for_each(kill);
                "the daemon, then the runner"
            }
            5 => {
                runner.into_iter().for_each(kill);
                self.daemon.kill();
                "the runner, then the daemon"
            }
            _ => match runner {
                Some(runner) => {
                    kill(runner);
                    "the runner"
                }
                None => {
                    self.daemon.kill();
                    "the daemon"
                }
            },
        };
        let of = if runner.is_some() { "" } else { " (no runner)" };
        *self.struck.entry(format!("{victim}{of}")).or_default() += 1;
        *self.struck.entry(format!("in phase: {phase}")).or_default() += 1;
        let after = on_disk(study, &mut self.journal);
        let lost = before.iter().find(|run| !after.contains(run));
        assert_eq!(lost, None, "{}", study.trace());
        self.start_again();
    }

    /// Starts the daemon where none runs. Whether it had to.
    fn start_again(&mut self) -> bool {
        let ended = !self.daemon.is_alive();
        if ended {
            self.opened = self.journal.read(&self.storm.study).count("opened");
            self.daemon = self.storm.study.start();
            self.starts += 1;
        }
        ended
    }

    /// Lets the study come to its end.
    fn finish(&mut self) {
        let (mut facts, mut changed) = (0, Instant::now());
        while !self.journal.read(&self.storm.study).is_done() {
            self.start_again();
            self.storm.resume();
            if self.journal.events.len() > facts {
                (facts, changed) = (self.journal.events.len(), Instant::now());
            }
            let study = &self.storm.study;
            assert!(changed.elapsed() < STANDSTILL, "{}", study.trace());
            assert!(self.storm.is_well(), "{}", self.storm.faults());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(self.daemon.end(), 0, "{}", self.storm.study.trace());
        // One that stays, for clients that look for it still.
        let started = self.journal.count("sitting-started");
        self.daemon =
            self.storm
                .study
                .start_verb(&["run", "study.toml", "--output-dir", "out", "--stay"]);
        self.starts += 1;
        self.journal.read(&self.storm.study);
        assert_eq!(self.journal.count("sitting-started"), started);
    }

    /// Ends the daemon that stays.
    fn stop(&mut self) {
        self.daemon.signal(nix::sys::signal::Signal::SIGTERM);
        assert_eq!(self.daemon.end(), 0, "{}", self.storm.study.trace());
    }
}
