//! A node's certificate and private key as bytes, and the profile that certificates of nodes have.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};

use super::Provider;
use super::certificate::CertificateError;
use super::identity::{Identity, IdentityError};
use super::x509::{DESTINATION_NODE, X509Provider};
use crate::base::NodeId;

/// What a node keeps to be itself again: its certificate, whoever signed it, and its private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The certificate in DER.
    pub certificate_der: Vec<u8>,
    /// The private key in PKCS #8 DER.
    pub private_key_der: Vec<u8>,
}

impl Keys {
    /// Makes a key and a self-signed certificate for `user_name` in `overlay`, valid from a day
    /// before `unix_ms` (clocks differ) for `days`.
    pub fn self_signed(
        provider: &X509Provider,
        user_name: &str,
        unix_ms: u64,
        days: u32,
    ) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IdentityError::Key)?;
        Self::certified(provider, user_name, &key, unix_ms, days)
    }

    /// As [`Self::self_signed`], with a P-256 key in PKCS #8 DER that is there already: it has the
    /// Node-ID that it had.
    pub fn self_signed_again(
        provider: &X509Provider,
        user_name: &str,
        private_key_der: &[u8],
        unix_ms: u64,
        days: u32,
    ) -> Result<Self, IdentityError> {
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&private_key_der.into(), &PKCS_ECDSA_P256_SHA256)
                .map_err(|_| IdentityError::Key)?;
        Self::certified(provider, user_name, &key, unix_ms, days)
    }

    fn certified(
        provider: &X509Provider,
        user_name: &str,
        key: &KeyPair,
        unix_ms: u64,
        days: u32,
    ) -> Result<Self, IdentityError> {
        let digest = provider.self_signed.ok_or(CertificateError::Untrusted)?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(key);
        let node_id =
            digest.node_id(&spki, provider.node_id_length).ok_or(IdentityError::NodeId)?;
        let mut params = node_params(&provider.overlay, &[node_id], user_name)?;
        let not_before_ms = unix_ms.saturating_sub(DAY_MS);
        set_validity(&mut params, not_before_ms, not_before_ms + DAY_MS * (u64::from(days) + 1));
        let certificate = params.self_signed(key).map_err(|_| IdentityError::Key)?;
        Ok(Self {
            certificate_der: certificate.der().to_vec(),
            private_key_der: key.serialize_der(),
        })
    }

    /// The identity that these bytes make in the provider's overlay.
    pub fn identity(&self, provider: &X509Provider) -> Result<Identity, IdentityError> {
        let certificate = provider.certificate(&self.certificate_der)?;
        Identity::from_pkcs8(certificate, &self.private_key_der)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(hidden)")
    }
}

/// What the certificate of a node says, whoever signs it: the Node-IDs and the user name in the
/// subjectAltName and nothing in the subject, which makes the subjectAltName critical (RFC 6940
/// §11.3, RFC 5280 §4.1.2.6); a key for signatures on either side of a link (T-26).
pub(super) fn node_params(
    overlay: &str,
    node_ids: &[NodeId],
    user_name: &str,
) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    for node_id in node_ids {
        // A Destination of one node: its type, the length, the Node-ID (RFC 6940 §14.15).
        let length = node_id.as_bytes().len();
        let uri = format!("reload://{DESTINATION_NODE:02x}{length:02x}{node_id}@{overlay}/");
        let uri = uri.as_str().try_into();
        let no_node_id = |_| CertificateError::NoNodeId(overlay.to_owned());
        params.subject_alt_names.push(SanType::URI(uri.map_err(no_node_id)?));
    }
    params.subject_alt_names.push(rfc822_name(user_name)?);
    Ok(params)
}

/// A user name as a subjectAltName holds it, which is ASCII (T-27).
pub(super) fn rfc822_name(user_name: &str) -> Result<SanType, CertificateError> {
    let name = user_name.try_into().map_err(|_| CertificateError::UserName)?;
    Ok(SanType::Rfc822Name(name))
}

/// Sets from when to when a certificate is valid, in milliseconds since the Unix epoch.
pub(super) fn set_validity(params: &mut CertificateParams, not_before_ms: u64, not_after_ms: u64) {
    params.not_before = (UNIX_EPOCH + Duration::from_millis(not_before_ms)).into();
    params.not_after = (UNIX_EPOCH + Duration::from_millis(not_after_ms)).into();
}

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;
