//! What the tests of bad input share: small studies, and what is said of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::{code, said};

/// A study of two trials that only prints.
pub const GOOD: &str = r#"
[study]
name = "words"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[space]
N = [1, 2]
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--print", "m=1"]
metrics.m = 'm=(\S+)'
[host]
port_wait = "10ms"
fault_wait = "0s"
"#;

/// The same with a server before it.
pub const SERVED: &str = r#"
[study]
name = "served"
pass_env = ["PIDS"]
[objective]
maximize = "m"
[space]
N = [1, 2]
[[step]]
name = "serve"
kind = "service"
command = ["{child}", "serve", "--port", "{port}"]
ready = { http = "http://127.0.0.1:{port}/", timeout = "30s" }
[[step]]
name = "eval"
kind = "measure"
runs = 1
command = ["{child}", "run", "--print", "m=1"]
metrics.m = 'm=(\S+)'
[host]
port_wait = "10ms"
fault_wait = "0s"
"#;

/// A text without its line breaks, wherever they fall.
pub fn unfolded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a program said must have all of `words` in it, and its exit code be
/// `expected`; nothing may have panicked.
#[track_caller]
pub fn assert_said(output: &Output, expected: i32, words: &[&str]) {
    let text = said(output);
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(code(output), expected, "{text}");
    let unfolded = unfolded(&text);
    for word in words {
        let is_there = text.contains(word) || unfolded.contains(word);
        assert!(is_there, "`{word}` is not in:\n{text}");
    }
}

/// Every file below a folder with what it holds; the lock's apart, which says
/// who was there last.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut stack = vec![folder.to_owned()];
    while let Some(folder) = stack.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                stack.push(path);
            } else if path.file_name() != Some(OsStr::new("lock")) {
                found.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}
