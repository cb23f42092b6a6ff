//! Provisional responses that are sure to arrive (RFC 3262), and the early dialogs that they begin
//! (RFC 3261 §12.1).
//!
//! Our 180 is of this kind if the caller requires it; whoever only knows of it gets it as often as
//! anybody else.

use std::time::Duration;

use bytes::Bytes;
use rsip::{Method, StatusCode};

use super::UserAgent;
use super::api::{End, Failure, LegId};
use super::leg::{Calling, Stage};
use super::screen::{Asked, Refusal, check_body, description};
use super::table::ClientKey;
use crate::base::Instant;
use crate::sip::dialog::Dialog;
use crate::sip::limits;
use crate::sip::message::{Headers, RAck, Response};
use crate::sip::transaction::{GIVE_UP, T1};

/// What has come of an INVITE of ours at one device, before it is answered.
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// The number of the last response that had one.
    rseq: Option<u32>,
    /// The answer to our offer, if a response that is sure to arrive had it.
    pub(super) answer: Option<Vec<u8>>,
}

/// Our own provisional responses, for a caller who wants to be sure of them.
pub(super) struct Reliable {
    /// The number of the last one.
    rseq: u32,
    /// The one that the caller has not confirmed yet.
    pub(super) waiting: Option<Waiting>,
}

/// A provisional response that is repeated until its PRACK comes.
pub(super) struct Waiting {
    response: Bytes,
    interval: Duration,
    pub(super) resend: Instant,
    pub(super) give_up: Instant,
}

impl Calling {
    /// Notes the early dialog of a provisional response. `false` if the response has come before,
    /// or before one that it follows: it is no news then (RFC 3262 §4).
    fn note_early(&mut self, dialog: &Dialog, response: &Response) -> bool {
        let to = response.headers.to().ok();
        let Some(tag) = to.as_ref().and_then(|to| to.tag()) else { return true };
        if !self.early.contains_key(tag) {
            let mut dialog = dialog.clone();
            if self.early.len() >= limits::EARLY_DIALOGS_MAX || dialog.confirm(response).is_err() {
                return true;
            }
            self.early.insert(tag.to_owned(), Early { dialog, rseq: None, answer: None });
        }
        let Some(early) = self.early.get_mut(tag) else { return true };
        let Some(rseq) = rseq(&response.headers) else { return true };
        if early.rseq.is_some_and(|last| Some(rseq) != last.checked_add(1)) {
            return false;
        }
        early.rseq = Some(rseq);
        if early.answer.is_none() {
            early.answer = description(&response.headers, response.body());
        }
        true
    }

    /// The early dialog in which our offer has been answered.
    pub(super) fn answered_early(&self) -> Option<&Early> {
        self.early.values().find(|early| early.answer.is_some())
    }
}

impl UserAgent {
    /// Takes what a provisional response says beside its status, and confirms it if it wants to be
    /// confirmed. `false` if it is no news.
    pub(super) fn on_early(&mut self, now: Instant, id: LegId, response: &Response) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        leg.note_allow(&response.headers);
        let Stage::Calling(calling) = &mut leg.stage else { return true };
        if !calling.note_early(&leg.dialog, response) {
            return false;
        }
        let to = response.headers.to().ok();
        let early = to.as_ref().and_then(|to| calling.early.get(to.tag()?));
        let (Some(early), Some(rseq)) = (early, rseq(&response.headers)) else { return true };
        let Ok(cseq) = response.headers.cseq() else { return true };
        let mut prack = leg.dialog.request_in(&early.dialog, Method::PRack);
        prack.headers.push("RAck", &RAck { rseq, cseq }.to_string());
        let flow = leg.flow;
        let key = ClientKey::new(&self.stamp(&mut prack), Method::PRack);
        let bytes = self.table.start_other(now, key, (flow, id), &prack);
        self.send_all(flow, bytes);
        true
    }

    /// Makes a provisional response one that is sure to arrive, if the caller requires it. `false`
    /// if the one before is not confirmed yet: there must not be another (RFC 3262 §3).
    pub(super) fn make_reliable(
        &mut self,
        now: Instant,
        id: LegId,
        response: &mut Response,
    ) -> bool {
        let first = u32::try_from(self.rng.below(1 << 16)).unwrap_or(0) + 1;
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let Stage::Incoming(incoming) = &mut leg.stage else { return false };
        if !incoming.invite.headers.lists("Require", "100rel") {
            return true;
        }
        let rseq = match &incoming.reliable {
            Some(Reliable { waiting: Some(_), .. }) => return false,
            Some(Reliable { rseq, waiting: None }) => rseq.saturating_add(1),
            None => first,
        };
        response.headers.push("Require", "100rel");
        response.headers.push("RSeq", &rseq.to_string());
        let (resend, give_up) = (now + T1, now + GIVE_UP);
        let bytes = response.to_bytes().into();
        let waiting = Some(Waiting { response: bytes, interval: T1, resend, give_up });
        incoming.reliable = Some(Reliable { rseq, waiting });
        // It is said again only so that no proxy forgets the call (RFC 3261 §13.3.1.1).
        incoming.ring = Some(now + limits::RELIABLE_RING_REPEAT);
        true
    }

    /// The caller confirms a provisional response (RFC 3262 §3).
    pub(super) fn on_prack(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        id: LegId,
    ) -> Result<(), Refusal> {
        let headers = &asked.request.headers;
        let rack: RAck = headers
            .single("RAck")
            .and_then(str::parse)
            .map_err(|_| Refusal::from(StatusCode::BadRequest))?;
        check_body(asked.request)?;
        let stage = self.legs.get_mut(&id).map(|leg| &mut leg.stage);
        let Some(Stage::Incoming(incoming)) = stage else {
            return Err(StatusCode::CallTransactionDoesNotExist.into());
        };
        let cseq = incoming.invite.headers.cseq();
        match &mut incoming.reliable {
            Some(Reliable { rseq, waiting }) if *rseq == rack.rseq && Ok(rack.cseq) == cseq => {
                // We have answered nothing yet, so that there can be no other offer.
                if description(headers, asked.request.body()).is_some() {
                    return Err(StatusCode::NotAcceptableHere.into());
                }
                if waiting.take().is_none() {
                    return Err(StatusCode::CallTransactionDoesNotExist.into());
                }
            }
            _ => return Err(StatusCode::CallTransactionDoesNotExist.into()),
        }
        self.respond_in_dialog(now, id, asked, StatusCode::OK, &[]);
        Ok(())
    }

    /// The PRACK has not come yet: the response is sent again.
    pub(super) fn provisional_again(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Stage::Incoming(incoming) = &mut leg.stage else { return };
        let Some(waiting) = incoming.reliable.as_mut().and_then(|r| r.waiting.as_mut()) else {
            return;
        };
        waiting.interval *= 2;
        waiting.resend = now + waiting.interval;
        let (flow, bytes) = (leg.flow, waiting.response.clone());
        self.send(flow, bytes);
    }

    /// The PRACK never came: the call is refused (RFC 3262 §3).
    pub(super) fn provisional_over(&mut self, now: Instant, id: LegId) {
        self.refuse_incoming(now, id, &StatusCode::ServerTimeOut.into());
        self.end(id, End::Failed(Failure::PrackMissing));
        self.legs.remove(&id);
    }
}

/// The number of a provisional response that wants to be confirmed. One of 0 has none (RFC 3262
/// §7.1).
fn rseq(headers: &Headers) -> Option<u32> {
    let number = headers.first("RSeq")?.parse().ok().filter(|number| *number > 0)?;
    headers.lists("Require", "100rel").then_some(number)
}
