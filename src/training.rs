//! The training loop: mini-batch stochastic gradient descent, epoch by epoch.

pub mod schedule;

use std::mem;
use std::path::Path;
use std::time::Instant;

use crate::config::Config;
use crate::data::deformation::{Deformed, Deformer};
use crate::data::{Dataset, Images};
use crate::error::{Error, Result};
use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;
use crate::math::rng::{Purpose, Rng};
use crate::network::activation::Activation;
use crate::network::dropout::Dropout;
use crate::network::layer::{Linear, Step};
use crate::network::{Buffers, EVALUATION_BATCH, Network, accuracy};
use crate::output::weights;

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
    /// At the end of an epoch, with the network as it is then.
    Epoch(&'a Epoch, &'a Network),
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
    /// The share of training images that were classified right when their batch came by, just before it was trained on
    /// and with dropout.
    pub running_accuracy: f64,
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

/// Half a GiB of numbers, a thousand times the coursework's network: a few times as much is what training and saving take.
pub const MOST_NUMBERS: usize = 1 << 27;

/// The widths of the network that `config` describes for `set`, from the images' size to the number of classes.
///
/// # Errors
/// What [`Config::validate`] and [`check`] find, a batch larger than the training set, and a network or
/// a batch larger than memory.
fn widths(config: &Config, set: &Dataset) -> Result<Vec<usize>> {
    config.validate()?;
    check("the training set", set, config.classes)?;
    let widths = [&[set.images.size()], &config.hidden_layers[..], &[config.classes]].concat();
    let weights = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1])).fold(0, usize::saturating_add);
    let activations = widths.iter().fold(0, |sum: usize, width| sum.saturating_add(*width));
    let activations = activations.saturating_mul(config.batch_size.max(EVALUATION_BATCH));
    let (batch_size, images) = (config.batch_size, set.labels.len());
    if batch_size > images {
        let expected = format!("at most {images}, the size of the training set");
        return Err(Error::in_config("batch_size", batch_size.to_string(), expected));
    }
    let most = format!("at most {MOST_NUMBERS}");
    if weights > MOST_NUMBERS {
        return Err(Error::in_config("hidden_layers", format!("{weights} weights"), most));
    }
    if activations > MOST_NUMBERS {
        let found = format!("{batch_size} images, which have {activations} activations in all layers");
        return Err(Error::in_config("batch_size", found, most));
    }
    Ok(widths)
}

/// Checks that pixels fill the images of a set, and that each has a label below `classes`.
fn check(name: &str, set: &Dataset, classes: usize) -> Result<()> {
    let Dataset { images: Images { rows, columns, pixels }, labels } = set;
    let error = |found: String, expected: String| {
        Err(Error::new(name, found, expected, "give each image its pixels and its label"))
    };
    let (count, size) = (labels.len(), rows * columns);
    if count == 0 || size == 0 || pixels.len() != count * size {
        let found = format!("{} pixels and {count} labels", pixels.len());
        return error(found, format!("{size} pixels, {rows} × {columns}, for each label, and at least one"));
    }
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(()),
        Some(i) => error(format!("label {} at image {i}", labels[i]), format!("labels below {classes}, the classes")),
    }
}

/// The network in the file at `path`, if it has these widths and this activation.
fn initial_weights(path: &Path, widths: &[usize], activation: Activation, cpu: Cpu) -> Result<Network> {
    let network = weights::read(path, cpu, Some(activation))
        .map_err(|error| error.within("initial_weights in get_config"))?
        .network;
    let found = network.widths();
    if found != widths {
        let text = |widths: &[usize]| widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        let found = format!("a network {} in {}", text(&found), path.display());
        let expected = format!("{}, as the images, hidden_layers and classes say", text(widths));
        return Err(Error::in_config("initial_weights", found, expected));
    }
    Ok(network)
}

/// The least share that the weights lose to decay at once. One iteration's lr·λ, 2·10⁻⁷ as shipped, would be lost in the
/// rounding of 1 − lr·λ and of the weights. So it is summed up to 2⁻¹⁶, which is 256 steps of f32 below 1, and still
/// nothing beside the weights.
const LEAST_DECAY: f64 = 1.0 / (1 << 16) as f64;

/// A network in training.
pub struct Trainer<'a> {
    config: &'a Config,
    set: &'a Dataset,
    /// The network as it is now.
    pub network: Network,
    /// The training images of this epoch and of the next, where they are deformed.
    deformed: Option<Deformed>,
    /// The velocity of each layer's weights and biases; none without momentum.
    velocities: Vec<Linear>,
    buffers: Buffers,
    batch_labels: Vec<u8>,
    /// The numbers of the training images, in the order of the epoch.
    order: Vec<usize>,
    shuffle: Rng,
    dropout: Option<Dropout>,
    /// Iterations done.
    iteration: usize,
    /// Σ lr·λ that the weights have not lost yet.
    decay: f64,
}

impl<'a> Trainer<'a> {
    /// A new network for `set`, as `config` says. Nothing but the time depends on the cpu's threads.
    ///
    /// # Errors
    /// What [`Config::validate`] finds, a set whose pixels or labels do not fit it, initial weights of
    /// another network, a batch larger than the training set, and a network or a batch larger than memory.
    pub fn new(config: &'a Config, set: &'a Dataset, cpu: Cpu) -> Result<Self> {
        let widths = widths(config, set)?;
        let Config { activation, initialisation, dropout: p, dropout_after_activation: after_activation, .. } = *config;
        let rng = |purpose| Rng::new(config.seed, purpose);
        let network = match &config.initial_weights {
            None => Network::new(&widths, activation, initialisation, &mut rng(Purpose::Initialisation), cpu),
            Some(path) => initial_weights(path, &widths, activation, cpu)?,
        };
        let Images { rows, columns, .. } = set.images;
        let deformer = |deformation| Deformer::new(deformation, config.seed, cpu, rows, columns);
        let deformed = match config.deformation {
            None => None,
            Some(deformation) => {
                let other_cores_are_free = network.cpu_of_step(config.batch_size).threads() == 1;
                Some(Deformed::new(deformer(deformation)?, &set.images, other_cores_are_free))
            }
        };
        let velocity = |pair: &[usize]| Linear::zeros(pair[0], pair[1]);
        Ok(Trainer {
            config,
            set,
            deformed,
            velocities: widths.windows(2).filter(|_| config.momentum > 0.0).map(velocity).collect(),
            buffers: network.buffers(),
            network,
            batch_labels: Vec::with_capacity(config.batch_size),
            order: (0..set.labels.len()).collect(),
            shuffle: rng(Purpose::Shuffle),
            dropout: (p > 0.0).then(|| Dropout { p, after_activation, rng: rng(Purpose::Dropout) }),
            iteration: 0,
            decay: 0.0,
        })
    }

    /// Trains once on every image, in a new order, and returns the epoch's learning rate, mean loss and running accuracy.
    /// After each batch, `progress` is told how many images are done.
    ///
    /// # Errors
    /// Those of `progress`.
    pub fn epoch(&mut self, progress: impl FnMut(usize) -> Result<()>) -> Result<(f32, f64, f64)> {
        let epoch = self.iteration / self.order.len().div_ceil(self.config.batch_size);
        let (mut deformed, images) = (self.deformed.take(), &self.set.images);
        let result = match &mut deformed {
            None => self.batches(images, progress),
            Some(deformed) => {
                let is_last = epoch + 1 == self.config.epochs;
                deformed.epoch(epoch, is_last, images, |images| self.batches(images, progress))
            }
        };
        self.deformed = deformed;
        result
    }

    /// [`Trainer::epoch`] with these training images, deformed or not.
    fn batches(&mut self, images: &Images, mut progress: impl FnMut(usize) -> Result<()>) -> Result<(f32, f64, f64)> {
        let Config { batch_size, epochs, learning_rate, weight_decay, momentum, loss, schedule, .. } = *self.config;
        let count = self.order.len();
        let iterations = count.div_ceil(batch_size);
        let (mut rate, mut total_loss, mut correct, mut done) = (0.0, 0.0, 0, 0);
        self.shuffle.shuffle(&mut self.order);
        for batch in self.order.chunks(batch_size) {
            done += batch.len();
            self.batch_labels.clear();
            self.batch_labels.extend(batch.iter().map(|&i| self.set.labels[i]));

            rate = schedule.rate(learning_rate, self.iteration, iterations * epochs, iterations);
            self.decay += f64::from(rate) * f64::from(weight_decay);
            let decay = if self.decay < LEAST_DECAY { 0.0 } else { mem::take(&mut self.decay) as f32 };
            let step = Step { learning_rate: rate, decay, momentum };
            let (labels, dropout) = (&self.batch_labels, self.dropout.as_mut());
            self.buffers.batch.load(self.network.cpu, images, batch.iter().copied());
            images.prefetch(self.order[done..].iter().take(batch_size).copied());
            let result = self.network.train(&mut self.buffers, labels, loss, dropout, step, &mut self.velocities);
            (total_loss, correct) = (total_loss + result.0, correct + result.1);
            self.iteration += 1;
            progress(done)?;
        }
        Ok((rate, total_loss / count as f64, correct as f64 / count as f64))
    }
}

/// Trains the new network of `trainer` through all epochs and tests it on the `test` set after each; `watch` is told of
/// every batch and every epoch.
///
/// # Errors
/// Those of `watch`, a test set that is none or has images of another size, and training that has
/// diverged: weights, loss or outputs no longer finite.
pub fn train(mut trainer: Trainer, test: &Dataset, watch: &mut dyn FnMut(Event) -> Result<()>) -> Result<Trained> {
    let (config, images) = (trainer.config, &trainer.set.images);
    check("the test set", test, config.classes)?;
    if test.images.size() != images.size() {
        let size = |images: &Images| format!("images of {} × {} pixels", images.rows, images.columns);
        let next = "test on images of the size that is trained on";
        return Err(Error::new("the test set", size(&test.images), size(images), next));
    }
    let mut history = Vec::with_capacity(config.epochs);
    let mut test_probabilities = Matrix::default();
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let (learning_rate, loss, running_accuracy) = trainer.epoch(|images| watch(Event::Batch { epoch, images }))?;
        test_probabilities = trainer.network.predict(&test.images);
        // The loss is from before the last update; finite weights can still be large enough for an infinite output.
        let outputs_are_finite = test_probabilities.iter().all(|p| p.is_finite());
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
                format!("lower {field}; {value:?} is likely too high"),
            ));
        }
        let test_accuracy = accuracy(&test_probabilities, &test.labels);
        let seconds = start.elapsed().as_secs_f64();
        let row = Epoch { epoch, learning_rate, loss, running_accuracy, test_accuracy, seconds };
        watch(Event::Epoch(&row, &trainer.network))?;
        history.push(row);
    }
    let train_accuracy = evaluate(&trainer.network, trainer.set);
    Ok(Trained { network: trainer.network, history, train_accuracy, test_probabilities })
}

/// The share of the set's images that the network classifies right.
pub fn evaluate(network: &Network, set: &Dataset) -> f64 {
    accuracy(&network.predict(&set.images), &set.labels)
}
