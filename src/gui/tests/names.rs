//! What the window says of a name beside how sure we are of it.

use super::*;

/// R7904-8.2.3-01: a name of another domain than its overlay is marked, and so is somebody who
/// has answered in the place of the one who was called.
#[test]
fn a_strange_domain_and_a_forwarded_call_are_marked() {
    for size in [WIDE, NARROW] {
        let mut snapshot = with_call(talking());
        let (mut harness, backend) = open(snapshot.clone(), size);
        assert!(harness.query_by_label(words::domain_unverified()).is_none());
        snapshot.calls[0].is_domain_unverified = true;
        snapshot.calls[0].forwarded_to = Some("carol@bank.example".into());
        tell(&mut harness, &backend, snapshot);
        harness.get_by_label(words::domain_unverified());
        harness.get_by_label("Forwarded to carol@bank.example");
    }
}
