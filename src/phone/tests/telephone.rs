//! Calls to ordinary accounts.

use tokio::net::UdpSocket;

use super::*;
use crate::media::{AudioSink, WavSink};
use crate::phone::{
    Contact, ContactJob, Direction, Ending, MachineSettings, SipAccountFacts, SipAccountJob,
    SipReach, SoundSettings, Verified, Welcome,
};

const ALICE: &str = "alice@pstn.example";
const ROB: &str = "rob@pstn.example";

/// A provider with one customer, whom Rob calls.
struct Provider {
    socket: UdpSocket,
    at: SocketAddr,
    /// Rob's microphone and speaker.
    sound: UdpSocket,
    lets_in: bool,
    /// Where the customer was heard from last.
    customer: Option<SocketAddr>,
}

impl Provider {
    async fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = socket.local_addr().expect("bound");
        let sound = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        Self { socket, at, sound, lets_in: true, customer: None }
    }

    /// The next message that begins with the first of these words and has all others in it. Who
    /// registers meanwhile is let in or not, and who wants anything else in a call gets it.
    async fn hears(&mut self, words: &[&str]) -> String {
        let found = async {
            let mut buffer = [0; 8192];
            loop {
                let (length, from) = self.socket.recv_from(&mut buffer).await.expect("received");
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.trim().is_empty() {
                    continue;
                }
                self.customer = Some(from);
                let status = match text.split(' ').next().unwrap_or_default() {
                    "REGISTER" if !self.lets_in => Some("403 Forbidden"),
                    "ACK" | "SIP/2.0" => None,
                    _ => Some("200 OK"),
                };
                if let Some(status) = status {
                    let answer = self.answer(&text, status);
                    self.socket.send_to(answer.as_bytes(), from).await.expect("sent");
                }
                if text.starts_with(words[0]) && words.iter().all(|word| text.contains(word)) {
                    return text;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no {words:?} in time"))
    }

    fn answer(&self, request: &str, status: &str) -> String {
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Expires:"];
        let head = request.lines().filter(|line| copied.iter().any(|name| line.starts_with(name)));
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for line in head {
            answer += &format!("{line}\r\n");
        }
        if !request.starts_with("INVITE") {
            let contact = request.lines().find(|line| line.starts_with("Contact:"));
            return format!("{answer}{}\r\nContent-Length: 0\r\n\r\n", contact.unwrap_or("X: y"));
        }
        let direction = if request.contains("a=sendonly") { "recvonly" } else { "sendrecv" };
        answer + &self.described(direction)
    }

    /// What describes Rob's sound, with its headers.
    fn described(&self, direction: &str) -> String {
        let port = self.sound.local_addr().expect("bound").port();
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
        );
        let (at, length) = (self.at, body.len());
        format!(
            "Contact: <sip:rob@{at}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    /// Sends a request of the call of this name, with what the other side has said before.
    async fn send(&self, call: &str, method: &str, heard: Option<&str>) {
        let customer = self.customer.expect("who has registered");
        let tag = heard.and_then(|text| text.lines().find(|line| line.starts_with("To:")));
        let to = tag.map_or_else(|| format!("To: <sip:{ALICE}>"), str::to_owned);
        let (branch, number) = match (method, heard) {
            ("BYE", _) => ("end", 2),
            ("NOTIFY", _) => ("told", 2),
            ("ACK", Some(heard)) if heard.starts_with("SIP/2.0 200") => ("taken", 1),
            _ => ("begin", 1),
        };
        let rest = match method {
            "INVITE" => self.described("sendrecv"),
            "NOTIFY" => "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n\
                         Content-Type: message/sipfrag\r\nContent-Length: 14\r\n\r\nSIP/2.0 200 OK"
                .to_owned(),
            _ => "Content-Length: 0\r\n\r\n".to_owned(),
        };
        let text = format!(
            "{method} sip:alice@{customer} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {};branch=z9hG4bK{branch}{call}\r\nMax-Forwards: 70\r\n\
             From: <sip:{ROB}>;tag={call}\r\n{to}\r\nCall-ID: {call}\r\n\
             CSeq: {number} {method}\r\n{rest}",
            self.at
        );
        self.socket.send_to(text.as_bytes(), customer).await.expect("sent");
    }

    /// Waits for a packet of sound with this payload type whose payload is like this; who sent it.
    async fn hears_sound(
        &self,
        what: &str,
        payload_type: u8,
        is_so: fn(&[u8]) -> bool,
    ) -> SocketAddr {
        let found = async {
            let mut buffer = [0; 2048];
            loop {
                let (length, from) = self.sound.recv_from(&mut buffer).await.expect("received");
                if buffer[1] & 0x7f == payload_type && is_so(&buffer[12..length]) {
                    return from;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{what} was not heard"))
    }

    /// Calls, and acknowledges whatever the last word on that is.
    async fn is_answered(&mut self, call: &str, status: &str) -> String {
        let status = format!("SIP/2.0 {status}");
        let heard = self.hears(&[&status, &format!("Call-ID: {call}"), "INVITE"]).await;
        self.send(call, "ACK", Some(&heard)).await;
        heard
    }
}

/// Alice, who is in no overlay and has an account there.
async fn alice_at(provider: &mut Provider) -> Phone {
    let mut alice = Phone::humming();
    alice.send(keep(provider));
    provider.hears(&["REGISTER"]).await;
    alice.until("registered", |s| reach(s) == Some(SipReach::Registered)).await;
    alice
}

fn keep(provider: &Provider) -> Command {
    Command::SipAccount(SipAccountJob::Keep {
        address: ALICE.into(),
        password: None,
        server: Some(provider.at.to_string()),
        transport: None,
    })
}

fn reach(snapshot: &Snapshot) -> Option<SipReach> {
    match snapshot.sip_accounts.first() {
        Some(SipAccountFacts::Account { reach, .. }) => Some(reach.clone()),
        _ => None,
    }
}

/// A call to an account rings in the phone of somebody who is in no overlay, and says how little
/// is known of the caller. Who does not answer has missed it, and who declines is heard.
#[tokio::test]
async fn a_call_to_an_account_rings() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    provider.send("one", "INVITE", None).await;
    let call = alice.rings().await;
    provider.hears(&["SIP/2.0 180", "Call-ID: one"]).await;
    alice.until("shown", |s| s.calls.iter().any(|c| c.id == call)).await;
    let shown = alice.handle.snapshot().calls[0].clone();
    assert_eq!((shown.peer.as_str(), shown.overlay.as_str()), (ROB, "pstn.example"));
    assert_eq!((shown.verified, shown.is_knocking), (Verified::Ordinary, false));
    assert_eq!((shown.state, shown.direction), (CallState::Incoming, Direction::Incoming));
    provider.send("one", "CANCEL", None).await;
    assert_eq!(alice.over().await.0, format!("You missed a call from {ROB}."));
    provider.is_answered("one", "487").await;
    alice.until("in the list", |s| s.history.len() == 1).await;
    assert_eq!(alice.handle.snapshot().history[0].ending(), Ending::Missed);

    provider.send("two", "INVITE", None).await;
    let call = alice.rings().await;
    alice.send(Command::Decline(call));
    assert_eq!(alice.over().await.0, "You declined.");
    provider.is_answered("two", "603").await;
}

/// RFC 3264 §8.4: an answered call is put on hold and gone on with, and both sides can end it.
#[tokio::test]
async fn a_call_to_an_account_is_talked_in() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    for (name, is_ended_here) in [("one", true), ("two", false)] {
        provider.send(name, "INVITE", None).await;
        let call = alice.rings().await;
        alice.send(Command::Answer(call));
        let taken = provider.is_answered(name, "200").await;
        alice.talks().await;
        alice.send(Command::Hold(call, true));
        provider.hears(&["INVITE", "a=sendonly"]).await;
        alice.until("on hold", |s| s.calls[0].held_by_us).await;
        alice.send(Command::Hold(call, false));
        provider.hears(&["INVITE", "a=sendrecv"]).await;
        alice.until("not on hold", |s| !s.calls[0].held_by_us).await;
        if is_ended_here {
            alice.send(Command::HangUp(call));
            provider.hears(&["BYE"]).await;
            assert_eq!(alice.over().await.0, "You hung up.");
        } else {
            provider.send(name, "BYE", Some(&taken)).await;
            assert_eq!(alice.over().await.0, format!("{ROB} hung up."));
        }
        assert!(alice.handle.snapshot().history[0].answered);
    }
}

/// Who wants to be left alone is, and who is blocked does not ring; both callers hear of it.
#[tokio::test]
async fn a_call_to_an_account_is_not_let_in() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    let welcome = Welcome { do_not_disturb: true, ..Welcome::default() };
    alice.send(Command::Configure(Box::new(Settings { welcome, ..Settings::default() })));
    alice.until("so", |s| s.settings.welcome.do_not_disturb).await;
    provider.send("one", "INVITE", None).await;
    provider.is_answered("one", "480").await;
    assert!(alice.over().await.0.contains("left alone"));

    alice.send(Command::Configure(Box::default()));
    let rob = Contact { aor: ROB.into(), is_blocked: true, ..Contact::default() };
    alice.send(Command::Contacts(ContactJob::Save(rob)));
    alice.until("blocked", |s| s.contacts.iter().any(|c| c.is_blocked)).await;
    provider.send("two", "INVITE", None).await;
    provider.is_answered("two", "603").await;
    assert!(alice.over().await.0.contains("you have blocked this name"));
    alice.until("no card", |s| s.calls.iter().all(|c| c.peer != ROB)).await;
}

/// While somebody talks a second call waits; the first one is on hold once it is taken.
#[tokio::test]
async fn a_second_call_to_an_account_waits() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    provider.send("one", "INVITE", None).await;
    let first = alice.rings().await;
    alice.send(Command::Answer(first));
    provider.is_answered("one", "200").await;
    alice.talks().await;
    provider.send("two", "INVITE", None).await;
    let second = alice.rings().await;
    alice.send(Command::Answer(second));
    provider.is_answered("two", "200").await;
    provider.hears(&["INVITE", "Call-ID: one", "a=sendonly"]).await;
    let is_held = |s: &Snapshot, id| s.calls.iter().any(|c| c.id == id && c.held_by_us);
    alice.until("on hold", |s| is_held(s, first) && !is_held(s, second)).await;
}

/// An account is signed off once it is removed, and when the phone ends. One that is changed is
/// registered anew, and one that is refused says why, here and in the list.
#[tokio::test]
async fn an_account_is_registered_for_as_long_as_it_is_there() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    alice.send(Command::SipAccount(SipAccountJob::Remove { address: ALICE.into() }));
    provider.hears(&["REGISTER", "Expires: 0"]).await;
    alice.send(keep(&provider));
    provider.hears(&["REGISTER", "Expires: 600"]).await;

    let mut other = Provider::new().await;
    other.lets_in = false;
    alice.send(keep(&other));
    provider.hears(&["REGISTER", "Expires: 0"]).await;
    other.hears(&["REGISTER", "Expires: 600"]).await;
    alice.noticed("Calls to alice@pstn.example don't ring here now.").await;
    let wrong = format!("{} does not take the name or the password.", other.at);
    alice.until("refused", |s| reach(s) == Some(SipReach::Failed(wrong.clone()))).await;

    alice.send(keep(&provider));
    provider.hears(&["REGISTER", "Expires: 600"]).await;
    alice.until("registered", |s| reach(s) == Some(SipReach::Registered)).await;
    let end = tokio::spawn(alice.end());
    provider.hears(&["REGISTER", "Expires: 0"]).await;
    end.await.expect("it ends");
}

/// Loudness of a sample of PCMU (ITU-T G.711), whose bits are inverted.
fn is_loud(payload: &[u8]) -> bool {
    payload.iter().any(|sample| !sample & 0x7f > 0x20)
}

fn is_silent(payload: &[u8]) -> bool {
    payload.iter().all(|sample| !sample & 0x7f < 2)
}

/// The user is heard unless muted, and so is the music of the settings while the call is on hold;
/// keys go both ways (RFC 4733 §2.5). Of somebody who says nothing nothing bad is told.
#[tokio::test]
async fn a_call_to_an_account_carries_voice_and_keys() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    let music = alice.folder.path().join("music.wav");
    WavSink::create(&music).expect("a file").write(&[0.5; 960]);
    let sound = SoundSettings { hold_music: Some(music), ..SoundSettings::default() };
    alice.send(Command::Configure(Box::new(Settings { sound, ..Settings::default() })));
    alice.until("so", |s| s.settings.sound.hold_music.is_some()).await;
    provider.send("one", "INVITE", None).await;
    let call = alice.rings().await;
    alice.send(Command::Answer(call));
    provider.is_answered("one", "200").await;
    alice.talks().await;
    provider.hears_sound("Alice", 0, is_loud).await;
    alice.send(Command::Mute(call, true));
    provider.hears_sound("silence", 0, is_silent).await;
    alice.send(Command::Hold(call, true));
    provider.hears(&["INVITE", "a=sendonly"]).await;
    provider.hears_sound("music", 0, is_loud).await;
    alice.send(Command::Hold(call, false));
    provider.hears(&["INVITE", "a=sendrecv"]).await;
    provider.hears_sound("silence", 0, is_silent).await;
    alice.send(Command::Mute(call, false));
    provider.hears_sound("Alice", 0, is_loud).await;

    alice.send(Command::Digit(call, '5'));
    let alice_is_at = provider.hears_sound("a key", 101, |payload| payload[0] == 5).await;
    // Keys are taken from whoever has been heard: silence, then key 9 at its end, each with payload
    // type, sequence number, timestamp and source.
    let mut silence = vec![0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1];
    silence.extend([0xff; 160]);
    let key = [0x80, 0xe5, 0, 2, 0, 0, 0, 161, 0, 0, 0, 1, 9, 0x8a, 0x03, 0x20];
    for packet in [&silence[..], &key] {
        provider.sound.send_to(packet, alice_is_at).await.expect("sent");
    }
    let pressed = alice.event(|event| match event {
        Event::Digit { call, digit } => Some((*call, *digit)),
        _ => None,
    });
    assert_eq!(pressed.await, (call, '9'));
    let snapshot = alice.handle.snapshot();
    assert_eq!((&snapshot.calls[0].trouble, &snapshot.notice), (&None, &None));
}

/// Alice's machine has greeted Rob, and takes messages of so many seconds.
async fn machine_has_a_call_to_an_account(provider: &mut Provider, message_s_max: u16) -> Phone {
    let mut alice = alice_at(provider).await;
    let machine = MachineSettings {
        answering_machine: true,
        machine_after_s: 0,
        machine_message_s_max: message_s_max,
        ..MachineSettings::default()
    };
    alice.send(Command::Configure(Box::new(Settings { machine, ..Settings::default() })));
    alice.until("so", |s| s.settings.machine.answering_machine).await;
    provider.send("one", "INVITE", None).await;
    provider.is_answered("one", "200").await;
    provider.hears_sound("the greeting", 0, is_loud).await;
    alice
}

/// Whoever is not answered may leave a message, which is there once the machine has hung up.
#[tokio::test]
async fn the_machine_answers_a_call_to_an_account() {
    let mut provider = Provider::new().await;
    let mut alice = machine_has_a_call_to_an_account(&mut provider, 2).await;
    provider.hears(&["BYE"]).await;
    assert_eq!(alice.over().await.0, format!("{ROB} left a message."));
    alice.until("a message", |s| s.voice_messages.iter().any(|m| m.peer == ROB)).await;
    let snapshot = alice.handle.snapshot();
    assert_eq!(snapshot.voice_messages[0].duration, Duration::from_secs(2));
    assert_eq!(snapshot.history[0].ending(), Ending::Missed);
}

/// A call to an account that the machine has is picked up: Rob hears Alice, and was not missed.
#[tokio::test]
async fn a_call_to_an_account_is_taken_from_the_machine() {
    let mut provider = Provider::new().await;
    let mut alice = machine_has_a_call_to_an_account(&mut provider, 600).await;
    provider.hears_sound("the end of the greeting", 0, is_silent).await;
    let call = alice.handle.snapshot().calls[0].clone();
    assert!(call.takes_message);
    alice.send(Command::Answer(call.id));
    alice.until("a call of hers", |s| !s.calls[0].takes_message).await;
    provider.hears_sound("Alice", 0, is_loud).await;
    alice.send(Command::HangUp(call.id));
    provider.hears(&["BYE"]).await;
    assert_eq!(alice.over().await.0, "You hung up.");
    assert_eq!(alice.handle.snapshot().history[0].ending(), Ending::Talked);
}

/// RFC 3261 §21.3.3: calls to an account go on to somebody whom its provider can find. One of an
/// overlay it can't, so that the call rings.
#[tokio::test]
async fn a_call_to_an_account_goes_on() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    let welcome = |alice: &Phone, welcome| {
        alice.send(Command::Configure(Box::new(Settings { welcome, ..Settings::default() })));
    };
    let carol = || Some("carol@pstn.example".to_owned());
    welcome(&alice, Welcome { forward_unanswered: carol(), unanswered_s: 0, ..Welcome::default() });
    alice.until("so", |s| s.settings.welcome.forward_unanswered.is_some()).await;
    provider.send("one", "INVITE", None).await;
    let answer = provider.is_answered("one", "302").await;
    assert!(answer.contains("Contact: <sip:carol@pstn.example>"), "{answer}");
    let went_on = format!("You missed a call from {ROB}: it went on to carol@pstn.example.");
    assert_eq!(alice.over().await.0, went_on);

    let away = |to| Welcome { do_not_disturb: true, forward_busy: to, ..Welcome::default() };
    welcome(&alice, away(carol()));
    alice.until("so", |s| s.settings.welcome.do_not_disturb).await;
    provider.send("two", "INVITE", None).await;
    provider.is_answered("two", "302").await;
    assert_eq!(alice.over().await.0, went_on);
    welcome(&alice, away(Some("carol".into())));
    alice.until("so", |s| s.settings.welcome.forward_busy.as_deref() == Some("carol")).await;
    provider.send("three", "INVITE", None).await;
    provider.is_answered("three", "480").await;
}

/// RFC 3515: a call is recorded, and its other side connected with somebody of the same provider.
#[tokio::test]
async fn a_call_to_an_account_is_recorded_and_handed_over() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    provider.send("one", "INVITE", None).await;
    let call = alice.rings().await;
    alice.send(Command::Answer(call));
    let taken = provider.is_answered("one", "200").await;
    alice.talks().await;
    alice.send(Command::Record(call, true));
    alice.send(Command::Digit(call, '1'));
    provider.hears_sound("a key", 101, |payload| payload[0] == 1).await;
    alice.send(Command::Record(call, false));
    alice.send(Command::Digit(call, '2'));
    provider.hears_sound("another", 101, |payload| payload[0] == 2).await;
    alice.until("a file", |s| s.calls[0].recording.file.is_some()).await;
    let file = alice.handle.snapshot().calls[0].recording.file.clone().expect("told");
    let sound = crate::media::read_wav(&file).expect("a recording");
    assert!(sound.iter().any(|sample| sample.abs() > 0.05), "Alice hums");

    alice.send(Command::Transfer { call, to: "carol".into() });
    provider.hears(&["REFER", "Refer-To: <sip:carol@pstn.example>"]).await;
    provider.send("one", "NOTIFY", Some(&taken)).await;
    provider.hears(&["BYE"]).await;
    assert_eq!(alice.over().await.0, format!("You connected {ROB} to carol@pstn.example."));
}

/// Two calls to an account hear each other once they are merged.
#[tokio::test]
async fn calls_to_an_account_are_merged() {
    let mut provider = Provider::new().await;
    let mut alice = alice_at(&mut provider).await;
    let mut calls = Vec::new();
    for (name, key) in [("one", 1), ("two", 2)] {
        provider.send(name, "INVITE", None).await;
        let call = alice.rings().await;
        alice.send(Command::Answer(call));
        provider.is_answered(name, "200").await;
        alice.talks().await;
        alice.send(Command::Mute(call, true));
        alice.send(Command::Digit(call, char::from_digit(key, 10).expect("a digit")));
        let pressed: fn(&[u8]) -> bool = match key {
            1 => |payload| payload[0] == 1,
            _ => |payload| payload[0] == 2,
        };
        calls.push((call, provider.hears_sound("a key", 101, pressed).await));
    }
    let [(one, at_one), (two, at_two)] = calls[..] else { panic!("two calls") };
    provider.hears(&["INVITE", "Call-ID: one", "a=sendonly"]).await;
    alice.send(Command::Merge { call: two, other: one });
    provider.hears(&["INVITE", "Call-ID: one", "a=sendrecv"]).await;
    let is_heard = async {
        let mut buffer = [0; 2048];
        for at in 0_u16.. {
            let mut packet = vec![0x80, 0];
            packet.extend(at.to_be_bytes());
            packet.extend((u32::from(at) * 160).to_be_bytes());
            packet.extend([0, 0, 0, 1]);
            packet.extend([0x90; 160]);
            provider.sound.send_to(&packet, at_one).await.expect("sent");
            let (length, from) = provider.sound.recv_from(&mut buffer).await.expect("received");
            if from == at_two && buffer[1] & 0x7f == 0 && is_loud(&buffer[12..length]) {
                return;
            }
        }
    };
    timeout(PATIENCE, is_heard).await.expect("Rob is heard in the other call");
}
