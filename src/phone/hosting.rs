//! Overlays whose names this computer gives out: for each a [`Host`] runs inside the phone, and
//! comes back with the program.
//!
//! Two peers of such an overlay are then on this computer. The host's signs documents and is there
//! whether or not the user is in the overlay. The user's own is like everybody else's: its account
//! has a password that was made up and is kept beside the key, and its certificate comes from the
//! same server. One peer could not be both without a second certificate on one link.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::account::Account as OwnMembership;
use super::api::{Me, Membership, OverlayState};
use super::data::HostedRow;
use super::document::DocumentFacts;
use super::engine::{Engine, Report, Reports};
use super::enter::{Entry, reachable_address};
use super::host::{Host, HostEvent, HostOptions};
use super::identity::Credentials;
use super::names::own_name;
use super::people::has_account;
use super::protection::Protection;
use super::state::StateError;
use crate::config::{OverlayConfig, OverlayName};
use crate::crypto::Password;
use crate::enroll::prepared_account;
use crate::enroll::server::{Account, Registration, random_password};

/// How a new overlay gives out names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OverlayKind {
    /// Whoever takes a name first has it: certificates are self-signed.
    SelfSigned,
    /// To accounts, by this computer.
    Accounts {
        /// The host name or address by which others reach this computer, where that is not the
        /// address that it listens at.
        host: Option<String>,
    },
}

/// An overlay whose names this computer gives out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostedOverlay {
    /// Its name.
    pub overlay: String,
    /// The account of the user who has started it.
    pub user: String,
    /// Whether its server runs.
    pub state: HostState,
    /// The folder of its authority and accounts.
    pub folder: PathBuf,
    /// Where others ask for certificates: a URL, once the server has run.
    pub url: Option<String>,
    /// Who may make an account.
    pub registration: Registration,
    /// All accounts by name.
    pub accounts: Vec<Account>,
    /// The link for one person that was made last.
    pub invitation: Option<String>,
    /// What went wrong last while it ran: one sentence.
    pub problem: Option<String>,
}

/// Whether a host runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// It will in a moment.
    Starting,
    /// It does.
    Running,
    /// It is leaving the overlay.
    Ending,
    /// The user wants none.
    Stopped,
    /// It does not, and why: one sentence.
    Failed {
        /// The sentence.
        reason: String,
    },
}

/// Hosts in this phone.
#[derive(Default)]
pub(super) struct Hosting {
    hosts: BTreeMap<String, Hosted>,
    /// Whether the program ends, and they with it.
    pub(super) is_ending: bool,
}

struct Hosted {
    row: HostedRow,
    /// Whether the overlay is there for the first time and nothing of it is remembered yet.
    is_new: bool,
    stage: Stage,
    /// Starts the host and hears from it.
    task: AbortHandle,
}

enum Stage {
    Starting,
    Running(Host),
    Ending,
}

impl Hosting {
    /// Whether one of them has this port, or will.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.hosts.values().any(|hosted| hosted.row.listen.port() == port)
    }

    /// Whether none is running, about to, or about to end.
    pub(super) fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    pub(super) fn running(&self, overlay: &str) -> Option<&Host> {
        match &self.hosts.get(overlay)?.stage {
            Stage::Running(host) => Some(host),
            Stage::Starting | Stage::Ending => None,
        }
    }

    /// The enrollment server of an overlay as this computer reaches it, wherever others do.
    pub(super) fn enrollment_url(&self, overlay: &str) -> Option<String> {
        self.running(overlay).map(|host| host.local_enrollment_url().to_owned())
    }
}

/// News of a host.
pub(super) enum HostReport {
    /// It runs, or why not: one sentence.
    Started(Box<Result<Host, String>>),
    /// It says something.
    News(HostEvent),
    /// It has left the overlay, asked or not.
    Ended,
    /// A job is done: the code of an invitation, nothing, or why not; and what is known now.
    Worked(Result<Option<String>, String>, Result<(Registration, Vec<Account>), String>),
}

impl Engine {
    /// Makes a new overlay whose names this computer gives out, and joins it.
    pub(super) fn host_overlay(
        &mut self,
        name: &str,
        user: &str,
        listen: SocketAddr,
        host: Option<String>,
    ) -> Result<(), String> {
        let name = OverlayName::new(&name.trim().to_ascii_lowercase())
            .map_err(|e| format!("No overlay is started: {e}."))?;
        let overlay = name.as_str().to_owned();
        let user = own_name(&OverlayConfig::with_defaults(name), user)?.user;
        let user = prepared_account(&user);
        let membership = self.accounts.named(&overlay).and_then(|id| self.accounts.get(id));
        if membership.is_some_and(OwnMembership::is_joined) {
            return Err(format!("You are in {overlay} already; leave it first."));
        }
        if self.snapshot.hosted.iter().any(|hosted| hosted.overlay == overlay) {
            return Err(format!("{overlay} is run by this computer already: see People."));
        }
        // The port of a peer of ours is not free, and others learn it from the document anyway.
        let port = if self.accounts.has_port(listen.port()) { 0 } else { listen.port() };
        let listen = SocketAddr::new(listen.ip(), port);
        let credentials = self.own_credentials(&overlay, &user)?;
        let row = HostedRow { overlay, user, listen, host, is_stopped: false };
        self.show_host(&row, HostState::Starting);
        self.show_starting(&row);
        self.run_host(row, Some(credentials), true);
        Ok(())
    }

    /// What our own server knows us by: what it was told before, or a password made up now. It is
    /// kept before the server is told of it.
    fn own_credentials(&mut self, overlay: &str, user: &str) -> Result<Credentials, String> {
        if let Some(credentials) = self.credentials(overlay, user) {
            return Ok(credentials);
        }
        let password = Password::new(random_password().map_err(|e| e.to_string())?);
        let credentials = Credentials { account: user.to_owned(), password };
        let kept = self.options.state.save_own_credentials(overlay, user, &credentials);
        kept.map_err(|e| e.to_string())?;
        Ok(credentials)
    }

    /// Runs every overlay again that was run when the program ended, once private keys are open.
    pub(super) fn resume_hosts(&mut self) {
        let rows = match self.data.hosted() {
            Ok(rows) => rows,
            Err(error) => return self.notice(format!("No overlay is run here again: {error}.")),
        };
        let state = match &self.snapshot.protection {
            Protection::Opening => Some(HostState::Starting),
            Protection::Locked { .. } => {
                Some(HostState::Failed { reason: StateError::Locked.to_string() })
            }
            Protection::Plain | Protection::KeyStore | Protection::Password => None,
        };
        for row in rows {
            if self.hosting.hosts.contains_key(&row.overlay) {
                continue;
            }
            if row.is_stopped {
                self.show_host(&row, HostState::Stopped);
                self.look_at(&row.overlay);
            } else if let Some(state) = &state {
                // Its private keys are behind the same key as ours.
                self.show_host(&row, state.clone());
                self.update_host(&row.overlay, |hosted| hosted.state = state.clone());
            } else {
                self.start_again(row);
            }
        }
    }

    fn start_again(&mut self, row: HostedRow) {
        self.show_host(&row, HostState::Starting);
        if self.was_in(&row.overlay) && self.snapshot.membership(&row.overlay).is_none() {
            self.show_starting(&row);
        }
        // Keys that are locked still have an account.
        let credentials = self.own_credentials(&row.overlay, &row.user).ok();
        self.run_host(row, credentials, false);
    }

    fn run_host(&mut self, row: HostedRow, credentials: Option<Credentials>, is_new: bool) {
        let options = HostOptions {
            folder: self.options.state.hosted_folder(&row.overlay),
            name: OverlayName::new(&row.overlay).ok(),
            registration: None,
            https: SocketAddr::new(row.listen.ip(), 0),
            peer: Some(row.listen),
            host: row.host.clone(),
            peers: self.others(&row.overlay),
            certificate: None,
        };
        let (overlay, reports) = (row.overlay.clone(), self.reports.clone());
        let task = tokio::spawn(async move { live(options, credentials, overlay, reports).await });
        let hosted = Hosted { is_new, stage: Stage::Starting, task: task.abort_handle(), row };
        self.hosting.hosts.insert(hosted.row.overlay.clone(), hosted);
    }

    /// Where the ring of an overlay of ours goes on without its host: at our own peer, and where
    /// we have been before.
    fn others(&self, overlay: &str) -> Vec<SocketAddr> {
        let own = self.accounts.named(overlay).and_then(|id| self.accounts.get(id));
        let own = own.map(|account| reachable_address(account.node.listen()));
        own.into_iter().chain(self.options.state.bootstrap_cache(overlay)).collect()
    }

    pub(super) fn host_report(&mut self, overlay: &str, report: HostReport) {
        match report {
            HostReport::Started(result) => match *result {
                Ok(host) => self.host_started(overlay, host),
                Err(reason) => self.host_failed(overlay, reason),
            },
            HostReport::News(HostEvent::Joined) => self.enter_hosted(overlay),
            HostReport::News(HostEvent::Enrolled(_) | HostEvent::Document(_)) => {
                self.look_at(overlay);
            }
            HostReport::News(HostEvent::Problem(sentence)) => {
                self.notice(sentence.clone());
                self.update_host(overlay, |hosted| hosted.problem = Some(sentence));
            }
            HostReport::Ended => self.host_ended(overlay),
            HostReport::Worked(done, looked) => self.worked(overlay, done, looked),
        }
    }

    fn host_started(&mut self, overlay: &str, host: Host) {
        let Some(hosted) = self.hosting.hosts.get_mut(overlay) else { return };
        // Whoever gave up entering a new overlay wants no server of it either.
        let is_unwanted = hosted.is_new && self.snapshot.membership(overlay).is_none();
        if is_unwanted {
            self.hosting.hosts.remove(overlay);
            self.snapshot.hosted.retain(|hosted| hosted.overlay != overlay);
            return;
        }
        hosted.row.listen.set_port(host.peer().port());
        let (row, url) = (hosted.row.clone(), host.enrollment_url().to_owned());
        hosted.stage = Stage::Running(host);
        let is_new = std::mem::replace(&mut hosted.is_new, false);
        let kept = self.data.set_hosted(&row).and_then(|()| match is_new {
            true => self.data.add_joined(overlay, &row.user),
            false => Ok(()),
        });
        if let Err(error) = kept {
            self.notice(format!("That {overlay} is run here was not remembered: {error}."));
        }
        self.update_host(overlay, |hosted| {
            (hosted.state, hosted.url) = (HostState::Running, Some(url));
        });
        self.look_at(overlay);
    }

    fn host_failed(&mut self, overlay: &str, reason: String) {
        let Some(hosted) = self.hosting.hosts.remove(overlay) else { return };
        self.notice(reason.clone());
        if !hosted.is_new {
            self.update_host(overlay, |hosted| hosted.state = HostState::Failed { reason });
            // Others may be there.
            return self.enter_hosted(overlay);
        }
        self.snapshot.hosted.retain(|hosted| hosted.overlay != overlay);
        if self.snapshot.membership(overlay).is_some() {
            self.show_own(&hosted.row, OverlayState::Failed { reason });
        }
    }

    fn host_ended(&mut self, overlay: &str) {
        let Some(hosted) = self.hosting.hosts.remove(overlay) else { return };
        let state = match hosted.row.is_stopped || self.hosting.is_ending {
            true => HostState::Stopped,
            false => HostState::Failed { reason: format!("The server of {overlay} has ended.") },
        };
        self.update_host(overlay, |hosted| hosted.state = state);
    }

    /// Enters an overlay of ours, in which we were when the program ended.
    fn enter_hosted(&mut self, overlay: &str) {
        let is_on_the_way = self.accounts.named(overlay).is_some()
            || self.accounts.entering.values().any(|entering| entering.me.overlay == overlay);
        let is_early = self.snapshot.protection == Protection::Opening;
        if is_on_the_way || is_early || self.hosting.is_ending || !self.was_in(overlay) {
            return;
        }
        let Some(hosted) = self.snapshot.hosted.iter().find(|h| h.overlay == overlay) else {
            return;
        };
        let (user, host) = (hosted.user.clone(), self.hosting.running(overlay));
        let document = match host {
            Some(host) => Ok((**host.document()).clone()),
            None => self.options.state.document(overlay).map_err(|e| e.to_string()),
        };
        // At its own address, since not every router leads back to what is behind it.
        let at = host.map(|host| reachable_address(host.peer()));
        let entry = Entry::Join(at.into_iter().collect());
        if let Err(reason) = document.and_then(|document| self.enter(document, &user, entry)) {
            self.notice(reason);
        }
    }

    /// Enters overlays of ours that had to wait for private keys.
    pub(super) fn enter_all_hosted(&mut self) {
        let is_ready = |hosted: &&HostedOverlay| hosted.state != HostState::Starting;
        let ready = self.snapshot.hosted.iter().filter(is_ready);
        let overlays: Vec<_> = ready.map(|hosted| hosted.overlay.clone()).collect();
        overlays.iter().for_each(|overlay| self.enter_hosted(overlay));
    }

    /// Whether the overlay is entered once its host has started.
    pub(super) fn waits_for_host(&self, overlay: &str) -> bool {
        let hosted = self.hosting.hosts.get(overlay);
        hosted.is_some_and(|hosted| matches!(hosted.stage, Stage::Starting))
    }

    fn was_in(&self, overlay: &str) -> bool {
        self.data.joined().is_ok_and(|joined| joined.iter().any(|me| me.overlay == overlay))
    }

    /// Runs an overlay of ours again, or no more.
    pub(super) fn run_overlay(&mut self, overlay: &str, is_wanted: bool) -> Result<(), String> {
        if let Some(hosted) = self.hosting.hosts.get_mut(overlay) {
            if is_wanted {
                return Ok(());
            }
            hosted.row.is_stopped = true;
            let row = hosted.row.clone();
            self.stop_host(overlay);
            let kept = self.data.set_hosted(&row);
            return kept.map_err(|e| format!("{overlay} will run again at the next start: {e}."));
        }
        let rows = self.data.hosted().map_err(|e| format!("{overlay} can't be run: {e}."))?;
        let row = rows.into_iter().find(|row| row.overlay == overlay);
        let row = row.ok_or_else(|| not_ours(overlay))?;
        if is_wanted {
            self.start_again(HostedRow { is_stopped: false, ..row });
        }
        Ok(())
    }

    /// Ends all hosts, once nobody of ours is left in an overlay.
    pub(super) fn stop_hosts(&mut self) {
        let overlays: Vec<_> = self.hosting.hosts.keys().cloned().collect();
        overlays.iter().for_each(|overlay| self.stop_host(overlay));
    }

    fn stop_host(&mut self, overlay: &str) {
        let Some(hosted) = self.hosting.hosts.get_mut(overlay) else { return };
        match std::mem::replace(&mut hosted.stage, Stage::Ending) {
            Stage::Running(host) => {
                hosted.task.abort();
                let (of, reports) = (overlay.to_owned(), self.reports.clone());
                tokio::spawn(async move {
                    host.stop().await;
                    let _ = reports.send(Report::Host(of, HostReport::Ended)).await;
                });
                self.update_host(overlay, |hosted| hosted.state = HostState::Ending);
            }
            Stage::Starting => {
                hosted.task.abort();
                self.host_ended(overlay);
            }
            Stage::Ending => {}
        }
    }

    /// Shows an overlay in its place, or behind the others if it is new.
    fn show_host(&mut self, row: &HostedRow, state: HostState) {
        let HostedRow { overlay, user, .. } = row.clone();
        if let Some(known) = self.snapshot.hosted.iter_mut().find(|h| h.overlay == overlay) {
            (known.state, known.problem) = (state, None);
            return;
        }
        self.snapshot.hosted.push(HostedOverlay {
            folder: self.options.state.hosted(&overlay),
            overlay,
            user,
            state,
            url: None,
            registration: Registration::InvitationOnly,
            accounts: Vec::new(),
            invitation: None,
            problem: None,
        });
    }

    pub(super) fn update_host(&mut self, overlay: &str, change: impl FnOnce(&mut HostedOverlay)) {
        let mut hosted = self.snapshot.hosted.iter_mut();
        if let Some(hosted) = hosted.find(|hosted| hosted.overlay == overlay) {
            change(hosted);
        }
    }

    /// The user is on the way into the overlay that is started.
    fn show_starting(&mut self, row: &HostedRow) {
        let step = "Starting the overlay's server".to_owned();
        self.show_own(row, OverlayState::Joining { step });
    }

    fn show_own(&mut self, row: &HostedRow, state: OverlayState) {
        let (user, overlay) = (row.user.clone(), row.overlay.clone());
        let me = Me { user, overlay, node_id: String::new() };
        self.show_membership(Membership { me, state, document: DocumentFacts::default() });
    }
}

/// The life of a host, as it is reported.
async fn live(
    options: HostOptions,
    credentials: Option<Credentials>,
    overlay: String,
    reports: Reports,
) {
    let folder = options.folder.clone();
    let started = match Host::start(options).await {
        Ok(started) => has_account(folder, credentials).await.map(|()| started),
        Err(sentence) => Err(sentence),
    };
    let report = |report| {
        let (overlay, reports) = (overlay.clone(), reports.clone());
        // The engine has ended otherwise.
        async move { drop(reports.send(Report::Host(overlay, report)).await) }
    };
    let mut events = match started {
        Ok((host, events)) => {
            report(HostReport::Started(Box::new(Ok(host)))).await;
            events
        }
        Err(sentence) => return report(HostReport::Started(Box::new(Err(sentence)))).await,
    };
    while let Some(event) = events.recv().await {
        report(HostReport::News(event)).await;
    }
    report(HostReport::Ended).await;
}

/// Why nothing is done with an overlay of somebody else's.
pub(super) fn not_ours(overlay: &str) -> String {
    format!("{overlay} is not run by this computer.")
}
