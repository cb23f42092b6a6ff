//! Fuzz targets: the configuration document, and patterns of domains in it. See [`crate::fuzz`].

use super::{DomainPattern, KindBlock, OverlayConfig, SignedConfig};

/// A document with its kind blocks and signatures, or a kind block alone; what is read and written
/// again says the same.
pub fn document(bytes: &[u8]) {
    if let Ok((definition, block)) = KindBlock::parse(bytes)
        && let Some(Ok(again)) = block.write().map(|fragment| KindBlock::parse(&fragment))
    {
        assert_eq!(again, (definition, block));
    }
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

/// A pattern of domains and, on the next line, a domain.
pub fn pattern(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (pattern, domain) = text.split_once('\n').unwrap_or((text, "example.org"));
    let Ok(pattern) = DomainPattern::new(pattern) else { return };
    assert_eq!(DomainPattern::new(pattern.as_str()), Ok(pattern.clone()));
    assert_eq!(pattern.matches(domain), pattern.matches(&domain.to_ascii_uppercase()));
}
