//! Dropout: Srivastava and others, "Dropout: a simple way to prevent neural networks from
//! overfitting" (2014).

use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;
use crate::math::rng::Rng;

/// Inverted dropout: in training each number is set to 0 with probability p, and the others are
/// scaled by 1 / (1 − p) so that their mean stays; in evaluation nothing is done.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// p, from 0 to below 1.
    pub p: f32,
    /// Whether it acts on the activations, as is usual, or on the sums before them.
    pub after_activation: bool,
    /// Draws the masks.
    pub rng: Rng,
}

impl Dropout {
    /// Draws a new `mask`, 0 or 1 / (1 − p) for each of `numbers`, `batch × width`, and multiplies
    /// them by it.
    pub fn forward(&mut self, cpu: Cpu, numbers: &mut Matrix, mask: &mut Matrix) {
        mask.reshape(numbers.rows(), numbers.columns());
        // Draw all random numbers first, so that the selection compiles without branches.
        mask.iter_mut().for_each(|mask| *mask = self.rng.uniform() as f32);
        let scale = 1.0 / (1.0 - self.p);
        let p = self.p;
        mask.zip_map(cpu, [], |mask, []| if mask < p { 0.0 } else { scale });
        apply_mask(cpu, numbers, mask);
    }
}

/// `numbers ← mask ⊙ numbers`: dropout once its mask is drawn, and also its way back, where
/// ∂L/∂(mask ⊙ z) becomes ∂L/∂z.
pub fn apply_mask(cpu: Cpu, numbers: &mut Matrix, mask: &Matrix) {
    numbers.zip_map(cpu, [mask], |number, [mask]| number * mask);
}
