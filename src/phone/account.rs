//! Our memberships in overlays, side by side: what their nodes report, and how each is left.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::api::{Event, Me, Membership, OverlayState, Settings, Snapshot};
use super::certify::Enrolled;
use super::document::DocumentFacts;
use super::engine::{Engine, Report, Reports};
use super::enter::{Again, Entering, Opened};
use super::presence::Presence;
use super::refresh::Lookout;
use super::revocation::Revoked;
use crate::base::NodeId;
use crate::config::{OverlayConfig, SignedConfig};
use crate::link::{LocalCertificate, Node, NodeEvent};
use crate::message::{APPLICATION_SIP, APPLICATION_SIPS};
use crate::peer::{Command, JoinError, JoinStep, StoreSpec};
use crate::sip::UserAgent;
use crate::usage::{self, Aor, SIPS_ONLY, SipRegistration};

/// Names one membership for as long as the phone runs; an overlay that is entered again has a new
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccountId(u64);

/// A running membership.
pub(super) struct Account {
    /// The overlay's document.
    pub(super) document: Arc<SignedConfig>,
    /// How we come back once we have left, if we do.
    pub(super) again: Option<Again>,
    /// Who we are.
    pub(super) aor: Aor,
    /// Our certificate's fingerprint goes into session descriptions.
    pub(super) certificate: Arc<crate::crypto::Certificate>,
    /// What we show in DTLS.
    pub(super) local: LocalCertificate,
    /// The peer.
    pub(super) node: Node,
    /// Our SIP side.
    pub(super) agent: UserAgent,
    /// Peers through which we have come in, or try to.
    pub(super) bootstrap: Vec<SocketAddr>,
    /// When a newer document was looked for last because nobody wanted us.
    pub(super) looked_anew: Option<Instant>,
    /// Whether our Address of Record is stored.
    pub(super) registered: bool,
    /// What others see of us who want to join, once we are a peer.
    pub(super) presence: Option<Presence>,
    /// Whether our name is ours to use, so that it is stored.
    pub(super) uses_name: bool,
    /// Whether the devices under our name are looked for.
    pub(super) watches_devices: bool,
    /// Why we leave, if our name is somebody else's: one sentence.
    pub(super) refusal: Option<String>,
    /// Whether there is a newer certificate than the one that we use.
    pub(super) is_renewed: bool,
    pub(super) leaving: Leaving,
    /// Looks for the next document.
    pub(super) lookout: Option<Lookout>,
    /// Whatever works for this membership ends with it.
    pub(super) tasks: JoinSet<()>,
}

/// How far we are in leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// We stay.
    No,
    /// Calls are over, and the other sides are being told, until then at most.
    Farewell(Instant),
    /// The peer hands over what it keeps, until then at most.
    HandingOver(Instant),
}

impl Leaving {
    fn until(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Farewell(until) | Self::HandingOver(until) => Some(until),
        }
    }
}

impl Account {
    /// The overlay's name.
    pub(super) fn overlay(&self) -> &str {
        self.document.config.instance_name.as_str()
    }

    /// Stores where calls to us go: here, or to the name that they are forwarded to; or takes that
    /// back.
    fn register(&mut self, id: AccountId, settings: &Settings, reports: &Reports) {
        let node = self.node.clone();
        self.registered = false;
        let forward_to = settings.forward_to.clone();
        let registration = match forward_to.filter(|to| *to != self.aor.to_string()) {
            Some(to) => SipRegistration::Uri(to),
            None => SipRegistration::Route {
                contact_prefs: if settings.sips_only { SIPS_ONLY.to_vec() } else { Vec::new() },
                destinations: vec![node.node_id().into()],
            },
        };
        let usage::Publication { resource, kind, value } =
            usage::publication(&self.aor, node.node_id(), &registration);
        let spec = StoreSpec { resource, kind, value, lifetime_s: REGISTRATION_LIFETIME_S };
        let applications = match settings.sips_only {
            true => vec![APPLICATION_SIPS],
            false => vec![APPLICATION_SIP, APPLICATION_SIPS],
        };
        let (reports, is_unlisted) = (reports.clone(), settings.is_unlisted);
        // What has ended of earlier registrations is of no use.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(async move {
            // A node that has ended says so below.
            let _ = node.tell(Command::Applications(applications)).await;
            if is_unlisted {
                // What can't be taken back now ends with its lifetime.
                let _ = node.request(Command::Unpublish(spec)).await;
                return tell(&reports, id, AccountReport::Status).await;
            }
            let result = node.request(Command::Publish(spec)).await;
            let result = result.map(|_| ()).map_err(|e| e.to_string());
            tell(&reports, id, AccountReport::Registered(result)).await;
        });
    }

    /// Whether we are a peer and mean to remain one.
    pub(super) fn is_joined(&self) -> bool {
        self.leaving == Leaving::No && self.node.status().borrow().joined
    }
}

/// All memberships.
#[derive(Default)]
pub(super) struct Accounts {
    pub(super) running: BTreeMap<AccountId, Account>,
    /// Those whose port is being opened.
    pub(super) entering: BTreeMap<AccountId, Entering>,
    last_id: u64,
}

impl Accounts {
    pub(super) fn next_id(&mut self) -> AccountId {
        self.last_id += 1;
        AccountId(self.last_id)
    }

    pub(super) fn get(&self, id: AccountId) -> Option<&Account> {
        self.running.get(&id)
    }

    /// The running membership in an overlay.
    pub(super) fn named(&self, overlay: &str) -> Option<AccountId> {
        let mut running = self.running.iter();
        running.find(|(_, account)| account.overlay() == overlay).map(|(id, _)| *id)
    }

    /// Whether one of our own peers has this port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.running.values().any(|account| account.node.listen().port() == port)
            || self.entering.values().any(|entering| entering.port == port)
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.entering.is_empty()
    }

    /// When a user agent wants to be woken.
    pub(super) fn sip_deadline(&self) -> Option<crate::base::Instant> {
        self.running.values().filter_map(|account| account.agent.deadline()).min()
    }

    fn leaving_deadline(&self) -> Option<Instant> {
        self.running.values().filter_map(|account| account.leaving.until()).min()
    }

    /// Waits until somebody has taken too long to leave; for ever if nobody leaves.
    pub(super) fn leaving_overdue(&self) -> impl Future<Output = ()> + use<> {
        let deadline = self.leaving_deadline();
        async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        }
    }
}

/// News of a membership.
pub(super) enum AccountReport {
    /// The port is open, or not, and why: one sentence.
    Opened(Box<Result<Opened, String>>),
    /// The node says something.
    Node(NodeEvent),
    /// Our registration was stored, or not, and why.
    Registered(Result<(), String>),
    /// The node's figures have changed.
    Status,
    /// The document has expired: a sentence.
    Expired(String),
    /// A document is proved, where nothing proves the present one.
    Proved(Box<SignedConfig>),
    /// An authority has answered, or can't be asked.
    Enrolled(Box<Enrolled>),
    /// Nobody says who has a certificate under our name.
    NameUnknown,
    /// Who has a certificate under our name.
    NameHolders(Vec<NodeId>),
    /// Who is registered under our name, and since when.
    Devices(BTreeMap<NodeId, u64>),
    /// Our certificate should be renewed now.
    RenewalDue,
    /// An authority was asked to put a device of ours out.
    Revoked(Box<Revoked>),
}

impl Engine {
    pub(super) async fn account_report(&mut self, id: AccountId, report: AccountReport) {
        match report {
            AccountReport::Opened(result) => self.opened(id, *result).await,
            AccountReport::Node(event) => self.node_event(id, event),
            AccountReport::Status => self.status(id),
            AccountReport::Expired(sentence) => self.notice(sentence),
            AccountReport::Proved(document) => self.proved(id, *document),
            AccountReport::Enrolled(enrolled) => self.enrolled(id, *enrolled),
            AccountReport::RenewalDue => self.renew(id),
            AccountReport::Revoked(revoked) => self.revoked(id, *revoked),
            AccountReport::NameUnknown => self.name_unknown(id),
            AccountReport::NameHolders(holders) => self.name_holders(id, &holders),
            AccountReport::Devices(seen) => self.devices(id, &seen),
            // It was on its way when the user wanted to be seen no more.
            AccountReport::Registered(_) if self.settings.is_unlisted => {}
            AccountReport::Registered(Ok(())) => {
                let Some(account) = self.accounts.running.get_mut(&id) else { return };
                account.registered = true;
                let is_watched = std::mem::replace(&mut account.watches_devices, true);
                let aor = account.aor.to_string();
                self.event(Event::Registered { aor });
                self.show_status(id);
                if !is_watched {
                    self.watch_devices(id);
                }
            }
            AccountReport::Registered(Err(reason)) => {
                if let Some(account) = self.accounts.get(id) {
                    let aor = &account.aor;
                    let sentence = format!("{aor} could not be stored in the overlay: {reason}.");
                    self.notice(sentence);
                }
            }
        }
    }

    fn node_event(&mut self, id: AccountId, event: NodeEvent) {
        match event {
            NodeEvent::Joining(step) => {
                let step = joining_words(step).to_owned();
                self.account_state(id, OverlayState::Joining { step });
            }
            NodeEvent::Joined => self.joined(id),
            NodeEvent::JoinFailed(error) => {
                let reason = join_failed_words(&error);
                self.event(Event::Error { message: reason.clone() });
                self.account_state(id, OverlayState::Failed { reason });
                self.look_anew(id);
            }
            NodeEvent::Moved(gone) => self.moved(id, &gone),
            NodeEvent::Left => self.left(id),
            NodeEvent::Configured(document, effect) => self.configured(id, document, &effect),
            NodeEvent::AppFlow(flow) if self.flows.has_room() => {
                self.sip_flow_up(id, flow, false);
            }
            NodeEvent::BootstrapNodes(addresses) => self.remember_bootstrap_nodes(id, &addresses),
            NodeEvent::StoreProblem(problem) => self.notice(problem.to_string()),
            // Dropping a flow closes it.
            NodeEvent::AppFlow(_) => {}
        }
    }

    /// Keeps addresses for the next join. Without them it takes the document's bootstrap nodes.
    fn remember_bootstrap_nodes(&self, id: AccountId, addresses: &[SocketAddr]) {
        if let Some(account) = self.accounts.get(id) {
            let _ = self.options.state.save_bootstrap_cache(account.overlay(), addresses);
        }
    }

    fn joined(&mut self, id: AccountId) {
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        account.registered = false;
        let (overlay, user) = (account.overlay().to_owned(), account.aor.user.clone());
        let node_id = account.node.node_id().to_string();
        let listen = Some(account.node.listen());
        // A list of calls that cannot be written to has been reported already.
        let _ = self
            .data
            .set_last(&overlay, &user)
            .and_then(|()| self.data.add_joined(&overlay, &user));
        self.snapshot.last = self.data.last().ok().flatten();
        self.event(Event::Joined { overlay, node_id, listen });
        self.be_present(id);
        self.show_status(id);
        self.use_name(id);
        self.deliver_all();
    }

    /// Stores our name in the overlay, so that others can call.
    pub(super) fn register(&mut self, id: AccountId) {
        let reports = self.reports.clone();
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        account.uses_name = true;
        account.register(id, &self.settings, &reports);
    }

    /// The node's figures have changed. Whoever has lost all links may have been put out.
    fn status(&mut self, id: AccountId) {
        let is_linked = |snapshot: &Snapshot, overlay: &str| {
            let state = snapshot.membership(overlay).map(|membership| &membership.state);
            matches!(state, Some(OverlayState::Joined { links: 1.., .. }))
        };
        let Some(account) = self.accounts.get(id) else { return };
        let overlay = account.overlay().to_owned();
        let was_linked = is_linked(&self.snapshot, &overlay);
        self.show_status(id);
        if was_linked && !is_linked(&self.snapshot, &overlay) {
            self.look_anew(id);
        }
    }

    fn show_status(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get(id) else { return };
        let status = *account.node.status().borrow();
        if status.joined {
            let state = OverlayState::Joined {
                registered: account.registered,
                links: status.links,
                values_stored: status.values_stored,
                listen: Some(account.node.listen()),
            };
            self.account_state(id, state);
        }
        self.look_at_network(id);
    }

    /// Stores our registrations anew, because the settings have changed.
    pub(super) fn register_again(&mut self) {
        for (id, account) in &mut self.accounts.running {
            if account.is_joined() && account.uses_name {
                account.register(*id, &self.settings, &self.reports);
            }
        }
    }

    pub(super) fn tell_counters(&mut self) {
        for account in self.accounts.running.values() {
            let status = *account.node.status().borrow();
            let counters = Box::new(account.node.counters());
            let overlay = account.overlay().to_owned();
            self.event(Event::Counted { overlay, status, counters });
        }
    }

    /// Leaves an overlay for good, or all because the program ends.
    pub(super) fn leave_one_or_all(&mut self, overlay: Option<&str>) -> Result<(), String> {
        match overlay {
            Some(overlay) => self.leave(overlay),
            None => self.leave_all(),
        }
        Ok(())
    }

    /// Leaves an overlay for good, or gives up entering it.
    pub(super) fn leave(&mut self, overlay: &str) {
        // A list of calls that cannot be written to has been reported already.
        let _ = self.data.remove_joined(overlay);
        self.searches.give_up(Some(overlay));
        self.forget_questions(Some(overlay));
        self.snapshot.credentials_wanted.retain(|wanted| wanted.overlay != overlay);
        self.accounts.entering.retain(|_, entering| entering.me.overlay != overlay);
        match self.accounts.named(overlay) {
            Some(id) => self.begin_leaving(id, None),
            None => self.snapshot.memberships.retain(|m| m.me.overlay != overlay),
        }
    }

    /// Leaves all overlays; the next start may join them again.
    pub(super) fn leave_all(&mut self) {
        self.hosting.is_ending = true;
        self.tend_telephones();
        self.searches.give_up(None);
        self.forget_questions(None);
        self.accounts.entering.clear();
        let ids: Vec<_> = self.accounts.running.keys().copied().collect();
        for id in ids {
            self.begin_leaving(id, None);
        }
        let accounts = &self.accounts;
        self.snapshot.memberships.retain(|m| accounts.named(&m.me.overlay).is_some());
    }

    /// Ends the calls of a membership and then the membership, to begin it again if so wished.
    pub(super) fn begin_leaving(&mut self, id: AccountId, again: Option<Again>) {
        self.end_calls(id);
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        account.again = again;
        if account.leaving == Leaving::No {
            account.leaving = Leaving::Farewell(Instant::now() + FAREWELL_MAX);
        }
    }

    /// Takes the next step of every membership that is leaving. `false` once all have left.
    pub(super) async fn go_on_leaving(&mut self) -> bool {
        let now = Instant::now();
        let ids: Vec<_> = self.accounts.running.keys().copied().collect();
        for id in ids {
            let is_signalling = self.is_signalling(id);
            let Some(account) = self.accounts.running.get_mut(&id) else { continue };
            let is_told = match account.leaving {
                Leaving::Farewell(until) if until <= now || !is_signalling => {
                    let patience = if account.again.is_some() { ABANDON_MAX } else { LEAVE_MAX };
                    account.leaving = Leaving::HandingOver(now + patience);
                    account.node.tell(Command::Leave).await.is_ok()
                }
                // A peer that does not manage to leave in order is missed by its neighbours anyway.
                Leaving::HandingOver(until) => until > now,
                Leaving::No | Leaving::Farewell(_) => true,
            };
            if !is_told {
                self.left(id);
            }
        }
        !self.accounts.is_empty()
    }

    /// A membership is over.
    pub(super) fn left(&mut self, id: AccountId) {
        self.end_calls(id);
        let Some(account) = self.accounts.running.remove(&id) else { return };
        let overlay = account.overlay().to_owned();
        self.has_left = true;
        self.flows.close_all(id);
        self.outbox_left(id);
        self.snapshot.memberships.retain(|m| m.me.overlay != overlay);
        self.snapshot.invitations.remove(&overlay);
        self.snapshot.networks.remove(&overlay);
        self.snapshot.certificates.retain(|c| c.overlay != overlay);
        self.snapshot.devices.retain(|device| device.overlay != overlay);
        self.event(Event::Left { overlay: overlay.clone() });
        if let Some(reason) = account.refusal {
            let user = account.aor.user.clone();
            let me = Me { user, overlay, node_id: String::new() };
            let document = facts(&account.document.config);
            let state = OverlayState::Failed { reason: reason.clone() };
            self.show_membership(Membership { me, state, document });
            self.notice(reason);
        }
        if let Some(again) = account.again
            && let Err(reason) = self.enter(again.document, &again.user, again.entry)
        {
            self.notice(reason);
        }
    }

    /// How far a running membership is.
    pub(super) fn account_state(&mut self, id: AccountId, state: OverlayState) {
        let Some(account) = self.accounts.get(id) else { return };
        let me = Me {
            user: account.aor.user.clone(),
            overlay: account.overlay().to_owned(),
            node_id: account.node.node_id().to_string(),
        };
        let document = facts(&account.document.config);
        self.show_membership(Membership { me, state, document });
    }

    /// Shows a membership in its place, or behind the others if it is new.
    pub(super) fn show_membership(&mut self, mut membership: Membership) {
        let is_proved = self.options.state.is_document_proved(&membership.me.overlay);
        membership.document.is_unproved = !is_proved;
        let memberships = &mut self.snapshot.memberships;
        match memberships.iter_mut().find(|m| m.me.overlay == membership.me.overlay) {
            Some(known) => *known = membership,
            None => memberships.push(membership),
        }
    }
}

/// What faces show of a document.
pub(super) fn facts(config: &OverlayConfig) -> DocumentFacts {
    DocumentFacts {
        sequence: config.sequence,
        expires_unix_ms: config.expiration_unix_ms,
        is_self_signed: config.self_signed_permitted.is_some(),
        is_unproved: false,
    }
}

/// Reports something to the engine, which has ended otherwise.
pub(super) async fn tell(reports: &Reports, id: AccountId, report: AccountReport) {
    let _ = reports.send(Report::Account(id, report)).await;
}

/// An Address of Record as the SIP room wants it.
pub(super) fn sip_aor(aor: &Aor) -> Result<crate::sip::Aor, String> {
    aor.to_sip_uri().parse().map_err(|_| format!("{aor} can't be written as a SIP address."))
}

fn joining_words(step: JoinStep) -> &'static str {
    match step {
        JoinStep::Bootstrap => "Connecting to the overlay",
        JoinStep::Attach => "Finding our place",
        JoinStep::Neighbors => "Meeting our neighbours",
        JoinStep::Join => "Taking over our part",
    }
}

fn join_failed_words(error: &JoinError) -> String {
    match error {
        JoinError::NoBootstrap => {
            "Not joined because no other peer of the overlay is known.".into()
        }
        JoinError::Unreachable(_) => {
            "Not joined because no peer of the overlay answered; trying again.".into()
        }
        JoinError::NoAdmittingPeer => {
            "Not joined because the peer next to our place did not answer; trying again.".into()
        }
        JoinError::ClientsNotPermitted => "Not joined because the overlay has no clients.".into(),
        JoinError::Refused(code) => {
            format!("Not joined because the overlay refused us ({code}); trying again.")
        }
    }
}

/// How long our registration lives without being refreshed: a device that vanished is looked for
/// in vain no longer than this, and refreshing costs little.
const REGISTRATION_LIFETIME_S: u32 = 3600;

// limits

/// How long leaving may take before the program goes on.
const LEAVE_MAX: Duration = Duration::from_secs(4);
/// How long a membership may take to make way for the next in the same overlay.
const ABANDON_MAX: Duration = Duration::from_secs(2);
/// How long a BYE and its answer may take before the connections close anyway: one
/// retransmission (RFC 3261 §17.1.2.2) and the way there and back.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
