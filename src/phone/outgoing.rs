//! Outgoing calls: from a name to a leg for each device behind it, all at once.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::account::{Account, AccountId};
use super::api::{CallId, Direction};
use super::calls::{Attempt, CallReports, Phase};
use super::dial::{Connection, DialReport, Directory, Target, reach, resolve};
use super::engine::{Engine, Report, Reports};
use super::failure::Failure;
use super::names::{as_typed, own_sentence, way};
use super::transfer::Referral;
use crate::link::IceAgent;
use crate::message::Destination;
use crate::sip::{self, FlowId, LegId};
use crate::usage::{Overlays, Resolved, Way, parse_aor};

impl Engine {
    /// Calls a name, or a device by its address.
    pub(super) fn dial(&mut self, name: &str) -> Result<(), String> {
        self.dial_as(name, None).map(drop)
    }

    /// Calls a name, perhaps because somebody has asked for it.
    pub(super) fn dial_as(
        &mut self,
        name: &str,
        referral: Option<Referral>,
    ) -> Result<CallId, String> {
        let directory = self.directory();
        let accounts = directory.accounts.iter().filter_map(|id| self.accounts.get(*id));
        let names: Vec<_> = accounts.map(Account::overlay).collect();
        let history = self.snapshot.history.iter().map(|entry| entry.peer.as_str());
        let calls = self.snapshot.calls.iter().map(|call| call.peer.as_str());
        let name = as_typed(name, history.chain(calls));
        let way = match directory.overlays.way(&name) {
            Ok(Way::Elsewhere(name)) if self.can_call_outside(&name) => Way::Elsewhere(name),
            _ => way(&directory.overlays, &names, &name)?,
        };
        let (overlay, aor, is_own) = match &way {
            Way::LookUp(overlay, aor) => (*overlay, aor.clone(), true),
            Way::Device(overlay, gruu) => (*overlay, gruu.aor.clone(), false),
            Way::Elsewhere(name) => (0, parse_aor(name, "").map_err(|e| e.to_string())?, false),
        };
        let account = directory.accounts.get(overlay);
        let account = account.and_then(|id| Some((*id, self.accounts.get(*id)?)));
        let (account_id, account) = account.ok_or("Join an overlay before calling.")?;
        if is_own && aor == account.aor {
            return Err(own_sentence(&aor));
        }
        if let Some(peer) = self.calls.outgoing() {
            return Err(format!("You are calling {peer}: wait for an answer, or hang up first."));
        }
        if self.calls.is_full() {
            return Err("You are in as many calls as there can be: hang up one first.".into());
        }
        let (overlay, peer) = (account.overlay().to_owned(), aor.to_string());
        let phase = Phase::Dialling(format!("Looking up {peer}"));
        let (now, membership) = (self.now(), (account_id, overlay.as_str()));
        let id = self.calls.begin(membership, Direction::Outgoing, peer, phase, now);
        self.hold_others(id);
        let known = match &way {
            Way::LookUp(overlay, aor) => self.known_targets(account_id, *overlay, aor),
            Way::Device(..) | Way::Elsewhere(_) => Vec::new(),
        };
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.asked.push(call.peer.clone());
            call.transferred_by = referral.as_ref().map(|referral| referral.words().1.to_string());
            call.referral = referral;
        }
        self.look_up(id, directory, way);
        for target in known {
            self.reach(id, target);
        }
        Ok(id)
    }

    /// Looks up where a call goes; something has to ring in time.
    pub(super) fn look_up(&mut self, id: CallId, directory: Directory, way: Way) {
        let reports = self.reports.clone();
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.is_looking_up = true;
            let until = call.until;
            let to_engine = reports.clone();
            call.dial_tasks.spawn(async move {
                tokio::time::sleep_until(until + LATE).await;
                // The engine has ended otherwise.
                let _ =
                    to_engine.send(Report::Call(id, CallReports::Dial(DialReport::TimeUp))).await;
            });
            call.dial_tasks.spawn(async move {
                let (inner, outer) = mpsc::channel(DIAL_REPORTS_MAX);
                let report = |report| {
                    // The channel holds all that one search reports.
                    let _ = inner.try_send(report);
                };
                tokio::join!(forward(outer, id, reports), async move {
                    resolve(directory, way, until, report).await;
                });
            });
        }
    }

    /// The overlays that we are in; names without a domain are of the first one.
    pub(super) fn directory(&self) -> Directory {
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
            // What can't be read costs those alone whose domain has capitals.
            written: self.data.written_names().unwrap_or_default(),
        }
    }

    pub(super) fn dial_report(&mut self, id: CallId, report: DialReport) {
        let now = self.clock.now();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let elapsed_ms = call.elapsed_ms(now);
        match report {
            DialReport::Found { hops } => {
                call.report.hops = Some(hops);
                call.report.fetch_ms = Some(elapsed_ms);
                if let Phase::Dialling(step) = &mut call.phase {
                    *step = format!("Connecting to {}", call.peer);
                }
            }
            DialReport::Resolved(accounts, Ok(resolved)) => {
                call.is_looking_up = false;
                if call.phase != Phase::Talking {
                    self.reach_all(id, &accounts, &resolved);
                }
            }
            DialReport::Resolved(_, Err(failure)) => {
                call.is_looking_up = false;
                call.failure.add(call.peer.clone(), failure);
                self.end_if_hopeless(id);
            }
            DialReport::Reached(target, reached) => {
                let attempt = call.attempts.iter_mut().find(|a| a.target == target);
                // One that the overlay does not know any more has been given up.
                let Some(attempt) = attempt else { return };
                attempt.connecting = None;
                match *reached {
                    Ok((connection, agent)) => self.reached(id, &target, connection, agent),
                    Err(failure) => call.failure.add(target.device.aor.to_string(), failure),
                }
                self.end_if_hopeless(id);
            }
            // A telephone network has a time of its own.
            DialReport::TimeUp if call.outside.is_some() => {}
            DialReport::TimeUp if matches!(call.phase, Phase::Dialling(_)) => {
                if let Some((_, leg)) = call.legs.first_key_value() {
                    call.failure.add(leg.peer.clone(), Failure::Mute);
                }
                let sentence = call.failure.sentence(&call.peer);
                self.hang_up_legs(id, None);
                self.end_call(id, sentence);
            }
            DialReport::TimeUp => {}
            DialReport::Unheard(target, flow) => self.unheard(id, target, flow),
        }
    }

    /// Nothing was said to our call on a connection that was there before: its other end may be
    /// gone without a word, and a new connection is made.
    fn unheard(&mut self, id: CallId, target: Target, flow: FlowId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let place = call.attempts.iter().position(|attempt| attempt.target == target);
        let Some(place) = place else { return };
        let leg = call.attempts[place].leg.and_then(|leg| call.legs.get(&leg));
        if leg.is_some_and(|leg| !leg.is_heard) {
            call.attempts.remove(place);
            self.sip_flow_down(flow);
            self.reach(id, target);
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
        self.give_up_all_but(id, &targets);
        for target in targets.clone() {
            self.reach(id, target);
        }
        self.call_outside(id, &resolved.elsewhere);
        if let Some(call) = self.calls.running.get_mut(&id) {
            if targets.is_empty() && call.outside.is_none() {
                call.failure.add(peer, Failure::Nobody(Box::new(resolved.clone())));
            }
            self.end_if_hopeless(id);
        }
    }

    /// Gives devices up that the overlay does not know under the name any more.
    pub(super) fn give_up_all_but(&mut self, id: CallId, targets: &[Target]) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let gone = call.attempts.extract_if(.., |attempt| !targets.contains(&attempt.target));
        for attempt in gone.collect::<Vec<_>>() {
            if let Some(connecting) = attempt.connecting {
                connecting.abort();
            }
            self.forget_target(&attempt.target);
            let Some(call) = self.calls.running.get_mut(&id) else { return };
            let Some(leg) = attempt.leg.filter(|leg| call.legs.remove(leg).is_some()) else {
                continue;
            };
            if call.phase == Phase::Ringing && call.legs.is_empty() {
                call.phase = Phase::Dialling(format!("Connecting to {}", call.peer));
            }
            let command = sip::Command::HangUp { leg, reason: None };
            self.sip_command(attempt.target.account, command);
        }
    }

    /// Connects to a device, unless that is under way.
    fn reach(&mut self, id: CallId, target: Target) {
        let known = self.flows.known(&target, self.clock.now());
        let Some(account) = self.accounts.get(target.account) else { return };
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let node = account.node.clone();
        let (reports, device) = (self.reports.clone(), target.device.clone());
        let until = call.until;
        if call.attempts.iter().any(|attempt| attempt.target == target) {
            return;
        }
        let of = target.clone();
        let connecting = call.dial_tasks.spawn(async move {
            let reached = reach(node, device, known, until).await;
            let report = DialReport::Reached(target, Box::new(reached));
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, CallReports::Dial(report))).await;
        });
        let connecting = Some(connecting);
        call.attempts.push(Attempt { target: of, connecting, leg: None });
    }

    fn reached(&mut self, id: CallId, target: &Target, connection: Connection, agent: IceAgent) {
        let now = self.clock.now();
        let flow = match connection {
            Connection::Known(flow) => {
                let (reports, target) = (self.reports.clone(), target.clone());
                if let Some(call) = self.calls.running.get_mut(&id) {
                    call.dial_tasks.spawn(async move {
                        sleep(UNHEARD_MAX).await;
                        let report = DialReport::Unheard(target, flow);
                        // The engine has ended otherwise.
                        let _ = reports.send(Report::Call(id, CallReports::Dial(report))).await;
                    });
                }
                flow
            }
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
                self.sip_flow_up(target.account, *flow, true)
            }
        };
        self.invite(id, target, flow, agent);
    }

    /// An outgoing call without a device left has failed.
    pub(super) fn end_if_hopeless(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let is_connecting = call.attempts.iter().any(|a| a.connecting.is_some());
        let is_outside = call.outside.is_some();
        if call.is_looking_up || is_connecting || is_outside || !call.legs.is_empty() {
            return;
        }
        let sentence = call.failure.sentence(&call.peer);
        self.end_call(id, sentence);
    }

    /// A device did not take the call; others may.
    pub(super) fn leg_failed(&mut self, id: CallId, leg: LegId, end: sip::End) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        call.legs.remove(&leg);
        if let sip::End::Redirected { to } = &end {
            return self.redirected(id, to);
        }
        if let sip::End::Rejected { status, .. } = &end {
            call.refusal = Some(status.clone());
        }
        call.failure.add(call.peer.clone(), Failure::Ended(end));
        self.end_if_hopeless(id);
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

/// How much later than its steps an attempt ends, so that the step that took too long is told.
const LATE: Duration = Duration::from_millis(500);
/// How long a phone behind a connection that was there before may say nothing to a call.
const UNHEARD_MAX: Duration = Duration::from_millis(1500);
/// Reports of one search: the name's own, and the end.
const DIAL_REPORTS_MAX: usize = 4;
