//! The page People, for an overlay whose names this computer gives out: its server, invitations,
//! accounts, and who may make one.

use egui::{RichText, ScrollArea, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::{invite, words};
use crate::enroll::server::{Account, AccountState, Registration, limits};
use crate::phone::{AccountJob, Command, HostState, HostedOverlay, Snapshot};

/// Height of a row of the list of overlays.
const ROW_HEIGHT: f32 = 40.0;
/// From this width on a person's buttons stand beside the name.
const BESIDE: f32 = 440.0;

/// The page.
pub fn people_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = Vec::new();
    ScrollArea::vertical().id_salt("people").auto_shrink(false).show(ui, |ui| {
        let Some(hosted) = chosen(snapshot, view) else {
            widgets::heading(ui, words::people());
            return widgets::empty(ui, words::no_people(), words::no_people_hint());
        };
        widgets::heading(ui, &words::people_of(&hosted.overlay));
        if snapshot.hosted.len() > 1 {
            widgets::card(ui, |ui| overlays_ui(ui, snapshot, view, &hosted.overlay));
            ui.add_space(space::S);
        }
        if hosted.state == HostState::Running {
            widgets::card(ui, |ui| commands.extend(invite_ui(ui, view, hosted)));
            ui.add_space(space::S);
        }
        widgets::card(ui, |ui| commands.extend(accounts_ui(ui, snapshot, view, hosted)));
        ui.add_space(space::S);
        widgets::card(ui, |ui| commands.extend(registration_ui(ui, hosted)));
        ui.add_space(space::S);
        widgets::card(ui, |ui| commands.extend(server_ui(ui, hosted)));
    });
    commands
}

/// The overlay of this name, if this computer gives out its names.
pub fn hosted<'s>(snapshot: &'s Snapshot, overlay: &str) -> Option<&'s HostedOverlay> {
    snapshot.hosted.iter().find(|hosted| hosted.overlay == overlay)
}

/// The overlay that the page is about.
fn chosen<'s>(snapshot: &'s Snapshot, view: &ViewState) -> Option<&'s HostedOverlay> {
    let chosen = view.overlay.as_ref().and_then(|overlay| hosted(snapshot, overlay));
    chosen.or_else(|| snapshot.hosted.first())
}

fn overlays_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, about: &str) {
    widgets::group(ui, words::overlays());
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        for hosted in &snapshot.hosted {
            let is_chosen = hosted.overlay == about;
            let (rect, row) = widgets::row(ui, &hosted.overlay, ROW_HEIGHT, is_chosen);
            widgets::row_words(ui, rect, &hosted.overlay, "");
            if row.clicked() {
                view.overlay = Some(hosted.overlay.clone());
            }
        }
    });
}

/// A link that lets one person in.
pub fn invite_ui(ui: &mut Ui, view: &mut ViewState, hosted: &HostedOverlay) -> Option<Command> {
    widgets::group(ui, words::invite_one());
    let asked = match &hosted.invitation {
        Some(link) => invite::coded_ui(ui, link, |ui| {
            invite::link_ui(ui, view, link, words::invite_one_use());
            widgets::button(ui, Kind::Plain, None, words::another_invitation()).clicked()
        }),
        None => {
            ui.label(words::invite_one_hint());
            ui.add_space(space::XS);
            widgets::button(ui, Kind::Primary, None, words::make_invitation()).clicked()
        }
    };
    asked.then(|| invite(&hosted.overlay))
}

/// Asks for a link that lets one person in.
pub fn invite(overlay: &str) -> Command {
    Command::Accounts { overlay: overlay.to_owned(), job: AccountJob::Invite }
}

fn accounts_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    hosted: &HostedOverlay,
) -> Option<Command> {
    widgets::group(ui, words::accounts());
    let mut command = None;
    for account in &hosted.accounts {
        command = person_ui(ui, view, hosted, account).or(command);
        ui.add_space(space::XS);
    }
    add_ui(ui, snapshot, view, hosted).or(command)
}

/// One account: who, how it stands, and what can be done with it.
fn person_ui(
    ui: &mut Ui,
    view: &mut ViewState,
    hosted: &HostedOverlay,
    account: &Account,
) -> Option<Command> {
    let roles = roles(ui);
    let (state, colour) = match account_state(account) {
        Standing::Good => (good_words(view.now_ms, account), roles.quiet),
        Standing::Paused => {
            let ends = account.nodes.iter().map(|node| node.not_after_unix_ms).max();
            (words::paused(view.now_ms, ends), roles.warn)
        }
        Standing::Out => (words::is_put_out().to_owned(), roles.bad),
    };
    let is_mine = account.name == hosted.user;
    let state = if is_mine { format!("{}. {state}", words::you_yourself()) } else { state };
    let is_beside = ui.available_width() >= BESIDE;
    let mut command = None;
    ui.horizontal(|ui| {
        widgets::avatar(ui, &account.name, 40.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width(ui.available_width() - if is_beside { 220.0 } else { 0.0 });
            ui.add(egui::Label::new(&account.name).truncate());
            let state = RichText::new(state).size(size::CAPTION).color(colour);
            ui.add(egui::Label::new(state).wrap());
        });
        if is_beside && !is_mine {
            widgets::from_right(ui, |ui| command = buttons_ui(ui, view, hosted, account));
        }
    });
    if !is_beside && !is_mine {
        ui.horizontal(|ui| command = buttons_ui(ui, view, hosted, account));
    }
    command
}

/// What can be done with an account.
fn buttons_ui(
    ui: &mut Ui,
    view: &mut ViewState,
    hosted: &HostedOverlay,
    account: &Account,
) -> Option<Command> {
    let name = account.name.clone();
    let standing = account_state(account);
    let out = (standing != Standing::Out)
        .then(|| widgets::button(ui, Kind::Plain, None, words::put_out()))
        .is_some_and(|button| button.accessible_name(words::put_out_whom(&name)).clicked());
    if out {
        view.question = Some(Question::PutOut { overlay: hosted.overlay.clone(), name });
        return None;
    }
    let (label, called, state) = match standing {
        Standing::Good => (words::pause(), words::pause_whom(&name), AccountState::Disabled),
        _ => (words::let_in(), words::let_in_whom(&name), AccountState::Active),
    };
    let button = widgets::button(ui, Kind::Plain, None, label).accessible_name(called);
    let job = AccountJob::SetState { name, state };
    button.clicked().then(|| Command::Accounts { overlay: hosted.overlay.clone(), job })
}

/// How an account stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Paused,
    Out,
}

fn account_state(account: &Account) -> Standing {
    let is_out = !account.nodes.is_empty() && account.nodes.iter().all(|node| node.is_revoked);
    match account.state {
        AccountState::Active => Standing::Good,
        AccountState::Disabled if is_out => Standing::Out,
        AccountState::Disabled => Standing::Paused,
    }
}

fn good_words(now_ms: u64, account: &Account) -> String {
    let present = account.nodes.iter().filter(|node| !node.is_revoked);
    let ends: Vec<u64> = present.map(|node| node.not_after_unix_ms).collect();
    match ends.iter().max() {
        None => words::not_joined_yet().to_owned(),
        Some(last) => {
            let since_ms = last.saturating_sub(limits::CERTIFICATE_MS);
            words::confirmed(ends.len(), &words::ago(now_ms, since_ms))
        }
    }
}

/// The form for an account with a password, and what to hand over once there is one.
fn add_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    hosted: &HostedOverlay,
) -> Option<Command> {
    let is_there = |name: &str| hosted.accounts.iter().any(|account| account.name == name);
    if let Some(name) = view.add.sent.clone().filter(|name| is_there(name)) {
        added_ui(ui, snapshot, view, hosted, &name);
        return None;
    }
    if !view.add.is_open {
        if widgets::button(ui, Kind::Quiet, Some(Icon::Start), words::add_account()).clicked() {
            view.add = super::forms::AddForm::opened();
        }
        return None;
    }
    let form = &mut view.add;
    let fault = form.name_fault().filter(|_| form.tried || !form.name.is_empty());
    let (label, hint) = (words::add_name(), words::add_name_hint());
    let field = widgets::field(ui, label, hint, &mut form.name, fault);
    if std::mem::take(&mut form.wants_focus) {
        field.request_focus();
    }
    let fault = form.password_fault().filter(|_| form.tried);
    widgets::field(ui, words::add_password(), "", &mut form.password, fault);
    let (sent, back) = widgets::form_foot(ui, words::add_go());
    if back {
        view.add = Default::default();
    } else if sent && let Some(job) = view.add.send() {
        return Some(Command::Accounts { overlay: hosted.overlay.clone(), job });
    }
    None
}

/// An account with a password is there: what its person needs.
fn added_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    hosted: &HostedOverlay,
    name: &str,
) {
    let good = roles(ui).good;
    widgets::sentence(ui, Icon::Tick, good, &words::added(name));
    ui.add_space(space::XS);
    let password = RichText::new(&view.add.password).monospace();
    ui.add(egui::Label::new(password).selectable(true));
    ui.add_space(space::XS);
    if let Some(link) = snapshot.invitations.get(&hosted.overlay) {
        invite::link_ui(ui, view, link, words::invite_link_hint());
    }
    if widgets::button(ui, Kind::Plain, None, words::done()).clicked() {
        view.add = Default::default();
    }
}

fn registration_ui(ui: &mut Ui, hosted: &HostedOverlay) -> Option<Command> {
    widgets::group(ui, words::registration());
    let mut registration = hosted.registration;
    for (value, label) in [
        (Registration::InvitationOnly, words::invited_only()),
        (Registration::Open, words::everybody()),
    ] {
        ui.radio_value(&mut registration, value, label);
    }
    let job = AccountJob::Register(registration);
    let is_new = registration != hosted.registration;
    is_new.then(|| Command::Accounts { overlay: hosted.overlay.clone(), job })
}

/// Whether the server runs, and what it is for.
fn server_ui(ui: &mut Ui, hosted: &HostedOverlay) -> Option<Command> {
    let roles = roles(ui);
    let gives_out = words::gives_out(&hosted.overlay);
    match &hosted.state {
        HostState::Starting => {
            widgets::sentence(ui, Icon::Again, roles.warn, words::server_starting())
        }
        HostState::Running => widgets::sentence(ui, Icon::Tick, roles.good, &gives_out),
        HostState::Ending => widgets::sentence(ui, Icon::Again, roles.warn, words::server_ending()),
        HostState::Stopped => {
            widgets::sentence(ui, Icon::Warning, roles.warn, words::server_stopped());
        }
        HostState::Failed { reason } => widgets::sentence(ui, Icon::Warning, roles.bad, reason),
    }
    if let Some(problem) = &hosted.problem {
        widgets::sentence(ui, Icon::Warning, roles.warn, problem);
    }
    ui.add(egui::Label::new(RichText::new(words::server_down()).color(roles.quiet)).wrap());
    ui.add_space(space::XS);
    if let (HostState::Running, Some(url)) = (&hosted.state, &hosted.url) {
        super::network::figure_ui(ui, words::reached_at(), url, Some((url, words::copy_url())));
        ui.add_space(space::XS);
    }
    let folder = hosted.folder.display().to_string();
    super::network::figure_ui(ui, words::kept_in(), &folder, Some((&folder, words::copy_folder())));
    let hint = RichText::new(words::kept_in_hint()).color(roles.quiet);
    ui.add(egui::Label::new(hint).wrap());
    ui.add_space(space::XS);
    let (label, is_wanted) = match &hosted.state {
        HostState::Running => (words::stop_server(), false),
        HostState::Stopped | HostState::Failed { .. } => (words::start_server(), true),
        HostState::Starting | HostState::Ending => return None,
    };
    let clicked = widgets::button(ui, Kind::Plain, None, label).clicked();
    let overlay = hosted.overlay.clone();
    clicked.then_some(Command::RunOverlay { overlay, is_wanted })
}
