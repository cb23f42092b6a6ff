//! Calls to the user's ordinary accounts: each account that is to be reached has a phone at its
//! registrar for as long as the engine runs (RFC 3261 §10).
//!
//! Who calls there is what the provider says, and anybody may: such callers ring though they are
//! strangers, and are never answered at once for the sake of their name.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::account::AccountId;
use super::api::{CallId, Direction, Event, Verified};
use super::calls::Phase;
use super::engine::{Engine, Report, Reports};
use super::outside::{Outside, serve};
use super::sip_account::{
    CallWish, SipAccount, SipNews, SipPhone, SipPhoneOptions, SipWish, WISHES_MAX,
};
use super::sip_accounts::SipAccountFacts;

/// Whether calls to an ordinary account ring here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SipReach {
    /// They are not to: the account's file says so.
    Unwanted,
    /// Not now; the provider is being asked.
    Pending,
    /// They do.
    Registered,
    /// They don't, and why: one sentence. The provider is asked again now and then.
    Failed(String),
}

/// The phones at registrars, each with a name among the memberships.
#[derive(Default)]
pub(super) struct Telephones(BTreeMap<AccountId, Telephone>);

struct Telephone {
    account: SipAccount,
    /// What is wished of it; `None` once it is to sign off.
    wishes: Option<mpsc::Sender<SipWish>>,
    reach: SipReach,
}

impl Telephones {
    /// Whether all have signed off.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Engine {
    /// Opens and closes phones, so that each account that is to be reached has one.
    pub(super) fn tend_telephones(&mut self) {
        let mut wanted: Vec<SipAccount> = Vec::new();
        // The program ends otherwise.
        if !self.hosting.is_ending {
            for account in self.options.state.sip_accounts() {
                let is_there = wanted.iter().any(|other| other.address == account.address);
                if account.registers && !is_there {
                    wanted.push(account);
                }
            }
        }
        let telephones = self.telephones.0.iter();
        let unwanted = telephones.filter(|(_, telephone)| !wanted.contains(&telephone.account));
        for id in unwanted.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close_telephone(id);
        }
        for account in wanted {
            let is_its =
                |telephone: &Telephone| telephone.wishes.is_some() && telephone.account == account;
            if !self.telephones.0.values().any(is_its) {
                self.open_telephone(account);
            }
        }
        self.show_reach();
    }

    fn open_telephone(&mut self, account: SipAccount) {
        let id = self.accounts.next_id();
        let options = self.outside_options(account.clone());
        let (wishes, inbox) = mpsc::channel(WISHES_MAX);
        tokio::spawn(run(id, options, inbox, self.reports.clone()));
        let telephone = Telephone { account, wishes: Some(wishes), reach: SipReach::Pending };
        self.telephones.0.insert(id, telephone);
    }

    fn close_telephone(&mut self, id: AccountId) {
        self.end_calls(id);
        if let Some(telephone) = self.telephones.0.get_mut(&id) {
            telephone.wishes = None;
        }
    }

    /// Shows the faces which accounts are reached.
    fn show_reach(&mut self) {
        for facts in &mut self.snapshot.sip_accounts {
            let SipAccountFacts::Account { address, reach, .. } = facts else { continue };
            if *reach == SipReach::Unwanted {
                continue;
            }
            // The newest counts: one that was before it is signing off.
            let telephones = self.telephones.0.values().rev();
            let mut its = telephones.filter(|t| t.account.address.to_string() == *address);
            *reach = its.next().map_or(SipReach::Pending, |telephone| telephone.reach.clone());
        }
    }

    /// What a phone tells, or that it has signed off.
    pub(super) fn telephone_report(&mut self, id: AccountId, news: Option<SipNews>) {
        let Some(telephone) = self.telephones.0.get_mut(&id) else { return };
        match news {
            Some(SipNews::Event(Event::Registered { .. })) => {
                telephone.reach = SipReach::Registered;
            }
            Some(SipNews::Event(Event::Left { .. })) => telephone.reach = SipReach::Pending,
            Some(SipNews::Unreachable(sentence)) => self.not_reached(id, sentence),
            Some(SipNews::Event(Event::Incoming { call, peer })) => {
                self.called_outside(id, call, peer);
            }
            Some(SipNews::Event(event)) => self.telephone_event(id, event),
            Some(SipNews::Figures(there, figures)) => {
                if let Some((call, _)) = self.outside_call(id, there) {
                    self.outside_figures(call, *figures);
                }
            }
            Some(SipNews::NotTransferred(there, message)) => {
                if let Some((call, _)) = self.outside_call(id, there) {
                    self.not_transferred(call, message);
                }
            }
            Some(SipNews::MessageTaken(there)) => {
                if let Some((call, _)) = self.outside_call(id, there) {
                    // Nothing can fail here: the call is running.
                    let _ = self.hang_up(call);
                }
            }
            Some(SipNews::SoundOver) => self.list_voice_messages(),
            None => {
                self.telephones.0.remove(&id);
            }
        }
        self.show_reach();
    }

    /// Nobody can call an account now, which the user is told once.
    fn not_reached(&mut self, id: AccountId, sentence: String) {
        let Some(telephone) = self.telephones.0.get_mut(&id) else { return };
        let address = telephone.account.address.to_string();
        let is_news = telephone.reach.fail(&sentence);
        if is_news && telephone.wishes.is_some() {
            self.notice(format!("Calls to {address} don't ring here now. {sentence}"));
        }
    }

    fn telephone_event(&mut self, id: AccountId, event: Event) {
        let there = match &event {
            Event::Answered { call, .. }
            | Event::Held { call, .. }
            | Event::Digit { call, .. }
            | Event::Ended { call, .. } => *call,
            Event::Error { message } => return self.notice(message.clone()),
            _ => return,
        };
        if let Some((call, peer)) = self.outside_call(id, there) {
            self.outside_event(call, peer, event);
        }
    }

    /// The call that a phone means by a name of its own, and who is called or calls.
    fn outside_call(&self, id: AccountId, there: CallId) -> Option<(CallId, String)> {
        let mut running = self.calls.running.iter();
        let its = running.find(|(_, call)| {
            call.account == id && call.outside.as_ref().is_some_and(|outside| outside.is(there))
        });
        its.map(|(call, running)| (*call, running.peer.clone()))
    }

    /// Somebody calls an account.
    fn called_outside(&mut self, id: AccountId, there: CallId, peer: String) {
        let Some(Telephone { account, wishes: Some(phone), .. }) = self.telephones.0.get(&id)
        else {
            return;
        };
        let outside = Outside::incoming(phone.clone(), there);
        let domain = account.address.host().to_string();
        let refused = self.blocked(&peer).or_else(|| self.cannot_ring(&peer, None));
        if let Some((refusal, _)) = &refused {
            outside.want(CallWish::Refuse(refusal.clone()));
        }
        let (direction, now) = (Direction::Incoming, self.now());
        let call = self.calls.begin((id, &domain), direction, peer.clone(), Phase::Incoming, now);
        if let Some(running) = self.calls.running.get_mut(&call) {
            running.verified = Verified::Ordinary;
            running.outside = Some(outside);
        }
        if let Some((_, sentence)) = refused {
            return self.turned_away(call, sentence);
        }
        self.event(Event::Incoming { call, peer });
        self.meet(call, false);
    }
}

impl SipReach {
    /// Calls don't ring any more, or still not; whether that is news, whatever the reason.
    fn fail(&mut self, sentence: &str) -> bool {
        let before = std::mem::replace(self, Self::Failed(sentence.to_owned()));
        !matches!(before, Self::Failed(_))
    }
}

/// A phone at a registrar, from the first attempt to find that until it has signed off.
async fn run(
    id: AccountId,
    options: SipPhoneOptions,
    mut wishes: mpsc::Receiver<SipWish>,
    reports: Reports,
) {
    let report = move |news| Report::Telephone(id, Some(news));
    let opened = tokio::select! {
        phone = open(options, &reports, report) => Some(phone),
        () = closed(&mut wishes) => None,
    };
    if let Some(phone) = opened {
        serve(phone, wishes, reports.clone(), report).await;
    }
    // The engine has ended otherwise.
    let _ = reports.send(Report::Telephone(id, None)).await;
}

/// Opens a phone, as often as it takes.
async fn open(
    options: SipPhoneOptions,
    reports: &Reports,
    report: impl Fn(SipNews) -> Report,
) -> SipPhone {
    let mut pause = OPEN_AGAIN.0;
    loop {
        match SipPhone::open(options.clone()).await {
            Ok(phone) => return phone,
            Err(sentence) => {
                // The engine has ended otherwise.
                let _ = reports.send(report(SipNews::Unreachable(sentence))).await;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(OPEN_AGAIN.1);
    }
}

/// Waits until nobody is left who could wish anything; nothing is wished before there is a call.
async fn closed(wishes: &mut mpsc::Receiver<SipWish>) {
    while wishes.recv().await.is_some() {}
}

/// When a registrar that was not found is looked for again: soon, and ever later.
const OPEN_AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that refuses us again and again is told of once, until it has let us in.
    #[test]
    fn what_fails_again_is_no_news() {
        let mut reach = SipReach::Pending;
        assert!(reach.fail("one.example does not answer."));
        assert!(!reach.fail("one.example does not let us in: 500."));
        assert_eq!(reach, SipReach::Failed("one.example does not let us in: 500.".into()));
        reach = SipReach::Registered;
        assert!(reach.fail("one.example does not answer."));
    }
}
