//! A device of ours is put out of an overlay that gives out names by accounts: its authority is
//! asked with our password, and the document that it answers with goes round.

use std::sync::Arc;

use super::account::{AccountId, AccountReport, tell};
use super::engine::Engine;
use crate::base::NodeId;
use crate::config::SignedConfig;
use crate::enroll::{self, Resolver, Revocation, RevokeError, Trust};
use crate::peer::Command;

/// What became of asking an authority.
pub(super) struct Revoked {
    node_id: NodeId,
    result: Result<SignedConfig, RevokeError>,
}

impl Engine {
    /// Asks an overlay's authority to put a device of ours out, or the user for what the authority
    /// wants to know; this goes on when they have answered.
    pub(super) fn revoke_device(&mut self, id: AccountId, node_id: &str) -> Result<(), String> {
        let node: NodeId = node_id.parse().map_err(|_| format!("{node_id} is no device."))?;
        let account = self.accounts.get(id).ok_or("Join the overlay first.")?;
        let (overlay, user) = (account.overlay().to_owned(), account.aor.user.clone());
        let config = &account.document.config;
        let (urls, name) = (config.enrollment_servers.clone(), config.instance_name.clone());
        let trust = Trust::system().with_roots(&config.root_certs);
        let Some(credentials) = self.credentials(&overlay, &user) else {
            self.certifying.removing.insert(overlay.clone(), node_id.to_owned());
            let problem = "To remove a device, give your account and its password.".to_owned();
            self.want_credentials(&overlay, &user, Some(problem.clone()), None);
            return Err(problem);
        };
        let account = (credentials.account, credentials.password);
        let revocation = Revocation { urls, overlay: name, account, node_id: node };
        let reports = self.reports.clone();
        let Some(account) = self.accounts.running.get_mut(&id) else { return Ok(()) };
        account.tasks.spawn(async move {
            let result = enroll::revoke(&revocation, &Resolver::system(), &trust).await;
            let revoked = Box::new(Revoked { node_id: node, result });
            tell(&reports, id, AccountReport::Revoked(revoked)).await;
        });
        Ok(())
    }

    /// An authority has answered, or can't be asked.
    pub(super) fn revoked(&mut self, id: AccountId, revoked: Revoked) {
        let Revoked { node_id, result } = revoked;
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        let (overlay, user) = (account.overlay().to_owned(), account.aor.user.clone());
        let node_text = node_id.to_string();
        match result {
            Ok(document) => {
                let node = account.node.clone();
                // The node says by itself what has come of it.
                account.tasks.spawn(async move {
                    let _ = node.request(Command::Configure(Arc::new(document))).await;
                });
                self.snapshot.devices.retain(|d| d.overlay != overlay || d.node_id != node_text);
                self.snapshot.notice = Some(format!(
                    "That device is out of {overlay}: every peer refuses it. Whoever knows your \
                     password could still get in as you, with a new key."
                ));
            }
            Err(error) => {
                let problem = format!("The device was not removed: {error}.");
                if error == RevokeError::Authentication {
                    self.certifying.credentials.remove(&(overlay.clone(), user.clone()));
                    self.certifying.removing.insert(overlay.clone(), node_text);
                    self.want_credentials(&overlay, &user, Some(problem.clone()), None);
                }
                self.notice(problem);
            }
        }
    }
}
