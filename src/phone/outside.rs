//! Calls that leave the overlays: an ordinary account of the user's makes them, by the procedures
//! of its provider (RFC 7904 §4.1, §4.2).

use tokio::task::AbortHandle;

use super::api::{CallId, Event};
use super::calls::{CallReports, Phase, Running};
use super::engine::{Engine, Report};
use super::failure::Failure;
use super::sip_account::{SipAccount, SipPhone, SipPhoneOptions};
use crate::sip::{self, Reason};

/// The part of a call that an ordinary account makes; it hangs up when this is dropped.
pub(super) struct Outside(AbortHandle);

impl Drop for Outside {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// News of it: what its phone says, or why there is none.
pub(super) struct OutsideReport {
    /// The address that is called.
    to: String,
    event: Result<Event, String>,
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

    /// Calls the first of these addresses that an account can call.
    pub(super) fn call_outside(&mut self, id: CallId, addresses: &[String]) {
        let callees = addresses.iter().filter_map(|address| address.parse::<sip::Aor>().ok());
        let chosen = callees.filter_map(|to| Some((self.account_for(&to)?, to))).next();
        let Some((account, callee)) = chosen else { return };
        let options = SipPhoneOptions {
            account,
            play: self.options.play.clone(),
            record: self.options.record.clone(),
            auto_answer: false,
        };
        let reports = self.reports.clone();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        if call.outside.is_some() {
            return;
        }
        let to = callee.to_string();
        if let Phase::Dialling(step) = &mut call.phase {
            *step = format!("Calling {to} by your ordinary account");
        }
        let task = call.dial_tasks.spawn(async move {
            let tell = async |event| {
                let report = OutsideReport { to: to.clone(), event };
                // The engine has ended otherwise.
                let _ = reports.send(Report::Call(id, CallReports::Outside(report))).await;
            };
            match SipPhone::open(options).await {
                Ok(mut phone) => {
                    phone.dial(callee).await;
                    while let Some(event) = phone.next().await {
                        tell(Ok(event)).await;
                    }
                }
                Err(sentence) => tell(Err(sentence)).await,
            }
        });
        call.outside = Some(Outside(task));
    }

    pub(super) fn outside_report(&mut self, id: CallId, report: OutsideReport) {
        let OutsideReport { to, event } = report;
        let Some(call) = self.calls.running.get_mut(&id).filter(|c| c.outside.is_some()) else {
            return;
        };
        let is_talking = call.phase == Phase::Talking;
        match event {
            Ok(Event::Answered { .. }) if !is_talking => self.answered_outside(id, to),
            Ok(Event::Ended { reason, .. }) if is_talking => self.end_call(id, reason),
            Ok(Event::Error { message }) if is_talking => self.notice(message),
            Ok(Event::Ended { reason: sentence, .. } | Event::Error { message: sentence })
            | Err(sentence) => {
                call.outside = None;
                call.failure.add(to, Failure::Outside(sentence));
                self.end_if_hopeless(id);
            }
            Ok(_) => {}
        }
    }

    /// Nobody else is called any more.
    fn answered_outside(&mut self, id: CallId, to: String) {
        let now = self.clock.now();
        self.hang_up_legs(id, Some(Reason::completed_elsewhere()));
        self.give_up_all_but(id, &[]);
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        call.talking(now);
        call.forwarded_to = (to != call.peer).then_some(to);
        let peer = call.peer.clone();
        self.tell_referrer(id, rsip::StatusCode::OK);
        self.hold_others(id);
        self.event(Event::Answered { call: id, peer });
    }
}

impl Running {
    /// Why the sound of the call is not ours to change, if it is not.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn check_inside(&self) -> Result<(), String> {
        match self.outside {
            Some(_) if self.phase == Phase::Talking => Err(format!(
                "The call with {} goes by your ordinary account, which can only talk and hang up.",
                self.peer
            )),
            _ => Ok(()),
        }
    }
}
