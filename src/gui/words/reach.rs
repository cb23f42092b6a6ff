//! What is said of how others reach this computer, and of what it lends to them.

use crate::link::Reach;

texts! {
    // Whether others reach us
    reach_title,
    reach_unknown,
    reach_unknown_hint,
    reach_hidden,
    reach_hidden_hint,
    relays_at_hand,
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
        Reach::Reached(_) => None,
    }
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
