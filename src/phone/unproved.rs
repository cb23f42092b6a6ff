//! A document that came from the network around and that nothing proves: whoever is there could
//! have made it, so the user is asked before it is joined with for the first time.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::api::{Event, OverlayState};
use super::engine::Engine;
use super::enter::Entry;
use crate::config::SignedConfig;
use crate::enroll::Finding;

/// A question to the user: whether to join an overlay whose document nothing proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnprovedOverlay {
    /// The overlay's name.
    pub overlay: String,
    /// The user name to join it with.
    pub user: String,
    /// Who has handed the document out.
    pub from: Option<SocketAddr>,
    /// Whether its users sign their own certificates.
    pub is_self_signed: bool,
    /// Where accounts and passwords would be sent, if there are any.
    pub enrollment_servers: Vec<String>,
}

/// Questions that wait for their answers, by the overlay's name.
pub(super) type Unproved = BTreeMap<String, Waiting>;

/// What is joined if the user says so.
pub(super) struct Waiting {
    question: UnprovedOverlay,
    document: SignedConfig,
    bootstrap: Vec<SocketAddr>,
}

impl Engine {
    /// Whether a document that was found has to wait for the user: nothing proves it, and none
    /// that it follows was ever joined with.
    pub(super) fn is_question(&self, overlay: &str, finding: &Finding) -> bool {
        !finding.is_proved && self.options.state.document(overlay).is_err()
    }

    pub(super) fn ask_about(
        &mut self,
        overlay: &str,
        user: &str,
        bootstrap: Vec<SocketAddr>,
        finding: Finding,
    ) {
        let Finding { document, from, .. } = finding;
        let question = UnprovedOverlay {
            overlay: overlay.to_owned(),
            user: user.to_owned(),
            from,
            is_self_signed: document.config.self_signed_permitted.is_some(),
            enrollment_servers: document.config.enrollment_servers.clone(),
        };
        self.event(Event::Unproved(question.clone()));
        let waiting = Waiting { question, document, bootstrap };
        self.unproved.insert(overlay.to_owned(), waiting);
        self.show_questions();
        let state = OverlayState::Joining { step: "Waiting for your answer".to_owned() };
        self.show_search(overlay, user.to_owned(), state);
    }

    /// The user has said whether to join all the same.
    pub(super) fn answer_unproved(&mut self, overlay: &str, is_wanted: bool) -> Result<(), String> {
        let waiting = self.unproved.remove(overlay);
        let waiting = waiting.ok_or_else(|| format!("Nobody has asked about {overlay}."))?;
        self.show_questions();
        let Waiting { question, document, bootstrap } = waiting;
        if !is_wanted {
            let reason = format!(
                "Not joined: nothing proves that what was found on this network is {overlay}; ask \
                 somebody who is in it for an invitation."
            );
            let failed = OverlayState::Failed { reason: reason.clone() };
            self.show_search(overlay, question.user, failed);
            return Err(reason);
        }
        let kept = self.options.state.save_unproved_document(&document);
        kept.map_err(|error| error.to_string())?;
        self.snapshot.memberships.retain(|m| m.me.overlay != overlay);
        self.enter(document, &question.user, Entry::Join(bootstrap))
    }

    /// Nobody wants to know any more, of one overlay or of any.
    pub(super) fn forget_questions(&mut self, overlay: Option<&str>) {
        self.unproved.retain(|name, _| overlay.is_some_and(|overlay| overlay != name));
        self.show_questions();
    }

    fn show_questions(&mut self) {
        let questions = self.unproved.values().map(|waiting| waiting.question.clone());
        self.snapshot.unproved = questions.collect();
    }
}
