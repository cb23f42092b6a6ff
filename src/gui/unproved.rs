//! An overlay that was found on this network and that nothing proves: the user says whether to
//! join it.

use egui::{RichText, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Command, Snapshot, UnprovedOverlay};

/// A card for each question.
pub fn questions_ui(ui: &mut Ui, snapshot: &Snapshot) -> Vec<Command> {
    let mut commands = Vec::new();
    for question in &snapshot.unproved {
        commands.extend(widgets::card(ui, |ui| question_ui(ui, question)));
        ui.add_space(space::M);
    }
    commands
}

/// The question about an overlay, if there is one.
pub fn about<'s>(snapshot: &'s Snapshot, overlay: &str) -> Option<&'s UnprovedOverlay> {
    snapshot.unproved.iter().find(|question| question.overlay == overlay)
}

/// One question: who has announced the overlay, and what it means to join it.
pub fn question_ui(ui: &mut Ui, question: &UnprovedOverlay) -> Option<Command> {
    let roles = roles(ui);
    let overlay = &question.overlay;
    ui.label(RichText::new(words::unproved_title(overlay)).size(size::NAME));
    ui.add_space(space::XS);
    let from = question.from.map(|from| from.ip().to_string());
    widgets::sentence(ui, Icon::Warning, roles.warn, &words::unproved_from(overlay, from));
    ui.label(words::unproved_hint(overlay));
    if !question.enrollment_servers.is_empty() {
        ui.label(words::unproved_password());
    }
    ui.add_space(space::S);
    let mut answer = None;
    ui.horizontal_wrapped(|ui| {
        let choices = [
            (Kind::Primary, words::unproved_refuse(), false),
            (Kind::Plain, words::unproved_join(), true),
        ];
        for (kind, label, is_wanted) in choices {
            if widgets::button(ui, kind, None, label).clicked() {
                let overlay = overlay.clone();
                answer = Some(Command::AnswerUnproved { overlay, is_wanted });
            }
        }
    });
    answer
}
