//! How calls are met: those who knock, and what the settings have about that.

use egui::{Frame, Key, Panel, RichText, Ui};

use super::forms::dial_fault;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{NameField, ViewState};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Call, Command, Settings, Snapshot};

/// A quiet line over the page for each stranger who calls.
pub fn knocks_ui(ui: &mut Ui, snapshot: &Snapshot) -> Option<Command> {
    let mut command = None;
    for call in snapshot.calls.iter().filter(|call| call.is_knocking) {
        command = command.or(knock_ui(ui, call));
    }
    command
}

fn knock_ui(ui: &mut Ui, call: &Call) -> Option<Command> {
    let roles = roles(ui);
    let frame = Frame::new()
        .fill(roles.hover)
        .inner_margin(egui::Margin::symmetric(space::L as i8, space::XS as i8));
    let (mut answers, mut declines) = (false, false);
    Panel::top(format!("knock {}", call.id.0)).resizable(false).frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            widgets::sign(ui, Icon::Phone, 18.0, roles.accent);
            let sentence = words::knocks(&call.peer);
            ui.add(egui::Label::new(RichText::new(sentence).size(size::BODY)).wrap());
            answers = widgets::button(ui, Kind::Primary, None, words::answer()).clicked();
            declines = widgets::button(ui, Kind::Plain, None, words::decline()).clicked();
        });
    });
    match (answers, declines) {
        (true, _) => Some(Command::Answer(call.id)),
        (false, true) => Some(Command::Decline(call.id)),
        (false, false) => None,
    }
}

/// What rings, as a group of the settings.
pub fn welcome_ui(ui: &mut Ui, settings: &mut Settings) {
    widgets::group(ui, words::callers());
    let quiet = roles(ui).quiet;
    let welcome = &mut settings.welcome;
    ui.checkbox(&mut welcome.do_not_disturb, words::do_not_disturb());
    let hint = RichText::new(words::do_not_disturb_hint()).color(quiet);
    ui.add(egui::Label::new(hint).wrap());
    ui.add_space(space::XS);
    ui.checkbox(&mut welcome.strangers_ring, words::strangers_ring());
    let hint = RichText::new(words::strangers_ring_hint()).color(quiet);
    ui.add(egui::Label::new(hint).wrap());
}

/// Whom calls go on to, as a group of the settings. That all of them do is a command of its own.
pub fn going_on_ui(ui: &mut Ui, view: &mut ViewState, settings: &mut Settings) -> Option<Command> {
    widgets::group(ui, words::going_on());
    let hint = RichText::new(words::going_on_hint()).color(roles(ui).quiet);
    ui.add(egui::Label::new(hint).wrap());
    ui.add_space(space::XS);
    let (typed, welcome) = (&mut view.going_on, &mut settings.welcome);
    let all = name_ui(ui, words::going_on_all(), &mut typed.all, settings.forward_to.as_deref());
    let busy = welcome.forward_busy.as_deref();
    if let Some(to) = name_ui(ui, words::going_on_busy(), &mut typed.busy, busy) {
        welcome.forward_busy = to;
    }
    let kept = welcome.forward_unanswered.as_deref();
    if let Some(to) = name_ui(ui, words::going_on_unanswered(), &mut typed.unanswered, kept) {
        welcome.forward_unanswered = to;
    }
    if welcome.forward_unanswered.is_some() {
        widgets::number(ui, words::going_on_after(), &mut welcome.unanswered_s, 5..=120);
    }
    all.map(Command::Forward)
}

/// A name that may be none. What is typed counts when the field is left, and is kept there if it
/// can't be a name; Esc takes it back.
fn name_ui(
    ui: &mut Ui,
    label: &str,
    typed: &mut NameField,
    kept: Option<&str>,
) -> Option<Option<String>> {
    let (text, is_faulty) =
        typed.get_or_insert_with(|| (kept.unwrap_or_default().to_owned(), false));
    let fault = dial_fault(text.trim()).filter(|_| *is_faulty);
    let field = widgets::field(ui, label, words::nobody_else(), text, fault);
    let name = text.trim();
    let name = (!name.is_empty()).then(|| name.to_owned());
    if field.has_focus() {
        *is_faulty &= !field.changed();
        return None;
    }
    let is_left = field.lost_focus();
    let is_given = is_left && !ui.input(|input| input.key_pressed(Key::Escape));
    if is_left {
        *is_faulty = is_given && name.as_deref().and_then(dial_fault).is_some();
    }
    if *is_faulty {
        return None;
    }
    *typed = None;
    (is_given && name.as_deref() != kept).then_some(name)
}

/// Whether calls of a person are answered at once. It is shown as long as it is so, whoever that
/// is.
pub fn at_once_ui(ui: &mut Ui, snapshot: &Snapshot, peer: &str) -> Option<Command> {
    let names = &snapshot.settings.welcome.answered_at_once;
    let was_so = names.iter().any(|name| name == peer);
    if !was_so && snapshot.contact(peer).is_none_or(|contact| contact.is_blocked) {
        return None;
    }
    let mut is_so = was_so;
    ui.checkbox(&mut is_so, words::answer_at_once());
    let hint = RichText::new(words::answer_at_once_hint()).color(roles(ui).quiet);
    ui.add(egui::Label::new(hint).wrap());
    ui.add_space(space::S);
    if is_so == was_so {
        return None;
    }
    let mut settings = snapshot.settings.clone();
    let names = &mut settings.welcome.answered_at_once;
    names.retain(|name| name != peer);
    names.extend(is_so.then(|| peer.to_owned()));
    Some(Command::Configure(Box::new(settings)))
}
