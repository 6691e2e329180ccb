//! The training loop: mini-batch stochastic gradient descent, epoch by epoch.

pub mod schedule;

use std::mem;
use std::time::Instant;

use crate::config::Config;
use crate::data::{Data, Dataset};
use crate::error::{Error, Result};
use crate::math::kernel::Kernel;
use crate::math::matrix::Matrix;
use crate::math::rng::{Purpose, Rng};
use crate::network::{Buffers, Descent, EVALUATION_BATCH, Network, accuracy, most_likely};

/// What training tells whoever watches.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Within an epoch, counted from 1: so many of its images are done.
    Batch {
        /// The epoch.
        epoch: usize,
        /// Images done in it.
        images: usize,
    },
    /// At the end of an epoch.
    Epoch(&'a Epoch),
}

/// One epoch of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// The rate of its last iteration.
    pub learning_rate: f32,
    /// The mean loss of an image, each as its batch found it.
    pub loss: f64,
    /// The share of training images that were classified right as their batch came by: with the weights of that moment
    /// and with dropout.
    pub train_accuracy: f64,
    /// The share of test images that are classified right after the epoch.
    pub test_accuracy: f64,
    /// How long training and test took.
    pub seconds: f64,
}

/// A trained network, and how it came about.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The network after the last epoch.
    pub network: Network,
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// The share of training images that the network classifies right, all of them in evaluation mode.
    pub train_accuracy: f64,
    /// What the network makes of the test images, `images × classes`.
    pub test_probabilities: Matrix,
}

impl Trained {
    /// The share of test images that the network classifies right.
    pub fn test_accuracy(&self) -> f64 {
        self.history.last().map_or(0.0, |epoch| epoch.test_accuracy)
    }

    /// The highest test accuracy of an epoch, and the first epoch that reached it.
    pub fn best_test_accuracy(&self) -> (f64, usize) {
        let best = self.history.iter().rev().max_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy));
        best.map_or((0.0, 0), |best| (best.test_accuracy, best.epoch))
    }
}

/// Half a GiB of numbers, a thousand times the network of §2: a few times as much is what training and saving take.
pub const MOST_NUMBERS: usize = 1 << 27;

/// Checks that `config` is one that can be trained on `set`, and returns the network's widths.
///
/// # Errors
/// What [`Config::validate`] finds, a batch larger than the training set, and a network or a batch larger than memory.
pub fn check(config: &Config, set: &Dataset) -> Result<Vec<usize>> {
    config.validate()?;
    let count = set.labels.len();
    let widths = [&[set.images.size()], &config.hidden_layers[..], &[config.classes]].concat();
    let weights = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1])).fold(0, usize::saturating_add);
    let activations = widths.iter().fold(0, |sum: usize, width| sum.saturating_add(*width));
    let activations = activations.saturating_mul(config.batch_size.max(EVALUATION_BATCH));
    let wrong = |field: &str, found, most| {
        let place = format!("{field} in get_config");
        Err(Error::new(place, found, format!("at most {most}"), "change that line in src/main.rs"))
    };
    if config.batch_size > count {
        return wrong("batch_size", config.batch_size.to_string(), format!("{count}, the size of the training set"));
    }
    if weights > MOST_NUMBERS {
        return wrong("hidden_layers", format!("{weights} weights"), MOST_NUMBERS.to_string());
    }
    if activations > MOST_NUMBERS {
        let found = format!("{} images, which become {activations} numbers", config.batch_size);
        return wrong("batch_size", found, format!("{MOST_NUMBERS} numbers in all layers"));
    }
    Ok(widths)
}

/// The share by which weights shrink at once. One iteration's lr·λ, 2·10⁻⁷ in §6 and less, is lost in the rounding of
/// 1 − lr·λ and of the weights; summed up to 2⁻¹⁶ it is 256 steps of f32 below 1, and still nothing beside the weights.
const SHRINK: f64 = 1.0 / (1 << 16) as f64;

/// A network in training.
pub struct Trainer<'a> {
    config: &'a Config,
    set: &'a Dataset,
    /// The network as it is now.
    pub network: Network,
    buffers: Buffers,
    batch_labels: Vec<u8>,
    /// The numbers of the training images, in the order of the epoch.
    order: Vec<usize>,
    shuffle: Rng,
    dropout: Rng,
    /// Iterations done.
    iteration: usize,
    /// Σ lr·λ that the weights have not lost yet.
    shrink: f64,
}

impl<'a> Trainer<'a> {
    /// A new network for `set`, as `config` says.
    ///
    /// # Errors
    /// As [`check`].
    pub fn new(config: &'a Config, set: &'a Dataset, kernel: Kernel) -> Result<Self> {
        let widths = check(config, set)?;
        let count = set.labels.len();
        let rng = |purpose| Rng::new(config.seed, purpose);
        let network = Network::new(&widths, config.initialisation, &mut rng(Purpose::Initialisation), kernel);
        Ok(Trainer {
            config,
            set,
            buffers: network.buffers(),
            network,
            batch_labels: Vec::with_capacity(config.batch_size),
            order: (0..count).collect(),
            shuffle: rng(Purpose::Shuffle),
            dropout: rng(Purpose::Dropout),
            iteration: 0,
            shrink: 0.0,
        })
    }

    /// Trains once on every image, in a new order, and returns the epoch's learning rate, mean loss and running accuracy.
    /// After each batch, `progress` is told how many images are done.
    ///
    /// # Errors
    /// Those of `progress`.
    pub fn epoch(&mut self, mut progress: impl FnMut(usize) -> Result<()>) -> Result<(f32, f64, f64)> {
        let Config { batch_size, dropout, weight_decay, loss, .. } = *self.config;
        let count = self.order.len();
        let iterations = count.div_ceil(batch_size);
        let (mut learning_rate, mut total_loss, mut right, mut done) = (0.0, 0.0, 0, 0);
        self.shuffle.shuffle(&mut self.order);
        for batch in self.order.chunks(batch_size) {
            self.set.images.gather(self.network.kernel, batch.iter().copied(), &mut self.buffers.activations[0]);
            self.set.images.prefetch(self.order[done..].iter().skip(batch.len()).take(batch_size).copied());
            self.batch_labels.clear();
            self.batch_labels.extend(batch.iter().map(|&i| self.set.labels[i]));

            self.network.forward(&mut self.buffers, (dropout > 0.0).then_some((dropout, &mut self.dropout)));
            let probabilities = &self.buffers.activations[self.network.layers.len()];
            for (i, &label) in self.batch_labels.iter().enumerate() {
                total_loss += loss.value(probabilities.row(i), label);
                right += usize::from(most_likely(probabilities.row(i)) == label);
            }

            let total = iterations * self.config.epochs;
            learning_rate = self.config.schedule.rate(self.config.learning_rate, self.iteration, total, iterations);
            self.shrink += f64::from(learning_rate) * f64::from(weight_decay);
            let shrink = if self.shrink < SHRINK { 0.0 } else { mem::take(&mut self.shrink) as f32 };
            let descent = Descent { learning_rate, shrink };
            self.network.backward_and_update(&mut self.buffers, &self.batch_labels, loss, dropout > 0.0, descent);
            self.iteration += 1;
            done += batch.len();
            progress(done)?;
        }
        Ok((learning_rate, total_loss / count as f64, right as f64 / count as f64))
    }
}

/// Trains a network on `data.train` as `config` says and tests it on `data.test` after each epoch, with that many
/// `threads`; `watch` is told of every batch and every epoch. Nothing but the seconds depends on the threads.
///
/// # Errors
/// Those of [`Trainer::new`] and of `watch`, and training that has diverged: weights, loss or outputs no longer finite.
pub fn train(
    config: &Config,
    data: &Data,
    kernel: Kernel,
    threads: usize,
    watch: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Trained> {
    let mut trainer = Trainer::new(config, &data.train, kernel)?;
    let mut history = Vec::with_capacity(config.epochs);
    let mut test_probabilities = Matrix::default();
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let (learning_rate, loss, train_accuracy) = trainer.epoch(|images| watch(Event::Batch { epoch, images }))?;
        test_probabilities = trainer.network.predict(&data.test.images, threads);
        // The loss is from before the last update; finite weights can still be large enough for an infinite output.
        let outputs_are_finite = test_probabilities.data().iter().all(|p| p.is_finite());
        if !(loss.is_finite() && trainer.network.is_finite() && outputs_are_finite) {
            let Config { learning_rate, weight_decay, .. } = config;
            // From 2 on, the decay alone makes the weights grow.
            let (field, value) = match learning_rate * weight_decay >= 2.0 && weight_decay > learning_rate {
                true => ("weight_decay", weight_decay),
                false => ("learning_rate", learning_rate),
            };
            return Err(Error::new(
                format!("training, epoch {epoch}"),
                format!("weights that have grown without bounds (mean loss {loss})"),
                "finite weights, loss and outputs",
                format!("lower {field} in get_config; {value:?} is likely too high"),
            ));
        }
        let test_accuracy = accuracy(&test_probabilities, &data.test.labels);
        let seconds = start.elapsed().as_secs_f64();
        let row = Epoch { epoch, learning_rate, loss, train_accuracy, test_accuracy, seconds };
        watch(Event::Epoch(&row))?;
        history.push(row);
    }
    let train_accuracy = evaluate(&trainer.network, &data.train, threads);
    Ok(Trained { network: trainer.network, history, train_accuracy, test_probabilities })
}

/// The share of the set's images that the network classifies right.
pub fn evaluate(network: &Network, set: &Dataset, threads: usize) -> f64 {
    accuracy(&network.predict(&set.images, threads), &set.labels)
}
