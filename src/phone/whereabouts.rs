//! Whether somebody is there, in states that are true: a device of theirs has just answered, was
//! there last at this time, or none is registered.
//!
//! Nobody tells us; we look when a face shows the name, by a Fetch of its registrations and a Ping
//! to each device (RFC 6940 §6.5.3). What others learn of us so is that our name is stored, which
//! is a setting: whoever does not want to be seen is not registered, and can't be called.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::dial::look_up_dated;
use super::engine::{Engine, Report};
use crate::base::NodeId;
use crate::link::Node;
use crate::peer::{Answer, Command};
use crate::usage::Aor;

/// Whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whereabouts {
    /// A device of theirs has just answered.
    Here,
    /// Devices are registered, and none answers.
    LastSeen {
        /// When one of them said last that it is there, milliseconds since the Unix epoch.
        unix_ms: u64,
    },
    /// No device is registered under the name: they are away, or do not want to be seen.
    Unregistered,
}

/// Names that were looked for, and when.
#[derive(Default)]
pub(super) struct Lookouts {
    begun: BTreeMap<String, Instant>,
}

impl Engine {
    /// Looks for these names, unless that was done a moment ago.
    pub(super) fn look_for(&mut self, names: Vec<String>) -> Result<(), String> {
        let now = Instant::now();
        self.lookouts.begun.retain(|_, begun| now.duration_since(*begun) < LOOK_AGAIN);
        // What was found out longer ago is not true any more.
        let begun = &self.lookouts.begun;
        if self.snapshot.whereabouts.keys().any(|name| !begun.contains_key(name)) {
            let kept = Arc::make_mut(&mut self.snapshot.whereabouts);
            kept.retain(|name, _| begun.contains_key(name) || names.contains(name));
        }
        for name in names {
            if self.lookouts.begun.len() >= NAMES_MAX || self.lookouts.begun.contains_key(&name) {
                continue;
            }
            let Some((account_id, aor)) = self.membership_for(&name) else { continue };
            let reports = self.reports.clone();
            let names = self.data.spellings(&aor);
            let Some(account) = self.accounts.running.get_mut(&account_id) else { continue };
            self.lookouts.begun.insert(name.clone(), now);
            let node = account.node.clone();
            while account.tasks.try_join_next().is_some() {}
            account.tasks.spawn(async move {
                let found = timeout(LOOK_MAX, look(&node, &names)).await.ok().flatten();
                // The engine has ended otherwise.
                let _ = reports.send(Report::Whereabouts(name, found)).await;
            });
        }
        Ok(())
    }

    /// Somebody was found, or nobody says where they are.
    pub(super) fn found_somebody(&mut self, name: String, found: Option<Whereabouts>) {
        let known = Arc::make_mut(&mut self.snapshot.whereabouts);
        match found {
            Some(found) if known.len() < NAMES_MAX || known.contains_key(&name) => {
                known.insert(name, found);
            }
            Some(_) => {}
            None => {
                known.remove(&name);
            }
        }
    }
}

async fn look(node: &Node, names: &[Aor]) -> Option<Whereabouts> {
    let devices = look_up_dated(node, names).await.ok()?;
    let Some(unix_ms) = devices.iter().map(|(_, unix_ms)| *unix_ms).max() else {
        return Some(Whereabouts::Unregistered);
    };
    let mut pings = JoinSet::new();
    for (device, _) in devices.into_iter().take(DEVICES_MAX) {
        pings.spawn(is_there(node.clone(), device));
    }
    while let Some(answered) = pings.join_next().await {
        if matches!(answered, Ok(true)) {
            return Some(Whereabouts::Here);
        }
    }
    Some(Whereabouts::LastSeen { unix_ms })
}

/// Whether a device answers; the answer is signed.
async fn is_there(node: Node, device: NodeId) -> bool {
    if device == node.node_id() {
        return true;
    }
    let asked = timeout(PING_MAX, node.request(Command::Ping(device.into()))).await;
    matches!(asked, Ok(Ok(Answer::Pinged { node_id, .. })) if node_id == device)
}

// limits

/// Names that are looked for at a time: what fits on a screen.
const NAMES_MAX: usize = 64;
/// How soon a name is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(25);
/// How long a look may take.
const LOOK_MAX: Duration = Duration::from_secs(15);
/// How long a device may take to answer: room for three transmissions (RFC 6940 §6.2.1).
const PING_MAX: Duration = Duration::from_secs(8);
/// Devices of a name that are asked.
const DEVICES_MAX: usize = 8;
