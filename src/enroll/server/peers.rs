//! Peers that the server's own peer has been linked with (RFC 6940 §11.4): where it looks for the
//! ring of its overlay when it comes back, for that went on without it.

use std::net::SocketAddr;

use super::error::RegistryError;
use super::limits;
use super::registry::{Registry, begin};

impl Registry {
    /// Remembers these addresses, the best first, in the place of those before.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn remember_peers(&mut self, addresses: &[SocketAddr]) -> Result<(), RegistryError> {
        let remembered = begin(&mut self.connection)?;
        remembered.execute("DELETE FROM peers", [])?;
        for address in addresses.iter().take(limits::PEERS_MAX) {
            let insert = "INSERT OR IGNORE INTO peers (address) VALUES (?1)";
            remembered.execute(insert, [address.to_string()])?;
        }
        Ok(remembered.commit()?)
    }

    /// The remembered addresses, the best first.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn peers(&self) -> Result<Vec<SocketAddr>, RegistryError> {
        let mut statement = self.connection.prepare("SELECT address FROM peers ORDER BY id")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let parsed = rows.map(|row| row.map(|text| text.parse().ok()));
        Ok(parsed.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }
}
