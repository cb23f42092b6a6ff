//! Answering requests.

use bytes::Bytes;

use crate::base::{Decode, DecodeError, Encode, NodeId, ResourceId};
use crate::message::{
    ChordUpdate, Destination, ErrorCode, ErrorResponse, FetchReq, ForwardingHeader,
    GenericCertificate, MessageContents, MessageExtension, Method, PingAns, PingReq, StoreReq,
    decode_body,
};
use crate::routing::{DropReason, RequestKey, Signed, Topology};
use crate::storage::{self, Requester};

use super::{Peer, Stage};

/// A request for us whose signature holds.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) header: ForwardingHeader,
    /// The linked node that it came from.
    pub(super) previous: NodeId,
    pub(super) signed: Signed,
    pub(super) method: Method,
    pub(super) body: Bytes,
    pub(super) extensions: Vec<MessageExtension>,
    pub(super) certificates: Vec<GenericCertificate>,
    /// Under which its answer is kept.
    pub(super) key: Option<RequestKey>,
}

impl Question {
    /// Whether it came from its signer over a link with it, and no other way.
    pub(super) fn is_direct(&self) -> bool {
        self.previous == self.signed.node_id && self.header.via_list.is_empty()
    }

    /// The body, if it parses.
    pub(super) fn read<T: Decode>(&self) -> Result<T, DecodeError> {
        decode_body(&self.body, self.previous)
    }
}

impl Peer {
    pub(super) fn serve(&mut self, question: Question) {
        match question.method {
            Method::Ping => self.serve_ping(&question),
            Method::Attach => self.serve_attach(question),
            Method::AppAttach => self.serve_app_attach(question),
            Method::Join => self.serve_join(&question),
            Method::Leave => self.serve_leave(&question),
            Method::Update => self.serve_update(&question),
            Method::Store => self.serve_store(&question),
            Method::Fetch => self.serve_fetch(&question),
            Method::Probe => self.serve_probe(&question),
            Method::Find => self.serve_find(&question),
            Method::RouteQuery => self.serve_route_query(&question),
            Method::Stat => self.serve_stat(&question),
            Method::ConfigUpdate => self.serve_config_update(&question),
        }
    }

    pub(super) fn refuse_invalid(&mut self, question: &Question, text: &str) {
        self.refuse(question, ErrorResponse::with_text(ErrorCode::INVALID_MESSAGE, text));
    }

    pub(super) fn refuse_forbidden(&mut self, question: &Question, text: &str) {
        self.refuse(question, ErrorResponse::with_text(ErrorCode::FORBIDDEN, text));
    }

    fn serve_ping(&mut self, question: &Question) {
        if question.read::<PingReq>().is_err() {
            return self.refuse_invalid(question, "a Ping holds padding only");
        }
        let answer = PingAns { response_id: self.rng.u64(), time_ms: self.now.unix_ms };
        let mut contents =
            MessageContents::new(Method::Ping.answer(), answer.to_bytes().unwrap_or_default());
        contents.extensions = self.favors(question);
        self.send_answer(question, contents, &[]);
    }

    fn serve_update(&mut self, question: &Question) {
        // An Update of an unknown type does not parse and is dropped (RFC 6940 §6.3.1.1).
        let Ok(update) = question.read::<ChordUpdate>() else {
            return self.drop_message(DropReason::UnknownUpdate);
        };
        let from = question.signed.node_id;
        if self.is_to_be_admitted_by(from) {
            self.answer(question, Ok(Vec::new()), &[]);
            return self.join_tables(from, update.contents);
        }
        if !question.is_direct() {
            return self.refuse_forbidden(question, "Updates are for linked nodes");
        }
        self.answer(question, Ok(Vec::new()), &[]);
        self.take_update(from, update);
    }

    fn serve_fetch(&mut self, question: &Question) {
        let Ok(request) = question.read::<FetchReq>() else {
            return self.refuse_invalid(question, "the Fetch does not parse");
        };
        if !self.answers_for(&request.resource) {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        }
        match self.storage.fetch(self.now, &request) {
            Ok((answer, certificates)) => self.answer(question, answer.to_bytes(), &certificates),
            Err(error) => self.refuse(question, error),
        }
    }

    /// Whether what is asked for would be here: it is ours, or we keep a replica. The body of the
    /// request says what that is; only the header was routed (T-96), and who doubts the
    /// responsible peer asks those behind it (RFC 6940 §13.5.4).
    pub(super) fn answers_for(&self, resource: &ResourceId) -> bool {
        let is_kept = self.chord.is_joined() && self.chord.keeps(resource);
        is_kept || self.storage.holds(resource)
    }

    fn serve_store(&mut self, question: &Question) {
        let Ok(request) = question.read::<StoreReq>() else {
            return self.refuse_invalid(question, "the Store does not parse");
        };
        let sender = question.signed.node_id;
        let is_original = request.replica_number == 0;
        if is_original {
            let entry = Destination::from(request.resource.clone());
            let is_named = question.header.destination_list.first() == Some(&entry);
            if !is_named || !self.chord.owns(&request.resource) {
                return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
            }
        } else if !self.takes_copy_from(sender, &request, question) {
            self.refuse_forbidden(question, "no copy of this is kept here");
            return self.fetch_refused(sender, &request);
        }
        match self.store(question, &request) {
            Ok(stored) => {
                self.join_goes_on();
                let replicas = if is_original { self.chord.replicas() } else { Vec::new() };
                self.answer(question, stored.answer(&replicas).to_bytes(), &[]);
                // What somebody hands over to us who was responsible before is ours from now on.
                let entry = request.resource.to_u128();
                if stored.changed && entry.is_some_and(|k| self.chord.is_responsible(k)) {
                    self.copy_to_replicas(&request.resource);
                }
            }
            Err(error) => self.refuse(question, error),
        }
    }

    fn store(
        &mut self,
        question: &Question,
        request: &StoreReq,
    ) -> Result<storage::Stored, ErrorResponse> {
        let verifier = &self.verifier;
        let resolve = |identity: &_| verifier.find(identity, &question.certificates);
        let signed = &question.signed;
        let requester = Requester { certificate: &signed.certificate, node_id: signed.node_id };
        let values = storage::Verifier { resolve: &resolve, provider: verifier.provider() };
        self.storage.store(self.now, request, requester, values)
    }

    /// Whether a copy comes from a peer that should send it (RFC 6940 §10.4): the one that
    /// admits us, a predecessor whose replicas we keep, or a neighbour that hands over.
    fn takes_copy_from(&self, sender: NodeId, request: &StoreReq, question: &Question) -> bool {
        match &self.stage {
            Stage::Joining(joining) => question.is_direct() && joining.is_admitted_by(sender),
            Stage::Joined { .. } => self.chord.may_replicate(&request.resource, sender),
            Stage::Idle | Stage::Leaving(_) | Stage::Client(_) => false,
        }
    }
}
