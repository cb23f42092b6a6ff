//! Texts outside of calls (RFC 3428).

use rsip::StatusCode;

use super::*;

impl World {
    fn write(&mut self, text: &str) {
        let text = Text {
            call_id: "first".into(),
            text: text.into(),
            written_unix_ms: Some(1_289_690_940_000),
        };
        let (from, to) = (aor("alice@o"), "sip:bob@o".parse().expect("a URI"));
        self.command(ALICE, Command::Message { leg: LEG, flow: FLOW, from, to, text });
    }

    fn receive(&mut self, status: StatusCode) {
        self.command(BOB, Command::Receive { leg: INCOMING, status });
    }

    fn receipts(&self) -> Vec<&Receipt> {
        let events = self.of(ALICE).into_iter();
        let receipts = events.filter_map(|event| match event {
            Event::MessageOver { receipt, .. } => Some(receipt),
            _ => None,
        });
        receipts.collect()
    }
}

/// A MESSAGE from Alice.
fn message(branch: &str, kind: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:bob@o SIP/2.0\nVia: SIP/2.0/DTLS-UDP o;branch=z9hG4bK{branch}\n\
         From: <sip:alice@o>;tag=a{branch}\nTo: <sip:bob@o>\nCall-ID: c{branch}\n\
         CSeq: 1 MESSAGE\nMax-Forwards: 70\n{kind}\n{body}"
    )
}

fn answer(world: &mut World, text: &str) -> Option<u16> {
    world.ask_bob(text).first().map(Response::code)
}

/// RFC 3428 §4, §7: the text arrives with its number and its date, and has no Contact; nor has its
/// answer, which comes once the text is kept.
#[test]
fn a_text_is_delivered_once_it_is_kept() {
    let mut world = World::new();
    world.write("Grüße\naus dem Garten");
    world.run_until(1000);
    let (call_id, text) = ("first".into(), "Grüße\naus dem Garten".into());
    let text = Text { call_id, text, written_unix_ms: Some(1_289_690_940_000) };
    let from = aor("alice@o");
    assert_eq!(world.of(BOB), [&Event::Message { leg: INCOMING, flow: FLOW, from, text }]);
    assert!(world.receipts().is_empty() && world.agents[ALICE].is_flow_used(FLOW));
    world.receive(StatusCode::OK);
    world.run_until(2000);
    assert_eq!(world.receipts(), [&Receipt::Answered(StatusCode::OK)]);
    assert!(!world.agents[ALICE].is_flow_used(FLOW));
    assert!(world.sent.iter().all(|(_, _, text)| !text.contains("Contact:")));
    world.run_dry();
    assert_eq!(world.of(BOB).len(), 1, "it was sent several times and is one text");
}

/// On a channel that loses and repeats, a text is told once at each end.
#[test]
fn texts_survive_a_bad_channel() {
    for seed in 0..20 {
        let mut world = World::bad(seed);
        world.write("hello");
        world.run_until(20_000);
        world.receive(StatusCode::OK);
        world.run_dry();
        let arrived = world.of(BOB).len();
        assert_eq!((arrived, world.receipts().len()), (1, 1), "seed {seed}");
    }
}

#[test]
fn whoever_refuses_or_says_nothing_is_told_so() {
    let mut world = World::new();
    world.write("hello");
    world.run_until(100);
    world.receive(StatusCode::Decline);
    world.run_until(200);
    assert_eq!(world.receipts(), [&Receipt::Answered(StatusCode::Decline)]);

    let mut world = World::with_law(|_, _| Fate::Lose);
    world.write("hello");
    world.run_dry();
    assert_eq!(world.receipts(), [&Receipt::Unanswered]);
    assert_eq!(world.now.as_millis(), 600_000);

    let mut world = World::new();
    world.write("hello");
    world.input(ALICE, Input::FlowDown { flow: FLOW });
    world.write("again");
    assert_eq!(world.receipts(), [&Receipt::Unanswered, &Receipt::Unanswered]);
}

/// RFC 3428 §8: on a path without congestion control a MESSAGE has 1300 bytes at most.
#[test]
fn nothing_longer_than_1300_bytes_is_sent() {
    let mut world = World::new();
    world.write(&"ü".repeat(limits::MESSAGE_TEXT_BYTES_MAX / 2));
    assert_eq!(world.sent(ALICE, "MESSAGE"), 1);
    let mut world = World::new();
    world.write(&"x".repeat(1200));
    assert_eq!((world.sent(ALICE, "MESSAGE"), world.receipts()), (0, vec![&Receipt::TooLong]));
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let plain = "Content-Type: text/plain\n";
    for (number, (kind, body, code)) in [
        ("Content-Type: text/html\n", "<b>hello</b>", 415),
        ("Content-Type: text/plain;charset=utf-16\n", "hello", 415),
        ("Content-Type: text/plain\nContent-Encoding: gzip\n", "hello", 415),
        ("", "hello", 415),
        (plain, "", 400),
        (plain, &"x".repeat(limits::MESSAGE_TEXT_READ_MAX + 1), 413),
    ]
    .into_iter()
    .enumerate()
    {
        let mut world = World::new();
        let text = message(&number.to_string(), kind, body);
        assert_eq!(answer(&mut world, &text), Some(code), "{kind}");
        assert!(world.of(BOB).is_empty());
    }
    let mut world = World::new();
    let text = message("1", "Content-Type: Text/Plain; Charset=\"UTF-8\"\n", "hello");
    assert_eq!(answer(&mut world, &text), None, "it waits for whoever keeps it");
    assert_eq!(world.of(BOB).len(), 1);
    assert_eq!(answer(&mut world, &text), None, "a repetition is no news");
    assert_eq!(world.of(BOB).len(), 1);
}

/// RFC 3261 §8.2: nobody writes in another name, nor to one that is not ours.
#[test]
fn a_text_is_from_whom_its_flow_proves() {
    let plain = "Content-Type: text/plain\n";
    let text = message("1", plain, "hello");
    let mut world = World::new();
    assert_eq!(answer(&mut world, &text.replace("<sip:alice@o>", "<sip:carol@o>")), Some(403));
    let text = message("2", plain, "hello").replace("MESSAGE sip:bob", "MESSAGE sip:eve");
    assert_eq!(answer(&mut world, &text), Some(404));
    assert!(world.of(BOB).is_empty());
}

/// Many texts that nobody answers are refused before they fill the memory.
#[test]
fn texts_that_wait_are_bounded() {
    let mut world = World::new();
    let codes: Vec<_> = (0..limits::MESSAGES_MAX + 10)
        .map(|n| answer(&mut world, &message(&n.to_string(), "Content-Type: text/plain\n", "x")))
        .collect();
    assert!(codes[..limits::MESSAGES_MAX].iter().all(Option::is_none), "{codes:?}");
    assert!(codes[limits::MESSAGES_MAX..].iter().all(|code| *code == Some(503)), "{codes:?}");
}
