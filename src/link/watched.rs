//! Framing on a connection that is reliable by itself (RFC 6940 §6.6.5). Pure.
//!
//! Nothing is sent twice. Acknowledgements measure the round trip, and one that is later than the
//! timeout of RFC 6298 makes the link suspect: TCP's own patience is too long for routing. It is
//! kept for half a minute, as it may come back.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::framing::{Acknowledger, Frame};
use super::hop::{Hop, Input, Output, Stats};
use super::pace::RttEstimate;
use crate::base::Instant;

/// Bounds and timers.
pub mod limits {
    use std::time::Duration;

    /// The timeout before a round trip has been measured, and the least one (RFC 6298 §2.1,
    /// §2.4): what TCP sends again is late and not lost.
    pub const RTO_MIN: Duration = Duration::from_secs(1);
    /// No longer timeout.
    pub const RTO_MAX: Duration = Duration::from_secs(5);
    /// How long a link is kept that acknowledges nothing (RFC 6940 §6.6.5).
    pub const SUSPECT: Duration = Duration::from_secs(30);
    /// Messages on their way; TCP has its own window.
    pub const IN_FLIGHT_MAX: usize = 64;
    /// Messages waiting behind these; more are dropped and reported.
    pub const QUEUE_MAX: usize = 256;
}

use limits::*;

/// Both ends' state machine of one connection.
#[derive(Debug)]
pub struct Watched {
    next_sequence: u32,
    waiting: VecDeque<Bytes>,
    in_flight: VecDeque<Outstanding>,
    rtt: RttEstimate,
    /// Since when nothing has been acknowledged that should have been.
    suspect: Option<Instant>,
    failed: bool,
    received: Acknowledger,
    outputs: VecDeque<Output>,
    stats: Stats,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            next_sequence: 0,
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            rtt: RttEstimate::new(RTO_MIN, (RTO_MIN, RTO_MAX)),
            suspect: None,
            failed: false,
            received: Acknowledger::default(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
        }
    }
}

impl Hop for Watched {
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
                Ok(Frame::Data { sequence, message }) => {
                    let (ack, _) = self.received.take(sequence);
                    self.outputs.extend(ack.write().map(Output::Record));
                    self.stats.delivered += 1;
                    self.outputs.push_back(Output::Deliver(message));
                }
                Ok(Frame::Ack { ack_sequence, .. }) => self.on_ack(now, ack_sequence),
                Err(_) => self.stats.malformed += 1,
            },
            Input::Timeout => self.on_timeout(now),
        }
        self.send_waiting(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        match self.suspect {
            Some(since) if !self.failed => Some(since + SUSPECT),
            Some(_) => None,
            None => self.in_flight.front().map(|oldest| oldest.sent + self.timeout()),
        }
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

impl Watched {
    fn timeout(&self) -> Duration {
        self.rtt.timeout()
    }

    fn on_ack(&mut self, now: Instant, sequence: u32) {
        let is_it = |outstanding: &Outstanding| outstanding.sequence == sequence;
        let Some(place) = self.in_flight.iter().position(is_it) else { return };
        // On a stream whatever is before it has arrived too.
        if let Some(acknowledged) = self.in_flight.drain(..=place).next_back()
            && self.suspect.is_none()
        {
            self.rtt.measure(now.saturating_since(acknowledged.sent));
        }
        if self.suspect.take().is_some() {
            // What a stall has held back says nothing of the path.
            self.in_flight.iter_mut().for_each(|outstanding| outstanding.sent = now);
            self.outputs.push_back(Output::Restored);
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        match self.suspect {
            Some(since) if now >= since + SUSPECT => {
                self.failed = true;
                let abandoned = self.abandon();
                self.outputs.extend(abandoned.into_iter().map(Output::Undelivered));
                self.outputs.push_back(Output::Failed);
            }
            Some(_) => {}
            None => {
                let oldest = self.in_flight.front().map(|oldest| oldest.sent);
                if oldest.is_some_and(|sent| now >= sent + self.timeout()) {
                    self.doubt(now);
                }
            }
        }
    }

    /// What is on its way had better go another way; the stream may deliver it all the same.
    fn doubt(&mut self, now: Instant) {
        self.suspect = Some(now);
        for outstanding in self.in_flight.iter_mut().filter(|outstanding| !outstanding.is_reported)
        {
            outstanding.is_reported = true;
            self.stats.undelivered += 1;
            self.outputs.push_back(Output::Undelivered(outstanding.message.clone()));
        }
        self.stats.undelivered += self.waiting.len() as u64;
        self.outputs.extend(self.waiting.drain(..).map(Output::Undelivered));
        self.outputs.push_back(Output::Suspect);
    }

    fn send_waiting(&mut self, now: Instant) {
        while self.in_flight.len() < IN_FLIGHT_MAX {
            let Some(message) = self.waiting.pop_front() else { return };
            let sequence = self.next_sequence;
            let Some(record) = (Frame::Data { sequence, message: message.clone() }).write() else {
                // Only a message of 16 MiB or more cannot be framed; callers cut far below that.
                self.stats.lost += 1;
                continue;
            };
            self.next_sequence = sequence.wrapping_add(1);
            self.stats.frames_sent += 1;
            let (sent, is_reported) = (now, false);
            self.in_flight.push_back(Outstanding { message, sequence, sent, is_reported });
            self.outputs.push_back(Output::Record(record));
        }
    }
}

/// A message on its way.
#[derive(Debug)]
struct Outstanding {
    message: Bytes,
    sequence: u32,
    sent: Instant,
    /// Whether it has been given out as undelivered.
    is_reported: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    fn drain(hop: &mut Watched) -> Vec<Output> {
        std::iter::from_fn(|| hop.poll()).collect()
    }

    fn ack(ack_sequence: u32) -> Input {
        Input::Record(Frame::Ack { ack_sequence, received: 0 }.write().unwrap())
    }

    fn send(hop: &mut Watched, ms: u64, text: &'static [u8]) {
        hop.handle(at(ms), Input::Send(Bytes::from_static(text)));
    }

    /// R6940-6.6.5-01: acknowledgements measure the round trip, and one that is missing for a
    /// timeout by RFC 6298 makes the link suspect, long before TCP gives up. Nothing is sent
    /// twice: all that is on its way is given back once.
    #[test]
    fn a_stall_shows_after_a_timeout() {
        let mut hop = Watched::default();
        for ms in (0..2000).step_by(200) {
            send(&mut hop, ms, b"ping");
            hop.handle(at(ms + 80), ack((ms / 200) as u32));
        }
        drain(&mut hop);
        assert_eq!((hop.stats().rtt_ms, hop.deadline()), (Some(80), None));
        send(&mut hop, 3000, b"lost");
        send(&mut hop, 3500, b"lost too");
        drain(&mut hop);
        let due = hop.deadline().unwrap();
        assert_eq!(due, at(4000));
        hop.handle(due, Input::Timeout);
        let back = |text: &'static [u8]| Output::Undelivered(Bytes::from_static(text));
        assert_eq!(drain(&mut hop), [back(b"lost"), back(b"lost too"), Output::Suspect]);
    }

    /// The link is kept for 30 s and taken back if an acknowledgement comes;
    /// afterwards it has failed.
    #[test]
    fn a_suspect_is_kept_for_half_a_minute() {
        for (back_at, comes_back) in [(20_000, true), (31_000, false)] {
            let mut hop = Watched::default();
            send(&mut hop, 0, b"hello");
            hop.handle(at(1000), Input::Timeout);
            assert!(drain(&mut hop).contains(&Output::Suspect));
            assert_eq!(hop.deadline(), Some(at(31_000)));
            hop.handle(at(back_at), if comes_back { ack(0) } else { Input::Timeout });
            let last = if comes_back { Output::Restored } else { Output::Failed };
            assert_eq!(drain(&mut hop), [last]);
            send(&mut hop, 32_000, b"again");
            assert_eq!(drain(&mut hop).len(), usize::from(comes_back));
            assert_eq!(hop.stats().undelivered, 1, "it is not given back twice");
        }
    }

    /// R6940-6.6.2-03: every frame is acknowledged at once here too.
    #[test]
    fn frames_are_acknowledged() {
        let mut hop = Watched::default();
        for sequence in 0..3 {
            let message = Bytes::from_static(b"hello");
            let record = Frame::Data { sequence, message: message.clone() }.write().unwrap();
            hop.handle(at(0), Input::Record(record));
            let received = [0, 0b1, 0b11][sequence as usize];
            let ack = Frame::Ack { ack_sequence: sequence, received }.write().unwrap();
            assert_eq!(drain(&mut hop), [Output::Record(ack), Output::Deliver(message)]);
        }
    }

    #[test]
    fn a_stalled_stream_does_not_pile_up() {
        let mut hop = Watched::default();
        for _ in 0..IN_FLIGHT_MAX + QUEUE_MAX + 1 {
            send(&mut hop, 0, b"more");
        }
        let outputs = drain(&mut hop);
        let dropped = outputs.iter().filter(|output| matches!(output, Output::Dropped(_)));
        assert_eq!((dropped.count(), outputs.len()), (1, IN_FLIGHT_MAX + 1));
        // An acknowledgement of the last one is one of all before it.
        hop.handle(at(10), ack(IN_FLIGHT_MAX as u32 - 1));
        assert_eq!(drain(&mut hop).len(), IN_FLIGHT_MAX);
    }
}
