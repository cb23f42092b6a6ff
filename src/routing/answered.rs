//! Answers given lately, so that a request that comes twice gets the same one (RFC 6940 §6.2.1).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use ring::digest::{SHA256, digest};

use crate::base::{Instant, NodeId, TransactionId};

/// What makes two requests the same: who signed them, their transaction, and what they say
/// (T-62).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestKey {
    signer: NodeId,
    transaction_id: TransactionId,
    digest: [u8; 8],
}

impl RequestKey {
    /// The key of a request with these contents, as they were signed.
    pub fn new(signer: NodeId, transaction_id: TransactionId, contents: &[u8]) -> Self {
        let mut short = [0; 8];
        short.copy_from_slice(&digest(&SHA256, contents).as_ref()[..8]);
        Self { signer, transaction_id, digest: short }
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

/// Answers of the last 15 seconds.
#[derive(Debug, Default)]
pub struct AnswerCache {
    answers: BTreeMap<RequestKey, Option<Bytes>>,
    order: VecDeque<(Instant, RequestKey)>,
}

impl AnswerCache {
    /// How many requests are remembered, and at most.
    pub fn load(&self) -> (usize, usize) {
        (self.order.len(), ANSWERS_MAX)
    }

    /// Looks a request up and notes it as being worked on if it is new.
    pub fn begin(&mut self, now: Instant, key: RequestKey) -> Seen {
        self.expire(now);
        match self.answers.get(&key) {
            Some(Some(answer)) => Seen::Answered(answer.clone()),
            Some(None) => Seen::InProgress,
            None => {
                while self.order.len() >= ANSWERS_MAX {
                    self.forget_oldest();
                }
                self.answers.insert(key, None);
                self.order.push_back((now, key));
                Seen::New
            }
        }
    }

    /// Keeps the answer to a request that is being worked on.
    pub fn finish(&mut self, key: RequestKey, payload: Bytes) {
        if let Some(answer) = self.answers.get_mut(&key) {
            *answer = Some(payload);
        }
    }

    /// Forgets what is too old to be repeated.
    pub fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now.saturating_since(*at) >= REQUEST_LIFE) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.answers.remove(&key);
        }
        // Most nodes are asked seldom, and then by many at once.
        if self.order.is_empty() {
            self.order = VecDeque::new();
        }
    }
}

// limits

/// The maximum request lifetime (RFC 6940 §6.2.1).
const REQUEST_LIFE: Duration = Duration::from_secs(15);
/// Answers kept at a time: 17 new requests each second, of those kinds that are not simply
/// processed again.
const ANSWERS_MAX: usize = 256;

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
        assert_eq!(cache.begin(at(0), key(1)), Seen::New);
        assert_eq!(cache.begin(at(1), key(1)), Seen::InProgress);
        cache.finish(key(1), Bytes::from_static(b"answer"));
        assert_eq!(cache.begin(at(14_999), key(1)), Seen::Answered(Bytes::from_static(b"answer")));
        let other = RequestKey::new(NodeId::from_u128(1), TransactionId(1), b"others");
        assert_eq!(cache.begin(at(2), other), Seen::New);
        assert_eq!(cache.begin(at(15_000), key(1)), Seen::New);
    }

    #[test]
    fn the_cache_is_bounded() {
        let mut cache = AnswerCache::default();
        for id in 0..5000 {
            cache.begin(Instant::ORIGIN, key(id));
        }
        assert_eq!((cache.answers.len(), cache.order.len()), (ANSWERS_MAX, ANSWERS_MAX));
    }
}
