//! Time is an input. Nothing in the core reads a clock: a driver passes [`Now`] with every call.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the driver's monotonic clock, in microseconds since that driver's own origin.
///
/// There is deliberately no way to ask for the current one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's origin.
    pub const ORIGIN: Self = Self(0);

    /// The moment `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the origin, rounded down.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// Both clocks at the moment of a call: timers run on the monotonic one, signatures and
/// `storage_time` (RFC 6940 §7) on the wall clock. A laptop that sleeps moves them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, for timers.
    pub instant: Instant,
    /// Milliseconds since the Unix epoch, without leap seconds.
    pub unix_ms: u64,
}

impl Now {
    /// Pairs the two clocks.
    pub const fn new(instant: Instant, unix_ms: u64) -> Self {
        Self { instant, unix_ms }
    }
}
