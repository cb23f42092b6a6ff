//! Files are chosen in a dialog, dropped on their field, or typed.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel as answers;

use super::*;
use crate::gui::files::{Answer, FileFor};
use crate::phone::{ContactJob, Membership};

/// A dialog in which the user chooses a file at once.
fn chooses(_: &egui::Context, what: FileFor, _: &Path) -> Option<Answer> {
    let (answered, answer) = answers();
    answered.send(Some(file_for(what))).expect("we listen");
    Some(answer)
}

fn file_for(what: FileFor) -> PathBuf {
    format!("/chosen/{what:?}").into()
}

/// A desktop without dialogs says no at once.
fn refuses(_: &egui::Context, _: FileFor, _: &Path) -> Option<Answer> {
    let (answered, answer) = answers();
    answered.send(None).expect("we listen");
    Some(answer)
}

fn open_asking<'a>(
    snapshot: Snapshot,
    ask: crate::gui::files::Ask,
) -> (Harness<'a, Window>, Backend) {
    let (handle, backend) = channel(snapshot);
    let window = Window::new(handle, ViewState::default(), None).asking(ask);
    let mut harness = Harness::builder()
        .with_size([WIDE[0], 2.0 * WIDE[1]])
        .with_max_steps(16)
        .with_context_setup(look::apply)
        .build_ui_state(|ui, window: &mut Window| window.ui(ui), window);
    harness.run();
    (harness, backend)
}

fn choose(harness: &mut Harness<'_, Window>, field: &str) {
    click(harness, &words::choose_file(field));
}

fn text_in(harness: &Harness<'_, Window>, field: &str) -> String {
    let field = harness.get_by_role_and_label(Role::TextInput, field);
    field.accesskit_node().value().unwrap_or_default()
}

/// Whatever wants a file has a button that opens a dialog for it.
#[test]
fn every_file_can_be_chosen_in_a_dialog() {
    let settings = Settings {
        machine: crate::phone::MachineSettings { answering_machine: true, ..Default::default() },
        ..Settings::default()
    };
    let (mut harness, mut backend) = open_asking(Snapshot { settings, ..joined() }, chooses);
    click(&mut harness, words::settings());
    choose(&mut harness, words::hold_music());
    let sent = commands(&mut backend);
    let [Command::Configure(chosen)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(chosen.sound.hold_music, Some(file_for(FileFor::HoldMusic)));
    choose(&mut harness, words::greeting());
    let sent = commands(&mut backend);
    let [Command::Configure(chosen)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(chosen.machine.machine_greeting, Some(file_for(FileFor::Greeting)));

    click(&mut harness, words::back_up());
    choose(&mut harness, words::backup_path());
    assert_eq!(text_in(&harness, words::backup_path()), "/chosen/Backup");

    click(&mut harness, words::contacts());
    click(&mut harness, words::files());
    choose(&mut harness, words::file_path());
    click(&mut harness, words::export());
    let export = ContactJob::Export(file_for(FileFor::Contacts));
    assert_eq!(commands(&mut backend), [Command::Contacts(export)]);

    let memberships: Vec<Membership> = Vec::new();
    tell(&mut harness, &backend, Snapshot { memberships, ..Snapshot::default() });
    click(&mut harness, words::restore_choice());
    choose(&mut harness, words::backup_file());
    assert_eq!(text_in(&harness, words::backup_file()), "/chosen/Restore");
    click(&mut harness, words::back());
    click(&mut harness, words::join_choice());
    choose(&mut harness, words::entrance());
    assert_eq!(text_in(&harness, words::entrance()), "/chosen/Entrance");
}

/// The document goes to a file that is chosen.
#[test]
fn a_document_goes_where_the_user_says() {
    let (mut harness, mut backend) = open_asking(invited(), chooses);
    click(&mut harness, words::network());
    click(&mut harness, words::as_a_file());
    choose(&mut harness, words::save_path());
    click(&mut harness, words::save());
    let (overlay, path) = ("smith".to_owned(), file_for(FileFor::Document));
    assert_eq!(commands(&mut backend), [Command::SaveDocument { overlay, path }]);
}

/// Where there is no dialog, the page says so, and paths are typed.
#[test]
fn a_desktop_without_dialogs_is_told() {
    for ask in [refuses, |_: &egui::Context, _: FileFor, _: &Path| None] {
        let (mut harness, mut backend) = open_asking(joined(), ask);
        click(&mut harness, words::settings());
        assert!(harness.query_by_label(words::no_dialog()).is_none());
        choose(&mut harness, words::hold_music());
        harness.get_by_label(words::no_dialog());
        assert_eq!(commands(&mut backend), []);
        write(&mut harness, words::hold_music(), "/typed.wav");
        harness.key_press(Key::Enter);
        harness.run();
        let sent = commands(&mut backend);
        let [Command::Configure(chosen)] = &sent[..] else { panic!("{sent:?}") };
        assert_eq!(chosen.sound.hold_music, Some("/typed.wav".into()));
    }
}

#[derive(Debug)]
struct Dropped;

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        Path::new("/dropped.wav")
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("only its path is of interest".to_owned())
    }
}

/// A file that is dropped goes to the field below the pointer and to no other.
#[test]
fn a_file_is_dropped_on_its_field() {
    let (mut harness, mut backend) = open_asking(joined(), refuses);
    click(&mut harness, words::settings());
    harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped));
    harness.run();
    assert_eq!(commands(&mut backend), [], "nowhere");
    harness.get_by_role_and_label(Role::TextInput, words::hold_music()).hover();
    harness.run();
    harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped));
    harness.run();
    let sent = commands(&mut backend);
    let Some(Command::Configure(chosen)) = sent.first() else { panic!("{sent:?}") };
    assert_eq!(chosen.sound.hold_music, Some("/dropped.wav".into()));
}
