//! Two windows on a screen of their own, driven by keys and clicks alone: one starts an overlay and
//! copies its invitation, the other joins by that link alone; they call each other, decline, and
//! come back after a restart. And the same with an overlay that has accounts. What is awaited is
//! what can be seen from outside: window titles, pixels, files and the list of calls. Needs the
//! packages `xvfb`, `xdotool`, `imagemagick` and `libgl1-mesa-dri`.
#![cfg(all(feature = "gui", target_os = "linux"))]

#[path = "support/screen.rs"]
mod screen;

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use screen::Screen;

/// Longest wait for anything; a machine with other things to do is slow.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Behind "Hang up" and "Decline", and nothing else.
const RED: [u8; 3] = [0xc9, 0x2f, 0x2a];
/// Behind "Answer", and nothing else.
const GREEN: [u8; 3] = [0x1c, 0x7c, 0x3f];
/// Behind the main button of a page, and behind initials.
const TEAL: [u8; 3] = [0x0c, 0x73, 0x6b];

#[test]
fn two_windows_call_each_other_by_keys_and_clicks() {
    let screen = Screen::start();
    let folder = tempfile::tempdir().expect("a folder");
    let mut alice = Window::open(&screen, &folder.path().join("alice"), 0);
    let bob = Window::open(&screen, &folder.path().join("bob"), 1000);

    start_and_invite(&alice);
    // Bob pastes the link.
    bob.keys(&["Tab", "Return", "ctrl+v", "Tab", "Tab"]);
    bob.write("bob");
    bob.key("Return");
    bob.await_title("Chordial \u{b7} bob@smith");

    answered_and_hung_up(&alice, &bob);
    declined(&alice, &bob);
    closed_in_a_call(&mut alice, &bob);

    // The window comes back as it was, and its founder brings the overlay back.
    let alice = Window::open(&screen, &folder.path().join("alice"), 0);
    assert_eq!(alice.size(), (1000, 700), "the window has the size that it had");
    alice.keys(&["Tab", "Tab", "Return"]);
    alice.await_title("Chordial \u{b7} alice@smith");
    assert_eq!(alice.calls().len(), 3);
    bob.key("ctrl+q");
    alice.key("ctrl+q");
    for mut window in [alice, bob] {
        window.await_end();
    }
}

/// Alice starts an overlay whose names her computer gives out, and copies a link for one person;
/// bob pastes it, chooses a password, is in and rings. Her computer stops dead, and the overlay
/// comes back with the program.
#[test]
fn an_overlay_with_accounts_is_started_and_rung_in() {
    let screen = Screen::start();
    let folder = tempfile::tempdir().expect("a folder");
    let home = folder.path().join("alice");
    let alice = Window::open(&screen, &home, 0);
    let bob = Window::open(&screen, &folder.path().join("bob"), 1000);

    let began = Instant::now();
    alice.keys(&["Tab", "Tab", "Return"]);
    alice.write("smith");
    alice.keys(&["Tab"]);
    alice.write("alice");
    alice.keys(&["Tab", "Tab", "Tab", "Return", "ctrl+a"]);
    alice.write(&free_address());
    alice.key("Return");
    alice.await_title("Chordial \u{b7} alice@smith");
    wait("the code of an invitation", || alice.shows_code());
    alice.settle(None);
    alice.keys(&["Tab", "Return", "Escape"]);
    bob.keys(&["Tab", "Return", "ctrl+v", "Tab", "Tab"]);
    bob.write("bob");
    bob.key("Return");
    bob.await_title("Chordial \u{b7} bob@smith \u{2014} not joined");
    bob.settle(None);
    bob.write("open sesame");
    bob.keys(&["Tab"]);
    bob.write("open sesame");
    bob.key("Return");
    bob.await_title("Chordial \u{b7} bob@smith");
    bob.write("alice");
    bob.key("Return");
    alice.await_title("Chordial \u{b7} alice@smith \u{2014} bob is calling you");
    println!("from the first key to the ringing: {:.1} s", began.elapsed().as_secs_f32());

    let accounts = accounts(&home);
    assert_eq!(accounts, [("alice".to_owned(), 1), ("bob".to_owned(), 1)]);
    // It is killed.
    drop(alice);
    let mut alice = Window::open(&screen, &home, 0);
    alice.await_title("Chordial \u{b7} alice@smith");
    assert_eq!(self::accounts(&home), accounts);
    alice.key("ctrl+q");
    alice.await_end();
}

/// The accounts of the overlay that a program with this folder gives out the names of, and how
/// many devices each has.
fn accounts(state: &Path) -> Vec<(String, i64)> {
    let path = state.join("hosted/smith/overlay.db");
    let data = rusqlite::Connection::open(path).expect("a database");
    data.busy_timeout(PATIENCE).expect("accepted");
    let query = "SELECT name, (SELECT count(*) FROM node_ids WHERE account = accounts.id)
                 FROM accounts ORDER BY name";
    let mut statement = data.prepare(query).expect("a table");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").collect::<Result<_, _>>().expect("accounts")
}

/// An address of this computer with a port that is free.
fn free_address() -> String {
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    port.expect("a free port").to_string()
}

/// Alice starts an overlay in which everybody takes a name, and copies the link of its invitation.
fn start_and_invite(alice: &Window) {
    let listen = free_address();
    alice.keys(&["Tab", "Tab", "Return"]);
    alice.write("smith");
    alice.keys(&["Tab"]);
    alice.write("alice");
    // Past the first way in which people get their names, to the second.
    alice.keys(&["Tab", "Tab", "space", "Tab", "Return", "ctrl+a"]);
    alice.write(&listen);
    alice.key("Return");
    alice.await_title("Chordial \u{b7} alice@smith");
    alice.settle(None);
    alice.keys(&["Tab", "Return", "Escape"]);
}

/// Bob calls by keys, alice answers by a key, and bob hangs up by a click.
fn answered_and_hung_up(alice: &Window, bob: &Window) {
    bob.write("alice");
    bob.key("Return");
    alice.await_title("Chordial \u{b7} alice@smith \u{2014} bob is calling you");
    // A key that comes together with the call is not taken for an answer: press again.
    alice.press_until("Return", |title| title.ends_with("in a call with bob"));
    let since = Instant::now();
    bob.await_title("Chordial \u{b7} bob@smith \u{2014} in a call with alice");
    let muted = |window: &Window| window.count(TEXT) > MUTE_AREA;
    bob.key("ctrl+m");
    wait("the mute button to light up", || muted(bob));
    bob.key("ctrl+m");
    wait("the mute button to go out", || !muted(bob));
    // A call of more than a second takes that long.
    wait("a second of talk", || since.elapsed() > Duration::from_millis(1500));
    bob.click(RED);
    bob.await_title("Chordial \u{b7} bob@smith");
    alice.await_title("Chordial \u{b7} alice@smith");
    for (window, peer, incoming) in [(alice, "bob@smith", true), (bob, "alice@smith", false)] {
        let call = window.await_call(1);
        assert_eq!((call.peer.as_str(), call.incoming, call.answered), (peer, incoming, true));
        assert!(call.duration_ms >= 1000, "{call:?}");
    }
    assert_eq!(bob.await_call(1).outcome, "You hung up.");
    assert_eq!(alice.await_call(1).outcome, "bob@smith hung up.");
}

/// Alice calls again by a click, and bob declines by a click.
fn declined(alice: &Window, bob: &Window) {
    alice.click_lowest(TEAL);
    bob.await_title("Chordial \u{b7} bob@smith \u{2014} alice is calling you");
    bob.click(RED);
    for (window, outcome) in [(alice, "bob@smith declined."), (bob, "You declined.")] {
        let call = window.await_call(2);
        assert_eq!((call.outcome.as_str(), call.answered), (outcome, false));
    }
    alice.await_title("Chordial \u{b7} alice@smith");
    bob.await_title("Chordial \u{b7} bob@smith");
}

/// Alice answers by a click, and closes the window in the call: it asks first.
fn closed_in_a_call(alice: &mut Window, bob: &Window) {
    alice.resize(1000, 700);
    bob.click_lowest(TEAL);
    alice.await_title("Chordial \u{b7} alice@smith \u{2014} bob is calling you");
    alice.click(GREEN);
    let talking = "Chordial \u{b7} alice@smith \u{2014} in a call with bob";
    alice.await_title(talking);
    bob.await_title("Chordial \u{b7} bob@smith \u{2014} in a call with alice");
    let asked = |alice: &Window| alice.count(RED) == 0;
    for _ in 0..2 {
        alice.key("ctrl+q");
        wait("the question", || asked(alice));
        alice.key("Escape");
        wait("the question to go", || !asked(alice));
        assert_eq!(alice.title(), talking, "Esc keeps the call");
    }
    alice.key("ctrl+q");
    wait("the question", || asked(alice));
    alice.click_lowest(TEAL);
    alice.await_end();
    bob.await_title("Chordial \u{b7} bob@smith");
    let call = bob.await_call(3);
    assert_eq!((call.outcome.as_str(), call.answered), ("alice@smith hung up.", true));
}

/// The colour of text, and of the mute button when it is lit.
const TEXT: [u8; 3] = [0xec, 0xf2, 0xf2];
/// The list of calls ends before this column.
const LIST_RIGHT: usize = 410;
/// More than all letters of a page have together, and less than a lit button.
const MUTE_AREA: usize = 1400;

/// One running program with its window.
struct Window {
    program: Child,
    display: String,
    id: String,
    state: PathBuf,
}

/// A row of the list of calls.
#[derive(Debug)]
struct Call {
    incoming: bool,
    peer: String,
    duration_ms: i64,
    outcome: String,
    answered: bool,
}

impl Window {
    fn open(screen: &Screen, state: &Path, x: u32) -> Self {
        // Whoever is on the network around has no part in this.
        std::fs::create_dir_all(state).expect("a folder");
        // Neither has talked to the other before.
        let settings = "hidden_on_lan = true\nstrangers_ring = true\n";
        std::fs::write(state.join("settings.toml"), settings).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_chordial"));
        command
            .arg("--state")
            .arg(state)
            .env("DISPLAY", &screen.display)
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("XDG_RUNTIME_DIR", state.parent().expect("a folder"))
            // No sound from or to whoever runs this test.
            .env("PULSE_SERVER", "unix:/nonexistent")
            // Whoever runs the tests wants no keys of theirs among their own.
            .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WAYLAND_SOCKET");
        let program = command.spawn().expect("the program is built");
        let display = screen.display.clone();
        let pid = program.id().to_string();
        let mut window = Self { program, display, id: String::new(), state: state.into() };
        wait("the window", || {
            let found = window.try_xdotool(&["search", "--onlyvisible", "--pid", &pid]);
            window.id = found.lines().last().unwrap_or_default().to_owned();
            !window.id.is_empty()
        });
        window.xdotool(&["windowmove", &window.id, &x.to_string(), "0"]);
        window.settle(None);
        window
    }

    fn try_xdotool(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("xdotool");
        let output = command.args(arguments).env("DISPLAY", &self.display).output();
        let output = output.expect("xdotool is installed");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn xdotool(&self, arguments: &[&str]) {
        let mut command = Command::new("xdotool");
        let status = command.args(arguments).env("DISPLAY", &self.display).status();
        assert!(status.expect("xdotool is installed").success(), "xdotool {arguments:?}");
    }

    /// What the window shows: three bytes for each pixel, row by row.
    fn look(&self) -> Vec<u8> {
        let mut command = Command::new("import");
        command.args(["-silent", "-window", &self.id, "-depth", "8", "rgb:-"]);
        let output = command.env("DISPLAY", &self.display).output();
        output.expect("imagemagick is installed").stdout
    }

    /// Waits until the window shows something else than `before`, and that for three looks.
    fn settle(&self, before: Option<Vec<u8>>) {
        let mut last = before.clone().unwrap_or_default();
        let mut same = 0;
        wait("the window to come to rest", || {
            let now = self.look();
            same = if now == last && Some(&now) != before.as_ref() { same + 1 } else { 0 };
            last = now;
            same >= 2
        });
    }

    fn focus(&self) {
        self.xdotool(&["windowfocus", "--sync", &self.id]);
    }

    fn key(&self, key: &str) {
        self.focus();
        self.xdotool(&["key", key]);
    }

    /// Keys one after the other, each once the one before is seen to have worked.
    fn keys(&self, keys: &[&str]) {
        self.focus();
        for key in keys {
            let before = self.look();
            self.xdotool(&["key", key]);
            self.settle(Some(before));
        }
    }

    fn write(&self, text: &str) {
        self.focus();
        let before = self.look();
        self.xdotool(&["type", "--delay", "4", text]);
        self.settle(Some(before));
    }

    /// Presses a key, again if it was not taken, until the title is as wanted.
    fn press_until(&self, key: &str, wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            self.key(key);
            let patience = Instant::now() + Duration::from_secs(2);
            while Instant::now() < patience {
                if wanted(&self.title()) {
                    return;
                }
                sleep(LOOK);
            }
        }
        panic!("{key} did not help: {}", self.title());
    }

    fn size(&self) -> (usize, usize) {
        let text = self.try_xdotool(&["getwindowgeometry", "--shell", &self.id]);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.parse().ok()).expect("a size")
        };
        (value("WIDTH="), value("HEIGHT="))
    }

    fn resize(&self, width: u32, height: u32) {
        let before = self.look();
        self.xdotool(&["windowsize", &self.id, &width.to_string(), &height.to_string()]);
        self.settle(Some(before));
    }

    /// Where pixels of a colour are, right of the list of calls.
    fn pixels(&self, colour: [u8; 3]) -> Vec<(usize, usize)> {
        let (width, picture) = (self.size().0, self.look());
        let at = |index: usize| (index % width, index / width);
        let (pixels, _) = picture.as_chunks::<3>();
        let found = pixels.iter().enumerate().filter(|(_, pixel)| **pixel == colour);
        found.map(|(index, _)| at(index)).filter(|(x, _)| *x >= LIST_RIGHT).collect()
    }

    /// Whether there is a QR code somewhere: nothing else is as white.
    fn shows_code(&self) -> bool {
        const AREA: usize = 10_000;
        let picture = self.look();
        picture.as_chunks::<3>().0.iter().filter(|pixel| **pixel == [0xff; 3]).count() > AREA
    }

    fn count(&self, colour: [u8; 3]) -> usize {
        self.pixels(colour).len()
    }

    /// Clicks into the middle of all pixels of a colour, once there are some.
    fn click(&self, colour: [u8; 3]) {
        wait("something to click on", || self.count(colour) > 500);
        self.click_middle(&self.pixels(colour));
    }

    /// Clicks on the lowest thing of a colour.
    fn click_lowest(&self, colour: [u8; 3]) {
        /// Less than the height of a button.
        const HEIGHT: usize = 30;
        self.settle(None);
        let pixels = self.pixels(colour);
        let lowest = pixels.iter().map(|(_, y)| *y).max().expect("something to click on");
        let from = lowest.saturating_sub(HEIGHT);
        let part: Vec<_> = pixels.into_iter().filter(|(_, y)| *y >= from).collect();
        self.click_middle(&part);
    }

    fn click_middle(&self, pixels: &[(usize, usize)]) {
        let count = pixels.len().max(1);
        let x = pixels.iter().map(|(x, _)| x).sum::<usize>() / count;
        let y = pixels.iter().map(|(_, y)| y).sum::<usize>() / count;
        self.focus();
        self.xdotool(&["mousemove", "--window", &self.id, &x.to_string(), &y.to_string()]);
        self.xdotool(&["click", "1"]);
    }

    fn title(&self) -> String {
        self.try_xdotool(&["getwindowname", &self.id])
    }

    fn await_title(&self, wanted: &str) {
        let mut title = String::new();
        let deadline = Instant::now() + PATIENCE;
        while title != wanted {
            assert!(Instant::now() < deadline, "the title is {title:?}, not {wanted:?}");
            sleep(LOOK);
            title = self.title();
        }
    }

    /// The list of calls, the oldest first.
    fn calls(&self) -> Vec<Call> {
        let path = self.state.join("chordial.db");
        let data = rusqlite::Connection::open(path).expect("a database");
        data.busy_timeout(PATIENCE).expect("accepted");
        let query = "SELECT incoming, peer, duration_ms, outcome, answered FROM calls ORDER BY id";
        let mut statement = data.prepare(query).expect("a table");
        let rows = statement.query_map([], |row| {
            Ok(Call {
                incoming: row.get(0)?,
                peer: row.get(1)?,
                duration_ms: row.get(2)?,
                outcome: row.get(3)?,
                answered: row.get(4)?,
            })
        });
        rows.expect("rows").collect::<Result<_, _>>().expect("calls")
    }

    /// The last of exactly `count` calls, once there are so many.
    fn await_call(&self, count: usize) -> Call {
        wait("the list of calls", || self.calls().len() >= count);
        let mut calls = self.calls();
        assert_eq!(calls.len(), count);
        calls.pop().expect("just counted")
    }

    /// The program ends by itself and in order.
    fn await_end(&mut self) {
        let mut status = None;
        wait("the program to end", || {
            status = self.program.try_wait().expect("a child");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // Without a window a picture would wait for somebody to choose one.
        if std::thread::panicking() && !self.id.is_empty() {
            let name = format!("window-{}.png", self.id);
            let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            let mut command = Command::new("import");
            command.args(["-silent", "-window", &self.id]).arg(&picture);
            let _ = command.env("DISPLAY", &self.display).status();
            eprintln!("the window looked like {}", picture.display());
        }
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(LOOK);
    }
}
