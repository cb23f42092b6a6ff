//! What to do with a message that arrives (RFC 6940 §6.1), decided from its forwarding header
//! alone: signatures are for the destination to check.

use crate::base::{NodeId, TransactionId};
use crate::message::{
    Destination, ErrorCode, ForwardingHeader, ForwardingOption, Fragment, MessageCode, Packet,
};

use super::drop_reason::DropReason;
use super::topology::Topology;

/// What a header is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// This node.
    pub own: NodeId,
    /// The overlay's hash.
    pub overlay: u32,
    /// The highest TTL that a message may arrive with.
    pub ttl_max: u8,
    /// The largest payload in bytes.
    pub payload_max: usize,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is for us.
    Deliver(Packet),
    /// It goes on to this node, which is linked to us, with lists and TTL brought up to date.
    Forward(NodeId, Packet),
    /// Its sender is told that it cannot go on. Only requests are refused (T-10).
    Refuse(ForwardingHeader, ErrorCode),
    /// It vanishes.
    Drop(DropReason),
}

/// The code of a message, or `None` in a later fragment.
pub fn message_code(packet: &Packet) -> Option<MessageCode> {
    let first = packet.header.fragment.offset == 0;
    match (first, packet.payload.get(..2)) {
        (true, Some(&[high, low])) => Some(MessageCode(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// Decides about a message that came from `previous`. `is_linked` tells whether a node has a link
/// to us, as peer or as client (the Connection Table).
pub fn examine(
    mut packet: Packet,
    previous: NodeId,
    gate: &Gate,
    is_linked: impl Fn(NodeId) -> bool,
    topology: &impl Topology,
) -> Verdict {
    if let Err(problem) = check(&packet, gate) {
        return problem.verdict(packet);
    }
    let list = &mut packet.header.destination_list;
    let own = list.iter().take_while(|d| **d == Destination::Node(gate.own)).count();
    if own > 0 && own == list.len() {
        list.truncate(1);
        return Verdict::Deliver(packet);
    }
    list.drain(..own);
    let Some(first) = list.first() else {
        return Verdict::Drop(DropReason::DestinationList);
    };
    let is_last = list.len() == 1;
    match first {
        Destination::Node(id) if id.is_wildcard() => return Verdict::Deliver(packet),
        Destination::Resource(resource) if topology.owns(resource) => {
            return match is_last {
                true => Verdict::Deliver(packet),
                false => Verdict::Drop(DropReason::DestinationList),
            };
        }
        Destination::Node(_) | Destination::Resource(_) | Destination::Opaque(_) => {}
    }
    match next_node(first, gate.own, is_linked, topology) {
        Ok(next) => forward(packet, previous, next),
        Err(reason) => Verdict::Drop(reason),
    }
}

/// Where a message with this first destination goes next, by link or by topology; to ourselves
/// if we are meant (RFC 6940 §6.1.2, §6.2.1).
pub fn next_node(
    first: &Destination,
    own: NodeId,
    is_linked: impl Fn(NodeId) -> bool,
    topology: &impl Topology,
) -> Result<NodeId, DropReason> {
    let node = match first {
        Destination::Node(id) => *id,
        Destination::Resource(id) => NodeId::from_u128(id.to_u128().ok_or(DropReason::NoRoute)?),
        Destination::Opaque(_) => return Err(DropReason::Opaque),
    };
    let is_resource = matches!(first, Destination::Resource(_));
    let position = node.to_u128();
    let is_ours = topology.is_responsible(position);
    match is_resource {
        false if node == own => Ok(own),
        true if is_ours => Ok(own),
        _ if is_linked(node) => Ok(node),
        _ if is_ours => Err(DropReason::NoSuchNode),
        _ => topology.next_hop(position).ok_or(DropReason::NoRoute),
    }
}

/// The header of our answer to a request with `header` that came from `previous`: back through
/// the same nodes (RFC 6940 §6.1.2, §6.2.2, T-44).
pub fn answer_header(
    header: &ForwardingHeader,
    previous: NodeId,
    configuration_sequence: u16,
    ttl: u8,
) -> ForwardingHeader {
    let back = header.via_list.iter().rev().cloned();
    let copied = header
        .options
        .iter()
        .filter(|o| o.flags & ForwardingOption::RESPONSE_COPY != 0)
        .map(|o| ForwardingOption { flags: 0, ..o.clone() });
    ForwardingHeader {
        overlay: header.overlay,
        configuration_sequence,
        ttl,
        fragment: Fragment::WHOLE,
        transaction_id: TransactionId(header.transaction_id.0),
        max_response_length: 0,
        via_list: Vec::new(),
        destination_list: std::iter::once(previous.into()).chain(back).collect(),
        options: copied.collect(),
    }
}

/// What is wrong with a message before anybody looks where it goes.
enum Problem {
    Drop(DropReason),
    Refuse(ErrorCode),
}

impl Problem {
    fn verdict(self, packet: Packet) -> Verdict {
        match self {
            Self::Refuse(code) => refuse(packet, code),
            Self::Drop(reason) => Verdict::Drop(reason),
        }
    }
}

fn check(packet: &Packet, gate: &Gate) -> Result<(), Problem> {
    let header = &packet.header;
    if header.overlay != gate.overlay {
        return Err(Problem::Drop(DropReason::Overlay));
    }
    if header.ttl > gate.ttl_max {
        return Err(Problem::Refuse(ErrorCode::TTL_EXCEEDED));
    }
    let end = header.fragment.offset as usize + packet.payload.len();
    if end > gate.payload_max {
        return Err(Problem::Refuse(ErrorCode::MESSAGE_TOO_LARGE));
    }
    let list = &header.destination_list;
    let resources_before_the_end =
        list.iter().rev().skip(1).any(|d| matches!(d, Destination::Resource(_)));
    if list.is_empty() || resources_before_the_end {
        return Err(Problem::Drop(DropReason::DestinationList));
    }
    if message_code(packet).is_some_and(|code| !code.is_request()) {
        return match header.options.iter().any(|o| o.flags & ALL_FLAGS != 0) {
            true => Err(Problem::Drop(DropReason::AnswerFlags)),
            false => Ok(()),
        };
    }
    // Reversed via lists may name a node twice; the lists of requests may not (T-13).
    let is_request = message_code(packet).is_some();
    let twice = list.iter().enumerate().any(|(i, d)| list[..i].contains(d));
    if is_request && twice {
        return Err(Problem::Refuse(ErrorCode::INVALID_MESSAGE));
    }
    Ok(())
}

fn forward(mut packet: Packet, previous: NodeId, next: NodeId) -> Verdict {
    if packet.header.ttl == 0 {
        return refuse(packet, ErrorCode::TTL_EXCEEDED);
    }
    // We know no options at all.
    let critical = ForwardingOption::FORWARD_CRITICAL;
    if packet.header.options.iter().any(|o| o.flags & critical != 0) {
        return refuse(packet, ErrorCode::UNSUPPORTED_FORWARDING_OPTION);
    }
    packet.header.ttl -= 1;
    if message_code(&packet).is_none_or(MessageCode::is_request) {
        packet.header.via_list.push(previous.into());
    }
    Verdict::Forward(next, packet)
}

fn refuse(packet: Packet, code: ErrorCode) -> Verdict {
    match message_code(&packet) {
        Some(message) if message.is_request() => Verdict::Refuse(packet.header, code),
        _ => Verdict::Drop(DropReason::NotRefusable),
    }
}

const ALL_FLAGS: u8 = ForwardingOption::FORWARD_CRITICAL
    | ForwardingOption::DESTINATION_CRITICAL
    | ForwardingOption::RESPONSE_COPY;

#[cfg(test)]
mod tests;
