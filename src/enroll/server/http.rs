//! The HTTPS side: connections, the two things that can be asked for, and patience with nobody.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyDataStream, Full};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use multer::{Constraints, Multipart, SizeLimit};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::admission::{Form, Grant, Refusal};
use super::limits;
use super::rate::{Key, Rates, Rule, source};
use super::registry::Registry;
use super::safe::RegistryFolder;
use super::{ServerEvent, unix_ms};
use crate::config::{MEDIA_TYPE, SignedConfig};
use crate::enroll::prepare::prepared_account;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) folder: RegistryFolder,
    pub(super) document: watch::Receiver<Arc<SignedConfig>>,
    pub(super) events: mpsc::Sender<ServerEvent>,
    pub(super) rates: Mutex<Rates>,
    /// Passwords that are hashed at the same time.
    pub(super) hashing: Semaphore,
}

type Answer = Response<Full<Bytes>>;

/// Accepts connections for ever, each with the TLS configuration of the moment.
pub(super) async fn serve(
    listener: TcpListener,
    tls: watch::Receiver<Arc<ServerConfig>>,
    desk: Arc<Desk>,
) {
    let mut connections: JoinSet<IpAddr> = JoinSet::new();
    let mut of_source = std::collections::BTreeMap::<IpAddr, usize>::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(Ok(ended)) = connections.join_next() => {
                if let Some(count) = of_source.get_mut(&ended) {
                    *count -= 1;
                }
                of_source.retain(|_, count| *count > 0);
                continue;
            }
        };
        let Ok((stream, from)) = accepted else {
            // Out of file descriptors, perhaps; some come back when connections end.
            tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            continue;
        };
        let source = source(from.ip());
        let count = of_source.get(&source).copied().unwrap_or_default();
        if connections.len() >= limits::CONNECTIONS_MAX
            || count >= limits::CONNECTIONS_OF_SOURCE_MAX
        {
            continue;
        }
        of_source.insert(source, count + 1);
        let acceptor = TlsAcceptor::from(tls.borrow().clone());
        let desk = desk.clone();
        connections.spawn(async move {
            // Whoever takes longer is cut off; what was answered stays answered.
            let _ = timeout(limits::CONNECTION_MAX, connection(stream, from, acceptor, desk)).await;
            source
        });
    }
}

async fn connection(stream: TcpStream, from: SocketAddr, acceptor: TlsAcceptor, desk: Arc<Desk>) {
    let Ok(Ok(stream)) = timeout(limits::HANDSHAKE_MAX, acceptor.accept(stream)).await else {
        return;
    };
    let source = source(from.ip());
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, std::convert::Infallible>(desk.answer(request, source).await) }
    });
    // What is wrong with somebody's HTTP is their matter; they have been answered.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_MAX)
        .max_buf_size(limits::HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Desk {
    async fn answer(&self, request: Request<Incoming>, source: IpAddr) -> Answer {
        match (request.uri().path(), request.method()) {
            (DOCUMENT_PATH, &Method::GET | &Method::HEAD) => self.document(),
            (ENROLLMENT_PATH, &Method::POST) => {
                match timeout(limits::REQUEST_MAX, self.enroll(request, source)).await {
                    Ok(answer) => answer,
                    Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
                }
            }
            (DOCUMENT_PATH, _) => not_allowed("GET, HEAD"),
            (ENROLLMENT_PATH, _) => not_allowed("POST"),
            _ => text(StatusCode::NOT_FOUND, "there is nothing here"),
        }
    }

    /// RFC 6940 §11.2: the document as it is at this moment.
    fn document(&self) -> Answer {
        let document = Bytes::copy_from_slice(&self.document.borrow().document);
        let mut answer = body(StatusCode::OK, MEDIA_TYPE, document);
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer
    }

    /// RFC 6940 §11.3: a certificate, or why there is none; and our own way to revoke one.
    async fn enroll(&self, request: Request<Incoming>, source: IpAddr) -> Answer {
        let asked = [(Key::Asked(source), limits::ASKED), (Key::Refused(source), limits::REFUSED)];
        if let Err(wait) = self.check(&asked) {
            return too_often(wait);
        }
        self.take(Key::Asked(source), limits::ASKED);
        let form = match read_form(request).await {
            Ok(form) => form,
            Err(error) => return error.answer(),
        };
        let account = prepared_account(&form.account);
        let account: String = account.chars().take(limits::NAME_LENGTH_MAX).collect();
        let mistaken = Key::Mistaken(account.clone());
        if let Err(wait) = self.check(&[(mistaken.clone(), limits::MISTAKEN)]) {
            return too_often(wait);
        }
        let Ok(_permit) = self.hashing.acquire().await else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the server is ending");
        };
        let folder = self.folder.clone();
        let granted =
            tokio::task::spawn_blocking(move || Registry::open(&folder)?.grant(&form, unix_ms()));
        let refusal = match granted.await {
            Ok(Ok(Grant::Certificate(certificate))) => {
                self.tell(ServerEvent::Enrolled(account));
                return body(StatusCode::OK, CERTIFICATE_TYPE, certificate.into());
            }
            Ok(Ok(Grant::Document(document))) => {
                return body(StatusCode::OK, MEDIA_TYPE, document);
            }
            Ok(Err(refusal)) => refusal,
            Err(_) => return broken(),
        };
        let Some(token) = refusal.token() else {
            if let Refusal::Broken(error) = refusal {
                self.tell(ServerEvent::Problem(error.to_string()));
            }
            return broken();
        };
        self.take(Key::Refused(source), limits::REFUSED);
        if matches!(refusal, Refusal::FailedAuthentication) {
            self.take(mistaken, limits::MISTAKEN);
        }
        text(StatusCode::FORBIDDEN, token)
    }

    fn tell(&self, event: ServerEvent) {
        // Nobody may be listening, or not fast enough; the server goes on.
        let _ = self.events.try_send(event);
    }

    fn check(&self, keys: &[(Key, Rule)]) -> Result<(), Duration> {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        keys.iter().try_for_each(|(key, rule)| rates.check(key, *rule, now))
    }

    fn take(&self, key: Key, rule: Rule) {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.take(key, rule, Instant::now());
    }
}

/// Why a body is no form.
enum FormError {
    NotMultipart,
    Broken,
    TooLarge,
    NotUtf8,
}

impl FormError {
    fn answer(&self) -> Answer {
        match self {
            Self::NotMultipart => {
                let sentence = "a form of type multipart/form-data is expected";
                text(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence)
            }
            Self::Broken => text(StatusCode::BAD_REQUEST, "the form is broken"),
            Self::TooLarge => text(StatusCode::PAYLOAD_TOO_LARGE, "the form is too large"),
            Self::NotUtf8 => text(StatusCode::BAD_REQUEST, "the form is not UTF-8"),
        }
    }
}

impl From<multer::Error> for FormError {
    fn from(error: multer::Error) -> Self {
        match error {
            multer::Error::StreamSizeExceeded { .. } => Self::TooLarge,
            _ => Self::Broken,
        }
    }
}

/// The form of RFC 6940 §11.3 (RFC 2388), and `invitation`, which is ours. Fields that are not
/// known are passed over.
async fn read_form(request: Request<Incoming>) -> Result<Form, FormError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = content_type.and_then(|value| multer::parse_boundary(value).ok());
    let boundary = boundary.ok_or(FormError::NotMultipart)?;
    let size = SizeLimit::new().whole_stream(limits::FORM_BYTES_MAX);
    let constraints = Constraints::new().size_limit(size);
    let stream = BodyDataStream::new(request.into_body());
    let mut parts = Multipart::with_constraints(stream, boundary, constraints);
    let mut form = Form::default();
    while let Some(part) = parts.next_field().await? {
        let name = part.name().unwrap_or_default().to_owned();
        let value = part.bytes().await?.to_vec();
        // RFC 6940 §11.3: names and passwords are UTF-8.
        let as_text = |value| String::from_utf8(value).map_err(|_| FormError::NotUtf8);
        match name.as_str() {
            "username" => form.account = as_text(value)?,
            "password" => form.password = as_text(value)?,
            "invitation" => form.invitation = Some(as_text(value)?),
            "nodeids" => form.node_ids = Some(as_text(value)?.trim().to_owned()),
            "csr" => form.csr_der = value,
            "revoke" => form.revoke = Some(as_text(value)?.trim().to_owned()),
            _ => {}
        }
    }
    Ok(form)
}

fn body(status: StatusCode, media_type: &'static str, bytes: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(bytes));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

/// A token or a sentence, without a line's end: a token is the whole body.
fn text(status: StatusCode, words: &'static str) -> Answer {
    body(status, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

fn not_allowed(methods: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "this method is not for this place");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    answer
}

fn too_often(wait: Duration) -> Answer {
    let mut answer = text(StatusCode::TOO_MANY_REQUESTS, "too many requests; wait a little");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    answer
}

fn broken() -> Answer {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the server cannot do this at the moment")
}

const DOCUMENT_PATH: &str = "/.well-known/reload-config";
pub(super) const ENROLLMENT_PATH: &str = "/enroll";
const CERTIFICATE_TYPE: &str = "application/pkix-cert";
