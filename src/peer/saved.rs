//! Values that survive a restart: whoever drives the peer writes down what changes and hands it
//! back before the peer joins again.

use crate::base::Now;
use crate::message::GenericCertificate;
use crate::storage::{self, Change, StoreCopy};

use super::Peer;

impl Peer {
    /// Puts back what [`Peer::changes`] told of at `saved_unix_ms`, milliseconds since the Unix
    /// epoch, as far as it holds when verified again. After the join those get it who have become
    /// responsible meanwhile. Whether anything was taken.
    pub fn restore(&mut self, now: Now, saved_unix_ms: u64, copy: &StoreCopy) -> bool {
        self.now = now;
        let certificates = copy.certificates.iter().cloned().map(GenericCertificate::x509);
        let certificates: Vec<_> = certificates.collect();
        let verifier = &self.verifier;
        let resolve = |identity: &_| verifier.find(identity, &certificates);
        let verifier = storage::Verifier { resolve: &resolve, provider: verifier.provider() };
        let is_taken = self.storage.restore(now, saved_unix_ms, copy, verifier);
        self.copies.is_restored |= is_taken;
        is_taken
    }

    /// Notes from now on which values change.
    pub fn keep_journal(&mut self) {
        self.storage.keep_journal();
    }

    /// Whether [`Peer::changes`] has something to tell.
    pub fn has_changes(&self) -> bool {
        self.storage.has_changes()
    }

    /// At most `max` resources that have changed since they were told of last.
    pub fn changes(&mut self, now: Now, max: usize) -> Vec<Change> {
        self.storage.changes(now, max)
    }
}
