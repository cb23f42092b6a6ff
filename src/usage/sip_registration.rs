//! SIP-REGISTRATION: where a user can be reached (RFC 7904 §3, §7).

use bytes::Bytes;

use super::aor::Aor;
use super::{Publication, limits};
use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, Writer};
use crate::crypto::Certificate;
use crate::message::{DataValue, Destination, KindId, StoredDataValue};

/// One registration of a user (RFC 7904 §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SipRegistration {
    /// Ask for another name instead: without scheme if it is an AoR or a GRUU (T-86).
    Uri(String),
    /// Connect to this node.
    Route {
        /// Capabilities as a predicate of RFC 2533; empty if nothing is said (T-90).
        contact_prefs: Vec<u8>,
        /// How to get there; one Node-ID as a rule.
        destinations: Vec<Destination>,
    },
    /// A type that we do not know.
    Unknown {
        /// The type.
        registration_type: u8,
        /// Its data.
        data: Vec<u8>,
    },
}

impl Encode for SipRegistration {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Uri(uri) => {
                writer.u8(TYPE_URI);
                writer.vec16(|w| w.vec16(|w| w.bytes(uri.as_bytes())));
            }
            Self::Route { contact_prefs, destinations } => {
                writer.u8(TYPE_ROUTE);
                writer.vec16(|w| {
                    w.vec16(|w| w.bytes(contact_prefs));
                    w.vec16(|w| w.list(destinations));
                });
            }
            Self::Unknown { registration_type, data } => {
                writer.u8(*registration_type);
                writer.vec16(|w| w.bytes(data));
            }
        }
    }
}

impl Decode for SipRegistration {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let registration_type = reader.u8()?;
        let data = reader.opaque16()?;
        let mut data = reader.nested(data);
        let registration = match registration_type {
            TYPE_URI => {
                let uri = std::str::from_utf8(data.opaque16()?);
                Self::Uri(uri.map_err(|_| DecodeError::Invalid("uri"))?.to_owned())
            }
            TYPE_ROUTE => {
                let contact_prefs = data.opaque16()?.to_vec();
                let list = data.opaque16()?;
                let destinations: Vec<_> = data.list(list)?;
                if destinations.is_empty() {
                    return Err(DecodeError::Invalid("destination_list"));
                }
                Self::Route { contact_prefs, destinations }
            }
            registration_type => {
                return Ok(Self::Unknown { registration_type, data: data.rest().to_vec() });
            }
        };
        data.end("registration")?;
        Ok(registration)
    }
}

/// Our own registration: whoever looks for `aor` is to connect to `node_id`. It says nothing
/// else, for everybody can read it (RFC 7904 §8.2.4).
pub fn registration(aor: &Aor, node_id: NodeId) -> Publication {
    let (contact_prefs, destinations) = (Vec::new(), vec![node_id.into()]);
    publication(aor, node_id, &SipRegistration::Route { contact_prefs, destinations })
}

/// What `node_id` stores for whoever looks for `aor`, under its own key.
pub fn publication(aor: &Aor, node_id: NodeId, registration: &SipRegistration) -> Publication {
    // One destination or name is far from any limit.
    let bytes = registration.to_bytes().unwrap_or_default();
    let key = Bytes::copy_from_slice(node_id.as_bytes());
    Publication {
        resource: aor.resource(),
        kind: KindId::SIP_REGISTRATION,
        value: StoredDataValue::Dictionary { key, value: DataValue::existing(bytes) },
    }
}

/// One way to reach a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The device that registered it.
    pub device: NodeId,
    /// Where to go.
    pub route: Route,
}

/// Where a contact leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// To a node, with the user's preferences.
    Destinations {
        /// The destination list; never empty.
        destinations: Vec<Destination>,
        /// As in [`SipRegistration::Route`].
        contact_prefs: Vec<u8>,
    },
    /// To another name.
    Uri(String),
}

impl Contact {
    /// The node to connect to, if the route is no more than its Node-ID.
    pub fn node_id(&self) -> Option<NodeId> {
        match &self.route {
            Route::Destinations { destinations, .. } => match &destinations[..] {
                [only] => only.node(),
                _ => None,
            },
            Route::Uri(_) => None,
        }
    }
}

/// The contacts among the values found at a user's resource, in their order: those that the user
/// signed, each with the node at whose key it stands, and that we can read. Equal routes are
/// given once (RFC 7904 §4.2).
pub fn contacts<'a>(
    aor: &Aor,
    values: impl IntoIterator<Item = (&'a StoredDataValue, &'a Certificate, NodeId)>,
) -> Vec<Contact> {
    let user_name = aor.to_string();
    let mut contacts: Vec<Contact> = Vec::new();
    for (value, signer, signer_node_id) in values {
        let StoredDataValue::Dictionary { key, value } = value else { continue };
        let is_owners = key[..] == *signer_node_id.as_bytes() && signer.user_name == user_name;
        if !is_owners || !value.exists {
            continue;
        }
        let length = signer_node_id.as_bytes().len();
        let reader = Reader::with_node_id_length(&value.value, length);
        let Some(route) = SipRegistration::read_all(reader).ok().and_then(route) else { continue };
        if contacts.iter().all(|known| known.route != route) {
            contacts.push(Contact { device: signer_node_id, route });
        }
    }
    contacts
}

fn route(registration: SipRegistration) -> Option<Route> {
    match registration {
        SipRegistration::Uri(uri) => Some(Route::Uri(uri)),
        SipRegistration::Route { contact_prefs, destinations } => (destinations.len()
            <= limits::DESTINATIONS_MAX)
            .then_some(Route::Destinations { destinations, contact_prefs }),
        SipRegistration::Unknown { .. } => None,
    }
}

const TYPE_URI: u8 = 1;
const TYPE_ROUTE: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Keys, NodeIdDigest, Provider, X509Provider};
    use crate::usage::parse_aor;

    fn node() -> NodeId {
        "00112233445566778899aabbccddeeff".parse().expect("16 bytes")
    }

    fn encoded(registration: &SipRegistration) -> String {
        hex::encode(registration.to_bytes().expect("short"))
    }

    /// R7904-3.2-01: both types by the byte, and a type of the future survives.
    #[test]
    fn registrations_have_the_printed_layout() {
        let route =
            SipRegistration::Route { contact_prefs: Vec::new(), destinations: vec![node().into()] };
        assert_eq!(encoded(&route), "02001600000012011000112233445566778899aabbccddeeff");
        let uri = SipRegistration::Uri("bob@example.org".into());
        assert_eq!(encoded(&uri), "010011000f626f62406578616d706c652e6f7267");
        let unknown = SipRegistration::Unknown { registration_type: 9, data: vec![1, 2, 3] };
        assert_eq!(encoded(&unknown), "090003010203");
        for registration in [route, uri, unknown] {
            let bytes = registration.to_bytes().expect("short");
            assert_eq!(SipRegistration::from_bytes(&bytes), Ok(registration));
            assert!(SipRegistration::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        }
        assert!(SipRegistration::from_bytes(&[2, 0, 4, 0, 0, 0, 0]).is_err(), "leads nowhere");
    }

    fn device(user: &str) -> Certificate {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        };
        let made = Keys::self_signed(&provider, user, 1_790_000_000_000, 30).expect("made");
        provider.certificate(&made.certificate_der).expect("accepted").as_ref().clone()
    }

    fn keyed(node_id: NodeId, registration: &SipRegistration) -> StoredDataValue {
        StoredDataValue::Dictionary {
            key: Bytes::copy_from_slice(node_id.as_bytes()),
            value: DataValue::existing(registration.to_bytes().expect("short")),
        }
    }

    /// R7904-3.2-02: each device's registration counts, a route may lead to
    /// another device, what is not the owner's or cannot be read does not count.
    #[test]
    fn contacts_are_what_the_owner_registered() {
        let aor = parse_aor("alice", "example.org").expect("a name");
        let [desk, cell] = [device("alice@example.org"), device("alice@example.org")];
        let bob = device("bob@example.org");
        let id = |certificate: &Certificate| certificate.node_ids[0];
        let route = |to: NodeId| SipRegistration::Route {
            contact_prefs: b"(sip.schemes=SIPS)".to_vec(),
            destinations: vec![to.into()],
        };
        let to_cell = keyed(id(&desk), &route(id(&cell)));
        let forward = keyed(id(&cell), &SipRegistration::Uri("sam@example.org".into()));
        let foreign = keyed(id(&bob), &route(id(&bob)));
        let misplaced = keyed(id(&desk), &route(node()));
        let unreadable =
            keyed(id(&desk), &SipRegistration::Unknown { registration_type: 7, data: vec![] });
        let found = contacts(
            &aor,
            [
                (&to_cell, &desk, id(&desk)),
                (&forward, &cell, id(&cell)),
                (&foreign, &bob, id(&bob)),
                (&misplaced, &cell, id(&cell)),
                (&unreadable, &desk, id(&desk)),
                (&to_cell, &desk, id(&desk)),
            ],
        );
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].device, found[0].node_id()), (id(&desk), Some(id(&cell))));
        assert_eq!(found[1].route, Route::Uri("sam@example.org".into()));
        let long = SipRegistration::Route {
            contact_prefs: Vec::new(),
            destinations: vec![node().into(); 200],
        };
        let long = keyed(id(&desk), &long);
        assert!(contacts(&aor, [(&long, &desk, id(&desk))]).is_empty());
    }

    /// R7904-8.2.4-01: what everybody can read says no more than it must.
    #[test]
    fn our_registration_is_our_contact() {
        let aor = parse_aor("alice", "example.org").expect("a name");
        let ours = device("alice@example.org");
        let publication = registration(&aor, ours.node_ids[0]);
        let bytes = &publication.value.data().value;
        let Ok(SipRegistration::Route { contact_prefs, .. }) = SipRegistration::from_bytes(bytes)
        else {
            panic!("{bytes:?}");
        };
        assert!(contact_prefs.is_empty());
        assert_eq!(publication.resource, aor.resource());
        let found = contacts(&aor, [(&publication.value, &ours, ours.node_ids[0])]);
        assert_eq!(found[0].node_id(), Some(ours.node_ids[0]));
    }
}
