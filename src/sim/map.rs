//! Where peers are, and how long messages take between them.

use std::time::Duration;

use super::limits;
use crate::base::Rng;

/// Peers on a square; delay grows with distance.
#[derive(Debug, Default)]
pub(super) struct Map {
    places: Vec<(f32, f32)>,
}

impl Map {
    /// Puts the next peer somewhere.
    pub(super) fn add(&mut self, rng: &mut Rng) {
        self.places.push((rng.unit() as f32, rng.unit() as f32));
    }

    /// Puts the next peer somewhere in the western half, or in the eastern.
    pub(super) fn add_in_half(&mut self, is_west: bool, rng: &mut Rng) {
        let offset = if is_west { 0.0 } else { 0.5 };
        self.places.push((offset + rng.unit() as f32 / 2.0, rng.unit() as f32));
    }

    /// Whether a peer is in the western half, which a partition cuts off from the eastern.
    pub(super) fn is_west(&self, peer: u32) -> bool {
        self.places[peer as usize].0 < 0.5
    }

    /// How long a message takes from one peer to another.
    pub(super) fn one_way(&self, from: u32, to: u32) -> Duration {
        let (a, b) = (self.places[from as usize], self.places[to as usize]);
        let distance = f64::from((a.0 - b.0).powi(2) + (a.1 - b.1).powi(2)).sqrt();
        let variable = limits::RTT_MEAN / 2 - limits::DELAY_MIN;
        limits::DELAY_MIN + variable.mul_f64(distance / DISTANCE_MEAN)
    }

    /// There and back.
    pub(super) fn round_trip(&self, a: u32, b: u32) -> Duration {
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
        let mut rng = Rng::from_number(1);
        let mut map = Map::default();
        (0..300).for_each(|_| map.add(&mut rng));
        let pairs = (0..300).flat_map(|a| (0..a).map(move |b| (a, b)));
        let trips: Vec<_> = pairs.map(|(a, b)| map.round_trip(a, b).as_secs_f64()).collect();
        let mean = trips.iter().sum::<f64>() / trips.len() as f64;
        let stated = limits::RTT_MEAN.as_secs_f64();
        assert!((mean / stated - 1.0).abs() < 0.05, "{mean} s");
        assert!(trips.iter().any(|t| *t > 1.5 * stated) && trips.iter().any(|t| *t < stated / 2.0));
    }

    #[test]
    fn a_place_can_be_asked_for_in_either_half() {
        let mut rng = Rng::from_number(1);
        let mut map = Map::default();
        (0..100).for_each(|n| map.add_in_half(n % 2 == 0, &mut rng));
        assert!((0..100).all(|n| map.is_west(n) == (n % 2 == 0)));
    }
}
