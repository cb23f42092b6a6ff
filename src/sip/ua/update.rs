//! UPDATE (RFC 3311): a session is refreshed, or changed before the call is answered.

use rsip::{Method, StatusCode};

use super::api::{Event, LegId};
use super::leg::{Change, Leg, Stage};
use super::screen::{Asked, Refusal, check_body, description};
use super::table::{ClientKey, ServerKey};
use super::timer::check_session;
use super::{ALLOW, SDP, SUPPORTED, UserAgent};
use crate::base::Instant;
use crate::sip::message::{Headers, Request, Response};

impl Leg {
    /// Notes whether the other side knows UPDATE, wherever it lists what it knows.
    pub(super) fn note_allow(&mut self, headers: &Headers) {
        if headers.first("Allow").is_some() {
            self.allows_update = headers.lists("Allow", "UPDATE");
        }
    }
}

impl UserAgent {
    /// Changes the session of a call that is not answered yet: the other side has to have answered
    /// our first offer, and to know UPDATE (RFC 3311 §5.1). `false` if that is not so.
    pub(super) fn change_early(&mut self, now: Instant, id: LegId, offer: &[u8]) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        if leg.change.is_some() || leg.reported || !leg.allows_update {
            return false;
        }
        let Stage::Calling(calling) = &leg.stage else { return false };
        let Some(early) = calling.answered_early() else { return false };
        let mut update = leg.dialog.request_in(&early.dialog, Method::Update);
        let (cseq, flow) = (leg.dialog.local_cseq(), leg.flow);
        let key = ClientKey::new(&self.stamp(&mut update), Method::Update);
        self.add_contact(id, &mut update);
        update.headers.push("Allow", ALLOW);
        update.set_body(SDP, offer.to_vec());
        if let Some(leg) = self.legs.get_mut(&id) {
            let (key, offer) = (key.clone(), offer.to_vec());
            leg.change = Some(Change::Ours { key, cseq, offer, is_refresh: false });
        }
        let bytes = self.table.start_other(now, key, (flow, id), &update);
        self.send_all(flow, bytes);
        true
    }

    /// The other side refreshes the session, or wants to change it: then the room above decides
    /// (RFC 3311 §5.2).
    pub(super) fn on_update(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        id: LegId,
    ) -> Result<(), Refusal> {
        let Asked { key, request, essentials } = asked;
        check_body(request)?;
        check_session(request)?;
        let offer = description(&request.headers, request.body());
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        leg.note_allow(&request.headers);
        let pending = Err(StatusCode::RequestPending.into());
        match &leg.stage {
            Stage::Closing => return Err(StatusCode::CallTransactionDoesNotExist.into()),
            _ if offer.is_none() => {}
            // Our offer is not answered yet.
            Stage::Calling(calling) if calling.answered_early().is_none() => return pending,
            Stage::Talking { .. } if leg.unacked.as_ref().is_some_and(|u| u.is_offer) => {
                return pending;
            }
            _ if matches!(leg.change, Some(Change::Ours { .. })) => return pending,
            // Theirs is not.
            Stage::Incoming(_) => return Err(self.later()),
            _ if leg.change.is_some() => return Err(self.later()),
            Stage::Calling(_) | Stage::Talking { .. } => {}
        }
        leg.dialog.refresh_target(&request.headers);
        self.table.open_waiting(key.clone(), essentials.id.clone(), id);
        if offer.is_none() {
            self.accept_update(now, id, key, request, None);
        } else {
            let change = Change::Theirs { key: key.clone(), invite: request.clone() };
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.change = Some(change);
            }
            self.event(Event::Reoffered { leg: id, offer });
        }
        Ok(())
    }

    /// Answers an UPDATE with 200, and with our description if it had one.
    pub(super) fn accept_update(
        &mut self,
        now: Instant,
        id: LegId,
        key: &ServerKey,
        update: &Request,
        answer: Option<Vec<u8>>,
    ) {
        let contact = self.config.contact.clone();
        let Some(leg) = self.legs.get(&id) else { return };
        let mut response = Response::to(update, StatusCode::OK, leg.dialog.local().tag());
        let flow = leg.flow;
        super::reply::complete(&mut response, update, contact);
        response.headers.push("Allow", ALLOW);
        response.headers.push("Supported", SUPPORTED);
        self.accept_session(now, id, update, &mut response);
        if let Some(answer) = answer {
            response.set_body(SDP, answer);
        }
        let bytes = self.table.respond(now, key, &response);
        self.send_all(flow, bytes);
    }
}
