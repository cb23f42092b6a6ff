//! What a link has swallowed goes another way: the other side of a link does not acknowledge a
//! message, so the message is routed once more as if that node were not there. A request then
//! succeeds at its first transmission although a node on its way has just died.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::{NodeId, TransactionId};
use crate::message::{Destination, MessageCode, Method, Packet};
use crate::routing::{DropReason, Topology, message_code, next_node};

use super::Peer;
use super::api::{LinkAction, LinkId};

/// Messages and fragments that went another way lately.
#[derive(Debug, Default)]
pub(super) struct Detours(VecDeque<Detour>);

#[derive(Debug)]
struct Detour {
    part: Part,
    /// Whom it goes around, unless it only goes over another link to the same node.
    around: Option<NodeId>,
}

/// What a message or fragment is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    transaction_id: TransactionId,
    offset: u32,
    is_answer: bool,
}

impl Detours {
    /// The nodes that a request of ours could not reach.
    pub(super) fn around(&self, request: TransactionId) -> Vec<NodeId> {
        let is_it = |part: Part| part.transaction_id == request && !part.is_answer;
        self.0.iter().filter(|d| is_it(d.part)).filter_map(|d| d.around).collect()
    }

    /// How often something has gone another way.
    fn count(&self, part: Part) -> usize {
        self.0.iter().filter(|d| d.part == part).count()
    }

    /// Notes that something goes another way; `false` if it has done so often enough.
    fn note(&mut self, part: Part, around: Option<NodeId>) -> bool {
        if self.count(part) >= DETOURS_MAX {
            return false;
        }
        if self.0.len() >= NOTED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Detour { part, around });
        true
    }
}

impl Peer {
    /// The other side of a link has not acknowledged a message.
    pub(super) fn undelivered(&mut self, link: LinkId, bytes: &Bytes) {
        let Some(lost) = self.links.open(link).map(|open| open.node) else { return };
        let Ok(packet) = Packet::decode(bytes, self.config.node_id_length) else { return };
        let part = self.part(&packet);
        // Of two links to a node one may end, and the node is still there. If it is not, that
        // shows on the second one.
        let other = self.links.other_way(lost, link).filter(|_| self.detours.count(part) == 0);
        if let Some(other) = other {
            self.detours.note(part, None);
            self.counters.rerouted += 1;
            return self.act(other, LinkAction::Send(bytes.clone()));
        }
        let way = self.other_way(packet, part.is_answer, lost);
        let Some((next, mut packet)) = way.filter(|_| self.detours.note(part, Some(lost))) else {
            return self.drop_message(DropReason::Undelivered);
        };
        self.counters.rerouted += 1;
        if next == self.identity.node_id {
            let previous = packet.header.via_list.pop().and_then(|entry| entry.node());
            self.deliver(packet, previous.unwrap_or(next));
        } else {
            self.send(next, &packet);
        }
    }

    /// Where a message goes instead, never back to `lost`. To ourselves only what we can answer
    /// in place of `lost`.
    fn other_way(
        &self,
        mut packet: Packet,
        is_answer: bool,
        lost: NodeId,
    ) -> Option<(NodeId, Packet)> {
        let own = self.identity.node_id;
        let list = &mut packet.header.destination_list;
        let is_ours = !is_answer && packet.header.via_list.is_empty();
        if is_ours && list.len() > 1 && *list.first()? == Destination::Node(lost) {
            // We have named it only as it was on our way.
            list.remove(0);
        }
        let list = &packet.header.destination_list;
        let is_for_lost = *list.first()? == Destination::Node(lost);
        if is_for_lost && is_answer && list.len() > 1 {
            // The nodes before it on the way back will do as well (§6.2.2, "loose routing").
            packet.header.destination_list.remove(0);
            let first = packet.header.destination_list.first()?;
            let next = next_node(first.view(), own, |n| self.links.has(n), &self.chord).ok();
            return next.filter(|n| *n != lost && *n != own).map(|n| (n, packet));
        }
        let next = self.chord.detour(list.first()?.position()?, lost)?;
        if is_for_lost && (next == own || is_for_link(&packet)) {
            return None;
        }
        if next == own {
            let Destination::Resource(resource) = list.first()? else { return None };
            let is_fetch = message_code(&packet) == Some(Method::Fetch.request());
            if !is_fetch || !self.storage.holds(resource) {
                return None;
            }
            // As a holder of a copy we answer in our own name.
            packet.header.destination_list = vec![own.into()];
        }
        Some((next, packet))
    }

    fn part(&self, packet: &Packet) -> Part {
        let transaction_id = packet.header.transaction_id;
        let is_answer = match message_code(packet) {
            Some(code) => !code.is_request(),
            // Later parts do not say. Requests on their way have a via list, and ours we know.
            None => {
                packet.header.via_list.is_empty()
                    && self.transactions.pending(transaction_id).is_none()
            }
        };
        Part { transaction_id, offset: packet.header.fragment.offset, is_answer }
    }
}

/// Whether a request counts only if it comes over a link with its sender (RFC 6940 §13.6.3).
fn is_for_link(packet: &Packet) -> bool {
    let direct = [Method::Join, Method::Leave, Method::Update].map(Method::request);
    message_code(packet).is_some_and(|code: MessageCode| direct.contains(&code))
}

// limits

/// Other ways for one message: the second best node may just have died as well.
const DETOURS_MAX: usize = 2;
/// Messages noted; many more than one dead node swallows before its link is down.
const NOTED_MAX: usize = 64;
