//! A microphone: a ring that its device fills, and a resampler steered by how full it is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cpal::SampleFormat;
use rtrb::{Consumer, RingBuffer};

use super::card::{self, running};
use super::drift::{Margin, Stream};
use super::follow::Device;
use super::pulse;
use super::{Found, OpenStream, Opened, RING_MS, SURPLUS_MAX_MS, Way, samples};
use crate::media::codec::{FRAME_SAMPLES, Frame, SILENCE};
use crate::media::source::{AudioSource, DeviceKind, SoundError};

/// A microphone in use.
pub(super) struct Microphone {
    device: Opened,
    ring: Consumer<f32>,
    resampler: Stream,
    margin: Margin,
    input: Vec<f32>,
    /// Whether the ring has been full enough to begin.
    is_primed: bool,
    stalled: u32,
}

impl Device for Microphone {
    const KIND: DeviceKind = DeviceKind::Microphone;

    fn open(found: Found) -> Result<Self, SoundError> {
        let kind = Self::KIND;
        let ways = found.ways(kind);
        let Found { host, device, name, .. } = found;
        let has_failed = Arc::new(AtomicBool::new(false));
        let mut last_fault = String::from("it offers no format that this program knows");
        for way in ways {
            let rate = way.rate();
            let (mut producer, ring) = RingBuffer::new(samples(rate, RING_MS));
            let stream = match way {
                Way::Pulse(source) => {
                    // A full ring means that nobody reads: sound is lost either way.
                    let take = move |sample| producer.push(sample).unwrap_or(());
                    let stream = pulse::record(&source, take, &has_failed);
                    stream.map(|stream| OpenStream::Pulse { _stream: stream })
                }
                Way::Cpal(config, format) => running(match format {
                    SampleFormat::F32 => card::hear::<f32>(&device, config, producer, &has_failed),
                    SampleFormat::I16 => card::hear::<i16>(&device, config, producer, &has_failed),
                    SampleFormat::I32 => card::hear::<i32>(&device, config, producer, &has_failed),
                    _ => continue,
                }),
            };
            match (stream, Stream::from_device(rate, FRAME_SAMPLES)) {
                (Ok(stream), Ok(resampler)) => {
                    let device = Opened::new(kind, name, rate, has_failed, stream, host);
                    let input = vec![0.0; resampler.wanted_max()];
                    return Ok(Self {
                        device,
                        ring,
                        resampler,
                        margin: Margin::default(),
                        input,
                        is_primed: false,
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

impl Microphone {
    /// Takes 20 ms from the ring; `None` if it does not hold them.
    fn take(&mut self) -> Option<&[f32]> {
        let rate = self.device.rate;
        let wanted = self.resampler.wanted();
        let target = wanted + samples(rate, self.margin.ms());
        let held = self.ring.slots();
        // What has come in before the first frame is taken, or after a pause, is old.
        let surplus_max = if self.is_primed { samples(rate, SURPLUS_MAX_MS) } else { 0 };
        if held > target + surplus_max {
            self.ring.read_chunk(held - target).ok()?.commit_all();
        }
        let held = self.ring.slots();
        if self.is_primed && held < wanted {
            self.margin.grow();
            self.is_primed = false;
        }
        self.is_primed |= held >= target;
        if !self.is_primed {
            return None;
        }
        self.margin.relax();
        let surplus = (held as f64 - target as f64) / f64::from(rate);
        // Out of bounds can't be: the steering is clamped. A refusal leaves the old ratio.
        let _ = self.resampler.steer(surplus);
        let wanted = self.resampler.wanted();
        let input = &mut self.input[..wanted];
        if self.ring.pop_entire_slice(input).is_err() {
            self.is_primed = false;
            return None;
        }
        self.resampler.process(input).ok()
    }
}

impl AudioSource for Microphone {
    fn name(&self) -> &str {
        &self.device.name
    }

    fn read(&mut self, frame: &mut Frame) {
        let is_empty = self.ring.is_empty();
        self.stalled = if is_empty { self.stalled.saturating_add(1) } else { 0 };
        let heard = self.take().unwrap_or_default();
        *frame = SILENCE;
        for (sample, heard) in frame.iter_mut().zip(heard) {
            *sample = heard.clamp(-1.0, 1.0);
        }
    }

    fn take_fault(&mut self) -> Option<SoundError> {
        self.device.take_fault(self.stalled)
    }
}
