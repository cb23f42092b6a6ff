//! Fuzz targets: certificates and signatures. See [`crate::fuzz`].

use super::{NodeIdDigest, Provider, Signature, SignerIdentity, X509Provider};
use crate::base::fuzz::round_trip;

/// A certificate in DER, as any node may show one.
pub fn certificate(der: &[u8]) {
    for digest in [NodeIdDigest::Sha1, NodeIdDigest::Sha256] {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(digest),
        };
        let Ok(certificate) = provider.certificate(der) else { continue };
        let [node_id] = certificate.node_ids[..] else { panic!("a key has one Node-ID") };
        assert_eq!(certificate.der, der);
        let identity = certificate.signer_identity(node_id);
        assert_eq!(certificate.named_by(&identity), Some(node_id));
    }
}

/// A signature, or only the identity of its signer.
pub fn signature(bytes: &[u8]) {
    round_trip::<Signature>(bytes);
    round_trip::<SignerIdentity>(bytes);
}
