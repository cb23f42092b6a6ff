//! Accounts of an overlay whose names this computer gives out, as its owner works on them.

use serde::Deserialize;

use super::engine::{Engine, Report};
use super::hosting::{HostReport, HostedOverlay, not_ours};
use super::identity::Credentials;
use crate::crypto::Password;
use crate::enroll::server::{
    Account, AccountState, Registration, Registry, RegistryError, RegistryFolder,
};
use crate::enroll::{Invitation, prepared_account};
use crate::link::unix_ms;

/// What the owner of an overlay does with accounts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AccountJob {
    /// Make [`HostedOverlay::invitation`], a link with which one person can make one account.
    Invite,
    /// Make an account that has a password.
    Add {
        /// The part of the user name before the `@`.
        name: String,
        /// The password.
        password: Password,
    },
    /// Give an account no new certificates, or give it some again.
    SetState {
        /// The account.
        name: String,
        /// Whether it can enroll.
        state: AccountState,
    },
    /// Put all devices of an account out of the overlay, for ever.
    Revoke {
        /// The account.
        name: String,
    },
    /// Change who may make an account.
    Register(Registration),
}

impl Engine {
    /// Does what the owner of an overlay asks for.
    pub(super) fn account_job(&mut self, overlay: &str, job: AccountJob) -> Result<(), String> {
        let hosted = self.snapshot.hosted.iter().find(|hosted| hosted.overlay == overlay);
        let hosted = hosted.ok_or_else(|| not_ours(overlay))?;
        match &job {
            AccountJob::SetState { name, .. } | AccountJob::Revoke { name }
                if is_account(name, hosted) =>
            {
                return Err("Your own account stays for as long as you have the overlay.".into());
            }
            AccountJob::Invite if self.hosting.running(overlay).is_none() => {
                return Err(format!("The server of {overlay} does not run: start it first."));
            }
            _ => {}
        }
        self.work(overlay, move |registry| do_job(registry, job));
        Ok(())
    }

    /// Looks at accounts, since some have changed.
    pub(super) fn look_at(&self, overlay: &str) {
        self.work(overlay, |_| Ok(None));
    }

    /// Works on an overlay's accounts beside everything else: hashing a password takes a while.
    fn work(
        &self,
        overlay: &str,
        job: impl FnOnce(&mut Registry) -> Result<Option<String>, RegistryError> + Send + 'static,
    ) {
        let folder = self.options.state.hosted_folder(overlay);
        let (overlay, reports) = (overlay.to_owned(), self.reports.clone());
        tokio::task::spawn_blocking(move || {
            let done = open(&folder)
                .and_then(|mut registry| job(&mut registry).map_err(|error| error.to_string()));
            let worked = HostReport::Worked(done, look(&folder));
            // The engine has ended otherwise.
            let _ = reports.blocking_send(Report::Host(overlay, worked));
        });
    }

    pub(super) fn worked(
        &mut self,
        overlay: &str,
        done: Result<Option<String>, String>,
        looked: Result<(Registration, Vec<Account>), String>,
    ) {
        let link = match done {
            Ok(code) => code.and_then(|code| self.personal_link(overlay, code)),
            Err(sentence) => {
                self.notice(sentence);
                None
            }
        };
        self.update_host(overlay, |hosted| {
            if let Ok((registration, accounts)) = looked {
                (hosted.registration, hosted.accounts) = (registration, accounts);
            }
            hosted.invitation = link.or(hosted.invitation.take());
        });
    }

    fn personal_link(&self, overlay: &str, code: String) -> Option<String> {
        let invitation = self.hosting.running(overlay)?.invitation();
        Some(Invitation { code: Some(code), ..invitation }.to_string())
    }
}

/// Sees to it that the user who runs an overlay has an account in it.
pub(super) async fn has_account(
    folder: RegistryFolder,
    credentials: Option<Credentials>,
) -> Result<(), String> {
    let Some(Credentials { account, password }) = credentials else { return Ok(()) };
    let made = tokio::task::spawn_blocking(move || {
        let mut registry = open(&folder)?;
        let accounts = registry.accounts().map_err(|error| error.to_string())?;
        if accounts.iter().any(|known| known.name == account) {
            return Ok(());
        }
        let made = registry.add_account(&account, password.as_str(), unix_ms());
        made.map_err(|error| error.to_string())
    });
    made.await.unwrap_or_else(|_| Err("The program is ending.".to_owned()))
}

/// Whether a name that was typed is that of the user who runs the overlay.
fn is_account(typed: &str, HostedOverlay { overlay, user, .. }: &HostedOverlay) -> bool {
    let name = prepared_account(typed);
    name == *user || name == format!("{user}@{overlay}")
}

fn do_job(registry: &mut Registry, job: AccountJob) -> Result<Option<String>, RegistryError> {
    let now = unix_ms();
    match job {
        AccountJob::Invite => return Ok(Some(registry.invite(now)?)),
        AccountJob::Add { name, password } => {
            registry.add_account(&name, password.as_str(), now)?
        }
        AccountJob::SetState { name, state } => registry.set_state(&name, state)?,
        AccountJob::Revoke { name } => {
            registry.revoke(&name, None, now)?;
        }
        AccountJob::Register(registration) => registry.set_registration(registration)?,
    }
    Ok(None)
}

fn look(folder: &RegistryFolder) -> Result<(Registration, Vec<Account>), String> {
    let registry = open(folder)?;
    let looked = registry.registration().and_then(|open| Ok((open, registry.accounts()?)));
    looked.map_err(|error| error.to_string())
}

fn open(folder: &RegistryFolder) -> Result<Registry, String> {
    Registry::open(folder).map_err(|error| error.to_string())
}
