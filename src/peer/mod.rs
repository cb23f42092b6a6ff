//! One overlay peer: routing, storage and usages behind one API (RFC 6940 §1.2).

mod api;

pub use api::*;
