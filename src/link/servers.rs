//! Collecting STUN servers (RFC 6940 §6.5.1.4): of the peers that we have links to, one for each
//! address that we have for them. Behind one NAT all see the same; behind several in a row it
//! depends on where they are, and each such address may be the one on which a path is direct.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::bootstrap::PORT_DEFAULT;
use super::facts::{LinkFacts, LinkTable};
use super::ice::limits::GATHER;
use super::listen::bind_any;
use super::reflexive::ask;

/// Bounds and times.
mod limits {
    use std::time::Duration;

    /// Servers asked at a time, of each family.
    pub(super) const ASKED_MAX: usize = 16;
    /// Links come by twos and threads; those within this time are asked together.
    pub(super) const TOGETHER: Duration = Duration::from_millis(200);
    /// Until those are asked again that have not answered, or a NAT shows us another address.
    pub(super) const AGAIN: Duration = Duration::from_secs(600);
}

/// The servers to ask for our address, and what is known of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StunServers {
    /// One of each group.
    pub addresses: Vec<SocketAddr>,
    /// Members of the smallest group: so many at least have told one socket of ours the same.
    pub witnesses: usize,
}

impl StunServers {
    /// Servers that nobody has asked yet.
    pub fn configured(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, witnesses: 0 }
    }
}

/// What servers have told one socket of ours: under which address each has seen it.
#[derive(Debug, Default)]
struct Groups(BTreeMap<SocketAddr, SocketAddr>);

impl Groups {
    /// One server of each group: one that is `linked`, or else one that is `configured`. All of
    /// these while none has told us anything.
    fn servers(&self, linked: &BTreeSet<SocketAddr>, configured: &[SocketAddr]) -> StunServers {
        let usable = |server: &SocketAddr| linked.contains(server) || configured.contains(server);
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (server, seen) in self.0.iter().filter(|(server, _)| usable(server)) {
            groups.entry(seen).or_default().push(*server);
        }
        let Some(witnesses) = groups.values().map(Vec::len).min() else {
            return StunServers::configured(configured.to_vec());
        };
        let chosen = |group: &Vec<SocketAddr>| {
            group.iter().find(|server| linked.contains(server)).or(group.first()).copied()
        };
        StunServers { addresses: groups.values().filter_map(chosen).collect(), witnesses }
    }
}

/// What collects them.
pub(super) struct Collect {
    /// Where the list starts from.
    pub(super) configured: Vec<SocketAddr>,
    pub(super) links: watch::Receiver<LinkTable>,
    pub(super) servers: watch::Sender<StunServers>,
    /// The port at which peers take links.
    pub(super) port: u16,
}

impl Collect {
    /// Collects from the peers that there are links to, at the usual port.
    pub(super) fn start(
        configured: Vec<SocketAddr>,
        links: watch::Receiver<LinkTable>,
    ) -> watch::Receiver<StunServers> {
        let (servers, found) = watch::channel(StunServers::configured(configured.clone()));
        tokio::spawn(Self { configured, links, servers, port: PORT_DEFAULT }.run());
        found
    }

    async fn run(mut self) {
        let mut groups = Groups::default();
        let mut asked = BTreeSet::new();
        let mut ask_at = Instant::now() + limits::AGAIN;
        loop {
            tokio::select! {
                changed = self.links.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(ask_at) => {
                    asked = self.linked();
                    asked.extend(self.configured.iter().copied());
                    groups = Groups(see(&asked).await);
                    ask_at = Instant::now() + limits::AGAIN;
                }
            }
            let linked = self.linked();
            if linked.is_empty() {
                // Perhaps the machine has moved, and there is another NAT.
                (asked, groups) = Default::default();
            }
            if !linked.is_subset(&asked) {
                ask_at = ask_at.min(Instant::now() + limits::TOGETHER);
            }
            let servers = groups.servers(&linked, &self.configured);
            self.servers.send_if_modified(|known| {
                let is_new = *known != servers;
                *known = servers;
                is_new
            });
        }
    }

    /// Where the peers may take links that we have links to now.
    fn linked(&mut self) -> BTreeSet<SocketAddr> {
        let facts = self.links.borrow_and_update().facts();
        facts.iter().flat_map(|link| ports(link, self.port)).collect()
    }
}

/// Where the other end of a link may take links: at the usual port, or where we have dialled it.
fn ports(link: &LinkFacts, port: u16) -> impl Iterator<Item = SocketAddr> {
    let ip = link.remote.ip().to_canonical();
    let usual = (!link.is_relayed()).then_some(SocketAddr::new(ip, port));
    let dialed = link.pair.is_none().then_some(SocketAddr::new(ip, link.remote.port()));
    usual.into_iter().chain(dialed)
}

/// Under which address each server sees one socket of ours, for those that answer.
async fn see(servers: &BTreeSet<SocketAddr>) -> BTreeMap<SocketAddr, SocketAddr> {
    let mut seen = BTreeMap::new();
    for is_ipv4 in [true, false] {
        let family = servers.iter().filter(|server| server.is_ipv4() == is_ipv4);
        let family: Vec<_> = family.take(limits::ASKED_MAX).copied().collect();
        let Some(first) = family.first() else { continue };
        let Ok(socket) = UdpSocket::bind(bind_any(*first)).await else { continue };
        let answers = ask(&socket, &family, GATHER).await;
        seen.extend(answers.into_iter().map(|(index, mapped)| (family[index], mapped)));
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::candidate::CandidateKind;
    use super::super::ice::{IceAgent, IceOptions, IceRole};
    use super::super::stun::answer_binding;
    use super::super::tests::LOOPBACK;
    use super::*;

    /// A server that sees everybody at `address`.
    async fn server(address: &'static str) -> SocketAddr {
        let socket = Arc::new(UdpSocket::bind(LOOPBACK).await.unwrap());
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, source)) = socket.recv_from(&mut buffer).await {
                let answer = answer_binding(&buffer[..length], address.parse().unwrap()).unwrap();
                socket.send_to(&answer, source).await.unwrap();
            }
        });
        at
    }

    const OUTSIDE: &str = "203.0.113.1:4000";
    const BETWEEN: &str = "100.64.0.9:4000";

    /// R6940-6.5.1.4-01: behind two NATs there are two groups of peers; one of each is asked, and
    /// there is a server-reflexive candidate for each NAT.
    #[tokio::test]
    async fn each_nat_has_a_candidate() {
        let outside = [server(OUTSIDE).await, server(OUTSIDE).await, server(OUTSIDE).await];
        let between = [server(BETWEEN).await, server(BETWEEN).await];
        let linked: BTreeSet<_> = outside.into_iter().chain(between).collect();
        let stun = Groups(see(&linked).await).servers(&linked, &[]);
        assert_eq!((stun.addresses.len(), stun.witnesses), (2, 2), "{stun:?}");
        assert!(outside.iter().any(|server| stun.addresses.contains(server)));
        assert!(between.iter().any(|server| stun.addresses.contains(server)));

        let options = IceOptions { loopback: true, stun, ..IceOptions::default() };
        let credentials = ["ufrag", "a password of length"].map(str::to_owned);
        let [ufrag, password] = credentials;
        let agent = IceAgent::gather(IceRole::Controlling, ufrag, password, &options).await;
        let candidates = agent.unwrap().local().candidates.clone();
        let mut reflexive: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.kind == CandidateKind::ServerReflexive)
            .map(|candidate| candidate.addr.to_string())
            .collect();
        reflexive.sort();
        assert_eq!(reflexive, [BETWEEN, OUTSIDE]);
    }

    /// R6940-6.5.1.4-02: a server to which there is no link any more is replaced by another one of
    /// its group; if there is none, by one that is configured.
    #[test]
    fn who_is_gone_is_replaced() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let [first, second, third] = ["192.0.2.1:6084", "192.0.2.2:6084", "192.0.2.3:6084"].map(at);
        let configured = [at("198.51.100.1:6084")];
        let seen = [first, second, configured[0]].map(|server| (server, at(OUTSIDE)));
        let groups = Groups(seen.into_iter().chain([(third, at(BETWEEN))]).collect());
        let servers = |linked: &[SocketAddr]| {
            groups.servers(&linked.iter().copied().collect(), &configured).addresses
        };
        assert_eq!(servers(&[first, second, third]), [third, first]);
        assert_eq!(servers(&[second, third]), [third, second], "another one of the group");
        assert_eq!(servers(&[third]), [third, configured[0]], "one that the document names");
        assert_eq!(servers(&[first]), [first], "nobody of that group is left");
        let unknown = Groups::default().servers(&[first].into(), &configured);
        assert_eq!(unknown, StunServers::configured(configured.to_vec()));
    }
}
