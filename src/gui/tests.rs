//! The window on made-up snapshots: what is clicked and typed must arrive as commands. The harness
//! itself fails on a widget without an accessible name and on a character that no font has.

mod names;

use std::time::Duration;

use egui::accesskit::{Action, Role};
use egui::{Key, Modifiers};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

use super::view::{Page, Setup, ViewState};
use super::window::Window;
use super::{look, words};
use crate::phone::{
    Backend, Call, CallId, CallState, Command, Device, Direction, DocumentFacts, Entrance,
    HistoryEntry, Me, Membership, OverlayState, Quality, Settings, Snapshot, Theme, Verified,
    channel,
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

const WIDE: [f32; 2] = [960.0, 900.0];
const NARROW: [f32; 2] = [400.0, 900.0];

fn commands(backend: &mut Backend) -> Vec<Command> {
    std::iter::from_fn(|| backend.commands.try_recv().ok()).collect()
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

fn joined() -> Snapshot {
    let listen = "192.0.2.7:6084".parse().ok();
    let state = OverlayState::Joined { registered: true, links: 7, values_stored: 23, listen };
    Snapshot {
        memberships: membership(state),
        history: vec![past("bob@smith", true), past("carol@smith", false)],
        microphones: vec![Device { id: "m1".into(), name: "USB headset".into() }],
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
        muted: false,
        level_sent: 0.1,
        level_received: 0.5,
        quality: None,
    }
}

fn with_call(state: CallState) -> Snapshot {
    Snapshot { calls: vec![call(3, state)], ..joined() }
}

fn talking() -> CallState {
    CallState::Talking { duration: Duration::from_secs(83) }
}

#[test]
fn a_name_and_enter_dial() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(joined(), size);
        write(&mut harness, words::DIAL, "dora");
        assert!(harness.query_by_label_contains("carol, Missed").is_none(), "the list searches");
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(commands(&mut backend), [Command::Dial("dora".into())]);
        assert_eq!(harness.state().view.dial, "");
    }
}

#[test]
fn the_call_button_dials_too() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    write(&mut harness, words::DIAL, "dora");
    click(&mut harness, words::CALL);
    assert_eq!(commands(&mut backend), [Command::Dial("dora".into())]);
}

#[test]
fn a_name_that_cannot_be_called_is_told_in_one_sentence() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    write(&mut harness, words::DIAL, "bob@");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), []);
    harness.get_by_label(words::FAULT_DIAL_AT);
    assert_eq!(harness.state().view.dial, "bob@", "what was typed stays");
}

#[test]
fn answer_and_decline_by_click() {
    let (mut harness, mut backend) = open(with_call(CallState::Incoming), WIDE);
    click(&mut harness, words::ANSWER);
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(3))]);
    click(&mut harness, words::DECLINE);
    assert_eq!(commands(&mut backend), [Command::Decline(CallId(3))]);
}

#[test]
fn answer_and_decline_by_key() {
    for (key, command) in
        [(Key::Enter, Command::Answer(CallId(3))), (Key::Escape, Command::Decline(CallId(3)))]
    {
        let (mut harness, mut backend) = open(with_call(CallState::Incoming), NARROW);
        harness.run_steps(4);
        harness.key_press(key);
        harness.run();
        assert_eq!(commands(&mut backend), [command]);
    }
}

#[test]
fn answer_has_the_focus_first_and_enter_presses_what_has_it() {
    let (mut harness, mut backend) = open(with_call(CallState::Incoming), WIDE);
    harness.run_steps(4);
    assert!(harness.get_by_role_and_label(Role::Button, words::ANSWER).is_focused());
    harness.key_press(Key::Tab);
    harness.run();
    assert!(harness.get_by_role_and_label(Role::Button, words::DECLINE).is_focused());
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [Command::Decline(CallId(3))]);
}

#[test]
fn a_key_meant_for_the_dial_field_does_not_answer() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    write(&mut harness, words::DIAL, "dor");
    for key in [Key::Enter, Key::Space, Key::Escape] {
        tell(&mut harness, &backend, joined());
        backend.snapshot.send_replace(with_call(CallState::Incoming).into());
        harness.step();
        harness.key_press(key);
        harness.step();
        assert_eq!(commands(&mut backend), [], "{key:?}");
    }
}

#[test]
fn the_caller_that_rang_first_stays_in_front() {
    let mut snapshot = with_call(CallState::Incoming);
    let second = Call { peer: "dora@smith".into(), ..call(4, CallState::Incoming) };
    snapshot.calls.insert(0, second);
    let (mut harness, mut backend) = open(snapshot, WIDE);
    harness.get_by_label("Also calling: dora");
    click(&mut harness, words::ANSWER);
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(3))]);
}

#[test]
fn a_running_call_is_muted_and_hung_up() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(with_call(talking()), size);
        harness.get_by_label("1:23");
        harness.get_by_label("Same key as last time");
        click(&mut harness, words::MUTE);
        assert_eq!(commands(&mut backend), [Command::Mute(CallId(3), true)]);
        let mut snapshot = with_call(talking());
        snapshot.calls[0].muted = true;
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label(words::MUTED);
        click(&mut harness, words::UNMUTE);
        assert_eq!(commands(&mut backend), [Command::Mute(CallId(3), false)]);
        click(&mut harness, words::HANG_UP);
        assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    }
}

#[test]
fn keys_mute_and_hang_up_on_every_page() {
    let (mut harness, mut backend) = open(with_call(talking()), WIDE);
    for page in [Key::Num2, Key::Num3, Key::Num1] {
        harness.key_press_modifiers(Modifiers::COMMAND, page);
        harness.run();
        harness.key_press_modifiers(Modifiers::COMMAND, Key::M);
        harness.key_press_modifiers(Modifiers::COMMAND, Key::H);
        harness.run();
        let expected = [Command::Mute(CallId(3), true), Command::HangUp(CallId(3))];
        assert_eq!(commands(&mut backend), expected);
    }
    assert_eq!(harness.state().view.kept.page, Page::Calls);
}

#[test]
fn the_title_says_what_goes_on() {
    let title = |snapshot: Snapshot| words::title(Some(&snapshot), None);
    assert_eq!(title(Snapshot::default()), "Chordial");
    assert_eq!(title(joined()), "Chordial \u{b7} alice@smith");
    let mut snapshot = with_call(talking());
    assert!(title(snapshot.clone()).ends_with("\u{2014} in a call with bob"));
    snapshot.calls.push(Call { peer: "dora@smith".into(), ..call(2, CallState::Incoming) });
    assert!(title(snapshot).ends_with("\u{2014} dora is calling you"));
    assert!(title(with_call(CallState::Ringing)).ends_with("\u{2014} calling bob"));
    let reason = "Not joined because nobody answered.".to_owned();
    let failed = Snapshot { memberships: membership(OverlayState::Failed { reason }), ..joined() };
    assert!(title(failed).ends_with("\u{2014} not joined"));
}

#[test]
fn an_answered_call_is_shown() {
    let (mut harness, mut backend) = open(with_call(CallState::Incoming), WIDE);
    harness.state_mut().view.kept.page = Page::Settings;
    harness.run();
    click(&mut harness, words::ANSWER);
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(3))]);
    assert_eq!(harness.state().view.kept.page, Page::Calls);
}

#[test]
fn level_meters_follow_both_sides_and_show_nothing_when_muted() {
    let (mut harness, backend) = open(with_call(talking()), WIDE);
    let level = |harness: &Harness<'_, Window>, whom: &str| {
        let name = words::level_of(whom);
        let node = harness.get_by_label(&name);
        node.accesskit_node().numeric_value().expect("a meter has a value")
    };
    assert!(level(&harness, "bob") > level(&harness, words::YOU));
    assert!(level(&harness, words::YOU) > 0.0);
    let mut snapshot = with_call(talking());
    snapshot.calls[0].muted = true;
    tell(&mut harness, &backend, snapshot);
    assert_eq!(level(&harness, words::YOU), 0.0);
}

#[test]
fn a_call_shows_on_every_page() {
    let (mut harness, mut backend) = open(with_call(talking()), WIDE);
    for page in [words::NETWORK, words::SETTINGS] {
        click(&mut harness, page);
        click(&mut harness, words::HANG_UP);
        assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    }
    click(&mut harness, words::CALLS_RUNNING);
    assert_eq!(harness.state().view.kept.page, Page::Calls);
}

#[test]
fn a_call_on_the_way_says_its_step_and_can_be_given_up() {
    let step = "Looking up bob".to_owned();
    let (mut harness, mut backend) = open(with_call(CallState::Dialling { step }), WIDE);
    harness.get_by_label("Looking up bob");
    click(&mut harness, words::HANG_UP);
    assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    tell(&mut harness, &backend, with_call(CallState::Ringing));
    harness.get_by_label(words::RINGING);
}

#[test]
fn an_ended_call_says_why_and_is_called_again_or_dismissed() {
    let reason = "Bob's phone can't be reached.".to_owned();
    let ended = CallState::Ended { reason, duration: Duration::ZERO };
    let (mut harness, mut backend) = open(with_call(ended), WIDE);
    harness.get_by_label("Bob's phone can't be reached.");
    click(&mut harness, words::CALL_AGAIN);
    let again = [Command::Dismiss(CallId(3)), Command::Dial("bob@smith".into())];
    assert_eq!(commands(&mut backend), again);
    click(&mut harness, words::DISMISS);
    assert_eq!(commands(&mut backend), [Command::Dismiss(CallId(3))]);
}

#[test]
fn quality_is_one_word_with_the_reason_behind_it() {
    let mut snapshot = with_call(talking());
    snapshot.calls[0].quality = Some(Quality {
        word: "Poor",
        loss: 0.12,
        rtt: Some(Duration::from_millis(310)),
        buffer: Duration::from_millis(120),
        path: "direct, 192.0.2.7".into(),
    });
    let (harness, _backend) = open(snapshot, WIDE);
    harness.get_by_label("Sound: poor");
    harness.get_by_label_contains("12 % lost");
}

#[test]
fn a_person_of_the_list_is_shown_and_called() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(joined(), size);
        harness.get_by_label_contains("bob, Incoming").click();
        harness.run();
        click(&mut harness, "Call bob");
        assert_eq!(commands(&mut backend), [Command::Dial("bob@smith".into())]);
    }
}

#[test]
fn clearing_the_list_asks_first() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::CLEAR_NAME);
    click(&mut harness, words::KEEP);
    assert_eq!(commands(&mut backend), []);
    click(&mut harness, words::CLEAR_NAME);
    click(&mut harness, words::YES_CLEAR);
    assert_eq!(commands(&mut backend), [Command::ClearHistory]);
}

#[test]
fn leaving_asks_before_calls_are_lost() {
    let (mut harness, mut backend) = open(with_call(talking()), WIDE);
    click(&mut harness, words::SETTINGS);
    click(&mut harness, words::LEAVE);
    harness.get_by_label("The running call ends.");
    harness.key_press(Key::Escape);
    harness.run();
    assert_eq!(commands(&mut backend), [], "Esc keeps everything");
    click(&mut harness, words::LEAVE);
    click(&mut harness, words::YES_LEAVE);
    assert_eq!(commands(&mut backend), [Command::Leave(Some("smith".into()))]);
}

#[test]
fn settings_send_what_was_chosen_and_keep_the_rest() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::SETTINGS);
    harness.get_by_label(words::JOIN_AT_START).click();
    harness.run();
    let chosen = Settings { join_at_start: true, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(chosen)]);
    harness.get_by_label(words::THEME_LIGHT).click();
    harness.run();
    let chosen = Settings { theme: Theme::Light, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(chosen)]);
    harness.get_by_role_and_label(Role::ComboBox, words::MICROPHONE).click();
    harness.run();
    harness.get_by_label("USB headset").click();
    harness.run();
    let chosen = Settings { microphone: Some("m1".into()), ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(chosen)]);
}

#[test]
fn the_network_page_shows_the_figures_and_saves_the_document() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::NETWORK);
    for text in ["8f3a91", "7", "23", "192.0.2.7:6084"] {
        harness.get_by_label(text);
    }
    harness.state_mut().view.save_path = "/tmp/smith.xml".into();
    harness.run();
    click(&mut harness, words::SAVE);
    let (overlay, path) = ("smith".into(), "/tmp/smith.xml".into());
    assert_eq!(commands(&mut backend), [Command::SaveDocument { overlay, path }]);
    assert!(harness.query_by_label(words::SAVED).is_none(), "not before it is");
    tell(&mut harness, &backend, Snapshot { saved: Some("/tmp/smith.xml".into()), ..joined() });
    harness.get_by_label(words::SAVED);
}

#[test]
fn a_notice_is_shown_until_it_is_taken_away() {
    let notice = Some("The document can't be written.".to_owned());
    let (mut harness, mut backend) = open(Snapshot { notice, ..joined() }, WIDE);
    harness.get_by_label("The document can't be written.");
    click(&mut harness, words::DISMISS_NOTICE);
    assert_eq!(commands(&mut backend), [Command::DismissNotice]);
}

#[test]
fn a_phone_that_takes_no_commands_is_told() {
    let (mut harness, backend) = open(joined(), WIDE);
    drop(backend);
    write(&mut harness, words::DIAL, "dora");
    harness.key_press(Key::Enter);
    harness.run();
    harness.get_by_label(words::PHONE_BUSY);
}

#[test]
fn an_overlay_is_started_in_two_steps() {
    let (mut harness, mut backend) = open(Snapshot::default(), WIDE);
    click(&mut harness, words::START_CHOICE);
    click(&mut harness, words::START_GO);
    harness.get_by_label(words::FAULT_NETWORK_EMPTY);
    harness.get_by_label(words::FAULT_USER_EMPTY);
    assert_eq!(commands(&mut backend), []);
    write(&mut harness, words::NETWORK_NAME, "smith");
    write(&mut harness, words::USER, "alice");
    harness.key_press(Key::Enter);
    harness.run();
    let start = Command::StartOverlay {
        name: "smith".into(),
        user: "alice".into(),
        listen: "0.0.0.0:6084".parse().expect("an address"),
    };
    assert_eq!(commands(&mut backend), [Command::DismissNotice, start.clone()]);
    let step = "Opening the port".to_owned();
    let memberships = membership(OverlayState::Joining { step });
    tell(&mut harness, &backend, Snapshot { memberships, ..Snapshot::default() });
    harness.get_by_label("Opening the port");
    let reason = "The port is in use.".to_owned();
    let memberships = membership(OverlayState::Failed { reason });
    tell(&mut harness, &backend, Snapshot { memberships, ..Snapshot::default() });
    harness.get_by_label("The port is in use.");
    click(&mut harness, words::TRY_AGAIN);
    assert_eq!(commands(&mut backend), [Command::DismissNotice, start]);
    tell(&mut harness, &backend, joined());
    harness.get_by_label(words::DIAL);
}

#[test]
fn an_overlay_is_joined_by_its_document() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let document = folder.path().join("smith.xml");
    let (mut harness, mut backend) = open(Snapshot::default(), NARROW);
    click(&mut harness, words::JOIN_CHOICE);
    write(&mut harness, words::DOCUMENT, &document.display().to_string());
    write(&mut harness, words::USER, "bob");
    write(&mut harness, words::BOOTSTRAP, "192.0.2.7");
    click(&mut harness, words::JOIN_GO);
    harness.get_by_label(words::FAULT_DOCUMENT_MISSING);
    std::fs::write(&document, "<overlay/>").expect("written");
    harness.run();
    click(&mut harness, words::JOIN_GO);
    let join = Command::Join {
        entrance: Entrance::Document(document),
        user: "bob".into(),
        bootstrap: vec!["192.0.2.7:6084".parse().expect("an address")],
    };
    assert_eq!(commands(&mut backend), [Command::DismissNotice, join]);
    click(&mut harness, words::CANCEL);
    assert_eq!(commands(&mut backend), [Command::Leave(None)]);
    assert_eq!(harness.state().view.setup, Setup::Join, "what was typed stays");
}

#[test]
fn a_refused_join_goes_back_to_its_form() {
    let last = joined().me().cloned();
    let (mut harness, mut backend) = open(Snapshot { last, ..Snapshot::default() }, WIDE);
    click(&mut harness, "Join again as alice@smith");
    let join = Command::Join { entrance: Entrance::Last, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [Command::DismissNotice, join]);
    harness.get_by_label(words::PREPARING);
    let notice = Some("The document can't be read.".to_owned());
    tell(&mut harness, &backend, Snapshot { notice, ..Snapshot::default() });
    harness.get_by_label("The document can't be read.");
    assert_eq!(harness.state().view.setup, Setup::Choices);
}

#[test]
fn being_out_after_a_start_says_why_and_tries_again() {
    let failed = OverlayState::Failed { reason: "Not joined because nobody answered.".into() };
    let memberships = membership(failed);
    let (mut harness, mut backend) = open(Snapshot { memberships, ..joined() }, WIDE);
    harness.get_by_label("Not joined because nobody answered.");
    click(&mut harness, words::TRY_AGAIN);
    let join = Command::Join { entrance: Entrance::Last, user: "alice".into(), bootstrap: vec![] };
    assert_eq!(commands(&mut backend), [join]);
}

/// Only the user founds an overlay again, and only where it was founded before.
#[test]
fn a_founder_out_of_reach_may_start_the_overlay_again() {
    let failed = OverlayState::Failed { reason: "Not joined because nobody answered.".into() };
    let failed = Snapshot { memberships: membership(failed), ..joined() };
    let (harness, _backend) = open(failed.clone(), WIDE);
    assert!(harness.query_by_label(words::FOUND_AGAIN).is_none());
    let founded = vec!["smith".to_owned()];
    let found = Command::Found { document: None, user: "alice".into() };
    let failed = Snapshot { founded: founded.clone(), ..failed };
    let (mut harness, mut backend) = open(failed.clone(), WIDE);
    click(&mut harness, words::FOUND_AGAIN);
    assert_eq!(commands(&mut backend), std::slice::from_ref(&found));
    let out = Snapshot { last: joined().me().cloned(), founded, ..Snapshot::default() };
    let (mut harness, mut backend) = open(out, WIDE);
    click(&mut harness, "Join again as alice@smith");
    commands(&mut backend);
    tell(&mut harness, &backend, failed);
    click(&mut harness, words::FOUND_AGAIN);
    assert_eq!(commands(&mut backend), [Command::DismissNotice, found]);
}

#[test]
fn everything_is_reached_by_the_tab_key() {
    let (mut harness, _backend) = open(joined(), WIDE);
    let wanted = [words::CALLS, words::NETWORK, words::SETTINGS, words::DIAL, words::CLEAR_NAME];
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
        for page in [Page::Calls, Page::Network, Page::Settings] {
            for setup in [Setup::Choices, Setup::Join, Setup::Start] {
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
