//! The layers that learn or drop out, each with its forward and its backward side by side.

use crate::data::SHIFT;
use crate::math::kernel::Kernel;
use crate::math::matrix::{Matrix, matmul, matmul_sparse, matmul_sparse_transposed_a};
use crate::math::matrix::{matmul_transposed_a, matmul_transposed_b, sum_rows};
use crate::math::rng::Rng;
use crate::network::Descent;

/// Where weights and biases start (§3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialisation {
    /// All zero: the units of a layer stay equal, so it can do no more than a single unit.
    Zero,
    /// N(0, 0.02²).
    Normal,
    /// N(0, 2 / (fan_in + fan_out)): Glorot and Bengio, "Understanding the difficulty of training deep feedforward
    /// neural networks" (2010).
    Xavier,
}

impl Initialisation {
    /// The standard deviation for a layer of `fan_in` inputs and `fan_out` outputs.
    pub fn standard_deviation(self, fan_in: usize, fan_out: usize) -> f64 {
        match self {
            Initialisation::Zero => 0.0,
            Initialisation::Normal => 0.02,
            Initialisation::Xavier => (2.0 / (fan_in + fan_out) as f64).sqrt(),
        }
    }
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
    /// A layer with random weights and biases, in this order, row by row.
    pub fn new(fan_in: usize, fan_out: usize, initialisation: Initialisation, rng: &mut Rng) -> Self {
        let deviation = initialisation.standard_deviation(fan_in, fan_out);
        // Zero times a negative number is -0.0, which + 0.0 makes 0.0: the seed must not show in Zero.
        let mut random = |count| (0..count).map(|_| (deviation * rng.normal() + 0.0) as f32).collect::<Vec<f32>>();
        Linear { weight: Matrix::from_rows(fan_in, fan_out, &random(fan_in * fan_out)), bias: random(fan_out) }
    }

    /// `output ← X·W + b`; X: `batch × fan_in`, output: `batch × fan_out`.
    pub fn forward(&self, kernel: Kernel, input: &Matrix, output: &mut Matrix) {
        output.reshape(input.rows(), self.bias.len());
        output.fill_rows(&self.bias);
        matmul(kernel, input, &self.weight, 1.0, output);
    }

    /// [`Linear::forward`] for images, X = P − ½ where P, `batch × fan_in`, is mostly zeros
    /// ([`gather`](crate::data::Images::gather)): `X·W + b = P·W + (b − ½·ΣW)`, with ΣW the sum of W's rows. `scratch` is
    /// overwritten.
    pub fn forward_pixels(&self, kernel: Kernel, pixels: &Matrix, output: &mut Matrix, scratch: &mut Matrix) {
        scratch.reshape(1, self.bias.len());
        sum_rows(kernel, &self.weight, scratch.data_mut());
        for (sum, b) in scratch.data_mut().iter_mut().zip(&self.bias) {
            *sum = b + SHIFT * *sum;
        }
        output.reshape(pixels.rows(), self.bias.len());
        output.fill_rows(scratch.data());
        matmul_sparse(kernel, pixels, &self.weight, 1.0, output);
    }

    /// `input_gradient ← D·Wᵀ` = ∂L/∂X, where D = ∂L/∂Z: `batch × fan_out`, input_gradient: `batch × fan_in`.
    pub fn backward(&self, kernel: Kernel, gradient: &Matrix, input_gradient: &mut Matrix, scratch: &mut Matrix) {
        input_gradient.reshape(gradient.rows(), self.weight.rows());
        matmul_transposed_b(kernel, gradient, &self.weight, 0.0, input_gradient, scratch);
    }

    /// One step of gradient descent with weight decay (§6), where Xᵀ·D = ∂L/∂W and ΣD, the sum of D's rows, = ∂L/∂b:
    /// `W ← W − lr·(Xᵀ·D + λ·W) = (1 − lr·λ)·W + Xᵀ·(−lr·D)`, which is one product; `b ← b − lr·ΣD`.
    ///
    /// D, `batch × fan_out`, is scaled to −lr·D on the way, and `scratch` overwritten.
    pub fn update(
        &mut self,
        kernel: Kernel,
        input: &Matrix,
        gradient: &mut Matrix,
        descent: Descent,
        scratch: &mut Matrix,
    ) {
        self.update_bias(kernel, gradient, descent, scratch);
        matmul_transposed_a(kernel, input, gradient, 1.0 - descent.shrink, &mut self.weight);
    }

    /// [`Linear::update`] for images, X = P − ½ as in [`Linear::forward_pixels`]: Xᵀ·D is Pᵀ·D with −½·ΣD in each row.
    pub fn update_pixels(
        &mut self,
        kernel: Kernel,
        pixels: &Matrix,
        gradient: &mut Matrix,
        descent: Descent,
        scratch: &mut Matrix,
    ) {
        self.update_bias(kernel, gradient, descent, scratch);
        scratch.data_mut().iter_mut().for_each(|sum| *sum *= SHIFT);
        matmul_sparse_transposed_a(kernel, pixels, gradient, 1.0 - descent.shrink, scratch, &mut self.weight);
    }

    /// D becomes −lr·D and `scratch` the sum of its rows, which the bias moves by.
    fn update_bias(&mut self, kernel: Kernel, gradient: &mut Matrix, descent: Descent, scratch: &mut Matrix) {
        gradient.data_mut().iter_mut().for_each(|d| *d *= -descent.learning_rate);
        scratch.reshape(1, self.bias.len());
        sum_rows(kernel, gradient, scratch.data_mut());
        for (b, sum) in self.bias.iter_mut().zip(scratch.data()) {
            *b += sum;
        }
    }
}

/// Inverted dropout (§2): in training each number is left out with probability p, and those kept are scaled by
/// 1 / (1 − p) so that their mean stays; in evaluation nothing is done.
#[derive(Clone, Debug, Default)]
pub struct Dropout {
    /// 0 or 1 / (1 − p) for each number, drawn by `forward` and used again by `backward`.
    mask: Matrix,
}

impl Dropout {
    /// Draws a mask and multiplies Z, `batch × width`, by it.
    pub fn forward(&mut self, p: f32, rng: &mut Rng, z: &mut Matrix) {
        self.mask.reshape(z.rows(), z.columns());
        // All the numbers first: choices among numbers that are there take no branch, which no processor could guess.
        self.mask.data_mut().fill_with(|| rng.uniform() as f32);
        for (mask, z) in self.mask.data_mut().iter_mut().zip(z.data_mut()) {
            *mask = if *mask < p { 0.0 } else { 1.0 / (1.0 - p) };
            *z *= *mask;
        }
    }

    /// Multiplies ∂L/∂(mask·Z) by the same mask: ∂L/∂Z.
    pub fn backward(&self, gradient: &mut Matrix) {
        for (gradient, mask) in gradient.data_mut().iter_mut().zip(self.mask.data()) {
            *gradient *= mask;
        }
    }
}
