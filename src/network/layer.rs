//! The layer that learns, forward and backward side by side, and where its weights start.
//!
//! # Pixels
//!
//! A pixel p, 0 to 255, is normalised to x = (p − 127.5) / 255, from −½ to ½. That is p/255 − ½, and about 80 % of the pixels
//! of a digit are background, p = 0. So a batch of images is kept as P = p/255, whose zeros the products can skip, and
//! the −½ is applied to the result. With X = P − ½, and ΣW and ΣD for sums of rows,
//!
//! ```text
//! X·W + b = P·W + (b − ½·ΣW)    and    Xᵀ·D = Pᵀ·D − ½·ΣD
//! ```

use crate::data::Images;
use crate::math::kernel::product::Product;
use crate::math::kernel::{Kernel, Operation, Simd};
use crate::math::matrix::{LINE_NUMBERS, MOVE, Matrix, matmul_transposed_b, sum_rows};
use crate::math::rng::Rng;

/// Where weights and biases start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialisation {
    /// All zero: the units of a layer stay equal, so it can do no more than a single unit.
    Zero,
    /// N(0, 0.02²).
    Normal,
    /// N(0, 2 / (fan_in + fan_out)): Glorot and Bengio, "Understanding the difficulty of training deep feedforward
    /// neural networks" (2010).
    Xavier,
    /// Weights N(0, 2 / fan_in), biases 0: He and others, "Delving deep into rectifiers" (arXiv:1502.01852).
    He,
}

impl Initialisation {
    /// The standard deviations of the weights and of the biases of a layer of `fan_in` inputs and `fan_out` outputs.
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
    /// Images as [`gather`] leaves them: P, where X = P − ½.
    Pixels(&'a Matrix),
    /// The activations of the layer before: X itself.
    Activations(&'a Matrix),
}

/// `pixels ←` P, the images of those numbers, one a row (`numbers × size`), each pixel as p/255.
pub fn gather(
    kernel: Kernel,
    images: &Images,
    numbers: impl ExactSizeIterator<Item = usize> + Clone + Sync,
    pixels: &mut Matrix,
) {
    pixels.reshape(numbers.len(), images.size());
    let kernel = kernel.for_work(MOVE * pixels.padded().len());
    let (count, stride) = (numbers.len(), pixels.stride());
    kernel.each_part(pixels.padded_mut(), count, 1, |rows, first| {
        for (pixels, i) in rows.chunks_exact_mut(stride).zip(numbers.clone().skip(first)) {
            kernel.run(Convert { image: images.image(i), pixels });
        }
    });
}

struct Convert<'a> {
    image: &'a [u8],
    pixels: &'a mut [f32],
}

impl Operation for Convert<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (x, &p) in self.pixels.iter_mut().zip(self.image) {
            *x = f32::from(p) * (1.0 / 255.0);
        }
    }
}

/// One step of gradient descent, of which each layer takes its part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// lr, the rate of this iteration.
    pub learning_rate: f32,
    /// The share that the weights lose to the L2 penalty: lr·λ, summed over the iterations since they last lost any.
    pub decay: f32,
    /// μ, the share of the last step that is taken again.
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
    pub fn new(fan_in: usize, fan_out: usize, initialisation: Initialisation, rng: &mut Rng) -> Self {
        let (of_weight, of_bias) = initialisation.standard_deviations(fan_in, fan_out);
        // Zero times a negative number is -0.0, which + 0.0 makes 0.0: the seed must not show in Zero.
        let mut random = |deviation| (deviation * rng.normal() + 0.0) as f32;
        let mut layer = Linear::zeros(fan_in, fan_out);
        layer.weight.iter_mut().for_each(|weight| *weight = random(of_weight));
        layer.bias.fill_with(|| random(of_bias));
        layer
    }

    /// `output ← X·W + b`, `batch × fan_out`. `scratch` is overwritten.
    pub fn forward(&self, kernel: Kernel, input: Input, output: &mut Matrix, scratch: &mut Matrix) {
        let (x, skip_zeros) = match input {
            Input::Activations(x) => {
                scratch.reshape(1, self.bias.len());
                scratch.row_mut(0).copy_from_slice(&self.bias);
                (x, false)
            }
            Input::Pixels(p) => {
                sum_rows(kernel, &self.weight, scratch);
                scratch.row_mut(0).iter_mut().zip(&self.bias).for_each(|(sum, b)| *sum = b - 0.5 * *sum);
                (p, true)
            }
        };
        output.reshape(x.rows(), self.bias.len());
        Product { skip_zeros, row: Some(scratch), ..Product::new(x, &self.weight) }.write_to(kernel, output);
    }

    /// From D = ∂L/∂Z, `batch × fan_out`, to `input_gradient ← D·Wᵀ` = ∂L/∂X, `batch × fan_in` (which nobody needs of
    /// pixels, whose is left alone), and then a step down ∂L/∂W = Xᵀ·D and ∂L/∂b = ΣD, the sum of D's rows.
    ///
    /// Without momentum it is `W ← (1 − lr·λ)·W + Xᵀ·(−lr·D)` and `b ← b − lr·ΣD`: one product, which adds to W, so that
    /// no gradient is stored. With momentum the same product adds to the velocity V, which has the
    /// shapes of the layer: `V ← μ·V + Xᵀ·(−lr·D) − lr·λ·W`, then `W ← W + V`; likewise for b, without
    /// λ (Sutskever and others, "On the importance of initialization and momentum in deep learning",
    /// 2013). So λ·W is part of the gradient, as in PyTorch's SGD. That multiplies V by lr where W
    /// takes it: the same at a constant rate, and a falling one also shortens the steps under way.
    ///
    /// D becomes −lr·D, and `scratch` is overwritten.
    pub fn backward(
        &mut self,
        kernel: Kernel,
        input: Input,
        gradient: &mut Matrix,
        input_gradient: &mut Matrix,
        (step, velocity): (Step, Option<&mut Linear>),
        scratch: &mut [Matrix; 2],
    ) {
        // What is too small to change a weight becomes 0. Its products would soon be subnormal, with which many processors
        // compute a hundred times as slowly: saturated units would bring training to a crawl.
        let flush = |d: f32| if d.abs() < 1e-24 { 0.0 } else { d };
        if let Input::Activations(_) = input {
            replace(kernel, gradient, flush);
            matmul_transposed_b(kernel, gradient, &self.weight, input_gradient, scratch);
        }
        replace(kernel, gradient, |d| -step.learning_rate * flush(d));
        let [sum, _] = scratch;
        sum_rows(kernel, gradient, sum);
        match velocity {
            None => self.add(kernel, input, gradient, sum, 1.0 - step.decay, 1.0),
            Some(velocity) => {
                velocity.add(kernel, input, gradient, sum, step.momentum, step.momentum);
                for (w, v) in self.weight.padded_mut().iter_mut().zip(velocity.weight.padded_mut()) {
                    *v -= step.decay * *w;
                    *w += *v;
                }
                self.bias.iter_mut().zip(&velocity.bias).for_each(|(b, v)| *b += v);
            }
        }
    }

    /// `W ← β·W + Xᵀ·D` and `b ← γ·b + ΣD`, where `sum` is ΣD and is overwritten.
    fn add(&mut self, kernel: Kernel, input: Input, d: &Matrix, sum: &mut Matrix, beta: f32, gamma: f32) {
        self.bias.iter_mut().zip(sum.row(0)).for_each(|(b, sum)| *b = gamma * *b + sum);
        let (x, skip_zeros, row) = match input {
            Input::Activations(x) => (x, false, None),
            Input::Pixels(p) => {
                sum.row_mut(0).iter_mut().for_each(|sum| *sum *= -0.5);
                (p, true, Some(&*sum))
            }
        };
        Product { transpose_a: true, skip_zeros, beta, row, ..Product::new(x, d) }.write_to(kernel, &mut self.weight);
    }
}

/// Replaces each number by what the function makes of it.
fn replace(kernel: Kernel, numbers: &mut Matrix, f: impl Fn(f32) -> f32 + Sync) {
    let count = numbers.padded().len();
    let kernel = kernel.for_work(MOVE * count);
    kernel.each_part(numbers.padded_mut(), count, LINE_NUMBERS, |part, _| kernel.run(Replace(part, &f)));
}

struct Replace<'a, F>(&'a mut [f32], &'a F);

impl<F: Fn(f32) -> f32> Operation for Replace<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        self.0.iter_mut().for_each(|x| *x = (self.1)(*x));
    }
}
