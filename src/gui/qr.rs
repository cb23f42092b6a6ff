//! A text as a QR code (ISO/IEC 18004), dark on light in every theme, since not every camera reads
//! the reverse.

use egui::accesskit::Role;
use egui::{Color32, Rect, Response, Sense, Ui, Vec2, WidgetInfo, pos2, vec2};
use qrcode::{Color, QrCode};

/// Light modules around the code: the standard wants four.
const QUIET: usize = 4;

/// Draws the code of `text`, at most `side_max` points high and wide; `None` if the text is too
/// long for one.
pub fn qr_ui(ui: &mut Ui, text: &str, label: &str, side_max: f32) -> Option<Response> {
    let code = QrCode::new(text).ok()?;
    let width = code.width();
    let modules = (width + 2 * QUIET) as f32;
    // A module is a whole number of pixels, so that every edge is sharp.
    let pixel = 1.0 / ui.ctx().pixels_per_point();
    let module = (side_max / modules / pixel).floor().max(1.0) * pixel;
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(module * modules), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, label));
    let painter = ui.painter();
    painter.rect_filled(rect, 0.0, Color32::WHITE);
    let corner = (rect.min / pixel).round() * pixel + Vec2::splat(module * QUIET as f32);
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run[0] == Color::Dark {
                let from = corner + vec2(x as f32, y as f32) * module;
                let size = vec2(run.len() as f32, 1.0) * module;
                let rect = Rect::from_min_size(pos2(from.x, from.y), size);
                painter.rect_filled(rect, 0.0, Color32::BLACK);
            }
            x += run.len();
        }
    }
    Some(response)
}
