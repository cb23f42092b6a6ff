//! What is so, seen from outside: who is on the ring, who holds what, and whether a loss was to
//! be expected.

use std::collections::BTreeMap;

use super::limits;
use super::world::World;
use crate::base::{Decode, Instant, NodeId, ResourceId};
use crate::message::KindId;
use crate::usage::SipRegistration;

/// The living peers that have joined, by their place.
#[derive(Debug, Default)]
pub(super) struct Ring(BTreeMap<u128, u32>);

impl Ring {
    pub(super) fn insert(&mut self, node: NodeId, peer: u32) {
        self.0.insert(node.to_u128(), peer);
    }

    pub(super) fn remove(&mut self, node: NodeId) {
        self.0.remove(&node.to_u128());
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All of them.
    pub(super) fn peers(&self) -> impl Iterator<Item = u32> {
        self.0.values().copied()
    }

    /// Who is at this place.
    pub(super) fn at(&self, place: u128) -> Option<u32> {
        self.0.get(&place).copied()
    }

    /// From this place on clockwise, once around.
    pub(super) fn from(&self, place: u128) -> impl Iterator<Item = (u128, u32)> {
        self.0.range(place..).chain(self.0.range(..place)).map(|(place, peer)| (*place, *peer))
    }

    /// From the last one before this place on anticlockwise, once around.
    pub(super) fn before(&self, place: u128) -> impl Iterator<Item = (u128, u32)> {
        let all = self.0.range(..place).rev().chain(self.0.range(place..).rev());
        all.map(|(place, peer)| (*place, *peer))
    }

    /// Whoever may hold something at this place: some peers on both sides.
    pub(super) fn near(&self, place: u128) -> impl Iterator<Item = u32> {
        let after = self.from(place).take(limits::NEAR);
        let seen = self.0.len().saturating_sub(limits::NEAR).min(limits::NEAR);
        after.chain(self.before(place).take(seen)).map(|(_, peer)| peer)
    }
}

/// A user and what has become of the registration.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    /// Where the registration is.
    pub(super) place: u128,
    /// The version that was published last; 0 if none has been.
    pub(super) version: u32,
    /// The newest version that a Store was answered for.
    pub(super) acknowledged: u32,
    /// When it was.
    pub(super) acknowledged_at: Instant,
    /// Whether the user has taken it back, or will soon.
    pub(super) is_withdrawn: bool,
    /// Whether all who held it are gone.
    pub(super) is_lost: bool,
    /// Whether a half of a partition acknowledged it.
    pub(super) is_of_partition: bool,
}

impl User {
    pub(super) fn new(place: u128) -> Self {
        Self {
            place,
            version: 0,
            acknowledged: 0,
            acknowledged_at: Instant::ORIGIN,
            is_withdrawn: false,
            is_lost: false,
            is_of_partition: false,
        }
    }

    /// Whether the registration is to be found.
    pub(super) fn is_registered(&self) -> bool {
        self.acknowledged > 0 && !self.is_withdrawn && !self.is_lost
    }
}

/// What a peer held when it went.
#[derive(Debug)]
struct Death {
    at: Instant,
    held: Vec<u32>,
    /// Of these nobody else need have had a copy: it was hostile, and the one to make copies.
    withheld: Vec<u32>,
    is_hostile: bool,
}

/// The peers that went.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    all: Vec<Death>,
    /// So many of them have been looked after.
    mourned: usize,
}

/// A registration that nobody holds any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) user: u32,
    /// Whether all who held it went within one repair interval, so that nothing could be done, or
    /// whoever was to see to it that others held it was hostile.
    pub(super) is_excused: bool,
}

impl Deaths {
    pub(super) fn add(
        &mut self,
        at: Instant,
        held: Vec<u32>,
        withheld: Vec<u32>,
        is_hostile: bool,
    ) {
        self.all.push(Death { at, held, withheld, is_hostile });
    }

    /// What of the longest gone peer that has not been looked after is nowhere else.
    pub(super) fn mourn(&mut self, world: &World, users: &[User]) -> Vec<Loss> {
        let Some(Death { at, held, .. }) = self.all.get(self.mourned) else { return Vec::new() };
        self.mourned += 1;
        let is_gone = |user: &&u32| {
            let known = &users[**user as usize];
            known.is_registered() && holders(world, **user, known.place).next().is_none()
        };
        let lost = held.iter().filter(is_gone).map(|user| {
            let acknowledged_at = users[*user as usize].acknowledged_at;
            let is_excused = self.is_excused(*user, *at, acknowledged_at, world.ring.len());
            Loss { user: *user, is_excused }
        });
        lost.collect()
    }

    /// Whether nothing could be done about a loss that the death at `at` is looked into for: so
    /// many holders went within one repair interval, or too few had it yet, or it was withheld.
    fn is_excused(&self, user: u32, at: Instant, acknowledged_at: Instant, peers: usize) -> bool {
        let (holders, last) = self.went_together(user, at);
        let is_withheld = self.all.iter().any(|death| death.withheld.contains(&user));
        let is_new = last.saturating_since(acknowledged_at) <= limits::REPAIR;
        is_withheld || is_new || holders >= COPIES.min(peers)
    }

    /// How many of those who held a user's registration went within one repair interval, the last
    /// honest one of them included, and when that one did: what hostile peers go on holding is as
    /// good as gone. Others may have gone since the one at `at`, while what it held was on its way.
    fn went_together(&self, user: u32, at: Instant) -> (usize, Instant) {
        let held = || self.all.iter().filter(|death| death.held.contains(&user));
        let honest = held().filter(|death| !death.is_hostile);
        let last = honest.map(|death| death.at).max().unwrap_or(at);
        let lately = |death: &&Death| last.saturating_since(death.at) <= limits::REPAIR;
        (held().filter(lately).count(), last)
    }
}

/// The living peers that hold a user's registration, and which version.
pub(super) fn holders(
    world: &World,
    user: u32,
    place: u128,
) -> impl Iterator<Item = (u32, u32)> + '_ {
    let resource = ResourceId::from_u128(place);
    world.ring.near(place).filter_map(move |peer| {
        let storage = world.peer(peer)?.storage();
        let mut kept = storage.kept_at(&resource, KindId::SIP_REGISTRATION);
        let owner = world.identity(user).node_id;
        let value = kept.find(|kept| kept.key() == Some(owner.as_bytes()))?;
        Some((peer, version_in(value.bytes()?)?))
    })
}

/// Which version of a registration this is; `None` if it is none of ours.
pub(super) fn version_in(registration: &[u8]) -> Option<u32> {
    match SipRegistration::from_bytes(registration).ok()? {
        SipRegistration::Route { contact_prefs, .. } => {
            let text = std::str::from_utf8(&contact_prefs).ok()?;
            text.strip_prefix(VERSION_PREFIX)?.strip_suffix(')')?.parse().ok()
        }
        _ => None,
    }
}

/// The preferences that mark a version.
pub(super) fn version_mark(version: u32) -> Vec<u8> {
    format!("{VERSION_PREFIX}{version})").into_bytes()
}

const VERSION_PREFIX: &str = "(version=";
/// The responsible peer's and two copies (RFC 6940 §10.4).
const COPIES: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// The first of three holders is looked after when the other two are gone as well.
    #[test]
    fn holders_that_went_after_the_first_count() {
        let seconds = |s: u64| Instant::from_micros(s * 1_000_000);
        let mut deaths = Deaths::default();
        for (at, held) in [(10, 1), (100, 7), (105, 2), (106, 7), (108, 7)] {
            deaths.add(seconds(at), vec![held], Vec::new(), false);
        }
        assert_eq!(deaths.went_together(7, seconds(100)), (3, seconds(108)));
        assert_eq!(deaths.went_together(1, seconds(10)), (1, seconds(10)));
        deaths.add(seconds(108 + limits::REPAIR.as_secs()), vec![7], Vec::new(), false);
        assert_eq!(deaths.went_together(7, seconds(108)).0, 2, "the first two had time enough");
    }

    /// One holder of three is no excuse, unless it was to make the copies and hostile.
    #[test]
    fn what_a_hostile_peer_withheld_is_excused() {
        let at = Instant::from_micros(1_000_000_000);
        let mut deaths = Deaths::default();
        deaths.add(at, vec![7, 8], vec![7], true);
        let is_excused = |user| deaths.is_excused(user, at, Instant::ORIGIN, 100);
        assert_eq!([7, 8].map(is_excused), [true, false]);
    }

    /// A hostile peer that sits on the last copy for long saves nobody's registration, and nobody
    /// else can: the honest holders went together.
    #[test]
    fn what_only_a_hostile_peer_still_held_was_gone_before() {
        let seconds = |s: u64| Instant::from_micros(s * 1_000_000);
        let mut deaths = Deaths::default();
        for (at, is_hostile) in [(339, false), (369, true), (770, true)] {
            deaths.add(seconds(at), vec![7], Vec::new(), is_hostile);
        }
        assert_eq!(deaths.went_together(7, seconds(770)), (3, seconds(339)));
        deaths.add(seconds(900), vec![7], Vec::new(), false);
        let (holders, last) = deaths.went_together(7, seconds(900));
        assert_eq!((holders, last), (2, seconds(900)), "an honest one had time to make copies");
    }

    #[test]
    fn the_ring_goes_around_both_ways() {
        let mut ring = Ring::default();
        for (place, peer) in [(10, 1), (20, 2), (30, 3)] {
            ring.insert(NodeId::from_u128(place), peer);
        }
        let peers = |list: &mut dyn Iterator<Item = (u128, u32)>| -> Vec<u32> {
            list.map(|(_, peer)| peer).collect()
        };
        assert_eq!(peers(&mut ring.from(20)), [2, 3, 1]);
        assert_eq!(peers(&mut ring.before(20)), [1, 3, 2]);
        let mut near: Vec<u32> = ring.near(25).collect();
        near.sort_unstable();
        assert_eq!(near, [1, 2, 3], "each once");
    }
}
