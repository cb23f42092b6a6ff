//! A running phone is steered by other programs: `chordial ctl`, and whatever writes JSON lines.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Overlay, PATIENCE, SPEECH_ALICE, SPEECH_BOB, assert_heard, program};

/// How long a call is listened to, in seconds.
const HEARD_S: u64 = 3;

/// Two phones without windows: a call is made, answered, put on hold, muted, given keys and hung
/// up by nothing but `chordial ctl`, and both sides have heard each other.
#[test]
fn a_call_is_made_and_answered_by_ctl_alone() {
    let lab = Overlay::new();
    let heard = [lab.heard_by("alice"), lab.heard_by("bob")].map(|path| text(&path));
    let (lab, mut alice) = lab.founded("alice", &["--play", SPEECH_ALICE, "--record", &heard[0]]);
    let mut bob = lab.peer("bob", &["--play", SPEECH_BOB, "--record", &heard[1]]);
    bob.wait("registered");
    let (hers, his) = (Ctl(lab.path("alice")), Ctl(lab.path("bob")));

    let status = his.done(&["status"]);
    assert!(status.starts_with("bob@lab.example: joined, can be called; 1 links"), "{status}");
    assert_eq!(hers.done(&["calls"]), "Nobody calls.\n");
    hers.refused(&["answer"], "Nobody is calling.");
    hers.refused(&["hang-up"], "There is no call.");
    hers.refused(&["call", "alice"], "alice@lab.example is your own name.");

    let begun = hers.done(&["call", "bob", "--json"]);
    let begun: Value = serde_json::from_str(&begun).expect("a call");
    assert_eq!(
        (&begun["peer"], &begun["direction"]),
        (&json!("bob@lab.example"), &json!("outgoing"))
    );
    bob.wait("incoming");
    assert!(his.done(&["calls"]).ends_with("  alice@lab.example  calls you\n"));
    hers.refused(&["hold"], "There is no call to talk in.");
    his.refused(&["answer", "--call", "77"], "There is no call 77.");
    his.done(&["answer"]);
    alice.wait("answered");

    let mut follower = Connection::open(&lab.path("alice"));
    follower.ask(json!({ "follow": ["snapshots"] }));
    follower.wait(|line| {
        line["snapshot"]["calls"][0]["state"]["talking"]["duration"]["secs"] == HEARD_S
    });

    hers.done(&["mute"]);
    assert_eq!(hers.show("calls")[0]["muted"], true);
    hers.done(&["unmute"]);
    assert_eq!(hers.show("calls")[0]["muted"], false);
    hers.done(&["dtmf", "7#"]);
    assert_eq!(bob.wait("digit")["digit"], "7");
    assert_eq!(bob.wait("digit")["digit"], "#");
    hers.done(&["hold"]);
    assert_eq!(bob.wait("held")["by_them"], true);
    hers.done(&["resume"]);
    assert_eq!(bob.wait("held")["by_them"], false);

    his.done(&["hang-up"]);
    assert_eq!(alice.wait("ended")["reason"], "bob@lab.example hung up.");
    let history = his.show("history");
    assert_eq!(
        (&history[0]["answered"], &history[0]["outcome"]),
        (&json!(true), &json!("You hung up."))
    );
    assert!(hers.done(&["history"]).contains("to bob@lab.example"));
    hers.done(&["history", "--clear"]);
    assert_eq!(hers.done(&["history"]), "There were no calls yet.\n");

    for phone in [&mut alice, &mut bob] {
        phone.interrupt();
        assert_eq!(phone.finish().0, 0);
    }
    assert_heard(SPEECH_BOB, &lab.heard_by("alice"));
    assert_heard(SPEECH_ALICE, &lab.heard_by("bob"));
    // Nobody is there any more, and nothing says so but the truth.
    assert!(!lab.path("alice/control.json").exists());
    hers.refused(&["status"], "No Chordial runs with the folder");
}

/// Two calls are merged, one is recorded, and texts go by, all by `chordial ctl`.
#[test]
fn calls_are_merged_and_recorded_and_texts_written_by_ctl() {
    let (lab, mut alice) = Overlay::new().founded("alice", &["--play", SPEECH_ALICE]);
    let answers = ["--answer", "--play", SPEECH_BOB];
    let mut others = ["bob", "carol"].map(|name| lab.peer(name, &answers));
    others.iter_mut().for_each(|other| drop(other.wait("registered")));
    let (hers, his) = (Ctl(lab.path("alice")), Ctl(lab.path("bob")));

    hers.refused(&["merge"], "There are no two calls to talk in.");
    hers.done(&["call", "bob"]);
    alice.wait("answered");
    hers.done(&["call", "carol"]);
    alice.wait("answered");
    hers.refused(&["record"], "There are several calls");
    hers.refused(&["merge", "1", "77"], "Nobody talks in a call");
    hers.is_bad_input(&["merge", "1"]);
    hers.done(&["merge"]);
    let calls = hers.show("calls");
    assert!(calls[0]["conference"].is_number(), "{calls}");
    assert_eq!(calls[0]["conference"], calls[1]["conference"]);
    let number = calls[1]["id"].to_string();
    hers.done(&["split", "--call", &number]);
    let apart = hers.show("calls");
    assert!(apart[1]["conference"].is_null() && apart[0]["held_by_us"] == true, "{apart}");
    hers.refused(&["split", "--call", &number], "The call with bob@lab.example is in no");
    hers.done(&["resume", "--call", &number]);
    hers.done(&["record", "--call", &number]);
    assert_eq!(others[0].wait("recording")["by_them"], true);
    hers.done(&["record", "--stop", "--call", &number]);
    assert_eq!(others[0].wait("recording")["by_them"], false);

    assert_eq!(his.done(&["messages"]), "Nobody has written yet.\n");
    hers.done(&["messages", "write", "bob", "See you at seven"]);
    others[0].wait("message");
    assert_eq!(his.done(&["messages"]), "alice@lab.example  1 new  See you at seven\n");
    let read = his.done(&["messages", "read", "alice@lab.example"]);
    assert_eq!(read, "0 min ago  from them  See you at seven\n");
    assert_eq!(his.done(&["messages"]), "alice@lab.example  See you at seven\n");
    his.refused(&["messages", "read", "dave@lab.example"], "There is no conversation with dave");
    his.done(&["messages", "forget", "alice@lab.example"]);
    assert_eq!(his.done(&["messages"]), "Nobody has written yet.\n");
    assert_eq!(his.done(&["voice-messages"]), "There are no messages.\n");
    his.done(&["voice-messages", "stop"]);
}

/// Contacts and settings are changed and listed; a wrong name, value or command is refused in one
/// line and changes nothing. Events come as lines.
#[test]
fn contacts_settings_and_any_command_are_within_reach() {
    let (lab, mut alice) = Overlay::found("alice");
    let ctl = Ctl(lab.path("alice"));
    ctl.done(&["contacts", "save", "bob@lab.example", "--name", "Bob", "--favourite"]);
    assert_eq!(ctl.done(&["contacts"]), "bob@lab.example  Bob  favourite\n");
    let cards = text(&lab.path("cards.vcf"));
    ctl.done(&["contacts", "export", &cards]);
    ctl.done(&["contacts", "remove", "bob@lab.example"]);
    assert_eq!(ctl.done(&["contacts"]), "There are no contacts yet.\n");
    ctl.done(&["contacts", "import", &cards]);
    assert_eq!(ctl.show("imported")["added"], 1);

    let password = lab.path("password");
    std::fs::write(&password, "open sesame\n").expect("written");
    let keep = ["sip-accounts", "keep", "alice@pstn.example"];
    let with = ["--password-file", &text(&password), "--transport", "tls"];
    ctl.done(&[&keep[..], &with[..]].concat());
    // Whether nobody has been found there yet is a matter of time.
    let listed = "alice@pstn.example  tls  ";
    assert!(ctl.done(&["sip-accounts"]).starts_with(listed));
    ctl.refused(&[&keep[..], &["--server", "our house"]].concat(), "our house is no name");
    ctl.is_bad_input(&[&keep[..], &["--transport", "pigeon"]].concat());
    assert!(ctl.done(&["sip-accounts"]).starts_with(listed));
    ctl.done(&["sip-accounts", "remove", "alice@pstn.example"]);
    assert_eq!(ctl.done(&["sip-accounts"]), "There are no accounts yet.\n");

    let before = ctl.done(&["settings"]);
    assert!(before.contains("theme=\"system\"\n"), "{before}");
    ctl.done(&["settings", "theme=dark", "do_not_disturb=true"]);
    let after = ctl.done(&["settings"]);
    assert!(
        after.contains("theme=\"dark\"\n") && after.contains("do_not_disturb=true\n"),
        "{after}"
    );
    assert_eq!(after.lines().count(), before.lines().count());
    ctl.refused(&["settings", "colour=red"], "There is no setting \"colour\".");
    ctl.refused(&["settings", "theme=red"], "That setting can't be so: unknown variant `red`");
    assert_eq!(ctl.done(&["settings"]), after);
    ctl.is_bad_input(&["settings", "theme"]);

    ctl.refused(&["do", "{\"fly\":1}"], "The line is no request: unknown variant `fly`");
    ctl.is_bad_input(&["do", "{"]);
    ctl.refused(&["open", "sip:bob@lab.example"], "This Chordial has no window.");
    ctl.refused(&["show", "colours"], "There is nothing of the name \"colours\".");
    ctl.done(&["do", "\"count\""]);
    alice.wait("counters");

    let mut follower = Connection::open(&ctl.0);
    follower.ask(json!({ "follow": ["events"] }));
    ctl.done(&["do", "\"count\""]);
    follower.wait(|line| line["event"] == "counters" && line["overlay"] == "lab.example");
    let mut command = program();
    command.args(["ctl", "events", "--until", "counters", "--state"]).arg(&ctl.0);
    let mut printing = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    // When it listens shows only by what it prints.
    while printing.try_wait().expect("our child").is_none() {
        ctl.done(&["do", "\"count\""]);
    }
    let output = printing.wait_with_output().expect("our child");
    let last = String::from_utf8(output.stdout).expect("UTF-8");
    let last: Value = serde_json::from_str(last.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!((output.status.code(), &last["event"]), (Some(0), &json!("counters")));
}

/// What a program on this computer can do wrong: no token, a wrong one, too many connections, a
/// line without an end. None of it reaches the phone, and others are served on.
#[test]
fn strangers_and_nonsense_are_turned_away() {
    let (lab, _alice) = Overlay::found("alice");
    let folder = lab.path("alice");
    let door = door(&folder);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.join("control.json")).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }

    for first in ["{\"token\":\"00\"}\n", "{\"command\":\"clear_history\"}\n", "\u{7f}\n", "\n"] {
        let mut stranger = Connection::raw(&door);
        stranger.write(first);
        let refusal = stranger.line();
        assert_eq!(refusal["error"], "The token is not the one of control.json.", "{first:?}");
        assert!(stranger.is_closed());
    }
    let mut endless = Connection::raw(&door);
    endless.write(&"x".repeat(100_000));
    assert!(endless.is_closed());

    let mut known = Connection::open(&folder);
    for (line, word) in [
        ("nonsense", "no request"),
        ("[1]", "no request"),
        ("{}", "asks for nothing"),
        ("{\"command\":{\"answer\":\"x\"}}", "no request"),
        ("{\"command\":{\"transfer\":{\"call\":1,\"to\":\"b\",\"by\":2}}}", "unknown field `by`"),
        ("{\"follow\":[\"me\"]}", "unknown variant"),
    ] {
        known.write(&format!("{line}\n"));
        let answer = known.line();
        let sentence = answer["error"].as_str().unwrap_or_default();
        assert!(sentence.contains(word), "{line}: {answer}");
    }
    known.write("{\"id\":\"mine\",\"show\":[\"calls\"]}\n");
    assert_eq!(known.line(), json!({ "id": "mine", "snapshot": { "calls": [] } }));

    let mut others: Vec<_> = (0..15).map(|_| Connection::open(&folder)).collect();
    let mut late = Connection::raw(&door);
    late.write(&format!("{}\n", json!({ "token": door["token"] })));
    assert_eq!(late.line()["error"], "Too many programs are connected already.");
    others.clear();
    known.write(&format!("{{\"id\":9,\"open\":\"{}\"}}\n", "x".repeat(100_000)));
    assert_eq!(known.line()["error"], "The line is too long.");
    assert!(known.is_closed());

    // A file that a dead program has left behind, and one that is none.
    let empty = lab.path("nobody");
    std::fs::create_dir(&empty).expect("a folder");
    let ctl = Ctl(empty.clone());
    ctl.refused(&["status"], "No Chordial runs with the folder");
    for left in ["{\"address\":\"127.0.0.1:9\",\"token\":\"00\"}", "nonsense"] {
        std::fs::write(empty.join("control.json"), left).expect("written");
        ctl.refused(&["status"], "No Chordial runs with the folder");
    }
    let wrong = json!({ "address": door["address"], "token": "00" });
    std::fs::write(empty.join("control.json"), wrong.to_string()).expect("written");
    ctl.refused(&["status"], "The token is not the one of control.json.");
}

/// `chordial ctl` for the phone with this folder.
struct Ctl(PathBuf);

impl Ctl {
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = program();
        let output = command.arg("ctl").args(arguments).arg("--state").arg(&self.0).output();
        let output = output.expect("the program starts");
        let read = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), read(output.stdout), read(output.stderr))
    }

    /// What it prints when all is well.
    fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}");
        stdout
    }

    fn show(&self, part: &str) -> Value {
        let shown: Value = serde_json::from_str(&self.done(&["show", part])).expect("JSON");
        shown[part].clone()
    }

    fn refused(&self, arguments: &[&str], sentence: &str) {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with(&format!("chordial: {sentence}")), "{arguments:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }

    fn is_bad_input(&self, arguments: &[&str]) {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stdout.as_str(), stderr.lines().count()), (Some(2), "", 1), "{stderr}");
    }
}

/// A program that writes JSON lines itself.
struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Without a token.
    fn raw(door: &Value) -> Self {
        let address = door["address"].as_str().expect("an address");
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        Self(BufReader::new(stream))
    }

    fn open(folder: &Path) -> Self {
        let door = door(folder);
        let mut connection = Self::raw(&door);
        connection.write(&format!("{}\n", json!({ "token": door["token"] })));
        let hello = connection.line();
        assert_eq!(hello, json!({ "chordial": env!("CARGO_PKG_VERSION"), "window": false }));
        connection
    }

    fn write(&mut self, text: &str) {
        // Whoever is cut off may be so in the middle.
        let _ = self.0.get_mut().write_all(text.as_bytes());
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"))
    }

    fn ask(&mut self, request: Value) -> Value {
        self.write(&format!("{request}\n"));
        let answer = self.line();
        assert_eq!(answer["done"], true, "{answer}");
        answer
    }

    fn wait(&mut self, is_it: impl Fn(&Value) -> bool) {
        while !is_it(&self.line()) {}
    }

    fn is_closed(&mut self) -> bool {
        // What was not read when it was closed makes it end by a reset.
        self.0.read(&mut [0]).map_or(true, |read| read == 0)
    }
}

fn door(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("control.json")).expect("a running phone");
    serde_json::from_str(&text).expect("JSON")
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}
