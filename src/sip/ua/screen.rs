//! What every request must pass before anybody is disturbed (RFC 3261 §8.2).

use rsip::{Method as Known, StatusCode};

use super::api::FlowId;
use super::table::{RequestId, ServerKey};
use super::{ALLOW, PRODUCT, SDP, SUPPORTED, UserAgent};
use crate::sip::dialog::Dialog;
use crate::sip::message::{Aor, Headers, Method, NameAddr, Request, Response, Uri, Via};

/// The header fields that every request has.
pub(super) struct Essentials {
    pub(super) from: NameAddr,
    pub(super) to: NameAddr,
    pub(super) id: RequestId,
}

/// A request to be decided on, with its transaction's name and what it always says.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) key: &'a ServerKey,
    pub(super) request: &'a Request,
    pub(super) essentials: &'a Essentials,
}

/// A refusal: the status, and a header field that says more.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) header: Option<(&'static str, String)>,
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self { status, header: None }
    }
}

impl Refusal {
    /// The refusal with a header field that says more.
    pub(super) fn with(status: StatusCode, name: &'static str, value: &str) -> Self {
        Self { status, header: Some((name, value.to_owned())) }
    }

    /// Adds what a refusing response says beside its status.
    pub(super) fn explain(&self, response: &mut Response) {
        if let Some((name, value)) = &self.header {
            response.headers.push(name, value);
        }
        response.headers.push("Server", PRODUCT);
    }
}

impl Essentials {
    /// Reads them, and what else makes a request malformed.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        if !request.is_version_known() {
            return Err(StatusCode::VersionNotSupported.into());
        }
        let bad = |_| Refusal::from(StatusCode::BadRequest);
        let headers = &request.headers;
        let (from, to) = (headers.from().map_err(bad)?, headers.to().map_err(bad)?);
        let cseq = headers.cseq().map_err(bad)?;
        request.uri().map_err(bad)?;
        let vias = headers.list("Via");
        if !vias.iter().all(|via| via.parse::<Via>().is_ok()) {
            return Err(StatusCode::BadRequest.into());
        }
        if cseq.method != *request.method() || !request.is_body_complete() {
            return Err(StatusCode::BadRequest.into());
        }
        let call_id = headers.call_id().map_err(bad)?.to_owned();
        let from_tag = from.tag().map(str::to_owned);
        Ok(Self { from, to, id: RequestId { call_id, from_tag, cseq: cseq.number } })
    }
}

impl UserAgent {
    /// Whether the sender is who it says: the From must be a name that the flow's certificate
    /// proves or, within a dialog, the address that the dialog began with.
    pub(super) fn check_sender(
        &self,
        flow: FlowId,
        from: &NameAddr,
        dialog: Option<&Dialog>,
    ) -> Result<(), Refusal> {
        if self.config.line.is_some() {
            // The registrar answers for those whose calls it sends on.
            return Ok(());
        }
        let Some(aor) = from.uri().aor() else { return Err(StatusCode::Forbidden.into()) };
        let verified = self.flows.get(&flow).is_some_and(|users| users.contains(&aor));
        let same = dialog.is_some_and(|d| d.remote().uri().aor().as_ref() == Some(&aor));
        if verified || same { Ok(()) } else { Err(StatusCode::Forbidden.into()) }
    }

    /// Method and extensions, the same inside and outside of a dialog, in the order of §8.2.
    pub(super) fn check_request(&self, request: &Request) -> Result<(), Refusal> {
        match request.method() {
            Method::Known(
                Known::Invite
                | Known::Bye
                | Known::Options
                | Known::Refer
                | Known::Notify
                | Known::PRack
                | Known::Update
                | Known::Message,
            ) => {}
            Method::Known(_) => {
                return Err(Refusal::with(StatusCode::MethodNotAllowed, "Allow", ALLOW));
            }
            Method::Unknown(_) => return Err(StatusCode::NotImplemented.into()),
        }
        let mut required = request.headers.list("Require");
        required.retain(|tag| !SUPPORTED.split(", ").any(|known| known == *tag));
        if !required.is_empty() {
            let required = required.join(", ");
            return Err(Refusal::with(StatusCode::BadExtension, "Unsupported", &required));
        }
        Ok(())
    }

    /// Whether the request is for us: one of our users, or this device (§8.2.2.1).
    pub(super) fn check_target(&self, request: &Request) -> Result<(), Refusal> {
        let uri = request.uri().map_err(|_| Refusal::from(StatusCode::BadRequest))?;
        match &uri {
            Uri::Other(_) => return Err(StatusCode::UnsupportedUriScheme.into()),
            // §19.1.1 has none in a Request-URI.
            Uri::Sip(uri) if uri.has_headers() => return Err(StatusCode::BadRequest.into()),
            Uri::Sip(_) => {}
        }
        let aor = uri.aor();
        let ours = aor.is_some_and(|aor| {
            // A registrar may know this device by another address than we do.
            let is_same = |user: &Aor| user.user() == aor.user();
            (self.config.line.is_some() && self.config.users.iter().any(is_same))
                || self.config.users.contains(&aor)
                || self.config.contact.aor() == Some(aor)
        });
        if ours { Ok(()) } else { Err(StatusCode::NotFound.into()) }
    }
}

/// Whether we can read the body (§8.2.3), and the sender what we answer an INVITE with (§21.4.7).
pub(super) fn check_body(request: &Request) -> Result<(), Refusal> {
    let headers = &request.headers;
    let is_read = |kind: &&str| {
        let kind = kind.split(';').next().unwrap_or("").trim();
        [SDP, "application/*", "*/*"].iter().any(|known| kind.eq_ignore_ascii_case(known))
    };
    if headers.first("Accept").is_some() && !headers.list("Accept").iter().any(is_read) {
        return Err(StatusCode::NotAcceptable.into());
    }
    let coded =
        headers.list("Content-Encoding").iter().any(|c| !c.eq_ignore_ascii_case("identity"));
    if request.body().is_empty() || is_optional(headers) || (is_sdp(headers) && !coded) {
        return Ok(());
    }
    let (name, value) = if coded { ("Accept-Encoding", "identity") } else { ("Accept", SDP) };
    Err(Refusal::with(StatusCode::UnsupportedMediaType, name, value))
}

/// The session description of a message, if it has one that we can read.
pub(super) fn description(headers: &Headers, body: &[u8]) -> Option<Vec<u8>> {
    (!body.is_empty() && is_sdp(headers)).then(|| body.to_vec())
}

fn is_sdp(headers: &Headers) -> bool {
    let value = headers.first("Content-Type").unwrap_or("");
    let kind: String = value.split(';').next().unwrap_or("").split_whitespace().collect();
    kind.eq_ignore_ascii_case(SDP)
}

/// Whether the sender allows the body to be ignored (§20.11).
fn is_optional(headers: &Headers) -> bool {
    let value = headers.first("Content-Disposition").unwrap_or("").to_ascii_lowercase();
    let value: String = value.split_whitespace().collect();
    value.split(';').any(|p| p == "handling=optional")
}
