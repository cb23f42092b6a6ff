//! What happens in a run, one phase after the other.

use std::collections::BTreeMap;
use std::time::Duration;

use super::network::address_of;
use super::world::{OVERLAY, World};
use super::{Scenario, Summary, limits};
use crate::base::{Instant, Rng};
use crate::message::Places;
use crate::peer::{Answer, Command, Event, FetchSpec, Fetched, RequestError, RequestId, StoreSpec};
use crate::usage::{Publication, parse_aor, registration};

/// Runs a scenario. `tell` gets one line for each phase.
pub fn run(scenario: &Scenario, tell: &mut dyn FnMut(&str)) -> Summary {
    let started = std::time::Instant::now();
    let mut rng = Rng::from_number(scenario.seed);
    let mut summary = Summary { peers: scenario.peers, ..Summary::default() };
    match World::new(scenario.peers, &mut rng) {
        Ok(world) => {
            let publications = (0..scenario.peers).map(|user| publication(&world, user)).collect();
            let registered = vec![false; scenario.peers];
            let results = Results::default();
            let mut run = Run { scenario, world, rng, publications, registered, results, tell };
            run.phases(&mut summary);
        }
        // The overlay and its users are made here; a mistake in them is ours.
        Err(error) => tell(&format!("the simulated overlay cannot be made: {error}")),
    }
    summary.real_s = rounded(started.elapsed().as_secs_f64());
    summary.peak_rss_kb = peak_rss_kb();
    summary
}

struct Run<'a> {
    scenario: &'a Scenario,
    world: World,
    rng: Rng,
    /// What each user registers.
    publications: Vec<Publication>,
    /// Whether it has been stored.
    registered: Vec<bool>,
    results: Results,
    tell: &'a mut dyn FnMut(&str),
}

/// What look-ups came to.
#[derive(Debug, Default)]
struct Results {
    fetches: usize,
    found: usize,
    wrong: usize,
    first_try: usize,
    hops: Vec<u32>,
    rtts: Vec<f64>,
}

impl Run<'_> {
    fn phases(&mut self, summary: &mut Summary) {
        summary.joined = self.join();
        self.settle();
        self.register();
        self.look_up("fetch");
        if self.scenario.kills > 0 {
            self.kill();
            self.look_up("fetch again");
        }
        let Results { fetches, found, wrong, first_try, .. } = self.results;
        (summary.fetches, summary.found) = (fetches, found);
        (summary.wrong, summary.first_try) = (wrong, first_try);
        self.results.hops.sort_unstable();
        let hops = &self.results.hops;
        summary.hops_mean = rounded(mean(hops.iter().map(|h| f64::from(*h))));
        summary.hops_p95 = hops.get((hops.len() * 95).div_ceil(100).max(1) - 1).map_or(0, |h| *h);
        summary.fetch_rtt_mean = rounded(mean(self.results.rtts.iter().copied()));
        let bytes = self.world.network.bytes_sent as f64;
        summary.bytes_per_peer_s = rounded(bytes / self.world.peer_seconds().max(1.0));
        summary.virtual_s = rounded(self.world.clock.as_micros() as f64 / 1e6);
    }

    /// The first peer founds the overlay, the others join through some that have.
    fn join(&mut self) -> usize {
        let Scenario { peers, arrival_spacing, .. } = *self.scenario;
        let mut at = self.world.clock;
        for peer in 0..peers {
            let command = if peer == 0 {
                Command::Found
            } else {
                let through = self.rng.below(peer.min(limits::BOOTSTRAP_NODES) as u64);
                Command::Join(vec![address_of(through as usize)])
            };
            let _ = self.world.command(at, peer, command);
            at = at + arrival_spacing;
        }
        let mut is_joined = vec![false; peers];
        self.world.run_until(at + limits::PATIENCE, &mut |_, peer, event| {
            is_joined[peer] |= matches!(event, Event::Joined);
            is_joined.iter().all(|joined| *joined)
        });
        let joined = is_joined.iter().filter(|joined| **joined).count();
        let clock = self.world.clock.as_micros() as f64 / 1e6;
        self.say(&format!("join: {joined} of {peers} peers after {clock:.1} s"));
        joined
    }

    fn settle(&mut self) {
        let settle = self.scenario.settle;
        self.pass(settle);
        self.say(&format!("settle: {:.1} s", settle.as_secs_f64()));
    }

    /// Every user registers.
    fn register(&mut self) {
        let mut open = BTreeMap::new();
        let start = self.world.clock;
        for user in 0..self.scenario.peers {
            let Publication { resource, kind, value } = self.publications[user].clone();
            let spec = StoreSpec { resource, kind, value, lifetime_s: LIFETIME_S };
            let at = self.within(start, limits::FETCH_WINDOW);
            open.insert(self.world.command(at, user, Command::Publish(spec)), user);
        }
        let registered = &mut self.registered;
        let end = start + limits::FETCH_WINDOW + limits::PATIENCE;
        self.world.run_until(end, &mut |_, _, event| {
            let Event::Done(request, result) = event else { return false };
            let Some(user) = open.remove(&request) else { return false };
            registered[user] = matches!(result, Ok(Answer::Stored { .. }));
            open.is_empty()
        });
        let count = self.registered.iter().filter(|is_registered| **is_registered).count();
        let seconds = self.world.clock.saturating_since(start).as_secs_f64();
        let peers = self.scenario.peers;
        self.say(&format!("register: {count} of {peers} users after {seconds:.1} s"));
    }

    /// Every living peer looks some registered users up.
    fn look_up(&mut self, phase: &str) {
        let before = (self.results.fetches, self.results.found);
        let start = self.world.clock;
        let mut open = self.ask(start);
        let results = &mut self.results;
        let publications = &self.publications;
        let end = start + limits::FETCH_WINDOW + limits::PATIENCE;
        self.world.run_until(end, &mut |now, _, event| {
            let Event::Done(request, result) = event else { return false };
            let Some((user, at)) = open.remove(&request) else { return false };
            results.count(&publications[user], now.saturating_since(at), &result);
            open.is_empty()
        });
        self.results.fetches += open.len();
        let fetches = self.results.fetches - before.0;
        let found = self.results.found - before.1;
        self.say(&format!("{phase}: {found} of {fetches} registrations found"));
    }

    /// Plans the look-ups of a phase.
    fn ask(&mut self, start: Instant) -> BTreeMap<RequestId, (usize, Instant)> {
        let users: Vec<_> = (0..self.scenario.peers).filter(|u| self.registered[*u]).collect();
        let mut open = BTreeMap::new();
        for peer in 0..self.scenario.peers {
            if !self.world.is_alive(peer) || users.is_empty() {
                continue;
            }
            for _ in 0..self.scenario.fetches_per_peer {
                let user = users[self.rng.below(users.len() as u64) as usize];
                let at = self.within(start, limits::FETCH_WINDOW);
                let Publication { resource, kind, .. } = self.publications[user].clone();
                let places = Places::Dictionary(Vec::new());
                let command = Command::Fetch(FetchSpec { resource, kind, places });
                open.insert(self.world.command(at, peer, command), (user, at));
            }
        }
        open
    }

    /// Some peers die without a word, and the ring heals.
    fn kill(&mut self) {
        let Scenario { peers, kills, kill_spacing, repair, .. } = *self.scenario;
        // The bootstrap nodes stay: in the world outside, documents name peers that last.
        let mut victims: Vec<_> = (limits::BOOTSTRAP_NODES.min(peers)..peers).collect();
        let mut at = self.world.clock;
        let mut killed = 0;
        while killed < kills && !victims.is_empty() {
            let victim = victims.swap_remove(self.rng.below(victims.len() as u64) as usize);
            at = at + kill_spacing;
            self.world.kill(at, victim);
            killed += 1;
        }
        let seconds = at.saturating_since(self.world.clock) + repair;
        self.pass(seconds);
        let seconds = seconds.as_secs_f64();
        self.say(&format!("kill: {killed} of {peers} peers within {seconds:.1} s"));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.world.clock + time;
        self.world.run_until(end, &mut |_, _, _| false);
    }

    fn within(&mut self, start: Instant, window: Duration) -> Instant {
        start + window.mul_f64(self.rng.unit())
    }

    fn say(&mut self, line: &str) {
        (self.tell)(line);
    }
}

impl Results {
    fn count(
        &mut self,
        expected: &Publication,
        took: Duration,
        result: &Result<Answer, RequestError>,
    ) {
        self.fetches += 1;
        let Ok(Answer::Fetched(Fetched { values, hops, transmissions, .. })) = result else {
            return;
        };
        if values.iter().any(|found| found.value != expected.value) {
            self.wrong += 1;
        } else if !values.is_empty() {
            self.found += 1;
            self.first_try += usize::from(*transmissions <= 1);
            self.hops.push(*hops);
            self.rtts.push(took.as_secs_f64() / limits::RTT_MEAN.as_secs_f64());
        }
    }
}

/// The registration of the user who sits at this peer.
fn publication(world: &World, user: usize) -> Publication {
    let identity = world.identity(user);
    let aor = parse_aor(&identity.certificate.user_name, OVERLAY);
    registration(&aor.expect("the world's users have proper names"), identity.node_id)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// To three decimals: enough to compare runs, and short to read.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The most memory that this process has had; 0 where the system does not tell.
fn peak_rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Long enough for any run, so that what is found does not depend on refreshes.
const LIFETIME_S: u32 = 86_400;
