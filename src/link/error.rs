//! Why a link did not come up or went down, by step.

use std::net::SocketAddr;

use thiserror::Error;

use super::dtls::DtlsError;

/// Why there is no link, in words that name the step.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// The machine has no address at all, not even loopback.
    #[error("this machine has no network address")]
    NoAddress,
    /// Finding our own addresses failed.
    #[error("our own network addresses could not be found: {0}")]
    Gather(String),
    /// The other side's ICE parameters cannot work.
    #[error("the other side's ICE parameters are unusable: {0}")]
    IceParameters(&'static str),
    /// No pair of addresses let packets through both ways.
    #[error("no network path to the other side was found (ICE)")]
    NoPath,
    /// The ICE agent gave up.
    #[error("ICE failed: {0}")]
    Ice(String),
    /// A relay did not do what it was asked for.
    #[error("the relay could not be used: {0}")]
    Relay(&'static str),
    /// The secure connection failed or was closed.
    #[error(transparent)]
    Dtls(#[from] DtlsError),
    /// Another program has the port.
    #[error("port {0} is in use by another program")]
    PortInUse(u16),
    /// A socket could not be opened.
    #[error("address {address} cannot be used: {reason}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        reason: String,
    },
    /// The system says that nobody listens there.
    #[error("nobody answers at {0}")]
    Refused(SocketAddr),
    /// Consent checks are no longer answered (RFC 7675).
    #[error("the other side is no longer reachable")]
    Lost,
    /// Messages are no longer acknowledged (RFC 6940 §6.6.3.1).
    #[error("the other side no longer acknowledges messages")]
    Silent,
    /// Nothing was heard for too long on a link without keepalives.
    #[error("nothing was heard from the other side for too long")]
    Idle,
    /// What came on a stream is no frame (RFC 6940 §6.6.2), or too long a one.
    #[error("the other side sent what is no RELOAD message")]
    Unframed,
    /// We closed it.
    #[error("the link was closed")]
    Closed,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The message is longer than the link's MTU: fragment it (RFC 6940 §6.7).
    #[error("{length} bytes do not fit a link that takes {mtu}")]
    TooLong {
        /// The message's length in bytes.
        length: usize,
        /// The most that the link takes.
        mtu: usize,
    },
    /// Too many messages wait.
    #[error("too many messages wait for the link")]
    Full,
    /// The link is down.
    #[error("the link is down")]
    Down,
}
