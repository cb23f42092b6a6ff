//! Our own name: whether it is free where nobody gives names out (RFC 6940 §11.3.1), and which
//! devices it has.
//!
//! In an overlay of self-signed certificates anybody may take any name. So before we use one we
//! look who has it. A key of ours that has had it before goes on, whoever else has taken it since;
//! a new one does not enter beside others unless the user says that they are theirs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::account::{AccountId, AccountReport, tell};
use super::certify::has_authority;
use super::engine::{Engine, Reports};
use super::pins::{SeenKey, key_words};
use crate::base::NodeId;
use crate::link::{Node, NodeError, unix_ms};
use crate::message::{ErrorCode, KindId, Places};
use crate::peer::{Answer, Command, FetchSpec, FetchedValue, RequestError};
use crate::usage::certificate_store;

/// A device that is registered under a name of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnDevice {
    /// The overlay's name.
    pub overlay: String,
    /// Its Node-ID in hexadecimal.
    pub node_id: String,
    /// The same in words that two people can read to each other.
    pub words: String,
    /// Whether it is the one that this program runs on.
    pub is_this: bool,
    /// When it has said last that it is there, milliseconds since the Unix epoch.
    pub seen_unix_ms: u64,
    /// Whether its key waits for the user's answer, or was refused.
    pub is_unproven: bool,
}

impl Engine {
    /// We are a peer: our name is used if it is ours to use, or looked for first.
    pub(super) fn use_name(&mut self, id: AccountId) {
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        if has_authority(&account.document.config) {
            return self.register(id);
        }
        let (reports, node) = (self.reports.clone(), account.node.clone());
        let resource = certificate_store::by_user(&account.certificate, 0).resource;
        account.tasks.spawn(async move {
            let kind = KindId::CERTIFICATE_BY_USER;
            let spec = FetchSpec { resource, kind, places: Places::Array(Vec::new()) };
            let asking = AskingPeers { node, spec, id, reports: reports.clone() };
            let holders = holders(&asking, ASK_AGAIN).await;
            tell(&reports, id, AccountReport::NameHolders(holders)).await;
        });
    }

    /// Nobody has said yet whether our name is free; we go on asking.
    pub(super) fn name_unknown(&mut self, id: AccountId) {
        let Some(account) = self.accounts.get(id) else { return };
        let aor = account.aor.to_string();
        self.notice(format!(
            "Nobody answers whether the name {aor} is taken, so nobody can call you there yet; \
             trying again."
        ));
    }

    /// These nodes have certificates under our name.
    pub(super) fn name_holders(&mut self, id: AccountId, holders: &[NodeId]) {
        let Some(account) = self.accounts.get(id) else { return };
        let (overlay, aor) = (account.overlay().to_owned(), account.aor.to_string());
        let (own, user) = (account.node.node_id(), account.aor.user.clone());
        let known = self.data.trusted_keys(&overlay, &aor).unwrap_or_default();
        let is_known = |node: &NodeId| known.iter().any(|key| key.node_id == node.to_string());
        let others: Vec<_> =
            holders.iter().filter(|node| **node != own && !is_known(node)).collect();
        let are_ours = self.ours_too.contains(&(overlay.clone(), user));
        for node in &others {
            let node = node.to_string();
            // What cannot be remembered is asked for again.
            let _ = match are_ours {
                true => self.data.pin_beside(&overlay, &aor, &node, unix_ms()),
                false => self.data.ask_about_key(&overlay, &aor, &node, unix_ms()),
            };
        }
        self.show_alarms();
        if !others.is_empty() && !are_ours && !is_known(&own) {
            let words: Vec<_> = others.iter().map(|node| key_words(&node.to_string())).collect();
            let reason = format!(
                "The name {aor} is taken by the key {}. Choose another name, or say that this is \
                 another device of yours.",
                words.join(", ")
            );
            if let Some(account) = self.accounts.running.get_mut(&id) {
                account.refusal = Some(reason);
            }
            return self.begin_leaving(id, None);
        }
        let _ = self.data.pin_beside(&overlay, &aor, &own.to_string(), unix_ms());
        if let Some(account) = self.accounts.running.get_mut(&id) {
            let node = account.node.clone();
            // A node that has ended leaves the account by itself.
            account.tasks.spawn(async move {
                let _ = node.tell(Command::ClaimName).await;
            });
        }
        self.register(id);
    }

    /// Other devices under our name are ours: we enter beside them.
    pub(super) fn enter_beside(&mut self, overlay: String, user: String) -> Result<(), String> {
        self.ours_too.insert((overlay, user));
        Ok(())
    }

    /// Looks at our registration again and again.
    pub(super) fn watch_devices(&mut self, id: AccountId) {
        let reports = self.reports.clone();
        let Some(account) = self.accounts.running.get_mut(&id) else { return };
        let (node, resource) = (account.node.clone(), account.aor.resource());
        account.tasks.spawn(async move {
            let (kind, places) = (KindId::SIP_REGISTRATION, Places::Dictionary(Vec::new()));
            let spec = FetchSpec { resource, kind, places };
            loop {
                // Who is not told anything keeps what they know.
                if let Ok(values) = fetched(&node, spec.clone()).await {
                    let seen = values.iter().map(|v| (v.signer_node_id, v.storage_time_ms));
                    tell(&reports, id, AccountReport::Devices(seen.collect())).await;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
    }

    /// These devices are registered under our name.
    pub(super) fn devices(&mut self, id: AccountId, seen: &BTreeMap<NodeId, u64>) {
        let Some(account) = self.accounts.get(id) else { return };
        let (overlay, aor) = (account.overlay().to_owned(), account.aor.to_string());
        let own = account.node.node_id();
        let is_vouched = has_authority(&account.document.config);
        let known = self.data.trusted_keys(&overlay, &aor).unwrap_or_default();
        let mut devices = Vec::new();
        for (node, seen_unix_ms) in seen {
            let node_id = node.to_string();
            let is_this = *node == own;
            let is_known = |key: &SeenKey| key.node_id == node_id;
            let is_unproven = !is_vouched && !is_this && !known.iter().any(is_known);
            if is_unproven {
                // What cannot be remembered is asked for again.
                let _ = self.data.ask_about_key(&overlay, &aor, &node_id, unix_ms());
            }
            let (overlay, words) = (overlay.clone(), key_words(&node_id));
            let seen_unix_ms = *seen_unix_ms;
            devices.push(OwnDevice { overlay, node_id, words, is_this, seen_unix_ms, is_unproven });
        }
        self.snapshot.devices.retain(|device| device.overlay != overlay);
        self.snapshot.devices.extend(devices);
        self.show_alarms();
    }

    /// Takes a device from our name as far as we can, and says how far that is: without an
    /// authority nobody but the device itself can store or remove what it has signed
    /// (RFC 6940 §7.3).
    pub(super) fn remove_device(&mut self, overlay: &str, node_id: &str) -> Result<(), String> {
        let id = self.accounts.named(overlay);
        let account = id.and_then(|id| self.accounts.get(id)).ok_or("Join the overlay first.")?;
        if account.node.node_id().to_string() == node_id {
            self.leave(overlay);
            return Ok(());
        }
        if let Some(id) = id.filter(|_| has_authority(&account.document.config)) {
            return self.revoke_device(id, node_id);
        }
        let aor = account.aor.to_string();
        let asked = self.data.ask_about_key(overlay, &aor, node_id, unix_ms());
        let refused = asked.and_then(|()| self.data.refuse_key(overlay, &aor, node_id));
        refused.map_err(|e| format!("That was not remembered: {e}."))?;
        for device in self.snapshot.devices.iter_mut().filter(|d| d.node_id == node_id) {
            device.is_unproven = true;
        }
        self.show_alarms();
        Err(format!(
            "This phone refuses that device from now on. {overlay} has no authority that could \
             take your name from it: others reach it until it leaves, so tell them."
        ))
    }
}

/// The values that exist.
async fn fetched(node: &Node, spec: FetchSpec) -> Result<Vec<FetchedValue>, NodeError> {
    match node.request(Command::Fetch(spec)).await {
        Ok(Answer::Fetched(fetched)) => Ok(fetched.values),
        Ok(_) | Err(NodeError::Request(RequestError::Refused(ErrorCode::NOT_FOUND))) => {
            Ok(Vec::new())
        }
        Err(error) => Err(error),
    }
}

/// What somebody who looks for the holders of a name has to do with.
trait Asking {
    /// The values under the name.
    fn ask(&self) -> impl Future<Output = Result<Vec<FetchedValue>, NodeError>> + Send;

    /// Tells the user that nobody answers.
    fn unanswered(&self) -> impl Future<Output = ()> + Send;
}

/// The peers of a membership.
struct AskingPeers {
    node: Node,
    spec: FetchSpec,
    id: AccountId,
    reports: Reports,
}

impl Asking for AskingPeers {
    async fn ask(&self) -> Result<Vec<FetchedValue>, NodeError> {
        fetched(&self.node, self.spec.clone()).await
    }

    async fn unanswered(&self) {
        tell(&self.reports, self.id, AccountReport::NameUnknown).await;
    }
}

/// Who has values under a name. A question that nobody answers says nothing: it is asked again for
/// as long as it takes, and the user hears of the first time.
async fn holders(asking: &impl Asking, pause: Duration) -> Vec<NodeId> {
    let mut failures = 0;
    loop {
        match asking.ask().await {
            Ok(values) => return values.iter().map(|value| value.signer_node_id).collect(),
            Err(_) if failures == 0 => asking.unanswered().await,
            Err(_) => {}
        }
        failures += 1;
        tokio::time::sleep(pause * failures.min(PAUSES_MAX)).await;
    }
}

/// How often our registration is looked at: a device that comes is shown within minutes.
const LOOK: Duration = Duration::from_secs(300);
/// Until it is asked again who has our name, the first time; the pause grows as many times.
const ASK_AGAIN: Duration = Duration::from_secs(5);
const PAUSES_MAX: u32 = 12;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::crypto::{Keys, NodeIdDigest, X509Provider};
    use crate::message::{DataValue, StoredDataValue};

    /// An overlay that answers after some failures, and what it was asked and told.
    struct Overlay {
        failures: usize,
        values: Vec<FetchedValue>,
        asked: AtomicUsize,
        told: AtomicUsize,
    }

    impl Asking for Overlay {
        async fn ask(&self) -> Result<Vec<FetchedValue>, NodeError> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let error = if asked == 1 { RequestError::Busy } else { RequestError::Timeout };
            if asked < self.failures { Err(error.into()) } else { Ok(self.values.clone()) }
        }

        async fn unanswered(&self) {
            self.told.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// R6940-11.3.1-06: a name about which nobody answers is not free: it is asked for again until
    /// somebody answers, and the user is told once.
    #[tokio::test]
    async fn a_name_about_which_nobody_answers_is_not_free() {
        for (failures, values) in [(0, vec![]), (3, vec![]), (2, vec![value()])] {
            let (asked, told) = Default::default();
            let overlay = Overlay { failures, values, asked, told };
            let holders = holders(&overlay, Duration::ZERO).await;
            assert_eq!(holders.len(), overlay.values.len());
            assert_eq!(overlay.asked.into_inner(), failures + 1);
            assert_eq!(overlay.told.into_inner(), usize::from(failures > 0));
        }
    }

    /// Somebody's value.
    fn value() -> FetchedValue {
        let provider = X509Provider {
            overlay: "example.org".into(),
            node_id_length: 16,
            self_signed: Some(NodeIdDigest::Sha256),
            roots: Vec::new(),
        };
        let keys = Keys::self_signed(&provider, "bob@example.org", unix_ms(), 2).expect("made");
        let identity = keys.identity(&provider).expect("an identity");
        FetchedValue {
            storage_time_ms: 1,
            value: StoredDataValue::Single(DataValue::absent()),
            signer: Arc::clone(&identity.certificate),
            signer_node_id: identity.node_id,
        }
    }
}
