//! The road of RFC 6940 §11.2: DNS says where the web server of the overlay's name is, and that
//! server proves the name by its certificate.

use super::search::Reporter;
use super::{Query, RoadFailure, RoadState};
use crate::config::{MEDIA_TYPE, SignedConfig, limits::DOCUMENT_BYTES_MAX};
use crate::enroll::document::{self, DocumentError};
use crate::enroll::https::{self, HttpsError, HttpsUrl, Server};
use crate::enroll::limits::WELL_KNOWN;

/// The document that the overlay's web server hands out.
pub(super) async fn document(query: &Query, news: &Reporter) -> Result<SignedConfig, RoadFailure> {
    let overlay = query.overlay.as_str();
    news.tell(RoadState::AskingDns);
    let resolver = query.resolver.as_ref().map_err(Clone::clone)?;
    let addresses = resolver.config_server(overlay).await?;
    news.tell(RoadState::AskingWeb);
    let no_address = || HttpsError::NoAddress { host: overlay.to_owned() };
    let url = HttpsUrl::of(overlay, WELL_KNOWN).map_err(|_| no_address())?;
    let server = Server { addresses: &addresses, names: &[overlay], trust: &query.trust };
    let answer = https::get(&url, &server, MEDIA_TYPE, DOCUMENT_BYTES_MAX).await?;
    if !answer.status.is_success() {
        return Err(HttpsError::of_status(&url, answer.status).into());
    }
    let found = document::read(&answer.body, &query.overlay, query.unix_ms)?;
    let invitation = query.invitation.as_ref();
    if invitation.is_some_and(|invitation| !invitation.is_for(&found, query.unix_ms)) {
        return Err(DocumentError::NotInvited.into());
    }
    document::not_older(&found, query.proved())?;
    Ok(found)
}
