//! Looking for fingers (RFC 6940 §10.5, §10.7.4.2).

use std::time::Duration;

use crate::base::Encode;
use crate::message::{Method, PingReq};

use super::attach::{AttachPlan, Reason};
use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;
use super::{Peer, Stage};

impl Peer {
    /// Attaches to fingers that the table has grown to hold; looks for others that are missing
    /// at the pace that the configuration sets (RFC 6940 §10.7.4.2).
    pub(super) fn search_finger(&mut self) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        if let Some((resource, is_first)) = self.chord.new_finger() {
            self.start_attach(AttachPlan::to_resource(resource, Reason::Finger));
            let at = self.soon(if is_first { FINGER_PACE } else { WIDEN_PACE });
            return self.timers.set(Timer::Fingers, at);
        }
        if self.now.instant >= self.next_finger_search {
            if let Some(resource) = self.chord.stale_finger(&mut self.rng) {
                let body = PingReq::default().to_bytes().unwrap_or_default();
                let route = vec![resource.into()];
                // Without room for the request the next turn will do.
                let _ = self.request(route, None, Method::Ping, body, &[], Goal::Finger);
            }
            self.next_finger_search = self.soon(self.config.ping_interval);
        }
        self.timers.set(Timer::Fingers, self.next_finger_search);
    }

    pub(super) fn finger_found(&mut self, outcome: Result<Reply, Failure>) {
        let Ok(reply) = outcome else { return };
        let node = reply.signed.node_id;
        if node != self.identity.node_id && !self.chord.contains(node) {
            let (route, reason) = (vec![node.into()], Reason::Finger);
            self.start_attach(AttachPlan { route, node: Some(node), first_hop: None, reason });
        }
    }
}

// limits

/// Between two new fingers as long as some power of two has none.
const FINGER_PACE: Duration = Duration::from_millis(200);
/// Between two further ones: a node that stays for minutes only need not pay for them.
const WIDEN_PACE: Duration = Duration::from_secs(5);
