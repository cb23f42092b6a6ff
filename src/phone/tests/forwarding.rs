//! From a name to the devices that ring: forwarding, preferences, addresses of devices, and
//! several devices of one user.

use super::*;
use crate::phone::{CallId, CallReport, CallState};
use crate::usage::{Gruu, parse_aor};

/// An overlay that alice has founded, and where others join.
pub(super) struct Overlay {
    _papers: tempfile::TempDir,
    document: PathBuf,
    at: SocketAddr,
}

impl Overlay {
    pub(super) async fn new() -> (Self, Phone) {
        Self::founded_by(Phone::new()).await
    }

    /// Alice is heard whenever she is in a call.
    pub(super) async fn humming() -> (Self, Phone) {
        Self::founded_by(Phone::humming()).await
    }

    /// Alice speaks whenever she is in a call.
    pub(super) async fn speaking(speech: Recording) -> (Self, Phone) {
        let folder = tempfile::tempdir().expect("a folder");
        Self::founded_by(Phone::playing(folder, Some(speech))).await
    }

    async fn founded_by(mut alice: Phone) -> (Self, Phone) {
        let papers = tempfile::tempdir().expect("a folder");
        let config = OverlayConfig::self_signed("one.example").expect("a name");
        let document = document(&papers, &config);
        let at = alice.found(document.clone(), "alice").await;
        alice.registered().await;
        (Self { _papers: papers, document, at }, alice)
    }

    /// A new device of a user, who may have others.
    pub(super) async fn device(&self, user: &str) -> Phone {
        self.joined(Phone::new(), user).await
    }

    /// A new device of a user who is heard whenever there is a call.
    pub(super) async fn hummer(&self, user: &str) -> Phone {
        self.joined(Phone::humming(), user).await
    }

    /// A new device of a user who speaks in calls, and records what is heard.
    pub(super) async fn recorder(&self, user: &str, play: Recording, to: PathBuf) -> Phone {
        let folder = tempfile::tempdir().expect("a folder");
        self.joined(Phone::recording(folder, Some(play), Some(to)), user).await
    }

    async fn joined(&self, mut phone: Phone, user: &str) -> Phone {
        let overlay = "one.example".to_owned();
        phone.send(Command::EnterBeside { overlay, user: user.to_owned() });
        let (entrance, user) = (Entrance::Document(self.document.clone()), user.to_owned());
        phone.send(Command::Join { entrance, user, bootstrap: vec![self.at] });
        phone.registered().await;
        phone
    }
}

impl Phone {
    async fn registered(&mut self) {
        self.event(|e| matches!(e, Event::Registered { .. }).then_some(())).await;
    }

    async fn set(&mut self, command: Command) {
        self.send(command);
        self.registered().await;
    }

    /// Waits until the phone rings.
    pub(super) async fn rings(&mut self) -> CallId {
        self.event(|e| match e {
            Event::Incoming { call, .. } => Some(*call),
            _ => None,
        })
        .await
    }

    /// Waits until a call has ended: the sentence and the figures.
    pub(super) async fn over(&mut self) -> (String, CallReport) {
        self.event(|e| match e {
            Event::Ended { reason, report, .. } => Some((reason.clone(), *report.clone())),
            _ => None,
        })
        .await
    }

    /// Calls somebody who does not ring; the sentence.
    pub(super) async fn fails(&mut self, name: &str) -> String {
        self.send(Command::Dial(name.to_owned()));
        self.over().await.0
    }

    /// Calls somebody whose phone rings, and gives up; the figures.
    async fn rings_at(&mut self, name: &str, callee: &mut Self) -> CallReport {
        self.send(Command::Dial(name.to_owned()));
        callee.rings().await;
        self.until("it rings", |s| s.calls[0].state == CallState::Ringing).await;
        self.send(Command::HangUp(self.handle.snapshot().calls[0].id));
        callee.over().await;
        self.over().await.1
    }

    fn is_talking(&self) -> bool {
        let snapshot = self.handle.snapshot();
        snapshot.calls.iter().any(|c| matches!(c.state, CallState::Talking { .. }))
    }

    pub(super) async fn talks(&mut self) {
        let talks = |s: &Snapshot| matches!(s.calls[0].state, CallState::Talking { .. });
        self.until("both talk", talks).await;
    }
}

/// R7904-4.2-01: calls are forwarded from name to name, and back to the user once that ends; in a
/// circle or out of the overlay they lead nowhere, and one sentence says so.
#[tokio::test]
async fn calls_are_forwarded() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let mut carol = overlay.device("carol").await;
    bob.set(Command::Forward(Some("carol".into()))).await;
    alice.send(Command::Dial("bob".into()));
    let call = carol.rings().await;
    carol.send(Command::Answer(call));
    alice.talks().await;
    let shown = alice.handle.snapshot().calls[0].clone();
    assert_eq!(shown.peer, "bob@one.example");
    assert_eq!(shown.forwarded_to.as_deref(), Some("carol@one.example"));
    alice.send(Command::HangUp(shown.id));
    carol.over().await;
    alice.over().await;

    carol.set(Command::Forward(Some("bob@one.example".into()))).await;
    let sentence = alice.fails("bob").await;
    assert_eq!(sentence, "bob@one.example can't be reached: calls are forwarded in a circle.");
    bob.set(Command::Forward(Some("rob@elsewhere.example".into()))).await;
    let sentence = alice.fails("bob").await;
    assert!(
        sentence.contains("forwarded to rob@elsewhere.example, which is in none"),
        "{sentence}"
    );
    bob.set(Command::Forward(None)).await;
    alice.rings_at("carol", &mut bob).await;
    bob.send(Command::Forward(Some("bob".into())));
    bob.until("a refusal", |s| s.notice.as_deref() == Some("bob@one.example is your own name."))
        .await;
}

/// R7904-5.1-04, R7904-5.1-05: two neighbours have a link, but for SIP there is a connection of
/// its own, which the next call uses again. R7904-6-02: a device's address is called without
/// a Fetch.
#[tokio::test]
async fn connections_for_sip_are_used_again() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    alice
        .until("they are linked", |s| matches!(s.overlay(), OverlayState::Joined { links: 1, .. }))
        .await;
    let first = alice.rings_at("bob", &mut bob).await;
    assert!(first.fetch_ms.is_some() && first.attach_ms.is_some(), "{first:?}");
    let next = alice.rings_at("bob", &mut bob).await;
    assert!(next.fetch_ms.is_some() && next.ringing_ms.is_some(), "{next:?}");
    assert_eq!((next.attach_ms, next.dtls_ms), (None, None), "{next:?}");
    let bobs = bob.handle.snapshot().me().expect("joined").node_id.parse().expect("a Node-ID");
    let aor = parse_aor("bob", "one.example").expect("a name");
    let address = Gruu::of_node(aor, bobs).to_string();
    let straight = alice.rings_at(&format!("sip:{address}"), &mut bob).await;
    assert_eq!((straight.fetch_ms, straight.hops), (None, None), "{straight:?}");
}

/// R7904-5.1-06, R7904-5.1-07: who wants SIPS alone says so in the registration, and callers use
/// it: a connection for SIP would be refused.
#[tokio::test]
async fn a_phone_that_wants_sips_is_called_by_it() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    bob.set(Command::Configure(Box::new(Settings { sips_only: true, ..Settings::default() })))
        .await;
    let report = alice.rings_at("bob", &mut bob).await;
    assert!(report.attach_ms.is_some(), "{report:?}");
}

/// R7904-3.2-02: all devices of a user ring; when one is answered the others stop, and when two
/// are answered at the same moment one has the call.
#[tokio::test]
async fn one_device_answers_and_the_others_stop() {
    let (overlay, mut alice) = Overlay::new().await;
    let [mut desk, mut cell] = [overlay.device("bob").await, overlay.device("bob").await];
    alice.send(Command::Dial("bob".into()));
    let at_desk = desk.rings().await;
    cell.rings().await;
    desk.send(Command::Answer(at_desk));
    assert_eq!(cell.over().await.0, "Answered on another device.");
    alice.talks().await;
    assert!(desk.is_talking());
    alice.send(Command::HangUp(alice.handle.snapshot().calls[0].id));
    assert_eq!(desk.over().await.0, "alice@one.example hung up.");
    alice.over().await;

    alice.send(Command::Dial("bob".into()));
    let (at_desk, at_cell) = (desk.rings().await, cell.rings().await);
    desk.send(Command::Answer(at_desk));
    cell.send(Command::Answer(at_cell));
    alice.talks().await;
    let lost = tokio::select! {
        over = desk.over() => over,
        over = cell.over() => over,
    };
    assert_eq!(lost.0, "Answered on another device.");
    assert!(desk.is_talking() != cell.is_talking());
    assert!(alice.is_talking());
}

/// A device that rang before is called at once; if the overlay does not know it under the name any
/// more it is left alone, and the call goes where it belongs.
#[tokio::test]
async fn a_device_that_rang_before_is_asked_about_again() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let mut carol = overlay.device("carol").await;
    for _ in 0..2 {
        alice.rings_at("bob", &mut bob).await;
    }
    bob.set(Command::Forward(Some("carol".into()))).await;
    alice.send(Command::Dial("bob".into()));
    carol.rings().await;
    let is_quiet =
        |s: &Snapshot| s.calls.iter().all(|c| matches!(c.state, CallState::Ended { .. }));
    bob.until("it does not ring", is_quiet).await;
    alice.send(Command::HangUp(alice.handle.snapshot().calls[0].id));
    carol.over().await;
}
