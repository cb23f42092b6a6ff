//! Which Kinds a peer stores, how their values are arranged and who may write them
//! (RFC 6940 §7.2, §7.3, §7.4.5).

use std::sync::Arc;

use thiserror::Error;

use super::name::resource_id;
use super::place::Place;
use crate::base::{NodeId, ResourceId};
use crate::config::{
    self, DomainRestrictions, KindDefinition, OverlayConfig, OverlayName, SignedConfig,
};
use crate::crypto::{Certificate, Provider};
use crate::message::{DataModel, KindId};

/// What a peer has to know of a Kind to store its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The Kind-ID.
    pub id: KindId,
    /// How values are arranged.
    pub data_model: DataModel,
    /// Who may write.
    pub access: AccessControl,
    /// How many values that exist a resource may hold.
    pub max_count: u32,
    /// How many bytes a value may have.
    pub max_size: u32,
}

/// Who may write a value (RFC 6940 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessControl {
    /// The user whose name hashes to the Resource-ID (§7.3.1).
    UserMatch,
    /// The node whose Node-ID hashes to the Resource-ID (§7.3.2).
    NodeMatch,
    /// The user whose name hashes to the Resource-ID, at the key that is the signing Node-ID
    /// (§7.3.3).
    UserNodeMatch,
    /// The node whose Node-ID and a number from 1 to `max` hash to the Resource-ID (§7.3.4).
    NodeMultiple {
        /// The highest number.
        max: u8,
    },
}

impl AccessControl {
    /// Whether `node_id` of `certificate` may write at `place` of `resource`.
    pub(super) fn permits(
        self,
        resource: &ResourceId,
        place: &Place,
        certificate: &Certificate,
        node_id: NodeId,
    ) -> bool {
        let user_matches = || resource_id(certificate.user_name.as_bytes()) == *resource;
        match self {
            Self::UserMatch => user_matches(),
            Self::NodeMatch => resource_id(node_id.as_bytes()) == *resource,
            Self::UserNodeMatch => {
                matches!(place, Place::Key(key) if key[..] == *node_id.as_bytes()) && user_matches()
            }
            Self::NodeMultiple { max } => (1..=max).any(|i| multiple_matches(resource, node_id, i)),
        }
    }
}

/// Both readings of the number's width: we write one byte and accept four as well (T-68).
fn multiple_matches(resource: &ResourceId, node_id: NodeId, i: u8) -> bool {
    let hash = |number: &[u8]| resource_id(&[node_id.as_bytes(), number].concat());
    hash(&[i]) == *resource || hash(&u32::from(i).to_be_bytes()) == *resource
}

impl From<&KindDefinition> for Kind {
    fn from(definition: &KindDefinition) -> Self {
        let max = definition.max_node_multiple.unwrap_or(0);
        Self {
            id: KindId(definition.id),
            data_model: match definition.data_model {
                config::DataModel::Single => DataModel::Single,
                config::DataModel::Array => DataModel::Array,
                config::DataModel::Dictionary => DataModel::Dictionary,
            },
            access: match definition.access_control {
                config::AccessControl::UserMatch => AccessControl::UserMatch,
                config::AccessControl::NodeMatch => AccessControl::NodeMatch,
                config::AccessControl::UserNodeMatch => AccessControl::UserNodeMatch,
                config::AccessControl::NodeMultiple => {
                    AccessControl::NodeMultiple { max: u8::try_from(max).unwrap_or(u8::MAX) }
                }
            },
            max_count: definition.max_count,
            max_size: definition.max_size,
        }
    }
}

/// The Kinds of an overlay, in the order of their Kind-IDs; clones share them.
#[derive(Clone, Debug, Default)]
pub struct KindTable {
    kinds: Arc<[Kind]>,
    /// Which names users may register; `None` for all.
    names: Option<Arc<Names>>,
}

/// The namespaces of an overlay (RFC 7904 §3.4).
#[derive(Debug)]
struct Names {
    overlay: OverlayName,
    restrictions: DomainRestrictions,
}

impl KindTable {
    /// A table of these Kinds.
    ///
    /// # Errors
    ///
    /// Fails if a Kind contradicts itself or comes twice.
    pub fn new(kinds: impl IntoIterator<Item = Kind>) -> Result<Self, KindError> {
        let mut table: Vec<Kind> = Vec::new();
        for kind in kinds {
            match (kind.access, kind.data_model) {
                (AccessControl::UserNodeMatch, DataModel::Single | DataModel::Array) => {
                    return Err(KindError::NotDictionary(kind.id.0));
                }
                (AccessControl::NodeMultiple { max: 0 }, _) => {
                    return Err(KindError::NoMultiple(kind.id.0));
                }
                _ => {}
            }
            match table.binary_search_by_key(&kind.id, |known| known.id) {
                Ok(_) => return Err(KindError::Twice(kind.id.0)),
                Err(at) => table.insert(at, kind),
            }
        }
        Ok(Self { kinds: table.into(), names: None })
    }

    /// SIP-REGISTRATION, TURN-SERVICE and the two certificate Kinds, with the limits of our own
    /// overlays.
    pub fn for_calls() -> Self {
        let kind = |id, data_model, access, max_count, max_size| Kind {
            id,
            data_model,
            access,
            max_count,
            max_size,
        };
        let kinds = Arc::from([
            kind(
                KindId::SIP_REGISTRATION,
                DataModel::Dictionary,
                AccessControl::UserNodeMatch,
                16,
                1024,
            ),
            kind(
                KindId::TURN_SERVICE,
                DataModel::Single,
                AccessControl::NodeMultiple { max: 20 },
                1,
                64,
            ),
            kind(KindId::CERTIFICATE_BY_NODE, DataModel::Array, AccessControl::NodeMatch, 4, 2048),
            kind(KindId::CERTIFICATE_BY_USER, DataModel::Array, AccessControl::UserMatch, 16, 2048),
        ]);
        Self { kinds, names: None }
    }

    /// The Kinds of a document that may be believed, or those of calls if it is silent (T-69).
    ///
    /// # Errors
    ///
    /// Fails if a Kind contradicts itself.
    pub fn of_document(
        document: &SignedConfig,
        provider: &dyn Provider,
    ) -> Result<Self, KindError> {
        let table = match document.config.kinds.is_empty() {
            true => Self::for_calls(),
            false => Self::new(document.accepted_kinds(provider).iter().map(Kind::from))?,
        };
        Ok(table.restricted(&document.config))
    }

    /// These Kinds and one more, or another definition of one.
    pub fn with(&self, kind: Kind) -> Self {
        let others = self.kinds.iter().filter(|known| known.id != kind.id);
        let mut table: Vec<Kind> = others.copied().chain([kind]).collect();
        table.sort_unstable_by_key(|kind| kind.id);
        Self { kinds: table.into(), names: self.names.clone() }
    }

    /// These Kinds, with registrations for those names only that a configuration admits.
    #[must_use]
    pub fn restricted(self, config: &OverlayConfig) -> Self {
        let names = config.domain_restrictions.clone().map(|restrictions| {
            Arc::new(Names { overlay: config.instance_name.clone(), restrictions })
        });
        Self { names, ..self }
    }

    /// What is known of a Kind.
    pub fn kind(&self, id: KindId) -> Option<&Kind> {
        self.kinds.binary_search_by_key(&id, |kind| kind.id).ok().map(|at| &self.kinds[at])
    }

    /// Whether `node_id` of `certificate` may write a value of `kind` at `place` of `resource`:
    /// by the Kind's policy and, for a registration, because the certificate's user name is an
    /// Address of Record that the overlay takes (RFC 7904 §3.3). A request does not say for which
    /// name it is, so this is all that there is to look at (T-85).
    pub(super) fn permits(
        &self,
        kind: &Kind,
        resource: &ResourceId,
        place: &Place,
        certificate: &Certificate,
        node_id: NodeId,
    ) -> bool {
        let admits = || kind.id != KindId::SIP_REGISTRATION || self.admits(&certificate.user_name);
        kind.access.permits(resource, place, certificate, node_id) && admits()
    }

    fn admits(&self, user_name: &str) -> bool {
        let Some((user, domain)) = user_name.rsplit_once('@') else { return false };
        let admits = |names: &Names| names.restrictions.admit(&names.overlay, domain);
        !user.is_empty()
            && OverlayName::new(domain).is_ok()
            && self.names.as_deref().is_none_or(admits)
    }
}

/// Why Kinds make no table.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KindError {
    /// USER-NODE-MATCH needs keys (RFC 6940 §7.3.3).
    #[error("Kind {0} has USER-NODE-MATCH but no dictionary")]
    NotDictionary(u32),
    /// NODE-MULTIPLE needs the highest number (RFC 6940 §7.3.4).
    #[error("Kind {0} has NODE-MULTIPLE without a maximum")]
    NoMultiple(u32),
    /// The same Kind-ID twice.
    #[error("Kind {0} is defined twice")]
    Twice(u32),
}
