//! Ordinary accounts on the page of settings.

use super::*;
use crate::crypto::Password;
use crate::phone::{Protection, SipAccountFacts, SipAccountJob, SipReach, SipTransport};

const ALICE: &str = "alice@pstn.example";

fn account(server: Option<&str>, transport: Option<SipTransport>) -> SipAccountFacts {
    let server = server.map(str::to_owned);
    let (address, has_password, reach) = (ALICE.into(), true, SipReach::Pending);
    SipAccountFacts::Account { address, server, transport, has_password, reach }
}

fn with(sip_accounts: Vec<SipAccountFacts>) -> Snapshot {
    Snapshot { sip_accounts, protection: Protection::Password, ..joined() }
}

fn open_settings<'a>(snapshot: Snapshot, size: [f32; 2]) -> (Harness<'a, Window>, Backend) {
    let (mut harness, backend) = open(snapshot, size);
    click(&mut harness, words::settings());
    harness.get_by_label(words::telephone()).scroll_to_me();
    harness.run();
    (harness, backend)
}

fn keep(password: Option<&str>, server: Option<&str>, way: Option<SipTransport>) -> Command {
    Command::SipAccount(SipAccountJob::Keep {
        address: ALICE.into(),
        password: password.map(Password::new),
        server: server.map(str::to_owned),
        transport: way,
    })
}

/// Faults are shown from the first attempt on and send nothing; what was typed stays in the form
/// until the phone has the account.
#[test]
fn an_account_is_added() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open_settings(with(vec![]), size);
        harness.get_by_label(words::telephone_hint());
        harness.get_by_label(words::telephone_hint_in());
        click(&mut harness, words::telephone_add());
        let field = harness.get_by_role_and_label(Role::TextInput, words::telephone_address());
        assert!(field.is_focused(), "one can type at once");
        write(&mut harness, words::telephone_server(), "our house");
        let faults = [
            words::fault_telephone_address(),
            words::fault_password_empty(),
            words::fault_telephone_server(),
        ];
        assert!(faults.iter().all(|fault| harness.query_by_label(fault).is_none()), "not yet");
        click(&mut harness, words::telephone_go());
        for fault in faults {
            harness.get_by_label(fault);
        }
        assert_eq!(commands(&mut backend), []);
        write(&mut harness, words::telephone_address(), "alice@PSTN.example");
        write_password(&mut harness, words::password(), "open sesame");
        let field = harness.get_by_role_and_label(Role::TextInput, words::telephone_server());
        field.focus();
        harness.run();
        harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        harness.run();
        write(&mut harness, words::telephone_server(), "sip.pstn.example:5061");
        harness.get_by_role_and_label(Role::ComboBox, words::telephone_way()).click();
        harness.run();
        harness.get_by_label(words::telephone_way_tls()).click();
        harness.run();
        click(&mut harness, words::telephone_go());
        let (server, tls) = (Some("sip.pstn.example:5061"), Some(SipTransport::Tls));
        assert_eq!(commands(&mut backend), [keep(Some("open sesame"), server, tls)]);

        let notice = Some("The file can't be written.".to_owned());
        tell(&mut harness, &backend, Snapshot { notice, ..with(vec![]) });
        click(&mut harness, words::telephone_go());
        assert_eq!(commands(&mut backend).len(), 1, "what was typed is still there");
        tell(&mut harness, &backend, with(vec![account(server, tls)]));
        assert!(harness.state().view.telephone.is_none(), "the password is forgotten");
        harness.get_by_label(ALICE);
        let by = format!("sip.pstn.example:5061 \u{b7} {}", words::telephone_way_tls());
        harness.get_by_label(&by);
    }
}

/// A change without a password keeps that from before; Enter in a field sends it, Esc gives it up.
#[test]
fn an_account_is_changed() {
    let (mut harness, mut backend) = open_settings(with(vec![account(None, None)]), WIDE);
    click(&mut harness, &words::telephone_change_which(ALICE));
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.state().view.telephone.is_none());
    click(&mut harness, &words::telephone_change_which(ALICE));
    write(&mut harness, words::telephone_server(), "192.0.2.7");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [keep(None, Some("192.0.2.7"), None)]);
}

#[test]
fn an_account_is_removed_after_a_question() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open_settings(with(vec![account(None, None)]), size);
        click(&mut harness, &words::remove_which(ALICE));
        harness.get_by_label(&words::ask_telephone_body(ALICE));
        click(&mut harness, words::keep());
        assert_eq!(commands(&mut backend), []);
        click(&mut harness, &words::remove_which(ALICE));
        click(&mut harness, words::yes_remove());
        let address = ALICE.to_owned();
        let remove = Command::SipAccount(SipAccountJob::Remove { address });
        assert_eq!(commands(&mut backend), [remove]);
    }
}

/// What can't be used says why, also where it could be removed by nobody but its owner's hands.
#[test]
fn what_is_wrong_with_an_account_is_told() {
    let broken = |address: Option<&str>, problem: &str| SipAccountFacts::Unreadable {
        address: address.map(str::to_owned),
        problem: problem.to_owned(),
    };
    let restored = SipAccountFacts::Account {
        address: "bob@pstn.example".into(),
        server: None,
        transport: None,
        has_password: false,
        reach: SipReach::Unwanted,
    };
    let all = vec![broken(Some(ALICE), "It is damaged."), broken(None, "It is wrong."), restored];
    let (mut harness, mut backend) = open_settings(with(all), NARROW);
    harness.get_by_label("It is wrong.");
    harness.get_by_label("It is damaged.");
    harness.get_by_label(words::telephone_no_password());
    assert!(harness.query_by_label(&words::telephone_change_which(ALICE)).is_none());
    click(&mut harness, &words::remove_which(ALICE));
    click(&mut harness, words::yes_remove());
    assert_eq!(commands(&mut backend).len(), 1);
    assert!(check_names(&harness) > 2);
    harness.get_by_label(&words::telephone_change_which("bob@pstn.example"));
    assert!(harness.query_by_label(words::telephone_plain()).is_none());
}

/// Whether calls to an account ring here stands beside it, and why they don't.
#[test]
fn whether_an_account_is_reached_is_told() {
    let why = "pstn.example does not take the name or the password.";
    for (reach, said) in [
        (SipReach::Registered, words::telephone_rings().to_owned()),
        (SipReach::Pending, words::telephone_pending().to_owned()),
        (SipReach::Unwanted, words::telephone_unwanted().to_owned()),
        (SipReach::Failed(why.into()), words::telephone_deaf(why)),
    ] {
        let mut facts = account(None, None);
        let SipAccountFacts::Account { reach: shown, .. } = &mut facts else { panic!() };
        *shown = reach;
        let (harness, _backend) = open_settings(with(vec![facts]), NARROW);
        harness.get_by_label(&said);
    }
}

/// Somebody who is in no overlay is called at an account: the call can be taken, is not said to be
/// verified, and has its buttons; then the first page is back.
#[test]
fn a_call_to_an_account_needs_no_overlay() {
    let with_call = |state| {
        let verified = Verified::Ordinary;
        Snapshot { calls: vec![Call { verified, ..call(3, state) }], ..Snapshot::default() }
    };
    let (mut harness, mut backend) = open(with_call(CallState::Incoming), WIDE);
    harness.get_by_label(&words::verified(Verified::Ordinary, "bob@smith"));
    click(&mut harness, words::answer());
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(3))]);
    tell(&mut harness, &backend, with_call(talking()));
    harness.get_by_label(&words::verified(Verified::Ordinary, "bob@smith"));
    for possible in [words::hold(), words::keypad(), words::record()] {
        harness.get_by_label(possible);
    }
    click(&mut harness, words::hand_over());
    harness.get_by_label(words::hand_over_to());
    click(&mut harness, words::hang_up());
    assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    tell(&mut harness, &backend, Snapshot::default());
    harness.get_by_label(words::welcome());
}
