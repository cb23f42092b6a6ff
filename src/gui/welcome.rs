//! How calls are met: those who knock, and what the settings have about that.

use egui::{Frame, Panel, RichText, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Call, Command, Settings, Snapshot};

/// A quiet line over the page for each stranger who calls.
pub fn knocks_ui(ui: &mut Ui, snapshot: &Snapshot) -> Option<Command> {
    let mut command = None;
    for call in snapshot.calls.iter().filter(|call| call.is_knocking) {
        command = command.or(knock_ui(ui, call));
    }
    command
}

fn knock_ui(ui: &mut Ui, call: &Call) -> Option<Command> {
    let roles = roles(ui);
    let frame = Frame::new()
        .fill(roles.hover)
        .inner_margin(egui::Margin::symmetric(space::L as i8, space::XS as i8));
    let (mut answers, mut declines) = (false, false);
    Panel::top(format!("knock {}", call.id.0)).resizable(false).frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            widgets::sign(ui, Icon::Phone, 18.0, roles.accent);
            let sentence = words::knocks(&call.peer);
            ui.add(egui::Label::new(RichText::new(sentence).size(size::BODY)).wrap());
            answers = widgets::button(ui, Kind::Primary, None, words::answer()).clicked();
            declines = widgets::button(ui, Kind::Plain, None, words::decline()).clicked();
        });
    });
    match (answers, declines) {
        (true, _) => Some(Command::Answer(call.id)),
        (false, true) => Some(Command::Decline(call.id)),
        (false, false) => None,
    }
}

/// What rings, as a group of the settings.
pub fn welcome_ui(ui: &mut Ui, settings: &mut Settings) {
    widgets::group(ui, words::callers());
    let quiet = roles(ui).quiet;
    let welcome = &mut settings.welcome;
    ui.checkbox(&mut welcome.do_not_disturb, words::do_not_disturb());
    let hint = RichText::new(words::do_not_disturb_hint()).color(quiet);
    ui.add(egui::Label::new(hint).wrap());
    ui.add_space(space::XS);
    ui.checkbox(&mut welcome.strangers_ring, words::strangers_ring());
    let hint = RichText::new(words::strangers_ring_hint()).color(quiet);
    ui.add(egui::Label::new(hint).wrap());
}
