//! What tells the page that a drawing is unlike all that the network was trained on: a second,
//! small network. It reads the first one's activations in all hidden layers, and is trained to tell
//! those of training images from those of as many made-up ones ([`fake`]). Its limit is set on
//! training images that had no part in that.

use crate::config::Config;
use crate::data::deformation::{Deformation, Deformer};
use crate::data::{Dataset, Images};
use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;
use crate::network::Network;
use crate::network::activation::Activation;
use crate::network::layer::Initialisation;
use crate::output::fakes::fake;
use crate::training::Trainer;
use crate::training::schedule::Schedule;

/// The most training images that it is trained on; its limit is set on at most half as many.
const MOST_IMAGES: usize = 20_000;
/// The most activations that it reads: with more, the page would be too large.
const MOST_UNITS: usize = 4_000;
/// The share of the images held out that are not in doubt.
const SURE: f64 = 0.99;
/// Images that are made and read at once.
const CHUNK: usize = 1_000;

/// The second network, what it reads and what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// The mean of each activation over training images, and its standard deviation.
    pub scales: [Vec<f32>; 2],
    /// From an image's activations, as bytes, to two classes: training images, and others.
    pub network: Network,
    /// Where the probability of the second class exceeds this, the image is in doubt.
    pub limit: f32,
}

impl Doubt {
    /// Of the training images and the network trained on them. None where it would say nothing:
    /// without hidden layers or with too many units for the page, and of fewer than three images.
    pub fn new(Dataset { images, .. }: &Dataset, network: &Network, seed: u64) -> Option<Doubt> {
        let Images { rows, columns, .. } = *images;
        let size = images.size();
        let cpu = network.cpu;
        let known = (images.count() * 2 / 3).min(MOST_IMAGES);
        let (known_pixels, others) = images.pixels.split_at(known * size);
        let held_out = &others[..others.len().min(MOST_IMAGES / 2 * size)];
        let as_images = |pixels: &[u8]| Images { rows, columns, pixels: pixels.to_vec() };

        let first = network.hidden(&as_images(&known_pixels[..known.min(CHUNK) * size]));
        let units = first.columns();
        if known == 0 || !(1..=MOST_UNITS).contains(&units) {
            return None;
        }
        let scales = scales(&first);
        let read = |images: &Images| as_bytes(&network.hidden(images), &scales);
        let strengths = Deformation { shift: 0.5, ..Deformation::default() };
        let deformer = Deformer::new(strengths, seed, cpu, rows, columns).ok()?;
        let deform = |images: &Images, epoch| {
            let mut deformed = images.clone();
            deformer.deform_all(cpu, epoch, images, &mut deformed);
            deformed
        };
        let mut pixels = vec![];
        let mut fakes = vec![];
        for (n, known) in known_pixels.chunks(CHUNK * size).enumerate() {
            let mut images = as_images(known);
            // Every second chunk stays as it is.
            pixels.extend(match n % 2 {
                0 => read(&images),
                _ => read(&deform(&images, 2 * n)),
            });
            cpu.each(images.pixels.chunks_exact_mut(size).enumerate(), |(i, pixels)| {
                pixels.copy_from_slice(&fake([rows, columns], seed, n * CHUNK + i));
            });
            fakes.extend(read(&deform(&images, 2 * n + 1)));
        }
        pixels.append(&mut fakes);
        let labels = (0..2 * known).map(|i| u8::from(i >= known)).collect();
        let set = Dataset { images: Images { rows: 1, columns: units, pixels }, labels };
        let second = trained(&set, seed, cpu)?;

        let pixels = held_out.chunks(CHUNK * size).flat_map(|pixels| read(&as_images(pixels)));
        let images = Images { rows: 1, columns: units, pixels: pixels.collect() };
        let probabilities = second.predict(&images);
        let mut doubts: Vec<f32> = (0..images.count()).map(|i| probabilities.row(i)[1]).collect();
        doubts.sort_by(f32::total_cmp);
        let limit = *doubts.get((SURE * doubts.len() as f64) as usize)?;
        Some(Doubt { scales, network: second, limit })
    }
}

/// The second network, trained; None if its weights have grown without bounds.
fn trained(set: &Dataset, seed: u64, cpu: Cpu) -> Option<Network> {
    let config = Config {
        hidden_layers: vec![64],
        classes: 2,
        activation: Activation::ReLU,
        initialisation: Initialisation::He,
        schedule: Schedule::Cosine,
        learning_rate: 0.004,
        momentum: 0.9,
        weight_decay: 0.0,
        batch_size: 64.min(set.labels.len()),
        epochs: 10,
        seed,
        ..Config::default()
    };
    let mut trainer = Trainer::new(&config, set, cpu).ok()?;
    for _ in 0..config.epochs {
        trainer.train_epoch(|_| Ok(())).ok()?;
    }
    Some(trainer.network).filter(Network::is_finite)
}

/// The mean and the standard deviation of each column, a little more where it is constant.
fn scales(activations: &Matrix) -> [Vec<f32>; 2] {
    let count = activations.rows() as f32;
    let mut means = vec![0.0; activations.columns()];
    let mut deviations = means.clone();
    for i in 0..activations.rows() {
        means.iter_mut().zip(activations.row(i)).for_each(|(mean, a)| *mean += a / count);
    }
    for i in 0..activations.rows() {
        for ((square, mean), a) in deviations.iter_mut().zip(&means).zip(activations.row(i)) {
            *square += (a - mean).powi(2) / count;
        }
    }
    deviations.iter_mut().for_each(|square| *square = square.sqrt() + 0.01);
    [means, deviations]
}

/// Each activation as a byte, row after row: its mean in the middle, 40 to a standard deviation.
fn as_bytes(activations: &Matrix, [means, deviations]: &[Vec<f32>; 2]) -> Vec<u8> {
    let row = |i: usize| activations.row(i).iter().zip(means.iter().zip(deviations));
    let byte = |(a, (mean, deviation)): (&f32, (&f32, &f32))| {
        (127.5 + 40.0 * ((a - mean) / deviation)).round() as u8
    };
    (0..activations.rows()).flat_map(|i| row(i).map(byte)).collect()
}
