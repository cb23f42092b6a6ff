//! Why calls fail: each step has its sentence, over real nodes and a phone that does as it is told.

use std::sync::Arc;

use super::*;
use crate::base::{NodeId, Now};
use crate::config::SignedConfig;
use crate::crypto::{Keys, NodeIdDigest, X509Provider};
use crate::link::{AppFlow, Clock, Node, NodeEvent, NodeOptions, RelayOptions, os_seed, unix_ms};
use crate::message::APPLICATION_SIP;
use crate::peer::{self, PeerConfig, StoreSpec};
use crate::sip::{self, FlowId, Input, Output, UaConfig, UserAgent};
use crate::storage::KindTable;
use crate::usage::{Aor, Gruu, registration};

const OVERLAY: &str = "one.example";

/// What bob's phone does when it is called.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// It is not registered for calls.
    TakesNoCalls,
    /// It reads nothing.
    SaysNothing,
    /// It answers with another codec.
    SpeaksOtherwise,
    /// It names addresses for sound where nobody is.
    IsNowhere,
    /// It refuses whatever is offered.
    Refuses,
    /// The same, once on each connection; then it reads nothing more from that.
    GoesDeaf,
}

/// A node of bob's, joined and registered, with a phone of this manner. It lives as long as this.
async fn bob(document: &OverlayConfig, at: SocketAddr, manner: Manner) -> Node {
    named("bob@one.example", document, at, manner).await
}

/// The same of somebody whose certificate has this name.
async fn named(user_name: &str, document: &OverlayConfig, at: SocketAddr, manner: Manner) -> Node {
    let provider = X509Provider {
        overlay: OVERLAY.to_owned(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    };
    let document = Arc::new(SignedConfig::unsigned(document).expect("a document"));
    let keys = Keys::self_signed(&provider, user_name, unix_ms(), 30).expect("keys");
    let options = NodeOptions {
        config: PeerConfig::of(document.clone()),
        kinds: KindTable::of_document(&document, &provider).expect("consistent"),
        identity: keys.identity(&provider).expect("an identity"),
        keys,
        provider: Arc::new(provider),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        loopback: true,
        stun_servers: Vec::new(),
        relays: RelayOptions::default(),
        opens_ports: false,
        values: None,
        pcap: None,
        seed: os_seed(),
    };
    let (node, mut events) = Node::start(options).await.expect("started");
    node.tell(peer::Command::Join(vec![at])).await.expect("a node");
    let joined = async { while !matches!(events.recv().await, Some(NodeEvent::Joined)) {} };
    timeout(PATIENCE, joined).await.expect("in time");
    let applications = match manner {
        Manner::TakesNoCalls => Vec::new(),
        _ => vec![APPLICATION_SIP],
    };
    node.tell(peer::Command::Applications(applications)).await.expect("a node");
    let aor = Aor::of_user_name(user_name).expect("a name");
    let of_bob = registration(&aor, node.node_id());
    let (resource, kind, value) = (of_bob.resource, of_bob.kind, of_bob.value);
    let spec = StoreSpec { resource, kind, value, lifetime_s: 600 };
    node.request(peer::Command::Publish(spec)).await.expect("stored");
    let contact = Gruu::of_node(aor, node.node_id());
    let agent = move || {
        UserAgent::new(UaConfig {
            overlay: OVERLAY.parse().expect("a host"),
            users: vec!["bob@one.example".parse().expect("a name")],
            contact: format!("sip:{contact}").parse().expect("a URI"),
            line: None,
            seed: os_seed(),
        })
    };
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let NodeEvent::AppFlow(flow) = event {
                tokio::spawn(talk(agent(), flow, manner));
            }
        }
    });
    node
}

/// Serves one flow.
async fn talk(mut agent: UserAgent, mut app: AppFlow, manner: Manner) {
    let clock = Clock::start();
    let now = || Now::new(clock.now(), unix_ms());
    let flow = FlowId(1);
    let verified_users = vec![app.certificate.user_name.parse().expect("a name")];
    agent.handle(now(), Input::FlowUp { flow, verified_users });
    let mut calls = 0;
    while let Some(bytes) = app.flow.recv().await {
        calls += usize::from(bytes.starts_with(b"INVITE"));
        if manner == Manner::SaysNothing || manner == Manner::GoesDeaf && calls > 1 {
            continue;
        }
        agent.handle(now(), Input::Datagram { flow, bytes: &bytes });
        while let Some(output) = agent.poll() {
            match output {
                Output::Send { bytes, .. } => app.flow.send(bytes).expect("room"),
                Output::Event(sip::Event::Incoming { leg, offer, .. }) => {
                    let offer = String::from_utf8(offer.expect("an offer")).expect("text");
                    let answer = offer.replace("a=setup:actpass", "a=setup:active");
                    let answer = match manner {
                        Manner::SpeaksOtherwise => answer.replace("opus/48000/2", "G7221/32000"),
                        Manner::IsNowhere => nowhere(&answer),
                        _ => answer,
                    };
                    let command = match manner {
                        Manner::Refuses | Manner::GoesDeaf => {
                            let status = rsip::StatusCode::NotAcceptableHere;
                            sip::Command::Reject { leg, status }
                        }
                        _ => sip::Command::Answer { leg, answer: answer.into_bytes() },
                    };
                    agent.handle(now(), Input::Command(command));
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// The same with addresses of a network that is reserved for documents (RFC 5737).
fn nowhere(description: &str) -> String {
    let lines = description.lines().filter(|line| !line.starts_with("a=candidate:"));
    let candidate = "a=candidate:1 1 UDP 2130706431 192.0.2.1 9 typ host";
    lines.chain([candidate]).map(|line| format!("{line}\r\n")).collect()
}

/// How alice's call to a name ends, with bob's phone of this manner in the overlay if there is one.
async fn reason(name: &str, manner: Option<Manner>) -> String {
    let papers = tempfile::tempdir().expect("a folder");
    let config = OverlayConfig::self_signed(OVERLAY).expect("a name");
    let mut alice = Phone::new();
    let at = alice.found(document(&papers, &config), "alice").await;
    let _bob = match manner {
        Some(manner) => Some(bob(&config, at, manner).await),
        None => None,
    };
    if manner == Some(Manner::GoesDeaf) {
        ended(&mut alice, name).await;
    }
    ended(&mut alice, name).await
}

/// How a call to a name ends.
async fn ended(phone: &mut Phone, name: &str) -> String {
    phone.send(Command::Dial(name.into()));
    let reason = phone.event(|event| match event {
        Event::Ended { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    reason.await
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_found() {
    let reason = reason("nobody", None).await;
    assert!(reason.starts_with("nobody@one.example was not found: nobody with this name"));
}

#[tokio::test]
async fn a_device_that_takes_no_calls_says_so() {
    let reason = reason("bob", Some(Manner::TakesNoCalls)).await;
    assert!(reason.contains("has left the overlay or takes no calls"), "{reason}");
}

#[tokio::test]
async fn a_phone_that_does_not_react_is_given_up() {
    let reason = reason("bob", Some(Manner::SaysNothing)).await;
    assert!(reason.contains("its phone does not react to the call"), "{reason}");
}

/// The answer's codec is not ours, or our offer's is not theirs.
#[tokio::test]
async fn phones_without_a_common_codec_say_so() {
    for manner in [Manner::SpeaksOtherwise, Manner::Refuses] {
        let reason = reason("bob", Some(manner)).await;
        assert!(reason.contains("no way to encode sound in common"), "{reason}");
    }
}

#[tokio::test]
async fn sound_that_finds_no_path_says_between_which_networks() {
    let reason = reason("bob", Some(Manner::IsNowhere)).await;
    assert!(reason.starts_with("No sound: no network path leads from this computer"), "{reason}");
    assert!(reason.contains("to a computer with an address of its own"), "{reason}");
}

/// A connection that was there before and whose other end is gone costs a moment, not the call.
#[tokio::test]
async fn a_dead_connection_is_replaced() {
    let reason = reason("bob", Some(Manner::GoesDeaf)).await;
    assert!(reason.contains("no way to encode sound in common"), "{reason}");
}

/// R7904-7-02: a Resource-ID is that of a certificate's octets, and the case of a domain means
/// nothing to people: whoever has been connected with us is found by the name in small letters.
#[tokio::test]
async fn a_domain_in_capitals_is_called_back() {
    let papers = tempfile::tempdir().expect("a folder");
    let config = OverlayConfig::self_signed(OVERLAY).expect("a name");
    let mut alice = Phone::new();
    let at = alice.found(document(&papers, &config), "alice").await;
    let is_known = |s: &Snapshot| s.me().is_some_and(|me| !me.node_id.is_empty());
    alice.until("she has a Node-ID", is_known).await;
    let alices = alice.handle.snapshot().me().expect("there").node_id.parse::<NodeId>();
    let bob = named("bob@One.Example", &config, at, Manner::Refuses).await;
    let unknown = ended(&mut alice, "bob").await;
    assert!(unknown.contains("was not found"), "{unknown}");
    let to = vec![alices.expect("a Node-ID").into()];
    let mut path = bob.app_attach(to, APPLICATION_SIP).await.expect("alice takes calls");
    let _flow = path.up().await.expect("a connection");
    let mut reason = ended(&mut alice, "bob@one.example").await;
    // Alice's end of the connection may be up a moment later than bob's.
    while reason.contains("was not found") {
        reason = ended(&mut alice, "bob@one.example").await;
    }
    assert!(reason.contains("no way to encode sound in common"), "{reason}");
}
