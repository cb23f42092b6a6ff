//! What the user has chosen, for all overlays and calls.

use serde::{Deserialize, Serialize};

use crate::phone::lent::LentRelay;
use crate::phone::machine::MachineSettings;
use crate::phone::sound::SoundSettings;
use crate::phone::welcome::Welcome;

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
    /// The language of the window.
    pub language: Language,
    /// Neither look for peers on the network around nor be seen there.
    pub hidden_on_lan: bool,
    /// Do not ask the router to open ports for calls.
    pub router_left_alone: bool,
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
    /// Whether our names are not stored in overlays: nobody sees that we are there, and nobody can
    /// call.
    pub is_unlisted: bool,
    /// What becomes of our sound.
    #[serde(flatten)]
    pub sound: SoundSettings,
    /// How calls to us are met.
    #[serde(flatten)]
    pub welcome: Welcome,
    /// Whom the answering machine answers.
    #[serde(flatten)]
    pub machine: MachineSettings,
    /// How the program lives on the user's desktop.
    #[serde(flatten)]
    pub desktop: DesktopSettings,
    /// What is lent to others whose networks let nothing else through.
    #[serde(flatten)]
    pub relay: LentRelay,
}

/// How the program lives on the user's desktop, kept with the other settings in `settings.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DesktopSettings {
    /// Whether a window that is closed leaves the phone in the tray, where there is one.
    pub close_to_tray: bool,
    /// Whether the program starts with the user's session, in the tray.
    pub start_at_login: bool,
    /// Whether players of music and films are paused during a call.
    pub pause_players: bool,
}

impl Default for DesktopSettings {
    fn default() -> Self {
        Self { close_to_tray: true, start_at_login: false, pause_players: true }
    }
}

/// The language of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// As the system has it, or English.
    #[default]
    System,
    /// English.
    English,
    /// German.
    German,
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
