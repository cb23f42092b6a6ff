//! The window without its operating system: a snapshot in, commands out, drawn on any egui context.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use egui::{
    Align, CentralPanel, Frame, Layout, Panel, RichText, ScrollArea, Sense, ThemePreference, Ui,
    vec2,
};

use super::calls::Scroll;
use super::files::{self, Dialogs};
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Page, Question, Setup, ViewState};
use super::widgets::{self, Kind};
use super::{
    account, alarm, book, calls, card, conversations, desktop, first, keeping, keys, network,
    pages, people, person, welcome, whereabouts, wizard, words,
};
use crate::phone::{CallState, Command, Handle, OverlayState, Snapshot, Theme};

/// Below this width in points the columns fold into one.
const FOLD_BELOW: f32 = 640.0;
/// Width of the rail.
const RAIL: f32 = 64.0;
/// Width of the list, from and to.
const LIST: (f32, f32) = (280.0, 340.0);
/// Pages are not stretched further than this; they stand in the middle.
const PAGE_MAX: f32 = 720.0;
/// How often the phone is asked for what changes on a page that shows it.
const INSPECT_EVERY_S: f64 = 2.0;
/// Words such as "5 min ago" are drawn anew this often.
const AGO_EVERY_S: u64 = 60;

/// The window: the phone's handle and the state of the view.
pub struct Window {
    handle: Handle,
    /// What the window itself remembers.
    pub view: ViewState,
    signs: Arc<Signs>,
    suffix: Option<String>,
    /// What the user's desktop has to know and to tell, if the phone shows itself there.
    desktop: Option<Arc<desktop::Shared>>,
    /// Whether the window is to be put away before anybody has asked for it.
    starts_away: bool,
    title: String,
    dialogs: Dialogs,
}

/// What other threads tell the window.
#[derive(Debug, Default)]
pub struct Signs {
    /// The phone has ended.
    pub gone: AtomicBool,
    /// The window is to close, whatever goes on.
    pub closed: AtomicBool,
    /// What is to stand in the dial field.
    pub to_dial: Mutex<Option<String>>,
}

impl Window {
    /// A window onto the phone behind `handle`.
    pub fn new(handle: Handle, view: ViewState, suffix: Option<String>) -> Self {
        let (signs, title) = (Arc::default(), String::new());
        let dialogs = Dialogs::new(files::ask_desktop);
        Self { handle, view, signs, suffix, desktop: None, starts_away: false, title, dialogs }
    }

    /// The same with other dialogs for files than those of the user's desktop.
    #[cfg(test)]
    pub fn asking(self, ask: files::Ask) -> Self {
        Self { dialogs: Dialogs::new(ask), ..self }
    }

    /// The same on a desktop.
    pub fn on(self, desktop: Option<Arc<desktop::Shared>>) -> Self {
        let is_away = |desktop: &Arc<desktop::Shared>| desktop.is_away.load(Ordering::Relaxed);
        Self { starts_away: desktop.as_ref().is_some_and(is_away), desktop, ..self }
    }

    /// What other threads may set.
    pub fn signs(&self) -> Arc<Signs> {
        self.signs.clone()
    }

    /// Draws one frame and hands the phone what the user asked for.
    pub fn ui(&mut self, ui: &mut Ui) {
        let snapshot = self.handle.snapshot();
        self.prepare(ui.ctx(), &snapshot);
        self.dialogs.follow(ui.ctx(), &mut self.view.files);
        let commands = window_ui(ui, &snapshot, &mut self.view);
        for command in commands {
            if !self.handle.send(command) {
                self.view.fault = Some(words::phone_busy());
            }
        }
        if self.signs.gone.load(Ordering::Relaxed) {
            self.view.fault = Some(words::phone_gone());
        }
    }

    fn prepare(&mut self, ctx: &egui::Context, snapshot: &Snapshot) {
        choose_theme(ctx, snapshot.settings.theme);
        words::choose_language(snapshot.settings.language);
        let title = words::title(Some(snapshot), self.suffix.as_deref());
        if title != self.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.view.now_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        if !snapshot.history.is_empty() || !snapshot.conversations.is_empty() {
            ctx.request_repaint_after(std::time::Duration::from_secs(AGO_EVERY_S));
        }
        let to_dial = self.signs.to_dial.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(to_dial) = to_dial {
            self.view.dial = to_dial;
            self.view.dial_focus = true;
            self.view.kept.page = Page::Calls;
        }
        self.close(ctx, snapshot);
        if let Some(desktop) = &self.desktop {
            // eframe shows each window after its first frame.
            if self.starts_away && ctx.cumulative_frame_nr() == 0 {
                ctx.request_repaint();
            } else if std::mem::take(&mut self.starts_away)
                && desktop.is_away.load(Ordering::Relaxed)
            {
                desktop.put_away(ctx);
            }
            desktop.see(self.view.kept.seen_unix_ms);
        }
    }

    /// Ends the program, asks first, or leaves the phone in the tray.
    fn close(&mut self, ctx: &egui::Context, snapshot: &Snapshot) {
        self.view.closing |= self.signs.closed.load(Ordering::Relaxed);
        let runs = card::running(snapshot) > 0;
        if keys::closes(ctx) {
            match runs {
                true => self.view.question = Some(Question::Close),
                false => {
                    self.view.closing = true;
                    ctx.send_viewport_cmd(egui::ViewportCommand::Close);
                }
            }
        }
        let closes = ctx.input(|input| input.viewport().close_requested());
        if !closes || self.view.closing {
            return;
        }
        let closes_to_tray = snapshot.settings.desktop.close_to_tray;
        let desktop = self.desktop.as_ref();
        let has_tray = desktop.is_some_and(|desktop| desktop.has_tray.load(Ordering::Relaxed));
        if let Some(desktop) = desktop.filter(|_| has_tray && closes_to_tray) {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            desktop.put_away(ctx);
        } else if runs {
            ctx.send_viewport_cmd(egui::ViewportCommand::CancelClose);
            self.view.question = Some(Question::Close);
        }
    }
}

/// Takes the colours that the user has chosen, from the next frame on.
pub fn choose_theme(ctx: &egui::Context, theme: Theme) {
    let theme = match theme {
        Theme::System => ThemePreference::System,
        Theme::Dark => ThemePreference::Dark,
        Theme::Light => ThemePreference::Light,
    };
    if ctx.options(|options| options.theme_preference) != theme {
        ctx.set_theme(theme);
        ctx.request_repaint();
    }
}

/// Everything in the window.
pub fn window_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let ctx = ui.ctx().clone();
    let mut commands: Vec<Command> = first::follow(snapshot, view).into_iter().collect();
    commands.extend(keeping::follow(snapshot, view));
    commands.extend(keys::commands(&ctx, snapshot, view));
    commands.extend(inspect(&ctx, view));
    commands.extend(whereabouts::look_for(&ctx, snapshot, view));
    see_calls(&ctx, snapshot, view);
    commands.extend(card::incoming_ui(&ctx, snapshot, view));
    commands.extend(pages::question_ui(&ctx, snapshot, view));
    commands.extend(keeping::unlock_ui(&ctx, snapshot, view));
    commands.extend(notice_ui(ui, snapshot, view));
    commands.extend(welcome::knocks_ui(ui, snapshot));
    let wide = ui.available_width() >= FOLD_BELOW;
    let more = if first::is_shown(snapshot, view) {
        let frame = Frame::new().fill(roles(ui).surface);
        CentralPanel::no_frame()
            .frame(frame)
            .show(ui, |ui| first::first_ui(ui, snapshot, view))
            .inner
    } else if wide {
        wide_ui(ui, snapshot, view)
    } else {
        narrow_ui(ui, snapshot, view)
    };
    commands.extend(more);
    if snapshot.sound_test.is_some() && view.kept.page != Page::Settings {
        commands.push(Command::TestSound(None));
    }
    if commands.iter().any(|c| matches!(c, Command::Answer(_) | Command::Dial(_))) {
        view.kept.page = Page::Calls;
    }
    commands
}

/// Asks the phone now and then for what changes too often to be told at each change, while a page
/// shows it.
fn inspect(ctx: &egui::Context, view: &mut ViewState) -> Option<Command> {
    if !matches!(view.kept.page, Page::Network | Page::Settings) {
        view.inspected = None;
        return None;
    }
    let now = ctx.input(|input| input.time);
    let wait = view.inspected.map_or(0.0, |at| at + INSPECT_EVERY_S - now);
    let is_due = wait <= 0.0;
    let next = if is_due { INSPECT_EVERY_S } else { wait };
    ctx.request_repaint_after(std::time::Duration::from_secs_f64(next));
    if is_due {
        view.inspected = Some(now);
    }
    is_due.then_some(Command::Inspect)
}

fn wide_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let roles = roles(ui);
    let mut commands = Vec::new();
    let rail = Frame::new().fill(roles.surface).inner_margin(space::M);
    Panel::left("rail").exact_size(RAIL).resizable(false).frame(rail).show(ui, |ui| {
        ui.vertical_centered(|ui| {
            rail_picture_ui(ui, snapshot);
            ui.add_space(space::L);
            rail_buttons_ui(ui, snapshot, view);
        });
    });
    if has_list(view) {
        let list = Frame::new().fill(roles.surface).inner_margin(space::L);
        let width = (ui.available_width() * 0.36).clamp(LIST.0, LIST.1);
        Panel::left("list").exact_size(width).resizable(false).frame(list).show(ui, |ui| {
            commands.extend(match view.kept.page {
                Page::Contacts => book::list_ui(ui, snapshot, view),
                Page::Messages => {
                    conversations::list_ui(ui, snapshot, view);
                    Vec::new()
                }
                _ => calls::list_ui(ui, snapshot, view, Scroll::Own),
            });
        });
    }
    let frame = Frame::new().fill(roles.surface).inner_margin(space::XL);
    CentralPanel::no_frame().frame(frame).show(ui, |ui| {
        if view.kept.page == Page::Contacts {
            commands.extend(column_ui(ui, |ui| contact_detail_ui(ui, snapshot, view)));
        } else if view.kept.page == Page::Messages {
            commands.extend(strip_ui(ui, snapshot, view));
            commands.extend(conversations::thread_ui(ui, snapshot, view));
        } else if view.kept.page == Page::Calls {
            commands.extend(column_ui(ui, |ui| calls::detail_ui(ui, snapshot, view)));
        } else {
            commands.extend(column_ui(ui, |ui| page_ui(ui, snapshot, view)));
        }
    });
    commands
}

/// A column in the middle, which is stretched no further than is easily read.
fn column_ui<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let free = ui.available_rect_before_wrap();
    let size = vec2(PAGE_MAX.min(free.width()), free.height());
    let rect = egui::Rect::from_min_size(free.center_top() - vec2(size.x / 2.0, 0.0), size);
    let down = Layout::top_down(Align::Min);
    ui.scope_builder(egui::UiBuilder::new().max_rect(rect).layout(down), add).inner
}

/// Whether the page has a list in a column of its own.
fn has_list(view: &ViewState) -> bool {
    matches!(view.kept.page, Page::Calls | Page::Contacts | Page::Messages)
}

/// Beside the contacts: the calls, and somebody new or the chosen one.
fn contact_detail_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = Vec::new();
    ScrollArea::vertical().id_salt("contact").auto_shrink(false).show(ui, |ui| {
        let (back, command) = card::strip_ui(ui, snapshot);
        commands.extend(command);
        if back {
            view.kept.page = Page::Calls;
        }
        if view.book.new.is_some() {
            commands.extend(book::new_ui(ui, snapshot, view));
        } else if let Some(peer) = view.person.clone() {
            commands.extend(person::person_ui(ui, snapshot, view, &peer));
        } else {
            ui.add_space((ui.available_height() / 2.0 - 60.0).max(space::XL));
            widgets::empty(ui, words::nobody(), words::nobody_chosen_hint());
        }
    });
    commands
}

/// The contacts in one column: the list, or somebody in its place.
fn narrow_contacts_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    if view.book.new.is_none() && view.person.is_none() {
        let (back, command) = card::strip_ui(ui, snapshot);
        if back {
            view.kept.page = Page::Calls;
        }
        let list = book::list_ui(ui, snapshot, view);
        return command.into_iter().chain(list).collect();
    }
    if view.book.new.is_none() {
        let back = widgets::button(ui, Kind::Quiet, Some(Icon::Back), words::back()).clicked();
        if back || first::take_escape(ui) {
            view.person = None;
        }
    }
    contact_detail_ui(ui, snapshot, view)
}

/// The conversations in one column: the list, or the open one in its place.
fn narrow_messages_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = strip_ui(ui, snapshot, view);
    if view.talk.peer.is_none() {
        conversations::list_ui(ui, snapshot, view);
        return commands;
    }
    let back = widgets::button(ui, Kind::Quiet, Some(Icon::Back), words::back()).clicked();
    if back || first::take_escape(ui) {
        view.talk.peer = None;
    }
    commands.extend(conversations::thread_ui(ui, snapshot, view));
    commands
}

/// The running calls in one line, with a way back to them.
fn strip_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let (back, command) = card::strip_ui(ui, snapshot);
    if back {
        view.kept.page = Page::Calls;
    }
    command.into_iter().collect()
}

/// One column: the pages below each other's buttons, calls above the list.
fn narrow_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let roles = roles(ui);
    let mut commands = Vec::new();
    let bar = Frame::new().fill(roles.surface).inner_margin(space::S);
    Panel::bottom("bar").resizable(false).frame(bar).show(ui, |ui| {
        let (count, gap) =
            if snapshot.hosted.is_empty() { (5.0, space::XL) } else { (6.0, space::M) };
        widgets::centred_row(ui, count * 40.0 + (count - 1.0) * gap, |ui| {
            ui.spacing_mut().item_spacing.x = gap;
            rail_buttons_ui(ui, snapshot, view);
        });
    });
    let frame = Frame::new().fill(roles.surface).inner_margin(space::L);
    CentralPanel::no_frame().frame(frame).show(ui, |ui| {
        if view.kept.page == Page::Contacts {
            commands.extend(narrow_contacts_ui(ui, snapshot, view));
            return;
        }
        if view.kept.page == Page::Messages {
            commands.extend(narrow_messages_ui(ui, snapshot, view));
            return;
        }
        if view.kept.page != Page::Calls {
            commands.extend(page_ui(ui, snapshot, view));
            return;
        }
        if let Some(more) = urgent_ui(ui, snapshot, view) {
            commands.extend(more);
            return;
        }
        if let Some(peer) = view.person.clone().filter(|_| card::running(snapshot) == 0) {
            let back = widgets::button(ui, Kind::Quiet, Some(Icon::Back), words::back()).clicked();
            if back || first::take_escape(ui) {
                view.person = None;
            }
            ScrollArea::vertical().id_salt("person").auto_shrink(false).show(ui, |ui| {
                card::stack_ui(ui, snapshot, view, &mut commands);
                commands.extend(person::person_ui(ui, snapshot, view, &peer));
            });
        } else {
            let any = snapshot.calls.iter().any(|call| call.state != CallState::Incoming);
            if any {
                // Everything in one column that scrolls as a whole: the call is on top of it.
                ScrollArea::vertical().id_salt("calls").show(ui, |ui| {
                    card::stack_ui(ui, snapshot, view, &mut commands);
                    commands.extend(calls::list_ui(ui, snapshot, view, Scroll::Page));
                });
            } else {
                commands.extend(calls::list_ui(ui, snapshot, view, Scroll::Own));
            }
        }
    });
    commands
}

/// What has to be read before the calls, alone in a window of one column.
fn urgent_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Vec<Command>> {
    let asks = !snapshot.key_alarms.is_empty()
        || !snapshot.unproved.is_empty()
        || !snapshot.credentials_wanted.is_empty();
    let is_offered = keeping::is_offered(snapshot, view) || wizard::is_offered(snapshot, view);
    let is_urgent = asks || is_offered;
    if !is_urgent || card::running(snapshot) > 0 {
        return None;
    }
    let scroll = ScrollArea::vertical().id_salt("urgent").auto_shrink(false);
    let commands = scroll.show(ui, |ui| {
        let mut commands = alarm::alarms_ui(ui, snapshot);
        commands.extend(account::card_ui(ui, snapshot, view));
        keeping::offer_ui(ui, snapshot, view);
        wizard::offer_ui(ui, snapshot, view);
        commands.extend(calls::list_ui(ui, snapshot, view, Scroll::Page));
        commands
    });
    Some(commands.inner)
}

fn page_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = strip_ui(ui, snapshot, view);
    match view.kept.page {
        Page::Network => commands.extend(network::network_ui(ui, snapshot, view)),
        Page::Settings if view.wizard.is_some() => {
            commands.extend(wizard::wizard_ui(ui, snapshot, view));
        }
        Page::Settings => commands.extend(pages::settings_ui(ui, snapshot, view)),
        Page::People => commands.extend(people::people_ui(ui, snapshot, view)),
        Page::Calls | Page::Contacts | Page::Messages => {}
    }
    commands
}

fn rail_buttons_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    let missed = calls::missed(snapshot, view.kept.seen_unix_ms);
    let calls = if missed > 0 { &words::calls_missed(missed) } else { words::calls() };
    let unread = snapshot.unread();
    let messages = match unread {
        0 => words::messages(),
        unread => &words::messages_unread(unread),
    };
    let mut buttons = vec![
        (Page::Calls, Icon::Phone, calls),
        (Page::Contacts, Icon::Book, words::contacts()),
        (Page::Messages, Icon::Bubble, messages),
        (Page::Network, Icon::Network, words::network()),
        (Page::Settings, Icon::Settings, words::settings()),
    ];
    if !snapshot.hosted.is_empty() {
        buttons.push((Page::People, Icon::People, words::people()));
    }
    for (page, icon, label) in buttons {
        let chosen = view.kept.page == page;
        let button = widgets::icon_button(ui, Kind::Quiet, icon, label, chosen);
        if page == Page::Calls && missed > 0 {
            widgets::badge(ui, button.rect, missed);
        }
        if page == Page::Messages && unread > 0 {
            widgets::badge(ui, button.rect, unread);
        }
        if button.clicked() {
            view.kept.page = page;
            view.dial_focus = matches!(page, Page::Calls | Page::Contacts);
        }
    }
}

/// Calls that are listed in a window that the user looks at are not counted as missed any more.
fn see_calls(ctx: &egui::Context, snapshot: &Snapshot, view: &mut ViewState) {
    let is_looked_at = ctx.input(|input| input.viewport().focused.unwrap_or(true));
    if view.kept.page == Page::Calls && is_looked_at {
        let newest = snapshot.history.first().map_or(0, |entry| entry.unix_ms);
        view.kept.seen_unix_ms = view.kept.seen_unix_ms.max(newest);
    }
}

/// My picture with a dot of health, said in words on hover.
fn rail_picture_ui(ui: &mut Ui, snapshot: &Snapshot) {
    let Some(me) = snapshot.me() else { return };
    let roles = roles(ui);
    let (colour, state) = match snapshot.overlay() {
        OverlayState::Joined { registered: true, .. } => (roles.good, words::joined()),
        OverlayState::Joined { .. } if snapshot.settings.is_unlisted => {
            (roles.quiet, words::unlisted())
        }
        OverlayState::Joined { .. } => (roles.warn, words::not_reachable_yet()),
        OverlayState::Joining { step } => (roles.warn, &*words::said(step)),
        OverlayState::Failed { .. } => (roles.bad, words::not_joined_because()),
        OverlayState::Out => (roles.quiet, words::offline()),
    };
    let (rect, response) = ui.allocate_exact_size(vec2(40.0, 40.0), Sense::hover());
    widgets::paint_avatar(ui, rect, &me.user);
    let dot = rect.right_bottom() - vec2(5.0, 5.0);
    ui.painter().circle_filled(dot, 7.0, roles.surface);
    ui.painter().circle_filled(dot, 5.0, colour);
    response.on_hover_text(format!("{} \u{b7} {state}", me.aor()));
}

/// One sentence over the page about what could not be done, with one button.
fn notice_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let own = view.fault;
    // What the page says already is not said twice.
    let on_page = match &view.setup {
        Setup::Going(going) => first::target(snapshot, going),
        _ => snapshot.default_membership(),
    };
    let page = match on_page.map(|membership| &membership.state) {
        Some(OverlayState::Failed { reason }) => Some(reason.as_str()),
        _ => None,
    };
    let notice = snapshot.notice.as_deref().filter(|notice| Some(*notice) != page);
    let damage: Vec<_> = snapshot.damage.iter().map(|sentence| words::said(sentence)).collect();
    let damage = Some(damage.join(" ")).filter(|damage| !damage.is_empty());
    let is_damage = own.is_none() && notice.is_none();
    let sentence = words::said(own.or(notice).or(damage.as_deref())?);
    let roles = roles(ui);
    let frame = Frame::new()
        .fill(roles.hover)
        .inner_margin(egui::Margin::symmetric(space::L as i8, space::XS as i8));
    let mut gone = false;
    Panel::top("notice").resizable(false).frame(frame).show(ui, |ui| {
        ui.horizontal(|ui| {
            widgets::sign(ui, Icon::Warning, 18.0, roles.warn);
            let room = (ui.available_width() - 48.0).max(80.0);
            ui.scope(|ui| {
                ui.set_max_width(room);
                ui.add(egui::Label::new(RichText::new(sentence).size(size::BODY)).wrap());
            });
            widgets::from_right(ui, |ui| {
                let name = words::dismiss_notice();
                gone = widgets::icon_button(ui, Kind::Quiet, Icon::Cross, name, false).clicked();
            });
        });
    });
    if gone && own.is_some() {
        view.fault = None;
        return None;
    }
    gone.then_some(if is_damage { Command::DismissDamage } else { Command::DismissNotice })
}
