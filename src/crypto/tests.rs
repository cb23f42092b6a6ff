//! Requests, and what an authority makes of them: read by our own code and by OpenSSL.

use std::path::Path;
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::keys::{DAY_MS, node_params, set_validity};
use super::*;
use crate::base::NodeId;

const NOW_MS: u64 = 1_790_000_000_000;
const CAROL: &str = "carol@example.org";

fn authority() -> Authority {
    Authority::generate("example.org", NOW_MS).expect("generated")
}

fn provider(roots: &[&[u8]]) -> X509Provider {
    X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: None,
        roots: roots.iter().map(|root| root.to_vec()).collect(),
    }
}

fn node_id(byte: u8) -> NodeId {
    NodeId::new(&[byte; 16]).expect("16 bytes")
}

fn request() -> RequestedCertificate {
    let made = CertificateRequest::generate(CAROL).expect("generated");
    RequestedCertificate::read(&made.csr_der).expect("signed")
}

fn issue(authority: &Authority) -> Vec<u8> {
    let validity = NOW_MS..NOW_MS + 90 * DAY_MS;
    authority.issue(&request(), CAROL, &[node_id(7)], validity).expect("issued")
}

/// Runs OpenSSL in `dir` and gives what it says; it has to succeed.
fn openssl(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").current_dir(dir).args(arguments).output();
    let output = output.expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {text}");
    text
}

/// R6940-11.3-09, R6940-11.3-11: two Node-IDs and the user name are all that the certificate
/// names, in a subjectAltName that is critical because the subject is empty.
#[test]
fn an_issued_certificate_names_node_ids_and_user_and_nothing_else() {
    let authority = authority();
    let validity = NOW_MS..NOW_MS + 90 * DAY_MS;
    let asked = include_bytes!("../../tests/vectors/p256-request.der");
    let asked = RequestedCertificate::read(asked).expect("signed");
    let der = authority.issue(&asked, CAROL, &[node_id(7), node_id(9)], validity).expect("issued");
    let (_, parsed) = X509Certificate::from_der(&der).expect("parses");
    assert_eq!(parsed.subject().iter().count(), 0);
    let names = parsed.subject_alternative_name().expect("unique").expect("present");
    assert!(names.critical);
    let uri = |byte: u8| format!("reload://0110{}@example.org/", hex::encode([byte; 16]));
    let (first, second) = (uri(7), uri(9));
    assert_eq!(
        names.value.general_names,
        [GeneralName::URI(&first), GeneralName::URI(&second), GeneralName::RFC822Name(CAROL)]
    );
    let certificate = provider(&[authority.certificate_der()]).certificate(&der).expect("read");
    assert_eq!(certificate.node_ids, [node_id(7), node_id(9)]);
    assert!(!certificate.self_signed);
    assert!(certificate.is_valid_at(NOW_MS) && !certificate.is_valid_at(NOW_MS + 91 * DAY_MS));
}

/// R6940-11.3-16: OpenSSL finds the chain from the certificate to the root in order, whichever
/// program has made the request.
#[test]
fn openssl_accepts_what_the_authority_issues() {
    let authority = authority();
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("root.der"), authority.certificate_der()).expect("written");
    openssl(dir.path(), &["x509", "-inform", "DER", "-in", "root.der", "-out", "root.pem"]);
    let requests: [&[u8]; 2] = [
        include_bytes!("../../tests/vectors/p256-request.der"),
        include_bytes!("../../tests/vectors/rsa-request.der"),
    ];
    let own = CertificateRequest::generate(CAROL).expect("generated").csr_der;
    let provider = provider(&[authority.certificate_der()]);
    for csr in requests.into_iter().chain([&own[..]]) {
        let asked = RequestedCertificate::read(csr).expect("signed");
        assert_eq!(asked.user_name(), Some(CAROL));
        let validity = NOW_MS..NOW_MS + DAY_MS;
        let der = authority.issue(&asked, CAROL, &[node_id(7)], validity).expect("issued");
        assert_eq!(provider.certificate(&der).expect("accepted").user_name, CAROL);
        std::fs::write(dir.path().join("node.der"), der).expect("written");
        openssl(dir.path(), &["x509", "-inform", "DER", "-in", "node.der", "-out", "node.pem"]);
        let moment = (NOW_MS / 1000 + 1).to_string();
        let verify = ["verify", "-x509_strict", "-attime", &moment, "-CAfile", "root.pem"];
        let said = openssl(dir.path(), &[&verify[..], &["node.pem"]].concat());
        assert_eq!(said.trim(), "node.pem: OK");
    }
}

/// R6940-11.3-16, R6940-13.3-02: who is no authority issues nothing, though the document lists its
/// certificate; nor does an authority whose key is for something else, or one of the same name.
#[test]
fn only_an_authority_of_the_document_issues_certificates() {
    let key = KeyPair::generate().expect("a key");
    let signed_by = |is_ca: IsCa, usages: &[KeyUsagePurpose]| {
        let mut root = CertificateParams::default();
        root.distinguished_name.push(DnType::CommonName, "An authority");
        (root.is_ca, root.key_usages) = (is_ca, usages.to_vec());
        set_validity(&mut root, NOW_MS, NOW_MS + 9 * DAY_MS);
        let root_der = root.self_signed(&key).expect("signed").der().to_vec();
        let mut node = node_params("example.org", &[node_id(7)], CAROL).expect("names");
        set_validity(&mut node, NOW_MS, NOW_MS + DAY_MS);
        let node = node.signed_by(&request(), &Issuer::from_params(&root, &key)).expect("signed");
        (root_der, node.der().to_vec())
    };
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let judge = |(root, node): &(Vec<u8>, Vec<u8>)| {
        provider(&[root]).certificate(node).map(|certificate| certificate.user_name.clone())
    };
    let good = signed_by(ca(), &[KeyUsagePurpose::KeyCertSign]);
    assert_eq!(judge(&good).as_deref(), Ok(CAROL));
    let none: &[KeyUsagePurpose] = &[];
    assert_eq!(judge(&signed_by(ca(), none)).as_deref(), Ok(CAROL));
    for is_ca in [IsCa::ExplicitNoCa, IsCa::NoCa] {
        assert_eq!(judge(&signed_by(is_ca, none)), Err(CertificateError::Issuer));
    }
    let for_lists = signed_by(ca(), &[KeyUsagePurpose::CrlSign]);
    assert_eq!(judge(&for_lists), Err(CertificateError::Issuer));
    let other = KeyPair::generate().expect("a key");
    let mut namesake = CertificateParams::default();
    namesake.distinguished_name.push(DnType::CommonName, "An authority");
    namesake.is_ca = ca();
    let namesake = namesake.self_signed(&other).expect("signed").der().to_vec();
    assert_eq!(judge(&(namesake.clone(), good.1.clone())), Err(CertificateError::Signature));
    let stranger = authority().certificate_der().to_vec();
    assert_eq!(judge(&(stranger, good.1.clone())), Err(CertificateError::Untrusted));
    // A root beside it, of the same name or broken, takes nothing away.
    let all: [&[u8]; 3] = [b"no certificate", &namesake, &good.0];
    assert!(provider(&all).certificate(&good.1).is_ok());
}

/// RFC 5280 §4.2: what must be understood and is not spoils the certificate.
#[test]
fn an_unknown_critical_extension_is_refused() {
    let key = KeyPair::generate().expect("a key");
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_der = root.self_signed(&key).expect("signed").der().to_vec();
    for (is_critical, wanted) in [(true, Err(CertificateError::Extension)), (false, Ok(()))] {
        let mut node = node_params("example.org", &[node_id(7)], CAROL).expect("names");
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 9999, 1], vec![5, 0]);
        extension.set_criticality(is_critical);
        node.custom_extensions = vec![extension];
        let node = node.signed_by(&request(), &Issuer::from_params(&root, &key)).expect("signed");
        assert_eq!(provider(&[&root_der]).certificate(node.der()).map(|_| ()), wanted);
    }
}

/// A certificate is not valid when its root is not, however long it claims to be.
#[test]
fn a_certificate_ends_with_its_root() {
    let authority = authority();
    let (_, root) = X509Certificate::from_der(authority.certificate_der()).expect("parses");
    let end_ms = u64::try_from(root.validity().not_after.timestamp()).expect("later") * 1000;
    let der = authority
        .issue(&request(), CAROL, &[node_id(7)], 0..end_ms + 1000 * DAY_MS)
        .expect("issued");
    let certificate = provider(&[authority.certificate_der()]).certificate(&der).expect("accepted");
    assert_eq!(certificate.not_after_ms, end_ms);
    assert!(!certificate.is_valid_at(NOW_MS - 2 * DAY_MS));
}

#[test]
fn an_overlay_may_have_an_authority_and_self_signed_certificates() {
    let authority = authority();
    let issued = issue(&authority);
    let both = X509Provider {
        self_signed: Some(NodeIdDigest::Sha256),
        ..provider(&[authority.certificate_der()])
    };
    let own = Keys::self_signed(&both, "dave@example.org", NOW_MS, 30).expect("made");
    let is_self_signed =
        |der: &[u8]| both.certificate(der).map(|certificate| certificate.self_signed);
    assert_eq!(is_self_signed(&issued), Ok(false));
    assert_eq!(is_self_signed(&own.certificate_der), Ok(true));
    let authority_only = X509Provider { self_signed: None, ..both.clone() };
    assert_eq!(authority_only.certificate(&own.certificate_der), Err(CertificateError::Untrusted));
}

/// R6940-11.3.1-04: a self-signed certificate with several Node-IDs is accepted with those of its
/// key, in their order, and with no other.
#[test]
fn a_self_signed_certificate_may_name_several_node_ids() {
    let provider = X509Provider { self_signed: Some(NodeIdDigest::Sha256), ..provider(&[]) };
    let key = KeyPair::generate().expect("a key");
    let spki = rcgen::PublicKeyData::subject_public_key_info(&key);
    let id = |index| NodeIdDigest::Sha256.indexed_node_id(index, &spki, 16).expect("16 bytes");
    let only = NodeIdDigest::Sha256.node_id(&spki, 16).expect("16 bytes");
    let judge = |ids: &[NodeId]| {
        let params = node_params("example.org", ids, CAROL).expect("names");
        let der = params.self_signed(&key).expect("signed");
        provider.certificate(der.der()).map(|certificate| certificate.node_ids.clone())
    };
    assert_eq!(judge(&[id(1), id(2), id(3)]), Ok(vec![id(1), id(2), id(3)]));
    assert_eq!(judge(&[only]), Ok(vec![only]));
    for wrong in [vec![only, id(2)], vec![id(2), id(1)], vec![id(1)], vec![id(1), node_id(7)]] {
        assert_eq!(judge(&wrong), Err(CertificateError::NodeIdMismatch));
    }
}

/// R6940-11.3-06: a request is DER that OpenSSL reads and whose signature it finds right; it has
/// an empty subject and asks for the name in an extension (T-77).
#[test]
fn openssl_reads_our_request() {
    let made = CertificateRequest::generate(CAROL).expect("generated");
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("csr.der"), &made.csr_der).expect("written");
    let arguments = ["req", "-inform", "DER", "-in", "csr.der", "-verify", "-noout", "-text"];
    let text = openssl(dir.path(), &arguments);
    assert!(text.contains("verify OK"), "{text}");
    assert!(text.contains(&format!("email:{CAROL}")), "{text}");
    let subject = openssl(dir.path(), &["req", "-inform", "DER", "-in", "csr.der", "-subject"]);
    assert!(subject.starts_with("subject=\n"), "{subject}");
}

#[test]
fn a_renewed_certificate_may_have_the_same_key() {
    let authority = authority();
    let first = CertificateRequest::generate(CAROL).expect("generated");
    let second = CertificateRequest::with_key(CAROL, &first.private_key_der).expect("the same key");
    assert_eq!(first.private_key_der, second.private_key_der);
    let issued = [first, second].map(|made| {
        let asked = RequestedCertificate::read(&made.csr_der).expect("signed");
        let validity = NOW_MS..NOW_MS + DAY_MS;
        let der = authority.issue(&asked, CAROL, &[node_id(7)], validity).expect("issued");
        let keys = Keys { certificate_der: der, private_key_der: made.private_key_der };
        let provider = provider(&[authority.certificate_der()]);
        let identity = keys.identity(&provider).expect("certificate and key fit");
        let signature = identity.sign(|_| b"hello".to_vec());
        assert!(provider.verify(
            &identity.certificate,
            signature.algorithm,
            b"hello",
            &signature.value
        ));
        let (_, parsed) = X509Certificate::from_der(&keys.certificate_der).expect("parses");
        parsed.raw_serial().to_vec()
    });
    assert_ne!(issued[0], issued[1], "serial numbers are unique (RFC 5280 §4.1.2.2)");
}

#[test]
fn bad_requests_are_told_apart() {
    let good = CertificateRequest::generate(CAROL).expect("generated").csr_der;
    let mut forged = good.clone();
    let at = forged.windows(5).position(|w| w == b"carol").expect("the name is inside");
    forged[at] = b'k';
    assert_eq!(RequestedCertificate::read(&forged), Err(RequestError::Signature));
    let longer = [&good[..], &[0]].concat();
    for broken in [&good[..good.len() - 1], &longer, b"", b"-----BEGIN CERTIFICATE REQUEST-----"] {
        assert_eq!(RequestedCertificate::read(broken), Err(RequestError::Malformed));
    }
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let params = CertificateParams::default();
    let request = params.serialize_request(&p384).expect("signed");
    assert_eq!(RequestedCertificate::read(request.der()), Err(RequestError::UnsupportedKey));
    let mut params = CertificateParams::default();
    params.subject_alt_names = ["a@example.org", "b@example.org"]
        .map(|name| super::keys::rfc822_name(name).expect("ASCII"))
        .to_vec();
    let key = KeyPair::generate().expect("a key");
    let request = params.serialize_request(&key).expect("signed");
    assert_eq!(RequestedCertificate::read(request.der()), Err(RequestError::UserNames));
    assert!(CertificateRequest::generate("jörg@example.org").is_err());
}

/// What the HTTPS server shows is no node, and an authority that was kept is the same again.
#[test]
fn an_authority_survives_and_its_server_is_no_node() {
    let first = authority();
    let again = Authority::from_keys("example.org", first.keys().clone()).expect("kept");
    let provider = provider(&[first.certificate_der()]);
    assert!(provider.certificate(&issue(&again)).is_ok());
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    let validity = NOW_MS..NOW_MS + DAY_MS;
    let server = first.issue_server(&["example.org"], &[address], validity).expect("issued");
    assert!(matches!(
        provider.certificate(&server.certificate_der),
        Err(CertificateError::NoNodeId(_))
    ));
    let other = authority().keys().private_key_der.clone();
    let mixed = Keys { private_key_der: other, ..first.keys().clone() };
    assert_eq!(Authority::from_keys("example.org", mixed).err(), Some(IssueError::Key));
    let hidden = format!("{first:?} {:?}", first.keys());
    assert_eq!(hidden, "Authority of example.org Keys(hidden)");
}
