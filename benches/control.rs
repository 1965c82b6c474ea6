//! What the control socket costs, in real daemons over real sockets:
//! `cargo bench --bench control`, about two minutes on a quiet machine.
//!
//! - How long `status` takes with 10 000 trials, over one connection and with
//!   a connection each; `ping` beside it shows what the way alone costs.
//! - How much 1 000 followers of the events hold up the trials, and how late
//!   an event comes to the last of them. They run on the same machine.
//! - What an idle daemon takes, with few trials and with 10 000.

#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use autotune::base::clock::Timestamp;
use autotune::store::{Header, Journal};
use autotune::wire::client::Client;
use autotune::wire::reply::Reply;
use autotune::wire::request::{EventsQuery, Request};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

#[path = "../tests/helpers/study.rs"]
mod study;

const TRIALS: u32 = 10_000;
const FOLLOWERS: usize = 1_000;
/// Trials of a study that is followed, and how often it is run in each way.
const FOLLOWED: usize = 60;
const REPETITIONS: usize = 3;
const IDLE: Duration = Duration::from_secs(30);

/// The study of the helpers, whose budget is used up.
const LARGE: &str = r#"
[study]
name = "qwen-serving"
[objective]
maximize = "total_tps"
[[constraint]]
metric = "accuracy"
min = 0.88
[budget]
trials = 10000
[search]
sampler = "random"
[space]
GPU_MEMORY_UTILIZATION = { float = [0.5, 0.99] }
MAX_NUM_SEQS = { int = [1, 65536], log = true }
MAX_MODEL_LEN = ["768", "1024", "1536", "2048"]
STOP_STRINGS = ["<|im_end|>", "<|endoftext|>", "<|im_end|>,<|endoftext|>"]
REPETITION_PENALTY = ["1.00", "1.02", "1.05"]
CHUNKED = [true, false]
[[step]]
name = "serve"
kind = "service"
command = ["true"]
ready = { tcp = "127.0.0.1:8000" }
[[step]]
name = "eval"
kind = "measure"
runs = 5
command = ["true"]
[step.metrics]
accuracy = '=(\S+)'
total_tps = '=(\S+)'
"#;

/// Trials that take no time.
const SMALL: &str = r#"
[study]
name = "small"
[objective]
maximize = "speed"
[search]
sampler = "grid"
[space]
N = [{values}]
[[step]]
name = "eval"
kind = "measure"
runs = 3
command = ["echo", "speed={{ N }}"]
metrics.speed = 'speed=(\S+)'
"#;

fn main() {
    allow_many_files();
    let large = Daemon::start(LARGE, write_journal);
    large.await_done();
    latencies(&large);
    followers();
    let small = Daemon::start(&small(3), |_| ());
    small.await_done();
    idle(&small, &large);
}

fn small(values: usize) -> String {
    let values: Vec<String> = (1..=values).map(|value| value.to_string()).collect();
    SMALL.replace("{values}", &values.join(", "))
}

/// As many connections as are measured need more files than are usual.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn write_journal(out: &Path) {
    let spec = Arc::new(study::spec());
    let header = Header::new(&spec, Timestamp::from_millis(study::BEGAN));
    let (mut journal, _) = Journal::open(out, &header, |_| Ok(())).unwrap();
    let mut story = study::Story::new(spec, 1);
    let facts: Vec<_> = (0..TRIALS).flat_map(|_| story.good_trial()).collect();
    journal.append(&facts).unwrap();
}

/// A daemon on a study of its own.
struct Daemon {
    folder: tempfile::TempDir,
    child: Child,
}

impl Daemon {
    fn start(spec: &str, prepare: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("study.toml"), spec).unwrap();
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        prepare(&out);
        let child = Command::new(env!("CARGO_BIN_EXE_autotuned"))
            .current_dir(folder.path())
            .args(["run", "study.toml", "--output-dir", "out", "--stay"])
            .args(["--socket", "sock"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, child }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    fn journal(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("out/journal.jsonl")).unwrap_or_default()
    }

    fn await_done(&self) {
        let is_done = |line: &str| line.contains(r#""event":{"done""#);
        while !self.journal().lines().next_back().is_some_and(is_done) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A file of the daemon's in /proc.
    fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// For each of its threads, what `read` finds in a file of it, summed up.
    fn threads(&self, name: &str, read: impl Fn(&str) -> u64) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let texts = threads.map(|task| std::fs::read_to_string(task.unwrap().path().join(name)));
        texts.map(|text| read(&text.unwrap_or_default())).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// The value that a share of all do not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn sorted(mut figures: Vec<f64>) -> Vec<f64> {
    figures.sort_by(f64::total_cmp);
    figures
}

fn latencies(daemon: &Daemon) {
    println!("round trips to a daemon with {TRIALS} trials, in µs:");
    println!(
        "{:<34} {:>6} {:>8} {:>8} {:>8}",
        "", "count", "p50", "p99", "most"
    );
    let path = daemon.socket();
    for (name, request) in [("ping", Request::Ping), ("status", Request::Status)] {
        let one = block_on(async {
            let mut client = Client::connect(&path).await.unwrap();
            let mut took = Vec::new();
            for _ in 0..20_000 {
                let begun = Instant::now();
                client.ask(&request).await.unwrap();
                took.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            took
        });
        let each = block_on(async {
            let mut took = Vec::new();
            for _ in 0..5_000 {
                let begun = Instant::now();
                let mut client = Client::connect(&path).await.unwrap();
                client.ask(&request).await.unwrap();
                took.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            took
        });
        for (way, took) in [
            ("over one connection", one),
            ("with a connection each", each),
        ] {
            let took = sorted(took);
            let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| quantile(&took, share));
            let name = format!("{name}, {way}");
            println!(
                "{name:<34} {:>6} {p50:>8.1} {p99:>8.1} {most:>8.1}",
                took.len()
            );
        }
    }
}

fn followers() {
    println!("\n{FOLLOWED} trials of 3 instant runs, {REPETITIONS} times in each way, in ms:");
    println!(
        "{:<34} {:>6} {:>8} {:>8} {:>8}",
        "", "count", "p50", "p99", "most"
    );
    let mut between = [Vec::new(), Vec::new()];
    let mut late = Vec::new();
    for _ in 0..REPETITIONS {
        between[0].extend(followed(0).0);
        let (steps, last) = followed(FOLLOWERS);
        between[1].extend(steps);
        late.extend(last);
    }
    let row = |name: String, figures: Vec<f64>| {
        let figures = sorted(figures);
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|share| quantile(&figures, share));
        println!(
            "{name:<34} {:>6} {p50:>8.0} {p99:>8.0} {most:>8.0}",
            figures.len()
        );
    };
    let [none, all] = between;
    row("from trial to trial, no follower".to_owned(), none);
    row(format!("the same, {FOLLOWERS} followers"), all);
    row("from a fact to its last follower".to_owned(), late);
    println!("(times by the journal, to the millisecond; a fact's own comes before its sync)");
}

/// Milliseconds from the start of each trial to that of the next, and for each
/// fact those until the last follower had it.
fn followed(count: usize) -> (Vec<f64>, Vec<f64>) {
    let daemon = Daemon::start(&small(FOLLOWED + 1), |_| ());
    // Paused at once, until all followers are there.
    let late = block_on(async {
        let path = daemon.socket();
        let mut client = loop {
            match Client::connect(&path).await {
                Ok(client) => break client,
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        let steer = |steer| Request::Steer(steer);
        use autotune::wire::request::{Steer, Until};
        let pause = steer(Steer::Pause { now: true });
        client.ask(&pause).await.unwrap();
        let paused = client.ask(&Request::Wait(Until::Paused)).await.unwrap();
        assert_eq!(paused, Reply::Reached);
        let last: Arc<Mutex<BTreeMap<u64, f64>>> = Arc::default();
        let ready = Arc::new(Barrier::new(count + 1));
        let mut followers = JoinSet::new();
        for _ in 0..count {
            let (path, last, ready) = (path.clone(), Arc::clone(&last), Arc::clone(&ready));
            followers.spawn(async move {
                let mut client = Client::connect(&path).await.unwrap();
                ready.wait().await;
                let query = EventsQuery {
                    after: None,
                    last: Some(0),
                    follow: true,
                };
                client.send(&Request::Events(query)).await.unwrap();
                while let Reply::Events(events) = client.receive().await.unwrap() {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
                    let mut last = last.lock().unwrap();
                    for event in events {
                        let late = now.as_secs_f64() * 1e3 - event.at as f64;
                        let known = last.entry(event.seq).or_insert(late);
                        *known = known.max(late);
                        if event.event.starts_with(r#"{"done""#) {
                            return;
                        }
                    }
                }
            });
        }
        ready.wait().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        client.ask(&steer(Steer::Resume)).await.unwrap();
        while followers.join_next().await.is_some() {}
        let done = client.ask(&Request::Wait(Until::Done)).await.unwrap();
        assert_eq!(done, Reply::Reached);
        let last = last.lock().unwrap();
        last.values().copied().collect()
    });
    let journal = daemon.journal();
    let starts: Vec<i64> = journal
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .skip_while(|line| line["event"].get("resumed").is_none())
        .filter(|line| line["event"].get("sitting-started").is_some())
        .map(|line| line["at"].as_i64().unwrap())
        .collect();
    let between = starts.windows(2).map(|two| (two[1] - two[0]) as f64);
    (between.collect(), late)
}

fn idle(small: &Daemon, large: &Daemon) {
    let resident = |daemon: &Daemon, key: &str| {
        let status = daemon.proc("status");
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib * 1.024e-3
    };
    let on_cpu = |daemon: &Daemon| {
        let first = |text: &str| text.split(' ').next().map_or(0, |n| n.parse().unwrap_or(0));
        daemon.threads("schedstat", first)
    };
    let switches = |daemon: &Daemon| {
        daemon.threads("status", |text| {
            let line = text.lines().find(|line| line.starts_with("voluntary_ctxt"));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
                .unwrap_or(0)
        })
    };
    println!("\nan idle daemon over {IDLE:?}:");
    println!(
        "{:<20} {:>8} {:>12} {:>12} {:>10} {:>8}",
        "", "threads", "resident", "of it anon", "CPU", "wakeups"
    );
    let daemons = [("3 trials", small), ("10000 trials", large)];
    // Threads that were needed once end by themselves; those that end in
    // between could not be counted.
    for (_, daemon) in daemons {
        let count = || daemon.threads("status", |_| 1);
        let (mut last, mut since) = (count(), Instant::now());
        while since.elapsed() < Duration::from_secs(12) {
            std::thread::sleep(Duration::from_millis(100));
            if count() != last {
                (last, since) = (count(), Instant::now());
            }
        }
    }
    let before = daemons.map(|(_, daemon)| (on_cpu(daemon), switches(daemon)));
    std::thread::sleep(IDLE);
    for ((name, daemon), (cpu, woken)) in daemons.into_iter().zip(before) {
        let cpu = (on_cpu(daemon) - cpu) as f64 / IDLE.as_nanos() as f64 * 100.0;
        println!(
            "{name:<20} {:>8} {:>9.1} MB {:>9.1} MB {cpu:>8.4} % {:>8}",
            daemon.threads("status", |_| 1),
            resident(daemon, "VmRSS:"),
            resident(daemon, "RssAnon:"),
            switches(daemon) - woken,
        );
    }
}
