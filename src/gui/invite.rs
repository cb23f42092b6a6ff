//! How others come into an overlay: its invitation as a link and as a QR code, or its document as
//! a file. And what the overlay protects.

use egui::{Key, RichText, Ui};

use super::files::{self, FileFor};
use super::forms;
use super::icons::Icon;
use super::look::{roles, size, space};
use super::qr;
use super::view::ViewState;
use super::widgets::{self, Kind};
use super::{people, words};
use crate::phone::{Command, HostState, Membership, Snapshot};

/// The largest side of a QR code.
const QR_SIDE: f32 = 216.0;
/// From this width on the code stands beside the words.
const BESIDE: f32 = 480.0;

/// What one hands to others.
pub fn invite_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    membership: &Membership,
) -> Option<Command> {
    let overlay = &membership.me.overlay;
    let hosted = people::hosted(snapshot, overlay);
    if let Some(hosted) = hosted.filter(|hosted| hosted.state == HostState::Running) {
        return people::invite_ui(ui, view, hosted);
    }
    widgets::group(ui, words::invite());
    let Some(link) = snapshot.invitations.get(overlay) else {
        return save_ui(ui, snapshot, view, membership);
    };
    coded_ui(ui, link, |ui| {
        link_ui(ui, view, link, words::invite_link_hint());
        if !membership.document.is_self_signed {
            let needed = RichText::new(words::account_needed()).color(roles(ui).quiet);
            ui.add(egui::Label::new(needed).wrap());
        }
        if !view.saving && widgets::button(ui, Kind::Quiet, None, words::as_a_file()).clicked() {
            view.saving = true;
        }
    });
    if !view.saving {
        return None;
    }
    ui.add_space(space::S);
    save_ui(ui, snapshot, view, membership)
}

/// A link as a code beside the words about it, or below them.
pub fn coded_ui<R>(ui: &mut Ui, link: &str, words_ui: impl FnOnce(&mut Ui) -> R) -> R {
    if ui.available_width() < BESIDE {
        let result = words_ui(ui);
        ui.add_space(space::S);
        qr::qr_ui(ui, link, words::qr(), QR_SIDE.min(ui.available_width()));
        return result;
    }
    let beside = ui.horizontal_top(|ui| {
        qr::qr_ui(ui, link, words::qr(), QR_SIDE);
        ui.add_space(space::S);
        ui.vertical(words_ui).inner
    });
    beside.inner
}

/// A link with a button that copies it.
pub fn link_ui(ui: &mut Ui, view: &mut ViewState, link: &str, hint: &str) {
    let roles = roles(ui);
    ui.label(hint);
    ui.add_space(space::XS);
    let frame = egui::Frame::new()
        .stroke(egui::Stroke::new(1.0, roles.line))
        .corner_radius(super::look::RADIUS)
        .inner_margin(space::S);
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        // It can be marked and copied by hand too.
        let shown = RichText::new(link).size(size::CAPTION);
        ui.add(egui::Label::new(shown).wrap().selectable(true));
    });
    ui.add_space(space::XS);
    ui.horizontal(|ui| {
        let copy = widgets::button(ui, Kind::Primary, Some(Icon::Copy), words::copy_link());
        if copy.clicked() {
            ui.ctx().copy_text(link.to_owned());
            view.copied = Some(link.to_owned());
        }
        if view.copied.as_deref() == Some(link) {
            widgets::sign(ui, Icon::Tick, 16.0, roles.good);
            ui.label(RichText::new(words::copied()).color(roles.good));
        }
    });
}

/// What an overlay protects, and what it does not.
pub fn protection_ui(ui: &mut Ui, membership: &Membership) {
    if !membership.document.is_self_signed {
        return;
    }
    let roles = roles(ui);
    let sentences = [
        (Icon::ShieldGood, roles.good, words::protects(), words::self_signed_protects()),
        (Icon::Warning, roles.warn, words::protects_not(), words::self_signed_protects_not()),
    ];
    widgets::card(ui, |ui| {
        for (icon, colour, title, sentence) in sentences {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().interact_size.y = size::BODY + space::XS;
                widgets::sign(ui, icon, 18.0, colour);
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.label(title);
                    ui.add(egui::Label::new(RichText::new(sentence).color(roles.quiet)).wrap());
                });
            });
            ui.add_space(space::XS);
        }
    });
}

/// The document as a file.
fn save_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    membership: &Membership,
) -> Option<Command> {
    let overlay = &membership.me.overlay;
    ui.label(words::invite_file_hint());
    ui.add_space(space::XS);
    if view.save_for.as_ref() != Some(overlay) {
        view.save_path = forms::save_path_default(&format!("{overlay}.xml"));
        view.save_for = Some(overlay.clone());
    }
    let (what, words) = (FileFor::Document, (words::save_path(), ""));
    let (files, path) = (&mut view.files, &mut view.save_path);
    let field = files::field_ui(ui, files, what, words, path, view.save_fault);
    let enter = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    let clicked = widgets::button(ui, Kind::Plain, None, words::save()).clicked();
    let target = forms::save_target(&view.save_path);
    if view.save_fault.is_none()
        && snapshot.saved.is_some()
        && target.as_ref().ok() == snapshot.saved.as_ref()
    {
        widgets::text_row(ui, |ui| {
            let good = roles(ui).good;
            widgets::sign(ui, Icon::Tick, 16.0, good);
            ui.label(RichText::new(words::saved()).color(good));
        });
    }
    if !clicked && !enter {
        return None;
    }
    view.save_fault = target.as_ref().err().copied();
    let overlay = overlay.clone();
    target.ok().map(|path| Command::SaveDocument { overlay, path })
}
