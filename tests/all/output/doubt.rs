//! What tells the page that a drawing is unlike what the network was trained on.

use std::collections::BTreeSet;

use crate::common::noise;
use mnist_mlp::data::{Dataset, Images};
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::output::doubt::Doubt;
use mnist_mlp::output::fakes::fake;

fn network(widths: &[usize], cpu: Cpu) -> Network {
    let mut rng = Rng::new(1, Stream::Initialisation);
    Network::new(widths, Activation::Tanh, Initialisation::Xavier, &mut rng, cpu)
}

fn set(images: Images) -> Dataset {
    Dataset { labels: vec![0; images.count()], images }
}

/// Whether each image is in doubt, by the definition.
fn in_doubt(doubt: &Doubt, network: &Network, images: &Images) -> Vec<bool> {
    let activations = network.hidden(images);
    let [means, deviations] = &doubt.scales;
    let byte = |(i, a): (usize, &f32)| {
        let level = 127.5 + 40.0 * ((a - means[i]) / deviations[i]);
        level.round().clamp(0.0, 255.0) as u8
    };
    let rows = (0..images.count()).map(|i| activations.row(i).iter().enumerate().map(byte));
    let read = Images { rows: 1, columns: means.len(), pixels: rows.flatten().collect() };
    let probabilities = doubt.network.predict(&read);
    (0..images.count()).map(|i| probabilities.row(i)[1] > doubt.limit).collect()
}

/// Noise on one side, made-up drawings on the other.
#[test]
fn one_in_a_hundred_images_is_in_doubt_and_most_drawings_are() {
    let set = set(Images { rows: 12, columns: 12, ..noise(900, 144, 0.3, 3) });
    let network = network(&[144, 20, 10, 3], Cpu::best());
    let doubt = Doubt::new(&set, &network, 1).unwrap();
    assert_eq!(doubt.network.widths(), [30, 64, 2]);
    let count = |images: &Images| in_doubt(&doubt, &network, images).iter().filter(|x| **x).count();
    // The limit is set on the last third: of 300 images the highest 3, less the limit itself.
    let held_out = Images { pixels: set.images.pixels[600 * 144..].to_vec(), ..set.images };
    assert_eq!(count(&held_out), 2);
    let fakes = (5000..5200).flat_map(|number| fake([12, 12], 1, number)).collect();
    assert!(count(&Images { pixels: fakes, ..set.images }) > 150);
}

#[test]
fn it_does_not_depend_on_the_threads() {
    let set = set(noise(300, 60, 0.5, 4));
    let of = |threads| {
        let doubt = Doubt::new(&set, &network(&[60, 9, 2], Cpu::best().on_threads(threads)), 1);
        let Doubt { scales, network, limit } = doubt.unwrap();
        (scales, network.layers, limit)
    };
    assert!(of(1) == of(3));
}

#[test]
fn where_it_would_say_nothing_there_is_none() {
    let doubt = |count, widths: &[usize]| {
        Doubt::new(&set(noise(count, widths[0], 0.5, 5)), &network(widths, Cpu::best()), 1)
    };
    assert!(doubt(3, &[16, 4, 2]).is_some());
    assert!(doubt(1, &[16, 4, 2]).is_none());
    assert!(doubt(30, &[16, 2]).is_none());
    assert!(doubt(3, &[16, 4001, 2]).is_none());
}

/// Of images of any size, however small.
#[test]
fn made_up_drawings_fill_five_sevenths_of_the_image_and_differ() {
    for (rows, columns) in [(28, 28), (40, 60), (100, 100), (1, 40), (3, 2), (1, 1)] {
        let side = rows.min(columns);
        let images: BTreeSet<Vec<u8>> =
            (0..200).map(|number| fake([rows, columns], 7, number)).collect();
        assert!(side < 28 || images.len() == 200);
        let extent = |pixels: &Vec<u8>| {
            assert_eq!(pixels.len(), rows * columns);
            let of = |place: &dyn Fn(usize) -> usize| {
                let places = || (0..rows * columns).filter(|i| pixels[*i] > 0).map(place);
                places().max().unwrap_or(0) - places().min().unwrap_or(0) + 1
            };
            of(&|i| i / columns).max(of(&|i| i % columns))
        };
        let extents: Vec<usize> = images.iter().map(extent).collect();
        // Pixels at the edge are half inked. A few scribbles are no more than a dot.
        let full = side * 5 / 7..=side * 5 / 7 + 2;
        let count = extents.iter().filter(|extent| full.contains(extent)).count();
        let largest = extents.iter().max();
        assert!(side < 28 || count > 180 && largest <= Some(full.end()), "{count}, {largest:?}");
    }
}
