//! When a newer document is to be fetched (RFC 6940 §11.1).

use super::OverlayConfig;
use crate::base::Rng;

impl OverlayConfig {
    /// When to look for a newer document next, in milliseconds since the Unix epoch: at a random
    /// time before this one expires, so that not all nodes of an overlay ask at once. Whoever
    /// gets none asks again here: the time that is left shrinks with each attempt. After the end
    /// the attempts go on. `None` for a document that never expires.
    pub fn refresh_unix_ms(&self, now_unix_ms: u64, rng: &mut Rng) -> Option<u64> {
        let end = self.expiration_unix_ms?;
        let left_ms = end.saturating_sub(now_unix_ms);
        // From half of what is left to nine tenths of it.
        let wait_ms = left_ms / 2 + rng.below(left_ms / 5 * 2 + 1);
        let is_over = left_ms < PAUSE_MIN_MS;
        let pause_ms = PAUSE_MIN_MS + if is_over { rng.below(PAUSE_MIN_MS) } else { 0 };
        Some(now_unix_ms.saturating_add(wait_ms.max(pause_ms)))
    }
}

// limits

/// Between two attempts, at least: a server that is down hears of each node of its overlay no more
/// than every ten minutes or so.
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

    /// R6940-11.1-05: a time before the end, another one for each node.
    #[test]
    fn a_document_is_fetched_again_before_it_expires() {
        let config = config(Some(NOW_MS + 30 * DAY_MS));
        let at = |seed| {
            let at = config.refresh_unix_ms(NOW_MS, &mut Rng::from_number(seed));
            (at.expect("it expires") - NOW_MS) / DAY_MS
        };
        let days: Vec<u64> = (0..200).map(at).collect();
        assert!(days.iter().all(|day| (15..27).contains(day)), "{days:?}");
        for day in 15..27 {
            assert!(days.contains(&day), "nobody asks on day {day}: {days:?}");
        }
    }

    /// R6940-11.1-05: whoever is not answered asks again, more often towards the end and no more
    /// often than a server bears.
    #[test]
    fn attempts_go_on_with_pauses() {
        let config = config(Some(NOW_MS + DAY_MS));
        let mut rng = Rng::from_number(7);
        let mut times = vec![NOW_MS];
        while times.len() < 30 {
            let last = times[times.len() - 1];
            times.extend(config.refresh_unix_ms(last, &mut rng));
        }
        let before = times.iter().filter(|at| **at < NOW_MS + DAY_MS).count();
        assert!((4..12).contains(&before), "{before} attempts in time");
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= PAUSE_MIN_MS, "{times:?}");
        }
        for pair in times.windows(2).filter(|pair| pair[0] > NOW_MS + DAY_MS) {
            assert!(pair[1] - pair[0] <= 2 * PAUSE_MIN_MS, "{times:?}");
        }
    }

    #[test]
    fn what_never_expires_is_not_fetched_again() {
        let mut rng = Rng::from_number(1);
        assert_eq!(config(None).refresh_unix_ms(NOW_MS, &mut rng), None);
        assert!(config(Some(u64::MAX)).refresh_unix_ms(u64::MAX, &mut rng).is_some());
    }
}
