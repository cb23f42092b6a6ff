//! The way of messages over several links, who may send what, and what nobody can.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::net::{Delivered, LATENCY, Net};
use crate::base::{Encode, NodeId, ResourceId, TransactionId};
use crate::crypto::{
    Certificate, CertificateError, CheapProvider, Identity, Provider, SignatureAlgorithm,
    SignerIdentity,
};
use crate::message::{
    ChordUpdate, ChordUpdateContents, Destination, ErrorCode, ErrorResponse, ForwardingHeader,
    ForwardingOption, Fragment, MessageCode, MessageContents, MessageExtension, Method, Packet,
    PingReq, decode_body,
};
use crate::peer::*;
use crate::routing::DropReason;
use crate::routing::chord::Table;

fn header(net: &Net, to: Destination, id: u64) -> ForwardingHeader {
    ForwardingHeader {
        overlay: net.config.overlay,
        configuration_sequence: net.config.sequence,
        ttl: 100,
        fragment: Fragment::WHOLE,
        transaction_id: TransactionId(id),
        max_response_length: 0,
        via_list: Vec::new(),
        destination_list: vec![to],
        options: Vec::new(),
    }
}

fn ping() -> MessageContents {
    let body = PingReq::default().to_bytes().expect("short");
    MessageContents::new(Method::Ping.request(), body)
}

/// Gives `to` a message that `from` has signed, as if it came over their link; what `from` gets
/// back for it within a second.
fn exchange(
    net: &mut Net,
    (from, to): (usize, usize),
    header: ForwardingHeader,
    contents: &MessageContents,
) -> Vec<(MessageCode, Bytes, Packet)> {
    let id = header.transaction_id;
    let packet = Packet::seal(header, contents, net.identity(from), &[]).expect("short");
    let begin = net.trace.len();
    net.inject(from, to, packet.encode().expect("short"));
    net.run(Duration::from_secs(1));
    let back = net.trace[begin..]
        .iter()
        .filter(|t| (t.1, t.2) == (to, from) && t.4.header.transaction_id == id);
    back.map(|t| {
        let contents = t.4.open(16).expect("parses").contents;
        (contents.code, contents.body, t.4.clone())
    })
    .collect()
}

fn error_of(back: &[(MessageCode, Bytes, Packet)]) -> ErrorCode {
    let [(MessageCode::ERROR, body, _)] = back else { panic!("no error: {back:?}") };
    decode_body::<ErrorResponse>(body, NodeId::from_u128(1)).expect("an error").code
}

/// The nodes that a transaction has passed, in order, both ways.
fn way(trace: &[Delivered], id: TransactionId) -> Vec<(usize, usize, bool)> {
    let passed = trace.iter().filter(|t| t.4.header.transaction_id == id);
    passed.map(|t| (t.1, t.2, t.3.is_some_and(|c| !c.is_request()))).collect()
}

/// A ring with plain tables, in which some ways are long, and a way over at least `hops` links
/// from node 0: the place at its end, and the nodes on it.
fn long_way(hops: usize) -> (Net, ResourceId, Vec<usize>) {
    let mut net = Net::new(80);
    net.config.table = Table::Plain;
    net.grow(32);
    for number in 1..200u128 {
        let place = ResourceId::from_u128(number.wrapping_mul(0x9e37_79b9 << 96) | number);
        let begin = net.trace.len();
        net.ask(0, Command::Ping(place.clone().into())).expect("an answer");
        let ping = Some(Method::Ping.request());
        let sent = net.trace[begin..].iter().filter(|t| t.3 == ping);
        let first = sent.clone().find(|t| t.1 == 0 && t.4.header.via_list.is_empty());
        let Some(id) = first.map(|t| t.4.header.transaction_id) else { continue };
        let on_way = sent.filter(|t| t.4.header.transaction_id == id).map(|t| t.2);
        let nodes: Vec<usize> = on_way.collect();
        if nodes.len() >= hops {
            return (net, place, nodes);
        }
    }
    panic!("no way is that long");
}

/// R6940-6.1-02: who sends a message of another overlay is told so, unless the peer is to be
/// quiet.
#[test]
fn another_overlay_is_explained_or_ignored() {
    for is_verbose in [true, false] {
        let mut net = Net::new(81);
        net.config.is_verbose = is_verbose;
        for node in 0..2 {
            net.add();
            match node {
                0 => {
                    net.command(0, Command::Found);
                }
                _ => net.join(node, 0),
            }
            net.run(Duration::from_secs(3));
        }
        let mut other = header(&net, net.id(0).into(), 7);
        other.overlay ^= 1;
        let back = exchange(&mut net, (1, 0), other, &ping());
        match is_verbose {
            true => assert_eq!(error_of(&back), ErrorCode::INCOMPATIBLE_WITH_OVERLAY),
            false => {
                assert!(back.is_empty());
                assert_eq!(net.peer(0).counters().dropped_for(DropReason::Overlay), 1);
            }
        }
    }
}

/// Who causes many errors gets no more of them for a while; others do.
#[test]
fn errors_have_a_budget_for_each_linked_node() {
    let mut net = Net::ring(82, 3);
    let bad = |net: &Net, id| ForwardingHeader { ttl: 101, ..header(net, net.id(0).into(), id) };
    let begin = net.peer(0).counters();
    for id in 0..500 {
        let packet = Packet::seal(bad(&net, id), &ping(), net.identity(1), &[]).expect("short");
        net.inject(1, 0, packet.encode().expect("short"));
    }
    let end = net.peer(0).counters();
    let refused = end.refused - begin.refused;
    assert!((50..=200).contains(&refused), "{refused} errors at once");
    assert_eq!(refused + end.dropped_for(DropReason::RateLimited), 500);
    let other = bad(&net, 501);
    assert_eq!(error_of(&exchange(&mut net, (2, 0), other, &ping())), ErrorCode::TTL_EXCEEDED);
    net.run(Duration::from_secs(2));
    let again = bad(&net, 502);
    assert_eq!(error_of(&exchange(&mut net, (1, 0), again, &ping())), ErrorCode::TTL_EXCEEDED);
}

/// R6940-6.3.2-08: messages start with a TTL of 100, or with that of the configuration, which is
/// also the highest that one may arrive with.
#[test]
fn the_first_ttl_is_that_of_the_configuration() {
    let document = crate::config::OverlayConfig::with_defaults(
        crate::config::OverlayName::new("example.org").expect("a name"),
    );
    assert_eq!(PeerConfig::from(&document).initial_ttl, 100);
    assert_eq!(PeerConfig::new("example.org").initial_ttl, 100);
    for ttl in [100, 150] {
        let mut net = Net::new(83);
        net.config.initial_ttl = ttl;
        net.add();
        net.command(0, Command::Found);
        net.add();
        net.join(1, 0);
        net.run(Duration::from_secs(5));
        let _ = net.ask(1, Command::Ping(net.id(0).into()));
        let first: BTreeSet<u8> = net.trace.iter().map(|t| t.4.header.ttl).collect();
        assert_eq!(first.last(), Some(&ttl));
        for (above, is_refused) in [(ttl, false), (ttl + 1, true)] {
            let sent = ForwardingHeader { ttl: above, ..header(&net, net.id(0).into(), 9) };
            let back = exchange(&mut net, (1, 0), sent, &ping());
            assert_eq!(back[0].0 == MessageCode::ERROR, is_refused);
        }
    }
}

/// R6940-14-01: nothing experimental is ever sent, and what comes is as unknown as anything.
#[test]
fn nothing_experimental_is_used() {
    let (exp_a, exp_b) = (MessageCode(0x23), MessageCode(0x25));
    let (exp_option, exp_extension, exp_errors) = (1, 1, [0x12, 0x13]);
    let mut net = Net::ring(84, 6);
    for node in net.joined() {
        let spec = net.registration(node);
        net.ask(node, Command::Publish(spec)).expect("stored");
        net.fetch(node, 0).expect("an answer");
    }
    for code in [exp_a, exp_b] {
        assert_eq!(Method::of_request(code), None);
        let sent = header(&net, net.id(0).into(), code.0.into());
        let contents = MessageContents::new(code, vec![1, 2]);
        let to = (net.joined()[1], 0);
        let back = exchange(&mut net, to, sent, &contents);
        assert_eq!(error_of(&back), ErrorCode::INVALID_MESSAGE);
    }
    let critical = ForwardingOption::DESTINATION_CRITICAL;
    let option = ForwardingOption { option_type: exp_option, flags: critical, data: vec![] };
    let sent = ForwardingHeader { options: vec![option], ..header(&net, net.id(0).into(), 3) };
    let back = exchange(&mut net, (1, 0), sent, &ping());
    assert_eq!(error_of(&back), ErrorCode::UNSUPPORTED_FORWARDING_OPTION);
    let extension =
        MessageExtension { extension_type: exp_extension, critical: true, data: vec![] };
    let contents = MessageContents { extensions: vec![extension], ..ping() };
    let sent = header(&net, net.id(0).into(), 4);
    let back = exchange(&mut net, (1, 0), sent, &contents);
    assert_eq!(error_of(&back), ErrorCode::UNKNOWN_EXTENSION);
    net.command(5, Command::Leave);
    net.run(Duration::from_secs(5));
    for (_, _, _, code, packet) in &net.trace {
        assert!(packet.header.options.is_empty());
        assert!(code.is_none_or(|c| !(0x23..=0x26).contains(&c.0)));
        let Ok(opened) = packet.open(16) else { continue };
        assert!(opened.contents.extensions.is_empty());
        if opened.contents.code == MessageCode::ERROR {
            let error: ErrorResponse =
                decode_body(&opened.contents.body, net.id(0)).expect("an error");
            assert!(!exp_errors.contains(&error.code.0));
        }
    }
}

/// R6940-6.2-01, R6940-6.1.2-03: an answer takes the way of its request backwards, also if the
/// request carries an option for another way of routing, or none.
#[test]
fn answers_take_the_way_of_the_request() {
    let (mut net, place, nodes) = long_way(3);
    let direct = ForwardingOption {
        option_type: 2,
        flags: ForwardingOption::IGNORE_STATE_KEEPING,
        data: vec![1, 0],
    };
    for (id, options) in [(1, vec![direct]), (2, vec![])] {
        let sent = ForwardingHeader { options, ..header(&net, place.clone().into(), id) };
        let begin = net.trace.len();
        let back = exchange(&mut net, (0, nodes[0]), sent, &ping());
        assert_eq!(back.len(), 1);
        let passed = way(&net.trace[begin..], TransactionId(id));
        let requests: Vec<_> = passed.iter().filter(|p| !p.2).map(|p| (p.0, p.1)).collect();
        let mut answers: Vec<_> = passed.iter().filter(|p| p.2).map(|p| (p.1, p.0)).collect();
        answers.reverse();
        assert_eq!(requests, answers[1..]);
        assert_eq!(answers[0], (0, nodes[0]));
        assert!(requests.len() >= 2);
    }
}

/// R6940-6.1.2-03, R6940-6.1.2-05: a way on which one node keeps state and the others use the
/// via list leads back all the same.
#[test]
fn kept_state_and_via_lists_mix() {
    let (mut net, place, nodes) = long_way(3);
    let before: Vec<Destination> = (1..=8).map(|n| NodeId::from_u128(n).into()).collect();
    let sent = ForwardingHeader { via_list: before.clone(), ..header(&net, place.into(), 1) };
    let begin = net.trace.len();
    let back = exchange(&mut net, (0, nodes[0]), sent, &ping());
    let on_way = &net.trace[begin..];
    let second = on_way.iter().find(|t| t.1 == nodes[0]).expect("passed on");
    assert!(matches!(second.4.header.via_list[..], [Destination::Opaque(_)]), "compressed");
    let [(code, _, answer)] = &back[..] else { panic!("{back:?}") };
    assert_eq!(*code, Method::Ping.answer());
    let mut rest: Vec<Destination> = before.into_iter().rev().collect();
    rest.insert(0, net.id(0).into());
    assert_eq!(answer.header.destination_list, rest);
}

/// R6940-6.2.1-01: a Fetch goes out with the resource as its only destination, and from nowhere.
#[test]
fn a_fetch_names_the_resource_and_nothing_else() {
    let mut net = Net::ring(85, 6);
    let resource = crate::storage::resource_id(net.user(4).as_bytes());
    let begin = net.trace.len();
    net.fetch(0, 4).expect("an answer");
    net.fetch(1, 4).expect("an answer");
    let fetches = net.trace[begin..].iter().filter(|t| t.3 == Some(Method::Fetch.request()));
    let first = fetches.filter(|t| t.4.header.via_list.is_empty());
    let lists: Vec<_> = first.map(|t| t.4.header.destination_list.clone()).collect();
    assert!(lists.contains(&vec![resource.into()]));
    assert!(lists.iter().all(|list| list.len() == 1), "{lists:?}");
}

/// R6940-6.2.1-08: when an answer is lost nobody on the way repeats anything; the originator does,
/// once its timer has fired.
#[test]
fn only_the_originator_repeats() {
    let (mut net, place, nodes) = long_way(3);
    let begin = net.trace.len();
    let request = net.command(0, Command::Ping(place.into()));
    let id = net.last_transaction(0);
    net.run(LATENCY * nodes.len() as u32 - Duration::from_millis(1));
    net.loss_permille = 1000;
    net.run(Duration::from_millis(2));
    net.loss_permille = 0;
    assert_eq!(way(&net.trace[begin..], id).len(), nodes.len());
    let silent = net.trace.len();
    net.run(Duration::from_millis(2900));
    assert!(way(&net.trace[silent..], id).is_empty(), "nobody repeats it");
    net.run(Duration::from_secs(1));
    let again = way(&net.trace[silent..], id);
    assert_eq!(again.iter().filter(|p| !p.2).map(|p| p.1).collect::<Vec<_>>(), nodes);
    assert!(net.events.iter().any(|(_, e)| matches!(e, Event::Done(r, Ok(_)) if *r == request)));
}

/// R6940-6.1.2-09: a joining node that has only the link with its bootstrap node gets the answer
/// to its Attach back over four links.
#[test]
fn a_joining_node_is_answered_from_afar() {
    let (mut net, place, _) = long_way(3);
    let own = NodeId::from_u128(place.to_u128().expect("16 bytes").wrapping_sub(1));
    let joining = net.add_at(own);
    let begin = net.trace.len();
    net.join(joining, 0);
    net.run(Duration::from_secs(5));
    let attach = net.trace[begin..]
        .iter()
        .find(|t| t.1 == joining && t.3 == Some(Method::Attach.request()))
        .expect("an Attach");
    let passed = way(&net.trace[begin..], attach.4.header.transaction_id);
    assert!(passed.iter().filter(|p| !p.2).count() >= 4);
    assert!(passed.iter().any(|p| p.2 && p.1 == joining));
    assert!(net.peer(joining).is_joined());
}

/// Certificates of `twins@` name a second Node-ID, next to the first.
#[derive(Debug)]
struct Twins;

impl Provider for Twins {
    fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        let mut certificate = (*CheapProvider.certificate(der)?).clone();
        if certificate.user_name.starts_with("twins") {
            let second = certificate.node_ids[0].to_u128() ^ 1;
            certificate.node_ids.push(NodeId::from_u128(second));
        }
        Ok(Arc::new(certificate))
    }

    fn verify(
        &self,
        certificate: &Certificate,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> bool {
        CheapProvider.verify(certificate, algorithm, message, value)
    }
}

/// The second of two nodes with one certificate.
fn twin(first: NodeId) -> Identity {
    let mut identity = CheapProvider.identity(first, "twins@example.org").expect("an identity");
    let certificate = Twins.certificate(&identity.certificate.der).expect("an identity");
    identity.node_id = certificate.node_ids[1];
    identity.certificate = certificate;
    identity
}

/// R6940-6.1.2-08: before it has attached, a node whose certificate names several Node-IDs gets
/// answers to Ping and Attach and to nothing else; with these it joins.
#[test]
fn who_could_be_several_has_to_attach_first() {
    let mut net = Net::new(86).with_provider(Arc::new(Twins));
    for node in 0..4 {
        net.add();
        match node {
            0 => {
                net.command(0, Command::Found);
            }
            _ => net.join(node, 0),
        }
        net.run(Duration::from_secs(3));
    }
    let two = net.add_identity(twin(NodeId::from_u128(77 << 100)));
    net.join(two, 0);
    net.run(LATENCY * 2 + Duration::from_millis(5));
    let fetch = MessageContents::new(Method::Fetch.request(), vec![]);
    let sent = header(&net, ResourceId::from_u128(5).into(), 1);
    let back = exchange(&mut net, (two, 0), sent, &fetch);
    assert_eq!(error_of(&back), ErrorCode::FORBIDDEN);
    net.run(Duration::from_secs(10));
    assert!(net.peer(two).is_joined(), "Attach and its answer pass");
    let mut net = Net::ring(87, 1).with_provider(Arc::new(Twins));
    let two = net.add_identity(twin(NodeId::from_u128(77 << 100)));
    net.command(two, Command::Join(vec![Net::address(0)]));
    net.run(LATENCY * 2 + Duration::from_millis(5));
    let sent = header(&net, net.id(0).into(), 2);
    let back = exchange(&mut net, (two, 0), sent, &ping());
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].0, Method::Ping.answer());
}

/// Counts how often a signature is checked.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Provider for Counting {
    fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        CheapProvider.certificate(der)
    }

    fn verify(
        &self,
        certificate: &Certificate,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        CheapProvider.verify(certificate, algorithm, message, value)
    }
}

/// R6940-6.3.4-14, R6940-6.1.1-02: a request and its answer are verified once each, where they
/// arrive, however many nodes are between.
#[test]
fn nobody_verifies_in_transit() {
    let counting = Arc::new(Counting::default());
    let mut net = Net::new(80).with_provider(counting.clone());
    net.config.table = Table::Plain;
    net.grow(24);
    let mut hops_max = 0;
    for number in 0..20u128 {
        let place = ResourceId::from_u128(number << 123 | 77);
        let before = counting.0.load(Ordering::Relaxed);
        let begin = net.trace.len();
        let Ok(Answer::Pinged { hops, .. }) = net.ask(0, Command::Ping(place.into())) else {
            panic!("no answer")
        };
        let messages = net.trace[begin..].iter().filter(|t| t.4.header.ttl >= 97).count();
        let is_alone = messages == 2 * hops as usize;
        if is_alone && hops > 0 {
            assert_eq!(counting.0.load(Ordering::Relaxed) - before, 2, "{hops} hops");
            hops_max = hops_max.max(hops);
        }
    }
    assert!(hops_max >= 3, "{hops_max}");
}

/// R6940-6.3.4-03: every message of a whole life is signed by somebody.
#[test]
fn everything_is_signed() {
    let mut net = Net::ring(88, 5);
    let spec = net.registration(2);
    net.ask(2, Command::Publish(spec)).expect("stored");
    net.fetch(3, 2).expect("an answer");
    net.command(4, Command::Leave);
    net.run(Duration::from_secs(5));
    let mut methods = BTreeSet::new();
    for packet in net.trace.iter().map(|t| &t.4).filter(|p| p.header.fragment == Fragment::WHOLE) {
        let opened = packet.open(16).expect("contents and security block");
        let signature = &opened.security.signature;
        assert!(signature.identity != SignerIdentity::None && !signature.value.is_empty());
        methods.insert(opened.contents.code);
    }
    for method in [Method::Attach, Method::Join, Method::Update, Method::Leave, Method::Fetch] {
        let both = [method.request(), method.answer()];
        assert!(both.iter().all(|code| methods.contains(code)), "{method:?}");
    }
}

/// R6940-13.6.3-01: an Update counts only from the node whose link it comes over: relayed, it
/// neither changes tables nor makes anybody attach.
#[test]
fn relayed_updates_change_nothing() {
    let mut net = Net::ring(89, 4);
    let stranger = net.add();
    let id = net.id(stranger);
    let update = ChordUpdate {
        uptime_s: 9,
        contents: ChordUpdateContents::Neighbors { predecessors: vec![id], successors: vec![id] },
    };
    let contents =
        MessageContents::new(Method::Update.request(), update.to_bytes().expect("short"));
    let tables = |net: &Net| {
        let (predecessors, successors) = net.peer(0).neighbors();
        (predecessors.to_vec(), successors.to_vec(), net.peer(0).links())
    };
    let before = tables(&net);
    // Signed by the stranger, and by node 2 in its own name; both come over the link with node 1.
    for (number, signer) in [(1, stranger), (2, 2)] {
        let begin = net.trace.len();
        let via_list = vec![net.id(signer).into()];
        let sent = ForwardingHeader { via_list, ..header(&net, net.id(0).into(), number) };
        let packet = Packet::seal(sent, &contents, net.identity(signer), &[]).expect("short");
        net.inject(1, 0, packet.encode().expect("short"));
        net.run(Duration::from_secs(20));
        let attaches = |t: &&Delivered| {
            t.3 == Some(Method::Attach.request()) && t.1 == 0 && t.4.header.via_list.is_empty()
        };
        assert_eq!(net.trace[begin..].iter().filter(attaches).count(), 0);
        assert_eq!(tables(&net), before);
    }
}

/// R6940-13.6.4-01: who passes a message on can read it but not change it: bodies are signed, not
/// encrypted. The front page says so.
#[test]
fn bodies_are_open_and_signed() {
    let (mut net, place, nodes) = long_way(3);
    let padding = b"not a secret".to_vec();
    let body = PingReq { padding: padding.clone() }.to_bytes().expect("short");
    let contents = MessageContents::new(Method::Ping.request(), body);
    let sent = header(&net, place.clone().into(), 1);
    let begin = net.trace.len();
    assert_eq!(exchange(&mut net, (0, nodes[0]), sent, &contents).len(), 1);
    for (_, _, _, code, packet) in &net.trace[begin..] {
        if *code == Some(Method::Ping.request()) && packet.header.transaction_id.0 == 1 {
            let opened = packet.open(16).expect("readable by everybody on the way");
            assert!(opened.contents.body.ends_with(&padding));
        }
    }
    let sent = header(&net, place.into(), 2);
    let packet = Packet::seal(sent, &contents, net.identity(0), &[]).expect("short");
    let mut payload = packet.payload.to_vec();
    let at = payload.windows(padding.len()).position(|w| w == padding).expect("in the clear");
    payload[at] ^= 1;
    let changed = Packet { payload: payload.into(), ..packet };
    let last = *nodes.last().expect("a way");
    let before = net.peer(last).counters().dropped_for(DropReason::Signature);
    net.inject(0, nodes[0], changed.encode().expect("short"));
    net.run(Duration::from_secs(1));
    assert_eq!(net.peer(last).counters().dropped_for(DropReason::Signature), before + 1);
    let front_page = include_str!("../../../README.md");
    assert!(front_page.contains("peers can read what passes\nthrough them"));
}
