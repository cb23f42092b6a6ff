//! From a Resource Name to a Resource-ID.

use sha1::{Digest, Sha1};

use crate::base::ResourceId;

/// The Resource-ID of a Resource Name: the first 16 bytes of its SHA-1 (RFC 6940 §10.2).
pub fn resource_id(name: &[u8]) -> ResourceId {
    let digest = Sha1::digest(name);
    let mut high = [0; 16];
    high.copy_from_slice(&digest[..16]);
    ResourceId::from_u128(u128::from_be_bytes(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(name: &[u8]) -> String {
        resource_id(name).to_string()
    }

    /// R6940-10.2-01: the published vectors of names, Node-IDs, TURN servers and ReDiR trees.
    #[test]
    fn resource_ids_match_the_vectors() {
        assert_eq!(hash(b"alice@dht.example.com"), "0c51a942f50c828aef82a5af83e8ed59");
        assert_eq!(hash(b"bob@dht.example.com"), "6c1cfd6d5d9e35557d66a1b05f9e2247");
        let node = hex::decode("00112233445566778899aabbccddeeff").expect("hex");
        let with = |tail: &[u8]| hash(&[&node, tail].concat());
        assert_eq!(with(&[]), "739e0e8490eacbcb2ea11d4a5dbefbae");
        assert_eq!(with(&[1]), "ef34792ebc2eafc889f07e51693ee04d");
        assert_eq!(with(&[0, 0, 0, 1]), "6ed089dbafade1130bd6ffddccdc201e");
        let root = [b"voice-mail".as_slice(), &[0, 0], &[0, 0]].concat();
        assert_eq!(hash(&root), "52125612f1b357fda965f7e2e05c1598");
    }
}
