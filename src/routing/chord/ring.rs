//! Arithmetic on the ring of 2^128 positions (RFC 6940 §10.1). "Greater than" never means plain
//! integer order here; everything is measured clockwise.

/// How far `to` lies clockwise of `from`.
pub fn distance(from: u128, to: u128) -> u128 {
    to.wrapping_sub(from)
}

/// Whether `k` lies in `(after, to]`; with `after == to` that is the whole ring.
pub fn in_range(k: u128, after: u128, to: u128) -> bool {
    after == to || distance(after, k).wrapping_sub(1) < distance(after, to)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::Rng;

    /// R6940-10.1-01: ownership of `(predecessor, x]`, around zero too.
    #[test]
    fn ranges_wrap_around_zero() {
        assert!(in_range(5, 3, 5) && in_range(4, 3, 5));
        assert!(!in_range(3, 3, 5) && !in_range(6, 3, 5));
        assert!(in_range(1, u128::MAX - 1, 2) && in_range(u128::MAX, u128::MAX - 1, 2));
        assert!(!in_range(3, u128::MAX - 1, 2) && !in_range(u128::MAX - 1, u128::MAX - 1, 2));
        assert!(in_range(0, 7, 7) && in_range(7, 7, 7));
    }

    /// R6940-10.1-01: whatever the peers, each position has exactly one owner.
    #[test]
    fn each_position_has_one_owner() {
        let mut rng = Rng::from_number(3);
        for _ in 0..200 {
            let set: BTreeSet<u128> =
                (0..=rng.below(9)).map(|_| u128::from_be_bytes(rng.bytes())).collect();
            for _ in 0..20 {
                let k = match set.first() {
                    Some(first) if rng.below(2) == 0 => first.wrapping_add(rng.below(2).into()),
                    _ => u128::from_be_bytes(rng.bytes()),
                };
                let owners = set.iter().filter(|own| {
                    let before = set.range(..**own).next_back().or(set.last()).unwrap_or(*own);
                    in_range(k, *before, **own)
                });
                assert_eq!(owners.count(), 1);
            }
        }
    }
}
