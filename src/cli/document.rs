//! `chordial overlay new` and `sign`: an overlay's first document, and those after it.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::arguments::KeyArguments;
use super::keeping::{open_keys, registry_folder, tell};
use crate::config::{OverlayConfig, SignedConfig};
use crate::enroll::server::{Registry, RegistryError};
use crate::link::unix_ms;
use crate::phone::{first_document, next_document};

/// A new overlay whose users sign their own certificates.
#[derive(Clone, Debug, Args)]
pub struct NewArguments {
    /// The overlay's name, such as smith-family.example
    name: String,
    /// The file to write
    #[arg(long, value_name = "FILE.xml")]
    out: PathBuf,
    /// Sign the document as this user, who alone can change it later
    #[arg(long, requires = "state")]
    user: Option<String>,
    /// Folder of that user's data
    #[arg(long, value_name = "DIR", requires = "user")]
    state: Option<PathBuf>,
    /// File with the password of the private keys there on its first line
    #[arg(long, value_name = "FILE", requires = "state")]
    password_file: Option<PathBuf>,
}

/// A document that takes the place of the one before it.
#[derive(Clone, Debug, Args)]
pub struct SignArguments {
    /// The overlay's document, with the changes that are wanted
    document: PathBuf,
    /// The file to write; not needed where a server has the overlay
    #[arg(long, value_name = "FILE.xml")]
    out: Option<PathBuf>,
    /// Who signs it; not needed where a server has the overlay
    #[arg(long)]
    user: Option<String>,
    /// Folder of that user's data, or of the overlay's server, and what opens private keys there
    #[command(flatten)]
    keys: KeyArguments,
}

/// Writes the first document of an overlay.
pub(super) fn new(arguments: NewArguments) -> u8 {
    let NewArguments { name, out, user, state, password_file } = arguments;
    let made = OverlayConfig::self_signed(&name.to_ascii_lowercase());
    let made = made.map_err(|error| format!("{error}.")).and_then(|config| {
        let bytes = match (user, state) {
            (Some(user), Some(state)) => {
                let state = open_keys(&KeyArguments { state, password_file })?;
                first_document(&state, config.clone(), &user, unix_ms())?.document
            }
            _ => config.write().into_bytes().into(),
        };
        write_new(&out, &bytes)?;
        let (name, out) = (config.instance_name, out.display());
        Ok(format!("Wrote the document of overlay {name} to {out}."))
    });
    tell(made)
}

/// Signs the next document of an overlay.
pub(super) fn sign(arguments: &SignArguments) -> u8 {
    let document = match super::entrance::read_document(&arguments.document) {
        Ok(document) => document,
        Err(sentence) => return super::bad_input(&sentence),
    };
    let (state, password) = (&arguments.keys.state, arguments.keys.password_file.as_deref());
    tell(match Registry::open(state) {
        Ok(_) => registry_folder(state, password)
            .and_then(|folder| Registry::open(folder).map_err(|e| e.to_string()))
            .and_then(|registry| amend(registry, &document)),
        Err(RegistryError::NotFounded(_)) => sign_as_user(arguments, &document),
        Err(error) => Err(error.to_string()),
    })
}

/// The server hands it out by itself.
fn amend(mut registry: Registry, document: &SignedConfig) -> Result<String, String> {
    let sentence = |error: RegistryError| error.to_string();
    let present = registry.document().map_err(sentence)?.config;
    let (name, wanted) = (present.instance_name.clone(), document.config.clone());
    if name != wanted.instance_name {
        let wanted = wanted.instance_name;
        return Err(format!("The document is of {wanted}, and the server's overlay is {name}."));
    }
    for (is_same, what) in [
        (wanted.root_certs == present.root_certs, "root-cert"),
        (wanted.configuration_signers == present.configuration_signers, "configuration-signer"),
        (wanted.kind_signers == present.kind_signers, "kind-signer"),
    ] {
        if !is_same {
            return Err(format!(
                "The server of {name} can't go on with another {what}; leave that as it is."
            ));
        }
    }
    let signed = registry.amend(unix_ms(), |config| *config = wanted).map_err(sentence)?;
    let sequence = signed.config.sequence;
    Ok(match sequence == present.sequence {
        true => format!("Document {sequence} of {name} says all that already."),
        false => format!("Document {sequence} of {name} is signed; its server hands it out."),
    })
}

fn sign_as_user(arguments: &SignArguments, document: &SignedConfig) -> Result<String, String> {
    let missing = |what: &str| format!("{what} is missing.");
    let user = arguments.user.as_deref().ok_or_else(|| missing("--user NAME, who signs,"))?;
    let out = arguments.out.as_deref().ok_or_else(|| missing("--out FILE.xml"))?;
    let state = open_keys(&arguments.keys)?;
    let signed = next_document(&state, document, user, unix_ms())?;
    write_new(out, &signed.document)?;
    // What is signed next follows this one.
    state.save_document(&signed).map_err(|e| e.to_string())?;
    let (name, sequence) = (&signed.config.instance_name, signed.config.sequence);
    Ok(format!(
        "Wrote document {sequence} of {name} to {}. It reaches everybody from the first peer that \
         is started with it.",
        out.display()
    ))
}

/// A document is not written over another: those who joined with that one keep using it.
fn write_new(out: &Path, bytes: &[u8]) -> Result<(), String> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(out);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(|error| format!("The file {} can't be written: {error}.", out.display()))
}
