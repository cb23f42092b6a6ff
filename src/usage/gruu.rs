//! Addresses of devices: GRUUs (RFC 7904 §6) and `reload:` URIs (RFC 6940 §14.15).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use thiserror::Error;

use super::aor::{Aor, AorError, parse_aor};
use super::limits;
use crate::base::{NodeId, Reader, Writer};
use crate::message::Destination;

/// A name with the destination list of one of its devices, so that no look-up is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gruu {
    /// Whose device it is.
    pub aor: Aor,
    /// How to reach the device; never empty.
    pub destinations: Vec<Destination>,
}

impl Gruu {
    /// The GRUU of a node.
    pub fn of_node(aor: Aor, node_id: NodeId) -> Self {
        Self { aor, destinations: vec![node_id.into()] }
    }

    /// Reads a GRUU with or without scheme; `Ok(None)` if there is no `gr` parameter.
    ///
    /// # Errors
    ///
    /// The name is none, or the parameter is no destination list of an overlay whose Node-IDs
    /// have `node_id_length` bytes.
    pub fn parse(text: &str, node_id_length: usize) -> Result<Option<Self>, GruuError> {
        let Some((before, gr)) = gr_parameter(text) else { return Ok(None) };
        // The form without scheme has escapes too.
        let uri = if before.contains(':') { before.to_owned() } else { format!("sip:{before}") };
        let aor = parse_aor(&uri, "").map_err(GruuError::Aor)?;
        let bytes = STANDARD_NO_PAD
            .decode(gr.trim_end_matches('~'))
            .map_err(|_| GruuError::NoDestinations)?;
        let reader = Reader::with_node_id_length(&bytes, node_id_length);
        let destinations =
            reader.list::<Destination>(&bytes).map_err(|_| GruuError::NoDestinations)?;
        if !(1..=limits::DESTINATIONS_MAX).contains(&destinations.len()) {
            return Err(GruuError::NoDestinations);
        }
        Ok(Some(Self { aor, destinations }))
    }

    /// The `gr` parameter's value: the destination list in base64, with `~` for `=`.
    pub fn gr(&self) -> String {
        base64::engine::general_purpose::STANDARD
            .encode(list_bytes(&self.destinations))
            .replace('=', "~")
    }
}

/// Without scheme, as registrations hold it (T-86), and with the escapes of a URI.
impl fmt::Display for Gruu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.aor.to_sip_uri();
        let address = uri.strip_prefix("sip:").unwrap_or(&uri);
        write!(f, "{address};gr={}", self.gr())
    }
}

/// The `reload:` URI of a destination list in an overlay: the form that certificates carry
/// (RFC 6940 §14.15, T-24).
pub fn reload_uri(destinations: &[Destination], overlay: &str) -> String {
    format!("reload://{}@{overlay}/", hex::encode(list_bytes(destinations)))
}

/// Why something is no GRUU.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GruuError {
    /// What stands before the parameter is no name.
    #[error(transparent)]
    Aor(AorError),
    /// What stands in the parameter is no destination list.
    #[error("the gr parameter of the address is no destination list")]
    NoDestinations,
}

/// Whether there is a `gr` parameter, which a name has none of.
pub(super) fn has_gr(text: &str) -> bool {
    gr_parameter(text).is_some()
}

/// What stands before the parameters, and the value of `gr` among them.
fn gr_parameter(text: &str) -> Option<(&str, &str)> {
    let at = text.find('@')?;
    let (before, parameters) = text.split_at(at + text[at..].find(';')?);
    let parameters = parameters.split('?').next()?;
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("gr").then_some((before, value.trim()))
    })
}

fn list_bytes(destinations: &[Destination]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(destinations);
    // Only an opaque identifier of more than 254 bytes cannot be written; it names nobody.
    writer.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        "00112233445566778899aabbccddeeff".parse().expect("16 bytes")
    }

    fn alice() -> Aor {
        parse_aor("alice", "dht.example.com").expect("a name")
    }

    /// R7904-6-01: the vectors of the gr value and of the reload URI.
    #[test]
    fn device_addresses_match_the_vectors() {
        let gruu = Gruu::of_node(alice(), node());
        assert_eq!(gruu.gr(), "ARAAESIzRFVmd4iZqrvM3e7/");
        assert_eq!(gruu.to_string(), "alice@dht.example.com;gr=ARAAESIzRFVmd4iZqrvM3e7/");
        assert_eq!(
            reload_uri(&gruu.destinations, "dht.example.com"),
            "reload://011000112233445566778899aabbccddeeff@dht.example.com/"
        );
        for text in [gruu.to_string(), format!("sip:{gruu};x=y?z")] {
            assert_eq!(Gruu::parse(&text, 16), Ok(Some(gruu.clone())));
        }
        let two =
            Gruu { destinations: vec![Destination::Opaque(vec![0x81, 1]), node().into()], ..gruu };
        assert!(two.gr().ends_with('~'));
        assert_eq!(Gruu::parse(&two.to_string(), 16), Ok(Some(two)));
    }

    /// R7904-6-03: an address that leads through a peer which has compressed the rest of the way
    /// does not show whose node is at its end, in no form, and can be called as it stands; one
    /// with another Node-ID of the user shows that one alone.
    #[test]
    fn an_anonymous_address_shows_no_node_id_of_its_user() {
        let compressing = NodeId::from_u128(7);
        let hidden = vec![compressing.into(), Destination::Opaque(vec![0x81, 0x2a])];
        let other = vec![Destination::from(NodeId::from_u128(8))];
        for destinations in [hidden, other] {
            let aor = Aor { user: "anonymous".into(), domain: "dht.example.com".into() };
            let gruu = Gruu { aor, destinations: destinations.clone() };
            let bytes = list_bytes(&gruu.destinations);
            let shows = |id: NodeId| bytes.windows(16).any(|part| part == id.as_bytes());
            assert!(!shows(node()) && !gruu.to_string().contains(&node().to_string()));
            assert!(!gruu.to_string().contains("alice"));
            let read = Gruu::parse(&format!("sip:{gruu}"), 16).expect("good").expect("a GRUU");
            assert_eq!(read.destinations, destinations);
            assert_eq!(read.gr(), gruu.gr());
        }
    }

    /// R7904-6-01: whatever the user part has, the address names the same device when it is read.
    #[test]
    fn a_user_part_is_escaped() {
        for user in ["a b", "a@b", "a%b", "a:b", "zo\u{eb}", "a;gr=x"] {
            let aor = Aor { user: user.into(), domain: "example.com".into() };
            let gruu = Gruu::of_node(aor, node());
            let text = gruu.to_string();
            assert_eq!(Gruu::parse(&text, 16), Ok(Some(gruu.clone())), "{text}");
            assert_eq!(Gruu::parse(&format!("sip:{text}"), 16), Ok(Some(gruu)), "{text}");
        }
    }

    /// The example of RFC 7904 §6 is base64, but of no destination list.
    #[test]
    fn what_leads_nowhere_is_no_gruu() {
        let example = "alice@example.com;gr=MDEyMzQ1Njc4OTAxMjM0NTY3ODk~";
        let bytes = STANDARD_NO_PAD.decode("MDEyMzQ1Njc4OTAxMjM0NTY3ODk").expect("base64");
        assert_eq!(bytes, b"01234567890123456789");
        assert_eq!(Gruu::parse(example, 16), Err(GruuError::NoDestinations));
        assert_eq!(Gruu::parse("alice@example.com;gr=", 16), Err(GruuError::NoDestinations));
        assert_eq!(Gruu::parse("alice@example.com;gr=%%", 16), Err(GruuError::NoDestinations));
        assert_eq!(Gruu::parse("alice@example.com;transport=udp", 16), Ok(None));
        assert_eq!(Gruu::parse("alice@example.com", 16), Ok(None));
    }
}
