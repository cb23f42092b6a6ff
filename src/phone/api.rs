//! What a face sees of the phone: [`Command`] in, [`Snapshot`] and [`Event`] out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backup::Backup;
use super::certify::{CertificateFacts, CredentialsWanted};
use super::devices::OwnDevice;
pub use super::document::DocumentFacts;
use super::hosting::{HostedOverlay, OverlayKind};
pub use super::identity::Credentials;
use super::lent::LentRelay;
use super::people::AccountJob;
use super::pins::{KeyAlarm, KeyAnswer};
use super::protection::Protection;
use super::search::{Entrance, OverlaySearch};
use crate::crypto::Password;
use crate::enroll::{Road, RoadNews};
use crate::link::{NodeCounters, NodeStatus};

/// Names one call for as long as the phone runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct CallId(pub u64);

/// What a face asks of the phone.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Make an overlay `name` on this machine and join it as `user`.
    StartOverlay {
        /// The overlay's name, a DNS name.
        name: String,
        /// The part of the Address of Record before the `@`.
        user: String,
        /// Where other peers reach the founder's bootstrap link.
        listen: SocketAddr,
        /// Who gives out its names.
        kind: OverlayKind,
    },
    /// Run the server of an overlay in [`Snapshot::hosted`], or no more: calls go on without it.
    RunOverlay {
        /// The overlay's name.
        overlay: String,
        /// Whether it is to run, now and whenever the program starts.
        is_wanted: bool,
    },
    /// Work on the accounts of an overlay in [`Snapshot::hosted`].
    Accounts {
        /// The overlay's name.
        overlay: String,
        /// What is to be done.
        job: AccountJob,
    },
    /// Found the overlay of a configuration document: be its first peer. Only ever asked for by
    /// the user, never a way out of a failure to join (RFC 6940 §6.4.2.1 has nobody infer it).
    Found {
        /// The document's file, or `None` for the overlay chosen now, or else joined last.
        document: Option<PathBuf>,
        /// The part of the Address of Record before the `@`.
        user: String,
    },
    /// Join an overlay.
    Join {
        /// Where the way in begins.
        entrance: Entrance,
        /// The part of the Address of Record before the `@`.
        user: String,
        /// Bootstrap nodes to try beside those of the document.
        bootstrap: Vec<SocketAddr>,
    },
    /// Join every overlay that we were in when the program ended last.
    Rejoin,
    /// Leave the overlay of this name and end the calls in it, or give up entering it. Without a
    /// name all overlays are left because the program ends: [`Command::Rejoin`] joins them again.
    Leave(Option<String>),
    /// Write an overlay's document to a file, to be handed to others.
    SaveDocument {
        /// The overlay's name.
        overlay: String,
        /// The file.
        path: PathBuf,
    },
    /// Call an Address of Record, or a user name of the default overlay.
    Dial(String),
    /// Answer an incoming call.
    Answer(CallId),
    /// Decline an incoming call.
    Decline(CallId),
    /// End a call, or give up dialling.
    HangUp(CallId),
    /// Stop or resume sending what the microphone hears.
    Mute(CallId, bool),
    /// Take an ended call's card away.
    Dismiss(CallId),
    /// Take the notice away, and what was told of a backup.
    DismissNotice,
    /// Forget the recent calls.
    ClearHistory,
    /// Change the settings.
    Configure(Settings),
    /// Have all calls to us forwarded to a name, or to nobody from now on.
    Forward(Option<String>),
    /// Encrypt private keys under a password, or give them another one.
    Protect(Password),
    /// Open private keys by their password, or without one by this computer's key store.
    Unlock(Option<Password>),
    /// Write every identity, document and memory to one encrypted file.
    BackUp {
        /// The file; an older backup is replaced.
        path: PathBuf,
        /// What will open it.
        password: Password,
    },
    /// Bring back what is in a backup. An identity that is here already stays as it is; if it is
    /// another one of the same name, nothing is restored.
    Restore {
        /// The file.
        path: PathBuf,
        /// What opens it.
        password: Password,
    },
    /// Say whose a key is that is in [`Snapshot::key_alarms`], or was refused.
    AnswerAlarm {
        /// The overlay's name.
        overlay: String,
        /// The name that the key is under.
        aor: String,
        /// The key's Node-ID in hexadecimal.
        node_id: String,
        /// Whose it is.
        answer: KeyAnswer,
    },
    /// Say what an enrollment server knows the user by, before entering its overlay or because
    /// [`Snapshot::credentials_wanted`] asks; whatever waits for it goes on.
    GiveCredentials {
        /// The overlay's name.
        overlay: String,
        /// The user name that the certificate is for.
        user: String,
        /// The account and its password.
        credentials: Credentials,
    },
    /// Enter an overlay of self-signed certificates beside whoever has our name there: they are
    /// other devices of ours. Holds until the program ends; what is pinned by it stays.
    EnterBeside {
        /// The overlay's name.
        overlay: String,
        /// Our user name.
        user: String,
    },
    /// Take a device in [`Snapshot::devices`] from our name, as far as we can; the notice says how
    /// far that is.
    RemoveDevice {
        /// The overlay's name.
        overlay: String,
        /// The device's Node-ID in hexadecimal.
        node_id: String,
    },
    /// Forget all keys of a name, so that the next one is taken for the first.
    ForgetKeys {
        /// The overlay's name.
        overlay: String,
        /// The name.
        aor: String,
    },
    /// Tell what was counted so far: [`Event::Counted`].
    Count,
}

/// Settings of the user, kept in `settings.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The microphone's stable id, or `None` for the system's choice.
    pub microphone: Option<String>,
    /// The speaker's stable id, or `None` for the system's choice.
    pub speaker: Option<String>,
    /// Dark, light, or as the system has it.
    pub theme: Theme,
    /// Neither look for peers on the network around nor be seen there.
    pub hidden_on_lan: bool,
    /// Join the overlays again, in which the program was when it ended, when it starts.
    pub join_at_start: bool,
    /// The name of the overlay that names without a domain are of; without one, or while we are
    /// not in it, that is the overlay entered first.
    pub default_overlay: Option<String>,
    /// The Address of Record that calls to us are forwarded to: it is stored in our place under our
    /// name (RFC 7904 §3.2).
    pub forward_to: Option<String>,
    /// Whether callers are to use SIPS, and SIP is refused (RFC 7904 §5.1).
    pub sips_only: bool,
    /// What is lent to others whose networks let nothing else through, from the next time that we
    /// enter an overlay.
    #[serde(flatten)]
    pub relay: LentRelay,
}

/// Colours of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Light text on dark.
    Dark,
    /// Dark text on light.
    Light,
}

/// All that a face draws, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The overlays that we are in, on the way into or could not get into, in the order in which
    /// they were entered.
    pub memberships: Vec<Membership>,
    /// Calls, the newest first; an ended one stays until it is dismissed.
    pub calls: Vec<Call>,
    /// Recent calls, the newest first.
    pub history: Vec<HistoryEntry>,
    /// One sentence about the last command that could not be carried out.
    pub notice: Option<String>,
    /// Microphones by stable id and name.
    pub microphones: Vec<Device>,
    /// Speakers by stable id and name.
    pub speakers: Vec<Device>,
    /// The settings in force.
    pub settings: Settings,
    /// The overlay and user joined last, offered on the first page.
    pub last: Option<Me>,
    /// Overlays founded on this computer, which can be founded again when nobody is left in them.
    pub founded: Vec<String>,
    /// Where the last command to save the document has written it.
    pub saved: Option<PathBuf>,
    /// How far the roads to overlays have come that were looked for.
    pub searches: Vec<OverlaySearch>,
    /// Overlays that have peers on this network, by name; what they say of themselves.
    pub nearby: Vec<String>,
    /// Links that invite to the overlays that we are in, by the overlay's name.
    pub invitations: BTreeMap<String, String>,
    /// How private keys are kept.
    pub protection: Protection,
    /// Whether there is a backup of our identities.
    pub backup: Backup,
    /// Keys under names that had others before: no sound goes to them or comes from them until
    /// the user has answered.
    pub key_alarms: Vec<KeyAlarm>,
    /// The devices under our names, in the overlays that we are in.
    pub devices: Vec<OwnDevice>,
    /// Accounts and passwords that enrollment servers want to know.
    pub credentials_wanted: Vec<CredentialsWanted>,
    /// Our certificates from authorities, in the overlays that we are in.
    pub certificates: Vec<CertificateFacts>,
    /// The overlays whose names this computer gives out.
    pub hosted: Vec<HostedOverlay>,
    /// The Addresses of Record that the last command to restore has found in the backup, until
    /// the notice is dismissed.
    pub restored: Vec<String>,
}

impl Snapshot {
    /// The membership whose overlay names without a domain are of.
    pub fn default_membership(&self) -> Option<&Membership> {
        let default = self.settings.default_overlay.as_ref();
        let chosen = default.and_then(|name| self.membership(name));
        chosen.or_else(|| self.memberships.first())
    }

    /// The membership in the overlay of this name.
    pub fn membership(&self, overlay: &str) -> Option<&Membership> {
        self.memberships.iter().find(|membership| membership.me.overlay == overlay)
    }

    /// Who we are in the default overlay.
    pub fn me(&self) -> Option<&Me> {
        self.default_membership().map(|membership| &membership.me)
    }

    /// How far we are in the default overlay.
    pub fn overlay(&self) -> &OverlayState {
        self.default_membership().map_or(&OverlayState::Out, |membership| &membership.state)
    }
}

/// An overlay that we are in, on the way into or could not get into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Who we are there.
    pub me: Me,
    /// How far we are.
    pub state: OverlayState,
    /// What the overlay's document says.
    pub document: DocumentFacts,
}

/// Our own identity in an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// The user part of the Address of Record.
    pub user: String,
    /// The overlay's name.
    pub overlay: String,
    /// Our Node-ID in hexadecimal; empty before it is known.
    pub node_id: String,
}

impl Me {
    /// The Address of Record without a scheme.
    pub fn aor(&self) -> String {
        format!("{}@{}", self.user, self.overlay)
    }
}

/// A sound device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The id that settings keep.
    pub id: String,
    /// The name that people read.
    pub name: String,
}

/// How far we are in the overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OverlayState {
    /// In none.
    #[default]
    Out,
    /// On the way in; the step in plain words.
    Joining {
        /// What is being done, as a sentence part such as "Finding our place".
        step: String,
    },
    /// A full peer.
    Joined {
        /// Whether our Address of Record is stored, so that others can call.
        registered: bool,
        /// Peers with a link to us.
        links: usize,
        /// Values that we keep for the overlay.
        values_stored: usize,
        /// Where our bootstrap link listens.
        listen: Option<SocketAddr>,
    },
    /// Not in, and why: one sentence that names the step.
    Failed {
        /// The sentence.
        reason: String,
    },
}

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
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The call's name in commands.
    pub id: CallId,
    /// The name of the overlay that it was begun in.
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
    /// Whether our microphone is cut off.
    pub muted: bool,
    /// What our microphone hears now, 0 to 1.
    pub level_sent: f32,
    /// What we hear now, 0 to 1.
    pub level_received: f32,
    /// One word and the figures behind it, while talking.
    pub quality: Option<Quality>,
}

/// How far a call has come.
#[derive(Clone, Debug, PartialEq)]
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
}

/// What the sound is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Quality {
    /// One word: "Good", "Fair" or "Poor".
    pub word: &'static str,
    /// Share of packets lost on the way to us, 0 to 1.
    pub loss: f32,
    /// Round-trip time, once a report has come.
    pub rtt: Option<Duration>,
    /// How long the jitter buffer holds sound.
    pub buffer: Duration,
    /// The path in a word, such as "direct".
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

impl HistoryEntry {
    /// Whether the user declined the call, which is then no missed one.
    pub fn is_declined(&self) -> bool {
        self.direction == Direction::Incoming && self.outcome == super::words::DECLINED
    }
}

/// What happened, for faces that print it line by line.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// We are a peer of an overlay.
    Joined {
        /// The overlay's name.
        overlay: String,
        /// Our Node-ID in hexadecimal.
        node_id: String,
        /// Where our bootstrap link listens.
        listen: Option<SocketAddr>,
    },
    /// Our Address of Record is stored.
    Registered {
        /// The Address of Record.
        aor: String,
    },
    /// An overlay has a newer document, which is kept.
    Document {
        /// The overlay's name.
        overlay: String,
        /// Its sequence.
        sequence: u16,
    },
    /// A road to an overlay that is looked for has come farther.
    Searching {
        /// The name that is looked for.
        overlay: String,
        /// Which road, and how far.
        news: RoadNews,
    },
    /// The document of an overlay was found.
    Found {
        /// The name that was looked for.
        overlay: String,
        /// How it came.
        road: Road,
        /// Whether anything proves that it is the right one.
        is_proved: bool,
    },
    /// A call has come in.
    Incoming {
        /// The call.
        call: CallId,
        /// The caller's Address of Record.
        peer: String,
    },
    /// A call was answered, by us or by the other side.
    Answered {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
    },
    /// A call is over.
    Ended {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
        /// The sentence.
        reason: String,
        /// Figures of the call.
        report: Box<CallReport>,
    },
    /// Something failed: one sentence.
    Error {
        /// The sentence.
        message: String,
    },
    /// We have left an overlay.
    Left {
        /// The overlay's name.
        overlay: String,
    },
    /// What the node of an overlay has counted since it was started: the answer to
    /// [`Command::Count`], for each overlay.
    Counted {
        /// The overlay's name.
        overlay: String,
        /// Nodes with a link to us, and values that we keep.
        status: NodeStatus,
        /// Messages and links, and what was wrong with them.
        counters: Box<NodeCounters>,
    },
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
    /// The path that media took, such as "host 127.0.0.1:40000 - host 127.0.0.1:40002".
    pub path: Option<String>,
}
