//! What is said and heard in a call, whatever its packets travel on: frames when they are due, and
//! what the user changes meanwhile.

use std::time::Duration;

use tokio::time::Instant;

use super::turns::{Turn, Turns};
use super::voice::{Voice, Who};
use crate::link::Clock;
use crate::media::{AudioSession, AudioStatistics, CallRecorder, ConferencePort, Digit};

/// What is to be different from now on.
pub(super) enum SpeechChange {
    /// Cut the microphone off, or let it in again.
    Mute(bool),
    /// Press a key of the telephone.
    Press(Digit),
    /// Record both sides, or no more; and whether the other side's phone says so. If not, it hears
    /// a tone.
    Record(Option<CallRecorder>, bool),
    /// Connect the call with another one: each is heard in the other.
    Join(ConferencePort),
    /// Connect it with no other one any more.
    Part,
    /// Let somebody else talk on this side.
    HandOver(Box<Who>),
}

/// What is told of it.
#[derive(Debug)]
pub(super) enum SpeechReport {
    /// A microphone, speaker or file can't be used: one sentence. The call goes on without.
    Fault(String),
    /// The other side has pressed a key.
    Digit(Digit),
    /// Figures, several times a second.
    Statistics(Box<AudioStatistics>),
    /// The answering machine has taken the message.
    MessageTaken,
}

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    /// A frame.
    Turn(Turn),
    /// A report to the other side.
    Report,
}

/// The sound of a call between its packets and our end of it. Whoever drives it does what is
/// [due](Self::next), hands packets in, and sends what the session has to send after each of these.
pub(super) struct Speech {
    pub(super) session: AudioSession,
    pub(super) voice: Voice,
    clock: Clock,
    turns: Turns,
    /// Frames said.
    frames: u32,
}

impl Speech {
    /// Begins now, on the session's clock.
    pub(super) fn start(session: AudioSession, voice: Voice, clock: Clock) -> Self {
        Self { session, voice, clock, turns: Turns::start(), frames: 0 }
    }

    /// Waits for what is due next. Nothing is lost if nobody waits to the end.
    pub(super) async fn next(&mut self) -> Due {
        tokio::select! {
            turn = self.turns.next() => Due::Turn(turn),
            () = self.clock.sleep_until(self.session.deadline()) => Due::Report,
        }
    }

    /// Does what is due.
    pub(super) fn pass(&mut self, due: Due, report: impl Fn(SpeechReport)) {
        match due {
            Due::Report => self.session.handle_timeout(self.clock.now()),
            Due::Turn(Turn::Hear) => {
                let taken = Instant::now();
                let heard = self.session.playout(self.clock.now());
                self.voice.hear(&heard);
                self.turns.hear_after(taken, self.session.playout_interval());
            }
            Due::Turn(Turn::Say) if !self.turns.can_say(self.voice.readiness()) => {}
            Due::Turn(Turn::Say) => self.say(report),
        }
    }

    fn say(&mut self, report: impl Fn(SpeechReport)) {
        let said = self.voice.say();
        self.session.capture(self.clock.now(), &said);
        if self.voice.is_over() {
            report(SpeechReport::MessageTaken);
        }
        if let Some(sentence) = self.voice.take_fault() {
            report(SpeechReport::Fault(sentence));
        }
        self.frames = self.frames.wrapping_add(1);
        if self.frames.is_multiple_of(FRAMES_PER_REPORT) {
            report(self.statistics());
        }
    }

    /// Takes a packet of the other side.
    pub(super) fn receive(&mut self, packet: &[u8], report: impl Fn(SpeechReport)) {
        self.session.receive(self.clock.now(), packet);
        while let Some(digit) = self.session.take_digit() {
            report(SpeechReport::Digit(digit));
        }
    }

    pub(super) fn change(&mut self, change: SpeechChange) {
        match change {
            SpeechChange::Mute(is_muted) => self.voice.mute(is_muted),
            SpeechChange::Press(digit) => {
                // Whether the other side takes keys, and how many wait, is known above.
                let _ = self.session.send_digit(digit, KEY);
            }
            SpeechChange::Record(recorder, is_told) => self.voice.record(recorder, is_told),
            SpeechChange::Join(other) => self.voice.join(other),
            SpeechChange::Part => self.voice.part(),
            SpeechChange::HandOver(who) => self.voice.hand_over(*who),
        }
    }

    /// Says goodbye; what the session has to send then is the last.
    pub(super) fn end(&mut self) {
        self.session.end(self.clock.now());
    }

    pub(super) fn statistics(&self) -> SpeechReport {
        SpeechReport::Statistics(Box::new(self.session.statistics()))
    }
}

/// How long a key is heard: what machines are sure to take for one press.
const KEY: Duration = Duration::from_millis(100);
/// Figures go out ten times a second: what a level meter needs.
const FRAMES_PER_REPORT: u32 = 5;
