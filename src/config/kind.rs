//! Kinds: what a document says about the data that nodes must store (RFC 6940 §7.4.1, §11.1).

use super::error::{ConfigError, excerpt};

/// The Kind-IDs of the registry that this program knows by name (RFC 6940 §14.6, RFC 7904 §9.1).
pub mod kind_id {
    /// Where a user can be reached (RFC 7904 §7).
    pub const SIP_REGISTRATION: u32 = 0x1;
    /// Where a TURN server is (RFC 6940 §9).
    pub const TURN_SERVICE: u32 = 0x2;
    /// Certificates found by Node-ID (RFC 6940 §8).
    pub const CERTIFICATE_BY_NODE: u32 = 0x3;
    /// Certificates found by user name (RFC 6940 §8).
    pub const CERTIFICATE_BY_USER: u32 = 0x10;
}

/// How the values of one Kind at one resource are arranged (RFC 6940 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DataModel {
    /// One value.
    Single,
    /// Values by index.
    Array,
    /// Values by key.
    Dictionary,
}

impl DataModel {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "SINGLE",
            Self::Array => "ARRAY",
            Self::Dictionary => "DICTIONARY",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let all = [Self::Single, Self::Array, Self::Dictionary];
        all.into_iter()
            .find(|model| model.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ConfigError::Unsupported { what: "data-model", value: excerpt(text) })
    }
}

/// Who may write a value (RFC 6940 §7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccessControl {
    /// The user whose name hashes to the Resource-ID.
    UserMatch,
    /// The node whose Node-ID hashes to the Resource-ID.
    NodeMatch,
    /// The user whose name hashes to the Resource-ID, under the key of its own Node-ID.
    UserNodeMatch,
    /// The node whose Node-ID with a small number hashes to the Resource-ID.
    NodeMultiple,
}

impl AccessControl {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::UserMatch => "USER-MATCH",
            Self::NodeMatch => "NODE-MATCH",
            Self::UserNodeMatch => "USER-NODE-MATCH",
            Self::NodeMultiple => "NODE-MULTIPLE",
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let all = [Self::UserMatch, Self::NodeMatch, Self::UserNodeMatch, Self::NodeMultiple];
        all.into_iter().find(|policy| policy.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            ConfigError::Unsupported { what: "access-control", value: excerpt(text) }
        })
    }
}

/// What the nodes of an overlay must support for one Kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindDefinition {
    /// The Kind-ID.
    pub id: u32,
    /// How values are arranged.
    pub data_model: DataModel,
    /// Who may write.
    pub access_control: AccessControl,
    /// How many values a resource may hold.
    pub max_count: u32,
    /// How many bytes a value may have.
    pub max_size: u32,
    /// For [`AccessControl::NodeMultiple`], how far the small number goes.
    pub max_node_multiple: Option<u32>,
}

impl KindDefinition {
    /// The definition of a registered Kind with an overlay's own limits, or `None` if `id` is
    /// not one of [`kind_id`].
    pub fn registered(id: u32, max_count: u32, max_size: u32) -> Option<Self> {
        let kind = REGISTRY.iter().find(|kind| kind.id == id)?;
        Some(Self {
            id,
            data_model: kind.data_model,
            access_control: kind.access_control,
            max_count,
            max_size,
            max_node_multiple: kind.max_node_multiple,
        })
    }

    /// The name under which the Kind is registered, if it is.
    pub fn name(&self) -> Option<&'static str> {
        REGISTRY.iter().find(|kind| kind.id == self.id).map(|kind| kind.name)
    }

    /// The registered Kind-ID of a name.
    pub fn id_of(name: &str) -> Option<u32> {
        REGISTRY.iter().find(|kind| kind.name == name).map(|kind| kind.id)
    }

    /// What an overlay needs so that its users can call each other, through relays if need be. A
    /// user has up to 16 devices; a registration holds a route and a few preferences, a certificate
    /// up to 2 KiB of DER.
    pub fn for_calls() -> Vec<Self> {
        [
            (kind_id::SIP_REGISTRATION, 16, 1024),
            (kind_id::TURN_SERVICE, 1, 64),
            (kind_id::CERTIFICATE_BY_NODE, 4, 2048),
            (kind_id::CERTIFICATE_BY_USER, 16, 2048),
        ]
        .into_iter()
        .filter_map(|(id, max_count, max_size)| Self::registered(id, max_count, max_size))
        .collect()
    }
}

struct Registered {
    id: u32,
    name: &'static str,
    data_model: DataModel,
    access_control: AccessControl,
    max_node_multiple: Option<u32>,
}

const REGISTRY: [Registered; 4] = [
    Registered {
        id: kind_id::SIP_REGISTRATION,
        name: "SIP-REGISTRATION",
        data_model: DataModel::Dictionary,
        access_control: AccessControl::UserNodeMatch,
        max_node_multiple: None,
    },
    Registered {
        id: kind_id::TURN_SERVICE,
        name: "TURN-SERVICE",
        data_model: DataModel::Single,
        access_control: AccessControl::NodeMultiple,
        max_node_multiple: Some(20),
    },
    Registered {
        id: kind_id::CERTIFICATE_BY_NODE,
        name: "CERTIFICATE_BY_NODE",
        data_model: DataModel::Array,
        access_control: AccessControl::NodeMatch,
        max_node_multiple: None,
    },
    Registered {
        id: kind_id::CERTIFICATE_BY_USER,
        name: "CERTIFICATE_BY_USER",
        data_model: DataModel::Array,
        access_control: AccessControl::UserMatch,
        max_node_multiple: None,
    },
];
