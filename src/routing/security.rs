//! Who signed a message (RFC 6940 §6.3.4), checked once, at its destination.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::NodeId;
use crate::crypto::{Certificate, Provider, SignerIdentity};
use crate::message::{ForwardingHeader, GenericCertificate, Opened};

/// Checks signatures and remembers the certificates that it has read.
#[derive(Debug)]
pub struct Verifier {
    provider: Arc<dyn Provider>,
    /// By the beginnings of their fingerprints.
    known: Vec<Known>,
    known_max: usize,
    came: u32,
    bad_nodes: BTreeSet<NodeId>,
}

/// A certificate that is remembered.
#[derive(Debug)]
struct Known {
    prefix: u32,
    /// How many came before it.
    came: u32,
    certificate: Arc<Certificate>,
}

/// Who signed a message.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The Node-ID that it acts as.
    pub node_id: NodeId,
    /// Its certificate.
    pub certificate: Arc<Certificate>,
}

impl Verifier {
    /// A verifier that trusts what `provider` trusts and remembers so many certificates. Each takes
    /// about a kilobyte.
    pub fn new(provider: Arc<dyn Provider>, known_max: usize) -> Self {
        Self { provider, known: Vec::new(), known_max, came: 0, bad_nodes: BTreeSet::new() }
    }

    /// Believes no value under a certificate that names one of these nodes (RFC 6940 §11.1,
    /// `bad-node`); who signed a message is for its reader to look at.
    pub fn set_bad_nodes(&mut self, bad_nodes: &[NodeId]) {
        self.bad_nodes = bad_nodes.iter().copied().collect();
        let (bad_nodes, known) = (&self.bad_nodes, &mut self.known);
        known.retain(|known| !names_one_of(&known.certificate, bad_nodes));
    }

    /// Whether a certificate names one of the overlay's bad nodes.
    pub fn is_revoked(&self, certificate: &Certificate) -> bool {
        names_one_of(certificate, &self.bad_nodes)
    }

    /// The overlay's provider.
    pub fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// How many certificates are remembered, and at most.
    pub fn load(&self) -> (usize, usize) {
        (self.known.len(), self.known_max)
    }

    /// Remembers a certificate that the provider has read.
    pub fn remember(&mut self, certificate: &Arc<Certificate>) {
        if self.is_revoked(certificate) {
            return;
        }
        let Err(mut at) = self.place(&certificate.fingerprint) else { return };
        if self.known.len() >= self.known_max {
            let age = |i: &usize| self.came.wrapping_sub(self.known[*i].came);
            let oldest = (0..self.known.len()).max_by_key(age);
            if let Some(oldest) = oldest {
                self.known.remove(oldest);
                at -= usize::from(oldest < at);
            }
        }
        let (prefix, came) = (prefix(&certificate.fingerprint), self.came);
        self.came = came.wrapping_add(1);
        if self.known.len() == self.known.capacity() {
            self.known.reserve_exact(KNOWN_STEP.min(self.known_max));
        }
        self.known.insert(at, Known { prefix, came, certificate: certificate.clone() });
    }

    /// Who signed a message, or `None` if its signature or certificate does not hold.
    pub fn verify(
        &mut self,
        header: &ForwardingHeader,
        opened: &Opened,
        unix_ms: u64,
    ) -> Option<Signed> {
        let signature = &opened.security.signature;
        let bucket = &opened.security.certificates;
        let certificate = self.signer(&signature.identity, bucket)?;
        let node_id = certificate.named_by(&signature.identity)?;
        let input = opened.signature_input(header);
        let is_good = certificate.is_valid_at(unix_ms)
            && self.provider.verify(&certificate, signature.algorithm, &input, &signature.value);
        is_good.then_some(Signed { node_id, certificate })
    }

    /// The certificate that an identity names: one that we remember, or one of a message's
    /// bucket that the provider accepts.
    pub fn find(
        &self,
        identity: &SignerIdentity,
        bucket: &[GenericCertificate],
    ) -> Option<Arc<Certificate>> {
        let found = self.known(identity).or_else(|| self.in_bucket(identity, bucket));
        found.filter(|certificate| !self.is_revoked(certificate))
    }

    /// The certificate that an identity names, if we remember it.
    pub fn known(&self, identity: &SignerIdentity) -> Option<Arc<Certificate>> {
        match identity {
            SignerIdentity::CertHash { hash, .. } => {
                self.remembered(<&[u8; 32]>::try_from(&hash[..]).ok()?)
            }
            SignerIdentity::CertHashNodeId { .. } => {
                let mut all = self.known.iter().map(|known| &known.certificate);
                all.find(|c| c.named_by(identity).is_some()).cloned()
            }
            SignerIdentity::None => None,
        }
    }

    fn remembered(&self, fingerprint: &[u8; 32]) -> Option<Arc<Certificate>> {
        self.place(fingerprint).ok().map(|at| self.known[at].certificate.clone())
    }

    /// Where a certificate is, or where it belongs.
    fn place(&self, fingerprint: &[u8; 32]) -> Result<usize, usize> {
        let wanted = prefix(fingerprint);
        let start = self.known.partition_point(|known| known.prefix < wanted);
        let alike = self.known[start..].iter().take_while(|known| known.prefix == wanted);
        let same = alike.enumerate().find(|(_, k)| k.certificate.fingerprint == *fingerprint);
        same.map(|(offset, _)| start + offset).ok_or(start)
    }

    fn signer(
        &mut self,
        identity: &SignerIdentity,
        bucket: &[GenericCertificate],
    ) -> Option<Arc<Certificate>> {
        if let Some(known) = self.known(identity) {
            return Some(known);
        }
        let found = self.in_bucket(identity, bucket)?;
        self.remember(&found);
        Some(found)
    }

    fn in_bucket(
        &self,
        identity: &SignerIdentity,
        bucket: &[GenericCertificate],
    ) -> Option<Arc<Certificate>> {
        let mut read = bucket.iter().take(BUCKET_MAX).filter_map(|e| self.read(e, identity));
        read.find(|certificate| certificate.named_by(identity).is_some())
    }

    /// A certificate that may be the one that `identity` names: those that cannot be are not
    /// worth the check of their own signatures.
    fn read(
        &self,
        entry: &GenericCertificate,
        identity: &SignerIdentity,
    ) -> Option<Arc<Certificate>> {
        if entry.certificate_type != GenericCertificate::X509 {
            return None;
        }
        let fingerprint = Certificate::fingerprint_of(&entry.certificate);
        if let SignerIdentity::CertHash { hash, .. } = identity
            && hash[..] != fingerprint
        {
            return None;
        }
        match self.remembered(&fingerprint) {
            Some(known) => Some(known),
            None => self.provider.certificate(&entry.certificate).ok(),
        }
    }
}

fn names_one_of(certificate: &Certificate, bad_nodes: &BTreeSet<NodeId>) -> bool {
    certificate.node_ids.iter().any(|node| bad_nodes.contains(node))
}

fn prefix(fingerprint: &[u8; 32]) -> u32 {
    let [a, b, c, d, ..] = *fingerprint;
    u32::from_be_bytes([a, b, c, d])
}

// limits

/// Places that a full list of certificates grows by.
const KNOWN_STEP: usize = 32;
/// Certificates looked at in one message. A Fetch of a resource with 16 signers has 17.
const BUCKET_MAX: usize = 64;
#[cfg(test)]
const KNOWN_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TransactionId;
    use crate::crypto::{Keys, NodeIdDigest, Signature, X509Provider};
    use crate::message::{Fragment, MessageContents, Method, Packet};

    /// R6940-13.3-01: with real certificates, in every build: a message is from nobody unless it
    /// is signed, with a key whose certificate is there, over what it says, and in its time.
    #[test]
    fn no_message_is_believed_without_its_signature() {
        let now_ms = 1_790_000_000_000;
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        };
        let identity = |user: &str| {
            let made = Keys::self_signed(&provider, user, now_ms, 30).expect("made");
            made.identity(&provider).expect("an identity")
        };
        let (alice, mallory) = (identity("alice@example.org"), identity("mallory@example.org"));
        let header = ForwardingHeader {
            overlay: 1,
            configuration_sequence: 0,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: TransactionId(7),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![alice.node_id.into()],
            options: Vec::new(),
        };
        let contents = MessageContents::new(Method::Ping.request(), vec![0, 0]);
        let packet = Packet::seal(header, &contents, &alice, &[]).expect("short");
        let honest = packet.open(16).expect("parses");
        let believed = |opened: &Opened, at_ms: u64| {
            let mut verifier = Verifier::new(Arc::new(provider.clone()), KNOWN_MAX);
            verifier.verify(&packet.header, opened, at_ms).map(|signed| signed.node_id)
        };
        assert_eq!(believed(&honest, now_ms), Some(alice.node_id));
        assert_eq!(believed(&honest, now_ms + 40 * 24 * 3600 * 1000), None, "expired");

        let spoilt = |spoil: &dyn Fn(&mut Opened)| {
            let mut opened = honest.clone();
            spoil(&mut opened);
            believed(&opened, now_ms)
        };
        assert_eq!(spoilt(&|o| o.security.signature = Signature::SYNTHESIZED), None, "unsigned");
        assert_eq!(spoilt(&|o| o.security.signature.value.clear()), None, "an empty value");
        assert_eq!(spoilt(&|o| o.security.certificates.clear()), None, "no certificate");
        assert_eq!(spoilt(&|o| o.signed = vec![0; o.signed.len()].into()), None, "other words");
        let theirs = mallory.certificate.signer_identity(mallory.node_id);
        assert_eq!(spoilt(&|o| o.security.signature.identity = theirs.clone()), None);
        let their_der = GenericCertificate::x509(mallory.certificate.der.clone());
        let swapped = spoilt(&|o| {
            o.security.certificates = vec![their_der.clone()];
            o.security.signature.identity = theirs.clone();
        });
        assert_eq!(swapped, None, "signed with another key than the certificate's");
    }
}

#[cfg(all(test, feature = "sim"))]
mod simulated_tests {
    use super::*;
    use crate::base::TransactionId;
    use crate::crypto::CheapProvider;
    use crate::message::{Fragment, MessageContents, Method, Packet};

    /// R6940-6.3.4-05, R6940-6.3.4-13: what is not signed as its bucket says comes from nobody.
    #[test]
    fn only_signed_messages_come_from_somebody() {
        let own = NodeId::from_u128(5);
        let identity = CheapProvider.identity(own, "alice@example.org").expect("an identity");
        let header = ForwardingHeader {
            overlay: 1,
            configuration_sequence: 0,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: TransactionId(7),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![own.into()],
            options: Vec::new(),
        };
        let contents = MessageContents::new(Method::Ping.request(), vec![0, 0]);
        let packet = Packet::seal(header, &contents, &identity, &[]).expect("short");
        let opened = packet.open(16).expect("parses");
        let mut verifier = Verifier::new(Arc::new(CheapProvider), KNOWN_MAX);
        let mut pgp = opened.clone();
        pgp.security.certificates[0].certificate_type = 1;
        assert!(verifier.verify(&packet.header, &pgp, 0).is_none());
        let signed = verifier.verify(&packet.header, &opened, 0).expect("verifies");
        assert_eq!(signed.node_id, own);
        let mut other = packet.header.clone();
        other.transaction_id = TransactionId(8);
        assert!(verifier.verify(&other, &opened, 0).is_none());
        // Its certificate is remembered, so the bucket is not needed again.
        pgp.security.certificates.clear();
        assert!(verifier.verify(&packet.header, &pgp, 0).is_some());
    }

    /// R6940-6.3.4-08: with several Node-IDs in a certificate a signature names its signer by the
    /// hash over Node-ID and certificate; the hash over the certificate alone names nobody.
    #[test]
    fn one_of_several_node_ids_is_named() {
        let own = NodeId::from_u128(5);
        let mut identity = CheapProvider.identity(own, "alice@example.org").expect("an identity");
        let mut certificate = (*identity.certificate).clone();
        certificate.node_ids.push(NodeId::from_u128(6));
        identity.certificate = Arc::new(certificate);
        identity.node_id = NodeId::from_u128(6);
        let (packet, opened) = sealed(&identity);
        let input = [NodeId::from_u128(6).as_bytes(), &identity.certificate.der].concat();
        let hash = Certificate::fingerprint_of(&input).to_vec();
        let hash_algorithm = SignerIdentity::SHA256;
        let expected = SignerIdentity::CertHashNodeId { hash_algorithm, hash };
        assert_eq!(opened.security.signature.identity, expected);
        let mut verifier = Verifier::new(Arc::new(CheapProvider), KNOWN_MAX);
        verifier.remember(&identity.certificate);
        let signed = verifier.verify(&packet.header, &opened, 0).expect("verifies");
        assert_eq!(signed.node_id, NodeId::from_u128(6));
        let hash = identity.certificate.fingerprint.to_vec();
        let alone = SignerIdentity::CertHash { hash_algorithm, hash };
        assert!(verifier.verify(&packet.header, &resigned(&identity, &packet, alone), 0).is_none());
    }

    /// R6940-6.3.4-03: a message that names nobody as its signer comes from nobody.
    #[test]
    fn who_names_nobody_has_not_signed() {
        let own = NodeId::from_u128(5);
        let identity = CheapProvider.identity(own, "alice@example.org").expect("an identity");
        let (packet, opened) = sealed(&identity);
        let mut verifier = Verifier::new(Arc::new(CheapProvider), KNOWN_MAX);
        assert!(verifier.verify(&packet.header, &opened, 0).is_some());
        let unsigned = resigned(&identity, &packet, SignerIdentity::None);
        assert!(verifier.verify(&packet.header, &unsigned, 0).is_none());
    }

    fn sealed(identity: &crate::crypto::Identity) -> (Packet, Opened) {
        let header = ForwardingHeader {
            overlay: 1,
            configuration_sequence: 0,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: TransactionId(7),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![identity.node_id.into()],
            options: Vec::new(),
        };
        let contents = MessageContents::new(Method::Ping.request(), vec![0, 0]);
        let packet = Packet::seal(header, &contents, identity, &[]).expect("short");
        let opened = packet.open(16).expect("parses");
        (packet, opened)
    }

    /// The message with a good signature over another signer identity.
    fn resigned(
        identity: &crate::crypto::Identity,
        packet: &Packet,
        named: SignerIdentity,
    ) -> Opened {
        let mut opened = packet.open(16).expect("parses");
        opened.security.signature.identity = named;
        let input = opened.signature_input(&packet.header);
        opened.security.signature.value = identity.sign(|_| input).value;
        opened
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut verifier = Verifier::new(Arc::new(CheapProvider), KNOWN_MAX);
        for number in 0..1000 {
            let id = NodeId::from_u128(number + 1);
            let identity = CheapProvider.identity(id, "alice@example.org").expect("an identity");
            verifier.remember(&identity.certificate);
        }
        assert_eq!(verifier.load(), (KNOWN_MAX, KNOWN_MAX));
    }
}
