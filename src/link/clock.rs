//! What only the shells may ask of the machine: its clocks and its randomness.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::base::Instant;

/// A monotonic clock whose origin is its start.
#[derive(Clone, Copy, Debug)]
pub struct Clock(tokio::time::Instant);

impl Clock {
    /// Starts at zero.
    pub fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Lets the ticks of the process begin now. The runtime's timers cost least if this is called
    /// right before it is built.
    pub fn begin_ticks() {
        BEGINNING.get_or_init(tokio::time::Instant::now);
    }

    /// The first tick after `at`: what can wait is done at ticks, which come every four seconds and
    /// are the same for all clocks of the process, so that it wakes up once for all of it.
    pub fn tick_after(&self, at: Instant) -> Instant {
        let beginning = *BEGINNING.get_or_init(tokio::time::Instant::now);
        let (own, step) = (at.as_micros() + 1, TICK.as_micros() as u64);
        // This clock's start, from the last tick before it.
        let before = self.0.saturating_duration_since(beginning).as_micros() as u64 % step;
        Instant::from_micros((before + own).next_multiple_of(step) - before)
    }

    /// Waits until `deadline`; for ever if there is none.
    pub async fn sleep_until(&self, deadline: Option<Instant>) {
        match deadline {
            // A timer of tokio's may fire up to a millisecond early in our microseconds.
            Some(deadline) => {
                let at = Duration::from_micros(deadline.as_micros().saturating_add(1));
                tokio::time::sleep_until(self.0 + at.min(Duration::from_secs(86_400))).await;
            }
            None => std::future::pending().await,
        }
    }
}

/// When the ticks began.
static BEGINNING: OnceLock<tokio::time::Instant> = OnceLock::new();
/// Between two ticks. The runtime sorts timers that are farther away than this into slots of as
/// much, and wakes up to sort those of a slot anew; those at the beginning of a slot are due then.
pub const TICK: Duration = Duration::from_millis(4096);

/// A seed from the operating system; a node without randomness would be no node.
///
/// # Panics
/// If the operating system has none.
pub fn os_seed() -> [u8; 32] {
    ring::rand::generate(&ring::rand::SystemRandom::new())
        .expect("the operating system has randomness")
        .expose()
}

/// Milliseconds since the Unix epoch.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
