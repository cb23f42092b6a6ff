//! The forwarding header (RFC 6940 §6.3.2): all that a node on the way reads.

use sha1::{Digest, Sha1};

use super::destination::Destination;
use crate::base::{DecodeError, Encode, TransactionId, Writer};

/// The forwarding header of a message or fragment. Its `length` field is not kept: it is written
/// anew on every link (T-05).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingHeader {
    /// The overlay's [`overlay_hash`].
    pub overlay: u32,
    /// The sequence of the sender's configuration document.
    pub configuration_sequence: u16,
    /// Links that the message may still cross.
    pub ttl: u8,
    /// Which part of the message follows.
    pub fragment: Fragment,
    /// What a request and its answer share.
    pub transaction_id: TransactionId,
    /// The longest answer in bytes that the requester takes; 0 is no limit.
    pub max_response_length: u32,
    /// Where the message has been.
    pub via_list: Vec<Destination>,
    /// Where it still has to go.
    pub destination_list: Vec<Destination>,
    /// Forwarding options.
    pub options: Vec<ForwardingOption>,
}

impl ForwardingHeader {
    /// The header's token: "ReLO" with the top bit set.
    pub const TOKEN: u32 = 0xd245_4c4f;
    /// RELOAD 1.0.
    pub const VERSION: u8 = 0x0a;
    /// Bytes before the three lists.
    pub const FIXED_LENGTH: usize = 38;

    /// Appends the header of a message that carries `payload_length` bytes after it.
    pub fn encode(&self, payload_length: usize, writer: &mut Writer) {
        let via_list = list(&self.via_list);
        let destination_list = list(&self.destination_list);
        let options = list(&self.options);
        let lists = via_list.len() + destination_list.len() + options.len();
        writer.u32(Self::TOKEN);
        writer.u32(self.overlay);
        writer.u16(self.configuration_sequence);
        writer.u8(Self::VERSION);
        writer.u8(self.ttl);
        self.fragment.encode(writer);
        writer.u32((Self::FIXED_LENGTH + lists + payload_length) as u32);
        writer.u64(self.transaction_id.0);
        writer.u32(self.max_response_length);
        writer.u16(via_list.len() as u16);
        writer.u16(destination_list.len() as u16);
        writer.u16(options.len() as u16);
        writer.bytes(&via_list);
        writer.bytes(&destination_list);
        writer.bytes(&options);
    }
}

/// Why a forwarding header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not RELOAD at all.
    #[error("not a RELOAD message")]
    Token,
    /// Another version of RELOAD.
    #[error("RELOAD version {0:#04x} is not supported")]
    Version(u8),
    /// The bytes do not parse.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// The overlay field of the header: the low 32 bits of the SHA-1 of the overlay's name, whose
/// exact octets come from the configuration document (RFC 6940 §6.3.2, T-01).
pub fn overlay_hash(overlay_name: &str) -> u32 {
    let digest = Sha1::digest(overlay_name.as_bytes());
    u32::from_be_bytes([digest[16], digest[17], digest[18], digest[19]])
}

/// The fragment field (RFC 6940 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Whether this is the last fragment, or the whole message.
    pub last: bool,
    /// Offset in bytes of this part within what follows the forwarding header.
    pub offset: u32,
}

impl Fragment {
    /// A message in one piece.
    pub const WHOLE: Self = Self { last: true, offset: 0 };
    /// The largest offset that the field holds.
    pub const OFFSET_MAX: u32 = 0x00ff_ffff;

    /// The fragment that a field names in which the bit is set that always is.
    pub(super) fn from_field(field: u32) -> Self {
        Self { last: field & LAST != 0, offset: field & Self::OFFSET_MAX }
    }
}

impl Encode for Fragment {
    fn encode(&self, writer: &mut Writer) {
        let last = if self.last { LAST } else { 0 };
        writer.u32(ALWAYS | last | (self.offset & Self::OFFSET_MAX));
    }
}

/// A forwarding option; types we do not know are carried along (RFC 6940 §6.3.2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingOption {
    /// The registered type.
    pub option_type: u8,
    /// [`ForwardingOption::FORWARD_CRITICAL`] and its companions.
    pub flags: u8,
    /// The option's own bytes.
    pub data: Vec<u8>,
}

impl ForwardingOption {
    /// A node on the way that does not know the option must refuse the request.
    pub const FORWARD_CRITICAL: u8 = 0x01;
    /// A destination that does not know the option must refuse the request.
    pub const DESTINATION_CRITICAL: u8 = 0x02;
    /// The option is copied into the answer.
    pub const RESPONSE_COPY: u8 = 0x04;
    /// Nodes on the way keep no state for the answer (RFC 7263 §5.2.1).
    pub const IGNORE_STATE_KEEPING: u8 = 0x08;
}

impl Encode for ForwardingOption {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.option_type);
        writer.u8(self.flags);
        writer.vec16(|w| w.bytes(&self.data));
    }
}

fn list<T: Encode>(values: &[T]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(values);
    // Entries carry their own length bytes and cannot be too long.
    writer.finish().unwrap_or_default()
}

/// The bit of the fragment field that is set in every message since version 1.0.
pub(super) const ALWAYS: u32 = 0x8000_0000;
/// The bit of the last fragment.
pub(super) const LAST: u32 = 0x4000_0000;
