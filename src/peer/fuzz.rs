//! Fuzz target: a whole peer, fed with whatever links and users can bring. See [`crate::fuzz`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::links::LINKS_SPARE;
use super::*;
use crate::base::{Decode, DecodeError, Encode, Reader, ResourceId, TransactionId};
use crate::crypto::CheapProvider;
use crate::message::*;
use crate::storage::resource_id;
use crate::usage::Publication;

/// A peer, its links to nodes whose signatures it accepts, and all that these may say. The bytes
/// are a script: time, links that come and go, requests and answers with any header and body,
/// and the commands of a user.
pub fn peer(bytes: &[u8]) {
    let mut world = World::new();
    let mut script = Reader::new(bytes);
    for _ in 0..STEPS_MAX {
        if world.step(&mut script).is_err() {
            return;
        }
        assert!(world.peer.links.len() <= world.peer.config.links_max + LINKS_SPARE, "links");
        assert!(world.peer.storage.bytes() <= STORED_MAX, "stored bytes");
    }
}

struct World {
    now: Instant,
    peer: Peer,
    others: Vec<Identity>,
    /// Links that the peer may believe in.
    links: VecDeque<LinkId>,
    /// What the peer has sent, latest first.
    sent: VecDeque<(LinkId, Bytes)>,
    requests: u64,
}

impl World {
    fn new() -> Self {
        let identity = |place: u128, user: &str| {
            let node_id = NodeId::from_u128(place << 120 | 7);
            CheapProvider.identity(node_id, user).expect("an identity")
        };
        let now = Instant::from_micros(1_000_000);
        let config = PeerConfig::new(OVERLAY);
        let own = identity(0x80, "own@example.org");
        let provider = Arc::new(CheapProvider);
        let kinds = KindTable::for_calls();
        let at = Now::new(now, UNIX_MS);
        let others = [0x10, 0x70, 0x90, 0xf0].map(|p| identity(p, &format!("u{p}@example.org")));
        Self {
            now,
            peer: Peer::new(at, config, own, provider, kinds, [7; 32]),
            others: others.into(),
            links: VecDeque::new(),
            sent: VecDeque::new(),
            requests: 0,
        }
    }

    fn step(&mut self, script: &mut Reader<'_>) -> Result<(), DecodeError> {
        let step = script.u8()?;
        let link = self.link(step >> 4);
        match step % 16 {
            0 => self.wait(Duration::from_millis(u64::from(script.u16()?) * 20)),
            1 | 2 => {
                let certificate = self.other(step >> 6).certificate.clone();
                let strange = LinkId(u64::from(step >> 4) * 2 + 1);
                let link = if step % 16 == 1 { strange } else { link };
                self.links.push_front(link);
                self.event(link, LinkEvent::Up(certificate));
            }
            3 => self.event(
                link,
                match step >> 6 {
                    0 => LinkEvent::Suspect,
                    1 => LinkEvent::Restored,
                    _ => LinkEvent::Down(LinkError::Lost),
                },
            ),
            4 => {
                let ice = IceParameters {
                    ufrag: "ufrag".into(),
                    password: "a password of good length".into(),
                    candidates: Attach::from_bytes(script.opaque16()?)
                        .map(|attach| attach.candidates)
                        .unwrap_or_default(),
                };
                self.event(link, LinkEvent::Gathered(ice));
            }
            5 => {
                let bytes = Bytes::copy_from_slice(script.opaque16()?);
                self.event(link, LinkEvent::Message(&bytes));
            }
            6 => {
                // One of the peer's own messages comes back, changed or not.
                let (which, at, byte) = (script.u8()?, script.u16()?, script.u8()?);
                let Some((_, bytes)) = self.sent.get(usize::from(which)) else { return Ok(()) };
                let mut bytes = bytes.to_vec();
                let place = usize::from(at) % bytes.len().max(1);
                bytes[place] ^= byte;
                self.event(link, LinkEvent::Message(&bytes.into()));
            }
            7..=9 => {
                let header = self.header(script)?;
                let contents = self.request(step >> 4, script)?;
                self.message(link, header, contents, step >> 6);
            }
            10..=12 => self.answer(link, step >> 6, script)?,
            _ => {
                let command = self.command(script)?;
                self.requests += 1;
                let request = RequestId(self.requests);
                self.input(Input::Command(request, command));
            }
        }
        Ok(())
    }

    /// Any header; the destination is as often as not the peer itself.
    fn header(&self, script: &mut Reader<'_>) -> Result<ForwardingHeader, DecodeError> {
        let (flags, ttl, id) = (script.u8()?, script.u8()?, script.u8()?);
        let destinations = self.destinations(flags, script)?;
        let via = flags >> 4 & 3;
        let via_list = (0..via).map(|i| self.other(i).node_id.into()).collect();
        let mut options = Vec::new();
        if flags & 0x40 != 0 {
            let data = script.opaque8()?.to_vec();
            options.push(ForwardingOption { option_type: id, flags: ttl, data });
        }
        Ok(ForwardingHeader {
            overlay: overlay_hash(OVERLAY),
            configuration_sequence: 1 - u16::from(flags == 0xff),
            ttl,
            fragment: match flags & 0x80 {
                0 => Fragment::WHOLE,
                _ => Fragment { last: id & 1 == 1, offset: u32::from(id >> 1) },
            },
            transaction_id: TransactionId(id.into()),
            max_response_length: u32::from(id & 0x80) * u32::from(ttl),
            via_list,
            destination_list: destinations,
            options,
        })
    }

    fn destinations(
        &self,
        flags: u8,
        script: &mut Reader<'_>,
    ) -> Result<Vec<Destination>, DecodeError> {
        let own = Destination::Node(self.peer.node_id());
        let other = Destination::Node(self.other(flags >> 2).node_id);
        Ok(match flags & 0x0f {
            0..=5 => vec![own],
            6 => vec![Destination::Node(NodeId::wildcard(16))],
            7 => vec![other],
            8 => vec![own, other],
            9 => vec![other, own],
            10 => vec![ResourceId::new(script.opaque8()?).unwrap_or(resource(0)).into()],
            11 => vec![Destination::Opaque(script.opaque8()?.to_vec())],
            _ => vec![resource(flags).into()],
        })
    }

    /// A request with any body, or one that makes sense.
    fn request(&self, who: u8, script: &mut Reader<'_>) -> Result<MessageContents, DecodeError> {
        let choice = script.u8()?;
        let id = |number: u8| self.other(number).node_id;
        let (method, body) = match choice % 8 {
            0 | 1 => {
                let (code, body) = (MessageCode(script.u16()?), script.opaque16()?.to_vec());
                return Ok(MessageContents::new(code, body));
            }
            2 => {
                let method = Method::ALL[usize::from(choice >> 3) % Method::ALL.len()];
                (method, Ok(script.opaque16()?.to_vec()))
            }
            3 => {
                let body = JoinReq { joining_peer_id: id(who >> 2), overlay_data: Vec::new() };
                (Method::Join, body.to_bytes())
            }
            4 => {
                let (some, more) = (script.u8()?, script.u8()?);
                let list = |n: u8| (0..n & 7).map(|i| id(i.wrapping_add(n >> 3))).collect();
                let (predecessors, successors) = (list(some), list(more));
                let contents = match choice >> 3 & 3 {
                    0 => ChordUpdateContents::PeerReady,
                    1 => ChordUpdateContents::Full { predecessors, successors, fingers: list(3) },
                    _ => ChordUpdateContents::Neighbors { predecessors, successors },
                };
                (Method::Update, ChordUpdate { uptime_s: 60, contents }.to_bytes())
            }
            5 => (Method::Attach, attach(choice).to_bytes()),
            6 => {
                let contents = match choice & 8 {
                    0 => ChordLeave::FromPredecessor(vec![id(choice >> 4)]),
                    _ => ChordLeave::FromSuccessor(vec![id(choice >> 4)]),
                };
                let overlay_data = contents.to_bytes().expect("short");
                let body = LeaveReq { leaving_peer_id: id(who >> 2), overlay_data };
                (Method::Leave, body.to_bytes())
            }
            _ => (Method::Store, self.store(who >> 2, choice >> 3, script)?.to_bytes()),
        };
        Ok(MessageContents::new(method.request(), body.expect("short")))
    }

    /// A rightly signed value of a node's own.
    fn store(&self, who: u8, choice: u8, script: &mut Reader<'_>) -> Result<StoreReq, DecodeError> {
        let owner = self.other(who);
        let (certificate, node_id) = (&owner.certificate, owner.node_id);
        let publication = match choice % 4 {
            0 => crate::usage::certificate_store::by_node(certificate, node_id, choice.into()),
            1 => crate::usage::certificate_store::by_user(certificate, choice.into()),
            _ => Publication {
                resource: resource_id(certificate.user_name.as_bytes()),
                kind: KindId::SIP_REGISTRATION,
                value: StoredDataValue::Dictionary {
                    key: Bytes::copy_from_slice(node_id.as_bytes()),
                    value: DataValue {
                        exists: choice & 8 == 0,
                        value: Bytes::copy_from_slice(script.opaque8()?),
                    },
                },
            },
        };
        let Publication { resource, kind, value } = publication;
        let storage_time_ms = UNIX_MS + u64::from(script.u8()?);
        let signature = owner.sign(|signer| {
            StoredData::signature_input(&resource, kind, storage_time_ms, &value, signer)
        });
        let data = StoredData { storage_time_ms, lifetime_s: 600, value, signature };
        let generation = u64::from(script.u8()?);
        let kinds = vec![KindData::new(kind, generation, &[data])];
        Ok(StoreReq { resource, replica_number: choice >> 4, kinds })
    }

    /// An answer to something that the peer has sent, right or wrong.
    fn answer(
        &mut self,
        link: LinkId,
        who: u8,
        script: &mut Reader<'_>,
    ) -> Result<(), DecodeError> {
        let (which, choice, body) = (script.u8()?, script.u8()?, script.opaque16()?);
        let Some((over, bytes)) = self.sent.get(usize::from(which)) else { return Ok(()) };
        let over = if choice & 0x80 == 0 { *over } else { link };
        let Ok(packet) = Packet::decode(bytes, 16) else { return Ok(()) };
        let Ok(opened) = packet.open(16) else { return Ok(()) };
        let code = opened.contents.code;
        let (code, body) = match choice & 7 {
            0 => (MessageCode::ERROR, body.to_vec()),
            1 => {
                let error = ErrorResponse::new(ErrorCode(u16::from(choice >> 3)));
                (MessageCode::ERROR, error.to_bytes().expect("short"))
            }
            2 => (code.answer(), attach(choice).to_bytes().expect("short")),
            _ => (code.answer(), body.to_vec()),
        };
        let header = ForwardingHeader {
            destination_list: vec![self.peer.node_id().into()],
            via_list: Vec::new(),
            ..packet.header
        };
        self.message(over, header, MessageContents::new(code, body), who);
        Ok(())
    }

    fn command(&mut self, script: &mut Reader<'_>) -> Result<Command, DecodeError> {
        let choice = script.u8()?;
        let node = self.other(choice >> 4).node_id;
        let resource = resource(choice >> 4);
        let (kind, lifetime_s) = (KindId::SIP_REGISTRATION, 600);
        let publication = crate::usage::registration(
            &crate::usage::parse_aor("own", "example.org").expect("a name"),
            self.peer.node_id(),
        );
        let Publication { resource: place, kind: own_kind, value } = publication;
        let spec = StoreSpec { resource: place, kind: own_kind, value, lifetime_s };
        let places = Places::Dictionary(Vec::new());
        let bootstrap = vec![([192, 0, 2, choice], 6084).into()];
        Ok(match choice % 16 {
            0 => Command::Found,
            1 => Command::Join(bootstrap),
            2 => Command::Leave,
            3 => Command::Publish(spec),
            4 => Command::Unpublish(spec),
            5 => Command::Fetch(FetchSpec { resource, kind, places }),
            6 => Command::Connect(bootstrap),
            7 => Command::AppAttach(vec![node.into()], 5060),
            8 => Command::Ping(node.into()),
            9 => Command::Ping(resource.into()),
            10 => Command::Moved,
            11 => Command::ClaimName,
            12 => Command::AskRelay(node.into(), vec![choice]),
            13 => Command::RouteQuery(node.into(), RouteQueryReq::new(resource.into())),
            14 => Command::Find(FindReq { resource, kinds: vec![kind] }),
            _ => Command::Stat(FetchSpec { resource, kind, places }),
        })
    }

    fn message(
        &mut self,
        link: LinkId,
        header: ForwardingHeader,
        contents: MessageContents,
        who: u8,
    ) {
        let sealed = Packet::seal(header, &contents, self.other(who), &[]);
        if let Some(bytes) = sealed.ok().and_then(|packet| packet.encode().ok()) {
            self.event(link, LinkEvent::Message(&bytes));
        }
    }

    fn event(&mut self, link: LinkId, event: LinkEvent<'_>) {
        self.input(Input::Link(link, event));
    }

    /// Lets time pass; what is due is over afterwards.
    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "{:?} is due again and again", self.peer.deadline());
            if self.peer.deadline().is_none_or(|(at, _)| at > self.now) {
                return;
            }
            self.input(Input::Timeout);
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let now = Now::new(self.now, UNIX_MS + self.now.as_millis());
        self.peer.handle(now, input);
        let outputs: Vec<Output> = std::iter::from_fn(|| self.peer.poll()).collect();
        assert!(outputs.len() <= OUTPUTS_MAX, "{} outputs of one input", outputs.len());
        for output in outputs {
            if let Output::Link(link, action) = output {
                self.links.push_front(link);
                if let LinkAction::Send(bytes) = action {
                    self.sent.push_front((link, bytes));
                }
            }
        }
        self.links.truncate(16);
        self.sent.truncate(64);
    }

    fn link(&self, choice: u8) -> LinkId {
        self.links.get(usize::from(choice)).copied().unwrap_or(LinkId(u64::from(choice)))
    }

    fn other(&self, choice: u8) -> &Identity {
        &self.others[usize::from(choice) % self.others.len()]
    }
}

fn attach(choice: u8) -> Attach {
    Attach {
        ufrag: b"ufrag".to_vec(),
        password: b"a password of good length".to_vec(),
        role: if choice & 0x40 == 0 { ROLE_PASSIVE } else { ROLE_ACTIVE }.to_vec(),
        candidates: Vec::new(),
        send_update: choice & 0x20 != 0,
    }
}

fn resource(choice: u8) -> ResourceId {
    ResourceId::from_u128(u128::from(choice) << 120)
}

const OVERLAY: &str = "example.org";
const UNIX_MS: u64 = 1_790_000_000_000;
/// Steps of one script; more say nothing new.
const STEPS_MAX: usize = 300;
/// Timeouts at one moment.
const ROUNDS_MAX: usize = 1000;
/// What one input may lead to: a word to each link, twice, and to each waiting user.
const OUTPUTS_MAX: usize = 2048;
/// A fuzzed peer keeps no more than any other.
const STORED_MAX: usize = 64 << 20;
