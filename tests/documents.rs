//! Documents of overlays as their owners make, change and sign them.

mod support;

use std::path::{Path, PathBuf};
use std::process::Output;

use chordial::config::SignedConfig;
use support::served::Served;
use support::{OVERLAY, Phone, program};

/// A folder for documents and users.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `chordial overlay` in the folder.
    fn overlay(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command.current_dir(self.0.path()).arg("overlay").args(arguments);
        command.output().expect("the program starts")
    }

    fn read(&self, name: &str) -> SignedConfig {
        let bytes = std::fs::read(self.path(name)).expect("written");
        SignedConfig::parse(&bytes, None).expect("a document")
    }

    /// Makes a changed copy of a document.
    fn change(&self, from: &Path, to: &str, what: &str, with: &str) {
        let text = std::fs::read_to_string(from).expect("a document");
        assert!(text.contains(what), "{text}");
        std::fs::write(self.path(to), text.replace(what, with)).expect("written");
    }

    fn peer(&self, user: &str, document: &str, options: &[&str]) -> Phone {
        let mut command = program();
        command.current_dir(self.0.path()).args(["peer", "--json", "--listen", "127.0.0.1:0"]);
        command.args(["--user", user, "--state", user, "--overlay", document]).args(options);
        Phone::start(&mut command, user)
    }
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

fn refuses(output: &Output, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr.contains(word) && stderr.lines().count() == 1, "{word}: {stderr}");
}

/// R6940-11.1-23: an overlay's founder changes its document: the next one has the sequence after
/// it and the founder's signature, and reaches the others from the founder's peer.
#[test]
fn a_founder_signs_the_next_document() {
    let desk = Desk::new();
    let new = ["new", OVERLAY, "--out", "first.xml", "--user", "alice", "--state", "alice"];
    succeeds(&desk.overlay(&new));
    let first = desk.read("first.xml");
    let signers = first.config.configuration_signers.clone();
    assert!(signers.len() == 1 && first.is_intact() && first.document != first.bytes);
    let mut alice = desk.peer("alice", "first.xml", &["--first"]);
    let joined = alice.wait("joined");
    assert_eq!(joined["node_id"], signers[0].to_string());
    let through = joined["listen"].as_str().expect("an address").to_owned();
    let mut bob = desk.peer("bob", "first.xml", &["--bootstrap", &through]);
    let of_bob = bob.wait("joined")["listen"].as_str().expect("an address").to_owned();
    alice.interrupt();
    alice.finish();

    let size = "<max-message-size>16384<";
    desk.change(&desk.path("first.xml"), "changed.xml", size, "<max-message-size>20480<");
    let sign = ["sign", "changed.xml", "--out", "second.xml", "--user", "alice"];
    let sign = [&sign[..], &["--state", "alice"]].concat();
    succeeds(&desk.overlay(&sign));
    let second = desk.read("second.xml");
    assert_eq!((second.config.sequence, second.config.max_message_size), (2, 20480));
    assert!(second.is_intact());
    // Bob's document is kept, and a copy would be another one of the same number.
    refuses(&desk.overlay(&sign), "second.xml can't be written");
    let alice = desk.peer("alice", "second.xml", &["--bootstrap", &of_bob]);
    assert_eq!(bob.wait("document")["sequence"], 2);
    drop(alice);
}

/// Whoever may not sign, and what nobody could join with, is one sentence, and nothing is written.
#[test]
fn what_cannot_be_signed_is_one_sentence() {
    let desk = Desk::new();
    let new = ["new", OVERLAY, "--out", "first.xml", "--user", "alice", "--state", "alice"];
    succeeds(&desk.overlay(&new));
    let others = ["new", OVERLAY, "--out", "other.xml", "--user", "mallory", "--state", "mallory"];
    succeeds(&desk.overlay(&others));
    let sign = |document: &str, user: &str, state: &str| {
        let arguments = ["sign", document, "--out", "next.xml", "--user", user, "--state", state];
        desk.overlay(&arguments)
    };
    refuses(&sign("first.xml", "mallory", "mallory"), "may not sign");
    refuses(&sign("first.xml", "alice", "nobody"), "no identity of alice@lab.example");
    refuses(&sign("nowhere.xml", "alice", "alice"), "nowhere.xml can't be used");
    refuses(&desk.overlay(&["sign", "first.xml", "--state", "alice"]), "--user NAME");
    let first = desk.path("first.xml");
    desk.change(
        &first,
        "over.xml",
        "sequence=\"1\"",
        "sequence=\"1\" expiration=\"2020-01-01T00:00:00Z\"",
    );
    refuses(&sign("over.xml", "alice", "alice"), "later expiration");
    desk.change(&first, "bad.xml", "CHORD-RELOAD", "CHORDS");
    refuses(&sign("bad.xml", "alice", "alice"), "CHORDS");
    assert!(!desk.path("next.xml").exists());
}

/// A document that is changed where its server is goes out from there; what the server could not
/// serve is refused.
#[test]
fn a_servers_document_is_changed() {
    let mut served = Served::open();
    let desk = Desk::new();
    let state = served.path("overlay").display().to_string();
    let sign = |name: &str| desk.overlay(&["sign", name, "--state", &state]);
    let ttl = "<initial-ttl>30<";
    desk.change(&served.document(), "changed.xml", ttl, "<initial-ttl>40<");
    succeeds(&sign("changed.xml"));
    assert_eq!(served.server.wait("document")["sequence"], 2);
    std::fs::copy(served.document(), desk.path("present.xml")).expect("copied");
    assert_eq!(desk.read("present.xml").config.initial_ttl, 40);
    succeeds(&sign("present.xml"));
    assert_eq!(desk.read("present.xml").config.sequence, 2, "nothing has changed");
    let other = ["new", "other.example", "--out", "other.xml"];
    succeeds(&desk.overlay(&other));
    refuses(&sign("other.xml"), "is of other.example");
    succeeds(&desk.overlay(&["new", OVERLAY, "--out", "bare.xml"]));
    refuses(&sign("bare.xml"), "another root-cert");
}
