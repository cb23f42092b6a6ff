//! Provisional responses that are sure to arrive (RFC 3262).

use super::*;

const SURE: &str = "Require: 100rel\n";

/// When Bob has said 180, in ms.
fn rang(world: &World) -> Vec<u64> {
    let sent = world.sent.iter().filter(|(who, _, t)| *who == BOB && t.starts_with("SIP/2.0 180"));
    sent.map(|(_, ms, _)| *ms).collect()
}

/// RFC 3262 §3: a 180 that must arrive has a number and is said after 0.5, 1.5, 3.5 s until it is
/// confirmed, once and by its own number; then not before a minute has gone by, with the next one.
#[test]
fn a_180_that_must_arrive_is_repeated_until_it_is_confirmed() {
    let mut world = World::new();
    world.ask_bob_for("INVITE", 1, SURE, "v=0\n");
    world.command(BOB, Command::Ring { leg: INCOMING });
    world.run_until(2000);
    assert_eq!(rang(&world), [0, 500, 1500]);
    let ringing = world.sent.iter().rev().find_map(|(_, _, t)| response(t)).expect("a 180");
    let rseq: u32 = ringing.headers.first("RSeq").and_then(|n| n.parse().ok()).expect("a number");
    assert!(ringing.headers.lists("Require", "100rel"));
    let prack = |world: &mut World, cseq, rack: String| {
        world.ask_bob_for("PRACK", cseq, &format!("RAck: {rack}\n"), "")[0].code()
    };
    assert_eq!(prack(&mut world, 2, format!("{} 1 INVITE", rseq + 1)), 481);
    assert_eq!(prack(&mut world, 3, format!("{rseq} 2 INVITE")), 481);
    assert_eq!(prack(&mut world, 4, "nonsense".to_owned()), 400);
    assert_eq!(prack(&mut world, 5, format!("{rseq} 1 INVITE")), 200);
    assert_eq!(prack(&mut world, 6, format!("{rseq} 1 INVITE")), 481);
    world.run_until(59_000);
    assert_eq!(rang(&world).len(), 3);
    world.run_until(60_000);
    let next = world.sent.iter().rev().find_map(|(_, _, t)| response(t)).expect("a 180");
    assert_eq!(next.headers.first("RSeq"), Some((rseq + 1).to_string().as_str()));
}

/// RFC 3262 §3: a call whose 180 is never confirmed is refused after 32 s.
#[test]
fn a_call_without_prack_is_refused() {
    let mut world = World::new();
    world.ask_bob_for("INVITE", 1, SURE, "v=0\n");
    world.command(BOB, Command::Ring { leg: INCOMING });
    world.run_until(31_999);
    assert_eq!(world.sent(BOB, "SIP/2.0 504"), 0);
    world.run_until(32_000);
    assert_eq!(world.sent(BOB, "SIP/2.0 504"), 1);
    assert_eq!(*world.end(BOB), End::Failed(Failure::PrackMissing));
}

/// Who only knows of such responses gets none: a 180 without a number.
#[test]
fn who_does_not_require_it_is_not_bothered() {
    let mut world = World::new();
    world.ask_bob_for("INVITE", 1, "Supported: 100rel\n", "v=0\n");
    world.command(BOB, Command::Ring { leg: INCOMING });
    let ringing = world.sent.iter().rev().find_map(|(_, _, t)| response(t)).expect("a 180");
    assert_eq!((ringing.code(), ringing.headers.first("RSeq")), (180, None));
}

/// RFC 3262 §4: the caller confirms each numbered response once, in order, and takes one for no
/// news that comes before the one that it follows.
#[test]
fn the_caller_confirms_in_order() {
    let mut world = World::calling_nobody();
    let invite = world.last(ALICE, "INVITE").headers.cseq().expect("CSeq").number;
    let say = |world: &mut World, code, rseq: u32| {
        let lines = format!("Require: 100rel\nRSeq: {rseq}\nContact: <sip:bob@o;gr=y>\n");
        world.answer_alice("INVITE", code, &lines, "");
        world.sent(ALICE, "PRACK")
    };
    assert_eq!(say(&mut world, 183, 7), 1);
    assert_eq!(say(&mut world, 183, 7), 1, "it has come before");
    assert_eq!(say(&mut world, 180, 9), 1, "8 is missing");
    assert!(!world.has(ALICE, |e| matches!(e, Event::Ringing { .. })));
    assert_eq!(say(&mut world, 180, 8), 2);
    assert!(world.has(ALICE, |e| matches!(e, Event::Ringing { .. })));
    let prack = world.last(ALICE, "PRACK");
    assert_eq!(prack.headers.first("RAck"), Some(format!("8 {invite} INVITE").as_str()));
    assert_eq!(prack.uri().map(|uri| uri.to_string()).as_deref(), Ok("sip:bob@o;gr=y"));
    assert!(prack.headers.to().is_ok_and(|to| to.tag() == Some("theirs")));
}

/// RFC 3262 §5: the answer in a numbered response is the answer; the 2xx needs none, and its ACK
/// has the number of the INVITE, whatever was asked in between.
#[test]
fn the_answer_may_come_before_the_call_is_taken() {
    let mut world = World::calling_nobody();
    let invite = world.last(ALICE, "INVITE").headers.cseq().expect("CSeq").number;
    let lines = "Require: 100rel\nRSeq: 1\nContact: <sip:bob@o;gr=y>\n";
    world.answer_alice("INVITE", 183, lines, "v=0\r\no=early\r\n");
    world.answer_alice("INVITE", 200, "Contact: <sip:bob@o;gr=y>\n", "");
    let answer = Some(b"v=0\r\no=early\r\n".to_vec());
    assert_eq!(world.of(ALICE).last(), Some(&&Event::Answered { leg: LEG, answer }));
    assert_eq!(world.last(ALICE, "ACK").headers.cseq().map(|c| c.number), Ok(invite));
}
