//! The sound, tried step by step before the first call: speaker, ringer, microphone, and oneself
//! as others hear one. It stands where the settings would.

use egui::{RichText, ScrollArea, Ui};

use super::first::step_head;
use super::icons::Icon;
use super::look::{roles, space};
use super::view::{Page, SoundSetup, SoundStep, ViewState};
use super::widgets::{self, Kind, Offered};
use super::{keeping, sound, words};
use crate::phone::{Command, Device, OverlayState, Settings, Snapshot, SoundTest};

/// From this level on a microphone has heard somebody: a quiet voice, 30 dB under full scale.
const HEARD_MIN: f32 = 0.03;

impl SoundStep {
    const ALL: [Self; 4] = [Self::Speaker, Self::Ringer, Self::Microphone, Self::Loopback];

    fn number(self) -> usize {
        1 + Self::ALL.iter().position(|step| *step == self).unwrap_or_default()
    }

    fn before(self) -> Option<Self> {
        Self::ALL.get(self.number().checked_sub(2)?).copied()
    }

    fn after(self) -> Option<Self> {
        Self::ALL.get(self.number()).copied()
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Speaker => (words::wizard_speaker(), words::wizard_speaker_hint()),
            Self::Ringer => (words::wizard_ringer(), words::wizard_ringer_hint()),
            Self::Microphone => (words::wizard_microphone(), words::wizard_microphone_hint()),
            Self::Loopback => (words::wizard_loopback(), words::hear_myself_hint()),
        }
    }
}

/// Whether trying the sound is offered: to somebody who has not talked yet, until they have tried
/// it or put it off.
pub fn is_offered(snapshot: &Snapshot, view: &ViewState) -> bool {
    let is_in = matches!(snapshot.overlay(), OverlayState::Joined { .. });
    let has_talked = snapshot.history.iter().any(|entry| entry.answered);
    let is_next = is_in && !has_talked && snapshot.calls.is_empty();
    is_next && !view.kept.has_tried_sound && !keeping::is_offered(snapshot, view)
}

/// Offers to try the sound.
pub fn offer_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    if !is_offered(snapshot, view) {
        return;
    }
    let (title, why) = (words::wizard_offer(), words::wizard_offer_hint());
    match widgets::offer(ui, Icon::Microphone, title, why, words::try_sound()) {
        Some(Offered::Taken) => open(view),
        Some(Offered::PutOff) => view.kept.has_tried_sound = true,
        None => {}
    }
}

/// The way to the steps, in the settings.
pub fn open_ui(ui: &mut Ui, view: &mut ViewState) {
    if widgets::button(ui, Kind::Plain, Some(Icon::Microphone), words::wizard_open()).clicked() {
        open(view);
    }
    ui.add_space(space::S);
}

fn open(view: &mut ViewState) {
    view.kept.page = Page::Settings;
    view.kept.has_tried_sound = true;
    view.wizard = Some(SoundSetup::default());
}

/// The step that is open.
pub fn wizard_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let scroll = ScrollArea::vertical().id_salt("wizard").auto_shrink(false);
    scroll.show(ui, |ui| step_ui(ui, snapshot, view)).inner
}

fn step_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let Some(SoundSetup { step, .. }) = view.wizard else { return Vec::new() };
    let (title, hint) = step.words();
    step_head(ui, (step.number(), SoundStep::ALL.len()), title);
    ui.add(egui::Label::new(RichText::new(hint).color(roles(ui).quiet)).wrap());
    ui.add_space(space::M);
    let mut settings = snapshot.settings.clone();
    // The last step has the microphone of the one before, and more to see than the others.
    if step != SoundStep::Loopback {
        widgets::card(ui, |ui| choose_ui(ui, snapshot, step, &mut settings));
        ui.add_space(space::M);
    }
    let mut commands = Vec::new();
    let has_changed = settings != snapshot.settings;
    if has_changed {
        commands.push(Command::Configure(Box::new(settings)));
        // What is tried goes on, with the other device.
        commands.extend(snapshot.sound_test.map(|running| Command::TestSound(Some(running.test))));
    }
    commands.extend(match step {
        SoundStep::Loopback => sound::loopback_ui(ui, snapshot, view),
        step => test_ui(ui, snapshot, step),
    });
    if let Some(setup) = &mut view.wizard {
        let level = snapshot.sound_test.map_or(0.0, |running| running.level);
        setup.is_heard = !has_changed && (setup.is_heard || level >= HEARD_MIN);
        if step == SoundStep::Microphone {
            let (icon, colour, sentence) = match setup.is_heard {
                true => (Icon::Tick, roles(ui).good, words::wizard_heard()),
                false => (Icon::Microphone, roles(ui).quiet, words::wizard_speak()),
            };
            widgets::sentence(ui, icon, colour, sentence);
        }
    }
    ui.add_space(space::M);
    let last = step.after().is_none();
    let label = if last { words::done() } else { words::wizard_next() };
    match widgets::form_foot(ui, label) {
        (true, _) => commands.extend(go(snapshot, view, step.after())),
        (_, true) => commands.extend(go(snapshot, view, step.before())),
        _ => {}
    }
    commands
}

/// Goes to another step, or back to the settings; the microphone is listened to at once.
fn go(snapshot: &Snapshot, view: &mut ViewState, step: Option<SoundStep>) -> Option<Command> {
    view.wizard = step.map(|step| SoundSetup { step, is_heard: false });
    if step == Some(SoundStep::Microphone) {
        return Some(Command::TestSound(Some(SoundTest::Microphone)));
    }
    snapshot.sound_test.map(|_| Command::TestSound(None))
}

/// The button that tries what the step is about, and how loud that is.
fn test_ui(ui: &mut Ui, snapshot: &Snapshot, step: SoundStep) -> Option<Command> {
    let (test, label) = match step {
        SoundStep::Ringer => (SoundTest::Ringer, words::try_ringer()),
        SoundStep::Microphone => (SoundTest::Microphone, words::try_microphone()),
        _ => (SoundTest::Speaker, words::try_speaker()),
    };
    let running = snapshot.sound_test.filter(|running| running.test == test);
    let command = sound::test_button_ui(ui, test, label, running.is_some());
    ui.add_space(space::XS);
    let level = running.map_or(0.0, |running| running.level);
    widgets::level_meter(ui, words::level_now(), level, running.is_none());
    ui.add_space(space::S);
    command
}

/// Which device a step is about.
fn choose_ui(ui: &mut Ui, snapshot: &Snapshot, step: SoundStep, settings: &mut Settings) {
    let (microphones, speakers) = (&snapshot.microphones, &snapshot.speakers);
    let Settings { microphone, speaker, sound, .. } = settings;
    let system = words::system_choice();
    let (label, unchosen, devices, chosen, names): (_, _, _, _, &mut Vec<String>) = match step {
        SoundStep::Speaker => {
            (words::speaker(), system, speakers, Some(speaker), &mut sound.speakers)
        }
        SoundStep::Ringer => {
            (words::ringer(), words::ringer_as_speaker(), speakers, None, &mut sound.ringers)
        }
        SoundStep::Microphone | SoundStep::Loopback => {
            (words::microphone(), system, microphones, Some(microphone), &mut sound.microphones)
        }
    };
    widgets::group(ui, label);
    let mut none = None;
    let chosen = chosen.unwrap_or(&mut none);
    let before = sound::wished(devices, chosen, names);
    let mut first = before.first().cloned();
    ui.radio_value(&mut first, None, unchosen);
    for Device { name, .. } in devices {
        ui.radio_value(&mut first, Some(name.clone()), name);
    }
    if let Some(missing) = before.first().filter(|name| !devices.iter().any(|d| d.name == **name)) {
        ui.radio_value(&mut first, Some(missing.clone()), words::not_plugged_in_now(missing));
    }
    if first.as_ref() != before.first() {
        *chosen = None;
        names.clear();
        // Who wants the system's choice wants no order.
        if let Some(first) = first {
            names.push(first.clone());
            names.extend(before.into_iter().filter(|name| *name != first));
        }
    }
}
