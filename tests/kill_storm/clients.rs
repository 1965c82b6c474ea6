//! Clients of every kind. An answer is right or a clear error, and it comes in
//! time; files are whole whenever they are read.

use std::future::Future;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use autotune::base::random::{Generator, generator};
use autotune::wire::WireError;
use autotune::wire::client::{Client, ConnectError};
use autotune::wire::import::{Column, Import, Row};
use autotune::wire::reply::{Accepted, Refusal, Reply, TrialDetail};
use autotune::wire::request::{
    Edit, End, EventsQuery, Instead, LogQuery, Request, Steer, TrialsQuery,
};
use rand::RngExt;
use serde_json::Value as Json;

use crate::seen::{Journal, Promise, Shown, Storm};
use crate::support::{code, said};

/// The longest that any answer may take, on however slow a machine. A daemon
/// refuses by itself after 20 s.
const DEADLINE: Duration = Duration::from_secs(60);

/// The threads of all clients. They end when this is dropped, also by a test
/// that fails.
pub struct Clients {
    storm: Arc<Storm>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.storm.steering.store(false, Relaxed);
        self.storm.over.store(true, Relaxed);
        for client in self.threads.drain(..) {
            if client.join().is_err() {
                self.storm.fault("a client has panicked".to_owned());
            }
        }
    }
}

/// Starts one client of each kind.
pub fn start(storm: &Arc<Storm>) -> Clients {
    let own = |work: fn(&Storm, Generator), stream| {
        let (storm, random) = (Arc::clone(storm), generator(storm.seed, stream));
        spawn(move || work(&storm, random))
    };
    let threads = vec![
        own(poll, 1),
        own(follow, 2),
        own(steer, 3),
        own(call, 4),
        own(follow_to_the_end, 5),
        own(read_files, 6),
    ];
    Clients {
        storm: Arc::clone(storm),
        threads,
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

impl Storm {
    /// A connection, if somebody listens.
    async fn connect(&self, verb: &'static str) -> Option<Client> {
        let connected = self.in_time(verb, Client::connect(&self.socket())).await?;
        match connected {
            Ok(client) => return Some(client),
            Err(ConnectError::Nobody { .. }) => self.answered(verb, "nobody listens"),
            Err(ConnectError::Hello {
                source: WireError::Closed,
                ..
            }) => self.answered(verb, "cut off"),
            Err(error) => self.fault(format!("{verb}: {error}")),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        None
    }

    async fn in_time<T>(&self, verb: &str, work: impl Future<Output = T>) -> Option<T> {
        let result = tokio::time::timeout(DEADLINE, work).await.ok();
        if result.is_none() {
            self.fault(format!("{verb}: no answer in {DEADLINE:?}"));
        }
        result
    }

    /// The next answer of a connection; `None` when it is cut off.
    async fn receive(&self, verb: &'static str, client: &mut Client) -> Option<Reply> {
        match self.in_time(verb, client.receive()).await? {
            Ok(reply) => return Some(reply),
            Err(WireError::Closed) => self.answered(verb, "cut off"),
            Err(error) => self.fault(format!("{verb}: {error}")),
        }
        None
    }

    /// Asks once, over a connection of its own.
    async fn ask(&self, verb: &'static str, request: Request) -> Option<Reply> {
        let mut client = self.connect(verb).await?;
        match client.send(&request).await {
            Ok(()) => self.receive(verb, &mut client).await,
            Err(error) => {
                self.fault(format!("{verb}: {error}"));
                None
            }
        }
    }

    /// Asks the daemon to go on, should it be there and paused.
    pub fn resume(&self) {
        block_on(self.ask("resume", Request::Steer(Steer::Resume)));
    }
}

/// Asks for status, trials, details, logs, the best.
fn poll(storm: &Storm, mut random: Generator) {
    let (mut runs, mut trials) = (0, 1);
    let mut runs_of = Vec::new();
    block_on(async {
        while !storm.over.load(Relaxed) {
            let number = random.random_range(1..=trials);
            let (verb, request) = match random.random_range(0..6) {
                0 => ("status", Request::Status),
                1 => (
                    "trials",
                    Request::Trials(TrialsQuery {
                        offset: number - 1,
                        limit: 20,
                        ..TrialsQuery::default()
                    }),
                ),
                2 | 3 => ("show", Request::Trial(number)),
                4 => (
                    "logs",
                    Request::Log(LogQuery {
                        trial: number,
                        step: None,
                        from: None,
                        follow: random.random(),
                    }),
                ),
                _ => ("best", Request::Best),
            };
            let followed = matches!(&request, Request::Log(query) if query.follow);
            let Some(reply) = storm.ask(verb, request).await else {
                continue;
            };
            storm.answered(verb, kind(&reply));
            match reply {
                Reply::Status(status) => {
                    if status.study != "storm" || status.runs < runs {
                        storm.fault(format!("after {runs} runs: {status:?}"));
                    }
                    runs = status.runs;
                    trials = trials.max(status.counts.complete);
                }
                Reply::Trials(page) => {
                    trials = trials.max(page.total);
                    for (row, expected) in page.rows.iter().zip(number..) {
                        let index = row.trial as usize;
                        if runs_of.len() <= index {
                            runs_of.resize(index + 1, 0);
                        }
                        if row.trial != expected || row.runs < runs_of[index] {
                            storm.fault(format!("trial {expected}: {row:?}"));
                        }
                        runs_of[index] = row.runs;
                    }
                }
                Reply::Trial(detail) => show(storm, &detail),
                Reply::Log(_) | Reply::End(_) if verb == "logs" => {}
                Reply::Best(best) if best.measured.outcome == "complete" => {}
                Reply::Refused(
                    Refusal::NothingBest
                    | Refusal::OnlyLeads { .. }
                    | Refusal::NoSuchTrial(_)
                    | Refusal::NoSuchLog(_)
                    | Refusal::Starting(_)
                    | Refusal::Leaving,
                ) => {}
                reply => storm.fault(format!("{verb}: {reply:?}")),
            }
            if !followed {
                tokio::time::sleep(Duration::from_millis(random.random_range(0..8))).await;
            }
        }
    });
}

fn kind(reply: &Reply) -> String {
    match reply {
        Reply::Accepted(_) => "accepted".to_owned(),
        Reply::Ignored(_) => "so already".to_owned(),
        Reply::Refused(refusal) => {
            let text = format!("{refusal:?}");
            let name = text.split(['(', ' ']).next().unwrap_or_default();
            format!("refused: {name}")
        }
        _ => "answered".to_owned(),
    }
}

fn show(storm: &Storm, detail: &TrialDetail) {
    for run in &detail.runs {
        if let Some(fault) = &run.fault {
            storm.fault(format!("a bad run of trial {}: {fault}", detail.row.trial));
        }
        let key = (detail.row.trial.into(), run.step.clone(), run.number.into());
        let metrics = run.metrics.iter();
        let shown = Shown {
            sitting: run.sitting.into(),
            metrics: metrics.map(|m| (m.name.clone(), m.value)).collect(),
        };
        storm.run(key, shown);
    }
}

/// Follows the events for a moment, from somewhere on, again and again.
fn follow(storm: &Storm, mut random: Generator) {
    block_on(async {
        while !storm.over.load(Relaxed) {
            let shown = storm.events_shown() as u64;
            let after = random.random_range(0..=shown);
            let query = EventsQuery {
                after: random.random::<bool>().then_some(after),
                last: random.random::<bool>().then_some(20),
                follow: random.random(),
            };
            let Some(mut client) = storm.connect("events").await else {
                continue;
            };
            let moment = Duration::from_millis(random.random_range(0..300));
            let reading = async {
                if let Err(error) = client.send(&Request::Events(query)).await {
                    storm.fault(format!("events: {error}"));
                }
                while let Some(reply) = storm.receive("events", &mut client).await {
                    match reply {
                        Reply::Events(events) => {
                            for event in events {
                                let parsed = serde_json::from_str(&event.event);
                                storm.event(event.seq, parsed.expect("JSON"));
                            }
                        }
                        Reply::End(end) => {
                            storm.answered("events", format!("{end:?}"));
                            break;
                        }
                        Reply::Refused(Refusal::Starting(_) | Refusal::Leaving) => break,
                        reply => storm.fault(format!("events: {reply:?}")),
                    }
                }
            };
            // Whoever has seen enough goes, in the middle of anything.
            if tokio::time::timeout(moment, reading).await.is_err() {
                storm.answered("events", "read for a moment");
            }
        }
    });
}

/// Steers, and looks on the disk for what was promised.
fn steer(storm: &Storm, mut random: Generator) {
    let mut journal = Journal::default();
    let mut paused = false;
    block_on(async {
        while storm.steering.load(Relaxed) {
            let trials = journal.read(&storm.study).count("trial-planned").max(1) as u32;
            let number = random.random_range(1..=trials);
            let (verb, steer) = match random.random_range(0..28) {
                0..12 if paused => ("resume", Steer::Resume),
                0..2 => ("pause", Steer::Pause { now: false }),
                2..4 => ("pause --now", Steer::Pause { now: true }),
                4 => ("skip", Steer::Skip(None)),
                5 => ("skip N", Steer::Skip(Some(number))),
                6..11 => ("retry", Steer::Retry(number)),
                11 => ("stop", Steer::Stop { now: false }),
                12 => ("stop --now", Steer::Stop { now: true }),
                13..18 => {
                    // Some of them are not in the space.
                    let value = random.random_range(1..=storm.values + 1);
                    let values = vec![("N".to_owned(), value.to_string())];
                    let again = random.random_range(0..8) == 0;
                    let verb = if again { "enqueue --again" } else { "enqueue" };
                    (verb, Steer::Enqueue { values, again })
                }
                18 => {
                    let trials = (1000 + random.random_range(0..9)).to_string();
                    let name = "budget.trials".to_owned();
                    let value = trials;
                    ("set", Steer::Amend(vec![Edit::Set { name, value }]))
                }
                edit @ 19..21 => {
                    // Beyond those that the study begins with.
                    let value = storm.values + random.random_range(2..5);
                    let (parameter, values) = ("N".to_owned(), vec![value.to_string()]);
                    let edit = match edit {
                        19 => Edit::AddValues { parameter, values },
                        _ => Edit::RemoveValues { parameter, values },
                    };
                    ("space", Steer::Amend(vec![edit]))
                }
                23..25 => {
                    let (number, instead) = (None, Instead::Nothing);
                    ("approve", Steer::Approve { number, instead })
                }
                25 => {
                    let (number, end) = (None, End::Proposal);
                    ("reject", Steer::Reject { number, end })
                }
                26..28 => {
                    // Some of them are not in the space, or are known already.
                    let import = import(storm.values + 1, &mut random);
                    ("import", Steer::Import(import))
                }
                _ => ("resume", Steer::Resume),
            };
            let before = journal.read(&storm.study).events.len();
            if let Some(reply) = storm.ask(verb, Request::Steer(steer.clone())).await {
                storm.answered(verb, kind(&reply));
                match &reply {
                    Reply::Accepted(accepted) => {
                        journal.read(&storm.study);
                        hold_to(storm, &journal, before, &steer, accepted);
                    }
                    Reply::Ignored(_) | Reply::Refused(_) => {}
                    reply => storm.fault(format!("{verb}: {reply:?}")),
                }
                paused = match &reply {
                    Reply::Accepted(Accepted::Paused { .. }) => true,
                    Reply::Accepted(Accepted::Resumed) => false,
                    _ => paused,
                };
            }
            tokio::time::sleep(Duration::from_millis(random.random_range(10..150))).await;
        }
    });
}

/// A few measurements from elsewhere, of values up to `most`. Their rows have
/// numbers of their own.
fn import(most: u64, random: &mut Generator) -> Import {
    let rows = (0..random.random_range(1..4)).map(|_| {
        let value = random.random_range(1..=most).to_string();
        Row {
            row: random.random(),
            cells: vec![Some(value.clone()), Some(value)],
            failed: random.random_range(0..4) == 0,
        }
    });
    let rows = rows.collect();
    Import {
        file: format!("before-{}.csv", random.random_range(1..3)),
        format: "csv".to_owned(),
        columns: vec![
            Column::Parameter("N".to_owned()),
            Column::Metric("speed".to_owned()),
        ],
        rows,
        dry: false,
    }
}

/// What was accepted is on disk by now. `before` events were there before it
/// was wanted.
fn hold_to(storm: &Storm, journal: &Journal, before: usize, steer: &Steer, accepted: &Accepted) {
    let promise = match accepted {
        // It may have been paused already, and only the trial is interrupted.
        Accepted::Paused { interrupted, .. } => (!interrupted).then_some(Promise::Paused),
        Accepted::Resumed => Some(Promise::Resumed),
        Accepted::Skipped { trial, .. } => Some(Promise::Skipped((*trial).into())),
        Accepted::Reopened { trial, .. } => Some(Promise::Reopened((*trial).into())),
        Accepted::Enqueued { trial, .. } => {
            let Steer::Enqueue { values, .. } = steer else {
                return storm.fault(format!("{steer:?}: {accepted:?}"));
            };
            Some(Promise::Planned {
                trial: (*trial).into(),
                value: values[0].1.parse().expect("a number"),
            })
        }
        Accepted::Amended(_) => Some(Promise::Amended),
        Accepted::Approved { .. } => Some(Promise::Approved),
        Accepted::Rejected { .. } => Some(Promise::Rejected),
        // Only whole proposals are refused here.
        Accepted::ParameterReopened { .. } => None,
        Accepted::Imported(imported) => {
            let Steer::Import(import) = steer else {
                return storm.fault(format!("{steer:?}: {accepted:?}"));
            };
            let all = import.rows.iter().map(|row| row.row);
            let told = (imported.taken + imported.known) as usize + imported.unfit.len();
            if told != import.rows.len() {
                storm.fault(format!("{import:?}: {imported:?}"));
            }
            let (file, taken) = (import.file.clone(), imported.taken as usize);
            let rows = all.collect();
            Some(Promise::Imported { file, rows, taken })
        }
        Accepted::Reloaded(_) | Accepted::Stopping { .. } => None,
    };
    let Some(promise) = promise else { return };
    if !journal.events[before..]
        .iter()
        .any(|event| promise.is_kept_by(event))
    {
        storm.fault(format!("{promise:?} was accepted, and is not on disk"));
    }
    storm.promised(promise.clone(), journal.kept(&promise));
}

fn ctl(storm: &Storm, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    command
        .args(arguments)
        .arg("--json")
        .env("AUTOTUNE_SOCKET", storm.socket())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// Calls `autotunectl` as scripts do.
fn call(storm: &Storm, mut random: Generator) {
    while !storm.over.load(Relaxed) {
        let (verb, arguments): (_, &[&str]) = match random.random_range(0..6) {
            0 => ("autotunectl status", &["status"]),
            1 => ("autotunectl trials", &["trials"]),
            2 => ("autotunectl show", &["show", "1"]),
            3 => ("autotunectl best", &["best"]),
            4 => ("autotunectl ping", &["ping"]),
            _ => (
                "autotunectl wait",
                &["wait", "--for", "best", "--timeout", "100ms"],
            ),
        };
        match output(ctl(storm, arguments)) {
            Some(output) => storm.answered(verb, called(storm, verb, &output)),
            None => storm.fault(format!("{verb} does not end")),
        }
        sleep(Duration::from_millis(random.random_range(0..100)));
    }
}

/// What a program says that ends in time.
fn output(mut command: Command) -> Option<Output> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("autotunectl");
    let (waiting, ended) = std::sync::mpsc::channel();
    let pid = i32::try_from(child.id()).expect("a pid");
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let reader = spawn(move || {
        use std::io::Read;
        let (mut out, mut err) = (Vec::new(), Vec::new());
        stdout.expect("a pipe").read_to_end(&mut out).expect("read");
        stderr.expect("a pipe").read_to_end(&mut err).expect("read");
        let _ = waiting.send(());
        (out, err)
    });
    if ended.recv_timeout(DEADLINE).is_err() {
        crate::support::kill(pid);
        child.wait().expect("reaped");
        return None;
    }
    let status = child.wait().expect("reaped");
    let (stdout, stderr) = reader.join().expect("read");
    Some(Output {
        status,
        stdout,
        stderr,
    })
}

/// How a call ended; a fault if it should not end so.
fn called(storm: &Storm, verb: &str, output: &Output) -> &'static str {
    let text = said(output);
    let is_json = || serde_json::from_slice::<Json>(&output.stdout).is_ok();
    let error = text.contains("error: ");
    match code(output) {
        0 if is_json() || verb.ends_with("wait") => "exit code 0",
        1 if error && text.contains("the connection was closed") => "exit code 1, cut off",
        3 if error && text.contains("no autotuned is running here") => "exit code 3, nobody",
        4 if error && is_json() => "exit code 4, refused",
        7 if verb.ends_with("wait") => "exit code 7, the time is over",
        code => {
            storm.fault(format!("{verb}: exit code {code}: {text}"));
            "wrong"
        }
    }
}

/// Where the client writes that follows to the end.
pub fn followed(storm: &Storm) -> std::path::PathBuf {
    storm.study.path("followed.jsonl")
}

/// One `autotunectl events --follow` for the whole storm, over all restarts.
fn follow_to_the_end(storm: &Storm, _: Generator) {
    let files = std::fs::File::options();
    let open = |path: &Path| {
        let file = files.clone().create(true).append(true).open(path);
        Stdio::from(file.expect("a file"))
    };
    let begun = Instant::now();
    // The first daemon may not listen yet, or be killed before it does.
    while !storm.over.load(Relaxed) {
        let mut follower = ctl(storm, &["events", "--follow", "-n", "all"])
            .stdout(open(&followed(storm)))
            .stderr(open(&storm.study.path("followed.log")))
            .spawn()
            .expect("autotunectl");
        storm.followers.fetch_add(1, Relaxed);
        let status = loop {
            match follower.try_wait().expect("its status") {
                None if storm.over.load(Relaxed) => {
                    follower.kill().expect("killed");
                    follower.wait().expect("reaped");
                    return;
                }
                None => sleep(Duration::from_millis(10)),
                status => break status,
            }
        };
        let shown = followed(storm).metadata().expect("a file").len();
        if shown > 0 || begun.elapsed() > DEADLINE {
            let said = std::fs::read_to_string(storm.study.path("followed.log"));
            storm.fault(format!("events --follow has ended: {status:?} {said:?}"));
            return;
        }
        sleep(Duration::from_millis(5));
    }
}

/// Reads the files for other programs all the time.
fn read_files(storm: &Storm, mut random: Generator) {
    let read = |name: &str| std::fs::read(storm.study.out(name)).ok();
    let mut results = Vec::new();
    let (mut reads, mut there) = (0_u32, [false; 2]);
    while !storm.over.load(Relaxed) {
        let mut found = read("tune_results.jsonl").unwrap_or_default();
        // A line that is being added is not there yet.
        let whole = found.iter().rposition(|byte| *byte == b'\n');
        found.truncate(whole.map_or(0, |last| last + 1));
        if !found.starts_with(&results) {
            storm.fault("tune_results.jsonl has lost or changed a line".to_owned());
        }
        let added = &found[results.len().min(found.len())..];
        for line in added
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if serde_json::from_slice::<Json>(line).is_err() {
                let line = String::from_utf8_lossy(line);
                storm.fault(format!("tune_results.jsonl: {line}"));
            }
        }
        results = found;
        for (index, name) in ["best_params.json", "tune_status.json"]
            .into_iter()
            .enumerate()
        {
            let found = read(name);
            if there[index] && found.is_none() {
                storm.fault(format!("{name} is gone"));
            }
            there[index] |= found.is_some();
            let text = found.unwrap_or_else(|| b"{}".to_vec());
            if !serde_json::from_slice::<Json>(&text).is_ok_and(|json| json.is_object()) {
                let text = String::from_utf8_lossy(&text);
                storm.fault(format!("{name}: {text:?}"));
            }
        }
        reads += 1;
        sleep(Duration::from_millis(random.random_range(0..4)));
    }
    storm.answered("files", format!("{reads} times read whole"));
}
