//! Accounts as their owner sees them: made, listed, shut and opened, revoked; and invitations.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::limits;
use super::password::PasswordHash;
use super::registry::{OWN_ACCOUNT, Registry, amend, begin, name as overlay_name, sql_ms};
use crate::base::NodeId;
use crate::config::SignedConfig;
use crate::enroll::prepare::{prepared_account, prepared_password};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Its name: the part of the user name before the `@`.
    pub name: String,
    /// Whether it can enroll.
    pub state: AccountState,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_unix_ms: u64,
    /// Its Node-IDs, in the order in which they were given out.
    pub nodes: Vec<AccountNode>,
}

/// A Node-ID of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountNode {
    /// The Node-ID.
    pub node_id: NodeId,
    /// When its last certificate ends, milliseconds since the Unix epoch.
    pub not_after_unix_ms: u64,
    /// Whether it was put out of the overlay, for ever.
    pub is_revoked: bool,
}

/// Whether an account can enroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// It can.
    Active,
    /// It gets no new certificate; the present ones hold until they end.
    Disabled,
}

impl AccountState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            // What is not known opens no door.
            _ => Self::Disabled,
        }
    }
}

impl Registry {
    /// Makes an account.
    ///
    /// # Errors
    ///
    /// Fails for a name that is none or taken, and for an empty password.
    pub fn add_account(
        &mut self,
        name: &str,
        password: &str,
        unix_ms: u64,
    ) -> Result<(), RegistryError> {
        let name = legal_name(&self.account_of(name))?;
        let hash = new_hash(password)?;
        insert_account(&self.connection, &name, &hash, unix_ms)?;
        Ok(())
    }

    /// Gives an account another password in the place of one that was forgotten. Its certificates
    /// and Node-IDs stay; the old password is of no use from now on.
    ///
    /// # Errors
    ///
    /// Fails for a name that no account has, and for an empty password.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<(), RegistryError> {
        let id = self.account_id(name)?;
        let hash = new_hash(password)?;
        let query = "UPDATE accounts SET password = ?1 WHERE id = ?2";
        self.connection.execute(query, params![hash.write(), id])?;
        Ok(())
    }

    /// Makes a code that lets one person make one account, under a name that they choose: the
    /// first who enrolls with it has the account. Whoever sends it as the password keeps it as the
    /// password; whoever sends it beside a password has that one.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn invite(&mut self, unix_ms: u64) -> Result<String, RegistryError> {
        let code = random_password()?;
        self.connection
            .execute("DELETE FROM invitations WHERE not_after_unix_ms < ?1", [sql_ms(unix_ms)])?;
        self.connection.execute(
            "INSERT INTO invitations (code, not_after_unix_ms) VALUES (?1, ?2)",
            params![code_hash(&code), sql_ms(unix_ms + limits::INVITATION_MS)],
        )?;
        Ok(code)
    }

    /// All accounts by name.
    ///
    /// # Errors
    ///
    /// Fails for a database that cannot be used.
    pub fn accounts(&self) -> Result<Vec<Account>, RegistryError> {
        let query = "SELECT id, name, state, created_unix_ms FROM accounts ORDER BY name";
        let mut statement = self.connection.prepare(query)?;
        let rows = statement.query_map([], |row| {
            let state = AccountState::parse(&row.get::<_, String>(2)?);
            let account =
                Account { name: row.get(1)?, state, created_unix_ms: time(row, 3)?, nodes: vec![] };
            Ok((row.get::<_, i64>(0)?, account))
        })?;
        let mut accounts = Vec::new();
        for row in rows {
            let (id, account) = row?;
            accounts.push(Account { nodes: nodes(&self.connection, id)?, ..account });
        }
        Ok(accounts)
    }

    /// Shuts or opens an account. Nodes that were revoked stay so.
    ///
    /// # Errors
    ///
    /// Fails for a name that no account has.
    pub fn set_state(&mut self, name: &str, state: AccountState) -> Result<(), RegistryError> {
        let id = self.account_id(name)?;
        self.connection
            .execute("UPDATE accounts SET state = ?1 WHERE id = ?2", params![state.as_str(), id])?;
        Ok(())
    }

    /// Puts all nodes of an account, or one of them, out of the overlay by a new document that
    /// names them as bad nodes (RFC 6940 §11.1); the whole account is shut besides. Gives the
    /// document.
    ///
    /// # Errors
    ///
    /// Fails for a name or a Node-ID that there is not.
    pub fn revoke(
        &mut self,
        name: &str,
        node_id: Option<NodeId>,
        unix_ms: u64,
    ) -> Result<SignedConfig, RegistryError> {
        let id = self.account_id(name)?;
        let revoked = begin(&mut self.connection)?;
        if let Some(node_id) = node_id {
            let count = revoked.execute(
                "UPDATE node_ids SET is_revoked = 1 WHERE account = ?1 AND node_id = ?2",
                params![id, node_id.as_bytes()],
            )?;
            if count == 0 {
                let (account, node_id) = (name.to_owned(), node_id.to_string());
                return Err(RegistryError::NoNodeId { account, node_id });
            }
        } else {
            revoked.execute("UPDATE node_ids SET is_revoked = 1 WHERE account = ?1", [id])?;
            let shut = AccountState::Disabled.as_str();
            revoked.execute("UPDATE accounts SET state = ?1 WHERE id = ?2", params![shut, id])?;
        }
        let document = amend(&revoked, self.folder.key(), unix_ms, |_| ())?;
        revoked.commit()?;
        self.export()?;
        Ok(document)
    }

    /// The account that a name means: the overlay's own domain may follow it.
    pub(super) fn account_of(&self, typed: &str) -> String {
        let prepared = prepared_account(typed);
        let overlay = overlay_name(&self.connection).ok().flatten();
        match (prepared.split_once('@'), overlay) {
            (Some((account, domain)), Some(overlay)) if overlay.matches(domain) => {
                account.to_owned()
            }
            _ => prepared,
        }
    }

    fn account_id(&self, typed: &str) -> Result<i64, RegistryError> {
        let name = self.account_of(typed);
        let query = "SELECT id FROM accounts WHERE name = ?1";
        let id = self.connection.query_row(query, [&name], |row| row.get(0)).optional()?;
        id.ok_or(RegistryError::NoAccount(name))
    }
}

/// Nodes that were revoked and still have a certificate.
pub(super) fn bad_nodes(
    connection: &Connection,
    unix_ms: u64,
) -> Result<Vec<NodeId>, RegistryError> {
    let query = "SELECT node_id FROM node_ids
                 WHERE is_revoked AND not_after_unix_ms >= ?1 ORDER BY node_id";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([sql_ms(unix_ms)], |row| row.get::<_, Vec<u8>>(0))?;
    rows.map(|row| NodeId::new(&row?).ok_or(RegistryError::Damaged("a Node-ID"))).collect()
}

fn new_hash(password: &str) -> Result<PasswordHash, RegistryError> {
    match prepared_password(password) {
        password if password.is_empty() => Err(RegistryError::Password),
        password => PasswordHash::of(&password),
    }
}

/// Makes the row of an account and gives its id.
pub(super) fn insert_account(
    connection: &Connection,
    name: &str,
    password: &PasswordHash,
    unix_ms: u64,
) -> Result<i64, RegistryError> {
    let inserted = connection.execute(
        "INSERT INTO accounts (name, password, state, created_unix_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (name) DO NOTHING",
        params![name, password.write(), AccountState::Active.as_str(), sql_ms(unix_ms)],
    )?;
    match inserted {
        0 => Err(RegistryError::Taken(name.to_owned())),
        _ => Ok(connection.last_insert_rowid()),
    }
}

/// An account's name, prepared, if it is one that can stand in a certificate before the `@`
/// (R6940-11.3-13) and is not the server's own.
pub(super) fn legal_name(name: &str) -> Result<String, RegistryError> {
    let prepared = prepared_account(name);
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_+".contains(c);
    let is_legal = (1..=limits::NAME_LENGTH_MAX).contains(&prepared.len())
        && prepared.chars().all(is_inner)
        && !prepared.starts_with('.')
        && !prepared.ends_with('.')
        && !prepared.contains("..");
    match is_legal {
        true if prepared == OWN_ACCOUNT => Err(RegistryError::Taken(prepared)),
        true => Ok(prepared),
        false => Err(RegistryError::Name(name.chars().take(limits::NAME_LENGTH_MAX).collect())),
    }
}

/// A password that nobody has to invent: eighty bits, in letters and digits that are not taken
/// for one another.
///
/// # Errors
///
/// Fails if the operating system gives no randomness.
pub fn random_password() -> Result<String, RegistryError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| RegistryError::NoRandomness)?;
    let letters = bytes.map(|byte| char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
    Ok(groups.join("-"))
}

/// What is kept of an invitation's code, which is too random to be guessed from it.
pub(super) fn code_hash(code: &str) -> Vec<u8> {
    digest(&SHA256, code.as_bytes()).as_ref().to_vec()
}

fn nodes(connection: &Connection, account: i64) -> Result<Vec<AccountNode>, RegistryError> {
    let query = "SELECT node_id, not_after_unix_ms, is_revoked FROM node_ids
                 WHERE account = ?1 ORDER BY id";
    let mut statement = connection.prepare(query)?;
    let rows = statement
        .query_map([account], |row| Ok((row.get::<_, Vec<u8>>(0)?, time(row, 1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (bytes, not_after_unix_ms, is_revoked) = row?;
        let node_id = NodeId::new(&bytes).ok_or(RegistryError::Damaged("a Node-ID"))?;
        Ok(AccountNode { node_id, not_after_unix_ms, is_revoked })
    })
    .collect()
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
