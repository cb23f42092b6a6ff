//! A conference that is mixed here: what is heard in one call is said in the others. Calls keep
//! their own pace, so a few frames wait between each two of them.

use rtrb::{Consumer, Producer, RingBuffer};

use super::codec::{FRAME_SAMPLES, Frame, SILENCE};

/// A call's end of the connection with another call.
#[derive(Debug)]
pub struct ConferencePort {
    to: Producer<f32>,
    from: Consumer<f32>,
    /// Whether enough has been waiting to begin.
    is_primed: bool,
}

/// Frames that wait: one for the two calls' different moments, one for a tick that is late.
const WAITING: usize = 2;
/// Frames beyond which the oldest are thrown away, for they would only be delay.
const WAITING_MAX: usize = 6;

impl ConferencePort {
    /// The two ends of a new connection.
    pub fn pair() -> (Self, Self) {
        let ring = || RingBuffer::new((WAITING_MAX + 2) * FRAME_SAMPLES);
        let ((to_one, at_one), (to_other, at_other)) = (ring(), ring());
        let end = |to, from| Self { to, from, is_primed: false };
        (end(to_other, at_one), end(to_one, at_other))
    }

    /// Whether the other call is over.
    pub fn is_closed(&self) -> bool {
        self.to.is_abandoned()
    }

    /// Gives the other call what is heard in this one, and adds what is heard there to `mix`.
    pub fn exchange(&mut self, heard: &Frame, mix: &mut Frame) {
        if self.to.slots() >= FRAME_SAMPLES {
            // Room is certain: nobody else writes.
            let _ = self.to.push_entire_slice(heard);
        }
        let waiting = self.from.slots() / FRAME_SAMPLES;
        if waiting > WAITING_MAX
            && let Ok(surplus) = self.from.read_chunk((waiting - WAITING) * FRAME_SAMPLES)
        {
            surplus.commit_all();
        }
        self.is_primed = if self.is_primed { waiting > 0 } else { waiting >= WAITING };
        let mut frame = SILENCE;
        if self.is_primed && self.from.pop_entire_slice(&mut frame).is_ok() {
            add(mix, &frame);
        }
    }
}

/// Adds sound to sound; what is too loud for both is as loud as it can be.
pub fn add(mix: &mut Frame, sound: &Frame) {
    for (mixed, sample) in mix.iter_mut().zip(sound) {
        *mixed = (*mixed + sample).clamp(-1.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one end hears in a turn of its own in which it says `level`.
    fn turn(port: &mut ConferencePort, level: f32) -> f32 {
        let mut mix = [0.1; FRAME_SAMPLES];
        port.exchange(&[level; FRAME_SAMPLES], &mut mix);
        mix[0] - 0.1
    }

    #[test]
    fn both_hear_each_other_and_late_ticks_are_bridged() {
        let (mut one, mut other) = ConferencePort::pair();
        let mut heard = Vec::new();
        for tick in 0..20 {
            turn(&mut one, 0.5);
            // The other end misses a tick now and then, and makes up for it.
            let turns = [1, 1, 0, 2][tick % 4];
            heard.extend((0..turns).map(|_| turn(&mut other, 0.25)));
        }
        assert_eq!(heard.len(), 20);
        assert!(heard[3..].iter().all(|level| (level - 0.5).abs() < 0.01), "{heard:?}");
        assert!((turn(&mut one, 0.5) - 0.25).abs() < 0.01);
    }

    #[test]
    fn what_waits_is_bounded_and_the_end_is_seen() {
        let (mut one, mut other) = ConferencePort::pair();
        for tick in 0..1000 {
            turn(&mut one, tick as f32 / 2000.0);
        }
        turn(&mut other, 0.0);
        assert!(other.from.slots() <= (WAITING + 1) * FRAME_SAMPLES);
        assert!(!one.is_closed());
        drop(other);
        assert!(one.is_closed());
        assert!(turn(&mut one, 0.0).abs() < 0.01, "nothing is heard any more");
    }
}
