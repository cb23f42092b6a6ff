//! The phone on the user's desktop, beside its window: notifications, a sign in the tray, no sleep
//! and no music during a call, and the start with the session. All of it by D-Bus; what a desktop
//! does not have is left out without a word.
//!
//! | file | what |
//! |---|---|
//! | `notices` | calls that come in or were missed, as notifications |
//! | `tray` | the sign in the tray and its menu |
//! | `quiet` | no sleep during a call, and other players paused |
//! | `autostart` | the start with the session |
//! | `page` | what the settings have about that |

#[cfg(target_os = "linux")]
mod autostart;
#[cfg(target_os = "linux")]
mod notices;
mod page;
#[cfg(target_os = "linux")]
mod quiet;
#[cfg(target_os = "linux")]
mod tray;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use egui::ViewportCommand;
use tokio::sync::{mpsc, oneshot, watch};

use crate::phone::{Handle, Wish};

pub use page::desktop_ui;

/// What the window and the desktop tell each other.
#[derive(Debug, Default)]
pub struct Shared {
    /// Whether the tray shows us, so that a window that is closed can be had again.
    pub has_tray: AtomicBool,
    /// Whether the window has been put away and nothing but the tray brings it back.
    pub is_away: AtomicBool,
    /// When the newest call was begun that the user has seen in the list, milliseconds since the
    /// Unix epoch.
    seen_unix_ms: watch::Sender<u64>,
}

impl Shared {
    /// The user has seen the list of calls up to this one.
    pub fn see(&self, unix_ms: u64) {
        self.seen_unix_ms.send_if_modified(|seen| std::mem::replace(seen, unix_ms) != unix_ms);
    }

    /// There is no tray, or none any more: a window that was closed to it has no other way back.
    fn lose_tray(&self, wishes: &mpsc::Sender<Wish>) {
        self.has_tray.store(false, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            let _ = wishes.try_send(Wish::Open(None));
        }
    }

    /// Takes the window from the screen until the tray brings it back. Wayland hides no window
    /// (and winit none there), so that it is made small.
    pub fn put_away(&self, ctx: &egui::Context) {
        self.is_away.store(true, Ordering::Relaxed);
        let is_wayland = std::env::var_os("WAYLAND_DISPLAY").is_some_and(|name| !name.is_empty());
        ctx.send_viewport_cmd(match is_wayland {
            true => ViewportCommand::Minimized(true),
            false => ViewportCommand::Visible(false),
        });
    }

    /// Brings the window to the front.
    pub fn bring_back(&self, ctx: &egui::Context) {
        self.is_away.store(false, Ordering::Relaxed);
        ctx.send_viewport_cmd(ViewportCommand::Visible(true));
        ctx.send_viewport_cmd(ViewportCommand::Minimized(false));
        ctx.send_viewport_cmd(ViewportCommand::Focus);
        ctx.request_repaint();
    }
}

/// The phone on the user's desktop, until it is dropped.
#[derive(Debug)]
pub struct Desktop {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Desktop {
    /// Shows the phone; what the user asks of the window goes to `wishes`. Without a desktop that
    /// can do so, nothing happens but that a window that is away is brought back.
    pub fn start(phone: Handle, wishes: mpsc::Sender<Wish>, is_away: bool) -> Self {
        let shared = Arc::new(Shared { is_away: is_away.into(), ..Shared::default() });
        let (stop, stopped) = oneshot::channel();
        let thread = spawn(phone, wishes, shared.clone(), stopped);
        Self { shared, stop: Some(stop), thread }
    }

    /// What the window has to know, and to tell.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn spawn(
    _: Handle,
    wishes: mpsc::Sender<Wish>,
    shared: Arc<Shared>,
    _: oneshot::Receiver<()>,
) -> Option<JoinHandle<()>> {
    shared.lose_tray(&wishes);
    None
}

#[cfg(target_os = "linux")]
fn spawn(
    phone: Handle,
    wishes: mpsc::Sender<Wish>,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) -> Option<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().ok()?;
    let thread = std::thread::Builder::new().name("desktop".to_owned());
    thread.spawn(move || runtime.block_on(follow(phone, wishes, shared, stopped))).ok()
}

#[cfg(target_os = "linux")]
async fn follow(
    mut phone: Handle,
    wishes: mpsc::Sender<Wish>,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    use crate::gui::words;

    words::find_system_language();
    let mut before = phone.snapshot();
    words::choose_language(before.settings.language);
    autostart::look(&phone, &before.settings);
    let mut notices = notices::Notices::open(&before).await;
    let mut tray = tray::Sign::show(&before, phone.clone(), wishes.clone(), shared.clone()).await;
    let mut quiet = quiet::Quiet::default();
    let mut seen = shared.seen_unix_ms.subscribe();
    loop {
        let snapshot = phone.snapshot();
        words::choose_language(snapshot.settings.language);
        autostart::follow(&before.settings, &snapshot.settings);
        notices.follow(&before, &snapshot).await;
        tray.follow(&snapshot, &shared).await;
        quiet.follow(&snapshot).await;
        before = snapshot;
        tokio::select! {
            alive = phone.changed() => if !alive { break },
            choice = notices.chosen() => notices.carry_out(choice, &phone, &wishes),
            _ = seen.changed() => {}
            _ = &mut stopped => break,
        }
    }
    notices.close().await;
    quiet.end().await;
    tray.hide().await;
}

/// The answer to a call on the bus, if it comes in time: a desktop that hangs does not stop us.
#[cfg(target_os = "linux")]
async fn in_time<T>(answer: impl Future<Output = zbus::Result<T>>) -> Option<T> {
    tokio::time::timeout(ANSWER_MAX, answer).await.ok()?.ok()
}

#[cfg(target_os = "linux")]
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_secs(2);
