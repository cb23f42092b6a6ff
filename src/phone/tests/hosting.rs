//! Overlays whose names a phone gives out.

use super::*;
use crate::crypto::Password;
use crate::enroll::server::{AccountState, Registration, Registry, RegistryError};
use crate::phone::{
    AccountJob, Credentials, HostState, HostedOverlay, OverlayKind, Protection, Verified,
};

const OVERLAY: &str = "smith";

impl Phone {
    fn start_hosting(&self, user: &str, port: u16) {
        self.send(Command::StartOverlay {
            name: OVERLAY.into(),
            user: user.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            kind: OverlayKind::Accounts { host: None },
        });
    }

    fn job(&self, job: AccountJob) {
        self.send(Command::Accounts { overlay: OVERLAY.into(), job });
    }

    fn hosted(&self) -> HostedOverlay {
        self.handle.snapshot().hosted.first().expect("run here").clone()
    }

    async fn is_in(&mut self) {
        self.until("registered", |s| states(s) == [(OVERLAY, true)]).await;
    }

    /// Makes a link for one person.
    async fn invite(&mut self) -> String {
        let before = self.hosted().invitation;
        self.job(AccountJob::Invite);
        let is_new = |s: &Snapshot| {
            let link = &s.hosted[0].invitation;
            link.is_some() && *link != before
        };
        self.until("a link", is_new).await;
        self.hosted().invitation.expect("a link")
    }

    fn follow(&self, link: &str, user: &str) {
        let entrance = Entrance::Invitation(link.into());
        self.send(Command::Join { entrance, user: user.into(), bootstrap: vec![] });
    }

    /// Waits for the question about the account; whether a password is to be chosen.
    async fn asked(&mut self) -> bool {
        self.until("a question", |s| !s.credentials_wanted.is_empty()).await;
        self.handle.snapshot().credentials_wanted[0].is_new
    }

    fn answer(&self, user: &str, password: &str) {
        let credentials = Credentials { account: user.into(), password: Password::new(password) };
        let (overlay, user) = (OVERLAY.into(), user.into());
        self.send(Command::GiveCredentials { overlay, user, credentials });
    }

    async fn until_accounts(&mut self, wanted: &[(&str, AccountState, usize)]) {
        let is_so = |s: &Snapshot| {
            let of = |h: &HostedOverlay| {
                let all = h.accounts.iter();
                let all: Vec<_> = all.map(|a| (a.name.clone(), a.state, a.nodes.len())).collect();
                all == wanted.iter().map(|(n, s, c)| (n.to_string(), *s, *c)).collect::<Vec<_>>()
            };
            s.hosted.first().is_some_and(of)
        };
        self.until("these accounts", is_so).await;
    }

    /// Waits for a sentence with this in it.
    async fn told(&mut self, part: &str) {
        let sentence = self.event(|e| match e {
            Event::Error { message } if message.contains(part) => Some(message.clone()),
            _ => None,
        });
        assert!(!sentence.await.contains('\n'));
    }
}

use AccountState::{Active, Disabled};

/// Somebody starts an overlay with accounts, and is an ordinary user of it. Whoever has a link for
/// one person chooses a name and a password, is in and rings; the link is worth nothing after that.
/// All of it comes back with the program.
#[tokio::test]
async fn who_is_invited_chooses_a_password_and_rings() {
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    alice.start_hosting("Alice", 0);
    alice.is_in().await;
    assert_eq!(alice.handle.snapshot().me().expect("in").aor(), "alice@smith");
    alice.until_accounts(&[("alice", Active, 1)]).await;
    let link = alice.invite().await;
    bob.follow(&link, "alice");
    assert!(bob.asked().await, "a link makes an account");
    bob.answer("alice", "open sesame");
    bob.told("choose another").await;
    bob.follow(&link, "bob");
    let asked = |s: &Snapshot| s.credentials_wanted.iter().any(|wanted| wanted.user == "bob");
    bob.until("a question", asked).await;
    bob.answer("bob", "open sesame");
    bob.is_in().await;
    alice.until_accounts(&[("alice", Active, 1), ("bob", Active, 1)]).await;
    bob.send(Command::Dial("alice".into()));
    alice.event(|e| matches!(e, Event::Incoming { .. }).then_some(())).await;
    alice.until("a name", |s| s.calls.iter().any(|c| c.verified == Verified::Authority)).await;
    bob.send(Command::HangUp(bob.handle.snapshot().calls[0].id));
    alice.event(|e| matches!(e, Event::Ended { .. }).then_some(())).await;

    let mut carol = Phone::new();
    carol.follow(&link, "carol");
    carol.asked().await;
    carol.answer("carol", "open sesame");
    carol.told("the invitation was used or has ended").await;
    assert!(!carol.asked().await, "from now on it is the password of an account");

    let before = alice.hosted();
    let node_id = alice.handle.snapshot().me().expect("in").node_id.clone();
    let mut alice = Phone::with(alice.end().await);
    alice.is_in().await;
    alice.until_accounts(&[("alice", Active, 1), ("bob", Active, 1)]).await;
    let after = alice.hosted();
    assert_eq!((after.state, after.url), (HostState::Running, before.url));
    assert_eq!((after.accounts, after.registration), (before.accounts, before.registration));
    assert_eq!(alice.handle.snapshot().me().expect("in").node_id, node_id);
}

/// An account with a password is made, disabled, enabled and put out; the owner's own stays.
/// Without the server calls go on, and it comes back when it is asked to.
#[tokio::test]
async fn accounts_are_looked_after() {
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    alice.start_hosting("alice", 0);
    alice.is_in().await;
    let password = Password::new("open sesame");
    let add = |name: &str| AccountJob::Add { name: name.into(), password: password.clone() };
    alice.job(add("bob"));
    alice.until_accounts(&[("alice", Active, 1), ("bob", Active, 0)]).await;
    alice.job(add("bob"));
    alice.told("The name bob is taken; choose another.").await;
    for job in [
        AccountJob::Revoke { name: "Alice".into() },
        AccountJob::SetState { name: "alice@smith".into(), state: Disabled },
    ] {
        alice.job(job);
        alice.told("Your own account stays").await;
    }
    let link = alice.handle.snapshot().invitations[OVERLAY].clone();
    bob.follow(&link, "bob");
    assert!(!bob.asked().await, "nobody is invited by this link");
    bob.answer("bob", "open sesame");
    bob.is_in().await;

    alice.job(AccountJob::Register(Registration::Open));
    alice.until("open", |s| s.hosted[0].registration == Registration::Open).await;
    for state in [Disabled, Active] {
        alice.job(AccountJob::SetState { name: "bob".into(), state });
        alice.until_accounts(&[("alice", Active, 1), ("bob", state, 1)]).await;
    }
    let run = |is_wanted| Command::RunOverlay { overlay: OVERLAY.into(), is_wanted };
    alice.send(run(false));
    alice.until("stopped", |s| s.hosted[0].state == HostState::Stopped).await;
    alice.job(AccountJob::Invite);
    alice.told("start it first").await;
    bob.send(Command::Dial("alice".into()));
    alice.event(|e| matches!(e, Event::Incoming { .. }).then_some(())).await;
    alice.send(run(true));
    alice.until("running", |s| s.hosted[0].state == HostState::Running).await;
    alice.job(AccountJob::Revoke { name: "bob".into() });
    alice.until_accounts(&[("alice", Active, 1), ("bob", Disabled, 1)]).await;
    assert!(alice.hosted().accounts[1].nodes[0].is_revoked);
    bob.until("put out", |s| states(s) != [(OVERLAY, true)]).await;
}

/// Once private keys are under a password the authority's are too: a server that runs goes on, and
/// after a restart it waits for the password.
#[tokio::test]
async fn an_authority_waits_for_the_password() {
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    alice.start_hosting("alice", 0);
    alice.is_in().await;
    let password = Password::new("correct horse");
    alice.send(Command::Protect(password.clone()));
    alice.until("under a password", |s| s.protection == Protection::Password).await;
    let link = alice.invite().await;
    bob.follow(&link, "bob");
    bob.asked().await;
    bob.answer("bob", "open sesame");
    bob.is_in().await;
    let folder = alice.hosted().folder;
    let in_plain = Registry::open(&folder).expect("an overlay").authority();
    assert!(matches!(in_plain, Err(RegistryError::Locked)), "whoever reads the file has nothing");

    let mut alice = Phone::with(alice.end().await);
    let waits = |s: &Snapshot| matches!(s.hosted[0].state, HostState::Failed { .. });
    alice.until("it waits", |s| !s.hosted.is_empty() && waits(s)).await;
    alice.send(Command::Unlock(Some(password)));
    alice.is_in().await;
    assert_eq!(alice.hosted().state, HostState::Running);
}

/// A start that fails leaves nothing that runs again, and the next one goes on where it stopped.
#[tokio::test]
async fn a_port_that_is_taken_is_one_sentence() {
    let taken = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let mut alice = Phone::new();
    alice.start_hosting("alice", port);
    alice.told("port can't be opened").await;
    let is_failed = |s: &Snapshot| matches!(s.overlay(), OverlayState::Failed { .. });
    alice.until("a failure", is_failed).await;
    assert_eq!(alice.handle.snapshot().hosted, []);
    let mut alice = Phone::with(alice.end().await);
    assert_eq!(alice.handle.snapshot().hosted, []);
    drop(taken);
    alice.start_hosting("alice", port);
    alice.is_in().await;
}
