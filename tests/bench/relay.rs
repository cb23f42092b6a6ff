//! How many packets a relay forwards for each second of a core, beside coturn on the same machine.
//!
//! `cargo bench --no-default-features --bench relay` sends packets of a call's size both ways
//! through twenty allocations with a bounded number on their way, first through coturn's relay and
//! then through ours, each in a process of its own, and prints what the system says that the
//! process has used. coturn comes from Debian's package of that name.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chordial::base::NodeId;
use chordial::crypto::{Keys, NodeIdDigest, X509Provider};
use chordial::link::relay::message::{Draft, LongTermKey, Received};
use chordial::link::relay::{OpenPorts, Quota, RelayPort, RelayTerms, wire};
use chordial::link::{BootstrapListener, Credentials, LocalCertificate, unix_ms};
use chordial::usage::RelaySecret;
use stun::message::{METHOD_ALLOCATE, METHOD_CHANNEL_BIND, Method};

const FLOWS: usize = 20;
const WINDOW: u32 = 48;
const DATA: [u8; 100] = [0x80; 100];
const RUN: Duration = Duration::from_secs(5);
const SECRET: [u8; 32] = [5; 32];
const REALM: &str = "bench";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--serve") {
        serve();
        return ExitCode::SUCCESS;
    }
    let mut figures = Vec::new();
    for start in [coturn, ours] {
        let relay = start();
        figures.push(measure(&relay));
    }
    let ratio = figures[1] / figures[0];
    println!("ours / coturn: {ratio:.2}");
    if ratio >= 1.5 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A relay in a process of its own.
struct Running {
    name: &'static str,
    process: Child,
    address: SocketAddr,
    /// User name and password of a flow.
    user: fn(usize) -> (String, String),
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn coturn() -> Running {
    let free = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = free.local_addr().expect("its address");
    drop(free);
    let folder = std::env::temp_dir().join(format!("relay-bench-{}", std::process::id()));
    let file = |name: &str| format!("{}-{name}", folder.display());
    let process = Command::new("turnserver")
        .args(["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--no-cli"])
        .args(["--no-tls", "--no-dtls", "--allow-loopback-peers", "--lt-cred-mech"])
        .args([format!("--listening-port={}", address.port()), format!("--realm={REALM}")])
        .args(["--user=lab:labpass".to_owned(), format!("--userdb={}", file("db"))])
        .args([format!("--pidfile={}", file("pid")), "--log-file=stdout".to_owned()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("turnserver, of Debian's package coturn");
    let user = |_| ("lab".to_owned(), "labpass".to_owned());
    Running { name: "coturn", process, address, user }
}

fn ours() -> Running {
    let program = std::env::current_exe().expect("our own program");
    let mut process = Command::new(program)
        .arg("--serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("our own program");
    let mut line = String::new();
    let out = process.stdout.take().expect("its output");
    BufReader::new(out).read_line(&mut line).expect("its address");
    let address = line.trim().parse().expect("an address");
    let user = |flow| {
        let node = NodeId::from_u128(flow as u128);
        let given = RelaySecret::new(&SECRET).credentials(node, unix_ms() + 3_600_000);
        (given.username, given.password)
    };
    Running { name: "ours", process, address, user }
}

/// Our relay at a peer's port, until the standard input ends.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn serve() {
    let provider = X509Provider {
        overlay: "bench.example".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    };
    let keys = Keys::self_signed(&provider, "a@bench.example", unix_ms(), 1).expect("keys");
    let local = LocalCertificate {
        certificate_der: keys.certificate_der.clone(),
        private_key_pkcs8_der: keys.private_key_der.clone(),
    };
    let credentials = Credentials { local, verify: Arc::new(|_| Ok(())) };
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = BootstrapListener::bind(listen, credentials, None).await.expect("a port");
    let addresses = vec![listen.ip()];
    listener.lending().set(Some(RelayPort::start(RelayTerms {
        secret: RelaySecret::new(&SECRET),
        realm: REALM.into(),
        quota: Quota { sessions: 1000, bytes_per_s: u64::MAX >> 20 },
        own: addresses.clone(),
        ports: OpenPorts::default(),
        addresses,
        anywhere: true,
    })));
    println!("{}", listener.local_addr());
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    let _ = end.await;
}

/// A client and a peer, both ours.
struct Flow {
    client: UdpSocket,
    peer: UdpSocket,
    wrapped: Vec<u8>,
    /// On their way from the client and to it.
    under_way: [u32; 2],
}

impl Flow {
    fn open(relay: &Running, number: usize) -> Self {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        client.connect(relay.address).expect("an address");
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let (username, password) = (relay.user)(number);
        let key = LongTermKey::new(&username, REALM, &password);
        let draft = |id: usize| Draft::request(METHOD_ALLOCATE, [id as u8; 12]).udp();
        let challenge = exchange(&client, METHOD_ALLOCATE, &draft(number).plain());
        let nonce = challenge.nonce().expect("a nonce");
        let prove =
            |draft: Draft| draft.username(&username).realm(REALM).nonce(&nonce).proved(&key);
        let relayed = exchange(&client, METHOD_ALLOCATE, &prove(draft(50 + number)));
        let relayed = relayed.relayed_address().expect("a relayed address");
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        peer.connect(relayed).expect("an address");
        let channel = *wire::CHANNELS.start();
        let bind = Draft::request(METHOD_CHANNEL_BIND, [100 + number as u8; 12]);
        let bind = bind.channel(channel).peer(peer.local_addr().expect("its address"));
        assert_eq!(exchange(&client, METHOD_CHANNEL_BIND, &prove(bind)).error(), None);
        let mut wrapped = Vec::new();
        wire::write_channel(&mut wrapped, channel, &DATA);
        client.set_nonblocking(true).expect("a mode");
        peer.set_nonblocking(true).expect("a mode");
        Self { client, peer, wrapped, under_way: [0; 2] }
    }

    /// Receives what is there and sends as much; how many packets have come through.
    fn turn(&mut self) -> u64 {
        let mut buffer = [0; 2048];
        let mut through = 0;
        let ways =
            [(&self.peer, &self.client, &self.wrapped[..]), (&self.client, &self.peer, &DATA)];
        for ((to, from, data), under_way) in ways.into_iter().zip(&mut self.under_way) {
            while to.recv(&mut buffer).is_ok() {
                through += 1;
                *under_way = under_way.saturating_sub(1);
            }
            while *under_way < WINDOW && from.send(data).is_ok() {
                *under_way += 1;
            }
        }
        through
    }
}

/// Asks until there is an answer.
fn exchange(client: &UdpSocket, method: Method, request: &[u8]) -> Received {
    let mut buffer = [0; 2048];
    for _ in 0..50 {
        let _ = client.send(request);
        if let Ok(length) = client.recv(&mut buffer)
            && let Some(answer) = Received::read(&buffer[..length])
            && answer.answers(method).is_some()
            && request[8..20] == answer.transaction()
        {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the relay does not answer");
}

/// Packets for each second of a core.
fn measure(relay: &Running) -> f64 {
    let mut flows: Vec<Flow> = (0..FLOWS).map(|number| Flow::open(relay, number)).collect();
    let (start, before) = (Instant::now(), used(relay.process.id()));
    let (mut packets, mut heard) = (0, Instant::now());
    while start.elapsed() < RUN {
        let through: u64 = flows.iter_mut().map(Flow::turn).sum();
        packets += through;
        if through > 0 {
            heard = Instant::now();
        } else if heard.elapsed() > Duration::from_millis(100) {
            // What is missing is lost.
            flows.iter_mut().for_each(|flow| flow.under_way = [0; 2]);
            heard = Instant::now();
        }
    }
    let seconds = (used(relay.process.id()) - before).as_secs_f64();
    let rate = packets as f64 / seconds;
    let wall = start.elapsed().as_secs_f64();
    println!(
        "{:8} {packets:>9} packets in {wall:.1} s, {seconds:.2} s of a core: {rate:>9.0} for each",
        relay.name
    );
    rate
}

/// What a process has used of all cores (proc(5): utime and stime, in hundredths of a second).
fn used(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks: u64 =
        fields[11].parse::<u64>().unwrap_or(0) + fields[12].parse::<u64>().unwrap_or(0);
    Duration::from_millis(ticks * 10)
}
