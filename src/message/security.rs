//! What the signature of a message covers (RFC 6940 §6.3.4).

use crate::base::{Encode, TransactionId, Writer};
use crate::crypto::SignerIdentity;

/// The bytes that a message's signature covers: overlay, transaction ID, the contents exactly as
/// on the wire, and the signer identity (RFC 6940 §6.3.4, T-16).
pub fn signature_input(
    overlay: u32,
    transaction_id: TransactionId,
    contents: &[u8],
    identity: &SignerIdentity,
) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u32(overlay);
    writer.u64(transaction_id.0);
    writer.bytes(contents);
    identity.encode(&mut writer);
    // Nothing here is longer than what has been encoded or decoded before.
    writer.finish().unwrap_or_default()
}
