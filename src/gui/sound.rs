//! The sound of calls, as groups of the settings: which devices, in which order, and trying them.

use std::path::PathBuf;

use egui::{ComboBox, RichText, Ui};

use super::files::{self, FileFor, FilesView};
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{PathField, ViewState};
use super::widgets::{self, Kind};
use super::{wizard, words};
use crate::phone::{Command, Device, Settings, Snapshot, SoundTest};

/// Microphone, speaker and ringer, what becomes of the sound, and what is heard on hold.
pub fn devices_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, settings: &mut Settings) {
    widgets::group(ui, words::sound_title());
    let (microphones, speakers) = (&snapshot.microphones, &snapshot.speakers);
    let Settings { microphone, speaker, sound, .. } = settings;
    let system = words::system_choice();
    order_ui(ui, words::microphone(), system, microphones, microphone, &mut sound.microphones);
    order_ui(ui, words::speaker(), system, speakers, speaker, &mut sound.speakers);
    let as_speaker = words::ringer_as_speaker();
    order_ui(ui, words::ringer(), as_speaker, speakers, &mut None, &mut sound.ringers);
    ui.checkbox(&mut sound.voice_processing, words::voice_processing());
    ui.add_space(space::XS);
    let (label, hint) = (words::hold_music(), words::hold_music_hint());
    let field = (FileFor::HoldMusic, label, hint);
    path_ui(ui, &mut view.files, field, &mut view.hold_music, &mut sound.hold_music);
}

/// Devices in the order in which they are wished for, by name; `unchosen` says what happens without
/// any. A device that was chosen by its id comes first, and is one of the names once they change.
fn order_ui(
    ui: &mut Ui,
    label: &str,
    unchosen: &str,
    devices: &[Device],
    chosen: &mut Option<String>,
    names: &mut Vec<String>,
) {
    let before = wished(devices, chosen, names);
    let mut order = before.clone();
    ui.label(RichText::new(label).size(size::BODY));
    for (index, name) in before.iter().enumerate() {
        let is_there = devices.iter().any(|device| device.name == *name);
        wish_ui(ui, label, (index, name), is_there, &mut order);
    }
    let width = ui.available_width().min(420.0);
    let selected = if before.is_empty() { unchosen } else { words::add_device() };
    ComboBox::from_id_salt(label)
        .selected_text(selected)
        .width(width)
        .truncate()
        .show_ui(ui, |ui| {
            for device in devices.iter().filter(|device| !before.contains(&device.name)) {
                if ui.selectable_label(false, &device.name).clicked() {
                    order.push(device.name.clone());
                }
            }
        })
        .response
        .accessible_name(label);
    ui.add_space(space::S);
    if order != before {
        (*chosen, *names) = (None, order);
    }
}

/// The names of devices that are wished for, the best first.
pub fn wished(devices: &[Device], chosen: &Option<String>, names: &[String]) -> Vec<String> {
    let name_of = |id: &String| {
        let device = devices.iter().find(|device| device.id == *id);
        device.map_or(id.clone(), |device| device.name.clone())
    };
    chosen.iter().map(name_of).chain(names.iter().cloned()).collect()
}

/// One device of an order, with buttons that move it forward and take it away.
fn wish_ui(
    ui: &mut Ui,
    kind: &str,
    (index, name): (usize, &str),
    is_there: bool,
    order: &mut Vec<String>,
) {
    let roles = roles(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = widgets::SMALL;
        let text = format!("{}. {name}", index + 1);
        let text = if is_there { text } else { words::not_plugged_in_now(&text) };
        let colour = if is_there { roles.text } else { roles.quiet };
        let width = (ui.available_width() - 2.0 * (widgets::SMALL + space::S)).max(60.0);
        ui.scope(|ui| {
            ui.set_max_width(width);
            ui.add(egui::Label::new(RichText::new(text).color(colour)).truncate());
        });
        let up = words::move_up(name, kind);
        if index > 0 && widgets::small_button(ui, Icon::Up, &up).clicked() {
            order.swap(index - 1, index);
        }
        if widgets::small_button(ui, Icon::Cross, &words::take_away(name, kind)).clicked() {
            order.remove(index);
        }
    });
}

/// Buttons to try the devices, a meter, and hearing oneself through a bad network.
pub fn try_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    widgets::group(ui, words::try_sound());
    wizard::open_ui(ui, view);
    let running = snapshot.sound_test;
    let mut command = None;
    ui.horizontal_wrapped(|ui| {
        for (test, label) in [
            (SoundTest::Speaker, words::try_speaker()),
            (SoundTest::Ringer, words::try_ringer()),
            (SoundTest::Microphone, words::try_microphone()),
        ] {
            let is_on = running.is_some_and(|running| running.test == test);
            command = command.take().or(test_button_ui(ui, test, label, is_on));
        }
    });
    ui.add_space(space::XS);
    meter_ui(ui, snapshot);
    ui.add_space(space::M);
    ui.label(RichText::new(words::hear_myself_hint()).color(roles(ui).quiet));
    ui.add_space(space::XS);
    command.or(hear_ui(ui, snapshot, view))
}

/// Hearing oneself through a bad network, and how loud one is.
pub fn loopback_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let command = hear_ui(ui, snapshot, view);
    ui.add_space(space::XS);
    meter_ui(ui, snapshot);
    ui.add_space(space::S);
    command
}

fn meter_ui(ui: &mut Ui, snapshot: &Snapshot) {
    let running = snapshot.sound_test;
    let level = running.map_or(0.0, |running| running.level);
    widgets::level_meter(ui, words::level_now(), level, running.is_none());
}

fn hear_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let running = snapshot.sound_test;
    let before = view.loopback;
    let (delay_ms, loss_percent) = &mut view.loopback;
    choice_ui(ui, words::try_delay(), delay_ms, &DELAYS_MS, |ms| format!("{ms} ms"));
    choice_ui(ui, words::try_loss(), loss_percent, &LOSSES_PERCENT, |loss| format!("{loss} %"));
    let (delay_ms, loss_percent) = view.loopback;
    let test = SoundTest::Loopback { delay_ms, loss_percent };
    let is_loopback = |test| matches!(test, SoundTest::Loopback { .. });
    let is_on = running.is_some_and(|running| is_loopback(running.test));
    let button = test_button_ui(ui, test, words::hear_myself(), is_on);
    let again = is_on && view.loopback != before;
    button.or(again.then_some(Command::TestSound(Some(test))))
}

/// Delays and losses of networks in which one can hear oneself: none, those of a usual connection
/// and of worse ones.
const DELAYS_MS: [u16; 4] = [0, 150, 300, 600];
const LOSSES_PERCENT: [u8; 4] = [0, 5, 10, 20];

/// One of a few values.
fn choice_ui<T: PartialEq + Copy>(
    ui: &mut Ui,
    label: &str,
    chosen: &mut T,
    values: &[T],
    words: impl Fn(T) -> String,
) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().interact_size.y = widgets::SMALL;
        ui.label(label);
        for value in values {
            if widgets::chip(ui, &words(*value), *chosen == *value).clicked() {
                *chosen = *value;
            }
        }
    });
    ui.add_space(space::XS);
}

/// A button that tries something, or stops that.
pub fn test_button_ui(ui: &mut Ui, test: SoundTest, label: &str, is_on: bool) -> Option<Command> {
    let label = if is_on { words::try_stop() } else { label };
    let kind = if is_on { Kind::Primary } else { Kind::Plain };
    let button = widgets::button(ui, kind, None, label);
    button.clicked().then_some(Command::TestSound((!is_on).then_some(test)))
}

/// A file that may be none. What is typed counts when the field is left.
pub fn path_ui(
    ui: &mut Ui,
    files: &mut FilesView,
    (what, label, hint): (FileFor, &str, &str),
    typed: &mut PathField,
    path: &mut Option<PathBuf>,
) {
    let kept = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let text = typed.get_or_insert_with(|| kept.clone());
    let field = files::field_ui(ui, files, what, (label, hint), text, None);
    if field.lost_focus() || field.changed() && !field.has_focus() {
        let text = text.trim();
        if text != kept {
            *path = (!text.is_empty()).then(|| text.into());
        }
    }
    if !field.has_focus() {
        *typed = None;
    }
}
