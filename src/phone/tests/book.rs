//! The user's contacts at work, and what is shown of links and calls.

use super::*;
use crate::phone::{CallStep, Contact, ContactJob, Ending, Imported, StepState};

fn contact(aor: &str, name: &str) -> Contact {
    Contact { aor: aor.into(), name: name.into(), ..Contact::default() }
}

impl Phone {
    async fn contacts(&mut self, job: ContactJob, expected: &[Contact]) {
        self.send(Command::Contacts(job));
        self.until("the contacts change", |s| **s.contacts == *expected).await;
    }
}

/// Contacts are kept in full, go into a file that another phone reads, and survive a restart; what
/// a file has of somebody who is there changes nothing.
#[tokio::test]
async fn contacts_are_kept_and_exchanged() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("people.vcf");
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    let carol = contact("carol@one.example", "Carol");
    alice.contacts(ContactJob::Save(carol.clone()), std::slice::from_ref(&carol)).await;
    alice.send(Command::Contacts(ContactJob::Save(contact("a b", "nobody"))));
    alice.until("it is no name", |s| s.notice.is_some()).await;
    let dora = Contact { is_favourite: true, ..contact("sip:dora@one.example", "Dora; or \\D") };
    let kept = Contact { aor: "dora@one.example".into(), ..dora.clone() };
    alice.contacts(ContactJob::Save(dora), &[carol.clone(), kept.clone()]).await;
    alice.send(Command::Contacts(ContactJob::Export(file.clone())));
    alice.until("it is written", |s| s.saved.as_deref() == Some(&*file)).await;

    let own = contact("carol@one.example", "My Carol");
    bob.contacts(ContactJob::Save(own.clone()), std::slice::from_ref(&own)).await;
    bob.contacts(ContactJob::Import(file), &[own.clone(), kept.clone()]).await;
    let imported = Imported { added: 1, known: 1, ..Imported::default() };
    assert_eq!(bob.handle.snapshot().imported, Some(imported));
    let mut bob = Phone::with(bob.end().await);
    assert_eq!(**bob.handle.snapshot().contacts, [own, kept.clone()]);
    bob.contacts(ContactJob::Remove("carol@one.example".into()), &[kept]).await;
    bob.send(Command::Contacts(ContactJob::Import(folder.path().join("none.vcf"))));
    bob.until("there is no such file", |s| s.notice.is_some()).await;
}

/// Calls from a blocked name do not ring, are no missed ones and take no place on the screen; and
/// the caller's phone knows how far it came.
#[tokio::test]
async fn a_blocked_name_does_not_ring() {
    let papers = tempfile::tempdir().expect("a folder");
    let config = OverlayConfig::self_signed("one.example").expect("a name");
    let document = document(&papers, &config);
    let (mut alice, mut bob) = (Phone::new(), Phone::new());
    let at = alice.found(document.clone(), "alice").await;
    let entrance = Entrance::Document(document);
    bob.send(Command::Join { entrance, user: "bob".into(), bootstrap: vec![at] });
    bob.until("in", |s| states(s) == [("one.example", true)]).await;
    let blocked = Contact { is_blocked: true, ..contact("bob@one.example", "") };
    alice.contacts(ContactJob::Save(blocked.clone()), std::slice::from_ref(&blocked)).await;

    bob.send(Command::Dial("alice".into()));
    alice.until("it is in the list", |s| s.history.len() == 1).await;
    let snapshot = alice.handle.snapshot();
    assert_eq!(snapshot.history[0].ending(), Ending::Refused, "{:?}", snapshot.history);
    assert_eq!(snapshot.calls, []);
    bob.until("it is over", |s| s.history.len() == 1).await;
    let snapshot = bob.handle.snapshot();
    assert_eq!(snapshot.history[0].ending(), Ending::Unanswered, "{:?}", snapshot.history);
    assert_eq!(snapshot.failure, None, "nothing has failed");
    let trace = snapshot.trace.clone().expect("the last call");
    let done = trace.steps().into_iter().filter(|(_, s)| matches!(s, StepState::Done(Some(_))));
    let done: Vec<_> = done.map(|(step, _)| step).collect();
    let (find, path) = ([CallStep::LookUp, CallStep::Ask], [CallStep::Path, CallStep::Secure]);
    assert_eq!(done, [find, path].concat());
    assert_eq!(snapshot.networks["one.example"].links.len(), 1);

    bob.send(Command::Dial("nobody".into()));
    bob.until("it has failed", |s| s.failure.is_some()).await;
    let failure = bob.handle.snapshot().failure.clone().expect("it has");
    assert_eq!((failure.failed, &*failure.peer), (Some(CallStep::LookUp), "nobody@one.example"));

    let free = Contact { is_blocked: false, ..blocked };
    alice.contacts(ContactJob::Save(free.clone()), std::slice::from_ref(&free)).await;
    bob.send(Command::Dial("alice".into()));
    alice.event(|e| matches!(e, Event::Incoming { .. }).then_some(())).await;
}
