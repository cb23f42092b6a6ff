//! Whether those who are shown are there: asked for now and then, and said in words beside a dot.

use egui::{Rect, RichText, Stroke, Ui, vec2};

use super::look::{roles, size};
use super::view::{Page, ViewState};
use super::widgets;
use super::{book, calls, words};
use crate::phone::{Command, Snapshot, Whereabouts};

/// How often it is asked again.
const LOOK_EVERY_S: f64 = 30.0;
/// Names that are asked for at a time: those at the top of a list.
const NAMES_MAX: usize = 40;

/// Asks for those who are shown, in a window that the user looks at.
pub fn look_for(ctx: &egui::Context, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let is_looked_at = ctx.input(|input| input.viewport().focused.unwrap_or(true));
    let names = shown(snapshot, view);
    if names.is_empty() || !is_looked_at || !calls::can_dial(snapshot) {
        view.looked = None;
        return None;
    }
    let now = ctx.input(|input| input.time);
    let wait = match &view.looked {
        Some((at, before)) if *before == names => at + LOOK_EVERY_S - now,
        _ => 0.0,
    };
    let is_due = wait <= 0.0;
    let next = if is_due { LOOK_EVERY_S } else { wait };
    ctx.request_repaint_after(std::time::Duration::from_secs_f64(next));
    if is_due {
        view.looked = Some((now, names.clone()));
    }
    is_due.then_some(Command::LookFor(names))
}

/// Those whose state the page shows.
fn shown(snapshot: &Snapshot, view: &ViewState) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    match view.kept.page {
        Page::Contacts => {
            names.extend(view.person.clone());
            let found = book::found(snapshot, &view.dial).into_iter();
            let wanted = found.filter(|contact| !contact.is_blocked);
            names.extend(wanted.map(|contact| contact.aor.clone()).take(NAMES_MAX));
        }
        Page::Messages => names.extend(view.talk.peer.clone()),
        Page::Calls => names.extend(view.person.clone()),
        Page::Network | Page::Settings | Page::People => {}
    }
    names.sort();
    names.dedup();
    names
}

/// A dot at the corner of a picture: full for somebody who is there, a ring for who was.
pub fn paint_dot(ui: &Ui, picture: Rect, whereabouts: Option<Whereabouts>) {
    let roles = roles(ui);
    let at = picture.right_bottom() - vec2(5.0, 5.0);
    match whereabouts {
        Some(Whereabouts::Here) => {
            ui.painter().circle_filled(at, 7.0, roles.surface);
            ui.painter().circle_filled(at, 5.0, roles.good);
        }
        Some(Whereabouts::LastSeen { .. }) => {
            ui.painter().circle_filled(at, 7.0, roles.surface);
            ui.painter().circle_stroke(at, 4.0, Stroke::new(2.0, roles.quiet));
        }
        Some(Whereabouts::Unregistered) | None => {}
    }
}

/// The state in words, if it is known.
pub fn line_ui(ui: &mut Ui, snapshot: &Snapshot, now_ms: u64, peer: &str) {
    let Some(whereabouts) = snapshot.whereabouts.get(peer).copied() else { return };
    let roles = roles(ui);
    let colour = if whereabouts == Whereabouts::Here { roles.good } else { roles.quiet };
    let said = words::whereabouts(whereabouts, now_ms);
    widgets::text_row(ui, |ui| {
        ui.label(RichText::new(said).size(size::CAPTION).color(colour));
    });
}
