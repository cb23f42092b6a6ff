//! What must hold whatever happens. Each check looks at the peers from outside and gives a line
//! for everything that it finds wrong.

use super::limits;
use super::world::World;
use crate::base::ResourceId;
use crate::crypto::{CheapProvider, Provider};
use crate::message::{KindId, StoredData};
use crate::peer::Peer;
use crate::storage::{Kept, resource_id};

/// Values in peers' storages that their access control forbids or whose signature does not hold.
pub(super) fn forbidden(world: &World) -> Vec<String> {
    let of_peer = |(number, peer): (u32, &Peer)| -> Vec<String> {
        let kept = peer.storage().kept();
        let bad = kept.filter(|(resource, kept)| !is_allowed(resource, kept));
        bad.map(|(resource, kept)| {
            format!("peer={number} holds kind={} at {resource}", kept.kind.0)
        })
        .collect()
    };
    world.peers().flat_map(of_peer).collect()
}

/// Tables and queues of a peer that hold more than they may.
pub(super) fn over_bounds(number: u32, peer: &Peer) -> Vec<String> {
    let over = peer.loads().into_iter().filter(|load| load.count > load.max);
    over.map(|load| format!("peer={number} {}={} of {}", load.name, load.count, load.max)).collect()
}

/// Joined peers whose neighbours are not those that they should have.
pub(super) fn ring(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for number in world.ring.peers() {
        let Some(peer) = world.peer(number) else { continue };
        let own = peer.node_id().to_u128();
        let (predecessors, successors) = peer.neighbors();
        let least = limits::NEIGHBORS_MIN.min(world.ring.len() - 1);
        let mut after = world.ring.from(own.wrapping_add(1));
        let mut before = world.ring.before(own);
        for (side, list, truth) in [
            ("successors", successors, &mut after as &mut dyn Iterator<Item = (u128, u32)>),
            ("predecessors", predecessors, &mut before),
        ] {
            let there: Vec<Option<u32>> =
                list.iter().map(|node| world.ring.at(node.to_u128())).collect();
            let is_walled = |a, b| world.network.is_walled(a, b);
            // Neighbours tell of each other; whom none of them can reach remains unknown.
            let is_known =
                |other: u32| there.iter().flatten().any(|n| *n == other || !is_walled(*n, other));
            let reached = truth.map(|(_, other)| other).filter(|o| !is_walled(number, *o));
            let expected: Vec<u32> =
                reached.filter(|o| is_known(*o)).take(list.len().max(least)).collect();
            if !there.iter().copied().eq(expected.iter().copied().map(Some)) {
                wrong.push(format!("peer={number} {side}={there:?} expected={expected:?}"));
            }
        }
    }
    wrong
}

/// Whether a peer cannot join, as it cannot be linked to any that could admit it.
pub(super) fn is_shut_out(world: &World, number: u32) -> bool {
    let place = world.identity(number).node_id.to_u128();
    let mut behind = world.ring.from(place.wrapping_add(1)).take(limits::ADMITTING);
    behind.all(|(_, admitting)| world.network.is_walled(number, admitting))
}

/// The rules of RFC 6940 §7.3 for the Kinds of our overlays, written down a second time.
fn is_allowed(resource: &ResourceId, kept: &Kept<'_>) -> bool {
    let (kind, signer, value) = (kept.kind, kept.signer(), kept.value());
    let Some(signature) = kept.signature() else { return false };
    let identity = &signature.identity;
    let Some(node) = signer.named_by(identity) else { return false };
    let of_user = || *resource == resource_id(signer.user_name.as_bytes());
    let may = match kind {
        KindId::SIP_REGISTRATION => of_user() && kept.key() == Some(node.as_bytes()),
        KindId::CERTIFICATE_BY_USER => of_user(),
        KindId::CERTIFICATE_BY_NODE => *resource == resource_id(node.as_bytes()),
        _ => false,
    };
    let time = kept.storage_time_ms();
    let input = StoredData::signature_input(resource, kind, time, &value, identity);
    may && CheapProvider.verify(signer, signature.algorithm, &input, &signature.value)
}
