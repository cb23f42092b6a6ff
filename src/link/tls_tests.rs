//! Links of every kind with somebody in the middle, and what only those over TCP can do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

use super::bootstrap::dial_udp;
use super::dtls::tests::{accept_all, accept_only, certificate};
use super::tests::{LOOPBACK, anyone, credentials, down, message};
use super::transport::limits::IDLE;
use super::*;

/// What is done to the bytes that pass, by direction: 0 is from who dialled.
type Meddle = Arc<dyn Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + Sync>;

/// Somebody between a dialling node and a listening one, who notes all that passes.
struct Middle {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    /// Whether anything passes.
    flows: watch::Sender<bool>,
}

impl Middle {
    async fn of(transport: Transport, target: SocketAddr, meddle: Meddle) -> Self {
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let (flows, gate) = watch::channel(true);
        let noted = seen.clone();
        let meddle: Meddle = Arc::new(move |from, bytes| {
            noted.lock().unwrap().extend_from_slice(bytes);
            meddle(from, bytes)
        });
        let address = match transport {
            Transport::Udp => {
                let ends = [bound().await, bound().await];
                let address = ends[0].local_addr().unwrap();
                tokio::spawn(relay_datagrams(ends, target, meddle));
                address
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(LOOPBACK).await.unwrap();
                let address = listener.local_addr().unwrap();
                tokio::spawn(async move {
                    let (near, _) = listener.accept().await.unwrap();
                    let far = TcpStream::connect(target).await.unwrap();
                    let ((a, b), (c, d)) = (near.into_split(), far.into_split());
                    tokio::spawn(relay_stream(0, a, d, meddle.clone(), gate.clone()));
                    tokio::spawn(relay_stream(1, c, b, meddle, gate));
                });
                address
            }
        };
        Self { address, seen, flows }
    }

    fn has_seen(&self, text: &[u8]) -> bool {
        self.seen.lock().unwrap().windows(text.len()).any(|window| window == text)
    }
}

async fn bound() -> UdpSocket {
    UdpSocket::bind(LOOPBACK).await.unwrap()
}

async fn relay_datagrams(ends: [UdpSocket; 2], target: SocketAddr, meddle: Meddle) {
    let mut dialler = None;
    let mut buffers = [[0; 2048]; 2];
    let [near, far] = &mut buffers;
    loop {
        tokio::select! {
            Ok((length, from)) = ends[0].recv_from(near) => {
                dialler = Some(from);
                for datagram in meddle(0, &near[..length]) {
                    let _ = ends[1].send_to(&datagram, target).await;
                }
            }
            Ok((length, _)) = ends[1].recv_from(far) => {
                let Some(dialler) = dialler else { continue };
                for datagram in meddle(1, &far[..length]) {
                    let _ = ends[0].send_to(&datagram, dialler).await;
                }
            }
        }
    }
}

async fn relay_stream(
    from: usize,
    mut inlet: tokio::net::tcp::OwnedReadHalf,
    mut outlet: tokio::net::tcp::OwnedWriteHalf,
    meddle: Meddle,
    mut gate: watch::Receiver<bool>,
) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = inlet.read(&mut buffer).await {
        let _ = gate.wait_for(|flows| *flows).await;
        for part in meddle(from, &buffer[..length]) {
            if outlet.write_all(&part).await.is_err() {
                return;
            }
        }
    }
}

fn honest() -> Meddle {
    Arc::new(|_, bytes| vec![bytes.to_vec()])
}

/// Opens a link of one kind.
async fn open(
    transport: Transport,
    address: SocketAddr,
    credentials: &Credentials,
) -> Result<OverlayLink, LinkError> {
    let flow = match transport {
        Transport::Udp => dial_udp(address, credentials, IDLE).await,
        Transport::Tcp => tls::connect(address, credentials, IDLE).await,
    };
    flow.map(|flow| OverlayLink::new(flow, None))
}

/// Whether a record of the application passes here; what comes before is the handshake.
fn is_application_data(bytes: &[u8]) -> bool {
    bytes.first() == Some(&23)
}

/// R6940-6.6.1-01: what each kind of link owes: the other side's Node-ID is proven, so that an
/// impostor gets none; what passes cannot be read; what is changed on the way never arrives; and
/// what is sent again by somebody in the middle arrives once at most.
/// R6940-6.5.1.11-01: without ICE, over UDP and over TCP, the wrong certificate closes the
/// connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_link_keeps_the_contract() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (alice, bob) = (certificate("alice"), certificate("bob"));
        let at_bob = credentials(&bob, accept_only(&alice));
        let mut listener = BootstrapListener::bind(LOOPBACK, at_bob, None).await.unwrap();
        let target = listener.local_addr();

        let expects_another = credentials(&alice, accept_only(&certificate("carol")));
        let refused = open(transport, target, &expects_another).await.err();
        let reason = "not who we expect".to_owned();
        assert_eq!(refused, Some(LinkError::Dtls(DtlsError::CertificateRefused(reason))));
        let impostor = credentials(&certificate("mallory"), accept_all());
        let attempt = async {
            let mut link = open(transport, target, &impostor).await?;
            Err::<(), _>(down(&mut link).await)
        };
        assert!(timeout(Duration::from_secs(20), attempt).await.unwrap().is_err());

        let known = credentials(&alice, accept_only(&bob));
        let middle = Middle::of(transport, target, honest()).await;
        let (link, accepted) =
            tokio::join!(open(transport, middle.address, &known), listener.accept());
        let (link, mut accepted) = (link.unwrap(), accepted.unwrap());
        assert_eq!(link.info().transport, transport);
        assert_eq!(link.info().peer_certificate_der, bob.certificate_der);
        assert_eq!(accepted.info().peer_certificate_der, alice.certificate_der);
        let secret = Bytes::from_static(b"nobody else may read this text");
        link.send(secret.clone()).unwrap();
        assert_eq!(message(&mut accepted).await, secret);
        assert!(!middle.has_seen(&secret) && !middle.has_seen(&secret[8..16]));
        drop((link, accepted));

        forged_and_replayed(transport, &mut listener, &known).await;
    }
}

/// The first record of each message comes with a bit changed, then as it is, then again.
async fn forged_and_replayed(
    transport: Transport,
    listener: &mut BootstrapListener,
    known: &Credentials,
) {
    let meddle: Meddle = Arc::new(move |from, bytes| {
        if from == 1 || !is_application_data(bytes) {
            return vec![bytes.to_vec()];
        }
        let mut forged = bytes.to_vec();
        *forged.last_mut().unwrap() ^= 1;
        match transport {
            Transport::Udp => vec![forged, bytes.to_vec(), bytes.to_vec()],
            // On a stream it is one or the other.
            Transport::Tcp => vec![forged],
        }
    });
    let middle = Middle::of(transport, listener.local_addr(), meddle).await;
    let (link, accepted) = tokio::join!(open(transport, middle.address, known), listener.accept());
    let (link, mut accepted) = (link.unwrap(), accepted.unwrap());
    let texts: Vec<Bytes> = (0..3).map(|number| format!("text {number}").into()).collect();
    for text in &texts {
        link.send(text.clone()).unwrap();
    }
    match transport {
        Transport::Udp => {
            for text in &texts {
                assert_eq!(message(&mut accepted).await, text);
            }
            link.close();
            assert_eq!(down(&mut accepted).await, LinkError::Dtls(DtlsError::Closed));
            assert_eq!(accepted.sender().stats().duplicates, 0, "DTLS has sorted them out");
        }
        Transport::Tcp => {
            let reason = timeout(Duration::from_secs(10), accepted.recv()).await.unwrap();
            assert!(matches!(reason, Some(OverlayEvent::Down(_))), "{reason:?}");
        }
    }

    if transport == Transport::Tcp {
        let meddle: Meddle = Arc::new(|from, bytes| {
            let again = from == 0 && is_application_data(bytes);
            vec![bytes.to_vec(); 1 + usize::from(again)]
        });
        let middle = Middle::of(transport, listener.local_addr(), meddle).await;
        let (link, accepted) =
            tokio::join!(open(transport, middle.address, known), listener.accept());
        let (link, mut accepted) = (link.unwrap(), accepted.unwrap());
        link.send(texts[0].clone()).unwrap();
        let mut messages = 0;
        let ends = timeout(Duration::from_secs(10), async {
            while let Some(event) = accepted.recv().await {
                messages += usize::from(matches!(event, OverlayEvent::Message(_)));
            }
        });
        ends.await.expect("the link ends");
        assert!(messages <= 1, "once at most");
    }
}

/// R6940-6.5.1.13-02: the server asks for a certificate, and who has none gets no link.
#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let server = certificate("server");
    let mut listener =
        BootstrapListener::bind(LOOPBACK, credentials(&server, accept_all()), None).await.unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(server.certificate_der.clone().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        let stream = TcpStream::connect(listener.local_addr()).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = rustls::pki_types::ServerName::try_from("server").unwrap();
        let refused = async {
            let mut stream = connector.connect(name, stream).await?;
            // In TLS 1.3 the client hears of it afterwards.
            stream.read_u8().await
        };
        let error = timeout(Duration::from_secs(10), refused).await.unwrap().unwrap_err();
        assert!(
            error.to_string().contains("CertificateRequired")
                || error.to_string().contains("HandshakeFailure"),
            "{error}"
        );
    }
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err(), "no link");
}

/// R6940-6.6.5-01: a TCP connection that stalls is suspect after a timeout of its
/// round trips, long before TCP says anything; it is kept, and is as good as before when it comes
/// back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_connection_is_suspect_and_comes_back() {
    let known = anyone("alice");
    let mut listener = BootstrapListener::bind(LOOPBACK, anyone("bob"), None).await.unwrap();
    let middle = Middle::of(Transport::Tcp, listener.local_addr(), honest()).await;
    let (link, accepted) =
        tokio::join!(open(Transport::Tcp, middle.address, &known), listener.accept());
    let (mut link, mut accepted) = (link.unwrap(), accepted.unwrap());
    link.send(Bytes::from_static(b"one")).unwrap();
    message(&mut accepted).await;
    // On TCP an answer comes after the acknowledgement.
    accepted.send(Bytes::from_static(b"answer")).unwrap();
    assert_eq!(message(&mut link).await, b"answer"[..]);
    middle.flows.send_replace(false);
    link.send(Bytes::from_static(b"two")).unwrap();
    let two = OverlayEvent::Undelivered(Bytes::from_static(b"two"));
    assert_eq!(link.recv().await, Some(two));
    assert_eq!(link.recv().await, Some(OverlayEvent::Suspect));
    middle.flows.send_replace(true);
    assert_eq!(message(&mut accepted).await, b"two"[..]);
    assert_eq!(link.recv().await, Some(OverlayEvent::Restored));
    link.send(Bytes::from_static(b"three")).unwrap();
    assert_eq!(message(&mut accepted).await, b"three"[..]);
    accepted.send(Bytes::from_static(b"four")).unwrap();
    let four = OverlayEvent::Message(Bytes::from_static(b"four"));
    assert_eq!(link.recv().await, Some(four));
}

/// Where UDP is swallowed on the way, a joiner gets in by TCP.
#[tokio::test]
async fn a_joiner_without_udp_gets_in_by_tcp() {
    let mut listener = BootstrapListener::bind(LOOPBACK, anyone("bob"), None).await.unwrap();
    let middle = Middle::of(Transport::Tcp, listener.local_addr(), honest()).await;
    let _silent = UdpSocket::bind(middle.address).await.unwrap();
    let joiner = anyone("joiner");
    let (link, accepted) = tokio::join!(dial(middle.address, &joiner, None), listener.accept());
    assert_eq!(link.unwrap().info().transport, Transport::Tcp);
    assert_eq!(accepted.unwrap().info().transport, Transport::Tcp);
}

/// What does not begin as TLS does is handed on, with its first byte.
#[tokio::test]
async fn what_is_no_link_is_handed_on() {
    let mut listener = BootstrapListener::bind(LOOPBACK, anyone("bob"), None).await.unwrap();
    let mut others = listener.plain().take();
    let mut stream = TcpStream::connect(listener.local_addr()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut handed = others.recv().await.unwrap();
    let mut request = [0; 18];
    handed.read_exact(&mut request).await.unwrap();
    assert_eq!(&request, b"GET / HTTP/1.1\r\n\r\n");
    let joiner = anyone("joiner");
    let (link, accepted) =
        tokio::join!(open(Transport::Tcp, listener.local_addr(), &joiner), listener.accept());
    assert!(link.is_ok() && accepted.is_some());
}

/// Bytes that are no frame, and the claim of one that is too long, end a link.
#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    for bad in ["00", "80000000007fffff", "82"] {
        let mut listener = BootstrapListener::bind(LOOPBACK, anyone("bob"), None).await.unwrap();
        let joiner = anyone("joiner");
        let address = listener.local_addr();
        let (flow, accepted) =
            tokio::join!(tls::connect(address, &joiner, IDLE), listener.accept());
        flow.unwrap().send(hex::decode(bad).unwrap().into()).unwrap();
        assert_eq!(down(&mut accepted.unwrap()).await, LinkError::Unframed);
    }
}
