//! What came of a run, in numbers.

use std::time::Duration;

use serde::Serialize;

use super::limits;

/// What came of a run. Apart from the last five fields it depends on the scenario alone. Times
/// called "RTTs" are in round trips between two average peers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// How many peers were to join at the beginning.
    pub peers: u32,
    /// How many of them did.
    pub joined: usize,
    /// From the command to join until the peer was one, in RTTs: the mean while the overlay grew,
    /// whose peers had just come themselves.
    pub join_rtt_mean: f64,
    /// 19 of 20 joins took at most so many RTTs.
    pub join_rtt_p95: f64,
    /// Users whose registration was stored before the faults began.
    pub registered: usize,
    /// Look-ups of registered users before the faults began.
    pub fetches: usize,
    /// How many of them found what the user had registered.
    pub found: usize,
    /// How many of them found it by the first transmission of the request.
    pub first_try: usize,
    /// Links that a request crossed, on average over what was found.
    pub hops_mean: f64,
    /// 19 of 20 requests crossed at most so many.
    pub hops_p95: u32,
    /// The mean in parts of the logarithm to base 2 of the number of peers.
    pub hops_per_log2: f64,
    /// How long a look-up took, in RTTs.
    pub fetch_rtt_mean: f64,
    /// Links of a peer that were up, on average.
    pub links_mean: f64,
    /// Links of the peer with most.
    pub links_max: usize,
    /// What a peer sent in a second of the idle stretch, in bytes; it received as much.
    pub idle_bytes_per_s: f64,
    /// What a peer sent in a second of the whole run, in bytes.
    pub bytes_per_peer_s: f64,
    /// Peers that left or crashed during the faults, without those of the mass kill.
    pub departures: usize,
    /// Peers that came in their place and joined.
    pub arrivals: usize,
    /// How long their joins took, in RTTs, on average.
    pub arrival_rtt_mean: f64,
    /// Look-ups while peers came and went.
    pub churn_fetches: usize,
    /// How many of them found the newest registration that was acknowledged when they began.
    pub churn_right: usize,
    /// How many did so without being asked again.
    pub churn_first_command: usize,
    /// How many did so by the first transmission of the request.
    pub churn_first_try: usize,
    /// Peers of the mass kill.
    pub killed: usize,
    /// Registrations before it.
    pub kill_records: usize,
    /// Those that had a living holder right after it.
    pub kill_expected: usize,
    /// Those that were found after a repair interval.
    pub kill_found: usize,
    /// The share that independent holders lead one to expect: 1 − f³.
    pub kill_theory: f64,
    /// Registrations that either half of the partition acknowledged.
    pub partition_acknowledged: usize,
    /// Those of them that were found at the end, the newest version each.
    pub partition_found: usize,
    /// How long the ring took to heal after the last fault, in seconds.
    pub heal_s: f64,
    /// Look-ups at the end, one for each registration that somebody holds.
    pub last_fetches: usize,
    /// How many of them found the newest version.
    pub last_found: usize,
    /// Hostile peers.
    pub hostile: usize,
    /// Registrations that were lost as all their holders went within one repair interval.
    pub losses_excused: usize,
    /// What must not be, and how often it was.
    pub findings: Findings,
    /// Virtual time from first to last, in seconds.
    pub virtual_s: f64,
    /// What the run took, in seconds.
    pub real_s: f64,
    /// What it took of a processor, in seconds; as `real_s` where the system does not tell.
    pub cpu_s: f64,
    /// Virtual seconds in a real one.
    pub speed: f64,
    /// The most memory that the process had, in KiB; 0 where the system does not tell.
    pub peak_rss_kb: u64,
    /// By how much memory grew for each peer until all had registered, in bytes.
    pub bytes_of_memory_per_peer: u64,
}

/// What must not be, and how often it was: all 0 in a good run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Findings {
    /// Values in a peer's storage that access control forbids or whose signature does not hold.
    pub forbidden: usize,
    /// Fetches that returned a value that its owner had not signed.
    pub forged: usize,
    /// Fetches that returned an older version than all holders had when it began.
    pub stale: usize,
    /// Registrations lost although not all holders went within one repair interval.
    pub lost: usize,
    /// Queues and tables that passed their bound.
    pub over_bounds: usize,
    /// Neighbours that were wrong at the end.
    pub ring: usize,
    /// Registrations that somebody held at the end and that were not found.
    pub not_found: usize,
    /// Peers that were not joined at the end.
    pub not_joined: usize,
}

impl Findings {
    /// How many there are.
    pub fn count(&self) -> usize {
        let Self { forbidden, forged, stale, lost, over_bounds, ring, not_found, not_joined } =
            self;
        forbidden + forged + stale + lost + over_bounds + ring + not_found + not_joined
    }
}

/// What look-ups came to.
#[derive(Debug, Default)]
pub(super) struct Results {
    pub(super) fetches: usize,
    pub(super) right: usize,
    pub(super) first_command: usize,
    pub(super) first_try: usize,
    pub(super) hops: Vec<u32>,
    pub(super) rtts: Vec<f64>,
}

impl Results {
    /// One found what it should, at this attempt and by this transmission.
    pub(super) fn count(&mut self, attempt: u8, transmissions: u32, hops: u32, took: Duration) {
        self.right += 1;
        self.first_command += usize::from(attempt == 1);
        self.first_try += usize::from(attempt == 1 && transmissions <= 1);
        self.hops.push(hops);
        self.rtts.push(in_rtts(took));
    }
}

pub(super) fn in_rtts(time: Duration) -> f64 {
    time.as_secs_f64() / limits::RTT_MEAN.as_secs_f64()
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// The value that 19 of 20 do not exceed.
pub(super) fn p95<T: Copy + PartialOrd + Default>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted.get((sorted.len() * 95).div_ceil(100).max(1) - 1).copied().unwrap_or_default()
}

/// To three decimals: enough to compare runs, and short to read.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// What this process occupies now, or had at most, in KiB; 0 where the system does not tell.
pub(super) fn rss_kb(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// What this thread has had of a processor, in seconds.
pub(super) fn cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_of_twenty() {
        assert_eq!(p95(&(1..=100).collect::<Vec<u32>>()), 95);
        assert_eq!(p95::<u32>(&[7]), 7);
        assert_eq!(p95::<u32>(&[]), 0);
    }
}
