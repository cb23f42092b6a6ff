//! What is said of conversations.

use crate::phone::{Conversation, Delivery, Obstacle, Whereabouts};

texts! {
    // The list
    messages,
    no_messages,
    no_messages_hint,
    new_message,
    message_to,
    message_to_hint,
    message_open,
    nobody_written_hint,
    knocking,
    // One conversation
    message_text,
    message_hint,
    send,
    take_back,
    send_again,
    earlier_messages,
    forget_conversation,
    ask_forget_conversation,
    yes_forget_conversation,
    // Whether somebody is there
    unlisted,
    be_unlisted,
    be_unlisted_hint,
}

/// The button of the messages in the rail, with how many are new.
pub fn messages_unread(count: usize) -> String {
    say!(messages_unread, count = count)
}

/// The name of a row of the list.
pub fn conversation_row(name: &str, conversation: &Conversation, line: &str, ago: &str) -> String {
    let new = match conversation.unread {
        _ if conversation.is_knocking => knocking().to_owned(),
        0 => String::new(),
        count => say!(new_messages, count = count),
    };
    let parts = [name, &new, line, ago].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
}

/// The button that begins to write to one person.
pub fn write_to(name: &str) -> String {
    say!(write_to, name = name)
}

/// A stranger has written.
pub fn writes_unasked(name: &str) -> String {
    say!(writes_unasked, name = name)
}

/// What has become of a text of ours.
pub fn delivery(delivery: Delivery) -> String {
    match delivery {
        Delivery::Waiting => say!(delivery_waiting),
        Delivery::Sent => say!(delivery_sent),
        Delivery::Received | Delivery::Delivered => say!(delivery_delivered),
        Delivery::Cancelled => say!(delivery_cancelled),
        Delivery::Refused { status } => match status {
            600..700 => say!(refusal_declined),
            403 => say!(refusal_unbelieved),
            404 => say!(refusal_unknown),
            405 | 501 => say!(refusal_no_messages),
            0 | 413 => say!(refusal_too_long),
            415 => say!(refusal_unshown),
            status => say!(refusal_other, status = status.to_string()),
        },
    }
}

/// Why a text is not delivered yet.
pub fn obstacle(obstacle: Obstacle, name: &str) -> String {
    match obstacle {
        Obstacle::Out => say!(obstacle_out),
        Obstacle::Unregistered => say!(obstacle_unregistered, name = name),
        Obstacle::Unreachable => say!(obstacle_unreachable, name = name),
        Obstacle::Unproven => say!(obstacle_unproven, name = name),
    }
}

/// Whether somebody is there.
pub fn whereabouts(whereabouts: Whereabouts, now_ms: u64) -> String {
    match whereabouts {
        Whereabouts::Here => say!(whereabouts_here),
        Whereabouts::LastSeen { unix_ms } => {
            say!(whereabouts_last_seen, ago = super::ago(now_ms, unix_ms))
        }
        Whereabouts::Unregistered => say!(whereabouts_unregistered),
    }
}

/// What removing a conversation costs, said before it is done.
pub fn ask_forget_conversation_body(name: &str) -> String {
    say!(ask_forget_conversation_body, name = name)
}
