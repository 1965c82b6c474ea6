//! What evaluates a fine-tuned model, packaging/ms-swift: its tests are
//! Python's own, and need nothing but Python.

use std::path::Path;
use std::process::Command;

#[test]
fn scoring_and_what_is_read_of_the_tools() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evaluation");
    let tests = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "-s"])
        .arg(folder)
        .output();
    // Where there is no Python, nothing of this can run.
    let Ok(output) = tests else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // All of them were found.
    assert!(said.contains("\nRan 2"), "{said}");
}
