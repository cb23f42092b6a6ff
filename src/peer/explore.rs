//! Questions about peers and about what they store: Probe (RFC 6940 §6.4.2.5), RouteQuery (§10.8),
//! Stat (§7.4.3) and Find (§7.4.4).

use crate::base::{Decode, Encode};
use crate::message::{
    ChordRouteQueryAns, Destination, ErrorCode, ErrorResponse, FetchReq, FindAns, FindReq, KindId,
    Method, ProbeAns, ProbeInformation, ProbeInformationType, ProbeReq, RouteQueryReq, StatAns,
    decode_body,
};
use crate::routing::chord::ring;
use crate::routing::{Topology, next_node};

use super::Peer;
use super::api::{Answer, FetchSpec, RequestError, RequestId};
use super::requests::{Failure, Goal, Reply, fetch_body};
use super::serve::Question;

/// What a command has asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exploration {
    Probe,
    RouteQuery,
    Stat(KindId),
    Find,
}

impl Peer {
    pub(super) fn probe(
        &mut self,
        request: RequestId,
        of: Destination,
        requested: Vec<ProbeInformationType>,
    ) {
        let body = ProbeReq { requested }.to_bytes();
        let goal = Goal::Explore(request, Exploration::Probe);
        self.query(request, of, Method::Probe, body.ok(), goal);
    }

    pub(super) fn route_query(
        &mut self,
        request: RequestId,
        of: Destination,
        query: &RouteQueryReq,
    ) {
        let goal = Goal::Explore(request, Exploration::RouteQuery);
        self.query(request, of, Method::RouteQuery, query.to_bytes().ok(), goal);
    }

    pub(super) fn stat(&mut self, request: RequestId, spec: &FetchSpec) {
        let goal = Goal::Explore(request, Exploration::Stat(spec.kind));
        self.query(request, spec.resource.clone().into(), Method::Stat, fetch_body(spec), goal);
    }

    pub(super) fn find(&mut self, request: RequestId, query: &FindReq) {
        let goal = Goal::Explore(request, Exploration::Find);
        let route = query.resource.clone().into();
        self.query(request, route, Method::Find, query.to_bytes().ok(), goal);
    }

    pub(super) fn explored(
        &mut self,
        request: RequestId,
        question: Exploration,
        outcome: Result<Reply, Failure>,
    ) {
        let result = outcome.and_then(|reply| self.discovery(question, &reply));
        self.done(request, result.map_err(RequestError::from));
    }

    pub(super) fn serve_probe(&mut self, question: &Question) {
        let Ok(request) = question.read::<ProbeReq>() else {
            return self.refuse_invalid(question, "the Probe does not parse");
        };
        let known = request.requested.into_iter().filter_map(|requested| {
            let number = match requested {
                ProbeInformationType::RESPONSIBLE_SET => self.responsible_ppb(),
                ProbeInformationType::NUM_RESOURCES => saturated(self.storage.resource_count()),
                ProbeInformationType::UPTIME => self.uptime_s(),
                _ => return None,
            };
            Some(ProbeInformation::new(requested, number))
        });
        let answer = ProbeAns { information: known.collect() };
        self.answer(question, answer.to_bytes(), &[]);
    }

    pub(super) fn serve_route_query(&mut self, question: &Question) {
        let Ok(request) = question.read::<RouteQueryReq>() else {
            return self.refuse_invalid(question, "the RouteQuery does not parse");
        };
        if matches!(request.destination, Destination::Opaque(_)) {
            // Whoever hides behind it wants to stay hidden (RFC 6940 §6.4.2.4.1).
            return self.refuse_forbidden(question, "opaque IDs are not translated");
        }
        let own = self.identity.node_id;
        let next =
            next_node(request.destination.view(), own, |node| self.links.has(node), &self.chord);
        let Ok(next_peer) = next else {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        };
        self.answer(question, ChordRouteQueryAns { next_peer }.to_bytes(), &[]);
        // Updates are for linked nodes, and only peers send them.
        let asker = question.signed.node_id;
        if request.send_update && self.chord.is_joined() && self.links.has(asker) {
            self.send_full_update(asker);
        }
    }

    pub(super) fn serve_stat(&mut self, question: &Question) {
        let Ok(request) = question.read::<FetchReq>() else {
            return self.refuse_invalid(question, "the Stat does not parse");
        };
        if !self.answers_for(&request.resource) {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        }
        match self.storage.stat(self.now, &request) {
            Ok(answer) => self.answer(question, answer.to_bytes(), &[]),
            Err(error) => return self.refuse(question, error),
        }
        self.fetch_missing(question, &request);
    }

    pub(super) fn serve_find(&mut self, question: &Question) {
        let Ok(request) = question.read::<FindReq>() else {
            return self.refuse_invalid(question, "the Find does not parse");
        };
        if !self.chord.owns(&request.resource) {
            return self.refuse(question, ErrorResponse::new(ErrorCode::NOT_FOUND));
        }
        let end = self.identity.node_id.to_u128();
        match self.storage.find(self.now, &request, end) {
            Ok(answer) => self.answer(question, answer.to_bytes(), &[]),
            Err(error) => self.refuse(question, error),
        }
    }

    /// For how long we have been up, in seconds.
    pub(super) fn uptime_s(&self) -> u32 {
        let uptime = self.now.instant.saturating_since(self.started);
        u32::try_from(uptime.as_secs()).unwrap_or(u32::MAX)
    }

    /// Our fraction of the ring in parts per billion.
    fn responsible_ppb(&self) -> u32 {
        if !self.chord.is_joined() {
            return 0;
        }
        let start = self.chord.range_start().to_u128();
        match ring::distance(start, self.identity.node_id.to_u128()) {
            0 => BILLION,
            // The upper half of 128 bits is more than exact enough.
            length => saturated((((length >> 64) * u128::from(BILLION)) >> 64) as usize),
        }
    }

    fn discovery(&self, question: Exploration, reply: &Reply) -> Result<Answer, Failure> {
        let node_id = reply.signed.node_id;
        Ok(match question {
            Exploration::Probe => {
                let ProbeAns { information } = self.read(reply)?;
                Answer::Probed { node_id, information }
            }
            Exploration::RouteQuery => {
                let ChordRouteQueryAns { next_peer } = self.read(reply)?;
                Answer::NextPeer { node_id, next_peer }
            }
            Exploration::Stat(kind) => {
                let answer: StatAns = self.read(reply)?;
                let known = self.storage.kinds().kind(kind).ok_or(Failure::Invalid)?;
                let found = answer.kinds.iter().find(|response| response.kind == kind);
                let response = found.ok_or(Failure::Invalid)?;
                let values = response.values(known.data_model).map_err(|_| Failure::Invalid)?;
                Answer::Stated { node_id, generation: response.generation, values }
            }
            Exploration::Find => {
                let FindAns { results } = self.read(reply)?;
                Answer::Found { node_id, results }
            }
        })
    }

    fn read<T: Decode>(&self, reply: &Reply) -> Result<T, Failure> {
        decode_body(&reply.body, self.identity.node_id).map_err(|_| Failure::Invalid)
    }
}

fn saturated(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

const BILLION: u32 = 1_000_000_000;
