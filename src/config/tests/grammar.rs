//! What we write, judged by Jing, a validator of RELAX NG that is not ours, with the grammar as the
//! RFC prints it.

use std::path::Path;
use std::process::Command;

use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::crypto::{Keys, NodeIdDigest, X509Provider};

/// The grammar of RFC 6940 §11.1.1, to the letter.
const STRICT: &str = "rfc6940.rnc";
/// With what RFC 7904 §3.4 adds, and the timer that the grammar forgets (T-78).
const WHOLE: &str = "rfc7904.rnc";

/// What Jing has to say about documents: a line for each mistake.
fn complaints(grammar: &str, documents: &[Vec<u8>]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut jing = Command::new("jing");
    jing.arg("-c").arg(vectors.join(grammar));
    for (number, document) in documents.iter().enumerate() {
        let path = folder.path().join(format!("{number}.xml"));
        std::fs::write(&path, document).expect("written");
        jing.arg(path);
    }
    let output = jing.output().expect("jing, from the package of that name");
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let complaints: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(output.status.success(), complaints.is_empty(), "{output:?}");
    complaints
}

/// Documents of every sort, the same in every run.
fn documents(count: usize) -> Vec<OverlayConfig> {
    let mut runner = TestRunner::deterministic();
    let strategy = any_config();
    let generate = |_| strategy.new_tree(&mut runner).expect("a configuration").current();
    (0..count)
        .map(generate)
        .map(|config| OverlayConfig {
            // What is no URI is for an enrollment client to refuse.
            enrollment_servers: vec!["https://example.org:8443/enroll?a=b".into()],
            ..config
        })
        .collect()
}

/// R6940-14.16-02: what we write is valid, whatever it says; what the RFC's grammar can say is
/// valid there too. The judge does find what is wrong.
#[test]
fn what_we_write_is_valid() {
    let configs = documents(60);
    let bytes = |config: &OverlayConfig| config.write().into_bytes();
    let all: Vec<_> = configs.iter().map(bytes).collect();
    assert_eq!(complaints(WHOLE, &all), [""; 0]);
    let of_rfc = |config: OverlayConfig| {
        let overlay_reliability_timer_ms = 3000;
        bytes(&OverlayConfig { overlay_reliability_timer_ms, ..config })
    };
    let strict: Vec<_> = configs.into_iter().map(of_rfc).collect();
    assert_eq!(complaints(STRICT, &strict), [""; 0]);
    let ours = OverlayConfig::self_signed("example.org").expect("a name");
    assert_eq!(complaints(STRICT, &[bytes(&ours)]), [""; 0]);
    let bad = ours.write().replace("max-count", "most");
    assert!(!complaints(WHOLE, &[bad.into()]).is_empty());
}

/// R6940-14.16-02, R6940-11.1-21: so is what we sign, Kinds and all.
#[test]
fn what_we_sign_is_valid() {
    let provider = X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    };
    let founder = Keys::self_signed(&provider, "founder@example.org", 1_790_000_000_000, 30)
        .and_then(|made| made.identity(&provider))
        .expect("an identity");
    let signers = || vec![founder.node_id];
    let config = OverlayConfig {
        kind_signers: signers(),
        configuration_signers: signers(),
        ..OverlayConfig::self_signed("example.org").expect("a name")
    };
    let signed = config.sign(&founder).expect("signed");
    assert!(signed.kind_blocks.iter().all(|block| block.signature.is_some()));
    assert_eq!(complaints(STRICT, &[signed.document.to_vec()]), [""; 0]);
}

/// The RFC's own example is not valid by its grammar (T-78), and is read all the same.
#[test]
fn the_example_is_read_though_not_valid() {
    let example = RFC_EXAMPLE.as_bytes().to_vec();
    let [only] = &complaints(STRICT, std::slice::from_ref(&example))[..] else { panic!("one") };
    assert!(only.contains("overlay-reliability-timer"), "{only}");
    assert_eq!(complaints(WHOLE, &[example]), [""; 0]);
}

/// R6940-11.1.1-01, R7890-5.4-01: the RFC's grammar has no multicast-bootstrap, which RFC 7890
/// tells of; in a namespace of its own it is valid. We read both, and neither changes anything.
#[test]
fn a_setting_for_multicast_is_an_extension() {
    let plain = OverlayConfig::self_signed("example.org").expect("a name");
    let with = |element: &str| {
        plain.write().replace("</configuration>", &format!("{element}</configuration>"))
    };
    let legacy = with("<multicast-bootstrap>224.0.1.1</multicast-bootstrap>");
    let [only] = &complaints(STRICT, &[legacy.clone().into()])[..] else { panic!("one mistake") };
    assert!(only.contains("multicast-bootstrap"), "{only}");
    let foreign = with("<x:lan xmlns:x=\"urn:example:lan\">true</x:lan>");
    assert_eq!(complaints(STRICT, &[foreign.clone().into()]), [""; 0]);
    for document in [legacy, foreign] {
        assert_eq!(OverlayConfig::parse(document), Ok(plain.clone()));
    }
    let written = documents(60).iter().map(OverlayConfig::write).collect::<String>();
    assert!(!written.contains("multicast"), "nobody has to know of it");
}
