//! What forwarding asks of an overlay algorithm (RFC 6940 §6.4.1).

use crate::base::{NodeId, ResourceId};
use crate::message::Destination;

/// An overlay algorithm's view from one node.
pub trait Topology {
    /// Whether we answer for this entry of a destination list: we are a peer, and no other peer
    /// that we know of is nearer to it. Node-IDs and Resource-IDs share one space.
    fn is_responsible(&self, entry: &Destination) -> bool;

    /// The peer that is most likely to bring a message nearer to an entry that is not ours;
    /// `None` if we know no peer or must not forward.
    fn next_hop(&self, entry: &Destination) -> Option<NodeId>;

    /// Who keeps copies of what we are responsible for, in the order of their replica numbers,
    /// which start at 1.
    fn replicas(&self) -> &[NodeId];

    /// The peers next to us, each once.
    fn neighbors(&self) -> Vec<NodeId>;

    /// Whether an answer for `resource` may come from `node`: none of our neighbours is nearer
    /// to it (RFC 6940 §6.3.4).
    fn may_answer(&self, resource: &ResourceId, node: NodeId) -> bool;
}
