//! The way of a message through the overlay: forwarding by destination and via lists
//! (RFC 6940 §6.1, §6.2), end-to-end transactions (§6.2.1), the check of signatures at the
//! destination (§6.3.4), and the topology that chooses next hops (§6.4.1, §10).
//!
//! Nothing here knows of links: a next hop is a Node-ID, and who owns the links finds the one
//! that leads there.

mod answered;
pub mod chord;
mod drop_reason;
mod forward;
mod return_paths;
mod security;
mod topology;
mod transaction;

pub use answered::{AnswerCache, RequestKey, Seen};
pub use drop_reason::DropReason;
pub use forward::{Gate, Route, Verdict, answer_header, examine, message_code, next_node, pass_on};
pub use return_paths::ReturnPaths;
pub use security::{Signed, Verifier};
pub use topology::Topology;
pub use transaction::{Expired, NoRoom, Pending, Transactions};
