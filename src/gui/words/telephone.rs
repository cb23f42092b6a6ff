//! What is said of ordinary accounts, by which calls leave the overlays and come in.

use super::said;
use crate::phone::SipTransport;

texts! {
    telephone,
    telephone_hint,
    telephone_hint_in,
    telephone_add,
    telephone_address,
    telephone_address_hint,
    telephone_password_hint,
    telephone_password_kept,
    telephone_plain,
    telephone_server,
    telephone_server_hint,
    telephone_way,
    telephone_way_auto,
    telephone_way_tls,
    telephone_way_tcp,
    telephone_way_udp,
    telephone_go,
    telephone_change,
    telephone_remove,
    telephone_no_password,
    telephone_rings,
    telephone_pending,
    telephone_unwanted,
    fault_telephone_address,
    fault_telephone_server,
    ask_telephone,
}

/// How the server of an account is reached.
pub fn telephone_by(transport: Option<SipTransport>) -> &'static str {
    match transport {
        None => telephone_way_auto(),
        Some(SipTransport::Tls) => telephone_way_tls(),
        Some(SipTransport::Tcp) => telephone_way_tcp(),
        Some(SipTransport::Udp) => telephone_way_udp(),
    }
}

/// Why calls to an account don't ring here.
pub fn telephone_deaf(why: &str) -> String {
    say!(telephone_deaf, why = said(why))
}

/// What removing an account means, said before it is done.
pub fn ask_telephone_body(address: &str) -> String {
    say!(ask_telephone_body, address = address)
}

/// The name of the button that changes one account.
pub fn telephone_change_which(address: &str) -> String {
    say!(telephone_change_which, address = address)
}
