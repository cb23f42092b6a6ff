//! Our own certificate and key.

use std::fmt;
use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use thiserror::Error;

use super::certificate::{Certificate, CertificateError};
use super::signature::{Signature, SignatureAlgorithm};
use crate::base::NodeId;

/// A private key that can sign.
pub trait Signer: Send + Sync {
    /// The algorithm of its signatures.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs `message`.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// A node's certificate with its private key and the Node-ID that it acts as.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: Arc<Certificate>,
    /// Which of the certificate's Node-IDs this node is.
    pub node_id: NodeId,
    signer: Arc<dyn Signer>,
}

impl Identity {
    /// An identity from its parts, or an error if the certificate does not name the Node-ID.
    pub fn new(
        certificate: Arc<Certificate>,
        node_id: NodeId,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, IdentityError> {
        if !certificate.node_ids.contains(&node_id) {
            return Err(IdentityError::NodeId);
        }
        Ok(Self { certificate, node_id, signer })
    }

    /// An identity with an ECDSA P-256 key in PKCS #8 DER, acting as the first Node-ID.
    pub fn from_pkcs8(certificate: Arc<Certificate>, key: &[u8]) -> Result<Self, IdentityError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key, &random)
            .map_err(|_| IdentityError::Key)?;
        let node_id = *certificate.node_ids.first().ok_or(IdentityError::NodeId)?;
        Self::new(certificate, node_id, Arc::new(EcdsaSigner { pair, random }))
    }

    /// Signs what `input` makes of our signer identity: every signature of RELOAD covers the
    /// identity that it carries (RFC 6940 §6.3.4, §7.1).
    pub fn sign(&self, input: impl FnOnce(&super::SignerIdentity) -> Vec<u8>) -> Signature {
        let identity = self.certificate.signer_identity(self.node_id);
        let value = self.signer.sign(&input(&identity));
        Signature { algorithm: self.signer.algorithm(), identity, value }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({} as {})", self.certificate.user_name, self.node_id)
    }
}

/// Why certificate and key make no identity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The certificate does not name the Node-ID.
    #[error("the certificate does not name this Node-ID")]
    NodeId,
    /// The private key does not parse or is of another kind.
    #[error("the private key cannot be used")]
    Key,
    /// The certificate is refused.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

struct EcdsaSigner {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Signer for EcdsaSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA_SHA256
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        // ring fails only if the operating system has no randomness; an empty signature is
        // refused by every receiver, which is what should happen then.
        self.pair.sign(&self.random, message).map(|s| s.as_ref().to_vec()).unwrap_or_default()
    }
}
