//! Registrations over time (RFC 7904 §3.1).

use std::collections::BTreeSet;
use std::time::Duration;

use super::net::Net;
use crate::peer::*;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// R7904-3.1-01: how long a registration lives is the lifetime of the stored value: it is stored
/// again after half to three quarters of that, whatever it is, and who does not store it again
/// can't be reached once it has passed.
#[test]
fn a_registration_lives_as_long_as_its_value() {
    for lifetime_s in [120, 1200] {
        let mut net = Net::ring(91, 6);
        let (owner, reader) = (2, 5);
        let spec = StoreSpec { lifetime_s, ..net.registration(owner) };
        net.ask(owner, Command::Publish(spec)).expect("stored");
        let lifetime = u64::from(lifetime_s);
        let mut times = BTreeSet::new();
        for _ in 0..80 {
            net.run(seconds(lifetime / 8));
            let fetched = net.fetch(reader, owner).expect("an answer");
            let [value] = &fetched.values[..] else { panic!("{fetched:?}") };
            times.insert(value.storage_time_ms);
        }
        let gaps: Vec<u64> = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b - a).collect();
        let expected = 500 * lifetime - 1000..=750 * lifetime + 2000;
        assert!(gaps.len() >= 12 && gaps.iter().all(|gap| expected.contains(gap)), "{gaps:?}");

        net.kill(owner);
        net.run(seconds(lifetime / 8));
        assert_eq!(net.fetch(reader, owner).expect("an answer").values.len(), 1);
        net.run(seconds(lifetime));
        assert!(net.fetch(reader, owner).expect("an answer").values.is_empty());
    }
}
