//! Where the web server of an overlay's name is: SRV records for `_reload-config._tcp`, or
//! without any the name itself (RFC 6940 §11.2, RFC 2782, T-75).

use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError as Refusal, NetError};
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use super::limits::{ADDRESSES_MAX, DNS_WAIT, SRV_RECORDS_MAX};
use crate::base::Rng;

/// Asks DNS.
#[derive(Clone)]
pub struct Resolver(pub(crate) TokioResolver);

/// Why DNS does not say where a server is: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DnsError {
    /// This computer does not know whom to ask.
    #[error("this computer has no DNS server to ask")]
    NoServer,
    /// DNS has no such name.
    #[error("there is no {0} in DNS")]
    NoName(String),
    /// The name is there, without an address.
    #[error("DNS has no address for {0}")]
    NoAddress(String),
    /// The owner of the name says that there is no such service (RFC 2782: a target of ".").
    #[error("{0} says in DNS that it has no server for overlay documents")]
    NotOffered(String),
    /// No usable answer.
    #[error("DNS gives no answer about {0}")]
    NoAnswer(String),
}

impl Resolver {
    /// As this system is configured.
    pub fn system() -> Result<Self, DnsError> {
        let mut builder = TokioResolver::builder_tokio().map_err(|_| DnsError::NoServer)?;
        let options = builder.options_mut();
        options.timeout = DNS_WAIT;
        options.attempts = 2;
        builder.build().map(Self).map_err(|_| DnsError::NoServer)
    }

    /// A resolver that asks this server alone.
    #[cfg(test)]
    pub(super) fn at(server: SocketAddr) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
        use hickory_resolver::net::runtime::TokioRuntimeProvider;

        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Self(builder.build().expect("a resolver"))
    }

    /// Where the server for the documents of overlay `name` may be, the preferred address first.
    pub(super) async fn config_server(&self, name: &str) -> Result<Vec<SocketAddr>, DnsError> {
        let targets = match self.services(&format!("_reload-config._tcp.{name}.")).await {
            Ok(records) => in_order(records, &mut rng()),
            Err(NetError::Dns(Refusal::NoRecordsFound(_))) => Vec::new(),
            Err(_) => return Err(DnsError::NoAnswer(name.to_owned())),
        };
        if targets.is_empty() {
            return self.addresses(name, HTTPS_PORT).await;
        }
        if targets.iter().all(|target| target.target.is_root()) {
            return Err(DnsError::NotOffered(name.to_owned()));
        }
        let mut addresses = Vec::new();
        let mut first_error = None;
        for SRV { target, port, .. } in targets.iter().filter(|t| !t.target.is_root()) {
            match self.addresses(target.to_ascii().trim_end_matches('.'), *port).await {
                Ok(found) => addresses.extend(found),
                Err(error) => first_error = first_error.or(Some(error)),
            }
            if addresses.len() >= ADDRESSES_MAX {
                break;
            }
        }
        addresses.truncate(ADDRESSES_MAX);
        match first_error {
            Some(error) if addresses.is_empty() => Err(error),
            _ => Ok(addresses),
        }
    }

    /// The addresses of a host.
    pub(super) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, DnsError> {
        // The last dot keeps the system's own domains out of it.
        let found = self.0.lookup_ip(format!("{host}.")).await;
        let found = found.map_err(|error| match error {
            error if error.is_nx_domain() => DnsError::NoName(host.to_owned()),
            error if error.is_no_records_found() => DnsError::NoAddress(host.to_owned()),
            _ => DnsError::NoAnswer(host.to_owned()),
        })?;
        let found = found.iter().map(|ip| SocketAddr::new(ip, port));
        Ok(found.take(ADDRESSES_MAX).collect())
    }

    /// The SRV records of a service.
    pub(crate) async fn services(&self, name: &str) -> Result<Vec<SRV>, NetError> {
        use hickory_resolver::proto::rr::RecordType;

        let found = self.0.lookup(name, RecordType::SRV).await?;
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(record) => Some(record.clone()),
            _ => None,
        });
        Ok(records.take(SRV_RECORDS_MAX).collect())
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Resolver")
    }
}

/// The order in which servers are tried: by priority, and by chance weighted with the weight
/// within one (RFC 2782).
pub(crate) fn in_order(mut records: Vec<SRV>, rng: &mut Rng) -> Vec<SRV> {
    // Those of weight 0 come first so that they have a small chance at all.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let priority = first.priority;
        let same = records.iter().take_while(|record| record.priority == priority);
        let total: u64 = same.clone().map(|record| u64::from(record.weight)).sum();
        let chosen = rng.below(total + 1);
        let mut sum = 0;
        let at = same.clone().position(|record| {
            sum += u64::from(record.weight);
            sum >= chosen
        });
        ordered.push(records.remove(at.unwrap_or_default()));
    }
    ordered
}

fn rng() -> Rng {
    let mut seed = [0; 32];
    // Without randomness from the system the order is the same each time, which is no harm.
    let _ = SystemRandom::new().fill(&mut seed);
    Rng::new(seed)
}

const HTTPS_PORT: u16 = 443;

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn record(priority: u16, weight: u16, port: u16) -> SRV {
        SRV::new(priority, weight, port, Name::from_ascii("www.example.test.").expect("a name"))
    }

    /// RFC 2782: a lower priority first, and within one priority a weight of three is chosen about
    /// three times as often as a weight of one.
    #[test]
    fn services_are_ordered_by_priority_and_weight() {
        let records = vec![record(20, 0, 1), record(10, 1, 2), record(10, 3, 3), record(10, 0, 4)];
        let mut rng = Rng::from_number(1);
        let mut first = [0u32; 5];
        for _ in 0..1000 {
            let ordered = in_order(records.clone(), &mut rng);
            let ports: Vec<u16> = ordered.iter().map(|record| record.port).collect();
            assert_eq!((ports.len(), ports[3]), (4, 1), "{ports:?}");
            first[usize::from(ports[0])] += 1;
        }
        // A number from 0 to 4 is drawn: 0 is the weightless one's, 1 the next one's.
        assert!((150..250).contains(&first[4]), "{first:?}");
        assert!((150..250).contains(&first[2]), "{first:?}");
        assert!((550..650).contains(&first[3]), "{first:?}");
    }
}
