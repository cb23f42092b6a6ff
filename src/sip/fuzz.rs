//! Fuzz targets: messages, their parts, and two user agents. See [`crate::fuzz`].

use std::collections::VecDeque;
use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use rsip::StatusCode;

use super::message::{
    CSeq, Challenge, Host, Message, NameAddr, RAck, Response, SessionExpires, Via, first_in_stream,
};
use super::*;
use crate::base::{DecodeError, Instant, Now, Reader};

/// A datagram: what can be read can be written, and reads the same again.
pub fn message(bytes: &[u8]) {
    if let Ok(Some(length)) = first_in_stream(bytes) {
        assert!((1..=bytes.len()).contains(&length));
    }
    let Ok(message) = Message::parse(bytes) else { return };
    let (headers, written) = match &message {
        Message::Request(request) => {
            let _ = request.uri();
            (&request.headers, request.to_bytes())
        }
        Message::Response(response) => (&response.headers, response.to_bytes()),
    };
    let _ = (headers.via(), headers.from(), headers.to(), headers.call_id(), headers.cseq());
    let _ = (headers.contact(), headers.reason(), headers.list("Record-Route"));
    let _ = Challenge::topmost(headers, "WWW-Authenticate");
    let Ok(again) = Message::parse(&written) else {
        panic!("{message:?} is written as {:?}", String::from_utf8_lossy(&written));
    };
    let written_again = match &again {
        Message::Request(request) => request.to_bytes(),
        Message::Response(response) => response.to_bytes(),
    };
    assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&written_again));
}

/// A part of a header field, which the first byte chooses.
pub fn word(bytes: &[u8]) {
    let Some((choice, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let targets: [fn(&str); 10] = [
        text_round_trip::<Uri>,
        text_round_trip::<NameAddr>,
        text_round_trip::<Via>,
        text_round_trip::<CSeq>,
        text_round_trip::<Reason>,
        text_round_trip::<Replaces>,
        text_round_trip::<RAck>,
        text_round_trip::<SessionExpires>,
        text_round_trip::<Aor>,
        text_round_trip::<Host>,
    ];
    targets[usize::from(*choice) % targets.len()](text);
}

fn text_round_trip<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert_eq!(written.parse::<T>().ok().as_ref(), Some(&value), "{text:?} as {written:?}");
}

/// Two user agents that call each other over flows that lose, repeat, reorder and change what
/// they carry, with datagrams from strangers between.
pub fn user_agents(bytes: &[u8]) {
    let mut world = World::new();
    let mut script = Reader::new(bytes);
    for _ in 0..STEPS_MAX {
        if world.step(&mut script).is_err() {
            return;
        }
    }
}

struct World {
    agents: [UserAgent; 2],
    now: Instant,
    flying: VecDeque<(usize, Vec<u8>)>,
    sent: Vec<(usize, Vec<u8>)>,
    legs: [Vec<LegId>; 2],
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            agents: [agent("alice@o", 1), agent("bob@o", 2)],
            now: Instant::ORIGIN,
            flying: VecDeque::new(),
            sent: Vec::new(),
            legs: [Vec::new(), Vec::new()],
        };
        for who in 0..2 {
            world.flow_up(who, FlowId(1));
        }
        world
    }

    fn step(&mut self, script: &mut Reader<'_>) -> Result<(), DecodeError> {
        let step = script.u8()?;
        let who = usize::from(step >> 7);
        match step % 12 {
            0..=2 => self.deliver(),
            3 => drop(self.flying.pop_front()),
            4 => self.flying.extend(self.flying.front().cloned()),
            5 => {
                let (at, byte) = (usize::from(script.u16()?), script.u8()?);
                if let Some((_, bytes)) = self.flying.front_mut()
                    && let Some(place) = bytes.get_mut(at)
                {
                    *place = byte;
                }
            }
            6 => {
                let flow = FlowId(u64::from(script.u8()? % 3));
                self.input(who, Input::Datagram { flow, bytes: script.opaque16()? });
            }
            7 => self.wait(Duration::from_millis(u64::from(script.u16()?) * 4)),
            8 => self.command(who, script)?,
            9 => {
                let flow = FlowId(u64::from(script.u8()? % 3));
                match step & 0x40 {
                    0 => self.flow_up(who, flow),
                    _ => self.input(who, Input::FlowDown { flow }),
                }
            }
            10 => self.answer(script)?,
            _ => {
                let again = usize::from(script.u8()?);
                self.flying.extend(self.sent.get(again).cloned());
            }
        }
        Ok(())
    }

    fn deliver(&mut self) {
        if let Some((to, bytes)) = self.flying.pop_front() {
            self.input(to, Input::Datagram { flow: FlowId(1), bytes: &bytes });
        }
    }

    /// A response of a stranger's making to the request that is on its way.
    fn answer(&mut self, script: &mut Reader<'_>) -> Result<(), DecodeError> {
        let status = StatusCode::from(100 + script.u16()? % 600);
        let (tag, body) = (script.u8()?, script.opaque8()?);
        let Some((to, bytes)) = self.flying.front() else { return Ok(()) };
        let Ok(Message::Request(request)) = Message::parse(bytes) else { return Ok(()) };
        let mut response = Response::to(&request, status, Some(&tag.to_string()));
        response.headers.push("Contact", "<sip:bob@o>");
        response.set_body("application/sdp", body.to_vec());
        let back = 1 - to;
        self.flying.push_front((back, response.to_bytes()));
        Ok(())
    }

    fn command(&mut self, who: usize, script: &mut Reader<'_>) -> Result<(), DecodeError> {
        let (choice, which) = (script.u8()?, usize::from(script.u8()?));
        let leg = self.legs[who].get(which % self.legs[who].len().max(1)).copied();
        let leg = leg.unwrap_or(LegId(which as u64));
        let flow = FlowId(1 + u64::from(choice >> 7));
        let command = match choice % 10 {
            0 | 1 => {
                let leg = LegId(self.legs[who].len() as u64 + 1);
                self.legs[who].push(leg);
                let (from, to) = if who == 0 { ("alice@o", "bob@o") } else { ("bob@o", "alice@o") };
                let (from, to) = (aor(from), Uri::of(&aor(to)));
                let (offer, transfer) = (b"v=0\r\n".to_vec(), None);
                Command::Invite { leg, flow, from, to, offer, transfer }
            }
            2 => Command::Ring { leg },
            3 => Command::Answer { leg, answer: b"v=0\r\n".to_vec() },
            4 => Command::Reject { leg, status: StatusCode::BusyHere },
            5 => Command::HangUp { leg, reason: Some(Reason::completed_elsewhere()) },
            6 => Command::Change { leg, offer: b"v=0\r\no=new\r\n".to_vec() },
            7 => {
                let replaces = self.agents[1 - who].replaces(leg);
                Command::Refer { leg, to: Uri::of(&aor("carol@o")), replaces }
            }
            8 => Command::Notify { leg, status: StatusCode::from(100 + 2 * u16::from(choice)) },
            _ => Command::Rebind { leg, flow },
        };
        self.input(who, Input::Command(command));
        Ok(())
    }

    fn flow_up(&mut self, who: usize, flow: FlowId) {
        let other = if who == 0 { "bob@o" } else { "alice@o" };
        self.input(who, Input::FlowUp { flow, verified_users: vec![aor(other)] });
    }

    /// Lets time pass; what is due is over afterwards.
    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for who in 0..2 {
            for round in 0.. {
                assert!(round < ROUNDS_MAX, "a timer that is due again and again");
                if self.agents[who].deadline().is_none_or(|at| at > self.now) {
                    break;
                }
                self.input(who, Input::Timeout);
            }
        }
    }

    fn input(&mut self, who: usize, input: Input<'_>) {
        let agent = &mut self.agents[who];
        agent.handle(Now::new(self.now, 0), input);
        let outputs: Vec<Output> = std::iter::from_fn(|| agent.poll()).collect();
        assert!(outputs.len() <= OUTPUTS_MAX, "{} outputs of one input", outputs.len());
        for output in outputs {
            match output {
                Output::Send { bytes, .. } => {
                    assert!(Message::parse(&bytes).is_ok(), "{bytes:?}");
                    if self.sent.len() < STEPS_MAX {
                        self.sent.push((1 - who, bytes.to_vec()));
                    }
                    self.flying.push_back((1 - who, bytes.to_vec()));
                    self.flying.truncate(STEPS_MAX);
                }
                Output::Event(Event::Incoming { leg, .. }) => self.legs[who].push(leg),
                Output::Event(_) => {}
            }
        }
    }
}

fn agent(name: &str, seed: u8) -> UserAgent {
    let users = vec![aor(name)];
    let contact = Uri::of(&aor(name));
    let overlay: Host = "o".parse().expect("a host");
    UserAgent::new(UaConfig { overlay, users, contact, line: None, seed: [seed; 32] })
}

fn aor(text: &str) -> Aor {
    text.parse().expect("a name")
}

/// Steps of one script; more say nothing new.
const STEPS_MAX: usize = 400;
/// Timeouts at one moment: each transaction and leg may have one or two.
const ROUNDS_MAX: usize = 100;
/// What one input may lead to: a word to each flow and an event of each leg.
const OUTPUTS_MAX: usize = 512;
