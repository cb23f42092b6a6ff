//! Private keys as the program keeps them: encrypted under a password from a file, backed up,
//! and brought back on another machine.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use support::{Overlay, Phone, program};

/// A user whose keys are under a password restores a backup into another folder, and is there the
/// same peer under the same name. Without the password, or with another, the program says so in
/// one sentence and starts nothing.
#[test]
fn a_backup_makes_another_folder_the_same_user() {
    let overlay = Overlay::new();
    let password = file(&overlay, "password", "correct horse\n");
    let options = ["--first", "--password-file", text(&password)];
    let mut alice = overlay.peer("alice", &options);
    assert_eq!(alice.wait("keys")["encrypted"], true);
    let node_id = alice.wait("joined")["node_id"].clone();
    alice.interrupt();
    assert_eq!(alice.finish().0, 0);

    let backup = overlay.path("alice.backup");
    let back_up = |keys: &[&str]| {
        let arguments = ["backup", "--state", text(&overlay.path("alice")), "--out", text(&backup)]
            .map(str::to_owned);
        let keys = keys.iter().map(|key| (*key).to_owned());
        run(&arguments.into_iter().chain(keys).collect::<Vec<_>>(), "battery staple\n")
    };
    refused(&back_up(&[]), "--password-file");
    let wrong = file(&overlay, "wrong", "correct house");
    refused(&back_up(&["--password-file", text(&wrong)]), "password is wrong");
    assert!(!backup.exists());
    let made = back_up(&["--password-file", text(&password)]);
    assert!(made.status.success(), "{made:?}");

    let elsewhere = overlay.path("elsewhere");
    let arguments = ["restore", text(&backup), "--state", text(&elsewhere)].map(str::to_owned);
    refused(&run(&arguments, "correct horse\n"), "password is wrong");
    refused(&run(&arguments, ""), "stdin");
    let restored = run(&arguments, "battery staple\n");
    let told = String::from_utf8_lossy(&restored.stdout).into_owned();
    assert!(restored.status.success() && told.contains("alice@lab.example"), "{restored:?}");

    let mut alice = overlay.device("alice", "elsewhere", &["--first"]);
    let keys = alice.wait("keys");
    let sentence = keys["sentence"].as_str().expect("a sentence");
    assert!(keys["encrypted"] == false && sentence.contains("--password-file"), "{keys}");
    assert_eq!(alice.wait("joined")["node_id"], node_id);
}

/// A peer on a machine where nobody is logged in has no thread for a session bus that is not there.
#[test]
#[cfg(target_os = "linux")]
fn without_a_session_bus_no_thread_waits_for_one() {
    let overlay = Overlay::new();
    let mut command = program();
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    command.args(["peer", "--first", "--json", "--user", "alice", "--listen", "127.0.0.1:0"]);
    command.arg("--overlay").arg(overlay.document()).arg("--state").arg(overlay.path("alice"));
    let mut alice = Phone::start(&mut command, "alice");
    alice.wait("registered");
    let threads = std::fs::read_dir(format!("/proc/{}/task", alice.pid())).expect("a list");
    let names: Vec<String> = threads
        .map(|thread| std::fs::read_to_string(thread.expect("an entry").path().join("comm")))
        .map(|name| name.expect("a name").trim().to_owned())
        .collect();
    assert!(names.iter().any(|name| name == "tokio-rt-worker"), "{names:?}");
    assert!(!names.iter().any(|name| name == "async-io"), "{names:?}");
}

/// Runs the program with a password on stdin.
fn run(arguments: &[String], stdin: &str) -> Output {
    let mut command = program();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    // Who refuses for another reason does not read it.
    let _ = std::io::Write::write_all(&mut input, stdin.as_bytes());
    drop(input);
    child.wait_with_output().expect("an end")
}

fn refused(output: &Output, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr.contains(word) && stderr.lines().count() == 1, "{stderr}");
}

fn file(overlay: &Overlay, name: &str, text: &str) -> PathBuf {
    let path = overlay.path(name);
    std::fs::write(&path, text).expect("written");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
