//! Probe (RFC 6940 §6.4.2.5).

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// What a peer can be asked about itself (RFC 6940 §14.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeInformationType(pub u8);

impl ProbeInformationType {
    /// The fraction of the overlay that it is responsible for, in parts per billion.
    pub const RESPONSIBLE_SET: Self = Self(1);
    /// How many resources it stores, however many values each has.
    pub const NUM_RESOURCES: Self = Self(2);
    /// For how long it has been up, in seconds.
    pub const UPTIME: Self = Self(3);
}

/// Tell me about yourself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeReq {
    /// What is asked; unknown types have no answer.
    pub requested: Vec<ProbeInformationType>,
}

impl Encode for ProbeReq {
    fn encode(&self, writer: &mut Writer) {
        writer.vec8(|w| self.requested.iter().for_each(|requested| w.u8(requested.0)));
    }
}

impl Decode for ProbeReq {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let requested = reader.opaque8()?;
        Ok(Self { requested: requested.iter().copied().map(ProbeInformationType).collect() })
    }
}

/// Answer to a ProbeReq.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeAns {
    /// What is known of what was asked, in the order of the request.
    pub information: Vec<ProbeInformation>,
}

impl Encode for ProbeAns {
    fn encode(&self, writer: &mut Writer) {
        writer.vec16(|w| w.list(&self.information));
    }
}

impl Decode for ProbeAns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let information = reader.opaque16()?;
        Ok(Self { information: reader.list(information)? })
    }
}

/// One piece of information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeInformation {
    /// What it is about.
    pub information_type: ProbeInformationType,
    /// The value; types that are not known here may have any form.
    pub value: Vec<u8>,
}

impl ProbeInformation {
    /// Information that is a number, as all known types are.
    pub fn new(information_type: ProbeInformationType, number: u32) -> Self {
        Self { information_type, value: number.to_be_bytes().to_vec() }
    }

    /// The value as a number, if it has the length of one.
    pub fn number(&self) -> Option<u32> {
        <[u8; 4]>::try_from(&self.value[..]).ok().map(u32::from_be_bytes)
    }
}

impl Encode for ProbeInformation {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.information_type.0);
        writer.vec8(|w| w.bytes(&self.value));
    }
}

impl Decode for ProbeInformation {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            information_type: ProbeInformationType(reader.u8()?),
            value: reader.opaque8()?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_has_the_printed_layout() {
        let types = [ProbeInformationType::UPTIME, ProbeInformationType::RESPONSIBLE_SET];
        let request = ProbeReq { requested: types.to_vec() };
        assert_eq!(request.to_bytes(), Ok(vec![2, 3, 1]));
        let information = vec![ProbeInformation::new(ProbeInformationType::UPTIME, 600)];
        let bytes = ProbeAns { information }.to_bytes().expect("short");
        assert_eq!(hex::encode(&bytes), "0006030400000258");
        assert_eq!(ProbeAns::from_bytes(&bytes).map(|a| a.information[0].number()), Ok(Some(600)));
    }

    #[test]
    fn unknown_information_survives() {
        let bytes = hex::decode("0009c8026869030400000258").expect("hexadecimal");
        assert!(ProbeAns::from_bytes(&bytes).is_err(), "the vector is longer than it says");
        let bytes = hex::decode("000ac8026869030400000258").expect("hexadecimal");
        let answer = ProbeAns::from_bytes(&bytes).expect("parses");
        assert_eq!(answer.information[0].number(), None);
        assert_eq!(answer.to_bytes(), Ok(bytes));
    }
}
