//! How far a call has come, step by step, and which paths were tried.

use egui::{CollapsingHeader, Label, RichText, Ui};

use super::icons::Icon;
use super::look::{roles, size, space};
use super::network::figure_ui;
use super::widgets;
use super::words;
use crate::phone::{CallTrace, Snapshot, StepState};

/// The running or the last call, and the last one that failed if that is another one.
pub fn calls_ui(ui: &mut Ui, snapshot: &Snapshot, now_ms: u64) {
    let trace = snapshot.trace.as_deref();
    let other = |failure: &&CallTrace| trace.is_none_or(|trace| trace.id != failure.id);
    let failure = snapshot.failure.as_deref().filter(other);
    let title = |trace: &CallTrace| match trace.outcome {
        None => words::this_call(),
        Some(_) => words::last_call(),
    };
    let titled = trace.map(|trace| (title(trace), trace));
    for (title, trace) in titled.into_iter().chain(failure.map(|f| (words::last_failure(), f))) {
        widgets::card(ui, |ui| {
            widgets::group(ui, title);
            ui.push_id(trace.id.0, |ui| trace_ui(ui, trace, now_ms));
        });
        ui.add_space(space::S);
    }
}

fn trace_ui(ui: &mut Ui, trace: &CallTrace, now_ms: u64) {
    let quiet = roles(ui).quiet;
    let ago = words::ago(now_ms, trace.unix_ms);
    ui.add(Label::new(format!("{}, {ago}", trace.peer)).truncate());
    if let Some(outcome) = &trace.outcome {
        ui.add(Label::new(RichText::new(words::said(outcome)).color(quiet)).wrap());
    }
    ui.add_space(space::XS);
    steps_ui(ui, trace);
    ui.add_space(space::XS);
    if let Some(hops) = trace.report.hops {
        figure_ui(ui, words::route_length(), &hops.to_string(), None);
    }
    if let Some(path) = &trace.report.path {
        figure_ui(ui, words::sound_path(), path, None);
    }
    if trace.rtt.is_some() {
        figure_ui(ui, words::sound_rtt(), &words::round_trip(trace.rtt), None);
    }
    for (title, candidates) in [
        (words::our_candidates(), &trace.candidates.ours),
        (words::their_candidates(), &trace.candidates.theirs),
    ] {
        if candidates.is_empty() {
            continue;
        }
        let title = format!("{title} ({})", candidates.len());
        CollapsingHeader::new(title).show(ui, |ui| {
            for candidate in candidates {
                let line = RichText::new(words::candidate(candidate)).size(size::CAPTION);
                ui.add(Label::new(line).wrap());
            }
        });
    }
}

/// The steps of a call, each with a sign and a word.
pub fn steps_ui(ui: &mut Ui, trace: &CallTrace) {
    let roles = roles(ui);
    for (step, state) in trace.steps() {
        let (icon, colour) = match state {
            StepState::Done(_) => (Icon::Tick, roles.good),
            StepState::Failed => (Icon::Cross, roles.bad),
            StepState::Open => (Icon::Open, roles.quiet),
        };
        widgets::text_row(ui, |ui| {
            widgets::sign(ui, icon, 14.0, colour);
            let ink = if state == StepState::Open { roles.quiet } else { roles.text };
            ui.label(RichText::new(words::step_name(step)).color(ink));
            let ink = if state == StepState::Failed { roles.bad } else { roles.quiet };
            ui.label(RichText::new(words::step_state(state)).color(ink));
        });
    }
}
