//! Both ends of a call's sound on this side: every 20 ms what is heard goes in, and every 20 ms,
//! not at the same time, what is said comes out. A microphone and a speaker, or what takes their
//! place: music while a call is on hold, a recording of both sides; or an answering machine. Other
//! calls may hear it, and be heard in it.

use std::collections::VecDeque;
use std::path::PathBuf;

use tokio::sync::oneshot;

use super::machine::Machine;
use crate::media::{
    AnsweringMachine, AudioSink, AudioSource, CallRecorder, ConferencePort, Frame, MachineTurn,
    NoticeTone, Readiness, Recording, SILENCE, Silence, SinkChoice, SoundError, SourceChoice,
    VoiceProcessor, WavSink, WavSource, add,
};

/// Who talks in a call on this side.
pub(super) enum Who {
    /// The user.
    User {
        /// Where our sound comes from.
        source: SourceChoice,
        /// Where the other side's sound goes.
        sink: SinkChoice,
        /// Whether echo and noise are taken out of a microphone's sound.
        voice_processing: bool,
        /// What the other side hears while we hold the call.
        hold_music: Option<PathBuf>,
    },
    /// The answering machine.
    Machine(Machine),
}

/// Our end of a call's sound.
pub(super) struct Voice {
    source: Box<dyn AudioSource>,
    sink: Box<dyn AudioSink>,
    /// What was heard and nothing has been said to yet.
    heard: VecDeque<Frame>,
    processor: Option<VoiceProcessor>,
    is_muted: bool,
    /// What the other side hears while we hold the call.
    music: Option<WavSource>,
    is_on_hold: bool,
    recorder: Option<CallRecorder>,
    /// Tells the other side that it is recorded, if its phone does not.
    notice: Option<NoticeTone>,
    /// What could not be opened or written.
    faults: Vec<SoundError>,
    machine: Option<Answerer>,
    /// The calls that hear this one, and are heard in it.
    others: Vec<ConferencePort>,
    /// Whoever is to talk from now on, once they are ready.
    next: Option<oneshot::Receiver<Voice>>,
}

/// Frames heard that nothing has been said to: one, and one more while one kind of frame overtakes
/// the other.
const HEARD_MAX: usize = 2;

/// An answering machine, and where its message goes.
struct Answerer {
    script: AnsweringMachine,
    file: PathBuf,
    /// Made when there is something to write.
    message: Option<WavSink>,
    is_over: bool,
}

impl Who {
    /// Opens what they talk with; what cannot be opened is silent until it can, and is a fault.
    pub(super) fn open(self) -> Voice {
        let mut faults = Vec::new();
        let voice = match self {
            Self::User { source, sink, voice_processing, hold_music } => {
                let is_processed = voice_processing && matches!(source, SourceChoice::Device(_));
                let source = source.open().unwrap_or_else(|error| {
                    faults.push(error);
                    source.wait()
                });
                let sink = sink.open().unwrap_or_else(|error| {
                    faults.push(error);
                    sink.wait()
                });
                let music = recording(hold_music, &mut faults);
                Voice::new(source, sink, is_processed.then(VoiceProcessor::new), music)
            }
            Self::Machine(Machine { greeting, message, message_s_max }) => {
                let greeting = recording(greeting, &mut faults);
                Voice::machine(AnsweringMachine::new(greeting, message_s_max), message)
            }
        };
        Voice { faults, ..voice }
    }
}

/// What is in a file, if there is one.
fn recording(path: Option<PathBuf>, faults: &mut Vec<SoundError>) -> Option<Recording> {
    path.map(|path| Recording::read(&path)).transpose().unwrap_or_else(|error| {
        faults.push(error);
        None
    })
}

impl Voice {
    /// A microphone and a speaker.
    pub(super) fn new(
        source: Box<dyn AudioSource>,
        sink: Box<dyn AudioSink>,
        processor: Option<VoiceProcessor>,
        music: Option<Recording>,
    ) -> Self {
        Self {
            source,
            sink,
            heard: VecDeque::new(),
            processor,
            is_muted: false,
            music: music.map(WavSource::repeated),
            is_on_hold: false,
            recorder: None,
            notice: None,
            faults: Vec::new(),
            machine: None,
            others: Vec::new(),
            next: None,
        }
    }

    /// An answering machine in the place of a microphone and a speaker; the message goes to a file.
    pub(super) fn machine(script: AnsweringMachine, file: PathBuf) -> Self {
        let machine = Answerer { script, file, message: None, is_over: false };
        let voice = Self::new(Box::new(Silence), Box::new(Silence), None, None);
        Self { machine: Some(machine), ..voice }
    }

    /// Whether an answering machine wants to hang up.
    pub(super) fn is_over(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.is_over)
    }

    /// Plays what is heard.
    pub(super) fn hear(&mut self, heard: &Frame) {
        self.sink.write(heard);
        if self.heard.len() >= HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(*heard);
    }

    /// Whether the next frame of what is said is there.
    pub(super) fn readiness(&self) -> Readiness {
        self.source.readiness()
    }

    /// Gives what is said while something is heard.
    pub(super) fn say(&mut self) -> Frame {
        if let Some(Ok(next)) = self.next.as_mut().map(oneshot::Receiver::try_recv) {
            self.go_on_as(next);
        }
        let heard = &self.heard.pop_front().unwrap_or(SILENCE);
        if let Some(machine) = &mut self.machine {
            return machine.turn(heard, &mut self.faults);
        }
        let mut others = SILENCE;
        self.others.retain(|other| !other.is_closed());
        for other in &mut self.others {
            other.exchange(heard, &mut others);
        }
        let mut said = SILENCE;
        // A microphone that nobody reads would fill up.
        self.source.read(&mut said);
        if let Some(processor) = &mut self.processor {
            // The speaker plays the other calls as well.
            let mut played = others;
            add(&mut played, heard);
            processor.clean(&played, &mut said);
        }
        if self.is_on_hold {
            said = SILENCE;
            if let Some(music) = &mut self.music {
                music.read(&mut said);
            }
        } else if self.is_muted {
            said = SILENCE;
        }
        if !self.is_on_hold {
            add(&mut said, &others);
        }
        if let Some(notice) = &mut self.notice {
            notice.mix(&mut said);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&said, heard);
            self.faults.extend(recorder.take_fault());
        }
        said
    }

    /// Lets somebody else talk as soon as what they talk with is open; an answering machine stops
    /// at once.
    pub(super) fn hand_over(&mut self, who: Who) {
        self.machine = None;
        let (opened, next) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            // The call may be over by then.
            let _ = opened.send(who.open());
        });
        self.next = Some(next);
    }

    /// Another voice in the same call.
    fn go_on_as(&mut self, next: Self) {
        let (is_muted, is_on_hold) = (self.is_muted, self.is_on_hold);
        let others = std::mem::take(&mut self.others);
        *self = Self { is_muted, is_on_hold, others, ..next };
    }

    /// Connects this call with another one.
    pub(super) fn join(&mut self, other: ConferencePort) {
        self.others.push(other);
    }

    /// Connects this call with no other one any more. The ends of the others see it.
    pub(super) fn part(&mut self) {
        self.others.clear();
    }

    /// Cuts the microphone off, or lets it in again.
    pub(super) fn mute(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    /// Puts music in the place of the microphone, or silence if there is none; or ends that.
    pub(super) fn hold(&mut self, is_on_hold: bool) {
        self.is_on_hold = is_on_hold;
    }

    /// Whether there is anything to be heard while we hold the call.
    pub(super) fn has_music(&self) -> bool {
        self.music.is_some()
    }

    /// Records both sides from now on, or no more. `is_told` is whether the other side's phone
    /// says so; else it hears a tone now and then.
    pub(super) fn record(&mut self, recorder: Option<CallRecorder>, is_told: bool) {
        self.notice = (recorder.is_some() && !is_told).then(NoticeTone::default);
        self.recorder = recorder;
    }

    /// What went wrong since the last call, in one sentence.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        let mut faults = std::mem::take(&mut self.faults);
        faults.extend(self.source.take_fault());
        faults.extend(self.music.as_mut().and_then(WavSource::take_fault));
        faults.extend(self.sink.take_fault());
        fault_words(&faults)
    }
}

impl Answerer {
    fn turn(&mut self, heard: &Frame, faults: &mut Vec<SoundError>) -> Frame {
        match self.script.turn() {
            MachineTurn::Say(frame) => return *frame,
            MachineTurn::Listen if self.message.is_none() => match WavSink::create(&self.file) {
                Ok(sink) => self.message.insert(sink).write(heard),
                Err(error) => {
                    faults.push(error);
                    self.is_over = true;
                }
            },
            MachineTurn::Listen => {
                if let Some(message) = &mut self.message {
                    message.write(heard);
                    faults.extend(message.take_fault());
                }
            }
            MachineTurn::Over => self.is_over = true,
        }
        SILENCE
    }
}

/// One sentence about what could not be opened or written.
fn fault_words(faults: &[SoundError]) -> Option<String> {
    match faults {
        [] => None,
        [SoundError::NoDevice(_), SoundError::NoDevice(_)] => {
            Some("No microphone and no speaker were found: this call has no sound.".into())
        }
        // Both have the same cause.
        [first, second] if first == second => Some(first.to_string()),
        faults => Some(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{DeviceKind, read_wav};

    /// Says the same all the time.
    struct Constant(f32);

    impl AudioSource for Constant {
        fn name(&self) -> &str {
            "constant"
        }

        fn read(&mut self, frame: &mut Frame) {
            frame.fill(self.0);
        }
    }

    impl Voice {
        fn turn(&mut self, heard: &Frame) -> Frame {
            self.hear(heard);
            self.say()
        }
    }

    fn voice(music: Option<Recording>) -> Voice {
        Voice::new(Box::new(Constant(0.5)), Box::new(Silence), None, music)
    }

    fn recording(level: f32) -> Recording {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("music.wav");
        let mut sink = crate::media::WavSink::create(&path).expect("a file");
        sink.write(&[level; 960]);
        drop(sink);
        Recording::read(&path).expect("a recording")
    }

    #[test]
    fn a_muted_microphone_is_not_heard() {
        let mut voice = voice(None);
        assert!((voice.turn(&SILENCE)[0] - 0.5).abs() < 0.01);
        voice.mute(true);
        assert_eq!(voice.turn(&SILENCE), SILENCE);
    }

    #[test]
    fn music_takes_the_microphones_place_again_and_again() {
        let mut with = voice(Some(recording(0.25)));
        with.mute(true);
        with.hold(true);
        for _ in 0..3 {
            assert!((with.turn(&SILENCE)[500] - 0.25).abs() < 0.01);
        }
        with.hold(false);
        assert_eq!(with.turn(&SILENCE), SILENCE, "still muted");
        let mut without = voice(None);
        without.hold(true);
        assert!(!without.has_music() && without.turn(&SILENCE) == SILENCE);
    }

    /// The other side of one call is heard in the other call until they part, and no longer.
    #[test]
    fn calls_that_part_do_not_hear_each_other() {
        let [mut one, mut other] = [voice(None), voice(None)];
        one.mute(true);
        other.mute(true);
        for _ in 0..2 {
            let (here, there) = ConferencePort::pair();
            one.join(here);
            other.join(there);
            let heard = |one: &mut Voice, other: &mut Voice| {
                let turns = (0..8).map(|_| (one.turn(&[0.25; 960]), other.turn(&SILENCE)[0]));
                turns.map(|(_, level)| level).fold(0.0, f32::max)
            };
            assert!((heard(&mut one, &mut other) - 0.25).abs() < 0.01, "once, not twice as loud");
            one.part();
            assert!(heard(&mut one, &mut other) < 0.01);
        }
    }

    /// We are on the left, the other side on the right, which is half of each in one channel.
    #[test]
    fn both_sides_are_recorded_and_whose_phone_does_not_say_so_hears_a_tone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("call.wav");
        let mut voice = voice(None);
        let recorder = || Some(CallRecorder::create(&path).expect("a file"));
        voice.record(recorder(), true);
        let said = voice.turn(&[-0.25; 960]);
        assert!(said.iter().all(|sample| (sample - 0.5).abs() < 0.001), "no tone");
        voice.record(None, true);
        let sound = read_wav(&path).expect("a recording");
        assert_eq!(sound.len(), 960);
        assert!(sound.iter().all(|sample| (sample - 0.125).abs() < 0.001));
        voice.record(recorder(), false);
        voice.mute(true);
        assert!(voice.turn(&SILENCE).iter().any(|sample| sample.abs() > 0.01));
    }

    #[test]
    fn what_is_missing_is_one_sentence() {
        let (microphone, speaker) = (
            SoundError::NoDevice(DeviceKind::Microphone),
            SoundError::NoDevice(DeviceKind::Speaker),
        );
        assert_eq!(fault_words(&[]), None);
        let one = fault_words(std::slice::from_ref(&speaker));
        assert_eq!(one.as_deref(), Some("No speaker was found: you can't hear the other side."));
        let both = fault_words(&[microphone, speaker]).expect("a sentence");
        assert_eq!(both.matches('.').count(), 1, "{both}");
        let same = fault_words(&[SoundError::NotBuilt, SoundError::NotBuilt]).expect("a sentence");
        assert_eq!(same, SoundError::NotBuilt.to_string());
    }
}
