//! `autotunectl publish`, with a program in the place of the hub's own.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use support::{Study, code, said};

/// A program that notes what it is given, and ends with 5.
fn uploader(study: &Study) -> String {
    let path = study.path("uploader");
    let script = "#!/bin/sh\necho \"$@ token=$MODELSCOPE_API_TOKEN\" > \"$(dirname \"$0\")/given\"\nexit 5\n";
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("a mode");
    path.display().to_string()
}

fn publish(study: &Study, more: &[&str]) -> Output {
    let folder = study.path("merged");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("config.json"), "{}").expect("written");
    let program = uploader(study);
    let mut command = Command::new(env!("CARGO_BIN_EXE_autotunectl"));
    command
        .args(["publish", "me/model", "--to", "modelscope"])
        .args(["--folder", "merged", "--program", &program])
        .args(more)
        .current_dir(study.path(""))
        .env_remove("MODELSCOPE_API_TOKEN")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command.output().expect("autotunectl")
}

#[test]
fn nothing_goes_anywhere_unless_it_is_wanted() {
    let study = Study::new("");
    let asked = publish(&study, &[]);
    assert_eq!(code(&asked), 2, "{}", said(&asked));
    let told = support::said::unfolded(&said(&asked));
    assert!(told.contains("1 file, 2 B, of"), "{told}");
    assert!(told.contains("for me/model at ModelScope"), "{told}");
    assert!(told.contains("--yes uploads without asking"), "{told}");
    assert!(!study.path("given").exists());
}

#[test]
fn the_hubs_own_program_gets_the_token_by_its_environment() {
    let study = Study::new("");
    let dotenv = study.path(".env");
    fs::write(&dotenv, "MODELSCOPE_API_TOKEN=ms-4711\n").expect("written");
    fs::set_permissions(&dotenv, Permissions::from_mode(0o600)).expect("a mode");
    let done = publish(&study, &["--yes", "--", "--revision", "v1"]);
    assert_eq!(code(&done), 5, "{}", said(&done));
    let given = fs::read_to_string(study.path("given")).expect("it ran");
    let folder = study.path("merged").canonicalize().expect("a path");
    let expected = format!(
        "upload me/model {} --revision v1 token=ms-4711\n",
        folder.display()
    );
    assert_eq!(given, expected);
    assert!(!said(&done).contains("ms-4711"), "{}", said(&done));
    assert!(
        said(&done).contains("MODELSCOPE_API_TOKEN in"),
        "{}",
        said(&done)
    );
}
