//! The look, defined once: colours by role, spacing, type sizes.

use egui::{
    Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme,
    Vec2, Visuals,
};

/// Spacing steps in points.
pub mod space {
    /// Between parts of one thing.
    pub const XS: f32 = 4.0;
    /// Between things that belong together.
    pub const S: f32 = 8.0;
    /// Inside small cards and rows.
    pub const M: f32 = 12.0;
    /// Inside cards.
    pub const L: f32 = 16.0;
    /// Between groups.
    pub const XL: f32 = 24.0;
    /// Around pages.
    pub const XXL: f32 = 32.0;
}

/// Type sizes in points.
pub mod size {
    /// Captions.
    pub const CAPTION: f32 = 12.0;
    /// Text.
    pub const BODY: f32 = 14.0;
    /// Names and headings of groups.
    pub const NAME: f32 = 16.0;
    /// Headings of pages.
    pub const HEADING: f32 = 20.0;
    /// The one large word on a page.
    pub const LARGE: f32 = 28.0;
}

/// Corner radius of cards and fields.
pub const RADIUS: u8 = 10;
/// Height of buttons and fields: large enough for a finger.
pub const CONTROL_HEIGHT: f32 = 40.0;

/// Colours by role.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roles {
    /// Behind everything.
    pub surface: Color32,
    /// Cards, fields and the list.
    pub raised: Color32,
    /// The row or button under the pointer, and the chosen one.
    pub hover: Color32,
    /// Borders between areas, and the ground of bars.
    pub line: Color32,
    /// Borders of what can be typed in or switched.
    pub edge: Color32,
    /// Text.
    pub text: Color32,
    /// Text of less weight.
    pub quiet: Color32,
    /// Deep teal, as text or icon.
    pub accent: Color32,
    /// Deep teal, behind text.
    pub accent_fill: Color32,
    /// All is well, as text or icon.
    pub good: Color32,
    /// Answer, behind text.
    pub good_fill: Color32,
    /// Take care, as text or icon.
    pub warn: Color32,
    /// Failed, as text or icon.
    pub bad: Color32,
    /// Hang up, behind text.
    pub bad_fill: Color32,
    /// Text and icons on the three fills.
    pub on_fill: Color32,
}

/// Roles on dark.
pub const DARK: Roles = Roles {
    surface: Color32::from_rgb(0x10, 0x17, 0x19),
    raised: Color32::from_rgb(0x1a, 0x23, 0x26),
    hover: Color32::from_rgb(0x25, 0x31, 0x35),
    line: Color32::from_rgb(0x33, 0x41, 0x46),
    edge: Color32::from_rgb(0x64, 0x77, 0x7d),
    text: Color32::from_rgb(0xec, 0xf2, 0xf2),
    quiet: Color32::from_rgb(0xa6, 0xb5, 0xb8),
    accent: Color32::from_rgb(0x5a, 0xcf, 0xc2),
    accent_fill: Color32::from_rgb(0x0c, 0x73, 0x6b),
    good: Color32::from_rgb(0x6f, 0xd0, 0x8c),
    good_fill: Color32::from_rgb(0x1c, 0x7c, 0x3f),
    warn: Color32::from_rgb(0xf0, 0xba, 0x55),
    bad: Color32::from_rgb(0xff, 0x93, 0x8a),
    bad_fill: Color32::from_rgb(0xc9, 0x2f, 0x2a),
    on_fill: Color32::WHITE,
};

/// Roles on light.
pub const LIGHT: Roles = Roles {
    surface: Color32::from_rgb(0xf2, 0xf5, 0xf5),
    raised: Color32::from_rgb(0xff, 0xff, 0xff),
    hover: Color32::from_rgb(0xe4, 0xec, 0xec),
    line: Color32::from_rgb(0xcd, 0xd7, 0xd8),
    edge: Color32::from_rgb(0x79, 0x8a, 0x90),
    text: Color32::from_rgb(0x12, 0x1e, 0x20),
    quiet: Color32::from_rgb(0x4c, 0x5d, 0x62),
    accent: Color32::from_rgb(0x0a, 0x66, 0x5f),
    accent_fill: Color32::from_rgb(0x0c, 0x73, 0x6b),
    good: Color32::from_rgb(0x1a, 0x6b, 0x38),
    good_fill: Color32::from_rgb(0x1c, 0x7c, 0x3f),
    warn: Color32::from_rgb(0x82, 0x50, 0x00),
    bad: Color32::from_rgb(0xac, 0x22, 0x1c),
    bad_fill: Color32::from_rgb(0xc9, 0x2f, 0x2a),
    on_fill: Color32::WHITE,
};

/// The roles in force.
pub fn roles(ui: &egui::Ui) -> &'static Roles {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

/// The roles of a theme.
pub fn themed(theme: Theme) -> &'static Roles {
    match theme {
        Theme::Dark => &DARK,
        Theme::Light => &LIGHT,
    }
}

/// Gives both themes of a context our look.
pub fn apply(ctx: &egui::Context) {
    ctx.set_style_of(Theme::Dark, style(&DARK, Visuals::dark()));
    ctx.set_style_of(Theme::Light, style(&LIGHT, Visuals::light()));
}

fn style(roles: &Roles, visuals: Visuals) -> Style {
    let mut style = Style { visuals: colours(roles, visuals), ..Style::default() };
    let family = FontFamily::Proportional;
    style.text_styles = [
        (TextStyle::Small, FontId::new(size::CAPTION, family.clone())),
        (TextStyle::Body, FontId::new(size::BODY, family.clone())),
        (TextStyle::Button, FontId::new(size::BODY, family.clone())),
        (TextStyle::Heading, FontId::new(size::HEADING, family)),
        (TextStyle::Monospace, FontId::new(size::BODY, FontFamily::Monospace)),
    ]
    .into();
    style.spacing.item_spacing = Vec2::new(space::S, space::S);
    style.spacing.button_padding = Vec2::new(space::M, space::S);
    style.spacing.interact_size = Vec2::new(CONTROL_HEIGHT, CONTROL_HEIGHT);
    style.spacing.icon_width = 20.0;
    style.spacing.icon_width_inner = 12.0;
    style.spacing.icon_spacing = space::S;
    style.spacing.window_margin = Margin::same(space::L as i8);
    style.spacing.combo_width = 200.0;
    // The bar has a strip of its own beside what scrolls.
    style.spacing.scroll.floating_allocated_width = space::M;
    // Motion is a short fade, never a slide.
    style.animation_time = 0.12;
    style.interaction.selectable_labels = false;
    style
}

fn colours(roles: &Roles, mut visuals: Visuals) -> Visuals {
    let radius = CornerRadius::same(RADIUS);
    let line = Stroke::new(1.0, roles.line);
    visuals.panel_fill = roles.surface;
    visuals.window_fill = roles.raised;
    visuals.window_stroke = line;
    visuals.window_corner_radius = radius;
    visuals.menu_corner_radius = radius;
    visuals.extreme_bg_color = roles.surface;
    visuals.text_edit_bg_color = Some(roles.raised);
    visuals.faint_bg_color = roles.hover;
    visuals.weak_text_color = Some(roles.quiet);
    visuals.hyperlink_color = roles.accent;
    visuals.warn_fg_color = roles.warn;
    visuals.error_fg_color = roles.bad;
    visuals.window_shadow = shadow();
    visuals.popup_shadow = shadow();
    visuals.selection.bg_fill = roles.accent_fill.gamma_multiply(0.5);
    visuals.selection.stroke = Stroke::new(2.0, roles.accent);
    // Nothing blinks, and a resting window needs no repaint.
    visuals.text_cursor.blink = false;
    visuals.text_cursor.stroke = Stroke::new(1.5, roles.accent);
    let widgets = &mut visuals.widgets;
    let states =
        [&mut widgets.inactive, &mut widgets.hovered, &mut widgets.active, &mut widgets.open];
    for state in states {
        state.corner_radius = radius;
        state.bg_fill = roles.raised;
        state.weak_bg_fill = roles.raised;
        state.bg_stroke = Stroke::new(1.0, roles.edge);
        state.fg_stroke = Stroke::new(1.5, roles.text);
        state.expansion = 0.0;
    }
    widgets.hovered.weak_bg_fill = roles.hover;
    widgets.hovered.bg_fill = roles.hover;
    widgets.active.bg_stroke = Stroke::new(2.0, roles.accent);
    widgets.noninteractive.bg_stroke = line;
    widgets.noninteractive.fg_stroke = Stroke::new(1.0, roles.text);
    widgets.noninteractive.corner_radius = radius;
    visuals
}

/// The one shadow.
pub fn shadow() -> Shadow {
    Shadow { offset: [0, 4], blur: 24, spread: 0, color: Color32::from_black_alpha(70) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2.1 defines it.
    fn luminance(colour: Color32) -> f64 {
        let part = |byte: u8| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.03928 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(colour.r()) + 0.7152 * part(colour.g()) + 0.0722 * part(colour.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_can_be_read_on_everything_behind_it() {
        for (theme, r) in [("dark", DARK), ("light", LIGHT)] {
            let texts = [
                ("text", r.text),
                ("quiet", r.quiet),
                ("accent", r.accent),
                ("good", r.good),
                ("warn", r.warn),
                ("bad", r.bad),
            ];
            let grounds = [("surface", r.surface), ("raised", r.raised), ("hover", r.hover)];
            for (text_name, text) in texts {
                for (ground_name, ground) in grounds {
                    let contrast = contrast(text, ground);
                    assert!(contrast >= 4.5, "{theme} {text_name}/{ground_name}: {contrast:.2}");
                }
            }
            for ground in [r.surface, r.raised] {
                let contrast = contrast(r.edge, ground);
                assert!(contrast >= 3.0, "{theme} edge/{ground:?}: {contrast:.2}");
            }
            for fill in [r.accent_fill, r.good_fill, r.bad_fill] {
                let contrast = contrast(r.on_fill, fill);
                assert!(contrast >= 4.5, "{theme} on_fill/{fill:?}: {contrast:.2}");
            }
        }
    }

    #[test]
    fn black_on_white_has_the_largest_contrast() {
        assert!((contrast(Color32::BLACK, Color32::WHITE) - 21.0).abs() < 1e-9);
    }
}
