//! The timers of a peer beside those of its requests.

use crate::base::Instant;

/// When a peer next wants to be called, and which timer wants it.
pub type Deadline = (Instant, &'static str);

/// What a timer is for. Of those that fire in one moment the first one here is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The present step of joining has taken too long, or it is time to try again.
    Join,
    /// The joining node that we admit has taken too long.
    Admission,
    /// Neighbours hear of a change.
    TellNeighbors,
    /// All other links hear of a change.
    TellOthers,
    /// New replica peers get copies.
    Replicate,
    /// What we need not keep any more is handed to who is responsible for it.
    HandOver,
    /// What has been handed over is dropped here.
    Discard,
    /// The next neighbour gets its periodic Update.
    Stabilize,
    /// A missing finger is searched.
    Fingers,
    /// The overlay is checked for partitions.
    Partition,
    /// Our own certificate is published.
    Certificates,
    /// Rings have merged: our values are stored where they belong now.
    Republish,
    /// A value is published or refreshed.
    Publish,
    /// Links that do not come up are given up.
    Sweep,
    /// Leaving goes one step on.
    Leave,
}

impl Timer {
    const ALL: [Self; 15] = [
        Self::Join,
        Self::Admission,
        Self::TellNeighbors,
        Self::TellOthers,
        Self::Replicate,
        Self::HandOver,
        Self::Discard,
        Self::Stabilize,
        Self::Fingers,
        Self::Partition,
        Self::Certificates,
        Self::Republish,
        Self::Publish,
        Self::Sweep,
        Self::Leave,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Admission => "admission",
            Self::TellNeighbors => "tell neighbors",
            Self::TellOthers => "tell others",
            Self::Replicate => "replicate",
            Self::HandOver => "hand over",
            Self::Discard => "discard",
            Self::Stabilize => "stabilize",
            Self::Fingers => "fingers",
            Self::Partition => "partition",
            Self::Certificates => "certificates",
            Self::Republish => "republish",
            Self::Publish => "publish",
            Self::Sweep => "sweep",
            Self::Leave => "leave",
        }
    }
}

/// Which timers run: few enough to look at all of them each time.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    due: [Instant; Timer::ALL.len()],
}

impl Default for Timers {
    fn default() -> Self {
        Self { due: [NEVER; Timer::ALL.len()] }
    }
}

impl Timers {
    /// Lets a timer fire at `at` and not when it was going to.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.due[timer as usize] = at;
    }

    /// Lets a timer fire at `at` or when it was going to, whatever is earlier.
    pub(super) fn set_earlier(&mut self, timer: Timer, at: Instant) {
        let due = &mut self.due[timer as usize];
        *due = at.min(*due);
    }

    pub(super) fn stop(&mut self, timer: Timer) {
        self.due[timer as usize] = NEVER;
    }

    pub(super) fn stop_all(&mut self) {
        *self = Self::default();
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.first().map(|(at, timer)| (at, timer.name()))
    }

    /// The next timer that has fired, which then does not run any more.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (_, timer) = self.first().filter(|(at, _)| *at <= now)?;
        self.stop(timer);
        Some(timer)
    }

    fn first(&self) -> Option<(Instant, Timer)> {
        let all = self.due.iter().copied().zip(Timer::ALL);
        all.min().filter(|(at, _)| *at < NEVER)
    }
}

/// When a timer fires that does not run.
const NEVER: Instant = Instant::from_micros(u64::MAX);
