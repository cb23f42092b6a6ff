//! What somebody keeps who need not, while its owner lacks it.

use std::time::Duration;

use super::holders::{copy_at, line, peer, put_back, registered, resource_of};
use super::net::Net;
use crate::base::ResourceId;
use crate::message::KindId;
use crate::peer::Command;
use crate::storage::StoreCopy;

/// A ring in which only the peer at place 12 behind its owner keeps a registration, whose user
/// cannot store it once more; and the places.
fn kept_far_away(seed: u64) -> (Net, ResourceId, Vec<usize>) {
    let mut net = registered(seed, 24);
    let resource = resource_of(&net, 5);
    net.kill(5);
    net.run(Duration::from_secs(200));
    let line = line(&net, &resource);
    let copy = copy_at(&mut net, line[0], &resource).expect("a registration");
    for node in &line[..3] {
        peer(&mut net, *node).storage.remove(&resource);
    }
    put_back(&mut net, line[12], &copy);
    (net, resource, line)
}

/// R6940-6.4.2.3-02: what only a peer far behind its owner keeps, as those between have lost it, is
/// with its owner and the replicas again once the ring changes next to that peer, which drops it
/// only then.
#[test]
fn what_its_owner_lacks_comes_from_far_away() {
    let (mut net, resource, line) = kept_far_away(65);
    let far = line[12];
    net.kill(line[13]);
    net.run(Duration::from_secs(40));
    for node in &line[..3] {
        assert!(net.peer(*node).storage().holds(&resource), "{node}");
    }
    assert!(net.peer(far).storage().holds(&resource), "nothing is dropped at once");
    net.run(Duration::from_secs(200));
    assert!(!net.peer(far).storage().holds(&resource), "it need not keep it");
}

/// R6940-6.4.2.3-02: the same for a Kind of which the owner has nothing, while it has others.
#[test]
fn a_kind_that_its_owner_lacks_comes_from_far_away() {
    let (mut net, resource, line) = kept_far_away(65);
    let mut copy = copy_at(&mut net, line[12], &resource).expect("a registration");
    copy.request.kinds.retain(|data| data.kind != KindId::SIP_REGISTRATION);
    assert!(!copy.request.kinds.is_empty());
    put_back(&mut net, line[0], &copy);
    assert!(!net.peer(line[0]).storage().holds_kind(&resource, KindId::SIP_REGISTRATION));
    net.kill(line[13]);
    net.run(Duration::from_secs(40));
    assert!(net.peer(line[0]).storage().holds_kind(&resource, KindId::SIP_REGISTRATION));
}

/// R6940-6.4.2.3-02: what is newer far behind its owner than with the owner, as after a partition,
/// is fetched by the owner, who takes no copies from there; whether the one behind knows who the
/// owner is, or is too far away for that.
#[test]
fn what_its_owner_has_in_an_older_version_comes_from_behind() {
    for (far, next) in [(6, 7), (12, 13)] {
        let mut net = registered(67, 24);
        let resource = resource_of(&net, 5);
        let first = line(&net, &resource)[0];
        let old = copy_at(&mut net, first, &resource).expect("a registration");
        net.run(Duration::from_secs(1));
        let again = net.registration(5);
        net.ask(5, Command::Publish(again)).expect("stored");
        net.kill(5);
        net.run(Duration::from_secs(200));
        let line = line(&net, &resource);
        let new = copy_at(&mut net, line[0], &resource).expect("a registration");
        for node in &line[..3] {
            put_back(&mut net, *node, &old);
            assert!(!is_as_new_as(&mut net, *node, &new), "{node}");
        }
        put_back(&mut net, line[far], &new);
        net.kill(line[next]);
        net.run(Duration::from_secs(40));
        for node in &line[..3] {
            assert!(is_as_new_as(&mut net, *node, &new), "{node} of {far}");
        }
        net.run(Duration::from_secs(200));
        assert!(!net.peer(line[far]).storage().holds(&resource), "it need not keep it");
    }
}

/// Whether a node has all of a copy, or newer.
fn is_as_new_as(net: &mut Net, node: usize, copy: &StoreCopy) -> bool {
    let now = net.clock();
    peer(net, node).storage.is_as_new_as(now, &copy.request)
}

/// What nobody takes is not dropped.
#[test]
fn what_its_owner_does_not_take_stays() {
    let (mut net, resource, line) = kept_far_away(66);
    let far = line[12];
    for node in &line[..3] {
        net.unheard.insert((*node, crate::message::Method::Stat));
    }
    net.kill(line[13]);
    net.run(Duration::from_secs(300));
    assert!(net.peer(far).storage().holds(&resource));
}
