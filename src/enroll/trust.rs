//! Whose word on the name of a web server is taken: the system's roots (`SSL_CERT_FILE` and
//! `SSL_CERT_DIR` are honoured), and the trust anchors of an overlay whose document has been
//! authenticated already.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

/// The roots that a web server's certificate may chain to.
#[derive(Clone, Debug)]
pub struct Trust {
    system: bool,
    roots: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// The roots of this computer.
    pub fn system() -> Self {
        Self { system: true, roots: Vec::new() }
    }

    /// No roots but those that are added.
    pub fn none() -> Self {
        Self { system: false, roots: Vec::new() }
    }

    /// These roots too, in DER: the root-certs of a document that has been authenticated. One
    /// that is no certificate vouches for nobody.
    #[must_use]
    pub fn with_roots(mut self, roots: &[Vec<u8>]) -> Self {
        self.roots.extend(roots.iter().map(|der| CertificateDer::from(der.clone())));
        self
    }

    /// A TLS client that accepts a server whose certificate is for one of `names` (T-76); `None`
    /// without any root. Reads files, and so may take a moment.
    pub(super) fn client(&self, names: Vec<ServerName<'static>>) -> Option<ClientConfig> {
        let mut store = RootCertStore::empty();
        if self.system {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        store.add_parsable_certificates(self.roots.iter().cloned());
        let provider = Arc::new(ring::default_provider());
        let verifier = one_of(store, names, provider.clone())?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Some(config)
    }
}

fn one_of(
    store: RootCertStore,
    names: Vec<ServerName<'static>>,
    provider: Arc<CryptoProvider>,
) -> Option<OneOf> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
    Some(OneOf { names, verifier: verifier.build().ok()? })
}

/// Accepts what the ordinary verifier accepts for one of these names, whatever name the
/// handshake asks for.
#[derive(Debug)]
struct OneOf {
    names: Vec<ServerName<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for OneOf {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut other_name = Error::from(CertificateError::NotValidForName);
        for name in &self.names {
            let verified = self.verifier.verify_server_cert(
                end_entity,
                intermediates,
                name,
                ocsp_response,
                now,
            );
            match verified {
                Err(error) if is_other_name(&error) => other_name = error,
                verified => return verified,
            }
        }
        Err(other_name)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Whether the only objection to a certificate is its name.
pub(super) fn is_other_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}
