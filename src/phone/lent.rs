//! What a user lends to others.

use serde::{Deserialize, Serialize};

use crate::link::{RelayOptions, RelayQuota};

/// How much of our connection others may use as a relay (RFC 6940 §9), if they reach us at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LentRelay {
    /// Kilobits in a second, both ways together; 0 lends nothing.
    #[serde(rename = "relay_kbit_per_s")]
    pub kbit_per_s: u32,
    /// Relayed addresses at a time. A call needs one or two.
    #[serde(rename = "relay_sessions")]
    pub sessions: u16,
}

impl Default for LentRelay {
    fn default() -> Self {
        Self { kbit_per_s: 4000, sessions: 128 }
    }
}

impl LentRelay {
    /// Whether anything is lent.
    pub fn is_something(self) -> bool {
        self.kbit_per_s > 0 && self.sessions > 0
    }

    /// The same for a node.
    pub(super) fn options(self) -> RelayOptions {
        let bytes_per_s = u64::from(self.kbit_per_s) * 1000 / 8;
        let quota = RelayQuota { sessions: self.sessions.into(), bytes_per_s };
        let lend = self.is_something().then_some(quota);
        RelayOptions { lend, ..RelayOptions::default() }
    }
}

#[cfg(test)]
mod tests {
    use crate::phone::Settings;

    #[test]
    fn what_is_lent_is_a_setting() {
        let settings: Settings = toml::from_str("relay_kbit_per_s = 800").expect("settings");
        let quota = settings.relay.options().lend.expect("something is lent");
        assert_eq!((quota.bytes_per_s, quota.sessions), (100_000, 128));
        let settings: Settings = toml::from_str("relay_kbit_per_s = 0").expect("settings");
        assert!(settings.relay.options().lend.is_none());
        assert!(Settings::default().relay.options().lend.is_some());
    }
}
