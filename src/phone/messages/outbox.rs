//! Texts of ours on their way: one after the other to each person, to all of their devices at once,
//! again and again until one of them has it.
//!
//! A name is tried again when it gives a sign of life, when we have joined, and otherwise after a
//! pause that doubles each time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::store::Waiting;
use super::{Delivery, MessageId, Obstacle};
use crate::link::AppFlow;
use crate::message::{APPLICATION_SIP, APPLICATION_SIPS};
use crate::phone::account::{AccountId, sip_aor};
use crate::phone::dial::{DIAL_MAX, Target, connect, look_up};
use crate::phone::engine::{Engine, Report};
use crate::phone::failure::Failure;
use crate::sip::{self, Command, FlowId, LegId, Receipt};
use crate::usage::{self, Aor, Device, Route, Way, wants_sips};

/// To whom something is to be delivered.
#[derive(Default)]
pub(in crate::phone) struct Outbox {
    couriers: BTreeMap<String, Courier>,
    last_attempt: u64,
}

/// All that is to be delivered to one person.
#[derive(Default)]
struct Courier {
    /// What is under way.
    attempt: Option<Attempt>,
    /// When the next attempt begins; without a time, once we have joined.
    due: Option<Instant>,
    /// How often it was tried in vain.
    failures: u32,
    /// Why it was in vain.
    obstacle: Option<Obstacle>,
}

/// One text on its way to all devices of a name.
struct Attempt {
    number: u64,
    account: AccountId,
    waiting: Waiting,
    is_looking_up: bool,
    /// How many devices are being connected to.
    connecting: usize,
    /// Texts on flows.
    legs: BTreeSet<LegId>,
    outcome: Outcome,
    tasks: JoinSet<()>,
}

/// What the devices have said so far.
#[derive(Default)]
struct Outcome {
    delivery: Option<Delivery>,
    refusal: Option<u16>,
    /// Why some could not be asked.
    obstacle: Option<Obstacle>,
}

/// News of an attempt.
pub(in crate::phone) enum OutboxReport {
    /// These devices are registered under the name, or nobody says.
    Found(Option<Vec<usage::Contact>>),
    /// A device is connected, or not, and why.
    Connected(Target, Box<Result<AppFlow, Failure>>),
    /// It is a while since a text was sent on a flow that was there before.
    Unheard(LegId, FlowId),
    /// One device has the text, and the others have had their time.
    Enough,
}

impl Outbox {
    /// When [`Engine::deliver_due`] has something to do.
    pub(in crate::phone) fn due(&self) -> Option<Instant> {
        let idle = self.couriers.values().filter(|courier| courier.attempt.is_none());
        idle.filter_map(|courier| courier.due).min()
    }

    /// Why nothing could be delivered to somebody when it was tried last.
    pub(super) fn obstacle(&self, peer: &str) -> Option<Obstacle> {
        self.couriers.get(peer).and_then(|courier| courier.obstacle)
    }
}

impl Engine {
    /// Delivers what waits for anybody: we have just joined.
    pub(in crate::phone) fn deliver_all(&mut self) {
        for peer in self.data.awaited().unwrap_or_default() {
            self.deliver_now(&peer);
        }
    }

    /// Delivers what waits for somebody, who may be there now.
    pub(in crate::phone) fn deliver_now(&mut self, peer: &str) {
        if matches!(self.data.next_waiting(peer), Ok(Some(_))) {
            let courier = self.outbox.couriers.entry(peer.to_owned()).or_default();
            (courier.due, courier.failures) = (Some(Instant::now()), 0);
        }
    }

    /// Somebody has given a sign of life.
    pub(in crate::phone) fn is_there(&mut self, peer: &str) {
        if self.outbox.couriers.contains_key(peer) {
            self.deliver_now(peer);
        }
    }

    /// Begins what is due.
    pub(in crate::phone) fn deliver_due(&mut self) {
        let now = Instant::now();
        let due = self.outbox.couriers.iter().filter(|(_, courier)| {
            courier.attempt.is_none() && courier.due.is_some_and(|due| due <= now)
        });
        for peer in due.map(|(peer, _)| peer.clone()).collect::<Vec<_>>() {
            self.attempt(&peer);
        }
    }

    /// A membership is over, and with it all that is under way in it.
    pub(in crate::phone) fn outbox_left(&mut self, account: AccountId) {
        for courier in self.outbox.couriers.values_mut() {
            if courier.attempt.take_if(|attempt| attempt.account == account).is_some() {
                courier.due = Some(Instant::now() + PAUSE_MIN);
            }
        }
    }

    fn attempt(&mut self, peer: &str) {
        let waiting = self.data.next_waiting(peer).ok().flatten();
        let ready = self.membership_for(peer);
        let running = self.outbox.couriers.values().filter(|c| c.attempt.is_some()).count();
        let Some(courier) = self.outbox.couriers.get_mut(peer) else { return };
        let Some(waiting) = waiting else {
            self.outbox.couriers.remove(peer);
            return self.show_conversation(peer);
        };
        if running >= ATTEMPTS_MAX {
            courier.due = Some(Instant::now() + PAUSE_MIN);
            return;
        }
        let Some((account_id, aor)) = ready else {
            (courier.due, courier.obstacle) = (None, Some(Obstacle::Out));
            return self.show_conversation(peer);
        };
        let Some(account) = self.accounts.get(account_id) else { return };
        self.outbox.last_attempt += 1;
        let number = self.outbox.last_attempt;
        let (node, reports, to) = (account.node.clone(), self.reports.clone(), peer.to_owned());
        let names = self.data.spellings(&aor);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let found = timeout_at(Instant::now() + DIAL_MAX, look_up(&node, &names)).await;
            let contacts = found.ok().and_then(Result::ok).map(|(contacts, _)| contacts);
            // The engine has ended otherwise.
            let _ = reports.send(Report::Outbox(to, number, OutboxReport::Found(contacts))).await;
        });
        courier.due = None;
        courier.attempt = Some(Attempt {
            number,
            account: account_id,
            waiting,
            is_looking_up: true,
            connecting: 0,
            legs: BTreeSet::new(),
            outcome: Outcome::default(),
            tasks,
        });
    }

    /// The membership in whose overlay a name is, if we are there.
    pub(in crate::phone) fn membership_for(&self, peer: &str) -> Option<(AccountId, Aor)> {
        let directory = self.directory();
        let aor = Aor::of_user_name(peer)?;
        let Ok(Way::LookUp(overlay, aor)) = directory.overlays.way(&aor.to_sip_uri()) else {
            return None;
        };
        let account = *directory.accounts.get(overlay)?;
        self.accounts.get(account).filter(|a| a.is_joined()).map(|_| (account, aor))
    }

    pub(in crate::phone) fn outbox_report(
        &mut self,
        peer: &str,
        number: u64,
        report: OutboxReport,
    ) {
        let courier = self.outbox.couriers.get_mut(peer);
        let attempt = courier.and_then(|courier| courier.attempt.as_mut());
        let Some(attempt) = attempt.filter(|attempt| attempt.number == number) else {
            // It is over; a connection that comes late is closed by being dropped.
            return;
        };
        match report {
            OutboxReport::Found(contacts) => {
                attempt.is_looking_up = false;
                match contacts {
                    Some(contacts) => self.send_to_all(peer, contacts),
                    None => attempt.outcome.obstacle = Some(Obstacle::Unreachable),
                }
            }
            OutboxReport::Connected(target, connected) => {
                attempt.connecting = attempt.connecting.saturating_sub(1);
                match *connected {
                    Ok(flow) => {
                        let flow = self.sip_flow_up(target.account, flow, true);
                        self.send_text(peer, &target, flow);
                    }
                    Err(_) => {
                        attempt.outcome.obstacle.get_or_insert(Obstacle::Unreachable);
                    }
                }
            }
            OutboxReport::Unheard(leg, flow) => {
                let mut talking = self.calls.running.values().flat_map(|c| c.legs.values());
                // A connection that calls need tells by itself when it is gone.
                if attempt.legs.contains(&leg) && !talking.any(|leg| leg.peer == peer) {
                    self.sip_flow_down(flow);
                }
            }
            OutboxReport::Enough => {
                attempt.tasks.abort_all();
                attempt.connecting = 0;
            }
        }
        self.settle_attempt(peer);
    }

    /// Sends a text to all devices that are registered under its name, and to each but once.
    fn send_to_all(&mut self, peer: &str, contacts: Vec<usage::Contact>) {
        let courier = self.outbox.couriers.get_mut(peer);
        let Some(attempt) = courier.and_then(|courier| courier.attempt.as_mut()) else { return };
        let account_id = attempt.account;
        let (Some(account), Some(aor)) = (self.accounts.get(account_id), Aor::of_user_name(peer))
        else {
            return;
        };
        let own = account.node.node_id();
        let others = contacts.into_iter().filter(|contact| contact.device != own);
        let targets: Vec<Target> = others
            .take(DEVICES_MAX)
            .map(|contact| {
                let (destinations, prefs) = match contact.route {
                    Route::Destinations { destinations, contact_prefs } => {
                        (destinations, contact_prefs)
                    }
                    // Calls go on to somebody else; what is written to this name does not.
                    Route::Uri(_) => (vec![contact.device.into()], Vec::new()),
                };
                let application =
                    if wants_sips(&prefs) { APPLICATION_SIPS } else { APPLICATION_SIP };
                let device = Device { overlay: 0, aor: aor.clone(), destinations, application };
                Target { account: account_id, device }
            })
            .collect();
        if targets.is_empty() {
            attempt.outcome.obstacle = Some(Obstacle::Unregistered);
        }
        let now = self.clock.now();
        for target in targets {
            match self.flows.known(&target, now) {
                Some(flow) => self.send_on_known(peer, &target, flow),
                None => self.connect_for(peer, target),
            }
        }
    }

    fn connect_for(&mut self, peer: &str, target: Target) {
        let Some(account) = self.accounts.get(target.account) else { return };
        let (node, reports, to) = (account.node.clone(), self.reports.clone(), peer.to_owned());
        let courier = self.outbox.couriers.get_mut(peer);
        let Some(attempt) = courier.and_then(|courier| courier.attempt.as_mut()) else { return };
        let number = attempt.number;
        attempt.connecting += 1;
        attempt.tasks.spawn(async move {
            let until = Instant::now() + DIAL_MAX;
            let connected = Box::new(connect(&node, &target.device, until).await);
            let report = OutboxReport::Connected(target, connected);
            // The engine has ended otherwise.
            let _ = reports.send(Report::Outbox(to, number, report)).await;
        });
    }

    /// Sends a text on a flow whose other end may be gone without a word.
    fn send_on_known(&mut self, peer: &str, target: &Target, flow: FlowId) {
        let Some(leg) = self.send_text(peer, target, flow) else { return };
        let (reports, to) = (self.reports.clone(), peer.to_owned());
        let courier = self.outbox.couriers.get_mut(peer);
        let Some(attempt) = courier.and_then(|courier| courier.attempt.as_mut()) else { return };
        let number = attempt.number;
        attempt.tasks.spawn(async move {
            sleep(UNHEARD_MAX).await;
            let report = Report::Outbox(to, number, OutboxReport::Unheard(leg, flow));
            // The engine has ended otherwise.
            let _ = reports.send(report).await;
        });
    }

    /// Sends a text, unless the device's key is not the name's.
    fn send_text(&mut self, peer: &str, target: &Target, flow: FlowId) -> Option<LegId> {
        let judgement = self.judge_flow(target.account, flow, None)?;
        let from = sip_aor(&self.accounts.get(target.account)?.aor).ok()?;
        let courier = self.outbox.couriers.get_mut(peer);
        let attempt = courier.and_then(|courier| courier.attempt.as_mut())?;
        if judgement.unproven.is_some() {
            attempt.outcome.obstacle = Some(Obstacle::Unproven);
            return None;
        }
        let mut to = target.device.aor.to_sip_uri();
        if target.device.application == APPLICATION_SIPS {
            to = to.replacen("sip:", "sips:", 1);
        }
        let to = to.parse::<sip::Uri>().ok()?;
        let Waiting { call_id, text, unix_ms, .. } = &attempt.waiting;
        let (call_id, text, written_unix_ms) = (call_id.clone(), text.clone(), Some(*unix_ms));
        let text = sip::Text { call_id, text, written_unix_ms };
        self.flows.last_leg += 1;
        let leg = LegId(self.flows.last_leg);
        attempt.legs.insert(leg);
        self.sip_command(target.account, Command::Message { leg, flow, from, to, text });
        Some(leg)
    }

    /// A device has answered a text of ours, or never will.
    pub(in crate::phone) fn message_over(
        &mut self,
        account: AccountId,
        leg: LegId,
        receipt: &Receipt,
    ) {
        let mut couriers = self.outbox.couriers.iter_mut();
        let found = couriers.find_map(|(peer, courier)| {
            let attempt = courier.attempt.as_mut().filter(|attempt| attempt.account == account)?;
            attempt.legs.remove(&leg).then_some((peer.clone(), attempt))
        });
        let Some((peer, attempt)) = found else { return };
        match verdict(receipt) {
            Verdict::Good(delivery) => {
                let is_first = attempt.outcome.delivery.is_none();
                if attempt.outcome.delivery != Some(Delivery::Delivered) {
                    attempt.outcome.delivery = Some(delivery);
                }
                let (id, number) = (attempt.waiting.id, attempt.number);
                let (delivery, reports) = (attempt.outcome.delivery, self.reports.clone());
                if is_first {
                    let to = peer.clone();
                    attempt.tasks.spawn(async move {
                        sleep(OTHERS_MAX).await;
                        let report = Report::Outbox(to, number, OutboxReport::Enough);
                        // The engine has ended otherwise.
                        let _ = reports.send(report).await;
                    });
                }
                self.deliver(id, delivery);
            }
            Verdict::Refused(status) => attempt.outcome.refusal = Some(status),
            Verdict::Later => {
                attempt.outcome.obstacle.get_or_insert(Obstacle::Unreachable);
            }
        }
        self.settle_attempt(&peer);
    }

    /// A text has come to this; one that was taken back meanwhile has arrived all the same.
    fn deliver(&mut self, id: MessageId, delivery: Option<Delivery>) {
        if let Some(delivery) = delivery
            && self.data.delivery(id) != Ok(Some(delivery))
        {
            self.set_delivery(id, delivery);
        }
    }

    /// Ends an attempt that has nothing left to wait for, and sees to the next one.
    fn settle_attempt(&mut self, peer: &str) {
        let Some(courier) = self.outbox.couriers.get_mut(peer) else { return };
        let is_over = |attempt: &mut Attempt| {
            !attempt.is_looking_up && attempt.connecting == 0 && attempt.legs.is_empty()
        };
        let Some(attempt) = courier.attempt.take_if(is_over) else { return };
        let Outcome { delivery, refusal, obstacle } = attempt.outcome;
        let id = attempt.waiting.id;
        if delivery.is_some() || (refusal.is_some() && obstacle.is_none()) {
            (courier.failures, courier.obstacle) = (0, None);
            courier.due = Some(Instant::now());
        } else {
            // Whoever has meanwhile given a sign of life is tried again at once.
            let pause = pause(courier.failures);
            courier.due = courier.due.or(Some(Instant::now() + pause));
            courier.failures += 1;
            courier.obstacle = obstacle;
        }
        let is_waiting = self.data.delivery(id) == Ok(Some(Delivery::Waiting));
        match refusal {
            Some(status) if delivery.is_none() && obstacle.is_none() && is_waiting => {
                self.set_delivery(id, Delivery::Refused { status });
            }
            _ => self.show_conversation(peer),
        }
    }
}

/// What an answer means for a text.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Good(Delivery),
    /// Nothing changes that by trying again.
    Refused(u16),
    Later,
}

/// RFC 3428 §4, §7: 200 has the text, 202 passes it on.
fn verdict(receipt: &Receipt) -> Verdict {
    match receipt {
        Receipt::Unanswered => Verdict::Later,
        Receipt::TooLong => Verdict::Refused(0),
        Receipt::Answered(status) => match status.code() {
            202 => Verdict::Good(Delivery::Sent),
            200..300 => Verdict::Good(Delivery::Delivered),
            // Not now: no time, nobody there, too much at once.
            408 | 480 | 482 | 486 | 500 | 503 | 504 | 600 => Verdict::Later,
            code => Verdict::Refused(code),
        },
    }
}

/// How long to wait after so many attempts in vain.
fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(1 << failures.min(16)).min(PAUSE_MAX)
}

// limits

/// The pause after the first attempt.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest pause: how late somebody may get a text who has come without our noticing. A name
/// that is asked for so seldom costs less than a link that is kept alive.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// People to whom something is delivered at a time.
const ATTEMPTS_MAX: usize = 8;
/// Devices of one name that a text is sent to.
const DEVICES_MAX: usize = 8;
/// How long a device behind a connection that was there before may say nothing to a text.
const UNHEARD_MAX: Duration = Duration::from_secs(4);
/// How long the other devices of a name have once one of them has a text.
const OTHERS_MAX: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use rsip::StatusCode;

    use super::*;

    #[test]
    fn answers_become_states() {
        let answered = |code: u16| verdict(&Receipt::Answered(StatusCode::from(code)));
        assert_eq!(answered(200), Verdict::Good(Delivery::Delivered));
        assert_eq!(answered(202), Verdict::Good(Delivery::Sent));
        assert_eq!(answered(603), Verdict::Refused(603));
        assert_eq!(answered(405), Verdict::Refused(405));
        assert_eq!(answered(480), Verdict::Later);
        assert_eq!(verdict(&Receipt::Unanswered), Verdict::Later);
        assert_eq!(verdict(&Receipt::TooLong), Verdict::Refused(0));
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u64> = (0..8).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
