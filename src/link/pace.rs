//! How fast messages may follow each other on a link with Simple Reliability (RFC 6940 §6.6.3):
//! the stop-and-wait sender of §6.6.3.1, or a window that opens and closes as TCP's does
//! (RFC 8085 §3.1.1). Pure.

use std::fmt::Debug;
use std::time::Duration;

use crate::base::Instant;

/// Bounds and timers.
pub mod limits {
    use std::time::Duration;

    /// Messages that may be on their way at the start: what RFC 6928 allows in bytes.
    pub const WINDOW_INITIAL: usize = 4;
    /// Messages that may be on their way at most; few, as queues build up elsewhere.
    pub const WINDOW_MAX: usize = 16;
    /// What a stop-and-wait sender waits after an acknowledgement (RFC 6940 §6.6.3.1).
    pub const PAUSE: Duration = Duration::from_millis(10);
}

use limits::*;

/// Which sender a link has. The receiver cannot tell and need not know (RFC 6940 §6.6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SenderKind {
    /// One message after the other (RFC 6940 §6.6.3.1): adequate, says the text, in a LAN or for
    /// little traffic, as each costs a round trip.
    StopAndWait,
    /// A small window with congestion control: §6.6.4 allows any sender that meets RFC 8085, and
    /// a peer that forwards for others must not wait a round trip for each message.
    #[default]
    Window,
}

impl SenderKind {
    /// A sender of this kind at the beginning of a connection.
    pub(super) fn start(self) -> Box<dyn Pace> {
        match self {
            Self::StopAndWait => Box::new(StopAndWait::default()),
            Self::Window => Box::new(Window::default()),
        }
    }
}

/// How it is known that a message is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing has come back in time.
    Timeout,
    /// Later messages have been acknowledged.
    Gap,
}

/// When a message that waits may go.
pub(super) trait Pace: Debug + Send {
    /// Whether one more may go now that as many are on their way.
    fn may_send(&self, now: Instant, in_flight: usize) -> bool;

    /// When to ask again, if that is a matter of time alone.
    fn next(&self, in_flight: usize) -> Option<Instant>;

    /// A message has been acknowledged.
    fn acknowledged(&mut self, now: Instant);

    /// A message is lost; `rto` is the present timeout.
    fn lost(&mut self, now: Instant, loss: Loss, rto: Duration);
}

/// One message on its way, and a pause behind each (RFC 6940 §6.6.3.1).
#[derive(Debug, Default)]
struct StopAndWait {
    not_before: Option<Instant>,
}

impl Pace for StopAndWait {
    fn may_send(&self, now: Instant, in_flight: usize) -> bool {
        in_flight == 0 && self.not_before.is_none_or(|at| at <= now)
    }

    fn next(&self, in_flight: usize) -> Option<Instant> {
        self.not_before.filter(|_| in_flight == 0)
    }

    fn acknowledged(&mut self, now: Instant) {
        self.not_before = Some(now + PAUSE);
    }

    fn lost(&mut self, _: Instant, _: Loss, _: Duration) {}
}

/// Slow start, then one message more for each full window (RFC 5681 §3.1); half of it after a loss
/// that later acknowledgements show, one message after a timeout.
#[derive(Debug)]
struct Window {
    size: usize,
    threshold: usize,
    credit: usize,
    /// Losses before this moment belong to the same event.
    shut: Option<Instant>,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: WINDOW_INITIAL, threshold: WINDOW_MAX, credit: 0, shut: None }
    }
}

impl Pace for Window {
    fn may_send(&self, _: Instant, in_flight: usize) -> bool {
        in_flight < self.size
    }

    fn next(&self, _: usize) -> Option<Instant> {
        None
    }

    fn acknowledged(&mut self, _: Instant) {
        self.credit += 1;
        if self.size < self.threshold || self.credit >= self.size {
            self.credit = 0;
            self.size = (self.size + 1).min(WINDOW_MAX);
        }
    }

    fn lost(&mut self, now: Instant, loss: Loss, rto: Duration) {
        if self.shut.is_some_and(|until| now < until) {
            return;
        }
        self.shut = Some(now + rto);
        self.threshold = (self.size / 2).max(2);
        self.size = match loss {
            Loss::Timeout => 1,
            Loss::Gap => self.threshold.min(self.size),
        };
        self.credit = 0;
    }
}

/// The round-trip time and the timeout that follows from it: RFC 6298 §2, rounded up to
/// milliseconds (RFC 6940 §6.6.3.1).
#[derive(Clone, Debug)]
pub(super) struct RttEstimate {
    initial: Duration,
    range: (Duration, Duration),
    smoothed: Option<Duration>,
    variation: Duration,
}

impl RttEstimate {
    /// An estimate whose timeout is `initial` before the first measurement, and within `range`
    /// afterwards.
    pub(super) fn new(initial: Duration, range: (Duration, Duration)) -> Self {
        Self { initial, range, smoothed: None, variation: Duration::ZERO }
    }

    /// Takes in a round trip.
    pub(super) fn measure(&mut self, rtt: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(rtt);
                self.variation = rtt / 2;
            }
            Some(smoothed) => {
                self.variation = self.variation * 3 / 4 + smoothed.abs_diff(rtt) / 4;
                self.smoothed = Some(smoothed * 7 / 8 + rtt / 8);
            }
        }
    }

    /// The smoothed round-trip time, once measured.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// The timeout.
    pub(super) fn timeout(&self) -> Duration {
        let Some(smoothed) = self.smoothed else { return self.initial };
        let exact = smoothed + self.variation * 4;
        let rounded = Duration::from_millis(exact.as_micros().div_ceil(1000) as u64);
        rounded.clamp(self.range.0, self.range.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// R6940-6.6.3.1-03: RFC 6298 with milliseconds.
    #[test]
    fn the_timeout_follows_the_round_trip() {
        let ms = Duration::from_millis;
        let mut estimate = RttEstimate::new(ms(500), (ms(200), ms(3000)));
        assert_eq!(estimate.timeout(), ms(500));
        estimate.measure(Duration::from_micros(100_100));
        // SRTT + 4 * RTTVAR = 100.1 + 4 * 50.05 ms, rounded up.
        assert_eq!(estimate.timeout(), ms(301));
        for _ in 0..100 {
            estimate.measure(ms(1));
        }
        assert_eq!(estimate.timeout(), ms(200));
    }

    #[test]
    fn a_gap_halves_the_window_and_a_timeout_shuts_it() {
        let size = |window: &Window| (0..100).take_while(|n| window.may_send(at(0), *n)).count();
        let mut window = Window::default();
        for _ in 0..WINDOW_MAX {
            window.acknowledged(at(0));
        }
        assert_eq!(size(&window), WINDOW_MAX);
        let rto = Duration::from_millis(300);
        window.lost(at(1000), Loss::Gap, rto);
        assert_eq!(size(&window), WINDOW_MAX / 2);
        window.lost(at(1200), Loss::Gap, rto);
        assert_eq!(size(&window), WINDOW_MAX / 2, "one event");
        // From now on it grows by one for each full window.
        for _ in 0..WINDOW_MAX / 2 {
            window.acknowledged(at(1200));
        }
        assert_eq!(size(&window), WINDOW_MAX / 2 + 1);
        window.lost(at(1300), Loss::Timeout, rto);
        assert_eq!(size(&window), 1);
    }
}
