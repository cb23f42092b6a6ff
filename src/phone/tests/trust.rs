//! Names that nobody vouches for, and the keys under them.

use std::path::Path;

use super::*;
use crate::phone::{CallId, KeyAlarm, KeyAnswer, Verified};

/// An overlay of self-signed certificates that alice has founded, and where others join.
async fn founded() -> (tempfile::TempDir, PathBuf, Phone, SocketAddr) {
    let papers = tempfile::tempdir().expect("a folder");
    let config = OverlayConfig::self_signed("one.example").expect("a name");
    let document = document(&papers, &config);
    let mut alice = Phone::new();
    let at = alice.found(document.clone(), "alice").await;
    (papers, document, alice, at)
}

impl Phone {
    /// A new device of bob, in the overlay.
    async fn bob(document: &Path, at: SocketAddr) -> Self {
        let mut bob = Self::new();
        bob.send(Command::EnterBeside { overlay: "one.example".into(), user: "bob".into() });
        bob.join(document, at);
        bob.until("in", |s| states(s) == [("one.example", true)]).await;
        bob
    }

    fn join(&mut self, document: &Path, at: SocketAddr) {
        let entrance = Entrance::Document(document.to_path_buf());
        self.send(Command::Join { entrance, user: "bob".into(), bootstrap: vec![at] });
    }

    /// Calls alice, who says how sure she is of the caller.
    async fn calls(&mut self, alice: &mut Self) -> (CallId, Verified) {
        self.send(Command::Dial("alice".into()));
        let call = alice.event(|e| match e {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        });
        let call = call.await;
        alice.until("it rings", |s| s.calls.iter().any(|c| c.id == call)).await;
        let snapshot = alice.handle.snapshot();
        let found = snapshot.calls.iter().find(|c| c.id == call).expect("it rings");
        (call, found.verified)
    }

    async fn ended(&mut self) -> String {
        self.event(|e| match e {
            Event::Ended { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// The one alarm.
    fn alarm(&self) -> KeyAlarm {
        let snapshot = self.handle.snapshot();
        let [alarm] = &snapshot.key_alarms[..] else { panic!("{:?}", snapshot.key_alarms) };
        alarm.clone()
    }

    fn say(&self, alarm: &KeyAlarm, answer: KeyAnswer) {
        let KeyAlarm { overlay, aor, new, .. } = alarm.clone();
        self.send(Command::AnswerAlarm { overlay, aor, node_id: new.node_id, answer });
    }
}

/// The first key of a name is taken; a call under the same name with another one rings, but is not
/// answered until the user has said whose key it is. Who was refused does not ring any more, and
/// is not called.
#[tokio::test]
async fn a_changed_key_is_answered_before_the_call() {
    let (_papers, document, mut alice, at) = founded().await;
    let mut bob = Phone::bob(&document, at).await;
    for verified in [Verified::SelfSignedNew, Verified::SelfSignedKnown] {
        let (call, seen) = bob.calls(&mut alice).await;
        assert_eq!(seen, verified);
        alice.send(Command::Decline(call));
        bob.ended().await;
    }
    let first = bob.handle.snapshot().me().expect("joined").node_id.clone();
    bob.end().await;

    let mut other = Phone::bob(&document, at).await;
    let (call, seen) = other.calls(&mut alice).await;
    assert_eq!(seen, Verified::SelfSignedChanged);
    let alarm = alice.alarm();
    assert_eq!((alarm.aor.as_str(), alarm.known[0].node_id.as_str()), ("bob@one.example", &*first));
    assert_ne!(alarm.known[0].words, alarm.new.words);
    alice.send(Command::Answer(call));
    let refused = |s: &Snapshot| s.notice.as_ref().is_some_and(|n| n.contains("then answer"));
    alice.until("a notice", refused).await;
    assert_eq!(alice.handle.snapshot().calls[0].state, CallState::Incoming);
    alice.say(&alarm, KeyAnswer::AnotherDevice);
    alice.until("no alarm", |s| s.key_alarms.is_empty()).await;
    alice.send(Command::Answer(call));
    alice.event(|e| matches!(e, Event::Answered { .. }).then_some(())).await;
    alice.send(Command::HangUp(call));
    other.ended().await;
    other.end().await;

    let mut mallory = Phone::bob(&document, at).await;
    let (_, seen) = mallory.calls(&mut alice).await;
    assert_eq!(seen, Verified::SelfSignedChanged);
    alice.say(&alice.alarm(), KeyAnswer::Refuse);
    assert!(mallory.ended().await.contains("declined"));
    while !alice.ended().await.contains("declined") {}
    mallory.send(Command::Dial("alice".into()));
    mallory.ended().await;
    let reason = alice.ended().await;
    assert!(reason.contains("you have refused its key"), "{reason}");
    let alice = Phone::with(alice.end().await);
    assert_eq!(alice.handle.snapshot().key_alarms, [], "the answer is remembered");
}

/// A name is called on the device whose key is known. A device that has come since is not called
/// before the user has said whose it is.
#[tokio::test]
async fn a_device_with_another_key_is_not_called() {
    let (_papers, document, mut alice, at) = founded().await;
    let mut bob = Phone::bob(&document, at).await;
    let (call, _) = bob.calls(&mut alice).await;
    alice.send(Command::Decline(call));
    bob.ended().await;
    bob.end().await;
    let mut other = Phone::bob(&document, at).await;
    let is_over = |s: &Snapshot| s.calls.iter().all(|c| c.state != CallState::Incoming);
    alice.until("the call is over", is_over).await;
    alice.send(Command::Dial("bob".into()));
    let reason = loop {
        let reason = alice.ended().await;
        if !reason.contains("declined") {
            break reason;
        }
    };
    assert!(reason.contains("another key than before"), "{reason}");
    assert!(other.handle.snapshot().calls.is_empty(), "it did not ring");
    alice.say(&alice.alarm(), KeyAnswer::InPlace);
    alice.until("no alarm", |s| s.key_alarms.is_empty()).await;
    alice.send(Command::Dial("bob".into()));
    other.event(|e| matches!(e, Event::Incoming { .. }).then_some(())).await;
}

/// R6940-11.3.1-02, R6940-11.3.1-05: a phone makes its own certificate where that is permitted, and
/// stores it under its name. R6940-11.3.1-06: before that it looks who has the name, and does not
/// enter under one that is taken. The user may say that the other one is a device of theirs; and
/// whoever had the name before comes back. R6940-11.3.1-07: that nobody vouches for names here is
/// among what the window shows.
#[tokio::test]
async fn a_name_that_is_taken_is_not_used() {
    let (_papers, document, alice, at) = founded().await;
    let snapshot = alice.handle.snapshot();
    assert!(snapshot.default_membership().is_some_and(|m| m.document.is_self_signed));
    let bob = Phone::bob(&document, at).await;
    let first = bob.handle.snapshot().me().expect("joined").node_id.clone();
    // What a peer stores under its name comes some seconds after it has joined.
    let mut impostor = Phone::new();
    let reason = loop {
        impostor.join(&document, at);
        let is_decided = |s: &Snapshot| match s.overlay() {
            OverlayState::Joined { registered, .. } => *registered,
            state => matches!(state, OverlayState::Failed { .. }),
        };
        impostor.until("in or refused", is_decided).await;
        if let OverlayState::Failed { reason } = impostor.handle.snapshot().overlay() {
            break reason.clone();
        }
        impostor.send(Command::Leave(Some("one.example".into())));
        impostor.until("out", |s| s.memberships.is_empty()).await;
        impostor = Phone::new();
    };
    assert!(reason.contains("bob@one.example is taken"), "{reason}");
    let alarm = impostor.alarm();
    assert_eq!((alarm.aor.as_str(), &alarm.new.node_id), ("bob@one.example", &first));

    impostor.say(&alarm, KeyAnswer::AnotherDevice);
    impostor.until("no alarm", |s| s.key_alarms.is_empty()).await;
    impostor.join(&document, at);
    impostor.until("in", |s| states(s) == [("one.example", true)]).await;
    let both = |s: &Snapshot| s.devices.len() == 2 && s.devices.iter().all(|d| !d.is_unproven);
    impostor.until("two devices", both).await;
    let devices = impostor.handle.snapshot().devices.clone();
    assert_eq!(devices.iter().filter(|d| d.is_this).count(), 1);
    assert!(devices.iter().any(|d| d.node_id == first && !d.is_this), "{devices:?}");

    // The second one is nobody's business but bob's own, who is asked about it.
    let mut bob = Phone::with(bob.end().await);
    bob.join(&document, at);
    bob.until("in", |s| states(s) == [("one.example", true)]).await;
    bob.until("a question", |s| !s.key_alarms.is_empty()).await;
    bob.until("two devices", |s| s.devices.iter().any(|d| d.is_unproven)).await;
    let second = bob.alarm().new.node_id;
    bob.send(Command::RemoveDevice { overlay: "one.example".into(), node_id: second });
    let honest = |s: &Snapshot| s.notice.as_ref().is_some_and(|n| n.contains("no authority"));
    bob.until("a notice", honest).await;
    assert_eq!(bob.handle.snapshot().key_alarms, []);
}
