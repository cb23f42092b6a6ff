//! Where the server of an account is: NAPTR records say how it may be reached, SRV records where,
//! and without any the name itself does (RFC 3263 §4).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use hickory_resolver::proto::rr::rdata::NAPTR;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::net::lookup_host;

use super::settings::{SipAccount, SipTransport};
use super::wire::Wire;
use crate::base::Rng;
use crate::enroll::{Resolver, in_order};
use crate::link::os_seed;

/// One way to reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) transport: SipTransport,
    pub(super) address: SocketAddr,
}

/// The servers of an account, one after the other (RFC 3263 §4.3).
#[derive(Debug)]
pub(super) struct Servers {
    account: SipAccount,
    left: VecDeque<Target>,
}

impl Servers {
    pub(super) fn new(account: SipAccount) -> Self {
        Self { account, left: VecDeque::new() }
    }

    /// Whether there is one that was not tried yet.
    pub(super) fn has_more(&self) -> bool {
        !self.left.is_empty()
    }

    /// Opens the way to the next that can be used; they are looked for anew once all were tried.
    pub(super) async fn open_next(&mut self) -> Result<Wire, String> {
        if self.left.is_empty() {
            self.left = targets(&self.account).await?.into();
        }
        let mut why = format!("{} says in DNS that it has no SIP server.", self.account.server);
        while let Some(target) = self.left.pop_front() {
            match Wire::open(&self.account, target).await {
                Ok(wire) => return Ok(wire),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

/// All ways to the server of an account, the best first.
async fn targets(account: &SipAccount) -> Result<Vec<Target>, String> {
    let (host, port) = account.host_and_port();
    let wanted = account.transport;
    let usual = wanted.unwrap_or_default();
    if port.is_some() || host.parse::<IpAddr>().is_ok() {
        return addresses(&host, port.unwrap_or(usual.port()), usual).await;
    }
    let mut found = Vec::new();
    for (transport, name, port) in services(&host, wanted).await {
        // One host without an address spoils nothing.
        found.extend(addresses(&name, port, transport).await.unwrap_or_default());
        if found.len() >= TARGETS_MAX {
            break;
        }
    }
    found.truncate(TARGETS_MAX);
    if found.is_empty() { addresses(&host, usual.port(), usual).await } else { Ok(found) }
}

/// The addresses of a host.
async fn addresses(host: &str, port: u16, transport: SipTransport) -> Result<Vec<Target>, String> {
    let found = lookup_host((host, port)).await;
    let found = found.map_err(|e| format!("The SIP server {host} was not found: {e}."))?;
    Ok(found.take(TARGETS_MAX).map(|address| Target { transport, address }).collect())
}

/// What DNS says of a domain's SIP service: how, where, and at which port.
async fn services(domain: &str, wanted: Option<SipTransport>) -> Vec<(SipTransport, String, u16)> {
    let Ok(resolver) = Resolver::system() else { return Vec::new() };
    let mut names = match wanted {
        Some(_) => Vec::new(),
        None => in_preference(pointers(&resolver, domain).await),
    };
    if names.is_empty() {
        // An encrypted way is tried first (RFC 3263 §4.1 leaves the choice).
        let all = [SipTransport::Tls, SipTransport::Udp, SipTransport::Tcp];
        let all = all.into_iter().filter(|transport| wanted.is_none_or(|w| w == *transport));
        names = all.map(|transport| (transport, service(transport, domain))).collect();
    }
    let mut found = Vec::new();
    for (transport, name) in names {
        let Ok(records) = resolver.services(&name).await else { continue };
        // A target of "." says that there is none (RFC 2782).
        let records = in_order(records, &mut Rng::new(os_seed())).into_iter();
        found.extend(records.filter(|record| !record.target.is_root()).map(|record| {
            let target = record.target.to_ascii().trim_end_matches('.').to_owned();
            (transport, target, record.port)
        }));
    }
    found
}

async fn pointers(resolver: &Resolver, domain: &str) -> Vec<NAPTR> {
    let Ok(found) = resolver.0.lookup(format!("{domain}."), RecordType::NAPTR).await else {
        return Vec::new();
    };
    let records = found.answers().iter().filter_map(|record| match &record.data {
        RData::NAPTR(record) => Some(record.clone()),
        _ => None,
    });
    records.take(POINTERS_MAX).collect()
}

/// The SRV names of those that we can use, in the owner's order (RFC 3403 §4.1, RFC 3263 §4.1).
fn in_preference(mut records: Vec<NAPTR>) -> Vec<(SipTransport, String)> {
    records.sort_by_key(|record| (record.order, record.preference));
    let usable = records.into_iter().filter_map(|record| {
        let service = String::from_utf8_lossy(&record.services).to_ascii_uppercase();
        let transport = match service.as_str() {
            "SIP+D2U" => SipTransport::Udp,
            "SIP+D2T" => SipTransport::Tcp,
            "SIPS+D2T" => SipTransport::Tls,
            _ => return None,
        };
        let is_to_service = record.flags.eq_ignore_ascii_case(b"s");
        is_to_service.then(|| (transport, record.replacement.to_ascii()))
    });
    usable.collect()
}

/// The SRV name of a domain's service over a transport.
fn service(transport: SipTransport, domain: &str) -> String {
    let prefix = match transport {
        SipTransport::Udp => "_sip._udp",
        SipTransport::Tcp => "_sip._tcp",
        SipTransport::Tls => "_sips._tcp",
    };
    format!("{prefix}.{domain}.")
}

// limits

/// Ways to one server that are tried.
const TARGETS_MAX: usize = 16;
/// NAPTR records that are looked at: three would do.
const POINTERS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn record(order: u16, preference: u16, flags: &str, services: &str) -> NAPTR {
        let bytes = |text: &str| text.as_bytes().into();
        let name = format!("{}.example.test.", services.to_ascii_lowercase().replace('+', "-"));
        let name = Name::from_ascii(name).expect("a name");
        NAPTR::new(order, preference, bytes(flags), bytes(services), bytes(""), name)
    }

    /// RFC 3263 §4.1: what the owner likes best comes first, and what we do not know is left out.
    #[test]
    fn the_owners_order_is_kept() {
        let records = vec![
            record(20, 1, "s", "SIP+D2U"),
            record(10, 2, "S", "sip+d2t"),
            record(10, 1, "s", "SIPS+D2T"),
            record(1, 1, "s", "SIP+D2S"),
            record(1, 1, "u", "SIP+D2U"),
        ];
        let found: Vec<SipTransport> = in_preference(records).iter().map(|found| found.0).collect();
        assert_eq!(found, [SipTransport::Tls, SipTransport::Tcp, SipTransport::Udp]);
    }
}
