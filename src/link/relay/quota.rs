//! What a user lends: sessions and bandwidth, for each other user and in all.

use std::collections::HashMap;
use std::time::Duration;

use super::limits::{SESSIONS_MAX, SHARE};
use crate::base::{Instant, NodeId};

/// What is lent to all others together. One of them gets a quarter of it at most, so that nobody
/// has it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Relayed addresses at a time.
    pub sessions: usize,
    /// Relayed bytes in a second, both ways together.
    pub bytes_per_s: u64,
}

impl Default for Quota {
    /// Some ten calls, and the addresses that some dozens of peers behind NATs keep ready.
    fn default() -> Self {
        Self { sessions: 128, bytes_per_s: 500_000 }
    }
}

/// Counts what is used of a [`Quota`].
#[derive(Debug)]
pub(super) struct Usage {
    quota: Quota,
    all: Bucket,
    users: HashMap<NodeId, User>,
}

#[derive(Debug)]
struct User {
    sessions: usize,
    bucket: Bucket,
}

impl Usage {
    pub(super) fn new(quota: Quota) -> Self {
        let quota = Quota { sessions: quota.sessions.min(SESSIONS_MAX), ..quota };
        Self { quota, all: Bucket::default(), users: HashMap::new() }
    }

    /// Sessions of all users.
    pub(super) fn sessions(&self) -> usize {
        self.users.values().map(|user| user.sessions).sum()
    }

    /// Begins a session of a user; `false` if there are too many.
    pub(super) fn begin(&mut self, user: NodeId) -> Result<(), Exceeded> {
        if self.sessions() >= self.quota.sessions {
            return Err(Exceeded::ByAll);
        }
        let share = self.quota.sessions.div_ceil(SHARE);
        let user = self
            .users
            .entry(user)
            .or_insert_with(|| User { sessions: 0, bucket: Bucket::default() });
        if user.sessions >= share {
            return Err(Exceeded::ByUser);
        }
        user.sessions += 1;
        Ok(())
    }

    pub(super) fn end(&mut self, user: NodeId) {
        if let Some(known) = self.users.get_mut(&user) {
            known.sessions -= 1;
            if known.sessions == 0 {
                self.users.remove(&user);
            }
        }
    }

    /// Whether so many bytes of a user may pass now.
    pub(super) fn passes(&mut self, now: Instant, user: NodeId, bytes: usize) -> bool {
        let Some(user) = self.users.get_mut(&user) else { return false };
        let (bytes, rate) = (bytes as u64, self.quota.bytes_per_s);
        user.bucket.has(now, bytes, rate / SHARE as u64)
            && self.all.has(now, bytes, rate)
            && user.bucket.take(bytes)
            && self.all.take(bytes)
    }
}

/// Which of the two bounds is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    ByUser,
    ByAll,
}

/// A token bucket that holds what one second gives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// Bytes that may pass, in millionths; empty at first, so that a new one gives none away.
    micro: u128,
    filled: Option<Instant>,
}

impl Bucket {
    /// Whether there is enough once what has come since is in.
    pub(super) fn has(&mut self, now: Instant, amount: u64, per_s: u64) -> bool {
        let full = u128::from(per_s) * MICRO;
        let since = self.filled.map_or(SECOND, |filled| now.saturating_since(filled));
        self.micro = (self.micro + since.as_micros() * u128::from(per_s)).min(full);
        self.filled = Some(now);
        self.micro >= u128::from(amount) * MICRO
    }

    /// Takes what [`Self::has`] has found.
    pub(super) fn take(&mut self, amount: u64) -> bool {
        self.micro = self.micro.saturating_sub(u128::from(amount) * MICRO);
        true
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MICRO: u128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn a_quarter_is_for_one() {
        let mut usage = Usage::new(Quota { sessions: 8, bytes_per_s: 4000 });
        let users = [1, 2, 3, 4, 5].map(NodeId::from_u128);
        for user in &users[..4] {
            assert_eq!(usage.begin(*user), Ok(()));
            assert_eq!(usage.begin(*user), Ok(()));
            assert!(usage.begin(*user).is_err());
        }
        assert_eq!(usage.begin(users[4]), Err(Exceeded::ByAll));
        usage.end(users[0]);
        assert_eq!(usage.begin(users[0]), Ok(()));
        assert_eq!(usage.begin(users[0]), Err(Exceeded::ByAll));

        // 1000 bytes for one in a second, 4000 for all.
        assert!(usage.passes(at(0), users[0], 1000));
        assert!(!usage.passes(at(0), users[0], 1));
        assert!(usage.passes(at(500), users[0], 500));
        assert!(!usage.passes(at(500), users[0], 1));
        assert!(usage.passes(at(500), users[1], 1000));
        assert!(!usage.passes(at(500), users[4], 1), "has no session");
    }

    #[test]
    fn all_together_get_no_more_than_is_lent() {
        let mut usage = Usage::new(Quota { sessions: 40, bytes_per_s: 4000 });
        let mut passed = 0;
        for number in 0..8 {
            let user = NodeId::from_u128(number);
            usage.begin(user).unwrap();
            while usage.passes(at(0), user, 100) {
                passed += 100;
            }
        }
        assert_eq!(passed, 4000);
    }
}
