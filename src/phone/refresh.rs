//! A newer document is looked for while we are in an overlay (RFC 6940 §11.1): at a random time
//! before the present one expires, and again and again until one is found; and at once when nobody
//! has a link with us, for a document that puts us out does not reach us otherwise.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::account::{AccountId, AccountReport, tell};
use super::engine::{Engine, Reports};
use crate::base::Rng;
use crate::config::{Refresh, SignedConfig, is_newer};
use crate::enroll::{self, Lan, LanError, Query};
use crate::link::{Node, unix_ms};
use crate::peer::Command;

/// A look-out for a newer document; it ends when this is dropped.
pub(super) struct Lookout(AbortHandle);

impl Drop for Lookout {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Engine {
    /// Looks out for the document that follows the present one of a membership.
    pub(super) fn look_out(&mut self, id: AccountId) {
        let rng = Rng::new(self.rng.bytes());
        let Some(overlay) = self.overlay_of(id) else { return };
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        let task = account.tasks.spawn(async move { look_out(&overlay, rng).await });
        account.lookout = Some(Lookout(task));
    }

    /// Looks once for the document that follows the present one, unless that was done just now.
    pub(super) fn look_anew(&mut self, id: AccountId) {
        let Some(overlay) = self.overlay_of(id) else { return };
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        if account.looked_anew.is_some_and(|last| last.elapsed() < LOOK_ANEW_PAUSE) {
            return;
        }
        account.looked_anew = Some(Instant::now());
        account.tasks.spawn(async move {
            // What is looked for is seldom there.
            let Ok(newer) = overlay.look().await else { return };
            if is_newer(newer.config.sequence, overlay.document.config.sequence) {
                overlay.follow(newer).await;
            }
        });
    }

    fn overlay_of(&mut self, id: AccountId) -> Option<Overlay> {
        let (reports, lan) = (self.reports.clone(), self.lan());
        let account = self.accounts.get(id)?;
        let (document, node) = (account.document.clone(), account.node.clone());
        let is_proved = self.options.state.is_document_proved(account.overlay());
        let peers = account.bootstrap.clone();
        Some(Overlay { id, document, is_proved, node, peers, lan, reports })
    }
}

/// What a look-out has to do with.
trait Surroundings {
    /// The document that is in force.
    fn document(&self) -> &SignedConfig;

    /// The time, in milliseconds since the Unix epoch.
    fn unix_ms(&self) -> u64;

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// The document that can be had now, or why none can: a part of a sentence.
    fn look(&self) -> impl Future<Output = Result<SignedConfig, String>> + Send;

    /// Puts a newer document in force. Whoever drives the look-out begins another one then.
    fn follow(&self, document: SignedConfig) -> impl Future<Output = ()> + Send;

    /// Tells the user one sentence.
    fn warn(&self, sentence: String) -> impl Future<Output = ()> + Send;
}

/// Ends only if the document never expires.
async fn look_out(surroundings: &impl Surroundings, mut rng: Rng) {
    let config = &surroundings.document().config;
    let mut refresh = Refresh::new(config, surroundings.unix_ms(), &mut rng);
    let mut failure = None;
    let mut is_warned = false;
    while let Some(due) = refresh.due_unix_ms() {
        let now = surroundings.unix_ms();
        if config.is_expired(now) && !is_warned && failure.is_some() {
            is_warned = true;
            let failure = failure.as_deref().unwrap_or_default();
            surroundings.warn(expired_words(&config.instance_name, failure)).await;
        }
        if now < due {
            // In small steps, for a computer that sleeps sleeps longer than it means to.
            let end = config.expiration_unix_ms.filter(|end| now < *end).unwrap_or(due);
            let step = Duration::from_millis(due.min(end) - now);
            surroundings.sleep(step.min(STEP_MAX)).await;
            continue;
        }
        failure = Some(match surroundings.look().await {
            Ok(newer) if is_newer(newer.config.sequence, config.sequence) => {
                surroundings.follow(newer).await;
                "the one that was found can't be followed".into()
            }
            Ok(_) => "its owner has not renewed it".into(),
            Err(failure) => failure,
        });
        refresh.looked(config, surroundings.unix_ms(), &mut rng);
    }
}

fn expired_words(overlay: &str, failure: &str) -> String {
    format!(
        "The document of {overlay} has expired and there is no newer one: {failure}. You stay in \
         and can call; before you join again its owner has to renew it."
    )
}

/// The overlay of a membership.
struct Overlay {
    id: AccountId,
    document: Arc<SignedConfig>,
    is_proved: bool,
    node: Node,
    peers: Vec<SocketAddr>,
    lan: Option<Result<Lan, LanError>>,
    reports: Reports,
}

impl Surroundings for Overlay {
    fn document(&self) -> &SignedConfig {
        &self.document
    }

    fn unix_ms(&self) -> u64 {
        unix_ms()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn look(&self) -> Result<SignedConfig, String> {
        let name = self.document.config.instance_name.clone();
        let kept = Some(self.document.as_ref().clone());
        let query = Query {
            kept,
            is_kept_proved: self.is_proved,
            peers: self.peers.clone(),
            lan: self.lan.clone().map(|lan| lan.and_then(|lan| lan.peers())),
            ..Query::new(name, unix_ms())
        };
        let found = enroll::find(query, |_| {}).await.map_err(|failure| failure.to_string())?;
        match (found.is_proved, self.is_proved) {
            (true, true) => Ok(found.document),
            (true, false) => {
                let proved = AccountReport::Proved(Box::new(found.document.clone()));
                tell(&self.reports, self.id, proved).await;
                Ok(found.document)
            }
            // What nothing proves cannot be newer than what we have.
            (false, _) => Err("what is offered is no proof".into()),
        }
    }

    async fn follow(&self, document: SignedConfig) {
        // The node says by itself what has come of it.
        let _ = self.node.request(Command::Configure(Arc::new(document))).await;
    }

    async fn warn(&self, sentence: String) {
        tell(&self.reports, self.id, AccountReport::Expired(sentence)).await;
    }
}

// limits

/// The longest sleep: after that the clock on the wall is looked at again.
const STEP_MAX: Duration = Duration::from_secs(600);
/// Between two looks because nobody has a link with us.
const LOOK_ANEW_PAUSE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::time::timeout;

    use super::*;
    use crate::config::OverlayConfig;

    const START_MS: u64 = 1_790_000_000_000;
    const HOUR_MS: u64 = 3_600_000;

    /// A world in which sleeping takes no time.
    struct World {
        document: SignedConfig,
        unix_ms: AtomicU64,
        /// From when on which sequence can be had.
        offer: (u64, u16),
        looks: Mutex<Vec<u64>>,
        followed: Mutex<Vec<(u64, u16)>>,
        warnings: Mutex<Vec<(u64, String)>>,
    }

    fn document(sequence: u16, expiration_unix_ms: Option<u64>) -> SignedConfig {
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let config = OverlayConfig { sequence, expiration_unix_ms, ..config };
        SignedConfig::unsigned(&config).expect("good")
    }

    impl World {
        fn new(expiration_unix_ms: Option<u64>, offer: (u64, u16)) -> Self {
            Self {
                document: document(7, expiration_unix_ms),
                unix_ms: AtomicU64::new(START_MS),
                offer,
                looks: Mutex::default(),
                followed: Mutex::default(),
                warnings: Mutex::default(),
            }
        }

        /// Runs for some hours of its own time.
        async fn run(&self, hours: u64) {
            let end = async {
                while self.unix_ms() < START_MS + hours * HOUR_MS {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                () = end => {}
                () = look_out(self, Rng::from_number(3)) => {}
            }
        }
    }

    impl Surroundings for World {
        fn document(&self) -> &SignedConfig {
            &self.document
        }

        fn unix_ms(&self) -> u64 {
            self.unix_ms.load(Ordering::Relaxed)
        }

        async fn sleep(&self, duration: Duration) {
            let ms = u64::try_from(duration.as_millis()).expect("short");
            self.unix_ms.fetch_add(ms, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }

        async fn look(&self) -> Result<SignedConfig, String> {
            let now = self.unix_ms();
            self.looks.lock().expect("alone").push((now - START_MS) / 60_000);
            let (from, sequence) = self.offer;
            match now >= from {
                true => Ok(document(sequence, None)),
                false => Err("nobody answers".into()),
            }
        }

        async fn follow(&self, document: SignedConfig) {
            let entry = (self.unix_ms(), document.config.sequence);
            self.followed.lock().expect("alone").push(entry);
        }

        async fn warn(&self, sentence: String) {
            self.warnings.lock().expect("alone").push((self.unix_ms(), sentence));
        }
    }

    /// R6940-11.1-05: a newer document is fetched and followed before the present one expires, and
    /// the user hears nothing of it.
    #[tokio::test]
    async fn a_newer_document_is_followed_in_time() {
        let end = START_MS + 100 * HOUR_MS;
        let world = World::new(Some(end), (START_MS, 8));
        world.run(99).await;
        let followed = world.followed.lock().expect("alone");
        let (at, sequence) = followed[0];
        assert!((START_MS + 50 * HOUR_MS..START_MS + 91 * HOUR_MS).contains(&at), "{at}");
        assert_eq!(sequence, 8);
        assert!(world.warnings.lock().expect("alone").is_empty());
    }

    /// An expired document is one sentence, once, at the moment when it expires; the looks go on,
    /// and a newer document is followed whenever it comes.
    #[tokio::test]
    async fn an_expired_document_is_one_sentence() {
        let end = START_MS + 10 * HOUR_MS;
        let world = World::new(Some(end), (START_MS + 20 * HOUR_MS, 8));
        world.run(30).await;
        let warnings = world.warnings.lock().expect("alone");
        let [(at, sentence)] = &warnings[..] else { panic!("{warnings:?}") };
        assert_eq!(*at, end);
        assert!(sentence.contains("example.org") && sentence.contains("nobody answers"));
        assert!(sentence.ends_with('.'));
        let (followed, _) = world.followed.lock().expect("alone")[0];
        assert!((START_MS + 20 * HOUR_MS..START_MS + 21 * HOUR_MS).contains(&followed));
        let looks = world.looks.lock().expect("alone");
        assert!(looks.iter().any(|minute| *minute < 600), "{looks:?}");
        assert!(looks.windows(2).all(|two| two[1] - two[0] >= 10), "{looks:?}");
    }

    /// What is not newer is not followed, and what never expires is not looked for.
    #[tokio::test]
    async fn nothing_older_is_followed() {
        for sequence in [6, 7] {
            let world = World::new(Some(START_MS + HOUR_MS), (START_MS, sequence));
            world.run(3).await;
            assert!(world.followed.lock().expect("alone").is_empty());
            let warnings = world.warnings.lock().expect("alone");
            assert!(warnings[0].1.contains("has not renewed it"), "{warnings:?}");
        }
        let eternal = World::new(None, (START_MS, 8));
        let ended = timeout(Duration::from_secs(10), look_out(&eternal, Rng::from_number(3)));
        assert!(ended.await.is_ok());
        assert!(eternal.looks.lock().expect("alone").is_empty());
    }
}
