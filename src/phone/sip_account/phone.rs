//! A phone at a registrar, as whoever uses it sees it.

use std::path::PathBuf;

use tokio::sync::mpsc;

use super::engine::Engine;
use super::settings::SipAccount;
use crate::media::{AudioStatistics, Digit, Recording};
use crate::phone::speech::SpeechChange;
use crate::phone::voice::Who;
use crate::phone::welcome::Refusal;
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
    wishes: mpsc::Sender<SipWish>,
    news: mpsc::Receiver<SipNews>,
}

/// What whoever uses a phone wants of it.
pub(in crate::phone) enum SipWish {
    /// To call somebody, with somebody else to talk than the phone's own user.
    Dial(sip::Aor, Option<Box<Who>>),
    Call(CallId, CallWish),
}

/// What is to be done with a call.
pub(in crate::phone) enum CallWish {
    /// To take it, with somebody else to talk than the phone's own user.
    Answer(Option<Box<Who>>),
    /// Not to take it, and what the caller is told.
    Refuse(Refusal),
    HangUp,
    Hold(bool),
    /// To change what is said and heard.
    Speech(SpeechChange),
    Transfer(sip::Aor),
}

/// What a phone tells.
#[derive(Debug)]
pub(in crate::phone) enum SipNews {
    Event(Event),
    /// Nobody can call now: one sentence. The phone tries again by itself.
    Unreachable(String),
    /// How the sound of a call is, several times a second.
    Figures(CallId, Box<AudioStatistics>),
    /// The other side of a call was not connected with somebody else: one sentence.
    NotTransferred(CallId, String),
    /// The answering machine has taken the message of a call.
    MessageTaken(CallId),
    /// The sound of a call has ended, and all of it is written.
    SoundOver,
}

impl SipPhone {
    /// Opens the way to the registrar and begins. Without registering the phone can call at once;
    /// otherwise [`Event::Registered`] says when it can be called.
    ///
    /// # Errors
    /// One sentence: the server is not found or can't be connected to.
    pub async fn open(options: SipPhoneOptions) -> Result<Self, String> {
        let (wishes, inbox) = mpsc::channel(WISHES_MAX);
        let (outbox, news) = mpsc::channel(NEWS_MAX);
        let engine = Engine::open(options, outbox).await?;
        tokio::spawn(engine.run(inbox));
        Ok(Self { wishes, news })
    }

    /// Calls somebody; what comes of it is told by events.
    pub async fn dial(&self, callee: sip::Aor) {
        let _ = self.wishes.send(SipWish::Dial(callee, None)).await;
    }

    /// Calls somebody, and lets this one talk.
    pub(in crate::phone) async fn dial_for(&self, callee: sip::Aor, who: Who) {
        let _ = self.wishes.send(SipWish::Dial(callee, Some(Box::new(who)))).await;
    }

    /// Takes a call.
    pub async fn answer(&self, call: CallId) {
        let _ = self.wishes.send(SipWish::Call(call, CallWish::Answer(None))).await;
    }

    /// Ends a call, or declines it.
    pub async fn hang_up(&self, call: CallId) {
        let _ = self.wishes.send(SipWish::Call(call, CallWish::HangUp)).await;
    }

    /// Puts a call on hold, or goes on with it.
    pub async fn hold(&self, call: CallId, is_on_hold: bool) {
        let _ = self.wishes.send(SipWish::Call(call, CallWish::Hold(is_on_hold))).await;
    }

    /// Presses a key of the telephone in a call.
    pub async fn press(&self, call: CallId, digit: Digit) {
        let _ = self
            .wishes
            .send(SipWish::Call(call, CallWish::Speech(SpeechChange::Press(digit))))
            .await;
    }

    /// Has the other side of a call call somebody else instead; once it does so the call is over.
    pub async fn transfer(&self, call: CallId, to: sip::Aor) {
        let _ = self.wishes.send(SipWish::Call(call, CallWish::Transfer(to))).await;
    }

    /// The next event; `None` once the phone has ended.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.news.recv().await? {
                SipNews::Event(event) => return Some(event),
                SipNews::Unreachable(message) | SipNews::NotTransferred(_, message) => {
                    return Some(Event::Error { message });
                }
                SipNews::Figures(..) | SipNews::MessageTaken(_) | SipNews::SoundOver => {}
            }
        }
    }

    /// Both ends of it: it signs off once the first one and all its clones are dropped, and then
    /// the second one ends.
    pub(in crate::phone) fn split(self) -> (mpsc::Sender<SipWish>, mpsc::Receiver<SipNews>) {
        (self.wishes, self.news)
    }

    /// Hangs up, signs off, and waits until that is done.
    pub async fn close(self) {
        let (wishes, mut news) = self.split();
        drop(wishes);
        while news.recv().await.is_some() {}
    }
}

// limits

/// Wishes and news on their way.
pub(in crate::phone) const WISHES_MAX: usize = 16;
const NEWS_MAX: usize = 64;
