//! Fuzz targets: registrations, relays, names and GRUUs. See [`crate::fuzz`].

use super::{Aor, Gruu, SipRegistration, TurnServer, certificate_store, parse_aor};
use crate::base::fuzz::round_trip;
use crate::message::{DataValue, StoredDataValue};

/// What somebody has stored under a name: a registration or a certificate.
pub fn stored(bytes: &[u8]) {
    round_trip::<SipRegistration>(bytes);
    round_trip::<TurnServer>(bytes);
    let value = DataValue::existing(bytes.to_vec());
    let _ = certificate_store::certificate_in(&StoredDataValue::Array { index: 0, value });
}

/// A name, as typed or found in a registration.
pub fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(aor) = Aor::of_user_name(text) {
        assert_eq!(aor.to_string(), text);
    }
    if let Ok(aor) = parse_aor(text, "example.org") {
        assert_eq!(parse_aor(&aor.to_sip_uri(), ""), Ok(aor.clone()));
        assert_eq!(Aor::of_user_name(&aor.to_string()), Some(aor));
    }
    if let Ok(Some(gruu)) = Gruu::parse(text, 16) {
        assert_eq!(Gruu::parse(&gruu.to_string(), 16), Ok(Some(gruu)));
    }
}
