//! The phone rings: a tone on the speaker, in a task of its own, for as long as this lives.

use tokio::task::AbortHandle;
use tokio::time::interval;

use super::turns::FRAME;
use crate::media::{RingTone, Ringing, SinkChoice};

/// A phone that rings, here or at the other end.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) ringing: Ringing,
    task: AbortHandle,
}

impl Ring {
    /// Begins to ring on a speaker. Without one the window alone shows the call.
    pub(super) fn start(ringing: Ringing, speaker: SinkChoice) -> Self {
        let task = tokio::spawn(async move {
            let opened = tokio::task::spawn_blocking(move || speaker.open()).await;
            let Ok(Ok(mut sink)) = opened else { return };
            let mut tone = RingTone::new(ringing);
            let mut tick = interval(FRAME);
            loop {
                tick.tick().await;
                sink.write(&tone.frame());
            }
        });
        Self { ringing, task: task.abort_handle() }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.task.abort();
    }
}
