//! A message on its way: a header that every hop reads, and a payload that only the destination
//! opens (RFC 6940 §6.3).

use bytes::Bytes;

use super::contents::MessageContents;
use super::header::{ForwardingHeader, Fragment, HeaderError};
use super::security::signature_input;
use super::view::HeaderView;
use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, TooLong, Writer};
use crate::crypto::{GenericCertificate, Identity, SecurityBlock};

/// A forwarding header with the bytes behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The forwarding header.
    pub header: ForwardingHeader,
    /// Message contents and security block, or a part of them.
    pub payload: Bytes,
}

impl Packet {
    /// Reads a packet whose Node-IDs have `node_id_length` bytes.
    pub fn decode(bytes: &Bytes, node_id_length: usize) -> Result<Self, HeaderError> {
        HeaderView::parse(bytes, node_id_length).map(|view| view.to_packet(bytes))
    }

    /// The bytes on a link.
    pub fn encode(&self) -> Result<Bytes, TooLong> {
        let mut writer = Writer::with_capacity(self.payload.len() + HEADER_BYTES);
        self.header.encode(self.payload.len(), &mut writer);
        writer.bytes(&self.payload);
        writer.finish().map(Bytes::from)
    }

    /// Signs `contents` and puts them behind `header`. The signer's certificate goes first into
    /// the security block, before those of `certificates` that differ from it.
    pub fn seal(
        header: ForwardingHeader,
        contents: &MessageContents,
        identity: &Identity,
        certificates: &[Bytes],
    ) -> Result<Self, TooLong> {
        let contents = contents.to_bytes()?;
        let signature = identity.sign(|signer| {
            signature_input(header.overlay, header.transaction_id, &contents, signer)
        });
        let mut bucket = vec![identity.certificate.der.clone()];
        for der in certificates {
            if !bucket.contains(der) {
                bucket.push(der.clone());
            }
        }
        let certificates = bucket.into_iter().map(GenericCertificate::x509).collect();
        let security = SecurityBlock { certificates, signature };
        let bucket: usize = security.certificates.iter().map(|c| c.certificate.len()).sum();
        let mut writer = Writer::with_capacity(contents.len() + bucket + SIGNATURE_BYTES);
        writer.bytes(&contents);
        security.encode(&mut writer);
        Ok(Self { header, payload: writer.finish()?.into() })
    }

    /// Takes a whole message apart; nothing has been verified then.
    pub fn open(&self, node_id_length: usize) -> Result<Opened, DecodeError> {
        if self.header.fragment != Fragment::WHOLE {
            return Err(DecodeError::Invalid("fragment"));
        }
        let mut reader = Reader::with_node_id_length(&self.payload, node_id_length);
        let contents = MessageContents::decode(&mut reader)?;
        let contents_length = self.payload.len() - reader.rest().len();
        let security = SecurityBlock::decode(&mut reader)?;
        reader.end("message")?;
        Ok(Opened { contents, signed: self.payload.slice(..contents_length), security })
    }
}

/// A message taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub contents: MessageContents,
    /// The contents exactly as they came, which is what the signature covers.
    pub signed: Bytes,
    /// Who says it.
    pub security: SecurityBlock,
}

impl Opened {
    /// The bytes that the signature covers.
    pub fn signature_input(&self, header: &ForwardingHeader) -> Vec<u8> {
        let identity = &self.security.signature.identity;
        signature_input(header.overlay, header.transaction_id, &self.signed, identity)
    }
}

/// What a header takes with two destinations and some hops behind it; a longer one is no error.
const HEADER_BYTES: usize = 160;
/// What a security block takes beside its certificates, with an ECDSA signature.
const SIGNATURE_BYTES: usize = 160;

/// Reads the body of a message whose Node-IDs have the length of `node_id`.
pub fn decode_body<T: Decode>(body: &[u8], node_id: NodeId) -> Result<T, DecodeError> {
    T::read_all(Reader::with_node_id_length(body, node_id.as_bytes().len()))
}
