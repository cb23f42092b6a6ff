//! Streams of PulseAudio, or PipeWire in its place, with buffers that we choose.
//!
//! The messages are those of the crate `pulseaudio`. Its client, like cpal's, asks for sound when
//! the sound system does and keeps it in a ring until then; here it goes to the sound system as
//! soon as it is there, whose own buffer is the ring. What it asks for tells how full that is.

use std::ffi::CString;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    AuthParams, AuthReply, ChannelMap, Command, CommandReply, CreatePlaybackStreamReply,
    CreateRecordStreamReply, DESCRIPTOR_SIZE, Descriptor, DescriptorFlags, MAX_VERSION,
    PlaybackStreamParams, Prop, Props, ProtocolError, RecordStreamParams, SampleFormat, SampleSpec,
    SetClientNameReply, encode_descriptor, read_descriptor, read_reply_message,
    write_command_message,
};
use pulseaudio::{cookie_path_from_env, socket_path_from_env};

use super::OPEN_TIMEOUT;
use super::microphone::Inlet;
use super::speaker::{Filling, Outlet};
use crate::media::codec::SAMPLE_RATE;

/// What the sound system asks for at a time and hands on to the device, and what comes from a
/// microphone at a time: 10 ms.
const BLOCK_MS: u32 = 10;
/// What the sound system takes in advance: 120 ms. Less is wanted; as long as it asks for more it
/// tells how much it has.
const AHEAD_MS: u32 = 120;
/// What has to be there before it plays, at first and after it ran dry: 20 ms, one frame.
const BEGIN_MS: u32 = 20;
/// Bytes of one sample; there is one channel, which the sound system makes as many of as the
/// device has.
const SAMPLE_BYTES: usize = 4;
/// The longest message that is read: half a second of sound.
const MESSAGE_MAX: usize = 96_000;

/// A stream from a microphone. Dropping it ends it.
pub(super) struct Recorder {
    socket: UnixStream,
}

/// A stream to a speaker. It has no thread: what the sound system says is heard when there is
/// something to be played. Dropping it ends it.
pub(super) struct Player {
    socket: UnixStream,
    version: u16,
    channel: u32,
    /// What has come in and is no whole message yet.
    pending: Vec<u8>,
    /// The message that goes out.
    message: Vec<u8>,
    /// Bytes that the sound system would like to have.
    target: i64,
    /// Of these, how many it has asked for and not got.
    asked: i64,
    /// How often it has asked.
    requests: usize,
    /// Whether it ran dry.
    has_starved: bool,
    has_failed: Arc<AtomicBool>,
}

/// A connection for one stream, which has a socket of its own.
struct Connection {
    reader: BufReader<UnixStream>,
    version: u16,
    sequence: u32,
}

/// Starts to play on the sink of this name.
///
/// # Errors
/// What the sound system says, in its words.
pub(super) fn play(sink: &str, has_failed: &Arc<AtomicBool>) -> Result<Player, String> {
    let params = PlaybackStreamParams {
        sample_spec: spec(),
        channel_map: ChannelMap::mono(),
        sink_name: Some(name(sink)?),
        buffer_attr: BufferAttr {
            target_length: bytes(AHEAD_MS),
            pre_buffering: bytes(BEGIN_MS),
            minimum_request_length: bytes(BLOCK_MS),
            ..BufferAttr::default()
        },
        // The device is asked for a delay of one block, whatever waits in the stream.
        flags: StreamFlags { early_requests: true, ..StreamFlags::default() },
        ..PlaybackStreamParams::default()
    };
    let open = || -> Result<Player, ProtocolError> {
        let mut connection = Connection::open()?;
        let reply: CreatePlaybackStreamReply =
            connection.ask(Command::CreatePlaybackStream(params))?;
        let Connection { reader, version, .. } = connection;
        let pending = reader.buffer().to_vec();
        let socket = reader.into_inner();
        socket.set_nonblocking(true)?;
        Ok(Player {
            socket,
            version,
            channel: reply.channel,
            pending,
            message: Vec::new(),
            target: reply.buffer_attr.target_length.into(),
            asked: reply.requested_bytes.into(),
            requests: 0,
            has_starved: false,
            has_failed: Arc::clone(has_failed),
        })
    };
    open().map_err(|error| error.to_string())
}

/// Puts into `inlet` what the source of this name hears.
///
/// # Errors
/// What the sound system says, in its words.
pub(super) fn record(
    source: &str,
    mut inlet: Inlet,
    has_failed: &Arc<AtomicBool>,
) -> Result<Recorder, String> {
    let params = RecordStreamParams {
        sample_spec: spec(),
        channel_map: ChannelMap::mono(),
        source_name: Some(name(source)?),
        buffer_attr: BufferAttr { fragment_size: bytes(BLOCK_MS), ..BufferAttr::default() },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        ..RecordStreamParams::default()
    };
    let open = || -> Result<Connection, ProtocolError> {
        let mut connection = Connection::open()?;
        let _: CreateRecordStreamReply = connection.ask(Command::CreateRecordStream(params))?;
        connection.reader.get_ref().set_read_timeout(None)?;
        Ok(connection)
    };
    let Connection { mut reader, version, .. } = open().map_err(|error| error.to_string())?;
    let socket = reader.get_ref().try_clone().map_err(|error| error.to_string())?;
    let has_failed = Arc::clone(has_failed);
    let listen = move || {
        let mut body = Vec::new();
        while let Some(message) = next(&mut reader, &mut body, version) {
            match message {
                Message::Sound(sound) => {
                    let samples = sound.chunks_exact(SAMPLE_BYTES);
                    inlet.put(samples.map(|b| b.try_into().map_or(0.0, f32::from_le_bytes)));
                }
                Message::Command(Command::RecordStreamKilled(_)) => break,
                Message::Command(_) | Message::Unknown => {}
            }
        }
        has_failed.store(true, Ordering::Relaxed);
    };
    let thread = std::thread::Builder::new().name("sound stream".into());
    thread.spawn(listen).map_err(|error| error.to_string())?;
    Ok(Recorder { socket })
}

impl Player {
    /// Hears what the sound system has said meanwhile.
    ///
    /// # Errors
    /// The stream is gone.
    fn hear(&mut self) -> std::io::Result<()> {
        let mut piece = [0; 2048];
        loop {
            match self.socket.read(&mut piece) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.pending.extend(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let mut body = Vec::new();
        let mut rest = self.pending.as_slice();
        let mut whole = rest;
        while let Some(message) = next(&mut rest, &mut body, self.version) {
            whole = rest;
            match message {
                Message::Command(Command::Request(request)) => {
                    self.asked += i64::from(request.length);
                    self.requests += 1;
                }
                Message::Command(Command::Underflow(_)) => self.has_starved = true,
                Message::Command(Command::PlaybackBufferAttrChanged(changed)) => {
                    self.target = changed.buffer_attr.target_length.into();
                }
                Message::Command(Command::PlaybackStreamMoved(moved)) => {
                    self.target = moved.buffer_attr.target_length.into();
                }
                Message::Command(Command::PlaybackStreamKilled(_)) => {
                    return Err(ErrorKind::NotConnected.into());
                }
                Message::Command(_) | Message::Sound(_) | Message::Unknown => {}
            }
        }
        let heard = self.pending.len() - whole.len();
        self.pending.drain(..heard);
        match self.pending.len() <= MESSAGE_MAX {
            true => Ok(()),
            false => Err(ErrorKind::InvalidData.into()),
        }
    }
}

impl Outlet for Player {
    fn filling(&mut self) -> Filling {
        if self.hear().is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        Filling {
            held: usize::try_from(self.target - self.asked).unwrap_or(0) / SAMPLE_BYTES,
            blocks: self.requests,
            has_starved: std::mem::take(&mut self.has_starved),
        }
    }

    fn push(&mut self, sound: &[f32]) {
        let length = sound.len() * SAMPLE_BYTES;
        let descriptor = Descriptor {
            length: length as u32,
            channel: self.channel,
            offset: 0,
            flags: DescriptorFlags::empty(),
        };
        self.message.clear();
        self.message.resize(DESCRIPTOR_SIZE, 0);
        if let Some(header) = self.message.first_chunk_mut() {
            encode_descriptor(header, &descriptor);
        }
        self.message.extend(sound.iter().flat_map(|sample| sample.to_le_bytes()));
        self.asked -= length as i64;
        // There is room in the socket: no more is sent than is asked for and a little.
        if self.socket.write_all(&self.message).is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }
}

/// What the sound system sends.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
enum Message<'a> {
    Command(Command),
    Sound(&'a [u8]),
    Unknown,
}

impl Connection {
    fn open() -> Result<Self, ProtocolError> {
        let missing = || std::io::Error::from(ErrorKind::NotFound);
        let socket = UnixStream::connect(socket_path_from_env().ok_or_else(missing)?)?;
        socket.set_read_timeout(Some(OPEN_TIMEOUT))?;
        let mut connection =
            Self { reader: BufReader::new(socket), version: MAX_VERSION, sequence: 0 };
        let cookie = cookie_path_from_env().and_then(|path| std::fs::read(path).ok());
        let auth = AuthParams {
            version: MAX_VERSION,
            supports_shm: false,
            supports_memfd: false,
            cookie: cookie.unwrap_or_default(),
        };
        let reply: AuthReply = connection.ask(Command::Auth(auth))?;
        connection.version = reply.version.min(MAX_VERSION);
        let mut properties = Props::new();
        properties.set(Prop::ApplicationName, c"Chordial");
        let _: SetClientNameReply = connection.ask(Command::SetClientName(properties))?;
        Ok(connection)
    }

    /// Asks for something and waits for the answer.
    fn ask<R: CommandReply>(&mut self, command: Command) -> Result<R, ProtocolError> {
        write_command_message(self.reader.get_mut(), self.sequence, &command, self.version)?;
        self.sequence += 1;
        Ok(read_reply_message(&mut self.reader, self.version)?.1)
    }
}

/// The next message; `None` at the end, or as long as it is not whole.
fn next<'a>(reader: &mut impl Read, body: &'a mut Vec<u8>, version: u16) -> Option<Message<'a>> {
    let descriptor = read_descriptor(reader).ok()?;
    let length = usize::try_from(descriptor.length).ok().filter(|length| *length <= MESSAGE_MAX)?;
    body.resize(length, 0);
    reader.read_exact(body).ok()?;
    if descriptor.channel != u32::MAX {
        return Some(Message::Sound(body));
    }
    let command = Command::read_tag_prefixed(&mut body.as_slice(), version);
    Some(command.map_or(Message::Unknown, |(_, command)| Message::Command(command)))
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // The thread that listens sees it; what is gone already needs no end.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
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
