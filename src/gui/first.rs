//! The first pages: join an overlay, start one, and what is happening meanwhile.

use egui::{Key, Modifiers, Rect, RichText, ScrollArea, Sense, Stroke, StrokeKind, Ui, vec2};

use super::icons::Icon;
use super::look::{RADIUS, roles, size, space};
use super::view::{self, Setup, ViewState};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Command, Entrance, Me, OverlayState, Snapshot};

/// Width of the column in the middle.
const COLUMN: f32 = 520.0;
/// Height of a large choice.
const CHOICE_HEIGHT: f32 = 132.0;

/// Whether the first pages stand where the main window would.
pub fn is_shown(snapshot: &Snapshot, view: &ViewState) -> bool {
    match snapshot.overlay() {
        OverlayState::Out => true,
        OverlayState::Joined { .. } => false,
        OverlayState::Joining { .. } | OverlayState::Failed { .. } => {
            matches!(view.setup, Setup::Going { .. })
        }
    }
}

/// Moves the first pages on with what the phone says.
pub fn follow(snapshot: &Snapshot, view: &mut ViewState) {
    if matches!(snapshot.overlay(), OverlayState::Joined { .. }) {
        view.setup = Setup::Choices;
        return;
    }
    let out = *snapshot.overlay() == OverlayState::Out;
    if let Setup::Going { command, notice_cleared, begun } = &mut view.setup {
        *begun |= !out;
        let refused = *notice_cleared && snapshot.notice.is_some();
        *notice_cleared |= snapshot.notice.is_none();
        if out && (*begun || refused) {
            view.setup = form_of(command);
        }
    }
}

/// The first pages.
pub fn first_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    take_dropped_file(ui, view);
    let mut commands = Vec::new();
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let margin = if ui.available_width() < COLUMN { space::L } else { space::XXL };
        let width = (ui.available_width() - 2.0 * margin).min(COLUMN);
        let height = if view.setup == Setup::Choices { 340.0 } else { 480.0 };
        let top = ((ui.available_height() - height) / 2.0).max(space::L);
        ui.add_space(top);
        widgets::centred_row(ui, width, |ui| {
            ui.vertical(|ui| {
                ui.set_width(width);
                commands = match view.setup.clone() {
                    Setup::Choices => choices_ui(ui, snapshot, view),
                    Setup::Join => join_ui(ui, view),
                    Setup::Start => start_ui(ui, view),
                    Setup::Going { command, .. } => going_ui(ui, snapshot, view, &command),
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
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(words::WELCOME).size(size::LARGE));
        ui.label(RichText::new(words::WELCOME_HINT).size(size::NAME).color(quiet));
    });
    ui.add_space(space::XL);
    let mut commands = Vec::new();
    if let Some(last) = &snapshot.last {
        let label = format!("{} {}", words::LAST_CHOICE, last.aor());
        ui.vertical_centered(|ui| {
            if widgets::button(ui, Kind::Primary, Some(Icon::Again), &label).clicked() {
                let user = last.user.clone();
                commands =
                    go(view, Command::Join { entrance: Entrance::Last, user, bootstrap: vec![] });
            }
        });
        if snapshot.founded.contains(&last.overlay) {
            let label = words::found_again(&last.overlay);
            ui.vertical_centered(|ui| {
                if widgets::button(ui, Kind::Plain, None, &label).clicked() {
                    commands = go(view, found_again(last));
                }
            });
        }
        ui.add_space(space::L);
    }
    let two_columns = ui.available_width() >= 440.0;
    let width = match two_columns {
        true => (ui.available_width() - space::L) / 2.0,
        false => ui.available_width(),
    };
    let mut both = |ui: &mut Ui| {
        ui.spacing_mut().item_spacing = vec2(space::L, space::L);
        let hint = words::JOIN_CHOICE_HINT;
        if choice(ui, width, Icon::Join, words::JOIN_CHOICE, hint).clicked() {
            open_form(snapshot, view, Setup::Join);
        }
        let hint = words::START_CHOICE_HINT;
        if choice(ui, width, Icon::Start, words::START_CHOICE, hint).clicked() {
            open_form(snapshot, view, Setup::Start);
        }
    };
    if two_columns {
        ui.horizontal_top(|ui| both(ui));
    } else {
        ui.vertical(|ui| both(ui));
    }
    commands
}

/// Opens a form with the keyboard in its first field and the name used last time.
fn open_form(snapshot: &Snapshot, view: &mut ViewState, form: Setup) {
    view.setup = form;
    view.form_focus = true;
    let Some(last) = &snapshot.last else { return };
    for user in [&mut view.join.user, &mut view.start.user] {
        if user.is_empty() {
            user.clone_from(&last.user);
        }
    }
}

/// A large card that is one choice.
fn choice(ui: &mut Ui, width: f32, icon: Icon, title: &str, hint: &str) -> egui::Response {
    let (rect, response) = ui.allocate_exact_size(vec2(width, CHOICE_HEIGHT), Sense::click());
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
    let font = egui::FontId::proportional(size::NAME);
    let at = inner.min + vec2(0.0, 28.0 + space::S);
    painter.text(at, egui::Align2::LEFT_TOP, title, font, roles.text);
    let font = egui::FontId::proportional(size::BODY);
    let galley = painter.layout(hint.to_owned(), font, roles.quiet, inner.width());
    painter.galley(at + vec2(0.0, 20.0 + space::XS), galley, roles.quiet);
    response
}

fn join_ui(ui: &mut Ui, view: &mut ViewState) -> Vec<Command> {
    form_head(ui, words::JOIN_TITLE);
    let form = &mut view.join;
    let tried = form.tried;
    let fault = form.document_fault().filter(|_| tried);
    let (label, hint) = (words::DOCUMENT, words::DOCUMENT_HINT);
    let field = widgets::field(ui, label, hint, &mut form.document, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    let fault = view::user_fault(&form.user).filter(|_| tried || !form.user.is_empty());
    widgets::field(ui, words::USER, words::USER_HINT, &mut form.user, fault);
    let fault = view::addresses(&form.bootstrap).err().filter(|_| tried);
    let fault = fault.map(words::fault_address);
    let (label, hint) = (words::BOOTSTRAP, words::BOOTSTRAP_HINT);
    widgets::field(ui, label, hint, &mut form.bootstrap, fault.as_deref());
    let (sent, back) = form_foot(ui, words::JOIN_GO);
    if back {
        view.setup = Setup::Choices;
    } else if sent {
        view.join.tried = true;
        if let Some(command) = view.join.command() {
            return go(view, command);
        }
    }
    Vec::new()
}

fn start_ui(ui: &mut Ui, view: &mut ViewState) -> Vec<Command> {
    form_head(ui, words::START_TITLE);
    let form = &mut view.start;
    let tried = form.tried;
    let fault = view::overlay_fault(&form.name).filter(|_| tried || !form.name.is_empty());
    let (label, hint) = (words::NETWORK_NAME, words::NETWORK_NAME_HINT);
    let field = widgets::field(ui, label, hint, &mut form.name, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    let fault = view::user_fault(&form.user).filter(|_| tried || !form.user.is_empty());
    widgets::field(ui, words::USER, words::USER_HINT, &mut form.user, fault);
    let wrong = view::address(form.listen.trim()).is_none();
    let fault = (wrong && tried).then_some(words::FAULT_LISTEN);
    widgets::field(ui, words::LISTEN, words::LISTEN_HINT, &mut form.listen, fault);
    let (sent, back) = form_foot(ui, words::START_GO);
    if back {
        view.setup = Setup::Choices;
    } else if sent {
        view.start.tried = true;
        if let Some(command) = view.start.command() {
            return go(view, command);
        }
    }
    Vec::new()
}

fn form_head(ui: &mut Ui, title: &str) {
    let quiet = roles(ui).quiet;
    ui.label(RichText::new(words::STEP_DETAILS).size(size::CAPTION).color(quiet));
    ui.label(RichText::new(title).size(size::LARGE));
    ui.add_space(space::L);
}

/// The buttons below a form: whether it was sent, and whether the user goes back.
fn form_foot(ui: &mut Ui, label: &str) -> (bool, bool) {
    ui.add_space(space::S);
    let (enter, escape) =
        ui.input(|input| (input.key_pressed(Key::Enter), input.key_pressed(Key::Escape)));
    ui.horizontal(|ui| {
        let go = widgets::button(ui, Kind::Primary, None, label).clicked();
        let back = widgets::button(ui, Kind::Plain, Some(Icon::Back), words::BACK);
        // Enter sends the form from any of its fields, but presses Back when Back has the focus.
        let sent = go || (enter && !back.has_focus());
        (sent && !back.clicked(), back.clicked() || escape)
    })
    .inner
}

fn going_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    command: &Command,
) -> Vec<Command> {
    let roles = roles(ui);
    ui.label(RichText::new(words::STEP_GOING).size(size::CAPTION).color(roles.quiet));
    let overlay = match command {
        Command::StartOverlay { name, .. } => Some(name.as_str()),
        Command::Join { entrance: Entrance::Last, .. } | Command::Found { .. } => {
            snapshot.me().or(snapshot.last.as_ref()).map(|me| me.overlay.as_str())
        }
        _ => snapshot.me().map(|me| me.overlay.as_str()),
    };
    ui.label(RichText::new(words::going_title(overlay)).size(size::LARGE));
    ui.add_space(space::L);
    if let OverlayState::Failed { reason } = snapshot.overlay() {
        return failed_ui(ui, snapshot, reason, view, command);
    }
    let step = match snapshot.overlay() {
        OverlayState::Joining { step } => step.as_str(),
        _ => words::PREPARING,
    };
    ui.label(RichText::new(step).size(size::NAME));
    ui.add_space(space::S);
    widgets::wandering_bar(ui);
    ui.add_space(space::L);
    let escape = ui.input(|input| input.key_pressed(Key::Escape));
    if widgets::button(ui, Kind::Plain, None, words::CANCEL).clicked() || escape {
        view.setup = form_of(command);
        return vec![Command::Leave(overlay.map(str::to_owned))];
    }
    Vec::new()
}

fn failed_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    reason: &str,
    view: &mut ViewState,
    command: &Command,
) -> Vec<Command> {
    widgets::card(ui, |ui| widgets::fault_line(ui, reason));
    ui.add_space(space::M);
    let founder = founder(snapshot).filter(|_| matches!(command, Command::Join { .. }));
    if founder.is_some() {
        ui.label(words::FOUND_AGAIN_HINT);
        ui.add_space(space::XS);
    }
    let form = form_of(command);
    let back_label = if form == Setup::Choices { words::BACK } else { words::CHANGE };
    let escape = ui.input(|input| input.key_pressed(Key::Escape));
    let mut commands = Vec::new();
    ui.horizontal_wrapped(|ui| {
        let mut kind = Kind::Primary;
        if let Some(me) = founder {
            if widgets::button(ui, kind, Some(Icon::Start), words::FOUND_AGAIN).clicked() {
                commands = go(view, found_again(me));
            }
            kind = Kind::Plain;
        }
        if widgets::button(ui, kind, Some(Icon::Again), words::TRY_AGAIN).clicked() {
            commands = go(view, command.clone());
        }
        if widgets::button(ui, Kind::Plain, Some(Icon::Back), back_label).clicked() || escape {
            view.setup = form;
            commands = vec![Command::Leave(snapshot.me().map(|me| me.overlay.clone()))];
        }
    });
    commands
}

/// Who we are in the overlay that is out of reach, if it was founded on this computer.
pub fn founder(snapshot: &Snapshot) -> Option<&Me> {
    let me = snapshot.me().or(snapshot.last.as_ref())?;
    snapshot.founded.contains(&me.overlay).then_some(me)
}

/// Founds the overlay again as the same user.
pub fn found_again(me: &Me) -> Command {
    Command::Found { document: None, user: me.user.clone() }
}

/// Sends a form off. An older notice goes first, so that a new one is about this command.
fn go(view: &mut ViewState, command: Command) -> Vec<Command> {
    view.setup = Setup::Going { command: command.clone(), notice_cleared: false, begun: false };
    vec![Command::DismissNotice, command]
}

/// The page that a command was sent from.
fn form_of(command: &Command) -> Setup {
    match command {
        Command::StartOverlay { .. } => Setup::Start,
        Command::Join { entrance: Entrance::Document(_), .. } => Setup::Join,
        _ => Setup::Choices,
    }
}

/// A document dropped on the window opens the form to join with its path.
fn take_dropped_file(ui: &Ui, view: &mut ViewState) {
    let path = ui.input(|input| {
        input.raw.dropped_files.first().map(|file| file.path().display().to_string())
    });
    if let Some(path) = path
        && !matches!(view.setup, Setup::Going { .. })
    {
        view.join.document = path;
        view.setup = Setup::Join;
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
    painter.text(rect.center(), middle, words::DROP_HERE, font, roles.text);
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
    fn a_dropped_file_opens_the_form_to_join() {
        let page = |ui: &mut Ui, view: &mut ViewState| {
            assert_eq!(first_ui(ui, &Snapshot::default(), view), []);
        };
        let mut harness = Harness::builder().build_ui_state(page, ViewState::default());
        harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped));
        harness.run();
        assert_eq!(harness.state().setup, Setup::Join);
        assert_eq!(harness.state().join.document, "/tmp/smith.xml");
    }
}
