//! Where peers are, and how long messages take between them.

use std::time::Duration;

use super::limits;
use crate::base::Rng;

/// Peers on a square; delay grows with distance.
#[derive(Debug)]
pub(super) struct Map {
    places: Vec<(f64, f64)>,
}

impl Map {
    /// Scatters `count` peers.
    pub(super) fn new(count: usize, rng: &mut Rng) -> Self {
        Self { places: (0..count).map(|_| (rng.unit(), rng.unit())).collect() }
    }

    /// How long a message takes from one peer to another.
    pub(super) fn one_way(&self, from: usize, to: usize) -> Duration {
        let (a, b) = (self.places[from], self.places[to]);
        let distance = ((a.0 - b.0).powi(2) + (a.1 - b.1).powi(2)).sqrt();
        let variable = limits::RTT_MEAN / 2 - limits::DELAY_MIN;
        limits::DELAY_MIN + variable.mul_f64(distance / DISTANCE_MEAN)
    }

    /// There and back.
    pub(super) fn round_trip(&self, a: usize, b: usize) -> Duration {
        2 * self.one_way(a, b)
    }
}

/// The mean distance of two points in a unit square.
const DISTANCE_MEAN: f64 = 0.521_405_433;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_round_trip_is_as_stated() {
        let map = Map::new(300, &mut Rng::from_number(1));
        let pairs = (0..300).flat_map(|a| (0..a).map(move |b| (a, b)));
        let trips: Vec<_> = pairs.map(|(a, b)| map.round_trip(a, b).as_secs_f64()).collect();
        let mean = trips.iter().sum::<f64>() / trips.len() as f64;
        let stated = limits::RTT_MEAN.as_secs_f64();
        assert!((mean / stated - 1.0).abs() < 0.05, "{mean} s");
        assert!(trips.iter().any(|t| *t > 1.5 * stated) && trips.iter().any(|t| *t < stated / 2.0));
    }
}
