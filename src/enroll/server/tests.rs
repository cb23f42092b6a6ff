//! The registry with times that the test chooses, and the server over real HTTPS.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use hyper::StatusCode;
use tokio::net::TcpListener;

use super::admission::{Form, Refusal};
use super::*;
use crate::base::NodeId;
use crate::config::{BootstrapAddress, BootstrapNode, Judge, MEDIA_TYPE, OverlayConfig};
use crate::crypto::{Certificate, CertificateRequest, Password, Provider, X509Provider};
use crate::enroll::https::{self, HttpsUrl, Upload};
use crate::enroll::{Enrollment, Revocation, RevokeError, Trust, enroll, revoke};

const NOW_MS: u64 = 1_790_000_000_000;
const OVERLAY: &str = "example.test";
const ALICE: &str = "alice@example.test";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn places(port: u16) -> Places {
    let address = BootstrapAddress::Ip(LOOPBACK.ip());
    Places {
        enrollment_url: enrollment_url("127.0.0.1", port),
        bootstrap: BootstrapNode { address, port: 6084 },
    }
}

fn registry_in(folder: &Path, registration: Registration) -> Registry {
    let name = OverlayName::new(OVERLAY).expect("a name");
    let foundation = Foundation { name, registration, places: places(8443) };
    Registry::found(folder, &foundation, NOW_MS).expect("founded")
}

fn registry(registration: Registration) -> (tempfile::TempDir, Registry) {
    let dir = tempfile::tempdir().expect("a folder");
    let registry = registry_in(dir.path(), registration);
    (dir, registry)
}

fn request(user_name: &str) -> CertificateRequest {
    CertificateRequest::generate(user_name).expect("a request")
}

fn form(account: &str, password: &str, request: &CertificateRequest) -> Form {
    let csr_der = request.csr_der.clone();
    Form { account: account.into(), password: password.into(), csr_der, ..Form::default() }
}

/// The certificate, as a node of the overlay reads it, or the token.
fn admit(registry: &mut Registry, form: &Form, at_ms: u64) -> Result<Arc<Certificate>, String> {
    let der = registry.admit(form, at_ms).map_err(|refusal| match refusal {
        Refusal::Broken(error) => panic!("{error}"),
        refusal => refusal.token().expect("a token").to_owned(),
    })?;
    Ok(provider(registry).certificate(&der).expect("a certificate of the overlay"))
}

fn provider(registry: &Registry) -> X509Provider {
    X509Provider {
        overlay: OVERLAY.into(),
        node_id_length: NodeId::LENGTH_DEFAULT,
        self_signed: None,
        roots: registry.document().expect("there").config.root_certs,
    }
}

fn refused(token: &str) -> Result<Vec<NodeId>, String> {
    Err(token.to_owned())
}

fn ids(admitted: Result<Arc<Certificate>, String>) -> Result<Vec<NodeId>, String> {
    admitted.map(|certificate| certificate.node_ids.clone())
}

/// R6940-11.3-12: who returns with the same key gets the same Node-ID, after a restart too.
/// Another key is another device with a Node-ID of its own; when a device has not come back until
/// its certificate had ended, the next new device gets its Node-ID.
#[test]
fn a_returning_user_gets_the_same_node_id() {
    let (dir, mut registry) = registry(Registration::Open);
    let (phone, desk, third) = (request(ALICE), request(ALICE), request(ALICE));
    let first = ids(admit(&mut registry, &form("alice", "secret", &phone), NOW_MS));
    let renewal = CertificateRequest::with_key(ALICE, &phone.private_key_der).expect("renewed");
    let mut registry = registry_in(dir.path(), Registration::Open);
    let later_ms = NOW_MS + limits::CERTIFICATE_MS / 2;
    let again =
        ids(admit(&mut registry, &form("Alice@Example.Test", "secret", &renewal), later_ms));
    assert_eq!(first, again);
    let second = ids(admit(&mut registry, &form("alice", "secret", &desk), NOW_MS));
    assert_ne!(first, second);
    let end_ms = NOW_MS + limits::CERTIFICATE_MS + 1;
    let reused = ids(admit(&mut registry, &form("alice", "secret", &third), end_ms));
    assert_eq!(reused, second, "the certificate of the desk's device has ended");
    let fourth = ids(admit(&mut registry, &form("alice", "secret", &desk), end_ms));
    assert!(fourth.is_ok() && fourth != second, "which the third has now");
}

/// R6940-13.6.1-01: an account has so many Node-IDs and no more, by one certificate or by many.
#[test]
fn node_ids_are_rationed() {
    let (_dir, mut registry) = registry(Registration::Open);
    let mut several = form("alice", "secret", &request(ALICE));
    several.node_ids = Some("3".into());
    let three = ids(admit(&mut registry, &several, NOW_MS)).expect("three");
    assert_eq!(three.len(), 3);
    assert_eq!(ids(admit(&mut registry, &several, NOW_MS)), Ok(three.clone()));
    several.node_ids = None;
    assert_eq!(ids(admit(&mut registry, &several, NOW_MS)), Ok(vec![three[0]]));
    for nonsense in ["0", "9", "-1", "many", ""] {
        several.node_ids = Some(nonsense.into());
        let answer = ids(admit(&mut registry, &several, NOW_MS));
        assert_eq!(answer, refused("Node-IDs_not_available"), "{nonsense}");
    }
    for _ in 3..limits::NODE_IDS_MAX {
        let other = form("alice", "secret", &request(ALICE));
        assert!(admit(&mut registry, &other, NOW_MS).is_ok());
    }
    let last = form("alice", "secret", &request(ALICE));
    let answer = ids(admit(&mut registry, &last, NOW_MS));
    assert_eq!(answer, refused("Node-IDs_not_available"));
    // Others have their own.
    let bob = form("bob", "secret", &request("bob@example.test"));
    assert!(admit(&mut registry, &bob, NOW_MS).is_ok());
}

/// R6940-11.3-10, R6940-13.6.2-02: the same request at the same moment gets another Node-ID in
/// each overlay, and all of it differs.
#[test]
fn node_ids_come_from_nothing_that_the_user_knows() {
    let request = request(ALICE);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let (_dir, mut registry) = registry(Registration::Open);
        let form = form("alice", "secret", &request);
        let made = ids(admit(&mut registry, &form, NOW_MS)).expect("made");
        // Any four bytes of one are not those of another, but for a chance of one in ten millions.
        for (part, bytes) in made[0].as_bytes().chunks(4).enumerate() {
            assert!(seen.insert((part, bytes.to_vec())), "{made:?}");
        }
    }
}

/// R6940-13.3-03: of many who ask for one name at the same time one gets it.
#[test]
fn a_name_is_given_once() {
    let (dir, _registry) = registry(Registration::Open);
    let threads: Vec<_> = (0..6)
        .map(|number| {
            let mut registry = Registry::open(dir.path()).expect("open");
            std::thread::spawn(move || {
                let form = form("alice", &format!("password {number}"), &request(ALICE));
                admit(&mut registry, &form, NOW_MS).map(|certificate| certificate.user_name.clone())
            })
        })
        .collect();
    let results: Vec<_> = threads.into_iter().map(|t| t.join().expect("no panic")).collect();
    let winners = results.iter().filter(|result| result.as_deref() == Ok(ALICE)).count();
    assert_eq!(winners, 1, "{results:?}");
    let tokens = ["username_not_available", "failed_authentication"];
    let losers = results.iter().filter_map(|result| result.as_ref().err());
    assert_eq!(losers.filter(|token| tokens.contains(&token.as_str())).count(), 5, "{results:?}");
}

/// R6940-11.3-13: what is no name of a user is refused, and so are the server's own name and one
/// that is not the account's.
#[test]
fn only_legal_names_are_given() {
    let (_dir, mut registry) = registry(Registration::Open);
    let long = "a".repeat(65);
    for name in
        ["ali\0ce", "a b", "a@b", "zo\u{eb}", "..", ".a", "a..b", "", "a\n", &long, "authority"]
    {
        let nameless = CertificateRequest::generate(ALICE).expect("a request");
        let answer = ids(admit(&mut registry, &form(name, "secret", &nameless), NOW_MS));
        assert_eq!(answer, refused("username_not_available"), "{name:?}");
    }
    let other = form("bob", "secret", &request(ALICE));
    assert_eq!(ids(admit(&mut registry, &other, NOW_MS)), refused("username_not_available"));
    assert!(registry.accounts().expect("listed").is_empty(), "who got nothing has no account");
    let good = form("+49.30-12_34", "secret", &request("+49.30-12_34@example.test"));
    let made = admit(&mut registry, &good, NOW_MS).expect("made");
    assert_eq!(made.user_name, "+49.30-12_34@example.test");
}

/// R6940-11.3-05: passwords are compared after preparation, whichever way accents were typed.
#[test]
fn a_password_is_the_same_however_it_is_typed() {
    let (_dir, mut registry) = registry(Registration::InvitationOnly);
    registry.add_account("ALICE", "gru\u{308}n", NOW_MS).expect("added");
    let composed = form("alice", "gr\u{fc}n", &request(ALICE));
    assert!(admit(&mut registry, &composed, NOW_MS).is_ok());
    for wrong in ["gr\u{fc}N", "grun", "", &"x".repeat(2000)] {
        let wrong = form("alice", wrong, &request(ALICE));
        assert_eq!(ids(admit(&mut registry, &wrong, NOW_MS)), refused("failed_authentication"));
    }
}

#[test]
fn an_invitation_makes_one_account() {
    let (_dir, mut registry) = registry(Registration::InvitationOnly);
    let alice = form("alice", "secret", &request(ALICE));
    assert_eq!(ids(admit(&mut registry, &alice, NOW_MS)), refused("failed_authentication"));
    registry.add_account("alice", "secret", NOW_MS).expect("added");
    assert!(matches!(
        registry.add_account("Alice", "other", NOW_MS),
        Err(RegistryError::Taken(name)) if name == "alice"
    ));
    let code = registry.invite(NOW_MS).expect("made");
    let taken = form("alice", &code, &request(ALICE));
    assert_eq!(ids(admit(&mut registry, &taken, NOW_MS)), refused("username_not_available"));
    let bob = request("bob@example.test");
    let first = ids(admit(&mut registry, &form("bob", &code, &bob), NOW_MS));
    assert!(first.is_ok());
    assert_eq!(ids(admit(&mut registry, &form("bob", &code, &bob), NOW_MS)), first);
    let carol = form("carol", &code, &request("carol@example.test"));
    assert_eq!(ids(admit(&mut registry, &carol, NOW_MS)), refused("failed_authentication"));
    let late = registry.invite(NOW_MS).expect("made");
    let carol = form("carol", &late, &request("carol@example.test"));
    let late_ms = NOW_MS + limits::INVITATION_MS + 1;
    assert_eq!(ids(admit(&mut registry, &carol, late_ms)), refused("failed_authentication"));
}

/// Whoever is invited chooses a password, which the code beside it is worth nothing without.
#[test]
fn a_code_beside_a_password_makes_an_account_with_that_password() {
    let (_dir, mut registry) = registry(Registration::InvitationOnly);
    let code = registry.invite(NOW_MS).expect("made");
    let bob = request("bob@example.test");
    let with_code = |user: &str, request: &CertificateRequest| Form {
        invitation: Some(code.clone()),
        ..form(user, "chosen", request)
    };
    registry.add_account("alice", "hers", NOW_MS).expect("added");
    let taken = with_code("alice", &request(ALICE));
    assert_eq!(ids(admit(&mut registry, &taken, NOW_MS)), refused("username_not_available"));
    let first = ids(admit(&mut registry, &with_code("bob", &bob), NOW_MS));
    assert!(first.is_ok(), "{first:?}");
    assert_eq!(ids(admit(&mut registry, &form("bob", "chosen", &bob), NOW_MS)), first);
    let by_code = form("bob", &code, &bob);
    assert_eq!(ids(admit(&mut registry, &by_code, NOW_MS)), refused("failed_authentication"));
    let again = ids(admit(&mut registry, &with_code("bob", &bob), NOW_MS));
    assert_eq!(again, first, "the answer to the first request may have been lost");
    let carol = with_code("carol", &request("carol@example.test"));
    assert_eq!(ids(admit(&mut registry, &carol, NOW_MS)), refused("failed_authentication"));
}

/// A bad request makes no account and uses up no invitation.
#[test]
fn a_bad_request_changes_nothing() {
    let (_dir, mut registry) = registry(Registration::InvitationOnly);
    let code = registry.invite(NOW_MS).expect("made");
    let mut forged = request(ALICE);
    let at = forged.csr_der.windows(5).position(|w| w == b"alice").expect("inside");
    forged.csr_der[at] = b'm';
    let answer = ids(admit(&mut registry, &form("alice", &code, &forged), NOW_MS));
    assert_eq!(answer, refused("bad_CSR"));
    assert!(registry.accounts().expect("listed").is_empty());
    assert!(admit(&mut registry, &form("alice", &code, &request(ALICE)), NOW_MS).is_ok());
}

#[test]
fn a_disabled_account_gets_nothing_until_it_is_enabled() {
    let (_dir, mut registry) = registry(Registration::Open);
    let alice = form("alice", "secret", &request(ALICE));
    let first = ids(admit(&mut registry, &alice, NOW_MS));
    registry.set_state("alice", AccountState::Disabled).expect("disabled");
    assert_eq!(ids(admit(&mut registry, &alice, NOW_MS)), refused("failed_authentication"));
    registry.set_state("alice", AccountState::Active).expect("enabled");
    assert_eq!(ids(admit(&mut registry, &alice, NOW_MS)), first);
    assert_eq!(registry.document().expect("there").config.sequence, 1, "nobody else need know");
    assert!(matches!(
        registry.set_state("bob", AccountState::Active),
        Err(RegistryError::NoAccount(name)) if name == "bob"
    ));
}

/// R6940-11.1-01: who is revoked is a bad node in a newer document, which the signer of the last
/// one has signed, for as long as there is a certificate; and gets no other.
#[test]
fn a_revoked_account_is_named_in_a_signed_document() {
    let (dir, mut registry) = registry(Registration::Open);
    let (phone, desk) = (request(ALICE), request(ALICE));
    let before = registry.document().expect("there").config;
    let first = ids(admit(&mut registry, &form("alice", "secret", &phone), NOW_MS)).expect("made");
    let second = ids(admit(&mut registry, &form("alice", "secret", &desk), NOW_MS)).expect("made");
    let document = registry.revoke("alice", Some(first[0]), NOW_MS).expect("revoked");
    assert_eq!((document.config.sequence, &document.config.bad_nodes), (2, &first));
    let judge = Judge { provider: &provider(&registry), unix_ms: Some(NOW_MS) };
    assert!(document.signer(&before.configuration_signers, judge).is_some());
    let exported = std::fs::read(dir.path().join("document.xml")).expect("written");
    assert_eq!(exported, document.document);
    // The stolen key gets nothing more, the account's other device goes on.
    let answer = ids(admit(&mut registry, &form("alice", "secret", &phone), NOW_MS));
    assert_eq!(answer, refused("bad_CSR"));
    let answer = ids(admit(&mut registry, &form("alice", "secret", &desk), NOW_MS));
    assert_eq!(answer, Ok(second.clone()));
    let all = registry.revoke("alice", None, NOW_MS).expect("revoked").config;
    assert_eq!(all.sequence, 3);
    assert!(all.bad_nodes.contains(&first[0]) && all.bad_nodes.contains(&second[0]));
    let answer = ids(admit(&mut registry, &form("alice", "secret", &desk), NOW_MS));
    assert_eq!(answer, refused("failed_authentication"));
    let end_ms = NOW_MS + limits::CERTIFICATE_MS + 1;
    let last = registry.amend(end_ms, |_| ()).expect("amended").config;
    assert_eq!((last.sequence, last.bad_nodes), (4, Vec::new()));
}

/// R6940-13.6.5-02, R6940-13.3-04: what the document of a new overlay says, and how long what its
/// authority issues lasts. The largest message holds the document, with many bad nodes too (T-79).
#[test]
fn a_new_overlay_has_a_good_document() {
    let (_dir, mut registry) = registry(Registration::Open);
    let document = registry.document().expect("there");
    let config = &document.config;
    assert_eq!(config.initial_ttl, 30, "log2 of 2^25 peers and five");
    assert_eq!(config.enrollment_servers, ["https://127.0.0.1:8443/enroll"]);
    assert_eq!((config.self_signed_permitted, config.root_certs.len()), (None, 1));
    let (_, own) = registry.identity().expect("there");
    assert_eq!(config.configuration_signers, [own.node_id]);
    assert!(own.certificate.is_valid_at(NOW_MS + 10 * 365 * 86_400_000));
    let judge = Judge { provider: &provider(&registry), unix_ms: Some(NOW_MS) };
    assert_eq!(document.signer(&config.configuration_signers, judge), Some(own.node_id));
    let kinds: Vec<_> = config.kinds.iter().filter_map(|kind| kind.name()).collect();
    let usual = ["SIP-REGISTRATION", "TURN-SERVICE", "CERTIFICATE_BY_NODE", "CERTIFICATE_BY_USER"];
    assert_eq!(kinds, usual);
    let alice = admit(&mut registry, &form("alice", "secret", &request(ALICE)), NOW_MS);
    let alice = alice.expect("made");
    assert_eq!(alice.not_after_ms - NOW_MS, 90 * 86_400_000);
    let is_room = |signed: &SignedConfig| {
        (signed.config.max_message_size as usize).checked_sub(signed.document.len()) > Some(2048)
    };
    assert!(is_room(&document));
    let many = registry
        .amend(NOW_MS, |config| {
            config.root_certs = vec![config.root_certs[0].clone(); 40];
        })
        .expect("amended");
    assert!(many.document.len() > OverlayConfig::MESSAGE_SIZE_OURS as usize);
    assert!(is_room(&many));
}

#[test]
fn a_folder_keeps_its_overlay() {
    let (dir, registry) = registry(Registration::Open);
    let root = registry.authority().expect("there").certificate_der().to_vec();
    drop(registry);
    let again = registry_in(dir.path(), Registration::InvitationOnly);
    assert_eq!(again.authority().expect("there").certificate_der(), root);
    assert_eq!(again.registration().expect("there"), Registration::Open);
    let name = OverlayName::new("other.test").expect("a name");
    let other = Foundation { name, registration: Registration::Open, places: places(1) };
    let error = Registry::found(dir.path(), &other, NOW_MS).expect_err("another overlay");
    assert!(matches!(error, RegistryError::OtherOverlay { .. }), "{error}");
    let empty = tempfile::tempdir().expect("a folder");
    assert!(matches!(Registry::open(empty.path()), Err(RegistryError::NotFounded(_))));
    let damaged = tempfile::tempdir().expect("a folder");
    std::fs::write(damaged.path().join("overlay.db"), b"no database, but long enough to be read")
        .expect("written");
    assert!(matches!(Registry::open(damaged.path()), Err(RegistryError::Database(_))));
}

/// The peers that the server's own was linked with are there after a restart (RFC 6940 §11.4), ten
/// at most, and in the order in which they are to be tried.
#[test]
fn peers_are_remembered() {
    let (dir, mut registry) = registry(Registration::Open);
    let addresses = |from: u16| (from..from + 12).map(|port| SocketAddr::new(LOOPBACK.ip(), port));
    for from in [9000, 7000] {
        let known: Vec<_> = addresses(from).collect();
        registry.remember_peers(&known).expect("kept");
    }
    drop(registry);
    let again = registry_in(dir.path(), Registration::Open);
    let expected: Vec<_> = addresses(7000).take(10).collect();
    assert_eq!(again.peers().expect("kept"), expected);
}

#[cfg(unix)]
#[test]
fn private_keys_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let (dir, _registry) = registry(Registration::Open);
    let databases = std::fs::read_dir(dir.path()).expect("a folder").filter_map(Result::ok);
    let mut looked_at = 0;
    for entry in databases.filter(|e| e.file_name().to_string_lossy().starts_with("overlay.db")) {
        let mode = entry.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", entry.file_name());
        looked_at += 1;
    }
    assert!(looked_at >= 2, "the database and its log");
}

/// A server over HTTPS, with whom to trust to reach it.
struct Running {
    server: Server,
    url: String,
    trust: Trust,
    registry: Registry,
    _dir: tempfile::TempDir,
}

impl Running {
    async fn start(registration: Registration) -> Self {
        let (dir, mut registry) = registry(registration);
        let listener = TcpListener::bind(LOOPBACK).await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        registry.set_places(&places(port), unix_ms()).expect("written");
        let addresses = vec![LOOPBACK.ip()];
        let certificate = ServerCertificate::Own { hosts: Vec::new(), addresses };
        let options =
            ServerOptions { folder: FolderLock::take(dir.path()).expect("free"), certificate };
        let (server, _) = Server::start(listener, options).await.expect("started");
        let config = registry.document().expect("there").config;
        let trust = Trust::none().with_roots(&config.root_certs);
        let url = config.enrollment_servers[0].clone();
        Self { server, url, trust, registry, _dir: dir }
    }

    async fn post(&self, media_type: &str, body: Vec<u8>) -> (StatusCode, String, Vec<u8>) {
        let url: HttpsUrl = self.url.parse().expect("a URL");
        let address = SocketAddr::new(LOOPBACK.ip(), url.port());
        let server =
            https::Server { addresses: &[address], names: &["127.0.0.1"], trust: &self.trust };
        let upload = Upload { media_type: media_type.to_owned(), body: body.into() };
        let answer = https::post(&url, &server, "application/pkix-cert", upload, 65536).await;
        let answer = answer.expect("answered");
        (answer.status, answer.media_type, answer.body.to_vec())
    }

    /// Posts a form of the fields that there are.
    async fn post_form(&self, fields: &[(&str, &[u8])]) -> (StatusCode, String, Vec<u8>) {
        let mut body = Vec::new();
        for (name, value) in fields {
            let head = format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--x--\r\n");
        self.post("multipart/form-data; boundary=x", body).await
    }
}

/// R6940-11.3-08: our client gets a certificate from our server, in DER, of the right type.
#[tokio::test]
async fn our_client_enrolls_at_our_server() {
    let running = Running::start(Registration::Open).await;
    let request = request(ALICE);
    let enrollment = Enrollment {
        urls: vec![running.url.clone()],
        overlay: OverlayName::new(OVERLAY).expect("a name"),
        account: Some(("alice".into(), Password::new("opensesame"))),
        invitation: None,
        node_ids: 2,
        user_name: ALICE.into(),
        csr_der: request.csr_der.clone(),
    };
    let provider = provider(&running.registry);
    let resolver = Err(crate::enroll::DnsError::NoServer);
    let der = enroll(&enrollment, &provider, &resolver, &running.trust).await.expect("enrolled");
    let certificate = provider.certificate(&der).expect("accepted");
    assert_eq!(certificate.node_ids.len(), 2);
    let fields: [(&str, &[u8]); 4] = [
        ("username", b"alice"),
        ("password", b"opensesame"),
        ("device", b"a field that nobody knows"),
        ("csr", &request.csr_der),
    ];
    let (status, media_type, body) = running.post_form(&fields).await;
    assert_eq!((status, media_type.as_str()), (StatusCode::OK, "application/pkix-cert"));
    assert_eq!(provider.certificate(&body).expect("DER").node_ids[..], certificate.node_ids[..1]);
}

/// R6940-11.1-01: who has the password puts a device of the account out, by a document that names
/// it; nobody else does, and nothing of others is touched.
#[tokio::test]
async fn users_revoke_their_own_devices() {
    let mut running = Running::start(Registration::Open).await;
    let mut node = |account: &str, user: &str| {
        let form = form(account, "opensesame", &request(user));
        ids(admit(&mut running.registry, &form, unix_ms())).expect("a device")[0]
    };
    let (lost, kept) = (node("alice", ALICE), node("alice", ALICE));
    let of_bob = node("bob", "bob@example.test");
    let resolver = Err(crate::enroll::DnsError::NoServer);
    let revoked = async |account: &str, password: &str, node_id| {
        let revocation = Revocation {
            urls: vec![running.url.clone()],
            overlay: OverlayName::new(OVERLAY).expect("a name"),
            account: (account.into(), Password::new(password)),
            node_id,
        };
        let document = revoke(&revocation, &resolver, &running.trust).await;
        document.map(|document| document.config.bad_nodes)
    };
    assert_eq!(revoked("alice", "sesame", lost).await, Err(RevokeError::Authentication));
    assert_eq!(revoked("carol", "opensesame", lost).await, Err(RevokeError::Authentication));
    let not_hers = Err(RevokeError::NotOfAccount(of_bob));
    assert_eq!(revoked("alice", "opensesame", of_bob).await, not_hers);
    assert_eq!(revoked("alice", "opensesame", lost).await, Ok(vec![lost]));
    assert_eq!(revoked("alice", "opensesame", lost).await, Ok(vec![lost]), "once more");
    let present = running.registry.document().expect("there").config;
    assert_eq!(present.bad_nodes, [lost]);
    let accounts = running.registry.accounts().expect("there");
    assert_eq!(accounts.len(), 2, "nobody got an account by it");
    let states = accounts[0].nodes.iter().map(|node| (node.node_id, node.is_revoked));
    assert_eq!(states.collect::<Vec<_>>(), [(lost, true), (kept, false)]);
}

/// R6940-11.3-14: each error is 403, text/plain, and one token.
#[tokio::test]
async fn errors_are_tokens() {
    let running = Running::start(Registration::Open).await;
    let csr = request(ALICE).csr_der;
    let first: [(&str, &[u8]); 3] = [("username", b"alice"), ("password", b"a"), ("csr", &csr)];
    assert_eq!(running.post_form(&first).await.0, StatusCode::OK);
    type Case<'a> = (&'a str, &'a [u8], &'a [u8], &'a [u8], &'a [u8]);
    let cases: [Case<'_>; 4] = [
        ("failed_authentication", b"alice", b"b", b"1", &csr),
        ("username_not_available", b"bob", b"a", b"1", &csr),
        ("Node-IDs_not_available", b"alice", b"a", b"1000", &csr),
        ("bad_CSR", b"alice", b"a", b"1", b"no request"),
    ];
    for (token, username, password, node_ids, csr) in cases {
        let fields: [(&str, &[u8]); 4] =
            [("username", username), ("password", password), ("nodeids", node_ids), ("csr", csr)];
        let (status, media_type, body) = running.post_form(&fields).await;
        let body = String::from_utf8_lossy(&body);
        assert_eq!(
            (status, media_type.as_str(), &*body),
            (StatusCode::FORBIDDEN, "text/plain", token)
        );
    }
    let nothing = running.post_form(&[]).await;
    assert_eq!(nothing.2, b"failed_authentication");
}

/// What is no form of RFC 6940 or too large, and whoever guesses, is turned away.
#[tokio::test]
async fn the_server_has_limits() {
    let running = Running::start(Registration::InvitationOnly).await;
    let (status, _, _) = running.post("application/json", b"{}".to_vec()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let (status, _, _) = running.post("multipart/form-data; boundary=x", b"--x".to_vec()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _, _) = running.post_form(&[("username", b"\xff")]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let large = vec![b'a'; usize::try_from(limits::FORM_BYTES_MAX).expect("small")];
    let (status, _, _) = running.post_form(&[("csr", &large)]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    let mut answers = Vec::new();
    for _ in 0..=limits::MISTAKEN.burst {
        let fields: [(&str, &[u8]); 2] = [("username", b"alice"), ("password", b"guess")];
        answers.push(running.post_form(&fields).await.0);
    }
    assert_eq!(answers.pop(), Some(StatusCode::TOO_MANY_REQUESTS));
    assert!(answers.iter().all(|status| *status == StatusCode::FORBIDDEN), "{answers:?}");
}

/// The document is handed out as it is signed, and a new one as soon as it is there.
#[tokio::test]
async fn the_present_document_is_handed_out() {
    let mut running = Running::start(Registration::Open).await;
    let url: HttpsUrl =
        running.url.replace("/enroll", "/.well-known/reload-config").parse().expect("a URL");
    let address = SocketAddr::new(LOOPBACK.ip(), url.port());
    let trust = running.trust.clone();
    let server = https::Server { addresses: &[address], names: &[OVERLAY], trust: &trust };
    let answer = https::get(&url, &server, MEDIA_TYPE, 65536).await.expect("answered");
    assert_eq!((answer.status, answer.media_type.as_str()), (StatusCode::OK, MEDIA_TYPE));
    let first = running.registry.document().expect("there");
    assert_eq!(answer.body, first.document);
    let mut documents = running.server.document();
    let second = running.registry.amend(unix_ms(), |config| config.turn_density = 7);
    let second = second.expect("amended");
    documents
        .wait_for(|document| document.config.sequence != first.config.sequence)
        .await
        .expect("the server lives");
    let answer = https::get(&url, &server, MEDIA_TYPE, 65536).await.expect("answered");
    assert_eq!(answer.body, second.document);
    let elsewhere: HttpsUrl = running.url.parse().expect("a URL");
    let answer = https::get(&elsewhere, &server, MEDIA_TYPE, 65536).await.expect("answered");
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn one_server_runs_in_a_folder() {
    let (dir, _registry) = registry(Registration::Open);
    let taken = FolderLock::take(dir.path()).expect("free");
    assert!(matches!(FolderLock::take(dir.path()), Err(RegistryError::InUse(_))));
    drop(taken);
    assert!(FolderLock::take(dir.path()).is_ok());
}
