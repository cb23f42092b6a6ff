//! One call as a card, and the incoming call over everything.

use std::time::Duration;

use egui::{Color32, Id, Key, Modal, Modifiers, RichText, Ui};

use super::icons::Icon;
use super::keys;
use super::look::{roles, size, space};
use super::view::ViewState;
use super::widgets::{self, Kind};
use super::words;
use super::{book, handling, why};
use crate::phone::{Call, CallState, Command, Quality, Snapshot, Verified};

/// A key that was meant for something else must not answer: an incoming call takes keys only after
/// this many seconds on the screen.
const KEYS_AFTER_S: f64 = 0.4;

/// Whether a call still runs and would be lost.
pub fn is_running(call: &Call) -> bool {
    !matches!(call.state, CallState::Ended { .. })
}

/// How many calls would be lost.
pub fn running(snapshot: &Snapshot) -> usize {
    snapshot.calls.iter().filter(|call| is_running(call)).count()
}

/// How many of them are in one overlay.
pub fn running_in(snapshot: &Snapshot, overlay: &str) -> usize {
    let runs_there = |call: &&Call| is_running(call) && call.overlay == overlay;
    snapshot.calls.iter().filter(runs_there).count()
}

/// All calls but those that ring here, the newest running one open and the others small; whether
/// there was one.
pub fn stack_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    commands: &mut Vec<Command>,
) -> bool {
    let mut open_taken = false;
    let mut any = false;
    let shown = snapshot.calls.iter().filter(|call| call.state != CallState::Incoming);
    // A call that ends must not push a running one down.
    let (mut running, ended): (Vec<&Call>, Vec<&Call>) = shown.partition(|call| is_running(call));
    // Nobody here talks in a call that the answering machine has.
    running.sort_by_key(|call| call.takes_message);
    for call in running.into_iter().chain(ended) {
        any = true;
        let name = book::name(snapshot, &call.peer);
        ui.push_id(call.id.0, |ui| {
            widgets::card(ui, |ui| match &call.state {
                CallState::Ended { reason, duration } => {
                    commands.extend(ended_ui(ui, call, name, reason, *duration));
                    why_ui(ui, snapshot, view, call);
                }
                _ if open_taken => commands.extend(small_ui(ui, call, name)),
                _ => {
                    open_taken = true;
                    commands.extend(open_ui(ui, snapshot, view, call, name));
                }
            });
        });
        ui.add_space(space::XS);
    }
    any
}

/// The running call as one line, for the pages that show something else; whether it was clicked.
pub fn strip_ui(ui: &mut Ui, snapshot: &Snapshot) -> (bool, Option<Command>) {
    let running = |call: &&Call| is_running(call) && call.state != CallState::Incoming;
    let Some(call) = snapshot.calls.iter().find(running) else {
        return (false, None);
    };
    let mut back = false;
    let command = widgets::card(ui, |ui| {
        let command = small_ui(ui, call, book::name(snapshot, &call.peer));
        back = widgets::button(ui, Kind::Quiet, Some(Icon::Back), words::calls_running()).clicked();
        command
    });
    ui.add_space(space::S);
    (back, command)
}

/// The incoming call over everything in the window.
pub fn incoming_ui(
    ctx: &egui::Context,
    snapshot: &Snapshot,
    view: &mut ViewState,
) -> Option<Command> {
    let rings = |call: &&Call| call.state == CallState::Incoming && !call.is_knocking;
    let ringing: Vec<&Call> = snapshot.calls.iter().filter(rings).collect();
    // The one that rang first stays in front: a second caller must not slip under a finger.
    let Some(call) = ringing.last() else {
        view.ringing = None;
        return None;
    };
    let fresh = view.ringing.is_none_or(|(id, _)| id != call.id);
    if fresh {
        view.ringing = Some((call.id, ctx.input(|input| input.time)));
        let urgent = egui::UserAttentionType::Critical;
        ctx.send_viewport_cmd(egui::ViewportCommand::RequestUserAttention(urgent));
    }
    let keys = keys_count(ctx, view);
    let mut command = None;
    let frame = widgets::modal_frame(ctx);
    Modal::new(Id::unique("incoming")).frame(frame).show(ctx, |ui| {
        ui.set_width(344.0_f32.min(ctx.content_rect().width() - 80.0));
        command = incoming_card_ui(ui, call, book::name(snapshot, &call.peer), keys);
        let others: Vec<&str> =
            ringing.iter().rev().skip(1).map(|call| book::name(snapshot, &call.peer)).collect();
        if !others.is_empty() {
            ui.add_space(space::S);
            ui.vertical_centered(|ui| ui.label(words::also_calling(&others)));
        }
    });
    command
}

/// Whether keys count yet; until then those that would press a button are swallowed.
fn keys_count(ctx: &egui::Context, view: &ViewState) -> bool {
    ctx.input_mut(|input| {
        let since = view.ringing.map_or(input.time, |(_, since)| since);
        let count = input.time - since >= KEYS_AFTER_S;
        if !count {
            for key in [Key::Enter, Key::Space, Key::Escape] {
                input.consume_key(Modifiers::NONE, key);
            }
        }
        count
    })
}

fn incoming_card_ui(ui: &mut Ui, call: &Call, name: &str, keys: bool) -> Option<Command> {
    let quiet = roles(ui).quiet;
    let mut command = None;
    ui.vertical_centered(|ui| {
        widgets::avatar(ui, name, 72.0);
        ui.add_space(space::S);
        ui.label(RichText::new(name).size(size::LARGE));
        ui.label(RichText::new(words::calls_you()).size(size::NAME).color(quiet));
        ui.label(RichText::new(&call.peer).color(quiet));
    });
    ui.add_space(space::S);
    ui.vertical_centered(|ui| verified_ui(ui, call));
    ui.add_space(space::L);
    widgets::centred_row(ui, 64.0 * 2.0 + 48.0, |ui| {
        ui.spacing_mut().item_spacing.x = 48.0;
        let answer = widgets::round_button(ui, Kind::Good, Icon::Phone, words::answer(), false);
        let decline = widgets::round_button(ui, Kind::Bad, Icon::HangUp, words::decline(), false);
        if ui.memory(|memory| memory.focused()).is_none() {
            answer.request_focus();
        }
        let pressed = |key| keys && ui.input(|input| input.key_pressed(key));
        // Enter answers, unless the user has moved the focus to the other button.
        if decline.clicked() || pressed(Key::Escape) {
            command = Some(Command::Decline(call.id));
        } else if answer.clicked() || (pressed(Key::Enter) && !decline.has_focus()) {
            command = Some(Command::Answer(call.id));
        }
    });
    ui.add_space(space::XS);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(words::answer_keys()).size(size::CAPTION).color(quiet));
    });
    command
}

/// Below this height in points the picture stands beside the name: the buttons of a call have to be
/// seen without scrolling.
const LOW: f32 = 720.0;

/// Whom the open card is about.
fn who_ui(ui: &mut Ui, call: &Call, name: &str) {
    let quiet = roles(ui).quiet;
    if ui.ctx().content_rect().height() < LOW {
        ui.horizontal(|ui| {
            widgets::avatar(ui, name, 56.0);
            ui.vertical(|ui| {
                ui.add(egui::Label::new(RichText::new(name).size(size::HEADING)).truncate());
                ui.add(egui::Label::new(RichText::new(&call.peer).color(quiet)).truncate());
            });
        });
        return;
    }
    ui.vertical_centered(|ui| {
        ui.add_space(space::S);
        widgets::avatar(ui, name, 88.0);
        ui.add_space(space::XS);
        ui.label(RichText::new(name).size(size::LARGE));
        ui.label(RichText::new(&call.peer).color(quiet));
    });
}

/// The open card: name, state, meters, large buttons.
fn open_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    call: &Call,
    name: &str,
) -> Option<Command> {
    let roles = roles(ui);
    who_ui(ui, call, name);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(state_words(call)).size(size::HEADING).color(roles.accent));
        verified_ui(ui, call);
        if let Some(words) = handling::transfer_words(call, name) {
            sign_ui(ui, Icon::HandOver, roles.quiet, words);
        }
    });
    ui.add_space(space::S);
    let talking = matches!(call.state, CallState::Talking { .. });
    if let Some(held) = words::held(call, name).filter(|_| talking) {
        ui.vertical_centered(|ui| sign_ui(ui, Icon::Hold, roles.warn, held));
    } else if talking {
        meters_ui(ui, call, name);
        quality_ui(ui, call.quality.as_ref());
        if call.conference.is_some() {
            let words = words::in_conference().to_owned();
            ui.vertical_centered(|ui| sign_ui(ui, Icon::People, roles.quiet, words));
        }
        if let Some(words) = words::recorded(&call.recording, name) {
            ui.vertical_centered(|ui| sign_ui(ui, Icon::Record, roles.warn, words));
        }
        if let Some(trouble) = call.trouble {
            let words = words::sound_trouble(trouble, name);
            ui.vertical_centered(|ui| sign_ui(ui, Icon::Warning, roles.warn, words));
        }
    } else {
        widgets::wandering_bar(ui);
    }
    ui.add_space(space::L);
    let command = handling::buttons_ui(ui, snapshot, view, call);
    ui.add_space(space::XS);
    command
}

/// A running call in one line.
fn small_ui(ui: &mut Ui, call: &Call, name: &str) -> Option<Command> {
    let accent = roles(ui).accent;
    let mut state = state_words(call);
    if call.conference.is_some() {
        state = words::state_in_conference(&state);
    }
    ui.horizontal(|ui| {
        widgets::avatar(ui, name, 40.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width((ui.available_width() - 3.0 * 48.0).max(60.0));
            let title = RichText::new(name).size(size::NAME);
            ui.add(egui::Label::new(title).truncate());
            ui.add(egui::Label::new(RichText::new(state).color(accent)).truncate());
        });
        widgets::from_right(ui, |ui| {
            let hang_up =
                widgets::icon_button(ui, Kind::Bad, Icon::HangUp, words::hang_up(), false);
            let ended = hang_up.clicked().then_some(Command::HangUp(call.id));
            let talking = matches!(call.state, CallState::Talking { .. });
            if talking && call.takes_message {
                let words = words::take_over();
                let taken = widgets::icon_button(ui, Kind::Good, Icon::Phone, words, false);
                return ended.or(taken.clicked().then_some(Command::Answer(call.id)));
            }
            let muted = if talking { mute_ui(ui, call, false) } else { None };
            let held = if talking { hold_ui(ui, call, false) } else { None };
            ended.or(muted).or(held)
        })
    })
    .inner
}

/// A call that is over: how, and what can be done next.
fn ended_ui(
    ui: &mut Ui,
    call: &Call,
    name: &str,
    reason: &str,
    duration: Duration,
) -> Vec<Command> {
    let quiet = roles(ui).quiet;
    ui.horizontal(|ui| {
        widgets::avatar(ui, name, 40.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(RichText::new(name).size(size::NAME));
            let mut line = words::ended().to_owned();
            if !duration.is_zero() {
                line = format!("{line}, {}", words::clock(duration));
            }
            ui.label(RichText::new(line).color(quiet));
        });
    });
    ui.add_space(space::XS);
    ui.label(words::with_name(reason, &call.peer, name));
    if let Some(file) = &call.recording.file {
        ui.add(egui::Label::new(words::recorded_to(file)).wrap());
    }
    ui.add_space(space::XS);
    ui.horizontal(|ui| {
        let again = widgets::button(ui, Kind::Primary, Some(Icon::Phone), words::call_again());
        let dismiss = widgets::button(ui, Kind::Plain, None, words::dismiss());
        if again.clicked() {
            vec![Command::Dismiss(call.id), Command::Dial(call.peer.clone())]
        } else if dismiss.clicked() {
            vec![Command::Dismiss(call.id)]
        } else {
            Vec::new()
        }
    })
    .inner
}

/// Puts a call on hold, or goes on with it.
pub fn hold_ui(ui: &mut Ui, call: &Call, large: bool) -> Option<Command> {
    let (icon, label) = match call.held_by_us {
        true => (Icon::Resume, words::resume()),
        false => (Icon::Hold, words::hold()),
    };
    let button = if large { widgets::round_button } else { widgets::icon_button };
    let kind = if large { Kind::Plain } else { Kind::Quiet };
    let button = button(ui, kind, icon, label, call.held_by_us);
    button.clicked().then_some(Command::Hold(call.id, !call.held_by_us))
}

/// Records a call, or stops.
pub fn record_ui(ui: &mut Ui, call: &Call) -> Option<Command> {
    let is_on = call.recording.by_us;
    let label = if is_on { words::record_stop() } else { words::record() };
    let button = widgets::round_button(ui, Kind::Plain, Icon::Record, label, is_on);
    button.clicked().then_some(Command::Record(call.id, !is_on))
}

/// How far a call that has failed came, for who wants to know.
fn why_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, call: &Call) {
    let failure = snapshot.failure.as_ref().filter(|failure| failure.id == call.id);
    let Some(failure) = failure else { return };
    let is_open = view.why == Some(call.id);
    let label = if is_open { words::why_not() } else { words::why() };
    if widgets::button(ui, Kind::Quiet, None, label).clicked() {
        view.why = (!is_open).then_some(call.id);
    }
    if is_open {
        why::steps_ui(ui, failure);
    }
}

/// Cuts the microphone off, or lets it in again.
pub fn mute_ui(ui: &mut Ui, call: &Call, large: bool) -> Option<Command> {
    let (icon, label) = match call.muted {
        true => (Icon::MicrophoneOff, words::unmute()),
        false => (Icon::Microphone, words::mute()),
    };
    let button = if large { widgets::round_button } else { widgets::icon_button };
    let kind = if large { Kind::Plain } else { Kind::Quiet };
    let button = button(ui, kind, icon, label, call.muted);
    let button = button.on_hover_text(ui.ctx().format_shortcut(&keys::MUTE));
    button.clicked().then_some(Command::Mute(call.id, !call.muted))
}

fn meters_ui(ui: &mut Ui, call: &Call, name: &str) {
    ui.columns(2, |columns| {
        widgets::level_meter(&mut columns[0], words::you(), call.level_sent, call.muted);
        widgets::level_meter(&mut columns[1], name, call.level_received, false);
    });
    if call.muted {
        let warn = roles(ui).warn;
        let words = words::muted().to_owned();
        ui.vertical_centered(|ui| sign_ui(ui, Icon::MicrophoneOff, warn, words));
    }
}

/// What the sound is like; as high before it is known, so that no button moves.
fn quality_ui(ui: &mut Ui, quality: Option<&Quality>) {
    let roles = roles(ui);
    let colour = match quality.map(|quality| quality.word) {
        Some("Good") => roles.good,
        Some("Fair") => roles.warn,
        Some("Connected") | None => roles.quiet,
        Some(_) => roles.bad,
    };
    let heading = quality.map_or(words::sound_coming().to_owned(), |q| words::sound(q.word));
    let details = quality.map_or(" ".to_owned(), words::quality_details);
    ui.vertical_centered(|ui| {
        ui.add_space(space::XS);
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(RichText::new(heading).color(colour));
        let details = RichText::new(details);
        ui.label(details.size(size::CAPTION).color(roles.quiet));
    });
}

/// How sure we are of the name, and whose name it is: signs and words, in the middle.
fn verified_ui(ui: &mut Ui, call: &Call) {
    let roles = roles(ui);
    if let Some(to) = &call.forwarded_to {
        sign_ui(ui, Icon::Phone, roles.quiet, words::forwarded(to));
    }
    if call.is_domain_unverified {
        sign_ui(ui, Icon::Warning, roles.warn, words::domain_unverified().to_owned());
    }
    let (icon, colour) = match call.verified {
        Verified::Unknown => (Icon::Shield, roles.quiet),
        Verified::SelfSignedNew | Verified::Ordinary => (Icon::Shield, roles.warn),
        Verified::Authority | Verified::SelfSignedKnown => (Icon::ShieldGood, roles.good),
        Verified::SelfSignedChanged => (Icon::Warning, roles.bad),
    };
    let peer = call.forwarded_to.as_ref().unwrap_or(&call.peer);
    sign_ui(ui, icon, colour, words::verified(call.verified, peer));
}

fn sign_ui(ui: &mut Ui, icon: Icon, colour: Color32, text: String) {
    let font = egui::FontId::proportional(size::BODY);
    let width_max = ui.available_width() - 22.0;
    let galley = ui.painter().layout(text.clone(), font, colour, width_max);
    let width = galley.size().x + 22.0;
    widgets::centred_row(ui, width, |ui| {
        ui.spacing_mut().item_spacing.x = space::XS;
        widgets::sign(ui, icon, 16.0, colour);
        ui.vertical(|ui| {
            ui.set_max_width(width_max);
            ui.add(egui::Label::new(RichText::new(text).color(colour)).wrap());
        });
    });
}

fn state_words(call: &Call) -> String {
    match &call.state {
        CallState::Dialling { step } => words::said(step),
        CallState::Ringing => words::ringing().to_owned(),
        CallState::Incoming => words::calls_you().to_owned(),
        CallState::Talking { .. } if call.takes_message => words::takes_message().to_owned(),
        CallState::Talking { .. } if call.held_by_us => words::on_hold().to_owned(),
        CallState::Talking { duration } => words::clock(*duration),
        CallState::Ended { .. } => words::ended().to_owned(),
    }
}
