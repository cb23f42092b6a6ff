//! The answering machine.

use super::forwarding::Overlay;
use super::*;
use crate::phone::{Ending, MachineSettings, VoiceMessageJob, Welcome};

fn machine(machine: MachineSettings, do_not_disturb: bool) -> Command {
    let machine = MachineSettings { answering_machine: true, ..machine };
    let welcome = Welcome { do_not_disturb, ..Welcome::default() };
    Command::Configure(Box::new(Settings { machine, welcome, ..Settings::default() }))
}

/// Alice calls bob, and his machine has answered: it takes messages of two seconds.
async fn machine_has_a_call() -> (Overlay, Phone, Phone) {
    let (overlay, mut alice) = Overlay::humming().await;
    let mut bob = overlay.device("bob").await;
    let settings = MachineSettings {
        machine_after_s: 1,
        machine_message_s_max: 2,
        ..MachineSettings::default()
    };
    bob.send(machine(settings, false));
    alice.send(Command::Dial("bob".into()));
    bob.rings().await;
    alice.talks().await;
    (overlay, alice, bob)
}

/// Whoever is not answered is greeted and may speak; the message is there, is marked as heard when
/// it is played, and is gone when it is deleted. The machine hangs up when the message is as long
/// as it may be.
#[tokio::test]
async fn a_message_is_taken_and_deleted() {
    let (_overlay, mut alice, mut bob) = machine_has_a_call().await;
    alice.until("the greeting", |s| s.calls[0].level_received > 0.2).await;
    assert!(bob.handle.snapshot().calls[0].takes_message);
    assert_eq!(alice.over().await.0, "bob@one.example hung up.");
    bob.until("a message", |s| !s.voice_messages.is_empty()).await;
    let snapshot = bob.handle.snapshot();
    let message = &snapshot.voice_messages[0];
    assert_eq!((message.peer.as_str(), message.is_new), ("alice@one.example", true));
    assert_eq!(message.duration, Duration::from_secs(2));
    let entry = &snapshot.history[0];
    assert_eq!(entry.outcome, "alice@one.example left a message.");
    assert_eq!(entry.ending(), Ending::Missed);
    let file = bob.folder.path().join("voice").join(&message.name);
    let sound = crate::media::read_wav(&file).expect("a recording");
    assert!(sound.iter().any(|sample| sample.abs() > 0.05), "alice hums");

    bob.send(Command::VoiceMessage(VoiceMessageJob::Play(message.name.clone())));
    bob.until("it is heard", |s| !s.voice_messages[0].is_new).await;
    let heard = bob.handle.snapshot().voice_messages[0].name.clone();
    bob.send(Command::VoiceMessage(VoiceMessageJob::Delete(heard)));
    bob.until("it is deleted", |s| s.voice_messages.is_empty()).await;
    bob.send(Command::VoiceMessage(VoiceMessageJob::Delete("../settings.toml".into())));
    bob.until("no other file is", |s| s.notice.is_some()).await;
    assert!(bob.folder.path().join("settings.toml").exists());
}

/// A call that the machine has is picked up: both sides hear each other, it was no missed call, and
/// nobody is cut off when the message would be as long as it may be.
#[tokio::test]
async fn a_message_is_cut_short_by_picking_up() {
    let (_overlay, mut alice, mut bob) = machine_has_a_call().await;
    bob.until("the machine", |s| s.calls[0].takes_message).await;
    let id = bob.handle.snapshot().calls[0].id;
    bob.send(Command::Mute(id, true));
    bob.send(Command::Answer(id));
    bob.until("a call of ours", |s| !s.calls[0].takes_message).await;
    bob.until("she is heard", |s| s.calls[0].level_received > 0.05).await;
    bob.until("longer than a message", |s| match &s.calls[0].state {
        CallState::Talking { duration } => *duration >= Duration::from_secs(6),
        state => panic!("{state:?}"),
    })
    .await;
    assert!(bob.handle.snapshot().calls[0].muted, "that stays as it was");
    bob.send(Command::HangUp(id));
    alice.over().await;
    bob.until("it is over", |s| !s.history.is_empty()).await;
    let entry = &bob.handle.snapshot().history[0];
    assert_eq!((entry.outcome.as_str(), entry.ending()), ("You hung up.", Ending::Talked));
}

/// While we don't want to be disturbed the machine answers at once; whoever says nothing leaves no
/// message and was missed.
#[tokio::test]
async fn nobody_is_disturbed_by_the_machine() {
    let (overlay, mut alice) = Overlay::humming().await;
    let mut bob = overlay.device("bob").await;
    let settings = MachineSettings { machine_after_s: 600, ..MachineSettings::default() };
    bob.send(machine(settings, true));
    alice.send(Command::Dial("bob".into()));
    alice.until("a call", |s| !s.calls.is_empty()).await;
    alice.talks().await;
    alice.send(Command::HangUp(alice.handle.snapshot().calls[0].id));
    bob.until("it is over", |s| !s.history.is_empty()).await;
    let snapshot = bob.handle.snapshot();
    assert_eq!(snapshot.history[0].outcome, "You missed a call from alice@one.example.");
    assert!(snapshot.voice_messages.is_empty());
}
