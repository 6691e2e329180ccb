//! The network (§2): linear layers, sigmoids between them, softmax at the end; forward, backward and update.

pub mod layer;
pub mod loss;

use std::sync::Mutex;
use std::thread;

use crate::data::Images;
use crate::math::activation::{Sigmoid, SigmoidBackward, Softmax};
use crate::math::kernel::Kernel;
use crate::math::matrix::Matrix;
use crate::math::rng::Rng;
use crate::network::layer::{Dropout, Initialisation, Linear};
use crate::network::loss::Loss;

/// Images that evaluation takes at once: a multiple of every tile's rows, few enough to stay in the second cache.
pub const EVALUATION_BATCH: usize = 48;

/// A multi-layer perceptron.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The layers from the images to the classes.
    pub layers: Vec<Linear>,
    /// What computes.
    pub kernel: Kernel,
}

/// What a batch becomes on its way through the network and back. Made once, used for every batch.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    /// The batch as [`Images::gather`] leaves it (`batch × fan_in` of the first layer), then what each layer makes of it
    /// (`batch × fan_out`): after the sigmoid, the last after softmax.
    pub activations: Vec<Matrix>,
    dropouts: Vec<Dropout>,
    /// ∂L/∂Z of the layer at hand, and of the one before.
    gradients: [Matrix; 2],
    scratch: Matrix,
}

impl Network {
    /// A network of these layer widths, from the images' size to the number of classes.
    ///
    /// # Panics
    /// If there are fewer than two widths.
    pub fn new(widths: &[usize], initialisation: Initialisation, rng: &mut Rng, kernel: Kernel) -> Self {
        assert!(widths.len() > 1, "a network has at least one layer");
        let layers = widths.windows(2).map(|pair| Linear::new(pair[0], pair[1], initialisation, rng)).collect();
        Network { layers, kernel }
    }

    /// Buffers for this network.
    pub fn buffers(&self) -> Buffers {
        Buffers {
            activations: vec![Matrix::default(); self.layers.len() + 1],
            dropouts: vec![Dropout::default(); self.layers.len() - 1],
            ..Buffers::default()
        }
    }

    /// From the batch in `activations[0]` to the probabilities in the last, `batch × classes`. In training, `dropout` gives
    /// the share of units to leave out and the generator that chooses them.
    pub fn forward(&self, buffers: &mut Buffers, mut dropout: Option<(f32, &mut Rng)>) {
        let last = self.layers.len() - 1;
        for (l, layer) in self.layers.iter().enumerate() {
            let (inputs, outputs) = buffers.activations.split_at_mut(l + 1);
            let (input, output) = (&inputs[l], &mut outputs[0]);
            match l {
                0 => layer.forward_pixels(self.kernel, input, output, &mut buffers.scratch),
                _ => layer.forward(self.kernel, input, output),
            }
            if l == last {
                self.kernel.run(Softmax(output));
            } else {
                if let Some((p, rng)) = &mut dropout {
                    buffers.dropouts[l].forward(*p, rng, output);
                }
                self.kernel.run(Sigmoid(output.data_mut()));
            }
        }
    }

    /// From the activations that `forward` left, back through the layers, updating each on the way. `dropout` says whether
    /// `forward` had one. The probabilities are used up.
    pub fn backward_and_update(
        &mut self,
        buffers: &mut Buffers,
        labels: &[u8],
        loss: Loss,
        dropout: bool,
        descent: Descent,
    ) {
        let Buffers { activations, dropouts, gradients: [gradient, previous], scratch } = buffers;
        let last = self.layers.len();
        std::mem::swap(gradient, &mut activations[last]);
        for (i, &label) in labels.iter().enumerate() {
            loss.gradient(gradient.row_mut(i), label);
        }
        for (l, layer) in self.layers.iter_mut().enumerate().rev() {
            if l > 0 {
                layer.backward(self.kernel, gradient, previous, scratch);
                let activations = activations[l].data();
                self.kernel.run(SigmoidBackward { activations, gradient: previous.data_mut() });
                if dropout {
                    dropouts[l - 1].backward(previous);
                }
            }
            match l {
                0 => layer.update_pixels(self.kernel, &activations[0], gradient, descent, scratch),
                _ => layer.update(self.kernel, &activations[l], gradient, descent, scratch),
            }
            std::mem::swap(gradient, previous);
        }
    }

    /// Whether every weight and bias is a finite number. Training that has diverged leaves others.
    pub fn is_finite(&self) -> bool {
        self.layers.iter().all(|layer| layer.weight.data().iter().chain(&layer.bias).all(|w| w.is_finite()))
    }

    /// How many classes the network tells apart.
    pub fn classes(&self) -> usize {
        self.layers[self.layers.len() - 1].bias.len()
    }

    /// The probabilities of each class for each image, `images × classes`, in evaluation mode. The bits do not depend on
    /// `threads`.
    pub fn predict(&self, images: &Images, threads: usize) -> Matrix {
        let mut probabilities = Matrix::zeros(images.len(), self.classes());
        let batches = Mutex::new(probabilities.data_mut().chunks_mut(EVALUATION_BATCH * self.classes()).enumerate());
        let next = || batches.lock().ok()?.next();
        let work = || {
            let mut buffers = self.buffers();
            while let Some((i, rows)) = next() {
                let start = i * EVALUATION_BATCH;
                images.gather(self.kernel, start..start + rows.len() / self.classes(), &mut buffers.activations[0]);
                self.forward(&mut buffers, None);
                rows.copy_from_slice(buffers.activations[self.layers.len()].data());
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // Where the system has no thread to give, those that are there do the work.
                thread::Builder::new().spawn_scoped(scope, work).ok();
            }
            work();
        });
        probabilities
    }
}

/// How far one update goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// The rate of this iteration.
    pub learning_rate: f32,
    /// The share that the weights lose to the L2 penalty: lr·λ, summed over the iterations since they last lost any.
    pub shrink: f32,
}

/// The class of the largest probability; the first of equals.
pub fn most_likely(probabilities: &[f32]) -> u8 {
    let mut best = 0;
    for (class, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = class;
        }
    }
    best as u8
}

/// How many images of each label (row) were taken for each class (column); `probabilities` is `labels × classes`.
///
/// # Panics
/// If a label is not below `classes`.
pub fn confusion(probabilities: &Matrix, labels: &[u8]) -> Vec<Vec<usize>> {
    let classes = probabilities.columns();
    let mut counts = vec![vec![0; classes]; classes];
    for (i, &label) in labels.iter().enumerate() {
        counts[usize::from(label)][usize::from(most_likely(probabilities.row(i)))] += 1;
    }
    counts
}

/// The share of images whose most likely class is their label; `probabilities` is `labels × classes`.
pub fn accuracy(probabilities: &Matrix, labels: &[u8]) -> f64 {
    let right = (0..labels.len()).filter(|&i| most_likely(probabilities.row(i)) == labels[i]).count();
    right as f64 / labels.len() as f64
}
