//! Calls between processes that have nothing in common but an overlay's document and the address
//! of one peer.

mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use chordial::base::Instant;
use chordial::crypto::{Keys, NodeIdDigest, X509Provider};
use chordial::link::dtls::{Dtls, DtlsOutput};
use chordial::link::{DtlsRole, LocalCertificate, unix_ms};
use serde_json::Value;
use support::{Overlay, Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard, assert_not_heard};

/// Eight users, each with a peer of their own, call each other by name in both directions, two
/// calls at a time. The figures of both ends fit together, and each end recorded what the other
/// one played. The callers are second devices of their users. R7904-3.2-02: several devices are
/// registered under one name, and a call reaches the one that is there.
#[test]
fn any_user_calls_any_other_by_name() {
    let users = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];
    let (overlay, founder) = Overlay::found_by_speaker(users[0]);
    let mut peers: BTreeMap<&str, Phone> = BTreeMap::new();
    peers.extend(users[1..].iter().map(|user| (*user, overlay.speaker(user))));
    for peer in peers.values_mut() {
        peer.wait("registered");
    }
    peers.insert(users[0], founder);
    let rounds = [
        [("alice", "bob"), ("carol", "dave")],
        [("bob", "alice"), ("dave", "carol")],
        [("erin", "heidi"), ("frank", "grace")],
        [("heidi", "erin"), ("grace", "frank")],
    ];
    for round in rounds {
        let calls = round.map(|(from, to)| overlay.call(from, to, TALK_S, &[]));
        for ((from, to), mut call) in round.into_iter().zip(calls) {
            let (code, events) = call.finish();
            let report = events.last().expect("a report");
            assert_eq!(code, 0, "{from} calls {to}: {events:?}");
            let callee = peers.get_mut(to).expect("a peer");
            check_figures(report, &callee.wait("ended"), (from, to), false);
            assert!(callee.has_seen("incoming") && callee.has_seen("answered"));
            assert_heard(SPEECH_BOB, &overlay.heard_by(&format!("{from}-calling")));
            assert_heard(SPEECH_ALICE, &overlay.heard_by(to));
        }
    }
}

/// A name that nobody has is said to be not found, and the program fails. Our own name and an
/// empty one are refused before anything is sent.
#[test]
fn a_name_that_nobody_has_is_not_found() {
    let (overlay, _founder) = Overlay::found("carol");
    let mut call = overlay.call("alice", "nobody", TALK_S, &[]);
    assert_gone(&mut call, "nobody@lab.example was not found");
    for (name, word) in
        [("alice", "own name"), ("", "missing"), ("bob@elsewhere.example", "another")]
    {
        let mut call = overlay.call("alice", name, TALK_S, &[]);
        let (code, events) = call.finish();
        assert_eq!(code, 2, "{name:?}: {events:?}");
        let stderr = call.stderr();
        assert!(stderr.contains(word) && stderr.lines().count() == 1, "{name:?}: {stderr}");
    }
}

/// R7904-4.2-01: who has their calls forwarded does not ring; whoever they go to does.
#[test]
fn forwarded_calls_reach_somebody_else() {
    let (overlay, mut carol) = Overlay::found_by_speaker("carol");
    let mut bob = overlay.peer("bob", &["--forward-to", "carol", "--answer"]);
    bob.wait("registered");
    let (code, events) = overlay.call("alice", "bob", TALK_S, &[]).finish();
    assert_eq!(code, 0, "{events:?}");
    assert_eq!(carol.wait("incoming")["peer"], "alice@lab.example");
    assert_heard(SPEECH_BOB, &overlay.heard_by("alice-calling"));
    bob.interrupt();
    bob.finish();
    assert!(!bob.has_seen("incoming"));
    let mut peer = overlay.peer("bob", &["--forward-to", "bob"]);
    assert_eq!(peer.finish().0, 2);
    assert!(peer.stderr().contains("your own name"));
}

/// Who talks is busy for a second caller and goes on talking; a caller who is interrupted while
/// the phone rings is missed, and one who is interrupted while talking hangs up.
#[test]
fn busy_missed_and_hung_up() {
    let (overlay, mut carol) = Overlay::found("carol");
    let mut bob = overlay.speaker("bob");
    bob.wait("registered");
    let mut alice = overlay.call("alice", "bob", LONG_S, &[]);
    alice.wait("answered");
    bob.wait("answered");

    let (code, reason) = overlay.call("dave", "bob", TALK_S, &[]).outcome();
    assert_eq!((code, reason.as_str()), (1, "bob@lab.example is busy."));
    let missed = bob.wait("ended");
    assert!(sentence(&missed).contains("missed") && sentence(&missed).contains("dave@"));

    alice.interrupt();
    let (code, events) = alice.finish();
    assert_eq!(code, 1, "an interrupted call is no success");
    let ended = events.iter().find(|e| e["event"] == "ended").expect("ended");
    assert!(ended["packets_received"].as_u64() > Some(0), "sound went on: {ended}");
    assert_eq!(events.last().expect("events")["event"], "left");
    assert_eq!(sentence(&bob.wait("ended")), "alice@lab.example hung up.");

    let mut alice = overlay.call("alice", "carol", TALK_S, &[]);
    assert_eq!(carol.wait("incoming")["peer"], "alice@lab.example");
    alice.interrupt();
    let (code, reason) = alice.outcome();
    assert_eq!((code, reason.as_str()), (1, "You gave up."));
    let missed = carol.wait("ended");
    assert_eq!(sentence(&missed), "You missed a call from alice@lab.example.");
    assert_eq!(missed["answered"], false);
    assert!(!carol.has_seen("answered"));
}

/// Ten thousand handshakes that one source begins and none of which it goes on with, at the port
/// through which others join: a call between these comes about while they come, and that peer's
/// memory does not grow with them.
#[cfg(target_os = "linux")]
#[test]
fn half_open_handshakes_stop_nobody() {
    let (overlay, carol) = Overlay::found("carol");
    let mut bob = overlay.speaker("bob");
    bob.wait("registered");
    let port: SocketAddr = overlay.bootstrap().parse().expect("an address");
    let (hello, before) = (client_hello(), carol.resident_kib());
    let (called, is_over) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        let mut sent = 0;
        while sent < 10_000 || is_over.try_recv() == Err(TryRecvError::Empty) {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a port");
            // A full queue of the system's is loss like any other.
            sent += usize::from(socket.send_to(&hello, port).is_ok());
            if sent >= 10_000 {
                // That many were asked for; from here on they only go on coming.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        sent
    });
    let (code, events) = overlay.call("alice", "bob", TALK_S, &[]).finish();
    assert_eq!(code, 0, "{events:?}");
    called.send(()).expect("the flood goes on");
    let sent = flood.join().expect("a number");
    let grown = carol.resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB for {sent} handshakes");
}

/// The first datagram of a handshake.
fn client_hello() -> Vec<u8> {
    let provider = X509Provider {
        overlay: support::OVERLAY.to_owned(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    };
    let keys = Keys::self_signed(&provider, "mallory@lab.example", unix_ms(), 2).expect("keys");
    let local = LocalCertificate {
        certificate_der: keys.certificate_der,
        private_key_pkcs8_der: keys.private_key_der,
    };
    let verify = Arc::new(|_: &[u8]| Ok(()));
    let client = Dtls::new(DtlsRole::Client, &local, None, verify, Instant::ORIGIN);
    match client.expect("our own key").poll() {
        Some(DtlsOutput::Datagram(hello)) => hello.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A user whose peer died, and users whose peers left on Ctrl-C or on the signal of a service
/// manager, are reported as not reachable in bounded time; who left says so and exits with
/// success, and the others still reach each other.
#[test]
fn who_is_gone_is_not_reachable() {
    let (overlay, _founder) = Overlay::found("carol");
    let mut peers = ["bob", "dave", "erin", "frank"].map(|user| overlay.speaker(user));
    for peer in &mut peers {
        peer.wait("registered");
    }
    let [mut bob, mut dave, mut erin, mut frank] = peers;
    dave.interrupt();
    erin.terminate();
    for left in [&mut dave, &mut erin] {
        let (code, events) = left.finish();
        assert_eq!((code, &events.last().expect("events")["event"]), (0, &Value::from("left")));
        let mut call = overlay.call("alice", &left.device, TALK_S, &[]);
        assert_gone(&mut call, &format!("{}@lab.example ", left.device));
    }
    bob.kill();
    let mut call = overlay.call("alice", "bob", TALK_S, &[]);
    assert_gone(&mut call, "bob@lab.example ");
    let mut call = overlay.call("alice", "frank", TALK_S, &[]);
    let (code, events) = call.finish();
    assert_eq!(code, 0, "{events:?}");
    assert_eq!(sentence(&frank.wait("ended")), "alice@lab.example hung up.");
}

/// A peer that dies in the middle of a call that it has no part in disturbs neither that call
/// nor the next one.
#[test]
fn a_call_survives_the_death_of_others() {
    let (overlay, _founder) = Overlay::found("carol");
    let mut idle = ["dave", "erin", "frank"].map(|user| overlay.peer(user, &[]));
    let mut bob = overlay.speaker("bob");
    bob.wait("registered");
    for peer in &mut idle {
        peer.wait("registered");
    }
    for which in ["first", "next"] {
        let mut call = overlay.call("alice", "bob", TALK_S, &[]);
        call.wait("answered");
        if which == "first" {
            for peer in &mut idle[..2] {
                peer.kill();
            }
        }
        let (code, events) = call.finish();
        assert_eq!(code, 0, "the {which} call: {events:?}");
        let report = events.last().expect("a report");
        check_figures(report, &bob.wait("ended"), ("alice", "bob"), which == "next");
    }
    assert_heard(SPEECH_ALICE, &overlay.heard_by("bob"));
    assert_not_heard(SPEECH_BOB, &overlay.heard_by("bob"));
}

/// A call that comes to nothing: soon after joining it ends with a sentence that begins like this
/// and says that the callee is not there.
fn assert_gone(call: &mut Phone, beginning: &str) {
    let dialled_ms = call.wait("registered")["at_ms"].as_u64().expect("a time");
    let ended = call.wait("ended");
    let reason = sentence(&ended);
    let gone = reason.contains("can't be reached") || reason.contains("was not found");
    assert!(gone && reason.starts_with(beginning), "{}", call.log());
    let took_ms = ended["at_ms"].as_u64().expect("a time") - dialled_ms;
    assert!(took_ms < GIVEN_UP_MS, "{took_ms} ms: {ended}");
    assert_eq!(ended["answered"], false);
    assert_eq!(call.finish().0, 1);
}

/// Whether both ends' figures of a call are complete, in order, and about the same call.
fn check_figures(caller: &Value, callee: &Value, (from, to): (&str, &str), is_known: bool) {
    let context = format!("{from} calls {to}:\n{caller}\n{callee}");
    assert_eq!(caller["event"], "report", "{context}");
    let time = |name: &str| caller[name].as_u64().unwrap_or_else(|| panic!("{context}"));
    let times = ["attach_ms", "ice_ms", "dtls_ms", "ringing_ms", "answered_ms"].map(time);
    assert!(times.is_sorted(), "{context}");
    // Whoever is known is called while the name is looked up.
    if !is_known {
        assert!(time("fetch_ms") <= time("attach_ms"), "{context}");
    }
    assert!(caller["hops"].as_u64().is_some_and(|hops| hops <= HOPS_MAX), "{context}");
    let figure = |report: &Value, name: &str| {
        report[name].as_u64().unwrap_or_else(|| panic!("{name}: {context}"))
    };
    assert!(figure(caller, "talk_ms") >= TALK_S * 1000, "{context}");
    for (one, other) in [(caller, callee), (callee, caller)] {
        assert!(one["answered"] == true && one["sound_received"] == true, "{context}");
        let (received, lost) = (figure(one, "packets_received"), figure(one, "packets_lost"));
        assert!(received >= PACKETS_PER_S && lost <= received / 10, "{context}");
        // The two ends stop counting at slightly different moments.
        assert!(received <= figure(other, "packets_sent") + PACKETS_PER_S, "{context}");
        let path = one["path"].as_str().unwrap_or_default();
        assert!(path.starts_with("host ") && path.contains(" over UDP"), "{context}");
    }
    assert_eq!(callee["peer"], format!("{from}@lab.example"), "{context}");
    assert_eq!(sentence(callee), format!("{from}@lab.example hung up."), "{context}");
}

fn sentence(ended: &Value) -> &str {
    ended["reason"].as_str().expect("a reason")
}

/// How long callers talk: enough for words to be recognised.
const TALK_S: u64 = 4;
/// A talk that is interrupted long before.
const LONG_S: u64 = 120;
/// The latest that a call may be given up after it was dialled.
const GIVEN_UP_MS: u64 = 40_000;
/// Frames of 20 ms.
const PACKETS_PER_S: u64 = 50;
/// With eight peers, each knows half of them and more.
const HOPS_MAX: u64 = 4;
