//! Calls that leave the overlays.

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::forwarding::Overlay;
use super::*;

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
        alice.send(Command::Mute(shown.id, true));
        alice.noticed("ordinary").await;
        alice.send(Command::HangUp(shown.id));
        provider.request("BYE").await;
        assert_eq!(alice.over().await.0, "You hung up.");
    }
}
