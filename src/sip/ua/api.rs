//! What goes into the user agent and what comes out.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rsip::StatusCode;
use thiserror::Error;

use super::message::{Receipt, Text};
use super::register::Line;
use crate::sip::limits;
use crate::sip::message::{Aor, Host, Reason, Replaces, Uri, phrase};

/// Names one flow: one DTLS connection to one peer. The room above picks the number and never
/// uses it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// Names one leg: one INVITE on one flow, and the dialog that comes of it.
///
/// The room above picks numbers below [`Self::FIRST_INCOMING`] for the legs that it begins; the
/// user agent numbers incoming legs from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u64);

impl LegId {
    /// The number of the first incoming leg.
    pub const FIRST_INCOMING: u64 = 1 << 63;
}

/// Who we are.
#[derive(Clone, Debug)]
pub struct UaConfig {
    /// The name of the overlay: what our Via says instead of a host (spec trap T-88).
    pub overlay: Host,
    /// The Addresses of Record that we take calls for; a call to any other is answered 404.
    pub users: Vec<Aor>,
    /// Our Contact: the GRUU of this device, so that a lost flow can be made again.
    pub contact: Uri,
    /// The line, if this is the phone of a registrar's user and no device of an overlay.
    pub line: Option<Line>,
    /// Where tags, branches and Call-IDs come from; from the operating system outside tests.
    pub seed: [u8; 32],
}

/// What happens to the user agent.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "an input is moved once and never stored")]
pub enum Input<'a> {
    /// A flow is open, and its certificate proves these user names. Beyond [`limits::FLOWS_MAX`]
    /// flows it is ignored, and calls over it fail with [`Failure::NoFlow`].
    FlowUp {
        /// The new flow.
        flow: FlowId,
        /// The Addresses of Record that the peer may call itself.
        verified_users: Vec<Aor>,
    },
    /// A flow is closed. Calls on it that both sides talk in may be moved to another one.
    FlowDown {
        /// The flow.
        flow: FlowId,
    },
    /// One record of a flow.
    Datagram {
        /// Where it came from.
        flow: FlowId,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// The moment of [`deadline`](super::UserAgent::deadline) has come.
    Timeout,
    /// The room above wants something.
    Command(Command),
}

/// What the room above asks for. A command about a leg that is gone, or that cannot be carried
/// out in the leg's state, does nothing: it has crossed an [`Event::Ended`].
#[derive(Clone, Debug)]
pub enum Command {
    /// Call somebody over a flow.
    Invite {
        /// A new leg.
        leg: LegId,
        /// The flow to the device.
        flow: FlowId,
        /// Which of our users calls.
        from: Aor,
        /// Who is called.
        to: Uri,
        /// Our session description.
        offer: Vec<u8>,
        /// The dialog that the call is to replace, and who has asked us to make it.
        transfer: Option<(Option<Replaces>, Aor)>,
    },
    /// Tell the caller that our phone rings (180).
    Ring {
        /// An incoming leg.
        leg: LegId,
    },
    /// Take the call, or the change of the session that the other side wants (200).
    Answer {
        /// An incoming leg, or one with a change.
        leg: LegId,
        /// Our session description: the answer, or the offer if the caller made none.
        answer: Vec<u8>,
    },
    /// Do not take the call, or leave the session as it is.
    Reject {
        /// An incoming leg, or one with a change.
        leg: LegId,
        /// Why: 486 busy, 603 declined, 488 no common media. What is no refusal becomes 603.
        status: StatusCode,
    },
    /// Do not take the call, and tell the caller whom to call instead (302).
    Redirect {
        /// An incoming leg.
        leg: LegId,
        /// Who is to be called.
        to: Uri,
    },
    /// End the leg whatever its state is: CANCEL before the other side has answered, BYE after,
    /// 603 for an incoming call that we have not answered. The end is reported at once, and the
    /// flow is needed for as long as [`is_flow_used`](super::UserAgent::is_flow_used) says.
    HangUp {
        /// The leg.
        leg: LegId,
        /// Why, for the other side.
        reason: Option<Reason>,
    },
    /// Change the session of a call that both sides talk in (RFC 3261 §14.1), or of one of ours
    /// that is not answered yet but whose offer is (RFC 3311 §5.1).
    Change {
        /// The leg.
        leg: LegId,
        /// Our new session description.
        offer: Vec<u8>,
    },
    /// Ask the other side of a call in which both sides talk to call somebody instead; what comes
    /// of it is told by [`Event::Transferring`].
    Refer {
        /// The leg.
        leg: LegId,
        /// Who is to be called.
        to: Uri,
        /// The dialog that the new call is to replace, as
        /// [`replaces`](super::UserAgent::replaces) names it.
        replaces: Option<Replaces>,
    },
    /// Tell the other side how the call goes that it has asked for; from 200 on that is the end.
    Notify {
        /// The leg.
        leg: LegId,
        /// What we were answered.
        status: StatusCode,
    },
    /// Have calls to the first of our users sent here, over this flow, until it is said otherwise
    /// with 0 seconds; it is refreshed in time. Only for a user agent with a [`Line`].
    Register {
        /// The flow to the registrar.
        flow: FlowId,
        /// For how long, in seconds; the registrar may say less.
        seconds: u32,
    },
    /// Move a leg to another flow to the same peer: one that proves one of the same user names.
    Rebind {
        /// The leg.
        leg: LegId,
        /// Its new flow.
        flow: FlowId,
    },
    /// Send a text outside of any call. A name must have no other text on its way (RFC 3428 §8).
    Message {
        /// A new number, of the same row as those of legs.
        leg: LegId,
        /// The flow to the device.
        flow: FlowId,
        /// Which of our users writes.
        from: Aor,
        /// To whom.
        to: Uri,
        /// What.
        text: Text,
    },
    /// Answer a text: 200 once it is kept, 603 if it is not wanted.
    Receive {
        /// The number of the text.
        leg: LegId,
        /// The answer.
        status: StatusCode,
    },
}

/// What the user agent wants done or known.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "an output is taken at once")]
pub enum Output {
    /// Send one record on a flow.
    Send {
        /// The flow.
        flow: FlowId,
        /// One SIP message.
        bytes: Bytes,
    },
    /// Something has happened.
    Event(Event),
}

/// News about legs and texts. Each leg ends with exactly one [`Event::Ended`], and it is the last
/// one.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody calls; they have been sent a 100 and wait for Ring, Answer or Reject.
    Incoming {
        /// The new leg.
        leg: LegId,
        /// The flow that it lives on.
        flow: FlowId,
        /// Who calls, as the flow's certificate proves it.
        from: Aor,
        /// The name that the caller wants to be shown. Nobody has verified it.
        display: Option<String>,
        /// Which of our users is called.
        to: Aor,
        /// The caller's session description, if the INVITE has one.
        offer: Option<Vec<u8>>,
        /// The call of ours that this one is to replace: the caller knows its name from whoever we
        /// talk to in it (RFC 3891).
        replaces: Option<LegId>,
        /// Who has asked the caller to call, as the caller says; nobody has verified it.
        referred_by: Option<Aor>,
    },
    /// The other side has the INVITE.
    Trying {
        /// The leg.
        leg: LegId,
    },
    /// The other side's phone rings.
    Ringing {
        /// The leg.
        leg: LegId,
    },
    /// The other side has taken the call.
    Answered {
        /// The leg.
        leg: LegId,
        /// Its session description. Without one there can be no media: hang up.
        answer: Option<Vec<u8>>,
    },
    /// The caller knows that we have taken the call.
    Acked {
        /// The leg.
        leg: LegId,
        /// The caller's answer, if its INVITE had no offer.
        answer: Option<Vec<u8>>,
    },
    /// The other side wants to change the session, and waits for Answer or Reject.
    Reoffered {
        /// The leg.
        leg: LegId,
        /// Its new session description; without one our Answer is an offer, and the other side's
        /// answer comes as [`Event::Changed`] (RFC 3261 §14.2).
        offer: Option<Vec<u8>>,
    },
    /// The other side has answered our offer.
    Changed {
        /// The leg.
        leg: LegId,
        /// Its new session description.
        answer: Option<Vec<u8>>,
    },
    /// Our change was not taken, or could not be asked for now: the session is as it was.
    Unchanged {
        /// The leg.
        leg: LegId,
        /// How long to wait before asking again if it is still wanted, after both sides have asked
        /// at once or something else is under way (RFC 3261 §14.1); `None` if it was refused.
        again_after: Option<Duration>,
    },
    /// The other side of a call asks us to call somebody. It waits for Notify.
    Referred {
        /// The leg.
        leg: LegId,
        /// Who is to be called.
        to: Uri,
        /// The dialog that the call is to replace.
        replaces: Option<Replaces>,
        /// Who asks, in their own words.
        by: Option<Aor>,
    },
    /// How far the other side has come with the call that we have asked for; from 200 on that is
    /// the end of it.
    Transferring {
        /// The leg.
        leg: LegId,
        /// What the other side was answered, or its own refusal.
        status: StatusCode,
    },
    /// The flow of a call is gone. The call ends unless it is moved to another flow within
    /// [`limits::REBIND_MAX`].
    Detached {
        /// The leg.
        leg: LegId,
    },
    /// The leg is over.
    Ended {
        /// The leg.
        leg: LegId,
        /// How.
        end: End,
    },
    /// Somebody has sent a text, and waits for Receive.
    Message {
        /// The number of the text.
        leg: LegId,
        /// The flow that it came over.
        flow: FlowId,
        /// Who has written it, as the flow's certificate proves it.
        from: Aor,
        /// What.
        text: Text,
    },
    /// A text of ours was answered, or will not be.
    MessageOver {
        /// The number of the text.
        leg: LegId,
        /// What came of it.
        receipt: Receipt,
    },
    /// Calls to us are sent here from now on.
    Registered {
        /// Until they no longer are, if it is not refreshed.
        seconds: u32,
        /// Where the registrar sees us (RFC 3581 §4), if it says: behind a router another address
        /// than our own.
        seen_at: Option<SocketAddr>,
    },
    /// Calls to us are not sent here.
    Unregistered {
        /// Why: what the registrar says, 408 if that is nothing. `None` if that was the wish.
        status: Option<StatusCode>,
    },
    /// A call was refused without asking anybody.
    Refused {
        /// Where it came from.
        flow: FlowId,
        /// Who the caller says they are; for a 403 it is not true.
        claimed: Option<Aor>,
        /// What it was answered.
        status: StatusCode,
    },
}

/// One side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This user agent.
    Us,
    /// The other one.
    Them,
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// The callee wants us to call somebody else (RFC 3261 §21.3): whether that is done is for the
    /// room above to say.
    Redirected {
        /// Who is to be called.
        to: Uri,
    },
    /// The INVITE was refused, or redirected to nobody that SIP can call.
    Rejected {
        /// Whose answer it was.
        by: Side,
        /// 300 to 699: 486 and 600 are busy, 603 is declined, 404 and 604 are unknown.
        status: StatusCode,
        /// The words beside it; from the other side they are unverified.
        phrase: String,
    },
    /// The caller gave up before the callee had answered.
    Cancelled {
        /// Who gave up.
        by: Side,
        /// Why, if a Reason was given.
        reason: Option<Reason>,
    },
    /// Somebody hung up.
    HungUp {
        /// Who.
        by: Side,
        /// Why, if a Reason was given.
        reason: Option<Reason>,
    },
    /// It came to nothing.
    Failed(Failure),
}

impl End {
    /// We refuse with this status.
    pub(super) fn rejected_by_us(status: &StatusCode) -> Self {
        Self::Rejected { by: Side::Us, status: status.clone(), phrase: phrase(status) }
    }
}

impl fmt::Display for End {
    /// One sentence for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { by: Side::Us, .. } => f.write_str("The call was declined here."),
            Self::Rejected { by: Side::Them, status, phrase } => match status.code() {
                486 | 600 => f.write_str("The other side is busy."),
                603 => f.write_str("The other side declined the call."),
                404 | 604 => f.write_str("The other side's phone does not serve that name."),
                480 => f.write_str("Nobody answered at the other side."),
                403 => f.write_str("The other side's phone does not believe our name."),
                code => {
                    // A stranger's words: enough to help, too few to fill the screen.
                    let words: String = phrase.chars().take(60).collect();
                    write!(f, "The other side's phone refused the call: {code} {words}.")
                }
            },
            Self::Redirected { to } => write!(f, "The other side sends calls on to {to}."),
            Self::Cancelled { by: Side::Us, .. } => f.write_str("The call was cancelled."),
            Self::Cancelled { by: Side::Them, reason } => match reason {
                Some(reason) if reason.is_completed_elsewhere() => {
                    f.write_str("The call was answered on another device.")
                }
                _ => f.write_str("The caller gave up."),
            },
            Self::HungUp { by: Side::Us, .. } => f.write_str("You hung up."),
            Self::HungUp { by: Side::Them, .. } => f.write_str("The other side hung up."),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// Why a leg came to nothing, as one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Timer B: the INVITE was sent for 32 s and nothing came back.
    #[error("The other side's phone did not react to the call within 32 s.")]
    Timeout,
    /// The phone rang for [`limits::RING_MAX`], or [`limits::RING_INCOMING_MAX`] here.
    #[error("Nobody answered within {} s.", limits::RING_MAX.as_secs())]
    NoAnswer,
    /// Our 200 was repeated for 32 s without an ACK.
    #[error("The caller never confirmed that the call was answered.")]
    AckMissing,
    /// Our 180 was repeated for 32 s without the PRACK that the caller had promised.
    #[error("The caller never confirmed that the phone rings.")]
    PrackMissing,
    /// Nobody has refreshed the session in time (RFC 4028 §10).
    #[error("The other side's phone was silent for too long.")]
    Expired,
    /// The other side has forgotten the call (481).
    #[error("The other side's phone knows nothing of this call any more.")]
    Forgotten,
    /// The flow closed.
    #[error("The connection to the other side's phone was lost.")]
    FlowLost,
    /// The flow of the command is not open, or was closed before.
    #[error("There is no connection to the other side's phone.")]
    NoFlow,
    /// As many legs as [`limits::LEGS_MAX`] exist.
    #[error("Too many calls at once.")]
    TooManyCalls,
}
