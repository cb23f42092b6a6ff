//! Session timers (RFC 4028): a session that nobody refreshes ends, so that no call goes on for
//! ever whose other side has gone without a word.
//!
//! Our calls ask for [`limits::SESSION_INTERVAL`]; who refreshes is for the callee to say, and it
//! is the caller if we are the callee. A refresh is an UPDATE without a description, or a re-INVITE
//! with our last one where the other side knows no UPDATE.

use std::time::Duration;

use rsip::{Method, StatusCode};

use super::api::{End, Failure, LegId};
use super::leg::{Change, Leg, Stage};
use super::screen::Refusal;
use super::table::ClientKey;
use super::{ALLOW, SDP, SUPPORTED, UserAgent};
use crate::base::Instant;
use crate::sip::limits;
use crate::sip::message::{Headers, Reason, Refresher, Request, Response, SessionExpires};

/// When a session is refreshed, and when it is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionTimer {
    /// When we refresh it, if we do.
    pub(super) refresh: Option<Instant>,
    pub(super) over: Instant,
}

impl SessionTimer {
    fn new(now: Instant, interval: Duration, is_ours: bool) -> Self {
        let early = (interval / 3).min(BYE_BEFORE);
        Self { refresh: is_ours.then(|| now + interval / 2), over: now + (interval - early) }
    }
}

impl Leg {
    /// What our next request says of the session.
    fn add_session(&self, request: &mut Request, refresher: Option<Refresher>) {
        let least = self.session_least_s;
        let seconds = least.max(u32::try_from(INTERVAL_S).unwrap_or(least));
        let expires = SessionExpires { seconds, refresher };
        request.headers.replace("Session-Expires", &expires.to_string());
        if least > LEAST_S {
            request.headers.replace("Min-SE", &least.to_string());
        }
    }
}

impl UserAgent {
    /// Our request was answered: the session lives for as long as the answer says (RFC 4028 §7.2).
    pub(super) fn session_answered(&mut self, now: Instant, id: LegId, headers: &Headers) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let expires = headers.single("Session-Expires").and_then(str::parse::<SessionExpires>);
        leg.session = expires.ok().map(|expires| {
            let is_ours = expires.refresher != Some(Refresher::Uas);
            SessionTimer::new(now, interval(expires.seconds), is_ours)
        });
    }

    /// Takes what a request that we accept says of the session, and says in the answer what becomes
    /// of it (RFC 4028 §9).
    pub(super) fn accept_session(
        &mut self,
        now: Instant,
        id: LegId,
        request: &Request,
        response: &mut Response,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let asked = request.headers.single("Session-Expires").and_then(str::parse);
        let Ok(SessionExpires { seconds, refresher }) = asked else {
            leg.session = None;
            return;
        };
        // A proxy may have asked for it whose client knows nothing of timers.
        let knows = request.headers.lists("Supported", "timer");
        let refresher = if knows { refresher.unwrap_or(Refresher::Uac) } else { Refresher::Uas };
        let interval = interval(seconds);
        leg.session = Some(SessionTimer::new(now, interval, refresher == Refresher::Uas));
        let expires = SessionExpires { seconds, refresher: Some(refresher) };
        response.headers.push("Session-Expires", &expires.to_string());
        if refresher == Refresher::Uac {
            response.headers.push("Require", "timer");
        }
    }

    /// It is time to refresh a session. What is in the way will be over soon.
    pub(super) fn refresh_session(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(session) = &mut leg.session else { return };
        session.refresh = Some(now + TRY_AGAIN);
        if leg.is_busy() {
            return;
        }
        let method = if leg.allows_update { Method::Update } else { Method::Invite };
        let mut request = leg.dialog.request(method);
        request.headers.push("Supported", SUPPORTED);
        leg.add_session(&mut request, Some(Refresher::Uac));
        let (cseq, flow, offer) = (leg.dialog.local_cseq(), leg.flow, leg.description.clone());
        let key = ClientKey::new(&self.stamp(&mut request), method);
        self.add_contact(id, &mut request);
        request.headers.push("Allow", ALLOW);
        if method == Method::Invite {
            request.headers.push("Accept", SDP);
            request.set_body(SDP, offer.clone());
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            let key = key.clone();
            leg.change = Some(Change::Ours { key, cseq, offer, is_refresh: true });
        }
        let bytes = match method {
            Method::Invite => self.table.start_invite(now, key, (flow, id), request),
            _ => self.table.start_other(now, key, (flow, id), &request),
        };
        self.send_all(flow, bytes);
    }

    /// Our refresh was refused: who does not know UPDATE is asked by re-INVITE.
    pub(super) fn refresh_refused(&mut self, now: Instant, id: LegId, response: &Response) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if matches!(response.code(), 405 | 501) && leg.allows_update {
            leg.allows_update = false;
            self.refresh_session(now, id);
        }
    }

    /// Nobody has refreshed the session (RFC 4028 §10).
    pub(super) fn session_over(&mut self, now: Instant, id: LegId) {
        self.end(id, End::Failed(Failure::Expired));
        self.bye(now, id, Some(Reason::sip(408, "session expired")));
    }

    /// Asks again for a session that was too short for somebody on the way (RFC 4028 §7.3).
    /// `false` if this is no such response, or asks for what nobody can want.
    pub(super) fn lengthen_session(
        &mut self,
        now: Instant,
        id: LegId,
        key: &ClientKey,
        response: &Response,
    ) -> bool {
        if *response.status() != StatusCode::SessionIntervalTooSmall {
            return false;
        }
        let least = response
            .headers
            .first("Min-SE")
            .and_then(|least| least.split(';').next()?.trim().parse::<u32>().ok());
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.reported) else { return false };
        let Some(least) = least.filter(|least| (leg.session_least_s + 1..=MOST_S).contains(least))
        else {
            return false;
        };
        if leg.session_raised >= RAISED_MAX {
            return false;
        }
        leg.session_raised += 1;
        leg.session_least_s = least;
        self.send_again(now, id, key, |leg, request| {
            let refresher = match &leg.stage {
                Stage::Calling(_) => None,
                _ => Some(Refresher::Uac),
            };
            leg.add_session(request, refresher);
        });
        true
    }
}

/// Refuses a request for a session that is shorter than we take (RFC 4028 §9). Who does not know
/// timers would not understand why, and nobody has to refresh as often as a proxy says.
pub(super) fn check_session(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    let asked = match headers.all("Session-Expires").next() {
        Some(_) => headers.single("Session-Expires").and_then(str::parse::<SessionExpires>),
        None => return Ok(()),
    };
    let asked = asked.map_err(|_| Refusal::from(StatusCode::BadRequest))?;
    if asked.seconds < LEAST_S && headers.lists("Supported", "timer") {
        let least = LEAST_S.to_string();
        return Err(Refusal::with(StatusCode::SessionIntervalTooSmall, "Min-SE", &least));
    }
    Ok(())
}

/// An interval that the other side has named, but none that would have us send without end.
fn interval(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds.clamp(LEAST_S, MOST_S)))
}

/// The shortest interval in seconds (RFC 4028 §5).
pub(super) const LEAST_S: u32 = 90;
/// The longest interval that we are talked into.
const MOST_S: u32 = 86_400;
const INTERVAL_S: u64 = limits::SESSION_INTERVAL.as_secs();
/// How long before its end a session is ended, at the most (RFC 4028 §10).
const BYE_BEFORE: Duration = Duration::from_secs(32);
/// When a refresh is tried again that something was in the way of.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How often one leg is talked into a longer interval: once for each proxy on the way.
const RAISED_MAX: u8 = 4;
