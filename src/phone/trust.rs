//! Whom we let talk to the user: a key that nobody vouches for counts for as long as it is the
//! one that its name had before.

use super::api::{CallId, Direction, Verified};
use super::engine::Engine;
use super::pins::{KeyAnswer, KeyStanding, key_words};
use crate::crypto::Certificate;
use crate::link::unix_ms;

/// What the certificate of a device says of the name in it.
pub(super) struct Judgement {
    pub(super) verified: Verified,
    /// The Node-ID of a key that has to wait for the user's answer.
    pub(super) unproven: Option<String>,
    /// Whether the user has refused the key.
    pub(super) is_refused: bool,
}

impl Engine {
    /// Judges a device that a call goes to or comes from, and raises an alarm if its key is not
    /// the name's.
    pub(super) fn judge(
        &mut self,
        overlay: &str,
        certificate: &Certificate,
        call: Option<CallId>,
    ) -> Judgement {
        let good = |verified| Judgement { verified, unproven: None, is_refused: false };
        if !certificate.self_signed {
            return good(Verified::Authority);
        }
        let aor = &certificate.user_name;
        let node_id = certificate.node_ids.first().map(ToString::to_string).unwrap_or_default();
        let call = call.and_then(|id| self.calls.running.get(&id));
        let is_new = call.is_some_and(|call| call.verified == Verified::SelfSignedNew);
        if is_new {
            // All devices of a name that was new when we called it. What cannot be written is an
            // alarm below.
            let _ = self.data.pin_beside(overlay, aor, &node_id, unix_ms());
        }
        // Without a memory every key is new.
        let standing = self.data.judge_key(overlay, aor, &node_id, unix_ms());
        let standing = standing.unwrap_or(KeyStanding::First);
        match standing {
            KeyStanding::First => good(Verified::SelfSignedNew),
            KeyStanding::Known if is_new => good(Verified::SelfSignedNew),
            KeyStanding::Known => good(Verified::SelfSignedKnown),
            KeyStanding::Alarm | KeyStanding::Refused => {
                if standing == KeyStanding::Alarm {
                    self.show_alarms();
                    let words = key_words(&node_id);
                    self.notice(format!(
                        "{aor} has another key than before: {words}. Nothing is heard until you \
                         say whether it is theirs."
                    ));
                }
                Judgement {
                    verified: Verified::SelfSignedChanged,
                    unproven: Some(node_id),
                    is_refused: standing == KeyStanding::Refused,
                }
            }
        }
    }

    /// The user has said whose a key is.
    pub(super) fn answer_alarm(
        &mut self,
        overlay: &str,
        aor: &str,
        node_id: &str,
        answer: KeyAnswer,
    ) -> Result<(), String> {
        let remembered = self.data.answer_alarm(overlay, aor, node_id, answer);
        let was_asked = remembered.map_err(|e| format!("Your answer was not remembered: {e}."))?;
        self.show_alarms();
        if !was_asked {
            return Err(format!("Nobody has asked about this key of {aor}."));
        }
        let waiting = self
            .calls
            .running
            .iter_mut()
            .filter(|(_, call)| call.peer == aor && call.unproven.as_deref() == Some(node_id));
        let mut refused = Vec::new();
        for (id, call) in waiting {
            if answer == KeyAnswer::Refuse {
                refused.push((*id, call.direction));
            } else {
                call.unproven = None;
                call.verified = Verified::SelfSignedKnown;
            }
        }
        for (id, direction) in refused {
            match direction {
                Direction::Incoming => self.decline(id)?,
                Direction::Outgoing => self.hang_up(id)?,
            }
        }
        Ok(())
    }

    /// Forgets the keys of a name.
    pub(super) fn forget_keys(&mut self, overlay: &str, aor: &str) -> Result<(), String> {
        let forgotten = self.data.forget_keys(overlay, aor);
        self.show_alarms();
        forgotten.map_err(|e| format!("The keys of {aor} were not forgotten: {e}."))
    }

    pub(super) fn show_alarms(&mut self) {
        self.snapshot.key_alarms = self.data.key_alarms().unwrap_or_default();
    }
}

/// Why a device is not called, or a call not answered.
pub(super) fn unproven_words(peer: &str, is_refused: bool) -> String {
    match is_refused {
        true => format!("{peer} was not called on a device whose key you have refused."),
        false => {
            format!("{peer} has another key than before; say whether it is theirs, and call again.")
        }
    }
}
