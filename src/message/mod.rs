//! Messages: forwarding header, destinations, contents, security block and fragments
//! (RFC 6940 §6.3–6.7), and the bodies of each method in a file of its own.

mod attach;
mod config_update;
mod contents;
mod destination;
mod error;
mod fetch;
mod find;
mod fragment;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod header;
mod membership;
mod packet;
mod ping;
mod probe;
mod route_query;
mod security;
mod stat;
mod store;
mod stored_data;
mod update;
mod view;

#[cfg(test)]
mod tests;

pub use crate::crypto::{GenericCertificate, SecurityBlock};
pub use attach::{
    APPLICATION_SIP, APPLICATION_SIPS, AppAttach, Attach, CandidateType, IceCandidate,
    OVERLAY_LINK_DTLS_UDP_SR, OVERLAY_LINK_DTLS_UDP_SR_NO_ICE, OVERLAY_LINK_TLS_TCP_FH_NO_ICE,
    ROLE_ACTIVE, ROLE_PASSIVE, decode_address, encode_address,
};
pub use config_update::ConfigUpdateReq;
pub use contents::{MessageCode, MessageContents, MessageExtension, Method};
pub use destination::{Destination, DestinationView, ListView};
pub use error::{ErrorCode, ErrorResponse};
pub use fetch::{FetchAns, FetchReq, Places, StoredDataSpecifier};
pub use find::{FindAns, FindKindData, FindReq};
pub use fragment::{Reassembly, header_length_declared, split};
pub use header::{ForwardingHeader, ForwardingOption, Fragment, HeaderError, overlay_hash};
pub use membership::{ChordLeave, JoinAns, JoinReq, LeaveReq};
pub use packet::{Opened, Packet, decode_body};
pub use ping::{PingAns, PingReq};
pub use probe::{ProbeAns, ProbeInformation, ProbeInformationType, ProbeReq};
pub use route_query::{ChordRouteQueryAns, RouteQueryReq};
pub use security::signature_input;
pub use stat::{Metadata, MetadataValue, StatAns, StatKindResponse, StoredMetadata};
pub use store::{StoreAns, StoreKindResponse, StoreReq};
pub use stored_data::{DataModel, DataValue, KindData, KindId, StoredData, StoredDataValue};
pub use update::{ChordUpdate, ChordUpdateContents};
pub use view::{HeaderView, OptionView};
