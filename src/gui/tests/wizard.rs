//! Trying the sound step by step.

use super::*;
use crate::phone::{RunningTest, SoundTest};

/// In an overlay, before the first call, with some devices.
fn fresh() -> Snapshot {
    let device = |name: &str| Device { id: name.to_lowercase(), name: name.into() };
    Snapshot {
        history: vec![past("carol@smith", false)],
        speakers: vec![device("Headset"), device("Desk")],
        ..joined()
    }
}

fn tried(test: SoundTest, level: f32, snapshot: &Snapshot) -> Snapshot {
    Snapshot { sound_test: Some(RunningTest { test, level }), ..snapshot.clone() }
}

fn configured(commands: &[Command]) -> &Settings {
    let [Command::Configure(settings), ..] = commands else { panic!("{commands:?}") };
    settings
}

/// It is offered to whoever has talked to nobody, after the backup, until it is begun or put off.
#[test]
fn it_is_offered_before_the_first_call() {
    for size in [WIDE, NARROW] {
        let (mut harness, backend) = open(joined(), size);
        assert!(harness.query_by_label(words::wizard_offer()).is_none(), "they have talked");
        tell(&mut harness, &backend, Snapshot { backup: Backup::default(), ..fresh() });
        assert!(harness.query_by_label(words::wizard_offer()).is_none(), "one thing at a time");
        tell(&mut harness, &backend, fresh());
        harness.get_by_label(words::wizard_offer());
        click(&mut harness, words::later());
        assert!(harness.query_by_label(words::wizard_offer()).is_none());
        assert!(harness.state().view.kept.has_tried_sound, "it is not offered again");
    }
}

/// Each step chooses a device and tries it; the microphone is listened to at once.
#[test]
fn the_steps_lead_from_the_speaker_to_oneself() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(fresh(), size);
        click(&mut harness, words::try_sound());
        harness.get_by_label("Step 1 of 4");
        click(&mut harness, words::try_speaker());
        assert_eq!(commands(&mut backend), [Command::TestSound(Some(SoundTest::Speaker))]);
        tell(&mut harness, &backend, tried(SoundTest::Speaker, 0.2, &fresh()));
        harness.get_by_role_and_label(Role::RadioButton, "Desk").click();
        harness.run();
        let sent = commands(&mut backend);
        assert_eq!(configured(&sent).sound.speakers, ["Desk"]);
        let again = Command::TestSound(Some(SoundTest::Speaker));
        assert_eq!(sent[1..], [again], "it is heard on the other device");
        let settings = configured(&sent).clone();
        let fresh = Snapshot { settings, ..fresh() };
        tell(&mut harness, &backend, tried(SoundTest::Speaker, 0.2, &fresh));
        click(&mut harness, words::wizard_next());
        assert_eq!(commands(&mut backend), [Command::TestSound(None)]);
        tell(&mut harness, &backend, fresh.clone());

        harness.get_by_label("Step 2 of 4");
        harness.get_by_role_and_label(Role::RadioButton, "Headset").click();
        harness.run();
        assert_eq!(configured(&commands(&mut backend)).sound.ringers, ["Headset"]);
        click(&mut harness, words::try_ringer());
        assert_eq!(commands(&mut backend), [Command::TestSound(Some(SoundTest::Ringer))]);
        click(&mut harness, words::wizard_next());
        assert_eq!(commands(&mut backend), [Command::TestSound(Some(SoundTest::Microphone))]);

        harness.get_by_label("Step 3 of 4");
        tell(&mut harness, &backend, tried(SoundTest::Microphone, 0.001, &fresh));
        harness.get_by_label(words::wizard_speak());
        for level in [0.2, 0.0] {
            tell(&mut harness, &backend, tried(SoundTest::Microphone, level, &fresh));
            harness.get_by_label(words::wizard_heard());
        }
        click(&mut harness, words::wizard_next());
        assert_eq!(commands(&mut backend), [Command::TestSound(None)]);
        tell(&mut harness, &backend, fresh.clone());

        harness.get_by_label("Step 4 of 4");
        harness.get_by_role_and_label(Role::RadioButton, "300 ms").click();
        harness.get_by_role_and_label(Role::RadioButton, "10 %").click();
        harness.run();
        click(&mut harness, words::hear_myself());
        let test = SoundTest::Loopback { delay_ms: 300, loss_percent: 10 };
        assert_eq!(commands(&mut backend), [Command::TestSound(Some(test))]);
        tell(&mut harness, &backend, tried(test, 0.2, &fresh));
        click(&mut harness, words::done());
        assert_eq!(commands(&mut backend), [Command::TestSound(None)]);
        harness.get_by_label(words::voice_processing());
    }
}

/// The settings lead there, too; the keyboard goes forward and back, and a device that is not
/// there is named.
#[test]
fn it_is_walked_through_by_keyboard() {
    let sound = SoundSettings { speakers: vec!["Old".into()], ..SoundSettings::default() };
    let settings = Settings { sound, ..Settings::default() };
    let (mut harness, mut backend) = open(Snapshot { settings, ..joined() }, WIDE);
    click(&mut harness, words::settings());
    click(&mut harness, words::wizard_open());
    harness.get_by_role_and_label(Role::RadioButton, "Old (Not plugged in)");
    assert!(check_names(&harness) > 4);
    for (key, step) in [(Key::Enter, 2), (Key::Enter, 3), (Key::Escape, 2), (Key::Escape, 1)] {
        harness.key_press(key);
        harness.run();
        harness.get_by_label(&format!("Step {step} of 4"));
    }
    commands(&mut backend);
    harness.get_by_role_and_label(Role::RadioButton, words::system_choice()).click();
    harness.run();
    assert_eq!(configured(&commands(&mut backend)).sound.speakers, Vec::<String>::new());
    harness.key_press(Key::Escape);
    harness.run();
    harness.get_by_label(words::voice_processing());
}
