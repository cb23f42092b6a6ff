//! Opens the true window on a made-up phone, to look at each page:
//!
//! `cargo test --test gui_preview -- SCENE [dark|light] [calls|network|settings|broken]`
//!
//! `broken` opens on a view state that cannot be read. Without a scene it lists the scenes and
//! ends. Commands that the window sends are printed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chordial::gui::{WindowOptions, run};
use chordial::phone::{
    Call, CallId, CallState, Device, Direction, DocumentFacts, HistoryEntry, Me, Membership,
    OverlayState, Quality, Settings, Snapshot, Theme, Verified, channel,
};

const SCENES: [&str; 12] = [
    "first", "again", "joining", "failed", "idle", "new", "incoming", "dialling", "talking",
    "muted", "ended", "notice",
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
    let page = match args.get(2).map(String::as_str) {
        Some("network") => "Network",
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
    let (handle, mut backend) = channel(snapshot);
    std::thread::spawn(move || {
        while let Some(command) = backend.commands.blocking_recv() {
            println!("{command:?}");
        }
    });
    let options = WindowOptions { view_state: Some(view_state), ..WindowOptions::default() };
    run(handle, options).expect("a display to open the window on");
}

fn scene_snapshot(scene: &str) -> Snapshot {
    let mut snapshot = joined();
    match scene {
        "first" => snapshot = Snapshot::default(),
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
        "ended" => snapshot.calls = vec![ended()],
        "notice" => {
            snapshot.notice = Some("The document can't be written: no such folder.".into());
        }
        _ => {}
    }
    snapshot
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
        microphones: vec![device("m1", "Built-in microphone"), device("m2", "USB headset")],
        speakers: vec![device("s1", "Built-in speakers"), device("s2", "USB headset")],
        settings: Settings { microphone: Some("m2".into()), ..Settings::default() },
        ..Snapshot::default()
    }
}

fn device(id: &str, name: &str) -> Device {
    Device { id: id.into(), name: name.into() }
}

fn history() -> Vec<HistoryEntry> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
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
        muted: false,
        level_sent: 0.12,
        level_received: 0.4,
        quality: None,
    }
}

fn talking() -> Call {
    let duration = Duration::from_secs(83);
    let mut call = call(3, "bob@smith-family", CallState::Talking { duration });
    call.quality = Some(Quality {
        word: "Good",
        loss: 0.004,
        rtt: Some(Duration::from_millis(38)),
        buffer: Duration::from_millis(40),
        path: "direct, 192.0.2.7".into(),
    });
    call
}

fn ended() -> Call {
    let reason = "Carol's phone can't be reached: no path to it was found.".into();
    call(2, "carol@smith-family", CallState::Ended { reason, duration: Duration::ZERO })
}
