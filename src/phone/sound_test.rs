//! Trying microphone, speaker and ringer without a call: a meter, sounds, and hearing oneself as
//! the other side of a bad connection would.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::engine::{Engine, Report, Reports};
use super::turns::{Turn, Turns};
use super::voice::Who;
use crate::base::{Now, Rng};
use crate::link::{Clock, os_seed, unix_ms};
use crate::media::{
    AudioSink, AudioSource, LevelMeter, Loopback, Readiness, RingTone, Ringing, SILENCE, Silence,
    SinkChoice, SoundError, SourceChoice,
};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoundTest {
    /// How loud the microphone is.
    Microphone,
    /// A tone on the speaker.
    Speaker,
    /// A ring where it rings.
    Ringer,
    /// Oneself, through all of a call and a network like this.
    Loopback {
        /// Delay of the network in milliseconds, at most 2,000.
        delay_ms: u16,
        /// Packets of a hundred that it loses.
        loss_percent: u8,
    },
}

/// A test that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RunningTest {
    /// What is tried.
    pub test: SoundTest,
    /// How loud the microphone is, or what is played, 0 to 1.
    pub level: f32,
}

/// The task of a test; it ends when this is dropped.
pub(super) struct TestTask(AbortHandle);

impl Drop for TestTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Engine {
    /// Begins a test, or ends it, because the user wants it.
    pub(super) fn try_sound(&mut self, test: Option<SoundTest>) -> Result<(), String> {
        if test.is_some() && self.calls.is_any_talking() {
            return Err("The sound can be tried when no call is going on.".into());
        }
        self.test_sound(test);
        Ok(())
    }

    /// Begins a test in the place of another one, or ends it.
    pub(super) fn test_sound(&mut self, test: Option<SoundTest>) {
        self.sound_test = None;
        self.snapshot.sound_test = test.map(|test| RunningTest { test, level: 0.0 });
        let Some(test) = test else { return };
        let Who::User { source, sink, .. } = self.user() else { return };
        let ringer = self.settings.ringers();
        let reports = self.reports.clone();
        let task = tokio::spawn(async move {
            let fault = run(test, source, sink, ringer, &reports).await.err();
            let fault = fault.map(|error| error.to_string());
            // The engine has ended otherwise.
            let _ = reports.send(Report::SoundTested(fault)).await;
        });
        self.sound_test = Some(TestTask(task.abort_handle()));
    }

    /// A test goes on, and something is this loud.
    pub(super) fn sound_test_level(&mut self, level: f32) {
        if let Some(running) = &mut self.snapshot.sound_test {
            running.level = level;
        }
    }

    /// A test is over; one sentence says why it could not be made.
    pub(super) fn sound_tested(&mut self, fault: Option<String>) {
        self.sound_test = None;
        self.snapshot.sound_test = None;
        if let Some(sentence) = fault {
            self.notice(sentence);
        }
    }
}

type Ends = (Box<dyn AudioSource>, Box<dyn AudioSink>);

async fn run(
    test: SoundTest,
    source: SourceChoice,
    sink: SinkChoice,
    ringer: SinkChoice,
    reports: &Reports,
) -> Result<(), SoundError> {
    let opened = tokio::task::spawn_blocking(move || -> Result<Ends, SoundError> {
        Ok(match test {
            SoundTest::Microphone => (source.open()?, Box::new(Silence)),
            SoundTest::Speaker => (Box::new(Silence), sink.open()?),
            SoundTest::Ringer => (Box::new(Silence), ringer.open()?),
            SoundTest::Loopback { .. } => (source.open()?, sink.open()?),
        })
    });
    let Ok(opened) = opened.await else { return Ok(()) };
    let (mut source, mut sink) = opened?;
    let clock = Clock::start();
    let mut tone = match test {
        SoundTest::Speaker => Some(RingTone::new(Ringing::There)),
        SoundTest::Ringer => Some(RingTone::new(Ringing::Here)),
        SoundTest::Microphone | SoundTest::Loopback { .. } => None,
    };
    let mut loopback = match test {
        SoundTest::Loopback { delay_ms, loss_percent } => {
            let delay = Duration::from_millis(delay_ms.into());
            let loss = f64::from(loss_percent.min(100)) / 100.0;
            let now = Now::new(clock.now(), unix_ms());
            // Without a codec nothing is heard, and there would be no call either.
            Loopback::new(now, delay, loss, Rng::new(os_seed())).ok()
        }
        _ => None,
    };
    let ticks = if tone.is_some() { TONE_TICKS } else { TICKS_MAX };
    let (mut meter, mut turns, mut number) = (LevelMeter::default(), Turns::start(), 0);
    while number < ticks {
        if turns.next().await == Turn::Hear {
            continue;
        }
        let readiness = if tone.is_some() { Readiness::Always } else { source.readiness() };
        if !turns.can_say(readiness) {
            continue;
        }
        number += 1;
        let mut frame = SILENCE;
        match &mut tone {
            Some(tone) => frame = tone.frame(),
            None => source.read(&mut frame),
        }
        meter.watch(&frame);
        if let Some(loopback) = &mut loopback {
            frame = loopback.turn(clock.now(), &frame);
        }
        sink.write(&frame);
        if let Some(fault) = source.take_fault().or(sink.take_fault()) {
            return Err(fault);
        }
        if number.is_multiple_of(TICKS_PER_REPORT) {
            // Another figure comes soon.
            let _ = reports.try_send(Report::SoundTest(meter.level()));
        }
    }
    Ok(())
}

/// A tone ends by itself after three seconds; what listens to a microphone ends after five minutes,
/// for it may have been forgotten.
const TONE_TICKS: u32 = 150;
const TICKS_MAX: u32 = 15_000;
/// Figures go out ten times a second: what a level meter needs.
const TICKS_PER_REPORT: u32 = 5;
