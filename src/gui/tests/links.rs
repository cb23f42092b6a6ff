//! The links, the ring, and the way of the last call.

use std::net::SocketAddr;
use std::sync::Arc;

use super::*;
use crate::base::NodeId;
use crate::link::{CandidatePair, CandidateType, LinkFacts, LinkKind};
use crate::phone::{CallReport, CallStep, CallTrace, Candidates, NetworkFacts};

fn link(id: u128, kind: LinkKind, pair: Option<CandidatePair>) -> LinkFacts {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    LinkFacts {
        node_id: NodeId::from_u128(id << 96),
        kind,
        local: address("192.0.2.7:6084"),
        remote: address("198.51.100.9:40000"),
        pair,
        rtt: (id > 1).then(|| Duration::from_millis(23)),
        since_unix_ms: 0,
    }
}

fn with(links: Vec<LinkFacts>) -> Snapshot {
    let facts = NetworkFacts { links, ..NetworkFacts::default() };
    let mut snapshot = Snapshot { networks: [("smith".to_owned(), facts)].into(), ..joined() };
    snapshot.memberships[0].me.node_id = "8f3a91c04be2d7760f1e5a9cc3b81d42".into();
    snapshot
}

/// Every link has its way in words, and the drawing says the same to who can't see it.
#[test]
fn links_are_told_one_by_one() {
    let (host, relay) = (CandidateType::Host, CandidateType::Relay);
    let pair = |local| Some(CandidatePair { local, remote: host });
    let links = vec![
        link(1, LinkKind::DtlsUdpSr, pair(host)),
        link(2, LinkKind::DtlsUdpSr, pair(relay)),
        link(3, LinkKind::TlsTcpFhNoIce, None),
    ];
    for size in [WIDE, NARROW] {
        let (mut harness, backend) = open(with(links.clone()), size);
        click(&mut harness, words::network());
        harness.get_by_label("00000001 \u{b7} direct \u{b7} not measured yet");
        harness.get_by_label("00000002 \u{b7} through a relay \u{b7} 23 ms");
        harness.get_by_label("00000003 \u{b7} over TCP \u{b7} 23 ms");
        let ring = words::ring(3, 0);
        harness.get_by_role_and_label(Role::Image, &ring);
        tell(&mut harness, &backend, with(Vec::new()));
        harness.get_by_label(words::no_links());
    }
}

fn failed() -> CallTrace {
    let reason = "bob@smith can't be reached: no network path leads there.";
    CallTrace {
        id: CallId(3),
        peer: "bob@smith".into(),
        direction: Direction::Outgoing,
        unix_ms: 0,
        outcome: Some(reason.into()),
        failed: Some(CallStep::Path),
        report: CallReport { fetch_ms: Some(41), hops: Some(2), ..CallReport::default() },
        rtt: None,
        candidates: Candidates::default(),
    }
}

/// A call that has failed says how far it came, on its card and later on the Network page.
#[test]
fn why_a_call_failed_is_one_click_away() {
    let failure = Some(Arc::new(failed()));
    let reason = failed().outcome.unwrap_or_default();
    let ended = CallState::Ended { reason, duration: Duration::ZERO };
    let snapshot = Snapshot { trace: failure.clone(), failure, ..with_call(ended) };
    for size in [WIDE, NARROW] {
        let (mut harness, backend) = open(snapshot.clone(), size);
        assert!(harness.query_by_label("after 41 ms").is_none());
        click(&mut harness, words::why());
        harness.get_by_label("after 41 ms");
        harness.get_by_label("failed");
        click(&mut harness, words::why_not());
        assert!(harness.query_by_label("failed").is_none());
        click(&mut harness, words::network());
        harness.get_by_label(words::last_call());
        harness.get_by_label(&words::step_name(CallStep::Path));
        harness.get_by_label("failed");
        let good = CallTrace { id: CallId(4), failed: None, ..failed() };
        tell(&mut harness, &backend, Snapshot { trace: Some(good.into()), ..snapshot.clone() });
        harness.get_by_label(words::last_failure());
    }
    let (harness, _backend) = open(with_call(talking()), WIDE);
    assert!(harness.query_by_label(words::why()).is_none());
}

/// The path of the running call, and between which addresses it was looked for.
#[test]
fn the_running_call_shows_its_path() {
    let report = CallReport {
        path: Some("host 192.0.2.7:1 to relay 192.0.2.8:2".into()),
        answered_ms: Some(900),
        sound_ms: Some(950),
        ..CallReport::default()
    };
    let candidates = Candidates {
        ours: vec!["1 1 udp 2130706431 192.0.2.7 1 typ host".into()],
        theirs: vec!["1 1 udp 1 192.0.2.8 2 typ relay raddr 0.0.0.0 rport 0".into()],
    };
    let (outcome, rtt) = (None, Some(Duration::from_millis(38)));
    let trace = CallTrace { outcome, failed: None, report, rtt, candidates, ..failed() };
    let snapshot = Snapshot { trace: Some(trace.into()), ..with_call(talking()) };
    let (mut harness, _backend) = open(snapshot, WIDE);
    click(&mut harness, words::network());
    harness.get_by_label(words::this_call());
    harness.get_by_label("host 192.0.2.7:1 to relay 192.0.2.8:2");
    harness.get_by_label("38 ms");
    harness.get_by_label(&format!("{} (1)", words::their_candidates())).click();
    harness.run();
    harness.get_by_label("192.0.2.8:2, UDP, of a relay");
}
