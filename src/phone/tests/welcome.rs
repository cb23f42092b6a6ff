//! How calls are met.

use super::*;
use crate::phone::{CallId, Direction, Welcome};

impl Phone {
    fn welcome(&self, welcome: Welcome) {
        self.send(Command::Configure(Box::new(Settings { welcome, ..Settings::default() })));
    }

    fn is_knocking(&self, id: CallId) -> bool {
        let snapshot = self.handle.snapshot();
        snapshot.calls.iter().find(|c| c.id == id).expect("a card").is_knocking
    }
}

/// Whoever has never talked to us knocks, and rings from the first answered call on, unless all may
/// ring; a name that is answered at once needs nobody.
#[tokio::test]
async fn strangers_knock_until_they_are_let_in() {
    let (overlay, mut alice) = super::forwarding::Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    for is_knocking in [true, false] {
        bob.send(Command::Dial("alice".into()));
        let call = alice.rings().await;
        alice.until("it is shown", |s| s.calls.iter().any(|c| c.id == call)).await;
        assert_eq!(alice.is_knocking(call), is_knocking);
        alice.send(Command::Answer(call));
        bob.talks().await;
        bob.send(Command::HangUp(bob.handle.snapshot().calls[0].id));
        alice.over().await;
        bob.over().await;
    }
    let answered_at_once = vec!["bob@one.example".to_owned()];
    alice.welcome(Welcome { answered_at_once, ..Welcome::default() });
    bob.send(Command::Dial("alice".into()));
    bob.talks().await;
}

/// RFC 3261 §21.4.18: who wants to be left alone does not ring; the call is in the list.
#[tokio::test]
async fn nobody_is_disturbed() {
    let (overlay, mut alice) = super::forwarding::Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    bob.welcome(Welcome { do_not_disturb: true, ..Welcome::default() });
    assert_eq!(alice.fails("bob").await, "bob@one.example did not answer.");
    bob.until("it is in the list", |s| s.history.len() == 1).await;
    let missed = bob.handle.snapshot().history[0].clone();
    assert_eq!((missed.direction, missed.answered), (Direction::Incoming, false));
    assert!(missed.outcome.contains("left alone"), "{}", missed.outcome);
}

/// RFC 3261 §21.3.3, §8.1.3.4: a call that nobody answers goes on to whom the callee names, and
/// one in a circle ends with one sentence.
#[tokio::test]
async fn unanswered_calls_go_on() {
    let (overlay, mut alice) = super::forwarding::Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let mut carol = overlay.device("carol").await;
    let to = |name: &str| Welcome {
        forward_unanswered: Some(name.into()),
        unanswered_s: 1,
        ..Welcome::default()
    };
    bob.welcome(to("carol"));
    alice.send(Command::Dial("bob".into()));
    bob.rings().await;
    let call = carol.rings().await;
    let went_on = "You missed a call from alice@one.example: it went on to carol@one.example.";
    assert_eq!(bob.over().await.0, went_on);
    carol.send(Command::Answer(call));
    alice.talks().await;
    let shown = alice.handle.snapshot().calls[0].clone();
    assert_eq!(shown.forwarded_to.as_deref(), Some("carol@one.example"));
    alice.send(Command::HangUp(shown.id));
    carol.over().await;
    alice.over().await;

    carol.welcome(to("bob"));
    let sentence = alice.fails("bob").await;
    assert_eq!(sentence, "bob@one.example can't be reached: calls are forwarded in a circle.");
}

/// Who talks, and has named somebody for that, sends further calls on to them.
#[tokio::test]
async fn calls_go_on_while_somebody_talks() {
    let (overlay, mut alice) = super::forwarding::Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let mut carol = overlay.device("carol").await;
    bob.welcome(Welcome { forward_busy: Some("alice".into()), ..Welcome::default() });
    alice.send(Command::Dial("bob".into()));
    let call = bob.rings().await;
    bob.send(Command::Answer(call));
    alice.talks().await;
    carol.send(Command::Dial("bob".into()));
    let at_alice = alice.rings().await;
    alice.send(Command::Answer(at_alice));
    carol.talks().await;
    let shown = carol.handle.snapshot().calls[0].clone();
    assert_eq!(shown.forwarded_to.as_deref(), Some("alice@one.example"));
}
