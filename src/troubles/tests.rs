use std::collections::{BTreeMap, BTreeSet};

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    is: Vec<String>,
    near: Vec<String>,
}

fn samples() -> BTreeMap<String, Samples> {
    toml::from_str(include_str!("samples.toml")).expect("samples")
}

fn name(lines: &[&str]) -> Option<String> {
    find(lines.iter().copied(), None).map(|(cause, _)| cause.name)
}

/// Every trouble, by every expression of it, is known by what a real program
/// prints, and is not seen in what is only like it.
#[test]
fn real_messages_and_what_is_like_them() {
    let samples = samples();
    let mut hit = BTreeSet::new();
    for (of, samples) in &samples {
        assert!(!samples.is.is_empty() && !samples.near.is_empty(), "{of}");
        for line in &samples.is {
            let around = ["INFO start", line, "", "exit"];
            assert_eq!(name(&around).as_deref(), Some(of.as_str()), "{line}");
            hit.extend(KNOWN.lines.matches(line));
        }
        for line in &samples.near {
            assert_ne!(name(&[line]).as_deref(), Some(of.as_str()), "{line}");
        }
    }
    for (index, line) in KNOWN.lines.patterns().iter().enumerate() {
        assert!(
            hit.contains(&index),
            "nothing shows that it matches: {line}"
        );
    }
    for trouble in all() {
        let has_lines = !trouble.lines.is_empty();
        assert_eq!(
            samples.contains_key(&trouble.name),
            has_lines,
            "{}",
            trouble.name
        );
    }
}

#[test]
fn the_data_file_is_whole() {
    let names: BTreeSet<&str> = all().iter().map(|trouble| trouble.name.as_str()).collect();
    assert_eq!(names.len(), all().len(), "a name stands twice");
    for trouble in all() {
        let name = &trouble.name;
        assert_eq!(
            trouble.host.is_some(),
            trouble.host_fault().is_some(),
            "{name}"
        );
        for text in [&trouble.cause, &trouble.hint] {
            assert!(!text.en.is_empty() && !text.en.ends_with('.'), "{name}");
            assert!(!text.zh.is_empty() && !text.zh.ends_with('。'), "{name}");
        }
    }
}

/// Recorded ends of standard error, as `swift sft` 4.6 wrote them.
#[test]
fn whole_ends_of_outputs() {
    let unknown = [
        "    self.args = self._parse_args(args)",
        "                ^^^^^^^^^^^^^^^^^^^^^^",
        "  File \"swift/pipelines/base.py\", line 40, in _parse_args",
        "    raise ValueError(f'remaining_argv: {remaining_argv}')",
        "ValueError: remaining_argv: ['--train_type', 'lora']",
    ];
    let (cause, host) = find(unknown.into_iter(), Some(&Ending::Exited(1))).expect("known");
    assert_eq!(cause.name, "argument-unknown");
    assert_eq!(
        cause.line,
        "ValueError: remaining_argv: ['--train_type', 'lora']"
    );
    assert!(cause.hint.contains("tuner_type"), "{}", cause.hint);
    assert_eq!(host, None);
    let backtrace = [
        "ggml/src/ggml.c:1644: GGML_ASSERT(ctx->mem_buffer != NULL) failed",
        "#0  syscall () at ../sysdeps/unix/sysv/linux/x86_64/syscall.S:38",
        "38\t../sysdeps/unix/sysv/linux/x86_64/syscall.S: No such file or directory.",
        "[Inferior 1 (process 1615) detached]",
    ];
    assert_eq!(name(&backtrace), None);
    assert_eq!(name(&["all is well"]), None);
}

#[test]
fn the_line_that_gave_it_away_is_the_last_one() {
    let lines = [
        "No space left on device (1)",
        "x",
        "  No space left on device (2)  ",
        "[Errno 111] Connection refused",
    ];
    let (cause, host) = find(lines.into_iter(), None).expect("known");
    assert_eq!(cause.line, "No space left on device (2)");
    assert_eq!(host, Some(HostFault::DiskFull));
    assert!(
        chinese(&cause).starts_with("磁盘已满："),
        "{}",
        chinese(&cause)
    );
}

#[test]
fn how_it_ended_tells_where_the_output_does_not() {
    let of = |ending| find(["x"].into_iter(), Some(&ending)).map(|(cause, _)| cause);
    let cause = of(Ending::Signalled(4)).expect("known");
    assert_eq!(cause.name, "illegal-instruction");
    assert_eq!(cause.line, "the program was killed by SIGILL");
    let by_shell = of(Ending::Exited(137)).expect("known");
    assert_eq!(by_shell.name, "killed");
    assert_eq!(of(Ending::Exited(1)), None);
    assert_eq!(of(Ending::Signalled(15)), None);
    assert_eq!(of(Ending::Stopped), None);
    let both = find(
        ["CUDA out of memory"].into_iter(),
        Some(&Ending::Signalled(9)),
    );
    assert_eq!(both.expect("known").0.name, "gpu-out-of-memory");
}

/// The longest end of an output that is kept, of letters that make expressions
/// begin again and again.
#[test]
fn long_lines_are_looked_through() {
    let long = "OSError: Error no file named ".repeat(69);
    let proxies = "HTTPConnectionPool(host='localhost', port=1): ".repeat(43);
    let tail: Vec<&str> = (0..100).flat_map(|_| [long.as_str(), &proxies]).collect();
    assert_eq!(name(&tail), None);
}
