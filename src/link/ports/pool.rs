//! Open ports that wait for somebody to use them. They are held meanwhile, so that no other program
//! of this machine gets one and is reached from outside unawares.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::link::candidate::{Candidate, CandidateKind};

/// Open ports for calls; clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct MappedPorts(Arc<Mutex<Vec<Slot>>>);

#[derive(Debug)]
struct Slot {
    inside: SocketAddr,
    outside: SocketAddr,
    /// Holds the port while nobody uses it.
    held: Option<UdpSocket>,
    is_lent: bool,
}

/// An open port that is to be used; dropping it gives it back.
#[derive(Debug)]
pub struct MappedPort {
    ports: MappedPorts,
    /// Our address and port.
    pub inside: SocketAddr,
    /// What others send to.
    pub outside: SocketAddr,
}

impl MappedPort {
    /// What the other side is told: server-reflexive (RFC 8445 §5.1.1.2), though it was asked for
    /// and not seen, and preferred to those that were seen, as it lets in everybody.
    pub(in crate::link) fn candidate(&self) -> Candidate {
        let (kind, base) = (CandidateKind::ServerReflexive, Some(self.inside));
        Candidate::new(kind, self.outside, base, "m1".to_owned(), u16::MAX)
    }
}

impl MappedPorts {
    /// A port that nobody uses, free to be bound.
    pub fn take(&self) -> Option<MappedPort> {
        let mut slots = self.lock();
        let slot =
            slots.iter_mut().find_map(|slot| (!slot.is_lent && slot.hold()).then_some(slot))?;
        slot.held = None;
        slot.is_lent = true;
        let (inside, outside) = (slot.inside, slot.outside);
        Some(MappedPort { ports: self.clone(), inside, outside })
    }

    /// These are open from now on, and no others. Each is held by its socket.
    pub(super) fn set(&self, open: Vec<(UdpSocket, SocketAddr, SocketAddr)>) {
        let slot =
            |(held, inside, outside)| Slot { inside, outside, held: Some(held), is_lent: false };
        *self.lock() = open.into_iter().map(slot).collect();
    }

    /// Holds what was given back.
    pub(super) fn hold(&self) {
        for slot in self.lock().iter_mut().filter(|slot| !slot.is_lent) {
            slot.hold();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        // Nothing that is done under the lock leaves a port half given.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Whether the port is ours to use. Who has used it may not have closed it yet.
    fn hold(&mut self) -> bool {
        if self.held.is_none() {
            self.held = UdpSocket::bind(self.inside).ok();
        }
        self.held.is_some()
    }
}

impl Drop for MappedPort {
    fn drop(&mut self) {
        let mut slots = self.ports.lock();
        let ours = |slot: &&mut Slot| (slot.inside, slot.outside) == (self.inside, self.outside);
        if let Some(slot) = slots.iter_mut().find(ours) {
            slot.is_lent = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A port is held until somebody takes it, lent to one at a time, and given back.
    #[test]
    fn a_port_is_lent_to_one_at_a_time() {
        let (ports, outside) = (MappedPorts::default(), "198.51.100.1:4000".parse().unwrap());
        assert!(ports.take().is_none());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let inside = socket.local_addr().unwrap();
        ports.set(vec![(socket, inside, outside)]);
        assert!(UdpSocket::bind(inside).is_err(), "it is held");
        let taken = ports.take().unwrap();
        assert_eq!((taken.inside, taken.outside), (inside, outside));
        assert!(ports.take().is_none());
        let used = UdpSocket::bind(inside).expect("whoever has taken it can bind it");
        drop(taken);
        assert!(ports.take().is_none(), "it is not closed yet");
        drop(used);
        assert!(ports.take().is_some());
        ports.hold();
        assert!(UdpSocket::bind(inside).is_err(), "it is held again");
    }
}
