//! What several tests share: folders, files, pictures, and numbers that do not come from the
//! generator under test.

#![allow(dead_code)] // each test file uses its own part

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use mnist_mlp::config::Config;
use mnist_mlp::data::batch::Batch;
use mnist_mlp::data::{Data, Dataset, Images};
use mnist_mlp::error::Result;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::Matrix;
use mnist_mlp::network::Network;
use mnist_mlp::training::schedule::Schedule;
use mnist_mlp::training::{self, Trained, Trainer};

/// The unit roundoff of f32: what rounding to nearest changes a number by, at most, relative to it.
pub const U: f64 = (f32::EPSILON / 2.0) as f64;

/// Half-width of the interval that a sound estimate leaves once in 1.7 million draws, in standard
/// errors. Seeds are fixed, so a test that has passed stays so.
pub const SIGMAS: f64 = 5.0;

/// The names of MNIST's files.
pub const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// A folder of a test's own, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(test: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("mnist-mlp-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// A folder in which the programs find `data` in `raw_data`.
    pub fn with_data(test: &str, data: &Data) -> Folder {
        let folder = Folder::new(test);
        fs::create_dir_all(folder.0.join("raw_data")).unwrap();
        for (names, Dataset { images, labels }) in NAMES.chunks(2).zip([&data.train, &data.test]) {
            let dims = [labels.len(), images.rows, images.columns].map(|size| size as u32);
            folder.file(&format!("raw_data/{}", names[0]), &idx_bytes(&dims, &images.pixels));
            folder.file(&format!("raw_data/{}", names[1]), &idx_bytes(&dims[..1], labels));
        }
        folder
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Checks that there is an error, and that its message has all of `parts`; returns it.
#[track_caller]
pub fn assert_error<T>(result: std::result::Result<T, impl ToString>, parts: &[&str]) -> String {
    let message = result.err().expect("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    message
}

/// Checks that a command has ended with exit code 1 and nothing but one message, which has all of
/// `parts`.
#[track_caller]
pub fn assert_refused(Output { status, stdout, stderr }: Output, parts: &[&str]) {
    let message = String::from_utf8(stderr).unwrap();
    assert_eq!(
        (status.code(), stdout.is_empty(), message.lines().count()),
        (Some(1), true, 1),
        "{message}"
    );
    assert!(message.starts_with("error: "), "{message}");
    assert_error::<()>(Err(message), parts);
}

/// An IDX file.
pub fn idx_bytes(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    bytes.extend(dims.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

/// Numbers in [-1, 1) from a linear congruential generator.
pub fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
    move || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

pub fn random_matrix(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut number = numbers(seed);
    Matrix::from_rows(rows, columns, &(0..rows * columns).map(|_| number()).collect::<Vec<f32>>())
}

pub fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// The weights and biases, layer by layer.
pub fn parameters(network: &Network) -> Vec<f32> {
    network
        .layers
        .iter()
        .flat_map(|layer| [layer.weight.to_vec(), layer.bias.clone()].concat())
        .collect()
}

/// The same, bit by bit.
pub fn network_bits(network: &Network) -> Vec<u32> {
    bits(&parameters(network))
}

/// The instruction sets that round a multiply-add once, which all give the same bits.
pub fn fused_cpus() -> Vec<Cpu> {
    Cpu::supported().into_iter().filter(|cpu| cpu.is_fused()).collect()
}

/// The mean, and its standard error if each value has this `variance`.
pub fn mean(values: impl IntoIterator<Item = f64>, variance: f64) -> (f64, f64) {
    let (count, sum) =
        values.into_iter().fold((0.0, 0.0), |(count, sum), x| (count + 1.0, sum + x));
    (sum / count, (variance / count).sqrt())
}

/// Checks that `values`, of this `variance`, have the mean `expected`.
#[track_caller]
pub fn assert_mean(
    what: &str,
    values: impl IntoIterator<Item = f64>,
    expected: f64,
    variance: f64,
) {
    let (mean, error) = mean(values, variance);
    assert!(
        (mean - expected).abs() <= SIGMAS * error,
        "{what}: {mean}, expected {expected} ± {error}"
    );
}

/// Checks that `counts` are of equally likely cells: χ² of `degrees` of freedom has that mean and
/// twice that variance.
#[track_caller]
pub fn assert_uniform(what: &str, counts: &[usize], degrees: usize) {
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    let chi_squared: f64 = counts.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
    let degrees = degrees as f64;
    // χ² has a longer tail than a Gaussian: this is passed by chance once in 200 draws at 1 degree,
    // in 10,000 at 20.
    assert!(
        chi_squared <= degrees + SIGMAS * (2.0 * degrees).sqrt(),
        "{what}: χ² {chi_squared} of {degrees}: {counts:?}"
    );
}

/// The real MNIST.
pub static MNIST: LazyLock<Data> = LazyLock::new(|| {
    Data::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("raw_data"), 10)
        .unwrap_or_else(|error| panic!("{error}"))
});

/// The first images of a set.
pub fn first(count: usize, set: &Dataset) -> Dataset {
    let images =
        Images { pixels: set.images.pixels[..count * set.images.size()].to_vec(), ..set.images };
    Dataset { images, labels: set.labels[..count].to_vec() }
}

/// Images of `rows × columns` noise, of `classes` by turns, each class with its own pixel lit.
pub fn pictures(count: usize, rows: usize, columns: usize, classes: usize) -> Dataset {
    let mut number = numbers(count as u64);
    let mut pixels: Vec<u8> =
        (0..count * rows * columns).map(|_| (number() * 60.0 + 60.0) as u8).collect();
    let labels: Vec<u8> = (0..count).map(|i| (i % classes) as u8).collect();
    for (image, &label) in pixels.chunks_mut(rows * columns).zip(&labels) {
        image[usize::from(label) * rows * columns / classes] = 255;
    }
    Dataset { images: Images { rows, columns, pixels }, labels }
}

/// Trains a network through all epochs, unwatched.
pub fn train(config: &Config, data: &Data, cpu: Cpu) -> Result<Trained> {
    training::fit(Trainer::new(config, &data.train, cpu)?, &data.test, &mut |_| Ok(()))
}

/// All of these images as a batch.
pub fn batch(cpu: Cpu, images: &Images) -> Batch {
    let mut batch = Batch::default();
    batch.load(cpu, images, 0..images.count());
    batch
}

/// Images of one row: noise, in which about this share of the pixels is background.
pub fn noise(count: usize, size: usize, background: f32, seed: u64) -> Images {
    let mut number = numbers(seed);
    let mut pixel =
        || if (number() + 1.0) / 2.0 < background { 0 } else { (number() * 127.0 + 128.5) as u8 };
    Images { rows: 1, columns: size, pixels: (0..count * size).map(|_| pixel()).collect() }
}

/// A training run of a small network.
pub fn small_config() -> Config {
    Config {
        hidden_layers: vec![9, 7],
        schedule: Schedule::Cosine,
        learning_rate: 0.1,
        dropout: 0.25,
        weight_decay: 1e-3,
        epochs: 2,
        ..Config::default()
    }
}

/// The same at a constant rate, and without regularisation.
pub fn plain_config() -> Config {
    Config {
        schedule: Schedule::Constant,
        learning_rate: 0.02,
        dropout: 0.0,
        weight_decay: 0.0,
        ..small_config()
    }
}
