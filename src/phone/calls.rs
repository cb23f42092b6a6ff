//! Calls: one for each card on the screen, with a SIP leg for each device that it reaches.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::account::{Account, AccountId};
use super::api::{
    Call, CallId, CallReport, CallState, Direction, Event, HistoryEntry, Quality, Verified,
};
use super::dial::{Connection, DialReport, Directory, Target, nobody, reach, resolve};
use super::engine::{Engine, Report, Reports};
use super::names::{as_typed, own_sentence, way};
use super::signal::ice_credentials;
use super::talk::{Talk, TalkReport};
use super::words;
use crate::base::Instant;
use crate::link::IceAgent;
use crate::media::sdp::{MediaDescription, Offer};
use crate::media::{AudioStatistics, Ringing};
use crate::message::Destination;
use crate::sip::{self, LegId, Reason};
use crate::usage::{Overlays, Resolved, Way};

/// All calls, running and ended.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) running: BTreeMap<CallId, Running>,
    /// Ended ones stay until they are dismissed.
    ended: BTreeMap<CallId, Call>,
    last_id: u64,
}

/// A call that is not over.
pub(super) struct Running {
    /// The membership that it was begun in, and its overlay's name.
    pub(super) account: AccountId,
    overlay: String,
    pub(super) direction: Direction,
    /// The other side's Address of Record.
    pub(super) peer: String,
    pub(super) phase: Phase,
    pub(super) verified: Verified,
    /// The Node-ID of the caller's key, for as long as the user has not said whether it is theirs.
    pub(super) unproven: Option<String>,
    muted: bool,
    /// SIP legs: one for an incoming call, one for each device of an outgoing one.
    pub(super) legs: BTreeMap<LegId, Leg>,
    /// Look-ups and connections that are on their way: each may bring a leg or more.
    dialling: usize,
    /// Why devices failed: the last one's sentence becomes the call's.
    pub(super) failure: Option<String>,
    pub(super) talk: Option<Talk>,
    path: Option<String>,
    statistics: AudioStatistics,
    pub(super) report: CallReport,
    pub(super) started: Instant,
    started_unix_ms: u64,
    answered: Option<Instant>,
    /// Whatever is dialled ends with the call.
    dial_tasks: JoinSet<()>,
    /// Who has answered, if that is not who was called.
    forwarded_to: Option<String>,
    /// Whether the other side's name is of another domain than its overlay.
    pub(super) is_domain_unverified: bool,
}

/// How far a running call has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// On the way to the other side; the step in words.
    Dialling(String),
    /// The other side's phone rings.
    Ringing,
    /// Our phone rings.
    Incoming,
    /// Our phone was answered, and the answer is on its way.
    Answering,
    /// Both sides talk.
    Talking,
}

/// One device of a call.
pub(super) struct Leg {
    /// The membership whose user agent has the leg.
    pub(super) account: AccountId,
    /// Who is at the other end, as a certificate has proved.
    pub(super) peer: String,
    pub(super) verified: Verified,
    pub(super) is_domain_unverified: bool,
    /// Our candidates for media with this device.
    pub(super) agent: Option<IceAgent>,
    /// What our offer says.
    pub(super) local: Option<MediaDescription>,
    /// What the caller's offer says.
    pub(super) offer: Option<Offer>,
}

/// What a call's tasks report.
pub(super) enum CallReports {
    Dial(DialReport),
    /// Our candidates for a device are known.
    Candidates(LegId, Result<IceAgent, String>),
    Talk(Option<TalkReport>),
}

impl Calls {
    pub(super) fn is_any_talking(&self) -> bool {
        self.running.values().any(|c| c.phase == Phase::Talking)
    }

    /// Which phone rings now, if one does.
    pub(super) fn ringing(&self) -> Option<Ringing> {
        self.running.values().find_map(|call| match call.phase {
            Phase::Incoming => Some(Ringing::Here),
            Phase::Ringing => Some(Ringing::There),
            Phase::Dialling(_) | Phase::Answering | Phase::Talking => None,
        })
    }

    /// Whether a membership has a part in a call.
    pub(super) fn has_part(&self, account: AccountId) -> bool {
        self.running.values().any(|call| {
            call.account == account || call.legs.values().any(|leg| leg.account == account)
        })
    }

    pub(super) fn mute(&mut self, id: CallId, muted: bool) {
        if let Some(call) = self.running.get_mut(&id) {
            call.muted = muted;
            if let Some(talk) = &call.talk {
                talk.mute(muted);
            }
        }
    }

    pub(super) fn is_muted(&self, id: CallId) -> bool {
        self.running.get(&id).is_some_and(|c| c.muted)
    }

    pub(super) fn dismiss(&mut self, id: CallId) {
        self.ended.remove(&id);
    }

    /// The call of a leg of this membership's user agent.
    pub(super) fn of_leg(
        &mut self,
        account: AccountId,
        leg: LegId,
    ) -> Option<(CallId, &mut Running)> {
        self.running
            .iter_mut()
            .find(|(_, call)| call.legs.get(&leg).is_some_and(|leg| leg.account == account))
            .map(|(id, call)| (*id, call))
    }

    /// What the faces draw, the newest first.
    pub(super) fn views(&self, now: Instant) -> Vec<Call> {
        let running = self.running.iter().map(|(id, call)| (*id, call.view(*id, now)));
        let ended = self.ended.iter().map(|(id, call)| (*id, call.clone()));
        let all: BTreeMap<CallId, Call> = running.chain(ended).collect();
        all.into_values().rev().collect()
    }

    pub(super) fn begin(
        &mut self,
        (account, overlay): (AccountId, &str),
        direction: Direction,
        peer: String,
        phase: Phase,
        now: crate::base::Now,
    ) -> CallId {
        self.last_id += 1;
        // How earlier calls ended stands in the list of calls from now on.
        self.ended.clear();
        let id = CallId(self.last_id);
        let call = Running {
            account,
            overlay: overlay.to_owned(),
            direction,
            peer,
            phase,
            verified: Verified::Unknown,
            unproven: None,
            muted: false,
            legs: BTreeMap::new(),
            dialling: 0,
            failure: None,
            talk: None,
            path: None,
            statistics: AudioStatistics::default(),
            report: CallReport::default(),
            started: now.instant,
            started_unix_ms: now.unix_ms,
            answered: None,
            dial_tasks: JoinSet::new(),
            forwarded_to: None,
            is_domain_unverified: false,
        };
        self.running.insert(id, call);
        id
    }
}

impl Running {
    /// Milliseconds since the call began.
    pub(super) fn elapsed_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn talk_time(&self, now: Instant) -> Duration {
        self.answered.map_or(Duration::ZERO, |since| now.saturating_since(since))
    }

    /// A leg is the one that counts.
    pub(super) fn chosen(&mut self, leg: LegId) {
        let Some(leg) = self.legs.get(&leg) else { return };
        self.verified = leg.verified;
        self.is_domain_unverified = leg.is_domain_unverified;
        self.forwarded_to = (leg.peer != self.peer).then(|| leg.peer.clone());
    }

    /// Both sides talk from now on.
    pub(super) fn talking(&mut self, now: Instant) {
        self.phase = Phase::Talking;
        self.answered = Some(now);
        self.report.answered = true;
        self.report.answered_ms = Some(self.elapsed_ms(now));
    }

    fn view(&self, id: CallId, now: Instant) -> Call {
        let state = match &self.phase {
            Phase::Dialling(step) => CallState::Dialling { step: step.clone() },
            Phase::Ringing => CallState::Ringing,
            Phase::Incoming => CallState::Incoming,
            Phase::Answering => CallState::Dialling { step: "Answering".into() },
            Phase::Talking => {
                CallState::Talking { duration: Duration::from_secs(self.talk_time(now).as_secs()) }
            }
        };
        Call {
            id,
            overlay: self.overlay.clone(),
            direction: self.direction,
            peer: self.peer.clone(),
            state,
            verified: self.verified,
            is_domain_unverified: self.is_domain_unverified,
            forwarded_to: self.forwarded_to.clone(),
            muted: self.muted,
            level_sent: self.statistics.level_sent,
            level_received: self.statistics.level_received,
            quality: self.path.as_ref().map(|path| self.quality(path)),
        }
    }

    fn quality(&self, path: &str) -> Quality {
        let statistics = &self.statistics;
        Quality {
            word: words::quality(statistics.loss_received, statistics.round_trip),
            loss: statistics.loss_received,
            rtt: statistics.round_trip,
            buffer: statistics.buffer_delay,
            path: words::path(path).to_owned(),
        }
    }

    fn finish_report(&mut self, now: Instant) {
        let report = &mut self.report;
        report.packets_sent = self.statistics.packets_sent;
        report.packets_received = self.statistics.packets_received;
        report.packets_lost = self.statistics.packets_lost;
        report.sound_sent = self.statistics.sound_sent;
        report.sound_received = self.statistics.sound_received;
        report.path.clone_from(&self.path);
        let talked = self.answered.map_or(Duration::ZERO, |since| now.saturating_since(since));
        report.talk_ms = u64::try_from(talked.as_millis()).unwrap_or(u64::MAX);
    }
}

impl Engine {
    /// Calls a name, or a device by its address.
    pub(super) fn dial(&mut self, name: &str) -> Result<(), String> {
        let directory = self.directory();
        let accounts = directory.accounts.iter().filter_map(|id| self.accounts.get(*id));
        let names: Vec<_> = accounts.map(Account::overlay).collect();
        let history = self.snapshot.history.iter().map(|entry| entry.peer.as_str());
        let calls = self.snapshot.calls.iter().map(|call| call.peer.as_str());
        let name = as_typed(name, history.chain(calls));
        let way = way(&directory.overlays, &names, &name)?;
        let (overlay, aor, is_own) = match &way {
            Way::LookUp(overlay, aor) => (*overlay, aor, true),
            Way::Device(overlay, gruu) => (*overlay, &gruu.aor, false),
            Way::Elsewhere(name) => return Err(format!("{name} is in none of your overlays.")),
        };
        let account = directory.accounts.get(overlay);
        let account = account.and_then(|id| Some((*id, self.accounts.get(*id)?)));
        let (account_id, account) = account.ok_or("Join an overlay before calling.")?;
        if is_own && *aor == account.aor {
            return Err(own_sentence(aor));
        }
        if !self.calls.running.is_empty() {
            return Err("Hang up the present call first.".into());
        }
        let (overlay, peer) = (account.overlay().to_owned(), aor.to_string());
        let phase = Phase::Dialling(format!("Looking up {peer}"));
        let (now, membership) = (self.now(), (account_id, overlay.as_str()));
        let id = self.calls.begin(membership, Direction::Outgoing, peer, phase, now);
        let reports = self.reports.clone();
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.dialling = 1;
            call.dial_tasks.spawn(async move {
                let (inner, outer) = mpsc::channel(DIAL_REPORTS_MAX);
                let report = |report| {
                    // The channel holds all that one search reports.
                    let _ = inner.try_send(report);
                };
                tokio::join!(forward(outer, id, reports), async move {
                    resolve(directory, way, report).await;
                });
            });
        }
        Ok(())
    }

    /// The overlays that we are in; names without a domain are of the first one.
    fn directory(&self) -> Directory {
        let default = self.snapshot.default_membership();
        let default = default.and_then(|m| self.accounts.named(&m.me.overlay));
        let mut running: Vec<_> = self.accounts.running.iter().collect();
        // The sort is stable: the others stay in the order in which they were entered.
        running.sort_by_key(|(id, _)| Some(**id) != default);
        let documents = running.iter().map(|(_, account)| account.document.clone()).collect();
        Directory {
            overlays: Overlays::new(documents),
            accounts: running.iter().map(|(id, _)| **id).collect(),
            nodes: running.iter().map(|(_, account)| account.node.clone()).collect(),
        }
    }

    pub(super) fn call_report(&mut self, id: CallId, report: CallReports) {
        match report {
            CallReports::Dial(report) => self.dial_report(id, report),
            CallReports::Candidates(leg, agent) => self.candidates(id, leg, agent),
            CallReports::Talk(report) => self.talk_report(id, report),
        }
    }

    fn dial_report(&mut self, id: CallId, report: DialReport) {
        let now = self.clock.now();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let elapsed_ms = call.elapsed_ms(now);
        match report {
            DialReport::Found { hops } => {
                call.report.hops = Some(hops);
                call.report.fetch_ms = Some(elapsed_ms);
                call.phase = Phase::Dialling(format!("Connecting to {}", call.peer));
            }
            DialReport::Resolved(accounts, Ok(resolved)) => {
                call.dialling -= 1;
                self.reach_all(id, &accounts, &resolved);
            }
            DialReport::Resolved(_, Err(sentence)) => {
                call.dialling -= 1;
                call.failure = Some(sentence);
                self.end_if_hopeless(id);
            }
            DialReport::Reached(target, reached) => {
                call.dialling -= 1;
                match reached {
                    Ok((connection, agent)) => self.reached(id, &target, connection, agent),
                    Err(sentence) => call.failure = Some(sentence),
                }
                self.end_if_hopeless(id);
            }
        }
    }

    /// Connects to every device, all at once.
    fn reach_all(&mut self, id: CallId, accounts: &[AccountId], resolved: &Resolved) {
        let Some(call) = self.calls.running.get(&id) else { return };
        let (peer, mut targets) = (call.peer.clone(), Vec::new());
        for device in &resolved.devices {
            let Some(account_id) = accounts.get(device.overlay).copied() else { continue };
            let Some(account) = self.accounts.get(account_id) else { continue };
            // Calls from one of our devices do not ring on it.
            let end = device.destinations.last().and_then(Destination::node);
            if end != Some(account.node.node_id()) {
                targets.push(Target { account: account_id, device: device.clone() });
            }
        }
        if resolved.is_cut && !targets.is_empty() {
            let count = targets.len();
            self.notice(format!(
                "Too many devices and names are registered under {peer}; only {count} are called."
            ));
        }
        for target in targets {
            self.reach(id, target);
        }
        if let Some(call) = self.calls.running.get_mut(&id) {
            if call.dialling == 0 {
                call.failure = Some(nobody(&peer, resolved));
            }
            self.end_if_hopeless(id);
        }
    }

    fn reach(&mut self, id: CallId, target: Target) {
        let known = self.flows.known(&target, self.clock.now());
        let credentials = ice_credentials(&mut self.rng);
        let Some(account) = self.accounts.get(target.account) else { return };
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let (node, options) = (account.node.clone(), account.ice_options());
        let (reports, device) = (self.reports.clone(), target.device.clone());
        call.dialling += 1;
        call.dial_tasks.spawn(async move {
            let reached = reach(node, device, known, credentials, options).await;
            let report = DialReport::Reached(target, reached);
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, CallReports::Dial(report))).await;
        });
    }

    fn reached(&mut self, id: CallId, target: &Target, connection: Connection, agent: IceAgent) {
        let now = self.clock.now();
        let flow = match connection {
            Connection::Known(flow) => flow,
            Connection::New(flow) => {
                if let Some(call) = self.calls.running.get_mut(&id) {
                    let elapsed_ms = call.elapsed_ms(now);
                    let timings = flow.flow.info().timings;
                    let report = &mut call.report;
                    report.dtls_ms.get_or_insert(elapsed_ms);
                    report.ice_ms.get_or_insert(elapsed_ms.saturating_sub(timings.dtls_ms));
                    let path = timings.dtls_ms + timings.ice_ms;
                    report.attach_ms.get_or_insert(elapsed_ms.saturating_sub(path));
                }
                self.sip_flow_up(target.account, *flow)
            }
        };
        self.invite(id, target, flow, agent);
    }

    /// An outgoing call without a device left has failed.
    pub(super) fn end_if_hopeless(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        if call.dialling > 0 || !call.legs.is_empty() {
            return;
        }
        let peer = &call.peer;
        let sentence = call.failure.take();
        let sentence = sentence.unwrap_or_else(|| format!("{peer} can't be reached."));
        self.end_call(id, sentence);
    }

    /// A device did not take the call; others may.
    pub(super) fn leg_failed(&mut self, id: CallId, leg: LegId, sentence: String) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        call.legs.remove(&leg);
        call.failure = Some(sentence);
        self.end_if_hopeless(id);
    }

    fn talk_report(&mut self, id: CallId, report: Option<TalkReport>) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        match report {
            Some(TalkReport::Up(path)) => call.path = Some(path),
            Some(TalkReport::Statistics(statistics)) => call.statistics = *statistics,
            Some(TalkReport::Fault(sentence)) => {
                self.notice(sentence);
                self.sound_notice = Some(id);
            }
            Some(TalkReport::Failed(sentence)) => {
                self.hang_up_legs(id, Some(Reason::sip(500, "media lost")));
                self.end_call(id, sentence);
            }
            None => {}
        }
    }

    pub(super) fn hang_up(&mut self, id: CallId) -> Result<(), String> {
        let Some(call) = self.calls.running.get(&id) else { return Ok(()) };
        let sentence = match call.phase {
            Phase::Talking => "You hung up.",
            Phase::Incoming | Phase::Answering => words::DECLINED,
            Phase::Dialling(_) | Phase::Ringing => "You gave up.",
        };
        self.hang_up_legs(id, None);
        self.end_call(id, sentence.to_owned());
        Ok(())
    }

    /// Ends every call that a membership has a part in, because we leave.
    pub(super) fn end_calls(&mut self, account: AccountId) {
        let is_of = |call: &Running| {
            call.account == account || call.legs.values().any(|leg| leg.account == account)
        };
        let running = self.calls.running.iter();
        let ids: Vec<_> = running.filter(|(_, call)| is_of(call)).map(|(id, _)| *id).collect();
        for id in ids {
            // Nothing can fail here: the sentence is about a call that is running.
            let _ = self.hang_up(id);
        }
    }

    pub(super) fn hang_up_legs(&mut self, id: CallId, reason: Option<Reason>) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let legs = std::mem::take(&mut call.legs);
        for (leg, Leg { account, .. }) in legs {
            let reason = reason.clone();
            self.sip_command(account, sip::Command::HangUp { leg, reason });
        }
    }

    /// A call is over: it goes into the history, and its card says why until it is dismissed.
    pub(super) fn end_call(&mut self, id: CallId, sentence: String) {
        let now = self.clock.now();
        let Some(mut call) = self.calls.running.remove(&id) else { return };
        call.dial_tasks.abort_all();
        call.finish_report(now);
        // What was wrong with its sound is of no use any more.
        if self.sound_notice.take_if(|about| *about == id).is_some() {
            self.snapshot.notice = None;
        }
        let duration = Duration::from_secs(call.talk_time(now).as_secs());
        let entry = HistoryEntry {
            direction: call.direction,
            peer: call.peer.clone(),
            unix_ms: call.started_unix_ms,
            duration,
            outcome: sentence.clone(),
            answered: call.report.answered,
        };
        if let Err(error) = self.data.add_call(&entry) {
            self.notice(format!("The call was not added to the list: {error}."));
        }
        self.snapshot.history.insert(0, entry);
        self.snapshot.history.truncate(super::data::HISTORY_MAX as usize);
        let mut view = call.view(id, now);
        view.state = CallState::Ended { reason: sentence.clone(), duration };
        self.calls.ended.insert(id, view);
        while self.calls.ended.len() > ENDED_MAX {
            self.calls.ended.pop_first();
        }
        self.event(Event::Ended {
            call: id,
            peer: call.peer.clone(),
            reason: sentence,
            report: Box::new(call.report),
        });
    }
}

/// Passes the news of dialling on to the engine.
async fn forward(mut news: mpsc::Receiver<DialReport>, id: CallId, reports: Reports) {
    while let Some(report) = news.recv().await {
        if reports.send(Report::Call(id, CallReports::Dial(report))).await.is_err() {
            return;
        }
    }
}

// limits

/// Cards of ended calls.
const ENDED_MAX: usize = 8;
/// Reports of one search: the name's own, and the end.
const DIAL_REPORTS_MAX: usize = 4;
