//! What peers do for each other beside: knocks, and credentials of relays.

use std::sync::Arc;
use std::time::Duration;

use super::net::Net;
use crate::base::NodeId;
use crate::peer::{Answer, Command, Event, RequestError};
use crate::usage::Lender;

/// Gives out what it was asked, and whose it is.
#[derive(Debug)]
struct Echo;

impl Lender for Echo {
    fn grant(&self, node_id: NodeId, _: u64, question: &[u8]) -> Option<Vec<u8>> {
        (!question.is_empty()).then(|| [node_id.as_bytes(), question].concat())
    }
}

/// T-42: credentials are of who lends, for who has signed the question; who lends nothing, and who
/// does not know the question, answers as to any Ping.
#[test]
fn credentials_come_from_who_lends() {
    let mut net = Net::ring(91, 6);
    let ask = |to: NodeId, question: &[u8]| Command::AskRelay(to.into(), question.to_vec());
    let (lender, other) = (net.id(3), net.id(4));
    net.command(3, Command::Lend(Some(Arc::new(Echo))));
    let answer = net.ask(1, ask(lender, b"hello"));
    let Ok(Answer::Favored { node_id, answer }) = answer else { panic!("{answer:?}") };
    assert_eq!(node_id, lender);
    assert_eq!(answer, [net.id(1).as_bytes(), b"hello"].concat());
    let refused = |answer: Result<Answer, _>| answer.err() == Some(RequestError::NotDone);
    assert!(refused(net.ask(1, ask(other, b"hello"))));
    assert!(refused(net.ask(1, ask(lender, b""))));
    net.command(3, Command::Lend(None));
    assert!(refused(net.ask(1, ask(lender, b"hello"))));
}

/// T-43: a peer knocks where it is asked to, and not so often that it floods somebody.
#[test]
fn a_peer_knocks_where_it_is_asked_to() {
    let mut net = Net::ring(92, 6);
    let address = "203.0.113.7:6084".parse().expect("an address");
    let place = net.id(3);
    let mut done = 0;
    for number in 0..20 {
        let ask = Command::AskKnock(place.into(), address, [number; 12]);
        done += usize::from(net.ask(1, ask).is_ok());
    }
    let knocks = |net: &Net| {
        let events = net.events.iter().filter(|(node, _)| *node == 3);
        events.filter(|(_, event)| matches!(event, Event::Knock(at, _) if *at == address)).count()
    };
    assert_eq!(knocks(&net), done);
    assert!((1..20).contains(&done), "{done}");
    net.run(Duration::from_secs(1));
    net.ask(1, Command::AskKnock(place.into(), address, [99; 12])).expect("knocks again");
    assert_eq!(knocks(&net), done + 1);
}
