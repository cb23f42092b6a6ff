//! What a face asks of the phone.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::{CallId, Settings};
use crate::crypto::Password;
use crate::phone::book::ContactJob;
use crate::phone::hosting::OverlayKind;
use crate::phone::identity::Credentials;
use crate::phone::machine::VoiceMessageJob;
use crate::phone::messages::MessageJob;
use crate::phone::people::AccountJob;
use crate::phone::pins::KeyAnswer;
use crate::phone::search::Entrance;
use crate::phone::sip_accounts::SipAccountJob;
use crate::phone::sound_test::SoundTest;

/// What a face asks of the phone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
    /// Run the server of an overlay in [`Snapshot::hosted`](super::Snapshot::hosted), or no more:
    /// calls go on without it.
    RunOverlay {
        /// The overlay's name.
        overlay: String,
        /// Whether it is to run, now and whenever the program starts.
        is_wanted: bool,
    },
    /// Work on the accounts of an overlay in [`Snapshot::hosted`](super::Snapshot::hosted).
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
    /// Say whether to join an overlay in [`Snapshot::unproved`](super::Snapshot::unproved), though
    /// nothing proves that it is the right one.
    AnswerUnproved {
        /// The overlay's name.
        overlay: String,
        /// Whether it is joined.
        is_wanted: bool,
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
    /// Put a call on hold, so that no sound flows, or go on with it.
    Hold(CallId, bool),
    /// Try microphone, speaker or ringer, or stop.
    TestSound(Option<SoundTest>),
    /// Work on a message in [`Snapshot::voice_messages`](super::Snapshot::voice_messages).
    VoiceMessage(VoiceMessageJob),
    /// Record a call to a file in the user's folder, both sides; or stop. The other side is told.
    Record(CallId, bool),
    /// Press a key of a telephone in a call: 0 to 9, `*`, `#` or A to D.
    Digit(CallId, char),
    /// Connect the other side of a call to somebody else. Our call ends once they talk.
    Transfer {
        /// The call.
        call: CallId,
        /// An Address of Record, or a user name of the call's overlay.
        to: String,
    },
    /// Connect the other sides of two calls with each other, and end both for us.
    TransferTo {
        /// The call whose other side calls.
        call: CallId,
        /// The call whose other side is called, and whose place the new call takes.
        other: CallId,
    },
    /// Let the other sides of two calls, and of those merged with them before, hear each other.
    Merge {
        /// A call.
        call: CallId,
        /// Another call.
        other: CallId,
    },
    /// Take a call out of those that it is merged with, and talk in it alone: the others are put
    /// on hold.
    Split(CallId),
    /// Take an ended call's card away.
    Dismiss(CallId),
    /// Take the notice away, and what was told of a backup.
    DismissNotice,
    /// The user has read what was found damaged at the start.
    DismissDamage,
    /// Look whether these Addresses of Record are there, to be told in
    /// [`Snapshot::whereabouts`](super::Snapshot::whereabouts). A face asks now and then for those
    /// that it shows.
    LookFor(Vec<String>),
    /// Forget the recent calls.
    ClearHistory,
    /// Work on the user's contacts.
    Contacts(ContactJob),
    /// Work on the conversations.
    Messages(MessageJob),
    /// Work on the ordinary accounts in [`Snapshot::sip_accounts`](super::Snapshot::sip_accounts).
    SipAccount(SipAccountJob),
    /// Change the settings.
    Configure(Box<Settings>),
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
    /// Say whose a key is that is in [`Snapshot::key_alarms`](super::Snapshot::key_alarms), or was
    /// refused.
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
    /// [`Snapshot::credentials_wanted`](super::Snapshot::credentials_wanted) asks; whatever waits
    /// for it goes on.
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
    /// Take a device in [`Snapshot::devices`](super::Snapshot::devices) from our name, as far as we
    /// can; the notice says how far that is.
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
    /// Tell what was counted so far: [`Event::Counted`](super::Event::Counted).
    Count,
    /// Bring [`Snapshot::networks`](super::Snapshot::networks) up to date. A face asks now and then
    /// for as long as it shows them: nobody else needs to know each change of them.
    Inspect,
}
