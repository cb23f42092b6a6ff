//! What can be done in a running call: its large buttons, the keys of a telephone, and handing it
//! over.

use egui::{Key, Ui, vec2};

use super::card::{self, hold_ui, mute_ui, record_ui};
use super::forms;
use super::icons::Icon;
use super::look::space;
use super::view::{Panel, ViewState};
use super::widgets::{self, Kind};
use super::{book, keys, words};
use crate::phone::{Call, CallId, CallState, Command, Snapshot, Verified};

/// Width of a large button with its name.
const BUTTON: f32 = 64.0;
/// The keys of a telephone, row by row.
const KEYPAD: [[char; 3]; 4] = [['1', '2', '3'], ['4', '5', '6'], ['7', '8', '9'], ['*', '0', '#']];

/// The large buttons, and what they have opened.
pub fn buttons_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    call: &Call,
) -> Option<Command> {
    if call.takes_message {
        return row_ui(ui, 2, |ui| {
            let words = words::take_over();
            let taken = widgets::round_button(ui, Kind::Good, Icon::Phone, words, false);
            let taken = taken.clicked().then_some(Command::Answer(call.id));
            taken.or(hang_up_ui(ui, call))
        });
    }
    if !is_talking(call) {
        return row_ui(ui, 1, |ui| hang_up_ui(ui, call));
    }
    let is_wide = ui.available_width() >= 6.0 * BUTTON + 5.0 * space::L;
    let command = if is_wide {
        row_ui(ui, 6, |ui| {
            let sound = mute_ui(ui, call, true).or(hold_ui(ui, call, true));
            panels_ui(ui, view, call, &[Panel::Keypad, Panel::HandOver]);
            sound.or(record_ui(ui, call)).or(hang_up_ui(ui, call))
        })
    } else {
        let sound = row_ui(ui, 3, |ui| {
            let sound = mute_ui(ui, call, true).or(hold_ui(ui, call, true));
            panels_ui(ui, view, call, &[Panel::Keypad]);
            sound
        });
        ui.add_space(space::S);
        let end = row_ui(ui, 3, |ui| {
            panels_ui(ui, view, call, &[Panel::HandOver]);
            record_ui(ui, call).or(hang_up_ui(ui, call))
        });
        sound.or(end)
    };
    let merged = merge_ui(ui, snapshot, call).or(split_ui(ui, snapshot, call));
    let opened = match view.panel {
        Some((id, Panel::Keypad)) if id == call.id => keypad_ui(ui, call.id),
        Some((id, Panel::HandOver)) if id == call.id => hand_over_ui(ui, snapshot, view, call),
        _ => None,
    };
    command.or(merged).or(opened)
}

/// Lets the other side and that of another call hear each other.
fn merge_ui(ui: &mut Ui, snapshot: &Snapshot, call: &Call) -> Option<Command> {
    let is_apart = |other: &&Call| {
        let is_together = call.conference.is_some() && call.conference == other.conference;
        other.id != call.id && is_talking(other) && !is_together
    };
    let mut command = None;
    for other in snapshot.calls.iter().filter(is_apart) {
        ui.add_space(space::S);
        ui.vertical_centered(|ui| {
            let label = words::merge_with(book::name(snapshot, &other.peer));
            if widgets::button(ui, Kind::Plain, Some(Icon::People), &label).clicked() {
                command = Some(Command::Merge { call: call.id, other: other.id });
            }
        });
    }
    command
}

/// Takes the call out of its conference.
fn split_ui(ui: &mut Ui, snapshot: &Snapshot, call: &Call) -> Option<Command> {
    call.conference?;
    ui.add_space(space::S);
    let label = words::talk_alone_with(book::name(snapshot, &call.peer));
    let button = |ui: &mut Ui| widgets::button(ui, Kind::Plain, Some(Icon::Phone), &label);
    let is_clicked = ui.vertical_centered(|ui| button(ui).clicked()).inner;
    is_clicked.then_some(Command::Split(call.id))
}

fn is_talking(call: &Call) -> bool {
    matches!(call.state, CallState::Talking { .. }) && !call.takes_message
}

/// A row of so many large buttons in the middle.
fn row_ui<R>(ui: &mut Ui, count: u8, add: impl FnOnce(&mut Ui) -> R) -> R {
    let gap = if count > 3 { space::L } else { space::XL };
    let width = BUTTON * f32::from(count) + gap * f32::from(count - 1);
    widgets::centred_row(ui, width, |ui| {
        ui.spacing_mut().item_spacing.x = gap;
        add(ui)
    })
}

/// Buttons that open something below them, and close it again.
fn panels_ui(ui: &mut Ui, view: &mut ViewState, call: &Call, panels: &[Panel]) {
    for &panel in panels {
        let (icon, label) = match panel {
            Panel::Keypad => (Icon::Keypad, words::keypad()),
            Panel::HandOver => (Icon::HandOver, words::hand_over()),
        };
        let is_open = view.panel == Some((call.id, panel));
        if widgets::round_button(ui, Kind::Plain, icon, label, is_open).clicked() {
            view.panel = (!is_open).then_some((call.id, panel));
            view.hand_to.clear();
            view.form_focus = panel == Panel::HandOver && !is_open;
        }
    }
}

fn hang_up_ui(ui: &mut Ui, call: &Call) -> Option<Command> {
    let button = widgets::round_button(ui, Kind::Bad, Icon::HangUp, words::hang_up(), false);
    let button = button.on_hover_text(ui.ctx().format_shortcut(&keys::HANG_UP));
    button.clicked().then_some(Command::HangUp(call.id))
}

fn keypad_ui(ui: &mut Ui, call: CallId) -> Option<Command> {
    const KEY: f32 = 56.0;
    let mut pressed = None;
    ui.add_space(space::M);
    for row in KEYPAD {
        widgets::centred_row(ui, 3.0 * KEY + 2.0 * space::S, |ui| {
            for digit in row {
                if widgets::key(ui, vec2(KEY, 44.0), digit, &words::press(digit)).clicked() {
                    pressed = Some(digit);
                }
            }
        });
    }
    pressed.map(|digit| Command::Digit(call, digit))
}

/// Whom the other side is connected to: somebody by name, or the other side of another call.
fn hand_over_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    call: &Call,
) -> Option<Command> {
    ui.add_space(space::M);
    let mut command = None;
    // A provider knows nothing of our other calls, nor anybody else of those that it has.
    let knows = |call: &Call| is_talking(call) && call.verified != Verified::Ordinary;
    let others = snapshot.calls.iter().filter(|other| other.id != call.id && knows(other));
    for other in others.filter(|_| knows(call)) {
        let label = words::connect_with(book::name(snapshot, &other.peer));
        if widgets::button(ui, Kind::Primary, Some(Icon::HandOver), &label).clicked() {
            command = Some(Command::TransferTo { call: call.id, other: other.id });
        }
    }
    let (label, hint) = (words::hand_over_to(), words::hand_over_hint());
    let field = widgets::field(ui, label, hint, &mut view.hand_to, None);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    let clicked = widgets::button(ui, Kind::Plain, None, words::hand_over_go()).clicked();
    let text = view.hand_to.trim();
    let to = match book::meant(snapshot, text) {
        Some(contact) => Some(contact.aor.clone()),
        None => forms::dial_fault(text).is_none().then(|| text.to_owned()),
    };
    if (enter || clicked)
        && let Some(to) = to
    {
        command = Some(Command::Transfer { call: call.id, to });
    }
    if command.is_some() {
        view.panel = None;
    }
    command
}

/// What is happening with a call beside talking, in a sentence.
pub fn transfer_words(call: &Call, name: &str) -> Option<String> {
    let is_on = card::is_running(call);
    let to = call.transferring_to.as_ref().filter(|_| is_on);
    to.map(|to| words::transferring(name, to))
        .or_else(|| call.transferred_by.as_ref().map(|by| words::transferred_by(by)))
}
