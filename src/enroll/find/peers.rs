//! Documents that peers hand out: those that an invitation names, and those on the same network.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::search::{Brought, Reporter};
use super::{Query, RoadFailure, RoadState};
use crate::config::SignedConfig;
use crate::enroll::document::{self, DocumentError};
use crate::enroll::lan::LanPeer;
use crate::enroll::share;

/// The document of one of the peers that the invitation names.
pub(super) async fn invited(query: &Query, news: &Reporter) -> Result<Brought, RoadFailure> {
    let invitation = query.invitation.as_ref().ok_or(RoadFailure::NoAddress)?;
    first_of(query, &invitation.addresses, news).await
}

/// The document of one of the peers that are known.
pub(super) async fn known(query: &Query, news: &Reporter) -> Result<Brought, RoadFailure> {
    let peers = &query.peers[..query.peers.len().min(PEERS_ASKED_MAX)];
    first_of(query, peers, news).await
}

async fn first_of(
    query: &Query,
    addresses: &[SocketAddr],
    news: &Reporter,
) -> Result<Brought, RoadFailure> {
    let mut asked = JoinSet::new();
    for address in addresses {
        news.tell(RoadState::AskingPeer(*address));
        ask(&mut asked, *address);
    }
    let mut failure = None;
    while let Some(answer) = asked.join_next().await {
        let Ok((from, answer)) = answer else { continue };
        match judge(query, from, answer) {
            Ok(brought) => return Ok(brought),
            Err(error) => failure = worse(failure, error),
        }
    }
    Err(failure.unwrap_or(RoadFailure::NoAddress))
}

/// The document of a peer on the same network. All that are seen are hints, whatever becomes of
/// the document.
pub(super) async fn on_lan(query: &Query, news: &Reporter) -> Result<Brought, RoadFailure> {
    let Some(lan) = &query.lan else { return Err(RoadFailure::NobodyHere) };
    news.tell(RoadState::Searching);
    let mut peers = lan.as_ref().map_err(Clone::clone)?.clone();
    let mut known: Vec<SocketAddr> = Vec::new();
    let mut asked = JoinSet::new();
    let mut failure = None;
    let end = Instant::now() + if query.kept.is_some() { LAN_WAIT_KEPT } else { LAN_WAIT };
    loop {
        let fresh = new_peers(query, &peers.borrow_and_update(), &known);
        news.hint(&fresh);
        for address in fresh {
            known.push(address);
            if known.len() <= LAN_ASKED_MAX {
                news.tell(RoadState::AskingPeer(address));
                ask(&mut asked, address);
            }
        }
        tokio::select! {
            Some(answer) = asked.join_next() => {
                let Ok((from, answer)) = answer else { continue };
                match judge(query, from, answer) {
                    Ok(brought) => return Ok(brought),
                    Err(error) => failure = worse(failure, error),
                }
            }
            Ok(()) = peers.changed() => {}
            // Who was asked in time may answer.
            () = sleep_until(end), if asked.is_empty() => {
                return Err(failure.unwrap_or(RoadFailure::NobodyHere));
            }
        }
    }
}

fn new_peers(query: &Query, peers: &[LanPeer], known: &[SocketAddr]) -> Vec<SocketAddr> {
    let ours = peers.iter().filter(|peer| peer.overlay.matches(&query.overlay));
    let addresses = ours.flat_map(|peer| peer.addresses.iter().copied());
    addresses.filter(|address| !known.contains(address)).collect()
}

/// What a peer handed out.
type Handed = Result<bytes::Bytes, share::PeerError>;

fn ask(asked: &mut JoinSet<(SocketAddr, Handed)>, address: SocketAddr) {
    asked.spawn(async move { (address, share::fetch(address).await) });
}

/// What the document of a peer is worth.
fn judge(query: &Query, from: SocketAddr, handed: Handed) -> Result<Brought, RoadFailure> {
    let document = document::read(&handed?, &query.overlay, query.unix_ms)?;
    let is_proved = is_proved(query, &document)?;
    Ok(Brought { document, is_proved, from: Some(from) })
}

fn is_proved(query: &Query, document: &SignedConfig) -> Result<bool, DocumentError> {
    match (&query.invitation, &query.kept) {
        (Some(invitation), _) if !invitation.is_for(document, query.unix_ms) => {
            Err(DocumentError::NotInvited)
        }
        (Some(_), _) => document::not_older(document, query.proved()).map(|()| true),
        (None, Some(kept)) => {
            document::follows(document, kept, query.unix_ms).map(|()| query.is_kept_proved)
        }
        (None, None) => Ok(false),
    }
}

/// The failure that says more: what a peer hands out before what it does not.
fn worse(before: Option<RoadFailure>, now: RoadFailure) -> Option<RoadFailure> {
    match before {
        Some(before @ RoadFailure::Document(_)) => Some(before),
        _ => Some(now),
    }
}

// limits

/// How long peers on the same network are waited for: they answer within a fraction of a second
/// (RFC 6762 §6), and the question is repeated after one and two seconds.
const LAN_WAIT: Duration = Duration::from_secs(5);
/// The same where a document is kept: shorter than that one waits.
const LAN_WAIT_KEPT: Duration = Duration::from_millis(2500);
/// Peers on the same network that are asked for the document; more of them know nothing else.
const LAN_ASKED_MAX: usize = 8;
/// The same for peers that were linked with us.
const PEERS_ASKED_MAX: usize = 10;
