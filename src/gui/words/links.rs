//! What is said of links and of the way of a call.

use std::time::Duration;

use crate::link::{LinkFacts, LinkKind};
use crate::phone::{CallStep, StepState};

texts! {
    // Links
    connected,
    no_links,
    no_links_hint,
    through_relay,
    over_tcp,
    direct,
    ring_me,
    ring_neighbour,
    ring_farther,
    // The way of a call
    why,
    why_not,
    last_call,
    this_call,
    last_failure,
    sound_path,
    sound_rtt,
    our_candidates,
    their_candidates,
    route_length,
}

/// The beginning of a Node-ID, by which people tell one from another.
pub fn short_id(node_id: &str) -> &str {
    node_id.get(..8).unwrap_or(node_id)
}

/// The path of a link in a few words.
pub fn link_path(link: &LinkFacts) -> &'static str {
    match link.kind {
        _ if link.is_relayed() => through_relay(),
        LinkKind::TlsTcpFhNoIce => over_tcp(),
        LinkKind::DtlsUdpSr | LinkKind::DtlsUdpSrNoIce => direct(),
    }
}

/// A round-trip time.
pub fn round_trip(rtt: Option<Duration>) -> String {
    rtt.map_or_else(|| say!(rtt_unknown), |rtt| format!("{} ms", rtt.as_millis()))
}

/// The lines about one link: what matters, and the addresses behind it.
pub fn link_lines(link: &LinkFacts, ago: &str) -> [String; 2] {
    let path = link_path(link);
    let rtt = round_trip(link.rtt);
    let (local, remote) = (link.local.to_string(), link.remote.to_string());
    let kind = link.kind.to_string();
    [
        format!("{} \u{b7} {path} \u{b7} {rtt}", short_id(&link.node_id.to_string())),
        say!(link_details, ago = ago, local = local, remote = remote, kind = kind),
    ]
}

/// What the drawing of the ring shows, in a sentence.
pub fn ring(neighbours: usize, farther: usize) -> String {
    say!(ring, links = neighbours + farther, next = neighbours, farther = farther)
}

/// Who stands next to us on the ring.
pub fn ring_next(before: &str, after: &str) -> String {
    say!(ring_next, before = short_id(before), after = short_id(after))
}

/// A step of a call.
pub fn step_name(step: CallStep) -> String {
    match step {
        CallStep::LookUp => say!(step_look_up),
        CallStep::Ask => say!(step_ask),
        CallStep::Path => say!(step_path),
        CallStep::Secure => say!(step_secure),
        CallStep::Ring => say!(step_ring),
        CallStep::Answer => say!(step_answer),
        CallStep::Sound => say!(step_sound),
    }
}

/// How it went with a step.
pub fn step_state(state: StepState) -> String {
    match state {
        StepState::Done(Some(ms)) => say!(step_after, ms = ms.to_string()),
        StepState::Done(None) => say!(step_done),
        StepState::Failed => say!(step_failed),
        StepState::Open => say!(step_open),
    }
}

/// A candidate as people can read it: what kind of address it is, and the address.
pub fn candidate(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, transport, _, address, port, _, kind, ..] = words[..] else {
        return line.to_owned();
    };
    let kind = match kind {
        "host" => say!(candidate_host),
        "srflx" => say!(candidate_reflexive),
        "prflx" => say!(candidate_peer),
        "relay" => say!(candidate_relay),
        other => other.to_owned(),
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
