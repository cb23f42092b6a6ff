//! The window on made-up snapshots: what is clicked and typed must arrive as commands. The harness
//! itself fails on a widget without an accessible name and on a character that no font has.

mod book;
mod calls;
mod conversations;
mod day;
mod failures;
mod files;
mod first;
mod history;
mod keeping;
mod links;
mod names;
mod network;
mod people;
mod reach;
mod sound;
mod telephone;
mod welcome;
mod wizard;

use std::time::Duration;

use egui::accesskit::{Action, Role};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::view::{Page, Setup, ViewState};
use super::window::Window;
use super::{look, words};
use crate::phone::{
    Backend, Backup, Call, CallId, CallRecording, CallState, Command, DesktopSettings, Device,
    Direction, DocumentFacts, HistoryEntry, Language, Me, Membership, OverlayState, Quality,
    Settings, Snapshot, SoundSettings, Theme, Verified, Welcome, channel,
};

/// A window on `snapshot`, and the phone's end of it.
fn open<'a>(snapshot: Snapshot, size: [f32; 2]) -> (Harness<'a, Window>, Backend) {
    let (handle, backend) = channel(snapshot);
    let window = Window::new(handle, ViewState::default(), None);
    let mut harness = Harness::builder()
        .with_size(size)
        .with_max_steps(16)
        .with_context_setup(look::apply)
        .build_ui_state(|ui, window: &mut Window| window.ui(ui), window);
    harness.run();
    (harness, backend)
}

/// High enough for each page: what has to be scrolled to cannot be clicked on.
const WIDE: [f32; 2] = [960.0, 3600.0];
const NARROW: [f32; 2] = [400.0, 3600.0];

/// What the user has asked for; not what the pages ask for by themselves.
fn commands(backend: &mut Backend) -> Vec<Command> {
    let all = std::iter::from_fn(|| backend.commands.try_recv().ok());
    all.filter(|command| !matches!(command, Command::Inspect | Command::LookFor(_))).collect()
}

/// Lets the phone say something new.
fn tell(harness: &mut Harness<'_, Window>, backend: &Backend, snapshot: Snapshot) {
    backend.snapshot.send_replace(snapshot.into());
    harness.run();
}

fn click(harness: &mut Harness<'_, Window>, name: &str) {
    harness.get_by_role_and_label(Role::Button, name).click();
    harness.run();
}

fn write(harness: &mut Harness<'_, Window>, field: &str, text: &str) {
    harness.get_by_role_and_label(Role::TextInput, field).focus();
    harness.run();
    harness.get_by_role_and_label(Role::TextInput, field).type_text(text);
    harness.run();
}

fn write_password(harness: &mut Harness<'_, Window>, field: &str, text: &str) {
    harness.get_by_role_and_label(Role::PasswordInput, field).focus();
    harness.run();
    harness.get_by_role_and_label(Role::PasswordInput, field).type_text(text);
    harness.run();
}

/// Clicks, and gives what is on the clipboard then.
fn click_to_copy(harness: &mut Harness<'_, Window>, name: &str) -> Vec<String> {
    /// The pointer comes, presses and lets go.
    const FRAMES: usize = 4;
    harness.get_by_role_and_label(Role::Button, name).click();
    let mut texts = Vec::new();
    for _ in 0..FRAMES {
        harness.step();
        for command in &harness.output().platform_output.commands {
            if let egui::OutputCommand::CopyText(text) = command {
                texts.push(text.clone());
            }
        }
    }
    harness.run();
    texts
}

/// A link as the phone makes it.
const LINK: &str = "reload-invite:smith?signer=8f3a91c04be2d7760f1e5a9cc3b81d42\
                    &address=192.0.2.7:6084";

/// In an overlay that others can be invited to.
fn invited() -> Snapshot {
    let invitations = [("smith".to_owned(), LINK.to_owned())].into();
    let mut snapshot = Snapshot { invitations, ..joined() };
    snapshot.memberships[0].document.is_self_signed = true;
    snapshot
}

/// In one overlay, and as far in another as this.
fn two(state: OverlayState) -> Vec<Membership> {
    let me = Me { user: "alice".into(), overlay: "jones".into(), node_id: "42".into() };
    let other = Membership { me, state, document: DocumentFacts::default() };
    joined().memberships.into_iter().chain([other]).collect()
}

fn joined() -> Snapshot {
    let listen = "192.0.2.7:6084".parse().ok();
    let state = OverlayState::Joined { registered: true, links: 7, values_stored: 23, listen };
    Snapshot {
        memberships: membership(state),
        history: vec![past("bob@smith", true), past("carol@smith", false)],
        microphones: vec![Device { id: "m1".into(), name: "USB headset".into() }],
        backup: Backup { made_unix_ms: Some(0), is_complete: true },
        ..Snapshot::default()
    }
}

/// The same user, as far in as this.
fn membership(state: OverlayState) -> Vec<Membership> {
    let me = Me { user: "alice".into(), overlay: "smith".into(), node_id: "8f3a91".into() };
    vec![Membership { me, state, document: DocumentFacts::default() }]
}

fn past(peer: &str, answered: bool) -> HistoryEntry {
    HistoryEntry {
        direction: Direction::Incoming,
        peer: peer.into(),
        unix_ms: 0,
        duration: Duration::from_secs(if answered { 61 } else { 0 }),
        outcome: "You hung up.".into(),
        answered,
    }
}

fn call(id: u64, state: CallState) -> Call {
    Call {
        id: CallId(id),
        overlay: "smith".into(),
        direction: Direction::Incoming,
        peer: "bob@smith".into(),
        state,
        verified: Verified::SelfSignedKnown,
        is_domain_unverified: false,
        forwarded_to: None,
        takes_message: false,
        conference: None,
        muted: false,
        is_knocking: false,
        transferring_to: None,
        transferred_by: None,
        held_by_us: false,
        held_by_them: false,
        level_sent: 0.1,
        level_received: 0.5,
        quality: None,
        trouble: None,
        recording: CallRecording::default(),
    }
}

fn with_call(state: CallState) -> Snapshot {
    Snapshot { calls: vec![call(3, state)], ..joined() }
}

fn talking() -> CallState {
    CallState::Talking { duration: Duration::from_secs(83) }
}

#[test]
fn clearing_the_list_asks_first() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::clear_name());
    click(&mut harness, words::keep());
    assert_eq!(commands(&mut backend), []);
    click(&mut harness, words::clear_name());
    click(&mut harness, words::yes_clear());
    assert_eq!(commands(&mut backend), [Command::ClearHistory]);
}

#[test]
fn leaving_asks_before_calls_are_lost() {
    let (mut harness, mut backend) = open(with_call(talking()), WIDE);
    click(&mut harness, words::settings());
    harness.get_by_label(words::leave()).scroll_to_me();
    harness.run();
    click(&mut harness, words::leave());
    harness.get_by_label("The running call ends.");
    harness.key_press(Key::Escape);
    harness.run();
    assert_eq!(commands(&mut backend), [], "Esc keeps everything");
    click(&mut harness, words::leave());
    click(&mut harness, words::yes_leave());
    assert_eq!(commands(&mut backend), [Command::Leave(Some("smith".into()))]);
}

#[test]
fn settings_send_what_was_chosen_and_keep_the_rest() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::settings());
    harness.get_by_label(words::join_at_start()).click();
    harness.run();
    let chosen = Settings { join_at_start: true, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_label(words::voice_processing()).click();
    harness.run();
    let sound = SoundSettings { voice_processing: false, ..SoundSettings::default() };
    let chosen = Settings { sound, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_label(words::do_not_disturb()).click();
    harness.run();
    let welcome = Welcome { do_not_disturb: true, ..Welcome::default() };
    let chosen = Settings { welcome, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_label(words::strangers_ring()).click();
    harness.run();
    let welcome = Welcome { strangers_ring: true, ..Welcome::default() };
    let chosen = Settings { welcome, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_label(words::hidden_on_lan()).click();
    harness.run();
    let chosen = Settings { hidden_on_lan: true, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_label(words::pause_players()).click();
    harness.run();
    let desktop = DesktopSettings { pause_players: false, ..DesktopSettings::default() };
    let chosen = Settings { desktop, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_label(words::theme_light()).click();
    harness.run();
    let chosen = Settings { theme: Theme::Light, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
    harness.get_by_role_and_label(Role::ComboBox, words::microphone()).click();
    harness.run();
    harness.get_by_label("USB headset").click();
    harness.run();
    let sound =
        SoundSettings { microphones: vec!["USB headset".into()], ..SoundSettings::default() };
    let chosen = Settings { sound, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(chosen))]);
}

/// The whole window changes its language at once.
#[test]
fn the_window_speaks_german() {
    let settings = Settings { language: Language::German, ..Settings::default() };
    let (mut harness, mut backend) = open(Snapshot { settings, ..joined() }, WIDE);
    harness.get_by_label_contains("carol, Verpasst");
    click(&mut harness, "Einstellungen");
    harness.get_by_label("Beim Programmstart beitreten");
    harness.get_by_role_and_label(Role::RadioButton, "English").click();
    harness.run();
    let settings = Settings { language: Language::English, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(settings.clone()))]);
    tell(&mut harness, &backend, Snapshot { settings, ..joined() });
    harness.get_by_label("Join when the program starts");
}

#[test]
fn a_notice_is_shown_until_it_is_taken_away() {
    let notice = Some("The document can't be written.".to_owned());
    let (mut harness, mut backend) = open(Snapshot { notice, ..joined() }, WIDE);
    harness.get_by_label("The document can't be written.");
    click(&mut harness, words::dismiss_notice());
    assert_eq!(commands(&mut backend), [Command::DismissNotice]);
}

/// What was damaged at the start is told until the user has read it, though commands take other
/// notices away.
#[test]
fn damage_is_told_until_it_is_taken_away() {
    let damage = ["The setting theme was not understood.", "The list of calls was damaged."];
    let damage = damage.map(String::from).to_vec();
    let told = Snapshot { damage: damage.clone(), ..joined() };
    let notice = Some("The document can't be written.".to_owned());
    let (mut harness, mut backend) = open(Snapshot { notice, ..told.clone() }, WIDE);
    click(&mut harness, words::dismiss_notice());
    assert_eq!(commands(&mut backend), [Command::DismissNotice]);
    tell(&mut harness, &backend, told);
    harness.get_by_label(&damage.join(" "));
    click(&mut harness, words::dismiss_notice());
    assert_eq!(commands(&mut backend), [Command::DismissDamage]);
    tell(&mut harness, &backend, joined());
    assert!(harness.query_by_label(words::dismiss_notice()).is_none());
}

#[test]
fn a_phone_that_takes_no_commands_is_told() {
    let (mut harness, backend) = open(joined(), WIDE);
    drop(backend);
    write(&mut harness, words::dial(), "dora");
    harness.key_press(Key::Enter);
    harness.run();
    harness.get_by_label(words::phone_busy());
}

#[test]
fn everything_is_reached_by_the_tab_key() {
    let (mut harness, _backend) = open(joined(), WIDE);
    let wanted = [
        words::calls(),
        words::contacts(),
        words::messages(),
        words::network(),
        words::settings(),
        words::dial(),
        words::clear_name(),
    ];
    let mut reached = Vec::new();
    for _ in 0..16 {
        harness.key_press(Key::Tab);
        harness.run();
        reached.extend(
            wanted
                .iter()
                .filter(|name| harness.query_by_label(name).is_some_and(|node| node.is_focused())),
        );
    }
    for name in wanted {
        assert!(reached.contains(&&name), "{name} was never reached");
    }
}

/// The harness checks the roles that it knows; a widget without any role would slip through it.
#[test]
fn everything_that_takes_the_focus_has_a_name() {
    let mut ended = with_call(talking());
    let reason = "Over.".to_owned();
    ended.calls.push(call(2, CallState::Ended { reason, duration: Duration::ZERO }));
    let notice = Some("Something failed.".to_owned());
    let last = joined().me().cloned();
    let scenes = [
        Snapshot { last, ..Snapshot::default() },
        Snapshot { notice, ..joined() },
        ended,
        with_call(CallState::Incoming),
    ];
    for snapshot in scenes {
        for page in [Page::Calls, Page::Contacts, Page::Messages, Page::Network, Page::Settings] {
            for setup in [Setup::Choices, Setup::Join, Setup::Start, Setup::Restore] {
                let (mut harness, _backend) = open(snapshot.clone(), WIDE);
                harness.state_mut().view.kept.page = page;
                harness.state_mut().view.setup = setup;
                harness.state_mut().view.person = Some("bob@smith".into());
                harness.run();
                assert!(check_names(&harness) > 2, "the page has something to act on");
            }
        }
    }
}

/// How many widgets take the focus; each must have a name.
fn check_names(harness: &Harness<'_, Window>) -> usize {
    let nodes = harness.root().children_recursive().map(|node| node.accesskit_node());
    let focusable: Vec<_> =
        nodes.filter(|node| node.data().supports_action(Action::Focus)).collect();
    for node in &focusable {
        let name = node.label().unwrap_or_default();
        assert!(!name.trim().is_empty(), "{:?} at {:?}", node.role(), node.raw_bounds());
    }
    focusable.len()
}

#[test]
fn a_resting_window_asks_for_no_repaint() {
    let (mut harness, _backend) = open(with_call(talking()), WIDE);
    harness.run();
    let viewport = harness.output().viewport_output.values().next().expect("one viewport");
    assert!(viewport.repaint_delay >= Duration::from_secs(30), "{:?}", viewport.repaint_delay);
}
