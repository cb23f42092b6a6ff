//! What a node counts for its operator: what came over links that should not have, and what
//! became of links.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::dtls::DtlsError;
use super::error::LinkError;
use super::hop::Stats;
use crate::peer;

/// What a node has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeCounters {
    /// Messages, and why some of them vanished.
    pub messages: peer::Counters,
    /// Links and what they carry.
    #[serde(rename = "link")]
    pub links: LinkCounters,
}

/// What became of links, those for applications included, and of what was sent over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkCounters {
    /// Overlay links that came up.
    pub up: u64,
    /// Attempts for which ICE found no path, or nobody answered.
    pub no_path: u64,
    /// DTLS handshakes that failed for another reason than a certificate.
    pub handshakes_failed: u64,
    /// Handshakes in which we refused the other side's certificate, or it had none.
    pub certificates_refused: u64,
    /// Links that were up and got lost.
    pub lost: u64,
    /// Datagrams at the bootstrap port that were neither STUN nor of a DTLS session.
    pub datagrams_ignored: u64,
    /// Records that were no frames (RFC 6940 §6.6.2).
    pub frames_malformed: u64,
    /// Frames that brought nothing new.
    pub frames_repeated: u64,
    /// Frames sent again.
    pub retransmissions: u64,
    /// Messages that the other side of a link did not acknowledge.
    pub undelivered: u64,
}

impl LinkCounters {
    /// Adds what one link has counted.
    pub(super) fn add(&mut self, link: &Stats) {
        self.frames_malformed += link.malformed;
        self.frames_repeated += link.duplicates;
        self.retransmissions += link.retransmissions;
        self.undelivered += link.undelivered;
    }

    /// Counts an attempt that came to nothing, or the end of a link.
    pub(super) fn ended(&mut self, reason: &LinkError, was_up: bool) {
        match reason {
            LinkError::Closed | LinkError::Dtls(DtlsError::Closed) => {}
            _ if was_up => self.lost += 1,
            LinkError::Dtls(error) if is_certificate(error) => self.certificates_refused += 1,
            LinkError::Dtls(_) => self.handshakes_failed += 1,
            _ => self.no_path += 1,
        }
    }
}

/// What the bootstrap port counts while its sessions run by themselves.
#[derive(Debug, Default)]
pub(super) struct PortCounters {
    handshakes_failed: AtomicU64,
    certificates_refused: AtomicU64,
    datagrams_ignored: AtomicU64,
}

impl PortCounters {
    pub(super) fn ignored(&self) {
        self.datagrams_ignored.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, reason: &LinkError) {
        let counter = match reason {
            LinkError::Dtls(error) if is_certificate(error) => &self.certificates_refused,
            _ => &self.handshakes_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, counters: &mut LinkCounters) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        counters.handshakes_failed += read(&self.handshakes_failed);
        counters.certificates_refused += read(&self.certificates_refused);
        counters.datagrams_ignored += read(&self.datagrams_ignored);
    }
}

fn is_certificate(error: &DtlsError) -> bool {
    matches!(error, DtlsError::CertificateRefused(_) | DtlsError::NoCertificate)
}
