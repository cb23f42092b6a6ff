//! Fuzz targets: certificates and signatures. See [`crate::fuzz`].

use super::{
    NodeIdDigest, Provider, RequestedCertificate, Signature, SignerIdentity, X509Provider,
};
use crate::base::fuzz::round_trip;

/// A certificate in DER, as any node may show one.
pub fn certificate(der: &[u8]) {
    for digest in [NodeIdDigest::Sha1, NodeIdDigest::Sha256] {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(digest),
            roots: vec![der.to_vec()],
        };
        let Ok(certificate) = provider.certificate(der) else { continue };
        assert_eq!(certificate.der, der);
        assert!(!certificate.node_ids.is_empty());
        for node_id in certificate.node_ids.iter().copied() {
            let identity = certificate.signer_identity(node_id);
            assert_eq!(certificate.named_by(&identity), Some(node_id));
        }
    }
}

/// A request for a certificate in DER, as any client of an enrollment server may send one.
pub fn request(der: &[u8]) {
    let Ok(requested) = RequestedCertificate::read(der) else { return };
    assert!(requested.user_name().is_none_or(|name| !name.is_empty()));
}

/// A signature, or only the identity of its signer.
pub fn signature(bytes: &[u8]) {
    round_trip::<Signature>(bytes);
    round_trip::<SignerIdentity>(bytes);
}
