//! Simple Reliability (RFC 6940 §6.6.3): each message is acknowledged and sent up to five times.
//! Pure: records, messages and moments go in, records, messages and verdicts come out.
//!
//! How many messages may be on their way is a matter of the sender, which [`SenderKind`] chooses;
//! the timeouts are those of §6.6.3.1 with either.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;

use super::framing::Frame;
use super::hop::{self, Hop, Input, Outbox, Output, Stats};
use super::pace::{Loss, Pace, RttEstimate, SenderKind};
use crate::base::Instant;

/// Bounds and timers of one connection.
pub mod limits {
    use std::time::Duration;

    /// The retransmission timeout before a round trip has been measured (RFC 6940 §6.6.3.1).
    pub const RTO_INITIAL: Duration = Duration::from_millis(500);
    /// No shorter timeout on fast paths: a busy machine answers that late.
    pub const RTO_MIN: Duration = Duration::from_millis(200);
    /// No longer first timeout on slow paths, so that five transmissions end within 93 s.
    pub const RTO_MAX: Duration = Duration::from_secs(3);
    /// How often a message is sent in total (RFC 6940 §6.6.3.1).
    pub const TRANSMISSIONS_MAX: u32 = 5;
    /// A message without an acknowledgement after as many transmissions, on a link where nothing
    /// else is acknowledged either, had better go another way. Losing both ways twice in a row is
    /// rare; waiting longer only delays what is on its way to somebody else.
    pub const TRANSMISSIONS_TRUSTED: u32 = 2;
    /// A link is suspect when this transmission finds no acknowledgement since the first.
    pub const TRANSMISSIONS_SUSPECT: u32 = 4;
    /// A transmission is lost if the other side has acknowledged one that is as much later, and
    /// has not got it (RFC 9002 §6.1.1).
    pub const GAP: u32 = 3;
    /// A message with the same bytes within this time is a retransmission of the link, as these
    /// carry fresh sequence numbers. Shorter than the 3 s after which an end-to-end
    /// retransmission, which must pass, may come (RFC 6940 §6.2.1).
    pub const REPEAT_WINDOW: Duration = Duration::from_millis(2500);
    /// Messages remembered for [`REPEAT_WINDOW`]; what a full window brings in 16 round trips.
    pub const MESSAGES_REMEMBERED: usize = 256;
}

use limits::*;

/// Both ends' state machine of one connection.
#[derive(Debug)]
pub struct Reliability {
    outbox: Outbox<Transmissions>,
    pace: Box<dyn Pace>,
    rtt: RttEstimate,
    last_ack: Option<Instant>,
    suspect: bool,
    failed: bool,
    seen: VecDeque<(u64, Instant)>,
}

impl Default for Reliability {
    fn default() -> Self {
        Self::new(SenderKind::default())
    }
}

impl Reliability {
    /// A fresh connection: sequence numbers start at 0 (RFC 6940 §6.6.2).
    pub fn new(sender: SenderKind) -> Self {
        Self {
            outbox: Outbox::default(),
            pace: sender.start(),
            rtt: RttEstimate::new(RTO_INITIAL, (RTO_MIN, RTO_MAX)),
            last_ack: None,
            suspect: false,
            failed: false,
            seen: VecDeque::new(),
        }
    }

    /// Messages not acknowledged yet, on their way or waiting.
    pub fn pending(&self) -> usize {
        self.outbox.in_flight.len() + self.outbox.waiting()
    }
}

impl Hop for Reliability {
    fn handle(&mut self, now: Instant, input: Input) {
        if self.failed {
            return;
        }
        match input {
            Input::Send(message) => self.outbox.enqueue(message),
            Input::Record(record) => match Frame::read(&record) {
                Ok(Frame::Data { sequence, message }) => self.on_data(now, sequence, message),
                Ok(Frame::Ack { ack_sequence, received }) => {
                    self.on_ack(now, ack_sequence, received);
                }
                Err(_) => self.outbox.stats.malformed += 1,
            },
            Input::Timeout => self.on_timeout(now),
        }
        self.fill_window(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outbox.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let in_flight = &self.outbox.in_flight;
        let next = (self.outbox.waiting() > 0).then(|| self.pace.next(in_flight.len()));
        let due = in_flight.iter().map(|outstanding| outstanding.sent.due).min();
        [due, next.flatten()].into_iter().flatten().min()
    }

    fn stats(&self) -> Stats {
        Stats { rtt_ms: self.rtt.smoothed().map(|rtt| rtt.as_millis() as u64), ..self.outbox.stats }
    }

    fn abandon(&mut self) -> Vec<Bytes> {
        self.outbox.abandon()
    }
}

impl Reliability {
    fn on_data(&mut self, now: Instant, sequence: u32, message: Bytes) {
        let is_known = self.outbox.acknowledge(sequence);
        let fingerprint = fingerprint(&message);
        let repeated = is_known
            || self.seen.iter().any(|(other, at)| {
                *other == fingerprint && now.saturating_since(*at) < REPEAT_WINDOW
            });
        if repeated {
            self.outbox.stats.duplicates += 1;
            return;
        }
        remember(&mut self.seen, (fingerprint, now), MESSAGES_REMEMBERED);
        self.outbox.deliver(message);
    }

    fn on_ack(&mut self, now: Instant, sequence: u32, received: u32) {
        let in_flight = &mut self.outbox.in_flight;
        let is_it = |message: &Outstanding| {
            message.sent.sequences.iter().any(|(number, _)| *number == sequence)
        };
        let position = in_flight.iter().position(is_it);
        let Some(acknowledged) = position.and_then(|position| in_flight.remove(position)) else {
            return;
        };
        // Every transmission has a number of its own, so each acknowledgement is a measurement.
        if let Some((_, sent)) =
            acknowledged.sent.sequences.iter().find(|(number, _)| *number == sequence)
        {
            self.rtt.measure(now.saturating_since(*sent));
        }
        self.pace.acknowledged(now);
        self.last_ack = Some(now);
        if std::mem::take(&mut self.suspect) {
            self.outbox.outputs.push_back(Output::Restored);
        }
        self.close_gaps(now, sequence, received);
    }

    /// Sends again what is lost, as the other side has got what was sent well after it. The mask
    /// of an acknowledgement only tells what is not lost (T-36).
    fn close_gaps(&mut self, now: Instant, sequence: u32, received: u32) {
        let rtt = self.rtt.smoothed().unwrap_or(RTO_INITIAL);
        let is_lost = |outstanding: &Outstanding| {
            let Some((last, sent)) = outstanding.sent.sequences.last() else { return false };
            let behind = sequence.wrapping_sub(*last);
            let has_arrived = behind < 32 && received & 1 << (behind.max(1) - 1) != 0;
            (GAP..1 << 31).contains(&behind)
                && !has_arrived
                && now.saturating_since(*sent) > rtt
                && (outstanding.sent.sequences.len() as u32) < TRANSMISSIONS_MAX
        };
        while let Some(position) = self.outbox.in_flight.iter().position(is_lost) {
            let Some(outstanding) = self.outbox.in_flight.remove(position) else { return };
            self.again(now, outstanding, Loss::Gap);
        }
    }

    fn again(&mut self, now: Instant, mut outstanding: Outstanding, loss: Loss) {
        self.pace.lost(now, loss, self.rtt.timeout());
        self.outbox.stats.retransmissions += 1;
        if loss == Loss::Timeout {
            outstanding.sent.wait *= 2;
        }
        self.transmit(now, outstanding);
    }

    fn on_timeout(&mut self, now: Instant) {
        let is_due = |message: &Outstanding| message.sent.due <= now;
        while let Some(position) = self.outbox.in_flight.iter().position(is_due) {
            let Some(mut message) = self.outbox.in_flight.remove(position) else { return };
            let silent = self.last_ack.is_none_or(|ack| ack < message.sent.first());
            let sent = message.sent.sequences.len() as u32;
            if sent >= TRANSMISSIONS_MAX || (silent && sent >= TRANSMISSIONS_TRUSTED) {
                self.outbox.report(&mut message);
            }
            if sent >= TRANSMISSIONS_MAX {
                self.outbox.stats.lost += 1;
                if silent {
                    self.failed = true;
                    return self.outbox.fail();
                }
                continue;
            }
            if silent && sent + 1 >= TRANSMISSIONS_SUSPECT && !self.suspect {
                self.suspect = true;
                // Nobody knows whether the link comes back: all that is on it had better go
                // another way.
                self.outbox.report(&mut message);
                self.outbox.report_all();
                self.outbox.outputs.push_back(Output::Suspect);
            }
            self.again(now, message, Loss::Timeout);
        }
    }

    fn fill_window(&mut self, now: Instant) {
        while self.pace.may_send(now, self.outbox.in_flight.len()) {
            let Some(message) = self.outbox.next() else { return };
            let (sequences, wait) = (Vec::new(), self.rtt.timeout());
            let sent = Transmissions { sequences, wait, due: now };
            self.transmit(now, Outstanding::new(message, sent));
        }
    }

    fn transmit(&mut self, now: Instant, mut outstanding: Outstanding) {
        let Some(sequence) = self.outbox.transmit(&outstanding.message) else { return };
        outstanding.sent.sequences.push((sequence, now));
        outstanding.sent.due = now + outstanding.sent.wait;
        self.outbox.in_flight.push_back(outstanding);
    }
}

type Outstanding = hop::Outstanding<Transmissions>;

/// How often and when a message has been sent.
#[derive(Debug)]
struct Transmissions {
    /// The number and moment of each transmission.
    sequences: Vec<(u32, Instant)>,
    wait: Duration,
    due: Instant,
}

impl Transmissions {
    fn first(&self) -> Instant {
        self.sequences.first().map_or(Instant::ORIGIN, |(_, at)| *at)
    }
}

fn remember<T>(memory: &mut VecDeque<T>, item: T, most: usize) {
    if memory.len() == most {
        memory.pop_front();
    }
    memory.push_back(item);
}

fn fingerprint(message: &Bytes) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "reliability_tests.rs"]
mod tests;
