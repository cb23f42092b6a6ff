//! A conference: calls that hear each other, through us. Each call stays one of its own, with its
//! own SIP; only the sound is mixed here, so the other sides need to know nothing of it.

use super::api::CallId;
use super::calls::{Phase, Running};
use super::engine::Engine;
use super::speech::SpeechChange;
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
                    if let Some(call) = self.calls.running.get(id) {
                        call.speak(SpeechChange::Join(port));
                    }
                }
            }
        }
        self.name_conference(ones.iter().chain(&others).copied().collect());
        for id in ones.into_iter().chain(others) {
            self.hold(id, false)?;
        }
        Ok(())
    }

    /// Takes a call out of its conference and goes on with it alone. The others are on hold until
    /// we go on with them, and hear each other again then.
    pub(super) fn split(&mut self, id: CallId) -> Result<(), String> {
        let mut left = self.together(id);
        left.retain(|other| *other != id);
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        if call.conference.take().is_none() {
            return Err(format!("The call with {} is in no conference.", call.peer));
        }
        call.speak(SpeechChange::Part);
        self.name_conference(left);
        self.hold(id, false)?;
        self.hold_others(id);
        Ok(())
    }

    /// A call has ended: the others are a conference without it.
    pub(super) fn leave_conference(&mut self, ended: &Running) {
        let Some(conference) = ended.conference else { return };
        let left = self.calls.running.iter();
        let left = left.filter(|(_, call)| call.conference == Some(conference));
        self.name_conference(left.map(|(id, _)| *id).collect());
    }

    /// A conference is known by the first of its calls; who is alone is in none.
    fn name_conference(&mut self, calls: Vec<CallId>) {
        let name = calls.iter().min().copied().filter(|_| calls.len() > 1);
        for id in calls {
            if let Some(call) = self.calls.running.get_mut(&id) {
                call.conference = name;
            }
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
