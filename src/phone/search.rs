//! The way to an overlay of which only the name or an invitation is known: its document is looked
//! for on all roads, and then it is entered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;

use super::api::{Event, Me, Membership, OverlayState};
use super::document::DocumentFacts;
use super::engine::{Engine, Report};
use super::enter::Entry;
use super::names::own_name;
use crate::config::{OverlayConfig, OverlayName};
use crate::enroll::{
    self, FindFailure, Finding, Invitation, Lan, LanError, LanPeers, Query, RoadNews,
};
use crate::link::unix_ms;

/// Where the way into an overlay begins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// At its name: its document is looked for on all roads.
    Name(String),
    /// At an invitation's link.
    Invitation(String),
    /// At its document, in this file.
    Document(PathBuf),
    /// At the document that was kept of the overlay chosen now, or else joined last.
    Last,
}

/// How far the roads to an overlay have come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverlaySearch {
    /// The name that is looked for.
    pub overlay: String,
    /// The latest of each road.
    pub roads: Vec<RoadNews>,
}

/// Searches that go on.
#[derive(Default)]
pub(super) struct Searches {
    running: BTreeMap<String, Searching>,
    last_id: u64,
    /// Multicast DNS, once it was needed.
    lan: Option<Result<Lan, LanError>>,
    /// Watches who comes and goes there.
    nearby: Option<AbortHandle>,
}

/// What is done with the document once it is found. The search ends when this is dropped.
struct Searching {
    id: u64,
    user: String,
    bootstrap: Vec<SocketAddr>,
    task: AbortHandle,
}

impl Drop for Searching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Searches {
    /// Gives up looking for an overlay, or for all.
    pub(super) fn give_up(&mut self, overlay: Option<&str>) {
        self.running.retain(|name, _| overlay.is_some_and(|overlay| overlay != name));
    }
}

/// News of a search.
#[derive(Debug)]
pub(super) enum SearchReport {
    /// A road has come farther.
    Road(RoadNews),
    /// The search is over.
    Done(Box<Result<Finding, FindFailure>>),
}

impl Engine {
    /// Joins an overlay from wherever the way in begins.
    pub(super) fn join_by(
        &mut self,
        entrance: &Entrance,
        user: &str,
        bootstrap: &[SocketAddr],
    ) -> Result<(), String> {
        match entrance {
            Entrance::Name(name) => self.join_by_name(name, user, bootstrap),
            Entrance::Invitation(link) => self.join_by_invitation(link, user, bootstrap),
            Entrance::Document(path) => self.join(Some(path), user, bootstrap),
            Entrance::Last => self.join(None, user, bootstrap),
        }
    }

    /// Looks for an overlay by its name and joins it.
    fn join_by_name(
        &mut self,
        name: &str,
        user: &str,
        bootstrap: &[SocketAddr],
    ) -> Result<(), String> {
        let name = name.trim().to_ascii_lowercase();
        let name =
            OverlayName::new(&name).map_err(|e| format!("No overlay is looked for: {e}."))?;
        self.search(name, None, user, bootstrap)
    }

    /// Looks for the overlay of an invitation and joins it.
    fn join_by_invitation(
        &mut self,
        link: &str,
        user: &str,
        bootstrap: &[SocketAddr],
    ) -> Result<(), String> {
        let invitation: Invitation =
            link.parse().map_err(|e| format!("No overlay is looked for: {e}."))?;
        if let Some(code) = &invitation.code {
            let overlay = invitation.overlay.as_str().to_owned();
            self.certifying.invitations.insert(overlay, code.clone());
        }
        self.search(invitation.overlay.clone(), Some(invitation), user, bootstrap)
    }

    fn search(
        &mut self,
        name: OverlayName,
        invitation: Option<Invitation>,
        user: &str,
        bootstrap: &[SocketAddr],
    ) -> Result<(), String> {
        let overlay = name.as_str().to_owned();
        // What is no name there shows before anybody is asked.
        let aor = own_name(&OverlayConfig::with_defaults(name.clone()), user)?;
        let is_in = self.accounts.named(&overlay).and_then(|id| self.accounts.get(id));
        if is_in.is_some_and(|account| account.is_joined()) {
            return Err(format!("You are in {overlay} already; leave it first."));
        }
        let mut query = Query::new(name, unix_ms());
        query.invitation = invitation;
        query.kept = self.options.state.document(&overlay).ok();
        query.is_kept_proved = self.options.state.is_document_proved(&overlay);
        query.lan = self.lan().map(|lan| lan.and_then(|lan| lan.peers()));
        self.forget_questions(Some(&overlay));
        self.searches.last_id += 1;
        let id = self.searches.last_id;
        let (reports, of) = (self.reports.clone(), overlay.clone());
        let task = tokio::spawn(async move {
            let road = |news| {
                // What the engine has no time for is out of date in a moment.
                let report = SearchReport::Road(news);
                let _ = reports.try_send(Report::Search(of.clone(), id, report));
            };
            let result = enroll::find(query, road).await;
            let done = SearchReport::Done(Box::new(result));
            let _ = reports.send(Report::Search(of.clone(), id, done)).await;
        });
        let task = task.abort_handle();
        let searching =
            Searching { id, user: aor.user.clone(), bootstrap: bootstrap.to_vec(), task };
        self.searches.running.insert(overlay.clone(), searching);
        self.snapshot.searches.retain(|search| search.overlay != overlay);
        let search = OverlaySearch { overlay: overlay.clone(), roads: Vec::new() };
        self.snapshot.searches.push(search);
        let state = OverlayState::Joining { step: "Looking for the overlay".into() };
        self.show_search(&overlay, aor.user, state);
        Ok(())
    }

    pub(super) fn search_report(&mut self, overlay: &str, id: u64, report: SearchReport) {
        // Without it, or under another number, it has been given up.
        let running = &self.searches.running;
        let Some(searching) = running.get(overlay).filter(|searching| searching.id == id) else {
            return;
        };
        let user = searching.user.clone();
        match report {
            SearchReport::Road(news) => self.road_news(overlay, user, news),
            SearchReport::Done(result) => {
                let searching = self.searches.running.remove(overlay);
                let bootstrap = searching.map(|s| s.bootstrap.clone()).unwrap_or_default();
                match *result {
                    Ok(finding) => self.found_document(overlay, &user, bootstrap, finding),
                    Err(failure) => {
                        let reason = format!("Not joined because {failure}.");
                        let failed = OverlayState::Failed { reason: reason.clone() };
                        self.show_search(overlay, user, failed);
                        self.notice(reason);
                    }
                }
            }
        }
    }

    fn road_news(&mut self, overlay: &str, user: String, news: RoadNews) {
        self.event(Event::Searching { overlay: overlay.to_owned(), news: news.clone() });
        let step = news.state.to_string().trim_end_matches(['…', '.']).to_owned();
        let mut searches = self.snapshot.searches.iter_mut();
        if let Some(search) = searches.find(|search| search.overlay == overlay) {
            match search.roads.iter_mut().find(|known| known.road == news.road) {
                Some(known) => *known = news,
                None => search.roads.push(news),
            }
        }
        self.show_search(overlay, user, OverlayState::Joining { step });
    }

    fn found_document(
        &mut self,
        overlay: &str,
        user: &str,
        mut bootstrap: Vec<SocketAddr>,
        finding: Finding,
    ) {
        let Finding { road, is_proved, .. } = finding;
        self.event(Event::Found { overlay: overlay.to_owned(), road, is_proved });
        bootstrap.extend(&finding.bootstrap);
        if self.is_question(overlay, &finding) {
            return self.ask_about(overlay, user, bootstrap, finding);
        }
        let document = finding.document;
        let state = &self.options.state;
        let kept = match is_proved {
            true => state.save_document(&document),
            false => state.save_unproved_document(&document),
        };
        if let Err(error) = kept {
            return self.notice(error.to_string());
        }
        // The document may write the name in other letters.
        self.snapshot.memberships.retain(|m| m.me.overlay != overlay);
        if let Err(reason) = self.enter(document, user, Entry::Join(bootstrap)) {
            self.notice(reason);
        }
    }

    pub(super) fn show_search(&mut self, overlay: &str, user: String, state: OverlayState) {
        let me = Me { user, overlay: overlay.to_owned(), node_id: String::new() };
        self.show_membership(Membership { me, state, document: DocumentFacts::default() });
    }

    /// Multicast DNS; `None` for who wants nothing of the network around, or is not on it.
    pub(super) fn lan(&mut self) -> Option<Result<Lan, LanError>> {
        let is_apart = self.options.listen.is_some_and(|listen| listen.ip().is_loopback());
        if is_apart || self.settings.hidden_on_lan {
            return None;
        }
        // What failed may work by now: a computer that was asleep has its network back.
        if !matches!(self.searches.lan, Some(Ok(_))) {
            self.searches.lan = Some(Lan::open());
        }
        self.searches.lan.clone()
    }

    /// Shows which overlays have peers on this network, as they come and go.
    pub(super) fn watch_lan(&mut self) {
        if !self.options.is_attended {
            return;
        }
        if let Some(before) = self.searches.nearby.take() {
            before.abort();
            self.snapshot.nearby.clear();
        }
        let Some(Ok(Ok(mut peers))) = self.lan().map(|lan| lan.map(|lan| lan.peers())) else {
            return;
        };
        let reports = self.reports.clone();
        let watching = tokio::spawn(async move {
            loop {
                let report = Report::Nearby(overlays(&mut peers));
                if reports.send(report).await.is_err() || peers.changed().await.is_err() {
                    return;
                }
            }
        });
        self.searches.nearby = Some(watching.abort_handle());
    }
}

/// The overlays that peers are in, by name.
fn overlays(peers: &mut LanPeers) -> Vec<String> {
    let peers = peers.borrow_and_update();
    let mut names: Vec<_> = peers.iter().map(|peer| peer.overlay.to_string()).collect();
    names.sort();
    names.dedup();
    names
}
