//! Whether this machine has moved to another network, or has slept: links that were made before
//! lead nowhere then, though nothing on them says so for a while.
//!
//! Both are looked for once a second, or, where the system tells of its interfaces, more seldom and
//! whenever it does. Of sleep none tells in a way that a process which was merely stopped would
//! hear of.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use webrtc_util::vnet::net::Net;

use super::clock::{Clock, unix_ms};
use super::interfaces::Interfaces;
use crate::base::Instant;

/// What has happened to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// Its addresses have changed, and these are gone. What comes from one of them goes nowhere,
    /// even if another network has given us the same one.
    Addresses(BTreeSet<IpAddr>),
    /// It has slept, or the process was stopped, for so long that others take it for gone.
    Slept,
}

/// Looks for moves.
pub(super) struct Moving {
    clock: Clock,
    interfaces: Interfaces,
    look_at: Instant,
    addresses: Addresses,
    looked_unix_ms: u64,
}

/// The addresses of each interface, by its name.
type Addresses = BTreeSet<(String, IpAddr)>;

impl Moving {
    /// Looks from now on.
    pub(super) async fn watch() -> Self {
        let (clock, interfaces) = (Clock::start(), Interfaces::listen());
        let (look_at, looked_unix_ms) = (clock.now(), unix_ms());
        Self { clock, interfaces, look_at, addresses: addresses().await, looked_unix_ms }
    }

    /// Waits for the next move. Nothing is lost when the future is dropped.
    pub(super) async fn moved(&mut self) -> Moved {
        loop {
            tokio::select! {
                () = self.clock.sleep_until(Some(self.look_at)) => {}
                () = self.interfaces.changed() => {
                    // One change seldom comes alone.
                    self.look_at = self.look_at.min(self.clock.now() + CHANGING);
                    continue;
                }
            }
            let addresses = addresses().await;
            self.look_at = self.next_look();
            if let Some(moved) = self.found(addresses, unix_ms()) {
                return moved;
            }
        }
    }

    fn next_look(&self) -> Instant {
        match self.interfaces.are_told() {
            true => self.clock.tick_after(self.clock.now()),
            false => self.clock.now() + LOOK,
        }
    }

    fn found(&mut self, addresses: Addresses, unix_ms: u64) -> Option<Moved> {
        let before = std::mem::replace(&mut self.addresses, addresses);
        let looked_unix_ms = std::mem::replace(&mut self.looked_unix_ms, unix_ms);
        // The wall clock goes on whether the machine sleeps or the process is stopped.
        if unix_ms.saturating_sub(looked_unix_ms) >= SLEEP.as_millis() as u64 {
            return Some(Moved::Slept);
        }
        let gone = before.difference(&self.addresses).map(|(_, address)| *address).collect();
        (before != self.addresses).then_some(Moved::Addresses(gone))
    }
}

/// All addresses of this machine.
async fn addresses() -> Addresses {
    let mut addresses = Addresses::new();
    for interface in Net::new(None).get_interfaces().await {
        let of_it = interface.addrs().iter().map(|net| net.addr());
        addresses.extend(of_it.map(|address| (interface.name().to_owned(), address)));
    }
    addresses
}

/// Between two looks if nobody tells: a fifth of what a call may be silent for.
const LOOK: Duration = Duration::from_secs(1);
/// From the news of a change to the look.
const CHANGING: Duration = Duration::from_millis(500);
/// Whoever sends something to us gives our link up after less (RFC 6940 §6.6.3.1: 15.5 s from the
/// first transmission to the end of the fifth), and no look is ever late by as much.
const SLEEP: Duration = Duration::from_secs(12);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(addresses: &[(&str, &str)]) -> Addresses {
        let parsed = addresses.iter().map(|(name, ip)| ((*name).to_owned(), ip.parse().unwrap()));
        parsed.collect()
    }

    #[tokio::test]
    async fn other_addresses_and_a_gap_in_time_are_moves() {
        let mut moving = Moving::watch().await;
        let home = set(&[("lo", "127.0.0.1"), ("eth0", "192.168.1.2")]);
        // Another network often gives the same address.
        let cafe = set(&[("lo", "127.0.0.1"), ("wlan0", "192.168.1.2")]);
        let both = home.union(&cafe).cloned().collect::<Addresses>();
        let gone = |addresses: &[&str]| {
            Some(Moved::Addresses(addresses.iter().map(|ip| ip.parse().unwrap()).collect()))
        };
        (moving.addresses, moving.looked_unix_ms) = (home.clone(), 1_000_000);
        assert_eq!(moving.found(home.clone(), 1_001_000), None);
        assert_eq!(moving.found(cafe.clone(), 1_002_000), gone(&["192.168.1.2"]));
        assert_eq!(moving.found(cafe.clone(), 1_003_000), None);
        assert_eq!(moving.found(both, 1_004_000), gone(&[]));
        assert_eq!(moving.found(cafe.clone(), 1_005_000), gone(&["192.168.1.2"]));
        // Busy machines are late, and clocks are set back.
        assert_eq!(moving.found(cafe.clone(), 1_012_000), None);
        assert_eq!(moving.found(cafe.clone(), 1_004_000), None);
        assert_eq!(moving.found(home.clone(), 1_604_000), Some(Moved::Slept));
        assert_eq!(moving.found(home, 1_605_000), None, "the addresses are known");
    }
}
