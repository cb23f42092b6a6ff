//! The user's contacts: names of their own for people, marks and notes; kept in the database, taken
//! from files of other programs and given to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::api::Snapshot;
use super::data::Data;
use super::engine::Engine;
use super::names::{as_typed, forwarding};
use super::vcard;
use crate::usage::Aor;

/// Somebody whom the user knows. One address is one contact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Contact {
    /// The Address of Record.
    pub aor: String,
    /// What the user calls them; empty for the name in the address.
    pub name: String,
    /// What the user has noted.
    pub note: String,
    /// Whether the user has marked them: connections to them are kept ready first.
    pub is_favourite: bool,
    /// Whether calls from them are refused.
    pub is_blocked: bool,
}

/// Work on the contacts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactJob {
    /// Add a contact, or change the one of the same address.
    Save(Contact),
    /// Remove the contact of an address.
    Remove(String),
    /// Add those of a file of vCards whose addresses are not there yet.
    Import(std::path::PathBuf),
    /// Write all as vCards to a file.
    Export(std::path::PathBuf),
}

/// What came of a file of vCards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Contacts that are new.
    pub added: usize,
    /// Addresses that were contacts already and stay as they are.
    pub known: usize,
    /// Cards without an address, and addresses that are none.
    pub unusable: usize,
    /// Whether the rest of the file could not be read.
    pub is_cut: bool,
}

impl Snapshot {
    /// The contact of an Address of Record.
    pub fn contact(&self, aor: &str) -> Option<&Contact> {
        // They are in the order of their addresses.
        let place = self.contacts.binary_search_by(|contact| contact.aor.as_str().cmp(aor)).ok()?;
        self.contacts.get(place)
    }
}

impl Data {
    /// The contacts in the order of their addresses.
    pub(super) fn contacts(&self) -> rusqlite::Result<Vec<Contact>> {
        let query = format!("SELECT {COLUMNS} FROM contacts ORDER BY aor");
        let mut statement = self.connection.prepare(&query)?;
        let mut contacts: Vec<_> = statement.query_map([], read)?.collect::<Result<_, _>>()?;
        contacts.sort_by(|a: &Contact, b| a.aor.cmp(&b.aor));
        Ok(contacts)
    }

    /// Adds a contact, or changes the one of the same address.
    pub(super) fn save_contact(&self, contact: &Contact) -> rusqlite::Result<()> {
        let Contact { aor, name, note, is_favourite, is_blocked } = contact;
        self.connection.execute(
            "INSERT OR REPLACE INTO contacts (aor, name, note, is_favourite, is_blocked)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![aor, name, note, is_favourite, is_blocked],
        )?;
        Ok(())
    }

    /// Adds contacts whose addresses are not there yet; all of them or none.
    pub(super) fn add_contacts<'a>(
        &self,
        mut contacts: impl Iterator<Item = &'a Contact>,
    ) -> rusqlite::Result<()> {
        let change = self.connection.unchecked_transaction()?;
        contacts.try_for_each(|contact| contact.insert(&change))?;
        change.commit()
    }

    fn remove_contact(&self, aor: &str) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM contacts WHERE aor = ?1", [aor])?;
        Ok(())
    }
}

impl Engine {
    /// Works on the contacts.
    pub(super) fn contact_job(&mut self, job: ContactJob) -> Result<(), String> {
        self.snapshot.imported = None;
        match job {
            ContactJob::Save(contact) => self.save_contact(contact),
            ContactJob::Remove(aor) => {
                self.data.remove_contact(&aor).map_err(|e| not_kept(&e))?;
                self.show_contacts()
            }
            ContactJob::Import(path) => self.import(&path),
            ContactJob::Export(path) => self.export(&path),
        }
    }

    /// Whether the user wants no calls from this name.
    pub(super) fn is_blocked(&self, aor: &str) -> bool {
        self.snapshot.contact(aor).is_some_and(|contact| contact.is_blocked)
    }

    /// The favourites that the user has marked, those first with whom a call was last.
    pub(super) fn marked_favourites(&self) -> Vec<String> {
        let contacts = self.snapshot.contacts.iter();
        let marked = contacts.filter(|contact| contact.is_favourite && !contact.is_blocked);
        let mut names: Vec<String> = marked.map(|contact| contact.aor.clone()).collect();
        let history = &self.snapshot.history;
        names.sort_by_cached_key(|name| {
            history.iter().position(|entry| entry.peer == *name).unwrap_or(usize::MAX)
        });
        names
    }

    fn save_contact(&mut self, contact: Contact) -> Result<(), String> {
        let default = self.snapshot.me().map_or("", |me| me.overlay.as_str());
        // One that has called is a name as it is, even if nobody could type it.
        let heard = self.snapshot.history.iter().map(|entry| entry.peer.as_str());
        let known = self.snapshot.contacts.iter().map(|contact| contact.aor.as_str());
        let aor = forwarding(&as_typed(&contact.aor, heard.chain(known)), default)?;
        let is_new = self.snapshot.contact(&aor).is_none();
        if is_new && self.snapshot.contacts.len() >= CONTACTS_MAX {
            return Err(full());
        }
        let contact = Contact { aor, ..contact.bounded() };
        self.data.save_contact(&contact).map_err(|e| not_kept(&e))?;
        self.show_contacts()
    }

    fn import(&mut self, path: &Path) -> Result<(), String> {
        let unreadable = |reason: &dyn std::fmt::Display| {
            format!("The file {} can't be read: {reason}.", path.display())
        };
        let length = fs::metadata(path).map_err(|e| unreadable(&e))?.len();
        if length > FILE_BYTES_MAX {
            return Err(unreadable(&"it is too large for a list of contacts"));
        }
        let cards = vcard::read(&fs::read(path).map_err(|e| unreadable(&e))?);
        if cards.contacts.is_empty() && cards.without_address == 0 && cards.is_cut {
            return Err(unreadable(&"it holds no vCards"));
        }
        let mut imported = Imported {
            unusable: cards.without_address,
            is_cut: cards.is_cut,
            ..Imported::default()
        };
        let mut new: BTreeMap<String, Contact> = BTreeMap::new();
        for contact in cards.contacts {
            match forwarding(&contact.aor, "") {
                Err(_) => imported.unusable += 1,
                Ok(aor) if self.snapshot.contact(&aor).is_some() || new.contains_key(&aor) => {
                    imported.known += 1;
                }
                Ok(aor) => {
                    new.insert(aor.clone(), Contact { aor, ..contact.bounded() });
                }
            }
        }
        imported.added = new.len();
        if self.snapshot.contacts.len() + new.len() > CONTACTS_MAX {
            return Err(full());
        }
        self.data.add_contacts(new.values()).map_err(|e| not_kept(&e))?;
        self.snapshot.imported = Some(imported);
        self.show_contacts()
    }

    fn export(&mut self, path: &Path) -> Result<(), String> {
        let uri = |aor: &str| {
            Aor::of_user_name(aor).map_or_else(|| format!("sip:{aor}"), |aor| aor.to_sip_uri())
        };
        let text = vcard::write(&self.snapshot.contacts, uri);
        fs::write(path, text)
            .map_err(|e| format!("The file {} can't be written: {e}.", path.display()))?;
        self.snapshot.saved = Some(path.to_owned());
        Ok(())
    }

    fn show_contacts(&mut self) -> Result<(), String> {
        let contacts = self.data.contacts().map_err(|e| not_kept(&e))?;
        self.snapshot.contacts = Arc::new(contacts);
        self.show_knocking();
        Ok(())
    }
}

impl Contact {
    /// Adds it unless there is one of the same address.
    pub(super) fn insert(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self { aor, name, note, is_favourite, is_blocked } = self;
        connection.execute(
            "INSERT OR IGNORE INTO contacts (aor, name, note, is_favourite, is_blocked)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![aor, name, note, is_favourite, is_blocked],
        )?;
        Ok(())
    }

    /// The same with texts of a length that fits on a screen, and a name in one line.
    fn bounded(self) -> Self {
        let name = self.name.replace(char::is_control, " ");
        Self {
            name: name.trim().chars().take(NAME_CHARS_MAX).collect(),
            note: self.note.trim().chars().take(NOTE_CHARS_MAX).collect(),
            ..self
        }
    }
}

/// A row as [`COLUMNS`] gives it.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Contact> {
    let aor: String = row.get(0)?;
    if Aor::of_user_name(&aor).is_none() {
        return Err(rusqlite::Error::InvalidColumnType(0, aor, Type::Text));
    }
    Ok(Contact {
        aor,
        name: row.get(1)?,
        note: row.get(2)?,
        is_favourite: row.get(3)?,
        is_blocked: row.get(4)?,
    })
}

fn not_kept(error: &rusqlite::Error) -> String {
    format!("The contacts could not be kept: {error}.")
}

fn full() -> String {
    format!("There is room for {CONTACTS_MAX} contacts; remove some first.")
}

pub(super) const COLUMNS: &str = "aor, name, note, is_favourite, is_blocked";

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS contacts (
        aor TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        note TEXT NOT NULL,
        is_favourite INTEGER NOT NULL,
        is_blocked INTEGER NOT NULL
    );
";

// limits

/// Contacts kept: more than anybody has, and few enough for a list.
const CONTACTS_MAX: usize = 5000;
/// The longest name and note.
const NAME_CHARS_MAX: usize = 100;
const NOTE_CHARS_MAX: usize = 2000;
/// The longest file of vCards, with some pictures in them.
const FILE_BYTES_MAX: u64 = 64 << 20;
