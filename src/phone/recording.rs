//! Recording a call to a file in the user's folder. The other side is told: its phone by the
//! session description (RFC 7866 §6.1.2), or else its user by a tone.

use std::path::PathBuf;

use serde::Serialize;

use super::api::{CallId, Event};
use super::calls::{Phase, Running};
use super::engine::Engine;
use super::speech::SpeechChange;
use super::state::{StateError, StateFolder, folder_name};
use crate::link::unix_ms;
use crate::media::CallRecorder;

/// Whether a call is recorded, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallRecording {
    /// We do.
    pub by_us: bool,
    /// The other side says that it does.
    pub by_them: bool,
    /// Where our last recording of the call is.
    pub file: Option<PathBuf>,
}

impl StateFolder {
    /// A new file for the sound of a call with `peer`, in this folder of ours.
    pub(super) fn sound_file(&self, folder: &str, peer: &str) -> Result<PathBuf, StateError> {
        let folder = self.root.join(folder);
        std::fs::create_dir_all(&folder).map_err(|error| StateError::file(&folder, &error))?;
        let peer: String = folder_name(peer).chars().take(NAME_MAX).collect();
        Ok(folder.join(format!("{}-{peer}.wav", unix_ms())))
    }
}

impl Running {
    /// Whether the call is recorded, and by whom.
    pub(super) fn recording(&self) -> CallRecording {
        let by_them = self.phase == Phase::Talking
            && self.legs.values().any(|leg| leg.session.is_recorded_by_them());
        CallRecording { by_us: self.is_recorded, by_them, file: self.recorded_to.clone() }
    }
}

impl Engine {
    /// Begins or ends a recording of a call.
    pub(super) fn record(&mut self, id: CallId, is_wanted: bool) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        if call.is_recorded == is_wanted {
            return Ok(());
        }
        if !call.has_sound() {
            return Err("There is no sound yet that could be recorded.".into());
        }
        let mut recorder = None;
        if is_wanted {
            let path = self.options.state.sound_file(RECORDINGS, &call.peer);
            let path = path.map_err(|error| error.to_string())?;
            recorder = Some(CallRecorder::create(&path).map_err(|error| error.to_string())?);
            call.recorded_to = Some(path);
        }
        let is_told = call.talk.is_some() && call.knows_recording();
        call.speak(SpeechChange::Record(recorder, is_told));
        call.is_recorded = is_wanted;
        self.tell_recording(id);
        self.settle(id);
        Ok(())
    }

    /// Tells who records a call, if that is news.
    pub(super) fn tell_recording(&mut self, id: CallId) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let CallRecording { by_us, by_them, file } = call.recording();
        if std::mem::replace(&mut call.recording_told, (by_us, by_them)) != (by_us, by_them) {
            let peer = call.peer.clone();
            self.event(Event::Recording { call: id, peer, by_us, by_them, file });
        }
    }
}

/// Where recordings are, in the user's folder.
const RECORDINGS: &str = "recordings";
/// Characters of a name in a file's name.
const NAME_MAX: usize = 200;
