//! Keys that work on every page.

use egui::{Key, KeyboardShortcut, Modifiers};

use super::card;
use super::view::{Page, ViewState};
use crate::phone::{Call, CallState, Command, Snapshot};

/// Closes the window and ends the program.
pub const CLOSE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Q);
/// Cuts the microphone off, or lets it in again.
pub const MUTE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::M);
/// Ends the running call.
pub const HANG_UP: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::H);
/// The pages, in the order of the rail.
const PAGES: [(Key, Page); 5] = [
    (Key::Num1, Page::Calls),
    (Key::Num2, Page::Contacts),
    (Key::Num3, Page::Network),
    (Key::Num4, Page::Settings),
    (Key::Num5, Page::People),
];

/// Whether the user has pressed the key that ends the program.
pub fn closes(ctx: &egui::Context) -> bool {
    ctx.input_mut(|input| input.consume_shortcut(&CLOSE))
}

/// What the keys ask of the phone. They are about the call whose card is open; an incoming one has
/// keys of its own.
pub fn commands(ctx: &egui::Context, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    if view.question.is_some() {
        return Vec::new();
    }
    let is_there = |page| page != Page::People || !snapshot.hosted.is_empty();
    for (key, page) in PAGES.into_iter().filter(|(_, page)| is_there(*page)) {
        if ctx.input_mut(|input| input.consume_key(Modifiers::COMMAND, key)) {
            view.kept.page = page;
            view.dial_focus = matches!(page, Page::Calls | Page::Contacts);
        }
    }
    let (mute, hang_up) =
        ctx.input_mut(|input| (input.consume_shortcut(&MUTE), input.consume_shortcut(&HANG_UP)));
    let is_open = |call: &&Call| card::is_running(call) && call.state != CallState::Incoming;
    let Some(call) = snapshot.calls.iter().find(is_open) else { return Vec::new() };
    let talking = matches!(call.state, CallState::Talking { .. });
    let mute = (mute && talking).then_some(Command::Mute(call.id, !call.muted));
    let hang_up = hang_up.then_some(Command::HangUp(call.id));
    mute.into_iter().chain(hang_up).collect()
}
