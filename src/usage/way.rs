//! Where a name leads: into one of the overlays that we are in, or elsewhere (RFC 7904 §4.1).

use std::sync::Arc;

use thiserror::Error;

use super::aor::{Aor, AorError, parse_aor};
use super::gruu::{Gruu, GruuError, has_gr};
use crate::config::SignedConfig;

/// The overlays that we are in. They are told apart by their index here.
#[derive(Clone, Debug, Default)]
pub struct Overlays {
    documents: Vec<Arc<SignedConfig>>,
}

/// Where a name leads. An overlay is given by its index in [`Overlays`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Straight to a device, without a look-up (RFC 7904 §6).
    Device(usize, Gruu),
    /// To whoever is registered under the name (RFC 7904 §4.2).
    LookUp(usize, Aor),
    /// Into none of our overlays.
    Elsewhere(String),
}

impl Overlays {
    /// The overlays of these documents. Names without a domain are of the first one.
    pub fn new(documents: Vec<Arc<SignedConfig>>) -> Self {
        Self { documents }
    }

    /// Where a name leads that somebody has typed or registered.
    ///
    /// # Errors
    /// It is no name.
    pub fn way(&self, text: &str) -> Result<Way, WayError> {
        let default = self.documents.first().ok_or(WayError::NoOverlay)?;
        let aor = parse_aor(text, default.config.instance_name.as_str())?;
        let Some(overlay) = self.serving(&aor.domain) else {
            return Ok(Way::Elsewhere(text.trim().to_owned()));
        };
        if !has_gr(text) {
            return Ok(Way::LookUp(overlay, aor));
        }
        let node_id_length = self.documents[overlay].config.node_id_length;
        match Gruu::parse(text, node_id_length)? {
            Some(gruu) => Ok(Way::Device(overlay, gruu)),
            None => Ok(Way::LookUp(overlay, aor)),
        }
    }

    /// The overlay in which names of this domain are looked up: the one of that name, else the
    /// first whose document has the domain.
    fn serving(&self, domain: &str) -> Option<usize> {
        let mut documents = self.documents.iter();
        let named = documents.position(|d| d.config.instance_name.matches(domain));
        let serves = || self.documents.iter().position(|d| d.config.serves_domain(domain));
        named.or_else(serves)
    }
}

/// Why something leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WayError {
    /// We are in no overlay.
    #[error("no overlay is joined")]
    NoOverlay,
    /// It is no name.
    #[error(transparent)]
    Aor(#[from] AorError),
    /// It looks like a device's address and is none.
    #[error(transparent)]
    Gruu(#[from] GruuError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::NodeId;
    use crate::config::{DomainPattern, DomainRestrictions, OverlayConfig};

    fn overlays() -> Overlays {
        let config = |name| OverlayConfig::self_signed(name).expect("a name");
        let pattern = DomainPattern::new(r"(.*\.)?corp\.example").expect("a pattern");
        let restrictions = DomainRestrictions { enable: true, patterns: vec![pattern] };
        let two =
            OverlayConfig { domain_restrictions: Some(restrictions), ..config("two.example") };
        let three = config("sales.corp.example");
        let documents = [config("one.example"), two, three]
            .map(|config| Arc::new(SignedConfig::unsigned(&config).expect("a document")));
        Overlays::new(documents.to_vec())
    }

    /// R7904-4.1-01: a device's address goes straight, a name into the overlay that has its
    /// domain, a name alone into the default overlay, anything else leads out; with several
    /// overlays as with one.
    #[test]
    fn names_lead_into_the_overlay_of_their_domain() {
        let overlays = overlays();
        let aor = |text| parse_aor(text, "").expect("a name");
        let gruu = Gruu::of_node(aor("bob@two.example"), NodeId::from_u128(7));
        for (text, way) in [
            ("bob", Way::LookUp(0, aor("bob@one.example"))),
            ("bob@one.example", Way::LookUp(0, aor("bob@one.example"))),
            ("sips:bob@TWO.example;x=y", Way::LookUp(1, aor("bob@two.example"))),
            ("bob@corp.example", Way::LookUp(1, aor("bob@corp.example"))),
            ("bob@a.corp.example", Way::LookUp(1, aor("bob@a.corp.example"))),
            ("bob@sales.corp.example", Way::LookUp(2, aor("bob@sales.corp.example"))),
            (&gruu.to_string(), Way::Device(1, gruu.clone())),
            (&format!("sip:{gruu}"), Way::Device(1, gruu.clone())),
            ("bob@elsewhere.example", Way::Elsewhere("bob@elsewhere.example".into())),
            ("b@x.example;gr=AAAA", Way::Elsewhere("b@x.example;gr=AAAA".into())),
        ] {
            assert_eq!(overlays.way(text), Ok(way), "{text}");
        }
        let damaged = overlays.way("bob@one.example;gr=AAAA");
        assert_eq!(damaged, Err(WayError::Gruu(GruuError::NoDestinations)));
        assert_eq!(overlays.way("@one.example"), Err(WayError::Aor(AorError::NoUser)));
        assert_eq!(Overlays::default().way("bob"), Err(WayError::NoOverlay));
    }
}
