//! One leg: an INVITE, its dialog, and the timers that belong to neither transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::provisional::{Early, Reliable};
use super::timer::{LEAST_S, SessionTimer};
use super::{ClientKey, FlowId, ServerKey};
use crate::base::Instant;
use crate::sip::dialog::Dialog;
use crate::sip::limits;
use crate::sip::message::{Aor, Reason, Replaces, Request};
use crate::sip::transaction::{GIVE_UP, T1, T2};

/// All that is known of one leg.
pub(super) struct Leg {
    /// The only flow that may speak for it.
    pub(super) flow: FlowId,
    /// The names that the flow proves, to recognise the same peer on another flow.
    pub(super) peer: Vec<Aor>,
    pub(super) dialog: Dialog,
    pub(super) stage: Stage,
    /// Our session description, said again when the other side asks.
    pub(super) description: Vec<u8>,
    /// A 200 of ours that waits for its ACK.
    pub(super) unacked: Option<Unacked>,
    /// A change of the session that is not decided yet.
    pub(super) change: Option<Change>,
    /// The number of our REFER whose outcome we wait for.
    pub(super) referring: Option<u32>,
    /// The number of the REFER whose outcome the other side waits for.
    pub(super) referred: Option<u32>,
    /// Whether the other side knows UPDATE.
    pub(super) allows_update: bool,
    /// How long the session lives, once both sides have agreed that it ends some time.
    pub(super) session: Option<SessionTimer>,
    /// The shortest session in seconds that everybody on the way takes, and how often we have heard
    /// that ours was shorter.
    pub(super) session_least_s: u32,
    pub(super) session_raised: u8,
    /// How often a request has been sent again because a password was asked for.
    pub(super) asked_again: u8,
    /// Our ACK, sent again for each 200 that comes again.
    pub(super) ack: Option<Bytes>,
    /// Whether the end has been reported. What still goes on is only good manners.
    pub(super) reported: bool,
    /// Until when the leg may stay without a flow.
    pub(super) detached: Option<Instant>,
}

/// How far a leg has come.
pub(super) enum Stage {
    /// We have sent an INVITE.
    Calling(Calling),
    /// We have an INVITE and owe the answer.
    Incoming(Incoming),
    /// The call was answered; our 200 may still be on its way.
    Talking {
        /// Our user hung up before the ACK came: BYE must wait for it (RFC 3261 §15).
        bye: Option<Option<Reason>>,
        /// Whether the first ACK, if we are the callee, has been reported.
        acked: bool,
    },
    /// We have sent a BYE. The leg stays until it is answered, so that a BYE of the other side
    /// that crosses it is answered too.
    Closing,
}

/// A re-INVITE or UPDATE without a final response.
pub(super) enum Change {
    /// We want it.
    Ours {
        key: ClientKey,
        /// The number that its ACK must have.
        cseq: u32,
        offer: Vec<u8>,
        /// Whether nothing is to change: the session is to live on.
        is_refresh: bool,
    },
    /// The other side wants it.
    Theirs { key: ServerKey, invite: Request },
}

/// An INVITE of ours without a final response.
pub(super) struct Calling {
    pub(super) key: ClientKey,
    pub(super) invite: Request,
    /// Whether a provisional response has come, without which nothing may be cancelled
    /// (RFC 3261 §9.1).
    pub(super) trying: bool,
    pub(super) ringing: bool,
    /// What devices have said so far, by their tags.
    pub(super) early: BTreeMap<String, Early>,
    pub(super) give_up: Instant,
    pub(super) cancel: Cancel,
}

/// Whether an INVITE of ours is being cancelled.
pub(super) enum Cancel {
    No,
    /// As soon as a provisional response has come.
    Wanted(Option<Reason>),
    /// Sent; the INVITE is given up then even without a final response (RFC 3261 §9.1).
    Sent(Instant, Option<Reason>),
}

/// An INVITE of theirs without a final response.
pub(super) struct Incoming {
    pub(super) key: ServerKey,
    pub(super) invite: Request,
    /// When to repeat the 180.
    pub(super) ring: Option<Instant>,
    /// Our provisional responses, if the caller wants to be sure of them.
    pub(super) reliable: Option<Reliable>,
    pub(super) give_up: Instant,
    /// What is said then.
    pub(super) give_up_status: rsip::StatusCode,
}

/// A 200 to an INVITE, repeated until the ACK comes (RFC 3261 §13.3.1.4).
pub(super) struct Unacked {
    /// The CSeq number that the ACK must have.
    pub(super) cseq: u32,
    pub(super) response: Bytes,
    /// Whether it holds an offer, which the ACK answers.
    pub(super) is_offer: bool,
    resend: Instant,
    interval: Duration,
    give_up: Instant,
}

impl Unacked {
    pub(super) fn new(now: Instant, cseq: u32, response: Bytes, is_offer: bool) -> Self {
        let (resend, give_up) = (now + T1, now + GIVE_UP);
        Self { cseq, response, is_offer, resend, interval: T1, give_up }
    }

    /// The 200 once more.
    pub(super) fn again(&mut self, now: Instant) -> Bytes {
        self.interval = (self.interval * 2).min(T2);
        self.resend = now + self.interval;
        self.response.clone()
    }
}

/// What a leg waits for, apart from its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The phone has rung for long enough: cancel, or refuse.
    RingMax,
    /// Say 180 once more.
    RingAgain,
    /// Say a provisional response once more that was not confirmed.
    ProvisionalAgain,
    /// It will never be confirmed.
    ProvisionalOver,
    /// Refresh the session.
    Refresh,
    /// Nobody has refreshed the session.
    SessionOver,
    /// The cancelled INVITE will never be answered.
    CancelOver,
    /// Say 200 once more.
    OkAgain,
    /// The ACK will never come.
    AckOver,
    /// The leg was not moved to another flow in time.
    DetachedOver,
}

impl Leg {
    pub(super) fn new(flow: FlowId, peer: Vec<Aor>, dialog: Dialog, stage: Stage) -> Self {
        Self {
            flow,
            peer,
            dialog,
            stage,
            description: Vec::new(),
            unacked: None,
            change: None,
            referring: None,
            referred: None,
            allows_update: false,
            session: None,
            session_least_s: LEAST_S,
            session_raised: 0,
            asked_again: 0,
            ack: None,
            reported: false,
            detached: None,
        }
    }

    /// Whether both sides talk and neither has hung up.
    pub(super) fn is_talking(&self) -> bool {
        matches!(self.stage, Stage::Talking { bye: None, .. }) && !self.reported
    }

    /// Whether its session can't be changed now.
    pub(super) fn is_busy(&self) -> bool {
        let is_open = self.unacked.is_some() || self.change.is_some();
        !self.is_talking() || self.detached.is_some() || is_open
    }

    /// Whether the other side means this dialog, before or after the call was answered (RFC 3891
    /// §3): before that, only one that we have begun.
    pub(super) fn is_named(&self, replaces: &Replaces) -> bool {
        match &self.stage {
            Stage::Calling(calling) => {
                calling.early.values().any(|early| early.dialog.is_named(replaces))
            }
            _ => self.dialog.is_named(replaces),
        }
    }

    /// Every running timer.
    pub(super) fn timers(&self) -> impl Iterator<Item = (Timer, Instant)> {
        let (ring_max, ring, cancel) = match &self.stage {
            Stage::Calling(calling) => match calling.cancel {
                Cancel::No => (Some(calling.give_up), None, None),
                Cancel::Wanted(_) => (None, None, None),
                Cancel::Sent(until, _) => (None, None, Some(until)),
            },
            Stage::Incoming(incoming) => (Some(incoming.give_up), incoming.ring, None),
            Stage::Talking { .. } | Stage::Closing => (None, None, None),
        };
        let unacked = self.unacked.as_ref();
        let waiting = match &self.stage {
            Stage::Incoming(incoming) => {
                incoming.reliable.as_ref().and_then(|r| r.waiting.as_ref())
            }
            _ => None,
        };
        let is_talking = matches!(self.stage, Stage::Talking { .. });
        let session = self.session.filter(|_| is_talking);
        [
            (Timer::RingMax, ring_max),
            (Timer::RingAgain, ring),
            (Timer::CancelOver, cancel),
            (Timer::ProvisionalOver, waiting.map(|w| w.give_up)),
            (Timer::ProvisionalAgain, waiting.map(|w| w.resend)),
            (Timer::SessionOver, session.map(|s| s.over)),
            (Timer::Refresh, session.and_then(|s| s.refresh)),
            (Timer::AckOver, unacked.map(|u| u.give_up)),
            (Timer::OkAgain, unacked.map(|u| u.resend)),
            (Timer::DetachedOver, self.detached),
        ]
        .into_iter()
        .filter_map(|(timer, at)| Some((timer, at?)))
    }
}

/// When an incoming call has rung for long enough, and what is said then: the caller's Expires
/// counts if it is sooner than our own limit (RFC 3261 §13.3.1).
pub(super) fn ring_limit(now: Instant, invite: &Request) -> (Instant, rsip::StatusCode) {
    let expires = invite.headers.first("Expires").and_then(|e| e.parse().ok());
    match expires.map(Duration::from_secs) {
        Some(expires) if expires < limits::RING_INCOMING_MAX => {
            (now + expires, rsip::StatusCode::RequestTerminated)
        }
        _ => (now + limits::RING_INCOMING_MAX, rsip::StatusCode::TemporarilyUnavailable),
    }
}
