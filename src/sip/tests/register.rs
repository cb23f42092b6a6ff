//! A phone at a registrar (RFC 3261 §10, §22; RFC 8760). Alice is the phone; the test is the
//! registrar.

use super::*;

const ASKS: &str = "WWW-Authenticate: Digest realm=\"r\", nonce=\"one\", qop=\"auth\", \
    algorithm=SHA-256\n";

impl World {
    /// Alice at a registrar, which says what the test says.
    fn at_registrar(password: Option<&str>) -> Self {
        let mut world =
            Self::with_law(|who, _| if who == ALICE { Fate::Lose } else { Fate::Deliver });
        let credentials =
            |password: &str| Credentials { user: "alice".into(), password: password.into() };
        world.agents[ALICE] = UserAgent::new(UaConfig {
            overlay: "o".parse().expect("host"),
            users: vec![aor("alice@o")],
            contact: "sip:alice@192.0.2.1:5060".parse().expect("URI"),
            line: Some(Line {
                transport: Line::UDP,
                sent_by: "192.0.2.1:5060".into(),
                credentials: password.map(credentials),
            }),
            seed: [1; 32],
        });
        world.input(ALICE, Input::FlowUp { flow: FLOW, verified_users: Vec::new() });
        world
    }

    fn register(&mut self, seconds: u32) {
        self.command(ALICE, Command::Register { flow: FLOW, seconds });
    }
}

fn cseq(request: &Request) -> u32 {
    request.headers.cseq().map_or(0, |cseq| cseq.number)
}

/// RFC 3261 §10.2, §22.2: who is asked for the password asks again, in the same registration, with
/// the proof; the password is nowhere. It is refreshed in time, with the proof at once and counted,
/// and given up with no contact left.
#[test]
fn a_registration_with_a_password() {
    let mut world = World::at_registrar(Some("secret"));
    world.register(600);
    let first = world.last(ALICE, "REGISTER");
    assert_eq!(first.target(), "sip:o");
    assert_eq!(first.headers.first("To"), Some("<sip:alice@o>"));
    assert_eq!(first.headers.first("Contact"), Some("<sip:alice@192.0.2.1:5060>"));
    let via = first.headers.first("Via").unwrap_or("");
    assert!(via.starts_with("SIP/2.0/UDP 192.0.2.1:5060;") && via.ends_with(";rport"), "{via}");
    assert_eq!(first.headers.first("Authorization"), None);

    world.answer_alice("REGISTER", 401, ASKS, "");
    let second = world.last(ALICE, "REGISTER");
    let proof = second.headers.first("Authorization").expect("a proof").to_owned();
    for part in ["username=\"alice\"", "algorithm=SHA-256", "nc=00000001", "uri=\"sip:o\""] {
        assert!(proof.contains(part), "{proof}");
    }
    assert_eq!(cseq(&second), cseq(&first) + 1);
    assert_eq!(second.headers.first("Call-ID"), first.headers.first("Call-ID"));
    assert!(!world.sent.iter().any(|(_, _, text)| text.contains("secret")));

    let granted = "Contact: <sip:alice@192.0.2.1:5060>;expires=100\nExpires: 3600\n";
    world.answer_alice("REGISTER", 200, granted, "");
    assert_eq!(world.of(ALICE), [&Event::Registered { seconds: 100, seen_at: None }]);
    world.run_until(79_999);
    let sent = world.sent(ALICE, "REGISTER");
    world.run_until(80_000);
    assert_eq!(world.sent(ALICE, "REGISTER"), sent + 1);
    let proof = world.last(ALICE, "REGISTER").headers.first("Authorization").map(str::to_owned);
    assert!(proof.is_some_and(|proof| proof.contains("nc=00000002")));
    world.answer_alice("REGISTER", 200, granted, "");

    world.register(0);
    assert_eq!(world.last(ALICE, "REGISTER").headers.first("Expires"), Some("0"));
    world.answer_alice("REGISTER", 200, "", "");
    assert_eq!(world.of(ALICE).last(), Some(&&Event::Unregistered { status: None }));
}

/// RFC 3581 §4: behind a router the Contact is the address that the registrar sees, and the one
/// before is taken back. A router that changes it is noticed within two minutes.
#[test]
fn a_registration_from_behind_a_router() {
    let mut world = World::at_registrar(Some("secret"));
    let answer = |world: &mut World, code: u16, seen_at: &str| {
        let asked = world.last(ALICE, "REGISTER");
        let mut response = Response::to(&asked, rsip::StatusCode::from(code), Some("theirs"));
        let lines = if code == 401 { ASKS } else { "Expires: 3600\n" };
        let (name, value) = lines.trim_end().split_once(": ").expect("a line");
        response.headers.push(name, value);
        let text = String::from_utf8(response.to_bytes()).expect("text");
        let text = text.replace(";rport", &format!(";{seen_at}"));
        world.input(ALICE, Input::Datagram { flow: FLOW, bytes: text.as_bytes() });
    };
    let contacts = |world: &World| world.last(ALICE, "REGISTER").headers.list("Contact").join(" ");
    world.register(600);
    answer(&mut world, 401, "received=203.0.113.5;rport=40000");
    let (ours, outside) = ("<sip:alice@192.0.2.1:5060>", "<sip:alice@203.0.113.5:40000>");
    assert_eq!(contacts(&world), format!("{outside} {ours};expires=0"));
    answer(&mut world, 200, "received=203.0.113.5;rport=40000");
    let seen_at = Some("203.0.113.5:40000".parse().expect("an address"));
    assert_eq!(world.of(ALICE), [&Event::Registered { seconds: 3600, seen_at }]);

    world.run_until(120_000);
    assert_eq!(contacts(&world), outside);
    answer(&mut world, 200, "received=203.0.113.5;rport=41000");
    let moved = outside.replace("40000", "41000");
    assert_eq!(contacts(&world), format!("{moved} {outside};expires=0"));
    answer(&mut world, 200, "received=203.0.113.5;rport=41000");
    world.invite();
    assert_eq!(world.last(ALICE, "INVITE").headers.first("Contact"), Some(&*moved));
}

/// Without a router the Contact stays, whether the registrar says what it sees or not.
#[test]
fn a_registration_without_a_router() {
    let mut world = World::at_registrar(None);
    world.register(600);
    let asked = world.last(ALICE, "REGISTER");
    let response = Response::to(&asked, rsip::StatusCode::OK, Some("theirs")).to_bytes();
    let text = String::from_utf8(response).expect("text").replace(";rport", ";rport=5060");
    world.input(ALICE, Input::Datagram { flow: FLOW, bytes: text.as_bytes() });
    assert_eq!(world.sent(ALICE, "REGISTER"), 1);
    world.run_until(479_999);
    assert_eq!(world.sent(ALICE, "REGISTER"), 1);
}

/// RFC 3261 §22.1: a wrong password is not tried again and again; a nonce that was too old is
/// answered anew, but not for ever; without a password there is no answer.
#[test]
fn a_password_that_does_not_help() {
    let status = Some(rsip::StatusCode::Unauthorized);
    let refused = |e: &Event| *e == Event::Unregistered { status: status.clone() };
    let mut world = World::at_registrar(Some("wrong"));
    world.register(600);
    world.answer_alice("REGISTER", 401, ASKS, "");
    assert!(!world.has(ALICE, refused));
    world.answer_alice("REGISTER", 401, &ASKS.replace("one", "two"), "");
    assert!(world.has(ALICE, refused));
    assert_eq!(world.sent(ALICE, "REGISTER"), 2);

    let mut world = World::at_registrar(Some("right"));
    world.register(600);
    for number in 0..10 {
        let stale = ASKS.replace("nonce=\"one\"", &format!("nonce=\"{number}\", stale=true"));
        world.answer_alice("REGISTER", 401, &stale, "");
    }
    assert!(world.has(ALICE, refused));
    assert_eq!(world.sent(ALICE, "REGISTER"), 1 + usize::from(limits::ASKED_AGAIN_MAX));

    let mut world = World::at_registrar(None);
    world.register(600);
    world.answer_alice("REGISTER", 401, ASKS, "");
    assert!(world.has(ALICE, refused));
}

/// RFC 3261 §10.2.8: a registrar that wants fewer registrations is asked for longer ones; one that
/// is away is asked again after a minute.
#[test]
fn a_registrar_that_wants_it_otherwise() {
    let mut world = World::at_registrar(None);
    world.register(600);
    world.answer_alice("REGISTER", 423, "Min-Expires: 1800\n", "");
    assert_eq!(world.last(ALICE, "REGISTER").headers.first("Expires"), Some("1800"));
    world.run_until(32_000);
    let status = Some(rsip::StatusCode::RequestTimeout);
    assert_eq!(world.of(ALICE), [&Event::Unregistered { status }]);
    let sent = world.sent(ALICE, "REGISTER");
    world.run_until(91_999);
    assert_eq!(world.sent(ALICE, "REGISTER"), sent);
    world.run_until(92_000);
    assert_eq!(world.sent(ALICE, "REGISTER"), sent + 1);
}

/// RFC 3261 §22.3: a call through a proxy that asks for the password is the same call, with its
/// proof; so is the ACK's, and what follows has it at once.
#[test]
fn a_call_with_a_password() {
    let mut world = World::at_registrar(Some("secret"));
    world.invite();
    let first = world.last(ALICE, "INVITE");
    let asks = ASKS.replace("WWW-Authenticate", "Proxy-Authenticate");
    world.answer_alice("INVITE", 407, &asks, "");
    let second = world.last(ALICE, "INVITE");
    let proof = second.headers.first("Proxy-Authorization").map(str::to_owned);
    assert!(proof.as_ref().is_some_and(|proof| proof.contains("uri=\"sip:bob@o\"")));
    assert_eq!(second.headers.first("Call-ID"), first.headers.first("Call-ID"));
    assert_eq!(cseq(&second), cseq(&first) + 1);
    assert_eq!(second.body(), OFFER);
    world.answer_alice("INVITE", 200, "Contact: <sip:bob@192.0.2.9>\n", "v=0\r\n");
    let ack = world.last(ALICE, "ACK");
    assert_eq!(ack.headers.first("Proxy-Authorization").map(str::to_owned), proof);
    assert_eq!(cseq(&ack), cseq(&second));
    world.hang_up(ALICE);
    let bye = world.last(ALICE, "BYE");
    assert!(bye.headers.first("Proxy-Authorization").is_some_and(|p| p.contains("nc=00000002")));
}

/// T-87 is about flows that fragment nothing: a registrar's telephones, some of which don't know
/// the compact names, get long ones.
#[test]
fn only_overlays_shorten_the_names() {
    let offer = vec![b'x'; limits::COMPACT_ABOVE_BYTES];
    for (mut world, start) in
        [(World::at_registrar(None), "\r\nVia: "), (World::calling_nobody(), "\r\nv: ")]
    {
        let (leg, from) = (LegId(2), aor("alice@o"));
        let (to, offer) = ("sip:bob@o".parse().expect("URI"), offer.clone());
        world.command(ALICE, Command::Invite { leg, flow: FLOW, from, to, offer, transfer: None });
        let (_, _, text) = world.sent.last().expect("an INVITE");
        assert!(text.starts_with("INVITE") && text.contains(start), "{text}");
    }
}

/// Whoever asks a device of an overlay for a password gets none, and no other request.
#[test]
fn nobody_in_an_overlay_gets_a_password() {
    for (code, name) in [(401, "WWW-Authenticate"), (407, "Proxy-Authenticate")] {
        let mut world = World::calling_nobody();
        let asks = ASKS.replace("WWW-Authenticate", name);
        world.answer_alice("INVITE", code, &asks, "");
        assert_eq!(rejected(world.end(ALICE)), Some(code));
        assert_eq!(world.sent(ALICE, "INVITE"), 1);
        assert!(!world.sent.iter().any(|(_, _, text)| text.contains("Authorization")));
        world.register(600);
        assert_eq!(world.sent(ALICE, "REGISTER"), 0);
    }
}

/// At a registrar the caller's name is the registrar's word, hidden or not; whom it calls is us by
/// whatever address the registrar knows.
#[test]
fn a_call_from_the_registrar() {
    let mut world = World::at_registrar(None);
    let call = |world: &mut World, from: &str, number: u32| {
        let text = format!(
            "INVITE sip:alice@198.51.100.7:1024 SIP/2.0\r\nVia: SIP/2.0/UDP \
             r;branch=z9hG4bK{number}\r\nFrom: {from};tag=f\r\nTo: <sip:alice@o>\r\nCall-ID: \
             {number}\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@192.0.2.9>\r\n\r\n"
        );
        world.input(ALICE, Input::Datagram { flow: FLOW, bytes: text.as_bytes() });
        match world.of(ALICE).last() {
            Some(Event::Incoming { from, .. }) => from.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(call(&mut world, "<sip:bob@elsewhere>", 1), "bob@elsewhere");
    assert_eq!(call(&mut world, "<tel:+4930>", 2), "anonymous@anonymous.invalid");
}
