//! Rates: how often somebody may do something, as buckets of tokens that fill with time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::limits;

/// Whose bucket it is, and for what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Certificates that a source asks for.
    Asked(IpAddr),
    /// Certificates that a source did not get.
    Refused(IpAddr),
    /// Certificates that were asked for with a wrong password of an account.
    Mistaken(String),
}

/// A bucket of `burst` tokens; one comes back every `refill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) burst: u32,
    pub(super) refill: Duration,
}

/// All buckets from which somebody has taken something lately.
#[derive(Debug, Default)]
pub(super) struct Rates {
    /// When each bucket will be full again.
    full_at: BTreeMap<Key, Instant>,
}

impl Rates {
    /// Whether a token is there; if not, how long until one is.
    pub(super) fn check(&self, key: &Key, rule: Rule, now: Instant) -> Result<(), Duration> {
        let Some(full_at) = self.full_at.get(key) else { return Ok(()) };
        let empty = rule.refill * rule.burst;
        // With this much still to come there is less than one token.
        let scarce = empty.saturating_sub(rule.refill);
        match full_at.saturating_duration_since(now).checked_sub(scarce) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    /// Takes a token, whether there is one or not.
    pub(super) fn take(&mut self, key: Key, rule: Rule, now: Instant) {
        if self.full_at.len() >= limits::RATES_MAX {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        if self.full_at.len() >= limits::RATES_MAX {
            // Whoever has done least is forgotten first.
            let least = self.full_at.iter().min_by_key(|(_, full_at)| **full_at);
            if let Some(key) = least.map(|(key, _)| key.clone()) {
                self.full_at.remove(&key);
            }
        }
        let full_at = self.full_at.entry(key).or_insert(now);
        *full_at = ((*full_at).max(now) + rule.refill).min(now + rule.refill * rule.burst);
    }
}

/// The part of an address that is one household's or one machine's: an IPv6 network of 64 bits is
/// given out as one.
pub(super) fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { burst: 3, refill: Duration::from_secs(10) };

    #[test]
    fn a_burst_is_free_and_then_one_waits() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let key = || Key::Mistaken("alice".into());
        for _ in 0..3 {
            assert_eq!(rates.check(&key(), RULE, start), Ok(()));
            rates.take(key(), RULE, start);
        }
        assert_eq!(rates.check(&key(), RULE, start), Err(RULE.refill));
        let other = Key::Mistaken("bob".into());
        assert_eq!(rates.check(&other, RULE, start), Ok(()));
        let later = start + Duration::from_secs(9);
        assert_eq!(rates.check(&key(), RULE, later), Err(Duration::from_secs(1)));
        assert_eq!(rates.check(&key(), RULE, start + RULE.refill), Ok(()));
        // Who goes on does not wait longer for it than until the bucket would be full.
        (0..100).for_each(|_| rates.take(key(), RULE, start));
        assert_eq!(rates.check(&key(), RULE, start + RULE.refill), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_harmless_first() {
        let (mut rates, start) = (Rates::default(), Instant::now());
        let worst = Key::Refused(IpAddr::from([192, 0, 2, 1]));
        (0..3).for_each(|_| rates.take(worst.clone(), RULE, start));
        for number in 0..limits::RATES_MAX {
            rates.take(Key::Mistaken(number.to_string()), RULE, start);
        }
        assert_eq!(rates.full_at.len(), limits::RATES_MAX);
        assert!(rates.check(&worst, RULE, start).is_err());
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_network() {
        let of = |text: &str| source(text.parse().expect("an address")).to_string();
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
