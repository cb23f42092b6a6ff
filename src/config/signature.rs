//! Signatures of documents and of Kinds (RFC 6940 §11.1): a security block over the very bytes of
//! the `configuration` or `kind` element, followed by the signer identity (T-29).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{ConfigError, KindBlock, KindDefinition, OverlayConfig, SignedConfig, write};
use crate::base::{Decode, Encode, NodeId};
use crate::crypto::{
    Certificate, GenericCertificate, Identity, Provider, SecurityBlock, SignerIdentity,
};

/// What judges signatures: the overlay's own rules for certificates.
#[derive(Clone, Copy, Debug)]
pub struct Judge<'a> {
    /// Reads certificates.
    pub provider: &'a dyn Provider,
    /// The time at which the signer's certificate has to be valid, in milliseconds since the Unix
    /// epoch; `None` for what is kept from a time when it was.
    pub unix_ms: Option<u64>,
}

impl OverlayConfig {
    /// This configuration as a document that `identity` signs, and each Kind in it too if it is
    /// one of the kind-signers.
    ///
    /// # Errors
    ///
    /// Fails for a configuration whose values a document cannot hold.
    pub fn sign(&self, identity: &Identity) -> Result<SignedConfig, ConfigError> {
        let sign = |element: &str| STANDARD.encode(security_block(element.as_bytes(), identity));
        let may_sign_kinds = self.kind_signers.contains(&identity.node_id);
        let sign_kind = may_sign_kinds.then_some(&sign as write::Sign<'_>);
        let document = write::document(self, Some(&sign), sign_kind);
        SignedConfig::parse(document.as_bytes(), None)
    }
}

impl SignedConfig {
    /// A configuration without signatures, as a document of its own.
    ///
    /// # Errors
    ///
    /// Fails for a configuration whose values a document cannot hold.
    pub fn unsigned(config: &OverlayConfig) -> Result<Self, ConfigError> {
        Self::parse(config.write().as_bytes(), None)
    }

    /// Which of `signers`, the configuration-signers of the document before this one, has signed
    /// this document.
    pub fn signer(&self, signers: &[NodeId], judge: Judge<'_>) -> Option<NodeId> {
        let is_one = |node_id: &NodeId| signers.contains(node_id);
        self.signatures.iter().find_map(|s| signer(&self.bytes, s, is_one, judge))
    }

    /// Whether this is what somebody has signed, whoever it was, or nobody has. If not, it has been
    /// changed or damaged since.
    pub fn is_intact(&self) -> bool {
        let provider = self.config.provider();
        let judge = Judge { provider: &provider, unix_ms: None };
        let holds = |block: &Vec<u8>| signer(&self.bytes, block, |_| true, judge).is_some();
        self.signatures.is_empty() || self.signatures.iter().any(holds)
    }

    /// The signature block of a Kind of this document.
    pub fn kind_block(&self, id: u32) -> Option<&KindBlock> {
        self.kind_blocks.iter().find(|block| block.kind_id == id)
    }

    /// The Kinds of this document that may be believed once the document itself is: those that
    /// one of its kind-signers has signed. For want of a signature the document alone vouches for
    /// the limits of registered Kinds (T-82), and for all Kinds if it names no kind-signer.
    pub fn accepted_kinds(&self, provider: &dyn Provider) -> Vec<KindDefinition> {
        let judge = Judge { provider, unix_ms: None };
        let signers = &self.config.kind_signers;
        let is_accepted = |(kind, block): &(&KindDefinition, &KindBlock)| match block.signature {
            Some(_) if !signers.is_empty() => block.signer(signers, judge).is_some(),
            _ => kind.name().is_some() || signers.is_empty(),
        };
        let kinds = self.config.kinds.iter().zip(&self.kind_blocks);
        kinds.filter(is_accepted).map(|(kind, _)| kind.clone()).collect()
    }
}

impl KindBlock {
    /// Which of `signers` has signed this Kind.
    pub fn signer(&self, signers: &[NodeId], judge: Judge<'_>) -> Option<NodeId> {
        let is_one = |node_id: &NodeId| signers.contains(node_id);
        signer(&self.bytes, self.signature.as_deref()?, is_one, judge)
    }

    /// This Kind as a `kind-block` element for a ConfigUpdate; `None` without a signature, for
    /// nobody would take it.
    pub fn write(&self) -> Option<Vec<u8>> {
        let signature = STANDARD.encode(self.signature.as_ref()?);
        let tail = format!("<kind-signature>{signature}</kind-signature></kind-block>");
        Some([b"<kind-block>", &self.bytes[..], tail.as_bytes()].concat())
    }
}

/// A security block over an element.
fn security_block(element: &[u8], identity: &Identity) -> Vec<u8> {
    let signature = identity.sign(|signer| input(element, signer));
    let certificates = vec![GenericCertificate::x509(identity.certificate.der.clone())];
    // One certificate and one signature are far below what the vectors hold.
    SecurityBlock { certificates, signature }.to_bytes().unwrap_or_default()
}

fn input(element: &[u8], signer: &SignerIdentity) -> Vec<u8> {
    let identity = signer.to_bytes().unwrap_or_default();
    [element, &identity].concat()
}

fn signer(
    element: &[u8],
    block: &[u8],
    is_one: impl Fn(&NodeId) -> bool,
    judge: Judge<'_>,
) -> Option<NodeId> {
    let SecurityBlock { certificates, signature } = SecurityBlock::from_bytes(block).ok()?;
    let named = |certificate: &Certificate| certificate.named_by(&signature.identity);
    let certificate = certificates
        .iter()
        .filter(|entry| entry.certificate_type == GenericCertificate::X509)
        .take(CERTIFICATES_MAX)
        .filter_map(|entry| judge.provider.certificate(&entry.certificate).ok())
        .find(|certificate| named(certificate).is_some())?;
    let node_id = named(&certificate).filter(is_one)?;
    if judge.unix_ms.is_some_and(|at| !certificate.is_valid_at(at)) {
        return None;
    }
    let verify = |message: &[u8]| {
        judge.provider.verify(&certificate, signature.algorithm, message, &signature.value)
    };
    // The RFC does not say that the identity is covered; we accept both readings (T-29).
    let is_good = verify(&input(element, &signature.identity)) || verify(element);
    is_good.then_some(node_id)
}

// limits

/// Certificates looked at in one security block: the signer's and a few that vouch for it.
const CERTIFICATES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccessControl, DataModel};
    use crate::crypto::{Keys, NodeIdDigest, X509Provider};

    const NOW_MS: u64 = 1_790_000_000_000;
    const PRIVATE: u32 = 0xf000_0001;

    fn provider() -> X509Provider {
        let overlay = "example.org".into();
        X509Provider {
            overlay,
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        }
    }

    fn identity(user: &str) -> Identity {
        let made = Keys::self_signed(&provider(), &format!("{user}@example.org"), NOW_MS, 30);
        made.and_then(|made| made.identity(&provider())).expect("an identity")
    }

    /// A configuration with a private Kind, whose documents and Kinds these may sign.
    fn config(signers: &[&Identity]) -> OverlayConfig {
        let mut config = OverlayConfig::self_signed("example.org").expect("a name");
        let ids = || signers.iter().map(|signer| signer.node_id).collect();
        (config.configuration_signers, config.kind_signers) = (ids(), ids());
        config.kinds.push(KindDefinition {
            id: PRIVATE,
            data_model: DataModel::Single,
            access_control: AccessControl::NodeMatch,
            max_count: 1,
            max_size: 100,
            max_node_multiple: None,
        });
        config
    }

    fn signer_of(document: &SignedConfig, signers: &[NodeId], unix_ms: u64) -> Option<NodeId> {
        document.signer(signers, Judge { provider: &provider(), unix_ms: Some(unix_ms) })
    }

    fn parse(document: &str) -> SignedConfig {
        SignedConfig::parse(document.as_bytes(), None).expect("a good document")
    }

    fn private_kind_of(document: &str) -> bool {
        let kinds = parse(document).accepted_kinds(&provider());
        kinds.iter().any(|kind| kind.id == PRIVATE)
    }

    /// R6940-11.1-21, R6940-11.1-22: our own signer's block is behind the configuration, and only
    /// who may sign is believed, while the certificate is valid.
    #[test]
    fn a_signed_document_names_its_signer() {
        let (alice, bob) = (identity("alice"), identity("bob"));
        let config = config(&[&alice]);
        let signed = config.sign(&alice).expect("signed");
        assert_eq!(signed.config, config);
        let text = String::from_utf8(signed.document.to_vec()).expect("UTF-8");
        let end = text.find("</configuration>").expect("there") + "</configuration>".len();
        assert!(text[end..].trim_start().starts_with("<signature>"), "{}", &text[end..]);
        assert_eq!(parse(&text), signed);
        assert_eq!(signer_of(&signed, &[bob.node_id, alice.node_id], NOW_MS), Some(alice.node_id));
        assert_eq!(signer_of(&signed, &[bob.node_id], NOW_MS), None);
        let year_ms = 365 * 86_400_000;
        assert_eq!(signer_of(&signed, &[alice.node_id], NOW_MS + year_ms), None);
        let unsigned = SignedConfig::unsigned(&config).expect("good");
        assert_eq!(signer_of(&unsigned, &[alice.node_id], NOW_MS), None);
    }

    /// R6940-11.1-20: white space counts, and so does every other byte.
    #[test]
    fn a_changed_document_has_no_signer() {
        let alice = identity("alice");
        let signed = config(&[&alice]).sign(&alice).expect("signed");
        let text = String::from_utf8(signed.document.to_vec()).expect("UTF-8");
        for (from, to) in [
            ("<topology-plugin>", "<topology-plugin> "),
            ("16384", "16385"),
            ("    <required-kinds>", "\t<required-kinds>"),
        ] {
            let changed = parse(&text.replacen(from, to, 1));
            assert_ne!(changed.bytes, signed.bytes);
            assert_eq!(signer_of(&changed, &[alice.node_id], NOW_MS), None, "{to}");
            assert!(!changed.is_intact());
        }
        // What is around the element is not covered.
        let around = parse(&text.replacen("<overlay ", "<overlay  ", 1));
        assert_eq!(signer_of(&around, &[alice.node_id], NOW_MS), Some(alice.node_id));
        assert!(around.is_intact());
    }

    /// T-29: a signature over the element alone is one as well.
    #[test]
    fn both_readings_of_the_signed_bytes_hold() {
        let alice = identity("alice");
        let mut signed = config(&[&alice]).sign(&alice).expect("signed");
        let signature = alice.sign(|_| signed.bytes.to_vec());
        let certificates = vec![GenericCertificate::x509(alice.certificate.der.clone())];
        let block = SecurityBlock { certificates, signature };
        signed.signatures = vec![b"none".to_vec(), block.to_bytes().expect("short")];
        assert_eq!(signer_of(&signed, &[alice.node_id], NOW_MS), Some(alice.node_id));
    }

    /// R6940-11.1-19: a Kind is believed if a kind-signer has signed these very bytes.
    #[test]
    fn kinds_are_believed_as_they_are_signed() {
        let (alice, bob) = (identity("alice"), identity("bob"));
        let text = |signers: &[&Identity]| {
            let signed = config(signers).sign(&alice).expect("signed");
            String::from_utf8(signed.document.to_vec()).expect("UTF-8")
        };
        let good = text(&[&alice]);
        assert!(private_kind_of(&good));
        assert!(!private_kind_of(&good.replace(">100<", "> 100<")));
        let (alice_id, bob_id) = (alice.node_id.to_string(), bob.node_id.to_string());
        assert!(!private_kind_of(&good.replace(&alice_id, &bob_id)), "alice is not listed");
        // Bob may sign Kinds and alice has signed the document only.
        assert!(!private_kind_of(&text(&[&bob])), "an unsigned Kind");
        // Without any kind-signer it is the document that is believed or not.
        assert!(private_kind_of(&text(&[])));
    }

    /// R6940-6.5.4.1-01: a Kind on its own way is UTF-8 and needs no namespace declaration.
    #[test]
    fn a_kind_travels_alone() {
        let alice = identity("alice");
        let signed = config(&[&alice]).sign(&alice).expect("signed");
        let block = signed.kind_block(PRIVATE).expect("there");
        let fragment = block.write().expect("signed");
        assert!(!String::from_utf8_lossy(&fragment).contains("xmlns"));
        let (definition, read) = KindBlock::parse(&fragment).expect("parses");
        assert_eq!((definition.id, &read), (PRIVATE, block));
        let judge = Judge { provider: &provider(), unix_ms: Some(NOW_MS) };
        assert_eq!(read.signer(&[alice.node_id], judge), Some(alice.node_id));
        let utf16: Vec<u8> = fragment.iter().flat_map(|byte| [0, *byte]).collect();
        assert_eq!(KindBlock::parse(&utf16).err().map(|e| e.to_string().is_empty()), Some(false));
        assert_eq!(KindBlock::parse(b"\xff"), Err(ConfigError::NotUtf8));
        assert!(KindBlock::parse(b"<kind-block/>").is_err());
        assert!(KindBlock::parse(b"<kind/>").is_err());
    }
}
