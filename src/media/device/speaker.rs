//! A speaker: what waits for its device, and a resampler steered by how much that is.

use super::card;
use super::drift::Level;
use super::follow::Device;
#[cfg(target_os = "linux")]
use super::pulse;
use super::{Found, Opened, RING_MS, Running, SURPLUS_MAX_MS, Way, samples};
use crate::media::codec::Frame;
use crate::media::resample::Stream;
use crate::media::source::{AudioSink, DeviceKind, SoundError};

/// Where sound waits for a device to take it.
pub(super) trait Outlet: Send {
    /// What waits now.
    fn filling(&mut self) -> Filling;

    /// Puts sound behind what waits. There is room: what waits was looked at.
    fn push(&mut self, sound: &[f32]);
}

/// What waits for a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filling {
    /// Samples that wait.
    pub(super) held: usize,
    /// How often the device has taken some.
    pub(super) blocks: usize,
    /// Whether there was too little since the last look.
    pub(super) has_starved: bool,
}

/// A speaker in use.
pub(super) struct Speaker {
    device: Opened,
    outlet: Box<dyn Outlet>,
    resampler: Stream,
    level: Level,
    /// Blocks that the device had taken when the first frame came, and frames since it took more.
    begun: Option<(usize, u64)>,
    stalled: u32,
}

/// Frames after which a speaker that takes blocks has settled: 1 s. Until then nothing above the
/// wanted filling is kept: one that has been idle may take nothing for two seconds.
const SETTLED_FRAMES: u64 = 50;
/// What a device may take at once, beside a frame: 20 ms.
const BLOCK_MS: usize = 20;

impl Device for Speaker {
    const KIND: DeviceKind = DeviceKind::Speaker;

    fn open(found: Found) -> Result<Self, SoundError> {
        found.open(Self::KIND, |way, device, has_failed| {
            let rate = way.rate();
            let (stream, outlet): (Running, Box<dyn Outlet>) = match way {
                #[cfg(target_os = "linux")]
                Way::Pulse(sink) => (Box::new(()), Box::new(pulse::play(sink, has_failed)?)),
                Way::Card(config, format) => {
                    let (stream, ring) =
                        card::speak(device, *config, *format, samples(rate, RING_MS), has_failed)?;
                    (Box::new(stream), Box::new(ring))
                }
            };
            let resampler = Stream::from_48k(rate);
            let resampler = resampler.map_err(|error| error.to_string())?;
            let begin = |device| Self {
                device,
                outlet,
                resampler,
                level: Level::default(),
                begun: None,
                stalled: 0,
            };
            Ok((stream, begin))
        })
    }
}

impl AudioSink for Speaker {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn write(&mut self, frame: &Frame) {
        let rate = self.device.rate;
        let Filling { mut held, blocks, has_starved } = self.outlet.filling();
        let is_first = self.begun.is_none();
        let (blocks_before, frames) = self.begun.get_or_insert((blocks, 0));
        *frames += u64::from(blocks != *blocks_before);
        let is_settled = *frames > SETTLED_FRAMES;
        let surplus_max_ms = if is_settled { SURPLUS_MAX_MS } else { 0 };
        if has_starved {
            if is_settled { self.level.starved() } else { self.level.begin() }
        }
        let wanted = (self.level.wanted() * f64::from(rate)) as usize;
        if has_starved || is_first {
            // Silence before the frame, so that the device never waits for it.
            if let Some(missing) = wanted.checked_sub(held).filter(|missing| *missing > 0) {
                self.outlet.push(&vec![0.0; missing]);
                held = wanted;
            }
        }
        if held > wanted + samples(rate, BLOCK_MS + surplus_max_ms) {
            self.stalled = self.stalled.saturating_add(1);
            self.level.begin();
            return;
        }
        self.stalled = 0;
        self.level.note(held as f64 / f64::from(rate));
        // Out of bounds can't be: the steering is clamped. A refusal leaves the old ratio.
        let _ = self.resampler.steer(self.level.surplus());
        if let Ok(sound) = self.resampler.process(frame) {
            self.outlet.push(sound);
        }
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        self.device.take_fault(self.stalled)
    }
}
