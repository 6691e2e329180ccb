//! The training loop: mini-batch stochastic gradient descent, epoch by epoch. In `tiny.rs` it is
//! `train`.

pub mod schedule;

use std::mem;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::config::Config;
use crate::data::deformation::Deformer;
use crate::data::{Dataset, Images};
use crate::error::{Error, Result};
use crate::math::kernels::Cpu;
use crate::math::matrix::Matrix;
use crate::math::rng::{Rng, Stream};
use crate::metrics::accuracy;
use crate::network::activation::Activation;
use crate::network::dropout::Dropout;
use crate::network::layer::{Step, Velocity};
use crate::network::{Buffers, Network};
use crate::output::weights;

/// What training tells whoever watches.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Within an epoch, counted from 1: `images` of its images are done.
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
    /// The share of training images that were classified right when their batch came by, just
    /// before it was trained on and with dropout.
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
    /// The share of training images that the network classifies right, all of them in evaluation
    /// mode.
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
        let best =
            self.history.iter().rev().max_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy));
        best.map_or((0.0, 0), |best| (best.test_accuracy, best.epoch))
    }
}

/// Checks that pixels fill the images of a set, and that each has a label below `classes`.
fn check(name: &str, set: &Dataset, classes: usize) -> Result<()> {
    let Dataset { images: Images { rows, columns, pixels }, labels } = set;
    let error = |found: String, expected: String| {
        Err(Error::new(name, found, expected, "give each image its pixels and its label"))
    };
    let count = labels.len();
    let size = rows * columns;
    if count == 0 || size == 0 || pixels.len() != count * size {
        let found = format!("{} pixels and {count} labels", pixels.len());
        return error(
            found,
            format!("{size} pixels, {rows} × {columns}, for each label, and at least one"),
        );
    }
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        None => Ok(()),
        Some(i) => error(
            format!("label {} at image {i}", labels[i]),
            format!("labels below {classes}, the classes"),
        ),
    }
}

/// The network in the file at `path`, if it has these widths and this activation.
fn initial_weights(
    path: &Path,
    widths: &[usize],
    activation: Activation,
    cpu: Cpu,
) -> Result<Network> {
    let network = weights::read(path, cpu, Some(activation))
        .map_err(|error| error.within("initial_weights in get_config"))?
        .network;
    let found = network.widths();
    if found != widths {
        let text =
            |widths: &[usize]| widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-");
        let found = format!("a network {} in {}", text(&found), path.display());
        let expected = format!("{}, as the images, hidden_layers and classes say", text(widths));
        return Err(Error::in_config("initial_weights", found, expected));
    }
    Ok(network)
}

/// Σ lr·λ since the last decay is held back until it exceeds this, 256 steps of f32 below 1. One
/// iteration's lr·λ, 2·10⁻⁷ as shipped, would be lost in the rounding of 1 − lr·λ and of the
/// weights.
const LEAST_DECAY: f64 = 1.0 / (1 << 16) as f64;

/// The training images as the deformer makes them: those of this epoch, and of the next.
struct Prepared {
    deformer: Deformer,
    now: Images,
    /// Made while this epoch trains; none where training has all cores.
    next: Option<Images>,
    /// Whether it is made.
    is_ready: bool,
}

impl Prepared {
    /// The images of this `epoch` of `epochs`, and what makes the next one's meanwhile.
    fn begin<'a>(
        &'a mut self,
        cpu: Cpu,
        [epoch, epochs]: [usize; 2],
        original: &'a Images,
    ) -> (&'a Images, Option<impl FnOnce() + Send + 'a>) {
        let Prepared { deformer, now, next, is_ready } = self;
        match next {
            Some(next) if mem::take(is_ready) => mem::swap(now, next),
            _ => deformer.deform_all(cpu, epoch, original, now),
        }
        let next = next.as_mut().filter(|_| epoch + 1 < epochs);
        let make_next = next.map(|next| {
            move || {
                deformer.deform_all(Cpu::best(), epoch + 1, original, next); // on this thread alone
                *is_ready = true;
            }
        });
        (now, make_next)
    }
}

/// A network in training.
pub struct Trainer<'a> {
    config: &'a Config,
    set: &'a Dataset,
    /// The network as it is now.
    pub network: Network,
    /// Where they are deformed, the training images.
    prepared: Option<Prepared>,
    /// The velocity of each layer; none without momentum.
    velocities: Vec<Velocity>,
    buffers: Buffers,
    batch_labels: Vec<u8>,
    /// The numbers of the training images, in the order of the epoch.
    order: Vec<usize>,
    shuffle: Rng,
    dropout: Option<Dropout>,
    /// Iterations done.
    iteration: usize,
    /// Σ lr·λ since the last decay.
    decay: f64,
}

impl<'a> Trainer<'a> {
    /// A new network for `set`, as `config` says. Nothing but the time depends on the cpu's
    /// threads.
    ///
    /// # Errors
    /// What [`Config::validate`] finds, a set whose pixels or labels do not fit it, initial weights
    /// of another network, a batch larger than the training set, and a network or a batch larger
    /// than memory.
    pub fn new(config: &'a Config, set: &'a Dataset, cpu: Cpu) -> Result<Self> {
        config.validate()?;
        check("the training set", set, config.classes)?;
        let widths = config.widths(set.images.size(), set.labels.len())?;
        let Config {
            activation,
            initialisation,
            dropout: p,
            dropout_after_activation: after_activation,
            ..
        } = *config;
        let rng = |stream| Rng::new(config.seed, stream);
        let network = match &config.initial_weights {
            None => Network::new(
                &widths,
                activation,
                initialisation,
                &mut rng(Stream::Initialisation),
                cpu,
            ),
            Some(path) => initial_weights(path, &widths, activation, cpu)?,
        };
        let Images { rows, columns, .. } = set.images;
        let deformer = |deformation| Deformer::new(deformation, config.seed, cpu, rows, columns);
        let prepared = match config.deformation {
            None => None,
            Some(deformation) => {
                let leaves_a_core =
                    cpu.threads() > 1 && network.cpu_of_step(config.batch_size).threads() == 1;
                Some(Prepared {
                    deformer: deformer(deformation)?,
                    now: set.images.clone(),
                    next: leaves_a_core.then(|| set.images.clone()),
                    is_ready: false,
                })
            }
        };
        let velocity = |pair: &[usize]| Velocity::zeros(pair[0], pair[1]);
        Ok(Trainer {
            config,
            set,
            prepared,
            velocities: widths.windows(2).filter(|_| config.momentum > 0.0).map(velocity).collect(),
            buffers: network.buffers(),
            network,
            batch_labels: Vec::with_capacity(config.batch_size),
            order: (0..set.labels.len()).collect(),
            shuffle: rng(Stream::Shuffle),
            dropout: (p > 0.0).then(|| Dropout { p, after_activation, rng: rng(Stream::Dropout) }),
            iteration: 0,
            decay: 0.0,
        })
    }

    /// Trains once on every image, in a new order, and returns the epoch's learning rate, mean loss
    /// and running accuracy. After each batch, `progress` is told how many images are done.
    ///
    /// # Errors
    /// Those of `progress`.
    pub fn train_epoch(
        &mut self,
        mut progress: impl FnMut(usize) -> Result<()>,
    ) -> Result<(f32, f64, f64)> {
        let Config { batch_size, epochs, weight_decay, momentum, loss, schedule, .. } =
            *self.config;
        let count = self.order.len();
        let iterations = count.div_ceil(batch_size);
        let epoch = self.iteration / iterations;
        let original = &self.set.images;
        let (images, make_next) = match &mut self.prepared {
            None => (original, None),
            Some(prepared) => prepared.begin(self.network.cpu, [epoch, epochs], original),
        };
        self.shuffle.shuffle(&mut self.order);
        let mut learning_rate = 0.0;
        let mut total_loss = 0.0;
        let mut correct = 0;
        let mut done = 0;
        thread::scope(|scope| {
            // Where the system has no thread to give, the next epoch makes its images at its start.
            make_next.map(|make_next| thread::Builder::new().spawn_scoped(scope, make_next).ok());
            for batch in self.order.chunks(batch_size) {
                done += batch.len();
                self.batch_labels.clear();
                self.batch_labels.extend(batch.iter().map(|&i| self.set.labels[i]));
                self.buffers.batch.load(self.network.cpu, images, batch.iter().copied());

                learning_rate = schedule.rate(
                    self.config.learning_rate,
                    self.iteration,
                    iterations * epochs,
                    iterations,
                );
                self.decay += f64::from(learning_rate) * f64::from(weight_decay);
                let decay =
                    if self.decay < LEAST_DECAY { 0.0 } else { mem::take(&mut self.decay) as f32 };
                let step = Step { learning_rate, decay, momentum };
                let (batch_loss, batch_correct) = self.network.train_step(
                    &mut self.buffers,
                    &self.batch_labels,
                    loss,
                    self.dropout.as_mut(),
                    step,
                    &mut self.velocities,
                );
                total_loss += batch_loss;
                correct += batch_correct;
                self.iteration += 1;
                progress(done)?;
            }
            Ok((learning_rate, total_loss / count as f64, correct as f64 / count as f64))
        })
    }
}

/// Trains the new network of `trainer` through all epochs and tests it on the `test` set after
/// each; `watch` is told of every batch and every epoch.
///
/// # Errors
/// Those of `watch`, a test set that is empty or inconsistent or has images of another size, and
/// training that has diverged: weights, loss or outputs no longer finite.
pub fn fit(
    mut trainer: Trainer,
    test: &Dataset,
    watch: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Trained> {
    let config = trainer.config;
    let images = &trainer.set.images;
    check("the test set", test, config.classes)?;
    if test.images.size() != images.size() {
        let size =
            |images: &Images| format!("images of {} × {} pixels", images.rows, images.columns);
        let next = "test on images of the size that is trained on";
        return Err(Error::new("the test set", size(&test.images), size(images), next));
    }
    let mut history = Vec::with_capacity(config.epochs);
    let mut test_probabilities = Matrix::default();
    for epoch in 1..=config.epochs {
        let start = Instant::now();
        let (learning_rate, loss, running_accuracy) =
            trainer.train_epoch(|images| watch(Event::Batch { epoch, images }))?;
        test_probabilities = trainer.network.predict(&test.images);
        // The loss is from before the last update; finite weights can still be large enough for an
        // infinite output.
        let outputs_are_finite = test_probabilities.iter().all(|p| p.is_finite());
        if !(loss.is_finite() && trainer.network.is_finite() && outputs_are_finite) {
            let Config { learning_rate, weight_decay, .. } = config;
            // From 2 on, the decay alone makes the weights grow.
            let (field, value) =
                match learning_rate * weight_decay >= 2.0 && weight_decay > learning_rate {
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
