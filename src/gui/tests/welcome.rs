//! How calls are met, as the settings and the page of a person have it.

use super::*;
use crate::phone::{Contact, Welcome};

/// The only settings that were sent.
fn sent(backend: &mut Backend) -> Welcome {
    let sent = commands(backend);
    let [Command::Configure(settings)] = &sent[..] else { panic!("{sent:?}") };
    settings.welcome.clone()
}

fn leave(harness: &mut Harness<'_, Window>) {
    harness.key_press(Key::Enter);
    harness.run();
}

/// Whom calls go on to is typed, each kind for itself; what can't be a name is not taken, and stays
/// in its field with one sentence.
#[test]
fn calls_go_on_to_whom_the_user_names() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(joined(), size);
        click(&mut harness, words::settings());
        write(&mut harness, words::going_on_busy(), " carol ");
        assert_eq!(commands(&mut backend), [], "it is not over yet");
        leave(&mut harness);
        assert_eq!(sent(&mut backend).forward_busy.as_deref(), Some("carol"));

        assert!(harness.query_by_label(words::going_on_after()).is_none());
        write(&mut harness, words::going_on_unanswered(), "dora@jones");
        leave(&mut harness);
        let welcome = sent(&mut backend);
        assert_eq!(welcome.forward_unanswered.as_deref(), Some("dora@jones"));
        let settings = Settings { welcome, ..Settings::default() };
        tell(&mut harness, &backend, Snapshot { settings, ..joined() });
        harness.get_by_role_and_label(Role::SpinButton, words::going_on_after());

        write(&mut harness, words::going_on_all(), "bob@");
        leave(&mut harness);
        harness.get_by_label(words::fault_dial_at());
        write(&mut harness, words::going_on_all(), "smith");
        assert!(harness.query_by_label(words::fault_dial_at()).is_none());
        leave(&mut harness);
        assert_eq!(commands(&mut backend), [Command::Forward(Some("bob@smith".into()))]);
    }
}

/// A field that is emptied ends it, and Esc leaves all as it was.
#[test]
fn calls_go_on_to_nobody_any_more() {
    let settings = Settings { forward_to: Some("bob@smith".into()), ..Settings::default() };
    let (mut harness, mut backend) = open(Snapshot { settings, ..joined() }, WIDE);
    click(&mut harness, words::settings());
    let clear = |harness: &mut Harness<'_, Window>| {
        harness.get_by_role_and_label(Role::TextInput, words::going_on_all()).focus();
        harness.run();
        harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
        harness.key_press(Key::Delete);
        harness.run();
    };
    clear(&mut harness);
    harness.key_press(Key::Escape);
    harness.run();
    assert_eq!(commands(&mut backend), []);
    clear(&mut harness);
    leave(&mut harness);
    assert_eq!(commands(&mut backend), [Command::Forward(None)]);
}

/// Calls of one person are answered at once if the user says so on their page, which shows it as
/// long as it is so.
#[test]
fn one_person_is_answered_at_once() {
    let contact = Contact { aor: "bob@smith".into(), ..Contact::default() };
    let snapshot = Snapshot { contacts: vec![contact].into(), ..joined() };
    let (mut harness, mut backend) = open(snapshot.clone(), WIDE);
    let toggle = |harness: &mut Harness<'_, Window>, backend: &mut Backend| {
        harness.get_by_role_and_label(Role::CheckBox, words::answer_at_once()).click();
        harness.run();
        sent(backend)
    };
    click(&mut harness, words::contacts());
    harness.get_by_label("bob, bob@smith").click();
    harness.run();
    let welcome = toggle(&mut harness, &mut backend);
    assert_eq!(welcome.answered_at_once, ["bob@smith"]);
    let settings = Settings { welcome, ..Settings::default() };
    tell(&mut harness, &backend, Snapshot { settings, contacts: Vec::new().into(), ..joined() });
    let welcome = toggle(&mut harness, &mut backend);
    assert_eq!(welcome.answered_at_once, [""; 0]);
    let settings = Settings { welcome, ..Settings::default() };
    tell(&mut harness, &backend, Snapshot { settings, contacts: Vec::new().into(), ..joined() });
    assert!(harness.query_by_label(words::answer_at_once()).is_none(), "a stranger");
}
