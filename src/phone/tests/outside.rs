//! Calls that leave the overlays.

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::forwarding::Overlay;
use super::*;
use crate::crypto::Password;
use crate::phone::{SipAccountFacts, SipAccountJob, SipReach, Verified};

/// A provider that takes every call, and the first lines of the requests that it gets.
struct Provider {
    at: SocketAddr,
    requests: mpsc::Receiver<String>,
}

impl Provider {
    async fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = socket.local_addr().expect("bound");
        let (sender, requests) = mpsc::channel(64);
        tokio::spawn(async move {
            let mut buffer = [0; 8192];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.expect("received");
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let Some(line) = request.lines().next().filter(|line| line.contains(' ')) else {
                    continue;
                };
                let _ = sender.try_send(line.to_owned());
                if !line.starts_with("ACK") {
                    socket.send_to(ok(&request, at).as_bytes(), from).await.expect("sent");
                }
            }
        });
        Self { at, requests }
    }

    /// The next request of a method.
    async fn request(&mut self, method: &str) -> String {
        let found = async {
            loop {
                let line = self.requests.recv().await.expect("it runs");
                if line.starts_with(method) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("in time")
    }
}

/// The answer that takes a call as it is offered, or ends it.
fn ok(request: &str, at: SocketAddr) -> String {
    let (head, body) = request.split_once("\r\n\r\n").expect("a request");
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in head.lines().skip(1) {
        match line.split(':').next().unwrap_or_default() {
            "Via" | "From" | "Call-ID" | "CSeq" => answer += &format!("{line}\r\n"),
            "To" if line.contains("tag=") => answer += &format!("{line}\r\n"),
            "To" => answer += &format!("{line};tag=there\r\n"),
            _ => {}
        }
    }
    let length = body.len();
    answer
        + &format!(
            "Contact: <sip:rob@{at}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
}

/// R7904-4.2-03, R7904-4.1-01: a name that leads out of the overlays, whether it is registered
/// or typed, is called by classic SIP with the user's account.
#[tokio::test]
async fn calls_leave_the_overlays_by_an_account() {
    let mut provider = Provider::new().await;
    let (overlay, mut alice) = Overlay::humming().await;
    let mut bob = overlay.device("bob").await;
    let to = Some("sip:rob@pstn.example".to_owned());
    bob.send(Command::Forward(to));
    bob.event(|e| matches!(e, Event::Registered { .. }).then_some(())).await;
    let sentence = alice.fails("bob").await;
    assert!(sentence.contains("forwarded to rob@pstn.example, which is in none"), "{sentence}");

    let accounts = alice.folder.path().join("sip");
    std::fs::create_dir(&accounts).expect("made");
    let at = provider.at;
    let account = format!("address = \"alice@pstn.example\"\nserver = \"{at}\"");
    std::fs::write(accounts.join("pstn.toml"), account).expect("written");
    for name in ["bob", "rob@pstn.example"] {
        alice.send(Command::Dial(name.into()));
        let invite = provider.request("INVITE").await;
        assert_eq!(invite, "INVITE sip:rob@pstn.example SIP/2.0");
        alice.talks().await;
        let shown = alice.handle.snapshot().calls[0].clone();
        let forwarded_to = (name == "bob").then_some("rob@pstn.example");
        assert_eq!(shown.forwarded_to.as_deref(), forwarded_to);
        assert_eq!(shown.verified, Verified::Ordinary);
        alice.send(Command::Record(shown.id, true));
        alice.until("recorded", |s| s.calls[0].recording.by_us).await;
        alice.send(Command::HangUp(shown.id));
        provider.request("BYE").await;
        assert_eq!(alice.over().await.0, "You hung up.");
    }
}

/// An account that is kept by command is told to faces and makes calls at once. Once it is removed
/// there is no way out of the overlays. A password closes it with the keys until it is given again.
#[tokio::test]
async fn an_account_is_kept_used_removed_and_closed() {
    let mut provider = Provider::new().await;
    let (_overlay, mut alice) = Overlay::humming().await;
    alice.send(Command::Dial("rob@pstn.example".into()));
    alice.noticed("names here end in").await;

    let (address, server) = ("alice@pstn.example".to_owned(), provider.at.to_string());
    let keep = |password: &str| {
        Command::SipAccount(SipAccountJob::Keep {
            address: address.clone(),
            password: Some(Password::new(password)),
            server: Some(server.clone()),
            transport: None,
        })
    };
    let told = vec![SipAccountFacts::Account {
        address: address.clone(),
        server: Some(server.clone()),
        transport: None,
        has_password: true,
        reach: SipReach::Registered,
    }];
    alice.send(keep("open sesame"));
    alice.until("kept", |s| s.sip_accounts == told).await;
    alice.send(Command::SipAccount(SipAccountJob::Keep {
        address: "nobody".into(),
        password: None,
        server: None,
        transport: None,
    }));
    alice.noticed("nobody is no address").await;
    assert_eq!(alice.handle.snapshot().sip_accounts, told);
    alice.calls_out(&mut provider).await;

    alice.send(Command::Protect(Password::new("correct horse")));
    alice.calls_out(&mut provider).await;

    let remove = Command::SipAccount(SipAccountJob::Remove { address: address.clone() });
    alice.send(remove.clone());
    alice.until("removed", |s| s.sip_accounts.is_empty()).await;
    alice.send(remove);
    alice.noticed("There is no account alice@pstn.example").await;
    alice.send(Command::Dial("rob@pstn.example".into()));
    alice.noticed("names here end in").await;

    alice.send(keep("open sesame"));
    let mut alice = Phone::with(alice.end().await);
    let shown = alice.handle.snapshot().sip_accounts.clone();
    let [SipAccountFacts::Unreadable { problem, .. }] = &shown[..] else { panic!("{shown:?}") };
    assert!(problem.contains(&address) && problem.contains("unlock"), "{problem}");
    alice.send(keep("another"));
    alice.noticed("unlock them first").await;
    alice.send(Command::Unlock(Some(Password::new("correct horse"))));
    alice.until("open", |s| s.sip_accounts == told).await;
}

impl Phone {
    /// Calls somebody outside, talks and hangs up.
    async fn calls_out(&mut self, provider: &mut Provider) {
        self.send(Command::Dial("rob@pstn.example".into()));
        let invite = provider.request("INVITE").await;
        assert_eq!(invite, "INVITE sip:rob@pstn.example SIP/2.0");
        self.talks().await;
        self.send(Command::HangUp(self.handle.snapshot().calls[0].id));
        provider.request("BYE").await;
        self.over().await;
    }
}
