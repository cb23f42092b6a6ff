//! Texts between processes, whether both are there or not.

mod support;

use serde_json::Value;
use support::{Overlay, PATIENCE, Phone};

/// A text arrives, with the writer's proven name, and the writer hears of it. Whoever has never
/// talked to the reader knocks. What is for nobody's name is refused before anything is sent.
#[test]
fn a_text_is_delivered() {
    let (overlay, mut carol) = Overlay::found("carol");
    let mut alice = message(&overlay, "alice", "carol", "Grüße\naus dem Garten", &[]);
    let (code, events) = alice.finish();
    assert_eq!(code, 0, "{events:?}");
    assert_eq!(states(&events), ["waiting", "delivered"]);
    let arrived = carol.wait("message");
    assert_eq!(arrived["peer"], "alice@lab.example");
    assert_eq!(arrived["text"], "Grüße\naus dem Garten");
    assert_eq!(arrived["knocks"], true, "they have never talked");
    for (name, word) in [("alice", "own name"), ("bob@elsewhere.example", "another")] {
        let mut alice = message(&overlay, "alice", name, "hello", &[]);
        assert_eq!(alice.finish().0, 2, "{name}");
        assert!(alice.stderr().contains(word));
    }
}

/// Somebody who is away has the text once they come, though the writer was started anew in
/// between; it arrives once, and long texts arrive in order.
#[test]
fn a_text_waits_for_whoever_is_away() {
    let (overlay, _carol) = Overlay::found("carol");
    let long = (0..200).map(|n| format!("word{n}")).collect::<Vec<_>>().join(" ");
    let mut alice = message(&overlay, "alice", "bob", &long, &["--wait", "6"]);
    let (code, events) = alice.finish();
    assert_eq!((code, states(&events).first().copied()), (1, Some("waiting")), "{events:?}");
    assert!(!states(&events).contains(&"delivered"), "{events:?}");

    let mut alice = overlay.peer("alice", &[]);
    alice.wait("registered");
    let mut bob = overlay.peer("bob", &[]);
    let mut heard = Vec::new();
    while heard.len() < long.len().div_ceil(640) {
        heard.push(bob.wait("message")["text"].as_str().expect("a text").to_owned());
    }
    assert_eq!(heard.join(" "), long);
    for _ in &heard {
        assert_eq!(alice.wait("delivery")["state"], "delivered");
    }
    alice.interrupt();
    assert!(!states(&alice.finish().1).contains(&"waiting"), "nothing is left");

    // Started once more, neither has anything to say again.
    let mut alice = message(&overlay, "alice", "bob", "over", &[]);
    assert_eq!(alice.finish().0, 0);
    assert_eq!(bob.wait("message")["text"], "over");
    bob.interrupt();
    let (_, events) = bob.finish();
    let arrived = events.iter().filter(|event| event["event"] == "message").count();
    assert_eq!(arrived, heard.len() + 1);
}

/// Starts somebody who writes from their own folder.
fn message(overlay: &Overlay, user: &str, to: &str, text: &str, options: &[&str]) -> Phone {
    let patience = PATIENCE.as_secs().to_string();
    let wait = if options.is_empty() { vec!["--wait", &patience] } else { options.to_vec() };
    overlay.run(&["message", to, text], user, &wait)
}

/// What became of texts, one after the other.
fn states(events: &[Value]) -> Vec<&str> {
    let deliveries = events.iter().filter(|event| event["event"] == "delivery");
    deliveries.filter_map(|event| event["state"].as_str()).collect()
}
