//! From a configuration to XML.

use std::fmt::{Display, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;

use super::{
    ChordConfig, Digest, KindDefinition, NAMESPACE_BASE, NAMESPACE_CHORD, OverlayConfig,
    PORT_DEFAULT, time,
};

/// The whole document.
pub(super) fn document(config: &OverlayConfig) -> String {
    let mut xml = Xml::default();
    xml.line(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    xml.line(&format!(r#"<overlay xmlns="{NAMESPACE_BASE}" xmlns:chord="{NAMESPACE_CHORD}">"#));
    xml.depth += 1;
    configuration(&mut xml, config);
    xml.depth -= 1;
    xml.line("</overlay>");
    xml.text
}

fn configuration(xml: &mut Xml, config: &OverlayConfig) {
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
    if !config.kinds.is_empty() {
        xml.line("<required-kinds>");
        xml.depth += 1;
        config.kinds.iter().for_each(|definition| kind(xml, definition));
        xml.depth -= 1;
        xml.line("</required-kinds>");
    }
    xml.depth -= 1;
    xml.line("</configuration>");
}

fn trust(xml: &mut Xml, config: &OverlayConfig) {
    xml.element("topology-plugin", &config.topology_plugin);
    for certificate in &config.root_certs {
        xml.line("<root-cert>");
        let base64 = STANDARD.encode(certificate);
        base64.as_bytes().chunks(64).for_each(|line| xml.line(&String::from_utf8_lossy(line)));
        xml.line("</root-cert>");
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

fn kind(xml: &mut Xml, kind: &KindDefinition) {
    xml.line("<kind-block>");
    xml.depth += 1;
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
    xml.depth -= 1;
    xml.line("</kind>");
    xml.depth -= 1;
    xml.line("</kind-block>");
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

    fn unless<T: Display + PartialEq>(&mut self, name: &str, value: T, default: T) {
        if value != default {
            self.element(name, value);
        }
    }
}
