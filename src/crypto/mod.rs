//! Who somebody is and how they prove it: certificates (RFC 6940 §11.3), signer identities and
//! signatures (§6.3.4), behind a provider so that a simulation can do without the cost. An
//! [`Authority`] turns a [`CertificateRequest`] into a certificate for an enrollment server. What
//! is secret at rest is sealed under a [`Password`] or a [`SealingKey`].

mod anchor;
mod authority;
mod certificate;
#[cfg(feature = "sim")]
mod cheap;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod identity;
mod keys;
mod request;
mod security;
mod signature;
#[cfg(test)]
mod tests;
mod vault;
mod x509;

pub use authority::{Authority, IssueError};
pub use certificate::{Certificate, CertificateError};
#[cfg(feature = "sim")]
pub use cheap::CheapProvider;
pub use identity::{Identity, IdentityError, Signer};
pub use keys::Keys;
pub use request::{CertificateRequest, RequestError, RequestedCertificate};
pub use security::{GenericCertificate, SecurityBlock};
pub use signature::{Signature, SignatureAlgorithm, SignerIdentity};
pub use vault::{Password, SealingKey, Secret, VaultError, is_sealed};
pub use x509::{NodeIdDigest, X509Provider};

use std::sync::Arc;

/// Reads certificates and checks signatures for one overlay.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Reads a certificate and checks everything about it but the time: profile, overlay,
    /// and that the overlay's trust rules accept it. It comes shared: a provider may keep those
    /// that it has read before.
    fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError>;

    /// Whether `value` is the signature of `message` by the key of `certificate`.
    fn verify(
        &self,
        certificate: &Certificate,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> bool;
}
