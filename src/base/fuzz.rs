//! What the fuzz targets of all rooms share.

use std::fmt::Debug;

use super::{Decode, Encode};

/// Reads `bytes` as a `T`: what can be read can be written, and reads the same again.
pub fn round_trip<T: Decode + Encode + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = T::from_bytes(bytes) else { return };
    let written = value.to_bytes().expect("what was read can be written");
    assert_eq!(T::from_bytes(&written), Ok(value));
}
