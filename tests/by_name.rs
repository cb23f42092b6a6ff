//! Joining an overlay of which only the name or an invitation is known, on networks of their own:
//! each computer is a network namespace, with a real DNS server and a web server where there is
//! one.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use chordial::crypto::Authority;
use serde_json::Value;
use support::lan::{Host, Lan};
use support::{Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard};

const OVERLAY: &str = "example.test";
/// How long a caller talks.
const TALK_S: &str = "4";

/// The folder of one test, and the document of its overlay.
struct Lab {
    folder: tempfile::TempDir,
    lan: Lan,
}

impl Lab {
    fn new(name: &str) -> Self {
        let lab = Self { folder: tempfile::tempdir().expect("a folder"), lan: Lan::new(name) };
        let made = support::program()
            .args(["overlay", "new", OVERLAY, "--out"])
            .arg(lab.path("overlay.xml"))
            .output()
            .expect("the program starts");
        assert!(made.status.success(), "{made:?}");
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn document(&self) -> String {
        self.path("overlay.xml").display().to_string()
    }

    /// Starts a phone on a computer of its own; what it heard is in `USER-heard.wav`.
    fn phone(&self, host: &Host, user: &str, what: &str, options: &[&str]) -> Phone {
        let mut command = host.command(env!("CARGO_BIN_EXE_chordial"));
        command.args(options).args(["--json", "--user", user, "--overlay", what]);
        command.arg("--state").arg(self.path(user)).arg("--record").arg(self.heard_by(user));
        Phone::start(&mut command, user)
    }

    /// A founder who answers every call and speaks.
    fn founder(&self, host: &Host) -> Phone {
        let options = ["peer", "--first", "--answer", "--play", SPEECH_BOB];
        let mut founder = self.phone(host, "bob", &self.document(), &options);
        founder.wait("registered");
        founder
    }

    /// Joins the overlay by `what` and calls bob until both have heard the other: all events.
    fn call(&self, host: &Host, user: &str, what: &str, founder: &mut Phone) -> Vec<Value> {
        self.call_with(host, user, what, founder, &[])
    }

    /// The same with further options.
    fn call_with(
        &self,
        host: &Host,
        user: &str,
        what: &str,
        founder: &mut Phone,
        further: &[&str],
    ) -> Vec<Value> {
        let options = ["call", "bob", "--seconds", TALK_S, "--play", SPEECH_ALICE];
        let mut call = self.phone(host, user, what, &[&options[..], further].concat());
        let (code, events) = call.finish();
        assert_eq!(code, 0, "{user} calls bob: {events:?}\n{}", call.stderr());
        founder.wait("ended");
        assert_heard(SPEECH_BOB, &self.heard_by(user));
        assert_heard(SPEECH_ALICE, &self.heard_by("bob"));
        events
    }

    /// The sentence that says why `what` cannot be joined.
    fn refusal(&self, host: &Host, user: &str, what: &str) -> String {
        let mut phone = self.phone(host, user, what, &["peer"]);
        let (code, events) = phone.finish();
        let stderr = phone.stderr();
        assert_eq!(code, 2, "{events:?}\n{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        stderr
    }

    /// Makes a user's phone look for nobody on the network around, and not be seen there.
    fn hide(&self, user: &str) {
        std::fs::create_dir_all(self.path(user)).expect("a folder");
        let settings = self.path(user).join("settings.toml");
        std::fs::write(settings, "hidden_on_lan = true\n").expect("written");
    }

    /// Writes where a computer's peer listens into the document.
    fn name_bootstrap_node(&self, host: &Host) {
        let path = self.path("overlay.xml");
        let text = std::fs::read_to_string(&path).expect("a document");
        let node = format!("<bootstrap-node address=\"{}\" port=\"6084\"/>", host.address());
        let end = "</configuration>";
        let named = text.replace(end, &format!("{node}{end}"));
        std::fs::write(&path, named).expect("written");
    }

    fn heard_by(&self, user: &str) -> PathBuf {
        self.path(&format!("{user}-heard.wav"))
    }
}

fn found(events: &[Value]) -> (&str, bool) {
    let found = events.iter().find(|event| event["event"] == "found").expect("found");
    (found["road"].as_str().expect("a road"), found["proved"].as_bool().expect("a word"))
}

/// A DNS server and a web server for `example.test`; they end when this is dropped.
struct Servers(Vec<Child>);

impl Servers {
    /// dnsmasq, which knows an SRV record for the overlay's documents at port 8443 of
    /// `www.provider.test`, and a web server there.
    fn start(lab: &Lab, host: &Host, web_certificate: &WebCertificate) -> Self {
        let dns = host
            .command("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--user=root", "--pid-file=", "--local=/test/"])
            .arg(format!("--listen-address={}", host.address()))
            .arg("--srv-host=_reload-config._tcp.example.test,www.provider.test,8443,1,1")
            .arg(format!("--host-record=www.provider.test,{}", host.address()))
            .stdin(Stdio::null())
            .spawn()
            .expect("dnsmasq is there");
        let web = host
            .command("python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/web_server.py"))
            .args([host.address(), "8443"])
            .args([lab.path("overlay.xml"), web_certificate.chain(), web_certificate.key()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut servers = Self(vec![dns, web]);
        let stdout = servers.0[1].stdout.take().expect("piped");
        let mut line = String::new();
        let mut lines = std::io::BufReader::new(stdout);
        std::io::BufRead::read_line(&mut lines, &mut line).expect("a line");
        assert_eq!(line, "ready\n");
        servers
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The certificate of a web server, and the authority that a computer has to trust for it.
struct WebCertificate(PathBuf);

impl WebCertificate {
    fn new(folder: &Path, from_now_s: i64) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = i64::try_from(since.expect("after 1970").as_millis()).expect("a time");
        let from_ms = u64::try_from(now_ms + from_now_s * 1000).expect("after 1970");
        let authority = Authority::generate("Web", from_ms).expect("an authority");
        let validity = from_ms..from_ms + 30 * 86_400_000;
        let keys = authority.issue_server(&[OVERLAY], &[], validity).expect("issued");
        let made = Self(folder.join("web"));
        std::fs::create_dir_all(&made.0).expect("a folder");
        let root = pem("CERTIFICATE", authority.certificate_der());
        std::fs::write(made.roots(), root).expect("written");
        std::fs::write(made.chain(), pem("CERTIFICATE", &keys.certificate_der)).expect("written");
        std::fs::write(made.key(), pem("PRIVATE KEY", &keys.private_key_der)).expect("written");
        made
    }

    fn roots(&self) -> PathBuf {
        self.0.join("roots.pem")
    }

    fn chain(&self) -> PathBuf {
        self.0.join("chain.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;

    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// R6940-11.2-01, R6940-11.2-02, R6940-11.2-03: a computer that knows nothing but the name
/// `example.test` joins and calls: DNS says where the web server is, and that one proves the name.
/// An unknown name is said to be unknown. When the clock is behind by a day, the sentence says so.
#[test]
fn a_name_in_dns_is_enough() {
    let lab = Lab::new("dns");
    let [server, bob, alice] = [lab.lan.host(), lab.lan.host(), lab.lan.host()];
    lab.name_bootstrap_node(&bob);
    let certificate = WebCertificate::new(lab.folder.path(), -3600);
    let mut founder = lab.founder(&bob);
    let servers = Servers::start(&lab, &server, &certificate);
    alice.use_dns(&server);
    alice.trust(&certificate.roots());
    let events = lab.call(&alice, "alice", OVERLAY, &mut founder);
    assert_eq!(found(&events), ("DNS and web", true));
    founder.kill();

    let sentence = lab.refusal(&alice, "erin", "nobody.test");
    assert!(sentence.contains("there is no nobody.test in DNS"), "{sentence}");
    drop(servers);

    let tomorrow = WebCertificate::new(lab.folder.path(), 86_400);
    let _servers = Servers::start(&lab, &server, &tomorrow);
    alice.trust(&tomorrow.roots());
    let sentence = lab.refusal(&alice, "erin", OVERLAY);
    assert!(sentence.contains("check date and time"), "{sentence}");
}

/// R6940-11.4-05: without DNS, two computers on one network meet by the name of their overlay; the
/// one that has no document yet is asked first, for nothing proves the one that it got. Who has
/// said yes is not asked again.
#[test]
fn without_dns_the_network_is_enough() {
    let lab = Lab::new("lan");
    let [bob, alice] = [lab.lan.host(), lab.lan.host()];
    let mut founder = lab.founder(&bob);
    let sentence = lab.refusal(&alice, "alice", OVERLAY);
    assert!(sentence.contains("nothing proves that what was found on this network"), "{sentence}");
    let kept = lab.path("alice").join("overlays").join(OVERLAY).join("document.xml");
    assert!(!kept.exists(), "what was refused is not kept");
    let yes = ["--accept-unproved"];
    let events = lab.call_with(&alice, "alice", OVERLAY, &mut founder, &yes);
    assert_eq!(found(&events), ("This network", false));
    let question = events.iter().find(|event| event["event"] == "unproved").expect("a question");
    assert_eq!(question["overlay"], OVERLAY);
    assert_eq!(question["from"], format!("{}:6084", bob.address()));
    let again = lab.call(&alice, "alice", OVERLAY, &mut founder);
    assert!(again.iter().all(|event| event["event"] != "unproved"), "{again:?}");
}

/// R6940-11.2-08: who is seen by nobody and sees nobody joins by an invitation alone. Another
/// document of the same name is not taken for the one that the invitation is for.
#[test]
fn an_invitation_alone_is_enough() {
    let lab = Lab::new("inv");
    let [bob, carol] = [lab.lan.host(), lab.lan.host()];
    let mut founder = lab.founder(&bob);
    let invited = support::program()
        .args(["overlay", "invite", &lab.document(), "--address"])
        .arg(format!("{}:6084", bob.address()))
        .output()
        .expect("the program starts");
    assert!(invited.status.success(), "{invited:?}");
    let link = String::from_utf8(invited.stdout).expect("a link");
    lab.hide("carol");
    let events = lab.call(&carol, "carol", link.trim(), &mut founder);
    assert_eq!(found(&events), ("Invitation", true));

    let (before, rest) = link.trim().split_once("document=").expect("a fingerprint");
    let other = format!("{before}document={}{}", "00".repeat(32), &rest[64..]);
    lab.hide("erin");
    let sentence = lab.refusal(&carol, "erin", &other);
    assert!(sentence.contains("not the one that the invitation is for"), "{sentence}");
}
