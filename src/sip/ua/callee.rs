//! What the other side asks of us (RFC 3261 §8.2, §9.2, §12.2.2, §13.3, §14.2, §15.1.2).

use rsip::{Method, StatusCode};

use super::api::{End, Event, Failure, FlowId, LegId, Side};
use super::leg::{Incoming, Leg, Stage, Unacked, ring_limit};
use super::screen::{Essentials, Refusal, check_body, description};
use super::table::{RequestId, ServerKey};
use super::{ALLOW, PRODUCT, SDP, SUPPORTED, UserAgent};
use crate::base::Instant;
use crate::sip::dialog::{Dialog, Order};
use crate::sip::limits;
use crate::sip::message::{NameAddr, Request, Response, Uri};

impl UserAgent {
    /// Takes a request.
    pub(super) fn on_request(&mut self, now: Instant, flow: FlowId, request: Request) {
        let Ok(key) = ServerKey::of(flow, &request) else {
            // Without a Via there is no response.
            self.dropped += 1;
            return;
        };
        if request.method().is(Method::Ack) {
            return self.on_ack(now, &key, &request);
        }
        if let Some(effect) = self.table.on_request(&key) {
            return self.send_all(flow, effect.send);
        }
        if !self.table.has_room(flow) {
            return self.refuse_without_state(flow, &request);
        }
        let essentials = match Essentials::of(&request) {
            Ok(essentials) => essentials,
            Err(refusal) => return self.refuse(now, key, &request, refusal),
        };
        if request.method().is(Method::Cancel) {
            return self.on_cancel(now, key, &request, essentials.id);
        }
        let outcome = match essentials.to.tag() {
            Some(_) => self.in_dialog(now, &key, &request, &essentials),
            None => self.out_of_dialog(now, &key, &request, &essentials),
        };
        if let Err(refusal) = outcome {
            self.refuse(now, key, &request, refusal);
        }
    }

    /// `Command::Ring`, and each repetition.
    pub(super) fn ring(&mut self, now: Instant, id: LegId) {
        let contact = self.config.contact.clone();
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Incoming(incoming) = &mut leg.stage else { return };
        incoming.ring = Some(now + limits::RING_REPEAT);
        let tag = leg.dialog.local().tag();
        let mut response = Response::to(&incoming.invite, StatusCode::Ringing, tag);
        complete(&mut response, &incoming.invite, contact);
        let (key, flow) = (incoming.key.clone(), leg.flow);
        let bytes = self.table.respond(now, &key, &response);
        self.send_all(flow, bytes);
    }

    /// `Command::Answer`.
    pub(super) fn answer(&mut self, now: Instant, id: LegId, answer: Vec<u8>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let stage = Stage::Talking { bye: None, acked: false };
        match std::mem::replace(&mut leg.stage, stage) {
            Stage::Incoming(incoming) => {
                leg.description = answer;
                self.accept(now, id, &incoming.key, &incoming.invite);
            }
            other => {
                leg.stage = other;
                self.answer_change(now, id, answer);
            }
        }
    }

    /// `Command::Reject`.
    pub(super) fn reject(&mut self, now: Instant, id: LegId, status: StatusCode) {
        let refusal = (300..700).contains(&status.code());
        let status = if refusal { status } else { StatusCode::Decline };
        if self.refuse_incoming(now, id, &status) {
            self.end(id, End::rejected_by_us(&status));
            self.legs.remove(&id);
        } else {
            self.refuse_change(now, id, &status);
        }
    }

    /// `Command::Redirect`.
    pub(super) fn redirect(&mut self, now: Instant, id: LegId, to: Uri) {
        let status = StatusCode::MovedTemporarily;
        let contact = NameAddr::new(to.without_headers()).to_string();
        if self.refuse_incoming_with(now, id, &status, Some(("Contact", contact))) {
            self.end(id, End::rejected_by_us(&status));
            self.legs.remove(&id);
        }
    }

    /// A call has rung for long enough, in either direction.
    pub(super) fn ring_max(&mut self, now: Instant, id: LegId) {
        match self.legs.get(&id).map(|leg| &leg.stage) {
            Some(Stage::Calling(_)) => self.give_up_calling(now, id),
            Some(Stage::Incoming(incoming)) => {
                let status = incoming.give_up_status.clone();
                self.refuse_incoming(now, id, &status);
                self.end(id, End::Failed(Failure::NoAnswer));
                self.legs.remove(&id);
            }
            _ => {}
        }
    }

    /// Our 200 was repeated for 64·T1 without an ACK: the session is ended (RFC 3261 §13.3.1.4).
    pub(super) fn ack_over(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let reason = match &mut leg.stage {
            Stage::Talking { bye, .. } => bye.take().flatten(),
            _ => None,
        };
        self.end(id, End::Failed(Failure::AckMissing));
        self.bye(now, id, reason);
    }

    fn on_ack(&mut self, now: Instant, key: &ServerKey, request: &Request) {
        if self.table.on_ack(now, key) {
            return;
        }
        let Ok(essentials) = Essentials::of(request) else { return };
        let Some(id) = self.leg_of(&essentials).filter(|id| self.is_on(*id, key.flow())) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.unacked.as_ref().is_none_or(|u| u.cseq != essentials.id.cseq) {
            return;
        }
        let offered = leg.unacked.take().is_some_and(|unacked| unacked.is_offer);
        let Stage::Talking { bye, acked } = &mut leg.stage else { return };
        let first = !std::mem::replace(acked, true);
        if let Some(reason) = bye.take() {
            return self.bye(now, id, reason);
        }
        let answer = description(&request.headers, request.body());
        if first {
            self.event(Event::Acked { leg: id, answer });
        } else if offered {
            self.event(Event::Changed { leg: id, answer });
        }
    }

    fn on_cancel(&mut self, now: Instant, key: ServerKey, request: &Request, id: RequestId) {
        let Some(leg) = self.table.invite(&key.of_invite()) else {
            let status = StatusCode::CallTransactionDoesNotExist;
            return self.refuse(now, key, request, status.into());
        };
        let tag = leg.and_then(|id| self.legs.get(&id)).and_then(|leg| leg.dialog.local().tag());
        let tag = tag.map_or_else(|| "cancelled".to_owned(), str::to_owned);
        self.respond_other(now, key, request, id, (StatusCode::OK, &tag));
        let Some(leg) = leg else { return };
        if self.refuse_incoming(now, leg, &StatusCode::RequestTerminated) {
            self.end(leg, End::Cancelled { by: Side::Them, reason: request.headers.reason() });
            self.legs.remove(&leg);
        }
    }

    fn out_of_dialog(
        &mut self,
        now: Instant,
        key: &ServerKey,
        request: &Request,
        essentials: &Essentials,
    ) -> Result<(), Refusal> {
        self.check_sender(key.flow(), &essentials.from, None)?;
        self.check_request(request)?;
        if request.method().is(Method::Bye) {
            return Err(StatusCode::CallTransactionDoesNotExist.into());
        }
        if request.method().is(Method::Notify) {
            return Err(StatusCode::CallTransactionDoesNotExist.into());
        }
        self.check_target(request)?;
        // Strangers can't make us call.
        if request.method().is(Method::Refer) {
            return Err(StatusCode::Forbidden.into());
        }
        if self.table.is_merged(key, &essentials.id) {
            return Err(StatusCode::LoopDetected.into());
        }
        if request.method().is(Method::Options) {
            self.answer_options(now, key.clone(), request, essentials);
            return Ok(());
        }
        if request.method().is(Method::Message) {
            return self.on_message(key, request, essentials);
        }
        check_body(request)?;
        self.begin_incoming(now, key, request, essentials)
    }

    fn in_dialog(
        &mut self,
        now: Instant,
        key: &ServerKey,
        request: &Request,
        essentials: &Essentials,
    ) -> Result<(), Refusal> {
        let id = self.leg_of(essentials);
        let leg = id.and_then(|id| self.legs.get(&id));
        self.check_sender(key.flow(), &essentials.from, leg.map(|leg| &leg.dialog))?;
        let Some((id, leg)) = id.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else {
            self.check_request(request)?;
            return Err(StatusCode::CallTransactionDoesNotExist.into());
        };
        if leg.flow != key.flow() && !self.may_move(id, key.flow(), request) {
            return Err(StatusCode::Forbidden.into());
        }
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        if leg.dialog.order(essentials.id.cseq) == Order::OutOfOrder {
            return Err(StatusCode::ServerInternalError.into());
        }
        self.check_request(request)?;
        if request.method().is(Method::Bye) {
            self.on_bye(now, key, request, essentials, id);
            Ok(())
        } else if request.method().is(Method::Options) {
            self.answer_options(now, key.clone(), request, essentials);
            Ok(())
        } else if request.method().is(Method::Refer) {
            self.on_refer(now, key, request, essentials, id)
        } else if request.method().is(Method::Notify) {
            self.on_notify(now, key, request, essentials, id)
        } else if request.method().is(Method::Message) {
            self.on_message(key, request, essentials)
        } else {
            self.on_reinvite(now, key, request, essentials, id)
        }
    }

    fn begin_incoming(
        &mut self,
        now: Instant,
        key: &ServerKey,
        request: &Request,
        essentials: &Essentials,
    ) -> Result<(), Refusal> {
        let replaces = self.replaced(request)?;
        let incoming = self.legs.keys().filter(|id| id.0 >= LegId::FIRST_INCOMING).count();
        if incoming >= limits::INCOMING_LEGS_MAX || self.legs.len() >= limits::LEGS_MAX {
            return Err(StatusCode::BusyHere.into());
        }
        let tag = self.token();
        let cseq = u32::try_from(self.rng.below(1 << 16)).unwrap_or(0);
        let bad = |_| Refusal::from(StatusCode::BadRequest);
        let dialog = Dialog::of_callee(request, &tag, cseq).map_err(bad)?;
        let uri = request.uri().map_err(bad)?;
        let (Some(from), Some(to)) = (essentials.from.uri().aor(), uri.aor()) else {
            return Err(StatusCode::BadRequest.into());
        };
        let id = LegId(self.next_incoming);
        self.next_incoming += 1;
        let (give_up, give_up_status) = ring_limit(now, request);
        let stage = Stage::Incoming(Incoming {
            key: key.clone(),
            invite: request.clone(),
            ring: None,
            give_up,
            give_up_status,
        });
        let flow = key.flow();
        let peer = self.flows.get(&flow).cloned().unwrap_or_default();
        let leg = Leg::new(flow, peer, dialog, stage);
        let offer = description(&request.headers, request.body());
        self.legs.insert(id, leg);
        self.table.open_invite(key.clone(), essentials.id.clone(), Some(id));
        let trying = Response::to(request, StatusCode::Trying, None);
        let bytes = self.table.respond(now, key, &trying);
        self.send_all(flow, bytes);
        let display = essentials.from.display().map(str::to_owned);
        let by = request.headers.first("Referred-By").and_then(|by| by.parse::<NameAddr>().ok());
        let referred_by = by.and_then(|by| by.uri().aor());
        let leg = id;
        let event = Event::Incoming { leg, flow, from, display, to, offer, replaces, referred_by };
        self.event(event);
        Ok(())
    }

    fn on_bye(
        &mut self,
        now: Instant,
        key: &ServerKey,
        request: &Request,
        essentials: &Essentials,
        id: LegId,
    ) {
        let Some(leg) = self.legs.get(&id) else { return };
        let tag = leg.dialog.local().tag().unwrap_or("").to_owned();
        let calling = match &leg.stage {
            Stage::Calling(calling) => Some(calling.key.clone()),
            _ => None,
        };
        let closing = matches!(leg.stage, Stage::Closing);
        self.respond_other(
            now,
            key.clone(),
            request,
            essentials.id.clone(),
            (StatusCode::OK, &tag),
        );
        let reason = request.headers.reason();
        self.refuse_change(now, id, &StatusCode::RequestTerminated);
        if self.refuse_incoming(now, id, &StatusCode::RequestTerminated) {
            self.end(id, End::Cancelled { by: Side::Them, reason });
        } else {
            self.end(id, End::HungUp { by: Side::Them, reason });
        }
        if let Some(key) = calling {
            self.table.forget_client(&key);
        }
        if !closing {
            self.legs.remove(&id);
        }
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
        let cseq = invite.headers.cseq().map_or(0, |cseq| cseq.number);
        let (flow, bytes) = (leg.flow, response.to_bytes().into());
        let is_offer = description(&invite.headers, invite.body()).is_none();
        leg.unacked = Some(Unacked::new(now, cseq, bytes, is_offer));
        let bytes = self.table.respond(now, key, &response);
        self.send_all(flow, bytes);
    }

    fn answer_options(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        essentials: &Essentials,
    ) {
        let tag = self.token();
        self.respond_other(now, key, request, essentials.id.clone(), (StatusCode::OK, &tag));
    }

    /// Answers a request that is no INVITE, for good.
    pub(super) fn respond_other(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        id: RequestId,
        (status, tag): (StatusCode, &str),
    ) {
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
        response.headers.push("Server", PRODUCT);
        let flow = key.flow();
        let bytes = self.table.open_other(now, key, id, &response);
        self.send_all(flow, bytes);
    }

    /// Refuses a request by ourselves; the room above hears of a call that was refused so.
    fn refuse(&mut self, now: Instant, key: ServerKey, request: &Request, refusal: Refusal) {
        let mut response = Response::to(request, refusal.status.clone(), Some(&self.token()));
        if let Some((name, value)) = &refusal.header {
            response.headers.push(name, value);
        }
        response.headers.push("Server", PRODUCT);
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

    /// Refuses the INVITE of an incoming leg; `false` if it has been answered already.
    fn refuse_incoming(&mut self, now: Instant, id: LegId, status: &StatusCode) -> bool {
        self.refuse_incoming_with(now, id, status, None)
    }

    fn refuse_incoming_with(
        &mut self,
        now: Instant,
        id: LegId,
        status: &StatusCode,
        header: Option<(&str, String)>,
    ) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let Stage::Incoming(incoming) = &leg.stage else { return false };
        let tag = leg.dialog.local().tag();
        let mut response = Response::to(&incoming.invite, status.clone(), tag);
        if let Some((name, value)) = header {
            response.headers.push(name, &value);
        }
        response.headers.push("Server", PRODUCT);
        let (key, flow) = (incoming.key.clone(), leg.flow);
        let bytes = self.table.respond(now, &key, &response);
        self.send_all(flow, bytes);
        true
    }

    /// Too much goes on to remember another request: the sender may try again (RFC 3261 §8.2.7).
    fn refuse_without_state(&mut self, flow: FlowId, request: &Request) {
        if request.method().is(Method::Cancel) {
            return;
        }
        // Retransmissions must get the same tag, so that it cannot be random.
        let mut response =
            Response::to(request, StatusCode::ServiceUnavailable, Some("overloaded"));
        response.headers.push("Retry-After", "32");
        self.send(flow, response.to_bytes().into());
    }

    fn leg_of(&self, essentials: &Essentials) -> Option<LegId> {
        let Essentials { from, to, id } = essentials;
        let same = |leg: &Leg| leg.dialog.has_request(&id.call_id, from, to);
        self.legs.iter().find(|(_, leg)| same(leg)).map(|(id, _)| *id)
    }

    fn is_on(&self, id: LegId, flow: FlowId) -> bool {
        self.legs.get(&id).is_some_and(|leg| leg.flow == flow)
    }
}

/// Adds what a response that creates a dialog must have (RFC 3261 §12.1.1).
fn complete(response: &mut Response, invite: &Request, contact: Uri) {
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
