//! Rings that are cut in two and come together again, and rings that lose many at once.

use std::time::Duration;

use super::net::Net;
use crate::peer::*;
use crate::storage::resource_id;

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// A ring in which everybody knows two bootstrap nodes and has published a registration.
fn registered(seed: u64, count: usize) -> Net {
    let mut net = Net::new(seed);
    net.is_traced = false;
    for node in 0..count {
        net.add();
        match node {
            0 => {
                net.command(node, Command::Found);
            }
            _ => {
                let addresses = vec![Net::address(0), Net::address(1)];
                net.command(node, Command::Join(addresses));
            }
        }
        net.run(Duration::from_millis(700));
    }
    net.run(seconds(90));
    assert_eq!(net.joined().len(), count);
    for node in 0..count {
        publish(&mut net, node);
    }
    net
}

fn publish(net: &mut Net, node: usize) {
    let spec = net.registration(node);
    let stored = net.ask(node, Command::Publish(spec));
    assert!(matches!(stored, Ok(Answer::Stored { .. })), "{node}: {stored:?}");
}

/// How many of these look-ups fail.
fn missed(net: &mut Net, from: &[usize], of: &[usize]) -> Vec<(usize, usize)> {
    let pairs = from.iter().flat_map(|from| of.iter().map(move |of| (*from, *of)));
    let pairs: Vec<_> = pairs.step_by(3).collect();
    let found = |net: &mut Net, (from, of)| net.fetch(from, of).is_ok_and(|f| f.values.len() == 1);
    pairs.into_iter().filter(|pair| !found(net, *pair)).collect()
}

/// R6940-10.7.4.4-01, R6940-10.7.4.4-02, R6940-10.7.3-01, R6940-10.7.3-02: a ring that is cut into
/// halves goes on as two, and when it can be, it is one again and has kept what either half had
/// acknowledged.
#[test]
fn halves_live_on_and_merge() {
    for (seed, count) in [(71, 32), (72, 48)] {
        let mut net = registered(seed, count);
        let halves: [Vec<usize>; 2] =
            [0, 1].map(|half| (0..count).filter(|node| node % 2 == half).collect());
        for a in &halves[0] {
            for b in &halves[1] {
                net.walls.insert((*a, *b));
                net.cut_between(*a, *b);
            }
        }
        net.run(seconds(120));
        // New users on both sides.
        let mut new = [0; 2];
        for half in 0..2 {
            new[half] = net.add();
            net.join(new[half], half);
            let others = halves[1 - half].clone();
            net.walls.extend(others.into_iter().map(|other| (new[half], other)));
        }
        net.walls.insert((new[0], new[1]));
        net.run(seconds(20));
        for node in new {
            publish(&mut net, node);
        }
        for half in 0..2 {
            assert!(missed(&mut net, &halves[half], &[new[half]]).is_empty(), "half {half}");
        }
        net.run(seconds(400));
        net.walls.clear();
        net.run(seconds(1500));
        net.assert_ring(3);
        assert_eq!(net.joined().len(), count + 2);
        let all: Vec<usize> = net.joined();
        assert_eq!(missed(&mut net, &all, &all), [], "seed {seed}");
    }
}

/// R6940-10.7.1-01, R6940-10.7.1-06, R6940-10.7.3-05: three in ten die at once; whatever one of
/// its three holders has kept is found, and has three copies again.
#[test]
fn a_mass_death_costs_only_what_nobody_kept() {
    for seed in [81, 82, 83] {
        let count = 40;
        let mut net = registered(seed, count);
        net.run(seconds(10));
        let kept: Vec<Vec<usize>> = (0..count).map(|of| holders(&net, of)).collect();
        let dead: Vec<usize> = (2..count).filter(|node| node % 10 > 6).collect();
        for victim in &dead {
            net.kill(*victim);
        }
        net.run(seconds(60));
        net.assert_ring(3);
        net.run(seconds(60));
        let survives = |of: &usize| kept[*of].iter().any(|holder| !dead.contains(holder));
        let kept: Vec<usize> = (0..count).filter(survives).collect();
        assert!(kept.len() > count * 8 / 10);
        let alive = net.joined();
        assert_eq!(missed(&mut net, &alive, &kept), [], "seed {seed}");
        for of in kept {
            assert_eq!(holders(&net, of).len(), 3, "of {of}, seed {seed}");
        }
    }
}

/// The living peers that keep the registration of a node's user.
fn holders(net: &Net, of: usize) -> Vec<usize> {
    let resource = resource_id(net.user(of).as_bytes());
    let holds = |node: &usize| net.peer(*node).storage().holds(&resource);
    net.joined().into_iter().filter(holds).collect()
}
