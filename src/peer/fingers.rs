//! Looking for fingers (RFC 6940 §10.5, §10.7.2, §10.7.4.2), and for better ones: who is near us in
//! time has fingers that are near us too, so we try those that our nearest peers tell us of.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{Encode, Instant, NodeId};
use crate::message::{ChordUpdateContents, Destination, Method, PingReq, RouteQueryReq};

use super::attach::{AttachPlan, Reason};
use super::requests::{Failure, Goal, Reply};
use super::timers::Timer;
use super::upkeep::Cause;
use super::{Peer, Stage};

/// What we are going to try.
#[derive(Debug, Default)]
pub(super) struct Fingers {
    /// Peers that may be better fingers, each with the linked peer that told us of it.
    heard: VecDeque<(NodeId, NodeId)>,
    /// Peers that turned out to be no better, so that they are not tried each time somebody tells
    /// of them.
    given_up: VecDeque<NodeId>,
    /// Near peers that are still to be asked in this turn.
    friends: Vec<NodeId>,
    /// The one of them that was asked last.
    asked: Option<NodeId>,
    /// Turns of asking near peers that we have taken since the last search.
    turns: u32,
    /// Whether the last of them that was asked has told of nobody worth a trial yet.
    is_asked: bool,
    /// Questions and trials that brought nothing, less those that did.
    vain: u32,
    /// When a missing finger may be searched next.
    next_search: Instant,
}

impl Peer {
    /// Attaches to fingers that the table has grown to hold, then to those that we heard of;
    /// looks for others that are missing at the pace that the configuration sets
    /// (RFC 6940 §10.7.4.2).
    pub(super) fn search_finger(&mut self) {
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        let at = match self.widen() {
            Some(pace) => self.soon(pace),
            None => self.search_missing(),
        };
        self.timers.set(Timer::Fingers, at);
    }

    /// Searches at another pace from now on: the configuration has changed.
    pub(super) fn change_search_pace(&mut self) {
        self.fingers.next_search = self.soon(self.config.ping_interval);
        self.timers.set_earlier(Timer::Fingers, self.fingers.next_search);
    }

    pub(super) fn finger_found(&mut self, outcome: Result<Reply, Failure>) {
        let Ok(reply) = outcome else { return };
        let node = reply.signed.node_id;
        if node != self.identity.node_id && !self.chord.contains(node) {
            let (route, reason) = (vec![node.into()], Reason::Finger);
            self.start_attach(AttachPlan { route, node: Some(node), first_hop: None, reason });
        }
    }

    /// Whoever is where we looked for a finger gives us no link.
    pub(super) fn finger_refused(&mut self, plan: &AttachPlan) {
        if let Some(Destination::Resource(place)) = plan.route.last() {
            self.chord.seek_elsewhere(place);
            let at = self.soon(FINGER_PACE);
            self.timers.set_earlier(Timer::Fingers, at);
        }
    }

    /// A linked peer has told us of its whole Routing Table, perhaps as we asked.
    pub(super) fn hear_of_fingers(&mut self, informant: NodeId, contents: &ChordUpdateContents) {
        let ChordUpdateContents::Full { predecessors, successors, fingers } = contents else {
            return;
        };
        let Fingers { heard, given_up, asked, .. } = &mut self.fingers;
        if asked.take_if(|asked| *asked == informant).is_none() {
            return;
        }
        for node in fingers.iter().chain(predecessors).chain(successors) {
            let is_known = heard.iter().any(|(known, _)| known == node) || given_up.contains(node);
            if heard.len() < HEARD_MAX && !is_known && self.chord.wants(*node, informant) {
                heard.push_back((*node, informant));
            }
        }
        if !self.fingers.heard.is_empty() {
            let at = self.soon(self.pace(WIDEN_PACE));
            self.timers.set_earlier(Timer::Fingers, at);
        }
    }

    /// The round trip to a linked peer has been measured: of two fingers for the same slot the
    /// slower one, if we chose it, is not needed any more.
    pub(super) fn measured(&mut self, node: NodeId, rtt: Duration) {
        self.chord.set_rtt(node, rtt);
        if !matches!(self.stage, Stage::Joined { .. }) {
            return;
        }
        let outdone = self.chord.outdone(node, |node| self.links.is_ours(node));
        if let Some(outdone) = outdone {
            let vain = self.fingers.vain;
            self.fingers.vain = if outdone == node { vain.saturating_add(1) } else { vain / 2 };
            if self.fingers.given_up.len() >= GIVEN_UP_MAX {
                self.fingers.given_up.pop_front();
            }
            self.fingers.given_up.push_back(outdone);
            self.give_up(outdone);
        }
    }

    /// Makes room for a link with a neighbour.
    pub(super) fn make_room(&mut self) {
        if self.links.needed() < self.config.links_max {
            return;
        }
        if let Some(least) = self.chord.least_needed(|node| !self.links.is_ours(node)) {
            self.give_up(least);
        }
    }

    fn give_up(&mut self, node: NodeId) {
        self.drop_peer(node, Cause::GivenUp);
        if let Some(link) = self.links.best(node) {
            self.retire(link);
        }
    }

    /// Tries one more finger, if there is one to try and room for it; how long to wait then.
    fn widen(&mut self) -> Option<Duration> {
        if self.links.needed() >= self.config.links_max {
            return None;
        }
        if let Some((resource, is_first)) = self.chord.new_finger(&mut self.rng) {
            self.start_attach(AttachPlan::to_resource(resource, Reason::Finger));
            return Some(if is_first { FINGER_PACE } else { WIDEN_PACE });
        }
        while let Some((node, informant)) = self.fingers.heard.pop_front() {
            if !self.chord.wants(node, informant) || !self.links.is_attached(informant) {
                continue;
            }
            let (route, reason) = (vec![informant.into(), node.into()], Reason::Finger);
            let plan = AttachPlan { route, node: Some(node), first_hop: None, reason };
            if self.start_attach(plan) {
                self.fingers.is_asked = false;
                return Some(self.pace(WIDEN_PACE));
            }
        }
        // What many friends told is not kept for quieter times.
        self.fingers.heard = VecDeque::new();
        self.fingers.vain += u32::from(std::mem::take(&mut self.fingers.is_asked));
        self.fingers.is_asked = self.ask_friend();
        self.fingers.is_asked.then(|| self.pace(ASK_PACE))
    }

    /// How long to wait, at least so long: the longer, the more was in vain.
    fn pace(&self, least: Duration) -> Duration {
        least * (1 << self.fingers.vain.min(VAIN_MAX))
    }

    /// Asks the next of our nearest peers for its whole Routing Table (RFC 6940 §6.4.2.4); `false`
    /// if they have been asked often enough for now.
    fn ask_friend(&mut self) -> bool {
        if self.fingers.vain >= VAIN_MAX {
            self.fingers.friends.clear();
        } else if self.fingers.friends.is_empty() && self.fingers.turns < TURNS {
            self.fingers.turns += 1;
            self.fingers.friends = self.chord.close_friends();
        }
        let Some(friend) = self.fingers.friends.pop() else { return false };
        self.fingers.asked = Some(friend);
        let query =
            RouteQueryReq { send_update: true, ..RouteQueryReq::new(self.identity.node_id.into()) };
        let body = query.to_bytes().unwrap_or_default();
        let (route, method) = (vec![friend.into()], Method::RouteQuery);
        // What counts is the Update that comes with the answer.
        let _ = self.request(route, None, method, body, &[], Goal::Friend);
        true
    }

    fn search_missing(&mut self) -> Instant {
        if self.now.instant >= self.fingers.next_search {
            if let Some(resource) = self.chord.stale_finger(&mut self.rng) {
                let body = PingReq::default().to_bytes().unwrap_or_default();
                let route = vec![resource.into()];
                // Without room for the request the next turn will do.
                let _ = self.request(route, None, Method::Ping, body, &[], Goal::Finger);
            }
            self.fingers.next_search = self.soon(self.config.ping_interval);
            self.fingers.turns = self.fingers.turns.min(TURNS - 1);
            self.fingers.vain = self.fingers.vain.min(VAIN_MAX - 1);
        }
        self.fingers.next_search
    }
}

// limits

/// Between two new fingers as long as some power of two has none.
const FINGER_PACE: Duration = Duration::from_millis(200);
/// Between two further ones: a node that stays for minutes only need not pay for them.
const WIDEN_PACE: Duration = Duration::from_secs(5);
/// Between two questions to near peers: their answers make us try some more.
const ASK_PACE: Duration = Duration::from_secs(10);
/// Whatever is in vain doubles the pauses, up to 64 times as long; then nobody is asked until the
/// next search.
const VAIN_MAX: u32 = 6;
/// How often each of them is asked at first; afterwards once for each search.
const TURNS: u32 = 4;
/// Peers remembered because they were tried and given up.
const GIVEN_UP_MAX: usize = 64;
/// Peers that we heard of and have not tried.
const HEARD_MAX: usize = 24;
