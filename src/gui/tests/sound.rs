//! Recording, the answering machine and its messages.

use super::*;
use crate::phone::{RunningTest, SoundTest, VoiceMessage, VoiceMessageJob};

#[test]
fn a_call_is_recorded_by_a_button_and_both_sides_see_it() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(with_call(talking()), size);
        click(&mut harness, words::record());
        assert_eq!(commands(&mut backend), [Command::Record(CallId(3), true)]);
        let mut recorded = with_call(talking());
        recorded.calls[0].recording.by_us = true;
        tell(&mut harness, &backend, recorded);
        harness.get_by_label("You record this call; bob is told");
        click(&mut harness, words::record_stop());
        assert_eq!(commands(&mut backend), [Command::Record(CallId(3), false)]);
        let mut recorded = with_call(talking());
        recorded.calls[0].recording.by_them = true;
        tell(&mut harness, &backend, recorded);
        harness.get_by_label("bob records this call");
    }
}

#[test]
fn messages_are_played_and_deleted() {
    let message = VoiceMessage {
        name: "1-bob.new.wav".into(),
        peer: "bob@smith".into(),
        unix_ms: 0,
        duration: Duration::from_secs(12),
        is_new: true,
        is_playing: false,
    };
    let with = |message: VoiceMessage| Snapshot { voice_messages: vec![message], ..joined() };
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(with(message.clone()), size);
        click(&mut harness, "Play the message of bob");
        let job = VoiceMessageJob::Play(message.name.clone());
        assert_eq!(commands(&mut backend), [Command::VoiceMessage(job)]);
        tell(&mut harness, &backend, with(VoiceMessage { is_playing: true, ..message.clone() }));
        click(&mut harness, "Stop the message of bob");
        assert_eq!(commands(&mut backend), [Command::VoiceMessage(VoiceMessageJob::Stop)]);
        click(&mut harness, "Delete the message of bob");
        let job = VoiceMessageJob::Delete(message.name.clone());
        assert_eq!(commands(&mut backend), [Command::VoiceMessage(job)]);
    }
}

/// Nobody here talks in a call that the machine has: it can be ended or picked up, and is never in
/// front of one in which somebody talks.
#[test]
fn a_call_that_leaves_a_message_is_in_nobodys_way() {
    let machine = Call { takes_message: true, peer: "dora@smith".into(), ..call(4, talking()) };
    let mut snapshot = with_call(talking());
    snapshot.calls.insert(0, machine);
    let (mut harness, mut backend) = open(snapshot, WIDE);
    harness.get_by_label(words::takes_message());
    click(&mut harness, words::record());
    assert_eq!(commands(&mut backend), [Command::Record(CallId(3), true)]);
    click(&mut harness, words::take_over());
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(4))]);
}

/// Alone it has large buttons too.
#[test]
fn a_message_is_cut_short_by_picking_up() {
    let machine = Call { takes_message: true, ..call(4, talking()) };
    let snapshot = Snapshot { calls: vec![machine], ..joined() };
    let (mut harness, mut backend) = open(snapshot, WIDE);
    click(&mut harness, words::take_over());
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(4))]);
    click(&mut harness, words::hang_up());
    assert_eq!(commands(&mut backend), [Command::HangUp(CallId(4))]);
}

#[test]
fn the_machine_is_off_until_it_is_wanted() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    harness.state_mut().view.kept.page = Page::Settings;
    harness.run();
    assert!(harness.query_by_label(words::machine_busy()).is_none());
    harness.get_by_label(words::machine_on()).click();
    harness.run();
    let sent = commands(&mut backend);
    let [Command::Configure(settings)] = &sent[..] else { panic!("{sent:?}") };
    assert!(settings.machine.answering_machine);
    tell(&mut harness, &backend, Snapshot { settings: *settings.clone(), ..joined() });
    write(&mut harness, words::hold_music(), "/music.wav");
    harness.key_press(Key::Enter);
    harness.run();
    let sent = commands(&mut backend);
    let [Command::Configure(settings)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(settings.sound.hold_music.as_deref(), Some(std::path::Path::new("/music.wav")));
}

#[test]
fn two_calls_are_merged_by_a_button_and_parted_by_another() {
    for size in [WIDE, NARROW] {
        let mut snapshot = with_call(talking());
        snapshot.calls.insert(0, Call { peer: "dora@smith".into(), ..call(4, talking()) });
        let (mut harness, mut backend) = open(snapshot.clone(), size);
        click(&mut harness, "Merge with bob");
        let merge = Command::Merge { call: CallId(4), other: CallId(3) };
        assert_eq!(commands(&mut backend), [merge]);
        for call in &mut snapshot.calls {
            call.conference = Some(CallId(3));
        }
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label(words::in_conference());
        harness.get_by_label_contains("in the conference");
        assert!(harness.query_by_label("Merge with bob").is_none());
        click(&mut harness, "Talk with dora alone");
        assert_eq!(commands(&mut backend), [Command::Split(CallId(4))]);
    }
}

fn with_order(names: &[&str]) -> Settings {
    let microphones = names.iter().copied().map(String::from).collect();
    let sound = SoundSettings { microphones, ..SoundSettings::default() };
    Settings { sound, ..Settings::default() }
}

/// Devices are wished for in an order, by name, whether they are there or not.
#[test]
fn devices_have_an_order() {
    let settings = Settings { microphone: Some("m1".into()), ..with_order(&["Desk"]) };
    for size in [WIDE, NARROW] {
        let snapshot = Snapshot { settings: settings.clone(), ..joined() };
        let (mut harness, mut backend) = open(snapshot, size);
        harness.state_mut().view.kept.page = Page::Settings;
        harness.run();
        assert_eq!(commands(&mut backend), [], "nothing changes by looking");
        harness.get_by_label("1. USB headset");
        harness.get_by_label_contains("2. Desk (");
        click(&mut harness, "Microphone: Desk earlier");
        let changed = Command::Configure(Box::new(with_order(&["Desk", "USB headset"])));
        assert_eq!(commands(&mut backend), [changed]);
        click(&mut harness, "Microphone: without USB headset");
        assert_eq!(commands(&mut backend), [Command::Configure(Box::new(with_order(&["Desk"])))]);
    }
}

#[test]
fn sound_is_tried_until_it_is_stopped() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    harness.state_mut().view.kept.page = Page::Settings;
    harness.state_mut().view.loopback = (150, 5);
    harness.run();
    for (label, test) in [
        (words::try_speaker(), SoundTest::Speaker),
        (words::try_ringer(), SoundTest::Ringer),
        (words::try_microphone(), SoundTest::Microphone),
        (words::hear_myself(), SoundTest::Loopback { delay_ms: 150, loss_percent: 5 }),
    ] {
        click(&mut harness, label);
        assert_eq!(commands(&mut backend), [Command::TestSound(Some(test))]);
        let sound_test = Some(RunningTest { test, level: 0.5 });
        tell(&mut harness, &backend, Snapshot { sound_test, ..joined() });
        if matches!(test, SoundTest::Loopback { .. }) {
            harness.get_by_role_and_label(Role::RadioButton, "600 ms").click();
            harness.run();
            let worse = SoundTest::Loopback { delay_ms: 600, loss_percent: 5 };
            assert_eq!(commands(&mut backend), [Command::TestSound(Some(worse))]);
        }
        click(&mut harness, words::try_stop());
        assert_eq!(commands(&mut backend), [Command::TestSound(None)]);
        tell(&mut harness, &backend, joined());
    }
    let sound_test = Some(RunningTest { test: SoundTest::Microphone, level: 0.5 });
    tell(&mut harness, &backend, Snapshot { sound_test, ..joined() });
    harness.state_mut().view.kept.page = Page::Calls;
    harness.run();
    assert_eq!(commands(&mut backend).first(), Some(&Command::TestSound(None)), "no page, no test");
}
