//! Ports of this machine at which strangers are awaited: those of our own candidates. A relay
//! reaches them for its clients, as everybody does, and no others of its machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ports of one node; clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct OpenPorts(Arc<Mutex<BTreeMap<SocketAddr, usize>>>);

/// A port in the list, until it is dropped.
#[derive(Debug)]
pub struct OpenPort {
    ports: OpenPorts,
    address: SocketAddr,
}

impl OpenPorts {
    /// Puts a port of ours into the list.
    pub fn open(&self, address: SocketAddr) -> OpenPort {
        *self.lock().entry(address).or_default() += 1;
        OpenPort { ports: self.clone(), address }
    }

    /// Whether a port is in the list.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.lock().contains_key(&address)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenPort {
    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OpenPort {
    fn drop(&mut self) {
        let mut ports = self.ports.lock();
        if let Some(count) = ports.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                ports.remove(&self.address);
            }
        }
    }
}
