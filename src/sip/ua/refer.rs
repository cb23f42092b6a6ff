//! Handing a call over: REFER within a dialog and what comes of it (RFC 3515), with the dialog that
//! the new call is to replace (RFC 3891) and the name of whoever asks (RFC 3892).
//!
//! A REFER is taken from the other side of a call in which both sides talk, and from nobody else.

use rsip::{Method, StatusCode};

use super::api::{Event, LegId};
use super::leg::{Leg, Stage};
use super::screen::{Asked, Refusal};
use super::table::ClientKey;
use super::{ALLOW, UserAgent};
use crate::base::Instant;
use crate::sip::message::{NameAddr, Replaces, Request, Response, Uri};

impl UserAgent {
    /// How the other side of a leg knows its dialog, to have it replaced.
    pub fn replaces(&self, leg: LegId) -> Option<Replaces> {
        self.legs.get(&leg).filter(|leg| leg.is_talking()).and_then(|leg| leg.dialog.replaces())
    }

    /// `Command::Refer`.
    pub(super) fn refer(&mut self, now: Instant, id: LegId, to: Uri, replaces: Option<&Replaces>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if !leg.is_talking() || leg.detached.is_some() {
            let status = StatusCode::ServiceUnavailable;
            return self.event(Event::Transferring { leg: id, status });
        }
        let mut refer = leg.dialog.request(Method::Refer);
        leg.referring = Some(leg.dialog.local_cseq());
        let by = NameAddr::new(leg.dialog.local().uri().clone());
        let flow = leg.flow;
        let key = ClientKey::new(&self.stamp(&mut refer), Method::Refer);
        let to = NameAddr::new(to.with_replaces(replaces)).to_string();
        refer.headers.push("Refer-To", &to);
        refer.headers.push("Referred-By", &by.to_string());
        self.add_contact(id, &mut refer);
        let bytes = self.table.start_other(now, key, (flow, id), &refer);
        self.send_all(flow, bytes);
    }

    /// `Command::Notify`, and the one that follows a REFER at once (RFC 3515 §2.4.4).
    pub(super) fn notify(&mut self, now: Instant, id: LegId, status: &StatusCode) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_talking()) else { return };
        let Some(cseq) = leg.referred else { return };
        let state = match status.code() {
            ..200 => format!("active;expires={}", SUBSCRIPTION_S),
            _ => "terminated;reason=noresource".to_owned(),
        };
        if status.code() >= 200 {
            leg.referred = None;
        }
        let mut notify = leg.dialog.request(Method::Notify);
        let flow = leg.flow;
        let key = ClientKey::new(&self.stamp(&mut notify), Method::Notify);
        notify.headers.push("Event", &format!("refer;id={cseq}"));
        notify.headers.push("Subscription-State", &state);
        self.add_contact(id, &mut notify);
        let phrase = crate::sip::message::phrase(status);
        let line = format!("SIP/2.0 {:03} {phrase}\r\n", status.code());
        notify.set_body("message/sipfrag;version=2.0", line.into_bytes());
        let bytes = self.table.start_other(now, key, (flow, id), &notify);
        self.send_all(flow, bytes);
    }

    /// The other side asks us to call somebody (RFC 3515 §2.4.2).
    pub(super) fn on_refer(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        id: LegId,
    ) -> Result<(), Refusal> {
        let request = asked.request;
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        if !leg.is_talking() {
            return Err(StatusCode::Forbidden.into());
        }
        let bad = |_| Refusal::from(StatusCode::BadRequest);
        let to: NameAddr = request.headers.single("Refer-To").and_then(str::parse).map_err(bad)?;
        let Uri::Sip(uri) = to.uri() else {
            return Err(StatusCode::UnsupportedUriScheme.into());
        };
        if uri.params().value("method").is_some_and(|method| !method.eq_ignore_ascii_case("INVITE"))
        {
            return Err(Refusal::with(StatusCode::MethodNotAllowed, "Allow", ALLOW));
        }
        let replaces = uri.replaces().map_err(bad)?;
        if leg.referred.is_some() {
            return Err(StatusCode::RequestPending.into());
        }
        // Who wants no news gets none (RFC 4488 §4).
        let wants_news = !request.headers.lists("Refer-Sub", "false");
        leg.referred = wants_news.then_some(asked.essentials.id.cseq);
        leg.dialog.refresh_target(&request.headers);
        let by = request.headers.first("Referred-By").and_then(|by| by.parse::<NameAddr>().ok());
        let by = by.and_then(|by| by.uri().aor());
        let accepted = StatusCode::Other(202, "Accepted".to_owned());
        let told: &[(&str, &str)] = if wants_news { &[] } else { &[("Refer-Sub", "false")] };
        self.respond_in_dialog(now, id, asked, accepted, told);
        self.notify(now, id, &StatusCode::Trying);
        let to = to.uri().clone().without_headers();
        self.event(Event::Referred { leg: id, to, replaces, by });
        Ok(())
    }

    /// How far the other side has come with what we have asked of it (RFC 3515 §2.4.5).
    pub(super) fn on_notify(
        &mut self,
        now: Instant,
        asked: Asked<'_>,
        id: LegId,
    ) -> Result<(), Refusal> {
        let request = asked.request;
        let Some(leg) = self.legs.get_mut(&id) else { return Ok(()) };
        let event = request.headers.first("Event").unwrap_or("");
        let (package, number) = match event.split_once(';') {
            Some((package, params)) => {
                (package, params.split(';').find_map(|p| p.trim().strip_prefix("id=")))
            }
            None => (event, None),
        };
        if !package.trim().eq_ignore_ascii_case("refer") {
            return Err(Refusal::with(StatusCode::BadEvent, "Allow-Events", "refer"));
        }
        let is_known = |cseq| number.is_none_or(|number| number.parse() == Ok(cseq));
        if !leg.referring.is_some_and(is_known) {
            return Err(StatusCode::CallTransactionDoesNotExist.into());
        }
        let state = request.headers.first("Subscription-State").unwrap_or("");
        let is_over = state.trim_start().to_ascii_lowercase().starts_with("terminated");
        let status = match fragment_status(request.body()) {
            Some(status) if status.code() >= 200 || !is_over => status,
            // It ends without saying how.
            _ if is_over => StatusCode::RequestTimeout,
            _ => StatusCode::Trying,
        };
        if is_over || status.code() >= 200 {
            leg.referring = None;
        }
        self.respond_in_dialog(now, id, asked, StatusCode::OK, &[]);
        self.event(Event::Transferring { leg: id, status });
        Ok(())
    }

    /// The other side has answered our REFER; what it accepts is told by NOTIFY.
    pub(super) fn on_refer_response(&mut self, id: LegId, response: &Response) {
        if response.code() >= 300 {
            self.refer_over(id, response.status().clone());
        }
    }

    /// Our REFER has come to nothing.
    pub(super) fn refer_over(&mut self, id: LegId, status: StatusCode) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if leg.referring.take().is_some() && !leg.reported {
            self.event(Event::Transferring { leg: id, status });
        }
    }

    /// Says in a request of a leg where we are.
    pub(super) fn add_contact(&self, id: LegId, request: &mut Request) {
        let Some(leg) = self.legs.get(&id) else { return };
        let contact = self.config.contact.clone().with_scheme_of(leg.dialog.remote().uri());
        request.headers.push("Contact", &NameAddr::new(contact).to_string());
    }

    /// The call of ours that an INVITE is to replace, if it names one (RFC 3891 §3): both sides
    /// talk in it, or we have begun it and it rings. Whoever knows its name has it from one of
    /// them.
    pub(super) fn replaced(&self, invite: &Request) -> Result<Option<LegId>, Refusal> {
        let values: Vec<&str> = invite.headers.all("Replaces").collect();
        let replaces: Replaces = match values[..] {
            [] => return Ok(None),
            [value] => value.parse().map_err(|_| Refusal::from(StatusCode::BadRequest))?,
            _ => return Err(StatusCode::BadRequest.into()),
        };
        let mut legs = self.legs.iter();
        match legs.find(|(_, leg)| leg.is_named(&replaces)) {
            Some((_, Leg { reported: true, .. })) => Err(StatusCode::Decline.into()),
            Some((_, leg)) if leg.is_talking() && replaces.early_only => {
                Err(StatusCode::BusyHere.into())
            }
            Some((id, leg)) if leg.is_talking() => Ok(Some(*id)),
            Some((id, Leg { stage: Stage::Calling(_), .. })) => Ok(Some(*id)),
            _ => Err(StatusCode::CallTransactionDoesNotExist.into()),
        }
    }
}

/// The status line that a `message/sipfrag` begins with.
fn fragment_status(body: &[u8]) -> Option<StatusCode> {
    let line = std::str::from_utf8(body).ok()?.lines().next()?;
    let code: u16 = line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    (100..700).contains(&code).then(|| StatusCode::from(code))
}

/// How long whoever asks may expect news: as long as a phone rings.
const SUBSCRIPTION_S: u64 = crate::sip::limits::RING_MAX.as_secs();
