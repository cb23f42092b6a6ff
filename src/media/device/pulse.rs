//! Streams of PulseAudio, or PipeWire in its place, with buffers that we choose.
//!
//! cpal asks for a buffer of two blocks and for requests of one. PulseAudio takes that for the wish
//! to have all of the delay in the stream and none in the device, which then turns as fast as it
//! can: on some, all streams come and go in pieces of a few samples, thousands in a second.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    ChannelMap, PlaybackStreamParams, RecordStreamParams, SampleFormat, SampleSpec,
};
use pulseaudio::{AsPlaybackSource, Client, ClientError, PlaybackStream, RecordStream};
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

use crate::media::codec::SAMPLE_RATE;

/// What waits to be played, in the sound system and in the device: 40 ms.
const PLAYED_MS: u32 = 40;
/// What is asked for at a time, at least, and what comes at a time: 10 ms.
const BLOCK_MS: u32 = 10;
/// Bytes of one sample; there is one channel, which the sound system makes as many of as the
/// device has.
const SAMPLE_BYTES: usize = 4;
/// How long a sound system may take to open a device.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(3);
/// Between looks whether the stream is still there: nobody tells us.
const LOOK: Duration = Duration::from_millis(500);

/// A stream that runs. Dropping it ends it.
pub(super) struct PulseStream {
    _end: oneshot::Sender<()>,
}

/// What a stream does.
type Fill = Box<dyn FnMut(&mut [u8]) -> usize + Send>;
type Take = Box<dyn FnMut(&[u8]) + Send>;

/// Which stream is to be opened.
enum Wish {
    Playback(PlaybackStreamParams, Fill),
    Record(RecordStreamParams, Take),
}

/// The stream itself.
enum Running {
    Playback(PlaybackStream),
    Record(RecordStream),
}

/// Plays on the sink of this name what `give` puts into each block.
///
/// # Errors
/// What the sound system says, in its words.
pub(super) fn play(
    sink: &str,
    mut give: impl FnMut(&mut [f32]) + Send + 'static,
    has_failed: &Arc<AtomicBool>,
) -> Result<PulseStream, String> {
    static STREAMS: AtomicU32 = AtomicU32::new(1);
    let params = PlaybackStreamParams {
        sample_spec: spec(),
        channel_map: ChannelMap::mono(),
        sink_name: Some(name(sink)?),
        buffer_attr: BufferAttr {
            target_length: bytes(PLAYED_MS),
            minimum_request_length: bytes(BLOCK_MS),
            ..BufferAttr::default()
        },
        // Streams of one number are played by one device.
        sync_id: STREAMS.fetch_add(1, Ordering::Relaxed),
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..PlaybackStreamParams::default()
    };
    let mut block = Vec::new();
    let fill = move |buffer: &mut [u8]| {
        block.resize(buffer.len() / SAMPLE_BYTES, 0.0);
        give(&mut block);
        for (bytes, sample) in buffer.chunks_exact_mut(SAMPLE_BYTES).zip(&block) {
            bytes.copy_from_slice(&sample.to_le_bytes());
        }
        buffer.len()
    };
    open(Wish::Playback(params, Box::new(fill)), has_failed)
}

/// Gives each sample that the source of this name hears to `take`.
///
/// # Errors
/// What the sound system says, in its words.
pub(super) fn record(
    source: &str,
    mut take: impl FnMut(f32) + Send + 'static,
    has_failed: &Arc<AtomicBool>,
) -> Result<PulseStream, String> {
    let params = RecordStreamParams {
        sample_spec: spec(),
        channel_map: ChannelMap::mono(),
        source_name: Some(name(source)?),
        buffer_attr: BufferAttr { fragment_size: bytes(BLOCK_MS), ..BufferAttr::default() },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..RecordStreamParams::default()
    };
    let take = move |heard: &[u8]| {
        for bytes in heard.chunks_exact(SAMPLE_BYTES) {
            take(bytes.try_into().map_or(0.0, f32::from_le_bytes));
        }
    };
    open(Wish::Record(params, Box::new(take)), has_failed)
}

/// Opens a stream on a thread that looks after it.
fn open(wish: Wish, has_failed: &Arc<AtomicBool>) -> Result<PulseStream, String> {
    let (tell, told) = mpsc::channel();
    let (end, ended) = oneshot::channel();
    let has_failed = Arc::clone(has_failed);
    let thread = std::thread::Builder::new().name("sound stream".into());
    let job = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        match runtime {
            Ok(runtime) => runtime.block_on(run(wish, &tell, ended, &has_failed)),
            Err(error) => drop(tell.send(Err(error.to_string()))),
        }
    };
    thread.spawn(job).map_err(|error| error.to_string())?;
    let late = || "the sound system does not answer".to_owned();
    told.recv_timeout(OPEN_TIMEOUT).map_err(|_| late())??;
    Ok(PulseStream { _end: end })
}

/// Until the stream ends, or is ended.
async fn run(
    wish: Wish,
    tell: &mpsc::Sender<Result<(), String>>,
    mut ended: oneshot::Receiver<()>,
    has_failed: &AtomicBool,
) {
    let stream = tokio::select! {
        started = start(wish) => started,
        _ = &mut ended => return,
    };
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return drop(tell.send(Err(error.to_string()))),
    };
    if tell.send(Ok(())).is_err() {
        return;
    }
    let mut looks = interval(LOOK);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = &mut ended => return,
        }
        if !matches!(timeout(OPEN_TIMEOUT, stream.look()).await, Ok(Ok(()))) {
            return has_failed.store(true, Ordering::Relaxed);
        }
    }
}

async fn start(wish: Wish) -> Result<Running, ClientError> {
    let client = client().await?;
    Ok(match wish {
        Wish::Playback(params, fill) => Running::Playback(
            client.create_playback_stream(params, fill.as_playback_source()).await?,
        ),
        Wish::Record(params, take) => {
            Running::Record(client.create_record_stream(params, take).await?)
        }
    })
}

impl Running {
    /// Asks after the stream.
    async fn look(&self) -> Result<(), ClientError> {
        match self {
            Self::Playback(stream) => stream.timing_info().await.map(drop),
            Self::Record(stream) => stream.timing_info().await.map(drop),
        }
    }
}

/// The connection of all streams. It is kept: each one has a thread and a buffer of a megabyte, and
/// glibc keeps what threads have freed.
async fn client() -> Result<Client, ClientError> {
    static SHARED: Mutex<Option<Client>> = Mutex::new(None);
    let shared = || SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = shared().clone();
    if let Some(client) = before
        && client.server_info().await.is_ok()
    {
        return Ok(client);
    }
    let client = Client::from_env(c"Chordial")?;
    *shared() = Some(client.clone());
    Ok(client)
}

fn spec() -> SampleSpec {
    SampleSpec { format: SampleFormat::Float32Le, channels: 1, sample_rate: SAMPLE_RATE }
}

fn bytes(ms: u32) -> u32 {
    SAMPLE_RATE / 1000 * ms * SAMPLE_BYTES as u32
}

fn name(device: &str) -> Result<CString, String> {
    CString::new(device).map_err(|_| "its name holds a zero".to_owned())
}
