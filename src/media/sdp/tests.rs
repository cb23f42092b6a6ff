//! Offers and answers, good and bad.

use proptest::prelude::*;

use super::*;

const ORIGIN: Origin = Origin { session_id: 42, version: 1 };

fn side(name: &str, byte: u8) -> MediaDescription {
    MediaDescription {
        ice_ufrag: format!("{name}frag"),
        ice_pwd: format!("{name}passwordpassword123456"),
        candidates: vec![
            "1 1 udp 2130706431 10.0.1.1 40000 typ host".into(),
            "2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 40000".into(),
        ],
        fingerprint: [byte; 32],
        setup: Setup::ActPass,
        opus_payload_type: OPUS_PAYLOAD_TYPE,
        copies_payload_type: Some(COPIES_PAYLOAD_TYPE),
        telephone_event: Some(TELEPHONE_EVENT_PAYLOAD_TYPE),
        direction: Direction::SendRecv,
        recording: Some(false),
    }
}

/// RFC 7866 §6.1.2: each side says whether it records, in a line that others may not know.
#[test]
fn who_records_says_so() {
    let alice = MediaDescription { recording: Some(true), ..side("alice", 1) };
    let text = offer(ORIGIN, &alice);
    assert!(text.contains("a=record:on\r\n"), "{text}");
    let (answer_text, at_bob) = answer(&text, ORIGIN, &side("bob", 2)).expect("a good offer");
    assert_eq!(at_bob.remote.recording, Some(true));
    let accepted = |text: &str| accept(&alice, text).expect("an answer").remote.recording;
    assert_eq!(accepted(&answer_text), Some(false));
    assert_eq!(accepted(&answer_text.replace("a=record:off\r\n", "")), None);
    let other = answer_text.replace("a=record:off", "a=recordpref:nopreference");
    assert_eq!(accepted(&other), Some(false));
}

#[test]
fn an_offer_is_answered_and_accepted() {
    let (alice, bob) = (side("alice", 0xab), side("bob", 0x07));
    let text = offer(ORIGIN, &alice);
    assert!(
        text.contains("m=audio 45664 UDP/TLS/RTP/SAVP 111 63 101\r\nc=IN IP4 192.0.2.3\r\n"),
        "{text}"
    );
    assert!(text.contains("a=rtpmap:111 opus/48000/2\r\n"), "{text}");
    assert!(text.contains("a=setup:actpass\r\n") && text.contains("a=rtcp-mux\r\n"), "{text}");
    assert!(text.contains("a=fingerprint:sha-256 AB:AB:"), "{text}");

    let (answer_text, at_bob) = answer(&text, ORIGIN, &bob).expect("a good offer");
    assert_eq!(at_bob.remote, alice);
    assert_eq!(at_bob.dtls_role, DtlsRole::Client);
    assert!(at_bob.opus.in_band_fec && at_bob.opus.dtx);
    assert_eq!(at_bob.copies, Some(PayloadTypes { send: 63, receive: 63 }));

    let at_alice = accept(&alice, &answer_text).expect("a good answer");
    assert_eq!(at_alice.dtls_role, DtlsRole::Server);
    assert_eq!(at_alice.remote, MediaDescription { setup: Setup::Active, ..bob });
    assert_eq!(at_alice.direction, Direction::SendRecv);
}

#[test]
fn the_answer_takes_the_offers_payload_type() {
    let alice = MediaDescription { opus_payload_type: 96, ..side("alice", 1) };
    let (text, at_bob) = answer(&offer(ORIGIN, &alice), ORIGIN, &side("bob", 2)).expect("good");
    assert_eq!((at_bob.send_payload_type, at_bob.receive_payload_type), (96, 96));
    assert_eq!(accept(&alice, &text).expect("good").send_payload_type, 96);
}

/// RFC 4733 §2.4.1, RFC 3264 §6.1: keys go under the offer's number, with Opus's clock, and only if
/// both sides know them.
#[test]
fn keys_are_agreed_on() {
    let alice = MediaDescription { telephone_event: Some(97), ..side("alice", 1) };
    let text = offer(ORIGIN, &alice);
    assert!(text.contains("a=rtpmap:97 telephone-event/48000\r\na=fmtp:97 0-15\r\n"), "{text}");
    let keys = |n: &Negotiated| (n.send_telephone_event, n.receive_telephone_event);
    let (answered, at_bob) = answer(&text, ORIGIN, &side("bob", 2)).expect("good");
    let at_alice = accept(&alice, &answered).expect("good");
    assert_eq!((keys(&at_alice), keys(&at_bob)), ((Some(97), Some(97)), (Some(97), Some(97))));

    let deaf = MediaDescription { telephone_event: None, ..side("bob", 2) };
    let (answered, at_bob) = answer(&text, ORIGIN, &deaf).expect("good");
    assert!(!answered.contains("telephone-event"), "{answered}");
    let at_alice = accept(&alice, &answered).expect("good");
    assert_eq!((keys(&at_alice), keys(&at_bob)), ((None, None), (None, None)));

    let other_clock = text.replace("telephone-event/48000", "telephone-event/8000");
    let (_, at_bob) = answer(&other_clock, ORIGIN, &side("bob", 2)).expect("good");
    assert_eq!(keys(&at_bob), (None, None));
}

#[test]
fn copies_are_sent_to_those_who_know_them() {
    let plain = MediaDescription { copies_payload_type: None, ..side("alice", 1) };
    let (text, at_bob) = answer(&offer(ORIGIN, &plain), ORIGIN, &side("bob", 2)).expect("good");
    assert_eq!(at_bob.copies, None);
    assert!(!text.contains("red/48000"), "{text}");
    let other = offer(ORIGIN, &side("alice", 1)).replace("fmtp:63 111/111", "fmtp:63 0/0");
    let (_, at_bob) = answer(&other, ORIGIN, &side("bob", 2)).expect("good");
    assert_eq!(at_bob.copies, None, "copies of another codec");
}

#[test]
fn a_wish_to_be_passive_is_heeded() {
    let bob = MediaDescription { setup: Setup::Passive, ..side("bob", 2) };
    let alice = side("alice", 1);
    let (text, at_bob) = answer(&offer(ORIGIN, &alice), ORIGIN, &bob).expect("good");
    assert_eq!(at_bob.dtls_role, DtlsRole::Server);
    assert_eq!(accept(&alice, &text).expect("good").dtls_role, DtlsRole::Client);
}

#[test]
fn hold_turns_the_directions_round() {
    let alice = MediaDescription { direction: Direction::SendOnly, ..side("alice", 1) };
    let (text, at_bob) = answer(&offer(ORIGIN, &alice), ORIGIN, &side("bob", 2)).expect("good");
    assert_eq!(at_bob.direction, Direction::RecvOnly);
    assert!(text.contains("a=recvonly"));
    assert_eq!(accept(&alice, &text).expect("good").direction, Direction::SendOnly);
}

#[test]
fn other_streams_are_refused_one_by_one() {
    let alice = side("alice", 1);
    let video = "m=video 5000 UDP/TLS/RTP/SAVPF 97\r\na=rtpmap:97 VP8/90000\r\n";
    let text = offer(ORIGIN, &alice).replace("m=audio", &format!("{video}m=audio"));
    let (text, _) = answer(&text, ORIGIN, &side("bob", 2)).expect("there is audio too");
    let lines: Vec<&str> = text.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(lines[0], "m=video 0 UDP/TLS/RTP/SAVPF 97");
    assert!(lines[1].starts_with("m=audio 45664 "), "{lines:?}");
}

/// What a browser writes: session-level ICE and fingerprint, SAVPF, several codecs, a mid.
#[test]
fn a_browsers_offer_is_understood() {
    let hex = ["0a"; 32].join(":");
    let text = format!(
        "v=0\no=- 4611731400430051336 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE 0\n\
         a=ice-ufrag:abcd\na=ice-pwd:0123456789012345678901\na=fingerprint:SHA-256 {hex}\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 63 111 0\nc=IN IP4 0.0.0.0\na=mid:0\na=setup:actpass\n\
         a=rtcp-mux\na=rtpmap:63 red/48000/2\na=rtpmap:111 opus/48000/2\n\
         a=fmtp:111 minptime=10; useinbandfec=1; maxaveragebitrate=20000\na=sendrecv\n\
         a=candidate:1 1 udp 1 127.0.0.1 5000 typ host\n"
    );
    let (text, negotiated) = answer(&text, ORIGIN, &side("bob", 2)).expect("a browser's offer");
    assert_eq!(negotiated.send_payload_type, 111);
    assert_eq!(negotiated.remote.fingerprint, [10; 32]);
    assert_eq!(negotiated.opus.bitrate_max, Some(20_000));
    assert_eq!(negotiated.copies, Some(PayloadTypes { send: 63, receive: 63 }));
    assert!(text.contains("UDP/TLS/RTP/SAVPF 111 63") && text.contains("a=mid:0"), "{text}");
}

#[test]
fn each_fault_has_its_error() {
    let good = offer(ORIGIN, &side("alice", 1));
    let fault = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in the offer");
        answer(&good.replace(from, to), ORIGIN, &side("bob", 2)).expect_err("a faulty offer")
    };
    assert!(matches!(fault("opus/48000/2", "PCMU/8000"), SdpError::NoCommonCodec));
    assert!(matches!(fault("sha-256", "sha-1"), SdpError::NoFingerprint));
    assert!(matches!(fault("sha-256 01:", "sha-256 "), SdpError::BadAttribute("fingerprint")));
    assert!(matches!(fault("a=ice-ufrag", "a=x-ufrag"), SdpError::NoIce));
    assert!(matches!(fault("a=rtcp-mux", "a=rtcp-max"), SdpError::NoRtcpMux));
    assert!(matches!(fault("UDP/TLS/RTP/SAVP", "RTP/AVP"), SdpError::NoAudio));
    assert!(matches!(fault("setup:actpass", "setup:holdconn"), SdpError::BadAttribute("setup")));
    assert!(matches!(fault("v=0", "w=0"), SdpError::Malformed(_)));
    assert!(fault("v=0", "w=0").is_malformed() && !fault("opus", "sopu").is_malformed());
    let long = good + &"a=x\r\n".repeat(limits::TEXT_MAX / 5);
    assert!(matches!(Offer::parse(&long), Err(SdpError::TooLong(_))));
}

#[test]
fn a_refused_stream_and_two_clients_are_told() {
    let alice = side("alice", 1);
    let (text, _) = answer(&offer(ORIGIN, &alice), ORIGIN, &side("bob", 2)).expect("good");
    let refused = text.replace("m=audio 45664", "m=audio 0");
    assert!(matches!(accept(&alice, &refused), Err(SdpError::Refused)));
    let unclear = text.replace("setup:active", "setup:actpass");
    assert!(matches!(accept(&alice, &unclear), Err(SdpError::BadSetup)));
    let no_default = MediaDescription { candidates: Vec::new(), ..alice };
    assert!(offer(ORIGIN, &no_default).contains("m=audio 9 UDP/TLS/RTP/SAVP 111 63 101"));
}

proptest! {
    /// Whatever arrives, the reader answers.
    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}", lines in "([a-z]=[ -~]{0,40}\r\n){0,20}") {
        let _ = Offer::parse(&text);
        let _ = Offer::parse(&format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{lines}"));
    }

    /// A good offer with a piece cut out never panics.
    #[test]
    fn a_cut_offer_is_survived(start in 0usize..900, length in 0usize..80) {
        let good = offer(ORIGIN, &side("alice", 1));
        let start = start.min(good.len());
        let end = (start + length).min(good.len());
        let _ = Offer::parse(&format!("{}{}", &good[..start], &good[end..]));
    }
}
