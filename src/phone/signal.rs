//! SIP between the phone and its flows: who is behind a flow, what goes over it, and what the
//! user agent says of each leg.

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;

use super::account::{AccountId, sip_aor};
use super::api::{CallId, Direction, Event};
use super::calls::{CallReports, Leg, Phase, Running};
use super::dial::Target;
use super::engine::{Engine, Report};
use super::failure::{Failure, SoundFailure};
use super::flows::Flow;
use super::names::is_domain_unverified;
use super::session::Session;
use super::speech::SpeechReport;
use super::talk::{self, Talk, TalkReport, TalkSetup};
use super::trace::Candidates;
use super::transfer::Referral;
use super::trust::{Judgement, named};
use super::words;
use crate::link::{AppFlow, IceAgent, IceRole, LinkError, PcapDirection, PcapProtocol, os_seed};
use crate::media::sdp::{self, Negotiated, Offer};
use crate::message::APPLICATION_SIPS;
use crate::sip::{self, Command, FlowId, Input, LegId, Output, Reason};

impl Engine {
    /// A connection to a device is up, which we have opened or they: the user agent learns who is
    /// there.
    pub(super) fn sip_flow_up(
        &mut self,
        account: AccountId,
        app: AppFlow,
        is_ours: bool,
    ) -> FlowId {
        self.flows.last_flow += 1;
        let id = FlowId(self.flows.last_flow);
        let AppFlow { application, certificate, mut flow, .. } = app;
        let sender = flow.sender();
        let info = flow.info().clone();
        let reports = self.reports.clone();
        let reader = tokio::spawn(async move {
            while let Some(record) = flow.recv().await {
                if reports.send(Report::Sip(id, Some(record))).await.is_err() {
                    return;
                }
            }
            // The engine has ended otherwise.
            let _ = reports.send(Report::Sip(id, None)).await;
        });
        let named = named(&certificate);
        if let Some(aor) = &named
            && aor.to_string() != certificate.user_name
        {
            // Without a memory they can't be called back.
            let _ = self.data.remember_written(aor, &certificate.user_name);
        }
        let peer = named.as_ref().map(ToString::to_string);
        let verified_users = named.and_then(|aor| sip_aor(&aor).ok()).into_iter().collect();
        let reader = reader.abort_handle();
        let (idle_since, is_kept) = (None, false);
        let flow = Flow {
            account,
            application,
            sender,
            info,
            certificate,
            reader,
            idle_since,
            is_ours,
            is_kept,
        };
        self.flows.open.insert(id, flow);
        self.sip_input(account, Input::FlowUp { flow: id, verified_users });
        if let Some(peer) = peer.filter(|_| !is_ours) {
            self.is_there(&peer);
        }
        id
    }

    pub(super) fn sip_datagram(&mut self, flow: FlowId, bytes: &Bytes) {
        self.capture(flow, PcapDirection::Received, bytes);
        if let Some(account) = self.flows.account(flow) {
            self.sip_input(account, Input::Datagram { flow, bytes });
        }
    }

    pub(super) fn sip_flow_down(&mut self, flow: FlowId) {
        if let Some(account) = self.flows.close(flow) {
            self.sip_input(account, Input::FlowDown { flow });
        }
    }

    /// Hands something to the user agent of a membership.
    fn sip_input(&mut self, account: AccountId, input: Input<'_>) {
        let now = self.now();
        if let Some(account) = self.accounts.running.get_mut(&account) {
            account.agent.handle(now, input);
        }
    }

    pub(super) fn sip_command(&mut self, account: AccountId, command: Command) {
        self.sip_input(account, Input::Command(command));
    }

    /// A user agent's deadline has come.
    pub(super) fn sip_timeout(&mut self) {
        let now = self.now();
        for account in self.accounts.running.values_mut() {
            if account.agent.deadline().is_some_and(|deadline| deadline <= now.instant) {
                account.agent.handle(now, Input::Timeout);
            }
        }
    }

    fn sip_output(&mut self) -> Option<(AccountId, Output)> {
        let mut accounts = self.accounts.running.iter_mut();
        accounts.find_map(|(id, account)| Some((*id, account.agent.poll()?)))
    }

    /// Does all that the user agents want, and closes flows that nobody needs any more.
    pub(super) fn flush_sip(&mut self) {
        while let Some((account, output)) = self.sip_output() {
            match output {
                Output::Send { flow, bytes } => {
                    self.capture(flow, PcapDirection::Sent, &bytes);
                    if let Some(open) = self.flows.open.get(&flow) {
                        // What is lost here is sent again by its transaction.
                        let _ = open.sender.send(bytes);
                    }
                }
                Output::Event(event) => self.sip_event(account, event),
            }
        }
        let now = self.clock.now();
        for (id, flow) in &mut self.flows.open {
            let account = self.accounts.get(flow.account);
            if account.is_some_and(|account| account.agent.is_flow_used(*id)) {
                flow.idle_since = None;
            } else {
                flow.idle_since.get_or_insert(now);
            }
        }
        for id in self.flows.unused(now) {
            self.sip_flow_down(id);
        }
    }

    /// Whether a request or answer of ours in this membership is still on its way.
    pub(super) fn is_signalling(&self, account: AccountId) -> bool {
        let Some(account) = self.accounts.get(account) else { return false };
        self.flows.open.keys().any(|id| account.agent.is_flow_used(*id))
    }

    fn capture(&self, flow: FlowId, direction: PcapDirection, bytes: &Bytes) {
        let (Some(pcap), Some(flow)) = (&self.options.pcap, self.flows.open.get(&flow)) else {
            return;
        };
        let (local, remote) = (flow.info.local(), flow.info.remote());
        pcap.record(PcapProtocol::Sip, direction, local, remote, bytes.clone());
    }

    /// Calls a device that has been connected to.
    pub(super) fn invite(&mut self, id: CallId, target: &Target, flow: FlowId, agent: IceAgent) {
        let leg = self.new_leg(id, target, flow, agent);
        if let Some(call) = self.calls.running.get_mut(&id)
            && let Some(attempt) = call.attempts.iter_mut().find(|a| a.target == *target)
        {
            attempt.leg = leg;
        }
    }

    /// The leg to a device, unless there can be none.
    fn new_leg(
        &mut self,
        id: CallId,
        target: &Target,
        flow: FlowId,
        agent: IceAgent,
    ) -> Option<LegId> {
        let Target { account: account_id, device } = target;
        let judgement = self.judge_flow(*account_id, flow, Some(id))?;
        let is_domain_unverified = self.is_domain_unverified(*account_id, &device.aor.domain);
        let account = self.accounts.get(*account_id)?;
        let call = self.calls.running.get_mut(&id)?;
        let peer = device.aor.to_string();
        if judgement.unproven.is_some() {
            // Other devices of the name may be the ones that we know.
            if call.legs.is_empty() {
                call.verified = judgement.verified;
            }
            call.failure.add(peer, Failure::Unproven(judgement.is_refused));
            return None;
        }
        let mut to = device.aor.to_sip_uri();
        if device.application == APPLICATION_SIPS {
            to = to.replacen("sip:", "sips:", 1);
        }
        let (from, to) = (sip_aor(&account.aor).ok()?, to.parse::<sip::Uri>().ok()?);
        let verified = judgement.verified;
        if peer == call.peer {
            (call.verified, call.is_domain_unverified) = (verified, is_domain_unverified);
        }
        self.flows.last_leg += 1;
        let leg = LegId(self.flows.last_leg);
        let local = talk::description(&agent, &account.certificate);
        let end = self.flows.device(flow);
        let session = Session::new(end, self.rng.u64());
        let offer = sdp::offer(session.origin, &local).into_bytes();
        let new = Leg {
            account: *account_id,
            peer,
            verified,
            is_domain_unverified,
            agent: Some(agent),
            is_heard: false,
            local: Some(local),
            offer: None,
            session,
        };
        call.legs.insert(leg, new);
        let transfer = call.referral.as_ref().map(Referral::words);
        let invite = Command::Invite { leg, flow, from, to, offer, transfer };
        self.sip_command(*account_id, invite);
        Some(leg)
    }

    pub(super) fn is_domain_unverified(&self, account: AccountId, domain: &str) -> bool {
        let account = self.accounts.get(account);
        account.is_some_and(|a| is_domain_unverified(&a.document.config, domain))
    }

    /// Answers an incoming call: at once, or when our candidates are known. One that the answering
    /// machine has is picked up.
    pub(super) fn answer(&mut self, id: CallId) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        if call.unproven.is_some() {
            let peer = &call.peer;
            return Err(format!(
                "{peer} has another key than before; say whether it is theirs, then answer."
            ));
        }
        if call.phase == Phase::Incoming {
            call.phase = Phase::Answering;
            self.answer_outside(id);
            self.answer_if_ready(id);
        } else if call.phase == Phase::Talking && call.message.take().is_some() {
            self.take_over(id);
        }
        Ok(())
    }

    /// Declines an incoming call.
    pub(super) fn decline(&mut self, id: CallId) -> Result<(), String> {
        let Some(call) = self.calls.running.get_mut(&id) else { return Ok(()) };
        for (leg, Leg { account, .. }) in std::mem::take(&mut call.legs) {
            let status = rsip::StatusCode::Decline;
            self.sip_command(account, Command::Reject { leg, status });
        }
        self.end_call(id, "You declined.".to_owned());
        Ok(())
    }

    /// Our candidates for an incoming call are known.
    pub(super) fn candidates(
        &mut self,
        id: CallId,
        leg: LegId,
        agent: Result<IceAgent, LinkError>,
    ) {
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        match agent {
            Ok(agent) if call.phase == Phase::Talking => self.follow(id, leg, Some(agent)),
            Ok(agent) => {
                if let Some(leg) = call.legs.get_mut(&leg) {
                    leg.agent = Some(agent);
                }
                self.answer_if_ready(id);
            }
            Err(error) => {
                let (account, status) = (call.account, rsip::StatusCode::ServerInternalError);
                if call.phase == Phase::Talking {
                    if let Some(leg) = call.legs.get_mut(&leg) {
                        leg.offer = None;
                    }
                    return self.sip_command(account, Command::Reject { leg, status });
                }
                let sentence = SoundFailure::Link(error).sentence(&call.peer);
                self.sip_command(account, Command::Reject { leg, status });
                self.end_call(id, sentence);
            }
        }
    }

    fn answer_if_ready(&mut self, id: CallId) {
        let now = self.clock.now();
        let Some(call) = self.calls.running.get_mut(&id) else { return };
        let account_id = call.account;
        let Some(account) = self.accounts.get(account_id) else { return };
        let ready = call.legs.iter_mut().find(|(_, leg)| leg.agent.is_some());
        let Some((leg_id, leg)) = ready.filter(|_| call.phase == Phase::Answering) else { return };
        let (leg_id, Some(agent), Some(offer)) = (*leg_id, leg.agent.take(), &leg.offer) else {
            return;
        };
        let local = talk::description(&agent, &account.certificate);
        let (answer, negotiated) = offer.answer(leg.session.origin, &local);
        leg.session.answered(&local, &negotiated);
        leg.offer = None;
        call.talking(now);
        let (peer, is_machine) = (call.peer.clone(), call.message.is_some());
        let answer = answer.into_bytes();
        self.replace(id);
        if !is_machine {
            self.hold_others(id);
        }
        self.sip_command(account_id, Command::Answer { leg: leg_id, answer });
        self.talk(id, account_id, agent, negotiated);
        self.event(Event::Answered { call: id, peer });
    }

    /// Begins a call's sound.
    fn talk(&mut self, id: CallId, account: AccountId, agent: IceAgent, negotiated: Negotiated) {
        // A call takes the devices.
        self.test_sound(None);
        let is_held = self.calls.running.get(&id).is_some_and(|call| call.is_held);
        let direction = if is_held { sdp::Direction::Inactive } else { negotiated.direction };
        let negotiated = Negotiated { direction, ..negotiated };
        let Some(account) = self.accounts.get(account) else { return };
        let Some(within) = self.calls.running.get(&id).map(Running::time_for_sound) else { return };
        let who = self.who(id);
        let candidates = Candidates::of(&agent, &negotiated);
        let setup = TalkSetup {
            agent,
            negotiated,
            local: account.local.clone(),
            who,
            muted: self.calls.is_muted(id),
            within,
            seed: os_seed(),
        };
        let reports = self.reports.clone();
        let talk = Talk::start(setup, move |report| {
            // Figures come again; what is final is not lost unless the engine has ended.
            let is_figures =
                matches!(report, Some(TalkReport::Speech(SpeechReport::Statistics(_))));
            let report = Report::Call(id, CallReports::Talk(report));
            if let Err(TrySendError::Full(report)) = reports.try_send(report)
                && !is_figures
            {
                let reports = reports.clone();
                tokio::spawn(async move { reports.send(report).await });
            }
        });
        if let Some(call) = self.calls.running.get_mut(&id) {
            call.talk = Some(talk);
            call.candidates = candidates;
        }
    }

    fn sip_event(&mut self, account: AccountId, event: sip::Event) {
        match event {
            sip::Event::Incoming { leg, flow, from, offer, replaces, referred_by, .. } => {
                let by = referred_by.map(|by| by.to_string());
                let from = from.to_string();
                self.incoming(account, (leg, flow), &from, offer, (replaces, by));
            }
            sip::Event::Ringing { leg } => {
                let now = self.clock.now();
                if let Some((id, call)) = self.calls.of_leg(account, leg) {
                    call.heard(leg);
                    let elapsed_ms = call.elapsed_ms(now);
                    call.report.ringing_ms.get_or_insert(elapsed_ms);
                    if matches!(call.phase, Phase::Dialling(_)) {
                        call.phase = Phase::Ringing;
                        self.tell_referrer(id, rsip::StatusCode::Ringing);
                    }
                }
            }
            sip::Event::Answered { leg, answer } => self.answered(account, leg, answer),
            sip::Event::Detached { leg } => {
                if let Some((id, call)) = self.calls.of_leg(account, leg)
                    && call.is_moving
                {
                    return self.connect_again(id, leg);
                }
                self.leg_ended(account, leg, sip::End::Failed(sip::Failure::FlowLost));
                self.sip_command(account, Command::HangUp { leg, reason: None });
            }
            sip::Event::Ended { leg, end } => self.leg_ended(account, leg, end),
            sip::Event::Refused {
                claimed: Some(claimed),
                status: rsip::StatusCode::Forbidden,
                ..
            } => {
                let message = format!(
                    "A call was refused: the caller says to be {claimed}, but can't prove it."
                );
                self.event(Event::Error { message });
            }
            sip::Event::Referred { leg, to, replaces, .. } => {
                self.referred(account, leg, &to, replaces);
            }
            sip::Event::Transferring { leg, status } => self.transferring(account, leg, &status),
            sip::Event::Reoffered { leg, offer } => self.reoffered(account, leg, offer),
            sip::Event::Changed { leg, answer } => self.changed(account, leg, answer),
            sip::Event::Unchanged { leg, again_after } => {
                self.unchanged(account, leg, again_after);
            }
            sip::Event::Trying { leg } => {
                if let Some((_, call)) = self.calls.of_leg(account, leg) {
                    call.heard(leg);
                }
            }
            sip::Event::Message { leg, flow, from, text } => {
                self.message_arrived(account, (leg, flow), &from, &text);
            }
            sip::Event::MessageOver { leg, receipt } => self.message_over(account, leg, &receipt),
            // Nobody registers with a peer of an overlay.
            sip::Event::Registered { .. } | sip::Event::Unregistered { .. } => {}
            sip::Event::Acked { .. } | sip::Event::Refused { .. } => {}
        }
    }

    fn incoming(
        &mut self,
        account_id: AccountId,
        (leg, flow): (LegId, FlowId),
        peer: &str,
        offer: Option<Vec<u8>>,
        (replaces, by): (Option<LegId>, Option<String>),
    ) {
        let Some(judgement) = self.judge_flow(account_id, flow, None) else { return };
        let domain = peer.rsplit_once('@').map_or(peer, |(_, domain)| domain);
        let is_domain_unverified = self.is_domain_unverified(account_id, domain);
        let is_known = replaces.is_some();
        if self.turns_away((account_id, leg), peer, judgement.is_refused, is_known) {
            return;
        }
        let is_knocking = self.knocks(peer) && !is_known;
        let text = offer.and_then(|o| String::from_utf8(o).ok());
        let Some(Ok(offer)) = text.map(|text| Offer::parse(&text)) else {
            let status = rsip::StatusCode::NotAcceptableHere;
            return self.sip_command(account_id, Command::Reject { leg, status });
        };
        let Some(id) = self.begin_incoming(account_id, peer) else { return };
        let session = Session::new(self.flows.device(flow), self.rng.u64());
        if let Some(call) = self.calls.running.get_mut(&id) {
            (call.verified, call.unproven) = (judgement.verified, judgement.unproven);
            call.is_domain_unverified = is_domain_unverified;
            (call.transferred_by, call.is_knocking) = (by, is_knocking);
            call.replaces = replaces.map(|leg| (account_id, leg));
            let new = Leg {
                account: account_id,
                peer: peer.to_owned(),
                verified: judgement.verified,
                is_domain_unverified,
                agent: None,
                is_heard: true,
                local: None,
                offer: Some(offer),
                session,
            };
            call.legs.insert(leg, new);
        }
        self.sip_command(account_id, Command::Ring { leg });
        self.event(Event::Incoming { call: id, peer: peer.to_owned() });
        self.gather(id, account_id, leg, IceRole::Controlled);
        let is_at_once = self.answers_at_once(peer) || self.may_replace(id);
        self.meet(id, is_at_once);
    }

    /// Finds our candidates, while the phone rings or when the other side has moved.
    pub(super) fn gather(&self, id: CallId, account: AccountId, leg: LegId, role: IceRole) {
        let Some(account) = self.accounts.get(account) else { return };
        let agents = account.node.agents().clone();
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let agent = agents.take(role).await;
            let report = Report::Call(id, CallReports::Candidates(leg, Box::new(agent)));
            // The engine has ended otherwise.
            let _ = reports.send(report).await;
        });
    }

    fn answered(&mut self, account: AccountId, leg: LegId, answer: Option<Vec<u8>>) {
        let now = self.clock.now();
        let hang_up = |leg| Command::HangUp { leg, reason: Some(Reason::completed_elsewhere()) };
        let Some((id, call)) = self.calls.of_leg(account, leg) else { return };
        // The provisional responses may be lost.
        call.heard(leg);
        let answer = answer.and_then(|a| String::from_utf8(a).ok()).unwrap_or_default();
        let state = call.legs.get_mut(&leg).and_then(|l| Some((l.agent.take()?, l.local.take()?)));
        let Some((agent, local)) = state.filter(|_| call.phase != Phase::Talking) else {
            // Two devices were answered at once: the first one has the call.
            call.legs.remove(&leg);
            return self.sip_command(account, hang_up(leg));
        };
        let negotiated = match sdp::accept(&local, &answer) {
            Ok(negotiated) => negotiated,
            Err(error) => {
                let sentence = SoundFailure::Description(error).sentence(&call.peer);
                self.hang_up_legs(id, Some(Reason::sip(488, "no common media")));
                return self.end_call(id, sentence);
            }
        };
        call.chosen(leg);
        call.talking(now);
        if let Some(leg) = call.legs.get_mut(&leg) {
            leg.session.accepted(&local, &negotiated);
        }
        let peer = call.peer.clone();
        let others: Vec<_> = call.legs.extract_if(.., |other, _| *other != leg).collect();
        for (other, Leg { account, .. }) in others {
            self.sip_command(account, hang_up(other));
        }
        self.tell_referrer(id, rsip::StatusCode::OK);
        self.hold_others(id);
        self.talk(id, account, agent, negotiated);
        self.event(Event::Answered { call: id, peer });
    }

    fn leg_ended(&mut self, account: AccountId, leg: LegId, end: sip::End) {
        let Some((id, call)) = self.calls.of_leg(account, leg) else { return };
        let talked = call.phase == Phase::Talking;
        if talked || call.direction == Direction::Incoming {
            let sentence = words::end(&end, &call.peer, talked);
            call.legs.remove(&leg);
            self.end_call(id, sentence);
        } else {
            self.leg_failed(id, leg, end);
        }
    }

    /// What the certificate of a flow says of the name in it.
    pub(super) fn judge_flow(
        &mut self,
        account: AccountId,
        flow: FlowId,
        call: Option<CallId>,
    ) -> Option<Judgement> {
        let overlay = self.accounts.get(account)?.overlay().to_owned();
        let certificate = self.flows.open.get(&flow)?.certificate.clone();
        Some(self.judge(&overlay, &certificate, call))
    }
}
