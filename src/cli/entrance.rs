//! What is given for an overlay: a file, a name or an invitation.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::{DONE, bad_input};
use crate::config::{BootstrapAddress, OverlayConfig, OverlayName, SignedConfig};
use crate::enroll::Invitation;
use crate::link::unix_ms;
use crate::phone::{Entrance, StateFolder};

/// Where the way in begins, and what is known of the overlay before it is found: its document, or
/// nothing but its name.
pub(super) fn entrance(
    what: &str,
    state: &StateFolder,
) -> Result<(Entrance, Arc<SignedConfig>), String> {
    let named = |name| SignedConfig::unsigned(&OverlayConfig::with_defaults(name)).map(Arc::new);
    if Invitation::is_link(what) {
        let invitation: Invitation = what.parse().map_err(|e| format!("{}.", sentence(&e)))?;
        let known = named(invitation.overlay).map_err(|e| format!("{}.", sentence(&e)))?;
        return Ok((Entrance::Invitation(what.to_owned()), known));
    }
    let path = Path::new(what);
    // A file is meant unless there is none and it could not be one by its looks.
    let is_file = path.exists() || path.components().count() > 1 || has_suffix(path);
    if !is_file && let Ok(name) = OverlayName::new(&what.trim().to_ascii_lowercase()) {
        let entrance = Entrance::Name(name.to_string());
        return Ok((entrance, named(name).map_err(|e| format!("{}.", sentence(&e)))?));
    }
    if !path.exists() {
        return Err(format!(
            "There is no file {what}; give an overlay's document, its name, or a link that invites."
        ));
    }
    let document = state.read_document(path).map_err(|e| e.to_string())?;
    Ok((Entrance::Document(path.to_path_buf()), Arc::new(document)))
}

fn has_suffix(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("xml"))
}

fn sentence(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| {
        format!("{}{}", first.to_ascii_uppercase(), letters.as_str())
    })
}

/// The document in a file.
pub(super) fn read_document(path: &Path) -> Result<SignedConfig, String> {
    let read = std::fs::read(path).map_err(|e| e.to_string());
    let parsed =
        read.and_then(|bytes| SignedConfig::parse(&bytes, None).map_err(|e| e.to_string()));
    parsed.map_err(|reason| format!("{} can't be used: {reason}.", path.display()))
}

/// Prints a link that invites to the overlay of a document, by way of peers at these addresses or
/// those that the document names.
pub(super) fn invite(document: &Path, addresses: Vec<SocketAddr>) -> u8 {
    let signed = match read_document(document) {
        Ok(signed) => signed,
        Err(sentence) => return bad_input(&sentence),
    };
    let mut addresses = addresses;
    if addresses.is_empty() {
        addresses.extend(signed.config.bootstrap_nodes.iter().filter_map(
            |node| match node.address {
                BootstrapAddress::Ip(ip) => Some(SocketAddr::new(ip, node.port)),
                BootstrapAddress::Name(_) => None,
            },
        ));
    }
    println!("{}", Invitation::new(&signed, addresses, unix_ms()));
    DONE
}
