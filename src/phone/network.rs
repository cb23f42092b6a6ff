//! What is known of the network in each overlay: whether others reach us there, what is lent, and
//! our links.

use serde::Serialize;

use super::account::AccountId;
use super::engine::Engine;
use crate::link::{LinkFacts, PortMapping, Reach};

/// What is known of the network in one overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkFacts {
    /// Whether others reach us at our port.
    pub reach: Reach,
    /// What the router has opened for us.
    pub router: PortMapping,
    /// How many relayed addresses others have of us now; `None` while no relay is lent.
    pub lent: Option<usize>,
    /// How many relays of others stand ready for us.
    pub relays: usize,
    /// Our links to other peers, the oldest first.
    pub links: Vec<LinkFacts>,
}

impl Engine {
    /// Brings up to date what is shown of the network in an overlay.
    pub(super) fn look_at_network(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get(id) else { return };
        let node = &account.node;
        let facts = NetworkFacts {
            reach: *node.reach().borrow(),
            router: node.port_mapping().borrow().clone(),
            lent: node.lent(),
            relays: node.relays().len(),
            links: node.links(),
        };
        self.snapshot.networks.insert(account.overlay().to_owned(), facts);
    }

    /// The same for all overlays, and for the running call: what changes too often to be told at
    /// each change is looked at for as long as a face shows it.
    pub(super) fn look_at_networks(&mut self) {
        self.trace_running(self.clock.now());
        let ids: Vec<_> = self.accounts.running.keys().copied().collect();
        for id in ids {
            self.look_at_network(id);
        }
    }

    /// Asks routers to open ports from now on, or has closed what they have opened, as the settings
    /// say.
    pub(super) fn open_ports_anew(&self) {
        for account in self.accounts.running.values() {
            account.node.open_ports(!self.settings.router_left_alone);
        }
    }

    /// Lends what the settings say from now on.
    pub(super) fn lend_anew(&self) {
        let lend = self.settings.relay.options().lend;
        for account in self.accounts.running.values() {
            account.node.lend(lend);
        }
    }
}
