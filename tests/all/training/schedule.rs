//! The learning-rate schedules against their formulas, by whole numbers wherever those will do.

use mnist_mlp::training::schedule::Schedule::{self, Constant, Cosine, Cycle, Step};

const RATE: f32 = 0.02;

/// Checks a rate that is rounded to f32 once; near the end of a cosine, f64 cancels to 10⁻¹⁶ of the
/// rate.
#[track_caller]
fn assert_rate(schedule: Schedule, (i, total, epoch): (usize, usize, usize), expected: f64) {
    let rate = f64::from(schedule.rate(RATE, i, total, epoch));
    let bound = f64::from(f32::EPSILON) * expected + 1e-15 * f64::from(RATE);
    assert!(
        (rate - expected).abs() <= bound,
        "{schedule:?} at {i} of {total}, {epoch}: {rate}, expected {expected}"
    );
}

/// Runs of one to ten epochs, of few and of many iterations, and MNIST's own.
fn runs() -> Vec<(usize, usize)> {
    let small =
        (1..=10).flat_map(|epochs| [1, 2, 3, 5, 8, 63].map(|epoch| (epochs * epoch, epoch)));
    small.chain([(37_500, 3750), (75_000, 3750), (11 * 3750, 3750)]).collect()
}

#[test]
fn every_iteration_of_every_schedule() {
    let top = f64::from(RATE);
    for (total, epoch) in runs() {
        for i in 0..total {
            let at = (i, total, epoch);
            assert_eq!(Constant.rate(RATE, i, total, epoch), RATE);
            assert_rate(Step, at, top / [1.0, 10.0, 100.0][3 * i / total]);
            // (1 + cos 2α) / 2 = cos² α = sin² (π/2 - α)
            let left = std::f64::consts::FRAC_PI_2 * (total - i) as f64 / total as f64;
            assert_rate(Cosine, at, top * left.sin().powi(2));
            let from_the_valley = (i % (2 * epoch)).min(2 * epoch - i % (2 * epoch));
            assert_rate(Cycle, at, top * (0.01 + 0.99 * from_the_valley as f64 / epoch as f64));
        }
    }
}
