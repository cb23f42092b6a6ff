//! Account names and passwords as octets. RFC 6940 §11.3 has them compared as they are and leaves
//! it to applications to prepare them: this is the successor of SASLprep, RFC 8265.

use icu_normalizer::ComposingNormalizerBorrowed;

/// An account name as it is sent and compared: wide and narrow forms become the ordinary ones,
/// letters small, accents composed (RFC 8265 §3.3, UsernameCaseMapped).
pub fn prepared_account(account: &str) -> String {
    let plain: String = account.trim().chars().map(without_width).collect();
    composed(&plain.to_lowercase())
}

/// A password as it is sent and compared: every space is the plain one, accents are composed
/// (RFC 8265 §4.2, OpaqueString).
pub fn prepared_password(password: &str) -> String {
    let is_space = |c: char| c.is_whitespace() && !c.is_control();
    let plain: String = password.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
    composed(&plain)
}

fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// The ordinary form of a full-width letter, digit or sign (RFC 8264 §5.2.1).
fn without_width(c: char) -> char {
    let ordinary = match c {
        '\u{3000}' => Some(' '),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        _ => None,
    };
    ordinary.unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R6940-11.3-05: however an accent, a capital or a space was typed, the octets are the same.
    #[test]
    fn the_same_account_and_password_are_the_same_octets() {
        assert_eq!(prepared_account("Zo\u{eb}"), "zo\u{eb}");
        assert_eq!(prepared_account("zoe\u{308}"), "zo\u{eb}");
        assert_eq!(prepared_account(" \u{ff3a}oe\u{308}"), "zo\u{eb}");
        assert_eq!(prepared_password("Pa\u{300}ss\u{a0}\u{3000}word "), "P\u{e0}ss  word ");
        assert_eq!(prepared_password("P\u{e0}ss  word "), "P\u{e0}ss  word ");
        assert_ne!(prepared_password("pass"), prepared_password("Pass"));
    }
}
