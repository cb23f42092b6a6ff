//! What the user's folder has and can't be read: it is set aside, the rest stays in force, and one
//! sentence says so. Nothing here stops the program from starting.
//!
//! A setting that can't be read has its default. A row of the database that is not what it should
//! be goes to a table beside its own. A database that is damaged as a file is kept under another
//! name, and what can be read of it goes to a new one.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params_from_iter};
use serde::Deserialize as _;
use toml::de::{DeTable, ValueDeserializer};

use super::api::Settings;
use super::data::{self, Data};
use super::state::{StateError, StateFolder};
use super::{book, messages, pins};

impl StateFolder {
    /// The settings, and a sentence if they could not be read as they are: a field that does
    /// not parse falls back to its default, and the file is kept beside as `settings.toml.bad`.
    pub fn settings(&self) -> (Settings, Option<String>) {
        let path = self.root.join(SETTINGS);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Default::default(),
            Err(error) => {
                let notice = format!("The settings could not be read, so defaults hold: {error}.");
                return (Settings::default(), Some(notice));
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(settings) = toml::from_str(&text) {
            return (settings, None);
        }
        let bad = path.with_extension("toml.bad");
        let place = match fs::write(&bad, &bytes) {
            Ok(()) => format!("; the old file is {}", bad.display()),
            Err(_) => String::new(),
        };
        let (settings, refused) = readable_settings(&text);
        let which = match &refused[..] {
            [] => "Some settings were".to_owned(),
            [name] => format!("The setting {name} was"),
            names => format!("The settings {} were", listed(names)),
        };
        let notice = format!("{which} not understood; defaults are in their place{place}.");
        (settings, Some(notice))
    }

    /// The database, and a sentence if some of it is damaged, which is set aside.
    ///
    /// # Errors
    /// It can't be opened or made, for a reason that setting it aside would not mend.
    pub fn data(&self, unix_ms: u64) -> Result<(Data, Option<String>), StateError> {
        let path = self.root.join(DATABASE);
        let opened = Data::open(&path).and_then(|data| Ok((data.look_after()?, data)));
        match opened {
            Ok((notice, data)) => Ok((data, notice)),
            Err(error) if path.exists() && is_damage(&error) => rebuild(&path, unix_ms),
            Err(error) => Err(StateError::Database(error.to_string())),
        }
    }
}

impl Data {
    /// Moves rows that can't be read out of the way of the rest; a sentence if there were any.
    ///
    /// # Errors
    /// The file itself is damaged, or can't be written.
    pub(super) fn look_after(&self) -> rusqlite::Result<Option<String>> {
        let check: String =
            self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if check != "ok" {
            return Err(malformed());
        }
        let (mut damaged, mut count) = (Vec::new(), 0);
        for Table { name, what, columns, read } in TABLES {
            match self.set_aside(name, columns, read)? {
                0 => {}
                rows => {
                    count += rows;
                    damaged.push(what);
                }
            }
        }
        let what = listed(&damaged);
        Ok((count > 0).then(|| {
            format!("The list of {what} had damaged entries: {count} set aside, the others kept.")
        }))
    }

    /// Moves the rows of a table that can't be read to a table beside it; how many there were.
    fn set_aside(&self, table: &str, columns: &str, read: ReadRow) -> rusqlite::Result<usize> {
        let query = format!("SELECT {columns}, rowid AS place FROM {table}");
        let mut statement = self.connection.prepare(&query)?;
        let mut rows = statement.query([])?;
        let mut damaged: Vec<i64> = Vec::new();
        while let Some(row) = rows.next()? {
            if read(row).is_err() {
                damaged.push(row.get("place")?);
            }
        }
        drop(rows);
        if damaged.is_empty() {
            return Ok(0);
        }
        let aside = format!("{table}_damaged");
        let change = self.connection.unchecked_transaction()?;
        change.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {aside} AS SELECT * FROM {table} WHERE 0"
        ))?;
        for place in &damaged {
            let copy = format!("INSERT INTO {aside} SELECT * FROM {table} WHERE rowid = ?1");
            change.execute(&copy, [place])?;
            change.execute(&format!("DELETE FROM {table} WHERE rowid = ?1"), [place])?;
        }
        change.commit()?;
        Ok(damaged.len())
    }

    /// Takes over the rows of a damaged file that can be read; how many those are.
    fn salvage(&self, damaged: &Path) -> rusqlite::Result<usize> {
        let old = Connection::open_with_flags(damaged, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Else nothing is read of a file that is shorter than it says.
        old.pragma_update(None, "writable_schema", true)?;
        let change = self.connection.unchecked_transaction()?;
        let mut count = 0;
        for Table { name, .. } in TABLES {
            let all = self.connection.prepare(&format!("SELECT * FROM {name}"))?;
            let columns = all.column_names().collect::<Vec<_>>().join(", ");
            let places = vec!["?"; all.column_count()].join(", ");
            let insert = format!("INSERT OR IGNORE INTO {name} ({columns}) VALUES ({places})");
            // Rows before the damage, then, from the end, those behind it.
            for order in ["ASC", "DESC"] {
                let query = format!("SELECT {columns} FROM {name} ORDER BY rowid {order}");
                let Ok(mut statement) = old.prepare(&query) else { continue };
                let Ok(mut rows) = statement.query([]) else { continue };
                while let Ok(Some(row)) = rows.next() {
                    let values = (0..all.column_count()).map(|column| row.get::<_, Value>(column));
                    let Ok(values) = values.collect::<Result<Vec<_>, _>>() else { continue };
                    // What breaks a rule of the table is not what was written.
                    count += change.execute(&insert, params_from_iter(values)).unwrap_or(0);
                }
            }
        }
        change.commit()?;
        Ok(count)
    }
}

/// Sets a damaged database aside, and takes what can be read of it to a new one.
fn rebuild(path: &Path, unix_ms: u64) -> Result<(Data, Option<String>), StateError> {
    let with = |path: &Path, suffix: &str| {
        let mut name = OsString::from(path);
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = with(path, &format!(".damaged-{unix_ms}"));
    fs::rename(path, &aside).map_err(|e| StateError::file(path, &e))?;
    for beside in ["-wal", "-shm"] {
        // A journal belongs to its file: another would be damaged by it. Often there is none.
        let _ = fs::rename(with(path, beside), with(&aside, beside));
    }
    let database = |e: rusqlite::Error| StateError::Database(e.to_string());
    let data = Data::open(path).map_err(database)?;
    // Nothing can be read of what is no database.
    let count = data.salvage(&aside).unwrap_or(0);
    data.look_after().map_err(database)?;
    let rest = match count {
        0 => "and start anew".to_owned(),
        count => format!("and have the {count} entries that could be read"),
    };
    let aside = aside.display();
    let notice =
        format!("Calls, contacts and messages were damaged {rest}; the old file is {aside}.");
    Ok((data, Some(notice)))
}

/// Whether a database can't be used because of what is in it.
fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    // A table that is not ours is an unknown fault to SQLite.
    let code = error.sqlite_error_code();
    code.is_none_or(|code| matches!(code, DatabaseCorrupt | NotADatabase | Unknown))
}

fn malformed() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT), None)
}

/// Each setting that can be read by itself, with defaults for the others; which those are.
fn readable_settings(text: &str) -> (Settings, Vec<String>) {
    let (table, faults) = DeTable::parse_recoverable(text);
    let faults: Vec<_> = faults.iter().filter_map(|fault| fault.span()).collect();
    let (mut good, mut refused) = (toml::Table::new(), Vec::new());
    for (name, value) in table.into_inner() {
        let place = name.span().start..value.span().end;
        // A value in which the file is broken is not what was written.
        let is_whole = !faults.iter().any(|at| at.start <= place.end && place.start <= at.end);
        let value = toml::Value::deserialize(ValueDeserializer::from(value));
        let mut with = good.clone();
        let name = name.into_inner().into_owned();
        with.extend(value.ok().filter(|_| is_whole).map(|value| (name.clone(), value)));
        if with.contains_key(&name) && with.clone().try_into::<Settings>().is_ok() {
            good = with;
        } else {
            refused.push(name);
        }
    }
    (good.try_into().unwrap_or_default(), refused)
}

/// Words as they are listed in a sentence.
fn listed<S: AsRef<str>>(words: &[S]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match &words[..] {
        [first @ .., second, last] => {
            let first: String = first.iter().map(|word| format!("{word}, ")).collect();
            format!("{first}{second} and {last}")
        }
        words => words.concat(),
    }
}

type ReadRow = fn(&Row<'_>) -> rusqlite::Result<()>;

/// A table of the database, and how a row of it is read.
struct Table {
    name: &'static str,
    /// What its rows are to the user.
    what: &'static str,
    columns: &'static str,
    read: ReadRow,
}

/// All tables in which people's rows are.
const TABLES: [Table; 8] = [
    Table {
        name: "calls",
        what: "calls",
        columns: data::CALL_COLUMNS,
        read: |row| data::read_call(row).map(drop),
    },
    Table {
        name: "contacts",
        what: "contacts",
        columns: book::COLUMNS,
        read: |row| book::read(row).map(drop),
    },
    Table {
        name: "messages",
        what: "messages",
        columns: messages::COLUMNS,
        read: |row| messages::read(row).map(drop),
    },
    Table { name: "pins", what: "keys seen", columns: pins::COLUMNS, read: pins::read },
    Table {
        name: "hosted",
        what: "overlays run here",
        columns: data::HOSTED_COLUMNS,
        read: |row| data::read_hosted(row).map(drop),
    },
    Table {
        name: "founded",
        what: "overlays started",
        columns: "overlay, listen",
        read: |row| two_words(row).map(drop),
    },
    Table {
        name: "joined",
        what: "overlays",
        columns: "overlay, user",
        read: |row| two_words(row).map(drop),
    },
    Table {
        name: "backed_up",
        what: "backups",
        columns: "overlay, user, unix_ms",
        read: |row| two_words(row).and_then(|_| row.get::<_, i64>(2)).map(drop),
    },
];

fn two_words(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

pub(super) const SETTINGS: &str = "settings.toml";
const DATABASE: &str = "chordial.db";

#[cfg(test)]
#[path = "damage_tests.rs"]
mod tests;
