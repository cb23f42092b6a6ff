//! A path that ICE has found, datagrams in and out. The agent goes on to nominate a pair on it, and
//! is given back where the path is kept without it (`settled`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use webrtc_ice::agent::Agent;
use webrtc_ice::state::ConnectionState;

use super::error::LinkError;
use super::ice::close;
use super::ice::limits::SETTLE;
use super::pairs::{Pair, Pairs, Readers, Route};
use super::ports::MappedPort;
use super::relay::OpenPort;
use super::settled::{Settled, Upkeep};
use super::stun::binding_indication;
use super::through::RelayedBase;

/// A path to the other side: datagrams in and out, kept alive and watched.
pub struct IceConn {
    pub(super) pairs: Arc<Pairs>,
    /// The pair that was valid first; it serves until the agent has selected one.
    pub(super) first: Pair,
    pub(super) selection: watch::Receiver<Option<usize>>,
    pub(super) route: watch::Sender<Route>,
    pub(super) data: mpsc::Receiver<Bytes>,
    pub(super) readers: Option<Readers>,
    pub(super) relayed: Option<RelayedBase>,
    pub(super) upkeep: Upkeep,
    /// Our user name fragment and password.
    pub(super) credentials: (String, String),
    /// Takes the place of the agent and of what passes by it.
    pub(super) settled: Option<Settled>,
    /// When what the selected pair does not need is given back.
    pub(super) settles_at: Option<Instant>,
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) state: watch::Receiver<ConnectionState>,
    pub(super) _ports: Vec<OpenPort>,
    pub(super) _mapped: Option<MappedPort>,
}

impl IceConn {
    /// The pair in use, from now on.
    pub(super) fn route(&self) -> watch::Receiver<Route> {
        self.route.subscribe()
    }

    /// Tells of the pair in use if it is another one.
    pub(super) fn tell(&self) {
        let pair = self.current();
        let relayed = self.relayed.as_ref().filter(|_| self.pairs.is_on_our_relay(pair));
        let route = relayed.and_then(|relayed| relayed.route(pair.remote));
        let route = route.unwrap_or_else(|| self.pairs.route(pair));
        self.route.send_if_modified(|told| {
            let is_new = *told != route;
            *told = route;
            is_new
        });
    }

    fn current(&self) -> Pair {
        self.pairs.selected().unwrap_or(self.first)
    }

    /// Sends one datagram. What the network loses is not an error.
    pub async fn send(&self, datagram: &[u8]) {
        if let Some(settled) = &self.settled {
            settled.send(datagram).await;
        } else {
            let Pair { base, remote, .. } = self.current();
            let _ = self.pairs.base(base).send_to(datagram, remote).await;
        }
    }

    /// After how much silence of our own [`Self::keep_alive`] is to be called, if at all.
    pub fn keep_alive_every(&self) -> Option<Duration> {
        match self.upkeep {
            Upkeep::Consent => None,
            Upkeep::KeepAlive { every, .. } => Some(every),
        }
    }

    /// Sends a Binding indication: 28 bytes, 56 with IPv4 and UDP.
    pub async fn keep_alive(&mut self) {
        self.settle();
        if let Some(indication) = binding_indication() {
            self.send(&indication).await;
        }
    }

    /// Waits for the next datagram that is not STUN; an error once the other side is lost.
    pub async fn recv(&mut self) -> Result<Bytes, LinkError> {
        loop {
            if let Some(settled) = &mut self.settled {
                // What came before.
                return match self.data.try_recv() {
                    Ok(datagram) => Ok(datagram),
                    Err(_) => settled.recv().await,
                };
            }
            let settles_at = self.settles_at.unwrap_or_else(Instant::now);
            let is_time = tokio::select! {
                datagram = self.data.recv() => {
                    return datagram.ok_or(LinkError::Closed);
                }
                _ = self.state.wait_for(|state| {
                    matches!(state, ConnectionState::Failed | ConnectionState::Closed)
                }) => return Err(LinkError::Lost),
                () = sleep_until(settles_at), if self.settles_at.is_some() => true,
                Ok(()) = self.selection.changed() => false,
            };
            if is_time {
                self.settle();
            } else {
                self.tell();
            }
        }
    }

    /// Gives back what the selected pair does not need; the agent too, where the path is kept
    /// without it.
    fn settle(&mut self) {
        if self.settled.is_some() {
            return;
        }
        let Some(pair) = self.pairs.selected() else {
            self.settles_at = Some(Instant::now() + SETTLE);
            return;
        };
        self.settles_at = None;
        self.relayed.take_if(|_| !self.pairs.is_on_our_relay(pair));
        if self.keep_alive_every().is_some() {
            let (socket, credentials) =
                (self.pairs.base(pair.base).clone(), self.credentials.clone());
            let lost = self.upkeep.lost();
            self.settled = Some(Settled::new(socket, pair.remote, credentials, lost));
            self.readers = None;
            close(self.agent.take());
        }
    }
}

impl Drop for IceConn {
    fn drop(&mut self) {
        close(self.agent.take());
    }
}
