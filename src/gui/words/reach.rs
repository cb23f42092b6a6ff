//! What is said of how others reach this computer, and of what it lends to them.

use crate::link::{PortMapping, PortProblem, Reach};

texts! {
    // Whether others reach us
    reach_title,
    reach_unknown,
    reach_unknown_hint,
    reach_hidden,
    reach_hidden_hint,
    relays_at_hand,
    // What the router does
    leave_router_alone,
    leave_router_alone_hint,
    router_unwanted,
    router_trying,
    router_silent,
    // What is lent
    lending,
    lend,
    lend_hint,
    lend_rate,
    lend_sessions,
    lent_nothing,
}

/// Whether others reach us, in one sentence.
pub fn reach(reach: Reach) -> String {
    match reach {
        Reach::Unknown => reach_unknown().to_owned(),
        Reach::Hidden => reach_hidden().to_owned(),
        Reach::Blocked(address) => say!(reach_blocked, address = address.to_string()),
        Reach::Reached(address) => say!(reach_reached, address = address.to_string()),
        Reach::Opened(address) => say!(reach_opened, address = address.to_string()),
    }
}

/// What can be done about it, or why nothing has to be.
pub fn reach_hint(reach: Reach) -> Option<String> {
    match reach {
        Reach::Unknown => Some(reach_unknown_hint().to_owned()),
        Reach::Hidden => Some(reach_hidden_hint().to_owned()),
        Reach::Blocked(address) => {
            Some(say!(reach_blocked_hint, port = address.port().to_string()))
        }
        Reach::Reached(_) | Reach::Opened(_) => None,
    }
}

/// What the router does for us, if that is worth a sentence.
pub fn router(mapping: &PortMapping) -> Option<String> {
    Some(match mapping {
        PortMapping::Unneeded => return None,
        PortMapping::Unwanted => router_unwanted().to_owned(),
        PortMapping::Trying => router_trying().to_owned(),
        PortMapping::Open(address, protocol) => {
            say!(router_open, address = address.to_string(), protocol = protocol.to_string())
        }
        PortMapping::Closed(PortProblem::Silent) => router_silent().to_owned(),
        PortMapping::Closed(PortProblem::Refused(reason)) => {
            say!(router_refused, reason = reason.as_str())
        }
        PortMapping::Closed(PortProblem::Behind(address)) => {
            say!(router_behind, address = address.to_string())
        }
    })
}

/// How many use what is lent.
pub fn lent_now(sessions: usize) -> String {
    say!(lent_now, count = sessions)
}

/// A bandwidth, given in kilobits in a second.
pub fn rate(kbit_per_s: u32) -> String {
    match (kbit_per_s, kbit_per_s % 1000) {
        (1000.., 0) => format!("{} Mbit/s", kbit_per_s / 1000),
        _ => format!("{kbit_per_s} kbit/s"),
    }
}
