//! `chordial overlay account`: what an overlay's owner does with accounts. The server may run
//! meanwhile; it takes notice within a second.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::keeping::registry_folder;
use super::{DONE, bad_input, json_line};
use crate::base::NodeId;
use crate::enroll::server::{
    Account, AccountState, Registration, Registry, RegistryError, random_password,
};
use crate::link::unix_ms;

/// A change of an overlay's accounts, or a look at them.
#[derive(Clone, Debug, Args)]
pub struct AccountArguments {
    #[command(subcommand)]
    command: AccountCommand,
    /// Folder in which the overlay's authority, document and accounts are
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
    /// File with the password of the private keys there on its first line; needed to revoke, if
    /// they are encrypted
    #[arg(long, value_name = "FILE", global = true)]
    keys_password_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum AccountCommand {
    /// Make an account and print its password
    Add {
        /// The part of the user name before the @
        name: String,
        /// File with the password on its first line [default: one is made up]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Give an account another password and print it, for somebody who has forgotten theirs; their
    /// devices stay in the overlay, and ask for it when they renew their certificates
    Password {
        /// The account
        name: String,
        /// File with the password on its first line [default: one is made up]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print a code with which one person can make one account under a name of their choice
    Invite,
    /// Show all accounts and their devices
    List {
        /// One JSON object on a line for each account
        #[arg(long)]
        json: bool,
    },
    /// Give an account no new certificates; its present ones hold until they end
    Disable {
        /// The account
        name: String,
    },
    /// Let a disabled or revoked account enroll again
    Enable {
        /// The account
        name: String,
    },
    /// Put all devices of an account out of the overlay, and disable it
    Revoke {
        /// The account
        name: String,
        /// Only the device with this Node-ID; the account stays
        #[arg(long, value_name = "NODE-ID")]
        node: Option<String>,
    },
}

/// Does what was asked for and gives the exit code.
pub(super) fn run(arguments: &AccountArguments) -> u8 {
    let Some(state) = &arguments.state else { return bad_input("--state DIR is missing.") };
    let keys = arguments.keys_password_file.as_deref();
    match answer(&arguments.command, state, keys) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            DONE
        }
        Err(sentence) => bad_input(&sentence),
    }
}

fn answer(
    command: &AccountCommand,
    state: &Path,
    keys: Option<&Path>,
) -> Result<Vec<String>, String> {
    let sentence = |error: RegistryError| error.to_string();
    let mut registry = Registry::open(state).map_err(sentence)?;
    if keys.is_some() {
        registry = Registry::open(registry_folder(state, keys)?).map_err(sentence)?;
    }
    let lines = match command {
        AccountCommand::Add { name, password_file } => {
            let password = password(password_file.as_deref())?;
            registry.add_account(name, &password, unix_ms()).map_err(sentence)?;
            vec![match password_file {
                Some(_) => format!("The account {name} can enroll with its password."),
                None => format!("The account {name} can enroll with the password {password}"),
            }]
        }
        AccountCommand::Password { name, password_file } => {
            let password = password(password_file.as_deref())?;
            registry.set_password(name, &password).map_err(sentence)?;
            vec![match password_file {
                Some(_) => format!("The account {name} has its new password."),
                None => format!("The account {name} has the new password {password}"),
            }]
        }
        AccountCommand::Invite => {
            let code = registry.invite(unix_ms()).map_err(sentence)?;
            let how = match registry.registration().map_err(sentence)? {
                Registration::Open => "though everybody may, ",
                Registration::InvitationOnly => "",
            };
            vec![format!(
                "For two weeks one person can, {how}enroll under any free name with this code as \
                 the password, which it stays: {code}"
            )]
        }
        AccountCommand::List { json } => {
            let accounts = registry.accounts().map_err(sentence)?;
            accounts.iter().flat_map(|account| describe(account, *json)).collect()
        }
        AccountCommand::Disable { name } => {
            registry.set_state(name, AccountState::Disabled).map_err(sentence)?;
            vec![format!("The account {name} gets no new certificates.")]
        }
        AccountCommand::Enable { name } => {
            registry.set_state(name, AccountState::Active).map_err(sentence)?;
            vec![format!("The account {name} can enroll.")]
        }
        AccountCommand::Revoke { name, node } => {
            let node = node.as_deref().map(node_id).transpose()?;
            let document = registry.revoke(name, node, unix_ms()).map_err(sentence)?;
            let sequence = document.config.sequence;
            let what = if node.is_some() { "One device" } else { "Every device" };
            vec![format!("{what} of {name} is put out of the overlay by document {sequence}.")]
        }
    };
    Ok(lines)
}

fn describe(account: &Account, json: bool) -> Vec<String> {
    let Account { name, state, created_unix_ms, nodes } = account;
    let state = match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
    };
    if json {
        let nodes: Vec<_> = nodes
            .iter()
            .map(|node| {
                json!({
                    "node_id": node.node_id.to_string(),
                    "not_after_unix_ms": node.not_after_unix_ms,
                    "revoked": node.is_revoked,
                })
            })
            .collect();
        let created = created_unix_ms;
        let account =
            json!({ "name": name, "state": state, "created_unix_ms": created, "nodes": nodes });
        return vec![json_line(&account)];
    }
    let mut lines = vec![format!("{name}: {state}")];
    let now_ms = unix_ms();
    lines.extend(nodes.iter().map(|node| {
        let days = node.not_after_unix_ms.saturating_sub(now_ms) / (24 * 60 * 60 * 1000);
        let end = match (node.is_revoked, days) {
            (true, _) => "revoked".to_owned(),
            (false, 0) => "certificate ended or in its last day".to_owned(),
            (false, days) => format!("certificate for {days} more days"),
        };
        format!("  {}  {end}", node.node_id)
    }));
    lines
}

fn node_id(text: &str) -> Result<NodeId, String> {
    text.parse().map_err(|_| format!("{text:?} is no Node-ID: it has 32 hexadecimal digits."))
}

/// The password in a file, or one that is made up.
fn password(file: Option<&Path>) -> Result<String, String> {
    match file {
        Some(path) => first_line(path),
        None => random_password().map_err(|error| error.to_string()),
    }
}

fn first_line(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("The file {} can't be read: {error}.", path.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
