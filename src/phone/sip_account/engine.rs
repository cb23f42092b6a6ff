//! The one task of an account: what comes on the wire, what the user wants, what the user agent
//! says of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Interval, interval};

use super::calls::Call;
use super::find::Servers;
use super::phone::{CallWish, SipNews, SipPhoneOptions, SipWish};
use super::settings::{SipAccount, SipTransport};
use super::sound::SoundReport;
use super::wire::Wire;
use crate::base::{Instant, Now, Rng};
use crate::link::{Clock, os_seed, unix_ms};
use crate::media::AudioStatistics;
use crate::phone::{CallId, Event};
use crate::sip::{self, Command, FlowId, Input, LegId, Line, Output, UaConfig, Uri, UserAgent};

pub(super) struct Engine {
    pub(super) options: SipPhoneOptions,
    pub(super) agent: UserAgent,
    servers: Servers,
    /// The way to the server; without one it is made at `open_at`.
    pub(super) wire: Option<Wire>,
    open_at: Option<Instant>,
    open_after: Duration,
    /// Where the server sees us.
    pub(super) seen_at: Option<SocketAddr>,
    pub(super) clock: Clock,
    pub(super) rng: Rng,
    pub(super) calls: BTreeMap<LegId, Call>,
    pub(super) last: u64,
    news: mpsc::Sender<SipNews>,
    pub(super) reports: mpsc::Sender<(LegId, SoundReport)>,
    sound: mpsc::Receiver<(LegId, SoundReport)>,
    keep_open: Interval,
    watch: Interval,
    /// When we go at the latest, once nobody is left who wants anything.
    end_by: Option<Instant>,
}

impl Engine {
    /// Opens the way to the registrar.
    pub(super) async fn open(
        options: SipPhoneOptions,
        news: mpsc::Sender<SipNews>,
    ) -> Result<Self, String> {
        let mut servers = Servers::new(options.account.clone());
        let wire = servers.open_next().await?;
        let agent = user_agent(&options.account, &wire)?;
        let (reports, sound) = mpsc::channel(REPORTS_MAX);
        Ok(Self {
            options,
            agent,
            servers,
            wire: Some(wire),
            open_at: None,
            open_after: OPEN_AGAIN.0,
            seen_at: None,
            clock: Clock::start(),
            rng: Rng::new(os_seed()),
            calls: BTreeMap::new(),
            last: 0,
            news,
            reports,
            sound,
            keep_open: interval(KEEP_OPEN),
            watch: interval(WATCH),
            end_by: None,
        })
    }

    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<SipWish>) {
        self.begin();
        self.flush().await;
        loop {
            let again_at = self.again_at();
            tokio::select! {
                message = next(&mut self.wire) => match message {
                    Some(bytes) => self.input(Input::Datagram { flow: FLOW, bytes: &bytes }),
                    None => self.lost(),
                },
                wish = wishes.recv(), if self.end_by.is_none() => match wish {
                    Some(wish) => self.carry_out(wish).await,
                    None => self.end(),
                },
                report = self.sound.recv() => {
                    if let Some((leg, report)) = report {
                        self.sound_report(leg, report).await;
                    }
                }
                () = self.clock.sleep_until(self.agent.deadline()) => self.input(Input::Timeout),
                () = self.clock.sleep_until(again_at) => self.change_again(),
                () = self.clock.sleep_until(self.open_at) => self.open_again().await,
                _ = self.keep_open.tick() => {
                    if let Some(wire) = &self.wire {
                        wire.send(Bytes::from_static(b"\r\n\r\n"));
                    }
                }
                _ = self.watch.tick() => {
                    if self.wire.as_ref().is_some_and(Wire::has_moved) {
                        self.lost();
                    }
                }
                () = self.clock.sleep_until(self.end_by) => return,
            }
            self.flush().await;
            if self.end_by.is_some() && !self.agent.is_flow_used(FLOW) {
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
        self.end_by = Some(self.clock.now() + END_MAX);
        for leg in self.calls.keys().copied().collect::<Vec<_>>() {
            self.command(Command::HangUp { leg, reason: None });
        }
        if self.options.account.registers {
            self.command(Command::Register { flow: FLOW, seconds: 0 });
        }
    }

    /// The way was lost, and is made again: at once if there is another server.
    fn lost(&mut self) {
        self.wire = None;
        self.input(Input::FlowDown { flow: FLOW });
        if self.end_by.is_none() {
            let wait = if self.servers.has_more() { Duration::ZERO } else { self.open_after };
            self.open_at = Some(self.clock.now() + wait);
        }
    }

    async fn open_again(&mut self) {
        self.open_at = None;
        let opened = self.servers.open_next().await;
        let opened = opened.and_then(|wire| {
            let agent = user_agent(&self.options.account, &wire)?;
            Ok((wire, agent))
        });
        match opened {
            Ok((wire, agent)) => {
                (self.wire, self.agent, self.seen_at) = (Some(wire), agent, None);
                self.begin();
            }
            Err(message) => {
                self.open_after = (self.open_after * 2).min(OPEN_AGAIN.1);
                self.open_at = Some(self.clock.now() + self.open_after);
                self.tell_news(SipNews::Unreachable(message)).await;
            }
        }
    }

    async fn carry_out(&mut self, wish: SipWish) {
        let (id, wish) = match wish {
            SipWish::Dial(callee, who) => {
                return self.dial(&callee, who.map(|who| *who)).await;
            }
            SipWish::Call(id, wish) => (id, wish),
        };
        let leg = self.calls.iter().find(|(_, call)| call.id == id).map(|(leg, _)| *leg);
        let Some(leg) = leg else { return };
        match wish {
            CallWish::Answer(who) => self.answer(leg, who.map(|who| *who)).await,
            CallWish::Refuse(refusal) => self.command(refusal.command(leg)),
            CallWish::HangUp => self.command(Command::HangUp { leg, reason: None }),
            CallWish::Hold(is_on_hold) => self.hold(leg, is_on_hold),
            CallWish::Speech(change) => self.speak(leg, change),
            CallWish::Transfer(to) => self.transfer(leg, &to).await,
        }
    }

    /// Does all that the user agent wants.
    async fn flush(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send { bytes, .. } => {
                    if let Some(wire) = &self.wire {
                        wire.send(bytes);
                    }
                }
                Output::Event(event) => self.sip_event(event).await,
            }
        }
    }

    async fn sip_event(&mut self, event: sip::Event) {
        match event {
            sip::Event::Registered { seen_at, .. } => {
                (self.seen_at, self.open_after) = (seen_at, OPEN_AGAIN.0);
                let aor = self.options.account.address.to_string();
                self.tell(Event::Registered { aor }).await;
            }
            // A server that does not answer or has too much to do is not the only one (RFC 3263
            // §4.3).
            sip::Event::Unregistered { status: Some(status) }
                if matches!(status.code(), 408 | 503) && self.servers.has_more() =>
            {
                self.lost();
            }
            sip::Event::Unregistered { status: Some(status) } => {
                let (server, code) = (&self.options.account.server, status.code());
                let message = match code {
                    401 | 403 | 407 => format!("{server} does not take the name or the password."),
                    408 => format!("{server} does not answer."),
                    _ => format!("{server} does not let us in: {code}."),
                };
                self.tell_news(SipNews::Unreachable(message)).await;
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
                    call.rings(now);
                }
            }
            sip::Event::Answered { leg, answer } => self.answered(leg, answer).await,
            sip::Event::Reoffered { leg, offer } => self.reoffered(leg, offer).await,
            sip::Event::Transferring { leg, status } => self.transferring(leg, &status).await,
            sip::Event::Changed { leg, answer } => self.changed(leg, answer).await,
            sip::Event::Unchanged { leg, again_after } => self.unchanged(leg, again_after).await,
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
            | sip::Event::MessageOver { .. }
            | sip::Event::Refused { .. } => {}
        }
    }

    pub(super) fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    fn input(&mut self, input: Input<'_>) {
        self.agent.handle(Now::new(self.clock.now(), unix_ms()), input);
    }

    /// Tells what may be left out if nobody keeps up.
    pub(super) fn tell_now(&self, event: Event) {
        let _ = self.news.try_send(SipNews::Event(event));
    }

    /// Tells how the sound of a call is, unless nobody keeps up: all else comes first.
    pub(super) fn tell_figures(&self, call: CallId, figures: Box<AudioStatistics>) {
        if self.news.capacity() > self.news.max_capacity() / 2 {
            let _ = self.news.try_send(SipNews::Figures(call, figures));
        }
    }

    pub(super) async fn tell(&self, event: Event) {
        self.tell_news(SipNews::Event(event)).await;
    }

    pub(super) async fn tell_news(&self, news: SipNews) {
        // Nobody may be listening any more.
        let _ = self.news.send(news).await;
    }
}

/// What comes next on the way that there is.
async fn next(wire: &mut Option<Wire>) -> Option<Bytes> {
    match wire {
        Some(wire) => wire.recv().await,
        None => std::future::pending().await,
    }
}

/// Our SIP side, at this address.
fn user_agent(account: &SipAccount, wire: &Wire) -> Result<UserAgent, String> {
    let (local, transport) = (wire.local, wire.target.transport);
    let parameter = match transport {
        SipTransport::Udp => "",
        SipTransport::Tcp => ";transport=tcp",
        SipTransport::Tls => ";transport=tls",
    };
    let user = Uri::of(&account.address).to_string();
    let user = user.rsplit_once('@').map_or(user.as_str(), |(user, _)| user);
    let contact = format!("{user}@{local}{parameter}");
    Ok(UserAgent::new(UaConfig {
        overlay: account.address.host().clone(),
        users: vec![account.address.clone()],
        contact: contact.parse().map_err(|e| format!("{contact} can't be written: {e}."))?,
        line: Some(Line {
            transport: transport.token(),
            sent_by: local.to_string(),
            credentials: account.credentials.clone(),
        }),
        seed: os_seed(),
    }))
}

/// The one way that there is.
pub(super) const FLOW: FlowId = FlowId(1);
/// How long we are registered for without a refresh: what most registrars grant.
const REGISTER_S: u32 = 600;
/// How often a router on the way is reminded of us (RFC 5626 §4.4.1).
const KEEP_OPEN: Duration = Duration::from_secs(25);
/// How often it is looked whether this computer is in another network.
const WATCH: Duration = Duration::from_secs(5);
/// When a way that was lost is made again: soon, and ever later.
const OPEN_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// How long signing off may take.
const END_MAX: Duration = Duration::from_secs(4);

// limits

/// Reports on their way.
const REPORTS_MAX: usize = 64;
