//! An overlay's document by its name. All roads are tried side by side: the first one that proves
//! what it brings wins.

mod web;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::dns::{DnsError, Resolver};
use super::document::DocumentError;
use super::https::HttpsError;
use super::trust::Trust;
use crate::config::{OverlayName, SignedConfig};

/// What is looked for, and what we know already.
#[derive(Clone, Debug)]
pub struct Query {
    /// The overlay's name, which the user gave (RFC 6940 §11.2).
    pub overlay: OverlayName,
    /// What is left from the last time.
    pub kept: Option<Kept>,
    /// The time, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// Who is asked about names.
    pub resolver: Result<Resolver, DnsError>,
    /// Whose web certificates are believed.
    pub trust: Trust,
}

/// What was kept when we were last in the overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its document, which was authenticated then.
    pub document: SignedConfig,
    /// Peers that we had a link to (RFC 6940 §11.4).
    pub peers: Vec<SocketAddr>,
}

/// A document that can be joined with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The document.
    pub document: SignedConfig,
    /// How it came.
    pub road: Road,
    /// Peers to join through, beside those of the document. They are hints: whoever is there has
    /// to show a certificate of the overlay.
    pub bootstrap: Vec<SocketAddr>,
}

/// How a document comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Road {
    /// DNS and HTTPS (RFC 6940 §11.2).
    Dns,
    /// It was kept from the last time.
    Cache,
}

/// How far a road has come, for a face that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoadNews {
    /// Which road.
    pub road: Road,
    /// How far.
    pub state: RoadState,
}

/// How far a road has come. Displayed it is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoadState {
    /// DNS is asked where the overlay's web server is.
    AskingDns,
    /// The document is fetched from the overlay's web server.
    AskingWeb,
    /// The road led to a document.
    Found,
    /// The road leads nowhere.
    Failed(RoadFailure),
}

/// Why a road leads nowhere: a part of a sentence each.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RoadFailure {
    /// DNS does not say where the web server is.
    #[error(transparent)]
    Dns(#[from] DnsError),
    /// The web server hands out no document.
    #[error(transparent)]
    Https(#[from] HttpsError),
    /// What is handed out is not taken.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The document kept here is no longer valid.
    #[error("the document kept here has expired")]
    KeptExpired,
    /// It takes too long.
    #[error("there was no answer in time")]
    Late,
}

/// No road led to a document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct FindFailure {
    /// The overlay that was looked for.
    pub overlay: OverlayName,
    /// Why, for each road that was tried.
    pub roads: Vec<(Road, RoadFailure)>,
}

impl fmt::Display for RoadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AskingDns => f.write_str("Asking DNS…"),
            Self::AskingWeb => f.write_str("Asking the overlay's web server…"),
            Self::Found => f.write_str("Found."),
            Self::Failed(failure) => write!(f, "{}.", capitalized(&failure.to_string())),
        }
    }
}

impl fmt::Display for FindFailure {
    /// One sentence without its stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the overlay {} was not found", self.overlay)?;
        for (at, (_, failure)) in self.roads.iter().enumerate() {
            write!(f, "{} {failure}", if at == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

/// Looks for the document of an overlay; `report` hears how far each road has come.
///
/// A document that was kept is used if nothing newer comes in [`KEPT_WAIT`].
///
/// # Errors
///
/// Fails if no road leads to a document in [`FIND_MAX`].
pub async fn find(query: Query, report: impl Fn(RoadNews)) -> Result<Finding, FindFailure> {
    let (news, mut reports) = mpsc::unbounded_channel();
    let mut search = Search { kept: None, failures: Vec::new(), query: Arc::new(query) };
    let mut roads = JoinSet::new();
    search.start(&mut roads, &news);
    drop(news);
    let waiting = sleep(if search.kept.is_some() { KEPT_WAIT } else { FIND_MAX });
    tokio::pin!(waiting);
    loop {
        tokio::select! {
            biased;
            Some(news) = reports.recv() => report(news),
            Some(done) = roads.join_next() => {
                // A road that panicked leads nowhere either.
                let Ok((road, result)) = done else { continue };
                let state = match &result {
                    Ok(_) => RoadState::Found,
                    Err(failure) => RoadState::Failed(failure.clone()),
                };
                report(RoadNews { road, state });
                match result {
                    Ok(document) => return Ok(search.finding(document, road)),
                    Err(failure) => search.failures.push((road, failure)),
                }
                if roads.is_empty() {
                    break;
                }
            }
            () = &mut waiting => {
                search.failures.push((Road::Dns, RoadFailure::Late));
                break;
            }
        }
    }
    search.end(report)
}

/// What a road brings.
type Brought = (Road, Result<SignedConfig, RoadFailure>);

struct Search {
    query: Arc<Query>,
    /// The document from the last time, if it still holds.
    kept: Option<SignedConfig>,
    failures: Vec<(Road, RoadFailure)>,
}

impl Search {
    fn start(&mut self, roads: &mut JoinSet<Brought>, news: &mpsc::UnboundedSender<RoadNews>) {
        if let Some(kept) = &self.query.kept {
            if kept.document.config.is_expired(self.query.unix_ms) {
                let failure = RoadFailure::KeptExpired;
                let state = RoadState::Failed(failure.clone());
                let _ = news.send(RoadNews { road: Road::Cache, state });
                self.failures.push((Road::Cache, failure));
            } else {
                self.kept = Some(kept.document.clone());
            }
        }
        let (query, news) = (self.query.clone(), Reporter { road: Road::Dns, news: news.clone() });
        roads.spawn(async move { (Road::Dns, web::document(&query, &news).await) });
    }

    fn finding(&self, document: SignedConfig, road: Road) -> Finding {
        let peers = self.query.kept.iter().flat_map(|kept| kept.peers.iter().copied());
        Finding { document, road, bootstrap: peers.take(PEERS_MAX).collect() }
    }

    /// Nothing better has come.
    fn end(mut self, report: impl Fn(RoadNews)) -> Result<Finding, FindFailure> {
        match self.kept.take() {
            Some(kept) => {
                report(RoadNews { road: Road::Cache, state: RoadState::Found });
                Ok(self.finding(kept, Road::Cache))
            }
            None => Err(FindFailure {
                overlay: self.query.overlay.clone(),
                roads: std::mem::take(&mut self.failures),
            }),
        }
    }
}

/// Where a road tells how far it has come.
struct Reporter {
    road: Road,
    news: mpsc::UnboundedSender<RoadNews>,
}

impl Reporter {
    fn tell(&self, state: RoadState) {
        // The search may be over.
        let _ = self.news.send(RoadNews { road: self.road, state });
    }
}

fn capitalized(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

// limits

/// How long a search takes at most: a DNS server that is down, and then a web server that is.
const FIND_MAX: Duration = Duration::from_secs(30);
/// How long a newer document is waited for if there is one from the last time.
const KEPT_WAIT: Duration = Duration::from_secs(3);
/// Peers remembered (RFC 6940 §11.4 suggests ten).
const PEERS_MAX: usize = 10;
