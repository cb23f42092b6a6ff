//! Events of the phone on stdout: sentences for people, or one JSON object on a line.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};

use crate::link::{NodeCounters, NodeStatus};
use crate::phone::{CallReport, Delivery, Event, Protection, UnprovedOverlay};

/// Prints events with the time since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    json: bool,
    start: Instant,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self { json, start: Instant::now() }
    }

    pub(super) fn event(&self, event: &Event) {
        self.say(object(event), &sentence(event));
    }

    /// How private keys are kept: whoever starts a phone should know when they are in plain.
    pub(super) fn keys(&self, protection: &Protection) {
        let encrypted = *protection != Protection::Plain;
        let sentence = match encrypted {
            true => protection.sentence().to_owned(),
            false => format!("{} Give --password-file to encrypt them.", protection.sentence()),
        };
        if self.json {
            self.json(json!({ "event": "keys", "encrypted": encrypted, "sentence": sentence }));
        } else {
            self.line(&sentence);
        }
    }

    /// The figures of a call, the last line of `chordial call`.
    pub(super) fn report(&self, report: &CallReport) {
        let value = serde_json::to_value(report).unwrap_or_default();
        if self.json {
            self.json(with_event("report", value));
            return;
        }
        let ms = |ms: Option<u64>| ms.map_or("-".to_owned(), |ms| format!("{ms} ms"));
        self.line(&format!(
            "Looked up over {} links in {}, connected in {}, ringing after {}, answered after {}.",
            report.hops.unwrap_or(0),
            ms(report.fetch_ms),
            ms(report.dtls_ms),
            ms(report.ringing_ms),
            ms(report.answered_ms),
        ));
        self.line(&format!(
            "Sound: {} packets sent, {} received, {} lost, on {}.",
            report.packets_sent,
            report.packets_received,
            report.packets_lost,
            report.path.as_deref().unwrap_or("no path"),
        ));
    }

    /// An event as an object or as a sentence.
    pub(super) fn say(&self, object: Value, sentence: &str) {
        if self.json {
            self.json(object);
        } else {
            self.line(sentence);
        }
    }

    fn json(&self, mut value: Value) {
        value["at_ms"] = json!(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.line(&value.to_string());
    }

    fn line(&self, line: &str) {
        // Whoever read our events may have gone; the phone goes on.
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }
}

fn with_event(name: &str, mut value: Value) -> Value {
    value["event"] = json!(name);
    value
}

fn object(event: &Event) -> Value {
    serde_json::to_value(event).unwrap_or_default()
}

/// The question, as somebody at a terminal reads it.
fn unproved(question: &UnprovedOverlay) -> String {
    let overlay = &question.overlay;
    let who = question.from.map_or("Somebody".to_owned(), |from| format!("The peer at {from}"));
    let password = match question.enrollment_servers.is_empty() {
        true => "",
        false => " Your account's password would go to whoever made it up.",
    };
    format!(
        "{who} on this network says to be in {overlay}, and nothing proves it: anybody here can \
         say so, and would then see whom you call there and could pretend to be anybody.{password}"
    )
}

fn sentence(event: &Event) -> String {
    match event {
        Event::Joined { node_id, listen: Some(SocketAddr::V6(listen)), .. }
            if listen.ip().is_unspecified() =>
        {
            let port = listen.port();
            format!("Joined as peer {node_id}; others can join at port {port}, by IPv6 and IPv4.")
        }
        Event::Joined { node_id, listen: Some(listen), .. } => {
            format!("Joined as peer {node_id}; others can join through {listen}.")
        }
        Event::Joined { node_id, listen: None, .. } => format!("Joined as peer {node_id}."),
        Event::Registered { aor } => format!("Reachable as {aor}."),
        Event::Document { overlay, sequence } => {
            format!("The overlay {overlay} has a new document, {sequence}.")
        }
        Event::Searching { news, .. } => format!("{}: {}", news.road, news.state),
        Event::Found { overlay, is_proved: true, .. } => {
            format!("The overlay {overlay} was found.")
        }
        Event::Found { overlay, is_proved: false, .. } => format!(
            "The overlay {overlay} was found on this network; nothing proves that its document is \
             the right one."
        ),
        Event::Unproved(question) => unproved(question),
        Event::Incoming { peer, .. } => format!("{peer} calls."),
        Event::Answered { peer, .. } => format!("Talking to {peer}."),
        Event::Held { peer, by_us: false, by_them: false, .. } => {
            format!("Talking to {peer} again.")
        }
        Event::Held { peer, by_us: true, .. } => format!("{peer} is on hold."),
        Event::Held { peer, .. } => format!("{peer} has put you on hold."),
        Event::Transferring { peer, to, by_us: true, .. } => format!("Connecting {peer} to {to}."),
        Event::Transferring { peer, to, .. } => format!("{peer} connects you to {to}."),
        Event::Digit { digit, .. } => format!("The other side has pressed {digit}."),
        Event::Recording { peer, by_us, by_them, .. } => match (by_us, by_them) {
            (_, true) => format!("{peer} records this call."),
            (true, false) => format!("The call with {peer} is recorded."),
            (false, false) => format!("The call with {peer} is recorded no more."),
        },
        Event::Quality { peer, trouble: Some(trouble), .. } => trouble.sentence(peer),
        Event::Quality { .. } => "The sound is good again.".to_owned(),
        Event::Ended { reason, .. } => reason.clone(),
        Event::Message { peer, text, .. } => format!("{peer} writes: {text}"),
        Event::Delivery { peer, delivery, .. } => match delivery {
            Delivery::Waiting => format!("The message to {peer} is kept until it is delivered."),
            Delivery::Received | Delivery::Delivered => format!("{peer} has the message."),
            Delivery::Sent => format!("The message to {peer} is on its way."),
            Delivery::Refused { status: 0 } => {
                format!("The message to {peer} is too long together with both names.")
            }
            Delivery::Refused { status } => {
                format!("{peer} does not take the message (answer {status}).")
            }
            Delivery::Cancelled => format!("The message to {peer} was taken back."),
        },
        Event::Error { message } | Event::Damaged { message } => message.clone(),
        Event::Left { overlay } => format!("Left the overlay {overlay}."),
        Event::Counted { status, counters, .. } => counted_sentence(*status, counters),
    }
}

fn counted_sentence(status: NodeStatus, counters: &NodeCounters) -> String {
    let NodeCounters { messages, links } = counters;
    let drops: Vec<String> =
        messages.drops().map(|(reason, count)| format!("{count} {reason}")).collect();
    let drops = if drops.is_empty() { "none".to_owned() } else { drops.join(", ") };
    format!(
        "{} links, {} values; {} messages received, {} sent, {} passed on; dropped: {drops}; \
         {} certificates refused, {} handshakes failed, {} links lost, {} bad frames.",
        status.links,
        status.values_stored,
        messages.received,
        messages.sent,
        messages.forwarded,
        links.certificates_refused,
        links.handshakes_failed,
        links.lost,
        links.frames_malformed,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::LinkCounters;

    /// An operator sees what was wrong, by name.
    #[test]
    fn counters_are_told_by_name() {
        let links =
            LinkCounters { certificates_refused: 3, frames_malformed: 2, ..Default::default() };
        let counters = Box::new(NodeCounters { links, ..NodeCounters::default() });
        let status = NodeStatus { joined: true, links: 5, values_stored: 7 };
        let event = Event::Counted { overlay: "lab.example".into(), status, counters };
        let value = object(&event);
        assert_eq!(value["event"], "counters");
        assert_eq!(
            (&value["links"], &value["link"]["certificates_refused"]),
            (&json!(5), &json!(3))
        );
        assert_eq!(value["messages"]["dropped"], json!({}));
        let sentence = sentence(&event);
        assert!(sentence.contains("3 certificates refused") && sentence.contains("2 bad frames"));
    }
}
