//! Contacts: found, called, added, changed, removed and brought in from files.

use super::*;
use crate::phone::{Contact, ContactJob, Imported};

fn contact(aor: &str, name: &str) -> Contact {
    Contact { aor: aor.into(), name: name.into(), ..Contact::default() }
}

fn with(contacts: Vec<Contact>) -> Snapshot {
    Snapshot { contacts: contacts.into(), ..joined() }
}

fn people() -> Vec<Contact> {
    let grandma = Contact { is_favourite: true, ..contact("rose@smith", "Grandma Rose") };
    let mallory = Contact { is_blocked: true, ..contact("mallory@jones", "") };
    vec![contact("bob@smith", "Bobby"), mallory, grandma]
}

fn save(contact: Contact) -> Command {
    Command::Contacts(ContactJob::Save(contact))
}

fn open_contacts<'a>(size: [f32; 2]) -> (Harness<'a, Window>, Backend) {
    let (mut harness, backend) = open(with(people()), size);
    click(&mut harness, words::contacts());
    (harness, backend)
}

/// Favourites come first; what is typed is looked for in both names.
#[test]
fn contacts_are_listed_and_found() {
    for size in [WIDE, NARROW] {
        let (mut harness, _backend) = open_contacts(size);
        let top =
            |harness: &Harness<'_, Window>, label: &str| harness.get_by_label(label).rect().top();
        let rose = "Grandma Rose, rose@smith, Favourite";
        assert!(top(&harness, rose) < top(&harness, "Bobby, bob@smith"));
        harness.get_by_label("mallory, mallory@jones, Blocked");
        write(&mut harness, words::dial(), "ROSE@");
        harness.get_by_label(rose);
        assert!(harness.query_by_label("Bobby, bob@smith").is_none());
        write(&mut harness, words::dial(), "x");
        harness.get_by_label(words::no_contact_match());
    }
}

/// A name that the user gave is called by typing it, and by the beginning of it where nobody can
/// be called so; what is a name is called as it is typed.
#[test]
fn a_name_of_ones_own_is_dialled() {
    for (typed, aor) in [
        ("grandma rose", "rose@smith"),
        ("Grandma R", "rose@smith"),
        ("bobby", "bob@smith"),
        ("bobb", "bobb"),
        ("bob", "bob"),
    ] {
        let (mut harness, mut backend) = open(with(people()), WIDE);
        write(&mut harness, words::dial(), typed);
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(commands(&mut backend), [Command::Dial(aor.into())], "{typed}");
    }
    let twins = vec![contact("a@smith", "The twins"), contact("b@smith", "The twins")];
    let (mut harness, mut backend) = open(with(twins), WIDE);
    write(&mut harness, words::dial(), "The twins");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [], "nobody is called at random");
    harness.get_by_label(words::fault_dial_space());
}

#[test]
fn a_contact_is_chosen_called_and_marked() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open_contacts(size);
        harness.get_by_label("Bobby, bob@smith").click();
        harness.run();
        click(&mut harness, words::favourite());
        let bob = contact("bob@smith", "Bobby");
        let marked = Contact { is_favourite: true, ..bob.clone() };
        assert_eq!(commands(&mut backend), [save(marked)]);
        click(&mut harness, words::block());
        let blocked = Contact { is_blocked: true, ..bob.clone() };
        assert_eq!(commands(&mut backend), [save(blocked.clone())]);
        tell(&mut harness, &backend, with(vec![blocked.clone()]));
        harness.get_by_label(words::blocked_hint());
        click(&mut harness, words::unblock());
        assert_eq!(commands(&mut backend), [save(bob)]);
        click(&mut harness, "Call Bobby");
        assert_eq!(commands(&mut backend), [Command::Dial("bob@smith".into())]);
    }
}

/// What is changed in a field is kept when the field is left.
#[test]
fn names_and_notes_are_changed_in_place() {
    let (mut harness, mut backend) = open_contacts(WIDE);
    harness.get_by_label("Bobby, bob@smith").click();
    harness.run();
    write(&mut harness, words::contact_name(), " B.");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [save(contact("bob@smith", "Bobby B."))]);
    tell(&mut harness, &backend, with(vec![contact("bob@smith", "Bobby B.")]));
    harness.get_by_role_and_label(Role::MultilineTextInput, words::contact_note()).focus();
    harness.run();
    harness
        .get_by_role_and_label(Role::MultilineTextInput, words::contact_note())
        .type_text("Likes tea");
    harness.run();
    harness.key_press(Key::Tab);
    harness.run();
    let noted = Contact { note: "Likes tea".into(), ..contact("bob@smith", "Bobby B.") };
    assert_eq!(commands(&mut backend), [save(noted)]);
}

#[test]
fn a_contact_is_added_by_hand_and_from_the_calls() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(joined(), size);
        click(&mut harness, words::contacts());
        harness.get_by_label(words::no_contacts());
        click(&mut harness, words::add_contact());
        let field = harness.get_by_role_and_label(Role::TextInput, words::contact_aor());
        assert!(field.is_focused(), "it is what one wants to type into now");
        click(&mut harness, words::contact_save());
        harness.get_by_label(words::fault_dial_at());
        assert_eq!(commands(&mut backend), []);
        write(&mut harness, words::contact_aor(), "dora");
        write(&mut harness, words::contact_name(), "Aunt Dora");
        harness.key_press(Key::Enter);
        harness.run();
        let dora = contact("dora@smith", "Aunt Dora");
        assert_eq!(commands(&mut backend), [save(dora.clone())]);
        tell(&mut harness, &backend, with(vec![dora]));
        harness.get_by_label("Call Aunt Dora");
    }
    let (mut harness, mut backend) = open(joined(), WIDE);
    harness.get_by_label_contains("carol, Missed").click();
    harness.run();
    click(&mut harness, words::keep_contact());
    assert_eq!(commands(&mut backend), [save(contact("carol@smith", ""))]);
}

#[test]
fn a_removal_is_taken_back() {
    let (mut harness, mut backend) = open_contacts(WIDE);
    harness.get_by_label("Bobby, bob@smith").click();
    harness.run();
    click(&mut harness, words::remove_contact());
    let removed = Command::Contacts(ContactJob::Remove("bob@smith".into()));
    assert_eq!(commands(&mut backend), [removed]);
    tell(&mut harness, &backend, with(people()[1..].to_vec()));
    harness.get_by_label(&words::removed("Bobby"));
    click(&mut harness, words::undo());
    assert_eq!(commands(&mut backend), [save(contact("bob@smith", "Bobby"))]);
    assert!(harness.query_by_label(words::undo()).is_none());
}

#[test]
fn contacts_come_from_a_file_and_go_into_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("people.vcf");
    let (mut harness, mut backend) = open_contacts(NARROW);
    click(&mut harness, words::files());
    harness.state_mut().view.book.path = path.display().to_string();
    harness.run();
    click(&mut harness, words::import());
    harness.get_by_label(words::fault_vcard_missing());
    click(&mut harness, words::export());
    let export = Command::Contacts(ContactJob::Export(path.clone()));
    assert_eq!(commands(&mut backend), [export]);
    let saved = Some(path.clone());
    tell(&mut harness, &backend, Snapshot { saved, ..with(people()) });
    harness.get_by_label(words::exported());
    std::fs::write(&path, "").expect("written");
    click(&mut harness, words::import());
    let import = Command::Contacts(ContactJob::Import(path));
    assert_eq!(commands(&mut backend), [import]);
    let imported = Some(Imported { added: 3, known: 1, unusable: 2, is_cut: true });
    tell(&mut harness, &backend, Snapshot { imported, ..with(people()) });
    harness.get_by_label_contains("3 contacts were added. You had 1 contact of it already.");
}

/// Whoever has a name of the user's is called so everywhere.
#[test]
fn a_name_of_ones_own_is_shown_everywhere() {
    for size in [WIDE, NARROW] {
        let snapshot = Snapshot { contacts: people().into(), ..with_call(CallState::Incoming) };
        let (mut harness, backend) = open(snapshot.clone(), size);
        harness.get_by_label("Bobby");
        let mut snapshot = snapshot;
        snapshot.calls[0].state = talking();
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label(&words::level_of("Bobby"));
        harness.get_by_label_contains("Bobby, Incoming");
    }
}
