//! The transactions in progress, and how a message finds its own (RFC 3261 §17.1.3, §17.2.3).

use std::collections::BTreeMap;

use bytes::Bytes;

use super::api::{FlowId, LegId};
use crate::base::Instant;
use crate::sip::limits;
use crate::sip::message::{HeaderError, Request, Response};
use crate::sip::transaction::{
    Effect, InviteClient, InviteServer, Notice, OtherClient, OtherServer,
};

/// What a response and its client transaction share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientKey {
    branch: String,
    method: String,
}

impl ClientKey {
    pub(super) fn new(branch: &str, method: rsip::Method) -> Self {
        Self { branch: branch.to_owned(), method: method.to_string() }
    }

    /// Whether it is of a request of this method.
    pub(super) fn is(&self, method: rsip::Method) -> bool {
        self.method == method.to_string()
    }

    /// The key of the CANCEL for this INVITE, which has the same branch.
    pub(super) fn with_method(&self, method: rsip::Method) -> Self {
        Self::new(&self.branch, method)
    }
}

/// What a request and its server transaction share. The flow is part of it: no peer can touch
/// the transactions of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerKey {
    flow: FlowId,
    branch: String,
    sent_by: String,
    method: String,
}

impl ServerKey {
    /// The key of a request. An ACK has that of its INVITE.
    pub(super) fn of(flow: FlowId, request: &Request) -> Result<Self, HeaderError> {
        let via = request.headers.via()?;
        let branch = match via.branch() {
            Some(branch) => branch.to_owned(),
            None => {
                // A client older than RFC 3261: what §17.2.3 has compared instead.
                let headers = &request.headers;
                let from = headers.from()?;
                let (call_id, cseq) = (headers.call_id()?, headers.cseq()?.number);
                format!("{call_id} {} {cseq} {via}", from.tag().unwrap_or(""))
            }
        };
        let method = match request.method() {
            method if method.is(rsip::Method::Ack) => rsip::Method::Invite.to_string(),
            method => method.to_string(),
        };
        Ok(Self { flow, branch, sent_by: via.sent_by().to_owned(), method })
    }

    /// The key of the INVITE that a CANCEL means (RFC 3261 §9.2).
    pub(super) fn of_invite(&self) -> Self {
        Self { method: rsip::Method::Invite.to_string(), ..self.clone() }
    }

    pub(super) fn flow(&self) -> FlowId {
        self.flow
    }
}

/// What makes two requests the same one that came by two ways (RFC 3261 §8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId {
    pub(super) call_id: String,
    pub(super) from_tag: Option<String>,
    pub(super) cseq: u32,
}

/// A client transaction and whose it is.
pub(super) struct Client {
    flow: FlowId,
    leg: LegId,
    machine: ClientMachine,
}

enum ClientMachine {
    Invite { machine: InviteClient, request: Request },
    Other { machine: OtherClient, request: Request },
}

struct Server {
    leg: Option<LegId>,
    id: RequestId,
    machine: ServerMachine,
}

enum ServerMachine {
    Invite(InviteServer),
    /// The room above has yet to say how a request is answered that is no INVITE.
    Waiting,
    Other(OtherServer),
}

/// All transactions.
#[derive(Default)]
pub(super) struct Table {
    clients: BTreeMap<ClientKey, Client>,
    servers: BTreeMap<ServerKey, Server>,
}

/// What the timers of client transactions brought.
#[derive(Default)]
pub(super) struct Fired {
    pub(super) sends: Vec<(FlowId, Bytes)>,
    pub(super) timed_out: Vec<(ClientKey, LegId)>,
}

/// What became of a response.
pub(super) enum Matched {
    /// No transaction waits for it on this flow.
    Nothing,
    /// Its transaction has seen it before; perhaps an ACK must be sent again.
    Old(Option<Bytes>),
    /// It is news for this leg.
    News(LegId, Option<Bytes>),
}

impl Table {
    /// Begins an INVITE transaction: the bytes to send.
    pub(super) fn start_invite(
        &mut self,
        now: Instant,
        key: ClientKey,
        (flow, leg): (FlowId, LegId),
        request: Request,
    ) -> Option<Bytes> {
        let (machine, effect) = InviteClient::start(now, request.to_bytes().into());
        let machine = ClientMachine::Invite { machine, request };
        self.insert_client(key, Client { flow, leg, machine }, effect)
    }

    /// Begins another transaction: the bytes to send.
    pub(super) fn start_other(
        &mut self,
        now: Instant,
        key: ClientKey,
        (flow, leg): (FlowId, LegId),
        request: &Request,
    ) -> Option<Bytes> {
        let (machine, effect) = OtherClient::start(now, request.to_bytes().into());
        let machine = ClientMachine::Other { machine, request: request.clone() };
        self.insert_client(key, Client { flow, leg, machine }, effect)
    }

    fn insert_client(&mut self, key: ClientKey, client: Client, effect: Effect) -> Option<Bytes> {
        // Cannot happen while legs are bounded; were it to, the request would go out once.
        if self.clients.len() < limits::CLIENT_TRANSACTIONS_MAX {
            self.clients.insert(key, client);
        }
        effect.send
    }

    /// Takes a response to its transaction; `ack` is asked for the ACK of a refused INVITE.
    pub(super) fn on_response(
        &mut self,
        now: Instant,
        flow: FlowId,
        key: &ClientKey,
        response: &Response,
    ) -> Matched {
        let Some(client) = self.clients.get_mut(key).filter(|c| c.flow == flow) else {
            return Matched::Nothing;
        };
        let effect = match &mut client.machine {
            ClientMachine::Invite { machine, request } => {
                machine.on_response(now, response.code(), || ack_of_refusal(request, response))
            }
            ClientMachine::Other { machine, .. } => machine.on_response(now, response.code()),
        };
        match effect.notice {
            Some(_) => Matched::News(client.leg, effect.send),
            None => Matched::Old(effect.send),
        }
    }

    /// The request of a client transaction, and where it went.
    pub(super) fn sent(&self, key: &ClientKey) -> Option<(FlowId, Request)> {
        let client = self.clients.get(key)?;
        Some(match &client.machine {
            ClientMachine::Invite { request, .. } | ClientMachine::Other { request, .. } => {
                (client.flow, request.clone())
            }
        })
    }

    pub(super) fn forget_client(&mut self, key: &ClientKey) {
        self.clients.remove(key);
    }

    /// Whether another server transaction may be begun on the flow.
    pub(super) fn has_room(&self, flow: FlowId) -> bool {
        let of_flow = self.servers.keys().filter(|k| k.flow == flow).count();
        self.servers.len() < limits::SERVER_TRANSACTIONS_MAX
            && of_flow < limits::FLOW_SERVER_TRANSACTIONS_MAX
    }

    /// Takes a request that has come before: what to send again, or `None` if it is new.
    pub(super) fn on_request(&self, key: &ServerKey) -> Option<Effect> {
        Some(match &self.servers.get(key)?.machine {
            ServerMachine::Invite(machine) => machine.on_request(),
            ServerMachine::Waiting => Effect::default(),
            ServerMachine::Other(machine) => machine.on_request(),
        })
    }

    /// Whether the same request is here already by another way.
    pub(super) fn is_merged(&self, key: &ServerKey, id: &RequestId) -> bool {
        self.servers.iter().any(|(k, s)| k.method == key.method && s.id == *id)
    }

    /// Begins the server transaction of an INVITE.
    pub(super) fn open_invite(&mut self, key: ServerKey, id: RequestId, leg: Option<LegId>) {
        let machine = ServerMachine::Invite(InviteServer::start());
        self.servers.insert(key, Server { leg, id, machine });
    }

    /// Begins the server transaction of another request with its answer: what to send.
    pub(super) fn open_other(
        &mut self,
        now: Instant,
        key: ServerKey,
        id: RequestId,
        response: &Response,
    ) -> Option<Bytes> {
        let (machine, effect) = OtherServer::answer(now, response.to_bytes().into());
        self.servers.insert(key, Server { leg: None, id, machine: ServerMachine::Other(machine) });
        effect.send
    }

    /// Begins the server transaction of another request that the room above answers.
    pub(super) fn open_waiting(&mut self, key: ServerKey, id: RequestId, leg: LegId) {
        self.servers.insert(key, Server { leg: Some(leg), id, machine: ServerMachine::Waiting });
    }

    /// Hands a response to the transaction of an INVITE, or of a request that waits for it: what
    /// to send.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        key: &ServerKey,
        response: &Response,
    ) -> Option<Bytes> {
        let machine = &mut self.servers.get_mut(key)?.machine;
        match machine {
            ServerMachine::Invite(machine) => {
                machine.respond(now, response.code(), response.to_bytes().into()).send
            }
            ServerMachine::Waiting => {
                let (answered, effect) = OtherServer::answer(now, response.to_bytes().into());
                *machine = ServerMachine::Other(answered);
                effect.send
            }
            ServerMachine::Other(_) => None,
        }
    }

    /// Takes an ACK; `false` if it is for a 2xx.
    pub(super) fn on_ack(&mut self, now: Instant, key: &ServerKey) -> bool {
        match self.servers.get_mut(key).map(|s| &mut s.machine) {
            Some(ServerMachine::Invite(machine)) => machine.on_ack(now),
            _ => false,
        }
    }

    /// The leg of an INVITE that is not finally answered yet, and whether there is such an INVITE
    /// at all.
    pub(super) fn invite(&self, key: &ServerKey) -> Option<Option<LegId>> {
        let server = self.servers.get(key)?;
        match &server.machine {
            ServerMachine::Invite(machine) if machine.is_unanswered() => Some(server.leg),
            ServerMachine::Invite(_) => Some(None),
            ServerMachine::Waiting | ServerMachine::Other(_) => None,
        }
    }

    /// The earliest timer.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let clients = self.clients.values().filter_map(|c| match &c.machine {
            ClientMachine::Invite { machine, .. } => machine.deadline(),
            ClientMachine::Other { machine, .. } => machine.deadline(),
        });
        clients.chain(self.servers.values().filter_map(Server::deadline)).min()
    }

    /// Fires the timers of server transactions: what to send.
    pub(super) fn fire_servers(&mut self, now: Instant) -> Vec<(FlowId, Bytes)> {
        let mut sends = Vec::new();
        self.servers.retain(|key, server| {
            if server.deadline().is_none_or(|at| at > now) {
                return true;
            }
            let ServerMachine::Invite(machine) = &mut server.machine else { return false };
            sends.extend(machine.on_timer(now).send.map(|bytes| (key.flow, bytes)));
            !machine.is_terminated()
        });
        sends
    }

    /// Fires the timers of client transactions.
    pub(super) fn fire_clients(&mut self, now: Instant) -> Fired {
        let mut fired = Fired::default();
        self.clients.retain(|key, client| {
            let (effect, over) = match &mut client.machine {
                ClientMachine::Invite { machine, .. } => {
                    (machine.on_timer(now), machine.is_terminated())
                }
                ClientMachine::Other { machine, .. } => {
                    (machine.on_timer(now), machine.is_terminated())
                }
            };
            fired.sends.extend(effect.send.map(|bytes| (client.flow, bytes)));
            if effect.notice == Some(Notice::TimedOut) {
                fired.timed_out.push((key.clone(), client.leg));
            }
            !over
        });
        fired
    }

    /// Whether a transaction on the flow still waits for the other side.
    pub(super) fn is_waiting(&self, flow: FlowId) -> bool {
        let client = |c: &Client| match &c.machine {
            ClientMachine::Invite { machine, .. } => machine.is_pending(),
            ClientMachine::Other { machine, .. } => machine.is_pending(),
        };
        let server = |s: &Server| match &s.machine {
            ServerMachine::Invite(machine) => machine.is_pending(),
            ServerMachine::Waiting => true,
            ServerMachine::Other(_) => false,
        };
        self.clients.values().any(|c| c.flow == flow && client(c))
            || self.servers.iter().any(|(k, s)| k.flow == flow && server(s))
    }

    pub(super) fn forget_flow(&mut self, flow: FlowId) {
        self.clients.retain(|_, client| client.flow != flow);
        self.servers.retain(|key, _| key.flow != flow);
    }

    /// Moves the transactions of a leg to another flow.
    pub(super) fn move_leg(&mut self, leg: LegId, flow: FlowId) {
        for client in self.clients.values_mut().filter(|c| c.leg == leg) {
            client.flow = flow;
        }
        let of_leg = self.servers.iter().filter(|(_, s)| s.leg == Some(leg));
        let keys: Vec<ServerKey> = of_leg.map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(server) = self.servers.remove(&key) {
                self.servers.insert(ServerKey { flow, ..key }, server);
            }
        }
    }
}

impl Server {
    fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            ServerMachine::Invite(machine) => machine.deadline(),
            ServerMachine::Waiting => None,
            ServerMachine::Other(machine) => Some(machine.deadline()),
        }
    }
}

/// The ACK for a refusal (RFC 3261 §17.1.1.3).
fn ack_of_refusal(invite: &Request, response: &Response) -> Bytes {
    invite.follow_up(rsip::Method::Ack, response.headers.first("To")).to_bytes().into()
}
