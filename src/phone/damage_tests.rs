use super::*;
use crate::phone::book::Contact;
use crate::phone::state::tests::folder;
use crate::phone::{SoundSettings, Theme};

fn write(dir: &tempfile::TempDir, text: &[u8]) {
    fs::write(dir.path().join(SETTINGS), text).expect("written");
}

/// Settings of many shapes: words, switches, lists on several lines.
fn chosen() -> Settings {
    let microphones = ["Headset", "Desk"].map(String::from).to_vec();
    let sound = SoundSettings { microphones, voice_processing: false, ..Default::default() };
    Settings { microphone: Some("mic".into()), theme: Theme::Dark, sound, ..Settings::default() }
}

/// One value that is none takes no other with it, and is named.
#[test]
fn one_bad_setting_is_named_and_the_others_stay_in_force() {
    let (dir, state) = folder();
    state.save_settings(&chosen()).expect("saved");
    assert_eq!(state.settings(), (chosen(), None));
    let text = fs::read_to_string(dir.path().join(SETTINGS)).expect("there");
    for (good, bad, name, expected) in [
        ("\"dark\"", "\"purple\"", "theme", Settings { theme: Theme::System, ..chosen() }),
        ("\"dark\"", "7", "theme", Settings { theme: Theme::System, ..chosen() }),
        ("\"dark\"", "\"dark", "theme", Settings { theme: Theme::System, ..chosen() }),
        ("\"mic\"", "[\"mic\"]", "microphone", Settings { microphone: None, ..chosen() }),
    ] {
        let damaged = text.replace(good, bad);
        write(&dir, damaged.as_bytes());
        let (read, notice) = state.settings();
        assert_eq!(read, expected, "{good} as {bad}");
        let notice = notice.expect("a sentence");
        assert!(notice.contains(&format!("The setting {name} was not")), "{notice}");
        let bad = fs::read_to_string(dir.path().join("settings.toml.bad")).expect("kept");
        assert_eq!(bad, damaged);
    }
}

/// A file that ends anywhere, or has bytes that are no text, starts the program with what is whole.
#[test]
fn settings_that_are_cut_off_never_fail() {
    let (dir, state) = folder();
    state.save_settings(&chosen()).expect("saved");
    let bytes = fs::read(dir.path().join(SETTINGS)).expect("there");
    for end in 0..bytes.len() {
        write(&dir, &bytes[..end]);
        let (read, _) = state.settings();
        assert!([None, chosen().microphone].contains(&read.microphone), "{end}: {read:?}");
        let names = &read.sound.microphones;
        assert!(names.is_empty() || *names == chosen().sound.microphones, "{end}: {read:?}");
    }
    let place = bytes.iter().position(|byte| *byte == b'd').expect("a letter");
    let damaged = [&bytes[..place], b"\xff\xfe", &bytes[place..]].concat();
    write(&dir, &damaged);
    assert!(state.settings().1.is_some());
    assert_eq!(fs::read(dir.path().join("settings.toml.bad")).expect("kept"), damaged);
}

fn contact(number: usize) -> Contact {
    Contact { aor: format!("c{number:04}@example.org"), ..Contact::default() }
}

fn data(state: &StateFolder) -> Data {
    let (data, notice) = state.data(1).expect("opened");
    assert_eq!(notice, None);
    data
}

/// A damaged row takes nothing else with it: it is set aside, once, and told of.
#[test]
fn damaged_rows_are_set_aside() {
    let (_dir, state) = folder();
    let before = data(&state);
    (1..=3).for_each(|number| before.save_contact(&contact(number)).expect("saved"));
    for damage in [
        "UPDATE contacts SET name = x'ff00' WHERE aor = 'c0002@example.org'",
        "UPDATE contacts SET aor = 'no name' WHERE aor = 'c0003@example.org'",
        "INSERT INTO calls VALUES (1, 'what', 'bob@example.org', 1, 1, 'x', 0)",
        "INSERT INTO calls VALUES (2, 1, x'00ff', 1, 1, 'x', 0)",
        "INSERT INTO messages VALUES (1, 'bob@example.org', 1, 'a', x'ff', 1, 'received', 0, 1, 0)",
        "INSERT INTO pins VALUES ('a', x'ff', 'b', 'trusted', 1)",
        "INSERT INTO hosted VALUES ('a', 'b', 'nowhere', NULL, 0)",
        "INSERT INTO founded VALUES (x'ff', 'b')",
        "INSERT INTO joined VALUES ('a', x'ff')",
        "INSERT INTO backed_up VALUES ('a', 'b', 'then')",
    ] {
        before.connection.execute(damage, []).expect("damaged");
    }
    assert!(before.contacts().is_err());
    drop(before);
    let (after, notice) = state.data(2).expect("opened");
    let notice = notice.expect("a sentence");
    let what = "calls, contacts, messages, keys seen, overlays run here, overlays started, \
                overlays and backups";
    assert!(notice.contains(what) && notice.contains("10 set aside"), "{notice}");
    assert_eq!(after.contacts(), Ok(vec![contact(1)]));
    assert_eq!(after.calls(), Ok(Vec::new()));
    assert_eq!(after.hosted(), Ok(Vec::new()));
    assert_eq!(after.founded(), Ok(Vec::new()));
    assert_eq!(after.joined(), Ok(Vec::new()));
    let kept = "SELECT count(*) FROM contacts_damaged";
    assert_eq!(after.connection.query_row(kept, [], |row| row.get(0)), Ok(2));
    drop(after);
    data(&state);
}

/// What happens to the bytes of a file.
type Damage = fn(&mut Vec<u8>);

/// A file that is cut off or overwritten in the middle is kept under another name, and what can
/// be read of it is here: what stands before the damage, and what stands behind it.
#[test]
fn what_can_be_read_of_a_damaged_database_is_kept() {
    let damage: [(&str, Damage); 3] = [
        ("cut off", |bytes| bytes.truncate(bytes.len() / 2)),
        ("overwritten", |bytes| {
            let middle = bytes.len() / 2 / 4096 * 4096;
            bytes[middle..middle + 8192].fill(0x5a);
        }),
        ("no database", |bytes| *bytes = b"this is no database at all, but long enough".into()),
    ];
    for (what, damage) in damage {
        let (dir, state) = folder();
        let before = data(&state);
        let all: Vec<Contact> = (0..2000).map(contact).collect();
        before.add_contacts(all.iter()).expect("saved");
        before.connection.pragma_update(None, "journal_mode", "DELETE").expect("all in one file");
        drop(before);
        let path = dir.path().join(DATABASE);
        let mut bytes = fs::read(&path).expect("there");
        damage(&mut bytes);
        fs::write(&path, &bytes).expect("written");

        let (after, notice) = state.data(7).expect("rebuilt");
        let aside = dir.path().join("chordial.db.damaged-7");
        let notice = notice.expect("a sentence");
        assert!(notice.contains(&aside.display().to_string()), "{what}: {notice}");
        assert!(aside.exists(), "{what}");
        let kept = after.contacts().expect("read");
        match what {
            "no database" => assert_eq!(kept, []),
            "overwritten" => {
                assert!(kept.contains(&all[0]) && kept.contains(&all[1999]), "{}", kept.len());
                assert!((500..2000).contains(&kept.len()), "{}", kept.len());
            }
            _ => assert!((200..2000).contains(&kept.len()), "{what}: {}", kept.len()),
        }
        let (count, _) = notice.split_once(" entries").unwrap_or((" 0", ""));
        assert!(count.ends_with(&format!(" {}", kept.len())), "{what}: {notice}");
        drop(after);
        data(&state);
    }
}

/// The journal of a program that was killed belongs to its file and is not taken for that of the
/// next.
#[test]
fn a_damaged_database_takes_its_journal_along() {
    let (dir, state) = folder();
    let before = data(&state);
    before.save_contact(&contact(1)).expect("saved");
    let all = before.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    assert_eq!(all, Ok(0), "all is in the file");
    before.save_contact(&contact(2)).expect("saved");
    let journal = dir.path().join("chordial.db-wal");
    let kept = fs::read(&journal).expect("a journal");
    drop(before);
    fs::write(dir.path().join(DATABASE), b"this is no database at all, but long enough")
        .expect("written");
    fs::write(&journal, &kept).expect("as if killed");
    let (after, notice) = state.data(7).expect("rebuilt");
    assert!(notice.is_some());
    assert_eq!(after.contacts(), Ok(Vec::new()));
}

/// A file that only cannot be opened stays where it is.
#[test]
fn a_database_that_cannot_be_opened_is_not_set_aside() {
    let (dir, state) = folder();
    fs::create_dir(dir.path().join(DATABASE)).expect("made");
    let error = state.data(7).expect_err("no file").to_string();
    assert!(error.contains("can't be opened") || error.contains("cannot be opened"), "{error}");
    assert!(dir.path().join(DATABASE).is_dir());
}
