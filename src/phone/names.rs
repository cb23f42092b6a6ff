//! Names that people type: their own in an overlay, and those they call.

use crate::config::OverlayConfig;
use crate::usage::{self, Aor};

/// Our Address of Record in the overlay of a document, from what was typed.
///
/// # Errors
/// One sentence: it is no name, or one of another overlay.
pub fn own_name(config: &OverlayConfig, user: &str) -> Result<Aor, String> {
    let overlay = config.instance_name.as_str();
    let aor = usage::parse_aor(user, overlay).map_err(|e| sentence(&e))?;
    if !config.instance_name.matches(&aor.domain) {
        return Err(format!("{aor} is no name of the overlay {overlay}."));
    }
    Ok(aor)
}

/// Whom `own` calls by what was typed.
///
/// # Errors
/// One sentence: it is no name, one of another overlay, or our own.
pub fn callee(config: &OverlayConfig, own: &Aor, name: &str) -> Result<Aor, String> {
    let overlay = config.instance_name.as_str();
    let aor = usage::parse_aor(name, overlay).map_err(|e| sentence(&e))?;
    if aor == *own {
        return Err(format!("{aor} is your own name."));
    }
    if !config.instance_name.matches(&aor.domain) {
        return Err(format!("{aor} is in another overlay; names here end in @{overlay}."));
    }
    Ok(aor)
}

/// What cannot be a name, as a sentence of its own.
fn sentence(error: &usage::AorError) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => format!("{}{}.", first.to_ascii_uppercase(), letters.as_str()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_name_or_a_sentence() {
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let alice = own_name(&config, " alice ").expect("a name");
        assert_eq!(alice.to_string(), "alice@example.org");
        let bob = callee(&config, &alice, "sip:bob@example.org").expect("a name");
        assert_eq!(bob.to_string(), "bob@example.org");
        for (name, word) in [
            ("", "missing"),
            ("ALICE@other.example", "another overlay"),
            ("alice", "own name"),
            ("a b", "no name"),
        ] {
            let error = callee(&config, &alice, name).expect_err(name);
            assert!(error.contains(word) && error.ends_with('.'), "{error}");
            assert!(!error.starts_with(char::is_lowercase) || error.contains('@'), "{error}");
        }
        assert!(own_name(&config, "alice@other.example").is_err());
    }
}
