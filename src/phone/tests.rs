//! Phones in one process, over real nodes on the loopback interface.

mod book;
mod certify;
mod conference;
mod forwarding;
mod hosting;
mod machine;
mod messages;
mod outside;
mod reasons;
mod redial;
mod several;
mod telephone;
mod trust;
mod welcome;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::{
    CallState, Command, Entrance, Event, Handle, OverlayState, PhoneOptions, Settings, Snapshot,
    StateFolder, start,
};
use crate::config::OverlayConfig;
use crate::media::{Recording, SAMPLE_RATE};

/// A phone with a folder of its own.
struct Phone {
    folder: tempfile::TempDir,
    handle: Handle,
    events: Receiver<Event>,
}

impl Phone {
    fn new() -> Self {
        Self::with(tempfile::tempdir().expect("a folder"))
    }

    /// One with a tone in place of a microphone, which lasts for longer than any test.
    fn humming() -> Self {
        static TONE: OnceLock<Recording> = OnceLock::new();
        let tone = TONE.get_or_init(tone).clone();
        Self::playing(tempfile::tempdir().expect("a folder"), Some(tone))
    }

    fn with(folder: tempfile::TempDir) -> Self {
        Self::playing(folder, None)
    }

    fn playing(folder: tempfile::TempDir, play: Option<Recording>) -> Self {
        Self::recording(folder, play, None)
    }

    fn recording(
        folder: tempfile::TempDir,
        play: Option<Recording>,
        record: Option<PathBuf>,
    ) -> Self {
        let options = PhoneOptions {
            state: StateFolder::open(folder.path()).expect("usable"),
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            auto_answer: false,
            play,
            record,
            pcap: None,
            is_attended: false,
        };
        let handle = start(options).expect("started");
        let events = handle.events();
        Self { folder, handle, events }
    }

    fn send(&self, command: Command) {
        assert!(self.handle.send(command), "the phone takes commands");
    }

    /// The first event that `pick` has something of.
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

    /// Waits for a snapshot like this.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Snapshot) -> bool) {
        let seen = async {
            while !is_so(&self.handle.snapshot()) {
                assert!(self.handle.changed().await, "the phone lives");
            }
        };
        let seen = timeout(PATIENCE, seen).await;
        assert!(seen.is_ok(), "{what}: {:#?}", self.handle.snapshot());
    }

    /// Founds the overlay of a document; where others join.
    async fn found(&mut self, document: PathBuf, user: &str) -> SocketAddr {
        self.send(Command::Found { document: Some(document), user: user.into() });
        self.event(|e| match e {
            Event::Joined { listen, .. } => *listen,
            _ => None,
        })
        .await
    }

    /// Ends the phone; what it has kept.
    async fn end(mut self) -> tempfile::TempDir {
        drop(self.handle);
        let ended = async { while self.events.recv().await != Err(RecvError::Closed) {} };
        timeout(PATIENCE, ended).await.expect("in time");
        self.folder
    }
}

fn tone() -> Recording {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tone.wav");
    let (channels, sample_rate, bits_per_sample) = (1, SAMPLE_RATE, 16);
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels, sample_rate, bits_per_sample, sample_format };
    let mut tone = hound::WavWriter::create(&path, spec).expect("a file");
    for at in 0..sample_rate * TONE_S {
        tone.write_sample(if at / 50 % 2 == 0 { 4000_i16 } else { -4000 }).expect("written");
    }
    tone.finalize().expect("written");
    Recording::read(&path).expect("a recording")
}

fn states(snapshot: &Snapshot) -> Vec<(&str, bool)> {
    let state = |m: &OverlayState| matches!(m, OverlayState::Joined { registered: true, .. });
    snapshot.memberships.iter().map(|m| (m.me.overlay.as_str(), state(&m.state))).collect()
}

fn document(folder: &tempfile::TempDir, config: &OverlayConfig) -> PathBuf {
    let path = folder.path().join(format!("{}.xml", config.instance_name));
    std::fs::write(&path, config.write()).expect("written");
    path
}

/// Two overlays side by side: each has its own peer and identity, a name is called in the overlay
/// of its domain or in the default one, an overlay that cannot be entered is nothing to the others,
/// and after a restart those are joined again that were not left.
#[tokio::test]
async fn several_overlays_at_once() {
    let papers = tempfile::tempdir().expect("a folder");
    let config = |name| OverlayConfig::self_signed(name).expect("a name");
    let [one, two] = ["one.example", "two.example"].map(|name| document(&papers, &config(name)));
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    let at_one = alice.found(one.clone(), "alice").await;
    let at_two = alice.found(two.clone(), "alison").await;
    assert_ne!(at_one.port(), at_two.port());
    for (document, at) in [(one, at_one), (two, at_two)] {
        let entrance = Entrance::Document(document);
        bob.send(Command::Join { entrance, user: "bob".into(), bootstrap: vec![at] });
    }
    bob.until("in both", |s| states(s) == [("one.example", true), ("two.example", true)]).await;
    let snapshot = bob.handle.snapshot();
    let [first, second] = &snapshot.memberships[..] else { panic!("{snapshot:?}") };
    assert_ne!(first.me.node_id, second.me.node_id, "each has an identity of its own");
    alice.until("in both", |s| states(s).iter().all(|(_, joined)| *joined)).await;

    let default_overlay = Some("two.example".to_owned());
    for (name, caller) in [("alice@one.example", "bob@one.example"), ("alison", "bob@two.example")]
    {
        let default_overlay = default_overlay.clone();
        bob.send(Command::Configure(Box::new(Settings { default_overlay, ..Settings::default() })));
        bob.send(Command::Dial(name.into()));
        let peer = alice.event(|e| match e {
            Event::Incoming { peer, .. } => Some(peer.clone()),
            _ => None,
        });
        assert_eq!(peer.await, caller);
        let overlay = caller.trim_start_matches("bob@");
        let in_overlay = |s: &Snapshot| s.calls.first().is_some_and(|c| c.overlay == overlay);
        assert!(in_overlay(&bob.handle.snapshot()), "{:?}", bob.handle.snapshot().calls);
        bob.until("it rings", |s| s.calls[0].state == CallState::Ringing).await;
        bob.send(Command::HangUp(bob.handle.snapshot().calls[0].id));
        alice.event(|e| matches!(e, Event::Ended { .. }).then_some(())).await;
    }

    let closed = OverlayConfig { self_signed_permitted: None, ..config("closed.example") };
    let entrance = Entrance::Document(document(&papers, &closed));
    bob.send(Command::Join { entrance, user: "bob".into(), bootstrap: vec![] });
    bob.until("a failure", |s| s.memberships.len() == 3).await;
    let failed = bob.handle.snapshot().membership("closed.example").expect("shown").clone();
    assert!(matches!(failed.state, OverlayState::Failed { .. }), "{failed:?}");
    bob.send(Command::Leave(Some("closed.example".into())));
    bob.send(Command::Leave(Some("one.example".into())));
    bob.until("in one", |s| states(s) == [("two.example", true)]).await;

    let mut bob = Phone::with(bob.end().await);
    assert_eq!(bob.handle.snapshot().settings.default_overlay, default_overlay);
    assert_eq!(states(&bob.handle.snapshot()), []);
    bob.send(Command::Rejoin);
    let has_node = |s: &Snapshot| s.me().is_some_and(|me| me.node_id == second.me.node_id);
    bob.until("on the way in", has_node).await;
    assert_eq!(bob.handle.snapshot().memberships.len(), 1);
}

/// The longest wait for a step on a busy machine; none takes as long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds that a tone lasts.
const TONE_S: u32 = 150;
