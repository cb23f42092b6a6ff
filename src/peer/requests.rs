//! What becomes of our requests: answers, errors and silence go to whoever asked.

use bytes::Bytes;

use crate::base::{Encode, NodeId, ResourceId};
use crate::message::{
    Destination, ErrorCode, ErrorResponse, FetchReq, ForwardingHeader, GenericCertificate,
    MessageCode, MessageExtension, Method, Opened, PingAns, PingReq, StoredDataSpecifier,
    decode_body,
};
use crate::routing::{Expired, Signed};

use super::Peer;
use super::api::{Answer, FetchSpec, LinkId, RequestError, RequestId};
use super::configure::Part;
use super::copies::Copy;
use super::explore::Exploration;
use super::fetch::Search;
use super::publish::PublicationKey;

/// What we remember of a request of ours.
#[derive(Debug)]
pub(super) struct Context {
    /// The linked node to which it is sent, if the route does not begin there.
    pub(super) first_hop: Option<NodeId>,
    /// Who is to answer.
    pub(super) target: Destination,
    pub(super) goal: Goal,
    /// Why the present transmission was refused, if it was and the next one need not be.
    pub(super) refused: Option<ErrorCode>,
}

/// Why we asked.
#[derive(Debug)]
pub(super) enum Goal {
    Ping(RequestId),
    Fetch(Search),
    Attach(LinkId),
    AppAttach(LinkId, RequestId, u16),
    Join,
    /// Who is our next successor, while the admitting peer does not tell.
    Discover,
    Leave,
    Update(NodeId),
    Copy(Copy),
    /// What a peer has that refused our copy as too old.
    Newer(Copy),
    /// Whether who is responsible for something has what we need not keep.
    AskAfter(ResourceId),
    /// What is ours and only somebody else has.
    Missing(ResourceId),
    Publish(PublicationKey),
    /// Whether what we published is still there.
    Look(PublicationKey),
    Unpublish(RequestId),
    /// Who has certificates under our user's name.
    FindCertificate,
    Finger,
    /// To see the tables of a near peer.
    Friend,
    /// A node that is going to join sees ours.
    Tables,
    Partition(LinkId),
    Explore(RequestId, Exploration),
    /// A favor, by the type of its extension.
    Favor(RequestId, u16),
    /// Somebody gets a part of our configuration.
    Configure(NodeId, Part),
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) signed: Signed,
    pub(super) body: Bytes,
    pub(super) extensions: Vec<MessageExtension>,
    pub(super) certificates: Vec<GenericCertificate>,
    /// Links that the request crossed.
    pub(super) hops: u32,
    /// Which transmission was answered.
    pub(super) transmissions: u32,
}

/// No good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Timeout,
    Refused(ErrorCode),
    /// The answer does not parse.
    Invalid,
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => Self::Timeout,
            Failure::Refused(code) => Self::Refused(code),
            Failure::Invalid => Self::Refused(ErrorCode::INVALID_MESSAGE),
        }
    }
}

impl Peer {
    pub(super) fn ping(&mut self, request: RequestId, destination: Destination) {
        let body = PingReq::default().to_bytes();
        self.query(request, destination, Method::Ping, body.ok(), Goal::Ping(request));
    }

    /// Sends a request that a command asks for; without a body it is too large.
    pub(super) fn query(
        &mut self,
        request: RequestId,
        destination: Destination,
        method: Method,
        body: Option<Vec<u8>>,
        goal: Goal,
    ) {
        if !self.is_in_overlay() {
            return self.done(request, Err(RequestError::NotJoined));
        }
        let sent = body
            .ok_or(RequestError::TooLarge)
            .and_then(|body| self.request(vec![destination], None, method, body, &[], goal));
        if let Err(error) = sent {
            self.done(request, Err(error));
        }
    }

    /// The answer to a request of ours has come, from whom it should.
    pub(super) fn answered(&mut self, header: &ForwardingHeader, opened: Opened, signed: Signed) {
        let body = opened.contents.body;
        let is_error = opened.contents.code == MessageCode::ERROR;
        let error = decode_body::<ErrorResponse>(&body, self.identity.node_id);
        if let (true, Ok(error)) = (is_error, &error)
            && self.configures(header.transaction_id, signed.node_id, error)
        {
            return;
        }
        let Some(pending) = self.transactions.finish(header.transaction_id) else { return };
        // Updates go to linked nodes and nowhere else, and are answered at once.
        if let (Goal::Update(node), 1) = (&pending.context.goal, pending.transmissions) {
            let rtt = self.transactions.waited(self.now.instant, &pending);
            self.measured(*node, rtt);
        }
        let outcome = if is_error {
            Err(error.map_or(Failure::Invalid, |error| Failure::Refused(error.code)))
        } else {
            let crossed = u32::from(self.config.initial_ttl.saturating_sub(header.ttl)) + 1;
            let is_own = signed.node_id == self.identity.node_id;
            let hops = if is_own { 0 } else { crossed };
            let certificates = opened.security.certificates;
            let transmissions = pending.transmissions;
            let extensions = opened.contents.extensions;
            Ok(Reply { signed, body, extensions, certificates, hops, transmissions })
        };
        self.conclude(pending.context.goal, outcome);
    }

    /// Sends requests again whose timer has fired, and gives up those that have been sent often
    /// enough.
    pub(super) fn expire_requests(&mut self) {
        loop {
            let (packet, first_hop) = match self.transactions.expire(self.now.instant) {
                Some(Expired::Again(pending)) => {
                    (pending.packet.clone(), pending.context.first_hop)
                }
                Some(Expired::Failed(pending)) => {
                    let failure = pending.context.refused.map(Failure::Refused);
                    let failure = failure.unwrap_or(Failure::Timeout);
                    self.conclude(pending.context.goal, Err(failure));
                    continue;
                }
                None => return,
            };
            let packet = self.with_our_sequence(packet);
            self.transmit(&packet, first_hop);
        }
    }

    fn conclude(&mut self, goal: Goal, outcome: Result<Reply, Failure>) {
        match goal {
            Goal::Ping(request) => {
                let result = outcome.and_then(|reply| self.pinged(&reply));
                self.done(request, result.map_err(Into::into));
            }
            Goal::Fetch(search) => self.search_answered(search, outcome),
            Goal::Attach(link) => self.attach_answered(link, outcome),
            Goal::AppAttach(link, request, application) => {
                self.app_attach_answered(link, request, application, outcome);
            }
            Goal::Join => self.join_answered(outcome),
            Goal::Discover => self.discovered(outcome),
            Goal::Leave => self.leave_answered(),
            Goal::Update(node) => self.update_answered(node, outcome.err()),
            Goal::Copy(copy) => self.copy_answered(&copy, outcome.err()),
            Goal::Newer(copy) => self.newer_fetched(copy, outcome),
            Goal::AskAfter(resource) => self.asked_after(resource, outcome),
            Goal::Missing(resource) => self.missing_fetched(&resource, outcome),
            Goal::Publish(key) => self.publish_answered(&key, outcome),
            Goal::Look(key) => self.looked(&key, outcome),
            Goal::Unpublish(request) => self.unpublish_answered(request, outcome),
            Goal::FindCertificate => self.certificates_found(outcome),
            Goal::Finger => self.finger_found(outcome),
            Goal::Friend | Goal::Tables => {}
            Goal::Partition(link) => self.partition_answered(link, outcome),
            Goal::Explore(request, question) => self.explored(request, question, outcome),
            Goal::Favor(request, favor) => self.favored(request, favor, outcome),
            Goal::Configure(node, part) => self.configured(node, part, outcome.err()),
        }
    }

    fn pinged(&self, reply: &Reply) -> Result<Answer, Failure> {
        decode_body::<PingAns>(&reply.body, self.identity.node_id)
            .map_err(|_| Failure::Invalid)
            .map(|_| Answer::Pinged { node_id: reply.signed.node_id, hops: reply.hops })
    }
}

/// The body of a Fetch or a Stat.
pub(super) fn fetch_body(spec: &FetchSpec) -> Option<Vec<u8>> {
    let specifiers = vec![StoredDataSpecifier::new(spec.kind, &spec.places)];
    FetchReq { resource: spec.resource.clone(), specifiers }.to_bytes().ok()
}
