//! A device of one's own is put out of the overlay, for example because it is lost. RFC 6940 has
//! no words for that; servers of ours take a form with the field `revoke` in place of `csr` at the
//! URL of §11.3 and answer with the document in which the device is a bad node (§11.1).

use hyper::StatusCode;
use thiserror::Error;

use super::client::{EnrollError, post};
use super::dns::{DnsError, Resolver};
use super::form::Form;
use super::https::{Answer, HttpsError, HttpsUrl, UrlError};
use super::trust::Trust;
use crate::base::NodeId;
use crate::config::{
    ConfigError, MEDIA_TYPE, OverlayName, SignedConfig, limits::DOCUMENT_BYTES_MAX,
};
use crate::crypto::Password;

/// What is asked of an enrollment server.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The enrollment-servers of the overlay's document; the first that answers decides.
    pub urls: Vec<String>,
    /// The overlay's name: a server may prove it in place of its URL's (T-76).
    pub overlay: OverlayName,
    /// The account that the device belongs to, and its password.
    pub account: (String, Password),
    /// The device.
    pub node_id: NodeId,
}

/// Has a device put out of the overlay; gives the document that does so.
///
/// # Errors
///
/// Fails with what the server or the network says, for servers that do not know this, and for a
/// document in which the device is no bad node.
pub async fn revoke(
    revocation: &Revocation,
    resolver: &Result<Resolver, DnsError>,
    trust: &Trust,
) -> Result<SignedConfig, RevokeError> {
    let mut result = Err(RevokeError::Unknown(revocation.overlay.to_string()));
    for url in &revocation.urls {
        result = ask(revocation, url, resolver, trust).await;
        // Another server may be up, but what one server says holds for all.
        if !matches!(result, Err(RevokeError::NotAsked(_))) {
            break;
        }
    }
    result
}

async fn ask(
    revocation: &Revocation,
    url: &str,
    resolver: &Result<Resolver, DnsError>,
    trust: &Trust,
) -> Result<SignedConfig, RevokeError> {
    let url: HttpsUrl = url.parse().map_err(|error: UrlError| EnrollError::from(error))?;
    let mut form = Form::new().ok_or(EnrollError::NoRandomness)?;
    let (account, password) = &revocation.account;
    form.account(account, password);
    form.field("revoke", &revocation.node_id.to_string());
    let overlay = revocation.overlay.as_str();
    let wanted = (MEDIA_TYPE, DOCUMENT_BYTES_MAX);
    let answer = post(&url, overlay, wanted, form, resolver, trust).await?;
    document(&url, &answer, revocation)
}

/// What the server's answer means.
fn document(
    url: &HttpsUrl,
    answer: &Answer,
    revocation: &Revocation,
) -> Result<SignedConfig, RevokeError> {
    let unknown = || RevokeError::Unknown(url.host().to_owned());
    match answer.status {
        StatusCode::OK if answer.media_type == MEDIA_TYPE => {
            let document = SignedConfig::parse(&answer.body, Some(&revocation.overlay))?;
            match document.config.bad_nodes.contains(&revocation.node_id) {
                true => Ok(document),
                false => Err(unknown()),
            }
        }
        StatusCode::FORBIDDEN => Err(match answer.body.trim_ascii() {
            b"failed_authentication" => RevokeError::Authentication,
            b"Node-IDs_not_available" => RevokeError::NotOfAccount(revocation.node_id),
            _ => unknown(),
        }),
        status if status.is_success() => Err(unknown()),
        status => Err(EnrollError::from(HttpsError::of_status(url, status)).into()),
    }
}

/// Why a device is not put out: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RevokeError {
    /// There is no server that could be asked.
    #[error(transparent)]
    NotAsked(#[from] EnrollError),
    /// `failed_authentication`.
    #[error("the account name or the password is wrong")]
    Authentication,
    /// `Node-IDs_not_available`.
    #[error("the peer {0} is no device of this account")]
    NotOfAccount(NodeId),
    /// The server does not know what it is asked for.
    #[error("{0} has no server that does this for its users; ask whoever runs it to revoke it")]
    Unknown(String),
    /// The document that it answers with cannot be used.
    #[error("what the enrollment server answers can't be used: {0}")]
    Document(#[from] ConfigError),
}
