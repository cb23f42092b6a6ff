//! Devices that calls have reached: the next call to their names goes to them at once, while the
//! overlay is asked which devices there are now. To those who are called most a connection stays
//! open, so that their phone rings after one round trip.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::params;
use tokio::time::Instant;

use super::account::AccountId;
use super::api::Direction;
use super::data::Data;
use super::dial::{DIAL_MAX, Target, connect};
use super::engine::{Engine, Report};
use crate::base::NodeId;
use crate::link::{AppFlow, unix_ms};
use crate::message::Destination;
use crate::usage::{Aor, Device, parse_aor};

impl Data {
    /// Remembers a device that rang, and that of a name only some.
    pub(super) fn remember_device(
        &self,
        overlay: &str,
        aor: &str,
        (node_id, application): (NodeId, u16),
        unix_ms: u64,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO devices (overlay, aor, node_id, application, unix_ms)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (overlay, aor, node_id) DO UPDATE SET application = ?4, unix_ms = ?5",
            params![overlay, aor, node_id.to_string(), application, unix_ms as i64],
        )?;
        self.connection.execute(
            "DELETE FROM devices WHERE (overlay, aor, node_id) NOT IN
             (SELECT overlay, aor, node_id FROM devices ORDER BY unix_ms DESC LIMIT ?1)",
            [DEVICES_MAX],
        )?;
        Ok(())
    }

    /// The devices of a name that rang, the latest first.
    pub(super) fn devices_of(
        &self,
        overlay: &str,
        aor: &str,
    ) -> rusqlite::Result<Vec<(NodeId, u16)>> {
        let mut statement = self.connection.prepare(
            "SELECT node_id, application FROM devices WHERE overlay = ?1 AND aor = ?2
             ORDER BY unix_ms DESC LIMIT ?3",
        )?;
        let rows = statement.query_map(params![overlay, aor, DEVICES_OF_NAME_MAX], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        })?;
        let known = rows.filter_map(Result::ok);
        Ok(known.filter_map(|(node, app)| Some((node.parse().ok()?, app))).collect())
    }

    /// Remembers how a certificate writes its domain, which no list of calls does.
    pub(super) fn remember_written(&self, aor: &Aor, user_name: &str) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT OR REPLACE INTO written (aor, user_name) VALUES (?1, ?2)",
            params![aor.to_string(), user_name],
        )?;
        self.connection.execute(
            "DELETE FROM written WHERE rowid NOT IN
             (SELECT rowid FROM written ORDER BY rowid DESC LIMIT ?1)",
            [WRITTEN_MAX],
        )?;
        Ok(())
    }

    /// Names that certificates write otherwise.
    pub(super) fn written_names(&self) -> rusqlite::Result<BTreeMap<Aor, Aor>> {
        let mut statement = self.connection.prepare("SELECT aor, user_name FROM written")?;
        let rows = statement.query_map([], |row| {
            let [aor, written]: [String; 2] = [row.get(0)?, row.get(1)?];
            Ok(Aor::of_user_name(&aor).zip(Aor::of_user_name(&written)))
        })?;
        Ok(rows.filter_map(Result::ok).flatten().collect())
    }

    /// Under which names somebody may be registered, the likeliest first: a Resource-ID is that of
    /// the certificate's octets, in whatever case they are (T-27).
    pub(super) fn spellings(&self, aor: &Aor) -> Vec<Aor> {
        let written = self.written_names().unwrap_or_default().remove(aor);
        [Some(aor.clone()), written].into_iter().flatten().collect()
    }

    /// Forgets a device that is not one of its name's any more.
    pub(super) fn forget_device(
        &self,
        overlay: &str,
        aor: &str,
        node_id: NodeId,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "DELETE FROM devices WHERE overlay = ?1 AND aor = ?2 AND node_id = ?3",
            params![overlay, aor, node_id.to_string()],
        )?;
        Ok(())
    }
}

impl Engine {
    /// The devices of a name that rang before; none if the memory can't be read, which costs time
    /// alone.
    pub(super) fn known_targets(
        &self,
        account_id: AccountId,
        overlay: usize,
        aor: &Aor,
    ) -> Vec<Target> {
        let Some(account) = self.accounts.get(account_id) else { return Vec::new() };
        let known = self.data.devices_of(account.overlay(), &aor.to_string()).unwrap_or_default();
        let others = known.into_iter().filter(|(node, _)| *node != account.node.node_id());
        let target = |(node, application): (NodeId, u16)| {
            let (aor, destinations) = (aor.clone(), vec![node.into()]);
            let device = Device { overlay, aor, destinations, application };
            Target { account: account_id, device }
        };
        others.map(target).collect()
    }

    /// A device rang, so that the next call need not wait until it is found.
    pub(super) fn remember_target(&mut self, target: &Target) {
        let [Destination::Node(node)] = target.device.destinations[..] else { return };
        let Some(account) = self.accounts.get(target.account) else { return };
        let (overlay, aor) = (account.overlay(), target.device.aor.to_string());
        let device = (node, target.device.application);
        // What is not remembered is looked up again.
        let _ = self.data.remember_device(overlay, &aor, device, unix_ms());
    }

    /// The overlay does not know a device under its name any more.
    pub(super) fn forget_target(&mut self, target: &Target) {
        let [Destination::Node(node)] = target.device.destinations[..] else { return };
        let Some(account) = self.accounts.get(target.account) else { return };
        let aor = target.device.aor.to_string();
        // It is asked about again at the next call.
        let _ = self.data.forget_device(account.overlay(), &aor, node);
    }

    /// Whom the user has marked, and who is called most among recent calls.
    fn favourites(&self) -> Vec<String> {
        let mut counts: Vec<(usize, &str)> = Vec::new();
        let answered = self.snapshot.history.iter().take(CALLS_LOOKED_AT);
        for entry in answered.filter(|e| e.answered && e.direction == Direction::Outgoing) {
            match counts.iter_mut().find(|(_, peer)| *peer == entry.peer) {
                Some((count, _)) => *count += 1,
                None => counts.push((1, &entry.peer)),
            }
        }
        counts.retain(|(count, _)| *count >= FAVOURITE_MIN);
        // The sort is stable: of two the one called last is first.
        counts.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let mut names = self.marked_favourites();
        counts.retain(|(_, peer)| !names.iter().any(|name| name == peer));
        names.extend(counts.into_iter().map(|(_, peer)| peer.to_owned()));
        names.truncate(FAVOURITES_MAX);
        names
    }

    /// Sees to the connections that stay open.
    pub(super) fn keep_warm(&mut self) {
        self.warm_at = Instant::now() + WARM_EVERY;
        let favourites = self.favourites();
        self.flows.keep_only(&favourites);
        let mut missing = Vec::new();
        for (id, account) in &self.accounts.running {
            if !account.is_joined() {
                continue;
            }
            for name in &favourites {
                let Ok(aor) = parse_aor(name, account.overlay()) else { continue };
                let known = self.known_targets(*id, 0, &aor);
                missing.extend(known.into_iter().filter(|target| !self.flows.leads_to(target)));
            }
        }
        for target in missing {
            let Some(account) = self.accounts.running.get_mut(&target.account) else { continue };
            let (node, reports) = (account.node.clone(), self.reports.clone());
            while account.tasks.try_join_next().is_some() {}
            account.tasks.spawn(async move {
                let until = Instant::now() + DIAL_MAX;
                // Whoever is not there is tried again later.
                if let Ok(flow) = connect(&node, &target.device, until).await {
                    let _ = reports.send(Report::Warm(target, Box::new(flow))).await;
                }
            });
        }
    }

    /// A connection to a favourite is up.
    pub(super) fn warm_flow_up(&mut self, target: &Target, flow: AppFlow) {
        if self.flows.leads_to(target) || !self.flows.has_room() {
            return;
        }
        let flow = self.sip_flow_up(target.account, flow, true);
        self.flows.keep(flow);
    }
}

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS devices (
        overlay TEXT NOT NULL,
        aor TEXT NOT NULL,
        node_id TEXT NOT NULL,
        application INTEGER NOT NULL,
        unix_ms INTEGER NOT NULL,
        PRIMARY KEY (overlay, aor, node_id)
    );
    CREATE TABLE IF NOT EXISTS written (aor TEXT PRIMARY KEY, user_name TEXT NOT NULL);
";

// limits

/// Devices remembered: as many as calls, with room for several of each name.
const DEVICES_MAX: i64 = 1000;
/// Certificates remembered whose domain is not in small letters.
const WRITTEN_MAX: i64 = 200;
/// Devices of one name that a call goes to before the overlay has answered.
const DEVICES_OF_NAME_MAX: i64 = 3;
/// Names to whose devices connections stay open. Each costs about 65 bytes a second each way.
const FAVOURITES_MAX: usize = 3;
/// Calls that make somebody a favourite.
const FAVOURITE_MIN: usize = 3;
/// Calls among which favourites are found: some weeks.
const CALLS_LOOKED_AT: usize = 100;
/// How often a connection that is missing is tried again.
pub(super) const WARM_EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_remembered_by_name_and_overlay() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = Data::open(&folder.path().join("data.db")).expect("opened");
        let node = |n| NodeId::from_u128(n);
        for number in 1..=9_u16 {
            let device = (node(u128::from(number)), 5060 + number % 2);
            data.remember_device("one", "bob", device, u64::from(number)).expect("written");
        }
        data.remember_device("two", "bob", (node(77), 5060), 1).expect("written");
        let of = |overlay, aor| data.devices_of(overlay, aor).expect("read");
        assert_eq!(of("one", "bob"), [(node(9), 5061), (node(8), 5060), (node(7), 5061)]);
        assert_eq!(of("two", "bob"), [(node(77), 5060)]);
        assert_eq!(of("one", "carol"), []);
        data.forget_device("one", "bob", node(9)).expect("written");
        assert_eq!(of("one", "bob")[0].0, node(8));
        data.clear_calls().expect("cleared");
        assert_eq!(of("one", "bob"), [], "who was called is forgotten with the calls");
    }
}
