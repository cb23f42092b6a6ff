//! Single messages, right and wrong ones, between a few peers.

use std::time::Duration;

use bytes::Bytes;

use super::net::{Delivered, Net};
use crate::base::{Encode, NodeId, ResourceId, TransactionId};
use crate::crypto::{CheapProvider, Identity};
use crate::message::{
    Destination, ErrorCode, ErrorResponse, ForwardingHeader, ForwardingOption, Fragment, JoinReq,
    LeaveReq, MessageCode, MessageContents, MessageExtension, Method, Packet, PingReq, decode_body,
};
use crate::peer::*;
use crate::storage::resource_id;

/// Two peers; what is sent here pretends to come from node 1 and is for node 0.
pub(super) struct Pair {
    pub net: Net,
    pub signer: Identity,
}

impl Pair {
    pub fn new() -> Self {
        Self::of(Net::ring(31, 2))
    }

    /// The first two peers of a net.
    pub fn of(net: Net) -> Self {
        let signer = CheapProvider.identity(net.id(1), net.user(1)).expect("an identity");
        Self { net, signer }
    }

    pub fn header(&self) -> ForwardingHeader {
        ForwardingHeader {
            overlay: self.net.config.overlay,
            configuration_sequence: self.net.config.sequence,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: TransactionId(77),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![self.net.id(0).into()],
            options: Vec::new(),
        }
    }

    /// Sends a message and gives what comes back for it: code and body.
    pub fn send(
        &mut self,
        header: ForwardingHeader,
        contents: &MessageContents,
    ) -> Vec<(MessageCode, Bytes, Packet)> {
        let packet = Packet::seal(header, contents, &self.signer, &[]).expect("short");
        self.send_packet(&packet)
    }

    fn send_packet(&mut self, packet: &Packet) -> Vec<(MessageCode, Bytes, Packet)> {
        let begin = self.net.trace.len();
        self.net.inject(1, 0, packet.encode().expect("short"));
        self.net.run(Duration::from_secs(1));
        let id = packet.header.transaction_id;
        let back = self.net.trace[begin..]
            .iter()
            .filter(|(_, from, _, _, answer)| *from == 0 && answer.header.transaction_id == id);
        back.map(|(_, _, _, _, answer)| {
            let contents = answer.open(16).expect("parses").contents;
            (contents.code, contents.body, answer.clone())
        })
        .collect()
    }

    pub fn error(&mut self, header: ForwardingHeader, contents: &MessageContents) -> ErrorResponse {
        let back = self.send(header, contents);
        let [(MessageCode::ERROR, body, _)] = &back[..] else { panic!("no error: {back:?}") };
        decode_body(body, self.signer.node_id).expect("an error")
    }
}

fn ping() -> MessageContents {
    let body = PingReq::default().to_bytes().expect("short");
    MessageContents::new(Method::Ping.request(), body)
}

/// R6940-6.3.3.1-01, R6940-6.5.3-01, R6940-6.5.3.2-01, R6940-6.3.2-10: a Ping by Node-ID, with
/// padding or as a wildcard, and an answer with the same ID.
#[test]
fn a_ping_is_answered() {
    let mut pair = Pair::new();
    let mut ids = Vec::new();
    let targets = [Destination::from(pair.net.id(0)), NodeId::wildcard(16).into()];
    for (target, padding) in targets.into_iter().zip([0, 4000]) {
        let header = ForwardingHeader { destination_list: vec![target], ..pair.header() };
        let body = PingReq { padding: vec![0; padding] }.to_bytes().expect("short");
        let back = pair.send(header, &MessageContents::new(Method::Ping.request(), body));
        assert_eq!(back.len(), 1);
        assert_eq!(back[0].0, Method::Ping.answer());
        ids.push(back[0].1.slice(..8));
    }
    assert_ne!(ids[0], ids[1]);
}

/// R6940-6.3.2.1-01: another configuration is answered with which of the two is older.
#[test]
fn configurations_must_agree() {
    let mut pair = Pair::new();
    let sequence = pair.net.config.sequence;
    for (other, code) in [
        (sequence - 1, ErrorCode::CONFIG_TOO_OLD),
        (sequence + 1, ErrorCode::CONFIG_TOO_NEW),
        (65534, ErrorCode::CONFIG_TOO_OLD),
    ] {
        let header = ForwardingHeader { configuration_sequence: other, ..pair.header() };
        assert_eq!(pair.error(header, &ping()).code, code);
    }
}

/// R6940-6.3.2.3-03, R6940-6.3.2.3-04, R6940-6.3.3-02: what must be understood and is not.
#[test]
fn unknown_critical_things_are_refused() {
    let mut pair = Pair::new();
    let option = |flags| ForwardingOption { option_type: 200, flags, data: vec![7; 5] };
    let critical = option(ForwardingOption::DESTINATION_CRITICAL);
    let header = ForwardingHeader { options: vec![critical], ..pair.header() };
    assert_eq!(pair.error(header, &ping()).code, ErrorCode::UNSUPPORTED_FORWARDING_OPTION);
    let copied = option(ForwardingOption::RESPONSE_COPY);
    let header = ForwardingHeader { options: vec![copied], ..pair.header() };
    assert_eq!(pair.send(header, &ping())[0].2.header.options, [option(0)]);

    let extension = |critical| MessageExtension { extension_type: 0x7777, critical, data: vec![] };
    let contents = MessageContents { extensions: vec![extension(true)], ..ping() };
    let header = pair.header();
    assert_eq!(pair.error(header, &contents).code, ErrorCode::UNKNOWN_EXTENSION);
    let contents = MessageContents { extensions: vec![extension(false)], ..ping() };
    let header = pair.header();
    assert_eq!(pair.send(header, &contents)[0].0, Method::Ping.answer());
}

/// R6940-6.1.1-02, R6940-6.3.4-12, R6940-6.3.4-13: a wrong signature gets no answer.
#[test]
fn what_is_not_signed_is_dropped() {
    let mut pair = Pair::new();
    let packet = Packet::seal(pair.header(), &ping(), &pair.signer, &[]).expect("short");
    let last = packet.payload.len() - 60;
    for at in [1, last] {
        let mut payload = packet.payload.to_vec();
        payload[at] ^= 0x20;
        let changed = Packet { payload: payload.into(), ..packet.clone() };
        assert!(pair.send_packet(&changed).is_empty());
    }
    assert_eq!(pair.send_packet(&packet).len(), 1);
}

/// R6940-6.4.2.1-02, R6940-6.4.2.1-04, R6940-6.4.2.2-02, R6940-6.4.2.2-03: Join and Leave are for
/// oneself and over a link of one's own.
#[test]
fn nobody_joins_or_leaves_for_others() {
    let mut pair = Pair::new();
    let other = NodeId::from_u128(5);
    let join = JoinReq { joining_peer_id: other, overlay_data: Vec::new() };
    let leave = LeaveReq { leaving_peer_id: other, overlay_data: Vec::new() };
    for (method, body) in [(Method::Join, join.to_bytes()), (Method::Leave, leave.to_bytes())] {
        let contents = MessageContents::new(method.request(), body.expect("short"));
        let header = pair.header();
        let error = pair.error(header, &contents);
        assert_eq!((error.code, error.info.is_empty()), (ErrorCode::FORBIDDEN, false));
    }
    let own = pair.signer.node_id;
    let leave = LeaveReq { leaving_peer_id: own, overlay_data: Vec::new() };
    let body = leave.to_bytes().expect("short");
    let contents = MessageContents::new(Method::Leave.request(), body);
    let via_list = vec![other.into()];
    let header = ForwardingHeader { via_list, transaction_id: TransactionId(78), ..pair.header() };
    assert_eq!(pair.error(header, &contents).code, ErrorCode::FORBIDDEN);
    assert_eq!(pair.net.peer(0).neighbors().1, [own], "still there");
}

/// R6940-6.3.2-11, T-12: an answer that is longer than the requester wants becomes an error.
#[test]
fn long_answers_are_not_sent() {
    let mut pair = Pair::new();
    let header = ForwardingHeader { max_response_length: 100, ..pair.header() };
    assert_eq!(pair.error(header, &ping()).code, ErrorCode::RESPONSE_TOO_LARGE);
}

/// R6940-6.3.1.1-05: an Update of an unknown type changes nothing and has no answer.
#[test]
fn an_unknown_update_is_dropped() {
    let mut pair = Pair::new();
    let contents = MessageContents::new(Method::Update.request(), vec![0, 0, 0, 1, 9]);
    let header = pair.header();
    assert!(pair.send(header, &contents).is_empty());
}

/// R6940-6.3.3.1-03: a method that nobody serves is answered with a reason.
#[test]
fn unknown_methods_have_an_answer() {
    let mut pair = Pair::new();
    let header = pair.header();
    let error = pair.error(header, &MessageContents::new(MessageCode(0x1234 | 1), vec![]));
    assert_eq!(error.code, ErrorCode::INVALID_MESSAGE);
    assert!(!error.info.is_empty());
}

/// R6940-6.2.1-07: a Store that comes twice is answered twice with the same bytes, and not
/// refused as too old.
#[test]
fn a_repeated_store_is_answered_again() {
    let mut net = Net::new(31);
    let resource = resource_id(b"user1@example.org");
    let position = resource.to_u128().expect("16 bytes");
    for offset in [1, 1 << 127] {
        let node = net.add_at(NodeId::from_u128(position.wrapping_add(offset)));
        match node {
            0 => {
                net.command(0, Command::Found);
            }
            _ => net.join(node, 0),
        }
        net.run(Duration::from_secs(5));
    }
    let spec = net.registration(1);
    net.ask(1, Command::Publish(spec)).expect("stored");
    let is_store = |t: &&Delivered| t.3 == Some(Method::Store.request()) && t.2 == 0;
    let id = net.trace.iter().find(is_store).expect("a Store").4.header.transaction_id;
    let parts = net.trace.iter().filter(|t| t.2 == 0 && t.4.header.transaction_id == id);
    let store: Vec<Packet> = parts.map(|t| t.4.clone()).collect();
    for packet in &store {
        net.inject(1, 0, packet.encode().expect("short"));
    }
    net.run(Duration::from_secs(1));
    let answers: Vec<_> =
        net.trace.iter().filter(|t| t.1 == 0 && t.4.header.transaction_id == id).collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0].3, Some(Method::Store.answer()));
    assert_eq!(answers[0].4.payload, answers[1].4.payload);
}

/// R6940-6.3.4-01, R6940-6.3.4-02, T-11: answers of others than those asked are not believed, be
/// they good or bad.
#[test]
fn forged_answers_are_ignored() {
    let mut net = Net::ring(32, 3);
    let nobody = NodeId::from_u128(net.id(2).to_u128() ^ 1);
    let far = ResourceId::from_u128(net.id(2).to_u128());
    for target in [Destination::from(nobody), far.into()] {
        net.loss_permille = 1000;
        let request = net.command(0, Command::Ping(target));
        net.run(Duration::from_millis(100));
        let id = net.last_transaction(0);
        let forger = CheapProvider.identity(net.id(1), net.user(1)).expect("an identity");
        for code in [Method::Ping.answer(), MessageCode::ERROR] {
            let header = ForwardingHeader {
                overlay: net.config.overlay,
                configuration_sequence: net.config.sequence,
                ttl: 100,
                fragment: Fragment::WHOLE,
                transaction_id: id,
                max_response_length: 0,
                via_list: Vec::new(),
                destination_list: vec![net.id(0).into()],
                options: Vec::new(),
            };
            let body = match code {
                MessageCode::ERROR => vec![0, 3, 0, 0],
                _ => vec![0; 16],
            };
            let contents = MessageContents::new(code, body);
            let packet = Packet::seal(header, &contents, &forger, &[]).expect("short");
            net.inject(1, 0, packet.encode().expect("short"));
        }
        let done = |net: &Net| {
            net.events.iter().any(|(_, e)| matches!(e, Event::Done(id, _) if *id == request))
        };
        assert!(!done(&net));
        net.run(Duration::from_secs(14));
        assert!(!done(&net), "it is still waiting");
        net.loss_permille = 0;
        net.run(Duration::from_secs(60));
    }
}
