//! The page Contacts: everybody whom the user knows, favourites first; files of other programs.

use egui::{Key, Rect, RichText, ScrollArea, Ui, pos2, vec2};

use super::files::{self, FileFor};
use super::icons::Icon;
use super::look::{roles, size, space};
use super::view::{ContactForm, ViewState};
use super::widgets::{self, Kind};
use super::{calls, forms, whereabouts, words};
use crate::phone::{Command, Contact, ContactJob, Snapshot};

/// Height of a row of the contacts.
const ROW_HEIGHT: f32 = 56.0;

/// What the user calls somebody, or else the name in the address.
pub fn name<'a>(snapshot: &'a Snapshot, peer: &'a str) -> &'a str {
    match snapshot.contact(peer) {
        Some(contact) if !contact.name.is_empty() => &contact.name,
        _ => words::short_name(peer),
    }
}

/// What the user calls a contact.
pub fn name_of(contact: &Contact) -> &str {
    match contact.name.as_str() {
        "" => words::short_name(&contact.aor),
        name => name,
    }
}

/// The contacts that a search fits, favourites first and then by name.
pub fn found<'a>(snapshot: &'a Snapshot, search: &str) -> Vec<&'a Contact> {
    let search = search.trim().to_lowercase();
    let fits = |contact: &&Contact| {
        contact.name.to_lowercase().contains(&search)
            || contact.aor.to_lowercase().contains(&search)
    };
    let mut found: Vec<&Contact> = snapshot.contacts.iter().filter(fits).collect();
    found.sort_by_cached_key(|contact| (!contact.is_favourite, name_of(contact).to_lowercase()));
    found
}

/// Whom a text in the dial field means, if that is a contact: one whose name it is, or, if nobody
/// could be called so, the only one whose name begins so.
pub fn meant<'a>(snapshot: &'a Snapshot, text: &str) -> Option<&'a Contact> {
    let text = text.trim().to_lowercase();
    let only = |fits: &dyn Fn(&str) -> bool| {
        let fits = |contact: &&Contact| fits(&contact.name.to_lowercase());
        let mut fitting = snapshot.contacts.iter().filter(fits);
        let first = fitting.next();
        first.filter(|_| fitting.next().is_none())
    };
    let is_name = forms::dial_fault(&text).is_none();
    only(&|name| name == text)
        .or_else(|| only(&|name| name.starts_with(&text)).filter(|_| !is_name && !text.is_empty()))
}

/// The list with the field to search and dial above it.
pub fn list_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let mut commands = Vec::new();
    take_dropped_file(ui, view);
    ui.horizontal(|ui| {
        ui.label(RichText::new(words::contacts()).size(size::HEADING));
        widgets::from_right(ui, |ui| {
            let add =
                widgets::icon_button(ui, Kind::Quiet, Icon::Start, words::add_contact(), false);
            if add.clicked() {
                view.book.new = Some(ContactForm::default());
                view.form_focus = true;
            }
        });
    });
    commands.extend(calls::dial_ui(ui, snapshot, view));
    commands.extend(undo_ui(ui, view));
    commands.extend(files_ui(ui, snapshot, view));
    ui.add_space(space::XS);
    let found = found(snapshot, &view.dial);
    if found.is_empty() {
        ui.add_space(space::XL);
        let (title, hint) = match snapshot.contacts.is_empty() {
            true => (words::no_contacts(), words::no_contacts_hint()),
            false => (words::no_contact_match(), words::no_match_hint()),
        };
        widgets::empty(ui, title, hint);
        return commands;
    }
    let rows = ScrollArea::vertical().id_salt("contacts").auto_shrink(false);
    rows.show_rows(ui, ROW_HEIGHT, found.len(), |ui, shown| {
        for contact in &found[shown] {
            commands.extend(row_ui(ui, snapshot, view, contact));
        }
    });
    commands
}

/// One contact; a click chooses, two call.
pub fn row_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    contact: &Contact,
) -> Option<Command> {
    let name = name_of(contact);
    let whereabouts = snapshot.whereabouts.get(&contact.aor).copied();
    let state = whereabouts.map(|state| words::whereabouts(state, view.now_ms));
    let mut label = words::contact_row(name, contact);
    if let Some(state) = &state {
        label = format!("{label}, {state}");
    }
    let chosen = view.person.as_ref() == Some(&contact.aor);
    let (rect, row) = widgets::row(ui, &label, ROW_HEIGHT, chosen);
    let roles = roles(ui);
    let middle = pos2(rect.left() + 28.0, rect.center().y);
    let picture = Rect::from_center_size(middle, vec2(36.0, 36.0));
    widgets::paint_avatar(ui, picture, name);
    whereabouts::paint_dot(ui, picture, whereabouts);
    let words = rect.with_min_x(middle.x + 18.0);
    let upper = words.with_max_y(rect.center().y).translate(vec2(0.0, space::XS));
    let lower = words.with_min_y(rect.center().y).translate(vec2(0.0, -space::XS));
    widgets::row_words(ui, upper, name, "");
    let caption = match state {
        Some(state) => format!("{state} \u{b7} {}", contact.aor),
        None => contact.aor.clone(),
    };
    widgets::row_caption(ui, lower, &caption);
    let sign = match contact {
        Contact { is_blocked: true, .. } => Some((Icon::Block, roles.bad)),
        Contact { is_favourite: true, .. } => Some((Icon::StarFull, roles.accent)),
        _ => None,
    };
    if let Some((icon, colour)) = sign {
        let at = pos2(rect.right() - 20.0, rect.center().y);
        let square = Rect::from_center_size(at, vec2(16.0, 16.0));
        icon.paint(ui.painter(), square, 14.0, colour);
    }
    if row.clicked() {
        view.choose(&contact.aor);
    }
    let calls = row.double_clicked() && calls::can_dial(snapshot);
    calls.then(|| Command::Dial(contact.aor.clone()))
}

/// Somebody was removed: the way back.
fn undo_ui(ui: &mut Ui, view: &mut ViewState) -> Option<Command> {
    let removed = view.book.removed.clone()?;
    let mut command = None;
    ui.horizontal(|ui| {
        let sentence = words::removed(name_of(&removed));
        let room = (ui.available_width() - 80.0).max(80.0);
        ui.scope(|ui| {
            ui.set_max_width(room);
            ui.add(egui::Label::new(sentence).truncate());
        });
        widgets::from_right(ui, |ui| {
            if widgets::button(ui, Kind::Quiet, None, words::undo()).clicked() {
                view.book.removed = None;
                command = Some(Command::Contacts(ContactJob::Save(removed)));
            }
        });
    });
    command
}

/// Files of contacts, behind a button.
fn files_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    if !view.book.has_files {
        if widgets::button(ui, Kind::Quiet, Some(Icon::Restore), words::files()).clicked() {
            view.book.has_files = true;
            view.book.path = forms::save_path_default("contacts.vcf");
        }
        return None;
    }
    let book = &mut view.book;
    let words = (words::file_path(), words::file_path_hint());
    let (files, what) = (&mut view.files, FileFor::Contacts);
    files::field_ui(ui, files, what, words, &mut book.path, book.path_fault);
    let mut job = None;
    ui.horizontal_wrapped(|ui| {
        if widgets::button(ui, Kind::Plain, None, words::import()).clicked() {
            let path = forms::file_path(&book.path);
            let is_there = path.is_file();
            book.path_fault = (!is_there).then_some(words::fault_vcard_missing());
            job = is_there.then_some(ContactJob::Import(path));
        }
        if widgets::button(ui, Kind::Plain, None, words::export()).clicked() {
            let target = forms::save_target(&book.path);
            book.path_fault = target.as_ref().err().copied();
            job = target.ok().map(ContactJob::Export);
        }
        if widgets::button(ui, Kind::Quiet, None, words::done()).clicked() {
            book.has_files = false;
        }
    });
    let good = roles(ui).good;
    if let Some(imported) = snapshot.imported {
        widgets::sentence(ui, Icon::Tick, good, &words::imported(imported));
    } else if snapshot.saved.is_some() && forms::save_target(&view.book.path).ok() == snapshot.saved
    {
        widgets::sentence(ui, Icon::Tick, good, words::exported());
    }
    job.map(Command::Contacts)
}

/// A file dropped on the page is one of contacts.
fn take_dropped_file(ui: &Ui, view: &mut ViewState) {
    let path = ui.input(|input| {
        input.raw.dropped_files.first().map(|file| file.path().display().to_string())
    });
    if let Some(path) = path {
        view.book.has_files = true;
        view.book.path = path;
    }
}

/// The form for somebody new, where a person would stand.
pub fn new_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Option<Command> {
    let mut form = view.book.new.clone()?;
    widgets::card(ui, |ui| {
        ui.label(RichText::new(words::new_contact()).size(size::HEADING));
        ui.add_space(space::S);
        let fault = forms::dial_fault(form.aor.trim()).filter(|_| form.tried);
        let empty = form.aor.trim().is_empty().then_some(words::fault_dial_at());
        let fault = empty.filter(|_| form.tried).or(fault);
        let (label, hint) = (words::contact_aor(), words::contact_aor_hint());
        let field = widgets::field(ui, label, hint, &mut form.aor, fault);
        if std::mem::take(&mut view.form_focus) {
            field.request_focus();
        }
        let (label, hint) = (words::contact_name(), words::contact_name_hint());
        widgets::field(ui, label, hint, &mut form.name, None);
        let (sent, back) = widgets::form_foot(ui, words::contact_save());
        form.tried |= sent;
        let is_good = !form.aor.trim().is_empty() && forms::dial_fault(form.aor.trim()).is_none();
        let is_done = back || (sent && is_good);
        view.book.new = Some(form.clone()).filter(|_| !is_done);
        if !sent || !is_good {
            return None;
        }
        let aor = forms::in_full(form.aor.trim(), snapshot);
        view.choose(&aor);
        let name = form.name.trim().to_owned();
        Some(Command::Contacts(ContactJob::Save(Contact { aor, name, ..Contact::default() })))
    })
}

/// The fields of a contact; what was changed is saved when a field is left.
pub fn contact_ui(ui: &mut Ui, view: &mut ViewState, contact: &Contact) -> Option<Command> {
    let edited = view.book.edited.get_or_insert_with(|| ContactForm::of(contact));
    if edited.aor != contact.aor {
        *edited = ContactForm::of(contact);
    }
    let (label, hint) = (words::contact_name(), words::contact_name_hint());
    let name = widgets::field(ui, label, hint, &mut edited.name, None);
    let label = ui.label(RichText::new(words::contact_note()).size(size::BODY));
    let note = egui::TextEdit::multiline(&mut edited.note)
        .desired_rows(2)
        .desired_width(f32::INFINITY)
        .char_limit(2000)
        .margin(egui::Margin::same(space::M as i8));
    let note = ui.add(note).labelled_by(label.id);
    ui.add_space(space::S);
    let changed = Contact {
        name: edited.name.trim().to_owned(),
        note: edited.note.trim().to_owned(),
        ..contact.clone()
    };
    let left = name.lost_focus() || note.lost_focus();
    let escaped = ui.input(|input| input.key_pressed(Key::Escape));
    if left && escaped {
        view.book.edited = None;
        return None;
    }
    let is_new = left && changed != *contact && view.book.sent.as_ref() != Some(&changed);
    if is_new {
        view.book.sent = Some(changed.clone());
    }
    is_new.then_some(Command::Contacts(ContactJob::Save(changed)))
}

/// What can be done with a contact beside calling.
pub fn actions_ui(ui: &mut Ui, view: &mut ViewState, contact: &Contact) -> Option<Command> {
    let mut job = None;
    ui.horizontal_wrapped(|ui| {
        let label = if contact.is_blocked { words::unblock() } else { words::block() };
        if widgets::button(ui, Kind::Plain, Some(Icon::Block), label).clicked() {
            let is_blocked = !contact.is_blocked;
            job = Some(ContactJob::Save(Contact { is_blocked, ..contact.clone() }));
        }
        if widgets::button(ui, Kind::Plain, None, words::remove_contact()).clicked() {
            view.book.removed = Some(contact.clone());
            view.book.edited = None;
            job = Some(ContactJob::Remove(contact.aor.clone()));
        }
    });
    job.map(Command::Contacts)
}
