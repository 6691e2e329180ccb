//! The losses, each with its gradient by the logits: softmax is part of both. In `tiny.rs` they are
//! `loss_and_gradient`.

use crate::math::matrix::Matrix;

/// What training minimises. A batch's loss and gradient are the sums over its images, not the
/// means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// −ln p of the true class.
    CrossEntropy,
    /// The mean over the classes of (p − t)², where t is 1 for the true class and 0 for the others.
    MeanSquaredError,
}

impl Loss {
    /// The loss of a batch, whose softmax `probabilities`, `batch × classes`, become its gradient
    /// ∂L/∂z by the logits z.
    pub fn loss_and_gradient_in_place(self, probabilities: &mut Matrix, labels: &[u8]) -> f64 {
        let rows = labels.iter().enumerate();
        rows.map(|(i, &label)| {
            let row = probabilities.row_mut(i);
            match self {
                Loss::CrossEntropy => cross_entropy(row, label.into()),
                Loss::MeanSquaredError => mean_squared_error(row, label.into()),
            }
        })
        .sum()
    }
}

/// L = −ln p of the `label`; ∂L/∂z = p − t.
fn cross_entropy(p: &mut [f32], label: usize) -> f64 {
    let loss = -f64::from(p[label]).ln();
    p[label] -= 1.0;
    loss
}

/// L = Σ (p − t)² / C with C classes, so ∂L/∂p = 2(p − t)/C. The softmax's Jacobian ∂pⱼ/∂zᵢ =
/// pⱼ(δᵢⱼ − pᵢ) turns any ∂L/∂p into ∂L/∂zᵢ = pᵢ·(∂L/∂pᵢ − Σⱼ pⱼ·∂L/∂pⱼ).
fn mean_squared_error(p: &mut [f32], label: usize) -> f64 {
    let classes = p.len();
    let difference = |i: usize, p: f32| if i == label { p - 1.0 } else { p };
    let squares = p.iter().enumerate().map(|(j, &p)| f64::from(difference(j, p)).powi(2));
    let loss = squares.sum::<f64>() / classes as f64;
    let by_p = 2.0 / classes as f32;
    let mean: f32 = p.iter().enumerate().map(|(j, &p)| p * by_p * difference(j, p)).sum();
    for (i, p) in p.iter_mut().enumerate() {
        *p *= by_p * difference(i, *p) - mean;
    }
    loss
}
