//! A certificate as the overlay sees it (RFC 6940 §11.3).

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use thiserror::Error;

use super::signature::SignerIdentity;
use crate::base::NodeId;

/// A certificate that a [`Provider`](super::Provider) has read and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate in DER.
    pub der: Bytes,
    /// The Node-IDs of its subjectAltName; at least one.
    pub node_ids: Vec<NodeId>,
    /// The user name of its subjectAltName, such as `alice@example.org`.
    pub user_name: String,
    /// Start of its validity and its issuer's, milliseconds since the Unix epoch.
    pub not_before_ms: u64,
    /// End of its validity or its issuer's, milliseconds since the Unix epoch.
    pub not_after_ms: u64,
    /// SHA-256 over the DER.
    pub fingerprint: [u8; 32],
    /// Whether it vouches for itself.
    pub self_signed: bool,
    /// The public key, in the form that its provider wants.
    pub(super) public_key: PublicKey,
}

impl Certificate {
    /// Whether the certificate is valid at this time.
    pub fn is_valid_at(&self, unix_ms: u64) -> bool {
        (self.not_before_ms..=self.not_after_ms).contains(&unix_ms)
    }

    /// How signatures of `node_id` with this certificate name their signer: by the certificate's
    /// hash, or by Node-ID and hash if there are several Node-IDs (RFC 6940 §6.3.4).
    pub fn signer_identity(&self, node_id: NodeId) -> SignerIdentity {
        let hash_algorithm = SignerIdentity::SHA256;
        if self.node_ids.len() == 1 {
            SignerIdentity::CertHash { hash_algorithm, hash: self.fingerprint.to_vec() }
        } else {
            let hash = node_id_hash(node_id, &self.der);
            SignerIdentity::CertHashNodeId { hash_algorithm, hash }
        }
    }

    /// The Node-ID that `identity` names, if it names this certificate (T-21).
    pub fn named_by(&self, identity: &SignerIdentity) -> Option<NodeId> {
        match identity {
            SignerIdentity::CertHash { hash_algorithm: SignerIdentity::SHA256, hash } => {
                match self.node_ids[..] {
                    [only] if hash[..] == self.fingerprint => Some(only),
                    _ => None,
                }
            }
            SignerIdentity::CertHashNodeId { hash_algorithm: SignerIdentity::SHA256, hash } => {
                self.node_ids.iter().copied().find(|id| node_id_hash(*id, &self.der) == *hash)
            }
            SignerIdentity::CertHash { .. }
            | SignerIdentity::CertHashNodeId { .. }
            | SignerIdentity::None => None,
        }
    }

    /// SHA-256 over DER bytes.
    pub fn fingerprint_of(der: &[u8]) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
        fingerprint
    }
}

/// Why a certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// Not an X.509 certificate, or a broken one.
    #[error("the certificate does not parse")]
    Malformed,
    /// The subjectAltName names no Node-ID of this overlay.
    #[error("the certificate names no Node-ID of overlay {0}")]
    NoNodeId(String),
    /// The subjectAltName names no user, or more than one.
    #[error("the certificate must name exactly one user")]
    UserName,
    /// A self-signed certificate whose Node-ID is not the digest of its key
    /// (RFC 6940 §11.3.1).
    #[error("the certificate's Node-ID does not belong to its key")]
    NodeIdMismatch,
    /// The certificate's own signature is wrong.
    #[error("the certificate's signature is wrong")]
    Signature,
    /// A root of the overlay has signed it that may not issue certificates.
    #[error("the certificate's issuer may not issue certificates")]
    Issuer,
    /// It has a critical part whose meaning we do not know (RFC 5280 §4.2).
    #[error("the certificate has a critical extension that is not supported")]
    Extension,
    /// A key of a kind that we cannot verify with.
    #[error("the certificate's key is of a kind that is not supported")]
    UnsupportedKey,
    /// The overlay does not permit self-signed certificates and no root vouches for this one.
    #[error("the certificate is not trusted in this overlay")]
    Untrusted,
}

/// A public key as its provider needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// An uncompressed point on P-256.
    EcdsaP256(Vec<u8>),
    /// An RSAPublicKey in DER.
    Rsa(Vec<u8>),
    /// The fingerprint stands for the key.
    #[cfg(feature = "sim")]
    Cheap,
}

fn node_id_hash(node_id: NodeId, der: &[u8]) -> Vec<u8> {
    let mut input = node_id.as_bytes().to_vec();
    input.extend_from_slice(der);
    digest(&SHA256, &input).as_ref().to_vec()
}
