//! The Connection Table (RFC 6940 §6.5.1): which links there are, where they lead, and which one
//! is used if several lead to the same node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, NodeId, TransactionId};
use crate::crypto::Certificate;

use super::api::{IceParameters, LinkAction, LinkError, LinkEvent, LinkId};
use super::attach::{AttachPlan, Gathering};
use super::timers::Timer;
use super::upkeep::Cause;
use super::{Peer, RequestId};

/// All links, and the one to use for each node.
#[derive(Debug, Default)]
pub(super) struct Links {
    made: u64,
    all: BTreeMap<LinkId, Link>,
    best: BTreeMap<NodeId, LinkId>,
}

/// One link.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) state: LinkState,
    pub(super) since: Instant,
}

/// How far a link is.
#[derive(Debug)]
pub(super) enum LinkState {
    /// To a bootstrap node.
    Dialing,
    /// Our candidates are being collected.
    Gathering(Gathering),
    /// Our Attach has no answer yet.
    Requested { plan: AttachPlan, transaction: TransactionId },
    /// Our AppAttach has no answer yet.
    AppRequested { request: RequestId, transaction: TransactionId },
    /// ICE and DTLS are at work.
    Connecting(Connecting),
    /// Messages can be sent.
    Open(Open),
}

/// A link that both sides have agreed on.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) node: NodeId,
    pub(super) rank: Rank,
    /// Whether we sent the Attach.
    pub(super) is_ours: bool,
    /// What we want of the node, if we wanted the link.
    pub(super) plan: Option<AttachPlan>,
    /// Whether the other side asked for an Update.
    pub(super) owes_update: bool,
}

/// A link that is up.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) node: NodeId,
    pub(super) rank: Rank,
    /// Whether we have asked for it.
    pub(super) is_ours: bool,
    pub(super) certificate: Arc<Certificate>,
}

/// Which of two links to the same node stays: the one whose Attach the larger Node-ID sent
/// (T-41).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Bootstrap,
    FromSmaller,
    FromLarger,
}

impl Rank {
    pub(super) fn of(requester: NodeId, responder: NodeId) -> Self {
        if requester > responder { Self::FromLarger } else { Self::FromSmaller }
    }
}

impl Links {
    /// A new link of ours, which have even numbers.
    pub(super) fn add(&mut self, now: Instant, state: LinkState) -> LinkId {
        let id = LinkId(self.made * 2);
        self.made += 1;
        self.all.insert(id, Link { state, since: now });
        id
    }

    pub(super) fn link(&self, id: LinkId) -> Option<&Link> {
        self.all.get(&id)
    }

    /// Puts a link back that has been taken out, with what has become of it.
    pub(super) fn put(&mut self, since: Instant, id: LinkId, state: LinkState) {
        self.all.insert(id, Link { state, since });
    }

    /// Our own attempt at a link with `node`, and whether it has been answered.
    pub(super) fn ours_to(&self, node: NodeId) -> Option<(LinkId, bool)> {
        self.pending().find_map(|(id, link)| match &link.state {
            LinkState::Gathering(Gathering::Attach(plan)) | LinkState::Requested { plan, .. }
                if plan.node == Some(node) =>
            {
                Some((id, false))
            }
            LinkState::Connecting(c) if c.node == node && c.is_ours => Some((id, true)),
            _ => None,
        })
    }

    /// Lets the attempt of `node` at a link with us serve a plan of ours; `false` if there is
    /// none.
    pub(super) fn adopt(&mut self, node: NodeId, plan: &AttachPlan) -> bool {
        let place = self.all.values_mut().find_map(|link| match &mut link.state {
            LinkState::Gathering(Gathering::Answer(question, _, place))
                if question.signed.node_id == node =>
            {
                Some(place)
            }
            LinkState::Connecting(c) if c.node == node && !c.is_ours => Some(&mut c.plan),
            _ => None,
        });
        place.map(|place| *place = Some(plan.clone())).is_some()
    }

    /// Whether the link to `node` came up so lately that both sides may have asked for it.
    pub(super) fn is_recent(&self, node: NodeId, now: Instant) -> bool {
        let link = self.best(node).and_then(|id| self.all.get(&id));
        link.is_some_and(|link| now.saturating_since(link.since) < CROSSING)
    }

    /// Whether a node is linked to us, as a peer or not.
    pub(super) fn has(&self, node: NodeId) -> bool {
        self.best.contains_key(&node)
    }

    /// Whether the link to a node was made by Attach, and not only to bootstrap.
    pub(super) fn is_attached(&self, node: NodeId) -> bool {
        let open = self.best(node).and_then(|id| self.open(id));
        open.is_some_and(|open| open.rank != Rank::Bootstrap)
    }

    /// Whether we have asked for the link to a node.
    pub(super) fn is_ours(&self, node: NodeId) -> bool {
        let open = self.best(node).and_then(|id| self.open(id));
        open.is_some_and(|open| open.is_ours)
    }

    pub(super) fn ids(&self) -> Vec<LinkId> {
        self.all.keys().copied().collect()
    }

    pub(super) fn best(&self, node: NodeId) -> Option<LinkId> {
        self.best.get(&node).copied()
    }

    /// All nodes that are linked to us.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.best.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn open_count(&self) -> usize {
        self.all.values().filter(|l| matches!(l.state, LinkState::Open(_))).count()
    }

    pub(super) fn open(&self, id: LinkId) -> Option<&Open> {
        match &self.all.get(&id)?.state {
            LinkState::Open(open) => Some(open),
            _ => None,
        }
    }

    /// Links that are not up, in the order in which they were made.
    pub(super) fn pending(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        let pending = |(_, link): &(_, &Link)| !matches!(link.state, LinkState::Open(_));
        self.all.iter().map(|(id, link)| (*id, link)).filter(pending)
    }

    /// Forgets a link. The second value is the node that now has no link any more.
    pub(super) fn remove(&mut self, id: LinkId) -> Option<(Link, Option<NodeId>)> {
        let link = self.all.remove(&id)?;
        let LinkState::Open(open) = &link.state else { return Some((link, None)) };
        let node = open.node;
        if self.best(node) != Some(id) {
            return Some((link, None));
        }
        let others = self.all.iter().filter_map(|(id, link)| match &link.state {
            LinkState::Open(open) if open.node == node => Some((open.rank, link.since, *id)),
            _ => None,
        });
        match others.max() {
            Some((_, _, other)) => {
                self.best.insert(node, other);
                Some((link, None))
            }
            None => {
                self.best.remove(&node);
                Some((link, Some(node)))
            }
        }
    }

    /// Puts a link up. If another led to the same node, the one that is not to be used any more.
    fn put_up(&mut self, now: Instant, id: LinkId, open: Open) -> Option<LinkId> {
        let (node, rank) = (open.node, open.rank);
        self.all.insert(id, Link { state: LinkState::Open(open), since: now });
        let old_id = self.best(node).filter(|old| *old != id);
        let Some((old_id, old)) = old_id.and_then(|old| Some((old, self.all.get(&old)?))) else {
            self.best.insert(node, id);
            return None;
        };
        let LinkState::Open(Open { rank: old_rank, .. }) = old.state else { return None };
        let crossed = now.saturating_since(old.since) < CROSSING;
        let is_better = match (crossed, rank, old_rank) {
            (true, _, _) => rank >= old_rank,
            // The old one may belong to a node that has been restarted since.
            (false, Rank::Bootstrap, Rank::FromSmaller | Rank::FromLarger) => false,
            (false, _, _) => true,
        };
        let (kept, surplus, surplus_rank) =
            if is_better { (id, old_id, old_rank) } else { (old_id, id, rank) };
        self.best.insert(node, kept);
        // Who dialled a bootstrap node hangs up when it has joined.
        (surplus_rank != Rank::Bootstrap).then_some(surplus)
    }
}

impl Peer {
    pub(super) fn link_event(&mut self, link: LinkId, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Gathered(ice) => self.link_gathered(link, ice),
            LinkEvent::Up(certificate) => self.link_up(link, certificate),
            LinkEvent::Message(bytes) => self.receive(link, bytes),
            LinkEvent::Undelivered(bytes) => self.undelivered(link, bytes),
            LinkEvent::Down(error) => self.link_down(link, &error),
        }
    }

    fn link_gathered(&mut self, link: LinkId, ice: IceParameters) {
        let is_gathering = |l: &Link| matches!(l.state, LinkState::Gathering(_));
        if !self.links.link(link).is_some_and(is_gathering) {
            return;
        }
        if let Some((Link { state: LinkState::Gathering(gathering), .. }, _)) =
            self.links.remove(link)
        {
            self.gathered(link, gathering, ice);
        }
    }

    fn link_up(&mut self, link: LinkId, certificate: Arc<Certificate>) {
        let known = self.links.remove(link).map(|(link, _)| link.state);
        let dialed = matches!(known, Some(LinkState::Dialing));
        let (node, rank, is_ours, plan, owes_update) = match known {
            Some(LinkState::Connecting(c)) => {
                (Some(c.node), c.rank, c.is_ours, c.plan, c.owes_update)
            }
            // A bootstrap link, whoever opened it; several Node-IDs are told apart by Attach.
            Some(LinkState::Dialing) | None => {
                (certificate.node_ids.first().copied(), Rank::Bootstrap, dialed, None, false)
            }
            Some(_) => (None, Rank::Bootstrap, false, None, false),
        };
        // A link of our own that we have given up meanwhile is not one that others opened.
        let node = node.filter(|_| rank != Rank::Bootstrap || dialed || link.0 % 2 == 1);
        let welcome = node.filter(|node| {
            certificate.node_ids.contains(node)
                && *node != self.identity.node_id
                && !self.config.bad_nodes.contains(node)
                && self.links.len() < self.config.links_max + LINKS_SPARE
        });
        let Some(node) = welcome else {
            self.act(link, LinkAction::Close);
            if dialed {
                self.dial_failed(link, &LinkError::WrongCertificate);
            }
            return;
        };
        self.verifier.remember(&certificate);
        self.unreachable.remove(&node);
        let open = Open { node, rank, is_ours, certificate };
        if let Some(surplus) = self.links.put_up(self.now.instant, link, open) {
            self.close(surplus);
        }
        if dialed {
            self.dialed(link, node);
        } else if rank != Rank::Bootstrap {
            self.attached(node, plan, owes_update);
        }
    }

    fn link_down(&mut self, link: LinkId, error: &LinkError) {
        let Some((removed, lost)) = self.links.remove(link) else { return };
        match removed.state {
            LinkState::Dialing => self.dial_failed(link, error),
            LinkState::Gathering(gathering) => self.gathering_failed(gathering),
            LinkState::Requested { plan, transaction } => {
                self.transactions.finish(transaction);
                self.attach_failed(&plan);
            }
            LinkState::AppRequested { request, transaction } => {
                self.transactions.finish(transaction);
                self.done(request, Err(super::RequestError::NoCandidates));
            }
            LinkState::Connecting(connecting) => {
                if let Some(plan) = connecting.plan {
                    self.attach_failed(&plan);
                }
            }
            LinkState::Open(_) => {}
        }
        if let Some(node) = lost {
            self.node_lost(node, Cause::Failed);
        }
    }

    /// Closes a link. If it was the last one to its node, that is as lost as any.
    pub(super) fn close(&mut self, link: LinkId) {
        self.act(link, LinkAction::Close);
        if let Some((_, Some(node))) = self.links.remove(link) {
            self.node_lost(node, Cause::Failed);
        }
    }

    /// Gives up links that have been coming up for too long.
    pub(super) fn sweep_links(&mut self) {
        let now = self.now.instant;
        let late = |link: &Link| now.saturating_since(link.since) >= COMING_UP_MAX;
        let given_up: Vec<LinkId> =
            self.links.pending().filter(|(_, l)| late(l)).map(|(id, _)| id).collect();
        for link in given_up {
            self.act(link, LinkAction::Close);
            self.link_down(link, &LinkError::NoPath);
        }
        if self.links.pending().next().is_some() {
            self.timers.set_earlier(Timer::Sweep, now + SWEEP_INTERVAL);
        }
    }

    /// Sees to it that a link that has just been added does not wait for ever.
    pub(super) fn watch_links(&mut self) {
        self.timers.set_earlier(Timer::Sweep, self.now.instant + SWEEP_INTERVAL);
    }
}

// limits

/// Links beyond what is set: for neighbours, for joining nodes, and while links are being made.
pub(super) const LINKS_SPARE: usize = 64;
/// Two links that come up within the life of a request were made at the same time.
const CROSSING: Duration = Duration::from_secs(15);
/// Gathering, five transmissions of an Attach, ICE and DTLS together take no longer.
const COMING_UP_MAX: Duration = Duration::from_secs(60);
const SWEEP_INTERVAL: Duration = Duration::from_secs(20);
