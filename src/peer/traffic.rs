//! Messages in and out: what comes is passed on, put together, verified and handed up; what goes
//! is signed, cut to the link's size and sent (RFC 6940 §6.1, §6.2, §6.7).

use bytes::Bytes;

use crate::base::{Encode, NodeId, TooLong, TransactionId};
use crate::message::{
    ConfigUpdateReq, Destination, ErrorCode, ErrorResponse, ForwardingHeader, Fragment, HeaderView,
    MessageCode, MessageContents, Method, Opened, Packet, header_length_declared, split,
};
use crate::routing::{
    DropReason, Gate, NoRoom, RequestKey, Seen, Signed, Topology, Verdict, answer_header, examine,
    message_code, next_node, pass_on,
};

use super::api::{LinkAction, LinkId, RequestError};
use super::links::Rank;
use super::requests::{Context, Goal};
use super::serve::Question;
use super::{LOOPBACK_MAX, Peer, Stage};

impl Peer {
    /// A message or fragment from a link.
    pub(super) fn receive(&mut self, link: LinkId, bytes: &Bytes) {
        self.counters.received += 1;
        let Some(open) = self.links.open(link) else {
            return self.drop_message(DropReason::UnknownLink);
        };
        let previous = open.node;
        let is_bootstrap = open.rank == Rank::Bootstrap;
        let is_stranger = is_bootstrap && open.certificate.node_ids.len() > 1;
        self.links.heard(link);
        let length_max = self.config.message_size_max;
        if header_length_declared(bytes).is_some_and(|length| length > length_max) {
            self.drop_message(DropReason::Header);
            return self.close(link);
        }
        let Ok(message) = HeaderView::parse(bytes, self.config.node_id_length) else {
            return self.drop_message(DropReason::Header);
        };
        if is_stranger {
            // Which of its Node-IDs it goes by is not known before it attaches (§6.1.2).
            let may_be_strange = [Method::Ping, Method::Attach].map(Method::request);
            match message.message_code() {
                Some(code) if !code.is_request() || may_be_strange.contains(&code) => {}
                Some(_) => {
                    let header = message.to_header();
                    return self.refuse_header(&header, previous, ErrorCode::FORBIDDEN);
                }
                None => return self.drop_message(DropReason::NotRefusable),
            }
        }
        let gate = self.gate(is_bootstrap && open_by_us(link));
        let is_linked = |node| self.links.has(node);
        match examine(&message, &gate, &self.paths, is_linked, &self.chord) {
            Verdict::Deliver(route) => {
                let mut packet = message.to_packet(bytes);
                packet.header.destination_list = route.to_vec(self.config.node_id_length);
                self.assemble(packet, previous);
            }
            Verdict::Forward(next, route) => {
                let (paths, rng) = (&mut self.paths, &mut self.rng);
                match pass_on(&message, previous, &route, gate.now, paths, rng) {
                    Some(bytes) => {
                        self.counters.forwarded += 1;
                        self.send_bytes(next, bytes);
                    }
                    None => self.drop_message(DropReason::Unsendable),
                }
            }
            Verdict::Refuse(code) => self.refuse_header(&message.to_header(), previous, code),
            Verdict::Drop(reason) => self.drop_message(reason),
        }
        // Who passes a message on measures it too, so this is the work of the node next to us.
        if message.fragment().offset as usize + message.payload().len() > length_max {
            self.close(link);
        }
    }

    fn gate(&self, is_unattached: bool) -> Gate {
        let own = self.identity.node_id;
        let first = self.identity.certificate.node_ids.first().copied();
        Gate {
            now: self.now.instant,
            own,
            alias: first.filter(|_| is_unattached).unwrap_or(own),
            forwards: !matches!(self.stage, Stage::Client(_)),
            is_verbose: self.config.is_verbose,
            overlay: self.config.overlay,
            ttl_max: self.config.initial_ttl,
            payload_max: self.config.message_size_max,
        }
    }

    /// A whole message for us. Nothing happens unless its signature holds.
    pub(super) fn deliver(&mut self, packet: Packet, previous: NodeId) {
        let Ok(opened) = packet.open(self.config.node_id_length) else {
            return self.drop_message(DropReason::Contents);
        };
        let is_request = opened.contents.code.is_request();
        // Answers to nothing are not worth a verification.
        if !is_request && self.transactions.pending(packet.header.transaction_id).is_none() {
            return self.drop_message(DropReason::Unasked);
        }
        match self.verifier.verify(&packet.header, &opened, self.now.unix_ms) {
            Some(signed) if self.verifier.is_revoked(&signed.certificate) => {
                self.drop_message(DropReason::BadNode);
            }
            Some(signed) if is_request => {
                self.take_request(packet.header, opened, signed, previous);
            }
            Some(signed) => self.take_answer(&packet.header, opened, signed),
            None => self.drop_message(DropReason::Signature),
        }
    }

    /// Signs a request and sends it for the first time. Its `goal` is told what becomes of it.
    pub(super) fn request(
        &mut self,
        route: Vec<Destination>,
        first_hop: Option<NodeId>,
        method: Method,
        body: Vec<u8>,
        certificates: &[Bytes],
        goal: Goal,
    ) -> Result<TransactionId, RequestError> {
        let contents = MessageContents::new(method.request(), body);
        self.request_with(route, first_hop, contents, certificates, goal)
    }

    /// The same for contents that may have extensions.
    pub(super) fn request_with(
        &mut self,
        route: Vec<Destination>,
        first_hop: Option<NodeId>,
        contents: MessageContents,
        certificates: &[Bytes],
        goal: Goal,
    ) -> Result<TransactionId, RequestError> {
        let target = route.last().cloned().ok_or(RequestError::TooLarge)?;
        let transaction_id = TransactionId(self.rng.u64());
        let header = ForwardingHeader {
            overlay: self.config.overlay,
            configuration_sequence: match Method::of_request(contents.code) {
                Some(Method::ConfigUpdate) => ConfigUpdateReq::SEQUENCE,
                _ => self.config.sequence,
            },
            ttl: self.config.initial_ttl,
            fragment: Fragment::WHOLE,
            transaction_id,
            max_response_length: 0,
            via_list: Vec::new(),
            destination_list: route,
            options: Vec::new(),
        };
        let mut packet = Packet::seal(header, &contents, &self.identity, certificates)
            .map_err(|_| RequestError::TooLarge)?;
        if packet.payload.len() > self.config.message_size_max {
            return Err(RequestError::TooLarge);
        }
        let context = Context { first_hop, target, goal, refused: None };
        self.transactions
            .start(self.now.instant, packet.clone(), context)
            .map_err(|NoRoom| RequestError::Busy)?;
        // What does not arrive this way goes as everybody else would send it.
        let named = first_hop.is_none().then(|| self.named_first(&packet)).flatten();
        packet.header.destination_list.splice(..0, named.map(Destination::Node));
        self.transmit(&packet, first_hop);
        Ok(transaction_id)
    }

    /// The linked peer that a request which nobody is named in is best sent through.
    fn named_first(&self, packet: &Packet) -> Option<NodeId> {
        let [destination] = &packet.header.destination_list[..] else { return None };
        let position = destination.position()?;
        let is_linked = self.links.has(NodeId::from_u128(position));
        self.chord.first_hop(position).filter(|_| !is_linked)
    }

    /// Sends a message of ours on its way.
    pub(super) fn transmit(&mut self, packet: &Packet, first_hop: Option<NodeId>) {
        let own = self.identity.node_id;
        let next = first_hop.or_else(|| {
            let first = packet.header.destination_list.first()?;
            let next = next_node(first.view(), own, |node| self.links.has(node), &self.chord);
            next.ok().or(self.client_hop())
        });
        match next {
            Some(node) if node == own => {
                if self.loopback.len() >= LOOPBACK_MAX {
                    return self.drop_message(DropReason::Loopback);
                }
                self.loopback.push_back(packet.clone());
            }
            Some(node) => self.send(node, packet),
            None => self.drop_message(DropReason::NoRoute),
        }
    }

    /// Answers a request; the answer is kept for its retransmissions.
    pub(super) fn answer(
        &mut self,
        question: &Question,
        body: Result<Vec<u8>, TooLong>,
        certificates: &[Bytes],
    ) {
        match body {
            Ok(body) => {
                let contents = MessageContents::new(question.method.answer(), body);
                self.send_answer(question, contents, certificates);
            }
            Err(TooLong) => {
                self.refuse(question, ErrorResponse::new(ErrorCode::RESPONSE_TOO_LARGE));
            }
        }
    }

    /// Answers a request with an error.
    pub(super) fn refuse(&mut self, question: &Question, error: ErrorResponse) {
        // Encoding fails only for texts that nobody writes.
        let body = error.to_bytes().unwrap_or_default();
        self.send_answer(question, MessageContents::new(MessageCode::ERROR, body), &[]);
    }

    pub(super) fn drop_message(&mut self, reason: DropReason) {
        self.counters.drop(reason);
    }

    fn assemble(&mut self, packet: Packet, previous: NodeId) {
        if packet.header.fragment == Fragment::WHOLE {
            return self.deliver(packet, previous);
        }
        // A request and its answer share an ID (T-06).
        let is_answer = self.transactions.pending(packet.header.transaction_id).is_some();
        let table =
            if is_answer { &mut self.answers_in_parts } else { &mut self.requests_in_parts };
        if let Some(whole) = table.insert(self.now.instant, packet, self.config.message_size_max) {
            self.deliver(whole, previous);
        }
    }

    fn take_request(
        &mut self,
        header: ForwardingHeader,
        opened: Opened,
        signed: Signed,
        previous: NodeId,
    ) {
        let code = opened.contents.code;
        if let Some(error) = self.sequence_error(&header, code) {
            self.refuse_header(&header, previous, error);
            if error == ErrorCode::CONFIG_TOO_OLD {
                self.update_requester(&header, previous, signed.node_id);
            }
            return;
        }
        let critical = crate::message::ForwardingOption::DESTINATION_CRITICAL;
        if header.options.iter().any(|o| o.flags & critical != 0) {
            let error = ErrorCode::UNSUPPORTED_FORWARDING_OPTION;
            return self.refuse_header(&header, previous, error);
        }
        if opened.contents.extensions.iter().any(|e| e.critical) {
            return self.refuse_header(&header, previous, ErrorCode::UNKNOWN_EXTENSION);
        }
        let Some(method) = Method::of_request(code) else {
            return self.refuse_header(&header, previous, ErrorCode::INVALID_MESSAGE);
        };
        // These two may simply be processed again. So could a Fetch, but the parts of two answers
        // that differ in a lifetime or in their signatures would spoil each other on arrival.
        let is_repeatable = matches!(method, Method::Ping | Method::Update);
        let key = || RequestKey::new(signed.node_id, header.transaction_id, &opened.signed);
        let key = (!is_repeatable).then(key);
        let (now, own) = (self.now.instant, &self.identity.certificate.der);
        match key.map_or(Seen::New, |key| self.answers.begin(now, key, own)) {
            Seen::New => {}
            Seen::InProgress => return,
            Seen::Answered(payload) => return self.send_payload(&header, previous, payload),
        }
        let MessageContents { body, extensions, .. } = opened.contents;
        let certificates = opened.security.certificates;
        self.serve(Question {
            header,
            previous,
            signed,
            method,
            body,
            extensions,
            certificates,
            key,
        });
    }

    fn take_answer(&mut self, header: &ForwardingHeader, opened: Opened, signed: Signed) {
        let id = header.transaction_id;
        let Some(pending) = self.transactions.pending(id) else { return };
        let is_from_target = match &pending.context.target {
            Destination::Node(node) => node.is_wildcard() || *node == signed.node_id,
            Destination::Resource(resource) => {
                signed.node_id == self.identity.node_id
                    || self.chord.may_answer(resource, signed.node_id, &self.detours.around(id))
            }
            Destination::Opaque(_) => false,
        };
        let asked = message_code(&pending.packet).map(MessageCode::answer);
        let code = opened.contents.code;
        // An error from a node on the way is a hint and no more: it could be made up (T-11).
        if !is_from_target || (code != MessageCode::ERROR && Some(code) != asked) {
            return self.drop_message(DropReason::WrongAnswer);
        }
        self.answered(header, opened, signed);
    }

    pub(super) fn send_answer(
        &mut self,
        question: &Question,
        contents: MessageContents,
        certificates: &[Bytes],
    ) {
        let header = self.header_back(&question.header, question.previous);
        let limit = question.header.max_response_length as usize;
        let sealed = Packet::seal(header, &contents, &self.identity, certificates);
        let fits = |packet: &Packet| {
            let length = packet.payload.len();
            length <= self.config.message_size_max && (limit == 0 || length <= limit)
        };
        match sealed {
            Ok(packet) if fits(&packet) || contents.code == MessageCode::ERROR => {
                if let Some(key) = question.key {
                    self.answers.finish(key, &packet.payload, &self.identity.certificate.der);
                }
                if contents.code == MessageCode::ERROR {
                    if !self.may_refuse(question.previous) {
                        return self.drop_message(DropReason::RateLimited);
                    }
                    self.counters.refused += 1;
                }
                self.transmit(&packet, None);
            }
            _ => self.refuse(question, ErrorResponse::new(ErrorCode::RESPONSE_TOO_LARGE)),
        }
    }

    fn send_payload(&mut self, request: &ForwardingHeader, previous: NodeId, payload: Bytes) {
        let header = self.header_back(request, previous);
        self.transmit(&Packet { header, payload }, None);
    }

    /// Refuses a request that nobody above looks at.
    fn refuse_header(&mut self, request: &ForwardingHeader, previous: NodeId, code: ErrorCode) {
        let error = ErrorResponse::with_text(code, &code.to_string());
        let body = error.to_bytes().unwrap_or_default();
        let header = self.header_back(request, previous);
        let contents = MessageContents::new(MessageCode::ERROR, body);
        if !self.may_refuse(previous) {
            return self.drop_message(DropReason::RateLimited);
        }
        if let Ok(packet) = Packet::seal(header, &contents, &self.identity, &[]) {
            self.counters.refused += 1;
            self.transmit(&packet, None);
        }
    }

    /// The header of an answer to a request that came from `previous`.
    pub(super) fn header_back(
        &self,
        request: &ForwardingHeader,
        previous: NodeId,
    ) -> ForwardingHeader {
        answer_header(request, previous, self.config.sequence, self.config.initial_ttl)
    }

    /// Whether a linked node may be sent one error more; each has a budget.
    fn may_refuse(&mut self, node: NodeId) -> bool {
        node == self.identity.node_id || self.links.may_refuse(self.now.instant, node)
    }

    pub(super) fn send(&mut self, node: NodeId, packet: &Packet) {
        match packet.encode() {
            Ok(bytes) => self.send_bytes(node, bytes),
            Err(TooLong) => self.drop_message(DropReason::Unsendable),
        }
    }

    fn send_bytes(&mut self, node: NodeId, bytes: Bytes) {
        let Some(link) = self.links.way(node) else {
            return self.drop_message(DropReason::Unsendable);
        };
        for part in split(bytes, self.config.link_mtu) {
            self.counters.sent += 1;
            self.act(link, LinkAction::Send(part));
        }
    }
}

/// Whether we opened a link; others have odd numbers.
fn open_by_us(link: LinkId) -> bool {
    link.0.is_multiple_of(2)
}
