//! Values that survive a restart, in SQLite: each resource is a row, as it would go to a replica
//! (RFC 6940 §10.4), with the certificates that verify it and the time when it was written.
//!
//! One thread writes, a batch in one transaction, so that the node never waits for a disk. A file
//! that is damaged or of another program is set aside and a new one begun; what was in it comes
//! back from replicas.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use rusqlite::{Connection, Error, ErrorCode, params};
use tokio::sync::mpsc;

use crate::base::{Encode, NodeId, Reader, Writer};
use crate::message::{GenericCertificate, StoreReq, decode_body};
use crate::storage::{Change, StoreCopy};

/// Why values do not survive a restart: one sentence each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreProblem {
    /// The file was set aside and a new one begun.
    #[error(
        "The values kept for the overlay were damaged and come back from other peers; the old \
         file is {0}."
    )]
    SetAside(PathBuf),
    /// No file can be opened or made.
    #[error("The values kept for the overlay will not survive a restart: {0}.")]
    Unusable(String),
    /// Writing failed.
    #[error("The values kept for the overlay are not saved any more: {0}.")]
    Write(String),
}

/// A resource as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SavedResource {
    /// When, milliseconds since the Unix epoch.
    pub(super) unix_ms: u64,
    pub(super) copy: StoreCopy,
}

/// What is written in one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    /// When it was made, milliseconds since the Unix epoch.
    pub(super) unix_ms: u64,
    pub(super) changes: Vec<Change>,
}

/// An open file with the thread that writes to it.
#[derive(Debug)]
pub(super) struct StoreFile {
    batches: SyncSender<Batch>,
    /// The batch that the thread had no room for.
    waiting: Option<Batch>,
    thread: JoinHandle<()>,
    problems: mpsc::Receiver<StoreProblem>,
}

/// What opening a file gives.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: StoreFile,
    pub(super) saved: Vec<SavedResource>,
    /// What the user should know.
    pub(super) problem: Option<StoreProblem>,
}

impl StoreFile {
    /// Opens the file of a node, making it if it does not exist.
    pub(super) fn open(path: &Path, node: NodeId, unix_ms: u64) -> Result<Opened, StoreProblem> {
        let unusable = |error: Error| StoreProblem::Unusable(error.to_string());
        let (connection, saved, problem) = match open(path, node) {
            Ok((connection, saved)) => (connection, saved, None),
            Err(error) if is_about_content(&error) => {
                let aside = set_aside(path, unix_ms)
                    .map_err(|error| StoreProblem::Unusable(error.to_string()))?;
                let (connection, saved) = open(path, node).map_err(unusable)?;
                (connection, saved, Some(StoreProblem::SetAside(aside)))
            }
            Err(error) => return Err(unusable(error)),
        };
        let (batches, inbox) = sync_channel(BATCHES_MAX);
        let (report, problems) = mpsc::channel(1);
        let thread = std::thread::Builder::new()
            .name("values".into())
            .spawn(move || write_all(connection, &inbox, &report))
            .map_err(|error| StoreProblem::Unusable(error.to_string()))?;
        let file = Self { batches, waiting: None, thread, problems };
        Ok(Opened { file, saved, problem })
    }

    /// Whether a batch still waits for room. Until it has gone none is to be written.
    pub(super) fn is_behind(&mut self) -> bool {
        if let Some(batch) = self.waiting.take() {
            self.write(batch);
        }
        self.waiting.is_some()
    }

    /// Gives the thread a batch.
    pub(super) fn write(&mut self, batch: Batch) {
        // A thread that has ended has told why.
        if let Err(TrySendError::Full(batch)) = self.batches.try_send(batch) {
            self.waiting = Some(batch);
        }
    }

    /// What has gone wrong, after which nothing is written any more; for ever if nothing does.
    pub(super) async fn problem(&mut self) -> StoreProblem {
        match self.problems.recv().await {
            Some(problem) => problem,
            None => std::future::pending().await,
        }
    }

    /// Writes the last batch and waits until all is in the file.
    pub(super) fn close(self, last: Batch) {
        for batch in self.waiting.into_iter().chain([last]) {
            // A thread that has ended has told why.
            let _ = self.batches.send(batch);
        }
        drop(self.batches);
        let _ = self.thread.join();
    }
}

fn open(path: &Path, node: NodeId) -> rusqlite::Result<(Connection, Vec<SavedResource>)> {
    let connection = Connection::open(path)?;
    // Read at the start only; pages that are kept would serve nobody.
    connection.pragma_update(None, "cache_size", CACHE_SIZE)?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let is_new = application == 0 && tables == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(Error::InvalidQuery);
    }
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(Error::InvalidQuery);
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    let saved = read_all(&connection, node)?;
    Ok((connection, saved))
}

/// Whether another file would do: what is in this one is damaged or not ours.
fn is_about_content(error: &Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown
        ),
        None => true,
    }
}

fn read_all(connection: &Connection, node: NodeId) -> rusqlite::Result<Vec<SavedResource>> {
    let mut statement =
        connection.prepare("SELECT saved_unix_ms, request, certificates FROM resources")?;
    let rows = statement.query_map([], |row| {
        let unix_ms = row.get::<_, i64>(0)?.max(0) as u64;
        Ok((unix_ms, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let mut saved = Vec::new();
    for row in rows {
        let (unix_ms, request, certificates) = row?;
        let request = decode_body::<StoreReq>(&request, node).map_err(|_| Error::InvalidQuery)?;
        let certificates = Reader::new(&certificates)
            .list::<GenericCertificate>(&certificates)
            .map_err(|_| Error::InvalidQuery)?;
        let certificates: Vec<Bytes> = certificates.into_iter().map(|c| c.certificate).collect();
        saved.push(SavedResource { unix_ms, copy: StoreCopy { request, certificates } });
    }
    Ok(saved)
}

/// Writes batches until nobody sends any more, or until that fails.
fn write_all(
    mut connection: Connection,
    batches: &Receiver<Batch>,
    report: &mpsc::Sender<StoreProblem>,
) {
    while let Ok(batch) = batches.recv() {
        if let Err(error) = write(&mut connection, batch) {
            let _ = report.try_send(StoreProblem::Write(error.to_string()));
            return;
        }
    }
}

fn write(connection: &mut Connection, batch: Batch) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for change in batch.changes {
        match change {
            Change::Put(copy) => {
                let mut certificates = Writer::default();
                for der in &copy.certificates {
                    GenericCertificate::x509(der.clone()).encode(&mut certificates);
                }
                // What was decoded once can be encoded.
                let request = copy.request.to_bytes().unwrap_or_default();
                let certificates = certificates.finish().unwrap_or_default();
                let resource = copy.request.resource.as_bytes();
                transaction.execute(
                    "INSERT OR REPLACE INTO resources
                     (resource, saved_unix_ms, request, certificates) VALUES (?1, ?2, ?3, ?4)",
                    params![resource, batch.unix_ms as i64, request, certificates],
                )?;
            }
            Change::Removed(resource) => {
                transaction
                    .execute("DELETE FROM resources WHERE resource = ?1", [resource.as_bytes()])?;
            }
        }
    }
    transaction.commit()
}

/// Renames a file that cannot be used, with what SQLite keeps beside it; the new name.
fn set_aside(path: &Path, unix_ms: u64) -> std::io::Result<PathBuf> {
    let with = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = with(path, &format!(".damaged-{unix_ms}"));
    std::fs::rename(path, &aside)?;
    for beside in ["-wal", "-shm"] {
        // Usually there is none.
        let _ = std::fs::rename(with(path, beside), with(&aside, beside));
    }
    Ok(aside)
}

/// Marks our files: "CHRD".
const APPLICATION_ID: i64 = 0x4348_5244;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS resources (
        resource BLOB PRIMARY KEY,
        saved_unix_ms INTEGER NOT NULL,
        request BLOB NOT NULL,
        certificates BLOB NOT NULL
    ) WITHOUT ROWID;
";

// limits

/// Batches that wait for the disk; further changes are only names until there is room.
const BATCHES_MAX: usize = 2;
/// Memory for pages of the file: 64 KiB, as SQLite writes it.
const CACHE_SIZE: i32 = -64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ResourceId;

    const NOW_MS: u64 = 1_790_000_000_000;

    fn copy(number: u128) -> StoreCopy {
        let request = StoreReq {
            resource: ResourceId::from_u128(number),
            replica_number: 1,
            kinds: Vec::new(),
        };
        StoreCopy { request, certificates: vec![Bytes::from_static(b"one"), Bytes::from("two")] }
    }

    fn open(path: &Path) -> Opened {
        StoreFile::open(path, NodeId::from_u128(7), NOW_MS).unwrap()
    }

    fn saved(path: &Path) -> (Vec<SavedResource>, Option<StoreProblem>) {
        let Opened { file, saved, problem } = open(path);
        file.close(Batch { unix_ms: NOW_MS, changes: Vec::new() });
        (saved, problem)
    }

    /// Batches are written in order, more of them than wait at a time too.
    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values.db");
        let Opened { mut file, saved: before, problem } = open(&path);
        assert!(before.is_empty() && problem.is_none());
        for unix_ms in 1..=7 {
            while file.is_behind() {
                std::thread::yield_now();
            }
            let changes = [1, 2, 3].map(|n| Change::Put(copy(n))).into();
            file.write(Batch { unix_ms, changes });
        }
        let removed = vec![Change::Removed(ResourceId::from_u128(2)), Change::Put(copy(3))];
        file.close(Batch { unix_ms: 8, changes: removed });
        let expected =
            [(7, 1), (8, 3)].map(|(unix_ms, n)| SavedResource { unix_ms, copy: copy(n) });
        assert_eq!(saved(&path), (expected.into(), None));
    }

    /// A file that only cannot be opened stays where it is.
    #[test]
    fn what_cannot_be_opened_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let problem = StoreFile::open(dir.path(), NodeId::from_u128(7), NOW_MS).err();
        assert!(matches!(problem, Some(StoreProblem::Unusable(_))), "{problem:?}");
        assert!(dir.path().is_dir());
    }

    /// A file that is damaged in the middle, is no database, or is another program's, is kept
    /// under another name, and the next start has a sound one.
    #[test]
    fn what_cannot_be_used_is_set_aside() {
        for damage in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("values.db");
            match damage {
                0 => std::fs::write(&path, b"no database, but long enough to be read").unwrap(),
                1 => {
                    let file = open(&path).file;
                    let puts = (0..200).map(|n| Change::Put(copy(n))).collect();
                    file.close(Batch { unix_ms: 7, changes: puts });
                    let mut bytes = std::fs::read(&path).unwrap();
                    bytes[4096..12_000].fill(0x5a);
                    std::fs::write(&path, bytes).unwrap();
                }
                _ => {
                    let other = Connection::open(&path).unwrap();
                    other.execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
                }
            }
            let aside = dir.path().join(format!("values.db.damaged-{NOW_MS}"));
            let (kept, problem) = saved(&path);
            assert!(kept.is_empty());
            assert_eq!(problem, Some(StoreProblem::SetAside(aside.clone())), "damage {damage}");
            assert!(aside.exists());
            assert_eq!(saved(&path), (Vec::new(), None));
        }
    }
}
