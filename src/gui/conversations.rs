//! The page Messages: conversations, the one that is open, and where the next text is written.

use egui::{
    Align, Frame, Key, KeyboardShortcut, Label, Layout, Modifiers, Rect, RichText, ScrollArea,
    TextEdit, Ui, pos2, vec2,
};

use super::icons::Icon;
use super::look::{RADIUS, roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::{book, calls, forms, whereabouts, words};
use crate::phone::{
    Command, Contact, ContactJob, Conversation, Delivery, Direction, Message, MessageJob, Obstacle,
    Snapshot,
};

/// Height of a row of the list.
const ROW_HEIGHT: f32 = 56.0;
/// Texts that are shown before earlier ones are asked for, and how many more then.
const SHOWN: usize = 100;
/// How much of the width a text takes.
const TEXT_WIDTH: f32 = 0.75;
/// Room for the field below the texts.
const FIELD_HEIGHT: f32 = 84.0;

/// The list.
pub fn list_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(words::messages()).size(size::HEADING));
        widgets::from_right(ui, |ui| {
            let new =
                widgets::icon_button(ui, Kind::Quiet, Icon::Start, words::new_message(), false);
            if new.clicked() {
                view.talk.to = Some(String::new());
                view.form_focus = true;
            }
        });
    });
    to_ui(ui, snapshot, view);
    ui.add_space(space::XS);
    if snapshot.conversations.is_empty() {
        ui.add_space(space::XL);
        return widgets::empty(ui, words::no_messages(), words::no_messages_hint());
    }
    let rows = ScrollArea::vertical().id_salt("conversations").auto_shrink(false);
    rows.show_rows(ui, ROW_HEIGHT, snapshot.conversations.len(), |ui, shown| {
        for conversation in &snapshot.conversations[shown] {
            row_ui(ui, snapshot, view, conversation);
        }
    });
}

/// The field for somebody to whom nothing was written yet.
fn to_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) {
    let Some(mut to) = view.talk.to.take() else { return };
    let fault = view.talk.fault;
    let field = widgets::field(ui, words::message_to(), words::message_to_hint(), &mut to, fault);
    if std::mem::take(&mut view.form_focus) {
        field.request_focus();
    }
    if field.changed() {
        view.talk.fault = None;
    }
    let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
    let (mut opened, mut back) = (entered, ui.input(|input| input.key_pressed(Key::Escape)));
    ui.horizontal(|ui| {
        opened |= widgets::button(ui, Kind::Primary, None, words::message_open()).clicked();
        back |= widgets::button(ui, Kind::Plain, Some(Icon::Back), words::back()).clicked();
    });
    let name = to.trim();
    if opened && !name.is_empty() {
        if let Some(contact) = book::meant(snapshot, name) {
            return view.write_to(&contact.aor);
        }
        view.talk.fault = forms::dial_fault(name);
        if view.talk.fault.is_none() {
            return view.write_to(&forms::in_full(name, snapshot));
        }
    }
    view.talk.to = Some(to).filter(|_| !back);
}

fn row_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, conversation: &Conversation) {
    let Conversation { peer, unread, is_knocking, .. } = conversation;
    let Some(last) = conversation.messages.last() else { return };
    let name = book::name(snapshot, peer);
    let ago = words::ago(view.now_ms, last.unix_ms);
    let line = last.text.lines().next().unwrap_or_default();
    let label = words::conversation_row(name, conversation, line, &ago);
    let chosen = view.talk.peer.as_ref() == Some(peer);
    let (rect, row) = widgets::row(ui, &label, ROW_HEIGHT, chosen);
    let roles = roles(ui);
    let middle = pos2(rect.left() + 28.0, rect.center().y);
    widgets::paint_avatar(ui, Rect::from_center_size(middle, vec2(36.0, 36.0)), name);
    let beside = rect.with_min_x(middle.x + 18.0);
    let upper = beside.with_max_y(rect.center().y).translate(vec2(0.0, space::XS));
    let lower = beside.with_min_y(rect.center().y).translate(vec2(0.0, -space::XS));
    widgets::row_words(ui, upper, name, &ago);
    let sign = match last.delivery {
        _ if *is_knocking => Some((Icon::Open, roles.warn)),
        Delivery::Received | Delivery::Cancelled => None,
        delivery => Some((mark(delivery), mark_colour(ui, delivery))),
    };
    let lower = match sign {
        Some((icon, colour)) => {
            let at = pos2(lower.left() + space::M + 5.0, lower.center().y);
            icon.paint(ui.painter(), Rect::from_center_size(at, vec2(12.0, 12.0)), 10.0, colour);
            lower.with_min_x(lower.left() + space::L)
        }
        None => lower,
    };
    widgets::row_caption(ui, lower, line);
    if *unread > 0 && !is_knocking {
        let corner = pos2(rect.right() - space::M, lower.center().y - 8.0);
        widgets::badge(ui, Rect::from_min_max(pos2(rect.left(), corner.y), corner), *unread);
    }
    if row.clicked() {
        view.write_to(peer);
    }
}

/// Beside the list: the open conversation.
pub fn thread_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState) -> Vec<Command> {
    let Some(peer) = view.talk.peer.clone() else {
        ui.add_space((ui.available_height() / 2.0 - 60.0).max(space::XL));
        widgets::empty(ui, words::nobody(), words::nobody_written_hint());
        return Vec::new();
    };
    let conversation = snapshot.conversation(&peer);
    let mut commands: Vec<Command> = head_ui(ui, snapshot, view, &peer).into_iter().collect();
    if conversation.is_some_and(|conversation| conversation.is_knocking) {
        commands.extend(knock_ui(ui, &peer));
    }
    let height = (ui.available_height() - FIELD_HEIGHT).max(120.0);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), height),
        Layout::top_down(Align::Min),
        |ui| {
            ui.set_min_height(height);
            let area = ScrollArea::vertical().id_salt(("thread", &peer)).auto_shrink(false);
            area.stick_to_bottom(true).show(ui, |ui| {
                if let Some(conversation) = conversation {
                    commands.extend(texts_ui(ui, snapshot, view, conversation));
                }
            });
        },
    );
    if snapshot.contact(&peer).is_some_and(|contact| contact.is_blocked) {
        widgets::sentence(ui, Icon::Block, roles(ui).bad, words::blocked_hint());
    } else {
        commands.extend(field_ui(ui, view, &peer));
    }
    commands.extend(conversation.and_then(|conversation| see(ui, view, conversation)));
    commands
}

fn head_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, peer: &str) -> Option<Command> {
    let name = book::name(snapshot, peer);
    let mut command = None;
    ui.horizontal(|ui| {
        widgets::avatar(ui, name, 40.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width((ui.available_width() - 104.0).max(80.0));
            ui.add(Label::new(RichText::new(name).size(size::NAME)).truncate());
            ui.add(Label::new(RichText::new(peer).color(roles(ui).quiet)).truncate());
            whereabouts::line_ui(ui, snapshot, view.now_ms, peer);
        });
        widgets::from_right(ui, |ui| {
            if snapshot.conversation(peer).is_some() {
                let label = words::forget_conversation();
                if widgets::icon_button(ui, Kind::Quiet, Icon::Cross, label, false).clicked() {
                    view.question = Some(Question::ForgetConversation(peer.to_owned()));
                }
            }
            ui.add_enabled_ui(calls::can_dial(snapshot), |ui| {
                let label = words::call_name(name);
                if widgets::icon_button(ui, Kind::Quiet, Icon::Phone, &label, false).clicked() {
                    command = Some(Command::Dial(peer.to_owned()));
                }
            });
        });
    });
    ui.add_space(space::XS);
    command
}

/// A stranger has written.
fn knock_ui(ui: &mut Ui, peer: &str) -> Option<Command> {
    let mut contact = None;
    widgets::card(ui, |ui| {
        widgets::sentence(ui, Icon::Open, roles(ui).warn, &words::writes_unasked(peer));
        ui.horizontal_wrapped(|ui| {
            let aor = peer.to_owned();
            if widgets::button(ui, Kind::Primary, None, words::keep_contact()).clicked() {
                contact = Some(Contact { aor: aor.clone(), ..Contact::default() });
            }
            if widgets::button(ui, Kind::Plain, Some(Icon::Block), words::block()).clicked() {
                contact = Some(Contact { aor, is_blocked: true, ..Contact::default() });
            }
        });
    });
    contact.map(|contact| Command::Contacts(ContactJob::Save(contact)))
}

fn texts_ui(
    ui: &mut Ui,
    snapshot: &Snapshot,
    view: &mut ViewState,
    conversation: &Conversation,
) -> Option<Command> {
    let messages = &conversation.messages;
    let first = messages.len().saturating_sub(view.talk.shown.max(SHOWN));
    let mut command = None;
    if first > 0 && widgets::button(ui, Kind::Quiet, None, words::earlier_messages()).clicked() {
        view.talk.shown = view.talk.shown.max(SHOWN) + SHOWN;
    }
    for message in &messages[first..] {
        command = text_ui(ui, view.now_ms, message).or(command);
    }
    if let Some(obstacle) = conversation.obstacle {
        let name = book::name(snapshot, &conversation.peer);
        let icon = if obstacle == Obstacle::Unproven { Icon::Warning } else { Icon::Again };
        widgets::sentence(ui, icon, roles(ui).warn, &words::obstacle(obstacle, name));
    }
    command
}

/// One text, with when it was written and what has become of it.
fn text_ui(ui: &mut Ui, now_ms: u64, message: &Message) -> Option<Command> {
    let roles = roles(ui);
    let is_ours = message.direction == Direction::Outgoing;
    let (align, fill) = match is_ours {
        true => (Align::Max, roles.hover),
        false => (Align::Min, roles.raised),
    };
    let mut job = None;
    let width = (ui.available_width() * TEXT_WIDTH).max(160.0);
    ui.with_layout(Layout::top_down(align), |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let frame = Frame::new()
            .fill(fill)
            .stroke(egui::Stroke::new(1.0, roles.line))
            .corner_radius(RADIUS)
            .inner_margin(egui::Margin::symmetric(space::M as i8, space::S as i8));
        frame.show(ui, |ui| {
            ui.set_max_width(width);
            let text = RichText::new(&message.text).size(size::BODY);
            ui.add(Label::new(text).wrap().selectable(true).halign(Align::Min));
        });
        let ago = words::ago(now_ms, message.unix_ms);
        let quiet = |text: &str| RichText::new(text).size(size::CAPTION).color(roles.quiet);
        if is_ours {
            let said = words::delivery(message.delivery);
            let line = vec2(ui.available_width(), size::CAPTION + space::S);
            ui.allocate_ui_with_layout(line, Layout::right_to_left(Align::Center), |ui| {
                ui.label(quiet(&format!("{said} \u{b7} {ago}")));
                let colour = mark_colour(ui, message.delivery);
                widgets::sign(ui, mark(message.delivery), 10.0, colour);
                job = mark_button(ui, message);
            });
        } else {
            let domain = words::domain_unverified();
            let mut line = ago;
            if message.is_domain_unverified {
                line = format!("{domain} \u{b7} {line}");
            }
            ui.label(quiet(&line));
        }
    });
    ui.add_space(space::XS);
    job.map(Command::Messages)
}

/// What can be done with a text of ours that was not delivered.
fn mark_button(ui: &mut Ui, message: &Message) -> Option<MessageJob> {
    let (icon, label, job) = match message.delivery {
        Delivery::Waiting => (Icon::Cross, words::take_back(), MessageJob::Cancel(message.id)),
        Delivery::Refused { .. } | Delivery::Cancelled => {
            (Icon::Again, words::send_again(), MessageJob::Again(message.id))
        }
        Delivery::Received | Delivery::Sent | Delivery::Delivered => return None,
    };
    widgets::small_button(ui, icon, label).clicked().then_some(job)
}

/// The sign of what has become of a text.
fn mark(delivery: Delivery) -> Icon {
    match delivery {
        Delivery::Waiting => Icon::Hold,
        Delivery::Sent => Icon::Outgoing,
        Delivery::Received | Delivery::Delivered => Icon::Tick,
        Delivery::Refused { .. } => Icon::Warning,
        Delivery::Cancelled => Icon::Cross,
    }
}

fn mark_colour(ui: &Ui, delivery: Delivery) -> egui::Color32 {
    let roles = roles(ui);
    match delivery {
        Delivery::Delivered => roles.good,
        Delivery::Refused { .. } => roles.bad,
        Delivery::Waiting => roles.warn,
        Delivery::Received | Delivery::Sent | Delivery::Cancelled => roles.quiet,
    }
}

/// Where the next text is written: Enter sends it, Shift and Enter begin a new line.
fn field_ui(ui: &mut Ui, view: &mut ViewState, peer: &str) -> Option<Command> {
    /// As much as the phone takes, if all of it is plain letters.
    const CHARS_MAX: usize = 8000;
    ui.add_space(space::S);
    let mut draft = view.talk.drafts.remove(peer).unwrap_or_default();
    let mut sent = false;
    ui.horizontal(|ui| {
        let room = ui.available_width() - 40.0 - space::S;
        let edit = TextEdit::multiline(&mut draft)
            .id(egui::Id::unique("text"))
            .hint_text(words::message_hint())
            .desired_rows(2)
            .desired_width(room)
            .char_limit(CHARS_MAX)
            .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter))
            .margin(egui::Margin::same(space::S as i8));
        let area = ScrollArea::vertical().id_salt("draft").max_height(FIELD_HEIGHT - space::XL);
        let field = area.show(ui, |ui| ui.add(edit).accessible_name(words::message_text())).inner;
        if std::mem::take(&mut view.talk.focus) {
            field.request_focus();
        }
        let enter =
            |input: &egui::InputState| input.key_pressed(Key::Enter) && !input.modifiers.shift;
        sent = field.has_focus() && ui.input(enter);
        let is_ready = !draft.trim().is_empty();
        ui.add_enabled_ui(is_ready, |ui| {
            let kind = if is_ready { Kind::Primary } else { Kind::Plain };
            sent |= widgets::icon_button(ui, kind, Icon::Send, words::send(), false).clicked();
        });
    });
    if !sent || draft.trim().is_empty() {
        if !draft.is_empty() {
            view.talk.drafts.insert(peer.to_owned(), draft);
        }
        return None;
    }
    view.talk.focus = true;
    let (to, text) = (peer.to_owned(), draft.trim().to_owned());
    Some(Command::Messages(MessageJob::Write { to, text }))
}

/// What is shown in a window that the user looks at was read.
fn see(ui: &Ui, view: &mut ViewState, conversation: &Conversation) -> Option<Command> {
    let is_looked_at = ui.input(|input| input.viewport().focused.unwrap_or(true));
    let last = conversation.messages.last().map(|message| message.id);
    if conversation.unread == 0 || !is_looked_at || view.talk.seen == last {
        return None;
    }
    view.talk.seen = last;
    Some(Command::Messages(MessageJob::Read(conversation.peer.clone())))
}
