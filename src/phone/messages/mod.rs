//! Conversations: texts outside of calls (RFC 3428), kept here and delivered from device to device.
//!
//! | file | what |
//! |---|---|
//! | `store` | conversations in the database |
//! | `outbox` | texts of ours on their way, until the other side has them |

mod outbox;
mod store;

use std::sync::Arc;

use rsip::StatusCode;
use serde::{Deserialize, Serialize};

pub(super) use outbox::{Outbox, OutboxReport};
pub(super) use store::{BackedUpMessage, COLUMNS, SCHEMA, read};

use super::account::AccountId;
use super::api::{Direction, Event, Snapshot};
use super::engine::Engine;
use super::names::{as_typed, forwarding, own_sentence};
use crate::link::unix_ms;
use crate::sip::{self, Command, FlowId, LegId};
use crate::usage::Aor;
use store::NewMessage;

/// Names one text for as long as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub i64);

/// All that was written to one person and by them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Conversation {
    /// The other side's Address of Record.
    pub peer: String,
    /// The texts, in the order in which they came to be here.
    pub messages: Vec<Message>,
    /// How many of them the user has not seen.
    pub unread: usize,
    /// Whether the other side is a stranger: they are listed quietly, and the user has not written
    /// to them.
    pub is_knocking: bool,
    /// Why what waits is not delivered yet, once that was tried.
    pub obstacle: Option<Obstacle>,
}

/// One text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The text's name in commands.
    pub id: MessageId,
    /// Whose it is.
    pub direction: Direction,
    /// The text.
    pub text: String,
    /// When it was written, milliseconds since the Unix epoch; for a text of the other side that
    /// is what they say of it, unless that has still to come.
    pub unix_ms: u64,
    /// What has become of it.
    pub delivery: Delivery,
    /// Whether the writer's name is of another domain than the overlay: unverified, for an overlay
    /// that takes any name can't know to whom the domain belongs (RFC 7904 §8.2.3).
    pub is_domain_unverified: bool,
}

/// What has become of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Delivery {
    /// It is the other side's.
    Received,
    /// The other side does not have it yet; it is tried again until they have.
    Waiting,
    /// Somebody has it who will pass it on (202): nobody hears whether it arrives.
    Sent,
    /// A device of the other side has it. Whether they have read it is for them to say.
    Delivered,
    /// The other side does not take it.
    Refused {
        /// Their answer, as RFC 3261 §21 numbers them; 0 if it was too long to be sent.
        status: u16,
    },
    /// The user has taken it back before it was delivered.
    Cancelled,
}

/// Why a text could not be delivered when it was tried last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// We are not in the overlay of the name.
    Out,
    /// Nobody is registered under the name now.
    Unregistered,
    /// Devices are registered, and none can be reached or takes texts now.
    Unreachable,
    /// The device that answers has another key than the name had before.
    Unproven,
}

/// Work on the conversations.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MessageJob {
    /// Write to somebody; a long text goes as several.
    Write {
        /// An Address of Record, or a user name of the default overlay.
        to: String,
        /// The text.
        text: String,
    },
    /// Take a text back that waits.
    Cancel(MessageId),
    /// Try again to deliver a text that was refused or taken back.
    Again(MessageId),
    /// The user has seen all that this person wrote.
    Read(String),
    /// Forget a conversation, with what waits in it.
    Forget(String),
}

impl Snapshot {
    /// The conversation with an Address of Record.
    pub fn conversation(&self, aor: &str) -> Option<&Arc<Conversation>> {
        self.conversations.iter().find(|conversation| conversation.peer == aor)
    }

    /// How many texts the user has not seen, without those of strangers.
    pub fn unread(&self) -> usize {
        let known = self.conversations.iter().filter(|conversation| !conversation.is_knocking);
        known.map(|conversation| conversation.unread).sum()
    }
}

impl Engine {
    /// Works on the conversations.
    pub(super) fn message_job(&mut self, job: MessageJob) -> Result<(), String> {
        let not_kept = |e: rusqlite::Error| format!("The messages could not be changed: {e}.");
        match job {
            MessageJob::Write { to, text } => return self.write(&to, &text),
            MessageJob::Cancel(id) => {
                if self.data.delivery(id).map_err(not_kept)? == Some(Delivery::Waiting) {
                    self.set_delivery(id, Delivery::Cancelled);
                }
            }
            MessageJob::Again(id) => {
                let delivery = self.data.delivery(id).map_err(not_kept)?;
                if matches!(delivery, Some(Delivery::Refused { .. } | Delivery::Cancelled))
                    && let Some(peer) = self.set_delivery(id, Delivery::Waiting)
                {
                    self.deliver_now(&peer);
                }
            }
            MessageJob::Read(peer) => {
                self.data.set_read(&peer).map_err(not_kept)?;
                self.show_conversation(&peer);
            }
            MessageJob::Forget(peer) => {
                self.data.forget_messages(&peer).map_err(not_kept)?;
                self.show_conversation(&peer);
            }
        }
        Ok(())
    }

    /// Keeps a text for somebody and begins to deliver it.
    fn write(&mut self, to: &str, text: &str) -> Result<(), String> {
        let text = shown(text);
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!(
                "This is too long for a message: it has {} bytes, and {TEXT_BYTES_MAX} fit.",
                text.len()
            ));
        }
        let peer = self.addressee(to)?;
        if self.is_blocked(&peer) {
            return Err(format!("You have blocked {peer}: unblock the name to write to it."));
        }
        let is_new = self.snapshot.conversation(&peer).is_none();
        if is_new && self.snapshot.conversations.len() >= CONVERSATIONS_MAX {
            return Err("There are too many conversations: remove one first.".into());
        }
        for part in parts(text, sip::limits::MESSAGE_TEXT_BYTES_MAX) {
            let new = NewMessage {
                peer: &peer,
                direction: Direction::Outgoing,
                call_id: &hex::encode(self.rng.bytes::<16>()),
                text: part,
                unix_ms: unix_ms(),
                is_domain_unverified: false,
            };
            let id = self.data.add_message(&new);
            if let Some(id) = id.map_err(|e| format!("The message was not kept: {e}."))? {
                let (peer, delivery) = (peer.clone(), Delivery::Waiting);
                self.event(Event::Delivery { id, peer, delivery });
            }
        }
        // Whoever answers has seen what they answer to.
        let _ = self.data.set_read(&peer);
        self.show_conversation(&peer);
        self.deliver_now(&peer);
        Ok(())
    }

    /// Whom a text is for. It may be somebody in an overlay that we are still on the way into.
    fn addressee(&self, to: &str) -> Result<String, String> {
        let heard = self.snapshot.history.iter().map(|entry| entry.peer.as_str());
        let contacts = self.snapshot.contacts.iter().map(|contact| contact.aor.as_str());
        let written = self.snapshot.conversations.iter().map(|c| c.peer.as_str());
        let default = self.snapshot.me().map_or("", |me| me.overlay.as_str());
        let to = as_typed(to, heard.chain(contacts).chain(written));
        let peer = forwarding(&to, default)?;
        let own = self.snapshot.memberships.iter().find(|m| m.me.aor() == peer);
        match own.and_then(|_| Aor::of_user_name(&peer)) {
            Some(own) => Err(own_sentence(&own)),
            None if self.snapshot.memberships.is_empty() => {
                Err("Join an overlay before writing.".into())
            }
            None => Ok(peer),
        }
    }

    /// Somebody has written: it is kept before they are told that we have it.
    pub(super) fn message_arrived(
        &mut self,
        account: AccountId,
        (leg, flow): (LegId, FlowId),
        from: &sip::Aor,
        text: &sip::Text,
    ) {
        let status = self.take_message(account, flow, &from.to_string(), text);
        self.sip_command(account, Command::Receive { leg, status });
    }

    fn take_message(
        &mut self,
        account: AccountId,
        flow: FlowId,
        peer: &str,
        text: &sip::Text,
    ) -> StatusCode {
        let Some(judgement) = self.judge_flow(account, flow, None) else {
            return StatusCode::TemporarilyUnavailable;
        };
        if self.is_blocked(peer) {
            return StatusCode::Decline;
        }
        if judgement.is_refused {
            return StatusCode::Forbidden;
        }
        // It comes again once the user has said whose the key is.
        if judgement.unproven.is_some() {
            return StatusCode::TemporarilyUnavailable;
        }
        let is_knocking = self.writes_unasked(peer);
        if self.is_unwelcome(peer, is_knocking) {
            return StatusCode::TemporarilyUnavailable;
        }
        let domain = peer.rsplit_once('@').map_or(peer, |(_, domain)| domain);
        let now = unix_ms();
        let sip::Text { call_id, text, written_unix_ms } = text;
        let text = shown(text);
        if text.trim().is_empty() {
            return StatusCode::OK;
        }
        let new = NewMessage {
            peer,
            direction: Direction::Incoming,
            call_id,
            text: &text,
            unix_ms: written_unix_ms.map_or(now, |written| written.min(now)),
            is_domain_unverified: self.is_domain_unverified(account, domain),
        };
        match self.data.add_message(&new) {
            Ok(Some(id)) => {
                let unix_ms = new.unix_ms;
                self.show_conversation(peer);
                let peer = peer.to_owned();
                self.event(Event::Message { id, peer, text, unix_ms, is_knocking });
                StatusCode::OK
            }
            Ok(None) => StatusCode::OK,
            Err(error) => {
                self.notice(format!("A message of {peer} could not be kept: {error}."));
                StatusCode::ServerInternalError
            }
        }
    }

    /// Whether somebody writes who is a stranger, and to whom the user has not written.
    fn writes_unasked(&self, peer: &str) -> bool {
        let is_ours = |message: &Message| message.direction == Direction::Outgoing;
        let conversation = self.snapshot.conversation(peer);
        self.knocks(peer) && !conversation.is_some_and(|c| c.messages.iter().any(is_ours))
    }

    /// Whether there is no room for more of a stranger's texts, or for one more conversation.
    fn is_unwelcome(&self, peer: &str, is_knocking: bool) -> bool {
        let conversations = &self.snapshot.conversations;
        match self.snapshot.conversation(peer) {
            Some(conversation) => {
                let unread_max = if is_knocking { KNOCKS_OF_PEER_MAX } else { UNREAD_MAX };
                conversation.unread >= unread_max
            }
            None if is_knocking => {
                conversations.iter().filter(|c| c.is_knocking).count() >= KNOCKING_MAX
            }
            None => conversations.len() >= CONVERSATIONS_MAX,
        }
    }

    /// What has become of a text of ours is kept and told; to whom it was written.
    fn set_delivery(&mut self, id: MessageId, delivery: Delivery) -> Option<String> {
        match self.data.set_delivery(id, delivery) {
            Ok(peer) => {
                let peer = peer?;
                self.show_conversation(&peer);
                self.event(Event::Delivery { id, peer: peer.clone(), delivery });
                Some(peer)
            }
            Err(error) => {
                self.notice(format!("The messages could not be changed: {error}."));
                None
            }
        }
    }

    /// Shows a conversation as it is now, in front of the others if it has the latest text.
    fn show_conversation(&mut self, peer: &str) {
        let conversation = match self.data.conversation(peer) {
            Ok(conversation) => conversation,
            Err(error) => {
                return self.notice(format!("The messages can't be read: {error}."));
            }
        };
        let obstacle = self.outbox.obstacle(peer);
        let conversations = Arc::make_mut(&mut self.snapshot.conversations);
        conversations.retain(|conversation| conversation.peer != peer);
        if let Some(conversation) = conversation {
            conversations.push(Arc::new(Conversation { obstacle, ..conversation }));
            let latest = |c: &Arc<Conversation>| c.messages.last().map(|message| message.id);
            conversations.sort_by_key(|conversation| std::cmp::Reverse(latest(conversation)));
        }
        self.show_knocking();
    }

    /// Shows the conversations that a backup has brought back, and delivers what waits in them.
    pub(super) fn messages_restored(&mut self) {
        self.snapshot.conversations = Arc::new(self.data.conversations().unwrap_or_default());
        self.show_knocking();
        self.deliver_all();
    }

    /// Says of each conversation whether it is with a stranger, which contacts and calls change.
    pub(super) fn show_knocking(&mut self) {
        let peers = self.snapshot.conversations.iter().map(|c| (c.peer.clone(), c.is_knocking));
        let changed: Vec<String> = peers
            .filter(|(peer, was_knocking)| self.writes_unasked(peer) != *was_knocking)
            .map(|(peer, _)| peer)
            .collect();
        if changed.is_empty() {
            return;
        }
        for conversation in Arc::make_mut(&mut self.snapshot.conversations) {
            if changed.contains(&conversation.peer) {
                let is_knocking = !conversation.is_knocking;
                Arc::make_mut(conversation).is_knocking = is_knocking;
            }
        }
    }
}

/// A text without what would change how others around it look.
fn shown(text: &str) -> String {
    let is_shown = |c: &char| {
        let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        !turns && (!c.is_control() || matches!(c, '\n' | '\t'))
    };
    text.replace("\r\n", "\n").chars().filter(is_shown).collect()
}

/// A text in pieces of so many bytes at most, cut between words where that is possible.
fn parts(text: &str, bytes_max: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while rest.len() > bytes_max {
        let end = rest.floor_char_boundary(bytes_max);
        let blank = rest[..end].rfind(char::is_whitespace).filter(|at| *at > end / 2);
        let (part, next) = rest.split_at(blank.unwrap_or(end));
        parts.push(part.trim_end());
        rest = next.trim_start();
    }
    parts.push(rest);
    parts
}

// limits

/// The longest text that the user may write at once, in bytes: two pages.
const TEXT_BYTES_MAX: usize = 8000;
/// Conversations kept.
const CONVERSATIONS_MAX: usize = 500;
/// Strangers who have written at a time; further ones are told to come again.
const KNOCKING_MAX: usize = 20;
/// Texts of a stranger, until the user has seen them.
const KNOCKS_OF_PEER_MAX: usize = 8;
/// Texts of one person that the user has not seen, before they are told to come again.
const UNREAD_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_go_in_pieces() {
        assert_eq!(parts("hello", 640), ["hello"]);
        assert_eq!(parts("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(parts("äöüäöü", 5), ["äö", "üä", "öü"]);
        let long = "word ".repeat(700);
        let pieces = parts(long.trim(), 640);
        assert!(pieces.iter().all(|piece| piece.len() <= 640 && !piece.ends_with(' ')));
        assert_eq!(pieces.join(" "), long.trim());
    }

    #[test]
    fn texts_cannot_turn_others_around() {
        assert_eq!(shown("a\r\nb\tc\u{7}\u{1b}[1m\u{202e}d"), "a\nb\tc[1md");
    }
}
