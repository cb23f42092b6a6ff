//! What every room stands on: time without a clock, identifiers, seeded randomness, and the
//! reader and writer of RELOAD's presentation language (RFC 6940 §6.3.1).

#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod id;
mod rng;
mod time;
mod wire;

pub use id::{NodeId, ResourceId, TransactionId};
pub use rng::Rng;
pub use time::{Instant, Now};
pub use wire::{Decode, DecodeError, Encode, Reader, TooLong, Writer};
