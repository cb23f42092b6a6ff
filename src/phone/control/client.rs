//! The other program's end of the connection.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ControlError, Door, door};

/// A connection to the phone that runs with a user's folder.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<TcpStream>,
    has_window: bool,
    last_id: u64,
    /// What has come while an answer was waited for.
    followed: VecDeque<Value>,
}

impl Client {
    /// Connects to the phone.
    ///
    /// # Errors
    /// [`ControlError::NotRunning`] without one, else [`ControlError::Refused`] or
    /// [`ControlError::Lost`].
    pub fn connect(folder: &Path) -> Result<Self, ControlError> {
        let not_running = || ControlError::NotRunning(folder.to_path_buf());
        let text = std::fs::read(door(folder)).map_err(|_| not_running())?;
        let door: Door = serde_json::from_slice(&text).map_err(|_| not_running())?;
        // A file that was left behind names a port where nobody listens.
        let stream = TcpStream::connect_timeout(&door.address, CONNECT_MAX);
        let stream = stream.map_err(|_| not_running())?;
        let mut client = Self {
            stream: BufReader::new(stream),
            has_window: false,
            last_id: 0,
            followed: VecDeque::new(),
        };
        client.wait_at_most(Some(ANSWER_MAX))?;
        client.say(&json!({ "token": door.token }))?;
        let hello = client.line()?;
        if let Some(sentence) = hello["error"].as_str() {
            return Err(ControlError::Refused(sentence.to_owned()));
        }
        client.has_window = hello["window"].as_bool().ok_or(ControlError::Lost)?;
        Ok(client)
    }

    /// Whether the phone has a window.
    pub fn has_window(&self) -> bool {
        self.has_window
    }

    /// Makes a request, such as `{"show":["calls"]}`, and gives the answer to it.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with the phone's sentence if it was not done.
    pub fn ask(&mut self, mut request: Value) -> Result<Value, ControlError> {
        self.last_id += 1;
        request["id"] = json!(self.last_id);
        self.wait_at_most(Some(ANSWER_MAX))?;
        self.say(&request)?;
        loop {
            let line = self.line()?;
            if line["id"] != request["id"] && line.get("error").is_none() {
                self.followed.push_back(line);
                continue;
            }
            return match line["error"].as_str() {
                Some(sentence) => Err(ControlError::Refused(sentence.to_owned())),
                None => Ok(line),
            };
        }
    }

    /// Waits for the next line that was asked for by `follow`.
    ///
    /// # Errors
    /// [`ControlError::Lost`] once the phone has ended.
    pub fn next_line(&mut self) -> Result<Value, ControlError> {
        if let Some(line) = self.followed.pop_front() {
            return Ok(line);
        }
        self.wait_at_most(None)?;
        self.line()
    }

    fn say(&mut self, value: &Value) -> Result<(), ControlError> {
        let line = format!("{value}\n");
        self.stream.get_mut().write_all(line.as_bytes()).map_err(|_| ControlError::Lost)
    }

    fn line(&mut self) -> Result<Value, ControlError> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(LINE_MAX).read_until(b'\n', &mut line);
        read.map_err(|_| ControlError::Lost)?;
        serde_json::from_slice(&line).map_err(|_| ControlError::Lost)
    }

    fn wait_at_most(&self, time: Option<Duration>) -> Result<(), ControlError> {
        self.stream.get_ref().set_read_timeout(time).map_err(|_| ControlError::Lost)
    }
}

/// How long the system may take to connect within the computer.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long the phone may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// A snapshot with a long history and many contacts.
const LINE_MAX: u64 = 64 << 20;
