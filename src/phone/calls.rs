//! Calls: one for each card on the screen, with a SIP leg for each device that it reaches.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

use super::account::AccountId;
use super::api::{Call, CallId, CallReport, CallState, Direction, Event, HistoryEntry, Verified};
use super::dial::{DIAL_MAX, DialReport, SET_UP_MAX, Target};
use super::engine::Engine;
use super::failure::Worst;
use super::outside::{Outside, OutsideReport};
use super::quality::QualityWatch;
use super::session::Session;
use super::speech::{SpeechChange, SpeechReport};
use super::talk::{Talk, TalkReport};
use super::trace::Candidates;
use super::transfer::Referral;
use super::words;
use crate::base::Instant;
use crate::link::{AppFlow, IceAgent, LinkError};
use crate::media::sdp::{MediaDescription, Offer};
use crate::media::{AudioStatistics, Ringing};
use crate::sip::{self, LegId, Reason};

/// All calls, running and ended.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) running: BTreeMap<CallId, Running>,
    /// Ended ones stay until they are dismissed.
    ended: BTreeMap<CallId, Call>,
    last_id: u64,
}

/// A call that is not over.
pub(super) struct Running {
    /// The membership that it was begun in, and its overlay's name.
    pub(super) account: AccountId,
    pub(super) overlay: String,
    pub(super) direction: Direction,
    /// The other side's Address of Record.
    pub(super) peer: String,
    pub(super) phase: Phase,
    pub(super) verified: Verified,
    /// The Node-ID of the caller's key, for as long as the user has not said whether it is theirs.
    pub(super) unproven: Option<String>,
    muted: bool,
    /// Whether we want the call on hold.
    pub(super) is_held: bool,
    /// Who held the call when that was told last: we, and they.
    pub(super) hold_told: (bool, bool),
    /// SIP legs: one for an incoming call, one for each device of an outgoing one.
    pub(super) legs: BTreeMap<LegId, Leg>,
    /// Whether the name is still being looked up.
    pub(super) is_looking_up: bool,
    /// The devices that the call goes to.
    pub(super) attempts: Vec<Attempt>,
    /// Why devices failed.
    pub(super) failure: Worst,
    /// When an outgoing call has to ring.
    pub(super) until: tokio::time::Instant,
    pub(super) talk: Option<Talk>,
    pub(super) path: Option<String>,
    pub(super) statistics: AudioStatistics,
    pub(super) quality_watch: QualityWatch,
    /// Whether we record it, where to or where last, and who did when that was told last.
    pub(super) is_recorded: bool,
    pub(super) recorded_to: Option<PathBuf>,
    pub(super) recording_told: (bool, bool),
    /// The conference that it is in, named after its first call.
    pub(super) conference: Option<CallId>,
    /// Where the message goes, if the answering machine has the call.
    pub(super) message: Option<PathBuf>,
    /// Addresses between which a path for the sound is looked for.
    pub(super) candidates: Candidates,
    pub(super) report: CallReport,
    pub(super) started: Instant,
    pub(super) started_unix_ms: u64,
    answered: Option<Instant>,
    /// Whatever is dialled ends with the call.
    pub(super) dial_tasks: JoinSet<()>,
    /// What an ordinary account of ours does for the call.
    pub(super) outside: Option<Outside>,
    /// Who has answered, if that is not who was called.
    pub(super) forwarded_to: Option<String>,
    /// Whether the caller is a stranger, who makes no sound.
    pub(super) is_knocking: bool,
    /// The names that an outgoing call has been sent to.
    pub(super) asked: Vec<String>,
    /// Whom the other side was asked to call instead.
    pub(super) transferring_to: Option<String>,
    /// Who has brought the call about, if somebody else has.
    pub(super) transferred_by: Option<String>,
    /// Why we call, if somebody has asked us to.
    pub(super) referral: Option<Referral>,
    /// What a device has answered that did not take the call.
    pub(super) refusal: Option<rsip::StatusCode>,
    /// The call of ours that ends when this one is answered.
    pub(super) replaces: Option<(AccountId, LegId)>,
    /// Whether the other side's name is of another domain than its overlay.
    pub(super) is_domain_unverified: bool,
    /// Whether we have moved to another network, and the call has not followed yet.
    pub(super) is_moving: bool,
    /// Whether a path without a relay is looked for from time to time.
    pub(super) looks_for_direct: bool,
}

/// How far a running call has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Phase {
    /// On the way to the other side; the step in words.
    Dialling(String),
    /// The other side's phone rings.
    Ringing,
    /// Our phone rings.
    Incoming,
    /// Our phone was answered, and the answer is on its way.
    Answering,
    /// Both sides talk.
    Talking,
}

/// A device that an outgoing call goes to.
pub(super) struct Attempt {
    pub(super) target: Target,
    /// What connects to it.
    pub(super) connecting: Option<AbortHandle>,
    /// The leg that came of it.
    pub(super) leg: Option<LegId>,
}

/// One device of a call.
pub(super) struct Leg {
    /// The membership whose user agent has the leg.
    pub(super) account: AccountId,
    /// Who is at the other end, as a certificate has proved.
    pub(super) peer: String,
    pub(super) verified: Verified,
    pub(super) is_domain_unverified: bool,
    /// Our candidates for media with this device.
    pub(super) agent: Option<IceAgent>,
    /// Whether the other side has said anything to our call.
    pub(super) is_heard: bool,
    /// What our offer says that is not answered yet.
    pub(super) local: Option<MediaDescription>,
    /// What the other side's offer says that waits for our answer.
    pub(super) offer: Option<Offer>,
    pub(super) session: Session,
}

/// What a call's tasks report.
pub(super) enum CallReports {
    Dial(DialReport),
    /// Our candidates for a device are known.
    Candidates(LegId, Box<Result<IceAgent, LinkError>>),
    /// We have moved, and a device is connected again.
    Moved(LegId, Box<(AppFlow, IceAgent)>),
    /// The phone has rung for as long as the user wants it to.
    Unanswered,
    /// It is time to ask for a change of the session again.
    Settle,
    /// It is time to look for a path of the sound without a relay.
    SeekDirect(LegId),
    /// These candidates of ours are for such a path.
    Direct(LegId, Box<IceAgent>),
    Talk(Option<TalkReport>),
    Outside(OutsideReport),
}

impl Calls {
    pub(super) fn is_any_talking(&self) -> bool {
        self.running.values().any(|c| c.phase == Phase::Talking)
    }

    /// Whether there is room for another call.
    pub(super) fn is_full(&self) -> bool {
        self.running.len() >= CALLS_MAX
    }

    /// The other side of an outgoing call that nobody has answered yet.
    pub(super) fn outgoing(&self) -> Option<&str> {
        let is_open = |call: &&Running| matches!(call.phase, Phase::Dialling(_) | Phase::Ringing);
        self.running.values().find(is_open).map(|call| call.peer.as_str())
    }

    /// What the speaker says of calls that are not answered yet, if there are any.
    pub(super) fn ringing(&self) -> Option<Ringing> {
        let is_any = |is_it: fn(&Running) -> bool| self.running.values().any(is_it);
        if is_any(|call| call.phase == Phase::Incoming && !call.is_knocking) {
            let is_busy = is_any(|call| {
                call.phase == Phase::Talking && !call.is_held && call.message.is_none()
            });
            return Some(if is_busy { Ringing::Waiting } else { Ringing::Here });
        }
        is_any(|call| call.phase == Phase::Ringing).then_some(Ringing::There)
    }

    /// Whether a membership has a part in a call.
    pub(super) fn has_part(&self, account: AccountId) -> bool {
        self.running.values().any(|call| {
            call.account == account || call.legs.values().any(|leg| leg.account == account)
        })
    }

    pub(super) fn mute(&mut self, id: CallId, muted: bool) {
        if let Some(call) = self.running.get_mut(&id) {
            call.muted = muted;
            call.speak(SpeechChange::Mute(muted));
        }
    }

    pub(super) fn is_muted(&self, id: CallId) -> bool {
        self.running.get(&id).is_some_and(|c| c.muted)
    }

    pub(super) fn dismiss(&mut self, id: CallId) {
        self.ended.remove(&id);
    }

    /// The call of a leg of this membership's user agent.
    pub(super) fn of_leg(
        &mut self,
        account: AccountId,
        leg: LegId,
    ) -> Option<(CallId, &mut Running)> {
        self.running
            .iter_mut()
            .find(|(_, call)| call.legs.get(&leg).is_some_and(|leg| leg.account == account))
            .map(|(id, call)| (*id, call))
    }

    /// What the faces draw, the newest first.
    pub(super) fn views(&self, now: Instant) -> Vec<Call> {
        let running = self.running.iter().map(|(id, call)| (*id, call.view(*id, now)));
        let ended = self.ended.iter().map(|(id, call)| (*id, call.clone()));
        let all: BTreeMap<CallId, Call> = running.chain(ended).collect();
        all.into_values().rev().collect()
    }

    pub(super) fn begin(
        &mut self,
        (account, overlay): (AccountId, &str),
        direction: Direction,
        peer: String,
        phase: Phase,
        now: crate::base::Now,
    ) -> CallId {
        self.last_id += 1;
        // How earlier calls ended stands in the list of calls from now on.
        self.ended.clear();
        let id = CallId(self.last_id);
        let call = Running {
            account,
            overlay: overlay.to_owned(),
            direction,
            peer,
            phase,
            verified: Verified::Unknown,
            unproven: None,
            muted: false,
            is_held: false,
            hold_told: (false, false),
            legs: BTreeMap::new(),
            is_looking_up: false,
            attempts: Vec::new(),
            failure: Worst::default(),
            until: tokio::time::Instant::now() + DIAL_MAX,
            talk: None,
            path: None,
            statistics: AudioStatistics::default(),
            quality_watch: QualityWatch::default(),
            is_recorded: false,
            recorded_to: None,
            recording_told: (false, false),
            message: None,
            conference: None,
            candidates: Candidates::default(),
            report: CallReport::default(),
            started: now.instant,
            started_unix_ms: now.unix_ms,
            answered: None,
            dial_tasks: JoinSet::new(),
            outside: None,
            forwarded_to: None,
            is_knocking: false,
            asked: Vec::new(),
            transferring_to: None,
            transferred_by: None,
            referral: None,
            refusal: None,
            replaces: None,
            is_domain_unverified: false,
            is_moving: false,
            looks_for_direct: false,
        };
        self.running.insert(id, call);
        id
    }
}

impl Running {
    /// Milliseconds since the call began.
    pub(super) fn elapsed_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn talk_time(&self, now: Instant) -> Duration {
        self.answered.map_or(Duration::ZERO, |since| now.saturating_since(since))
    }

    /// Whether sound flows, or could.
    pub(super) fn has_sound(&self) -> bool {
        self.path.is_some() || self.is_outside()
    }

    /// Whether the sound goes through a relay.
    pub(super) fn is_relayed(&self) -> bool {
        self.path.as_deref().is_some_and(words::is_relayed)
    }

    /// How long the way to sound may still take: what dialling has left of the whole, and for
    /// whoever was called all of it.
    pub(super) fn time_for_sound(&self) -> Duration {
        let dialled_ms = self.report.ringing_ms.or(self.report.answered_ms).unwrap_or_default();
        match self.direction {
            Direction::Outgoing => SET_UP_MAX.saturating_sub(Duration::from_millis(dialled_ms)),
            Direction::Incoming => SET_UP_MAX,
        }
    }

    /// The other side has said something on a leg.
    pub(super) fn heard(&mut self, leg: LegId) {
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.is_heard = true;
        }
    }

    /// A leg is the one that counts.
    pub(super) fn chosen(&mut self, leg: LegId) {
        let Some(leg) = self.legs.get(&leg) else { return };
        self.outside = None;
        self.verified = leg.verified;
        self.is_domain_unverified = leg.is_domain_unverified;
        self.forwarded_to = (leg.peer != self.peer).then(|| leg.peer.clone());
    }

    pub(super) fn is_held_by_them(&self) -> bool {
        let mut legs = self.legs.values();
        self.phase == Phase::Talking
            && (legs.any(|leg| leg.session.is_held_by_them)
                || self.outside.as_ref().is_some_and(Outside::is_held_by_them))
    }

    /// Both sides talk from now on.
    pub(super) fn talking(&mut self, now: Instant) {
        self.phase = Phase::Talking;
        self.answered = Some(now);
        self.report.answered = true;
        self.report.answered_ms = Some(self.elapsed_ms(now));
    }

    fn view(&self, id: CallId, now: Instant) -> Call {
        let state = match &self.phase {
            Phase::Dialling(step) => CallState::Dialling { step: step.clone() },
            Phase::Ringing => CallState::Ringing,
            Phase::Incoming => CallState::Incoming,
            Phase::Answering => CallState::Dialling { step: "Answering".into() },
            Phase::Talking => {
                CallState::Talking { duration: Duration::from_secs(self.talk_time(now).as_secs()) }
            }
        };
        Call {
            id,
            overlay: self.overlay.clone(),
            direction: self.direction,
            peer: self.peer.clone(),
            state,
            verified: self.verified,
            is_domain_unverified: self.is_domain_unverified,
            forwarded_to: self.forwarded_to.clone(),
            is_knocking: self.is_knocking && self.phase == Phase::Incoming,
            transferring_to: self.transferring_to.clone(),
            transferred_by: self.transferred_by.clone(),
            takes_message: self.message.is_some(),
            conference: self.conference,
            muted: self.muted,
            held_by_us: self.is_held,
            held_by_them: self.is_held_by_them(),
            level_sent: self.statistics.level_sent,
            level_received: self.statistics.level_received,
            quality: self.quality(),
            trouble: self.quality_watch.trouble,
            recording: self.recording(),
        }
    }

    pub(super) fn finish_report(&mut self, now: Instant) {
        let report = &mut self.report;
        report.packets_sent = self.statistics.packets_sent;
        report.packets_received = self.statistics.packets_received;
        report.packets_lost = self.statistics.packets_lost;
        report.sound_sent = self.statistics.sound_sent;
        report.sound_received = self.statistics.sound_received;
        report.path.clone_from(&self.path);
        let talked = self.answered.map_or(Duration::ZERO, |since| now.saturating_since(since));
        report.talk_ms = u64::try_from(talked.as_millis()).unwrap_or(u64::MAX);
    }
}

impl Engine {
    pub(super) fn call_report(&mut self, id: CallId, report: CallReports) {
        match report {
            CallReports::Dial(report) => self.dial_report(id, report),
            CallReports::Candidates(leg, agent) => self.candidates(id, leg, *agent),
            CallReports::Moved(leg, connected) => self.connected_again(id, leg, *connected),
            CallReports::Unanswered => self.unanswered(id),
            CallReports::Settle => self.settle(id),
            CallReports::SeekDirect(leg) => self.gather_direct(id, leg),
            CallReports::Direct(leg, agent) => self.offer_direct(id, leg, *agent),
            CallReports::Talk(report) => self.talk_report(id, report),
            CallReports::Outside(report) => self.outside_report(id, report),
        }
    }

    fn talk_report(&mut self, id: CallId, report: Option<TalkReport>) {
        let now = self.clock.now();
        if report.is_none() {
            self.list_voice_messages();
        }
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        match report {
            Some(TalkReport::Up(path)) => {
                call.report.sound_ms = call.report.sound_ms.or(Some(call.elapsed_ms(now)));
                call.path = Some(path);
                // What was wanted before there was sound.
                call.direct_sound();
                call.speak(SpeechChange::Mute(call.muted));
                self.tell_recording(id);
                self.look_for_direct(id);
            }
            Some(TalkReport::Speech(report)) => self.speech_report(id, report),
            Some(TalkReport::Failed(failure)) => {
                let sentence = failure.sentence(&call.peer);
                self.hang_up_legs(id, Some(Reason::sip(500, "media lost")));
                self.end_call(id, sentence);
            }
            None => {}
        }
    }

    fn speech_report(&mut self, id: CallId, report: SpeechReport) {
        match report {
            SpeechReport::MessageTaken => {
                // Nothing can fail here: the call is running.
                let _ = self.hang_up(id);
            }
            SpeechReport::Digit(digit) => {
                self.event(Event::Digit { call: id, digit: digit.to_char() });
            }
            SpeechReport::Statistics(figures) => self.note_figures(id, *figures),
            SpeechReport::Fault(sentence) => {
                self.notice(sentence);
                self.sound_notice = Some(id);
            }
        }
    }

    pub(super) fn hang_up(&mut self, id: CallId) -> Result<(), String> {
        let Some(call) = self.calls.running.get(&id) else { return Ok(()) };
        let sentence = match call.phase {
            Phase::Talking => "You hung up.",
            Phase::Incoming | Phase::Answering => words::DECLINED,
            Phase::Dialling(_) | Phase::Ringing => words::GAVE_UP,
        };
        self.hang_up_legs(id, None);
        self.end_call(id, sentence.to_owned());
        Ok(())
    }

    /// Ends every call that a membership has a part in, because we leave.
    pub(super) fn end_calls(&mut self, account: AccountId) {
        let is_of = |call: &Running| {
            call.account == account || call.legs.values().any(|leg| leg.account == account)
        };
        let running = self.calls.running.iter();
        let ids: Vec<_> = running.filter(|(_, call)| is_of(call)).map(|(id, _)| *id).collect();
        for id in ids {
            // Nothing can fail here: the sentence is about a call that is running.
            let _ = self.hang_up(id);
        }
    }

    pub(super) fn hang_up_legs(&mut self, id: CallId, reason: Option<Reason>) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let legs = std::mem::take(&mut call.legs);
        for (leg, Leg { account, .. }) in legs {
            let reason = reason.clone();
            self.sip_command(account, sip::Command::HangUp { leg, reason });
        }
    }

    /// A call is over: it goes into the history, and its card says why until it is dismissed.
    pub(super) fn end_call(&mut self, id: CallId, sentence: String) {
        let now = self.clock.now();
        let Some(mut call) = self.calls.running.remove(&id) else { return };
        call.dial_tasks.abort_all();
        self.referral_failed(&mut call);
        self.leave_conference(&call);
        let sentence = self.message_left(&call).unwrap_or(sentence);
        call.finish_report(now);
        // What was wrong with its sound is of no use any more.
        if self.sound_notice.take_if(|about| *about == id).is_some() {
            self.snapshot.notice = None;
        }
        let duration = Duration::from_secs(call.talk_time(now).as_secs());
        let entry = HistoryEntry {
            direction: call.direction,
            peer: call.peer.clone(),
            unix_ms: call.started_unix_ms,
            duration,
            outcome: sentence.clone(),
            answered: call.report.answered && call.message.is_none(),
        };
        self.trace_ended(id, &call, &entry);
        if call.report.ringing_ms.is_some() {
            for attempt in call.attempts.iter().filter(|attempt| attempt.leg.is_some()) {
                self.remember_target(&attempt.target);
            }
        }
        if let Err(error) = self.data.add_call(&entry) {
            self.notice(format!("The call was not added to the list: {error}."));
        }
        self.snapshot.history.insert(0, entry);
        self.snapshot.history.truncate(super::data::HISTORY_MAX as usize);
        self.show_knocking();
        let mut view = call.view(id, now);
        view.state = CallState::Ended { reason: sentence.clone(), duration };
        self.calls.ended.insert(id, view);
        while self.calls.ended.len() > ENDED_MAX {
            self.calls.ended.pop_first();
        }
        self.event(Event::Ended {
            call: id,
            peer: call.peer.clone(),
            reason: sentence,
            report: Box::new(call.report),
        });
    }
}

// limits

/// Calls at once; whoever else calls is told that we are busy.
const CALLS_MAX: usize = 4;
/// Cards of ended calls.
const ENDED_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::account::Accounts;
    use super::*;
    use crate::base::Now;

    /// A second call does not ring into the ear of somebody who talks, and rings aloud for somebody
    /// whose calls are all on hold.
    #[tokio::test]
    async fn a_second_call_waits_softly() {
        let mut calls = Calls::default();
        let now = Now::new(Instant::ORIGIN, 0);
        let account = Accounts::default().next_id();
        let mut begin = |direction, phase| {
            calls.begin((account, "one.example"), direction, "bob".into(), phase, now)
        };
        let talking = begin(Direction::Outgoing, Phase::Talking);
        let next = begin(Direction::Incoming, Phase::Incoming);
        assert_eq!(calls.ringing(), Some(Ringing::Waiting));
        calls.running.get_mut(&talking).expect("there").is_held = true;
        assert_eq!(calls.ringing(), Some(Ringing::Here));
        calls.running.get_mut(&next).expect("there").is_knocking = true;
        assert_eq!(calls.ringing(), None, "who knocks makes no sound");
        calls.running.remove(&next);
        assert_eq!(calls.ringing(), None);
    }
}
