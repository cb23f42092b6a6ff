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
    pub(super) path: Path,
    pub(super) route: watch::Sender<Route>,
    pub(super) relayed: Option<RelayedBase>,
    pub(super) upkeep: Upkeep,
    pub(super) ports: Vec<OpenPort>,
    pub(super) _mapped: Option<MappedPort>,
}

/// What datagrams go by.
pub(super) enum Path {
    /// All pairs that there are; one of them serves.
    Checked(Box<Checked>),
    /// The selected pair alone.
    Settled(Settled),
}

/// Pairs and the agent that looks after them.
pub(super) struct Checked {
    pub(super) pairs: Arc<Pairs>,
    /// The pair that was valid first; it serves until the agent has selected one.
    pub(super) first: Pair,
    pub(super) selection: watch::Receiver<Option<usize>>,
    pub(super) data: mpsc::Receiver<Bytes>,
    /// Fill `data`.
    pub(super) _readers: Option<Readers>,
    /// Our user name fragment and password.
    pub(super) credentials: (String, String),
    /// When what the selected pair does not need is given back.
    pub(super) settles_at: Option<Instant>,
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) state: watch::Receiver<ConnectionState>,
}

impl IceConn {
    /// The pair in use, from now on.
    pub(super) fn route(&self) -> watch::Receiver<Route> {
        self.route.subscribe()
    }

    /// Tells of the pair in use if it is another one.
    pub(super) fn tell(&self) {
        let Path::Checked(checked) = &self.path else { return };
        let (pairs, pair) = (&checked.pairs, checked.current());
        let relayed = self.relayed.as_ref().filter(|_| pairs.is_on_our_relay(pair));
        let route = relayed.and_then(|relayed| relayed.route(pair.remote));
        let route = route.unwrap_or_else(|| pairs.route(pair));
        self.route.send_if_modified(|told| {
            let is_new = *told != route;
            *told = route;
            is_new
        });
    }

    /// Sends one datagram. What the network loses is not an error.
    pub async fn send(&self, datagram: &[u8]) {
        match &self.path {
            Path::Settled(settled) => settled.send(datagram).await,
            Path::Checked(checked) => {
                let Pair { base, remote, .. } = checked.current();
                let _ = checked.pairs.base(base).send_to(datagram, remote).await;
            }
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
            let checked = match &mut self.path {
                Path::Settled(settled) => return settled.recv().await,
                Path::Checked(checked) => checked,
            };
            match checked.next().await? {
                Next::Datagram(datagram) => return Ok(datagram),
                Next::Selection => self.tell(),
                Next::Settling => self.settle(),
            }
        }
    }

    /// Gives back what the selected pair does not need; the agent, the other pairs and their
    /// sockets too (RFC 8445 §8.3), where the path is kept without them.
    fn settle(&mut self) {
        let is_kept_without = self.keep_alive_every().is_some();
        let Path::Checked(checked) = &mut self.path else { return };
        let Some(pair) = checked.pairs.selected() else {
            checked.settles_at = Some(Instant::now() + SETTLE);
            return;
        };
        checked.settles_at = None;
        self.relayed.take_if(|_| !checked.pairs.is_on_our_relay(pair));
        if is_kept_without {
            let socket = checked.pairs.base(pair.base).clone();
            let at = socket.local_addr().ok();
            self.ports.retain(|port| Some(port.address()) == at);
            let (_, none) = mpsc::channel(1);
            let earlier = std::mem::replace(&mut checked.data, none);
            let credentials = std::mem::take(&mut checked.credentials);
            let lost = self.upkeep.lost();
            let settled = Settled::new(socket, pair.remote, credentials, lost, earlier);
            self.path = Path::Settled(settled);
        }
    }
}

/// What happens on pairs that are checked.
enum Next {
    Datagram(Bytes),
    /// The agent has selected another pair.
    Selection,
    /// It is time to settle.
    Settling,
}

impl Checked {
    fn current(&self) -> Pair {
        self.pairs.selected().unwrap_or(self.first)
    }

    async fn next(&mut self) -> Result<Next, LinkError> {
        let settles_at = self.settles_at.unwrap_or_else(Instant::now);
        tokio::select! {
            datagram = self.data.recv() => {
                datagram.map(Next::Datagram).ok_or(LinkError::Closed)
            }
            _ = self.state.wait_for(|state| {
                matches!(state, ConnectionState::Failed | ConnectionState::Closed)
            }) => Err(LinkError::Lost),
            () = sleep_until(settles_at), if self.settles_at.is_some() => Ok(Next::Settling),
            Ok(()) = self.selection.changed() => Ok(Next::Selection),
        }
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        close(self.agent.take());
    }
}
