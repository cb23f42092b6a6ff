//! The page of calls: the dial field with the recent calls, and beside it the running calls or the
//! chosen person.

use egui::{Align2, FontId, Key, Rect, RichText, ScrollArea, Ui, pos2, vec2};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Filter, Page, Question, ViewState};
use super::widgets::{self, Kind};
use super::words;
use super::{account, alarm, book, card, first, forms, keeping, machine, person, wizard};
use crate::phone::{Command, Contact, Direction, Ending, HistoryEntry, OverlayState, Snapshot};

/// Height of a row of the recent calls.
const ROW_HEIGHT: f32 = 56.0;
/// Contacts shown above the recent calls while somebody types.
const KNOWN_MAX: usize = 5;

/// What scrolls when the recent calls are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// The recent calls alone, below the dial field.
    Own,
    /// The whole page, which the list is a part of.
    Page,
}

/// The list: state, dial field, recent calls.
pub fn list_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    scroll: Scroll,
) -> Vec<Command> {
    let mut commands: Vec<Command> = state_ui(ui, snapshot).into_iter().collect();
    commands.extend(dial_ui(ui, snapshot, view));
    ui.add_space(space::S);
    commands.extend(machine::messages_ui(ui, snapshot, view));
    let contacts = known(snapshot, &view.dial);
    for contact in &contacts {
        commands.extend(book::row_ui(ui, snapshot, view, contact));
    }
    let found: Vec<&HistoryEntry> = found(snapshot, view);
    recent_head_ui(ui, snapshot, view);
    if found.is_empty() && !contacts.is_empty() {
        return commands;
    }
    if found.is_empty() {
        ui.add_space(space::XL);
        let alone = matches!(snapshot.overlay(), OverlayState::Joined { links: 0, .. });
        if alone && snapshot.history.is_empty() && view.dial.trim().is_empty() {
            widgets::empty(ui, words::alone(), words::alone_hint());
            ui.vertical_centered(|ui| {
                if widgets::button(ui, Kind::Plain, None, words::invite()).clicked() {
                    view.kept.page = Page::Network;
                }
            });
            return commands;
        }
        let (title, hint) = match view.dial.trim() {
            "" if view.filter == Filter::Missed => (words::no_missed(), words::no_missed_hint()),
            "" => (words::no_recent(), words::no_recent_hint()),
            _ => (words::no_match(), words::no_match_hint()),
        };
        widgets::empty(ui, title, hint);
        return commands;
    }
    let rows = |ui: &mut Ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        for entry in found {
            let chosen = view.person.as_deref() == Some(entry.peer.as_str());
            let name = book::name(snapshot, &entry.peer);
            let row = history_row(ui, entry, name, view.now_ms, chosen);
            if row.clicked() {
                view.choose(&entry.peer);
            }
            if row.double_clicked() && can_dial(snapshot) {
                commands.push(Command::Dial(entry.peer.clone()));
            }
        }
    };
    match scroll {
        Scroll::Own => {
            ScrollArea::vertical().id_salt("recent").auto_shrink(false).show(ui, rows);
        }
        Scroll::Page => rows(ui),
    }
    commands
}

/// The heading of the recent calls: which of them are shown, and a way to forget them.
fn recent_head_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words::recent()).size(size::NAME));
        if snapshot.history.is_empty() {
            return;
        }
        widgets::from_right(ui, |ui| {
            let clear = widgets::button(ui, Kind::Quiet, None, words::clear());
            if clear.accessible_name(words::clear_name()).clicked() {
                view.question = Some(Question::Clear);
            }
        });
    });
    if snapshot.history.is_empty() {
        return;
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = widgets::SMALL;
        for (filter, label) in
            [(Filter::All, words::show_all()), (Filter::Missed, words::show_missed())]
        {
            if widgets::chip(ui, label, view.filter == filter).clicked() {
                view.filter = filter;
            }
        }
    });
}

/// Calls that nobody here has answered since the list was looked at last.
pub fn missed(snapshot: &Snapshot, seen_unix_ms: u64) -> usize {
    let new = snapshot.history.iter().filter(|entry| entry.unix_ms > seen_unix_ms);
    new.filter(|entry| entry.ending() == Ending::Missed).count()
}

/// Beside the list: the calls, or the chosen person.
pub fn detail_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = Vec::new();
    ScrollArea::vertical().id_salt("detail").auto_shrink(false).show(ui, |ui| {
        commands.extend(alarm::alarms_ui(ui, snapshot));
        commands.extend(account::card_ui(ui, snapshot, view));
        let on_screen = card::stack_ui(ui, snapshot, view, &mut commands);
        match view.person.clone() {
            Some(peer) => {
                commands.extend(person::person_ui(ui, snapshot, view, &peer));
            }
            None if !on_screen => {
                keeping::offer_ui(ui, snapshot, view);
                wizard::offer_ui(ui, snapshot, view);
                ui.add_space((ui.available_height() / 2.0 - 60.0).max(space::XL));
                widgets::empty(ui, words::nobody(), words::nobody_hint());
            }
            None => {}
        }
    });
    commands
}

/// Whether somebody can be called now.
pub fn can_dial(snapshot: &Snapshot) -> bool {
    matches!(snapshot.overlay(), OverlayState::Joined { .. })
}

/// Who one is and whether one is in, or why not.
fn state_ui(ui: &mut Ui, snapshot: &Snapshot) -> Option<Command> {
    let roles = roles(ui);
    let (sentence, colour) = match snapshot.overlay() {
        OverlayState::Out => (words::offline().to_owned(), roles.quiet),
        OverlayState::Joining { step } => (words::said(step), roles.warn),
        OverlayState::Joined { registered: true, .. } => (words::joined().to_owned(), roles.good),
        OverlayState::Joined { .. } if snapshot.settings.is_unlisted => {
            (words::unlisted().to_owned(), roles.quiet)
        }
        OverlayState::Joined { .. } => (words::not_reachable_yet().to_owned(), roles.warn),
        OverlayState::Failed { .. } => (words::not_joined_because().to_owned(), roles.bad),
    };
    let mut command = None;
    ui.spacing_mut().item_spacing.y = space::XS;
    if let Some(me) = snapshot.me() {
        let aor = me.aor();
        ui.add(egui::Label::new(RichText::new(aor).size(size::NAME)).truncate());
    }
    widgets::text_row(ui, |ui| {
        let (dot, _) = ui.allocate_exact_size(vec2(10.0, 16.0), egui::Sense::hover());
        ui.painter().circle_filled(dot.center(), 4.0, colour);
        ui.add(egui::Label::new(RichText::new(sentence).color(colour)).truncate());
    });
    match snapshot.overlay() {
        OverlayState::Joining { .. } => widgets::wandering_bar(ui),
        OverlayState::Failed { reason } => {
            ui.label(words::said(reason));
            ui.add_space(space::XS);
            if widgets::button(ui, Kind::Primary, Some(Icon::Again), words::try_again()).clicked() {
                let me = snapshot.me().or(snapshot.last.as_ref());
                command = me.map(first::join_again);
            }
            if let Some(me) = first::founder(snapshot) {
                ui.label(words::found_again_hint());
                if widgets::button(ui, Kind::Plain, Some(Icon::Start), words::found_again_button())
                    .clicked()
                {
                    command = Some(first::found_again(me));
                }
            }
        }
        _ => {}
    }
    ui.add_space(space::S);
    ui.spacing_mut().item_spacing.y = space::S;
    command
}

/// The field to search and dial.
pub fn dial_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let mut called = false;
    ui.horizontal(|ui| {
        let button = 40.0 + space::S;
        let edit = widgets::line_edit(&mut view.dial, words::dial_hint())
            .id(egui::Id::unique("dial"))
            .desired_width(ui.available_width() - button);
        let field = ui.add(edit).accessible_name(words::dial());
        if std::mem::take(&mut view.dial_focus) {
            field.request_focus();
        }
        if field.changed() {
            view.dial_fault = None;
        }
        called = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        if called {
            field.request_focus();
        }
        let ready = can_dial(snapshot) && !view.dial.trim().is_empty();
        ui.add_enabled_ui(ready, |ui| {
            let kind = if ready { Kind::Primary } else { Kind::Plain };
            called |= widgets::icon_button(ui, kind, Icon::Phone, words::call(), false).clicked();
        });
    });
    if let Some(fault) = view.dial_fault {
        widgets::fault_line(ui, fault);
    }
    let name = view.dial.trim().to_owned();
    if !called || name.is_empty() {
        return None;
    }
    if !can_dial(snapshot) {
        view.dial_fault = Some(words::fault_dial_out());
        return None;
    }
    if let Some(contact) = book::meant(snapshot, &name) {
        view.dial.clear();
        return Some(Command::Dial(contact.aor.clone()));
    }
    view.dial_fault = forms::dial_fault(&name);
    if view.dial_fault.is_some() {
        return None;
    }
    view.dial.clear();
    Some(Command::Dial(name))
}

/// The contacts that something typed fits, some of them.
fn known<'a>(snapshot: &'a Snapshot, search: &str) -> Vec<&'a Contact> {
    match search.trim() {
        "" => Vec::new(),
        search => book::found(snapshot, search).into_iter().take(KNOWN_MAX).collect(),
    }
}

/// The recent calls that the search and the filter fit, the newest first.
fn found<'a>(snapshot: &'a Snapshot, view: &ViewState) -> Vec<&'a HistoryEntry> {
    let search = view.dial.trim().to_lowercase();
    let fits = |entry: &&HistoryEntry| {
        let is_wanted = match view.filter {
            Filter::All => true,
            Filter::Missed => entry.ending() == Ending::Missed,
        };
        let name = || book::name(snapshot, &entry.peer).to_lowercase();
        is_wanted && (entry.peer.to_lowercase().contains(&search) || name().contains(&search))
    };
    snapshot.history.iter().filter(fits).collect()
}

fn history_row(
    ui: &mut Ui,
    entry: &HistoryEntry,
    name: &str,
    now_ms: u64,
    chosen: bool,
) -> egui::Response {
    let outcome = words::outcome(entry, name);
    let ago = words::ago(now_ms, entry.unix_ms);
    let label = words::history_row(name, &outcome, &ago);
    let (rect, response) = widgets::row(ui, &label, ROW_HEIGHT, chosen);
    let roles = roles(ui);
    let picture =
        Rect::from_center_size(pos2(rect.left() + 28.0, rect.center().y), vec2(36.0, 36.0));
    widgets::paint_avatar(ui, picture, name);
    let (icon, missed) = direction_icon(entry);
    let colour = if missed { roles.bad } else { roles.quiet };
    let left = picture.right() + space::M;
    let painter = ui.painter().with_clip_rect(rect.shrink(space::XS));
    let caption = FontId::proportional(size::CAPTION);
    let when = painter.layout_no_wrap(ago, caption.clone(), roles.quiet);
    let when_at = pos2(rect.right() - space::M - when.size().x, rect.center().y - 16.0);
    let narrow =
        Rect::from_min_max(pos2(left, rect.top()), pos2(when_at.x - space::S, rect.bottom()));
    let name_at = pos2(left, rect.center().y - 1.0);
    let font = FontId::proportional(size::BODY + 1.0);
    painter.with_clip_rect(narrow).text(name_at, Align2::LEFT_BOTTOM, name, font, roles.text);
    painter.galley(when_at, when, roles.quiet);
    let sign = Rect::from_min_size(pos2(left, rect.center().y + 3.0), vec2(12.0, 14.0));
    icon.paint(&painter, sign, 10.0, colour);
    let at = pos2(left + 12.0 + space::XS, rect.center().y + 2.0);
    let mut job = egui::text::LayoutJob::simple_singleline(outcome, caption, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.right() - space::M - at.x);
    let galley = painter.layout_job(job);
    painter.galley(at, galley, colour);
    response.on_hover_text(words::with_name(&entry.outcome, &entry.peer, name))
}

/// The sign of a past call, and whether somebody here should have answered it.
pub fn direction_icon(entry: &HistoryEntry) -> (Icon, bool) {
    match (entry.ending(), entry.direction) {
        (Ending::Missed, _) => (Icon::Missed, true),
        (Ending::Refused, _) => (Icon::Block, false),
        (Ending::Failed, _) => (Icon::Warning, false),
        (_, Direction::Incoming) => (Icon::Incoming, false),
        (_, Direction::Outgoing) => (Icon::Outgoing, false),
    }
}
