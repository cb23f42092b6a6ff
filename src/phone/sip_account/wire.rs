//! The way to the registrar: UDP, TCP or TLS (RFC 3261 §18). Nobody else is heard.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::find::Target;
use super::settings::{SipAccount, SipTransport};
use crate::sip::limits::MESSAGE_BYTES_MAX;
use crate::sip::message::first_in_stream;

/// A way to one registrar; it closes when this is dropped.
#[derive(Debug)]
pub(super) struct Wire {
    /// Our own address on it.
    pub(super) local: SocketAddr,
    pub(super) target: Target,
    outbox: mpsc::Sender<Bytes>,
    inbox: mpsc::Receiver<Bytes>,
}

impl Wire {
    /// Opens it.
    pub(super) async fn open(account: &SipAccount, target: Target) -> Result<Self, String> {
        let (host, _) = account.host_and_port();
        match timeout(OPEN_MAX, Self::open_to(account, &host, target)).await {
            Ok(Ok(wire)) => Ok(wire),
            Ok(Err(error)) => Err(format!("The SIP server {host} can't be used: {error}.")),
            Err(_) => Err(format!("The SIP server {host} does not answer.")),
        }
    }

    async fn open_to(account: &SipAccount, host: &str, target: Target) -> std::io::Result<Self> {
        let remote = target.address;
        let (outbox, to_send) = mpsc::channel(QUEUE_MAX);
        let (received, inbox) = mpsc::channel(QUEUE_MAX);
        if target.transport == SipTransport::Udp {
            let socket = UdpSocket::bind((any(remote), 0)).await?;
            // The system lets nobody else through from now on.
            socket.connect(remote).await?;
            let local = socket.local_addr()?;
            tokio::spawn(datagrams(socket, to_send, received));
            return Ok(Self { local, target, outbox, inbox });
        }
        let stream = TcpStream::connect(remote).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        if target.transport == SipTransport::Tls {
            let config = client_config(account.certificates.as_deref())?;
            let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
            let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
            tokio::spawn(messages(stream, to_send, received));
        } else {
            tokio::spawn(messages(stream, to_send, received));
        }
        Ok(Self { local, target, outbox, inbox })
    }

    /// Whether the server would see us at another address by now: this computer is in another
    /// network.
    pub(super) fn has_moved(&self) -> bool {
        let now = || {
            let socket = std::net::UdpSocket::bind((any(self.target.address), 0))?;
            // Nothing is sent by this.
            socket.connect(self.target.address)?;
            socket.local_addr()
        };
        // Without any network there is nowhere to move to.
        now().is_ok_and(|now: SocketAddr| now.ip() != self.local.ip())
    }

    /// Sends a message; one too many is lost like a datagram.
    pub(super) fn send(&self, bytes: Bytes) {
        let _ = self.outbox.try_send(bytes);
    }

    /// The next message; `None` once the way is closed.
    pub(super) async fn recv(&mut self) -> Option<Bytes> {
        self.inbox.recv().await
    }
}

fn any(remote: SocketAddr) -> IpAddr {
    match remote {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

async fn datagrams(
    socket: UdpSocket,
    mut to_send: mpsc::Receiver<Bytes>,
    received: mpsc::Sender<Bytes>,
) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let mut has_heard = false;
    loop {
        tokio::select! {
            bytes = to_send.recv() => match bytes {
                // Nobody listens there, perhaps: it is sent again.
                Some(bytes) => drop(socket.send(&bytes).await),
                None => return,
            },
            read = socket.recv(&mut buffer) => match read {
                Ok(length) => {
                    has_heard = true;
                    // More than can be handled is loss like any other.
                    let _ = received.try_send(Bytes::copy_from_slice(&buffer[..length]));
                }
                // Nobody is there (RFC 3261 §18.4); a server that was there comes back.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused && !has_heard => return,
                Err(_) => {}
            }
        }
    }
}

async fn messages(
    stream: impl AsyncRead + AsyncWrite,
    mut to_send: mpsc::Receiver<Bytes>,
    received: mpsc::Sender<Bytes>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let write = async {
        while let Some(bytes) = to_send.recv().await {
            if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
        let _ = writer.shutdown().await;
    };
    let read = async {
        let mut come = Vec::new();
        loop {
            match first_in_stream(&come) {
                Ok(Some(length)) => {
                    let message: Bytes = come.drain(..length).collect();
                    if received.send(message).await.is_err() {
                        return;
                    }
                }
                Ok(None) => match reader.read_buf(&mut come).await {
                    Ok(1..) => {}
                    _ => return,
                },
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

/// Whom we believe to be who they say: whoever the system does, or a file's certificates.
fn client_config(certificates: Option<&Path>) -> std::io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match certificates {
        Some(path) => {
            let found = CertificateDer::pem_file_iter(path).map_err(std::io::Error::other)?;
            for certificate in found {
                let certificate = certificate.map_err(std::io::Error::other)?;
                roots.add(certificate).map_err(std::io::Error::other)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(std::io::Error::other)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

// limits

/// Messages that wait to be sent, or to be handled.
const QUEUE_MAX: usize = 64;
/// How long one address of a server may take to answer.
const OPEN_MAX: Duration = Duration::from_secs(10);
