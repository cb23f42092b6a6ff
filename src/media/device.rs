//! Microphones and speakers, through cpal: PulseAudio (or PipeWire in its place) if it runs, ALSA
//! otherwise. The streams of PulseAudio are our own, see `pulse`.
//!
//! A device has a thread and a clock of its own. Between it and our ticks is a ring without
//! locks; the device's callback only moves samples in or out of it. The ring's filling tells
//! how the two clocks differ and steers the resampler.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, ErrorKind, FromSample, HostId, Sample, SampleFormat, SizedSample, StreamConfig,
};
use rtrb::{Consumer, Producer, RingBuffer};

use super::codec::{FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE};
use super::drift::{Margin, Stream};
use super::follow::{Device, Following};
use super::pulse::{self, OPEN_TIMEOUT, PulseStream};
use super::source::{AudioSink, AudioSource, DeviceKind, SoundDevice, SoundError};

/// Microphones by stable id and name, the system's choice first.
///
/// # Errors
/// There is no sound system, or it does not answer.
pub fn microphones() -> Result<Vec<SoundDevice>, SoundError> {
    list(DeviceKind::Microphone)
}

/// Speakers by stable id and name, the system's choice first.
///
/// # Errors
/// There is no sound system, or it does not answer.
pub fn speakers() -> Result<Vec<SoundDevice>, SoundError> {
    list(DeviceKind::Speaker)
}

/// Opens the first of these microphones, by stable id or name, that is there, or else the system's
/// choice; later the best that there is then.
///
/// # Errors
/// There is no microphone, or it does not open.
pub fn open_microphone(wishes: &[String]) -> Result<Box<dyn AudioSource>, SoundError> {
    Ok(Box::new(Following::<Microphone>::open(wishes)?))
}

/// Opens the first of these speakers, by stable id or name, that is there, or else the system's
/// choice; later the best that there is then.
///
/// # Errors
/// There is no speaker, or it does not open.
pub fn open_speaker(wishes: &[String]) -> Result<Box<dyn AudioSink>, SoundError> {
    Ok(Box::new(Following::<Speaker>::open(wishes)?))
}

/// Silence until one of these microphones, or any other, is plugged in.
pub fn wait_for_microphone(wishes: &[String]) -> Box<dyn AudioSource> {
    Box::new(Following::<Microphone>::wait(wishes))
}

/// Swallows sound until one of these speakers, or any other, is plugged in.
pub fn wait_for_speaker(wishes: &[String]) -> Box<dyn AudioSink> {
    Box::new(Following::<Speaker>::wait(wishes))
}

/// More than this above the wanted filling is thrown away: after a stall, old sound would only
/// be delay.
const SURPLUS_MAX_MS: usize = 120;
/// Frames after which a speaker that takes blocks has settled: 1 s. Until then nothing above the
/// wanted filling is kept: one that has been idle may take nothing for two seconds.
const SETTLED_FRAMES: u64 = 50;
/// What a ring can hold.
const RING_MS: usize = 500;
/// A microphone's block: 10 ms.
const BLOCK_IN: u32 = 480;
/// A speaker's block: 20 ms, of which the sound system keeps two. Less breaks up on a machine
/// that has other things to do.
const BLOCK_OUT: u32 = 960;
/// The same as time.
const BLOCK_OUT_MS: usize = 20;
/// Ticks without any movement after which a device counts as lost: 3 s.
const STALLED_MAX: u32 = 150;

/// A microphone in use.
struct Microphone {
    device: Opened,
    ring: Consumer<f32>,
    resampler: Stream,
    margin: Margin,
    input: Vec<f32>,
    /// Whether the ring has been full enough to begin.
    is_primed: bool,
    stalled: u32,
}

/// A speaker in use.
struct Speaker {
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
struct Gauge {
    /// Samples left when it had taken its block.
    left: AtomicUsize,
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
        let left = ring.slots().checked_sub(block.len() / channels);
        for frame in block.chunks_mut(channels) {
            frame.fill(ring.pop().unwrap_or(0.0).to_sample());
        }
        self.left.store(left.unwrap_or(0), Ordering::Relaxed);
        self.blocks.fetch_add(1, Ordering::Relaxed);
        self.starved.fetch_add(usize::from(left.is_none()), Ordering::Relaxed);
    }
}

/// What keeps a device running.
struct Opened {
    kind: DeviceKind,
    name: String,
    rate: u32,
    has_failed: Arc<AtomicBool>,
    fault_told: bool,
    /// Dropping it closes the device.
    _stream: OpenStream,
    /// For others to use as long as a device is open.
    _host: Arc<cpal::Host>,
}

/// A stream that runs until it is dropped.
enum OpenStream {
    Pulse { _stream: PulseStream },
    Cpal { _stream: cpal::Stream },
}

/// A way to open a device.
enum Way {
    /// By its name with PulseAudio, which makes every format and rate of ours.
    Pulse(String),
    Cpal(StreamConfig, SampleFormat),
}

/// A device that is there.
pub(super) struct Found {
    host: Arc<cpal::Host>,
    device: cpal::Device,
    pub(super) id: String,
    pub(super) name: String,
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
                    SampleFormat::F32 => hear::<f32>(&device, config, producer, &has_failed),
                    SampleFormat::I16 => hear::<i16>(&device, config, producer, &has_failed),
                    SampleFormat::I32 => hear::<i32>(&device, config, producer, &has_failed),
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
                        SampleFormat::F32 => speak::<f32>(&device, config, ends, &has_failed),
                        SampleFormat::I16 => speak::<i16>(&device, config, ends, &has_failed),
                        SampleFormat::I32 => speak::<i32>(&device, config, ends, &has_failed),
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

impl Opened {
    fn new(
        kind: DeviceKind,
        name: String,
        rate: u32,
        has_failed: Arc<AtomicBool>,
        stream: OpenStream,
        host: Arc<cpal::Host>,
    ) -> Self {
        Self { kind, name, rate, has_failed, fault_told: false, _stream: stream, _host: host }
    }

    fn take_fault(&mut self, stalled: u32) -> Option<SoundError> {
        let is_lost = stalled >= STALLED_MAX || self.has_failed.load(Ordering::Relaxed);
        if !is_lost || self.fault_told {
            return None;
        }
        self.fault_told = true;
        Some(SoundError::Lost { kind: self.kind, name: self.name.clone() })
    }
}

/// PulseAudio if it answers, else what the system has.
fn connect() -> Option<cpal::Host> {
    let pulse = cpal::available_hosts().into_iter().find(|id| *id == HostId::PulseAudio);
    let pulse = pulse.and_then(|id| cpal::host_from_id(id).ok());
    // Without a card ALSA has nothing to say, and says so in a dozen lines on stderr.
    let may_have_cards = !cfg!(target_os = "linux") || Path::new("/dev/snd").exists();
    pulse.or_else(|| may_have_cards.then(cpal::default_host))
}

/// What all looks at the devices share while one of them is open.
///
/// A connection to PulseAudio has threads and a buffer of a megabyte, and glibc keeps what the
/// threads have freed; and devices are looked at every two seconds.
fn host() -> Option<Arc<cpal::Host>> {
    static SHARED: Mutex<Weak<cpal::Host>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    // If PulseAudio was started again meanwhile, the connection is of no use.
    if let Some(host) = shared.upgrade().filter(|host| host.devices().is_ok()) {
        return Some(host);
    }
    let host = Arc::new(connect()?);
    if host.id() == HostId::PulseAudio {
        *shared = Arc::downgrade(&host);
    }
    Some(host)
}

impl Found {
    /// How it can be opened, the best way first.
    fn ways(&self, kind: DeviceKind) -> Vec<Way> {
        let known = || configurations(&self.device, kind).into_iter();
        match self.device.id() {
            Ok(id) if id.host() == HostId::PulseAudio => vec![Way::Pulse(id.id().to_owned())],
            _ => known().map(|(config, format)| Way::Cpal(config, format)).collect(),
        }
    }
}

impl Way {
    /// Samples in a second.
    fn rate(&self) -> u32 {
        match self {
            Self::Pulse(_) => SAMPLE_RATE,
            Self::Cpal(config, _) => config.sample_rate,
        }
    }
}

fn running(built: Result<cpal::Stream, cpal::Error>) -> Result<OpenStream, String> {
    let started = built.and_then(|stream| stream.play().map(|()| stream));
    started.map(|stream| OpenStream::Cpal { _stream: stream }).map_err(|error| error.to_string())
}

fn is_of_kind(device: &cpal::Device, kind: DeviceKind) -> bool {
    match kind {
        DeviceKind::Microphone => device.supports_input(),
        DeviceKind::Speaker => device.supports_output(),
    }
}

fn system_choice(host: &cpal::Host, kind: DeviceKind) -> Option<cpal::Device> {
    match kind {
        DeviceKind::Microphone => host.default_input_device(),
        DeviceKind::Speaker => host.default_output_device(),
    }
}

fn list(kind: DeviceKind) -> Result<Vec<SoundDevice>, SoundError> {
    let host = host().ok_or(SoundError::NoDevice(kind))?;
    let choice = system_choice(&host, kind).as_ref().and_then(described);
    let devices = host.devices().map_err(|_| SoundError::NoDevice(kind))?;
    let devices = devices.filter(|device| is_of_kind(device, kind));
    let mut devices: Vec<SoundDevice> = devices
        .filter_map(|device| described(&device))
        // What a speaker plays can be recorded, but is nobody's microphone.
        .filter(|device| kind == DeviceKind::Speaker || !device.id.ends_with(".monitor"))
        .collect();
    devices.sort_by_key(|device| Some(&device.id) != choice.as_ref().map(|choice| &choice.id));
    Ok(devices)
}

fn described(device: &cpal::Device) -> Option<SoundDevice> {
    let id = device.id().ok()?.to_string();
    let name = device.description().map_or_else(|_| id.clone(), |d| d.name().to_string());
    Some(SoundDevice { id, name })
}

/// The first of these devices, by stable id or name, that is there, else the system's choice.
pub(super) fn choose(kind: DeviceKind, wishes: &[String]) -> Result<Found, SoundError> {
    let host = host().ok_or(SoundError::NoDevice(kind))?;
    let found = |device: cpal::Device| {
        described(&device).map(|SoundDevice { id, name }| {
            let host = Arc::clone(&host);
            Found { host, device, id, name }
        })
    };
    let mut present: Vec<Found> = Vec::new();
    if !wishes.is_empty() {
        let devices = host.devices().map_err(|_| SoundError::NoDevice(kind))?;
        present.extend(devices.filter(|device| is_of_kind(device, kind)).filter_map(found));
    }
    let wished = wishes
        .iter()
        .find_map(|wish| present.iter().position(|d| d.id == *wish || d.name == *wish))
        .map(|index| present.swap_remove(index));
    wished.or_else(|| system_choice(&host, kind).and_then(found)).ok_or(SoundError::NoDevice(kind))
}

/// Configurations to try, the best first: 48 kHz, few channels, small blocks of a size that we
/// choose, because PulseAudio never calls back with one of its own choice.
fn configurations(device: &cpal::Device, kind: DeviceKind) -> Vec<(StreamConfig, SampleFormat)> {
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
fn hear<T: SizedSample>(
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
fn speak<T: SizedSample + FromSample<f32>>(
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

fn samples(rate: u32, ms: usize) -> usize {
    rate as usize * ms / 1000
}
