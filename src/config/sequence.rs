//! Which of two documents is newer (RFC 6940 §6.3.2.1).

use super::SEQUENCE_MAX;

/// Sequences count modulo this: 65535 is no sequence of a document (T-80).
const MODULUS: u32 = SEQUENCE_MAX as u32 + 1;

/// Whether sequence `a` is newer than `b`: less than half of all sequences lie between them.
pub fn is_newer(a: u16, b: u16) -> bool {
    let ahead = (u32::from(a) + MODULUS - u32::from(b) % MODULUS) % MODULUS;
    (1..=MODULUS / 2).contains(&ahead)
}

/// The sequence of the document that replaces one with `sequence`.
pub fn next_sequence(sequence: u16) -> u16 {
    if sequence >= SEQUENCE_MAX { 0 } else { sequence + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// R6940-6.3.2.1-04, T-80: 0 follows 65534, and 65535 is skipped.
    #[test]
    fn sequences_wrap() {
        assert_eq!((next_sequence(7), next_sequence(65534)), (8, 0));
        assert!(is_newer(0, 65534) && !is_newer(65534, 0));
        assert!(is_newer(8, 7) && !is_newer(7, 8) && !is_newer(7, 7));
        assert!(is_newer(32767, 0) && !is_newer(32768, 0));
        assert!(is_newer(0, 32768) && !is_newer(0, 32767));
    }

    proptest! {
        #[test]
        fn of_two_sequences_one_is_newer(a in 0..=SEQUENCE_MAX, b in 0..=SEQUENCE_MAX) {
            prop_assert_eq!(is_newer(a, b) != is_newer(b, a), a != b);
            prop_assert!(is_newer(next_sequence(a), a));
        }
    }
}
