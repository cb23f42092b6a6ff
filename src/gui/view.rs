//! What the window itself remembers: the page, the forms, a question that waits for an answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::files::FilesView;
use super::forms::{
    AccountForm, AddForm, JoinForm, PasswordForm, RestoreForm, Secret, SipForm, StartForm,
};
use crate::phone::{CallId, Command, Contact, MessageId};

/// The pages of the main window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Page {
    /// Dial field, recent calls, the running call.
    #[default]
    Calls,
    /// Whom the user knows.
    Contacts,
    /// Conversations.
    Messages,
    /// The overlay as this peer knows it.
    Network,
    /// Settings.
    Settings,
    /// Accounts of overlays whose names this computer gives out.
    People,
}

/// The part of the view that survives a restart. Anything unreadable falls back to its default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The page shown last.
    pub page: Page,
    /// When the newest call was begun that the user has seen in the list, milliseconds since the
    /// Unix epoch; later ones that were missed are counted.
    pub seen_unix_ms: u64,
    /// Whether the user has tried the sound step by step, or put it off.
    pub has_tried_sound: bool,
}

/// A step of trying the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SoundStep {
    /// Where the other side is heard.
    #[default]
    Speaker,
    /// Where it rings.
    Ringer,
    /// What hears the user.
    Microphone,
    /// The user, as others hear them.
    Loopback,
}

/// How far the user is in trying the sound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SoundSetup {
    /// The step.
    pub step: SoundStep,
    /// Whether the microphone has heard anything in it.
    pub is_heard: bool,
}

/// What stands open below the buttons of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// The keys of a telephone.
    Keypad,
    /// Whom the other side is to be connected to.
    HandOver,
}

/// Which of the recent calls are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Those that nobody here has answered.
    Missed,
}

/// What is typed about a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactForm {
    /// The address.
    pub aor: String,
    /// What the user calls them.
    pub name: String,
    /// What the user notes.
    pub note: String,
    /// Whether faults are shown: from the first attempt on.
    pub tried: bool,
}

impl ContactForm {
    /// The form with what is known of a contact.
    pub fn of(contact: &Contact) -> Self {
        let Contact { aor, name, note, .. } = contact.clone();
        Self { aor, name, note, tried: false }
    }
}

/// The page of contacts.
#[derive(Clone, Debug, Default)]
pub struct BookView {
    /// The form for somebody new.
    pub new: Option<ContactForm>,
    /// The fields of the chosen contact.
    pub edited: Option<ContactForm>,
    /// What was last sent of them, until the phone has it.
    pub sent: Option<Contact>,
    /// Who was removed last, to be taken back.
    pub removed: Option<Contact>,
    /// Whether the way to files is shown.
    pub has_files: bool,
    /// The file.
    pub path: String,
    /// What is wrong with it.
    pub path_fault: Option<&'static str>,
}

/// The page of conversations.
#[derive(Clone, Debug, Default)]
pub struct TalkView {
    /// Whose conversation is open.
    pub peer: Option<String>,
    /// What is typed for each person and not sent yet.
    pub drafts: BTreeMap<String, String>,
    /// Whether the field for the next text takes the keyboard at the next frame.
    pub focus: bool,
    /// The name typed for somebody to whom nothing was written yet.
    pub to: Option<String>,
    /// What is wrong with it.
    pub fault: Option<&'static str>,
    /// How many texts are shown, if more than at first.
    pub shown: usize,
    /// The latest text that the phone was told was seen.
    pub seen: Option<MessageId>,
}

/// A question that must be answered before something is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Leave the overlay of this name.
    Leave(String),
    /// Take a device from one's name.
    Remove {
        /// The overlay's name.
        overlay: String,
        /// The device's Node-ID in hexadecimal.
        node_id: String,
    },
    /// Put all devices of an account out of an overlay.
    PutOut {
        /// The overlay's name.
        overlay: String,
        /// The account.
        name: String,
    },
    /// Forget the keys of a name.
    Forget {
        /// The overlay's name.
        overlay: String,
        /// The name.
        aor: String,
    },
    /// Forget the conversation with a name.
    ForgetConversation(String),
    /// Remove the ordinary account of an address.
    RemoveAccount(String),
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
    /// The form to restore from a backup.
    Restore,
    /// A form was sent off.
    Going(Box<Going>),
    /// An overlay of this name was started: others can be invited.
    Share(String),
    /// These Addresses of Record were restored.
    Restored(Vec<String>),
}

/// A form that was sent off.
#[derive(Clone, Debug, PartialEq)]
pub struct Going {
    /// What was sent, to be tried again.
    pub command: Command,
    /// Whether the phone has it: not before an older notice has gone, so that a notice seen
    /// afterwards is about this command.
    pub sent: bool,
    /// Whether the phone has begun, so that being out now means that it has given up.
    pub begun: bool,
    /// Overlays that we were in before.
    pub before: Vec<String>,
}

/// A form about keys that stands where the settings would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Make a backup.
    BackUp,
    /// Encrypt keys under a password.
    Encrypt,
}

/// How far a form about keys has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// It is being filled in.
    #[default]
    Open,
    /// It waits until an older notice has gone.
    Clearing,
    /// The phone has it. The time of the backup before it, if there was one.
    Sent(Option<u64>),
}

/// The forms about keys.
#[derive(Clone, Debug, Default)]
pub struct KeepingView {
    /// The one that is open.
    pub open: Option<Keeping>,
    /// What is typed into it.
    pub form: PasswordForm,
    /// How far it has come.
    pub progress: Progress,
    /// Whether the offer of a backup was put off; it is not made again in this run.
    pub is_put_off: bool,
    /// Whether a backup was just made.
    pub is_saved: bool,
}

/// The question for the password that opens private keys.
#[derive(Clone, Debug, Default)]
pub struct UnlockView {
    /// What was typed.
    pub password: Secret,
    /// Whether the user has put it off.
    pub is_put_off: bool,
    /// Whether overlays are joined again once the keys are open.
    pub joins: bool,
}

/// The name of a file while it is being typed.
pub type PathField = Option<String>;

/// A name that may be none, while it is being typed, and whether it was left without being one.
pub type NameField = Option<(String, bool)>;

/// Whom calls go on to, while that is being typed.
#[derive(Clone, Debug, Default)]
pub struct GoingOn {
    /// All calls.
    pub all: NameField,
    /// Those that come while the user talks or wants to be left alone.
    pub busy: NameField,
    /// Those that nobody answers.
    pub unanswered: NameField,
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
    /// What an enrollment server wants to know.
    pub account: AccountForm,
    /// The form for an account that somebody else will have.
    pub add: AddForm,
    /// The form for an ordinary account, if it is open.
    pub telephone: Option<SipForm>,
    /// The form to restore from a backup.
    pub restore: RestoreForm,
    /// Whether the first pages are open beside the overlays that we are in.
    pub is_adding: bool,
    /// Whether choices that few need are shown.
    pub more: bool,
    /// Whether the first of them takes the keyboard at the next frame.
    pub more_focus: bool,
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
    /// Which of the recent calls are shown.
    pub filter: Filter,
    /// The page of contacts.
    pub book: BookView,
    /// The page of conversations.
    pub talk: TalkView,
    /// What stands open below the buttons of a call.
    pub panel: Option<(CallId, Panel)>,
    /// Whom the other side of that call is to be connected to.
    pub hand_to: String,
    /// The music for calls on hold, while it is being typed.
    pub hold_music: PathField,
    /// The delay in milliseconds and the loss in percent of the network in which one hears
    /// oneself.
    pub loopback: (u16, u8),
    /// Files that are chosen.
    pub files: FilesView,
    /// Trying the sound, if that is open.
    pub wizard: Option<SoundSetup>,
    /// Whom calls go on to, while it is being typed.
    pub going_on: GoingOn,
    /// The greeting of the answering machine, while it is being typed.
    pub greeting: PathField,
    /// The call that has failed whose steps are shown.
    pub why: Option<CallId>,
    /// The question on the screen.
    pub question: Option<Question>,
    /// The incoming call on the screen and since when, in seconds of the window's clock.
    pub ringing: Option<(CallId, f64)>,
    /// The overlay chosen on the Network page; without one, the default.
    pub overlay: Option<String>,
    /// When the phone was asked last for what changes on the page, in seconds of the window's
    /// clock.
    pub inspected: Option<f64>,
    /// When the phone was asked last whether those who are shown are there, in seconds of the
    /// window's clock, and for whom.
    pub looked: Option<(f64, Vec<String>)>,
    /// The link that was copied last.
    pub copied: Option<String>,
    /// The forms about keys.
    pub keeping: KeepingView,
    /// The question for the password that opens private keys.
    pub unlock: UnlockView,
    /// Whether the way to hand an overlay over as a file is shown.
    pub saving: bool,
    /// The overlay whose document goes there.
    pub save_for: Option<String>,
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

impl ViewState {
    /// Shows a person.
    pub fn choose(&mut self, peer: &str) {
        self.person = Some(peer.to_owned());
        self.book.new = None;
        (self.book.edited, self.book.sent) = (None, None);
    }

    /// Opens a conversation.
    pub fn write_to(&mut self, peer: &str) {
        self.kept.page = Page::Messages;
        let drafts = std::mem::take(&mut self.talk.drafts);
        let peer = Some(peer.to_owned());
        self.talk = TalkView { peer, drafts, focus: true, ..TalkView::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_part_reads_what_it_wrote_and_fills_what_is_missing() {
        let kept = Kept { page: Page::Network, seen_unix_ms: 7, has_tried_sound: true };
        let text = serde_json::to_string(&kept).expect("plain data");
        assert_eq!(serde_json::from_str::<Kept>(&text).expect("just written"), kept);
        assert_eq!(serde_json::from_str::<Kept>("{}").expect("empty"), Kept::default());
    }
}
