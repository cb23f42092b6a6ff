//! Calls that hear each other.

use super::forwarding::Overlay;
use super::*;
use crate::media::{compare, read_wav};
use crate::phone::{Call, CallId};

const SECOND: usize = SAMPLE_RATE as usize;
/// Other speech correlates with less than 0.4, a call without loss with 0.9; a machine that is busy
/// with other work delays frames.
const CORRELATION_MIN: f32 = 0.55;

/// Speech that comes with the program, again and again for longer than the test.
fn speech(name: &str) -> (Recording, Vec<f32>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(name);
    let speech = read_wav(&path).expect("speech");
    (Recording::of(name, speech.repeat(20)), speech)
}

/// How well a second of the last five that were recorded fits what was said, wherever in it it is:
/// the best one, as a jitter buffer that adapts shifts what follows.
fn heard(recording: &std::path::Path, speech: &[f32]) -> f32 {
    let sound = read_wav(recording).expect("a recording");
    let last = &sound[sound.len().checked_sub(5 * SECOND).expect("seconds")..];
    let twice = speech.repeat(2);
    let fits = |second| compare::correlation(second, &twice, speech.len()).coefficient;
    last.chunks_exact(SECOND).map(fits).fold(0.0, f32::max)
}

impl Phone {
    fn running(&self) -> Vec<Call> {
        let snapshot = self.handle.snapshot();
        let running = |call: &&Call| matches!(call.state, CallState::Talking { .. });
        snapshot.calls.iter().filter(running).cloned().collect()
    }

    fn mute(&self, is_muted: bool) {
        for call in self.running() {
            self.send(Command::Mute(call.id, is_muted));
        }
    }

    /// Lets so many seconds of a call pass.
    async fn talks_on(&mut self, call: CallId, seconds: u64) {
        let length = |s: &Snapshot| match s.calls.iter().find(|c| c.id == call).map(|c| &c.state) {
            Some(CallState::Talking { duration }) => *duration,
            other => panic!("{other:?}"),
        };
        let end = length(&self.handle.snapshot()) + Duration::from_secs(seconds);
        self.until("some seconds of talk", |s| length(s) >= end).await;
    }
}

/// Alice merges her calls with bob and carol: bob hears carol and carol bob, both hear alice, and
/// when she talks with carol alone, bob is on hold and heard by nobody until merged again. When he
/// leaves, the other two go on.
#[tokio::test]
async fn three_hear_each_other() {
    let (from_alice, said_by_alice) = speech("speech-alice.wav");
    let (from_bob, said_by_bob) = speech("speech-bob.wav");
    let said_by_carol: Vec<f32> = said_by_bob.iter().rev().copied().collect();
    let from_carol = Recording::of("carol", said_by_carol.repeat(20));
    let (overlay, mut alice) = Overlay::speaking(from_alice).await;
    let folder = tempfile::tempdir().expect("a folder");
    let [at_bob, at_carol] = ["bob.wav", "carol.wav"].map(|name| folder.path().join(name));
    let mut bob = overlay.recorder("bob", from_bob, at_bob.clone()).await;
    let mut carol = overlay.recorder("carol", from_carol, at_carol.clone()).await;
    for (name, callee) in [("bob", &mut bob), ("carol", &mut carol)] {
        alice.send(Command::Dial(name.into()));
        let call = callee.rings().await;
        callee.send(Command::Answer(call));
        alice.talks().await;
        alice.until("sound", |s| s.calls[0].level_received > 0.2).await;
    }
    let [with_carol, with_bob] = [0, 1].map(|index| alice.running()[index].id);
    alice.send(Command::Merge { call: with_carol, other: with_bob });
    alice
        .until("a conference", |s| {
            s.calls.iter().all(|c| c.conference == Some(with_bob) && !c.held_by_us)
        })
        .await;
    bob.until("bob is not on hold", |s| !s.calls[0].held_by_them).await;

    alice.mute(true);
    let call = carol.running()[0].id;
    carol.talks_on(call, 7).await;
    let fits = (heard(&at_bob, &said_by_carol), heard(&at_carol, &said_by_bob));
    println!("{fits:?}, and oneself {}", heard(&at_bob, &said_by_bob));
    assert!(fits.0 > CORRELATION_MIN && fits.1 > CORRELATION_MIN, "{fits:?}");

    alice.mute(false);
    bob.mute(true);
    carol.mute(true);
    carol.talks_on(call, 7).await;
    let fits = (heard(&at_bob, &said_by_alice), heard(&at_carol, &said_by_alice));
    println!("{fits:?}");
    assert!(fits.0 > CORRELATION_MIN && fits.1 > CORRELATION_MIN, "{fits:?}");

    alice.send(Command::Split(with_carol));
    alice
        .until("bob is apart", |s| {
            s.calls.iter().all(|c| c.conference.is_none() && c.held_by_us == (c.id == with_bob))
        })
        .await;
    bob.until("bob is on hold", |s| s.calls[0].held_by_them).await;
    bob.mute(false);
    carol.talks_on(call, 7).await;
    let fits = (heard(&at_carol, &said_by_alice), heard(&at_carol, &said_by_bob));
    println!("{fits:?}");
    assert!(fits.0 > CORRELATION_MIN && fits.1 < CORRELATION_MIN, "{fits:?}");

    alice.send(Command::Merge { call: with_carol, other: with_bob });
    bob.until("bob is heard again", |s| !s.calls[0].held_by_them).await;
    bob.send(Command::HangUp(bob.running()[0].id));
    alice.over().await;
    assert_eq!(alice.running().iter().map(|c| c.conference).collect::<Vec<_>>(), [None]);
    carol.until("carol goes on", |s| s.calls[0].level_received > 0.2).await;
}
