//! A path that ICE has found, without the agent that found it: an agent looks after its pair five
//! times a second as long as it lives, which is too much for links that are many and rarely used.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::{Instant, sleep, timeout_at};

use super::datagram::receive;
use super::error::LinkError;
use super::ice::limits::{CONSENT_LOST, KEEPALIVE, KEEPALIVE_LOST};
use super::stun::{Packet, answer_check};

/// Between an error of the socket and the next attempt to read.
const PAUSE: Duration = Duration::from_millis(100);

/// How a path is kept open and watched once it is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upkeep {
    /// By asking for consent every few seconds (RFC 7675), so that a call ends soon after its
    /// other side is gone.
    #[default]
    Consent,
    /// By Binding indications when nothing else is sent (RFC 6940 §6.5.1.10.3): a tenth of the
    /// traffic, for links that are many and rarely used. Whether the other side is there shows
    /// with the next message.
    KeepAlive {
        /// How long nothing is sent before an indication is.
        every: Duration,
        /// How long nothing comes before the other side is lost.
        lost: Duration,
    },
}

impl Upkeep {
    /// That of an overlay link.
    pub const OVERLAY: Self = Self::KeepAlive { every: KEEPALIVE, lost: KEEPALIVE_LOST };

    /// How long nothing comes before the other side is lost.
    pub(super) fn lost(self) -> Duration {
        match self {
            Self::Consent => CONSENT_LOST,
            Self::KeepAlive { lost, .. } => lost,
        }
    }
}

/// The selected pair's socket, and what is left to do on it.
pub(super) struct Settled {
    socket: Arc<UdpSocket>,
    remote: SocketAddr,
    /// Our user name fragment and password: the other side may go on checking.
    credentials: (String, String),
    /// How long nothing comes before the other side is lost.
    lost: Duration,
    last_heard: Instant,
    /// What came before, until its reader has ended.
    earlier: Option<mpsc::Receiver<Bytes>>,
}

impl Settled {
    pub(super) fn new(
        socket: Arc<UdpSocket>,
        remote: SocketAddr,
        credentials: (String, String),
        lost: Duration,
        earlier: mpsc::Receiver<Bytes>,
    ) -> Self {
        let (last_heard, earlier) = (Instant::now(), Some(earlier));
        Self { socket, remote, credentials, lost, last_heard, earlier }
    }

    /// Sends one datagram. What the network loses is not an error.
    pub(super) async fn send(&self, datagram: &[u8]) {
        let _ = self.socket.send_to(datagram, self.remote).await;
    }

    /// Waits for the next datagram of the other side that is not STUN; an error once the other
    /// side is lost.
    pub(super) async fn recv(&mut self) -> Result<Bytes, LinkError> {
        loop {
            match self.earlier.as_mut().map(mpsc::Receiver::try_recv) {
                Some(Ok(datagram)) => return Ok(datagram),
                Some(Err(TryRecvError::Disconnected)) => self.earlier = None,
                Some(Err(TryRecvError::Empty)) | None => {}
            }
            let received = timeout_at(self.last_heard + self.lost, receive(&self.socket));
            let (datagram, source) = match received.await {
                Ok(Ok(received)) => received,
                // An ICMP message is no proof that the other side is gone; nor do others come fast.
                Ok(Err(_)) => {
                    sleep(PAUSE).await;
                    continue;
                }
                Err(_) => return Err(LinkError::Lost),
            };
            if source != self.remote {
                continue;
            }
            self.last_heard = Instant::now();
            if Packet::classify(&datagram) != Packet::Stun {
                return Ok(datagram);
            }
            let (ufrag, password) = &self.credentials;
            if let Some(answer) = answer_check(&datagram, source, (ufrag, password)) {
                self.send(&answer).await;
            }
        }
    }
}
