//! The network: linear layers, an activation after each but the last, softmax at the end; forward,
//! backward and update. In `tiny.rs` it is `forward` and `train_step`.

pub mod activation;
pub mod dropout;
pub mod layer;
pub mod loss;

use crate::data::Images;
use crate::data::batch::Batch;
use crate::math::kernels::Cpu;
use crate::math::kernels::threads::Sharing;
use crate::math::matrix::Matrix;
use crate::math::rng::Rng;
use crate::metrics::count_correct;
use crate::network::activation::{Activation, softmax};
use crate::network::dropout::{Dropout, apply_mask};
use crate::network::layer::{ColumnSums, Initialisation, Input, Linear, Step, Velocity};
use crate::network::loss::Loss;

/// Images that evaluation takes at once: a multiple of every tile's rows, few enough to stay in L2.
pub const EVALUATION_BATCH: usize = 48;

/// A multi-layer perceptron.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// The layers from the images to the classes.
    pub layers: Vec<Linear>,
    /// The activation of all layers but the last.
    pub activation: Activation,
    /// The instruction set and the threads that it computes with.
    pub cpu: Cpu,
}

/// What a batch becomes on its way through the network and back. Made once, used for every batch.
#[derive(Clone, Debug, Default)]
pub struct Buffers {
    /// The images.
    pub batch: Batch,
    column_sums: ColumnSums,
    hidden: Vec<Hidden>,
    /// The logits of the last layer, then their softmax, then ∂L/∂Z: `batch × classes`.
    pub probabilities: Matrix,
    /// `dz`, the gradient at a layer's output, `batch × fan_out`, and `dx`, at its input, `batch ×
    /// fan_in`.
    gradients: [Matrix; 2],
    scratch: [Matrix; 2],
    sharing: Sharing,
}

/// What one hidden layer makes of a batch, each `batch × fan_out`.
#[derive(Clone, Debug, Default)]
struct Hidden {
    /// The sums X·W + b.
    z: Matrix,
    /// The activations f(z).
    a: Matrix,
    /// The mask of dropout, on `z` or on `a`.
    mask: Matrix,
}

impl Network {
    /// A network of these layer widths, from the images' size to the number of classes.
    ///
    /// # Panics
    /// If there are fewer than two widths.
    pub fn new(
        widths: &[usize],
        activation: Activation,
        initialisation: Initialisation,
        rng: &mut Rng,
        cpu: Cpu,
    ) -> Self {
        assert!(widths.len() > 1, "a network has at least one layer");
        let layers = widths
            .windows(2)
            .map(|pair| Linear::new(pair[0], pair[1], initialisation, rng))
            .collect();
        Network { layers, activation, cpu }
    }

    /// Buffers for this network.
    pub fn buffers(&self) -> Buffers {
        Buffers { hidden: vec![Hidden::default(); self.layers.len() - 1], ..Buffers::default() }
    }

    /// From the images in `batch` to their `probabilities`. `dropout` is for training alone.
    pub fn forward(&self, cpu: Cpu, buffers: &mut Buffers, mut dropout: Option<&mut Dropout>) {
        let Buffers { batch, column_sums, hidden, probabilities, scratch: [scratch, _], .. } =
            buffers;
        let mut input = Input::Pixels(batch, column_sums.of(&self.layers[0].weight));
        for (layer, Hidden { z, a, mask }) in self.layers.iter().zip(hidden) {
            layer.forward(cpu, input, z, scratch);
            if let Some(dropout) = dropout.as_mut().filter(|dropout| !dropout.after_activation) {
                dropout.forward(cpu, z, mask);
            }
            self.activation.forward(cpu, z, a);
            if let Some(dropout) = dropout.as_mut().filter(|dropout| dropout.after_activation) {
                dropout.forward(cpu, a, mask);
            }
            input = Input::Activations(a);
        }
        if let Some(layer) = self.layers.last() {
            layer.forward(cpu, input, probabilities, scratch);
        }
        softmax(cpu, probabilities);
    }

    /// One step of training on the images in `batch`: forward, then from its loss back through the
    /// layers, each of which takes its part of the step. `velocities` are the layers', or none
    /// without momentum. Returns the sum of the images' losses and how many were classified right,
    /// both before the step.
    pub fn train_step(
        &mut self,
        buffers: &mut Buffers,
        labels: &[u8],
        loss: Loss,
        mut dropout: Option<&mut Dropout>,
        step: Step,
        velocities: &mut [Velocity],
    ) -> (f64, usize) {
        let cpu = buffers.sharing.next(self.cpu_of_step(labels.len()));
        self.forward(cpu, buffers, dropout.as_deref_mut());
        let Buffers {
            batch, column_sums, hidden, probabilities, gradients: [dz, dx], scratch, ..
        } = buffers;
        let correct = count_correct(probabilities, labels);
        let loss = loss.loss_and_gradient_in_place(probabilities, labels);
        std::mem::swap(dz, probabilities);
        for (l, layer) in self.layers.iter_mut().enumerate().rev() {
            let velocity = velocities.get_mut(l);
            let Some(before) = l.checked_sub(1) else {
                let input = Input::Pixels(batch, column_sums.of(&layer.weight));
                layer.update(cpu, input, dz, step, velocity, &mut scratch[0]);
                column_sums.follow(cpu, batch, dz, step);
                break;
            };
            let Hidden { z, a, mask } = &mut hidden[before];
            layer.input_gradient(cpu, dz, dx, scratch);
            layer.update(cpu, Input::Activations(a), dz, step, velocity, &mut scratch[0]);
            if dropout.as_ref().is_some_and(|dropout| dropout.after_activation) {
                self.activation.forward(cpu, z, a); // f(z) again, without the mask
            }
            self.activation.backward(cpu, z, a, dx);
            if dropout.is_some() {
                // On either side of f, which acts on each element by itself.
                apply_mask(cpu, dx, mask);
            }
            std::mem::swap(dz, dx);
        }
        (loss, correct)
    }

    /// The cpu for a step on this many images: with several threads only if the largest product is
    /// sixteen times what is worth sharing by itself, or too little of the rest of the step is.
    pub fn cpu_of_step(&self, images: usize) -> Cpu {
        let products = self
            .layers
            .iter()
            .map(|layer| 2 * images * layer.weight.rows() * layer.weight.columns());
        self.cpu.for_work(products.max().unwrap_or(0) / 16)
    }

    /// Whether every weight and bias is a finite number. Training that has diverged leaves others.
    pub fn is_finite(&self) -> bool {
        self.layers
            .iter()
            .all(|layer| layer.weight.iter().chain(&layer.bias).all(|w| w.is_finite()))
    }

    /// The widths of its layers, from the images' size to the number of classes.
    pub fn widths(&self) -> Vec<usize> {
        [self.layers[0].weight.rows()]
            .into_iter()
            .chain(self.layers.iter().map(|layer| layer.bias.len()))
            .collect()
    }

    /// How many classes the network tells apart.
    pub fn classes(&self) -> usize {
        self.layers[self.layers.len() - 1].bias.len()
    }

    /// The probabilities of each class for each image, `images × classes`, in evaluation mode. The
    /// bits do not depend on the cpu's threads.
    ///
    /// # Panics
    /// If the images have another number of pixels than the first layer has inputs.
    pub fn predict(&self, images: &Images) -> Matrix {
        self.outputs(images, self.classes(), |buffers, rows| {
            rows.copy_from_slice(buffers.probabilities.padded());
        })
    }

    /// The activations of each image in all hidden layers side by side, `images × hidden units`, in
    /// evaluation mode.
    ///
    /// # Panics
    /// As [`Network::predict`].
    pub fn hidden(&self, images: &Images) -> Matrix {
        let widths = self.widths();
        let units: usize = widths[1..widths.len() - 1].iter().sum();
        self.outputs(images, units, |buffers, rows| {
            let stride = rows.len() / buffers.probabilities.rows();
            for (r, row) in rows.chunks_exact_mut(stride).enumerate() {
                let activations = buffers.hidden.iter().flat_map(|hidden| hidden.a.row(r));
                row.iter_mut().zip(activations).for_each(|(to, a)| *to = *a);
            }
        })
    }

    /// `images × columns`, whose padded rows `copy` takes from the buffers, batch after batch.
    fn outputs(
        &self,
        images: &Images,
        columns: usize,
        copy: impl Fn(&Buffers, &mut [f32]) + Sync,
    ) -> Matrix {
        let size = images.size();
        let inputs = self.layers[0].weight.rows();
        assert!(size == inputs, "images of {size} pixels, and a network that takes {inputs}");
        let mut outputs = Matrix::zeros(images.count(), columns);
        let stride = outputs.stride();
        let rows = self.cpu.chunk_len(images.count(), EVALUATION_BATCH);
        let chunks = outputs.padded_mut().chunks_mut(rows * stride).enumerate();
        self.cpu.each(chunks, |(i, outputs)| {
            let mut buffers = self.buffers();
            let mut start = i * rows;
            for outputs in outputs.chunks_mut(EVALUATION_BATCH * stride) {
                let end = start + outputs.len() / stride;
                buffers.batch.load(self.cpu, images, start..end);
                self.forward(self.cpu.on_threads(1), &mut buffers, None);
                copy(&buffers, outputs);
                start = end;
            }
        });
        outputs
    }
}
