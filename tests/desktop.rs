//! The window on a desktop: a real bus with services that this test plays, a screen without eyes,
//! and another phone that calls. What is awaited is what those services are told. Needs the
//! packages `xvfb`, `xdotool`, `libgl1-mesa-dri` and `dbus-daemon`.
#![cfg(all(feature = "gui", target_os = "linux"))]

#[path = "support/screen.rs"]
mod screen;
mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use screen::Screen;
use serde_json::json;
use support::{Overlay, PATIENCE, Phone, SPEECH_BOB, program};
use zbus::zvariant::{OwnedFd, OwnedValue, Value};
use zbus::{Connection, interface};

/// A call comes in and is declined, the next one answered, the third one missed and called back,
/// all by notifications. The computer stays awake while they talk, and the music pauses.
#[test]
fn calls_are_taken_and_declined_by_notifications() {
    let desk = Desk::start();
    let (lab, mut bob) = founded_by_bob();
    let mut alice = desk.open_window(&lab, "alice", &[]);
    desk.join(&lab, "alice");

    desk.ctl(&lab, "bob", &["call", "alice"]);
    let notice = desk.notice("bob is calling you");
    assert_eq!((notice.body.as_str(), notice.urgency), ("bob@lab.example", 2));
    let actions: Vec<&str> = notice.actions.iter().step_by(2).map(String::as_str).collect();
    assert_eq!(actions, ["default", "answer", "decline"]);
    desk.click(&notice, "decline");
    assert_eq!(bob.wait("ended")["reason"], "alice@lab.example declined.");
    desk.await_told(&format!("close {}", notice.id));

    desk.ctl(&lab, "bob", &["call", "alice"]);
    let notice = desk.notice("bob is calling you");
    desk.click(&notice, "answer");
    bob.wait("answered");
    desk.await_told("inhibit sleep:idle Chordial block");
    desk.await_told("pause");
    desk.ctl(&lab, "bob", &["hang-up"]);
    bob.wait("ended");
    desk.await_told("play");
    // The other end of the lock is closed: the computer may sleep.
    let mut lock = desk.lock.recv_timeout(PATIENCE).expect("a lock");
    assert_eq!(lock.read(&mut [0]).expect("an end"), 0);

    desk.ctl(&lab, "bob", &["call", "alice"]);
    desk.notice("bob is calling you");
    desk.ctl(&lab, "bob", &["hang-up"]);
    bob.wait("ended");
    let notice = desk.notice("You have missed a call from bob");
    assert_eq!((notice.actions[2].as_str(), notice.urgency), ("call-back", 1));
    desk.click(&notice, "call-back");
    assert_eq!(bob.wait("incoming")["peer"], "alice@lab.example");
    desk.ctl(&lab, "bob", &["decline"]);

    desk.ctl(&lab, "alice", &["quit"]);
    assert_eq!(ended(&mut alice), Some(0));
}

/// The sign in the tray says how it is. The window closes to it and comes back: by a click there,
/// by a second start, and by a link. Its menu ends the program.
#[test]
fn the_window_lives_in_the_tray() {
    let desk = Desk::start();
    let (lab, _bob) = founded_by_bob();
    let mut alice = desk.open_window(&lab, "alice", &["--hidden"]);
    let item = desk.item();
    desk.await_property(&item, "ToolTip", "Not joined");
    desk.join(&lab, "alice");
    desk.await_property(&item, "Title", "alice@lab.example");
    desk.await_property(&item, "ToolTip", "Joined");
    // It was to start there; its first frame may be seen.
    wait("the window to go", || !desk.is_visible(&alice));
    desk.ask(&item, ITEM_PATH, ITEM, "Activate", &(0, 0));
    wait("the window", || desk.is_visible(&alice));

    for come_back in ["a click", "a second start", "a link"] {
        desk.ctl(&lab, "alice", &["close"]);
        wait("the window to go", || !desk.is_visible(&alice));
        assert!(desk.ctl(&lab, "alice", &["status"]).contains("can be called"));
        match come_back {
            "a click" => desk.ask(&item, ITEM_PATH, ITEM, "Activate", &(0, 0)),
            "a second start" => desk.start_again(&lab, "alice", &[]),
            _ => desk.start_again(&lab, "alice", &["sip:bob@lab.example;transport=udp"]),
        }
        wait(come_back, || desk.is_visible(&alice));
    }
    // What the link has put into the dial field is called by a key.
    let id = desk.windows(&alice);
    desk.xdotool(&["windowfocus", "--sync", &id]);
    desk.press_until_calling(&lab, "alice", "bob@lab.example");

    desk.ctl(&lab, "alice", &["hang-up"]);
    desk.ask(
        &item,
        MENU_PATH,
        MENU,
        "Event",
        &(desk.menu_id(&item, "Quit"), "clicked", Value::from(0), 0_u32),
    );
    assert_eq!(ended(&mut alice), Some(0));
}

/// Without a tray the window's button ends the program, and a window that was to start in the tray
/// shows itself; the entry for the start with the session comes and goes with the setting.
#[test]
fn without_a_tray_nothing_is_hidden() {
    let desk = Desk::bare();
    let (lab, _bob) = founded_by_bob();
    let mut alice = desk.open_window(&lab, "alice", &["--hidden"]);
    wait("the window", || desk.is_visible(&alice));
    let entry = desk.folder.path().join("config/autostart/chordial.desktop");
    desk.ctl(&lab, "alice", &["settings", "start_at_login=true"]);
    wait("the entry", || entry.exists());
    let text = std::fs::read_to_string(&entry).expect("an entry");
    let program = env!("CARGO_BIN_EXE_chordial");
    assert!(text.contains(&format!("\nExec=\"{program}\" --hidden\n")), "{text}");
    desk.ctl(&lab, "alice", &["settings", "start_at_login=false"]);
    wait("no entry", || !entry.exists());
    desk.ctl(&lab, "alice", &["close"]);
    assert_eq!(ended(&mut alice), Some(0));
}

const ITEM: &str = "org.kde.StatusNotifierItem";
const ITEM_PATH: &str = "/StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";
const MENU_PATH: &str = "/MenuBar";

fn founded_by_bob() -> (Overlay, Phone) {
    let lab = Overlay::new();
    let heard = lab.heard_by("bob");
    let heard = heard.to_str().expect("UTF-8").to_owned();
    lab.founded("bob", &["--play", SPEECH_BOB, "--record", &heard])
}

/// A notification as the desktop gets it.
#[derive(Debug)]
struct Notice {
    id: u32,
    summary: String,
    body: String,
    actions: Vec<String>,
    urgency: u8,
}

/// A session: a bus, a screen, and the services of a desktop.
struct Desk {
    folder: tempfile::TempDir,
    screen: Screen,
    daemon: Child,
    address: String,
    runtime: tokio::runtime::Runtime,
    bus: Connection,
    notices: Receiver<Notice>,
    told: Receiver<String>,
    items: Receiver<String>,
    lock: Receiver<std::io::PipeReader>,
}

impl Desk {
    /// With everything that a desktop has.
    fn start() -> Self {
        Self::with(true)
    }

    /// With a bus and nothing on it.
    fn bare() -> Self {
        Self::with(false)
    }

    fn with(has_services: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (daemon, address) = start_bus(folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (notice_tx, notices) = channel();
        let (told_tx, told) = channel();
        let (item_tx, items) = channel();
        let (lock_tx, lock) = channel();
        let bus = runtime.block_on(async {
            let bus = zbus::connection::Builder::address(address.as_str()).expect("an address");
            let bus = bus.build().await.expect("the bus");
            if has_services {
                let notifications =
                    Notifications { notices: notice_tx, told: told_tx.clone(), last: 0 };
                let player = Player { told: told_tx.clone(), plays: true };
                let login = Login { told: told_tx, locks: lock_tx };
                let server = bus.object_server();
                server.at("/org/freedesktop/Notifications", notifications).await.expect("served");
                server.at("/org/mpris/MediaPlayer2", player).await.expect("served");
                server.at("/org/freedesktop/login1", login).await.expect("served");
                server.at("/StatusNotifierWatcher", Watcher(item_tx)).await.expect("served");
                for name in [
                    "org.freedesktop.Notifications",
                    "org.mpris.MediaPlayer2.mock",
                    "org.freedesktop.login1",
                    "org.kde.StatusNotifierWatcher",
                ] {
                    bus.request_name(name).await.expect("a name");
                }
            }
            bus
        });
        let screen = Screen::start();
        Self { folder, screen, daemon, address, runtime, bus, notices, told, items, lock }
    }

    fn command(&self, state: &Path, arguments: &[&str]) -> Command {
        let mut command = program();
        command
            .arg("--state")
            .arg(state)
            .args(arguments)
            .env("DISPLAY", &self.screen.display)
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
            .env("PULSE_SERVER", "unix:/nonexistent")
            .env("DBUS_SESSION_BUS_ADDRESS", &self.address)
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.address)
            .env("LANG", "C")
            .env_remove("LC_ALL")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WAYLAND_SOCKET");
        command
    }

    fn open_window(&self, lab: &Overlay, user: &str, arguments: &[&str]) -> Window {
        let state = lab.path(user);
        std::fs::create_dir_all(&state).expect("a folder");
        let settings = "hidden_on_lan = true\nstrangers_ring = true\n";
        std::fs::write(state.join("settings.toml"), settings).expect("written");
        let mut window =
            Window(self.command(&state, arguments).spawn().expect("the program starts"));
        wait("a phone that can be steered", || state.join("control.json").exists());
        wait("the window", || {
            assert_eq!(window.0.try_wait().expect("our child"), None, "the program has ended");
            !self.found(&window, &[]).is_empty()
        });
        window
    }

    /// Starts the program once more with the same folder: it ends at once.
    fn start_again(&self, lab: &Overlay, user: &str, arguments: &[&str]) {
        let output = self.command(&lab.path(user), arguments).output().expect("it starts");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }

    fn run_ctl(&self, lab: &Overlay, user: &str, arguments: &[&str]) -> Output {
        let mut command = program();
        command.arg("ctl").args(arguments).arg("--state").arg(lab.path(user));
        command.output().expect("the program starts")
    }

    fn ctl(&self, lab: &Overlay, user: &str, arguments: &[&str]) -> String {
        let output = self.run_ctl(lab, user, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn join(&self, lab: &Overlay, user: &str) {
        let entrance = json!({ "document": lab.document() });
        let join = json!({ "entrance": entrance, "user": user, "bootstrap": [lab.bootstrap()] });
        self.ctl(lab, user, &["do", &json!({ "join": join }).to_string()]);
        wait("the overlay", || self.ctl(lab, user, &["status"]).contains("can be called"));
    }

    fn notice(&self, summary: &str) -> Notice {
        loop {
            let notice = self.notices.recv_timeout(PATIENCE).expect(summary);
            if notice.summary == summary {
                return notice;
            }
        }
    }

    fn await_told(&self, what: &str) {
        while self.told.recv_timeout(PATIENCE).expect(what) != what {}
    }

    fn click(&self, notice: &Notice, action: &str) {
        let (path, interface) = ("/org/freedesktop/Notifications", "org.freedesktop.Notifications");
        let body = (notice.id, action);
        let signal = self.bus.emit_signal(None::<&str>, path, interface, "ActionInvoked", &body);
        self.runtime.block_on(signal).expect("sent");
    }

    /// The bus name of the sign in the tray.
    fn item(&self) -> String {
        self.items.recv_timeout(PATIENCE).expect("a sign in the tray")
    }

    fn call<T>(&self, to: &str, path: &str, of: &str, method: &str, body: &T) -> zbus::Message
    where
        T: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let call = self.bus.call_method(Some(to), path, Some(of), method, body);
        self.runtime.block_on(call).expect(method)
    }

    fn ask<T>(&self, to: &str, path: &str, of: &str, method: &str, body: &T)
    where
        T: serde::Serialize + zbus::zvariant::DynamicType,
    {
        self.call(to, path, of, method, body);
    }

    fn await_property(&self, item: &str, name: &str, words: &str) {
        wait(words, || {
            let properties = "org.freedesktop.DBus.Properties";
            let answer = self.call(item, ITEM_PATH, properties, "Get", &(ITEM, name));
            let value: OwnedValue = answer.body().deserialize().expect("a value");
            format!("{value:?}").contains(words)
        });
    }

    /// The number of an entry of the menu.
    fn menu_id(&self, item: &str, label: &str) -> i32 {
        let body = (0_i32, -1_i32, Vec::<String>::new());
        let answer = self.call(item, MENU_PATH, MENU, "GetLayout", &body);
        type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);
        let (_, (_, _, entries)): (u32, Layout) = answer.body().deserialize().expect("a menu");
        let id = entries.into_iter().find_map(|entry| {
            let (id, properties, _): Layout = entry.try_into().ok()?;
            let shown: String = properties.get("label")?.try_clone().ok()?.try_into().ok()?;
            (shown == label).then_some(id)
        });
        id.expect(label)
    }

    fn xdotool(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("xdotool");
        let output = command.args(arguments).env("DISPLAY", &self.screen.display).output();
        let output = output.expect("xdotool is installed");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    fn found(&self, window: &Window, how: &[&str]) -> String {
        let pid = window.0.id().to_string();
        let found = self.xdotool(&[&["search"], how, &["--pid", &pid]].concat());
        found.lines().last().unwrap_or_default().to_owned()
    }

    fn windows(&self, window: &Window) -> String {
        self.found(window, &["--onlyvisible"])
    }

    fn is_visible(&self, window: &Window) -> bool {
        !self.windows(window).is_empty()
    }

    fn press_until_calling(&self, lab: &Overlay, user: &str, peer: &str) {
        wait("a call", || {
            self.xdotool(&["key", "Return"]);
            let shown = self.ctl(lab, user, &["show", "calls"]);
            let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
            shown["calls"][0]["peer"] == peer
        });
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A bus of our own, and its address.
fn start_bus(folder: &Path) -> (Child, String) {
    let socket: PathBuf = folder.join("bus");
    let mut command = Command::new("dbus-daemon");
    command.args(["--session", "--nofork", "--print-address"]);
    command.arg(format!("--address=unix:path={}", socket.display()));
    let mut daemon = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("dbus-daemon is installed");
    let mut address = String::new();
    let output = daemon.stdout.take().expect("piped");
    BufReader::new(output).read_line(&mut address).expect("an address");
    (daemon, address.trim().to_owned())
}

/// A running program with a window; killed when dropped.
struct Window(Child);

impl Drop for Window {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The exit code of a program that ends by itself.
fn ended(program: &mut Window) -> Option<i32> {
    let mut status = None;
    wait("the end of the program", || {
        status = program.0.try_wait().expect("our child");
        status.is_some()
    });
    status.and_then(|status| status.code())
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Notifications {
    notices: Sender<Notice>,
    told: Sender<String>,
    last: u32,
}

#[interface(name = "org.freedesktop.Notifications")]
impl Notifications {
    #[expect(clippy::too_many_arguments, reason = "the specification has them")]
    fn notify(
        &mut self,
        _app_name: String,
        _replaces_id: u32,
        _app_icon: String,
        summary: String,
        body: String,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        self.last += 1;
        let urgency = hints.get("urgency").and_then(|value| value.downcast_ref::<u8>().ok());
        let urgency = urgency.unwrap_or(u8::MAX);
        let _ = self.notices.send(Notice { id: self.last, summary, body, actions, urgency });
        self.last
    }

    fn close_notification(&self, id: u32) {
        let _ = self.told.send(format!("close {id}"));
    }
}

struct Player {
    told: Sender<String>,
    plays: bool,
}

#[interface(name = "org.mpris.MediaPlayer2.Player")]
impl Player {
    fn pause(&mut self) {
        self.plays = false;
        let _ = self.told.send("pause".to_owned());
    }

    fn play(&mut self) {
        self.plays = true;
        let _ = self.told.send("play".to_owned());
    }

    #[zbus(property)]
    fn playback_status(&self) -> &str {
        if self.plays { "Playing" } else { "Paused" }
    }
}

struct Login {
    told: Sender<String>,
    locks: Sender<std::io::PipeReader>,
}

#[interface(name = "org.freedesktop.login1.Manager")]
impl Login {
    fn inhibit(
        &self,
        what: String,
        who: String,
        _why: String,
        mode: String,
    ) -> zbus::zvariant::OwnedFd {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let _ = self.told.send(format!("inhibit {what} {who} {mode}"));
        let _ = self.locks.send(reader);
        OwnedFd::from(std::os::fd::OwnedFd::from(writer))
    }
}

struct Watcher(Sender<String>);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    fn register_status_notifier_item(&self, service: String) {
        let _ = self.0.send(service);
    }

    fn register_status_notifier_host(&self, _service: String) {}

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }
}
