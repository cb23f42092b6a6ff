//! Copies for other peers: replicas (RFC 6940 §10.4) and what is handed over when the ring
//! changes (§10.5, §10.7).

use bytes::Bytes;

use super::Storage;
use super::place::Values;
use crate::base::{Now, ResourceId, Writer};
use crate::message::{KindData, KindId, StoreReq};

/// A Store that passes values on as they are, with the certificates that verify them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCopy {
    /// The request.
    pub request: StoreReq,
    /// Certificates in DER, each once.
    pub certificates: Vec<Bytes>,
}

impl Storage {
    /// Everything at a resource, in Stores with this replica number, which is 1 or more. Each
    /// takes at most `bytes_max` bytes with its certificates, unless a single value is larger.
    /// Lifetimes are what is left of them; values in their last second are not worth sending.
    pub fn copies(
        &self,
        now: Now,
        resource: &ResourceId,
        replica_number: u8,
        bytes_max: usize,
    ) -> Vec<StoreCopy> {
        let position = resource.to_u128();
        let stored = position.and_then(|position| self.resources.get(&position));
        let mut batch = Batch::new(resource, replica_number, bytes_max);
        for values in stored.iter().flat_map(|resource| &resource.kinds) {
            for held in values.iter().filter(|held| held.lifetime_s(now.instant) > 0) {
                let mut writer = Writer::default();
                held.encode(now.instant, &mut writer);
                batch.add(values, writer, &held.signer.der);
            }
        }
        batch.finish()
    }

    /// Everything in the half-open range `(after, to]` of the ring, resource by resource as in
    /// [`Storage::copies`].
    pub fn copies_between(
        &self,
        now: Now,
        after: u128,
        to: u128,
        replica_number: u8,
        bytes_max: usize,
    ) -> impl Iterator<Item = StoreCopy> + use<'_> {
        self.resources_between(after, to)
            .flat_map(move |r| self.copies(now, &r, replica_number, bytes_max))
    }
}

/// Fills one Store after the other.
struct Batch<'a> {
    resource: &'a ResourceId,
    replica_number: u8,
    bytes_max: usize,
    done: Vec<StoreCopy>,
    bytes: usize,
    kinds: Vec<(KindId, u64, Vec<u8>)>,
    certificates: Vec<Bytes>,
}

impl<'a> Batch<'a> {
    fn new(resource: &'a ResourceId, replica_number: u8, bytes_max: usize) -> Self {
        Self {
            resource,
            replica_number: replica_number.max(1),
            bytes_max,
            done: Vec::new(),
            bytes: 0,
            kinds: Vec::new(),
            certificates: Vec::new(),
        }
    }

    fn add(&mut self, of: &Values, value: Writer, certificate: &Bytes) {
        // What was decoded once can be encoded.
        let value = value.finish().unwrap_or_default();
        let length = value.len() + KIND_BYTES;
        let with_certificate = |known: bool| if known { 0 } else { certificate.len() + 3 };
        let more = length + with_certificate(self.certificates.contains(certificate));
        if self.bytes + more > self.bytes_max {
            self.flush();
        }
        self.bytes += length + with_certificate(self.certificates.contains(certificate));
        if !self.certificates.contains(certificate) {
            self.certificates.push(certificate.clone());
        }
        match self.kinds.last_mut() {
            Some((last, _, values)) if *last == of.kind => values.extend(value),
            _ => self.kinds.push((of.kind, of.generation, value)),
        }
    }

    fn flush(&mut self) {
        if self.kinds.is_empty() {
            return;
        }
        let kinds = std::mem::take(&mut self.kinds).into_iter();
        let request = StoreReq {
            resource: self.resource.clone(),
            replica_number: self.replica_number,
            // Stored values have counters of 1 and more (T-61).
            kinds: kinds.map(|(kind, g, v)| KindData::encoded(kind, g, v.into())).collect(),
        };
        self.done.push(StoreCopy { request, certificates: std::mem::take(&mut self.certificates) });
        self.bytes = 0;
    }

    fn finish(mut self) -> Vec<StoreCopy> {
        self.flush();
        self.done
    }
}

/// Kind-ID, generation and length, counted for each value though one Kind has them once.
const KIND_BYTES: usize = 16;
