//! Numbers for monitoring, and their text as Prometheus reads it.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Numbers of one meaning, one for each set of labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Family {
    /// Its name, as `autotune_trials`.
    pub name: String,
    /// What it means, a sentence.
    pub help: String,
    /// How it moves.
    pub kind: FamilyKind,
    /// Its numbers; there may be none.
    pub samples: Vec<Sample>,
}

/// How a number moves. Variants are only added at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FamilyKind {
    /// Up and down.
    Gauge,
    /// Up only.
    Counter,
}

/// A number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Which of its family it is.
    pub labels: Vec<Label>,
    /// Its value; finite.
    pub value: f64,
}

/// A name and a text that tell one number from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Label {
    /// The name.
    pub name: String,
    /// The text.
    pub value: String,
}

/// The text of these families in Prometheus' text format, version 0.0.4, which
/// is what the textfile collector of node_exporter takes: without the `# EOF`
/// and the `# UNIT` of OpenMetrics, and without times.
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
pub fn text(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let name = &family.name;
        let help = family.help.replace('\\', r"\\").replace('\n', r"\n");
        let kind = match family.kind {
            FamilyKind::Gauge => "gauge",
            FamilyKind::Counter => "counter",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in &family.samples {
            let labels: Vec<String> = sample.labels.iter().map(label).collect();
            let labels = labels.join(",");
            let _ = writeln!(text, "{name}{{{labels}}} {}", sample.value);
        }
    }
    text
}

fn label(label: &Label) -> String {
    let value = label.value.replace('\\', r"\\");
    let value = value.replace('"', "\\\"").replace('\n', r"\n");
    format!("{}=\"{value}\"", label.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_line_or_a_label_is_escaped() {
        let family = Family {
            name: "autotune_trials".to_owned(),
            help: "Trials:\na \\ count.".to_owned(),
            kind: FamilyKind::Gauge,
            samples: vec![Sample {
                labels: vec![Label {
                    name: "study".to_owned(),
                    value: "a\"b\\c\nd 调".to_owned(),
                }],
                value: 1e-7,
            }],
        };
        let empty = Family {
            samples: Vec::new(),
            ..family.clone()
        };
        let expected = "# HELP autotune_trials Trials:\\na \\\\ count.\n\
                        # TYPE autotune_trials gauge\n\
                        autotune_trials{study=\"a\\\"b\\\\c\\nd 调\"} 0.0000001\n";
        assert_eq!(text(&[family, empty]), expected);
    }
}
