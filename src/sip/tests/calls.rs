//! Calls from beginning to end on a channel that works.

use rsip::StatusCode;

use super::*;

#[test]
fn a_call_is_set_up_and_ended() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.command(BOB, Command::Ring { leg: INCOMING });
    world.run_until(500);
    world.answer();
    world.run_until(1000);
    world.hang_up(ALICE);
    world.run_dry();
    let leg = LEG;
    let answer = Some(ANSWER.to_vec());
    let end = End::HungUp { by: Side::Us, reason: None };
    assert_eq!(
        world.of(ALICE),
        [
            &Event::Trying { leg },
            &Event::Ringing { leg },
            &Event::Answered { leg, answer },
            &Event::Ended { leg, end },
        ]
    );
    let leg = INCOMING;
    let end = End::HungUp { by: Side::Them, reason: None };
    assert_eq!(
        world.of(BOB),
        [
            &Event::Incoming {
                leg,
                flow: FLOW,
                from: aor("alice@o"),
                display: None,
                to: aor("bob@o"),
                offer: Some(OFFER.to_vec()),
                replaces: None,
                referred_by: None,
            },
            &Event::Acked { leg, answer: None },
            &Event::Ended { leg, end },
        ]
    );
    assert_eq!((world.sent(ALICE, "INVITE"), world.sent(BOB, "SIP/2.0 200")), (1, 2));
    assert!(!world.agents.iter().any(|a| a.is_flow_used(FLOW)));
}

/// R7904-5.1-08: Via names the overlay, Contact is the GRUU, and all that follows uses the flow.
#[test]
fn via_and_contact_name_the_overlay() {
    let mut world = World::new().talking();
    world.hang_up(BOB);
    world.run_dry();
    let find = |who, start: &str| {
        let found = world.sent.iter().find(|(w, _, t)| *w == who && t.starts_with(start));
        found.and_then(|(_, _, text)| request(text)).expect("was sent")
    };
    let invite = find(ALICE, "INVITE");
    assert_eq!(invite.headers.via().map(|v| v.sent_by().to_owned()).as_deref(), Ok("o"));
    assert_eq!(invite.headers.first("Contact"), Some("<sip:alice@o;gr=device1>"));
    assert_eq!(invite.headers.first("User-Agent"), Some(super::super::ua::PRODUCT));
    let target = |r: &Request| r.uri().map(|u| u.to_string());
    assert_eq!(target(&find(ALICE, "ACK")).as_deref(), Ok("sip:bob@o;gr=device2"));
    assert_eq!(target(&find(BOB, "BYE")).as_deref(), Ok("sip:alice@o;gr=device1"));
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Them, reason: None });
}

/// A call by SIPS has Contacts of SIPS on both sides, so that all that follows is SIPS too.
#[test]
fn a_call_by_sips_stays_so() {
    let mut world = World::new();
    world.invite_to("sips:bob@o");
    world.run_until(100);
    world.answer();
    world.run_until(1000);
    world.hang_up(BOB);
    world.run_dry();
    let target = |who, start: &str| {
        let found = world.sent.iter().find(|(w, _, t)| *w == who && t.starts_with(start));
        let request = found.and_then(|(_, _, text)| request(text)).expect("was sent");
        request.uri().map(|uri| uri.to_string()).expect("a URI")
    };
    assert_eq!(target(ALICE, "ACK"), "sips:bob@o;gr=device2");
    assert_eq!(target(BOB, "BYE"), "sips:alice@o;gr=device1");
}

#[test]
fn a_call_is_refused() {
    let cases = [
        (StatusCode::BusyHere, 486, "Busy Here"),
        (StatusCode::Decline, 603, "Decline"),
        (StatusCode::OK, 603, "Decline"),
    ];
    for (status, code, words) in cases {
        let mut world = World::new();
        world.invite();
        world.run_until(100);
        world.command(BOB, Command::Reject { leg: INCOMING, status });
        world.run_dry();
        let status = StatusCode::from(code);
        let phrase = words.to_owned();
        assert_eq!(*world.end(ALICE), End::Rejected { by: Side::Them, status, phrase });
        assert_eq!(rejected(world.end(BOB)), Some(code));
        assert_eq!(world.sent(ALICE, "ACK"), 1);
    }
}

#[test]
fn a_call_to_somebody_else_is_not_found() {
    let mut world = World::new();
    world.invite_to("sip:carol@o");
    world.run_dry();
    assert_eq!(rejected(world.end(ALICE)), Some(404));
    let status = StatusCode::NotFound;
    let claimed = Some(aor("alice@o"));
    assert_eq!(world.of(BOB), [&Event::Refused { flow: FLOW, claimed, status }]);
}

#[test]
fn a_user_name_may_be_escaped() {
    let mut world = World::new();
    world.invite_to("sip:b%6Fb@O;gr=device2");
    world.run_until(100);
    assert!(world.has(BOB, |e| matches!(e, Event::Incoming { to, .. } if *to == aor("bob@o"))));
}

#[test]
fn a_caller_with_a_wrong_name_is_forbidden() {
    for certified in ["mallory@o", "Alice@o", "alice@o.evil"] {
        let mut world = World::new();
        world.flow_up(BOB, FLOW, certified);
        world.invite();
        world.run_dry();
        assert_eq!(rejected(world.end(ALICE)), Some(403));
        let status = StatusCode::Forbidden;
        let claimed = Some(aor("alice@o"));
        assert_eq!(world.of(BOB), [&Event::Refused { flow: FLOW, claimed, status }]);
    }
}

#[test]
fn a_ringing_call_is_cancelled_with_its_reason() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.command(BOB, Command::Ring { leg: INCOMING });
    world.run_until(200);
    let reason = Some(Reason::completed_elsewhere());
    world.command(ALICE, Command::HangUp { leg: LEG, reason: reason.clone() });
    assert_eq!(*world.end(ALICE), End::Cancelled { by: Side::Us, reason: reason.clone() });
    assert!(world.agents[ALICE].is_flow_used(FLOW), "the CANCEL needs the flow");
    world.run_dry();
    assert_eq!(*world.end(BOB), End::Cancelled { by: Side::Them, reason });
    assert_eq!((world.sent(ALICE, "CANCEL"), world.sent(BOB, "SIP/2.0 487")), (1, 1));
    let line = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
    assert!(world.sent.iter().any(|(_, _, t)| t.starts_with("CANCEL") && t.contains(line)));
    assert!(!world.agents.iter().any(|a| a.is_flow_used(FLOW)));
}

/// RFC 3261 §9.1: nothing is cancelled before the other side has shown that it has the INVITE.
#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut world = World::new();
    world.invite();
    world.hang_up(ALICE);
    assert_eq!(world.sent(ALICE, "CANCEL"), 0);
    world.run_dry();
    assert_eq!(world.sent(ALICE, "CANCEL"), 1);
    assert_eq!(*world.end(BOB), End::Cancelled { by: Side::Them, reason: None });
}

#[test]
fn an_answer_that_crosses_the_cancel_is_taken_back() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.answer();
    world.hang_up(ALICE);
    world.run_dry();
    assert_eq!(*world.end(ALICE), End::Cancelled { by: Side::Us, reason: None });
    assert_eq!(*world.end(BOB), End::HungUp { by: Side::Them, reason: None });
    assert_eq!((world.sent(ALICE, "ACK"), world.sent(ALICE, "BYE")), (1, 1));
}

#[test]
fn hanging_up_an_incoming_call_declines_it() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.hang_up(BOB);
    world.run_dry();
    assert_eq!(rejected(world.end(ALICE)), Some(603));
}

/// RFC 3261 §15: the callee may not send BYE before the ACK has come.
#[test]
fn the_callee_hangs_up_only_after_the_ack() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.answer();
    world.hang_up(BOB);
    assert_eq!(world.sent(BOB, "BYE"), 0);
    world.run_dry();
    assert_eq!(world.sent(BOB, "BYE"), 1);
    assert_eq!(*world.end(BOB), End::HungUp { by: Side::Us, reason: None });
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Them, reason: None });
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut world = World::new().talking();
    world.hang_up(ALICE);
    world.hang_up(BOB);
    world.run_dry();
    for who in [ALICE, BOB] {
        assert_eq!(*world.end(who), End::HungUp { by: Side::Us, reason: None });
        assert_eq!(world.sent(who, "SIP/2.0 481"), 0);
    }
}

#[test]
fn a_phone_that_rings_for_ever_is_given_up() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.command(BOB, Command::Ring { leg: INCOMING });
    world.run_dry();
    assert_eq!(*world.end(ALICE), End::Failed(Failure::NoAnswer));
    let at = world.events.iter().find(|(who, _, e)| *who == ALICE && is_end(e)).map(|e| e.1);
    assert_eq!(at, Some(180_000));
    assert!(world.sent(BOB, "SIP/2.0 180") > 3, "a lost 180 is made up for");
    let ringing = |e: &Event| matches!(e, Event::Ringing { .. });
    assert_eq!(world.of(ALICE).into_iter().filter(|e| ringing(e)).count(), 1);
}

fn is_end(event: &Event) -> bool {
    matches!(event, Event::Ended { .. })
}

/// Several legs at once: each has its own dialog, and ending one leaves the others alone.
#[test]
fn calls_run_side_by_side() {
    let mut world = World::new();
    for leg in [1, 2, 3].map(LegId) {
        let (from, to) = (aor("alice@o"), "sip:bob@o".parse().expect("URI"));
        let offer = OFFER.to_vec();
        world.command(ALICE, Command::Invite { leg, flow: FLOW, from, to, offer, transfer: None });
    }
    world.run_until(100);
    let incoming = [0, 1, 2].map(|n| LegId(LegId::FIRST_INCOMING + n));
    for leg in incoming {
        world.command(BOB, Command::Answer { leg, answer: ANSWER.to_vec() });
    }
    world.run_until(200);
    world.command(ALICE, Command::HangUp { leg: LegId(2), reason: None });
    world.run_until(40_000);
    let ended = |who| {
        let ends = world.of(who).into_iter().filter_map(|e| match e {
            Event::Ended { leg, .. } => Some(*leg),
            _ => None,
        });
        ends.collect::<Vec<_>>()
    };
    assert_eq!(ended(ALICE), [LegId(2)]);
    assert_eq!(ended(BOB), [incoming[1]]);
}

#[test]
fn legs_are_bounded() {
    let mut world = World::new();
    for number in 0..=limits::LEGS_MAX as u64 {
        let (from, to) = (aor("alice@o"), "sip:bob@o".parse().expect("URI"));
        let leg = LegId(number);
        world.command(
            ALICE,
            Command::Invite { leg, flow: FLOW, from, to, offer: vec![], transfer: None },
        );
    }
    let leg = LegId(limits::LEGS_MAX as u64);
    let end = End::Failed(Failure::TooManyCalls);
    assert_eq!(world.of(ALICE), [&Event::Ended { leg, end }]);
    world.run_until(5000);
    let incoming = |e: &&Event| matches!(e, Event::Incoming { .. });
    assert_eq!(world.of(BOB).iter().filter(|e| incoming(e)).count(), limits::INCOMING_LEGS_MAX);
    let refused = |code: u16| {
        let is = |e: &&Event| matches!(e, Event::Ended { end, .. } if rejected(end) == Some(code));
        world.of(ALICE).iter().filter(|e| is(e)).count()
    };
    assert_eq!(refused(486), limits::LEGS_MAX - limits::INCOMING_LEGS_MAX);
}
