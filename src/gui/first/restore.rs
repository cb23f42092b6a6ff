//! The form to restore from a backup, and what was in it.

use egui::{RichText, Ui};

use super::going::go;
use super::{step_head, take_escape};
use crate::gui::files::{self, FileFor};
use crate::gui::icons::Icon;
use crate::gui::look::{roles, size, space};
use crate::gui::view::{Setup, ViewState};
use crate::gui::widgets::{self, Kind};
use crate::gui::words;
use crate::phone::{Command, Me, Snapshot};

/// The form.
pub fn restore_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    step_head(ui, (1, 2), words::restore_title());
    let form = &mut view.restore;
    let fault = form.path_fault().filter(|_| form.tried);
    let (label, hint) = (words::backup_file(), words::backup_file_hint());
    let (files, what) = (&mut view.files, FileFor::Restore);
    let field = files::field_ui(ui, files, what, (label, hint), &mut form.path, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    let fault = form.password.fault().filter(|_| form.tried);
    let (label, hint) = (words::password(), words::password_of_backup_hint());
    widgets::password_field(ui, label, hint, &mut form.password.0, fault);
    let (sent, back) = widgets::form_foot(ui, words::restore_go());
    if back {
        view.setup = Setup::Choices;
    } else if sent {
        view.restore.tried = true;
        if let Some(command) = view.restore.command() {
            return go(snapshot, view, command);
        }
    }
    Vec::new()
}

/// What was restored, and a way into each overlay.
pub fn restored_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    aors: &[String],
) -> Vec<Command> {
    step_head(ui, (2, 2), words::restored_title());
    ui.label(RichText::new(words::restored_hint()).color(roles(ui).quiet));
    ui.add_space(space::M);
    let mut commands = Vec::new();
    for aor in aors {
        let Some((user, overlay)) = aor.rsplit_once('@') else { continue };
        widgets::card(ui, |ui| {
            ui.horizontal(|ui| {
                widgets::avatar(ui, aor, 40.0);
                ui.add(egui::Label::new(RichText::new(aor).size(size::NAME)).truncate());
            });
            ui.add_space(space::XS);
            let label = words::join_again(aor);
            if widgets::button(ui, Kind::Primary, Some(Icon::Join), &label).clicked() {
                let (user, overlay) = (user.to_owned(), overlay.to_owned());
                let me = Me { user, overlay, node_id: String::new() };
                commands = go(snapshot, view, super::going::join_again(&me));
            }
        });
        ui.add_space(space::S);
    }
    ui.add_space(space::S);
    let back = widgets::button(ui, Kind::Plain, Some(Icon::Back), words::back()).clicked();
    if back || take_escape(ui) {
        view.setup = Setup::Choices;
    }
    commands
}
