//! Which names an overlay takes: domain restrictions (RFC 7904 §3.4).
//!
//! A pattern is a POSIX extended regular expression over the domain of a name. It is translated
//! into one of the crate `regex`, whose time grows with the text alone; what POSIX leaves
//! undefined, and what the two mean differently, is refused or written out.

use regex::bytes::{Regex, RegexBuilder};
use thiserror::Error;

use super::OverlayName;

/// What a document says about the domains of names. Without it every name is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainRestrictions {
    /// Whether the patterns hold; if not, only the overlay's own domain is taken.
    pub enable: bool,
    /// A domain is taken if one of these matches all of it.
    pub patterns: Vec<DomainPattern>,
}

impl DomainRestrictions {
    /// Whether the overlay of this name takes names with this domain.
    pub fn admit(&self, overlay: &OverlayName, domain: &str) -> bool {
        match self.enable {
            true => self.patterns.iter().any(|pattern| pattern.matches(domain)),
            false => overlay.matches(domain),
        }
    }
}

/// A pattern of domains. Case is of no account, as in every domain.
#[derive(Clone, Debug)]
pub struct DomainPattern {
    text: String,
    regex: Regex,
}

impl DomainPattern {
    /// A pattern.
    ///
    /// # Errors
    ///
    /// It is no POSIX extended regular expression in visible ASCII, or too much of one.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLarge);
        }
        if let Some(other) = text.chars().find(|c| !c.is_ascii_graphic() || *c == '%') {
            return Err(PatternError::Character(other));
        }
        let regex = format!(r"\A(?:{})\z", Translation::of(text)?);
        let regex = RegexBuilder::new(&regex)
            .unicode(false)
            .size_limit(PROGRAM_BYTES_MAX)
            .dfa_size_limit(CACHE_BYTES_MAX)
            .build()
            .map_err(|_| PatternError::TooLarge)?;
        Ok(Self { text: text.to_owned(), regex })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches a domain from its first character to its last.
    pub fn matches(&self, domain: &str) -> bool {
        self.regex.is_match(domain.to_ascii_lowercase().as_bytes())
    }
}

impl PartialEq for DomainPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for DomainPattern {}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It takes too much space, as written or as a program.
    #[error("it is too large")]
    TooLarge,
    /// A character that no domain has (RFC 3261 §19.1).
    #[error("no domain contains {0:?}")]
    Character(char),
    /// Something that must be closed is not, or is closed without having been opened.
    #[error("a bracket, brace or parenthesis has no counterpart")]
    Unbalanced,
    /// Nothing stands where something must.
    #[error("nothing stands before a repetition, or between two alternatives")]
    Nothing,
    /// A repetition of a repetition, or of more times than POSIX has.
    #[error("it repeats what cannot be repeated so")]
    Repetition,
    /// A backslash before what needs none.
    #[error("a backslash stands before {0:?}, where it means nothing")]
    Escape(char),
    /// Something in brackets that is no set of characters.
    #[error("what it has in brackets is no set of characters")]
    Set,
}

/// A POSIX extended regular expression (IEEE Std 1003.1, §9.4) on its way to another syntax.
struct Translation<'a> {
    rest: &'a [u8],
    done: String,
    /// Groups that are open.
    depth: usize,
    last: Last,
}

/// What stands before the next character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The beginning of an alternative.
    Nothing,
    /// What may be repeated.
    Item,
    /// `^` or `$`.
    Anchor,
    Repetition,
}

impl<'a> Translation<'a> {
    fn of(text: &'a str) -> Result<String, PatternError> {
        let rest = text.as_bytes();
        let mut new = Self { rest, done: String::new(), depth: 0, last: Last::Nothing };
        while let Some(byte) = new.next() {
            new.step(byte)?;
        }
        match (new.depth, new.last) {
            (0, Last::Nothing) => Err(PatternError::Nothing),
            (0, _) => Ok(new.done),
            _ => Err(PatternError::Unbalanced),
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn step(&mut self, byte: u8) -> Result<(), PatternError> {
        match byte {
            b'(' => {
                self.depth += 1;
                self.done.push_str("(?:");
                self.last = Last::Nothing;
            }
            b')' if self.depth == 0 => return Err(PatternError::Unbalanced),
            b')' | b'|' if self.last == Last::Nothing => return Err(PatternError::Nothing),
            b')' => {
                self.depth -= 1;
                self.done.push(')');
                self.last = Last::Item;
            }
            b'|' => {
                self.done.push('|');
                self.last = Last::Nothing;
            }
            b'^' | b'$' => {
                self.done.push_str(if byte == b'^' { r"\A" } else { r"\z" });
                self.last = Last::Anchor;
            }
            b'*' | b'+' | b'?' => {
                self.repeat()?;
                self.done.push(char::from(byte));
            }
            b'{' => {
                self.repeat()?;
                let interval = self.interval()?;
                self.done.push_str(&interval);
            }
            b'[' => {
                let set = Set::read(&mut self.rest)?;
                self.item(&set.to_string());
            }
            b'.' => self.item(r"[\x00-\x7f]"),
            b'\\' => match self.next() {
                Some(special) if SPECIAL.contains(&special) => self.literal(special),
                Some(other) => return Err(PatternError::Escape(char::from(other))),
                None => return Err(PatternError::Nothing),
            },
            literal => self.literal(literal),
        }
        Ok(())
    }

    fn literal(&mut self, byte: u8) {
        self.item(&format!(r"\x{:02x}", byte.to_ascii_lowercase()));
    }

    fn item(&mut self, item: &str) {
        self.done.push_str(item);
        self.last = Last::Item;
    }

    fn repeat(&mut self) -> Result<(), PatternError> {
        match std::mem::replace(&mut self.last, Last::Repetition) {
            Last::Item => Ok(()),
            Last::Nothing => Err(PatternError::Nothing),
            Last::Anchor | Last::Repetition => Err(PatternError::Repetition),
        }
    }

    /// What follows the brace of an interval.
    fn interval(&mut self) -> Result<String, PatternError> {
        let end = self.rest.iter().position(|byte| *byte == b'}');
        let (inside, rest) = self.rest.split_at(end.ok_or(PatternError::Unbalanced)?);
        self.rest = &rest[1..];
        let inside = String::from_utf8_lossy(inside);
        let number = |text: &str| -> Result<u32, PatternError> {
            let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = text.parse().ok().filter(|n| is_number && *n <= REPETITIONS_MAX);
            number.ok_or(PatternError::Repetition)
        };
        let (from, to) = match inside.split_once(',') {
            None => (number(&inside)?, Some(number(&inside)?)),
            Some((from, "")) => (number(from)?, None),
            Some((from, to)) => (number(from)?, Some(number(to)?)),
        };
        match to {
            Some(to) if to < from => Err(PatternError::Repetition),
            Some(to) => Ok(format!("{{{from},{to}}}")),
            None => Ok(format!("{{{from},}}")),
        }
    }
}

/// A bracket expression: a set of ASCII characters.
struct Set {
    members: [bool; 128],
}

impl Set {
    /// Reads what follows the opening bracket. A backslash is a member like others (§9.3.5).
    fn read(rest: &mut &[u8]) -> Result<Self, PatternError> {
        let mut set = Self { members: [false; 128] };
        let is_negated = rest.first() == Some(&b'^');
        if is_negated {
            *rest = &rest[1..];
        }
        let mut is_first = true;
        loop {
            let (&byte, behind) = rest.split_first().ok_or(PatternError::Unbalanced)?;
            if byte == b']' && !is_first {
                *rest = behind;
                break;
            }
            is_first = false;
            if byte == b'[' && behind.first().is_some_and(|b| b".=:".contains(b)) {
                *rest = set.class(behind)?;
                continue;
            }
            match behind {
                [b'-', end, after @ ..] if *end != b']' => {
                    if *end < byte || *end == b'[' {
                        return Err(PatternError::Set);
                    }
                    (byte..=*end).for_each(|member| set.add(member));
                    *rest = after;
                }
                _ => {
                    set.add(byte);
                    *rest = behind;
                }
            }
        }
        if is_negated {
            set.members.iter_mut().for_each(|member| *member = !*member);
        }
        Ok(set)
    }

    /// Adds a class such as `[:alpha:]`, of which the first bracket has been read. Sets of
    /// collating elements are those of a locale, and there is none here.
    fn class<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], PatternError> {
        let end = rest.windows(2).skip(1).position(|two| two == b":]");
        let end = end.ok_or(PatternError::Set)? + 1;
        let is_member: fn(&u8) -> bool = match &rest[..end] {
            b":alnum" => u8::is_ascii_alphanumeric,
            b":alpha" | b":upper" | b":lower" => u8::is_ascii_alphabetic,
            b":digit" => u8::is_ascii_digit,
            b":xdigit" => u8::is_ascii_hexdigit,
            b":punct" => u8::is_ascii_punctuation,
            b":graph" => u8::is_ascii_graphic,
            b":print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
            b":blank" => |byte| matches!(byte, b' ' | b'\t'),
            b":space" => |byte| byte.is_ascii_whitespace() || *byte == 0x0b,
            b":cntrl" => u8::is_ascii_control,
            _ => return Err(PatternError::Set),
        };
        (0..128).filter(is_member).for_each(|member| self.add(member));
        Ok(&rest[end + 2..])
    }

    /// Domains are compared in lower case.
    fn add(&mut self, member: u8) {
        if let Some(place) = self.members.get_mut(usize::from(member.to_ascii_lowercase())) {
            *place = true;
        }
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.members == [false; 128] {
            // A class with nothing in it matches nothing.
            return f.write_str(r"[^\x00-\xff]");
        }
        f.write_str("[")?;
        for (member, _) in self.members.iter().enumerate().filter(|(_, is_member)| **is_member) {
            write!(f, r"\x{member:02x}")?;
        }
        f.write_str("]")
    }
}

/// The characters that mean themselves only behind a backslash (§9.4.3); POSIX leaves open what a
/// backslash before `]` and `}` is, and everybody writes it.
const SPECIAL: &[u8] = b".[\\()*+?{|^$]}/-";

// limits

/// As long as a domain can be.
const PATTERN_BYTES_MAX: usize = 253;
/// `RE_DUP_MAX` of POSIX.
const REPETITIONS_MAX: u32 = 255;
/// What a pattern becomes: one of 253 characters takes about 20 KiB, repetitions multiply it.
const PROGRAM_BYTES_MAX: usize = 256 * 1024;
/// What matching may keep at a time.
const CACHE_BYTES_MAX: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, domain: &str) -> bool {
        DomainPattern::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}")).matches(domain)
    }

    fn admit(enable: bool, patterns: &[&str], domain: &str) -> bool {
        let overlay = OverlayName::new("overlay.example").expect("a name");
        let patterns = patterns.iter().map(|p| DomainPattern::new(p).expect("a pattern")).collect();
        DomainRestrictions { enable, patterns }.admit(&overlay, domain)
    }

    /// R7904-3.4-01: without `enable` only the overlay's own domain, whatever the patterns.
    #[test]
    fn only_the_own_domain() {
        for patterns in [&[][..], &[".*"]] {
            assert!(admit(false, patterns, "overlay.example"));
            assert!(admit(false, patterns, "OVERLAY.example"));
            assert!(!admit(false, patterns, "other.example"));
            assert!(!admit(false, patterns, "sub.overlay.example"));
        }
    }

    /// R7904-3.4-02: the RFC's own patterns. Without a pattern nothing is taken, not even the
    /// overlay's domain (T-84).
    #[test]
    fn only_what_a_pattern_matches() {
        let patterns = [r"dht\.example\.com", r".*\.my\.example"];
        for (domain, is_taken) in [
            ("dht.example.com", true),
            ("DHT.example.COM", true),
            ("a.my.example", true),
            ("a.b.my.example", true),
            ("my.example", false),
            ("dht.example.com.evil", false),
            ("evil.dht.example.com", false),
            ("dhtxexample.com", false),
            ("overlay.example", false),
            ("", false),
        ] {
            assert_eq!(admit(true, &patterns, domain), is_taken, "{domain}");
        }
        assert!(!admit(true, &[], "overlay.example"));
    }

    /// R7904-3.4-04: the operators of POSIX, anchored at both ends.
    #[test]
    fn patterns_are_posix() {
        for (pattern, domain, does) in [
            ("a|bc", "a", true),
            ("a|bc", "bc", true),
            ("a|bc", "abc", false),
            ("a|bc", "ac", false),
            ("^a$|^b$", "b", true),
            ("(^a)b", "ab", true),
            ("a^b", "ab", false),
            ("(ab)+", "abab", true),
            ("(ab)+", "aba", false),
            ("ab?", "a", true),
            ("a{2}", "aa", true),
            ("a{2}", "aaa", false),
            ("a{2,}", "aaa", true),
            ("a{1,2}", "aaa", false),
            ("[[:digit:]]+", "42", true),
            ("[[:digit:][:upper:]]+", "4x", true),
            ("[[:alpha:]]", "4", false),
            ("[^a-c]", "d", true),
            ("[^a-c]", "B", false),
            ("[^A]", "a", false),
            ("[A-C]", "b", true),
            ("[]a]", "]", true),
            ("[^]a]", "]", false),
            ("[a-]", "-", true),
            ("[-a]", "-", true),
            (r"[\.]", r"\", true),
            (r"[\d]", "4", false),
            ("[&&a]", "&", true),
            ("[a~~b]", "b", true),
            ("[.]", "a", false),
            ("a.c", "a-c", true),
            ("x#y", "x#y", true),
            ("a}", "a}", true),
            (r"a\+", "a+", true),
            (r"a\-b", "a-b", true),
        ] {
            assert_eq!(matches(pattern, domain), does, "{pattern} on {domain}");
        }
    }

    /// R7904-3.4-04: restricted ASCII without escapes, and nothing that POSIX leaves open.
    #[test]
    fn what_is_no_pattern_gets_a_reason() {
        use PatternError::*;
        for (pattern, error) in [
            ("", Nothing),
            ("a||b", Nothing),
            ("|a", Nothing),
            ("a|", Nothing),
            ("()", Nothing),
            ("*a", Nothing),
            ("(+a)", Nothing),
            ("a\\", Nothing),
            ("a**", Repetition),
            ("a+?", Repetition),
            ("^*", Repetition),
            ("a{2}{3}", Repetition),
            ("a{3,2}", Repetition),
            ("a{256}", Repetition),
            ("a{+1}", Repetition),
            ("a{,2}", Repetition),
            ("a{b}", Repetition),
            ("{2}", Nothing),
            ("a{2", Unbalanced),
            ("(a", Unbalanced),
            ("a)", Unbalanced),
            ("[a", Unbalanced),
            ("[]", Unbalanced),
            ("[b-a]", Set),
            ("[[:foo:]]", Set),
            ("[[.a.]]", Set),
            ("[[=a=]]", Set),
            ("[a-[:digit:]]", Set),
            (r"\d", Escape('d')),
            (r"\b", Escape('b')),
            (r"\1", Escape('1')),
            ("a%2e", Character('%')),
            ("müller", Character('ü')),
            ("a b", Character(' ')),
            ("a\nb", Character('\n')),
        ] {
            assert_eq!(DomainPattern::new(pattern).err(), Some(error), "{pattern}");
        }
        let long = "a".repeat(PATTERN_BYTES_MAX + 1);
        assert_eq!(DomainPattern::new(&long).err(), Some(TooLarge));
        assert_eq!(DomainPattern::new("(((a{255}){255}){255})").err(), Some(TooLarge));
        let deep = format!("{}a{}", "(".repeat(126), ")".repeat(126));
        assert!(DomainPattern::new(&deep).is_ok());
    }

    proptest! {
        /// A pattern of ordinary characters matches itself, and no set, escape or operator that is
        /// accepted makes a program that cannot be run.
        #[test]
        fn no_pattern_makes_it_panic(
            pattern in r"[a-c.\\\[\](){}|*+?^$:0-9,=-]{0,20}",
            domain in "[a-zA-Z0-9.-]{0,20}",
        ) {
            if let Ok(pattern) = DomainPattern::new(&pattern) {
                prop_assert_eq!(DomainPattern::new(pattern.as_str()), Ok(pattern.clone()));
                pattern.matches(&domain);
            }
            let literal = domain.replace('.', r"\.");
            if !domain.is_empty() {
                prop_assert!(matches(&literal, &domain));
                let longer = format!("{domain}x");
                prop_assert!(!matches(&literal, &longer));
            }
        }
    }
}
