//! Accounts at providers as they are met outside: a server that DNS names, that proves its name,
//! or that is on the other side of a router. Each computer is a network namespace.
#![cfg(target_os = "linux")]

mod support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use chordial::crypto::Authority;
use serde_json::Value;
use support::baresip::Baresip;
use support::internet::{Family, Internet, Nat};
use support::lan::{Host, Lan};
use support::{Phone, SPEECH_ALICE, SPEECH_BOB, assert_heard};

/// The folder of one test.
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

    /// The provider's server, which passes calls to and from this other phone.
    fn server(&self, host: &Host, other: SocketAddr, pem: &[PathBuf]) -> Phone {
        let mut command = host.command("python3");
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/sip_server.py"))
            .args([host.address(), "5060", "5061", &other.to_string()])
            .args(pem);
        let mut server = Phone::start(&mut command, "server");
        server.wait("ready");
        server
    }

    /// The phone with this account.
    fn alice(&self, host: &Host, account: &str, options: &[&str]) -> Phone {
        let file = self.path("account.toml");
        std::fs::write(&file, account).expect("written");
        let mut command = host.command(env!("CARGO_BIN_EXE_chordial"));
        command.arg("sip").arg(file).arg("--json").args(["--play", SPEECH_ALICE, "--record"]);
        command.arg(self.path("alice-heard.wav")).args(options);
        Phone::start(&mut command, "alice")
    }

    /// How the server of an account was reached.
    fn reached(&self, host: &Host, account: &str, server: &mut Phone) -> Value {
        let mut alice = self.alice(host, account, &[]);
        alice.wait("registered");
        let seen = server.wait("register");
        alice.interrupt();
        alice.finish();
        server.wait("unregister");
        seen["transport"].clone()
    }

    /// A certificate for a name with its key, and the authority that it is to be believed by.
    fn certificate(&self, name: &str) -> (PathBuf, Vec<PathBuf>) {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = u64::try_from(since.expect("after 1970").as_millis()).expect("a time");
        let from_ms = now_ms - 3_600_000;
        let authority = Authority::generate("Lab", from_ms).expect("an authority");
        let keys = authority.issue_server(&[name], &[], from_ms..from_ms + 86_400_000);
        let keys = keys.expect("issued");
        let write = |file: &str, label: &str, der: &[u8]| {
            let path = self.path(&format!("{name}-{file}.pem"));
            std::fs::write(&path, pem(label, der)).expect("written");
            path
        };
        let root = write("root", "CERTIFICATE", authority.certificate_der());
        let chain = write("chain", "CERTIFICATE", &keys.certificate_der);
        (root, vec![chain, write("key", "PRIVATE KEY", &keys.private_key_der)])
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;

    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A DNS server; it ends when this is dropped.
struct Dns(Child);

impl Dns {
    /// dnsmasq with these records; `server` and `gone` are hosts of the names `*.hosts.test`.
    fn start(host: &Host, server: &Host, gone: &Host, records: &[&str]) -> Self {
        let dnsmasq = host
            .command("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"])
            .args(["--user=root", "--pid-file=", "--local=/test/"])
            .arg(format!("--listen-address={}", host.address()))
            .arg(format!("--host-record=server.hosts.test,{}", server.address()))
            .arg(format!("--host-record=gone.hosts.test,{}", gone.address()))
            .arg(format!("--host-record=plain.test,{}", server.address()))
            .args(records)
            .stdin(Stdio::null())
            .spawn();
        Self(dnsmasq.expect("dnsmasq is there"))
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// RFC 3263 §4: NAPTR records say how a domain is reached and SRV records where; where nobody is,
/// the next is tried. A domain with SRV records alone is reached as these say, one with an address
/// alone by UDP. A TLS server has to prove the domain's name, whatever host DNS names, and
/// whoever wants TLS goes no other way.
#[test]
fn a_server_is_found_by_its_domain() {
    let (lab, lan) = (Lab::new(), Lan::new("dom"));
    let [dns, server, gone, alice] = [lan.host(), lan.host(), lan.host(), lan.host()];
    let _dns = Dns::start(
        &dns,
        &server,
        &gone,
        &[
            "--naptr-record=two.test,10,1,S,SIP+D2U,,_sip._udp.two.test",
            "--naptr-record=two.test,20,1,S,SIP+D2T,,_sip._tcp.two.test",
            "--srv-host=_sip._udp.two.test,gone.hosts.test,5060,1,1",
            "--srv-host=_sip._tcp.two.test,server.hosts.test,5060,1,1",
            "--srv-host=_sip._tcp.tcp.test,gone.hosts.test,5060,1,1",
            "--srv-host=_sip._tcp.tcp.test,server.hosts.test,5060,2,1",
            "--naptr-record=safe.test,10,1,S,SIPS+D2T,,_sips._tcp.safe.test",
            "--srv-host=_sips._tcp.safe.test,server.hosts.test,5061,1,1",
        ],
    );
    alice.use_dns(&dns);
    let (root, pem) = lab.certificate("safe.test");
    let mut at = lab.server(&server, "192.0.2.9:5060".parse().expect("an address"), &pem);
    let account = |domain: &str, more: &str| format!("address = \"alice@{domain}\"\n{more}\n");
    for (domain, transport) in [("two.test", "tcp"), ("tcp.test", "tcp"), ("plain.test", "udp")] {
        let account = account(domain, "");
        assert_eq!(lab.reached(&alice, &account, &mut at), transport, "{domain}");
    }
    let believes = format!("certificates = \"{}\"", root.display());
    assert_eq!(lab.reached(&alice, &account("safe.test", &believes), &mut at), "tls");

    let (other, _) = lab.certificate("other.test");
    let doubts = format!("transport = \"tls\"\ncertificates = \"{}\"", other.display());
    let mut phone = lab.alice(&alice, &account("safe.test", &doubts), &[]);
    assert_eq!(phone.finish().0, 2);
    let sentence = phone.stderr();
    assert!(sentence.contains("The SIP server safe.test can't be used"), "{sentence}");
}

/// RFC 3581 §4, RFC 4961: from behind a router the phone is registered where the provider sees it,
/// a call comes in from there, and both hear each other though neither the provider nor the other
/// phone helps with the router. When the computer is taken to another network, it is registered
/// from there.
#[test]
fn a_phone_behind_a_router() {
    let lab = Lab::new();
    let internet = Internet::new("sip", Family::V4);
    let [provider, other] = [internet.host(), internet.host()];
    let [home, elsewhere] = [internet.home(Nat::PortRestricted), internet.home(Nat::Symmetric)];
    let host = home.host();
    let bob: SocketAddr = format!("{}:5060", other.address()).parse().expect("an address");
    let mut at = lab.server(&provider, bob, &[]);
    let account =
        format!("address = \"alice@lab.example\"\nserver = \"{}:5060\"\n", provider.address());
    let mut alice = lab.alice(&host, &account, &["--answer"]);
    alice.wait("registered");
    let first = at.wait("register");
    let second = at.wait("register");
    assert!(is_contact(&second, &first["source"]), "{first} {second}");

    let dial = format!("/dial sip:alice@{}", provider.address());
    let command = other.command("baresip");
    let baresip = Baresip::start(command, lab.folder.path(), bob, "PCMA/8000/1", &["-e", &dial]);
    assert_eq!(alice.wait("ended")["answered"], true, "{}", baresip.log());
    assert_heard(SPEECH_BOB, &lab.path("alice-heard.wav"));
    assert_heard(SPEECH_ALICE, &baresip.heard());

    host.pull("eth0");
    elsewhere.take_in(&host, "eth1");
    let mut moved = at.wait("register");
    while moved["source"] == first["source"] || !is_contact(&moved, &moved["source"]) {
        moved = at.wait("register");
    }
    alice.wait("registered");
    alice.interrupt();
    alice.finish();
}

/// Whether calls to the user were to be sent to this address.
fn is_contact(register: &Value, address: &Value) -> bool {
    let (contact, address) = (register["contact"].as_str(), address.as_str());
    let (contact, address) = (contact.unwrap_or_default(), address.expect("an address"));
    contact.contains(&format!("@{address}:"))
}
