//! The session of a call in which both sides talk: what they have agreed on, and each change of it
//! by another offer and answer (RFC 3264 §8). A call is put on hold or goes on, or its sound goes
//! another way, since somebody has moved (an ICE restart, RFC 8839 §4.4.1.1.1).
//!
//! What we want is kept in the call. [`Engine::settle`] compares it with what the other side knows
//! and asks for what is missing, as often as it takes: requests cross, users change their minds.

use std::time::Duration;

use tokio::time::sleep;

use super::account::AccountId;
use super::api::{CallId, Event};
use super::calls::{CallReports, Leg, Phase, Running};
use super::engine::{Engine, Report};
use super::moving::role;
use super::speech::SpeechChange;
use super::talk::{self, ice_parameters};
use crate::base::NodeId;
use crate::link::{CandidateKind, IceAgent};
use crate::media::Digit;
use crate::media::sdp::{
    self, Direction, DtlsRole, MediaDescription, Negotiated, Offer, Origin, Setup,
};
use crate::sip::{Command, LegId};

/// What has to be known of a session to change it.
pub(super) struct Session {
    /// The other side's device, and the application that its connection was for.
    pub(super) device: Option<(NodeId, u16)>,
    /// Our last description's.
    pub(super) origin: Origin,
    /// What both sides have agreed on last.
    agreed: Option<Agreed>,
    /// Whether the other side knows that we hold the call.
    is_hold_known: bool,
    /// Whether the other side knows that we record the call.
    is_recording_known: bool,
    /// Whether the other side takes no sound of ours.
    pub(super) is_held_by_them: bool,
}

struct Agreed {
    local: MediaDescription,
    remote: MediaDescription,
    /// The part that we play in DTLS.
    setup: Setup,
    /// Which way sound flows, seen from us.
    direction: Direction,
    takes_keys: bool,
}

impl Session {
    /// A session that is not agreed on yet.
    pub(super) fn new(device: Option<(NodeId, u16)>, session_id: u64) -> Self {
        let origin = Origin { session_id, version: 0 };
        Self {
            device,
            origin,
            agreed: None,
            is_hold_known: false,
            is_recording_known: false,
            is_held_by_them: false,
        }
    }

    /// Both sides have agreed, the other one by its offer.
    pub(super) fn answered(&mut self, local: &MediaDescription, negotiated: &Negotiated) {
        self.is_held_by_them = !negotiated.remote.direction.receives();
        self.agreed(local, negotiated);
    }

    /// Both sides have agreed, the other one by its answer.
    pub(super) fn accepted(&mut self, local: &MediaDescription, negotiated: &Negotiated) {
        // Who is offered nothing can't say whether they would take it.
        if local.direction.sends() {
            self.is_held_by_them = !negotiated.remote.direction.receives();
        }
        self.agreed(local, negotiated);
    }

    fn agreed(&mut self, local: &MediaDescription, negotiated: &Negotiated) {
        self.is_hold_known = !local.direction.receives();
        self.is_recording_known = local.recording == Some(true);
        self.agreed = Some(Agreed {
            local: local.clone(),
            remote: negotiated.remote.clone(),
            setup: match negotiated.dtls_role {
                DtlsRole::Client => Setup::Active,
                DtlsRole::Server => Setup::Passive,
            },
            direction: negotiated.direction,
            takes_keys: negotiated.send_telephone_event.is_some(),
        });
    }

    /// Our next description, with other candidates if we have moved. A stream that is put on hold
    /// is sendonly, or inactive if the other side holds it too (RFC 3264 §8.4).
    fn description(
        &self,
        moved: Option<MediaDescription>,
        setup: Setup,
        (is_held, is_recorded): (bool, bool),
    ) -> Option<MediaDescription> {
        let direction = Direction::from_flows(!(is_held && self.is_held_by_them), !is_held);
        let local = moved.or_else(|| self.agreed.as_ref().map(|agreed| agreed.local.clone()))?;
        Some(MediaDescription { setup, direction, recording: Some(is_recorded), ..local })
    }

    /// The part in DTLS that we have had from the beginning.
    fn setup(&self) -> Setup {
        self.agreed.as_ref().map_or(Setup::ActPass, |agreed| agreed.setup)
    }

    /// What the other side says of recording; `None` if its phone knows nothing of it.
    fn recording_there(&self) -> Option<bool> {
        self.agreed.as_ref()?.remote.recording
    }

    /// Whether the other side says that it records the call.
    pub(super) fn is_recorded_by_them(&self) -> bool {
        self.recording_there() == Some(true)
    }

    /// Whether an offer goes on with the same certificate, without which there is no going on.
    fn is_same_device(&self, offer: &MediaDescription) -> bool {
        self.agreed.as_ref().is_some_and(|agreed| agreed.remote.fingerprint == offer.fingerprint)
    }

    /// Whether whoever offers this has moved.
    fn has_moved(&self, offer: &MediaDescription) -> bool {
        self.agreed.as_ref().is_none_or(|agreed| agreed.remote.ice_ufrag != offer.ice_ufrag)
    }
}

impl Running {
    /// The one leg of a call in which both sides talk.
    pub(super) fn talking_leg(&mut self) -> Option<(LegId, &mut Leg)> {
        let legs = (self.phase == Phase::Talking).then_some(&mut self.legs)?;
        legs.iter_mut().next().map(|(id, leg)| (*id, leg))
    }

    /// Lets sound flow as both sides have agreed, and none at all while we hold the call: that
    /// begins at once, whatever the other side says.
    pub(super) fn direct_sound(&self) {
        let agreed = self.legs.values().find_map(|leg| leg.session.agreed.as_ref());
        let (Some(talk), Some(agreed)) = (&self.talk, agreed) else { return };
        talk.direct(agreed.direction, self.is_held);
    }

    /// Whether the other side's phone tells its user that we record the call.
    pub(super) fn knows_recording(&self) -> bool {
        self.legs.values().any(|leg| leg.session.recording_there().is_some())
    }

    /// What the session is to be: whether on hold, and whether recorded.
    fn wish(&self) -> (bool, bool) {
        (self.is_held, self.is_recorded)
    }

    fn move_sound(&self, agent: IceAgent, remote: &MediaDescription) {
        if let Some(talk) = &self.talk {
            talk.move_to(agent, ice_parameters(remote));
        }
    }
}

impl Engine {
    /// Puts a call on hold, or goes on with it.
    pub(super) fn hold(&mut self, id: CallId, is_held: bool) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        if call.phase != Phase::Talking {
            return Ok(());
        }
        if call.hold_outside(is_held) {
            if !is_held {
                self.hold_others(id);
            }
            return Ok(());
        }
        if call.is_held == is_held {
            return Ok(());
        }
        call.is_held = is_held;
        if !is_held {
            self.hold_others(id);
            for other in self.together(id) {
                self.hold(other, false)?;
            }
        }
        if let Some(call) = self.calls.running.get(&id) {
            call.direct_sound();
        }
        self.tell_hold(id);
        self.settle(id);
        Ok(())
    }

    /// Cuts the microphone off, or lets it in again.
    pub(super) fn mute(&mut self, id: CallId, muted: bool) -> Result<(), String> {
        self.calls.mute(id, muted);
        Ok(())
    }

    /// Presses a key of a telephone in a call.
    pub(super) fn press(&mut self, id: CallId, label: char) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        let digit = Digit::from_char(label)
            .ok_or_else(|| format!("{label} is no key: there are 0 to 9, *, # and A to D."))?;
        let peer = call.peer.clone();
        if let Some((_, leg)) = call.talking_leg()
            && !leg.session.agreed.as_ref().is_some_and(|agreed| agreed.takes_keys)
        {
            return Err(format!("{peer}'s phone takes no keys."));
        }
        call.speak(SpeechChange::Press(digit));
        Ok(())
    }

    /// Puts all calls but one on hold: sound flows in one at a time.
    pub(super) fn hold_others(&mut self, id: CallId) {
        let together = self.together(id);
        let is_other = |(other, call): &(&CallId, &Running)| {
            !together.contains(other) && call.message.is_none()
        };
        let others = self.calls.running.iter().filter(is_other);
        let others: Vec<_> = others.map(|(other, _)| *other).collect();
        for other in others {
            // Nothing can fail here: the calls are running.
            let _ = self.hold(other, true);
        }
    }

    /// Asks the other side for the session to be what we want it to be, if it is not.
    pub(super) fn settle(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let wish = call.wish();
        let Some((leg_id, leg)) = call.talking_leg() else { return };
        let known = (leg.session.is_hold_known, leg.session.is_recording_known);
        let is_settled = leg.agent.is_none() && known == wish;
        if is_settled || leg.local.is_some() || leg.offer.is_some() {
            return;
        }
        let Some(account) = self.accounts.get(leg.account) else { return };
        let moved = leg.agent.as_ref().map(|agent| talk::description(agent, &account.certificate));
        let Some(local) = leg.session.description(moved, Setup::ActPass, wish) else { return };
        leg.session.origin.version += 1;
        let offer = sdp::offer(leg.session.origin, &local).into_bytes();
        leg.local = Some(local);
        let account = leg.account;
        self.sip_command(account, Command::Change { leg: leg_id, offer });
    }

    /// The other side has answered our offer.
    pub(super) fn changed(&mut self, account: AccountId, leg_id: LegId, answer: Option<Vec<u8>>) {
        let Some((id, call)) = self.calls.of_leg(account, leg_id) else { return };
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let answer = answer.and_then(|answer| String::from_utf8(answer).ok()).unwrap_or_default();
        let (Some(local), agent) = (leg.local.take(), leg.agent.take()) else { return };
        // Without a usable answer sound stays as it was, for as long as there is a way.
        if let Ok(negotiated) = sdp::accept(&local, &answer) {
            leg.session.accepted(&local, &negotiated);
            if let Some(agent) = agent {
                call.is_moving = false;
                call.move_sound(agent, &negotiated.remote);
            }
            call.direct_sound();
            self.tell_hold(id);
            self.settle(id);
        }
    }

    /// Our offer was not taken. It is made again later unless it was refused; who has moved has no
    /// other choice.
    pub(super) fn unchanged(
        &mut self,
        account: AccountId,
        leg_id: LegId,
        again_after: Option<Duration>,
    ) {
        let reports = self.reports.clone();
        let Some((id, call)) = self.calls.of_leg(account, leg_id) else { return };
        let is_moving = call.is_moving;
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        leg.local = None;
        if !is_moving && leg.agent.take().is_some() && again_after.is_none() {
            // Sound has a path, and there will be another attempt at a better one.
            return;
        }
        let again_after = again_after.or_else(|| leg.agent.as_ref().map(|_| MOVED_AGAIN));
        if let Some(pause) = again_after {
            call.dial_tasks.spawn(async move {
                sleep(pause).await;
                // The engine has ended otherwise.
                let _ = reports.send(Report::Call(id, CallReports::Settle)).await;
            });
        } else if !call.is_held {
            let sentence = format!("{}'s phone does not go on with the call.", call.peer);
            self.notice(sentence);
        }
    }

    /// The other side wants to change the session, or asks what we want it to be.
    pub(super) fn reoffered(&mut self, account: AccountId, leg_id: LegId, offer: Option<Vec<u8>>) {
        let Some((id, call)) = self.calls.of_leg(account, leg_id) else { return };
        let (role, wish) = (role(call.direction), call.wish());
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let session = &mut leg.session;
        let Some(offer) = offer else {
            let local = session.description(None, Setup::ActPass, wish);
            let Some(local) = local else { return };
            session.origin.version += 1;
            let answer = sdp::offer(session.origin, &local).into_bytes();
            leg.local = Some(local);
            return self.sip_command(account, Command::Answer { leg: leg_id, answer });
        };
        let offer = String::from_utf8(offer).ok().and_then(|text| Offer::parse(&text).ok());
        let Some(offer) = offer.filter(|offer| session.is_same_device(offer.remote())) else {
            let status = rsip::StatusCode::NotAcceptableHere;
            return self.sip_command(account, Command::Reject { leg: leg_id, status });
        };
        let has_moved = session.has_moved(offer.remote());
        leg.offer = Some(offer);
        if has_moved {
            self.gather(id, account, leg_id, role);
        } else {
            self.follow(id, leg_id, None);
        }
    }

    /// Takes the change that the other side wants, with our candidates for the place to which it
    /// has moved, if it has.
    pub(super) fn follow(&mut self, id: CallId, leg_id: LegId, mut agent: Option<IceAgent>) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let (wish, is_relayed) = (call.wish(), call.is_relayed());
        let Some(leg) = call.legs.get_mut(&leg_id) else { return };
        let (Some(offer), Some(account)) = (leg.offer.take(), self.accounts.get(leg.account))
        else {
            return;
        };
        if let Some(agent) = agent.as_mut()
            && is_relayed
            && !offers_relay(offer.remote())
        {
            agent.forgo_relays();
        }
        let moved = agent.as_ref().map(|agent| talk::description(agent, &account.certificate));
        let setup = leg.session.setup();
        let Some(local) = leg.session.description(moved, setup, wish) else { return };
        leg.session.origin.version += 1;
        let (answer, negotiated) = offer.answer(leg.session.origin, &local);
        leg.session.answered(&local, &negotiated);
        let (account, answer) = (leg.account, answer.into_bytes());
        if let Some(agent) = agent {
            call.move_sound(agent, &negotiated.remote);
        }
        call.direct_sound();
        self.sip_command(account, Command::Answer { leg: leg_id, answer });
        self.tell_hold(id);
        self.settle(id);
    }

    /// Tells who holds a call, if that is news.
    pub(super) fn tell_hold(&mut self, id: CallId) {
        self.tell_recording(id);
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let now = (call.is_held, call.is_held_by_them());
        if std::mem::replace(&mut call.hold_told, now) != now {
            let (by_us, by_them) = now;
            let peer = call.peer.clone();
            self.event(Event::Held { call: id, peer, by_us, by_them });
        }
    }
}

fn offers_relay(remote: &MediaDescription) -> bool {
    ice_parameters(remote).candidates.iter().any(|c| c.kind == CandidateKind::Relay)
}

/// How long whoever has moved waits until asking again, when the other side has said no.
const MOVED_AGAIN: Duration = Duration::from_secs(2);
