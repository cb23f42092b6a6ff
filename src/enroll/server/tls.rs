//! What the server shows in TLS: a certificate of its own authority, or one of the web's.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::ServerError;
use super::limits;
use crate::crypto::Authority;

/// Which certificate the server shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerCertificate {
    /// One that the overlay's authority issues for these host names and addresses and for the
    /// overlay's name. Who has the overlay's document believes it; the system's roots don't.
    Own {
        /// Host names beside the overlay's.
        hosts: Vec<String>,
        /// Addresses.
        addresses: Vec<IpAddr>,
    },
    /// One of a web authority, from files in PEM, which are read again from time to time.
    Files {
        /// The certificate, and behind it those that it chains to.
        certificates: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

impl ServerCertificate {
    /// The configuration with a fresh certificate. May read files.
    pub(super) fn config(
        &self,
        overlay: &str,
        authority: &Authority,
        unix_ms: u64,
    ) -> Result<Arc<ServerConfig>, ServerError> {
        let (chain, key) = match self {
            Self::Own { hosts, addresses } => {
                let mut names = vec![overlay];
                names.extend(hosts.iter().map(String::as_str).filter(|host| *host != overlay));
                let validity = unix_ms.saturating_sub(limits::BACKDATED_MS)
                    ..unix_ms + limits::SERVER_CERTIFICATE_MS;
                let keys = authority
                    .issue_server(&names, addresses, validity)
                    .map_err(|error| ServerError::Certificate(error.to_string()))?;
                let key = PrivatePkcs8KeyDer::from(keys.private_key_der);
                (vec![CertificateDer::from(keys.certificate_der)], PrivateKeyDer::from(key))
            }
            Self::Files { certificates, key } => {
                let unreadable = |path: &PathBuf, error: rustls::pki_types::pem::Error| {
                    ServerError::Certificate(format!("{}: {error}", path.display()))
                };
                let chain = CertificateDer::pem_file_iter(certificates)
                    .and_then(Iterator::collect)
                    .map_err(|error| unreadable(certificates, error))?;
                let key_der = PrivateKeyDer::from_pem_file(key);
                (chain, key_der.map_err(|error| unreadable(key, error))?)
            }
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| ServerError::Certificate(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
