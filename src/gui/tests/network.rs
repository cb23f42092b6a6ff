//! The Network page.

use super::*;
use crate::phone::Entrance;

#[test]
fn the_network_page_shows_the_figures_and_saves_the_document() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::network());
    for text in ["8f3a91", "7", "23", "192.0.2.7:6084"] {
        harness.get_by_label(text);
    }
    harness.state_mut().view.save_path = "/tmp/smith.xml".into();
    harness.run();
    click(&mut harness, words::save());
    let (overlay, path) = ("smith".into(), "/tmp/smith.xml".into());
    assert_eq!(commands(&mut backend), [Command::SaveDocument { overlay, path }]);
    assert!(harness.query_by_label(words::saved()).is_none(), "not before it is");
    tell(&mut harness, &backend, Snapshot { saved: Some("/tmp/smith.xml".into()), ..joined() });
    harness.get_by_label(words::saved());
}

#[test]
fn the_network_page_invites_by_link_and_code() {
    let (mut harness, mut backend) = open(invited(), NARROW);
    click(&mut harness, words::network());
    harness.get_by_label(words::qr());
    assert_eq!(click_to_copy(&mut harness, words::copy_link()), [LINK]);
    click(&mut harness, words::as_a_file());
    harness.state_mut().view.save_path = "/tmp/smith.xml".into();
    harness.run();
    click(&mut harness, words::save());
    let (overlay, path) = ("smith".into(), "/tmp/smith.xml".into());
    assert_eq!(commands(&mut backend), [Command::SaveDocument { overlay, path }]);
}

/// Each overlay has its state; one is left or made the default without the other.
#[test]
fn several_overlays_are_listed_and_handled_one_by_one() {
    let state = joined().overlay().clone();
    let snapshot = Snapshot { memberships: two(state), ..joined() };
    let (mut harness, mut backend) = open(snapshot, WIDE);
    click(&mut harness, words::network());
    assert!(harness.query_by_label(words::make_default()).is_none(), "the first is the default");
    click(&mut harness, &words::overlay_row("alice@jones", words::joined()));
    click(&mut harness, words::make_default());
    let default_overlay = Some("jones".to_owned());
    let settings = Settings { default_overlay, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(settings))]);
    click(&mut harness, &words::leave_which("jones"));
    harness.get_by_label_contains("Nobody in jones can call you");
    click(&mut harness, words::yes_leave());
    assert_eq!(commands(&mut backend), [Command::Leave(Some("jones".into()))]);
}

#[test]
fn an_overlay_out_of_reach_says_why() {
    let reason = "Not joined because nobody answered.".to_owned();
    let memberships = two(OverlayState::Failed { reason });
    let (mut harness, mut backend) = open(Snapshot { memberships, ..joined() }, WIDE);
    click(&mut harness, words::network());
    click(&mut harness, &words::overlay_row("alice@jones", words::not_joined_because()));
    harness.get_by_label("Not joined because nobody answered.");
    click(&mut harness, words::try_again());
    let entrance = Entrance::Name("jones".into());
    let join = Command::Join { entrance, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
}
