//! One request over HTTPS. The connection may go to an address that a record in DNS names, while
//! URL, `Host`, SNI and the name that is checked stay those of the overlay (RFC 6940 §11.2, T-75).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::limits::{CONNECT_MAX, HEAD_BYTES_MAX, REDIRECTS_MAX, REQUEST_MAX};
use super::trust::{Trust, is_other_name};

/// An `https:` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpsUrl {
    host: String,
    /// As it stands in the URL; 443 if it does not.
    port: Option<u16>,
    path: String,
}

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a URL that begins with https:// and names a server")]
pub struct UrlError(String);

impl HttpsUrl {
    /// A path on the server of a name.
    pub(super) fn of(host: &str, path: &str) -> Result<Self, UrlError> {
        format!("https://{host}{path}").parse()
    }

    /// The server's name, or its address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(PORT_DEFAULT)
    }

    /// What HTTP says of the server.
    fn authority(&self) -> String {
        let is_ipv6 = self.host.contains(':');
        let host = if is_ipv6 { format!("[{}]", self.host) } else { self.host.clone() };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// Where a redirect leads if it stays with this server.
    fn redirected(&self, location: &str) -> Option<Self> {
        let to: Self = if location.starts_with('/') && !location.starts_with("//") {
            format!("https://{}{location}", self.authority()).parse().ok()?
        } else {
            location.parse().ok()?
        };
        let is_same = to.host.eq_ignore_ascii_case(&self.host) && to.port() == self.port();
        is_same.then_some(to)
    }
}

impl FromStr for HttpsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let refused = || UrlError(text.chars().take(EXCERPT_CHARS).collect());
        let uri: Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        if uri.scheme_str() != Some("https") || authority.as_str().contains('@') {
            return Err(refused());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if ServerName::try_from(host).is_err() || authority.port_u16() == Some(0) {
            return Err(refused());
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self { host: host.to_owned(), port: authority.port_u16(), path: path.to_owned() })
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.path)
    }
}

/// A server and how to know it.
#[derive(Clone, Debug)]
pub(super) struct Server<'a> {
    /// Where connections go, one after the other until one comes about.
    pub(super) addresses: &'a [SocketAddr],
    /// Its certificate is for one of these.
    pub(super) names: &'a [&'a str],
    /// Whose certificates count.
    pub(super) trust: &'a Trust,
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Without its parameters and in lower case; empty if there is none.
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

/// A body with its media type.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub(super) media_type: String,
    pub(super) body: Bytes,
}

/// Gets what is at `url`, following redirects within the server.
pub(super) async fn get(
    url: &HttpsUrl,
    server: &Server<'_>,
    accept: &'static str,
    bytes_max: usize,
) -> Result<Answer, HttpsError> {
    let fetched = async {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let request = request(Method::GET, &url, accept, None)?;
            let answer = exchange(&url, server, request, bytes_max).await?;
            match answer {
                Exchanged::Answer(answer) => return Ok(answer),
                Exchanged::Elsewhere(to) => {
                    url = url.redirected(&to).ok_or_else(|| redirected(&url, &to))?;
                }
            }
        }
        Err(redirected(&url, "itself"))
    };
    in_time(url, fetched).await
}

/// Posts to `url`. Redirects are not followed: what is posted is meant for this server alone.
pub(super) async fn post(
    url: &HttpsUrl,
    server: &Server<'_>,
    accept: &'static str,
    upload: Upload,
    bytes_max: usize,
) -> Result<Answer, HttpsError> {
    let posted = async {
        let request = request(Method::POST, url, accept, Some(upload))?;
        match exchange(url, server, request, bytes_max).await? {
            Exchanged::Answer(answer) => Ok(answer),
            Exchanged::Elsewhere(to) => Err(redirected(url, &to)),
        }
    };
    in_time(url, posted).await
}

async fn in_time(
    url: &HttpsUrl,
    exchange: impl Future<Output = Result<Answer, HttpsError>>,
) -> Result<Answer, HttpsError> {
    match timeout(REQUEST_MAX, exchange).await {
        Ok(result) => result,
        Err(_) => Err(HttpsError::Late { host: url.host.clone() }),
    }
}

enum Exchanged {
    Answer(Answer),
    Elsewhere(String),
}

fn request(
    method: Method,
    url: &HttpsUrl,
    accept: &'static str,
    upload: Option<Upload>,
) -> Result<Request<Full<Bytes>>, HttpsError> {
    let (media_type, body) = match upload {
        Some(upload) => (Some(upload.media_type), upload.body),
        None => (None, Bytes::new()),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(&url.path)
        .header(HOST, url.authority())
        .header(USER_AGENT, PRODUCT)
        .header(hyper::header::ACCEPT, accept);
    if let Some(media_type) = media_type {
        request = request.header(CONTENT_TYPE, media_type);
    }
    request.body(Full::new(body)).map_err(|error| broken(url, &error))
}

async fn exchange(
    url: &HttpsUrl,
    server: &Server<'_>,
    request: Request<Full<Bytes>>,
    bytes_max: usize,
) -> Result<Exchanged, HttpsError> {
    let stream = connect(url, server).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(url, &error))?;
    // Dropping the set ends the connection, whatever state it is in.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| broken(url, &error))?;
    if response.status().is_redirection() {
        let to = header(response.headers(), &LOCATION);
        return Ok(Exchanged::Elsewhere(to));
    }
    read(url, response, bytes_max).await.map(Exchanged::Answer)
}

async fn read(
    url: &HttpsUrl,
    response: Response<hyper::body::Incoming>,
    bytes_max: usize,
) -> Result<Answer, HttpsError> {
    let status = response.status();
    let content_type = header(response.headers(), &CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default();
    let media_type = media_type.trim().to_ascii_lowercase();
    let body = Limited::new(response.into_body(), bytes_max).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => HttpsError::TooLarge { host: url.host.clone(), bytes_max },
        None => broken(url, &error),
    })?;
    Ok(Answer { status, media_type, body: body.to_bytes() })
}

/// Connects to the first address that accepts. An address that shows a wrong certificate is
/// passed over too: that is why it may not be the one.
async fn connect(url: &HttpsUrl, server: &Server<'_>) -> Result<TlsStream<TcpStream>, HttpsError> {
    let host = url.host.as_str();
    let names = server.names.iter().map(|name| server_name(name));
    let names = names.collect::<Option<Vec<_>>>().ok_or_else(|| HttpsError::Broken {
        host: host.to_owned(),
        reason: "its name is no host name".to_owned(),
    })?;
    let trust = server.trust.clone();
    let client = tokio::task::spawn_blocking(move || trust.client(names)).await;
    let client = Arc::new(client.ok().flatten().ok_or(HttpsError::NoRoots)?);
    let mut first_error = None;
    for address in server.addresses {
        let attempt = timeout(CONNECT_MAX, connect_to(host, *address, client.clone()));
        let result = attempt.await.unwrap_or_else(|_| {
            let reason = "nothing answers there".to_owned();
            Err(HttpsError::Connect { host: host.to_owned(), address: *address, reason })
        });
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    Err(first_error.unwrap_or_else(|| HttpsError::NoAddress { host: host.to_owned() }))
}

async fn connect_to(
    host: &str,
    address: SocketAddr,
    client: Arc<ClientConfig>,
) -> Result<TlsStream<TcpStream>, HttpsError> {
    let stream = TcpStream::connect(address).await.map_err(|error| HttpsError::Connect {
        host: host.to_owned(),
        address,
        reason: error.to_string(),
    })?;
    let name = server_name(host).ok_or_else(|| HttpsError::NoAddress { host: host.to_owned() })?;
    TlsConnector::from(client)
        .connect(name, stream)
        .await
        .map_err(|error| HttpsError::of_handshake(host, &error))
}

fn server_name(name: &str) -> Option<ServerName<'static>> {
    match name.parse::<IpAddr>() {
        Ok(ip) => Some(ServerName::from(ip)),
        Err(_) => ServerName::try_from(name.to_owned()).ok(),
    }
}

fn header(headers: &HeaderMap<HeaderValue>, name: &hyper::header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn broken(url: &HttpsUrl, error: &dyn fmt::Display) -> HttpsError {
    HttpsError::Broken { host: url.host.clone(), reason: error.to_string() }
}

fn redirected(url: &HttpsUrl, to: &str) -> HttpsError {
    let to = to.chars().take(EXCERPT_CHARS).collect();
    HttpsError::Redirected { host: url.host.clone(), to }
}

/// Why a request over HTTPS came to nothing: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HttpsError {
    /// Nobody says where the server is.
    #[error("no address is known for the web server of {host}")]
    NoAddress {
        /// Its name.
        host: String,
    },
    /// The server does not accept connections.
    #[error("the web server of {host} can't be reached at {address}: {reason}")]
    Connect {
        /// Its name.
        host: String,
        /// Where it should be.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The certificate's time begins later than this computer's clock says.
    #[error(
        "the web certificate of {host} is not valid before a time that this computer's clock has \
         not reached; check date and time"
    )]
    NotYetValid {
        /// The server's name.
        host: String,
    },
    /// The certificate's time is over.
    #[error("the web certificate of {host} has expired, unless this computer's clock is wrong")]
    Expired {
        /// The server's name.
        host: String,
    },
    /// The certificate is for another name (RFC 6940 §11.2).
    #[error("the web server of {host} shows a certificate for another name, so it is not believed")]
    OtherName {
        /// The name that was asked for.
        host: String,
    },
    /// No root vouches for the certificate.
    #[error("nobody whom this computer trusts vouches for the web certificate of {host}")]
    Untrusted {
        /// The server's name.
        host: String,
    },
    /// TLS failed otherwise.
    #[error("no secure connection to the web server of {host} came about: {reason}")]
    Handshake {
        /// The server's name.
        host: String,
        /// What TLS says.
        reason: String,
    },
    /// This computer knows no roots.
    #[error(
        "this computer has no list of web certificate authorities; install the ca-certificates"
    )]
    NoRoots,
    /// The answer did not come in [`REQUEST_MAX`].
    #[error("the web server of {host} did not answer in time")]
    Late {
        /// The server's name.
        host: String,
    },
    /// A redirect to another server, to plain HTTP, or without end.
    #[error("the web server of {host} sends us to {to:?}, which is not followed")]
    Redirected {
        /// The server's name.
        host: String,
        /// The beginning of what it says.
        to: String,
    },
    /// The server does not have it.
    #[error("the web server of {host} answered with {status}")]
    Status {
        /// The server's name.
        host: String,
        /// The HTTP status with its phrase.
        status: String,
    },
    /// More than it could reasonably have.
    #[error("the web server of {host} sends more than {} KiB", bytes_max / 1024)]
    TooLarge {
        /// The server's name.
        host: String,
        /// What is read at most.
        bytes_max: usize,
    },
    /// Not HTTP as it should be.
    #[error("the web server of {host} broke off: {reason}")]
    Broken {
        /// The server's name.
        host: String,
        /// What is wrong.
        reason: String,
    },
}

impl HttpsError {
    fn of_handshake(host: &str, error: &std::io::Error) -> Self {
        let host = host.to_owned();
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let Some(tls) = tls else { return Self::Handshake { host, reason: error.to_string() } };
        if is_other_name(tls) {
            return Self::OtherName { host };
        }
        let rustls::Error::InvalidCertificate(certificate) = tls else {
            return Self::Handshake { host, reason: tls.to_string() };
        };
        match certificate {
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid { host }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::Expired { host }
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Self::Untrusted { host }
            }
            other => Self::Handshake { host, reason: other.to_string() },
        }
    }

    /// What another status than the wanted one means.
    pub(super) fn of_status(url: &HttpsUrl, status: StatusCode) -> Self {
        Self::Status { host: url.host.clone(), status: status.to_string() }
    }
}

const PORT_DEFAULT: u16 = 443;
const PRODUCT: &str = concat!("chordial/", env!("CARGO_PKG_VERSION"));
/// As much of a foreign value as fits into one line of a message.
const EXCERPT_CHARS: usize = 80;
