//! Streams of a sound card, through cpal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, FromSample, Sample, SampleFormat, SizedSample, StreamConfig};
use rtrb::{Consumer, Producer};

use super::pulse::OPEN_TIMEOUT;
use super::speaker::Gauge;
use super::{BLOCK_IN, BLOCK_OUT, OpenStream};
use crate::media::codec::SAMPLE_RATE;
use crate::media::source::DeviceKind;

pub(super) fn running(built: Result<cpal::Stream, cpal::Error>) -> Result<OpenStream, String> {
    let started = built.and_then(|stream| stream.play().map(|()| stream));
    started.map(|stream| OpenStream::Cpal { _stream: stream }).map_err(|error| error.to_string())
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

/// Opens a microphone; the callback mixes its channels into one and neither locks nor allocates.
pub(super) fn hear<T: SizedSample>(
    device: &cpal::Device,
    config: StreamConfig,
    mut ring: Producer<f32>,
    has_failed: &Arc<AtomicBool>,
) -> Result<cpal::Stream, cpal::Error>
where
    f32: FromSample<T>,
{
    let channels = usize::from(config.channels.max(1));
    let on_error = failure_flag(has_failed);
    let on_data = move |data: &[T], _: &cpal::InputCallbackInfo| {
        for frame in data.chunks_exact(channels) {
            let sum: f32 = frame.iter().map(|sample| f32::from_sample(*sample)).sum();
            // A full ring means that nobody reads: sound is lost either way.
            let _ = ring.push(sum / channels as f32);
        }
    };
    device.build_input_stream(config, on_data, on_error, Some(OPEN_TIMEOUT))
}

/// Opens a speaker; the callback gives every channel the same and neither locks nor allocates.
pub(super) fn speak<T: SizedSample + FromSample<f32>>(
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
