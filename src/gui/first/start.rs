//! The form to start an overlay.

use egui::{RichText, Ui};

use super::going::go;
use super::{more_ui, step_head};
use crate::gui::forms;
use crate::gui::look::{roles, size, space};
use crate::gui::view::{Setup, ViewState};
use crate::gui::{widgets, words};
use crate::phone::{Command, Snapshot};

/// The form.
pub fn start_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    step_head(ui, (1, 3), words::start_title());
    let form = &mut view.start;
    let tried = form.tried;
    let fault = forms::overlay_fault(&form.name).filter(|_| tried || !form.name.is_empty());
    let (label, hint) = (words::network_name(), words::network_name_hint());
    let field = widgets::field(ui, label, hint, &mut form.name, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    let fault = forms::user_fault(&form.user).filter(|_| tried || !form.user.is_empty());
    widgets::field(ui, words::user(), words::user_hint(), &mut form.user, fault);
    kind_ui(ui, view);
    more_ui(ui, view, |ui, view| {
        let form = &mut view.start;
        let wrong = forms::address(form.listen.trim()).is_none();
        let fault = (wrong && tried).then_some(words::fault_listen());
        let (label, hint) = (words::listen(), words::listen_hint());
        let listen = widgets::field(ui, label, hint, &mut form.listen, fault);
        if form.has_accounts {
            let fault = form.host_fault().filter(|_| tried);
            widgets::field(ui, words::host(), words::host_hint(), &mut form.host, fault);
        }
        listen
    });
    let (sent, back) = widgets::form_foot(ui, words::start_go());
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

/// Who gives out the names.
fn kind_ui(ui: &mut Ui, view: &mut ViewState) {
    const INDENT: f32 = 24.0;
    ui.label(RichText::new(words::names_by()).size(size::BODY));
    let quiet = roles(ui).quiet;
    for (value, label, hint) in [
        (true, words::names_by_me(), words::names_by_me_hint()),
        (false, words::names_by_themselves(), words::names_by_themselves_hint()),
    ] {
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            ui.radio_value(&mut view.start.has_accounts, value, label);
            ui.horizontal_top(|ui| {
                ui.spacing_mut().interact_size.y = size::CAPTION;
                ui.add_space(INDENT);
                let hint = RichText::new(hint).size(size::CAPTION).color(quiet);
                ui.vertical(|ui| ui.add(egui::Label::new(hint).wrap()));
            });
        });
    }
    ui.add_space(space::S);
}
