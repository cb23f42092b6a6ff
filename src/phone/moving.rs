//! A call whose network changes under it. Whoever has moved makes a new connection to the same
//! device and goes on with the session there, by a re-INVITE with new candidates: an ICE restart
//! (RFC 8839 §4.4.1.1.1) in which both sides keep their parts (RFC 8445 §9). Certificates and
//! their parts in DTLS stay, and so do the keys of the sound (RFC 8842 §4); `session` makes the
//! offers and answers.
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
use crate::base::NodeId;
use crate::link::{AppFlow, IceAgent, IceRole, Node};
use crate::sip::{Command, LegId, limits::REBIND_MAX};

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
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        // What was asked for on the way that is lost is void.
        (leg.local, leg.offer) = (None, None);
        let (Some(device), Some(account)) = (leg.session.device, self.accounts.get(leg.account))
        else {
            return;
        };
        let (node, reports, role) =
            (account.node.clone(), self.reports.clone(), role(call.direction));
        call.dial_tasks.spawn(async move {
            // The user agent says when it has waited for long enough.
            let connected = timeout(REBIND_MAX, connect(node, device, role)).await;
            let Ok(connected) = connected else { return };
            let report = CallReports::Moved(leg_id, Box::new(connected));
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, report)).await;
        });
    }

    /// The device of a leg is connected again.
    pub(super) fn connected_again(
        &mut self,
        id: CallId,
        leg_id: LegId,
        (flow, agent): (AppFlow, IceAgent),
    ) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let account = leg.account;
        leg.agent = Some(agent);
        let flow = self.sip_flow_up(account, flow, true);
        self.sip_command(account, Command::Rebind { leg: leg_id, flow });
        self.settle(id);
    }

    /// The sound of a call has a path. If that is through a relay, whoever called looks for a
    /// better one a few times.
    pub(super) fn look_for_direct(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let is_ours = call.direction == Direction::Outgoing && call.is_relayed();
        let Some((leg_id, _)) = call.talking_leg().filter(|_| is_ours) else { return };
        if std::mem::replace(&mut call.looks_for_direct, true) {
            return;
        }
        let reports = self.reports.clone();
        call.dial_tasks.spawn(async move {
            for pause in DIRECT_AFTER {
                sleep(pause).await;
                let report = CallReports::SeekDirect(leg_id);
                if reports.send(Report::Call(id, report)).await.is_err() {
                    return;
                }
            }
        });
    }

    pub(super) fn gather_direct(&mut self, id: CallId, leg_id: LegId) {
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
            let report = CallReports::Direct(leg_id, Box::new(agent));
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, report)).await;
        });
    }

    pub(super) fn offer_direct(&mut self, id: CallId, leg_id: LegId, agent: IceAgent) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        leg.agent.get_or_insert(agent);
        self.settle(id);
    }
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
