//! The first pages.

use super::*;
use crate::crypto::Password;
use crate::enroll::{Road, RoadFailure, RoadNews, RoadState};
use crate::phone::{Entrance, OverlayKind, OverlaySearch};

#[test]
fn an_overlay_is_started_in_three_steps() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::start_choice());
    harness.get_by_label(words::names_by_themselves()).click();
    harness.run();
    click(&mut harness, words::start_go());
    harness.get_by_label(words::fault_network_empty());
    harness.get_by_label(words::fault_user_empty());
    assert_eq!(commands(&mut backend), []);
    write(&mut harness, words::network_name(), "smith");
    write(&mut harness, words::user(), "alice");
    harness.key_press(Key::Enter);
    harness.run();
    let start = Command::StartOverlay {
        name: "smith".into(),
        user: "alice".into(),
        listen: "[::]:6084".parse().expect("an address"),
        kind: OverlayKind::SelfSigned,
    };
    assert_eq!(commands(&mut backend), std::slice::from_ref(&start));
    let step = "Opening the port".to_owned();
    let memberships = membership(OverlayState::Joining { step });
    tell(&mut harness, &backend, Snapshot { memberships, ..Snapshot::default() });
    harness.get_by_label("Opening the port");
    let reason = "The port is in use.".to_owned();
    let memberships = membership(OverlayState::Failed { reason });
    tell(&mut harness, &backend, Snapshot { memberships, ..Snapshot::default() });
    harness.get_by_label("The port is in use.");
    click(&mut harness, words::try_again());
    assert_eq!(commands(&mut backend), [start]);
    tell(&mut harness, &backend, invited());
    harness.get_by_label(&words::share_title("smith"));
    harness.get_by_label(words::qr());
    harness.get_by_label(words::self_signed_protects());
    harness.get_by_label(words::self_signed_protects_not());
    assert_eq!(click_to_copy(&mut harness, words::copy_link()), [LINK]);
    harness.get_by_label(words::copied());
    click(&mut harness, words::done());
    harness.get_by_label(words::dial());
}

/// A snapshot of somebody on the way into an overlay.
fn on_the_way(state: OverlayState, searches: Vec<OverlaySearch>) -> Snapshot {
    Snapshot { memberships: membership(state), searches, ..Snapshot::default() }
}

fn road(road: Road, state: RoadState) -> RoadNews {
    RoadNews { road, state }
}

#[test]
fn an_overlay_is_joined_by_its_document() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let document = folder.path().join("smith.xml");
    let (mut harness, mut backend) = open(Snapshot::default(), NARROW);
    click(&mut harness, words::join_choice());
    write(&mut harness, words::entrance(), &document.display().to_string());
    write(&mut harness, words::user(), "bob");
    click(&mut harness, words::more());
    let field = harness.get_by_role_and_label(Role::TextInput, words::bootstrap());
    assert!(field.is_focused(), "it is what one wants to type into now");
    write(&mut harness, words::bootstrap(), "192.0.2.7");
    click(&mut harness, words::join_go());
    harness.get_by_label(words::fault_document_missing());
    std::fs::write(&document, "<overlay/>").expect("written");
    harness.run();
    click(&mut harness, words::join_go());
    let join = Command::Join {
        entrance: Entrance::Document(document),
        user: "bob".into(),
        bootstrap: vec!["192.0.2.7:6084".parse().expect("an address")],
    };
    assert_eq!(commands(&mut backend), [join]);
    let step = "Finding our place".to_owned();
    tell(&mut harness, &backend, on_the_way(OverlayState::Joining { step }, vec![]));
    harness.get_by_label("Joining smith");
    click(&mut harness, words::cancel());
    assert_eq!(commands(&mut backend), [Command::Leave(Some("smith".into()))]);
    assert_eq!(harness.state().view.setup, Setup::Join, "what was typed stays");
}

/// All roads are shown with what became of them, and the page goes on by itself.
#[test]
fn an_overlay_is_joined_by_its_name() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::join_choice());
    click(&mut harness, words::join_go());
    harness.get_by_label(words::fault_entrance_empty());
    write(&mut harness, words::entrance(), "smith");
    write(&mut harness, words::user(), "alice");
    harness.key_press(Key::Enter);
    harness.run();
    let (user, bootstrap) = ("alice".to_owned(), vec![]);
    let join = Command::Join { entrance: Entrance::Name("smith".into()), user, bootstrap };
    assert_eq!(commands(&mut backend), std::slice::from_ref(&join));
    let roads = vec![road(Road::Dns, RoadState::AskingDns), road(Road::Lan, RoadState::Searching)];
    let search = |roads| vec![OverlaySearch { overlay: "smith".into(), roads }];
    let step = "Looking for the overlay".to_owned();
    tell(&mut harness, &backend, on_the_way(OverlayState::Joining { step }, search(roads)));
    harness.get_by_label("Looking for the overlay");
    for state in [RoadState::AskingDns, RoadState::Searching] {
        harness.get_by_label(&state.to_string());
    }
    let late = RoadState::Failed(RoadFailure::Late);
    let nobody = RoadState::Failed(RoadFailure::NobodyHere);
    let roads = vec![road(Road::Dns, late), road(Road::Lan, nobody)];
    let reason = "Not joined because the overlay smith was not found.".to_owned();
    tell(&mut harness, &backend, on_the_way(OverlayState::Failed { reason }, search(roads)));
    harness.get_by_label("Not joined because the overlay smith was not found.");
    harness.get_by_label("There was no answer in time.");
    harness.get_by_label("Nobody on this network is in it.");
    click(&mut harness, words::try_again());
    assert_eq!(commands(&mut backend), std::slice::from_ref(&join));
    tell(&mut harness, &backend, joined());
    harness.get_by_label(words::dial());
}

#[test]
fn an_overlay_of_this_network_is_taken_by_a_click() {
    let nearby = vec!["jones".to_owned(), "smith".to_owned()];
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::join_choice());
    harness.get_by_label(words::nearby_none());
    tell(&mut harness, &backend, Snapshot { nearby, ..Snapshot::default() });
    click(&mut harness, "smith");
    write(&mut harness, words::user(), "bob");
    click(&mut harness, words::join_go());
    let entrance = Entrance::Name("smith".into());
    let join = Command::Join { entrance, user: "bob".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
}

#[test]
fn an_overlay_is_joined_by_an_invitation() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::join_choice());
    write(&mut harness, words::entrance(), "reload-invite:smith");
    write(&mut harness, words::user(), "bob");
    click(&mut harness, words::join_go());
    harness.get_by_label_contains("The invitation is not complete");
    assert_eq!(commands(&mut backend), []);
    harness.state_mut().view.join.entrance = LINK.into();
    harness.run();
    click(&mut harness, words::join_go());
    let entrance = Entrance::Invitation(LINK.into());
    let join = Command::Join { entrance, user: "bob".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
}

/// Whoever is in one overlay enters another beside it, and comes back if it fails.
#[test]
fn another_overlay_is_joined_beside_the_first() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::network());
    click(&mut harness, words::join_another());
    click(&mut harness, words::back());
    harness.get_by_label(words::overlays());
    click(&mut harness, words::join_another());
    click(&mut harness, words::join_choice());
    write(&mut harness, words::entrance(), "jones");
    click(&mut harness, words::join_go());
    let entrance = Entrance::Name("jones".into());
    let join = Command::Join { entrance, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join], "under the name that one has already");
    let with = |state| Snapshot { memberships: two(state), ..joined() };
    let reason = "Not joined because nobody answered.".to_owned();
    tell(&mut harness, &backend, with(OverlayState::Failed { reason }));
    harness.get_by_label("Not joined because nobody answered.");
    click(&mut harness, words::change());
    assert_eq!(commands(&mut backend), [Command::Leave(Some("jones".into()))]);
    click(&mut harness, words::join_go());
    tell(&mut harness, &backend, with(joined().overlay().clone()));
    harness.get_by_label(words::overlays());
}

#[test]
fn a_refused_join_goes_back_to_its_form() {
    let last = joined().me().cloned();
    let notice = Some("Something else.".to_owned());
    let out = Snapshot { last: last.clone(), notice, ..Snapshot::default() };
    let (mut harness, mut backend) = open(out, WIDE);
    click(&mut harness, "Join again as alice@smith");
    assert_eq!(commands(&mut backend), [Command::DismissNotice], "the older notice goes first");
    harness.get_by_label(words::preparing());
    let out = Snapshot { last, ..Snapshot::default() };
    tell(&mut harness, &backend, out.clone());
    let entrance = Entrance::Name("smith".into());
    let join = Command::Join { entrance, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
    let notice = Some("The document can't be read.".to_owned());
    tell(&mut harness, &backend, Snapshot { notice, ..out });
    harness.get_by_label("The document can't be read.");
    assert_eq!(harness.state().view.setup, Setup::Join);
    assert_eq!(harness.state().view.join.entrance, "smith", "to be mended");
}

#[test]
fn a_backup_is_restored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chordial.backup");
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::restore_choice());
    click(&mut harness, words::restore_go());
    harness.get_by_label(words::fault_file_empty());
    harness.get_by_label(words::fault_password_empty());
    write(&mut harness, words::backup_file(), &path.display().to_string());
    write_password(&mut harness, words::password(), "open sesame");
    click(&mut harness, words::restore_go());
    harness.get_by_label(words::fault_document_missing());
    std::fs::write(&path, "chordial").expect("written");
    harness.run();
    click(&mut harness, words::restore_go());
    let restore = Command::Restore { path, password: Password::new("open sesame") };
    assert_eq!(commands(&mut backend), std::slice::from_ref(&restore));
    harness.get_by_label(words::restoring());
    let notice = Some("The password is wrong.".to_owned());
    tell(&mut harness, &backend, Snapshot { notice, ..Snapshot::default() });
    harness.get_by_label("The password is wrong.");
    click(&mut harness, words::restore_go());
    assert_eq!(commands(&mut backend), [Command::DismissNotice]);
    tell(&mut harness, &backend, Snapshot::default());
    assert_eq!(commands(&mut backend), [restore]);
    let restored = vec!["alice@smith".to_owned(), "al@jones".to_owned()];
    tell(&mut harness, &backend, Snapshot { restored, ..Snapshot::default() });
    harness.get_by_label(words::restored_title());
    click(&mut harness, "Join again as al@jones");
    assert_eq!(commands(&mut backend), [Command::DismissNotice]);
    tell(&mut harness, &backend, Snapshot::default());
    let entrance = Entrance::Name("jones".into());
    let join = Command::Join { entrance, user: "al".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
}

#[test]
fn being_out_after_a_start_says_why_and_tries_again() {
    let failed = OverlayState::Failed { reason: "Not joined because nobody answered.".into() };
    let memberships = membership(failed);
    let (mut harness, mut backend) = open(Snapshot { memberships, ..joined() }, WIDE);
    harness.get_by_label("Not joined because nobody answered.");
    click(&mut harness, words::try_again());
    let entrance = Entrance::Name("smith".into());
    let join = Command::Join { entrance, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
}

/// Only the user founds an overlay again, and only where it was founded before.
#[test]
fn a_founder_out_of_reach_may_start_the_overlay_again() {
    let failed = OverlayState::Failed { reason: "Not joined because nobody answered.".into() };
    let failed = Snapshot { memberships: membership(failed), ..joined() };
    let (harness, _backend) = open(failed.clone(), WIDE);
    assert!(harness.query_by_label(words::found_again_button()).is_none());
    let founded = vec!["smith".to_owned()];
    let found = Command::Found { document: None, user: "alice".into() };
    let failed = Snapshot { founded: founded.clone(), ..failed };
    let (mut harness, mut backend) = open(failed.clone(), WIDE);
    click(&mut harness, words::found_again_button());
    assert_eq!(commands(&mut backend), std::slice::from_ref(&found));
    let out = Snapshot { last: joined().me().cloned(), founded, ..Snapshot::default() };
    let (mut harness, mut backend) = open(out, WIDE);
    click(&mut harness, "Join again as alice@smith");
    commands(&mut backend);
    tell(&mut harness, &backend, failed);
    click(&mut harness, words::found_again_button());
    assert_eq!(commands(&mut backend), [found]);
}
