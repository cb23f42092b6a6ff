//! Calls that come in or were missed, as notifications (Desktop Notifications Specification 1.3).
//! They have buttons and take no focus.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::Pin;

use tokio::sync::mpsc;
use zbus::export::futures_core::Stream;
use zbus::message::Type;
use zbus::zvariant::Value;
use zbus::{Connection, MatchRule, Message, MessageStream};

use super::in_time;
use crate::gui::{book, words};
use crate::phone::{
    Call, CallId, CallState, Command, Ending, Handle, HistoryEntry, Snapshot, Wish,
};

const SERVICE: &str = "org.freedesktop.Notifications";
const PATH: &str = "/org/freedesktop/Notifications";
const ANSWER: &str = "answer";
const DECLINE: &str = "decline";
const CALL_BACK: &str = "call-back";
/// A click on the notification itself.
const DEFAULT: &str = "default";
/// Waits until the user does something about it.
const URGENCY_CRITICAL: u8 = 2;
const URGENCY_NORMAL: u8 = 1;
/// Missed calls that are told of at a time: a history that was brought back is no news.
const MISSED_MAX: usize = 3;

/// Our notifications on the user's desktop.
#[derive(Default)]
pub(super) struct Notices {
    bus: Option<(Connection, MessageStream)>,
    /// Calls that ring, and the notifications about them.
    ringing: BTreeMap<CallId, u32>,
    /// Whom the notifications of missed calls are about.
    missed: BTreeMap<u32, String>,
}

/// What the user has clicked: the notification and the action.
pub(super) type Choice = (u32, String);

impl Notices {
    /// Connects to the session's bus, if there is one.
    pub(super) async fn open(_: &Snapshot) -> Self {
        let connect = async {
            let bus = Connection::session().await?;
            let rule = MatchRule::builder().msg_type(Type::Signal).interface(SERVICE)?.build();
            let signals = MessageStream::for_match_rule(rule, &bus, Some(SIGNALS_MAX)).await?;
            Ok((bus, signals))
        };
        Self { bus: in_time(connect).await, ..Self::default() }
    }

    /// Tells of what is new between two snapshots.
    pub(super) async fn follow(&mut self, before: &Snapshot, now: &Snapshot) {
        let rings = |call: &&Call| call.state == CallState::Incoming;
        let gone: Vec<CallId> = self
            .ringing
            .keys()
            .filter(|id| !now.calls.iter().filter(rings).any(|call| call.id == **id))
            .copied()
            .collect();
        for id in gone {
            if let Some(notice) = self.ringing.remove(&id) {
                self.withdraw(notice).await;
            }
        }
        for call in now.calls.iter().filter(rings) {
            if !self.ringing.contains_key(&call.id)
                && let Some(notice) = self.tell_incoming(now, call).await
            {
                self.ringing.insert(call.id, notice);
            }
        }
        let is_missed = |e: &&HistoryEntry| e.ending() == Ending::Missed;
        let new = |e: &&HistoryEntry| !before.history.contains(e);
        let missed: Vec<_> = now.history.iter().filter(is_missed).filter(new).collect();
        for entry in missed.iter().filter(|_| missed.len() <= MISSED_MAX) {
            let name = book::name(now, &entry.peer);
            let actions = [DEFAULT, words::open_window(), CALL_BACK, words::call_back()];
            let summary = words::missed_from(name);
            let notice = self.tell(&summary, &entry.peer, &actions, URGENCY_NORMAL, -1).await;
            if let Some(notice) = notice {
                self.missed.insert(notice, entry.peer.clone());
            }
            while self.missed.len() > MISSED_KEPT_MAX {
                self.missed.pop_first();
            }
        }
    }

    async fn tell_incoming(&self, snapshot: &Snapshot, call: &Call) -> Option<u32> {
        let name = book::name(snapshot, &call.peer);
        let summary = match call.is_knocking {
            true => words::knocks(name),
            false => words::is_calling(name),
        };
        let actions = [
            (DEFAULT, words::open_window()),
            (ANSWER, words::answer()),
            (DECLINE, words::decline()),
        ];
        let actions: Vec<&str> = actions.iter().flat_map(|(key, text)| [*key, *text]).collect();
        let urgency = if call.is_knocking { URGENCY_NORMAL } else { URGENCY_CRITICAL };
        self.tell(&summary, &call.peer, &actions, urgency, 0).await
    }

    async fn tell(
        &self,
        summary: &str,
        body: &str,
        actions: &[&str],
        urgency: u8,
        expires_ms: i32,
    ) -> Option<u32> {
        let (bus, _) = self.bus.as_ref()?;
        let hints = HashMap::from([
            ("urgency", Value::from(urgency)),
            ("category", Value::from("call")),
            ("desktop-entry", Value::from("chordial")),
            // The phone rings itself, on the device that was chosen for it.
            ("suppress-sound", Value::from(true)),
        ]);
        let body = (words::app(), 0u32, "chordial", summary, body, actions, hints, expires_ms);
        let tell = bus.call_method(Some(SERVICE), PATH, Some(SERVICE), "Notify", &body);
        in_time(async { tell.await?.body().deserialize::<u32>() }).await
    }

    async fn withdraw(&self, notice: u32) {
        if let Some((bus, _)) = &self.bus {
            let close = "CloseNotification";
            in_time(bus.call_method(Some(SERVICE), PATH, Some(SERVICE), close, &notice)).await;
        }
    }

    /// Waits for a click on one of ours.
    pub(super) async fn chosen(&mut self) -> Choice {
        let Some((_, signals)) = &mut self.bus else { return std::future::pending().await };
        loop {
            let next = poll_fn(|context| Pin::new(&mut *signals).poll_next(context)).await;
            match next {
                Some(Ok(message)) => {
                    if let Some(choice) = invoked(&message) {
                        return choice;
                    }
                }
                Some(Err(_)) => {}
                // The session has ended.
                None => return std::future::pending().await,
            }
        }
    }

    /// Does what the user has clicked.
    pub(super) fn carry_out(&mut self, choice: Choice, phone: &Handle, wishes: &Wishes) {
        let (notice, action) = choice;
        let call = self.ringing.iter().find(|(_, of)| **of == notice).map(|(id, _)| *id);
        let missed = self.missed.get(&notice);
        let command = match (action.as_str(), call, missed) {
            (ANSWER, Some(call), _) => Some(Command::Answer(call)),
            (DECLINE, Some(call), _) => Some(Command::Decline(call)),
            (CALL_BACK, _, Some(peer)) => Some(Command::Dial(peer.clone())),
            (DEFAULT, Some(_), _) | (DEFAULT, _, Some(_)) => None,
            // It is somebody else's.
            _ => return,
        };
        let declines = matches!(command, Some(Command::Decline(_)));
        if let Some(command) = command {
            phone.send(command);
        }
        if !declines {
            let _ = wishes.try_send(Wish::Open(None));
        }
    }

    /// Takes away those about calls that ring.
    pub(super) async fn close(&mut self) {
        for notice in std::mem::take(&mut self.ringing).into_values() {
            self.withdraw(notice).await;
        }
    }
}

type Wishes = mpsc::Sender<Wish>;

fn invoked(message: &Message) -> Option<Choice> {
    let header = message.header();
    let is_action = header.member().is_some_and(|member| member == "ActionInvoked");
    is_action.then(|| message.body().deserialize().ok()).flatten()
}

// limits

/// Clicks that wait.
const SIGNALS_MAX: usize = 32;
/// Notifications of missed calls whose buttons still work.
const MISSED_KEPT_MAX: usize = 32;
