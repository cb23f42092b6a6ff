//! The two ends between a face and the phone.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::api::{Command, Event, Snapshot};

/// Commands waiting for the phone; a face that sends more in one go is told so by `false`.
pub const COMMANDS_MAX: usize = 64;
/// Commands waiting for an answer; further ones wait to be handed over.
const ASKS_MAX: usize = 8;
/// Events that a slow listener may miss none of; beyond this it loses the oldest.
pub const EVENTS_MAX: usize = 256;

/// Where the phone says what came of a command: one sentence if it could not be carried out.
pub type Reply = oneshot::Sender<Result<(), String>>;

/// A command whose sender waits.
pub type Ask = (Command, Reply);

/// A face's end of the phone. Clones share one phone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    asks: mpsc::Sender<Ask>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    events: broadcast::Sender<Event>,
}

/// The phone's end of a [`Handle`].
#[derive(Debug)]
pub struct Backend {
    /// Commands from the faces.
    pub commands: mpsc::Receiver<Command>,
    /// Commands whose senders wait for an answer.
    pub asks: mpsc::Receiver<Ask>,
    /// The current snapshot.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Events as they happen.
    pub events: broadcast::Sender<Event>,
}

/// A connected pair: the face's end and the phone's.
pub fn channel(snapshot: Snapshot) -> (Handle, Backend) {
    let (command_tx, command_rx) = mpsc::channel(COMMANDS_MAX);
    let (ask_tx, asks) = mpsc::channel(ASKS_MAX);
    let (snapshot_tx, snapshot_rx) = watch::channel(Arc::new(snapshot));
    let (events, _) = broadcast::channel(EVENTS_MAX);
    let handle = Handle {
        commands: command_tx,
        asks: ask_tx,
        snapshot: snapshot_rx,
        events: events.clone(),
    };
    (handle, Backend { commands: command_rx, asks, snapshot: snapshot_tx, events })
}

impl Handle {
    /// Hands the phone a command; `false` if it has ended or too many wait.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// Hands the phone a command and waits until it is carried out, or begun where that takes
    /// longer; then the snapshot shows it.
    ///
    /// # Errors
    /// One sentence that says why it could not be.
    pub async fn ask(&self, command: Command) -> Result<(), String> {
        let ended = || "The phone has ended.".to_owned();
        let (reply, answer) = oneshot::channel();
        self.asks.send((command, reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// The latest snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// Waits until a newer snapshot than the last one waited for exists; `false` once the phone
    /// has ended.
    pub async fn changed(&mut self) -> bool {
        self.snapshot.changed().await.is_ok()
    }

    /// Events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
