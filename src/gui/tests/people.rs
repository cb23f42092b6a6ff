//! Overlays whose names this computer gives out, and those who are invited to one.

use super::*;
use crate::base::NodeId;
use crate::crypto::Password;
use crate::enroll::server::{Account, AccountNode, AccountState, Registration, limits};
use crate::phone::{
    AccountJob, Credentials, CredentialsWanted, Entrance, HostState, HostedOverlay, OverlayKind,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// A link that lets one person in.
const PERSONAL: &str = "reload-invite:smith?signer=8f3a91c04be2d7760f1e5a9cc3b81d42\
                        &code=abcd-efgh&address=192.0.2.7:6084";

fn account(name: &str, state: AccountState, revoked: &[bool]) -> Account {
    let nodes = revoked.iter().map(|&is_revoked| AccountNode {
        node_id: NodeId::from_u128(7),
        not_after_unix_ms: limits::CERTIFICATE_MS,
        is_revoked,
    });
    Account { name: name.into(), state, created_unix_ms: 0, nodes: nodes.collect() }
}

/// In an overlay whose names this computer gives out.
fn hosting() -> Snapshot {
    let hosted = HostedOverlay {
        overlay: "smith".into(),
        user: "alice".into(),
        state: HostState::Running,
        folder: "/home/alice/hosted/smith".into(),
        url: Some("https://192.0.2.7:8443/enroll".into()),
        registration: Registration::InvitationOnly,
        accounts: vec![
            account("alice", AccountState::Active, &[false]),
            account("bob", AccountState::Active, &[false, false, true]),
            account("carol", AccountState::Active, &[]),
            account("dave", AccountState::Disabled, &[false]),
            account("mallory", AccountState::Disabled, &[true]),
        ],
        invitation: None,
        problem: None,
    };
    let invitations = [("smith".to_owned(), LINK.to_owned())].into();
    Snapshot { hosted: vec![hosted], invitations, ..joined() }
}

fn job(job: AccountJob) -> Command {
    Command::Accounts { overlay: "smith".into(), job }
}

fn with_link() -> Snapshot {
    let mut snapshot = hosting();
    snapshot.hosted[0].invitation = Some(PERSONAL.into());
    snapshot
}

/// Names are given out by this computer unless the user wants otherwise, and the link for the first
/// person is there at once.
#[test]
fn an_overlay_with_accounts_is_started() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::start_choice());
    write(&mut harness, words::network_name(), "smith");
    write(&mut harness, words::user(), "alice");
    click(&mut harness, words::more());
    write(&mut harness, words::host(), "our house");
    click(&mut harness, words::start_go());
    harness.get_by_label(words::fault_host());
    assert_eq!(commands(&mut backend), []);
    harness.state_mut().view.start.host = "house.example".into();
    harness.run();
    click(&mut harness, words::start_go());
    let start = Command::StartOverlay {
        name: "smith".into(),
        user: "alice".into(),
        listen: "[::]:6084".parse().expect("an address"),
        kind: OverlayKind::Accounts { host: Some("house.example".into()) },
    };
    assert_eq!(commands(&mut backend), [start]);
    tell(&mut harness, &backend, hosting());
    harness.get_by_label(&words::share_title("smith"));
    assert_eq!(commands(&mut backend), [job(AccountJob::Invite)]);
    tell(&mut harness, &backend, with_link());
    harness.get_by_label(words::server_down());
    assert_eq!(click_to_copy(&mut harness, words::copy_link()), [PERSONAL]);
    click(&mut harness, words::done());
    harness.get_by_label(words::dial());
}

#[test]
fn people_are_invited_and_looked_after() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(hosting(), size);
        harness.state_mut().view.now_ms = DAY_MS;
        click(&mut harness, words::people());
        harness.get_by_label(words::server_down());
        harness.get_by_label(words::not_joined_yet());
        harness.get_by_label(words::is_put_out());
        harness.get_by_label_contains("2 devices, last confirmed ");
        harness.get_by_label_contains("Paused: can call");
        click(&mut harness, words::make_invitation());
        assert_eq!(commands(&mut backend), [job(AccountJob::Invite)]);
        tell(&mut harness, &backend, with_link());
        harness.get_by_label(words::qr());
        assert_eq!(click_to_copy(&mut harness, words::copy_link()), [PERSONAL]);
        click(&mut harness, words::another_invitation());
        assert_eq!(commands(&mut backend), [job(AccountJob::Invite)]);
        for (button, name, state) in [
            (words::pause_whom("bob"), "bob", AccountState::Disabled),
            (words::let_in_whom("dave"), "dave", AccountState::Active),
            (words::let_in_whom("mallory"), "mallory", AccountState::Active),
        ] {
            click(&mut harness, &button);
            let expected = job(AccountJob::SetState { name: name.into(), state });
            assert_eq!(commands(&mut backend), [expected]);
        }
        for whom in ["alice", "mallory"] {
            assert!(harness.query_by_label(&words::put_out_whom(whom)).is_none(), "{whom}");
        }
        click(&mut harness, &words::put_out_whom("bob"));
        harness.get_by_label(&words::ask_put_out_body("bob", "smith"));
        click(&mut harness, words::keep_them());
        assert_eq!(commands(&mut backend), [], "it can't be taken back");
        click(&mut harness, &words::put_out_whom("bob"));
        click(&mut harness, words::yes_put_out());
        assert_eq!(commands(&mut backend), [job(AccountJob::Revoke { name: "bob".into() })]);
        harness.get_by_label(words::everybody()).click();
        harness.run();
        assert_eq!(commands(&mut backend), [job(AccountJob::Register(Registration::Open))]);
        assert!(check_names(&harness) > 10);
    }
}

/// An account with a password: what has to be told is shown once it is there.
#[test]
fn somebody_is_added_with_a_password() {
    let (mut harness, mut backend) = open(hosting(), NARROW);
    click(&mut harness, words::people());
    click(&mut harness, words::add_account());
    let field = harness.get_by_role_and_label(Role::TextInput, words::add_name());
    assert!(field.is_focused(), "it is what one wants to type into now");
    click(&mut harness, words::add_go());
    harness.get_by_label(words::fault_user_empty());
    write(&mut harness, words::add_name(), "Erin");
    let password = harness.state().view.add.password.clone();
    assert!(password.len() > 12, "nobody has to invent one");
    harness.state_mut().view.add.password = "short".into();
    harness.run();
    click(&mut harness, words::add_go());
    harness.get_by_label(words::fault_password_short());
    assert_eq!(commands(&mut backend), []);
    harness.state_mut().view.add.password = "correct horse".into();
    harness.run();
    click(&mut harness, words::add_go());
    let (name, password) = ("erin".into(), Password::new("correct horse"));
    assert_eq!(commands(&mut backend), [job(AccountJob::Add { name, password })]);
    let mut snapshot = hosting();
    snapshot.hosted[0].accounts.push(account("erin", AccountState::Active, &[]));
    tell(&mut harness, &backend, snapshot);
    harness.get_by_label(&words::added("erin"));
    harness.get_by_label("correct horse");
    assert_eq!(click_to_copy(&mut harness, words::copy_link()), [LINK], "it has no password");
    click(&mut harness, words::done());
    assert!(harness.query_by_label("correct horse").is_none());
}

#[test]
fn the_server_is_stopped_and_started() {
    let run = |is_wanted| Command::RunOverlay { overlay: "smith".into(), is_wanted };
    let (mut harness, mut backend) = open(hosting(), WIDE);
    click(&mut harness, words::people());
    harness.get_by_label("https://192.0.2.7:8443/enroll");
    harness.get_by_label("/home/alice/hosted/smith");
    click(&mut harness, words::stop_server());
    assert_eq!(commands(&mut backend), [run(false)]);
    let reason = "The peer port 0.0.0.0:6084 can't be opened.".to_owned();
    for state in [HostState::Stopped, HostState::Failed { reason: reason.clone() }] {
        let mut snapshot = hosting();
        let is_failed = state != HostState::Stopped;
        snapshot.hosted[0].state = state;
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label(if is_failed { &reason } else { words::server_stopped() });
        assert!(harness.query_by_label(words::make_invitation()).is_none(), "nobody would answer");
        click(&mut harness, words::start_server());
        assert_eq!(commands(&mut backend), [run(true)]);
    }
    tell(&mut harness, &backend, joined());
    harness.get_by_label(words::no_people());
    assert!(harness.query_by_role_and_label(Role::Button, words::people()).is_none());
}

/// Whoever pastes a link for one person chooses a password, twice.
#[test]
fn who_is_invited_chooses_a_password() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::join_choice());
    write(&mut harness, words::entrance(), PERSONAL);
    write(&mut harness, words::user(), "bob");
    click(&mut harness, words::join_go());
    let entrance = Entrance::Invitation(PERSONAL.into());
    let join = Command::Join { entrance, user: "bob".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
    let reason = "Choose a password for your account in smith.".to_owned();
    let wanted = CredentialsWanted {
        overlay: "smith".into(),
        user: "bob".into(),
        account: "bob".into(),
        problem: None,
        ends_unix_ms: None,
        is_new: true,
    };
    let memberships = membership(OverlayState::Failed { reason });
    let credentials_wanted = vec![wanted];
    let asked = Snapshot { memberships, credentials_wanted, ..Snapshot::default() };
    tell(&mut harness, &backend, asked);
    harness.get_by_label(&words::choose_title("smith"));
    write_password(&mut harness, words::choose_password(), "open");
    click(&mut harness, words::account_go());
    harness.get_by_label(words::fault_password_short());
    harness.get_by_label(words::fault_passwords_differ());
    assert_eq!(commands(&mut backend), []);
    write_password(&mut harness, words::choose_password(), " sesame");
    write_password(&mut harness, words::password_again(), "open sesame");
    harness.key_press(Key::Enter);
    harness.run();
    let credentials = Credentials { account: "bob".into(), password: Password::new("open sesame") };
    let (overlay, user) = ("smith".into(), "bob".into());
    assert_eq!(commands(&mut backend), [Command::GiveCredentials { overlay, user, credentials }]);
}
