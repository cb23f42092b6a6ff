//! What a forwarding decision costs: header bytes in, next hop out, at a peer with 36 links.
//!
//! `cargo bench --no-default-features --features sim --bench forward` prints for each kind of
//! message the nanoseconds of the fastest of many rounds and the heap allocations of a decision.
//! It fails if a decision allocates: every allocation of this program is counted.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chordial::base::{Instant as Moment, NodeId, ResourceId, Rng, TransactionId};
use chordial::message::{
    Destination, ForwardingHeader, Fragment, HeaderView, MessageCode, Method, Packet,
};
use chordial::routing::chord::{Chord, Table};
use chordial::routing::{Gate, ReturnPaths, Verdict, examine, pass_on};

/// The system's allocator, counted.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn main() -> ExitCode {
    let mut node = Node::new();
    println!("{:44} {:>10} {:>12}", "a decision about", "ns", "allocations");
    let mut is_free = true;
    for (name, messages) in node.kinds_of_messages() {
        let (ns, allocations) = node.measure(&messages);
        println!("{name:44} {ns:>10.1} {allocations:>12.3}");
        is_free &= allocations == 0.0;
    }
    let (name, messages) = node.kinds_of_messages().swap_remove(0);
    let (ns, allocations) = node.measure_passing_on(&messages);
    println!(
        "\ndecided and rewritten for the next link:\n{name:44} {ns:>10.1} {allocations:>12.3}"
    );
    match is_free {
        true => ExitCode::SUCCESS,
        false => {
            eprintln!("a decision allocates");
            ExitCode::FAILURE
        }
    }
}

/// A peer among 10,000, as far as a decision needs one.
struct Node {
    gate: Gate,
    chord: Chord,
    paths: ReturnPaths,
    /// By their Node-IDs, as the peer's Connection Table has them.
    links: Vec<NodeId>,
    rng: Rng,
}

impl Node {
    fn new() -> Self {
        let mut rng = Rng::from_number(1);
        let own = random(&mut rng);
        let mut chord = Chord::new(own, Table::Wide, LINKS);
        chord.set_joined(true);
        let mut links: Vec<NodeId> = neighbors_and_fingers(own, &mut rng);
        links.iter().for_each(|peer| {
            chord.insert(*peer);
        });
        links.sort();
        let gate = Gate {
            now: Moment::ORIGIN,
            own,
            alias: own,
            forwards: true,
            is_verbose: true,
            overlay: OVERLAY,
            ttl_max: 100,
            payload_max: 16384,
        };
        Self { gate, chord, paths: ReturnPaths::new(Duration::from_secs(3)), links, rng }
    }

    /// Messages of each kind, all different, so that no branch is foreseen.
    fn kinds_of_messages(&mut self) -> Vec<(&'static str, Vec<Bytes>)> {
        let (fetch, answer) = (Method::Fetch.request(), Method::Fetch.answer());
        let own = Destination::from(self.gate.own);
        let mut kinds = Vec::new();
        let mut add = |name, make: &mut dyn FnMut() -> Bytes| {
            kinds.push((name, (0..MESSAGES).map(|_| make()).collect()));
        };
        let (rng, links) = (&mut self.rng, &self.links);
        let mut place = || Destination::from(ResourceId::from_u128(random(rng).to_u128()));
        let node = |place: Destination| match place.position() {
            Some(position) => Destination::from(NodeId::from_u128(position)),
            None => place,
        };
        add("a Fetch from a neighbour", &mut || message(fetch, vec![], vec![place()]));
        add("a Fetch that has come over three links", &mut || {
            let via = (0..2).map(|_| node(place())).collect();
            message(fetch, via, vec![place()])
        });
        add("a Fetch that has come over eight links", &mut || {
            let via = (0..7).map(|_| node(place())).collect();
            message(fetch, via, vec![place()])
        });
        let mut turn = 0;
        add("an answer with three links to go", &mut || {
            turn += 1;
            let next = Destination::from(links[turn % links.len()]);
            message(answer, vec![], vec![own.clone(), next, node(place())])
        });
        kinds
    }

    /// Nanoseconds and allocations of one decision.
    fn measure(&self, messages: &[Bytes]) -> (f64, f64) {
        best(messages.len(), || {
            for message in messages {
                black_box(self.decide(black_box(message)));
            }
        })
    }

    /// The same with the bytes for the next link.
    fn measure_passing_on(&mut self, messages: &[Bytes]) -> (f64, f64) {
        let mut rng = self.rng.clone();
        let mut paths = ReturnPaths::new(Duration::from_secs(3));
        best(messages.len(), || {
            for message in messages {
                let Ok(view) = HeaderView::parse(black_box(message), 16) else { continue };
                let verdict = examine(&view, &self.gate, &self.paths, |n| self.has(n), &self.chord);
                if let Verdict::Forward(_, route) = verdict {
                    let now = self.gate.now;
                    black_box(pass_on(&view, self.links[0], &route, now, &mut paths, &mut rng));
                }
            }
        })
    }

    fn decide(&self, message: &[u8]) -> Option<NodeId> {
        let view = HeaderView::parse(message, 16).ok()?;
        match examine(&view, &self.gate, &self.paths, |node| self.has(node), &self.chord) {
            Verdict::Forward(next, _) => Some(next),
            Verdict::Deliver(_) => Some(self.gate.own),
            Verdict::Refuse(_) | Verdict::Drop(_) => None,
        }
    }

    fn has(&self, node: NodeId) -> bool {
        self.links.binary_search(&node).is_ok()
    }
}

/// Nanoseconds of the fastest round, and allocations of all rounds, for each of `count` messages.
fn best(count: usize, mut round: impl FnMut()) -> (f64, f64) {
    round();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let fastest = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed()
    });
    let fastest = fastest.min().unwrap_or_default();
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    let ns = fastest.as_nanos() as f64 / count as f64;
    (ns, allocations as f64 / (count * ROUNDS) as f64)
}

/// Six neighbours on each side, and fingers in each direction at random.
fn neighbors_and_fingers(own: NodeId, rng: &mut Rng) -> Vec<NodeId> {
    let step = u128::MAX / PEERS;
    let at = |distance: u128| NodeId::from_u128(own.to_u128().wrapping_add(distance));
    let after = (1..=6).map(|n| at(step * n));
    let before = (1..=6).map(|n| at((step * n).wrapping_neg()));
    let mut all: Vec<NodeId> = after.chain(before).collect();
    while all.len() < LINKS {
        let far = (step * 8) << rng.below(10);
        all.push(at(far + random(rng).to_u128() % far));
    }
    all
}

fn random(rng: &mut Rng) -> NodeId {
    NodeId::from_u128(u128::from_be_bytes(rng.bytes()))
}

/// A message with as much behind its header as a signed Fetch has.
fn message(
    code: MessageCode,
    via_list: Vec<Destination>,
    destination_list: Vec<Destination>,
) -> Bytes {
    let header = ForwardingHeader {
        overlay: OVERLAY,
        configuration_sequence: 1,
        ttl: 97,
        fragment: Fragment::WHOLE,
        transaction_id: TransactionId(7),
        max_response_length: 0,
        via_list,
        destination_list,
        options: Vec::new(),
    };
    let mut payload = code.0.to_be_bytes().to_vec();
    payload.resize(620, 0xab);
    Packet { header, payload: payload.into() }.encode().unwrap_or_default()
}

const OVERLAY: u32 = 0x1234_5678;
const PEERS: u128 = 10_000;
const LINKS: usize = 36;
/// Of each kind; they fit into the caches that a busy peer would use.
const MESSAGES: usize = 512;
const ROUNDS: usize = 2000;
