//! The page of conversations: what is listed, read, written, taken back and let in.

use std::sync::Arc;

use super::*;
use crate::phone::{
    Contact, ContactJob, Conversation, Delivery, Message, MessageId, MessageJob, Obstacle,
    Whereabouts,
};

fn text(id: i64, text: &str, delivery: Delivery) -> Message {
    let direction = match delivery {
        Delivery::Received => Direction::Incoming,
        _ => Direction::Outgoing,
    };
    let (text, unix_ms, is_domain_unverified) = (text.into(), 0, false);
    Message { id: MessageId(id), direction, text, unix_ms, delivery, is_domain_unverified }
}

fn conversation(peer: &str, messages: Vec<Message>) -> Conversation {
    Conversation { peer: peer.into(), messages, ..Conversation::default() }
}

fn with(conversations: Vec<Conversation>) -> Snapshot {
    let conversations = conversations.into_iter().map(Arc::new).collect::<Vec<_>>();
    Snapshot { conversations: conversations.into(), ..joined() }
}

fn talk() -> Snapshot {
    let texts = vec![text(1, "Hello", Delivery::Received), text(2, "Tea?", Delivery::Waiting)];
    let bob = Conversation { unread: 1, ..conversation("bob@smith", texts) };
    with(vec![bob, conversation("carol@smith", vec![text(3, "Bye", Delivery::Delivered)])])
}

fn job(job: MessageJob) -> Command {
    Command::Messages(job)
}

/// Texts that are new are counted in the rail and the list, and told as read once they are shown.
#[test]
fn conversations_are_listed_and_read() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(talk(), size);
        click(&mut harness, &words::messages_unread(1));
        assert_eq!(commands(&mut backend), [], "the list shows nothing of it whole");
        harness.get_by_label_contains("carol, Bye");
        harness.get_by_label_contains("bob, 1 new, Tea?").click();
        harness.run();
        harness.get_by_label("Hello");
        harness.get_by_label_contains("Waiting");
        assert_eq!(commands(&mut backend), [job(MessageJob::Read("bob@smith".into()))]);
        harness.run();
        assert_eq!(commands(&mut backend), [], "it is said once");
    }
}

/// Enter sends, Shift and Enter do not; what is typed for one person is not sent to another.
#[test]
fn a_text_is_written_and_sent() {
    for size in [WIDE, NARROW] {
        let (mut harness, mut backend) = open(talk(), size);
        harness.state_mut().view.write_to("carol@smith");
        harness.run();
        let field = Role::MultilineTextInput;
        assert!(harness.get_by_role_and_label(field, words::message_text()).is_focused());
        harness.get_by_role_and_label(field, words::message_text()).type_text("See you");
        harness.run();
        harness.key_press_modifiers(Modifiers::SHIFT, Key::Enter);
        harness.run();
        assert_eq!(commands(&mut backend), []);
        harness.get_by_role_and_label(field, words::message_text()).type_text("tomorrow");
        harness.run();
        harness.state_mut().view.write_to("bob@smith");
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(commands(&mut backend), [job(MessageJob::Read("bob@smith".into()))]);
        harness.state_mut().view.write_to("carol@smith");
        harness.run();
        harness.key_press(Key::Enter);
        harness.run();
        let (to, text) = ("carol@smith".into(), "See you\ntomorrow".into());
        assert_eq!(commands(&mut backend), [job(MessageJob::Write { to, text })]);
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(commands(&mut backend), [], "the field is empty again");
    }
}

#[test]
fn somebody_new_is_written_to() {
    let (mut harness, mut backend) = open(with(Vec::new()), WIDE);
    click(&mut harness, words::messages());
    harness.get_by_label(words::no_messages());
    click(&mut harness, words::new_message());
    write(&mut harness, words::message_to(), "do ra");
    harness.key_press(Key::Enter);
    harness.run();
    harness.get_by_label(words::fault_dial_space());
    harness.state_mut().view.talk.to = Some("dora".into());
    harness.run();
    click(&mut harness, words::message_open());
    harness.get_by_role_and_label(Role::MultilineTextInput, words::message_text()).type_text("Hi");
    harness.run();
    click(&mut harness, words::send());
    let (to, text) = ("dora@smith".into(), "Hi".into());
    assert_eq!(commands(&mut backend), [job(MessageJob::Write { to, text })]);
}

/// A contact is one click away from its conversation.
#[test]
fn contacts_are_written_to() {
    let (mut harness, _backend) = open(joined(), WIDE);
    harness.get_by_label_contains("carol, Missed").click();
    harness.run();
    click(&mut harness, &words::write_to("carol"));
    assert!(
        harness.get_by_role_and_label(Role::MultilineTextInput, words::message_text()).is_focused()
    );
}

#[test]
fn what_waits_is_taken_back_and_what_was_refused_is_sent_again() {
    let (mut harness, mut backend) = open(talk(), WIDE);
    harness.state_mut().view.write_to("bob@smith");
    harness.run();
    commands(&mut backend);
    click(&mut harness, words::take_back());
    assert_eq!(commands(&mut backend), [job(MessageJob::Cancel(MessageId(2)))]);
    let refused = vec![text(2, "Tea?", Delivery::Refused { status: 603 })];
    tell(&mut harness, &backend, with(vec![conversation("bob@smith", refused)]));
    harness.get_by_label_contains("Not wanted there");
    click(&mut harness, words::send_again());
    assert_eq!(commands(&mut backend), [job(MessageJob::Again(MessageId(2)))]);
}

/// Why something waits is said in words.
#[test]
fn an_obstacle_is_named() {
    let (mut harness, backend) = open(talk(), WIDE);
    harness.state_mut().view.write_to("bob@smith");
    for (obstacle, said) in [
        (Obstacle::Out, "once you have joined"),
        (Obstacle::Unregistered, "bob isn't there now"),
        (Obstacle::Unreachable, "bob can't be reached now"),
        (Obstacle::Unproven, "bob has another key"),
    ] {
        let waiting = vec![text(2, "Tea?", Delivery::Waiting)];
        let obstacle = Some(obstacle);
        let bob = Conversation { obstacle, ..conversation("bob@smith", waiting) };
        tell(&mut harness, &backend, with(vec![bob]));
        harness.get_by_label_contains(said);
    }
}

/// A stranger's texts are not counted; they are let in or blocked.
#[test]
fn strangers_are_let_in_or_blocked() {
    let texts = vec![text(1, "Buy this", Delivery::Received)];
    let eve = Conversation { unread: 1, is_knocking: true, ..conversation("eve@smith", texts) };
    for (button, is_blocked) in [(words::keep_contact(), false), (words::block(), true)] {
        let (mut harness, mut backend) = open(with(vec![eve.clone()]), WIDE);
        click(&mut harness, words::messages());
        harness.get_by_label_contains("eve, Knocks, Buy this").click();
        harness.run();
        harness.get_by_label(&words::writes_unasked("eve@smith"));
        commands(&mut backend);
        click(&mut harness, button);
        let contact = Contact { aor: "eve@smith".into(), is_blocked, ..Contact::default() };
        assert_eq!(commands(&mut backend), [Command::Contacts(ContactJob::Save(contact))]);
    }
}

/// Nothing is written to a name that is blocked, and why is said.
#[test]
fn blocked_names_are_not_written_to() {
    let bob = Contact { aor: "bob@smith".into(), is_blocked: true, ..Contact::default() };
    let (mut harness, _backend) = open(Snapshot { contacts: vec![bob].into(), ..talk() }, WIDE);
    harness.state_mut().view.write_to("bob@smith");
    harness.run();
    harness.get_by_label(words::blocked_hint());
    assert!(harness.query_by_label(words::message_text()).is_none());
}

#[test]
fn removing_a_conversation_asks_first() {
    let (mut harness, mut backend) = open(talk(), WIDE);
    harness.state_mut().view.write_to("carol@smith");
    harness.run();
    click(&mut harness, words::forget_conversation());
    click(&mut harness, words::keep());
    assert_eq!(commands(&mut backend), []);
    click(&mut harness, words::forget_conversation());
    click(&mut harness, words::yes_forget_conversation());
    assert_eq!(commands(&mut backend), [job(MessageJob::Forget("carol@smith".into()))]);
}

/// Texts follow each other closely, whosever they are.
#[test]
fn a_short_conversation_has_no_holes() {
    let texts = vec![
        text(1, "Tea?", Delivery::Received),
        text(2, "Yes", Delivery::Delivered),
        text(3, "Now?", Delivery::Received),
    ];
    let (mut harness, _backend) = open(with(vec![conversation("bob@smith", texts)]), WIDE);
    harness.state_mut().view.write_to("bob@smith");
    harness.run();
    let bottom = |label: &str| harness.get_by_label(label).rect().bottom();
    assert!(bottom("Now?") - bottom("Tea?") < 200.0);
}

/// A long conversation begins with its end.
#[test]
fn earlier_texts_are_shown_when_asked_for() {
    let texts = (1..=150).map(|n| text(n, &format!("number {n}"), Delivery::Received)).collect();
    let (mut harness, _backend) = open(with(vec![conversation("bob@smith", texts)]), WIDE);
    harness.state_mut().view.write_to("bob@smith");
    harness.run();
    assert!(harness.query_by_label("number 50").is_none());
    harness.get_by_label("number 150");
    // It is far above what can be seen.
    harness.get_by_label(words::earlier_messages()).click_accesskit();
    harness.run();
    harness.get_by_label("number 50");
}

/// Whoever is shown is looked for, and where they are is said in the list and beside their name.
#[test]
fn whereabouts_are_asked_for_and_told() {
    for size in [WIDE, NARROW] {
        let contact = |aor: &str| Contact { aor: aor.into(), ..Contact::default() };
        let contacts = ["bob@smith", "carol@smith", "dora@smith"].map(contact).to_vec();
        let snapshot = Snapshot { contacts: contacts.into(), ..joined() };
        let (mut harness, mut backend) = open(snapshot.clone(), size);
        click(&mut harness, words::contacts());
        let asked = std::iter::from_fn(|| backend.commands.try_recv().ok());
        let names = ["bob@smith", "carol@smith", "dora@smith"].map(str::to_owned).to_vec();
        let asked: Vec<Command> = asked.filter(|c| *c != Command::Inspect).collect();
        assert_eq!(asked, [Command::LookFor(names)], "once, not at every frame");
        let whereabouts = [
            ("bob@smith".to_owned(), Whereabouts::Here),
            ("carol@smith".to_owned(), Whereabouts::LastSeen { unix_ms: 0 }),
            ("dora@smith".to_owned(), Whereabouts::Unregistered),
        ];
        let whereabouts = std::sync::Arc::new(whereabouts.into());
        tell(&mut harness, &backend, Snapshot { whereabouts, ..snapshot });
        harness.get_by_label("bob, bob@smith, Reachable now").click();
        harness.get_by_label_contains("carol@smith, Last seen");
        harness.get_by_label("dora, dora@smith, Not registered");
        harness.run();
        harness.get_by_label("Reachable now");
    }
}

/// Whoever does not want to be seen is told what that costs.
#[test]
fn being_unseen_is_a_setting() {
    let (mut harness, mut backend) = open(joined(), WIDE);
    click(&mut harness, words::settings());
    harness.get_by_label(words::be_unlisted()).click();
    harness.run();
    let settings = Settings { is_unlisted: true, ..Settings::default() };
    assert_eq!(commands(&mut backend), [Command::Configure(Box::new(settings.clone()))]);
    let mut snapshot = Snapshot { settings, ..joined() };
    let OverlayState::Joined { registered, .. } = &mut snapshot.memberships[0].state else {
        panic!("not joined")
    };
    *registered = false;
    tell(&mut harness, &backend, snapshot);
    click(&mut harness, words::calls());
    harness.get_by_label(words::unlisted());
}
