//! Find (RFC 6940 §7.4.4).

use super::stored_data::KindId;
use crate::base::{Decode, DecodeError, Encode, Reader, ResourceId, Writer};

/// Which resources next to this one have values of these Kinds?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindReq {
    /// Where to begin.
    pub resource: ResourceId,
    /// The Kinds, each once.
    pub kinds: Vec<KindId>,
}

impl Encode for FindReq {
    fn encode(&self, writer: &mut Writer) {
        self.resource.encode(writer);
        writer.vec8(|w| self.kinds.iter().for_each(|kind| w.u32(kind.0)));
    }
}

impl Decode for FindReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let resource = ResourceId::decode(reader)?;
        let list = reader.opaque8()?;
        let mut list = reader.nested(list);
        let mut kinds = Vec::new();
        while !list.is_empty() {
            kinds.push(KindId(list.u32()?));
        }
        Ok(Self { resource, kinds })
    }
}

/// Answer to a FindReq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindAns {
    /// One entry for each Kind that may be found.
    pub results: Vec<FindKindData>,
}

impl Encode for FindAns {
    fn encode(&self, writer: &mut Writer) {
        writer.vec16(|w| w.list(&self.results));
    }
}

impl Decode for FindAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let results = reader.opaque16()?;
        Ok(Self { results: reader.list(results)? })
    }
}

/// Where the next values of a Kind are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindKindData {
    /// The Kind.
    pub kind: KindId,
    closest: ResourceId,
}

impl FindKindData {
    /// The result for a Kind; `None` if there is no such resource.
    pub fn new(kind: KindId, closest: Option<ResourceId>) -> Self {
        Self { kind, closest: closest.unwrap_or(ResourceId::from_u128(0)) }
    }

    /// The resource, or `None` for the Resource-ID 0, in 16 bytes or in none (T-57).
    pub fn closest(&self) -> Option<&ResourceId> {
        let is_nothing = self.closest.as_bytes().iter().all(|byte| *byte == 0);
        (!is_nothing).then_some(&self.closest)
    }
}

impl Encode for FindKindData {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.kind.0);
        self.closest.encode(writer);
    }
}

impl Decode for FindKindData {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { kind: KindId(reader.u32()?), closest: ResourceId::decode(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_find_has_the_printed_layout() {
        let resource = ResourceId::new(&[0xab; 2]).expect("short");
        let request = FindReq { resource: resource.clone(), kinds: vec![KindId(3), KindId(16)] };
        let bytes = request.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "02abab080000000300000010");
        assert_eq!(FindReq::from_bytes(&bytes), Ok(request));
        let results = vec![FindKindData::new(KindId(3), Some(resource))];
        let bytes = FindAns { results }.to_bytes().expect("short");
        assert_eq!(hex::encode(bytes), "00070000000302abab");
    }

    /// T-57: 16 zero bytes mean nothing, and so do none.
    #[test]
    fn nothing_is_zero() {
        let nothing = FindKindData::new(KindId(3), None);
        assert_eq!(
            nothing.to_bytes().map(|b| hex::encode(&b[4..])),
            Ok("10".to_owned() + &"00".repeat(16))
        );
        let short = FindKindData::from_bytes(&[0, 0, 0, 3, 0]).expect("parses");
        assert_eq!((nothing.closest(), short.closest()), (None, None));
    }
}
