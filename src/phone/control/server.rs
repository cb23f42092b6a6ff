//! The phone's end of the connection.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::{ControlError, Door, Wish, door, to_dial};
use crate::link::os_seed;
use crate::phone::api::{Command, Event, Settings};
use crate::phone::handle::Handle;
use crate::phone::state::write_private;

/// Lets programs of the same user steer a phone, until it is dropped.
#[derive(Debug)]
pub struct Control {
    door: PathBuf,
    listening: AbortHandle,
}

impl Control {
    /// Lets programs in that can read the user's folder. Who has a window gives where wishes
    /// about it go. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`ControlError::Serve`] if this computer can't be reached by itself, or the folder not be
    /// written.
    pub fn serve(
        phone: Handle,
        folder: &Path,
        window: Option<mpsc::Sender<Wish>>,
    ) -> Result<Self, ControlError> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let listener = listener.map_err(ControlError::Serve)?;
        let address = listener.local_addr().map_err(ControlError::Serve)?;
        let token = hex::encode(os_seed());
        let content = serde_json::to_vec(&Door { address, token: token.clone() });
        let door = door(folder);
        // One that a program has left behind may be readable by others.
        let _ = std::fs::remove_file(&door);
        write_private(&door, &content.unwrap_or_default()).map_err(ControlError::Serve)?;
        let house = House {
            phone,
            window,
            token: digest(&SHA256, token.as_bytes()).as_ref().to_vec(),
            strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
            clients: Semaphore::new(CLIENTS_MAX),
        };
        let listening = tokio::spawn(listen(listener, Arc::new(house))).abort_handle();
        Ok(Self { door, listening })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.listening.abort();
        // If it stays, nobody answers there.
        let _ = std::fs::remove_file(&self.door);
    }
}

/// What all connections share.
struct House {
    phone: Handle,
    window: Option<mpsc::Sender<Wish>>,
    /// The digest of the token: how long its comparison takes tells nothing about the token.
    token: Vec<u8>,
    /// Room for those who have not shown the token yet.
    strangers: Arc<Semaphore>,
    /// Room for those who have.
    clients: Semaphore,
}

async fn listen(listener: TcpListener, house: Arc<House>) {
    let mut visits = JoinSet::new();
    loop {
        while visits.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_AGAIN).await;
            continue;
        };
        if let Ok(permit) = house.strangers.clone().try_acquire_owned() {
            let house = house.clone();
            visits.spawn(async move {
                // A connection that ends is no news to anybody.
                let _ = visit(stream, &house, permit).await;
            });
        }
    }
}

/// One connection, from the token to its end.
async fn visit(
    stream: TcpStream,
    house: &House,
    stranger: tokio::sync::OwnedSemaphorePermit,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let mut client = Client {
        house,
        reader: BufReader::new(read),
        writer: write,
        line: Zeroizing::default(),
        phone: house.phone.clone(),
        events: None,
        follows_snapshots: false,
    };
    let hello = timeout(HELLO_MAX, next_line(&mut client.reader, &mut client.line)).await;
    let token = match hello {
        Ok(Ok(true)) => serde_json::from_slice(&client.line).map(|Hello { token }| token),
        _ => return Ok(()),
    };
    let is_known = token.is_ok_and(|t| digest(&SHA256, t.as_bytes()).as_ref() == house.token);
    if !is_known {
        return client.say(&json!({ "error": "The token is not the one of control.json." })).await;
    }
    let Ok(_room) = house.clients.try_acquire() else {
        return client.say(&json!({ "error": "Too many programs are connected already." })).await;
    };
    drop(stranger);
    let version = env!("CARGO_PKG_VERSION");
    client.say(&json!({ "chordial": version, "window": house.window.is_some() })).await?;
    client.serve().await
}

#[derive(Deserialize)]
struct Hello {
    token: String,
}

/// A line from the other program. One member beside the id is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default)]
    id: Value,
    command: Option<Command>,
    set: Option<Map<String, Value>>,
    show: Option<Vec<String>>,
    follow: Option<Vec<Followed>>,
    open: Option<String>,
    close: Option<bool>,
    quit: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Followed {
    Events,
    Snapshots,
}

/// A program that has shown the token.
struct Client<'a> {
    house: &'a House,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// The line that is coming in; it may have a password.
    line: Zeroizing<Vec<u8>>,
    phone: Handle,
    events: Option<broadcast::Receiver<Event>>,
    follows_snapshots: bool,
}

impl Client<'_> {
    async fn serve(&mut self) -> io::Result<()> {
        self.line.clear();
        loop {
            tokio::select! {
                line = next_line(&mut self.reader, &mut self.line) => match line {
                    Ok(true) => {
                        let answer = self.answer().await;
                        self.line.clear();
                        self.say(&answer).await?;
                    }
                    Ok(false) => return Ok(()),
                    Err(error) => {
                        return self.say(&json!({ "error": format!("{error}.") })).await;
                    }
                },
                event = next_event(&mut self.events) => match event {
                    Ok(event) => self.say(&serde_json::to_value(event)?).await?,
                    Err(broadcast::error::RecvError::Lagged(lost)) => {
                        self.say(&json!({ "event": "lost", "events": lost })).await?;
                    }
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                alive = self.phone.changed(), if self.follows_snapshots => match alive {
                    true => {
                        let snapshot = serde_json::to_value(&*self.phone.snapshot())?;
                        self.say(&json!({ "snapshot": snapshot })).await?;
                    }
                    false => return Ok(()),
                },
            }
        }
    }

    async fn answer(&mut self) -> Value {
        let request: Request = match serde_json::from_slice(&self.line) {
            Ok(request) => request,
            Err(error) => return json!({ "error": format!("The line is no request: {error}.") }),
        };
        let id = request.id.clone();
        let mut answer = match self.carry_out(request).await {
            Ok(answer) => answer,
            Err(sentence) => json!({ "error": sentence }),
        };
        answer["id"] = id;
        answer
    }

    async fn carry_out(&mut self, request: Request) -> Result<Value, String> {
        let done = json!({ "done": true });
        match request {
            Request { command: Some(command), .. } => {
                self.phone.ask(command).await?;
                Ok(done)
            }
            Request { set: Some(fields), .. } => {
                let settings = changed(&self.phone.snapshot().settings, fields)?;
                self.phone.ask(Command::Configure(Box::new(settings))).await?;
                Ok(done)
            }
            Request { show: Some(parts), .. } => {
                let snapshot = serde_json::to_value(&*self.phone.snapshot());
                let snapshot = shown(snapshot.unwrap_or_default(), &parts)?;
                Ok(json!({ "snapshot": snapshot }))
            }
            Request { follow: Some(what), .. } => {
                for followed in what {
                    match followed {
                        Followed::Events => self.events = Some(self.phone.events()),
                        Followed::Snapshots => self.follows_snapshots = true,
                    }
                }
                Ok(done)
            }
            Request { open: Some(address), .. } => {
                let address = Some(address).filter(|address| !address.is_empty());
                let to_dial = address.map(|address| to_dial(&address)).transpose()?;
                self.wish(Wish::Open(to_dial)).map(|()| done)
            }
            Request { close: Some(true), .. } => self.wish(Wish::Close).map(|()| done),
            Request { quit: Some(true), .. } => self.wish(Wish::Quit).map(|()| done),
            _ => Err("The line asks for nothing.".to_owned()),
        }
    }

    fn wish(&self, wish: Wish) -> Result<(), String> {
        let window = self.house.window.as_ref().ok_or("This Chordial has no window.")?;
        window.try_send(wish).map_err(|_| "The window does not answer.".to_owned())
    }

    async fn say(&mut self, value: &Value) -> io::Result<()> {
        let mut line = value.to_string();
        line.push('\n');
        timeout(WRITE_MAX, self.writer.write_all(line.as_bytes())).await?
    }
}

/// Goes on reading a line, which may have begun already; `false` at the end of the connection.
async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    let room = LINE_MAX.saturating_sub(line.len());
    reader.take(room as u64).read_until(b'\n', line).await?;
    match line.ends_with(b"\n") {
        true => Ok(true),
        false if line.len() >= LINE_MAX => Err(io::Error::other("The line is too long")),
        false => Ok(false),
    }
}

async fn next_event(
    events: &mut Option<broadcast::Receiver<Event>>,
) -> Result<Event, broadcast::error::RecvError> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

/// Settings with some of them changed.
fn changed(before: &Settings, fields: Map<String, Value>) -> Result<Settings, String> {
    let mut settings = serde_json::to_value(before).unwrap_or_default();
    for (name, value) in fields {
        let place = settings.get_mut(&name);
        *place.ok_or_else(|| format!("There is no setting {name:?}."))? = value;
    }
    serde_json::from_value(settings).map_err(|e| format!("That setting can't be so: {e}."))
}

/// These parts of a snapshot, or all of it.
fn shown(mut snapshot: Value, parts: &[String]) -> Result<Value, String> {
    if parts.is_empty() {
        return Ok(snapshot);
    }
    let mut some = Map::new();
    for part in parts {
        let value = snapshot.get_mut(part).map(Value::take);
        let value = value.ok_or_else(|| format!("There is nothing of the name {part:?}."))?;
        some.insert(part.clone(), value);
    }
    Ok(Value::Object(some))
}

// limits

/// A request with a long text in it; whoever sends more is cut off.
const LINE_MAX: usize = 64 << 10;
/// Programs at a time.
const CLIENTS_MAX: usize = 16;
/// Connections that have not shown the token yet: any program of this computer can make some.
const STRANGERS_MAX: usize = 16;
/// How long they may take to show it.
const HELLO_MAX: Duration = Duration::from_secs(5);
/// Who does not read for so long is cut off.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// How soon to look again after the system had no room for a connection.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);
