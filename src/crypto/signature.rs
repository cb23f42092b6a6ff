//! The signature element (RFC 6940 §6.3.4), used on messages and on stored values alike.

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// A pair of hash and signature numbers as TLS 1.2 has them, hash first (T-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    /// TLS HashAlgorithm.
    pub hash: u8,
    /// TLS SignatureAlgorithm.
    pub signature: u8,
}

impl SignatureAlgorithm {
    /// SHA-256 with RSASSA-PKCS1-v1_5, which everybody must know (RFC 6940 §6.3.4).
    pub const RSA_SHA256: Self = Self { hash: 4, signature: 1 };
    /// SHA-256 with ECDSA, which our own overlays use.
    pub const ECDSA_SHA256: Self = Self { hash: 4, signature: 3 };
    /// No signature at all: only on values that a peer makes up for what does not exist
    /// (RFC 6940 §7.4.2.2).
    pub const NONE: Self = Self { hash: 0, signature: 0 };
}

/// Which certificate, and which Node-ID in it, made a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignerIdentity {
    /// Hash of a certificate with one Node-ID.
    CertHash {
        /// TLS HashAlgorithm of the hash.
        hash_algorithm: u8,
        /// Hash over the DER certificate.
        hash: Vec<u8>,
    },
    /// Hash of a Node-ID followed by its certificate, for certificates with several.
    CertHashNodeId {
        /// TLS HashAlgorithm of the hash.
        hash_algorithm: u8,
        /// Hash over the Node-ID, then the DER certificate.
        hash: Vec<u8>,
    },
    /// Nobody.
    None,
}

impl SignerIdentity {
    /// TLS HashAlgorithm of SHA-256, the only one that we write and accept.
    pub const SHA256: u8 = 4;
}

impl Encode for SignerIdentity {
    fn encode(&self, writer: &mut Writer) {
        let (identity_type, value) = match self {
            Self::CertHash { hash_algorithm, hash } => (CERT_HASH, Some((hash_algorithm, hash))),
            Self::CertHashNodeId { hash_algorithm, hash } => {
                (CERT_HASH_NODE_ID, Some((hash_algorithm, hash)))
            }
            Self::None => (NONE, None),
        };
        writer.u8(identity_type);
        writer.vec16(|w| {
            if let Some((algorithm, hash)) = value {
                w.u8(*algorithm);
                w.vec8(|w| w.bytes(hash));
            }
        });
    }
}

impl Decode for SignerIdentity {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let identity_type = reader.u8()?;
        let value = reader.opaque16()?;
        let mut value = reader.nested(value);
        let identity = match identity_type {
            CERT_HASH => {
                Self::CertHash { hash_algorithm: value.u8()?, hash: value.opaque8()?.to_vec() }
            }
            CERT_HASH_NODE_ID => Self::CertHashNodeId {
                hash_algorithm: value.u8()?,
                hash: value.opaque8()?.to_vec(),
            },
            NONE => Self::None,
            _ => return Err(DecodeError::Invalid("signer identity type")),
        };
        value.end("signer identity")?;
        Ok(identity)
    }
}

/// A signature with all that is needed to find whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Hash and signature algorithm.
    pub algorithm: SignatureAlgorithm,
    /// Whose it is.
    pub identity: SignerIdentity,
    /// The signature itself.
    pub value: Vec<u8>,
}

impl Signature {
    /// What stands in place of a signature on a value that does not exist (T-65).
    pub const SYNTHESIZED: Self = Self {
        algorithm: SignatureAlgorithm::NONE,
        identity: SignerIdentity::None,
        value: Vec::new(),
    };
}

impl Encode for Signature {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.algorithm.hash);
        writer.u8(self.algorithm.signature);
        self.identity.encode(writer);
        writer.vec16(|w| w.bytes(&self.value));
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            algorithm: SignatureAlgorithm { hash: reader.u8()?, signature: reader.u8()? },
            identity: SignerIdentity::decode(reader)?,
            value: reader.opaque16()?.to_vec(),
        })
    }
}

const CERT_HASH: u8 = 1;
const CERT_HASH_NODE_ID: u8 = 2;
const NONE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// R6940-6.3.4-04: algorithm, identity and value in this order.
    #[test]
    fn a_signature_has_the_printed_layout() {
        let signature = Signature {
            algorithm: SignatureAlgorithm::RSA_SHA256,
            identity: SignerIdentity::CertHash { hash_algorithm: 4, hash: vec![0xaa; 32] },
            value: vec![0xbb; 256],
        };
        let bytes = signature.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes[..7]), "04010100220420");
        assert_eq!(bytes[39..41], [1, 0]);
        assert_eq!(Signature::from_bytes(&bytes), Ok(signature));
    }

    /// R6940-7.4.2.2-04: the signature of a synthesized value.
    #[test]
    fn nobody_signs_a_synthesized_value() {
        let bytes = Signature::SYNTHESIZED.to_bytes().expect("short");
        assert_eq!(bytes, [0, 0, 3, 0, 0, 0, 0]);
    }
}
