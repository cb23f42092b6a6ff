//! Making two pieces of sound into about one, so that hardly anybody hears it.

/// Joins two pieces of sound and leaves out about as much as the first is long: the join is
/// where the sound left out ends most like it began, so that voiced speech keeps its pitch.
pub(super) fn merge(first: &[f32], second: &[f32]) -> Vec<f32> {
    let sound = [first, second].concat();
    let overlap = (first.len() / 4).min(second.len() / 2);
    // Where the part left out may end: a quarter more or less than the first piece, which is
    // more than half a period of any voice.
    let spread = (first.len() / 4).min(second.len() - overlap.min(second.len()));
    let least = first.len() - spread.min(first.len());
    let most = (first.len() + spread).min(sound.len() - overlap.min(sound.len()));
    if overlap == 0 || least >= most {
        return second.to_vec();
    }
    let (before, _) = sound.split_at(overlap);
    let cut = (least..=most)
        .max_by(|a, b| {
            let likeness = |at: usize| likeness(before, &sound[at..at + overlap]);
            likeness(*a).total_cmp(&likeness(*b))
        })
        .unwrap_or(first.len());
    let joined =
        before.iter().zip(&sound[cut..cut + overlap]).enumerate().map(|(index, (a, b))| {
            let share = (index as f32 + 0.5) / overlap as f32;
            a * (1.0 - share) + b * share
        });
    joined.chain(sound[cut + overlap..].iter().copied()).collect()
}

/// Normalized correlation.
fn likeness(a: &[f32], b: &[f32]) -> f32 {
    let (mut product, mut power_a, mut power_b) = (0.0f32, 1e-9f32, 1e-9f32);
    for (a, b) in a.iter().zip(b) {
        product += a * b;
        power_a += a * a;
        power_b += b * b;
    }
    product / (power_a * power_b).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stays_a_tone() {
        // 130 Hz: its period does not divide 20 ms.
        let tone = |at: usize| (at as f32 * 130.0 * std::f32::consts::TAU / 48_000.0).sin();
        let sound: Vec<f32> = (0..1920).map(tone).collect();
        let merged = merge(&sound[..960], &sound[960..]);
        assert!((720..=1200).contains(&merged.len()), "{}", merged.len());
        let step_max = merged.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step_max < 0.02, "no click: {step_max}");
        let power = merged.iter().map(|s| s * s).sum::<f32>() / merged.len() as f32;
        assert!((0.45..0.55).contains(&power), "no cancellation: {power}");
    }

    #[test]
    fn odd_lengths_are_survived() {
        for (first, second) in [(0, 0), (0, 960), (960, 0), (1, 1), (480, 2880), (5760, 120)] {
            let _ = merge(&vec![0.1; first], &vec![0.1; second]);
        }
    }
}
