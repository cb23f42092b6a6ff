//! Joining, storing, leaving, and what is left after losses.

use std::time::Duration;

use super::net::Net;
use crate::message::APPLICATION_SIP;
use crate::peer::*;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn publish_all(net: &mut Net) {
    for node in net.joined() {
        let spec = net.registration(node);
        let stored = net.ask(node, Command::Publish(spec));
        assert!(matches!(stored, Ok(Answer::Stored { .. })), "{node}: {stored:?}");
    }
}

fn assert_all_found(net: &mut Net, owners: &[usize]) {
    for from in net.joined() {
        for of in owners {
            let fetched = net.fetch(from, *of).expect("an answer");
            assert_eq!(fetched.values.len(), 1, "{from} looks for {of}");
            assert_eq!(fetched.values[0].signer_node_id, net.id(*of));
            assert!(!fetched.partial);
        }
    }
}

#[test]
fn two_peers_are_a_ring() {
    let mut net = Net::ring(1, 2);
    assert_eq!(net.joined(), [0, 1]);
    net.assert_ring(3);
    publish_all(&mut net);
    assert_all_found(&mut net, &[0, 1]);
}

#[test]
fn eight_peers_find_each_other() {
    let mut net = Net::ring(2, 8);
    assert_eq!(net.joined().len(), 8);
    net.assert_ring(3);
    publish_all(&mut net);
    assert_all_found(&mut net, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let answer = net.ask(3, Command::AppAttach(net.id(6), APPLICATION_SIP));
    assert!(matches!(answer, Ok(Answer::AppLink { .. })), "{answer:?}");
    let rang = net.events.iter().any(|(node, event)| {
        *node == 6 && matches!(event, Event::AppLink { application: APPLICATION_SIP, .. })
    });
    assert!(rang);
    net.run(seconds(1));
}
