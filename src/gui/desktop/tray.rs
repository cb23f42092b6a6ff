//! The sign in the tray and its menu (StatusNotifierItem).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eframe::icon_data::from_png_bytes;
use ksni::menu::{CheckmarkItem, MenuItem, StandardItem};
use ksni::{Category, Icon, OfflineReason, Status, ToolTip, Tray, TrayMethods};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{ANSWER_MAX, Shared};
use crate::gui::{calls, words};
use crate::phone::{Command, Handle, OverlayState, Settings, Snapshot, Wish};

/// The sign, if there is a tray to show it in.
pub(super) struct Sign(Option<ksni::Handle<Item>>);

/// What the sign says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Out,
    Joining,
    Joined,
    Problem,
}

/// What the tray asks us for.
struct Item {
    health: Health,
    missed: usize,
    title: String,
    settings: Settings,
    phone: Handle,
    wishes: mpsc::Sender<Wish>,
    shared: Arc<Shared>,
}

impl Sign {
    /// Shows the sign in the tray, or as soon as there is one.
    pub(super) async fn show(
        snapshot: &Snapshot,
        phone: Handle,
        wishes: mpsc::Sender<Wish>,
        shared: Arc<Shared>,
    ) -> Self {
        let item = Item {
            health: health(snapshot),
            missed: 0,
            title: words::title(Some(snapshot), None),
            settings: snapshot.settings.clone(),
            phone,
            wishes: wishes.clone(),
            shared: shared.clone(),
        };
        // A tray that is not there takes this back.
        shared.has_tray.store(true, Ordering::Relaxed);
        let spawned = timeout(ANSWER_MAX, item.assume_sni_available(true).spawn()).await;
        let handle = spawned.ok().and_then(Result::ok);
        if handle.is_none() {
            shared.lose_tray(&wishes);
        }
        Self(handle)
    }

    /// Shows how it is now.
    pub(super) async fn follow(&mut self, snapshot: &Snapshot, shared: &Shared) {
        let Some(handle) = &self.0 else { return };
        let seen = *shared.seen_unix_ms.borrow();
        let missed = calls::missed(snapshot, seen);
        let (health, title) = (health(snapshot), words::title(Some(snapshot), None));
        let settings = snapshot.settings.clone();
        let update = handle.update(|item| {
            (item.health, item.missed) = (health, missed);
            (item.title, item.settings) = (title, settings);
        });
        let _ = timeout(ANSWER_MAX, update).await;
    }

    /// Takes it away.
    pub(super) async fn hide(&mut self) {
        if let Some(handle) = self.0.take() {
            let _ = timeout(ANSWER_MAX, handle.shutdown()).await;
        }
    }
}

impl Item {
    fn wish(&self, wish: Wish) {
        // A window that does not answer is as good as none.
        let _ = self.wishes.try_send(wish);
    }
}

impl Tray for Item {
    const MENU_ON_ACTIVATE: bool = false;

    fn id(&self) -> String {
        "chordial".to_owned()
    }

    fn category(&self) -> Category {
        Category::Communications
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn status(&self) -> Status {
        match (self.missed, self.health) {
            (0, Health::Out | Health::Joining | Health::Joined) => Status::Active,
            _ => Status::NeedsAttention,
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        vec![icon(self.health, self.missed > 0)]
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        self.icon_pixmap()
    }

    fn tool_tip(&self) -> ToolTip {
        let description = match self.missed {
            0 => self.health.words().to_owned(),
            missed => words::calls_missed(missed),
        };
        ToolTip { title: self.title.clone(), description, ..ToolTip::default() }
    }

    fn activate(&mut self, _: i32, _: i32) {
        self.wish(Wish::Open(None));
    }

    fn watcher_online(&self) {
        self.shared.has_tray.store(true, Ordering::Relaxed);
    }

    fn watcher_offline(&self, _: OfflineReason) -> bool {
        self.shared.lose_tray(&self.wishes);
        true
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let line = |label: String| StandardItem { label, enabled: false, ..Default::default() };
        let mut items: Vec<MenuItem<Self>> = vec![line(self.health.words().to_owned()).into()];
        if self.missed > 0 {
            items.push(line(words::calls_missed(self.missed)).into());
        }
        items.push(MenuItem::Separator);
        items.push(
            StandardItem {
                label: words::open_window().to_owned(),
                activate: Box::new(|item: &mut Self| item.wish(Wish::Open(None))),
                ..Default::default()
            }
            .into(),
        );
        items.push(
            CheckmarkItem {
                label: words::do_not_disturb().to_owned(),
                checked: self.settings.welcome.do_not_disturb,
                activate: Box::new(|item: &mut Self| {
                    let mut settings = item.settings.clone();
                    settings.welcome.do_not_disturb ^= true;
                    item.phone.send(Command::Configure(Box::new(settings)));
                }),
                ..Default::default()
            }
            .into(),
        );
        items.push(
            StandardItem {
                label: words::quit().to_owned(),
                activate: Box::new(|item: &mut Self| item.wish(Wish::Quit)),
                ..Default::default()
            }
            .into(),
        );
        items
    }
}

impl Health {
    fn words(self) -> &'static str {
        match self {
            Self::Out => words::tray_out(),
            Self::Joining => words::tray_joining(),
            Self::Joined => words::tray_joined(),
            Self::Problem => words::tray_problem(),
        }
    }
}

/// The worst that is true of an overlay that we want to be in.
fn health(snapshot: &Snapshot) -> Health {
    let of = |state: &OverlayState| match state {
        OverlayState::Out => Health::Out,
        OverlayState::Joining { .. } | OverlayState::Joined { registered: false, .. } => {
            Health::Joining
        }
        OverlayState::Joined { .. } => Health::Joined,
        OverlayState::Failed { .. } => Health::Problem,
    };
    let states: Vec<Health> = snapshot.memberships.iter().map(|m| of(&m.state)).collect();
    let worst = [Health::Problem, Health::Joining, Health::Joined];
    worst.into_iter().find(|health| states.contains(health)).unwrap_or(Health::Out)
}

/// The program's icon with a dot for how it is, and one for missed calls. The state is in the
/// title and the menu as well, never in the colour alone.
fn icon(health: Health, has_missed: bool) -> Icon {
    let Ok(image) = from_png_bytes(include_bytes!("../../../assets/icon.png")) else {
        return Icon { width: 0, height: 0, data: Vec::new() };
    };
    let step = (image.width / SIZE).max(1) as usize;
    let mut data = Vec::with_capacity((SIZE * SIZE * 4) as usize);
    for y in 0..SIZE as usize {
        for x in 0..SIZE as usize {
            let at = (y * step * image.width as usize + x * step) * 4;
            let rgba = image.rgba.get(at..at + 4).unwrap_or(&[0; 4]);
            data.extend([rgba[3], rgba[0], rgba[1], rgba[2]]);
        }
    }
    let colour = match health {
        Health::Out => [0x80, 0x88, 0x88],
        Health::Joining => [0xd0, 0x8a, 0x10],
        Health::Joined => [0x2a, 0x9a, 0x50],
        Health::Problem => [0xc9, 0x2f, 0x2a],
    };
    dot(&mut data, [SIZE - RADIUS - 1, SIZE - RADIUS - 1], colour);
    if has_missed {
        dot(&mut data, [SIZE - RADIUS - 1, RADIUS + 1], [0xc9, 0x2f, 0x2a]);
    }
    Icon { width: SIZE as i32, height: SIZE as i32, data }
}

/// Paints a disc with a rim into an ARGB picture.
fn dot(data: &mut [u8], [x, y]: [u32; 2], colour: [u8; 3]) {
    let (x, y, radius) = (x as i32, y as i32, RADIUS as i32);
    for (at, pixel) in data.chunks_exact_mut(4).enumerate() {
        let (px, py) = (at as i32 % SIZE as i32, at as i32 / SIZE as i32);
        let distance = (px - x).pow(2) + (py - y).pow(2);
        let [red, green, blue] = match distance {
            _ if distance > radius.pow(2) => continue,
            _ if distance > (radius - 2).pow(2) => [0xff; 3],
            _ => colour,
        };
        pixel.copy_from_slice(&[0xff, red, green, blue]);
    }
}

/// Width and height of the picture in pixels: trays scale it down.
const SIZE: u32 = 64;
/// Of a dot, in pixels.
const RADIUS: u32 = 14;
