//! Whole overlays of real peers under a virtual clock.
#![cfg(feature = "sim")]

use std::time::Duration;

use chordial::sim::{Scenario, Summary, run};

/// The lines and the summary of a run, without what depends on the machine.
fn outcome(scenario: &Scenario) -> (Vec<String>, Summary) {
    let mut lines = Vec::new();
    let summary = run(scenario, &mut |line| lines.push(line.to_owned()));
    (lines, Summary { real_s: 0.0, peak_rss_kb: 0, ..summary })
}

fn small(peers: usize, seed: u64) -> Scenario {
    Scenario {
        arrival_spacing: Duration::from_millis(800),
        settle: Duration::from_secs(30),
        ..Scenario::new(peers, seed)
    }
}

/// R6940-10.4-01, R6940-10.4-02, R6940-7.4.1.1-20: everybody joins, every registration is found,
/// and found again after some peers have died without handing anything over.
#[test]
fn registrations_survive_the_death_of_peers() {
    let scenario = Scenario { kills: 6, ..small(64, 1) };
    let (lines, summary) = outcome(&scenario);
    assert_eq!(summary.joined, 64, "{lines:#?}");
    assert_eq!(summary.fetches, 3 * 64 + 3 * 58);
    assert_eq!((summary.found, summary.wrong), (summary.fetches, 0), "{lines:#?}");
    assert!(summary.first_try * 100 >= summary.found * 95, "{summary:?}");
}

/// R6940-10.3-02: fingers keep the ways short.
#[test]
fn ways_grow_with_the_logarithm_of_the_overlay() {
    let scenario = Scenario { kills: 10, ..small(200, 2) };
    let (lines, summary) = outcome(&scenario);
    assert_eq!(summary.joined, 200, "{lines:#?}");
    assert_eq!((summary.found, summary.wrong), (summary.fetches, 0), "{lines:#?}");
    assert!(summary.hops_mean <= 0.6 * 200f64.log2(), "{summary:?}");
    assert!(f64::from(summary.hops_p95) <= 200f64.log2(), "{summary:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| outcome(&Scenario { kills: 2, ..small(24, seed) });
    let (first, again, other) = (run(5), run(5), run(6));
    assert_eq!(first, again);
    assert_ne!(first.1, other.1);
}

/// An overlay of one peer answers itself.
#[test]
fn a_lone_peer_finds_itself() {
    let (lines, summary) = outcome(&small(1, 3));
    assert_eq!((summary.joined, summary.fetches, summary.found), (1, 3, 3), "{lines:#?}");
    assert_eq!((summary.hops_mean, summary.hops_p95), (0.0, 0));
}
