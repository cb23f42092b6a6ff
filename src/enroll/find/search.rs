//! The roads side by side, and which one is taken.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{FindFailure, Finding, Query, Road, RoadFailure, RoadNews, RoadState, peers, web};
use crate::config::SignedConfig;

/// Looks for the document of an overlay; `report` hears how far each road has come.
///
/// A document that was kept is used if nothing newer comes within a few seconds.
///
/// # Errors
///
/// Fails if no road leads to a document within half a minute.
pub async fn find(query: Query, report: impl Fn(RoadNews)) -> Result<Finding, FindFailure> {
    let (news, mut reports) = mpsc::channel(NEWS_MAX);
    let mut search = Search::new(query, &report);
    let mut roads = JoinSet::new();
    for road in search.roads() {
        let (query, reporter) = (search.query.clone(), Reporter { road, news: news.clone() });
        roads.spawn(async move { (road, travel(road, &query, &reporter).await) });
    }
    drop(news);
    let waiting = sleep(if search.kept.is_some() { KEPT_WAIT } else { FIND_MAX });
    tokio::pin!(waiting);
    loop {
        tokio::select! {
            biased;
            Some(news) = reports.recv() => match news {
                News::Road(news) => report(news),
                News::Hints(addresses) => search.hints.extend(addresses),
            },
            Some(done) = roads.join_next() => {
                // A road that panicked leads nowhere either.
                let Ok((road, result)) = done else { continue };
                report(RoadNews { road, state: state_of(&result) });
                match result {
                    Ok(brought) if brought.is_proved => return Ok(search.finding(brought, road)),
                    Ok(brought) => search.unproved = Some((road, brought)),
                    Err(failure) => search.failures.push((road, failure)),
                }
                if roads.is_empty() {
                    return search.end(&report);
                }
            }
            () = &mut waiting => {
                search.failures.push((Road::Dns, RoadFailure::Late));
                return search.end(&report);
            }
        }
    }
}

async fn travel(road: Road, query: &Query, reporter: &Reporter) -> Result<Brought, RoadFailure> {
    match road {
        Road::Dns => {
            let document = web::document(query, reporter).await?;
            Ok(Brought { document, is_proved: true, from: None })
        }
        Road::Invitation => peers::invited(query, reporter).await,
        Road::Peers => peers::known(query, reporter).await,
        Road::Lan => peers::on_lan(query, reporter).await,
        // Nothing has to be done for what is there already.
        Road::Cache => Err(RoadFailure::KeptExpired),
    }
}

fn state_of(result: &Result<Brought, RoadFailure>) -> RoadState {
    match result {
        Ok(brought) if brought.is_proved => RoadState::Found,
        Ok(_) => RoadState::FoundUnproved,
        Err(failure) => RoadState::Failed(failure.clone()),
    }
}

/// What a road brings.
pub(super) struct Brought {
    pub(super) document: SignedConfig,
    pub(super) is_proved: bool,
    pub(super) from: Option<SocketAddr>,
}

struct Search {
    query: Arc<Query>,
    /// The document from the last time, if it still holds.
    kept: Option<SignedConfig>,
    /// A document for want of a better one.
    unproved: Option<(Road, Brought)>,
    hints: Vec<SocketAddr>,
    failures: Vec<(Road, RoadFailure)>,
}

impl Search {
    fn new(mut query: Query, report: &impl Fn(RoadNews)) -> Self {
        // Whoever was invited means the overlay of the invitation, not another one of its name.
        if let Some(invitation) = &query.invitation {
            query.kept = query.kept.filter(|kept| invitation.is_for(kept, query.unix_ms));
        }
        let mut failures = Vec::new();
        let is_expired = |kept: &SignedConfig| kept.config.is_expired(query.unix_ms);
        if query.kept.as_ref().is_some_and(is_expired) {
            let failure = RoadFailure::KeptExpired;
            report(RoadNews { road: Road::Cache, state: RoadState::Failed(failure.clone()) });
            failures.push((Road::Cache, failure));
        }
        let kept = query.kept.clone().filter(|kept| !is_expired(kept));
        let hints = query.invitation.iter().flat_map(|i| i.addresses.iter().copied()).collect();
        Self { query: Arc::new(query), kept, unproved: None, hints, failures }
    }

    /// The roads that can be tried.
    fn roads(&self) -> Vec<Road> {
        let mut roads = vec![Road::Dns];
        roads.extend(self.query.invitation.as_ref().map(|_| Road::Invitation));
        let has_peers = self.query.kept.is_some() && !self.query.peers.is_empty();
        roads.extend(has_peers.then_some(Road::Peers));
        roads.extend(self.query.lan.as_ref().map(|_| Road::Lan));
        roads
    }

    fn finding(&self, brought: Brought, road: Road) -> Finding {
        let mut bootstrap: Vec<SocketAddr> = Vec::new();
        for hint in &self.hints {
            if bootstrap.len() < HINTS_MAX && !bootstrap.contains(hint) {
                bootstrap.push(*hint);
            }
        }
        let Brought { document, is_proved, from } = brought;
        Finding { document, road, is_proved, from, bootstrap }
    }

    /// Nothing better will come.
    fn end(mut self, report: &impl Fn(RoadNews)) -> Result<Finding, FindFailure> {
        // What nothing proves comes this far only if it follows what nothing proves.
        if let Some((road, brought)) = self.unproved.take() {
            return Ok(self.finding(brought, road));
        }
        if let Some(document) = self.kept.take() {
            report(RoadNews { road: Road::Cache, state: RoadState::Found });
            let kept = Brought { document, is_proved: self.query.is_kept_proved, from: None };
            return Ok(self.finding(kept, Road::Cache));
        }
        self.failures.sort_by_key(|(road, _)| *road);
        Err(FindFailure { overlay: self.query.overlay.clone(), roads: self.failures })
    }
}

/// What a road tells on its way.
enum News {
    Road(RoadNews),
    /// Peers were seen there.
    Hints(Vec<SocketAddr>),
}

/// Where a road tells how far it has come. What nobody reads is not waited for.
pub(super) struct Reporter {
    road: Road,
    news: mpsc::Sender<News>,
}

impl Reporter {
    pub(super) fn tell(&self, state: RoadState) {
        let _ = self.news.try_send(News::Road(RoadNews { road: self.road, state }));
    }

    pub(super) fn hint(&self, addresses: &[SocketAddr]) {
        let _ = self.news.try_send(News::Hints(addresses.to_vec()));
    }
}

// limits

/// How long a search takes at most: a DNS server that is down, and then a web server that is.
const FIND_MAX: Duration = Duration::from_secs(30);
/// How long a newer document is waited for if there is one from the last time.
const KEPT_WAIT: Duration = Duration::from_secs(3);
/// News that have not been read yet: a few of each road, and of each peer on a network.
const NEWS_MAX: usize = 256;
/// Peers to join through (RFC 6940 §11.4 suggests ten).
const HINTS_MAX: usize = 10;
