//! A call: on the screen, in the history, and in figures.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::phone::quality::SoundTrouble;
use crate::phone::recording::CallRecording;
use crate::phone::words;

/// Names one call for as long as the phone runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

/// Which side began a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The other side called us.
    Incoming,
    /// We called.
    Outgoing,
}

/// One call on the screen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Call {
    /// The call's name in commands.
    pub id: CallId,
    /// The name of the overlay that it was begun in; the domain of our ordinary account if it has
    /// come in there.
    pub overlay: String,
    /// Who called.
    pub direction: Direction,
    /// The other side's Address of Record.
    pub peer: String,
    /// How far it has come.
    pub state: CallState,
    /// How sure we are of the other side's name.
    pub verified: Verified,
    /// Whether the other side's name is of another domain than the overlay: unverified, for an
    /// overlay that takes any name can't know to whom the domain belongs (RFC 7904 §8.2.3).
    pub is_domain_unverified: bool,
    /// Who has answered, if calls to the other side are forwarded; then the above is about them.
    pub forwarded_to: Option<String>,
    /// Whether somebody calls whom we have never talked to: they are shown and make no sound.
    pub is_knocking: bool,
    /// Whom we connect the other side to, until that has come about or failed.
    pub transferring_to: Option<String>,
    /// Who has brought the call about, if somebody else has: proven if we are the ones who call,
    /// else in the caller's words.
    pub transferred_by: Option<String>,
    /// Whether the answering machine has it.
    pub takes_message: bool,
    /// The conference that it is in: calls of the same one hear each other.
    pub conference: Option<CallId>,
    /// Whether our microphone is cut off.
    pub muted: bool,
    /// Whether we have put it on hold: no sound flows.
    pub held_by_us: bool,
    /// Whether the other side has put it on hold.
    pub held_by_them: bool,
    /// What our microphone hears now, 0 to 1.
    pub level_sent: f32,
    /// What we hear now, 0 to 1.
    pub level_received: f32,
    /// One word and the figures behind it, while talking.
    pub quality: Option<Quality>,
    /// What is wrong with the sound, for as long as it is.
    pub trouble: Option<SoundTrouble>,
    /// Whether the call is recorded, and by whom.
    pub recording: CallRecording,
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// On the way to the other side; the step in plain words.
    Dialling {
        /// What is being done, such as "Looking up bob".
        step: String,
    },
    /// The other side's phone rings.
    Ringing,
    /// Our phone rings.
    Incoming,
    /// Both sides talk.
    Talking {
        /// For how long.
        duration: Duration,
    },
    /// Over: one sentence that says how, and names the failed step if one failed.
    Ended {
        /// The sentence.
        reason: String,
        /// How long both sides talked.
        duration: Duration,
    },
}

/// How sure we are of the other side's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// No link yet.
    #[default]
    Unknown,
    /// An enrollment authority of the overlay vouches for the name.
    Authority,
    /// A self-signed certificate, the first one seen for this name.
    SelfSignedNew,
    /// A self-signed certificate with the key seen last time.
    SelfSignedKnown,
    /// A self-signed certificate with another key than last time.
    SelfSignedChanged,
    /// The call goes by an ordinary account of ours: its provider says who that is, and can hear
    /// what is said.
    Ordinary,
}

/// What the sound is like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// One word: "Good", "Fair" or "Poor", or "Connected" while the other side says nothing that
    /// could be judged.
    pub word: &'static str,
    /// Share of packets lost on the way to us, 0 to 1.
    pub loss: f32,
    /// Round-trip time, once a report has come.
    pub rtt: Option<Duration>,
    /// How long the jitter buffer holds sound.
    pub buffer: Duration,
    /// What people would say of what we hear, 1 (bad) to 4.5, as the E-model estimates it.
    pub score: Option<f32>,
    /// What they would say of what the other side hears, as it reports.
    pub score_there: Option<f32>,
    /// The path in a word, such as "direct"; empty if a provider has the call.
    pub path: String,
}

/// One line of the recent calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Who called.
    pub direction: Direction,
    /// The other side's Address of Record.
    pub peer: String,
    /// When it began, milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// How long both sides talked; zero if they did not.
    pub duration: Duration,
    /// The sentence that the call ended with.
    pub outcome: String,
    /// Whether both sides talked.
    pub answered: bool,
}

/// How a past call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Both sides talked.
    Talked,
    /// It rang here, and nobody answered.
    Missed,
    /// Another device of ours has answered.
    Elsewhere,
    /// We declined.
    Declined,
    /// It did not ring, for we want nothing from whoever called.
    Refused,
    /// We gave up.
    GaveUp,
    /// Nobody there answered or wanted to.
    Unanswered,
    /// The other side was not reached; the entry's sentence says why.
    Failed,
}

impl HistoryEntry {
    /// How the call went.
    pub fn ending(&self) -> Ending {
        let outcome = self.outcome.as_str();
        match self.direction {
            _ if self.answered => Ending::Talked,
            _ if outcome == words::ELSEWHERE => Ending::Elsewhere,
            Direction::Incoming if outcome == words::DECLINED => Ending::Declined,
            Direction::Incoming if words::is_refused(outcome, &self.peer) => Ending::Refused,
            Direction::Incoming => Ending::Missed,
            Direction::Outgoing if outcome == words::GAVE_UP => Ending::GaveUp,
            Direction::Outgoing if words::is_unanswered(outcome) => Ending::Unanswered,
            Direction::Outgoing => Ending::Failed,
        }
    }
}

/// Figures of one call. Times are milliseconds since dialling; `None` where the step was not
/// reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CallReport {
    /// Whether the call was answered.
    pub answered: bool,
    /// How long both sides talked, in milliseconds.
    pub talk_ms: u64,
    /// Links that the Fetch crossed.
    pub hops: Option<u32>,
    /// Fetch answered.
    pub fetch_ms: Option<u64>,
    /// AppAttach answered.
    pub attach_ms: Option<u64>,
    /// ICE has a path for SIP.
    pub ice_ms: Option<u64>,
    /// DTLS for SIP is up.
    pub dtls_ms: Option<u64>,
    /// 180 received.
    pub ringing_ms: Option<u64>,
    /// 200 received.
    pub answered_ms: Option<u64>,
    /// DTLS for sound is up.
    pub sound_ms: Option<u64>,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP packets received.
    pub packets_received: u64,
    /// RTP packets that never came.
    pub packets_lost: u64,
    /// Whether sound that was not silence was sent.
    pub sound_sent: bool,
    /// Whether sound that was not silence came in.
    pub sound_received: bool,
    /// What people would say of what we heard at the end, 1 (bad) to 4.5 (RFC 3611 §4.7.5).
    pub mos: Option<f32>,
    /// The same of what the other side heard, as it reported.
    pub mos_there: Option<f32>,
    /// The path that media took, such as "host 127.0.0.1:40000 - host 127.0.0.1:40002".
    pub path: Option<String>,
}
