//! Fuzz target: the configuration document. See [`crate::fuzz`].

use super::{OverlayConfig, SignedConfig};

/// A document with its kind blocks and signatures; what is read and written again says the same.
pub fn document(bytes: &[u8]) {
    let Ok(signed) = SignedConfig::parse(bytes, None) else { return };
    let text = std::str::from_utf8(bytes).expect("it was read");
    let signed_bytes = std::iter::once(&signed.bytes);
    for part in signed_bytes.chain(signed.kind_blocks.iter().map(|block| &block.bytes)) {
        let part = std::str::from_utf8(part).expect("a part of a text");
        assert!(text.contains(part), "signatures cover the document's own bytes");
    }
    let written = signed.config.write();
    assert_eq!(OverlayConfig::parse(written), Ok(signed.config));
}
