//! The page Network: the overlays that one is in, how others come in, and each overlay as this
//! peer knows it.

use egui::{RichText, ScrollArea, Ui, vec2};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Question, Setup, ViewState};
use super::widgets::{self, Kind};
use super::words;
use super::{devices, first, invite, links, why};
use crate::link::Reach;
use crate::phone::{
    Command, Membership, NetworkFacts, OverlayState, Settings, Snapshot, key_words,
};

/// Height of a row of the list of overlays.
const ROW_HEIGHT: f32 = 56.0;

/// The page.
pub fn network_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = Vec::new();
    ScrollArea::vertical().id_salt("network").auto_shrink(false).show(ui, |ui| {
        widgets::heading(ui, words::network());
        widgets::card(ui, |ui| overlays_ui(ui, snapshot, view));
        ui.add_space(space::S);
        let Some(membership) = chosen(snapshot, view) else { return };
        let is_in = matches!(membership.state, OverlayState::Joined { .. });
        if is_in {
            // What a newcomer comes here for stands before the figures.
            widgets::card(ui, |ui| {
                commands.extend(invite::invite_ui(ui, snapshot, view, membership));
            });
            ui.add_space(space::S);
            invite::protection_ui(ui, membership);
            ui.add_space(space::S);
            devices::devices_ui(ui, snapshot, view, &membership.me.overlay);
        }
        if let Some(facts) = snapshot.networks.get(&membership.me.overlay).filter(|_| is_in) {
            widgets::card(ui, |ui| reach_ui(ui, facts));
            ui.add_space(space::S);
            widgets::card(ui, |ui| links::links_ui(ui, membership, facts, view.now_ms));
            ui.add_space(space::S);
        }
        why::calls_ui(ui, snapshot, view.now_ms);
        widgets::card(ui, |ui| {
            figures_ui(ui, membership);
            ui.add_space(space::S);
            commands.extend(actions_ui(ui, snapshot, view, membership));
        });
    });
    commands
}

/// The membership that the page is about.
fn chosen<'s>(snapshot: &'s Snapshot, view: &ViewState) -> Option<&'s Membership> {
    let chosen = view.overlay.as_ref().and_then(|overlay| snapshot.membership(overlay));
    chosen.or_else(|| snapshot.default_membership())
}

/// The list of overlays; a click chooses the one that the page is about.
fn overlays_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    widgets::group(ui, words::overlays());
    let default = snapshot.default_membership().map(|m| m.me.overlay.as_str());
    let about = chosen(snapshot, view).map(|m| m.me.overlay.clone());
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        for membership in &snapshot.memberships {
            let is_chosen = about.as_ref() == Some(&membership.me.overlay);
            let is_default =
                snapshot.memberships.len() > 1 && default == Some(membership.me.overlay.as_str());
            let state = state_words(membership, snapshot.settings.is_unlisted, roles(ui));
            if overlay_row_ui(ui, membership, state, (is_chosen, is_default)).clicked() {
                view.overlay = Some(membership.me.overlay.clone());
            }
        }
    });
    ui.add_space(space::XS);
    if widgets::button(ui, Kind::Plain, Some(Icon::Start), words::join_another()).clicked() {
        view.is_adding = true;
        view.setup = Setup::Choices;
    }
}

fn overlay_row_ui(
    ui: &mut Ui,
    membership: &Membership,
    (state, colour): (String, egui::Color32),
    (is_chosen, is_default): (bool, bool),
) -> egui::Response {
    let roles = roles(ui);
    let aor = membership.me.aor();
    let name = words::overlay_row(&aor, &state);
    let (rect, response) = widgets::row(ui, &name, ROW_HEIGHT, is_chosen);
    let upper = rect.with_max_y(rect.center().y).translate(vec2(0.0, space::XS));
    let lower = rect.with_min_y(rect.center().y).translate(vec2(space::L, -space::XS));
    widgets::row_words(ui, upper, &aor, if is_default { words::default() } else { "" });
    let dot = lower.left_center() + vec2(0.0, 0.0);
    ui.painter().circle_filled(dot, 4.0, colour);
    let font = egui::FontId::proportional(size::CAPTION);
    let mut job = egui::text::LayoutJob::simple_singleline(state, font, roles.quiet);
    let room = rect.right() - dot.x - space::XL;
    job.wrap = egui::text::TextWrapping::truncate_at_width(room);
    let galley = ui.painter().layout_job(job);
    let at = dot + vec2(space::M, -galley.size().y / 2.0);
    ui.painter().galley(at, galley, roles.quiet);
    response
}

fn state_words(
    membership: &Membership,
    is_unlisted: bool,
    roles: &super::look::Roles,
) -> (String, egui::Color32) {
    match &membership.state {
        OverlayState::Out => (words::offline().to_owned(), roles.quiet),
        OverlayState::Joining { step } => (step.clone(), roles.warn),
        OverlayState::Failed { .. } => (words::not_joined_because().to_owned(), roles.bad),
        OverlayState::Joined { registered: true, .. } => (words::joined().to_owned(), roles.good),
        OverlayState::Joined { .. } if is_unlisted => (words::unlisted().to_owned(), roles.quiet),
        OverlayState::Joined { .. } => (words::not_reachable_yet().to_owned(), roles.warn),
    }
}

/// The standing self-test: whether others reach this computer, and what to do if not.
fn reach_ui(ui: &mut Ui, facts: &NetworkFacts) {
    let roles = roles(ui);
    widgets::group(ui, words::reach_title());
    let (icon, colour) = match facts.reach {
        Reach::Unknown => (Icon::Again, roles.quiet),
        Reach::Hidden => (Icon::Warning, roles.warn),
        Reach::Blocked(_) => (Icon::Warning, roles.bad),
        Reach::Reached(_) | Reach::Opened(_) => (Icon::Tick, roles.good),
    };
    widgets::sentence(ui, icon, colour, &words::reach(facts.reach));
    if let Some(hint) = words::reach_hint(facts.reach) {
        ui.add(egui::Label::new(RichText::new(hint).color(roles.quiet)).wrap());
    }
    if let Some(sentence) = words::router(&facts.router) {
        ui.add_space(space::XS);
        ui.add(egui::Label::new(sentence).wrap());
    }
    ui.add_space(space::XS);
    figure_ui(ui, words::relays_at_hand(), &facts.relays.to_string(), None);
}

/// What can be done with the membership.
fn actions_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    membership: &Membership,
) -> Option<Command> {
    let overlay = &membership.me.overlay;
    let is_default =
        snapshot.default_membership().is_some_and(|default| default.me.overlay == *overlay);
    let mut command = None;
    ui.horizontal_wrapped(|ui| {
        if matches!(membership.state, OverlayState::Failed { .. }) {
            let again = widgets::button(ui, Kind::Primary, Some(Icon::Again), words::try_again());
            if again.clicked() {
                command = Some(first::join_again(&membership.me));
            }
        }
        if !is_default {
            let button = widgets::button(ui, Kind::Plain, None, words::make_default());
            if button.on_hover_text(words::default_hint()).clicked() {
                let default_overlay = Some(overlay.clone());
                let settings = Settings { default_overlay, ..snapshot.settings.clone() };
                command = Some(Command::Configure(Box::new(settings)));
            }
        }
        let label = words::leave_which(overlay);
        if widgets::button(ui, Kind::Plain, None, &label).clicked() {
            view.question = Some(Question::Leave(overlay.clone()));
        }
    });
    command
}

fn figures_ui(ui: &mut Ui, membership: &Membership) {
    let me = &membership.me;
    ui.horizontal(|ui| {
        widgets::avatar(ui, &me.user, 40.0);
        ui.add(egui::Label::new(RichText::new(me.aor()).size(size::NAME)).truncate());
    });
    ui.add_space(space::XS);
    let state = match &membership.state {
        OverlayState::Out => words::offline().to_owned(),
        OverlayState::Joining { step } => step.clone(),
        OverlayState::Failed { reason } => reason.clone(),
        OverlayState::Joined { registered: true, .. } => words::registered().to_owned(),
        OverlayState::Joined { .. } => words::not_registered().to_owned(),
    };
    figure_ui(ui, words::state(), &state, None);
    if membership.document.is_unproved {
        widgets::sentence(ui, Icon::Warning, roles(ui).warn, words::unproved_mark());
    }
    let node_id = match me.node_id.as_str() {
        "" => words::node_id_unknown(),
        id => id,
    };
    let copy = (!me.node_id.is_empty()).then_some((node_id, words::copy_node_id()));
    figure_ui(ui, words::node_id(), node_id, copy);
    if membership.document.is_self_signed && !me.node_id.is_empty() {
        figure_ui(ui, words::key_words(), &key_words(&me.node_id), None);
    }
    if let OverlayState::Joined { links, values_stored, listen, .. } = &membership.state {
        figure_ui(ui, words::links(), &links.to_string(), None);
        figure_ui(ui, words::values(), &values_stored.to_string(), None);
        let address = listen.map(|listen| listen.to_string());
        let text = address.as_deref().unwrap_or(words::listens_nowhere());
        let copy = address.as_deref().map(|address| (address, words::copy_listen()));
        figure_ui(ui, words::listens(), text, copy);
    }
}

/// A name and what it stands at, with a button that copies it.
pub fn figure_ui(ui: &mut Ui, name: &str, value: &str, copy: Option<(&str, &str)>) {
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
