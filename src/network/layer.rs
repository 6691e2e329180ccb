//! The layer that learns, forward and backward side by side, and where its weights start. In
//! `tiny.rs` it is the inner loops of `forward` and `train_step`.
//!
//! # Pixels
//!
//! The first layer is given P = X + ½, whose zeros the products skip: see [`Batch`]. With ΣW and ΣD
//! for sums of rows,
//!
//! ```text
//! X·W + b = P·W + (b − ½·ΣW)    and    Xᵀ·D = Pᵀ·D − ½·ΣD
//! ```
//!
//! A step W ← β·W + Xᵀ·D changes ΣW by little: ΣW ← β·ΣW + s·D, where s are the sums of X's rows.
//! So ΣW is kept from step to step, and taken anew now and then, so that its rounding errors do not
//! add up.

use crate::data::batch::Batch;
use crate::math::kernels::Cpu;
use crate::math::kernels::pixels::{add_pixel_gradient, multiply_pixels};
use crate::math::kernels::product::{Product, matmul, matmul_transposed_a, matmul_transposed_b};
use crate::math::matrix::{Matrix, sum_rows};
use crate::math::rng::Rng;

/// Where weights and biases start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialisation {
    /// All zero: the units of a layer stay equal, so it can do no more than a single unit.
    Zero,
    /// N(0, 0.02²).
    Normal,
    /// N(0, 2 / (fan_in + fan_out)), biases too, as in the coursework; for weights alone: Glorot
    /// and Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    /// (2010).
    Xavier,
    /// Weights N(0, 2 / fan_in), biases 0: He and others, "Delving deep into rectifiers"
    /// (arXiv:1502.01852).
    He,
}

impl Initialisation {
    /// The standard deviations of the weights and of the biases of a layer of `fan_in` inputs and
    /// `fan_out` outputs.
    pub fn standard_deviations(self, fan_in: usize, fan_out: usize) -> (f64, f64) {
        let of_all = |deviation| (deviation, deviation);
        match self {
            Initialisation::Zero => of_all(0.0),
            Initialisation::Normal => of_all(0.02),
            Initialisation::Xavier => of_all((2.0 / (fan_in + fan_out) as f64).sqrt()),
            Initialisation::He => ((2.0 / fan_in as f64).sqrt(), 0.0),
        }
    }
}

/// What a layer is given: `batch × fan_in`.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Images, where X = P − ½, and the ΣW of the layer.
    Pixels(&'a Batch, &'a Matrix),
    /// The activations of the layer before: X itself.
    Activations(&'a Matrix),
}

/// ΣW of the first layer, kept from step to step.
#[derive(Clone, Debug, Default)]
pub struct ColumnSums {
    /// ΣW: `1 × fan_out`.
    sums: Matrix,
    /// How many steps they can still be kept.
    steps_left: usize,
}

impl ColumnSums {
    /// Steps after which they are taken anew.
    const STEPS: usize = 64;

    /// ΣW of the layer with this `weight`, which only the steps told to [`ColumnSums::follow`] have
    /// changed since the last call.
    pub fn of(&mut self, weight: &Matrix) -> &Matrix {
        if self.steps_left == 0 {
            sum_rows(weight, &mut self.sums);
            self.steps_left = ColumnSums::STEPS;
        }
        &self.sums
    }

    /// Follows the step `W ← (1 − decay)·W + Xᵀ·D`. With momentum the weights change otherwise, and
    /// ΣW is summed anew.
    pub fn follow(&mut self, cpu: Cpu, batch: &Batch, d: &Matrix, step: Step) {
        self.steps_left = if step.momentum > 0.0 { 0 } else { self.steps_left - 1 };
        if self.steps_left > 0 {
            matmul(cpu, batch.sums(), d, 1.0 - step.decay, &mut self.sums);
        }
    }
}

/// The numbers of one step of gradient descent, the same for all layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// lr, the learning rate of this iteration.
    pub learning_rate: f32,
    /// Σ lr·λ since the last decay; 0 while it is held back.
    pub decay: f32,
    /// μ: how much of its velocity a weight keeps.
    pub momentum: f32,
}

/// A fully connected layer: Z = X·W + b for each row of X.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// W: `fan_in × fan_out`
    pub weight: Matrix,
    /// b: `fan_out`
    pub bias: Vec<f32>,
}

impl Linear {
    /// A layer of zeros.
    pub fn zeros(fan_in: usize, fan_out: usize) -> Self {
        Linear { weight: Matrix::zeros(fan_in, fan_out), bias: vec![0.0; fan_out] }
    }

    /// A layer with random weights and biases, in this order, row by row.
    pub fn new(
        fan_in: usize,
        fan_out: usize,
        initialisation: Initialisation,
        rng: &mut Rng,
    ) -> Self {
        let (of_weight, of_bias) = initialisation.standard_deviations(fan_in, fan_out);
        // Zero times a negative number is -0.0, which + 0.0 makes 0.0: the seed must not show in
        // Zero.
        let mut random = |deviation| (deviation * rng.normal() + 0.0) as f32;
        let mut layer = Linear::zeros(fan_in, fan_out);
        layer.weight.iter_mut().for_each(|weight| *weight = random(of_weight));
        layer.bias.fill_with(|| random(of_bias));
        layer
    }

    /// `output ← X·W + b`, `batch × fan_out`. `scratch` is overwritten.
    pub fn forward(&self, cpu: Cpu, input: Input, output: &mut Matrix, scratch: &mut Matrix) {
        scratch.reshape(1, self.bias.len());
        let row = scratch.row_mut(0);
        row.copy_from_slice(&self.bias);
        match input {
            Input::Activations(x) => {
                output.reshape(x.rows(), self.bias.len());
                Product { bias: Some(scratch), ..Product::new(x, &self.weight) }
                    .write_to(cpu, output);
            }
            Input::Pixels(batch, column_sums) => {
                row.iter_mut().zip(column_sums.row(0)).for_each(|(b, sum)| *b -= 0.5 * sum);
                output.reshape(batch.pixels().rows(), self.bias.len());
                multiply_pixels(cpu, batch, &self.weight, scratch, output);
            }
        }
    }

    /// `dx ← dz·Wᵀ`: from ∂L/∂Z, `batch × fan_out`, to ∂L/∂X, `batch × fan_in`. Flushes `dz`;
    /// `scratch` is overwritten.
    pub fn input_gradient(
        &self,
        cpu: Cpu,
        dz: &mut Matrix,
        dx: &mut Matrix,
        scratch: &mut [Matrix; 2],
    ) {
        dz.zip_map(cpu, [], |d, []| flush(d));
        matmul_transposed_b(cpu, dz, &self.weight, dx, scratch);
    }

    /// A step down the gradients ∂L/∂W = Xᵀ·dz and ∂L/∂b = Σdz, the sum of its rows. With D =
    /// −lr·dz:
    ///
    /// Without momentum it is `W ← (1 − lr·λ)·W + Xᵀ·D` and `b ← b + ΣD`: one product, which adds
    /// to W, so that no gradient is stored. With momentum the same product adds to the velocity V:
    /// `V ← μ·V + Xᵀ·D − lr·λ·W`, then `W ← W + V`; likewise for b, without λ (Sutskever and
    /// others, "On the importance of initialization and momentum in deep learning", 2013). So λ·W
    /// is part of the gradient, as in PyTorch's SGD. PyTorch multiplies V by lr only where W takes
    /// it: the same at a constant rate, but a falling rate also shortens its steps under way, and
    /// not ours.
    ///
    /// `dz` becomes D, and `sum` is overwritten.
    pub fn update(
        &mut self,
        cpu: Cpu,
        input: Input,
        dz: &mut Matrix,
        step: Step,
        velocity: Option<&mut Velocity>,
        sum: &mut Matrix,
    ) {
        dz.zip_map(cpu, [], |d, []| -step.learning_rate * flush(d));
        sum_rows(dz, sum);
        match velocity {
            None => self.accumulate(cpu, input, dz, sum, [1.0 - step.decay, 1.0]),
            Some(Velocity(v)) => {
                v.accumulate(cpu, input, dz, sum, [step.momentum; 2]);
                for (w, v) in self.weight.padded_mut().iter_mut().zip(v.weight.padded_mut()) {
                    *v -= step.decay * *w;
                    *w += *v;
                }
                self.bias.iter_mut().zip(&v.bias).for_each(|(b, v)| *b += v);
            }
        }
    }

    /// `W ← β·W + Xᵀ·D` and `b ← γ·b + ΣD`, where `sum` is ΣD and is overwritten.
    fn accumulate(
        &mut self,
        cpu: Cpu,
        input: Input,
        d: &Matrix,
        sum: &mut Matrix,
        [beta, gamma]: [f32; 2],
    ) {
        self.bias.iter_mut().zip(sum.row(0)).for_each(|(b, sum)| *b = gamma * *b + sum);
        match input {
            Input::Activations(x) => matmul_transposed_a(cpu, x, d, beta, &mut self.weight),
            Input::Pixels(batch, _) => {
                sum.row_mut(0).iter_mut().for_each(|sum| *sum *= -0.5);
                add_pixel_gradient(cpu, batch, d, beta, sum, &mut self.weight);
            }
        }
    }
}

/// V, the velocity of a layer's weights and biases, in the shapes of the layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Velocity(Linear);

impl Velocity {
    /// Of a layer that has not moved.
    pub fn zeros(fan_in: usize, fan_out: usize) -> Self {
        Velocity(Linear::zeros(fan_in, fan_out))
    }
}

/// Flush |d| < 1e-24 to 0: products with it would be subnormal, about 100 times as slow, and
/// saturated units would bring training to a crawl.
fn flush(d: f32) -> f32 {
    if d.abs() < 1e-24 { 0.0 } else { d }
}
