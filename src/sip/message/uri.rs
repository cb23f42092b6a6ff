//! SIP and SIPS URIs, and Addresses of Record (RFC 3261 §19.1).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use rsip::Scheme;

use super::text::{Params, unescape};
use super::{HeaderError, Replaces};
use crate::sip::limits;

/// A URI as it stands in a Request-URI, From, To or Contact. A `sip` or `sips` one is taken
/// apart, every other scheme is carried as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uri {
    /// A `sip:` or `sips:` URI.
    Sip(SipUri),
    /// A URI of another scheme, such as `tel:`, as it was written.
    Other(String),
}

impl Uri {
    /// The URI of an Address of Record, whatever characters its user part holds.
    pub fn of(aor: &Aor) -> Self {
        let user = escape(&aor.user, b"-_.!~*'()&=+$,;?/");
        Self::Sip(SipUri {
            scheme: Scheme::Sip,
            user: Some(user),
            password: None,
            host: aor.host.clone(),
            port: None,
            params: Params::default(),
            headers: None,
        })
    }

    /// The URI of an Address of Record's domain, where its registrar is (RFC 3261 §10.2).
    pub fn of_domain(aor: &Aor) -> Self {
        match Self::of(aor) {
            Self::Sip(uri) => Self::Sip(SipUri { user: None, ..uri }),
            other => other,
        }
    }

    /// The URI as a Request-URI, where header fields may not stand (RFC 3261 §19.1.1).
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        if let Self::Sip(uri) = &mut self {
            uri.headers = None;
        }
        self
    }

    /// This SIP or SIPS URI with a Replaces header field for whoever calls it (RFC 3891 §6.1), and
    /// no other one.
    #[must_use]
    pub fn with_replaces(mut self, replaces: Option<&Replaces>) -> Self {
        if let Self::Sip(uri) = &mut self {
            let escaped = |replaces: &Replaces| escape(&replaces.to_string(), HEADER_MARKS);
            uri.headers = replaces.map(|replaces| format!("Replaces={}", escaped(replaces)));
        }
        self
    }

    /// This SIP or SIPS URI with the scheme of another one: who is called by SIPS and who calls by
    /// it have Contacts of that scheme (RFC 3261 §8.1.1.8, §12.1.1).
    #[must_use]
    pub fn with_scheme_of(mut self, other: &Self) -> Self {
        if let (Self::Sip(uri), Self::Sip(other)) = (&mut self, other) {
            uri.scheme.clone_from(&other.scheme);
        }
        self
    }

    /// This SIP or SIPS URI with the same user at another address.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        if let Self::Sip(uri) = &mut self {
            uri.host = match address.ip() {
                IpAddr::V4(ip) => Host::V4(ip),
                IpAddr::V6(ip) => Host::V6(ip),
            };
            uri.port = Some(address.port());
        }
        self
    }

    /// The Address of Record that a SIP or SIPS URI with a user part belongs to.
    pub fn aor(&self) -> Option<Aor> {
        match self {
            Self::Sip(uri) => {
                Some(Aor { user: unescape(uri.user.as_deref()?)?, host: uri.host.clone() })
            }
            Self::Other(_) => None,
        }
    }
}

impl FromStr for Uri {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let forbidden = |c: char| !c.is_ascii_graphic() || "<>\"".contains(c);
        if text.len() > limits::URI_BYTES_MAX || text.contains(forbidden) {
            return Err(HeaderError::Invalid("URI"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(HeaderError::Invalid("URI"))?;
        let mut letters = scheme.bytes();
        let valid = letters.next().is_some_and(|b| b.is_ascii_alphabetic())
            && letters.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !valid || rest.is_empty() {
            return Err(HeaderError::Invalid("URI"));
        }
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse(Scheme::Sip, rest).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse(Scheme::Sips, rest).map(Self::Sip)
        } else {
            Ok(Self::Other(text.to_owned()))
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The parts of a `sip:` or `sips:` URI. User and password keep their escapes, so that writing
/// gives back what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri {
    scheme: Scheme,
    user: Option<String>,
    password: Option<String>,
    host: Host,
    port: Option<u16>,
    params: Params,
    headers: Option<String>,
}

impl SipUri {
    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, if one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The parameters, such as `gr` of a GRUU (RFC 7904 §6).
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Whether it says header fields for whoever calls it.
    pub fn has_headers(&self) -> bool {
        self.headers.is_some()
    }

    /// The dialog that a call to this URI is to replace.
    ///
    /// # Errors
    ///
    /// It names more than one, or none that can be understood.
    pub fn replaces(&self) -> Result<Option<Replaces>, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("Replaces");
        let headers = self.headers.iter().flat_map(|headers| headers.split('&'));
        let mut values = headers.filter_map(|header| {
            let (name, value) = header.split_once('=')?;
            name.eq_ignore_ascii_case("Replaces").then_some(value)
        });
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(INVALID);
        }
        unescape(value).ok_or(INVALID)?.parse().map(Some)
    }

    /// Whether this is a `sips:` URI.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Sips
    }

    fn parse(scheme: Scheme, rest: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("SIP URI");
        // No part after the user may hold an unescaped "@", so the first one ends the user.
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|u| u.split_once(':').unwrap_or((u, ""))) {
            Some((user, password)) => (Some(user), Some(password).filter(|p| !p.is_empty())),
            None => (None, None),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,;?/".contains(&b);
        let valid = |t: &str| t.bytes().all(allowed) && unescape(t).is_some();
        if user.is_some_and(|u| u.is_empty() || !valid(u)) || !password.is_none_or(valid) {
            return Err(INVALID);
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers)),
            None => (rest, None),
        };
        let mut pieces = rest.split(';');
        let (host, port) = host_port(pieces.next().unwrap_or("")).ok_or(INVALID)?;
        let pieces: Vec<&str> = pieces.collect();
        if rest.contains('@') || headers.is_some_and(|h| h.contains('@')) {
            return Err(INVALID);
        }
        Ok(Self {
            scheme,
            user: user.map(str::to_owned),
            password: password.map(str::to_owned),
            host,
            port,
            params: Params::from_pieces(&pieces)?,
            headers: headers.map(str::to_owned),
        })
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// The host of a URI. Names are kept in lower case, since their case means nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// A DNS name, or the name of an overlay.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

impl FromStr for Host {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("host");
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(INVALID)?;
            return inner.parse().map(Self::V6).map_err(|_| INVALID);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::V4(address));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if text.is_empty() || text.len() > 255 || !text.bytes().all(allowed) {
            return Err(INVALID);
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// An Address of Record: a user at a domain, without scheme, escapes, port or parameters.
///
/// Two of them are equal when they name the same user: the domain's case does not count, the
/// user's does (RFC 3261 §19.1.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aor {
    user: String,
    host: Host,
}

impl Aor {
    /// The user part, without escapes.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The domain.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

impl FromStr for Aor {
    type Err = HeaderError;

    /// Reads `alice@example.org` as certificates write it, or a whole SIP URI (RFC 7904 §7).
    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let lower = text.get(..5).unwrap_or(text).to_ascii_lowercase();
        if lower.starts_with("sip:") || lower.starts_with("sips:") {
            return text.parse::<Uri>()?.aor().ok_or(HeaderError::Invalid("AoR"));
        }
        let (user, host) = text.rsplit_once('@').ok_or(HeaderError::Invalid("AoR"))?;
        if user.is_empty() || user.contains(char::is_control) {
            return Err(HeaderError::Invalid("AoR"));
        }
        Ok(Self { user: user.to_owned(), host: host.parse()? })
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.host)
    }
}

/// Escapes all but letters, digits and these marks (RFC 3261 §19.1.2).
fn escape(text: &str, marks: &[u8]) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || marks.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// What may stand in a header field of a URI as it is (RFC 3261 §25.1).
const HEADER_MARKS: &[u8] = b"-_.!~*'()[]/?:+$";

/// Takes `host[:port]` apart, IPv6 brackets included.
fn host_port(text: &str) -> Option<(Host, Option<u16>)> {
    let colon = match text.rfind(']') {
        Some(end) => text[end..].find(':').map(|at| end + at),
        None => text.find(':'),
    };
    let Some(at) = colon else { return Some((text.parse().ok()?, None)) };
    let digits = &text[at + 1..];
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((text[..at].parse().ok()?, Some(digits.parse().ok()?)))
}
