//! Events of the phone on stdout: sentences for people, or one JSON object on a line.

use std::io::Write;
use std::time::Instant;

use serde_json::{Value, json};

use crate::phone::{CallReport, Event};

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
        if self.json {
            self.json(object(event));
        } else {
            self.line(&sentence(event));
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
    match event {
        Event::Joined { node_id, listen } => {
            json!({ "event": "joined", "node_id": node_id, "listen": listen })
        }
        Event::Registered { aor } => json!({ "event": "registered", "aor": aor }),
        Event::Incoming { call, peer } => {
            json!({ "event": "incoming", "call": call, "peer": peer })
        }
        Event::Answered { call, peer } => {
            json!({ "event": "answered", "call": call, "peer": peer })
        }
        Event::Ended { call, peer, reason, report } => {
            let mut value = with_event("ended", serde_json::to_value(report).unwrap_or_default());
            value["call"] = json!(call);
            value["peer"] = json!(peer);
            value["reason"] = json!(reason);
            value
        }
        Event::Error { message } => json!({ "event": "error", "message": message }),
        Event::Left => json!({ "event": "left" }),
    }
}

fn sentence(event: &Event) -> String {
    match event {
        Event::Joined { node_id, listen: Some(listen) } => {
            format!("Joined as peer {node_id}; others can join through {listen}.")
        }
        Event::Joined { node_id, listen: None } => format!("Joined as peer {node_id}."),
        Event::Registered { aor } => format!("Reachable as {aor}."),
        Event::Incoming { peer, .. } => format!("{peer} calls."),
        Event::Answered { peer, .. } => format!("Talking to {peer}."),
        Event::Ended { reason, .. } => reason.clone(),
        Event::Error { message } => message.clone(),
        Event::Left => "Left the overlay.".to_owned(),
    }
}
