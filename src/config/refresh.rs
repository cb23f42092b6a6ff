//! When a newer document is to be fetched (RFC 6940 §11.1).

use super::OverlayConfig;
use crate::base::Rng;

/// When to look for a newer document: at a random time before the present one expires, so that
/// not all nodes of an overlay ask at once. Whoever finds none looks again in a part of the time
/// that is left then, and does not give up when none is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    due_unix_ms: Option<u64>,
}

impl Refresh {
    /// The first look, from the time on when the document came into force.
    pub fn new(config: &OverlayConfig, now_unix_ms: u64, rng: &mut Rng) -> Self {
        let due = |end| now_unix_ms.saturating_add(part_of(end, now_unix_ms, rng));
        Self { due_unix_ms: config.expiration_unix_ms.map(due) }
    }

    /// When it is due, in milliseconds since the Unix epoch; `None` if the document never expires.
    pub fn due_unix_ms(&self) -> Option<u64> {
        self.due_unix_ms
    }

    /// It has been looked for a newer document, and this one is still the newest.
    pub fn looked(&mut self, config: &OverlayConfig, now_unix_ms: u64, rng: &mut Rng) {
        let due = |end| {
            let pause_ms = PAUSE_MIN_MS + rng.below(PAUSE_MIN_MS);
            now_unix_ms.saturating_add(part_of(end, now_unix_ms, rng).max(pause_ms))
        };
        self.due_unix_ms = config.expiration_unix_ms.map(due);
    }
}

/// From half of the time until `end` to nine tenths of it.
fn part_of(end_unix_ms: u64, now_unix_ms: u64, rng: &mut Rng) -> u64 {
    let left_ms = end_unix_ms.saturating_sub(now_unix_ms);
    left_ms / 2 + rng.below(left_ms / 5 * 2)
}

// limits

/// Between two looks, at least: a server that is down hears of each node of its overlay no more
/// than every ten to twenty minutes.
const PAUSE_MIN_MS: u64 = 10 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_790_000_000_000;
    const DAY_MS: u64 = 86_400_000;

    fn config(expiration_unix_ms: Option<u64>) -> OverlayConfig {
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        OverlayConfig { expiration_unix_ms, ..config }
    }

    /// R6940-11.1-05: at a time before the end, which is another one for each node.
    #[test]
    fn a_document_is_fetched_again_before_it_expires() {
        let config = config(Some(NOW_MS + 30 * DAY_MS));
        let day = |seed| {
            let refresh = Refresh::new(&config, NOW_MS, &mut Rng::from_number(seed));
            (refresh.due_unix_ms().expect("it expires") - NOW_MS) / DAY_MS
        };
        let days: Vec<u64> = (0..200).map(day).collect();
        assert!(days.iter().all(|day| (15..27).contains(day)), "{days:?}");
        for day in 15..27 {
            assert!(days.contains(&day), "nobody asks on day {day}: {days:?}");
        }
    }

    /// R6940-11.1-05: whoever finds nothing newer looks again, more often towards the end and no
    /// more often than a server bears.
    #[test]
    fn looks_go_on_with_pauses() {
        let end = NOW_MS + DAY_MS;
        let config = config(Some(end));
        let mut rng = Rng::from_number(7);
        let mut refresh = Refresh::new(&config, NOW_MS, &mut rng);
        let mut times = Vec::new();
        while times.len() < 30 {
            let due = refresh.due_unix_ms().expect("it expires");
            times.push(due);
            refresh.looked(&config, due, &mut rng);
        }
        let before = times.iter().filter(|at| **at < end).count();
        assert!((4..12).contains(&before), "{before} in time");
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= PAUSE_MIN_MS, "{times:?}");
            assert!(pair[0] < end || pair[1] - pair[0] < 2 * PAUSE_MIN_MS, "{times:?}");
        }
    }

    #[test]
    fn what_never_expires_is_not_fetched_again_and_what_has_expired_at_once() {
        let mut rng = Rng::from_number(1);
        let mut refresh = Refresh::new(&config(None), NOW_MS, &mut rng);
        assert_eq!(refresh.due_unix_ms(), None);
        refresh.looked(&config(None), NOW_MS, &mut rng);
        assert_eq!(refresh.due_unix_ms(), None);
        let over = Refresh::new(&config(Some(NOW_MS)), NOW_MS, &mut rng);
        assert_eq!(over.due_unix_ms(), Some(NOW_MS));
    }
}
