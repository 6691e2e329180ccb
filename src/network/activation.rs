//! What hidden layers apply to their sums z, each activation with its derivative beside it; and softmax, after the last.

use crate::math::exp::{exp, sigmoid};
use crate::math::kernel::{Kernel, Operation, Simd};
use crate::math::matrix::{LINE_NUMBERS, MOVE, Matrix};

/// The activation a = f(z) of the hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// σ(z) = 1 / (1 + e⁻ᶻ).
    Sigmoid,
    /// tanh z = 2·σ(2z) − 1.
    Tanh,
    /// max(z, 0): Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).
    ReLU,
    /// z·σ(z): Elfwing and others, "Sigmoid-weighted linear units" (arXiv:1702.03118).
    SiLU,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 4] = [Activation::Sigmoid, Activation::Tanh, Activation::ReLU, Activation::SiLU];

    /// a = f(z).
    #[inline(always)]
    fn value<S: Simd>(self, z: f32) -> f32 {
        match self {
            Activation::Sigmoid => sigmoid::<S>(z),
            Activation::Tanh => 2.0 * sigmoid::<S>(2.0 * z) - 1.0,
            Activation::ReLU => {
                if z <= 0.0 {
                    0.0
                } else {
                    z
                }
            } // unlike f32::max, NaN stays NaN
            Activation::SiLU => z * sigmoid::<S>(z),
        }
    }

    /// f′(z), from z and a = f(z).
    #[inline(always)]
    fn derivative<S: Simd>(self, z: f32, a: f32) -> f32 {
        match self {
            Activation::Sigmoid => a * (1.0 - a),
            Activation::Tanh => 1.0 - a * a,
            Activation::ReLU => {
                if z <= 0.0 {
                    0.0
                } else {
                    1.0
                }
            }
            Activation::SiLU => {
                let s = sigmoid::<S>(z);
                s + a * (1.0 - s)
            }
        }
    }

    /// `a ← f(z)`, number by number; `a` takes the shape of `z`.
    pub fn forward(self, kernel: Kernel, z: &Matrix, a: &mut Matrix) {
        a.reshape(z.rows(), z.columns());
        let kernel = kernel.for_work(MOVE * z.padded().len());
        let part = kernel.share(z.padded().len(), LINE_NUMBERS);
        let parts = z.padded().chunks(part).zip(a.padded_mut().chunks_mut(part));
        kernel.each(parts, |(z, a)| kernel.run(Forward { activation: self, z, a }));
    }

    /// `gradient`, ∂L/∂a, becomes ∂L/∂z = f′(z)·∂L/∂a, with the `z` and the `a` of [`forward`](Activation::forward).
    pub fn backward(self, kernel: Kernel, z: &Matrix, a: &Matrix, gradient: &mut Matrix) {
        let kernel = kernel.for_work(MOVE * z.padded().len());
        let part = kernel.share(z.padded().len(), LINE_NUMBERS);
        let parts = z.padded().chunks(part).zip(a.padded().chunks(part)).zip(gradient.padded_mut().chunks_mut(part));
        kernel.each(parts, |((z, a), gradient)| kernel.run(Backward { activation: self, z, a, gradient }));
    }
}

struct Forward<'a> {
    activation: Activation,
    z: &'a [f32],
    a: &'a mut [f32],
}

impl Operation for Forward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (a, &z) in self.a.iter_mut().zip(self.z) {
            *a = self.activation.value::<S>(z);
        }
    }
}

struct Backward<'a> {
    activation: Activation,
    z: &'a [f32],
    a: &'a [f32],
    gradient: &'a mut [f32],
}

impl Operation for Backward<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for ((gradient, &z), &a) in self.gradient.iter_mut().zip(self.z).zip(self.a) {
            *gradient *= self.activation.derivative::<S>(z, a);
        }
    }
}

/// Softmax of each row, in place: pⱼ = e^(zⱼ − max z) / Σ of the same. Subtracting the largest changes nothing but keeps
/// every exponent at or below 0. Its derivative is part of each [`Loss`](crate::network::loss::Loss).
pub struct Softmax<'a>(pub &'a mut Matrix);

impl Operation for Softmax<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for i in 0..self.0.rows() {
            let row = self.0.row_mut(i);
            // Not f32::max, which would pass over a NaN.
            let largest = row.iter().fold(f32::NEG_INFINITY, |most, &z| if z <= most { most } else { z });
            let mut sum = 0.0;
            for z in row.iter_mut() {
                *z = exp::<S>(*z - largest);
                sum += *z;
            }
            for z in row {
                *z /= sum;
            }
        }
    }
}
