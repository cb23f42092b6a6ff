//! Conversations as the database keeps them.

use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Conversation, Delivery, Message, MessageId};
use crate::phone::api::Direction;
use crate::phone::data::Data;

/// A text that is to be kept.
pub(in crate::phone) struct NewMessage<'a> {
    pub(super) peer: &'a str,
    pub(super) direction: Direction,
    /// The same for each attempt to deliver it.
    pub(super) call_id: &'a str,
    pub(super) text: &'a str,
    pub(super) unix_ms: u64,
    pub(super) is_domain_unverified: bool,
}

/// A text of ours that is to be delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: MessageId,
    pub(super) call_id: String,
    pub(super) text: String,
    pub(super) unix_ms: u64,
}

/// A text in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::phone) struct BackedUpMessage {
    peer: String,
    is_incoming: bool,
    call_id: String,
    text: String,
    unix_ms: u64,
    state: String,
    status: u16,
    is_unread: bool,
    is_domain_unverified: bool,
}

impl BackedUpMessage {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            peer: row.get("peer")?,
            is_incoming: row.get("incoming")?,
            call_id: row.get("call_id")?,
            text: row.get("text")?,
            unix_ms: row.get::<_, i64>("unix_ms")?.max(0) as u64,
            state: row.get("state")?,
            status: row.get("status")?,
            is_unread: row.get("unread")?,
            is_domain_unverified: row.get("unverified")?,
        })
    }

    /// Adds the text as this row unless it is there.
    fn insert(&self, id: i64, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "INSERT OR IGNORE INTO messages
             (id, peer, incoming, call_id, text, unix_ms, state, status, unread, unverified)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                id,
                self.peer,
                self.is_incoming,
                self.call_id,
                self.text,
                self.unix_ms as i64,
                self.state,
                self.status,
                self.is_unread,
                self.is_domain_unverified,
            ],
        )?;
        Ok(())
    }
}

impl Data {
    /// The texts that a backup takes along, the oldest first: the latest ones that fit.
    pub(in crate::phone) fn messages_to_back_up(&self) -> rusqlite::Result<Vec<BackedUpMessage>> {
        let query = format!("SELECT {COLUMNS} FROM messages ORDER BY id DESC");
        let mut statement = self.connection.prepare(&query)?;
        let mut rows = statement.query([])?;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let message = BackedUpMessage::read(row)?;
            bytes += message.text.len() + message.peer.len() + BACKED_UP_BYTES;
            if bytes > BACKUP_BYTES_MAX {
                break;
            }
            messages.push(message);
        }
        messages.reverse();
        Ok(messages)
    }

    /// Takes in texts of a backup, before those that are here: they are older. What is here
    /// already is not changed; what waited is delivered from here, and whoever has it takes it
    /// for the same text.
    pub(in crate::phone) fn restore_messages(
        &self,
        messages: &[BackedUpMessage],
    ) -> rusqlite::Result<()> {
        let query = "SELECT min(0, coalesce(min(id), 0)) FROM messages";
        let first: i64 = self.connection.query_row(query, [], |row| row.get(0))?;
        for (id, message) in (first - messages.len() as i64..first).zip(messages) {
            message.insert(id, &self.connection)?;
        }
        Ok(())
    }

    /// Keeps a text; `None` if it is kept already. Of what was read or delivered to the same
    /// person, the oldest beyond [`OF_PEER_MAX`] is forgotten.
    pub(super) fn add_message(&self, new: &NewMessage<'_>) -> rusqlite::Result<Option<MessageId>> {
        let is_incoming = new.direction == Direction::Incoming;
        let state = if is_incoming { RECEIVED } else { WAITING };
        let added = self.connection.execute(
            "INSERT OR IGNORE INTO messages
             (peer, incoming, call_id, text, unix_ms, state, status, unread, unverified)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?2, ?7)",
            params![
                new.peer,
                is_incoming,
                new.call_id,
                new.text,
                new.unix_ms as i64,
                state,
                new.is_domain_unverified,
            ],
        )?;
        if added == 0 {
            return Ok(None);
        }
        let id = MessageId(self.connection.last_insert_rowid());
        self.connection.execute(
            "DELETE FROM messages WHERE peer = ?1 AND state != ?2 AND unread = 0 AND id <=
             (SELECT id FROM messages WHERE peer = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
            params![new.peer, WAITING, OF_PEER_MAX],
        )?;
        Ok(Some(id))
    }

    /// What has become of a text of ours; to whom it was written.
    pub(super) fn set_delivery(
        &self,
        id: MessageId,
        delivery: Delivery,
    ) -> rusqlite::Result<Option<String>> {
        let (state, status) = columns(delivery);
        self.connection
            .query_row(
                "UPDATE messages SET state = ?2, status = ?3 WHERE id = ?1 AND incoming = 0
                 RETURNING peer",
                params![id.0, state, status],
                |row| row.get(0),
            )
            .optional()
    }

    /// What has become of a text of ours so far.
    pub(super) fn delivery(&self, id: MessageId) -> rusqlite::Result<Option<Delivery>> {
        let query = "SELECT state, status FROM messages WHERE id = ?1 AND incoming = 0";
        self.connection
            .query_row(query, [id.0], |row| delivery(row.get(0)?, row.get(1)?))
            .optional()
    }

    /// The text of ours that is to be delivered next to somebody.
    pub(super) fn next_waiting(&self, peer: &str) -> rusqlite::Result<Option<Waiting>> {
        self.connection
            .query_row(
                "SELECT id, call_id, text, unix_ms FROM messages
                 WHERE peer = ?1 AND state = ?2 AND incoming = 0 ORDER BY id LIMIT 1",
                [peer, WAITING],
                |row| {
                    Ok(Waiting {
                        id: MessageId(row.get(0)?),
                        call_id: row.get(1)?,
                        text: row.get(2)?,
                        unix_ms: row.get::<_, i64>(3)?.max(0) as u64,
                    })
                },
            )
            .optional()
    }

    /// To whom there is something to be delivered.
    pub(super) fn awaited(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare(
            "SELECT DISTINCT peer FROM messages WHERE state = ?1 AND incoming = 0 ORDER BY peer",
        )?;
        statement.query_map([WAITING], |row| row.get(0))?.collect()
    }

    /// What was read by the user.
    pub(super) fn set_read(&self, peer: &str) -> rusqlite::Result<()> {
        self.connection
            .execute("UPDATE messages SET unread = 0 WHERE peer = ?1 AND unread != 0", [peer])?;
        Ok(())
    }

    /// Forgets all that was written to somebody or by them.
    pub(super) fn forget_messages(&self, peer: &str) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM messages WHERE peer = ?1", [peer])?;
        Ok(())
    }

    /// All that was written to somebody and by them; `None` if nothing was.
    pub(super) fn conversation(&self, peer: &str) -> rusqlite::Result<Option<Conversation>> {
        let query = format!("SELECT {COLUMNS} FROM messages WHERE peer = ?1 ORDER BY id");
        let mut statement = self.connection.prepare(&query)?;
        let mut unread = 0;
        let rows = statement.query_map([peer], |row| {
            unread += usize::from(row.get::<_, bool>("unread")?);
            read(row)
        })?;
        let messages: Vec<Message> = rows.collect::<Result<_, _>>()?;
        let peer = peer.to_owned();
        Ok((!messages.is_empty()).then_some(Conversation {
            peer,
            messages,
            unread,
            ..Conversation::default()
        }))
    }

    /// All conversations, that with the latest text first.
    pub(in crate::phone) fn conversations(&self) -> rusqlite::Result<Vec<Arc<Conversation>>> {
        let mut statement = self
            .connection
            .prepare("SELECT peer FROM messages GROUP BY peer ORDER BY max(id) DESC, peer")?;
        let peers: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let conversations = peers.iter().filter_map(|peer| self.conversation(peer).transpose());
        conversations.map(|conversation| conversation.map(Arc::new)).collect()
    }
}

/// A row as [`COLUMNS`] gives it.
pub(in crate::phone) fn read(row: &Row<'_>) -> rusqlite::Result<Message> {
    let is_incoming: bool = row.get("incoming")?;
    // These are read elsewhere; what is damaged must show here.
    let (_, _): (String, String) = (row.get("peer")?, row.get("call_id")?);
    let _: bool = row.get("unread")?;
    let state = delivery(row.get("state")?, row.get("status")?)?;
    if is_incoming != (state == Delivery::Received) {
        return Err(unreadable("who has written it"));
    }
    Ok(Message {
        id: MessageId(row.get("id")?),
        direction: if is_incoming { Direction::Incoming } else { Direction::Outgoing },
        text: row.get("text")?,
        unix_ms: row.get::<_, i64>("unix_ms")?.max(0) as u64,
        delivery: state,
        is_domain_unverified: row.get("unverified")?,
    })
}

fn columns(delivery: Delivery) -> (&'static str, u16) {
    match delivery {
        Delivery::Received => (RECEIVED, 0),
        Delivery::Waiting => (WAITING, 0),
        Delivery::Sent => ("sent", 0),
        Delivery::Delivered => ("delivered", 0),
        Delivery::Refused { status } => ("refused", status),
        Delivery::Cancelled => ("cancelled", 0),
    }
}

fn delivery(state: String, status: u16) -> rusqlite::Result<Delivery> {
    Ok(match state.as_str() {
        RECEIVED => Delivery::Received,
        WAITING => Delivery::Waiting,
        "sent" => Delivery::Sent,
        "delivered" => Delivery::Delivered,
        "refused" => Delivery::Refused { status },
        "cancelled" => Delivery::Cancelled,
        _ => return Err(unreadable("its state")),
    })
}

fn unreadable(what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}

const RECEIVED: &str = "received";
const WAITING: &str = "waiting";

pub(in crate::phone) const COLUMNS: &str =
    "id, peer, incoming, call_id, text, unix_ms, state, status, unread, unverified";

pub(in crate::phone) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS messages (
        id INTEGER PRIMARY KEY,
        peer TEXT NOT NULL,
        incoming INTEGER NOT NULL,
        call_id TEXT NOT NULL,
        text TEXT NOT NULL,
        unix_ms INTEGER NOT NULL,
        state TEXT NOT NULL,
        status INTEGER NOT NULL,
        unread INTEGER NOT NULL,
        unverified INTEGER NOT NULL,
        UNIQUE (peer, incoming, call_id)
    );
";

// limits

/// Texts kept of one conversation: some months of a lively one.
const OF_PEER_MAX: i64 = 1000;
/// Bytes of texts in a backup: half of what a backup may have.
const BACKUP_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a text in a backup beside itself and its peer's name.
const BACKED_UP_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &tempfile::TempDir) -> Data {
        Data::open(&folder.path().join("data.db")).expect("opened")
    }

    fn add(data: &Data, direction: Direction, call_id: &str, text: &str) -> Option<MessageId> {
        let peer = "bob@example.org";
        let (unix_ms, is_domain_unverified) = (7, false);
        let new = NewMessage { peer, direction, call_id, text, unix_ms, is_domain_unverified };
        data.add_message(&new).expect("written")
    }

    fn texts(data: &Data) -> Vec<String> {
        let conversation = data.conversation("bob@example.org").expect("read").expect("there");
        conversation.messages.into_iter().map(|message| message.text).collect()
    }

    #[test]
    fn texts_and_their_states_survive_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = open(&folder);
        let first = add(&data, Direction::Outgoing, "a", "one").expect("new");
        let second = add(&data, Direction::Outgoing, "b", "two").expect("new");
        add(&data, Direction::Incoming, "c", "three").expect("new");
        assert_eq!(add(&data, Direction::Incoming, "c", "three"), None, "it came twice");
        let peer = data.set_delivery(first, Delivery::Refused { status: 603 }).expect("written");
        assert_eq!(peer.as_deref(), Some("bob@example.org"));
        drop(data);
        let data = open(&folder);
        assert_eq!(texts(&data), ["one", "two", "three"]);
        let conversation = data.conversations().expect("read")[0].clone();
        assert_eq!((conversation.peer.as_str(), conversation.unread), ("bob@example.org", 1));
        assert_eq!(conversation.messages[0].delivery, Delivery::Refused { status: 603 });
        assert_eq!(data.awaited(), Ok(vec!["bob@example.org".to_owned()]));
        let next = data.next_waiting("bob@example.org").expect("read").expect("there");
        assert_eq!((next.id, next.call_id.as_str(), next.unix_ms), (second, "b", 7));
        data.set_delivery(second, Delivery::Delivered).expect("written");
        assert_eq!(data.next_waiting("bob@example.org"), Ok(None));
        data.set_read("bob@example.org").expect("written");
        assert_eq!(data.conversations().expect("read")[0].unread, 0);
        data.forget_messages("bob@example.org").expect("written");
        assert!(data.conversations().expect("read").is_empty());
    }

    /// Nothing that waits or is unread is forgotten, however long a conversation gets.
    #[test]
    fn old_texts_are_forgotten_and_waiting_ones_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = open(&folder);
        add(&data, Direction::Outgoing, "waits", "waits").expect("new");
        data.connection.execute_batch("BEGIN").expect("begun");
        for number in 0..OF_PEER_MAX + 10 {
            let text = number.to_string();
            let id = add(&data, Direction::Outgoing, &text, &text).expect("new");
            data.set_delivery(id, Delivery::Delivered).expect("written");
        }
        data.connection.execute_batch("COMMIT").expect("done");
        let texts = texts(&data);
        assert_eq!(texts.len(), OF_PEER_MAX as usize + 1);
        assert_eq!((texts[0].as_str(), texts[1].as_str()), ("waits", "10"));
    }

    /// Texts come back from a backup before those that were written since, once, as they were.
    #[test]
    fn texts_come_back_from_a_backup() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [old, new] = folders.each_ref().map(open);
        let first = add(&old, Direction::Outgoing, "a", "one").expect("new");
        old.set_delivery(first, Delivery::Refused { status: 603 }).expect("written");
        add(&old, Direction::Outgoing, "b", "two").expect("new");
        add(&old, Direction::Incoming, "c", "three").expect("new");
        add(&new, Direction::Incoming, "c", "three").expect("new");
        add(&new, Direction::Incoming, "d", "four").expect("new");
        for _ in 0..2 {
            new.restore_messages(&old.messages_to_back_up().expect("read")).expect("taken in");
        }
        assert_eq!(texts(&new), ["one", "two", "three", "four"]);
        let conversation = new.conversation("bob@example.org").expect("read").expect("there");
        assert_eq!(conversation.unread, 2);
        assert_eq!(conversation.messages[0].delivery, Delivery::Refused { status: 603 });
        assert_eq!(new.awaited(), Ok(vec!["bob@example.org".to_owned()]), "it is delivered");
        add(&new, Direction::Incoming, "e", "five").expect("new");
        assert_eq!(texts(&new), ["one", "two", "three", "four", "five"]);
    }

    /// A damaged row is set aside, once, and told of; the others stay.
    #[test]
    fn damaged_texts_are_set_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = open(&folder);
        for call_id in ["a", "b", "c"] {
            add(&data, Direction::Outgoing, call_id, call_id).expect("new");
        }
        for damage in [
            "UPDATE messages SET state = 'lost' WHERE call_id = 'a'",
            "UPDATE messages SET text = x'ff00' WHERE call_id = 'b'",
        ] {
            data.connection.execute(damage, []).expect("damaged");
        }
        let notice = data.look_after().expect("usable").expect("a sentence");
        assert!(notice.contains("messages") && notice.contains("2 set aside"), "{notice}");
        assert_eq!(texts(&data), ["c"]);
        assert_eq!(data.look_after(), Ok(None));
    }
}
