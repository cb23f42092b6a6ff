//! Making links by Attach, and connections for applications by AppAttach, on both sides
//! (RFC 6940 §6.5.1, §6.5.2).

use std::time::Duration;

use crate::base::{Encode, Instant, NodeId, ResourceId};
use crate::crypto::Certificate;
use crate::message::{
    AppAttach, Attach, Destination, ErrorCode, ErrorResponse, IceCandidate, Method, ROLE_ACTIVE,
    ROLE_PASSIVE, decode_body,
};
use crate::routing::chord::Table;

use super::api::{
    Answer, Event, IceParameters, JoinError, LinkAction, LinkId, Purpose, RequestError, RequestId,
    Role,
};
use super::links::{Connecting, LinkState, Rank};
use super::requests::{Failure, Goal, Reply};
use super::serve::Question;
use super::{Peer, Stage};

/// A link that we want.
#[derive(Clone, Debug)]
pub(super) struct AttachPlan {
    /// The way to whom we want it with.
    pub(super) route: Vec<Destination>,
    /// Who that is, if we know.
    pub(super) node: Option<NodeId>,
    /// The linked node to send the request to, if the way does not begin with it.
    pub(super) first_hop: Option<NodeId>,
    pub(super) reason: Reason,
}

/// Why we want a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The peer that is to admit us.
    Admitting,
    /// The peer that is to serve us as a client.
    Serving,
    /// A neighbour that somebody told us about.
    Neighbor,
    /// A finger.
    Finger,
    /// Whoever is responsible behind us, after all successors were lost.
    Repair,
}

impl AttachPlan {
    pub(super) fn to_resource(resource: ResourceId, reason: Reason) -> Self {
        Self { route: vec![resource.into()], node: None, first_hop: None, reason }
    }

    /// A neighbour is asked through whom we learned of it from (RFC 6940 §10.6); by itself, if
    /// that is who told us.
    pub(super) fn to_neighbor(teacher: NodeId, node: NodeId) -> Self {
        let mut route: Vec<Destination> = vec![teacher.into(), node.into()];
        route.dedup();
        Self { route, node: Some(node), first_hop: None, reason: Reason::Neighbor }
    }
}

/// What candidates are being collected for.
#[derive(Debug)]
pub(super) enum Gathering {
    /// Whatever comes next.
    Spare,
    Attach(AttachPlan),
    Answer(Box<Question>, Attach, Option<AttachPlan>),
    AppAttach(RequestId, Vec<Destination>, u16),
    AppAnswer(Box<Question>, AppAttach),
}

/// A node that could not be attached to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unreachable {
    /// When it may be tried again.
    until: Instant,
    /// How often in a row.
    failures: u32,
}

impl Peer {
    /// Begins to make a link; `false` if it exists, is on its way, or must wait.
    pub(super) fn start_attach(&mut self, plan: AttachPlan) -> bool {
        let now = self.now.instant;
        if let Some(node) = plan.node
            && (self.links.is_attached(node) || self.is_attaching(node) || self.is_shunned(node))
        {
            return false;
        }
        match self.links.take_spare() {
            Some((link, Some(ice))) => self.send_attach(link, plan, ice),
            Some((link, None)) => {
                let state = LinkState::Gathering(Gathering::Attach(plan));
                self.links.put(now, link, state);
            }
            None => return self.gather(Gathering::Attach(plan)),
        }
        true
    }

    /// Collects candidates for links that are going to be wanted soon, as ICE takes its time.
    pub(super) fn prepare_links(&mut self, count: usize) {
        for _ in 0..count {
            self.gather(Gathering::Spare);
        }
    }

    /// Gives up what has been prepared and is not wanted.
    pub(super) fn drop_spares(&mut self) {
        while let Some((link, _)) = self.links.take_spare() {
            self.act(link, LinkAction::Close);
        }
    }

    /// Whether a node could not be attached to lately.
    pub(super) fn is_shunned(&self, node: NodeId) -> bool {
        self.unreachable.get(&node).is_some_and(|known| self.now.instant < known.until)
    }

    fn gather(&mut self, gathering: Gathering) -> bool {
        if !self.has_room() || self.links.pending().count() >= PENDING_MAX {
            return false;
        }
        let link = self.links.add(self.now.instant, LinkState::Gathering(gathering));
        self.act(link, LinkAction::Gather(Role::Requester, Purpose::Overlay));
        self.watch_links();
        true
    }

    /// Whether a link to this node is being made.
    pub(super) fn is_attaching(&self, node: NodeId) -> bool {
        self.links.pending().any(|(_, link)| match &link.state {
            LinkState::Gathering(Gathering::Attach(plan)) | LinkState::Requested { plan, .. } => {
                plan.node == Some(node)
            }
            LinkState::Gathering(Gathering::Answer(question, ..)) => {
                question.signed.node_id == node
            }
            LinkState::Connecting(connecting) => connecting.node == node,
            _ => false,
        })
    }

    pub(super) fn app_attach(
        &mut self,
        request: RequestId,
        to: Vec<Destination>,
        application: u16,
    ) {
        if !self.is_in_overlay() {
            return self.done(request, Err(RequestError::NotJoined));
        }
        if to.last().and_then(Destination::node) == Some(self.identity.node_id) {
            return self.done(request, Err(RequestError::Refused(ErrorCode::NOT_FOUND)));
        }
        if !self.has_room() || self.links.pending().count() >= PENDING_MAX {
            return self.done(request, Err(RequestError::Busy));
        }
        let gathering = Gathering::AppAttach(request, to, application);
        let link = self.links.add(self.now.instant, LinkState::Gathering(gathering));
        self.act(link, LinkAction::Gather(Role::Requester, Purpose::Application(application)));
        self.watch_links();
    }

    /// Our candidates for a link are there.
    pub(super) fn gathered(&mut self, link: LinkId, gathering: Gathering, ice: IceParameters) {
        match gathering {
            Gathering::Spare => self.links.put(self.now.instant, link, LinkState::Spare(ice)),
            Gathering::Attach(plan) => self.send_attach(link, plan, ice),
            Gathering::Answer(question, offer, plan) => {
                self.answer_attach(link, &question, offer, plan, ice);
            }
            Gathering::AppAttach(request, to, application) => {
                self.send_app_attach(link, request, to, application, ice);
            }
            Gathering::AppAnswer(question, offer) => {
                self.answer_app_attach(link, &question, offer, ice);
            }
        }
    }

    pub(super) fn gathering_failed(&mut self, gathering: Gathering) {
        match gathering {
            Gathering::Spare => {}
            Gathering::Attach(plan) => self.attach_failed(&plan),
            Gathering::AppAttach(request, ..) => {
                self.done(request, Err(RequestError::NoCandidates));
            }
            Gathering::Answer(question, _, plan) => {
                self.refuse_question(&question, ErrorCode::NOT_FOUND, "no network address");
                if let Some(plan) = plan {
                    self.attach_failed(&plan);
                }
            }
            Gathering::AppAnswer(question, _) => {
                self.refuse_question(&question, ErrorCode::NOT_FOUND, "no network address");
            }
        }
    }

    fn send_attach(&mut self, link: LinkId, plan: AttachPlan, ice: IceParameters) {
        let body = attach(ice, ROLE_PASSIVE, true).to_bytes().unwrap_or_default();
        let (route, first_hop) = (plan.route.clone(), plan.first_hop);
        let goal = Goal::Attach(link);
        match self.request(route, first_hop, Method::Attach, body, &[], goal) {
            Ok(transaction) => {
                let state = LinkState::Requested { plan, transaction };
                self.links.put(self.now.instant, link, state);
            }
            Err(_) => {
                self.act(link, LinkAction::Close);
                self.attach_failed(&plan);
            }
        }
    }

    /// An Attach that we sent has an answer, or none.
    pub(super) fn attach_answered(&mut self, link: LinkId, outcome: Result<Reply, Failure>) {
        let Some(LinkState::Requested { mut plan, .. }) = self.links.take(link) else { return };
        let own = self.identity.node_id;
        let offer = outcome.and_then(|reply| {
            let offer = decode_body::<Attach>(&reply.body, own).ok();
            let offer = offer.filter(|o| o.role == ROLE_ACTIVE && reply.signed.node_id != own);
            let offer = offer.filter(|o| self.suits(&o.candidates));
            offer.map(|offer| (offer, reply.signed)).ok_or(Failure::Invalid)
        });
        let (offer, signed) = match offer {
            Ok(good) => good,
            Err(failure) => {
                self.act(link, LinkAction::Close);
                // Who is smaller gives way: the other side's own Attach is coming (§6.5.1.2).
                let crossed = matches!(failure, Failure::Refused(ErrorCode::IN_PROGRESS));
                if crossed && plan.node.is_some_and(|n| self.adopt(n, &plan)) {
                    return;
                }
                match (failure, plan.node) {
                    (Failure::Timeout, Some(node)) => self.unlinked_lost(node),
                    // It is there (§6.5.1.2).
                    (
                        Failure::Refused(ErrorCode::IN_PROGRESS | ErrorCode::FORBIDDEN),
                        Some(node),
                    ) => {
                        self.unlinked(node, Some(&plan));
                    }
                    _ => {}
                }
                return match failure {
                    Failure::Refused(code) if plan.reason == Reason::Admitting => {
                        self.join_refused(code);
                    }
                    Failure::Refused(code) if plan.reason == Reason::Serving => {
                        self.client_attach_failed(JoinError::Refused(code));
                    }
                    _ => self.attach_failed(&plan),
                };
            }
        };
        plan.node = Some(signed.node_id);
        if plan.reason == Reason::Admitting {
            self.join_answerer_known();
        }
        if Rank::of(own, signed.node_id) == Rank::FromSmaller && self.adopt(signed.node_id, &plan) {
            // An Attach to a resource met one that its owner had sent us (T-41).
            return self.act(link, LinkAction::Close);
        }
        let connecting = Connecting {
            node: signed.node_id,
            rank: Rank::of(own, signed.node_id),
            is_ours: true,
            plan: Some(plan),
            owes_update: false,
        };
        self.links.put(self.now.instant, link, LinkState::Connecting(connecting));
        let remote = ice_parameters(offer.ufrag, offer.password, offer.candidates);
        let (role, purpose) = (Role::Requester, Purpose::Overlay);
        let expected = signed.certificate;
        self.act(link, LinkAction::Connect { remote, role, purpose, expected });
    }

    /// Lets a link that `node` has asked for serve our own plan; `false` if there is none.
    fn adopt(&mut self, node: NodeId, plan: &AttachPlan) -> bool {
        if self.links.is_attached(node) && self.links.is_recent(node, self.now.instant) {
            self.attached(node, Some(plan.clone()), false);
            return true;
        }
        self.links.adopt(node, plan)
    }

    /// A link could not be made.
    pub(super) fn attach_failed(&mut self, plan: &AttachPlan) {
        if let Some(node) = plan.node {
            if self.unreachable.len() >= UNREACHABLE_MAX {
                let now = self.now.instant;
                self.unreachable.retain(|_, known| known.until > now);
            }
            if self.unreachable.len() < UNREACHABLE_MAX {
                let failures = self.unreachable.get(&node).map_or(0, |known| known.failures);
                let pause = UNREACHABLE_FOR.saturating_mul(1 << failures.min(UNREACHABLE_DOUBLED));
                let until = self.soon(pause);
                let known = Unreachable { until, failures: failures.saturating_add(1) };
                self.unreachable.insert(node, known);
            }
        }
        if plan.reason == Reason::Finger {
            self.finger_refused(plan);
        }
        self.join_attach_failed(plan);
        if plan.reason == Reason::Serving {
            self.client_attach_failed(JoinError::NoAdmittingPeer);
        }
    }

    /// A link is up that was made by Attach.
    pub(super) fn attached(&mut self, node: NodeId, plan: Option<AttachPlan>, owes_update: bool) {
        if self.chord.is_joined() {
            let is_wide = self.config.table == Table::Wide;
            if owes_update || (is_wide && plan.is_some()) {
                self.send_full_update(node);
            } else if plan.is_some() {
                self.send_update(node);
            }
        }
        if plan.as_ref().is_some_and(|plan| plan.reason == Reason::Serving) {
            self.client_attached(node);
        }
        if matches!(self.stage, Stage::Joining(_)) {
            self.join_attached(node, plan.map(|p| p.reason));
        }
        self.check_entrance();
    }

    /// Somebody wants a link with us.
    pub(super) fn serve_attach(&mut self, question: Question) {
        let own = self.identity.node_id;
        let node = question.signed.node_id;
        let offer = match decode_body::<Attach>(&question.body, own) {
            Ok(offer) if offer.role == ROLE_PASSIVE && node != own => offer,
            _ => return self.refuse_question(&question, ErrorCode::INVALID_MESSAGE, "not passive"),
        };
        if !self.suits(&offer.candidates) {
            return self.refuse_question(&question, ErrorCode::INVALID_MESSAGE, UNSUITABLE);
        }
        let is_near = !self.chord.is_joined() || self.chord.is_better(node);
        let has_room = match is_near {
            true => self.has_room(),
            false => self.links.len() < self.config.links_max,
        };
        if !has_room {
            return self.refuse_question(&question, ErrorCode::FORBIDDEN, "no more links");
        }
        if is_near {
            self.make_room();
        }
        let mut adopted = None;
        match self.links.ours_to(node) {
            Some((_, true)) => {
                let text = "a link is being made";
                return self.refuse_question(&question, ErrorCode::IN_PROGRESS, text);
            }
            Some((_, false)) if own > node => {
                let text = "our own Attach goes first";
                return self.refuse_question(&question, ErrorCode::IN_PROGRESS, text);
            }
            Some((link, false)) => adopted = self.give_way(link),
            None => {}
        }
        let gathering = Gathering::Answer(Box::new(question), offer, adopted);
        let link = self.links.add(self.now.instant, LinkState::Gathering(gathering));
        self.act(link, LinkAction::Gather(Role::Responder, Purpose::Overlay));
        self.watch_links();
    }

    /// Drops our own Attach because the other side's larger Node-ID goes first.
    fn give_way(&mut self, link: LinkId) -> Option<AttachPlan> {
        let state = self.links.take(link)?;
        self.act(link, LinkAction::Close);
        match state {
            LinkState::Requested { plan, transaction } => {
                self.transactions.finish(transaction);
                Some(plan)
            }
            LinkState::Gathering(Gathering::Attach(plan)) => Some(plan),
            _ => None,
        }
    }

    fn answer_attach(
        &mut self,
        link: LinkId,
        question: &Question,
        offer: Attach,
        plan: Option<AttachPlan>,
        ice: IceParameters,
    ) {
        let body = attach(ice, ROLE_ACTIVE, false).to_bytes();
        self.answer(question, body, &[]);
        let node = question.signed.node_id;
        let behind = ResourceId::from_u128(node.to_u128().wrapping_add(1));
        if offer.send_update && question.header.destination_list.first() == Some(&behind.into()) {
            self.send_tables(question);
        }
        let connecting = Connecting {
            node,
            rank: Rank::of(node, self.identity.node_id),
            is_ours: false,
            plan,
            owes_update: offer.send_update,
        };
        self.links.put(self.now.instant, link, LinkState::Connecting(connecting));
        let remote = ice_parameters(offer.ufrag, offer.password, offer.candidates);
        let (role, purpose) = (Role::Responder, Purpose::Overlay);
        let expected = question.signed.certificate.clone();
        self.act(link, LinkAction::Connect { remote, role, purpose, expected });
    }

    fn send_app_attach(
        &mut self,
        link: LinkId,
        request: RequestId,
        to: Vec<Destination>,
        application: u16,
        ice: IceParameters,
    ) {
        let body = app_attach(ice, ROLE_PASSIVE, application).to_bytes().unwrap_or_default();
        let goal = Goal::AppAttach(link, request, application);
        match self.request(to, None, Method::AppAttach, body, &[], goal) {
            Ok(transaction) => {
                let state = LinkState::AppRequested { request, transaction };
                self.links.put(self.now.instant, link, state);
            }
            Err(error) => {
                self.act(link, LinkAction::Close);
                self.done(request, Err(error));
            }
        }
    }

    pub(super) fn app_attach_answered(
        &mut self,
        link: LinkId,
        request: RequestId,
        application: u16,
        outcome: Result<Reply, Failure>,
    ) {
        self.links.remove(link);
        let answer = outcome.and_then(|reply| {
            let offer = decode_body::<AppAttach>(&reply.body, self.identity.node_id).ok();
            let offer = offer.filter(|o| o.role == ROLE_ACTIVE && o.application == application);
            let offer = offer.filter(|o| self.suits(&o.candidates));
            offer.map(|offer| (offer, reply.signed.certificate)).ok_or(Failure::Invalid)
        });
        match answer {
            Ok((offer, certificate)) => {
                self.connect_app(link, &offer, Role::Requester, certificate.clone());
                self.done(request, Ok(Answer::AppLink { link, certificate }));
            }
            Err(failure) => {
                self.act(link, LinkAction::Close);
                self.done(request, Err(failure.into()));
            }
        }
    }

    /// Somebody wants a connection for an application.
    pub(super) fn serve_app_attach(&mut self, question: Question) {
        let offer = match decode_body::<AppAttach>(&question.body, self.identity.node_id) {
            Ok(offer) if offer.role == ROLE_PASSIVE => offer,
            _ => return self.refuse_question(&question, ErrorCode::INVALID_MESSAGE, "not passive"),
        };
        if !self.suits(&offer.candidates) {
            return self.refuse_question(&question, ErrorCode::INVALID_MESSAGE, UNSUITABLE);
        }
        if !self.applications.contains(&offer.application) {
            return self.refuse_question(&question, ErrorCode::NOT_FOUND, "no such application");
        }
        if !self.has_room() || self.links.pending().count() >= PENDING_MAX {
            return self.refuse_question(&question, ErrorCode::FORBIDDEN, "no more connections");
        }
        let purpose = Purpose::Application(offer.application);
        let gathering = Gathering::AppAnswer(Box::new(question), offer);
        let link = self.links.add(self.now.instant, LinkState::Gathering(gathering));
        self.act(link, LinkAction::Gather(Role::Responder, purpose));
        self.watch_links();
    }

    fn answer_app_attach(
        &mut self,
        link: LinkId,
        question: &Question,
        offer: AppAttach,
        ice: IceParameters,
    ) {
        let application = offer.application;
        let body = app_attach(ice, ROLE_ACTIVE, application).to_bytes();
        self.answer(question, body, &[]);
        let certificate = question.signed.certificate.clone();
        self.emit(Event::AppLink { link, application, certificate: certificate.clone() });
        self.connect_app(link, &offer, Role::Responder, certificate);
    }

    fn connect_app(
        &mut self,
        link: LinkId,
        offer: &AppAttach,
        role: Role,
        expected: std::sync::Arc<Certificate>,
    ) {
        let AppAttach { ufrag, password, candidates, application, .. } = offer.clone();
        let remote = ice_parameters(ufrag, password, candidates);
        let purpose = Purpose::Application(application);
        self.act(link, LinkAction::Connect { remote, role, purpose, expected });
    }

    /// Whether candidates are of the overlay's kind: an overlay is all ICE or all No-ICE, and no
    /// Attach mixes the two (RFC 6940 §6.5.1.1, §6.5.1.5). Unknown types are passed over.
    fn suits(&self, candidates: &[IceCandidate]) -> bool {
        let mut known = candidates.iter().filter_map(IceCandidate::uses_ice);
        known.all(|uses_ice| uses_ice != self.config.no_ice)
    }

    fn refuse_question(&mut self, question: &Question, code: ErrorCode, text: &str) {
        self.refuse(question, ErrorResponse::with_text(code, text));
    }
}

fn attach(ice: IceParameters, role: &[u8], send_update: bool) -> Attach {
    Attach {
        ufrag: ice.ufrag.into_bytes(),
        password: ice.password.into_bytes(),
        role: role.to_vec(),
        candidates: ice.candidates,
        send_update,
    }
}

fn app_attach(ice: IceParameters, role: &[u8], application: u16) -> AppAttach {
    AppAttach {
        ufrag: ice.ufrag.into_bytes(),
        password: ice.password.into_bytes(),
        application,
        role: role.to_vec(),
        candidates: ice.candidates,
    }
}

/// ICE's names are ASCII; anything else matches no check and fails there.
fn ice_parameters(
    ufrag: Vec<u8>,
    password: Vec<u8>,
    candidates: Vec<IceCandidate>,
) -> IceParameters {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    IceParameters { ufrag: text(ufrag), password: text(password), candidates }
}

const UNSUITABLE: &str = "candidates with ICE in an overlay without, or the reverse";

// limits

/// Links being made at a time.
const PENDING_MAX: usize = 64;
/// How long a node that could not be attached to is left alone, at least; twice as long each time.
const UNREACHABLE_FOR: Duration = Duration::from_secs(30);
/// How often that doubles: 8 minutes.
const UNREACHABLE_DOUBLED: u32 = 4;
/// Nodes left alone at a time.
pub(super) const UNREACHABLE_MAX: usize = 256;
