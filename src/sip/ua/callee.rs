//! What the other side asks of us (RFC 3261 §8.2, §9.2, §12.2.2, §13.3, §14.2, §15.1.2).

use rsip::{Method, StatusCode};

use super::UserAgent;
use super::api::{End, Event, Failure, FlowId, LegId, Side};
use super::leg::{Incoming, Leg, Stage, ring_limit};
use super::reply::complete;
use super::screen::{Asked, Essentials, Refusal, check_body, description};
use super::table::ServerKey;
use super::timer::check_session;
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
            return self.on_cancel(now, key, &request, &essentials);
        }
        let asked = Asked { key: &key, request: &request, essentials: &essentials };
        let outcome = match essentials.to.tag() {
            Some(_) => self.in_dialog(now, asked),
            None => self.out_of_dialog(now, asked),
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
        if !self.make_reliable(now, id, &mut response) {
            return;
        }
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
        if self.refuse_incoming(now, id, &status.clone().into()) {
            self.end(id, End::rejected_by_us(&status));
            self.legs.remove(&id);
        } else {
            self.refuse_change(now, id, &status.into());
        }
    }

    /// `Command::Redirect`.
    pub(super) fn redirect(&mut self, now: Instant, id: LegId, to: Uri) {
        let status = StatusCode::MovedTemporarily;
        let contact = NameAddr::new(to.without_headers()).to_string();
        if self.refuse_incoming(now, id, &Refusal::with(status.clone(), "Contact", &contact)) {
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
                self.refuse_incoming(now, id, &status.clone().into());
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

    fn on_cancel(
        &mut self,
        now: Instant,
        key: ServerKey,
        request: &Request,
        essentials: &Essentials,
    ) {
        let Some(leg) = self.table.invite(&key.of_invite()) else {
            let status = StatusCode::CallTransactionDoesNotExist;
            return self.refuse(now, key, request, status.into());
        };
        let tag = leg.and_then(|id| self.legs.get(&id)).and_then(|leg| leg.dialog.local().tag());
        let tag = tag.map_or_else(|| "cancelled".to_owned(), str::to_owned);
        let asked = Asked { key: &key, request, essentials };
        self.respond_other(now, asked, (StatusCode::OK, &tag), &[]);
        let Some(leg) = leg else { return };
        if self.refuse_incoming(now, leg, &StatusCode::RequestTerminated.into()) {
            self.end(leg, End::Cancelled { by: Side::Them, reason: request.headers.reason() });
            self.legs.remove(&leg);
        }
    }

    fn out_of_dialog(&mut self, now: Instant, asked: Asked<'_>) -> Result<(), Refusal> {
        let Asked { key, request, essentials } = asked;
        self.check_sender(key.flow(), &essentials.from, None)?;
        self.check_request(request)?;
        let is_of_dialog = [Method::Bye, Method::Notify, Method::PRack, Method::Update];
        if is_of_dialog.into_iter().any(|method| request.method().is(method)) {
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
            let tag = self.token();
            self.respond_other(now, asked, (StatusCode::OK, &tag), &[]);
            return Ok(());
        }
        if request.method().is(Method::Message) {
            return self.on_message(asked);
        }
        check_body(request)?;
        check_session(request)?;
        self.begin_incoming(now, asked)
    }

    fn in_dialog(&mut self, now: Instant, asked: Asked<'_>) -> Result<(), Refusal> {
        let Asked { key, request, essentials } = asked;
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
            self.on_bye(now, asked, id);
            Ok(())
        } else if request.method().is(Method::Options) {
            let tag = self.token();
            self.respond_other(now, asked, (StatusCode::OK, &tag), &[]);
            Ok(())
        } else if request.method().is(Method::Refer) {
            self.on_refer(now, asked, id)
        } else if request.method().is(Method::Notify) {
            self.on_notify(now, asked, id)
        } else if request.method().is(Method::PRack) {
            self.on_prack(now, asked, id)
        } else if request.method().is(Method::Update) {
            self.on_update(now, asked, id)
        } else if request.method().is(Method::Message) {
            self.on_message(asked)
        } else {
            self.on_reinvite(now, asked, id)
        }
    }

    fn begin_incoming(&mut self, now: Instant, asked: Asked<'_>) -> Result<(), Refusal> {
        let Asked { key, request, essentials } = asked;
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
        // A registrar may hide who calls (RFC 3323 §4.1).
        let hidden = || ANONYMOUS.parse().ok().filter(|_| self.config.line.is_some());
        let from = essentials.from.uri().aor().or_else(hidden);
        let (Some(from), Some(to)) = (from, uri.aor()) else {
            return Err(StatusCode::BadRequest.into());
        };
        let id = LegId(self.next_incoming);
        self.next_incoming += 1;
        let (give_up, give_up_status) = ring_limit(now, request);
        let stage = Stage::Incoming(Incoming {
            key: key.clone(),
            invite: request.clone(),
            ring: None,
            reliable: None,
            give_up,
            give_up_status,
        });
        let flow = key.flow();
        let peer = self.flows.get(&flow).cloned().unwrap_or_default();
        let mut leg = Leg::new(flow, peer, dialog, stage);
        leg.note_allow(&request.headers);
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

    fn on_bye(&mut self, now: Instant, asked: Asked<'_>, id: LegId) {
        let Some(leg) = self.legs.get(&id) else { return };
        let calling = match &leg.stage {
            Stage::Calling(calling) => Some(calling.key.clone()),
            _ => None,
        };
        let closing = matches!(leg.stage, Stage::Closing);
        self.respond_in_dialog(now, id, asked, StatusCode::OK, &[]);
        let reason = asked.request.headers.reason();
        self.refuse_change(now, id, &StatusCode::RequestTerminated.into());
        if self.refuse_incoming(now, id, &StatusCode::RequestTerminated.into()) {
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

    /// Refuses the INVITE of an incoming leg; `false` if it has been answered already.
    pub(super) fn refuse_incoming(&mut self, now: Instant, id: LegId, refusal: &Refusal) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let Stage::Incoming(incoming) = &leg.stage else { return false };
        let (key, invite) = (incoming.key.clone(), incoming.invite.clone());
        self.refuse_invite(now, id, (&key, &invite), refusal);
        true
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

/// Who calls if that is hidden.
const ANONYMOUS: &str = "anonymous@anonymous.invalid";
