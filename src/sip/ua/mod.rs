//! The user agent: one door in, one door out.
//!
//! `api` holds the types of the two doors; `table` the transactions in progress and `leg` what they
//! are about; `caller` is what RFC 3261 calls the UAC and `callee` the UAS, with the checks of
//! `screen` before it and the answers of `reply` after it. `change` is both in the middle of a
//! call, and `refer` when it is handed over; `register` is for a phone at a registrar.
//! `provisional`, `update` and `timer` are RFC 3262, 3311 and 4028.
//! `message` is texts outside of calls, with the `date` of each.

mod api;
mod callee;
mod caller;
mod change;
mod date;
mod leg;
mod message;
mod provisional;
mod refer;
mod register;
mod reply;
mod screen;
mod table;
mod timer;
mod update;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

pub use api::{Command, End, Event, Failure, FlowId, Input, LegId, Output, Side, UaConfig};
pub use message::{Receipt, Text};
pub use register::Line;

use crate::base::{Instant, Now, Rng};
use crate::sip::limits;
use crate::sip::message::{Aor, Message, Request, Via, fitted};
use leg::{Leg, Stage, Timer};
use message::Texts;
use register::{Known, Registration};
use table::{ClientKey, ServerKey, Table};

/// A SIP user agent for one identity, over any number of flows.
///
/// Hand it everything that happens with [`handle`](Self::handle), then take every
/// [`poll`](Self::poll), then wake it at [`deadline`](Self::deadline).
pub struct UserAgent {
    config: UaConfig,
    rng: Rng,
    flows: BTreeMap<FlowId, Vec<Aor>>,
    legs: BTreeMap<LegId, Leg>,
    table: Table,
    texts: Texts,
    outputs: VecDeque<Output>,
    next_incoming: u64,
    registration: Option<Registration>,
    /// Who has asked for the password, the latest first.
    known: Vec<Known>,
    deadline: Option<Instant>,
    dropped: u64,
}

/// What our User-Agent and Server header fields say.
pub(super) const PRODUCT: &str = concat!("Chordial/", env!("CARGO_PKG_VERSION"));
/// The methods that we answer, as the Allow header field lists them.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, PRACK, UPDATE, MESSAGE";
/// The extensions that we know, as the Supported header field lists them.
const SUPPORTED: &str = "replaces, 100rel, timer, norefersub, record-aware";
/// The only body that we read.
const SDP: &str = "application/sdp";

impl UserAgent {
    /// A user agent without flows.
    pub fn new(config: UaConfig) -> Self {
        Self {
            rng: Rng::new(config.seed),
            config,
            flows: BTreeMap::new(),
            legs: BTreeMap::new(),
            table: Table::default(),
            texts: Texts::default(),
            outputs: VecDeque::new(),
            next_incoming: LegId::FIRST_INCOMING,
            registration: None,
            known: Vec::new(),
            deadline: None,
            dropped: 0,
        }
    }

    /// Takes what has happened. Bad input is answered, or counted and forgotten.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        let now = now.instant;
        match input {
            Input::FlowUp { flow, verified_users } => {
                if self.flows.len() < limits::FLOWS_MAX {
                    self.flows.insert(flow, verified_users);
                }
            }
            Input::FlowDown { flow } => self.flow_down(now, flow),
            Input::Datagram { flow, bytes } => self.datagram(now, flow, bytes),
            Input::Timeout => self.timeout(now),
            Input::Command(command) => self.command(now, command),
        }
        let legs = self.legs.values().flat_map(|leg| leg.timers().map(|(_, at)| at));
        let refresh = self.registration.as_ref().and_then(|registration| registration.refresh);
        self.deadline = legs.chain(self.table.deadline()).chain(refresh).min();
    }

    /// The next thing to do, until there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call with [`Input::Timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether a leg lives on the flow, or a request or refusal on it waits for its answer. A flow
    /// that is not used may be closed; ask again after each [`handle`](Self::handle).
    pub fn is_flow_used(&self, flow: FlowId) -> bool {
        self.legs.values().any(|leg| leg.flow == flow) || self.table.is_waiting(flow)
    }

    /// How many datagrams were no SIP message, came on no open flow, or belonged to nothing.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Invite { leg, flow, from, to, offer, transfer } => {
                self.invite(now, (leg, flow), &from, to, offer, transfer);
            }
            Command::Ring { leg } => self.ring(now, leg),
            Command::Answer { leg, answer } => self.answer(now, leg, answer),
            Command::Reject { leg, status } => self.reject(now, leg, status),
            Command::Redirect { leg, to } => self.redirect(now, leg, to),
            Command::HangUp { leg, reason } => self.hang_up(now, leg, reason),
            Command::Change { leg, offer } => self.change(now, leg, offer),
            Command::Refer { leg, to, replaces } => self.refer(now, leg, to, replaces.as_ref()),
            Command::Notify { leg, status } => self.notify(now, leg, &status),
            Command::Register { flow, seconds } => self.register(now, flow, seconds),
            Command::Rebind { leg, flow } => self.rebind(leg, flow),
            Command::Message { leg, flow, from, to, text } => {
                self.message(now, (leg, flow), &from, &to, text);
            }
            Command::Receive { leg, status } => self.receive(now, leg, status),
        }
    }

    fn datagram(&mut self, now: Instant, flow: FlowId, bytes: &[u8]) {
        let known = self.flows.contains_key(&flow);
        match Message::parse(bytes) {
            Ok(Message::Request(request)) if known => self.on_request(now, flow, request),
            Ok(Message::Response(response)) if known => self.on_response(now, flow, &response),
            _ => self.dropped += 1,
        }
    }

    fn timeout(&mut self, now: Instant) {
        // Nothing is lost on a stream (RFC 3261 §17.1.1.2); the timers are for the answers.
        let repeats = self.config.line.as_ref().is_none_or(|line| line.transport == Line::UDP);
        let fired = self.table.fire_clients(now);
        let again = self.table.fire_servers(now).into_iter().chain(fired.sends);
        for (flow, bytes) in again.filter(|_| repeats) {
            self.send(flow, bytes);
        }
        let refresh = self.registration.as_ref().and_then(|registration| registration.refresh);
        if refresh.is_some_and(|at| at <= now) {
            self.send_register(now);
        }
        for (key, leg) in fired.timed_out {
            self.on_client_timeout(now, leg, &key);
        }
        let due: Vec<(LegId, Timer)> = self
            .legs
            .iter()
            .flat_map(|(id, leg)| leg.timers().map(|(timer, at)| (*id, timer, at)))
            .filter(|(_, _, at)| *at <= now)
            .map(|(id, timer, _)| (id, timer))
            .collect();
        for (id, timer) in due {
            self.leg_timer(now, id, timer);
        }
    }

    fn leg_timer(&mut self, now: Instant, id: LegId, timer: Timer) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match timer {
            Timer::RingMax => self.ring_max(now, id),
            Timer::RingAgain => self.ring(now, id),
            Timer::ProvisionalAgain => self.provisional_again(now, id),
            Timer::ProvisionalOver => self.provisional_over(now, id),
            Timer::Refresh => self.refresh_session(now, id),
            Timer::SessionOver => self.session_over(now, id),
            Timer::CancelOver => {
                if let Stage::Calling(calling) = &leg.stage {
                    self.table.forget_client(&calling.key);
                    self.legs.remove(&id);
                }
            }
            Timer::OkAgain => {
                if let Some(unacked) = &mut leg.unacked {
                    let (flow, bytes) = (leg.flow, unacked.again(now));
                    self.send(flow, bytes);
                }
            }
            Timer::AckOver => self.ack_over(now, id),
            Timer::DetachedOver => {
                self.end(id, End::Failed(Failure::FlowLost));
                self.legs.remove(&id);
            }
        }
    }

    /// Ends what cannot outlive the flow and detaches the calls that can.
    fn flow_down(&mut self, now: Instant, flow: FlowId) {
        self.flows.remove(&flow);
        self.table.forget_flow(flow);
        self.messages_down(flow);
        let on_it = |(id, leg): (&LegId, &Leg)| (leg.flow == flow).then_some(*id);
        let ids: Vec<LegId> = self.legs.iter().filter_map(on_it).collect();
        for id in ids {
            let Some(leg) = self.legs.get_mut(&id) else { continue };
            if matches!(leg.stage, Stage::Talking { .. }) && !leg.reported {
                leg.detached = Some(now + limits::REBIND_MAX);
                // Its transaction is gone with the flow; whoever moves asks again.
                leg.change = None;
                self.event(Event::Detached { leg: id });
            } else {
                self.end(id, End::Failed(Failure::FlowLost));
                self.legs.remove(&id);
            }
        }
    }

    pub(super) fn rebind(&mut self, id: LegId, flow: FlowId) {
        let (Some(leg), Some(users)) = (self.legs.get_mut(&id), self.flows.get(&flow)) else {
            return;
        };
        if users.iter().any(|user| leg.peer.contains(user)) {
            leg.flow = flow;
            leg.peer.clone_from(users);
            leg.detached = None;
            self.table.move_leg(id, flow);
        }
    }

    /// Reports a leg's end, unless that was done before.
    fn end(&mut self, id: LegId, end: End) {
        if let Some(leg) = self.legs.get_mut(&id)
            && !leg.reported
        {
            leg.reported = true;
            self.event(Event::Ended { leg: id, end });
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Sends on a flow; what is meant for a closed one is lost like any datagram.
    fn send(&mut self, flow: FlowId, bytes: Bytes) {
        if self.flows.contains_key(&flow) {
            let bytes = if self.config.line.is_some() { bytes } else { fitted(bytes) };
            self.outputs.push_back(Output::Send { flow, bytes });
        }
    }

    /// A token that nobody can guess (RFC 3261 §19.3), as tag or Call-ID.
    fn token(&mut self) -> String {
        hex::encode(self.rng.bytes::<16>())
    }

    /// Puts our Via with a fresh branch on a request and says who wrote it.
    fn stamp(&mut self, request: &mut Request) -> String {
        let branch = format!("{}{}", Via::MAGIC_COOKIE, self.token());
        let via = match &self.config.line {
            None => Via::new(&self.config.overlay, &branch).to_string(),
            Some(line) => line.via(&branch),
        };
        request.headers.push_front("Via", &via);
        request.headers.replace("User-Agent", PRODUCT);
        self.authorize(request);
        branch
    }
}
