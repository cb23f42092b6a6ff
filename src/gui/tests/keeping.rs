//! Keys: the offer of a backup, the forms about keys, unlocking, and keys that have changed.

use super::*;
use crate::crypto::Password;
use crate::phone::{
    Credentials, CredentialsWanted, Entrance, KeyAlarm, KeyAnswer, OwnDevice, Protection, SeenKey,
    UnprovedOverlay,
};

/// In an overlay, without a backup.
fn unsaved() -> Snapshot {
    Snapshot { backup: Backup::default(), ..joined() }
}

#[test]
fn a_backup_is_offered_once_in_a_run() {
    for size in [WIDE, NARROW] {
        let (mut harness, backend) = open(unsaved(), size);
        harness.get_by_label(words::backup_offer());
        click(&mut harness, words::later());
        assert!(harness.query_by_label(words::backup_offer()).is_none());
        tell(&mut harness, &backend, Snapshot::default());
        tell(&mut harness, &backend, unsaved());
        assert!(harness.query_by_label(words::backup_offer()).is_none(), "not again");
    }
}

#[test]
fn a_backup_is_made_with_a_password_typed_twice() {
    let (mut harness, mut backend) = open(unsaved(), WIDE);
    click(&mut harness, words::back_up());
    harness.state_mut().view.keeping.form.path = "/tmp/chordial.backup".into();
    write_password(&mut harness, words::new_password(), "sesame");
    click(&mut harness, words::backup_go());
    harness.get_by_label(words::fault_password_short());
    write_password(&mut harness, words::new_password(), " open");
    write_password(&mut harness, words::password_again(), "sesame");
    harness.get_by_label(words::fault_passwords_differ());
    assert_eq!(commands(&mut backend), []);
    write_password(&mut harness, words::password_again(), " open");
    harness.key_press(Key::Enter);
    harness.run();
    let (path, password) = ("/tmp/chordial.backup".into(), Password::new("sesame open"));
    let back_up = Command::BackUp { path, password };
    assert_eq!(commands(&mut backend), std::slice::from_ref(&back_up));
    harness.get_by_label(words::backup_saving());
    let notice = Some("The backup was not saved: the disk is full.".to_owned());
    tell(&mut harness, &backend, Snapshot { notice, ..unsaved() });
    harness.get_by_label("The backup was not saved: the disk is full.");
    click(&mut harness, words::backup_go());
    assert_eq!(commands(&mut backend), [Command::DismissNotice]);
    tell(&mut harness, &backend, unsaved());
    assert_eq!(commands(&mut backend), [back_up]);
    tell(&mut harness, &backend, joined());
    harness.get_by_label(words::backup_saved());
    assert_eq!(harness.state().view.keeping.form.password.0, "", "the password is forgotten");
}

#[test]
fn keys_are_encrypted_under_a_password() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::settings());
    harness.get_by_label(Protection::Plain.sentence());
    click(&mut harness, words::encrypt());
    harness.key_press(Key::Escape);
    harness.run();
    click(&mut harness, words::encrypt());
    for field in [words::new_password(), words::password_again()] {
        write_password(&mut harness, field, "open sesame");
    }
    click(&mut harness, words::encrypt_go());
    assert_eq!(commands(&mut backend), [Command::Protect(Password::new("open sesame"))]);
    let protection = Protection::Password;
    tell(&mut harness, &backend, Snapshot { protection, ..joined() });
    harness.get_by_label(Protection::Password.sentence());
    harness.get_by_label(words::change_password());
}

#[test]
fn locked_keys_are_opened_by_their_password() {
    let locked = |problem: Option<&str>| Snapshot {
        protection: Protection::Locked { by_password: true, problem: problem.map(str::to_owned) },
        settings: Settings { join_at_start: true, ..Settings::default() },
        ..Snapshot::default()
    };
    let (mut harness, mut backend) = open(locked(None), WIDE);
    write_password(&mut harness, words::password(), "wrong");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [Command::Unlock(Some(Password::new("wrong")))]);
    tell(&mut harness, &backend, locked(Some("The password is wrong.")));
    harness.get_by_label("The password is wrong.");
    write_password(&mut harness, words::password(), "open sesame");
    click(&mut harness, words::unlock());
    assert_eq!(commands(&mut backend), [Command::Unlock(Some(Password::new("open sesame")))]);
    let protection = Protection::Password;
    tell(&mut harness, &backend, Snapshot { protection, ..locked(None) });
    assert_eq!(commands(&mut backend), [Command::Rejoin], "as at the start");
    assert!(harness.query_by_label(words::unlock_title()).is_none());
}

#[test]
fn a_key_store_is_asked_again_or_left_for_later() {
    let problem = Some("The key store did not answer.".to_owned());
    let protection = Protection::Locked { by_password: false, problem };
    let (mut harness, mut backend) = open(Snapshot { protection, ..Snapshot::default() }, NARROW);
    harness.get_by_label("The key store did not answer.");
    click(&mut harness, words::ask_key_store());
    assert_eq!(commands(&mut backend), [Command::Unlock(None)]);
    click(&mut harness, words::later());
    harness.get_by_label(words::welcome());
}

#[test]
fn a_changed_key_is_answered_by_the_user() {
    let key = |node_id: &str, words: &str| SeenKey {
        node_id: node_id.into(),
        words: words.into(),
        since_unix_ms: 0,
    };
    let alarm = KeyAlarm {
        overlay: "smith".into(),
        aor: "bob@smith".into(),
        new: key("0123456789abcdef", "apple river stone"),
        known: vec![key("fedcba9876543210", "cloud table seven")],
    };
    let answers = [
        (words::key_accept(), KeyAnswer::InPlace),
        (words::key_beside(), KeyAnswer::AnotherDevice),
        (words::key_refuse(), KeyAnswer::Refuse),
    ];
    for size in [WIDE, NARROW] {
        let key_alarms = vec![alarm.clone()];
        let (mut harness, mut backend) = open(Snapshot { key_alarms, ..joined() }, size);
        for text in ["bob@smith", words::key_changed(), "apple river stone", "cloud table seven"] {
            harness.get_by_label(text);
        }
        harness.get_by_label("0123 4567 89ab cdef");
        for (label, answer) in answers {
            click(&mut harness, label);
            let (overlay, aor) = ("smith".to_owned(), "bob@smith".to_owned());
            let node_id = "0123456789abcdef".to_owned();
            let expected = Command::AnswerAlarm { overlay, aor, node_id, answer };
            assert_eq!(commands(&mut backend), [expected]);
        }
    }
}

#[test]
fn what_nothing_proves_is_joined_if_the_user_says_so() {
    let question = UnprovedOverlay {
        overlay: "jones".into(),
        user: "alice".into(),
        from: Some("192.0.2.7:6084".parse().expect("an address")),
        is_self_signed: true,
        enrollment_servers: vec!["https://192.0.2.7/enroll".into()],
    };
    for size in [WIDE, NARROW] {
        let unproved = vec![question.clone()];
        let (mut harness, mut backend) = open(Snapshot { unproved, ..joined() }, size);
        harness.get_by_label(&words::unproved_title("jones"));
        harness.get_by_label(&words::unproved_from("jones", Some("192.0.2.7".into())));
        harness.get_by_label(&words::unproved_hint("jones"));
        harness.get_by_label(words::unproved_password());
        let answers = [(words::unproved_refuse(), false), (words::unproved_join(), true)];
        for (label, is_wanted) in answers {
            click(&mut harness, label);
            let overlay = "jones".to_owned();
            assert_eq!(commands(&mut backend), [Command::AnswerUnproved { overlay, is_wanted }]);
        }
    }
}

/// A snapshot in which the server of smith wants to know who we are.
fn asked(base: Snapshot, problem: Option<&str>, ends_unix_ms: Option<u64>) -> Snapshot {
    let wanted = CredentialsWanted {
        overlay: "smith".into(),
        user: "alice".into(),
        account: "alice".into(),
        problem: problem.map(str::to_owned),
        ends_unix_ms,
        is_new: false,
    };
    Snapshot { credentials_wanted: vec![wanted], ..base }
}

fn credentials(password: &str) -> Command {
    let password = Password::new(password);
    let credentials = Credentials { account: "alice".into(), password };
    Command::GiveCredentials { overlay: "smith".into(), user: "alice".into(), credentials }
}

/// Joining an overlay with accounts has a third step, which a wrong password comes back to.
#[test]
fn an_account_is_asked_for_on_the_way_in() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::join_choice());
    write(&mut harness, words::entrance(), "smith");
    write(&mut harness, words::user(), "alice");
    click(&mut harness, words::join_go());
    let entrance = Entrance::Name("smith".into());
    let join = Command::Join { entrance, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
    let reason = "smith wants to know your account and its password.".to_owned();
    let out = Snapshot {
        memberships: membership(OverlayState::Failed { reason }),
        ..Snapshot::default()
    };
    tell(&mut harness, &backend, asked(out.clone(), None, None));
    harness.get_by_label(&words::account_title("smith"));
    click(&mut harness, words::account_go());
    harness.get_by_label(words::fault_password_empty());
    assert_eq!(commands(&mut backend), []);
    write_password(&mut harness, words::password(), "wrong");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [credentials("wrong")]);
    tell(&mut harness, &backend, asked(out, Some("The password is wrong."), None));
    harness.get_by_label("The password is wrong.");
    write_password(&mut harness, words::password(), "open sesame");
    click(&mut harness, words::account_go());
    assert_eq!(commands(&mut backend), [credentials("open sesame")]);
    tell(&mut harness, &backend, joined());
    harness.get_by_label(words::dial());
}

#[test]
fn a_certificate_that_ends_is_renewed_with_the_password() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(asked(joined(), None, Some(0)), size);
        harness.get_by_label(&words::certificate_ends(1, 0));
        write_password(&mut harness, words::password(), "open sesame");
        click(&mut harness, words::account_go());
        assert_eq!(commands(&mut backend), [credentials("open sesame")]);
    }
    assert_eq!(
        words::certificate_ends(0, 3 * 86_400_000),
        "Your certificate ends in 3 days. It is renewed with your password."
    );
}

/// Where names are their owners' keys, a key is forgotten after a question.
#[test]
fn a_key_is_forgotten_after_a_question() {
    let (mut harness, mut backend) = open(invited(), WIDE);
    harness.state_mut().view.person = Some("bob@smith".into());
    harness.run();
    click(&mut harness, &words::forget_whose("bob@smith"));
    click(&mut harness, words::keep());
    assert_eq!(commands(&mut backend), []);
    click(&mut harness, &words::forget_whose("bob@smith"));
    click(&mut harness, words::yes_forget());
    let (overlay, aor) = ("smith".into(), "bob@smith".into());
    assert_eq!(commands(&mut backend), [Command::ForgetKeys { overlay, aor }]);
    tell(&mut harness, &backend, joined());
    assert!(harness.query_by_label(&words::forget_whose("bob@smith")).is_none());
}

#[test]
fn a_device_is_removed_after_a_question() {
    let device = |node_id: &str, is_this| OwnDevice {
        overlay: "smith".into(),
        node_id: node_id.into(),
        words: format!("words of {node_id}"),
        is_this,
        seen_unix_ms: 0,
        is_unproven: false,
    };
    let devices = vec![device("02", false), device("01", true)];
    let (mut harness, mut backend) = open(Snapshot { devices, ..joined() }, NARROW);
    click(&mut harness, words::network());
    harness.get_by_label(words::this_device());
    assert!(harness.query_by_label(&words::remove_which("words of 01")).is_none());
    click(&mut harness, &words::remove_which("words of 02"));
    click(&mut harness, words::keep());
    assert_eq!(commands(&mut backend), []);
    click(&mut harness, &words::remove_which("words of 02"));
    click(&mut harness, words::yes_remove());
    let (overlay, node_id) = ("smith".into(), "02".into());
    assert_eq!(commands(&mut backend), [Command::RemoveDevice { overlay, node_id }]);
}

/// A name that is taken is entered beside the other key only if the user says that it is theirs.
#[test]
fn a_taken_name_is_ones_own_if_one_says_so() {
    let key = SeenKey { node_id: "02".into(), words: "lusab".into(), since_unix_ms: 0 };
    let (overlay, aor) = ("smith".to_owned(), "alice@smith".to_owned());
    let key_alarms = vec![KeyAlarm { overlay, aor, new: key, known: vec![] }];
    let reason = "The name alice@smith is taken.".to_owned();
    let memberships = membership(OverlayState::Failed { reason });
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::join_choice());
    write(&mut harness, words::entrance(), "smith");
    write(&mut harness, words::user(), "alice");
    click(&mut harness, words::join_go());
    let join = commands(&mut backend);
    tell(&mut harness, &backend, Snapshot { memberships, key_alarms, ..Snapshot::default() });
    harness.get_by_label("The name alice@smith is taken.");
    click(&mut harness, words::enter_beside());
    let beside = Command::EnterBeside { overlay: "smith".into(), user: "alice".into() };
    assert_eq!(commands(&mut backend), [vec![beside], join].concat());
}
