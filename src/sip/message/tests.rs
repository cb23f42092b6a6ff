//! Messages as they come from the world: odd but valid, and broken.

use super::*;

fn parse(text: &str) -> Result<Message, ParseError> {
    Message::parse(text.replace('\n', "\r\n").as_bytes())
}

fn request(text: &str) -> Request {
    match parse(text) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn response(text: &str) -> Response {
    match parse(text) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// Odd white space, folding, compact names, lists over several lines, a quote with an escape.
const ODD: &str = "\n\nINVITE sip:bob@example.org;unknownparam SIP/2.0
TO :
 sip:bob@example.org ;   tag    = 19181n
from   : \"B. Own \\\\\\\"\"       <sip:alice@example.org>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: odd.0ha0isndaksdj@192.0.2.1
CSeq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
Content-Type: application/sdp
v:  SIP  / 2.0  / TCP     hop.Example.org   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  [2001:db8::7]:5060   ; branch=
 z9hG4bK30239;received=[2001:db8::8]
m:\"Quoted, string \\\"\\\"\" <sip:jdr@example.org> ; newparam =
      newvalue ;
  secondparam ; q = 0.33
l: 5

v=0xyrest";

#[test]
fn odd_white_space_is_read() {
    let invite = request(ODD);
    let headers = &invite.headers;
    assert_eq!(headers.to().ok().as_ref().and_then(NameAddr::tag), Some("19181n"));
    let from = headers.from().expect("From");
    assert_eq!((from.display(), from.tag()), (Some("B. Own \\\""), Some("98asjd8")));
    assert_eq!(headers.cseq().map(|c| c.to_string()).as_deref(), Ok("9 INVITE"));
    let vias: Vec<Via> = headers.list("Via").iter().filter_map(|v| v.parse().ok()).collect();
    let hops: Vec<(&str, Option<&str>)> = vias.iter().map(|v| (v.sent_by(), v.branch())).collect();
    let expected = [
        ("192.0.2.2", None),
        ("hop.example.org", Some("z9hG4bK9ikj8")),
        ("[2001:db8::7]:5060", Some("z9hG4bK30239")),
    ];
    assert_eq!(hops, expected);
    let contact = headers.contact().expect("Contact");
    assert_eq!(contact.display(), Some("Quoted, string \"\""));
    assert_eq!(headers.first("Subject"), Some(""));
    let new = headers.first("newfangledheader");
    assert_eq!(new, Some("newfangled value continued newfangled value"));
    assert_eq!(invite.body(), b"v=0xy", "cut to Content-Length");
    assert!(invite.is_body_complete());
}

#[test]
fn what_is_written_is_read_back() {
    let long = format!("{ODD}\n").replace("s :", &format!("s : {}", "x".repeat(2000)));
    let texts = [
        ODD.to_owned(),
        long,
        "SIP/2.0 183 = 2**3 * 9 but 200-17\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\n\n".to_owned(),
        "SIP/2.0 299 \nCall-ID: a\n\n".to_owned(),
        "SIP/2.0 200 OK\nTo: <sip:b@o>;tag=\u{9c}\nFrom: \"a\\\u{7}\" <sip:a@o>\n\n".to_owned(),
        "OPTIONS tel:+49-30;phone-context=x SIP/2.0\nX: y\n\nbody".to_owned(),
    ];
    for text in texts {
        let message = parse(&text).expect("parses");
        let bytes = match &message {
            Message::Request(request) => request.to_bytes(),
            Message::Response(response) => response.to_bytes(),
        };
        assert_eq!(Message::parse(&bytes), Ok(message));
    }
}

/// T-87: a message too long for the path gets compact names, and says the same in less.
#[test]
fn long_messages_get_compact_names() {
    let mut invite = request("INVITE sip:b@o SIP/2.0\nVia: SIP/2.0/UDP o\nFrom: <sip:a@o>\n\n");
    let text = |r: &Request| {
        let bytes = fitted(r.to_bytes().into());
        assert_eq!(Message::parse(&bytes), Message::parse(&r.to_bytes()));
        String::from_utf8(bytes.into()).expect("UTF-8")
    };
    assert!(text(&invite).contains("\r\nVia: ") && text(&invite).contains("\r\nContent-Length: "));
    invite.set_body("application/sdp", vec![b'x'; limits::COMPACT_ABOVE_BYTES]);
    let long = text(&invite);
    assert!(long.contains("\r\nv: ") && long.contains("\r\nl: ") && long.contains("\r\nc: "));
    assert!(!long.contains("Via") && !long.contains("Content-"));
}

#[test]
fn nothing_can_begin_another_line() {
    let evil = "x\r\nVia: SIP/2.0/UDP evil\n\tz\u{85}\0";
    let mut invite = request("INVITE sip:b@o SIP/2.0\nTo: <sip:b@o>\nCSeq: 1 INVITE\n\n");
    invite.headers.push("Subject", evil);
    invite.headers.push("X\r\nY", evil);
    invite.headers.replace("To", evil);
    invite.headers.push_front("Z", evil);
    invite.headers.push("Reason", &Reason::sip(200, evil).to_string());
    invite.set_body(evil, vec![]);
    let status = rsip::StatusCode::Other(499, evil.to_owned());
    let mut answer = Response::to(&invite, status, Some(evil));
    answer.headers.push("Contact", evil);
    for bytes in [invite.to_bytes(), answer.to_bytes()] {
        let text = String::from_utf8(bytes).expect("UTF-8");
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(!lines.iter().any(|l| l.starts_with("Via") || l.starts_with('Y')), "{text}");
        assert!(!lines.iter().any(|l| l.contains(['\r', '\n', '\0'])), "{text}");
    }
    let address = NameAddr::new("sip:b@o".parse().expect("URI")).with_tag("a\r\nb");
    assert_eq!(address.to_string(), "<sip:b@o>");
    for uri in ["sip:a@o\r\nVia: x", "sip:a@o;x=\n", "tel:\r", "sip:a b@o", "sip:a@o?x=\ry"] {
        assert!(uri.parse::<Uri>().is_err(), "{uri}");
    }
}

#[test]
fn broken_datagrams_are_no_messages() {
    let cases: [(&[u8], ParseError); 10] = [
        (b"\r\n\r\n", ParseError::Empty),
        (b"INVITE sip:b@o SIP/2.0\r\nVia: x\r\n", ParseError::Unfinished),
        (b"INVITE sip:b@o\r\n\r\n", ParseError::StartLine),
        (b"INVITE sip:b@o HTTP/1.1\r\n\r\n", ParseError::StartLine),
        (b"IN VITE\r\n\r\n", ParseError::StartLine),
        (b"SIP/2.0 42 x\r\n\r\n", ParseError::StartLine),
        (b"SIP/2.0 700 x\r\n\r\n", ParseError::StartLine),
        (b"SIP/2.0 4294967301 x\r\n\r\n", ParseError::StartLine),
        (b"INVITE sip:b@o SIP/2.0\r\nno colon\r\n\r\n", ParseError::HeaderLine),
        (b"INVITE sip:b@o SIP/2.0\r\nX: a\rY: b\r\n\r\n", ParseError::Control),
    ];
    for (bytes, error) in cases {
        assert_eq!(Message::parse(bytes), Err(error), "{}", String::from_utf8_lossy(bytes));
    }
    let many = format!("OPTIONS sip:b@o SIP/2.0\n{}\n", "X: y\n".repeat(limits::HEADERS_MAX + 1));
    assert_eq!(parse(&many), Err(ParseError::TooManyHeaders));
    let most = format!("OPTIONS sip:b@o SIP/2.0\n{}\n", "X: y\n".repeat(limits::HEADERS_MAX));
    let Ok(Message::Request(most)) = parse(&most) else { panic!("as many as may be") };
    assert!(Message::parse(&most.to_bytes()).is_ok(), "with a Content-Length");
    let long = vec![b'x'; limits::MESSAGE_BYTES_MAX + 1];
    assert_eq!(Message::parse(&long), Err(ParseError::TooLong));
}

#[test]
fn start_lines() {
    let odd = request("!interesting-Method0123456789_*+`.%indeed'~ sip:b@o SIP/2.0  \n\n");
    assert!(matches!(odd.method(), Method::Unknown(_)));
    assert!(request("INVITE sip:b@o sip/2.0\n\n").is_version_known());
    assert!(!request("INVITE sip:b@o SIP/7.0\n\n").is_version_known());
    for target in ["<sip:b@o>", " sip:b@o", "sip:b@o; lr", "sip:", "b@o", "sip:b@[::1"] {
        let request = request(&format!("INVITE {target} SIP/2.0\n\n"));
        assert_eq!(request.uri(), Err(HeaderError::Invalid("Request-URI")), "{target}");
    }
    assert_eq!(response("SIP/2.0 486 Occupé\n\n").phrase(), "Occupé");
    assert_eq!(response("SIP/2.0 200\n\n").phrase(), "");
}

#[test]
fn content_length_decides() {
    let body = |length: &str| {
        let request = request(&format!("OPTIONS sip:b@o SIP/2.0\n{length}\nhello"));
        (request.body().to_vec(), request.is_body_complete())
    };
    assert_eq!(body(""), (b"hello".to_vec(), true));
    assert_eq!(body("Content-Length: 0\n"), (b"".to_vec(), true));
    assert_eq!(body("l : 0003\n"), (b"hel".to_vec(), true));
    for wrong in ["6", "-9", "+1", "5;x", "", "99999999999999999999999"] {
        assert!(!body(&format!("Content-Length: {wrong}\n")).1, "{wrong}");
    }
    assert!(!body("Content-Length: 5\nl: 5\n").1);
}

#[test]
fn uris_are_read_and_written_alike() {
    let same = [
        "sip:example.org",
        "sips:alice@example.org:5061;transport=tcp;lr",
        "sip:alice:secret@[2001:db8::1]:5060",
        "sip:alice@192.0.2.1?subject=x&priority=urgent",
        "sip:user;par=u%40example.net@example.org",
        "sip:1_odd.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,w!*pas$wo~d@example.org",
        "sip:bob@o;gr=ARAAESIzRFVmd4iZqrvM3e7/",
        "tel:+49-30-1234;ext=5",
        "soap.beep://192.0.2.103:3002",
    ];
    for text in same {
        assert_eq!(text.parse::<Uri>().map(|u| u.to_string()).as_deref(), Ok(text));
    }
    let lower = "SIP:Alice@EXAMPLE.org".parse::<Uri>().map(|u| u.to_string());
    assert_eq!(lower.as_deref(), Ok("sip:Alice@example.org"));
    let broken = [
        "",
        ":",
        "sip",
        "sip:@o",
        "sip:a@",
        "sip:a@b@o",
        "sip:a%4@o",
        "sip:a%zz@o",
        "sip:a@o:x",
        "sip:a@o:99999",
        "sip:a@o:5060:1",
        "sip:a@o;=x",
        "sip:a@o;x@y",
        "sip:[::1",
        "1sip:a@o",
        "sip:a\"@o",
        "sip:é@o",
        "sip:a@o:",
        "sip:a@b c",
    ];
    for text in broken {
        assert!(text.parse::<Uri>().is_err(), "{text}");
    }
}

/// R7904-7-01: the scheme goes and %-escapes are decoded before names are compared.
#[test]
fn addresses_of_record_compare_by_meaning() {
    let aor = |text: &str| text.parse::<Aor>().expect("AoR");
    for same in ["alice@o.example", "sip:al%69ce@O.Example", "SIPS:alice@o.example:5061;x=y"] {
        assert_eq!(aor(same), aor("alice@o.example"), "{same}");
    }
    for other in ["Alice@o.example", "sip:alice%40o.example@evil", "alice@o.example.evil"] {
        assert_ne!(aor(other), aor("alice@o.example"), "{other}");
    }
    for broken in ["alice", "@o", "sip:o", "alice@", "tel:+1", "a\n@o", ""] {
        assert!(broken.parse::<Aor>().is_err(), "{broken}");
    }
    for odd in ["a b@o", "a@b@o", "é%@o", "a\"<>;?:@o"] {
        let uri = Uri::of(&aor(odd)).to_string();
        assert_eq!(uri.parse::<Uri>().ok().and_then(|u| u.aor()), Some(aor(odd)), "{uri}");
    }
}

#[test]
fn addresses_with_and_without_brackets() {
    let address = |text: &str| text.parse::<NameAddr>();
    let tagged = address("caller<sip:caller@example.org;x=1>;tag=323").expect("valid");
    assert_eq!((tagged.display(), tagged.tag()), (Some("caller"), Some("323")));
    let bare = address("sip:caller@example.org;tag=323").expect("valid");
    assert_eq!(
        (bare.uri().to_string().as_str(), bare.tag()),
        ("sip:caller@example.org", Some("323"))
    );
    let quoted = address("\"<sip:evil@e>\" <sip:good@o>").expect("valid");
    assert_eq!(quoted.uri().to_string(), "sip:good@o");
    let broken = ["", "<sip:a@o", "\"x <sip:a@o>", "<sip:a@o>tag=1", "<sip:a@o>;t g=1", "x"];
    for text in broken {
        assert!(address(text).is_err(), "{text}");
    }
}

#[test]
fn control_characters_survive_only_behind_a_backslash() {
    let with = |c: &str| {
        Message::parse(
            format!("OPTIONS sip:b@o SIP/2.0\r\nTo: \"BEL{c}\" <sip:b@o>\r\n\r\n").as_bytes(),
        )
    };
    assert_eq!(with("\x07"), Err(ParseError::Control));
    let Ok(Message::Request(request)) = with("\\\x07\\\0") else { panic!("legal") };
    assert_eq!(request.headers.to().ok().as_ref().and_then(NameAddr::display), Some("BEL  "));
}

#[test]
fn fields_that_may_not_repeat() {
    let text = "OPTIONS sip:b@o SIP/2.0\nf: <sip:a@o>\nFrom: <sip:c@o>\nCall-ID:\n\n";
    let headers = request(text).headers;
    assert_eq!(headers.from(), Err(HeaderError::Repeated("From")));
    assert_eq!(headers.to(), Err(HeaderError::Missing("To")));
    assert_eq!(headers.call_id(), Err(HeaderError::Invalid("Call-ID")));
    for broken in ["1", "x INVITE", "2147483648 INVITE", "1 INVITE x", "-1 BYE", "1 IN:VITE", ""] {
        assert!(broken.parse::<CSeq>().is_err(), "{broken}");
    }
}

#[test]
fn reasons() {
    let text = "BYE sip:b@o SIP/2.0\nReason: Q.850 ;cause=16 ;text=\"Terminated\", \
        SIP ;cause=600 ;text=\"Busy, \\\"really\\\"\"\n\n";
    let reason = request(text).headers.reason().expect("a reason");
    assert_eq!((reason.cause(), reason.text()), (Some(600), Some("Busy, \"really\"")));
    assert!(!reason.is_completed_elsewhere());
    assert!(Reason::completed_elsewhere().is_completed_elsewhere());
    let elsewhere = Reason::completed_elsewhere().to_string();
    assert_eq!(elsewhere, "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_eq!(elsewhere.parse(), Ok(Reason::completed_elsewhere()));
}

#[test]
fn phrases_come_from_the_vocabulary() {
    let words = |code: u16| phrase(&rsip::StatusCode::from(code));
    assert_eq!([words(200), words(486), words(487)], ["OK", "Busy Here", "Request Terminated"]);
    for code in 100..700 {
        assert!(!words(code).is_empty());
    }
}
