//! Calls on hold, and several calls at once.

use super::forwarding::Overlay;
use super::*;
use crate::phone::{Call, CallId, SoundSettings, SoundTest};

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

    /// Waits until the user is told a sentence with these words.
    pub(super) async fn noticed(&mut self, words: &str) {
        self.event(|e| {
            matches!(e, Event::Error { message } if message.contains(words)).then_some(())
        })
        .await;
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

/// RFC 3264 §8.4: a call on hold is silent both ways and both sides are told; each side holds it
/// on its own, and it goes on when both want it to.
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
    alice.noticed("as many calls").await;
}

/// RFC 7866: whose call is recorded sees it, for as long as it is; both sides are in the file.
#[tokio::test]
async fn a_call_is_recorded_and_the_other_side_told() {
    let (_overlay, mut alice, at_alice, mut bob, at_bob) = talking().await;
    for is_on in [true, false] {
        alice.send(Command::Record(at_alice, is_on));
        let told = bob.event(|e| match e {
            Event::Recording { call, by_us, by_them, .. } if *call == at_bob => {
                Some((*by_us, *by_them))
            }
            _ => None,
        });
        assert_eq!(told.await, (false, is_on));
        assert_eq!(bob.call(at_bob).recording.by_them, is_on);
        if is_on {
            alice.hears(at_alice, true).await;
            bob.hears(at_bob, true).await;
            alice.hold(at_alice, true);
            alice.hears(at_alice, false).await;
            alice.hold(at_alice, false);
            alice.hears(at_alice, true).await;
        }
    }
    let file = alice.call(at_alice).recording.file.expect("a recording");
    let mut reader = hound::WavReader::open(file).expect("a readable file");
    let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("a sample")).collect();
    for side in 0..2 {
        let loudest = samples.iter().skip(side).step_by(2).map(|sample| sample.unsigned_abs());
        assert!(loudest.max() > Some(1000), "side {side}");
    }
}

/// Whoever is on hold hears music, if the holder wants it, and no microphone.
#[tokio::test]
async fn music_is_heard_on_hold() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let music = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/speech-alice.wav"));
    let sound = SoundSettings { hold_music: Some(music), ..SoundSettings::default() };
    alice.send(Command::Configure(Box::new(Settings { sound, ..Settings::default() })));
    alice.send(Command::Dial("bob".into()));
    let at_bob = bob.rings().await;
    bob.send(Command::Answer(at_bob));
    alice.talks().await;
    let at_alice = alice.handle.snapshot().calls[0].id;
    alice.hold(at_alice, true);
    assert_eq!(bob.held(at_bob).await, (false, true));
    bob.hears(at_bob, true).await;
    alice.hold(at_alice, false);
    bob.hears(at_bob, false).await;
}

/// One hears oneself through all of a call; what is tried ends when a call begins.
#[tokio::test]
async fn sound_is_tried_without_a_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let heard = folder.path().join("heard.wav");
    let music = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/speech-alice.wav"));
    let play = Recording::read(&music).expect("speech");
    let mut phone =
        Phone::recording(tempfile::tempdir().expect("a folder"), Some(play), Some(heard.clone()));
    let test = SoundTest::Loopback { delay_ms: 100, loss_percent: 0 };
    phone.send(Command::TestSound(Some(test)));
    phone.until("a level", |s| s.sound_test.is_some_and(|test| test.level > 0.3)).await;
    let is_loud = || {
        let sound = crate::media::read_wav(&heard).unwrap_or_default();
        sound.iter().any(|sample| sample.abs() > 0.1)
    };
    phone.until("oneself", |_| is_loud()).await;
    phone.send(Command::TestSound(None));
    phone.until("the end", |s| s.sound_test.is_none()).await;
}

/// RFC 4733: keys that are pressed in a call are told at the other side, in their order.
#[tokio::test]
async fn keys_are_told() {
    let (_overlay, mut alice, at_alice, mut bob, at_bob) = talking().await;
    for key in "42#".chars() {
        alice.send(Command::Digit(at_alice, key));
    }
    for key in "42#".chars() {
        let digit = bob.event(|e| match e {
            Event::Digit { call, digit } if *call == at_bob => Some(*digit),
            _ => None,
        });
        assert_eq!(digit.await, key);
    }
    alice.send(Command::Digit(at_alice, 'x'));
    alice.noticed("x is no key").await;
}

/// RFC 3515: bob is connected to carol, whom he calls himself; he sees who wanted it, and alice is
/// out of it once they talk.
#[tokio::test]
async fn somebody_is_connected_to_somebody_else() {
    let (overlay, mut alice, at_alice, mut bob, at_bob) = talking().await;
    let mut carol = overlay.hummer("carol").await;
    alice.send(Command::Transfer { call: at_alice, to: "carol".into() });
    let to = bob.event(|e| match e {
        Event::Transferring { to, by_us: false, .. } => Some(to.clone()),
        _ => None,
    });
    assert_eq!(to.await, "carol@one.example");
    let at_carol = carol.rings().await;
    let shown = carol.call(at_carol);
    assert_eq!(shown.peer, "bob@one.example");
    assert_eq!(shown.transferred_by.as_deref(), Some("alice@one.example"));
    assert!(bob.call(at_bob).held_by_us, "whoever waits is on hold");
    carol.send(Command::Answer(at_carol));
    assert_eq!(alice.over().await.0, "You connected bob@one.example to carol@one.example.");
    assert_eq!(bob.over().await.0, "alice@one.example hung up.");
    carol.hears(at_carol, true).await;
}

/// A transfer that comes to nothing is told to whoever wanted it, and the call goes on.
#[tokio::test]
async fn whoever_is_not_connected_goes_on() {
    let (overlay, mut alice, at_alice, mut bob, at_bob) = talking().await;
    let mut carol = overlay.device("carol").await;
    alice.send(Command::Transfer { call: at_alice, to: "carol".into() });
    let at_carol = carol.rings().await;
    assert_eq!(bob.held(at_bob).await, (true, false));
    carol.send(Command::Decline(at_carol));
    let declined = "bob@one.example was not connected to carol@one.example: \
                    carol@one.example declined.";
    alice.noticed(declined).await;
    assert_eq!(bob.held(at_bob).await, (false, false));
    alice.hears(at_alice, true).await;
}

/// RFC 3891: alice talks to bob and to carol and connects the two; carol's phone does not ring
/// again, and her call with alice becomes one with bob.
#[tokio::test]
async fn two_calls_become_one_without_us() {
    let (overlay, mut alice, with_bob, mut bob, at_bob) = talking().await;
    let mut carol = overlay.hummer("carol").await;
    alice.send(Command::Dial("carol".into()));
    let at_carol = carol.rings().await;
    carol.send(Command::Answer(at_carol));
    alice.talks().await;
    let with_carol = alice.handle.snapshot().calls[0].id;
    alice.send(Command::TransferTo { call: with_bob, other: with_carol });
    assert_eq!(carol.over().await.0, "alice@one.example connected you to bob@one.example.");
    bob.until("bob talks to carol alone", |s| {
        let mut calls = s.calls.iter().filter(|c| matches!(c.state, CallState::Talking { .. }));
        calls.next().is_some_and(|c| c.peer == "carol@one.example") && calls.next().is_none()
    })
    .await;
    alice
        .until("alice is out of it", |s| {
            s.calls.iter().all(|c| matches!(c.state, CallState::Ended { .. }))
        })
        .await;
    assert!(bob.handle.snapshot().calls.iter().any(|c| c.id != at_bob && !c.held_by_us));
    let new = carol.handle.snapshot().calls[0].clone();
    assert_eq!((new.peer.as_str(), new.held_by_them), ("bob@one.example", false));
    carol.hears(new.id, true).await;
}
