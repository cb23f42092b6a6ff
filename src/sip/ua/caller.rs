//! What we ask of the other side: INVITE, CANCEL, ACK and BYE (RFC 3261 §8.1, §9.1, §13.2,
//! §15.1).

use std::collections::BTreeMap;

use bytes::Bytes;
use rsip::{Method, StatusCode};

use super::api::{End, Event, Failure, FlowId, LegId, Side};
use super::leg::{Calling, Cancel, Change, Leg, Stage};
use super::message::Receipt;
use super::table::{ClientKey, Matched};
use super::{ALLOW, SDP, SUPPORTED, UserAgent};
use crate::base::Instant;
use crate::sip::dialog::Dialog;
use crate::sip::limits;
use crate::sip::message::{self, Aor, CSeq, NameAddr, Reason, Replaces, Request, Response, Uri};
use crate::sip::transaction::GIVE_UP;

impl UserAgent {
    /// `Command::Invite`.
    pub(super) fn invite(
        &mut self,
        now: Instant,
        (id, flow): (LegId, FlowId),
        from: &Aor,
        to: Uri,
        offer: Vec<u8>,
        transfer: Option<(Option<Replaces>, Aor)>,
    ) {
        if self.legs.contains_key(&id) || id.0 >= LegId::FIRST_INCOMING {
            return;
        }
        let failure = match self.flows.get(&flow) {
            None => Some(Failure::NoFlow),
            Some(_) if self.legs.len() >= limits::LEGS_MAX => Some(Failure::TooManyCalls),
            Some(_) => None,
        };
        if let Some(failure) = failure {
            self.event(Event::Ended { leg: id, end: End::Failed(failure) });
            return;
        }
        let local = NameAddr::new(Uri::of(from)).with_tag(&self.token());
        // Any start below 2^31 does; small ones leave room for a long dialog (§8.1.1.5).
        let cseq = u32::try_from(self.rng.below(1 << 16)).unwrap_or(0);
        let call_id = self.token();
        let mut dialog = Dialog::of_caller(call_id, local, to.without_headers(), cseq);
        let mut invite = dialog.request(Method::Invite);
        let branch = self.stamp(&mut invite);
        let contact = self.config.contact.clone().with_scheme_of(dialog.remote().uri());
        invite.headers.push("Contact", &NameAddr::new(contact).to_string());
        invite.headers.push("Allow", ALLOW);
        invite.headers.push("Supported", SUPPORTED);
        invite.headers.push("Accept", SDP);
        if let Some((replaces, by)) = transfer {
            add_transfer(&mut invite, replaces.as_ref(), &by);
        }
        invite.headers.push("Expires", &limits::RING_MAX.as_secs().to_string());
        let seconds = limits::SESSION_INTERVAL.as_secs().to_string();
        invite.headers.push("Session-Expires", &seconds);
        invite.set_body(SDP, offer.clone());
        let key = ClientKey::new(&branch, Method::Invite);
        let stage = Stage::Calling(Calling {
            key: key.clone(),
            invite: invite.clone(),
            trying: false,
            ringing: false,
            early: BTreeMap::new(),
            give_up: now + limits::RING_MAX,
            cancel: Cancel::No,
        });
        let peer = self.flows.get(&flow).cloned().unwrap_or_default();
        let mut leg = Leg::new(flow, peer, dialog, stage);
        leg.description = offer;
        self.legs.insert(id, leg);
        let bytes = self.table.start_invite(now, key, (flow, id), invite);
        self.send_all(flow, bytes);
    }

    /// `Command::HangUp`.
    pub(super) fn hang_up(&mut self, now: Instant, id: LegId, reason: Option<Reason>) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.reported) else { return };
        match &mut leg.stage {
            Stage::Calling(_) => {
                self.end(id, End::Cancelled { by: Side::Us, reason: reason.clone() });
                self.cancel(now, id, reason);
            }
            Stage::Incoming(_) => self.reject(now, id, StatusCode::Decline),
            Stage::Talking { bye, .. } => {
                let waits = leg.unacked.is_some();
                if waits {
                    *bye = Some(reason.clone());
                }
                self.end(id, End::HungUp { by: Side::Us, reason: reason.clone() });
                if !waits {
                    self.bye(now, id, reason);
                }
            }
            Stage::Closing => {}
        }
    }

    /// Takes a response to the transaction that it answers.
    pub(super) fn on_response(&mut self, now: Instant, flow: FlowId, response: &Response) {
        let Some(key) = response_key(response) else {
            self.dropped += 1;
            return;
        };
        match self.table.on_response(now, flow, &key.1, response) {
            Matched::Old(bytes) => self.send_all(flow, bytes),
            Matched::News(leg, bytes) => {
                self.send_all(flow, bytes);
                if self.answer_challenge(now, leg, &key.1, response)
                    || self.lengthen_session(now, leg, &key.1, response)
                    || self.on_change_response(now, leg, &key.1, response)
                {
                    return;
                }
                match key.0 {
                    Method::Invite => self.on_invite_response(now, leg, response),
                    Method::Register => self.on_register_response(now, response),
                    Method::Refer => self.on_refer_response(leg, response),
                    Method::Message => self.on_message_response(leg, response),
                    Method::Bye if response.code() >= 200 => {
                        self.legs.remove(&leg);
                    }
                    _ => {}
                }
            }
            Matched::Nothing if key.0 == Method::Invite => self.on_late_ok(flow, response),
            Matched::Nothing => self.dropped += 1,
        }
    }

    /// Timer B or F: nothing came back.
    pub(super) fn on_client_timeout(&mut self, now: Instant, id: LegId, key: &ClientKey) {
        if key.is(Method::Register) {
            return self.register_failed(now, None);
        }
        let over = match self.legs.get(&id).map(|leg| &leg.stage) {
            Some(Stage::Calling(calling)) => calling.key == *key,
            Some(Stage::Closing) => key.is(Method::Bye),
            _ => false,
        };
        if over {
            self.end(id, End::Failed(Failure::Timeout));
            self.legs.remove(&id);
        } else if key.is(Method::Refer) {
            self.refer_over(id, StatusCode::RequestTimeout);
        } else if key.is(Method::Message) {
            self.message_over(id, Receipt::Unanswered);
        } else {
            self.on_change_timeout(now, id, key);
        }
    }

    /// The outgoing call has rung for long enough.
    pub(super) fn give_up_calling(&mut self, now: Instant, id: LegId) {
        self.end(id, End::Failed(Failure::NoAnswer));
        self.cancel(now, id, None);
    }

    /// Ends a dialog with BYE (RFC 3261 §15.1.1).
    pub(super) fn bye(&mut self, now: Instant, id: LegId, reason: Option<Reason>) {
        self.refuse_change(now, id, &StatusCode::RequestTerminated.into());
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.stage = Stage::Closing;
        leg.unacked = None;
        leg.session = None;
        if leg.detached.is_some() {
            // Nobody can be told.
            self.legs.remove(&id);
            return;
        }
        let flow = leg.flow;
        let mut bye = leg.dialog.request(Method::Bye);
        if let Some(reason) = reason {
            bye.headers.push("Reason", &reason.to_string());
        }
        let key = ClientKey::new(&self.stamp(&mut bye), Method::Bye);
        let bytes = self.table.start_other(now, key, (flow, id), &bye);
        self.send_all(flow, bytes);
    }

    /// Sends a request of a leg once more as another one, with what `edit` puts into it.
    pub(super) fn send_again(
        &mut self,
        now: Instant,
        id: LegId,
        key: &ClientKey,
        edit: impl FnOnce(&Leg, &mut Request),
    ) {
        let Some((flow, mut request)) = self.table.sent(key) else { return };
        let message::Method::Known(method) = *request.method() else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let cseq = leg.dialog.next_cseq();
        let number = CSeq { number: cseq, method: method.into() };
        request.headers.replace("CSeq", &number.to_string());
        request.headers.remove("Via");
        edit(leg, &mut request);
        let again = ClientKey::new(&self.stamp(&mut request), method);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Stage::Calling(calling) = &mut leg.stage
            && calling.key == *key
        {
            (calling.key, calling.invite) = (again.clone(), request.clone());
            (calling.trying, calling.ringing) = (false, false);
            calling.early.clear();
        }
        if let Some(Change::Ours { key: ours, cseq: number, .. }) = &mut leg.change
            && ours == key
        {
            (*ours, *number) = (again.clone(), cseq);
        }
        if method == Method::Refer && leg.referring.is_some() {
            leg.referring = Some(cseq);
        }
        let bytes = match method {
            Method::Invite => self.table.start_invite(now, again, (flow, id), request),
            _ => self.table.start_other(now, again, (flow, id), &request),
        };
        self.send_all(flow, bytes);
    }

    pub(super) fn send_all(&mut self, flow: FlowId, bytes: Option<Bytes>) {
        if let Some(bytes) = bytes {
            self.send(flow, bytes);
        }
    }

    /// Sends CANCEL, or notes to do so once the other side has shown that it has the INVITE.
    fn cancel(&mut self, now: Instant, id: LegId, reason: Option<Reason>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Calling(calling) = &mut leg.stage else { return };
        if !calling.trying {
            calling.cancel = Cancel::Wanted(reason);
            return;
        }
        calling.cancel = Cancel::Sent(now + GIVE_UP, reason.clone());
        let mut cancel = calling.invite.follow_up(Method::Cancel, None);
        if let Some(reason) = reason {
            cancel.headers.push("Reason", &reason.to_string());
        }
        let flow = leg.flow;
        let key = calling.key.with_method(Method::Cancel);
        let bytes = self.table.start_other(now, key, (flow, id), &cancel);
        self.send_all(flow, bytes);
    }

    fn on_invite_response(&mut self, now: Instant, id: LegId, response: &Response) {
        match response.code() {
            100..200 => self.on_provisional(now, id, response),
            200..300 => self.on_ok(now, id, response),
            _ => {
                let (status, phrase) = (response.status().clone(), response.phrase().to_owned());
                let contact = response.headers.contact().map(|contact| contact.uri().clone());
                self.end(
                    id,
                    match contact {
                        Ok(to @ Uri::Sip(_)) if status.code() < 400 => End::Redirected { to },
                        _ => End::Rejected { by: Side::Them, status, phrase },
                    },
                );
                self.legs.remove(&id);
            }
        }
    }

    fn on_provisional(&mut self, now: Instant, id: LegId, response: &Response) {
        if !self.on_early(now, id, response) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Calling(calling) = &mut leg.stage else { return };
        let first = !std::mem::replace(&mut calling.trying, true);
        let rings = *response.status() == StatusCode::Ringing
            && !std::mem::replace(&mut calling.ringing, true);
        let wanted = match std::mem::replace(&mut calling.cancel, Cancel::No) {
            Cancel::Wanted(reason) => Some(reason),
            other => {
                calling.cancel = other;
                None
            }
        };
        if let Some(reason) = wanted {
            self.cancel(now, id, reason);
        } else if !leg.reported {
            if first {
                self.event(Event::Trying { leg: id });
            }
            if rings {
                self.event(Event::Ringing { leg: id });
            }
        }
    }

    /// The call was answered: acknowledge it, and end it if nobody wants it any more.
    fn on_ok(&mut self, now: Instant, id: LegId, response: &Response) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Calling(calling) = &leg.stage else {
            let flow = leg.flow;
            return self.on_late_ok(flow, response);
        };
        // Who answers while our CANCEL is on its way is told the same reason.
        let reason = match &calling.cancel {
            Cancel::Wanted(reason) | Cancel::Sent(_, reason) => reason.clone(),
            Cancel::No => None,
        };
        let Ok(cseq) = response.headers.cseq() else { return };
        if leg.dialog.confirm(response).is_err() {
            return;
        }
        let mut ack = leg.dialog.ack(cseq.number);
        leg.asked_again = 0;
        // An ACK can't be asked for a password: it has the answer of its INVITE (§22.1).
        for name in ["Authorization", "Proxy-Authorization"] {
            for value in calling.invite.headers.all(name) {
                ack.headers.push(name, value);
            }
        }
        let flow = leg.flow;
        // The answer may have come before (RFC 3262 §5).
        let early = leg.dialog.remote().tag().and_then(|tag| calling.early.get(tag));
        let early = early.and_then(|early| early.answer.clone());
        let answer = super::screen::description(&response.headers, response.body()).or(early);
        leg.stage = Stage::Talking { bye: None, acked: true };
        leg.note_allow(&response.headers);
        let unwanted = leg.reported;
        self.session_answered(now, id, &response.headers);
        self.stamp(&mut ack);
        let ack = Bytes::from(ack.to_bytes());
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.ack = Some(ack.clone());
        }
        self.send(flow, ack);
        if unwanted {
            self.bye(now, id, reason);
        } else {
            self.event(Event::Answered { leg: id, answer });
        }
    }

    /// A 200 that has come before: our ACK was lost. One with another tag would be from another
    /// device behind a forking proxy; a flow leads to one device, so that it gets no ACK and the
    /// device gives up by itself.
    fn on_late_ok(&mut self, flow: FlowId, response: &Response) {
        let (Ok(call_id), Ok(to), Ok(from)) =
            (response.headers.call_id(), response.headers.to(), response.headers.from())
        else {
            return;
        };
        let same = |leg: &&Leg| leg.flow == flow && leg.dialog.has_request(call_id, &to, &from);
        let ack = self.legs.values().find(same).and_then(|leg| leg.ack.clone());
        if (200..300).contains(&response.code()) {
            self.send_all(flow, ack);
        }
    }
}

/// Says in an INVITE what it replaces and who has asked for it. Whoever does not know how to
/// replace a call must not take it for another one (RFC 3891 §5).
fn add_transfer(invite: &mut Request, replaces: Option<&Replaces>, by: &Aor) {
    if let Some(replaces) = replaces {
        invite.headers.push("Require", "replaces");
        invite.headers.push("Replaces", &replaces.to_string());
    }
    invite.headers.push("Referred-By", &NameAddr::new(Uri::of(by)).to_string());
}

/// The methods of our requests that have an answer.
const OURS: [Method; 9] = [
    Method::Invite,
    Method::Bye,
    Method::Cancel,
    Method::Refer,
    Method::Notify,
    Method::PRack,
    Method::Update,
    Method::Message,
    Method::Register,
];

/// The transaction that a response claims to answer. It must be whole and have our Via alone
/// (RFC 3261 §8.1.3.3).
fn response_key(response: &Response) -> Option<(Method, ClientKey)> {
    let headers = &response.headers;
    let via = headers.via().ok()?;
    let cseq = headers.cseq().ok()?;
    let whole = headers.from().is_ok() && headers.to().is_ok() && headers.call_id().is_ok();
    if !response.is_body_complete() || !whole || headers.list("Via").len() != 1 {
        return None;
    }
    let method = OURS.into_iter().find(|method| cseq.method.is(*method))?;
    Some((method, ClientKey::new(via.branch()?, method)))
}
