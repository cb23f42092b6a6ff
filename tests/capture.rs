//! What passes between peers, judged from outside: captures of a whole call are read by
//! Wireshark's dissectors, which are not ours, and byte by byte against the figures of RFC 6940.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{OVERLAY, Overlay};

/// tshark decodes every message of a call on each of three peers, finds nothing malformed, and
/// sees all steps of the call. R6940-6.3.2-02, R6940-6.3.2-04: it reads the overlay's hash
/// and the version where the RFC puts them. The same judge does find a broken message.
#[test]
fn wireshark_decodes_a_whole_call() {
    let (overlay, captures) = captured_call();
    assert_eq!(OVERLAY, "lab.example", "the name that the hash is of");
    let mut codes = BTreeSet::new();
    for capture in &captures {
        let frames = dissect(capture);
        assert_eq!(complaints(&frames), Vec::<String>::new(), "{}", capture.display());
        for frame in frames.iter().filter(|frame| !frame.overlay.is_empty()) {
            assert_eq!((frame.overlay.as_str(), frame.version.as_str()), (OVERLAY_HASH, "0x0a"));
        }
        codes.extend(frames.iter().flat_map(|frame| frame.codes()));
        let sip: Vec<&str> =
            frames.iter().map(|f| f.sip.as_str()).filter(|s| !s.is_empty()).collect();
        for step in if is_of_a_talker(capture) { SIP_STEPS } else { &[] } {
            assert!(sip.contains(step), "{step} in {}: {sip:?}", capture.display());
        }
    }
    let missing: Vec<_> = MESSAGES.iter().filter(|(code, _)| !codes.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?} are not among {codes:?}");

    let broken = overlay.path("broken.pcap");
    std::fs::write(&broken, with_broken_message(&captures[0])).expect("written");
    assert!(!complaints(&dissect(&broken)).is_empty(), "a broken message is complained about");
}

/// Every message on the wire has the header of RFC 6940 §6.3.2, read here without our codec.
/// R6940-6.3.2-01, R6940-6.3.2-02, R6940-6.3.2-04: token, overlay and version are constants.
/// R6940-6.3.2-07: requests start at TTL 100. R6940-6.3.2-10: answers repeat the transaction id.
/// R6940-6.3.2-12: answers limit no answer. R6940-6.3.2-14: the length is that of the
/// message as sent. R6940-6.3.2-15, R6940-6.3.2-16: the bits of the fragment field.
/// R6940-6.3-01: header, contents and security block fill a message to the last byte.
/// R7904-1-01: while two people talk, links carry such messages and acknowledgements alone.
/// R7904-5.1-01: AppAttach asks for application 5060. R7904-4.2-02: Fetch lists no keys.
#[test]
fn the_bytes_are_those_of_the_rfc() {
    let (_overlay, captures) = captured_call();
    let mut requests = BTreeMap::new();
    let mut answers = Vec::new();
    let mut seen = BTreeSet::new();
    for capture in &captures {
        for message in reload_messages(capture) {
            let header = check_header(&message);
            if header.fragment != 0xc000_0000 {
                continue;
            }
            let (code, body) = check_whole(&message, header.lists_end);
            seen.insert(code);
            match code {
                0x1d => assert_eq!(application(body), 5060),
                9 => check_fetch(body),
                _ => {}
            }
            if code % 2 == 1 && code != ERROR {
                assert!(header.ttl <= 100);
                requests.insert(header.transaction, code);
            } else {
                assert_eq!(header.max_response_length, 0);
                answers.push((header.transaction, code));
            }
        }
    }
    assert!(answers.len() > 20, "{} answers", answers.len());
    for (transaction, code) in answers {
        // The request may have been in fragments.
        if let Some(request) = requests.get(&transaction) {
            assert!(code == request + 1 || code == ERROR, "{code} answers {request}");
        }
    }
    for code in [3, 9, 0x13, 0x1d] {
        assert!(seen.contains(&code), "{code} is not among {seen:?}");
    }
}

/// A call between alice and bob in the overlay of carol, and a look-up that crosses a link, with
/// captures of all three.
fn captured_call() -> (Overlay, Vec<PathBuf>) {
    let lab = Overlay::new();
    let options = |name: &str| {
        let path = lab.path(&format!("{name}.pcap"));
        ["--pcap".to_owned(), path.to_str().expect("UTF-8").to_owned()]
    };
    let [alice, bob, carol, look_up] = ["alice", "bob", "carol", "look-up"].map(options);
    let paths = [&alice, &bob, &carol, &look_up].map(|options| PathBuf::from(&options[1]));
    let (lab, mut founder) = lab.founded("carol", &[&carol[0], &carol[1]]);
    let mut callee = lab.speaker_with("bob", &[&bob[0], &bob[1]]);
    callee.wait("registered");
    let (code, events) = lab.call("alice", "bob", 2, &[&alice[0], &alice[1]]).finish();
    assert_eq!(code, 0, "{events:?}");
    // Which peer a name's place is at is chance; at one of these it is not the caller's own.
    let crossed = (0..20).any(|number| {
        let name = format!("nobody{number}");
        let (_, events) = lab.call("alice", &name, 2, &[&look_up[0], &look_up[1]]).finish();
        events.last().expect("a report")["hops"].as_u64() > Some(0)
    });
    assert!(crossed, "twenty names in a row have their place at the caller");
    for phone in [&mut callee, &mut founder] {
        phone.terminate();
        assert_eq!(phone.finish().0, 0);
    }
    (lab, paths.to_vec())
}

fn is_of_a_talker(capture: &Path) -> bool {
    ["alice.pcap", "bob.pcap"].iter().any(|name| capture.ends_with(name))
}

/// What tshark says of one packet.
struct Frame {
    malformed: bool,
    expert: String,
    code: String,
    version: String,
    overlay: String,
    sip: String,
    is_known: bool,
}

impl Frame {
    fn codes(&self) -> Vec<u16> {
        self.code.split(',').filter_map(|code| code.parse().ok()).collect()
    }
}

fn dissect(capture: &Path) -> Vec<Frame> {
    let fields = [
        "frame.protocols",
        "_ws.malformed",
        "_ws.expert.severity",
        "_ws.expert.message",
        "reload.message.code",
        "reload.forwarding.version",
        "reload.forwarding.overlay",
        "sip.Method",
        "sip.Status-Code",
    ];
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(capture).args(["-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let frame = |line: &str| {
        let cells: Vec<&str> = line.split('|').collect();
        let severe = cells[2].split(',').filter_map(|s| s.parse::<u32>().ok());
        let severe = severe.max() >= Some(EXPERT_WARNING);
        Frame {
            malformed: !cells[1].is_empty() || cells[0].contains("_ws.malformed"),
            expert: if severe { cells[3].to_owned() } else { String::new() },
            code: cells[4].to_owned(),
            version: cells[5].to_owned(),
            overlay: cells[6].to_owned(),
            sip: format!("{}{}", cells[7], cells[8]),
            is_known: ["reload-framing", "sip"].iter().any(|p| cells[0].contains(p)),
        }
    };
    let frames: Vec<Frame> = text.lines().map(frame).collect();
    assert!(frames.len() > 10, "{} packets in {}", frames.len(), capture.display());
    frames
}

/// What is wrong with packets, one line for each.
fn complaints(frames: &[Frame]) -> Vec<String> {
    let numbered = (1..).zip(frames);
    let bad = numbered.filter(|(_, f)| f.malformed || !f.expert.is_empty() || !f.is_known);
    bad.map(|(number, f)| format!("packet {number}: {} {}", f.code, f.expert)).collect()
}

/// A capture whose first whole message says that its body is longer than it is.
fn with_broken_message(capture: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(capture).expect("a capture");
    let message = reload_messages(capture).into_iter().find(|m| u32_at(m, 12) == 0xc000_0000);
    let message = message.expect("a whole message");
    let at = bytes.windows(message.len()).position(|window| *window == message[..]);
    let body = at.expect("it is there") + check_header(&message).lists_end + 2;
    bytes[body..body + 4].copy_from_slice(&[0, 0, 0xff, 0xff]);
    bytes
}

/// All RELOAD messages of a capture, without their framing.
fn reload_messages(capture: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(capture).expect("a capture");
    assert_eq!(u32_at(&bytes, 0), 0xa1b2_c3d4, "a capture in network byte order");
    assert_eq!(u32_at(&bytes, 20), RAW_IP);
    let mut messages = Vec::new();
    let mut rest = &bytes[24..];
    while !rest.is_empty() {
        let length = u32_at(rest, 8) as usize;
        let packet = &rest[16..16 + length];
        rest = &rest[16 + length..];
        let udp = &packet[if packet[0] >> 4 == 6 { 40 } else { 20 }..];
        let ports = [u16_at(udp, 0), u16_at(udp, 2)];
        let framed = &udp[8..];
        // RFC 6940 §6.6.2: data is 128, a sequence number, a length in three bytes; an
        // acknowledgement is 129 and two words.
        if ports.contains(&6084) && framed[0] == 128 {
            let length = u32_at(framed, 4) & 0x00ff_ffff;
            let length = length as usize;
            assert_eq!(length, framed.len() - 8);
            messages.push(framed[8..].to_vec());
        } else {
            assert!(ports.contains(&5060) || (framed[0] == 129 && framed.len() == 9));
        }
    }
    messages
}

/// Fields of a forwarding header (RFC 6940 §6.3.2).
struct Header {
    ttl: u8,
    fragment: u32,
    transaction: u64,
    max_response_length: u32,
    lists_end: usize,
}

fn check_header(message: &[u8]) -> Header {
    assert_eq!(u32_at(message, 0), 0xd245_4c4f);
    assert_eq!(format!("{:#010x}", u32_at(message, 4)), OVERLAY_HASH);
    assert_eq!(u16_at(message, 8), 1, "the sequence of a new document");
    assert_eq!(message[10], 0x0a);
    let fragment = u32_at(message, 12);
    assert_eq!(fragment & 0xbf00_0000, 0x8000_0000, "always set, and six reserved bits");
    assert_eq!(u32_at(message, 16) as usize, message.len());
    let lists = [32, 34, 36].map(|at| usize::from(u16_at(message, at)));
    assert_eq!(lists[2], 0, "no options");
    Header {
        ttl: message[11],
        fragment,
        transaction: u64::from_be_bytes(array(message, 20)),
        max_response_length: u32_at(message, 28),
        lists_end: 38 + lists.iter().sum::<usize>(),
    }
}

/// The code and the body of a whole message, all of which is walked through.
fn check_whole(message: &[u8], contents: usize) -> (u16, &[u8]) {
    let code = u16_at(message, contents);
    let body = contents + 6;
    let body_end = body + u32_at(message, contents + 2) as usize;
    let extensions_end = body_end + 4 + u32_at(message, body_end) as usize;
    // RFC 6940 §6.3.4: certificates, algorithm, signer's identity, signature.
    let certificates_end = extensions_end + 2 + usize::from(u16_at(message, extensions_end));
    assert_eq!(message[certificates_end..certificates_end + 2], [4, 3], "ECDSA with SHA-256");
    let identity = certificates_end + 2;
    let identity_end = identity + 3 + usize::from(u16_at(message, identity + 1));
    let end = identity_end + 2 + usize::from(u16_at(message, identity_end));
    assert_eq!(end, message.len());
    (code, &message[body..body_end])
}

/// What an AppAttach wants to connect to (RFC 6940 §6.5.2.1), behind ufrag and password.
fn application(body: &[u8]) -> u16 {
    let password = 1 + usize::from(body[0]);
    u16_at(body, password + 1 + usize::from(body[password]))
}

/// A Fetch of registrations asks for all of them (RFC 6940 §7.4.2.1).
fn check_fetch(body: &[u8]) {
    let specifier = 1 + usize::from(body[0]) + 2;
    if u32_at(body, specifier) == SIP_REGISTRATION {
        // Those of other Kinds may follow.
        assert_eq!(body[specifier + 12..specifier + 16], [0, 2, 0, 0], "a specifier with no keys");
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("as long")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(array(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array(bytes, at))
}

/// The last four bytes of the SHA-1 of [`OVERLAY`], from `sha1sum`.
const OVERLAY_HASH: &str = "0xad5851d5";
/// RFC 6940 §14.8.
const ERROR: u16 = 0xffff;
/// RFC 7904 §9.1.
const SIP_REGISTRATION: u32 = 1;
/// Link type of packets that begin with the IP header.
const RAW_IP: u32 = 101;
/// `PI_WARN` of Wireshark.
const EXPERT_WARNING: u32 = 0x0060_0000;
/// What a call looks like to both ends; the last 200 answers BYE.
const SIP_STEPS: &[&str] = &["INVITE", "180", "200", "ACK", "BYE"];
/// Codes of RFC 6940 §14.8 that must appear from the first join to the last farewell.
const MESSAGES: &[(u16, &str)] = &[
    (3, "attach_req"),
    (4, "attach_ans"),
    (7, "store_req"),
    (8, "store_ans"),
    (9, "fetch_req"),
    (10, "fetch_ans"),
    (15, "join_req"),
    (16, "join_ans"),
    (17, "leave_req"),
    (18, "leave_ans"),
    (19, "update_req"),
    (20, "update_ans"),
    (29, "app_attach_req"),
    (30, "app_attach_ans"),
];
