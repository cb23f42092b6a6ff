//! UPDATE (RFC 3311): sessions that are changed before a call is answered, and after.

use super::*;

const NEW: &[u8] = b"v=0\r\no=changed\r\n";

fn early_change(lines: &str, body: &str) -> World {
    let mut world = World::calling_nobody();
    world.answer_alice("INVITE", 183, &format!("Contact: <sip:bob@o;gr=y>\n{lines}"), body);
    world.command(ALICE, Command::Change { leg: LEG, offer: NEW.to_vec() });
    world
}

/// RFC 3311 §5.1: before the call is answered, an offer goes into an UPDATE, if the first one is
/// answered and the other side knows UPDATE; else it has to wait.
#[test]
fn an_offer_before_the_call_is_answered() {
    const SURE: &str = "Require: 100rel\nRSeq: 1\n";
    let mut world = early_change(&format!("{SURE}Allow: INVITE, UPDATE\n"), "v=0\r\n");
    let update = world.last(ALICE, "UPDATE");
    assert_eq!(update.body(), NEW);
    assert!(update.headers.to().is_ok_and(|to| to.tag() == Some("theirs")));
    assert!(update.headers.contact().is_ok());
    world.answer_alice("UPDATE", 200, "Contact: <sip:bob@o;gr=y>\n", "v=0\r\no=yes\r\n");
    let answer = Some(b"v=0\r\no=yes\r\n".to_vec());
    assert_eq!(world.of(ALICE).last(), Some(&&Event::Changed { leg: LEG, answer }));

    for (lines, body) in [
        (format!("{SURE}Allow: INVITE\n"), "v=0\r\n"),
        (format!("{SURE}Allow: INVITE, UPDATE\n"), ""),
        ("Allow: INVITE, UPDATE\n".to_owned(), "v=0\r\n"),
    ] {
        let world = early_change(&lines, body);
        assert_eq!(world.sent(ALICE, "UPDATE"), 0, "{lines}{body}");
        assert!(matches!(world.of(ALICE).last(), Some(Event::Unchanged { .. })));
    }
}

/// RFC 3311 §5.2: an offer is refused while another one waits for its answer: 491 if it is ours,
/// 500 with Retry-After if it is theirs. Without an offer UPDATE is answered at once.
#[test]
fn an_offer_that_comes_too_early() {
    let mut world = World::new();
    world.ask_bob_for("INVITE", 1, "", "v=0\n");
    world.command(BOB, Command::Ring { leg: INCOMING });
    let refusal = world.ask_bob_for("UPDATE", 2, "", "v=0\n");
    assert_eq!(refusal[0].code(), 500);
    assert!(refusal[0].headers.first("Retry-After").is_some());
    let taken = world.ask_bob_for("UPDATE", 3, "", "");
    assert_eq!((taken[0].code(), taken[0].headers.contact().is_ok()), (200, true));

    let mut world = World::calling_nobody();
    world.answer_alice("INVITE", 180, "Contact: <sip:bob@o;gr=y>\n", "");
    let invite = world.last(ALICE, "INVITE");
    let (from, call_id) = (invite.headers.first("From"), invite.headers.first("Call-ID"));
    let text = format!(
        "UPDATE sip:alice@o SIP/2.0\r\nVia: SIP/2.0/UDP o;branch=z9hG4bKu\r\nFrom: \
         <sip:bob@o>;tag=theirs\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: 1 UPDATE\r\nContact: \
         <sip:bob@o;gr=y>\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n",
        from.expect("From"),
        call_id.expect("Call-ID")
    );
    world.input(ALICE, Input::Datagram { flow: FLOW, bytes: text.as_bytes() });
    assert_eq!(world.sent(ALICE, "SIP/2.0 491"), 1);
}

/// RFC 3311 §5.2: in a call both sides talk in, the room above answers an offer in an UPDATE; until
/// then one that comes again is no other, and after that it gets the same answer.
#[test]
fn an_offer_in_a_call() {
    let mut world = World::new();
    world.ask_bob_for("INVITE", 1, "", "v=0\n");
    world.answer();
    world.ask_bob_for("ACK", 1, "", "");
    assert!(world.ask_bob_for("UPDATE", 2, "", "v=0\no=new\n").is_empty());
    let offer = Some(b"v=0\r\no=new\r\n".to_vec());
    assert_eq!(world.of(BOB).last(), Some(&&Event::Reoffered { leg: INCOMING, offer }));
    assert_eq!(world.ask_bob_for("UPDATE", 3, "", "v=0\n")[0].code(), 500, "one at a time");
    world.command(BOB, Command::Answer { leg: INCOMING, answer: NEW.to_vec() });
    let taken = world.sent.iter().rev().find_map(|(_, _, t)| response(t)).expect("a 200");
    assert_eq!((taken.code(), taken.body()), (200, NEW));
    assert_eq!(taken.headers.cseq().map(|cseq| cseq.number), Ok(2));

    world.ask_bob_for("UPDATE", 4, "", "v=0\n");
    let status = rsip::StatusCode::NotAcceptableHere;
    world.command(BOB, Command::Reject { leg: INCOMING, status });
    assert_eq!(world.sent(BOB, "SIP/2.0 488"), 1);
    assert!(!world.has(BOB, |e| matches!(e, Event::Ended { .. })), "the call goes on");

    let offer = NEW.to_vec();
    world.command(BOB, Command::Change { leg: INCOMING, offer });
    assert_eq!(world.ask_bob_for("UPDATE", 5, "", "v=0\n")[0].code(), 491);
    world.hang_up(BOB);
    assert_eq!(world.ask_bob_for("UPDATE", 6, "", "v=0\n")[0].code(), 481);
}
