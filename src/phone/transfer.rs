//! Calls that are handed over: somebody we talk to calls somebody else instead of us, or we do at
//! their wish (RFC 3515). Where we talk to both, the new call takes the place of ours (RFC 3891).
//!
//! Whoever is asked calls as their user would: by the name, in the overlay of its domain. Only the
//! other side of a call in which both talk can ask; the user sees it and can hang up.

use super::account::{AccountId, sip_aor};
use super::api::{CallId, Direction, Event};
use super::calls::{Phase, Running};
use super::engine::Engine;
use super::names::forwarding;
use super::words;
use crate::sip::{self, Command, LegId, Replaces};
use crate::usage::Aor;

/// Why we call: the other side of a call has asked for it.
#[derive(Clone, Debug)]
pub(super) struct Referral {
    /// The membership and the leg of that call.
    account: AccountId,
    leg: LegId,
    /// Who has asked, as proven in that call.
    by: sip::Aor,
    /// The call of theirs that ours is to replace.
    replaces: Option<Replaces>,
}

impl Referral {
    /// What the call says of itself.
    pub(super) fn words(&self) -> (Option<Replaces>, sip::Aor) {
        (self.replaces.clone(), self.by.clone())
    }
}

impl Engine {
    /// Has the other side of a call call somebody else instead.
    pub(super) fn transfer(&mut self, id: CallId, name: &str) -> Result<(), String> {
        let Some(call) = self.calls.running.get(&id) else { return Ok(()) };
        let to = forwarding(name, call.domain())?;
        self.refer(id, to, None)
    }

    /// Connects the other sides of two calls with each other.
    pub(super) fn transfer_to(&mut self, id: CallId, other: CallId) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&other).filter(|_| id != other) else {
            return Ok(());
        };
        let peer = call.peer.clone();
        let open = call.talking_leg().and_then(|(leg_id, leg)| {
            let account = self.accounts.get(leg.account)?;
            Some((leg.peer.clone(), account.agent.replaces(leg_id)?))
        });
        let (to, replaces) = open.ok_or_else(|| format!("{peer} has not answered yet."))?;
        self.refer(id, to, Some(replaces))
    }

    fn refer(&mut self, id: CallId, to: String, replaces: Option<Replaces>) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        let peer = call.peer.clone();
        if let Some(to) = &call.transferring_to {
            return Err(format!("{peer} is being connected to {to} already."));
        }
        let aor = Aor::of_user_name(&to).and_then(|aor| sip_aor(&aor).ok());
        let aor = aor.ok_or_else(|| format!("{to} is no name."))?;
        if call.is_outside() {
            call.transfer_outside(aor, replaces.is_some())?;
        } else {
            let Some((leg_id, leg)) = call.talking_leg() else {
                return Err(format!("{peer} has not answered yet."));
            };
            if leg.peer == to {
                return Err(format!("{to} is who you talk to."));
            }
            let (account, uri) = (leg.account, sip::Uri::of(&aor));
            self.sip_command(account, Command::Refer { leg: leg_id, to: uri, replaces });
        }
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.transferring_to = Some(to.clone());
        }
        self.event(Event::Transferring { call: id, peer, to, by_us: true });
        Ok(())
    }

    /// How far the other side has come with whom we have asked it to call.
    pub(super) fn transferring(
        &mut self,
        account: AccountId,
        leg: LegId,
        status: &rsip::StatusCode,
    ) {
        let Some((id, call)) = self.calls.of_leg(account, leg) else { return };
        if status.code() < 200 {
            return;
        }
        let Some(to) = call.transferring_to.take() else { return };
        let peer = call.peer.clone();
        if status.code() < 300 {
            self.hang_up_legs(id, None);
            return self.end_call(id, words::transferred(&peer, &to));
        }
        let why = match status.code() {
            486 | 600 => format!("{to} is busy"),
            603 => format!("{to} declined"),
            404 | 604 => format!("{to} was not found"),
            403 | 405 | 420 | 501 => format!("{peer}'s phone does not allow it"),
            _ => format!("{to} did not answer"),
        };
        self.notice(format!("{peer} was not connected to {to}: {why}."));
    }

    /// The other side of a call asks us to call somebody.
    pub(super) fn referred(
        &mut self,
        account: AccountId,
        leg: LegId,
        to: &sip::Uri,
        replaces: Option<Replaces>,
    ) {
        let Some((id, call)) = self.calls.of_leg(account, leg) else { return };
        let peer = call.peer.clone();
        let by = call.legs.get(&leg).and_then(|leg| leg.peer.parse().ok());
        let Some((by, name)) = by.zip(to.aor().map(|aor| aor.to_string())) else {
            let status = rsip::StatusCode::NotFound;
            return self.sip_command(account, Command::Notify { leg, status });
        };
        let referral = Referral { account, leg, by, replaces };
        match self.dial_as(&to.to_string(), Some(referral)) {
            Ok(_) => {
                let (call, to) = (id, name);
                self.event(Event::Transferring { call, peer, to, by_us: false });
            }
            Err(sentence) => {
                let status = rsip::StatusCode::TemporarilyUnavailable;
                self.sip_command(account, Command::Notify { leg, status });
                self.notice(format!("{peer} wanted to connect you to {name}. {sentence}"));
            }
        }
    }

    /// Tells whoever has asked for a call how it goes; 200 and more is the last word.
    pub(super) fn tell_referrer(&mut self, id: CallId, status: rsip::StatusCode) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let referral = match status.code() {
            ..200 => call.referral.clone(),
            _ => call.referral.take(),
        };
        if let Some(Referral { account, leg, .. }) = referral {
            self.sip_command(account, Command::Notify { leg, status });
        }
    }

    /// A call that was asked for has come to nothing: whoever has asked is told, and their call
    /// goes on.
    pub(super) fn referral_failed(&mut self, call: &mut Running) {
        let Some(Referral { account, leg, .. }) = call.referral.take() else { return };
        let status = call.refusal.take().unwrap_or(rsip::StatusCode::TemporarilyUnavailable);
        self.sip_command(account, Command::Notify { leg, status });
        if let Some((before, _)) = self.calls.of_leg(account, leg) {
            // Nothing can fail here: the call is running.
            let _ = self.hold(before, false);
        }
    }

    /// A call was answered that takes the place of another one, which ends.
    pub(super) fn replace(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let (Some((account, leg)), peer) = (call.replaces.take(), call.peer.clone()) else {
            return;
        };
        let Some((before, call)) = self.calls.of_leg(account, leg) else { return };
        let sentence = match call.phase {
            Phase::Talking => format!("{} connected you to {peer}.", call.peer),
            _ => format!("{peer} answered in the place of {}.", call.peer),
        };
        let was_held = call.is_held;
        self.hang_up_legs(before, None);
        self.end_call(before, sentence);
        // Nobody hears the user whom the user has not let in.
        if was_held {
            // Nothing can fail here: the call is running.
            let _ = self.hold(id, true);
        }
    }

    /// Whether a call may replace another one unasked: both sides talk in that, or we have called
    /// and wait, and nothing is wrong with the new caller's key.
    pub(super) fn may_replace(&mut self, id: CallId) -> bool {
        let Some(call) = self.calls.running.get(&id) else { return false };
        let (Some((account, leg)), None) = (call.replaces, &call.unproven) else { return false };
        self.calls.of_leg(account, leg).is_some_and(|(_, call)| {
            call.direction == Direction::Outgoing || call.phase == Phase::Talking
        })
    }
}
