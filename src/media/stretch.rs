//! Making a piece of sound a little shorter or longer, so that hardly anybody hears it: a period
//! of the voice is left out or said twice.

/// Appends `sound` to `out` without one of its periods, if it has one of at most `most` samples;
/// `hurry` takes whatever fits best.
pub(super) fn shorten(sound: &[f32], most: usize, hurry: bool, out: &mut impl Extend<f32>) {
    let Some(period) = period(sound, most, hurry) else {
        out.extend(sound.iter().copied());
        return;
    };
    let (first, rest) = sound.split_at(period);
    blend(first, rest, out);
    out.extend(rest[period..].iter().copied());
}

/// Appends `sound` to `out` with one of its periods twice, if it has one.
pub(super) fn lengthen(sound: &[f32], out: &mut impl Extend<f32>) {
    let Some(period) = period(sound, LONGEST, false) else {
        out.extend(sound.iter().copied());
        return;
    };
    let (first, rest) = sound.split_at(period);
    out.extend(first.iter().copied());
    blend(rest, first, out);
    out.extend(rest.iter().copied());
}

/// The shortest and the longest period looked for, in samples at 48 kHz: 2.5 to 10 ms, a voice's
/// 400 to 100 Hz; deeper ones are found in their first overtone.
const SHORTEST: usize = 120;
const LONGEST: usize = 480;
/// The search looks at every fourth sample first.
const COARSE: usize = 4;
/// How alike two periods must be that one of them is not missed.
const LIKENESS_MIN: f32 = 0.6;
/// Mean power below which everything is alike: -50 dB.
const QUIET: f32 = 1e-5;

/// One after the other of the same length, from `first` to `second`.
fn blend(first: &[f32], second: &[f32], out: &mut impl Extend<f32>) {
    let pairs = first.iter().zip(second).enumerate();
    let length = first.len().min(second.len()) as f32;
    out.extend(pairs.map(|(index, (a, b))| {
        let share = (index as f32 + 0.5) / length;
        a * (1.0 - share) + b * share
    }));
}

/// The length, at most `most`, after which the sound repeats itself best.
fn period(sound: &[f32], most: usize, hurry: bool) -> Option<usize> {
    let most = most.min(LONGEST);
    if sound.len() < 2 * LONGEST || most < SHORTEST {
        return None;
    }
    let power = sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32;
    if power < QUIET {
        return Some(most);
    }
    let fit = |at: usize, step: usize| (at, likeness(&sound[..LONGEST], &sound[at..], step));
    let better = |a: (usize, f32), b: (usize, f32)| if b.1 > a.1 { b } else { a };
    let coarse = (SHORTEST..=most).step_by(COARSE).map(|at| fit(at, COARSE)).reduce(better)?.0;
    let near = (coarse - COARSE + 1).max(SHORTEST)..=(coarse + COARSE - 1).min(most);
    let (at, likeness) = near.map(|at| fit(at, 1)).reduce(better)?;
    (hurry || likeness >= LIKENESS_MIN).then_some(at)
}

/// Normalised correlation of every `step`th sample.
fn likeness(a: &[f32], b: &[f32], step: usize) -> f32 {
    let (mut product, mut power_a, mut power_b) = (0.0f32, 1e-9f32, 1e-9f32);
    for (a, b) in a.iter().step_by(step).zip(b.iter().step_by(step)) {
        product += a * b;
        power_a += a * a;
        power_b += b * b;
    }
    product / (power_a * power_b).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hertz: f32, from: usize) -> Vec<f32> {
        let step = hertz * std::f32::consts::TAU / 48_000.0;
        (from..from + 960).map(|at| (at as f32 * step).sin() * 0.3).collect()
    }

    fn step_max(sound: &[f32]) -> f32 {
        sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
    }

    fn power(sound: &[f32]) -> f32 {
        sound.iter().map(|s| s * s).sum::<f32>() / sound.len() as f32
    }

    /// A tone stays the tone that it was, also where it meets what comes before and behind.
    #[test]
    fn a_tone_stays_a_tone() {
        for hertz in [130.0, 210.0, 333.0] {
            let (before, sound) = (tone(hertz, 0), tone(hertz, 960));
            let (mut short, mut long) = (before.clone(), before);
            shorten(&sound, usize::MAX, false, &mut short);
            lengthen(&sound, &mut long);
            short.extend(tone(hertz, 1920));
            long.extend(tone(hertz, 1920));
            assert!((2400..=2760).contains(&short.len()), "{hertz}: {}", short.len());
            assert!((3000..=3360).contains(&long.len()), "{hertz}: {}", long.len());
            for sound in [short, long] {
                let ratio = step_max(&sound) / step_max(&tone(hertz, 0));
                assert!(ratio < 1.5, "{hertz}: a click of {ratio}");
                assert!((0.035..0.055).contains(&power(&sound)), "{hertz}: {}", power(&sound));
            }
        }
    }

    #[test]
    fn noise_is_left_alone_unless_it_hurries_and_silence_never_is() {
        let mut rng = crate::base::Rng::from_number(1);
        let noise: Vec<f32> = (0..960).map(|_| rng.unit() as f32 - 0.5).collect();
        let length = |sound: &[f32], most, hurry| {
            let mut out = Vec::new();
            shorten(sound, most, hurry, &mut out);
            out.len()
        };
        assert_eq!(length(&noise, usize::MAX, false), 960);
        assert!(length(&noise, usize::MAX, true) < 900);
        assert_eq!(length(&[0.0; 960], usize::MAX, false), 480);
        assert_eq!(length(&[0.0; 960], 200, false), 760, "no more than was asked for");
    }

    #[test]
    fn odd_lengths_are_survived() {
        for length in [0, 1, 120, 959, 960, 5760] {
            let mut out = Vec::new();
            shorten(&vec![0.1; length], 480, true, &mut out);
            lengthen(&vec![0.1; length], &mut out);
        }
    }
}
