//! Client transactions (RFC 3261 §17.1).

use std::time::Duration;

use bytes::Bytes;

use super::{Effect, GIVE_UP, Notice, T1, T2, T4};
use crate::base::Instant;

/// The INVITE client transaction (RFC 3261 Figure 5 with RFC 6026 §7.2).
#[derive(Clone, Debug)]
pub struct InviteClient(InviteState);

#[derive(Clone, Debug)]
enum InviteState {
    /// Timers A (`resend`) and B (`give_up`).
    Calling {
        invite: Bytes,
        resend: Instant,
        interval: Duration,
        give_up: Instant,
    },
    /// Without a timer: how long a phone may ring is the user agent's decision.
    Proceeding,
    /// Timer D.
    Completed {
        ack: Bytes,
        until: Instant,
    },
    /// Timer M.
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl InviteClient {
    /// Sends the INVITE.
    pub fn start(now: Instant, invite: Bytes) -> (Self, Effect) {
        let effect = Effect::send(&invite);
        let state =
            InviteState::Calling { invite, resend: now + T1, interval: T1, give_up: now + GIVE_UP };
        (Self(state), effect)
    }

    /// Takes a response; `ack` builds the ACK for a refusal (RFC 3261 §17.1.1.3). The ACK for a
    /// 2xx is the user agent's.
    pub fn on_response(&mut self, now: Instant, code: u16, ack: impl FnOnce() -> Bytes) -> Effect {
        match (&self.0, code) {
            (InviteState::Calling { .. } | InviteState::Proceeding, 100..200) => {
                self.0 = InviteState::Proceeding;
                Effect::notice(Notice::Response)
            }
            (InviteState::Calling { .. } | InviteState::Proceeding, 200..300) => {
                self.0 = InviteState::Accepted { until: now + GIVE_UP };
                Effect::notice(Notice::Response)
            }
            (InviteState::Calling { .. } | InviteState::Proceeding, _) => {
                let ack = ack();
                self.0 = InviteState::Completed { ack: ack.clone(), until: now + GIVE_UP };
                Effect { send: Some(ack), notice: Some(Notice::Response) }
            }
            (InviteState::Completed { ack, .. }, 300..) => Effect::send(ack),
            (InviteState::Accepted { .. }, 200..300) => Effect::notice(Notice::Response),
            _ => Effect::default(),
        }
    }

    /// Fires what is due.
    pub fn on_timer(&mut self, now: Instant) -> Effect {
        match &mut self.0 {
            InviteState::Calling { give_up, .. } if *give_up <= now => {
                self.0 = InviteState::Terminated;
                Effect::notice(Notice::TimedOut)
            }
            InviteState::Calling { invite, resend, interval, .. } if *resend <= now => {
                *interval *= 2;
                *resend = now + *interval;
                Effect::send(invite)
            }
            InviteState::Completed { until, .. } | InviteState::Accepted { until }
                if *until <= now =>
            {
                self.0 = InviteState::Terminated;
                Effect::default()
            }
            _ => Effect::default(),
        }
    }

    /// When [`Self::on_timer`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            InviteState::Calling { resend, give_up, .. } => Some(*resend.min(give_up)),
            InviteState::Completed { until, .. } | InviteState::Accepted { until } => Some(*until),
            InviteState::Proceeding | InviteState::Terminated => None,
        }
    }

    /// Whether the transaction is over and must be forgotten.
    pub fn is_terminated(&self) -> bool {
        matches!(self.0, InviteState::Terminated)
    }

    /// Whether a final response is still awaited.
    pub fn is_pending(&self) -> bool {
        matches!(self.0, InviteState::Calling { .. } | InviteState::Proceeding)
    }
}

/// The client transaction of every other method (RFC 3261 Figure 6).
#[derive(Clone, Debug)]
pub struct OtherClient(OtherState);

#[derive(Clone, Debug)]
enum OtherState {
    /// Timers E (`resend`) and F (`give_up`), in the states Trying and Proceeding.
    Pending {
        request: Bytes,
        resend: Instant,
        interval: Duration,
        give_up: Instant,
    },
    /// Timer K.
    Completed {
        until: Instant,
    },
    Terminated,
}

impl OtherClient {
    /// Sends the request.
    pub fn start(now: Instant, request: Bytes) -> (Self, Effect) {
        let effect = Effect::send(&request);
        let state =
            OtherState::Pending { request, resend: now + T1, interval: T1, give_up: now + GIVE_UP };
        (Self(state), effect)
    }

    /// Takes a response.
    pub fn on_response(&mut self, now: Instant, code: u16) -> Effect {
        match &mut self.0 {
            OtherState::Pending { interval, .. } if code < 200 => {
                // In Proceeding, timer E is always T2.
                *interval = T2;
                Effect::notice(Notice::Response)
            }
            OtherState::Pending { .. } => {
                self.0 = OtherState::Completed { until: now + T4 };
                Effect::notice(Notice::Response)
            }
            _ => Effect::default(),
        }
    }

    /// Fires what is due.
    pub fn on_timer(&mut self, now: Instant) -> Effect {
        match &mut self.0 {
            OtherState::Pending { give_up, .. } if *give_up <= now => {
                self.0 = OtherState::Terminated;
                Effect::notice(Notice::TimedOut)
            }
            OtherState::Pending { request, resend, interval, .. } if *resend <= now => {
                *interval = (*interval * 2).min(T2);
                *resend = now + *interval;
                Effect::send(request)
            }
            OtherState::Completed { until } if *until <= now => {
                self.0 = OtherState::Terminated;
                Effect::default()
            }
            _ => Effect::default(),
        }
    }

    /// When [`Self::on_timer`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            OtherState::Pending { resend, give_up, .. } => Some(*resend.min(give_up)),
            OtherState::Completed { until } => Some(*until),
            OtherState::Terminated => None,
        }
    }

    /// Whether the transaction is over and must be forgotten.
    pub fn is_terminated(&self) -> bool {
        matches!(self.0, OtherState::Terminated)
    }

    /// Whether a final response is still awaited.
    pub fn is_pending(&self) -> bool {
        matches!(self.0, OtherState::Pending { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    /// Fires every timer until the machine ends: when it sent, and when it gave up, in ms.
    fn run(
        mut deadline: impl FnMut() -> Option<Instant>,
        mut fire: impl FnMut(Instant) -> Effect,
    ) -> Vec<(u64, bool)> {
        let mut log = Vec::new();
        while let Some(due) = deadline() {
            let effect = fire(due);
            if effect != Effect::default() {
                log.push((due.as_millis(), effect.notice == Some(Notice::TimedOut)));
            }
        }
        log
    }

    #[test]
    fn an_invite_is_sent_seven_times_in_32_seconds() {
        let (machine, effect) = InviteClient::start(at(0), Bytes::from_static(b"INVITE"));
        assert_eq!(effect.send.as_deref(), Some(b"INVITE".as_slice()));
        let machine = std::cell::RefCell::new(machine);
        let log = run(|| machine.borrow().deadline(), |t| machine.borrow_mut().on_timer(t));
        let sent: Vec<u64> = log.iter().filter(|l| !l.1).map(|l| l.0).collect();
        assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(log.last(), Some(&(32_000, true)));
        assert!(machine.borrow().is_terminated());
    }

    #[test]
    fn other_requests_back_off_to_t2() {
        let (machine, _) = OtherClient::start(at(0), Bytes::from_static(b"BYE"));
        let machine = std::cell::RefCell::new(machine);
        let log = run(|| machine.borrow().deadline(), |t| machine.borrow_mut().on_timer(t));
        let sent: Vec<u64> = log.iter().filter(|l| !l.1).map(|l| l.0).collect();
        let expected = [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        assert_eq!(sent, expected);
        assert_eq!(log.last(), Some(&(32_000, true)));
    }

    #[test]
    fn a_refusal_is_acknowledged_each_time_and_told_once() {
        let ack = || Bytes::from_static(b"ACK");
        let (mut machine, _) = InviteClient::start(at(0), Bytes::from_static(b"INVITE"));
        assert_eq!(machine.on_response(at(10), 180, ack).notice, Some(Notice::Response));
        assert_eq!(machine.deadline(), None, "a provisional response stops timers A and B");
        let first = machine.on_response(at(20), 486, ack);
        assert_eq!(first.send.as_deref(), Some(b"ACK".as_slice()));
        assert_eq!(first.notice, Some(Notice::Response));
        let again = machine.on_response(at(30), 486, ack);
        assert_eq!(again.send.as_deref(), Some(b"ACK".as_slice()));
        assert_eq!(again.notice, None);
        assert_eq!(machine.deadline(), Some(at(20 + 32_000)));
        assert_eq!(machine.on_timer(at(32_020)), Effect::default());
        assert!(machine.is_terminated());
    }

    #[test]
    fn every_2xx_reaches_the_core_for_timer_m() {
        let (mut machine, _) = InviteClient::start(at(0), Bytes::from_static(b"INVITE"));
        for ms in [10, 510, 1510] {
            let effect = machine.on_response(at(ms), 200, || unreachable!("the core's ACK"));
            assert_eq!(effect, Effect { send: None, notice: Some(Notice::Response) });
        }
        let _ = machine.on_timer(at(32_010));
        assert!(machine.is_terminated());
    }

    #[test]
    fn a_provisional_response_slows_a_bye_down_and_a_final_one_ends_it() {
        let (mut machine, _) = OtherClient::start(at(0), Bytes::from_static(b"BYE"));
        let _ = machine.on_response(at(10), 100);
        assert!(machine.on_timer(at(500)).send.is_some());
        assert_eq!(machine.deadline(), Some(at(4500)));
        assert_eq!(machine.on_response(at(600), 200).notice, Some(Notice::Response));
        assert_eq!(machine.on_response(at(700), 200), Effect::default());
        let _ = machine.on_timer(at(5600));
        assert!(machine.is_terminated());
    }
}
