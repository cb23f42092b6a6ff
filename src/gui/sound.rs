//! The sound of calls, as groups of the settings.

use egui::Ui;

use super::look::space;
use super::view::{PathField, ViewState};
use super::{widgets, words};
use crate::phone::Settings;

/// What the other side hears while a call is on hold.
pub fn hold_ui(ui: &mut Ui, view: &mut ViewState, settings: &mut Settings) {
    let (label, hint) = (words::hold_music(), words::hold_music_hint());
    ui.add_space(space::XS);
    path_ui(ui, label, hint, &mut view.hold_music, &mut settings.sound.hold_music);
}

/// A file that may be none. What is typed counts when the field is left.
pub fn path_ui(
    ui: &mut Ui,
    label: &str,
    hint: &str,
    typed: &mut PathField,
    path: &mut Option<std::path::PathBuf>,
) {
    let kept = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let text = typed.get_or_insert_with(|| kept.clone());
    let field = widgets::field(ui, label, hint, text, None);
    if field.lost_focus() {
        let text = text.trim();
        if text != kept {
            *path = (!text.is_empty()).then(|| text.into());
        }
        *typed = None;
    } else if !field.has_focus() {
        *typed = None;
    }
}
