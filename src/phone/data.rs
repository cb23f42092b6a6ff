//! What the phone remembers, in SQLite: recent calls, keys seen, the overlay joined last.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::api::{Direction, HistoryEntry, Me};
use super::book::{self, Contact};
use super::messages::{self, BackedUpMessage};

/// The database.
#[derive(Debug)]
pub struct Data {
    pub(super) connection: Connection,
}

/// An overlay that this computer runs the server of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostedRow {
    /// The overlay's name.
    pub(super) overlay: String,
    /// The account of the user who has started it.
    pub(super) user: String,
    /// Where its first peer listens.
    pub(super) listen: SocketAddr,
    /// The host name or address by which others reach it, where that is not its own.
    pub(super) host: Option<String>,
    /// Whether it is not run again when the program starts.
    pub(super) is_stopped: bool,
}

/// An overlay's name and a user in it.
pub type OverlayUser = (String, String);

/// What a backup takes along of what the phone remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memories {
    /// Recent calls, the newest first.
    calls: Vec<HistoryEntry>,
    /// The user's contacts.
    contacts: Vec<Contact>,
    /// Conversations, the oldest text first.
    messages: Vec<BackedUpMessage>,
    /// Keys that stand for names, or were refused: overlay, Address of Record, Node-ID, which.
    pins: Vec<[String; 4]>,
    /// Overlays founded, and where they listened.
    founded: Vec<(String, String)>,
    /// Overlay and user joined last.
    last: Vec<(String, String)>,
    /// Overlays that we were in, and who we were there.
    joined: Vec<(String, String)>,
}

impl Data {
    /// Opens the database in a file, making it if it does not exist.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let schemas = [SCHEMA, super::pins::SCHEMA, super::contacts::SCHEMA, book::SCHEMA];
        let schema = schemas.concat() + messages::SCHEMA;
        // At once, for the disk is waited for after each change, and the window after that.
        connection.execute_batch(&format!("BEGIN; {schema} COMMIT;"))?;
        Ok(Self { connection })
    }

    /// Remembers a call; the oldest beyond [`HISTORY_MAX`] are forgotten.
    pub fn add_call(&self, entry: &HistoryEntry) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO calls (incoming, peer, unix_ms, duration_ms, outcome, answered)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                entry.direction == Direction::Incoming,
                entry.peer,
                entry.unix_ms as i64,
                entry.duration.as_millis() as i64,
                entry.outcome,
                entry.answered,
            ],
        )?;
        self.connection.execute(
            "DELETE FROM calls WHERE id NOT IN (SELECT id FROM calls ORDER BY id DESC LIMIT ?1)",
            [HISTORY_MAX],
        )?;
        Ok(())
    }

    /// Recent calls, the newest first.
    pub fn calls(&self) -> rusqlite::Result<Vec<HistoryEntry>> {
        let query = format!("SELECT {CALL_COLUMNS} FROM calls ORDER BY id DESC LIMIT ?1");
        let mut statement = self.connection.prepare(&query)?;
        statement.query_map([HISTORY_MAX], read_call)?.collect()
    }

    /// Forgets all calls, and where they went.
    pub fn clear_calls(&self) -> rusqlite::Result<()> {
        self.connection
            .execute_batch("DELETE FROM calls; DELETE FROM devices; DELETE FROM written;")
    }

    /// Remembers that an overlay was founded here, and where it listened.
    pub fn set_founded(&self, overlay: &str, listen: SocketAddr) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO founded (overlay, listen) VALUES (?1, ?2)
             ON CONFLICT (overlay) DO UPDATE SET listen = ?2",
            params![overlay, listen.to_string()],
        )?;
        Ok(())
    }

    /// The overlays founded here, by name.
    pub fn founded(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement =
            self.connection.prepare("SELECT overlay FROM founded ORDER BY overlay")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// Where an overlay founded here listened: its document names this address.
    pub fn founded_listen(&self, overlay: &str) -> rusqlite::Result<Option<SocketAddr>> {
        let listen: Option<String> = self
            .connection
            .query_row("SELECT listen FROM founded WHERE overlay = ?1", [overlay], |row| row.get(0))
            .optional()?;
        Ok(listen.and_then(|listen| listen.parse().ok()))
    }

    /// Remembers an overlay that is run here.
    pub(super) fn set_hosted(&self, row: &HostedRow) -> rusqlite::Result<()> {
        let HostedRow { overlay, user, listen, host, is_stopped } = row;
        self.connection.execute(
            "INSERT OR REPLACE INTO hosted (overlay, user, listen, host, is_stopped)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![overlay, user, listen.to_string(), host, is_stopped],
        )?;
        Ok(())
    }

    /// Remembers that an overlay is run here, unless that is known.
    pub(super) fn add_hosted(&self, row: &HostedRow) -> rusqlite::Result<()> {
        let is_known = self.hosted()?.iter().any(|known| known.overlay == row.overlay);
        if is_known { Ok(()) } else { self.set_hosted(row) }
    }

    /// The overlays that are run here, by name.
    pub(super) fn hosted(&self) -> rusqlite::Result<Vec<HostedRow>> {
        let query = format!("SELECT {HOSTED_COLUMNS} FROM hosted ORDER BY overlay");
        let mut statement = self.connection.prepare(&query)?;
        statement.query_map([], read_hosted)?.collect()
    }

    /// The overlay and user joined last.
    pub fn last(&self) -> rusqlite::Result<Option<Me>> {
        self.connection
            .query_row("SELECT overlay, user FROM last", [], |row| {
                Ok(Me { overlay: row.get(0)?, user: row.get(1)?, node_id: String::new() })
            })
            .optional()
    }

    /// Remembers the overlay and user joined last.
    pub fn set_last(&self, overlay: &str, user: &str) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO last (id, overlay, user) VALUES (0, ?1, ?2)
             ON CONFLICT (id) DO UPDATE SET overlay = ?1, user = ?2",
            [overlay, user],
        )?;
        Ok(())
    }

    /// Remembers that a backup was made that has these users in these overlays.
    pub fn set_backed_up(&self, unix_ms: u64, users: &[OverlayUser]) -> rusqlite::Result<()> {
        let change = self.connection.unchecked_transaction()?;
        change.execute("DELETE FROM backed_up", [])?;
        for (overlay, user) in users {
            change.execute(
                "INSERT INTO backed_up (overlay, user, unix_ms) VALUES (?1, ?2, ?3)",
                params![overlay, user, unix_ms as i64],
            )?;
        }
        change.commit()
    }

    /// When the last backup was made, and who is in it.
    pub fn backed_up(&self) -> rusqlite::Result<(Option<u64>, Vec<OverlayUser>)> {
        let mut statement = self.connection.prepare("SELECT overlay, user FROM backed_up")?;
        let users = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let latest: Option<i64> =
            self.connection
                .query_row("SELECT max(unix_ms) FROM backed_up", [], |row| row.get(0))?;
        Ok((latest.map(|ms| ms.max(0) as u64), users.collect::<Result<_, _>>()?))
    }

    /// What a backup takes along.
    pub fn memories(&self) -> rusqlite::Result<Memories> {
        Ok(Memories {
            calls: self.calls()?,
            contacts: self.contacts()?,
            messages: self.messages_to_back_up()?,
            pins: self.pins()?,
            founded: self.pairs("SELECT overlay, listen FROM founded ORDER BY overlay")?,
            last: self.pairs("SELECT overlay, user FROM last")?,
            joined: self.pairs("SELECT overlay, user FROM joined ORDER BY rowid")?,
        })
    }

    /// Takes in what a backup has; what is remembered here already is not changed.
    pub fn add_memories(&self, memories: &Memories) -> rusqlite::Result<()> {
        let change = self.connection.unchecked_transaction()?;
        if self.calls()?.is_empty() {
            memories.calls.iter().rev().try_for_each(|call| self.add_call(call))?;
        }
        for contact in &memories.contacts {
            contact.insert(&change)?;
        }
        self.restore_messages(&memories.messages)?;
        for (pairs, insert) in [
            (&memories.founded, "INSERT OR IGNORE INTO founded (overlay, listen) VALUES (?1, ?2)"),
            (&memories.last, "INSERT OR IGNORE INTO last (id, overlay, user) VALUES (0, ?1, ?2)"),
            (&memories.joined, "INSERT OR IGNORE INTO joined (overlay, user) VALUES (?1, ?2)"),
        ] {
            for (first, second) in pairs {
                change.execute(insert, [first, second])?;
            }
        }
        for [overlay, aor, node_id, state] in &memories.pins {
            change.execute(
                "INSERT OR IGNORE INTO pins (overlay, aor, node_id, state, since_ms)
                 VALUES (?1, ?2, ?3, ?4, 0)",
                [overlay, aor, node_id, state],
            )?;
        }
        change.commit()
    }

    fn pins(&self) -> rusqlite::Result<Vec<[String; 4]>> {
        let mut statement = self
            .connection
            .prepare("SELECT overlay, aor, node_id, state FROM pins ORDER BY since_ms, rowid")?;
        let rows = statement
            .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
        rows.collect()
    }

    fn pairs(&self, query: &str) -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = self.connection.prepare(query)?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// The overlays that we were in when the program ended, in the order in which they were
    /// joined first.
    pub fn joined(&self) -> rusqlite::Result<Vec<Me>> {
        let mut statement =
            self.connection.prepare("SELECT overlay, user FROM joined ORDER BY rowid")?;
        let rows = statement.query_map([], |row| {
            Ok(Me { overlay: row.get(0)?, user: row.get(1)?, node_id: String::new() })
        })?;
        rows.collect()
    }

    /// Remembers that we are in an overlay.
    pub fn add_joined(&self, overlay: &str, user: &str) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO joined (overlay, user) VALUES (?1, ?2)
             ON CONFLICT (overlay) DO UPDATE SET user = ?2",
            [overlay, user],
        )?;
        Ok(())
    }

    /// Remembers that the user wants to be in an overlay no more.
    pub fn remove_joined(&self, overlay: &str) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM joined WHERE overlay = ?1", [overlay])?;
        Ok(())
    }
}

/// A row as [`CALL_COLUMNS`] gives it.
pub(super) fn read_call(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    let incoming: bool = row.get(0)?;
    Ok(HistoryEntry {
        direction: if incoming { Direction::Incoming } else { Direction::Outgoing },
        peer: row.get(1)?,
        unix_ms: row.get::<_, i64>(2)?.max(0) as u64,
        duration: Duration::from_millis(row.get::<_, i64>(3)?.max(0) as u64),
        outcome: row.get(4)?,
        answered: row.get(5)?,
    })
}

pub(super) const CALL_COLUMNS: &str = "incoming, peer, unix_ms, duration_ms, outcome, answered";

/// A row as [`HOSTED_COLUMNS`] gives it.
pub(super) fn read_hosted(row: &Row<'_>) -> rusqlite::Result<HostedRow> {
    let listen: String = row.get(2)?;
    Ok(HostedRow {
        overlay: row.get(0)?,
        user: row.get(1)?,
        listen: listen.parse().map_err(|error| conversion(2, error))?,
        host: row.get(3)?,
        is_stopped: row.get(4)?,
    })
}

pub(super) const HOSTED_COLUMNS: &str = "overlay, user, listen, host, is_stopped";

fn conversion(column: usize, error: std::net::AddrParseError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS calls (
        id INTEGER PRIMARY KEY,
        incoming INTEGER NOT NULL,
        peer TEXT NOT NULL,
        unix_ms INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        answered INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS backed_up (
        overlay TEXT NOT NULL,
        user TEXT NOT NULL,
        unix_ms INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS founded (overlay TEXT PRIMARY KEY, listen TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS hosted (
        overlay TEXT PRIMARY KEY,
        user TEXT NOT NULL,
        listen TEXT NOT NULL,
        host TEXT,
        is_stopped INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS joined (overlay TEXT PRIMARY KEY, user TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS last (
        id INTEGER PRIMARY KEY CHECK (id = 0),
        overlay TEXT NOT NULL,
        user TEXT NOT NULL
    );
";

// limits

/// Memory for pages of the file: 64 KiB, as SQLite writes it. What is looked at often is in
/// snapshots.
const CACHE_SIZE: i32 = -64;

/// Calls remembered: a year of a busy phone.
pub const HISTORY_MAX: i64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_the_last_overlay_survive_a_restart() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("data.db");
        let entry = HistoryEntry {
            direction: Direction::Incoming,
            peer: "bob@example.org".into(),
            unix_ms: 1_790_000_000_000,
            duration: Duration::from_secs(61),
            outcome: "bob hung up.".into(),
            answered: true,
        };
        let data = Data::open(&path).expect("made");
        data.add_call(&entry).expect("added");
        let listen = "192.0.2.7:6084".parse().expect("an address");
        data.set_founded("example.org", listen).expect("set");
        data.set_last("example.net", "eve").expect("set");
        data.set_last("example.org", "alice").expect("set");
        for (overlay, user) in [("b.example", "eve"), ("a.example", "al"), ("b.example", "bob")] {
            data.add_joined(overlay, user).expect("set");
        }
        data.add_joined("c.example", "al").expect("set");
        data.remove_joined("c.example").expect("removed");
        drop(data);
        let data = Data::open(&path).expect("opened");
        assert_eq!(data.calls(), Ok(vec![entry]));
        let last = data.last().expect("read").expect("there");
        assert_eq!(last.aor(), "alice@example.org");
        let joined: Vec<_> = data.joined().expect("read").iter().map(Me::aor).collect();
        assert_eq!(joined, ["bob@b.example", "al@a.example"]);
        assert_eq!(data.founded(), Ok(vec!["example.org".to_owned()]));
        assert_eq!(data.founded_listen("example.org"), Ok(Some(listen)));
        assert_eq!(data.founded_listen("example.net"), Ok(None));
        data.clear_calls().expect("cleared");
        assert_eq!(data.calls(), Ok(Vec::new()));
    }

    /// Contacts come back from a backup, and those that are there stay as they are.
    #[test]
    fn contacts_are_in_the_memories() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = |name: &str| Data::open(&dir.path().join(name)).expect("made");
        let named = |aor: &str, name: &str| Contact {
            aor: aor.into(),
            name: name.into(),
            ..Contact::default()
        };
        let (old, new) = (open("old.db"), open("new.db"));
        let bob = Contact { is_favourite: true, ..named("bob@example.org", "Bob") };
        old.save_contact(&bob).expect("saved");
        old.save_contact(&named("carol@example.org", "Old")).expect("saved");
        new.save_contact(&named("carol@example.org", "New")).expect("saved");
        new.add_memories(&old.memories().expect("read")).expect("taken in");
        assert_eq!(new.contacts(), Ok(vec![bob, named("carol@example.org", "New")]));
    }
}
