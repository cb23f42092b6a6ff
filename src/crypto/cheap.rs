//! Certificates and signatures that cost nothing, for simulations of thousands of peers. They
//! keep the sizes of real ones, so that traffic figures hold, and protect nothing.

use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;

use super::Provider;
use super::certificate::{Certificate, CertificateError, PublicKey};
use super::identity::{Identity, IdentityError, Signer};
use super::signature::SignatureAlgorithm;
use crate::base::NodeId;

/// Reads [`CheapProvider::identity`]'s certificates.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheapProvider;

impl CheapProvider {
    /// The user name in a certificate of [`CheapProvider::identity`], without a look at the rest.
    pub fn user_name(der: &[u8]) -> Option<&str> {
        let name = der.strip_prefix(MAGIC)?.get(NodeId::LENGTH_DEFAULT..)?;
        let end = name.iter().position(|b| *b == 0)?;
        std::str::from_utf8(&name[..end]).ok()
    }

    /// An identity for `user_name` at `node_id`, valid for ever.
    pub fn identity(self, node_id: NodeId, user_name: &str) -> Result<Identity, IdentityError> {
        let mut der = MAGIC.to_vec();
        der.extend_from_slice(node_id.as_bytes());
        der.extend_from_slice(user_name.as_bytes());
        der.resize(CERTIFICATE_LENGTH.max(der.len() + 1), 0);
        let certificate = self.certificate(&der)?;
        let signer = CheapSigner(certificate.fingerprint);
        Identity::new(certificate, node_id, Arc::new(signer))
    }
}

impl Provider for CheapProvider {
    fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        let names = der.strip_prefix(MAGIC).ok_or(CertificateError::Malformed)?;
        let (node_id, name) =
            names.split_at_checked(NodeId::LENGTH_DEFAULT).ok_or(CertificateError::Malformed)?;
        let end = name.iter().position(|b| *b == 0).ok_or(CertificateError::UserName)?;
        let user_name =
            std::str::from_utf8(&name[..end]).map_err(|_| CertificateError::UserName)?;
        Ok(Arc::new(Certificate {
            der: Bytes::copy_from_slice(der),
            node_ids: NodeId::new(node_id).into_iter().collect(),
            user_name: user_name.to_owned(),
            not_before_ms: 0,
            not_after_ms: u64::MAX,
            fingerprint: Certificate::fingerprint_of(der),
            self_signed: true,
            public_key: PublicKey::Cheap,
        }))
    }

    fn verify(
        &self,
        certificate: &Certificate,
        _algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> bool {
        tag(&certificate.fingerprint, message) == value
    }
}

struct CheapSigner([u8; 32]);

impl Signer for CheapSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA_SHA256
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        tag(&self.0, message)
    }
}

fn tag(key: &[u8; 32], message: &[u8]) -> Vec<u8> {
    // The standard hasher's keys are zero here: the same input gives the same tag everywhere.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(key);
    hasher.write(message);
    let mut tag = vec![0; SIGNATURE_LENGTH];
    tag[..8].copy_from_slice(&hasher.finish().to_be_bytes());
    tag
}

const MAGIC: &[u8] = b"simulated certificate ";
/// What a self-signed P-256 certificate with our names takes.
const CERTIFICATE_LENGTH: usize = 440;
/// What an ECDSA P-256 signature in DER takes on average.
const SIGNATURE_LENGTH: usize = 71;
