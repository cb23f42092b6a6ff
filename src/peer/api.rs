//! The two seams of a peer: the Overlay Link Service Boundary below, the Messaging Service
//! Boundary above (RFC 6940 §1.2).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use crate::base::{NodeId, ResourceId};
use crate::config::{ConfigError, SignedConfig};
use crate::crypto::Certificate;
use crate::message::{
    Destination, ErrorCode, FindKindData, FindReq, IceCandidate, KindId, Places, ProbeInformation,
    ProbeInformationType, RouteQueryReq, StoredDataValue, StoredMetadata,
};
use crate::usage::Lender;

/// Names one link. Links that the peer opens have even numbers; the driver gives odd ones to
/// links that others open to our bootstrap listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// Names one command, so that its answer can be told from others. The driver chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What can happen to a peer.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The deadline has come.
    Timeout,
    /// Something happened on a link.
    Link(LinkId, LinkEvent<'a>),
    /// The user, or a usage above, wants something.
    Command(RequestId, Command),
}

/// What can happen on a link.
#[derive(Clone, Debug)]
pub enum LinkEvent<'a> {
    /// Our own candidates, after [`LinkAction::Gather`].
    Gathered(IceParameters),
    /// The link is up and the other side has proved this certificate, which the driver has had
    /// checked by the overlay's provider. An unknown link is one that the other side opened to
    /// our bootstrap listener.
    Up(Arc<Certificate>),
    /// A message, without framing.
    Message(&'a Bytes),
    /// A message that we sent and that the other side has not acknowledged, though it should
    /// have by now or never will: it comes when the link is suspect, and for everything that
    /// is unacknowledged before [`LinkEvent::Down`]. Each message is reported once at most. It
    /// may have arrived all the same.
    Undelivered(&'a Bytes),
    /// The other side acknowledges nothing (RFC 6940 §6.6.3.1, §6.6.5): nothing more is to be sent
    /// on the link unless [`Self::Restored`] follows. [`Self::Down`] does otherwise.
    Suspect,
    /// After [`Self::Suspect`] acknowledgements have come back.
    Restored,
    /// The link is gone or could not be made.
    Down(LinkError),
}

/// Why a link is gone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LinkError {
    /// No path was found between the candidates.
    #[error("no network path was found")]
    NoPath,
    /// The other side proved another certificate than the one expected.
    #[error("the other side's certificate is not the expected one")]
    WrongCertificate,
    /// The other side does not acknowledge any more, or closed.
    #[error("the link is lost")]
    Lost,
    /// The secure handshake failed.
    #[error("the secure handshake failed")]
    Handshake,
}

/// What ICE needs to know of a side (RFC 6940 §6.5.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IceParameters {
    /// User fragment.
    pub ufrag: String,
    /// Password.
    pub password: String,
    /// Candidates of this side.
    pub candidates: Vec<IceCandidate>,
}

/// Our part in making a link (RFC 6940 §6.5.1.9, §6.5.1.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We sent the Attach: ICE controlling and DTLS server.
    Requester,
    /// We answered it: ICE controlled and DTLS client.
    Responder,
}

/// What a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// RELOAD messages.
    Overlay,
    /// An application's own protocol, by Application-ID (RFC 6940 §14.5). The peer forgets such a
    /// link once it has asked for [`LinkAction::Connect`].
    Application(u16),
}

/// What a peer wants of its links.
#[derive(Clone, Debug)]
pub enum LinkAction {
    /// Open a link without ICE to a bootstrap node, as DTLS client.
    Dial(SocketAddr),
    /// Find our candidates for a link in this role and for this purpose.
    Gather(Role, Purpose),
    /// Make the link: ICE with the other side's parameters, then DTLS, and accept only this
    /// certificate.
    Connect {
        /// The other side's parameters.
        remote: IceParameters,
        /// Our part.
        role: Role,
        /// What the link is for.
        purpose: Purpose,
        /// Who signed the Attach or its answer.
        expected: Arc<Certificate>,
    },
    /// Send a message, framed and with simple reliability.
    Send(Bytes),
    /// The link is not needed any more: it is closed soon, and until then only brings what is under
    /// way.
    Retire,
    /// Close the link once what was sent is acknowledged, or soon in any case.
    Close,
}

/// What a peer wants of its driver.
#[derive(Clone, Debug)]
pub enum Output {
    /// Do this on a link.
    Link(LinkId, LinkAction),
    /// This happened.
    Event(Event),
}

/// What can be asked of a peer.
#[derive(Clone, Debug)]
pub enum Command {
    /// Found the overlay: be its only peer (RFC 6940 §6.4.2.1).
    Found,
    /// Join the overlay through one of these bootstrap nodes.
    Join(Vec<SocketAddr>),
    /// Be a client (RFC 6940 §4.2): use the overlay through the peer that is responsible for our
    /// Node-ID, found through one of these bootstrap nodes, without routing or storing. Means
    /// nothing to a peer.
    Connect(Vec<SocketAddr>),
    /// The machine is at another place of the network, or has slept; links that do not work any
    /// more were reported before. Whoever waits to try again does so at once.
    Moved,
    /// Hand everything over and leave; ends with [`Event::Left`].
    Leave,
    /// Publish our certificate under our user's name too, if [`PeerConfig::is_name_ours`](
    /// super::PeerConfig::is_name_ours) has said to wait for this.
    ClaimName,
    /// Store a value, now and again before its lifetime ends, after every join; take it back on
    /// leaving. Done at the first success.
    Publish(StoreSpec),
    /// Stop refreshing a published value and store a tombstone in its place.
    Unpublish(StoreSpec),
    /// Fetch values.
    Fetch(FetchSpec),
    /// Make a connection for an application with this Application-ID. Only the node at the end of
    /// the list is accepted.
    AppAttach(Vec<Destination>, u16),
    /// Have these applications from now on: for others there are no connections when somebody asks.
    Applications(Vec<u16>),
    /// Lend a relay: give out its credentials to whoever asks. Or stop to.
    Lend(Option<Arc<dyn Lender>>),
    /// Ask a node for credentials of the relay that it lends, with a question that its
    /// [`Lender`] understands. One that we are linked with can be asked before we have joined.
    AskRelay(Destination, Vec<u8>),
    /// Ask a node to knock at this address of ours, with a STUN Binding request of this
    /// transaction.
    AskKnock(Destination, SocketAddr, [u8; 12]),
    /// Ask whether somebody is there.
    Ping(Destination),
    /// Ask a peer about itself (RFC 6940 §6.4.2.5).
    Probe(Destination, Vec<ProbeInformationType>),
    /// Ask a peer where it would send a message (RFC 6940 §6.4.2.4).
    RouteQuery(Destination, RouteQueryReq),
    /// Ask what is known of values without the values (RFC 6940 §7.4.3).
    Stat(FetchSpec),
    /// Ask which resources have values (RFC 6940 §7.4.4).
    Find(FindReq),
    /// Follow a newer document, which whoever drives the peer has found to be authentic, and hand
    /// it on. Done once it is in force here.
    Configure(Arc<SignedConfig>),
}

/// A value to be signed by us and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// Where.
    pub resource: ResourceId,
    /// The Kind.
    pub kind: KindId,
    /// The value in its place.
    pub value: StoredDataValue,
    /// For how long, in seconds.
    pub lifetime_s: u32,
}

/// Values to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSpec {
    /// Where.
    pub resource: ResourceId,
    /// The Kind.
    pub kind: KindId,
    /// Which values.
    pub places: Places,
}

/// What a peer reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// A step of joining has begun.
    Joining(JoinStep),
    /// We are a peer, responsible for our part of the ring.
    Joined,
    /// We are a client, attached to this peer, which is responsible for our Node-ID; whenever
    /// that changes.
    Connected(NodeId),
    /// Joining failed for now; the peer goes on trying until told to leave.
    JoinFailed(JoinError),
    /// We have left.
    Left,
    /// A command is finished.
    Done(RequestId, Result<Answer, RequestError>),
    /// Somebody asked for a connection of an application: the driver will make this link, and
    /// the certificate says who it is.
    AppLink {
        /// The link.
        link: LinkId,
        /// The Application-ID.
        application: u16,
        /// Who asked.
        certificate: Arc<Certificate>,
    },
    /// A peer gave us a value that is older than one we have seen there and that must still live
    /// (RFC 6940 §13.5.3). It was left out, and others have been asked.
    RolledBack {
        /// Who.
        node: NodeId,
        /// Where the value stands.
        resource: ResourceId,
        /// Its Kind.
        kind: KindId,
    },
    /// Somebody wants to know whether we reach it at this address: send a STUN Binding request
    /// of this transaction there, from a port that it does not know.
    Knock(SocketAddr, [u8; 12]),
    /// A newer document is in force; it has to be kept in the place of the last one.
    Configured {
        /// The document.
        document: Arc<SignedConfig>,
        /// What it means for us.
        effect: ConfigEffect,
    },
}

/// What a newer document means for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigEffect {
    /// It works with it already.
    InForce,
    /// It leaves, and has to be made anew and join again: what has changed is fixed for the life
    /// of a peer.
    Rejoin,
    /// It leaves for good, because this program cannot do what the overlay now demands.
    Unsupported(ConfigError),
    /// It leaves for good, because it is one of the overlay's bad nodes.
    Banned,
}

/// Steps of joining, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinStep {
    /// Opening a link to a bootstrap node.
    Bootstrap,
    /// Attaching to the peer responsible for our place.
    Attach,
    /// Attaching to our future neighbours.
    Neighbors,
    /// Waiting to be handed our part of the ring.
    Join,
}

/// Why joining failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JoinError {
    /// There is no bootstrap node to try.
    #[error("no bootstrap node is known")]
    NoBootstrap,
    /// None of the bootstrap nodes could be reached.
    #[error("no bootstrap node could be reached: {0}")]
    Unreachable(LinkError),
    /// The peer responsible for our place did not answer.
    #[error("the peer responsible for our place did not answer")]
    NoAdmittingPeer,
    /// The overlay has no clients (RFC 6940 §11.1).
    #[error("every node of this overlay has to be a peer")]
    ClientsNotPermitted,
    /// The admitting peer refused.
    #[error("the overlay refused us: {0}")]
    Refused(ErrorCode),
}

/// The result of a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Stored; who keeps copies.
    Stored {
        /// The replica peers.
        replicas: Vec<NodeId>,
    },
    /// Fetched.
    Fetched(Fetched),
    /// An application's link is being made to this node.
    AppLink {
        /// The link.
        link: LinkId,
        /// Who answered.
        certificate: Arc<Certificate>,
    },
    /// Somebody answered a Ping.
    Pinged {
        /// Who.
        node_id: NodeId,
        /// Links that the request crossed.
        hops: u32,
    },
    /// Somebody has done, or will do, what a Ping asked for beside itself.
    Favored {
        /// Who.
        node_id: NodeId,
        /// The credentials, sealed; empty for a knock.
        answer: Vec<u8>,
    },
    /// What a peer says of itself.
    Probed {
        /// Who.
        node_id: NodeId,
        /// What it knows of what was asked.
        information: Vec<ProbeInformation>,
    },
    /// Where a peer would send a message.
    NextPeer {
        /// Who was asked.
        node_id: NodeId,
        /// To whom it would send the message: itself if the message has arrived.
        next_peer: NodeId,
    },
    /// What a peer says of values that it stores; nobody's signature vouches for it but its own.
    Stated {
        /// Who was asked.
        node_id: NodeId,
        /// The generation counter of the Kind.
        generation: u64,
        /// What is known of each value.
        values: Vec<StoredMetadata>,
    },
    /// Which resources a peer has.
    Found {
        /// Who was asked: its range of the ring ends at its Node-ID.
        node_id: NodeId,
        /// The first resource of each Kind that may be found.
        results: Vec<FindKindData>,
    },
    /// A newer document is in force.
    Configured,
}

/// Values that were fetched and whose signatures hold.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The values that exist.
    pub values: Vec<FetchedValue>,
    /// Whether values were left out because their signatures did not hold, or because newer ones
    /// had been seen.
    pub partial: bool,
    /// Links that the request crossed, as the answer's TTL tells, at most if several peers were
    /// asked; 0 if we hold the data.
    pub hops: u32,
    /// Which transmission of the request was answered; 1 is the first.
    pub transmissions: u32,
}

/// One fetched value.
#[derive(Clone, Debug)]
pub struct FetchedValue {
    /// The value in its place.
    pub value: StoredDataValue,
    /// When its owner made it, milliseconds since the Unix epoch.
    pub storage_time_ms: u64,
    /// Who signed it.
    pub signer: Arc<Certificate>,
    /// Which Node-ID of the signer.
    pub signer_node_id: NodeId,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// We are not in the overlay.
    #[error("not joined to the overlay")]
    NotJoined,
    /// Nobody answered in time.
    #[error("nobody answered")]
    Timeout,
    /// The answer was an error.
    #[error("refused: {0}")]
    Refused(ErrorCode),
    /// Too many requests wait already.
    #[error("too many requests at once")]
    Busy,
    /// The request does not fit into a message.
    #[error("the request is too large")]
    TooLarge,
    /// The answer has nothing of what was asked for beside.
    #[error("the other side does not do that")]
    NotDone,
    /// We could not find candidates of our own.
    #[error("no network address was found")]
    NoCandidates,
}
