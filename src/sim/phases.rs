//! What happens in a run, one phase after the other.

use std::time::Duration;

use super::figures::{Results, Summary, cpu_s, mean, p95, rounded, rss_kb};
use super::hostile::{Behavior, Mask, next_to};
use super::queue::Task;
use super::run::{Purpose, Run};
use super::scenario::Scenario;
use super::truth::holders;
use super::{checks, limits};
use crate::base::{NodeId, ResourceId, Rng};

/// Runs a scenario. `tell` gets one line for each phase and each finding, or the whole trace.
pub fn run(scenario: &Scenario, tell: &mut dyn FnMut(&str)) -> Summary {
    let started = std::time::Instant::now();
    let cpu_before = cpu_s();
    let rss_before = rss_kb("VmRSS:");
    let mut summary = match Run::new(scenario, tell) {
        Ok(mut run) => {
            run.phases(rss_before);
            run.summary
        }
        // The overlay is made here; a mistake in it is ours.
        Err(error) => {
            tell(&format!("the simulated overlay cannot be made: {error}"));
            Summary::default()
        }
    };
    summary.real_s = rounded(started.elapsed().as_secs_f64());
    let cpu = cpu_s().zip(cpu_before).map(|(after, before)| after - before);
    summary.cpu_s = rounded(cpu.unwrap_or(summary.real_s));
    summary.speed = rounded(summary.virtual_s / summary.real_s.max(0.001));
    summary.peak_rss_kb = rss_kb("VmHWM:");
    summary
}

impl Run<'_> {
    fn phases(&mut self, rss_before: u64) {
        self.join();
        self.register();
        let grown = rss_kb("VmRSS:").saturating_sub(rss_before) * 1024;
        self.summary.bytes_of_memory_per_peer = grown / u64::from(self.scenario.peers.max(1));
        self.look_up();
        self.idle();
        if self.scenario.has_faults() {
            self.safety();
        }
        self.liveness();
        let Self { summary, joins, arrivals, world, .. } = self;
        summary.join_rtt_mean = rounded(mean(joins.iter().copied()));
        summary.join_rtt_p95 = rounded(p95(joins));
        summary.arrival_rtt_mean = rounded(mean(arrivals.iter().copied()));
        let bytes = world.bytes_sent() as f64;
        summary.bytes_per_peer_s = rounded(bytes / world.peer_seconds().max(1.0));
        summary.virtual_s = rounded(world.clock.as_micros() as f64 / 1e6);
    }

    /// The first peer founds the overlay, the others join through some that have, each second a
    /// constant part of those that are there.
    fn join(&mut self) {
        let peers = self.scenario.peers;
        let mut at = Duration::ZERO;
        for present in 0..peers {
            self.world.plan(self.world.clock + at, Task::Arrive);
            let rate = (f64::from(present) * limits::GROWTH).max(limits::ARRIVALS_MIN);
            at += Duration::from_secs_f64(1.0 / rate);
        }
        let all = peers as usize;
        self.pass_until(at + limits::PATIENCE, |run| run.world.ring.len() == all);
        self.summary.joined = self.world.ring.len();
        let (joined, clock) = (self.summary.joined, self.seconds());
        self.say(&format!("join: {joined} of {peers} peers after {clock:.1} s"));
        self.pass(self.scenario.settle);
        self.say(&format!("settle: {:.1} s", self.scenario.settle.as_secs_f64()));
    }

    /// Every user registers.
    fn register(&mut self) {
        self.is_open = true;
        let start = self.seconds();
        for user in 0..self.world.len() {
            let at = self.world.clock + limits::FETCH_WINDOW.mul_f64(self.rng.unit());
            self.world.plan(at, Task::Publish(user));
        }
        let patience = limits::FETCH_WINDOW + limits::PATIENCE;
        self.pass(limits::FETCH_WINDOW);
        self.pass_until(patience, |run| run.users.iter().all(|user| user.acknowledged > 0));
        let count = self.users.iter().filter(|user| user.acknowledged > 0).count();
        self.summary.registered = count;
        let (users, took) = (self.users.len(), self.seconds() - start);
        self.say(&format!("register: {count} of {users} users after {took:.1} s"));
    }

    /// Every peer looks some users up.
    fn look_up(&mut self) {
        self.purpose = Purpose::Calm;
        let users: Vec<u32> =
            (0..self.world.len()).filter(|u| self.users[*u as usize].is_registered()).collect();
        for by in 0..self.world.len() {
            for _ in 0..self.scenario.fetches_per_peer {
                if let Some(of) = self.one_of(&users) {
                    self.plan_fetch(by, of, limits::FETCH_WINDOW);
                }
            }
        }
        self.wait_for_look_ups();
        let log2 = f64::from(self.scenario.peers.max(2)).log2();
        let Results { fetches, right, first_try, hops, rtts, .. } =
            &self.results[Purpose::Calm as usize];
        let hops_mean = mean(hops.iter().map(|h| f64::from(*h)));
        let summary = &mut self.summary;
        (summary.fetches, summary.found, summary.first_try) = (*fetches, *right, *first_try);
        summary.hops_mean = rounded(hops_mean);
        summary.hops_p95 = p95(hops);
        summary.hops_per_log2 = rounded(hops_mean / log2);
        summary.fetch_rtt_mean = rounded(mean(rtts.iter().copied()));
        let line = format!(
            "fetch: {right} of {fetches} registrations found, {hops_mean:.2} hops, {:.2} RTTs",
            summary.fetch_rtt_mean
        );
        self.say(&line);
    }

    /// Nobody does anything.
    fn idle(&mut self) {
        let idle = self.scenario.idle;
        if idle.is_zero() {
            return;
        }
        self.pass(limits::CALM_DOWN);
        let before = self.world.bytes_sent();
        self.pass(idle);
        let sent = (self.world.bytes_sent() - before) as f64;
        let per_s = sent / idle.as_secs_f64() / self.world.ring.len().max(1) as f64;
        let links: Vec<usize> = self.world.peers().map(|(_, peer)| peer.links()).collect();
        let summary = &mut self.summary;
        summary.idle_bytes_per_s = rounded(per_s);
        summary.links_mean = rounded(mean(links.iter().map(|links| *links as f64)));
        summary.links_max = links.into_iter().max().unwrap_or(0);
        let (mean, most) = (summary.links_mean, summary.links_max);
        let seconds = idle.as_secs_f64();
        self.say(&format!(
            "idle: {seconds:.1} s, {per_s:.1} bytes each way a second and peer, {mean:.1} links, \
             at most {most}"
        ));
    }

    /// Everything that is to go wrong goes wrong.
    fn safety(&mut self) {
        let start = self.world.clock;
        self.purpose = Purpose::Churn;
        (self.is_churning, self.is_loaded) = (self.scenario.session.is_some(), true);
        self.world.network.faults = self.scenario.faults;
        self.put_on_masks();
        for peer in 0..self.world.len() {
            self.plan_departure(peer);
        }
        self.world.plan(start, Task::Load);
        self.pass(limits::BEFORE);
        if self.scenario.kill > 0.0 {
            self.kill();
        }
        if !self.scenario.partition.is_zero() {
            self.partition();
        }
        let passed = self.world.clock.saturating_since(start);
        self.pass(self.scenario.safety.saturating_sub(passed));
        (self.is_churning, self.is_loaded) = (false, false);
        self.world.is_hostile = false;
        self.world.network.faults = super::Faults::default();
        self.wait_for_look_ups();
        let Results { fetches, right, first_command, first_try, .. } =
            &self.results[Purpose::Churn as usize];
        let (fetches, right) = (*fetches, *right);
        let summary = &mut self.summary;
        (summary.churn_fetches, summary.churn_right) = (fetches, right);
        (summary.churn_first_command, summary.churn_first_try) = (*first_command, *first_try);
        summary.arrivals = self.arrivals.len();
        let (departures, arrivals) = (summary.departures, summary.arrivals);
        let (passed, first) = (self.world.clock.saturating_since(start), *first_command);
        self.say(&format!(
            "safety: {:.1} s, {departures} peers went, {arrivals} came, {right} of {fetches} \
             look-ups right, {first} at the first command",
            passed.as_secs_f64()
        ));
    }

    /// A part of all peers dies in one moment, without a word.
    fn kill(&mut self) {
        let lasting = self.scenario.bootstrap_nodes();
        let mut victims: Vec<u32> = self.world.ring.peers().filter(|p| *p >= lasting).collect();
        victims.sort_unstable();
        let count = (self.scenario.kill * self.world.ring.len() as f64).round() as usize;
        let is_record = |user: &u32| self.users[*user as usize].is_registered();
        let records: Vec<u32> = (0..self.world.len()).filter(is_record).collect();
        while self.summary.killed < count && !victims.is_empty() {
            let victim = victims.swap_remove(self.rng.below(victims.len() as u64) as usize);
            self.trace(&format!("kill peer={victim}"));
            self.gone(victim);
            self.summary.killed += 1;
        }
        let is_held = |user: &u32| {
            holders(&self.world, *user, self.users[*user as usize].place).next().is_some()
        };
        let expected: Vec<u32> = records.iter().copied().filter(is_held).collect();
        self.pass(limits::REPAIR);
        let before = std::mem::replace(&mut self.is_loaded, false);
        self.wait_for_look_ups();
        self.purpose = Purpose::Kill;
        for of in expected.iter().copied() {
            if let Some(by) = self.somebody() {
                self.plan_fetch(by, of, limits::FETCH_WINDOW);
            }
        }
        self.wait_for_look_ups();
        self.purpose = Purpose::Churn;
        self.is_loaded = before;
        self.world.plan(self.world.clock, Task::Load);
        let found = self.results[Purpose::Kill as usize].right;
        let (killed, all, expected) = (self.summary.killed, records.len(), expected.len());
        let theory = 1.0 - self.scenario.kill.powi(3);
        let summary = &mut self.summary;
        (summary.kill_records, summary.kill_expected, summary.kill_found) = (all, expected, found);
        summary.kill_theory = rounded(theory);
        self.say(&format!(
            "kill: {killed} peers at once, {expected} of {all} registrations have a holder left \
             (1 - f³ = {theory:.4}), {found} found"
        ));
    }

    /// East and west cannot reach each other; users of both halves register anew.
    fn partition(&mut self) {
        let time = self.scenario.partition;
        self.trace("partition");
        self.is_split = true;
        self.world.split(true);
        self.pass(time / 4);
        for user in 0..self.world.len() {
            if self.users[user as usize].is_registered() && self.world.peer(user).is_some() {
                let at = self.world.clock + (time / 2).mul_f64(self.rng.unit());
                self.world.plan(at, Task::Publish(user));
            }
        }
        self.pass(time - time / 4);
        self.trace("heal");
        self.is_split = false;
        self.world.split(false);
        let count = self.users.iter().filter(|user| user.is_of_partition).count();
        self.say(&format!(
            "partition: {:.1} s, {count} registrations acknowledged by either half",
            time.as_secs_f64()
        ));
    }

    /// Nothing goes wrong any more: the ring heals, and everything is found that somebody holds.
    fn liveness(&mut self) {
        let start = self.world.clock;
        while !self.is_healed() && self.world.clock.saturating_since(start) < limits::LIVENESS_MAX {
            self.pass(limits::HEAL_CHECK);
        }
        let healed = self.world.clock.saturating_since(start).as_secs_f64();
        self.summary.heal_s = rounded(healed);
        if self.scenario.has_faults() {
            self.pass(limits::REPAIR);
            self.last_look_ups();
        }
        for what in checks::ring(&self.world) {
            self.find("ring", |f| &mut f.ring, &what);
        }
        for what in checks::forbidden(&self.world) {
            self.find("forbidden", |f| &mut f.forbidden, &what);
        }
        let outside = self.world.peers().filter(|(_, peer)| !peer.is_joined());
        let outside: Vec<u32> = outside
            .map(|(number, _)| number)
            .filter(|number| !checks::is_shut_out(&self.world, *number))
            .collect();
        for number in outside {
            self.find("not_joined", |f| &mut f.not_joined, &format!("peer={number}"));
        }
        let findings = self.summary.findings.count();
        self.say(&format!("end: healed after {healed:.1} s, {findings} findings"));
    }

    /// Every registration that should be somewhere is looked up.
    fn last_look_ups(&mut self) {
        self.purpose = Purpose::Last;
        for of in 0..self.world.len() {
            if let (true, Some(by)) = (self.users[of as usize].is_registered(), self.somebody()) {
                self.summary.partition_acknowledged +=
                    usize::from(self.users[of as usize].is_of_partition);
                self.plan_fetch(by, of, limits::FETCH_WINDOW);
            }
        }
        self.wait_for_look_ups();
        let Results { fetches, right, .. } = &self.results[Purpose::Last as usize];
        let (fetches, right) = (*fetches, *right);
        (self.summary.last_fetches, self.summary.last_found) = (fetches, right);
        self.say(&format!("fetch again: {right} of {fetches} registrations found"));
    }

    fn is_healed(&self) -> bool {
        let is_in = |number, peer: &crate::peer::Peer| {
            peer.is_joined() || checks::is_shut_out(&self.world, number)
        };
        self.world.peers().all(|(number, peer)| is_in(number, peer))
            && checks::ring(&self.world).is_empty()
    }

    /// Some peers become hostile, each in another way; those that want to sit next to a victim's
    /// key come there anew.
    fn put_on_masks(&mut self) {
        let lasting = self.scenario.bootstrap_nodes();
        let count = (self.scenario.hostile * f64::from(self.scenario.peers)).round() as usize;
        let users: Vec<u32> = (0..self.world.len()).collect();
        let mut candidates: Vec<u32> = users.iter().copied().filter(|u| *u >= lasting).collect();
        for number in 0..count {
            let behavior = Behavior::numbered(number);
            let victims: Vec<(ResourceId, NodeId)> =
                (0..limits::VICTIMS).filter_map(|_| self.victim(&users)).collect();
            let peer = match (behavior, victims.first()) {
                (Behavior::Sit, Some((place, _))) => self.arrive(place.to_u128().map(next_to)),
                _ if candidates.is_empty() => None,
                _ => {
                    let any = self.rng.below(candidates.len() as u64) as usize;
                    Some(candidates.swap_remove(any))
                }
            };
            let Some(peer) = peer else { continue };
            let identity = self.world.identity(peer).clone();
            let rng = Rng::new(self.rng.bytes());
            self.trace(&format!("hostile peer={peer} behavior={behavior:?}"));
            self.world.put_on(peer, Mask::new(behavior, identity, victims, rng));
            self.world.plan(self.world.clock, Task::Tick(peer));
            self.summary.hostile += 1;
        }
        self.world.is_hostile = count > 0;
    }

    fn victim(&mut self, users: &[u32]) -> Option<(ResourceId, NodeId)> {
        let user = self.one_of(users)?;
        let place = ResourceId::from_u128(self.users[user as usize].place);
        Some((place, self.world.identity(user).node_id))
    }

    fn one_of(&mut self, users: &[u32]) -> Option<u32> {
        users.get(self.rng.below(users.len() as u64) as usize).copied()
    }

    fn wait_for_look_ups(&mut self) {
        let patience = limits::FETCH_WINDOW + limits::PATIENCE;
        self.pass_until(patience, |run| run.waiting == 0);
    }

    fn seconds(&self) -> f64 {
        self.world.clock.as_micros() as f64 / 1e6
    }
}
