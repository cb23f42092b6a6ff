//! Calls back from the list of calls.

use super::*;

/// A name with what would be an escape or a password, if somebody typed it, calls and is called
/// back by what stands in the list of calls.
#[tokio::test]
async fn whoever_has_called_can_be_called_back() {
    const NAME: &str = "bo:b%41@one.example";
    let papers = tempfile::tempdir().expect("a folder");
    let config = OverlayConfig::self_signed("one.example").expect("a name");
    let document = document(&papers, &config);
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    let at = alice.found(document.clone(), "alice").await;
    let (entrance, user) = (Entrance::Document(document), "sip:bo%3Ab%2541@one.example".into());
    bob.send(Command::Join { entrance, user, bootstrap: vec![at] });
    bob.until("in", |s| states(s) == [("one.example", true)]).await;

    bob.send(Command::Dial("alice".into()));
    let incoming = |event: &Event| match event {
        Event::Incoming { call, peer } => Some((*call, peer.clone())),
        _ => None,
    };
    let (call, peer) = alice.event(incoming).await;
    assert_eq!(peer, NAME);
    alice.send(Command::Decline(call));
    alice.until("it is over", |s| s.history.len() == 1).await;
    bob.until("it is over", |s| s.history.len() == 1).await;

    let peer = alice.handle.snapshot().history[0].peer.clone();
    alice.send(Command::Dial(peer));
    let (call, caller) = bob.event(incoming).await;
    assert_eq!(caller, "alice@one.example");
    bob.send(Command::Decline(call));
    alice.until("it is over", |s| s.history.len() == 2).await;
    assert_eq!(alice.handle.snapshot().history[0].peer, NAME);
}
