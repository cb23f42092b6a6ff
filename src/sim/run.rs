//! What a run does with what happens: who comes and goes, stores and looks up, and whether what
//! comes of it is right.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::{Results, Summary, in_rtts};
use super::queue::Task;
use super::scenario::Scenario;
use super::truth::{Deaths, User, holders, version_in, version_mark};
use super::world::{OVERLAY, Occurrence, World, WorldError, bootstrap_nodes};
use super::{checks, limits};
use crate::base::{Encode, Instant, NodeId, ResourceId, Rng};
use crate::message::{DataValue, KindId, Places, StoredDataValue};
use crate::peer::{Answer, Command, Event, FetchSpec, Fetched, RequestError, RequestId, StoreSpec};
use crate::usage::{Publication, SipRegistration, parse_aor, registration};

/// A run and what it knows.
pub(super) struct Run<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: World,
    pub(super) rng: Rng,
    pub(super) users: Vec<User>,
    pub(super) summary: Summary,
    /// What look-ups came to, by what they were for.
    pub(super) results: [Results; 4],
    /// What look-ups are for now.
    pub(super) purpose: Purpose,
    /// Look-ups that were planned and have not ended.
    pub(super) waiting: usize,
    /// Join times in RTTs, while the overlay grew.
    pub(super) joins: Vec<f64>,
    /// Join times in RTTs of those that came in the place of others.
    pub(super) arrivals: Vec<f64>,
    /// Whether users register as soon as they have joined.
    pub(super) is_open: bool,
    /// Whether users come and go.
    pub(super) is_churning: bool,
    /// Whether somebody looks somebody up from time to time.
    pub(super) is_loaded: bool,
    pub(super) is_split: bool,
    by_place: BTreeMap<u128, u32>,
    deaths: Deaths,
    joining: BTreeMap<u32, Instant>,
    open: BTreeMap<RequestId, Open>,
    checked: Instant,
    tell: &'a mut dyn FnMut(&str),
}

/// What a look-up is for; which [`Results`] it counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Calm,
    Churn,
    Kill,
    Last,
}

/// A command that has no answer yet.
#[derive(Clone, Copy, Debug)]
enum Open {
    Publish { user: u32, version: u32 },
    Fetch(Fetch),
}

#[derive(Clone, Copy, Debug)]
struct Fetch {
    by: u32,
    of: u32,
    attempt: u8,
    began: Instant,
    /// The oldest version that any holder had when it began.
    floor: u32,
    /// The newest that had been acknowledged.
    acknowledged: u32,
    purpose: Purpose,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        scenario: &'a Scenario,
        tell: &'a mut dyn FnMut(&str),
    ) -> Result<Self, WorldError> {
        let mut rng = Rng::from_number(scenario.seed);
        let mut world = World::new(scenario, &mut rng)?;
        world.network.wall_off(scenario.walls, scenario.bootstrap_nodes());
        Ok(Self {
            scenario,
            world,
            rng,
            users: Vec::new(),
            summary: Summary { peers: scenario.peers, ..Summary::default() },
            results: Default::default(),
            purpose: Purpose::Calm,
            waiting: 0,
            joins: Vec::new(),
            arrivals: Vec::new(),
            is_open: false,
            is_churning: false,
            is_loaded: false,
            is_split: false,
            by_place: BTreeMap::new(),
            deaths: Deaths::default(),
            joining: BTreeMap::new(),
            open: BTreeMap::new(),
            checked: Instant::ORIGIN,
            tell,
        })
    }

    /// Lets things happen for a while.
    pub(super) fn pass(&mut self, time: Duration) {
        self.pass_until(time, |_| false);
    }

    /// Lets things happen for a while, or until it is enough.
    pub(super) fn pass_until(&mut self, time: Duration, is_enough: impl Fn(&Self) -> bool) {
        let end = self.world.clock + time;
        while !is_enough(self)
            && let Some(occurrence) = self.world.next(end)
        {
            self.take(occurrence);
        }
        self.check_bounds();
    }

    /// A line for people.
    pub(super) fn say(&mut self, line: &str) {
        if self.scenario.is_traced {
            self.trace(&format!("phase {line}"));
        } else {
            (self.tell)(line);
        }
    }

    /// A line of the trace.
    pub(super) fn trace(&mut self, event: &str) {
        if self.scenario.is_traced {
            let seconds = self.world.clock.as_micros() as f64 / 1e6;
            (self.tell)(&format!("{seconds:.6} {event}"));
        }
    }

    /// Something that must not be.
    pub(super) fn find(
        &mut self,
        check: &str,
        count: impl FnOnce(&mut super::Findings) -> &mut usize,
        what: &str,
    ) {
        *count(&mut self.summary.findings) += 1;
        if self.summary.findings.count() <= limits::FINDINGS_TOLD || self.scenario.is_traced {
            let seconds = self.world.clock.as_micros() as f64 / 1e6;
            (self.tell)(&format!("{seconds:.6} finding check={check} {what}"));
        }
    }

    /// A new peer, through which others may join if it is one of the first.
    pub(super) fn arrive(&mut self, place: Option<NodeId>) -> Option<u32> {
        let lasting = self.scenario.bootstrap_nodes();
        let is_bootstrap = self.world.len() < lasting;
        let number = self.world.add(place, is_bootstrap).ok()?;
        let resource = publication(&self.world, number, 0).resource;
        let user = User::new(resource.to_u128().unwrap_or(0));
        self.by_place.insert(user.place, number);
        self.users.push(user);
        let command = match number {
            0 => Command::Found,
            _ => Command::Join(bootstrap_nodes(number.min(lasting), &mut self.rng)),
        };
        self.joining.insert(number, self.world.clock);
        let node = self.world.identity(number).node_id;
        self.trace(&format!("arrive peer={number} node={node}"));
        let _ = self.world.command(number, command);
        Some(number)
    }

    /// A peer is gone, whether it said good-bye or not.
    pub(super) fn gone(&mut self, number: u32) {
        let Some(dead) = self.world.kill(number) else { return };
        self.joining.remove(&number);
        let kept = dead.storage().kept();
        let registrations =
            kept.filter(|(_, k)| k.kind == KindId::SIP_REGISTRATION && k.bytes().is_some());
        let places = registrations.filter_map(|(resource, _)| resource.to_u128());
        let held: Vec<u32> = places.filter_map(|p| self.by_place.get(&p).copied()).collect();
        let node = dead.node_id().to_u128();
        let is_first = |user: &&u32| {
            let place = self.users[**user as usize].place;
            let next = self.world.ring.from(place).next();
            next.is_none_or(|(next, _)| node.wrapping_sub(place) < next.wrapping_sub(place))
        };
        let is_hostile = self.world.is_masked(number);
        let withheld = match is_hostile {
            true => held.iter().filter(is_first).copied().collect(),
            false => Vec::new(),
        };
        self.deaths.add(self.world.clock, held, withheld, is_hostile);
        self.world.plan(self.world.clock + limits::MOURNING, Task::Mourn);
        let is_its = |open: &&Open| matches!(open, Open::Fetch(fetch) if fetch.by == number);
        let dropped: Vec<Open> = self.open.values().filter(is_its).copied().collect();
        self.open.retain(|_, open| !is_its(&&*open));
        for open in dropped {
            if let Open::Fetch(fetch) = open {
                self.not_counted(fetch.purpose);
            }
        }
    }

    /// Plans the end of a user's session.
    pub(super) fn plan_departure(&mut self, number: u32) {
        if let Some(mean) = self.scenario.session
            && number >= self.scenario.bootstrap_nodes()
        {
            let time = mean.mul_f64(-(1.0 - self.rng.unit()).ln());
            self.world.plan(self.world.clock + time, Task::Depart(number));
        }
    }

    /// Plans a look-up within a while from now.
    pub(super) fn plan_fetch(&mut self, by: u32, of: u32, window: Duration) {
        self.waiting += 1;
        self.results[self.purpose as usize].fetches += 1;
        let at = self.world.clock + window.mul_f64(self.rng.unit());
        self.world.plan(at, Task::Fetch { by, of, attempt: 1 });
    }

    /// A joined peer whose user is honest, at random.
    pub(super) fn somebody(&mut self) -> Option<u32> {
        let count = self.world.len();
        let mut tries = (0..SEARCH_MAX).map(|_| self.rng.below(count.into()) as u32);
        tries.find(|n| {
            self.world.peer(*n).is_some_and(|p| p.is_joined()) && !self.world.is_masked(*n)
        })
    }

    /// Publishes the next version of a user's registration.
    pub(super) fn publish(&mut self, user: u32) {
        if self.world.peer(user).is_none() || self.users[user as usize].is_withdrawn {
            return;
        }
        let version = self.users[user as usize].version + 1;
        self.users[user as usize].version = version;
        let Publication { resource, kind, value } = publication(&self.world, user, version);
        let spec = StoreSpec { resource, kind, value, lifetime_s: limits::LIFETIME_S };
        self.trace(&format!("store user={user} version={version}"));
        let request = self.world.command(user, Command::Publish(spec));
        self.open.insert(request, Open::Publish { user, version });
    }

    fn take(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Due(task) => self.due(task),
            Occurrence::Event(peer, event) => self.event(peer, event),
            Occurrence::Linked { peer, link, is_up } => {
                let verb = if is_up { "up" } else { "down" };
                self.trace(&format!("{verb} peer={peer} link={}", link.0));
            }
        }
        if self.world.clock.saturating_since(self.checked) >= limits::CHECK_INTERVAL {
            self.check_bounds();
        }
    }

    fn due(&mut self, task: Task) {
        match task {
            Task::Arrive => {
                let _ = self.arrive(None);
            }
            Task::Depart(number) => self.depart(number),
            Task::Publish(user) => self.publish(user),
            Task::Fetch { by, of, attempt } => self.fetch(by, of, attempt),
            Task::Load => self.load(),
            Task::Mourn => self.mourn(),
            Task::Tick(number) if self.world.is_hostile && self.world.peer(number).is_some() => {
                self.world.tick(number);
                self.world.plan(self.world.clock + limits::TICK, task);
            }
            Task::Tick(_) => {}
        }
    }

    fn event(&mut self, number: u32, event: Event) {
        match event {
            Event::Joined => {
                if let Some(began) = self.joining.remove(&number) {
                    let took = self.world.clock.saturating_since(began);
                    match self.is_churning {
                        true => self.arrivals.push(in_rtts(took)),
                        false if number > 0 => self.joins.push(in_rtts(took)),
                        false => {}
                    }
                    self.trace(&format!("joined peer={number} ms={}", took.as_millis()));
                    if self.is_churning {
                        self.plan_departure(number);
                    }
                }
                if self.is_open && self.users[number as usize].version == 0 {
                    self.publish(number);
                }
            }
            Event::JoinFailed(error) => self.trace(&format!("failed peer={number} why={error}")),
            Event::Left => {
                self.trace(&format!("left peer={number}"));
                self.gone(number);
            }
            Event::Done(request, result) => self.done(request, result),
            Event::Joining(_)
            | Event::Connected(_)
            | Event::AppLink { .. }
            | Event::RolledBack { .. }
            | Event::Knock(..)
            | Event::Configured { .. } => {}
        }
    }

    /// The end of a session: half of the users close the program, the others just vanish.
    fn depart(&mut self, number: u32) {
        if !self.is_churning || self.world.peer(number).is_none() {
            return;
        }
        self.summary.departures += 1;
        if self.rng.unit() < limits::LEAVE_SHARE {
            self.trace(&format!("leave peer={number}"));
            self.users[number as usize].is_withdrawn = true;
            let _ = self.world.command(number, Command::Leave);
        } else {
            self.trace(&format!("crash peer={number}"));
            self.gone(number);
        }
        self.world.plan(self.world.clock, Task::Arrive);
    }

    fn load(&mut self) {
        if !self.is_loaded {
            return;
        }
        let rate = f64::from(self.scenario.peers) / limits::FETCH_INTERVAL.as_secs_f64();
        let pause = Duration::from_secs_f64(-(1.0 - self.rng.unit()).ln() / rate);
        self.world.plan(self.world.clock + pause, Task::Load);
        let (Some(by), Some(of)) = (self.somebody(), self.somebody()) else { return };
        let map = &self.world.network.map;
        let is_cut = self.is_split && map.is_west(by) != map.is_west(of);
        if self.users[of as usize].is_registered() && !is_cut {
            self.plan_fetch(by, of, Duration::ZERO);
        }
    }

    fn fetch(&mut self, by: u32, of: u32, attempt: u8) {
        let user = self.users[of as usize];
        if self.world.peer(by).is_none() || !user.is_registered() {
            return self.not_counted(self.purpose);
        }
        let map = &self.world.network.map;
        let is_reached = |holder: u32| !self.is_split || map.is_west(holder) == map.is_west(by);
        let versions = holders(&self.world, of, user.place).filter(|(peer, _)| is_reached(*peer));
        let fetch = Fetch {
            by,
            of,
            attempt,
            began: self.world.clock,
            floor: versions.map(|(_, version)| version).min().unwrap_or(0),
            acknowledged: user.acknowledged,
            purpose: self.purpose,
        };
        let (resource, kind) = (ResourceId::from_u128(user.place), KindId::SIP_REGISTRATION);
        let places = Places::Dictionary(Vec::new());
        self.trace(&format!("fetch peer={by} user={of} attempt={attempt}"));
        let request = self.world.command(by, Command::Fetch(FetchSpec { resource, kind, places }));
        self.open.insert(request, Open::Fetch(fetch));
    }

    fn done(&mut self, request: RequestId, result: Result<Answer, RequestError>) {
        match self.open.remove(&request) {
            Some(Open::Publish { user, version }) => match result {
                Ok(_) => self.stored(user, version),
                Err(error) => self.trace(&format!("refused user={user} why={error}")),
            },
            Some(Open::Fetch(fetch)) => self.fetched(fetch, result),
            None => {}
        }
    }

    fn stored(&mut self, user: u32, version: u32) {
        self.trace(&format!("stored user={user} version={version}"));
        let now = self.world.clock;
        let known = &mut self.users[user as usize];
        if version > known.acknowledged {
            (known.acknowledged, known.acknowledged_at) = (version, now);
            known.is_lost = false;
            known.is_of_partition |= self.is_split;
        }
    }

    fn fetched(&mut self, fetch: Fetch, result: Result<Answer, RequestError>) {
        let Fetch { by, of, attempt, purpose, .. } = fetch;
        let took = self.world.clock.saturating_since(fetch.began);
        let why = match result {
            Ok(Answer::Fetched(Fetched { values, hops, transmissions, .. })) => {
                let owner = self.world.identity(of).certificate.fingerprint;
                let is_forged = |version: Option<u32>| {
                    version.is_none_or(|version| version > self.users[of as usize].version)
                };
                let versions = values.iter().map(|v| {
                    version_in(&v.value.data().value).filter(|_| v.signer.fingerprint == owner)
                });
                let versions: Vec<_> = versions.collect();
                if versions.iter().any(|version| is_forged(*version)) {
                    let what = format!("peer={by} user={of} values={}", values.len());
                    return self.find("forged", |f| &mut f.forged, &what);
                }
                let newest = versions.into_iter().flatten().max();
                if let Some(version) = newest.filter(|version| *version < fetch.floor) {
                    let floor = fetch.floor;
                    let what = format!("peer={by} user={of} version={version} floor={floor}");
                    self.find("stale", |f| &mut f.stale, &what);
                }
                if newest.is_some_and(|version| version >= fetch.acknowledged) {
                    self.waiting -= 1;
                    let results = &mut self.results[purpose as usize];
                    results.count(attempt, transmissions, hops, took);
                    if purpose == Purpose::Last && self.users[of as usize].is_of_partition {
                        self.summary.partition_found += 1;
                    }
                    let (ms, sent) = (took.as_millis(), transmissions);
                    let version = newest.unwrap_or(0);
                    return self.trace(&format!(
                        "fetched peer={by} user={of} version={version} hops={hops} ms={ms} \
                         transmissions={sent}"
                    ));
                }
                match newest {
                    Some(version) => format!("version {version}"),
                    None => "nothing there".to_owned(),
                }
            }
            Ok(_) => "another answer".to_owned(),
            Err(error) => error.to_string(),
        };
        self.trace(&format!("missed peer={by} user={of} attempt={attempt} why={why}"));
        self.missed(fetch, &why);
    }

    /// A look-up did not find what it should: it is repeated as a user would, twice.
    fn missed(&mut self, fetch: Fetch, why: &str) {
        let Fetch { by, of, attempt, purpose, .. } = fetch;
        if !self.users[of as usize].is_registered() || self.world.peer(by).is_none() {
            return self.not_counted(purpose);
        }
        if attempt < limits::ATTEMPTS_MAX {
            let task = Task::Fetch { by, of, attempt: attempt + 1 };
            return self.world.plan(self.world.clock + limits::RETRY, task);
        }
        self.waiting -= 1;
        if purpose == Purpose::Last {
            let place = self.users[of as usize].place;
            let held: Vec<(u32, u32)> = holders(&self.world, of, place).collect();
            let what = format!("peer={by} user={of} why={why} holders={held:?}");
            self.find("not_found", |f| &mut f.not_found, &what);
        }
    }

    /// A planned look-up that cannot tell anything any more.
    fn not_counted(&mut self, purpose: Purpose) {
        self.waiting -= 1;
        self.results[purpose as usize].fetches -= 1;
    }

    fn mourn(&mut self) {
        for loss in self.deaths.mourn(&self.world, &self.users) {
            let user = loss.user;
            self.users[user as usize].is_lost = true;
            if loss.is_excused {
                self.summary.losses_excused += 1;
                self.trace(&format!("lost user={user}"));
            } else {
                self.find("lost", |f| &mut f.lost, &format!("user={user}"));
            }
        }
    }

    pub(super) fn check_bounds(&mut self) {
        self.checked = self.world.clock;
        let over = self.world.peers().flat_map(|(n, peer)| checks::over_bounds(n, peer));
        for what in over.collect::<Vec<_>>() {
            self.find("over_bounds", |f| &mut f.over_bounds, &what);
        }
    }
}

/// The registration of the user who sits at this peer.
fn publication(world: &World, user: u32, version: u32) -> Publication {
    let identity = world.identity(user);
    let (domain, node) = (OVERLAY, identity.node_id);
    let aor = parse_aor(&identity.certificate.user_name, domain);
    let mut publication = registration(&aor.expect("the world's users have proper names"), node);
    let route = SipRegistration::Route {
        contact_prefs: version_mark(version),
        destinations: vec![node.into()],
    };
    if let StoredDataValue::Dictionary { value, .. } = &mut publication.value {
        *value = DataValue::existing(route.to_bytes().unwrap_or_default());
    }
    publication
}

// limits

/// Numbers tried to find somebody who is there: enough if one in ten is.
const SEARCH_MAX: usize = 64;
