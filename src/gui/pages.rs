//! The page Settings, and the questions before something is lost.

use egui::{ComboBox, Id, Modal, RichText, ScrollArea, Ui};

use super::look::{roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::words;
use super::{card, keeping, lending};
use crate::phone::{AccountJob, Command, Device, Settings, Snapshot, Theme};

/// The settings.
pub fn settings_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    if view.keeping.open.is_some() {
        let scroll = ScrollArea::vertical().id_salt("keeping").auto_shrink(false);
        return scroll.show(ui, |ui| keeping::form_ui(ui, snapshot, view)).inner;
    }
    let mut settings = snapshot.settings.clone();
    ScrollArea::vertical().id_salt("settings").auto_shrink(false).show(ui, |ui| {
        widgets::heading(ui, words::SETTINGS);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::SOUND);
            let devices = &snapshot.microphones;
            device_ui(ui, words::MICROPHONE, devices, &mut settings.microphone);
            device_ui(ui, words::SPEAKER, &snapshot.speakers, &mut settings.speaker);
            ui.checkbox(&mut settings.sound.voice_processing, words::VOICE_PROCESSING);
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::LOOK);
            theme_ui(ui, &mut settings);
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::START);
            ui.checkbox(&mut settings.join_at_start, words::JOIN_AT_START);
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::AROUND);
            ui.checkbox(&mut settings.hidden_on_lan, words::HIDDEN_ON_LAN);
            let hint = RichText::new(words::HIDDEN_ON_LAN_HINT).color(roles(ui).quiet);
            ui.add(egui::Label::new(hint).wrap());
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| lending::lending_ui(ui, snapshot, &mut settings));
        ui.add_space(space::S);
        widgets::card(ui, |ui| keeping::keys_ui(ui, snapshot, view));
        ui.add_space(space::S);
        widgets::card(ui, |ui| account_ui(ui, snapshot, view));
    });
    (settings != snapshot.settings).then_some(Command::Configure(settings))
}

/// The question on the screen, if one waits. Esc keeps everything as it is.
pub fn question_ui(
    ctx: &egui::Context,
    snapshot: &Snapshot,
    view: &mut ViewState,
) -> Option<Command> {
    let question = view.question.clone()?;
    let (title, body, yes, no) = question_words(snapshot, &question);
    let mut answer = None;
    let modal =
        Modal::new(Id::unique("question")).frame(widgets::modal_frame(ctx)).show(ctx, |ui| {
            ui.set_width(280.0_f32.min(ctx.content_rect().width() - 80.0));
            ui.label(RichText::new(title).size(size::HEADING));
            ui.label(body);
            ui.add_space(space::M);
            ui.horizontal(|ui| {
                let stay = widgets::button(ui, Kind::Plain, None, no);
                if stay.clicked() {
                    answer = Some(false);
                }
                if widgets::button(ui, Kind::Primary, None, yes).clicked() {
                    answer = Some(true);
                }
            });
        });
    if modal.should_close() {
        answer = Some(false);
    }
    let agreed = answer?;
    view.question = None;
    if !agreed {
        return None;
    }
    match question {
        Question::Leave(overlay) => Some(Command::Leave(Some(overlay))),
        Question::Remove { overlay, node_id } => Some(Command::RemoveDevice { overlay, node_id }),
        Question::PutOut { overlay, name } => {
            Some(Command::Accounts { overlay, job: AccountJob::Revoke { name } })
        }
        Question::Forget { overlay, aor } => Some(Command::ForgetKeys { overlay, aor }),
        Question::Clear => Some(Command::ClearHistory),
        Question::Close => {
            view.closing = true;
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            None
        }
    }
}

/// What a question says: its title, what happens, and the names of its buttons.
fn question_words(
    snapshot: &Snapshot,
    question: &Question,
) -> (&'static str, String, &'static str, &'static str) {
    let calls = card::running(snapshot);
    match question {
        Question::Leave(overlay) => {
            let calls = card::running_in(snapshot, overlay);
            let body = words::ask_leave_body(overlay, calls);
            (words::ASK_LEAVE, body, words::YES_LEAVE, words::STAY)
        }
        Question::Remove { .. } => {
            let body = words::ASK_REMOVE_BODY.to_owned();
            (words::ASK_REMOVE, body, words::YES_REMOVE, words::KEEP)
        }
        Question::PutOut { overlay, name } => {
            let body = words::ask_put_out_body(name, overlay);
            (words::ASK_PUT_OUT, body, words::YES_PUT_OUT, words::KEEP_THEM)
        }
        Question::Forget { aor, .. } => {
            (words::ASK_FORGET, words::ask_forget_body(aor), words::YES_FORGET, words::KEEP)
        }
        Question::Clear => {
            let body = words::ASK_CLEAR_BODY.to_owned();
            (words::ASK_CLEAR, body, words::YES_CLEAR, words::KEEP)
        }
        Question::Close => {
            (words::ASK_CLOSE, words::lost_calls(calls), words::YES_CLOSE, words::STAY)
        }
    }
}

fn device_ui(ui: &mut Ui, label: &str, devices: &[Device], chosen: &mut Option<String>) {
    let name = |id: &Option<String>| match id {
        None => words::SYSTEM_CHOICE,
        Some(id) => devices
            .iter()
            .find(|device| device.id == *id)
            .map_or(words::NOT_PLUGGED_IN, |device| device.name.as_str()),
    };
    ui.label(RichText::new(label).size(size::BODY));
    let width = ui.available_width().min(420.0);
    ComboBox::from_id_salt(label)
        .selected_text(name(chosen))
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            ui.selectable_value(chosen, None, words::SYSTEM_CHOICE);
            for device in devices {
                ui.selectable_value(chosen, Some(device.id.clone()), &device.name);
            }
        })
        .response
        .accessible_name(label);
    ui.add_space(space::XS);
}

fn theme_ui(ui: &mut Ui, settings: &mut Settings) {
    ui.label(words::THEME);
    let choices = [
        (Theme::System, words::THEME_SYSTEM),
        (Theme::Light, words::THEME_LIGHT),
        (Theme::Dark, words::THEME_DARK),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        for (theme, label) in choices {
            ui.radio_value(&mut settings.theme, theme, label);
        }
    });
}

fn account_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    widgets::group(ui, words::ACCOUNT);
    for membership in &snapshot.memberships {
        let me = &membership.me;
        ui.label(me.aor());
        let label = match snapshot.memberships.len() {
            1 => words::LEAVE.to_owned(),
            _ => words::leave_which(&me.overlay),
        };
        if widgets::button(ui, Kind::Plain, None, &label).clicked() {
            view.question = Some(Question::Leave(me.overlay.clone()));
        }
    }
    ui.label(RichText::new(words::LEAVE_HINT).color(roles(ui).quiet));
}
