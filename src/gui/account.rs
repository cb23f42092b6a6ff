//! The account and password that an overlay's enrollment server wants to know.

use egui::{Key, RichText, Ui};

use super::forms::AccountForm;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::ViewState;
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{Command, CredentialsWanted, Snapshot};

/// What the server of an overlay wants to know, if it does.
pub fn wanted_by<'s>(snapshot: &'s Snapshot, overlay: &str) -> Option<&'s CredentialsWanted> {
    snapshot.credentials_wanted.iter().find(|wanted| wanted.overlay == overlay)
}

/// The heading above the fields.
pub fn title(wanted: &CredentialsWanted) -> String {
    match wanted.is_new {
        true => words::choose_title(&wanted.overlay),
        false => words::account_title(&wanted.overlay),
    }
}

/// What the fields are for.
pub fn hint(wanted: &CredentialsWanted) -> &'static str {
    if wanted.is_new { words::choose_password_hint() } else { words::account_hint() }
}

/// The fields; whether Enter was pressed in one. Where they are all there is to do, the password
/// takes the keyboard when they come.
pub fn fields_ui(
    ui: &mut Ui,
    view: &mut ViewState,
    wanted: &CredentialsWanted,
    takes_focus: bool,
) -> bool {
    let form = &mut view.account;
    let is_new = form.overlay != wanted.overlay;
    let takes_focus = is_new && takes_focus;
    if is_new {
        *form = Default::default();
        form.overlay.clone_from(&wanted.overlay);
        form.account.clone_from(&wanted.account);
    }
    form.is_new = wanted.is_new;
    if let Some(problem) = &wanted.problem {
        widgets::fault_line(ui, problem);
        ui.add_space(space::XS);
    }
    if form.is_new {
        return new_password_ui(ui, form, takes_focus);
    }
    let fault = form.account.trim().is_empty().then_some(words::fault_account_empty());
    let fault = fault.filter(|_| form.tried);
    let account = widgets::field(ui, words::account_name(), "", &mut form.account, fault);
    let fault = form.password.fault().filter(|_| form.tried);
    let (label, hint) = (words::password(), words::password_of_account_hint());
    let password = widgets::password_field(ui, label, hint, &mut form.password.0, fault);
    if takes_focus {
        password.request_focus();
    }
    let enter = ui.input(|input| input.key_pressed(Key::Enter));
    enter && (account.lost_focus() || password.lost_focus())
}

/// A password that is chosen now; whether Enter was pressed in a field.
fn new_password_ui(ui: &mut Ui, form: &mut AccountForm, takes_focus: bool) -> bool {
    let fault = form.password_fault().filter(|_| form.tried);
    let (label, hint) = (words::choose_password(), words::new_password_hint());
    let password = widgets::password_field(ui, label, hint, &mut form.password.0, fault);
    if takes_focus {
        password.request_focus();
    }
    let fault = form.again_fault().filter(|_| form.tried);
    let again = widgets::password_field(ui, words::password_again(), "", &mut form.again.0, fault);
    let enter = ui.input(|input| input.key_pressed(Key::Enter));
    enter && (password.lost_focus() || again.lost_focus())
}

/// The command that the fields stand for, or `None` while something is wrong with them.
pub fn send(view: &mut ViewState, wanted: &CredentialsWanted) -> Option<Command> {
    view.account.tried = true;
    let credentials = view.account.credentials()?;
    view.account = Default::default();
    let (overlay, user) = (wanted.overlay.clone(), wanted.user.clone());
    Some(Command::GiveCredentials { overlay, user, credentials })
}

/// A card for the first server that wants to know, above the calls.
pub fn card_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let wanted = snapshot.credentials_wanted.first()?;
    let warn = roles(ui).warn;
    let sent = widgets::card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = size::NAME + space::S;
            widgets::sign(ui, Icon::Key, 20.0, warn);
            ui.label(RichText::new(title(wanted)).size(size::NAME));
        });
        let ends = wanted.ends_unix_ms.map(|ends| words::certificate_ends(view.now_ms, ends));
        ui.label(ends.as_deref().unwrap_or(hint(wanted)));
        ui.add_space(space::XS);
        let entered = fields_ui(ui, view, wanted, false);
        entered || widgets::button(ui, Kind::Primary, None, words::account_go()).clicked()
    });
    ui.add_space(space::M);
    if sent { send(view, wanted) } else { None }
}
