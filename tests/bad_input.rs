//! Input that cannot be used: one clear line on stderr, exit code 2, and nothing that was stored
//! is lost; and what is stored is there again at the next start.

mod support;

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use support::{Overlay, Phone, SPEECH_ALICE, program};

/// One mistake at a time in a command line that works without it, with a state folder that has
/// been used: its files and the list of calls stay as they are, and afterwards the same peer
/// joins and adds to the list. A restart keeps Node-ID, settings and calls.
/// R7904-3.3-01: a name of a foreign domain is refused before anything is stored.
#[test]
fn one_mistake_is_one_line_and_loses_nothing() {
    let (lab, _founder) = Overlay::found("carol");
    let lab = Lab { state: lab.path("alice-calling"), lab };
    std::fs::create_dir(&lab.state).expect("a new folder");
    std::fs::write(lab.state.join("settings.toml"), SETTINGS).expect("written");
    let node_id = lab.call_nobody();
    let (files, calls) = (lab.files(), lab.calls());
    assert!(files.len() >= 4, "settings, keys and a document: {:?}", files.keys());
    assert_eq!(calls.len(), 1, "{calls:?}");

    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("bound").to_string();
    for (what, arguments, word) in lab.mistakes(&taken) {
        refused(what, &arguments, word);
        assert_eq!(lab.files(), files, "{what}");
        assert_eq!(lab.calls(), calls, "{what}");
    }

    assert_eq!(lab.call_nobody(), node_id);
    assert_eq!(lab.files(), files);
    let after = lab.calls();
    assert_eq!((after.len(), &after[..1]), (2, &calls[..]), "{after:?}");
    let text = std::fs::read_to_string(lab.state.join("settings.toml")).expect("settings");
    assert_eq!(text, SETTINGS);
}

/// Without a screen the window says so, and what runs without one; so does a telephone whose
/// account's file is not there.
#[test]
fn what_is_missing_is_named_with_the_remedy() {
    let lab = Overlay::new();
    let mut command = program();
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
        command.env_remove(name);
    }
    let output = command.arg("--state").arg(lab.path("window")).output().expect("it starts");
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    let sentence = "chordial: there is no screen for a window";
    assert!(said.starts_with(sentence) && said.lines().count() == 1, "{said}");
    assert!(said.contains("`chordial peer` runs without one."), "{said}");
    assert!(!lab.path("window/control.json").exists());

    let account = text(&lab.path("none.toml"));
    refused("no account", &words("sip").and(&account), "is not there. Give a file with the lines");
}

/// A document is written once: another with the same file name is refused and the first stays;
/// names that no overlay can have are refused. R6940-6.3.2-03: the name is a DNS name.
#[test]
fn an_overlay_document_is_not_overwritten() {
    let lab = Overlay::new();
    let document = std::fs::read(lab.document()).expect("a document");
    let (path, other) = (text(&lab.document()), text(&lab.path("other.xml")));
    refused("an existing file", &words("overlay new b.example --out").and(&path), "overlay.xml");
    assert_eq!(std::fs::read(lab.document()).expect("a document"), document);
    for name in ["", "two words", "a..b", "under_score.example", "192.0.2.1"] {
        let arguments = words("overlay new").and(name).and("--out").and(&other);
        refused(name, &arguments, "name");
    }
    let missing = text(&lab.path("missing/new.xml"));
    refused("no folder", &words("overlay new b.example --out").and(&missing), "missing/new.xml");
    assert!(!lab.path("other.xml").exists());
}

/// R6940-11.4-04: the peers that a peer was directly connected with, and no other address, are kept
/// for its next join, which needs no bootstrap node to be named.
#[test]
fn a_peer_comes_back_through_those_it_knows() {
    let (lab, founder) = Overlay::found("carol");
    let nobody = "127.0.0.1:9";
    let mut peer = lab.peer("dave", &["--bootstrap", nobody]);
    peer.wait("registered");
    peer.interrupt();
    assert_eq!(peer.finish().0, 0);
    let cache = lab.path("dave/overlays/lab.example/bootstrap.txt");
    let cached = std::fs::read_to_string(&cache).expect("a list of addresses");
    assert_eq!(cached, format!("{}\n", lab.bootstrap()));

    let arguments = words("peer --json --user dave --listen 127.0.0.1:0 --overlay")
        .and(&text(&lab.document()))
        .and("--state")
        .and(&text(&lab.path("dave")));
    let mut again = Phone::start(program().args(arguments), "dave");
    again.wait("registered");
    drop(founder);
}

/// One damaged value in each store stops nothing: the peer starts, says what it has set aside, and
/// has all the rest.
#[test]
fn what_is_damaged_is_set_aside_and_told() {
    let (lab, _founder) = Overlay::found("carol");
    let lab = Lab { state: lab.path("alice-calling"), lab };
    std::fs::create_dir(&lab.state).expect("a new folder");
    lab.call_nobody();
    lab.call_nobody();
    let settings = "theme = \"purple\"\nhidden_on_lan = true\nspeakers = [\n  \"Desk\",\n]\n";
    std::fs::write(lab.state.join("settings.toml"), settings).expect("written");
    let database = Connection::open(lab.state.join("chordial.db")).expect("a database");
    for damage in [
        "UPDATE calls SET peer = x'ff' WHERE id = 1",
        "INSERT INTO contacts VALUES ('bob@lab.example', 'Bob', '', 0, 0)",
        "INSERT INTO contacts VALUES ('dave@lab.example', x'ff00', '', 0, 0)",
        "INSERT INTO messages VALUES (1, 'bob@lab.example', 1, 'a', 'hi', 1, 'received', 0, 0, 0)",
        "INSERT INTO messages VALUES (2, 'bob@lab.example', 1, 'b', 'ho', 'now', 'lost', 0, 0, 0)",
    ] {
        database.execute(damage, []).expect("damaged");
    }
    drop(database);
    let options = words("--bootstrap").and(lab.lab.bootstrap());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut alice = lab.lab.device("alice", "alice-calling", &options);
    let told = [(); 2].map(|()| alice.wait("damaged")["message"].clone());
    let told = told.map(|message| message.as_str().expect("a sentence").to_owned());
    assert!(told[0].contains("setting theme"), "{told:?}");
    assert!(told[1].contains("calls, contacts and messages") && told[1].contains("3 set aside"));
    alice.wait("registered");
    let show = |part: &str| {
        let asked = ["ctl", "--state"].map(str::to_owned).to_vec();
        let asked = asked.and(&text(&lab.state)).and("show").and(part);
        let output = program().args(asked).output().expect("an answer");
        let mut shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        shown[part].take()
    };
    assert_eq!(show("history").as_array().map(Vec::len), Some(1));
    assert_eq!(show("contacts")[0]["name"], "Bob");
    assert_eq!(show("conversations")[0]["messages"].as_array().map(Vec::len), Some(1));
    let settings = show("settings");
    assert_eq!((&settings["theme"], &settings["hidden_on_lan"]), (&"system".into(), &true.into()));
    assert_eq!(settings["speakers"][0], "Desk");
    assert_eq!(show("damage"), serde_json::json!(told));
}

/// An overlay, and the folder of somebody who called from there.
struct Lab {
    lab: Overlay,
    state: PathBuf,
}

impl Lab {
    /// Joins, calls a name that nobody has, and leaves: the Node-ID.
    fn call_nobody(&self) -> String {
        let mut call = self.lab.call("alice", "nobody", 1, &[]);
        let node_id = call.wait("joined")["node_id"].as_str().expect("a Node-ID").to_owned();
        let (code, reason) = call.outcome();
        assert_eq!((code, reason.contains("not found")), (1, true), "{reason}");
        node_id
    }

    /// What is wrong, the command line, and a word of the sentence that says so.
    fn mistakes(&self, taken_port: &str) -> Vec<(&'static str, Vec<String>, &'static str)> {
        let file = |name: &str, content: &str| {
            std::fs::write(self.lab.path(name), content).expect("written");
            text(&self.lab.path(name))
        };
        let nowhere = |name: &str| text(&self.lab.path("missing").join(name));
        let garbage = file("garbage.xml", "no document at all");
        let half = file("half.xml", "<overlay xmlns=\"urn:ietf:params:xml:ns:p2p:config-base\">");
        let song = file("song.wav", "no sound at all");
        let inside = text(&self.lab.path("song.wav").join("state"));
        let with = |option: &str, value: &str| self.peer(&[(option, value)]);
        vec![
            ("no XML", with("--overlay", &garbage), "garbage.xml"),
            ("half a document", with("--overlay", &half), "half.xml"),
            (
                "no document",
                with("--overlay", &nowhere("overlay.xml")),
                "missing/overlay.xml; give",
            ),
            ("no name", with("--user", ""), "name"),
            ("a name of two words", with("--user", "al ice"), "name"),
            ("another scheme", with("--user", "tel:123"), "tel:"),
            ("a foreign domain", with("--user", "alice@other.example"), "lab.example"),
            ("a port in use", with("--listen", taken_port), "in use"),
            ("no address", with("--listen", "here"), "--listen"),
            ("a bad bootstrap address", with("--bootstrap", "there:1"), "--bootstrap"),
            ("a file as state folder", with("--state", &song), "song.wav"),
            ("a state folder in a file", with("--state", &inside), "song.wav"),
            ("no recording to play", with("--play", &nowhere("a.wav")), "missing/a.wav"),
            ("no sound to play", with("--play", &song), "song.wav"),
            ("no folder to record to", with("--record", &nowhere("b.wav")), "missing/b.wav"),
            ("no folder for a capture", with("--pcap", &nowhere("c.pcap")), "missing/c.pcap"),
            ("an unknown option", with("--colour", "red"), "--colour"),
            ("nobody to call", self.call(""), "name"),
            ("ourselves to call", self.call("alice"), "own name"),
            ("somebody elsewhere to call", self.call("bob@other.example"), "another overlay"),
            ("no duration", self.call("bob").and("--seconds").and("long"), "--seconds"),
            ("an unknown command", words("prattle"), "prattle"),
            ("an option missing", words("peer --json --user alice"), "--overlay"),
        ]
    }

    /// The command line of a peer with some options changed or added.
    fn peer(&self, changes: &[(&str, &str)]) -> Vec<String> {
        words("peer --json").with(self.options(changes))
    }

    fn call(&self, name: &str) -> Vec<String> {
        words("call --json").and(name).with(self.options(&[]))
    }

    fn options(&self, changes: &[(&str, &str)]) -> Vec<String> {
        let (state, document) = (text(&self.state), text(&self.lab.document()));
        let good = [
            ("--overlay", document.as_str()),
            ("--user", "alice"),
            ("--state", &state),
            ("--listen", "127.0.0.1:0"),
            ("--bootstrap", self.lab.bootstrap()),
            ("--play", SPEECH_ALICE),
        ];
        let mut options: BTreeMap<&str, &str> = good.into();
        options.extend(changes.iter().copied());
        options.into_iter().flat_map(|(o, v)| [o.to_owned(), v.to_owned()]).collect()
    }

    /// Every file of the state folder but those of databases, which each run writes.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.state.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let is_database = path.file_name().is_some_and(|name| {
                    let name = name.to_string_lossy();
                    ["chordial.db", "values.db"].iter().any(|database| name.starts_with(database))
                });
                if path.is_dir() {
                    open.push(path);
                } else if !is_database {
                    let bytes = std::fs::read(&path).expect("a file");
                    files.insert(path, bytes);
                }
            }
        }
        files
    }

    /// The list of calls: whom, when, and how it ended.
    fn calls(&self) -> Vec<(String, i64, String)> {
        let path = self.state.join("chordial.db");
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        let database = database.expect("a database");
        let query = "SELECT peer, unix_ms, outcome FROM calls ORDER BY id";
        let mut statement = database.prepare(query).expect("a table");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.expect("rows").map(|row| row.expect("a row")).collect()
    }
}

/// Runs the program, which must refuse with one sentence that has the word.
fn refused(what: &str, arguments: &[String], word: &str) {
    let mut process = Phone::start(program().args(arguments), what);
    let (code, events): (i32, Vec<Value>) = process.finish();
    let stderr = process.stderr();
    let context = format!("{what}: {arguments:?}\ncode {code}, {events:?}\n{stderr}");
    assert_eq!(code, 2, "{context}");
    assert_eq!(stderr.lines().count(), 1, "{context}");
    assert!(stderr.starts_with("chordial: ") && stderr.contains(word), "{context}");
    // How keys are kept is said before anything is tried.
    assert!(events.iter().all(|event| event["event"] == "keys"), "{context}");
}

/// Command lines are put together from words and values.
trait Words {
    fn and(self, word: &str) -> Self;
    fn with(self, more: Vec<String>) -> Self;
}

impl Words for Vec<String> {
    fn and(mut self, word: &str) -> Self {
        self.push(word.to_owned());
        self
    }

    fn with(mut self, more: Vec<String>) -> Self {
        self.extend(more);
        self
    }
}

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Something else than the defaults.
const SETTINGS: &str = "join_at_start = false\n";
