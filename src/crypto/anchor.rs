//! Whether a trust anchor of the overlay vouches for a certificate (RFC 6940 §11.3): the part of
//! PKIX path validation (RFC 5280 §6.1) that paths of one step need.

use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME,
};
use x509_parser::prelude::FromDer;

use super::certificate::CertificateError;
use super::x509::check_signature;

/// From when to when a certificate is valid, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) not_before_ms: u64,
    pub(super) not_after_ms: u64,
}

impl Span {
    /// What stands in the certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        Self {
            not_before_ms: millis(validity.not_before.timestamp()),
            not_after_ms: millis(validity.not_after.timestamp()),
        }
    }

    /// As much of it as lies in `other`: a certificate is not valid without its issuer.
    pub(super) fn within(self, other: Self) -> Self {
        Self {
            not_before_ms: self.not_before_ms.max(other.not_before_ms),
            not_after_ms: self.not_after_ms.min(other.not_after_ms),
        }
    }
}

/// Checks that one of `roots` has issued `certificate` and may do so; gives the validity of that
/// root. [`CertificateError::Untrusted`] if none has the name of the issuer.
pub(super) fn check_issuer(
    certificate: &X509Certificate<'_>,
    roots: &[Vec<u8>],
) -> Result<Span, CertificateError> {
    let mut found = Err(CertificateError::Untrusted);
    for der in roots {
        // The document's author may have put anything there.
        let Ok((_, root)) = X509Certificate::from_der(der) else { continue };
        if root.subject().as_raw() != certificate.issuer().as_raw() {
            continue;
        }
        found = check_issued(certificate, &root).map(|()| Span::of(&root));
        // An authority that changes its key may keep its name.
        if found.is_ok() {
            break;
        }
    }
    found
}

fn check_issued(
    certificate: &X509Certificate<'_>,
    root: &X509Certificate<'_>,
) -> Result<(), CertificateError> {
    check_signature(certificate, root.public_key())?;
    if !may_issue(root) {
        return Err(CertificateError::Issuer);
    }
    let is_known = |e: &x509_parser::extensions::X509Extension<'_>| KNOWN.contains(&e.oid);
    let extensions = root.extensions().iter().chain(certificate.extensions());
    if extensions.filter(|e| e.critical).all(is_known) {
        Ok(())
    } else {
        Err(CertificateError::Extension)
    }
}

/// RFC 5280 §6.1.4 (k), (n): an authority says so, and its key may sign certificates.
fn may_issue(root: &X509Certificate<'_>) -> bool {
    let is_authority = root.basic_constraints().is_ok_and(|b| b.is_some_and(|b| b.value.ca));
    let may_sign =
        root.key_usage().is_ok_and(|usage| usage.is_none_or(|u| u.value.key_cert_sign()));
    is_authority && may_sign
}

fn millis(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}

/// The extensions that are looked at, or whose meaning holds without a look.
const KNOWN: [x509_parser::asn1_rs::Oid<'static>; 4] = [
    OID_X509_EXT_BASIC_CONSTRAINTS,
    OID_X509_EXT_EXTENDED_KEY_USAGE,
    OID_X509_EXT_KEY_USAGE,
    OID_X509_EXT_SUBJECT_ALT_NAME,
];
