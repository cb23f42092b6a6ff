//! How soon the window is there, beside an empty window of eframe, and what it costs when nothing
//! happens.
//!
//! `cargo bench --bench window` opens both in turn on a screen that nobody sees (Debian's package
//! `xvfb`, with software OpenGL) and takes the time from the start of the process until the X
//! server maps its window, which eframe does once the first picture is drawn. Then it leaves ours
//! alone for a minute: first on its first pages, then in an overlay of its own; what it and its
//! threads have used is read from `/proc`. The second figure has the peer's own work in it.

#[path = "../support/screen.rs"]
mod screen;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use screen::Screen;

/// Starts of each; the first of each is not counted, for it reads the program from the disk.
const STARTS: usize = 9;
/// How long the window is left alone, after it has settled.
const REST: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const RATIO_MAX: f64 = 1.25;
const CPU_SHARE_MAX: f64 = 0.001;
/// The argument with which this program is the empty window.
const EMPTY: &str = "--empty-window";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == EMPTY) {
        empty_window();
        return ExitCode::SUCCESS;
    }
    let screen = Screen::start();
    // A screen that its last client leaves begins anew, and lets nobody in meanwhile.
    let _client = RootEvents::open(&screen.display);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut empty, mut ours) = (Vec::new(), Vec::new());
    for start in 0..=STARTS {
        let state = folder.path().join(start.to_string());
        empty.push(first_window(&screen, &mut empty_command()));
        ours.push(first_window(&screen, &mut our_command(&state)));
    }
    let [empty, ours] = [empty, ours].map(|times| median(times[1..].to_vec()));
    let ratio = ours / empty;
    println!("empty window after {empty:.0} ms, ours after {ours:.0} ms: ratio {ratio:.2}");
    let resting = cpu_share(&screen, &folder.path().join("resting"), false);
    println!("at rest on the first pages: {:.3} % of a core", 100.0 * resting);
    let joined = cpu_share(&screen, &folder.path().join("joined"), true);
    println!("at rest in an overlay: {:.3} % of a core", 100.0 * joined);
    let is_good = ratio <= RATIO_MAX && resting <= CPU_SHARE_MAX;
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Nothing;

impl eframe::App for Nothing {
    fn ui(&mut self, _ui: &mut egui::Ui, _frame: &mut eframe::Frame) {}
}

fn empty_window() {
    let options = eframe::NativeOptions::default();
    let create =
        Box::new(|_: &eframe::CreationContext<'_>| Ok(Box::new(Nothing) as Box<dyn eframe::App>));
    eframe::run_native("empty", options, create).expect("a window");
}

fn empty_command() -> Command {
    let mut command = Command::new(std::env::current_exe().expect("ourselves"));
    command.arg(EMPTY);
    command
}

fn our_command(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chordial"));
    command.arg("--state").arg(state);
    command
}

/// A program that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(screen: &Screen, command: &mut Command) -> Running {
    let command = command.env("DISPLAY", &screen.display).env_remove("WAYLAND_DISPLAY");
    // A desktop would be told of us.
    let command = command.env_remove("DBUS_SESSION_BUS_ADDRESS").env("LIBGL_ALWAYS_SOFTWARE", "1");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Running(child.expect("the program starts"))
}

/// Milliseconds from the start of a program until its window is there.
fn first_window(screen: &Screen, command: &mut Command) -> f64 {
    let mut events = RootEvents::open(&screen.display);
    let began = Instant::now();
    let running = start(screen, command);
    events.wait_for_map();
    let elapsed = began.elapsed();
    drop(running);
    elapsed.as_secs_f64() * 1000.0
}

/// The share of a core that our window uses when nothing happens.
fn cpu_share(screen: &Screen, state: &Path, is_in_overlay: bool) -> f64 {
    let mut events = RootEvents::open(&screen.display);
    let running = start(screen, &mut our_command(state));
    events.wait_for_map();
    if is_in_overlay {
        let listen = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let listen = listen.expect("a free port");
        let overlay = format!(
            r#"{{"start_overlay":{{"name":"bench.example","user":"alice","listen":"{listen}","#
        );
        let overlay = overlay + r#""kind":"self_signed"}}"#;
        ctl(state, &["do", &overlay]);
        let began = Instant::now();
        while !ctl(state, &["status"]).contains("alice@bench.example") {
            assert!(began.elapsed() < PATIENCE, "the overlay does not start");
            sleep(Duration::from_millis(200));
        }
    }
    sleep(SETTLE);
    let before = cpu_time(running.0.id());
    sleep(REST);
    (cpu_time(running.0.id()) - before).as_secs_f64() / REST.as_secs_f64()
}

fn ctl(state: &Path, words: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chordial"));
    let output = command.args(["ctl", "--state"]).arg(state).args(words).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What all threads of a process have had of the processor, to the nanosecond.
fn cpu_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let nanoseconds = threads.flatten().filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// A connection to the X server that hears of every window on the screen (X11 protocol, §8 and the
/// encoding in appendix B).
struct RootEvents(UnixStream);

impl RootEvents {
    fn open(display: &str) -> Self {
        let number = display.trim_start_matches(':');
        let mut stream =
            UnixStream::connect(format!("/tmp/.X11-unix/X{number}")).expect("a screen");
        stream.set_read_timeout(Some(PATIENCE)).expect("accepted");
        // Little-endian, protocol 11.0, no authorization.
        stream.write_all(&[b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0]).expect("written");
        let mut head = [0; 8];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(head[0], 1, "the screen lets nobody in");
        let mut setup = vec![0; 4 * usize::from(u16::from_le_bytes([head[6], head[7]]))];
        stream.read_exact(&mut setup).expect("the answer");
        let vendor = usize::from(u16::from_le_bytes([setup[16], setup[17]]));
        let (formats, fixed) = (usize::from(setup[21]), 32);
        let root = fixed + vendor.next_multiple_of(4) + 8 * formats;
        // ChangeWindowAttributes of the root: SubstructureNotify.
        let mut request = vec![2, 0, 4, 0];
        request.extend(&setup[root..root + 4]);
        request.extend(0x0000_0800_u32.to_le_bytes());
        request.extend(0x0008_0000_u32.to_le_bytes());
        stream.write_all(&request).expect("written");
        Self(stream)
    }

    fn wait_for_map(&mut self) {
        const MAP_NOTIFY: u8 = 19;
        let mut event = [0; 32];
        loop {
            self.0.read_exact(&mut event).expect("a window");
            if event[0] & 0x7f == MAP_NOTIFY {
                return;
            }
        }
    }
}
