//! What has changed since somebody who writes it down last asked.

use std::collections::BTreeSet;

use super::{Storage, StoreCopy, limits};
use crate::base::{Now, ResourceId};

/// A resource that is no longer as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// All that is there now, as a replica would get it.
    Put(StoreCopy),
    /// Nothing is left.
    Removed(ResourceId),
}

/// The resources to be told of, if somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Journal {
    is_kept: bool,
    positions: BTreeSet<u128>,
}

impl Journal {
    /// Notes a change. What does not fit is lost: what was to be written comes back from replicas
    /// then, and what was to be erased goes where it belongs.
    pub(super) fn note(&mut self, position: u128) {
        if self.is_kept && self.positions.len() < limits::CHANGES_MAX {
            self.positions.insert(position);
        }
    }
}

impl Storage {
    /// Notes from now on what changes.
    pub fn keep_journal(&mut self) {
        self.journal.is_kept = true;
    }

    /// Whether [`Storage::changes`] has something to tell.
    pub fn has_changes(&self) -> bool {
        !self.journal.positions.is_empty()
    }

    /// At most `max` resources that have changed since they were told of last. Values in their
    /// last second are as good as gone.
    pub fn changes(&mut self, now: Now, max: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < max {
            let Some(position) = self.journal.positions.pop_first() else { break };
            let resource = ResourceId::from_u128(position);
            changes.push(match self.copies(now, &resource, 1, usize::MAX).pop() {
                Some(copy) => Change::Put(copy),
                None => Change::Removed(resource),
            });
        }
        changes
    }
}
