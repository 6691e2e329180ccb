//! The losses (§4), each with its gradient by the logits: softmax is part of both.
//!
//! A value and a gradient are those of one image; a batch's are their sums (§2: summed, not averaged).

/// What training minimises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// −ln p of the true class.
    CrossEntropy,
    /// The mean over the classes of (p − target)², where the target is 1 for the true class and 0 for the others.
    MeanSquaredError,
}

impl Loss {
    /// The loss of one image, by its softmax `probabilities` and its `label`.
    pub fn value(self, probabilities: &[f32], label: u8) -> f64 {
        match self {
            Loss::CrossEntropy => -f64::from(probabilities[usize::from(label)]).ln(),
            Loss::MeanSquaredError => {
                let squares = (0..).zip(probabilities).map(|(j, &p)| f64::from(p - target(j, label)).powi(2));
                squares.sum::<f64>() / probabilities.len() as f64
            }
        }
    }

    /// Turns the softmax `probabilities` p of one image into ∂L/∂z, the gradient by its logits z.
    ///
    /// With t the target and C the number of classes: cross-entropy has p − t. The squared error has ∂L/∂p = 2(p − t)/C,
    /// and the softmax's Jacobian ∂pⱼ/∂zᵢ = pⱼ(δᵢⱼ − pᵢ) turns any ∂L/∂p into pᵢ·(∂L/∂pᵢ − Σⱼ pⱼ·∂L/∂pⱼ).
    pub fn gradient(self, probabilities: &mut [f32], label: u8) {
        match self {
            Loss::CrossEntropy => probabilities[usize::from(label)] -= 1.0,
            Loss::MeanSquaredError => {
                let by_p = 2.0 / probabilities.len() as f32;
                let mean: f32 = (0..).zip(&*probabilities).map(|(j, &p)| p * by_p * (p - target(j, label))).sum();
                for (i, p) in (0..).zip(probabilities) {
                    *p *= by_p * (*p - target(i, label)) - mean;
                }
            }
        }
    }
}

fn target(class: usize, label: u8) -> f32 {
    if class == usize::from(label) { 1.0 } else { 0.0 }
}
