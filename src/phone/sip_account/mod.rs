//! An ordinary SIP account: a phone at a registrar, beside the overlays and without them.
//!
//! | file | what | source |
//! |---|---|---|
//! | `settings` | what the user was given by their provider | |
//! | `wire` | the way to the registrar: UDP, TCP or TLS | RFC 3261 §18 |
//! | `phone` | the one task: SIP, calls, sound | RFC 3261 §10, §22 |
//! | `sound` | a call's sound on bare RTP | RFC 3551 |
//!
//! Only the registrar is heard. What it says of callers is believed, and their sound is not
//! encrypted: whoever shows such a call must not call it verified.

mod phone;
mod settings;
mod sound;
mod wire;

pub use phone::{SipPhone, SipPhoneOptions};
pub use settings::{SipAccount, SipTransport};
