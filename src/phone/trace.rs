//! How far calls have come and on which paths, for who wants to know why.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::api::{CallId, CallReport, Direction, Ending, HistoryEntry};
use super::calls::Running;
use super::engine::Engine;
use crate::base::Instant;
use crate::link::IceAgent;
use crate::media::sdp::Negotiated;

/// How far a call has come, and what was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallTrace {
    /// The call.
    pub id: CallId,
    /// The other side's Address of Record.
    pub peer: String,
    /// Who called.
    pub direction: Direction,
    /// When it began, milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// The sentence that it ended with; `None` while it runs.
    pub outcome: Option<String>,
    /// The step that failed, if one did.
    pub failed: Option<CallStep>,
    /// When each step was done, the path of the sound, and figures.
    pub report: CallReport,
    /// The round-trip time of the sound that was measured last.
    pub rtt: Option<Duration>,
    /// Addresses between which a path for the sound was looked for.
    pub candidates: Candidates,
}

/// A step of a call, from the name to the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CallStep {
    /// Fetch: which devices have the name.
    LookUp,
    /// AppAttach: the device agrees to a connection.
    Ask,
    /// ICE: a path to it.
    Path,
    /// DTLS: it has proved who it is.
    Secure,
    /// Its phone rings.
    Ring,
    /// Somebody answers.
    Answer,
    /// A secure path for the sound.
    Sound,
}

/// How it went with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// Done, so many milliseconds after the call began, if that is known. A call to a device that
    /// is connected already does without some steps.
    Done(Option<u64>),
    /// It has failed.
    Failed,
    /// It was not come to.
    Open,
}

impl CallTrace {
    /// The steps of the call and how it went with each; one that came in begins with the answer.
    pub fn steps(&self) -> Vec<(CallStep, StepState)> {
        let report = &self.report;
        let steps = [
            (CallStep::LookUp, report.fetch_ms),
            (CallStep::Ask, report.attach_ms),
            (CallStep::Path, report.ice_ms),
            (CallStep::Secure, report.dtls_ms),
            (CallStep::Ring, report.ringing_ms),
            (CallStep::Answer, report.answered_ms),
            (CallStep::Sound, report.sound_ms),
        ];
        let first = match self.direction {
            Direction::Incoming => CallStep::Answer,
            Direction::Outgoing => CallStep::LookUp,
        };
        let last = steps.iter().rev().find(|(_, ms)| ms.is_some()).map(|(step, _)| *step);
        let state = |step: CallStep, ms: Option<u64>| match self.failed {
            Some(failed) if step == failed => StepState::Failed,
            Some(failed) if step < failed => StepState::Done(ms),
            None if last >= Some(step) => StepState::Done(ms),
            _ => StepState::Open,
        };
        let shown = steps.into_iter().filter(|(step, _)| *step >= first);
        shown.map(|(step, ms)| (step, state(step, ms))).collect()
    }
}

/// The candidates of both sides for a call's sound, as lines of session descriptions have them
/// (RFC 8839 §5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Candidates {
    /// Ours.
    pub ours: Vec<String>,
    /// The other side's.
    pub theirs: Vec<String>,
}

impl Candidates {
    /// Those between which a path is going to be looked for.
    pub(super) fn of(agent: &IceAgent, negotiated: &Negotiated) -> Self {
        let ours = agent.local().candidates.iter().map(ToString::to_string).collect();
        Self { ours, theirs: negotiated.remote.candidates.clone() }
    }
}

impl Running {
    fn trace(&self, id: CallId, outcome: Option<String>, failed: Option<CallStep>) -> CallTrace {
        CallTrace {
            id,
            peer: self.peer.clone(),
            direction: self.direction,
            unix_ms: self.started_unix_ms,
            outcome,
            failed,
            report: self.report.clone(),
            rtt: self.statistics.round_trip,
            candidates: self.candidates.clone(),
        }
    }
}

impl Engine {
    /// Brings up to date what is shown of the running call that began last.
    pub(super) fn trace_running(&mut self, now: Instant) {
        if let Some((id, call)) = self.calls.running.iter_mut().next_back() {
            call.finish_report(now);
            self.snapshot.trace = Some(Arc::new(call.trace(*id, None, None)));
        }
    }

    /// A call is over; one that has failed is remembered until the next one fails.
    pub(super) fn trace_ended(&mut self, id: CallId, call: &Running, entry: &HistoryEntry) {
        let is_silent = entry.answered && call.report.sound_ms.is_none();
        let failed = match entry.ending() {
            Ending::Failed => call.failure.step().or(Some(CallStep::LookUp)),
            _ => is_silent.then_some(CallStep::Sound),
        };
        let trace = Arc::new(call.trace(id, Some(entry.outcome.clone()), failed));
        if failed.is_some() {
            self.snapshot.failure = Some(trace.clone());
        }
        self.snapshot.trace = Some(trace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(report: CallReport, failed: Option<CallStep>) -> CallTrace {
        CallTrace {
            id: CallId(1),
            peer: "bob@one.example".into(),
            direction: Direction::Outgoing,
            unix_ms: 0,
            outcome: failed.map(|_| "It failed.".to_owned()),
            failed,
            report,
            rtt: None,
            candidates: Candidates::default(),
        }
    }

    /// What came before the step that failed was done, whether anybody measured it or not.
    #[test]
    fn steps_are_done_up_to_the_one_that_failed() {
        let report = CallReport { fetch_ms: Some(40), ..CallReport::default() };
        let steps = trace(report.clone(), Some(CallStep::Path)).steps();
        let states: Vec<_> = steps.iter().map(|(_, state)| *state).collect();
        let (done, open) = (StepState::Done, StepState::Open);
        assert_eq!(states[..4], [done(Some(40)), done(None), StepState::Failed, open]);
        assert!(states[4..].iter().all(|state| *state == open));
        let running = trace(report, None).steps();
        assert_eq!(running[0].1, done(Some(40)));
        assert!(running[1..].iter().all(|(_, state)| *state == open));
    }

    /// A call over a connection that was there has no steps of its own for it; one that comes in
    /// begins with its answer.
    #[test]
    fn steps_that_were_not_needed_are_done() {
        let report = CallReport { ringing_ms: Some(9), ..CallReport::default() };
        let mut trace = trace(report, None);
        let steps = trace.steps();
        assert_eq!(steps[3], (CallStep::Secure, StepState::Done(None)));
        assert_eq!(steps[4], (CallStep::Ring, StepState::Done(Some(9))));
        assert_eq!(steps[5].1, StepState::Open);
        trace.direction = Direction::Incoming;
        let first = trace.steps().first().copied();
        assert_eq!(first, Some((CallStep::Answer, StepState::Open)));
    }
}
