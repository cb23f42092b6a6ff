//! Message contents and their codes (RFC 6940 §6.3.3).

use bytes::Bytes;

use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// The code of a message: which method, and whether request or answer (RFC 6940 §14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageCode(pub u16);

impl MessageCode {
    /// An error instead of an answer.
    pub const ERROR: Self = Self(0xffff);

    /// Whether this is a request; these are odd and errors are not among them.
    pub fn is_request(self) -> bool {
        self.0 % 2 == 1 && self != Self::ERROR
    }

    /// The code of the answer to a request with this code.
    pub fn answer(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A method: a pair of message codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Method {
    /// Ask a peer about itself (RFC 6940 §6.4.2.5).
    Probe = 0x1,
    /// Make a link (§6.5.1).
    Attach = 0x3,
    /// Store values (§7.4.1).
    Store = 0x7,
    /// Fetch values (§7.4.2).
    Fetch = 0x9,
    /// Find the next resource with values of a Kind (§7.4.4).
    Find = 0xd,
    /// Become a peer (§6.4.2.1).
    Join = 0xf,
    /// Stop being one (§6.4.2.2).
    Leave = 0x11,
    /// Tell neighbours what we know (§6.4.2.3).
    Update = 0x13,
    /// Ask for the next hop (§6.4.2.4).
    RouteQuery = 0x15,
    /// Is somebody there (§6.5.3)?
    Ping = 0x17,
    /// Fetch metadata (§7.4.3).
    Stat = 0x19,
    /// Make a connection for an application (§6.5.2).
    AppAttach = 0x1d,
    /// Hand out a newer configuration (§6.5.4).
    ConfigUpdate = 0x21,
}

impl Method {
    /// The code of this method's requests.
    pub fn request(self) -> MessageCode {
        MessageCode(self as u16)
    }

    /// The code of this method's answers.
    pub fn answer(self) -> MessageCode {
        self.request().answer()
    }

    /// The method that a request code names, if we know it.
    pub fn of_request(code: MessageCode) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.request() == code)
    }

    /// Every method that we know.
    pub const ALL: [Self; 13] = [
        Self::Probe,
        Self::Attach,
        Self::Store,
        Self::Fetch,
        Self::Find,
        Self::Join,
        Self::Leave,
        Self::Update,
        Self::RouteQuery,
        Self::Ping,
        Self::Stat,
        Self::AppAttach,
        Self::ConfigUpdate,
    ];
}

/// What a message says, once its signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageContents {
    /// Method and direction.
    pub code: MessageCode,
    /// The method's structure, still encoded.
    pub body: Bytes,
    /// Extensions, known or not.
    pub extensions: Vec<MessageExtension>,
}

impl MessageContents {
    /// Contents without extensions.
    pub fn new(code: MessageCode, body: impl Into<Bytes>) -> Self {
        Self { code, body: body.into(), extensions: Vec::new() }
    }
}

impl Encode for MessageContents {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.code.0);
        writer.vec32(|w| w.bytes(&self.body));
        writer.vec32(|w| w.list(&self.extensions));
    }
}

impl Decode for MessageContents {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = MessageCode(reader.u16()?);
        let body = Bytes::copy_from_slice(reader.opaque32()?);
        let extensions = reader.opaque32()?;
        Ok(Self { code, body, extensions: reader.list(extensions)? })
    }
}

/// An extension of a message (RFC 6940 §6.3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageExtension {
    /// The registered type.
    pub extension_type: u16,
    /// Whether a receiver that does not know it must refuse the message.
    pub critical: bool,
    /// The extension's own bytes.
    pub data: Vec<u8>,
}

impl MessageExtension {
    /// In a Ping, the question for credentials of the relay that the answerer lends, and in its
    /// answer these (T-42). Ours: no registry has it. Never critical, so that whoever does not
    /// know it answers a Ping as any other.
    pub const RELAY_CREDENTIALS: u16 = 0x4301;
    /// In a Ping, an address that the answerer is to knock at with a STUN Binding request, as we
    /// want to know whether others reach us there (T-43). Ours too.
    pub const KNOCK: u16 = 0x4302;
}

impl Encode for MessageExtension {
    fn encode(&self, writer: &mut Writer) {
        writer.u16(self.extension_type);
        writer.bool(self.critical);
        writer.vec32(|w| w.bytes(&self.data));
    }
}

impl Decode for MessageExtension {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            extension_type: reader.u16()?,
            critical: reader.bool("critical")?,
            data: reader.opaque32()?.to_vec(),
        })
    }
}
