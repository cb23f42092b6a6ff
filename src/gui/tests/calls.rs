//! Calls: dialling, answering, the card of a call, the list.

use super::*;
use crate::phone::SoundTrouble;

#[test]
fn a_name_and_enter_dial() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(joined(), size);
        write(&mut harness, words::dial(), "dora");
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
    write(&mut harness, words::dial(), "dora");
    click(&mut harness, words::call());
    assert_eq!(commands(&mut backend), [Command::Dial("dora".into())]);
}

#[test]
fn a_name_that_cannot_be_called_is_told_in_one_sentence() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    write(&mut harness, words::dial(), "bob@");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), []);
    harness.get_by_label(words::fault_dial_at());
    assert_eq!(harness.state().view.dial, "bob@", "what was typed stays");
}

#[test]
fn answer_and_decline_by_click() {
    let (mut harness, mut backend) = open(with_call(CallState::Incoming), WIDE);
    click(&mut harness, words::answer());
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(3))]);
    click(&mut harness, words::decline());
    assert_eq!(commands(&mut backend), [Command::Decline(CallId(3))]);
}

/// Who knocks is a line over whatever page is open, and takes no keys away from it.
#[test]
fn a_knock_is_a_quiet_line() {
    let mut snapshot = with_call(CallState::Incoming);
    snapshot.calls[0].is_knocking = true;
    for (label, command) in [
        (words::answer(), Command::Answer(CallId(3))),
        (words::decline(), Command::Decline(CallId(3))),
    ] {
        let (mut harness, mut backend) = open(snapshot.clone(), NARROW);
        harness.run_steps(4);
        harness.key_press(Key::Enter);
        harness.key_press(Key::Escape);
        harness.run();
        assert_eq!(commands(&mut backend), [], "no key answers who knocks");
        click(&mut harness, words::settings());
        harness.get_by_label(&words::knocks("bob@smith"));
        click(&mut harness, label);
        assert_eq!(commands(&mut backend), [command]);
    }
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
    assert!(harness.get_by_role_and_label(Role::Button, words::answer()).is_focused());
    harness.key_press(Key::Tab);
    harness.run();
    assert!(harness.get_by_role_and_label(Role::Button, words::decline()).is_focused());
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(commands(&mut backend), [Command::Decline(CallId(3))]);
}

#[test]
fn a_key_meant_for_the_dial_field_does_not_answer() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    write(&mut harness, words::dial(), "dor");
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
    click(&mut harness, words::answer());
    assert_eq!(commands(&mut backend), [Command::Answer(CallId(3))]);
}

#[test]
fn a_running_call_is_muted_and_hung_up() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(with_call(talking()), size);
        harness.get_by_label("1:23");
        harness.get_by_label("Same key as last time");
        click(&mut harness, words::mute());
        assert_eq!(commands(&mut backend), [Command::Mute(CallId(3), true)]);
        let mut snapshot = with_call(talking());
        snapshot.calls[0].muted = true;
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label(words::muted());
        click(&mut harness, words::unmute());
        assert_eq!(commands(&mut backend), [Command::Mute(CallId(3), false)]);
        click(&mut harness, words::hang_up());
        assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    }
}

/// A call is put on hold and taken back, on its card and, beside another one, in its line.
#[test]
fn a_call_is_put_on_hold_and_goes_on() {
    for size in [WIDE, NARROW] {
        let mut snapshot = with_call(talking());
        let (mut harness, mut backend) = open(snapshot.clone(), size);
        click(&mut harness, words::hold());
        assert_eq!(commands(&mut backend), [Command::Hold(CallId(3), true)]);
        snapshot.calls[0].held_by_us = true;
        tell(&mut harness, &backend, snapshot.clone());
        harness.get_by_label(words::on_hold());
        click(&mut harness, words::resume());
        assert_eq!(commands(&mut backend), [Command::Hold(CallId(3), false)]);
        let second = Call { peer: "dora@smith".into(), ..call(4, talking()) };
        snapshot.calls.insert(0, second);
        tell(&mut harness, &backend, snapshot.clone());
        click(&mut harness, words::resume());
        assert_eq!(commands(&mut backend), [Command::Hold(CallId(3), false)]);
        snapshot.calls.remove(1);
        snapshot.calls[0].held_by_them = true;
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label("dora has put you on hold");
    }
}

/// The keys of a telephone are there when they are wanted.
#[test]
fn keys_of_a_telephone_are_pressed() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(with_call(talking()), size);
        assert!(harness.query_by_label(&words::press('5')).is_none());
        click(&mut harness, words::keypad());
        for digit in ['5', '#', '0'] {
            click(&mut harness, &words::press(digit));
            assert_eq!(commands(&mut backend), [Command::Digit(CallId(3), digit)]);
        }
        click(&mut harness, words::keypad());
        assert!(harness.query_by_label(&words::press('5')).is_none());
    }
}

/// A call is handed over to somebody by name, or to whom one talks to in another call.
#[test]
fn a_call_is_handed_over() {
    for size in [WIDE, NARROW] {
        let mut snapshot = with_call(talking());
        let (mut harness, mut backend) = open(snapshot.clone(), size);
        click(&mut harness, words::hand_over());
        let field = harness.get_by_role_and_label(Role::TextInput, words::hand_over_to());
        assert!(field.is_focused(), "it is what one wants to type into now");
        write(&mut harness, words::hand_over_to(), "dora");
        click(&mut harness, words::hand_over_go());
        let transfer = Command::Transfer { call: CallId(3), to: "dora".into() };
        assert_eq!(commands(&mut backend), [transfer]);
        snapshot.calls[0].transferring_to = Some("dora@smith".into());
        tell(&mut harness, &backend, snapshot.clone());
        harness.get_by_label("bob is being connected to dora@smith");
        snapshot.calls[0].transferring_to = None;
        let second = Call { peer: "dora@smith".into(), ..call(4, talking()) };
        snapshot.calls.push(second);
        tell(&mut harness, &backend, snapshot);
        click(&mut harness, words::hand_over());
        click(&mut harness, &words::connect_with("dora"));
        let transfer = Command::TransferTo { call: CallId(3), other: CallId(4) };
        assert_eq!(commands(&mut backend), [transfer]);
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
    click(&mut harness, words::answer());
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
    assert!(level(&harness, "bob") > level(&harness, words::you()));
    assert!(level(&harness, words::you()) > 0.0);
    let mut snapshot = with_call(talking());
    snapshot.calls[0].muted = true;
    tell(&mut harness, &backend, snapshot);
    assert_eq!(level(&harness, words::you()), 0.0);
}

#[test]
fn a_call_shows_on_every_page() {
    let (mut harness, mut backend) = open(with_call(talking()), WIDE);
    for page in [words::network(), words::settings()] {
        click(&mut harness, page);
        click(&mut harness, words::hang_up());
        assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    }
    click(&mut harness, words::calls_running());
    assert_eq!(harness.state().view.kept.page, Page::Calls);
}

#[test]
fn a_call_on_the_way_says_its_step_and_can_be_given_up() {
    let step = "Looking up bob".to_owned();
    let (mut harness, mut backend) = open(with_call(CallState::Dialling { step }), WIDE);
    harness.get_by_label("Looking up bob");
    click(&mut harness, words::hang_up());
    assert_eq!(commands(&mut backend), [Command::HangUp(CallId(3))]);
    tell(&mut harness, &backend, with_call(CallState::Ringing));
    harness.get_by_label(words::ringing());
}

#[test]
fn an_ended_call_says_why_and_is_called_again_or_dismissed() {
    let reason = "Bob's phone can't be reached.".to_owned();
    let ended = CallState::Ended { reason, duration: Duration::ZERO };
    let (mut harness, mut backend) = open(with_call(ended), WIDE);
    harness.get_by_label("Bob's phone can't be reached.");
    click(&mut harness, words::call_again());
    let again = [Command::Dismiss(CallId(3)), Command::Dial("bob@smith".into())];
    assert_eq!(commands(&mut backend), again);
    click(&mut harness, words::dismiss());
    assert_eq!(commands(&mut backend), [Command::Dismiss(CallId(3))]);
}

#[test]
fn quality_is_one_word_with_the_reason_behind_it() {
    let mut snapshot = with_call(talking());
    snapshot.calls[0].trouble = Some(SoundTrouble::Gaps);
    snapshot.calls[0].quality = Some(Quality {
        word: "Poor",
        loss: 0.12,
        rtt: Some(Duration::from_millis(310)),
        buffer: Duration::from_millis(120),
        score: Some(2.61),
        score_there: None,
        path: "direct, 192.0.2.7".into(),
    });
    let (harness, _backend) = open(snapshot, WIDE);
    harness.get_by_label("Sound: poor");
    harness.get_by_label_contains("12 % lost");
    harness.get_by_label_contains("2.6 of 5 points");
    harness.get_by_label_contains("Parts of what bob says");
}

/// However much is told of a call, its buttons are seen in the smallest window without scrolling.
#[test]
fn a_call_is_hung_up_without_scrolling() {
    let mut snapshot = with_call(talking());
    let call = &mut snapshot.calls[0];
    call.conference = Some(CallId(3));
    call.recording.by_us = true;
    call.trouble = Some(SoundTrouble::Gaps);
    call.quality = Some(Quality {
        word: "Good",
        loss: 0.0,
        rtt: Some(Duration::from_millis(38)),
        buffer: Duration::from_millis(40),
        score: Some(4.3),
        score_there: None,
        path: "through a relay, 192.0.2.7".into(),
    });
    let (harness, _backend) = open(snapshot, [800.0, 600.0]);
    for name in [words::mute(), words::hold(), words::record_stop(), words::hang_up()] {
        let button = harness.get_by_role_and_label(Role::Button, name).rect();
        assert!(button.max.y <= 600.0, "{name}: {button:?}");
    }
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
