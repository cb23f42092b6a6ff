//! An overlay link: RELOAD messages on a secure flow with the framing header, and over UDP with
//! Simple Reliability (RFC 6940 §6.6.4 to §6.6.6).

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use super::error::{LinkError, SendError};
use super::hop::{Hop, Input, Output, Stats};
use super::pace::SenderKind;
use super::pcap::{Direction, Pcap, Protocol};
use super::reliability::Reliability;
use super::transport::{FlowInfo, SecureFlow, Transport};
use super::watched::Watched;

/// Bounds.
pub mod limits {
    /// The longest message that goes out in one datagram. With the framing header (8), the DTLS
    /// record (37), UDP (8) and IPv6 (40) it fits 1280 bytes, which every IPv6 path carries.
    pub const MTU: usize = 1180;
    /// Messages handed over but not taken by the link's task yet.
    pub const OUTGOING_MAX: usize = 64;
    /// Events that nobody has fetched; then the link stops reading, and the sender's window fills.
    pub const EVENTS_MAX: usize = 256;
}

use limits::*;

/// What happens on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayEvent {
    /// A message, or a fragment of one, arrived.
    Message(Bytes),
    /// The other side has not acknowledged this message and may never get it; each is given back
    /// once, and all of them before [`Self::Suspect`] and [`Self::Down`].
    Undelivered(Bytes),
    /// No acknowledgements: take the link out of the Routing Table (RFC 6940 §6.6.3.1).
    Suspect,
    /// Acknowledgements came back.
    Restored,
    /// The link is gone; nothing follows.
    Down(LinkError),
}

/// A link to one other node. Once it and all its senders are dropped the link closes.
pub struct OverlayLink {
    sender: OverlaySender,
    events: mpsc::Receiver<OverlayEvent>,
    info: FlowInfo,
}

impl OverlayLink {
    /// Runs the link on `flow`; what passes is written to `pcap` too.
    pub fn new(flow: SecureFlow, pcap: Option<Pcap>) -> Self {
        Self::with_sender(flow, pcap, SenderKind::default())
    }

    /// The same with a sender of this kind, where it is for us to send again what gets lost.
    pub fn with_sender(flow: SecureFlow, pcap: Option<Pcap>, sender: SenderKind) -> Self {
        let (commands, inbox) = mpsc::channel(OUTGOING_MAX);
        let (events_out, events) = mpsc::channel(EVENTS_MAX);
        let (stats_out, stats) = watch::channel(Stats::default());
        let info = flow.info().clone();
        let hop: Box<dyn Hop> = match info.transport {
            Transport::Udp => Box::new(Reliability::new(sender)),
            Transport::Tcp => Box::new(Watched::default()),
        };
        let task = LinkTask {
            flow,
            pcap,
            ends: (info.local(), info.remote()),
            hop,
            clock: Clock::start(),
            inbox,
            events: events_out,
            stats: stats_out,
        };
        tokio::spawn(task.run());
        Self { sender: OverlaySender { commands, stats }, events, info }
    }

    /// What is known of the link: the other side's certificate, the path, the timings.
    pub fn info(&self) -> &FlowInfo {
        &self.info
    }

    /// Sends a message, or a fragment of one; returns before it is on the wire.
    pub fn send(&self, message: Bytes) -> Result<(), SendError> {
        self.sender.send(message)
    }

    /// A handle for sending from elsewhere.
    pub fn sender(&self) -> OverlaySender {
        self.sender.clone()
    }

    /// What happens next; after [`OverlayEvent::Down`] there is nothing.
    pub async fn recv(&mut self) -> Option<OverlayEvent> {
        self.events.recv().await
    }

    /// The longest message that [`Self::send`] takes; longer ones are fragmented above
    /// (RFC 6940 §6.7).
    pub fn mtu(&self) -> usize {
        MTU
    }

    /// Closes the link after what was sent before has gone out once.
    pub fn close(&self) {
        self.sender.close();
    }

    /// The two halves, for a task that waits for the events while others send.
    pub fn split(self) -> (OverlaySender, mpsc::Receiver<OverlayEvent>, FlowInfo) {
        (self.sender, self.events, self.info)
    }
}

/// Sends messages on an [`OverlayLink`].
#[derive(Clone, Debug)]
pub struct OverlaySender {
    commands: mpsc::Sender<Command>,
    stats: watch::Receiver<Stats>,
}

impl OverlaySender {
    /// Sends a message, or a fragment of one; returns before it is on the wire.
    pub fn send(&self, message: Bytes) -> Result<(), SendError> {
        let length = message.len();
        if length > MTU {
            return Err(SendError::TooLong { length, mtu: MTU });
        }
        self.commands.try_send(Command::Send(message)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Down,
        })
    }

    /// Closes the link after what was sent before has gone out once.
    pub fn close(&self) {
        let _ = self.commands.try_send(Command::Close);
    }

    /// Counters and the round-trip time.
    pub fn stats(&self) -> Stats {
        *self.stats.borrow()
    }

    /// The same as it changes, for somebody who does not keep the link open.
    pub(super) fn watch_stats(&self) -> watch::Receiver<Stats> {
        self.stats.clone()
    }
}

#[derive(Debug)]
enum Command {
    Send(Bytes),
    Close,
}

struct LinkTask {
    flow: SecureFlow,
    pcap: Option<Pcap>,
    /// Ours and theirs in a capture: the first, whatever pair ICE selects later, so that what
    /// passes is one conversation to Wireshark.
    ends: (SocketAddr, SocketAddr),
    hop: Box<dyn Hop>,
    clock: Clock,
    inbox: mpsc::Receiver<Command>,
    events: mpsc::Sender<OverlayEvent>,
    stats: watch::Sender<Stats>,
}

impl LinkTask {
    async fn run(mut self) {
        let reason = loop {
            if let Err(reason) = self.step().await {
                break reason;
            }
            if let Err(reason) = self.flush().await {
                break reason;
            }
            self.stats.send_replace(self.hop.stats());
        };
        self.flow.close();
        for message in self.hop.abandon() {
            let _ = self.events.send(OverlayEvent::Undelivered(message)).await;
        }
        self.stats.send_replace(self.hop.stats());
        let _ = self.events.send(OverlayEvent::Down(reason)).await;
    }

    /// Waits for one thing to happen and takes it in.
    async fn step(&mut self) -> Result<(), LinkError> {
        let input = tokio::select! {
            record = self.flow.recv() => {
                let record = record.ok_or_else(|| self.flow.reason())?;
                self.capture(Direction::Received, &record);
                Input::Record(record)
            }
            command = self.inbox.recv() => match command {
                Some(Command::Send(message)) => Input::Send(message),
                Some(Command::Close) | None => return Err(LinkError::Closed),
            },
            () = self.clock.sleep_until(self.hop.deadline()) => Input::Timeout,
        };
        self.hop.handle(self.clock.now(), input);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), LinkError> {
        while let Some(output) = self.hop.poll() {
            let event = match output {
                Output::Record(record) => {
                    self.capture(Direction::Sent, &record);
                    // A full queue is loss like any other: the frame comes again.
                    let _ = self.flow.send(record);
                    continue;
                }
                Output::Deliver(message) => OverlayEvent::Message(message),
                Output::Suspect => OverlayEvent::Suspect,
                Output::Restored => OverlayEvent::Restored,
                Output::Failed => return Err(LinkError::Silent),
                Output::Undelivered(message) => OverlayEvent::Undelivered(message),
                // Requests are sent again from end to end (RFC 6940 §6.2.1); they are counted.
                Output::Dropped(_) => continue,
            };
            // Nobody listens any more: the link lives on until its senders are gone too.
            let _ = self.events.send(event).await;
        }
        Ok(())
    }

    fn capture(&self, direction: Direction, record: &Bytes) {
        if let Some(pcap) = &self.pcap {
            let (local, remote) = self.ends;
            pcap.record(Protocol::Reload, direction, local, remote, record.clone());
        }
    }
}
