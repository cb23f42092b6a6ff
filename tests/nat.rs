//! Calls between computers behind NATs of every kind, on an internet of network namespaces.
//!
//! `cargo test --test nat -- --nocapture` prints the table of pairs: who calls stands at the left,
//! who is called above, and each field says how the sound went.

mod support;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use chordial::media::{SAMPLE_RATE, read_wav};
use support::internet::{Family, Home, Internet, Nat};
use support::lan::{Host, ip};
use support::router::{Asked, Opener};
use support::{PATIENCE, Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard};

const OVERLAY: &str = "lab.example";
/// How long a caller talks.
const TALK_S: &str = "8";
/// The same where it is seen which way the sound takes: on a machine with much to do that may be by
/// a relay at first, and the phones look for a better one after ten seconds.
const TALK_UNTIL_DIRECT_S: &str = "20";
/// Longer than the others believe in who says nothing.
const SLEEP_S: u64 = 15;
/// When a NAT forgets what nothing has passed through, and how long SIP is silent.
const NAT_FORGETS_S: u8 = 8;
const QUIET_S: &str = "25";
/// How long a call lasts in which somebody moves.
const MOVING_S: &str = "15";

/// The address of IPv6 of who has both.
const BOTH_V6: &str = "2001:db8::66";
/// What a router opens for a node: the port where it listens, over UDP and TCP, and some for calls.
const OPEN_PORTS: usize = 2 + chordial::link::ports::limits::FOR_CALLS;

/// How long a call lasts that becomes direct: until after the second attempt, at 30 s.
const BETTER_S: &str = "42";
/// When the direct path appears: after the first attempt, which ends 16 s after the start.
const TOO_EARLY_S: u64 = 20;

/// Where a computer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// On the public side.
    Open,
    /// Behind a NAT.
    Behind(Nat),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.pad("open"),
            Self::Behind(nat) => nat.fmt(f),
        }
    }
}

/// How many labs there may be beside one.
enum Share {
    /// As many as the machine bears.
    Some(#[allow(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    /// None: where everybody calls at once, what others do would be heard.
    Alone(#[allow(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

static MACHINE: RwLock<()> = RwLock::new(());

impl Share {
    fn some() -> Self {
        Self::Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn alone() -> Self {
        Self::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How a pair's sound went.
type Table = BTreeMap<(Place, Place), String>;

/// An overlay on an internet of its own, with three peers on the public side.
struct Lab<'a> {
    folder: tempfile::TempDir,
    internet: &'a Internet,
    bootstrap: String,
    peers: Vec<Phone>,
    homes: Vec<Home<'a>>,
    _share: Share,
}

impl<'a> Lab<'a> {
    /// An overlay without peers.
    fn empty(internet: &'a Internet, share: Share) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (bootstrap, peers, homes) = (String::new(), Vec::new(), Vec::new());
        let lab = Self { folder, internet, bootstrap, peers, homes, _share: share };
        let made = support::program()
            .args(["overlay", "new", OVERLAY, "--out"])
            .arg(lab.path("overlay.xml"))
            .output()
            .expect("the program starts");
        assert!(made.status.success(), "{made:?}");
        lab
    }

    fn new(internet: &'a Internet) -> Self {
        Self::with(internet, Share::some())
    }

    fn with(internet: &'a Internet, share: Share) -> Self {
        let mut lab = Self::empty(internet, share);
        let host = internet.host();
        let at = match host.address().contains(':') {
            true => format!("[{}]:6084", host.address()),
            false => format!("{}:6084", host.address()),
        };
        let mut founder = lab.phone(&host, "founder", &["peer", "--first", "--listen", &at]);
        founder.wait("joined");
        lab.bootstrap = at;
        lab.peers.push(founder);
        for user in ["carol", "dave"] {
            let peer = lab.phone(&internet.host(), user, &["peer"]);
            lab.peers.push(peer);
        }
        for peer in &mut lab.peers {
            peer.wait("registered");
        }
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn heard_by(&self, user: &str) -> PathBuf {
        self.path(&format!("{user}-heard.wav"))
    }

    /// A computer at a new place of this kind.
    fn host(&mut self, place: Place) -> Host {
        match place {
            Place::Open => self.internet.host(),
            Place::Behind(nat) => {
                let home = self.internet.home(nat);
                let host = home.host();
                self.homes.push(home);
                host
            }
        }
    }

    fn phone(&self, host: &Host, user: &str, arguments: &[&str]) -> Phone {
        let mut command = host.command(env!("CARGO_BIN_EXE_chordial"));
        command.args(arguments).args(["--json", "--user", user, "--overlay"]);
        command.arg(self.path("overlay.xml")).arg("--state").arg(self.path(user));
        command.arg("--record").arg(self.heard_by(user));
        if !self.bootstrap.is_empty() {
            command.args(["--bootstrap", &self.bootstrap]);
        }
        Phone::start(&mut command, user)
    }

    /// A peer that answers every call and speaks.
    fn callee(&self, host: &Host, user: &str) -> Phone {
        self.phone(host, user, &["peer", "--answer", "--play", SPEECH_BOB])
    }

    /// Joins, calls and speaks.
    fn call(&self, host: &Host, user: &str, name: &str) -> Phone {
        self.call_for(TALK_S, host, user, name)
    }

    fn call_for(&self, seconds: &str, host: &Host, user: &str, name: &str) -> Phone {
        let arguments = ["call", name, "--seconds", seconds, "--play", SPEECH_ALICE];
        self.phone(host, user, &arguments)
    }

    /// Has the phone of a user do something; what is printed then.
    fn steer(&self, host: &Host, user: &str, arguments: &[&str]) -> String {
        let mut command = host.command(env!("CARGO_BIN_EXE_chordial"));
        command.arg("ctl").args(arguments).arg("--state").arg(self.path(user));
        let done = command.output().expect("the program starts");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("text")
    }

    /// Waits for the end of a call whose sound went both ways; its path.
    fn finish(&self, call: &mut Phone, callee: &mut Phone) -> String {
        let (code, events) = call.finish();
        assert_eq!(code, 0, "{}: {events:?}\n{}", call.device.clone(), call.stderr());
        callee.wait("ended");
        assert_heard(SPEECH_BOB, &self.heard_by(&call.device));
        assert_heard(SPEECH_ALICE, &self.heard_by(&callee.device));
        let report = events.last().expect("a report");
        let [ringing, sound] = ["ringing_ms", "sound_ms"].map(|name| &report[name]);
        println!("{} to {}: {ringing} ms, {sound} ms", call.device, callee.device);
        report["path"].as_str().expect("a path").to_owned()
    }
}

/// What proves that there was sound does not take one voice for the other.
#[test]
#[should_panic(expected = "speech-alice")]
fn another_voice_is_not_what_was_said() {
    assert_heard(SPEECH_ALICE, Path::new(SPEECH_BOB));
}

/// R6940-6.5.1.3-01: everybody calls everybody, whatever NAT is in front of them; the sound goes
/// from one to the other without a third wherever the two NATs allow that.
#[test]
fn everybody_talks_to_everybody() {
    let places = [
        Place::Open,
        Place::Behind(Nat::FullCone),
        Place::Behind(Nat::AddressRestricted),
        Place::Behind(Nat::PortRestricted),
        Place::Behind(Nat::Symmetric),
    ];
    let table = matrix("all", Family::V4, &places);
    for ((from, to), path) in &table {
        assert_eq!(path.contains("relay"), !may_be_direct(*from, *to), "{from} {to}: {path}");
    }
}

/// Whether ICE finds a way without a relay (RFC 4787 §4, §5): the port of a symmetric NAT is known
/// to who has got something from there, which a filter by ports keeps out.
fn may_be_direct(one: Place, other: Place) -> bool {
    let is = |nat| [one, other].contains(&Place::Behind(nat));
    let is_filtered = one == other || is(Nat::PortRestricted);
    !(is(Nat::Symmetric) && is_filtered)
}

/// Whoever gets no UDP through is a peer by TCP, and is called by TCP to another peer, also by
/// others of that kind.
#[test]
fn who_gets_no_udp_through_is_called() {
    let internet = Internet::new("tcp", Family::V4);
    let mut lab = Lab::new(&internet);
    let at = lab.host(Place::Behind(Nat::UdpBlocked));
    let mut bob = lab.callee(&at, "bob");
    bob.wait("registered");
    let nats = [Nat::PortRestricted, Nat::Symmetric, Nat::UdpBlocked].map(Place::Behind);
    for from in [Place::Open].into_iter().chain(nats) {
        let host = lab.host(from);
        let mut call = lab.call(&host, &format!("{from}-alice"), "bob");
        // That there is sound shows the relay: for whoever calls, it is the other side's address.
        lab.finish(&mut call, &mut bob);
    }
}

/// Routers that translate nothing, but let in only what was asked for, and no IPv4 at all.
#[test]
fn ipv6_alone_is_enough() {
    let places = [Place::Open, Place::Behind(Nat::PortRestricted)];
    let table = matrix("six", Family::V6, &places);
    for (pair, path) in &table {
        assert!(path.contains("IPv6") && !path.contains("relay"), "{pair:?}: {path}");
    }
}

/// Two computers in one home find each other there, without the router's help.
#[test]
fn who_is_in_one_home_talks_there() {
    let internet = Internet::new("home", Family::V4);
    let lab = Lab::new(&internet);
    let home = internet.home(Nat::PortRestricted);
    let mut bob = lab.callee(&home.host(), "bob");
    bob.wait("registered");
    let mut call = lab.call(&home.host(), "alice", "bob");
    let path = lab.finish(&mut call, &mut bob);
    assert!(path.contains(" 192.168.1.3:") && path.contains(" 192.168.1.2:"), "{path}");
}

/// Who is taken from one home to another in the middle of things joins again from there, and is
/// reached by the same name.
#[test]
fn who_moves_is_reachable_again() {
    let internet = Internet::new("move", Family::V4);
    let lab = Lab::new(&internet);
    let (home, cafe) = (internet.home(Nat::PortRestricted), internet.home(Nat::PortRestricted));
    let host = home.host();
    let mut bob = lab.callee(&host, "bob");
    bob.wait("registered");
    let outside = internet.host();
    lab.finish(&mut lab.call(&outside, "alice", "bob"), &mut bob);
    let moved = Instant::now();
    host.pull("eth0");
    cafe.take_in(&host, "eth1");
    bob.wait("registered");
    println!("registered again {} ms after the move", moved.elapsed().as_millis());
    println!("{}", lab.finish(&mut lab.call(&outside, "alice", "bob"), &mut bob));
}

/// R7904-5.2-01: what ICE sends is enough to keep the NATs open in front of both sides: whoever
/// hangs up tells the other one, although SIP has said nothing since the answer.
#[test]
fn the_way_of_sip_stays_open() {
    let internet = Internet::new("open", Family::V4);
    let lab = Lab::new(&internet);
    let homes = [(); 2].map(|()| internet.home(Nat::PortRestricted));
    let [bob_at, alice_at] = homes.each_ref().map(|home| {
        home.forget_after(NAT_FORGETS_S);
        home.host()
    });
    let mut bob = lab.callee(&bob_at, "bob");
    bob.wait("registered");
    let arguments = ["call", "bob", "--seconds", QUIET_S, "--play", SPEECH_ALICE];
    let mut call = lab.phone(&alice_at, "alice", &arguments);
    let (code, events) = call.finish();
    assert_eq!(code, 0, "{events:?}\n{}", call.stderr());
    assert_eq!(bob.wait("ended")["reason"], "alice@lab.example hung up.");
}

/// The interface of one side is pulled in the middle of a call, and another network takes its
/// place: the same call goes on there, whichever side has called.
#[test]
fn a_call_goes_on_in_another_network() {
    let internet = Internet::new("on", Family::V4);
    let lab = Lab::new(&internet);
    let (home, cafe) = (internet.home(Nat::PortRestricted), internet.home(Nat::PortRestricted));
    let (bob_at, alice_at) = (home.host(), internet.home(Nat::AddressRestricted).host());
    let tone = lab.path("tone.wav");
    write_tone(&tone);
    let tone = tone.to_str().expect("text");
    let mut bob = lab.phone(&bob_at, "bob", &["peer", "--answer", "--play", tone]);
    bob.wait("registered");
    let devices = ["eth0", "eth1", "eth2"].windows(2);
    for (device, (moving, host, next)) in
        devices.zip([("bob", &bob_at, &cafe), ("alice", &alice_at, &cafe)])
    {
        let (from, to) = if moving == "alice" { ("eth0", "eth1") } else { (device[0], device[1]) };
        let arguments = ["call", "bob", "--seconds", MOVING_S, "--play", tone];
        let mut call = lab.phone(&alice_at, "alice", &arguments);
        call.wait("answered");
        // Sound is to flow before and after.
        std::thread::sleep(Duration::from_secs(3));
        host.pull(from);
        next.take_in(host, to);
        let (code, events) = call.finish();
        assert_eq!(code, 0, "{events:?}\n{}", call.stderr());
        let ended = bob.wait("ended");
        assert_eq!(ended["reason"], "alice@lab.example hung up.");
        for (user, figures) in [("alice", events.last().expect("a report")), ("bob", &ended)] {
            let lost_ms = figures["packets_lost"].as_u64().map(|packets| 20 * packets);
            println!("{moving} moves: {user} misses {lost_ms:?} ms of sound");
            assert!(is_heard_at_the_end(&lab.heard_by(user)), "{user} hears the other side again");
        }
    }
}

/// Whoever wakes up after the others have taken it for gone joins again. How long it sleeps,
/// `CHORDIAL_SLEEP_S` says.
#[test]
fn who_wakes_up_is_reachable_again() {
    let seconds = std::env::var("CHORDIAL_SLEEP_S").ok().and_then(|text| text.parse().ok());
    let internet = Internet::new("sleep", Family::V4);
    let lab = Lab::new(&internet);
    let mut bob = lab.callee(&internet.home(Nat::PortRestricted).host(), "bob");
    bob.wait("registered");
    bob.suspend();
    // It is time itself that is tried here.
    std::thread::sleep(Duration::from_secs(seconds.unwrap_or(SLEEP_S)));
    bob.wake();
    let woken = Instant::now();
    bob.wait("registered");
    println!("registered again {} ms after waking", woken.elapsed().as_millis());
    let mut call = lab.call(&internet.host(), "alice", "bob");
    lab.finish(&mut call, &mut bob);
}

/// A call that had to go through a relay leaves it when a direct path appears; an attempt that
/// comes too early costs no sound.
#[test]
fn a_relayed_call_becomes_direct() {
    let internet = Internet::new("better", Family::V4);
    let lab = Lab::new(&internet);
    let [one, other] = [(); 2].map(|()| internet.home(Nat::PortRestricted));
    let (alice_at, bob_at) = (one.host(), other.host());
    one.keep_apart(&other, true);
    let tone = lab.path("tone.wav");
    write_tone(&tone);
    let tone = tone.to_str().expect("text");
    let mut bob = lab.phone(&bob_at, "bob", &["peer", "--answer", "--play", tone]);
    bob.wait("registered");
    let arguments = ["call", "bob", "--seconds", BETTER_S, "--play", tone];
    let mut call = lab.phone(&alice_at, "alice", &arguments);
    call.wait("answered");
    // The first attempt is to fail.
    std::thread::sleep(Duration::from_secs(TOO_EARLY_S));
    one.keep_apart(&other, false);
    let (code, events) = call.finish();
    assert_eq!(code, 0, "{events:?}\n{}", call.stderr());
    let ended = bob.wait("ended");
    let report = events.last().expect("a report");
    let path = report["path"].as_str().expect("a path");
    println!("{path}; lost: {} and {}", report["packets_lost"], ended["packets_lost"]);
    assert!(!path.contains("relay"), "{path}");
    for user in ["alice", "bob"] {
        assert!(is_heard_at_the_end(&lab.heard_by(user)), "{user} hears the other side");
    }
    for figures in [report, &ended] {
        let lost = figures["packets_lost"].as_u64().expect("a number");
        let received = figures["packets_received"].as_u64().expect("a number");
        assert!(lost * 20 < received, "{lost} of {received}");
    }
}

/// A peer listens on IPv4 and IPv6 unless told otherwise: whoever has one of the two alone joins
/// through it, and calls it.
#[test]
fn a_peer_listens_on_both_families() {
    let internet = Internet::new("both", Family::V4);
    let mut lab = Lab::empty(&internet, Share::some());
    let [at, four, six] = [(); 3].map(|()| internet.host());
    for (host, address) in [(&at, BOTH_V6), (&six, "2001:db8::77")] {
        let address = format!("{address}/64");
        ip(&["-n", host.namespace(), "address", "add", &address, "dev", "eth0"]);
    }
    ip(&["-n", six.namespace(), "-4", "address", "flush", "dev", "eth0"]);
    let options = ["peer", "--first", "--answer", "--play", SPEECH_BOB];
    let mut founder = lab.phone(&at, "bob", &options);
    assert_eq!(founder.wait("joined")["listen"], "[::]:6084");
    founder.wait("registered");
    let through = [format!("{}:6084", at.address()), format!("[{BOTH_V6}]:6084")];
    for ((host, user), at) in [(&four, "four"), (&six, "six")].into_iter().zip(through) {
        lab.bootstrap = at;
        let mut peer = lab.phone(host, user, &["peer"]);
        assert_eq!(peer.wait("joined")["listen"], "[::]:6084");
        peer.wait("registered");
        lab.peers.push(peer);
        let mut call = lab.call(host, &format!("{user}-alice"), "bob");
        let path = lab.finish(&mut call, &mut founder);
        assert!(path.contains(if user == "six" { "IPv6" } else { "IPv4" }), "{path}");
    }
}

/// Whoever's router opens ports is called without a relay where the two NATs would not allow it,
/// however the router is asked, and is told that others reach it there; whoever leaves has them
/// closed, and so does whoever wants none.
#[test]
fn a_router_that_agrees_lets_calls_in() {
    for asked in [Asked::Upnp, Asked::NatPmp, Asked::Pcp] {
        let internet = Internet::new("agree", Family::V4);
        let mut lab = Lab::new(&internet);
        let home = internet.home(Nat::Symmetric);
        let router = Opener::start(&home, asked);
        let bob_at = home.host();
        let mut bob = lab.callee(&bob_at, "bob");
        bob.wait("registered");
        for (alone, ports) in [("false", OPEN_PORTS), ("true", 0), ("false", OPEN_PORTS)] {
            lab.steer(&bob_at, "bob", &["settings", &format!("router_left_alone={alone}")]);
            router.wait_for(ports);
        }
        let until = Instant::now() + PATIENCE;
        while !lab.steer(&bob_at, "bob", &["show", "networks"]).contains("\"opened\"") {
            assert!(Instant::now() < until, "{asked:?}: nobody reaches the open port");
        }
        let outside = lab.host(Place::Behind(Nat::Symmetric));
        let mut call = lab.call(&outside, "alice", "bob");
        let path = lab.finish(&mut call, &mut bob);
        println!("{asked:?}: {path}");
        assert!(!path.contains("relay"), "{asked:?}: {path}");
        bob.terminate();
        assert_eq!(bob.finish().0, 0);
        router.wait_for(0);
    }
}

/// A tone that lasts for as long as a call.
fn write_tone(path: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("a file");
    for sample in 0..SAMPLE_RATE * 60 {
        let phase = sample as f32 / SAMPLE_RATE as f32 * 440.0 * std::f32::consts::TAU;
        writer.write_sample((phase.sin() * 8000.0) as i16).expect("written");
    }
    writer.finalize().expect("written");
}

/// Whether a tone is heard in the last two seconds of a recording.
fn is_heard_at_the_end(recording: &Path) -> bool {
    let heard = read_wav(recording).expect("a recording");
    let window = SAMPLE_RATE as usize / 100;
    let is_loud = |samples: &&[f32]| {
        samples.iter().map(|sample| sample * sample).sum::<f32>() > 0.001 * samples.len() as f32
    };
    heard.rchunks_exact(window).take(200).filter(is_loud).count() > 50
}

/// Everybody calls everybody, as many calls at a time as there are places.
fn matrix(name: &str, family: Family, places: &[Place]) -> Table {
    let internet = Internet::new(name, family);
    let mut lab = Lab::with(&internet, Share::alone());
    let callers: Vec<_> = places.iter().map(|place| lab.host(*place)).collect();
    let hosts: Vec<_> = places.iter().map(|place| lab.host(*place)).collect();
    let named = places.iter().zip(&hosts);
    let mut callees: Vec<_> =
        named.map(|(place, host)| lab.callee(host, &format!("{place}-bob"))).collect();
    for callee in &mut callees {
        callee.wait("registered");
    }
    let mut table = Table::new();
    for shift in 0..places.len() {
        let to = |from: usize| (from + shift) % places.len();
        let begin = |(from, host): (usize, &Host)| {
            let (caller, callee) = (places[from], places[to(from)]);
            let (alice, bob) = (format!("{caller}-alice"), format!("{callee}-bob"));
            lab.call_for(TALK_UNTIL_DIRECT_S, host, &alice, &bob)
        };
        let calls: Vec<_> = callers.iter().enumerate().map(begin).collect();
        for (from, mut call) in calls.into_iter().enumerate() {
            let path = lab.finish(&mut call, &mut callees[to(from)]);
            table.insert((places[from], places[to(from)]), path);
        }
    }
    print(places, &table);
    table
}

/// Prints how the sound of each pair went.
fn print(places: &[Place], table: &Table) {
    let word = |path: &str| if path.contains("relay") { "relayed" } else { "direct" };
    println!("{:8}{}", "", places.iter().map(|to| format!("{to:>9}")).collect::<String>());
    for from in places {
        let row = places.iter().map(|to| format!("{:>9}", word(&table[&(*from, *to)])));
        println!("{from:8}{}", row.collect::<String>());
    }
}
