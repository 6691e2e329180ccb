//! What hidden layers apply to their sums z, each activation with its derivative beside it; and softmax, after the last.

use crate::math::exp::{exp, sigmoid};
use crate::math::kernel::{Kernel, Operation, Simd};
use crate::math::matrix::Matrix;

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

    /// `a ← f(z)`, number by number; `a` takes the shape of `z`.
    pub fn forward(self, kernel: Kernel, z: &Matrix, a: &mut Matrix) {
        a.reshape(z.rows(), z.columns());
        let (z, a) = (z.data(), a.data_mut());
        match self {
            Activation::Sigmoid => kernel.run(Forward { function: Sigmoid, z, a }),
            Activation::Tanh => kernel.run(Forward { function: Tanh, z, a }),
            Activation::ReLU => kernel.run(Forward { function: Relu, z, a }),
            Activation::SiLU => kernel.run(Forward { function: Silu, z, a }),
        }
    }

    /// `gradient`, ∂L/∂a, becomes ∂L/∂z = f′(z)·∂L/∂a, with the `z` and the `a` of [`forward`](Activation::forward).
    pub fn backward(self, kernel: Kernel, z: &Matrix, a: &Matrix, gradient: &mut Matrix) {
        let (z, a, gradient) = (z.data(), a.data(), gradient.data_mut());
        match self {
            Activation::Sigmoid => kernel.run(Backward { function: Sigmoid, z, a, gradient }),
            Activation::Tanh => kernel.run(Backward { function: Tanh, z, a, gradient }),
            Activation::ReLU => kernel.run(Backward { function: Relu, z, a, gradient }),
            Activation::SiLU => kernel.run(Backward { function: Silu, z, a, gradient }),
        }
    }
}

/// A function of one number, and its derivative in terms of z and a = f(z).
trait Function {
    fn value<S: Simd>(&self, z: f32) -> f32;
    fn derivative<S: Simd>(&self, z: f32, a: f32) -> f32;
}

struct Sigmoid;
impl Function for Sigmoid {
    #[inline(always)]
    fn value<S: Simd>(&self, z: f32) -> f32 {
        sigmoid::<S>(z)
    }
    #[inline(always)]
    fn derivative<S: Simd>(&self, _: f32, a: f32) -> f32 {
        a * (1.0 - a)
    }
}

struct Tanh;
impl Function for Tanh {
    #[inline(always)]
    fn value<S: Simd>(&self, z: f32) -> f32 {
        2.0 * sigmoid::<S>(2.0 * z) - 1.0
    }
    #[inline(always)]
    fn derivative<S: Simd>(&self, _: f32, a: f32) -> f32 {
        1.0 - a * a
    }
}

struct Relu;
impl Function for Relu {
    #[inline(always)]
    fn value<S: Simd>(&self, z: f32) -> f32 {
        if z <= 0.0 { 0.0 } else { z } // unlike f32::max, NaN stays NaN
    }
    #[inline(always)]
    fn derivative<S: Simd>(&self, z: f32, _: f32) -> f32 {
        if z <= 0.0 { 0.0 } else { 1.0 }
    }
}

struct Silu;
impl Function for Silu {
    #[inline(always)]
    fn value<S: Simd>(&self, z: f32) -> f32 {
        z * sigmoid::<S>(z)
    }
    #[inline(always)]
    fn derivative<S: Simd>(&self, z: f32, a: f32) -> f32 {
        let s = sigmoid::<S>(z);
        s + a * (1.0 - s)
    }
}

struct Forward<'a, F> {
    function: F,
    z: &'a [f32],
    a: &'a mut [f32],
}

impl<F: Function> Operation for Forward<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (a, &z) in self.a.iter_mut().zip(self.z) {
            *a = self.function.value::<S>(z);
        }
    }
}

struct Backward<'a, F> {
    function: F,
    z: &'a [f32],
    a: &'a [f32],
    gradient: &'a mut [f32],
}

impl<F: Function> Operation for Backward<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for ((gradient, &z), &a) in self.gradient.iter_mut().zip(self.z).zip(self.a) {
            *gradient *= self.function.derivative::<S>(z, a);
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
