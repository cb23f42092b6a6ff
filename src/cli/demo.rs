//! The demonstration: an overlay of several processes on loopback, in which alice calls bob by
//! name and both must hear what the other says.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::{DONE, FAILED};
use crate::config::OverlayConfig;
use crate::media::{SAMPLE_RATE, compare, read_wav};

/// Runs it and says what was heard.
pub(super) async fn run(peers: u8, seconds: u64, json: bool, pcap: Option<PathBuf>) -> u8 {
    let mut demo = match Demo::new(json, pcap) {
        Ok(demo) => demo,
        Err(sentence) => {
            eprintln!("chordial: {sentence}");
            return FAILED;
        }
    };
    let result = demo.run(peers, seconds).await;
    demo.stop().await;
    match result {
        Ok(()) => {
            demo.say("done", "Both sides heard what the other said.", json!({ "ok": true }));
            DONE
        }
        Err(sentence) => {
            demo.say("failed", &sentence, json!({ "ok": false }));
            FAILED
        }
    }
}

/// A running demonstration.
struct Demo {
    json: bool,
    /// Where the messages of alice's first call are written.
    pcap: Option<PathBuf>,
    start: Instant,
    folder: PathBuf,
    program: PathBuf,
    peers: Vec<Peer>,
}

/// One process.
struct Peer {
    user: String,
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    fn new(json: bool, pcap: Option<PathBuf>) -> Result<Self, String> {
        let program =
            std::env::current_exe().map_err(|e| format!("The program can't find itself: {e}."))?;
        let name = format!("chordial-demo-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.join(name), bytes)
                .map_err(|e| format!("The folder {} can't be used: {e}.", folder.display()))
        };
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("The folder {} can't be made: {e}.", folder.display()))?;
        write("alice.wav", include_bytes!("../../assets/speech-alice.wav"))?;
        write("bob.wav", include_bytes!("../../assets/speech-bob.wav"))?;
        let config = OverlayConfig::self_signed(OVERLAY).map_err(|e| format!("{e}."))?;
        write("overlay.xml", config.write().as_bytes())?;
        Ok(Self { json, pcap, start: Instant::now(), folder, program, peers: Vec::new() })
    }

    async fn run(&mut self, count: u8, seconds: u64) -> Result<(), String> {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let founder = self.spawn("carol", &["--first"], loopback)?;
        let joined = self.wait(founder, "joined").await?;
        let address = joined["listen"].as_str().unwrap_or_default().to_owned();
        self.wait(founder, "registered").await?;
        let text = format!("carol founded the overlay {OVERLAY} and listens on {address}.");
        self.say("founded", &text, json!({ "user": "carol", "listen": address }));
        let bob = self.path("bob.wav");
        let bob_heard = self.path("bob-heard.wav");
        let options = ["--bootstrap", &address, "--answer", "--play", &bob, "--record", &bob_heard];
        let mut joining = vec![self.spawn("bob", &options, loopback)?];
        for extra in 0..usize::from(count).saturating_sub(3) {
            let user = USERS.get(extra).map_or(format!("user{extra}"), |user| (*user).to_owned());
            joining.push(self.spawn(&user, &["--bootstrap", &address], loopback)?);
        }
        for peer in joining {
            self.wait(peer, "registered").await?;
            let user = self.peers[peer].user.clone();
            let text = format!("{user} joined and stored {user}@{OVERLAY} in the overlay.");
            self.say("registered", &text, json!({ "user": user }));
        }
        self.call(&address, seconds, "first").await?;
        if self.peers.len() > 3 {
            self.kill_an_idle_peer().await;
            self.call(&address, seconds, "second").await?;
        }
        Ok(())
    }

    /// alice joins, calls bob, and both recordings are compared with what was said.
    async fn call(&mut self, address: &str, seconds: u64, which: &str) -> Result<(), String> {
        let alice_heard = self.path(&format!("alice-heard-{which}.wav"));
        self.say("calling", "alice joins and calls bob by name.", json!({ "call": which }));
        let seconds_text = seconds.to_string();
        let (state, document) = (self.path("alice"), self.path("overlay.xml"));
        let play = self.path("alice.wav");
        let mut command = Command::new(&self.program);
        command.args(["call", "bob", "--seconds", &seconds_text, "--json"]);
        if let Some(pcap) = self.pcap.take() {
            command.args(["--pcap".as_ref(), pcap.as_os_str()]);
        }
        let output = command
            .args(["--overlay", &document, "--user", "alice", "--state", &state])
            .args(["--listen", "127.0.0.1:0", "--bootstrap", address])
            .args(["--play", &play, "--record", &alice_heard])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output();
        let patience = PATIENCE + Duration::from_secs(seconds);
        let output = timeout(patience, output)
            .await
            .map_err(|_| "alice's call did not end in time.".to_owned())?
            .map_err(|e| format!("alice's process can't be started: {e}."))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let report = lines.last().cloned().unwrap_or_default();
        if !output.status.success() {
            let reason =
                lines.iter().rev().find_map(|l| l["reason"].as_str().or(l["message"].as_str()));
            return Err(format!("The call failed: {}", reason.unwrap_or("no reason was given.")));
        }
        self.tell_steps(&report);
        let bob = self.peers.iter().position(|p| p.user == "bob").ok_or("bob is gone.")?;
        self.wait(bob, "ended").await?;
        self.compare("bob", "alice.wav", "bob-heard.wav")?;
        self.compare("alice", "bob.wav", &format!("alice-heard-{which}.wav"))
    }

    /// The call's own figures, step by step.
    fn tell_steps(&self, report: &Value) {
        let ms = |name: &str| report[name].as_u64().map_or("?".to_owned(), |ms| format!("{ms} ms"));
        let steps = [
            format!(
                "  Fetch found bob's registration over {} links after {}.",
                report["hops"],
                ms("fetch_ms")
            ),
            format!("  AppAttach was answered after {}.", ms("attach_ms")),
            format!(
                "  ICE found a path after {}, DTLS secured it after {}.",
                ms("ice_ms"),
                ms("dtls_ms")
            ),
            format!(
                "  bob's phone rang after {} and was answered after {}.",
                ms("ringing_ms"),
                ms("answered_ms")
            ),
            format!(
                "  Sound: {} packets sent, {} received, {} lost, on {}.",
                report["packets_sent"],
                report["packets_received"],
                report["packets_lost"],
                report["path"].as_str().unwrap_or("no path"),
            ),
        ];
        if self.json {
            self.say("call", "", report.clone());
        } else {
            for step in steps {
                println!("{step}");
            }
        }
    }

    /// Whether a recording has what the other side said.
    fn compare(&self, who: &str, said: &str, heard: &str) -> Result<(), String> {
        let read = |name: &str| read_wav(&self.folder.join(name)).map_err(|e| e.to_string());
        let (said, heard) = (read(said)?, read(heard)?);
        // What was said at the call's very end may not have arrived.
        let arrived = heard.len().saturating_sub(SAMPLE_RATE as usize / 2);
        let said = &said[..said.len().min(arrived)];
        let fits = compare::better_half(said, &heard, LAG_MAX_S * SAMPLE_RATE as usize);
        let coefficient = f64::from(fits);
        let text = format!(
            "{who} heard what was said (correlation {coefficient:.2} in the better half of the \
             seconds)."
        );
        let details = json!({ "who": who, "correlation": coefficient });
        if coefficient < CORRELATION_MIN {
            let text = format!(
                "{who} did not hear what was said: correlation {coefficient:.2}, \
                 at least {CORRELATION_MIN} expected."
            );
            return Err(text);
        }
        self.say("heard", &text, details);
        Ok(())
    }

    async fn kill_an_idle_peer(&mut self) {
        let Some(at) = self.peers.iter().rposition(|p| p.user != "bob" && p.user != "carol") else {
            return;
        };
        let mut peer = self.peers.remove(at);
        // It is gone without a word either way.
        let _ = peer.child.kill().await;
        let text = format!("{} was killed without a farewell; alice calls again.", peer.user);
        self.say("killed", &text, json!({ "user": peer.user }));
    }

    fn spawn(&mut self, user: &str, options: &[&str], listen: SocketAddr) -> Result<usize, String> {
        let (state, document) = (self.path(user), self.path("overlay.xml"));
        let mut child = Command::new(&self.program)
            .args(["peer", "--json", "--user", user, "--state", &state])
            .args(["--overlay", &document, "--listen", &listen.to_string()])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("The process of {user} can't be started: {e}."))?;
        let stdout = child.stdout.take().ok_or("A process has no output.")?;
        let events = BufReader::new(stdout).lines();
        self.peers.push(Peer { user: user.to_owned(), child, events });
        Ok(self.peers.len() - 1)
    }

    /// Waits for an event of a process.
    async fn wait(&mut self, peer: usize, wanted: &str) -> Result<Value, String> {
        let peer = &mut self.peers[peer];
        let user = &peer.user;
        let found = async {
            while let Ok(Some(line)) = peer.events.next_line().await {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["event"] == wanted {
                    return Some(event);
                }
            }
            None
        };
        timeout(PATIENCE, found)
            .await
            .map_err(|_| format!("{user} did not come as far as \"{wanted}\" in time."))?
            .ok_or_else(|| format!("The process of {user} ended before \"{wanted}\"."))
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn say(&self, event: &str, text: &str, mut details: Value) {
        if self.json {
            let at_ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            details["event"] = json!(event);
            details["at_ms"] = json!(at_ms);
            println!("{details}");
        } else {
            println!("{text}");
        }
    }

    /// Ends all processes and takes the folder away.
    async fn stop(&mut self) {
        for mut peer in self.peers.drain(..) {
            let _ = peer.child.kill().await;
        }
        remove(&self.folder);
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        eprintln!("chordial: the folder {} could not be removed: {error}.", folder.display());
    }
}

const OVERLAY: &str = "demo.example";
/// Those who only route and store.
const USERS: [&str; 7] = ["dave", "erin", "frank", "grace", "heidi", "ivan", "judy"];
/// The longest wait for a step of one process.
const PATIENCE: Duration = Duration::from_secs(40);
/// The latest that speech may begin in a recording, in seconds.
const LAG_MAX_S: usize = 2;
/// Other speech correlates with about 0.3; a call on loopback with more than 0.9, and with 0.6
/// where the machine is too busy to keep time.
const CORRELATION_MIN: f64 = 0.55;
