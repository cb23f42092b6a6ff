//! What a call costs in round trips, from the name to 180 and to sound.
//!
//! `cargo bench --bench dial` (as root) makes computers with 100 ms between any two, an overlay of
//! eight peers on them, and prints for each kind of call when each step was done, in round trips
//! since the call began. A round trip is what opening a TCP connection takes there. With `nat` as
//! an argument caller and callee each stand behind a NAT that lets in only answers.
//!
//! With `lossy` the cables of caller and callee each lose 5 of 100 packets and delay them by 0 to
//! 100 ms, so that they overtake each other; fifty calls in a row are made, and it fails unless all
//! of them end in sound.
//!
//! A cold call is the first to a name: Fetch, AppAttach, ICE, DTLS, INVITE. Of a known contact the
//! Fetch runs beside the rest; to a favourite a connection is kept, and the INVITE goes at once.

#[path = "../support/mod.rs"]
mod support;

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chordial::phone::{
    CallId, CallReport, CallState, Command as Say, Entrance, Event, Handle, OverlayState,
    PhoneOptions, StateFolder, start,
};
use support::Phone;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [role, state, document, at] if role == CALLER => call(state, document, at.parse()?),
        [role, state, document, at] if role == LOSSY_CALLER => {
            call_often(state, document, at.parse()?)
        }
        others => {
            let is_asked = |name: &str| others.iter().any(|argument| argument == name);
            measure(is_asked("nat"), is_asked("lossy"))
        }
    }
}

/// Makes the lab and the overlay, and runs the caller on one of the computers.
fn measure(nat: bool, lossy: bool) -> Result<(), Box<dyn Error>> {
    let star = Star::new(PEERS)?;
    let folder = tempfile::tempdir()?;
    let document = folder.path().join("overlay.xml");
    let made =
        support::program().args(["overlay", "new", OVERLAY, "--out"]).arg(&document).output();
    assert!(made?.status.success());
    let mut peers = Vec::new();
    let bootstrap = format!("{}:6084", Star::address(1));
    for number in 1..PEERS {
        let is_callee = number == PEERS - 1;
        let user = if is_callee { CALLEE.to_owned() } else { format!("user{number}") };
        let place = if is_callee && nat { star.behind_nat(number)? } else { star.name(number) };
        let mut command = in_namespace(&place, Path::new(env!("CARGO_BIN_EXE_chordial")));
        command.args(["peer", "--json", "--answer", "--user", &user, "--overlay"]).arg(&document);
        command.arg("--state").arg(folder.path().join(&user));
        command.arg("--play").arg(support::SPEECH_BOB);
        command.arg("--record").arg(folder.path().join(format!("{user}.wav")));
        match number {
            1 => command.args(["--first", "--listen", &bootstrap]),
            _ => command.args(["--bootstrap", &bootstrap]),
        };
        let mut peer = Phone::start(&mut command, &user);
        peer.wait("registered");
        peers.push(peer);
    }
    let place = if nat { star.behind_nat(PEERS)? } else { star.name(PEERS) };
    if lossy {
        for number in [PEERS - 1, PEERS] {
            star.lossy(number)?;
        }
    }
    let mut caller = in_namespace(&place, &std::env::current_exe()?);
    let role = if lossy { LOSSY_CALLER } else { CALLER };
    caller.arg(role).arg(folder.path().join("caller")).arg(&document).arg(&bootstrap);
    assert!(caller.status()?.success(), "the caller ends well");
    Ok(())
}

/// Joins as one more peer and calls, cold and warm.
fn call(state: &str, document: &str, at: SocketAddr) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let round_trip = round_trip(at).await?;
        println!("one round trip: {:.1} ms", round_trip.as_secs_f64() * 1000.0);
        println!("{:24}{HEADER}", "in round trips");
        let mut caller = Caller::join(state, document, at).await?;
        tokio::time::sleep(SETTLE).await;
        for (name, pause) in [
            ("cold", Duration::ZERO),
            ("again at once", Duration::ZERO),
            ("known", FLOW_CLOSED),
            ("favourite", FLOW_KEPT),
        ] {
            tokio::time::sleep(pause).await;
            let (report, _) = caller.call().await?;
            print(name, &report, round_trip);
        }
        Ok(())
    })
}

/// Joins as one more peer and calls many times in a row.
fn call_often(state: &str, document: &str, at: SocketAddr) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut caller = Caller::join(state, document, at).await?;
        let mut answered_ms = Vec::new();
        for number in 1..=CALLS {
            let (report, is_heard) = caller.call().await?;
            match report.answered_ms.filter(|_| is_heard) {
                Some(ms) => answered_ms.push(ms),
                None => println!("call {number} failed: {report:?}"),
            }
            // The other side has hung up too by then, whichever datagrams are lost.
            tokio::time::sleep(HANG_UP).await;
        }
        answered_ms.sort_unstable();
        println!("{} of {CALLS} calls connected", answered_ms.len());
        if let [least, .., most] = answered_ms[..] {
            let median = answered_ms[answered_ms.len() / 2];
            println!("until the answer: {least} ms, median {median} ms, at most {most} ms");
        }
        if answered_ms.len() == CALLS { Ok(()) } else { Err("not every call connected".into()) }
    })
}

/// The time that it takes to open a TCP connection: the best of a few.
async fn round_trip(at: SocketAddr) -> Result<Duration, Box<dyn Error>> {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        tokio::net::TcpStream::connect(at).await?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn print(name: &str, report: &CallReport, round_trip: Duration) {
    let steps = [
        report.fetch_ms,
        report.attach_ms,
        report.ice_ms,
        report.dtls_ms,
        report.ringing_ms,
        report.answered_ms,
        report.sound_ms,
    ];
    let in_round_trips = |ms: Option<u64>| match ms {
        Some(ms) => format!("{:9.2}", ms as f64 / 1000.0 / round_trip.as_secs_f64()),
        None => format!("{:>9}", "-"),
    };
    println!("{name:24}{}", steps.map(in_round_trips).concat());
}

/// The phone that calls.
struct Caller {
    handle: Handle,
    events: tokio::sync::broadcast::Receiver<Event>,
}

impl Caller {
    async fn join(state: &str, document: &str, at: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let options = PhoneOptions {
            state: StateFolder::open(state)?,
            listen: None,
            auto_answer: false,
            play: Some(chordial::media::Recording::read(Path::new(support::SPEECH_ALICE))?),
            record: Some(PathBuf::from(format!("{state}.wav"))),
            pcap: None,
            is_attended: false,
        };
        let mut handle = start(options)?;
        let events = handle.events();
        let entrance = Entrance::Document(document.into());
        handle.send(Say::Join { entrance, user: "alice".into(), bootstrap: vec![at] });
        let is_in =
            |state: &OverlayState| matches!(state, OverlayState::Joined { registered: true, .. });
        while !handle.snapshot().memberships.iter().any(|m| is_in(&m.state)) {
            handle.changed().await;
        }
        Ok(Self { handle, events })
    }

    /// Calls until there is sound, and hangs up; whether there was.
    async fn call(&mut self) -> Result<(CallReport, bool), Box<dyn Error>> {
        self.handle.send(Say::Dial(CALLEE.into()));
        let mut is_heard = false;
        loop {
            match self.events.recv().await? {
                Event::Answered { call, .. } => is_heard = self.hang_up_once_heard(call).await,
                Event::Ended { report, reason, .. } => {
                    if !is_heard {
                        println!("{reason}");
                    }
                    return Ok((*report, is_heard));
                }
                _ => {}
            }
        }
    }

    async fn hang_up_once_heard(&mut self, call: CallId) -> bool {
        loop {
            let snapshot = self.handle.snapshot();
            match snapshot.calls.iter().find(|c| c.id == call) {
                Some(c) if c.level_received > 0.0 => break,
                Some(c) if !matches!(c.state, CallState::Ended { .. }) => {}
                _ => return false,
            }
            self.handle.changed().await;
        }
        self.handle.send(Say::HangUp(call));
        true
    }
}

/// Computers at a switch, with delay; all is gone when this is dropped.
struct Star {
    prefix: String,
}

impl Star {
    fn new(count: usize) -> Result<Self, Box<dyn Error>> {
        let star = Self { prefix: format!("dl{}", std::process::id()) };
        star.script(&["up", &count.to_string(), CABLE_MS])?;
        Ok(star)
    }

    fn script(&self, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/star.sh");
        let [command, rest @ ..] = arguments else { return Err("no command".into()) };
        let status = Command::new(script).arg(command).arg(&self.prefix).args(rest).status()?;
        if status.success() { Ok(()) } else { Err(format!("star.sh {command} failed").into()) }
    }

    fn name(&self, number: usize) -> String {
        format!("{}-{number}", self.prefix)
    }

    fn address(number: usize) -> String {
        format!("10.88.0.{number}")
    }

    /// Gives a computer a bad cable.
    fn lossy(&self, number: usize) -> Result<(), Box<dyn Error>> {
        self.script(&["cable", &number.to_string(), "delay=50", "jitter=50", "reorder=1", "loss=5"])
    }

    /// Makes a computer a NAT; what stands behind it.
    fn behind_nat(&self, number: usize) -> Result<String, Box<dyn Error>> {
        self.script(&["nat", &number.to_string()])?;
        Ok(format!("{}-in", self.name(number)))
    }
}

impl Drop for Star {
    fn drop(&mut self) {
        // What is left is said by the script.
        let _ = self.script(&["down"]);
    }
}

fn in_namespace(namespace: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

const OVERLAY: &str = "lab.example";
const CALLEE: &str = "bob";
const CALLER: &str = "caller";
const LOSSY_CALLER: &str = "lossy-caller";
/// Calls in a row over bad cables.
const CALLS: usize = 50;
const PEERS: usize = 8;
/// Over one cable: a round trip between two computers crosses four.
const CABLE_MS: &str = "25";
/// Links to neighbours and fingers are made.
const SETTLE: Duration = Duration::from_secs(10);
/// From hanging up to the end of the call on the other side.
const HANG_UP: Duration = Duration::from_secs(3);
/// A connection to somebody who has been called often is open by then.
const FLOW_KEPT: Duration = Duration::from_secs(75);
/// A connection that is not used is closed by then.
const FLOW_CLOSED: Duration = Duration::from_secs(25);
const HEADER: &str = "    Fetch   Attach      ICE     DTLS      180      200    sound";
