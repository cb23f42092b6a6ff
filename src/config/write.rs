//! From a configuration to XML.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

use super::{
    ChordConfig, Digest, DomainRestrictions, KindDefinition, NAMESPACE_BASE, NAMESPACE_CHORD,
    NAMESPACE_SIP, OverlayConfig, PORT_DEFAULT, kind_id, time,
};

/// Signs an element's bytes; the content of its signature element.
pub(super) type Sign<'a> = &'a dyn Fn(&str) -> String;

/// The whole document. What there is no signer for stays unsigned.
pub(super) fn document(
    config: &OverlayConfig,
    sign: Option<Sign<'_>>,
    sign_kind: Option<Sign<'_>>,
) -> String {
    let mut xml = Xml::default();
    xml.line(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    xml.line(&format!(r#"<overlay xmlns="{NAMESPACE_BASE}" xmlns:chord="{NAMESPACE_CHORD}">"#));
    xml.depth += 1;
    xml.signed("signature", sign, |xml| configuration(xml, config, sign_kind));
    xml.depth -= 1;
    xml.line("</overlay>");
    xml.text
}

fn configuration(xml: &mut Xml, config: &OverlayConfig, sign_kind: Option<Sign<'_>>) {
    let mut attributes = format!(
        r#"instance-name="{}" sequence="{}""#,
        escape(config.instance_name.as_str()),
        config.sequence
    );
    if let Some(expiration) = config.expiration_unix_ms {
        // Writing to a String cannot fail.
        let _ = write!(attributes, r#" expiration="{}""#, time::write(expiration));
    }
    xml.line(&format!("<configuration {attributes}>"));
    xml.depth += 1;
    let default = OverlayConfig::with_defaults(config.instance_name.clone());
    trust(xml, config);
    network(xml, config, &default);
    signers(xml, config);
    let (inside, outside) = match config.kind(kind_id::SIP_REGISTRATION) {
        Some(_) => (config.domain_restrictions.as_ref(), None),
        None => (None, config.domain_restrictions.as_ref()),
    };
    if let Some(restrictions) = outside {
        domain_restrictions(xml, restrictions);
    }
    if !config.kinds.is_empty() {
        xml.line("<required-kinds>");
        xml.depth += 1;
        for definition in &config.kinds {
            xml.line("<kind-block>");
            xml.depth += 1;
            xml.signed("kind-signature", sign_kind, |xml| kind(xml, definition, inside));
            xml.depth -= 1;
            xml.line("</kind-block>");
        }
        xml.depth -= 1;
        xml.line("</required-kinds>");
    }
    xml.depth -= 1;
    xml.line("</configuration>");
}

fn trust(xml: &mut Xml, config: &OverlayConfig) {
    xml.element("topology-plugin", &config.topology_plugin);
    for certificate in &config.root_certs {
        xml.base64("root-cert", &STANDARD.encode(certificate));
    }
    config.enrollment_servers.iter().for_each(|url| xml.element("enrollment-server", url));
    if let Some(digest) = config.self_signed_permitted {
        let digest = match digest {
            Digest::Sha1 => "sha1",
            Digest::Sha256 => "sha256",
        };
        xml.line(&format!(
            r#"<self-signed-permitted digest="{digest}">true</self-signed-permitted>"#
        ));
    }
}

fn network(xml: &mut Xml, config: &OverlayConfig, default: &OverlayConfig) {
    for node in &config.bootstrap_nodes {
        let address = node.address.to_string();
        let port = match node.port {
            PORT_DEFAULT => String::new(),
            port => format!(r#" port="{port}""#),
        };
        xml.line(&format!(r#"<bootstrap-node address="{}"{port}/>"#, escape(&address)));
    }
    xml.unless("node-id-length", config.node_id_length, default.node_id_length);
    xml.unless("turn-density", config.turn_density, default.turn_density);
    xml.unless("clients-permitted", config.clients_permitted, default.clients_permitted);
    xml.unless("no-ice", config.no_ice, default.no_ice);
    let ChordConfig { update_interval_s, ping_interval_s, reactive } = config.chord;
    let chord = default.chord;
    xml.unless("chord:chord-update-interval", update_interval_s, chord.update_interval_s);
    xml.unless("chord:chord-ping-interval", ping_interval_s, chord.ping_interval_s);
    xml.unless("chord:chord-reactive", reactive, chord.reactive);
    if let Some(secret) = &config.shared_secret {
        xml.element("shared-secret", secret.reveal());
    }
    xml.unless("max-message-size", config.max_message_size, default.max_message_size);
    xml.unless("initial-ttl", config.initial_ttl, default.initial_ttl);
    // The grammar has forgotten this element, so it stands here only where it is needed.
    xml.unless(
        "overlay-reliability-timer",
        config.overlay_reliability_timer_ms,
        default.overlay_reliability_timer_ms,
    );
    config.overlay_link_protocols.iter().for_each(|p| xml.element("overlay-link-protocol", p));
}

fn signers(xml: &mut Xml, config: &OverlayConfig) {
    config.configuration_signers.iter().for_each(|id| xml.element("configuration-signer", id));
    config.kind_signers.iter().for_each(|id| xml.element("kind-signer", id));
    config.bad_nodes.iter().for_each(|id| xml.element("bad-node", id));
    config.mandatory_extensions.iter().for_each(|name| xml.element("mandatory-extension", name));
}

fn kind(xml: &mut Xml, kind: &KindDefinition, restrictions: Option<&DomainRestrictions>) {
    match kind.name() {
        Some(name) => xml.line(&format!(r#"<kind name="{name}">"#)),
        None => xml.line(&format!(r#"<kind id="{}">"#, kind.id)),
    }
    xml.depth += 1;
    xml.element("data-model", kind.data_model.as_str());
    xml.element("access-control", kind.access_control.as_str());
    if let Some(multiple) = kind.max_node_multiple {
        xml.element("max-node-multiple", multiple);
    }
    xml.element("max-count", kind.max_count);
    xml.element("max-size", kind.max_size);
    if let (kind_id::SIP_REGISTRATION, Some(restrictions)) = (kind.id, restrictions) {
        domain_restrictions(xml, restrictions);
    }
    xml.depth -= 1;
    xml.line("</kind>");
}

/// In the form of the grammar of RFC 7904 §3.4, with the prefix declared where it is used: a Kind
/// travels alone (T-82, T-84).
fn domain_restrictions(xml: &mut Xml, restrictions: &DomainRestrictions) {
    let DomainRestrictions { enable, patterns } = restrictions;
    xml.line(&format!(r#"<sip:domain-restriction xmlns:sip="{NAMESPACE_SIP}" enable="{enable}">"#));
    xml.depth += 1;
    patterns.iter().for_each(|pattern| xml.element("sip:pattern", pattern.as_str()));
    xml.depth -= 1;
    xml.line("</sip:domain-restriction>");
}

#[derive(Default)]
struct Xml {
    text: String,
    depth: usize,
}

impl Xml {
    fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n("  ", self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn element(&mut self, name: &str, value: impl Display) {
        self.line(&format!("<{name}>{}</{name}>", escape(value.to_string())));
    }

    fn base64(&mut self, name: &str, base64: &str) {
        self.line(&format!("<{name}>"));
        base64.as_bytes().chunks(64).for_each(|line| self.line(&String::from_utf8_lossy(line)));
        self.line(&format!("</{name}>"));
    }

    /// An element, and behind it the signature over its bytes from the first `<` to the last `>`.
    fn signed(&mut self, name: &str, sign: Option<Sign<'_>>, element: impl FnOnce(&mut Self)) {
        let start = self.text.len();
        element(self);
        if let Some(sign) = sign {
            let signature = sign(self.text[start..].trim());
            self.base64(name, &signature);
        }
    }

    fn unless<T: Display + PartialEq>(&mut self, name: &str, value: T, default: T) {
        if value != default {
            self.element(name, value);
        }
    }
}
