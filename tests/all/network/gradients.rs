//! Every gradient against central finite differences, taken in f64 of a plain reference of our own.
//!
//! # Tolerances
//! In f64, a difference with step h is wrong by about h²·f‴/6 + 2⁻⁵³·f/h: with h = 10⁻⁵ and f up to
//! 10, under 10⁻⁹. What remains is the f32 rounding of the code under test. Each of its roundings
//! changes a number by at most u = 2⁻²⁴ of it, and numbers here are about 1 or less: inputs,
//! weights and activations are within ±1, and a sum of products that is larger than 1 has a
//! gradient to match. On the way from the input to an element of a gradient and back lie fewer than
//! ROUNDINGS of them, none of them amplified: the derivative of an activation is at most 1.1, and
//! the Jacobian of softmax is no larger than 1/2. So an element may be off by ROUNDINGS·u =
//! 1.5·10⁻⁵ at the very worst, while the gradients are of the size 0.01 to 1.

use crate::common::{self, U, batch, bits, noise, numbers, parameters, random_matrix};
use mnist_mlp::data::Images;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::math::matrix::{Matrix, sum_rows};
use mnist_mlp::math::rng::{Rng, Stream};
use mnist_mlp::network::Network;
use mnist_mlp::network::activation::{Activation, softmax};
use mnist_mlp::network::dropout::Dropout;
use mnist_mlp::network::layer::{Initialisation, Input, Linear, Step, Velocity};
use mnist_mlp::network::loss::Loss;
use proptest::prelude::*;

const ROUNDINGS: f64 = 256.0;

const LOSSES: [Loss; 2] = [Loss::CrossEntropy, Loss::MeanSquaredError];

/// ∂f/∂x for each element of x.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const H: f64 = 1e-5;
    let mut moved = x.to_vec();
    let mut at = |i: usize, to: f64| {
        moved[i] = to;
        let value = f(&moved);
        moved[i] = x[i];
        value
    };
    (0..x.len()).map(|i| (at(i, x[i] + H) - at(i, x[i] - H)) / (2.0 * H)).collect()
}

#[track_caller]
fn assert_near(what: &str, found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (&f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(f) - e).abs() <= ROUNDINGS * U, "{what} at {i}: {f}, expected {e}");
    }
}

fn widen(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| f64::from(x)).collect()
}

fn dot(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
}

// ---- The reference -----------------------------------------------------------------------------

/// X·W + b of one row; `weight` is `fan_in × fan_out`, row after row.
fn linear(x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let column =
        |j: usize| x.iter().enumerate().map(|(i, x)| x * weight[i * bias.len() + j]).sum::<f64>();
    (0..bias.len()).map(|j| column(j) + bias[j]).collect()
}

fn activate(activation: Activation, z: f64) -> f64 {
    match activation {
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::Tanh => z.tanh(),
        Activation::ReLU => z.max(0.0),
        Activation::SiLU => z / (1.0 + (-z).exp()),
    }
}

fn loss_of_logits(loss: Loss, z: &[f64], label: u8) -> f64 {
    let sum = z.iter().map(|z| z.exp()).sum::<f64>();
    let label = usize::from(label);
    let error = |(j, z): (usize, &f64)| z.exp() / sum - f64::from(u8::from(j == label));
    match loss {
        Loss::CrossEntropy => sum.ln() - z[label],
        Loss::MeanSquaredError => {
            z.iter().enumerate().map(|z| error(z).powi(2)).sum::<f64>() / z.len() as f64
        }
    }
}

/// What training minimises on one batch, as a function of all weights and biases, layer after
/// layer: the sum of the images' losses, and λ/2 of the sum of squared weights.
struct Objective<'a> {
    pixels: &'a Matrix,
    labels: &'a [u8],
    activation: Activation,
    /// A mask, `batch × width`, for each hidden layer, and whether it is for the activations.
    masks: &'a [Matrix],
    after_activation: bool,
    loss: Loss,
    weight_decay: f64,
}

impl Objective<'_> {
    fn value(&self, mut parameters: &[f64]) -> f64 {
        let mut batch: Vec<Vec<f64>> =
            (0..self.pixels.rows()).map(|i| shifted(self.pixels.row(i))).collect();
        let mut penalty = 0.0;
        for (l, pair) in WIDTHS.windows(2).enumerate() {
            let (weight, rest) = parameters.split_at(pair[0] * pair[1]);
            let (bias, rest) = rest.split_at(pair[1]);
            parameters = rest;
            penalty += self.weight_decay / 2.0 * weight.iter().map(|w| w * w).sum::<f64>();
            for (i, x) in batch.iter_mut().enumerate() {
                *x = linear(x, weight, bias);
                for (z, &mask) in
                    x.iter_mut().zip(self.masks.get(l).map_or(&[][..], |mask| mask.row(i)))
                {
                    let [before, after] =
                        if self.after_activation { [1.0, mask] } else { [mask, 1.0] };
                    *z = activate(self.activation, *z * f64::from(before)) * f64::from(after);
                }
            }
        }
        assert!(parameters.is_empty());
        batch
            .iter()
            .zip(self.labels)
            .map(|(z, &label)| loss_of_logits(self.loss, z, label))
            .sum::<f64>()
            + penalty
    }
}

fn shifted(pixels: &[f32]) -> Vec<f64> {
    pixels.iter().map(|&p| f64::from(p) - 0.5).collect()
}

// ---- The network under test --------------------------------------------------------------------

const WIDTHS: [usize; 4] = [6, 5, 4, 3];

/// A network whose weights are large enough that every path through it matters.
fn network(cpu: Cpu, activation: Activation) -> Network {
    let mut rng = Rng::new(1, Stream::Initialisation);
    let mut network = Network::new(&WIDTHS, activation, Initialisation::Zero, &mut rng, cpu);
    let mut number = numbers(1);
    for layer in &mut network.layers {
        layer.weight.iter_mut().chain(&mut layer.bias).for_each(|w| *w = number());
    }
    network
}

/// The weights that `steps` leave, each on the same batch.
fn after(
    network: &Network,
    (images, labels): (&Images, &[u8]),
    loss: Loss,
    mut dropout: Option<&mut Dropout>,
    steps: &[Step],
) -> Vec<f32> {
    let mut after = network.clone();
    let mut buffers = network.buffers();
    let zeros = |pair: &[usize]| Velocity::zeros(pair[0], pair[1]);
    let mut velocities: Vec<Velocity> =
        WIDTHS.windows(2).filter(|_| steps[0].momentum > 0.0).map(zeros).collect();
    for &step in steps {
        buffers.batch.load(network.cpu, images, 0..images.count());
        after.train_step(&mut buffers, labels, loss, dropout.as_deref_mut(), step, &mut velocities);
    }
    parameters(&after)
}

/// The rate is a power of two: dividing by it adds no error.
const STEP: Step = Step { learning_rate: 0.5, decay: 0.0, momentum: 0.0 };

/// The masks that training draws from a generator in this state.
fn masks(mut dropout: Dropout, batch: usize) -> Vec<Matrix> {
    let hidden = WIDTHS[1..WIDTHS.len() - 1].iter();
    let mask = |&width: &usize| {
        let mut mask = Matrix::default();
        dropout.forward(Cpu::best(), &mut Matrix::zeros(batch, width), &mut mask);
        mask
    };
    hidden.map(mask).collect()
}

/// Both losses and all activations, with and without decay, without dropout and with it on either
/// side of the activation.
#[test]
fn a_step_of_the_whole_network_goes_down_the_objective() {
    let images = noise(5, WIDTHS[0], 0.5, 2);
    let labels = [0, 2, 1, 1, 2];
    let pixels = batch(Cpu::best(), &images).pixels().clone();
    for (cpu, activation) in
        Cpu::supported().into_iter().flat_map(|k| Activation::ALL.map(|a| (k, a)))
    {
        let network = network(cpu, activation);
        for (loss, decay) in LOSSES.into_iter().flat_map(|loss| [(loss, 0.0), (loss, 0.0625)]) {
            for (p, after_activation) in [(0.0, false), (0.25, false), (0.25, true)] {
                let mut dropout =
                    Dropout { p, after_activation, rng: Rng::new(7, Stream::Dropout) };
                let masks = masks(dropout.clone(), labels.len());
                let pixels = &pixels;
                let labels = &labels[..];
                let masks = &masks[..];
                let weight_decay = f64::from(decay / STEP.learning_rate);
                let objective = Objective {
                    pixels,
                    labels,
                    activation,
                    masks,
                    after_activation,
                    loss,
                    weight_decay,
                };
                let expected = differences(&widen(&parameters(&network)), |x| objective.value(x));
                assert!(
                    expected.iter().filter(|g| g.abs() > 0.001).count() > expected.len() / 3,
                    "{expected:?}"
                );
                let dropout = (p > 0.0).then_some(&mut dropout);
                let step = Step { decay, ..STEP };
                let after = after(&network, (&images, labels), loss, dropout, &[step]);
                let pairs = parameters(&network).into_iter().zip(after);
                let found: Vec<f32> =
                    pairs.map(|(before, after)| (before - after) / step.learning_rate).collect();
                let what = format!(
                    "{cpu}, {activation:?}, {loss:?}, decay {decay}, dropout {p}, \
                     {after_activation}"
                );
                assert_near(&what, &found, &expected);
            }
        }
    }
}

/// The second step is down the objective where the first has led, and μ times the first again.
#[test]
fn momentum_takes_a_share_of_the_last_step_again() {
    let images = noise(5, WIDTHS[0], 0.5, 2);
    let labels = [0, 2, 1, 1, 2];
    let pixels = batch(Cpu::best(), &images).pixels().clone();
    let step = Step { learning_rate: 0.125, decay: 0.25, momentum: 0.75 };
    for cpu in Cpu::supported() {
        let network = network(cpu, Activation::Tanh);
        let steps = |steps: &[Step]| {
            widen(&after(&network, (&images, &labels), Loss::CrossEntropy, None, steps))
        };
        let [one, two] = [steps(&[step]), steps(&[step, step])];
        // Without momentum: the same first step, and from there the second.
        let plain = Step { momentum: 0.0, ..step };
        assert_near(
            "the first step",
            &one.iter().map(|&w| w as f32).collect::<Vec<_>>(),
            &steps(&[plain]),
        );
        let start = widen(&parameters(&network));
        let no_dropout =
            Dropout { p: 0.0, after_activation: false, rng: Rng::new(7, Stream::Dropout) };
        let objective = Objective {
            pixels: &pixels,
            labels: &labels,
            activation: Activation::Tanh,
            masks: &masks(no_dropout, labels.len()),
            after_activation: false,
            loss: Loss::CrossEntropy,
            weight_decay: 0.0,
        };
        let gradient = differences(&one, |x| objective.value(x));
        let is_weight = network.layers.iter().flat_map(|layer| {
            let count = layer.weight.iter().count();
            (0..count + layer.bias.len()).map(move |i| i < count)
        });
        let expected = is_weight.enumerate().map(|(i, is_weight)| {
            let kept = if is_weight { 1.0 - f64::from(step.decay) } else { 1.0 };
            let first = one[i] - start[i]; // the decay is part of it, as of a gradient
            kept * one[i] - f64::from(step.learning_rate) * gradient[i]
                + f64::from(step.momentum) * first
        });
        let found: Vec<f32> = two.iter().map(|&w| w as f32).collect();
        assert_near(&format!("{cpu}"), &found, &expected.collect::<Vec<_>>());
    }
}

/// Back through a layer, as training goes: the input gradient, unless the input is pixels, then the
/// step.
fn backward(
    layer: &mut Linear,
    cpu: Cpu,
    input: Input,
    d: &mut Matrix,
    dx: &mut Matrix,
    scratch: &mut [Matrix; 2],
) {
    if let Input::Activations(_) = input {
        layer.input_gradient(cpu, d, dx, scratch);
    }
    layer.update(cpu, input, d, STEP, None, &mut scratch[0]);
}

/// With no gradient, weights shrink by the share lr·λ and biases stay as they are, bit by bit.
/// Of more images than evaluation takes at once.
#[test]
fn hidden_activations_lie_side_by_side() {
    let images = noise(100, WIDTHS[0], 0.5, 3);
    let network = network(Cpu::best().on_threads(2), Activation::SiLU);
    let hidden = network.hidden(&images);
    let p = batch(Cpu::best(), &images).pixels().clone();
    for i in 0..images.count() {
        let mut x = shifted(p.row(i));
        let mut expected = vec![];
        for Linear { weight, bias } in &network.layers[..network.layers.len() - 1] {
            x = linear(&x, &widen(&weight.to_vec()), &widen(bias));
            x.iter_mut().for_each(|z| *z = activate(Activation::SiLU, *z));
            expected.extend(&x);
        }
        assert_eq!(hidden.columns(), expected.len());
        assert_near("hidden activations", hidden.row(i), &expected);
    }
}

#[test]
fn decay_is_for_weights_alone() {
    for cpu in Cpu::supported() {
        let mut layer =
            Linear { weight: random_matrix(9, 7, 1), bias: random_matrix(1, 7, 2).to_vec() };
        let x = random_matrix(4, 9, 3);
        let pixels = batch(cpu, &noise(4, 9, 0.5, 3));
        for input in [Input::Activations(&x), Input::Pixels(&pixels, &Matrix::zeros(1, 7))] {
            let before = layer.clone();
            let step = Step { decay: 0.125, ..STEP };
            layer.update(cpu, input, &mut Matrix::zeros(4, 7), step, None, &mut Matrix::default());
            assert_eq!(bits(&layer.bias), bits(&before.bias), "{cpu}");
            for (w, before) in layer.weight.iter().zip(before.weight.iter()) {
                assert_eq!(*w, 0.875 * before, "{cpu}");
            }
        }
    }
}

/// What is too small to change a weight goes no further, so that nothing has to compute with
/// subnormal numbers.
#[test]
fn tiny_gradients_are_dropped() {
    for cpu in Cpu::supported() {
        let mut layer = Linear { weight: random_matrix(9, 7, 1), bias: vec![0.0; 7] };
        let x = random_matrix(4, 9, 3);
        let pixels = batch(cpu, &noise(4, 9, 0.5, 3));
        for (size, remains) in [(1e-23, true), (1e-25, false), (1e-40, false)] {
            for input in [Input::Activations(&x), Input::Pixels(&pixels, &Matrix::zeros(1, 7))] {
                let (mut d, mut input_gradient) =
                    (Matrix::from_rows(4, 7, &[size; 28]), Matrix::default());
                d.row_mut(2)[3] = -size;
                backward(
                    &mut layer,
                    cpu,
                    input,
                    &mut d,
                    &mut input_gradient,
                    &mut Default::default(),
                );
                let numbers = d.iter().chain(input_gradient.iter());
                assert!(numbers.copied().all(|x| (x != 0.0) == remains), "{cpu}, {size}");
            }
        }
    }
}

// ---- Layer by layer ----------------------------------------------------------------------------

proptest! {
    /// With L = Σ D∘(X·W + b), ∂L/∂Z is D itself.
    #[test]
    fn linear_gradients(
        (batch, fan_in, fan_out) in (1..5usize, 1..8usize, 1..8usize), seed in any::<u64>(),
    ) {
        let x = random_matrix(batch, fan_in, seed ^ 1);
        let d = random_matrix(batch, fan_out, seed ^ 2);
        let bias = random_matrix(1, fan_out, seed ^ 4).to_vec();
        let layer = Linear { weight: random_matrix(fan_in, fan_out, seed ^ 3), bias };
        let weight = widen(&layer.weight.to_vec());
        let bias = widen(&layer.bias);
        let sum = |x: &[f64], weight: &[f64], bias: &[f64]| {
            let z = |i: usize| linear(&x[i * fan_in..][..fan_in], weight, bias);
            (0..batch).map(|i| dot(&z(i), d.row(i))).sum::<f64>()
        };
        let mut column_sums = Matrix::default();
        sum_rows(&layer.weight, &mut column_sums);
        let images = common::batch(Cpu::best(), &noise(batch, fan_in, 0.5, seed ^ 1));
        for pixels in [false, true] {
            let activations = &x;
            let x = if pixels { shifted(&images.pixels().to_vec()) } else { widen(&x.to_vec()) };
            let rows: Vec<f64> = x.chunks(fan_in).flat_map(|x| linear(x, &weight, &bias)).collect();
            let by_x = differences(&x, |x| sum(x, &weight, &bias));
            let by_weight = differences(&weight, |weight| sum(&x, weight, &bias));
            let by_bias = differences(&bias, |bias| sum(&x, &weight, bias));
            for cpu in Cpu::supported() {
                // Buffers that are used again hold something of another shape.
                let [mut output, mut input_gradient, scratch1, scratch2] =
                    [9, 8, 7, 6].map(|rows| random_matrix(rows, 3, 5));
                let mut scratch = [scratch1, scratch2];
                let mut after = layer.clone();
                let mut d = d.clone();
                let input = match pixels {
                    true => Input::Pixels(&images, &column_sums),
                    false => Input::Activations(activations),
                };
                layer.forward(cpu, input, &mut output, &mut scratch[0]);
                assert_near("output", &output.to_vec(), &rows);
                backward(&mut after, cpu, input, &mut d, &mut input_gradient, &mut scratch);
                if !pixels {
                    assert_near("by the input", &input_gradient.to_vec(), &by_x);
                    let shape = (input_gradient.rows(), input_gradient.columns());
                    prop_assert_eq!(shape, (batch, fan_in));
                }
                let gradient = |before: &[f32], after: &[f32]| {
                    let pairs = before.iter().zip(after);
                    pairs.map(|(before, after)| (before - after) / 0.5).collect::<Vec<f32>>()
                };
                let weights = gradient(&layer.weight.to_vec(), &after.weight.to_vec());
                assert_near("by the weight", &weights, &by_weight);
                assert_near("by the bias", &gradient(&layer.bias, &after.bias), &by_bias);
            }
        }
    }

    #[test]
    fn activation_gradients(
        mut z in prop::collection::vec(-10.0..10.0_f32, 1..40), seed in any::<u64>()
    ) {
        // ReLU has no derivative at 0, and the differences reach 1e-5 to both sides.
        z.iter_mut().filter(|z| z.abs() < 1e-4).for_each(|z| *z = 1e-4);
        let d = random_matrix(1, z.len(), seed);
        for activation in Activation::ALL {
            let expected = differences(&widen(&z), |z| {
                dot(&z.iter().map(|&z| activate(activation, z)).collect::<Vec<_>>(), d.row(0))
            });
            for cpu in Cpu::supported() {
                let z = Matrix::from_rows(1, z.len(), &z);
                let mut a = Matrix::default();
                let mut gradient = d.clone();
                activation.forward(cpu, &z, &mut a);
                activation.backward(cpu, &z, &a, &mut gradient);
                assert_near(&format!("{activation:?} by z"), gradient.row(0), &expected);
            }
        }
    }

    #[test]
    fn loss_gradients(
        z in prop::collection::vec(-5.0..5.0_f32, 2..20), label in any::<prop::sample::Index>(),
    ) {
        let label = label.index(z.len()) as u8;
        for loss in LOSSES {
            let value = loss_of_logits(loss, &widen(&z), label);
            let expected = differences(&widen(&z), |z| loss_of_logits(loss, z, label));
            for cpu in Cpu::supported() {
                let mut p = Matrix::from_rows(1, z.len(), &z);
                softmax(cpu, &mut p);
                let found = loss.loss_and_gradient_in_place(&mut p, &[label]);
                prop_assert!((found - value).abs() <= ROUNDINGS * U, "{:?}", loss);
                assert_near(&format!("{loss:?} by the logits"), p.row(0), &expected);
            }
        }
    }
}
