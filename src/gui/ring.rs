//! A drawing of the overlay's ring as this peer knows it: itself, those next to it, and those
//! farther away that it has links to (RFC 6940 §10.1).

use egui::accesskit::Role;
use egui::{Color32, Label, Pos2, RichText, Sense, Stroke, Ui, WidgetInfo, vec2};

use super::look::{roles, size, space};
use super::{widgets, words};
use crate::base::NodeId;

/// Side of the drawing, and of a dot on it.
const SIDE: f32 = 176.0;
const DOT: f32 = 5.0;
const DOT_ME: f32 = 8.0;
/// Peers on either side that count as next to us: as many as a peer keeps successors and
/// predecessors (RFC 6940 §10.3).
const NEXT: usize = 3;

/// Peers in the order of the ring, seen from us.
pub struct Ring {
    me: NodeId,
    /// The first one behind us comes first.
    others: Vec<NodeId>,
}

impl Ring {
    /// The ring with us and our links.
    pub fn new(me: NodeId, links: impl Iterator<Item = NodeId>) -> Self {
        let mut others: Vec<NodeId> = links.filter(|id| *id != me).collect();
        others.sort_by_key(|id| id.to_u128().wrapping_sub(me.to_u128()));
        others.dedup();
        Self { me, others }
    }

    /// Whether the peer at this place of [`Self::others`] is next to us.
    fn is_next(&self, place: usize) -> bool {
        place < NEXT || place + NEXT >= self.others.len()
    }

    fn next_count(&self) -> usize {
        (0..self.others.len()).filter(|place| self.is_next(*place)).count()
    }

    /// The drawing; screen readers get the sentence about it.
    pub fn paint_ui(&self, ui: &mut Ui) {
        let (rect, response) = ui.allocate_exact_size(vec2(SIDE, SIDE), Sense::hover());
        let sentence = self.sentence();
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &sentence));
        let roles = roles(ui);
        let radius = SIDE / 2.0 - 2.0 * DOT_ME;
        let at = |id: NodeId| {
            // Whoever is on top is at the beginning of the Node-IDs; they grow clockwise.
            let share = (id.to_u128() >> 64) as f64 / u64::MAX as f64;
            let angle = (share * std::f64::consts::TAU) as f32;
            rect.center() + vec2(angle.sin(), -angle.cos()) * radius
        };
        let painter = ui.painter();
        painter.circle_stroke(rect.center(), radius, Stroke::new(1.5, roles.edge));
        let me = at(self.me);
        let others: Vec<(Pos2, Color32)> = (0..)
            .zip(&self.others)
            .map(|(place, id)| (at(*id), if self.is_next(place) { roles.good } else { roles.warn }))
            .collect();
        for (other, _) in &others {
            painter.line_segment([me, *other], Stroke::new(1.0, roles.line));
        }
        for (other, colour) in &others {
            painter.circle_filled(*other, DOT, *colour);
        }
        painter.circle_filled(me, DOT_ME + 2.0, roles.raised);
        painter.circle_filled(me, DOT_ME, roles.accent);
    }

    /// The same in words, with what the colours mean.
    pub fn words_ui(&self, ui: &mut Ui) {
        let roles = roles(ui);
        ui.add(Label::new(self.sentence()).wrap());
        if let (Some(after), Some(before)) = (self.others.first(), self.others.last()) {
            let next = words::ring_next(&before.to_string(), &after.to_string());
            ui.add(Label::new(RichText::new(next).color(roles.quiet)).wrap());
        }
        ui.add_space(space::XS);
        let legend = [
            (roles.accent, DOT_ME, words::ring_me()),
            (roles.good, DOT, words::ring_neighbour()),
            (roles.warn, DOT, words::ring_farther()),
        ];
        for (colour, radius, text) in legend {
            widgets::text_row(ui, |ui| {
                let (dot, _) = ui.allocate_exact_size(vec2(20.0, 16.0), Sense::hover());
                ui.painter().circle_filled(dot.center(), radius, colour);
                ui.label(RichText::new(text).size(size::CAPTION).color(roles.quiet));
            });
        }
    }

    fn sentence(&self) -> String {
        let next = self.next_count();
        words::ring(next, self.others.len() - next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those next to us are the nearest on either side, over the ring's end too.
    #[test]
    fn neighbours_are_found_round_the_ring() {
        let step = u128::MAX / 16;
        let id = |place: u128| NodeId::from_u128(place * step + 1);
        let ring = Ring::new(id(14), [0, 3, 6, 9, 12, 13, 15, 1, 14].map(id).into_iter());
        assert_eq!(ring.others[..3], [15, 0, 1].map(id));
        let next: Vec<_> = (0..8).filter(|place| ring.is_next(*place)).collect();
        assert_eq!(next, [0, 1, 2, 5, 6, 7]);
        assert_eq!(ring.others[5..], [9, 12, 13].map(id));
        assert!(ring.sentence().contains("6 next to you, 2 farther"));
        let alone = Ring::new(id(1), [id(2)].into_iter());
        assert_eq!(alone.next_count(), 1, "one peer is not counted twice");
    }
}
