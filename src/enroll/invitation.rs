//! An invitation: one link that names an overlay, addresses of peers in it, and what its document
//! can be known by. It is our extension; overlays without any DNS name need nothing else.
//!
//! ```text
//! reload-invite:NAME?signer=NODE-ID[&root=SHA-256][&code=CODE][&address=IP:PORT]...
//! reload-invite:NAME?document=SHA-256[&code=CODE][&address=IP:PORT]...
//! ```
//!
//! The code is for one person and goes to the enrollment server alone: with it they make an account
//! under a name and a password that they choose, and then it is worth nothing.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::base::NodeId;
use crate::config::{Judge, NameError, OverlayName, SignedConfig};
use crate::crypto::{Certificate, X509Provider};

/// Scheme of an invitation's link.
pub const INVITATION_SCHEME: &str = "reload-invite";

/// What somebody in an overlay gives to somebody who wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The overlay's name.
    pub overlay: OverlayName,
    /// What its document is known by.
    pub fingerprint: Fingerprint,
    /// What lets one person make an account, where accounts are for who is invited.
    pub code: Option<String>,
    /// Peers that hand out the document, and to join through.
    pub addresses: Vec<SocketAddr>,
}

/// What a document can be known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// This node has signed it, in every version. Where the node has its certificate from an
    /// authority, the authority's root has this SHA-256; where it signs its own certificate, the
    /// Node-ID is the digest of its key and needs no other proof.
    Signer {
        /// The configuration-signer.
        node_id: NodeId,
        /// SHA-256 over the root-cert in DER that its certificate chains to.
        root: Option<[u8; 32]>,
    },
    /// SHA-256 over the configuration element of a document that nobody has signed: it stands for
    /// this version alone.
    Document([u8; 32]),
}

impl Fingerprint {
    /// What `document` is known by, at `unix_ms`.
    pub fn of(document: &SignedConfig, unix_ms: u64) -> Self {
        let signers = &document.config.configuration_signers;
        let signed = |provider: &X509Provider| {
            document.signer(signers, Judge { provider, unix_ms: Some(unix_ms) })
        };
        if let Some(node_id) = signed(&self_signed_only(document)) {
            return Self::Signer { node_id, root: None };
        }
        for root in &document.config.root_certs {
            if let Some(node_id) = signed(&root_only(document, root)) {
                let root = Some(Certificate::fingerprint_of(root));
                return Self::Signer { node_id, root };
            }
        }
        Self::Document(Certificate::fingerprint_of(&document.bytes))
    }

    /// Whether this is what `document` is known by. The trust anchors in the document itself prove
    /// nothing: whoever forges a document puts their own there.
    pub fn is_of(&self, document: &SignedConfig, unix_ms: u64) -> bool {
        let (node_id, provider) = match self {
            Self::Document(hash) => return Certificate::fingerprint_of(&document.bytes) == *hash,
            Self::Signer { node_id, root: None } => (node_id, self_signed_only(document)),
            Self::Signer { node_id, root: Some(hash) } => {
                let mut roots = document.config.root_certs.iter();
                let Some(root) = roots.find(|root| Certificate::fingerprint_of(root) == *hash)
                else {
                    return false;
                };
                (node_id, root_only(document, root))
            }
        };
        let judge = Judge { provider: &provider, unix_ms: Some(unix_ms) };
        document.config.configuration_signers.contains(node_id)
            && document.signer(std::slice::from_ref(node_id), judge).is_some()
    }
}

/// Accepts no certificate but self-signed ones, whose Node-ID is the digest of their key.
fn self_signed_only(document: &SignedConfig) -> X509Provider {
    X509Provider { roots: Vec::new(), ..document.config.provider() }
}

/// Accepts no certificate but those that chain to one root.
fn root_only(document: &SignedConfig, root: &[u8]) -> X509Provider {
    let roots = vec![root.to_vec()];
    X509Provider { roots, self_signed: None, ..document.config.provider() }
}

impl Invitation {
    /// An invitation to the overlay of a document, by peers at these addresses.
    pub fn new(document: &SignedConfig, mut addresses: Vec<SocketAddr>, unix_ms: u64) -> Self {
        addresses.truncate(ADDRESSES_MAX);
        let fingerprint = Fingerprint::of(document, unix_ms);
        let overlay = document.config.instance_name.clone();
        Self { overlay, fingerprint, code: None, addresses }
    }

    /// Whether a document is the one of the overlay that the invitation is for.
    pub fn is_for(&self, document: &SignedConfig, unix_ms: u64) -> bool {
        document.config.instance_name.matches(&self.overlay)
            && self.fingerprint.is_of(document, unix_ms)
    }

    /// Whether a text means to be an invitation, be it a good one or not.
    pub fn is_link(text: &str) -> bool {
        text.trim().split_once(':').is_some_and(|(s, _)| s.eq_ignore_ascii_case(INVITATION_SCHEME))
    }
}

/// Why a link cannot be used: one sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// It does not begin as it should.
    #[error("an invitation is a link that begins with {INVITATION_SCHEME}:")]
    Scheme,
    /// Longer than any that is made.
    #[error("the invitation is longer than {LENGTH_MAX} characters, which none is")]
    TooLong,
    /// The overlay has no usable name.
    #[error("the invitation is damaged: {0}")]
    Name(#[from] NameError),
    /// A part cannot be read.
    #[error("the invitation is damaged: its part {0:?} can't be read; ask for it again")]
    Part(&'static str),
    /// Nothing says what the document is known by.
    #[error("the invitation is not complete: its end seems to be missing; ask for it again")]
    NoFingerprint,
}

impl FromStr for Invitation {
    type Err = InvitationError;

    /// Reads a link. Parts that a later version may add are passed over.
    fn from_str(link: &str) -> Result<Self, InvitationError> {
        let link = link.trim();
        if link.len() > LENGTH_MAX {
            return Err(InvitationError::TooLong);
        }
        let (scheme, rest) = link.split_once(':').ok_or(InvitationError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(INVITATION_SCHEME) {
            return Err(InvitationError::Scheme);
        }
        // Programs that make links clickable like two slashes to be there.
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (name, parts) = rest.split_once('?').unwrap_or((rest, ""));
        let name = decoded(name.trim_end_matches('/')).ok_or(InvitationError::Part("name"))?;
        let mut read = Parts::default();
        for part in parts.split('&').filter(|part| !part.is_empty()) {
            read.take(part)?;
        }
        let overlay = OverlayName::new(&name)?;
        let fingerprint = read.fingerprint()?;
        Ok(Self { overlay, fingerprint, code: read.code, addresses: read.addresses })
    }
}

/// What a link has after its name.
#[derive(Default)]
struct Parts {
    signer: Option<NodeId>,
    root: Option<[u8; 32]>,
    document: Option<[u8; 32]>,
    code: Option<String>,
    addresses: Vec<SocketAddr>,
}

impl Parts {
    fn take(&mut self, part: &str) -> Result<(), InvitationError> {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let value = decoded(value);
        let value = value.as_deref();
        match name {
            "signer" => {
                let node_id = value.and_then(|value| value.parse().ok());
                once("signer", &mut self.signer, node_id)
            }
            "root" => once("root", &mut self.root, value.and_then(sha256)),
            "document" => once("document", &mut self.document, value.and_then(sha256)),
            "code" => {
                let code = value.filter(|value| is_code(value)).map(str::to_owned);
                once("code", &mut self.code, code)
            }
            "address" => {
                let address: Option<SocketAddr> = value.and_then(|value| value.parse().ok());
                let address = address.filter(|a| a.port() != 0 && !a.ip().is_unspecified());
                self.addresses.push(address.ok_or(InvitationError::Part("address"))?);
                match self.addresses.len() {
                    ..=ADDRESSES_MAX => Ok(()),
                    _ => Err(InvitationError::Part("address")),
                }
            }
            _ => Ok(()),
        }
    }

    fn fingerprint(&self) -> Result<Fingerprint, InvitationError> {
        match (self.signer, self.root, self.document) {
            (Some(node_id), root, None) => Ok(Fingerprint::Signer { node_id, root }),
            (None, None, Some(document)) => Ok(Fingerprint::Document(document)),
            (None, None, None) => Err(InvitationError::NoFingerprint),
            _ => Err(InvitationError::Part("signer")),
        }
    }
}

/// Takes a value that must be there and must not be there twice.
fn once<T>(
    name: &'static str,
    place: &mut Option<T>,
    value: Option<T>,
) -> Result<(), InvitationError> {
    match (&place, value) {
        (None, Some(value)) => {
            *place = Some(value);
            Ok(())
        }
        _ => Err(InvitationError::Part(name)),
    }
}

/// Codes have letters, digits and dashes, which stand in a link as they are.
fn is_code(text: &str) -> bool {
    (1..=CODE_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn sha256(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{INVITATION_SCHEME}:{}?", self.overlay)?;
        match &self.fingerprint {
            Fingerprint::Signer { node_id, root } => {
                write!(f, "signer={node_id}")?;
                if let Some(root) = root {
                    write!(f, "&root={}", hex::encode(root))?;
                }
            }
            Fingerprint::Document(hash) => write!(f, "document={}", hex::encode(hash))?,
        }
        if let Some(code) = &self.code {
            write!(f, "&code={code}")?;
        }
        for address in &self.addresses {
            // Brackets may not stand in a query (RFC 3986 §3.4), and % begins an escape.
            let address = address.to_string().replace('%', "%25");
            let address = address.replace('[', "%5B").replace(']', "%5D");
            write!(f, "&address={address}")?;
        }
        Ok(())
    }
}

/// A text without its percent-encoding (RFC 3986 §2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.extend(hex::decode(digits).ok()?);
    }
    String::from_utf8(bytes).ok()
}

// limits

/// Ten addresses of IPv6 and the longest name have less; a QR code holds more.
const LENGTH_MAX: usize = 2048;
/// Longer than any code that is made.
const CODE_LENGTH_MAX: usize = 64;
/// Peers that are named.
const ADDRESSES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::OverlayConfig;
    use crate::crypto::{Authority, CertificateRequest, Identity, Keys, RequestedCertificate};

    const NOW_MS: u64 = 1_790_000_000_000;
    const DAY_MS: u64 = 86_400_000;

    fn config() -> OverlayConfig {
        OverlayConfig::self_signed("example.test").expect("a name")
    }

    fn self_signed() -> Identity {
        let provider = config().provider();
        let keys = Keys::self_signed(&provider, "alice@example.test", NOW_MS, 30).expect("made");
        keys.identity(&provider).expect("accepted")
    }

    /// A document that `signer` has signed and may sign.
    fn signed(mut config: OverlayConfig, signer: &Identity) -> SignedConfig {
        config.configuration_signers = vec![signer.node_id];
        config.sign(signer).expect("signed")
    }

    /// A document of an overlay with an authority, signed by a node of this Node-ID.
    fn with_authority(authority: &Authority, node_id: u128) -> SignedConfig {
        let request = CertificateRequest::generate("alice@example.test").expect("a request");
        let csr = RequestedCertificate::read(&request.csr_der).expect("good");
        let ids = [NodeId::from_u128(node_id)];
        let validity = NOW_MS - DAY_MS..NOW_MS + DAY_MS;
        let certificate_der =
            authority.issue(&csr, "alice@example.test", &ids, validity).expect("issued");
        let root_certs = vec![authority.certificate_der().to_vec()];
        let config = OverlayConfig { self_signed_permitted: None, root_certs, ..config() };
        let keys = Keys { certificate_der, private_key_der: request.private_key_der };
        let identity = keys.identity(&config.provider()).expect("accepted");
        signed(config, &identity)
    }

    fn authority() -> Authority {
        Authority::generate("example.test", NOW_MS).expect("an authority")
    }

    fn invitation(document: &SignedConfig) -> Invitation {
        let addresses = ["192.0.2.7:6084", "[2001:db8::7]:6084"];
        let addresses = addresses.map(|address| address.parse().expect("an address"));
        Invitation::new(document, addresses.to_vec(), NOW_MS)
    }

    #[test]
    fn a_link_says_what_the_invitation_says() {
        let unsigned = SignedConfig::unsigned(&config()).expect("good");
        for (document, part) in [
            (signed(config(), &self_signed()), "?signer="),
            (with_authority(&authority(), 7), "&root="),
            (unsigned, "?document="),
        ] {
            let invitation = invitation(&document);
            let link = invitation.to_string();
            assert!(link.starts_with("reload-invite:example.test?"), "{link}");
            assert!(link.contains(part), "{link}");
            assert!(link.ends_with("&address=192.0.2.7:6084&address=%5B2001:db8::7%5D:6084"));
            let clickable = link.replace("reload-invite:", " RELOAD-Invite://");
            for link in [link.as_str(), &clickable, &format!("{link}&later=1\n")] {
                assert_eq!(link.parse(), Ok(invitation.clone()), "{link}");
                assert!(Invitation::is_link(link));
            }
            assert!(invitation.is_for(&document, NOW_MS));
            let personal = Invitation { code: Some("abcd-efgh".into()), ..invitation };
            let link = personal.to_string();
            assert!(link.contains("&code=abcd-efgh&address="), "{link}");
            assert_eq!(link.parse(), Ok(personal));
        }
    }

    #[test]
    fn damaged_links_are_refused_in_one_sentence() {
        let signer = "signer=00112233445566778899aabbccddeeff";
        let many = "&address=192.0.2.7:1".repeat(11);
        for link in [
            "",
            "example.test",
            "sip:alice@example.test",
            "reload-invite:",
            "reload-invite:example.test",
            "reload-invite:example.test?address=192.0.2.7:1",
            &format!("reload-invite:exa%6?{signer}"),
            &format!("reload-invite:example..test?{signer}"),
            &format!("reload-invite:example.test?{signer}&{signer}"),
            &format!("reload-invite:example.test?{signer}&root=00"),
            &format!("reload-invite:example.test?{signer}&address=192.0.2.7"),
            &format!("reload-invite:example.test?{signer}&address=0.0.0.0:6084"),
            &format!("reload-invite:example.test?{signer}&document={}", "00".repeat(32)),
            &format!("reload-invite:example.test?{signer}&code=a%26b"),
            &format!("reload-invite:example.test?{signer}&code="),
            &format!("reload-invite:example.test?{signer}{many}"),
            &format!("reload-invite:example.test?{signer}&later={}", "x".repeat(2048)),
        ] {
            let error = link.parse::<Invitation>().expect_err(link);
            assert_eq!(error.to_string().lines().count(), 1, "{link}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_does_harm(
            text in "\\PC{0,80}",
            tail in "[a-z0-9=&%:.\\[\\]]{0,80}",
        ) {
            let whole = format!("reload-invite:example.test?{tail}");
            for link in [text.clone(), format!("reload-invite:{text}"), whole] {
                if let Ok(invitation) = link.parse::<Invitation>() {
                    prop_assert_eq!(invitation.to_string().parse(), Ok(invitation));
                }
            }
        }
    }

    /// Newer documents of the same signer are for the same invitation; those of others are not,
    /// whatever they claim.
    #[test]
    fn a_forged_document_is_not_the_one() {
        let alice = self_signed();
        let invited = invitation(&signed(config(), &alice));
        let newer = OverlayConfig { sequence: 9, turn_density: 7, ..config() };
        assert!(invited.is_for(&signed(newer, &alice), NOW_MS));
        assert!(!invited.is_for(&signed(config(), &self_signed()), NOW_MS));
        let year_ms = 365 * DAY_MS;
        assert!(!invited.is_for(&signed(config(), &alice), NOW_MS + year_ms), "expired");
        // Its list names alice, but somebody else has signed it.
        let both = OverlayConfig { configuration_signers: vec![alice.node_id], ..config() };
        assert!(!invited.is_for(&both.sign(&self_signed()).expect("signed"), NOW_MS));
        // A node whose Node-ID an authority of the forger's has made up.
        let authority = authority();
        let node_id = alice.node_id.to_u128();
        let mut forged = with_authority(&authority, node_id);
        assert!(!invited.is_for(&forged, NOW_MS));
        forged.config.self_signed_permitted = Some(crate::config::Digest::Sha256);
        assert!(!invited.is_for(&forged, NOW_MS));
    }

    /// The root that the invitation names has to vouch for the very signer that it names: another
    /// user of the same authority cannot sign documents.
    #[test]
    fn another_user_of_the_authority_cannot_forge() {
        let authority = authority();
        let invited = invitation(&with_authority(&authority, 7));
        assert!(invited.is_for(&with_authority(&authority, 7), NOW_MS));
        assert!(!invited.is_for(&with_authority(&authority, 8), NOW_MS));
        assert!(!invited.is_for(&with_authority(&self::authority(), 7), NOW_MS));
    }

    #[test]
    fn an_unsigned_document_is_known_by_its_bytes() {
        let document = SignedConfig::unsigned(&config()).expect("good");
        let invited = invitation(&document);
        let other = OverlayConfig { turn_density: 7, ..config() };
        let other = SignedConfig::unsigned(&other).expect("good");
        assert!(invited.is_for(&document, NOW_MS) && !invited.is_for(&other, NOW_MS));
    }
}
