//! CHORD-RELOAD's Update (RFC 6940 §10.7). Its answer has no body.

use crate::base::{Decode, DecodeError, Encode, NodeId, Reader, Writer};

/// What a peer tells its connections about the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChordUpdate {
    /// For how long the sender has been up, in seconds.
    pub uptime_s: u32,
    /// How much it tells.
    pub contents: ChordUpdateContents,
}

/// The three types of an Update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChordUpdateContents {
    /// The sender is a peer.
    PeerReady,
    /// The sender's neighbours.
    Neighbors {
        /// Nearest first (T-53).
        predecessors: Vec<NodeId>,
        /// Nearest first.
        successors: Vec<NodeId>,
    },
    /// The sender's neighbours and fingers.
    Full {
        /// Nearest first.
        predecessors: Vec<NodeId>,
        /// Nearest first.
        successors: Vec<NodeId>,
        /// In ascending order of Node-ID.
        fingers: Vec<NodeId>,
    },
}

impl ChordUpdateContents {
    /// The neighbours that it tells of: predecessors and successors.
    pub fn into_neighbors(self) -> (Vec<NodeId>, Vec<NodeId>) {
        match self {
            Self::PeerReady => (Vec::new(), Vec::new()),
            Self::Neighbors { predecessors, successors }
            | Self::Full { predecessors, successors, .. } => (predecessors, successors),
        }
    }
}

impl Encode for ChordUpdate {
    fn encode(&self, writer: &mut Writer) {
        writer.u32(self.uptime_s);
        match &self.contents {
            ChordUpdateContents::PeerReady => writer.u8(PEER_READY),
            ChordUpdateContents::Neighbors { predecessors, successors } => {
                writer.u8(NEIGHBORS);
                writer.vec16(|w| w.list(predecessors));
                writer.vec16(|w| w.list(successors));
            }
            ChordUpdateContents::Full { predecessors, successors, fingers } => {
                writer.u8(FULL);
                writer.vec16(|w| w.list(predecessors));
                writer.vec16(|w| w.list(successors));
                writer.vec16(|w| w.list(fingers));
            }
        }
    }
}

impl Decode for ChordUpdate {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let uptime_s = reader.u32()?;
        let list = |r: &mut Reader<'_>| {
            let bytes = r.opaque16()?;
            r.list(bytes)
        };
        let contents = match reader.u8()? {
            PEER_READY => ChordUpdateContents::PeerReady,
            NEIGHBORS => ChordUpdateContents::Neighbors {
                predecessors: list(reader)?,
                successors: list(reader)?,
            },
            FULL => ChordUpdateContents::Full {
                predecessors: list(reader)?,
                successors: list(reader)?,
                fingers: list(reader)?,
            },
            _ => return Err(DecodeError::Invalid("update type")),
        };
        Ok(Self { uptime_s, contents })
    }
}

const PEER_READY: u8 = 1;
const NEIGHBORS: u8 = 2;
const FULL: u8 = 3;
