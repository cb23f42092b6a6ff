//! Microphones and speakers, found by cpal: those of PulseAudio (or PipeWire in its place) if it
//! runs, else what the system has.
//!
//! | file | what |
//! |---|---|
//! | `microphone`, `speaker` | frames of 20 ms from one and to one |
//! | `pulse` | streams of PulseAudio |
//! | `card` | streams of everything else, through cpal |
//! | `drift` | between our ticks and a device's own clock |
//! | `follow` | the best device that there is, from moment to moment |
//!
//! A device has a clock of its own. A microphone's frames are taken as they come. What
//! goes to a speaker waits, in a ring without locks or in the sound system; how much that is tells
//! how the clocks differ and steers a resampler.

mod card;
mod drift;
mod follow;
mod microphone;
#[cfg(target_os = "linux")]
mod pulse;
mod speaker;

use std::any::Any;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{HostId, SampleFormat, StreamConfig};

use self::card::configurations;
use self::follow::Following;
use self::microphone::Microphone;
use self::speaker::Speaker;
use super::codec::SAMPLE_RATE;
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
/// What a ring can hold.
const RING_MS: usize = 500;
/// Ticks without any movement after which a device counts as lost: 3 s.
const STALLED_MAX: u32 = 150;

/// How long a device may take to open.
const OPEN_TIMEOUT: Duration = Duration::from_secs(3);

/// What keeps a device running.
struct Opened {
    kind: DeviceKind,
    name: String,
    rate: u32,
    has_failed: Arc<AtomicBool>,
    fault_told: bool,
    _stream: Running,
    /// For others to use as long as a device is open.
    _host: Arc<cpal::Host>,
}

/// A stream that runs until this is dropped.
type Running = Box<dyn Any + Send>;

/// A stream, and what makes a device of what keeps it running; or what the system says.
type Started<B> = Result<(Running, B), String>;

/// A way to open a device.
enum Way {
    /// By its name with PulseAudio, which makes every format and rate of ours.
    #[cfg(target_os = "linux")]
    Pulse(String),
    Card(StreamConfig, SampleFormat),
}

/// A device that is there.
struct Found {
    host: Arc<cpal::Host>,
    device: cpal::Device,
    id: String,
    name: String,
}

impl Opened {
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
    let pulse = cpal::available_hosts().into_iter().find(|id| is_pulse(*id));
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
    if is_pulse(host.id()) {
        *shared = Arc::downgrade(&host);
    }
    Some(host)
}

/// Whether it is PulseAudio, which not every system has.
fn is_pulse(host: HostId) -> bool {
    host.name() == "PulseAudio"
}

impl Found {
    /// Opens it in the first way in which `start` succeeds; what that gives makes the device from
    /// what keeps it running.
    fn open<D, B: FnOnce(Opened) -> D>(
        self,
        kind: DeviceKind,
        mut start: impl FnMut(&Way, &cpal::Device, &Arc<AtomicBool>) -> Started<B>,
    ) -> Result<D, SoundError> {
        let mut last_fault = String::from("it offers no format that this program knows");
        for way in self.ways(kind) {
            let has_failed = Arc::new(AtomicBool::new(false));
            match start(&way, &self.device, &has_failed) {
                Ok((stream, begin)) => {
                    return Ok(begin(Opened {
                        kind,
                        name: self.name,
                        rate: way.rate(),
                        has_failed,
                        fault_told: false,
                        _stream: stream,
                        _host: self.host,
                    }));
                }
                Err(fault) => last_fault = fault,
            }
        }
        Err(SoundError::Open { kind, name: self.name, reason: last_fault })
    }

    /// How it can be opened, the best way first.
    fn ways(&self, kind: DeviceKind) -> Vec<Way> {
        #[cfg(target_os = "linux")]
        if let Some(id) = self.device.id().ok().filter(|id| is_pulse(id.host())) {
            return vec![Way::Pulse(id.id().to_owned())];
        }
        let known = configurations(&self.device, kind).into_iter();
        known.map(|(config, format)| Way::Card(config, format)).collect()
    }
}

impl Way {
    /// Samples in a second.
    fn rate(&self) -> u32 {
        match self {
            #[cfg(target_os = "linux")]
            Self::Pulse(_) => SAMPLE_RATE,
            Self::Card(config, _) => config.sample_rate,
        }
    }
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
fn choose(kind: DeviceKind, wishes: &[String]) -> Result<Found, SoundError> {
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

fn samples(rate: u32, ms: usize) -> usize {
    rate as usize * ms / 1000
}
