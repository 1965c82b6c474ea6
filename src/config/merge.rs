//! A spec's tree with what its preset fills in; [`super::presets`] has the
//! rules. Every key and value keeps its place in the text.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// What a list's tables are told apart by.
const NAMED: [(&str, &str); 6] = [
    ("step", "name"),
    ("preflight", "name"),
    ("incumbent", "name"),
    ("constraint", "metric"),
    ("rule", "require"),
    ("notify.channel", "name"),
];

/// How a service can be found ready; `ready` has one of them.
const CHECKS: [&str; 3] = ["http", "tcp", "log"];

/// The tree of a spec with what `preset` has and the spec has not.
pub(super) fn merge<'t>(spec: DeTable<'t>, mut preset: DeTable<'t>) -> DeTable<'t> {
    drop_bases(&spec, &mut preset);
    tables("", spec, preset)
}

/// The values that the spec gives a parameter need not have the preset's base
/// value among them.
fn drop_bases(spec: &DeTable<'_>, preset: &mut DeTable<'_>) {
    let space = spec.get("space").map(Spanned::get_ref);
    let Some(DeValue::Table(space)) = space else {
        return;
    };
    if let Some(DeValue::Table(base)) = preset.get_mut("base").map(Spanned::get_mut) {
        for name in space.keys() {
            let name: &str = name.get_ref();
            base.remove(name);
        }
    }
}

/// `path` is where the tables stand, `step.ready`.
fn tables<'t>(path: &str, mut spec: DeTable<'t>, preset: DeTable<'t>) -> DeTable<'t> {
    let mut merged = DeTable::new();
    for (key, filled_in) in preset {
        let (key, value) = match spec.remove_entry(&key) {
            None => (key, filled_in),
            Some((key, given)) => {
                let path = match path {
                    "" => key.get_ref().to_string(),
                    _ => format!("{path}.{}", key.get_ref()),
                };
                (key, values(&path, given, filled_in))
            }
        };
        merged.insert(key, value);
    }
    merged.extend(spec);
    merged
}

fn values<'t>(
    path: &str,
    spec: Spanned<DeValue<'t>>,
    preset: Spanned<DeValue<'t>>,
) -> Spanned<DeValue<'t>> {
    let span = spec.span();
    let identity = NAMED.iter().find(|(list, _)| *list == path);
    let value = match (spec.into_inner(), preset.into_inner(), identity) {
        (DeValue::Table(spec), DeValue::Table(preset), _) if mixes(path, &spec, &preset) => {
            DeValue::Table(tables(path, spec, preset))
        }
        (DeValue::Array(spec), DeValue::Array(preset), Some((_, key))) => {
            DeValue::Array(lists(path, key, spec, preset))
        }
        (spec, ..) => spec,
    };
    Spanned::new(span, value)
}

/// Whether two tables are merged, and the spec's does not take the place of
/// the preset's.
fn mixes(path: &str, spec: &DeTable<'_>, preset: &DeTable<'_>) -> bool {
    let whole = ["space.", "step.metrics."];
    if path == "objective" || whole.iter().any(|start| path.starts_with(start)) {
        return false;
    }
    let mut given = CHECKS.iter().filter(|check| spec.contains_key(**check));
    path != "step.ready" || given.all(|check| preset.contains_key(*check))
}

/// Two lists of tables that `key` tells apart.
fn lists<'t>(path: &str, key: &str, spec: DeArray<'t>, preset: DeArray<'t>) -> DeArray<'t> {
    let mut given: Vec<Spanned<DeValue<'t>>> = spec.into_iter().collect();
    let mut merged = DeArray::new();
    for filled_in in preset {
        let same = |element: &Spanned<DeValue<'_>>| {
            let name = name_of(element, key);
            name.is_some() && name == name_of(&filled_in, key)
        };
        merged.push(match given.iter().position(same) {
            Some(index) => values(path, given.remove(index), filled_in),
            None => filled_in,
        });
    }
    given.into_iter().for_each(|element| merged.push(element));
    merged
}

fn name_of<'e>(element: &'e Spanned<DeValue<'_>>, key: &str) -> Option<&'e str> {
    let DeValue::Table(table) = element.get_ref() else {
        return None;
    };
    match table.get(key)?.get_ref() {
        DeValue::String(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::write_out::write_out;

    /// What comes of a spec and a preset, as text.
    fn merged(spec: &str, preset: &str) -> String {
        let whole = format!("{spec}\n{preset}");
        let shifted = "\n".repeat(spec.len() + 1) + preset;
        let parse = |text| DeTable::parse(text).expect("TOML").into_inner();
        write_out(&merge(parse(spec), parse(&shifted)), &whole)
    }

    #[test]
    fn tables_are_merged_and_values_replaced() {
        let preset = "[study]\nseed = 1\npass_env = [\"A\", \"B\"]\n[host]\ncooldown = '5s'";
        let spec = "[study]\nname = 's'\npass_env = [\"C\"]\nseed = 0x2\n[budget]\ntrials = 9";
        assert_eq!(
            merged(spec, preset),
            "[study]\nseed = 0x2\npass_env = [\"C\"]\nname = 's'\n\n[host]\ncooldown = '5s'\n\n\
             [budget]\ntrials = 9\n"
        );
    }

    #[test]
    fn parameters_keep_their_order_and_are_replaced_as_a_whole() {
        let preset = "[base]\nB = 2\nA = 1\nC = 0.90\n\
                      [space]\nB = { values = [1, 2], when = 'A == 1' }\nA = [1]\nC = [0.90]";
        let spec = "[space]\nD = [1]\nA = { int = [3, 4] }\nB = [5]\n[base]\nB = 5";
        assert_eq!(
            merged(spec, preset),
            "[base]\nC = 0.90\nB = 5\n\n[space]\nB = [5]\nA = { int = [3, 4] }\nC = [0.90]\nD = [1]\n"
        );
    }

    #[test]
    fn lists_of_tables_go_by_name() {
        let preset = "[[step]]\nname = 'serve'\ncommand = ['x', 'y']\n\
                      ready = { http = 'a', timeout = '9m' }\n\
                      [[step]]\nname = 'bench'\nmetrics = { a = 'x(.)', b = { json = '/b' } }\n\
                      [[constraint]]\nmetric = 'p99'\nmax = 5\n[[rule]]\nrequire = 'A < B'";
        let spec = "step = [{ name = 'bench', runs = 5, metrics.b = 'b(.)' },\n\
                    { name = 'check' }, { name = 'serve', ready.http = 'c' }]\n\
                    constraint = [{ metric = 'p99', max = 7 }, { metric = 'ok', min = 1 }]\n\
                    rule = [{ require = 'C' }, { require = 'A < B' }]";
        insta::assert_snapshot!(merged(spec, preset));
    }

    #[test]
    fn one_thought_is_not_mixed_with_another() {
        let preset = "[objective]\nmaximize = 'tps'\n\
                      [[step]]\nname = 'serve'\nready = { http = 'a', status = '200' }";
        let spec = "objective.minimize = 'ms'\nstep = [{ name = 'serve', ready.tcp = 'b' }]";
        assert_eq!(
            merged(spec, preset),
            "[objective]\nminimize = 'ms'\n\n[[step]]\nname = 'serve'\n\n[step.ready]\ntcp = 'b'\n"
        );
    }
}
