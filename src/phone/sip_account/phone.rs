//! The one task of an account: what comes on the wire, what the user wants, what the user agent
//! says of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Interval, interval, sleep};

use super::settings::{SipAccount, SipTransport};
use super::sound::{BareSound, SoundReport};
use super::wire::Wire;
use crate::base::{Instant, Now, Rng};
use crate::link::{Clock, os_seed, unix_ms};
use crate::media::sdp::{
    Direction, OPUS_PAYLOAD_TYPE, Origin, PlainDescription, PlainNegotiated, PlainOffer,
    TELEPHONE_EVENT_PAYLOAD_TYPE,
};
use crate::media::{AudioStatistics, Recording, SinkChoice, SourceChoice};
use crate::phone::words;
use crate::phone::{CallId, CallReport, Event};
use crate::sip::{self, Command, FlowId, Input, LegId, Line, Output, UaConfig, Uri, UserAgent};

/// What a phone at a registrar needs.
#[derive(Clone, Debug)]
pub struct SipPhoneOptions {
    /// The account.
    pub account: SipAccount,
    /// A recording in the place of the microphone.
    pub play: Option<Recording>,
    /// A file in the place of the speaker.
    pub record: Option<PathBuf>,
    /// Whether every call is answered.
    pub auto_answer: bool,
}

/// A phone at a registrar. It hangs up and signs off when this is dropped.
#[derive(Debug)]
pub struct SipPhone {
    wishes: mpsc::Sender<Wish>,
    events: mpsc::Receiver<Event>,
}

#[derive(Debug)]
enum Wish {
    Dial(sip::Aor),
    Answer(CallId),
    HangUp(CallId),
}

impl SipPhone {
    /// Opens the way to the registrar and begins. Without registering the phone can call at once;
    /// otherwise [`Event::Registered`] says when it can be called.
    ///
    /// # Errors
    /// One sentence: the server is not found or can't be connected to.
    pub async fn open(options: SipPhoneOptions) -> Result<Self, String> {
        let wire = Wire::open(&options.account).await?;
        let (wishes, inbox) = mpsc::channel(WISHES_MAX);
        let (outbox, events) = mpsc::channel(EVENTS_MAX);
        let engine = Engine::new(options, wire, outbox)?;
        tokio::spawn(engine.run(inbox));
        Ok(Self { wishes, events })
    }

    /// Calls somebody; what comes of it is told by events.
    pub async fn dial(&self, callee: sip::Aor) {
        let _ = self.wishes.send(Wish::Dial(callee)).await;
    }

    /// Takes a call.
    pub async fn answer(&self, call: CallId) {
        let _ = self.wishes.send(Wish::Answer(call)).await;
    }

    /// Ends a call, or declines it.
    pub async fn hang_up(&self, call: CallId) {
        let _ = self.wishes.send(Wish::HangUp(call)).await;
    }

    /// The next event; `None` once the phone has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Hangs up, signs off, and waits until that is done.
    pub async fn close(self) {
        let Self { wishes, mut events } = self;
        drop(wishes);
        while events.recv().await.is_some() {}
    }
}

/// A call that is not over.
struct Call {
    id: CallId,
    peer: String,
    origin: Origin,
    /// Where we hear, until sound flows there.
    socket: Option<UdpSocket>,
    local: PlainDescription,
    /// What the caller offers, until we have answered.
    offer: Option<PlainOffer>,
    sound: Option<BareSound>,
    began: Instant,
    report: CallReport,
    statistics: AudioStatistics,
}

struct Engine {
    options: SipPhoneOptions,
    agent: UserAgent,
    wire: Wire,
    clock: Clock,
    rng: Rng,
    calls: BTreeMap<LegId, Call>,
    last: u64,
    events: mpsc::Sender<Event>,
    reports: mpsc::Sender<(LegId, SoundReport)>,
    sound: mpsc::Receiver<(LegId, SoundReport)>,
    keep_open: Interval,
    /// Whether nobody is left who wants anything: we go once all is said.
    is_ending: bool,
}

impl Engine {
    fn new(
        options: SipPhoneOptions,
        wire: Wire,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, String> {
        let agent = user_agent(&options.account, wire.local)?;
        let (reports, sound) = mpsc::channel(REPORTS_MAX);
        Ok(Self {
            options,
            agent,
            wire,
            clock: Clock::start(),
            rng: Rng::new(os_seed()),
            calls: BTreeMap::new(),
            last: 0,
            events,
            reports,
            sound,
            keep_open: interval(KEEP_OPEN),
            is_ending: false,
        })
    }

    async fn run(mut self, mut wishes: mpsc::Receiver<Wish>) {
        self.begin();
        self.flush().await;
        loop {
            tokio::select! {
                message = self.wire.recv() => match message {
                    Some(bytes) => self.input(Input::Datagram { flow: FLOW, bytes: &bytes }),
                    None => self.open_again().await,
                },
                wish = wishes.recv(), if !self.is_ending => match wish {
                    Some(wish) => self.carry_out(wish).await,
                    None => self.end(),
                },
                report = self.sound.recv() => {
                    if let Some((leg, report)) = report {
                        self.sound_report(leg, report);
                    }
                }
                () = self.clock.sleep_until(self.agent.deadline()) => self.input(Input::Timeout),
                _ = self.keep_open.tick() => self.wire.send(Bytes::from_static(b"\r\n\r\n")),
                () = sleep(END_MAX), if self.is_ending => return,
            }
            self.flush().await;
            if self.is_ending && !self.agent.is_flow_used(FLOW) {
                return;
            }
        }
    }

    fn begin(&mut self) {
        self.input(Input::FlowUp { flow: FLOW, verified_users: Vec::new() });
        if self.options.account.registers {
            self.command(Command::Register { flow: FLOW, seconds: REGISTER_S });
        }
    }

    /// Nobody wants anything any more: hang up and sign off.
    fn end(&mut self) {
        self.is_ending = true;
        for leg in self.calls.keys().copied().collect::<Vec<_>>() {
            self.command(Command::HangUp { leg, reason: None });
        }
        if self.options.account.registers {
            self.command(Command::Register { flow: FLOW, seconds: 0 });
        }
    }

    /// The way was lost, and is made again.
    async fn open_again(&mut self) {
        self.input(Input::FlowDown { flow: FLOW });
        self.flush().await;
        if self.is_ending {
            return;
        }
        sleep(OPEN_AGAIN).await;
        match Wire::open(&self.options.account).await {
            Ok(wire) => match user_agent(&self.options.account, wire.local) {
                Ok(agent) => {
                    (self.wire, self.agent) = (wire, agent);
                    self.begin();
                }
                Err(message) => self.tell(Event::Error { message }).await,
            },
            Err(message) => self.tell(Event::Error { message }).await,
        }
    }

    async fn carry_out(&mut self, wish: Wish) {
        match wish {
            Wish::Dial(callee) => self.dial(&callee).await,
            Wish::Answer(id) => {
                if let Some(leg) = self.leg_of(id) {
                    self.answer(leg).await;
                }
            }
            Wish::HangUp(id) => {
                if let Some(leg) = self.leg_of(id) {
                    self.command(Command::HangUp { leg, reason: None });
                }
            }
        }
    }

    fn leg_of(&self, id: CallId) -> Option<LegId> {
        self.calls.iter().find(|(_, call)| call.id == id).map(|(leg, _)| *leg)
    }

    async fn dial(&mut self, callee: &sip::Aor) {
        let call = match self.new_call(callee.to_string()).await {
            Ok(call) => call,
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
        let socket = UdpSocket::bind((self.wire.local.ip(), 0)).await.map_err(no_port)?;
        let address = socket.local_addr().map_err(no_port)?;
        self.last += 1;
        Ok(Call {
            id: CallId(self.last),
            peer,
            origin: Origin { session_id: self.rng.u64(), version: 0 },
            socket: Some(socket),
            local: PlainDescription {
                address,
                opus_payload_type: OPUS_PAYLOAD_TYPE,
                telephone_event: Some(TELEPHONE_EVENT_PAYLOAD_TYPE),
                direction: Direction::SendRecv,
                has_rtcp_mux: true,
            },
            offer: None,
            sound: None,
            began: self.clock.now(),
            report: CallReport::default(),
            statistics: AudioStatistics::default(),
        })
    }

    async fn incoming(&mut self, leg: LegId, peer: String, offer: Option<Vec<u8>>) {
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
            self.answer(leg).await;
        }
    }

    async fn answer(&mut self, leg: LegId) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        let Some(offer) = call.offer.take() else { return };
        let (answer, negotiated) = offer.answer(call.origin, &call.local);
        // What is offered later goes by the same numbers.
        call.local.opus_payload_type = negotiated.opus.receive;
        self.command(Command::Answer { leg, answer: answer.into_bytes() });
        self.talk(leg, &negotiated).await;
    }

    /// Both sides have agreed for the first time.
    async fn talk(&mut self, leg: LegId, negotiated: &PlainNegotiated) {
        let source = match &self.options.play {
            Some(recording) => SourceChoice::Recording(recording.clone()),
            None => SourceChoice::Device(Vec::new()),
        };
        let sink = match &self.options.record {
            Some(path) => SinkChoice::File(path.clone()),
            None => SinkChoice::Device(Vec::new()),
        };
        let (now, reports) = (self.clock.now(), self.reports.clone());
        let Some(call) = self.calls.get_mut(&leg) else { return };
        let Some(socket) = call.socket.take() else { return };
        let report = move |report| {
            // Figures come again.
            let _ = reports.try_send((leg, report));
        };
        call.sound = Some(BareSound::start(socket, negotiated, (source, sink), report));
        call.report.answered = true;
        call.report.answered_ms = Some(elapsed_ms(call.began, now));
        call.report.path = Some(format!("{} - {}", call.local.address, negotiated.remote.address));
        let (call, peer) = (call.id, call.peer.clone());
        self.tell(Event::Answered { call, peer }).await;
    }

    /// The other side of a call wants to change it, or asks what we want.
    fn reoffered(&mut self, leg: LegId, offer: Option<Vec<u8>>) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        call.origin.version += 1;
        let answer = match offer.map(|text| PlainOffer::parse(&String::from_utf8_lossy(&text))) {
            None => call.local.offer(call.origin),
            Some(Ok(offer)) if call.sound.is_some() => {
                let (answer, negotiated) = offer.answer(call.origin, &call.local);
                if let Some(sound) = &call.sound {
                    sound.change(&negotiated);
                }
                answer
            }
            Some(_) => {
                let status = rsip::StatusCode::NotAcceptableHere;
                return self.command(Command::Reject { leg, status });
            }
        };
        self.command(Command::Answer { leg, answer: answer.into_bytes() });
    }

    async fn answered(&mut self, leg: LegId, answer: Option<Vec<u8>>) {
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

    fn changed(&mut self, leg: LegId, answer: Option<Vec<u8>>) {
        let Some(call) = self.calls.get(&leg) else { return };
        let answer = answer.and_then(|text| String::from_utf8(text).ok()).unwrap_or_default();
        if let (Ok(negotiated), Some(sound)) = (call.local.accept(&answer), &call.sound) {
            sound.change(&negotiated);
        }
    }

    fn sound_report(&mut self, leg: LegId, report: SoundReport) {
        let Some(call) = self.calls.get_mut(&leg) else { return };
        match report {
            SoundReport::Statistics(statistics) => {
                if statistics.packets_received > 0 {
                    let elapsed = elapsed_ms(call.began, self.clock.now());
                    call.report.sound_ms.get_or_insert(elapsed);
                }
                call.statistics = *statistics;
            }
            SoundReport::Fault(message) => {
                let _ = self.events.try_send(Event::Error { message });
            }
        }
    }

    async fn ended(&mut self, leg: LegId, end: &sip::End) {
        let Some(mut call) = self.calls.remove(&leg) else { return };
        let (statistics, report) = (call.statistics, &mut call.report);
        let elapsed = elapsed_ms(call.began, self.clock.now());
        report.talk_ms = report.answered_ms.map_or(0, |answered| elapsed.saturating_sub(answered));
        report.packets_sent = statistics.packets_sent;
        report.packets_received = statistics.packets_received;
        report.packets_lost = statistics.packets_lost;
        report.sound_sent = statistics.sound_sent;
        report.sound_received = statistics.sound_received;
        let reason = words::end(end, &call.peer, report.answered);
        let (peer, report) = (call.peer, Box::new(call.report));
        self.tell(Event::Ended { call: call.id, peer, reason, report }).await;
    }

    /// Does all that the user agent wants.
    async fn flush(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send { bytes, .. } => self.wire.send(bytes),
                Output::Event(event) => self.sip_event(event).await,
            }
        }
    }

    async fn sip_event(&mut self, event: sip::Event) {
        match event {
            sip::Event::Registered { .. } => {
                let aor = self.options.account.address.to_string();
                self.tell(Event::Registered { aor }).await;
            }
            sip::Event::Unregistered { status: Some(status) } => {
                let (server, code) = (&self.options.account.server, status.code());
                let message = match code {
                    401 | 403 | 407 => format!("{server} does not take the name or the password."),
                    408 => format!("{server} does not answer."),
                    _ => format!("{server} does not let us in: {code}."),
                };
                self.tell(Event::Error { message }).await;
            }
            sip::Event::Unregistered { status: None } => {
                let overlay = self.options.account.server.clone();
                self.tell(Event::Left { overlay }).await;
            }
            sip::Event::Incoming { leg, from, offer, .. } => {
                self.incoming(leg, from.to_string(), offer).await;
            }
            sip::Event::Ringing { leg } => {
                let now = self.clock.now();
                if let Some(call) = self.calls.get_mut(&leg) {
                    call.report.ringing_ms.get_or_insert(elapsed_ms(call.began, now));
                }
            }
            sip::Event::Answered { leg, answer } => self.answered(leg, answer).await,
            sip::Event::Reoffered { leg, offer } => self.reoffered(leg, offer),
            sip::Event::Changed { leg, answer } => self.changed(leg, answer),
            sip::Event::Detached { leg } => {
                self.command(Command::HangUp { leg, reason: None });
            }
            sip::Event::Ended { leg, end } => self.ended(leg, &end).await,
            // There is no place for texts here.
            sip::Event::Message { leg, .. } => {
                let status = rsip::StatusCode::NotAcceptableHere;
                self.command(Command::Receive { leg, status });
            }
            // Whoever hands calls over does so with people that they can vouch for.
            sip::Event::Referred { leg, .. } => {
                self.command(Command::Notify { leg, status: rsip::StatusCode::Decline });
            }
            sip::Event::Trying { .. }
            | sip::Event::Acked { .. }
            | sip::Event::Unchanged { .. }
            | sip::Event::Transferring { .. }
            | sip::Event::MessageOver { .. }
            | sip::Event::Refused { .. } => {}
        }
    }

    fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    fn input(&mut self, input: Input<'_>) {
        self.agent.handle(Now::new(self.clock.now(), unix_ms()), input);
    }

    async fn tell(&self, event: Event) {
        // Nobody may be listening any more.
        let _ = self.events.send(event).await;
    }
}

/// Our SIP side, at this address.
fn user_agent(account: &SipAccount, local: SocketAddr) -> Result<UserAgent, String> {
    let transport = match account.transport {
        SipTransport::Udp => "",
        SipTransport::Tcp => ";transport=tcp",
        SipTransport::Tls => ";transport=tls",
    };
    let user = Uri::of(&account.address).to_string();
    let user = user.rsplit_once('@').map_or(user.as_str(), |(user, _)| user);
    let contact = format!("{user}@{local}{transport}");
    Ok(UserAgent::new(UaConfig {
        overlay: account.address.host().clone(),
        users: vec![account.address.clone()],
        contact: contact.parse().map_err(|e| format!("{contact} can't be written: {e}."))?,
        line: Some(Line {
            transport: account.transport.token(),
            sent_by: local.to_string(),
            credentials: account.credentials.clone(),
        }),
        seed: os_seed(),
    }))
}

fn elapsed_ms(began: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_since(began).as_millis()).unwrap_or(u64::MAX)
}

/// The one way that there is.
const FLOW: FlowId = FlowId(1);
/// How long we are registered for without a refresh: what most registrars grant.
const REGISTER_S: u32 = 600;
/// How often a router on the way is reminded of us (RFC 5626 §4.4.1).
const KEEP_OPEN: Duration = Duration::from_secs(25);
/// When a way that was lost is made again.
const OPEN_AGAIN: Duration = Duration::from_secs(5);
/// How long signing off may take.
const END_MAX: Duration = Duration::from_secs(4);

// limits

/// Calls at once; whoever else calls is told that we are busy.
const CALLS_MAX: usize = 4;
/// Wishes, events and reports on their way.
const WISHES_MAX: usize = 16;
const EVENTS_MAX: usize = 64;
const REPORTS_MAX: usize = 64;
