//! A call whose network changes under it. Whoever has moved makes a new connection to the same
//! device and goes on with the session there, by a re-INVITE with new candidates: an ICE restart
//! (RFC 8839 §4.4.1.1.1) in which both sides keep their parts (RFC 8445 §9). Certificates and
//! their parts in DTLS stay, and so do the keys of the sound (RFC 8842 §4).
//!
//! In the same way a call whose sound goes through a relay looks for a path without one: NATs and
//! firewalls may let through later what they kept back at first. Whoever called offers candidates
//! without relays; as the other side then uses none either, only a direct path can come of it, and
//! until there is one the sound stays where it was.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::account::AccountId;
use super::api::{CallId, Direction};
use super::calls::{CallReports, Phase};
use super::engine::{Engine, Report};
use super::talk::{self, ice_parameters};
use crate::base::NodeId;
use crate::link::{AppFlow, CandidateKind, IceAgent, IceRole, Node};
use crate::media::sdp::{self, MediaDescription, Negotiated, Offer, Origin, Setup};
use crate::sip::{Command, LegId, limits::REBIND_MAX};

/// What has to be known of a session to go on with it elsewhere.
pub(super) struct Session {
    /// The other side's device, and the application that its connection was for.
    pub(super) device: Option<(NodeId, u16)>,
    /// Our last description's.
    pub(super) origin: Origin,
    /// The part that we play in DTLS, once it is agreed on.
    pub(super) setup: Setup,
    /// The other side's candidates go by this name.
    pub(super) remote_ufrag: String,
}

impl Session {
    /// A session that is not agreed on yet.
    pub(super) fn new(device: Option<(NodeId, u16)>, session_id: u64) -> Self {
        let origin = Origin { session_id, version: 0 };
        Self { device, origin, setup: Setup::ActPass, remote_ufrag: String::new() }
    }

    /// Both sides have agreed.
    pub(super) fn agreed(&mut self, negotiated: &Negotiated) {
        self.remote_ufrag.clone_from(&negotiated.remote.ice_ufrag);
        self.setup = match negotiated.dtls_role {
            sdp::DtlsRole::Client => Setup::Active,
            sdp::DtlsRole::Server => Setup::Passive,
        };
    }
}

/// What the tasks of a call that moves report.
pub(super) enum Step {
    /// The device is connected again, or the time is up.
    Connected(Option<Box<(AppFlow, IceAgent)>>),
    /// Both sides wanted a change at once, and it is our turn to ask again.
    Again,
    /// It is time to look for a path without a relay.
    Direct,
    /// These candidates of ours are for such a path.
    Gathered(Box<IceAgent>),
}

impl Engine {
    /// Connections from these addresses lead nowhere any more.
    pub(super) fn moved(&mut self, account: AccountId, gone: &BTreeSet<IpAddr>) {
        for call in self.calls.running.values_mut() {
            let is_ours = call.legs.values().any(|leg| leg.account == account);
            call.is_moving |= is_ours && call.phase == Phase::Talking;
        }
        for flow in self.flows.from(account, gone) {
            self.sip_flow_down(flow);
        }
    }

    /// Connects to the device of a leg again, as soon as the overlay is joined again.
    pub(super) fn connect_again(&mut self, id: CallId, leg_id: LegId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let Some(leg) = call.legs.get(&leg_id) else { return };
        let (Some(device), Some(account)) = (leg.session.device, self.accounts.get(leg.account))
        else {
            return;
        };
        let (node, reports, role) =
            (account.node.clone(), self.reports.clone(), role(call.direction));
        call.dial_tasks.spawn(async move {
            let connected = timeout(REBIND_MAX, connect(node, device, role)).await.ok();
            let report = CallReports::Moving(leg_id, Step::Connected(connected.map(Box::new)));
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, report)).await;
        });
    }

    pub(super) fn moving_step(&mut self, id: CallId, leg_id: LegId, step: Step) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let account = leg.account;
        match step {
            // The user agent says when it has waited for long enough.
            Step::Connected(None) => {}
            Step::Connected(Some(connected)) => {
                let (flow, agent) = *connected;
                leg.agent = Some(agent);
                let flow = self.sip_flow_up(account, flow, true);
                self.sip_command(account, Command::Rebind { leg: leg_id, flow });
                self.offer_again(id, leg_id);
            }
            Step::Again => self.offer_again(id, leg_id),
            Step::Direct => self.gather_direct(id, leg_id),
            Step::Gathered(agent) => {
                leg.agent = Some(*agent);
                self.offer_again(id, leg_id);
            }
        }
    }

    /// The sound of a call has a path. If that is through a relay, whoever called looks for a
    /// better one a few times.
    pub(super) fn look_for_direct(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let is_ours = call.direction == Direction::Outgoing && call.is_relayed();
        let leg_id = call.legs.keys().next().copied().filter(|_| call.legs.len() == 1);
        let Some(leg_id) = leg_id.filter(|_| is_ours && !call.looks_for_direct) else { return };
        call.looks_for_direct = true;
        let reports = self.reports.clone();
        call.dial_tasks.spawn(async move {
            for pause in DIRECT_AFTER {
                sleep(pause).await;
                let report = CallReports::Moving(leg_id, Step::Direct);
                if reports.send(Report::Call(id, report)).await.is_err() {
                    return;
                }
            }
        });
    }

    fn gather_direct(&mut self, id: CallId, leg_id: LegId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let wants = call.is_relayed() && !call.is_moving && call.phase == Phase::Talking;
        let Some(leg) = call.legs.get(&leg_id).filter(|leg| wants && leg.agent.is_none()) else {
            return;
        };
        let Some(account) = self.accounts.get(leg.account) else { return };
        let (agents, reports) = (account.node.agents().clone(), self.reports.clone());
        let role = role(call.direction);
        call.dial_tasks.spawn(async move {
            let Ok(mut agent) = agents.take(role).await else { return };
            agent.forgo_relays();
            let report = CallReports::Moving(leg_id, Step::Gathered(Box::new(agent)));
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, report)).await;
        });
    }

    fn offer_again(&mut self, id: CallId, leg_id: LegId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let (Some(agent), Some(account)) = (&leg.agent, self.accounts.get(leg.account)) else {
            return;
        };
        leg.session.origin.version += 1;
        let local = talk::description(agent, &account.certificate);
        let offer = sdp::offer(leg.session.origin, &local).into_bytes();
        leg.local = Some(local);
        let account = leg.account;
        self.sip_command(account, Command::Change { leg: leg_id, offer });
    }

    /// The other side has taken our change.
    pub(super) fn changed(&mut self, account: AccountId, leg_id: LegId, answer: Option<Vec<u8>>) {
        let Some((_, call)) = self.calls.of_leg(account, leg_id) else { return };
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let answer = answer.and_then(|answer| String::from_utf8(answer).ok()).unwrap_or_default();
        let Some((agent, local)) = leg.agent.take().zip(leg.local.take()) else { return };
        // Without a usable answer sound stays where it was, for as long as there is a way.
        if let Ok(negotiated) = sdp::accept(&local, &answer) {
            leg.session.remote_ufrag.clone_from(&negotiated.remote.ice_ufrag);
            call.is_moving = false;
            call.move_sound(agent, &negotiated.remote);
        }
    }

    /// Our change was not taken: the other side may have moved too, and asked at the same time
    /// (RFC 3261 §14.1).
    pub(super) fn unchanged(&mut self, account: AccountId, leg_id: LegId) {
        let turn = self.rng.unit();
        let reports = self.reports.clone();
        let Some((id, call)) = self.calls.of_leg(account, leg_id) else { return };
        if !call.is_moving {
            // Sound has a path, and there will be another attempt at a better one.
            if let Some(leg) = call.legs.get_mut(&leg_id) {
                (leg.agent, leg.local) = (None, None);
            }
            return;
        }
        let least = match call.direction {
            Direction::Outgoing => OWNER_PAUSE,
            Direction::Incoming => Duration::ZERO,
        };
        call.dial_tasks.spawn(async move {
            sleep(least + PAUSE_MAX.mul_f64(turn)).await;
            let report = CallReports::Moving(leg_id, Step::Again);
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, report)).await;
        });
    }

    /// The other side wants to change the session. We follow it to another place; nothing else
    /// can be changed.
    pub(super) fn reoffered(&mut self, account: AccountId, leg_id: LegId, offer: Vec<u8>) {
        let text = String::from_utf8(offer).ok();
        let offer = text.and_then(|text| Offer::parse(&text).ok());
        let Some((id, call)) = self.calls.of_leg(account, leg_id) else { return };
        let role = role(call.direction);
        let leg = call.legs.get_mut(&leg_id);
        let moves = offer
            .zip(leg)
            .filter(|(offer, leg)| offer.remote().ice_ufrag != leg.session.remote_ufrag);
        let Some((offer, leg)) = moves else {
            let status = rsip::StatusCode::NotAcceptableHere;
            return self.sip_command(account, Command::Reject { leg: leg_id, status });
        };
        leg.offer = Some(offer);
        self.gather(id, account, leg_id, role);
    }

    /// Our candidates are known for the place to which the other side has moved.
    pub(super) fn follow(&mut self, id: CallId, leg_id: LegId, mut agent: IceAgent) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let is_relayed = call.is_relayed();
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let (Some(offer), Some(account)) = (leg.offer.take(), self.accounts.get(leg.account))
        else {
            return;
        };
        if is_relayed && !offers_relay(offer.remote()) {
            agent.forgo_relays();
        }
        leg.session.origin.version += 1;
        let local = MediaDescription {
            setup: leg.session.setup,
            ..talk::description(&agent, &account.certificate)
        };
        let (answer, negotiated) = offer.answer(leg.session.origin, &local);
        leg.session.remote_ufrag.clone_from(&negotiated.remote.ice_ufrag);
        let (account, answer) = (leg.account, answer.into_bytes());
        call.move_sound(agent, &negotiated.remote);
        self.sip_command(account, Command::Answer { leg: leg_id, answer });
    }
}

impl super::calls::Running {
    fn move_sound(&self, agent: IceAgent, remote: &MediaDescription) {
        if let Some(talk) = &self.talk {
            talk.move_to(agent, ice_parameters(remote));
        }
    }
}

fn offers_relay(remote: &MediaDescription) -> bool {
    ice_parameters(remote).candidates.iter().any(|c| c.kind == CandidateKind::Relay)
}

/// Connects to a device, again and again until it works.
async fn connect(
    node: Node,
    (device, application): (NodeId, u16),
    role: IceRole,
) -> (AppFlow, IceAgent) {
    let mut status = node.status();
    loop {
        // A node that has ended says so to the engine.
        let _ = status.wait_for(|status| status.joined).await;
        if let Ok(mut path) = node.app_attach(vec![device.into()], application).await
            && let Ok(flow) = path.up().await
            && let Ok(agent) = node.agents().take(role).await
        {
            return (flow, agent);
        }
        sleep(AGAIN).await;
    }
}

/// Our part in ICE is that of the beginning: whoever called controls.
pub(super) fn role(direction: Direction) -> IceRole {
    match direction {
        Direction::Outgoing => IceRole::Controlling,
        Direction::Incoming => IceRole::Controlled,
    }
}

/// When a path without a relay is looked for: after the sound has begun, and after each attempt
/// before.
const DIRECT_AFTER: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(20), Duration::from_secs(60)];
/// Between two attempts to connect again.
const AGAIN: Duration = Duration::from_millis(250);
/// How long whoever began the dialog waits at least until it asks for a change again, and whoever
/// asks at most after that (RFC 3261 §14.1).
const OWNER_PAUSE: Duration = Duration::from_millis(2100);
const PAUSE_MAX: Duration = Duration::from_millis(1900);
