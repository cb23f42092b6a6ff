use super::*;
use crate::config::OverlayConfig;
use crate::crypto::{NodeIdDigest, X509Provider};

pub(crate) const NOW_MS: u64 = 1_790_000_000_000;

pub(crate) fn folder() -> (tempfile::TempDir, StateFolder) {
    let dir = tempfile::tempdir().expect("a folder");
    let state = StateFolder::open(dir.path()).expect("usable");
    (dir, state)
}

pub(crate) fn provider() -> X509Provider {
    X509Provider {
        overlay: "example.org".into(),
        node_id_length: 16,
        self_signed: Some(NodeIdDigest::Sha256),
        roots: Vec::new(),
    }
}

/// What nothing proves is marked until something proves it, through every step at which the
/// program may stop.
#[test]
fn an_unproved_document_is_marked() {
    let (dir, state) = folder();
    let document = |sequence: u16| {
        let mut config = OverlayConfig::self_signed("example.org").expect("a name");
        config.sequence = sequence;
        SignedConfig::unsigned(&config).expect("good")
    };
    let is_proved = || state.is_document_proved("example.org");
    state.save_unproved_document(&document(1)).expect("kept");
    assert!(!is_proved());
    // It stopped between the mark and the document.
    let path = dir.path().join("overlays/example.org/document.xml");
    state.save_unproved_document(&document(2)).expect("kept");
    fs::write(&path, &document(1).document).expect("written");
    assert!(!is_proved());
    state.save_unproved_document(&document(3)).expect("kept");
    fs::write(&path, &document(1).document).expect("written");
    assert!(!is_proved());
    state.save_unproved_document(&document(3)).expect("kept");
    assert!(!is_proved());
    state.save_document(&document(3)).expect("kept");
    assert!(is_proved());
}

#[test]
fn ten_addresses_are_kept_for_the_next_join() {
    let (dir, state) = folder();
    assert!(state.bootstrap_cache("example.org").is_empty());
    let address = |n: u8| SocketAddr::from(([192, 0, 2, n], 6084));
    let first: Vec<_> = (1..=8).map(address).collect();
    state.save_bootstrap_cache("example.org", &first).expect("written");
    let later = [address(20), address(3), address(21)];
    state.save_bootstrap_cache("example.org", &later).expect("written");
    let expected: Vec<_> = [20, 3, 21, 1, 2, 4, 5, 6, 7, 8].map(address).to_vec();
    assert_eq!(state.bootstrap_cache("example.org"), expected);
    let path = dir.path().join("overlays/example.org/bootstrap.txt");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text.replace("192.0.2.3:6084", "what?")).expect("written");
    assert_eq!(state.bootstrap_cache("example.org").len(), 9, "a bad line is left out");
}

#[test]
fn a_user_name_stays_inside_the_folder() {
    assert_eq!(folder_name("alice.smith"), "alice.smith");
    assert_eq!(folder_name("../../x"), "%2e.%2f..%2fx");
    assert_eq!(folder_name("a/b"), "a%2fb");
    for user in ["alice.smith", "../../x", "a/b", "zoë"] {
        assert_eq!(user_of_folder(&folder_name(user)).as_deref(), Some(user));
    }
    for name in ["..", "a/b", "%", "%zz", "%2", "%41"] {
        assert_eq!(user_of_folder(name), None, "{name}");
    }
}

#[test]
fn a_folder_is_open_once() {
    let (dir, state) = folder();
    let error = StateFolder::open(dir.path()).expect_err("in use").to_string();
    assert!(error.contains("in use"), "{error}");
    drop(state);
    StateFolder::open(dir.path()).expect("free again");
}

#[test]
fn a_file_in_place_of_the_folder_is_one_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, b"").expect("written");
    let error = StateFolder::open(&path).expect_err("not a folder").to_string();
    assert!(error.contains("--state") && !error.contains('\n'), "{error}");
}
