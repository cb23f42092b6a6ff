//! What a Fetch gets (RFC 6940 §7.4.2).

use bytes::Bytes;

use super::Storage;
use super::kind::Kind;
use super::place::{Held, Place, Values};
use crate::base::{Instant, Now, Writer};
use crate::crypto::Signature;
use crate::message::{
    DataValue, ErrorCode, ErrorResponse, FetchAns, FetchReq, KindData, Places, StoredData,
    StoredDataSpecifier, StoredDataValue,
};

impl Storage {
    /// The answer to a request, and the certificates in DER that verify the values in it, each
    /// once.
    ///
    /// # Errors
    ///
    /// The error to answer with: a Kind is unknown, or the request contradicts itself.
    pub fn fetch(
        &mut self,
        now: Now,
        request: &FetchReq,
    ) -> Result<(FetchAns, Vec<Bytes>), ErrorResponse> {
        self.expire(now.instant);
        let kinds = self.known_kinds(request.specifiers.iter().map(|s| s.kind))?;
        let mut answer = FetchAns::default();
        let mut certificates = Vec::new();
        for (specifier, kind) in request.specifiers.iter().zip(kinds) {
            let places = places(specifier, &kind)?;
            let nothing = Values::new(kind.id);
            let values = self.values(&request.resource, kind.id).unwrap_or(&nothing);
            let is_known = specifier.generation != 0 && specifier.generation == values.generation;
            let mut picked = Picked { now: now.instant, values: Writer::default(), certificates };
            if !is_known {
                picked.pick(values, &kind, &places);
            }
            certificates = picked.certificates;
            // Nothing is longer here than it was when it came.
            let encoded = picked.values.finish().unwrap_or_default().into();
            answer.kinds.push(KindData::encoded(kind.id, values.generation, encoded));
        }
        Ok((answer, certificates))
    }
}

/// The places of a specifier, once they have been found to make sense.
fn places(specifier: &StoredDataSpecifier, kind: &Kind) -> Result<Places, ErrorResponse> {
    let invalid = |text: &str| ErrorResponse::with_text(ErrorCode::INVALID_MESSAGE, text);
    let places = specifier.places(kind.data_model).map_err(|e| invalid(&e.to_string()))?;
    if let Places::Array(ranges) = &places {
        let mut sorted = ranges.clone();
        sorted.sort_unstable();
        if sorted.iter().any(|(first, last)| first > last) {
            return Err(invalid("an array range ends before it starts"));
        }
        if sorted.windows(2).any(|pair| pair[1].0 <= pair[0].1) {
            return Err(invalid("array ranges overlap"));
        }
    }
    Ok(places)
}

/// Values on their way out.
struct Picked {
    now: Instant,
    values: Writer,
    certificates: Vec<Bytes>,
}

impl Picked {
    fn pick(&mut self, values: &Values, kind: &Kind, places: &Places) {
        match places {
            Places::Single => self.place(values, Place::Single),
            Places::Array(ranges) if ranges.is_empty() => self.all(values),
            Places::Array(ranges) => self.ranges(values, kind, ranges),
            Places::Dictionary(keys) if keys.is_empty() => self.all(values),
            Places::Dictionary(keys) => {
                for key in keys {
                    self.place(values, Place::Key(key[..].into()));
                }
            }
        }
    }

    fn all(&mut self, values: &Values) {
        for held in values.iter() {
            self.held(held);
        }
    }

    fn place(&mut self, values: &Values, place: Place) {
        match values.at(&place) {
            Some(held) => self.held(held),
            None => absent(&place).encode(&mut self.values),
        }
    }

    /// Gaps are filled up to the last value, but never with more than the Kind's count: a
    /// request for four billion places must not get as many answers (T-64).
    fn ranges(&mut self, values: &Values, kind: &Kind, ranges: &[(u32, u32)]) {
        let Some(end) = values.last_index() else { return };
        let or_end = |index| if index == StoredDataValue::APPEND { end } else { index };
        let mut gaps_left = kind.max_count;
        for (first, last) in ranges {
            let mut next = or_end(*first);
            let last = or_end(*last).min(end);
            if next > last {
                continue;
            }
            for (index, held) in values.range(next, last) {
                self.gap(next, index, &mut gaps_left);
                self.held(held);
                next = index.saturating_add(1);
            }
            self.gap(next, last.saturating_add(1), &mut gaps_left);
        }
    }

    fn gap(&mut self, from: u32, to: u32, left: &mut u32) {
        for index in from..to {
            if *left == 0 {
                return;
            }
            *left -= 1;
            absent(&Place::Index(index)).encode(&mut self.values);
        }
    }

    fn held(&mut self, held: &Held) {
        held.encode(self.now, &mut self.values);
        if !self.certificates.contains(&held.signer.der) {
            self.certificates.push(held.signer.der.clone());
        }
    }
}

/// Word that nothing is in a place (RFC 6940 §7.4.2.2, T-65).
fn absent(place: &Place) -> StoredData {
    StoredData {
        storage_time_ms: 0,
        lifetime_s: 0,
        value: place.hold(DataValue::absent()),
        signature: Signature::SYNTHESIZED,
    }
}
