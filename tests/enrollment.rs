//! Enrollment with a server that shares no code with us: Python's HTTP server and the openssl
//! program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use chordial::config::OverlayName;
use chordial::crypto::{CertificateRequest, Keys, Password, Provider, X509Provider};
use chordial::enroll::{DnsError, EnrollError, Enrollment, Trust, enroll};

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/enroll_server.py");
const OVERLAY: &str = "example.test";

/// A running server; killed when dropped.
struct Server {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("python3")
            .arg(SERVER)
            .arg(folder.path())
            .args([OVERLAY, "alice", "opensesame"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port, if openssl is there");
        Self { folder, child, port }
    }

    fn roots(&self) -> Vec<Vec<u8>> {
        vec![std::fs::read(self.folder.path().join("root.der")).expect("a root")]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// R6940-11.3-03, R6940-11.3-06: what we send is a form to others too, and what others issue makes
/// an identity that signs.
#[tokio::test]
async fn another_server_gives_a_certificate() {
    let server = Server::start();
    let provider = X509Provider {
        overlay: OVERLAY.into(),
        node_id_length: 16,
        self_signed: None,
        roots: server.roots(),
    };
    let request = CertificateRequest::generate("alice@example.test").expect("a request");
    let enrollment = |password: &str, node_ids| Enrollment {
        urls: vec![format!("https://127.0.0.1:{}/", server.port)],
        overlay: OverlayName::new(OVERLAY).expect("a name"),
        account: Some(("alice".into(), Password::new(password))),
        invitation: None,
        node_ids,
        user_name: "alice@example.test".into(),
        csr_der: request.csr_der.clone(),
    };
    let (resolver, trust) = (Err(DnsError::NoServer), Trust::none().with_roots(&server.roots()));
    for node_ids in [1, 3] {
        let enrollment = enrollment("opensesame", node_ids);
        let certificate = enroll(&enrollment, &provider, &resolver, &trust).await;
        let certificate_der = certificate.expect("enrolled");
        let accepted = provider.certificate(&certificate_der).expect("accepted");
        assert_eq!(accepted.node_ids.len(), usize::from(node_ids));
        let private_key_der = request.private_key_der.clone();
        let identity = Keys { certificate_der, private_key_der }.identity(&provider);
        let identity = identity.expect("an identity");
        let signature = identity.sign(|_| b"hello".to_vec());
        let is_good = provider.verify(&accepted, signature.algorithm, b"hello", &signature.value);
        assert!(is_good);
    }
    let refused = enroll(&enrollment("sesame", 1), &provider, &resolver, &trust).await;
    assert_eq!(refused, Err(EnrollError::Authentication));
}
