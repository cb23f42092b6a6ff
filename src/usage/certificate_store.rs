//! Certificates that can be found by Node-ID and by user name (RFC 6940 §8).

use bytes::Bytes;

use super::Publication;
use crate::base::{Decode, NodeId};
use crate::crypto::Certificate;
use crate::message::{DataValue, GenericCertificate, KindId, StoredDataValue};
use crate::storage::resource_id;

/// A node's certificate at the hash of its Node-ID. Its first and, until it is renewed, only
/// entry has index 0; a refresh goes to the index that [`index_for`] finds.
pub fn by_node(certificate: &Certificate, node_id: NodeId, index: u32) -> Publication {
    Publication {
        resource: resource_id(node_id.as_bytes()),
        kind: KindId::CERTIFICATE_BY_NODE,
        value: entry(certificate, index),
    }
}

/// A user's certificate at the hash of the user's name. Each of a user's devices has an entry of
/// its own.
pub fn by_user(certificate: &Certificate, index: u32) -> Publication {
    Publication {
        resource: resource_id(certificate.user_name.as_bytes()),
        kind: KindId::CERTIFICATE_BY_USER,
        value: entry(certificate, index),
    }
}

/// Where a certificate belongs among the entries that are there: where it stands already, so
/// that refreshing it does not fill the array (T-69), otherwise behind the last one.
pub fn index_for<'a>(
    certificate: &Certificate,
    entries: impl IntoIterator<Item = &'a StoredDataValue>,
) -> u32 {
    let mut end = 0;
    for entry in entries {
        let StoredDataValue::Array { index, .. } = entry else { continue };
        if certificate_in(entry).as_ref() == Some(&certificate.der) {
            return *index;
        }
        end = end.max(index.saturating_add(1));
    }
    end
}

/// The certificate of an entry, in DER and not yet checked: the bare bytes, or wrapped as in a
/// security block (T-69).
pub fn certificate_in(entry: &StoredDataValue) -> Option<Bytes> {
    let DataValue { exists: true, value } = entry.data() else { return None };
    if value.first() == Some(&DER_SEQUENCE) {
        return Some(value.clone());
    }
    let wrapped = GenericCertificate::from_bytes(value).ok()?;
    (wrapped.certificate_type == GenericCertificate::X509).then_some(wrapped.certificate)
}

fn entry(certificate: &Certificate, index: u32) -> StoredDataValue {
    StoredDataValue::Array { index, value: DataValue::existing(certificate.der.clone()) }
}

/// What every certificate begins with.
const DER_SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Encode;
    use crate::crypto::{Keys, NodeIdDigest, Provider, X509Provider};

    fn certificate() -> Certificate {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        };
        let user = "alice@example.org";
        let made = Keys::self_signed(&provider, user, 1_790_000_000_000, 30).expect("made");
        provider.certificate(&made.certificate_der).expect("accepted").as_ref().clone()
    }

    /// R6940-8-01: DER at the hashes of user name and Node-ID.
    #[test]
    fn a_certificate_stands_at_two_hashes() {
        let certificate = certificate();
        let node_id = certificate.node_ids[0];
        let [node, user] = [by_node(&certificate, node_id, 0), by_user(&certificate, 0)];
        assert_eq!(node.resource, resource_id(node_id.as_bytes()));
        assert_eq!(user.resource, resource_id(b"alice@example.org"));
        assert_eq!((node.kind, user.kind), (KindId(3), KindId(0x10)));
        assert_eq!(certificate_in(&node.value), Some(certificate.der.clone()));
        assert_eq!(node.value.data().value, certificate.der);
    }

    #[test]
    fn a_wrapped_certificate_is_read_too() {
        let certificate = certificate();
        let value =
            |bytes: Vec<u8>| StoredDataValue::Array { index: 0, value: DataValue::existing(bytes) };
        let wrapped = GenericCertificate::x509(certificate.der.clone());
        let wrapped = value(wrapped.to_bytes().expect("short"));
        assert_eq!(certificate_in(&wrapped), Some(certificate.der));
        assert_eq!(certificate_in(&value(vec![0, 9])), None);
        assert_eq!(certificate_in(&value(Vec::new())), None);
    }

    /// R6940-8-02: new certificates go to the end, refreshed ones stay where they are.
    #[test]
    fn refreshing_does_not_fill_the_array() {
        let [first, second, third] = [certificate(), certificate(), certificate()];
        let entries = [by_user(&first, 0).value, by_user(&second, 4).value];
        assert_eq!(index_for(&first, &entries), 0);
        assert_eq!(index_for(&second, &entries), 4);
        assert_eq!(index_for(&third, &entries), 5);
        assert_eq!(index_for(&third, []), 0);
    }
}
