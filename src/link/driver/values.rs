//! The values that a driver's peer keeps over a restart: taken back from their file, and written to
//! it as they change.

use std::path::Path;
use std::time::Duration;

use super::super::node::NodeEvent;
use super::super::store::{Batch, Opened, StoreFile, StoreProblem};
use super::Driver;
use crate::storage::Change;

impl Driver {
    /// Takes back the values of before a restart and has changes noted from now on.
    pub(super) fn restored(mut self, path: &Path) -> Self {
        let now = self.now();
        match StoreFile::open(path, self.peer.node_id(), now.unix_ms) {
            Ok(Opened { mut file, saved, problem }) => {
                let mut changes = Vec::new();
                for resource in saved {
                    if !self.peer.restore(now, resource.unix_ms, &resource.copy) {
                        changes.push(Change::Removed(resource.copy.request.resource));
                    }
                }
                file.write(Batch { unix_ms: now.unix_ms, changes });
                self.peer.keep_journal();
                self.store = Some(file);
                if let Some(problem) = problem {
                    self.event(NodeEvent::StoreProblem(problem));
                }
            }
            Err(problem) => self.event(NodeEvent::StoreProblem(problem)),
        }
        self
    }

    pub(super) fn plan_writing(&mut self) {
        let Some(store) = &mut self.store else { return };
        if self.write_at.is_none() && (self.peer.has_changes() || store.is_behind()) {
            self.write_at = Some(self.clock.now() + WRITE_AFTER);
        }
    }

    pub(super) fn write_changes(&mut self) {
        self.write_at = None;
        let now = self.now();
        let Some(store) = &mut self.store else { return };
        if !store.is_behind() {
            let changes = self.peer.changes(now, CHANGES_MAX);
            store.write(Batch { unix_ms: now.unix_ms, changes });
        }
    }
}

/// Waits until something is wrong with the file.
pub(super) async fn store_problem(store: &mut Option<StoreFile>) -> StoreProblem {
    match store {
        Some(store) => store.problem().await,
        None => std::future::pending().await,
    }
}

// limits

/// What a crash may lose comes back from replicas; values that change often are written once.
const WRITE_AFTER: Duration = Duration::from_secs(1);
/// Resources written at a time: a few milliseconds of the driver's task.
const CHANGES_MAX: usize = 1024;
