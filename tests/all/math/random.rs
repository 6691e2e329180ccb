//! Random numbers: what they are used for, and that they are as random as they claim.
//!
//! Every bound is `SIGMAS` standard errors of the estimate, computed from the distribution that is
//! claimed.

use std::collections::HashSet;

use crate::common::{assert_mean, assert_uniform};
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::network::layer::{Initialisation, Linear};
use proptest::prelude::*;

const STREAMS: [Stream; 3] = [Stream::Initialisation, Stream::Shuffle, Stream::Dropout];
const COUNT: usize = 1_000_000;

fn rng(seed: u64) -> Rng {
    Rng::new(seed, Stream::Shuffle)
}

// ---- The generator -----------------------------------------------------------------------------

#[test]
fn no_number_comes_again_and_every_bit_is_set_half_the_time() {
    let mut rng = rng(1);
    let numbers: Vec<u64> = (0..COUNT).map(|_| rng.next_u64()).collect();
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), COUNT);
    for bit in 0..64 {
        assert_mean(
            &format!("bit {bit}"),
            numbers.iter().map(|x| (x >> bit & 1) as f64),
            0.5,
            0.25,
        );
    }
}

/// E uᵏ = 1/(k + 1), and so the variance of uᵏ is 1/(2k + 1) - 1/(k + 1)².
#[test]
fn uniform_numbers_have_their_moments_and_range() {
    let mut rng = rng(2);
    let u: Vec<f64> = (0..COUNT).map(|_| rng.uniform()).collect();
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    for k in 1..=4 {
        let moment = |k: i32| 1.0 / f64::from(k + 1);
        let powers = u.iter().map(|u| u.powi(k));
        assert_mean(&format!("moment {k}"), powers, moment(k), moment(2 * k) - moment(k).powi(2));
    }
    let mut cells = [0; 1000];
    u.iter().for_each(|u| cells[(u * 1000.0) as usize] += 1);
    assert_uniform("cells", &cells, 999);
    for lag in 1..=3 {
        let products = u.iter().zip(&u[lag..]).map(|(a, b)| (a - 0.5) * (b - 0.5));
        assert_mean(&format!("correlation at {lag}"), products, 0.0, 1.0 / 144.0);
    }
}

/// E x², x⁴, x⁶, x⁸ are 1, 3, 15, 105; those of odd powers are 0.
#[test]
fn normal_numbers_have_their_moments_and_tails() {
    let mut rng = rng(3);
    let x: Vec<f64> = (0..COUNT).map(|_| rng.normal()).collect();
    // The smallest 1 - u is 2⁻⁵³.
    assert!(x.iter().all(|x| x.abs() <= (2.0 * 53.0 * 2.0_f64.ln()).sqrt()));
    for (k, moment, of_square) in [(1, 0.0, 1.0), (2, 1.0, 3.0), (3, 0.0, 15.0), (4, 3.0, 105.0)] {
        assert_mean(
            &format!("moment {k}"),
            x.iter().map(|x| x.powi(k)),
            moment,
            of_square - moment * moment,
        );
    }
    // 2·(1 - Φ(t)), from any table of the normal distribution.
    for (t, share) in
        [(0.5, 0.617_075), (1.0, 0.317_311), (2.0, 0.045_500), (3.0, 0.002_700), (4.0, 6.334e-5)]
    {
        let beyond = x.iter().map(|x| f64::from(u8::from(x.abs() > t)));
        assert_mean(&format!("beyond {t}"), beyond, share, share * (1.0 - share));
    }
    for lag in 1..=3 {
        let products = x.iter().zip(&x[lag..]).map(|(a, b)| a * b);
        assert_mean(&format!("correlation at {lag}"), products, 0.0, 1.0);
        // A radius that neighbours shared would show here: x² has the variance 2.
        let squares = x.iter().zip(&x[lag..]).map(|(a, b)| (a * a - 1.0) * (b * b - 1.0));
        assert_mean(&format!("correlation of squares at {lag}"), squares, 0.0, 4.0);
    }
}

#[test]
fn numbers_below_a_bound_are_equally_likely() {
    let mut rng = rng(4);
    for bound in [2, 3, 7, 10, 64, 1000] {
        let mut counts = vec![0; bound];
        (0..200_000).for_each(|_| counts[rng.below(bound)] += 1);
        assert_uniform(&format!("below {bound}"), &counts, bound - 1);
    }
    assert!((0..100).all(|_| rng.below(1) == 0));
    assert!((0..100).all(|_| rng.below(usize::MAX) < usize::MAX));
}

// ---- Order -------------------------------------------------------------------------------------

proptest! {
    #[test]
    fn a_shuffle_is_a_permutation(length in 0..300usize, seed in any::<u64>()) {
        let mut items: Vec<usize> = (0..length).collect();
        rng(seed).shuffle(&mut items);
        items.sort_unstable();
        prop_assert_eq!(items, (0..length).collect::<Vec<_>>());
    }
}

/// Of 4 items all 24 orders are equally likely; of 10, every item is in every place.
#[test]
fn every_order_is_equally_likely() {
    let mut rng = rng(5);
    let mut orders = [0; 256];
    for _ in 0..50_000 {
        let mut items = [0, 1, 2, 3];
        rng.shuffle(&mut items);
        orders[items.iter().fold(0, |number, item| number * 4 + item)] += 1;
    }
    let orders: Vec<usize> = orders.into_iter().filter(|&n| n > 0).collect();
    assert_eq!(orders.len(), 24);
    assert_uniform("orders", &orders, 23);

    let mut places = [0; 100];
    for _ in 0..20_000 {
        let mut items: [usize; 10] = std::array::from_fn(|i| i);
        rng.shuffle(&mut items);
        items.iter().enumerate().for_each(|(place, item)| places[place * 10 + item] += 1);
    }
    // The rows and the columns of the table are fixed, which leaves 9 · 9.
    assert_uniform("places", &places, 81);
}

// ---- Seeds -------------------------------------------------------------------------------------

#[test]
fn neighbouring_seeds_and_streams_have_nothing_in_common() {
    let seeds: Vec<u64> = (0..1000)
        .flat_map(|i| [i, u64::MAX - i, 1 << (i % 64)])
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let start = |seed, stream| {
        let mut rng = Rng::new(seed, stream);
        [0; 4].map(|_: u64| rng.next_u64())
    };
    let starts: Vec<u64> = seeds
        .iter()
        .flat_map(|&seed| STREAMS.map(|stream| start(seed, stream)))
        .flatten()
        .collect();
    assert_eq!(starts.iter().collect::<HashSet<_>>().len(), starts.len());
    assert_eq!(start(1, Stream::Dropout), start(1, Stream::Dropout));

    // Two unrelated numbers of 64 bits differ in 32 of them, with the variance of 64 coins: 16.
    let differing =
        |a: [u64; 4], b: [u64; 4]| (0..4).map(move |i| f64::from((a[i] ^ b[i]).count_ones()));
    let seeds = (0..1000).chain(u64::MAX - 1000..u64::MAX);
    let by_seed = seeds
        .clone()
        .flat_map(|s| STREAMS.map(|p| differing(start(s, p), start(s + 1, p))))
        .flatten();
    assert_mean("seeds", by_seed, 32.0, 16.0);
    let [a, b, c] = STREAMS;
    let by_stream = seeds
        .flat_map(|s| [(a, b), (b, c), (c, a)].map(|(p, q)| differing(start(s, p), start(s, q))))
        .flatten();
    assert_mean("streams", by_stream, 32.0, 16.0);
}

/// This seed was found by going backwards from 64 set bits: the largest number that there is.
#[test]
fn the_largest_uniform_number_is_below_one() {
    const SEED: u64 = 0x4d45_bc39_3cf8_a2cd;
    assert_eq!(rng(SEED).next_u64(), u64::MAX);
    assert_eq!(rng(SEED).uniform(), 1.0 - f64::EPSILON / 2.0);
    assert_eq!(rng(SEED).below(10), 9);
    assert!(rng(SEED).normal().is_finite());
}

/// The seed that the mixing of seed and stream maps to zero, where xorshift would stay for ever. It
/// goes to 1, from where the numbers are those of Marsaglia's shifts 12, 25, 27 and Vigna's
/// multiplier, computed elsewhere.
#[test]
fn no_seed_is_stuck_at_zero() {
    for stream in STREAMS {
        let seed = 0_u64.wrapping_sub((stream as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut rng = Rng::new(seed, stream);
        let known = [0x47e4_ce4b_896c_dd1d, 0xabcf_a6a8_e079_651d, 0xb9d1_0d8f_eb73_1f57];
        assert_eq!([0; 3].map(|_: u64| rng.next_u64()), known);
        assert_eq!(
            (0..1000).map(|_| rng.next_u64()).filter(|&x| x != 0).collect::<HashSet<_>>().len(),
            1000
        );
    }
}

// ---- Initialisation ----------------------------------------------------------------------------

/// N(0, deviation²), by its first four moments.
#[track_caller]
fn assert_normal(what: &str, values: &[f32], deviation: f64) {
    let x = || values.iter().map(|&x| f64::from(x) / deviation);
    for (k, moment, of_square) in [(1, 0.0, 1.0), (2, 1.0, 3.0), (3, 0.0, 15.0), (4, 3.0, 105.0)] {
        assert_mean(
            &format!("{what}, moment {k}"),
            x().map(|x| x.powi(k)),
            moment,
            of_square - moment * moment,
        );
    }
}

/// For weights and biases alike, but for He's biases. Flat and tall layers, so that fan_in and
/// fan_out can't be mistaken for each other, and the widest have enough biases for a narrow bound.
#[test]
fn initial_weights_and_biases_have_the_spread_of_their_rule() {
    for (fan_in, fan_out) in [(784, 128), (128, 64), (3, 40_000), (2000, 10)] {
        let rng = || Rng::new(1, Stream::Initialisation);
        let xavier = (2.0 / (fan_in + fan_out) as f64).sqrt();
        let he = (2.0 / fan_in as f64).sqrt();
        for (initialisation, deviation) in [
            (Initialisation::Normal, 0.02),
            (Initialisation::Xavier, xavier),
            (Initialisation::He, he),
        ] {
            let layer = Linear::new(fan_in, fan_out, initialisation, &mut rng());
            assert_eq!(
                (layer.weight.rows(), layer.weight.columns(), layer.bias.len()),
                (fan_in, fan_out, fan_out)
            );
            let what = format!("{initialisation:?} {fan_in} × {fan_out}");
            assert_normal(&format!("{what} weight"), &layer.weight.to_vec(), deviation);
            match initialisation {
                Initialisation::He => {
                    assert!(layer.bias.iter().all(|b| b.to_bits() == 0), "{what} bias")
                }
                _ => assert_normal(&format!("{what} bias"), &layer.bias, deviation),
            }
            assert_ne!(layer.bias, layer.weight.to_vec()[..fan_out], "biases are drawn anew");
        }
        let zero = Linear::new(fan_in, fan_out, Initialisation::Zero, &mut rng());
        assert!(zero.weight.iter().chain(&zero.bias).all(|w| w.to_bits() == 0), "not even a sign");
    }
}
