//! SIP messages: requests and responses as they stand in one datagram (RFC 3261 §7).
//!
//! Reading is tolerant where RFC 4475 says that a good implementation is (folded lines, compact
//! names, spaces around colons and slashes, unknown schemes, methods and headers) and never
//! guesses where two readings are possible. Writing cannot produce a second line out of a value:
//! every constructor and [`Headers::push`] keep control characters out.

mod address;
mod digest;
mod extensions;
mod method;
mod parse;
mod replaces;
mod stream;
mod text;
mod uri;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use rsip::StatusCode;
use thiserror::Error;

pub use address::{CSeq, NameAddr, Reason, Via};
pub use digest::{Challenge, Credentials};
pub use extensions::{RAck, Refresher, SessionExpires};
pub use method::Method;
pub use parse::ParseError;
pub use replaces::Replaces;
pub use stream::first_in_stream;
pub use text::Params;
pub use uri::{Aor, Host, SipUri, Uri};

use super::limits;
use text::one_line;

/// Why a header field cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// A field that must be there is not.
    #[error("no {0} header field")]
    Missing(&'static str),
    /// A field that may occur once occurs again.
    #[error("more than one {0} header field")]
    Repeated(&'static str),
    /// A field or a part of it does not follow the grammar.
    #[error("{0} is malformed")]
    Invalid(&'static str),
}

/// A request or a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What a client sends.
    Request(Request),
    /// What a server answers.
    Response(Response),
}

/// A request (RFC 3261 §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: Method,
    target: String,
    version_known: bool,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    body: Body,
}

impl Request {
    /// A request without header fields or body.
    pub fn new(method: Method, target: &Uri) -> Self {
        Self {
            method,
            target: target.to_string(),
            version_known: true,
            headers: Headers::default(),
            body: Body::default(),
        }
    }

    /// The ACK of this INVITE's refusal, or its CANCEL: the same Request-URI, topmost Via, From,
    /// Call-ID, CSeq number and Route; To as in the response, if one is given (RFC 3261 §9.1,
    /// §17.1.1.3).
    pub fn follow_up(&self, method: rsip::Method, to: Option<&str>) -> Self {
        let mut headers = Headers::default();
        for name in ["Via", "Route", "Max-Forwards", "From", "To", "Call-ID"] {
            let values = self.headers.all(name);
            // Our own requests have one Via.
            for value in values.take(if name == "Route" { limits::ROUTES_MAX } else { 1 }) {
                headers.push(name, if name == "To" { to.unwrap_or(value) } else { value });
            }
        }
        if let Ok(cseq) = self.headers.cseq() {
            let cseq = CSeq { number: cseq.number, method: method.into() };
            headers.push("CSeq", &cseq.to_string());
        }
        Self { method: method.into(), headers, body: Body::default(), ..self.clone() }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The Request-URI.
    ///
    /// # Errors
    ///
    /// It does not follow the grammar; the request is answered 400 then.
    pub fn uri(&self) -> Result<Uri, HeaderError> {
        self.target.parse().map_err(|_| HeaderError::Invalid("Request-URI"))
    }

    /// The Request-URI as it is written.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Whether the version is SIP/2.0; any other is answered 505 (RFC 3261 §21.5.6).
    pub fn is_version_known(&self) -> bool {
        self.version_known
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, bytes: Vec<u8>) {
        self.headers.push("Content-Type", content_type);
        self.body = Body { bytes, complete: true };
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body.bytes
    }

    /// Whether Content-Length is well-formed and that much has come (RFC 3261 §18.3).
    pub fn is_body_complete(&self) -> bool {
        self.body.complete
    }

    /// The message as a datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = format!("{} {} SIP/2.0\r\n", self.method, self.target);
        write(&start, &self.headers, &self.body.bytes)
    }
}

/// A response (RFC 3261 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: StatusCode,
    phrase: String,
    /// The header fields, without Content-Length.
    pub headers: Headers,
    body: Body,
}

impl Response {
    /// The response to a request, with what RFC 3261 §8.2.6.2 has copied from it. `to_tag` goes
    /// into the To header field unless the request has a tag there.
    pub fn to(request: &Request, status: StatusCode, to_tag: Option<&str>) -> Self {
        let mut headers = Headers::default();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers.all(name) {
                headers.push(name, value);
            }
        }
        if let (Ok(to), Some(tag)) = (headers.to(), to_tag)
            && to.tag().is_none()
        {
            headers.replace("To", &to.with_tag(tag).to_string());
        }
        if status == StatusCode::Trying {
            for value in request.headers.all("Timestamp") {
                headers.push("Timestamp", value);
            }
        }
        Self { phrase: phrase(&status), status, headers, body: Body::default() }
    }

    /// The status code.
    pub fn status(&self) -> &StatusCode {
        &self.status
    }

    /// The status code as a number, 100 to 699.
    pub fn code(&self) -> u16 {
        self.status.code()
    }

    /// The words beside the status code, unverified.
    pub fn phrase(&self) -> &str {
        &self.phrase
    }

    /// Sets the body and its Content-Type.
    pub fn set_body(&mut self, content_type: &str, bytes: Vec<u8>) {
        self.headers.push("Content-Type", content_type);
        self.body = Body { bytes, complete: true };
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body.bytes
    }

    /// Whether Content-Length is well-formed and that much has come (RFC 3261 §18.3).
    pub fn is_body_complete(&self) -> bool {
        self.body.complete
    }

    /// The message as a datagram.
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = format!("SIP/2.0 {:03} {}\r\n", self.code(), self.phrase);
        write(&start, &self.headers, &self.body.bytes)
    }
}

/// Header fields in their order. Names compare without regard to case, and their compact forms
/// (RFC 3261 §7.3.3) are the same names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Appends a field. Control characters in the value become spaces, so that no value can begin
    /// another line.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((one_line(parse::long_name(name)), one_line(value)));
    }

    /// Puts a field before all others.
    pub fn push_front(&mut self, name: &str, value: &str) {
        self.0.insert(0, (one_line(parse::long_name(name)), one_line(value)));
    }

    /// Removes every field of that name and appends one.
    pub fn replace(&mut self, name: &str, value: &str) {
        match self.0.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(at) => self.0[at].1 = one_line(value),
            None => self.push(name, value),
        }
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Whether a list names this token.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.list(name).iter().any(|element| element.eq_ignore_ascii_case(token))
    }

    /// The values of that name, one for each line.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The first value of that name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The elements of a field that holds a comma-separated list, over all its lines.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        let elements = values.flat_map(|(_, v)| text::split(v, ','));
        elements.filter(|e| !e.is_empty()).take(limits::LIST_MAX).collect()
    }

    /// The one value of a field that must occur exactly once.
    ///
    /// # Errors
    ///
    /// It is missing or repeated.
    pub fn single(&self, name: &'static str) -> Result<&str, HeaderError> {
        let mut values = self.all(name);
        let value = values.next().ok_or(HeaderError::Missing(name))?;
        if values.next().is_some() { Err(HeaderError::Repeated(name)) } else { Ok(value) }
    }

    /// The topmost hop.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn via(&self) -> Result<Via, HeaderError> {
        self.list("Via").first().ok_or(HeaderError::Missing("Via"))?.parse()
    }

    /// From.
    ///
    /// # Errors
    ///
    /// It is missing, repeated or malformed.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.single("From")?.parse().map_err(|_| HeaderError::Invalid("From"))
    }

    /// To.
    ///
    /// # Errors
    ///
    /// It is missing, repeated or malformed.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.single("To")?.parse().map_err(|_| HeaderError::Invalid("To"))
    }

    /// Call-ID.
    ///
    /// # Errors
    ///
    /// It is missing, repeated or empty.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        match self.single("Call-ID")? {
            "" => Err(HeaderError::Invalid("Call-ID")),
            value => Ok(value),
        }
    }

    /// CSeq.
    ///
    /// # Errors
    ///
    /// It is missing, repeated or malformed.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.single("CSeq")?.parse()
    }

    /// The first Contact, which in a dialog is the only one.
    ///
    /// # Errors
    ///
    /// It is missing or malformed.
    pub fn contact(&self) -> Result<NameAddr, HeaderError> {
        let contacts = self.list("Contact");
        let first = contacts.first().ok_or(HeaderError::Missing("Contact"))?;
        first.parse().map_err(|_| HeaderError::Invalid("Contact"))
    }

    /// The Reason header field of SIP itself, or else the first one (RFC 3326 §2).
    pub fn reason(&self) -> Option<Reason> {
        let reasons = self.list("Reason");
        let sip =
            reasons.iter().find(|r| r.get(..3).is_some_and(|p| p.eq_ignore_ascii_case("SIP")));
        sip.or(reasons.first())?.parse().ok()
    }
}

/// The reason phrase of a status code: the vocabulary's name for it, with spaces.
pub fn phrase(status: &StatusCode) -> String {
    if let StatusCode::Other(_, phrase) = status {
        return one_line(phrase);
    }
    let text = status.to_string();
    let name = text.split_once(' ').map_or("", |(_, name)| name);
    let mut words = String::with_capacity(name.len() + 8);
    let mut after_small = false;
    for c in name.chars() {
        if c.is_ascii_uppercase() && after_small {
            words.push(' ');
        }
        after_small = c.is_ascii_lowercase();
        words.push(c);
    }
    words
}

/// A body, and whether it is as long as its Content-Length says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Body {
    bytes: Vec<u8>,
    complete: bool,
}

impl Default for Body {
    fn default() -> Self {
        Self { bytes: Vec::new(), complete: true }
    }
}

fn write(start: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let lines: usize = headers.0.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    let mut bytes = Vec::with_capacity(start.len() + lines + body.len() + 32);
    bytes.extend_from_slice(start.as_bytes());
    let length = body.len().to_string();
    let fields = headers.0.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    for (name, value) in fields.chain([("Content-Length", length.as_str())]) {
        for part in [name, ": ", value, "\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A message of ours for a path that fragments nothing: one that would not fit its MTU gets the
/// compact names (RFC 3261 §7.3.3; spec trap T-87). Any other one is left as it is, since there
/// are telephones that don't know them.
pub(super) fn fitted(message: Bytes) -> Bytes {
    let end = message.windows(4).position(|four| four == b"\r\n\r\n");
    let head = end.and_then(|end| str::from_utf8(&message[..end]).ok());
    let Some(head) = head.filter(|_| message.len() > limits::COMPACT_ABOVE_BYTES) else {
        return message;
    };
    let mut fitted = String::with_capacity(head.len());
    for (number, line) in head.split("\r\n").enumerate() {
        match line.split_once(": ").filter(|_| number > 0) {
            Some((name, value)) => fitted.extend(["\r\n", parse::short_name(name), ": ", value]),
            None => fitted.push_str(line),
        }
    }
    Bytes::from([fitted.as_bytes(), &message[head.len()..]].concat())
}
