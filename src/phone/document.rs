//! The overlay's document: read, signed by a founder, kept, handed out, and followed when it
//! changes.

use std::path::Path;
use std::sync::Arc;

use super::account::Entry;
use super::api::OverlayState;
use super::engine::Engine;
use crate::config::{OverlayConfig, SignedConfig};
use crate::crypto::{Identity, X509Provider};
use crate::peer::ConfigEffect;
use crate::storage::KindTable;

impl Engine {
    /// The document in a file, or that of the overlay chosen now, or else joined last.
    pub(super) fn document(&self, path: Option<&Path>) -> Result<SignedConfig, String> {
        let state = &self.options.state;
        let chosen = self.snapshot.me.as_ref().or(self.snapshot.last.as_ref());
        let document = match (path, chosen) {
            (Some(path), _) => state.read_document(path),
            (None, Some(me)) => state.document(&me.overlay),
            (None, None) => return Err("No overlay was joined before; choose its document.".into()),
        };
        document.map_err(|e| e.to_string())
    }

    pub(super) fn save_document(&mut self, path: &Path) -> Result<(), String> {
        self.snapshot.saved = None;
        let account = self.account.as_ref().ok_or("Join an overlay first.")?;
        std::fs::write(path, &account.document.document)
            .map_err(|e| format!("The document was not saved as {}: {e}.", path.display()))?;
        self.snapshot.saved = Some(path.to_path_buf());
        Ok(())
    }

    /// The overlay has a newer document. If it cannot be followed without a break, the node is
    /// leaving already.
    pub(super) fn configured(&mut self, document: Arc<SignedConfig>, effect: &ConfigEffect) {
        if let Err(error) = self.options.state.save_document(&document) {
            self.notice(format!("The overlay's new document was not kept: {error}"));
        }
        if let Some(account) = &mut self.account {
            account.document = document;
            account.joins_again = *effect == ConfigEffect::Rejoin;
        }
        match effect {
            ConfigEffect::InForce | ConfigEffect::Rejoin => {}
            ConfigEffect::Unsupported(error) => {
                self.notice(format!("We have to leave, for the overlay has changed: {error}."));
            }
            ConfigEffect::Banned => {
                self.notice("The overlay does not accept us any more.".into());
            }
        }
    }

    /// The node has left, for good or to come back under another document.
    pub(super) async fn node_left(&mut self) {
        let again = self.account.as_ref().filter(|account| account.joins_again);
        let again = again.map(|account| (account.document.clone(), account.aor.user.clone()));
        self.left();
        let Some((document, user)) = again else { return };
        let overlay = document.config.instance_name.as_str();
        let is_founder = self.data.founded_listen(overlay).ok().flatten().is_some();
        let entry = if is_founder { Entry::Found } else { Entry::Join(Vec::new()) };
        if let Err(reason) = self.enter(Arc::unwrap_or_clone(document), &user, entry).await {
            self.overlay_state(OverlayState::Failed { reason: reason.clone() });
            self.notice(reason);
        }
    }
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
