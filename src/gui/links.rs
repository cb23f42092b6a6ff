//! How one is connected: the overlay's ring as this peer knows it, and a line for each link.

use egui::{Label, RichText, Ui};

use super::look::{roles, size, space};
use super::widgets;
use super::{ring, words};
use crate::base::NodeId;
use crate::link::LinkFacts;
use crate::phone::{Membership, NetworkFacts};

/// From this width on the ring stands beside the words.
const BESIDE: f32 = 440.0;
/// Links shown; a peer has some dozens at most.
const LINKS_SHOWN_MAX: usize = 64;

/// The ring and the links.
pub fn links_ui(ui: &mut Ui, membership: &Membership, facts: &NetworkFacts, now_ms: u64) {
    widgets::group(ui, words::connected());
    let Ok(me) = membership.me.node_id.parse::<NodeId>() else { return };
    if facts.links.is_empty() {
        let quiet = roles(ui).quiet;
        ui.label(words::no_links());
        ui.label(RichText::new(words::no_links_hint()).color(quiet));
        return;
    }
    let ring = ring::Ring::new(me, facts.links.iter().map(|link| link.node_id));
    if ui.available_width() >= BESIDE {
        ui.horizontal_top(|ui| {
            ring.paint_ui(ui);
            ui.add_space(space::M);
            ui.vertical(|ui| ring.words_ui(ui));
        });
    } else {
        ui.vertical_centered(|ui| ring.paint_ui(ui));
        ring.words_ui(ui);
    }
    ui.add_space(space::S);
    for link in facts.links.iter().take(LINKS_SHOWN_MAX) {
        link_ui(ui, link, now_ms);
    }
}

fn link_ui(ui: &mut Ui, link: &LinkFacts, now_ms: u64) {
    let quiet = roles(ui).quiet;
    let ago = words::ago(now_ms, link.since_unix_ms);
    let [line, details] = words::link_lines(link, &ago);
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.add(Label::new(RichText::new(line).size(size::BODY)).wrap());
        let details = RichText::new(details).size(size::CAPTION).color(quiet);
        ui.add(Label::new(details).wrap());
    });
}
