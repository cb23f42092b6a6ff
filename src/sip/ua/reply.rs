//! What we answer, in a dialog and outside of one (RFC 3261 §8.2.6, §12.1.1).

use rsip::{Method, StatusCode};

use super::api::{Event, FlowId, LegId};
use super::leg::Unacked;
use super::screen::{Asked, Refusal, description};
use super::table::{RequestId, ServerKey};
use super::{ALLOW, PRODUCT, SDP, SUPPORTED, UserAgent};
use crate::base::Instant;
use crate::sip::message::{NameAddr, Request, Response, Uri};

impl UserAgent {
    /// Answers a request within a leg's dialog that is no INVITE, for good.
    pub(super) fn respond_in_dialog(
        &mut self,
        now: Instant,
        id: LegId,
        asked: Asked<'_>,
        status: StatusCode,
        headers: &[(&str, &str)],
    ) {
        let tag = self.legs.get(&id).and_then(|leg| leg.dialog.local().tag());
        let tag = tag.unwrap_or("").to_owned();
        self.respond_other(now, asked, (status, &tag), headers);
    }

    /// Sends the 200 to an INVITE and goes on sending it until the ACK comes.
    pub(super) fn accept(&mut self, now: Instant, id: LegId, key: &ServerKey, invite: &Request) {
        let contact = self.config.contact.clone();
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let tag = leg.dialog.local().tag();
        let mut response = Response::to(invite, StatusCode::OK, tag);
        complete(&mut response, invite, contact);
        response.headers.push("Allow", ALLOW);
        response.headers.push("Supported", SUPPORTED);
        response.set_body(SDP, leg.description.clone());
        self.accept_session(now, id, invite, &mut response);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let cseq = invite.headers.cseq().map_or(0, |cseq| cseq.number);
        let (flow, bytes) = (leg.flow, response.to_bytes().into());
        let is_offer = description(&invite.headers, invite.body()).is_none();
        leg.unacked = Some(Unacked::new(now, cseq, bytes, is_offer));
        let bytes = self.table.respond(now, key, &response);
        self.send_all(flow, bytes);
    }

    /// Refuses an INVITE of a leg, the first one or a later one.
    pub(super) fn refuse_invite(
        &mut self,
        now: Instant,
        id: LegId,
        (key, invite): (&ServerKey, &Request),
        refusal: &Refusal,
    ) {
        let Some(leg) = self.legs.get(&id) else { return };
        let tag = leg.dialog.local().tag();
        let mut response = Response::to(invite, refusal.status.clone(), tag);
        refusal.explain(&mut response);
        let flow = leg.flow;
        let bytes = self.table.respond(now, key, &response);
        self.send_all(flow, bytes);
    }

    /// Answers a request that is no INVITE, for good.
    pub(super) fn respond_other(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        (status, tag): (StatusCode, &str),
        headers: &[(&str, &str)],
    ) {
        let Asked { key, request, essentials } = asked;
        let mut response = Response::to(request, status, Some(tag));
        if request.method().is(Method::Refer) {
            response.headers.push("Contact", &contact_for(request, self.config.contact.clone()));
        }
        if request.method().is(Method::Options) {
            response.headers.push("Allow", ALLOW);
            response.headers.push("Supported", SUPPORTED);
            response.headers.push("Accept", SDP);
            response.headers.push("Contact", &contact_for(request, self.config.contact.clone()));
        }
        for (name, value) in headers {
            response.headers.push(name, value);
        }
        response.headers.push("Server", PRODUCT);
        let bytes = self.table.open_other(now, key.clone(), essentials.id.clone(), &response);
        self.send_all(key.flow(), bytes);
    }

    /// Refuses a request by ourselves; the room above hears of a call that was refused so.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        refusal: Refusal,
    ) {
        let mut response = Response::to(request, refusal.status.clone(), Some(&self.token()));
        refusal.explain(&mut response);
        let headers = &request.headers;
        let from = headers.from().ok();
        let id = RequestId {
            call_id: headers.call_id().unwrap_or("").to_owned(),
            from_tag: from.as_ref().and_then(NameAddr::tag).map(str::to_owned),
            cseq: headers.cseq().map_or(0, |cseq| cseq.number),
        };
        let flow = key.flow();
        if !request.method().is(Method::Invite) {
            let bytes = self.table.open_other(now, key, id, &response);
            return self.send_all(flow, bytes);
        }
        self.table.open_invite(key.clone(), id, None);
        let bytes = self.table.respond(now, &key, &response);
        self.send_all(flow, bytes);
        // Within a dialog there is a call already, and it goes on.
        if headers.to().is_ok_and(|to| to.tag().is_some()) {
            return;
        }
        let claimed = from.and_then(|from| from.uri().aor());
        self.event(Event::Refused { flow, claimed, status: refusal.status });
    }

    /// Too much goes on to remember another request: the sender may try again (RFC 3261 §8.2.7).
    pub(super) fn refuse_without_state(&mut self, flow: FlowId, request: &Request) {
        if request.method().is(Method::Cancel) {
            return;
        }
        // Retransmissions must get the same tag, so that it cannot be random.
        let mut response =
            Response::to(request, StatusCode::ServiceUnavailable, Some("overloaded"));
        response.headers.push("Retry-After", "32");
        self.send(flow, response.to_bytes().into());
    }
}

/// Adds what a response that creates a dialog must have (RFC 3261 §12.1.1).
pub(super) fn complete(response: &mut Response, invite: &Request, contact: Uri) {
    for value in invite.headers.all("Record-Route") {
        response.headers.push("Record-Route", value);
    }
    response.headers.push("Contact", &contact_for(invite, contact));
    response.headers.push("Server", PRODUCT);
}

/// Our Contact for the sender of a request.
fn contact_for(request: &Request, contact: Uri) -> String {
    let contact = match request.uri() {
        Ok(uri) => contact.with_scheme_of(&uri),
        Err(_) => contact,
    };
    NameAddr::new(contact).to_string()
}
