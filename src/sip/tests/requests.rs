//! Requests as other implementations, and attackers, might send them.

use super::*;

/// An INVITE from Alice; `more` stands before the empty line.
fn invite(branch: &str, more: &str) -> String {
    format!(
        "INVITE sip:bob@o SIP/2.0\nVia: SIP/2.0/DTLS-UDP o;branch=z9hG4bK{branch}\n\
         From: <sip:alice@o>;tag=a\nTo: <sip:bob@o>\nCall-ID: c{branch}\nCSeq: 1 INVITE\n\
         Contact: <sip:alice@o;gr=x>\nMax-Forwards: 70\n{more}\n"
    )
}

fn codes(answers: &[Response]) -> Vec<u16> {
    answers.iter().map(Response::code).collect()
}

#[test]
fn an_invite_gets_100_at_once_and_again() {
    let mut world = World::new();
    assert_eq!(codes(&world.ask_bob(&invite("1", ""))), [100]);
    assert_eq!(codes(&world.ask_bob(&invite("1", ""))), [100]);
    assert_eq!(world.of(BOB).len(), 1, "one call, not two");
}

#[test]
fn what_cannot_be_served_is_refused_with_the_right_code() {
    let base = invite("1", "");
    let cases: [(&str, &str, u16); 12] = [
        ("sip:bob@o SIP/2.0", "sip:bob@o SIP/7.0", 505),
        ("INVITE sip:bob@o", "INVITE <sip:bob@o>", 400),
        ("CSeq: 1 INVITE", "CSeq: 1 BYE", 400),
        ("CSeq: 1 INVITE", "CSeq: 4294967297 INVITE", 400),
        ("Contact: <sip:alice@o;gr=x>", "X: y", 400),
        ("Call-ID: c1", "Call-ID: c1\nCall-ID: c2", 400),
        ("Max-Forwards: 70", "Content-Length: 9", 400),
        ("INVITE sip:bob@o", "INVITE tel:+4930", 416),
        ("Max-Forwards: 70", "Require: 100rel, gruu", 420),
        ("From: <sip:alice@o>", "From: <sip:alice%40o@evil>", 403),
        ("From: <sip:alice@o>", "From: <tel:+4930>", 403),
        ("To: <sip:bob@o>", "To: <sip:bob@o>;tag=unknown", 481),
    ];
    for (old, new, code) in cases {
        let mut world = World::new();
        assert!(base.contains(old));
        let answers = world.ask_bob(&base.replace(old, new));
        assert_eq!(codes(&answers), [code], "{new}");
        let refused =
            |e: &Event| matches!(e, Event::Refused { status, .. } if status.code() == code);
        assert_eq!(world.has(BOB, refused), code != 481, "told unless it is within a dialog");
        if code == 420 {
            assert_eq!(answers[0].headers.first("Unsupported"), Some("gruu"));
        }
    }
}

#[test]
fn a_body_that_is_no_sdp_is_refused() {
    let mut world = World::new();
    let body = |kind: &str| format!("{}hello", invite("1", &format!("Content-Type: {kind}\n")));
    let answers = world.ask_bob(&body("text/plain"));
    assert_eq!(codes(&answers), [415]);
    assert_eq!(answers[0].headers.first("Accept"), Some("application/sdp"));
    let optional = body("text/plain\nContent-Disposition: render; handling=optional");
    let mut world = World::new();
    assert_eq!(codes(&world.ask_bob(&optional)), [100]);
    let mut world = World::new();
    assert_eq!(codes(&world.ask_bob(&body("Application/SDP ; charset=utf-8"))), [100]);
    let coded = body("application/sdp\nContent-Encoding: gzip");
    let mut world = World::new();
    assert_eq!(codes(&world.ask_bob(&coded)), [415]);
}

#[test]
fn methods_that_we_do_not_serve() {
    let mut world = World::new();
    for (number, (method, code)) in
        [("REGISTER", 405), ("invite", 501), ("DANCE", 501), ("OPTIONS", 200), ("BYE", 481)]
            .into_iter()
            .enumerate()
    {
        let text = invite(&number.to_string(), "").replace("INVITE", method);
        let answers = world.ask_bob(&text);
        assert_eq!(codes(&answers), [code], "{method}");
        if code == 405 || method == "OPTIONS" {
            let allow = answers[0].headers.list("Allow");
            let known = "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, PRACK, UPDATE, MESSAGE";
            assert_eq!(allow.join(", "), known);
        }
        assert!(answers[0].headers.to().is_ok_and(|to| to.tag().is_some()));
    }
    let cancel = invite("99", "").replace("INVITE", "CANCEL");
    assert_eq!(codes(&world.ask_bob(&cancel)), [481]);
    assert!(world.of(BOB).is_empty());
}

#[test]
fn an_ack_is_never_answered() {
    let mut world = World::new();
    assert!(world.ask_bob(&invite("1", "").replace("INVITE", "ACK")).is_empty());
    assert!(world.ask_bob("\n\n").is_empty());
    assert!(world.ask_bob("hello\n\n").is_empty());
    assert_eq!(world.agents[BOB].dropped(), 2);
}

#[test]
fn the_same_call_by_another_way_is_a_loop() {
    let mut world = World::new();
    world.ask_bob(&invite("1", ""));
    let again = invite("1", "").replace("branch=z9hG4bK1", "branch=z9hG4bK2");
    assert_eq!(codes(&world.ask_bob(&again)), [482]);
}

#[test]
fn one_flow_cannot_touch_the_call_of_another() {
    let mut world = World::new();
    let mallory = FlowId(2);
    world.flow_up(BOB, mallory, "mallory@o");
    world.ask_bob(&invite("1", ""));
    let cancel = invite("1", "").replace("INVITE", "CANCEL");
    assert_eq!(codes(&world.ask_bob_on(mallory, &cancel)), [481]);
    world.answer();
    let ok = world.sent.last().and_then(|(_, _, text)| response(text)).expect("200");
    let tag = ok.headers.to().ok().and_then(|to| to.tag().map(str::to_owned)).expect("tag");
    let ack = invite("1", "")
        .replace("branch=z9hG4bK1", "branch=z9hG4bK2")
        .replace("INVITE", "ACK")
        .replace("To: <sip:bob@o>", &format!("To: <sip:bob@o>;tag={tag}"));
    world.ask_bob_on(mallory, &ack);
    assert!(!world.has(BOB, |e| matches!(e, Event::Acked { .. })));
    world.ask_bob(&ack);
    assert!(world.has(BOB, |e| matches!(e, Event::Acked { .. })));

    let bye = ack.replace("ACK", "BYE").replace("CSeq: 1", "CSeq: 2");
    assert_eq!(codes(&world.ask_bob_on(mallory, &bye)), [403]);
    let renamed = bye.replace("From: <sip:alice", "From: <sip:mallory");
    assert_eq!(codes(&world.ask_bob_on(mallory, &renamed)), [403]);
    let stale = bye.replace("CSeq: 2", "CSeq: 0").replace("bK2", "bK3");
    assert_eq!(codes(&world.ask_bob(&stale)), [500]);
    assert_eq!(codes(&world.ask_bob(&bye)), [200]);
    assert_eq!(codes(&world.ask_bob(&bye)), [200], "and again for a retransmission");
    assert_eq!(*world.end(BOB), End::HungUp { by: Side::Them, reason: None });
}

#[test]
fn a_reinvite_refreshes_the_session_and_may_change_it() {
    let mut world = World::new().talking();
    let (_, _, ok) = world
        .sent
        .iter()
        .find(|(who, _, t)| *who == BOB && t.starts_with("SIP/2.0 200"))
        .expect("200");
    let ok = response(ok).expect("parses");
    let line = |name| format!("{name}: {}\n", ok.headers.first(name).unwrap_or(""));
    let same = format!("{}{}{}", line("From"), line("To"), line("Call-ID"));
    let reinvite = |number: u32, body: &str| {
        format!(
            "INVITE sip:bob@o;gr=device2 SIP/2.0\nVia: SIP/2.0/UDP o;branch=z9hG4bKr{number}\n\
             {same}CSeq: {number} INVITE\nContact: <sip:alice@o;gr=x>\n\
             Content-Type: application/sdp\n\n{body}"
        )
    };
    let cseq = ok.headers.cseq().map(|c| c.number).expect("CSeq");
    let changed = world.ask_bob(&reinvite(cseq + 1, "v=0\no=other\n"));
    assert_eq!(codes(&changed), [100]);
    let offer = Some(b"v=0\r\no=other\r\n".to_vec());
    assert_eq!(world.of(BOB).last(), Some(&&Event::Reoffered { leg: INCOMING, offer }));
    let status = rsip::StatusCode::NotAcceptableHere;
    world.command(BOB, Command::Reject { leg: INCOMING, status });
    assert!(world.sent.last().is_some_and(|(_, _, text)| text.starts_with("SIP/2.0 488")));
    let offer = String::from_utf8_lossy(OFFER).into_owned();
    assert_eq!(codes(&world.ask_bob(&reinvite(cseq + 2, &offer))), [100]);
    world.answer();
    let refreshed = world.sent.last().and_then(|(_, _, text)| response(text)).expect("200");
    assert_eq!((refreshed.code(), refreshed.body()), (200, ANSWER));
    let early = world.ask_bob(&reinvite(cseq + 3, &offer));
    assert_eq!(codes(&early), [500], "the 200 before is not acknowledged yet");
    let ack = reinvite(cseq + 2, "").replace("INVITE", "ACK").replace("bKr", "bKa");
    world.ask_bob(&ack);
    world.run_until(60_000);
    assert!(!world.has(BOB, |e| matches!(e, Event::Ended { .. })), "the call goes on");
    let acks = |e: &&Event| matches!(e, Event::Acked { .. });
    assert_eq!(world.of(BOB).iter().filter(|e| acks(e)).count(), 1);
}

#[test]
fn transactions_are_bounded() {
    let mut world = World::new();
    let options = |n: usize| invite(&format!("o{n}"), "").replace("INVITE", "OPTIONS");
    for n in 0..limits::FLOW_SERVER_TRANSACTIONS_MAX {
        assert_eq!(codes(&world.ask_bob(&options(n))), [200]);
    }
    assert_eq!(codes(&world.ask_bob(&options(999))), [503]);
    world.flow_up(BOB, FlowId(2), "alice@o");
    let other = options(0);
    assert_eq!(
        codes(&world.ask_bob_on(FlowId(2), &other.replace("Call-ID: c", "Call-ID: d"))),
        [200]
    );
    world.run_until(32_000);
    assert_eq!(codes(&world.ask_bob(&options(999))), [200], "room again after timer J");
}

/// A digest challenge is a refusal like any other: nothing is ever sent in reply but the ACK.
#[test]
fn a_challenge_is_not_answered() {
    let mut world = World::new();
    world.flow_up(BOB, FLOW, "nobody@o");
    world.invite();
    let invite = world.sent.first().and_then(|(_, _, t)| request(t)).expect("INVITE");
    world.flying.clear();
    let mut challenge = Response::to(&invite, rsip::StatusCode::Unauthorized, Some("t"));
    challenge.headers.push("WWW-Authenticate", "Digest realm=\"o\", nonce=\"n\"");
    world.input(ALICE, Input::Datagram { flow: FLOW, bytes: &challenge.to_bytes() });
    world.run_until(2000);
    assert_eq!(rejected(world.end(ALICE)), Some(401));
    assert_eq!((world.sent(ALICE, "INVITE"), world.sent(ALICE, "ACK")), (1, 1));
}

/// Bytes of real messages, changed at random, harm neither side: whatever they do to the call
/// they hit, the agent stays whole and serves the next one.
#[test]
fn mutated_messages_do_no_harm() {
    let mut rng = Rng::from_number(11);
    let mut world = World::new().talking();
    world.hang_up(ALICE);
    world.run_until(2000);
    let seeds: Vec<Vec<u8>> = world.sent.iter().map(|(_, _, t)| t.clone().into_bytes()).collect();
    let mut world = World::new();
    for round in 0..20_000 {
        let mut bytes = seeds[rng.below(seeds.len() as u64) as usize].clone();
        for _ in 0..=rng.below(6) {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(5) {
                0 => bytes[at] = rng.u64() as u8,
                1 => bytes[at] = b":;,<>\"@=%\r\n \t/\\[]?"[rng.below(18) as usize],
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, b"\r\n:;<\""[rng.below(6) as usize]),
                _ => {
                    let end = (at + 20).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        let who = (round % 2) as usize;
        world.input(who, Input::Datagram { flow: FLOW, bytes: &bytes });
        if round % 50 == 0 {
            world.flying.clear();
            let next = world.now.as_millis() + 1000;
            world.run_until(next);
        }
    }
    world.run_dry();
    for who in [ALICE, BOB] {
        assert!(world.agents[who].deadline().is_none(), "everything has calmed down");
        assert!(!world.agents[who].is_flow_used(FLOW));
    }
    world.events.clear();
    world.invite();
    world.run_until(world.now.as_millis() + 100);
    let Some(Event::Incoming { leg, .. }) = world.of(BOB).first() else { panic!() };
    let leg = *leg;
    world.command(BOB, Command::Answer { leg, answer: ANSWER.to_vec() });
    world.run_until(world.now.as_millis() + 100);
    assert!(world.has(BOB, |e| *e == Event::Acked { leg, answer: None }));
}
