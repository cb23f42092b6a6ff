//! Server-reflexive candidates (RFC 8445 §5.1.1.2): what STUN servers see of our sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::candidate::{Candidate, CandidateKind};
use super::ice::limits::{GATHER, STUN_LATE, STUN_RETRANSMISSIONS_MS, STUN_SERVERS_MAX};
use super::stun::BindingQuery;

/// Host candidates and their sockets.
pub(super) type Hosts = Vec<(Candidate, Arc<UdpSocket>)>;

/// Asks every server from every host candidate's socket, all at once.
///
/// Nobody else reads these sockets yet, so the answers are ours. Also
/// says how many servers have answered at a socket at least, among those that had any answer, be
/// it with an address that we know.
pub(super) async fn reflexive(hosts: &Hosts, servers: &[SocketAddr]) -> (Vec<Candidate>, usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for (index, (host, socket)) in hosts.iter().enumerate() {
        let reachable = |server: &&SocketAddr| {
            server.is_ipv4() == host.addr.is_ipv4()
                && server.ip().is_loopback() == host.addr.ip().is_loopback()
        };
        let servers: Vec<_> =
            servers.iter().filter(reachable).take(STUN_SERVERS_MAX).copied().collect();
        if !servers.is_empty() {
            let (host, socket) = (host.clone(), socket.clone());
            tasks.spawn(async move { (index, host.addr, ask(&socket, &servers, STUN_LATE).await) });
        }
    }
    let mut found = Vec::new();
    let mut answers = Vec::new();
    while let Some(result) = tasks.join_next().await {
        let Ok((index, base, mapped)) = result else { continue };
        answers.push(mapped.len());
        for (server, addr) in mapped {
            found.push((index, server, base, addr));
        }
    }
    found.sort();
    let mut candidates: Vec<Candidate> = Vec::new();
    for (index, server, base, addr) in found {
        let known = |candidate: &Candidate| candidate.addr == addr;
        // RFC 8445 §5.1.3: one that equals its base, or another, is redundant.
        if hosts.iter().any(|(host, _)| host.addr == addr) || candidates.iter().any(known) {
            continue;
        }
        let foundation = format!("s{}x{server}", index + 1);
        let preference = u16::MAX - (index * STUN_SERVERS_MAX + server) as u16;
        let kind = CandidateKind::ServerReflexive;
        candidates.push(Candidate::new(kind, addr, Some(base), foundation, preference));
    }
    (candidates, answers.into_iter().filter(|count| *count > 0).min().unwrap_or(0))
}

/// Which address each server sees, with the server's place in the list. Once one has answered the
/// others have until `late`.
pub(super) async fn ask(
    socket: &UdpSocket,
    servers: &[SocketAddr],
    late: Duration,
) -> Vec<(usize, SocketAddr)> {
    let mut open: Vec<_> = servers
        .iter()
        .enumerate()
        .filter_map(|(index, server)| Some((index, *server, BindingQuery::new()?)))
        .collect();
    let mut answers = Vec::new();
    let start = Instant::now();
    let mut end = start + GATHER;
    let mut sends = STUN_RETRANSMISSIONS_MS.iter().map(|ms| start + Duration::from_millis(*ms));
    let mut next_send = sends.next();
    let mut buffer = vec![0; 1500];
    while !open.is_empty() {
        let wake = next_send.unwrap_or(end).min(end);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(wake) => {
                if wake >= end {
                    break;
                }
                for (_, server, query) in &open {
                    let _ = socket.send_to(&query.request, *server).await;
                }
                next_send = sends.next();
            }
            received = socket.recv_from(&mut buffer) => {
                let Ok((length, source)) = received else { break };
                let answer = open.iter().enumerate().find_map(|(position, (index, server, query))| {
                    let mapped = query.mapped_address(&buffer[..length])?;
                    (source == *server).then_some((position, *index, mapped))
                });
                if let Some((position, index, mapped)) = answer {
                    open.remove(position);
                    answers.push((index, mapped));
                    end = end.min(Instant::now() + late);
                }
            }
        }
    }
    answers
}
