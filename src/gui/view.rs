//! What the window itself remembers: the page, the forms, a question that waits for an answer.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::words;
use crate::phone::{CallId, Command, Entrance};

/// The port of a bootstrap link when an address names none (RFC 6940 §11.1 and its IANA port).
const PORT_DEFAULT: u16 = 6084;
/// Longest user name; an Address of Record has to fit into a certificate's rfc822Name.
const USER_CHARS_MAX: usize = 64;
/// Longest DNS name (RFC 1035 §2.3.4), and its longest label.
const DOMAIN_CHARS_MAX: usize = 253;
const LABEL_CHARS_MAX: usize = 63;

/// The pages of the main window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Page {
    /// Dial field, recent calls, the running call.
    #[default]
    Calls,
    /// The overlay as this peer knows it.
    Network,
    /// Settings.
    Settings,
}

/// The part of the view that survives a restart. Anything unreadable falls back to its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The page shown last.
    pub page: Page,
}

/// A question that must be answered before something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Leave the overlay.
    Leave,
    /// Forget the recent calls.
    Clear,
    /// Close the window in a call.
    Close,
}

/// How far the user is on the first pages.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Setup {
    /// The choices.
    #[default]
    Choices,
    /// The form to join.
    Join,
    /// The form to start an overlay.
    Start,
    /// The form was sent off; what was sent, to be tried again.
    Going {
        /// What was sent.
        command: Command,
        /// Whether an older notice has gone, so that a notice seen now is about this command.
        notice_cleared: bool,
        /// Whether the phone has begun, so that being out now means that it has given up.
        begun: bool,
    },
}

/// The state of the view between two frames.
#[derive(Clone, Debug, Default)]
pub struct ViewState {
    /// What survives a restart.
    pub kept: Kept,
    /// The first pages.
    pub setup: Setup,
    /// The form to join.
    pub join: JoinForm,
    /// The form to start an overlay.
    pub start: StartForm,
    /// Whether the first field of a form takes the keyboard at the next frame.
    pub form_focus: bool,
    /// The dial and search field.
    pub dial: String,
    /// What is wrong with the dial field.
    pub dial_fault: Option<&'static str>,
    /// Whether the dial field takes the keyboard at the next frame.
    pub dial_focus: bool,
    /// The person chosen in the list.
    pub person: Option<String>,
    /// The question on the screen.
    pub question: Option<Question>,
    /// The incoming call on the screen and since when, in seconds of the window's clock.
    pub ringing: Option<(CallId, f64)>,
    /// Where the overlay document goes.
    pub save_path: String,
    /// What is wrong with it.
    pub save_fault: Option<&'static str>,
    /// A fault of the window itself, such as a phone that takes no commands.
    pub fault: Option<&'static str>,
    /// Whether the user has agreed to close the window.
    pub closing: bool,
    /// Milliseconds since the Unix epoch at this frame.
    pub now_ms: u64,
}

/// The form to join an overlay.
#[derive(Clone, Debug, Default)]
pub struct JoinForm {
    /// The document's path.
    pub document: String,
    /// The user's name.
    pub user: String,
    /// Addresses to try first.
    pub bootstrap: String,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

/// The form to start an overlay.
#[derive(Clone, Debug)]
pub struct StartForm {
    /// The overlay's name.
    pub name: String,
    /// The user's name.
    pub user: String,
    /// Where the bootstrap link listens.
    pub listen: String,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl Default for StartForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            user: String::new(),
            listen: format!("0.0.0.0:{PORT_DEFAULT}"),
            tried: false,
        }
    }
}

impl JoinForm {
    /// What is wrong with the document's path.
    pub fn document_fault(&self) -> Option<&'static str> {
        let path = self.document.trim();
        if path.is_empty() {
            Some(words::FAULT_DOCUMENT_EMPTY)
        } else if !document_path(path).is_file() {
            Some(words::FAULT_DOCUMENT_MISSING)
        } else {
            None
        }
    }

    /// The command that the form stands for, or `None` while something is wrong.
    pub fn command(&self) -> Option<Command> {
        if self.document_fault().is_some() || user_fault(&self.user).is_some() {
            return None;
        }
        Some(Command::Join {
            entrance: Entrance::Document(document_path(self.document.trim())),
            user: self.user.trim().to_owned(),
            bootstrap: addresses(&self.bootstrap).ok()?,
        })
    }
}

impl StartForm {
    /// The command that the form stands for, or `None` while something is wrong.
    pub fn command(&self) -> Option<Command> {
        if user_fault(&self.user).is_some() || overlay_fault(&self.name).is_some() {
            return None;
        }
        Some(Command::StartOverlay {
            name: self.name.trim().to_lowercase(),
            user: self.user.trim().to_owned(),
            listen: address(self.listen.trim())?,
        })
    }
}

/// What is wrong with a user name.
pub fn user_fault(user: &str) -> Option<&'static str> {
    let user = user.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if user.is_empty() {
        Some(words::FAULT_USER_EMPTY)
    } else if user.len() > USER_CHARS_MAX {
        Some(words::FAULT_USER_LONG)
    } else if !user.chars().all(allowed) {
        Some(words::FAULT_USER_SIGNS)
    } else {
        None
    }
}

/// What is wrong with an overlay's name.
pub fn overlay_fault(name: &str) -> Option<&'static str> {
    let name = name.trim();
    let label_is_good = |label: &str| {
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        label.len() <= LABEL_CHARS_MAX
            && edge(label.chars().next())
            && edge(label.chars().last())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if name.is_empty() {
        Some(words::FAULT_NETWORK_EMPTY)
    } else if name.len() > DOMAIN_CHARS_MAX || !name.split('.').all(label_is_good) {
        Some(words::FAULT_NETWORK_SIGNS)
    } else {
        None
    }
}

/// What is wrong with a name that is to be called.
pub fn dial_fault(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("sip:").unwrap_or(name);
    let mut parts = name.split('@');
    if name.contains(char::is_whitespace) {
        Some(words::FAULT_DIAL_SPACE)
    } else if parts.by_ref().take(2).any(str::is_empty) || parts.next().is_some() {
        Some(words::FAULT_DIAL_AT)
    } else {
        None
    }
}

/// Addresses separated by spaces or commas, or the part that is none.
pub fn addresses(text: &str) -> Result<Vec<SocketAddr>, &str> {
    text.split([',', ' ', ';'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| address(part).ok_or(part))
        .collect()
}

/// An address with a port, or with the usual port if it names none.
pub fn address(text: &str) -> Option<SocketAddr> {
    let bare = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT_DEFAULT));
    text.parse().ok().or_else(bare)
}

/// A path as people type or paste it: with quotes, as a `file://` link, or from the home folder.
fn document_path(text: &str) -> PathBuf {
    let text = text.trim_matches(['"', '\'']);
    let text = text.strip_prefix("file://").unwrap_or(text);
    if let Some(rest) = text.strip_prefix("~/")
        && let Some(dirs) = directories::UserDirs::new()
    {
        return dirs.home_dir().join(rest);
    }
    PathBuf::from(text)
}

/// Where a document is to be written, or what is wrong with the path.
pub fn save_target(text: &str) -> Result<PathBuf, &'static str> {
    match text.trim() {
        "" => Err(words::FAULT_SAVE_EMPTY),
        path => Ok(document_path(path)),
    }
}

/// Where an overlay's document goes unless the user says otherwise.
pub fn save_path_default(overlay: &str) -> String {
    let file = format!("{overlay}.xml");
    let folder = directories::UserDirs::new()
        .map(|dirs| dirs.document_dir().unwrap_or_else(|| dirs.home_dir()).to_owned());
    folder.map_or_else(|| file.clone(), |folder| folder.join(&file).display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_called_are_told_apart() {
        assert_eq!(dial_fault("bob"), None);
        assert_eq!(dial_fault("sip:bob@smith-family"), None);
        assert_eq!(dial_fault("bob b"), Some(words::FAULT_DIAL_SPACE));
        assert_eq!(dial_fault("bob@"), Some(words::FAULT_DIAL_AT));
        assert_eq!(dial_fault("@x"), Some(words::FAULT_DIAL_AT));
        assert_eq!(dial_fault("a@b@c"), Some(words::FAULT_DIAL_AT));
    }

    #[test]
    fn user_and_overlay_names_are_checked_while_typing() {
        assert_eq!(user_fault(" alice "), None);
        assert_eq!(user_fault(" "), Some(words::FAULT_USER_EMPTY));
        assert_eq!(user_fault("al ice"), Some(words::FAULT_USER_SIGNS));
        assert_eq!(user_fault(&"a".repeat(65)), Some(words::FAULT_USER_LONG));
        assert_eq!(overlay_fault("smith-family.example"), None);
        assert_eq!(overlay_fault(""), Some(words::FAULT_NETWORK_EMPTY));
        for wrong in ["a..b", "-a", "a-", "a_b", "a b", ".a"] {
            assert_eq!(overlay_fault(wrong), Some(words::FAULT_NETWORK_SIGNS), "{wrong}");
        }
    }

    #[test]
    fn addresses_without_a_port_take_the_usual_one() {
        let two = addresses("192.0.2.7, [2001:db8::1]:7000").expect("both are addresses");
        assert_eq!(two[0].to_string(), "192.0.2.7:6084");
        assert_eq!(two[1].to_string(), "[2001:db8::1]:7000");
        assert_eq!(addresses(""), Ok(vec![]));
        assert_eq!(addresses("192.0.2.7 nowhere"), Err("nowhere"));
    }

    #[test]
    fn a_form_becomes_a_command_only_without_faults() {
        let mut form = StartForm { name: "Smith".into(), ..StartForm::default() };
        assert_eq!(form.command(), None);
        form.user = "alice".into();
        let listen = "0.0.0.0:6084".parse().expect("an address");
        let (name, user) = ("smith".into(), "alice".into());
        assert_eq!(form.command(), Some(Command::StartOverlay { name, user, listen }));
        form.listen = "here".into();
        assert_eq!(form.command(), None);
    }

    #[test]
    fn a_pasted_link_is_a_path() {
        assert_eq!(document_path("file:///x/y.xml"), PathBuf::from("/x/y.xml"));
        assert_eq!(document_path("\"/x/y z.xml\""), PathBuf::from("/x/y z.xml"));
    }

    #[test]
    fn the_kept_part_reads_what_it_wrote_and_fills_what_is_missing() {
        let kept = Kept { page: Page::Network };
        let text = serde_json::to_string(&kept).expect("plain data");
        assert_eq!(serde_json::from_str::<Kept>(&text).expect("just written"), kept);
        assert_eq!(serde_json::from_str::<Kept>("{}").expect("empty"), Kept::default());
    }
}
