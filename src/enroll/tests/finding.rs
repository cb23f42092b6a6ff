//! RFC 6940 §11.2.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;

use super::servers::{Dns, LOOPBACK, Page, Seen, Web, WebAuthority, Zone};
use super::{DAY_MS, now_ms};
use crate::config::{OverlayConfig, OverlayName, SignedConfig};
use crate::crypto::{Identity, Keys};
use crate::enroll::{
    DnsError, DocumentError, FindFailure, Finding, HttpsError, Invitation, LanPeer, LanPeers,
    Query, Road, RoadFailure, RoadNews, RoadState, Share, Trust, find,
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
        let resolver = Ok(self.dns.resolver());
        Query { resolver, trust: self.authority.trust(), ..off_line(kept) }
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
    assert!(states.last().expect("failed").to_string().ends_with("so it is not taken."));
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

/// Peers that hand out documents.
async fn shares<const N: usize>(documents: [&SignedConfig; N]) -> ([Share; N], Vec<SocketAddr>) {
    let mut shares = Vec::new();
    for document in documents {
        shares.push(Share::start(LOOPBACK, document).await.expect("a port"));
    }
    let addresses = shares.iter().map(Share::address).collect();
    (shares.try_into().expect("as many"), addresses)
}

fn lan_peers(addresses: &[SocketAddr]) -> LanPeers {
    let peer = |address: &SocketAddr| LanPeer {
        overlay: OverlayName::new("Example.TEST").expect("a name"),
        sequence: 1,
        addresses: vec![*address],
    };
    tokio::sync::watch::channel(addresses.iter().map(peer).collect()).1
}

/// A search without a web server.
fn off_line(kept: Option<SignedConfig>) -> Query {
    let name = OverlayName::new(OVERLAY).expect("a name");
    let resolver = Err(DnsError::NoServer);
    Query { kept, resolver, trust: Trust::none(), ..Query::new(name, now_ms()) }
}

fn founder() -> Identity {
    let provider = OverlayConfig::self_signed(OVERLAY).expect("a name").provider();
    let keys = Keys::self_signed(&provider, "alice@example.test", now_ms(), 30).expect("made");
    keys.identity(&provider).expect("accepted")
}

fn signed(founder: &Identity, sequence: u16) -> SignedConfig {
    let config = OverlayConfig::self_signed(OVERLAY).expect("a name");
    let configuration_signers = vec![founder.node_id];
    let config = OverlayConfig { sequence, configuration_signers, ..config };
    config.sign(founder).expect("signed")
}

/// R6940-11.2-08: without any server an invitation is enough. The peer that hands out another
/// document, and the one that is gone, are passed over.
#[tokio::test]
async fn an_invitation_is_enough() {
    let founder = founder();
    let (ours, forged) = (signed(&founder, 3), signed(&self::founder(), 9));
    let (_shares, mut addresses) = shares([&forged, &ours]).await;
    addresses.push("127.0.0.1:9".parse().expect("an address"));
    let invitation = Invitation::new(&signed(&founder, 1), addresses.clone(), now_ms());
    let query = Query { invitation: Some(invitation), ..off_line(None) };
    let finding = find(query, |_| ()).await.expect("found");
    assert_eq!((finding.document, finding.road), (ours, Road::Invitation));
    assert!(finding.is_proved);
    assert_eq!(finding.bootstrap, addresses);
}

/// What the invitation does not vouch for is not taken, from wherever it comes: neither from a
/// peer, nor from the web server of the name, nor from the last time.
#[tokio::test]
async fn an_invitation_is_binding() {
    let other = signed(&founder(), 9);
    let (_shares, addresses) = shares([&other]).await;
    let invitation = Some(Invitation::new(&signed(&founder(), 1), addresses.clone(), now_ms()));
    let body = other.document.to_vec();
    let lab = Lab::new(move |_| page(&body)).await;
    let lan = Some(Ok(lan_peers(&addresses)));
    let query = Query { invitation, lan, ..lab.query(Some(other)) };
    let failure = find(query, |_| ()).await.expect_err("another overlay");
    let roads: Vec<_> = failure.roads.iter().map(|(road, _)| *road).collect();
    assert_eq!(roads, [Road::Dns, Road::Invitation, Road::Lan]);
    for (road, failure) in failure.roads {
        assert_eq!(failure, RoadFailure::Document(DocumentError::NotInvited), "{road}");
    }
}

/// R6940-4.6.1-01: a stranger on the network does not replace the document that is kept; who may
/// sign it does, with a newer one alone. The stranger's address is a hint all the same (T-71).
#[tokio::test]
async fn the_network_replaces_nothing_without_a_signature() {
    let founder = founder();
    let kept = signed(&founder, 3);
    for (document, expected) in [
        (signed(&self::founder(), 9), Err(DocumentError::WronglySigned)),
        (document(9), Err(DocumentError::WronglySigned)),
        (signed(&founder, 2), Err(DocumentError::Older { kept: 3, found: 2 })),
        (signed(&founder, 4), Ok(Road::Lan)),
        (kept.clone(), Ok(Road::Lan)),
    ] {
        let (_shares, addresses) = shares([&document]).await;
        let lan = Some(Ok(lan_peers(&addresses)));
        let states = Mutex::new(Vec::new());
        let finding = find(Query { lan, ..off_line(Some(kept.clone())) }, |news| {
            let is_lan = news.road == Road::Lan;
            states.lock().expect("no panic").extend(is_lan.then_some(news.state));
        });
        let finding = finding.await.expect("at least the kept one");
        assert_eq!(finding.bootstrap, addresses);
        assert!(finding.is_proved);
        let last = states.into_inner().expect("no panic").pop();
        match expected {
            Ok(road) => assert_eq!((finding.road, &finding.document), (road, &document)),
            Err(error) => {
                assert_eq!((finding.road, &finding.document), (Road::Cache, &kept));
                assert_eq!(last, Some(RoadState::Failed(RoadFailure::Document(error))));
            }
        }
    }
}

/// R6940-4.6.1-01: where nothing is kept, what the network hands out is taken after all other
/// roads have failed, and is said to be without proof.
#[tokio::test]
async fn the_network_alone_proves_nothing() {
    let forged = signed(&founder(), 9);
    let (_shares, addresses) = shares([&forged]).await;
    let lan = || Some(Ok(lan_peers(&addresses)));
    let finding = find(Query { lan: lan(), ..off_line(None) }, |_| ()).await.expect("found");
    assert_eq!((finding.road, finding.is_proved), (Road::Lan, false));
    assert_eq!((finding.document, finding.from), (forged, Some(addresses[0])));

    let lab = Lab::new(|_| page(&document(1).document)).await;
    let query = Query { lan: lan(), ..lab.query(None) };
    let finding = find(query, |_| ()).await.expect("found");
    assert_eq!((finding.document, finding.road), (document(1), Road::Dns), "the web proves it");
}

/// R6940-4.6.1-01, T-70: what was kept without proof gives way to what is proved, however high its
/// sequence is, and what follows it is without proof too.
#[tokio::test]
async fn what_nothing_proves_gives_way() {
    let (founder, mallory) = (founder(), self::founder());
    let (ours, forged) = (signed(&founder, 3), signed(&mallory, 60_000));
    let kept = |query| Query { is_kept_proved: false, ..query };

    let (_shares, addresses) = shares([&ours]).await;
    let invitation = Some(Invitation::new(&signed(&founder, 1), addresses.clone(), now_ms()));
    // The forger may have handed out a document of the right signer's name, so that it fits.
    let copied = OverlayConfig { sequence: 60_000, ..ours.config.clone() };
    let copied = SignedConfig::unsigned(&copied).expect("good");
    for forged in [&forged, &copied] {
        let invitation = invitation.clone();
        let query = Query { invitation, ..off_line(Some(forged.clone())) };
        let finding = find(kept(query), |_| ()).await.expect("found");
        assert_eq!((&finding.document, finding.is_proved), (&ours, true));
    }

    let lab = Lab::new(|_| page(&document(1).document)).await;
    let finding = find(kept(lab.query(Some(forged.clone()))), |_| ()).await.expect("found");
    assert_eq!((finding.document, finding.is_proved), (document(1), true));

    let next = signed(&mallory, 60_001);
    let (_shares, addresses) = shares([&next]).await;
    let lan = Some(Ok(lan_peers(&addresses)));
    let query = Query { lan, ..off_line(Some(forged.clone())) };
    let finding = find(kept(query), |_| ()).await.expect("found");
    assert_eq!((finding.document, finding.is_proved), (next, false));
    let finding = find(kept(off_line(Some(forged.clone()))), |_| ()).await.expect("kept");
    assert_eq!((finding.document, finding.road, finding.is_proved), (forged, Road::Cache, false));
}

/// R6940-11.1-05: peers that are known hand out what follows the kept document; what does not
/// follow it is not taken from them.
#[tokio::test]
async fn known_peers_hand_out_what_follows() {
    let founder = founder();
    let (kept, next) = (signed(&founder, 3), signed(&founder, 4));
    let (_shares, peers) = shares([&signed(&self::founder(), 9), &next]).await;
    let finding = find(Query { peers, ..off_line(Some(kept)) }, |_| ()).await.expect("found");
    assert_eq!((finding.document, finding.road, finding.is_proved), (next, Road::Peers, true));
}

/// Nobody there is a sentence with all that was tried.
#[tokio::test]
async fn an_unknown_overlay_is_not_found() {
    let query = Query { lan: Some(Ok(lan_peers(&[]))), ..off_line(None) };
    let failure = find(query, |_| ()).await.expect_err("nobody");
    assert_eq!(
        failure.to_string(),
        "the overlay example.test was not found: this computer has no DNS server to ask; nobody \
         on this network is in it"
    );
}

/// R7890-2.5-01: however many say to be on the network, a search asks some of them, each once.
#[tokio::test]
async fn a_crowd_is_not_asked_all_at_once() {
    let crowd = std::iter::repeat_with(|| std::net::TcpListener::bind(LOOPBACK).expect("a port"));
    let crowd: Vec<_> = crowd.take(200).collect();
    let addresses: Vec<_> = crowd.iter().map(|one| one.local_addr().expect("bound")).collect();
    let query = Query { lan: Some(Ok(lan_peers(&addresses))), ..off_line(None) };
    let looking = find(query, |_| ());
    let asked = |crowd: &[std::net::TcpListener]| {
        let come = crowd.iter().map(|one| {
            one.set_nonblocking(true).expect("a socket");
            std::iter::from_fn(|| one.accept().ok()).count()
        });
        come.collect::<Vec<_>>()
    };
    // Nobody answers, so it goes on until the last who was asked has had their time.
    assert!(looking.await.is_err());
    let asked = asked(&crowd);
    assert_eq!(asked.iter().sum::<usize>(), 8, "{asked:?}");
    assert!(asked.iter().all(|times| *times <= 1), "{asked:?}");
}
