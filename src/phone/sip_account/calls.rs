//! The calls of an account: offers, answers, hold, keys, and handing over.

use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::error::TrySendError;

use super::engine::{Engine, FLOW};
use super::phone::SipNews;
use super::sound::{BareSound, SoundReport};
use crate::base::Instant;
use crate::media::sdp::{Direction, Origin, PlainDescription, PlainNegotiated, PlainOffer};
use crate::media::{AudioStatistics, SinkChoice, SourceChoice};
use crate::phone::speech::{SpeechChange, SpeechReport};
use crate::phone::voice::Who;
use crate::phone::words;
use crate::phone::{CallId, CallReport, Event};
use crate::sip::{self, Command, LegId, Uri};

/// A call that is not over.
pub(super) struct Call {
    pub(super) id: CallId,
    peer: String,
    origin: Origin,
    /// Where we hear, until sound flows there.
    socket: Option<UdpSocket>,
    local: PlainDescription,
    /// Which way sound flows as the other side has agreed to, and as an offer of ours has it that
    /// waits for an answer.
    agreed: Direction,
    offered: Option<Direction>,
    /// What the caller offers, until we have answered.
    offer: Option<PlainOffer>,
    sound: Option<BareSound>,
    /// Who is to talk, if that is not the phone's own user.
    who: Option<Who>,
    began: Instant,
    report: CallReport,
    statistics: AudioStatistics,
    /// Whether we hold it, and whether the other side does.
    is_held: (bool, bool),
    /// When the other side is asked again for the change that it could not make.
    again_at: Option<Instant>,
    /// Whom the other side is to call.
    transferring_to: Option<String>,
    /// Whom it talks to instead of us.
    transferred_to: Option<String>,
}

impl Call {
    /// The other side's phone rings.
    pub(super) fn rings(&mut self, now: Instant) {
        self.report.ringing_ms.get_or_insert(elapsed_ms(self.began, now));
    }

    /// Whether the user wants it on hold.
    fn is_on_hold(&self) -> bool {
        is_hold(self.local.direction)
    }
}

impl Engine {
    pub(super) async fn dial(&mut self, callee: &sip::Aor, who: Option<Who>) {
        let call = match self.new_call(callee.to_string()).await {
            Ok(call) => Call { who, ..call },
            Err(message) => return self.tell(Event::Error { message }).await,
        };
        let leg = LegId(call.id.0);
        let offer = call.local.offer(call.origin).into_bytes();
        self.calls.insert(leg, call);
        let (from, to) = (self.options.account.address.clone(), Uri::of(callee));
        self.command(Command::Invite { leg, flow: FLOW, from, to, offer, transfer: None });
    }

    /// A call with a place where we hear.
    async fn new_call(&mut self, peer: String) -> Result<Call, String> {
        let no_port = |e| format!("There is no port for the sound of a call: {e}.");
        let wire = self.wire.as_ref().ok_or_else(|| {
            format!("There is no connection to {} now.", self.options.account.server)
        })?;
        let socket = UdpSocket::bind((wire.local.ip(), 0)).await.map_err(no_port)?;
        let mut address = socket.local_addr().map_err(no_port)?;
        // A router that can keeps the port, and where it can't the other side's server has to hear
        // where our sound comes from.
        address.set_ip(self.seen_at.unwrap_or(wire.local).ip());
        self.last += 1;
        Ok(Call {
            id: CallId(self.last),
            peer,
            origin: Origin { session_id: self.rng.u64(), version: 0 },
            socket: Some(socket),
            local: PlainDescription::ours(address),
            agreed: Direction::SendRecv,
            offered: None,
            offer: None,
            sound: None,
            who: None,
            began: self.clock.now(),
            report: CallReport::default(),
            statistics: AudioStatistics::default(),
            is_held: (false, false),
            again_at: None,
            transferring_to: None,
            transferred_to: None,
        })
    }

    pub(super) async fn incoming(&mut self, leg: LegId, peer: String, offer: Option<Vec<u8>>) {
        let offer = offer.and_then(|text| String::from_utf8(text).ok());
        let Some(Ok(offer)) = offer.map(|text| PlainOffer::parse(&text)) else {
            let status = rsip::StatusCode::NotAcceptableHere;
            return self.command(Command::Reject { leg, status });
        };
        if self.calls.len() >= CALLS_MAX {
            let status = rsip::StatusCode::BusyHere;
            return self.command(Command::Reject { leg, status });
        }
        let Ok(call) = self.new_call(peer.clone()).await else {
            let status = rsip::StatusCode::ServerInternalError;
            return self.command(Command::Reject { leg, status });
        };
        let id = call.id;
        self.calls.insert(leg, Call { offer: Some(offer), ..call });
        self.command(Command::Ring { leg });
        self.tell(Event::Incoming { call: id, peer }).await;
        if self.options.auto_answer {
            self.answer(leg, None).await;
        }
    }

    /// Takes a call; without anybody to talk the phone's own user does.
    pub(super) async fn answer(&mut self, leg: LegId, who: Option<Who>) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        let Some(offer) = call.offer.take() else { return };
        let Ok((answer, negotiated)) = offer.answer(call.origin, &call.local) else {
            let status = rsip::StatusCode::NotAcceptableHere;
            return self.command(Command::Reject { leg, status });
        };
        call.local.keep(&negotiated);
        call.who = who;
        self.command(Command::Answer { leg, answer: answer.into_bytes() });
        self.talk(leg, &negotiated).await;
    }

    /// Both sides have agreed for the first time.
    async fn talk(&mut self, leg: LegId, negotiated: &PlainNegotiated) {
        let (now, reports) = (self.clock.now(), self.reports.clone());
        let user = self.user();
        let Some(call) = self.calls.get_mut(&leg) else { return };
        let who = call.who.take().unwrap_or(user);
        let Some(socket) = call.socket.take() else { return };
        let report = move |report| {
            // Figures come again; all else is not lost unless the phone has ended.
            let last = !matches!(report, SoundReport::Speech(SpeechReport::Statistics(_)));
            if let Err(TrySendError::Full(report)) = reports.try_send((leg, report))
                && last
            {
                let reports = reports.clone();
                tokio::spawn(async move { reports.send(report).await });
            }
        };
        call.sound = Some(BareSound::start(socket, negotiated, who, report));
        call.report.answered = true;
        call.report.answered_ms = Some(elapsed_ms(call.began, now));
        call.report.path = Some(format!("{} - {}", call.local.address, negotiated.remote.address));
        let (call, peer) = (call.id, call.peer.clone());
        self.tell(Event::Answered { call, peer }).await;
    }

    /// The phone's own user.
    fn user(&self) -> Who {
        let source = match &self.options.play {
            Some(recording) => SourceChoice::Recording(recording.clone()),
            None => SourceChoice::Device(Vec::new()),
        };
        let sink = match &self.options.record {
            Some(path) => SinkChoice::File(path.clone()),
            None => SinkChoice::Device(Vec::new()),
        };
        Who::User { source, sink, voice_processing: true, hold_music: None }
    }

    /// The other side of a call wants to change it, or asks what we want.
    pub(super) async fn reoffered(&mut self, leg: LegId, offer: Option<Vec<u8>>) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        call.origin.version += 1;
        let mut held = None;
        let answer = |offer: PlainOffer| offer.answer(call.origin, &call.local);
        let answer = match offer.map(|text| PlainOffer::parse(&String::from_utf8_lossy(&text))) {
            None => call.local.offer(call.origin),
            Some(offer) => match (offer.and_then(answer), &call.sound) {
                (Ok((answer, negotiated)), Some(sound)) => {
                    sound.change(&negotiated);
                    held = Some(is_held_by(&negotiated));
                    answer
                }
                _ => {
                    let status = rsip::StatusCode::NotAcceptableHere;
                    return self.command(Command::Reject { leg, status });
                }
            },
        };
        self.command(Command::Answer { leg, answer: answer.into_bytes() });
        if let Some(by_them) = held {
            self.held(leg, |held| held.1 = by_them).await;
        }
    }

    pub(super) async fn answered(&mut self, leg: LegId, answer: Option<Vec<u8>>) {
        let Some(call) = self.calls.get(&leg) else { return };
        let answer = answer.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        match call.local.accept(&answer) {
            Ok(negotiated) => self.talk(leg, &negotiated).await,
            Err(error) => {
                self.tell(Event::Error { message: error.to_string() }).await;
                let reason = Some(sip::Reason::sip(488, "no common media"));
                self.command(Command::HangUp { leg, reason });
            }
        }
    }

    pub(super) async fn changed(&mut self, leg: LegId, answer: Option<Vec<u8>>) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        let answer = answer.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        if let (Ok(negotiated), Some(sound)) = (call.local.accept(&answer), &call.sound) {
            sound.change(&negotiated);
        }
        call.agreed = call.offered.take().unwrap_or(call.agreed);
        let (by_us, is_wanted) = (is_hold(call.agreed), call.agreed == call.local.direction);
        self.held(leg, |held| held.0 = by_us).await;
        if !is_wanted {
            // The user has changed their mind meanwhile.
            self.change(leg);
        }
    }

    /// The other side leaves the call as it was.
    pub(super) async fn unchanged(&mut self, leg: LegId, again_after: Option<Duration>) {
        let now = self.clock.now();
        let Some(call) = self.calls.get_mut(&leg) else { return };
        call.offered = None;
        // Whether it has heard of it or not, nothing of us goes out while the user holds the call.
        if call.agreed == call.local.direction {
            return;
        }
        if let Some(pause) = again_after {
            call.again_at = Some(now + pause);
            return;
        }
        call.local.direction = call.agreed;
        if let Some(sound) = &call.sound {
            sound.hold(is_hold(call.agreed));
        }
        let message = format!("{} does not let us change the call.", call.peer);
        self.tell(Event::Error { message }).await;
    }

    /// When the next change is asked for again.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.calls.values().filter_map(|call| call.again_at).min()
    }

    /// Asks again for the changes whose time has come.
    pub(super) fn change_again(&mut self) {
        let now = self.clock.now();
        let calls = self.calls.iter();
        let due = calls.filter(|(_, call)| call.again_at.is_some_and(|at| at <= now));
        for leg in due.map(|(leg, _)| *leg).collect::<Vec<_>>() {
            self.change(leg);
        }
    }

    fn change(&mut self, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        call.again_at = None;
        if call.offered.is_some() {
            // What is wanted by then is asked for when the answer comes.
            return;
        }
        call.offered = Some(call.local.direction);
        call.origin.version += 1;
        let offer = call.local.offer(call.origin).into_bytes();
        self.command(Command::Change { leg, offer });
    }

    /// Puts a call on hold or goes on with it (RFC 3264 §8.4).
    pub(super) fn hold(&mut self, leg: LegId, is_on_hold: bool) {
        let Some(call) = self.calls.get_mut(&leg).filter(|call| call.sound.is_some()) else {
            return;
        };
        if call.is_on_hold() == is_on_hold {
            return;
        }
        call.local.direction = direction(is_on_hold);
        if let Some(sound) = &call.sound {
            sound.hold(is_on_hold);
        }
        self.change(leg);
    }

    async fn held(&mut self, leg: LegId, change: impl FnOnce(&mut (bool, bool))) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        let before = call.is_held;
        change(&mut call.is_held);
        if call.is_held != before {
            let (by_us, by_them) = call.is_held;
            let (call, peer) = (call.id, call.peer.clone());
            self.tell(Event::Held { call, peer, by_us, by_them }).await;
        }
    }

    /// Changes what is said and heard in a call.
    pub(super) fn speak(&self, leg: LegId, change: SpeechChange) {
        if let Some(sound) = self.calls.get(&leg).and_then(|call| call.sound.as_ref()) {
            sound.speak(change);
        }
    }

    /// Has the other side call somebody else (RFC 3515).
    pub(super) async fn transfer(&mut self, leg: LegId, to: &sip::Aor) {
        let Some(call) = self.calls.get_mut(&leg).filter(|call| call.sound.is_some()) else {
            return;
        };
        call.transferring_to = Some(to.to_string());
        let (call, peer) = (call.id, call.peer.clone());
        self.command(Command::Refer { leg, to: Uri::of(to), replaces: None });
        self.tell(Event::Transferring { call, peer, to: to.to_string(), by_us: true }).await;
    }

    /// How far the other side has come with whom it is to call.
    pub(super) async fn transferring(&mut self, leg: LegId, status: &rsip::StatusCode) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        match status.code() {
            ..200 => {}
            200..300 => {
                call.transferred_to = call.transferring_to.take();
                self.command(Command::HangUp { leg, reason: None });
            }
            _ => {
                let to = call.transferring_to.take().unwrap_or_default();
                let message = format!("{} can't be connected to {to}.", call.peer);
                let call = call.id;
                self.tell_news(SipNews::NotTransferred(call, message)).await;
            }
        }
    }

    pub(super) async fn sound_report(&mut self, leg: LegId, report: SoundReport) {
        let SoundReport::Speech(report) = report else {
            return self.tell_news(SipNews::SoundOver).await;
        };
        let Some(call) = self.calls.get_mut(&leg) else { return };
        match report {
            SpeechReport::Statistics(statistics) => {
                if statistics.packets_received > 0 {
                    let elapsed = elapsed_ms(call.began, self.clock.now());
                    call.report.sound_ms.get_or_insert(elapsed);
                }
                call.statistics = *statistics;
                let call = call.id;
                self.tell_figures(call, statistics);
            }
            SpeechReport::Digit(digit) => {
                let digit = digit.to_char();
                let call = call.id;
                self.tell_now(Event::Digit { call, digit });
            }
            SpeechReport::MessageTaken => {
                let call = call.id;
                self.tell_news(SipNews::MessageTaken(call)).await;
            }
            SpeechReport::Fault(message) => {
                self.tell_now(Event::Error { message });
            }
        }
    }

    pub(super) async fn ended(&mut self, leg: LegId, end: &sip::End) {
        let Some(mut call) = self.calls.remove(&leg) else { return };
        let (statistics, report) = (call.statistics, &mut call.report);
        let elapsed = elapsed_ms(call.began, self.clock.now());
        report.talk_ms = report.answered_ms.map_or(0, |answered| elapsed.saturating_sub(answered));
        report.packets_sent = statistics.packets_sent;
        report.packets_received = statistics.packets_received;
        report.packets_lost = statistics.packets_lost;
        report.sound_sent = statistics.sound_sent;
        report.sound_received = statistics.sound_received;
        let reason = match call.transferred_to {
            Some(to) => words::transferred(&call.peer, &to),
            None => words::end(end, &call.peer, report.answered),
        };
        let (peer, report) = (call.peer, Box::new(call.report));
        self.tell(Event::Ended { call: call.id, peer, reason, report }).await;
    }
}

/// Our side of a call that is on hold here, or not.
fn direction(is_on_hold: bool) -> Direction {
    if is_on_hold { Direction::SendOnly } else { Direction::SendRecv }
}

fn is_hold(direction: Direction) -> bool {
    direction != Direction::SendRecv
}

/// Whether the other side hears nothing of us.
fn is_held_by(negotiated: &PlainNegotiated) -> bool {
    !negotiated.remote.direction.receives()
}

fn elapsed_ms(began: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_since(began).as_millis()).unwrap_or(u64::MAX)
}

// limits

/// Calls at once; whoever else calls is told that we are busy.
const CALLS_MAX: usize = 4;
