//! Peers that are killed while they get a certificate, or get it anew.

mod support;

use support::halting::{Halting, Step};
use support::served::PASSWORD;

/// R6940-11.3-12: a peer is killed while it gets its first certificate: when its key is half
/// written, at each step of the server, and when the certificate is half written. Started again it
/// gets in, with the key that it had if one was kept.
#[test]
fn a_killed_enrollment_starts_again() {
    let lab = Halting::start();
    for step in STEPS {
        let user = format!("user-{step:?}").to_ascii_lowercase();
        lab.halt_at(Some(step));
        let mut peer = lab.peer(&user);
        lab.wait_for_halt();
        peer.kill();
        lab.halt_at(None);
        gets_in(&lab, &user, &read(&lab, &user, KEY));
    }
    for (number, file) in [KEY, CERTIFICATE].into_iter().enumerate() {
        let user = format!("user-{number}");
        lab.halt_at_file(&user, file);
        let mut peer = lab.peer(&user);
        lab.kill_at_file(&user, file, &mut peer);
        gets_in(&lab, &user, &std::fs::read(lab.file(&user, KEY)).unwrap_or_default());
    }
}

/// R6940-13.3-04: a peer is killed while it gets its certificate anew, at each step of the server
/// and when the new certificate is half written. Started again it is who it was, and the
/// certificate is renewed.
#[test]
fn a_killed_renewal_starts_again() {
    let lab = Halting::start();
    for step in STEPS {
        let user = format!("user-{step:?}").to_ascii_lowercase();
        let node_id = enrolled_for_a_day(&lab, &user);
        lab.halt_at(Some(step));
        let mut peer = lab.peer(&user);
        assert_eq!(peer.wait("joined")["node_id"], node_id, "it does not wait for the server");
        lab.wait_for_halt();
        peer.kill();
        lab.halt_at(None);
        is_renewed(&lab, &user, &node_id);
    }
    let node_id = enrolled_for_a_day(&lab, "user");
    lab.halt_at_file("user", CERTIFICATE);
    let mut peer = lab.peer("user");
    lab.kill_at_file("user", CERTIFICATE, &mut peer);
    is_renewed(&lab, "user", &node_id);
}

/// A renewal with a wrong password changes nothing: the peer is in the overlay and says what is
/// wrong. Killed then, and started again with the right one, it is who it was.
#[test]
fn a_renewal_with_a_wrong_password_is_one_sentence() {
    let lab = Halting::start();
    let node_id = enrolled_for_a_day(&lab, "alice");
    let before = read(&lab, "alice", CERTIFICATE);
    lab.set_password("open barley");
    let mut alice = lab.peer("alice");
    assert_eq!(alice.wait("joined")["node_id"], node_id);
    let said = alice.wait("error");
    assert!(said["message"].as_str().expect("a sentence").contains("password is wrong"), "{said}");
    alice.kill();
    assert_eq!(read(&lab, "alice", CERTIFICATE), before);
    lab.set_password(PASSWORD);
    is_renewed(&lab, "alice", &node_id);
}

/// Gets a certificate that is to be renewed at once, and is killed: the Node-ID.
fn enrolled_for_a_day(lab: &Halting, user: &str) -> String {
    lab.let_end_soon(true);
    lab.halt_at(None);
    let mut peer = lab.peer(user);
    let node_id = peer.wait("joined")["node_id"].as_str().expect("a Node-ID").to_owned();
    peer.kill();
    node_id
}

/// The user's peer starts, with the key that it has.
fn gets_in(lab: &Halting, user: &str, key: &[u8]) {
    let mut peer = lab.peer(user);
    let node_id = peer.wait("joined")["node_id"].as_str().expect("a Node-ID").to_owned();
    peer.kill();
    let kept = read(lab, user, KEY);
    assert!(key.is_empty() || kept == key, "{user} has another key");
    let mut peer = lab.peer(user);
    assert_eq!(peer.wait("joined")["node_id"], node_id, "{user}");
}

/// The user's peer starts with what it has, and goes on under a new certificate.
fn is_renewed(lab: &Halting, user: &str, node_id: &str) {
    let before = read(lab, user, CERTIFICATE);
    lab.let_end_soon(false);
    let mut peer = lab.peer(user);
    assert_eq!(peer.wait("joined")["node_id"], node_id, "{user}");
    peer.wait("left");
    assert_eq!(peer.wait("joined")["node_id"], node_id, "{user}");
    assert_ne!(read(lab, user, CERTIFICATE), before, "{user}");
}

fn read(lab: &Halting, user: &str, name: &str) -> Vec<u8> {
    std::fs::read(lab.file(user, name)).expect("kept")
}

const STEPS: [Step; 6] =
    [Step::Connected, Step::Secured, Step::Asked, Step::HeadSent, Step::HalfSent, Step::Sent];
const KEY: &str = "key.der";
const CERTIFICATE: &str = "certificate.der";
