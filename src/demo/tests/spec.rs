//! The spec that comes with the demo fits the programs.

use std::time::Duration;

use super::super::index::planned_bytes;
use super::super::*;

#[test]
fn the_spec_names_parameters_metrics_and_values_that_exist() {
    let spec: toml::Table = SPEC.parse().expect("TOML");
    let base = spec["base"].as_table().expect("a table");
    let space = spec["space"].as_table().expect("a table");
    let check = |name: &str, value: &str| {
        let env = |asked: &str| match asked {
            _ if asked == name => Some(value.to_owned()),
            // The evaluator wants a port that is not 0.
            "PORT" => Some("1".to_owned()),
            _ => base.get(asked)?.as_str().map(str::to_owned),
        };
        EvaluatorSettings::from_env(&env).expect("the evaluator takes it");
        let settings = ServerSettings::from_env(&env).expect("the server takes it");
        let size = planned_bytes(&settings.index, settings.data.vectors);
        (settings, size)
    };
    let (start, size) = check("", "");
    assert!(size <= start.memory_limit);
    let mut too_large = Vec::new();
    for (name, values) in space {
        let values = values.as_array().expect("a list");
        assert!(values.contains(&base[name]), "{name} has no start");
        for value in values {
            let value = value.as_str().expect("a string");
            let (settings, size) = check(name, value);
            let changes =
                settings != start || name == "BATCH" || base[name].as_str() == Some(value);
            assert!(changes, "the server does not know {name}");
            if size > settings.memory_limit {
                too_large.push(format!("{name}={value}"));
            }
        }
    }
    assert_eq!(too_large, ["SPILL=2"]);

    let printed = Evaluation {
        recall: 0.5,
        queries_per_second: 2.0,
        p50_ms: 3.0,
        p99_ms: 4.0,
        requests: 1,
        scanned_per_query: 1.0,
        memory_bytes: 5 << 20,
        build_seconds: 1.0,
        total: Duration::from_secs(1),
    }
    .to_string();
    let metrics = spec["step"][1]["metrics"].as_table().expect("a table");
    let read = |metric: &str| {
        let pattern = metrics[metric]["regex"].as_str().expect("a pattern");
        let pattern = regex::Regex::new(pattern).expect("a pattern");
        pattern.captures(&printed).expect("it matches")[1].parse::<f64>()
    };
    for (metric, value) in [
        ("recall", 0.5),
        ("qps", 2.0),
        ("p99_ms", 4.0),
        ("memory_mib", 5.0),
    ] {
        assert_eq!(read(metric), Ok(value), "{metric}");
    }
    assert_eq!(metrics.len(), 4);
}
