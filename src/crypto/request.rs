//! Requests for a certificate (PKCS #10, RFC 2986), as enrollment wants them (RFC 6940 §11.3).

use std::fmt;

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    SignatureAlgorithm,
};
use thiserror::Error;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

use super::certificate::PublicKey;
use super::identity::IdentityError;
use super::keys::rfc822_name;
use super::x509::{public_key, signature_algorithm, verify};

/// A request and the private key that its certificate will belong to.
#[derive(Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The request in DER, signed with the key.
    pub csr_der: Vec<u8>,
    /// The private key in PKCS #8 DER.
    pub private_key_der: Vec<u8>,
}

impl CertificateRequest {
    /// Makes a key and a request for `user_name`, such as `alice@example.org`.
    ///
    /// # Errors
    ///
    /// Fails for a user name that is not ASCII.
    pub fn generate(user_name: &str) -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IdentityError::Key)?;
        Self::signed(user_name, &key)
    }

    /// A request for `user_name` with a P-256 key in PKCS #8 DER that is there already: the
    /// certificate is renewed and the key stays.
    ///
    /// # Errors
    ///
    /// Fails for a user name that is not ASCII and for a key of another kind.
    pub fn with_key(user_name: &str, private_key_der: &[u8]) -> Result<Self, IdentityError> {
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&private_key_der.into(), &PKCS_ECDSA_P256_SHA256)
                .map_err(|_| IdentityError::Key)?;
        Self::signed(user_name, &key)
    }

    /// The subject is empty, and the name stands in an extension request (T-77).
    fn signed(user_name: &str, key: &KeyPair) -> Result<Self, IdentityError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![rfc822_name(user_name)?];
        let request = params.serialize_request(key).map_err(|_| IdentityError::Key)?;
        Ok(Self { csr_der: request.der().to_vec(), private_key_der: key.serialize_der() })
    }
}

impl fmt::Debug for CertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateRequest(hidden)")
    }
}

/// What somebody's request asks for, once its signature has proved that they have the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedCertificate {
    key: PublicKey,
    user_name: Option<String>,
}

impl RequestedCertificate {
    /// Reads a request in DER and checks its signature.
    ///
    /// # Errors
    ///
    /// Fails for whatever is no request, names several users, or has a key that RELOAD nodes
    /// cannot use.
    pub fn read(der: &[u8]) -> Result<Self, RequestError> {
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_| RequestError::Malformed)?;
        if !rest.is_empty() {
            return Err(RequestError::Malformed);
        }
        let info = &request.certification_request_info;
        let key = public_key(&info.subject_pki).map_err(|_| RequestError::UnsupportedKey)?;
        let algorithm = signature_algorithm(&request.signature_algorithm)
            .map_err(|_| RequestError::UnsupportedKey)?;
        if !verify(&key, algorithm, info.raw, &request.signature_value.data) {
            return Err(RequestError::Signature);
        }
        Ok(Self { key, user_name: requested_name(&request)? })
    }

    /// The user name that the request asks for; who names none takes what the account gives.
    pub fn user_name(&self) -> Option<&str> {
        self.user_name.as_deref()
    }
}

impl rcgen::PublicKeyData for RequestedCertificate {
    fn der_bytes(&self) -> &[u8] {
        match &self.key {
            PublicKey::EcdsaP256(key) | PublicKey::Rsa(key) => key,
            #[cfg(feature = "sim")]
            PublicKey::Cheap => &[],
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match &self.key {
            PublicKey::Rsa(_) => &PKCS_RSA_SHA256,
            PublicKey::EcdsaP256(_) => &PKCS_ECDSA_P256_SHA256,
            #[cfg(feature = "sim")]
            PublicKey::Cheap => &PKCS_ECDSA_P256_SHA256,
        }
    }
}

/// Why a request for a certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// Not a PKCS #10 request in DER, or a broken one.
    #[error("the certificate request does not parse")]
    Malformed,
    /// The signature is not by the key in the request.
    #[error("the certificate request's signature is wrong")]
    Signature,
    /// A key that nodes cannot use: neither ECDSA on P-256 nor RSA of 2048 bits and more, or with
    /// another digest than SHA-256.
    #[error("the certificate request's key is of a kind that is not supported")]
    UnsupportedKey,
    /// More than one user name.
    #[error("the certificate request names more than one user")]
    UserNames,
}

/// The rfc822Name of the extension request (T-77). Other names are passed over: the authority
/// puts none of them into a certificate.
fn requested_name(request: &X509CertificationRequest<'_>) -> Result<Option<String>, RequestError> {
    let mut names = Vec::new();
    for extension in request.requested_extensions().into_iter().flatten() {
        match extension {
            ParsedExtension::SubjectAlternativeName(alternative) => {
                names.extend(alternative.general_names.iter().filter_map(|name| match name {
                    GeneralName::RFC822Name(name) => Some((*name).to_owned()),
                    _ => None,
                }));
            }
            ParsedExtension::ParseError { .. } => return Err(RequestError::Malformed),
            _ => {}
        }
    }
    match &mut names[..] {
        [] => Ok(None),
        [only] if only.is_empty() => Err(RequestError::Malformed),
        [only] => Ok(Some(std::mem::take(only))),
        _ => Err(RequestError::UserNames),
    }
}
