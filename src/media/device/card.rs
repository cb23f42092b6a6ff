//! Streams of a sound card, through cpal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, FromSample, Sample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer, RingBuffer};

use super::OPEN_TIMEOUT;
use super::microphone::Inlet;
use super::speaker::{Filling, Outlet};
use crate::media::codec::SAMPLE_RATE;
use crate::media::source::DeviceKind;

/// A microphone's block: 10 ms.
const BLOCK_IN: u32 = 480;
/// A speaker's block: 20 ms, of which the system keeps two. Less breaks up on a machine that has
/// other things to do.
const BLOCK_OUT: u32 = 960;

fn running(built: Result<cpal::Stream, cpal::Error>) -> Result<cpal::Stream, String> {
    let started = built.and_then(|stream| stream.play().map(|()| stream));
    started.map_err(|error| error.to_string())
}
/// Configurations to try, the best first: 48 kHz, few channels, small blocks of a size that we
/// choose, because PulseAudio never calls back with one of its own choice.
pub(super) fn configurations(
    device: &cpal::Device,
    kind: DeviceKind,
) -> Vec<(StreamConfig, SampleFormat)> {
    let ranges: Vec<cpal::SupportedStreamConfigRange> = match kind {
        DeviceKind::Microphone => device.supported_input_configs().map(Iterator::collect),
        DeviceKind::Speaker => device.supported_output_configs().map(Iterator::collect),
    }
    .unwrap_or_default();
    let format_rank = |format: SampleFormat| match format {
        SampleFormat::F32 => Some(0),
        SampleFormat::I16 => Some(1),
        SampleFormat::I32 => Some(2),
        _ => None,
    };
    let ours = ranges.iter().filter_map(|range| {
        let rate = SAMPLE_RATE.clamp(range.min_sample_rate(), range.max_sample_rate());
        let rank = format_rank(range.sample_format())?;
        // Two channels before one on a speaker: some devices play one on the left only.
        let channels = u32::from(range.channels());
        let rank = (rate.abs_diff(SAMPLE_RATE), channels.abs_diff(2), rank);
        Some((rank, range.channels(), rate, range.sample_format()))
    });
    let mut ours: Vec<_> = ours.collect();
    ours.sort_by_key(|(rank, ..)| *rank);
    let default = match kind {
        DeviceKind::Microphone => device.default_input_config(),
        DeviceKind::Speaker => device.default_output_config(),
    };
    let default = default.ok().map(|c| (c.channels(), c.sample_rate(), c.sample_format()));
    let best = ours.into_iter().map(|(_, channels, rate, format)| (channels, rate, format));
    let block = if kind == DeviceKind::Microphone { BLOCK_IN } else { BLOCK_OUT };
    let with_blocks = |(channels, sample_rate, format): (u16, u32, SampleFormat)| {
        let scaled = |block: u32| (u64::from(block) * u64::from(sample_rate) / 48_000) as u32;
        let sizes =
            [BufferSize::Fixed(scaled(block)), BufferSize::Fixed(scaled(960)), BufferSize::Default];
        sizes.map(|buffer_size| (StreamConfig { channels, sample_rate, buffer_size }, format))
    };
    best.take(1).chain(default).flat_map(with_blocks).collect()
}

/// A speaker's ring; its device's callback empties it.
pub(super) struct Ring {
    ring: Producer<f32>,
    gauge: Arc<Gauge>,
}

/// What a speaker's callback tells.
#[derive(Default)]
struct Gauge {
    /// Blocks taken.
    blocks: AtomicUsize,
    /// Blocks for which there was not enough.
    starved: AtomicUsize,
}

impl Gauge {
    /// Fills a block from the ring, all channels with the same.
    fn give<T: Sample + FromSample<f32>>(
        &self,
        ring: &mut Consumer<f32>,
        channels: usize,
        block: &mut [T],
    ) {
        let is_starved = ring.slots() < block.len() / channels;
        for frame in block.chunks_mut(channels) {
            frame.fill(ring.pop().unwrap_or(0.0).to_sample());
        }
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.starved.fetch_add(usize::from(is_starved), Ordering::Relaxed);
    }
}

impl Outlet for Ring {
    fn filling(&mut self) -> Filling {
        Filling {
            held: self.ring.buffer().capacity() - self.ring.slots(),
            blocks: self.gauge.blocks.load(Ordering::Relaxed),
            has_starved: self.gauge.starved.swap(0, Ordering::Relaxed) > 0,
        }
    }

    fn push(&mut self, sound: &[f32]) {
        let _ = self.ring.push_partial_slice(sound);
    }
}

/// Opens a microphone.
///
/// # Errors
/// What the system says, in its words.
pub(super) fn hear(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    inlet: Inlet,
    has_failed: &Arc<AtomicBool>,
) -> Result<cpal::Stream, String> {
    running(match format {
        SampleFormat::F32 => fill::<f32>(device, config, inlet, has_failed),
        SampleFormat::I16 => fill::<i16>(device, config, inlet, has_failed),
        SampleFormat::I32 => fill::<i32>(device, config, inlet, has_failed),
        _ => return Err(unknown()),
    })
}

/// Opens a speaker with a ring of so many samples.
///
/// # Errors
/// What the system says, in its words.
pub(super) fn speak(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    samples: usize,
    has_failed: &Arc<AtomicBool>,
) -> Result<(cpal::Stream, Ring), String> {
    let (ring, consumer) = RingBuffer::new(samples);
    let gauge = Arc::new(Gauge::default());
    let ends = (consumer, Arc::clone(&gauge));
    let stream = running(match format {
        SampleFormat::F32 => empty::<f32>(device, config, ends, has_failed),
        SampleFormat::I16 => empty::<i16>(device, config, ends, has_failed),
        SampleFormat::I32 => empty::<i32>(device, config, ends, has_failed),
        _ => return Err(unknown()),
    })?;
    Ok((stream, Ring { ring, gauge }))
}

fn unknown() -> String {
    "it offers no format that this program knows".to_owned()
}

/// The callback mixes its channels into one and neither locks nor allocates.
fn fill<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut inlet: Inlet,
    has_failed: &Arc<AtomicBool>,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let on_error = failure_flag(has_failed);
    let on_data = move |data: &[T], _: &cpal::InputCallbackInfo| {
        inlet.put(data.chunks_exact(channels).map(|frame| {
            let sum: f32 = frame.iter().map(|sample| f32::from_sample(*sample)).sum();
            sum / channels as f32
        }));
    };
    device.build_input_stream(config, on_data, on_error, Some(OPEN_TIMEOUT))
}

/// The callback gives every channel the same and neither locks nor allocates.
fn empty<T: SizedSample + FromSample<f32>>(
    device: &cpal::Device,
    config: StreamConfig,
    (mut ring, gauge): (Consumer<f32>, Arc<Gauge>),
    has_failed: &Arc<AtomicBool>,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels.max(1));
    let on_error = failure_flag(has_failed);
    let on_data =
        move |data: &mut [T], _: &cpal::OutputCallbackInfo| gauge.give(&mut ring, channels, data);
    device.build_output_stream(config, on_data, on_error, Some(OPEN_TIMEOUT))
}

/// Notes the errors that end a stream; a missed block or a lower priority does not.
fn failure_flag(has_failed: &Arc<AtomicBool>) -> impl FnMut(cpal::Error) + Send + 'static {
    let has_failed = Arc::clone(has_failed);
    move |error| match error.kind() {
        ErrorKind::Xrun | ErrorKind::RealtimeDenied | ErrorKind::DeviceChanged => {}
        _ => has_failed.store(true, Ordering::Relaxed),
    }
}
