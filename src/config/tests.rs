//! Documents good and bad, seen from outside.

mod domains;
mod grammar;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// The largest number that the grammar takes for most elements.
const INT_MAX: u32 = 0x7fff_ffff;

const RFC_EXAMPLE: &str = include_str!("../../tests/data/rfc6940_11_1.xml");

fn config(inner: &str) -> Result<OverlayConfig, ConfigError> {
    OverlayConfig::parse(document("instance-name=\"example.org\"", inner))
}

fn document(attributes: &str, inner: &str) -> String {
    format!(
        "<overlay xmlns=\"{NAMESPACE_BASE}\" xmlns:chord=\"{NAMESPACE_CHORD}\">\
         <configuration {attributes}>{inner}</configuration></overlay>"
    )
}

fn kind(attributes: &str, inner: &str) -> Result<OverlayConfig, ConfigError> {
    config(&format!(
        "<required-kinds><kind-block><kind {attributes}>{inner}</kind></kind-block>\
         </required-kinds>"
    ))
}

/// What the author of a refused document reads.
fn refusal(result: Result<OverlayConfig, ConfigError>) -> String {
    let sentence = result.expect_err("the document is bad").to_string();
    assert!(!sentence.contains('\n'), "one line: {sentence}");
    sentence
}

#[test]
fn the_example_of_the_rfc() {
    let config = OverlayConfig::parse(RFC_EXAMPLE).expect("the RFC's own document");
    assert_eq!(config.instance_name.as_str(), "overlay.example.org");
    assert_eq!(config.sequence, 22);
    assert!(config.is_expired(1_034_233_200_000) && !config.is_expired(1_034_233_199_999));
    assert_eq!(config.topology_plugin, "CHORD-RELOAD");
    assert_eq!(config.root_certs.len(), 2);
    assert_eq!(
        (config.root_certs[0].len(), config.root_certs[1].as_slice()),
        (808, &b"bad cert\n"[..])
    );
    assert_eq!(config.enrollment_servers, ["https://example.org", "https://example.net"]);
    assert_eq!(config.self_signed_permitted, None);
    let nodes: Vec<_> =
        config.bootstrap_nodes.iter().map(|n| format!("{} {}", n.address, n.port)).collect();
    assert_eq!(nodes, ["192.0.0.1 6084", "192.0.2.2 6084", "2001:db8::1 6084"]);
    assert_eq!((config.turn_density, config.clients_permitted, config.no_ice), (20, false, false));
    let chord = ChordConfig { update_interval_s: 400, ping_interval_s: 30, reactive: true };
    assert_eq!(config.chord, chord);
    assert_eq!(config.shared_secret, Some(SharedSecret::new("password")));
    assert_eq!((config.max_message_size, config.initial_ttl), (4000, 30));
    assert_eq!(config.overlay_reliability_timer_ms, 3000);
    assert_eq!(config.overlay_link_protocols, ["TLS"]);
    assert!(config.kind_signers.is_empty(), "8 bytes can be no Node-ID of 16");
    assert_eq!(config.mandatory_extensions, ["urn:ietf:params:xml:ns:p2p:config-ext1"]);
    assert!(config.check_supported().is_err());
}

/// R6940-11.1-18: the example says SINGLE and USER-MATCH, the registry wins.
#[test]
fn registered_kinds_are_what_the_registry_says() {
    let config = OverlayConfig::parse(RFC_EXAMPLE).expect("the RFC's own document");
    let registration = config.kind(kind_id::SIP_REGISTRATION).expect("defined");
    assert_eq!(registration.data_model, DataModel::Dictionary);
    assert_eq!(registration.access_control, AccessControl::UserNodeMatch);
    assert_eq!((registration.max_count, registration.max_size), (1, 100));
    let private = config.kind(2000).expect("defined");
    assert_eq!(private.data_model, DataModel::Array);
    assert_eq!(private.access_control, AccessControl::NodeMultiple);
    assert_eq!(private.max_node_multiple, Some(3));
}

/// R6940-11.1-20: what a signature covers is kept to the byte.
/// R6940-11.1-19: the same for a Kind.
#[test]
fn signed_bytes_are_those_of_the_document() {
    let signed = SignedConfig::parse(RFC_EXAMPLE.as_bytes(), None).expect("good");
    let begin = RFC_EXAMPLE.find("<configuration").expect("there");
    let end = RFC_EXAMPLE.find("</configuration>").expect("there") + "</configuration>".len();
    assert_eq!(signed.bytes, &RFC_EXAMPLE.as_bytes()[begin..end]);
    assert_eq!(signed.signatures, [b"This is not right!\n"]);
    let begin = RFC_EXAMPLE.find("<kind id").expect("there");
    let end = begin + RFC_EXAMPLE[begin..].find("</kind>").expect("there") + "</kind>".len();
    assert_eq!(signed.kind_blocks[1].kind_id, 2000);
    assert_eq!(signed.kind_blocks[1].bytes, &RFC_EXAMPLE.as_bytes()[begin..end]);
    assert_eq!(signed.kind_blocks[1].signature.as_deref(), Some(&b"This is not right!\n"[..]));
}

/// R6940-11.1-25: one file may describe several overlays.
#[test]
fn a_configuration_is_chosen_by_name() {
    let other = SignedConfig::parse(RFC_EXAMPLE.as_bytes(), Some("Other.Example.NET"));
    let other = other.expect("the second one");
    assert_eq!(other.config.instance_name.as_str(), "other.example.net");
    assert_eq!(other.signatures.len(), 1);
    let none = SignedConfig::parse(RFC_EXAMPLE.as_bytes(), Some("example.net"));
    assert_eq!(none, Err(ConfigError::OtherOverlay("example.net".into())));
}

/// R6940-11.1-12: the table of defaults.
#[test]
fn absent_elements_have_their_defaults() {
    let config = config("<bootstrap-node address='192.0.2.1'/>").expect("good");
    assert_eq!((config.sequence, config.expiration_unix_ms), (0, None));
    assert_eq!((config.topology_plugin.as_str(), config.node_id_length), ("CHORD-RELOAD", 16));
    assert_eq!((config.turn_density, config.clients_permitted, config.no_ice), (1, true, false));
    assert_eq!((config.max_message_size, config.initial_ttl), (5000, 100));
    assert_eq!(config.overlay_reliability_timer_ms, 3000);
    assert!(config.chord.reactive);
    assert_eq!(config.bootstrap_nodes[0].port, 6084);
    assert!(config.permits_link("TLS") && !config.permits_link("TLS-TCP-FH-NO-ICE"));
    assert_eq!(config.check_supported(), Ok(()));
}

/// R6940-11.1-03, R6940-11.1-09, R6940-11.1-10: what we write declares its encoding and leaves
/// out what is not so.
#[test]
fn a_document_of_ours() {
    let config = OverlayConfig::self_signed("Calls.Example.ORG").expect("a name");
    assert_eq!(config.instance_name.as_str(), "calls.example.org");
    assert!(config.max_message_size >= 16384);
    let text = config.write();
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<overlay xmlns="));
    assert!(text.contains("<self-signed-permitted digest=\"sha256\">true<"));
    assert!(text.contains("<kind name=\"SIP-REGISTRATION\">"));
    assert!(text.contains("<data-model>DICTIONARY<"));
    for absent in ["clients-permitted", "no-ice", "root-cert", "overlay-reliability-timer"] {
        assert!(!text.contains(absent), "{absent} is at its default");
    }
    let closed = OverlayConfig { self_signed_permitted: None, clients_permitted: false, ..config };
    let text = closed.write();
    assert!(!text.contains("self-signed-permitted"));
    assert!(text.contains("<clients-permitted>false<"));
}

/// R6940-6.3.2-02: the overlay field of a message.
#[test]
fn overlay_hash() {
    for (name, hash) in [
        ("overlay.example.org", 0x9aa3_2b8d),
        ("dht.example.com", 0xb1d0_a6c8),
        ("example.com", 0x65b0_781f),
    ] {
        assert_eq!(OverlayConfig::self_signed(name).expect("a name").overlay_hash(), hash);
    }
    let upper = OverlayConfig::with_defaults(OverlayName::new("Example.com").expect("a name"));
    assert_ne!(upper.overlay_hash(), 0x65b0_781f, "the octets of the document are hashed");
    assert!(upper.instance_name.matches("example.COM"));
}

/// R6940-6.3.2-03: a name that DNS cannot hold is refused.
#[test]
fn overlay_names() {
    let long = format!("{}.org", "a".repeat(64));
    let longer = ["a".repeat(63).as_str(); 4].join(".");
    for bad in [
        "",
        "my overlay",
        "a..b",
        ".a",
        "a.",
        "a_b.org",
        "-a.org",
        "a-.org",
        "müller.de",
        "192.0.2.1",
        &long,
        &longer,
    ] {
        assert!(OverlayName::new(bad).is_err(), "{bad}");
        let attributes = format!("instance-name=\"{bad}\"");
        assert!(OverlayConfig::parse(document(&attributes, "")).is_err(), "{bad}");
    }
    for good in ["example.org", "xn--mller-kva.de", "localhost", "9to5.example", "A-b.C"] {
        assert!(OverlayName::new(good).is_ok(), "{good}");
    }
}

/// R6940-11.1-02: what is not well-formed XML in UTF-8 is refused.
#[test]
fn broken_xml() {
    let utf16: Vec<u8> = RFC_EXAMPLE.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert!(OverlayConfig::parse(utf16).is_err());
    assert_eq!(OverlayConfig::parse(b"<overlay>\xff</overlay>"), Err(ConfigError::NotUtf8));
    let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><overlay/>";
    assert_eq!(OverlayConfig::parse(latin), Err(ConfigError::NotUtf8));
    let line = |text: &str| match OverlayConfig::parse(text) {
        Err(ConfigError::Malformed { line, .. }) => line,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(line(""), 1);
    assert_eq!(line("no XML at all"), 1);
    assert_eq!(line("<overlay>\n<configuration>\n"), 3);
    assert_eq!(line("<overlay>\n<configuration></overlay>"), 2);
    assert_eq!(line("<overlay/>\n<overlay/>"), 2);
    assert_eq!(line("<overlay/>\ntext"), 2);
    assert_eq!(line("<overlay\n a='1' a='2'/>"), 1);
    assert_eq!(line("<x:overlay/>"), 1);
    assert_eq!(line(&"<a>".repeat(limits::DEPTH_MAX + 1)), 1);
}

#[test]
fn nothing_is_expanded() {
    let bomb = "<!DOCTYPE o [<!ENTITY a 'aaaaaaaa'>]><overlay>&a;</overlay>";
    assert_eq!(OverlayConfig::parse(bomb), Err(ConfigError::Entity));
    assert_eq!(config("<shared-secret>&a;</shared-secret>"), Err(ConfigError::Entity));
    assert!(OverlayConfig::parse(document("instance-name='&a;'", "")).is_err());
    let predefined = config("<shared-secret>&lt;&#x41;<![CDATA[&b]]></shared-secret>");
    let secret = predefined.expect("good").shared_secret.expect("there");
    assert_eq!(secret.reveal(), "<A&b");
}

#[test]
fn a_document_of_any_size_is_not_read() {
    let padding = " ".repeat(limits::DOCUMENT_BYTES_MAX);
    assert_eq!(config(&padding), Err(ConfigError::TooLarge));
}

#[test]
fn no_configuration() {
    assert_eq!(OverlayConfig::parse("<html/>"), Err(ConfigError::NoConfiguration));
    assert_eq!(OverlayConfig::parse("<overlay/>"), Err(ConfigError::NoConfiguration));
    let foreign = "<overlay xmlns='urn:other'><configuration instance-name='a.org'/></overlay>";
    assert_eq!(OverlayConfig::parse(foreign), Err(ConfigError::NoConfiguration));
    let sentence = refusal(OverlayConfig::parse(document("", "")));
    assert!(sentence.contains("instance-name"), "{sentence}");
}

/// R6940-11.1-06, R6940-11.1-07, R6940-11.1-13: each bad value is named with what belongs there.
/// R6940-11.1-04: a time outside UTC is refused.
#[test]
fn bad_values() {
    for (inner, part) in [
        ("<node-id-length>15</node-id-length>", "node-id-length"),
        ("<node-id-length>21</node-id-length>", "node-id-length"),
        ("<enrollment-server>http://example.org</enrollment-server>", "enrollment-server"),
        ("<enrollment-server><url>ftp://a</url></enrollment-server>", "enrollment-server"),
        ("<overlay-reliability-timer>199</overlay-reliability-timer>", "overlay-reliability"),
        ("<root-cert>!</root-cert>", "root-cert"),
        ("<bootstrap-node/>", "bootstrap-node"),
        ("<bootstrap-node address='a b'/>", "bootstrap-node"),
        ("<bootstrap-node address='192.0.2.1' port='65536'/>", "port"),
        ("<turn-density>-1</turn-density>", "turn-density"),
        ("<no-ice>yes</no-ice>", "no-ice"),
        ("<initial-ttl>0</initial-ttl>", "initial-ttl"),
        ("<initial-ttl>9</initial-ttl><initial-ttl>8</initial-ttl>", "initial-ttl"),
        ("<chord:chord-update-interval>0</chord:chord-update-interval>", "chord-update"),
        ("<bad-node>xyz</bad-node>", "bad-node"),
        ("<self-signed-permitted>true</self-signed-permitted>", "digest"),
        ("<self-signed-permitted digest='md5'>true</self-signed-permitted>", "md5"),
    ] {
        let sentence = refusal(config(inner));
        assert!(sentence.contains(part), "{inner}: {sentence}");
    }
    for attribute in ["sequence='65535'", "expiration='2030-01-01T00:00:00+01:00'"] {
        let attributes = format!("instance-name='example.org' {attribute}");
        let sentence = refusal(OverlayConfig::parse(document(&attributes, "")));
        assert!(sentence.contains(&attribute[..8]), "{sentence}");
    }
}

/// R6940-11.1-16, R6940-11.1-17, R6940-7.4.5-01: a Kind without one of its parts is refused.
/// R6940-11.1-15: so is one that we could not store.
#[test]
fn bad_kinds() {
    const ALL: &str = "<data-model>ARRAY</data-model><max-size>9</max-size>\
        <access-control>NODE-MULTIPLE</access-control><max-count>8</max-count>\
        <max-node-multiple>7</max-node-multiple>";
    assert_eq!(kind("id='4026531841'", ALL).expect("good").kinds.len(), 1);
    for part in ["data-model", "max-size", "access-control", "max-count", "max-node-multiple"] {
        let sentence = refusal(kind("id='2000'", &ALL.replace(part, "other")));
        assert!(sentence.contains(part) && sentence.contains("2000"), "{sentence}");
    }
    assert!(kind("id='2000'", &ALL.replace(">7<", ">0<")).is_err());
    assert!(kind("id='2000'", &ALL.replace("ARRAY", "HEAP")).is_err());
    assert!(kind("id='2000'", &ALL.replace("NODE-MULTIPLE", "ANYBODY")).is_err());
    assert!(kind("id='0'", ALL).is_err());
    assert!(kind("", ALL).is_err());
    assert!(kind("name='NOT-REGISTERED'", ALL).is_err());
    let turn = kind("name='TURN-SERVICE'", ALL).expect("good");
    assert_eq!(turn.kinds[0].max_node_multiple, Some(7));
}

/// R6940-11.1-14: an extension that we don't know keeps us out, one that we know does not.
#[test]
fn mandatory_extensions_and_other_demands() {
    let unsupported = |inner: &str| {
        let config = config(inner).expect("a good document");
        config.check_supported().expect_err("not ours").to_string()
    };
    let name = "<mandatory-extension> urn:x </mandatory-extension>";
    assert!(unsupported(name).contains("urn:x"));
    let name = format!("<mandatory-extension>{NAMESPACE_BASE}</mandatory-extension>");
    assert_eq!(config(&name).expect("good").check_supported(), Ok(()));
    assert!(unsupported("<topology-plugin>PASTRY</topology-plugin>").contains("PASTRY"));
    assert!(unsupported("<node-id-length>20</node-id-length>").contains("20"));
    let link = "<overlay-link-protocol>CARRIER-PIGEON</overlay-link-protocol>";
    assert!(unsupported(link).contains("CARRIER-PIGEON"));
}

/// An overlay without ICE has other links than one with ICE; "TLS" stands for all.
#[test]
fn the_links_of_an_overlay_are_those_that_it_can_have() {
    let of = |no_ice: &str, link: &str| {
        let link = format!("<overlay-link-protocol>{link}</overlay-link-protocol>");
        let config = config(&format!("<no-ice>{no_ice}</no-ice>{link}")).expect("good");
        config.check_supported().map_err(|error| error.to_string())
    };
    let without_ice = ["DTLS-UDP-SR-NO-ICE", "TLS-TCP-FH-NO-ICE"];
    for (no_ice, good, bad) in
        [("1", &without_ice[..], &["DTLS-UDP-SR"][..]), ("0", &["DTLS-UDP-SR"], &without_ice)]
    {
        for link in good.iter().chain(&["TLS"]) {
            assert_eq!(of(no_ice, link), Ok(()), "{no_ice} {link}");
        }
        for link in bad {
            let sentence = of(no_ice, link).expect_err("another overlay's");
            assert!(sentence.contains(link), "{sentence}");
        }
    }
    for no_ice in ["true", "false"] {
        let config = config(&format!("<no-ice>{no_ice}</no-ice>")).expect("good");
        assert_eq!(config.check_supported(), Ok(()));
    }
}

#[test]
fn what_is_unknown_is_passed_over() {
    let config = config(
        "<x:initial-ttl xmlns:x='urn:x'>7</x:initial-ttl><multicast-bootstrap/>\
         <unknown><initial-ttl>8</initial-ttl></unknown><!-- a comment --><?pi?>",
    );
    assert_eq!(config.expect("good").initial_ttl, 100);
}

/// R6940-14.16-01: the secret is in no log and in no error.
#[test]
fn the_shared_secret_is_not_printed() {
    let text = document("instance-name='example.org'", "<shared-secret>hush</shared-secret>");
    let signed = SignedConfig::parse(text.as_bytes(), None).expect("good");
    assert_eq!(signed.config.shared_secret, Some(SharedSecret::new(" hush ")));
    // Bytes are printed as text or as numbers.
    let printed = format!("{signed:?} {:?}", signed.config);
    assert!(!printed.contains("hush") && !printed.contains("104, 117, 115, 104"), "{printed}");
    for broken in [text.replace("</shared-secret>", "</x>"), text.replace("hush", "hush&hush;")] {
        assert!(!refusal(OverlayConfig::parse(broken)).contains("hush"));
    }
}

/// R6940-13.4-01: without a link that shows the secret we stay out of such an overlay, and say in
/// one sentence why.
#[test]
fn an_overlay_with_a_shared_secret_is_not_for_us() {
    let config = config("<shared-secret>hush</shared-secret>").expect("good");
    let error = config.check_supported().expect_err("not ours");
    assert_eq!(error, ConfigError::SharedSecret);
    let sentence = error.to_string();
    assert!(sentence.contains("shared-secret") && !sentence.contains("hush"), "{sentence}");
}

fn name() -> impl Strategy<Value = OverlayName> {
    "[a-zA-Z][a-zA-Z0-9]{0,9}(\\.[a-z]([a-z0-9-]{0,6}[a-z0-9])?){0,3}"
        .prop_map(|name| OverlayName::new(&name).expect("the pattern gives names"))
}

/// Text that white space does not begin or end, with everything that XML must escape.
fn text() -> impl Strategy<Value = String> {
    "[!-~é€]([ !-~é€\t\r\n]{0,12}[!-~é€])?"
}

fn bootstrap_nodes() -> impl Strategy<Value = Vec<BootstrapNode>> {
    let address = prop_oneof![
        any::<IpAddr>().prop_map(BootstrapAddress::Ip),
        name().prop_map(|name| BootstrapAddress::Name(name.as_str().to_owned())),
    ];
    vec((address, 1u16..).prop_map(|(address, port)| BootstrapNode { address, port }), 0..4)
}

fn kinds() -> impl Strategy<Value = Vec<KindDefinition>> {
    let limits = (0..=INT_MAX, 0..=INT_MAX, 1..=INT_MAX);
    let definition = (0usize..3, 0usize..4, limits).prop_map(|(model, policy, limits)| {
        let models = [DataModel::Single, DataModel::Array, DataModel::Dictionary];
        let policies = [
            AccessControl::UserMatch,
            AccessControl::NodeMatch,
            AccessControl::UserNodeMatch,
            AccessControl::NodeMultiple,
        ];
        KindDefinition {
            id: 0,
            data_model: models[model],
            access_control: policies[policy],
            max_count: limits.0,
            max_size: limits.1,
            max_node_multiple: (policy == 3).then_some(limits.2),
        }
    });
    (vec(definition, 0..4), any::<bool>()).prop_map(|(mut kinds, registered)| {
        (0xf000_0001..).zip(&mut kinds).for_each(|(id, kind)| kind.id = id);
        if registered {
            kinds.extend(KindDefinition::for_calls());
        }
        kinds
    })
}

fn domain_restrictions() -> impl Strategy<Value = Option<DomainRestrictions>> {
    let pattern = r"[a-z]{1,5}(\\\.|[.]|[.][*]|[|])[a-z&]{1,5}";
    let pattern = pattern.prop_map(|text| DomainPattern::new(&text).expect("a pattern"));
    let restrictions = (any::<bool>(), vec(pattern, 0..3));
    proptest::option::of(
        restrictions.prop_map(|(enable, patterns)| DomainRestrictions { enable, patterns }),
    )
}

prop_compose! {
    fn credentials()(
        root_certs in vec(vec(any::<u8>(), 0..200), 0..3),
        servers in vec(text(), 0..3),
        self_signed_permitted in select(vec![None, Some(Digest::Sha1), Some(Digest::Sha256)]),
        secret in proptest::option::of(text()),
        signers in vec(vec(any::<u128>(), 0..3), 3),
    ) -> OverlayConfig {
        let ids = |index: usize| signers[index].iter().map(|id| NodeId::from_u128(*id)).collect();
        let name = OverlayName::new("example.org").expect("a name");
        OverlayConfig {
            root_certs,
            enrollment_servers: servers.iter().map(|path| format!("https://{path}")).collect(),
            self_signed_permitted,
            shared_secret: secret.as_deref().map(SharedSecret::new),
            kind_signers: ids(0),
            configuration_signers: ids(1),
            bad_nodes: ids(2),
            ..OverlayConfig::with_defaults(name)
        }
    }
}

prop_compose! {
    fn any_config()(
        config in credentials(),
        instance_name in name(),
        (sequence, expiration) in (0..=SEQUENCE_MAX, proptest::option::of(0u64..1 << 47)),
        (topology_plugin, links, extensions) in (text(), vec(text(), 0..3), vec(text(), 0..3)),
        bootstrap_nodes in bootstrap_nodes(),
        (turn_density, clients_permitted, no_ice) in any::<(u8, bool, bool)>(),
        (max_message_size, initial_ttl, timer) in (1u32.., 1u8.., 200u32..),
        (update_interval_s, ping_interval_s) in (1..=INT_MAX, 1..=INT_MAX),
        reactive in any::<bool>(),
        (kinds, domain_restrictions) in (kinds(), domain_restrictions()),
    ) -> OverlayConfig {
        OverlayConfig {
            instance_name,
            sequence,
            expiration_unix_ms: expiration,
            topology_plugin,
            bootstrap_nodes,
            turn_density,
            clients_permitted,
            no_ice,
            max_message_size,
            initial_ttl,
            overlay_reliability_timer_ms: timer,
            overlay_link_protocols: links,
            mandatory_extensions: extensions,
            chord: ChordConfig { update_interval_s, ping_interval_s, reactive },
            kinds,
            domain_restrictions,
            ..config
        }
    }
}

proptest! {
    /// R6940-11.1-08: both digests, and everything else, survive writing and reading.
    #[test]
    fn what_is_written_is_read(config in any_config()) {
        let text = config.write();
        let read = OverlayConfig::parse(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(&read, &config, "{}", text);
        prop_assert_eq!(read.write(), text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = OverlayConfig::parse(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<proptest::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = RFC_EXAMPLE.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = SignedConfig::parse(&bytes, None);
        let begin = bytes.len() / 2;
        let _ = KindBlock::parse(&bytes[begin..]);
    }
}
