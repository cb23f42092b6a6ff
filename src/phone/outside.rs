//! Calls that go by an ordinary account of the user's: ours, by the procedures of its provider
//! (RFC 7904 §4.1, §4.2), and what is done with them and with those that come in by one.

use std::future::pending;

use tokio::sync::mpsc;

use super::api::{CallId, Direction, Event, Verified};
use super::calls::{CallReports, Phase, Running};
use super::engine::{Engine, Report, Reports};
use super::failure::Failure;
use super::sip_account::{
    CallWish, SipAccount, SipNews, SipPhone, SipPhoneOptions, SipWish, WISHES_MAX,
};
use super::speech::SpeechChange;
use crate::media::AudioStatistics;
use crate::sip::{self, Reason};

/// The part of a call that an ordinary account has; it hangs up when this is dropped.
pub(super) struct Outside {
    phone: mpsc::Sender<SipWish>,
    /// Its name there; a call of ours has none before it is answered.
    there: Option<CallId>,
    is_held_by_them: bool,
}

impl Outside {
    /// A call that has come in there.
    pub(super) fn incoming(phone: mpsc::Sender<SipWish>, there: CallId) -> Self {
        Self { phone, there: Some(there), is_held_by_them: false }
    }

    /// Whether this is what a phone means by a name of its own.
    pub(super) fn is(&self, there: CallId) -> bool {
        self.there == Some(there)
    }

    pub(super) fn is_held_by_them(&self) -> bool {
        self.is_held_by_them
    }

    pub(super) fn want(&self, wish: CallWish) {
        if let Some(there) = self.there {
            // So many wait only while the way to the provider is looked for, and calls are lost.
            let _ = self.phone.try_send(SipWish::Call(there, wish));
        }
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.want(CallWish::HangUp);
    }
}

/// News of a call that an ordinary account makes.
pub(super) struct OutsideReport {
    /// The address that is called.
    to: String,
    news: SipNews,
}

/// Takes wishes to a phone and its news to the engine, until nobody is left who could wish
/// anything and the phone has signed off.
pub(super) async fn serve(
    phone: SipPhone,
    mut wishes: mpsc::Receiver<SipWish>,
    reports: Reports,
    report: impl Fn(SipNews) -> Report,
) {
    let (to_phone, mut from_phone) = phone.split();
    let ask = async move {
        while let Some(wish) = wishes.recv().await {
            let _ = to_phone.send(wish).await;
        }
        drop(to_phone);
        pending::<()>().await;
    };
    let tell = async {
        while let Some(news) = from_phone.recv().await {
            // The engine has ended otherwise.
            let _ = reports.send(report(news)).await;
        }
    };
    tokio::select! {
        () = ask => {}
        () = tell => {}
    }
}

impl Engine {
    /// The user's account that calls this address.
    fn account_for(&self, callee: &sip::Aor) -> Option<SipAccount> {
        let accounts = self.options.state.sip_accounts();
        // Nobody needs to reach us by it.
        let account = SipAccount::choose(&accounts, callee)?.clone();
        Some(SipAccount { registers: false, ..account })
    }

    /// Whether an address outside of our overlays can be called.
    pub(super) fn can_call_outside(&self, address: &str) -> bool {
        address.parse().is_ok_and(|callee| self.account_for(&callee).is_some())
    }

    /// What a phone at a provider needs.
    pub(super) fn outside_options(&self, account: SipAccount) -> SipPhoneOptions {
        SipPhoneOptions {
            account,
            play: self.options.play.clone(),
            record: self.options.record.clone(),
            auto_answer: false,
        }
    }

    /// Calls the first of these addresses that an account can call.
    pub(super) fn call_outside(&mut self, id: CallId, addresses: &[String]) {
        let callees = addresses.iter().filter_map(|address| address.parse::<sip::Aor>().ok());
        let chosen = callees.filter_map(|to| Some((self.account_for(&to)?, to))).next();
        let Some((account, callee)) = chosen else { return };
        let (options, who) = (self.outside_options(account), self.user());
        let reports = self.reports.clone();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        if call.outside.is_some() {
            return;
        }
        let to = callee.to_string();
        if let Phase::Dialling(step) = &mut call.phase {
            *step = format!("Calling {to} by your ordinary account");
        }
        let (phone, wishes) = mpsc::channel(WISHES_MAX);
        call.outside = Some(Outside { phone, there: None, is_held_by_them: false });
        let report = move |news| {
            let report = OutsideReport { to: to.clone(), news };
            Report::Call(id, CallReports::Outside(report))
        };
        call.dial_tasks.spawn(async move {
            match SipPhone::open(options).await {
                Ok(phone) => {
                    phone.dial_for(callee, who).await;
                    serve(phone, wishes, reports, report).await;
                }
                Err(sentence) => {
                    // The engine has ended otherwise.
                    let _ = reports.send(report(SipNews::Unreachable(sentence))).await;
                }
            }
        });
    }

    pub(super) fn outside_report(&mut self, id: CallId, report: OutsideReport) {
        let OutsideReport { to, news } = report;
        match news {
            SipNews::Event(event) => self.outside_event(id, to, event),
            SipNews::Unreachable(message) => self.outside_event(id, to, Event::Error { message }),
            SipNews::Figures(_, figures) => self.outside_figures(id, *figures),
            SipNews::NotTransferred(_, message) => self.not_transferred(id, message),
            // The machine makes no calls.
            SipNews::MessageTaken(_) | SipNews::SoundOver => {}
        }
    }

    /// Answers a call, if it has come in by an ordinary account.
    pub(super) fn answer_outside(&self, id: CallId) {
        let outside = self.calls.running.get(&id).and_then(|call| call.outside.as_ref());
        if let Some(outside) = outside {
            outside.want(CallWish::Answer(Some(Box::new(self.who(id)))));
        }
    }

    /// Something has happened to a call with this address.
    pub(super) fn outside_event(&mut self, id: CallId, to: String, event: Event) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let Some(outside) = &mut call.outside else { return };
        let is_talking = call.phase == Phase::Talking;
        match event {
            Event::Answered { call: there, .. } if !is_talking => {
                outside.there = Some(there);
                self.answered_outside(id, to);
            }
            Event::Ended { reason, .. } if is_talking || call.direction == Direction::Incoming => {
                self.end_call(id, reason);
            }
            Event::Held { by_us, by_them, .. } => {
                outside.is_held_by_them = by_them;
                call.is_held = by_us;
                self.tell_hold(id);
            }
            Event::Digit { digit, .. } => self.event(Event::Digit { call: id, digit }),
            Event::Error { message } if is_talking => self.notice(message),
            Event::Ended { reason: sentence, .. } | Event::Error { message: sentence } => {
                call.outside = None;
                call.failure.add(to, Failure::Outside(sentence));
                self.end_if_hopeless(id);
            }
            _ => {}
        }
    }

    /// The other side was not connected with whom it was to call.
    pub(super) fn not_transferred(&mut self, id: CallId, sentence: String) {
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.transferring_to = None;
        }
        self.notice(sentence);
    }

    /// How the sound of a call is.
    pub(super) fn outside_figures(&mut self, id: CallId, figures: AudioStatistics) {
        let now = self.clock.now();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        if figures.packets_received > 0 {
            let elapsed_ms = call.elapsed_ms(now);
            call.report.sound_ms.get_or_insert(elapsed_ms);
        }
        self.note_figures(id, figures);
    }

    /// Nobody else is called any more.
    fn answered_outside(&mut self, id: CallId, to: String) {
        let now = self.clock.now();
        // A call takes the devices.
        self.test_sound(None);
        self.hang_up_legs(id, Some(Reason::completed_elsewhere()));
        self.give_up_all_but(id, &[]);
        let is_muted = self.calls.is_muted(id);
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        call.talking(now);
        call.speak(SpeechChange::Mute(is_muted));
        call.verified = Verified::Ordinary;
        call.forwarded_to = (to != call.peer).then_some(to);
        let (peer, is_machine) = (call.peer.clone(), call.message.is_some());
        self.tell_referrer(id, rsip::StatusCode::OK);
        if !is_machine {
            self.hold_others(id);
        }
        self.event(Event::Answered { call: id, peer });
    }
}

impl Running {
    /// Changes what is said and heard.
    pub(super) fn speak(&self, change: SpeechChange) {
        if let Some(talk) = &self.talk {
            talk.change(change);
        } else if let Some(outside) = &self.outside {
            outside.want(CallWish::Speech(change));
        }
    }

    /// Puts the call on hold, or goes on with it, if an ordinary account has it; that is so once
    /// the other side's phone agrees.
    pub(super) fn hold_outside(&self, is_held: bool) -> bool {
        let outside = self.outside.as_ref();
        outside.map(|outside| outside.want(CallWish::Hold(is_held))).is_some()
    }

    /// Has the other side of a call that an ordinary account has call somebody else.
    ///
    /// # Errors
    /// One sentence: it is to take the place of another call, of which a provider knows nothing.
    pub(super) fn transfer_outside(&self, to: sip::Aor, replaces: bool) -> Result<(), String> {
        let Some(outside) = &self.outside else { return Ok(()) };
        if replaces {
            return Err(format!(
                "The call with {} goes by your ordinary account: hand it over by name.",
                self.peer
            ));
        }
        outside.want(CallWish::Transfer(to));
        Ok(())
    }

    /// Whether both sides talk by an ordinary account.
    pub(super) fn is_outside(&self) -> bool {
        self.outside.is_some() && self.phase == Phase::Talking
    }

    /// Where names without a domain are of that the other side is told.
    pub(super) fn domain(&self) -> &str {
        let there = self.forwarded_to.as_ref().unwrap_or(&self.peer);
        match there.rsplit_once('@') {
            Some((_, domain)) if self.is_outside() => domain,
            _ => &self.overlay,
        }
    }
}
