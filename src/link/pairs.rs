//! The candidate pairs of one ICE agent (RFC 8445 §6.1.2): our sockets, the other side's addresses,
//! and what passes between them.
//!
//! `webrtc-ice` paces the checks, ranks the pairs and nominates one, and hands out the path then.
//! That is a round trip after the path has proved valid, and RFC 8445 §12.1 lets data flow from
//! there on. So the agent is shown a single socket, which is none: each pair looks to it like one
//! remote address, its stand. Its checks leave and arrive here; here they are answered too, also
//! before the other side's candidates have come (RFC 8445 §7.3). What is not STUN goes past it.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use webrtc_ice::udp_mux::UDPMux;
use webrtc_util::Conn;

use super::datagram::receive;
use super::facts::{CandidatePair, CandidateType};
use super::ice::limits::PREFER_DIRECT;
use super::stun::{Binding, Packet, answer_check, proven_answer};
use super::transport::Transport;

/// Bounds and times.
mod limits {
    use std::time::Duration;

    /// Pairs of one agent: what the other side names makes fewer, and others have to prove that
    /// they are that side.
    pub(super) const PAIRS_MAX: usize = 256;
    /// Checks that an answer is awaited to.
    pub(super) const CHECKS_MAX: usize = 1024;
    /// Datagrams that wait for the agent, and others that wait for whoever reads them.
    pub(super) const WAITING_MAX: usize = 256;
    /// After this long the first check of a pair is sent again, the same one. Who answers an
    /// Attach and who gets that answer begin to check so that their first checks meet: what comes
    /// to the other's NAT a moment before that one's own check has opened it is lost there.
    pub(super) const CHECK_AGAIN: Duration = Duration::from_millis(20);
    /// Between an error of a socket and the next attempt to read.
    pub(super) const PAUSE: Duration = Duration::from_millis(100);
}

/// The agent's only local address.
pub(super) const AGENT: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A socket of ours and an address of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Which socket.
    pub(super) base: usize,
    /// The other side's address, as that socket reaches it.
    pub(super) remote: SocketAddr,
    /// Where that comes from.
    pub(super) remote_type: CandidateType,
    /// Whether a relay is in it, ours or theirs.
    pub(super) is_relayed: bool,
}

/// A pair as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// Our end.
    pub(super) local: SocketAddr,
    /// The other one.
    pub(super) remote: SocketAddr,
    /// The types of both; none without ICE.
    pub(super) pair: Option<CandidatePair>,
    /// For people.
    pub(super) words: String,
}

impl Route {
    /// One that does not change.
    pub(super) fn without_ice(
        local: SocketAddr,
        remote: SocketAddr,
        transport: Transport,
    ) -> watch::Receiver<Self> {
        let over = match transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        };
        let words = format!("{local} to {remote} over {over}, no ICE");
        watch::channel(Self { local, remote, pair: None, words }).1
    }
}

/// All pairs of one agent, and the sockets below.
pub(super) struct Pairs {
    bases: Vec<Arc<UdpSocket>>,
    /// The socket that leads to a relay of ours.
    relayed_base: Option<usize>,
    /// Our user name fragment and password.
    credentials: (String, String),
    state: Mutex<State>,
    valid: watch::Sender<Valid>,
    /// The stands of pairs on which the other side has checked from an address that it had not
    /// named, in the order of their first checks.
    unnamed: watch::Sender<Vec<SocketAddr>>,
    /// What the agent has selected.
    selected: watch::Sender<Option<usize>>,
    checks: mpsc::Sender<Check>,
    data: mpsc::Sender<Bytes>,
}

/// A STUN message and where it comes from for the agent.
type Check = (Bytes, SocketAddr);

#[derive(Default)]
struct State {
    pairs: Vec<Pair>,
    places: HashMap<(usize, SocketAddr), usize>,
    /// The other side's password, once we know it.
    password: Option<String>,
    /// The transactions of our checks, with their pairs.
    asked: VecDeque<([u8; 12], usize)>,
}

/// The first pairs that have proved valid.
#[derive(Clone, Copy, Debug, Default)]
struct Valid {
    direct: Option<usize>,
    relayed: Option<usize>,
}

impl Valid {
    fn is_none(self) -> bool {
        self.direct.or(self.relayed).is_none()
    }
}

/// Reads our sockets as long as it lives.
pub(super) struct Readers(Vec<AbortHandle>);

impl Pairs {
    /// No pairs yet between `bases` and the other side. Also what the agent takes for its network,
    /// and what comes that is not STUN.
    pub(super) fn new(
        bases: Vec<Arc<UdpSocket>>,
        relayed_base: Option<usize>,
        credentials: (String, String),
    ) -> (Arc<Self>, Arc<dyn UDPMux + Send + Sync>, mpsc::Receiver<Bytes>) {
        let (checks, inbox) = mpsc::channel(limits::WAITING_MAX);
        let (data, incoming) = mpsc::channel(limits::WAITING_MAX);
        let (state, valid, unnamed, selected) = Default::default();
        let pairs = Arc::new(Self {
            bases,
            relayed_base,
            credentials,
            state,
            valid,
            unnamed,
            selected,
            checks,
            data,
        });
        let inbox = tokio::sync::Mutex::new(inbox);
        let socket = Arc::new(AgentSocket { pairs: pairs.clone(), inbox });
        (pairs, Arc::new(AgentNetwork(socket)), incoming)
    }

    /// Answers checks from now on, and takes what else comes.
    pub(super) fn read(self: &Arc<Self>) -> Readers {
        let reader = |base| {
            let pairs = self.clone();
            tokio::spawn(async move { pairs.read_from(base).await }).abort_handle()
        };
        Readers((0..self.bases.len()).map(reader).collect())
    }

    /// The stands of the pairs that a candidate of the other side makes with our sockets, but for
    /// that of a relay.
    pub(super) fn add(&self, remote: SocketAddr, remote_type: CandidateType) -> Vec<SocketAddr> {
        let is_relayed = remote_type == CandidateType::Relay;
        let fits = |base: &usize| {
            let is_local = |at: SocketAddr| {
                at.is_ipv4() == remote.is_ipv4()
                    && at.ip().is_loopback() == remote.ip().is_loopback()
            };
            Some(*base) != self.relayed_base && self.bases[*base].local_addr().is_ok_and(is_local)
        };
        let bases = (0..self.bases.len()).filter(fits);
        let pairs = bases.map(|base| Pair { base, remote, remote_type, is_relayed });
        pairs.filter_map(|pair| self.state().tell(pair)).map(stand).collect()
    }

    /// The stand of what a relay of ours reaches: that is at `remote` for our socket.
    pub(super) fn add_relayed(
        &self,
        remote: SocketAddr,
        remote_type: CandidateType,
    ) -> Option<SocketAddr> {
        let pair = Pair { base: self.relayed_base?, remote, remote_type, is_relayed: true };
        self.state().tell(pair).map(stand)
    }

    /// The other side is known by its password from now on; it is asked for and answers.
    pub(super) fn meet(&self, password: String) {
        self.state().password = Some(password);
    }

    /// Waits for a pair that has proved valid. A direct one is preferred for a while.
    pub(super) async fn first_valid(&self) -> Pair {
        let mut direct = self.valid.subscribe();
        let mut any = self.valid.subscribe();
        let direct = async {
            match direct.wait_for(|valid| valid.direct.is_some()).await {
                Ok(valid) => valid.direct,
                Err(_) => None,
            }
        };
        let any = async {
            sleep(PREFER_DIRECT).await;
            match any.wait_for(|valid| valid.direct.or(valid.relayed).is_some()).await {
                Ok(valid) => valid.direct.or(valid.relayed),
                Err(_) => None,
            }
        };
        let place = tokio::select! {
            place = direct => place,
            place = any => place,
        };
        match place.and_then(|place| self.state().pairs.get(place).copied()) {
            Some(pair) => pair,
            // The sender is ours, so it does not end.
            None => std::future::pending().await,
        }
    }

    /// The stands of pairs that the other side has checked before it named its address, if it ever
    /// does. The agent is to check them too (RFC 8445 §7.3.1.4): it does not hear of what was
    /// answered before.
    pub(super) fn unnamed(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.unnamed.subscribe()
    }

    /// Whether the other side has named its address of the pair with this stand by now.
    pub(super) fn is_named(&self, at: SocketAddr) -> bool {
        let state = self.state();
        let pair = place_of(at).and_then(|place| state.pairs.get(place));
        pair.is_some_and(|pair| pair.remote_type != CandidateType::PeerReflexive)
    }

    /// The agent has selected the pair with this stand.
    pub(super) fn select(&self, at: SocketAddr) {
        self.selected.send_replace(place_of(at));
    }

    /// The pair that the agent has selected, as the other side's agent has.
    pub(super) fn selected(&self) -> Option<Pair> {
        let place = *self.selected.borrow();
        place.and_then(|place| self.state().pairs.get(place).copied())
    }

    /// Tells when the agent has selected a pair.
    pub(super) fn selection(&self) -> watch::Receiver<Option<usize>> {
        self.selected.subscribe()
    }

    /// One of our sockets.
    pub(super) fn base(&self, base: usize) -> &Arc<UdpSocket> {
        &self.bases[base]
    }

    /// What others see of a pair without a relay of ours.
    pub(super) fn route(&self, pair: Pair) -> Route {
        let Pair { base, remote, remote_type, .. } = pair;
        let local = self.bases[base].local_addr().unwrap_or(remote);
        let version = if remote.is_ipv4() { "IPv4" } else { "IPv6" };
        let words = format!("host {local} to {remote_type} {remote} over UDP, {version}");
        let pair = CandidatePair { local: CandidateType::Host, remote: remote_type };
        Route { local, remote, pair: Some(pair), words }
    }

    /// Whether a pair goes through a relay of ours.
    pub(super) fn is_on_our_relay(&self, pair: Pair) -> bool {
        Some(pair.base) == self.relayed_base
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_from(&self, base: usize) {
        loop {
            match receive(&self.bases[base]).await {
                Ok((datagram, source)) => self.take(base, source, datagram).await,
                // An ICMP message says nothing of the other addresses.
                Err(_) => sleep(limits::PAUSE).await,
            }
        }
    }

    async fn take(&self, base: usize, source: SocketAddr, datagram: Bytes) {
        if Packet::classify(&datagram) != Packet::Stun {
            if self.state().places.contains_key(&(base, source)) {
                let _ = self.data.try_send(datagram);
            }
            return;
        }
        let (ufrag, password) = &self.credentials;
        let place = match answer_check(&datagram, source, (ufrag, password)) {
            Some(answer) => {
                let _ = self.bases[base].send_to(&answer, source).await;
                self.place_checked(base, source)
            }
            None => self.note_answer((base, source), &datagram),
        };
        let is_met = self.state().password.is_some();
        if let Some(place) = place.filter(|_| is_met) {
            let _ = self.checks.try_send((datagram, stand(place)));
        }
    }

    /// The place of a pair that the other side has checked.
    fn place_checked(&self, base: usize, remote: SocketAddr) -> Option<usize> {
        let is_relayed = Some(base) == self.relayed_base;
        let pair = Pair { base, remote, remote_type: CandidateType::PeerReflexive, is_relayed };
        let mut state = self.state();
        let is_new = !state.places.contains_key(&(base, remote));
        let place = state.place(pair)?;
        drop(state);
        if is_new && !is_relayed {
            self.unnamed.send_modify(|stands| stands.push(stand(place)));
        }
        Some(place)
    }

    /// Notes that a pair is valid if this is the answer to a check on it (RFC 8445 §7.2.5.3.2). Its
    /// place, if what comes from there concerns the agent.
    fn note_answer(&self, from: (usize, SocketAddr), datagram: &[u8]) -> Option<usize> {
        let mut state = self.state();
        let place = *state.places.get(&from)?;
        let is_relayed = state.pairs[place].is_relayed;
        if let Some(transaction) = proven_answer(datagram, state.password.as_deref()?) {
            let asked = state.asked.iter().position(|asked| *asked == (transaction, place))?;
            state.asked.remove(asked);
            drop(state);
            self.valid.send_if_modified(|valid| {
                let first = if is_relayed { &mut valid.relayed } else { &mut valid.direct };
                let is_first = first.is_none();
                first.get_or_insert(place);
                is_first
            });
        }
        Some(place)
    }

    /// Sends what the agent says to a stand.
    async fn send_check(&self, message: &[u8], at: SocketAddr) {
        let Some(place) = place_of(at) else { return };
        let mut is_first = false;
        let pair = {
            let mut state = self.state();
            match Binding::of(message) {
                // That has been answered here.
                Some(Binding::Success) => return,
                Some(Binding::Request(transaction)) => {
                    is_first = state.asked.iter().all(|(_, asked)| *asked != place);
                    state.asked.truncate(limits::CHECKS_MAX - 1);
                    state.asked.push_front((transaction, place));
                }
                None => {}
            }
            state.pairs.get(place).copied()
        };
        let Some(pair) = pair else { return };
        let base = &self.bases[pair.base];
        let _ = base.send_to(message, pair.remote).await;
        if is_first && self.valid.borrow().is_none() {
            let (base, message) = (base.clone(), message.to_owned());
            tokio::spawn(async move {
                sleep(limits::CHECK_AGAIN).await;
                let _ = base.send_to(&message, pair.remote).await;
            });
        }
    }
}

impl State {
    /// The place of a pair of which the other side has told.
    fn tell(&mut self, pair: Pair) -> Option<usize> {
        let place = self.place(pair)?;
        // It may have talked to us before.
        self.pairs[place] = pair;
        Some(place)
    }

    /// The place of a pair, new or known; `None` if there are too many.
    fn place(&mut self, pair: Pair) -> Option<usize> {
        if let Some(place) = self.places.get(&(pair.base, pair.remote)) {
            return Some(*place);
        }
        if self.pairs.len() >= limits::PAIRS_MAX {
            return None;
        }
        self.pairs.push(pair);
        let place = self.pairs.len() - 1;
        self.places.insert((pair.base, pair.remote), place);
        Some(place)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

/// What the agent takes for the other end of the pair at this place.
fn stand(place: usize) -> SocketAddr {
    let [high, low] = (place as u16).to_be_bytes();
    SocketAddr::from(([127, 1, high, low], STAND_PORT))
}

fn place_of(stand: SocketAddr) -> Option<usize> {
    match stand {
        SocketAddr::V4(at) => {
            let [_, _, high, low] = at.ip().octets();
            Some(u16::from_be_bytes([high, low]).into())
        }
        SocketAddr::V6(_) => None,
    }
}

/// Any that is not zero.
const STAND_PORT: u16 = 9;

/// The network of an agent: one socket.
struct AgentNetwork(Arc<AgentSocket>);

#[async_trait]
impl UDPMux for AgentNetwork {
    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    async fn get_conn(
        self: Arc<Self>,
        _ufrag: &str,
    ) -> Result<Arc<dyn Conn + Send + Sync>, webrtc_util::Error> {
        Ok(self.0.clone())
    }

    async fn remove_conn_by_ufrag(&self, _ufrag: &str) {}
}

/// The agent's socket, which is none.
struct AgentSocket {
    pairs: Arc<Pairs>,
    inbox: tokio::sync::Mutex<mpsc::Receiver<Check>>,
}

#[async_trait]
impl Conn for AgentSocket {
    async fn connect(&self, _: SocketAddr) -> Result<(), webrtc_util::Error> {
        Err(unconnected())
    }

    async fn recv(&self, _: &mut [u8]) -> Result<usize, webrtc_util::Error> {
        Err(unconnected())
    }

    async fn recv_from(
        &self,
        buffer: &mut [u8],
    ) -> Result<(usize, SocketAddr), webrtc_util::Error> {
        let check = self.inbox.lock().await.recv().await;
        let (message, from) = check.ok_or(webrtc_util::Error::ErrBufferClosed)?;
        let length = message.len().min(buffer.len());
        buffer[..length].copy_from_slice(&message[..length]);
        Ok((length, from))
    }

    async fn send(&self, _: &[u8]) -> Result<usize, webrtc_util::Error> {
        Err(unconnected())
    }

    async fn send_to(&self, message: &[u8], to: SocketAddr) -> Result<usize, webrtc_util::Error> {
        self.pairs.send_check(message, to).await;
        Ok(message.len())
    }

    fn local_addr(&self) -> Result<SocketAddr, webrtc_util::Error> {
        Ok((AGENT, STAND_PORT).into())
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn close(&self) -> Result<(), webrtc_util::Error> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}

fn unconnected() -> webrtc_util::Error {
    std::io::Error::from(std::io::ErrorKind::NotConnected).into()
}
