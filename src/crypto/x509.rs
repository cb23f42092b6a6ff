//! X.509 certificates as RFC 6940 §11.3 profiles them, and self-signed ones (§11.3.1).

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{
    CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::signature::{self, UnparsedPublicKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_SHA256WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::Provider;
use super::certificate::{Certificate, CertificateError, PublicKey};
use super::identity::{Identity, IdentityError};
use super::signature::SignatureAlgorithm;
use crate::base::{Decode, NodeId, Reader};

/// Which digest makes a Node-ID of a self-signed certificate's key (RFC 6940 §11.1,
/// `self-signed-permitted`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeIdDigest {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl NodeIdDigest {
    /// The Node-ID of a key: the high-order bytes of the digest of its whole
    /// SubjectPublicKeyInfo (T-25).
    pub fn node_id(self, spki_der: &[u8], length: usize) -> Option<NodeId> {
        let algorithm = match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
        };
        NodeId::new(digest(algorithm, spki_der).as_ref().get(..length)?)
    }
}

/// Reads X.509 certificates for one overlay.
#[derive(Clone, Debug)]
pub struct X509Provider {
    /// The overlay's name.
    pub overlay: String,
    /// Length of its Node-IDs in bytes.
    pub node_id_length: usize,
    /// Whether self-signed certificates are permitted, and the digest for their Node-IDs.
    pub self_signed: Option<NodeIdDigest>,
}

impl Provider for X509Provider {
    fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed);
        }
        let (node_ids, user_name) = self.names(&parsed)?;
        let public_key = public_key(parsed.public_key())?;
        let digest = self.self_signed.ok_or(CertificateError::Untrusted)?;
        let own = digest.node_id(parsed.public_key().raw, self.node_id_length);
        if node_ids[..] != own.into_iter().collect::<Vec<_>>() {
            return Err(CertificateError::NodeIdMismatch);
        }
        let algorithm = certificate_algorithm(&parsed)?;
        let tbs: &[u8] = parsed.tbs_certificate.as_ref();
        if !verify(&public_key, algorithm, tbs, &parsed.signature_value.data) {
            return Err(CertificateError::Signature);
        }
        Ok(Arc::new(Certificate {
            der: Bytes::copy_from_slice(der),
            node_ids,
            user_name,
            not_before_ms: millis(parsed.validity().not_before.timestamp()),
            not_after_ms: millis(parsed.validity().not_after.timestamp()),
            fingerprint: Certificate::fingerprint_of(der),
            self_signed: true,
            public_key,
        }))
    }

    fn verify(
        &self,
        certificate: &Certificate,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        value: &[u8],
    ) -> bool {
        verify(&certificate.public_key, algorithm, message, value)
    }
}

impl X509Provider {
    /// Node-IDs and user name of the subjectAltName (RFC 6940 §11.3, T-24, T-27).
    fn names(
        &self,
        certificate: &X509Certificate<'_>,
    ) -> Result<(Vec<NodeId>, String), CertificateError> {
        let extension = certificate
            .subject_alternative_name()
            .map_err(|_| CertificateError::Malformed)?
            .ok_or_else(|| CertificateError::NoNodeId(self.overlay.clone()))?;
        let mut node_ids = Vec::new();
        let mut users = Vec::new();
        for name in &extension.value.general_names {
            match name {
                GeneralName::URI(uri) => node_ids.extend(self.node_id_of_uri(uri)),
                GeneralName::RFC822Name(user) => users.push((*user).to_owned()),
                _ => {}
            }
        }
        if node_ids.is_empty() {
            return Err(CertificateError::NoNodeId(self.overlay.clone()));
        }
        match <[String; 1]>::try_from(users) {
            Ok([user]) => Ok((node_ids, user)),
            Err(_) => Err(CertificateError::UserName),
        }
    }

    /// The Node-ID of `reload://<destination in hex>@<overlay>/`; bare Node-ID hex and a missing
    /// slash are accepted too.
    fn node_id_of_uri(&self, uri: &str) -> Option<NodeId> {
        let rest = uri.strip_prefix("reload://")?;
        let (list, overlay) = rest.split_once('@')?;
        let overlay = overlay.strip_suffix('/').unwrap_or(overlay);
        if !overlay.eq_ignore_ascii_case(&self.overlay) {
            return None;
        }
        let bytes = hex::decode(list).ok()?;
        let bare = match bytes.len().checked_sub(self.node_id_length)? {
            0 => &bytes[..],
            2 if bytes[0] == DESTINATION_NODE && usize::from(bytes[1]) == self.node_id_length => {
                &bytes[2..]
            }
            _ => return None,
        };
        let reader = Reader::with_node_id_length(bare, self.node_id_length);
        NodeId::read_all(reader).ok().filter(NodeId::is_valid)
    }
}

/// What a node keeps to be itself again: its certificate, whoever signed it, and its private key.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The certificate in DER.
    pub certificate_der: Vec<u8>,
    /// The private key in PKCS #8 DER.
    pub private_key_der: Vec<u8>,
}

impl Keys {
    /// Makes a key and a self-signed certificate for `user_name` in `overlay`, valid from a day before
    /// `unix_ms` (clocks differ) for `days`.
    pub fn generate(
        provider: &X509Provider,
        user_name: &str,
        unix_ms: u64,
        days: u32,
    ) -> Result<Self, IdentityError> {
        let digest = provider.self_signed.ok_or(CertificateError::Untrusted)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IdentityError::Key)?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
        let node_id =
            digest.node_id(&spki, provider.node_id_length).ok_or(IdentityError::NodeId)?;
        let mut params = CertificateParams::default();
        // An empty subject makes the subjectAltName critical (RFC 5280 §4.1.2.6).
        params.distinguished_name = DistinguishedName::new();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let uri = format!(
            "reload://{DESTINATION_NODE:02x}{:02x}{node_id}@{}/",
            provider.node_id_length, provider.overlay
        );
        let ia5 = |text: &str| text.try_into().map_err(|_| CertificateError::UserName);
        params.subject_alt_names =
            vec![SanType::URI(ia5(&uri)?), SanType::Rfc822Name(ia5(user_name)?)];
        let not_before = std::time::Duration::from_millis(unix_ms.saturating_sub(DAY_MS));
        let validity = std::time::Duration::from_millis(DAY_MS * (u64::from(days) + 1));
        params.not_before = (std::time::UNIX_EPOCH + not_before).into();
        params.not_after = (std::time::UNIX_EPOCH + not_before + validity).into();
        let certificate = params.self_signed(&key).map_err(|_| IdentityError::Key)?;
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

fn public_key(spki: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, CertificateError> {
    let key = spki.subject_public_key.data.to_vec();
    if spki.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = spki.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
        if curve == Some(OID_EC_P256) {
            return Ok(PublicKey::EcdsaP256(key));
        }
    } else if spki.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        return Ok(PublicKey::Rsa(key));
    }
    Err(CertificateError::UnsupportedKey)
}

fn certificate_algorithm(
    certificate: &X509Certificate<'_>,
) -> Result<SignatureAlgorithm, CertificateError> {
    let oid = &certificate.signature_algorithm.algorithm;
    if *oid == OID_SIG_ECDSA_WITH_SHA256 {
        Ok(SignatureAlgorithm::ECDSA_SHA256)
    } else if *oid == OID_PKCS1_SHA256WITHRSA {
        Ok(SignatureAlgorithm::RSA_SHA256)
    } else {
        Err(CertificateError::UnsupportedKey)
    }
}

fn verify(key: &PublicKey, algorithm: SignatureAlgorithm, message: &[u8], value: &[u8]) -> bool {
    match (key, algorithm) {
        (PublicKey::EcdsaP256(point), SignatureAlgorithm::ECDSA_SHA256) => {
            UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, point)
                .verify(message, value)
                .is_ok()
        }
        (PublicKey::Rsa(key), SignatureAlgorithm::RSA_SHA256) => {
            UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key)
                .verify(message, value)
                .is_ok()
        }
        _ => false,
    }
}

fn millis(seconds: i64) -> u64 {
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1000)
}

/// The type byte of a Destination that names a node (RFC 6940 §6.3.2.2).
const DESTINATION_NODE: u8 = 1;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;

    fn provider(digest: NodeIdDigest) -> X509Provider {
        X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(digest),
        }
    }

    fn alice(provider: &X509Provider) -> Keys {
        Keys::self_signed(provider, "alice@example.org", NOW_MS, 365).expect("generated")
    }

    /// R6940-11.3.1-01: the Node-ID derives from the key under the configured digest.
    #[test]
    fn a_self_signed_node_id_is_the_digest_of_its_key() {
        for (digest, other) in
            [(NodeIdDigest::Sha1, NodeIdDigest::Sha256), (NodeIdDigest::Sha256, NodeIdDigest::Sha1)]
        {
            let provider = provider(digest);
            let made = alice(&provider);
            let identity = made.identity(&provider).expect("accepted");
            assert_eq!(identity.certificate.user_name, "alice@example.org");
            assert!(identity.certificate.is_valid_at(NOW_MS));
            assert!(!identity.certificate.is_valid_at(NOW_MS + 366 * DAY_MS));
            let refused = X509Provider { self_signed: Some(other), ..provider };
            assert_eq!(
                refused.certificate(&made.certificate_der),
                Err(CertificateError::NodeIdMismatch)
            );
        }
    }

    #[test]
    fn a_certificate_of_another_overlay_is_refused() {
        let made = alice(&provider(NodeIdDigest::Sha256));
        let other =
            X509Provider { overlay: "example.net".into(), ..provider(NodeIdDigest::Sha256) };
        assert!(matches!(
            other.certificate(&made.certificate_der),
            Err(CertificateError::NoNodeId(_))
        ));
    }

    #[test]
    fn a_changed_certificate_is_refused() {
        let provider = provider(NodeIdDigest::Sha256);
        let made = alice(&provider);
        let mut der = made.certificate_der;
        let at = der.windows(5).position(|w| w == b"alice").expect("the user name is inside");
        der[at] = b'm';
        assert_eq!(provider.certificate(&der), Err(CertificateError::Signature));
    }

    #[test]
    fn signatures_verify_and_bind_the_message() {
        let provider = provider(NodeIdDigest::Sha256);
        let identity = alice(&provider).identity(&provider).expect("accepted");
        let signature = identity.sign(|_| b"hello".to_vec());
        let certificate = &identity.certificate;
        assert_eq!(certificate.named_by(&signature.identity), Some(identity.node_id));
        let verify = |message: &[u8], value: &[u8]| {
            provider.verify(certificate, signature.algorithm, message, value)
        };
        assert!(verify(b"hello", &signature.value));
        assert!(!verify(b"hullo", &signature.value));
        assert!(!verify(b"hello", &[]));
    }

    /// The printed form of a Node-ID in a certificate (T-24), and the forms of others.
    #[test]
    fn node_id_uris_are_read_leniently_but_for_this_overlay_only() {
        let provider = provider(NodeIdDigest::Sha256);
        let hex = "00112233445566778899aabbccddeeff";
        let expected = hex.parse().ok();
        for uri in [
            format!("reload://0110{hex}@example.org/"),
            format!("reload://0110{hex}@EXAMPLE.org"),
            format!("reload://{hex}@example.org/"),
        ] {
            assert_eq!(provider.node_id_of_uri(&uri), expected, "{uri}");
        }
        for uri in [
            format!("reload://0110{hex}@example.net/"),
            format!("reload://0110{hex}0110{hex}@example.org/"),
            format!("reload://0110{}@example.org/", "f".repeat(32)),
        ] {
            assert_eq!(provider.node_id_of_uri(&uri), None, "{uri}");
        }
    }

    /// R6940-6.3.4-06: a certificate and a signature that OpenSSL made with an RSA key.
    #[test]
    fn rsa_is_verified() {
        let provider = provider(NodeIdDigest::Sha256);
        let der = include_bytes!("../../tests/vectors/rsa-certificate.der");
        let value = include_bytes!("../../tests/vectors/rsa-signature.bin");
        let certificate = provider.certificate(der).expect("accepted");
        assert_eq!(certificate.user_name, "carol@example.org");
        let rsa = SignatureAlgorithm::RSA_SHA256;
        assert!(provider.verify(&certificate, rsa, b"signed by openssl", value));
        assert!(!provider.verify(&certificate, rsa, b"signed by nobody", value));
        let ecdsa = SignatureAlgorithm::ECDSA_SHA256;
        assert!(!provider.verify(&certificate, ecdsa, b"signed by openssl", value));
    }

    /// The subject is empty, so the subjectAltName is critical (T-26).
    #[test]
    fn the_alternative_name_is_critical() {
        let made = alice(&provider(NodeIdDigest::Sha256));
        let (_, parsed) = X509Certificate::from_der(&made.certificate_der).expect("parses");
        let extension = parsed.subject_alternative_name().expect("unique").expect("present");
        assert!(extension.critical && parsed.subject().iter().count() == 0);
    }
}
