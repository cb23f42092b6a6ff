//! Changes of a session while both sides talk (RFC 3261 §14).

use super::*;

/// RFC 3261 §14.1: both sides ask at once and both get 491. Whoever began the call asks again after
/// 2.1 to 4 s, the other one within 2 s, both in steps of 10 ms; so one of them is the first.
#[test]
fn changes_that_cross_are_asked_for_again_in_turn() {
    let mut waits = [Vec::new(), Vec::new()];
    for seed in 0..40 {
        let mut world = World::new();
        world.agents[ALICE] = agent("alice@o", seed);
        world.agents[BOB] = agent("bob@o", seed + 100);
        world.flow_up(ALICE, FLOW, "bob@o");
        world.flow_up(BOB, FLOW, "alice@o");
        let mut world = world.talking();
        world.change(ALICE);
        world.change(BOB);
        world.run_until(3000);
        for who in [ALICE, BOB] {
            let Some(Event::Unchanged { again_after: Some(after), .. }) = world.of(who).last()
            else {
                panic!("{:?}", world.of(who))
            };
            assert_eq!(after.as_millis() % 10, 0);
            waits[who].push(after.as_millis());
        }
        assert_eq!((world.sent(ALICE, "SIP/2.0 491"), world.sent(BOB, "SIP/2.0 491")), (1, 1));
        world.change(BOB);
        world.run_until(4000);
        assert!(world.has(ALICE, |e| matches!(e, Event::Reoffered { .. })));
    }
    let [alice, bob] = waits;
    assert!(alice.iter().all(|ms| (2100..=4000).contains(ms)), "{alice:?}");
    assert!(bob.iter().all(|ms| *ms <= 2000), "{bob:?}");
    assert!(alice.iter().any(|ms| *ms != alice[0]) && bob.iter().any(|ms| *ms != bob[0]));
}

/// RFC 3261 §14.1, §12.2.1.2: a change that is refused leaves the call as it is; where the other
/// side has forgotten the dialog or says nothing any more, the call is over.
#[test]
fn a_refused_change_and_a_lost_dialog() {
    let mut world = World::new().talking();
    world.change(ALICE);
    world.run_until(2000);
    let status = rsip::StatusCode::NotAcceptableHere;
    world.command(BOB, Command::Reject { leg: INCOMING, status });
    world.run_until(3000);
    let refused = Event::Unchanged { leg: LEG, again_after: None };
    assert_eq!(world.of(ALICE).last(), Some(&&refused));

    let mut world = World::new().talking();
    world.agents[BOB] = agent("bob@o", 9);
    world.flow_up(BOB, FLOW, "alice@o");
    world.change(ALICE);
    world.run_until(2000);
    assert_eq!(*world.end(ALICE), End::Failed(Failure::Forgotten));

    let mut world = World::new().talking();
    world.law = Box::new(|_, _| Fate::Lose);
    world.change(ALICE);
    world.run_dry();
    assert_eq!(*world.end(ALICE), End::Failed(Failure::Timeout));
    assert!(!world.agents[ALICE].is_flow_used(FLOW));
}

/// RFC 3261 §14.2: a re-INVITE without an offer asks for one; the answer to it is in the ACK.
#[test]
fn who_is_asked_for_an_offer_hears_the_answer() {
    let mut world = World::new().talking();
    let invite = world.sent.iter().rev().find_map(|(_, _, text)| request(text)).expect("ACK");
    let text = |method: &str, branch: u32, body: &str| {
        let mut lines = String::from_utf8_lossy(&invite.to_bytes()).replace("ACK", method);
        let via = invite.headers.via().expect("Via");
        let old = via.branch().expect("a branch").to_owned();
        lines = lines.replace(&old, &format!("z9hG4bKoffer{branch}"));
        let cseq = invite.headers.cseq().expect("CSeq").number;
        lines = lines.replace(&format!("CSeq: {cseq}"), &format!("CSeq: {}", cseq + 1));
        lines = lines.replace("Content-Length: 0", "Content-Type: application/sdp");
        lines.replace("\r\n\r\n", &format!("\r\n\r\n{body}"))
    };
    world.ask_bob(&text("INVITE", 1, ""));
    assert_eq!(world.of(BOB).last(), Some(&&Event::Reoffered { leg: INCOMING, offer: None }));
    world.command(BOB, Command::Answer { leg: INCOMING, answer: OFFER.to_vec() });
    world.ask_bob(&text("ACK", 2, "v=0\r\no=alice again\r\n"));
    let answer = Some(b"v=0\r\no=alice again\r\n".to_vec());
    assert_eq!(world.of(BOB).last(), Some(&&Event::Changed { leg: INCOMING, answer }));
}

impl World {
    fn change(&mut self, who: usize) {
        let leg = if who == ALICE { LEG } else { INCOMING };
        self.command(who, Command::Change { leg, offer: b"v=0\r\no=changed\r\n".to_vec() });
    }
}
