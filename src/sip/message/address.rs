//! Values of the header fields that a user agent must understand: From, To and Contact, Via,
//! CSeq (RFC 3261 §20) and Reason (RFC 3326).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::text::{Params, is_token, one_line, quote, quoted_string, split};
use super::{HeaderError, Method, Uri};

/// `name-addr` or `addr-spec`: From, To, Contact, Route and Record-Route (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    display: Option<String>,
    uri: Uri,
    params: Params,
}

impl NameAddr {
    /// An address without a name shown beside it.
    pub fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// The name to be shown, which nobody has verified.
    pub fn display(&self) -> Option<&str> {
        self.display.as_deref()
    }

    /// The URI.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The parameters of the header field.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The tag, half of a dialog's identity (RFC 3261 §19.3).
    pub fn tag(&self) -> Option<&str> {
        self.params.value("tag").filter(|t| !t.is_empty())
    }

    /// The same address with this tag, which must be a token.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.put_token("tag", tag);
        self
    }
}

impl FromStr for NameAddr {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("address");
        let text = text.trim();
        let (display, rest) = match quoted_string(text) {
            Some((display, rest)) => (Some(display), rest.trim_start()),
            // A quote that never ends could hide which of two addresses is meant.
            None if text.starts_with('"') => return Err(INVALID),
            None => match text.find('<') {
                Some(at) => (Some(one_line(&text[..at])), &text[at..]),
                None => (None, text),
            },
        };
        let display = display.filter(|d| !d.is_empty());
        if let Some(rest) = rest.strip_prefix('<') {
            let (uri, rest) = rest.split_once('>').ok_or(INVALID)?;
            let pieces = split(rest, ';');
            if !pieces.first().is_none_or(|p| p.is_empty()) {
                return Err(INVALID);
            }
            let params = Params::from_pieces(&pieces)?;
            return Ok(Self { display, uri: uri.trim().parse()?, params });
        }
        if display.is_some() {
            return Err(INVALID);
        }
        // Without brackets the parameters belong to the header field, not to the URI.
        let pieces = split(rest, ';');
        let (uri, pieces) = pieces.split_first().ok_or(INVALID)?;
        Ok(Self { display, uri: uri.parse()?, params: Params::from_pieces(pieces)? })
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

/// One hop of the Via header field. Nothing in it is ever resolved: answers go back on the flow
/// that the request came from (spec trap T-88), so any host and transport token will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    transport: String,
    sent_by: String,
    params: Params,
}

impl Via {
    /// The transport token of SIP on a DTLS flow over UDP; none is registered.
    pub const TRANSPORT: &'static str = "DTLS-UDP";
    /// How a branch begins that is unique for its client (RFC 3261 §8.1.1.7).
    pub const MAGIC_COOKIE: &'static str = "z9hG4bK";

    /// Our own hop.
    pub fn new(sent_by: &super::Host, branch: &str) -> Self {
        let mut params = Params::default();
        params.put_token("branch", branch);
        Self { transport: Self::TRANSPORT.to_owned(), sent_by: sent_by.to_string(), params }
    }

    /// The host, and port if any, that the hop claims, in lower case.
    pub fn sent_by(&self) -> &str {
        &self.sent_by
    }

    /// Where the request came from, as whoever answers it has seen it (RFC 3581 §4), if they say.
    pub fn seen_at(&self) -> Option<SocketAddr> {
        let port = self.params.value("rport")?.parse().ok().filter(|port| *port != 0)?;
        let host = self.params.value("received").or_else(|| {
            let (host, port) = self.sent_by.rsplit_once(':')?;
            Some(if port.ends_with(']') { &self.sent_by } else { host })
        });
        let host = host.unwrap_or(&self.sent_by).trim_start_matches('[').trim_end_matches(']');
        Some(SocketAddr::new(host.parse().ok()?, port))
    }

    /// The branch, if it is unique as RFC 3261 demands it.
    pub fn branch(&self) -> Option<&str> {
        let cookie = Self::MAGIC_COOKIE.len();
        let unique = |b: &&str| {
            b.len() > cookie
                && b.get(..cookie).is_some_and(|c| c.eq_ignore_ascii_case(Self::MAGIC_COOKIE))
        };
        self.params.value("branch").filter(unique)
    }
}

impl FromStr for Via {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("Via");
        let pieces = split(text, ';');
        let (first, pieces) = pieces.split_first().ok_or(INVALID)?;
        let mut protocol = first.splitn(3, '/').map(str::trim);
        let name = protocol.next().unwrap_or("");
        let version = protocol.next().unwrap_or("");
        let rest = protocol.next().ok_or(INVALID)?;
        let (transport, sent_by) = rest.split_once(char::is_whitespace).ok_or(INVALID)?;
        let sent_by: String = sent_by.split_whitespace().collect();
        // Who speaks another version has to be told so (RFC 3261 §21.5.6).
        let known = name.eq_ignore_ascii_case("SIP") && is_token(version);
        if !known || !is_token(transport) || sent_by.is_empty() {
            return Err(INVALID);
        }
        Ok(Self {
            transport: transport.to_owned(),
            sent_by: sent_by.to_ascii_lowercase(),
            params: Params::from_pieces(pieces)?,
        })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}{}", self.transport, self.sent_by, self.params)
    }
}

/// The CSeq header field: which request of its direction, and its method (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31 (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method of the request.
    pub method: Method,
}

impl FromStr for CSeq {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        const INVALID: HeaderError = HeaderError::Invalid("CSeq");
        let mut words = text.split_whitespace();
        let digits = words.next().filter(|w| w.bytes().all(|b| b.is_ascii_digit()));
        let number: u32 = digits.and_then(|d| d.parse().ok()).ok_or(INVALID)?;
        let method = words.next().ok_or(INVALID)?.parse()?;
        if number >= 1 << 31 || words.next().is_some() {
            return Err(INVALID);
        }
        Ok(Self { number, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Why a CANCEL or a BYE was sent (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    protocol: String,
    cause: Option<u16>,
    text: Option<String>,
}

impl Reason {
    /// A reason that is a SIP status code, with words for people.
    pub fn sip(cause: u16, text: &str) -> Self {
        Self { protocol: "SIP".to_owned(), cause: Some(cause), text: Some(one_line(text)) }
    }

    /// Another device of the callee has answered, so this is no missed call (RFC 3326 §3.1).
    pub fn completed_elsewhere() -> Self {
        Self::sip(200, "Call completed elsewhere")
    }

    /// Whether the call was answered on another device.
    pub fn is_completed_elsewhere(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP") && self.cause == Some(200)
    }

    /// The status code, or the cause of another protocol such as Q.850.
    pub fn cause(&self) -> Option<u16> {
        self.cause
    }

    /// The words that came with it, unverified.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl FromStr for Reason {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let pieces = split(text, ';');
        let (protocol, pieces) = pieces.split_first().ok_or(HeaderError::Invalid("Reason"))?;
        if !is_token(protocol) {
            return Err(HeaderError::Invalid("Reason"));
        }
        let params = Params::from_pieces(pieces)?;
        let words = params.value("text").map(|t| match quoted_string(t) {
            Some((words, _)) => words,
            None => t.to_owned(),
        });
        let cause = params.value("cause").and_then(|c| c.parse().ok());
        Ok(Self { protocol: (*protocol).to_owned(), cause, text: words })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", quote(text)),
            None => Ok(()),
        }
    }
}
