//! Links that acknowledge nothing (RFC 6940 §6.6): they leave the Routing Table at once, as their
//! timeouts are far longer than routing can wait, and come back to it if they come back to life.

use super::api::LinkId;
use super::links::Rank;
use super::upkeep::Cause;
use super::{Peer, Stage};

/// What a link was before it fell silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    /// Whether the other side was in the Routing Table.
    was_peer: bool,
}

impl Peer {
    /// The other side of a link acknowledges nothing: it is as good as gone, but the link stays.
    pub(super) fn link_suspect(&mut self, link: LinkId) {
        let Some(open) = self.links.open(link) else { return };
        if open.rank == Rank::Bootstrap && open.is_ours {
            // It serves nothing but joining, which goes on elsewhere.
            return self.close(link);
        }
        let doubt = Doubt { was_peer: self.chord.contains(open.node) };
        if let Some(node) = self.links.suspend(link, doubt) {
            self.node_lost(node, Cause::Failed);
        }
    }

    /// The other side of a suspect link acknowledges again.
    pub(super) fn link_restored(&mut self, link: LinkId) {
        if self.links.open(link).is_none_or(|open| open.doubt.is_none()) {
            return;
        }
        let Some((node, doubt)) = self.links.resume(link) else {
            // Another link with it has been made meanwhile.
            return self.close(link);
        };
        self.unreachable.remove(&node);
        if !doubt.was_peer || !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        let start = self.chord.range_start();
        let change = self.chord.insert(node);
        self.ring_changed(change, Cause::Arrived);
        if change.neighbors {
            self.range_shed(start, node);
        }
        // It may have missed what has changed since, or have given us up as well.
        self.send_update(node);
    }
}
