//! Fuzz targets of all rooms: functions of bytes that decode them, or take them as a script of
//! what happens to a machine, and panic if something is not as it must be.
//!
//! libFuzzer calls them through the crate in `tests/fuzz` (`cargo fuzz run --fuzz-dir tests/fuzz
//! NAME`); the ordinary tests run them on the saved corpus, `tests/fuzz/corpus/NAME/`, in which
//! every finding stays as a file.

use crate::{config, crypto, enroll, link, media, message, peer, sip, usage};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target under the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("certificate", crypto::fuzz::certificate),
    ("document", config::fuzz::document),
    ("dtls", link::fuzz::dtls),
    ("fragments", message::fuzz::fragments),
    ("frame", link::fuzz::frame),
    ("invitation", enroll::fuzz::invitation),
    ("jitter", media::fuzz::jitter),
    ("message_body", message::fuzz::body),
    ("name", usage::fuzz::name),
    ("packet", message::fuzz::packet),
    ("pattern", config::fuzz::pattern),
    ("peer", peer::fuzz::peer),
    ("reliability", link::fuzz::reliability),
    ("request", crypto::fuzz::request),
    ("sdp", media::fuzz::sdp),
    ("signature", crypto::fuzz::signature),
    ("sip_message", sip::fuzz::message),
    ("sip_word", sip::fuzz::word),
    ("sound", media::fuzz::sound),
    ("stored_data", message::fuzz::stored_data),
    ("stun", link::fuzz::stun),
    ("usage_record", usage::fuzz::stored),
    ("user_agents", sip::fuzz::user_agents),
    ("wav", media::fuzz::wav),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Every input that fuzzing has saved, among them all that once broke something.
    #[test]
    fn the_saved_corpus_passes() {
        for (name, target) in TARGETS {
            let files = entries(&folder("corpus").join(name));
            assert!(!files.is_empty(), "{name} has no corpus");
            for file in files {
                println!("{}", file.display());
                target(&fs::read(&file).expect("a file"));
            }
        }
    }

    /// What libFuzzer can run is what stands here.
    #[test]
    fn every_target_has_a_program_and_a_corpus() {
        let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        for kind in ["corpus", "targets"] {
            let there: BTreeSet<String> = entries(&folder(kind)).into_iter().map(stem).collect();
            assert_eq!(there, names, "{kind}");
        }
    }

    fn folder(kind: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(kind)
    }

    fn entries(folder: &Path) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("readable").path()).collect()
    }
}
