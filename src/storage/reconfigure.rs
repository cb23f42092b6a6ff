//! What a new configuration leaves of what is stored (RFC 6940 §11.1).

use super::Storage;
use super::kind::{Kind, KindTable};
use super::place::{Held, Place};
use crate::base::ResourceId;
use crate::crypto::Certificate;
use crate::message::DataModel;

impl Storage {
    /// Stores these Kinds from now on. Discards the values of Kinds that are gone or arranged in
    /// another way, those that their signers might not write any more, and those that were signed
    /// with a certificate that is revoked.
    pub fn reconfigure(&mut self, kinds: KindTable, is_revoked: impl Fn(&Certificate) -> bool) {
        self.kinds = kinds;
        let positions: Vec<u128> = self.resources.keys().copied().collect();
        for position in positions {
            let resource = ResourceId::from_u128(position);
            let mut stored = self.take(position);
            for values in &mut stored.kinds {
                let kind = self.kinds.kind(values.kind);
                values.retain(|held| {
                    kind.is_some_and(|kind| self.kinds.keeps(kind, &resource, held))
                        && !is_revoked(&held.signer)
                });
            }
            self.put(position, stored);
        }
    }
}

impl KindTable {
    /// Whether a value that was stored under an earlier definition could be stored under this.
    /// Limits are for what comes from now on.
    fn keeps(&self, kind: &Kind, resource: &ResourceId, held: &Held) -> bool {
        let (place, signer) = (&held.place, &held.signer);
        let model = match place {
            Place::Single => DataModel::Single,
            Place::Index(_) => DataModel::Array,
            Place::Key(_) => DataModel::Dictionary,
        };
        let may = |node_id| self.permits(kind, resource, place, signer, node_id);
        model == kind.data_model && signer.node_ids.iter().copied().any(may)
    }
}
