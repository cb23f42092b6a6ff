//! What both kinds of hop have in common: what goes into one, what comes out, and the messages that
//! the other side has not acknowledged.

use std::collections::VecDeque;

use bytes::Bytes;

use super::framing::{Acknowledger, Frame};
use crate::base::Instant;

/// Messages waiting to be sent; more are dropped and reported.
pub const QUEUE_MAX: usize = 256;

/// What happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Send this message.
    Send(Bytes),
    /// This record arrived.
    Record(Bytes),
    /// The deadline has come.
    Timeout,
}

/// What a connection wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Put this on the wire.
    Record(Bytes),
    /// Hand this message up.
    Deliver(Bytes),
    /// A message was not sent because too many others wait.
    Dropped(Bytes),
    /// The other side may never get this message; each is reported once. It is still sent again
    /// here, unless [`Self::Failed`] follows.
    Undelivered(Bytes),
    /// Nothing is acknowledged: take the link out of the Routing Table (RFC 6940 §6.6.3.1).
    Suspect,
    /// Acknowledgements came back after [`Output::Suspect`].
    Restored,
    /// All transmissions of a message failed in silence: close the connection.
    Failed,
}

/// Counters of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Data frames sent, retransmissions included.
    pub frames_sent: u64,
    /// Data frames sent again.
    pub retransmissions: u64,
    /// Messages handed up.
    pub delivered: u64,
    /// Data frames that brought nothing new.
    pub duplicates: u64,
    /// Messages lost for want of room or of acknowledgements.
    pub lost: u64,
    /// Messages reported as undelivered.
    pub undelivered: u64,
    /// Records that were no frames.
    pub malformed: u64,
    /// The smoothed round-trip time, in milliseconds, once measured.
    pub rtt_ms: Option<u64>,
}

/// What makes messages of frames and frames of messages on one hop.
pub trait Hop: Send {
    /// Takes one input; drain [`Self::poll`] afterwards.
    fn handle(&mut self, now: Instant, input: Input);

    /// The next thing to do, until there is none.
    fn poll(&mut self) -> Option<Output>;

    /// When to call [`Self::handle`] with [`Input::Timeout`].
    fn deadline(&self) -> Option<Instant>;

    /// What has been counted so far.
    fn stats(&self) -> Stats;

    /// Every message that is neither acknowledged nor reported yet, for a link that is going down.
    fn abandon(&mut self) -> Vec<Bytes>;
}

/// Messages on their way and behind, what is wanted, and what has been counted. `T` is what is
/// known of the transmissions of a message.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: VecDeque<Bytes>,
    pub(super) in_flight: VecDeque<Outstanding<T>>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) stats: Stats,
    next_sequence: u32,
    received: Acknowledger,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Outstanding<T> {
    pub(super) message: Bytes,
    pub(super) sent: T,
    /// Whether it has been given out as undelivered.
    is_reported: bool,
}

impl<T> Outstanding<T> {
    pub(super) fn new(message: Bytes, sent: T) -> Self {
        Self { message, sent, is_reported: false }
    }
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            next_sequence: 0,
            received: Acknowledger::default(),
        }
    }
}

impl<T> Outbox<T> {
    /// Takes a message, if there is room.
    pub(super) fn enqueue(&mut self, message: Bytes) {
        if self.waiting.len() >= QUEUE_MAX {
            self.stats.lost += 1;
            self.outputs.push_back(Output::Dropped(message));
        } else {
            self.waiting.push_back(message);
        }
    }

    pub(super) fn next(&mut self) -> Option<Bytes> {
        self.waiting.pop_front()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Puts a message on the wire and says which number it has. Only one of 16 MiB or more can't
    /// be framed; callers cut far below that.
    pub(super) fn transmit(&mut self, message: &Bytes) -> Option<u32> {
        let sequence = self.next_sequence;
        let Some(record) = (Frame::Data { sequence, message: message.clone() }).write() else {
            self.stats.lost += 1;
            return None;
        };
        self.next_sequence = sequence.wrapping_add(1);
        self.stats.frames_sent += 1;
        self.outputs.push_back(Output::Record(record));
        Some(sequence)
    }

    /// Acknowledges a frame; whether its number has come before.
    pub(super) fn acknowledge(&mut self, sequence: u32) -> bool {
        let (ack, is_known) = self.received.take(sequence);
        self.outputs.extend(ack.write().map(Output::Record));
        is_known
    }

    /// Hands a message up.
    pub(super) fn deliver(&mut self, message: Bytes) {
        self.stats.delivered += 1;
        self.outputs.push_back(Output::Deliver(message));
    }

    /// Reports a message as undelivered, unless it has been.
    pub(super) fn report(&mut self, outstanding: &mut Outstanding<T>) {
        if !std::mem::replace(&mut outstanding.is_reported, true) {
            self.stats.undelivered += 1;
            self.outputs.push_back(Output::Undelivered(outstanding.message.clone()));
        }
    }

    /// Reports all messages: those on their way may still arrive; what waits behind has not been
    /// sent here and never needs to be.
    pub(super) fn report_all(&mut self) {
        let mut in_flight = std::mem::take(&mut self.in_flight);
        in_flight.iter_mut().for_each(|outstanding| self.report(outstanding));
        self.in_flight = in_flight;
        self.stats.undelivered += self.waiting.len() as u64;
        self.outputs.extend(self.waiting.drain(..).map(Output::Undelivered));
    }

    /// Everything that has not been reported yet; nothing is left.
    pub(super) fn abandon(&mut self) -> Vec<Bytes> {
        let in_flight = std::mem::take(&mut self.in_flight).into_iter();
        let unreported = in_flight.filter(|outstanding| !outstanding.is_reported);
        let mut abandoned: Vec<Bytes> = unreported.map(|outstanding| outstanding.message).collect();
        abandoned.extend(self.waiting.drain(..));
        self.stats.undelivered += abandoned.len() as u64;
        abandoned
    }

    /// Reports everything, and that the connection has failed.
    pub(super) fn fail(&mut self) {
        let abandoned = self.abandon();
        self.outputs.extend(abandoned.into_iter().map(Output::Undelivered));
        self.outputs.push_back(Output::Failed);
    }
}
