//! What hidden layers apply to their sums z, each activation with its derivative beside it; and
//! softmax, after the last. In `tiny.rs` they are `activate`, and in `loss_and_gradient`.

use crate::for_each_instruction_set;
use crate::math::exp::{exp, sigmoid};
use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;

/// The activation a = f(z) of the hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// σ(z) = 1 / (1 + e⁻ᶻ).
    Sigmoid,
    /// tanh z = 2·σ(2z) − 1.
    Tanh,
    /// max(z, 0): Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines"
    /// (2010).
    ReLU,
    /// z·σ(z): Elfwing and others, "Sigmoid-weighted linear units" (arXiv:1702.03118).
    SiLU,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 4] =
        [Activation::Sigmoid, Activation::Tanh, Activation::ReLU, Activation::SiLU];

    /// `a ← f(z)`, element by element; `a` takes the shape of `z`.
    pub fn forward(self, cpu: Cpu, z: &Matrix, a: &mut Matrix) {
        a.reshape(z.rows(), z.columns());
        match self {
            Activation::Sigmoid => a.zip_map(cpu, [z], |_, [z]| sigmoid(z)),
            Activation::Tanh => a.zip_map(cpu, [z], |_, [z]| 2.0 * sigmoid(2.0 * z) - 1.0),
            // Unlike f32::max, NaN stays NaN.
            Activation::ReLU => a.zip_map(cpu, [z], |_, [z]| if z <= 0.0 { 0.0 } else { z }),
            Activation::SiLU => a.zip_map(cpu, [z], |_, [z]| z * sigmoid(z)),
        }
    }

    /// `gradient`, ∂L/∂a, becomes ∂L/∂z = f′(z)·∂L/∂a, with the `z` and the `a` of
    /// [`forward`](Activation::forward).
    pub fn backward(self, cpu: Cpu, z: &Matrix, a: &Matrix, gradient: &mut Matrix) {
        match self {
            Activation::Sigmoid => gradient.zip_map(cpu, [a], |d, [a]| d * (a * (1.0 - a))),
            Activation::Tanh => gradient.zip_map(cpu, [a], |d, [a]| d * (1.0 - a * a)),
            Activation::ReLU => {
                gradient.zip_map(cpu, [z], |d, [z]| d * if z <= 0.0 { 0.0 } else { 1.0 })
            }
            Activation::SiLU => gradient.zip_map(cpu, [z, a], |d, [z, a]| {
                let s = sigmoid(z);
                d * (s + a * (1.0 - s))
            }),
        }
    }
}

for_each_instruction_set! {
    /// Softmax of each row, in place: pⱼ = e^(zⱼ − max z) / Σ of the same. Subtracting the largest
    /// changes nothing but keeps every exponent at or below 0. Its derivative is part of each
    /// [`Loss`](crate::network::loss::Loss).
    pub fn softmax(z: &mut Matrix) {
        for i in 0..z.rows() {
            let row = z.row_mut(i);
            // Not f32::max, which would pass over a NaN.
            let larger = |most: f32, &z: &f32| if z <= most { most } else { z };
            let largest = row.iter().fold(f32::NEG_INFINITY, larger);
            let mut sum = 0.0;
            for z in row.iter_mut() {
                *z = exp(*z - largest);
                sum += *z;
            }
            for z in row {
                *z /= sum;
            }
        }
    }
}
