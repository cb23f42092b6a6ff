//! Reader and writer of the presentation language (RFC 6940 §6.3.1): big-endian integers, and
//! vectors whose length prefix is as wide as the upper bound of their range needs.

use thiserror::Error;

use super::id::NodeId;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside the structure.
    #[error("message ends too early")]
    Truncated,
    /// Bytes are left where none are allowed.
    #[error("bytes left over after {0}")]
    Trailing(&'static str),
    /// A value that the grammar does not allow; the name of the field.
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

/// A vector holds more than its length prefix can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a vector is too long for its length prefix")]
pub struct TooLong;

/// What can be written in the presentation language.
pub trait Encode {
    /// Appends this value.
    fn encode(&self, writer: &mut Writer);

    /// This value alone as bytes.
    fn to_bytes(&self) -> Result<Vec<u8>, TooLong> {
        let mut writer = Writer::default();
        self.encode(&mut writer);
        writer.finish()
    }
}

/// What can be read from the presentation language.
pub trait Decode: Sized {
    /// Reads one value and leaves the reader behind it.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads one value that must fill `bytes`, with Node-IDs of the default length.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::read_all(Reader::new(bytes))
    }

    /// Reads one value that must use up `reader`.
    fn read_all(mut reader: Reader<'_>) -> Result<Self, DecodeError> {
        let value = Self::decode(&mut reader)?;
        reader.end("structure")?;
        Ok(value)
    }
}

/// Takes values from the front of a byte slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    node_id_length: usize,
}

impl<'a> Reader<'a> {
    /// A reader for an overlay with Node-IDs of the default length.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_node_id_length(bytes, NodeId::LENGTH_DEFAULT)
    }

    /// A reader for an overlay with Node-IDs of `node_id_length` bytes.
    pub fn with_node_id_length(bytes: &'a [u8], node_id_length: usize) -> Self {
        Self { rest: bytes, node_id_length }
    }

    /// The overlay's Node-ID length in bytes.
    pub fn node_id_length(&self) -> usize {
        self.node_id_length
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails with the name of the structure unless everything has been read.
    pub fn end(&self, what: &'static str) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(what)) }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes.
    pub fn u24(&mut self) -> Result<u32, DecodeError> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A Boolean: one byte, 0 or 1 and nothing else (RFC 6940 §6.3.1.1).
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid(field)),
        }
    }

    /// The content of a vector with a length of one byte.
    pub fn opaque8(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    /// The content of a vector with a length of two bytes.
    pub fn opaque16(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// The content of a vector with a length of three bytes.
    pub fn opaque24(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u24()?;
        self.take(length as usize)
    }

    /// The content of a vector with a length of four bytes.
    pub fn opaque32(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    /// A reader of the same overlay over `bytes`, usually the content of a vector.
    pub fn nested(&self, bytes: &'a [u8]) -> Self {
        Self { rest: bytes, node_id_length: self.node_id_length }
    }

    /// Reads values until `bytes`, the content of a vector, is used up.
    pub fn list<T: Decode>(&self, bytes: &'a [u8]) -> Result<Vec<T>, DecodeError> {
        let mut reader = self.nested(bytes);
        let mut list = Vec::new();
        while !reader.is_empty() {
            list.push(T::decode(&mut reader)?);
        }
        Ok(list)
    }
}

/// Appends values to a buffer. A vector too long for its prefix is remembered and reported by
/// [`Writer::finish`], so that encoding needs no `?` at every field.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
    too_long: bool,
}

impl Writer {
    /// A writer that will hold so many bytes without growing.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), too_long: false }
    }

    /// The bytes written.
    pub fn finish(self) -> Result<Vec<u8>, TooLong> {
        if self.too_long { Err(TooLong) } else { Ok(self.buffer) }
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    /// Appends a Boolean.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Appends a vector with a length of one byte.
    pub fn vec8(&mut self, content: impl FnOnce(&mut Self)) {
        self.vec(1, content);
    }

    /// Appends a vector with a length of two bytes.
    pub fn vec16(&mut self, content: impl FnOnce(&mut Self)) {
        self.vec(2, content);
    }

    /// Appends a vector with a length of three bytes.
    pub fn vec24(&mut self, content: impl FnOnce(&mut Self)) {
        self.vec(3, content);
    }

    /// Appends a vector with a length of four bytes.
    pub fn vec32(&mut self, content: impl FnOnce(&mut Self)) {
        self.vec(4, content);
    }

    /// Appends the values one after the other, without a length.
    pub fn list<T: Encode>(&mut self, values: &[T]) {
        for value in values {
            value.encode(self);
        }
    }

    fn vec(&mut self, width: usize, content: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.buffer.resize(start + width, 0);
        content(self);
        let length = (self.buffer.len() - start - width) as u64;
        if length >> (8 * width) != 0 {
            self.too_long = true;
        }
        let prefix = length.to_be_bytes();
        self.buffer[start..start + width].copy_from_slice(&prefix[8 - width..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ResourceId;

    /// R6940-6.3.1.1-01: vectors carry a length, fixed arrays do not.
    #[test]
    fn resource_id_has_a_length_and_node_id_has_none() {
        let resource = ResourceId::new(b"FOO").expect("short");
        assert_eq!(resource.to_bytes(), Ok(vec![3, 0x46, 0x4f, 0x4f]));
        let node = NodeId::from_u128(7);
        assert_eq!(node.to_bytes().map(|b| b.len()), Ok(16));
    }

    /// R6940-6.3.1.1-02: the Node-ID length is the overlay's.
    #[test]
    fn node_id_length_is_a_parameter() {
        let bytes = [7; 20];
        assert!(NodeId::read_all(Reader::with_node_id_length(&bytes, 20)).is_ok());
        assert!(NodeId::read_all(Reader::with_node_id_length(&bytes, 16)).is_err());
        assert!(NodeId::read_all(Reader::with_node_id_length(&bytes[..16], 20)).is_err());
    }

    #[test]
    fn an_overlong_vector_is_reported() {
        let mut writer = Writer::default();
        writer.vec8(|w| w.bytes(&[0; 256]));
        assert_eq!(writer.finish(), Err(TooLong));
    }
}
