//! Who gets which certificate (RFC 6940 §11.3).
//!
//! An account is the part of a user name before the `@`. Its Node-IDs are random and stay its own.
//! Each is bound to the key of the request that it was given for: who returns with the same key,
//! to have the certificate renewed, gets the same Node-IDs; another key is another device, and
//! gets Node-IDs whose certificates have ended before it gets new ones. How many an account may
//! have is rationed, because who has many has much of the ring (RFC 6940 §13.6.1).
//!
//! Beyond RFC 6940 a form may have the field `revoke` in place of `csr`: a Node-ID of the account
//! that is put out of the overlay. The answer is the document that does so, which names it as a bad
//! node, or one of the RFC's tokens; `Node-IDs_not_available` says that the account has no such
//! Node-ID. Servers that do not know the field find that the form has no good `csr`.

use bytes::Bytes;
use rcgen::PublicKeyData as _;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::accounts::{AccountState, code_hash, insert_account, legal_name};
use super::error::RegistryError;
use super::limits;
use super::password::PasswordHash;
use super::registry::{
    OWN_ACCOUNT, Registration, Registry, authority, begin, name, random_node_id, sql_ms,
};
use crate::base::NodeId;
use crate::config::SignedConfig;
use crate::crypto::RequestedCertificate;
use crate::enroll::prepare::{prepared_account, prepared_password};

/// What somebody has posted.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// `username`.
    pub(super) account: String,
    /// `password`.
    pub(super) password: String,
    /// `invitation`: a code that makes the account; without it the password may be one.
    pub(super) invitation: Option<String>,
    /// `nodeids`.
    pub(super) node_ids: Option<String>,
    /// `csr`.
    pub(super) csr_der: Vec<u8>,
    /// `revoke`.
    pub(super) revoke: Option<String>,
}

/// What somebody gets.
#[derive(Debug)]
pub(super) enum Grant {
    /// A certificate in DER.
    Certificate(Vec<u8>),
    /// The document in which a device of theirs is a bad node.
    Document(Bytes),
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form(of {})", self.account)
    }
}

/// Why somebody gets no certificate: the tokens of RFC 6940 §11.3, and what is our own fault.
#[derive(Debug)]
pub(super) enum Refusal {
    FailedAuthentication,
    UsernameNotAvailable,
    NodeIdsNotAvailable,
    BadCsr,
    Broken(RegistryError),
}

impl Refusal {
    /// The token, if it is a refusal of RFC 6940.
    pub(super) fn token(&self) -> Option<&'static str> {
        match self {
            Self::FailedAuthentication => Some("failed_authentication"),
            Self::UsernameNotAvailable => Some("username_not_available"),
            Self::NodeIdsNotAvailable => Some("Node-IDs_not_available"),
            Self::BadCsr => Some("bad_CSR"),
            Self::Broken(_) => None,
        }
    }
}

impl<E: Into<RegistryError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// Who has shown the right password.
enum Applicant {
    Known(i64),
    /// Without an account: this will be its password, and this invitation is used up.
    New {
        password: PasswordHash,
        invitation: Option<Vec<u8>>,
    },
}

impl Registry {
    /// Does what a form asks for.
    pub(super) fn grant(&mut self, form: &Form, unix_ms: u64) -> Result<Grant, Refusal> {
        match &form.revoke {
            None => self.admit(form, unix_ms).map(Grant::Certificate),
            Some(node_id) => {
                let signed = self.withdraw(form, node_id, unix_ms)?;
                Ok(Grant::Document(signed.document))
            }
        }
    }

    /// Puts a device out of the overlay for the account that it belongs to.
    fn withdraw(
        &mut self,
        form: &Form,
        node_id: &str,
        unix_ms: u64,
    ) -> Result<SignedConfig, Refusal> {
        let account = self.account_of(&form.account);
        let Applicant::Known(_) = self.authenticate(&account, form, unix_ms)? else {
            return Err(Refusal::FailedAuthentication);
        };
        let node_id = node_id.parse().map_err(|_| Refusal::NodeIdsNotAvailable)?;
        self.revoke(&account, Some(node_id), unix_ms).map_err(|error| match error {
            RegistryError::NoNodeId { .. } => Refusal::NodeIdsNotAvailable,
            error => Refusal::Broken(error),
        })
    }

    /// Gives out a certificate in DER. Takes some ten milliseconds of computing and 20 MiB.
    pub(super) fn admit(&mut self, form: &Form, unix_ms: u64) -> Result<Vec<u8>, Refusal> {
        let overlay = name(&self.connection)?.ok_or(RegistryError::Damaged("its name"))?;
        let account = self.account_of(&form.account);
        let applicant = self.authenticate(&account, form, unix_ms)?;
        let user_name = format!("{account}@{overlay}");
        let request = RequestedCertificate::read(&form.csr_der).map_err(|_| Refusal::BadCsr)?;
        if request.user_name().is_some_and(|asked| prepared_account(asked) != user_name) {
            return Err(Refusal::UsernameNotAvailable);
        }
        let count = match form.node_ids.as_deref().map(str::parse::<usize>) {
            None => 1,
            Some(Ok(count)) if (1..=limits::NODE_IDS_MAX).contains(&count) => count,
            Some(_) => return Err(Refusal::NodeIdsNotAvailable),
        };
        let issued = begin(&mut self.connection)?;
        let account = match applicant {
            Applicant::Known(account) => account,
            Applicant::New { password, invitation } => {
                new_account(&issued, &account, &password, invitation, unix_ms)?
            }
        };
        let key = digest(&SHA256, &request.subject_public_key_info()).as_ref().to_vec();
        let not_after_ms = unix_ms + limits::CERTIFICATE_MS;
        let node_ids = assign(&issued, account, &key, count, unix_ms, not_after_ms)?;
        let validity = unix_ms.saturating_sub(limits::BACKDATED_MS)..not_after_ms;
        let certificate = authority(&issued, self.folder.key())?
            .issue(&request, &user_name, &node_ids, validity)?;
        issued.commit()?;
        Ok(certificate)
    }

    /// Checks a password. It takes the same time for accounts that exist and for those that
    /// don't, so that nobody learns from the time which do.
    fn authenticate(&self, account: &str, form: &Form, unix_ms: u64) -> Result<Applicant, Refusal> {
        if account == OWN_ACCOUNT {
            return Err(Refusal::UsernameNotAvailable);
        }
        let password = prepared_password(&form.password);
        if password.is_empty() || password.len() > limits::PASSWORD_LENGTH_MAX {
            return Err(Refusal::FailedAuthentication);
        }
        let code = form.invitation.as_deref().unwrap_or(&password);
        let invitation = invitation(&self.connection, code, unix_ms)?;
        if let Some((id, hash, state)) = credentials(&self.connection, account)? {
            return match hash.verifies(&password) {
                true if state == AccountState::Active => Ok(Applicant::Known(id)),
                // Who has a good invitation is welcome, but under another name.
                false if invitation.is_some() => Err(Refusal::UsernameNotAvailable),
                _ => Err(Refusal::FailedAuthentication),
            };
        }
        let hash = PasswordHash::of(&password)?;
        let is_open = self.registration()? == Registration::Open;
        if !is_open && invitation.is_none() {
            return Err(Refusal::FailedAuthentication);
        }
        legal_name(account).map_err(|_| Refusal::UsernameNotAvailable)?;
        Ok(Applicant::New { password: hash, invitation })
    }
}

fn credentials(
    connection: &Connection,
    account: &str,
) -> Result<Option<(i64, PasswordHash, AccountState)>, RegistryError> {
    let query = "SELECT id, password, state FROM accounts WHERE name = ?1";
    let row = connection.query_row(query, [account], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    });
    let Some((id, password, state)) = row.optional()? else { return Ok(None) };
    let hash = PasswordHash::read(&password).ok_or(RegistryError::Damaged("a password"))?;
    Ok(Some((id, hash, AccountState::parse(&state))))
}

/// The invitation that a password is the code of.
fn invitation(
    connection: &Connection,
    password: &str,
    unix_ms: u64,
) -> Result<Option<Vec<u8>>, RegistryError> {
    let hash = code_hash(password);
    let query = "SELECT 1 FROM invitations WHERE code = ?1 AND not_after_unix_ms >= ?2";
    let found =
        connection.query_row(query, params![hash, sql_ms(unix_ms)], |_| Ok(())).optional()?;
    Ok(found.map(|()| hash))
}

fn new_account(
    issued: &Transaction<'_>,
    account: &str,
    password: &PasswordHash,
    invitation: Option<Vec<u8>>,
    unix_ms: u64,
) -> Result<i64, Refusal> {
    if let Some(code) = invitation {
        let used = issued.execute("DELETE FROM invitations WHERE code = ?1", [code])?;
        if used == 0 {
            // Somebody else was faster.
            return Err(Refusal::FailedAuthentication);
        }
    }
    insert_account(issued, account, password, unix_ms).map_err(|error| match error {
        RegistryError::Taken(_) => Refusal::UsernameNotAvailable,
        error => Refusal::Broken(error),
    })
}

/// The Node-IDs for a certificate of `key`, which are its own until `not_after_ms` at least.
fn assign(
    issued: &Transaction<'_>,
    account: i64,
    key: &[u8],
    count: usize,
    unix_ms: u64,
    not_after_ms: u64,
) -> Result<Vec<NodeId>, Refusal> {
    let is_revoked = "SELECT 1 FROM node_ids WHERE account = ?1 AND key = ?2 AND is_revoked";
    if issued.query_row(is_revoked, params![account, key], |_| Ok(())).optional()?.is_some() {
        return Err(Refusal::BadCsr);
    }
    // Those of the key come first, then those that nobody uses, both in order of age.
    let query = "SELECT id, node_id FROM node_ids
                 WHERE account = ?1 AND NOT is_revoked AND (key = ?2 OR not_after_unix_ms < ?3)
                 ORDER BY key <> ?2, id LIMIT ?4";
    let mut statement = issued.prepare(query)?;
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![account, key, sql_ms(unix_ms), limit], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
    })?;
    let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
    let mut assigned = Vec::new();
    for (id, bytes) in rows {
        let bound = "UPDATE node_ids SET key = ?1, not_after_unix_ms = ?2 WHERE id = ?3";
        issued.execute(bound, params![key, sql_ms(not_after_ms), id])?;
        assigned.push(NodeId::new(&bytes).ok_or(RegistryError::Damaged("a Node-ID"))?);
    }
    let held = "SELECT count(*) FROM node_ids WHERE account = ?1 AND NOT is_revoked";
    let held: i64 = issued.query_row(held, [account], |row| row.get(0))?;
    let held = usize::try_from(held).unwrap_or(usize::MAX);
    if held.saturating_add(count - assigned.len()) > limits::NODE_IDS_MAX {
        return Err(Refusal::NodeIdsNotAvailable);
    }
    while assigned.len() < count {
        let node_id = random_node_id()?;
        issued.execute(
            "INSERT INTO node_ids (node_id, account, key, not_after_unix_ms)
             VALUES (?1, ?2, ?3, ?4)",
            params![node_id.as_bytes(), account, key, sql_ms(not_after_ms)],
        )?;
        assigned.push(node_id);
    }
    Ok(assigned)
}
