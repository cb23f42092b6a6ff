//! Calls on hold, and several calls at once.

use super::forwarding::Overlay;
use super::*;
use crate::phone::{Call, CallId};

impl Phone {
    fn call(&self, id: CallId) -> Call {
        let snapshot = self.handle.snapshot();
        snapshot.calls.iter().find(|c| c.id == id).expect("a card").clone()
    }

    fn hold(&self, id: CallId, is_held: bool) {
        self.send(Command::Hold(id, is_held));
    }

    /// Waits until a call is told to be held like this: by us, by them.
    async fn held(&mut self, id: CallId) -> (bool, bool) {
        self.event(|e| match e {
            Event::Held { call, by_us, by_them, .. } if *call == id => Some((*by_us, *by_them)),
            _ => None,
        })
        .await
    }

    /// Waits until something is heard in a call, or nothing any more.
    async fn hears(&mut self, id: CallId, is_heard: bool) {
        let what = if is_heard { "sound" } else { "silence" };
        self.until(what, |s| {
            let call = s.calls.iter().find(|c| c.id == id).expect("a card");
            if is_heard { call.level_received > 0.2 } else { call.level_received < 0.001 }
        })
        .await;
    }
}

/// Two phones in a call in which both are heard.
async fn talking() -> (Overlay, Phone, CallId, Phone, CallId) {
    let (overlay, mut alice) = Overlay::humming().await;
    let mut bob = overlay.hummer("bob").await;
    alice.send(Command::Dial("bob".into()));
    let at_bob = bob.rings().await;
    bob.send(Command::Answer(at_bob));
    alice.talks().await;
    let at_alice = alice.handle.snapshot().calls[0].id;
    alice.hears(at_alice, true).await;
    bob.hears(at_bob, true).await;
    (overlay, alice, at_alice, bob, at_bob)
}

/// RFC 3264 §8.4: a call on hold is silent both ways and both sides are told; each side holds it on
/// its own, and it goes on when both want it to.
#[tokio::test]
async fn a_call_is_held_and_goes_on() {
    let (_overlay, mut alice, at_alice, mut bob, at_bob) = talking().await;
    alice.hold(at_alice, true);
    assert_eq!(
        (alice.held(at_alice).await, bob.held(at_bob).await),
        ((true, false), (false, true))
    );
    alice.hears(at_alice, false).await;
    bob.hears(at_bob, false).await;
    let (here, there) = (alice.call(at_alice), bob.call(at_bob));
    assert!(here.held_by_us && !here.held_by_them && there.held_by_them && !there.held_by_us);

    bob.hold(at_bob, true);
    assert_eq!((bob.held(at_bob).await, alice.held(at_alice).await), ((true, true), (true, true)));
    alice.hold(at_alice, false);
    let both = (alice.held(at_alice).await, bob.held(at_bob).await);
    assert_eq!(both, ((false, true), (true, false)));
    bob.hold(at_bob, false);
    let both = (bob.held(at_bob).await, alice.held(at_alice).await);
    assert_eq!(both, ((false, false), (false, false)));
    alice.hears(at_alice, true).await;
    bob.hears(at_bob, true).await;
}

/// RFC 3261 §14.1: both sides hold at the same moment, and go on at the same moment; whoever loses
/// asks again, and both know in the end what the other one wants.
#[tokio::test]
async fn both_hold_at_once() {
    let (_overlay, mut alice, at_alice, mut bob, at_bob) = talking().await;
    for is_held in [true, false] {
        alice.hold(at_alice, is_held);
        bob.hold(at_bob, is_held);
        let all = |id| {
            move |s: &Snapshot| {
                let call = s.calls.iter().find(|c| c.id == id).expect("a card");
                (call.held_by_us, call.held_by_them) == (is_held, is_held)
            }
        };
        alice.until("both hold, or none", all(at_alice)).await;
        bob.until("both hold, or none", all(at_bob)).await;
    }
    alice.hears(at_alice, true).await;
    bob.hears(at_bob, true).await;
}

/// A second call is told while one goes on, and answering it holds the first one; sound flows in
/// one of them at a time, whichever the user goes on with.
#[tokio::test]
async fn a_second_call_is_answered_and_the_first_is_held() {
    let (overlay, mut alice, with_bob, mut bob, at_bob) = talking().await;
    let mut carol = overlay.hummer("carol").await;
    carol.send(Command::Dial("alice".into()));
    let with_carol = alice.rings().await;
    carol.until("it rings", |s| s.calls[0].state == CallState::Ringing).await;
    assert!(!alice.call(with_bob).held_by_us);
    alice.send(Command::Answer(with_carol));
    assert_eq!(alice.held(with_bob).await, (true, false));
    assert_eq!(bob.held(at_bob).await, (false, true));
    alice.hears(with_carol, true).await;
    alice.hears(with_bob, false).await;

    alice.hold(with_bob, false);
    assert_eq!(alice.held(with_carol).await, (true, false));
    alice.hears(with_bob, true).await;
    alice.hears(with_carol, false).await;
    carol.send(Command::HangUp(carol.handle.snapshot().calls[0].id));
    assert_eq!(alice.over().await.0, "carol@one.example hung up.");
    assert!(!alice.call(with_bob).held_by_us);
    bob.hears(at_bob, true).await;
}

/// Calling somebody else holds the call that is going on; whoever calls when there are four is told
/// that we are busy, and a fifth is not begun.
#[tokio::test]
async fn four_calls_are_enough() {
    let (overlay, mut alice) = Overlay::new().await;
    let [mut bob, mut carol] = [overlay.device("bob").await, overlay.device("carol").await];
    for is_bob in [true, false, true, false] {
        let caller = if is_bob { &mut bob } else { &mut carol };
        caller.send(Command::Dial("alice".into()));
        let call = alice.rings().await;
        alice.send(Command::Answer(call));
        caller.talks().await;
    }
    let active = |s: &Snapshot| s.calls.iter().filter(|c| !c.held_by_us).count() == 1;
    for phone in [&mut alice, &mut bob, &mut carol] {
        phone.until("one is active", active).await;
    }
    carol.send(Command::Dial("alice".into()));
    assert_eq!(carol.over().await.0, "alice@one.example is busy.");
    alice.send(Command::Dial("bob".into()));
    let full = |s: &Snapshot| s.notice.as_ref().is_some_and(|n| n.contains("as many calls"));
    alice.until("a refusal", full).await;
}
