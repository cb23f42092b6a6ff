//! Domain restrictions where a document may have them (RFC 7904 §3.4).

use super::*;

const SIP: &str = "xmlns:s='urn:ietf:params:xml:ns:p2p:config-base:sip'";
const OWN: &str = "overlay.example";

fn read(outside: &str, inside: &str) -> Result<OverlayConfig, ConfigError> {
    let kind = |name: &str, inside: &str| {
        format!(
            "<kind-block><kind name='{name}'><data-model>DICTIONARY</data-model>\
             <access-control>USER-NODE-MATCH</access-control><max-count>1</max-count>\
             <max-size>9</max-size>{inside}</kind></kind-block>"
        )
    };
    let kinds = kind("CERTIFICATE_BY_USER", "") + &kind("SIP-REGISTRATION", inside);
    let inner = format!("{outside}<required-kinds>{kinds}</required-kinds>");
    OverlayConfig::parse(document(&format!("instance-name='{OWN}'"), &inner))
}

fn element(name: &str, enable: &str) -> String {
    format!(r"<s:{name} {SIP} {enable}><s:pattern> .*\.my\.example </s:pattern></s:{name}>")
}

/// R7904-3.4-01, R7904-3.4-02, T-84: both names, in the Kind or beside it, say the same.
#[test]
fn either_name_in_either_place() {
    for name in ["domain-restriction", "domain-restrictions"] {
        for (enable, own, other) in [
            ("", true, false),
            ("enable='false'", true, false),
            ("enable='0'", true, false),
            ("enable='true'", false, true),
            ("enable='1'", false, true),
        ] {
            let element = element(name, enable);
            for config in [read(&element, ""), read("", &element)] {
                let config = config.expect("good");
                assert_eq!(config.admits_domain(OWN), own, "{element}");
                assert_eq!(config.serves_domain(OWN), own, "{element}");
                assert_eq!(config.admits_domain("a.my.example"), other, "{element}");
                assert!(!config.admits_domain("my.example"), "{element}");
            }
        }
    }
}

/// R7904-3.4-03: without the element any name is taken; only the overlay's own is looked up.
#[test]
fn an_open_overlay_takes_any_domain() {
    let open = read("", "").expect("good");
    assert_eq!(open.domain_restrictions, None);
    assert!(open.admits_domain(OWN) && open.admits_domain("other.example"));
    assert!(open.serves_domain(OWN) && !open.serves_domain("other.example"));
    // What is in another Kind, or in an extension of somebody else, is not meant.
    let foreign = element("domain-restriction", "").replace("config-base:sip", "other");
    assert_eq!(read(&foreign, "").expect("good").domain_restrictions, None);
}

#[test]
fn what_cannot_hold_is_refused() {
    let (one, other) = (element("domain-restriction", ""), element("domain-restrictions", ""));
    for (outside, inside) in [(&one[..], &one[..]), (&(one.clone() + &other), ""), (&one, &other)] {
        let repeated = ConfigError::Repeated("domain-restriction");
        assert_eq!(read(outside, inside), Err(repeated), "{outside} {inside}");
    }
    let sentence = refusal(read(&element("domain-restriction", "enable='maybe'"), ""));
    assert!(sentence.contains("enable"), "{sentence}");
    let bad = element("domain-restriction", "").replace(".*", "*");
    let sentence = refusal(read("", &bad));
    assert!(sentence.contains(r"*\\.my"), "{sentence}");
    let many = "<s:pattern>a</s:pattern>".repeat(limits::PATTERNS_MAX + 1);
    let many = format!("<s:domain-restriction {SIP}>{many}</s:domain-restriction>");
    assert!(read(&many, "").is_err());
    let mandatory = format!("<mandatory-extension>{NAMESPACE_SIP}</mandatory-extension>");
    assert_eq!(read(&mandatory, "").expect("good").check_supported(), Ok(()));
}

/// T-82, T-84: a Kind that travels alone cannot speak for the overlay.
#[test]
fn a_kind_alone_restricts_nothing() {
    let block = |inside: &str| {
        format!(
            "<kind-block><kind name='SIP-REGISTRATION'><data-model>DICTIONARY</data-model>\
             <access-control>USER-NODE-MATCH</access-control><max-count>1</max-count>\
             <max-size>9</max-size>{inside}</kind></kind-block>"
        )
    };
    assert!(KindBlock::parse(block("").as_bytes()).is_ok());
    let restricted = block(&element("domain-restriction", ""));
    let error = KindBlock::parse(restricted.as_bytes()).expect_err("refused").to_string();
    assert!(error.contains("domain-restriction"), "{error}");
}

/// R7904-3.4-02, T-84: written as the grammar has it: inside the Kind if there is one.
#[test]
fn restrictions_are_written_in_the_form_of_the_grammar() {
    let config = read(&element("domain-restrictions", "enable='1'"), "").expect("good");
    let text = config.write();
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} in {text}"));
    let form = format!(r#"<sip:domain-restriction xmlns:sip="{NAMESPACE_SIP}" enable="true">"#);
    assert!(at(r#"<kind name="SIP-REGISTRATION">"#) < at(&form));
    assert!(at(&form) < at(r"<sip:pattern>.*\.my\.example</sip:pattern>"));
    assert_eq!(OverlayConfig::parse(&text), Ok(config.clone()));
    let without_kinds = OverlayConfig { kinds: Vec::new(), ..config };
    assert_eq!(OverlayConfig::parse(without_kinds.write()), Ok(without_kinds));
}
