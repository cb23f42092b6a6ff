//! What an enrollment server keeps: its authority, the overlay's document, its own identity and
//! the accounts, all in one database, so that every change is one transaction and a crash leaves
//! the state before or after it. A server and the command line may have it open at the same time.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::limits;
use super::safe::{OWN_PLACE, ROOT_PLACE, RegistryFolder, seal, seal_all, unseal};
use crate::base::NodeId;
use crate::config::{
    BootstrapNode, KindDefinition, OverlayConfig, OverlayName, SignedConfig, next_sequence,
};
use crate::crypto::{
    Authority, CertificateRequest, Identity, Keys, RequestedCertificate, SealingKey, X509Provider,
};

/// An overlay's folder as its enrollment server has it open.
#[derive(Debug)]
pub struct Registry {
    pub(super) folder: RegistryFolder,
    pub(super) connection: Connection,
}

/// What a new overlay starts with.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Its name.
    pub name: OverlayName,
    /// Who may make an account.
    pub registration: Registration,
    /// Where the enrollment server and the first peer are.
    pub places: Places,
}

/// Where an overlay's own server and peer are reached, as its document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// `https:` URL of the enrollment server.
    pub enrollment_url: String,
    /// The first peer.
    pub bootstrap: BootstrapNode,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody: the first enrollment under a free name makes the account.
    Open,
    /// Who has an invitation, and those whose accounts the owner has made.
    InvitationOnly,
}

impl Registry {
    /// Opens the folder of an overlay that was founded before.
    ///
    /// # Errors
    ///
    /// Fails without an overlay in it, and for a database that cannot be used.
    pub fn open(folder: impl Into<RegistryFolder>) -> Result<Self, RegistryError> {
        let folder = folder.into();
        let path = folder.path().to_path_buf();
        if !path.join(DATABASE).exists() {
            return Err(RegistryError::NotFounded(path));
        }
        let registry = Self::connect(folder)?;
        match registry.sequence()? {
            Some(_) => Ok(registry),
            None => Err(RegistryError::NotFounded(path)),
        }
    }

    /// Founds an overlay in a folder, which is made if it does not exist: an authority, an
    /// identity for the first peer, and a document that the two make authentic.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be used or has another overlay; one of the same name is opened
    /// as it is.
    pub fn found(
        folder: impl Into<RegistryFolder>,
        foundation: &Foundation,
        unix_ms: u64,
    ) -> Result<Self, RegistryError> {
        let folder = folder.into();
        let path = folder.path();
        fs::create_dir_all(path).map_err(|error| RegistryError::file(path, &error))?;
        let mut registry = Self::connect(folder)?;
        let founded = begin(&mut registry.connection)?;
        if name(&founded)?.is_some() {
            check_name(&founded, &foundation.name)?;
        } else {
            insert_overlay(&founded, registry.folder.key(), foundation, unix_ms)?;
        }
        founded.commit()?;
        registry.export()?;
        Ok(registry)
    }

    /// Opens the folder of this overlay if it is there, or of any without a name; `None` where
    /// one of this name is to be founded.
    ///
    /// # Errors
    ///
    /// Fails for the folder of another overlay, and without a name for one without an overlay.
    pub fn open_named(
        folder: impl Into<RegistryFolder>,
        wanted: Option<&OverlayName>,
    ) -> Result<Option<Self>, RegistryError> {
        match (Self::open(folder), wanted) {
            (Err(RegistryError::NotFounded(_)), Some(_)) => Ok(None),
            (Ok(registry), Some(wanted)) => {
                check_name(&registry.connection, wanted)?;
                Ok(Some(registry))
            }
            (result, _) => result.map(Some),
        }
    }

    pub(super) fn connect(folder: RegistryFolder) -> Result<Self, RegistryError> {
        let path = folder.path().join(DATABASE);
        // SQLite gives its other files the permissions of this one: private keys are in it.
        create_private(&path).map_err(|error| RegistryError::file(&path, &error))?;
        let mut connection = Connection::open(&path)?;
        connection.busy_timeout(limits::DATABASE_WAIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.execute_batch(SCHEMA)?;
        if let Some(key) = folder.key() {
            seal_all(&mut connection, key)?;
        }
        Ok(Self { folder, connection })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that is kept, as one file, private keys as they are kept.
    ///
    /// # Errors
    ///
    /// Fails if the folder cannot be written to.
    pub fn copy(&self) -> Result<Vec<u8>, RegistryError> {
        let path = self.folder().join(COPY);
        let refused = |error| RegistryError::file(&path, &error);
        let _ = fs::remove_file(&path);
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        let copied = fs::read(&path).map_err(refused);
        fs::remove_file(&path).map_err(refused)?;
        copied
    }

    /// The authority's own certificate in DER, by which an overlay is known from others.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn root_certificate(&self) -> Result<Vec<u8>, RegistryError> {
        root_certificate(&self.connection)
    }

    /// The overlay's document, in the very bytes that are signed.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn document(&self) -> Result<SignedConfig, RegistryError> {
        document(&self.connection)
    }

    /// The sequence of the document; `None` without a document.
    pub(super) fn sequence(&self) -> Result<Option<u16>, RegistryError> {
        let query = "SELECT sequence FROM overlay";
        Ok(self.connection.query_row(query, [], |row| row.get(0)).optional()?)
    }

    /// Who may make an account.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn registration(&self) -> Result<Registration, RegistryError> {
        let query = "SELECT is_open FROM overlay";
        let is_open = self.connection.query_row(query, [], |row| row.get(0))?;
        Ok(if is_open { Registration::Open } else { Registration::InvitationOnly })
    }

    /// Changes who may make an account; accounts that exist stay.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn set_registration(&self, registration: Registration) -> Result<(), RegistryError> {
        let is_open = registration == Registration::Open;
        self.connection.execute("UPDATE overlay SET is_open = ?1", [is_open])?;
        Ok(())
    }

    /// Changes the document: the new version has the next sequence and is signed by the server's
    /// identity. Nodes whose accounts were revoked are its bad nodes, for as long as they have a
    /// certificate. Where nothing changes the document stays.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used, and for values that a document cannot hold.
    pub fn amend(
        &mut self,
        unix_ms: u64,
        change: impl FnOnce(&mut OverlayConfig),
    ) -> Result<SignedConfig, RegistryError> {
        let amended = begin(&mut self.connection)?;
        let document = amend(&amended, self.folder.key(), unix_ms, change)?;
        amended.commit()?;
        self.export()?;
        Ok(document)
    }

    /// Makes the document say where server and first peer are now.
    ///
    /// # Errors
    ///
    /// As [`Registry::amend`].
    pub fn set_places(&mut self, places: &Places, unix_ms: u64) -> Result<(), RegistryError> {
        self.amend(unix_ms, |config| {
            config.enrollment_servers = vec![places.enrollment_url.clone()];
            config.bootstrap_nodes = vec![places.bootstrap.clone()];
        })?;
        Ok(())
    }

    /// The overlay's authority.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn authority(&self) -> Result<Authority, RegistryError> {
        authority(&self.connection, self.folder.key())
    }

    /// The identity of the server's own peer, which signs the document, and its bytes.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn identity(&self) -> Result<(Keys, Identity), RegistryError> {
        identity(&self.connection, self.folder.key())
    }

    /// Judges the overlay's certificates.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn provider(&self) -> Result<X509Provider, RegistryError> {
        let config = self.document()?.config;
        Ok(provider(config.instance_name.as_str(), self.root_certificate()?))
    }

    /// Writes what others need to know as files: the document, and the root for OpenSSL and curl.
    pub(super) fn export(&self) -> Result<(), RegistryError> {
        let root = pem("CERTIFICATE", &self.root_certificate()?);
        for (file, bytes) in [(DOCUMENT_FILE, self.document()?.document), (ROOT_FILE, root.into())]
        {
            let path = self.folder().join(file);
            if fs::read(&path).is_ok_and(|there| there == bytes) {
                continue;
            }
            write_atomically(&path, &bytes).map_err(|error| RegistryError::file(&path, &error))?;
        }
        Ok(())
    }
}

/// A transaction that writes: two of them wait for each other from their beginnings, and neither
/// acts on what the other changes.
pub(super) fn begin(connection: &mut Connection) -> Result<Transaction<'_>, RegistryError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

pub(super) fn document(connection: &Connection) -> Result<SignedConfig, RegistryError> {
    let query = "SELECT document FROM overlay";
    let bytes: Vec<u8> = connection.query_row(query, [], |row| row.get(0))?;
    SignedConfig::parse(&bytes, None).map_err(|_| RegistryError::Damaged("the document"))
}

pub(super) fn name(connection: &Connection) -> Result<Option<OverlayName>, RegistryError> {
    let query = "SELECT name FROM overlay";
    let name: Option<String> = connection.query_row(query, [], |row| row.get(0)).optional()?;
    let parsed = name.map(|name| OverlayName::new(&name)).transpose();
    parsed.map_err(|_| RegistryError::Damaged("the overlay's name"))
}

fn check_name(connection: &Connection, wanted: &OverlayName) -> Result<(), RegistryError> {
    match name(connection)? {
        Some(found) if !found.matches(wanted) => {
            Err(RegistryError::OtherOverlay { wanted: wanted.clone(), found })
        }
        _ => Ok(()),
    }
}

fn root_certificate(connection: &Connection) -> Result<Vec<u8>, RegistryError> {
    let query = "SELECT root_certificate FROM overlay";
    Ok(connection.query_row(query, [], |row| row.get(0))?)
}

pub(super) fn authority(
    connection: &Connection,
    key: Option<&SealingKey>,
) -> Result<Authority, RegistryError> {
    let query = "SELECT name, root_certificate, root_key FROM overlay";
    let (name, mut keys) = connection.query_row(query, [], |row| {
        let keys = Keys { certificate_der: row.get(1)?, private_key_der: row.get(2)? };
        Ok((row.get::<_, String>(0)?, keys))
    })?;
    keys.private_key_der = unseal(key, ROOT_PLACE, keys.private_key_der)?;
    Ok(Authority::from_keys(&name, keys)?)
}

/// Makes the next version of the document inside a transaction. See [`Registry::amend`].
pub(super) fn amend(
    transaction: &Transaction<'_>,
    key: Option<&SealingKey>,
    unix_ms: u64,
    change: impl FnOnce(&mut OverlayConfig),
) -> Result<SignedConfig, RegistryError> {
    let present = document(transaction)?;
    let mut config = present.config.clone();
    change(&mut config);
    config.bad_nodes = super::accounts::bad_nodes(transaction, unix_ms)?;
    if config == present.config {
        return Ok(present);
    }
    config.sequence = next_sequence(present.config.sequence);
    let (_, identity) = identity(transaction, key)?;
    let next = sign(config, &identity)?;
    transaction.execute(
        "UPDATE overlay SET document = ?1, sequence = ?2",
        params![&next.document[..], next.config.sequence],
    )?;
    Ok(next)
}

fn insert_overlay(
    transaction: &Transaction<'_>,
    key: Option<&SealingKey>,
    foundation: &Foundation,
    unix_ms: u64,
) -> Result<(), RegistryError> {
    let overlay = foundation.name.as_str();
    let authority = Authority::generate(overlay, unix_ms)?;
    let keys = own_keys(&authority, overlay, unix_ms)?;
    let identity = keys.identity(&provider(overlay, authority.certificate_der().to_vec()))?;
    let config = first_config(foundation, &authority, identity.node_id);
    let document = sign(config, &identity)?;
    let root = authority.keys();
    transaction.execute(
        "INSERT INTO overlay (id, name, is_open, root_certificate, root_key, own_certificate,
                              own_key, document, sequence)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            overlay,
            foundation.registration == Registration::Open,
            root.certificate_der,
            seal(key, ROOT_PLACE, root.private_key_der.clone())?,
            keys.certificate_der,
            seal(key, OWN_PLACE, keys.private_key_der)?,
            &document.document[..],
            document.config.sequence,
        ],
    )?;
    Ok(())
}

/// A key and a certificate for the server's own peer. The documents that it signs hold for as
/// long as the certificate, so it lasts as long as the root, which ends it.
fn own_keys(authority: &Authority, overlay: &str, unix_ms: u64) -> Result<Keys, RegistryError> {
    let user_name = format!("{OWN_ACCOUNT}@{overlay}");
    let request = CertificateRequest::generate(&user_name)?;
    let asked = RequestedCertificate::read(&request.csr_der)
        .map_err(|_| RegistryError::Damaged("our own request"))?;
    let validity = unix_ms.saturating_sub(limits::BACKDATED_MS)..unix_ms + OWN_VALIDITY_MS;
    let certificate_der = authority.issue(&asked, &user_name, &[random_node_id()?], validity)?;
    Ok(Keys { certificate_der, private_key_der: request.private_key_der })
}

fn first_config(foundation: &Foundation, authority: &Authority, own: NodeId) -> OverlayConfig {
    OverlayConfig {
        sequence: 1,
        root_certs: vec![authority.certificate_der().to_vec()],
        enrollment_servers: vec![foundation.places.enrollment_url.clone()],
        bootstrap_nodes: vec![foundation.places.bootstrap.clone()],
        configuration_signers: vec![own],
        kind_signers: vec![own],
        initial_ttl: limits::INITIAL_TTL,
        max_message_size: OverlayConfig::MESSAGE_SIZE_OURS,
        kinds: KindDefinition::for_calls(),
        ..OverlayConfig::with_defaults(foundation.name.clone())
    }
}

/// Signs a document whose max-message-size leaves room for the document itself in a ConfigUpdate
/// with its certificates, and for some growth (T-79).
fn sign(mut config: OverlayConfig, identity: &Identity) -> Result<SignedConfig, RegistryError> {
    let signed = config.sign(identity)?;
    let needed = u32::try_from(signed.document.len()).unwrap_or(u32::MAX).saturating_mul(3) / 2;
    if needed <= config.max_message_size {
        return Ok(signed);
    }
    config.max_message_size = needed.next_multiple_of(4096);
    Ok(config.sign(identity)?)
}

fn identity(
    connection: &Connection,
    key: Option<&SealingKey>,
) -> Result<(Keys, Identity), RegistryError> {
    let query = "SELECT name, own_certificate, own_key FROM overlay";
    let (name, mut keys) = connection.query_row(query, [], |row| {
        let keys = Keys { certificate_der: row.get(1)?, private_key_der: row.get(2)? };
        Ok((row.get::<_, String>(0)?, keys))
    })?;
    keys.private_key_der = unseal(key, OWN_PLACE, keys.private_key_der)?;
    let identity = keys.identity(&provider(&name, root_certificate(connection)?))?;
    Ok((keys, identity))
}

fn provider(overlay: &str, root_certificate: Vec<u8>) -> X509Provider {
    X509Provider {
        overlay: overlay.to_owned(),
        node_id_length: NodeId::LENGTH_DEFAULT,
        self_signed: None,
        roots: vec![root_certificate],
    }
}

/// A Node-ID that nobody can foresee (RFC 6940 §11.3, RFC 4086).
pub(super) fn random_node_id() -> Result<NodeId, RegistryError> {
    let mut bytes = [0; NodeId::LENGTH_DEFAULT];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RegistryError::NoRandomness)?;
    NodeId::new(&bytes).filter(NodeId::is_valid).ok_or(RegistryError::NoRandomness)
}

/// A time as SQLite keeps it, whose integers have a sign.
pub(super) fn sql_ms(unix_ms: u64) -> i64 {
    i64::try_from(unix_ms).unwrap_or(i64::MAX)
}

/// DER as OpenSSL's tools read it (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Writes a file so that after a crash either the old or the new one is there.
fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let mut file = fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

pub(super) fn create_private(path: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

/// The account of the server's own peer; nobody can enroll under it.
pub(super) const OWN_ACCOUNT: &str = "authority";

pub(super) const DATABASE: &str = "overlay.db";
const COPY: &str = "overlay.db.copy";
const DOCUMENT_FILE: &str = "document.xml";
const ROOT_FILE: &str = "root.pem";
const OWN_VALIDITY_MS: u64 = 20 * 365 * 24 * 60 * 60 * 1000;

/// A Node-ID is bound to the key that it was given to last, and belongs to its account for ever.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS overlay (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        name TEXT NOT NULL,
        is_open INTEGER NOT NULL,
        root_certificate BLOB NOT NULL,
        root_key BLOB NOT NULL,
        own_certificate BLOB NOT NULL,
        own_key BLOB NOT NULL,
        document BLOB NOT NULL,
        sequence INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS accounts (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        password TEXT NOT NULL,
        state TEXT NOT NULL,
        created_unix_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS node_ids (
        id INTEGER PRIMARY KEY,
        node_id BLOB NOT NULL UNIQUE,
        account INTEGER NOT NULL REFERENCES accounts (id),
        key BLOB NOT NULL,
        not_after_unix_ms INTEGER NOT NULL,
        is_revoked INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE IF NOT EXISTS invitations (
        code BLOB PRIMARY KEY,
        not_after_unix_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS vault (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed_key BLOB NOT NULL
    );
    CREATE TABLE IF NOT EXISTS peers (
        id INTEGER PRIMARY KEY,
        address TEXT NOT NULL UNIQUE
    );
";
