//! Samplers and the journal. The sampler `model` from end to end: a real daemon
//! tunes a program that answers as a kernel did on a GPU, by a table of the
//! search benchmark.

#[path = "helpers/study.rs"]
mod made_up;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use autotune::base::clock::Timestamp;
use autotune::config;
use autotune::model::event::Event;
use autotune::model::spec::SamplerKind;
use autotune::model::study::Study as State;
use autotune::model::trial::Origin;
use autotune::search::{Ask, ask};
use autotune::store::{self, Header, Journal};
use serde_json::Value as Json;
use support::Study;

const TABLE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/search/tables/kt_pnpoly_3090"
);
/// Of 672 configurations, of which some do not start. Each has one run: how many
/// more have ended when the word comes that it is put off is chance.
const TRIALS: usize = 50;

/// The space of the table, from a baseline in the middle of the field.
fn spec() -> String {
    let meta = std::fs::read_to_string(format!("{TABLE}.meta.json")).expect("the table");
    let meta: Json = serde_json::from_str(&meta).expect("JSON");
    let (mut base, mut space) = (String::new(), String::new());
    let parameters = meta["params"].as_array().expect("parameters");
    for (index, parameter) in parameters.iter().enumerate() {
        let name = parameter["name"].as_str().expect("a name");
        let values = parameter["values"].as_array().expect("values");
        let values: Vec<String> = values.iter().map(|v| format!("\"{v}\"")).collect();
        let own = meta["start_configs"][0][index].as_u64().expect("a place");
        base += &format!("{name} = {}\n", values[own as usize]);
        space += &format!("{name} = [{}]\n", values.join(", "));
    }
    format!(
        r#"
[study]
name = "replay"
seed = 1
[objective]
maximize = "objective"
[budget]
trials = {TRIALS}
converged = 0
[search]
sampler = "model"
racing = true
[base]
{base}
[space]
{space}
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{{child}}", "replay", "--table", "{TABLE}.csv", "--run", "{{{{ run }}}}"]
[step.metrics]
objective = 'objective=(\S+)'
"#
    )
}

/// The objective of every configuration that starts, without noise.
fn table() -> BTreeMap<Vec<String>, f64> {
    let text = std::fs::read_to_string(format!("{TABLE}.csv")).expect("the table");
    let rows = text.lines().skip(1).map(|line| line.split(',').collect());
    let rows = rows.filter(|row: &Vec<&str>| row[row.len() - 2] == "ok");
    let row = |row: Vec<&str>| {
        let (params, rest) = row.split_at(row.len() - 4);
        let params = params.iter().map(|text| (*text).to_owned()).collect();
        (params, rest[0].parse().expect("a number"))
    };
    rows.map(row).collect()
}

/// It is killed on the way. What it tries is what the sampler asks for by the
/// journal up to there, before and after.
#[test]
fn the_model_finds_what_is_near_the_best_of_a_table() {
    let study = Study::new(&spec());
    let mut daemon = study.start();
    study.await_events("sitting-ended", TRIALS / 3);
    daemon.kill();
    study.await_nothing_alive();
    let mut daemon = study.start();
    assert_eq!(daemon.end(), 0, "{}", study.trace());

    let planned = study.planned();
    assert_eq!(planned.len(), TRIALS);
    let checked = config::read(&study.path("study.toml")).expect("a spec");
    let mut state = State::new(Arc::new(checked.spec));
    let mut compared = 0;
    let seen = store::read(&study.out(""), |fact| {
        if let Event::TrialPlanned { params, origin, .. } = &fact.event
            && *origin == Origin::Sampler
        {
            assert_eq!(ask(&state), Ask::Try(params.clone()));
            compared += 1;
        }
        state.apply(fact)
    });
    seen.expect("a journal");
    assert_eq!(compared, TRIALS - 1);

    let table = table();
    let best = study.best();
    let meta = std::fs::read_to_string(format!("{TABLE}.csv")).expect("the table");
    let names = meta.lines().next().expect("a header").split(',').take(4);
    let value = |name: &str| best[name].as_str().expect("a value").to_owned();
    let found = table[&names.map(value).collect::<Vec<String>>()];
    let optimum = table.values().copied().fold(0.0, f64::max);
    assert!(
        found > 0.95 * optimum,
        "{found} of {optimum}: {}",
        planned.join("\n")
    );
}

/// A daemon that starts again has the journal alone.
#[test]
fn a_journal_that_is_read_again_gives_the_same_next_ask() {
    for sampler in SamplerKind::ALL {
        let mut spec = made_up::spec();
        spec.search.sampler = sampler;
        let spec = Arc::new(spec);
        let folder = tempfile::tempdir().expect("a folder");
        let header = Header::new(&spec, Timestamp::from_millis(made_up::BEGAN));
        let journal = Journal::open(folder.path(), &header, |_| Ok(()));
        let (mut journal, _) = journal.expect("a new journal");
        let mut story = made_up::Story::new(Arc::clone(&spec), 7);
        let mut live = State::new(Arc::clone(&spec));
        for number in 0..8 {
            let mut facts = story.good_trial();
            if number == 0
                && let Event::TrialPlanned { params, .. } = &mut facts[0].event
            {
                *params = spec.space.baseline().expect("no rules");
            }
            for fact in &facts {
                live.apply(fact).expect("a fact that fits");
            }
            journal.append(&facts).expect("room");
            let (again, _) = store::view(folder.path(), Arc::clone(&spec)).expect("a journal");
            assert_eq!(ask(&again), ask(&live), "{sampler:?} after {number}");
        }
    }
}
