//! A disk without room, for real: a small tmpfs as output folder, in a
//! namespace of its own. The study waits and says so; with room again it goes
//! on by itself; what is in the journal is neither lost nor done again.
//!
//! Each test starts itself once more within `unshare`, where it may mount.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use support::control::{client, good};
use support::said::{assert_said, unfolded};
use support::{Study, code, said};

/// Set for a test that may mount.
const WITHIN: &str = "TEST_MAY_MOUNT";

/// Each run waits for a gate of its own and notes that it was begun, both
/// outside of the output folder.
const SPEC: &str = r#"
[study]
name = "full"
[objective]
maximize = "m"
[space]
N = [1, 2, 3]
[[step]]
name = "eval"
kind = "measure"
runs = 2
command = ["sh", "-c", '''
    echo {{ N }}.{{ run }} >> {dir}/begun
    while ! [ -e {dir}/gate.{{ N }}.{{ run }} ]; do sleep 0.01; done
    echo m={{ N }}
''']
metrics.m = 'm=(\S+)'
[host]
fault_wait = "0s"
"#;

/// Whether this is the process that may mount. Any other starts it, and has
/// nothing left to do.
fn may_mount(test: &str) -> bool {
    if std::env::var_os(WITHIN).is_some() {
        return true;
    }
    // The second is for a superuser where nobody may make a user namespace.
    let tries = [&["--user", "--map-root-user", "--mount"][..], &["--mount"]];
    let mut why = Vec::new();
    for flags in tries {
        let probe = Command::new("unshare")
            .args(flags)
            .args(["mount", "-t", "tmpfs", "none", "/mnt"])
            .output();
        match probe {
            Ok(output) if output.status.success() => {
                let output = Command::new("unshare")
                    .args(flags)
                    .arg(std::env::current_exe().expect("this program"))
                    .args(["--exact", test, "--nocapture"])
                    .env(WITHIN, "1")
                    .output()
                    .expect("unshare");
                let text = said(&output);
                assert!(output.status.success(), "{text}");
                assert!(text.contains("1 passed"), "{text}");
                return false;
            }
            Ok(output) => why.push(format!("unshare {flags:?} mount: {}", said(&output))),
            Err(error) => why.push(format!("unshare: {error}")),
        }
    }
    let _ = writeln!(
        std::io::stderr(),
        "skipped, no file system can be mounted here: {why:?}"
    );
    false
}

/// A small file system.
struct Disk(PathBuf);

impl Disk {
    fn mount(folder: PathBuf, options: &str) -> Self {
        fs::create_dir(&folder).expect("a folder");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(&folder)
            .output();
        let output = mount.expect("mount");
        assert!(output.status.success(), "{}", said(&output));
        Self(folder)
    }

    /// Takes all the room.
    fn fill(&self) {
        let mut ballast = fs::File::create(self.0.join("ballast")).expect("a file");
        while ballast
            .write(&[0; 1 << 12])
            .is_ok_and(|written| written > 0)
        {}
    }

    /// Takes all that new files need.
    fn fill_inodes(&self) {
        fs::create_dir(self.0.join("files")).expect("a folder");
        for number in 0.. {
            if fs::File::create(self.0.join(format!("files/{number}"))).is_err() {
                return;
            }
        }
    }

    fn free(&self) {
        let _ = fs::remove_file(self.0.join("ballast"));
        let _ = fs::remove_dir_all(self.0.join("files"));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Else the folder below it cannot be removed.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

fn open_gates(study: &Study) {
    for trial in 1..=3 {
        for run in 0..=2 {
            study.open_gate(&format!("gate.{trial}.{run}"));
        }
    }
}

fn begun(study: &Study) -> String {
    fs::read_to_string(study.path("begun")).unwrap_or_default()
}

fn log(study: &Study) -> String {
    fs::read_to_string(study.path("daemon.log")).unwrap_or_default()
}

fn journal(study: &Study) -> String {
    fs::read_to_string(study.out("journal.jsonl")).unwrap_or_default()
}

/// How often each run of each trial is in the journal.
fn runs(study: &Study) -> BTreeMap<String, usize> {
    let mut runs = BTreeMap::new();
    for ended in study.events_of("run-ended") {
        let run = format!("{}.{}", ended["trial"], ended["run"]);
        *runs.entry(run).or_default() += 1;
    }
    runs
}

/// All runs are in the journal, each once; those that `before` had were begun
/// once.
#[track_caller]
fn assert_complete(study: &Study, before: &BTreeMap<String, usize>) {
    let all = ["1.1", "1.2", "2.1", "2.2", "3.1", "3.2"];
    let expected: BTreeMap<String, usize> = all.iter().map(|run| ((*run).to_owned(), 1)).collect();
    assert_eq!(runs(study), expected, "{}", study.trace());
    let begun = begun(study);
    for run in before.keys() {
        let times = begun.lines().filter(|line| line == run).count();
        assert_eq!(
            times,
            1,
            "run {run} was repeated: {begun}\n{}",
            study.trace()
        );
    }
    let good = study
        .results()
        .iter()
        .filter(|line| line["status"] == "ok")
        .count();
    assert_eq!(good, 3, "{:?}", study.results());
    assert_eq!(study.best()["N"], "3");
    assert!(!log(study).contains("panicked"));
}

/// A study that was begun, whose disk is full and who has said so: because
/// there is no room for another sitting, or with `wide` facts because the
/// journal takes none. Narrow ones fit into the block that it has already.
fn full(wide: bool) -> (Study, Disk, support::Daemon) {
    let metric = |number| format!("metrics.{}_{number:03} = 'm=(\\S+)'\n", "long".repeat(10));
    let metrics: String = (0..100).filter(|_| wide).map(metric).collect();
    let end = "metrics.m = 'm=(\\S+)'\n";
    let study = Study::new(&SPEC.replace(end, &format!("{end}{metrics}")));
    let disk = Disk::mount(study.path("out"), "size=512k");
    let daemon = study.start();
    study.open_gate("gate.1.1");
    study.await_events("run-ended", 1);
    study.wait("the second run", || begun(&study).contains("1.2"));
    disk.fill();
    open_gates(&study);
    study.wait("the complaint", || log(&study).contains("waiting: "));
    let what = if wide { "journal.jsonl" } else { "out" };
    let complaint = format!("{what} cannot be written for want of space: free some, retrying");
    assert!(log(&study).contains(&complaint), "{}", log(&study));
    (study, disk, daemon)
}

#[test]
fn a_study_waits_for_room_and_goes_on() {
    if !may_mount("a_study_waits_for_room_and_goes_on") {
        return;
    }
    for wide in [false, true] {
        let (study, disk, mut daemon) = full(wide);
        let (kept, done) = (journal(&study), runs(&study));
        assert!(!done.is_empty());
        // Looking on takes no room.
        assert_said(&study.autotuned(&["view", "out"]), 0, &["goes on"]);
        disk.free();
        assert_eq!(daemon.end(), 0, "{}", study.trace());
        let log = log(&study);
        assert!(journal(&study).starts_with(&kept), "{log}");
        assert_complete(&study, &done);
        assert!(log.contains("the disk takes data again"), "{log}");
        // The daemon and its runner have kept all that the disk did not take.
        assert_eq!(begun(&study).lines().count(), 6, "{log}");
        assert_eq!(study.events_of("sitting-ended").len(), 3, "{log}");
    }
}

#[test]
fn an_end_while_the_disk_is_full() {
    if !may_mount("an_end_while_the_disk_is_full") {
        return;
    }
    for (wide, signal, orderly) in [
        (false, Signal::SIGINT, 130),
        (false, Signal::SIGTERM, 0),
        (true, Signal::SIGINT, 130),
        (true, Signal::SIGTERM, 0),
    ] {
        // Something was still to be written, or nothing.
        let expected = if wide { 4 } else { orderly };
        let (study, disk, mut daemon) = full(wide);
        let (kept, done) = (journal(&study), runs(&study));
        daemon.signal(signal);
        assert_eq!(daemon.end(), expected, "{}", study.trace());
        let words = match wide {
            true => "what is in the journal stays",
            false => "the same command goes on",
        };
        let text = log(&study).to_lowercase();
        assert!(text.contains(words) && !text.contains("panicked"), "{text}");
        for started in study.events_of("step-started") {
            assert!(!Path::new(&format!("/proc/{}", started["pid"])).exists());
        }
        assert!(journal(&study).starts_with(&kept));
        // Started again without room it waits or ends, and loses nothing.
        let complaints = log(&study).matches("for want of space").count();
        let mut again = study.start();
        study.wait("the complaint", || {
            log(&study).matches("for want of space").count() > complaints
        });
        again.signal(signal);
        let code = again.end();
        assert!(code == orderly || code == 4, "{code}\n{}", study.trace());
        assert!(journal(&study).starts_with(&kept));
        disk.free();
        assert_eq!(study.start().end(), 0, "{}", study.trace());
        assert!(journal(&study).starts_with(&kept));
        assert_complete(&study, &done);
    }
}

#[test]
fn a_daemon_that_is_killed_while_the_disk_is_full() {
    if !may_mount("a_daemon_that_is_killed_while_the_disk_is_full") {
        return;
    }
    for wide in [false, true] {
        let (study, disk, mut daemon) = full(wide);
        let (kept, done) = (journal(&study), runs(&study));
        daemon.kill();
        disk.free();
        assert_eq!(study.start().end(), 0, "{}", study.trace());
        assert!(journal(&study).starts_with(&kept));
        assert_complete(&study, &done);
    }
}

#[test]
fn a_disk_that_is_full_at_the_start() {
    if !may_mount("a_disk_that_is_full_at_the_start") {
        return;
    }
    let study = Study::new(SPEC);
    open_gates(&study);
    let disk = Disk::mount(study.path("out"), "size=512k");
    disk.fill();
    let words = ["cannot be written for want of space: free some, or choose another output_dir"];
    assert_said(&study.run(), 4, &words);
    assert_said(&study.run(), 4, &words);
    assert_eq!(begun(&study), "", "nothing was tried");
    disk.free();
    assert_said(&study.run(), 0, &["done"]);
    assert_complete(&study, &BTreeMap::new());
}

#[test]
fn no_room_for_new_files() {
    if !may_mount("no_room_for_new_files") {
        return;
    }
    let study = Study::new(SPEC);
    let disk = Disk::mount(study.path("out"), "size=4m,nr_inodes=200");
    let mut daemon = study.start();
    study.open_gate("gate.1.1");
    study.await_events("run-ended", 1);
    study.wait("the second run", || begun(&study).contains("1.2"));
    disk.fill_inodes();
    open_gates(&study);
    study.wait("the complaint", || log(&study).contains("waiting: "));
    let (kept, done) = (journal(&study), runs(&study));
    disk.free();
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert!(journal(&study).starts_with(&kept));
    assert_complete(&study, &done);
    // And at the start.
    let study = Study::new(SPEC);
    open_gates(&study);
    let disk = Disk::mount(study.path("out"), "size=4m,nr_inodes=60");
    disk.fill_inodes();
    let words = ["for want of space: free some, or choose another output_dir"];
    assert_said(&study.run(), 4, &words);
    disk.free();
    assert_said(&study.run(), 0, &["done"]);
    assert_complete(&study, &BTreeMap::new());
}

#[test]
fn a_disk_that_is_read_only() {
    if !may_mount("a_disk_that_is_read_only") {
        return;
    }
    let study = Study::new(SPEC);
    let _disk = Disk::mount(study.path("out"), "ro");
    let words = ["Read-only file system", "choose another output_dir"];
    assert_said(&study.run(), 4, &words);
    let inner = study.autotuned(&["run", "study.toml", "-o", "out/inner"]);
    assert_said(&inner, 4, &words);
}

/// Takes a request, and answers nothing yet.
fn receive(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().expect("a connection");
    let mut reader = BufReader::new(stream.try_clone().expect("the connection"));
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    reader.read_exact(&mut vec![0; length]).expect("the body");
    stream
}

fn answer(mut stream: TcpStream, status: u16, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {length}");
    write!(stream, "{head}\r\n\r\n{body}").expect("answered");
}

/// What the last messages came to is no reason to fail: they are told again.
#[test]
fn messages_that_are_delivered_when_the_disk_is_full() {
    if !may_mount("messages_that_are_delivered_when_the_disk_is_full") {
        return;
    }
    // More than one block takes: so many channels, with such names and answers.
    const CHANNELS: usize = 16;
    let channel = |n| {
        format!(
            "[[notify.channel]]\nname = '{}{n}'\ntype = 'webhook'\nkinds = ['done']\n\
             url = {{ file = 'url' }}\n",
            "x".repeat(60)
        )
    };
    let channels: String = (0..CHANNELS).map(channel).collect();
    let study = Study::new(&format!("{SPEC}{channels}"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    fs::write(study.path("url"), url).expect("written");
    let owners = fs::Permissions::from_mode(0o600);
    fs::set_permissions(study.path("url"), owners).expect("a mode");
    let disk = Disk::mount(study.path("out"), "size=512k");
    open_gates(&study);
    let mut daemon = study.start();
    let streams: Vec<TcpStream> = (0..CHANNELS).map(|_| receive(&listener)).collect();
    disk.fill();
    for stream in streams {
        answer(stream, 400, &"because ".repeat(40));
    }
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    let log = unfolded(&log(&study));
    let complaint = "is not on record, and told once more by the next start";
    assert_eq!(log.matches(complaint).count(), 1, "{log}");
    let settled = study.events_of("notice-given-up").len();
    assert!(settled < CHANNELS, "{log}");
    // The others are told it again.
    disk.free();
    let mut daemon = study.start();
    for _ in settled..CHANNELS {
        answer(receive(&listener), 200, "");
    }
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(
        study.events_of("notice-delivered").len(),
        CHANNELS - settled
    );
    assert_complete(&study, &BTreeMap::new());
}

/// Nobody knows whether it was done, and that is what is said.
#[test]
fn a_change_that_the_disk_does_not_take_before_the_end() {
    if !may_mount("a_change_that_the_disk_does_not_take_before_the_end") {
        return;
    }
    let study = Study::new(SPEC);
    let disk = Disk::mount(study.path("out"), "size=512k");
    let mut daemon = study.start();
    study.wait("the first run", || begun(&study).contains("1.1"));
    good(&study, &["pause", "--now"]);
    study.await_events("sitting-ended", 1);
    disk.fill();
    // More than one block takes.
    let values: Vec<String> = (100_000..100_900).map(|value| value.to_string()).collect();
    let arguments = [
        &["space", "add", "N"][..],
        &values.iter().map(String::as_str).collect::<Vec<_>>(),
    ]
    .concat();
    let change = client(&study, &arguments).spawn().expect("autotunectl");
    study.wait("the complaint", || log(&study).contains("waiting: "));
    daemon.signal(Signal::SIGTERM);
    let output = change.wait_with_output().expect("autotunectl");
    assert_eq!(code(&output), 1, "{}", said(&output));
    let text = said(&output).replace("\n       ", " ");
    assert!(text.contains("it may have done that, or not"), "{text}");
    assert_eq!(daemon.end(), 4, "{}", study.trace());
}

/// The artifacts of the best trial wait for room, the former ones are whole
/// meanwhile, and nothing is lost.
#[test]
fn artifacts_wait_for_room() {
    if !may_mount("artifacts_wait_for_room") {
        return;
    }
    let study = Study::new(
        r#"
[study]
name = "full"
[objective]
maximize = "m"
[space]
N = [1, 2]
[[step]]
name = "train"
kind = "task"
command = ["sh", "-c", '''
    head -c 4000000 /dev/zero | tr '\0' $N > {dir}/model
    while ! [ -e {dir}/gate.$N ]; do sleep 0.01; done
    echo m=$N
''']
artifacts = ["model"]
metrics.m = 'm=(\S+)'
"#,
    );
    let disk = Disk::mount(study.path("out"), "size=16m");
    let mut daemon = study.start();
    study.open_gate("gate.1");
    study.await_events("artifacts-kept", 1);
    study.wait("the second", || study.events_of("step-started").len() == 2);
    // The journal has room, and a second model has not.
    let ballast = vec![0; 8 << 20];
    fs::write(study.out("ballast"), ballast).expect("a file");
    study.open_gate("gate.2");
    let complaint = "the artifacts of trial 2 cannot be kept yet: they need 4.8 MiB in";
    study.wait("the complaint", || {
        unfolded(&log(&study)).contains(complaint)
    });
    let best = |name: &str| fs::read(study.out("artifacts/best").join(name)).expect("a file");
    assert_eq!(best("model"), vec![b'1'; 4_000_000]);
    let about: serde_json::Value = serde_json::from_slice(&best("autotune.json")).expect("JSON");
    assert_eq!(about["trial"], 1);
    let status = good(&study, &["status"]);
    assert!(
        unfolded(&status).contains("not kept yet, being copied"),
        "{status}"
    );
    disk.free();
    assert_eq!(daemon.end(), 0, "{}", study.trace());
    assert_eq!(best("model"), vec![b'2'; 4_000_000]);
    assert_eq!(study.events_of("artifacts-kept").len(), 2);
    assert!(!study.out("artifacts/.best.new").exists());
}
