//! What tells the page that a drawing is unlike what the network was trained on.

use crate::common::pictures;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::output::doubt::Likeness;

fn network(widths: &[usize]) -> Network {
    let mut rng = Rng::new(1, Stream::Initialisation);
    Network::new(widths, Activation::Tanh, Initialisation::Xavier, &mut rng, Cpu::best())
}

/// By their definitions, with a cell for each pixel.
#[test]
fn means_and_factors_are_those_of_the_images_that_are_not_held_out() {
    let (set, classes) = (pictures(90, 2, 3, 3), 3);
    let Likeness { grid, scales, limit, means, factors } =
        Likeness::new(&set, &network(&[6, 4, 3])).unwrap();
    assert_eq!(grid, [2, 3]);
    assert!(
        limit.is_finite()
            && scales.iter().all(|[median, spread]| median.is_finite() && *spread > 0.0)
    );
    for class in 0..classes {
        let of_class = |i: &usize| i % 6 != 5 && usize::from(set.labels[*i]) == class;
        let xs: Vec<Vec<f64>> = (0..90)
            .filter(of_class)
            .map(|i| set.images.image(i).iter().map(|&p| f64::from(p) / 255.0).collect())
            .collect();
        let mean_of = |value: &dyn Fn(&[f64]) -> f64| {
            xs.iter().map(|x| value(x)).sum::<f64>() / xs.len() as f64
        };
        let mean: Vec<f64> = (0..6).map(|i| mean_of(&|x| x[i])).collect();
        let covariance = |i: usize, j: usize| mean_of(&|x| (x[i] - mean[i]) * (x[j] - mean[j]));
        let ridge = 0.1 * (0..6).map(|i| covariance(i, i)).sum::<f64>() / 6.0 + 1e-3;
        let factor = |i: usize, j: usize| f64::from(factors[class * 21 + i * (i + 1) / 2 + j]);
        for i in 0..6 {
            assert!((f64::from(means[class * 6 + i]) - mean[i]).abs() < 1e-6);
            for j in 0..=i {
                let product: f64 = (0..=j).map(|k| factor(i, k) * factor(j, k)).sum();
                let expected = covariance(i, j) + if i == j { ridge } else { 0.0 };
                assert!((product - expected).abs() < 1e-6, "{product} for {expected}");
            }
        }
    }
}

#[test]
fn the_numbers_stay_few_and_finite_whatever_the_images_and_classes() {
    for (count, rows, columns, classes) in
        [(100, 28, 28, 10), (300, 1, 40, 2), (300, 9, 9, 256), (6, 5, 5, 10)]
    {
        let set = pictures(count, rows, columns, classes);
        let likeness = Likeness::new(&set, &network(&[rows * columns, classes])).unwrap();
        assert!(likeness.factors.len() <= 51_000);
        assert!(
            likeness.means.iter().chain(&likeness.factors).all(|x| x.is_finite())
                && likeness.limit.is_finite()
        );
    }
    // Without an image held out there is no limit.
    assert_eq!(Likeness::new(&pictures(5, 4, 4, 2), &network(&[16, 2])), None);
}
