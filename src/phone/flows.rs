//! The secure connections that SIP runs on: which of them lead to a device already, and how long
//! they stay open.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::account::AccountId;
use super::dial::{Target, ends_at};
use crate::base::{Instant, NodeId};
use crate::crypto::Certificate;
use crate::link::{FlowInfo, FlowSender};
use crate::message::Destination;
use crate::sip::FlowId;

/// The flows that SIP runs on.
#[derive(Default)]
pub(super) struct Flows {
    pub(super) open: BTreeMap<FlowId, Flow>,
    pub(super) last_flow: u64,
    pub(super) last_leg: u64,
}

/// A secure connection to one device.
pub(super) struct Flow {
    /// The membership that it is for.
    pub(super) account: AccountId,
    pub(super) application: u16,
    pub(super) sender: FlowSender,
    pub(super) info: FlowInfo,
    pub(super) certificate: Arc<Certificate>,
    /// Owns the connection: it closes when this ends.
    pub(super) reader: AbortHandle,
    /// Since when the user agent has had no use for it.
    pub(super) idle_since: Option<Instant>,
    /// Whether we have opened it, and so are the ones who close it.
    pub(super) is_ours: bool,
    /// Whether it stays open without use.
    pub(super) is_kept: bool,
}

impl Flows {
    /// Whether there is room for a flow that somebody else has opened.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < FLOWS_MAX
    }

    /// Whether a flow is to be closed after a while.
    pub(super) fn is_any_temporary(&self) -> bool {
        self.open.values().any(|flow| flow.is_ours && !flow.is_kept)
    }

    /// A connection for SIP that leads to a device already and stays, or has just been in use:
    /// whoever has opened one closes it when it was not used for a while (RFC 7904 §5.1).
    pub(super) fn known(&self, target: &Target, now: Instant) -> Option<FlowId> {
        let is_fresh = |flow: &Flow| {
            let since = flow.idle_since.unwrap_or(now);
            flow.is_kept || now.saturating_since(since) < IDLE_MAX / 2
        };
        let mut open = self.open.iter();
        open.find(|(_, flow)| flow.leads_to(target) && is_fresh(flow)).map(|(id, _)| *id)
    }

    /// Whether we have opened a connection to a device that is still open.
    pub(super) fn leads_to(&self, target: &Target) -> bool {
        self.open.values().any(|flow| flow.is_ours && flow.leads_to(target))
    }

    /// Lets a flow stay open.
    pub(super) fn keep(&mut self, id: FlowId) {
        if let Some(flow) = self.open.get_mut(&id) {
            flow.is_kept = true;
        }
    }

    /// Lets flows that we have opened to these names stay open, and no others.
    pub(super) fn keep_only(&mut self, names: &[String]) {
        for flow in self.open.values_mut().filter(|flow| flow.is_ours) {
            flow.is_kept = names.contains(&flow.certificate.user_name);
        }
    }

    /// Flows that have not been used for too long: our own, and of those of others the ones that
    /// are too many.
    pub(super) fn unused(&self, now: Instant) -> Vec<FlowId> {
        let is_late = |flow: &Flow| {
            flow.idle_since.is_some_and(|since| now.saturating_since(since) > IDLE_MAX)
        };
        let late = self.open.iter().filter(|(_, flow)| !flow.is_kept && is_late(flow));
        let (ours, mut theirs): (Vec<_>, Vec<_>) = late.partition(|(_, flow)| flow.is_ours);
        theirs.sort_by_key(|(_, flow)| std::cmp::Reverse(flow.idle_since));
        let theirs = theirs.into_iter().skip(THEIRS_MAX);
        ours.into_iter().chain(theirs).map(|(id, _)| *id).collect()
    }

    pub(super) fn account(&self, id: FlowId) -> Option<AccountId> {
        self.open.get(&id).map(|flow| flow.account)
    }

    /// Which device a flow leads to, and for which application.
    pub(super) fn device(&self, id: FlowId) -> Option<(NodeId, u16)> {
        let flow = self.open.get(&id)?;
        Some((*flow.certificate.node_ids.first()?, flow.application))
    }

    /// A membership's flows that begin at one of these addresses.
    pub(super) fn from(&self, account: AccountId, addresses: &BTreeSet<IpAddr>) -> Vec<FlowId> {
        let is_it = |flow: &Flow| flow.account == account && flow.info.is_lost_with(addresses);
        self.open.iter().filter(|(_, flow)| is_it(flow)).map(|(id, _)| *id).collect()
    }

    /// Closes a flow; whose it was, if it was open.
    pub(super) fn close(&mut self, id: FlowId) -> Option<AccountId> {
        let flow = self.open.remove(&id)?;
        flow.reader.abort();
        Some(flow.account)
    }

    /// All of a membership, because we have left.
    pub(super) fn close_all(&mut self, account: AccountId) {
        for (_, flow) in self.open.extract_if(.., |_, flow| flow.account == account) {
            flow.reader.abort();
        }
    }
}

impl Flow {
    fn leads_to(&self, target: &Target) -> bool {
        let Target { account, device } = target;
        self.account == *account
            && self.application == device.application
            && device.aor.is_named(&self.certificate.user_name)
            && ends_at(device, &self.certificate.node_ids)
            && device.destinations.last().and_then(Destination::node).is_some()
    }
}

// limits

/// Flows at once: all devices of the callee, and callers; a flood of others is turned away.
const FLOWS_MAX: usize = 64;
/// Flows of others that may stay open without use: of those who call us often.
const THEIRS_MAX: usize = 16;
/// How long a flow may stay open without use: time for an INVITE to follow its AppAttach, and for
/// the next call to the same device.
const IDLE_MAX: Duration = Duration::from_secs(20);
