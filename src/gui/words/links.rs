//! What is said of links and of the way of a call.

use std::time::Duration;

use crate::link::{LinkFacts, LinkKind};
use crate::phone::{CallStep, StepState};

// Links
pub const CONNECTED: &str = "How you are connected";
pub const NO_LINKS: &str = "No links yet.";
pub const NO_LINKS_HINT: &str = "They come as soon as somebody else is in the overlay.";
pub const THROUGH_RELAY: &str = "through a relay";
pub const OVER_TCP: &str = "over TCP";
pub const DIRECT: &str = "direct";

/// The beginning of a Node-ID, by which people tell one from another.
pub fn short_id(node_id: &str) -> &str {
    node_id.get(..8).unwrap_or(node_id)
}

/// The path of a link in a few words.
pub fn link_path(link: &LinkFacts) -> &'static str {
    match link.kind {
        _ if link.is_relayed() => THROUGH_RELAY,
        LinkKind::TlsTcpFhNoIce => OVER_TCP,
        LinkKind::DtlsUdpSr | LinkKind::DtlsUdpSrNoIce => DIRECT,
    }
}

/// A round-trip time.
pub fn round_trip(rtt: Option<Duration>) -> String {
    rtt.map_or("not measured yet".to_owned(), |rtt| format!("{} ms", rtt.as_millis()))
}

/// The lines about one link: what matters, and the addresses behind it.
pub fn link_lines(link: &LinkFacts, ago: &str) -> [String; 2] {
    let path = link_path(link);
    let rtt = round_trip(link.rtt);
    [
        format!("{} \u{b7} {path} \u{b7} {rtt}", short_id(&link.node_id.to_string())),
        format!("Came up {ago}: {} to {}, {}", link.local, link.remote, link.kind),
    ]
}

/// What the drawing of the ring shows, in a sentence.
pub fn ring(neighbours: usize, farther: usize) -> String {
    let links = neighbours + farther;
    let peers = if links == 1 { "peer" } else { "peers" };
    format!(
        "You and {links} linked {peers} on the ring: {neighbours} next to you, {farther} farther \
         away."
    )
}

/// Who stands next to us on the ring.
pub fn ring_next(before: &str, after: &str) -> String {
    format!("You follow {}, and {} follows you.", short_id(before), short_id(after))
}

pub const RING_ME: &str = "You";
pub const RING_NEIGHBOUR: &str = "Next to you";
pub const RING_FARTHER: &str = "Farther away";

// The way of a call
pub const WHY: &str = "Why?";
pub const WHY_NOT: &str = "Hide the steps";
pub const LAST_CALL: &str = "The last call";
pub const THIS_CALL: &str = "This call";
pub const LAST_FAILURE: &str = "The last call that failed";
pub const SOUND_PATH: &str = "Path of the sound";
pub const SOUND_RTT: &str = "There and back";
pub const OUR_CANDIDATES: &str = "Addresses of this computer that were tried";
pub const THEIR_CANDIDATES: &str = "Addresses of the other side that were tried";
pub const ROUTE_LENGTH: &str = "Links to whoever knew the name";

/// A step of a call.
pub const fn step_name(step: CallStep) -> &'static str {
    match step {
        CallStep::LookUp => "Looking up the name",
        CallStep::Ask => "Asking the device for a connection",
        CallStep::Path => "Finding a path to it",
        CallStep::Secure => "Checking who it is",
        CallStep::Ring => "Ringing",
        CallStep::Answer => "Answered",
        CallStep::Sound => "Sound",
    }
}

/// How it went with a step.
pub fn step_state(state: StepState) -> String {
    match state {
        StepState::Done(Some(ms)) => format!("after {ms} ms"),
        StepState::Done(None) => "done".to_owned(),
        StepState::Failed => "failed".to_owned(),
        StepState::Open => "not reached".to_owned(),
    }
}

/// A candidate as people can read it: what kind of address it is, and the address.
pub fn candidate(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, transport, _, address, port, _, kind, ..] = words[..] else {
        return line.to_owned();
    };
    let kind = match kind {
        "host" => "its own",
        "srflx" => "as seen from outside",
        "prflx" => "as seen by the other side",
        "relay" => "of a relay",
        other => other,
    };
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    format!("{address}:{port}, {}, {kind}", transport.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_an_address_and_its_kind() {
        let line = "1 1 udp 2130706431 192.0.2.7 40000 typ srflx raddr 10.0.0.1 rport 4";
        assert_eq!(candidate(line), "192.0.2.7:40000, UDP, as seen from outside");
        let line = "candidate:1 1 UDP 1 2001:db8::7 9 typ host";
        assert_eq!(candidate(line), "[2001:db8::7]:9, UDP, its own");
        assert_eq!(candidate("odd"), "odd");
    }
}
