//! Session timers (RFC 4028).

use super::*;

/// RFC 4028 §7.4, §10: a call of two of ours is refreshed by an UPDATE each quarter of an hour and
/// goes on for hours.
#[test]
fn a_long_call_is_refreshed() {
    let mut world = World::new().talking();
    world.run_until(4 * 3600 * 1000);
    assert_eq!((world.sent(ALICE, "UPDATE"), world.sent(BOB, "UPDATE")), (15, 0));
    let is_news = |e: &Event| matches!(e, Event::Reoffered { .. } | Event::Changed { .. });
    assert!(!world.has(ALICE, is_news) && !world.has(BOB, is_news), "nothing has changed");
    world.hang_up(BOB);
    world.run_dry();
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Them, reason: None });
}

/// RFC 4028 §10: who hears nothing of the other side's refresh ends the call, 32 s before the
/// session's time is over.
#[test]
fn a_call_that_nobody_refreshes_ends() {
    let mut world = World::new().talking();
    let answered =
        world.sent.iter().find(|(who, _, t)| *who == BOB && t.starts_with("SIP/2.0 200"));
    let answered = answered.map(|(_, ms, _)| *ms).expect("a 200");
    world.law = Box::new(|_, _| Fate::Lose);
    world.run_until(answered + (1800 - 32) * 1000 - 1);
    assert!(!world.has(BOB, |e| matches!(e, Event::Ended { .. })));
    world.run_until(answered + (1800 - 32) * 1000);
    assert_eq!(*world.end(BOB), End::Failed(Failure::Expired));
    assert_eq!(*world.end(ALICE), End::Failed(Failure::Timeout), "it has asked and heard nothing");
    assert_eq!(world.sent(BOB, "BYE"), 1);
}

/// RFC 4028 §9: a shorter session than 90 s is refused, unless its caller does not know timers.
#[test]
fn a_session_that_is_too_short() {
    let ask = |lines: &str| {
        let mut world = World::new();
        let answer = world.ask_bob_for("INVITE", 1, lines, "v=0\n").remove(0);
        (answer.code(), answer.headers.first("Min-SE").map(str::to_owned))
    };
    let (known, short) = ("Supported: timer\n", "Session-Expires: 89\n");
    assert_eq!(ask(&format!("{known}{short}")), (422, Some("90".into())));
    assert_eq!(ask(short), (100, None));
    assert_eq!(ask(&format!("{known}Session-Expires: 90\n")).0, 100);
    assert_eq!(ask("Session-Expires: soon\n").0, 400);
}

/// RFC 4028 §7.3: a caller whose session was too short asks again in the same call, for as long as
/// it was told; who asks for less than before, or for more than a day, gets no other INVITE.
#[test]
fn the_caller_asks_for_a_longer_session() {
    let mut world = World::calling_nobody();
    let first = world.last(ALICE, "INVITE");
    assert_eq!(first.headers.first("Session-Expires"), Some("1800"));
    world.answer_alice("INVITE", 422, "Min-SE: 3600\n", "");
    let second = world.last(ALICE, "INVITE");
    assert_eq!(second.headers.first("Session-Expires"), Some("3600"));
    assert_eq!(second.headers.first("Min-SE"), Some("3600"));
    assert_eq!(second.headers.first("Call-ID"), first.headers.first("Call-ID"));
    assert_eq!(second.headers.from(), first.headers.from());
    let cseq = |request: &Request| request.headers.cseq().map_or(0, |cseq| cseq.number);
    assert_eq!(cseq(&second), cseq(&first) + 1);
    assert_eq!(world.sent(ALICE, "ACK"), 1);
    assert!(!world.has(ALICE, |e| matches!(e, Event::Ended { .. })));
    world.answer_alice("INVITE", 422, "Min-SE: 3600\n", "");
    assert_eq!(rejected(world.end(ALICE)), Some(422));

    let mut world = World::calling_nobody();
    world.answer_alice("INVITE", 422, "Min-SE: 90000\n", "");
    assert_eq!(rejected(world.end(ALICE)), Some(422));
}

/// RFC 4028 §7.4, §9: the callee refreshes if it is to, by a re-INVITE with its last description
/// where the other side does not know UPDATE; if it does, and then says that it does not, too.
#[test]
fn the_callee_refreshes_if_it_is_to() {
    for allow in ["Allow: INVITE, ACK, BYE\n", "Allow: INVITE, ACK, BYE, UPDATE\n"] {
        let mut world = World::new();
        let lines = format!("{allow}Supported: timer\nSession-Expires: 600;refresher=uas\n");
        world.ask_bob_for("INVITE", 1, &lines, "v=0\n");
        world.answer();
        let taken = world.sent.iter().rev().find_map(|(_, _, t)| response(t)).expect("a 200");
        assert_eq!(taken.headers.first("Session-Expires"), Some("600;refresher=uas"));
        world.ask_bob_for("ACK", 1, "", "");
        world.law = Box::new(|_, _| Fate::Lose);
        world.run_until(299_999);
        assert_eq!(world.sent(BOB, "INVITE") + world.sent(BOB, "UPDATE"), 0);
        world.run_until(300_000);
        if allow.contains("UPDATE") {
            let update = world.last(BOB, "UPDATE");
            assert_eq!(update.headers.first("Session-Expires"), Some("1800;refresher=uac"));
            assert!(update.body().is_empty());
            let refusal = Response::to(&update, rsip::StatusCode::MethodNotAllowed, None);
            let bytes = refusal.to_bytes();
            world.input(BOB, Input::Datagram { flow: FLOW, bytes: &bytes });
        }
        assert_eq!(world.last(BOB, "INVITE").body(), ANSWER);
    }
}
