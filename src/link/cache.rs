//! Where we can join the next time (RFC 6940 §11.4): only peers that we have been directly
//! connected with go into the list, each with an address at which it has proved to take links.
//!
//! The peers through which we have joined were such. Of the others we know where they are, but a
//! link made by ICE ends at a port of its own; whether the peer is reached at the usual port too
//! shows when we try.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::bootstrap::{PORT_DEFAULT, dial};
use super::clock::Clock;
use super::transport::Credentials;
use crate::base::Instant;
use crate::crypto::Certificate;
use crate::peer::LinkId;

/// Bounds.
mod limits {
    use std::time::Duration;

    /// Addresses in the list, as RFC 6940 §11.4 suggests.
    pub(super) const ADDRESSES_MAX: usize = 10;
    /// Between two tries: nobody waits for them, and each costs two peers a handshake.
    pub(super) const PAUSE: Duration = Duration::from_secs(30);
    /// Peers that are to be tried; others come as long as links do.
    pub(super) const WAITING_MAX: usize = 16;
    /// Peers tried in the life of a node: most are behind a NAT and will not answer.
    pub(super) const TRIED_MAX: usize = 64;
}

/// Where we can join the next time.
pub(super) struct BootstrapCache {
    clock: Clock,
    port: u16,
    pause: Duration,
    /// Where links of ours lead that were opened without ICE.
    dialed: BTreeMap<LinkId, SocketAddr>,
    /// The latest first.
    addresses: VecDeque<SocketAddr>,
    has_changed: bool,
    waiting: VecDeque<(SocketAddr, Arc<Certificate>)>,
    tried: BTreeSet<(IpAddr, [u8; 32])>,
    try_at: Option<Instant>,
    credentials: Credentials,
    proofs_in: mpsc::Sender<SocketAddr>,
    proofs: mpsc::Receiver<SocketAddr>,
}

impl BootstrapCache {
    /// An empty list of a node that shows these credentials.
    pub(super) fn new(clock: Clock, credentials: Credentials) -> Self {
        Self::with_port(clock, credentials, PORT_DEFAULT)
    }

    fn with_port(clock: Clock, credentials: Credentials, port: u16) -> Self {
        let (proofs_in, proofs) = mpsc::channel(limits::ADDRESSES_MAX);
        Self {
            clock,
            port,
            pause: limits::PAUSE,
            dialed: BTreeMap::new(),
            addresses: VecDeque::new(),
            has_changed: false,
            waiting: VecDeque::new(),
            tried: BTreeSet::new(),
            try_at: None,
            credentials,
            proofs_in,
            proofs,
        }
    }

    /// A link to this address is being opened.
    pub(super) fn dialing(&mut self, link: LinkId, address: SocketAddr) {
        self.dialed.insert(link, address);
    }

    /// A link of any kind is up, and where its other end is. The address, if it takes links there.
    pub(super) fn up(
        &mut self,
        link: LinkId,
        remote: SocketAddr,
        certificate: &Arc<Certificate>,
    ) -> Option<SocketAddr> {
        if let Some(address) = self.dialed.remove(&link) {
            self.add(address);
            return Some(address);
        }
        let ip = remote.ip().to_canonical();
        let has_room = self.waiting.len() < limits::WAITING_MAX
            && self.tried.len() < limits::TRIED_MAX
            && self.addresses.len() < limits::ADDRESSES_MAX;
        if has_room && self.tried.insert((ip, certificate.fingerprint)) {
            self.waiting.push_back((SocketAddr::new(ip, self.port), certificate.clone()));
            self.try_at.get_or_insert(self.clock.now() + self.pause);
        }
        None
    }

    /// A link is gone or never was.
    pub(super) fn down(&mut self, link: LinkId) {
        self.dialed.remove(&link);
    }

    /// Waits until the list has changed; what it is then, the latest first.
    pub(super) async fn changed(&mut self) -> Vec<SocketAddr> {
        while !std::mem::take(&mut self.has_changed) {
            tokio::select! {
                Some(address) = self.proofs.recv() => self.add(address),
                () = self.clock.sleep_until(self.try_at) => self.try_next(),
            }
        }
        self.addresses.iter().copied().collect()
    }

    fn add(&mut self, address: SocketAddr) {
        let is_first = self.addresses.front() == Some(&address);
        self.addresses.retain(|known| *known != address);
        self.addresses.push_front(address);
        self.addresses.truncate(limits::ADDRESSES_MAX);
        self.has_changed |= !is_first;
    }

    /// Opens a link to the next peer at the usual port, and no other peer will do.
    fn try_next(&mut self) {
        let next = self.waiting.pop_front();
        self.try_at = next.as_ref().map(|_| self.clock.now() + self.pause);
        let Some((address, certificate)) = next else { return };
        let credentials = self.credentials.only(&certificate);
        let proofs = self.proofs_in.clone();
        tokio::spawn(async move {
            if let Ok(link) = dial(address, &credentials, None).await {
                link.close();
                let _ = proofs.send(address).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::super::bootstrap::BootstrapListener;
    use super::super::clock::unix_ms;
    use super::super::dtls::LocalCertificate;
    use super::super::dtls::tests::accept_all;
    use super::*;
    use crate::crypto::{Keys, NodeIdDigest, X509Provider};

    /// Somebody's certificate, and what to show on links with it.
    fn somebody(user: &str) -> (Arc<Certificate>, Credentials) {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        };
        let keys = Keys::self_signed(&provider, user, unix_ms(), 2).unwrap();
        let certificate = keys.identity(&provider).unwrap().certificate;
        let local = LocalCertificate {
            certificate_der: keys.certificate_der,
            private_key_pkcs8_der: keys.private_key_der,
        };
        (certificate, Credentials { local, verify: accept_all() })
    }

    async fn listener(last: u8, port: u16, credentials: &Credentials) -> BootstrapListener {
        let address = SocketAddr::from(([127, 0, 0, last], port));
        BootstrapListener::bind(address, credentials.clone(), None).await.unwrap()
    }

    /// R6940-11.4-04: in the list are a peer that was dialled and came up, and peers with links of
    /// another kind that listen themselves; not who did not come up, nor the address of a linked
    /// peer at which somebody else listens.
    #[tokio::test]
    async fn only_directly_connected_peers_are_cached() {
        let ([alice, bob, carol, dave], us) = (
            ["alice", "bob", "carol", "dave"].map(|user| somebody(&format!("{user}@example.org"))),
            somebody("us@example.org").1,
        );
        let first = listener(1, 0, &alice.1).await;
        let port = first.local_addr().port();
        let _elsewhere = listener(2, port, &bob.1).await;
        let _third = listener(3, port, &dave.1).await;
        let mut cache = BootstrapCache::with_port(Clock::start(), us, port);
        cache.pause = Duration::ZERO;
        let at = |last: u8, port: u16| SocketAddr::from(([127, 0, 0, last], port));

        cache.dialing(LinkId(0), at(9, 1));
        cache.down(LinkId(0));
        cache.dialing(LinkId(2), at(8, 2));
        cache.up(LinkId(2), at(8, 2), &bob.0);
        assert_eq!(changed(&mut cache).await, [at(8, 2)]);
        // Carol is not who listens there.
        cache.up(LinkId(4), at(2, 50_001), &carol.0);
        cache.up(LinkId(6), at(1, 50_002), &alice.0);
        assert_eq!(changed(&mut cache).await, [at(1, port), at(8, 2)]);
        cache.up(LinkId(8), at(3, 50_003), &dave.0);
        assert_eq!(changed(&mut cache).await, [at(3, port), at(1, port), at(8, 2)]);
    }

    #[tokio::test]
    async fn ten_addresses_are_remembered() {
        let (certificate, us) = somebody("us@example.org");
        let mut cache = BootstrapCache::new(Clock::start(), us);
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        for port in (1..=12).chain([5]) {
            cache.dialing(LinkId(port.into()), at(port));
            cache.up(LinkId(port.into()), at(port), &certificate);
        }
        let expected = [5, 12, 11, 10, 9, 8, 7, 6, 4, 3].map(at);
        assert_eq!(changed(&mut cache).await, expected);
    }

    async fn changed(cache: &mut BootstrapCache) -> Vec<SocketAddr> {
        timeout(Duration::from_secs(20), cache.changed()).await.expect("a change in time")
    }
}
