//! Keys: how they are kept, their backup, and the password that opens them.

use egui::{Id, Key, Modal, RichText, Ui};

use super::files::{self, FileFor};
use super::forms;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{Keeping, KeepingView, Page, Progress, ViewState};
use super::widgets::{self, Kind, Offered};
use super::words;
use crate::phone::{Command, OverlayState, Protection, Snapshot};

/// The name of a backup unless the user chooses another.
const BACKUP_FILE: &str = "chordial.backup";

/// Whether a backup is offered: to somebody who has none, until they make one or put it off.
pub fn is_offered(snapshot: &Snapshot, view: &ViewState) -> bool {
    let is_in = matches!(snapshot.overlay(), OverlayState::Joined { .. });
    is_in && !snapshot.backup.is_complete && !view.keeping.is_put_off
}

/// Offers a backup.
pub fn offer_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    if !is_offered(snapshot, view) {
        return;
    }
    let (title, why) = (words::backup_offer(), words::backup_offer_hint());
    match widgets::offer(ui, Icon::Key, title, why, words::back_up()) {
        Some(Offered::Taken) => {
            open(view, Keeping::BackUp);
            view.kept.page = Page::Settings;
        }
        Some(Offered::PutOff) => view.keeping.is_put_off = true,
        None => {}
    }
}

/// How keys are kept, as a group of the settings.
pub fn keys_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    widgets::group(ui, words::keys());
    let roles = roles(ui);
    let is_plain = snapshot.protection == Protection::Plain;
    let (icon, colour) = match is_plain {
        true => (Icon::Warning, roles.warn),
        false => (Icon::ShieldGood, roles.good),
    };
    widgets::sentence(ui, icon, colour, &words::said(snapshot.protection.sentence()));
    let (sentence, is_good) = match (snapshot.backup.made_unix_ms, snapshot.backup.is_complete) {
        (None, _) => (words::backup_none().to_owned(), false),
        (Some(_), false) => (words::backup_incomplete().to_owned(), false),
        (Some(made), true) => (words::backup_made(&words::ago(view.now_ms, made)), true),
    };
    let (icon, colour) = match is_good {
        true => (Icon::Tick, roles.good),
        false => (Icon::Warning, roles.warn),
    };
    widgets::sentence(ui, icon, colour, &sentence);
    if view.keeping.is_saved {
        widgets::sentence(ui, Icon::Tick, roles.good, words::backup_saved());
    }
    ui.add_space(space::XS);
    ui.horizontal_wrapped(|ui| {
        if widgets::button(ui, Kind::Plain, None, words::back_up()).clicked() {
            open(view, Keeping::BackUp);
        }
        let label = match snapshot.protection {
            Protection::Password => words::change_password(),
            _ => words::encrypt(),
        };
        let is_open = matches!(
            snapshot.protection,
            Protection::Plain | Protection::KeyStore | Protection::Password
        );
        ui.add_enabled_ui(is_open, |ui| {
            if widgets::button(ui, Kind::Plain, None, label).clicked() {
                open(view, Keeping::Encrypt);
            }
        });
    });
}

fn open(view: &mut ViewState, keeping: Keeping) {
    let is_put_off = view.keeping.is_put_off;
    view.keeping = KeepingView { open: Some(keeping), is_put_off, ..KeepingView::default() };
    if keeping == Keeping::BackUp {
        view.keeping.form.path = forms::save_path_default(BACKUP_FILE);
    }
    view.form_focus = true;
}

/// Moves a form about keys on with what the phone says.
pub fn follow(snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let opened = !matches!(snapshot.protection, Protection::Locked { .. } | Protection::Opening);
    if opened {
        view.unlock.is_put_off = false;
        if std::mem::take(&mut view.unlock.joins) {
            return Some(Command::Rejoin);
        }
    }
    match view.keeping.progress {
        Progress::Open => None,
        Progress::Clearing if snapshot.notice.is_some() => None,
        Progress::Clearing => {
            view.keeping.progress = Progress::Sent(snapshot.backup.made_unix_ms);
            command(view)
        }
        Progress::Sent(_) if snapshot.notice.is_some() => {
            view.keeping.progress = Progress::Open;
            None
        }
        Progress::Sent(before) => {
            let done = match view.keeping.open {
                Some(Keeping::Encrypt) => snapshot.protection == Protection::Password,
                _ => snapshot.backup.made_unix_ms != before,
            };
            if done {
                let is_backup = view.keeping.open == Some(Keeping::BackUp);
                view.keeping = KeepingView { is_put_off: true, ..KeepingView::default() };
                view.keeping.is_saved = is_backup;
            }
            None
        }
    }
}

/// The command that the open form stands for.
fn command(view: &ViewState) -> Option<Command> {
    let form = &view.keeping.form;
    let password = form.password()?;
    match view.keeping.open? {
        Keeping::Encrypt => Some(Command::Protect(password)),
        Keeping::BackUp => {
            let path = forms::save_target(&form.path).ok()?;
            Some(Command::BackUp { path, password })
        }
    }
}

/// The open form about keys, where the settings would stand.
pub fn form_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let is_backup = view.keeping.open == Some(Keeping::BackUp);
    let (title, hint, label, doing) = match is_backup {
        true => (
            words::backup_title(),
            words::backup_hint(),
            words::backup_go(),
            words::backup_saving(),
        ),
        false => (
            words::encrypt_title(),
            words::encrypt_hint(),
            words::encrypt_go(),
            words::encrypting(),
        ),
    };
    widgets::heading(ui, title);
    ui.label(RichText::new(hint).color(roles(ui).quiet));
    ui.add_space(space::M);
    if view.keeping.progress != Progress::Open {
        ui.label(RichText::new(doing).size(size::NAME));
        widgets::wandering_bar(ui);
        return None;
    }
    ui.set_max_width(480.0);
    let form = &mut view.keeping.form;
    let tried = form.tried;
    let mut first = None;
    if is_backup {
        let fault = forms::save_target(&form.path).err().filter(|_| tried);
        let (what, words) = (FileFor::Backup, (words::backup_path(), ""));
        first = Some(files::field_ui(ui, &mut view.files, what, words, &mut form.path, fault));
    }
    let fault = form.password_fault().filter(|_| tried);
    let (name, hint) = (words::new_password(), words::new_password_hint());
    let field = widgets::password_field(ui, name, hint, &mut form.password.0, fault);
    let fault = form.again_fault().filter(|_| tried && fault.is_none());
    widgets::password_field(ui, words::password_again(), "", &mut form.again.0, fault);
    if std::mem::take(&mut view.form_focus) {
        first.unwrap_or(field).request_focus();
    }
    let (sent, back) = widgets::form_foot(ui, label);
    if back {
        view.keeping.open = None;
        view.keeping.form = Default::default();
        return None;
    }
    if !sent {
        return None;
    }
    view.keeping.form.tried = true;
    let command = command(view)?;
    if snapshot.notice.is_some() {
        view.keeping.progress = Progress::Clearing;
        return Some(Command::DismissNotice);
    }
    view.keeping.progress = Progress::Sent(snapshot.backup.made_unix_ms);
    Some(command)
}

/// The question for the password that opens private keys, over everything.
pub fn unlock_ui(
    ctx: &egui::Context,
    snapshot: &Snapshot,
    view: &mut ViewState,
) -> Option<Command> {
    let Protection::Locked { by_password, problem } = &snapshot.protection else { return None };
    if view.unlock.is_put_off {
        return None;
    }
    let (mut open, mut later) = (false, false);
    let modal = Modal::new(Id::unique("unlock")).frame(widgets::modal_frame(ctx)).show(ctx, |ui| {
        ui.set_width(320.0_f32.min(ctx.content_rect().width() - 80.0));
        ui.label(RichText::new(words::unlock_title()).size(size::HEADING));
        ui.label(words::said(snapshot.protection.sentence()));
        ui.label(RichText::new(words::unlock_hint()).color(roles(ui).quiet));
        ui.add_space(space::S);
        if *by_password {
            let password = &mut view.unlock.password.0;
            let problem = problem.as_deref().map(words::said);
            let field =
                widgets::password_field(ui, words::password(), "", password, problem.as_deref());
            open = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            if ui.memory(|memory| memory.focused().is_none()) {
                field.request_focus();
            }
        } else if let Some(problem) = problem {
            widgets::fault_line(ui, &words::said(problem));
        }
        ui.add_space(space::XS);
        ui.horizontal(|ui| {
            let label = if *by_password { words::unlock() } else { words::ask_key_store() };
            open |= widgets::button(ui, Kind::Primary, Some(Icon::Key), label).clicked();
            later = widgets::button(ui, Kind::Plain, None, words::later()).clicked();
        });
    });
    if later || modal.should_close() {
        view.unlock.is_put_off = true;
        return None;
    }
    let is_in = |m: &crate::phone::Membership| matches!(m.state, OverlayState::Joined { .. });
    view.unlock.joins |=
        open && snapshot.settings.join_at_start && !snapshot.memberships.iter().any(is_in);
    open.then(|| {
        let typed = std::mem::take(&mut view.unlock.password);
        Command::Unlock(by_password.then(|| typed.password()))
    })
}
