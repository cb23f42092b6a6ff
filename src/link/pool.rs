//! Sockets whose candidates are known before anybody dials: finding out what a NAT makes of them
//! takes a round trip to a STUN server, which is spared on either side of a call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::clock::os_seed;
use super::error::LinkError;
use super::ice::{IceAgent, IceOptions, IceRole, Upkeep, credentials};
use super::ports::MappedPorts;
use super::relay::RelayServer;
use super::servers::StunServers;
use crate::base::Rng;

/// Bounds and times.
pub mod limits {
    use std::time::Duration;

    /// Agents ready at a time: while one is for the signalling of a call, the next one is gathered.
    /// Each holds an address on a relay, and those are scarce.
    pub const READY: usize = 2;
    /// How long an agent is good for: RFC 4787 §4.3 asks NATs to remember for 120 s what nobody
    /// uses, but some forget after 30.
    pub const GOOD_FOR: Duration = Duration::from_secs(25);
    /// How long one is good for in front of which no NAT is expected.
    pub const GOOD_FOR_WITHOUT_NAT: Duration = Duration::from_secs(300);
    /// The first relay is found within this time after a bootstrap node has answered, and again
    /// after joining, or there is likely none.
    pub const RELAY_AWAITED: Duration = Duration::from_secs(3);
    /// After this long another attempt is made if there was no address.
    pub const AGAIN: Duration = Duration::from_secs(5);
}

use limits::*;

/// Agents that wait for whom they will connect to. Clones share one pool.
#[derive(Clone)]
pub struct AgentPool(Arc<Kept>);

/// The pool and the task that fills it, which ends with it.
struct Kept {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

struct Shared {
    options: IceOptions,
    /// Relays that lend us addresses.
    relays: watch::Receiver<Vec<RelayServer>>,
    /// Peers that tell our address.
    servers: watch::Receiver<StunServers>,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    rng: Rng,
    ready: Vec<Spare>,
    wanted: usize,
    /// Until when the first relay is waited for; as long as it takes from the first wait on while
    /// nobody has been met who could know one.
    relay_until: Option<Instant>,
}

struct Spare {
    agent: IceAgent,
    good_until: Instant,
}

/// What an agent is for.
#[derive(Clone, Copy, Debug)]
enum For {
    /// A call's signalling or sound.
    Application,
    /// Links are many and can wait: one relay is enough for each.
    Link,
}

impl AgentPool {
    /// A pool that keeps nothing ready until told to. Its agents have addresses on the relays that
    /// there are when they are gathered, beside those of `options`, and ask the STUN servers of
    /// that time.
    pub fn new(
        options: IceOptions,
        relays: watch::Receiver<Vec<RelayServer>>,
        servers: watch::Receiver<StunServers>,
    ) -> Self {
        let rng = Rng::new(os_seed());
        let state = State { rng, ready: Vec::new(), wanted: 0, relay_until: None };
        let changed = Notify::new();
        let state = Mutex::new(state);
        let shared = Arc::new(Shared { options, relays, servers, state, changed });
        let keeper = tokio::spawn(keep(shared.clone())).abort_handle();
        Self(Arc::new(Kept { shared, keeper }))
    }

    /// Keeps agents ready from now on, or none.
    pub fn keep_ready(&self, is_ready: bool) {
        self.0.shared.state().wanted = if is_ready { READY } else { 0 };
        self.0.shared.changed.notify_one();
    }

    /// Whoever lacks a relay waits for the first one from now on: we have met somebody to ask for
    /// it. Who comes later waits the less.
    pub fn expect_relay(&self) {
        self.0.shared.state().relay_until = Some(Instant::now() + RELAY_AWAITED);
    }

    /// Forgets those that are ready: another NAT may be in front now.
    pub fn forget(&self) {
        self.0.shared.state().relay_until = None;
        self.0.shared.begin_anew();
        self.0.shared.changed.notify_one();
    }

    /// An agent that is ready and whose addresses the machine still has, or else one that is
    /// gathered now. Where one without a relay may be of little use, a relay is waited for.
    pub async fn take(&self, role: IceRole) -> Result<IceAgent, LinkError> {
        let agent = self.take_any(role).await?;
        match agent.may_lack_relay() && self.0.shared.has_relay().await {
            true => self.0.shared.gather(role, For::Application).await,
            false => Ok(agent),
        }
    }

    /// An agent for an overlay link, gathered now. A relay is waited for only where one without is
    /// surely of little use: another attempt follows.
    pub async fn gather_for_link(&self, role: IceRole) -> Result<IceAgent, LinkError> {
        let agent = self.0.shared.gather(role, For::Link).await?;
        match agent.lacks_relay() && self.0.shared.has_relay().await {
            true => self.0.shared.gather(role, For::Link).await,
            false => Ok(agent),
        }
    }

    async fn take_any(&self, role: IceRole) -> Result<IceAgent, LinkError> {
        while let Some(mut agent) = self.0.shared.next_ready() {
            if agent.is_current().await {
                agent.play(role);
                return Ok(agent);
            }
        }
        self.0.shared.gather(role, For::Application).await
    }

    /// How many are ready.
    pub fn ready(&self) -> usize {
        self.0.shared.state().ready.len()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The youngest of those that are ready.
    fn next_ready(&self) -> Option<IceAgent> {
        let spare = self.state().ready.pop()?;
        self.changed.notify_one();
        (spare.good_until > Instant::now()).then_some(spare.agent)
    }

    /// Waits for a relay while the first one may still be found.
    async fn has_relay(&self) -> bool {
        let awaited = || Instant::now() + RELAY_AWAITED;
        let until = *self.state().relay_until.get_or_insert_with(awaited);
        let mut relays = self.relays.clone();
        let found = timeout_at(until, relays.wait_for(|relays| !relays.is_empty()));
        matches!(found.await, Ok(Ok(_)))
    }

    async fn gather(&self, role: IceRole, purpose: For) -> Result<IceAgent, LinkError> {
        let (ufrag, password) = credentials(&mut self.state().rng);
        let mut options = self.options.clone();
        options.stun = self.servers.borrow().clone();
        let relays = self.relays.borrow().clone().into_iter();
        match purpose {
            For::Application => options.relays.extend(relays),
            For::Link => {
                options.relays.extend(relays.take(1));
                options.upkeep = Upkeep::OVERLAY;
                // The few ports that a router opens are for calls.
                options.mapped = MappedPorts::default();
            }
        }
        IceAgent::gather(role, ufrag, password, &options).await
    }

    /// Forgets what has been ready for too long; whether one is missing, and otherwise when the
    /// next one will have been.
    fn look(&self) -> (bool, Option<Instant>) {
        let mut state = self.state();
        let (now, wanted) = (Instant::now(), state.wanted);
        state.ready.retain(|spare| spare.good_until > now);
        state.ready.truncate(wanted);
        let next = state.ready.iter().map(|spare| spare.good_until).min();
        (state.ready.len() < wanted, next)
    }

    /// Forgets all that is ready.
    fn begin_anew(&self) {
        self.state().ready.clear();
    }

    fn add(&self, agent: IceAgent) {
        let good_for = match agent.expects_nat() {
            true => GOOD_FOR,
            false => GOOD_FOR_WITHOUT_NAT,
        };
        self.state().ready.push(Spare { agent, good_until: Instant::now() + good_for });
    }
}

/// Keeps as many ready as are wanted.
async fn keep(pool: Arc<Shared>) {
    let mut relays = pool.relays.clone();
    loop {
        let (is_missing, mut next) = pool.look();
        if is_missing {
            match pool.gather(IceRole::Controlled, For::Application).await {
                Ok(agent) => {
                    pool.add(agent);
                    continue;
                }
                Err(_) => next = Some(Instant::now() + AGAIN),
            }
        }
        let look_again = async {
            match next {
                Some(next) => sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pool.changed.notified() => {}
            Ok(()) = relays.changed() => pool.begin_anew(),
            () = look_again => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    fn pool() -> AgentPool {
        let (_, relays) = watch::channel(Vec::new());
        let (_, servers) = watch::channel(StunServers::default());
        AgentPool::new(IceOptions { loopback: true, ..IceOptions::default() }, relays, servers)
    }

    /// Waits until so many are ready.
    async fn has(pool: &AgentPool, count: usize) {
        let ready = async {
            while pool.ready() != count {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(60), ready).await.expect("in time");
    }

    /// What is taken is replaced, and each attempt has credentials of its own (RFC 8445 §5.3).
    #[tokio::test]
    async fn what_is_taken_is_replaced() {
        let pool = pool();
        assert_eq!(pool.ready(), 0, "nothing is kept unasked");
        let asked = pool.take(IceRole::Controlling).await.unwrap();
        pool.keep_ready(true);
        has(&pool, READY).await;
        let taken = pool.take(IceRole::Controlled).await.unwrap();
        assert!(
            taken.local().ufrag != asked.local().ufrag && taken.local().pwd != asked.local().pwd
        );
        assert!(!taken.local().candidates.is_empty());
        has(&pool, READY).await;
        pool.keep_ready(false);
        has(&pool, 0).await;
    }

    /// The wait for a relay begins with the hope for one, not with the call that could use it.
    #[tokio::test]
    async fn a_relay_is_waited_for_from_when_it_is_expected() {
        let (_relay, relays) = watch::channel(Vec::new());
        let (_, servers) = watch::channel(StunServers::default());
        let pool = AgentPool::new(IceOptions::default(), relays, servers);
        let at_once = || timeout(Duration::ZERO, pool.0.shared.has_relay());
        pool.expect_relay();
        assert!(at_once().await.is_err(), "one may still come");
        if let Some(until) = &mut pool.0.shared.state().relay_until {
            *until -= RELAY_AWAITED;
        }
        assert_eq!(at_once().await, Ok(false));
        pool.forget();
        assert!(at_once().await.is_err(), "nobody has been met at the new place");
    }

    /// What has been ready for too long is not given out.
    #[tokio::test]
    async fn what_is_old_is_replaced() {
        let pool = pool();
        pool.keep_ready(true);
        has(&pool, READY).await;
        let old: Vec<_> = {
            let mut state = pool.0.shared.state();
            state.ready.iter_mut().for_each(|spare| spare.good_until = Instant::now());
            state.ready.iter().map(|spare| spare.agent.local().ufrag.clone()).collect()
        };
        let taken = pool.take(IceRole::Controlled).await.unwrap();
        assert!(!old.contains(&taken.local().ufrag));
    }
}
