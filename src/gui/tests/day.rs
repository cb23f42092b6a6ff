//! A day with the phone in one window, from the first start to the settings.

use super::*;
use crate::phone::Entrance;

/// Join, dial, answer, hold, transfer and the settings follow each other by clicks and keys, and
/// the window shows each time what the phone has made of it.
#[test]
fn one_window_goes_through_a_day() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(Snapshot::default(), size);
        click(&mut harness, words::join_choice());
        write(&mut harness, words::entrance(), "smith");
        write(&mut harness, words::user(), "alice");
        click(&mut harness, words::join_go());
        let entrance = Entrance::Name("smith".into());
        let join = Command::Join { entrance, user: "alice".into(), bootstrap: vec![] };
        assert_eq!(commands(&mut backend), [join]);
        let step = "Finding our place".to_owned();
        let memberships = membership(OverlayState::Joining { step });
        tell(&mut harness, &backend, Snapshot { memberships, ..Snapshot::default() });
        harness.get_by_label("Joining smith");
        tell(&mut harness, &backend, joined());

        write(&mut harness, words::dial(), "bob");
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(commands(&mut backend), [Command::Dial("bob".into())]);
        let step = "Looking up bob".to_owned();
        tell(&mut harness, &backend, with_call(CallState::Dialling { step }));
        harness.get_by_label("Looking up bob");
        tell(&mut harness, &backend, with_call(CallState::Ringing));
        harness.get_by_label(words::ringing());
        tell(&mut harness, &backend, with_call(talking()));
        click(&mut harness, words::hold());
        assert_eq!(commands(&mut backend), [Command::Hold(CallId(3), true)]);
        let mut held = with_call(talking());
        held.calls[0].held_by_us = true;
        tell(&mut harness, &backend, held.clone());

        let dora = |state| Call { peer: "dora@smith".into(), ..call(4, state) };
        let mut two = held;
        two.calls.insert(0, dora(CallState::Incoming));
        tell(&mut harness, &backend, two.clone());
        click(&mut harness, words::answer());
        assert_eq!(commands(&mut backend), [Command::Answer(CallId(4))]);
        two.calls[0] = dora(talking());
        tell(&mut harness, &backend, two.clone());
        click(&mut harness, words::hand_over());
        click(&mut harness, &words::connect_with("bob"));
        let transfer = Command::TransferTo { call: CallId(4), other: CallId(3) };
        assert_eq!(commands(&mut backend), [transfer]);
        let reason = "You hung up.".to_owned();
        let ended = CallState::Ended { reason, duration: Duration::from_secs(5) };
        two.calls = vec![dora(ended)];
        tell(&mut harness, &backend, two);
        click(&mut harness, words::dismiss());
        assert_eq!(commands(&mut backend), [Command::Dismiss(CallId(4))]);
        tell(&mut harness, &backend, joined());

        click(&mut harness, words::settings());
        harness.get_by_label(words::do_not_disturb()).click();
        harness.run();
        let sent = commands(&mut backend);
        let [Command::Configure(settings)] = &sent[..] else { panic!("{sent:?}") };
        assert!(settings.welcome.do_not_disturb);
    }
}
