//! The softphone without a window: [`Command`] in, [`Snapshot`] and [`Event`] out.
//!
//! | file | what | |
//! |---|---|---|
//! | `api`, `handle` | what a face sees, and its end of the channels | |
//! | `engine` | the one task that everything below is a part of | |
//! | `account`, `enter`, `presence` | memberships: the way in, the life, the way out | |
//! | `search` | an overlay's document, by name or invitation | RFC 6940 §11.2 |
//! | `unproved` | a document that nothing proves, which waits for the user's word | |
//! | `document`, `refresh` | the document: started, kept, newer ones looked for | RFC 6940 §11.1 |
//! | `certify`, `revocation` | certificates: got, renewed, taken back | RFC 6940 §11.3 |
//! | `host` | an overlay's own server and first peer, with or without a phone | RFC 6940 §11.3 |
//! | `hosting`, `people` | overlays whose names this computer gives out, and their accounts | |
//! | `calls`, `outgoing`, `dial`, `signal`, `talk` | a call: begun, found, SIP, sound | RFC 7904 |
//! | `flows` | connections for SIP | RFC 7904 §5.1 |
//! | `outside` | calls by an ordinary account, ours and others' | RFC 7904 §4.2 |
//! | `telephone` | calls to such an account, which ring here | RFC 3261 §10 |
//! | `sip_accounts` | those accounts, kept in the user's folder | |
//! | `welcome` | calls that ring, knock, or go on to somebody else | RFC 3261 §21.3 |
//! | `transfer` | calls that are handed over | RFC 3515, 3891 |
//! | `session`, `moving` | hold; a call in another network | RFC 3261 §14, 3264 §8 |
//! | `conference` | calls that hear each other | |
//! | `contacts` | devices that calls have reached, so that the next is quick | |
//! | `messages` | conversations; texts that are delivered until they have arrived | RFC 3428 |
//! | `whereabouts` | whether somebody is there | RFC 6940 §6.5.3 |
//! | `book`, `vcard` | the user's contacts; in files of other programs | RFC 6350 |
//! | `failure`, `trace` | why a call did not come about; how far it came | |
//! | `lent`, `network` | what is lent to others; what is known of the network | |
//! | `sound`, `sound_test`, `quality` | the sound that is wished; tried; what it is like | |
//! | `machine` | the answering machine and its messages | |
//! | `speech`, `voice`, `turns` | a call's sound; our end of it, and when | |
//! | `recording` | of both sides | RFC 7866 |
//! | `control` | programs on this computer that steer the phone | |
//! | `names`, `ring` | names that are typed; ringing | RFC 7904 §4 |
//! | `trust`, `pins`, `devices` | whose key it is, and which devices are ours | RFC 7904 §8.2 |
//! | `state`, `data`, `damage` | the user's folder and its database; what of them can't be read | |
//! | `identity`, `backup`, `backup_hosts` | keys and certificates in it; all of it as one file | |
//! | `protection`, `keystore`, `keeping` | how private keys are encrypted, and by whose wish | |
//! | `sip_account` | ordinary SIP accounts, at a registrar | RFC 3261 §10 |
//! | `words` | sentences that end calls | |

mod account;
mod api;
mod backup;
mod backup_hosts;
mod book;
mod calls;
mod certify;
mod conference;
mod contacts;
mod control;
mod damage;
mod data;
mod devices;
mod dial;
mod document;
mod engine;
mod enter;
mod failure;
mod flows;
mod handle;
mod host;
mod hosting;
mod identity;
mod keeping;
mod keystore;
mod lent;
mod machine;
mod messages;
mod moving;
mod names;
mod network;
mod outgoing;
mod outside;
mod people;
mod pins;
mod presence;
mod protection;
mod quality;
mod recording;
mod refresh;
mod revocation;
mod ring;
mod search;
mod session;
mod signal;
mod sip_account;
mod sip_accounts;
mod sound;
mod sound_test;
mod speech;
mod state;
mod talk;
mod telephone;
#[cfg(test)]
mod tests;
mod trace;
mod transfer;
mod trust;
mod turns;
mod unproved;
mod vcard;
mod voice;
mod welcome;
mod whereabouts;
mod words;

pub use api::{
    Call, CallId, CallReport, CallState, Command, DesktopSettings, Device, Direction, Ending,
    Event, HistoryEntry, Language, Me, Membership, OverlayState, Quality, Settings, Snapshot,
    Theme, Verified,
};
pub use backup::{Backup, Restored};
pub use book::{Contact, ContactJob, Imported};
pub use certify::{CertificateFacts, CredentialsWanted};
pub use control::{Client, Control, ControlError, Wish, to_dial};
pub use devices::OwnDevice;
pub use document::{DocumentFacts, first_document, next_document};
pub use engine::{PhoneOptions, start};
#[cfg(test)]
pub(crate) use failure::every_failure;
pub use handle::{Backend, Handle, channel};
pub use host::{Host, HostEvent, HostOptions};
pub use hosting::{HostState, HostedOverlay, OverlayKind};
pub use identity::{Credentials, Standing, StoredIdentity};
pub use keystore::{KeyStore, platform_key_store};
pub use lent::LentRelay;
pub use machine::{MachineSettings, VoiceMessage, VoiceMessageJob};
pub use messages::{Conversation, Delivery, Message, MessageId, MessageJob, Obstacle};
pub use names::{callee, forwarding, own_name};
pub use network::NetworkFacts;
pub use people::AccountJob;
pub use pins::{KeyAlarm, KeyAnswer, SeenKey, key_words};
pub use protection::{KeyStoreJob, Protection, StoreKey};
pub use quality::SoundTrouble;
pub use recording::CallRecording;
pub use search::{Entrance, OverlaySearch};
pub use sip_account::{SipAccount, SipPhone, SipPhoneOptions, SipTransport};
pub use sip_accounts::{SipAccountFacts, SipAccountJob};
pub use sound::SoundSettings;
pub use sound_test::{RunningTest, SoundTest};
pub use state::{StateError, StateFolder};
pub use telephone::SipReach;
pub use trace::{CallStep, CallTrace, Candidates, StepState};
pub use unproved::UnprovedOverlay;
pub use welcome::Welcome;
pub use whereabouts::Whereabouts;
#[cfg(test)]
pub(crate) use words::every_word;
