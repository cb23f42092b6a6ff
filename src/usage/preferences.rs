//! Contact preferences: a feature set in the syntax of RFC 2533, of which we read one feature, the
//! SIP schemes (RFC 7904 §3.2, RFC 3840 §10).

use super::limits;

/// The preferences of a device that takes calls by SIPS alone.
pub const SIPS_ONLY: &[u8] = b"(sip.schemes=SIPS)";

/// Whether a device with these preferences wants to be called by SIPS and not by SIP. What cannot
/// be read says nothing (T-90).
pub fn wants_sips(contact_prefs: &[u8]) -> bool {
    let text = std::str::from_utf8(contact_prefs).ok();
    let Some(predicate) = text.and_then(Predicate::parse) else { return false };
    let admits = |scheme| predicate.holds(scheme) != Some(false);
    !admits("SIP") && admits("SIPS")
}

#[derive(Debug)]
enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    /// The schemes are among these.
    Schemes(Vec<String>),
    /// A feature that we do not look at.
    Other,
}

impl Predicate {
    fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text, depth: 0 };
        let predicate = parser.filter()?;
        // Parameters such as a quality may follow (RFC 2533 §4.1).
        let rest = parser.rest.trim_start();
        (rest.is_empty() || rest.starts_with(';')).then_some(predicate)
    }

    /// Whether it holds for a call by this scheme; `None` if that depends on something else.
    fn holds(&self, scheme: &str) -> Option<bool> {
        match self {
            Self::All(parts) => {
                let results: Vec<_> = parts.iter().map(|part| part.holds(scheme)).collect();
                match results.contains(&Some(false)) {
                    true => Some(false),
                    false => (!results.contains(&None)).then_some(true),
                }
            }
            Self::Any(parts) => {
                let results: Vec<_> = parts.iter().map(|part| part.holds(scheme)).collect();
                match results.contains(&Some(true)) {
                    true => Some(true),
                    false => (!results.contains(&None)).then_some(false),
                }
            }
            Self::Not(part) => part.holds(scheme).map(|holds| !holds),
            Self::Schemes(schemes) => Some(schemes.iter().any(|s| s.eq_ignore_ascii_case(scheme))),
            Self::Other => None,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn take(&mut self, wanted: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(wanted)?;
        Some(())
    }

    fn filter(&mut self) -> Option<Predicate> {
        self.take('(')?;
        self.depth += 1;
        if self.depth > limits::PREFERENCES_DEPTH_MAX {
            return None;
        }
        let predicate = if self.take('&').is_some() {
            Predicate::All(self.filters()?)
        } else if self.take('|').is_some() {
            Predicate::Any(self.filters()?)
        } else if self.take('!').is_some() {
            Predicate::Not(Box::new(self.filter()?))
        } else {
            self.item()?
        };
        self.depth -= 1;
        self.take(')')?;
        Some(predicate)
    }

    fn filters(&mut self) -> Option<Vec<Predicate>> {
        let mut filters = Vec::new();
        while self.rest.trim_start().starts_with('(') {
            filters.push(self.filter()?);
        }
        (!filters.is_empty()).then_some(filters)
    }

    /// A feature with a value, or with a set of values in brackets.
    fn item(&mut self) -> Option<Predicate> {
        let mut is_quoted = false;
        let end = self.rest.find(|c| {
            is_quoted ^= c == '"';
            c == ')' && !is_quoted
        })?;
        let (item, rest) = self.rest.split_at(end);
        self.rest = rest;
        let (feature, value) = item.split_once('=')?;
        if !feature.trim().eq_ignore_ascii_case("sip.schemes") {
            return Some(Predicate::Other);
        }
        let value = value.trim();
        let set = value.strip_prefix('[').and_then(|set| set.strip_suffix(']')).unwrap_or(value);
        let schemes = set.split(',').map(|scheme| scheme.trim().trim_matches('"').to_owned());
        Some(Predicate::Schemes(schemes.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R7904-5.1-06: whether SIPS is to be used, as the callee's preferences say; what they do not
    /// say or say unreadably changes nothing.
    #[test]
    fn preferences_say_which_scheme() {
        for sips in [
            "(sip.schemes=SIPS)",
            " ( sip.schemes = \"sips\" ) ",
            "(&(sip.audio=TRUE)(sip.schemes=SIPS)(sip.priority>=3))",
            "(|(sip.schemes=SIPS)(&(sip.schemes=SIPS)(sip.video=TRUE)))",
            "(!(sip.schemes=SIP))",
            "(sip.schemes=[SIPS,TEL]);q=0.5",
        ] {
            assert!(wants_sips(sips.as_bytes()), "{sips}");
        }
        let deep = format!("{}sip.schemes=SIPS{}", "(!".repeat(10_000), ")".repeat(10_000));
        for other in [
            "",
            "(sip.schemes=SIP)",
            "(sip.schemes=[SIP,SIPS])",
            "(|(sip.schemes=SIPS)(sip.audio=TRUE))",
            "(&(sip.schemes=SIPS)(sip.schemes=SIP))",
            "(sip.audio=TRUE)",
            "(sip.schemes=SIPS",
            "sip.schemes=SIPS",
            "(sip.schemes=SIPS) and more",
            "(&)",
            "(x=\")",
            &deep,
        ] {
            assert!(!wants_sips(other.as_bytes()), "{other}");
        }
        assert!(!wants_sips(b"(sip.schemes=\xff)"));
        assert!(wants_sips(SIPS_ONLY));
    }
}
