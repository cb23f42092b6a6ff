//! Whether others reach this computer, and what it lends to them.

use super::*;
use crate::link::Reach;
use crate::phone::{LentRelay, NetworkFacts};

fn with(facts: NetworkFacts) -> Snapshot {
    Snapshot { networks: [("smith".to_owned(), facts)].into(), ..joined() }
}

/// What keeps others away is said together with what to do about it.
#[test]
fn the_self_test_names_its_remedy() {
    let address = "192.0.2.7:6084".parse().expect("an address");
    for (reach, remedy) in [
        (Reach::Unknown, Some(words::reach_unknown_hint())),
        (Reach::Hidden, Some("turn on IPv6")),
        (Reach::Blocked(address), Some("Open port 6084 for UDP and TCP")),
        (Reach::Reached(address), None),
    ] {
        let facts = NetworkFacts { reach, relays: 41, ..NetworkFacts::default() };
        let (mut harness, _backend) = open(with(facts), WIDE);
        click(&mut harness, words::network());
        harness.get_by_label(words::reach_title());
        harness.get_by_label(&words::reach(reach));
        harness.get_by_label("41");
        match remedy {
            Some(remedy) => drop(harness.get_by_label_contains(remedy)),
            None => assert!(harness.query_by_label_contains("firewall").is_none()),
        }
    }
}

#[test]
fn what_is_lent_is_chosen_and_switched_off() {
    let facts = NetworkFacts { lent: Some(2), ..NetworkFacts::default() };
    let (mut harness, mut backend) = open(with(facts), WIDE);
    click(&mut harness, words::settings());
    harness.get_by_label("In use by 2 connections now.");
    let configured =
        |relay| Command::Configure(Box::new(Settings { relay, ..Settings::default() }));
    let normal = LentRelay::default();
    for (list, choice, relay) in [
        (words::lend_rate(), "500 kbit/s", LentRelay { kbit_per_s: 500, ..normal }),
        (words::lend_sessions(), "256", LentRelay { sessions: 256, ..normal }),
    ] {
        harness.get_by_role_and_label(Role::ComboBox, list).click();
        harness.run();
        harness.get_by_label(choice).click();
        harness.run();
        assert_eq!(commands(&mut backend), [configured(relay)]);
    }
    harness.get_by_label(words::lend()).click();
    harness.run();
    let off = LentRelay { kbit_per_s: 0, ..normal };
    assert_eq!(commands(&mut backend), [configured(off)]);
    let settings = Settings { relay: off, ..Settings::default() };
    tell(&mut harness, &backend, Snapshot { settings, ..with(NetworkFacts::default()) });
    assert!(harness.query_by_label(words::lend_rate()).is_none(), "there is nothing to choose");
    harness.get_by_label(words::lend()).click();
    harness.run();
    assert_eq!(commands(&mut backend), [configured(normal)]);
    tell(&mut harness, &backend, with(NetworkFacts::default()));
    harness.get_by_label(words::lent_nothing());
}

/// Figures come for as long as a page shows them, and nobody asks for them otherwise.
#[test]
fn only_pages_that_show_figures_ask_for_them() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    let mut asked = |harness: &mut Harness<'_, Window>, steps: usize| {
        harness.run_steps(steps);
        let all = std::iter::from_fn(|| backend.commands.try_recv().ok());
        all.filter(|command| *command == Command::Inspect).count()
    };
    assert_eq!(asked(&mut harness, 40), 0);
    click(&mut harness, words::network());
    // A step of the harness is a quarter of a second.
    assert!((4..=6).contains(&asked(&mut harness, 40)));
    click(&mut harness, words::calls());
    asked(&mut harness, 1);
    assert_eq!(asked(&mut harness, 40), 0);
}
