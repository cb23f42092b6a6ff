//! Two user agents that talk over a simulated channel with a virtual clock.

mod calls;
mod changes;
mod faults;
mod messages;
mod provisional;
mod refer;
mod register;
mod requests;
mod timers;
mod torture;
mod updates;

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Message, Request, Response};
use super::*;
use crate::base::{Instant, Now, Rng};

/// The description that the caller offers.
const OFFER: &[u8] = b"v=0\r\no=alice\r\n";
/// The description that the callee answers.
const ANSWER: &[u8] = b"v=0\r\no=bob\r\n";
/// The leg that Alice begins.
const LEG: LegId = LegId(1);
/// The first leg that comes in at Bob.
const INCOMING: LegId = LegId(LegId::FIRST_INCOMING);
/// The flow between Alice and Bob, named the same at both ends.
const FLOW: FlowId = FlowId(1);

/// Who is who in [`World::agents`].
const ALICE: usize = 0;
const BOB: usize = 1;

/// What the channel does to a datagram.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Deliver,
    Lose,
}

/// Decides about each datagram: who sent it, its first line, and how many like it came before.
type Law = Box<dyn FnMut(usize, &str) -> Fate>;

/// Two agents, the datagrams between them, and all that was said.
struct World {
    agents: [UserAgent; 2],
    now: Instant,
    flying: BTreeMap<(Instant, u64), (usize, FlowId, Vec<u8>)>,
    sequence: u64,
    rng: Rng,
    loss: f64,
    duplication: f64,
    jitter: Duration,
    law: Law,
    /// Who, when in ms, and what happened.
    events: Vec<(usize, u64, Event)>,
    /// Who, when in ms, and the datagram.
    sent: Vec<(usize, u64, String)>,
}

impl World {
    /// A perfect channel of 10 ms each way between `alice@o` and `bob@o`.
    fn new() -> Self {
        let mut world = Self {
            agents: [agent("alice@o", 1), agent("bob@o", 2)],
            now: Instant::ORIGIN,
            flying: BTreeMap::new(),
            sequence: 0,
            rng: Rng::from_number(7),
            loss: 0.0,
            duplication: 0.0,
            jitter: Duration::ZERO,
            law: Box::new(|_, _| Fate::Deliver),
            events: Vec::new(),
            sent: Vec::new(),
        };
        world.flow_up(ALICE, FLOW, "bob@o");
        world.flow_up(BOB, FLOW, "alice@o");
        world
    }

    /// A channel that loses, repeats and reorders.
    fn bad(seed: u64) -> Self {
        let mut world = Self::new();
        world.rng = Rng::from_number(seed);
        (world.loss, world.duplication) = (0.25, 0.2);
        world.jitter = Duration::from_millis(900);
        world
    }

    fn with_law(law: impl FnMut(usize, &str) -> Fate + 'static) -> Self {
        let mut world = Self::new();
        world.law = Box::new(law);
        world
    }

    fn flow_up(&mut self, who: usize, flow: FlowId, user: &str) {
        self.input(who, Input::FlowUp { flow, verified_users: vec![aor(user)] });
    }

    fn command(&mut self, who: usize, command: Command) {
        self.input(who, Input::Command(command));
    }

    fn input(&mut self, who: usize, input: Input<'_>) {
        self.agents[who].handle(Now::new(self.now, 0), input);
        while let Some(output) = self.agents[who].poll() {
            match output {
                Output::Event(event) => self.events.push((who, self.now.as_millis(), event)),
                Output::Send { flow, bytes } => self.transmit(who, flow, &bytes),
            }
        }
    }

    fn transmit(&mut self, who: usize, flow: FlowId, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let first = text.lines().next().unwrap_or("").to_owned();
        self.sent.push((who, self.now.as_millis(), text));
        let lost = (self.law)(who, &first) == Fate::Lose || self.rng.unit() < self.loss;
        let copies = if self.rng.unit() < self.duplication { 2 } else { 1 };
        for _ in 0..if lost { 0 } else { copies } {
            let jitter = self.jitter.mul_f64(self.rng.unit());
            let at = self.now + Duration::from_millis(10) + jitter;
            self.sequence += 1;
            self.flying.insert((at, self.sequence), (1 - who, flow, bytes.to_vec()));
        }
    }

    /// Lets everything happen until `ms`.
    fn run_until(&mut self, ms: u64) {
        let end = Instant::from_micros(ms * 1000);
        assert!(end >= self.now);
        loop {
            let datagram = self.flying.keys().next().map(|(at, _)| *at);
            let timers = self.agents.iter().enumerate();
            let timer = timers.filter_map(|(who, a)| Some((a.deadline()?, who))).min();
            let next = datagram.into_iter().chain(timer.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = next.max(self.now);
            if datagram == Some(next) {
                if let Some((_, (to, flow, bytes))) = self.flying.pop_first() {
                    self.input(to, Input::Datagram { flow, bytes: &bytes });
                }
            } else if let Some((_, who)) = timer {
                self.input(who, Input::Timeout);
                let due = self.agents[who].deadline().is_some_and(|at| at <= self.now);
                assert!(!due, "a timer that was due stays due: the driver would spin");
            }
        }
        self.now = end;
    }

    /// Runs until nothing is left to happen but that calls are refreshed or expire; within ten
    /// minutes everything must have calmed down.
    fn run_dry(&mut self) {
        let end = self.now.as_millis() + 600_000;
        self.run_until(end);
        let soon = self.now + Duration::from_secs(60);
        let is_calm = |agent: &UserAgent| agent.deadline().is_none_or(|at| at > soon);
        assert!(self.flying.is_empty() && self.agents.iter().all(is_calm));
    }

    fn invite(&mut self) {
        self.invite_to("sip:bob@o");
    }

    fn invite_to(&mut self, to: &str) {
        let to = to.parse().expect("URI");
        let offer = OFFER.to_vec();
        let from = aor("alice@o");
        self.command(
            ALICE,
            Command::Invite { leg: LEG, flow: FLOW, from, to, offer, transfer: None },
        );
    }

    fn answer(&mut self) {
        self.command(BOB, Command::Answer { leg: INCOMING, answer: ANSWER.to_vec() });
    }

    fn hang_up(&mut self, who: usize) {
        let leg = if who == ALICE { LEG } else { INCOMING };
        self.command(who, Command::HangUp { leg, reason: None });
    }

    /// Alice and Bob in a call at 1000 ms.
    fn talking(mut self) -> Self {
        self.invite();
        self.run_until(500);
        self.answer();
        self.run_until(1000);
        assert!(self.has(ALICE, |e| matches!(e, Event::Answered { .. })));
        assert!(self.has(BOB, |e| matches!(e, Event::Acked { .. })));
        self
    }

    /// The events of one side.
    fn of(&self, who: usize) -> Vec<&Event> {
        self.events.iter().filter(|(w, _, _)| *w == who).map(|(_, _, e)| e).collect()
    }

    fn has(&self, who: usize, what: impl Fn(&Event) -> bool) -> bool {
        self.of(who).into_iter().any(what)
    }

    /// How a side's only leg ended; panics unless that was reported once, after all else.
    fn end(&self, who: usize) -> &End {
        let is_end = |e: &&Event| matches!(e, Event::Ended { .. });
        let events = self.of(who);
        assert_eq!(events.iter().filter(|e| is_end(e)).count(), 1, "{events:?}");
        match events.last() {
            Some(Event::Ended { end, .. }) => end,
            other => panic!("{other:?}"),
        }
    }

    /// How often a side sent a message that begins so.
    fn sent(&self, who: usize, start: &str) -> usize {
        self.sent.iter().filter(|(w, _, text)| *w == who && text.starts_with(start)).count()
    }

    /// Hands bytes to Bob as if Alice had sent them, and gives his answers.
    fn ask_bob(&mut self, text: &str) -> Vec<Response> {
        self.ask_bob_on(FLOW, text)
    }

    fn ask_bob_on(&mut self, flow: FlowId, text: &str) -> Vec<Response> {
        let before = self.sent.len();
        let bytes = text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        self.input(BOB, Input::Datagram { flow, bytes: &bytes });
        let answers = self.sent[before..].iter().filter(|(who, _, _)| *who == BOB);
        answers.filter_map(|(_, _, text)| response(text)).collect()
    }

    /// The newest request of a method that a side has sent.
    fn last(&self, who: usize, method: &str) -> Request {
        let sent =
            self.sent.iter().rev().filter(|(w, _, text)| *w == who && text.starts_with(method));
        sent.filter_map(|(_, _, text)| request(text)).next().expect("was sent")
    }

    /// Answers Alice's newest request of a method as a stranger's phone would.
    fn answer_alice(&mut self, method: &str, code: u16, lines: &str, body: &str) {
        let asked = self.last(ALICE, method);
        let mut response = Response::to(&asked, rsip::StatusCode::from(code), Some("theirs"));
        for (name, value) in lines.lines().filter_map(|line| line.split_once(": ")) {
            response.headers.push(name, value);
        }
        if !body.is_empty() {
            response.set_body("application/sdp", body.as_bytes().to_vec());
        }
        let bytes = response.to_bytes();
        self.input(ALICE, Input::Datagram { flow: FLOW, bytes: &bytes });
    }

    /// A call of Alice's that nobody at the other end hears: the test answers it.
    fn calling_nobody() -> Self {
        let mut world =
            Self::with_law(|who, _| if who == ALICE { Fate::Lose } else { Fate::Deliver });
        world.invite();
        world
    }

    /// A request from Alice to Bob that a stranger's phone has written.
    fn ask_bob_for(&mut self, method: &str, cseq: u32, lines: &str, body: &str) -> Vec<Response> {
        let tag = self.of(BOB).iter().any(|e| matches!(e, Event::Incoming { .. }));
        let to = self.sent.iter().rev().filter(|(who, _, _)| *who == BOB);
        let to = to.filter_map(|(_, _, text)| response(text)).find_map(|r| r.headers.to().ok());
        let tag = to.filter(|_| tag).and_then(|to| to.tag().map(|tag| format!(";tag={tag}")));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        let (tag, length) = (tag.unwrap_or_default(), body.replace('\n', "\r\n").len());
        let branch = self.sent.len();
        self.ask_bob(&format!(
            "{method} sip:bob@o SIP/2.0\nVia: SIP/2.0/UDP o;branch=z9hG4bK{branch}{cseq}\n\
             From: <sip:alice@o>;tag=a\nTo: <sip:bob@o>{tag}\nCall-ID: stranger\n\
             CSeq: {cseq} {method}\nContact: <sip:alice@o;gr=x>\n{kind}{lines}\
             Content-Length: {length}\n\n{body}"
        ))
    }
}

fn agent(user: &str, seed: u8) -> UserAgent {
    UserAgent::new(UaConfig {
        overlay: "o".parse().expect("host"),
        users: vec![aor(user)],
        contact: format!("sip:{user};gr=device{seed}").parse().expect("URI"),
        line: None,
        seed: [seed; 32],
    })
}

fn aor(text: &str) -> Aor {
    text.parse().expect("AoR")
}

fn response(text: &str) -> Option<Response> {
    match Message::parse(text.as_bytes()) {
        Ok(Message::Response(response)) => Some(response),
        _ => None,
    }
}

fn request(text: &str) -> Option<Request> {
    match Message::parse(text.as_bytes()) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

fn rejected(end: &End) -> Option<u16> {
    match end {
        End::Rejected { status, .. } => Some(status.code()),
        _ => None,
    }
}
