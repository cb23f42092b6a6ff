//! Requests that wait for their answers (RFC 6940 §6.2.1): five transmissions, one timer apart,
//! then failure. Nodes on the way do not repeat anything end to end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::base::{Instant, TransactionId};
use crate::message::Packet;

/// The outstanding requests of a node, each with what its sender wants to remember.
#[derive(Debug)]
pub struct Transactions<C> {
    timer: Duration,
    pending: BTreeMap<TransactionId, Box<Pending<C>>>,
    deadlines: BTreeSet<(Instant, TransactionId)>,
}

/// One outstanding request.
#[derive(Debug)]
pub struct Pending<C> {
    /// The request as it is sent each time.
    pub packet: Packet,
    /// What its sender remembers.
    pub context: C,
    /// How often it has been sent.
    pub transmissions: u32,
    due: Instant,
}

/// A request that cannot be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for answers")]
pub struct NoRoom;

/// What an expired timer means.
#[derive(Debug)]
pub enum Expired<'a, C> {
    /// Send this request again.
    Again(&'a Pending<C>),
    /// The last transmission has not been answered either.
    Failed(Pending<C>),
}

impl<C> Transactions<C> {
    /// No requests; `timer` is the overlay-reliability-timer.
    pub fn new(timer: Duration) -> Self {
        Self { timer, pending: BTreeMap::new(), deadlines: BTreeSet::new() }
    }

    /// Takes in a request that is being sent for the first time, unless too many wait already or
    /// its transaction ID is in use.
    pub fn start(&mut self, now: Instant, packet: Packet, context: C) -> Result<(), NoRoom> {
        let id = packet.header.transaction_id;
        if self.pending.len() >= PENDING_MAX || self.pending.contains_key(&id) {
            return Err(NoRoom);
        }
        let due = now + self.timer;
        self.deadlines.insert((due, id));
        let pending = Pending { packet, context, transmissions: 1, due };
        self.pending.insert(id, Box::new(pending));
        Ok(())
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// How many requests may wait.
    pub const fn max(&self) -> usize {
        PENDING_MAX
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// When the next timer fires.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// The next request whose timer has fired; to be called until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<Expired<'_, C>> {
        let (due, id) = self.deadlines.first().copied().filter(|(due, _)| *due <= now)?;
        self.deadlines.remove(&(due, id));
        if self.pending.get(&id)?.transmissions >= TRANSMISSIONS_MAX {
            return self.remove(id).map(|pending| Expired::Failed(*pending));
        }
        let next = due + self.timer;
        self.deadlines.insert((next, id));
        let pending = self.pending.get_mut(&id)?;
        pending.due = next;
        pending.transmissions += 1;
        Some(Expired::Again(pending))
    }

    /// Waits this long for answers to what is sent from now on.
    pub fn set_timer(&mut self, timer: Duration) {
        self.timer = timer;
    }

    /// What the sender of a request remembers.
    pub fn context_mut(&mut self, id: TransactionId) -> Option<&mut C> {
        self.pending.get_mut(&id).map(|pending| &mut pending.context)
    }

    /// The request that an answer with this ID would belong to.
    pub fn pending(&self, id: TransactionId) -> Option<&Pending<C>> {
        self.pending.get(&id).map(|pending| &**pending)
    }

    /// How long ago a request was sent last.
    pub fn waited(&self, now: Instant, pending: &Pending<C>) -> Duration {
        self.timer.saturating_sub(pending.due.saturating_since(now))
    }

    /// Ends a request, because it is answered or not wanted any more.
    pub fn finish(&mut self, id: TransactionId) -> Option<Pending<C>> {
        let pending = self.remove(id)?;
        Some(*pending)
    }

    fn remove(&mut self, id: TransactionId) -> Option<Box<Pending<C>>> {
        let pending = self.pending.remove(&id)?;
        self.deadlines.remove(&(pending.due, id));
        // Empty maps keep room for some requests.
        if self.pending.is_empty() {
            (self.pending, self.deadlines) = (BTreeMap::new(), BTreeSet::new());
        }
        Some(pending)
    }

    /// Ends every request for which `is_over` holds, in the order of their IDs.
    pub fn finish_all(&mut self, is_over: impl Fn(&Pending<C>) -> bool) -> Vec<Pending<C>> {
        let over: Vec<TransactionId> =
            self.pending.iter().filter(|(_, p)| is_over(p)).map(|(id, _)| *id).collect();
        over.into_iter().filter_map(|id| self.finish(id)).collect()
    }
}

// limits

/// Transmissions of a request (RFC 6940 §6.2.1).
const TRANSMISSIONS_MAX: u32 = 5;
/// Requests that wait at a time: a peer with 100 links that updates all of them, and as much
/// again for everything else.
const PENDING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{ForwardingHeader, Fragment};

    fn packet(id: u64) -> Packet {
        let header = ForwardingHeader {
            overlay: 1,
            configuration_sequence: 0,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: TransactionId(id),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: Vec::new(),
            options: Vec::new(),
        };
        Packet { header, payload: vec![1, 2, 3].into() }
    }

    /// R6940-6.2.1-04, R6940-6.2.1-05, R6940-6.2.1-06: five equal transmissions 3 s apart, then
    /// failure after 15 s.
    #[test]
    fn a_request_is_sent_five_times() {
        let mut table = Transactions::new(Duration::from_millis(3000));
        table.start(Instant::ORIGIN, packet(7), "context").expect("room");
        for sent in 1..5 {
            let due = Instant::ORIGIN + Duration::from_millis(3000 * sent);
            assert_eq!(table.deadline(), Some(due));
            assert!(table.expire(due - Duration::from_micros(1)).is_none());
            match table.expire(due) {
                Some(Expired::Again(again)) => assert_eq!(again.packet, packet(7)),
                other => panic!("{other:?}"),
            }
            assert!(table.expire(due).is_none());
        }
        let end = Instant::ORIGIN + Duration::from_secs(15);
        assert!(matches!(table.expire(end), Some(Expired::Failed(p)) if p.transmissions == 5));
        assert!(table.is_empty() && table.deadline().is_none());
    }

    #[test]
    fn an_answered_request_is_not_sent_again() {
        let mut table = Transactions::new(Duration::from_secs(3));
        table.start(Instant::ORIGIN, packet(7), ()).expect("room");
        assert!(table.start(Instant::ORIGIN, packet(7), ()).is_err(), "the ID is in use");
        assert!(table.finish(TransactionId(7)).is_some());
        assert!(table.finish(TransactionId(7)).is_none());
        assert_eq!(table.deadline(), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = Transactions::new(Duration::from_secs(3));
        let started = (0..3000).filter(|id| table.start(Instant::ORIGIN, packet(*id), ()).is_ok());
        assert_eq!(started.count(), PENDING_MAX);
    }
}
