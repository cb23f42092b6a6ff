//! The icon set: strokes on a square from -1 to 1, drawn by the painter, so that no font can lack
//! one.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, Vec2, pos2, vec2};

use super::look::themed;

/// What an icon shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A handset, upright: call or answer.
    Phone,
    /// A handset lying down: hang up or decline.
    HangUp,
    /// A microphone.
    Microphone,
    /// A microphone, struck out.
    MicrophoneOff,
    /// Three linked dots.
    Network,
    /// Sliders.
    Settings,
    /// Those who have a name.
    People,
    /// An arrow from the other side to us.
    Incoming,
    /// An arrow from us to the other side.
    Outgoing,
    /// An arrow that bounces.
    Missed,
    /// A shield with a tick.
    ShieldGood,
    /// An empty shield.
    Shield,
    /// A triangle with an exclamation mark.
    Warning,
    /// A cross.
    Cross,
    /// To the left.
    Back,
    /// An arrow into a door.
    Join,
    /// A plus in a circle.
    Start,
    /// A clock that turns back.
    Again,
    /// Two sheets.
    Copy,
    /// An arrow out of a box.
    Restore,
    /// A tick.
    Tick,
    /// A key.
    Key,
    /// A book with a person on it.
    Book,
    /// The outline of a star.
    Star,
    /// A star.
    StarFull,
    /// A circle, struck out.
    Block,
    /// Two bars.
    Hold,
    /// A triangle to the right.
    Resume,
    /// Nine keys.
    Keypad,
    /// An arrow from one to another.
    HandOver,
    /// Up.
    Up,
    /// A disc in a ring.
    Record,
    /// A small ring: nothing has happened there.
    Open,
    /// What is said, in a frame.
    Bubble,
    /// A paper plane.
    Send,
    /// A folder.
    Folder,
}

impl Icon {
    /// Draws the icon centred in `rect`, `side` points high and wide.
    pub fn paint(self, painter: &Painter, rect: Rect, side: f32, colour: Color32) {
        let pen = Pen::new(painter, rect.center(), side / 2.0, colour);
        match self {
            Icon::Phone => pen.handset(-135.0),
            Icon::HangUp => pen.handset(0.0),
            Icon::Microphone => pen.microphone(),
            Icon::MicrophoneOff => {
                pen.microphone();
                pen.line(&[(-0.8, -0.8), (0.8, 0.8)]);
            }
            Icon::Network => pen.network(),
            Icon::Settings => pen.sliders(),
            Icon::People => pen.people(),
            Icon::Incoming => pen.arrow((0.7, -0.7), (-0.6, 0.6)),
            Icon::Outgoing => pen.arrow((-0.7, 0.7), (0.6, -0.6)),
            Icon::Missed => {
                pen.line(&[(-0.8, -0.3), (0.0, 0.5), (0.8, -0.3)]);
                pen.line(&[(-0.8, 0.3), (-0.8, -0.3), (-0.2, -0.3)]);
            }
            Icon::ShieldGood => {
                pen.shield();
                pen.line(&[(-0.35, 0.0), (-0.08, 0.28), (0.38, -0.25)]);
            }
            Icon::Shield => pen.shield(),
            Icon::Warning => pen.warning(),
            Icon::Cross => {
                pen.line(&[(-0.6, -0.6), (0.6, 0.6)]);
                pen.line(&[(-0.6, 0.6), (0.6, -0.6)]);
            }
            Icon::Back => pen.line(&[(0.3, -0.7), (-0.4, 0.0), (0.3, 0.7)]),
            Icon::Join => pen.door(),
            Icon::Start => {
                pen.circle((0.0, 0.0), 0.9);
                pen.line(&[(-0.45, 0.0), (0.45, 0.0)]);
                pen.line(&[(0.0, -0.45), (0.0, 0.45)]);
            }
            Icon::Again => pen.again(),
            Icon::Copy => pen.sheets(),
            Icon::Folder => pen.folder(),
            Icon::Restore => pen.restore(),
            Icon::Tick => pen.line(&[(-0.7, 0.05), (-0.2, 0.55), (0.75, -0.5)]),
            Icon::Key => pen.key(),
            Icon::Book => pen.book(),
            Icon::Star => pen.line(&star()),
            Icon::StarFull => pen.star_full(),
            Icon::Block => {
                pen.circle((0.0, 0.0), 0.85);
                pen.line(&[(-0.6, -0.6), (0.6, 0.6)]);
            }
            Icon::Open => pen.circle((0.0, 0.0), 0.4),
            Icon::Up => pen.line(&[(-0.7, 0.35), (0.0, -0.4), (0.7, 0.35)]),
            Icon::Record => {
                pen.circle((0.0, 0.0), 0.85);
                pen.circle((0.0, 0.0), 0.3);
            }
            Icon::Keypad => pen.keypad(),
            Icon::Bubble => pen.bubble(),
            Icon::Send => pen.send(),
            Icon::HandOver => pen.hand_over(),
            Icon::Hold => {
                pen.line(&[(-0.35, -0.6), (-0.35, 0.6)]);
                pen.line(&[(0.35, -0.6), (0.35, 0.6)]);
            }
            Icon::Resume => {
                pen.line(&[(-0.45, -0.65), (0.65, 0.0), (-0.45, 0.65), (-0.45, -0.65)]);
            }
        }
    }
}

/// The outline of a star, its tip twice.
fn star() -> Vec<(f32, f32)> {
    let corner = |number: u8| {
        let radius = if number.is_multiple_of(2) { 0.95 } else { 0.42 };
        let angle = (f32::from(number) * 36.0).to_radians();
        (angle.sin() * radius, 0.05 - angle.cos() * radius)
    };
    (0..=10).map(corner).collect()
}

/// Draws in units of half an icon, y downwards.
struct Pen {
    painter: Painter,
    centre: Pos2,
    half: f32,
    colour: Color32,
}

impl Pen {
    /// Where strokes lie over each other a faded icon would have spots. So it is drawn opaque, in
    /// the colour that fading leaves.
    fn new(painter: &Painter, centre: Pos2, half: f32, colour: Color32) -> Self {
        let surface = themed(painter.ctx().theme()).surface;
        let colour = surface.lerp_to_gamma(colour, painter.opacity());
        let mut painter = painter.clone();
        painter.set_opacity(1.0);
        Self { painter, centre, half, colour }
    }

    fn restore(&self) {
        self.line(&[(-0.85, 0.1), (-0.85, 0.85), (0.85, 0.85), (0.85, 0.1)]);
        self.arrow((0.0, 0.4), (0.0, -0.85));
    }

    fn send(&self) {
        self.line(&[(-0.85, -0.8), (0.9, 0.0), (-0.85, 0.8), (-0.5, 0.0), (-0.85, -0.8)]);
        self.line(&[(-0.5, 0.0), (0.2, 0.0)]);
    }

    fn at(&self, (x, y): (f32, f32)) -> Pos2 {
        self.centre + vec2(x, y) * self.half
    }

    fn stroke(&self) -> Stroke {
        Stroke::new((self.half * 0.16).max(1.5), self.colour)
    }

    fn line(&self, points: &[(f32, f32)]) {
        let points: Vec<Pos2> = points.iter().map(|&point| self.at(point)).collect();
        self.round_line(points, self.stroke());
    }

    /// A line with round ends and joints, which the painter's own lines lack.
    fn round_line(&self, points: Vec<Pos2>, stroke: Stroke) {
        for &point in &points {
            self.painter.circle_filled(point, stroke.width / 2.0, stroke.color);
        }
        self.painter.add(Shape::line(points, stroke));
    }

    fn circle(&self, centre: (f32, f32), radius: f32) {
        self.painter.circle_stroke(self.at(centre), radius * self.half, self.stroke());
    }

    fn dot(&self, centre: (f32, f32), radius: f32) {
        self.painter.circle_filled(self.at(centre), radius * self.half, self.colour);
    }

    /// An arc from `from` over `sweep` degrees, clockwise from the right.
    fn arc(&self, centre: (f32, f32), radius: f32, from: f32, sweep: f32) {
        const STEPS: u8 = 24;
        let points = (0..=STEPS)
            .map(|step| {
                let angle = (from + sweep * f32::from(step) / f32::from(STEPS)).to_radians();
                self.at((centre.0 + radius * angle.cos(), centre.1 + radius * angle.sin()))
            })
            .collect();
        self.painter.add(Shape::line(points, self.stroke()));
    }

    fn arrow(&self, from: (f32, f32), to: (f32, f32)) {
        self.line(&[from, to]);
        let back = Vec2::new(from.0 - to.0, from.1 - to.1).normalized() * 0.75;
        for side in [-40.0_f32, 40.0] {
            let (sin, cos) = side.to_radians().sin_cos();
            let barb = (back.x * cos - back.y * sin, back.x * sin + back.y * cos);
            self.line(&[to, (to.0 + barb.0, to.1 + barb.1)]);
        }
    }

    /// A handset: a thick arch with an ear at both ends, turned by `degrees`.
    fn handset(&self, degrees: f32) {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let turn = |x: f32, y: f32| {
            let y = y + 0.1;
            self.at((x * cos - y * sin, x * sin + y * cos))
        };
        let arch: Vec<Pos2> = (0..=24_u8)
            .map(|step| {
                let x = -0.76 + 1.52 * f32::from(step) / 24.0;
                turn(x, -0.26 + 0.36 * (x / 0.76).powi(2))
            })
            .collect();
        self.painter.add(Shape::line(arch, Stroke::new(self.half * 0.36, self.colour)));
        for side in [-1.0_f32, 1.0] {
            let ear = vec![turn(side * 0.74, 0.06), turn(side * 0.74, 0.24)];
            let width = self.half * 0.42;
            self.round_line(ear, Stroke::new(width, self.colour));
        }
    }

    fn microphone(&self) {
        let body = Rect::from_center_size(self.at((0.0, -0.3)), vec2(0.62, 1.2) * self.half);
        let radius = body.width() / 2.0;
        self.painter.rect_filled(body, radius, self.colour);
        self.arc((0.0, -0.12), 0.62, 0.0, 180.0);
        self.line(&[(0.0, 0.5), (0.0, 0.9)]);
        self.line(&[(-0.35, 0.9), (0.35, 0.9)]);
    }

    fn network(&self) {
        let nodes = [(0.0, -0.65), (-0.7, 0.55), (0.7, 0.55)];
        self.line(&[nodes[0], nodes[1]]);
        self.line(&[nodes[1], nodes[2]]);
        self.line(&[nodes[2], nodes[0]]);
        for node in nodes {
            self.dot(node, 0.28);
        }
    }

    fn sliders(&self) {
        for (y, knob) in [(-0.6, 0.35), (0.0, -0.35), (0.6, 0.15)] {
            self.line(&[(-0.85, y), (0.85, y)]);
            self.dot((knob, y), 0.22);
        }
    }

    fn shield(&self) {
        let outline = [
            (0.0, -0.9),
            (0.75, -0.6),
            (0.72, 0.1),
            (0.45, 0.58),
            (0.0, 0.9),
            (-0.45, 0.58),
            (-0.72, 0.1),
            (-0.75, -0.6),
            (0.0, -0.9),
        ];
        self.line(&outline);
    }

    fn warning(&self) {
        self.line(&[(0.0, -0.8), (0.9, 0.75), (-0.9, 0.75), (0.0, -0.8)]);
        self.line(&[(0.0, -0.2), (0.0, 0.2)]);
        self.dot((0.0, 0.48), 0.12);
    }

    fn book(&self) {
        self.line(&[(-0.6, -0.9), (0.8, -0.9), (0.8, 0.9), (-0.6, 0.9), (-0.6, -0.9)]);
        for y in [-0.5, 0.0, 0.5] {
            self.line(&[(-0.85, y), (-0.4, y)]);
        }
        self.circle((0.15, -0.25), 0.24);
        self.arc((0.15, 0.52), 0.4, 180.0, 180.0);
    }

    fn bubble(&self) {
        self.line(&[
            (-0.3, 0.45),
            (-0.65, 0.9),
            (-0.65, 0.45),
            (-0.9, 0.45),
            (-0.9, -0.8),
            (0.9, -0.8),
            (0.9, 0.45),
            (-0.3, 0.45),
        ]);
        for y in [-0.4, 0.05] {
            self.line(&[(-0.5, y), (0.5, y)]);
        }
    }

    fn star_full(&self) {
        let points: Vec<Pos2> = star().into_iter().map(|point| self.at(point)).collect();
        // The painter fills what bulges outwards only: each point of the star with the middle.
        let middle = self.at((0.0, 0.05));
        for corner in points.windows(2) {
            let triangle = vec![middle, corner[0], corner[1]];
            self.painter.add(Shape::convex_polygon(triangle, self.colour, self.stroke()));
        }
    }

    fn people(&self) {
        self.circle((-0.25, -0.4), 0.38);
        self.arc((-0.25, 0.85), 0.62, 180.0, 180.0);
        self.arc((0.3, -0.4), 0.38, -75.0, 150.0);
        self.arc((0.32, 0.85), 0.6, -75.0, 75.0);
    }

    fn key(&self) {
        self.circle((-0.45, 0.0), 0.42);
        self.line(&[(-0.03, 0.0), (0.9, 0.0), (0.9, 0.4)]);
        self.line(&[(0.45, 0.0), (0.45, 0.35)]);
    }

    fn again(&self) {
        self.arc((0.0, 0.1), 0.75, -15.0, 275.0);
        self.line(&[(-0.12, -0.98), (0.22, -0.66), (-0.12, -0.34)]);
    }

    fn door(&self) {
        self.line(&[(0.0, -0.85), (0.8, -0.85), (0.8, 0.85), (0.0, 0.85)]);
        self.arrow((-0.9, 0.0), (0.3, 0.0));
    }

    fn keypad(&self) {
        for x in [-0.6, 0.0, 0.6] {
            for y in [-0.6, 0.0, 0.6] {
                self.dot((x, y), 0.16);
            }
        }
    }

    fn hand_over(&self) {
        self.dot((-0.75, 0.45), 0.2);
        self.arc((0.0, 0.5), 0.75, 190.0, 130.0);
        self.line(&[(0.2, -0.35), (0.62, 0.08), (0.75, -0.5)]);
    }

    fn folder(&self) {
        self.line(&[
            (-0.9, 0.7),
            (-0.9, -0.7),
            (-0.25, -0.7),
            (0.05, -0.4),
            (0.9, -0.4),
            (0.9, 0.7),
            (-0.9, 0.7),
        ]);
    }

    fn sheets(&self) {
        self.line(&[(-0.3, -0.8), (0.8, -0.8), (0.8, 0.3)]);
        let front = Rect::from_min_max(
            pos2(self.centre.x - 0.8 * self.half, self.centre.y - 0.4 * self.half),
            pos2(self.centre.x + 0.4 * self.half, self.centre.y + 0.8 * self.half),
        );
        let radius = self.half * 0.15;
        self.painter.rect_stroke(front, radius, self.stroke(), egui::StrokeKind::Middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What cannot be clicked now is fainter, and no stroke of it shines through another.
    #[test]
    fn a_faded_icon_has_one_colour() {
        let mut drawn = Vec::new();
        for is_enabled in [true, false] {
            let context = egui::Context::default();
            let mut output = context.run_ui(egui::RawInput::default(), |ui| {
                if !is_enabled {
                    ui.disable();
                }
                let rect = Rect::from_min_size(Pos2::ZERO, Vec2::splat(20.0));
                Icon::Phone.paint(ui.painter(), rect, 20.0, Color32::WHITE);
            });
            output.textures_delta.clear();
            let colours = output.shapes.into_iter().filter_map(|clipped| match clipped.shape {
                Shape::Circle(circle) => Some(circle.fill),
                _ => None,
            });
            let mut colours: Vec<Color32> = colours.collect();
            colours.dedup();
            drawn.push(colours);
        }
        let [full, faded] = &drawn[..] else { unreachable!("there are two") };
        assert_eq!(full, &[Color32::WHITE]);
        let [faded] = faded[..] else { panic!("{faded:?}") };
        assert!(faded.a() == 255 && faded.r() < 255, "{faded:?}");
    }
}
