//! The overlay's document: read, signed by a founder, kept, handed out, and followed when it
//! changes.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::account::AccountId;
use super::api::Event;
use super::certify::has_authority;
use super::engine::Engine;
use super::enter::{Again, Entry, provider, put_out_words};
use super::identity::Standing;
use super::names::own_name;
use super::state::StateFolder;
use crate::config::{Judge, OverlayConfig, SignedConfig, is_newer, next_sequence};
use crate::crypto::{Identity, X509Provider};
use crate::link::unix_ms;
use crate::peer::ConfigEffect;
use crate::storage::KindTable;

/// What an overlay's document says that concerns a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DocumentFacts {
    /// Its number; a newer document has a higher one (RFC 6940 §11.1).
    pub sequence: u16,
    /// When it ends, milliseconds since the Unix epoch.
    pub expires_unix_ms: Option<u64>,
    /// Whether users sign their own certificates, so that nobody vouches for names.
    pub is_self_signed: bool,
    /// Whether nothing proves that it is the overlay's.
    pub is_unproved: bool,
}

impl Engine {
    /// The document in a file, or that of the overlay chosen now, or else joined last.
    pub(super) fn document(&mut self, path: Option<&Path>) -> Result<SignedConfig, String> {
        let state = &self.options.state;
        let Some(path) = path else {
            let chosen = self.snapshot.me().or(self.snapshot.last.as_ref());
            let me = chosen.ok_or("No overlay was joined before; choose its document.")?;
            return state.document(&me.overlay).map_err(|e| e.to_string());
        };
        let document = state.read_document(path).map_err(|e| e.to_string())?;
        let overlay = document.config.instance_name.as_str();
        // What nothing proves is not to be preferred to anything.
        let kept = state.document(overlay).ok().filter(|_| state.is_document_proved(overlay));
        let (document, sentence) = brought(path, document, kept, unix_ms())?;
        if let Some(sentence) = sentence {
            self.notice(sentence);
        }
        Ok(document)
    }

    pub(super) fn save_document(&mut self, overlay: &str, path: &Path) -> Result<(), String> {
        self.snapshot.saved = None;
        let account = self.accounts.named(overlay).and_then(|id| self.accounts.get(id));
        let account = account.ok_or("Join an overlay first.")?;
        std::fs::write(path, &account.document.document)
            .map_err(|e| format!("The document was not saved as {}: {e}.", path.display()))?;
        self.snapshot.saved = Some(path.to_path_buf());
        Ok(())
    }

    /// A document is proved, of an overlay that we are in by one that nothing proves: it takes the
    /// other one's place, whatever their sequences.
    pub(super) fn proved(&mut self, id: AccountId, document: SignedConfig) {
        let Some(account) = self.accounts.get(id) else { return };
        let (overlay, user) = (account.overlay().to_owned(), account.aor.user.clone());
        let present = &account.document;
        // What is newer is followed without a break.
        let is_followed = is_newer(document.config.sequence, present.config.sequence);
        let is_good = is_followed || present.bytes == document.bytes;
        if let Err(error) = self.options.state.save_document(&document) {
            return self.notice(error.to_string());
        }
        if !is_good {
            self.notice(format!(
                "{overlay} is entered again: what you had joined it with was not the right one."
            ));
            let entry = Entry::Join(Vec::new());
            self.begin_leaving(id, Some(Again { document, user, entry }));
        }
    }

    /// An overlay has a newer document. If it cannot be followed without a break, the node is
    /// leaving already.
    pub(super) fn configured(
        &mut self,
        id: AccountId,
        document: Arc<SignedConfig>,
        effect: &ConfigEffect,
    ) {
        let overlay = document.config.instance_name.as_str().to_owned();
        let state = &self.options.state;
        // What follows a document that nothing proves is worth no more.
        let kept = match state.is_document_proved(&overlay) {
            true => state.save_document(&document),
            false => state.save_unproved_document(&document),
        };
        match kept {
            Ok(()) => {
                let sequence = document.config.sequence;
                self.event(Event::Document { overlay: overlay.clone(), sequence });
            }
            Err(error) => {
                self.notice(format!("The new document of {overlay} was not kept: {error}"));
            }
        }
        let entry = self.entry_again(&overlay);
        if let Some(account) = self.accounts.running.get_mut(&id) {
            account.document = document.clone();
            if let Some(presence) = &account.presence {
                presence.send_modify(|shown| shown.document = document.clone());
            }
            account.again = (*effect == ConfigEffect::Rejoin).then(|| Again {
                document: Arc::unwrap_or_clone(document),
                user: account.aor.user.clone(),
                entry,
            });
        }
        if *effect == ConfigEffect::InForce {
            self.look_out(id);
        }
        let sentence = match effect {
            ConfigEffect::InForce | ConfigEffect::Rejoin => return,
            ConfigEffect::Banned => {
                let _ = self.data.remove_joined(&overlay);
                if let Some(account) = self.accounts.running.get_mut(&id) {
                    account.refusal = Some(put_out_words(&overlay));
                }
                return;
            }
            ConfigEffect::Unsupported(error) => {
                format!("We have to leave {overlay}, for it has changed: {error}.")
            }
        };
        // A list of calls that cannot be written to has been reported already.
        let _ = self.data.remove_joined(&overlay);
        self.notice(sentence);
    }
}

/// What to enter an overlay with when the user brings a document: this one or, if it has been
/// replaced since, the one that is kept; and what the user should know. A file that the user brings
/// is believed as to whose it is (RFC 6940 §11.2), but not if it is not what was signed.
fn brought(
    path: &Path,
    document: SignedConfig,
    kept: Option<SignedConfig>,
    unix_ms: u64,
) -> Result<(SignedConfig, Option<String>), String> {
    let path = path.display();
    if !document.is_intact() {
        return Err(format!(
            "The document in {path} is not what its owner has signed; get it again from there."
        ));
    }
    let is_over = document.config.is_expired(unix_ms);
    let Some(kept) = kept.filter(|kept| kept.bytes != document.bytes) else {
        return match is_over {
            true => Err(expired_words(&path.to_string())),
            false => Ok((document, None)),
        };
    };
    let provider = kept.config.provider();
    let judge = Judge { provider: &provider, unix_ms: None };
    let signers = &kept.config.configuration_signers;
    let is_of_line = document.signer(signers, judge).is_some();
    if is_of_line && is_newer(kept.config.sequence, document.config.sequence) {
        let sentence = format!(
            "The document in {path} was replaced long ago; the newer one that is kept here is used."
        );
        return Ok((kept, Some(sentence)));
    }
    if is_over {
        return Err(expired_words(&path.to_string()));
    }
    let is_strange = !is_of_line && !signers.is_empty();
    let sentence = is_strange.then(|| {
        format!(
            "The document in {path} is not from those who made the one that was kept here: go on \
             only if you know that {} was made anew.",
            document.config.instance_name
        )
    });
    Ok((document, sentence))
}

fn expired_words(path: &str) -> String {
    format!(
        "The document in {path} has expired; if this computer's date is right, ask the overlay's \
         owner for a newer one."
    )
}

/// The Kinds of a document that can be believed.
pub(super) fn kinds(document: &SignedConfig, provider: &X509Provider) -> Result<KindTable, String> {
    KindTable::of_document(document, provider)
        .map_err(|e| format!("This overlay can't be joined: {e}."))
}

/// The first document of an overlay: its founder signs it, and whatever comes after it.
pub(super) fn founded(
    mut config: OverlayConfig,
    founder: &Identity,
) -> Result<SignedConfig, String> {
    config.configuration_signers = vec![founder.node_id];
    config.kind_signers = vec![founder.node_id];
    config.sign(founder).map_err(|e| format!("The overlay can't be founded: {e}."))
}

/// The first document of an overlay of self-signed certificates, signed by `user`, whose identity
/// is made if there is none in the folder.
///
/// # Errors
///
/// One sentence: a name that is none, or a folder that can't be used.
pub fn first_document(
    state: &StateFolder,
    config: OverlayConfig,
    user: &str,
    unix_ms: u64,
) -> Result<SignedConfig, String> {
    let (provider, aor) = (provider(&config)?, own_name(&config, user)?);
    let identity = state.identity(&provider, &aor.user, unix_ms).map_err(|e| e.to_string())?;
    founded(config, &identity.identity)
}

/// The document that follows one that was changed, or the kept one if that is newer: its sequence
/// is one more, and `user`, who is one of its configuration-signers, has signed it (RFC 6940
/// §11.1).
///
/// # Errors
///
/// One sentence: somebody who may not sign it, or a document that nobody could join with.
pub fn next_document(
    state: &StateFolder,
    changed: &SignedConfig,
    user: &str,
    unix_ms: u64,
) -> Result<SignedConfig, String> {
    let mut config = changed.config.clone();
    let (provider, aor) = (provider(&config)?, own_name(&config, user)?);
    let overlay = config.instance_name.as_str().to_owned();
    if !state.users().contains(&(overlay.clone(), aor.user.clone())) {
        return Err(format!("There is no identity of {aor} in this folder; give another --state."));
    }
    let identity = match has_authority(&config) {
        true => match state.standing(&provider, &aor.user, unix_ms) {
            Ok(Standing::Ready(identity)) => Ok(identity),
            Ok(Standing::Enroll(_)) => {
                return Err(format!("{aor} has no certificate; join first."));
            }
            Err(error) => Err(error),
        },
        false => state.identity(&provider, &aor.user, unix_ms),
    };
    let identity = identity.map_err(|e| e.to_string())?.identity;
    let kept = state.document(&overlay).ok();
    let before = kept.as_ref().map_or(&config, |kept| &kept.config);
    for signers in [&config.configuration_signers, &before.configuration_signers] {
        if !signers.contains(&identity.node_id) {
            let signers: Vec<_> = signers.iter().map(ToString::to_string).collect();
            let who = if signers.is_empty() { "nobody".into() } else { signers.join(", ") };
            let node_id = identity.node_id;
            return Err(format!(
                "{aor} with Node-ID {node_id} may not sign the document of {overlay}: its \
                 configuration-signer is {who}."
            ));
        }
    }
    if config.is_expired(unix_ms) {
        return Err("The document would have expired already; write a later expiration.".into());
    }
    let is_behind = is_newer(before.sequence, config.sequence);
    config.sequence = next_sequence(if is_behind { before.sequence } else { config.sequence });
    let signed =
        config.sign(&identity).map_err(|e| format!("The document can't be signed: {e}."))?;
    kinds(&signed, &provider)?;
    Ok(signed)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::crypto::NodeIdDigest;
    use crate::link::{Node, NodeOptions, RelayOptions, os_seed};
    use crate::peer::{Command as PeerCommand, PeerConfig};
    use crate::phone::{
        Command, Entrance, Handle, PhoneOptions, StateFolder, StoredIdentity, start,
    };

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn provider() -> X509Provider {
        let overlay = "example.org".into();
        X509Provider {
            overlay,
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        }
    }

    /// A folder with an identity in it.
    fn device(user: &str) -> (tempfile::TempDir, StateFolder, StoredIdentity) {
        let dir = tempfile::tempdir().expect("a folder");
        let state = StateFolder::open(dir.path()).expect("usable");
        let identity = state.identity(&provider(), user, unix_ms()).expect("made");
        (dir, state, identity)
    }

    fn phone(state: StateFolder) -> Handle {
        let options = PhoneOptions {
            state,
            listen: Some(ANY_PORT),
            auto_answer: false,
            play: None,
            record: None,
            pcap: None,
            is_attended: false,
        };
        start(options).expect("started")
    }

    async fn node(identity: StoredIdentity, document: &Arc<SignedConfig>) -> Node {
        let options = NodeOptions {
            config: PeerConfig::of(document.clone()),
            kinds: kinds(document, &provider()).expect("consistent"),
            identity: identity.identity,
            keys: identity.keys,
            provider: Arc::new(provider()),
            listen: ANY_PORT,
            loopback: true,
            stun_servers: Vec::new(),
            relays: RelayOptions::default(),
            opens_ports: false,
            values: None,
            pcap: None,
            seed: os_seed(),
        };
        Node::start(options).await.expect("started").0
    }

    /// R6940-11.1-23: what the founder signs and somebody brings takes the place of the document
    /// that was kept, to the byte.
    #[tokio::test]
    async fn a_newer_document_is_kept() {
        let (dir, state, alice) = device("alice");
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let first = founded(config, &alice.identity).expect("signed");
        let mut config = first.config.clone();
        (config.sequence, config.turn_density) = (2, 20);
        let second = Arc::new(config.sign(&alice.identity).expect("signed"));
        let path = dir.path().join("first.xml");
        std::fs::write(&path, &first.document).expect("written");
        let phone = phone(state);
        let mut events = phone.events();
        phone.send(Command::Found { document: Some(path), user: "alice".into() });
        let kept = dir.path().join("overlays/example.org/document.xml");
        let (_bob_dir, _bob_state, bob) = device("bob");
        let mut bob = Some(bob);
        let mut node_of_bob = None;
        let sequence = loop {
            let event = timeout(Duration::from_secs(30), events.recv()).await.expect("in time");
            match event.expect("the phone lives") {
                Event::Joined { listen: Some(listen), .. } => {
                    assert_eq!(std::fs::read(&kept).expect("kept"), first.document);
                    let joining = node(bob.take().expect("joined once"), &second).await;
                    joining.tell(PeerCommand::Join(vec![listen])).await.expect("lives");
                    node_of_bob = Some(joining);
                }
                Event::Document { sequence, .. } => break sequence,
                Event::Error { message } => panic!("{message}"),
                _ => {}
            }
        };
        assert!(node_of_bob.is_some());
        assert_eq!(sequence, 2);
        assert_eq!(std::fs::read(&kept).expect("kept"), second.document);
    }

    /// R6940-11.1-23, R6940-11.1-14: when the overlay asks for what we cannot do, we leave in order
    /// and the user reads why; and we do not enter it again.
    #[tokio::test]
    async fn who_cannot_follow_leaves_and_says_why() {
        let (dir, state, alice) = device("alice");
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let first = founded(config, &alice.identity).expect("signed");
        let mut config = first.config.clone();
        config.sequence = 2;
        config.mandatory_extensions.push("urn:example:new".into());
        let second = Arc::new(config.sign(&alice.identity).expect("signed"));
        let path = dir.path().join("first.xml");
        std::fs::write(&path, &first.document).expect("written");
        let phone = phone(state);
        let mut events = phone.events();
        phone.send(Command::Found { document: Some(path.clone()), user: "alice".into() });
        let (_bob_dir, _bob_state, bob) = device("bob");
        let (mut bob, mut node_of_bob, mut sentence) = (Some(bob), None, None);
        loop {
            let event = timeout(Duration::from_secs(30), events.recv()).await.expect("in time");
            match event.expect("the phone lives") {
                Event::Joined { listen: Some(listen), .. } => {
                    let joining = node(bob.take().expect("joined once"), &second).await;
                    joining.tell(PeerCommand::Join(vec![listen])).await.expect("lives");
                    node_of_bob = Some(joining);
                }
                Event::Error { message } => sentence = Some(message),
                Event::Left { .. } => break,
                _ => {}
            }
        }
        assert!(node_of_bob.is_some());
        let sentence = sentence.expect("a reason");
        assert!(sentence.contains("urn:example:new") && sentence.contains("leave"), "{sentence}");
        phone.send(Command::Found { document: Some(path), user: "alice".into() });
        let mut refusal = String::new();
        while !refusal.contains("urn:example:new") {
            let event = timeout(Duration::from_secs(30), events.recv()).await.expect("in time");
            if let Event::Error { message } = event.expect("the phone lives") {
                refusal = message;
            }
        }
    }

    /// R6940-6.3.2.1-05: without a document nothing is entered, and the user reads what to do.
    #[tokio::test]
    async fn nothing_is_entered_without_a_document() {
        let (_dir, state, _) = device("alice");
        let phone = phone(state);
        let mut events = phone.events();
        let (entrance, bootstrap) = (Entrance::Last, vec![ANY_PORT]);
        phone.send(Command::Join { entrance, user: "alice".into(), bootstrap });
        let event = timeout(Duration::from_secs(30), events.recv()).await.expect("in time");
        let Event::Error { message } = event.expect("the phone lives") else { panic!("entered") };
        assert!(message.contains("document"), "{message}");
        assert!(phone.snapshot().memberships.is_empty());
    }

    /// What the user brings, and what is kept: the sentence, or the sequence that is used.
    #[test]
    fn a_document_that_is_brought_is_judged() {
        let (_, _, alice) = device("alice");
        let (_, _, mallory) = device("mallory");
        let now = unix_ms();
        let by = |founder: &StoredIdentity, sequence: u16, end: Option<u64>| {
            let config = OverlayConfig::self_signed("example.org").expect("a name");
            let config = OverlayConfig { sequence, expiration_unix_ms: end, ..config };
            founded(config, &founder.identity).expect("signed")
        };
        let bring = |document: &SignedConfig, kept: Option<&SignedConfig>| {
            let brought = brought(Path::new("a.xml"), document.clone(), kept.cloned(), now);
            brought.map(|(document, sentence)| (document.config.sequence, sentence))
        };
        let (first, second) = (by(&alice, 1, None), by(&alice, 2, None));
        for kept in [None, Some(&first), Some(&second)] {
            assert_eq!(bring(&second, kept), Ok((2, None)));
        }
        // Replayed: what is newer stays.
        let (used, sentence) = bring(&first, Some(&second)).expect("entered");
        assert_eq!(used, 2);
        assert!(sentence.expect("a sentence").contains("replaced"));
        let expired = by(&alice, 3, Some(now - 1));
        for kept in [None, Some(&second), Some(&expired)] {
            assert!(bring(&expired, kept).expect_err("expired").contains("has expired"));
        }
        let text = String::from_utf8(second.document.to_vec()).expect("UTF-8");
        let changed = text.replace("<max-message-size>16384", "<max-message-size>16385");
        let changed = SignedConfig::parse(changed.as_bytes(), None).expect("parses");
        for kept in [None, Some(&first)] {
            assert!(bring(&changed, kept).expect_err("changed").contains("signed"));
        }
        let (used, sentence) = bring(&by(&mallory, 9, None), Some(&second)).expect("entered");
        assert_eq!(used, 9);
        assert!(sentence.expect("a sentence").contains("made anew"));
    }

    /// A damaged file of values keeps nobody out of the overlay; one sentence says where it is.
    #[tokio::test]
    async fn damaged_values_are_reported() {
        let (dir, state, alice) = device("alice");
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let document = founded(config, &alice.identity).expect("signed");
        let path = dir.path().join("first.xml");
        std::fs::write(&path, &document.document).expect("written");
        let values = dir.path().join("overlays/example.org/alice/values.db");
        std::fs::write(&values, b"no database").expect("written");
        let phone = phone(state);
        let mut events = phone.events();
        phone.send(Command::Found { document: Some(path), user: "alice".into() });
        let (mut sentence, mut joined) = (None, false);
        while sentence.is_none() || !joined {
            let event = timeout(Duration::from_secs(30), events.recv()).await.expect("in time");
            match event.expect("the phone lives") {
                Event::Joined { .. } => joined = true,
                Event::Error { message } => assert_eq!(sentence.replace(message), None),
                _ => {}
            }
        }
        let sentence = sentence.expect("a sentence");
        let aside = format!("{}.damaged-", values.display());
        assert!(sentence.contains("come back from other peers"), "{sentence}");
        assert!(sentence.contains(&aside), "{sentence}");
    }
}
