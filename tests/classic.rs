//! Calls with phones that know nothing of overlays: baresip, and sipp with its scenarios.
#![cfg(target_os = "linux")]

mod support;

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::registrar::{Registrar, own_address};
use support::{PATIENCE, Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard, program};

/// RFC 3261 §10, RFC 8760: the phone proves its password to the registrar, with the better of two
/// ways, and signs off at the end. A call of it to another program has sound both ways.
#[test]
fn a_call_to_another_program() {
    let lab = Lab::new();
    let baresip = lab.baresip(&[]);
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
    let baresip = lab.baresip_at(port, &["-e", &dial]);
    assert_eq!(alice.wait("incoming")["peer"], "bob@lab.example", "{}", baresip.log());
    let ended = alice.wait("ended");
    assert_eq!(ended["answered"], true, "{ended}");
    alice.interrupt();
    assert_eq!(alice.finish().0, 0);
    assert_heard(SPEECH_BOB, &lab.path("alice-heard.wav"));
    assert_heard(SPEECH_ALICE, &baresip.heard());
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
    let until = Instant::now() + PATIENCE;
    let listens = format!(":{port:04X} 00000000:0000 0A");
    while !std::fs::read_to_string("/proc/net/tcp").expect("a list").contains(&listens) {
        assert!(Instant::now() < until, "{}", lab.errors());
        std::thread::sleep(Duration::from_millis(20));
    }
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

    /// sipp has seen all that its scenario has, and nothing else.
    fn assert_content(&self, sipp: Child) {
        let Output { status, stdout, stderr } = sipp.wait_with_output().expect("sipp ends");
        let said = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(status.success(), "{said:?}\n{}", self.errors());
    }

    fn baresip(&self, options: &[&str]) -> Baresip {
        self.baresip_at(free_port(), options)
    }

    /// Another program, which answers every call, speaks and records.
    fn baresip_at(&self, port: u16, options: &[&str]) -> Baresip {
        let address = SocketAddr::new(own_address(), port);
        let folder = self.path("baresip");
        std::fs::create_dir(&folder).expect("a folder");
        let config = format!(
            "sip_listen {address}\nmodule_path /usr/lib/baresip/modules\nmodule opus.so\n\
             module aufile.so\nmodule aubridge.so\nmodule sndfile.so\nsnd_path {}\n\
             module_tmp account.so\nmodule_app menu.so\naudio_source aufile,{SPEECH_BOB}\n\
             audio_player aubridge,speaker\naudio_alert aufile,/dev/null\nausrc_srate 16000\n\
             auplay_srate 48000\nausrc_channels 1\nauplay_channels 1\nausrc_format s16\n\
             auplay_format s16\nauenc_format s16\naudec_format s16\naudio_buffer 20-160\n\
             rtcp_mux no\nopus_stereo no\nopus_sprop_stereo no\ncall_max_calls 4\n",
            folder.display()
        );
        let account = "<sip:bob@lab.example>;regint=0;answermode=auto;audio_codecs=opus/48000/1\n";
        std::fs::write(folder.join("config"), config).expect("written");
        std::fs::write(folder.join("accounts"), account).expect("written");
        std::fs::write(folder.join("contacts"), "").expect("written");
        let log = folder.join("log");
        let output = std::fs::File::create(&log).expect("written");
        let child = Command::new("baresip")
            .arg("-f")
            .arg(&folder)
            .args(options)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("baresip starts: Debian's package is baresip-core");
        let baresip = Baresip { child, address, folder };
        baresip.wait_until_ready();
        baresip
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

/// Another program that is a phone; it ends when this is dropped.
struct Baresip {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Baresip {
    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait_until_ready(&self) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains("baresip is ready") {
            assert!(Instant::now() < until, "{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has heard.
    fn heard(mut self) -> PathBuf {
        let id = self.child.id().to_string();
        // It writes the end of the recording when it is told to go.
        let _ = Command::new("kill").args(["-INT", &id]).status();
        self.child.wait().expect("it ends");
        let files = std::fs::read_dir(&self.folder).expect("a folder").flatten();
        let mut files = files.map(|file| file.path());
        let heard = files.find(|path| path.to_string_lossy().ends_with("-dec.wav"));
        heard.expect("a recording")
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn account(server: SocketAddr, lines: &str) -> String {
    format!("address = \"alice@lab.example\"\nserver = \"{server}\"\n{lines}\n")
}

fn free_port() -> u16 {
    let socket = UdpSocket::bind((own_address(), 0)).expect("a port");
    socket.local_addr().expect("an address").port()
}
