//! Calls with phones that know nothing of overlays: baresip, and sipp with its scenarios.
#![cfg(target_os = "linux")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use chordial::media::Recording;
use chordial::phone::{Event, SipAccount, SipPhone, SipPhoneOptions};
use support::baresip::Baresip;
use support::registrar::{Registrar, own_address};
use support::{Overlay, PATIENCE, Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard, program};

/// RFC 3261 §10, RFC 8760: the phone proves its password to the registrar, with the better of two
/// ways, and signs off at the end. A call of it to another program has sound both ways.
#[test]
fn a_call_to_another_program() {
    let lab = Lab::new();
    let baresip = lab.baresip(OPUS);
    let registrar = Registrar::start("open sesame", baresip.address);
    let mut alice = lab.alice(
        &account(registrar.address(), "password = \"open sesame\""),
        &["--call", "bob", "--seconds", "4"],
    );
    let (code, events) = alice.finish();
    assert_eq!(code, 0, "{events:?}\n{}", baresip.log());
    let told = |name: &str| events.iter().any(|event| event["event"] == name);
    assert!(told("registered") && told("answered"), "{events:?}");
    let registers = registrar.heard("REGISTER");
    assert!(registers.last().is_some_and(|last| last.contains("Expires: 0")), "{registers:?}");
    assert!(!registers.iter().any(|text| text.contains("sesame")));
    assert_heard(SPEECH_BOB, &lab.path("alice-heard.wav"));
    assert_heard(SPEECH_ALICE, &baresip.heard());
}

/// A call of another program comes in by way of the registrar, and has sound both ways.
#[test]
fn a_call_from_another_program() {
    let lab = Lab::new();
    let port = free_port();
    let registrar = Registrar::start("open sesame", (own_address(), port).into());
    let account = account(registrar.address(), "password = \"open sesame\"");
    let mut alice = lab.alice(&account, &["--answer"]);
    alice.wait("registered");
    let dial = format!("/dial sip:alice@{}", registrar.address());
    let baresip = lab.baresip_at(port, OPUS, &["-e", &dial]);
    assert_eq!(alice.wait("incoming")["peer"], "bob@lab.example", "{}", baresip.log());
    let ended = alice.wait("ended");
    assert_eq!(ended["answered"], true, "{ended}");
    alice.interrupt();
    assert_eq!(alice.finish().0, 0);
    assert_heard(SPEECH_BOB, &lab.path("alice-heard.wav"));
    assert_heard(SPEECH_ALICE, &baresip.heard());
}

/// A peer of an overlay is called at its user's ordinary account, and both sides are heard; at its
/// end it signs off.
#[test]
fn a_call_to_the_account_of_a_peer() {
    let (lab, overlay) = (Lab::new(), Overlay::new());
    let port = free_port();
    let registrar = Registrar::start("open sesame", (own_address(), port).into());
    let accounts = overlay.path("alice/sip");
    std::fs::create_dir_all(&accounts).expect("made");
    let account = account(registrar.address(), "password = \"open sesame\"");
    std::fs::write(accounts.join("lab.toml"), account).expect("written");
    let heard = lab.path("alice-heard.wav");
    let heard_text = heard.to_str().expect("a path");
    let options = ["--answer", "--play", SPEECH_ALICE, "--record", heard_text];
    let (_overlay, mut alice) = overlay.founded("alice", &options);
    let until = Instant::now() + PATIENCE;
    while !registrar.heard("REGISTER").iter().any(|text| text.contains("Authorization:")) {
        assert!(Instant::now() < until, "{:?}", alice.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let dial = format!("/dial sip:alice@{}", registrar.address());
    let baresip = lab.baresip_at(port, OPUS, &["-e", &dial]);
    assert_eq!(alice.wait("incoming")["peer"], "bob@lab.example", "{}", baresip.log());
    let ended = alice.wait("ended");
    let figures = ["answered", "sound_sent", "sound_received"].map(|name| &ended[name]);
    assert!(figures.iter().all(|figure| **figure == true), "{ended}");
    alice.interrupt();
    assert_eq!(alice.finish().0, 0);
    let registers = registrar.heard("REGISTER");
    assert!(registers.last().is_some_and(|last| last.contains("Expires: 0")), "{registers:?}");
    assert_heard(SPEECH_BOB, &heard);
    assert_heard(SPEECH_ALICE, &baresip.heard());
}

/// RFC 3551 §4.5.14: a phone that knows nothing but the sound of a telephone, called by us with
/// µ-law and calling us with A-law.
#[test]
fn calls_with_an_ordinary_telephone() {
    let lab = Lab::new();
    let baresip = lab.baresip("PCMU/8000/1");
    let account_of = |port| account((own_address(), port).into(), "register = false");
    let mut alice =
        lab.alice(&account_of(baresip.address.port()), &["--call", "bob", "--seconds", "4"]);
    let (code, events) = alice.finish();
    assert_eq!(code, 0, "{events:?}\n{}", baresip.log());
    assert_heard(SPEECH_BOB, &lab.path("alice-heard.wav"));
    assert_heard(SPEECH_ALICE, &baresip.heard());

    let lab = Lab::new();
    let port = free_port();
    let registrar = Registrar::start("open sesame", (own_address(), port).into());
    let account = account(registrar.address(), "password = \"open sesame\"");
    let mut alice = lab.alice(&account, &["--answer"]);
    alice.wait("registered");
    let dial = format!("/dial sip:alice@{}", registrar.address());
    let baresip = lab.baresip_at(port, "PCMA/8000/1", &["-e", &dial]);
    assert_eq!(alice.wait("ended")["answered"], true, "{}", baresip.log());
    alice.interrupt();
    alice.finish();
    assert_heard(SPEECH_BOB, &lab.path("alice-heard.wav"));
    assert_heard(SPEECH_ALICE, &baresip.heard());
}

/// RFC 3264 §8.4, RFC 3515: a call is put on hold and gone on with, and handed over, as sipp wants
/// to see it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_in_a_call() {
    let lab = Lab::new();
    let port = free_port();
    let sipp = lab.sipp("handed_over", port, "t1");
    lab.wait_for_listener(port);
    let lines = "transport = \"tcp\"\nregister = false";
    let file = lab.path("account.toml");
    std::fs::write(&file, account(SocketAddr::new(own_address(), port), lines)).expect("written");
    let options = SipPhoneOptions {
        account: SipAccount::read(&file).expect("an account"),
        play: Some(Recording::read(SPEECH_ALICE.as_ref()).expect("speech")),
        record: Some(lab.path("heard.wav")),
        auto_answer: false,
    };
    let mut phone = SipPhone::open(options).await.expect("a way");
    phone.dial("bob@lab.example".parse().expect("an address")).await;
    let call = until(&mut phone, |event| match event {
        Event::Answered { call, .. } => Some(*call),
        _ => None,
    });
    let call = call.await;
    for is_on_hold in [true, false] {
        phone.hold(call, is_on_hold).await;
        let held = until(&mut phone, |event| match event {
            Event::Held { by_us, .. } => Some(*by_us),
            _ => None,
        });
        assert_eq!(held.await, is_on_hold);
    }
    phone.transfer(call, "carol@lab.example".parse().expect("an address")).await;
    until(&mut phone, |event| matches!(event, Event::Ended { .. }).then_some(())).await;
    lab.assert_content(sipp);
    phone.close().await;
}

/// Waits for an event.
async fn until<T>(phone: &mut SipPhone, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = phone.next().await.expect("the phone goes on");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("it comes in time")
}

/// A wrong password is said to be wrong, once.
#[test]
fn a_wrong_password() {
    let lab = Lab::new();
    let registrar = Registrar::start("open sesame", (own_address(), 9).into());
    let account = account(registrar.address(), "password = \"open barley\"");
    let mut alice = lab.alice(&account, &[]);
    let error = alice.wait("error");
    let sentence = error["message"].as_str().expect("a sentence").to_owned();
    assert!(sentence.ends_with("does not take the name or the password."), "{sentence}");
    assert_eq!(registrar.heard("REGISTER").len(), 2);
    alice.interrupt();
    alice.finish();
}

/// RFC 3262, 3261 §13.2.2.4: sipp's phone rings twice with responses that have to be confirmed,
/// gives its answer in the first of them, and takes the call.
#[test]
fn provisional_responses_are_confirmed() {
    sipp_takes_a_call("prack", true);
}

/// RFC 4028 §7.3, RFC 3261 §22.2: a phone that wants longer sessions, and then the password, gets
/// them in the same call; sipp checks the proof.
#[test]
fn a_call_is_made_again_as_it_is_wanted() {
    sipp_takes_a_call("wishes", true);
}

/// RFC 3261 §18.3: the same on a stream, where messages follow each other without a mark and none
/// is sent twice.
#[test]
fn a_call_on_a_stream() {
    let lab = Lab::new();
    let port = free_port();
    let sipp = lab.sipp("prack", port, "t1");
    lab.wait_for_listener(port);
    let lines = "transport = \"tcp\"\nregister = false";
    let account = account(SocketAddr::new(own_address(), port), lines);
    let mut alice = lab.alice(&account, &["--call", "bob", "--seconds", "1"]);
    alice.wait("answered");
    lab.assert_content(sipp);
    alice.finish();
}

/// RFC 3261 §9.1, §15: the phone is answered while the CANCEL is on its way to it: the call is
/// acknowledged and ended.
#[test]
fn an_answer_that_crosses_its_cancel() {
    sipp_takes_a_call("crossing", false);
}

/// Lets sipp play the other side, which complains of all that is not as its scenario has it.
fn sipp_takes_a_call(scenario: &str, is_answered: bool) {
    let lab = Lab::new();
    let port = free_port();
    let sipp = lab.sipp(scenario, port, "u1");
    let registrar = Registrar::start("open sesame", (own_address(), port).into());
    let account = account(registrar.address(), "password = \"open sesame\"");
    let mut alice = lab.alice(&account, &["--call", "bob", "--seconds", "1"]);
    if is_answered {
        alice.wait("answered");
    } else {
        let until = Instant::now() + PATIENCE;
        while registrar.heard("SIP/2.0 180").is_empty() {
            assert!(Instant::now() < until, "it never rings: {}", lab.errors());
            std::thread::sleep(Duration::from_millis(20));
        }
        alice.interrupt();
    }
    lab.assert_content(sipp);
    alice.finish();
}

/// A folder for one test.
struct Lab {
    folder: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The phone with this account.
    fn alice(&self, account: &str, options: &[&str]) -> Phone {
        let file = self.path("account.toml");
        std::fs::write(&file, account).expect("written");
        let mut command = program();
        command.arg("sip").arg(file).arg("--json").args(["--play", SPEECH_ALICE, "--record"]);
        command.arg(self.path("alice-heard.wav")).args(options);
        Phone::start(&mut command, "alice")
    }

    /// sipp at this port, with one of the scenarios, over UDP (`u1`) or TCP (`t1`).
    fn sipp(&self, scenario: &str, port: u16, transport: &str) -> Child {
        let file = format!("{}/tests/support/sipp/{scenario}.xml", env!("CARGO_MANIFEST_DIR"));
        Command::new("sipp")
            .args(["-sf", &file, "-t", transport, "-i", &own_address().to_string()])
            .args(["-p", &port.to_string(), "-m", "1", "-nostdin", "-timeout", "60"])
            .args(["-timeout_error", "-trace_err"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sipp starts: Debian's package is sip-tester")
    }

    /// Waits until something listens at a port for TCP.
    fn wait_for_listener(&self, port: u16) {
        let until = Instant::now() + PATIENCE;
        let listens = format!(":{port:04X} 00000000:0000 0A");
        while !std::fs::read_to_string("/proc/net/tcp").expect("a list").contains(&listens) {
            assert!(Instant::now() < until, "{}", self.errors());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// sipp has seen all that its scenario has, and nothing else.
    fn assert_content(&self, sipp: Child) {
        let Output { status, stdout, stderr } = sipp.wait_with_output().expect("sipp ends");
        let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(status.success(), "{said:?}\n{}", self.errors());
    }

    fn baresip(&self, codec: &str) -> Baresip {
        self.baresip_at(free_port(), codec, &[])
    }

    /// Another program, which knows this codec alone, answers every call, speaks and records.
    fn baresip_at(&self, port: u16, codec: &str, options: &[&str]) -> Baresip {
        let address = SocketAddr::new(own_address(), port);
        Baresip::start(Command::new("baresip"), self.folder.path(), address, codec, options)
    }

    /// What sipp complained of.
    fn errors(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).expect("a folder").flatten();
        let is_log = |path: &PathBuf| path.to_string_lossy().contains("errors");
        files
            .map(|f| f.path())
            .filter(is_log)
            .filter_map(|p| std::fs::read_to_string(p).ok())
            .collect()
    }
}

/// What baresip calls the codec that it shares with us.
const OPUS: &str = "opus/48000/1";

fn account(server: SocketAddr, lines: &str) -> String {
    format!("address = \"alice@lab.example\"\nserver = \"{server}\"\n{lines}\n")
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind((own_address(), 0)).expect("a port");
    socket.local_addr().expect("an address").port()
}
