//! A peer hands its overlay's document to whoever asks: plain HTTP on TCP at the port where it
//! listens for the overlay on UDP. It is our extension, and the first byte tells it from a link of
//! TLS. What comes this way proves nothing by itself: its reader knows what to check it against.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::limits::{
    HEAD_BYTES_MAX, PEER_MAX, SHARE_CONNECTION_MAX, SHARE_CONNECTIONS_MAX, WELL_KNOWN,
};
use crate::config::{MEDIA_TYPE, SignedConfig, limits::DOCUMENT_BYTES_MAX};

/// Hands out a document until it is dropped.
#[derive(Debug)]
pub struct Share {
    document: watch::Sender<Option<Bytes>>,
    address: SocketAddr,
    /// Ends the tasks when dropped.
    _tasks: JoinSet<()>,
}

impl Share {
    /// Listens at `address`, where the peer itself listens with UDP.
    ///
    /// # Errors
    ///
    /// Fails if the system does not give the port. The peer can do without.
    pub async fn start(address: SocketAddr, document: &SignedConfig) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (document, documents) = watch::channel(public(document));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(Connections::Listener(listener), documents));
        Ok(Self { document, address, _tasks: tasks })
    }

    /// The same for a port that somebody else keeps: `connections` are those to `address` that are
    /// for us.
    pub fn on(
        connections: mpsc::Receiver<TcpStream>,
        address: SocketAddr,
        document: &SignedConfig,
    ) -> Self {
        let (document, documents) = watch::channel(public(document));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(Connections::Given(connections), documents));
        Self { document, address, _tasks: tasks }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands out this document from now on.
    pub fn replace(&self, document: &SignedConfig) {
        self.document.send_replace(public(document));
    }
}

/// A document as everybody may have it. One with a secret is for those who have it already
/// (RFC 6940 §14.16), whatever configuration of the document it stands in.
fn public(document: &SignedConfig) -> Option<Bytes> {
    const SECRET: &[u8] = b"shared-secret";
    let is_secret = document.document.windows(SECRET.len()).any(|window| window == SECRET);
    (!is_secret).then(|| document.document.clone())
}

/// Where connections come from.
enum Connections {
    Listener(TcpListener),
    Given(mpsc::Receiver<TcpStream>),
}

impl Connections {
    /// The next one, or `None` if there are no more.
    async fn next(&mut self) -> Option<TcpStream> {
        match self {
            Self::Listener(listener) => loop {
                match listener.accept().await {
                    Ok((stream, _)) => return Some(stream),
                    // The system is out of something; that it comes back at once is not likely.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                }
            },
            Self::Given(connections) => connections.recv().await,
        }
    }
}

async fn serve(mut incoming: Connections, documents: watch::Receiver<Option<Bytes>>) {
    let places = Arc::new(Semaphore::new(SHARE_CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        // Whoever comes beyond that waits in the system's queue, which is bounded too.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Some(stream) = incoming.next().await else { return };
        while connections.try_join_next().is_some() {}
        let documents = documents.clone();
        connections.spawn(async move {
            // One that takes its time makes way for others.
            let _ = timeout(SHARE_CONNECTION_MAX, answer(stream, documents)).await;
            drop(place);
        });
    }
}

async fn answer(stream: TcpStream, documents: watch::Receiver<Option<Bytes>>) {
    let mut first = [0];
    // A TLS handshake begins with a byte that no method of HTTP begins with.
    if !matches!(stream.peek(&mut first).await, Ok(1) if first[0].is_ascii_uppercase()) {
        return;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let document = documents.borrow().clone();
        async move { Ok::<_, Infallible>(response(&request, document)) }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

fn response(request: &Request<Incoming>, document: Option<Bytes>) -> Response<Full<Bytes>> {
    let status = |status: StatusCode| {
        let mut response = Response::new(Full::new(Bytes::new()));
        *response.status_mut() = status;
        response
    };
    if request.uri().path() != WELL_KNOWN {
        return status(StatusCode::NOT_FOUND);
    }
    if request.method() != Method::GET {
        return status(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(document) = document else { return status(StatusCode::NOT_FOUND) };
    let mut response = Response::new(Full::new(document));
    let media_type = hyper::header::HeaderValue::from_static(MEDIA_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}

/// Why a peer hands out no document: a part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the peer at {address} hands out no document: {reason}")]
pub struct PeerError {
    /// Where it is, or should be.
    pub address: SocketAddr,
    /// What the system, HTTP or the peer says.
    pub reason: String,
}

/// The document that the peer at `address` hands out. Nothing vouches for it.
pub(super) async fn fetch(address: SocketAddr) -> Result<Bytes, PeerError> {
    let failed = |reason: String| PeerError { address, reason };
    match timeout(PEER_MAX, ask(address)).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed("it does not answer".into())),
    }
}

async fn ask(address: SocketAddr) -> Result<Bytes, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let request = Request::get(WELL_KNOWN)
        .header(HOST, address.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers with {}", response.status()));
    }
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await;
    let body = body.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
        Some(_) => "what it sends is too long".to_owned(),
        None => error.to_string(),
    })?;
    Ok(body.to_bytes())
}

/// How long the port rests when the system cannot accept.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::config::{OverlayConfig, SharedSecret};

    const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    fn document(secret: Option<&str>) -> SignedConfig {
        let mut config = OverlayConfig::self_signed("example.test").expect("a name");
        config.shared_secret = secret.map(SharedSecret::new);
        SignedConfig::unsigned(&config).expect("good")
    }

    #[tokio::test]
    async fn a_document_is_handed_out_to_the_byte() {
        let share = Share::start(LOOPBACK, &document(None)).await.expect("a port");
        assert_eq!(fetch(share.address()).await, Ok(document(None).document));
        let mut newer = document(None);
        newer.document = Bytes::from_static(b"<overlay/>");
        share.replace(&newer);
        assert_eq!(fetch(share.address()).await, Ok(newer.document));
        let address = share.address();
        drop(share);
        assert!(fetch(address).await.is_err());
    }

    /// Whoever keeps the port may be somebody else, who hands on what is for us.
    #[tokio::test]
    async fn a_document_is_handed_out_at_somebody_elses_port() {
        let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (ours, connections) = mpsc::channel(1);
        let share = Share::on(connections, address, &document(None));
        assert_eq!(share.address(), address);
        let (fetched, ()) = tokio::join!(fetch(address), async {
            let (stream, _) = listener.accept().await.expect("a connection");
            ours.send(stream).await.expect("it takes them");
        });
        assert_eq!(fetched, Ok(document(None).document));
    }

    /// A document with a secret is nobody's business, and neither is any other path.
    #[tokio::test]
    async fn a_secret_is_not_handed_out() {
        let share = Share::start(LOOPBACK, &document(Some("hush"))).await.expect("a port");
        let error = fetch(share.address()).await.expect_err("secret").to_string();
        assert!(error.contains("404"), "{error}");
        share.replace(&document(None));
        for (request, status) in [
            ("GET /etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
            ("POST /.well-known/reload-config HTTP/1.1\r\nHost: x\r\n\r\n", "405"),
            ("NONSENSE\r\n\r\n", "400"),
        ] {
            let answer = say(share.address(), request.as_bytes()).await;
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
        }
    }

    /// Who begins a TLS handshake there is not answered in another language.
    #[tokio::test]
    async fn a_tls_handshake_gets_no_http() {
        let share = Share::start(LOOPBACK, &document(None)).await.expect("a port");
        assert_eq!(say(share.address(), &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3]).await, b"");
    }

    async fn say(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(bytes).await.expect("written");
        let mut answer = Vec::new();
        // What we sent may still be unread there when it closes.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }

    /// Those who connect and say nothing do not keep others out for ever: there is room for many,
    /// and the places of those who are gone are free again.
    #[tokio::test]
    async fn silent_connections_leave_room() {
        let share = Share::start(LOOPBACK, &document(None)).await.expect("a port");
        let mut silent = Vec::new();
        for _ in 1..SHARE_CONNECTIONS_MAX {
            silent.push(TcpStream::connect(share.address()).await.expect("connected"));
        }
        assert!(fetch(share.address()).await.is_ok());
        silent.push(TcpStream::connect(share.address()).await.expect("connected"));
        drop(silent);
        assert!(fetch(share.address()).await.is_ok());
    }
}
