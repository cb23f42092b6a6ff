//! The authority of an overlay: a root certificate, and the certificates that it issues to nodes
//! (RFC 6940 §11.3).

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Provider;
use super::keys::{DAY_MS, Keys, node_params, set_validity};
use super::request::RequestedCertificate;
use super::x509::X509Provider;
use crate::base::NodeId;

/// A root of an overlay with its private key.
pub struct Authority {
    overlay: String,
    keys: Keys,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority for `overlay`: a key, and a root certificate that is valid from a day
    /// before `unix_ms` (clocks differ) for twenty years, since those who joined keep it.
    ///
    /// # Errors
    ///
    /// Fails if the operating system gives no randomness.
    pub fn generate(overlay: &str, unix_ms: u64) -> Result<Self, IssueError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IssueError::Sign)?;
        let mut params = root_params(&format!("Authority of {overlay}"));
        params.serial_number = Some(serial_number()?);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let not_before_ms = unix_ms.saturating_sub(DAY_MS);
        set_validity(&mut params, not_before_ms, not_before_ms + ROOT_VALIDITY_MS);
        let certificate = params.self_signed(&key).map_err(|_| IssueError::Sign)?;
        let keys = Keys {
            certificate_der: certificate.der().to_vec(),
            private_key_der: key.serialize_der(),
        };
        Self::from_keys(overlay, keys)
    }

    /// An authority from what was kept of it: the root certificate and its P-256 key.
    ///
    /// # Errors
    ///
    /// Fails for a certificate that [`Authority::generate`] would not make, and for a key that is
    /// none or another's.
    pub fn from_keys(overlay: &str, keys: Keys) -> Result<Self, IssueError> {
        let key = KeyPair::from_pkcs8_der_and_sign_algo(
            &keys.private_key_der.as_slice().into(),
            &PKCS_ECDSA_P256_SHA256,
        )
        .map_err(|_| IssueError::Key)?;
        let (_, root) =
            X509Certificate::from_der(&keys.certificate_der).map_err(|_| IssueError::Root)?;
        if root.public_key().raw != rcgen::PublicKeyData::subject_public_key_info(&key) {
            return Err(IssueError::Key);
        }
        let name = root.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        let issuer = Issuer::new(root_params(name.ok_or(IssueError::Root)?), key);
        Ok(Self { overlay: overlay.to_owned(), keys, issuer })
    }

    /// The root certificate in DER, for the document's `root-cert`.
    pub fn certificate_der(&self) -> &[u8] {
        &self.keys.certificate_der
    }

    /// What must be kept to be this authority again.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Issues a certificate to a node, in DER: for the key of a request whose signature was
    /// checked, with these Node-IDs and this user name, and nothing else of the request. It is
    /// valid for the milliseconds since the Unix epoch in `validity`.
    ///
    /// # Errors
    ///
    /// Fails for Node-IDs of the wrong length and for a user name that is not ASCII: whatever
    /// the nodes of the overlay would not accept is not issued.
    pub fn issue(
        &self,
        request: &RequestedCertificate,
        user_name: &str,
        node_ids: &[NodeId],
        validity: Range<u64>,
    ) -> Result<Vec<u8>, IssueError> {
        let mut params =
            node_params(&self.overlay, node_ids, user_name).map_err(|_| IssueError::Names)?;
        params.serial_number = Some(serial_number()?);
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, validity.start, validity.end);
        let certificate =
            params.signed_by(request, &self.issuer).map_err(|_| IssueError::Sign)?.der().to_vec();
        let provider = X509Provider {
            overlay: self.overlay.clone(),
            node_id_length: node_ids.first().map_or(0, |id| id.as_bytes().len()),
            self_signed: None,
            roots: vec![self.keys.certificate_der.clone()],
        };
        match provider.certificate(&certificate) {
            Ok(read) if read.node_ids == node_ids && read.user_name == user_name => Ok(certificate),
            Ok(_) => Err(IssueError::Names),
            Err(_) => Err(IssueError::Root),
        }
    }

    /// Makes a key and a certificate for an HTTPS server of the overlay, which names `hosts` and
    /// `addresses` and no node, so that nobody takes the one for the other.
    ///
    /// # Errors
    ///
    /// Fails for a host name that is none.
    pub fn issue_server(
        &self,
        hosts: &[&str],
        addresses: &[IpAddr],
        validity: Range<u64>,
    ) -> Result<Keys, IssueError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IssueError::Sign)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.serial_number = Some(serial_number()?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        for host in hosts {
            let name = (*host).try_into().map_err(|_| IssueError::Names)?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        set_validity(&mut params, validity.start, validity.end);
        let certificate = params.signed_by(&key, &self.issuer).map_err(|_| IssueError::Sign)?;
        Ok(Keys {
            certificate_der: certificate.der().to_vec(),
            private_key_der: key.serialize_der(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority of {}", self.overlay)
    }
}

/// Why an authority cannot be used or issues no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssueError {
    /// The root certificate does not parse or is of another kind than ours.
    #[error("the authority's root certificate cannot be used")]
    Root,
    /// The private key does not parse or is another's.
    #[error("the authority's private key does not belong to its root certificate")]
    Key,
    /// A certificate cannot hold these names.
    #[error("a certificate cannot hold these names")]
    Names,
    /// There is no randomness, or the key does not sign.
    #[error("the certificate could not be signed")]
    Sign,
}

/// The name of a root, by which what it issues refers to it.
fn root_params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// RFC 5280 §4.1.2.2: no two certificates of an issuer have the same, so it is not made of the
/// key, which a renewed certificate keeps.
fn serial_number() -> Result<SerialNumber, IssueError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IssueError::Sign)?;
    // Positive, and no shorter than the rest.
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

const ROOT_VALIDITY_MS: u64 = 20 * 365 * DAY_MS;
