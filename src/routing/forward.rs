//! What to do with a message that arrives (RFC 6940 §6.1), decided from its forwarding header
//! alone, where it stands: signatures are for the destination to check, and a decision allocates
//! nothing.

use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Encode, Instant, NodeId, Rng, TransactionId};
use crate::message::{
    Destination, DestinationView, ErrorCode, ForwardingHeader, ForwardingOption, Fragment,
    HeaderView, ListView, MessageCode, Packet,
};

use super::drop_reason::DropReason;
use super::return_paths::ReturnPaths;
use super::topology::Topology;

/// What a header is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The time.
    pub now: Instant,
    /// This node.
    pub own: NodeId,
    /// What the node that the message comes from takes us for, where it cannot know: before an
    /// Attach, the first Node-ID of our certificate.
    pub alias: NodeId,
    /// Whether we forward: clients do not (RFC 6940 §4.2).
    pub forwards: bool,
    /// Whether messages of other overlays are answered with an error or with silence: local
    /// policy (RFC 6940 §6.1).
    pub is_verbose: bool,
    /// The overlay's hash.
    pub overlay: u32,
    /// The highest TTL that a message may arrive with.
    pub ttl_max: u8,
    /// The largest payload in bytes.
    pub payload_max: usize,
}

/// What becomes of a message.
#[derive(Clone, Debug)]
pub enum Verdict<'a> {
    /// It is for us, with this destination list.
    Deliver(Route<'a>),
    /// It goes on to this node, which is linked to us, with this destination list.
    Forward(NodeId, Route<'a>),
    /// Its sender is told that it cannot go on. Only requests are refused (T-10).
    Refuse(ErrorCode),
    /// It vanishes.
    Drop(DropReason),
}

/// A destination list without what we have dealt with.
#[derive(Clone, Debug)]
pub struct Route<'a> {
    /// What an opaque ID of ours stood for, encoded.
    expanded: Option<Arc<[u8]>>,
    rest: ListView<'a>,
}

impl Route<'_> {
    /// The list by itself.
    pub fn to_vec(&self, node_id_length: usize) -> Vec<Destination> {
        let expanded = self.expanded.as_deref().unwrap_or_default();
        let expanded = ListView::new(expanded, node_id_length).map(ListView::to_vec);
        let mut list = expanded.unwrap_or_default();
        list.extend(self.rest.iter().map(DestinationView::to_destination));
        list
    }
}

/// The code of a message, or `None` in a later fragment.
pub fn message_code(packet: &Packet) -> Option<MessageCode> {
    let first = packet.header.fragment.offset == 0;
    match (first, packet.payload.get(..2)) {
        (true, Some(&[high, low])) => Some(MessageCode(u16::from_be_bytes([high, low]))),
        _ => None,
    }
}

/// Decides about a message. `is_linked` tells whether a node has a link to us, as peer or as
/// client (the Connection Table).
pub fn examine<'a>(
    message: &HeaderView<'a>,
    gate: &Gate,
    paths: &ReturnPaths,
    is_linked: impl Fn(NodeId) -> bool,
    topology: &impl Topology,
) -> Verdict<'a> {
    if let Err(verdict) = check(message, gate) {
        return verdict;
    }
    let is_own = |id: NodeId| id == gate.own || id == gate.alias;
    let mut list = message.destination_list();
    let (first, rest) = loop {
        match list.split_first() {
            None => return Verdict::Drop(DropReason::DestinationList),
            Some((DestinationView::Node(id), rest)) if is_own(id) && !rest.is_empty() => {
                list = rest;
            }
            Some(first) => break first,
        }
    };
    match first {
        DestinationView::Node(id) if is_own(id) || id.is_wildcard() => {
            return Verdict::Deliver(Route { expanded: None, rest: list });
        }
        DestinationView::Opaque(id) => {
            let Some(expanded) = paths.expand(gate.now, id) else {
                return Verdict::Drop(DropReason::Opaque);
            };
            let first = ListView::new(&expanded, gate.own.as_bytes().len()).ok();
            let first = first.and_then(ListView::split_first).map(|(first, _)| first);
            let next = match first {
                // Lists begin with the node that a request came from, which is none of us.
                Some(first) => next_node(first, gate.own, is_linked, topology),
                None => Err(DropReason::Opaque),
            };
            return go_on(message, gate, next, Route { expanded: Some(expanded), rest });
        }
        DestinationView::Node(_) | DestinationView::Resource(_) => {}
    }
    let next = next_node(first, gate.own, is_linked, topology);
    go_on(message, gate, next, Route { expanded: None, rest: list })
}

/// Where a message with this first destination goes next, by link or by topology; to ourselves
/// if we are meant (RFC 6940 §6.1.2, §6.2.1).
pub fn next_node(
    first: DestinationView<'_>,
    own: NodeId,
    is_linked: impl Fn(NodeId) -> bool,
    topology: &impl Topology,
) -> Result<NodeId, DropReason> {
    let next_hop = |position| topology.next_hop(position).ok_or(DropReason::NoRoute);
    match first {
        DestinationView::Node(node) if node == own || is_linked(node) => Ok(node),
        DestinationView::Node(node) => match node.to_u128() {
            position if topology.is_responsible(position) => Err(DropReason::NoSuchNode),
            position => next_hop(position),
        },
        DestinationView::Resource(_) => match first.position().ok_or(DropReason::NoRoute)? {
            position if topology.is_responsible(position) => Ok(own),
            // §10.3: a node with that very ID, even one that is no peer.
            position if is_linked(NodeId::from_u128(position)) => Ok(NodeId::from_u128(position)),
            position => next_hop(position),
        },
        DestinationView::Opaque(_) => Err(DropReason::Opaque),
    }
}

/// The message that goes on, by the verdict to forward it along `route`. A request remembers that
/// it came from `previous`: in its via list, or, if that has become long, in `paths`
/// (RFC 6940 §6.1.2). `None` if its lists have no room for more.
pub fn pass_on(
    message: &HeaderView<'_>,
    previous: NodeId,
    route: &Route<'_>,
    now: Instant,
    paths: &mut ReturnPaths,
    rng: &mut Rng,
) -> Option<Bytes> {
    let destinations = [route.expanded.as_deref().unwrap_or_default(), route.rest.bytes()];
    let ttl = message.ttl().checked_sub(1)?;
    let via_list = message.via_list();
    if message.message_code().is_some_and(|code| !code.is_request()) {
        return message.rewrite(ttl, [via_list.bytes(), &[]], destinations);
    }
    let is_long = via_list.iter().nth(VIA_LIST_MAX - 1).is_some();
    let keep_state = |o: u8| o & ForwardingOption::IGNORE_STATE_KEEPING == 0;
    let compressed = match is_long && message.options().all(|o| keep_state(o.flags)) {
        true => paths.compress(now, &list_back(previous, via_list), rng),
        false => None,
    };
    match compressed {
        Some(id) => message.rewrite(ttl, [&id, &[]], destinations),
        None => {
            let previous = Destination::Node(previous).to_bytes().ok()?;
            message.rewrite(ttl, [via_list.bytes(), &previous], destinations)
        }
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
fn check<'a>(message: &HeaderView<'_>, gate: &Gate) -> Result<(), Verdict<'a>> {
    if message.overlay() != gate.overlay {
        return Err(match gate.is_verbose {
            true => refuse(message, ErrorCode::INCOMPATIBLE_WITH_OVERLAY),
            false => Verdict::Drop(DropReason::Overlay),
        });
    }
    if message.ttl() > gate.ttl_max {
        return Err(refuse(message, ErrorCode::TTL_EXCEEDED));
    }
    let end = message.fragment().offset as usize + message.payload().len();
    if end > gate.payload_max || message.lists_length() > LISTS_MAX.min(gate.payload_max / 2) {
        return Err(refuse(message, ErrorCode::MESSAGE_TOO_LARGE));
    }
    let list = message.destination_list();
    if has_resource_amid(list) {
        return Err(Verdict::Drop(DropReason::DestinationList));
    }
    let code = message.message_code();
    if code.is_some_and(|code| !code.is_request()) {
        return match message.options().any(|o| o.flags & ALL_FLAGS != 0) {
            true => Err(Verdict::Drop(DropReason::AnswerFlags)),
            false => Ok(()),
        };
    }
    // Reversed via lists may name a node twice; the lists of requests may not (T-13).
    let twice = |(place, entry): (usize, DestinationView<'_>)| {
        place >= DESTINATIONS_MAX || list.iter().take(place).any(|before| before == entry)
    };
    let is_single = list.split_first().is_none_or(|(_, others)| others.is_empty());
    if code.is_some() && !is_single && list.iter().enumerate().any(twice) {
        return Err(refuse(message, ErrorCode::INVALID_MESSAGE));
    }
    Ok(())
}

/// Whether a Resource-ID stands anywhere but at the end of a list.
fn has_resource_amid(list: ListView<'_>) -> bool {
    let mut rest = list;
    while let Some((entry, others)) = rest.split_first() {
        if entry.is_resource() && !others.is_empty() {
            return true;
        }
        rest = others;
    }
    false
}

fn go_on<'a>(
    message: &HeaderView<'_>,
    gate: &Gate,
    next: Result<NodeId, DropReason>,
    route: Route<'a>,
) -> Verdict<'a> {
    let next = match next {
        Ok(next) if next == gate.own => return Verdict::Deliver(route),
        Ok(next) if gate.forwards => next,
        Ok(_) => return Verdict::Drop(DropReason::NoRoute),
        Err(reason) => return Verdict::Drop(reason),
    };
    if message.ttl() == 0 {
        return refuse(message, ErrorCode::TTL_EXCEEDED);
    }
    // We know no options at all.
    if message.options().any(|o| o.flags & ForwardingOption::FORWARD_CRITICAL != 0) {
        return refuse(message, ErrorCode::UNSUPPORTED_FORWARDING_OPTION);
    }
    Verdict::Forward(next, route)
}

fn refuse<'a>(message: &HeaderView<'_>, code: ErrorCode) -> Verdict<'a> {
    match message.message_code() {
        Some(message) if message.is_request() => Verdict::Refuse(code),
        _ => Verdict::Drop(DropReason::NotRefusable),
    }
}

/// The encoded destination list of an answer to a request that came from `previous`.
fn list_back(previous: NodeId, via_list: ListView<'_>) -> Vec<u8> {
    let mut list = Destination::Node(previous).to_bytes().unwrap_or_default();
    let entries: Vec<&[u8]> = via_list.entries().map(|(_, bytes)| bytes).collect();
    for entry in entries.into_iter().rev() {
        list.extend_from_slice(entry);
    }
    list
}

const ALL_FLAGS: u8 = ForwardingOption::FORWARD_CRITICAL
    | ForwardingOption::DESTINATION_CRITICAL
    | ForwardingOption::RESPONSE_COPY;

// limits

/// Entries of a via list that goes on; one more, and an opaque ID takes the place of all. That is
/// more than most messages have hops, and a seventh of a fragment.
const VIA_LIST_MAX: usize = 8;
/// Entries of a request's destination list; ours have two at most.
const DESTINATIONS_MAX: usize = 64;
/// Bytes of all lists and options together: a via list of 255 hops fits. No more than half of the
/// largest message in any case, so that lists that grow on their way never make a header that is
/// larger than a message, for which a link is closed (RFC 6940 §6.6).
const LISTS_MAX: usize = 8192;

#[cfg(test)]
mod tests;
