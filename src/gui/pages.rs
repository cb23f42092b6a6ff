//! The pages Network and Settings, and the questions before something is lost.

use egui::{ComboBox, Id, Key, Modal, RichText, ScrollArea, Ui};

use super::card;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{self, Question, ViewState};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Command, Device, OverlayState, Settings, Snapshot, Theme};

/// The overlay as this peer knows it.
pub fn network_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let mut command = None;
    ScrollArea::vertical().id_salt("network").auto_shrink(false).show(ui, |ui| {
        widgets::heading(ui, words::NETWORK);
        // What a newcomer comes here for stands first.
        widgets::card(ui, |ui| command = save_ui(ui, snapshot, view));
        ui.add_space(space::S);
        widgets::card(ui, |ui| me_ui(ui, snapshot));
        ui.add_space(space::S);
        widgets::card(ui, |ui| figures_ui(ui, snapshot));
    });
    command
}

/// The settings.
pub fn settings_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let mut settings = snapshot.settings.clone();
    ScrollArea::vertical().id_salt("settings").auto_shrink(false).show(ui, |ui| {
        widgets::heading(ui, words::SETTINGS);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::SOUND);
            let devices = &snapshot.microphones;
            device_ui(ui, words::MICROPHONE, devices, &mut settings.microphone);
            device_ui(ui, words::SPEAKER, &snapshot.speakers, &mut settings.speaker);
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
    let question = view.question?;
    let calls = card::running(snapshot);
    let (title, body, yes, no) = match question {
        Question::Leave => {
            (words::ASK_LEAVE, words::ask_leave_body(calls), words::YES_LEAVE, words::STAY)
        }
        Question::Clear => {
            let body = words::ASK_CLEAR_BODY.to_owned();
            (words::ASK_CLEAR, body, words::YES_CLEAR, words::KEEP)
        }
        Question::Close => {
            (words::ASK_CLOSE, words::lost_calls(calls), words::YES_CLOSE, words::STAY)
        }
    };
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
        Question::Leave => snapshot.me().map(|me| Command::Leave(Some(me.overlay.clone()))),
        Question::Clear => Some(Command::ClearHistory),
        Question::Close => {
            view.closing = true;
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            None
        }
    }
}

fn me_ui(ui: &mut Ui, snapshot: &Snapshot) {
    widgets::group(ui, words::ME);
    let Some(me) = snapshot.me() else {
        ui.label(words::OFFLINE);
        return;
    };
    ui.horizontal(|ui| {
        widgets::avatar(ui, &me.user, 40.0);
        ui.label(RichText::new(me.aor()).size(size::NAME));
    });
    ui.add_space(space::XS);
    let node_id = match me.node_id.as_str() {
        "" => words::NODE_ID_UNKNOWN,
        id => id,
    };
    figure_ui(ui, words::NODE_ID, node_id, copy_of(node_id, &me.node_id, words::COPY_NODE_ID));
}

fn figures_ui(ui: &mut Ui, snapshot: &Snapshot) {
    let state = match snapshot.overlay() {
        OverlayState::Out => words::OFFLINE.to_owned(),
        OverlayState::Joining { step } => step.clone(),
        OverlayState::Failed { reason } => reason.clone(),
        OverlayState::Joined { registered: true, .. } => words::REGISTERED.to_owned(),
        OverlayState::Joined { .. } => words::NOT_REGISTERED.to_owned(),
    };
    figure_ui(ui, words::STATE, &state, None);
    if let OverlayState::Joined { links, values_stored, listen, .. } = snapshot.overlay() {
        figure_ui(ui, words::LINKS, &links.to_string(), None);
        figure_ui(ui, words::VALUES, &values_stored.to_string(), None);
        let address = listen.map(|listen| listen.to_string());
        let text = address.as_deref().unwrap_or(words::LISTENS_NOWHERE);
        let copy = address.as_deref().map(|address| (address, words::COPY_LISTEN));
        figure_ui(ui, words::LISTENS, text, copy);
    }
}

fn copy_of<'a>(shown: &'a str, known: &str, label: &'a str) -> Option<(&'a str, &'a str)> {
    (!known.is_empty()).then_some((shown, label))
}

/// A name and what it stands at, with a button that copies it.
fn figure_ui(ui: &mut Ui, name: &str, value: &str, copy: Option<(&str, &str)>) {
    let quiet = roles(ui).quiet;
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(RichText::new(name).size(size::CAPTION).color(quiet));
        // A row is centred on its first part, so it is as high as the button from the start.
        let height = if copy.is_some() { widgets::SMALL } else { size::BODY + space::XS };
        ui.spacing_mut().interact_size.y = height;
        ui.horizontal(|ui| {
            let room = ui.available_width() - if copy.is_some() { 36.0 } else { 0.0 };
            ui.scope(|ui| {
                ui.set_max_width(room);
                ui.add(egui::Label::new(value).wrap());
            });
            if let Some((text, label)) = copy
                && widgets::small_button(ui, Icon::Copy, label).clicked()
            {
                ui.ctx().copy_text(text.to_owned());
            }
        });
    });
}

fn save_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    widgets::group(ui, words::INVITE);
    ui.label(words::INVITE_HINT);
    ui.add_space(space::XS);
    if view.save_path.is_empty()
        && let Some(me) = snapshot.me()
    {
        view.save_path = view::save_path_default(&me.overlay);
    }
    let field = widgets::field(ui, words::SAVE_PATH, "", &mut view.save_path, view.save_fault);
    let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    let clicked = ui
        .add_enabled_ui(snapshot.me().is_some(), |ui| {
            widgets::button(ui, Kind::Primary, None, words::SAVE).clicked()
        })
        .inner;
    let target = view::save_target(&view.save_path);
    if view.save_fault.is_none()
        && snapshot.saved.is_some()
        && target.as_ref().ok() == snapshot.saved.as_ref()
    {
        widgets::text_row(ui, |ui| {
            let good = roles(ui).good;
            widgets::sign(ui, Icon::ShieldGood, 16.0, good);
            ui.label(RichText::new(words::SAVED).color(good));
        });
    }
    let me = snapshot.me().filter(|_| clicked || enter)?;
    view.save_fault = target.as_ref().err().copied();
    let overlay = me.overlay.clone();
    target.ok().map(|path| Command::SaveDocument { overlay, path })
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
    if let Some(me) = snapshot.me() {
        ui.label(me.aor());
    }
    ui.label(RichText::new(words::LEAVE_HINT).color(roles(ui).quiet));
    ui.add_space(space::XS);
    if widgets::button(ui, Kind::Plain, None, words::LEAVE).clicked() {
        view.question = Some(Question::Leave);
    }
}
