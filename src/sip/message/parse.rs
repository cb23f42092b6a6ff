//! From a datagram to a message (RFC 3261 §7, §18.3).

use rsip::StatusCode;
use thiserror::Error;

use super::text::{is_token, one_line, printable};
use super::{Body, Headers, Message, Request, Response};
use crate::sip::limits;

/// Why a datagram is no SIP message. Nothing can be answered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1).
    #[error("the datagram is empty")]
    Empty,
    /// Longer than we read.
    #[error("the message is longer than {} bytes", limits::MESSAGE_BYTES_MAX)]
    TooLong,
    /// The empty line after the header fields never comes.
    #[error("the header has no end")]
    Unfinished,
    /// Neither a request line nor a status line.
    #[error("the first line is neither a request line nor a status line")]
    StartLine,
    /// A line that is not `name: value`.
    #[error("a header line has no name")]
    HeaderLine,
    /// More fields than we read.
    #[error("more than {} header fields", limits::HEADERS_MAX)]
    TooManyHeaders,
    /// A control character, such as a lone carriage return, inside a line.
    #[error("a control character in the header")]
    Control,
}

impl Message {
    /// Reads the one message of a datagram.
    ///
    /// # Errors
    ///
    /// The bytes are no SIP message; see [`ParseError`].
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        if datagram.len() > limits::MESSAGE_BYTES_MAX {
            return Err(ParseError::TooLong);
        }
        let leading = datagram.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let datagram = &datagram[leading..];
        if datagram.is_empty() {
            return Err(ParseError::Empty);
        }
        let (lines, rest) = lines(datagram)?;
        let (start, fields) = lines.split_first().ok_or(ParseError::StartLine)?;
        let start = start.trim_end();
        let mut headers = headers(fields)?;
        let body = body(&mut headers, rest);
        if headers.0.len() > limits::HEADERS_MAX {
            return Err(ParseError::TooManyHeaders);
        }
        if start.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("SIP/")) {
            return response(start, headers, body).ok_or(ParseError::StartLine);
        }
        request(start, headers, body).ok_or(ParseError::StartLine)
    }
}

/// The long form of a compact name, in its usual spelling; any other name as it is.
pub(super) fn long_name(name: &str) -> &str {
    let known = COMPACT
        .iter()
        .find(|(short, long)| name.eq_ignore_ascii_case(short) || name.eq_ignore_ascii_case(long));
    known.map_or(name, |(_, long)| long)
}

/// The compact form of a name, if it has one.
pub(super) fn short_name(name: &str) -> &str {
    let known = COMPACT.iter().find(|(_, long)| name.eq_ignore_ascii_case(long));
    known.map_or(name, |(short, _)| short)
}

/// Compact names (RFC 3261 §7.3.3, and the registry it began).
const COMPACT: [(&str, &str); 18] = [
    ("a", "Accept-Contact"),
    ("b", "Referred-By"),
    ("c", "Content-Type"),
    ("d", "Request-Disposition"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("j", "Reject-Contact"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("o", "Event"),
    ("r", "Refer-To"),
    ("s", "Subject"),
    ("t", "To"),
    ("u", "Allow-Events"),
    ("v", "Via"),
    ("x", "Session-Expires"),
];

/// The lines of the header, unfolded, and the bytes after the empty line. A bare LF ends a line
/// like CRLF does.
fn lines(datagram: &[u8]) -> Result<(Vec<String>, &[u8]), ParseError> {
    let mut lines: Vec<String> = Vec::new();
    let mut rest = datagram;
    loop {
        let end = rest.iter().position(|b| *b == b'\n').ok_or(ParseError::Unfinished)?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok((lines, rest));
        }
        if has_bare_control(line) {
            return Err(ParseError::Control);
        }
        let text = String::from_utf8_lossy(line);
        // Folding: a line that begins with white space goes on with the one before (§7.3.1).
        if (line.starts_with(b" ") || line.starts_with(b"\t"))
            && let Some(last) = lines.last_mut()
        {
            last.push(' ');
            last.push_str(text.trim());
        } else if lines.len() > limits::HEADERS_MAX + 1 {
            // Content-Length is not counted: it is written whether it was there or not.
            return Err(ParseError::TooManyHeaders);
        } else {
            lines.push(text.into_owned());
        }
    }
}

/// Whether a line holds a control character, other than one that a backslash in a quoted string
/// has made harmless: those become spaces later. CR cannot be quoted (RFC 3261 §25.1).
fn has_bare_control(line: &[u8]) -> bool {
    let mut before = 0;
    line.iter().any(|byte| {
        let quoted = std::mem::replace(&mut before, *byte) == b'\\' && *byte != b'\r';
        byte.is_ascii_control() && *byte != b'\t' && !quoted
    })
}

fn headers(fields: &[String]) -> Result<Headers, ParseError> {
    let mut headers = Headers::default();
    for field in fields {
        let (name, value) = field.split_once(':').ok_or(ParseError::HeaderLine)?;
        let name = name.trim_end();
        if !is_token(name) {
            return Err(ParseError::HeaderLine);
        }
        headers.push(name, value.trim());
    }
    Ok(headers)
}

/// Takes Content-Length out of the header fields and cuts the body to it (§18.3).
fn body(headers: &mut Headers, rest: &[u8]) -> Body {
    let declared: Vec<&str> = headers.all("Content-Length").collect();
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<usize>().ok(),
        false => None,
    };
    let length = match declared.as_slice() {
        [] => Some(rest.len()),
        [one] => number(one),
        _ => None,
    };
    let complete = length.is_some_and(|l| l <= rest.len());
    let length = length.unwrap_or(0).min(rest.len());
    headers.0.retain(|(name, _)| name != "Content-Length");
    Body { bytes: rest[..length].to_vec(), complete }
}

fn request(line: &str, headers: Headers, body: Body) -> Option<Message> {
    let (method, rest) = line.split_once(' ')?;
    let (target, version) = rest.rsplit_once(' ')?;
    let (protocol, number) = version.split_once('/')?;
    if !protocol.eq_ignore_ascii_case("SIP") || target.is_empty() {
        return None;
    }
    Some(Message::Request(Request {
        method: method.parse().ok()?,
        // Whether it is a URI shows later: a bad one is answered 400, which needs the rest.
        target: printable(target),
        version_known: number == "2.0",
        headers,
        body,
    }))
}

fn response(line: &str, headers: Headers, body: Body) -> Option<Message> {
    let (version, rest) = line.split_once(' ')?;
    let (code, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    if !version.eq_ignore_ascii_case("SIP/2.0") || code.len() != 3 {
        return None;
    }
    let code: u16 = code.bytes().all(|b| b.is_ascii_digit()).then(|| code.parse().ok())??;
    if !(100..700).contains(&code) {
        return None;
    }
    let phrase = one_line(phrase.trim());
    // The vocabulary names an unknown code "Other"; the phrase that came with it is better.
    let status = match StatusCode::from(code) {
        StatusCode::Other(code, _) => StatusCode::Other(code, phrase.clone()),
        known => known,
    };
    Some(Message::Response(Response { status, phrase, headers, body }))
}
