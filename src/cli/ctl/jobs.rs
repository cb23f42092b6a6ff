//! What is to become of something that the phone keeps: the verbs behind `contacts` and the like.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use crate::cli::keeping::password_in;
use crate::crypto::Password;

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Contacts {
    /// Add a contact, or change the one of the same address
    Save {
        /// The address, such as bob@smith
        aor: String,
        /// What you call them
        #[arg(long, default_value = "")]
        name: String,
        /// What is to be remembered of them
        #[arg(long, default_value = "")]
        note: String,
        /// They are shown first
        #[arg(long)]
        favourite: bool,
        /// Calls from them are refused
        #[arg(long)]
        blocked: bool,
    },
    /// Remove a contact
    Remove {
        /// The address
        aor: String,
    },
    /// Add the contacts of a file of vCards
    Import {
        /// The file
        file: PathBuf,
    },
    /// Write all contacts to a file of vCards
    Export {
        /// The file
        file: PathBuf,
    },
}

impl Contacts {
    /// The command for it.
    pub(super) fn command(&self) -> Result<Value, Failure> {
        let job = match self {
            Self::Save { aor, name, note, favourite, blocked } => json!({ "save": {
                "aor": aor, "name": name, "note": note,
                "is_favourite": favourite, "is_blocked": blocked,
            } }),
            Self::Remove { aor } => json!({ "remove": aor }),
            Self::Import { file } => json!({ "import": absolute(file)? }),
            Self::Export { file } => json!({ "export": absolute(file)? }),
        };
        Ok(json!({ "contacts": job }))
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum SipAccounts {
    /// Add an account, or change the one of the same address
    Keep {
        /// The address, such as alice@example.org
        address: String,
        /// A file with the password on its first line [default: the one from before]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// The provider's server [default: the one of the address]
        #[arg(long, value_name = "HOST[:PORT]")]
        server: Option<String>,
        /// How the server is reached [default: as DNS says]
        #[arg(long, value_parser = ["udp", "tcp", "tls"])]
        transport: Option<String>,
    },
    /// Remove an account
    Remove {
        /// The address
        address: String,
    },
}

impl SipAccounts {
    /// The command for it.
    pub(super) fn command(&self) -> Result<Value, Failure> {
        let job = match self {
            Self::Keep { address, password_file, server, transport } => {
                let password = password_file.as_deref().map(password_in).transpose();
                let password = password.map_err(Failure::BadInput)?;
                json!({ "keep": {
                    "address": address, "password": password.as_ref().map(Password::as_str),
                    "server": server, "transport": transport,
                } })
            }
            Self::Remove { address } => json!({ "remove": { "address": address } }),
        };
        Ok(json!({ "sip_account": job }))
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Messages {
    /// Write to somebody; it is tried again until they have it
    Write {
        /// The name
        to: String,
        /// The text
        text: String,
    },
    /// List what was written in a conversation, and count it as read
    Read {
        /// The address
        aor: String,
    },
    /// Forget a conversation, with what waits in it
    Forget {
        /// The address
        aor: String,
    },
}

impl Messages {
    /// The command for it.
    pub(super) fn command(&self) -> Value {
        let job = match self {
            Self::Write { to, text } => json!({ "write": { "to": to, "text": text } }),
            Self::Read { aor } => json!({ "read": aor }),
            Self::Forget { aor } => json!({ "forget": aor }),
        };
        json!({ "messages": job })
    }
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum VoiceMessages {
    /// Play one on the speaker
    Play {
        /// Its name in the list
        name: String,
    },
    /// Play it no more
    Stop,
    /// Delete one
    Delete {
        /// Its name in the list
        name: String,
    },
}

impl VoiceMessages {
    /// The command for it.
    pub(super) fn command(&self) -> Value {
        let job = match self {
            Self::Play { name } => json!({ "play": name }),
            Self::Stop => json!("stop"),
            Self::Delete { name } => json!({ "delete": name }),
        };
        json!({ "voice_message": job })
    }
}

/// A path for a program that works in another folder.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|e| Failure::BadInput(format!("{} can't be found: {e}.", path.display())))
}
