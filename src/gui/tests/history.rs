//! The list of past calls: how each went, those that were missed, and the badge.

use super::*;

const BOB: &str = "bob@smith";

fn entry(direction: Direction, outcome: &str, unix_ms: u64) -> HistoryEntry {
    let (duration, answered) = (Duration::ZERO, false);
    let (peer, outcome) = (BOB.to_owned(), outcome.to_owned());
    HistoryEntry { direction, peer, unix_ms, duration, outcome, answered }
}

fn with(history: Vec<HistoryEntry>) -> Snapshot {
    Snapshot { history, ..joined() }
}

/// Each way for a call to end has its words, and a failed one its reason.
#[test]
fn every_ending_has_its_words() {
    let (came, went) = (Direction::Incoming, Direction::Outgoing);
    for (direction, outcome, shown) in [
        (came, "You missed a call from bob@smith.", "bob, Missed"),
        (came, "Answered on another device.", "bob, Answered on another device"),
        (came, "You declined.", "bob, Declined"),
        (came, "A call from bob@smith was refused: you have blocked this name.", "bob, Refused"),
        (went, "You gave up.", "bob, You gave up"),
        (went, "bob@smith is busy.", "bob, Not answered"),
        (went, "bob@smith can't be reached: no path.", "bob, bob can't be reached: no path."),
    ] {
        let (harness, _backend) = open(with(vec![entry(direction, outcome, 0)]), WIDE);
        harness.get_by_label_contains(shown);
    }
}

#[test]
fn only_missed_calls_are_shown_on_demand() {
    for size in [WIDE, NARROW] {
        let (mut harness, backend) = open(joined(), size);
        harness.get_by_role_and_label(Role::RadioButton, words::show_missed()).click();
        harness.run();
        harness.get_by_label_contains("carol, Missed");
        assert!(harness.query_by_label_contains("bob, Incoming").is_none());
        tell(&mut harness, &backend, with(vec![past(BOB, true)]));
        harness.get_by_label(words::no_missed());
        harness.get_by_role_and_label(Role::RadioButton, words::show_all()).click();
        harness.run();
        harness.get_by_label_contains("bob, Incoming");
    }
}

/// The badge counts what was missed since the list was seen, and goes when it is seen.
#[test]
fn missed_calls_are_counted_until_they_are_seen() {
    let missed = |ms| entry(Direction::Incoming, "You missed a call from bob@smith.", ms);
    let declined = entry(Direction::Incoming, "You declined.", 40);
    let (mut harness, backend) = open(with(vec![missed(10)]), WIDE);
    assert!(harness.query_by_label(&words::calls_missed(1)).is_none(), "it is in the list");
    click(&mut harness, words::settings());
    tell(&mut harness, &backend, with(vec![declined, missed(30), missed(20), missed(10)]));
    let badge = words::calls_missed(2);
    click(&mut harness, &badge);
    assert!(harness.query_by_label(&badge).is_none());
    click(&mut harness, words::settings());
    assert!(harness.query_by_label(&badge).is_none(), "they were seen");
}
