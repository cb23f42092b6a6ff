//! What is lent to others, as a group of the settings.

use egui::{ComboBox, RichText, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::widgets;
use super::words;
use crate::phone::{LentRelay, Settings, Snapshot};

/// Kilobits in a second to choose from: from a slow line to one that hardly feels it.
const RATES_KBIT_PER_S: [u32; 5] = [500, 1000, 4000, 10_000, 50_000];
/// Connections at a time to choose from; a call needs one or two.
const SESSIONS: [u16; 4] = [16, 64, 128, 256];

/// What is lent, and what of it is used.
pub fn lending_ui(ui: &mut Ui, snapshot: &Snapshot, settings: &mut Settings) {
    widgets::group(ui, words::lending());
    let mut lends = settings.relay.is_something();
    if ui.checkbox(&mut lends, words::lend()).changed() {
        settings.relay = match lends {
            true => LentRelay::default(),
            false => LentRelay { kbit_per_s: 0, ..settings.relay },
        };
    }
    let quiet = roles(ui).quiet;
    ui.add(egui::Label::new(RichText::new(words::lend_hint()).color(quiet)).wrap());
    if !lends {
        return;
    }
    ui.add_space(space::XS);
    let relay = &mut settings.relay;
    choice_ui(ui, words::lend_rate(), &mut relay.kbit_per_s, &RATES_KBIT_PER_S, |rate| {
        words::rate(*rate)
    });
    choice_ui(ui, words::lend_sessions(), &mut relay.sessions, &SESSIONS, u16::to_string);
    now_ui(ui, snapshot);
}

/// What of it is used now.
fn now_ui(ui: &mut Ui, snapshot: &Snapshot) {
    if snapshot.networks.is_empty() {
        return;
    }
    let roles = roles(ui);
    let lent: Vec<usize> = snapshot.networks.values().filter_map(|facts| facts.lent).collect();
    match lent.is_empty() {
        true => widgets::sentence(ui, Icon::Warning, roles.warn, words::lent_nothing()),
        false => {
            let sentence = words::lent_now(lent.iter().sum());
            widgets::sentence(ui, Icon::Tick, roles.good, &sentence);
        }
    }
}

/// One value of several, or another one that is there already.
fn choice_ui<T: PartialEq + Copy>(
    ui: &mut Ui,
    label: &str,
    chosen: &mut T,
    choices: &[T],
    words: impl Fn(&T) -> String,
) {
    ui.label(RichText::new(label).size(size::BODY));
    ComboBox::from_id_salt(label)
        .selected_text(words(chosen))
        .show_ui(ui, |ui| {
            for choice in choices {
                ui.selectable_value(chosen, *choice, words(choice));
            }
        })
        .response
        .accessible_name(label);
    ui.add_space(space::XS);
}
