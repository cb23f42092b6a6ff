//! A name that comes with another key than before: the user says whose it is.

use egui::{RichText, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::widgets::{self, Kind};
use super::{unproved, words};
use crate::phone::{Command, KeyAlarm, KeyAnswer, SeenKey, Snapshot};

/// A card for each alarm, above whatever else the page shows.
pub fn alarms_ui(ui: &mut Ui, snapshot: &Snapshot) -> Vec<Command> {
    let mut commands = unproved::questions_ui(ui, snapshot);
    for alarm in &snapshot.key_alarms {
        let is_own = is_own(snapshot, alarm);
        let answer = widgets::card(ui, |ui| alarm_ui(ui, alarm, is_own));
        commands.extend(answer.map(|answer| Command::AnswerAlarm {
            overlay: alarm.overlay.clone(),
            aor: alarm.aor.clone(),
            node_id: alarm.new.node_id.clone(),
            answer,
        }));
        ui.add_space(space::M);
    }
    commands
}

/// Whether another key has our own name in an overlay.
pub fn own_name_is_taken(snapshot: &Snapshot, overlay: &str) -> bool {
    let is_there = |alarm: &KeyAlarm| alarm.overlay == overlay && is_own(snapshot, alarm);
    snapshot.key_alarms.iter().any(is_there)
}

fn is_own(snapshot: &Snapshot, alarm: &KeyAlarm) -> bool {
    snapshot.membership(&alarm.overlay).is_some_and(|m| m.me.aor() == alarm.aor)
}

fn alarm_ui(ui: &mut Ui, alarm: &KeyAlarm, is_own: bool) -> Option<KeyAnswer> {
    let bad = roles(ui).bad;
    let (title, hint) = match is_own {
        true => (words::name_taken(), words::name_taken_hint().to_owned()),
        false => (words::key_changed(), words::key_changed_hint(&alarm.aor)),
    };
    ui.horizontal(|ui| {
        widgets::avatar(ui, &alarm.aor, 40.0);
        ui.vertical(|ui| {
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.add(egui::Label::new(RichText::new(&alarm.aor).size(size::NAME)).truncate());
            widgets::text_row(ui, |ui| {
                widgets::sign(ui, Icon::Warning, 16.0, bad);
                ui.label(RichText::new(title).color(bad));
            });
        });
    });
    ui.add_space(space::XS);
    ui.label(hint);
    ui.add_space(space::XS);
    for key in &alarm.known {
        key_ui(ui, words::key_before(), key);
    }
    key_ui(ui, words::key_now(), &alarm.new);
    ui.add_space(space::XS);
    let mut answer = None;
    ui.horizontal_wrapped(|ui| {
        let of_others = [
            (Kind::Plain, words::key_accept(), KeyAnswer::InPlace),
            (Kind::Plain, words::key_beside(), KeyAnswer::AnotherDevice),
            (Kind::Primary, words::key_refuse(), KeyAnswer::Refuse),
        ];
        let of_mine = [
            (Kind::Plain, words::name_mine(), KeyAnswer::AnotherDevice),
            (Kind::Primary, words::name_not_mine(), KeyAnswer::Refuse),
        ];
        let answers: &[_] = if is_own { &of_mine } else { &of_others };
        for &(kind, label, meaning) in answers {
            if widgets::button(ui, kind, None, label).clicked() {
                answer = Some(meaning);
            }
        }
    });
    answer
}

/// A key in words that two people can read to each other, and in figures.
fn key_ui(ui: &mut Ui, title: &str, key: &SeenKey) {
    let quiet = roles(ui).quiet;
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(RichText::new(title).size(size::CAPTION).color(quiet));
        ui.add(egui::Label::new(&key.words).wrap());
        let groups = RichText::new(words::in_groups(&key.node_id)).size(size::CAPTION);
        ui.add(egui::Label::new(groups.color(quiet)).wrap());
    });
}
