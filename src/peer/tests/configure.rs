//! Configurations that change while peers live.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::messages::Pair;
use super::net::{Delivered, Net};
use crate::base::{Encode, NodeId, TransactionId};
use crate::config::{
    AccessControl, DataModel, KindBlock, KindDefinition, OverlayConfig, SignedConfig,
};
use crate::crypto::{CheapProvider, Identity};
use crate::message::{
    ConfigUpdateReq, DataValue, Destination, ErrorCode, ForwardingHeader, KindId, MessageCode,
    MessageContents, Method, Packet, PingReq, Places, StoredDataValue, decode_body,
};
use crate::peer::*;
use crate::storage::resource_id;

const NOTES: KindId = KindId(0xf000_0001);

/// Who signs the documents; no peer of the overlay.
fn founder() -> Identity {
    identity(1, "founder")
}

fn identity(id: u128, user: &str) -> Identity {
    CheapProvider
        .identity(NodeId::from_u128(id << 100), &format!("{user}@example.org"))
        .expect("an identity")
}

fn config(sequence: u16) -> OverlayConfig {
    let mut config = OverlayConfig::self_signed("example.org").expect("a name");
    config.sequence = sequence;
    (config.configuration_signers, config.kind_signers) =
        (vec![founder().node_id], vec![founder().node_id]);
    config
}

fn signed(config: &OverlayConfig) -> Arc<SignedConfig> {
    Arc::new(config.sign(&founder()).expect("signed"))
}

/// Document 21 with one change, as the next document.
fn next(change: impl FnOnce(&mut OverlayConfig)) -> Arc<SignedConfig> {
    let mut config = config(22);
    change(&mut config);
    signed(&config)
}

/// A net whose nodes begin with document 21.
fn net(seed: u64) -> Net {
    let mut net = Net::new(seed);
    net.config = PeerConfig::of(signed(&config(21)));
    net
}

fn ring(seed: u64, count: usize) -> Net {
    let mut net = net(seed);
    net.grow(count);
    net
}

fn effects(net: &Net, node: usize) -> Vec<(u16, ConfigEffect)> {
    let of_node = net.events.iter().filter(|(of, _)| *of == node);
    of_node
        .filter_map(|(_, event)| match event {
            Event::Configured { document, effect } => {
                Some((document.config.sequence, effect.clone()))
            }
            _ => None,
        })
        .collect()
}

fn has_left(net: &Net, node: usize) -> bool {
    net.events.iter().any(|(of, event)| *of == node && matches!(event, Event::Left))
}

/// First parts of messages with this code that one node sent another, each transaction once.
fn sent(net: &Net, from: usize, to: usize, code: MessageCode) -> Vec<&Packet> {
    let is_it = |t: &&Delivered| (t.1, t.2, t.3) == (from, to, Some(code));
    let mut packets: Vec<&Packet> = net.trace.iter().filter(is_it).map(|t| &t.4).collect();
    packets.dedup_by_key(|packet| packet.header.transaction_id);
    packets
}

fn updates(net: &Net, from: usize, to: usize) -> usize {
    sent(net, from, to, Method::ConfigUpdate.request()).len()
}

fn ping() -> MessageContents {
    let body = PingReq::default().to_bytes().expect("short");
    MessageContents::new(Method::Ping.request(), body)
}

/// What node 0 says to a ConfigUpdate: nothing, or an error.
fn update(pair: &mut Pair, update: &ConfigUpdateReq) -> Option<ErrorCode> {
    let transaction_id = TransactionId(1000 + pair.net.trace.len() as u64);
    let configuration_sequence = ConfigUpdateReq::SEQUENCE;
    let header = ForwardingHeader { configuration_sequence, transaction_id, ..pair.header() };
    let body = update.to_bytes().expect("short");
    let contents = MessageContents::new(Method::ConfigUpdate.request(), body);
    let back = pair.send(header, &contents);
    let [(code, body, _)] = &back[..] else { panic!("one answer: {back:?}") };
    if *code == Method::ConfigUpdate.answer() {
        assert!(body.is_empty());
        return None;
    }
    let error: crate::message::ErrorResponse =
        decode_body(body, pair.signer.node_id).expect("an error");
    assert!(!error.info.is_empty(), "a reason for people");
    Some(error.code)
}

fn of_document(document: &SignedConfig) -> ConfigUpdateReq {
    ConfigUpdateReq::Config(document.document.clone())
}

/// R6940-6.5.4-01, R6940-6.3.2.1-02: who joins with an old document is refused and gets the newer
/// one at once, once, and comes in with it.
#[test]
fn who_is_behind_is_updated() {
    let mut net = net(61);
    let old = net.config.clone();
    net.config = PeerConfig::of(next(|_| {}));
    net.grow(1);
    net.config = old;
    net.add();
    net.join(1, 0);
    net.run(Duration::from_secs(20));
    let from_there: Vec<MessageCode> =
        net.trace.iter().filter(|t| (t.1, t.2) == (0, 1)).filter_map(|t| t.3).collect();
    assert_eq!(from_there[..2], [MessageCode::ERROR, Method::ConfigUpdate.request()]);
    assert_eq!(updates(&net, 0, 1), 1);
    let sequence = |packet: &&Packet| packet.header.configuration_sequence;
    let to_there = sent(&net, 0, 1, Method::ConfigUpdate.request());
    assert_eq!(to_there.iter().map(sequence).collect::<Vec<_>>(), [65535]);
    assert_eq!(effects(&net, 1), [(22, ConfigEffect::InForce)]);
    assert!(net.peer(1).is_joined());
    assert_eq!(effects(&net, 0), []);
}

/// R6940-6.5.4-01, T-80: who joins with a newer document hands it over.
#[test]
fn who_is_ahead_hands_its_document_over() {
    let mut net = net(62);
    net.grow(1);
    net.config = PeerConfig::of(next(|_| {}));
    net.add();
    net.join(1, 0);
    net.run(Duration::from_secs(20));
    assert_eq!(updates(&net, 1, 0), 1);
    assert_eq!(effects(&net, 0), [(22, ConfigEffect::InForce)]);
    assert!(net.peer(1).is_joined());
}

/// R6940-6.3.2.1-02: one ConfigUpdate for each peer and sequence, however often it asks.
#[test]
fn updates_are_rationed() {
    let mut pair = Pair::of(ring(63, 2));
    for id in 0..5 {
        let (configuration_sequence, transaction_id) = (20, TransactionId(90 + id));
        let header = ForwardingHeader { configuration_sequence, transaction_id, ..pair.header() };
        let back = pair.send(header, &ping());
        assert_eq!(back[0].0, MessageCode::ERROR);
    }
    assert_eq!(updates(&pair.net, 0, 1), 1);
    let newer = next(|_| {});
    pair.net.command(0, Command::Configure(newer));
    pair.net.run(Duration::from_secs(5));
    assert_eq!(updates(&pair.net, 0, 1), 2, "another sequence");
}

/// R6940-6.3.2.1-03, T-79: 65535 is for ConfigUpdate, which no other sequence brings through.
#[test]
fn the_special_sequence_is_for_updates_only() {
    let mut pair = Pair::of(ring(64, 2));
    let document = next(|_| {});
    let header = ForwardingHeader { configuration_sequence: 65535, ..pair.header() };
    let error = pair.error(header, &ping());
    assert!([ErrorCode::CONFIG_TOO_OLD, ErrorCode::CONFIG_TOO_NEW].contains(&error.code));
    let body = of_document(&document).to_bytes().expect("short");
    let contents = MessageContents::new(Method::ConfigUpdate.request(), body);
    let (configuration_sequence, transaction_id) = (22, TransactionId(91));
    let header = ForwardingHeader { configuration_sequence, transaction_id, ..pair.header() };
    assert_eq!(pair.error(header, &contents).code, ErrorCode::CONFIG_TOO_NEW);
    assert_eq!(effects(&pair.net, 0), []);
    assert_eq!(update(&mut pair, &of_document(&document)), None);
    assert_eq!(effects(&pair.net, 0), [(22, ConfigEffect::InForce)]);
}

/// R6940-6.5.4.2-01, R6940-11.1-22: a document is taken if it is newer and signed by somebody whom
/// the present one names, whoever brings it; everything else is an error.
#[test]
fn only_newer_and_signed_documents_are_taken() {
    let mut pair = Pair::of(ring(65, 2));
    let mallory = identity(2, "mallory");
    let by_mallory = |signers: &[&Identity]| {
        let mut config = config(22);
        config.configuration_signers = signers.iter().map(|s| s.node_id).collect();
        config.sign(&mallory).expect("signed")
    };
    let unsigned = SignedConfig::unsigned(&config(22)).expect("good");
    let good = next(|_| {});
    let text = String::from_utf8(good.document.to_vec()).expect("UTF-8");
    let changed = text.replace("16384", "16385");
    let other = OverlayConfig::self_signed("example.net").expect("a name");
    let other = OverlayConfig { sequence: 22, ..other }.sign(&founder()).expect("signed");
    let expired = next(|config| config.expiration_unix_ms = Some(super::net::EPOCH_MS));
    let forbidden = ErrorCode::FORBIDDEN;
    for (what, document, code) in [
        ("the same", signed(&config(21)).document.clone(), ErrorCode::CONFIG_TOO_OLD),
        ("an older one", signed(&config(20)).document.clone(), ErrorCode::CONFIG_TOO_OLD),
        (
            "far ahead is behind",
            signed(&config(40_000)).document.clone(),
            ErrorCode::CONFIG_TOO_OLD,
        ),
        ("an expired one", expired.document.clone(), ErrorCode::CONFIG_TOO_OLD),
        ("unsigned", unsigned.document, forbidden),
        ("wrongly signed", Bytes::from(changed), forbidden),
        ("signed by a stranger", by_mallory(&[&founder()]).document, forbidden),
        ("signed by one of the new signers", by_mallory(&[&mallory]).document, forbidden),
        ("another overlay's", other.document, ErrorCode::INCOMPATIBLE_WITH_OVERLAY),
        ("no document", Bytes::from_static(b"<overlay"), ErrorCode::INVALID_MESSAGE),
    ] {
        assert_eq!(update(&mut pair, &ConfigUpdateReq::Config(document)), Some(code), "{what}");
    }
    let unknown = ConfigUpdateReq::Other { update_type: 77, data: Bytes::new() };
    assert_eq!(update(&mut pair, &unknown), Some(ErrorCode::INVALID_MESSAGE));
    assert_eq!(effects(&pair.net, 0), []);
    assert_eq!(update(&mut pair, &of_document(&good)), None);
    assert_eq!(effects(&pair.net, 0), [(22, ConfigEffect::InForce)]);
}

/// A peer without a document names nobody whom it would believe.
#[test]
fn without_a_document_no_update_is_believed() {
    let mut pair = Pair::new();
    let document = next(|_| {});
    assert_eq!(update(&mut pair, &of_document(&document)), Some(ErrorCode::FORBIDDEN));
    let kinds = ConfigUpdateReq::Kinds(vec![notes(&founder(), 100)]);
    assert_eq!(update(&mut pair, &kinds), Some(ErrorCode::FORBIDDEN));
}

fn definition(max_size: u32) -> KindDefinition {
    KindDefinition {
        id: NOTES.0,
        data_model: DataModel::Single,
        access_control: AccessControl::NodeMatch,
        max_count: 1,
        max_size,
        max_node_multiple: None,
    }
}

/// A private Kind as a signer hands it out.
fn notes(signer: &Identity, max_size: u32) -> Bytes {
    let mut config = config(21);
    config.kinds = vec![definition(max_size)];
    config.kind_signers = vec![signer.node_id];
    let signed = config.sign(signer).expect("signed");
    signed.kind_block(NOTES.0).and_then(KindBlock::write).expect("a signed Kind").into()
}

/// R6940-6.5.4.2-02: a Kind is learned from a kind-signer only.
#[test]
fn kinds_are_learned_from_kind_signers() {
    let mut pair = Pair::of(ring(66, 2));
    let kinds = |fragment: Bytes| ConfigUpdateReq::Kinds(vec![fragment]);
    let member = identity(3, "member");
    assert_eq!(update(&mut pair, &kinds(notes(&member, 100))), Some(ErrorCode::FORBIDDEN));
    let good = String::from_utf8(notes(&founder(), 100).to_vec()).expect("UTF-8");
    let changed = good.replace(">100<", ">101<");
    assert_eq!(update(&mut pair, &kinds(changed.into())), Some(ErrorCode::FORBIDDEN));
    let begin = good.find("<kind-signature>").expect("there");
    let unsigned = good[..begin].to_owned() + "</kind-block>";
    assert_eq!(update(&mut pair, &kinds(unsigned.into())), Some(ErrorCode::FORBIDDEN));
    let broken = Bytes::from_static(b"<kind-block>");
    assert_eq!(update(&mut pair, &kinds(broken)), Some(ErrorCode::INVALID_MESSAGE));
    assert!(pair.net.peer(0).storage().kinds().kind(NOTES).is_none());
    assert_eq!(update(&mut pair, &kinds(good.into())), None);
    let known = pair.net.peer(0).storage().kinds().kind(NOTES).map(|kind| kind.max_size);
    assert_eq!(known, Some(100));
}

/// R6940-6.5.4.2-03: what one kind-signer has defined another cannot change, nor can anybody
/// change what the document says in this way.
#[test]
fn kinds_do_not_change_hands() {
    let other = identity(4, "other");
    let mut net = Net::new(67);
    let mut config = config(21);
    config.kind_signers.push(other.node_id);
    net.config = PeerConfig::of(signed(&config));
    net.grow(2);
    let mut pair = Pair::of(net);
    let kinds = |fragment: Bytes| ConfigUpdateReq::Kinds(vec![fragment]);
    assert_eq!(update(&mut pair, &kinds(notes(&founder(), 100))), None);
    assert_eq!(update(&mut pair, &kinds(notes(&other, 200))), Some(ErrorCode::FORBIDDEN));
    let size = |pair: &Pair| pair.net.peer(0).storage().kinds().kind(NOTES).map(|k| k.max_size);
    assert_eq!(size(&pair), Some(100));
    assert_eq!(update(&mut pair, &kinds(notes(&founder(), 300))), None);
    assert_eq!(size(&pair), Some(300));
    // The document's own Kinds.
    let registration = |max_count: u32| {
        let mut config = config.clone();
        config.kinds.iter_mut().for_each(|kind| kind.max_count = max_count);
        let signed = config.sign(&founder()).expect("signed");
        let block = signed.kind_block(KindId::SIP_REGISTRATION.0);
        kinds(block.and_then(KindBlock::write).expect("signed").into())
    };
    assert_eq!(update(&mut pair, &registration(1)), Some(ErrorCode::FORBIDDEN));
    assert_eq!(update(&mut pair, &registration(16)), None);
}

/// R6940-7.4.1.2-03: who does not know a Kind is told of it by whom it refused, and then stores it.
#[test]
fn an_unknown_kind_is_explained() {
    let mut net = net(68);
    // Node 1 is responsible for the place of a note of node 0.
    let first = NodeId::from_u128(7);
    let place = resource_id(first.as_bytes()).to_u128().expect("16 bytes");
    net.add_at(first);
    net.command(0, Command::Found);
    net.add_at(NodeId::from_u128(place + 1));
    net.join(1, 0);
    net.run(Duration::from_secs(5));
    let mut pair = Pair::of(net);
    let kinds = ConfigUpdateReq::Kinds(vec![notes(&founder(), 100)]);
    assert_eq!(update(&mut pair, &kinds), None);
    let mut net = pair.net;
    let knows = |net: &Net, node: usize| net.peer(node).storage().kinds().kind(NOTES).is_some();
    assert!(knows(&net, 0) && !knows(&net, 1));
    let resource = resource_id(net.id(0).as_bytes());
    let value = StoredDataValue::Single(DataValue::existing(&b"a note"[..]));
    let spec = StoreSpec { resource: resource.clone(), kind: NOTES, value, lifetime_s: 600 };
    let begin = net.trace.len();
    let refused = net.ask(0, Command::Publish(spec.clone()));
    assert_eq!(refused.expect_err("unknown there"), RequestError::Refused(ErrorCode::UNKNOWN_KIND));
    net.run(Duration::from_secs(1));
    let codes: Vec<MessageCode> =
        net.trace[begin..].iter().filter(|t| (t.1, t.2) == (0, 1)).filter_map(|t| t.3).collect();
    assert!(codes.contains(&Method::ConfigUpdate.request()), "{codes:?}");
    assert!(knows(&net, 1));
    net.ask(0, Command::Publish(spec)).expect("stored now");
    let spec = FetchSpec { resource, kind: NOTES, places: Places::Single };
    match net.ask(0, Command::Fetch(spec)) {
        Ok(Answer::Fetched(fetched)) => assert_eq!(fetched.values.len(), 1),
        other => panic!("not fetched: {other:?}"),
    }
}

/// R6940-6.5.4.2-04, R6940-11.1-23: what can change in a living peer does.
#[test]
fn a_new_interval_holds_at_once() {
    let mut net = ring(69, 3);
    let periodic = |net: &mut Net| {
        let begin = net.trace.len();
        net.run(Duration::from_secs(300));
        let update = Some(Method::Update.request());
        net.trace[begin..].iter().filter(|t| t.3 == update).count()
    };
    assert!(periodic(&mut net) < 20, "every ten minutes");
    let document = next(|config| config.chord.update_interval_s = 10);
    net.ask(0, Command::Configure(document)).expect("in force");
    net.run(Duration::from_secs(5));
    assert!(periodic(&mut net) > 100, "every ten seconds");
    net.assert_ring(2);
    assert!((0..3).all(|node| effects(&net, node) == [(22, ConfigEffect::InForce)]));
}

/// R6940-6.5.4.2-04, R6940-11.1-23: with another topology plug-in, or an extension that we do not
/// have, everybody leaves in order; with other rules of trust, to come back.
#[test]
fn what_cannot_change_makes_peers_leave() {
    type Change = fn(&mut OverlayConfig);
    let changes: [(Change, bool); 3] = [
        (|config| config.topology_plugin = "EXP-OVERLAY".into(), false),
        (|config| config.mandatory_extensions.push("urn:x".into()), false),
        (|config| config.self_signed_permitted = Some(crate::config::Digest::Sha1), true),
    ];
    for (change, comes_back) in changes {
        let mut net = ring(70, 4);
        net.command(1, Command::Configure(next(change)));
        net.run(Duration::from_secs(10));
        for node in 0..4 {
            let effects = effects(&net, node);
            let [(22, effect)] = &effects[..] else { panic!("one document: {effects:?}") };
            match effect {
                ConfigEffect::Rejoin => assert!(comes_back),
                ConfigEffect::Unsupported(_) => assert!(!comes_back),
                other => panic!("{other:?}"),
            }
            assert!(has_left(&net, node), "{node} is still there");
            assert_eq!(net.peer(node).links(), 0);
        }
        let leaves = net.trace.iter().filter(|t| t.3 == Some(Method::Leave.request())).count();
        assert!(leaves > 0, "good-bye is said");
    }
}

/// R6940-6.5.4-01: a new document reaches everybody, and no link carries it twice, nor back to
/// where it came from.
#[test]
fn a_document_floods_the_overlay_once() {
    const COUNT: usize = 12;
    let mut net = ring(71, COUNT);
    net.ask(5, Command::Configure(next(|_| {}))).expect("in force");
    net.run(Duration::from_secs(5));
    for node in 0..COUNT {
        assert_eq!(effects(&net, node), [(22, ConfigEffect::InForce)], "{node}");
        let first =
            net.trace.iter().find(|t| t.2 == node && t.3 == Some(Method::ConfigUpdate.request()));
        for other in 0..COUNT {
            assert!(updates(&net, node, other) <= 1, "{node} to {other}");
        }
        if let Some(first) = first.filter(|_| node != 5) {
            assert_eq!(updates(&net, node, first.1), 0, "{node} sends it back");
        }
    }
    let registration = net.registration(3);
    net.ask(3, Command::Publish(registration)).expect("stored");
    for from in 0..COUNT {
        let fetched = net.fetch(from, 3).expect("fetched");
        assert_eq!((fetched.values.len(), fetched.transmissions), (1, 1));
    }
    let error = net.ask(5, Command::Configure(next(|_| {}))).expect_err("not newer");
    assert_eq!(error, RequestError::Refused(ErrorCode::CONFIG_TOO_OLD));
}

/// R6940-11.1-01: a bad node loses its links and what it has stored, and nobody hears it.
#[test]
fn a_bad_node_is_out() {
    let mut net = ring(72, 5);
    for node in [2, 3] {
        let registration = net.registration(node);
        net.ask(node, Command::Publish(registration)).expect("stored");
    }
    net.run(Duration::from_secs(5));
    let (bad, bad_identity) = (net.id(3), identity_of(&net, 3));
    assert_eq!(net.fetch(0, 3).expect("fetched").values.len(), 1);
    net.ask(0, Command::Configure(next(|config| config.bad_nodes.push(bad)))).expect("in force");
    net.run(Duration::from_secs(30));
    assert_eq!(net.peer(3).links(), 0);
    assert!(effects(&net, 3).is_empty() && !has_left(&net, 3), "it did not go by itself");
    for node in [0, 1, 2, 4] {
        let (predecessors, successors) = net.peer(node).neighbors();
        assert!(!predecessors.contains(&bad) && !successors.contains(&bad));
    }
    assert_eq!(net.fetch(0, 2).expect("fetched").values.len(), 1, "others' data stay");
    let gone = net.fetch(0, 3).expect("fetched");
    assert_eq!((gone.values.len(), gone.partial), (0, false), "not even a holder has it");
    // Through a node in good standing its word counts for nothing either.
    let header = ForwardingHeader {
        configuration_sequence: 22,
        via_list: vec![Destination::from(bad)],
        ..Pair::of(ring(73, 2)).header()
    };
    for (signer, answers) in [(bad_identity, 0), (identity_of(&net, 4), 1)] {
        let destination_list = vec![net.id(0).into()];
        let transaction_id = TransactionId(500 + answers as u64);
        let header = ForwardingHeader { destination_list, transaction_id, ..header.clone() };
        let packet = Packet::seal(header, &ping(), &signer, &[]).expect("short");
        let begin = net.trace.len();
        net.inject(4, 0, packet.encode().expect("short"));
        net.run(Duration::from_secs(1));
        let is_answer = |t: &&Delivered| t.1 == 0 && t.4.header.transaction_id == transaction_id;
        assert_eq!(net.trace[begin..].iter().filter(is_answer).count(), answers);
    }
}

fn identity_of(net: &Net, node: usize) -> Identity {
    CheapProvider.identity(net.id(node), net.user(node)).expect("an identity")
}

/// R6940-11.1-24, R6940-11.1-15: a private Kind is learned from a document, and goes with its data
/// once its signer may not sign Kinds any more.
#[test]
fn a_kind_goes_with_its_signer() {
    let mut net = ring(74, 3);
    let with_notes = |sequence: u16| {
        let mut config = config(sequence);
        config.kinds.push(definition(100));
        config
    };
    net.ask(0, Command::Configure(signed(&with_notes(22)))).expect("in force");
    net.run(Duration::from_secs(5));
    let resource = resource_id(net.id(1).as_bytes());
    let value = StoredDataValue::Single(DataValue::existing(&b"a note"[..]));
    let spec = StoreSpec { resource, kind: NOTES, value, lifetime_s: 600 };
    net.ask(1, Command::Publish(spec)).expect("stored");
    net.run(Duration::from_secs(5));
    let before: Vec<usize> = (0..3).map(|node| net.peer(node).values_stored()).collect();
    // The block is still signed by the founder, whom the document does not name any more.
    let last = signed(&with_notes(23));
    let text = String::from_utf8(last.document.to_vec()).expect("UTF-8");
    let (begin, end) = ("<kind-signer>", "</kind-signer>");
    let (from, to) = (text.find(begin).expect("there"), text.find(end).expect("there"));
    let renamed =
        format!("{}{begin}{}{}", &text[..from], identity(4, "other").node_id, &text[to..]);
    let document = SignedConfig::parse(renamed.as_bytes(), None).expect("good");
    net.ask(0, Command::Configure(Arc::new(document))).expect("in force");
    let kinds = net.peer(0).storage().kinds();
    assert!(kinds.kind(NOTES).is_none());
    assert!(net.peer(0).values_stored() < before[0]);
}

/// R6940-11.1-10, R6940-11.1-23: a client leaves in order when a document wants peers alone.
#[test]
fn a_client_leaves_where_clients_are_not_permitted_any_more() {
    let mut net = ring(75, 3);
    let client = net.add();
    net.command(client, Command::Connect(vec![Net::address(0)]));
    net.run(Duration::from_secs(5));
    assert_eq!(net.peer(client).links(), 1);
    net.ask(0, Command::Configure(next(|c| c.clients_permitted = false))).expect("in force");
    net.run(Duration::from_secs(5));
    assert_eq!(effects(&net, client), [(22, ConfigEffect::Rejoin)]);
    assert!(has_left(&net, client));
    assert_eq!(net.peer(client).links(), 0);
    assert!((0..3).all(|node| effects(&net, node) == [(22, ConfigEffect::InForce)]));
}

/// R6940-14.16-01: a document with a shared secret goes over no link, for none shows that the
/// other side has the secret; nor is it printed.
#[test]
fn a_secret_is_not_handed_on() {
    let mut net = ring(76, 3);
    let secret = next(|c| c.shared_secret = Some(crate::config::SharedSecret::new("hush")));
    assert!(!format!("{secret:?}").contains("hush"));
    net.command(0, Command::Configure(secret));
    net.run(Duration::from_secs(10));
    assert!(matches!(&effects(&net, 0)[..], [(22, ConfigEffect::Unsupported(_))]));
    assert!(has_left(&net, 0));
    for node in [1, 2] {
        assert_eq!(updates(&net, 0, node), 0);
        assert!(effects(&net, node).is_empty());
    }
}
