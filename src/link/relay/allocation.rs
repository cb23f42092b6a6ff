//! What a relay keeps for one client (RFC 8656 §3): a relayed address, who may be reached through
//! it, and the channels to them.

use std::net::{IpAddr, SocketAddr};

use super::limits::{CHANNEL_LIFETIME, CHANNELS_MAX, PERMISSION_LIFETIME, PERMISSIONS_MAX};
use super::message::Refusal;
use crate::base::{Instant, NodeId};

/// A relayed address and its socket.
#[derive(Debug)]
pub(super) struct Allocation<S> {
    pub(super) user: NodeId,
    pub(super) relayed: SocketAddr,
    pub(super) socket: S,
    pub(super) until: Instant,
    /// The transaction that made it and its answer, which is given again to a retransmission.
    pub(super) made_by: [u8; 12],
    pub(super) answer: Vec<u8>,
    /// Few, and looked up with each datagram: a list is faster than a table.
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<Channel>,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    until: Instant,
}

impl<S> Allocation<S> {
    pub(super) fn new(
        user: NodeId,
        (relayed, socket): (SocketAddr, S),
        until: Instant,
        (made_by, answer): ([u8; 12], Vec<u8>),
    ) -> Self {
        let (permissions, channels) = (Vec::new(), Vec::new());
        Self { user, relayed, socket, until, made_by, answer, permissions, channels }
    }

    /// Installs or refreshes a permission (RFC 8656 §9).
    pub(super) fn permit(&mut self, now: Instant, peer: IpAddr) -> Result<(), Refusal> {
        self.permissions.retain(|(_, until)| *until > now);
        let (until, is_full) =
            (now + PERMISSION_LIFETIME, self.permissions.len() >= PERMISSIONS_MAX);
        match self.permissions.iter_mut().find(|(ip, _)| *ip == peer) {
            Some((_, known)) => *known = until,
            None if is_full => return Err(Refusal::CAPACITY),
            None => self.permissions.push((peer, until)),
        }
        Ok(())
    }

    /// Binds or refreshes a channel and with it the permission (RFC 8656 §12.2).
    pub(super) fn bind(
        &mut self,
        now: Instant,
        number: u16,
        peer: SocketAddr,
    ) -> Result<(), Refusal> {
        self.channels.retain(|channel| channel.until > now);
        let (until, is_full) = (now + CHANNEL_LIFETIME, self.channels.len() >= CHANNELS_MAX);
        let is_same = |channel: &Channel| (channel.number == number, channel.peer == peer);
        let known = self.channels.iter_mut().find(|channel| is_same(channel) != (false, false));
        match known {
            Some(channel) if is_same(channel) == (true, true) => channel.until = until,
            // The number is another peer's, or the peer has another number.
            Some(_) => return Err(Refusal::BAD_REQUEST),
            None if is_full => return Err(Refusal::CAPACITY),
            None => self.channels.push(Channel { number, peer, until }),
        }
        self.permit(now, peer.ip())
    }

    pub(super) fn permits(&self, now: Instant, peer: IpAddr) -> bool {
        self.permissions.iter().any(|(ip, until)| *ip == peer && *until > now)
    }

    pub(super) fn peer_of(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        let found = self.channels.iter().find(|channel| channel.number == number);
        found.filter(|channel| channel.until > now).map(|channel| channel.peer)
    }

    pub(super) fn channel_of(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let found = self.channels.iter().find(|channel| channel.peer == peer);
        found.filter(|channel| channel.until > now).map(|channel| channel.number)
    }
}
