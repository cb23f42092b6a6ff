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
pub(super) type Presence = watch::Sender<Arc<SignedConfig>>;

impl Engine {
    /// Begins to be there, once we are a peer.
    pub(super) fn be_present(&mut self, id: AccountId) {
        let lan = self.lan().and_then(Result::ok);
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        let (overlay, link) = (account.overlay().to_owned(), invitation(account));
        if account.presence.is_none() {
            let (presence, documents) = watch::channel(account.document.clone());
            account.presence = Some(presence);
            let (node_id, listen) = (account.node.node_id(), account.node.listen());
            // The node has the port; who asks for a document there is handed on to us.
            let document = account.document.clone();
            let share = Share::on(account.node.plain_connections(), listen, &document);
            account.tasks.spawn(stay(lan, node_id, share, documents));
        }
        self.snapshot.invitations.insert(overlay, link);
    }
}

/// Hands out the newest document and tells of it, for as long as we are in the overlay.
async fn stay(
    lan: Option<Lan>,
    node_id: NodeId,
    share: Share,
    mut documents: watch::Receiver<Arc<SignedConfig>>,
) {
    let listen = share.address();
    let lan = lan.filter(|_| !listen.ip().is_loopback());
    loop {
        let document = documents.borrow_and_update().clone();
        share.replace(&document);
        let config = &document.config;
        let tell =
            |lan: &Lan| lan.advertise(&config.instance_name, config.sequence, node_id, listen);
        let _advertisement = lan.as_ref().and_then(|lan| tell(lan).ok());
        if documents.changed().await.is_err() {
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
