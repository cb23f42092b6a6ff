//! Simple Reliability (RFC 6940 §6.6.3): each message is acknowledged and sent up to five times.
//! Pure: records, messages and moments go in, records, messages and verdicts come out.
//!
//! How many messages may be on their way is a matter of the sender, which [`SenderKind`] chooses;
//! the timeouts are those of §6.6.3.1 with either.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;

use super::framing::{Acknowledger, Frame};
use super::hop::{Hop, Input, Output, Stats};
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
    /// Messages waiting for the window; more are dropped and reported.
    pub const QUEUE_MAX: usize = 256;
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
    next_sequence: u32,
    waiting: VecDeque<Bytes>,
    in_flight: VecDeque<Outstanding>,
    pace: Box<dyn Pace>,
    rtt: RttEstimate,
    last_ack: Option<Instant>,
    suspect: bool,
    failed: bool,
    received: Acknowledger,
    seen: VecDeque<(u64, Instant)>,
    outputs: VecDeque<Output>,
    stats: Stats,
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
            next_sequence: 0,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            pace: sender.start(),
            rtt: RttEstimate::new(RTO_INITIAL, (RTO_MIN, RTO_MAX)),
            last_ack: None,
            suspect: false,
            failed: false,
            received: Acknowledger::default(),
            seen: VecDeque::new(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Messages not acknowledged yet, on their way or waiting.
    pub fn pending(&self) -> usize {
        self.in_flight.len() + self.waiting.len()
    }
}

impl Hop for Reliability {
    fn handle(&mut self, now: Instant, input: Input) {
        if self.failed {
            return;
        }
        match input {
            Input::Send(message) if self.waiting.len() >= QUEUE_MAX => {
                self.stats.lost += 1;
                self.outputs.push_back(Output::Dropped(message));
            }
            Input::Send(message) => self.waiting.push_back(message),
            Input::Record(record) => match Frame::read(&record) {
                Ok(Frame::Data { sequence, message }) => self.on_data(now, sequence, message),
                Ok(Frame::Ack { ack_sequence, received }) => {
                    self.on_ack(now, ack_sequence, received);
                }
                Err(_) => self.stats.malformed += 1,
            },
            Input::Timeout => self.on_timeout(now),
        }
        self.fill_window(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let next = (!self.waiting.is_empty()).then(|| self.pace.next(self.in_flight.len()));
        let due = self.in_flight.iter().map(|outstanding| outstanding.due).min();
        [due, next.flatten()].into_iter().flatten().min()
    }

    fn stats(&self) -> Stats {
        Stats { rtt_ms: self.rtt.smoothed().map(|rtt| rtt.as_millis() as u64), ..self.stats }
    }

    fn abandon(&mut self) -> Vec<Bytes> {
        let in_flight = std::mem::take(&mut self.in_flight);
        let unreported = in_flight.into_iter().filter(|outstanding| !outstanding.is_reported);
        let mut abandoned: Vec<Bytes> = unreported.map(|outstanding| outstanding.message).collect();
        abandoned.extend(self.waiting.drain(..));
        self.stats.undelivered += abandoned.len() as u64;
        abandoned
    }
}

impl Reliability {
    fn on_data(&mut self, now: Instant, sequence: u32, message: Bytes) {
        let (ack, is_known) = self.received.take(sequence);
        self.outputs.extend(ack.write().map(Output::Record));
        let fingerprint = fingerprint(&message);
        let repeated = is_known
            || self.seen.iter().any(|(other, at)| {
                *other == fingerprint && now.saturating_since(*at) < REPEAT_WINDOW
            });
        if repeated {
            self.stats.duplicates += 1;
            return;
        }
        remember(&mut self.seen, (fingerprint, now), MESSAGES_REMEMBERED);
        self.stats.delivered += 1;
        self.outputs.push_back(Output::Deliver(message));
    }

    fn on_ack(&mut self, now: Instant, sequence: u32, received: u32) {
        let position = self
            .in_flight
            .iter()
            .position(|message| message.sequences.iter().any(|(number, _)| *number == sequence));
        let Some(acknowledged) = position.and_then(|position| self.in_flight.remove(position))
        else {
            return;
        };
        // Every transmission has a number of its own, so each acknowledgement is a measurement.
        if let Some((_, sent)) =
            acknowledged.sequences.iter().find(|(number, _)| *number == sequence)
        {
            self.rtt.measure(now.saturating_since(*sent));
        }
        self.pace.acknowledged(now);
        self.last_ack = Some(now);
        if std::mem::take(&mut self.suspect) {
            self.outputs.push_back(Output::Restored);
        }
        self.close_gaps(now, sequence, received);
    }

    /// Sends again what is lost, as the other side has got what was sent well after it. The mask
    /// of an acknowledgement only tells what is not lost (T-36).
    fn close_gaps(&mut self, now: Instant, sequence: u32, received: u32) {
        let rtt = self.rtt.smoothed().unwrap_or(RTO_INITIAL);
        let is_lost = |outstanding: &Outstanding| {
            let Some((last, sent)) = outstanding.sequences.last() else { return false };
            let behind = sequence.wrapping_sub(*last);
            let has_arrived = behind < 32 && received & 1 << (behind.max(1) - 1) != 0;
            (GAP..1 << 31).contains(&behind)
                && !has_arrived
                && now.saturating_since(*sent) > rtt
                && (outstanding.sequences.len() as u32) < TRANSMISSIONS_MAX
        };
        while let Some(position) = self.in_flight.iter().position(is_lost) {
            let Some(outstanding) = self.in_flight.remove(position) else { return };
            self.again(now, outstanding, Loss::Gap);
        }
    }

    fn again(&mut self, now: Instant, outstanding: Outstanding, loss: Loss) {
        self.pace.lost(now, loss, self.rtt.timeout());
        self.stats.retransmissions += 1;
        let wait = match loss {
            Loss::Timeout => outstanding.wait * 2,
            Loss::Gap => outstanding.wait,
        };
        self.transmit(now, Outstanding { wait, ..outstanding });
    }

    fn on_timeout(&mut self, now: Instant) {
        while let Some(position) = self.in_flight.iter().position(|message| message.due <= now) {
            let Some(mut message) = self.in_flight.remove(position) else { return };
            let silent = self.last_ack.is_none_or(|ack| ack < message.first_sent());
            let sent = message.sequences.len() as u32;
            if sent >= TRANSMISSIONS_MAX || (silent && sent >= TRANSMISSIONS_TRUSTED) {
                self.undelivered(&mut message);
            }
            if sent >= TRANSMISSIONS_MAX {
                self.stats.lost += 1;
                if silent {
                    return self.fail();
                }
                continue;
            }
            if silent && sent + 1 >= TRANSMISSIONS_SUSPECT && !self.suspect {
                self.suspect = true;
                self.undelivered(&mut message);
                self.report_all();
                self.outputs.push_back(Output::Suspect);
            }
            self.again(now, message, Loss::Timeout);
        }
    }

    fn fail(&mut self) {
        self.failed = true;
        let abandoned = self.abandon();
        self.outputs.extend(abandoned.into_iter().map(Output::Undelivered));
        self.outputs.push_back(Output::Failed);
    }

    /// Nobody knows whether the link comes back: all that is on it had better go another way.
    /// What waited behind has not been sent here yet and never needs to be.
    fn report_all(&mut self) {
        let mut in_flight = std::mem::take(&mut self.in_flight);
        in_flight.iter_mut().for_each(|outstanding| self.undelivered(outstanding));
        self.in_flight = in_flight;
        self.stats.undelivered += self.waiting.len() as u64;
        self.outputs.extend(self.waiting.drain(..).map(Output::Undelivered));
    }

    fn undelivered(&mut self, outstanding: &mut Outstanding) {
        if !std::mem::replace(&mut outstanding.is_reported, true) {
            self.stats.undelivered += 1;
            self.outputs.push_back(Output::Undelivered(outstanding.message.clone()));
        }
    }

    fn fill_window(&mut self, now: Instant) {
        while self.pace.may_send(now, self.in_flight.len()) {
            let Some(message) = self.waiting.pop_front() else { return };
            let wait = self.rtt.timeout();
            let is_reported = false;
            let sequences = Vec::new();
            self.transmit(now, Outstanding { message, sequences, wait, due: now, is_reported });
        }
    }

    fn transmit(&mut self, now: Instant, mut outstanding: Outstanding) {
        let sequence = self.next_sequence;
        let frame = Frame::Data { sequence, message: outstanding.message.clone() };
        let Some(record) = frame.write() else {
            // Only a message of 16 MiB or more cannot be framed; callers cut far below that.
            self.stats.lost += 1;
            return;
        };
        self.next_sequence = sequence.wrapping_add(1);
        outstanding.sequences.push((sequence, now));
        outstanding.due = now + outstanding.wait;
        self.stats.frames_sent += 1;
        self.in_flight.push_back(outstanding);
        self.outputs.push_back(Output::Record(record));
    }
}

/// A message on its way.
#[derive(Debug)]
struct Outstanding {
    message: Bytes,
    /// The number and moment of each transmission.
    sequences: Vec<(u32, Instant)>,
    wait: Duration,
    due: Instant,
    /// Whether it has been given out as undelivered.
    is_reported: bool,
}

impl Outstanding {
    fn first_sent(&self) -> Instant {
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
