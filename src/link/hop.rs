//! What both kinds of hop have in common: what goes into one, what comes out, and what it counts.

use bytes::Bytes;

use crate::base::Instant;

/// What happens to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Send this message.
    Send(Bytes),
    /// This record arrived.
    Record(Bytes),
    /// The deadline has come.
    Timeout,
}

/// What a connection wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Put this on the wire.
    Record(Bytes),
    /// Hand this message up.
    Deliver(Bytes),
    /// A message was not sent because too many others wait.
    Dropped(Bytes),
    /// The other side may never get this message; each is reported once. It is still sent again
    /// here, unless [`Self::Failed`] follows.
    Undelivered(Bytes),
    /// Nothing is acknowledged: take the link out of the Routing Table (RFC 6940 §6.6.3.1).
    Suspect,
    /// Acknowledgements came back after [`Output::Suspect`].
    Restored,
    /// All transmissions of a message failed in silence: close the connection.
    Failed,
}

/// Counters of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Data frames sent, retransmissions included.
    pub frames_sent: u64,
    /// Data frames sent again.
    pub retransmissions: u64,
    /// Messages handed up.
    pub delivered: u64,
    /// Data frames that brought nothing new.
    pub duplicates: u64,
    /// Messages lost for want of room or of acknowledgements.
    pub lost: u64,
    /// Messages reported as undelivered.
    pub undelivered: u64,
    /// Records that were no frames.
    pub malformed: u64,
    /// The smoothed round-trip time, in milliseconds, once measured.
    pub rtt_ms: Option<u64>,
}

/// What makes messages of frames and frames of messages on one hop.
pub trait Hop: Send {
    /// Takes one input; drain [`Self::poll`] afterwards.
    fn handle(&mut self, now: Instant, input: Input);

    /// The next thing to do, until there is none.
    fn poll(&mut self) -> Option<Output>;

    /// When to call [`Self::handle`] with [`Input::Timeout`].
    fn deadline(&self) -> Option<Instant>;

    /// What has been counted so far.
    fn stats(&self) -> Stats;

    /// Every message that is neither acknowledged nor reported yet, for a link that is going down.
    fn abandon(&mut self) -> Vec<Bytes>;
}
