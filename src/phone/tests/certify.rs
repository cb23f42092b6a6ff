//! Overlays whose authority gives out names: enrollment, what can go wrong with it, and renewal.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use super::*;
use crate::base::NodeId;
use crate::crypto::{Authority, Password, RequestedCertificate};
use crate::enroll::tests::servers::{Page, Seen, Web};
use crate::link::unix_ms;
use crate::phone::{Credentials, CredentialsWanted, Verified};

const OVERLAY: &str = "one.example";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// An overlay with an authority and its server.
struct Lab {
    papers: tempfile::TempDir,
    server: Arc<Server>,
    web: Web,
}

struct Server {
    authority: Authority,
    /// What the next certificates are like.
    manner: Mutex<Manner>,
}

/// How a server answers.
#[derive(Clone)]
enum Manner {
    /// Certificates for whoever has the right password, that are valid in these milliseconds.
    Issue(Range<u64>),
    /// This refusal.
    Refuse(&'static str),
    /// A certificate of an authority that is not the overlay's.
    Foreign,
    /// It has a fault.
    Fault,
}

impl Server {
    fn answer(&self, seen: &Seen) -> Page {
        let manner = self.manner.lock().expect("no panic").clone();
        let refused = |token: &str| (403, "text/plain", token.as_bytes().to_vec(), None);
        let has = |text: &str| seen.body.windows(text.len()).any(|w| w == text.as_bytes());
        match manner {
            Manner::Refuse(token) => refused(token),
            Manner::Fault => (500, "text/plain", Vec::new(), None),
            Manner::Foreign => {
                let other = Authority::generate(OVERLAY, unix_ms()).expect("made");
                issue(&other, &seen.body, lasting(30))
            }
            Manner::Issue(_) if !has("\r\n\r\nopen sesame\r\n") => refused("failed_authentication"),
            Manner::Issue(validity) => issue(&self.authority, &seen.body, validity),
        }
    }
}

/// A certificate for the request in a form. A user's Node-ID comes from the name.
fn issue(authority: &Authority, form: &[u8], validity: Range<u64>) -> Page {
    let between = |head: &[u8], end: &[u8]| {
        let at = form.windows(head.len()).position(|w| w == head).expect("a part") + head.len();
        let length = form[at..].windows(end.len()).rposition(|w| w == end).expect("an end");
        form[at..at + length].to_vec()
    };
    let csr = between(b"Content-Type: application/pkcs10\r\n\r\n", b"\r\n--chordial-");
    let request = RequestedCertificate::read(&csr).expect("a good request");
    let user = request.user_name().expect("a name").to_owned();
    let node_id = NodeId::from_u128(u128::from(user.as_bytes()[0]) << 64);
    let certificate = authority.issue(&request, &user, &[node_id], validity).expect("issued");
    (200, "application/pkix-cert", certificate, None)
}

/// From yesterday, for so many days.
fn lasting(days: u64) -> Range<u64> {
    let now = unix_ms();
    now - DAY_MS..now + days * DAY_MS
}

impl Lab {
    async fn new() -> Self {
        // No certificate counts for longer than its root.
        let made_unix_ms = unix_ms() - 20 * DAY_MS;
        let authority = Authority::generate(OVERLAY, made_unix_ms).expect("made");
        let local = [Ipv4Addr::LOCALHOST.into()];
        let keys = authority.issue_server(&[OVERLAY], &local, lasting(1)).expect("issued");
        let manner = Mutex::new(Manner::Issue(lasting(30)));
        let server = Arc::new(Server { authority, manner });
        let answering = server.clone();
        let web = Web::start(keys, move |seen| answering.answer(seen)).await;
        Self { papers: tempfile::tempdir().expect("a folder"), server, web }
    }

    fn document(&self) -> PathBuf {
        let config = OverlayConfig {
            self_signed_permitted: None,
            root_certs: vec![self.server.authority.certificate_der().to_vec()],
            enrollment_servers: vec![format!("https://{}/enroll", self.web.address)],
            ..OverlayConfig::self_signed(OVERLAY).expect("a name")
        };
        document(&self.papers, &config)
    }

    fn set(&self, manner: Manner) {
        *self.server.manner.lock().expect("no panic") = manner;
    }
}

impl Phone {
    fn found_as(&self, lab: &Lab, user: &str) {
        self.send(Command::Found { document: Some(lab.document()), user: user.into() });
    }

    fn give(&self, user: &str, password: &str) {
        let credentials =
            Credentials { account: format!("{user}.smith"), password: Password::new(password) };
        let (overlay, user) = (OVERLAY.into(), user.into());
        self.send(Command::GiveCredentials { overlay, user, credentials });
    }

    /// The sentence with which entering fails next.
    async fn failure(&mut self) -> String {
        self.event(|e| match e {
            Event::Error { message } => Some(message.clone()),
            _ => None,
        })
        .await
    }

    async fn joined(&mut self) -> (String, SocketAddr) {
        self.event(|e| match e {
            Event::Joined { node_id, listen, .. } => Some((node_id.clone(), (*listen)?)),
            _ => None,
        })
        .await
    }
}

/// R6940-11.3-01: where there is an enrollment server, the user is asked for account and password
/// and the phone enrolls before it joins. Each way in which that fails is one sentence, and
/// trying again afterwards succeeds. Callers see that an authority vouches for the name.
#[tokio::test]
async fn enrolling_fails_in_words_and_then_succeeds() {
    let lab = Lab::new().await;
    let mut alice = Phone::new();
    alice.found_as(&lab, "alice");
    assert!(alice.failure().await.contains("account and its password"));
    let wanted = |s: &Snapshot| s.credentials_wanted.first().cloned();
    alice.until("a question", |s| wanted(s).is_some()).await;
    let first = wanted(&alice.handle.snapshot()).expect("asked");
    let CredentialsWanted { overlay, user, account, problem, ends_unix_ms, is_new } = first;
    assert_eq!((overlay.as_str(), user.as_str(), account.as_str()), (OVERLAY, "alice", "alice"));
    assert_eq!((problem, ends_unix_ms, is_new), (None, None, false));

    alice.give("alice", "open barley");
    assert!(alice.failure().await.contains("password is wrong"));
    let is_told = |s: &Snapshot| wanted(s).is_some_and(|w| w.problem.is_some());
    alice.until("a question again", is_told).await;
    alice.give("alice", "open sesame");
    let (node_id, at) = alice.joined().await;
    assert_eq!(alice.handle.snapshot().credentials_wanted, []);

    let mut bob = Phone::new();
    bob.give("bob", "open sesame");
    for (manner, word) in [
        (Manner::Refuse("username_not_available"), "choose another"),
        (Manner::Refuse("bad_CSR"), "can't use our request"),
        (Manner::Refuse("Node-IDs_not_available"), "Node-IDs"),
        (Manner::Refuse("whatever"), "unknown reason"),
        (Manner::Foreign, "certificate can't be used"),
        (Manner::Issue(lasting(40).end - 5 * DAY_MS..lasting(40).end), "check the date"),
        (Manner::Fault, "could not be asked"),
    ] {
        lab.set(manner);
        let entrance = Entrance::Document(lab.document());
        bob.send(Command::Join { entrance, user: "bob".into(), bootstrap: vec![at] });
        let sentence = bob.failure().await;
        assert!(sentence.contains(word) && sentence.ends_with('.'), "{sentence}");
        let is_failed = |s: &Snapshot| matches!(s.overlay(), OverlayState::Failed { .. });
        bob.until("a failure", is_failed).await;
    }
    lab.set(Manner::Issue(lasting(30)));
    let entrance = Entrance::Document(lab.document());
    bob.send(Command::Join { entrance, user: "bob".into(), bootstrap: vec![at] });
    assert_ne!(bob.joined().await.0, node_id);
    bob.until("registered", |s| states(s) == [(OVERLAY, true)]).await;
    bob.send(Command::Dial("alice".into()));
    alice.event(|e| matches!(e, Event::Incoming { .. }).then_some(())).await;
    alice.until("a name", |s| s.calls.iter().any(|c| c.verified == Verified::Authority)).await;
}

/// R6940-13.3-04: a certificate is renewed before it ends, for the same key and Node-ID, while what
/// we have goes on if that fails; our records are stored again under the new one. R6940-11.3-12: a
/// restart in between finds what it needs.
#[tokio::test]
async fn a_certificate_renews_itself() {
    let lab = Lab::new().await;
    let now = unix_ms();
    // Due at once: more than two thirds and a twelfth of its life are over.
    lab.set(Manner::Issue(now - 9 * DAY_MS..now + DAY_MS));
    let mut alice = Phone::new();
    alice.give("alice", "open sesame");
    alice.found_as(&lab, "alice");
    let (node_id, _) = alice.joined().await;
    lab.set(Manner::Fault);
    let path = alice.folder.path().join("overlays/one.example/alice/certificate.der");
    let ends = |s: &Snapshot| s.certificates.first().map(|c| c.ends_unix_ms);
    let mut alice = Phone::with(alice.end().await);
    alice.give("alice", "open sesame");
    let before = std::fs::read(&path).expect("kept");
    alice.found_as(&lab, "alice");
    let failed = |s: &Snapshot| {
        let problem = s.certificates.first().and_then(|c| c.problem.as_ref());
        problem.is_some_and(|p| p.contains("could not be asked"))
    };
    alice.until("a problem", failed).await;
    assert_eq!(std::fs::read(&path).expect("kept"), before);
    let has_node = |s: &Snapshot| s.me().is_some_and(|me| me.node_id == node_id);
    assert!(has_node(&alice.handle.snapshot()), "what we have goes on");

    lab.set(Manner::Issue(lasting(30)));
    alice.give("alice", "open sesame");
    alice.event(|e| matches!(e, Event::Left { .. }).then_some(())).await;
    alice.until("renewed", |s| ends(s) > Some(now + 20 * DAY_MS) && has_node(s)).await;
    assert_ne!(std::fs::read(&path).expect("kept"), before);
    alice.event(|e| matches!(e, Event::Registered { .. }).then_some(())).await;
}
