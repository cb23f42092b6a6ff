//! The last step of starting an overlay: how others come in, and what it protects.

use egui::{Key, RichText, Ui};

use super::step_head;
use crate::gui::look::{roles, space};
use crate::gui::view::{Setup, ViewState};
use crate::gui::widgets::{self, Kind};
use crate::gui::{invite, people, words};
use crate::phone::{Command, Snapshot};

/// The page.
pub fn share_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    overlay: &str,
) -> Vec<Command> {
    let Some(membership) = snapshot.membership(overlay) else {
        view.setup = Setup::Choices;
        return Vec::new();
    };
    step_head(ui, (3, 3), &words::share_title(overlay));
    let mut commands = Vec::new();
    widgets::card(ui, |ui| commands.extend(invite::invite_ui(ui, snapshot, view, membership)));
    ui.add_space(space::S);
    invite::protection_ui(ui, membership);
    if people::hosted(snapshot, overlay).is_some() {
        let quiet = roles(ui).quiet;
        ui.add(egui::Label::new(RichText::new(words::server_down()).color(quiet)).wrap());
    }
    ui.add_space(space::M);
    let (enter, escape) =
        ui.input(|input| (input.key_pressed(Key::Enter), input.key_pressed(Key::Escape)));
    let enter = enter && ui.ctx().memory(|memory| memory.focused().is_none());
    let done = widgets::button(ui, Kind::Primary, None, words::done());
    if done.clicked() || enter || escape {
        view.setup = Setup::Choices;
        view.dial_focus = true;
    }
    commands
}
