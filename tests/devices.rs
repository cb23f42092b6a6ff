//! Devices of one user in an overlay that gives out names by accounts.

mod support;

use std::path::Path;

use chordial::crypto::Password;
use chordial::media::Recording;
use chordial::phone::{
    Command, Credentials, Entrance, Event, Handle, PhoneOptions, Snapshot, StateFolder, start,
};
use support::served::{PASSWORD, Served};
use support::{OVERLAY, PATIENCE, SPEECH_ALICE, SPEECH_BOB};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

/// A phone of this process, which does what a person at the window would have it do.
struct Attended {
    handle: Handle,
    events: Receiver<Event>,
}

impl Attended {
    /// Joins as a user with [`PASSWORD`]; its state is in the folder of `device`.
    async fn join(served: &Served, user: &str, device: &str) -> Self {
        let options = PhoneOptions {
            state: StateFolder::open(served.path(device)).expect("usable"),
            listen: Some(([127, 0, 0, 1], 0).into()),
            auto_answer: false,
            play: Some(Recording::read(Path::new(SPEECH_BOB)).expect("speech")),
            record: Some(served.heard_by(device)),
            pcap: None,
            is_attended: false,
        };
        let handle = start(options).expect("started");
        let mut phone = Self { events: handle.events(), handle };
        phone.give(user, PASSWORD);
        let entrance = Entrance::Document(served.document());
        phone.send(Command::Join { entrance, user: user.into(), bootstrap: Vec::new() });
        phone.event(|event| matches!(event, Event::Registered { .. }).then_some(())).await;
        phone
    }

    fn give(&self, user: &str, password: &str) {
        let credentials = Credentials { account: user.into(), password: Password::new(password) };
        let (overlay, user) = (OVERLAY.into(), user.into());
        self.send(Command::GiveCredentials { overlay, user, credentials });
    }

    fn send(&self, command: Command) {
        assert!(self.handle.send(command), "the phone takes commands");
    }

    async fn event<T>(&mut self, pick: impl Fn(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("the phone lives");
                if let Some(found) = pick(&event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("in time")
    }

    async fn until(&mut self, what: &str, is_so: impl Fn(&Snapshot) -> bool) {
        let seen = async {
            while !is_so(&self.handle.snapshot()) {
                assert!(self.handle.changed().await, "the phone lives");
            }
        };
        let seen = timeout(PATIENCE, seen).await;
        assert!(seen.is_ok(), "{what}: {:#?}", self.handle.snapshot());
    }
}

/// R7904-3.2-02, R6940-11.3-12: two devices of an account have a Node-ID each and both ring; the
/// one that answers has the call, and the other stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_devices_of_an_account_ring() {
    let served = Served::open();
    let mut cell = served.phone(&["peer"], "alice", "cell");
    let on_cell = cell.wait("joined")["node_id"].clone();
    cell.wait("registered");
    let mut desk = Attended::join(&served, "alice", "desk").await;
    let on_desk = desk.handle.snapshot().me().expect("joined").node_id.clone();
    assert_ne!(on_cell, on_desk);
    let options = ["call", "alice", "--seconds", "2", "--play", SPEECH_ALICE];
    let mut bob = served.phone(&options, "bob", "bob");
    let incoming = |event: &Event| match event {
        Event::Incoming { call, peer } => Some((*call, peer.clone())),
        _ => None,
    };
    let (call, peer) = desk.event(incoming).await;
    assert_eq!(
        (peer.as_str(), &cell.wait("incoming")["peer"]),
        ("bob@lab.example", &peer.clone().into())
    );
    desk.send(Command::Answer(call));
    let ended = cell.wait("ended");
    assert_eq!(
        (&ended["reason"], &ended["answered"]),
        (&"Answered on another device.".into(), &false.into())
    );
    let (code, events) = bob.finish();
    assert_eq!(code, 0, "{events:?}");
    let reason = |event: &Event| match event {
        Event::Ended { reason, report, .. } => Some((reason.clone(), report.packets_received)),
        _ => None,
    };
    let (reason, received) = desk.event(reason).await;
    assert_eq!(reason, "bob@lab.example hung up.");
    assert!(received > 0, "bob was heard");
}

/// R6940-11.1-01: a user takes a lost device from their account. The password is asked for, a
/// wrong one and the Node-ID of somebody else change nothing; then the document goes round, the
/// device is out and cannot come back, and callers ring at the other device alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_revokes_a_lost_device() {
    let mut served = Served::open();
    let mut lost = served.phone(&["peer"], "alice", "lost");
    let node_id = lost.wait("joined")["node_id"].as_str().expect("a Node-ID").to_owned();
    lost.wait("registered");
    let mut bob = served.phone(&["peer"], "bob", "bob");
    let of_bob = bob.wait("joined")["node_id"].as_str().expect("a Node-ID").to_owned();
    bob.wait("registered");
    let mut desk = Attended::join(&served, "alice", "desk").await;
    let has = |snapshot: &Snapshot, node_id: &str| {
        snapshot.devices.iter().any(|device| device.node_id == node_id)
    };
    desk.until("both devices", |snapshot| has(snapshot, &node_id)).await;
    let before = served.path("before.xml");
    std::fs::copy(served.document(), &before).expect("copied");
    let remove = |node_id: &str| {
        let (overlay, node_id) = (OVERLAY.into(), node_id.into());
        Command::RemoveDevice { overlay, node_id }
    };
    let refused = |event: &Event| match event {
        Event::Error { message } => Some(message.clone()),
        _ => None,
    };
    desk.send(remove(&of_bob));
    assert!(desk.event(refused).await.contains("no device of this account"));
    desk.give("alice", "open barley");
    desk.send(remove(&node_id));
    assert!(desk.event(refused).await.contains("password is wrong"));
    desk.until("a question", |snapshot| !snapshot.credentials_wanted.is_empty()).await;
    assert!(!served.account(&["list", "--json"]).contains("\"revoked\":true"));
    // The answer to the question goes on with what was asked for.
    desk.give("alice", PASSWORD);
    desk.event(|event| matches!(event, Event::Document { sequence: 2, .. }).then_some(())).await;
    assert_eq!(bob.wait("document")["sequence"], 2);
    assert_eq!(served.server.wait("document")["sequence"], 2);
    desk.until("one device", |snapshot| !has(snapshot, &node_id)).await;
    lost.kill();

    // The device learns it from its own document, or by asking the peers that refuse it.
    let mut again = served.phone(&["peer"], "alice", "lost");
    assert_eq!(again.finish().0, 2);
    let said = again.stderr();
    assert!(said.contains("has put it out") && said.lines().count() == 1, "{said}");
    std::fs::rename(&before, served.document()).expect("put back");
    let mut again = served.phone(&["peer"], "alice", "lost");
    assert_eq!(again.finish().0, 2);
    assert!(again.has_seen("document"), "{}", again.log());
    let said = again.stderr();
    assert!(said.contains("has put it out") && said.lines().count() == 1, "{said}");
    let mut carol = served.phone(&["call", "alice", "--seconds", "1"], "carol", "carol");
    desk.event(|event| matches!(event, Event::Incoming { .. }).then_some(())).await;
    carol.interrupt();
    carol.finish();
    let listed = served.account(&["list", "--json"]);
    assert_eq!(listed.matches("\"revoked\":true").count(), 1, "{listed}");
}
