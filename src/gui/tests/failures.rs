//! What fails is one sentence with one button, wherever it fails: on the way in, on the way to
//! somebody, in the sound, in a command. The sentences are those that the phone has.

use std::sync::Arc;

use super::*;
use crate::phone::{CallReport, CallStep, CallTrace, Candidates, every_failure};

const BOB: &str = "bob@smith";

fn trace(failed: CallStep, sentence: &str) -> Arc<CallTrace> {
    Arc::new(CallTrace {
        id: CallId(3),
        peer: BOB.into(),
        direction: Direction::Outgoing,
        unix_ms: 0,
        outcome: Some(sentence.to_owned()),
        failed: Some(failed),
        report: CallReport::default(),
        rtt: None,
        candidates: Candidates::default(),
    })
}

/// Each failure of a call stands on its card and in the list, says behind "Why?" which step it
/// was, and leads to another try.
#[test]
fn every_failed_call_says_why_and_is_tried_again() {
    let failures = every_failure(BOB);
    assert!(failures.len() >= 14, "{failures:?}");
    for (step, sentence) in failures {
        let ended = CallState::Ended { reason: sentence.clone(), duration: Duration::ZERO };
        let failure = Some(trace(step, &sentence));
        let mut snapshot = Snapshot { trace: failure.clone(), failure, ..with_call(ended) };
        snapshot.calls[0].direction = Direction::Outgoing;
        let outcome = sentence.clone();
        let past = HistoryEntry { direction: Direction::Outgoing, outcome, ..past(BOB, false) };
        snapshot.history = vec![past];
        for size in [WIDE, NARROW] {
            let (mut harness, mut backend) = open(snapshot.clone(), size);
            let shown = sentence.replace(BOB, "bob");
            harness.get_by_label(&shown);
            click(&mut harness, words::why());
            harness.get_by_label(&words::step_name(step));
            harness.get_by_label("failed");
            click(&mut harness, words::call_again());
            let again = [Command::Dismiss(CallId(3)), Command::Dial(BOB.into())];
            assert_eq!(commands(&mut backend), again, "{sentence}");
            tell(&mut harness, &backend, Snapshot { calls: Vec::new(), ..snapshot.clone() });
            harness.get_by_label_contains("bob, ");
        }
    }
}

/// Each failure on the way in is one sentence, and the same button tries again or goes back.
#[test]
fn every_failed_join_says_why_and_is_tried_again() {
    for reason in [
        "Not joined because none of the 3 known peers answered.",
        "Not joined because the overlay smith was not found.",
        "Our identity cannot be used in this overlay: the certificate is for another name.",
        "The private keys in this folder are encrypted; unlock them first.",
    ] {
        let state = OverlayState::Failed { reason: reason.to_owned() };
        for size in [WIDE, NARROW] {
            let out = Snapshot { last: joined().me().cloned(), ..Snapshot::default() };
            let (mut harness, mut backend) = open(out, size);
            click(&mut harness, "Join again as alice@smith");
            let sent = commands(&mut backend);
            assert!(matches!(sent[..], [Command::Join { .. }]), "{sent:?}");
            let failed = Snapshot { memberships: membership(state.clone()), ..Snapshot::default() };
            tell(&mut harness, &backend, failed);
            harness.get_by_label(reason);
            click(&mut harness, words::try_again());
            assert_eq!(commands(&mut backend), sent, "the same again");
        }
    }
}

/// What is wrong with the sound while one talks is a sentence over the page that does not end the
/// call.
#[test]
fn lost_sound_is_told_over_the_call() {
    let notice = Some("The microphone can't be used: it was unplugged.".to_owned());
    for size in [WIDE, NARROW] {
        let snapshot = Snapshot { notice: notice.clone(), ..with_call(talking()) };
        let (mut harness, mut backend) = open(snapshot, size);
        harness.get_by_label("The microphone can't be used: it was unplugged.");
        harness.get_by_role_and_label(Role::Button, words::hang_up());
        click(&mut harness, words::dismiss_notice());
        assert_eq!(commands(&mut backend), [Command::DismissNotice]);
    }
}
