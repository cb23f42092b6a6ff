//! Outgoing calls: from a name to a leg for each device behind it, all at once.

use std::time::Duration;

use tokio::sync::mpsc;

use super::account::{Account, AccountId};
use super::api::{CallId, Direction};
use super::calls::{CallReports, Phase};
use super::dial::{Connection, DialReport, Directory, Target, reach, resolve};
use super::engine::{Engine, Report, Reports};
use super::failure::Failure;
use super::names::{as_typed, own_sentence, way};
use crate::link::IceAgent;
use crate::message::Destination;
use crate::sip::{self, LegId};
use crate::usage::{Overlays, Resolved, Way};

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

    pub(super) fn dial_report(&mut self, id: CallId, report: DialReport) {
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
            DialReport::Resolved(_, Err(failure)) => {
                call.dialling -= 1;
                call.failure.add(call.peer.clone(), failure);
                self.end_if_hopeless(id);
            }
            DialReport::Reached(target, reached) => {
                call.dialling -= 1;
                match reached {
                    Ok((connection, agent)) => self.reached(id, &target, connection, agent),
                    Err(failure) => call.failure.add(target.device.aor.to_string(), failure),
                }
                self.end_if_hopeless(id);
            }
            DialReport::TimeUp if matches!(call.phase, Phase::Dialling(_)) => {
                if let Some((_, leg)) = call.legs.first_key_value() {
                    call.failure.add(leg.peer.clone(), Failure::Mute);
                }
                let sentence = call.failure.sentence(&call.peer);
                self.hang_up_legs(id, None);
                self.end_call(id, sentence);
            }
            DialReport::TimeUp => {}
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
                call.failure.add(peer, Failure::Nobody(Box::new(resolved.clone())));
            }
            self.end_if_hopeless(id);
        }
    }

    fn reach(&mut self, id: CallId, target: Target) {
        let known = self.flows.known(&target, self.clock.now());
        let Some(account) = self.accounts.get(target.account) else { return };
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let node = account.node.clone();
        let (reports, device) = (self.reports.clone(), target.device.clone());
        let until = call.until;
        call.dialling += 1;
        call.dial_tasks.spawn(async move {
            let reached = reach(node, device, known, until).await;
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
        let sentence = call.failure.sentence(&call.peer);
        self.end_call(id, sentence);
    }

    /// A device did not take the call; others may.
    pub(super) fn leg_failed(&mut self, id: CallId, leg: LegId, end: sip::End) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        call.legs.remove(&leg);
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
/// Reports of one search: the name's own, and the end.
const DIAL_REPORTS_MAX: usize = 4;
