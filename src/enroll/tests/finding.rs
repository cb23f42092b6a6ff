//! RFC 6940 §11.2.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use super::servers::{Dns, Page, Seen, Web, WebAuthority, Zone};
use super::{DAY_MS, now_ms};
use crate::config::{OverlayConfig, OverlayName, SignedConfig};
use crate::crypto::Keys;
use crate::enroll::{
    DnsError, DocumentError, FindFailure, Finding, HttpsError, Kept, Query, Road, RoadFailure,
    RoadNews, RoadState, find,
};

const OVERLAY: &str = "example.test";
/// Where the SRV record of the tests leads.
const WWW: &str = "www.provider.example";

fn document(sequence: u16) -> SignedConfig {
    document_of(OVERLAY, sequence, None)
}

fn document_of(name: &str, sequence: u16, expiration_unix_ms: Option<u64>) -> SignedConfig {
    let config = OverlayConfig::self_signed(name).expect("a name");
    let config = OverlayConfig { sequence, expiration_unix_ms, ..config };
    SignedConfig::unsigned(&config).expect("good")
}

fn page(body: &[u8]) -> Page {
    (200, "application/p2p-overlay+xml", body.to_vec(), None)
}

/// A web server that an SRV record leads to.
struct Lab {
    authority: WebAuthority,
    web: Web,
    dns: Dns,
    news: Mutex<Vec<RoadNews>>,
}

impl Lab {
    async fn new(answer: impl Fn(&Seen) -> Page + Send + Sync + 'static) -> Self {
        let authority = WebAuthority::new();
        let keys = authority.keys(&[OVERLAY]);
        Self::with_keys(authority, keys, answer).await
    }

    async fn with_keys(
        authority: WebAuthority,
        keys: Keys,
        answer: impl Fn(&Seen) -> Page + Send + Sync + 'static,
    ) -> Self {
        let web = Web::start(keys, answer).await;
        let zone = Zone::default()
            .service(OVERLAY, 1, web.address.port(), &format!("{WWW}."))
            .host(WWW, Ipv4Addr::LOCALHOST);
        let dns = Dns::start(zone).await;
        Self { authority, web, dns, news: Mutex::default() }
    }

    fn query(&self, kept: Option<SignedConfig>) -> Query {
        Query {
            overlay: OverlayName::new(OVERLAY).expect("a name"),
            kept: kept.map(|document| Kept { document, peers: Vec::new() }),
            unix_ms: now_ms(),
            resolver: Ok(self.dns.resolver()),
            trust: self.authority.trust(),
        }
    }

    async fn find(&self, kept: Option<SignedConfig>) -> Result<Finding, FindFailure> {
        self.news.lock().expect("no panic").clear();
        find(self.query(kept), |news| self.news.lock().expect("no panic").push(news)).await
    }

    /// Why DNS and HTTPS lead nowhere.
    async fn failure(&self) -> RoadFailure {
        let failure = self.find(None).await.expect_err("nothing is found");
        let [(Road::Dns, failure)] = &failure.roads[..] else { panic!("{failure:?}") };
        failure.clone()
    }

    fn states(&self) -> Vec<RoadState> {
        let news = self.news.lock().expect("no panic");
        news.iter().filter(|news| news.road == Road::Dns).map(|news| news.state.clone()).collect()
    }
}

/// R6940-11.2-01, R6940-11.2-02, R6940-11.2-03: from nothing but the name, a query for its SRV
/// record leads to an address and a port, while path, Host and SNI say the overlay's name.
#[tokio::test]
async fn a_name_is_enough() {
    let lab = Lab::new(|_| page(&document(1).document)).await;
    let finding = lab.find(None).await.expect("found");
    assert_eq!((finding.document, finding.road), (document(1), Road::Dns));
    let seen = lab.web.only();
    assert_eq!(seen.sni.as_deref(), Some(OVERLAY));
    assert_eq!(seen.header("host"), OVERLAY);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/.well-known/reload-config"));
    let states = [RoadState::AskingDns, RoadState::AskingWeb, RoadState::Found];
    assert_eq!(lab.states(), states);
}

/// R6940-11.2-05, R6940-11.2-07: a fresh copy is fetched although one is kept, and takes its
/// place, unsigned as it is (T-81).
#[tokio::test]
async fn a_fresh_copy_replaces_the_kept_one() {
    let sequence = std::sync::atomic::AtomicU16::new(4);
    let lab = Lab::new(move |_| {
        let next = sequence.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        page(&document(next).document)
    })
    .await;
    for sequence in [4, 5] {
        let finding = lab.find(Some(document(3))).await.expect("found");
        assert_eq!(finding.road, Road::Dns);
        assert_eq!(finding.document.config.sequence, sequence);
    }
}

/// R6940-11.2-04: the certificate has to be for the overlay's name. One for the host that the SRV
/// record names proves nothing, and neither does one that nobody vouches for.
#[tokio::test]
async fn only_the_name_of_the_overlay_is_proof() {
    let authority = WebAuthority::new();
    let keys = authority.keys(&[WWW]);
    let lab = Lab::with_keys(authority, keys, |_| page(&document(1).document)).await;
    let expected = HttpsError::OtherName { host: OVERLAY.into() };
    assert_eq!(lab.failure().await, RoadFailure::Https(expected));
    assert!(lab.web.seen().is_empty(), "nothing was asked");

    let keys = WebAuthority::new().keys(&[OVERLAY]);
    let lab = Lab::with_keys(WebAuthority::new(), keys, |_| page(&document(1).document)).await;
    let expected = HttpsError::Untrusted { host: OVERLAY.into() };
    assert_eq!(lab.failure().await, RoadFailure::Https(expected));
    assert!(lab.web.seen().is_empty(), "nothing was asked");
}

/// A clock that is off shows in the web server's certificate, and the sentence says so.
#[tokio::test]
async fn a_wrong_clock_is_said() {
    let now = now_ms();
    for (validity, word) in [
        (now + DAY_MS..now + 3 * DAY_MS, "check date and time"),
        (now - 3 * DAY_MS..now - DAY_MS, "clock is wrong"),
    ] {
        let authority = WebAuthority::new();
        let keys = authority.keys_valid(&[OVERLAY], validity);
        let lab = Lab::with_keys(authority, keys, |_| page(&document(1).document)).await;
        let sentence = lab.failure().await.to_string();
        assert!(sentence.contains(word), "{sentence}");
    }
}

/// R6940-11.2-06: what is no document, or another overlay's, or no longer valid, is discarded; the
/// kept document is used on.
#[tokio::test]
async fn what_is_not_valid_is_discarded() {
    let expired = document_of(OVERLAY, 9, Some(now_ms() - 1));
    for (body, word) in [
        (b"<html>Welcome</html>".to_vec(), "can't be used"),
        (document_of("other.test", 9, None).document.to_vec(), "example.test"),
        (expired.document.to_vec(), "has expired"),
        (vec![b' '; 300 * 1024], "more than 256 KiB"),
    ] {
        let lab = Lab::new(move |_| page(&body)).await;
        let sentence = lab.failure().await.to_string();
        assert!(sentence.contains(word), "{sentence}");
        let finding = lab.find(Some(document(3))).await.expect("kept");
        assert_eq!((finding.document, finding.road), (document(3), Road::Cache));
    }
    let lab = Lab::new(|_| (404, "text/html", b"no".to_vec(), None)).await;
    let sentence = lab.failure().await.to_string();
    assert!(sentence.contains("404 Not Found"), "{sentence}");
}

/// Of a file with several overlays, ours is taken.
#[tokio::test]
async fn ours_is_chosen_by_its_name() {
    let [other, ours] = ["other.test", OVERLAY].map(|name| {
        let document = document_of(name, 7, None);
        String::from_utf8(document.bytes.to_vec()).expect("UTF-8")
    });
    let both = document(1).document;
    let both = String::from_utf8(both.to_vec()).expect("UTF-8");
    let one = document(1).bytes;
    let one = std::str::from_utf8(&one).expect("UTF-8");
    let both = both.replace(one, &format!("{other}{ours}"));
    let lab = Lab::new(move |_| page(both.as_bytes())).await;
    let finding = lab.find(None).await.expect("found");
    assert!(finding.document.config.instance_name.matches(OVERLAY));
    assert_eq!(finding.document.config.sequence, 7);
}

/// T-81: an old document that is played back is not taken, and the user hears of it.
#[tokio::test]
async fn an_older_document_is_not_taken_silently() {
    let lab = Lab::new(|_| page(&document(3).document)).await;
    let finding = lab.find(Some(document(4))).await.expect("kept");
    assert_eq!((finding.document, finding.road), (document(4), Road::Cache));
    let older = DocumentError::Older { kept: 4, found: 3 };
    let states = lab.states();
    assert_eq!(states.last(), Some(&RoadState::Failed(RoadFailure::Document(older))));
    assert!(states.last().expect("failed").to_string().ends_with("join with its file."));
}

/// What was kept is not used when its own time is over.
#[tokio::test]
async fn an_expired_document_is_not_joined_with() {
    let lab = Lab::new(|_| (503, "text/plain", Vec::new(), None)).await;
    let failure = lab.find(Some(document_of(OVERLAY, 1, Some(1)))).await.expect_err("expired");
    let sentence = failure.to_string();
    assert!(sentence.contains("kept here has expired"), "{sentence}");
    assert!(sentence.contains("503"), "{sentence}");
    assert_eq!(sentence.lines().count(), 1);
}

/// T-75: a redirect is followed within the server, and nowhere else, and never to plain HTTP.
#[tokio::test]
async fn redirects_stay_with_the_server() {
    let moved = |to: &'static str| {
        move |seen: &Seen| match seen.path.as_str() {
            "/.well-known/reload-config" => (301, "text/plain", Vec::new(), Some(to.to_owned())),
            "/overlay.xml" => page(&document(1).document),
            _ => (302, "text/plain", Vec::new(), Some(seen.path.clone())),
        }
    };
    for to in ["/overlay.xml", "https://example.test/overlay.xml"] {
        let lab = Lab::new(moved(to)).await;
        assert_eq!(lab.find(None).await.map(|found| found.road), Ok(Road::Dns), "{to}");
    }
    for to in [
        "http://example.test/overlay.xml",
        "https://other.test/overlay.xml",
        "https://example.test:444/overlay.xml",
        "//other.test/overlay.xml",
        "/for-ever",
        "",
    ] {
        let lab = Lab::new(moved(to)).await;
        let failure = lab.failure().await;
        assert!(matches!(&failure, RoadFailure::Https(HttpsError::Redirected { .. })), "{to}");
        assert!(lab.web.seen().len() <= 4, "{to}");
    }
}

/// T-75: without an SRV record it is the name itself, on the port of HTTPS. What the name's owner
/// says is not there, or nobody knows, is said.
#[tokio::test]
async fn without_a_service_the_name_itself_is_asked() {
    let here = Ipv4Addr::new(192, 0, 2, 7);
    let dns = Dns::start(Zone::default().host(OVERLAY, here)).await;
    let found = dns.resolver().config_server(OVERLAY).await;
    assert_eq!(found, Ok(vec![SocketAddr::from((here, 443))]));
    let nobody = dns.resolver().config_server("nobody.test").await;
    assert_eq!(nobody, Err(DnsError::NoName("nobody.test".into())));
    let zone = Zone::default().service(OVERLAY, 0, 0, ".").host(OVERLAY, here);
    let found = Dns::start(zone).await.resolver().config_server(OVERLAY).await;
    assert_eq!(found, Err(DnsError::NotOffered(OVERLAY.into())));
}

/// The servers of a lower priority are tried when the first one is down.
#[tokio::test]
async fn the_next_server_is_asked() {
    let authority = WebAuthority::new();
    let web = Web::start(authority.keys(&[OVERLAY]), |_| page(&document(1).document)).await;
    let down = std::net::TcpListener::bind("127.0.0.2:0").expect("a port");
    let port_down = down.local_addr().expect("bound").port();
    drop(down);
    let zone = Zone::default()
        .service(OVERLAY, 2, web.address.port(), &format!("{WWW}."))
        .service(OVERLAY, 1, port_down, "down.provider.example.")
        .host(WWW, Ipv4Addr::LOCALHOST)
        .host("down.provider.example", Ipv4Addr::new(127, 0, 0, 2));
    let dns = Dns::start(zone).await;
    let lab = Lab { authority, web, dns, news: Mutex::default() };
    assert_eq!(lab.find(None).await.map(|found| found.road), Ok(Road::Dns));
}
