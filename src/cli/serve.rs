//! `chordial overlay serve`: an overlay's configuration and enrollment server and its first peer.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::events::Printer;
use super::keeping::registry_folder;
use super::{DONE, FAILED, bad_input, interrupted};
use crate::config::OverlayName;
use crate::enroll::server::{Registration, Registry, RegistryFolder};
use crate::phone::{Host, HostEvent, HostOptions};

/// A server of one's own overlay.
#[derive(Clone, Debug, Args)]
pub struct ServeArguments {
    /// Folder in which the overlay's authority, document and accounts are
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// File with a password on its first line, under which the authority's private keys in the
    /// folder are encrypted [default: they stay as they are]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Where the HTTPS server listens; port 0 is any at first, and the same one later
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// Where the overlay's first peer listens [default: port 6084 beside the server]
    #[arg(long, value_name = "IP:PORT")]
    peer: Option<SocketAddr>,
    /// The overlay's name, such as smith-family.example; needed the first time
    #[arg(long)]
    name: Option<OverlayName>,
    /// Host name or address under which others reach this machine [default: its own address]
    #[arg(long)]
    host: Option<String>,
    /// Let everybody make an account by enrolling under a free name
    #[arg(long, conflicts_with = "invitation_only")]
    open: bool,
    /// Let only those enroll who have an account or an invitation, which is how an overlay begins
    #[arg(long)]
    invitation_only: bool,
    /// Show this certificate of a web authority, with its chain, in place of one of our own
    #[arg(long, value_name = "FILE.pem", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE.pem", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// One JSON object on a line of stdout for each event
    #[arg(long)]
    json: bool,
}

/// Serves until interrupted.
pub(super) async fn serve(arguments: ServeArguments) -> u8 {
    let printer = Printer::new(arguments.json);
    let registration = match (arguments.open, arguments.invitation_only) {
        (true, _) => Some(Registration::Open),
        (_, true) => Some(Registration::InvitationOnly),
        (false, false) => None,
    };
    let folder = match folder(&arguments) {
        Ok(folder) => folder,
        Err(sentence) => return bad_input(&sentence),
    };
    let options = HostOptions {
        folder,
        name: arguments.name,
        registration,
        https: arguments.listen,
        peer: arguments.peer,
        host: arguments.host,
        peers: Vec::new(),
        certificate: arguments.tls_certificate.zip(arguments.tls_key),
    };
    let (host, mut events) = match Host::start(options).await {
        Ok(started) => started,
        Err(sentence) => return bad_input(&sentence),
    };
    let overlay = host.document().config.instance_name.to_string();
    let (url, peer) = (host.enrollment_url().to_owned(), host.peer());
    let invitation = host.invitation().to_string();
    printer.say(
        json!({
            "event": "serving",
            "overlay": overlay,
            "url": url,
            "peer": peer,
            "invitation": invitation,
        }),
        &format!(
            "Serving {overlay}: enrollment at {url}, the first peer at {peer}.\n\
             Others join with this link: {invitation}"
        ),
    );
    let code = loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => print(printer, &event),
                None => break FAILED,
            },
            () = interrupted() => break DONE,
        }
    };
    host.stop().await;
    code
}

fn folder(arguments: &ServeArguments) -> Result<RegistryFolder, String> {
    let ServeArguments { state, password_file, name, .. } = arguments;
    if name.is_none() {
        // Nothing is made where nothing is to be founded.
        Registry::open(state).map_err(|error| error.to_string())?;
    }
    registry_folder(state, password_file.as_deref())
}

fn print(printer: Printer, event: &HostEvent) {
    match event {
        HostEvent::Joined => printer.say(json!({ "event": "joined" }), "The peer is up."),
        HostEvent::Enrolled(account) => printer.say(
            json!({ "event": "enrolled", "account": account }),
            &format!("{account} has a certificate."),
        ),
        HostEvent::Document(sequence) => printer.say(
            json!({ "event": "document", "sequence": sequence }),
            &format!("Document {sequence} is in force."),
        ),
        HostEvent::Problem(sentence) => {
            printer.say(json!({ "event": "problem", "message": sentence }), sentence);
        }
    }
}
