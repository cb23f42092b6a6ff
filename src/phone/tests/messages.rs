//! Conversations between phones.

use super::forwarding::Overlay;
use super::*;
use crate::phone::{
    Contact, ContactJob, Delivery, HistoryEntry, Message, MessageId, MessageJob, Obstacle,
    Whereabouts,
};

impl Phone {
    fn write(&self, to: &str, text: &str) {
        let (to, text) = (to.to_owned(), text.to_owned());
        self.send(Command::Messages(MessageJob::Write { to, text }));
    }

    /// The next text that arrives, and whether it knocks.
    async fn reads(&mut self) -> (String, bool) {
        self.event(|e| match e {
            Event::Message { text, is_knocking, .. } => Some((text.clone(), *is_knocking)),
            _ => None,
        })
        .await
    }

    /// What becomes of the next text but that it waits.
    async fn outcome(&mut self) -> (MessageId, Delivery) {
        self.event(|e| match e {
            Event::Delivery { delivery: Delivery::Waiting, .. } => None,
            Event::Delivery { id, delivery, .. } => Some((*id, *delivery)),
            _ => None,
        })
        .await
    }

    fn texts(&self, peer: &str) -> Vec<Message> {
        let snapshot = self.handle.snapshot();
        snapshot.conversation(peer).map(|c| c.messages.clone()).unwrap_or_default()
    }

    fn has_knocking(&self, peer: &str) -> bool {
        self.handle.snapshot().conversation(peer).is_some_and(|c| c.is_knocking)
    }
}

/// Both sides have the same conversation, in which a stranger knocks until they are answered; the
/// way back is quick, for a connection is there.
#[tokio::test]
async fn two_write_to_each_other() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    bob.write("alice", "Hello\u{202e} Alice");
    assert_eq!(alice.reads().await, ("Hello Alice".to_owned(), true));
    assert_eq!(bob.outcome().await.1, Delivery::Delivered);
    alice.until("it is listed", |s| s.conversations.len() == 1).await;
    assert!(alice.has_knocking("bob@one.example"));
    assert_eq!(alice.handle.snapshot().unread(), 0, "strangers are not counted");
    alice.write("bob", "Hello Bob");
    assert_eq!(bob.reads().await, ("Hello Bob".to_owned(), false), "he has written first");
    assert_eq!(alice.outcome().await.1, Delivery::Delivered);
    assert!(!alice.has_knocking("bob@one.example"), "she has answered");
    bob.write("alice", "How are you?");
    assert!(!alice.reads().await.1);
    alice.until("it is new", |s| s.unread() == 1).await;
    alice.send(Command::Messages(MessageJob::Read("bob@one.example".into())));
    alice.until("it was seen", |s| s.unread() == 0).await;
    let texts = |phone: &Phone, peer: &str| -> Vec<String> {
        phone.texts(peer).into_iter().map(|message| message.text).collect()
    };
    let said = ["Hello Alice", "Hello Bob", "How are you?"];
    assert_eq!(texts(&alice, "bob@one.example"), said);
    assert_eq!(texts(&bob, "alice@one.example"), said);
    alice.send(Command::Messages(MessageJob::Forget("bob@one.example".into())));
    alice.until("it is forgotten", |s| s.conversations.is_empty()).await;
}

/// Whoever is blocked is told that their texts are not wanted, and can send them again once that
/// has changed.
#[tokio::test]
async fn blocked_names_cannot_write() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let contact = |is_blocked| {
        let aor = "bob@one.example".to_owned();
        Command::Contacts(ContactJob::Save(Contact { aor, is_blocked, ..Contact::default() }))
    };
    alice.send(contact(true));
    alice.until("he is blocked", |s| s.contacts.iter().any(|c| c.is_blocked)).await;
    bob.write("alice", "Let me in");
    let (id, delivery) = bob.outcome().await;
    assert_eq!(delivery, Delivery::Refused { status: 603 });
    assert!(alice.handle.snapshot().conversations.is_empty());
    alice.send(contact(false));
    alice.until("he is not", |s| s.contacts.iter().all(|c| !c.is_blocked)).await;
    bob.send(Command::Messages(MessageJob::Again(id)));
    assert_eq!(alice.reads().await, ("Let me in".to_owned(), false), "he is a contact");
    assert_eq!(bob.outcome().await, (id, Delivery::Delivered));
}

/// What is written to somebody who is away waits, with the reason, until it is taken back or they
/// come; it survives a restart, and what was taken back does not arrive.
#[tokio::test]
async fn what_waits_is_kept_or_taken_back() {
    let (overlay, mut alice) = Overlay::new().await;
    alice.write("bob", "first");
    alice.write("bob", "second");
    let peer = "bob@one.example";
    let obstacle = |s: &Snapshot| s.conversation(peer).and_then(|c| c.obstacle);
    alice.until("a reason", |s| obstacle(s) == Some(Obstacle::Unregistered)).await;
    let first = alice.texts(peer)[0].id;
    alice.send(Command::Messages(MessageJob::Cancel(first)));
    assert_eq!(alice.outcome().await, (first, Delivery::Cancelled));
    let mut bob = overlay.device("bob").await;
    assert_eq!(bob.reads().await.0, "second");
    assert_eq!(alice.outcome().await.1, Delivery::Delivered);
    alice.until("nothing is in the way", |s| obstacle(s).is_none()).await;
    assert_eq!(bob.texts("alice@one.example").len(), 1);
}

/// A stranger leaves some texts, and more once the first were seen; nothing is lost.
#[tokio::test]
async fn strangers_leave_no_more_than_some_texts() {
    let (overlay, mut alice) = Overlay::new().await;
    let bob = overlay.device("bob").await;
    for number in 0..10 {
        bob.write("alice", &number.to_string());
    }
    for number in 0..8 {
        assert_eq!(alice.reads().await, (number.to_string(), true));
    }
    let mut bob = bob;
    let in_the_way = |s: &Snapshot| s.conversations.iter().any(|c| c.obstacle.is_some());
    bob.until("the ninth is not taken", in_the_way).await;
    alice.send(Command::Messages(MessageJob::Read("bob@one.example".into())));
    assert_eq!(alice.reads().await.0, "8");
    assert_eq!(alice.reads().await.0, "9");
}

/// Whoever has talked to us does not knock, and calls and texts have the same history of names.
#[tokio::test]
async fn whoever_has_talked_does_not_knock() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    bob.write("alice", "before");
    assert!(alice.reads().await.1);
    bob.send(Command::Dial("alice".into()));
    let call = alice.rings().await;
    alice.send(Command::Answer(call));
    bob.talks().await;
    alice.send(Command::HangUp(call));
    alice.over().await;
    let talked = |s: &Snapshot| s.history.iter().any(|entry: &HistoryEntry| entry.answered);
    alice.until("they have talked", talked).await;
    assert!(!alice.has_knocking("bob@one.example"));
    bob.write("alice", "after");
    assert_eq!(alice.reads().await, ("after".to_owned(), false));
}

/// Somebody is there as long as a device answers, and not registered once they have left or do not
/// want to be seen; then they can still write.
#[tokio::test]
async fn whereabouts_are_what_was_found() {
    let (overlay, mut alice) = Overlay::new().await;
    let mut bob = overlay.device("bob").await;
    let peer = "bob@one.example";
    let is = |s: &Snapshot, state| s.whereabouts.get(peer) == Some(&state);
    alice.send(Command::LookFor(vec![peer.into(), "carol@one.example".into()]));
    alice.until("he is there", |s| is(s, Whereabouts::Here)).await;
    let carol = |s: &Snapshot| s.whereabouts.get("carol@one.example").copied();
    alice.until("she is not", |s| carol(s) == Some(Whereabouts::Unregistered)).await;

    bob.send(Command::Configure(Box::new(Settings { is_unlisted: true, ..Settings::default() })));
    let seen = |s: &Snapshot| states(s) == [("one.example", true)];
    bob.until("he is unseen", |s| !seen(s)).await;
    bob.write("alice", "I am not here");
    assert_eq!(alice.reads().await.0, "I am not here");
    assert_eq!(
        alice.fails("bob").await,
        format!("{peer} was not found: nobody with this name is in the overlay now.")
    );
    bob.send(Command::Configure(Box::default()));
    bob.until("he is seen again", seen).await;
    alice.send(Command::Dial("bob".into()));
    bob.rings().await;
}
