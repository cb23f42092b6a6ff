//! Digits pressed in a call, as events in the stream of sound (RFC 4733).

use std::collections::VecDeque;
use std::time::Duration;

/// A key of a telephone: 0 to 9, `*`, `#` and A to D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit(u8);

/// The keys in the order of their event codes (RFC 4733 §3.2).
const KEYS: &[u8; 16] = b"0123456789*#ABCD";
/// Digits that wait to be sent, and digits heard that nobody has asked for: more than any menu
/// wants.
const DIGITS_MAX: usize = 64;
/// How often the end of an event is told (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// Ticks between the last packet of a digit and the next digit; with the repeated ends that is
/// 60 ms, and 40 is what a receiver needs to tell two digits apart.
const PAUSE_TICKS: u8 = 1;
/// Loudness of the tone that a gateway makes of it: -10 dBm0.
const VOLUME: u8 = 10;
/// The flag that ends an event.
const END: u8 = 0x80;

impl Digit {
    /// The key with this label; letters may be small.
    pub fn from_char(label: char) -> Option<Self> {
        let label = u8::try_from(label).ok()?.to_ascii_uppercase();
        KEYS.iter().position(|key| *key == label).map(|code| Self(code as u8))
    }

    /// The key's label.
    pub fn to_char(self) -> char {
        char::from(KEYS[usize::from(self.0)])
    }
}

/// Digits on their way out, one after the other.
#[derive(Debug, Default)]
pub(super) struct DigitSender {
    /// Each with its length in ticks of the stream's clock.
    waiting: VecDeque<(Digit, u16)>,
    sending: Option<Sending>,
    pause: u8,
}

#[derive(Debug)]
struct Sending {
    digit: Digit,
    length: u16,
    timestamp: u32,
    elapsed: u16,
    ends: u8,
}

/// What a packet of an event is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventPacket {
    /// The first of its event.
    pub(super) marker: bool,
    /// Of the event's beginning, the same in all its packets.
    pub(super) timestamp: u32,
    pub(super) payload: [u8; 4],
}

impl DigitSender {
    /// Takes a digit that lasts `length`, at most 65,535 ticks: what one event can tell (RFC 4733
    /// §2.3.5). Gives `false` if too many wait.
    pub(super) fn push(&mut self, digit: Digit, length: Duration, clock_rate: u32) -> bool {
        let ticks = length.as_micros() * u128::from(clock_rate) / 1_000_000;
        let ticks = ticks.clamp(1, u128::from(u16::MAX) - 960);
        let has_room = self.waiting.len() < DIGITS_MAX;
        if has_room {
            self.waiting.push_back((digit, ticks as u16));
        }
        has_room
    }

    /// The packet that takes the place of a frame of `ticks` that begins at
    /// `timestamp`.
    pub(super) fn next(&mut self, timestamp: u32, ticks: u16) -> Option<EventPacket> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let is_first = self.sending.is_none();
        if is_first {
            let (digit, length) = self.waiting.pop_front()?;
            self.sending = Some(Sending { digit, length, timestamp, elapsed: 0, ends: 0 });
        }
        let sending = self.sending.as_mut()?;
        if sending.ends == 0 {
            sending.elapsed = sending.elapsed.saturating_add(ticks);
        }
        let is_over = sending.elapsed >= sending.length;
        sending.ends += u8::from(is_over);
        let [high, low] = sending.elapsed.to_be_bytes();
        let flags = VOLUME | if is_over { END } else { 0 };
        let packet = EventPacket {
            marker: is_first,
            timestamp: sending.timestamp,
            payload: [sending.digit.0, flags, high, low],
        };
        if sending.ends >= ENDS {
            self.sending = None;
            self.pause = PAUSE_TICKS;
        }
        Some(packet)
    }
}

/// Digits that come in, each told once however many packets it takes.
#[derive(Debug, Default)]
pub(super) struct DigitReceiver {
    last: Option<Heard>,
    heard: VecDeque<Digit>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    timestamp: u32,
    duration: u16,
    digit: Digit,
}

impl DigitReceiver {
    /// Takes a packet; `None` if it is no event, or one that is no digit.
    pub(super) fn receive(&mut self, timestamp: u32, payload: &[u8]) -> Option<()> {
        let [code, _, high, low, ..] = *payload else { return None };
        let digit = (usize::from(code) < KEYS.len()).then_some(Digit(code))?;
        let heard = Heard { timestamp, duration: u16::from_be_bytes([high, low]), digit };
        let is_new = match self.last {
            None => true,
            Some(last) => {
                let ahead = timestamp.wrapping_sub(last.timestamp) as i32;
                // A long event goes on in a new segment (RFC 4733 §2.5.1.3).
                let goes_on = last.digit == digit
                    && last.duration == u16::MAX
                    && ahead == i32::from(last.duration);
                if ahead < 0 {
                    return Some(());
                }
                ahead > 0 && !goes_on
            }
        };
        self.last = Some(heard);
        if is_new && self.heard.len() < DIGITS_MAX {
            self.heard.push_back(digit);
        }
        Some(())
    }

    /// The next digit that was heard.
    pub(super) fn take(&mut self) -> Option<Digit> {
        self.heard.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digit(label: char) -> Digit {
        Digit::from_char(label).expect("a key")
    }

    #[test]
    fn keys_have_their_codes() {
        assert_eq!(digit('5'), Digit(5));
        assert_eq!((digit('*'), digit('#'), digit('d')), (Digit(10), Digit(11), Digit(15)));
        assert_eq!(digit('b').to_char(), 'B');
        assert_eq!(Digit::from_char('x'), None);
        assert_eq!(Digit::from_char('é'), None);
    }

    /// RFC 4733 §2.5.1: one timestamp, a growing duration, and three ends.
    #[test]
    fn a_digit_is_told_until_it_has_ended_three_times() {
        let mut sender = DigitSender::default();
        assert!(sender.push(digit('7'), Duration::from_millis(60), 48_000));
        assert!(sender.push(digit('8'), Duration::from_millis(20), 48_000));
        let packets: Vec<_> = (0..10u32).map(|tick| sender.next(tick * 960, 960)).collect();
        let first: Vec<_> = packets.iter().take(5).flatten().collect();
        assert_eq!(first.len(), 5);
        assert!(first.iter().all(|packet| packet.timestamp == 0 && packet.payload[0] == 7));
        let durations: Vec<u8> = first.iter().map(|p| p.payload[2]).collect();
        assert_eq!(durations, [3, 7, 11, 11, 11], "960, 1920, 2880 and the repeated end");
        let ends: Vec<bool> = first.iter().map(|p| p.payload[1] & END != 0).collect();
        assert_eq!(ends, [false, false, true, true, true]);
        assert_eq!(packets[5], None, "sound between two digits");
        let second = packets[6].expect("the next digit");
        assert!(second.marker && second.timestamp == 6 * 960 && second.payload[0] == 8);
        assert_eq!(packets[9], None);
    }

    #[test]
    fn each_digit_is_heard_once_however_it_comes() {
        let mut receiver = DigitReceiver::default();
        let mut sender = DigitSender::default();
        for label in "112".chars() {
            sender.push(digit(label), Duration::from_millis(100), 48_000);
        }
        let mut tick = 0u32;
        while let Some(packet) = sender.next(tick * 960, 960).or_else(|| {
            tick += 1;
            sender.next(tick * 960, 960)
        }) {
            tick += 1;
            // Every second one is lost, the others come twice.
            if tick.is_multiple_of(2) {
                receiver.receive(packet.timestamp, &packet.payload).expect("a digit");
                receiver.receive(packet.timestamp, &packet.payload).expect("a digit");
            }
        }
        receiver.receive(0, &[9, 0, 0, 1]).expect("a digit, but older than the last");
        let heard: String = std::iter::from_fn(|| receiver.take()).map(Digit::to_char).collect();
        assert_eq!(heard, "112");
    }

    #[test]
    fn a_long_event_and_nonsense_are_no_further_digits() {
        let mut receiver = DigitReceiver::default();
        receiver.receive(100, &[3, 10, 0xff, 0xff]).expect("a digit");
        receiver.receive(100 + 65_535, &[3, 10, 0, 9]).expect("its next segment");
        assert_eq!(receiver.receive(900_000, &[3, 10]), None);
        assert_eq!(receiver.receive(900_000, &[16, 10, 0, 9]), None, "a flash is no digit");
        assert_eq!((receiver.take(), receiver.take()), (Some(digit('3')), None));
        let mut sender = DigitSender::default();
        let taken = (0..1000).filter(|_| sender.push(digit('1'), Duration::ZERO, 48_000)).count();
        assert_eq!(taken, DIGITS_MAX);
    }
}
