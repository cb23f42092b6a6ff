//! What an answering machine does, frame by frame: a greeting, a tone, and then it listens.

use super::codec::{FRAME_SAMPLES, Frame, SAMPLE_RATE, SILENCE};
use super::source::AudioSource;
use super::tone;
use super::wav::{Recording, WavSource};

/// An answering machine that has just answered.
#[derive(Debug)]
pub struct AnsweringMachine {
    greeting: WavSource,
    greeting_left: usize,
    tone: WavSource,
    tone_left: usize,
    message_left: usize,
}

/// What the machine does for 20 ms.
#[derive(Clone, Debug, PartialEq)]
pub enum MachineTurn {
    /// It says this.
    Say(Box<Frame>),
    /// It records what it hears.
    Listen,
    /// It hangs up.
    Over,
}

impl AnsweringMachine {
    /// A machine with this greeting, or a few notes without one, for messages of up to so many
    /// seconds.
    pub fn new(greeting: Option<Recording>, message_s_max: u16) -> Self {
        let notes = || Recording::of("greeting", tone::greeting());
        let greeting = greeting.unwrap_or_else(notes);
        let tone = Recording::of("tone", tone::message());
        let frames = |recording: &Recording| recording.len().div_ceil(FRAME_SAMPLES);
        Self {
            greeting_left: frames(&greeting),
            greeting: WavSource::new(greeting),
            tone_left: frames(&tone),
            tone: WavSource::new(tone),
            message_left: usize::from(message_s_max) * SAMPLE_RATE as usize / FRAME_SAMPLES,
        }
    }

    /// The next 20 ms.
    pub fn turn(&mut self) -> MachineTurn {
        let mut frame = SILENCE;
        if let Some(left) = self.greeting_left.checked_sub(1) {
            self.greeting_left = left;
            self.greeting.read(&mut frame);
        } else if let Some(left) = self.tone_left.checked_sub(1) {
            self.tone_left = left;
            self.tone.read(&mut frame);
        } else if let Some(left) = self.message_left.checked_sub(1) {
            self.message_left = left;
            return MachineTurn::Listen;
        } else {
            return MachineTurn::Over;
        }
        MachineTurn::Say(Box::new(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often in a row it does the same, and how loud that is at most.
    fn script(mut machine: AnsweringMachine) -> (usize, usize, f32) {
        let (mut said, mut heard, mut loudest) = (0, 0, 0.0f32);
        loop {
            match machine.turn() {
                MachineTurn::Say(frame) => {
                    assert_eq!(heard, 0, "nothing is said into a message");
                    said += 1;
                    loudest = frame.iter().fold(loudest, |loudest, s| loudest.max(s.abs()));
                }
                MachineTurn::Listen => heard += 1,
                MachineTurn::Over => return (said, heard, loudest),
            }
        }
    }

    #[test]
    fn it_greets_listens_and_hangs_up() {
        let (said, heard, loudest) = script(AnsweringMachine::new(None, 3));
        assert!(said > 50 && heard == 150 && loudest > 0.1, "{said} {heard} {loudest}");
        let greeting = Recording::of("own", vec![0.9; 10 * FRAME_SAMPLES + 1]);
        let (own, _, loudest) = script(AnsweringMachine::new(Some(greeting), 0));
        let tone_alone = script(AnsweringMachine::new(Some(Recording::of("", vec![])), 0)).0;
        assert_eq!(own, 11 + tone_alone);
        assert!(tone_alone > 10 && loudest > 0.8);
    }
}
