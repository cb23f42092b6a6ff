//! Whom we let talk to the user: a key that nobody vouches for counts for as long as it is the
//! one that its name had before.

use super::api::{CallId, Direction, Verified};
use super::engine::Engine;
use super::pins::{KeyAnswer, KeyStanding, key_words};
use crate::crypto::Certificate;
use crate::link::unix_ms;
use crate::usage::Aor;

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
        let raw = || certificate.user_name.clone();
        let aor = &named(certificate).map_or_else(raw, |aor| aor.to_string());
        let node_id = certificate.node_ids.first().map(ToString::to_string).unwrap_or_default();
        let call = call.and_then(|id| self.calls.running.get(&id));
        // A name that the call is forwarded to stands for itself.
        let is_new =
            call.is_some_and(|call| call.verified == Verified::SelfSignedNew && call.peer == *aor);
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

/// Whom a certificate names: its user name is no URI, so nothing in it is a scheme or an escape,
/// and the case of its domain means nothing. Whoever reads it otherwise takes one for another.
pub(super) fn named(certificate: &Certificate) -> Option<Aor> {
    let mut aor = Aor::of_user_name(&certificate.user_name)?;
    aor.domain.make_ascii_lowercase();
    Some(aor)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Keys, NodeIdDigest, Provider, X509Provider};
    use crate::phone::account::sip_aor;
    use crate::sip;

    fn certificate(user_name: &str) -> Certificate {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        };
        let made = Keys::self_signed(&provider, user_name, unix_ms(), 30).expect("made");
        provider.certificate(&made.certificate_der).expect("accepted").as_ref().clone()
    }

    /// R7904-2-01: a name that would be somebody else's as a URI is another name, in SIP and where
    /// keys are compared.
    #[test]
    fn nobody_takes_another_name_by_writing_it_otherwise() {
        let alice: sip::Aor = "alice@example.org".parse().expect("a name");
        let in_sip = |user_name: &str| {
            let named = named(&certificate(user_name)).expect("a name");
            (named.to_string(), sip_aor(&named).expect("written"))
        };
        for other in [
            "sip:alice@example.org",
            "SIPS:alice@example.org",
            "al%69ce@example.org",
            "alice:x@example.org",
        ] {
            let (name, aor) = in_sip(other);
            assert_eq!(name, other);
            assert_ne!(aor, alice, "{other}");
        }
        for same in ["alice@example.org", "alice@EXAMPLE.org"] {
            assert_eq!(in_sip(same), ("alice@example.org".to_owned(), alice.clone()));
        }
        assert_eq!(named(&certificate("alice")), None);
    }
}
