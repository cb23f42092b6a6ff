//! A peer is there for those who want to join: it hands out the overlay's document, tells the
//! network around that it is in the overlay, and has a link to invite with.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::account::{Account, AccountId};
use super::engine::Engine;
use super::enter::reachable_address;
use crate::base::NodeId;
use crate::config::{BootstrapAddress, SignedConfig};
use crate::enroll::{Invitation, Lan, Share};
use crate::link::unix_ms;

/// What keeps a presence up to date; without it it ends.
pub(super) type Presence = watch::Sender<Shown>;

/// What others see of us.
#[derive(Clone)]
pub(super) struct Shown {
    /// The document that we hand out.
    pub(super) document: Arc<SignedConfig>,
    /// Where we tell that we are there, if we do.
    lan: Option<Lan>,
}

impl Engine {
    /// Begins to be there, once we are a peer.
    pub(super) fn be_present(&mut self, id: AccountId) {
        let lan = self.lan().and_then(Result::ok);
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        let (overlay, link) = (account.overlay().to_owned(), invitation(account));
        if account.presence.is_none() {
            let document = account.document.clone();
            let (presence, shown) = watch::channel(Shown { document, lan });
            account.presence = Some(presence);
            let (node_id, listen) = (account.node.node_id(), account.node.listen());
            // The node has the port; who asks for a document there is handed on to us.
            let document = account.document.clone();
            let share = Share::on(account.node.plain_connections(), listen, &document);
            account.tasks.spawn(stay(node_id, share, shown));
        }
        self.snapshot.invitations.insert(overlay, link);
    }

    /// Shows ourselves on the network around, or hides, as the settings have it now.
    pub(super) fn show_or_hide(&mut self) {
        let lan = self.lan().and_then(Result::ok);
        let presences = self.accounts.running.values().filter_map(|a| a.presence.as_ref());
        presences.for_each(|presence| presence.send_modify(|shown| shown.lan = lan.clone()));
        self.watch_lan();
    }
}

/// Hands out the newest document and tells of it, for as long as we are in the overlay.
async fn stay(node_id: NodeId, share: Share, mut presence: watch::Receiver<Shown>) {
    let listen = share.address();
    loop {
        let Shown { document, lan } = presence.borrow_and_update().clone();
        let lan = lan.filter(|_| !listen.ip().is_loopback());
        share.replace(&document);
        let config = &document.config;
        let tell =
            |lan: &Lan| lan.advertise(&config.instance_name, config.sequence, node_id, listen);
        let _advertisement = lan.as_ref().and_then(|lan| tell(lan).ok());
        if presence.changed().await.is_err() {
            return;
        }
    }
}

/// A link that invites to the overlay, through us and through its bootstrap nodes.
fn invitation(account: &Account) -> String {
    let document = &account.document;
    let listen = account.node.listen();
    let mut addresses = vec![SocketAddr::new(reachable_address(listen).ip(), listen.port())];
    for node in &document.config.bootstrap_nodes {
        let BootstrapAddress::Ip(ip) = node.address else { continue };
        let address = SocketAddr::new(ip, node.port);
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.retain(|address| !address.ip().is_unspecified());
    Invitation::new(document, addresses, unix_ms()).to_string()
}
