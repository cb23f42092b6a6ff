//! TLS over TCP with certificates on both sides (RFC 6940 §6.6.5): a [`SecureFlow`] whose records
//! are the frames of §6.6.2, which say where they end.
//!
//! TLS 1.2 is what RFC 6940 names; 1.3 is used where both sides have it (T-32). A client cannot
//! tell in 1.3 whether it has been accepted: if not, the flow ends before anything comes.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::BytesMut;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::clock::Clock;
use super::dtls::{DtlsError, DtlsRole, Verify, limits::HANDSHAKE};
use super::error::LinkError;
use super::framing::Frame;
use super::pairs::Route;
use super::transport::limits::{INCOMING_MAX, OUTGOING_MAX};
use super::transport::{Command, Credentials, FlowInfo, SecureFlow, Timings, Transport};

/// Bounds.
pub mod limits {
    use std::time::Duration;

    /// The longest frame that is read: more than any message of ours with its lists. Whoever
    /// sends a longer one is cut off, as nothing behind it can be told apart.
    pub const FRAME_MAX: usize = 1 << 17;
    /// A connection that takes nothing for so long is over, whatever is to be sent. Longer than
    /// what a link waits for acknowledgements (RFC 6940 §6.6.5).
    pub const WRITE: Duration = Duration::from_secs(60);
    /// Bytes read at a time.
    pub const READ: usize = 4096;
}

use limits::*;

/// Opens a connection to `remote`, as TLS client. It ends when nothing comes for the time `idle`.
pub(super) async fn connect(
    remote: SocketAddr,
    credentials: &Credentials,
    idle: Duration,
) -> Result<SecureFlow, LinkError> {
    let clock = Clock::start();
    let judge = Arc::new(Judge::new(&credentials.verify));
    let config = client_config(&judge, credentials)?;
    let handshake = async {
        let stream = TcpStream::connect(remote).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::ConnectionRefused => LinkError::Refused(remote),
            _ => LinkError::NoPath,
        })?;
        let _ = stream.set_nodelay(true);
        let ends = ends(&stream)?;
        let name = ServerName::IpAddress(remote.ip().into());
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.map_err(|e| judge.error(&e))?;
        Ok::<_, LinkError>((TlsStream::from(stream), ends))
    };
    let (stream, ends) = timeout(HANDSHAKE, handshake).await.map_err(|_| DtlsError::Timeout)??;
    start(stream, DtlsRole::Client, ends, &clock, idle)
}

/// Takes a connection that somebody else has opened, as TLS server.
pub(super) async fn accept(
    stream: TcpStream,
    credentials: &Credentials,
    idle: Duration,
) -> Result<SecureFlow, LinkError> {
    let clock = Clock::start();
    let judge = Arc::new(Judge::new(&credentials.verify));
    let config = server_config(&judge, credentials)?;
    let _ = stream.set_nodelay(true);
    let ends = ends(&stream)?;
    let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
    let stream = timeout(HANDSHAKE, handshake)
        .await
        .map_err(|_| DtlsError::Timeout)?
        .map_err(|error| judge.error(&error))?;
    start(TlsStream::from(stream), DtlsRole::Server, ends, &clock, idle)
}

fn ends(stream: &TcpStream) -> Result<(SocketAddr, SocketAddr), LinkError> {
    let ends = stream.local_addr().and_then(|local| Ok((local, stream.peer_addr()?)));
    ends.map_err(|_| LinkError::Lost)
}

fn client_config(judge: &Arc<Judge>, credentials: &Credentials) -> Result<ClientConfig, DtlsError> {
    let (chain, key) = shown(credentials);
    let mut config = ClientConfig::builder_with_provider(judge.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| DtlsError::Protocol(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(judge.clone())
        .with_client_auth_cert(chain, key)
        .map_err(|error| DtlsError::Key(error.to_string()))?;
    config.enable_sni = false;
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn server_config(judge: &Arc<Judge>, credentials: &Credentials) -> Result<ServerConfig, DtlsError> {
    let (chain, key) = shown(credentials);
    let mut config = ServerConfig::builder_with_provider(judge.provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| DtlsError::Protocol(error.to_string()))?
        .with_client_cert_verifier(judge.clone())
        .with_single_cert(chain, key)
        .map_err(|error| DtlsError::Key(error.to_string()))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn shown(credentials: &Credentials) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let local = &credentials.local;
    let key = PrivatePkcs8KeyDer::from(local.private_key_pkcs8_der.clone());
    (vec![local.certificate_der.clone().into()], key.into())
}

/// Judges the other side's certificate by the overlay's rules and no others.
struct Judge {
    verify: Verify,
    provider: Arc<CryptoProvider>,
    /// Why it was refused.
    refusal: OnceLock<String>,
}

impl Judge {
    fn new(verify: &Verify) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self { verify: verify.clone(), provider, refusal: OnceLock::new() }
    }

    fn judge(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        (self.verify)(certificate).map_err(|reason| {
            let _ = self.refusal.set(reason);
            CertificateError::ApplicationVerificationFailure.into()
        })
    }

    fn error(&self, error: &std::io::Error) -> LinkError {
        if let Some(reason) = self.refusal.get() {
            return DtlsError::CertificateRefused(reason.clone()).into();
        }
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::NoCertificatesPresented) => DtlsError::NoCertificate.into(),
            Some(error) => DtlsError::Protocol(error.to_string()).into(),
            None => LinkError::Lost,
        }
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A client without a certificate is refused (RFC 6940 §6.5.1.13), which is what rustls does
/// unless told otherwise.
impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ServerCertVerifier::supported_verify_schemes(self)
    }
}

/// The flow on a connection whose handshake is complete.
fn start(
    stream: TlsStream<TcpStream>,
    role: DtlsRole,
    (local, remote): (SocketAddr, SocketAddr),
    clock: &Clock,
    idle: Duration,
) -> Result<SecureFlow, LinkError> {
    let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let peer_certificate_der =
        shown.map(|der| der.to_vec().into()).ok_or(DtlsError::NoCertificate)?;
    let info = FlowInfo {
        peer_certificate_der,
        srtp: None,
        role,
        transport: Transport::Tcp,
        route: Route::without_ice(local, remote, Transport::Tcp),
        timings: Timings { dtls_ms: clock.now().as_millis(), ..Timings::default() },
    };
    let (commands, inbox) = mpsc::channel(OUTGOING_MAX);
    let (data_out, data) = mpsc::channel(INCOMING_MAX);
    let ended = Arc::new(OnceLock::new());
    let (reader, writer) = tokio::io::split(stream);
    let end = ended.clone();
    tokio::spawn(async move {
        // Whichever ends first ends the other; a reader's end is known to nobody else.
        let reason = tokio::select! {
            reason = read(reader, data_out.clone(), idle) => reason,
            reason = write(writer, inbox) => reason,
        };
        let _ = end.set(reason);
        drop(data_out);
    });
    Ok(SecureFlow::of_parts(info, commands, data, ended))
}

/// Cuts what comes into frames, until the end.
async fn read(
    mut stream: ReadHalf<TlsStream<TcpStream>>,
    data: mpsc::Sender<bytes::Bytes>,
    idle: Duration,
) -> LinkError {
    let mut buffer = BytesMut::with_capacity(READ);
    loop {
        loop {
            match Frame::length(&buffer) {
                Ok(Some(length)) if length > FRAME_MAX => return LinkError::Unframed,
                Ok(Some(length)) if length <= buffer.len() => {
                    let frame = buffer.split_to(length).freeze();
                    if data.send(frame).await.is_err() {
                        return LinkError::Closed;
                    }
                }
                Ok(_) => break,
                Err(_) => return LinkError::Unframed,
            }
        }
        buffer.reserve(READ);
        match timeout(idle, stream.read_buf(&mut buffer)).await {
            Err(_) => return LinkError::Idle,
            Ok(Ok(0)) => return DtlsError::Closed.into(),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return LinkError::Lost,
        }
    }
}

/// Writes what is to be sent, until told to close.
async fn write(
    mut stream: WriteHalf<TlsStream<TcpStream>>,
    mut inbox: mpsc::Receiver<Command>,
) -> LinkError {
    while let Some(Command::Send(record)) = inbox.recv().await {
        let written = async {
            stream.write_all(&record).await?;
            if inbox.is_empty() { stream.flush().await } else { Ok(()) }
        };
        if !matches!(timeout(WRITE, written).await, Ok(Ok(()))) {
            return LinkError::Lost;
        }
    }
    let _ = timeout(WRITE, stream.shutdown()).await;
    LinkError::Closed
}
