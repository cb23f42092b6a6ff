//! Both ends of a call's sound on this side: every 20 ms what is heard goes in, and what is said
//! comes out. A microphone and a speaker, or what takes their place: music while a call is on hold,
//! a recording of both sides.

use crate::media::{
    AudioSink, AudioSource, CallRecorder, Frame, NoticeTone, Recording, SILENCE, SoundError,
    VoiceProcessor, WavSource,
};

/// Our end of a call's sound.
pub(super) struct Voice {
    source: Box<dyn AudioSource>,
    sink: Box<dyn AudioSink>,
    processor: Option<VoiceProcessor>,
    is_muted: bool,
    /// What the other side hears while we hold the call.
    music: Option<WavSource>,
    is_on_hold: bool,
    recorder: Option<CallRecorder>,
    /// Tells the other side that it is recorded, if its phone does not.
    notice: Option<NoticeTone>,
    fault: Option<SoundError>,
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
            processor,
            is_muted: false,
            music: music.map(WavSource::repeated),
            is_on_hold: false,
            recorder: None,
            notice: None,
            fault: None,
        }
    }

    /// Plays what is heard, and gives what is said meanwhile.
    pub(super) fn turn(&mut self, heard: &Frame) -> Frame {
        self.sink.write(heard);
        let mut said = SILENCE;
        // A microphone that nobody reads would fill up.
        self.source.read(&mut said);
        if let Some(processor) = &mut self.processor {
            processor.clean(heard, &mut said);
        }
        if self.is_on_hold {
            said = SILENCE;
            if let Some(music) = &mut self.music {
                music.read(&mut said);
            }
        } else if self.is_muted {
            said = SILENCE;
        }
        if let Some(notice) = &mut self.notice {
            notice.mix(&mut said);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&said, heard);
            self.fault = recorder.take_fault().or(self.fault.take());
        }
        said
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

    /// What went wrong since the last call.
    pub(super) fn take_faults(&mut self) -> impl Iterator<Item = SoundError> + use<> {
        let faults = [self.source.take_fault(), self.sink.take_fault(), self.fault.take()];
        faults.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Silence, read_wav};

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
}
