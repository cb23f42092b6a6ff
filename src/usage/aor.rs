//! Names of users: addresses of record (RFC 7904 §2).

use std::fmt;

use thiserror::Error;

use super::limits;
use crate::base::ResourceId;
use crate::config::OverlayName;
use crate::storage::resource_id;

/// An address of record without its scheme, such as `alice@example.org`: at once what people
/// dial, the user name of a certificate, and a Resource Name.
///
/// What [`parse_aor`] reads has its domain in lower case and its user part as it was given (T-27).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aor {
    /// The part before the `@`, without escapes.
    pub user: String,
    /// The part behind it.
    pub domain: String,
}

impl Aor {
    /// The user name of a certificate, or what [`Aor`] displays, to the octet: an Address of Record
    /// has no scheme, escapes or password (RFC 7904 §2). `None` if it has no user or no domain.
    pub fn of_user_name(name: &str) -> Option<Self> {
        let (user, domain) = name.rsplit_once('@').filter(|(user, _)| !user.is_empty())?;
        if name.len() > limits::AOR_LENGTH_MAX || OverlayName::new(domain).is_err() {
            return None;
        }
        Some(Self { user: user.to_owned(), domain: domain.to_owned() })
    }

    /// Whether a certificate's user name is this name: the case of a domain means nothing (RFC 3261
    /// §19.1.4, T-27).
    pub fn is_named(&self, user_name: &str) -> bool {
        let named = user_name.rsplit_once('@');
        named.is_some_and(|(user, domain)| {
            user == self.user && domain.eq_ignore_ascii_case(&self.domain)
        })
    }

    /// Where the user's registrations are (RFC 7904 §7).
    pub fn resource(&self) -> ResourceId {
        resource_id(self.to_string().as_bytes())
    }

    /// The name with scheme and escapes, as SIP messages carry it.
    pub fn to_sip_uri(&self) -> String {
        let mut uri = String::from("sip:");
        for byte in self.user.bytes() {
            // `user` of RFC 3261 §25.1.
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
        uri + "@" + &self.domain
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.domain)
    }
}

/// Reads what somebody dials: a name alone, which then is of `default_domain`, a name with
/// domain, or a SIP URI, whose scheme, escapes, parameters and headers go (RFC 7904 §7).
///
/// # Errors
///
/// One sentence for people that names what is wrong.
pub fn parse_aor(text: &str, default_domain: &str) -> Result<Aor, AorError> {
    let text = text.trim();
    let (is_uri, rest) = match text.split_once(':') {
        Some((scheme, rest)) if is_sip(scheme) => (true, rest),
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
            return Err(AorError::Scheme(scheme.to_owned()));
        }
        _ => (false, text),
    };
    // Parameters and headers follow the domain; the user part may hold both characters.
    let (user, domain) = match rest.split_once('@') {
        Some((user, behind)) => (user, behind.split([';', '?']).next().unwrap_or_default()),
        None => (rest, default_domain),
    };
    // A password after the user has never been of use and has no place in a name.
    let user = unescape(user.split(':').next().unwrap_or_default())
        .ok_or_else(|| AorError::Escape(text.to_owned()))?;
    if user.is_empty() {
        return Err(AorError::NoUser);
    }
    // What nobody types, other programs' certificates may hold: a URI has it in escapes.
    let is_bad =
        |c: &char| if is_uri { c.is_control() } else { !c.is_ascii_graphic() || *c == '@' };
    if let Some(bad) = user.chars().find(is_bad) {
        return Err(AorError::Character(user, bad));
    }
    let domain = OverlayName::new(&domain.to_ascii_lowercase())
        .map_err(|_| AorError::Domain(domain.to_owned()))?;
    if user.len() + domain.as_str().len() >= limits::AOR_LENGTH_MAX {
        return Err(AorError::TooLong);
    }
    Ok(Aor { user, domain: domain.as_str().to_owned() })
}

fn is_sip(scheme: &str) -> bool {
    ["sip", "sips"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// Undoes escapes with `%`; `None` if one is broken or the result is no text.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte == b'%' {
            let (digits, behind) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = behind;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Why something is no name to dial.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AorError {
    /// Nothing before the domain.
    #[error("the name of a user is missing")]
    NoUser,
    /// Another scheme than SIP's.
    #[error(
        "addresses that begin with \"{0}:\" cannot be called, only names such as alice@example.org"
    )]
    Scheme(String),
    /// A `%` without two digits.
    #[error("{0:?} is no name: after each % there must be two hexadecimal digits")]
    Escape(String),
    /// A character that names do not have.
    #[error("{0:?} is no name of a user: it must not contain {1:?}")]
    Character(String, char),
    /// The domain is none.
    #[error("{0:?} is no domain: a name looks like alice@example.org")]
    Domain(String),
    /// Longer than any certificate's user name.
    #[error("the name is too long")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Aor, AorError> {
        parse_aor(text, "dht.example.com")
    }

    /// R7904-2-01, R7904-7-01: scheme, escapes and parameters do not change the Resource-ID.
    #[test]
    fn every_way_to_write_a_name_is_the_same_resource() {
        for text in [
            "alice",
            "alice@dht.example.com",
            "sip:alice@dht.example.com",
            "SIPS:alice@DHT.Example.com;transport=tcp?subject=x",
            "sip:al%69ce@dht.example.com",
            "  sip:alice:secret@dht.example.com ",
        ] {
            let aor = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(aor.to_string(), "alice@dht.example.com");
            assert_eq!(aor.resource().to_string(), "0c51a942f50c828aef82a5af83e8ed59");
        }
        let other = parse("Alice").expect("a name");
        assert_eq!(other.to_string(), "Alice@dht.example.com", "case of users counts");
    }

    #[test]
    fn what_is_no_name_gets_a_sentence() {
        let refused = |text: &str| parse(text).expect_err(text);
        assert_eq!(refused(""), AorError::NoUser);
        assert_eq!(refused("@example.org"), AorError::NoUser);
        assert_eq!(refused("tel:+4930123456"), AorError::Scheme("tel".into()));
        assert_eq!(refused("a b@example.org"), AorError::Character("a b".into(), ' '));
        assert_eq!(refused("a%40b@example.org"), AorError::Character("a@b".into(), '@'));
        assert_eq!(refused("a%4@example.org"), AorError::Escape("a%4@example.org".into()));
        assert_eq!(refused("a@exa mple"), AorError::Domain("exa mple".into()));
        assert_eq!(refused("a@b@c"), AorError::Domain("b@c".into()));
        assert_eq!(refused(&"a".repeat(300)), AorError::TooLong);
        assert_eq!(refused("älice"), AorError::Character("älice".into(), 'ä'));
    }

    /// R7904-2-01: a certificate's name is an Address of Record as it stands.
    #[test]
    fn user_names_are_read_to_the_octet() {
        for name in ["a:b@example.org", "50%41@example.org", "sip:x@Example.org", "a@b@example.org"]
        {
            let aor = Aor::of_user_name(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(aor.to_string(), name);
            assert_eq!(aor.resource(), resource_id(name.as_bytes()));
        }
        // Written as a URI it is read as what it is.
        for name in
            ["a:b@example.org", "50%41@example.org", "sip:x@example.org", "\"a @\"@example.org"]
        {
            let aor = Aor::of_user_name(name).expect("a name");
            assert_eq!(parse(&aor.to_sip_uri()), Ok(aor));
        }
        for name in ["carol", "@example.org", "carol@", "carol@two words", "carol@example.org "] {
            assert_eq!(Aor::of_user_name(name), None, "{name}");
        }
        let long = format!("{}@example.org", "a".repeat(243));
        assert_eq!(Aor::of_user_name(&long), None);
    }

    #[test]
    fn sip_uris_escape_what_they_must() {
        let aor = parse("a%23b").expect("a name");
        assert_eq!(aor.user, "a#b");
        assert_eq!(aor.to_sip_uri(), "sip:a%23b@dht.example.com");
        assert_eq!(parse(&aor.to_sip_uri()), Ok(aor));
    }
}
