//! The Connection Table (RFC 6940 §6.5.1): which links there are, where they lead, and which one
//! is used if several lead to the same node.

use std::sync::Arc;
use std::time::Duration;

use crate::base::{Instant, NodeId, TransactionId};
use crate::crypto::Certificate;
use crate::message::Destination;

use super::api::{IceParameters, LinkAction, LinkError, LinkEvent, LinkId};
use super::attach::{AttachPlan, Gathering, Reason};
use super::suspect::Doubt;
use super::timers::Timer;
use super::upkeep::Cause;
use super::{Peer, RequestId};

/// All links, and the one to use for each node. Most are up, so that those that are coming up
/// have a list of their own.
#[derive(Debug, Default)]
pub(super) struct Links {
    made: u64,
    /// By their numbers.
    coming: Vec<(LinkId, Box<Link>)>,
    /// By their numbers.
    open: Vec<(LinkId, Open)>,
    /// By their nodes.
    best: Vec<(NodeId, LinkId)>,
    /// Used no more, and kept until what is under way has come; the first ones end first.
    retired: Vec<(LinkId, Retired)>,
}

/// A link that is not needed any more.
#[derive(Debug)]
struct Retired {
    open: Open,
    ends_at: Instant,
}

/// A link that is coming up.
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
    /// Our candidates are there before we know with whom.
    Spare(IceParameters),
    /// Our Attach has no answer yet.
    Requested { plan: AttachPlan, transaction: TransactionId },
    /// Our AppAttach has no answer yet.
    AppRequested { request: RequestId, transaction: TransactionId },
    /// ICE and DTLS are at work.
    Connecting(Connecting),
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
    pub(super) since: Instant,
    pub(super) certificate: Arc<Certificate>,
    pub(super) errors: ErrorBudget,
    /// Set while the other side acknowledges nothing.
    pub(super) doubt: Option<Doubt>,
    /// The link over which the node was heard last, if that is another one.
    stand_in: Option<LinkId>,
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
        self.put(now, id, state);
        id
    }

    /// Puts a link back that has been taken out, with what has become of it.
    pub(super) fn put(&mut self, since: Instant, id: LinkId, state: LinkState) {
        let link = Box::new(Link { state, since });
        match self.coming.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(place) => self.coming[place].1 = link,
            Err(place) => self.coming.insert(place, (id, link)),
        }
    }

    /// Takes a link out that is coming up.
    pub(super) fn take(&mut self, id: LinkId) -> Option<LinkState> {
        let place = self.coming.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let (_, link) = self.coming.remove(place);
        if self.coming.is_empty() {
            self.coming = Vec::new();
        }
        Some(link.state)
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

    /// Attaches to neighbours that have no answer and did not go through `node` first.
    pub(super) fn unanswered_neighbors(&self, node: NodeId) -> Vec<LinkId> {
        let is_one = |link: &Link| match &link.state {
            LinkState::Requested { plan, .. } => {
                let goes_through = plan.route.first().and_then(Destination::node);
                plan.reason == Reason::Neighbor && plan.node.is_some() && goes_through != Some(node)
            }
            _ => false,
        };
        self.pending().filter(|(_, link)| is_one(link)).map(|(id, _)| id).collect()
    }

    /// Lets the attempt of `node` at a link with us serve a plan of ours; `false` if there is
    /// none.
    pub(super) fn adopt(&mut self, node: NodeId, plan: &AttachPlan) -> bool {
        let mut coming = self.coming.iter_mut();
        let place = coming.find_map(|(_, link)| match &mut link.state {
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

    /// A link that waits for a purpose, one with candidates if there is any.
    pub(super) fn take_spare(&mut self) -> Option<(LinkId, Option<IceParameters>)> {
        let ready = |(_, link): &(LinkId, &Link)| matches!(link.state, LinkState::Spare(_));
        let coming = |(_, link): &(LinkId, &Link)| {
            matches!(link.state, LinkState::Gathering(Gathering::Spare))
        };
        let found = self.pending().find(ready).or_else(|| self.pending().find(coming));
        let id = found.map(|(id, _)| id)?;
        match self.take(id)? {
            LinkState::Spare(ice) => Some((id, Some(ice))),
            _ => Some((id, None)),
        }
    }

    /// Whether the link to `node` came up so lately that both sides may have asked for it.
    pub(super) fn is_recent(&self, node: NodeId, now: Instant) -> bool {
        self.open_to(node).is_some_and(|open| now.saturating_since(open.since) < CROSSING)
    }

    /// Whether a node is linked to us, as a peer or not.
    pub(super) fn has(&self, node: NodeId) -> bool {
        self.best(node).is_some()
    }

    /// Whether the link to a node was made by Attach, and not only to bootstrap.
    pub(super) fn is_attached(&self, node: NodeId) -> bool {
        self.open_to(node).is_some_and(|open| open.rank != Rank::Bootstrap)
    }

    /// Whether we have asked for the link to a node.
    pub(super) fn is_ours(&self, node: NodeId) -> bool {
        self.open_to(node).is_some_and(|open| open.is_ours)
    }

    pub(super) fn ids(&self) -> Vec<LinkId> {
        let coming = self.coming.iter().map(|(id, _)| *id);
        let retired = self.retired.iter().map(|(id, _)| *id);
        coming.chain(self.open.iter().map(|(id, _)| *id)).chain(retired).collect()
    }

    pub(super) fn best(&self, node: NodeId) -> Option<LinkId> {
        let place = self.best.binary_search_by_key(&node, |(node, _)| *node).ok()?;
        Some(self.best[place].1)
    }

    /// Where to send what is for a node: over the link from which it was heard last. Who has moved
    /// dials us beside a link that is lost, and who dials in two ways at once gives one of them up.
    pub(super) fn way(&self, node: NodeId) -> Option<LinkId> {
        let (best, stand_in) = self.ways(node)?;
        Some(stand_in.unwrap_or(best))
    }

    /// Another way to a node than this link.
    pub(super) fn other_way(&self, node: NodeId, than: LinkId) -> Option<LinkId> {
        let (best, stand_in) = self.ways(node)?;
        let mut ways = stand_in.into_iter().chain([best]);
        ways.find(|link| *link != than)
    }

    fn ways(&self, node: NodeId) -> Option<(LinkId, Option<LinkId>)> {
        let best = self.best(node)?;
        let stand_in = self.open(best).and_then(|open| open.stand_in);
        let is_good = |id: &LinkId| self.open(*id).is_some_and(|open| open.doubt.is_none());
        Some((best, stand_in.filter(is_good)))
    }

    /// A link has brought a message.
    pub(super) fn heard(&mut self, id: LinkId) {
        let Ok(place) = self.open.binary_search_by_key(&id, |(id, _)| *id) else { return };
        let Some(best) = self.best(self.open[place].1.node) else { return };
        if let Ok(place) = self.open.binary_search_by_key(&best, |(id, _)| *id) {
            self.open[place].1.stand_in = (best != id).then_some(id);
        }
    }

    /// All nodes that are linked to us.
    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.best.iter().map(|(node, _)| *node).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.needed() + self.retired.len()
    }

    /// How many are up or coming up, without those that are not needed any more.
    pub(super) fn needed(&self) -> usize {
        self.coming.len() + self.open.len()
    }

    pub(super) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// A link over which messages may come.
    pub(super) fn open(&self, id: LinkId) -> Option<&Open> {
        match self.open.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(place) => Some(&self.open[place].1),
            Err(_) => self.retired.iter().find(|(other, _)| *other == id).map(|(_, r)| &r.open),
        }
    }

    /// Links that are not up, in the order in which they were made.
    pub(super) fn pending(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.coming.iter().map(|(id, link)| (*id, &**link))
    }

    /// Whether a node may be sent one error more.
    pub(super) fn may_refuse(&mut self, now: Instant, node: NodeId) -> bool {
        let Some(id) = self.best(node) else { return false };
        let place = self.open.binary_search_by_key(&id, |(id, _)| *id);
        place.is_ok_and(|place| self.open[place].1.errors.spend(now))
    }

    /// Forgets a link. The node that now has no link any more, if it was the last one to it.
    pub(super) fn remove(&mut self, id: LinkId) -> Option<NodeId> {
        self.take(id);
        self.retired.retain(|(other, _)| *other != id);
        let Open { node, .. } = self.take_open(id)?;
        self.replace(node, id)
    }

    /// Uses a link no more, but takes in what it brings until it ends. The node that now has no
    /// link to use any more, if there is one.
    fn retire(&mut self, id: LinkId, ends_at: Instant) -> Option<NodeId> {
        let open = self.take_open(id)?;
        let node = open.node;
        self.retired.push((id, Retired { open, ends_at }));
        self.replace(node, id)
    }

    /// A link that is not needed any more, and has been kept for long enough.
    fn ended(&self, now: Instant) -> Option<LinkId> {
        self.retired.first().filter(|(_, retired)| retired.ends_at <= now).map(|(id, _)| *id)
    }

    fn take_open(&mut self, id: LinkId) -> Option<Open> {
        let place = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.open.remove(place).1)
    }

    /// Uses a link no more, but keeps it. The node that now has no link to use any more, if there
    /// is one.
    pub(super) fn suspend(&mut self, id: LinkId, doubt: Doubt) -> Option<NodeId> {
        let place = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let open = &mut self.open[place].1;
        open.doubt.get_or_insert(doubt);
        let node = open.node;
        self.replace(node, id)
    }

    /// Uses a link again that was in doubt, and says what that doubt was. `None` if there was
    /// none, or another link is used by now.
    pub(super) fn resume(&mut self, id: LinkId) -> Option<(NodeId, Doubt)> {
        let place = self.open.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        let open = &mut self.open[place].1;
        let (node, doubt) = (open.node, open.doubt.take()?);
        let best = self.best.binary_search_by_key(&node, |(node, _)| *node).err()?;
        self.best.insert(best, (node, id));
        Some((node, doubt))
    }

    /// Finds another link to `node` in the place of `id`; the node, if there is none.
    fn replace(&mut self, node: NodeId, id: LinkId) -> Option<NodeId> {
        let best = self.best.binary_search_by_key(&node, |(node, _)| *node).ok()?;
        if self.best[best].1 != id {
            return None;
        }
        let others = self.open.iter().filter(|(_, o)| o.node == node && o.doubt.is_none());
        match others.max_by_key(|(id, open)| (open.rank, open.since, *id)) {
            Some((other, _)) => {
                self.best[best].1 = *other;
                None
            }
            None => Some(self.best.remove(best).0),
        }
    }

    fn open_to(&self, node: NodeId) -> Option<&Open> {
        self.best(node).and_then(|id| self.open(id))
    }

    /// Puts a link up. If another led to the same node, the one that is not to be used any more.
    fn put_up(&mut self, id: LinkId, open: Open) -> Option<LinkId> {
        let (node, rank, now) = (open.node, open.rank, open.since);
        match self.open.binary_search_by_key(&id, |(id, _)| *id) {
            Ok(place) => self.open[place].1 = open,
            Err(place) => insert(&mut self.open, place, (id, open)),
        }
        let best = match self.best.binary_search_by_key(&node, |(node, _)| *node) {
            Ok(place) if self.best[place].1 != id => place,
            Ok(_) => return None,
            Err(place) => {
                insert(&mut self.best, place, (node, id));
                return None;
            }
        };
        let old_id = self.best[best].1;
        let old = self.open(old_id).map(|old| (old.rank, old.since));
        let (old_rank, old_since) = old.unwrap_or((Rank::Bootstrap, now));
        let crossed = now.saturating_since(old_since) < CROSSING;
        let is_better = match (crossed, rank, old_rank) {
            // The first of two by which a node dials is as good as the second.
            (true, Rank::Bootstrap, _) => false,
            (true, _, _) => rank >= old_rank,
            // The old one may belong to a node that has been restarted since.
            (false, Rank::Bootstrap, Rank::FromSmaller | Rank::FromLarger) => false,
            (false, _, _) => true,
        };
        let (kept, surplus, surplus_rank) =
            if is_better { (id, old_id, old_rank) } else { (old_id, id, rank) };
        self.best[best].1 = kept;
        // Who dialled a bootstrap node hangs up when it has joined.
        (surplus_rank != Rank::Bootstrap).then_some(surplus)
    }
}

/// Puts something into a list that stays about as long as it is: doubling would leave much of it
/// unused.
fn insert<T>(list: &mut Vec<T>, place: usize, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(LINKS_STEP);
    }
    list.insert(place, item);
}

/// How many errors a linked node may still be sent: who causes many is answered with silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorBudget {
    left: u8,
    /// Up to when the budget has been refilled.
    filled: Instant,
}

impl ErrorBudget {
    /// A full budget.
    pub(super) fn new(now: Instant) -> Self {
        Self { left: ERRORS_MAX, filled: now }
    }

    /// Takes one error out of the budget; `false` if it is used up.
    fn spend(&mut self, now: Instant) -> bool {
        let turns = now.saturating_since(self.filled).as_micros() / ERROR_INTERVAL.as_micros();
        let earned = u8::try_from(turns).unwrap_or(ERRORS_MAX).min(ERRORS_MAX - self.left);
        self.left += earned;
        self.filled = match self.left {
            ERRORS_MAX => now,
            _ => self.filled + ERROR_INTERVAL * u32::from(earned),
        };
        let may = self.left > 0;
        self.left -= u8::from(may);
        may
    }
}

impl Peer {
    pub(super) fn link_event(&mut self, link: LinkId, event: LinkEvent<'_>) {
        match event {
            LinkEvent::Gathered(ice) => self.link_gathered(link, ice),
            LinkEvent::Up(certificate) => self.link_up(link, certificate),
            LinkEvent::Message(bytes) => self.receive(link, bytes),
            LinkEvent::Undelivered(bytes) => self.undelivered(link, bytes),
            LinkEvent::Suspect => self.link_suspect(link),
            LinkEvent::Restored => self.link_restored(link),
            LinkEvent::Down(error) => self.link_down(link, &error),
        }
    }

    fn link_gathered(&mut self, link: LinkId, ice: IceParameters) {
        match self.links.take(link) {
            Some(LinkState::Gathering(gathering)) => self.gathered(link, gathering, ice),
            Some(other) => self.links.put(self.now.instant, link, other),
            None => {}
        }
    }

    fn link_up(&mut self, link: LinkId, certificate: Arc<Certificate>) {
        if self.links.open(link).is_some() {
            return;
        }
        let known = self.links.take(link);
        // What we have begun ourselves had room then.
        let is_stranger = known.is_none();
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
                && !self.verifier.is_revoked(&certificate)
                && (!is_stranger || self.has_room())
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
        let since = self.now.instant;
        let errors = ErrorBudget::new(since);
        let (doubt, stand_in) = (None, None);
        let open = Open { node, rank, is_ours, since, certificate, errors, doubt, stand_in };
        if let Some(surplus) = self.links.put_up(link, open) {
            self.retire(surplus);
        }
        if dialed {
            self.dialed(link, node);
        } else if rank != Rank::Bootstrap {
            self.attached(node, plan, owes_update);
        }
    }

    fn link_down(&mut self, link: LinkId, error: &LinkError) {
        match self.links.take(link) {
            Some(LinkState::Dialing) => self.dial_failed(link, error),
            Some(LinkState::Gathering(gathering)) => self.gathering_failed(gathering),
            Some(LinkState::Requested { plan, transaction }) => {
                self.transactions.finish(transaction);
                self.attach_failed(&plan);
            }
            Some(LinkState::AppRequested { request, transaction }) => {
                self.transactions.finish(transaction);
                self.done(request, Err(super::RequestError::NoCandidates));
            }
            Some(LinkState::Connecting(connecting)) => {
                self.unlinked(connecting.node, connecting.plan.as_ref());
                match connecting.plan {
                    Some(plan) => self.attach_failed(&plan),
                    None => self.entrance_lost(connecting.node),
                }
            }
            Some(LinkState::Spare(_)) => {}
            None => {
                if let Some(node) = self.links.remove(link) {
                    self.node_lost(node, Cause::Failed);
                }
            }
        }
    }

    /// Closes a link. If it was the last one to its node, that is as lost as any.
    pub(super) fn close(&mut self, link: LinkId) {
        self.act(link, LinkAction::Close);
        if let Some(node) = self.links.remove(link) {
            self.node_lost(node, Cause::Failed);
        }
    }

    /// Gives up a link that is not needed any more. Answers may be under way over it, and it is
    /// closed when they have had time to come.
    pub(super) fn retire(&mut self, link: LinkId) {
        let ends_at = self.now.instant + RETIREMENT;
        self.act(link, LinkAction::Retire);
        self.timers.set_earlier(Timer::Sweep, ends_at);
        if let Some(node) = self.links.retire(link, ends_at) {
            self.node_lost(node, Cause::Failed);
        }
    }

    /// Gives up links that have been coming up for too long, and closes those that have had their
    /// time.
    pub(super) fn sweep_links(&mut self) {
        let now = self.now.instant;
        while let Some(link) = self.links.ended(now) {
            self.close(link);
        }
        if let Some((_, retired)) = self.links.retired.first() {
            self.timers.set_earlier(Timer::Sweep, retired.ends_at);
        }
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

    /// Whether there may be one more link that a node asked for or that a user wants.
    pub(super) fn has_room(&self) -> bool {
        self.links.len() + DIALED_MAX < self.config.links_max + LINKS_SPARE
    }

    /// Sees to it that a link that has just been added does not wait for ever.
    pub(super) fn watch_links(&mut self) {
        self.timers.set_earlier(Timer::Sweep, self.now.instant + SWEEP_INTERVAL);
    }
}

// limits

/// Places that a full list of links grows by.
const LINKS_STEP: usize = 8;
/// Links beyond what is set: for neighbours, for joining nodes, and while links are being made.
pub(super) const LINKS_SPARE: usize = 64;
/// Of these, what is kept for bootstrap nodes that we dial, so that strangers who fill our table
/// can't keep us from joining: a race of four, the one before, and one that is probed.
const DIALED_MAX: usize = 6;
/// Two links that come up within the life of a request were made at the same time.
const CROSSING: Duration = Duration::from_secs(15);
/// Gathering, five transmissions of an Attach, ICE and DTLS together take no longer.
const COMING_UP_MAX: Duration = Duration::from_secs(60);
const SWEEP_INTERVAL: Duration = Duration::from_secs(20);
/// Nearly every answer comes within this time.
const RETIREMENT: Duration = Duration::from_secs(2);
/// Errors that a linked node may be sent at once: a burst of requests that all fail.
const ERRORS_MAX: u8 = 100;
/// Between two errors, in the long run.
const ERROR_INTERVAL: Duration = Duration::from_millis(40);
