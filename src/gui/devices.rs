//! The devices under one's own names.

use egui::{RichText, Ui};

use super::look::{roles, size, space};
use super::view::{Question, ViewState};
use super::widgets::{self, Kind};
use super::words;
use crate::phone::{OwnDevice, Snapshot};

/// The devices in one overlay; nothing before it is known which there are.
pub fn devices_ui(ui: &mut Ui, snapshot: &Snapshot, view: &mut ViewState, overlay: &str) {
    let of_overlay = |device: &&OwnDevice| device.overlay == overlay;
    let mut devices: Vec<_> = snapshot.devices.iter().filter(of_overlay).collect();
    if devices.is_empty() {
        return;
    }
    devices.sort_by_key(|device| !device.is_this);
    widgets::card(ui, |ui| {
        widgets::group(ui, words::devices());
        ui.label(RichText::new(words::devices_hint()).color(roles(ui).quiet));
        for device in devices {
            ui.add_space(space::XS);
            device_ui(ui, view, device);
        }
    });
    ui.add_space(space::S);
}

fn device_ui(ui: &mut Ui, view: &mut ViewState, device: &OwnDevice) {
    let roles = roles(ui);
    let (title, colour) = match device {
        OwnDevice { is_this: true, .. } => (words::this_device(), roles.good),
        OwnDevice { is_unproven: true, .. } => (words::unproven_device(), roles.bad),
        _ => (words::other_device(), roles.text),
    };
    ui.horizontal_top(|ui| {
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.set_max_width((ui.available_width() - 120.0).max(160.0));
            ui.label(RichText::new(title).color(colour));
            let key = RichText::new(&device.words).size(size::CAPTION).color(roles.quiet);
            ui.add(egui::Label::new(key).wrap());
            if !device.is_this {
                let seen = words::device_seen(&words::ago(view.now_ms, device.seen_unix_ms));
                ui.label(RichText::new(seen).size(size::CAPTION).color(roles.quiet));
            }
        });
        if device.is_this {
            return;
        }
        widgets::from_right(ui, |ui| {
            let button = widgets::button(ui, Kind::Plain, None, words::remove_device());
            if button.accessible_name(words::remove_which(&device.words)).clicked() {
                let (overlay, node_id) = (device.overlay.clone(), device.node_id.clone());
                view.question = Some(Question::Remove { overlay, node_id });
            }
        });
    });
}
