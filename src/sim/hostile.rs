//! Hostile peers: a real peer behind a mask that tampers with what goes in and out.
//!
//! The peer behind the mask keeps to the rules, so that it stays on the ring and in others'
//! tables, where it can do harm. What a mask makes of that is one [`Behavior`], chosen by number.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::base::{NodeId, ResourceId, Rng};
use crate::crypto::Identity;
use crate::message::{
    DataValue, Destination, KindId, MessageContents, Method, Packet, Places, StoredDataValue,
};
use crate::peer::{Command, FetchSpec, LinkAction, LinkId, StoreSpec};

/// What a hostile peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behavior {
    /// Messages of others vanish.
    Drop,
    /// Messages of others go to anybody.
    Misroute,
    /// Messages of others are changed, and so are the values in our own answers; other people's
    /// registrations are overwritten.
    Forge,
    /// What has been sent is sent again and again, to anybody.
    Replay,
    /// Requests without end.
    Flood,
    /// It sits next to a victim's key and does as if it did not hear of it.
    Sit,
}

impl Behavior {
    /// The behaviour with this number; they repeat.
    pub(super) fn numbered(number: usize) -> Self {
        Self::ALL[number % Self::ALL.len()]
    }

    const ALL: [Self; 6] =
        [Self::Drop, Self::Misroute, Self::Forge, Self::Replay, Self::Flood, Self::Sit];
}

/// What stands between a hostile peer and the world.
#[derive(Debug)]
pub(super) struct Mask {
    behavior: Behavior,
    identity: Identity,
    rng: Rng,
    /// The places of registrations that it is after, and whose they are.
    victims: Vec<(ResourceId, NodeId)>,
    /// What was sent before, for replays; and where it can be sent to.
    sent: VecDeque<Bytes>,
    links: VecDeque<LinkId>,
}

impl Mask {
    /// A mask for this peer.
    pub(super) fn new(
        behavior: Behavior,
        identity: Identity,
        victims: Vec<(ResourceId, NodeId)>,
        rng: Rng,
    ) -> Self {
        let (sent, links) = (VecDeque::new(), VecDeque::new());
        Self { behavior, identity, rng, victims, sent, links }
    }

    /// Whether a message that comes does not reach the peer.
    pub(super) fn swallows(&mut self, bytes: &Bytes) -> bool {
        if self.behavior != Behavior::Sit {
            return false;
        }
        let Ok(packet) = Packet::decode(bytes, NodeId::LENGTH_DEFAULT) else { return false };
        let target = packet.header.destination_list.last();
        let is_data = packet.open(NodeId::LENGTH_DEFAULT).is_ok_and(|opened| {
            let code = opened.contents.code;
            [Method::Store, Method::Fetch].iter().any(|method| method.request() == code)
        });
        is_data && matches!(target, Some(Destination::Resource(r)) if self.is_victim(r))
    }

    /// What becomes of something that the peer wants to do on a link.
    pub(super) fn tamper(
        &mut self,
        link: LinkId,
        action: LinkAction,
    ) -> Option<(LinkId, LinkAction)> {
        let LinkAction::Send(bytes) = action else { return Some((link, action)) };
        remember(&mut self.links, link, LINKS_KNOWN);
        let Ok(packet) = Packet::decode(&bytes, NodeId::LENGTH_DEFAULT) else {
            return Some((link, LinkAction::Send(bytes)));
        };
        let is_own = self.is_own(&packet);
        match self.behavior {
            Behavior::Drop if !is_own => None,
            Behavior::Misroute if !is_own => {
                let any = self.rng.below(self.links.len() as u64) as usize;
                Some((self.links[any], LinkAction::Send(bytes)))
            }
            Behavior::Forge => {
                let forged = if is_own { self.lie(packet) } else { self.garble(packet) };
                Some((link, LinkAction::Send(forged.unwrap_or(bytes))))
            }
            Behavior::Replay => {
                remember(&mut self.sent, bytes.clone(), MESSAGES_KNOWN);
                Some((link, LinkAction::Send(bytes)))
            }
            _ => Some((link, LinkAction::Send(bytes))),
        }
    }

    /// What the peer is made to ask for, once a second.
    pub(super) fn commands(&mut self) -> Vec<Command> {
        let victim = self.victim();
        match self.behavior {
            Behavior::Forge => {
                let Some((resource, owner)) = victim else { return Vec::new() };
                let key = Bytes::copy_from_slice(owner.as_bytes());
                let value = DataValue::existing(b"ours".to_vec());
                let value = StoredDataValue::Dictionary { key, value };
                let (kind, lifetime_s) = (KindId::SIP_REGISTRATION, 3600);
                vec![Command::Publish(StoreSpec { resource, kind, value, lifetime_s })]
            }
            Behavior::Flood => {
                let fetch = |place: [u8; 16]| {
                    let resource = ResourceId::from_u128(u128::from_be_bytes(place));
                    let (kind, places) = (KindId::SIP_REGISTRATION, Places::Dictionary(Vec::new()));
                    Command::Fetch(FetchSpec { resource, kind, places })
                };
                (0..FLOOD).map(|_| fetch(self.rng.bytes())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What is sent again, once a second.
    pub(super) fn repeats(&mut self) -> Vec<(LinkId, Bytes)> {
        if self.sent.is_empty() {
            return Vec::new();
        }
        let mut repeat = || {
            let link = self.links[self.rng.below(self.links.len() as u64) as usize];
            (link, self.sent[self.rng.below(self.sent.len() as u64) as usize].clone())
        };
        (0..REPEATS).map(|_| repeat()).collect()
    }

    fn victim(&mut self) -> Option<(ResourceId, NodeId)> {
        let any = self.rng.below(self.victims.len() as u64) as usize;
        // What a user does with the own registration is no attack.
        self.victims.get(any).filter(|(_, owner)| *owner != self.identity.node_id).cloned()
    }

    fn is_victim(&self, resource: &ResourceId) -> bool {
        self.victims.iter().any(|(victim, _)| victim == resource)
    }

    /// Whether the peer itself has signed a message; parts of messages count as others'.
    fn is_own(&self, packet: &Packet) -> bool {
        packet.open(NodeId::LENGTH_DEFAULT).is_ok_and(|opened| {
            let identity = &opened.security.signature.identity;
            self.identity.certificate.named_by(identity).is_some()
        })
    }

    /// Changes a byte of a message of somebody else.
    fn garble(&mut self, mut packet: Packet) -> Option<Bytes> {
        let mut payload = packet.payload.to_vec();
        let at = self.rng.below(payload.len() as u64) as usize;
        *payload.get_mut(at)? ^= 1 << self.rng.below(8);
        packet.payload = payload.into();
        packet.encode().ok()
    }

    /// Changes a byte of a value in an answer of ours and signs the answer anew.
    fn lie(&mut self, packet: Packet) -> Option<Bytes> {
        let opened = packet.open(NodeId::LENGTH_DEFAULT).ok()?;
        if opened.contents.code != Method::Fetch.answer() {
            return None;
        }
        let mut body = opened.contents.body.to_vec();
        let at = self.rng.below(body.len() as u64) as usize;
        *body.get_mut(at)? ^= 1 << self.rng.below(8);
        let contents = MessageContents::new(opened.contents.code, body);
        let others: Vec<Bytes> =
            opened.security.certificates.iter().map(|c| c.certificate.clone()).collect();
        let sealed = Packet::seal(packet.header, &contents, &self.identity, &others).ok()?;
        sealed.encode().ok()
    }
}

/// The Node-ID right behind a victim's key.
pub(super) fn next_to(place: u128) -> NodeId {
    NodeId::from_u128(place.wrapping_add(1))
}

fn remember<T: PartialEq>(memory: &mut VecDeque<T>, item: T, most: usize) {
    if memory.contains(&item) {
        return;
    }
    if memory.len() == most {
        memory.pop_front();
    }
    memory.push_back(item);
}

// limits

/// Links that a mask remembers.
const LINKS_KNOWN: usize = 32;
/// Messages that a mask remembers for replays.
const MESSAGES_KNOWN: usize = 32;
/// Messages that are sent again each second.
const REPEATS: usize = 8;
/// Requests of a flood each second.
const FLOOD: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TransactionId;
    use crate::crypto::CheapProvider;
    use crate::message::{ForwardingHeader, Fragment};

    fn identity(number: u128) -> Identity {
        let node_id = NodeId::from_u128(number);
        CheapProvider.identity(node_id, "user@sim.example").expect("an identity")
    }

    fn message(of: &Identity, method: Method, to: Destination) -> LinkAction {
        let header = ForwardingHeader {
            overlay: 1,
            configuration_sequence: 1,
            ttl: 100,
            fragment: Fragment::WHOLE,
            transaction_id: TransactionId(7),
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: vec![to],
            options: Vec::new(),
        };
        let contents = MessageContents::new(method.request(), vec![0; 40]);
        let packet = Packet::seal(header, &contents, of, &[]).expect("short");
        LinkAction::Send(packet.encode().expect("short"))
    }

    fn sent(result: Option<(LinkId, LinkAction)>) -> Option<Bytes> {
        match result {
            Some((_, LinkAction::Send(bytes))) => Some(bytes),
            _ => None,
        }
    }

    #[test]
    fn masks_spare_what_their_peer_says_and_spoil_what_others_say() {
        let (own, other) = (identity(1), identity(2));
        let to = || Destination::from(NodeId::from_u128(9));
        for behavior in [Behavior::Drop, Behavior::Forge] {
            let mut mask = Mask::new(behavior, own.clone(), Vec::new(), Rng::from_number(1));
            for (who, is_spared) in [(&own, true), (&other, false)] {
                let LinkAction::Send(before) = message(who, Method::Ping, to()) else { panic!() };
                let after = mask.tamper(LinkId(2), LinkAction::Send(before.clone()));
                assert_eq!(sent(after) == Some(before), is_spared, "{behavior:?}");
            }
        }
    }

    #[test]
    fn who_sits_next_to_a_key_does_not_hear_of_it() {
        let victim = ResourceId::from_u128(77);
        let victims = vec![(victim.clone(), NodeId::from_u128(5))];
        let mut mask = Mask::new(Behavior::Sit, identity(1), victims, Rng::from_number(1));
        let mut swallows = |method, to| match message(&identity(2), method, to) {
            LinkAction::Send(bytes) => mask.swallows(&bytes),
            _ => panic!(),
        };
        assert!(swallows(Method::Fetch, victim.clone().into()));
        assert!(!swallows(Method::Ping, victim.into()));
        assert!(!swallows(Method::Fetch, ResourceId::from_u128(78).into()));
    }
}
