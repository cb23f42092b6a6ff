//! One person: who, what the user calls and notes, and the calls with them.

use egui::{RichText, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::{book, calls, welcome, whereabouts, words};
use crate::phone::{Command, Contact, ContactJob, HistoryEntry, Snapshot};

/// Calls together that are shown; older ones are in the list of all.
const TOGETHER_MAX: usize = 50;

/// The chosen person.
pub fn person_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    peer: &str,
) -> Vec<Command> {
    let contact = snapshot.contact(peer);
    let mut commands = Vec::new();
    widgets::card(ui, |ui| {
        commands.extend(head_ui(ui, snapshot, view.now_ms, contact, peer));
        ui.add_space(space::S);
        ui.horizontal_wrapped(|ui| {
            let label = words::call_name(book::name(snapshot, peer));
            ui.add_enabled_ui(calls::can_dial(snapshot), |ui| {
                if widgets::button(ui, Kind::Primary, Some(Icon::Phone), &label).clicked() {
                    commands.push(Command::Dial(peer.to_owned()));
                }
            });
            let write = words::write_to(book::name(snapshot, peer));
            if widgets::button(ui, Kind::Plain, Some(Icon::Bubble), &write).clicked() {
                view.write_to(peer);
            }
            let keep = contact.is_none()
                && widgets::button(ui, Kind::Plain, Some(Icon::Start), words::keep_contact())
                    .clicked();
            if keep {
                let contact = Contact { aor: peer.to_owned(), ..Contact::default() };
                commands.push(Command::Contacts(ContactJob::Save(contact)));
            }
        });
        if let Some(contact) = contact {
            ui.add_space(space::M);
            commands.extend(book::contact_ui(ui, view, contact));
        }
        commands.extend(welcome::at_once_ui(ui, snapshot, peer));
        if let Some(contact) = contact {
            commands.extend(book::actions_ui(ui, view, contact));
        }
        together_ui(ui, snapshot, view.now_ms, peer);
        forget_ui(ui, snapshot, view, peer);
    });
    commands
}

fn head_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    now_ms: u64,
    contact: Option<&Contact>,
    peer: &str,
) -> Option<Command> {
    let roles = roles(ui);
    let name = book::name(snapshot, peer);
    let mut command = None;
    ui.horizontal(|ui| {
        widgets::avatar(ui, name, 56.0);
        ui.add_space(space::XS);
        ui.vertical(|ui| {
            ui.add_space(space::XS);
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width((ui.available_width() - 48.0).max(80.0));
            ui.add(egui::Label::new(RichText::new(name).size(size::HEADING)).truncate());
            ui.add(egui::Label::new(RichText::new(peer).color(roles.quiet)).truncate());
            whereabouts::line_ui(ui, snapshot, now_ms, peer);
        });
        let Some(contact) = contact else { return };
        widgets::from_right(ui, |ui| {
            let is_favourite = contact.is_favourite;
            let icon = if is_favourite { Icon::StarFull } else { Icon::Star };
            let star =
                widgets::icon_button(ui, Kind::Quiet, icon, words::favourite(), is_favourite);
            if star.on_hover_text(words::favourite_hint()).clicked() {
                let contact = Contact { is_favourite: !is_favourite, ..contact.clone() };
                command = Some(Command::Contacts(ContactJob::Save(contact)));
            }
        });
    });
    if contact.is_some_and(|contact| contact.is_blocked) {
        ui.add_space(space::XS);
        widgets::sentence(ui, Icon::Block, roles.bad, words::blocked_hint());
    }
    command
}

fn together_ui(ui: &mut Ui, snapshot: &Snapshot, now_ms: u64, peer: &str) {
    let mut together = snapshot.history.iter().filter(|entry| entry.peer == peer).peekable();
    if together.peek().is_none() {
        return;
    }
    ui.add_space(space::M);
    widgets::group(ui, words::history_together());
    for entry in together.take(TOGETHER_MAX) {
        line_ui(ui, entry, book::name(snapshot, peer), now_ms);
    }
}

fn line_ui(ui: &mut Ui, entry: &HistoryEntry, name: &str, now_ms: u64) {
    let roles = roles(ui);
    let (icon, missed) = calls::direction_icon(entry);
    let colour = if missed { roles.bad } else { roles.quiet };
    let outcome = words::outcome(entry, name);
    let sentence = words::with_name(&entry.outcome, &entry.peer, name);
    widgets::text_row(ui, |ui| {
        widgets::sign(ui, icon, 12.0, colour);
        ui.label(&outcome);
        ui.label(RichText::new(words::ago(now_ms, entry.unix_ms)).color(roles.quiet));
        if sentence != outcome {
            ui.label(RichText::new(sentence).color(roles.quiet));
        }
    });
}

/// Where an authority gives out names there is nothing to remember.
fn forget_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, peer: &str) {
    let overlay = peer.rsplit_once('@').map(|(_, overlay)| overlay);
    let membership = overlay.and_then(|overlay| snapshot.membership(overlay));
    let Some(membership) = membership.filter(|m| m.document.is_self_signed) else { return };
    ui.add_space(space::S);
    let button = widgets::button(ui, Kind::Plain, None, words::forget_keys());
    if button.accessible_name(words::forget_whose(peer)).clicked() {
        let (overlay, aor) = (membership.me.overlay.clone(), peer.to_owned());
        view.question = Some(Question::Forget { overlay, aor });
    }
}
