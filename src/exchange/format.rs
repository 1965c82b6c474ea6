//! Records to the text of a file, a trial at a time.

use super::record::{Head, Trial};
use super::{csv, optuna};

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for spreadsheets and data frames: a line a trial.
    Csv,
    /// One JSON document.
    Json,
    /// A line of JSON about the study, then one a trial.
    Jsonl,
    /// The journal file of Optuna's `JournalStorage`.
    Optuna,
}

/// A file that is being written.
pub struct Rendering {
    format: Format,
    head: Head,
    trials: u32,
}

impl Rendering {
    /// A file about the study of `head`.
    pub const fn new(format: Format, head: Head) -> Self {
        Self {
            format,
            head,
            trials: 0,
        }
    }

    /// How many trials it has.
    pub const fn trials(&self) -> u32 {
        self.trials
    }

    /// How it begins.
    pub fn begin(&self) -> String {
        match self.format {
            Format::Csv => csv::header(&self.head),
            Format::Json => format!("{{\"study\": {},\n\"trials\": [", text(&self.head)),
            Format::Jsonl => format!("{}\n", text(&self.head)),
            Format::Optuna => optuna::begin(&self.head),
        }
    }

    /// What comes next, about the next trial.
    pub fn trial(&mut self, trial: &Trial) -> String {
        self.trials += 1;
        match self.format {
            Format::Csv => csv::line(&self.head, trial),
            Format::Json => {
                let comma = if self.trials > 1 { "," } else { "" };
                format!("{comma}\n{}", text(trial))
            }
            Format::Jsonl => format!("{}\n", text(trial)),
            Format::Optuna => optuna::line(&self.head, trial),
        }
    }

    /// How it ends.
    pub const fn end(&self) -> &'static str {
        match self.format {
            Format::Json => "\n]}\n",
            Format::Csv | Format::Jsonl | Format::Optuna => "",
        }
    }
}

pub(super) fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("texts and finite numbers")
}

#[cfg(test)]
mod tests {
    //! What other programs get of a small study in which everything has happened.

    use serde_json::Value as Json;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::exchange::record::Domain;
    use crate::model::curve::Told;
    use crate::model::domain::Scale;
    use crate::model::event::Event;
    use crate::model::spec::SamplerKind;
    use crate::model::trial::{Origin, Purpose, TrialId};
    use crate::model::value::{Finite, Value};
    use crate::search::simulation::{self, Answer, Simulation, fails, int, list};

    /// A complete, an infeasible, a failed, a skipped, a running and a planned trial.
    fn study() -> Simulation {
        let space = simulation::space(
            vec![
                list("MODE", "=fast|safe,\"x\" slow", ""),
                int("N", 1, 64, Scale::Log, ""),
                list("HF_TOKEN", "hunter2 hunter3", ""),
            ],
            &[],
        );
        let mut spec = simulation::spec(space, SamplerKind::Random);
        spec.search.racing = false;
        spec.steps = vec![simulation::measure("measure", 2, &["speed", "quality"])];
        let mut simulation = Simulation::new(spec);
        let space = &simulation.study.spec().space.clone();
        let with = |n: i64| {
            let base = space.baseline().expect("params");
            space.with(&base, "N", &Value::Int(n)).expect("params")
        };
        let runs = |runs: &[(f64, f64)]| Answer::Runs(runs.to_vec());
        let baseline = space.baseline().expect("params");
        simulation.try_params(
            &baseline,
            Origin::Baseline,
            &runs(&[(10.0, 0.75), (12.0, 0.75)]),
        );
        simulation.try_params(
            &with(2),
            Origin::Sampler,
            &runs(&[(20.0, 0.25), (22.0, 0.25)]),
        );
        simulation.try_params(&with(3), Origin::Sampler, &fails());
        let skipped = simulation.plan(&with(4), Origin::User);
        simulation.happen(Event::TrialSkipped { trial: skipped });
        let running = simulation.plan(&with(5), Origin::Sampler);
        simulation.happen(Event::SittingStarted {
            trial: running,
            sitting: 1,
            purpose: Purpose::Measure,
            token: "t".to_owned(),
            boot_id: "b".into(),
            slot: None,
        });
        for at in [10.0, 20.0] {
            simulation.happen(Event::RunTold {
                trial: running,
                told: Told {
                    step: "measure".into(),
                    run: 1,
                    sitting: 1,
                    at: Finite::new(at).expect("finite"),
                    of: None,
                    metrics: [("speed".into(), Finite::new(at / 8.0).expect("finite"))].into(),
                },
            });
        }
        simulation.plan(&with(6), Origin::Sampler);
        simulation
    }

    fn rendered(format: Format) -> String {
        let study = study().study;
        let head = Head::of(&study, Timestamp::from_millis(1_763_767_200_250));
        let mut rendering = Rendering::new(format, head);
        let mut text = rendering.begin();
        for trial in study.trials() {
            let trial = Trial::of(&study, trial, Timestamp::from_millis(60_000));
            text += &rendering.trial(&trial);
        }
        assert_eq!(rendering.trials(), 6);
        text + rendering.end()
    }

    fn json(line: &str) -> Json {
        serde_json::from_str(line).expect("JSON")
    }

    #[test]
    fn a_table_has_every_trial_and_no_formula() {
        let text = rendered(Format::Csv);
        insta::assert_snapshot!(text);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let names = reader.headers().expect("a header").clone();
        let rows: Vec<::csv::StringRecord> =
            reader.records().map(|row| row.expect("a row")).collect();
        assert_eq!(rows.len(), 6);
        let cell = |row: usize, name: &str| {
            let at = names.iter().position(|known| known == name);
            rows[row][at.expect("the column")].to_owned()
        };
        assert_eq!(cell(0, "params_MODE"), "'=fast|safe,\"x\"");
        assert_eq!(cell(0, "metrics_speed"), "11");
        assert_eq!(cell(2, "outcome"), "failed");
    }

    #[test]
    fn a_secret_is_in_no_export() {
        for format in [Format::Csv, Format::Json, Format::Jsonl, Format::Optuna] {
            let text = rendered(format);
            assert!(!text.contains("hunter"), "{text}");
            assert!(text.contains("[withheld]"), "{text}");
        }
    }

    #[test]
    fn records_read_back_as_they_were() {
        let text = rendered(Format::Jsonl);
        let mut lines = text.lines();
        let head: Head = serde_json::from_str(lines.next().expect("a head")).expect("a head");
        assert_eq!(
            (head.trials, &*head.begun),
            (6, "2025-11-21T23:20:00.250000+00:00")
        );
        assert_eq!(
            head.parameters[1].domain,
            Domain::Int {
                low: 1,
                high: 64,
                log: true
            }
        );
        let trials = lines.map(|line| serde_json::from_str(line).expect("a trial"));
        let trials: Vec<Trial> = trials.collect();
        let again: String = trials
            .iter()
            .map(|trial| format!("{}\n", super::text(trial)))
            .collect();
        assert_eq!(text.split_once('\n').expect("lines").1, again);
        let words: Vec<&str> = trials.iter().map(|trial| &*trial.outcome).collect();
        assert_eq!(
            words,
            [
                "complete",
                "infeasible",
                "failed",
                "pruned",
                "running",
                "planned"
            ]
        );
        assert_eq!(trials[0].constraints, [Some(-0.25)]);
        assert_eq!(trials[1].constraints, [Some(0.25)]);
        assert_eq!(trials[4].curves[0].points, [(10.0, 1.25), (20.0, 2.5)]);
        assert!(trials[0].best && !trials[1].best);
        assert_eq!(trials[0].runs.len(), 2);

        let whole = json(&rendered(Format::Json));
        assert_eq!(whole["study"]["study"], "made-up");
        assert_eq!(whole["trials"].as_array().map(Vec::len), Some(6));
    }

    #[test]
    fn optuna_gets_states_values_and_constraints() {
        let text = rendered(Format::Optuna);
        let lines: Vec<Json> = text.lines().map(json).collect();
        assert_eq!(lines[0]["directions"], serde_json::json!([2]));
        let trials: Vec<&Json> = lines.iter().filter(|line| line["op_code"] == 4).collect();
        let states: Vec<i64> = trials.iter().filter_map(|t| t["state"].as_i64()).collect();
        assert_eq!(states, [1, 1, 3, 2, 0, 4]);
        assert_eq!(trials[0]["value"], 11.0);
        assert_eq!(
            trials[1]["system_attrs"]["constraints"],
            serde_json::json!([0.25])
        );
        assert_eq!(
            trials[0]["intermediate_values"],
            serde_json::json!({"1": 10.0, "2": 12.0})
        );
        assert_eq!(
            trials[4]["intermediate_values"],
            serde_json::json!({"10": 1.25, "20": 2.5})
        );
        assert_eq!(
            trials[1]["params"],
            serde_json::json!({"MODE": 0, "N": 2, "HF_TOKEN": 0})
        );
        let distribution = trials[0]["distributions"]["N"].as_str().map(json);
        assert_eq!(
            distribution.expect("a text")["attributes"],
            serde_json::json!({"log": true, "step": 1, "low": 1, "high": 64})
        );
        assert_eq!(trials[5]["system_attrs"]["fixed_params"]["N"], 6);
        for (trial, state) in trials.iter().zip(&states) {
            // Optuna reads no null there.
            assert_eq!(
                trial["datetime_complete"].is_string(),
                (1..=3).contains(state)
            );
        }
    }

    #[test]
    fn what_was_tried_under_a_former_space_has_a_place() {
        let mut study = study();
        let params = |n: Value| {
            crate::model::params::Params::recorded([
                ("N".into(), n),
                ("OLD".into(), Value::Bool(true)),
            ])
        };
        study.plan(&params(Value::Int(128)), Origin::Imported);
        study.plan(&params(Value::Int(-1)), Origin::Imported);
        let parameters = Head::of(&study.study, Timestamp::from_millis(0)).parameters;
        assert_eq!(
            parameters[1].domain,
            Domain::Int {
                low: -1,
                high: 128,
                log: false
            }
        );
        assert_eq!(parameters[3].domain, Domain::Values(vec![true.into()]));
        assert_eq!(parameters[3].base, None);
        study.plan(&params(Value::from("many")), Origin::Imported);
        let head = Head::of(&study.study, Timestamp::from_millis(0));
        let Domain::Values(values) = &head.parameters[1].domain else {
            panic!("a text is in no range");
        };
        assert!(
            values.contains(&"many".into()) && values.contains(&5.into()),
            "{values:?}"
        );
        let last = study.study.trial(TrialId(9)).expect("it is planned");
        let last = Trial::of(&study.study, last, Timestamp::from_millis(0));
        let line = json(&Rendering::new(Format::Optuna, head).trial(&last));
        assert!(line["params"]["N"].is_u64(), "{line}");
    }
}
