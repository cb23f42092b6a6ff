//! Opens the true window on a made-up phone, to look at each page:
//!
//! `cargo test --test gui_preview -- SCENE [dark|light] [PAGE|broken] [de]`
//!
//! `broken` opens on a view state that cannot be read. Without a scene it lists the scenes and
//! ends. Commands that the window sends are printed, and those of the first pages are answered:
//! in the scene `lost` no overlay is found.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chordial::base::NodeId;
use chordial::enroll::server::{Account, AccountNode, AccountState, Registration};
use chordial::enroll::{Road, RoadFailure, RoadNews, RoadState};
use chordial::gui::{Shown, WindowOptions, run};
use chordial::link::{
    CandidatePair, CandidateType, LinkFacts, LinkKind, PortMapping, PortProblem, Reach,
};
use chordial::phone::{
    Backup, Call, CallId, CallRecording, CallReport, CallState, CallStep, CallTrace, Candidates,
    Command, Contact, Conversation, Delivery, Device, Direction, DocumentFacts, HistoryEntry,
    HostState, HostedOverlay, KeyAlarm, Language, Me, Membership, Message, MessageId, NetworkFacts,
    Obstacle, OverlayKind, OverlaySearch, OverlayState, Protection, Quality, RunningTest, SeenKey,
    Settings, SipAccountFacts, SipReach, SipTransport, Snapshot, SoundTest, SoundTrouble, Theme,
    UnprovedOverlay, Verified, VoiceMessage, Whereabouts, channel, key_words,
};

const SCENES: [&str; 26] = [
    "first", "again", "lost", "joining", "failed", "idle", "new", "incoming", "dialling",
    "talking", "muted", "ended", "notice", "unsaved", "locked", "alarm", "invited", "several",
    "people", "written", "voice", "unproved", "accounts", "account", "rung", "merged",
];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(scene) = args.first().filter(|scene| SCENES.contains(&scene.as_str())) else {
        println!("scenes: {}", SCENES.join(" "));
        return;
    };
    let mut snapshot = scene_snapshot(scene);
    snapshot.settings.theme = match args.get(1).map(String::as_str) {
        Some("light") => Theme::Light,
        _ => Theme::Dark,
    };
    if args.get(3).is_some_and(|language| language == "de") {
        snapshot.settings.language = Language::German;
    }
    let page = match args.get(2).map(String::as_str) {
        Some("network") => "Network",
        Some("contacts") => "Contacts",
        Some("messages") => "Messages",
        Some("people") => "People",
        Some("settings") => "Settings",
        _ => "Calls",
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let view_state = folder.path().join("view.ron");
    let kept = match args.get(2).map(String::as_str) {
        Some("broken") => "{\"view\": \"(page: Nowhere)\", \"window\": \"(((\", ".to_owned(),
        _ => format!("{{\"view\": \"(page: {page})\"}}"),
    };
    std::fs::write(&view_state, kept).expect("written");
    let (theme, is_lost) = (snapshot.settings.theme, scene == "lost");
    let (handle, mut backend) = channel(snapshot);
    std::thread::spawn(move || {
        while let Some(command) = backend.commands.blocking_recv() {
            if command != Command::Inspect {
                println!("{command:?}");
            }
            if let Some(mut snapshot) = answer(&command, is_lost) {
                snapshot.settings.theme = theme;
                backend.snapshot.send_replace(snapshot.into());
            }
        }
    });
    let options = WindowOptions { view_state: Some(view_state), ..WindowOptions::default() };
    let phone = move || Ok(Shown { handle: handle.clone(), desktop: None });
    run(|| phone, options).expect("a display to open the window on");
}

fn scene_snapshot(scene: &str) -> Snapshot {
    let mut snapshot = joined();
    match scene {
        "first" | "lost" => {
            let nearby = vec!["jones.example".into(), "smith-family".into()];
            snapshot = Snapshot { nearby, ..Snapshot::default() };
        }
        "unsaved" => snapshot.backup = Backup::default(),
        "locked" => {
            let problem = Some("The password is wrong.".into());
            snapshot.protection = Protection::Locked { by_password: true, problem };
        }
        "alarm" => snapshot.key_alarms = vec![alarm()],
        "unproved" => snapshot.unproved = vec![unproved()],
        "invited" => snapshot = invited(),
        "several" => snapshot = several(),
        "people" => snapshot.hosted = vec![hosted()],
        "written" => {
            snapshot.conversations = conversations().into();
            snapshot.whereabouts = Arc::new(whereabouts());
        }
        "again" => snapshot = Snapshot { last: snapshot.me().cloned(), ..Snapshot::default() },
        "joining" => {
            snapshot.memberships[0].state =
                OverlayState::Joining { step: "Finding our place".into() };
        }
        "failed" => {
            let reason = "Not joined because none of the 3 known peers answered.".into();
            snapshot.memberships[0].state = OverlayState::Failed { reason };
        }
        "new" => snapshot.history.clear(),
        "incoming" => {
            snapshot.calls = vec![
                call(4, "dora@smith-family", CallState::Incoming),
                call(3, "bob@smith-family", CallState::Incoming),
            ];
        }
        "dialling" => {
            let step = "Looking up bob".into();
            snapshot.calls = vec![call(3, "bob@smith-family", CallState::Dialling { step })];
        }
        "talking" => snapshot.calls = vec![talking(), ended()],
        "muted" => {
            let second = CallState::Talking { duration: Duration::from_secs(8) };
            snapshot.calls = vec![talking(), call(5, "carol@smith-family", second)];
            snapshot.calls[0].muted = true;
            snapshot.calls[0].verified = Verified::SelfSignedChanged;
        }
        "ended" => {
            snapshot.calls = vec![ended()];
            snapshot.failure = Some(failure().into());
            snapshot.trace.clone_from(&snapshot.failure);
        }
        "voice" => snapshot = voice(snapshot),
        "account" => snapshot.calls = vec![ordinary(talking())],
        "merged" => snapshot.calls = merged(),
        "rung" => snapshot.calls = vec![ordinary(call(3, "", CallState::Incoming))],
        "accounts" => snapshot.sip_accounts = sip_accounts(),
        "notice" => {
            snapshot.notice = Some("The document can't be written: no such folder.".into());
        }
        _ => {}
    }
    snapshot
}

/// Several overlays, one of which can't be joined.
fn several() -> Snapshot {
    let mut snapshot = invited();
    let me = Me { user: "al".into(), overlay: "jones.example".into(), node_id: "42".repeat(16) };
    let reason = "Not joined because none of the 3 known peers answered.".into();
    let state = OverlayState::Failed { reason };
    let document = DocumentFacts::default();
    snapshot.memberships.push(Membership { me, state, document });
    snapshot
}

/// Ordinary accounts: a good one, one without its password, and files that are none.
fn sip_accounts() -> Vec<SipAccountFacts> {
    let account = |address: &str, server: Option<&str>, has_password| {
        let (address, server) = (address.to_owned(), server.map(str::to_owned));
        let transport = server.as_ref().map(|_| SipTransport::Tls);
        let reach = match has_password {
            true => SipReach::Registered,
            false => SipReach::Failed(format!("{address} is not let in.")),
        };
        SipAccountFacts::Account { address, server, transport, has_password, reach }
    };
    let closed = "The account al@pstn.example is encrypted; unlock your private keys first.";
    let wrong = "/home/alice/.local/share/chordial/sip/work.toml is no SIP account: unknown field \
                 `addres`, expected one of `address`, `user`, `password`, `server`; mend or delete \
                 this file.";
    let unreadable = |address: Option<&str>, problem: &str| SipAccountFacts::Unreadable {
        address: address.map(str::to_owned),
        problem: problem.to_owned(),
    };
    vec![
        account("alice@provider.example", Some("sip.provider.example:5061"), true),
        account("0301234567@telephone.example", None, false),
        unreadable(Some("al@pstn.example"), closed),
        unreadable(None, wrong),
    ]
}

/// A conference that is recorded and sounds bad, messages, devices in an order, and a test.
fn voice(mut snapshot: Snapshot) -> Snapshot {
    let second = CallState::Talking { duration: Duration::from_secs(8) };
    snapshot.calls = vec![talking(), call(2, "carol@smith-family", second)];
    for call in &mut snapshot.calls {
        call.conference = Some(CallId(2));
    }
    snapshot.calls[0].recording.by_us = true;
    snapshot.calls[0].trouble = Some(SoundTrouble::Gaps);
    snapshot.calls.push(call(1, "dora@smith-family", snapshot.calls[1].state.clone()));
    snapshot.calls[2].takes_message = true;
    let message = |peer: &str, minutes: u64, seconds, is_new| VoiceMessage {
        name: format!("{minutes}-{peer}.wav"),
        peer: format!("{peer}@smith-family"),
        unix_ms: unix_ms() - minutes * 60_000,
        duration: Duration::from_secs(seconds),
        is_new,
        is_playing: !is_new,
    };
    snapshot.voice_messages = vec![message("bob", 12, 41, true), message("dora", 400, 7, false)];
    let settings = &mut snapshot.settings;
    settings.sound.microphones = vec!["Desk microphone".into(), "Built-in microphone".into()];
    settings.machine.answering_machine = true;
    let test = SoundTest::Loopback { delay_ms: 0, loss_percent: 0 };
    snapshot.sound_test = Some(RunningTest { test, level: 0.3 });
    snapshot
}

fn now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_millis() as u64
}

/// An overlay whose names this computer gives out.
fn hosted() -> HostedOverlay {
    let node = |days: u64, is_revoked| AccountNode {
        node_id: NodeId::from_u128(7),
        not_after_unix_ms: now_ms() + days * 86_400_000,
        is_revoked,
    };
    let account = |name: &str, state, nodes| Account {
        name: name.into(),
        state,
        created_unix_ms: now_ms(),
        nodes,
    };
    let link = "reload-invite:smith-family?signer=8f3a91c04be2d7760f1e5a9cc3b81d42\
                &root=57f2a4adead9b473b782c3807e7f2196833754d969c695acafc48a4023f1a9ec\
                &code=k7mw-2ph4-vxqa-93tn&address=192.0.2.7:6084";
    HostedOverlay {
        overlay: "smith-family".into(),
        user: "alice".into(),
        state: HostState::Running,
        folder: "/home/alice/.local/share/chordial/hosted/smith-family".into(),
        url: Some("https://192.0.2.7:41803/enroll".into()),
        registration: Registration::InvitationOnly,
        accounts: vec![
            account("alice", AccountState::Active, vec![node(90, false)]),
            account("bob", AccountState::Active, vec![node(89, false), node(70, false)]),
            account("carol", AccountState::Active, vec![]),
            account("dora", AccountState::Disabled, vec![node(41, false)]),
            account("mallory", AccountState::Disabled, vec![node(80, true)]),
        ],
        invitation: Some(link.into()),
        problem: None,
    }
}

/// What a phone would say to a command of the first pages.
fn answer(command: &Command, is_lost: bool) -> Option<Snapshot> {
    match command {
        Command::StartOverlay { .. } => {
            let mut snapshot = invited();
            snapshot.backup = Backup::default();
            if let Command::StartOverlay { kind: OverlayKind::Accounts { .. }, name, .. } = command
            {
                snapshot.memberships[0].document.is_self_signed = false;
                snapshot.hosted = vec![HostedOverlay { overlay: name.clone(), ..hosted() }];
            }
            if let Command::StartOverlay { name, .. } = command {
                snapshot.memberships[0].me.overlay.clone_from(name);
                let link = snapshot.invitations.remove("smith-family")?;
                snapshot.invitations.insert(name.clone(), link);
            }
            Some(snapshot)
        }
        Command::Join { .. } => {
            let overlay = "smith-family".to_owned();
            let road = |road, state| RoadNews { road, state };
            let (roads, state) = if is_lost {
                let reason = "Not joined because the overlay smith-family was not found.".into();
                let dns = RoadState::Failed(RoadFailure::Late);
                let lan = RoadState::Failed(RoadFailure::NobodyHere);
                let roads = vec![road(Road::Dns, dns), road(Road::Lan, lan)];
                (roads, OverlayState::Failed { reason })
            } else {
                let peer = RoadState::AskingPeer("192.0.2.7:6084".parse().expect("an address"));
                let dns = RoadState::Failed(RoadFailure::Late);
                let roads = vec![
                    road(Road::Dns, dns),
                    road(Road::Lan, RoadState::Searching),
                    road(Road::Invitation, peer),
                ];
                (roads, OverlayState::Joining { step: "Looking for the overlay".into() })
            };
            let mut snapshot = joined();
            snapshot.memberships[0].state = state;
            snapshot.searches = vec![OverlaySearch { overlay, roads }];
            Some(snapshot)
        }
        Command::Restore { .. } => {
            let restored = vec!["alice@smith-family".into(), "al@jones.example".into()];
            Some(Snapshot { restored, ..Snapshot::default() })
        }
        _ => None,
    }
}

fn alarm() -> KeyAlarm {
    let key = |byte: &str| {
        let node_id = byte.repeat(16);
        SeenKey { words: key_words(&node_id), node_id, since_unix_ms: 0 }
    };
    KeyAlarm {
        overlay: "smith-family".into(),
        aor: "bob@smith-family".into(),
        new: key("a7"),
        known: vec![key("3c")],
    }
}

fn unproved() -> UnprovedOverlay {
    UnprovedOverlay {
        overlay: "jones.example".into(),
        user: "alice".into(),
        from: Some("192.0.2.7:6084".parse().expect("an address")),
        is_self_signed: false,
        enrollment_servers: vec!["https://192.0.2.7:8443/enroll".into()],
    }
}

fn invited() -> Snapshot {
    let link = "reload-invite:smith-family?signer=8f3a91c04be2d7760f1e5a9cc3b81d42\
                &address=192.0.2.7:6084&address=[2001:db8::7]:6084";
    let invitations = [("smith-family".to_owned(), link.to_owned())].into();
    Snapshot { invitations, ..joined() }
}

fn joined() -> Snapshot {
    let me = Me {
        user: "alice".into(),
        overlay: "smith-family".into(),
        node_id: "8f3a91c04be2d7760f1e5a9cc3b81d42".into(),
    };
    let state = OverlayState::Joined {
        registered: true,
        links: 7,
        values_stored: 23,
        listen: Some("192.0.2.7:6084".parse().expect("an address")),
    };
    let document = DocumentFacts { is_self_signed: true, ..DocumentFacts::default() };
    Snapshot {
        memberships: vec![Membership { me, state, document }],
        history: history(),
        contacts: contacts().into(),
        networks: [("smith-family".to_owned(), network())].into(),
        backup: Backup { made_unix_ms: Some(unix_ms()), is_complete: true },
        microphones: vec![device("m1", "Built-in microphone"), device("m2", "USB headset")],
        speakers: vec![device("s1", "Built-in speakers"), device("s2", "USB headset")],
        settings: Settings { microphone: Some("m2".into()), ..Settings::default() },
        ..Snapshot::default()
    }
}

fn network() -> NetworkFacts {
    let address = "192.0.2.7:6084".parse().expect("an address");
    let link = |id: u128, kind, pair: Option<CandidateType>, rtt: u64, minutes: u64| LinkFacts {
        node_id: NodeId::from_u128(id << 64 | 7),
        kind,
        local: "192.0.2.7:6084".parse().expect("an address"),
        remote: format!("198.51.100.{minutes}:40123").parse().expect("an address"),
        pair: pair.map(|local| CandidatePair { local, remote: CandidateType::Host }),
        rtt: (rtt > 0).then(|| Duration::from_millis(rtt)),
        since_unix_ms: unix_ms() - minutes * 60_000,
    };
    let (host, relay) = (Some(CandidateType::Host), Some(CandidateType::Relay));
    let links = vec![
        link(0x9001_2ab4_77e1_0033, LinkKind::DtlsUdpSr, host, 12, 190),
        link(0x9a55_0f2c_1180_4411, LinkKind::DtlsUdpSr, relay, 84, 188),
        link(0xb112_f00d_0000_0007, LinkKind::DtlsUdpSrNoIce, None, 31, 120),
        link(0xd4a0_c0de_8000_1234, LinkKind::DtlsUdpSr, host, 0, 75),
        link(0x1c0f_fee0_1234_abcd, LinkKind::TlsTcpFhNoIce, None, 140, 44),
        link(0x4242_4242_4242_4242, LinkKind::DtlsUdpSr, host, 55, 12),
        link(0x77ab_98cd_0102_0304, LinkKind::DtlsUdpSr, host, 9, 3),
        link(0x8800_0000_dead_beef, LinkKind::DtlsUdpSr, host, 17, 0),
    ];
    let router = PortMapping::Closed(PortProblem::Silent);
    NetworkFacts { reach: Reach::Blocked(address), router, lent: Some(2), relays: 3, links }
}

/// A call that found no path.
fn failure() -> CallTrace {
    let candidate = |line: &str| line.to_owned();
    CallTrace {
        id: CallId(2),
        peer: "carol@smith-family".into(),
        direction: Direction::Outgoing,
        unix_ms: unix_ms() - 120_000,
        outcome: Some("carol@smith-family can't be reached: no path to it was found.".into()),
        failed: Some(CallStep::Path),
        report: CallReport { fetch_ms: Some(61), hops: Some(2), ..CallReport::default() },
        rtt: None,
        candidates: Candidates {
            ours: vec![candidate("1 1 udp 2130706431 192.0.2.7 40000 typ host")],
            theirs: vec![candidate("1 1 udp 99 198.51.100.3 4 typ relay raddr 0.0.0.0 rport 0")],
        },
    }
}

fn contacts() -> Vec<Contact> {
    let contact = |aor: &str, name: &str| Contact {
        aor: format!("{aor}@smith-family"),
        name: name.into(),
        ..Contact::default()
    };
    let note = "Her phone is in the kitchen. Not before nine.".to_owned();
    vec![
        contact("bob", "Bob Smith"),
        contact("carol", ""),
        contact("dora", "Aunt Dora"),
        Contact { is_favourite: true, note, ..contact("grandma.rose", "Grandma Rose") },
        Contact { is_blocked: true, ..contact("mallory", "") },
    ]
}

/// What was written, and what has become of it.
fn conversations() -> Vec<Arc<Conversation>> {
    let text = |id: i64, minutes: u64, text: &str, delivery| Message {
        id: MessageId(id),
        direction: match delivery {
            Delivery::Received => Direction::Incoming,
            _ => Direction::Outgoing,
        },
        text: text.into(),
        unix_ms: unix_ms() - minutes * 60_000,
        delivery,
        is_domain_unverified: false,
    };
    let with = |peer: &str, messages| Conversation {
        peer: format!("{peer}@smith-family"),
        messages,
        ..Conversation::default()
    };
    let long = "The apples are ripe, and there are far too many of them for two people and a dog. \
                Come with baskets, and stay for supper if you can.";
    let bob = vec![
        text(1, 190, "Are you coming on Sunday?", Delivery::Received),
        text(2, 188, "Gladly. What shall I bring?", Delivery::Delivered),
        text(3, 187, long, Delivery::Received),
        text(4, 12, "Two baskets it is!", Delivery::Delivered),
        text(5, 3, "Is four o'clock early enough?", Delivery::Waiting),
    ];
    let spam = vec![text(9, 44, "You have won!", Delivery::Received)];
    let refused = vec![text(8, 500, "Hello?", Delivery::Refused { status: 603 })];
    vec![
        Conversation { obstacle: Some(Obstacle::Unregistered), ..with("bob", bob) }.into(),
        Conversation { unread: 1, is_knocking: true, ..with("eve", spam) }.into(),
        Conversation {
            unread: 2,
            ..with("grandma.rose", vec![text(7, 71, "Call me.\nSoon!", Delivery::Received)])
        }
        .into(),
        with("mallory", refused).into(),
    ]
}

fn whereabouts() -> BTreeMap<String, Whereabouts> {
    let here = |name: &str, whereabouts| (format!("{name}@smith-family"), whereabouts);
    [
        here("grandma.rose", Whereabouts::Here),
        here("bob", Whereabouts::Unregistered),
        here("dora", Whereabouts::LastSeen { unix_ms: unix_ms() - 9_000_000 }),
    ]
    .into()
}

fn device(id: &str, name: &str) -> Device {
    Device { id: id.into(), name: name.into() }
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

fn history() -> Vec<HistoryEntry> {
    let now = unix_ms();
    let entry = |peer: &str, direction, minutes: u64, talked_s, outcome: &str| HistoryEntry {
        direction,
        peer: format!("{peer}@smith-family"),
        unix_ms: now - minutes * 60_000,
        duration: Duration::from_secs(talked_s),
        outcome: outcome.into(),
        answered: talked_s > 0,
    };
    vec![
        entry("bob", Direction::Outgoing, 12, 754, "You hung up."),
        entry("carol", Direction::Incoming, 65, 0, "Carol gave up."),
        entry("bob", Direction::Outgoing, 180, 0, "Bob's phone can't be reached."),
        entry("grandma.rose", Direction::Incoming, 1500, 3725, "Grandma hung up."),
        entry("dora", Direction::Incoming, 4400, 61, "Dora hung up."),
    ]
}

fn call(id: u64, peer: &str, state: CallState) -> Call {
    Call {
        id: CallId(id),
        overlay: "smith-family".into(),
        direction: Direction::Outgoing,
        peer: peer.into(),
        state,
        verified: Verified::SelfSignedKnown,
        is_domain_unverified: false,
        forwarded_to: None,
        takes_message: false,
        conference: None,
        muted: false,
        is_knocking: false,
        transferring_to: None,
        transferred_by: None,
        held_by_us: false,
        held_by_them: false,
        level_sent: 0.12,
        level_received: 0.4,
        quality: None,
        trouble: None,
        recording: CallRecording::default(),
    }
}

/// Two that hear each other, and one who waits.
fn merged() -> Vec<Call> {
    let state = CallState::Talking { duration: Duration::from_secs(41) };
    let waiting = Call { held_by_us: true, ..call(6, "grandma@smith-family", state.clone()) };
    let carol = Call { conference: Some(CallId(3)), ..call(5, "carol@smith-family", state) };
    vec![carol, Call { conference: Some(CallId(3)), ..talking() }, waiting]
}

fn talking() -> Call {
    let duration = Duration::from_secs(83);
    let mut call = call(3, "bob@smith-family", CallState::Talking { duration });
    call.quality = Some(Quality {
        word: "Good",
        loss: 0.004,
        rtt: Some(Duration::from_millis(38)),
        buffer: Duration::from_millis(40),
        score: Some(4.3),
        score_there: Some(4.2),
        path: "direct, 192.0.2.7".into(),
    });
    call
}

/// The same by an ordinary account.
fn ordinary(call: Call) -> Call {
    let (peer, overlay) = ("+49301234567@voip.example".into(), "voip.example".into());
    let quality = call.quality.map(|quality| Quality { rtt: None, path: String::new(), ..quality });
    Call { peer, overlay, verified: Verified::Ordinary, quality, ..call }
}

fn ended() -> Call {
    let reason = "Carol's phone can't be reached: no path to it was found.".into();
    call(2, "carol@smith-family", CallState::Ended { reason, duration: Duration::ZERO })
}
