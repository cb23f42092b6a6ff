//! Answers given lately, so that a request that comes twice gets the same one (RFC 6940 §6.2.1).

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use ring::digest::{Context, SHA256};

use crate::base::{Instant, NodeId, TransactionId};

/// What makes two requests the same: who signed them, their transaction, and what they say
/// (T-62).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKey([u8; 16]);

impl RequestKey {
    /// The key of a request with these contents, as they were signed.
    pub fn new(signer: NodeId, transaction_id: TransactionId, contents: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&transaction_id.0.to_be_bytes());
        context.update(&[signer.as_bytes().len() as u8]);
        context.update(signer.as_bytes());
        context.update(contents);
        let mut short = [0; 16];
        short.copy_from_slice(&context.finish().as_ref()[..16]);
        Self(short)
    }
}

/// What is known of a request that comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: it is new.
    New,
    /// It is being worked on; its answer will go out.
    InProgress,
    /// It has been answered with this payload.
    Answered(Bytes),
}

/// Answers of the last 15 seconds, the oldest first: few enough to look at all of them.
#[derive(Debug, Default)]
pub struct AnswerCache {
    answers: VecDeque<(Instant, RequestKey, Option<Answer>)>,
}

/// An answer without our own certificate, which is half of most.
#[derive(Debug)]
struct Answer {
    rest: Box<[u8]>,
    /// Where the certificate was, if it was there.
    gap: Option<u32>,
}

impl AnswerCache {
    /// How many requests are remembered, and at most.
    pub fn load(&self) -> (usize, usize) {
        (self.answers.len(), ANSWERS_MAX)
    }

    /// Looks a request up and notes it as being worked on if it is new. `certificate` is ours, in
    /// DER.
    pub fn begin(&mut self, now: Instant, key: RequestKey, certificate: &[u8]) -> Seen {
        self.expire(now);
        match self.answers.iter().rev().find(|(_, known, _)| *known == key) {
            Some((_, _, Some(answer))) => Seen::Answered(answer.payload(certificate)),
            Some((_, _, None)) => Seen::InProgress,
            None => {
                while self.answers.len() >= ANSWERS_MAX {
                    self.answers.pop_front();
                }
                self.answers.push_back((now, key, None));
                Seen::New
            }
        }
    }

    /// Keeps the answer to a request that is being worked on.
    pub fn finish(&mut self, key: RequestKey, payload: &[u8], certificate: &[u8]) {
        let known = self.answers.iter_mut().rev().find(|(_, known, _)| *known == key);
        if let Some((_, _, answer)) = known {
            *answer = Some(Answer::new(payload, certificate));
        }
    }

    /// Forgets what is too old to be repeated.
    pub fn expire(&mut self, now: Instant) {
        let is_old = |at: Instant| now.saturating_since(at) >= REQUEST_LIFE;
        while self.answers.pop_front_if(|(at, ..)| is_old(*at)).is_some() {}
        // Most nodes are asked seldom, and then by many at once.
        if self.answers.capacity() > PLACES_KEPT.max(4 * self.answers.len()) {
            self.answers.shrink_to(2 * self.answers.len());
        }
    }
}

impl Answer {
    fn new(payload: &[u8], certificate: &[u8]) -> Self {
        let length = certificate.len().max(1);
        let gap = payload.windows(length).position(|window| window == certificate);
        match gap.and_then(|at| Some((at, u32::try_from(at).ok()?))) {
            Some((at, gap)) => {
                let rest = [&payload[..at], &payload[at + length..]].concat();
                Self { rest: rest.into(), gap: Some(gap) }
            }
            None => Self { rest: payload.into(), gap: None },
        }
    }

    fn payload(&self, certificate: &[u8]) -> Bytes {
        let Some(gap) = self.gap else { return Bytes::copy_from_slice(&self.rest) };
        let (before, after) = self.rest.split_at(gap as usize);
        [before, certificate, after].concat().into()
    }
}

// limits

/// The maximum request lifetime (RFC 6940 §6.2.1).
const REQUEST_LIFE: Duration = Duration::from_secs(15);
/// Answers kept at a time: 17 new requests each second, of those kinds that are not simply
/// processed again.
const ANSWERS_MAX: usize = 256;
/// Places for answers that are kept when there are none.
const PLACES_KEPT: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u64) -> RequestKey {
        RequestKey::new(NodeId::from_u128(1), TransactionId(id), b"contents")
    }

    /// R6940-6.2.1-07: the same answer for 15 s, and for the same request only.
    #[test]
    fn an_answer_is_kept_for_the_life_of_a_request() {
        let mut cache = AnswerCache::default();
        let at = |ms| Instant::ORIGIN + Duration::from_millis(ms);
        assert_eq!(cache.begin(at(0), key(1), OWN), Seen::New);
        assert_eq!(cache.begin(at(1), key(1), OWN), Seen::InProgress);
        cache.finish(key(1), b"answer", OWN);
        let same = Seen::Answered(Bytes::from_static(b"answer"));
        assert_eq!(cache.begin(at(14_999), key(1), OWN), same);
        let other = RequestKey::new(NodeId::from_u128(1), TransactionId(1), b"others");
        assert_eq!(cache.begin(at(2), other, OWN), Seen::New);
        assert_eq!(cache.begin(at(15_000), key(1), OWN), Seen::New);
    }

    /// Our certificate, which is left out, comes back to where it was.
    #[test]
    fn an_answer_is_given_again_as_it_was() {
        let payloads: [&[u8]; 4] = [b"answer: own, signed", b"own", b"ow", b""];
        for (id, payload) in (0..).zip(payloads) {
            let mut cache = AnswerCache::default();
            cache.begin(Instant::ORIGIN, key(id), OWN);
            cache.finish(key(id), payload, OWN);
            let again = Seen::Answered(Bytes::copy_from_slice(payload));
            assert_eq!(cache.begin(Instant::ORIGIN, key(id), OWN), again);
        }
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = AnswerCache::default();
        for id in 0..5000 {
            cache.begin(Instant::ORIGIN, key(id), OWN);
        }
        assert_eq!(cache.load(), (ANSWERS_MAX, ANSWERS_MAX));
        cache.expire(Instant::ORIGIN + REQUEST_LIFE);
        assert!(cache.load().0 == 0 && cache.answers.capacity() <= PLACES_KEPT);
    }

    const OWN: &[u8] = b"own";
}
