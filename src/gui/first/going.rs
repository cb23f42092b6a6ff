//! What is happening after a form was sent off, and what came of it.

use egui::{Key, RichText, Ui};

use super::step_head;
use crate::enroll::RoadState;
use crate::gui::icons::Icon;
use crate::gui::look::{roles, size, space};
use crate::gui::view::{Going, Setup, ViewState};
use crate::gui::widgets::{self, Kind};
use crate::gui::{account, alarm, people, unproved, words};
use crate::phone::{
    Command, CredentialsWanted, Entrance, Me, Membership, OverlaySearch, OverlayState, Snapshot,
};

/// Sends a form off. An older notice goes first, so that a new one is about this command.
pub fn go(snapshot: &Snapshot, view: &mut ViewState, command: Command) -> Vec<Command> {
    let is_clear = is_clear(snapshot);
    let is_in = |membership: &&Membership| matches!(membership.state, OverlayState::Joined { .. });
    let before = snapshot.memberships.iter().filter(is_in).map(|m| m.me.overlay.clone());
    let before = before.collect();
    if let Command::Join { entrance: Entrance::Name(name), user, .. } = &command {
        // The form to go back to, wherever this was sent from.
        view.join.entrance.clone_from(name);
        view.join.user.clone_from(user);
    }
    let going = Going { command: command.clone(), sent: is_clear, begun: false, before };
    view.setup = Setup::Going(Box::new(going));
    vec![if is_clear { command } else { Command::DismissNotice }]
}

/// Whether nothing is told of commands before.
fn is_clear(snapshot: &Snapshot) -> bool {
    snapshot.notice.is_none() && snapshot.restored.is_empty()
}

/// Moves the first pages on with what the phone says.
pub fn follow(snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let Setup::Going(going) = &mut view.setup else { return None };
    if !going.sent {
        going.sent = is_clear(snapshot);
        return going.sent.then(|| going.command.clone());
    }
    let is_refused = snapshot.notice.is_some();
    if matches!(going.command, Command::Restore { .. }) {
        if !snapshot.restored.is_empty() {
            view.restore = Default::default();
            view.setup = Setup::Restored(snapshot.restored.clone());
        } else if is_refused {
            view.setup = Setup::Restore;
        }
        return None;
    }
    match target(snapshot, going) {
        Some(Membership { me, state: OverlayState::Joined { .. }, .. }) => {
            let is_started = matches!(going.command, Command::StartOverlay { .. });
            view.setup = match is_started {
                true => Setup::Share(me.overlay.clone()),
                false => Setup::Choices,
            };
            view.is_adding = false;
            view.overlay = None;
            let hosted = people::hosted(snapshot, &me.overlay).filter(|_| is_started);
            return hosted.map(|hosted| people::invite(&hosted.overlay));
        }
        Some(_) => going.begun = true,
        None if going.begun || is_refused => view.setup = form_of(&going.command),
        None => {}
    }
    None
}

/// The membership that a form is about, once there is one.
pub fn target<'s>(snapshot: &'s Snapshot, going: &Going) -> Option<&'s Membership> {
    if let Some(overlay) = named(snapshot, &going.command) {
        return snapshot.membership(overlay);
    }
    let is_new = |membership: &&Membership| !going.before.contains(&membership.me.overlay);
    snapshot.memberships.iter().rfind(is_new)
}

/// The overlay that a command names.
fn named<'a>(snapshot: &'a Snapshot, command: &'a Command) -> Option<&'a str> {
    match command {
        Command::StartOverlay { name, .. }
        | Command::Join { entrance: Entrance::Name(name), .. } => Some(name),
        Command::Join { entrance: Entrance::Last, .. } | Command::Found { .. } => {
            snapshot.me().or(snapshot.last.as_ref()).map(|me| me.overlay.as_str())
        }
        _ => None,
    }
}

/// The page after a form: the step in words and a bar, or why it went no further.
pub fn going_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    going: &Going,
) -> Vec<Command> {
    let command = &going.command;
    let target = target(snapshot, going);
    let is_new = matches!(command, Command::StartOverlay { .. });
    let overlay = target.map(|m| m.me.overlay.as_str()).or(named(snapshot, command));
    let is_restoring = matches!(command, Command::Restore { .. });
    let title = match is_restoring {
        true => words::restore_title().to_owned(),
        false => words::going_title(overlay, is_new),
    };
    let wanted = overlay.and_then(|overlay| account::wanted_by(snapshot, overlay));
    if let Some(wanted) = wanted {
        step_head(ui, (3, 3), &account::title(wanted));
        return account_ui(ui, view, command, wanted);
    }
    step_head(ui, (2, if is_new { 3 } else { 2 }), &title);
    if let Some(question) = overlay.and_then(|overlay| unproved::about(snapshot, overlay)) {
        return unproved::question_ui(ui, question).into_iter().collect();
    }
    let search = overlay.and_then(|overlay| search_of(snapshot, overlay));
    let state = target.map_or(&OverlayState::Out, |membership| &membership.state);
    if let OverlayState::Failed { reason } = state {
        return failed_ui(ui, snapshot, view, Failure { command, reason, overlay, search });
    }
    let step = match state {
        OverlayState::Joining { step } => step.as_str(),
        _ if is_restoring => words::restoring(),
        _ => words::preparing(),
    };
    ui.label(RichText::new(words::said(step)).size(size::NAME));
    ui.add_space(space::S);
    widgets::wandering_bar(ui);
    ui.add_space(space::L);
    roads_ui(ui, search);
    let escape = ui.input(|input| input.key_pressed(Key::Escape));
    if widgets::button(ui, Kind::Plain, None, words::cancel()).clicked() || escape {
        view.setup = form_of(command);
        // Without a name all overlays would be left.
        let overlay = overlay.filter(|_| !is_restoring).map(str::to_owned);
        return overlay.map(|overlay| Command::Leave(Some(overlay))).into_iter().collect();
    }
    Vec::new()
}

/// The third step, where the overlay has accounts.
fn account_ui(
    ui: &mut Ui,
    view: &mut ViewState,
    command: &Command,
    wanted: &CredentialsWanted,
) -> Vec<Command> {
    ui.label(RichText::new(account::hint(wanted)).color(roles(ui).quiet));
    ui.add_space(space::M);
    account::fields_ui(ui, view, wanted, true);
    let (sent, back) = widgets::form_foot(ui, words::account_go());
    if back {
        view.setup = form_of(command);
        return vec![Command::Leave(Some(wanted.overlay.clone()))];
    }
    if !sent {
        return Vec::new();
    }
    account::send(view, wanted).into_iter().collect()
}

/// The search for the overlay's document, if it was looked for.
fn search_of<'s>(snapshot: &'s Snapshot, overlay: &str) -> Option<&'s OverlaySearch> {
    let search = snapshot.searches.iter().find(|search| search.overlay == overlay);
    search.filter(|search| !search.roads.is_empty())
}

/// Each way to the overlay's document, and how far it led.
fn roads_ui(ui: &mut Ui, search: Option<&OverlaySearch>) {
    let Some(search) = search else { return };
    let roles = roles(ui);
    widgets::card(ui, |ui| {
        widgets::group(ui, words::roads());
        for news in &search.roads {
            let (icon, colour) = match &news.state {
                RoadState::Found => (Icon::Tick, roles.good),
                RoadState::FoundUnproved => (Icon::Warning, roles.warn),
                RoadState::Failed(_) => (Icon::Cross, roles.quiet),
                _ => (Icon::Again, roles.accent),
            };
            ui.horizontal_top(|ui| {
                ui.spacing_mut().interact_size.y = size::BODY + space::XS;
                widgets::sign(ui, icon, 14.0, colour);
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.label(news.road.to_string());
                    let state = RichText::new(news.state.to_string()).color(roles.quiet);
                    ui.add(egui::Label::new(state).wrap());
                });
            });
        }
    });
    ui.add_space(space::L);
}

/// What went wrong.
struct Failure<'a> {
    command: &'a Command,
    reason: &'a str,
    overlay: Option<&'a str>,
    search: Option<&'a OverlaySearch>,
}

fn failed_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    Failure { command, reason, overlay, search }: Failure<'_>,
) -> Vec<Command> {
    widgets::card(ui, |ui| widgets::fault_line(ui, &words::said(reason)));
    ui.add_space(space::M);
    roads_ui(ui, search);
    let founder = founder(snapshot).filter(|_| matches!(command, Command::Join { .. }));
    if founder.is_some() {
        ui.label(words::found_again_hint());
        ui.add_space(space::XS);
    }
    let form = form_of(command);
    let back_label = if form == Setup::Choices { words::back() } else { words::change() };
    let escape = ui.input(|input| input.key_pressed(Key::Escape));
    let mut commands = Vec::new();
    ui.horizontal_wrapped(|ui| {
        let mut kind = Kind::Primary;
        if let Some(me) = founder {
            if widgets::button(ui, kind, Some(Icon::Start), words::found_again_button()).clicked() {
                commands = go(snapshot, view, found_again(me));
            }
            kind = Kind::Plain;
        }
        let user = snapshot_user(snapshot, overlay);
        if let (Some(overlay), Some(user)) = (overlay, user)
            && alarm::own_name_is_taken(snapshot, overlay)
            && widgets::button(ui, Kind::Plain, None, words::enter_beside()).clicked()
        {
            let (overlay, user) = (overlay.to_owned(), user.to_owned());
            commands = vec![Command::EnterBeside { overlay, user }];
            commands.extend(go(snapshot, view, command.clone()));
        }
        if widgets::button(ui, kind, Some(Icon::Again), words::try_again()).clicked() {
            commands = go(snapshot, view, command.clone());
        }
        if widgets::button(ui, Kind::Plain, Some(Icon::Back), back_label).clicked() || escape {
            view.setup = form;
            commands.extend(overlay.map(|name| Command::Leave(Some(name.to_owned()))));
        }
    });
    commands
}

/// Our user name in an overlay.
fn snapshot_user<'s>(snapshot: &'s Snapshot, overlay: Option<&str>) -> Option<&'s str> {
    Some(snapshot.membership(overlay?)?.me.user.as_str())
}

/// Who we are in the overlay that is out of reach, if it was founded on this computer.
pub fn founder(snapshot: &Snapshot) -> Option<&Me> {
    let me = snapshot.me().or(snapshot.last.as_ref())?;
    snapshot.founded.contains(&me.overlay).then_some(me)
}

/// Joins an overlay again as the same user.
pub fn join_again(me: &Me) -> Command {
    let entrance = Entrance::Name(me.overlay.clone());
    Command::Join { entrance, user: me.user.clone(), bootstrap: Vec::new() }
}

/// Founds the overlay again as the same user.
pub fn found_again(me: &Me) -> Command {
    Command::Found { document: None, user: me.user.clone() }
}

/// The page that a command was sent from.
fn form_of(command: &Command) -> Setup {
    match command {
        Command::StartOverlay { .. } => Setup::Start,
        Command::Restore { .. } => Setup::Restore,
        Command::Join { entrance: Entrance::Last, .. } => Setup::Choices,
        Command::Join { .. } => Setup::Join,
        _ => Setup::Choices,
    }
}
