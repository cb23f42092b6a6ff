//! The form to join: one field for whatever leads to an overlay, what is seen on this network, and
//! the user's name.

use egui::{RichText, Ui};

use super::going::go;
use super::{more_ui, step_head};
use crate::gui::files::{self, FileFor};
use crate::gui::forms;
use crate::gui::icons::Icon;
use crate::gui::look::{roles, size, space};
use crate::gui::view::{Setup, ViewState};
use crate::gui::{widgets, words};
use crate::phone::{Command, Snapshot};

/// Rows of overlays on this network; who has more of them types a name.
const NEARBY_MAX: usize = 6;
/// Height of one of them.
const ROW_HEIGHT: f32 = 36.0;

/// The form.
pub fn join_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    step_head(ui, (1, 2), words::join_title());
    let tried = view.join.tried;
    let fault = view.join.entrance().err().filter(|_| tried);
    let (label, hint) = (words::entrance(), words::entrance_hint());
    let (files, what) = (&mut view.files, FileFor::Entrance);
    let (text, fault) = (&mut view.join.entrance, fault.as_deref());
    let field = files::field_ui(ui, files, what, (label, hint), text, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    nearby_ui(ui, snapshot, view);
    let form = &mut view.join;
    let fault = forms::user_fault(&form.user).filter(|_| tried || !form.user.is_empty());
    widgets::field(ui, words::user(), words::user_hint(), &mut form.user, fault);
    more_ui(ui, view, |ui, view| {
        let form = &mut view.join;
        let fault = forms::addresses(&form.bootstrap).err().map(words::fault_address);
        let fault = fault.filter(|_| tried);
        let (label, hint) = (words::bootstrap(), words::bootstrap_hint());
        widgets::field(ui, label, hint, &mut form.bootstrap, fault.as_deref())
    });
    let (sent, back) = widgets::form_foot(ui, words::join_go());
    if back {
        view.setup = Setup::Choices;
    } else if sent {
        view.join.tried = true;
        if let Some(command) = view.join.command() {
            return go(snapshot, view, command);
        }
    }
    Vec::new()
}

/// Overlays that are seen on this network; a click takes one.
fn nearby_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    if snapshot.settings.hidden_on_lan {
        return;
    }
    let quiet = roles(ui).quiet;
    ui.label(RichText::new(words::nearby()).size(size::CAPTION).color(quiet));
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        if snapshot.nearby.is_empty() {
            ui.label(RichText::new(words::nearby_none()).color(quiet));
        }
        for overlay in snapshot.nearby.iter().take(NEARBY_MAX) {
            let chosen = view.join.entrance.trim().eq_ignore_ascii_case(overlay);
            let (rect, row) = widgets::row(ui, overlay, ROW_HEIGHT, chosen);
            let square = rect.with_max_x(rect.left() + ROW_HEIGHT);
            Icon::Network.paint(ui.painter(), square, 16.0, roles(ui).accent);
            let words = rect.with_min_x(square.right() - space::M);
            widgets::row_words(ui, words, overlay, "");
            if row.clicked() {
                view.join.entrance.clone_from(overlay);
            }
        }
    });
    ui.add_space(space::S);
}
