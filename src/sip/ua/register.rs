//! A line: a phone at an ordinary registrar (RFC 3261 §10), which asks for a password (§22).
//!
//! Only a user agent with [`Line`] registers or answers a challenge. In an overlay nobody may ask
//! for a password, and whoever does gets none.

use std::net::SocketAddr;
use std::time::Duration;

use rsip::{Method, StatusCode};

use super::api::{Event, FlowId, LegId};
use super::table::ClientKey;
use super::{ALLOW, UserAgent};
use crate::base::Instant;
use crate::sip::limits;
use crate::sip::message::{
    CSeq, Challenge, Credentials, Headers, NameAddr, Request, Response, Uri,
};

/// What makes a user agent the phone of a registrar's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The token of the transport in our Via: `UDP`, `TCP` or `TLS`.
    pub transport: &'static str,
    /// The address and port that answers come to, as our Via says it.
    pub sent_by: String,
    /// What the registrar knows us by; without it every challenge is a refusal.
    pub credentials: Option<Credentials>,
}

impl Line {
    /// The only transport on which messages are lost.
    pub const UDP: &'static str = "UDP";

    /// Our Via. Answers come to where the request came from (RFC 3581 §3).
    pub(super) fn via(&self, branch: &str) -> String {
        let Self { transport, sent_by, .. } = self;
        format!("SIP/2.0/{transport} {sent_by};branch={branch};rport")
    }
}

/// That calls to us are sent here.
pub(super) struct Registration {
    flow: FlowId,
    call_id: String,
    tag: String,
    cseq: u32,
    /// What is asked for; 0 ends it.
    seconds: u32,
    /// How often the last request has been asked again.
    asked_again: u8,
    /// Where the registrar sees us.
    seen_at: Option<SocketAddr>,
    /// Contacts of ours that the registrar may still know and that lead nowhere.
    outdated: Vec<Uri>,
    /// When to ask again.
    pub(super) refresh: Option<Instant>,
}

/// A challenge that was answered once; further requests answer it at once.
pub(super) struct Known {
    is_proxy: bool,
    challenge: Challenge,
    count: u32,
}

/// The leg that requests belong to which belong to none.
pub(super) const NO_LEG: LegId = LegId(u64::MAX);

impl UserAgent {
    /// `Command::Register`.
    pub(super) fn register(&mut self, now: Instant, flow: FlowId, seconds: u32) {
        if self.config.line.is_none() || !self.flows.contains_key(&flow) {
            return;
        }
        let (call_id, tag) = (self.token(), self.token());
        let cseq = u32::try_from(self.rng.below(1 << 16)).unwrap_or(0);
        let registration = self.registration.get_or_insert(Registration {
            flow,
            call_id,
            tag,
            cseq,
            seconds,
            asked_again: 0,
            seen_at: None,
            outdated: Vec::new(),
            refresh: None,
        });
        (registration.flow, registration.seconds) = (flow, seconds);
        registration.asked_again = 0;
        self.send_register(now);
    }

    /// Asks, or asks again.
    pub(super) fn send_register(&mut self, now: Instant) {
        let Some(aor) = self.config.users.first() else { return };
        let Some(registration) = &mut self.registration else { return };
        registration.cseq += 1;
        registration.refresh = None;
        let address = NameAddr::new(Uri::of(aor));
        let cseq = CSeq { number: registration.cseq, method: Method::Register.into() };
        let mut request = Request::new(Method::Register.into(), &Uri::of_domain(aor));
        let headers = &mut request.headers;
        headers.push("Max-Forwards", "70");
        headers.push("From", &address.clone().with_tag(&registration.tag).to_string());
        headers.push("To", &address.to_string());
        headers.push("Call-ID", &registration.call_id);
        headers.push("CSeq", &cseq.to_string());
        headers.push("Contact", &NameAddr::new(self.config.contact.clone()).to_string());
        for contact in &registration.outdated {
            headers.push("Contact", &format!("{};expires=0", NameAddr::new(contact.clone())));
        }
        headers.push("Expires", &registration.seconds.to_string());
        headers.push("Allow", ALLOW);
        let flow = registration.flow;
        let key = ClientKey::new(&self.stamp(&mut request), Method::Register);
        let bytes = self.table.start_other(now, key, (flow, NO_LEG), &request);
        self.send_all(flow, bytes);
    }

    /// Behind a router we are reached at the address that the registrar sees, not at our own: that
    /// becomes our Contact, and the one before is taken back. `false` if nothing is new.
    fn learn_address(&mut self, response: &Response) -> bool {
        let Some(registration) = &mut self.registration else { return false };
        let seen_at = response.headers.via().ok().and_then(|via| via.seen_at());
        let Some(seen_at) = seen_at.filter(|seen_at| registration.seen_at != Some(*seen_at)) else {
            return false;
        };
        registration.seen_at = Some(seen_at);
        let contact = self.config.contact.clone().at(seen_at);
        if contact == self.config.contact {
            return false;
        }
        let before = std::mem::replace(&mut self.config.contact, contact);
        registration.outdated.retain(|outdated| *outdated != self.config.contact);
        registration.outdated.push(before);
        if registration.outdated.len() > limits::OUTDATED_CONTACTS_MAX {
            registration.outdated.remove(0);
        }
        true
    }

    /// Whether a router is between us and the registrar.
    fn is_behind_router(&self) -> bool {
        let seen_at = self.registration.as_ref().and_then(|registration| registration.seen_at);
        let ours = self.config.line.as_ref().map(|line| line.sent_by.clone());
        seen_at.is_some_and(|seen_at| ours.is_some_and(|ours| ours != seen_at.to_string()))
    }

    pub(super) fn on_register_response(&mut self, now: Instant, response: &Response) {
        let has_moved = self.learn_address(response);
        let is_behind_router = self.is_behind_router();
        let contact = self.config.contact.clone();
        let Some(registration) = &mut self.registration else { return };
        match response.code() {
            ..200 => {}
            200..300 if registration.seconds == 0 => {
                self.registration = None;
                self.event(Event::Unregistered { status: None });
            }
            200..300 if has_moved && registration.asked_again < limits::ASKED_AGAIN_MAX => {
                registration.asked_again += 1;
                self.send_register(now);
            }
            200..300 => {
                registration.asked_again = 0;
                registration.outdated.clear();
                let seconds = granted(&response.headers, &contact).unwrap_or(registration.seconds);
                let seconds = seconds.clamp(limits::REGISTRATION_S_MIN, limits::REGISTRATION_S_MAX);
                let seen_at = registration.seen_at;
                let mut refresh = Duration::from_secs(u64::from(seconds)) * 4 / 5;
                if is_behind_router {
                    refresh = refresh.min(limits::REGISTER_BEHIND_ROUTER);
                }
                registration.refresh = Some(now + refresh);
                self.event(Event::Registered { seconds, seen_at });
            }
            423 if registration.asked_again < limits::ASKED_AGAIN_MAX => {
                let least = response.headers.first("Min-Expires").and_then(|s| s.parse().ok());
                let least = least.unwrap_or(registration.seconds);
                registration.asked_again += 1;
                registration.seconds = least.min(limits::REGISTRATION_S_MAX);
                self.send_register(now);
            }
            _ => self.register_failed(now, Some(response.status().clone())),
        }
    }

    /// The registrar has refused, or says nothing. It is asked again after a while.
    pub(super) fn register_failed(&mut self, now: Instant, status: Option<StatusCode>) {
        let Some(registration) = &mut self.registration else { return };
        registration.asked_again = 0;
        if registration.seconds == 0 {
            self.registration = None;
        } else {
            registration.refresh = Some(now + limits::REGISTER_AGAIN);
        }
        let status = Some(status.unwrap_or(StatusCode::RequestTimeout));
        self.event(Event::Unregistered { status });
    }

    /// Answers a challenge by sending the request again; `false` if it is none, or can't be
    /// answered: we have no password, or it was wrong.
    pub(super) fn answer_challenge(
        &mut self,
        now: Instant,
        id: LegId,
        key: &ClientKey,
        response: &Response,
    ) -> bool {
        let is_proxy = match response.code() {
            401 => false,
            407 => true,
            _ => return false,
        };
        let has_password = self.config.line.as_ref().is_some_and(|l| l.credentials.is_some());
        let challenge = Challenge::topmost(&response.headers, asks(is_proxy));
        let (Some(challenge), Some((_, request))) = (challenge, self.table.sent(key)) else {
            return false;
        };
        let is_answered = self.known.iter().any(|known| {
            known.is_proxy == is_proxy && known.challenge.realm() == challenge.realm()
        }) && request.headers.first(answers(is_proxy)).is_some();
        let asked_again = match (id, &mut self.registration) {
            (NO_LEG, Some(registration)) => &mut registration.asked_again,
            _ => match self.legs.get_mut(&id) {
                Some(leg) => &mut leg.asked_again,
                None => return false,
            },
        };
        // A nonce of before may be too old without the registrar saying so: once is enough.
        let is_wrong = is_answered && !challenge.is_stale() && *asked_again > 0;
        if !has_password || is_wrong || *asked_again >= limits::ASKED_AGAIN_MAX {
            return false;
        }
        *asked_again += 1;
        self.known.retain(|known| {
            known.is_proxy != is_proxy || known.challenge.realm() != challenge.realm()
        });
        self.known.truncate(limits::REALMS_MAX - 1);
        self.known.insert(0, Known { is_proxy, challenge, count: 0 });
        if id == NO_LEG {
            self.learn_address(response);
            self.send_register(now);
        } else {
            self.send_again(now, id, key, |_, _| ());
        }
        true
    }

    /// Puts the answers to challenges into a request that were asked before.
    pub(super) fn authorize(&mut self, request: &mut Request) {
        let credentials = self.config.line.as_ref().and_then(|line| line.credentials.clone());
        let Some(credentials) = credentials else { return };
        if request.method().is(Method::Ack) || request.method().is(Method::Cancel) {
            return;
        }
        let (method, random) = (request.method().to_string(), self.token());
        for is_proxy in [false, true] {
            request.headers.remove(answers(is_proxy));
        }
        for Known { is_proxy, challenge, count } in &mut self.known {
            *count = count.wrapping_add(1);
            let asked = (method.as_str(), request.target());
            let answer = challenge.answer(&credentials, asked, *count, &random);
            request.headers.push(answers(*is_proxy), &answer);
        }
    }
}

/// How long our Contact is registered for, in seconds (RFC 3261 §10.2.4).
fn granted(headers: &Headers, contact: &Uri) -> Option<u32> {
    let contacts = headers.list("Contact").into_iter().filter_map(|c| c.parse::<NameAddr>().ok());
    let ours = contacts.into_iter().find(|c| c.uri().aor() == contact.aor());
    let expires = ours.and_then(|ours| ours.params().value("expires")?.parse().ok());
    expires.or_else(|| headers.first("Expires")?.parse().ok())
}

fn asks(is_proxy: bool) -> &'static str {
    if is_proxy { "Proxy-Authenticate" } else { "WWW-Authenticate" }
}

fn answers(is_proxy: bool) -> &'static str {
    if is_proxy { "Proxy-Authorization" } else { "Authorization" }
}
