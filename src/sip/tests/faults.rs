//! Calls on a channel that loses, repeats and reorders, and on flows that close.

use std::cell::Cell;

use super::*;

/// Loses the first `count` datagrams of `who` that begin with `start`.
fn lose(who: usize, start: &'static str, count: usize) -> World {
    let left = Cell::new(count);
    World::with_law(move |sender, line| {
        if sender == who && line.starts_with(start) && left.get() > 0 {
            left.set(left.get() - 1);
            return Fate::Lose;
        }
        Fate::Deliver
    })
}

#[test]
fn a_lost_ack_is_sent_again_for_each_200() {
    let mut world = lose(ALICE, "ACK", 2);
    world.invite();
    world.run_until(100);
    world.answer();
    world.run_until(5000);
    assert_eq!((world.sent(BOB, "SIP/2.0 200"), world.sent(ALICE, "ACK")), (3, 3));
    let answered = |e: &&Event| matches!(e, Event::Answered { .. });
    assert_eq!(world.of(ALICE).iter().filter(|e| answered(e)).count(), 1);
    assert!(world.has(BOB, |e| matches!(e, Event::Acked { .. })));
}

#[test]
fn a_lost_200_is_sent_again() {
    let mut world = lose(BOB, "SIP/2.0 200", 2);
    world.invite();
    world.run_until(100);
    world.answer();
    world.run_until(1500);
    assert!(!world.has(ALICE, |e| matches!(e, Event::Answered { .. })));
    world.run_until(2000);
    assert!(world.has(ALICE, |e| matches!(e, Event::Answered { .. })));
    assert!(world.has(BOB, |e| matches!(e, Event::Acked { .. })));
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_after_32_seconds() {
    let mut world = lose(ALICE, "ACK", usize::MAX);
    world.invite();
    world.run_until(100);
    world.answer();
    world.run_dry();
    assert_eq!(*world.end(BOB), End::Failed(Failure::AckMissing));
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Them, reason: None });
    assert!(world.events.iter().any(|(who, ms, _)| *who == BOB && *ms == 32_100));
}

#[test]
fn silence_ends_the_call_after_32_seconds() {
    let mut world = lose(ALICE, "INVITE", usize::MAX);
    world.invite();
    world.run_dry();
    let end = End::Failed(Failure::Timeout);
    assert_eq!(world.events, [(ALICE, 32_000, Event::Ended { leg: LEG, end })]);
    assert_eq!(world.sent(ALICE, "INVITE"), 7);
}

#[test]
fn a_cancel_without_any_final_response_ends_too() {
    let mut world = World::with_law(|who, line| match who == BOB && !line.contains(" 1") {
        true => Fate::Lose,
        false => Fate::Deliver,
    });
    world.invite();
    world.run_until(100);
    world.hang_up(ALICE);
    world.run_until(40_000);
    assert!(!world.agents[ALICE].is_flow_used(FLOW));
    world.run_dry();
}

#[test]
fn a_bye_that_nobody_answers_ends_too() {
    let mut world = World::new().talking();
    world.law = Box::new(|_, _| Fate::Lose);
    world.hang_up(ALICE);
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Us, reason: None });
    assert!(world.agents[ALICE].is_flow_used(FLOW));
    world.run_dry();
    assert!(!world.agents[ALICE].is_flow_used(FLOW));
    assert_eq!(world.sent(ALICE, "BYE"), 11);
}

/// With a quarter of all datagrams lost, a fifth repeated and up to 900 ms of reordering, a call
/// comes about and ends on both sides, and each side hears of each step once.
#[test]
fn calls_survive_a_bad_channel() {
    for seed in 0..200 {
        let mut world = World::bad(seed);
        world.invite();
        while !world.has(BOB, |e| matches!(e, Event::Incoming { .. })) {
            let next = world.now.as_millis() + 100;
            assert!(next < 32_000, "seed {seed}: seven INVITEs and none came");
            world.run_until(next);
        }
        world.command(BOB, Command::Ring { leg: INCOMING });
        world.run_until(40_000);
        world.answer();
        world.run_until(75_000);
        let who = usize::from(seed % 2 == 0);
        world.hang_up(who);
        world.run_dry();
        for who in [ALICE, BOB] {
            let steps = world.of(who).len();
            assert!(steps <= 4, "seed {seed}: {:?}", world.of(who));
            world.end(who);
        }
        let talked = world.has(ALICE, |e| matches!(e, Event::Answered { .. }));
        let acked = world.has(BOB, |e| matches!(e, Event::Acked { .. }));
        assert!(talked && acked, "seed {seed}: {:?}", world.events);
    }
}

#[test]
fn cancelling_and_refusing_survive_a_bad_channel() {
    for seed in 0..200 {
        let mut world = World::bad(seed);
        world.invite();
        world.run_until(32_000);
        if seed % 2 == 0 {
            world.hang_up(ALICE);
        } else {
            let status = rsip::StatusCode::BusyHere;
            world.command(BOB, Command::Reject { leg: INCOMING, status });
        }
        world.run_dry();
        world.end(ALICE);
        world.end(BOB);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || {
        let mut world = World::bad(3);
        world.invite();
        world.run_until(5000);
        world.answer();
        world.run_until(20_000);
        world.hang_up(BOB);
        world.run_dry();
        (world.events, world.sent)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_closed_flow_ends_what_was_not_answered() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.input(ALICE, Input::FlowDown { flow: FLOW });
    world.input(BOB, Input::FlowDown { flow: FLOW });
    for who in [ALICE, BOB] {
        assert_eq!(*world.end(who), End::Failed(Failure::FlowLost));
    }
    world.invite();
    assert!(
        world.has(ALICE, |e| {
            matches!(e, Event::Ended { end: End::Failed(Failure::NoFlow), .. })
        })
    );
}

#[test]
fn a_call_moves_to_another_flow_of_the_same_peer() {
    let mut world = World::new().talking();
    for who in [ALICE, BOB] {
        world.input(who, Input::FlowDown { flow: FLOW });
        let leg = if who == ALICE { LEG } else { INCOMING };
        assert_eq!(world.of(who).last(), Some(&&Event::Detached { leg }));
    }
    world.run_until(10_000);
    let flow = FlowId(2);
    world.flow_up(ALICE, FlowId(3), "mallory@o");
    world.command(ALICE, Command::Rebind { leg: LEG, flow: FlowId(3) });
    for (who, leg, peer) in [(ALICE, LEG, "bob@o"), (BOB, INCOMING, "alice@o")] {
        world.flow_up(who, flow, peer);
        world.command(who, Command::Rebind { leg, flow });
        assert!(world.agents[who].is_flow_used(flow), "and not Mallory's");
    }
    world.run_until(60_000);
    world.hang_up(BOB);
    world.run_dry();
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Them, reason: None });
}

/// Whoever has changed networks comes on a new flow with a new description. The other side needs
/// to do nothing but to answer; a stranger who knows the dialog can't take it over.
#[test]
fn a_reinvite_moves_a_call() {
    const MOVED: &[u8] = b"v=0\r\no=alice elsewhere\r\n";
    let mut world = World::new().talking();
    let (flow, mallory) = (FlowId(2), FlowId(3));
    world.flow_up(ALICE, flow, "bob@o");
    world.flow_up(BOB, flow, "alice@o");
    world.flow_up(BOB, mallory, "mallory@o");
    world.command(ALICE, Command::Rebind { leg: LEG, flow });
    world.command(ALICE, Command::Change { leg: LEG, offer: MOVED.to_vec() });
    let (_, _, reinvite) = world.sent.last().expect("a re-INVITE").clone();
    assert_eq!(world.ask_bob_on(mallory, &reinvite)[0].code(), 403);
    world.run_until(2000);
    let offer = Some(MOVED.to_vec());
    assert_eq!(world.of(BOB).last(), Some(&&Event::Reoffered { leg: INCOMING, offer }));
    for who in [ALICE, BOB] {
        world.input(who, Input::FlowDown { flow: FLOW });
    }
    world.command(BOB, Command::Answer { leg: INCOMING, answer: b"v=0\r\n".to_vec() });
    world.run_until(3000);
    let answer = Some(b"v=0\r\n".to_vec());
    assert_eq!(world.of(ALICE).last(), Some(&&Event::Changed { leg: LEG, answer }));
    world.command(BOB, Command::Change { leg: INCOMING, offer: OFFER.to_vec() });
    world.command(ALICE, Command::Change { leg: LEG, offer: OFFER.to_vec() });
    world.run_until(60_000);
    let refused = |e: &Event| matches!(e, Event::Unchanged { .. });
    assert!([ALICE, BOB].into_iter().all(|who| world.has(who, refused)), "they cross (491)");
    world.hang_up(BOB);
    world.run_dry();
    assert_eq!(*world.end(ALICE), End::HungUp { by: Side::Them, reason: None });
}

#[test]
fn a_call_that_is_not_moved_ends() {
    let mut world = World::new().talking();
    world.input(ALICE, Input::FlowDown { flow: FLOW });
    world.run_until(30_999);
    assert!(!world.has(ALICE, |e| matches!(e, Event::Ended { .. })));
    world.run_until(31_000);
    assert_eq!(*world.end(ALICE), End::Failed(Failure::FlowLost));
}

/// A flow is replaced while the phone still rings: the transactions go along.
#[test]
fn a_ringing_call_moves_too() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    let flow = FlowId(2);
    for (who, leg, peer) in [(ALICE, LEG, "bob@o"), (BOB, INCOMING, "alice@o")] {
        world.flow_up(who, flow, peer);
        world.command(who, Command::Rebind { leg, flow });
        world.input(who, Input::FlowDown { flow: FLOW });
    }
    world.answer();
    world.run_until(1000);
    world.hang_up(ALICE);
    world.run_dry();
    assert_eq!(*world.end(BOB), End::HungUp { by: Side::Them, reason: None });
}
