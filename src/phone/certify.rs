//! Certificates from an overlay's authority (RFC 6940 §11.3): got before the overlay is entered,
//! and got anew well before they end.
//!
//! A renewal is for the same key and leaves the Node-IDs as they are. Our peer goes on under the
//! new certificate by leaving and coming back in a moment without calls, and stores our records
//! again under it. The password that this needs is kept where private keys are encrypted;
//! elsewhere it is known until the program ends, and asked for after that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::account::{AccountId, AccountReport, facts, tell};
use super::api::{Event, Me, Membership, OverlayState};
use super::data::OverlayUser;
use super::engine::Engine;
use super::enter::{Again, Entering, Entry, provider};
use super::identity::{Credentials, Standing, StoredIdentity};
use super::names::own_name;
use crate::config::{OverlayConfig, SignedConfig};
use crate::crypto::{Certificate, CertificateRequest};
use crate::enroll::{self, EnrollError, Enrollment, Resolver, Trust};
use crate::link::unix_ms;

/// An account and a password that an enrollment server wants to know:
/// [`Command::GiveCredentials`](super::Command::GiveCredentials) answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialsWanted {
    /// The overlay's name.
    pub overlay: String,
    /// The user name that the certificate is for.
    pub user: String,
    /// The account from the last time, or else the user name.
    pub account: String,
    /// Why those from before are not enough: one sentence.
    pub problem: Option<String>,
    /// When the certificate that we have ends, milliseconds since the Unix epoch; `None` before
    /// the first one.
    pub ends_unix_ms: Option<u64>,
    /// Whether an invitation makes the account, so that the password is chosen now.
    pub is_new: bool,
}

/// A certificate of ours from an overlay's authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFacts {
    /// The overlay's name.
    pub overlay: String,
    /// When it ends, milliseconds since the Unix epoch.
    pub ends_unix_ms: u64,
    /// Why it could not be renewed: one sentence.
    pub problem: Option<String>,
}

/// What is known of our dealings with authorities.
#[derive(Default)]
pub(super) struct Certifying {
    /// What servers know us by, as far as it was given since the program started.
    pub(super) credentials: BTreeMap<OverlayUser, Credentials>,
    /// Memberships that begin once credentials are there.
    waiting: BTreeMap<String, Again>,
    /// Devices that are put out of an overlay once credentials are there.
    pub(super) removing: BTreeMap<String, String>,
    /// Codes of invitations that have made no account yet, by overlay.
    pub(super) invitations: BTreeMap<String, String>,
}

/// What became of asking an authority.
pub(super) struct Enrolled {
    /// What is entered with the certificate; `None` for a renewal.
    entering: Option<Again>,
    credentials: Credentials,
    result: Result<Vec<u8>, EnrollError>,
}

impl Engine {
    /// Who we are in the overlay of a document, as far as that is known without asking anybody.
    pub(super) fn standing(&self, document: &SignedConfig, user: &str) -> Result<Standing, String> {
        let config = &document.config;
        let (provider, aor) = (provider(config)?, own_name(config, user)?);
        let (state, now) = (&self.options.state, unix_ms());
        let standing = if has_authority(config) {
            state.standing(&provider, &aor.user, now)
        } else {
            state.identity(&provider, &aor.user, now).map(Standing::Ready)
        };
        standing.map_err(|e| e.to_string())
    }

    /// Asks the authority for a certificate and then enters the overlay; or asks the user for what
    /// the authority wants to know.
    pub(super) fn certify(
        &mut self,
        mut again: Again,
        request: CertificateRequest,
    ) -> Result<(), String> {
        let config = &again.document.config;
        let overlay = config.instance_name.as_str().to_owned();
        let user = own_name(config, &again.user)?.user;
        let document = facts(config);
        again.user.clone_from(&user);
        let me = Me { user: user.clone(), overlay: overlay.clone(), node_id: String::new() };
        let Some(credentials) = self.credentials(&overlay, &user) else {
            self.certifying.waiting.insert(overlay.clone(), again);
            self.want_credentials(&overlay, &user, None, None);
            let reason = match self.certifying.invitations.contains_key(&overlay) {
                true => format!("Choose a password for your account in {overlay}."),
                false => format!("{overlay} wants to know your account and its password."),
            };
            let state = OverlayState::Failed { reason: reason.clone() };
            self.show_membership(Membership { me, state, document });
            return Err(reason);
        };
        let id = self.accounts.next_id();
        let task =
            self.ask(id, again.document.config.clone(), request, credentials, Some(again))?;
        self.accounts.entering.insert(id, Entering::new(me.clone(), document, 0, task));
        let state = OverlayState::Joining { step: "Getting a certificate".into() };
        self.show_membership(Membership { me, state, document });
        Ok(())
    }

    /// The user has said what an authority knows them by.
    pub(super) fn give_credentials(
        &mut self,
        overlay: &str,
        user: &str,
        credentials: Credentials,
    ) -> Result<(), String> {
        self.certifying.credentials.insert((overlay.to_owned(), user.to_owned()), credentials);
        self.snapshot.credentials_wanted.retain(|wanted| wanted.overlay != overlay);
        if let Some(again) = self.certifying.waiting.remove(overlay) {
            return self.enter(again.document, &again.user, again.entry);
        }
        if let Some(node_id) = self.certifying.removing.remove(overlay) {
            return self.remove_device(overlay, &node_id);
        }
        if let Some(id) = self.accounts.named(overlay)
            && self
                .snapshot
                .certificates
                .iter()
                .any(|c| c.overlay == overlay && c.problem.is_some())
        {
            self.renew(id);
        }
        Ok(())
    }

    /// An authority has answered, or can't be asked.
    pub(super) fn enrolled(&mut self, id: AccountId, enrolled: Enrolled) {
        let Enrolled { entering, credentials, result } = enrolled;
        match entering {
            Some(again) => {
                // Without an entry it has been given up.
                if self.accounts.entering.remove(&id).is_some() {
                    self.entered_or_not(again, &credentials, result);
                }
            }
            None => self.renewed_or_not(id, &credentials, result),
        }
    }

    fn entered_or_not(
        &mut self,
        again: Again,
        credentials: &Credentials,
        result: Result<Vec<u8>, EnrollError>,
    ) {
        let config = &again.document.config;
        let (overlay, document) = (config.instance_name.as_str().to_owned(), facts(config));
        let user = again.user.clone();
        let kept = self.keep_certificate(config, &again.user, credentials, &result);
        let is_refused = result.is_err_and(|error| error == EnrollError::Authentication);
        let code = match kept.is_ok() || is_refused {
            true => self.certifying.invitations.remove(&overlay),
            false => None,
        };
        let result = match kept {
            Ok(_) => self.enter(again.document, &again.user, again.entry),
            Err(reason) => {
                let reason = match code {
                    Some(_) => format!(
                        "No certificate for {user}@{overlay}: the invitation was used or has \
                         ended; ask for another, or give the password of your account."
                    ),
                    None => reason,
                };
                let me = Me { user: user.clone(), overlay: overlay.clone(), node_id: "".into() };
                let state = OverlayState::Failed { reason: reason.clone() };
                self.show_membership(Membership { me, state, document });
                if is_refused {
                    self.certifying.credentials.remove(&(overlay.clone(), user.clone()));
                    self.certifying.waiting.insert(overlay.clone(), again);
                    self.want_credentials(&overlay, &user, Some(reason.clone()), None);
                }
                Err(reason)
            }
        };
        if let Err(reason) = result {
            self.notice(reason);
        }
    }

    /// Keeps what an authority has given; otherwise one sentence.
    fn keep_certificate(
        &self,
        config: &OverlayConfig,
        user: &str,
        credentials: &Credentials,
        result: &Result<Vec<u8>, EnrollError>,
    ) -> Result<StoredIdentity, String> {
        let (provider, aor) = (provider(config)?, own_name(config, user)?);
        let certificate = result.as_ref().map_err(|e| format!("No certificate for {aor}: {e}."))?;
        let state = &self.options.state;
        let kept = state.keep_certificate(&provider, &aor.user, certificate.clone(), unix_ms());
        let kept = kept.map_err(|e| e.to_string())?;
        state
            .save_credentials(&provider.overlay, &aor.user, credentials)
            .map_err(|e| e.to_string())?;
        Ok(kept)
    }

    /// A certificate that an authority has given is watched for as long as we are in the overlay.
    pub(super) fn watch_certificate(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get(id) else { return };
        let overlay = account.overlay().to_owned();
        self.snapshot.certificates.retain(|shown| shown.overlay != overlay);
        let certificate = account.certificate.clone();
        if certificate.self_signed {
            return;
        }
        let ends_unix_ms = certificate.not_after_ms;
        self.snapshot.certificates.push(CertificateFacts { overlay, ends_unix_ms, problem: None });
        let due_ms = due_ms(&certificate, self.rng.u64());
        self.renew_at(id, due_ms);
    }

    /// Reports when a certificate is due; the clock on the wall counts, since a laptop sleeps.
    fn renew_at(&mut self, id: AccountId, due_ms: u64) {
        let reports = self.reports.clone();
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        account.tasks.spawn(async move {
            loop {
                let left = Duration::from_millis(due_ms.saturating_sub(unix_ms()));
                if left.is_zero() {
                    return tell(&reports, id, AccountReport::RenewalDue).await;
                }
                tokio::time::sleep(left.min(LOOK)).await;
            }
        });
    }

    /// Asks the authority for a certificate in place of the one that we have.
    pub(super) fn renew(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get(id) else { return };
        let (config, user) = (account.document.config.clone(), account.aor.user.clone());
        let (overlay, ends) = (account.overlay().to_owned(), account.certificate.not_after_ms);
        let Some(credentials) = self.credentials(&overlay, &user) else {
            let problem = format!(
                "The certificate for {user}@{overlay} has to be renewed: \
                 give the account and its password."
            );
            self.show_renewal(&overlay, Some(problem));
            return self.want_credentials(&overlay, &user, None, Some(ends));
        };
        let request = provider(&config).and_then(|provider| {
            self.options.state.renewal(&provider, &user).map_err(|e| e.to_string())
        });
        let asked = request.and_then(|request| self.ask(id, config, request, credentials, None));
        if let Err(problem) = asked {
            self.show_renewal(&overlay, Some(problem));
        }
    }

    fn renewed_or_not(
        &mut self,
        id: AccountId,
        credentials: &Credentials,
        result: Result<Vec<u8>, EnrollError>,
    ) {
        let Some(account) = self.accounts.get(id) else { return };
        let (config, user) = (account.document.config.clone(), account.aor.user.clone());
        let (overlay, ends) = (account.overlay().to_owned(), account.certificate.not_after_ms);
        let is_refused = result.as_ref().is_err_and(|e| *e == EnrollError::Authentication);
        match self.keep_certificate(&config, &user, credentials, &result) {
            Ok(_) => {
                self.show_renewal(&overlay, None);
                if let Some(account) = self.accounts.running.get_mut(&id) {
                    account.is_renewed = true;
                }
            }
            Err(problem) => {
                self.event(Event::Error { message: problem.clone() });
                self.show_renewal(&overlay, Some(problem.clone()));
                if is_refused {
                    self.certifying.credentials.remove(&(overlay.clone(), user.clone()));
                    return self.want_credentials(&overlay, &user, Some(problem), Some(ends));
                }
                let spread_ms = self.rng.u64() % RETRY_MS;
                self.renew_at(id, unix_ms() + RETRY_MS / 2 + spread_ms);
            }
        }
    }

    /// Whoever has a new certificate and no call goes on under the new one.
    pub(super) fn use_renewed(&mut self) {
        let calls = &self.calls;
        let accounts = self.accounts.running.iter().filter(|(id, account)| {
            account.is_renewed && account.is_joined() && !calls.has_part(**id)
        });
        let ids: Vec<_> = accounts.map(|(id, _)| *id).collect();
        for id in ids {
            let Some(account) = self.accounts.running.get_mut(&id) else { continue };
            account.is_renewed = false;
            let document = Arc::unwrap_or_clone(account.document.clone());
            let user = account.aor.user.clone();
            let entry = self.entry_again(document.config.instance_name.as_str());
            self.begin_leaving(id, Some(Again { document, user, entry }));
        }
    }

    /// How an overlay is entered that we have just left.
    pub(super) fn entry_again(&self, overlay: &str) -> Entry {
        match self.data.founded_listen(overlay).ok().flatten() {
            Some(_) => Entry::Found,
            None => Entry::Join(Vec::new()),
        }
    }

    /// Asks an overlay's authority in a task of its own.
    fn ask(
        &self,
        id: AccountId,
        config: OverlayConfig,
        request: CertificateRequest,
        credentials: Credentials,
        entering: Option<Again>,
    ) -> Result<tokio::task::AbortHandle, String> {
        let provider = provider(&config)?;
        let user = entering.as_ref().map(|again| again.user.as_str());
        let user = user.or_else(|| Some(self.accounts.get(id)?.aor.user.as_str()));
        let aor = own_name(&config, user.unwrap_or_default())?;
        let account = credentials.account.clone();
        let password = credentials.password.clone();
        // Our own server is asked where it is, since not every router leads back to it.
        let own = self.hosting.enrollment_url(config.instance_name.as_str());
        let urls = own.into_iter().chain(config.enrollment_servers.iter().cloned()).collect();
        let overlay = config.instance_name.as_str();
        let enrollment = Enrollment {
            urls,
            overlay: config.instance_name.clone(),
            account: Some((account, password)),
            invitation: self.certifying.invitations.get(overlay).cloned(),
            node_ids: 1,
            user_name: aor.to_string(),
            csr_der: request.csr_der,
        };
        let trust = Trust::system().with_roots(&config.root_certs);
        let reports = self.reports.clone();
        let task = tokio::spawn(async move {
            let resolver = Resolver::system();
            let result = enroll::enroll(&enrollment, &provider, &resolver, &trust).await;
            let enrolled = Box::new(Enrolled { entering, credentials, result });
            tell(&reports, id, AccountReport::Enrolled(enrolled)).await;
        });
        Ok(task.abort_handle())
    }

    /// What a server knows us by: as given now, or as kept.
    pub(super) fn credentials(&self, overlay: &str, user: &str) -> Option<Credentials> {
        let given = self.certifying.credentials.get(&(overlay.to_owned(), user.to_owned()));
        let kept = || self.options.state.credentials(overlay, user).ok()??.1;
        given.cloned().or_else(kept)
    }

    pub(super) fn want_credentials(
        &mut self,
        overlay: &str,
        user: &str,
        problem: Option<String>,
        ends_unix_ms: Option<u64>,
    ) {
        let kept = self.options.state.credentials(overlay, user).ok().flatten();
        let wanted = CredentialsWanted {
            overlay: overlay.to_owned(),
            user: user.to_owned(),
            account: kept.map_or_else(|| user.to_owned(), |(account, _)| account),
            problem,
            ends_unix_ms,
            is_new: self.certifying.invitations.contains_key(overlay),
        };
        self.snapshot.credentials_wanted.retain(|known| known.overlay != overlay);
        self.snapshot.credentials_wanted.push(wanted);
    }

    fn show_renewal(&mut self, overlay: &str, problem: Option<String>) {
        let shown = self.snapshot.certificates.iter_mut();
        for facts in shown.filter(|facts| facts.overlay == overlay) {
            facts.problem.clone_from(&problem);
        }
    }
}

/// Whether names in an overlay are given out by an authority (RFC 6940 §11.3).
pub(super) fn has_authority(config: &OverlayConfig) -> bool {
    !config.enrollment_servers.is_empty() || config.self_signed_permitted.is_none()
}

/// When a certificate is renewed: at two thirds of its life, give or take a twelfth, so that those
/// who were enrolled together do not all come at once.
fn due_ms(certificate: &Certificate, random: u64) -> u64 {
    let life_ms = certificate.not_after_ms.saturating_sub(certificate.not_before_ms);
    let spread_ms = (life_ms / 6).max(1);
    certificate.not_before_ms + life_ms / 12 * 7 + random % spread_ms
}

/// Until a renewal that failed is tried again, on average; the server may be down for a night.
const RETRY_MS: u64 = 60 * 60 * 1000;
/// How often the clock on the wall is looked at.
const LOOK: Duration = Duration::from_secs(600);
