//! A conference: calls that hear each other, through us. Each call stays one of its own, with its
//! own SIP; only the sound is mixed here, so the other sides need to know nothing of it.

use super::api::CallId;
use super::calls::{Phase, Running};
use super::engine::Engine;
use crate::media::ConferencePort;

impl Running {
    /// Whether the call can be heard in others, and others in it.
    fn can_merge(&self) -> bool {
        self.phase == Phase::Talking && self.has_sound() && self.message.is_none()
    }
}

impl Engine {
    /// Lets the other sides of two calls hear each other, and all that are in a conference with
    /// them.
    pub(super) fn merge(&mut self, call: CallId, other: CallId) -> Result<(), String> {
        let is_ready = |id| self.calls.running.get(&id).is_some_and(Running::can_merge);
        if call == other || !is_ready(call) || !is_ready(other) {
            return Err("Two calls in which somebody talks can be merged.".into());
        }
        let (ones, others) = (self.together(call), self.together(other));
        if ones == others {
            return Ok(());
        }
        for one in &ones {
            for other in &others {
                let (here, there) = ConferencePort::pair();
                for (id, port) in [(one, here), (other, there)] {
                    let Some(call) = self.calls.running.get(id) else { continue };
                    match &call.talk {
                        Some(talk) => talk.join(port),
                        None => call.join_outside(port),
                    }
                }
            }
        }
        let conference = ones[0].min(others[0]);
        for id in ones.iter().chain(&others) {
            if let Some(call) = self.calls.running.get_mut(id) {
                call.conference = Some(conference);
            }
        }
        for id in ones.into_iter().chain(others) {
            self.hold(id, false)?;
        }
        Ok(())
    }

    /// A call has ended; who is left alone is in no conference any more.
    pub(super) fn leave_conference(&mut self, ended: &Running) {
        let Some(conference) = ended.conference else { return };
        let left = self.calls.running.values_mut();
        let mut left: Vec<_> = left.filter(|call| call.conference == Some(conference)).collect();
        if let [alone] = &mut left[..] {
            alone.conference = None;
        }
    }

    /// A call and those that are in a conference with it, in their order.
    pub(super) fn together(&self, id: CallId) -> Vec<CallId> {
        let conference = self.calls.running.get(&id).and_then(|call| call.conference);
        let running = self.calls.running.iter();
        let is_in = |other: CallId, call: &Running| {
            other == id || conference.is_some() && call.conference == conference
        };
        running.filter(|(other, call)| is_in(**other, call)).map(|(other, _)| *other).collect()
    }
}
