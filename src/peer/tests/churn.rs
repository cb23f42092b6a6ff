//! Random joins, good-byes, deaths and losses; then peace, in which everything must be well.

use std::time::Duration;

use super::net::Net;
use crate::base::Rng;
use crate::peer::*;

/// R6940-10.7-03, R6940-10.7.3-01, R6940-10.7.3-02, R6940-10.7.3-07: after every kind of trouble
/// the ring is one, and every living user is found from everywhere.
#[test]
fn after_trouble_comes_order() {
    for seed in 0..6 {
        churn(1000 + seed);
    }
}

fn churn(seed: u64) {
    let mut rng = Rng::from_number(seed);
    let mut net = Net::ring(seed, 10);
    net.is_traced = false;
    for node in net.joined() {
        let spec = net.registration(node);
        net.command(node, Command::Publish(spec));
    }
    net.run(Duration::from_secs(2));
    net.loss_permille = rng.below(30);
    for _ in 0..30 {
        let joined = net.joined();
        let some = joined[rng.below(joined.len() as u64) as usize];
        // Node 0 is everybody's bootstrap node and founded the overlay, so it stays.
        match rng.below(5) {
            0 if joined.len() > 6 && some != 0 => net.kill(some),
            1 if joined.len() > 6 && some != 0 => {
                net.command(some, Command::Leave);
            }
            2 if some != 0 => net.cut_between(some, 0),
            _ => {
                let node = net.add();
                net.join(node, 0);
                let spec = net.registration(node);
                net.command(node, Command::Publish(spec));
            }
        }
        net.run(Duration::from_millis(200 + rng.below(9000)));
    }
    net.loss_permille = 0;
    net.run(Duration::from_secs(1500));
    net.assert_ring(3);
    let joined = net.joined();
    for of in &joined {
        for from in joined.iter().step_by(3) {
            let found = net.fetch(*from, *of).expect("an answer").values.len();
            assert_eq!(found, 1, "{from} looks for {of}, seed {seed}");
        }
        let resource = crate::storage::resource_id(net.user(*of).as_bytes());
        let alive = net.peers.iter().flatten().filter(|p| p.is_joined());
        let copies = alive.filter(|p| p.storage().holds(&resource));
        assert_eq!(copies.count(), 3, "copies of {of}, seed {seed}");
    }
    let alive = net.peers.iter().flatten().filter(|p| p.links() > 0).count();
    assert_eq!(alive, joined.len(), "nobody is left half joined, seed {seed}");
}
