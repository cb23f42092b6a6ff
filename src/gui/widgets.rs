//! The few widgets that the pages are made of. Each has an accessible name and a focus ring.

use std::ops::RangeInclusive;

use egui::accesskit::Role;
use egui::{
    Align, Color32, CornerRadius, DragValue, FontId, Frame, Key, Layout, Rect, Response, RichText,
    Sense, Stroke, StrokeKind, TextEdit, Ui, Vec2, WidgetInfo, vec2,
};

use super::icons::Icon;
use super::look::{self, CONTROL_HEIGHT, RADIUS, Roles, roles, shadow, size, space};
use super::words;

/// What a button is for; decides its colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one thing to do next.
    Primary,
    /// Answer.
    Good,
    /// Hang up or decline; nothing else is red.
    Bad,
    /// Any other button.
    Plain,
    /// A button without a frame.
    Quiet,
}

impl Kind {
    fn colours(self, roles: &Roles) -> (Color32, Color32, Stroke) {
        match self {
            Kind::Primary => (roles.accent_fill, roles.on_fill, Stroke::NONE),
            Kind::Good => (roles.good_fill, roles.on_fill, Stroke::NONE),
            Kind::Bad => (roles.bad_fill, roles.on_fill, Stroke::NONE),
            Kind::Plain => (roles.raised, roles.text, Stroke::new(1.0, roles.edge)),
            Kind::Quiet => (Color32::TRANSPARENT, roles.accent, Stroke::NONE),
        }
    }
}

/// A button with words and, before them, an icon.
pub fn button(ui: &mut Ui, kind: Kind, icon: Option<Icon>, label: &str) -> Response {
    let roles = roles(ui);
    let (fill, ink, stroke) = kind.colours(roles);
    let font = FontId::proportional(size::BODY);
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font, ink);
    let icon_width = if icon.is_some() { 18.0 + space::S } else { 0.0 };
    let padding = if kind == Kind::Quiet { space::S } else { space::L };
    let width = galley.size().x + icon_width + 2.0 * padding;
    let (rect, response) = ui.allocate_exact_size(vec2(width, CONTROL_HEIGHT), Sense::click());
    name(ui, &response, label);
    let fill = pressed_fill(&response, kind, fill, roles);
    let painter = ui.painter();
    painter.rect(rect, RADIUS, fill, stroke, StrokeKind::Inside);
    focus_ring(ui, &response, rect, f32::from(RADIUS));
    let mut x = rect.left() + padding;
    if let Some(icon) = icon {
        let square = Rect::from_min_size(egui::pos2(x, rect.top()), vec2(18.0, rect.height()));
        icon.paint(painter, square, 18.0, ink);
        x += icon_width;
    }
    let y = rect.center().y - galley.size().y / 2.0;
    painter.galley_with_override_text_color(egui::pos2(x, y), galley, ink);
    response
}

/// A large round button of a call, its name below it.
pub fn round_button(ui: &mut Ui, kind: Kind, icon: Icon, label: &str, chosen: bool) -> Response {
    const SIDE: f32 = 56.0;
    let roles = roles(ui);
    let (mut fill, mut ink, stroke) = kind.colours(roles);
    if chosen {
        (fill, ink) = (roles.text, roles.surface);
    }
    let font = FontId::proportional(size::CAPTION);
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font, roles.quiet);
    let width = SIDE.max(galley.size().x) + space::S;
    let height = SIDE + space::XS + galley.size().y;
    let (rect, response) = ui.allocate_exact_size(vec2(width, height), Sense::click());
    name(ui, &response, label);
    let circle = Rect::from_center_size(
        egui::pos2(rect.center().x, rect.top() + SIDE / 2.0),
        Vec2::splat(SIDE),
    );
    let fill = if chosen { fill } else { pressed_fill(&response, kind, fill, roles) };
    let painter = ui.painter();
    painter.rect(circle, SIDE / 2.0, fill, stroke, StrokeKind::Inside);
    focus_ring(ui, &response, circle, SIDE / 2.0);
    icon.paint(painter, circle, 24.0, ink);
    let at = egui::pos2(rect.center().x - galley.size().x / 2.0, circle.bottom() + space::XS);
    painter.galley(at, galley, roles.quiet);
    response
}

/// A small button that shows only an icon; its name appears on hover and for screen readers.
pub fn icon_button(ui: &mut Ui, kind: Kind, icon: Icon, label: &str, chosen: bool) -> Response {
    let roles = roles(ui);
    let (mut fill, mut ink, stroke) = kind.colours(roles);
    if kind == Kind::Quiet {
        ink = if chosen { roles.accent } else { roles.quiet };
        fill = if chosen { roles.hover } else { fill };
    }
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(CONTROL_HEIGHT), Sense::click());
    name(ui, &response, label);
    let fill = pressed_fill(&response, kind, fill, roles);
    let radius = if kind == Kind::Quiet { f32::from(RADIUS) } else { CONTROL_HEIGHT / 2.0 };
    let painter = ui.painter();
    painter.rect(rect, radius, fill, stroke, StrokeKind::Inside);
    focus_ring(ui, &response, rect, radius);
    icon.paint(painter, rect, 20.0, ink);
    response.on_hover_text(label)
}

/// Side of a button in the flow of the text.
pub const SMALL: f32 = 28.0;

/// A button in the flow of the text that shows only an icon.
pub fn small_button(ui: &mut Ui, icon: Icon, label: &str) -> Response {
    let roles = roles(ui);
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(SMALL), Sense::click());
    name(ui, &response, label);
    let fill = pressed_fill(&response, Kind::Quiet, Color32::TRANSPARENT, roles);
    ui.painter().rect_filled(rect, RADIUS, fill);
    focus_ring(ui, &response, rect, f32::from(RADIUS));
    icon.paint(ui.painter(), rect, 16.0, roles.quiet);
    response.on_hover_text(label)
}

/// A whole row that can be clicked; `paint` draws on its rectangle.
pub fn row(ui: &mut Ui, label: &str, height: f32, chosen: bool) -> (Rect, Response) {
    let size = vec2(ui.available_width(), height);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    name(ui, &response, label);
    let roles = roles(ui);
    if chosen || response.hovered() {
        ui.painter().rect_filled(rect, RADIUS, roles.hover);
    }
    focus_ring(ui, &response, rect, f32::from(RADIUS));
    (rect, response)
}

/// A field with its name above it and, if something is wrong, one sentence below it.
pub fn field(
    ui: &mut Ui,
    label: &str,
    hint: &str,
    text: &mut String,
    fault: Option<&str>,
) -> Response {
    named_edit(ui, label, line_edit(text, hint), fault)
}

/// A number and what it counts.
pub fn number(ui: &mut Ui, label: &str, value: &mut u16, range: RangeInclusive<u16>) {
    ui.horizontal(|ui| {
        ui.add(DragValue::new(value).range(range)).accessible_name(label);
        ui.label(label);
    });
}

/// A field that shows dots for what is typed.
pub fn password_field(
    ui: &mut Ui,
    label: &str,
    hint: &str,
    text: &mut String,
    fault: Option<&str>,
) -> Response {
    named_edit(ui, label, line_edit(text, hint).password(true), fault)
}

fn named_edit(ui: &mut Ui, label: &str, edit: TextEdit<'_>, fault: Option<&str>) -> Response {
    let label_response = ui.label(RichText::new(label).size(size::BODY));
    let response = ui.add(edit).labelled_by(label_response.id);
    if let Some(fault) = fault {
        fault_line(ui, fault);
    }
    ui.add_space(space::S);
    response
}

/// The words of a row: one thing at its left, and a quiet one at its right.
pub fn row_words(ui: &Ui, rect: Rect, text: &str, quiet: &str) {
    let roles = roles(ui);
    let font = FontId::proportional(size::BODY);
    let inner = rect.shrink2(vec2(space::M, 0.0));
    let painter = ui.painter().with_clip_rect(rect);
    let right = painter.text(
        inner.right_center(),
        egui::Align2::RIGHT_CENTER,
        quiet,
        FontId::proportional(size::CAPTION),
        roles.quiet,
    );
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, roles.text);
    job.wrap = egui::text::TextWrapping::truncate_at_width(right.left() - inner.left() - space::S);
    let galley = painter.layout_job(job);
    let at = egui::pos2(inner.left(), rect.center().y - galley.size().y / 2.0);
    painter.galley(at, galley, roles.text);
}

/// A quiet caption in a row, cut off where the row ends.
pub fn row_caption(ui: &Ui, rect: Rect, text: &str) {
    let quiet = roles(ui).quiet;
    let font = FontId::proportional(size::CAPTION);
    let inner = rect.shrink2(vec2(space::M, 0.0));
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, quiet);
    job.wrap = egui::text::TextWrapping::truncate_at_width(inner.width() - space::XL);
    let galley = ui.painter().layout_job(job);
    let at = egui::pos2(inner.left(), rect.center().y - galley.size().y / 2.0);
    ui.painter().galley(at, galley, quiet);
}

/// One of a few choices that stand beside each other.
pub fn chip(ui: &mut Ui, label: &str, chosen: bool) -> Response {
    let roles = roles(ui);
    let font = FontId::proportional(size::CAPTION);
    let ink = if chosen { roles.accent } else { roles.quiet };
    let galley = ui.painter().layout_no_wrap(label.to_owned(), font, ink);
    let size = vec2(galley.size().x + 2.0 * space::M, SMALL);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response
        .widget_info(|| WidgetInfo::selected(Role::RadioButton, ui.is_enabled(), chosen, label));
    let fill = if chosen || response.hovered() { roles.hover } else { roles.surface };
    let line = Stroke::new(1.0, if chosen { roles.accent } else { roles.edge });
    ui.painter().rect(rect, SMALL / 2.0, fill, line, StrokeKind::Inside);
    focus_ring(ui, &response, rect, SMALL / 2.0);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, ink);
    response
}

/// A key of a telephone.
pub fn key(ui: &mut Ui, extent: Vec2, digit: char, label: &str) -> Response {
    let roles = roles(ui);
    let (fill, ink, stroke) = Kind::Plain.colours(roles);
    let (rect, response) = ui.allocate_exact_size(extent, Sense::click());
    name(ui, &response, label);
    let fill = pressed_fill(&response, Kind::Plain, fill, roles);
    let painter = ui.painter();
    painter.rect(rect, RADIUS, fill, stroke, StrokeKind::Inside);
    focus_ring(ui, &response, rect, f32::from(RADIUS));
    let font = FontId::proportional(size::HEADING);
    painter.text(rect.center(), egui::Align2::CENTER_CENTER, digit, font, ink);
    response
}

/// A number at the corner of a button; the button's name says it too.
pub fn badge(ui: &Ui, button: Rect, count: usize) {
    /// More than this fits nowhere.
    const COUNT_MAX: usize = 99;
    let roles = roles(ui);
    let text = count.min(COUNT_MAX).to_string();
    let font = FontId::proportional(size::CAPTION - 1.0);
    let galley = ui.painter().layout_no_wrap(text, font, roles.on_fill);
    let size = vec2((galley.size().x + space::S).max(16.0), 16.0);
    let rect = Rect::from_center_size(button.right_top() + vec2(-8.0, 8.0), size);
    ui.painter().rect_filled(rect, 8.0, roles.accent_fill);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, roles.on_fill);
}

/// A text field of one line in our size.
pub fn line_edit<'t>(text: &'t mut String, hint: &str) -> TextEdit<'t> {
    /// Longer than any path or name; a pasted book must not stall the window.
    const CHARS_MAX: usize = 4096;
    TextEdit::singleline(text)
        .hint_text(hint.to_owned())
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(space::M as i8, 11))
        .char_limit(CHARS_MAX)
}

/// One sentence about a fault, with a sign beside it.
pub fn fault_line(ui: &mut Ui, fault: &str) {
    let roles = roles(ui);
    text_row(ui, |ui| {
        sign(ui, Icon::Warning, 16.0, roles.bad);
        ui.label(RichText::new(fault).color(roles.bad));
    });
}

/// The buttons below a form: whether it was sent, and whether the user goes back.
pub fn form_foot(ui: &mut Ui, label: &str) -> (bool, bool) {
    ui.add_space(space::S);
    let (enter, escape) =
        ui.input(|input| (input.key_pressed(Key::Enter), input.key_pressed(Key::Escape)));
    // A field gives the focus up at Enter; whatever else has it is pressed by it.
    let was_in_field = ui.memory(|memory| memory.focused().is_none());
    ui.horizontal(|ui| {
        let go = button(ui, Kind::Primary, None, label).clicked();
        let back = button(ui, Kind::Plain, Some(Icon::Back), words::back());
        let sent = go || (enter && was_in_field);
        (sent && !back.clicked(), back.clicked() || escape)
    })
    .inner
}

/// A sentence with a sign before it; it may be long.
pub fn sentence(ui: &mut Ui, icon: Icon, colour: Color32, text: &str) {
    ui.horizontal_top(|ui| {
        ui.spacing_mut().interact_size.y = size::BODY + space::XS;
        sign(ui, icon, 16.0, colour);
        ui.vertical(|ui| ui.add(egui::Label::new(text).wrap()));
    });
}

/// An icon in the text flow.
pub fn sign(ui: &mut Ui, icon: Icon, side: f32, colour: Color32) {
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(side + 2.0), Sense::hover());
    icon.paint(ui.painter(), rect, side, colour);
}

/// A card: raised, with a border.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    let roles = roles(ui);
    Frame::new()
        .fill(roles.raised)
        .stroke(Stroke::new(1.0, roles.line))
        .corner_radius(RADIUS)
        .inner_margin(space::L)
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            add(ui)
        })
        .inner
}

/// What somebody says to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// They do it now.
    Taken,
    /// Not now.
    PutOff,
}

/// A card that offers something to do, says why, and has a button with the name `take` for it.
pub fn offer(ui: &mut Ui, icon: Icon, title: &str, why: &str, take: &str) -> Option<Offered> {
    let accent = roles(ui).accent;
    let offered = card(ui, |ui| {
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = size::NAME + space::S;
            sign(ui, icon, 20.0, accent);
            ui.label(RichText::new(title).size(size::NAME));
        });
        ui.label(why);
        ui.add_space(space::XS);
        let buttons = ui.horizontal_wrapped(|ui| {
            let is_taken = button(ui, Kind::Primary, None, take).clicked();
            let is_put_off = button(ui, Kind::Plain, None, words::later()).clicked();
            is_taken.then_some(Offered::Taken).or(is_put_off.then_some(Offered::PutOff))
        });
        buttons.inner
    });
    ui.add_space(space::M);
    offered
}

/// The frame of everything that stands over the window.
pub fn modal_frame(ctx: &egui::Context) -> Frame {
    let visuals = &ctx.style_of(ctx.theme()).visuals;
    Frame::new()
        .fill(visuals.window_fill)
        .stroke(visuals.window_stroke)
        .corner_radius(RADIUS)
        .shadow(shadow())
        .inner_margin(space::XL)
}

/// A picture made of initials.
pub fn avatar(ui: &mut Ui, peer: &str, side: f32) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(side), Sense::hover());
    paint_avatar(ui, rect, peer);
    response
}

/// Draws a picture made of initials.
pub fn paint_avatar(ui: &Ui, rect: Rect, peer: &str) {
    let roles = roles(ui);
    let painter = ui.painter();
    painter.circle_filled(rect.center(), rect.width() / 2.0, roles.accent_fill);
    painter.text(
        rect.center(),
        egui::Align2::CENTER_CENTER,
        words::initials(peer),
        FontId::proportional((rect.width() * 0.4).round()),
        roles.on_fill,
    );
}

/// A bar that shows how loud a side is; `level` from 0 to 1.
pub fn level_meter(ui: &mut Ui, whom: &str, level: f32, silent: bool) {
    /// Below this many decibels under full scale nothing shows.
    const FLOOR_DB: f32 = 54.0;
    let roles = roles(ui);
    let share = if silent || level <= 0.0 {
        0.0
    } else {
        (1.0 + 20.0 * level.log10() / FLOOR_DB).clamp(0.0, 1.0)
    };
    let label = words::level_of(whom);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = space::XS;
        ui.label(RichText::new(whom).size(size::CAPTION).color(roles.quiet));
        let size = vec2(ui.available_width(), 8.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Meter, true, &label);
            info.value = Some(f64::from((share * 100.0).round()));
            info
        });
        let mut filled = rect;
        filled.set_width(rect.width() * share);
        let colour = if silent { roles.quiet } else { roles.accent };
        ui.painter().rect_filled(rect, 4.0, roles.line);
        ui.painter().rect_filled(filled, 4.0, colour);
    });
}

/// A bar for something whose end is not known: a light that wanders, at a few frames a second.
pub fn wandering_bar(ui: &mut Ui) {
    const CYCLE_S: f64 = 2.4;
    let roles = roles(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 6.0), Sense::hover());
    response
        .widget_info(|| WidgetInfo::labeled(Role::ProgressIndicator, true, words::in_progress()));
    let phase = ui.input(|input| input.time).rem_euclid(CYCLE_S) / CYCLE_S;
    let swing = 0.5 - 0.5 * (phase * std::f64::consts::TAU).cos();
    let width = rect.width() * 0.3;
    let left = rect.left() + (rect.width() - width) * swing as f32;
    let light = Rect::from_min_size(egui::pos2(left, rect.top()), vec2(width, rect.height()));
    ui.painter().rect_filled(rect, 3.0, roles.line);
    ui.painter().rect_filled(light, 3.0, roles.accent);
    ui.ctx().request_repaint_after(std::time::Duration::from_millis(66));
}

/// What a list without entries says, and what to do next.
pub fn empty(ui: &mut Ui, title: &str, hint: &str) {
    let roles = roles(ui);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new(title).size(size::NAME));
        ui.label(RichText::new(hint).color(roles.quiet));
    });
}

/// A page's heading.
pub fn heading(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).size(size::HEADING));
    ui.add_space(space::S);
}

/// The heading of a group.
pub fn group(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).size(size::NAME));
    ui.add_space(space::XS);
}

/// A row as high as its words; other rows are as high as a button.
pub fn text_row<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = size::BODY + space::XS;
        ui.horizontal_wrapped(add).inner
    })
    .inner
}

/// Lays `add` out in a row from the right.
pub fn from_right<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.with_layout(Layout::right_to_left(Align::Center), add).inner
}

/// A row of `width` points in the middle of what is free.
pub fn centred_row<R>(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui) -> R) -> R {
    let left = ((ui.available_width() - width) / 2.0).max(0.0);
    ui.horizontal_top(|ui| {
        ui.add_space(left);
        add(ui)
    })
    .inner
}

fn name(ui: &Ui, response: &Response, label: &str) {
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), label));
}

fn pressed_fill(response: &Response, kind: Kind, fill: Color32, roles: &Roles) -> Color32 {
    let framed = !matches!(kind, Kind::Plain | Kind::Quiet);
    if !response.hovered() && !response.is_pointer_button_down_on() {
        fill
    } else if framed {
        // Darker, so that the white words on it stay as readable as they were.
        fill.lerp_to_gamma(Color32::BLACK, 0.15)
    } else {
        roles.hover
    }
}

fn focus_ring(ui: &Ui, response: &Response, rect: Rect, radius: f32) {
    if response.gained_focus() {
        response.scroll_to_me(None);
    }
    if response.has_focus() {
        let ring = Stroke::new(2.0, look::roles(ui).accent);
        let radius = CornerRadius::from(radius + 3.0);
        ui.painter().rect_stroke(rect.expand(3.0), radius, ring, StrokeKind::Middle);
    }
}
