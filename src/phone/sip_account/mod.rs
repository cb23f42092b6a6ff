//! An ordinary SIP account: a phone at a registrar, beside the overlays and without them.
//!
//! | file | what | source |
//! |---|---|---|
//! | `settings` | what the user was given by their provider | |
//! | `find` | where the registrar is, and who else serves | RFC 3263 |
//! | `wire` | the way to it: UDP, TCP or TLS | RFC 3261 §18 |
//! | `phone` | the phone as its user sees it | |
//! | `engine` | its one task: the registrar, and what comes and goes | RFC 3261 §10, §22 |
//! | `calls` | offers, answers, hold, keys, handing over | RFC 3264, 3515 |
//! | `sound` | a call's sound on bare RTP | RFC 3551 |
//!
//! Only the registrar is heard. What it says of callers is believed, and their sound is not
//! encrypted: whoever shows such a call must not call it verified.

mod calls;
mod engine;
mod find;
mod phone;
mod settings;
mod sound;
mod wire;

pub(super) use phone::{CallWish, SipNews, SipWish, WISHES_MAX};
pub use phone::{SipPhone, SipPhoneOptions};
pub(super) use settings::AccountFile;
pub use settings::{SipAccount, SipTransport};
