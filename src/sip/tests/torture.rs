//! The messages of RFC 4475, as a phone meets them that every name in them is proven to. Valid ones
//! are understood, whatever they look like, and invalid ones get the answer that the RFC asks for.

use super::*;

/// What becomes of a message.
#[derive(Debug, PartialEq)]
enum Fate4475 {
    /// The first answer.
    Answered(u16),
    /// It is no message, or a response to nothing.
    Dropped,
}
use Fate4475::{Answered, Dropped};

/// A phone for all users of these messages; what it makes of one.
fn fate(message: &str) -> (Fate4475, Vec<Response>) {
    let users = ["user@example.com", "user@example.org", "remote-target@example.com"];
    let users = users.into_iter().chain(["t.watson@example.org", "vivekg@chair-dnrc.example.com"]);
    let mut agent = UserAgent::new(UaConfig {
        overlay: "example.com".parse().expect("host"),
        users: users.map(aor).collect(),
        contact: "sip:user@example.com;gr=1".parse().expect("URI"),
        line: None,
        seed: [1; 32],
    });
    let bytes = message.replace('\n', "\r\n").into_bytes();
    let from = match Message::parse(&bytes) {
        Ok(Message::Request(request)) => request.headers.from().ok(),
        _ => None,
    };
    let verified_users = from.and_then(|from| from.uri().aor()).into_iter().collect();
    let now = Now::new(Instant::ORIGIN, 0);
    agent.handle(now, Input::FlowUp { flow: FLOW, verified_users });
    agent.handle(now, Input::Datagram { flow: FLOW, bytes: &bytes });
    let outputs = std::iter::from_fn(|| agent.poll());
    let answers: Vec<Response> = outputs
        .filter_map(|output| match output {
            Output::Send { bytes, .. } => response(&String::from_utf8_lossy(&bytes)),
            Output::Event(_) => None,
        })
        .collect();
    let fate = answers.first().map_or(Dropped, |answer| Answered(answer.code()));
    (fate, answers)
}

/// A request with what all of them have, but for what `lines` says.
fn request_of(start: &str, lines: &str) -> String {
    let method = start.split_whitespace().next().unwrap_or("");
    let mut text = format!("{start}\n{lines}");
    for (name, value) in [
        ("To", "sip:user@example.com"),
        ("From", "sip:caller@example.net;tag=33242"),
        ("Call-ID", "torture.0ha0isndaksdj"),
        ("CSeq", &format!("8 {method}")),
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw"),
        ("Max-Forwards", "70"),
    ] {
        let is_there = |line: &str| {
            line.split(':').next().is_some_and(|n| n.trim().eq_ignore_ascii_case(name))
        };
        if !text.lines().skip(1).any(is_there) {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    if method == "INVITE" {
        text.push_str("Contact: <sip:caller@host5.example.net>\n");
    }
    text + "\n"
}

fn check(cases: &[(&str, String, Fate4475)]) {
    let wrong: Vec<_> = cases
        .iter()
        .map(|(section, message, expected)| (section, fate(message).0, expected))
        .filter(|(_, found, expected)| found != *expected)
        .collect();
    assert!(wrong.is_empty(), "sections of RFC 4475, found and expected: {wrong:?}");
}

/// RFC 4475 §3.1.1.1: folded lines, escapes, spaces wherever they may stand, compact and long
/// names, and lists in one line and in several.
const WSINV: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 0
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    192.0.2.2;branch=390skdjuw
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
v:  SIP  / 2.0  / TCP     spindle.example.com   ;
  branch  =   z9hG4bK9ikj8  ,
 SIP  /    2.0   / UDP  192.168.255.111   ; branch=
 z9hG4bK30239
m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

";

#[test]
fn a_tortuous_invite_is_understood() {
    let text = WSINV.replace('\n', "\r\n");
    let invite = request(&text).expect("a request");
    let headers = &invite.headers;
    let from = headers.from().expect("From");
    assert_eq!((from.display(), from.tag()), (Some("J Rosenberg \\\""), Some("98asjd8")));
    assert_eq!(headers.to().expect("To").tag(), Some("1918181833n"));
    assert_eq!(headers.cseq().expect("CSeq").number, 9);
    assert_eq!(headers.list("Via").len(), 3);
    assert_eq!(headers.via().expect("Via").sent_by(), "192.0.2.2");
    assert_eq!(
        headers.first("NewFangledHeader"),
        Some("newfangled value continued newfangled value")
    );
    assert_eq!(headers.first("UnknownHeaderWithUnusualValue"), Some(";;,,;;,;"));
    assert_eq!(headers.contact().expect("Contact").display(), Some("Quoted string \"\""));
    // Its To names a dialog that is not there.
    assert_eq!(fate(WSINV).0, Answered(481));
}

/// RFC 4475 §3.1.1.7: long names, values and lists.
#[test]
fn long_values_are_read() {
    let long = "long".repeat(40);
    let vias: String = (1..34).map(|n| format!("vIa : SIP/2.0/TCP sip{n}.example.com\n")).collect();
    let longreq = format!(
        "To: \"{long}\"<sip:user@example.com:6000;p1={long};{long}=x;{long}>\n\
         fROM : sip:{long}@example.net;tag=12{long};{long}={long};{long}\n\
         Unknown-{long}-Name: {long}; {long} = {long}\n{vias}"
    );
    let invite = request_of("INVITE sip:user@example.com SIP/2.0", &longreq);
    assert_eq!(fate(&invite).0, Answered(100));
}

/// RFC 4475 §3.1.1: valid messages.
#[test]
fn valid_messages_are_served() {
    let options = |lines: &str| request_of("OPTIONS sip:user@example.com SIP/2.0", lines);
    let register = |lines: &str| request_of("REGISTER sip:example.com SIP/2.0", lines);
    check(&[
        (
            "3.1.1.2",
            request_of(
                "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't\
                 +it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0",
                "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n\
                 From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>\
                 ;fromParam''~+*_!.-%=\"работающий\";tag=_token~1'+`*%!-.\n\
                 Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n\
                 Max-Forwards: 255\nextensionHeader-!.%*+_`'~:大停電\n",
            ),
            Answered(501),
        ),
        (
            "3.1.1.3",
            request_of(
                "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0",
                "To: sip:%75se%72@example.com\nFrom: <sip:I%20have%20spaces@example.net>;tag=938\n\
                 Contact:\n  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\n",
            ),
            Answered(404),
        ),
        ("3.1.1.4", register("From: sip:null-%00-null@example.com;tag=839923423\n"), Answered(405)),
        (
            "3.1.1.5",
            request_of(
                "RE%47IST%45R sip:registrar.example.com SIP/2.0",
                "To: \"%Z%45\" <sip:resource@example.com>\nC%6Fntact: <sip:alias2@example.com>\n\
                 Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234\n",
            ),
            Answered(501),
        ),
        ("3.1.1.6", options("From: caller<sip:caller@example.com>;tag=323\n"), Answered(200)),
        ("3.1.1.8", register("") + &options(""), Answered(405)),
        (
            "3.1.1.9",
            request_of("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", ""),
            Answered(404),
        ),
        (
            "3.1.1.10",
            options(
                "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\n\
                 Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n\
                 Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\n",
            ),
            Answered(200),
        ),
    ]);
    for reason in ["= 2**3 * 5**2 но сто девяносто девять - простое", ""]
    {
        let text = format!("SIP/2.0 200 {reason}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n");
        assert_eq!(response(&text).expect("§3.1.1.12, §3.1.1.13").code(), 200);
    }
}

/// RFC 4475 §3.1.1.11, §3.2, §3.3: valid messages that a phone has no use for, or that matter to
/// proxies alone.
#[test]
fn messages_for_others_are_answered() {
    let options = |lines: &str| request_of("OPTIONS sip:user@example.com SIP/2.0", lines);
    let register = |lines: &str| request_of("REGISTER sip:example.com SIP/2.0", lines);
    check(&[
        (
            "3.1.1.11",
            {
                let signed = "--7a9cbec02ceef655\nContent-Type: text/plain\n\nHi\n\
                          --7a9cbec02ceef655\nContent-Type: application/octet-stream\n\n\
                          0\u{1}\u{7f}\n--7a9cbec02ceef655--\n";
                let lines = "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\n";
                let length =
                    format!("Content-Length: {}\n", signed.len() + signed.matches('\n').count());
                // A body of several parts is understood, and not what we can show.
                request_of("MESSAGE sip:user@example.com SIP/2.0", &format!("{lines}{length}"))
                    + signed
            },
            Answered(415),
        ),
        ("3.2.1", options("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\n"), Answered(200)),
        ("3.3.11", options("Max-Forwards: 0\n"), Answered(200)),
        (
            "3.3.7",
            register("Authorization: NoOneKnowsThisScheme opaque-data=here\n"),
            Answered(405),
        ),
    ]);
}

/// A response to nothing.
fn response_to_nothing(status: &str, cseq: &str) -> String {
    format!(
        "SIP/2.0 {status}\nVia: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\n\
         Call-ID: r\nCSeq: {cseq}\nFrom: <sip:user@example.com>;tag=39\n\
         To: <sip:user@example.edu>;tag=90\nContent-Length: 0\n\n"
    )
}

/// RFC 4475 §3.1.2: messages that are none. Where spaces end the first line or a name lacks quotes,
/// the meaning is clear and the RFC allows that it is taken.
#[test]
fn invalid_messages_are_refused() {
    let invite = |lines: &str| request_of("INVITE sip:user@example.com SIP/2.0", lines);
    let options = |lines: &str| request_of("OPTIONS sip:user@example.com SIP/2.0", lines);
    let register = |lines: &str| request_of("REGISTER sip:example.com SIP/2.0", lines);
    let start = |start: &str| request_of(start, "");
    check(&[
        ("3.1.2.1", invite("Via: SIP/2.0/UDP 192.0.2.15;;,;,,\n"), Answered(400)),
        ("3.1.2.2", invite("Content-Length: 9999\n"), Answered(400)),
        ("3.1.2.3", invite("Content-Length: -999\n"), Answered(400)),
        ("3.1.2.4", options("CSeq: 36893488147419103232 OPTIONS\n"), Answered(400)),
        (
            "3.1.2.5",
            response_to_nothing("503 Service Unavailable", "9292394834772304023312 OPTIONS"),
            Dropped,
        ),
        ("3.1.2.6", invite("To: \"Mr. J. User <sip:j.user@example.com>\n"), Answered(400)),
        ("3.1.2.7", start("INVITE <sip:user@example.com> SIP/2.0"), Answered(400)),
        ("3.1.2.8", start("INVITE sip:user@example.com; lr SIP/2.0"), Answered(400)),
        ("3.1.2.9", start("INVITE  sip:user@example.com  SIP/2.0"), Answered(400)),
        ("3.1.2.10", start("OPTIONS sip:user@example.com SIP/2.0  "), Answered(200)),
        (
            "3.1.2.13",
            register("Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\n"),
            Answered(405),
        ),
        (
            "3.1.2.14",
            start("OPTIONS sip:user@example.com SIP/2.0")
                .replace("sip:user@example.com\n", "\"Watson, Thomas\" < t.watson@example.org >\n"),
            Answered(400),
        ),
        ("3.1.2.15", options("To: Bell, Alexander <sip:a.g.bell@example.com>\n"), Answered(200)),
        (
            "3.1.2.11",
            start("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0"),
            Answered(400),
        ),
        ("3.1.2.12", invite("Date: Fri, 01 Jan 2010 16:00:00 EST\n"), Answered(100)),
        (
            "3.1.2.16",
            {
                let text = start("OPTIONS sip:t.watson@example.org SIP/7.0");
                text.replace("Via: SIP/2.0", "Via: SIP/7.0")
            },
            Answered(505),
        ),
        ("3.1.2.17", options("CSeq: 8 INVITE\n"), Answered(400)),
        (
            "3.1.2.18",
            request_of("NEWMETHOD sip:user@example.com SIP/2.0", "CSeq: 8 INVITE\n"),
            Answered(400),
        ),
        (
            "3.1.2.19",
            response_to_nothing("4294967301 better not break the receiver", "3 INVITE"),
            Dropped,
        ),
    ]);
}

/// RFC 4475 §3.3, §3.4: messages whose meaning is not to be had, and an old client's.
#[test]
fn messages_without_a_meaning_are_refused() {
    let invite = |lines: &str| request_of("INVITE sip:user@example.com SIP/2.0", lines);
    let options = |lines: &str| request_of("OPTIONS sip:user@example.com SIP/2.0", lines);
    let register = |lines: &str| request_of("REGISTER sip:example.com SIP/2.0", lines);
    let start = |start: &str| request_of(start, "");
    check(&[
        (
            "3.3.1",
            "INVITE sip:user@example.com SIP/2.0\nCSeq: 193942 INVITE\n\
            Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\n\n"
                .to_owned(),
            Answered(400),
        ),
        (
            "3.3.2",
            start("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0"),
            Answered(416),
        ),
        ("3.3.3", start("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"), Answered(416)),
        (
            "3.3.4",
            options("To: isbn:2983792873\nFrom: <http://www.example.com>;tag=3234233\n"),
            Answered(403),
        ),
        ("3.3.8", options("Call-ID: a\nCall-ID: b\nTo: sip:other@example.net\n"), Answered(400)),
        ("3.3.9", options("Content-Length: 13\nContent-Length: 5\n"), Answered(400)),
        ("3.3.10", response_to_nothing("200 OK", "35 INVITE"), Dropped),
        (
            "3.3.12",
            register("Contact: sip:+19725552222@gw1.example.net;unknownparam\n"),
            Answered(405),
        ),
        (
            "3.3.13",
            register("Contact: <sip:+19725552222@gw1.example.net;unknownparam>\n"),
            Answered(405),
        ),
        (
            "3.3.14",
            register("Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\n"),
            Answered(405),
        ),
        (
            "3.4.1",
            "INVITE sip:user@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\n\
             From: <sip:+13035551111@ift.client.example.net;user=phone>\nTo: \
             sip:+16505552222@ss1.example.net;user=phone\nCall-ID: inv2543.1717@ift\n\
             CSeq: 56 INVITE\nContact: <sip:caller@host5.example.net>\n\n"
                .to_owned(),
            Answered(100),
        ),
        ("3.3.15", invite("Accept: text/nobodyKnowsThis\n"), Answered(406)),
    ]);
}

/// RFC 4475 §3.3.5, §3.3.6: extensions that nobody knows are named, and bodies that are known.
#[test]
fn what_is_unknown_is_named() {
    let invite = |lines: &str| request_of("INVITE sip:user@example.com SIP/2.0", lines);
    let options = |lines: &str| request_of("OPTIONS sip:user@example.com SIP/2.0", lines);
    let unknown = "Require: nothingSupportsThis, nothingSupportsThisEither\n\
                   Proxy-Require: noProxiesSupportThis\n";
    let (answered, answers) = fate(&options(unknown));
    assert_eq!(answered, Answered(420), "§3.3.5");
    let unsupported = answers[0].headers.list("Unsupported");
    assert_eq!(unsupported, ["nothingSupportsThis", "nothingSupportsThisEither"]);
    let format = "Content-Type: application/unknownformat\nContent-Length: 7\n";
    let (answered, answers) = fate(&format!("{}<audio>", invite(format)));
    assert_eq!(answered, Answered(415), "§3.3.6");
    assert_eq!(answers[0].headers.first("Accept"), Some("application/sdp"));
}
