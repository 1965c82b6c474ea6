//! The shapes as they are: a change of one is seen here, and asks whether it
//! raises [`VERSION`].

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::*;
use crate::ctl::Cli;

/// Every place in a value with what it may be: `best.metrics[].name: string`.
fn places(schema: &Json, at: &Json, place: &str, depth: u32, into: &mut BTreeSet<String>) {
    assert!(depth < 40, "{place}");
    let mut go = |at: &Json, place: &str| places(schema, at, place, depth + 1, into);
    if let Some(reference) = at["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        go(schema.pointer(pointer).expect("a definition"), place);
    }
    for (name, of) in at["properties"].as_object().into_iter().flatten() {
        let required = at["required"].as_array().into_iter().flatten();
        let optional = if required.clone().any(|one| one == name) {
            ""
        } else {
            "?"
        };
        go(of, &format!("{place}.{name}{optional}"));
    }
    if at["items"].is_object() {
        go(&at["items"], &format!("{place}[]"));
    }
    for (index, of) in at["prefixItems"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        go(of, &format!("{place}[{index}]"));
    }
    for key in ["anyOf", "oneOf"] {
        for of in at[key].as_array().into_iter().flatten() {
            go(of, place);
        }
    }
    for key in ["const", "enum", "type"] {
        if !at[key].is_null() {
            into.insert(format!("{place}: {}", at[key]));
            break;
        }
    }
}

#[test]
fn a_shape_does_not_change_by_accident() {
    let mut all = String::new();
    let mut shown: Vec<(BTreeSet<String>, Vec<&str>)> = Vec::new();
    for (name, _) in ALL {
        let schema = of(name).expect("one of them");
        let mut found = BTreeSet::new();
        places(&schema, &schema, "", 0, &mut found);
        match shown.iter_mut().find(|(other, _)| *other == found) {
            Some((_, names)) => names.push(name),
            None => shown.push((found, vec![name])),
        }
    }
    for (places, names) in shown {
        all += &format!("# {}\n", names.join(", "));
        for place in places {
            all += &format!("{place}\n");
        }
    }
    insta::assert_snapshot!(all);
    assert_eq!(VERSION, 1);
}

#[test]
fn every_verb_has_one_or_prints_none() {
    // They print what a step, a person or a shell reads, or nothing.
    let without = ["top", "publish", "logs", "wait", "completions", "schema"];
    let mut cli = Cli::command();
    cli.build();
    let known = |name: &str| ALL.iter().any(|(other, _)| *other == name);
    let of_ours = |verb: &&clap::Command| verb.get_name() != "help";
    for verb in cli.get_subcommands().filter(of_ours) {
        let name = verb.get_name();
        let below: Vec<String> = verb
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
            .map(|below| format!("{name} {}", below.get_name()))
            .collect();
        let has_one = known(name) || !below.is_empty();
        assert_ne!(without.contains(&name), has_one, "{name}");
        for name in below {
            assert!(known(&name), "{name}");
        }
    }
}

#[test]
fn a_schema_is_one_and_says_its_version() {
    for (name, _) in ALL {
        let schema = of(name).expect("one of them");
        jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        let id = schema["$id"].as_str().expect("an id");
        assert!(id.starts_with("urn:autotune:json:1:"), "{id}");
    }
}
