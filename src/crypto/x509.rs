//! X.509 certificates as RFC 6940 §11.3 profiles them, and self-signed ones (§11.3.1).

use std::sync::Arc;

use bytes::Bytes;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use ring::signature::{self, UnparsedPublicKey};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_SHA256WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256,
};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use super::Provider;
use super::anchor::{Span, check_issuer};
use super::certificate::{Certificate, CertificateError, PublicKey};
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
    /// The Node-ID of a key whose certificate names one: the high-order bytes of the digest of its
    /// whole SubjectPublicKeyInfo (T-25).
    pub fn node_id(self, spki_der: &[u8], length: usize) -> Option<NodeId> {
        self.high_order(&[spki_der], length)
    }

    /// The Node-ID with `index`, from 1, of a key whose certificate names several: the index in
    /// four bytes goes before the key (RFC 6940 §11.3.1).
    pub fn indexed_node_id(self, index: u32, spki_der: &[u8], length: usize) -> Option<NodeId> {
        self.high_order(&[&index.to_be_bytes(), spki_der], length)
    }

    fn high_order(self, parts: &[&[u8]], length: usize) -> Option<NodeId> {
        let mut context = Context::new(match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
        });
        parts.iter().for_each(|part| context.update(part));
        NodeId::new(context.finish().as_ref().get(..length)?)
    }
}

/// Reads X.509 certificates for one overlay. It accepts those that one of the overlay's roots has
/// issued, and self-signed ones where they are permitted; an overlay may have both.
#[derive(Clone, Debug)]
pub struct X509Provider {
    /// The overlay's name.
    pub overlay: String,
    /// Length of its Node-IDs in bytes.
    pub node_id_length: usize,
    /// Whether self-signed certificates are permitted, and the digest for their Node-IDs.
    pub self_signed: Option<NodeIdDigest>,
    /// The overlay's trust anchors in DER, as its document has them (RFC 6940 §11.1, `root-cert`).
    /// They issue certificates of nodes themselves: there are no intermediate authorities.
    pub roots: Vec<Vec<u8>>,
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
        let (span, self_signed) = match check_issuer(&parsed, &self.roots) {
            Ok(root) => (Span::of(&parsed).within(root), false),
            Err(CertificateError::Untrusted) => {
                let digest = self.self_signed.ok_or(CertificateError::Untrusted)?;
                self.check_self_signed(&parsed, digest, &node_ids)?;
                (Span::of(&parsed), true)
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(Certificate {
            der: Bytes::copy_from_slice(der),
            node_ids,
            user_name,
            not_before_ms: span.not_before_ms,
            not_after_ms: span.not_after_ms,
            fingerprint: Certificate::fingerprint_of(der),
            self_signed,
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
    /// Whether the Node-IDs are those of the key, and the key has signed (RFC 6940 §11.3.1).
    fn check_self_signed(
        &self,
        certificate: &X509Certificate<'_>,
        digest: NodeIdDigest,
        node_ids: &[NodeId],
    ) -> Result<(), CertificateError> {
        let (spki, length) = (certificate.public_key().raw, self.node_id_length);
        let is_own = match node_ids {
            [only] => digest.node_id(spki, length) == Some(*only),
            several => (1..)
                .zip(several)
                .all(|(index, id)| digest.indexed_node_id(index, spki, length) == Some(*id)),
        };
        if !is_own {
            return Err(CertificateError::NodeIdMismatch);
        }
        check_signature(certificate, certificate.public_key())
    }

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

/// The key in a certificate or a request.
pub(super) fn public_key(spki: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, CertificateError> {
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

/// Whether `key` has signed `certificate`.
pub(super) fn check_signature(
    certificate: &X509Certificate<'_>,
    key: &SubjectPublicKeyInfo<'_>,
) -> Result<(), CertificateError> {
    // RFC 5280 §4.1.1.2: the algorithm stands inside and outside what is signed.
    if certificate.signature_algorithm != certificate.tbs_certificate.signature {
        return Err(CertificateError::Malformed);
    }
    let algorithm = signature_algorithm(&certificate.signature_algorithm)?;
    let tbs: &[u8] = certificate.tbs_certificate.as_ref();
    if verify(&public_key(key)?, algorithm, tbs, &certificate.signature_value.data) {
        Ok(())
    } else {
        Err(CertificateError::Signature)
    }
}

/// The algorithm of a certificate's or a request's signature.
pub(super) fn signature_algorithm(
    identifier: &AlgorithmIdentifier<'_>,
) -> Result<SignatureAlgorithm, CertificateError> {
    if identifier.algorithm == OID_SIG_ECDSA_WITH_SHA256 {
        Ok(SignatureAlgorithm::ECDSA_SHA256)
    } else if identifier.algorithm == OID_PKCS1_SHA256WITHRSA {
        Ok(SignatureAlgorithm::RSA_SHA256)
    } else {
        Err(CertificateError::UnsupportedKey)
    }
}

/// Whether `value` is the signature of `message` by `key`.
pub(super) fn verify(
    key: &PublicKey,
    algorithm: SignatureAlgorithm,
    message: &[u8],
    value: &[u8],
) -> bool {
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

/// The type byte of a Destination that names a node (RFC 6940 §6.3.2.2).
pub(super) const DESTINATION_NODE: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Keys;
    use crate::crypto::keys::DAY_MS;

    const NOW_MS: u64 = 1_790_000_000_000;

    fn provider(digest: NodeIdDigest) -> X509Provider {
        X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(digest),
            roots: Vec::new(),
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

    /// R6940-11.3.1-03, R6940-11.3.1-04, R6940-11.1-08: one Node-ID and the first three of several,
    /// as OpenSSL has digested the key.
    #[test]
    fn node_ids_of_a_known_key() {
        let spki = include_bytes!("../../tests/vectors/p256-spki.der");
        let known = [
            (
                NodeIdDigest::Sha1,
                "eb6a42a375e9c97a0fdb69cca5160ea9",
                [
                    "8f05b42062339e0c159d81f9e7c059c1",
                    "8720cf42de68655f52cf8a49a4bdffad",
                    "645a903746d419bba0902ab9d3a5db63",
                ],
            ),
            (
                NodeIdDigest::Sha256,
                "fb8b44adf9730d7e31e5d4c48c5997a7",
                [
                    "4dd6dccafaa44920f1dabc72b314633c",
                    "aa8e005459c43958f40b1067b15ccbd5",
                    "7cbd79e2b9b101de2fe1c6067e1c6171",
                ],
            ),
        ];
        for (digest, only, several) in known {
            assert_eq!(digest.node_id(spki, 16), only.parse().ok());
            for (index, id) in (1..).zip(several) {
                assert_eq!(digest.indexed_node_id(index, spki, 16), id.parse().ok());
            }
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

    /// R6940-14.15-01: the printed form of a Node-ID in a certificate, and the forms of others
    /// (T-24).
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
