//! Connections for applications, by AppAttach.

use std::time::Duration;

use super::net::{Delivered, Net};
use crate::base::{Encode, NodeId};
use crate::crypto::CheapProvider;
use crate::message::{
    APPLICATION_SIP, APPLICATION_SIPS, AppAttach, ErrorCode, ForwardingHeader, Fragment,
    MessageContents, Method, Packet, ROLE_ACTIVE,
};
use crate::peer::*;

/// R6940-6.5.2.2-01, R6940-6.5.2.2-02, R6940-6.5.2.2-03: a connection for SIP, and for nothing
/// that we do not have.
#[test]
fn applications_are_connected() {
    let mut net = Net::ring(2, 8);
    let answer = net.ask(3, Command::AppAttach(vec![net.id(6).into()], APPLICATION_SIP));
    let Ok(Answer::AppLink { certificate, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(certificate.node_ids[0], net.id(6));
    let rang = net.events.iter().any(|(node, event)| {
        *node == 6
            && matches!(event, Event::AppLink { application: APPLICATION_SIP, certificate, .. }
                if certificate.node_ids[0] == net.id(3))
    });
    assert!(rang);
    let answer = net.ask(3, Command::AppAttach(vec![net.id(6).into()], 61500));
    assert!(matches!(answer, Err(RequestError::Refused(ErrorCode::NOT_FOUND))));
    // R6940-6.1.1-05: nobody has this Node-ID, so nobody answers.
    let nobody = NodeId::from_u128(net.id(6).to_u128() ^ 1);
    let answer = net.ask(3, Command::AppAttach(vec![nobody.into()], APPLICATION_SIP));
    assert!(matches!(answer, Err(RequestError::Timeout)));
}

/// R7904-5.1-07: who has SIPS alone refuses connections for SIP.
#[test]
fn an_application_that_is_not_had_is_refused() {
    let mut net = Net::ring(2, 8);
    net.command(6, Command::Applications(vec![APPLICATION_SIPS]));
    let answer = net.ask(3, Command::AppAttach(vec![net.id(6).into()], APPLICATION_SIP));
    assert!(matches!(answer, Err(RequestError::Refused(ErrorCode::NOT_FOUND))), "{answer:?}");
    let answer = net.ask(3, Command::AppAttach(vec![net.id(6).into()], APPLICATION_SIPS));
    assert!(matches!(answer, Ok(Answer::AppLink { .. })), "{answer:?}");
}

/// R7904-6-02: a connection follows the whole destination list, which goes through another peer.
#[test]
fn a_connection_follows_its_destination_list() {
    let mut net = Net::ring(2, 8);
    let way = vec![net.id(5).into(), net.id(6).into()];
    let begin = net.trace.len();
    let answer = net.ask(3, Command::AppAttach(way, APPLICATION_SIP));
    let Ok(Answer::AppLink { certificate, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(certificate.node_ids[0], net.id(6));
    let is_request = |t: &&Delivered| t.3 == Some(Method::AppAttach.request());
    let nodes: Vec<_> = net.trace[begin..].iter().filter(is_request).map(|t| t.2).collect();
    assert!(nodes.contains(&5) && nodes.last() == Some(&6), "{nodes:?}");
}

/// R7904-5.1-02: whoever answers in the place of the last node of the list gets no connection.
#[test]
fn another_node_gets_no_connection() {
    let mut net = Net::ring(2, 8);
    let request = net.command(3, Command::AppAttach(vec![net.id(6).into()], APPLICATION_SIP));
    let is_request = |t: &&Delivered| t.1 == 3 && t.3 == Some(Method::AppAttach.request());
    let begin = net.trace.len();
    while !net.trace[begin..].iter().any(|t| is_request(&t)) {
        net.run(Duration::from_millis(1));
    }
    let sent = net.trace[begin..].iter().find(is_request).expect("an AppAttach");
    let transaction_id = sent.4.header.transaction_id;
    let body = AppAttach {
        ufrag: b"forger".to_vec(),
        password: b"0123456789abcdefghijkl".to_vec(),
        application: APPLICATION_SIP,
        role: ROLE_ACTIVE.to_vec(),
        candidates: Vec::new(),
    };
    let forger = CheapProvider.identity(net.id(7), net.user(7)).expect("an identity");
    let header = ForwardingHeader {
        overlay: net.config.overlay,
        configuration_sequence: net.config.sequence,
        ttl: 100,
        fragment: Fragment::WHOLE,
        transaction_id,
        max_response_length: 0,
        via_list: Vec::new(),
        destination_list: vec![net.id(3).into()],
        options: Vec::new(),
    };
    let body = body.to_bytes().expect("short");
    let contents = MessageContents::new(Method::AppAttach.answer(), body);
    let packet = Packet::seal(header, &contents, &forger, &[]).expect("short");
    let ignored = net.peer(3).counters().dropped();
    net.inject(7, 3, packet.encode().expect("short"));
    assert_eq!(net.peer(3).counters().dropped() - ignored, 1);
    net.run(Duration::from_secs(5));
    let results: Vec<_> = net
        .events
        .iter()
        .filter_map(|(node, event)| match event {
            Event::Done(id, result) if (*node, *id) == (3, request) => Some(result),
            _ => None,
        })
        .collect();
    let [Ok(Answer::AppLink { certificate, .. })] = results[..] else { panic!("{results:?}") };
    assert_eq!(certificate.node_ids[0], net.id(6));
}
