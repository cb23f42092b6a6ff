//! The answering machine: what the settings have about it, and the messages that it has taken.

use egui::{RichText, Ui};

use super::files::FileFor;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::sound::path_ui;
use super::view::ViewState;
use super::widgets::{self, Kind};
use super::{book, words};
use crate::phone::{Command, Settings, Snapshot, VoiceMessage, VoiceMessageJob};

/// Whom it answers, as a group of the settings.
pub fn machine_ui(ui: &mut Ui, view: &mut ViewState, settings: &mut Settings) {
    widgets::group(ui, words::machine());
    let machine = &mut settings.machine;
    ui.checkbox(&mut machine.answering_machine, words::machine_on());
    let hint = RichText::new(words::machine_hint()).color(roles(ui).quiet);
    ui.add(egui::Label::new(hint).wrap());
    if !machine.answering_machine {
        return;
    }
    ui.add_space(space::XS);
    let mut minutes = (machine.machine_message_s_max / 60).max(1);
    widgets::number(ui, words::machine_after(), &mut machine.machine_after_s, 5..=120);
    widgets::number(ui, words::machine_minutes(), &mut minutes, 1..=30);
    if minutes != (machine.machine_message_s_max / 60).max(1) {
        machine.machine_message_s_max = minutes * 60;
    }
    ui.checkbox(&mut machine.machine_when_undisturbed, words::machine_undisturbed());
    ui.checkbox(&mut machine.machine_when_busy, words::machine_busy());
    ui.add_space(space::XS);
    let (label, hint) = (words::greeting(), words::greeting_hint());
    let field = (FileFor::Greeting, label, hint);
    path_ui(ui, &mut view.files, field, &mut view.greeting, &mut machine.machine_greeting);
}

/// The messages, if there are any.
pub fn messages_ui(ui: &mut Ui, snapshot: &Snapshot, view: &ViewState) -> Option<Command> {
    if snapshot.voice_messages.is_empty() {
        return None;
    }
    let mut job = None;
    ui.label(RichText::new(words::voice_messages()).size(size::NAME));
    for message in snapshot.voice_messages.iter().take(SHOWN_MAX) {
        job = job.or(message_ui(ui, snapshot, view, message));
    }
    if let Some(more) = snapshot.voice_messages.len().checked_sub(SHOWN_MAX).filter(|n| *n > 0) {
        ui.label(RichText::new(words::more_voice_messages(more)).color(roles(ui).quiet));
    }
    ui.add_space(space::S);
    job.map(Command::VoiceMessage)
}

/// Messages in the list; the oldest show when others are deleted.
const SHOWN_MAX: usize = 5;

fn message_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &ViewState,
    message: &VoiceMessage,
) -> Option<VoiceMessageJob> {
    let roles = roles(ui);
    let name = book::name(snapshot, &message.peer);
    ui.horizontal(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width((ui.available_width() - 2.0 * 48.0).max(60.0));
            let title = RichText::new(name).size(size::BODY);
            let title = if message.is_new { title.strong() } else { title };
            ui.add(egui::Label::new(title).truncate());
            let line = words::voice_message(message, view.now_ms);
            let line = RichText::new(line).size(size::CAPTION).color(roles.quiet);
            ui.add(egui::Label::new(line).truncate());
        });
        widgets::from_right(ui, |ui| {
            let label = words::delete_message_of(name);
            let delete = widgets::icon_button(ui, Kind::Quiet, Icon::Cross, &label, false);
            let (icon, label, job) = match message.is_playing {
                true => (Icon::Hold, words::stop_message_of(name), VoiceMessageJob::Stop),
                false => {
                    let job = VoiceMessageJob::Play(message.name.clone());
                    (Icon::Resume, words::play_message_of(name), job)
                }
            };
            let play = widgets::icon_button(ui, Kind::Quiet, icon, &label, message.is_playing);
            if delete.clicked() {
                return Some(VoiceMessageJob::Delete(message.name.clone()));
            }
            play.clicked().then_some(job)
        })
    })
    .inner
}
