//! Parts of a running phone's snapshot as lines for people.

use serde_json::Value;

use crate::link::unix_ms;

/// How far a call or a membership has come, by the name of its state.
pub(super) fn state_of(row: &Value) -> &str {
    let state = &row["state"];
    let first = || state.as_object().and_then(|state| state.keys().next()).map(String::as_str);
    state.as_str().or_else(first).unwrap_or_default()
}

/// A call: its number, how far it has come, with whom.
pub(super) fn call_line(call: &Value) -> String {
    let what = match state_of(call) {
        "dialling" => call["state"]["dialling"]["step"].as_str().unwrap_or("calling").to_owned(),
        "ringing" => "ringing there".to_owned(),
        "incoming" => "calls you".to_owned(),
        "talking" => format!("talking for {} s", call["state"]["talking"]["duration"]["secs"]),
        _ => call["state"]["ended"]["reason"].as_str().unwrap_or("ended").to_owned(),
    };
    let flags = [("muted", "muted"), ("held_by_us", "on hold"), ("held_by_them", "held there")];
    let flags = flags.iter().filter(|(name, _)| call[*name] == true);
    let flags: String = flags.map(|(_, words)| format!(", {words}")).collect();
    format!("{}  {}  {what}{flags}", call["id"], text(call, "peer"))
}

/// A contact: the address, the name, what is to be remembered.
pub(super) fn contact_line(contact: &Value) -> String {
    let flags = [("is_favourite", "favourite"), ("is_blocked", "blocked")];
    let flags = flags.iter().filter(|(name, _)| contact[*name] == true).map(|(_, words)| *words);
    let words = [text(contact, "aor"), text(contact, "name"), text(contact, "note")];
    let words: Vec<&str> = words.into_iter().filter(|w| !w.is_empty()).chain(flags).collect();
    words.join("  ")
}

/// An ordinary account: the address, where it is, what it lacks; or why it can't be used.
pub(super) fn sip_account_line(account: &Value) -> String {
    if let Some(problem) = account["problem"].as_str() {
        return problem.to_owned();
    }
    let lacks = if account["has_password"] == false { "no password" } else { "" };
    let reach = match account["reach"].as_str() {
        Some("registered") => "rings here",
        Some("unwanted") => "does not ring here",
        _ => account["reach"]["failed"].as_str().unwrap_or("does not ring here yet"),
    };
    let words = [text(account, "address"), text(account, "server"), text(account, "transport")];
    let words = words.into_iter().chain([lacks, reach]).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    words.join("  ")
}

/// A past call: how long ago, which way, with whom, and how it went.
pub(super) fn history_line(entry: &Value) -> String {
    let way = if entry["direction"] == "incoming" { "from" } else { "to" };
    let (peer, outcome) = (text(entry, "peer"), text(entry, "outcome"));
    format!("{}  {way} {peer}  {} s  {outcome}", ago(entry), entry["duration"]["secs"])
}

/// A conversation: with whom, how much of it is new, and the last text.
pub(super) fn conversation_line(conversation: &Value) -> String {
    let unread = match conversation["unread"].as_u64().unwrap_or_default() {
        0 => String::new(),
        unread => format!("  {unread} new"),
    };
    let last = conversation["messages"].as_array().and_then(|messages| messages.last());
    let last = last.map_or("", |message| text(message, "text"));
    format!("{}{unread}  {}", text(conversation, "peer"), last.replace('\n', " "))
}

/// A text: how long ago, which way, what has become of it, what it says.
pub(super) fn message_line(message: &Value) -> String {
    let way = if message["direction"] == "incoming" { "from them" } else { "from us" };
    let delivery = match text(&message["delivery"], "state") {
        "received" => String::new(),
        "refused" => format!("  refused ({})", message["delivery"]["status"]),
        state => format!("  {state}"),
    };
    format!("{}  {way}{delivery}  {}", ago(message), text(message, "text"))
}

/// What the answering machine has taken: its name, how long ago, from whom, and how long it is.
pub(super) fn voice_message_line(message: &Value) -> String {
    let flags = [("is_new", "new"), ("is_playing", "being played")];
    let flags = flags.iter().filter(|(name, _)| message[*name] == true);
    let flags: String = flags.map(|(_, words)| format!(", {words}")).collect();
    let (name, peer) = (text(message, "name"), text(message, "peer"));
    format!("{name}  {}  from {peer}  {} s{flags}", ago(message), message["duration"]["secs"])
}

/// How long ago something was.
fn ago(entry: &Value) -> String {
    let minutes = unix_ms().saturating_sub(entry["unix_ms"].as_u64().unwrap_or_default()) / 60_000;
    match minutes {
        0..60 => format!("{minutes} min ago"),
        60..1440 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// A membership: who we are there, and whether others reach us.
pub(super) fn joined_line(membership: &Value) -> String {
    let me = &membership["me"];
    let state = &membership["state"];
    let what = match state_of(membership) {
        "joined" if state["joined"]["registered"] == true => {
            format!("joined, can be called; {} links", state["joined"]["links"])
        }
        "joined" => format!("joined, can't be called yet; {} links", state["joined"]["links"]),
        "joining" => text(&state["joining"], "step").to_owned(),
        "failed" => text(&state["failed"], "reason").to_owned(),
        _ => "not joined".to_owned(),
    };
    format!("{}@{}: {what}", text(me, "user"), text(me, "overlay"))
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}
