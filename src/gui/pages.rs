//! The page Settings, and the questions before something is lost.

use egui::{Id, Modal, RichText, ScrollArea, Ui};

use super::look::{roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::words;
use super::{book, card, desktop, keeping, lending, machine, sound, telephone, welcome};
use crate::phone::{
    AccountJob, Command, Language, MessageJob, Settings, SipAccountJob, Snapshot, Theme,
};

/// The settings.
pub fn settings_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    if view.keeping.open.is_some() {
        let scroll = ScrollArea::vertical().id_salt("keeping").auto_shrink(false);
        return scroll.show(ui, |ui| keeping::form_ui(ui, snapshot, view)).inner;
    }
    let mut settings = snapshot.settings.clone();
    let mut command = None;
    ScrollArea::vertical().id_salt("settings").auto_shrink(false).show(ui, |ui| {
        widgets::heading(ui, words::settings());
        widgets::card(ui, |ui| {
            sound::devices_ui(ui, snapshot, view, &mut settings);
        });
        ui.add_space(space::S);
        command = widgets::card(ui, |ui| sound::try_ui(ui, snapshot, view));
        ui.add_space(space::S);
        widgets::card(ui, |ui| welcome::welcome_ui(ui, &mut settings));
        ui.add_space(space::S);
        let forward = widgets::card(ui, |ui| welcome::going_on_ui(ui, view, &mut settings));
        command = forward.or(command.take());
        ui.add_space(space::S);
        widgets::card(ui, |ui| machine::machine_ui(ui, view, &mut settings));
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::look());
            theme_ui(ui, &mut settings);
            language_ui(ui, &mut settings);
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::start());
            ui.checkbox(&mut settings.join_at_start, words::join_at_start());
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            desktop::desktop_ui(ui, &mut settings);
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| {
            widgets::group(ui, words::around());
            ui.checkbox(&mut settings.is_unlisted, words::be_unlisted());
            let hint = RichText::new(words::be_unlisted_hint()).color(roles(ui).quiet);
            ui.add(egui::Label::new(hint).wrap());
            ui.add_space(space::XS);
            ui.checkbox(&mut settings.hidden_on_lan, words::hidden_on_lan());
            let hint = RichText::new(words::hidden_on_lan_hint()).color(roles(ui).quiet);
            ui.add(egui::Label::new(hint).wrap());
            ui.add_space(space::XS);
            ui.checkbox(&mut settings.router_left_alone, words::leave_router_alone());
            let hint = RichText::new(words::leave_router_alone_hint()).color(roles(ui).quiet);
            ui.add(egui::Label::new(hint).wrap());
        });
        ui.add_space(space::S);
        widgets::card(ui, |ui| lending::lending_ui(ui, snapshot, &mut settings));
        ui.add_space(space::S);
        let kept = widgets::card(ui, |ui| telephone::telephone_ui(ui, snapshot, view));
        command = kept.or(command.take());
        ui.add_space(space::S);
        widgets::card(ui, |ui| keeping::keys_ui(ui, snapshot, view));
        ui.add_space(space::S);
        widgets::card(ui, |ui| account_ui(ui, snapshot, view));
    });
    (settings != snapshot.settings).then_some(Command::Configure(Box::new(settings))).or(command)
}

/// The question on the screen, if one waits. Esc keeps everything as it is.
pub fn question_ui(
    ctx: &egui::Context,
    snapshot: &Snapshot,
    view: &mut ViewState,
) -> Option<Command> {
    let question = view.question.clone()?;
    let (title, body, yes, no) = question_words(snapshot, &question);
    let mut answer = None;
    let modal =
        Modal::new(Id::unique("question")).frame(widgets::modal_frame(ctx)).show(ctx, |ui| {
            ui.set_width(280.0_f32.min(ctx.content_rect().width() - 80.0));
            ui.label(RichText::new(title).size(size::HEADING));
            ui.label(body);
            ui.add_space(space::M);
            ui.horizontal(|ui| {
                let stay = widgets::button(ui, Kind::Plain, None, no);
                if stay.clicked() {
                    answer = Some(false);
                }
                if widgets::button(ui, Kind::Primary, None, yes).clicked() {
                    answer = Some(true);
                }
            });
        });
    if modal.should_close() {
        answer = Some(false);
    }
    let agreed = answer?;
    view.question = None;
    if !agreed {
        return None;
    }
    match question {
        Question::Leave(overlay) => Some(Command::Leave(Some(overlay))),
        Question::Remove { overlay, node_id } => Some(Command::RemoveDevice { overlay, node_id }),
        Question::PutOut { overlay, name } => {
            Some(Command::Accounts { overlay, job: AccountJob::Revoke { name } })
        }
        Question::Forget { overlay, aor } => Some(Command::ForgetKeys { overlay, aor }),
        Question::ForgetConversation(peer) => {
            view.talk.peer = None;
            Some(Command::Messages(MessageJob::Forget(peer)))
        }
        Question::RemoveAccount(address) => {
            Some(Command::SipAccount(SipAccountJob::Remove { address }))
        }
        Question::Clear => Some(Command::ClearHistory),
        Question::Close => {
            view.closing = true;
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            None
        }
    }
}

/// What a question says: its title, what happens, and the names of its buttons.
fn question_words(
    snapshot: &Snapshot,
    question: &Question,
) -> (&'static str, String, &'static str, &'static str) {
    let calls = card::running(snapshot);
    match question {
        Question::Leave(overlay) => {
            let calls = card::running_in(snapshot, overlay);
            let body = words::ask_leave_body(overlay, calls);
            (words::ask_leave(), body, words::yes_leave(), words::stay())
        }
        Question::Remove { .. } => {
            let body = words::ask_remove_body().to_owned();
            (words::ask_remove(), body, words::yes_remove(), words::keep())
        }
        Question::PutOut { overlay, name } => {
            let body = words::ask_put_out_body(name, overlay);
            (words::ask_put_out(), body, words::yes_put_out(), words::keep_them())
        }
        Question::Forget { aor, .. } => {
            (words::ask_forget(), words::ask_forget_body(aor), words::yes_forget(), words::keep())
        }
        Question::ForgetConversation(peer) => {
            let body = words::ask_forget_conversation_body(book::name(snapshot, peer));
            let (title, yes) = (words::ask_forget_conversation(), words::yes_forget_conversation());
            (title, body, yes, words::keep())
        }
        Question::RemoveAccount(address) => {
            let body = words::ask_telephone_body(address);
            (words::ask_telephone(), body, words::yes_remove(), words::keep())
        }
        Question::Clear => {
            let body = words::ask_clear_body().to_owned();
            (words::ask_clear(), body, words::yes_clear(), words::keep())
        }
        Question::Close => {
            (words::ask_close(), words::lost_calls(calls), words::yes_close(), words::stay())
        }
    }
}

fn theme_ui(ui: &mut Ui, settings: &mut Settings) {
    ui.label(words::theme());
    let choices = [
        (Theme::System, words::theme_system()),
        (Theme::Light, words::theme_light()),
        (Theme::Dark, words::theme_dark()),
    ];
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = space::L;
        for (theme, label) in choices {
            ui.radio_value(&mut settings.theme, theme, label);
        }
    });
}

fn language_ui(ui: &mut Ui, settings: &mut Settings) {
    ui.label(words::language());
    let choices = [
        (Language::System, words::theme_system()),
        (Language::English, words::language_english()),
        (Language::German, words::language_german()),
    ];
    ui.push_id("language", |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = space::L;
            for (language, label) in choices {
                ui.radio_value(&mut settings.language, language, label);
            }
        });
    });
}

fn account_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    widgets::group(ui, words::account());
    for membership in &snapshot.memberships {
        let me = &membership.me;
        ui.label(me.aor());
        let label = match snapshot.memberships.len() {
            1 => words::leave().to_owned(),
            _ => words::leave_which(&me.overlay),
        };
        if widgets::button(ui, Kind::Plain, None, &label).clicked() {
            view.question = Some(Question::Leave(me.overlay.clone()));
        }
    }
    ui.label(RichText::new(words::leave_hint()).color(roles(ui).quiet));
}
