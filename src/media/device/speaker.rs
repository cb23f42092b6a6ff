//! A speaker: a ring that its device empties, and a resampler steered by how full it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cpal::{FromSample, Sample, SampleFormat};
use rtrb::{Consumer, Producer, RingBuffer};

use super::card::{self, running};
use super::drift::{Margin, Stream};
use super::follow::Device;
use super::pulse;
use super::{
    BLOCK_OUT_MS, Found, OpenStream, Opened, RING_MS, SETTLED_FRAMES, SURPLUS_MAX_MS, Way, samples,
};
use crate::media::codec::{FRAME_SAMPLES, Frame};
use crate::media::source::{AudioSink, DeviceKind, SoundError};

/// A speaker in use.
pub(super) struct Speaker {
    device: Opened,
    ring: Producer<f32>,
    resampler: Stream,
    margin: Margin,
    gauge: Arc<Gauge>,
    /// Blocks that the device had taken when the first frame came, and frames since it took more.
    begun: Option<(usize, u64)>,
    stalled: u32,
}

/// What a speaker's callback tells us about its ring.
#[derive(Default)]
pub(super) struct Gauge {
    /// Samples left when it had taken its block.
    left: AtomicUsize,
    /// Blocks taken.
    blocks: AtomicUsize,
    /// Blocks for which there was not enough.
    starved: AtomicUsize,
}

impl Gauge {
    /// Fills a block from the ring, all channels with the same.
    pub(super) fn give<T: Sample + FromSample<f32>>(
        &self,
        ring: &mut Consumer<f32>,
        channels: usize,
        block: &mut [T],
    ) {
        let left = ring.slots().checked_sub(block.len() / channels);
        for frame in block.chunks_mut(channels) {
            frame.fill(ring.pop().unwrap_or(0.0).to_sample());
        }
        self.left.store(left.unwrap_or(0), Ordering::Relaxed);
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.starved.fetch_add(usize::from(left.is_none()), Ordering::Relaxed);
    }
}

impl Device for Speaker {
    const KIND: DeviceKind = DeviceKind::Speaker;

    fn open(found: Found) -> Result<Self, SoundError> {
        let kind = Self::KIND;
        let ways = found.ways(kind);
        let Found { host, device, name, .. } = found;
        let has_failed = Arc::new(AtomicBool::new(false));
        let mut last_fault = String::from("it offers no format that this program knows");
        for way in ways {
            let rate = way.rate();
            let (ring, mut consumer) = RingBuffer::new(samples(rate, RING_MS));
            let gauge = Arc::new(Gauge::default());
            let at_device = Arc::clone(&gauge);
            let stream = match way {
                Way::Pulse(sink) => {
                    let give = move |block: &mut [f32]| at_device.give(&mut consumer, 1, block);
                    let stream = pulse::play(&sink, give, &has_failed);
                    stream.map(|stream| OpenStream::Pulse { _stream: stream })
                }
                Way::Cpal(config, format) => {
                    let ends = (consumer, at_device);
                    running(match format {
                        SampleFormat::F32 => card::speak::<f32>(&device, config, ends, &has_failed),
                        SampleFormat::I16 => card::speak::<i16>(&device, config, ends, &has_failed),
                        SampleFormat::I32 => card::speak::<i32>(&device, config, ends, &has_failed),
                        _ => continue,
                    })
                }
            };
            match (stream, Stream::to_device(rate, FRAME_SAMPLES)) {
                (Ok(stream), Ok(resampler)) => {
                    return Ok(Self {
                        device: Opened::new(kind, name, rate, has_failed, stream, host),
                        ring,
                        resampler,
                        margin: Margin::default(),
                        gauge,
                        begun: None,
                        stalled: 0,
                    });
                }
                (Err(error), _) => last_fault = error,
                (_, Err(error)) => last_fault = error.to_string(),
            }
        }
        Err(SoundError::Open { kind, name, reason: last_fault })
    }
}

impl Speaker {
    /// Puts silence before the next frame, so that the device never waits for it.
    fn pad(&mut self, count: usize) {
        if let Ok(chunk) = self.ring.write_chunk(count) {
            // New chunks hold zeros.
            chunk.commit_all();
        }
    }
}

impl AudioSink for Speaker {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn write(&mut self, frame: &Frame) {
        let rate = self.device.rate;
        let has_starved = self.gauge.starved.swap(0, Ordering::Relaxed) > 0;
        let blocks = self.gauge.blocks.load(Ordering::Relaxed);
        let is_first = self.begun.is_none();
        let (blocks_before, frames) = self.begun.get_or_insert((blocks, 0));
        *frames += u64::from(blocks != *blocks_before);
        let surplus_max_ms = if *frames > SETTLED_FRAMES { SURPLUS_MAX_MS } else { 0 };
        if has_starved && !is_first {
            self.margin.grow();
        }
        let margin = samples(rate, self.margin.ms());
        if has_starved || is_first {
            self.pad(margin);
        } else {
            self.margin.relax();
        }
        let held = self.ring.buffer().capacity() - self.ring.slots();
        if held > margin + samples(rate, 2 * BLOCK_OUT_MS + surplus_max_ms) {
            self.stalled = self.stalled.saturating_add(1);
            return;
        }
        self.stalled = 0;
        let left = self.gauge.left.load(Ordering::Relaxed);
        let surplus = (left as f64 - margin as f64) / f64::from(rate);
        // Out of bounds can't be: the steering is clamped. A refusal leaves the old ratio.
        let _ = self.resampler.steer(surplus);
        if let Ok(sound) = self.resampler.process(frame) {
            // Room is certain: the filling was looked at.
            let _ = self.ring.push_partial_slice(sound);
        }
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        self.device.take_fault(self.stalled)
    }
}
