//! All that a face draws.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Call, HistoryEntry, Settings};
use crate::phone::backup::Backup;
use crate::phone::book::{Contact, Imported};
use crate::phone::certify::{CertificateFacts, CredentialsWanted};
use crate::phone::devices::OwnDevice;
use crate::phone::document::DocumentFacts;
use crate::phone::hosting::HostedOverlay;
use crate::phone::machine::VoiceMessage;
use crate::phone::messages::Conversation;
use crate::phone::network::NetworkFacts;
use crate::phone::pins::KeyAlarm;
use crate::phone::protection::Protection;
use crate::phone::search::OverlaySearch;
use crate::phone::sip_accounts::SipAccountFacts;
use crate::phone::sound_test::RunningTest;
use crate::phone::trace::CallTrace;
use crate::phone::unproved::UnprovedOverlay;
use crate::phone::whereabouts::Whereabouts;

/// All that a face draws, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Snapshot {
    /// The overlays that we are in, on the way into or could not get into, in the order in which
    /// they were entered.
    pub memberships: Vec<Membership>,
    /// Calls, the newest first; an ended one stays until it is dismissed.
    pub calls: Vec<Call>,
    /// Recent calls, the newest first.
    pub history: Vec<HistoryEntry>,
    /// Messages that the answering machine has taken, the newest first.
    pub voice_messages: Vec<VoiceMessage>,
    /// The user's contacts, in the order of their addresses.
    pub contacts: Arc<Vec<Contact>>,
    /// Conversations, that with the latest text first.
    pub conversations: Arc<Vec<Arc<Conversation>>>,
    /// Whether those are there who were looked for last, by Address of Record.
    pub whereabouts: Arc<BTreeMap<String, Whereabouts>>,
    /// What the last command to import contacts has brought.
    pub imported: Option<Imported>,
    /// One sentence about the last command that could not be carried out.
    pub notice: Option<String>,
    /// What could not be read when the phone was started, and was set aside: one sentence each,
    /// until the user has read them.
    pub damage: Vec<String>,
    /// How sound is tried now, if it is.
    pub sound_test: Option<RunningTest>,
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
    /// Where the last command to save a document, or contacts, has written them.
    pub saved: Option<PathBuf>,
    /// How far the roads to overlays have come that were looked for.
    pub searches: Vec<OverlaySearch>,
    /// Overlays that were found on this network and that nothing proves: they are joined once the
    /// user says so.
    pub unproved: Vec<UnprovedOverlay>,
    /// Overlays that have peers on this network, by name; what they say of themselves.
    pub nearby: Vec<String>,
    /// Links that invite to the overlays that we are in, by the overlay's name.
    pub invitations: BTreeMap<String, String>,
    /// What is known of the network in the overlays that we are in, by the overlay's name.
    pub networks: BTreeMap<String, NetworkFacts>,
    /// How far the running call has come, or the last one if none runs.
    pub trace: Option<Arc<CallTrace>>,
    /// How far the last call that failed has come.
    pub failure: Option<Arc<CallTrace>>,
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
    /// The user's ordinary accounts, by which calls leave the overlays.
    pub sip_accounts: Vec<SipAccountFacts>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// Who we are there.
    pub me: Me,
    /// How far we are.
    pub state: OverlayState,
    /// What the overlay's document says.
    pub document: DocumentFacts,
}

/// Our own identity in an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// The id that settings keep.
    pub id: String,
    /// The name that people read.
    pub name: String,
}

/// How far we are in the overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
