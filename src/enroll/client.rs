//! A certificate for a key of ours (RFC 6940 §11.3): one POST of a form over HTTPS, and a look at
//! what comes back.

use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::dns::{DnsError, Resolver};
use super::form::Form;
use super::https::{self, Answer, HttpsError, HttpsUrl, Server, UrlError};
use super::limits::ENROLL_BYTES_MAX;
use super::trust::Trust;
use crate::config::OverlayName;
use crate::crypto::{CertificateError, Password, Provider, X509Provider};

/// What is asked of an enrollment server.
#[derive(Clone, Debug)]
pub struct Enrollment {
    /// The enrollment-servers of the overlay's document; the first that answers decides.
    pub urls: Vec<String>,
    /// The overlay's name: a server may prove it in place of its URL's (T-76).
    pub overlay: OverlayName,
    /// The account, where the server wants one.
    pub account: Option<(String, Password)>,
    /// The code of an invitation, which lets whoever has no account yet make it with this name and
    /// password. Ours is the only server that wants one; others pass it over.
    pub invitation: Option<String>,
    /// How many Node-IDs the certificate shall have.
    pub node_ids: u16,
    /// The user name that the certificate shall have.
    pub user_name: String,
    /// The PKCS #10 request in DER, for the key that we have.
    pub csr_der: Vec<u8>,
}

/// Gets a certificate in DER that `provider`, which knows the overlay's trust anchors, accepts.
///
/// # Errors
///
/// Fails with what the server or the network says, and for a certificate that is not for our key,
/// our user name and this overlay.
pub async fn enroll(
    enrollment: &Enrollment,
    provider: &X509Provider,
    resolver: &Result<Resolver, DnsError>,
    trust: &Trust,
) -> Result<Vec<u8>, EnrollError> {
    let mut result = Err(EnrollError::NoServer(enrollment.overlay.to_string()));
    for url in &enrollment.urls {
        result = ask(enrollment, url, resolver, trust).await;
        // Another server may be up, but what one server says holds for all.
        if !matches!(result, Err(EnrollError::Https(_) | EnrollError::Dns(_))) {
            break;
        }
    }
    let certificate = result?;
    check(&certificate, enrollment, provider)?;
    Ok(certificate)
}

async fn ask(
    enrollment: &Enrollment,
    url: &str,
    resolver: &Result<Resolver, DnsError>,
    trust: &Trust,
) -> Result<Vec<u8>, EnrollError> {
    let url: HttpsUrl = url.parse()?;
    let form = form(enrollment).ok_or(EnrollError::NoRandomness)?;
    let overlay = enrollment.overlay.as_str();
    let answer =
        post(&url, overlay, (CERTIFICATE_TYPE, ENROLL_BYTES_MAX), form, resolver, trust).await?;
    certificate(&url, answer, enrollment)
}

/// Posts a form to a server of the overlay, for an answer of this type and size at most.
pub(super) async fn post(
    url: &HttpsUrl,
    overlay: &str,
    (accept, bytes_max): (&'static str, usize),
    form: Form,
    resolver: &Result<Resolver, DnsError>,
    trust: &Trust,
) -> Result<Answer, EnrollError> {
    let addresses = match url.host().parse() {
        Ok(ip) => vec![std::net::SocketAddr::new(ip, url.port())],
        Err(_) => {
            let resolver = resolver.as_ref().map_err(Clone::clone)?;
            resolver.addresses(url.host(), url.port()).await?
        }
    };
    let server = Server { addresses: &addresses, names: &[url.host(), overlay], trust };
    Ok(https::post(url, &server, accept, form.finish(), bytes_max).await?)
}

/// The form of RFC 6940 §11.3.
fn form(enrollment: &Enrollment) -> Option<Form> {
    let mut form = Form::new()?;
    if let Some((account, password)) = &enrollment.account {
        form.account(account, password);
    }
    if let Some(code) = &enrollment.invitation {
        form.field("invitation", code);
    }
    if enrollment.node_ids > 1 {
        form.field("nodeids", &enrollment.node_ids.to_string());
    }
    // With a file name, servers take a part for bytes and not for text.
    let head = "name=\"csr\"; filename=\"request.p10\"\r\nContent-Type: application/pkcs10";
    form.part(head, &enrollment.csr_der);
    Some(form)
}

/// What the server's answer means.
fn certificate(
    url: &HttpsUrl,
    answer: Answer,
    enrollment: &Enrollment,
) -> Result<Vec<u8>, EnrollError> {
    use hyper::StatusCode;

    match answer.status {
        StatusCode::OK if answer.media_type == CERTIFICATE_TYPE => Ok(answer.body.to_vec()),
        StatusCode::OK => Err(EnrollError::NoCertificate(url.host().to_owned())),
        StatusCode::FORBIDDEN => Err(refusal(&answer.body, enrollment)),
        status => Err(HttpsError::of_status(url, status).into()),
    }
}

/// The token in the body of a refusal (RFC 6940 §11.3).
fn refusal(body: &[u8], enrollment: &Enrollment) -> EnrollError {
    match body.trim_ascii() {
        b"failed_authentication" => EnrollError::Authentication,
        b"username_not_available" => EnrollError::UserName(enrollment.user_name.clone()),
        b"Node-IDs_not_available" => EnrollError::NodeIds(enrollment.node_ids),
        b"bad_CSR" => EnrollError::BadCsr,
        _ => EnrollError::Unknown,
    }
}

/// Checks that a certificate is the one that was asked for.
fn check(
    certificate: &[u8],
    enrollment: &Enrollment,
    provider: &X509Provider,
) -> Result<(), EnrollError> {
    let accepted = provider.certificate(certificate)?;
    if accepted.self_signed {
        return Err(CertificateError::Untrusted.into());
    }
    let key = X509Certificate::from_der(certificate).ok();
    let key = key.map(|(_, parsed)| parsed.public_key().raw.to_vec());
    let ours = X509CertificationRequest::from_der(&enrollment.csr_der).ok();
    let ours = ours.map(|(_, csr)| csr.certification_request_info.subject_pki.raw.to_vec());
    if key.is_none() || key != ours {
        return Err(EnrollError::OtherKey);
    }
    if accepted.user_name != enrollment.user_name {
        return Err(EnrollError::OtherUser {
            wanted: enrollment.user_name.clone(),
            given: accepted.user_name.clone(),
        });
    }
    Ok(())
}

/// Why there is no certificate: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EnrollError {
    /// The document names no enrollment server.
    #[error("{0} has no enrollment server to ask for a certificate")]
    NoServer(String),
    /// The document's URL cannot be used.
    #[error("the overlay's document names an enrollment server that can't be asked: {0}")]
    Url(#[from] UrlError),
    /// DNS does not say where the server is.
    #[error("the enrollment server can't be found: {0}")]
    Dns(#[from] DnsError),
    /// The server did not answer as it should.
    #[error("the enrollment server could not be asked: {0}")]
    Https(#[from] HttpsError),
    /// The system has no random numbers.
    #[error("this computer has no random numbers to ask the enrollment server with")]
    NoRandomness,
    /// `failed_authentication`.
    #[error("the account name or the password is wrong")]
    Authentication,
    /// `username_not_available`.
    #[error("the enrollment server does not give the name {0} to this account; choose another")]
    UserName(String),
    /// `Node-IDs_not_available`.
    #[error("the enrollment server does not give {0} Node-IDs to this account; ask for fewer")]
    NodeIds(u16),
    /// `bad_CSR`.
    #[error("the enrollment server can't use our request for a certificate")]
    BadCsr,
    /// A token that nobody has defined (RFC 6940 §11.3).
    #[error("the enrollment server refuses for an unknown reason")]
    Unknown,
    /// Success, but with something else.
    #[error("{0} is no enrollment server: what it answers is no certificate")]
    NoCertificate(String),
    /// The certificate does not hold in this overlay.
    #[error("the enrollment server's certificate can't be used: {0}")]
    Certificate(#[from] CertificateError),
    /// The certificate is for a key that we do not have.
    #[error("the enrollment server's certificate is for another key than ours")]
    OtherKey,
    /// The certificate has a name that was not asked for.
    #[error("the enrollment server gives the name {given} in place of {wanted}")]
    OtherUser {
        /// What was asked for.
        wanted: String,
        /// What the certificate has.
        given: String,
    },
}

/// The media type of a certificate in DER (RFC 2585).
const CERTIFICATE_TYPE: &str = "application/pkix-cert";
