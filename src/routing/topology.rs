//! What forwarding asks of an overlay algorithm (RFC 6940 §6.4.1).

use crate::base::{NodeId, ResourceId};

/// An overlay algorithm's view from one node. Positions are those of Node-IDs
/// ([`NodeId::to_u128`]) and Resource-IDs ([`ResourceId::to_u128`]), which share one space.
pub trait Topology {
    /// Whether we answer for this position: we are a peer, and no other peer that we know of is
    /// nearer to it.
    fn is_responsible(&self, position: u128) -> bool;

    /// Whether we answer for this resource. Nobody does for one that has no position.
    fn owns(&self, resource: &ResourceId) -> bool {
        resource.to_u128().is_some_and(|position| self.is_responsible(position))
    }

    /// The peer that is most likely to bring a message nearer to a position that is not ours;
    /// `None` if we know no peer or must not forward.
    fn next_hop(&self, position: u128) -> Option<NodeId>;

    /// Where a message for this position goes if `lost` is not there; to ourselves if we are
    /// responsible then.
    fn detour(&self, position: u128, lost: NodeId) -> Option<NodeId>;

    /// Who keeps copies of what we are responsible for, in the order of their replica numbers,
    /// which start at 1.
    fn replicas(&self) -> Vec<NodeId>;

    /// The peers next to us, each once.
    fn neighbors(&self) -> Vec<NodeId>;

    /// Whether an answer for `resource` may come from `node`: none of our neighbours is nearer
    /// to it (RFC 6940 §6.3.4), but for those of `lost`, which the request could not reach.
    fn may_answer(&self, resource: &ResourceId, node: NodeId, lost: &[NodeId]) -> bool;
}
