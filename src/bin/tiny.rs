//! The whole program in plain loops, to be read first: from the files to the test accuracy. The
//! rest of `src/` does it faster and shows what comes of it; the weights are the same to within
//! rounding. Left out: dropout, momentum, deformed images. `compare` also runs the fast program.

use mnist_mlp::data::{Data, gzip::gunzip};
use mnist_mlp::math::{kernels::Cpu, rng::Rng, rng::Stream};
use mnist_mlp::network::{activation::Activation, loss::Loss};
use mnist_mlp::output::progress::{Console, duration};
use mnist_mlp::training::{self, Trainer, schedule::Schedule};
use mnist_mlp::{command, config::Config, error::Error, error::Result, session};
use std::{path::Path, process::ExitCode, time::Instant};

/// A list of rows: `a[i][j]` is in row i and column j.
type Matrix = Vec<Vec<f32>>;

/// Images, one a row, and their labels.
type Set = (Matrix, Vec<u8>);

/// Reads a set. A pixel p, from 0 (background) to 255, becomes x = (p − 127.5) / 255, from −½ to ½.
pub fn read_set(folder: &Path, name: &str) -> Result<Set> {
    let pixels = read_idx(&folder.join(format!("{name}-images-idx3-ubyte.gz")))?;
    let x: Vec<f32> = pixels.iter().map(|&p| (f32::from(p) - 127.5) / 255.0).collect();
    let labels = read_idx(&folder.join(format!("{name}-labels-idx1-ubyte.gz")))?;
    Ok((x.chunks(28 * 28).map(<[f32]>::to_vec).collect(), labels))
}

/// The values in a gzipped IDX file, after 0, 0, 8, the number of dimensions, and their sizes.
fn read_idx(path: &Path) -> Result<Vec<u8>> {
    let file = std::fs::read(path).map_err(|error| Error::reading(path, &error))?;
    match &gunzip(&file, 1 << 26).unwrap_or_default()[..] {
        [0, 0, 8, dimensions, rest @ ..] => Ok(rest[4 * usize::from(*dimensions)..].to_vec()),
        _ => Err(Error::new(path.display(), "no IDX file", "a gzipped one", "fetch it again")),
    }
}

/// C = A·B: c_ij is the sum over k of a_ik·b_kj. In the order i, k, j the innermost loop runs along
/// a row of B and a row of C, and the compiler makes vector instructions of it.
fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut c = vec![vec![0.0; b[0].len()]; a.len()];
    for (a_i, c_i) in a.iter().zip(&mut c) {
        for (a_ik, b_k) in a_i.iter().zip(b) {
            for (b_kj, c_ij) in b_k.iter().zip(&mut *c_i) {
                *c_ij += a_ik * b_kj;
            }
        }
    }
    c
}

fn transpose(a: &Matrix) -> Matrix {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// A fully connected layer: z = x·W + b.
pub struct Layer {
    pub(crate) weight: Matrix, // W: fan_in × fan_out
    pub(crate) bias: Vec<f32>, // b: fan_out
}

/// The activation a = f(z) of the hidden layers, and its derivative f′(z).
fn activate(activation: Activation, z: f32) -> (f32, f32) {
    let sigmoid = 1.0 / (1.0 + (-z).exp());
    match activation {
        Activation::Sigmoid => (sigmoid, sigmoid * (1.0 - sigmoid)),
        Activation::Tanh => (z.tanh(), 1.0 - z.tanh().powi(2)),
        Activation::ReLU => (z.max(0.0), if z > 0.0 { 1.0 } else { 0.0 }),
        Activation::SiLU => (z * sigmoid, sigmoid + z * sigmoid * (1.0 - sigmoid)),
    }
}

/// Each layer's x (the batch, then what the layer before makes of it) and its z.
fn forward(layers: &[Layer], activation: Activation, batch: Matrix) -> (Vec<Matrix>, Vec<Matrix>) {
    let mut xs = vec![batch];
    let mut zs = vec![];
    for (l, layer) in layers.iter().enumerate() {
        let mut z = product(&xs[l], &layer.weight);
        for row in &mut z {
            row.iter_mut().zip(&layer.bias).for_each(|(z, b)| *z += b);
        }
        let mut a = z.clone();
        a.iter_mut().flatten().for_each(|a| *a = activate(activation, *a).0);
        xs.push(a); // the last is not used: softmax takes the place of f
        zs.push(z);
    }
    (xs, zs)
}

/// The loss L of an image, from the last layer's z, and ∂L/∂z. Softmax is part of both.
fn loss_and_gradient(loss: Loss, z: &[f32], label: usize) -> (f32, Vec<f32>) {
    // Softmax: pⱼ = e^zⱼ / Σ e^z. Subtracting the largest z changes nothing but avoids overflow.
    let largest = z.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = z.iter().map(|z| (z - largest).exp()).sum();
    let p: Vec<f32> = z.iter().map(|z| (z - largest).exp() / sum).collect();
    let mut error = p.clone(); // p − t: the target t is 1 for the label and 0 for the other classes
    error[label] -= 1.0;
    match loss {
        // L = −ln p of the label; ∂L/∂z = p − t.
        Loss::CrossEntropy => (-p[label].ln(), error),
        // L = Σ (p − t)² / n, for n classes; ∂L/∂p = 2·(p − t) / n; ∂L/∂z = p·(∂L/∂p − Σ p·∂L/∂p).
        Loss::MeanSquaredError => {
            let n = p.len() as f32;
            let mean: f32 = p.iter().zip(&error).map(|(p, error)| p * 2.0 * error / n).sum();
            let dz = p.iter().zip(&error).map(|(p, error)| p * (2.0 * error / n - mean)).collect();
            (error.iter().map(|error| error * error / n).sum(), dz)
        }
    }
}

/// A step of gradient descent on the images at these indices; returns the sum of their losses.
fn train_step(layers: &mut [Layer], config: &Config, rate: f32, set: &Set, batch: &[usize]) -> f32 {
    let (images, labels) = set;
    let x = batch.iter().map(|&i| images[i].clone()).collect();
    let (xs, zs) = forward(layers, config.activation, x);
    let mut total_loss = 0.0;
    let mut dz = vec![];
    for (z, &i) in zs[layers.len() - 1].iter().zip(batch) {
        let (loss, gradient) = loss_and_gradient(config.loss, z, labels[i].into());
        total_loss += loss;
        dz.push(gradient);
    }
    // Backward, by the chain rule. dz is ∂L/∂z, an image in each row; dw is ∂L/∂W, their sum.
    for l in (0..layers.len()).rev() {
        let dw = product(&transpose(&xs[l]), &dz);
        let db = transpose(&dz).into_iter().map(|column| column.iter().sum::<f32>());
        if l > 0 {
            dz = product(&dz, &transpose(&layers[l].weight)); // ∂L/∂x; x is f(z) of layer l − 1
            for (dz, z) in dz.iter_mut().flatten().zip(zs[l - 1].iter().flatten()) {
                *dz *= activate(config.activation, *z).1;
            }
        }
        // Update. The L2 penalty, λ/2·Σ w², adds λ·w to the gradient.
        for (w, dw) in layers[l].weight.iter_mut().flatten().zip(dw.iter().flatten()) {
            *w -= rate * (dw + config.weight_decay * *w);
        }
        layers[l].bias.iter_mut().zip(db).for_each(|(b, db)| *b -= rate * db);
    }
    total_loss
}

/// Trains a new network; returns its layers and the mean loss of an image, as its batch found it.
pub fn train(config: &Config, set: &Set, out: &mut Console) -> Result<(Vec<Layer>, f64)> {
    let (images, labels) = set;
    let mut rng = Rng::new(config.seed, Stream::Initialisation);
    let mut layers = vec![];
    let mut fan_in = images[0].len();
    for &fan_out in config.hidden_layers.iter().chain([&config.classes]) {
        let (of_weight, of_bias) = config.initialisation.standard_deviations(fan_in, fan_out);
        let mut weight = vec![vec![0.0; fan_out]; fan_in];
        weight.iter_mut().flatten().for_each(|w| *w = (of_weight * rng.normal()) as f32);
        let bias = (0..fan_out).map(|_| (of_bias * rng.normal()) as f32).collect();
        layers.push(Layer { weight, bias });
        fan_in = fan_out;
    }
    let mut rng = Rng::new(config.seed, Stream::Shuffle);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    let iterations = labels.len().div_ceil(config.batch_size); // of an epoch
    let total = config.epochs * iterations;
    let mut total_loss = 0.0;
    let start = Instant::now();
    for epoch in 0..config.epochs {
        rng.shuffle(&mut order);
        for (i, batch) in (epoch * iterations..).zip(order.chunks(config.batch_size)) {
            let rate = config.schedule.rate(config.learning_rate, i, total, iterations);
            total_loss += f64::from(train_step(&mut layers, config, rate, set, batch));
            let eta = start.elapsed().as_secs_f64() * (total - i - 1) as f64 / (i + 1) as f64;
            out.live(|| format!("plain loops: batch {} of {total}, ETA {}", i + 1, duration(eta)))?;
        }
    }
    Ok((layers, total_loss / (config.epochs * labels.len()) as f64))
}

/// The share of images whose label has the largest z, and so the largest probability.
fn accuracy(layers: &[Layer], config: &Config, (x, labels): Set) -> f64 {
    let (_, zs) = forward(layers, config.activation, x);
    let rows = zs[layers.len() - 1].iter().zip(&labels);
    let correct = rows.filter(|(z, label)| z.iter().all(|&other| other <= z[usize::from(**label)]));
    correct.count() as f64 / labels.len() as f64
}

/// An epoch and a test on one core, with the fast program and then in plain loops.
fn compare(out: &mut Console) -> Result<()> {
    let config = Config { epochs: 1, schedule: Schedule::Constant, ..Config::default() };
    let data = Data::load(&config.data, config.classes)?;
    let line = |name, seconds: f64, accuracy| {
        let accuracy = session::with_standard_error(accuracy, data.test.labels.len());
        format!("{name:16} {seconds:6.2} s, test accuracy {accuracy}")
    };
    let trainer = Trainer::new(&config, &data.train, Cpu::best())?;
    let fast = training::fit(trainer, &data.test, &mut |_| Ok(()))?;
    out.line(&line("the fast program", fast.history[0].seconds, fast.test_accuracy()))?;
    let set = read_set(&config.data, "train")?;
    let start = Instant::now();
    let (layers, _) = train(&config, &set, out)?;
    let accuracy = accuracy(&layers, &config, read_set(&config.data, "t10k")?);
    out.line(&line("in plain loops", start.elapsed().as_secs_f64(), accuracy))
}

fn main() -> ExitCode {
    command::without_arguments(|| compare(&mut Console::stdout()))
}
