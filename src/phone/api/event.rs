//! What happened, for faces that print it line by line.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use super::{CallId, CallReport};
use crate::enroll::{Road, RoadNews};
use crate::link::{NodeCounters, NodeStatus};
use crate::phone::messages::{Delivery, MessageId};
use crate::phone::quality::SoundTrouble;
use crate::phone::unproved::UnprovedOverlay;

/// What happened, for faces that print it line by line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// We are a peer of an overlay.
    Joined {
        /// The overlay's name.
        overlay: String,
        /// Our Node-ID in hexadecimal.
        node_id: String,
        /// Where our bootstrap link listens.
        listen: Option<SocketAddr>,
    },
    /// Our Address of Record is stored.
    Registered {
        /// The Address of Record.
        aor: String,
    },
    /// An overlay has a newer document, which is kept.
    Document {
        /// The overlay's name.
        overlay: String,
        /// Its sequence.
        sequence: u16,
    },
    /// A road to an overlay that is looked for has come farther.
    Searching {
        /// The name that is looked for.
        overlay: String,
        /// Which road, and how far.
        #[serde(flatten)]
        news: RoadNews,
    },
    /// The document of an overlay was found.
    Found {
        /// The name that was looked for.
        overlay: String,
        /// How it came.
        #[serde(serialize_with = "displayed")]
        road: Road,
        /// Whether anything proves that it is the right one.
        #[serde(rename = "proved")]
        is_proved: bool,
    },
    /// Nothing proves the document that was found: the user is asked whether to join with it.
    Unproved(UnprovedOverlay),
    /// A call has come in.
    Incoming {
        /// The call.
        call: CallId,
        /// The caller's Address of Record.
        peer: String,
    },
    /// A call was answered, by us or by the other side.
    Answered {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
    },
    /// A call was put on hold or goes on.
    Held {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
        /// Whether we hold it now.
        by_us: bool,
        /// Whether the other side does.
        by_them: bool,
    },
    /// The other side of a call is to talk to somebody else, or wants us to.
    Transferring {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
        /// The Address of Record that is called.
        to: String,
        /// Whether we have asked for it.
        by_us: bool,
    },
    /// The other side of a call has pressed a key of its telephone.
    Digit {
        /// The call.
        call: CallId,
        /// The key's label.
        digit: char,
    },
    /// A recording of a call has begun or ended.
    Recording {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
        /// Whether we record it now.
        by_us: bool,
        /// Whether the other side does.
        by_them: bool,
        /// Where our last recording of the call is.
        file: Option<PathBuf>,
    },
    /// The sound of a call has got bad, or is good again.
    Quality {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
        /// What is wrong with it now.
        trouble: Option<SoundTrouble>,
    },
    /// A call is over.
    Ended {
        /// The call.
        call: CallId,
        /// The other side's Address of Record.
        peer: String,
        /// The sentence.
        reason: String,
        /// Figures of the call.
        #[serde(flatten)]
        report: Box<CallReport>,
    },
    /// Somebody has written.
    Message {
        /// The text's name in commands.
        id: MessageId,
        /// The writer's Address of Record.
        peer: String,
        /// The text.
        text: String,
        /// When it was written, milliseconds since the Unix epoch.
        unix_ms: u64,
        /// Whether the writer is a stranger, who is to be told of quietly.
        #[serde(rename = "knocks")]
        is_knocking: bool,
    },
    /// A text of ours is kept to be delivered, or something has become of it.
    Delivery {
        /// The text's name in commands.
        id: MessageId,
        /// The Address of Record that it is for.
        peer: String,
        /// What has become of it.
        #[serde(flatten)]
        delivery: Delivery,
    },
    /// What was kept could not be read when the phone was started, and was set aside: one
    /// sentence.
    Damaged {
        /// The sentence.
        message: String,
    },
    /// Something failed: one sentence.
    Error {
        /// The sentence.
        message: String,
    },
    /// We have left an overlay.
    Left {
        /// The overlay's name.
        overlay: String,
    },
    /// What the node of an overlay has counted since it was started: the answer to
    /// [`Command::Count`](super::Command::Count), for each overlay.
    #[serde(rename = "counters")]
    Counted {
        /// The overlay's name.
        overlay: String,
        /// Nodes with a link to us, and values that we keep.
        #[serde(flatten)]
        status: NodeStatus,
        /// Messages and links, and what was wrong with them.
        #[serde(flatten)]
        counters: Box<NodeCounters>,
    },
}

fn displayed<S: Serializer>(road: &Road, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(road)
}
