//! Favors that peers ask of each other by extensions of Ping, ours both: credentials for a relay
//! (T-42), and a knock at an address that may be reachable (T-43).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Encode, Instant, Reader, Writer};
use crate::message::{
    Destination, MessageContents, MessageExtension, Method, PingReq, decode_address, encode_address,
};
use crate::usage::Lender;

use super::Peer;
use super::api::{Answer, Event, RequestError, RequestId};
use super::requests::{Failure, Goal, Reply};
use super::serve::Question;

/// What we do for others.
#[derive(Debug, Default)]
pub(super) struct Lending {
    lender: Option<Arc<dyn Lender>>,
    /// Before this we knock nowhere again.
    knock_at: Option<Instant>,
}

impl Peer {
    pub(super) fn lend(&mut self, lender: Option<Arc<dyn Lender>>) {
        self.lending.lender = lender;
    }

    pub(super) fn ask_relay(&mut self, request: RequestId, of: Destination, question: Vec<u8>) {
        self.ask_favor(request, of, MessageExtension::RELAY_CREDENTIALS, question);
    }

    pub(super) fn ask_knock(
        &mut self,
        request: RequestId,
        of: Destination,
        address: SocketAddr,
        transaction: [u8; 12],
    ) {
        let mut writer = Writer::default();
        encode_address(address, &mut writer);
        writer.bytes(&transaction);
        // An address is never too long.
        let data = writer.finish().unwrap_or_default();
        self.ask_favor(request, of, MessageExtension::KNOCK, data);
    }

    /// What goes along with the answer to a Ping.
    pub(super) fn favors(&mut self, question: &Question) -> Vec<MessageExtension> {
        let node = question.signed.node_id;
        let mut done = Vec::new();
        for MessageExtension { extension_type, data, .. } in &question.extensions {
            let answer = match *extension_type {
                MessageExtension::RELAY_CREDENTIALS => {
                    let lender = self.lending.lender.as_ref();
                    lender.and_then(|lender| lender.grant(node, self.now.unix_ms, data))
                }
                MessageExtension::KNOCK => self.knock(data).then(Vec::new),
                _ => None,
            };
            // One of each is enough.
            if let Some(data) = answer
                && done.iter().all(|e: &MessageExtension| e.extension_type != *extension_type)
            {
                done.push(favor(*extension_type, data));
            }
        }
        done
    }

    pub(super) fn favored(
        &mut self,
        request: RequestId,
        asked: u16,
        outcome: Result<Reply, Failure>,
    ) {
        let result = outcome.map_err(RequestError::from).and_then(|reply| {
            let node_id = reply.signed.node_id;
            let found = reply.extensions.into_iter().find(|e| e.extension_type == asked);
            let answer = found.ok_or(RequestError::NotDone)?.data;
            Ok(Answer::Favored { node_id, answer })
        });
        self.done(request, result);
    }

    fn ask_favor(&mut self, request: RequestId, of: Destination, asked: u16, data: Vec<u8>) {
        let is_linked = matches!(&of, Destination::Node(node) if self.links.has(*node));
        if !is_linked && !self.is_in_overlay() {
            return self.done(request, Err(RequestError::NotJoined));
        }
        let ping = PingReq::default().to_bytes().unwrap_or_default();
        let mut contents = MessageContents::new(Method::Ping.request(), ping);
        contents.extensions = vec![favor(asked, data)];
        let goal = Goal::Favor(request, asked);
        if let Err(error) = self.request_with(vec![of], None, contents, &[], goal) {
            self.done(request, Err(error));
        }
    }

    /// Has somebody's address knocked at, unless there has just been another.
    fn knock(&mut self, data: &[u8]) -> bool {
        let mut reader = Reader::new(data);
        let address = decode_address(&mut reader).ok().flatten();
        let (Some(address), Ok(transaction)) = (address, reader.array()) else { return false };
        let now = self.now.instant;
        if self.lending.knock_at.is_some_and(|at| now < at) {
            return false;
        }
        self.lending.knock_at = Some(now + KNOCK_PAUSE);
        self.emit(Event::Knock(address, transaction));
        true
    }
}

fn favor(extension_type: u16, data: Vec<u8>) -> MessageExtension {
    MessageExtension { extension_type, critical: false, data }
}

// limits

/// Between two knocks: each is a datagram to where somebody else says.
const KNOCK_PAUSE: Duration = Duration::from_millis(500);
