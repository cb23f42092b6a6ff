//! The first pages: join an overlay, start one, restore a backup, and what is happening meanwhile.
//! They also stand in front when another overlay is added.

mod going;
mod join;
mod restore;
mod share;
mod start;

use egui::{Key, Modifiers, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, vec2};

use super::card;
use super::icons::Icon;
use super::look::{RADIUS, roles, size, space};
use super::view::{Setup, ViewState};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Call, CallState, Command, Me, Snapshot};

pub use going::{follow, found_again, founder, join_again, target};

/// Width of the column with a form.
const COLUMN: f32 = 520.0;
/// Width of the column with the choices, and from where on they stand side by side.
const CHOICES: f32 = 720.0;
const CHOICES_BESIDE: f32 = 600.0;
/// Height of a large choice that stands beside others, and of one that stands below.
const CHOICE_HEIGHT: f32 = 164.0;
const CHOICE_HEIGHT_LOW: f32 = 96.0;

/// Whether the first pages stand where the main window would.
pub fn is_shown(snapshot: &Snapshot, view: &ViewState) -> bool {
    let stays = matches!(view.setup, Setup::Going(_) | Setup::Share(_));
    // A call by an ordinary account needs no overlay, but its buttons.
    let talks = |call: &Call| card::is_running(call) && call.state != CallState::Incoming;
    let is_outside = snapshot.memberships.is_empty() && !snapshot.calls.iter().any(talks);
    is_outside || view.is_adding || stays
}

/// The first pages.
pub fn first_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    take_dropped_file(ui, view);
    let mut commands = Vec::new();
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let (column, height) = match &view.setup {
            Setup::Choices => (CHOICES, 360.0),
            Setup::Share(_) => (CHOICES, 580.0),
            _ => (COLUMN, 480.0),
        };
        let margin = if ui.available_width() < COLUMN { space::L } else { space::XXL };
        let width = (ui.available_width() - 2.0 * margin).min(column);
        let top = ((ui.available_height() - height) / 2.0).max(space::L);
        ui.add_space(top);
        widgets::centred_row(ui, width, |ui| {
            ui.vertical(|ui| {
                ui.set_width(width);
                commands = match view.setup.clone() {
                    Setup::Choices => choices_ui(ui, snapshot, view),
                    Setup::Join => join::join_ui(ui, snapshot, view),
                    Setup::Start => start::start_ui(ui, snapshot, view),
                    Setup::Restore => restore::restore_ui(ui, snapshot, view),
                    Setup::Going(going) => going::going_ui(ui, snapshot, view, &going),
                    Setup::Share(overlay) => share::share_ui(ui, snapshot, view, &overlay),
                    Setup::Restored(aors) => restore::restored_ui(ui, snapshot, view, &aors),
                };
            });
        });
        ui.add_space(space::XL);
    });
    let hovered = ui.input(|input| !input.raw.hovered_files.is_empty());
    if hovered {
        drop_sign(ui);
    }
    commands
}

fn choices_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let quiet = roles(ui).quiet;
    let is_adding = view.is_adding && !snapshot.memberships.is_empty();
    let (title, hint) = match is_adding {
        true => (words::adding(), words::adding_hint()),
        false => (words::welcome(), words::welcome_hint()),
    };
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(title).size(size::LARGE));
        ui.label(RichText::new(hint).size(size::NAME).color(quiet));
    });
    ui.add_space(space::XL);
    let mut commands = Vec::new();
    if let Some(last) = snapshot.last.as_ref().filter(|_| !is_adding) {
        commands = again_ui(ui, snapshot, view, last);
        ui.add_space(space::L);
    }
    large_choices_ui(ui, snapshot, view);
    if is_adding {
        ui.add_space(space::L);
        ui.vertical_centered(|ui| {
            let back = widgets::button(ui, Kind::Plain, Some(Icon::Back), words::back());
            if back.clicked() || take_escape(ui) {
                view.is_adding = false;
            }
        });
    }
    commands
}

/// The overlay that one was in last.
fn again_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, last: &Me) -> Vec<Command> {
    let mut commands = Vec::new();
    ui.vertical_centered(|ui| {
        let label = words::join_again(&last.aor());
        if widgets::button(ui, Kind::Primary, Some(Icon::Again), &label).clicked() {
            commands = going::go(snapshot, view, going::join_again(last));
        }
    });
    if snapshot.founded.contains(&last.overlay) {
        let label = words::found_again(&last.overlay);
        ui.vertical_centered(|ui| {
            if widgets::button(ui, Kind::Plain, None, &label).clicked() {
                commands = going::go(snapshot, view, going::found_again(last));
            }
        });
    }
    commands
}

fn large_choices_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    let choices = [
        (Setup::Join, Icon::Join, words::join_choice(), words::join_choice_hint()),
        (Setup::Start, Icon::Start, words::start_choice(), words::start_choice_hint()),
        (Setup::Restore, Icon::Restore, words::restore_choice(), words::restore_choice_hint()),
    ];
    let is_beside = ui.available_width() >= CHOICES_BESIDE;
    let width = match is_beside {
        true => (ui.available_width() - 2.0 * space::L) / 3.0,
        false => ui.available_width(),
    };
    let height = if is_beside { CHOICE_HEIGHT } else { CHOICE_HEIGHT_LOW };
    let mut all = |ui: &mut Ui| {
        ui.spacing_mut().item_spacing = vec2(space::L, space::L);
        for (form, icon, title, hint) in choices.clone() {
            if choice(ui, vec2(width, height), icon, title, hint).clicked() {
                open_form(snapshot, view, form);
            }
        }
    };
    if is_beside {
        ui.horizontal_top(|ui| all(ui));
    } else {
        ui.vertical(|ui| all(ui));
    }
}

/// Opens a form with the keyboard in its first field and the name used last time.
fn open_form(snapshot: &Snapshot, view: &mut ViewState, form: Setup) {
    view.setup = form;
    view.form_focus = true;
    view.more = false;
    let Some(last) = snapshot.me().or(snapshot.last.as_ref()) else { return };
    for user in [&mut view.join.user, &mut view.start.user] {
        if user.is_empty() {
            user.clone_from(&last.user);
        }
    }
}

/// A large card that is one choice: its icon above the words, or beside them if it is low.
fn choice(ui: &mut Ui, size: egui::Vec2, icon: Icon, title: &str, hint: &str) -> egui::Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::accesskit::Role::Button, ui.is_enabled(), title)
    });
    let roles = roles(ui);
    let fill = if response.hovered() { roles.hover } else { roles.raised };
    let line = if response.has_focus() { roles.accent } else { roles.line };
    let stroke = Stroke::new(if response.has_focus() { 2.0 } else { 1.0 }, line);
    let painter = ui.painter();
    painter.rect(rect, RADIUS, fill, stroke, StrokeKind::Inside);
    let inner = rect.shrink(space::L);
    let square = Rect::from_min_size(inner.min, vec2(28.0, 28.0));
    icon.paint(painter, square, 26.0, roles.accent);
    let is_low = size.y <= CHOICE_HEIGHT_LOW;
    let at =
        inner.min + if is_low { vec2(28.0 + space::L, 0.0) } else { vec2(0.0, 28.0 + space::M) };
    let font = egui::FontId::proportional(super::look::size::NAME);
    painter.text(at, egui::Align2::LEFT_TOP, title, font, roles.text);
    let font = egui::FontId::proportional(super::look::size::BODY);
    let galley = painter.layout(hint.to_owned(), font, roles.quiet, inner.right() - at.x);
    painter.galley(at + vec2(0.0, 20.0 + space::XS), galley, roles.quiet);
    response
}

/// The heading of a step.
/// The heading of a form that is one of several steps.
pub fn step_head(ui: &mut Ui, step: (usize, usize), title: &str) {
    let quiet = roles(ui).quiet;
    let step = words::step(step.0, step.1);
    ui.label(RichText::new(step).size(size::CAPTION).color(quiet));
    ui.label(RichText::new(title).size(size::LARGE));
    ui.add_space(space::L);
}

/// Choices that few need, behind a button; the first field behind it takes the keyboard.
fn more_ui(
    ui: &mut Ui,
    view: &mut ViewState,
    add: impl FnOnce(&mut Ui, &mut ViewState) -> egui::Response,
) {
    if view.more {
        let field = add(ui, view);
        if std::mem::take(&mut view.more_focus) {
            field.request_focus();
        }
    } else if widgets::button(ui, Kind::Quiet, Some(Icon::Start), words::more()).clicked() {
        (view.more, view.more_focus) = (true, true);
    }
}

/// A file dropped on the window opens the form that it is for with its path.
fn take_dropped_file(ui: &Ui, view: &mut ViewState) {
    let path = ui.input(|input| {
        input.raw.dropped_files.first().map(|file| file.path().display().to_string())
    });
    let Some(path) = path else { return };
    match view.setup {
        Setup::Restore => view.restore.path = path,
        Setup::Going(_) | Setup::Share(_) => {}
        _ => {
            view.join.entrance = path;
            view.setup = Setup::Join;
        }
    }
}

fn drop_sign(ui: &Ui) {
    let roles = roles(ui);
    let rect = ui.ctx().content_rect();
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop sign"));
    let painter = ui.ctx().layer_painter(layer);
    painter.rect_filled(rect, 0.0, roles.surface.gamma_multiply(0.9));
    let stroke = Stroke::new(2.0, roles.accent);
    painter.rect_stroke(rect.shrink(space::L), RADIUS, stroke, StrokeKind::Inside);
    let font = egui::FontId::proportional(size::HEADING);
    let middle = egui::Align2::CENTER_CENTER;
    painter.text(rect.center(), middle, words::drop_here(), font, roles.text);
}

/// Whether Escape was pressed, taken away from others.
pub fn take_escape(ui: &Ui) -> bool {
    ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use egui_kittest::Harness;

    use super::*;

    #[derive(Debug)]
    struct Dropped;

    impl egui::DroppedFile for Dropped {
        fn path(&self) -> &Path {
            Path::new("/tmp/smith.xml")
        }

        fn bytes(&self) -> Result<Vec<u8>, String> {
            Err("only its path is of interest".to_owned())
        }
    }

    #[test]
    fn a_dropped_file_opens_the_form_that_it_is_for() {
        let page = |ui: &mut Ui, view: &mut ViewState| {
            assert_eq!(first_ui(ui, &Snapshot::default(), view), []);
        };
        let mut harness = Harness::builder().build_ui_state(page, ViewState::default());
        harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped));
        harness.run();
        assert_eq!(harness.state().setup, Setup::Join);
        assert_eq!(harness.state().join.entrance, "/tmp/smith.xml");
        harness.state_mut().setup = Setup::Restore;
        harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped));
        harness.run();
        assert_eq!(harness.state().restore.path, "/tmp/smith.xml");
    }
}
