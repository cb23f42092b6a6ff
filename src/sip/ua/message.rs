//! Messages outside of calls (RFC 3428): a request that carries a text, and its one answer.
//!
//! A text of ours is answered by the other side's device, so that 200 means that it has the text.
//! A text for us is answered by the room above, once it is kept.

use std::collections::BTreeMap;

use rsip::{Method, StatusCode};

use super::api::{Event, FlowId, LegId};
use super::date;
use super::screen::{Asked, Refusal};
use super::table::{ClientKey, RequestId, ServerKey};
use super::{PRODUCT, UserAgent};
use crate::base::Instant;
use crate::sip::limits;
use crate::sip::message::{Aor, NameAddr, Request, Response, Uri, fitted};

/// A text and what tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The Call-ID: the same for each attempt to deliver the text, and for no other text, so that
    /// one that was delivered twice is known.
    pub call_id: String,
    /// The text.
    pub text: String,
    /// When it was written, milliseconds since the Unix epoch; what the other side says of that is
    /// not verified.
    pub written_unix_ms: Option<u64>,
}

/// What came of a text of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The other side has answered: with 200 it has the text, with 202 it passes the text on, and
    /// with anything else it does not take it.
    Answered(StatusCode),
    /// Nothing came back, or there is no flow: nobody knows whether it has arrived.
    Unanswered,
    /// With both names it is longer than [`limits::MESSAGE_REQUEST_BYTES_MAX`].
    TooLong,
}

/// Texts on their way.
#[derive(Default)]
pub(super) struct Texts {
    /// Ours that wait for an answer, and their flows.
    sent: BTreeMap<LegId, FlowId>,
    /// Those for us that wait for the room above.
    received: BTreeMap<LegId, Received>,
}

struct Received {
    key: ServerKey,
    request: Request,
    id: RequestId,
}

impl UserAgent {
    /// `Command::Message`.
    pub(super) fn message(
        &mut self,
        now: Instant,
        (id, flow): (LegId, FlowId),
        from: &Aor,
        to: &Uri,
        text: Text,
    ) {
        let has_room = self.texts.sent.len() < limits::MESSAGES_MAX;
        if !self.flows.contains_key(&flow) || !has_room {
            return self.event(Event::MessageOver { leg: id, receipt: Receipt::Unanswered });
        }
        let mut request = Request::new(Method::Message.into(), to);
        let from = NameAddr::new(Uri::of(from)).with_tag(&self.token());
        request.headers.push("From", &from.to_string());
        request.headers.push("To", &NameAddr::new(to.clone()).to_string());
        request.headers.push("Call-ID", &text.call_id);
        request.headers.push("CSeq", "1 MESSAGE");
        request.headers.push("Max-Forwards", "70");
        if let Some(unix_ms) = text.written_unix_ms {
            request.headers.push("Date", &date::write(unix_ms));
        }
        let key = ClientKey::new(&self.stamp(&mut request), Method::Message);
        request.set_body(PLAIN_TEXT, text.text.into_bytes());
        if fitted(request.to_bytes().into()).len() > limits::MESSAGE_REQUEST_BYTES_MAX {
            return self.event(Event::MessageOver { leg: id, receipt: Receipt::TooLong });
        }
        self.texts.sent.insert(id, flow);
        let bytes = self.table.start_other(now, key, (flow, id), &request);
        self.send_all(flow, bytes);
    }

    /// The other side has answered a text of ours.
    pub(super) fn on_message_response(&mut self, id: LegId, response: &Response) {
        if response.code() >= 200 {
            self.message_over(id, Receipt::Answered(response.status().clone()));
        }
    }

    /// Nothing more is heard of a text of ours.
    pub(super) fn message_over(&mut self, id: LegId, receipt: Receipt) {
        if self.texts.sent.remove(&id).is_some() {
            self.event(Event::MessageOver { leg: id, receipt });
        }
    }

    /// The answers to what went over a flow will not come, and ours have nowhere to go.
    pub(super) fn messages_down(&mut self, flow: FlowId) {
        self.texts.received.retain(|_, received| received.key.flow() != flow);
        let sent = self.texts.sent.iter().filter(|(_, on)| **on == flow);
        for id in sent.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.message_over(id, Receipt::Unanswered);
        }
    }

    /// Takes a text for us (RFC 3428 §7).
    pub(super) fn on_message(&mut self, asked: Asked<'_>) -> Result<(), Refusal> {
        let Asked { key, request, essentials } = asked;
        let text = text_of(request)?;
        if self.texts.received.values().any(|received| received.key == *key) {
            return Ok(());
        }
        if self.texts.received.len() >= limits::MESSAGES_MAX {
            return Err(StatusCode::ServiceUnavailable.into());
        }
        let Some(from) = essentials.from.uri().aor() else {
            return Err(StatusCode::Forbidden.into());
        };
        let leg = LegId(self.next_incoming);
        self.next_incoming += 1;
        let id = essentials.id.clone();
        let written_unix_ms = request.headers.first("Date").and_then(date::parse);
        let text = Text { call_id: id.call_id.clone(), text, written_unix_ms };
        let received = Received { key: key.clone(), request: request.clone(), id };
        self.texts.received.insert(leg, received);
        self.event(Event::Message { leg, flow: key.flow(), from, text });
        Ok(())
    }

    /// `Command::Receive`. A 2xx has neither body nor Contact (RFC 3428 §7).
    pub(super) fn receive(&mut self, now: Instant, id: LegId, status: StatusCode) {
        let Some(Received { key, request, id }) = self.texts.received.remove(&id) else { return };
        let mut response = Response::to(&request, status, Some(&self.token()));
        response.headers.push("Server", PRODUCT);
        let flow = key.flow();
        let bytes = self.table.open_other(now, key, id, &response);
        self.send_all(flow, bytes);
    }
}

/// The text of a request, if it is one that can be shown: plain, in UTF-8 or what is a part of it.
fn text_of(request: &Request) -> Result<String, Refusal> {
    let headers = &request.headers;
    let coded =
        headers.list("Content-Encoding").iter().any(|c| !c.eq_ignore_ascii_case("identity"));
    let refused = |name, value: &str| Refusal {
        status: StatusCode::UnsupportedMediaType,
        header: Some((name, value.to_owned())),
    };
    if coded {
        return Err(refused("Accept-Encoding", "identity"));
    }
    let value = headers.first("Content-Type").unwrap_or("").to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    let is_plain = parts.next() == Some("text/plain");
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).unwrap_or("utf-8");
    let is_read = ["utf-8", "us-ascii"].contains(&charset.trim_matches('"'));
    if !is_plain || !is_read {
        return Err(refused("Accept", PLAIN_TEXT));
    }
    if request.body().len() > limits::MESSAGE_TEXT_READ_MAX {
        return Err(StatusCode::RequestEntityTooLarge.into());
    }
    match std::str::from_utf8(request.body()) {
        Ok("") | Err(_) => Err(StatusCode::BadRequest.into()),
        Ok(text) => Ok(text.to_owned()),
    }
}

/// What a text of ours is.
const PLAIN_TEXT: &str = "text/plain;charset=UTF-8";
