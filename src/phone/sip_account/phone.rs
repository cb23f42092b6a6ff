//! A phone at a registrar, as whoever uses it sees it.

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::engine::Engine;
use super::settings::SipAccount;
use crate::media::{Digit, Recording};
use crate::phone::{CallId, Event};
use crate::sip;

/// What a phone at a registrar needs.
#[derive(Clone, Debug)]
pub struct SipPhoneOptions {
    /// The account.
    pub account: SipAccount,
    /// A recording in the place of the microphone.
    pub play: Option<Recording>,
    /// A file in the place of the speaker.
    pub record: Option<PathBuf>,
    /// Whether every call is answered.
    pub auto_answer: bool,
}

/// A phone at a registrar. It hangs up and signs off when this is dropped.
#[derive(Debug)]
pub struct SipPhone {
    wishes: mpsc::Sender<Wish>,
    events: mpsc::Receiver<Event>,
}

#[derive(Debug)]
pub(super) enum Wish {
    Dial(sip::Aor),
    Answer(CallId),
    HangUp(CallId),
    Hold(CallId, bool),
    Press(CallId, Digit),
    Transfer(CallId, sip::Aor),
}

impl SipPhone {
    /// Opens the way to the registrar and begins. Without registering the phone can call at once;
    /// otherwise [`Event::Registered`] says when it can be called.
    ///
    /// # Errors
    /// One sentence: the server is not found or can't be connected to.
    pub async fn open(options: SipPhoneOptions) -> Result<Self, String> {
        let (wishes, inbox) = mpsc::channel(WISHES_MAX);
        let (outbox, events) = mpsc::channel(EVENTS_MAX);
        let engine = Engine::open(options, outbox).await?;
        tokio::spawn(engine.run(inbox));
        Ok(Self { wishes, events })
    }

    /// Calls somebody; what comes of it is told by events.
    pub async fn dial(&self, callee: sip::Aor) {
        let _ = self.wishes.send(Wish::Dial(callee)).await;
    }

    /// Takes a call.
    pub async fn answer(&self, call: CallId) {
        let _ = self.wishes.send(Wish::Answer(call)).await;
    }

    /// Ends a call, or declines it.
    pub async fn hang_up(&self, call: CallId) {
        let _ = self.wishes.send(Wish::HangUp(call)).await;
    }

    /// Puts a call on hold, or goes on with it.
    pub async fn hold(&self, call: CallId, is_on_hold: bool) {
        let _ = self.wishes.send(Wish::Hold(call, is_on_hold)).await;
    }

    /// Presses a key of the telephone in a call.
    pub async fn press(&self, call: CallId, digit: Digit) {
        let _ = self.wishes.send(Wish::Press(call, digit)).await;
    }

    /// Has the other side of a call call somebody else instead; once it does so the call is over.
    pub async fn transfer(&self, call: CallId, to: sip::Aor) {
        let _ = self.wishes.send(Wish::Transfer(call, to)).await;
    }

    /// The next event; `None` once the phone has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Hangs up, signs off, and waits until that is done.
    pub async fn close(self) {
        let Self { wishes, mut events } = self;
        drop(wishes);
        while events.recv().await.is_some() {}
    }
}

// limits

/// Wishes and events on their way.
const WISHES_MAX: usize = 16;
const EVENTS_MAX: usize = 64;
