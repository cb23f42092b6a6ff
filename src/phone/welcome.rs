//! How a call that comes in is met: it rings, knocks, is answered at once, or goes on to somebody
//! else. Whoever calls is told where to by a redirection (302, RFC 3261 §21.3.3) and calls there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::account::{AccountId, sip_aor};
use super::api::{CallId, Direction};
use super::calls::{CallReports, Phase};
use super::dial::DIAL_MAX;
use super::engine::{Engine, Report};
use super::failure::Failure;
use super::names::{as_typed, forwarding};
use super::sip_account::CallWish;
use super::words;
use crate::sip::{self, Command, LegId};
use crate::usage::{Aor, Resolved, Way, WayError};

/// How calls to us are met, kept with the other settings in `settings.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Welcome {
    /// Nothing rings: callers hear that we do not answer.
    pub do_not_disturb: bool,
    /// Whether people ring whom we have never talked to; else they knock, which makes no sound.
    pub strangers_ring: bool,
    /// Addresses of Record whose calls are answered at once, unless we talk already.
    pub answered_at_once: Vec<String>,
    /// Who is called instead while we talk or don't want to be disturbed.
    pub forward_busy: Option<String>,
    /// Who is called instead if we don't answer.
    pub forward_unanswered: Option<String>,
    /// After how many seconds that is.
    pub unanswered_s: u16,
}

/// What a caller is told whose call does not ring.
#[derive(Clone, Debug)]
pub(in crate::phone) enum Refusal {
    /// Why.
    Status(rsip::StatusCode),
    /// Whom to call instead.
    GoesTo(sip::Uri),
}

impl Default for Welcome {
    fn default() -> Self {
        Self {
            do_not_disturb: false,
            strangers_ring: false,
            answered_at_once: Vec::new(),
            forward_busy: None,
            forward_unanswered: None,
            unanswered_s: 20,
        }
    }
}

impl Engine {
    /// Begins a call that somebody makes to us.
    pub(super) fn begin_incoming(&mut self, account: AccountId, peer: &str) -> Option<CallId> {
        let now = self.now();
        let overlay = self.accounts.get(account)?.overlay();
        let (membership, phase) = ((account, overlay), Phase::Incoming);
        Some(self.calls.begin(membership, Direction::Incoming, peer.to_owned(), phase, now))
    }

    /// Refuses a call, or sends it on, without asking the user; whoever takes the place of somebody
    /// we talk to is let in unless the user wants nothing of them.
    pub(super) fn turns_away(
        &mut self,
        (account, leg): (AccountId, LegId),
        peer: &str,
        is_key_refused: bool,
        is_expected: bool,
    ) -> bool {
        let overlay = self.accounts.get(account).map(|account| account.overlay().to_owned());
        let refused = self.blocked(peer).or_else(|| {
            let sentence = words::refused(peer, "you have refused its key");
            is_key_refused.then_some((Refusal::Status(rsip::StatusCode::Forbidden), sentence))
        });
        let refused = match refused {
            None if !is_expected => self.cannot_ring(peer, overlay.as_deref()),
            refused => refused,
        };
        let Some((refusal, sentence)) = refused else { return false };
        if let Some(id) = self.begin_incoming(account, peer) {
            self.sip_command(account, refusal.command(leg));
            self.turned_away(id, sentence);
        }
        true
    }

    /// The caller has been told that the call does not ring.
    pub(super) fn turned_away(&mut self, id: CallId, sentence: String) {
        let call = self.calls.running.get(&id);
        let is_blocked = call.is_some_and(|call| self.is_blocked(&call.peer));
        self.end_call(id, sentence);
        if is_blocked {
            // It is in the list, and takes no place on the screen.
            self.calls.dismiss(id);
        }
    }

    /// What a caller is told whom the user has blocked, and a sentence about it.
    pub(super) fn blocked(&self, peer: &str) -> Option<(Refusal, String)> {
        self.is_blocked(peer).then(|| {
            let sentence = words::refused(peer, "you have blocked this name");
            (Refusal::Status(rsip::StatusCode::Decline), sentence)
        })
    }

    /// What a caller is told whose call can't ring now, and a sentence about it. A call that comes
    /// in by an ordinary account has no overlay.
    pub(super) fn cannot_ring(
        &self,
        peer: &str,
        overlay: Option<&str>,
    ) -> Option<(Refusal, String)> {
        if let Some((to, name)) = self.goes_on(overlay, peer) {
            return Some((Refusal::GoesTo(to), went_on(peer, &name)));
        }
        if self.settings.welcome.do_not_disturb && !self.machine_answers_at_once() {
            let sentence = format!("You missed a call from {peer}: you wanted to be left alone.");
            return Some((Refusal::Status(rsip::StatusCode::TemporarilyUnavailable), sentence));
        }
        // Nobody is there to choose between calls that are answered at once.
        let is_taken = self.options.auto_answer && !self.calls.running.is_empty();
        (is_taken || self.calls.is_full()).then(|| {
            let sentence = format!("You missed a call from {peer}: you were busy.");
            (Refusal::Status(rsip::StatusCode::BusyHere), sentence)
        })
    }

    /// Whom a call goes on to because we talk or don't want to be disturbed.
    fn goes_on(&self, overlay: Option<&str>, peer: &str) -> Option<(sip::Uri, String)> {
        let Welcome { do_not_disturb, forward_busy, .. } = &self.settings.welcome;
        let to = self.forward_uri(forward_busy.as_deref()?, overlay)?;
        ((*do_not_disturb || self.calls.is_any_talking()) && to.1 != peer).then_some(to)
    }

    /// Where a name is called that stands in the settings, by callers of this overlay. Those of an
    /// ordinary account know nobody of an overlay.
    fn forward_uri(&self, to: &str, overlay: Option<&str>) -> Option<(sip::Uri, String)> {
        let aor = match overlay {
            Some(overlay) => sip_aor(&Aor::of_user_name(&forwarding(to, overlay).ok()?)?).ok()?,
            None => match self.directory().overlays.way(to) {
                Ok(Way::Elsewhere(_)) | Err(WayError::NoOverlay) => to.parse().ok()?,
                _ => return None,
            },
        };
        Some((sip::Uri::of(&aor), aor.to_string()))
    }

    /// A call has come in that may ring: it is answered at once, by the user or by the machine, or
    /// waits to be.
    pub(super) fn meet(&mut self, id: CallId, is_at_once: bool) {
        self.watch_unanswered(id);
        if is_at_once || self.options.auto_answer {
            // Nothing can fail here: the call has just come in.
            let _ = self.answer(id);
        } else if self.machine_answers_at_once() {
            self.answer_by_machine(id);
        }
    }

    /// Whether somebody is a stranger: no contact, and no call of ours has come about with them.
    pub(super) fn knocks(&self, peer: &str) -> bool {
        let is_known = self.snapshot.contact(peer).is_some()
            || self.snapshot.history.iter().any(|entry| entry.peer == peer && entry.answered);
        !self.settings.welcome.strangers_ring && !is_known
    }

    /// Whether calls from this name are answered at once.
    pub(super) fn answers_at_once(&self, peer: &str) -> bool {
        self.settings.welcome.answered_at_once.iter().any(|name| name == peer)
            && self.calls.running.len() == 1
    }

    /// Sends a call on that nobody answers, after a while, if that is wished.
    pub(super) fn watch_unanswered(&mut self, id: CallId) {
        let Welcome { forward_unanswered, unanswered_s, .. } = &self.settings.welcome;
        let after_s = forward_unanswered.as_ref().map(|_| *unanswered_s);
        let Some(after_s) = after_s.or(self.machine_after_s()) else { return };
        let reports = self.reports.clone();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let while_it_rings = Duration::from_secs(after_s.into());
        call.dial_tasks.spawn(async move {
            sleep(while_it_rings).await;
            // The engine has ended otherwise.
            let _ = reports.send(Report::Call(id, CallReports::Unanswered)).await;
        });
    }

    /// Nobody has answered for as long as the user wants it to ring.
    pub(super) fn unanswered(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get(&id).filter(|c| c.phase == Phase::Incoming) else {
            return;
        };
        let overlay = call.outside.is_none().then_some(call.overlay.as_str());
        let forward = self.settings.welcome.forward_unanswered.as_deref();
        let Some((to, name)) = forward.and_then(|to| self.forward_uri(to, overlay)) else {
            return self.answer_by_machine(id);
        };
        let sentence = went_on(&call.peer, &name);
        let refusal = Refusal::GoesTo(to);
        if let Some(outside) = &call.outside {
            outside.want(CallWish::Refuse(refusal.clone()));
        }
        let legs: Vec<_> = call.legs.iter().map(|(id, leg)| (*id, leg.account)).collect();
        for (leg, account) in legs {
            self.sip_command(account, refusal.clone().command(leg));
        }
        self.end_call(id, sentence);
    }

    /// Whom we call sends us on to somebody else: the call goes there, unless it has been there.
    pub(super) fn redirected(&mut self, id: CallId, to: &sip::Uri) {
        let directory = self.directory();
        let own: Vec<_> = self.accounts.running.values().map(|a| a.aor.to_string()).collect();
        let text = to.to_string();
        let leads_out = self.can_call_outside(&text);
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let way = directory.overlays.way(&as_typed(&text, std::iter::empty()));
        let mut nobody = Resolved::default();
        let way = match way {
            Ok(Way::LookUp(overlay, aor)) => {
                let name = aor.to_string();
                nobody.has_loop = call.asked.contains(&name) || own.contains(&name);
                nobody.is_cut = call.asked.len() >= ASKED_MAX;
                call.asked.push(name);
                Some(Way::LookUp(overlay, aor)).filter(|_| !nobody.has_loop && !nobody.is_cut)
            }
            Ok(Way::Device(overlay, gruu)) if call.asked.len() < ASKED_MAX => {
                call.asked.push(text);
                Some(Way::Device(overlay, gruu))
            }
            Ok(Way::Elsewhere(to)) if leads_out => Some(Way::Elsewhere(to)),
            _ => {
                nobody.elsewhere.push(text);
                None
            }
        };
        let Some(way) = way else {
            call.failure.add(call.peer.clone(), Failure::Redirected(Box::new(nobody)));
            return self.end_if_hopeless(id);
        };
        call.phase = Phase::Dialling("Calling somebody else instead".to_owned());
        call.until = tokio::time::Instant::now() + DIAL_MAX;
        // Nobody else is asked meanwhile: who sends a call on speaks for their other devices.
        self.give_up_all_but(id, &[]);
        self.look_up(id, directory, way);
    }
}

impl Refusal {
    /// What tells the caller.
    pub(in crate::phone) fn command(self, leg: LegId) -> Command {
        match self {
            Self::Status(status) => Command::Reject { leg, status },
            Self::GoesTo(to) => Command::Redirect { leg, to },
        }
    }
}

fn went_on(peer: &str, name: &str) -> String {
    format!("You missed a call from {peer}: it went on to {name}.")
}

// limits

/// Names that one call is sent to, the first one included; as many as RFC 7904 §4.2 lets a look-up
/// follow would be more than anybody waits for.
const ASKED_MAX: usize = 5;
