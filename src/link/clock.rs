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

    /// The first of the moments at or after `at` that come every `step`, and are the same for all
    /// clocks of the process.
    pub fn round_up(&self, at: Instant, step: Duration) -> Instant {
        static BEGINNING: OnceLock<tokio::time::Instant> = OnceLock::new();
        let beginning = *BEGINNING.get_or_init(tokio::time::Instant::now);
        let (own, step) = (at.as_micros(), (step.as_micros() as u64).max(1));
        // This clock's start, from the last such moment before it.
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
