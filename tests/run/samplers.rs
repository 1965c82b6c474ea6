//! Which params are tried, and in which order.

use std::collections::BTreeSet;

use crate::simple;
use crate::support::{Study, code, said};

const PRINT: &str = r#"["{child}", "run", "--print", "score={{ N }}"]"#;

fn planned(study: &Study) -> Vec<String> {
    let output = study.run();
    assert_eq!(code(&output), 0, "{}", said(&output));
    study.planned()
}

#[test]
fn a_grid_is_tried_in_order_after_the_baseline() {
    let sections = r#"
        [search]
        sampler = "grid"
        [base]
        A = "b"
        [space]
        A = ["a", "b", "c"]
        N = [1, 2]
        [[rule]]
        require = "A != 'c' or N == 2""#;
    let study = simple(sections, PRINT);
    let order = ["A=b N=1", "A=a N=1", "A=a N=2", "A=b N=2", "A=c N=2"];
    assert_eq!(planned(&study), order);
    assert_eq!(study.events_of("trial-planned")[0]["origin"], "baseline");
    let done = &study.events_of("done")[0]["reason"];
    assert_eq!(done, "every combination of the grid has been tried");
}

#[test]
fn random_is_the_same_for_the_same_seed() {
    let with_seed = |seed: u32| {
        let sections = format!(
            r#"
            seed = {seed}
            [search]
            sampler = "random"
            [budget]
            trials = 7
            [space]
            rate = {{ float = [1e-5, 1e-3], log = true }}
            N = {{ int = [1, 100] }}
            kind = ["full", "lora"]
            rank = {{ int = [4, 64], when = "kind == 'lora'" }}"#
        );
        simple(&sections, PRINT)
    };
    let (one, same, other) = (with_seed(7), with_seed(7), with_seed(8));
    let tried = planned(&one);
    assert_eq!(tried.len(), 7);
    assert_eq!(planned(&same), tried);
    assert_ne!(planned(&other)[1..], tried[1..]);
    // All of them begin with the baseline, and condition and params agree.
    assert_eq!(other.planned()[0], tried[0]);
    assert!(
        tried
            .iter()
            .all(|key| key.contains("rank=") == key.contains("kind=lora")),
        "{tried:?}"
    );
}

#[test]
fn a_small_space_is_tried_to_its_end_and_nothing_twice() {
    for sampler in ["random", "grid", "coordinate"] {
        let sections = format!(
            r#"
            [search]
            sampler = "{sampler}"
            passes = 4
            [base]
            N = 2
            [space]
            N = [1, 2, 3]
            A = ["x", "y"]"#
        );
        let study = simple(&sections, PRINT);
        let tried = planned(&study);
        assert_eq!(tried[0], "A=x N=2", "{sampler}");
        let different: BTreeSet<&String> = tried.iter().collect();
        assert_eq!(different.len(), tried.len(), "{sampler}: {tried:?}");
        if sampler != "coordinate" {
            assert_eq!(tried.len(), 6, "{sampler}: {tried:?}");
        }
        assert_eq!(study.best()["N"], "3", "{sampler}");
    }
}

/// A restart in the middle gets the same params as a study that ran through.
#[test]
fn a_restart_changes_no_params() {
    let sections = |trials: u32| {
        format!(
            r#"
            [search]
            sampler = "random"
            [budget]
            trials = {trials}
            [space]
            N = {{ float = [0.0, 1.0] }}"#
        )
    };
    let whole = simple(&sections(6), PRINT);
    let parts = simple(&sections(2), PRINT);
    assert_eq!(planned(&parts).len(), 2);
    parts.write_spec(&crate::spec(&sections(6), PRINT));
    assert_eq!(planned(&parts), planned(&whole));
}
