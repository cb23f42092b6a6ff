//! The forwarding header read where it stands (RFC 6940 §6.3.2): to find the way of a message
//! takes no copy of anything, and to pass it on takes one.

use bytes::Bytes;

use super::contents::MessageCode;
use super::destination::ListView;
use super::header::{ALWAYS, ForwardingHeader, ForwardingOption, Fragment, HeaderError};
use super::packet::Packet;
use crate::base::{DecodeError, TransactionId};

/// A message or fragment whose forwarding header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct HeaderView<'a> {
    fixed: &'a [u8; ForwardingHeader::FIXED_LENGTH],
    via_list: ListView<'a>,
    destination_list: ListView<'a>,
    options: &'a [u8],
    payload: &'a [u8],
}

/// A forwarding option where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionView<'a> {
    /// The registered type.
    pub option_type: u8,
    /// As in [`ForwardingOption`].
    pub flags: u8,
    /// The option's own bytes.
    pub data: &'a [u8],
}

impl<'a> HeaderView<'a> {
    /// Reads the header of a message with Node-IDs of `node_id_length` bytes. Everything that the
    /// header says of lengths holds then.
    pub fn parse(message: &'a [u8], node_id_length: usize) -> Result<Self, HeaderError> {
        if !message.starts_with(&ForwardingHeader::TOKEN.to_be_bytes()) {
            return Err(HeaderError::Token);
        }
        let (fixed, rest) = message
            .split_first_chunk::<{ ForwardingHeader::FIXED_LENGTH }>()
            .ok_or(DecodeError::Truncated)?;
        if fixed[VERSION] != ForwardingHeader::VERSION {
            return Err(HeaderError::Version(fixed[VERSION]));
        }
        if u32::from_be_bytes(at(fixed, FRAGMENT)) & ALWAYS == 0 {
            return Err(DecodeError::Invalid("fragment").into());
        }
        if u32::from_be_bytes(at(fixed, LENGTH)) as usize != message.len() {
            return Err(DecodeError::Invalid("length").into());
        }
        let length = |field| usize::from(u16::from_be_bytes(at(fixed, field)));
        let split =
            |bytes: &'a [u8], length| bytes.split_at_checked(length).ok_or(DecodeError::Truncated);
        let (via_list, rest) = split(rest, length(VIA_LENGTH))?;
        let (destination_list, rest) = split(rest, length(DESTINATION_LENGTH))?;
        let (options, payload) = split(rest, length(OPTIONS_LENGTH))?;
        let via_list = ListView::via_list(via_list, node_id_length)?;
        let destination_list = ListView::new(destination_list, node_id_length)?;
        let mut rest = options;
        while !rest.is_empty() {
            (_, rest) = option(rest).ok_or(DecodeError::Truncated)?;
        }
        Ok(Self { fixed, via_list, destination_list, options, payload })
    }

    /// The overlay's hash.
    pub fn overlay(&self) -> u32 {
        u32::from_be_bytes(at(self.fixed, 4))
    }

    /// Links that the message may still cross.
    pub fn ttl(&self) -> u8 {
        self.fixed[TTL]
    }

    /// Which part of the message this is.
    pub fn fragment(&self) -> Fragment {
        Fragment::from_field(u32::from_be_bytes(at(self.fixed, FRAGMENT)))
    }

    /// What a request and its answer share.
    pub fn transaction_id(&self) -> TransactionId {
        TransactionId(u64::from_be_bytes(at(self.fixed, 20)))
    }

    /// Where the message has been.
    pub fn via_list(&self) -> ListView<'a> {
        self.via_list
    }

    /// Where it still has to go.
    pub fn destination_list(&self) -> ListView<'a> {
        self.destination_list
    }

    /// Its forwarding options.
    pub fn options(&self) -> impl Iterator<Item = OptionView<'a>> + use<'a> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            let (first, others) = option(rest)?;
            rest = others;
            Some(first)
        })
    }

    /// How many bytes the three lists take.
    pub fn lists_length(&self) -> usize {
        self.via_list.bytes().len() + self.destination_list.bytes().len() + self.options.len()
    }

    /// What follows the header.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The code of the message, or `None` in a later fragment.
    pub fn message_code(&self) -> Option<MessageCode> {
        match (self.fragment().offset, self.payload) {
            (0, [high, low, ..]) => Some(MessageCode(u16::from_be_bytes([*high, *low]))),
            _ => None,
        }
    }

    /// Header and payload of their own. `message` is what this is a view of.
    pub fn to_packet(&self, message: &Bytes) -> Packet {
        Packet { header: self.to_header(), payload: message.slice_ref(self.payload) }
    }

    /// The header alone.
    pub fn to_header(&self) -> ForwardingHeader {
        let options = self.options().map(|o| ForwardingOption {
            option_type: o.option_type,
            flags: o.flags,
            data: o.data.to_vec(),
        });
        ForwardingHeader {
            overlay: self.overlay(),
            configuration_sequence: u16::from_be_bytes(at(self.fixed, 8)),
            ttl: self.ttl(),
            fragment: self.fragment(),
            transaction_id: self.transaction_id(),
            max_response_length: u32::from_be_bytes(at(self.fixed, 28)),
            via_list: self.via_list.to_vec(),
            destination_list: self.destination_list.to_vec(),
            options: options.collect(),
        }
    }

    /// The same message for the next link, with another TTL and with lists that are each put
    /// together from two encoded parts; `None` if one is too long for its length field.
    pub fn rewrite(
        &self,
        ttl: u8,
        via_list: [&[u8]; 2],
        destination_list: [&[u8]; 2],
    ) -> Option<Bytes> {
        let length = |parts: &[&[u8]; 2]| parts[0].len() + parts[1].len();
        let (via_length, destination_length) = (length(&via_list), length(&destination_list));
        let lists = via_length + destination_length + self.options.len();
        let whole = ForwardingHeader::FIXED_LENGTH + lists + self.payload.len();
        let mut fixed = *self.fixed;
        fixed[TTL] = ttl;
        put(&mut fixed, LENGTH, u32::try_from(whole).ok()?.to_be_bytes());
        put(&mut fixed, VIA_LENGTH, u16::try_from(via_length).ok()?.to_be_bytes());
        put(&mut fixed, DESTINATION_LENGTH, u16::try_from(destination_length).ok()?.to_be_bytes());
        let mut message = Vec::with_capacity(whole);
        message.extend_from_slice(&fixed);
        for part in via_list.into_iter().chain(destination_list) {
            message.extend_from_slice(part);
        }
        message.extend_from_slice(self.options);
        message.extend_from_slice(self.payload);
        Some(message.into())
    }
}

/// The first option of an encoded list, and the rest of the list.
fn option(bytes: &[u8]) -> Option<(OptionView<'_>, &[u8])> {
    let ([option_type, flags, high, low], rest) = bytes.split_first_chunk()?;
    let length = u16::from_be_bytes([*high, *low]);
    let (data, rest) = rest.split_at_checked(usize::from(length))?;
    Some((OptionView { option_type: *option_type, flags: *flags, data }, rest))
}

fn at<const N: usize>(fixed: &[u8; ForwardingHeader::FIXED_LENGTH], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&fixed[offset..offset + N]);
    field
}

fn put<const N: usize>(
    fixed: &mut [u8; ForwardingHeader::FIXED_LENGTH],
    offset: usize,
    field: [u8; N],
) {
    fixed[offset..offset + N].copy_from_slice(&field);
}

// Where the fields are that others than their getters need.
const VERSION: usize = 10;
const TTL: usize = 11;
pub(super) const FRAGMENT: usize = 12;
pub(super) const LENGTH: usize = 16;
pub(super) const VIA_LENGTH: usize = 32;
const DESTINATION_LENGTH: usize = 34;
const OPTIONS_LENGTH: usize = 36;
