//! From XML to a configuration.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::element::Element;
use super::error::excerpt;
use super::kind::kind_id::SIP_REGISTRATION;
use super::kind::{AccessControl, DataModel, KindDefinition};
use super::{
    BootstrapAddress, BootstrapNode, ChordConfig, ConfigError, Digest, DomainPattern,
    DomainRestrictions, OverlayConfig, OverlayName, PORT_DEFAULT, SEQUENCE_MAX, SharedSecret,
    limits, time,
};
use crate::base::NodeId;

/// A configuration with what its signatures cover. Nothing here has been verified.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedConfig {
    /// What the configuration says.
    pub config: OverlayConfig,
    /// The whole document as it was read: what is kept, and what other nodes get.
    pub document: Bytes,
    /// The `configuration` element from its first `<` to its last `>`, as it was read.
    pub bytes: Bytes,
    /// The security blocks of the `signature` elements that follow it.
    pub signatures: Vec<Vec<u8>>,
    /// The same for each Kind, in the order of [`OverlayConfig::kinds`].
    pub kind_blocks: Vec<KindBlock>,
}

/// One `kind` element and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindBlock {
    /// The Kind that it defines.
    pub kind_id: u32,
    /// The `kind` element from its first `<` to its last `>`, as it was read.
    pub bytes: Bytes,
    /// The security block of its `kind-signature`.
    pub signature: Option<Vec<u8>>,
}

impl SignedConfig {
    /// Reads from a document the configuration of overlay `name`, or the first one.
    pub fn parse(document: &[u8], name: Option<&str>) -> Result<Self, ConfigError> {
        if document.len() > limits::DOCUMENT_BYTES_MAX {
            return Err(ConfigError::TooLarge);
        }
        let text = std::str::from_utf8(document).map_err(|_| ConfigError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let overlay = Element::parse(text)?;
        let document = Bytes::copy_from_slice(text.as_bytes());
        let (element, signatures) = choose(&overlay, name)?;
        let (kinds, kind_blocks) = kinds(element, &document)?.into_iter().unzip();
        Ok(Self {
            config: OverlayConfig { kinds, ..configuration(element)? },
            bytes: document.slice(element.span.clone()),
            document,
            signatures,
            kind_blocks,
        })
    }
}

/// Without the bytes, which hold the secret of an overlay that has one.
impl fmt::Debug for SignedConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, document: _, bytes: _, signatures, kind_blocks } = self;
        f.debug_struct("SignedConfig")
            .field("config", config)
            .field("signatures", signatures)
            .field("kind_blocks", kind_blocks)
            .finish_non_exhaustive()
    }
}

impl KindBlock {
    /// Reads a `kind-block` element that stands alone, as in a ConfigUpdate: config-base is its
    /// namespace unless it says otherwise (RFC 6940 §6.5.4.1).
    pub fn parse(fragment: &[u8]) -> Result<(KindDefinition, Self), ConfigError> {
        if fragment.len() > limits::DOCUMENT_BYTES_MAX {
            return Err(ConfigError::TooLarge);
        }
        let text = std::str::from_utf8(fragment).map_err(|_| ConfigError::NotUtf8)?;
        let element = Element::parse(text)?;
        if !element.is("kind-block") {
            return Err(missing("the Kind's description", "kind-block"));
        }
        // It would hold for the overlay, of which only a document speaks.
        if domain_restrictions(element.one("kind")?)?.is_some() {
            let (what, value) = ("domain-restriction", "outside a document".to_owned());
            return Err(ConfigError::Unsupported { what, value });
        }
        kind_block(&element, &Bytes::copy_from_slice(fragment))
    }
}

/// The configuration element of an overlay and the signatures right behind it.
fn choose<'a>(
    overlay: &'a Element,
    name: Option<&str>,
) -> Result<(&'a Element, Vec<Vec<u8>>), ConfigError> {
    if !overlay.is("overlay") || overlay.many("configuration").next().is_none() {
        return Err(ConfigError::NoConfiguration);
    }
    let wanted = |element: &Element| match (name, element.attribute("instance-name")) {
        (None, _) => true,
        (Some(name), instance) => instance.is_some_and(|i| i.eq_ignore_ascii_case(name)),
    };
    let children = overlay.children();
    let index = children
        .iter()
        .position(|child| child.is("configuration") && wanted(child))
        .ok_or_else(|| ConfigError::OtherOverlay(excerpt(name.unwrap_or_default())))?;
    let signatures = children[index + 1..]
        .iter()
        .take_while(|child| !child.is("configuration"))
        .filter(|child| child.is("signature"))
        .map(|child| base64("signature", child))
        .collect::<Result<_, _>>()?;
    Ok((&children[index], signatures))
}

/// All of a configuration but its Kinds.
fn configuration(element: &Element) -> Result<OverlayConfig, ConfigError> {
    let name = element
        .attribute("instance-name")
        .ok_or_else(|| missing("configuration", "the attribute instance-name"))?;
    let mut config = OverlayConfig::with_defaults(OverlayName::new(name)?);
    if let Some(text) = element.attribute("sequence") {
        config.sequence = number("sequence", text, 0..=SEQUENCE_MAX, "a number from 0 to 65534")?;
    }
    if let Some(text) = element.attribute("expiration") {
        let expiration = time::parse(text).ok_or_else(|| {
            value("expiration", text, "a time in UTC such as 2030-12-31T23:59:59Z")
        })?;
        config.expiration_unix_ms = Some(expiration);
    }
    if let Some(plugin) = element.one("topology-plugin")? {
        config.topology_plugin = plugin.text().to_owned();
    }
    let expected = "a length from 16 to 20";
    set(element, "node-id-length", 16..=20, expected, &mut config.node_id_length)?;
    credentials(element, &mut config)?;
    network(element, &mut config)?;
    timing(element, &mut config)?;
    let length = config.node_id_length;
    config.kind_signers = node_ids(element, "kind-signer", length)?;
    config.configuration_signers = node_ids(element, "configuration-signer", length)?;
    config.bad_nodes = node_ids(element, "bad-node", length)?;
    config.mandatory_extensions = texts(element, "mandatory-extension");
    config.domain_restrictions = domain_restrictions_of(element)?;
    Ok(config)
}

fn credentials(element: &Element, config: &mut OverlayConfig) -> Result<(), ConfigError> {
    for certificate in element.many("root-cert") {
        config.root_certs.push(base64("root-cert", certificate)?);
    }
    for server in element.many("enrollment-server") {
        // The text of RFC 6940 §11.1 puts the URL into an element "url", its grammar does not.
        let url = server.one("url")?.unwrap_or(server).text();
        let https = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
        if !https || url.len() == 8 {
            return Err(value("enrollment-server", url, "a URL that begins with https://"));
        }
        config.enrollment_servers.push(url.to_owned());
    }
    let mut permitted = false;
    set_bool(element, "self-signed-permitted", &mut permitted)?;
    if let (true, Some(child)) = (permitted, element.one("self-signed-permitted")?) {
        let digest = child.attribute("digest").unwrap_or_default();
        config.self_signed_permitted = Some(match digest {
            "sha1" => Digest::Sha1,
            "sha256" => Digest::Sha256,
            other => {
                let expected = "\"sha1\" or \"sha256\"";
                return Err(value("the digest of self-signed-permitted", other, expected));
            }
        });
    }
    config.shared_secret = element.one("shared-secret")?.map(|c| SharedSecret::new(c.text()));
    Ok(())
}

fn network(element: &Element, config: &mut OverlayConfig) -> Result<(), ConfigError> {
    for node in element.many("bootstrap-node") {
        config.bootstrap_nodes.push(bootstrap_node(node)?);
    }
    let expected = "a number from 0 to 255";
    set(element, "turn-density", 0..=u8::MAX, expected, &mut config.turn_density)?;
    set_bool(element, "clients-permitted", &mut config.clients_permitted)?;
    set_bool(element, "no-ice", &mut config.no_ice)?;
    config.overlay_link_protocols = texts(element, "overlay-link-protocol");
    Ok(())
}

fn timing(element: &Element, config: &mut OverlayConfig) -> Result<(), ConfigError> {
    let expected = "a number of bytes above 0";
    set(element, "max-message-size", 1..=u32::MAX, expected, &mut config.max_message_size)?;
    let expected = "a number from 1 to 255";
    set(element, "initial-ttl", 1..=u8::MAX, expected, &mut config.initial_ttl)?;
    set(
        element,
        "overlay-reliability-timer",
        200..=u32::MAX,
        "a number of milliseconds from 200 on",
        &mut config.overlay_reliability_timer_ms,
    )?;
    // An interval of 0 would make every node send without end.
    let expected = "a number of seconds above 0";
    let ChordConfig { update_interval_s, ping_interval_s, reactive } = &mut config.chord;
    set(element, "chord-update-interval", 1..=INT_MAX, expected, update_interval_s)?;
    set(element, "chord-ping-interval", 1..=INT_MAX, expected, ping_interval_s)?;
    set_bool(element, "chord-reactive", reactive)
}

fn bootstrap_node(element: &Element) -> Result<BootstrapNode, ConfigError> {
    let address =
        element.attribute("address").ok_or_else(|| missing("bootstrap-node", "address"))?;
    let port = match element.attribute("port") {
        Some(text) => number("the port of bootstrap-node", text, 1..=u16::MAX, "a port")?,
        None => PORT_DEFAULT,
    };
    let address = match address.parse() {
        Ok(ip) => BootstrapAddress::Ip(ip),
        Err(_) if OverlayName::new(address).is_ok() => BootstrapAddress::Name(address.to_owned()),
        Err(_) => {
            let expected = "an IP address or a host name";
            return Err(value("the address of bootstrap-node", address, expected));
        }
    };
    Ok(BootstrapNode { address, port })
}

fn kinds(
    element: &Element,
    document: &Bytes,
) -> Result<Vec<(KindDefinition, KindBlock)>, ConfigError> {
    let mut kinds: Vec<(KindDefinition, KindBlock)> = Vec::new();
    let Some(required) = element.one("required-kinds")? else { return Ok(kinds) };
    for block in required.many("kind-block") {
        let (definition, block) = kind_block(block, document)?;
        if kinds.iter().any(|(other, _)| other.id == definition.id) {
            return Err(ConfigError::Repeated("kind with the same name or id"));
        }
        kinds.push((definition, block));
    }
    Ok(kinds)
}

/// The domain restrictions of a configuration: its own, as the text of RFC 7904 §3.4 has them, or
/// those of its Kind SIP-REGISTRATION, as the grammar there does (T-84).
fn domain_restrictions_of(
    configuration: &Element,
) -> Result<Option<DomainRestrictions>, ConfigError> {
    let mut found = domain_restrictions(Some(configuration))?;
    let Some(required) = configuration.one("required-kinds")? else { return Ok(found) };
    for block in required.many("kind-block") {
        let kind = block.one("kind")?;
        let id = kind.map(kind_id).transpose()?;
        if id != Some(SIP_REGISTRATION) {
            continue;
        }
        if let Some(inner) = domain_restrictions(kind)?
            && found.replace(inner).is_some()
        {
            return Err(ConfigError::Repeated("domain-restriction"));
        }
    }
    Ok(found)
}

/// The domain restrictions right inside an element, under either name.
fn domain_restrictions(
    parent: Option<&Element>,
) -> Result<Option<DomainRestrictions>, ConfigError> {
    let Some(parent) = parent else { return Ok(None) };
    let element = match (parent.one("domain-restriction")?, parent.one("domain-restrictions")?) {
        (Some(_), Some(_)) => return Err(ConfigError::Repeated("domain-restriction")),
        (first, second) => match first.or(second) {
            Some(element) => element,
            None => return Ok(None),
        },
    };
    let enable = match element.attribute("enable") {
        Some(text) => boolean("the attribute enable of domain-restriction", text)?,
        None => false,
    };
    let patterns = texts(element, "pattern");
    if patterns.len() > limits::PATTERNS_MAX {
        let expected = "a smaller number of patterns";
        return Err(value("domain-restriction", patterns.len(), expected));
    }
    let pattern = |text: &String| {
        let refused = |reason| ConfigError::Pattern { pattern: excerpt(text), reason };
        DomainPattern::new(text).map_err(refused)
    };
    let patterns = patterns.iter().map(pattern).collect::<Result<_, _>>()?;
    Ok(Some(DomainRestrictions { enable, patterns }))
}

/// A `kind-block` element of `document`.
fn kind_block(
    block: &Element,
    document: &Bytes,
) -> Result<(KindDefinition, KindBlock), ConfigError> {
    let element = block.one("kind")?.ok_or_else(|| missing("kind-block", "kind"))?;
    let definition = kind(element)?;
    let signature =
        block.one("kind-signature")?.map(|s| base64("kind-signature", s)).transpose()?;
    let bytes = document.slice(element.span.clone());
    let block = KindBlock { kind_id: definition.id, bytes, signature };
    Ok((definition, block))
}

fn kind(element: &Element) -> Result<KindDefinition, ConfigError> {
    let label = || {
        let label = element.attribute("name").or(element.attribute("id")).unwrap_or_default();
        format!("kind {}", excerpt(label))
    };
    let id = kind_id(element)?;
    let required = |name| {
        element.one(name)?.ok_or_else(|| ConfigError::Missing { element: label(), part: name })
    };
    let count = required("max-count")?.text();
    let max_count = number("max-count", count, 0..=INT_MAX, "a number of values")?;
    let size = required("max-size")?.text();
    let max_size = number("max-size", size, 0..=INT_MAX, "a number of bytes")?;
    let (model, policy) = (required("data-model")?.text(), required("access-control")?.text());
    let mut multiple = 0;
    let expected = "a number above 0";
    set(element, "max-node-multiple", 1..=INT_MAX, expected, &mut multiple)?;
    let multiple = (multiple != 0).then_some(multiple);
    // What is registered wins over what the document says (RFC 6940 §11.1), which is why the
    // RFC's own example of a SIP-REGISTRATION with a single value does no harm.
    if let Some(mut kind) = KindDefinition::registered(id, max_count, max_size) {
        kind.max_node_multiple = kind.max_node_multiple.map(|default| multiple.unwrap_or(default));
        return Ok(kind);
    }
    let (data_model, access_control) = (DataModel::parse(model)?, AccessControl::parse(policy)?);
    let max_node_multiple = match access_control {
        AccessControl::NodeMultiple if multiple.is_none() => {
            return Err(ConfigError::Missing { element: label(), part: "max-node-multiple" });
        }
        AccessControl::NodeMultiple => multiple,
        _ => None,
    };
    Ok(KindDefinition { id, data_model, access_control, max_count, max_size, max_node_multiple })
}

fn kind_id(element: &Element) -> Result<u32, ConfigError> {
    match (element.attribute("name"), element.attribute("id")) {
        (Some(name), _) => KindDefinition::id_of(name)
            .ok_or_else(|| ConfigError::Unsupported { what: "Kind", value: excerpt(name) }),
        (None, Some(id)) => {
            number("the id of kind", id, 1..=u32::MAX, "a number from 1 to 4294967295")
        }
        (None, None) => Err(missing("kind", "name or id")),
    }
}

/// Node-IDs in hexadecimal. One of a length that this overlay does not have, like those of the
/// RFC's example, can be in no certificate and is passed over.
fn node_ids(
    element: &Element,
    name: &'static str,
    length: usize,
) -> Result<Vec<NodeId>, ConfigError> {
    let mut ids = Vec::new();
    for child in element.many(name) {
        let bytes = hex::decode(child.text())
            .map_err(|_| value(name, child.text(), "a Node-ID in hexadecimal"))?;
        ids.extend(NodeId::new(&bytes).filter(|_| bytes.len() == length));
    }
    Ok(ids)
}

fn texts(element: &Element, name: &'static str) -> Vec<String> {
    element.many(name).map(|child| child.text().to_owned()).collect()
}

fn base64(name: &'static str, element: &Element) -> Result<Vec<u8>, ConfigError> {
    let text: String = element.text().split_ascii_whitespace().collect();
    STANDARD.decode(&text).map_err(|_| value(name, &text, "base64"))
}

fn set<T: FromStr + PartialOrd>(
    element: &Element,
    name: &'static str,
    range: RangeInclusive<T>,
    expected: &'static str,
    field: &mut T,
) -> Result<(), ConfigError> {
    if let Some(child) = element.one(name)? {
        *field = number(name, child.text(), range, expected)?;
    }
    Ok(())
}

fn set_bool(element: &Element, name: &'static str, field: &mut bool) -> Result<(), ConfigError> {
    if let Some(child) = element.one(name)? {
        *field = boolean(name, child.text())?;
    }
    Ok(())
}

fn boolean(name: &'static str, text: &str) -> Result<bool, ConfigError> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(value(name, other, "\"true\" or \"false\"")),
    }
}

fn number<T: FromStr + PartialOrd>(
    name: &'static str,
    text: &str,
    range: RangeInclusive<T>,
    expected: &'static str,
) -> Result<T, ConfigError> {
    text.parse().ok().filter(|n| range.contains(n)).ok_or_else(|| value(name, text, expected))
}

fn value(element: &'static str, found: impl Display, expected: &'static str) -> ConfigError {
    ConfigError::Value { element, found: excerpt(&found.to_string()), expected }
}

fn missing(element: &str, part: &'static str) -> ConfigError {
    ConfigError::Missing { element: element.to_owned(), part }
}

/// The largest value of the grammar's `xsd:int`.
const INT_MAX: u32 = i32::MAX as u32;
