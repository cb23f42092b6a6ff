//! Sound from a microphone here to a speaker there: session descriptions, codecs, RTP with
//! encryption and reports, the jitter buffer, sound devices and files.
//!
//! This room knows nothing of RELOAD. ICE and DTLS are made elsewhere: their candidates and
//! fingerprints go into a [`sdp::MediaDescription`], their keys into [`SrtpKeys`], and datagrams
//! that [`DatagramKind`] tells to be media go into an [`AudioSession`].
//!
//! | file | what | source |
//! |---|---|---|
//! | [`sdp`] | offer and answer | RFC 3264, 8866, 8839, 5763 |
//! | `srtp` | encryption, and telling datagrams apart | RFC 3711, 5764, 7983 |
//! | `codec` | Opus, and G.711 for ordinary phones | RFC 6716, 7587, 3551 |
//! | [`jitter`], `stretch` | when to play what, and how fast | |
//! | `red`, `path` | copies against loss; how much of them and of everything | RFC 2198 |
//! | `report`, `metrics`, `losses` | RTCP | RFC 3550, 3611 |
//! | `quality` | what people would say of the sound | RFC 3611 §4.7, ITU-T G.107 |
//! | `digit` | digits pressed in a call | RFC 4733 |
//! | `session`, `level` | all of that for one call | |
//! | `loopback` | a call with oneself | |
//! | `tone` | a phone that rings; a call that is recorded | |
//! | `conference` | calls that hear each other | |
//! | `machine` | an answering machine's turns | |
//! | `processing` | echo, noise and loudness of a microphone's sound | |
//! | `source`, `wav`, [`device`] | where sound comes from and goes to | |
//! | `resample` | other sample rates | |
//! | [`compare`] | whether what was heard is what was said | |

mod codec;
pub mod compare;
mod conference;
#[cfg(feature = "sound")]
pub mod device;
#[cfg(not(feature = "sound"))]
#[path = "device/none.rs"]
pub mod device;
mod digit;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod jitter;
mod level;
mod loopback;
mod losses;
mod machine;
mod metrics;
mod path;
mod processing;
mod quality;
mod red;
mod report;
mod resample;
pub mod sdp;
mod session;
mod source;
mod srtp;
mod stretch;
mod tone;
mod wav;

pub use codec::{Codec, CodecError, FRAME_SAMPLES, Format, Frame, SAMPLE_RATE, SILENCE};
pub use conference::{ConferencePort, add};
pub use digit::Digit;
pub use level::LevelMeter;
pub use loopback::Loopback;
pub use machine::{AnsweringMachine, MachineTurn};
pub use processing::VoiceProcessor;
pub use quality::Estimate;
pub use session::{AudioSession, AudioStatistics, SessionError, SessionSettings, SrtpKeys};
pub use source::{
    AudioSink, AudioSource, DeviceKind, Readiness, Silence, SinkChoice, SoundDevice, SoundError,
    SourceChoice,
};
pub use srtp::{DatagramKind, Profile, SOURCES_MAX, SrtpError, SrtpSession};
pub use tone::{NoticeTone, RingTone, Ringing};
pub use wav::{CallRecorder, Recording, WavSink, WavSource, read_wav, wav_length};
