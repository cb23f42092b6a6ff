//! The answering machine: whom it answers, and the messages that it has taken, which are files in
//! the user's folder. Nobody else keeps them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tokio::time::interval;

use super::api::CallId;
use super::calls::{Phase, Running};
use super::engine::{Engine, Report};
use super::speech::SpeechChange;
use super::state::{StateFolder, user_of_folder};
use super::turns::FRAME;
use super::voice::Who;
use crate::media::{
    AudioSource, FRAME_SAMPLES, Recording, SILENCE, SinkChoice, WavSource, wav_length,
};

/// Whom the answering machine answers, kept with the other settings in `settings.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineSettings {
    /// Whether it answers at all.
    pub answering_machine: bool,
    /// After how many seconds of ringing.
    pub machine_after_s: u16,
    /// Whether it answers at once while we talk.
    pub machine_when_busy: bool,
    /// Whether it answers at once while we don't want to be disturbed.
    pub machine_when_undisturbed: bool,
    /// What it says, a WAV file; without one it is a few notes.
    pub machine_greeting: Option<PathBuf>,
    /// The longest message in seconds.
    pub machine_message_s_max: u16,
}

impl Default for MachineSettings {
    fn default() -> Self {
        Self {
            answering_machine: false,
            machine_after_s: 25,
            machine_when_busy: false,
            machine_when_undisturbed: true,
            machine_greeting: None,
            machine_message_s_max: 180,
        }
    }
}

/// A message that somebody has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VoiceMessage {
    /// Its name in commands.
    pub name: String,
    /// The caller's Address of Record.
    pub peer: String,
    /// When it was left, milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// How long it is.
    pub duration: Duration,
    /// Whether nobody has listened to it.
    pub is_new: bool,
    /// Whether it is being played.
    pub is_playing: bool,
}

/// Something to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum VoiceMessageJob {
    /// Play it on the speaker, in the place of any other.
    Play(String),
    /// Play it no more.
    Stop,
    /// Delete it.
    Delete(String),
}

/// What a call's answering machine is made of.
pub(super) struct Machine {
    pub(super) greeting: Option<PathBuf>,
    pub(super) message: PathBuf,
    pub(super) message_s_max: u16,
}

/// A message that is being played.
pub(super) struct Playback {
    name: String,
    task: AbortHandle,
}

impl Drop for Playback {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl VoiceMessage {
    /// The message in a file of this name.
    fn of_file(name: &str, duration: Duration) -> Option<Self> {
        let stem = name.strip_suffix(".wav")?;
        let is_new = stem.ends_with(NEW);
        let (unix_ms, peer) = stem.strip_suffix(NEW).unwrap_or(stem).split_once('-')?;
        Some(Self {
            name: name.to_owned(),
            peer: user_of_folder(peer)?,
            unix_ms: unix_ms.parse().ok()?,
            duration,
            is_new,
            is_playing: false,
        })
    }
}

impl StateFolder {
    /// The messages in the folder, the newest first.
    fn voice_messages(&self) -> Vec<VoiceMessage> {
        let Ok(entries) = std::fs::read_dir(self.root.join(MESSAGES)) else { return Vec::new() };
        let mut messages: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let duration = wav_length(&entry.path())?;
                VoiceMessage::of_file(entry.file_name().to_str()?, duration)
            })
            .filter(|message| message.duration >= MESSAGE_MIN)
            .collect();
        messages.sort_by_key(|message| std::cmp::Reverse(message.unix_ms));
        messages
    }
}

impl Engine {
    /// Whether the machine answers calls without letting them ring.
    pub(super) fn machine_answers_at_once(&self) -> bool {
        let machine = &self.settings.machine;
        let is_busy = self.calls.is_any_talking() && machine.machine_when_busy;
        let is_quiet = self.settings.welcome.do_not_disturb && machine.machine_when_undisturbed;
        machine.answering_machine && (is_busy || is_quiet)
    }

    /// After how many seconds the machine answers, if it does.
    pub(super) fn machine_after_s(&self) -> Option<u16> {
        let machine = &self.settings.machine;
        machine.answering_machine.then_some(machine.machine_after_s)
    }

    /// The machine answers a call that rings.
    pub(super) fn answer_by_machine(&mut self, id: CallId) {
        let has_room = self.snapshot.voice_messages.len() < MESSAGES_MAX;
        let is_on = self.settings.machine.answering_machine;
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        if !is_on || call.phase != Phase::Incoming {
            return;
        }
        let new = self.options.state.sound_file(MESSAGES, &call.peer);
        let Ok(file) = new.map(|file| file.with_extension("new.wav")).map_err(|error| {
            // The call goes on ringing.
            self.notice(format!("The answering machine can't take a message: {error}"));
        }) else {
            return;
        };
        if !has_room {
            return self.notice(format!(
                "The answering machine takes no more than {MESSAGES_MAX} messages: delete some."
            ));
        }
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.message = Some(file);
        }
        if let Err(sentence) = self.answer(id) {
            if let Some(call) = self.calls.running.get_mut(&id) {
                call.message = None;
            }
            self.notice(sentence);
        }
    }

    /// Who talks in a call: the machine if it has taken it, else the user.
    pub(super) fn who(&self, id: CallId) -> Who {
        let settings = &self.settings.machine;
        let message = self.calls.running.get(&id).and_then(|call| call.message.clone());
        match message {
            Some(message) => Who::Machine(Machine {
                greeting: settings.machine_greeting.clone(),
                message,
                message_s_max: settings.machine_message_s_max,
            }),
            None => self.user(),
        }
    }

    /// The user takes a call that the machine has had until now. What it has recorded stays there.
    pub(super) fn take_over(&mut self, id: CallId) {
        self.test_sound(None);
        self.hold_others(id);
        let who = self.who(id);
        let Some(call) = self.calls.running.get(&id) else { return };
        call.speak(SpeechChange::HandOver(Box::new(who)));
    }

    /// How a call ends that the machine has answered: with a message, or as one that was missed.
    pub(super) fn message_left(&self, call: &Running) -> Option<String> {
        let file = call.message.as_ref()?;
        let is_there = wav_length(file).is_some_and(|length| length >= MESSAGE_MIN);
        let peer = &call.peer;
        Some(match is_there {
            true => format!("{peer} left a message."),
            false => format!("You missed a call from {peer}."),
        })
    }

    /// Looks which messages there are.
    pub(super) fn list_voice_messages(&mut self) {
        let playing = self.playback.as_ref().map(|playback| playback.name.clone());
        let mut messages = self.options.state.voice_messages();
        for message in &mut messages {
            message.is_playing = Some(&message.name) == playing.as_ref();
        }
        self.snapshot.voice_messages = messages;
    }

    pub(super) fn voice_message_job(&mut self, job: VoiceMessageJob) -> Result<(), String> {
        let (VoiceMessageJob::Play(name) | VoiceMessageJob::Delete(name)) = &job else {
            self.playback = None;
            self.list_voice_messages();
            return Ok(());
        };
        if !self.snapshot.voice_messages.iter().any(|message| message.name == *name) {
            return Err("That message is not there any more.".into());
        }
        self.playback = None;
        let path = self.options.state.root.join(MESSAGES).join(name);
        let done = match job {
            VoiceMessageJob::Delete(_) => std::fs::remove_file(&path)
                .map_err(|error| format!("The message was not deleted: {error}.")),
            _ => self.play_voice_message(&path, name),
        };
        self.list_voice_messages();
        done
    }

    fn play_voice_message(&mut self, path: &std::path::Path, name: &str) -> Result<(), String> {
        let recording = Recording::read(path).map_err(|error| error.to_string())?;
        let heard = name.replace(&format!("{NEW}.wav"), ".wav");
        let heard_path = path.with_file_name(&heard);
        std::fs::rename(path, heard_path)
            .map_err(|error| format!("The message can't be marked as heard: {error}."))?;
        let (speaker, reports) = (self.settings.speakers(), self.reports.clone());
        let of = heard.clone();
        let task = tokio::spawn(async move {
            let fault = play(recording, speaker).await;
            // The engine has ended otherwise.
            let _ = reports.send(Report::Played(of, fault)).await;
        });
        self.playback = Some(Playback { name: heard, task: task.abort_handle() });
        Ok(())
    }

    /// A message has been played, or could not be.
    pub(super) fn played(&mut self, name: &str, fault: Option<String>) {
        if self.playback.take_if(|playback| playback.name == name).is_some() {
            if let Some(sentence) = fault {
                self.notice(sentence);
            }
            self.list_voice_messages();
        }
    }
}

/// Plays a recording to its end; the sentence says why that was not possible.
async fn play(recording: Recording, speaker: SinkChoice) -> Option<String> {
    let opened = tokio::task::spawn_blocking(move || speaker.open()).await.ok()?;
    let mut sink = match opened {
        Ok(sink) => sink,
        Err(error) => return Some(error.to_string()),
    };
    let frames = recording.len().div_ceil(FRAME_SAMPLES);
    let mut source = WavSource::new(recording);
    let mut tick = interval(FRAME);
    for _ in 0..frames + SINK_FRAMES {
        tick.tick().await;
        let mut frame = SILENCE;
        source.read(&mut frame);
        sink.write(&frame);
    }
    source.take_fault().map(|fault| fault.to_string())
}

/// Frames that a speaker may not have played yet when it has got the last one.
const SINK_FRAMES: usize = 15;
/// Where messages are, in the user's folder.
const MESSAGES: &str = "voice";
/// What the names of files end with that nobody has listened to.
const NEW: &str = ".new";
/// What is shorter was no message.
const MESSAGE_MIN: Duration = Duration::from_secs(1);
/// Messages kept; more are not taken: at three minutes each they have 1.7 GB.
const MESSAGES_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_whose_message_it_is() {
        let second = Duration::from_secs(1);
        let of = |name| VoiceMessage::of_file(name, second);
        let message = of("1700000000000-bob%40one.example.new.wav").expect("a message");
        assert_eq!((message.peer.as_str(), message.is_new), ("bob@one.example", true));
        assert_eq!(message.unix_ms, 1_700_000_000_000);
        let heard = of("1700000000000-bob%40one.example.wav").expect("a message");
        assert_eq!((heard.peer, heard.is_new), (message.peer, false));
        for other in ["notes.txt", "x-bob.wav", "17.wav", "17-bob%zz.wav"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
