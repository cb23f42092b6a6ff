//! Whose value this is: the signature on every stored value (RFC 6940 §7.1), checked when one is
//! stored and again when one is fetched.

use std::sync::Arc;

use super::kind::KindTable;
use super::place::Place;
use crate::base::{NodeId, Now, ResourceId};
use crate::crypto::{Certificate, Provider, SignatureAlgorithm, SignerIdentity};
use crate::message::{FetchAns, KindId, StoredData, StoredDataValue};

/// Finds certificates and checks signatures.
#[derive(Clone, Copy)]
pub struct Verifier<'a> {
    /// The certificate that an identity names, from those of the message or known before. It has
    /// been read by the overlay's provider, so only its validity period is open.
    pub resolve: &'a dyn Fn(&SignerIdentity) -> Option<Arc<Certificate>>,
    /// The overlay's provider.
    pub provider: &'a dyn Provider,
}

impl Verifier<'_> {
    /// Who signed a value, or `None` if nobody did, nobody that we know, with a certificate that
    /// is not valid now, or wrongly.
    pub(super) fn signer(
        &self,
        now: Now,
        resource: &ResourceId,
        kind: KindId,
        data: &StoredData,
    ) -> Option<(Arc<Certificate>, NodeId)> {
        let signature = &data.signature;
        let is_anonymous = signature.identity == SignerIdentity::None
            || signature.algorithm == SignatureAlgorithm::NONE;
        if is_anonymous {
            return None;
        }
        let certificate = (self.resolve)(&signature.identity)?;
        let node_id = certificate.named_by(&signature.identity)?;
        let input = StoredData::signature_input(
            resource,
            kind,
            data.storage_time_ms,
            &data.value,
            &signature.identity,
        );
        let is_good = certificate.is_valid_at(now.unix_ms)
            && self.provider.verify(&certificate, signature.algorithm, &input, &signature.value);
        is_good.then_some((certificate, node_id))
    }
}

impl std::fmt::Debug for Verifier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({:?})", self.provider)
    }
}

/// What is left of a Fetch's answer once it has been verified.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// The values whose signatures hold and whose signers may write them, tombstones included.
    pub values: Vec<VerifiedValue>,
    /// Whether something had to be left out (RFC 6940 §7.4.2.2).
    pub partial: bool,
}

/// A value that is its signer's.
#[derive(Clone, Debug)]
pub struct VerifiedValue {
    /// The Kind.
    pub kind: KindId,
    /// The generation counter of the Kind at this resource.
    pub generation: u64,
    /// The value as it came; its lifetime is what was left when the answer was made.
    pub data: StoredData,
    /// Who signed it.
    pub signer: Arc<Certificate>,
    /// Which Node-ID of the signer.
    pub signer_node_id: NodeId,
}

impl VerifiedValue {
    /// The value in its place.
    pub fn value(&self) -> &StoredDataValue {
        &self.data.value
    }

    /// Whether there is a value, and not word that it has been removed.
    pub fn exists(&self) -> bool {
        self.data.value.data().exists
    }
}

impl KindTable {
    /// The values of an answer that can be believed. Values that the answering peer made up for
    /// what does not exist are left out in silence, as are Kinds that nobody asked for.
    pub fn verify_fetched(
        &self,
        now: Now,
        resource: &ResourceId,
        answer: &FetchAns,
        requested: &[KindId],
        verifier: Verifier<'_>,
    ) -> Verified {
        let mut verified = Verified::default();
        for data in &answer.kinds {
            let Some(kind) = self.kind(data.kind).filter(|k| requested.contains(&k.id)) else {
                continue;
            };
            let Ok(values) = data.values(kind.data_model) else {
                verified.partial = true;
                continue;
            };
            for value in values {
                if value.signature.identity == SignerIdentity::None && !value.value.data().exists {
                    continue;
                }
                let place = Place::of(&value.value);
                let signer = verifier
                    .signer(now, resource, kind.id, &value)
                    .filter(|(c, node_id)| self.permits(kind, resource, &place, c, *node_id));
                let Some((signer, signer_node_id)) = signer else {
                    verified.partial = true;
                    continue;
                };
                verified.values.push(VerifiedValue {
                    kind: kind.id,
                    generation: data.generation,
                    data: value,
                    signer,
                    signer_node_id,
                });
            }
        }
        verified
    }
}
