//! RFC 6940 §11.3, the client's side.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::servers::{Dns, Page, Seen, Web, WebAuthority, Zone};
use super::{DAY_MS, now_ms};
use crate::base::NodeId;
use crate::config::OverlayName;
use crate::crypto::{
    Authority, CertificateError, CertificateRequest, Keys, NodeIdDigest, Password, Provider,
    RequestedCertificate, X509Provider,
};
use crate::enroll::{
    EnrollError, Enrollment, HttpsError, Revocation, RevokeError, Trust, enroll, revoke,
};

const OVERLAY: &str = "example.test";
const ALICE: &str = "alice@example.test";
/// Where the enrollment server of the tests is.
const HOST: &str = "enroll.provider.example";

/// An overlay with an authority, and a web server that does what it is told.
struct Lab {
    authority: Arc<Authority>,
    web_authority: WebAuthority,
    web: Web,
    dns: Dns,
}

impl Lab {
    /// A server of [`HOST`] whose answers `answer` makes with the overlay's authority.
    async fn new(answer: impl Fn(&Authority, &Seen) -> Page + Send + Sync + 'static) -> Self {
        let web_authority = WebAuthority::new();
        let authority = Arc::new(Authority::generate(OVERLAY, now_ms()).expect("an authority"));
        let keys = web_authority.keys(&[HOST]);
        Self::with_keys(authority, web_authority, keys, answer).await
    }

    async fn with_keys(
        authority: Arc<Authority>,
        web_authority: WebAuthority,
        keys: Keys,
        answer: impl Fn(&Authority, &Seen) -> Page + Send + Sync + 'static,
    ) -> Self {
        let issuer = authority.clone();
        let web = Web::start(keys, move |seen| answer(&issuer, seen)).await;
        let dns = Dns::start(Zone::default().host(HOST, Ipv4Addr::LOCALHOST)).await;
        Self { authority, web_authority, web, dns }
    }

    fn url(&self) -> String {
        format!("https://{HOST}:{}/enroll", self.web.address.port())
    }

    fn provider(&self) -> X509Provider {
        X509Provider {
            overlay: OVERLAY.into(),
            node_id_length: NodeId::LENGTH_DEFAULT,
            self_signed: None,
            roots: vec![self.authority.certificate_der().to_vec()],
        }
    }

    fn enrollment(&self) -> Enrollment {
        let request = CertificateRequest::generate(ALICE).expect("a request");
        Enrollment {
            urls: vec![self.url()],
            overlay: OverlayName::new(OVERLAY).expect("a name"),
            account: Some(("alice".into(), Password::new("opensesame"))),
            invitation: None,
            node_ids: 1,
            user_name: ALICE.into(),
            csr_der: request.csr_der,
        }
    }

    async fn enroll(&self, enrollment: &Enrollment) -> Result<Vec<u8>, EnrollError> {
        let trust = self.web_authority.trust();
        enroll(enrollment, &self.provider(), &Ok(self.dns.resolver()), &trust).await
    }
}

/// A certificate for the request in a form.
fn issued(authority: &Authority, csr: &[u8], user: &str) -> Page {
    let request = RequestedCertificate::read(csr).expect("a request with a good signature");
    let node_id = NodeId::from_u128(0x77);
    let validity = now_ms() - DAY_MS..now_ms() + DAY_MS;
    let certificate = authority.issue(&request, user, &[node_id], validity).expect("issued");
    (200, "application/pkix-cert", certificate, None)
}

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    media_type: Option<String>,
    value: Vec<u8>,
}

/// The parts of a form, as an independent reader sees them.
async fn parts(seen: &Seen) -> Vec<Part> {
    let content_type = seen.header("content-type");
    assert!(content_type.starts_with("multipart/form-data;"), "{content_type}");
    let boundary = multer::parse_boundary(content_type).expect("a boundary");
    let body = http_body_util::Full::new(seen.body.clone());
    let stream = http_body_util::BodyDataStream::new(body);
    let mut form = multer::Multipart::new(stream, boundary);
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.expect("a good form") {
        let name = field.name().expect("named").to_owned();
        let media_type = field.content_type().map(ToString::to_string);
        let value = field.bytes().await.expect("a value").to_vec();
        parts.push(Part { name, media_type, value });
    }
    parts
}

/// The request in a form; the tests that look closer use [`parts`].
fn csr_in(body: &[u8]) -> &[u8] {
    let head = b"Content-Type: application/pkcs10\r\n\r\n";
    let at = body.windows(head.len()).position(|w| w == head).expect("a request") + head.len();
    let end = b"\r\n--chordial-";
    let length = body[at..].windows(end.len()).rposition(|w| w == end).expect("an end");
    &body[at..at + length]
}

/// R6940-11.3-02, R6940-11.3-03, R6940-11.3-06, R6940-11.3-07: one POST over HTTPS with account
/// and password in UTF-8 and the request as application/pkcs10, by a client that wants
/// application/pkix-cert. R6940-11.3-04: one Node-ID is not asked for in words, two are.
#[tokio::test]
async fn the_form_is_as_the_rfc_wants_it() {
    for node_ids in [1, 2] {
        let lab = Lab::new(|authority, seen| issued(authority, csr_in(&seen.body), ALICE)).await;
        let account = Some(("Zoe\u{308}".to_owned(), Password::new("p\u{e4}ss w\u{f6}rd")));
        let enrollment = Enrollment { account, node_ids, ..lab.enrollment() };
        let certificate = lab.enroll(&enrollment).await.expect("enrolled");
        let accepted = lab.provider().certificate(&certificate).expect("accepted");
        assert_eq!(accepted.user_name, ALICE);

        let seen = lab.web.only();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/enroll"));
        assert_eq!(seen.sni.as_deref(), Some(HOST));
        assert_eq!(seen.header("host"), format!("{HOST}:{}", lab.web.address.port()));
        assert_eq!(seen.header("accept"), "application/pkix-cert");
        let text = |name: &str, value: &str| Part {
            name: name.into(),
            media_type: None,
            value: value.as_bytes().to_vec(),
        };
        let mut expected =
            vec![text("username", "zo\u{eb}"), text("password", "p\u{e4}ss w\u{f6}rd")];
        if node_ids == 2 {
            expected.push(text("nodeids", "2"));
        }
        let (name, media_type) = ("csr".to_owned(), Some("application/pkcs10".to_owned()));
        expected.push(Part { name, media_type, value: enrollment.csr_der.clone() });
        assert_eq!(parts(&seen).await, expected);
        let request = RequestedCertificate::read(&enrollment.csr_der).expect("signed");
        assert_eq!(request.user_name(), Some(ALICE));
    }
}

/// A server that wants no account gets none.
#[tokio::test]
async fn without_an_account_none_is_sent() {
    let lab = Lab::new(|authority, seen| issued(authority, csr_in(&seen.body), ALICE)).await;
    let enrollment = Enrollment { account: None, ..lab.enrollment() };
    lab.enroll(&enrollment).await.expect("enrolled");
    let names: Vec<_> = parts(&lab.web.only()).await.into_iter().map(|part| part.name).collect();
    assert_eq!(names, ["csr"]);
}

/// A server that is not ours has no certificate to give for a form without a request, or none that
/// is asked for; it is said to be no help, and whom to ask.
#[tokio::test]
async fn other_servers_revoke_nothing() {
    for page in [
        (403, "text/plain", b"bad_CSR".to_vec(), None),
        (200, "application/pkix-cert", vec![0x30, 0], None),
    ] {
        let lab = Lab::new(move |_, _| page.clone()).await;
        let revocation = Revocation {
            urls: vec![lab.url()],
            overlay: OverlayName::new(OVERLAY).expect("a name"),
            account: ("alice".into(), Password::new("opensesame")),
            node_id: NodeId::from_u128(0x77),
        };
        let trust = lab.web_authority.trust();
        let result = revoke(&revocation, &Ok(lab.dns.resolver()), &trust).await;
        assert_eq!(result, Err(RevokeError::Unknown(HOST.into())));
        let fields: Vec<_> =
            parts(&lab.web.only()).await.into_iter().map(|part| part.name).collect();
        assert_eq!(fields, ["username", "password", "revoke"]);
    }
}

/// R6940-11.3-02: nothing is sent over plain HTTP, and a redirect, whether to plain HTTP or to
/// another page, is not followed with a password in hand.
#[tokio::test]
async fn passwords_go_to_the_server_alone() {
    for to in ["http://enroll.provider.example/enroll", "/elsewhere"] {
        let lab = Lab::new(|_, _| (307, "text/plain", Vec::new(), Some(to.to_owned()))).await;
        let result = lab.enroll(&lab.enrollment()).await;
        let redirected = HttpsError::Redirected { host: HOST.into(), to: to.into() };
        assert_eq!(result, Err(EnrollError::Https(redirected)));
        assert_eq!(lab.web.seen().len(), 1);
    }
    let lab = Lab::new(|authority, seen| issued(authority, csr_in(&seen.body), ALICE)).await;
    let plain = lab.url().replace("https:", "http:");
    let enrollment = Enrollment { urls: vec![plain], ..lab.enrollment() };
    assert!(matches!(lab.enroll(&enrollment).await, Err(EnrollError::Url(_))));
    assert!(lab.web.seen().is_empty());
}

/// T-76: the server proves the host of its URL or the overlay's name, to a root of the system or
/// of the overlay; another name or another root is no proof.
#[tokio::test]
async fn the_server_proves_its_name() {
    let answer = |authority: &Authority, seen: &Seen| issued(authority, csr_in(&seen.body), ALICE);
    let web_authority = WebAuthority::new();
    let authority = Arc::new(Authority::generate(OVERLAY, now_ms()).expect("an authority"));
    let keys = web_authority.keys(&[OVERLAY]);
    let lab = Lab::with_keys(authority.clone(), web_authority, keys, answer).await;
    assert!(lab.enroll(&lab.enrollment()).await.is_ok(), "the overlay's name");

    let web_authority = WebAuthority::new();
    let keys = web_authority.keys(&["other.example"]);
    let lab = Lab::with_keys(authority.clone(), web_authority, keys, answer).await;
    let refused = EnrollError::Https(HttpsError::OtherName { host: HOST.into() });
    assert_eq!(lab.enroll(&lab.enrollment()).await, Err(refused));

    let validity = now_ms() - DAY_MS..now_ms() + DAY_MS;
    let keys = authority.issue_server(&[OVERLAY], &[], validity).expect("issued");
    let lab = Lab::with_keys(authority.clone(), WebAuthority::new(), keys, answer).await;
    let refused = EnrollError::Https(HttpsError::Untrusted { host: HOST.into() });
    assert_eq!(lab.enroll(&lab.enrollment()).await, Err(refused));
    let trust = Trust::none().with_roots(&lab.provider().roots);
    let resolver = Ok(lab.dns.resolver());
    let enrolled = enroll(&lab.enrollment(), &lab.provider(), &resolver, &trust).await;
    assert!(enrolled.is_ok(), "the overlay's own root: {enrolled:?}");
    assert_eq!(lab.web.seen().len(), 1, "no password was sent to the others");
}

/// R6940-11.3-15: the four tokens say what is wrong; any other is an unknown reason.
#[tokio::test]
async fn refusals_are_told_apart() {
    let user = || ALICE.to_owned();
    for (token, expected, word) in [
        ("failed_authentication", EnrollError::Authentication, "password"),
        ("username_not_available\r\n", EnrollError::UserName(user()), ALICE),
        ("Node-IDs_not_available", EnrollError::NodeIds(1), "Node-IDs"),
        ("bad_CSR", EnrollError::BadCsr, "request"),
        ("moon_in_wrong_phase", EnrollError::Unknown, "unknown reason"),
        ("", EnrollError::Unknown, "unknown reason"),
    ] {
        let body = token.as_bytes().to_vec();
        let lab = Lab::new(move |_, _| (403, "text/plain", body.clone(), None)).await;
        let result = lab.enroll(&lab.enrollment()).await;
        assert_eq!(result, Err(expected), "{token}");
        let sentence = result.expect_err("refused").to_string();
        assert!(sentence.contains(word) && sentence.lines().count() == 1, "{sentence}");
    }
    let lab = Lab::new(|_, _| (200, "text/html", b"<html>".to_vec(), None)).await;
    let result = lab.enroll(&lab.enrollment()).await;
    assert_eq!(result, Err(EnrollError::NoCertificate(HOST.into())));
}

/// R6940-11.3-16: the certificate has to chain to a root of the document by issuers that may
/// issue; and it is for this overlay, our key and our name, or it is not taken.
#[tokio::test]
async fn the_answer_is_checked() {
    let stranger = Authority::generate(OVERLAY, now_ms()).expect("an authority");
    let lab = Lab::new(move |_, seen| issued(&stranger, csr_in(&seen.body), ALICE)).await;
    let refused = lab.enroll(&lab.enrollment()).await;
    assert!(matches!(refused, Err(EnrollError::Certificate(_))), "another root: {refused:?}");

    let lab = Lab::new(|authority, seen| {
        let other = Authority::from_keys("other.test", authority.keys().clone());
        issued(&other.expect("an authority"), csr_in(&seen.body), ALICE)
    })
    .await;
    let refused = lab.enroll(&lab.enrollment()).await;
    let expected = CertificateError::NoNodeId(OVERLAY.into());
    assert_eq!(refused, Err(EnrollError::Certificate(expected)));

    let lab = Lab::new(|authority, _| {
        let other = CertificateRequest::generate(ALICE).expect("a request");
        issued(authority, &other.csr_der, ALICE)
    })
    .await;
    assert_eq!(lab.enroll(&lab.enrollment()).await, Err(EnrollError::OtherKey));

    let bob = "bob@example.test";
    let lab = Lab::new(move |authority, seen| issued(authority, csr_in(&seen.body), bob)).await;
    let (wanted, given) = (ALICE.to_owned(), bob.to_owned());
    let expected = EnrollError::OtherUser { wanted, given };
    assert_eq!(lab.enroll(&lab.enrollment()).await, Err(expected));
}

/// R6940-11.3-16: a certificate that another user of the overlay issued is refused, for that user
/// may not issue any, and so is one that its owner has signed.
#[tokio::test]
async fn who_is_no_authority_issues_no_certificates() {
    let lab = Lab::new(|authority, seen| issued(authority, csr_in(&seen.body), ALICE)).await;
    let request = CertificateRequest::generate(ALICE).expect("a request");
    let enrollment = Enrollment { csr_der: request.csr_der.clone(), ..lab.enrollment() };
    let certificate_der = lab.enroll(&enrollment).await.expect("enrolled");
    let keys = Keys { certificate_der, private_key_der: request.private_key_der };
    let (authority, web_authority) = (lab.authority.clone(), WebAuthority::new());
    let web_keys = web_authority.keys(&[HOST]);
    let answer = move |_: &Authority, seen: &Seen| {
        let forged = forge(&keys, csr_in(&seen.body));
        (200, "application/pkix-cert", forged, None)
    };
    let lab = Lab::with_keys(authority, web_authority, web_keys, answer).await;
    let result = lab.enroll(&lab.enrollment()).await;
    let expected = EnrollError::Certificate(CertificateError::Untrusted);
    assert_eq!(result, Err(expected));

    let sha256 = Some(NodeIdDigest::Sha256);
    let both = X509Provider { self_signed: sha256, ..lab.provider() };
    let own = Keys::self_signed(&both, ALICE, now_ms(), 30).expect("made");
    let lab =
        Lab::new(move |_, _| (200, "application/pkix-cert", own.certificate_der.clone(), None))
            .await;
    let trust = lab.web_authority.trust();
    let resolver = Ok(lab.dns.resolver());
    let result = enroll(&lab.enrollment(), &both, &resolver, &trust).await;
    let expected = EnrollError::Certificate(CertificateError::Untrusted);
    assert_eq!(result, Err(expected));
}

/// A certificate that the holder of `keys` issues for a request.
fn forge(keys: &Keys, csr_der: &[u8]) -> Vec<u8> {
    use rcgen::{
        CertificateParams, DistinguishedName, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType,
    };

    let key = KeyPair::from_pkcs8_der_and_sign_algo(
        &keys.private_key_der.as_slice().into(),
        &PKCS_ECDSA_P256_SHA256,
    );
    // Its subject is empty, as it is in every certificate of a node.
    let mut subject = CertificateParams::default();
    subject.distinguished_name = DistinguishedName::new();
    let issuer = Issuer::new(subject, key.expect("our key"));
    let request = RequestedCertificate::read(csr_der).expect("a request");
    let mut params = CertificateParams::default();
    let uri = format!("reload://0110{:032x}@{OVERLAY}/", 0x77);
    params.subject_alt_names = vec![
        SanType::URI(uri.as_str().try_into().expect("ASCII")),
        SanType::Rfc822Name(ALICE.try_into().expect("ASCII")),
    ];
    params.signed_by(&request, &issuer).expect("signed").der().to_vec()
}

/// The next server is asked when the first is down, and what a server says is final.
#[tokio::test]
async fn another_server_is_asked_when_one_is_down() {
    let lab = Lab::new(|authority, seen| issued(authority, csr_in(&seen.body), ALICE)).await;
    let down = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = down.local_addr().expect("bound").port();
    drop(down);
    let urls = vec![format!("https://{HOST}:{port}/"), lab.url()];
    let enrollment = Enrollment { urls, ..lab.enrollment() };
    assert!(lab.enroll(&enrollment).await.is_ok());
    let refusing =
        Lab::new(|_, _| (403, "text/plain", b"failed_authentication".to_vec(), None)).await;
    let urls = vec![refusing.url(), refusing.url()];
    let enrollment = Enrollment { urls, ..refusing.enrollment() };
    assert_eq!(refusing.enroll(&enrollment).await, Err(EnrollError::Authentication));
    assert_eq!(refusing.web.seen().len(), 1);
}
