//! Servers that answer as they are told and remember what they were asked.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::{DAY_MS, now_ms};
use crate::crypto::{Authority, Keys};
use crate::enroll::{Resolver, Trust};

pub const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// One request as a server saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub sni: Option<String>,
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A web server with a certificate, on loopback.
pub struct Web {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// What a web server answers: status, media type, body, and where it redirects to.
pub type Page = (u16, &'static str, Vec<u8>, Option<String>);

impl Web {
    /// A server that shows the certificate in `keys`.
    pub async fn start(keys: Keys, answer: impl Fn(&Seen) -> Page + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let acceptor = TlsAcceptor::from(Arc::new(config(keys)));
        let (answer, remembered) = (Arc::new(answer), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                let seen = remembered.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let sni = stream.get_ref().1.server_name().map(str::to_owned);
                    let service = service_fn(|request| {
                        respond(request, sni.clone(), answer.clone(), seen.clone())
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, seen }
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// The only request.
    pub fn only(&self) -> Seen {
        let [only] = <[Seen; 1]>::try_from(self.seen()).expect("one request");
        only
    }
}

async fn respond(
    request: Request<hyper::body::Incoming>,
    sni: Option<String>,
    answer: Arc<impl Fn(&Seen) -> Page>,
    seen: Arc<Mutex<Vec<Seen>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let asked = Seen {
        sni,
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    };
    let (status, media_type, body, location) = answer(&asked);
    seen.lock().expect("no panic").push(asked);
    let mut response = Response::builder().status(status).header("Content-Type", media_type);
    if let Some(location) = location {
        response = response.header("Location", location);
    }
    Ok(response.body(Full::new(body.into())).expect("a response"))
}

fn config(keys: Keys) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(keys.private_key_der.into());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![keys.certificate_der.into()], key)
        .expect("a certificate with its key")
}

/// Who makes the web certificates of these tests.
pub struct WebAuthority(Authority);

impl WebAuthority {
    pub fn new() -> Self {
        Self(Authority::generate("Web", now_ms()).expect("an authority"))
    }

    pub fn trust(&self) -> Trust {
        Trust::none().with_roots(&[self.0.certificate_der().to_vec()])
    }

    /// A certificate for these hosts that is valid now.
    pub fn keys(&self, hosts: &[&str]) -> Keys {
        self.keys_valid(hosts, now_ms() - DAY_MS..now_ms() + DAY_MS)
    }

    pub fn keys_valid(&self, hosts: &[&str], validity: Range<u64>) -> Keys {
        self.0.issue_server(hosts, &[Ipv4Addr::LOCALHOST.into()], validity).expect("issued")
    }
}

/// A DNS server on loopback.
pub struct Dns {
    address: SocketAddr,
}

/// What a DNS server knows. A name without records exists; others do not.
#[derive(Clone, Debug, Default)]
pub struct Zone(BTreeMap<(String, RecordType), Vec<RData>>);

impl Zone {
    /// An SRV record for the documents of `overlay`.
    pub fn service(mut self, overlay: &str, priority: u16, port: u16, target: &str) -> Self {
        let target = Name::from_ascii(target).expect("a name");
        let records = self.0.entry((format!("_reload-config._tcp.{overlay}."), RecordType::SRV));
        records.or_default().push(RData::SRV(SRV::new(priority, 1, port, target)));
        self
    }

    /// An address.
    pub fn host(mut self, name: &str, address: Ipv4Addr) -> Self {
        let records = self.0.entry((format!("{name}."), RecordType::A)).or_default();
        records.push(RData::A(A(address)));
        self
    }

    fn answer(&self, query: &Message) -> Message {
        let question = query.queries.first().expect("a question");
        let name = question.name().to_ascii().to_ascii_lowercase();
        let mut answer = query.clone().into_response();
        let exists = self.0.keys().any(|(known, _)| *known == name);
        answer.metadata.response_code =
            if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        for data in self.0.get(&(name, question.query_type())).into_iter().flatten() {
            let owner = question.name().clone();
            answer.add_answer(Record::from_rdata(owner, 60, data.clone()));
        }
        answer
    }
}

impl Dns {
    pub async fn start(zone: Zone) -> Self {
        let socket = UdpSocket::bind(LOOPBACK).await.expect("a port");
        let address = socket.local_addr().expect("bound");
        tokio::spawn(async move {
            let mut buffer = [0; 2048];
            while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
                let Ok(query) = Message::from_vec(&buffer[..length]) else { continue };
                let answer = zone.answer(&query).to_vec().expect("an answer");
                let _ = socket.send_to(&answer, source).await;
            }
        });
        Self { address }
    }

    pub fn resolver(&self) -> Resolver {
        Resolver::at(self.address)
    }
}
