//! A form as enrollment servers take it (RFC 6940 §11.3): multipart/form-data (RFC 2388).

use ring::rand::{SecureRandom, SystemRandom};

use super::https::Upload;
use super::prepare::{prepared_account, prepared_password};
use crate::crypto::Password;

/// A form that is being filled in.
pub(super) struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    /// An empty form; `None` if the system has no random numbers.
    pub(super) fn new() -> Option<Self> {
        let mut random = [0; 16];
        SystemRandom::new().fill(&mut random).ok()?;
        let boundary = format!("chordial-{}", hex::encode(random));
        Some(Self { boundary, body: Vec::new() })
    }

    /// Adds who asks.
    pub(super) fn account(&mut self, account: &str, password: &Password) {
        self.field("username", &prepared_account(account));
        self.field("password", &prepared_password(password.as_str()));
    }

    /// Adds a field with a text.
    pub(super) fn field(&mut self, name: &str, text: &str) {
        self.part(&format!("name=\"{name}\""), text.as_bytes());
    }

    /// Adds a part; `head` begins in its Content-Disposition, after the type.
    pub(super) fn part(&mut self, head: &str, value: &[u8]) {
        let boundary = &self.boundary;
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        self.body.extend_from_slice(head.as_bytes());
        self.body.extend_from_slice(value);
        self.body.extend_from_slice(b"\r\n");
    }

    /// The form as it is sent.
    pub(super) fn finish(mut self) -> Upload {
        self.body.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        let media_type = format!("multipart/form-data; boundary={}", self.boundary);
        Upload { media_type, body: self.body.into() }
    }
}
