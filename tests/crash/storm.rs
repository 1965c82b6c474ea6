//! SIGKILL at random moments, again and again.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use crate::checks::{assert_nothing_left, ends, journalled, on_disk, performed};
use crate::support::{Study, kill};

const SPEC: &str = r#"
[study]
name = "storm"
pass_env = ["PIDS"]
[objective]
maximize = "speed"
[search]
sampler = "grid"
[space]
N = [1, 2, 3, 4, 5, 6]
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
command = ["{child}", "run", "--sleep", "20", "--leave", "--print", "speed={{ N }}", "--done", "{dir}/runs", "--line", "{{ trial }} eval {{ run }}"]
metrics.speed = 'speed=(\S+)'
"#;

const KILLS: u32 = 20;
/// Longer than a trial takes, so that some live to their end.
const PAUSE_MAX_MS: u64 = 400;

fn every_run_is_there_once(cgroup: bool) {
    let study = Study::new(&SPEC.replace("{cgroup}", &cgroup.to_string()));
    for number in 0..KILLS {
        let random = RandomState::new().hash_one(number);
        let mut daemon = study.start();
        // The moment is what is random here, so nothing is waited for.
        let moment = Instant::now() + Duration::from_millis(random % PAUSE_MAX_MS);
        std::thread::sleep(moment - Instant::now());
        let runner = study.newest_runner();
        let before = on_disk(&study);
        match (random >> 32) % 3 {
            0 => daemon.kill(),
            1 => {
                daemon.kill();
                runner.into_iter().for_each(kill);
            }
            _ => {
                runner.into_iter().for_each(kill);
                daemon.kill();
            }
        }
        let after = on_disk(&study);
        assert_eq!(
            before.iter().find(|run| !after.contains(run)),
            None,
            "{}",
            study.trace()
        );
    }
    let kept = on_disk(&study);
    assert_eq!(study.start().end(), 0, "{}", study.trace());
    assert_nothing_left(&study);
    let journal = journalled(&study);
    let expected: Vec<_> = (1..=6)
        .flat_map(|trial| (1..=3).map(move |run| (trial, "eval".to_owned(), run)))
        .collect();
    assert!(journal.keys().eq(&expected), "{journal:?}");
    assert!(journal.values().all(|count| *count == 1), "{journal:?}");
    assert_eq!(kept.iter().find(|run| !journal.contains_key(run)), None);
    // None was recorded that was not performed.
    assert!(performed(&study).keys().eq(&expected));
    assert_eq!(
        ends(&study).iter().filter(|end| *end == "complete").count(),
        6
    );
    let lines: Vec<String> = study
        .results()
        .iter()
        .map(|line| line["trial"].to_string())
        .collect();
    assert!(lines.len() >= 6, "{lines:?}");
}

both_ways!(every_run_is_there_once);
