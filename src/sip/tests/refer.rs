//! Calls that are handed over (RFC 3515, 3891, 3892).

use rsip::StatusCode;

use super::*;

impl World {
    fn refer(&mut self, to: &str, replaces: Option<Replaces>) {
        let to = to.parse().expect("a URI");
        self.command(ALICE, Command::Refer { leg: LEG, to, replaces });
    }

    fn notify(&mut self, code: u16) {
        let status = StatusCode::from(code);
        self.command(BOB, Command::Notify { leg: INCOMING, status });
    }

    /// What Alice has heard of her wish.
    fn progress(&self) -> Vec<u16> {
        let status = |e: &Event| match e {
            Event::Transferring { status, .. } => Some(status.code()),
            _ => None,
        };
        self.of(ALICE).into_iter().filter_map(status).collect()
    }

    /// The last request of Alice's, as another one of the same dialog.
    fn in_dialog(&self, method: &str, lines: &str) -> String {
        let sent = self.sent.iter().rev().filter(|(who, _, _)| *who == ALICE);
        let mut requests = sent.filter_map(|(_, _, text)| request(text));
        let last = requests.next().expect("a request");
        let line = |name| format!("{name}: {}\n", last.headers.first(name).unwrap_or(""));
        let cseq = last.headers.cseq().expect("CSeq").number + 1;
        let (from, to, call_id) = (line("From"), line("To"), line("Call-ID"));
        let branch = self.sent.len();
        format!(
            "{method} sip:bob@o SIP/2.0\nVia: SIP/2.0/UDP o;branch=z9hG4bKx{branch}\n{from}{to}\
             {call_id}CSeq: {cseq} {method}\nContact: <sip:alice@o;gr=x>\n{lines}\n"
        )
    }
}

/// RFC 3515 §2.4.2, §2.4.4: a REFER is answered 202 and followed by a NOTIFY at once; each step of
/// the call is a fragment of a response, and the final one ends the subscription.
#[test]
fn a_transfer_is_told_step_by_step() {
    let mut world = World::new().talking();
    world.refer("sip:carol@o", None);
    world.run_until(2000);
    let to = "sip:carol@o".parse().expect("a URI");
    let (leg, by) = (INCOMING, Some(aor("alice@o")));
    assert_eq!(world.of(BOB).last(), Some(&&Event::Referred { leg, to, replaces: None, by }));
    assert_eq!((world.sent(BOB, "SIP/2.0 202"), world.progress()), (1, vec![100]));
    world.notify(180);
    world.run_until(3000);
    world.notify(200);
    world.run_until(4000);
    world.notify(486);
    world.run_until(5000);
    assert_eq!(world.progress(), [100, 180, 200], "the last word is the last");
    let states: Vec<String> = world
        .sent
        .iter()
        .filter_map(|(_, _, text)| request(text))
        .filter_map(|r| r.headers.first("Subscription-State").map(str::to_owned))
        .collect();
    assert!(states[..2].iter().all(|state| state.starts_with("active")), "{states:?}");
    assert_eq!(states[2..], ["terminated;reason=noresource"]);
    assert!(!world.has(ALICE, |e| matches!(e, Event::Ended { .. })), "the call goes on");
}

/// RFC 3515 §2.4.2: one Refer-To, of a scheme and for a method that we call with; nobody but the
/// other side of a running call can ask, and only for one call at a time.
#[test]
fn who_may_ask_and_for_what() {
    let mut world = World::new().talking();
    let ask = |world: &mut World, lines: &str| {
        let text = world.in_dialog("REFER", lines);
        world.ask_bob(&text).first().map(Response::code)
    };
    assert_eq!(ask(&mut world, ""), Some(400));
    let two = "Refer-To: <sip:carol@o>\nRefer-To: <sip:dave@o>\n";
    assert_eq!(ask(&mut world, two), Some(400));
    assert_eq!(ask(&mut world, "Refer-To: <tel:+4930>\n"), Some(416));
    assert_eq!(ask(&mut world, "Refer-To: <sip:carol@o;method=BYE>\n"), Some(405));
    assert_eq!(ask(&mut world, "Refer-To: <sip:carol@o?Replaces=nonsense>\n"), Some(400));
    assert!(!world.has(BOB, |e| matches!(e, Event::Referred { .. })));
    assert_eq!(ask(&mut world, "r: <sip:carol@o>\n"), Some(202));
    assert_eq!(ask(&mut world, "Refer-To: <sip:dave@o>\n"), Some(491));
    let stranger = world.in_dialog("REFER", "Refer-To: <sip:carol@o>\n");
    let stranger: Vec<&str> = stranger.lines().filter(|l| !l.starts_with("To:")).collect();
    let stranger = format!("{}\nTo: <sip:bob@o>\n\n", stranger.join("\n").trim_end());
    assert_eq!(world.ask_bob(&stranger)[0].code(), 403);
}

/// RFC 6665 §4.1.3: a NOTIFY that nobody waits for is refused, and so is one about anything else.
#[test]
fn news_that_nobody_waits_for_is_refused() {
    let mut world = World::new().talking();
    let news = |event: &str| {
        format!("Event: {event}\nSubscription-State: active\nContent-Type: message/sipfrag\n")
    };
    let text = world.in_dialog("NOTIFY", &news("presence"));
    assert_eq!(world.ask_bob(&text)[0].code(), 489);
    let text = world.in_dialog("NOTIFY", &news("refer"));
    assert_eq!(world.ask_bob(&text)[0].code(), 481);
}

/// A phone that does not transfer, and one that is gone, end the wish; the call goes on.
#[test]
fn a_wish_that_is_not_granted() {
    let mut world = World::new().talking();
    world.law = Box::new(|who, line| match who == ALICE && line.starts_with("REFER") {
        true => Fate::Lose,
        false => Fate::Deliver,
    });
    world.refer("sip:carol@o", None);
    world.run_dry();
    assert_eq!(world.progress(), [408]);
    world.law = Box::new(|_, _| Fate::Deliver);
    world.refer("tel:+4930", None);
    world.run_dry();
    assert_eq!(world.progress(), [408, 416]);
    assert!(!world.has(ALICE, |e| matches!(e, Event::Ended { .. })));
}

/// RFC 3891 §3: a call that names a running dialog is told to replace it; one that names a dialog
/// that is not there is answered 481, one that is over 603, one that only wants a phone that rings
/// 486, and one with two names 400.
#[test]
fn a_call_takes_the_place_of_another() {
    let mut world = World::new().talking();
    let replaces = world.agents[ALICE].replaces(LEG).expect("a dialog");
    let wish = "sip:bob@o".parse::<Uri>().expect("a URI").with_replaces(Some(&replaces));
    let read = match wish.to_string().parse::<Uri>().expect("a URI") {
        Uri::Sip(uri) => uri.replaces().expect("well-formed"),
        Uri::Other(_) => None,
    };
    assert_eq!(read.as_ref(), Some(&replaces), "{wish}");

    let carol = FlowId(2);
    world.flow_up(BOB, carol, "carol@o");
    let mut number = 0;
    let mut call = |world: &mut World, lines: &str| {
        number += 1;
        let text = format!(
            "INVITE sip:bob@o SIP/2.0\nVia: SIP/2.0/UDP o;branch=z9hG4bKc{number}\n\
             From: <sip:carol@o>;tag=c\nTo: <sip:bob@o>\nCall-ID: c{number}\nCSeq: 1 INVITE\n\
             Contact: <sip:carol@o;gr=x>\nReferred-By: <sip:alice@o>\nRequire: replaces\n{lines}\n"
        );
        world.ask_bob_on(carol, &text).first().map(Response::code)
    };
    let (name, other) = (replaces.to_string(), Replaces { to_tag: "x".into(), ..replaces.clone() });
    assert_eq!(call(&mut world, &format!("Replaces: {other}\n")), Some(481));
    assert_eq!(call(&mut world, &format!("Replaces: {name};early-only\n")), Some(486));
    assert_eq!(call(&mut world, &format!("Replaces: {name}\nReplaces: {name}\n")), Some(400));
    assert_eq!(call(&mut world, &format!("Replaces: {name}\n")), Some(100));
    let Some(Event::Incoming { replaces: Some(INCOMING), referred_by, .. }) = world.of(BOB).last()
    else {
        panic!("{:?}", world.of(BOB))
    };
    assert_eq!(*referred_by, Some(aor("alice@o")));
    world.law = Box::new(|_, _| Fate::Lose);
    world.hang_up(BOB);
    assert_eq!(call(&mut world, &format!("Replaces: {name}\n")), Some(603));
}

/// RFC 4488 §4: who wants no news of the call that it asks for gets none.
#[test]
fn a_wish_without_news() {
    let mut world = World::new().talking();
    let text = world.in_dialog("REFER", "Refer-To: <sip:carol@o>\nRefer-Sub: false\n");
    let answer = world.ask_bob(&text).remove(0);
    assert_eq!((answer.code(), answer.headers.first("Refer-Sub")), (202, Some("false")));
    assert!(world.has(BOB, |e| matches!(e, Event::Referred { .. })));
    world.notify(200);
    assert_eq!(world.sent(BOB, "NOTIFY"), 0);
}

/// RFC 3891 §3: a call that rings is taken by whoever knows its name, at the caller's phone; at the
/// phone that rings it is not to be taken.
#[test]
fn a_call_that_rings_is_taken_by_another_phone() {
    let mut world = World::new();
    world.invite();
    world.run_until(100);
    world.command(BOB, Command::Ring { leg: INCOMING });
    world.run_until(200);
    let sent = world.sent.iter().find(|(who, _, text)| *who == BOB && text.contains(" 180 "));
    let ringing = sent.and_then(|(_, _, text)| response(text)).expect("a 180");
    let tag = |address: Result<crate::sip::message::NameAddr, _>| {
        address.ok().and_then(|a| a.tag().map(str::to_owned)).expect("a tag")
    };
    let call_id = ringing.headers.call_id().expect("Call-ID").to_owned();
    let (alice, bob) = (tag(ringing.headers.from()), tag(ringing.headers.to()));
    let invite = |who: &str, mine: &str, theirs: &str, number: u32| {
        format!(
            "INVITE sip:{who}@o SIP/2.0\r\nVia: SIP/2.0/UDP o;branch=z9hG4bKe{number}\r\n\
             From: <sip:carol@o>;tag=c\r\nTo: <sip:{who}@o>\r\nCall-ID: e{number}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:carol@o;gr=x>\r\nRequire: replaces\r\n\
             Replaces: {call_id};to-tag={mine};from-tag={theirs};early-only\r\n\r\n"
        )
    };
    let carol = FlowId(2);
    world.flow_up(ALICE, carol, "carol@o");
    world.flow_up(BOB, carol, "carol@o");
    let wrong = invite("alice", &alice, "other", 1);
    world.input(ALICE, Input::Datagram { flow: carol, bytes: wrong.as_bytes() });
    assert_eq!(world.sent(ALICE, "SIP/2.0 481"), 1);
    let right = invite("alice", &alice, &bob, 2);
    world.input(ALICE, Input::Datagram { flow: carol, bytes: right.as_bytes() });
    let Some(Event::Incoming { replaces: Some(LEG), .. }) = world.of(ALICE).last() else {
        panic!("{:?}", world.of(ALICE))
    };
    let at_bob = invite("bob", &bob, &alice, 3);
    assert_eq!(world.ask_bob_on(carol, &at_bob)[0].code(), 481);
}
