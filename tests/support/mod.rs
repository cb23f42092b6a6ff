//! Overlays of real processes: each phone is the program itself, watched by its JSON lines.
//! Whatever was started ends with its [`Phone`].
#![allow(dead_code, reason = "each file of tests uses a part of this")]

pub mod baresip;
pub mod halting;
pub mod internet;
pub mod lan;
pub mod registrar;
pub mod router;
pub mod served;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chordial::media::{SAMPLE_RATE, compare, read_wav};
use serde_json::Value;

/// The name of the overlays here.
pub const OVERLAY: &str = "lab.example";
/// What bob's side says; the callers say the other.
pub const SPEECH_BOB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/speech-bob.wav");
/// What the callers say.
pub const SPEECH_ALICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/speech-alice.wav");
/// The longest wait for one step of a process on a busy machine. No step takes as long unless it
/// hangs: the slowest one is to join beside a peer that died, where requests of five
/// transmissions, 15 s, are tried one after the other.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Other speech correlates with less than 0.5, a call without loss with 0.9. A machine that is busy
/// with other work delays frames, and the jitter buffer then moves some of the few seconds here.
const CORRELATION_MIN: f32 = 0.55;
/// Other speech stays below this.
const CORRELATION_OTHER_MAX: f32 = 0.45;
/// The latest that speech may begin in a recording, in samples.
const LAG_MAX: usize = 2 * SAMPLE_RATE as usize;

/// The program, to run with other arguments than a phone's.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chordial"));
    command.stdin(Stdio::null());
    command
}

/// An overlay's document, a folder for its users, and where they join.
pub struct Overlay {
    folder: tempfile::TempDir,
    bootstrap: String,
}

impl Overlay {
    /// A document, and nobody there.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let overlay = Self { folder, bootstrap: String::new() };
        let made = program()
            .args(["overlay", "new", OVERLAY, "--out"])
            .arg(overlay.document())
            .output()
            .expect("the program starts");
        assert!(made.status.success(), "{made:?}");
        overlay
    }

    /// An overlay with its first peer, whose phone rings until the caller gives up.
    pub fn found(user: &str) -> (Self, Phone) {
        Self::new().founded(user, &[])
    }

    /// This overlay, founded by a peer with these options.
    pub fn founded(self, user: &str, options: &[&str]) -> (Self, Phone) {
        let founder = self.peer(user, &[&["--first"], options].concat());
        self.founded_by(founder)
    }

    /// An overlay with its first peer, which answers every call and speaks.
    pub fn found_by_speaker(user: &str) -> (Self, Phone) {
        let overlay = Self::new();
        let founder = overlay.speaker_with(user, &["--first"]);
        overlay.founded_by(founder)
    }

    fn founded_by(mut self, mut founder: Phone) -> (Self, Phone) {
        let joined = founder.wait("joined");
        self.bootstrap = joined["listen"].as_str().expect("an address").to_owned();
        founder.wait("registered");
        (self, founder)
    }

    pub fn document(&self) -> PathBuf {
        self.path("overlay.xml")
    }

    /// Where the first peer listens.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// A file in the overlay's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a peer; a user's state is in the folder of that name.
    pub fn peer(&self, user: &str, options: &[&str]) -> Phone {
        self.start(program().arg("peer"), user, user, options)
    }

    /// Starts another command of `user`, on the folder of that name.
    pub fn run(&self, command: &[&str], user: &str, options: &[&str]) -> Phone {
        self.start(program().args(command), user, user, options)
    }

    /// Starts a peer of `user` whose state is in another folder.
    pub fn device(&self, user: &str, device: &str, options: &[&str]) -> Phone {
        self.start(program().arg("peer"), user, device, options)
    }

    /// Starts a peer that answers every call and speaks, and records to `USER-heard.wav`.
    pub fn speaker(&self, user: &str) -> Phone {
        self.speaker_with(user, &[])
    }

    /// As [`Self::speaker`], with further options.
    pub fn speaker_with(&self, user: &str, options: &[&str]) -> Phone {
        let mut command = program();
        command.args(["peer", "--answer", "--play", SPEECH_BOB, "--record"]);
        command.arg(self.heard_by(user));
        self.start(&mut command, user, user, options)
    }

    /// Starts a call from a further device of `user`, which speaks and records.
    pub fn call(&self, user: &str, name: &str, seconds: u64, options: &[&str]) -> Phone {
        let device = format!("{user}-calling");
        let mut command = program();
        command.args(["call", name, "--seconds", &seconds.to_string(), "--another-device"]);
        command.args(["--play", SPEECH_ALICE, "--record"]).arg(self.heard_by(&device));
        self.start(&mut command, user, &device, options)
    }

    /// Where a device's recording is.
    pub fn heard_by(&self, device: &str) -> PathBuf {
        self.path(&format!("{device}-heard.wav"))
    }

    fn start(&self, command: &mut Command, user: &str, device: &str, options: &[&str]) -> Phone {
        command.args(["--json", "--user", user, "--listen", "127.0.0.1:0", "--overlay"]);
        command.arg(self.document()).arg("--state").arg(self.path(device));
        if !self.bootstrap.is_empty() {
            command.args(["--bootstrap", &self.bootstrap]);
        }
        Phone::start(command.args(options), device)
    }
}

/// A running process of the program; killed when dropped.
pub struct Phone {
    /// The device's name in what a failing test says.
    pub device: String,
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    seen: Vec<String>,
}

impl Phone {
    /// Starts a command that prints JSON.
    pub fn start(command: &mut Command, device: &str) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut stderr = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).map(|_| text).unwrap_or_default()
        });
        Self { device: device.to_owned(), child, lines, stderr: Some(stderr), seen: Vec::new() }
    }

    /// The next event of this name; events before it are passed over.
    pub fn wait(&mut self, event: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    let value: Value = serde_json::from_str(&line).unwrap_or_default();
                    self.seen.push(line);
                    if value["event"] == event {
                        return value;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.fail(&format!("no {event:?} in time")),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait();
                    self.fail(&format!("ended ({status:?}) before {event:?}"))
                }
            }
        }
    }

    /// Whether an event of this name has come, now that the process has ended or another event
    /// has been waited for.
    pub fn has_seen(&self, event: &str) -> bool {
        self.seen.iter().any(|line| {
            let value: Value = serde_json::from_str(line).unwrap_or_default();
            value["event"] == event
        })
    }

    /// Waits for the end of the process: its exit code and all its events.
    pub fn finish(&mut self) -> (i32, Vec<Value>) {
        let until = Instant::now() + PATIENCE;
        loop {
            let rest = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => self.fail("did not end in time"),
            }
        }
        let status: ExitStatus = self.child.wait().expect("our child");
        let parsed = self.seen.iter().map(|line| serde_json::from_str(line).expect("JSON lines"));
        (status.code().unwrap_or(-1), parsed.collect())
    }

    /// Waits for the end: the exit code and the sentence that the last call ended with.
    pub fn outcome(&mut self) -> (i32, String) {
        let (code, events) = self.finish();
        let ended = events.iter().rev().find(|event| event["event"] == "ended");
        let Some(reason) = ended.and_then(|event| event["reason"].as_str()) else {
            self.fail("no call ended");
        };
        (code, reason.to_owned())
    }

    /// What the process wrote to stderr until its end.
    pub fn stderr(&mut self) -> String {
        self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default()
    }

    /// What it has printed, as far as it was waited for.
    pub fn log(&self) -> String {
        self.seen.join("\n")
    }

    /// Its memory in KiB, as the system counts it.
    #[cfg(target_os = "linux")]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.expect("a figure").split_whitespace();
        words.filter_map(|word| word.parse().ok()).next().expect("a number")
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends what a service manager sends.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Stops the process as it is.
    pub fn suspend(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub fn wake(&self) {
        self.signal("CONT");
    }

    /// Ends the process without giving it a chance to say so.
    pub fn kill(&mut self) {
        self.child.kill().expect("a running process");
        self.child.wait().expect("our child");
    }

    fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &line]).status().expect("a shell");
        assert!(status.success(), "{} is running", self.device);
    }

    fn fail(&mut self, what: &str) -> ! {
        // Stopping it closes its stderr.
        let _ = self.child.kill();
        let stderr = self.stderr();
        panic!("{}: {what}\n{}\n{stderr}", self.device, self.log());
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used of a processor, in seconds, as the system counts it.
#[cfg(target_os = "linux")]
pub fn cpu_s(pid: u32) -> f64 {
    /// Of the system's own clock.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, which may hold anything, ends with the last parenthesis.
    let figures = stat.rsplit(')').next().unwrap_or_default();
    let figures: Vec<f64> =
        figures.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    figures.get(10..12).map_or(0.0, |ticks| ticks.iter().sum::<f64>() / TICKS_PER_S)
}

/// Fails unless a recording has what was said.
pub fn assert_heard(said: &str, recording: &Path) {
    let (speech, heard) = sounds(said, recording);
    let coefficient = fits(&speech, &heard);
    println!("{said} in {}: {coefficient}", recording.display());
    assert!(coefficient >= CORRELATION_MIN, "{said} in {}: {coefficient}", recording.display());
}

/// Fails if a recording has what was not said to it.
pub fn assert_not_heard(said: &str, recording: &Path) {
    let (speech, heard) = sounds(said, recording);
    let coefficient = compare::correlation(arrived(&speech, &heard), &heard, LAG_MAX).coefficient;
    assert!(
        coefficient < CORRELATION_OTHER_MAX,
        "{said} in {}: {coefficient}",
        recording.display()
    );
}

/// Fails unless a recording has what was said, from this sample of both on.
pub fn assert_heard_from(said: &Path, recording: &Path, from: usize) {
    let said = read_wav(said).expect("speech");
    let heard = read_wav(recording).expect("a recording");
    let coefficient = fits(&said[from.min(said.len())..], &heard[from.min(heard.len())..]);
    println!("in {} from sample {from}: {coefficient}", recording.display());
    assert!(coefficient >= CORRELATION_MIN, "{}: {coefficient}", recording.display());
}

/// What was said, and what was recorded.
fn sounds(said: &str, recording: &Path) -> (Vec<f32>, Vec<f32>) {
    let read = |path: &Path| read_wav(path).expect("a recording");
    (read(Path::new(said)), read(recording))
}

/// How well the better half of the seconds of one sound fits another.
fn fits(said: &[f32], heard: &[f32]) -> f32 {
    compare::better_half(arrived(said, heard), heard, LAG_MAX)
}

/// What was said that a recording should have: what was said in its last second may have come after
/// the call's end.
fn arrived<'a>(said: &'a [f32], heard: &[f32]) -> &'a [f32] {
    let second = SAMPLE_RATE as usize;
    assert!(heard.len() > 2 * second, "{} samples", heard.len());
    &said[..said.len().min(heard.len() - second)]
}
