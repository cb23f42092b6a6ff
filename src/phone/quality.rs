//! What the sound of a call is like: a word, and an alarm in words when it gets bad and when it is
//! good again.

use std::time::Duration;

use serde::Serialize;

use super::api::{CallId, Event, Quality};
use super::calls::Running;
use super::engine::Engine;
use super::words;
use crate::base::Instant;
use crate::media::{AudioStatistics, Estimate};

/// What is wrong with a call's sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundTrouble {
    /// Parts of what the other side says get lost.
    Gaps,
    /// What is said arrives so late that both talk at once.
    Late,
    /// Parts of what we say get lost.
    GapsThere,
}

impl SoundTrouble {
    /// One sentence about a call with `peer`.
    pub fn sentence(self, peer: &str) -> String {
        match self {
            Self::Gaps => format!("Parts of what {peer} says get lost on the way."),
            Self::Late => format!("What you and {peer} say arrives late."),
            Self::GapsThere => format!("{peer} hears you badly: parts of what you say get lost."),
        }
    }
}

/// Watches the sound of one call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QualityWatch {
    /// What has been told.
    pub(super) trouble: Option<SoundTrouble>,
    /// Since when it has been otherwise.
    otherwise: Option<Instant>,
}

/// R factors below which sound is bad, and from which it is good again: between them nothing is
/// news (ITU-T G.107, Annex B: most people are dissatisfied below the first, few above the other).
const BAD_BELOW: f32 = 60.0;
const GOOD_FROM: f32 = 70.0;
/// From which people are satisfied.
const SATISFIED_FROM: f32 = 80.0;
/// How long sound has to be bad, and good, until it is told: what passes by itself is no news.
const BAD_FOR: Duration = Duration::from_secs(2);
const GOOD_FOR: Duration = Duration::from_secs(5);

impl QualityWatch {
    /// Takes figures in; whether there is news.
    fn look(&mut self, now: Instant, figures: &AudioStatistics) -> bool {
        let is_bad = |heard: &Estimate| heard.r_factor < BAD_BELOW;
        let is_good = |heard: &Estimate| heard.r_factor >= GOOD_FROM;
        let here = figures.heard.filter(is_bad).map(|_| match figures.is_late {
            true => SoundTrouble::Late,
            false => SoundTrouble::Gaps,
        });
        let there = figures.heard_there.filter(is_bad).map(|_| SoundTrouble::GapsThere);
        let now_is = here.or(there);
        let are_good = [figures.heard, figures.heard_there].iter().flatten().all(is_good);
        // Once told, one trouble in the place of another is no news.
        let is_otherwise = if self.trouble.is_some() { are_good } else { now_is.is_some() };
        if !is_otherwise {
            self.otherwise = None;
            return false;
        }
        let since = *self.otherwise.get_or_insert(now);
        let patience = if self.trouble.is_some() { GOOD_FOR } else { BAD_FOR };
        if now.saturating_since(since) < patience {
            return false;
        }
        *self = Self { trouble: now_is, otherwise: None };
        true
    }
}

/// What the sound is like, in a word.
pub(super) fn word(heard: Option<Estimate>) -> &'static str {
    match heard.map(|heard| heard.r_factor) {
        Some(..BAD_BELOW) => "Poor",
        Some(..SATISFIED_FROM) => "Fair",
        Some(_) => "Good",
        None => "Connected",
    }
}

impl Running {
    /// What the faces show of the sound.
    pub(super) fn quality(&self) -> Option<Quality> {
        let path = match &self.path {
            Some(path) => words::path(path),
            // A provider's server is what our sound goes to.
            None if self.outside.is_some() && self.report.sound_ms.is_some() => "",
            None => return None,
        };
        let statistics = &self.statistics;
        Some(Quality {
            word: word(statistics.heard),
            loss: statistics.loss_received,
            rtt: statistics.round_trip,
            buffer: statistics.buffer_delay,
            score: statistics.heard.map(|heard| heard.mos),
            score_there: statistics.heard_there.map(|heard| heard.mos),
            path: path.to_owned(),
        })
    }
}

impl Engine {
    /// New figures of a call's sound have come.
    pub(super) fn note_figures(&mut self, id: CallId, figures: AudioStatistics) {
        let now = self.clock.now();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        call.statistics = figures;
        let report = &mut call.report;
        report.mos = figures.heard.map(|heard| heard.mos).or(report.mos);
        report.mos_there = figures.heard_there.map(|heard| heard.mos).or(report.mos_there);
        // While no sound flows, nothing can be said of it.
        let is_held = call.is_held || call.is_held_by_them();
        if !is_held && call.quality_watch.look(now, &figures) {
            let (peer, trouble) = (call.peer.clone(), call.quality_watch.trouble);
            self.event(Event::Quality { call: id, peer, trouble });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(r_factor: f32, there: f32) -> AudioStatistics {
        let heard = |r_factor| Some(Estimate { r_factor, mos: 3.0 });
        AudioStatistics { heard: heard(r_factor), heard_there: heard(there), ..Default::default() }
    }

    /// The times at which there is news, for R factors every 100 ms.
    fn news(course: impl Iterator<Item = AudioStatistics>) -> Vec<(u64, Option<SoundTrouble>)> {
        let mut watch = QualityWatch::default();
        let told = course.enumerate().filter_map(|(tick, figures)| {
            let ms = tick as u64 * 100;
            let is_news = watch.look(Instant::from_micros(ms * 1000), &figures);
            is_news.then_some((ms, watch.trouble))
        });
        told.collect()
    }

    #[test]
    fn bad_sound_is_told_once_and_so_is_its_end() {
        let course = [(90.0, 10), (40.0, 60), (65.0, 100), (75.0, 100)];
        let course = course.iter().flat_map(|(r, ticks)| vec![figures(*r, 90.0); *ticks]);
        let told = news(course);
        assert_eq!(told, [(3_000, Some(SoundTrouble::Gaps)), (22_000, None)]);
    }

    #[test]
    fn what_passes_is_no_news() {
        let course = (0..200).map(|tick| figures(if tick % 30 < 15 { 40.0 } else { 90.0 }, 90.0));
        assert_eq!(news(course), []);
    }

    #[test]
    fn the_cause_is_named() {
        let late = AudioStatistics { is_late: true, ..figures(40.0, 40.0) };
        let told = news(std::iter::repeat_n(late, 40));
        assert_eq!(told, [(2_000, Some(SoundTrouble::Late))]);
        let told = news(std::iter::repeat_n(figures(90.0, 30.0), 40));
        assert_eq!(told, [(2_000, Some(SoundTrouble::GapsThere))]);
        assert_eq!(news(std::iter::repeat_n(AudioStatistics::default(), 40)), []);
    }

    #[test]
    fn quality_has_three_words_and_one_for_silence() {
        let word = |r_factor| word(Some(Estimate { r_factor, mos: 3.0 }));
        assert_eq!([word(90.0), word(65.0), word(40.0)], ["Good", "Fair", "Poor"]);
        assert_eq!(super::word(None), "Connected");
    }
}
