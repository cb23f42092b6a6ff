//! Configurations that change while we live (RFC 6940 §6.3.2.1, §6.5.4, §11.1): whoever is behind
//! gets the newer document, and a document that a signer of ours has signed takes the place of
//! ours and goes on to all linked nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::base::{Encode, Instant, NodeId, TransactionId};
use crate::config::{
    ConfigError, Judge, KindBlock, KindDefinition, OverlayConfig, SignedConfig, is_newer,
};
use crate::message::{
    ConfigUpdateReq, Destination, ErrorCode, ErrorResponse, ForwardingHeader, KindId, MessageCode,
    Method, Packet,
};
use crate::storage::{Kind, KindTable};

use super::api::{Answer, ConfigEffect, Event, RequestError, RequestId};
use super::requests::{Failure, Goal};
use super::serve::Question;
use super::{Peer, Stage};

/// What we remember of configurations beside the document.
#[derive(Debug, Default)]
pub(super) struct Configuration {
    /// Kinds that came without a document.
    kinds: BTreeMap<KindId, (KindDefinition, KindBlock)>,
    /// Who got what of the present configuration, and when.
    sent: BTreeMap<(NodeId, Part), Instant>,
}

/// What one ConfigUpdate carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Document,
    Kind(KindId),
}

/// What is answered to an update that is not taken.
type Refusal = ErrorResponse;

impl Peer {
    /// Follows a document that our driver vouches for.
    pub(super) fn configure(&mut self, request: RequestId, document: Arc<SignedConfig>) {
        let result = self.check_document(&document).and_then(|()| self.kinds_with(&document));
        match result {
            Ok(kinds) => {
                self.done(request, Ok(Answer::Configured));
                self.follow(document, kinds, None);
            }
            Err(error) => self.done(request, Err(RequestError::Refused(error.code))),
        }
    }

    pub(super) fn serve_config_update(&mut self, question: &Question) {
        match question.read::<ConfigUpdateReq>() {
            Ok(ConfigUpdateReq::Config(document)) => match self.read_document(&document) {
                Ok(document) => self.take_document(question, document),
                Err(error) => self.refuse(question, error),
            },
            Ok(ConfigUpdateReq::Kinds(kinds)) => match self.judge_kinds(&kinds) {
                Ok(kinds) => {
                    self.answer(question, Ok(Vec::new()), &[]);
                    self.learn(kinds);
                }
                Err(error) => self.refuse(question, error),
            },
            Ok(ConfigUpdateReq::Other { .. }) => {
                self.refuse_invalid(question, "this part of a configuration is not known");
            }
            Err(_) => self.refuse_invalid(question, "the ConfigUpdate does not parse"),
        }
    }

    /// The error for a request whose sender has another configuration than we (T-80). A
    /// ConfigUpdate may say that its sequence is of no account.
    pub(super) fn sequence_error(
        &self,
        header: &ForwardingHeader,
        code: MessageCode,
    ) -> Option<ErrorCode> {
        let (theirs, ours) = (header.configuration_sequence, self.config.sequence);
        let is_exempt =
            theirs == ConfigUpdateReq::SEQUENCE && code == Method::ConfigUpdate.request();
        match theirs == ours || is_exempt {
            true => None,
            false if is_newer(theirs, ours) => Some(ErrorCode::CONFIG_TOO_NEW),
            false => Some(ErrorCode::CONFIG_TOO_OLD),
        }
    }

    /// Sends our document to the sender of a request, whose own is too old.
    pub(super) fn update_requester(
        &mut self,
        header: &ForwardingHeader,
        previous: NodeId,
        requester: NodeId,
    ) {
        let back = header.via_list.iter().rev().cloned();
        let route: Vec<Destination> = match self.links.has(requester) {
            true => vec![requester.into()],
            // It may be a joining node that only the way back leads to.
            false => std::iter::once(previous.into()).chain(back).collect(),
        };
        self.send_part(requester, route, Part::Document);
    }

    /// Takes in an error answer that a ConfigUpdate helps against, and sends it if it is for us to
    /// do so. If `true` the request goes out again with its next transmission, and this error is
    /// only its outcome if nothing has changed then.
    pub(super) fn configures(
        &mut self,
        id: TransactionId,
        from: NodeId,
        error: &ErrorResponse,
    ) -> bool {
        let goal = self.transactions.pending(id).map(|pending| &pending.context.goal);
        if matches!(goal, None | Some(Goal::Configure(..))) {
            return false;
        }
        let document = self.config.document.as_ref();
        let is_mendable = match error.code {
            ErrorCode::CONFIG_TOO_NEW => document.is_some_and(|d| !d.signatures.is_empty()),
            ErrorCode::CONFIG_TOO_OLD => {
                document.is_some_and(|d| !d.config.configuration_signers.is_empty())
            }
            _ => false,
        };
        match error.code {
            ErrorCode::CONFIG_TOO_NEW => {
                self.send_part(from, vec![from.into()], Part::Document);
            }
            ErrorCode::UNKNOWN_KIND => {
                for kind in unknown_kinds(error) {
                    self.send_part(from, vec![from.into()], Part::Kind(kind));
                }
            }
            _ => {}
        }
        if let (true, Some(context)) = (is_mendable, self.transactions.context_mut(id)) {
            context.refused = Some(error.code);
        }
        is_mendable
    }

    /// A request as it is sent again: our configuration may have changed since the last time.
    pub(super) fn with_our_sequence(&self, mut packet: Packet) -> Packet {
        let sequence = &mut packet.header.configuration_sequence;
        if *sequence != ConfigUpdateReq::SEQUENCE {
            *sequence = self.config.sequence;
        }
        packet
    }

    /// A ConfigUpdate of ours has ended.
    pub(super) fn configured(&mut self, node: NodeId, part: Part, failure: Option<Failure>) {
        if failure == Some(Failure::Timeout) {
            self.configuration.sent.remove(&(node, part));
        }
    }

    fn take_document(&mut self, question: &Question, document: SignedConfig) {
        let from = question.signed.node_id;
        let is_behind = is_newer(self.config.sequence, document.config.sequence);
        match self.judge_document(&document) {
            Ok(kinds) => {
                self.answer(question, Ok(Vec::new()), &[]);
                self.follow(Arc::new(document), kinds, Some(from));
            }
            Err(error) => {
                self.refuse(question, error);
                if is_behind {
                    self.update_requester(&question.header, question.previous, from);
                }
            }
        }
    }

    /// The document of our overlay that came from somebody else.
    fn read_document(&self, bytes: &[u8]) -> Result<SignedConfig, Refusal> {
        let ours = self.config.document.as_ref();
        let name = ours.map(|document| document.config.instance_name.as_str());
        SignedConfig::parse(bytes, name).map_err(|error| match error {
            ConfigError::OtherOverlay(_) => refusal(ErrorCode::INCOMPATIBLE_WITH_OVERLAY, &error),
            _ => refusal(ErrorCode::INVALID_MESSAGE, &error),
        })
    }

    /// The Kinds of a document, if it is newer than ours and signed by somebody whom ours names
    /// (RFC 6940 §6.5.4.2).
    fn judge_document(&self, document: &SignedConfig) -> Result<KindTable, Refusal> {
        let Some(ours) = &self.config.document else {
            return Err(forbidden("no signer of configurations is known here"));
        };
        self.check_document(document)?;
        let signers = self.good(&ours.config.configuration_signers);
        if document.signer(&signers, self.judge()).is_none() {
            return Err(forbidden("no signer of configurations has signed this one"));
        }
        self.kinds_with(document)
    }

    /// Whether a document could take the place of ours, whoever signed it.
    fn check_document(&self, document: &SignedConfig) -> Result<(), Refusal> {
        if document.config.overlay_hash() != self.config.overlay {
            let text = "the document is of another overlay";
            return Err(ErrorResponse::with_text(ErrorCode::INCOMPATIBLE_WITH_OVERLAY, text));
        }
        let is_over = document.config.is_expired(self.now.unix_ms);
        if is_over || !is_newer(document.config.sequence, self.config.sequence) {
            let text = if is_over { "the document has expired" } else { "it is not newer" };
            return Err(ErrorResponse::with_text(ErrorCode::CONFIG_TOO_OLD, text));
        }
        Ok(())
    }

    /// Kinds that came from somebody else: each signed by a kind-signer, and by the same one as
    /// what we know of it. What our document says of a Kind only another document changes;
    /// otherwise anybody could bring back what it said before.
    fn judge_kinds(&self, kinds: &[Bytes]) -> Result<Vec<(KindDefinition, KindBlock)>, Refusal> {
        let Some(ours) = &self.config.document else {
            return Err(forbidden("no signer of Kinds is known here"));
        };
        let signers = self.good(&ours.config.kind_signers);
        let mut accepted = Vec::new();
        for fragment in kinds {
            let (definition, block) = KindBlock::parse(fragment)
                .map_err(|error| refusal(ErrorCode::INVALID_MESSAGE, &error))?;
            let signer = block.signer(&signers, self.judge());
            if signer.is_none() {
                return Err(forbidden("no signer of Kinds has signed this one"));
            }
            let learned = self.configuration.kinds.get(&KindId(definition.id));
            let before = learned.map(|(_, block)| block.signer(&signers, self.judge()));
            let of_document = ours.config.kind(definition.id);
            if before.is_some_and(|before| before != signer)
                || of_document.is_some_and(|known| *known != definition)
            {
                return Err(forbidden("the Kind is defined otherwise"));
            }
            KindTable::new([Kind::from(&definition)])
                .map_err(|error| refusal(ErrorCode::INVALID_MESSAGE, &error))?;
            if of_document.is_none() {
                accepted.push((definition, block));
            }
        }
        if self.configuration.kinds.len() + accepted.len() > KINDS_MAX {
            return Err(forbidden("too many Kinds"));
        }
        Ok(accepted)
    }

    fn learn(&mut self, kinds: Vec<(KindDefinition, KindBlock)>) {
        for (definition, block) in kinds {
            let kind = Kind::from(&definition);
            self.configuration.kinds.insert(kind.id, (definition, block));
            let kinds = self.storage.kinds().with(kind);
            self.storage.reconfigure(kinds, |_| false);
        }
    }

    /// The Kinds under a document: its own, and those that we have learned and whose signers it
    /// still names.
    fn kinds_with(&self, document: &SignedConfig) -> Result<KindTable, Refusal> {
        let mut kinds = KindTable::of_document(document, self.verifier.provider())
            .map_err(|error| refusal(ErrorCode::INVALID_MESSAGE, &error))?;
        for (definition, block) in self.configuration.kinds.values() {
            if document.config.kind(definition.id).is_none()
                && self.is_signed(block, &document.config)
            {
                kinds = kinds.with(Kind::from(definition));
            }
        }
        Ok(kinds)
    }

    fn is_signed(&self, block: &KindBlock, config: &OverlayConfig) -> bool {
        let judge = Judge { unix_ms: None, ..self.judge() };
        block.signer(&config.kind_signers, judge).is_some()
    }

    /// Puts a newer document in force, hands it on to all linked nodes, each once, and leaves if
    /// it cannot be followed as we are.
    fn follow(&mut self, document: Arc<SignedConfig>, kinds: KindTable, from: Option<NodeId>) {
        let effect = self.effect(&document.config);
        self.config.take(&document.config);
        self.config.document = Some(document.clone());
        self.transactions.set_timer(self.config.reliability_timer);
        self.verifier.set_bad_nodes(&self.config.bad_nodes);
        let verifier = &self.verifier;
        self.storage.reconfigure(kinds, |certificate| verifier.is_revoked(certificate));
        let mut learned = std::mem::take(&mut self.configuration.kinds);
        learned.retain(|kind, _| self.storage.kinds().kind(*kind).is_some());
        self.configuration.kinds = learned;
        self.configuration.sent.clear();
        if let Some(from) = from {
            self.configuration.sent.insert((from, Part::Document), self.now.instant);
        }
        self.close_bad_links();
        for node in self.links.nodes() {
            self.send_part(node, vec![node.into()], Part::Document);
        }
        let leaves = effect != ConfigEffect::InForce;
        self.emit(Event::Configured { document, effect });
        if leaves {
            return self.leave();
        }
        if matches!(self.stage, Stage::Joined { .. }) {
            self.schedule_stabilize();
            self.change_search_pace();
        }
    }

    /// What a document means for us, whose configuration is still the one before.
    fn effect(&self, new: &OverlayConfig) -> ConfigEffect {
        if new.bad_nodes.contains(&self.identity.node_id) {
            return ConfigEffect::Banned;
        }
        if let Err(error) = new.check_supported() {
            return ConfigEffect::Unsupported(error);
        }
        // Being a peer takes another way in.
        if matches!(self.stage, Stage::Client(_)) && !new.clients_permitted {
            return ConfigEffect::Rejoin;
        }
        let is_fixed = |old: &OverlayConfig| {
            old.topology_plugin == new.topology_plugin
                && old.node_id_length == new.node_id_length
                && old.root_certs == new.root_certs
                && old.self_signed_permitted == new.self_signed_permitted
                && old.overlay_link_protocols == new.overlay_link_protocols
                && old.no_ice == new.no_ice
                && old.shared_secret == new.shared_secret
        };
        match &self.config.document {
            Some(old) if !is_fixed(&old.config) => ConfigEffect::Rejoin,
            _ => ConfigEffect::InForce,
        }
    }

    fn close_bad_links(&mut self) {
        for link in self.links.ids() {
            let is_bad = |open: &super::links::Open| self.verifier.is_revoked(&open.certificate);
            if self.links.open(link).is_some_and(is_bad) {
                self.close(link);
            }
        }
    }

    /// Sends a part of our configuration, once in a while to each node. What nobody has signed is
    /// believed by nobody and not sent.
    fn send_part(&mut self, to: NodeId, route: Vec<Destination>, part: Part) {
        let now = self.now.instant;
        let Some(document) = &self.config.document else { return };
        let update = match part {
            Part::Document if document.signatures.is_empty() => None,
            // No link of ours shows that the other side knows it (RFC 6940 §14.16).
            Part::Document if document.config.shared_secret.is_some() => None,
            Part::Document => Some(ConfigUpdateReq::Config(document.document.clone())),
            Part::Kind(id) => {
                let learned = self.configuration.kinds.get(&id).map(|(_, block)| block);
                let block = document.kind_block(id.0).or(learned);
                let fragment = block.and_then(KindBlock::write);
                fragment.map(|fragment| ConfigUpdateReq::Kinds(vec![fragment.into()]))
            }
        };
        let Some(body) = update.and_then(|update| update.to_bytes().ok()) else { return };
        let sent = &mut self.configuration.sent;
        sent.retain(|_, at| now.saturating_since(*at) < AGAIN);
        if sent.len() >= SENT_MAX || sent.contains_key(&(to, part)) {
            return;
        }
        sent.insert((to, part), now);
        let goal = Goal::Configure(to, part);
        let sent = self.request(route, None, Method::ConfigUpdate, body, &[], goal);
        // A document too large for a message is fetched by other means (T-79).
        if let Some(context) = sent.ok().and_then(|id| self.transactions.context_mut(id)) {
            // The way back may end in an opaque ID, which does not say who is to answer.
            context.target = to.into();
        }
    }

    /// Those of some nodes whose certificates are valid.
    fn good(&self, signers: &[NodeId]) -> Vec<NodeId> {
        let is_good = |node: &NodeId| !self.config.bad_nodes.contains(node);
        signers.iter().copied().filter(is_good).collect()
    }

    fn judge(&self) -> Judge<'_> {
        Judge { provider: self.verifier.provider(), unix_ms: Some(self.now.unix_ms) }
    }
}

/// The Kinds that an Error_Unknown_Kind lists (RFC 6940 §7.4.1.2).
fn unknown_kinds(error: &ErrorResponse) -> Vec<KindId> {
    let listed = error.info.get(1..).unwrap_or_default();
    listed.as_chunks::<4>().0.iter().map(|id| KindId(u32::from_be_bytes(*id))).collect()
}

fn forbidden(text: &str) -> ErrorResponse {
    ErrorResponse::with_text(ErrorCode::FORBIDDEN, text)
}

fn refusal(code: ErrorCode, error: &impl std::fmt::Display) -> ErrorResponse {
    ErrorResponse::with_text(code, &error.to_string())
}

// limits

/// How long a node that got a part of a configuration does not get it again. It asks again only
/// if it has lost it, or does not believe it.
const AGAIN: Duration = Duration::from_secs(600);
/// Nodes remembered for having got something: all linked ones, and more strangers than that.
const SENT_MAX: usize = 1024;
/// Kinds learned one by one; a document has a handful.
const KINDS_MAX: usize = 64;
