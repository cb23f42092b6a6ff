//! Names that people type: their own in an overlay, and those they call.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::{OverlayConfig, SignedConfig};
use crate::usage::{self, Aor, Overlays, Way, WayError};

/// Our Address of Record in the overlay of a document, from what was typed. It is checked here as
/// those who store its registration will check it (RFC 7904 §3.3).
///
/// # Errors
/// One sentence: it is no name, one of another overlay, or one that the overlay does not take.
pub fn own_name(config: &OverlayConfig, user: &str) -> Result<Aor, String> {
    let overlay = config.instance_name.as_str();
    let aor = usage::parse_aor(user, overlay).map_err(|e| sentence(&e))?;
    if !config.instance_name.matches(&aor.domain) {
        return Err(format!("{aor} is no name of the overlay {overlay}."));
    }
    if !config.admits_domain(&aor.domain) {
        return Err(format!(
            "{aor} can't be registered: the document of {overlay} takes names of other domains."
        ));
    }
    // A URI may hold in escapes what no certificate of ours does.
    match aor.user.chars().find(|c| !c.is_ascii_graphic() || *c == '@') {
        Some(bad) => Err(sentence(&usage::AorError::Character(aor.user, bad))),
        None => Ok(aor),
    }
}

/// Where what was typed leads to for somebody who is in these overlays; the first one is of names
/// without a domain.
///
/// # Errors
/// One sentence: it is no name, or leads into none of the overlays.
pub(super) fn way(overlays: &Overlays, names: &[&str], text: &str) -> Result<Way, String> {
    match overlays.way(text) {
        Ok(Way::Elsewhere(name)) => Err(match names {
            [only] => format!("{name} is in another overlay; names here end in @{only}."),
            names => {
                let names = names.join(" or @");
                format!("{name} is in none of your overlays; names there end in @{names}.")
            }
        }),
        Ok(way) => Ok(way),
        Err(WayError::NoOverlay) => Err("Join an overlay before calling.".into()),
        Err(error) => Err(sentence(&error)),
    }
}

/// What to type to call `name`. One that stands among those `heard` of, in the list of calls, is a
/// name to the octet: what would be a scheme, an escape or a password if somebody typed it is a
/// part of it.
pub(super) fn as_typed<'a, 'b>(
    name: &'a str,
    mut heard: impl Iterator<Item = &'b str>,
) -> Cow<'a, str> {
    match Aor::of_user_name(name) {
        Some(aor) if usage::parse_aor(name, "").as_ref() != Ok(&aor) => {
            if heard.any(|peer| peer == name) { aor.to_sip_uri().into() } else { name.into() }
        }
        _ => name.into(),
    }
}

/// Whether `own` could call what was typed in the overlay of a document.
///
/// # Errors
/// One sentence: it is no name, one of another overlay, or our own.
pub fn callee(document: &Arc<SignedConfig>, own: &Aor, name: &str) -> Result<(), String> {
    let overlays = Overlays::new(vec![document.clone()]);
    match way(&overlays, &[document.config.instance_name.as_str()], name)? {
        Way::LookUp(_, aor) if aor == *own => Err(own_sentence(own)),
        _ => Ok(()),
    }
}

/// The name that calls are to be forwarded to, in full.
///
/// # Errors
/// One sentence: it is no name.
pub fn forwarding(text: &str, default_overlay: &str) -> Result<String, String> {
    usage::parse_aor(text, default_overlay).map(|aor| aor.to_string()).map_err(|e| sentence(&e))
}

/// Whether names of this domain are of another one than their overlay: an overlay that takes any
/// name can't know to whom the domain belongs (RFC 7904 §8.2.3).
pub(super) fn is_domain_unverified(config: &OverlayConfig, domain: &str) -> bool {
    !config.instance_name.matches(domain)
}

/// Nobody calls themselves.
pub(super) fn own_sentence(own: &Aor) -> String {
    format!("{own} is your own name.")
}

/// What cannot be a name, as a sentence of its own.
fn sentence(error: &impl std::error::Error) -> String {
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
    use crate::config::{DomainPattern, DomainRestrictions};

    #[test]
    fn what_is_typed_becomes_a_name_or_a_sentence() {
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let alice = own_name(&config, " alice ").expect("a name");
        assert_eq!(alice.to_string(), "alice@example.org");
        let document = Arc::new(SignedConfig::unsigned(&config).expect("a document"));
        assert_eq!(callee(&document, &alice, "sip:bob@example.org"), Ok(()));
        for (name, word) in [
            ("", "missing"),
            ("ALICE@other.example", "another overlay"),
            ("alice", "own name"),
            ("a b", "no name"),
        ] {
            let error = callee(&document, &alice, name).expect_err(name);
            assert!(error.contains(word) && error.ends_with('.'), "{error}");
            assert!(!error.starts_with(char::is_lowercase) || error.contains('@'), "{error}");
        }
        assert!(own_name(&config, "alice@other.example").is_err());
        let overlays = Overlays::new(vec![document.clone(), document]);
        let error = way(&overlays, &["a.example", "b.example"], "bob@c.example");
        let error = error.expect_err("elsewhere");
        assert!(error.contains("none of your overlays") && error.contains("@a.example or @b"));
        let error = own_name(&config, "sip:al%20ice@example.org").expect_err("a blank");
        assert!(error.contains("al ice"), "{error}");
    }

    /// R7904-8.2.3-01: whatever an overlay takes, it can speak for its own domain alone.
    #[test]
    fn domains_of_others_are_unverified() {
        let open = OverlayConfig::self_signed("example.org").expect("a name");
        let pattern = DomainPattern::new(r".*\.example").expect("a pattern");
        let restrictions = DomainRestrictions { enable: true, patterns: vec![pattern] };
        let wide = OverlayConfig { domain_restrictions: Some(restrictions), ..open.clone() };
        for config in [open, wide] {
            assert!(!is_domain_unverified(&config, "Example.org"));
            assert!(is_domain_unverified(&config, "bank.example"));
            assert!(is_domain_unverified(&config, "sub.example.org"));
        }
    }

    /// Whatever name a caller has, it can be called back from the list of calls.
    #[test]
    fn any_name_that_has_called_can_be_called() {
        let config = OverlayConfig::self_signed("example.org").expect("a name");
        let document = Arc::new(SignedConfig::unsigned(&config).expect("a document"));
        let overlays = Overlays::new(vec![document]);
        let names = [
            "bob",
            "a:b",
            "50%41",
            "100%",
            "sip:bob",
            "tel:+49",
            "bob;gr=AAAA",
            "a?b",
            "\"a b\"",
            "a@b",
            "älice",
        ];
        for user in names {
            let name = format!("{user}@example.org");
            let typed = as_typed(&name, ["carol@example.org", &name].into_iter());
            let led = way(&overlays, &["example.org"], &typed);
            let Ok(Way::LookUp(0, aor)) = led else { panic!("{name}: {led:?}") };
            assert_eq!(aor.to_string(), name);
        }
        // Nobody of this name has called: it was typed.
        let typed = as_typed("bob:secret@example.org", ["bob@example.org"].into_iter());
        assert_eq!(typed, "bob:secret@example.org");
        let typed = as_typed("sip:bob@example.org", [].into_iter());
        let led = way(&overlays, &["example.org"], &typed).expect("a way");
        assert!(matches!(led, Way::LookUp(0, aor) if aor.to_string() == "bob@example.org"));
    }

    /// R7904-3.3-01, R7904-3.4-02: a name that the overlay does not take is refused before it is
    /// stored, with the reason.
    #[test]
    fn own_names_are_checked_as_those_do_who_store_them() {
        let open = OverlayConfig::self_signed("example.org").expect("a name");
        let restricted = |pattern: Option<&str>| {
            let patterns = pattern.map(|p| DomainPattern::new(p).expect("a pattern"));
            let patterns: Vec<_> = patterns.into_iter().collect();
            let enable = !patterns.is_empty();
            let domain_restrictions = Some(DomainRestrictions { enable, patterns });
            OverlayConfig { domain_restrictions, ..open.clone() }
        };
        assert!(own_name(&open, "alice").is_ok());
        assert!(own_name(&restricted(None), "alice").is_ok());
        assert!(own_name(&restricted(Some(r"(.*\.)?example\.org")), "alice").is_ok());
        let error = own_name(&restricted(Some(r".*\.my\.example")), "alice").expect_err("refused");
        assert!(error.contains("alice@example.org") && error.contains("other domains"), "{error}");
    }
}
