//! The form to start an overlay.

use egui::Ui;

use super::going::go;
use super::{head, more_ui};
use crate::gui::forms;
use crate::gui::view::{Setup, ViewState};
use crate::gui::{widgets, words};
use crate::phone::{Command, Snapshot};

/// The form.
pub fn start_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    head(ui, (1, 3), words::START_TITLE);
    let form = &mut view.start;
    let tried = form.tried;
    let fault = forms::overlay_fault(&form.name).filter(|_| tried || !form.name.is_empty());
    let (label, hint) = (words::NETWORK_NAME, words::NETWORK_NAME_HINT);
    let field = widgets::field(ui, label, hint, &mut form.name, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    let fault = forms::user_fault(&form.user).filter(|_| tried || !form.user.is_empty());
    widgets::field(ui, words::USER, words::USER_HINT, &mut form.user, fault);
    more_ui(ui, view, |ui, view| {
        let wrong = forms::address(view.start.listen.trim()).is_none();
        let fault = (wrong && tried).then_some(words::FAULT_LISTEN);
        widgets::field(ui, words::LISTEN, words::LISTEN_HINT, &mut view.start.listen, fault)
    });
    let (sent, back) = widgets::form_foot(ui, words::START_GO);
    if back {
        view.setup = Setup::Choices;
    } else if sent {
        view.start.tried = true;
        if let Some(command) = view.start.command() {
            return go(snapshot, view, command);
        }
    }
    Vec::new()
}
