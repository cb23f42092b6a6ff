//! Whole overlays of real peers under a virtual clock.
#![cfg(feature = "sim")]

use std::time::Duration;

use chordial::sim::{Faults, Findings, Scenario, Summary, run};

/// The lines and the summary of a run, without what depends on the machine.
fn outcome(scenario: &Scenario) -> (Vec<String>, Summary) {
    let mut lines = Vec::new();
    let summary = run(scenario, &mut |line| lines.push(line.to_owned()));
    let (real_s, cpu_s, speed) = (0.0, 0.0, 0.0);
    let (peak_rss_kb, bytes_of_memory_per_peer) = (0, 0);
    let summary =
        Summary { real_s, cpu_s, speed, peak_rss_kb, bytes_of_memory_per_peer, ..summary };
    (lines, summary)
}

/// A short run in which everybody joins and everything that should be found is found.
fn good(scenario: &Scenario) -> Summary {
    let (lines, summary) = outcome(scenario);
    assert_eq!(summary.joined, scenario.peers as usize, "{lines:#?}");
    assert_eq!(summary.found, summary.fetches, "{lines:#?}");
    assert_eq!(summary.findings, Findings::default(), "{lines:#?}");
    summary
}

fn small(peers: u32, seed: u64) -> Scenario {
    let short = Duration::from_secs(30);
    Scenario { settle: short, idle: short, ..Scenario::new(peers, seed) }
}

/// R6940-10.4-01, R6940-10.4-02, R6940-7.4.1.1-20: what had a living holder when many peers died
/// at once is found afterwards, and the ring is whole again.
#[test]
fn registrations_survive_the_death_of_peers() {
    let summary = good(&Scenario { kill: 0.2, ..small(64, 1) });
    assert_eq!((summary.killed, summary.kill_records), (13, 64));
    assert_eq!(summary.kill_found, summary.kill_expected);
    assert!(summary.kill_expected >= 60, "{summary:?}");
}

/// R6940-10.3-02: fingers keep the ways short.
#[test]
fn ways_grow_with_the_logarithm_of_the_overlay() {
    let summary = good(&small(200, 2));
    assert!(summary.hops_mean <= 0.6 * 200f64.log2(), "{summary:?}");
    assert!(f64::from(summary.hops_p95) <= 200f64.log2(), "{summary:?}");
    assert!(summary.first_try * 100 >= summary.found * 95, "{summary:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let loss = Faults { loss: 0.02, duplication: 0.01, reordering: 0.01 };
        let scenario = Scenario { is_traced: true, kill: 0.1, faults: loss, ..small(24, seed) };
        outcome(&scenario)
    };
    let (first, again, other) = (run(5), run(5), run(6));
    let at = first.0.iter().zip(&again.0).find(|(a, b)| a != b);
    assert_eq!((at, first.0.len()), (None, again.0.len()));
    assert_eq!(first.1, again.1);
    assert_ne!(first.1, other.1);
}

/// An overlay of one peer answers itself.
#[test]
fn a_lone_peer_finds_itself() {
    let summary = good(&small(1, 3));
    assert_eq!((summary.joined, summary.fetches, summary.found), (1, 3, 3));
    assert_eq!((summary.hops_mean, summary.hops_p95), (0.0, 0));
}

/// R6940-10.7.1-01: users come and go, in order or not, and everybody who stays is found.
#[test]
fn an_overlay_lives_on_while_its_peers_change() {
    let session = Some(Duration::from_secs(300));
    let summary = good(&Scenario { session, safety: Duration::from_secs(240), ..small(48, 4) });
    assert!(summary.departures >= 20 && summary.arrivals >= 15, "{summary:?}");
    assert!(summary.churn_right > 0 && summary.churn_right == summary.churn_fetches, "{summary:?}");
}

/// Links lose, double and overtake, and everything is found all the same.
#[test]
fn lossy_links_cost_time_and_nothing_else() {
    let faults = Faults { loss: 0.05, duplication: 0.05, reordering: 0.1 };
    let summary = good(&Scenario { faults, safety: Duration::from_secs(120), ..small(48, 5) });
    assert!(summary.churn_right > 0 && summary.churn_right == summary.churn_fetches, "{summary:?}");
}

/// One of each kind of hostile peer changes no registration, fills no table and breaks no ring.
#[test]
fn hostile_peers_change_nothing_that_is_not_theirs() {
    let summary =
        good(&Scenario { hostile: 0.15, safety: Duration::from_secs(90), ..small(48, 6) });
    assert_eq!(summary.hostile, 7);
    assert!(summary.churn_right * 10 >= summary.churn_fetches * 8, "{summary:?}");
}

/// One pair of ten can never be linked, or one of five: everybody joins, finds everybody, and then
/// is as quiet as ever.
#[test]
fn walls_between_peers_keep_nobody_out() {
    for (seed, walls) in (1..=6).zip([0.1, 0.2].into_iter().cycle()) {
        let fetches_per_peer = 2;
        let (lines, summary) = outcome(&Scenario { walls, fetches_per_peer, ..small(24, seed) });
        assert_eq!(summary.findings, Findings::default(), "seed {seed}: {lines:#?}");
        let all = (24, 24, summary.fetches);
        let there = (summary.joined, summary.registered, summary.found);
        assert_eq!(there, all, "seed {seed}: {lines:#?}");
        assert!(summary.idle_bytes_per_s < 400.0, "seed {seed}: {summary:?}");
    }
}

/// One pair of twenty can never be linked: nobody takes a neighbour's part of the ring for its own,
/// and what is registered is found, also while peers come and go.
#[test]
fn walls_between_peers_hide_nothing() {
    let walls = 0.05;
    let session = Some(Duration::from_secs(300));
    let safety = Duration::from_secs(180);
    let (lines, summary) = outcome(&Scenario { walls, session, safety, ..small(48, 8) });
    assert_eq!(summary.findings, Findings::default(), "{lines:#?}");
    assert_eq!(summary.registered, summary.joined, "{lines:#?}");
    assert!(summary.joined >= 44 && summary.last_found == summary.last_fetches, "{summary:?}");
}

/// R6940-10.7.4.4-01: two halves that were one ring become one again, and whatever either of them
/// acknowledged is found.
#[test]
fn a_partition_heals() {
    let partition = Duration::from_secs(120);
    let summary = good(&Scenario { partition, ..small(48, 7) });
    assert!(summary.partition_acknowledged >= 40, "{summary:?}");
    assert_eq!(summary.partition_found, summary.partition_acknowledged);
}

/// Scenarios that went wrong once, each with what had been found.
#[test]
fn what_went_wrong_once_does_not_again() {
    for (scenario, what) in regressions() {
        let (lines, summary) = outcome(&scenario);
        assert_eq!(summary.findings, Findings::default(), "{what}: {lines:#?}");
    }
}

fn regressions() -> Vec<(Scenario, &'static str)> {
    let partition = Duration::from_secs(300);
    let (session, safety) = (Some(Duration::from_secs(200)), Duration::from_secs(288));
    vec![
        (
            Scenario { partition, ..small(100, 3) },
            "the older of two versions won when the halves of a partition became one",
        ),
        (
            Scenario { session, safety, ..Scenario::new(40, 18) },
            "a holder that went after the one that was looked into did not count as one",
        ),
    ]
}
