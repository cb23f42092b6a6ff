//! Programs on this computer that steer the phone: JSON on lines, over a connection within the
//! computer.
//!
//! Whoever can read the file `control.json` in the user's folder, which is the user alone, finds
//! there the address to connect to and a token. The token is the first line; each further line is
//! a request of one member beside its `id`, which the answer repeats:
//!
//! | line | answer |
//! |---|---|
//! | `{"token":"…"}` | `{"chordial":"0.1.0","window":true}` |
//! | `{"id":1,"command":{"dial":"bob"}}` | `{"id":1,"done":true}`, or `{"id":1,"error":"…"}` |
//! | `{"id":2,"show":["calls"]}` | `{"id":2,"snapshot":{"calls":[…]}}`; an empty list shows all |
//! | `{"id":3,"set":{"theme":"dark"}}` | settings by name; the others stay |
//! | `{"id":4,"follow":["events"]}` | each event is a line from now on, as `chordial peer --json` |
//! | `{"id":5,"follow":["snapshots"]}` | from now on `{"snapshot":{…}}` whenever it changes |
//! | `{"id":6,"open":"sip:bob@smith"}` | the window comes to the front, with this to be called |
//! | `{"id":7,"close":true}` | the window closes as by its button, perhaps into the tray |
//! | `{"id":8,"quit":true}` | the window closes, and the program ends |
//!
//! A command is a [`Command`](super::Command) and an event an [`Event`](super::Event), in the
//! words of their declarations with `_` between them; so is the [`Snapshot`](super::Snapshot).
//!
//! | file | what |
//! |---|---|
//! | `server` | the phone's end |
//! | `client` | the other program's |
//! | `address` | addresses that other programs want to have called |

mod address;
mod client;
mod server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use address::to_dial;
pub use client::Client;
pub use server::Control;

/// What another program asks of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To come to the front, with what is to be dialled if something is given.
    Open(Option<String>),
    /// To close as by its own button: into the tray, if that is wished and there is one.
    Close,
    /// To close and end the program.
    Quit,
}

/// Why a phone is not steered from outside.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Nobody can connect to us.
    #[error("Other programs can't steer this one: {0}.")]
    Serve(std::io::Error),
    /// No phone runs with this folder.
    #[error("No Chordial runs with the folder {0}: start it first, or give --state.")]
    NotRunning(PathBuf),
    /// The connection is gone or speaks another language.
    #[error("The connection to the running Chordial was lost.")]
    Lost,
    /// What was asked for was not done: its sentence.
    #[error("{0}")]
    Refused(String),
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct Door {
    address: SocketAddr,
    token: String,
}

fn door(folder: &Path) -> PathBuf {
    folder.join("control.json")
}
