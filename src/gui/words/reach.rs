//! What is said of how others reach this computer, and of what it lends to them.

use crate::link::Reach;

// Whether others reach us
pub const REACH: &str = "Can others reach this computer?";
pub const REACH_UNKNOWN: &str = "Not known yet";
pub const REACH_UNKNOWN_HINT: &str = "It is tried as soon as somebody else is there to try it.";
pub const REACH_HIDDEN: &str = "Not directly: it has no public address of its own.";
pub const REACH_HIDDEN_HINT: &str = "You can call and be called all the same, and others help \
     with the way. To be reached directly, turn on IPv6 in your router.";
pub const RELAYS_AT_HAND: &str = "Relays of others at hand";

/// Whether others reach us, in one sentence.
pub fn reach(reach: Reach) -> String {
    match reach {
        Reach::Unknown => REACH_UNKNOWN.to_owned(),
        Reach::Hidden => REACH_HIDDEN.to_owned(),
        Reach::Blocked(address) => format!("No: what others send to {address} does not arrive."),
        Reach::Reached(address) => format!("Yes, at {address}."),
    }
}

/// What can be done about it, or why nothing has to be.
pub fn reach_hint(reach: Reach) -> Option<String> {
    match reach {
        Reach::Unknown => Some(REACH_UNKNOWN_HINT.to_owned()),
        Reach::Hidden => Some(REACH_HIDDEN_HINT.to_owned()),
        Reach::Blocked(address) => Some(format!(
            "Open port {} for UDP and TCP in the firewall of this computer and of your router. \
             Until then you can call and be called with the help of others.",
            address.port()
        )),
        Reach::Reached(_) => None,
    }
}

// What is lent
pub const LENDING: &str = "Help others";
pub const LEND: &str = "Lend my connection to calls that find no direct way";
pub const LEND_HINT: &str = "Such a call passes through this computer, encrypted from end to end: \
     you can't hear it, and it costs only bandwidth.";
pub const LEND_RATE: &str = "Bandwidth, both directions together";
pub const LEND_SESSIONS: &str = "Connections at a time";
pub const LENT_NOTHING: &str = "Nothing can be lent now: others don't reach this computer.";
pub const LENT_READY: &str = "Ready. Nobody uses it now.";

/// How many use what is lent.
pub fn lent_now(sessions: usize) -> String {
    match sessions {
        0 => LENT_READY.to_owned(),
        1 => "In use by 1 connection now.".to_owned(),
        n => format!("In use by {n} connections now."),
    }
}

/// A bandwidth, given in kilobits in a second.
pub fn rate(kbit_per_s: u32) -> String {
    match (kbit_per_s, kbit_per_s % 1000) {
        (1000.., 0) => format!("{} Mbit/s", kbit_per_s / 1000),
        _ => format!("{kbit_per_s} kbit/s"),
    }
}
