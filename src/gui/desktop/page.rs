//! What the settings have about the desktop.

use egui::{RichText, Ui};

use crate::gui::look::{roles, space};
use crate::gui::{widgets, words};
use crate::phone::Settings;

/// How the program lives on the desktop, as a group of the settings.
pub fn desktop_ui(ui: &mut Ui, settings: &mut Settings) {
    widgets::group(ui, words::desktop());
    let quiet = roles(ui).quiet;
    let desktop = &mut settings.desktop;
    ui.checkbox(&mut desktop.close_to_tray, words::close_to_tray());
    let hint = RichText::new(words::close_to_tray_hint()).color(quiet);
    ui.add(egui::Label::new(hint).wrap());
    ui.add_space(space::XS);
    ui.checkbox(&mut desktop.start_at_login, words::start_at_login());
    ui.checkbox(&mut desktop.pause_players, words::pause_players());
}
