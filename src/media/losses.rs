//! Which packets of a stream get lost, one by one, as each side tells the other: loss reports with
//! run lengths (RFC 3611 §4.1).

use std::collections::VecDeque;

use rtcp::extended_report::{Chunk, ChunkType, LossRLEReportBlock};

/// Which packets have come since the last report.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    /// Number of the first one that is not reported.
    begin: i64,
    /// Whether it has come, and those after it.
    came: VecDeque<bool>,
}

/// Which packets of ours the other side has lost lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses {
    /// Whether each was lost, the oldest first.
    recent: VecDeque<bool>,
}

/// Packets that one report is about at most: 20 s of sound.
const REPORT_MAX: usize = 1_000;
/// The newest packets are left to the next report: those before them may still come.
const PENDING: usize = 10;
/// Packets remembered of what the other side has told: half a minute of sound.
const RECENT_MAX: usize = 1_500;
/// Lost packets from which something can be said of how they are spread.
const ENOUGH: usize = 8;
/// Packets in a bit vector.
const VECTOR: usize = 15;
/// Packets in a run.
const RUN_MAX: usize = 0x3fff;

impl Arrivals {
    /// Begins before the packet of this number.
    pub(super) fn new(first: i64) -> Self {
        Self { begin: first, came: VecDeque::new() }
    }

    /// A packet has come.
    pub(super) fn note(&mut self, sequence: i64) {
        let Ok(index) = usize::try_from(sequence - self.begin) else { return };
        if index > self.came.len() + REPORT_MAX {
            *self = Self::new(sequence);
            return self.note(sequence);
        }
        if index >= self.came.len() {
            self.came.resize(index + 1, false);
        }
        self.came[index] = true;
        let surplus = self.came.len().saturating_sub(REPORT_MAX);
        self.came.drain(..surplus);
        self.begin += surplus as i64;
    }

    /// The report of what has come of this source since the last one; nothing if there is nothing
    /// to tell.
    pub(super) fn report(&mut self, source: u32) -> Option<LossRLEReportBlock> {
        let count = self.came.len().saturating_sub(PENDING);
        let came: Vec<bool> = self.came.drain(..count).collect();
        let begin = self.begin;
        self.begin += count as i64;
        (count > 0).then(|| LossRLEReportBlock {
            is_loss_rle: true,
            t: 0,
            ssrc: source,
            begin_seq: begin as u16,
            end_seq: self.begin as u16,
            chunks: chunks(&came),
        })
    }
}

impl Losses {
    /// Takes a report of the other side about our packets.
    pub(super) fn learn(&mut self, lost: &[bool]) {
        self.recent.extend(lost);
        let surplus = self.recent.len().saturating_sub(RECENT_MAX);
        self.recent.drain(..surplus);
    }

    /// The share of packets that would have been lost with all their copies, if these had been sent
    /// so many packets later each. Nothing where too few were lost to tell.
    pub(super) fn left(&self, distances: &[usize]) -> Option<f32> {
        if self.recent.iter().filter(|lost| **lost).count() < ENOUGH {
            return None;
        }
        let furthest = distances.iter().max().copied().unwrap_or(0);
        let seen = self.recent.len().checked_sub(furthest).filter(|seen| *seen > 0)?;
        let is_lost = |index: &usize| {
            self.recent[*index] && distances.iter().all(|distance| self.recent[index + distance])
        };
        Some((0..seen).filter(is_lost).count() as f32 / seen as f32)
    }
}

/// Runs where they are shorter than bits.
fn chunks(came: &[bool]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut rest = came;
    while let Some(first) = rest.first() {
        let run = rest.iter().take(RUN_MAX).take_while(|came| *came == first).count();
        let taken = if run >= VECTOR.min(rest.len()) {
            chunks.push(Chunk(u16::from(*first) << 14 | run as u16));
            run
        } else {
            let bits = rest.iter().take(VECTOR).enumerate();
            let set = bits.filter(|(_, came)| **came).map(|(at, _)| 1 << (VECTOR - 1 - at));
            chunks.push(Chunk(set.fold(1 << VECTOR, |vector: u16, bit: u16| vector | bit)));
            VECTOR.min(rest.len())
        };
        rest = &rest[taken..];
    }
    if chunks.len() % 2 == 1 {
        chunks.push(Chunk(0));
    }
    chunks
}

/// What a report says of each packet: whether it was lost. Nothing if it leaves some out.
pub(super) fn read(block: &LossRLEReportBlock) -> Vec<bool> {
    let count = usize::from(block.end_seq.wrapping_sub(block.begin_seq)).min(REPORT_MAX);
    let mut lost = Vec::new();
    if !block.is_loss_rle || block.t > 0 {
        return lost;
    }
    for chunk in &block.chunks {
        let value = chunk.value();
        match chunk.chunk_type() {
            ChunkType::TerminatingNull => break,
            ChunkType::RunLength => {
                let came = chunk.run_type().is_ok_and(|kind| kind == 1);
                let run = usize::from(value).min(count - lost.len());
                lost.extend(std::iter::repeat_n(!came, run));
            }
            ChunkType::BitVector => {
                let bits = (0..VECTOR).map(|at| value >> (VECTOR - 1 - at) & 1 == 0);
                lost.extend(bits.take(count - lost.len()));
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    fn is_told(came: &[bool], first: i64) {
        let mut arrivals = Arrivals::new(first);
        for (index, _) in came.iter().enumerate().filter(|(_, came)| **came) {
            arrivals.note(first + index as i64);
        }
        // Those that are left to the next report, so that losses at the end are told as well.
        (0..PENDING).for_each(|ahead| arrivals.note(first + (came.len() + ahead) as i64));
        let block = arrivals.report(7).expect("a report");
        assert_eq!((block.ssrc, block.begin_seq), (7, first as u16));
        assert_eq!(block.end_seq, (first + came.len() as i64) as u16);
        assert_eq!(block.chunks.len() % 2, 0, "whole words");
        let lost: Vec<bool> = came.iter().map(|came| !came).collect();
        assert_eq!(read(&block), lost);
        assert_eq!(arrivals.report(7), None, "nothing is told twice");
    }

    /// RFC 3611 §4.1: runs and bit vectors, over the wrap of sequence numbers as well.
    #[test]
    fn what_came_is_told() {
        is_told(&[true; 250], 0x1_0000);
        is_told(&[true], 0x1_ffff);
        let mut rng = Rng::from_number(1);
        for count in 1..200 {
            let came: Vec<bool> = (0..count).map(|_| rng.unit() >= 0.2).collect();
            is_told(&came, 0x1_ff80);
        }
        let few = Arrivals::new(5).report(1);
        assert_eq!(few, None);
    }

    /// A run of 20 that came, then 15 as bits of which the second was lost.
    #[test]
    fn a_report_is_as_the_rfc_has_it() {
        let mut came = [true; 35];
        came[21] = false;
        assert_eq!(chunks(&came[..20]), [Chunk(0x4014), Chunk(0)]);
        assert_eq!(chunks(&came[20..]), [Chunk(0b1101_1111_1111_1111), Chunk(0)]);
    }

    /// Whoever sends a report can't make us remember more than one is about.
    #[test]
    fn a_report_is_bounded() {
        let chunks = vec![Chunk(0x3fff); 100];
        let block = LossRLEReportBlock {
            is_loss_rle: true,
            begin_seq: 1,
            chunks,
            ..LossRLEReportBlock::default()
        };
        assert_eq!(read(&block).len(), REPORT_MAX);
        assert_eq!(read(&LossRLEReportBlock { t: 3, ..block }), [false; 0], "thinned out");
        let mut losses = Losses::default();
        (0..10).for_each(|_| losses.learn(&[true; REPORT_MAX]));
        assert_eq!(losses.recent.len(), RECENT_MAX);
        let mut arrivals = Arrivals::new(0);
        [0, 5_000, 1 << 40].into_iter().for_each(|sequence| arrivals.note(sequence));
        assert_eq!(arrivals.came.len(), 1);
    }

    /// Of five in a row that are lost, copies four packets later leave the first.
    #[test]
    fn copies_that_are_lost_as_well_are_no_help() {
        let mut losses = Losses::default();
        assert_eq!(losses.left(&[1]), None);
        let five_of_fifty: Vec<bool> = (0..500).map(|index| index % 50 >= 45).collect();
        losses.learn(&five_of_fifty);
        let left = |distances: &[usize]| losses.left(distances).expect("enough was lost");
        assert_eq!(left(&[5]), 0.0);
        assert!((left(&[4, 2]) - 0.02).abs() < 0.001, "{}", left(&[4, 2]));
        assert!((left(&[1]) - 0.08).abs() < 0.001, "{}", left(&[1]));
    }
}
