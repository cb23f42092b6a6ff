//! The security block (RFC 6940 §6.3.4): certificates, then a signature.

use bytes::Bytes;

use super::signature::Signature;
use crate::base::{Decode, DecodeError, Encode, Reader, Writer};

/// Certificates and a signature: the last part of every message, and what signs a
/// configuration document (RFC 6940 §11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityBlock {
    /// Certificates that verify what is signed, and the values in it.
    pub certificates: Vec<GenericCertificate>,
    /// The signature.
    pub signature: Signature,
}

impl Encode for SecurityBlock {
    fn encode(&self, writer: &mut Writer) {
        writer.vec16(|w| w.list(&self.certificates));
        self.signature.encode(writer);
    }
}

impl Decode for SecurityBlock {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let certificates = reader.opaque16()?;
        Ok(Self { certificates: reader.list(certificates)?, signature: Signature::decode(reader)? })
    }
}

/// One certificate of a security block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenericCertificate {
    /// CertificateType of RFC 6091; only [`GenericCertificate::X509`] is ever trusted.
    pub certificate_type: u8,
    /// The certificate, DER for X.509.
    pub certificate: Bytes,
}

impl GenericCertificate {
    /// CertificateType of X.509.
    pub const X509: u8 = 0;

    /// An X.509 certificate.
    pub fn x509(der: Bytes) -> Self {
        Self { certificate_type: Self::X509, certificate: der }
    }
}

impl Encode for GenericCertificate {
    fn encode(&self, writer: &mut Writer) {
        writer.u8(self.certificate_type);
        writer.vec16(|w| w.bytes(&self.certificate));
    }
}

impl Decode for GenericCertificate {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            certificate_type: reader.u8()?,
            certificate: Bytes::copy_from_slice(reader.opaque16()?),
        })
    }
}
