//! Changing a session while both sides talk (RFC 3261 §14): re-INVITE, from us and from them. A
//! session that is not changed goes on as it was.

use std::time::Duration;

use rsip::{Method, StatusCode};

use super::api::{End, Event, Failure, FlowId, LegId};
use super::leg::{Change, Stage};
use super::screen::{Asked, Refusal, check_body, description};
use super::table::ClientKey;
use super::timer::check_session;
use super::{ALLOW, SDP, UserAgent};
use crate::base::Instant;
use crate::sip::message::{Reason, Request, Response};
use crate::sip::transaction::T1;

impl UserAgent {
    /// `Command::Change`.
    pub(super) fn change(&mut self, now: Instant, id: LegId, offer: Vec<u8>) {
        if self.change_early(now, id, &offer) {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.is_busy() {
            return self.event(Event::Unchanged { leg: id, again_after: Some(T1) });
        }
        let flow = leg.flow;
        let mut invite = leg.dialog.request(Method::Invite);
        let cseq = leg.dialog.local_cseq();
        let branch = self.stamp(&mut invite);
        self.add_contact(id, &mut invite);
        invite.headers.push("Allow", ALLOW);
        invite.headers.push("Accept", SDP);
        invite.set_body(SDP, offer.clone());
        let key = ClientKey::new(&branch, Method::Invite);
        if let Some(leg) = self.legs.get_mut(&id) {
            let key = key.clone();
            leg.change = Some(Change::Ours { key, cseq, offer, is_refresh: false });
        }
        let bytes = self.table.start_invite(now, key, (flow, id), invite);
        self.send_all(flow, bytes);
    }

    /// The other side has answered our re-INVITE or UPDATE; `false` if this is no answer to one.
    pub(super) fn on_change_response(
        &mut self,
        now: Instant,
        id: LegId,
        key: &ClientKey,
        response: &Response,
    ) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let is_ours =
            |change: &mut Change| matches!(change, Change::Ours { key: k, .. } if k == key);
        if response.code() < 200 {
            return leg.change.as_mut().is_some_and(is_ours);
        }
        let Some(Change::Ours { offer, cseq, is_refresh, .. }) = leg.change.take_if(is_ours) else {
            return false;
        };
        if response.code() >= 300 {
            self.on_change_refused(now, id, is_refresh, response);
            return true;
        }
        leg.dialog.refresh_target(&response.headers);
        leg.note_allow(&response.headers);
        let answer = description(&response.headers, response.body());
        leg.description = offer;
        if key.is(Method::Invite) {
            self.acknowledge(id, cseq);
        }
        self.session_answered(now, id, &response.headers);
        if !is_refresh {
            self.event(Event::Changed { leg: id, answer });
        }
        true
    }

    /// Sends the ACK for the 2xx to our re-INVITE.
    fn acknowledge(&mut self, id: LegId, cseq: u32) {
        let Some(leg) = self.legs.get(&id) else { return };
        let (flow, mut ack) = (leg.flow, leg.dialog.ack(cseq));
        self.stamp(&mut ack);
        let ack = bytes::Bytes::from(ack.to_bytes());
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.ack = Some(ack.clone());
        }
        self.send(flow, ack);
    }

    /// Our re-INVITE was refused. Where the other side is gone the call is over (RFC 3261
    /// §12.2.1.2); where both sides have asked at once, whoever began the call waits for longer
    /// (§14.1).
    fn on_change_refused(
        &mut self,
        now: Instant,
        id: LegId,
        is_refresh: bool,
        response: &Response,
    ) {
        let again_after = match response.code() {
            408 => return self.lost(now, id, Failure::Timeout),
            481 => return self.lost(now, id, Failure::Forgotten),
            491 => {
                let is_owner = id.0 < LegId::FIRST_INCOMING;
                let (least, most) = if is_owner { OWNER_WAITS_MS } else { OTHER_WAITS_MS };
                let steps = self.rng.below((most - least) / STEP_MS + 1);
                Some(Duration::from_millis(least + steps * STEP_MS))
            }
            500.. => {
                let after = response.headers.first("Retry-After").unwrap_or("");
                let digits = after.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("");
                digits.parse().ok().map(|s| Duration::from_secs(s).clamp(T1, RETRY_AFTER_MAX))
            }
            _ => None,
        };
        if is_refresh {
            self.refresh_refused(now, id, response);
        } else {
            self.event(Event::Unchanged { leg: id, again_after });
        }
    }

    /// Nothing came back to our re-INVITE, if that is what timed out: the call is over (RFC 3261
    /// §12.2.1.2).
    pub(super) fn on_change_timeout(&mut self, now: Instant, id: LegId, key: &ClientKey) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if matches!(&leg.change, Some(Change::Ours { key: ours, .. }) if ours == key) {
            leg.change = None;
            self.lost(now, id, Failure::Timeout);
        }
    }

    /// The other side has lost the dialog; BYE is for the case that it has not.
    fn lost(&mut self, now: Instant, id: LegId, failure: Failure) {
        if self.legs.get(&id).is_some_and(|leg| matches!(leg.stage, Stage::Calling(_))) {
            // The INVITE says how that ends.
            return self.event(Event::Unchanged { leg: id, again_after: None });
        }
        self.end(id, End::Failed(failure));
        self.bye(now, id, Some(Reason::sip(481, "dialog lost")));
    }

    /// The other side wants to change or to refresh the session. The room above decides (RFC 3261
    /// §14.2).
    pub(super) fn on_reinvite(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        id: LegId,
    ) -> Result<(), Refusal> {
        let Asked { key, request, essentials } = asked;
        check_body(request)?;
        check_session(request)?;
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        leg.note_allow(&request.headers);
        let offer = description(&request.headers, request.body());
        let is_free = leg.unacked.is_none() && leg.change.is_none();
        match &leg.stage {
            Stage::Talking { .. } if is_free => {}
            Stage::Calling(_) => return Err(StatusCode::RequestPending.into()),
            Stage::Closing => return Err(StatusCode::CallTransactionDoesNotExist.into()),
            Stage::Talking { .. } if matches!(leg.change, Some(Change::Ours { .. })) => {
                return Err(StatusCode::RequestPending.into());
            }
            Stage::Incoming(_) | Stage::Talking { .. } => {
                return Err(self.later());
            }
        }
        leg.dialog.refresh_target(&request.headers);
        self.table.open_invite(key.clone(), essentials.id.clone(), Some(id));
        leg.change = Some(Change::Theirs { key: key.clone(), invite: request.clone() });
        let trying = Response::to(request, StatusCode::Trying, None);
        let bytes = self.table.respond(now, key, &trying);
        self.send_all(key.flow(), bytes);
        self.event(Event::Reoffered { leg: id, offer });
        Ok(())
    }

    /// Something else is under way: the other side may ask again soon (RFC 3261 §14.2).
    pub(super) fn later(&mut self) -> Refusal {
        let seconds = self.rng.below(11).to_string();
        Refusal::with(StatusCode::ServerInternalError, "Retry-After", &seconds)
    }

    /// Takes the change that the other side wants.
    pub(super) fn answer_change(&mut self, now: Instant, id: LegId, answer: Vec<u8>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match leg.change.take() {
            Some(Change::Theirs { key, invite }) => {
                leg.description.clone_from(&answer);
                if invite.method().is(Method::Invite) {
                    self.accept(now, id, &key, &invite);
                } else {
                    self.accept_update(now, id, &key, &invite, Some(answer));
                }
            }
            other => leg.change = other,
        }
    }

    /// Refuses the change that the other side wants, if it wants one.
    pub(super) fn refuse_change(&mut self, now: Instant, id: LegId, refusal: &Refusal) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match leg.change.take() {
            Some(Change::Theirs { key, invite }) => {
                self.refuse_invite(now, id, (&key, &invite), refusal);
            }
            other => leg.change = other,
        }
    }

    /// Whether a request moves its dialog to another flow, as whoever has changed networks must:
    /// a re-INVITE on a flow that proves the name of the dialog's other side.
    pub(super) fn may_move(&mut self, id: LegId, flow: FlowId, request: &Request) -> bool {
        let Some(leg) = self.legs.get(&id) else { return false };
        let is_talking = matches!(leg.stage, Stage::Talking { .. });
        if is_talking && request.method().is(Method::Invite) {
            self.rebind(id, flow);
        }
        self.legs.get(&id).is_some_and(|leg| leg.flow == flow)
    }
}

/// How long whoever began the call waits, at least and at most, before asking again when both sides
/// have asked at once; how long the other one does; and in which steps (RFC 3261 §14.1).
const OWNER_WAITS_MS: (u64, u64) = (2100, 4000);
const OTHER_WAITS_MS: (u64, u64) = (0, 2000);
const STEP_MS: u64 = 10;
/// The longest wait that the other side can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(32);
