//! The window: a face of the phone drawn with egui.
//!
//! [`run`] opens it. Every page is a function from a [`Snapshot`](crate::phone::Snapshot) and the
//! state of the view to commands; none keeps a state of the phone of its own. The window draws only
//! when the snapshot changes or the user acts.

mod account;
mod alarm;
mod book;
mod calls;
mod card;
mod conversations;
mod desktop;
mod devices;
mod files;
mod first;
mod forms;
mod handling;
mod icons;
mod invite;
mod keeping;
mod keys;
mod lending;
mod links;
mod look;
mod machine;
mod network;
mod pages;
mod people;
mod person;
mod qr;
mod ring;
mod sound;
mod telephone;
#[cfg(test)]
mod tests;
mod unproved;
mod view;
mod welcome;
mod whereabouts;
mod why;
mod widgets;
mod window;
mod wizard;
mod words;

use std::cell::LazyCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

pub use desktop::Desktop;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::phone::{Handle, Wish};
use view::{Kept, ViewState};
use window::{Signs, Window};

/// Size of the window when it is opened for the first time, in points.
const SIZE_FIRST: [f32; 2] = [960.0, 640.0];
/// The smallest size at which nothing is cut off, in points.
const SIZE_MIN: [f32; 2] = [360.0, 480.0];
/// Under this key eframe keeps our part of the view state.
const KEPT: &str = "view";

/// How the window is opened.
#[derive(Debug, Default)]
pub struct WindowOptions {
    /// Words after the program's name in the title, to tell two windows apart.
    pub title_suffix: Option<String>,
    /// The file that keeps page, size and place of the window; without it the platform's default.
    /// A file that cannot be read is as good as none.
    pub view_state: Option<PathBuf>,
    /// What is asked of the window from outside; it closes without a question.
    pub wishes: Option<mpsc::Receiver<Wish>>,
}

/// The phone that a window shows.
#[derive(Debug)]
pub struct Shown {
    /// What it tells and takes.
    pub handle: Handle,
    /// It on the user's desktop.
    pub desktop: Option<Desktop>,
}

/// Why there is no window.
#[derive(Debug, Error)]
pub enum WindowError {
    /// The system gave no window or no way to draw in it.
    #[error("the window can't be opened: {0}")]
    Open(#[from] eframe::Error),
    /// The thread that waits for the phone could not be started.
    #[error("the window can't follow the phone: {0}")]
    Watch(#[from] std::io::Error),
    /// There is no phone.
    #[error("{0}")]
    Phone(String),
    /// There is nothing to draw on.
    #[error(
        "there is no screen for a window, as neither DISPLAY nor WAYLAND_DISPLAY is set; \
         `chordial peer` runs without one"
    )]
    NoScreen,
}

/// Opens the window and returns when the user has closed it. Must be called on the main thread.
///
/// `start` is called as soon as there is a display, to have the phone opened on another thread: it
/// takes a while until there is a way to draw too. What it returns is then asked for the phone, and
/// gives a sentence if there is none. Until `start` the program should have one thread: with more
/// the C library locks each letter of its list of key sequences, which takes longer than all that
/// could be done meanwhile.
///
/// Closing sends no command: the caller ends the phone afterwards.
///
/// # Errors
/// [`WindowError`] if the system has no display, no OpenGL, or no thread to spare; and that of
/// the phone.
pub fn run<P>(
    start: impl FnOnce() -> P + 'static,
    options: WindowOptions,
) -> Result<(), WindowError>
where
    P: Fn() -> Result<Shown, String> + 'static,
{
    if !has_screen() {
        return Err(WindowError::NoScreen);
    }
    words::find_system_language();
    let phone = Rc::new(LazyCell::new(start));
    let starting = phone.clone();
    let native = eframe::NativeOptions {
        viewport: viewport(&options),
        persistence_path: options.view_state.clone(),
        window_builder: Some(Box::new(move |viewport| {
            LazyCell::force(&starting);
            viewport
        })),
        ..eframe::NativeOptions::default()
    };
    let (failed_tx, failed_rx) = std::sync::mpsc::channel();
    eframe::run_native(
        words::app(),
        native,
        Box::new(move |creation| {
            let kept = creation.storage.and_then(|storage| eframe::get_value(storage, KEPT));
            let face = (*phone)().map_err(WindowError::Phone).and_then(|phone| {
                Face::new(&creation.egui_ctx, phone, kept, options).map_err(WindowError::Watch)
            });
            face.map(|face| Box::new(face) as Box<dyn eframe::App>).map_err(|error| {
                // eframe would make a string of it.
                let text = error.to_string();
                failed_tx.send(error).ok();
                text.into()
            })
        }),
    )
    .map_err(|error| failed_rx.try_recv().unwrap_or(WindowError::Open(error)))
}

/// Whether a display is named; only some systems name them.
fn has_screen() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(not(target_os = "linux"))
        || ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"].into_iter().any(is_set)
}

fn viewport(options: &WindowOptions) -> egui::ViewportBuilder {
    let viewport = egui::ViewportBuilder::default()
        .with_title(words::title(None, options.title_suffix.as_deref()))
        .with_app_id("chordial")
        .with_inner_size(SIZE_FIRST)
        .with_min_inner_size(SIZE_MIN);
    let png = include_bytes!("../../assets/icon.png");
    match eframe::icon_data::from_png_bytes(png) {
        Ok(icon) => viewport.with_icon(icon),
        Err(_) => viewport,
    }
}

/// The window as eframe drives it.
struct Face {
    window: Window,
    watch: Watch,
    _desktop: Option<Desktop>,
}

impl Face {
    fn new(
        ctx: &egui::Context,
        phone: Shown,
        kept: Option<Kept>,
        options: WindowOptions,
    ) -> std::io::Result<Self> {
        let Shown { handle, desktop } = phone;
        let WindowOptions { title_suffix, wishes, .. } = options;
        look::apply(ctx);
        window::choose_theme(ctx, handle.snapshot().settings.theme);
        let view =
            ViewState { kept: kept.unwrap_or_default(), dial_focus: true, ..ViewState::default() };
        let shared = desktop.as_ref().map(Desktop::shared);
        let window = Window::new(handle.clone(), view, title_suffix).on(shared.clone());
        let outside = Outside { signs: window.signs(), shared, wishes };
        let watch = Watch::start(ctx.clone(), handle, outside)?;
        Ok(Self { window, watch, _desktop: desktop })
    }
}

impl eframe::App for Face {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        self.window.ui(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, KEPT, &self.window.view.kept);
    }

    fn on_exit(&mut self, _gl: Option<&eframe::glow::Context>) {
        self.watch.stop();
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn persist_egui_memory(&self) -> bool {
        false
    }
}

/// The thread that wakes the window when the snapshot has changed.
struct Watch {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(
        ctx: egui::Context,
        mut handle: Handle,
        mut outside: Outside,
    ) -> std::io::Result<Self> {
        let (stop_tx, mut stop_rx) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let watch = async move {
            loop {
                let alive = tokio::select! {
                    alive = handle.changed() => alive,
                    wish = outside.next_wish() => {
                        outside.fulfil(&ctx, wish);
                        true
                    }
                    _ = &mut stop_rx => return,
                };
                if !alive {
                    outside.signs.gone.store(true, Ordering::Relaxed);
                }
                ctx.request_repaint();
                if !alive {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("window watch".to_owned())
            .spawn(move || runtime.block_on(watch))?;
        Ok(Self { stop: Some(stop_tx), thread: Some(thread) })
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to tell: the window is going away.
            thread.join().ok();
        }
    }
}

/// What reaches the window from outside, beside snapshots.
struct Outside {
    signs: Arc<Signs>,
    shared: Option<Arc<desktop::Shared>>,
    wishes: Option<mpsc::Receiver<Wish>>,
}

impl Outside {
    async fn next_wish(&mut self) -> Wish {
        if let Some(wishes) = &mut self.wishes
            && let Some(wish) = wishes.recv().await
        {
            return wish;
        }
        std::future::pending().await
    }

    fn fulfil(&self, ctx: &egui::Context, wish: Wish) {
        match wish {
            Wish::Open(to_dial) => {
                if to_dial.is_some() {
                    let place = self.signs.to_dial.lock();
                    *place.unwrap_or_else(PoisonError::into_inner) = to_dial;
                }
                self.shared.clone().unwrap_or_default().bring_back(ctx);
            }
            Wish::Close => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
            Wish::Quit => {
                self.signs.closed.store(true, Ordering::Relaxed);
                ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            }
        }
    }
}
