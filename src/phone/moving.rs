//! A call whose network changes under it. Whoever has moved makes a new connection to the same
//! device and goes on with the session there, by a re-INVITE with new candidates: an ICE restart
//! (RFC 8839 §4.4.1.1.1) in which both sides keep their parts (RFC 8445 §9). Certificates and
//! their parts in DTLS stay, and so do the keys of the sound (RFC 8842 §4); `session` makes the
//! offers and answers.

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

/// Between two attempts to connect again.
const AGAIN: Duration = Duration::from_millis(250);
