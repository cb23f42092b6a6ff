//! Framing on a connection that is reliable by itself (RFC 6940 §6.6.5). Pure.
//!
//! Nothing is sent twice. Acknowledgements measure the round trip, and one that is later than the
//! timeout of RFC 6298 makes the link suspect: TCP's own patience is too long for routing. It is
//! kept for half a minute, as it may come back.

use bytes::Bytes;

use super::framing::Frame;
use super::hop::{self, Hop, Input, Outbox, Output, Stats};
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
}

use limits::*;

/// Both ends' state machine of one connection.
#[derive(Debug)]
pub struct Watched {
    outbox: Outbox<Transmission>,
    rtt: RttEstimate,
    /// Since when nothing has been acknowledged that should have been.
    suspect: Option<Instant>,
    failed: bool,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            outbox: Outbox::default(),
            rtt: RttEstimate::new(RTO_MIN, (RTO_MIN, RTO_MAX)),
            suspect: None,
            failed: false,
        }
    }
}

impl Hop for Watched {
    fn handle(&mut self, now: Instant, input: Input) {
        if self.failed {
            return;
        }
        match input {
            Input::Send(message) => self.outbox.enqueue(message),
            Input::Record(record) => match Frame::read(&record) {
                Ok(Frame::Data { sequence, message }) => {
                    self.outbox.acknowledge(sequence);
                    self.outbox.deliver(message);
                }
                Ok(Frame::Ack { ack_sequence, .. }) => self.on_ack(now, ack_sequence),
                Err(_) => self.outbox.stats.malformed += 1,
            },
            Input::Timeout => self.on_timeout(now),
        }
        self.send_waiting(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outbox.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        match self.suspect {
            Some(since) if !self.failed => Some(since + SUSPECT),
            Some(_) => None,
            None => self.oldest().map(|sent| sent + self.rtt.timeout()),
        }
    }

    fn stats(&self) -> Stats {
        Stats { rtt_ms: self.rtt.smoothed().map(|rtt| rtt.as_millis() as u64), ..self.outbox.stats }
    }

    fn abandon(&mut self) -> Vec<Bytes> {
        self.outbox.abandon()
    }
}

impl Watched {
    /// When the first message was sent that is not acknowledged.
    fn oldest(&self) -> Option<Instant> {
        self.outbox.in_flight.front().map(|oldest| oldest.sent.at)
    }

    fn on_ack(&mut self, now: Instant, sequence: u32) {
        let in_flight = &mut self.outbox.in_flight;
        let is_it = |outstanding: &Outstanding| outstanding.sent.sequence == sequence;
        let Some(place) = in_flight.iter().position(is_it) else { return };
        // On a stream whatever is before it has arrived too.
        if let Some(acknowledged) = in_flight.drain(..=place).next_back()
            && self.suspect.is_none()
        {
            self.rtt.measure(now.saturating_since(acknowledged.sent.at));
        }
        if self.suspect.take().is_some() {
            // What a stall has held back says nothing of the path.
            in_flight.iter_mut().for_each(|outstanding| outstanding.sent.at = now);
            self.outbox.outputs.push_back(Output::Restored);
        }
    }

    fn on_timeout(&mut self, now: Instant) {
        match self.suspect {
            Some(since) if now >= since + SUSPECT => {
                self.failed = true;
                self.outbox.fail();
            }
            Some(_) => {}
            None => {
                if self.oldest().is_some_and(|sent| now >= sent + self.rtt.timeout()) {
                    // What is on its way had better go another way; the stream may deliver it
                    // all the same.
                    self.suspect = Some(now);
                    self.outbox.report_all();
                    self.outbox.outputs.push_back(Output::Suspect);
                }
            }
        }
    }

    fn send_waiting(&mut self, now: Instant) {
        while self.outbox.in_flight.len() < IN_FLIGHT_MAX {
            let Some(message) = self.outbox.next() else { return };
            if let Some(sequence) = self.outbox.transmit(&message) {
                let sent = Transmission { sequence, at: now };
                self.outbox.in_flight.push_back(Outstanding::new(message, sent));
            }
        }
    }
}

type Outstanding = hop::Outstanding<Transmission>;

/// The only transmission of a message.
#[derive(Debug)]
struct Transmission {
    sequence: u32,
    at: Instant,
}

#[cfg(test)]
mod tests {
    use super::super::hop::QUEUE_MAX;
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
