//! Server transactions (RFC 3261 §17.2).

use std::time::Duration;

use bytes::Bytes;

use super::{Effect, GIVE_UP, Notice, T1, T2, T4};
use crate::base::Instant;

/// The INVITE server transaction (RFC 3261 Figure 7 with RFC 6026 §7.1).
#[derive(Clone, Debug)]
pub struct InviteServer(InviteState);

#[derive(Clone, Debug)]
enum InviteState {
    Proceeding {
        last: Option<Bytes>,
    },
    /// Timers G (`resend`) and H (`give_up`).
    Completed {
        response: Bytes,
        resend: Instant,
        interval: Duration,
        give_up: Instant,
    },
    /// Timer I.
    Confirmed {
        until: Instant,
    },
    /// Timer L. The 2xx is the user agent's to repeat.
    Accepted {
        until: Instant,
    },
    Terminated,
}

impl InviteServer {
    /// The transaction of an INVITE that has just come.
    pub fn start() -> Self {
        Self(InviteState::Proceeding { last: None })
    }

    /// Sends a response of the transaction's user. After a final one there is no other.
    pub fn respond(&mut self, now: Instant, code: u16, response: Bytes) -> Effect {
        let InviteState::Proceeding { last } = &mut self.0 else { return Effect::default() };
        let effect = Effect::send(&response);
        match code {
            100..200 => *last = Some(response),
            200..300 => self.0 = InviteState::Accepted { until: now + GIVE_UP },
            _ => {
                self.0 = InviteState::Completed {
                    response,
                    resend: now + T1,
                    interval: T1,
                    give_up: now + GIVE_UP,
                };
            }
        }
        effect
    }

    /// Takes the INVITE once more.
    pub fn on_request(&self) -> Effect {
        match &self.0 {
            InviteState::Proceeding { last: Some(response) }
            | InviteState::Completed { response, .. } => Effect::send(response),
            _ => Effect::default(),
        }
    }

    /// Takes an ACK; `false` if it is for a 2xx and so for the user agent.
    pub fn on_ack(&mut self, now: Instant) -> bool {
        match self.0 {
            InviteState::Completed { .. } => {
                self.0 = InviteState::Confirmed { until: now + T4 };
                true
            }
            InviteState::Accepted { .. } => false,
            _ => true,
        }
    }

    /// Fires what is due.
    pub fn on_timer(&mut self, now: Instant) -> Effect {
        match &mut self.0 {
            InviteState::Completed { give_up, .. } if *give_up <= now => {
                self.0 = InviteState::Terminated;
                Effect::notice(Notice::TimedOut)
            }
            InviteState::Completed { response, resend, interval, .. } if *resend <= now => {
                *interval = (*interval * 2).min(T2);
                *resend = now + *interval;
                Effect::send(response)
            }
            InviteState::Confirmed { until } | InviteState::Accepted { until } if *until <= now => {
                self.0 = InviteState::Terminated;
                Effect::default()
            }
            _ => Effect::default(),
        }
    }

    /// When [`Self::on_timer`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            InviteState::Completed { resend, give_up, .. } => Some(*resend.min(give_up)),
            InviteState::Confirmed { until } | InviteState::Accepted { until } => Some(*until),
            InviteState::Proceeding { .. } | InviteState::Terminated => None,
        }
    }

    /// Whether the transaction is over and must be forgotten.
    pub fn is_terminated(&self) -> bool {
        matches!(self.0, InviteState::Terminated)
    }

    /// Whether no final response has been sent.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.0, InviteState::Proceeding { .. })
    }

    /// Whether we still owe the other side a response, or wait for the ACK of a refusal.
    pub fn is_pending(&self) -> bool {
        matches!(self.0, InviteState::Proceeding { .. } | InviteState::Completed { .. })
    }
}

/// The server transaction of every other method (RFC 3261 Figure 8). We answer such requests at
/// once and never provisionally (RFC 3261 §8.2.6.1), so that it begins in Completed.
#[derive(Clone, Debug)]
pub struct OtherServer {
    response: Bytes,
    /// Timer J.
    until: Instant,
}

impl OtherServer {
    /// Sends the final response.
    pub fn answer(now: Instant, response: Bytes) -> (Self, Effect) {
        let effect = Effect::send(&response);
        (Self { response, until: now + GIVE_UP }, effect)
    }

    /// Takes the request once more.
    pub fn on_request(&self) -> Effect {
        Effect::send(&self.response)
    }

    /// When the transaction is over.
    pub fn deadline(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1000)
    }

    #[test]
    fn a_refusal_is_repeated_until_the_ack() {
        let mut machine = InviteServer::start();
        assert_eq!(machine.on_request(), Effect::default());
        let _ = machine.respond(at(0), 100, Bytes::from_static(b"100"));
        let _ = machine.respond(at(1), 180, Bytes::from_static(b"180"));
        assert_eq!(machine.on_request().send.as_deref(), Some(b"180".as_slice()));
        let _ = machine.respond(at(10), 486, Bytes::from_static(b"486"));
        assert_eq!(machine.on_request().send.as_deref(), Some(b"486".as_slice()));
        let mut sent = Vec::new();
        while sent.len() < 6 {
            let due = machine.deadline().expect("timer G");
            assert_eq!(machine.on_timer(due).send.as_deref(), Some(b"486".as_slice()));
            sent.push(due.as_millis());
        }
        assert_eq!(sent, [510, 1510, 3510, 7510, 11_510, 15_510]);
        assert!(machine.on_ack(at(16_000)));
        assert_eq!(machine.on_request(), Effect::default(), "quiet after the ACK");
        assert_eq!(machine.deadline(), Some(at(21_000)));
        let _ = machine.on_timer(at(21_000));
        assert!(machine.is_terminated());
    }

    #[test]
    fn a_refusal_without_ack_ends_at_timer_h() {
        let mut machine = InviteServer::start();
        let _ = machine.respond(at(0), 603, Bytes::from_static(b"603"));
        let mut last = Effect::default();
        while let Some(due) = machine.deadline() {
            assert!(due <= at(32_000));
            last = machine.on_timer(due);
        }
        assert_eq!(last.notice, Some(Notice::TimedOut));
    }

    #[test]
    fn an_accepted_invite_absorbs_retransmissions_and_passes_the_ack_on() {
        let mut machine = InviteServer::start();
        let _ = machine.respond(at(0), 200, Bytes::from_static(b"200"));
        assert_eq!(machine.on_request(), Effect::default());
        assert!(!machine.on_ack(at(5)));
        assert_eq!(machine.respond(at(6), 486, Bytes::new()), Effect::default());
        assert_eq!(machine.deadline(), Some(at(32_000)));
    }
}
