//! The demonstration, as a newcomer runs it.

mod support;

use serde_json::Value;
use support::{Phone, program};

/// With all defaults both sides of both calls hear what the other said, the second call after
/// one of the idle peers was killed; the exit code says so.
#[test]
fn alice_calls_bob_and_again_after_a_peer_was_killed() {
    let mut demo = Phone::start(program().args(["demo", "--json"]), "demo");
    let steps = [
        "founded",
        "registered",
        "calling",
        "call",
        "heard",
        "heard",
        "killed",
        "calling",
        "call",
        "heard",
        "heard",
        "done",
    ];
    let seen: Vec<Value> = steps.iter().map(|step| demo.wait(step)).collect();
    let (code, all) = demo.finish();
    assert_eq!(code, 0, "{all:?}");
    let users = all.iter().filter(|e| e["event"] == "registered");
    assert_eq!(users.count(), 6, "eight peers are the founder, alice and six more: {all:?}");
    for heard in seen.iter().filter(|e| e["event"] == "heard") {
        assert!(heard["correlation"].as_f64() > Some(0.55), "{heard}");
    }
    let ears: Vec<_> = seen.iter().filter_map(|e| e["who"].as_str()).collect();
    assert_eq!(ears, ["bob", "alice", "bob", "alice"]);
    assert_eq!(seen.last().map(|done| done["ok"] == true), Some(true));
}

/// Without `--json` the steps of the call are sentences that name what was found and heard.
#[test]
fn the_steps_are_told_in_words() {
    let output = program().args(["demo", "--peers", "3", "--seconds", "3"]).output();
    let output = output.expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{stderr}");
    assert_eq!(stderr, "");
    let steps = [
        "carol founded the overlay",
        "bob joined and stored bob@",
        "alice joins and calls bob by name",
        "Fetch found bob's registration",
        "AppAttach was answered",
        "ICE found a path",
        "DTLS secured it",
        "phone rang after",
        "packets sent",
        "bob heard what was said",
        "alice heard what was said",
        "Both sides heard what the other said",
    ];
    let mut rest = text.as_str();
    for step in steps {
        let Some((_, after)) = rest.split_once(step) else {
            panic!("{step:?} is missing, or at another place, in\n{text}");
        };
        rest = after;
    }
}
