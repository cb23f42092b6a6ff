//! The figures of large overlays, each beside the goal that it is held to.
//!
//! ```text
//! cargo bench --no-default-features --features sim --bench sim -- [PART] [PEERS]
//! ```
//!
//! Parts: `routing`, `churn`, `kill`, `partition`, `idle`; all of them without, with 10,000 peers.
//! What is counted depends on the seed alone. Speed is virtual time by processor time, so that it
//! means the same on a busy machine; memory is that of a process which runs one part only.

use std::time::Duration;

use chordial::routing::chord::Table;
use chordial::sim::{Scenario, Summary, run};

/// Runs with so many peers and prints its figures.
type Part = fn(u32);

fn main() {
    // Cargo adds arguments of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let peers = arguments.iter().find_map(|a| a.parse().ok()).unwrap_or(10_000);
    let part = arguments.iter().find(|a| a.parse::<u32>().is_err());
    let is_wanted = |name: &str| part.is_none_or(|part| part == name);
    println!("{:<58} {:>14} {:>12}", format!("{peers} peers, seed {SEED}"), "goal", "value");
    let parts: [(&str, Part); 5] = [
        ("routing", routing),
        ("churn", churn),
        ("kill", kill),
        ("partition", partition),
        ("idle", idle),
    ];
    for (_, part) in parts.into_iter().filter(|(name, _)| is_wanted(name)) {
        part(peers);
    }
}

/// Ways through full tables, with many links, fewer, and the RFC's minimum.
fn routing(peers: u32) {
    let settled = |links, table| Scenario {
        links,
        table,
        settle: SETTLE,
        idle: Duration::ZERO,
        ..Scenario::new(peers, SEED)
    };
    let wide = measured(&settled(128, Table::Wide));
    let fewer = measured(&settled(65, Table::Wide));
    let plain = measured(&settled(128, Table::Plain));
    line("links 128: mean look-up in mean-pair RTTs", "<= 2.2", wide.fetch_rtt_mean);
    line("links 128: hops / log2 N", "<= 0.27", wide.hops_per_log2);
    line("links 65: mean look-up in mean-pair RTTs", "", fewer.fetch_rtt_mean);
    line("links 65: hops / log2 N", "<= 0.35", fewer.hops_per_log2);
    line("plain table: mean look-up in mean-pair RTTs", "", plain.fetch_rtt_mean);
    line("plain table: hops / log2 N", "", plain.hops_per_log2);
    let ratio = plain.fetch_rtt_mean / wide.fetch_rtt_mean;
    line("plain table / links 128: time of a look-up", ">= 2.7", ratio);
}

/// An hour in which users stay an hour on average.
fn churn(peers: u32) {
    let hour = Duration::from_secs(3600);
    let scenario = Scenario { session: Some(hour), safety: hour, ..Scenario::new(peers, SEED) };
    let summary = measured(&scenario);
    let share = |count: usize| 100.0 * count as f64 / summary.churn_fetches.max(1) as f64;
    line(
        "sessions of an hour: right at the first command, %",
        ">= 99.9",
        share(summary.churn_first_command),
    );
    line(
        "sessions of an hour: right at the first transmission, %",
        "",
        share(summary.churn_first_try),
    );
    line("sessions of an hour: join in RTTs, mean", "<= 9", summary.arrival_rtt_mean);
    speed(&summary);
}

/// A part of all peers dies at one moment.
fn kill(peers: u32) {
    for kill in [0.1, 0.2, 0.3] {
        let summary = measured(&Scenario { kill, ..Scenario::new(peers, SEED) });
        let share = |count: usize| 100.0 * count as f64 / summary.kill_records.max(1) as f64;
        let what = format!("kill of {:.0} %: found, %", 100.0 * kill);
        line(
            &what,
            &format!("{:.2} ± 0.1", 100.0 * summary.kill_theory),
            share(summary.kill_found),
        );
        let what = format!("kill of {:.0} %: registrations with a holder left, %", 100.0 * kill);
        line(&what, "", share(summary.kill_expected));
    }
}

/// East and west cannot reach each other for ten minutes.
fn partition(peers: u32) {
    let partition = Duration::from_secs(600);
    let summary = measured(&Scenario { partition, ..Scenario::new(peers, SEED) });
    let lost = summary.partition_acknowledged - summary.partition_found;
    line("partition of 600 s: acknowledged by a half, lost", "0", lost as f64);
    line("partition of 600 s: healed after, s", "", summary.heal_s);
}

/// Upkeep, and what the simulation itself costs.
fn idle(peers: u32) {
    let idle = Duration::from_secs(1800);
    let scenario = Scenario { links: 36, settle: SETTLE, idle, ..Scenario::new(peers, SEED) };
    let summary = measured(&scenario);
    line("links 36, idle: bytes each way a second and peer", "<= 150", summary.idle_bytes_per_s);
    line("links 36: links of a peer, mean", "<= 36", summary.links_mean);
    line("links 36: links of a peer, most", "<= 36", summary.links_max as f64);
    line("join in RTTs, mean", "<= 9", summary.join_rtt_mean);
    line("join in RTTs, 95 of 100", "", summary.join_rtt_p95);
    line("memory for each peer, kB", "<= 20", summary.bytes_of_memory_per_peer as f64 / 1000.0);
    speed(&summary);
}

fn speed(summary: &Summary) {
    let goal = if summary.peers > 50_000 { ">= 1" } else { ">= 20" };
    line("virtual seconds in one of processor time", goal, summary.virtual_s / summary.cpu_s);
}

fn measured(scenario: &Scenario) -> Summary {
    let mut findings = Vec::new();
    let summary = run(scenario, &mut |line| findings.push(line.to_owned()));
    if summary.findings.count() > 0 {
        println!("{scenario:?} has findings: {:?}", summary.findings);
        findings.retain(|line| line.contains(" finding "));
        findings.iter().for_each(|line| println!("  {line}"));
    }
    summary
}

fn line(figure: &str, goal: &str, value: f64) {
    println!("{figure:<58} {goal:>14} {value:>12.3}");
}

const SEED: u64 = 1;
/// A table with 128 links takes ten minutes to fill at its own pace.
const SETTLE: Duration = Duration::from_secs(2400);
