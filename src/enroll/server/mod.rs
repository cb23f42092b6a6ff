//! The configuration and enrollment server of an overlay (RFC 6940 §11.2, §11.3): it hands out the
//! document, keeps accounts and issues certificates.
//!
//! | module | what |
//! |---|---|
//! | `registry` | the folder: authority, document, the server's own identity |
//! | `safe` | private keys at rest |
//! | `accounts` | what the owner does with accounts and invitations |
//! | `admission` | who gets which certificate, and with which Node-IDs |
//! | `password` | Argon2id |
//! | `peers` | where the overlay's ring is found again |
//! | `http`, `tls`, `rate` | HTTPS with its limits |
//!
//! A certificate lasts ninety days (R6940-13.3-04). That is how long a stolen key is of use if
//! nobody notices; whoever does revokes the account, which takes seconds. And it is how long the
//! server may be down, or a device switched off, before somebody is locked out.

mod accounts;
mod admission;
mod error;
mod http;
mod password;
mod peers;
mod rate;
mod registry;
mod safe;
#[cfg(test)]
mod tests;
mod tls;

use std::fs;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

pub use accounts::{Account, AccountNode, AccountState, random_password};
pub use error::RegistryError;
pub use registry::{Foundation, Places, Registration, Registry};
pub use safe::RegistryFolder;
pub use tls::ServerCertificate;

use crate::config::{OverlayName, SignedConfig};

/// What bounds those who ask, and what the server gives them.
pub mod limits {
    use std::time::Duration;

    use super::rate::Rule;

    /// Connections at once; each has buffers of some 100 KiB.
    pub const CONNECTIONS_MAX: usize = 256;
    /// Connections of one address or network.
    pub const CONNECTIONS_OF_SOURCE_MAX: usize = 32;
    /// A connection as a whole: a few requests, none of which is long.
    pub const CONNECTION_MAX: Duration = Duration::from_secs(60);
    /// A TLS handshake over the slowest of links.
    pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
    /// Until a request's head is there.
    pub const HEAD_MAX: Duration = Duration::from_secs(10);
    /// A request's head; ours has 300 bytes. Hyper wants 8 KiB at least.
    pub const HEAD_BYTES_MAX: usize = 16 * 1024;
    /// A whole enrollment, with the wait for other passwords to be hashed.
    pub const REQUEST_MAX: Duration = Duration::from_secs(20);
    /// The form; a request with an RSA key of 8192 bits has 3 KiB.
    pub const FORM_BYTES_MAX: u64 = 64 * 1024;
    /// The pause after a connection could not be accepted.
    pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
    /// Reports that nobody has read yet; further ones are lost.
    pub const EVENTS_MAX: usize = 64;
    /// Peers that are remembered, as RFC 6940 §11.4 suggests.
    pub const PEERS_MAX: usize = 10;
    /// How soon a change by the command line is noticed.
    pub const LOOK: Duration = Duration::from_millis(500);
    /// How soon the server's own certificate is made, or its files are read, anew.
    pub const FRESH_CERTIFICATE: Duration = Duration::from_secs(12 * 3600);
    /// How long another program may write to the database; each does so for milliseconds.
    pub const DATABASE_WAIT: Duration = Duration::from_secs(5);

    /// Passwords hashed at the same time: each takes a core and the memory below.
    pub const HASHING_MAX: usize = 4;
    /// Argon2id's memory: 19 MiB with two passes is OWASP's recommendation.
    pub const HASH_MEMORY_KIB: u32 = 19 * 1024;
    /// Argon2id's passes.
    pub const HASH_PASSES: u32 = 2;
    /// A password in bytes.
    pub const PASSWORD_LENGTH_MAX: usize = 1024;
    /// An account's name: what RFC 5321 lets stand before the `@`.
    pub const NAME_LENGTH_MAX: usize = 64;

    /// Enrollments from one source: a school behind one address, and then one a second.
    pub(super) const ASKED: Rule = Rule { burst: 120, refill: Duration::from_secs(1) };
    /// Refused enrollments from one source.
    pub(super) const REFUSED: Rule = Rule { burst: 30, refill: Duration::from_secs(10) };
    /// Wrong passwords for one account. Somebody who keeps them coming delays its owner; without
    /// this a network of many sources could guess without end.
    pub(super) const MISTAKEN: Rule = Rule { burst: 10, refill: Duration::from_secs(20) };
    /// Sources and accounts that are watched.
    pub const RATES_MAX: usize = 4096;

    /// Node-IDs of one account: a person's devices (RFC 6940 §13.6.1).
    pub const NODE_IDS_MAX: usize = 8;
    /// How long a certificate lasts.
    pub const CERTIFICATE_MS: u64 = 90 * DAY_MS;
    /// How long before now certificates begin, since clocks differ.
    pub const BACKDATED_MS: u64 = DAY_MS;
    /// How long the server's own HTTPS certificate lasts.
    pub const SERVER_CERTIFICATE_MS: u64 = 30 * DAY_MS;
    /// How long an invitation can be used.
    pub const INVITATION_MS: u64 = 14 * DAY_MS;
    /// The TTL of messages in our overlays: a way in a ring of N peers has log2 N hops at most in
    /// ordinary times, and thirty are enough for 2^25 peers and five hops of repair
    /// (RFC 6940 §13.6.5).
    pub const INITIAL_TTL: u8 = 30;

    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
}

/// A folder of which nobody else starts a server: two would give the same peer's identity to two
/// nodes. The command line needs no lock.
#[derive(Debug)]
pub struct FolderLock {
    folder: RegistryFolder,
    _file: fs::File,
}

impl FolderLock {
    /// Takes the folder, which exists.
    ///
    /// # Errors
    ///
    /// Fails if another server runs in it.
    pub fn take(folder: impl Into<RegistryFolder>) -> Result<Self, RegistryError> {
        let folder = folder.into();
        let path = folder.path().join(LOCK_FILE);
        let file = fs::File::create(&path).map_err(|error| RegistryError::file(&path, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { folder, _file: file }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(RegistryError::InUse(folder.path().to_path_buf()))
            }
            Err(fs::TryLockError::Error(error)) => Err(RegistryError::file(&path, &error)),
        }
    }
}

/// How a server is started.
#[derive(Debug)]
pub struct ServerOptions {
    /// The folder of a [`Registry`].
    pub folder: FolderLock,
    /// What it shows in TLS.
    pub certificate: ServerCertificate,
}

/// What a server reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// An account has got a certificate.
    Enrolled(String),
    /// Something is wrong here, as a sentence; who asked has been told to come back.
    Problem(String),
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    document: watch::Receiver<Arc<SignedConfig>>,
    _tasks: JoinSet<()>,
    _lock: FolderLock,
}

impl Server {
    /// Starts to serve what a folder has on a listener.
    ///
    /// # Errors
    ///
    /// Fails if the folder has no overlay, and if the certificate to show cannot be used.
    pub async fn start(
        listener: TcpListener,
        options: ServerOptions,
    ) -> Result<(Self, mpsc::Receiver<ServerEvent>), ServerError> {
        let ServerOptions { folder: lock, certificate } = options;
        let folder = lock.folder.clone();
        let opened = blocking({
            let (folder, certificate) = (folder.clone(), certificate.clone());
            move || {
                let registry = Registry::open(&folder)?;
                registry.export()?;
                let document = registry.document()?;
                let tls = tls_config(&registry, &document, &certificate)?;
                Ok((registry, document, tls))
            }
        });
        let (registry, document, tls) = opened.await?;
        let (document_in, document) = watch::channel(Arc::new(document));
        let (tls_in, tls) = watch::channel(tls);
        let (events, events_out) = mpsc::channel(limits::EVENTS_MAX);
        let desk = Arc::new(http::Desk {
            folder,
            document: document.clone(),
            events,
            rates: Default::default(),
            hashing: Semaphore::new(limits::HASHING_MAX),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(http::serve(listener, tls, desk));
        tasks.spawn(watch(registry, document_in, tls_in, certificate));
        Ok((Self { document, _tasks: tasks, _lock: lock }, events_out))
    }

    /// The overlay's document; changes can be waited for.
    pub fn document(&self) -> watch::Receiver<Arc<SignedConfig>> {
        self.document.clone()
    }
}

/// The URL of an enrollment server at this host, which is a name or an address, and port.
pub fn enrollment_url(host: &str, port: u16) -> String {
    let host = match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => host.to_owned(),
    };
    format!("https://{host}:{port}{}", http::ENROLLMENT_PATH)
}

/// Why a server does not start: one sentence.
#[derive(Debug, Error)]
pub enum ServerError {
    /// Its folder cannot be used.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What it shall show in TLS cannot be used.
    #[error("The HTTPS certificate cannot be used: {0}.")]
    Certificate(String),
    /// The runtime is ending.
    #[error("The program is ending.")]
    Ending,
}

/// Looks for what the command line has changed, and keeps the TLS certificate fresh.
async fn watch(
    mut registry: Registry,
    document: watch::Sender<Arc<SignedConfig>>,
    tls: watch::Sender<Arc<ServerConfig>>,
    certificate: ServerCertificate,
) {
    let mut ticks = interval(limits::LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut refresh_at = tokio::time::Instant::now() + limits::FRESH_CERTIFICATE;
    loop {
        ticks.tick().await;
        let known = document.borrow().clone();
        let is_stale = tokio::time::Instant::now() >= refresh_at;
        let certificate = certificate.clone();
        let looked = blocking(move || {
            let is_new = registry.sequence().is_ok_and(|now| now != Some(known.config.sequence));
            // A database that is busy or broken for a while changes nothing.
            let newer = if is_new { registry.document().ok() } else { None };
            let fresh = is_stale.then(|| tls_config(&registry, &known, &certificate).ok());
            Ok((registry, newer, fresh.flatten()))
        });
        let Ok((back, newer, fresh)) = looked.await else { return };
        registry = back;
        if let Some(newer) = newer {
            document.send_replace(Arc::new(newer));
        }
        if let Some(fresh) = fresh {
            tls.send_replace(fresh);
            refresh_at = tokio::time::Instant::now() + limits::FRESH_CERTIFICATE;
        }
    }
}

fn tls_config(
    registry: &Registry,
    document: &SignedConfig,
    certificate: &ServerCertificate,
) -> Result<Arc<ServerConfig>, ServerError> {
    let overlay: &OverlayName = &document.config.instance_name;
    certificate.config(overlay.as_str(), &registry.authority()?, unix_ms())
}

/// Runs what waits for disk or processor beside the tasks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServerError> + Send + 'static,
) -> Result<T, ServerError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ServerError::Ending))
}

/// Milliseconds since the Unix epoch.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const LOCK_FILE: &str = "lock";
