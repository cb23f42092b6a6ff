//! Ordinary accounts, by which calls leave the overlays and come in, as a group of the settings.

use egui::{ComboBox, Key, RichText, Ui};

use super::forms::SipForm;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Command, Protection, SipAccountFacts, SipReach, SipTransport, Snapshot};

/// From this width on the buttons of an account stand beside it.
const BESIDE: f32 = 440.0;
/// The room that they take there.
const BUTTONS: f32 = 220.0;
/// Fields are not stretched further than this.
const FORM_MAX: f32 = 480.0;
const WAYS: [Option<SipTransport>; 4] =
    [None, Some(SipTransport::Tls), Some(SipTransport::Tcp), Some(SipTransport::Udp)];

/// The accounts, and the form for one more or to change one.
pub fn telephone_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    if view.telephone.as_ref().is_some_and(|form| form.is_kept(snapshot)) {
        view.telephone = None;
    }
    widgets::group(ui, words::telephone());
    quiet_ui(ui, words::telephone_hint());
    quiet_ui(ui, words::telephone_hint_in());
    ui.add_space(space::S);
    for facts in &snapshot.sip_accounts {
        account_ui(ui, view, facts);
        ui.add_space(space::S);
    }
    if view.telephone.is_some() {
        return ui.scope(|ui| form_ui(ui, snapshot, view)).inner;
    }
    if widgets::button(ui, Kind::Plain, Some(Icon::Start), words::telephone_add()).clicked() {
        view.telephone = Some(SipForm { wants_focus: true, ..SipForm::default() });
    }
    None
}

fn quiet_ui(ui: &mut Ui, text: &str) {
    let quiet = roles(ui).quiet;
    ui.add(egui::Label::new(RichText::new(text).color(quiet)).wrap());
}

/// One account, or what is wrong with its file; and what can be done with it.
fn account_ui(ui: &mut Ui, view: &mut ViewState, facts: &SipAccountFacts) {
    let has_buttons = view.telephone.is_none() && facts.address().is_some();
    let is_beside = ui.available_width() >= BESIDE;
    ui.horizontal(|ui| {
        let room = if is_beside && has_buttons { BUTTONS } else { 0.0 };
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width(ui.available_width() - room);
            facts_ui(ui, facts);
        });
        if is_beside && has_buttons {
            widgets::from_right(ui, |ui| buttons_ui(ui, view, facts));
        }
    });
    if !is_beside && has_buttons {
        ui.horizontal(|ui| buttons_ui(ui, view, facts));
    }
}

fn facts_ui(ui: &mut Ui, facts: &SipAccountFacts) {
    let roles = roles(ui);
    match facts {
        SipAccountFacts::Account { address, server, transport, has_password, reach } => {
            ui.add(egui::Label::new(address).truncate());
            let domain = address.rsplit('@').next().unwrap_or_default();
            let server = server.as_deref().unwrap_or(domain);
            let mut caption = server.to_owned();
            if transport.is_some() {
                caption = format!("{caption} \u{b7} {}", words::telephone_by(*transport));
            }
            let caption = RichText::new(caption).size(size::CAPTION).color(roles.quiet);
            ui.add(egui::Label::new(caption).truncate());
            if !has_password {
                let missing = words::telephone_no_password();
                widgets::sentence(ui, Icon::Warning, roles.warn, missing);
            }
            reach_ui(ui, reach);
        }
        SipAccountFacts::Unreadable { problem, .. } => {
            widgets::sentence(ui, Icon::Warning, roles.warn, &words::said(problem));
        }
    }
}

/// Whether calls to an account ring here.
fn reach_ui(ui: &mut Ui, reach: &SipReach) {
    let roles = roles(ui);
    let caption = match reach {
        SipReach::Failed(why) => {
            return widgets::sentence(ui, Icon::Warning, roles.warn, &words::telephone_deaf(why));
        }
        SipReach::Registered => words::telephone_rings(),
        SipReach::Pending => words::telephone_pending(),
        SipReach::Unwanted => words::telephone_unwanted(),
    };
    let caption = RichText::new(caption).size(size::CAPTION).color(roles.quiet);
    ui.add(egui::Label::new(caption).wrap());
}

fn buttons_ui(ui: &mut Ui, view: &mut ViewState, facts: &SipAccountFacts) {
    let Some(address) = facts.address() else { return };
    let remove = widgets::button(ui, Kind::Plain, None, words::telephone_remove());
    if remove.accessible_name(words::remove_which(address)).clicked() {
        view.question = Some(Question::RemoveAccount(address.to_owned()));
    }
    let SipAccountFacts::Account { server, transport, .. } = facts else { return };
    let change = widgets::button(ui, Kind::Plain, None, words::telephone_change());
    if change.accessible_name(words::telephone_change_which(address)).clicked() {
        view.telephone = Some(SipForm {
            address: address.to_owned(),
            server: server.clone().unwrap_or_default(),
            transport: *transport,
            wants_focus: true,
            ..SipForm::default()
        });
    }
}

fn form_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let form = view.telephone.as_mut()?;
    ui.set_max_width(FORM_MAX);
    let entered = fields_ui(ui, snapshot, form);
    let (enter, escape) =
        ui.input(|input| (input.key_pressed(Key::Enter), input.key_pressed(Key::Escape)));
    let (go, back) = ui
        .horizontal(|ui| {
            let go = widgets::button(ui, Kind::Primary, None, words::telephone_go()).clicked();
            let back = widgets::button(ui, Kind::Plain, Some(Icon::Back), words::back());
            (go, back.clicked())
        })
        .inner;
    if back || escape {
        view.telephone = None;
        return None;
    }
    let is_sent = go || (enter && entered);
    if !is_sent {
        return None;
    }
    form.tried = true;
    let command = form.command(snapshot)?;
    form.sent = true;
    Some(command)
}

/// The fields; whether one of them was just left.
fn fields_ui(ui: &mut Ui, snapshot: &Snapshot, form: &mut SipForm) -> bool {
    let fault = form.address_fault().filter(|_| form.tried);
    let (label, hint) = (words::telephone_address(), words::telephone_address_hint());
    let address = widgets::field(ui, label, hint, &mut form.address, fault);
    let fault = form.password_fault(snapshot).filter(|_| form.tried);
    let hint = match form.has_password(snapshot) {
        true => words::telephone_password_kept(),
        false => words::telephone_password_hint(),
    };
    let text = &mut form.password.0;
    let password = widgets::password_field(ui, words::password(), hint, text, fault);
    if snapshot.protection == Protection::Plain {
        quiet_ui(ui, words::telephone_plain());
        ui.add_space(space::S);
    }
    let fault = form.server_fault().filter(|_| form.tried);
    let (label, hint) = (words::telephone_server(), words::telephone_server_hint());
    let server = widgets::field(ui, label, hint, &mut form.server, fault);
    way_ui(ui, &mut form.transport);
    if std::mem::take(&mut form.wants_focus) {
        if form.address.is_empty() { &address } else { &password }.request_focus();
    }
    [address, password, server].iter().any(egui::Response::lost_focus)
}

fn way_ui(ui: &mut Ui, chosen: &mut Option<SipTransport>) {
    ui.label(RichText::new(words::telephone_way()).size(size::BODY));
    ComboBox::from_id_salt("telephone_way")
        .width(ui.available_width().min(320.0))
        .selected_text(words::telephone_by(*chosen))
        .show_ui(ui, |ui| {
            for way in WAYS {
                ui.selectable_value(chosen, way, words::telephone_by(way));
            }
        })
        .response
        .accessible_name(words::telephone_way());
    ui.add_space(space::M);
}
