//! What a training run is: every choice that can be made, one field each.

use std::path::PathBuf;

use crate::data::deformation::Deformation;
use crate::error::{Error, Result};
use crate::network::EVALUATION_BATCH;
use crate::network::activation::Activation;
use crate::network::layer::Initialisation;
use crate::network::loss::Loss;
use crate::training::schedule::Schedule;

/// Half a GiB of weights or of activations, a thousand times the coursework's network. Training and
/// saving take a few times as much.
pub const MOST_NUMBERS: usize = 1 << 27;

/// Makes [`Config`] of its fields, each written once with its meaning, its type and its default.
macro_rules! config {
    ($($(#[$meaning:meta])* $field:ident: $type:ty = $default:expr,)*) => {
        /// A training run. The same configuration gives the same network, bit by bit. The default
        /// is the coursework's best row.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config { $($(#[$meaning])* pub $field: $type,)* }

        impl Default for Config {
            fn default() -> Self {
                Config { $($field: $default,)* }
            }
        }

        impl Config {
            /// Every field's name and value, written as in `get_config`; the two folders as they
            /// are.
            pub fn fields(&self) -> Vec<(&'static str, String)> {
                let text = |name, value: &dyn std::fmt::Debug| match name {
                    "data" => self.data.display().to_string(),
                    "output" => self.output.display().to_string(),
                    _ => format!("{value:?}"),
                };
                vec![$((stringify!($field), text(stringify!($field), &self.$field)),)*]
            }
        }
    };
}

config! {
    /// Units of each hidden layer, from the images to the classes.
    hidden_layers: Vec<usize> = vec![128, 64, 64],
    /// How many classes the labels tell apart: 10 digits.
    classes: usize = 10,
    /// What the hidden layers apply to their sums.
    activation: Activation = Activation::Sigmoid,
    /// Initial weights and biases.
    initialisation: Initialisation = Initialisation::Xavier,
    /// A weights file of a network of the same layers and activation, from which training goes on;
    /// its velocity and its schedule begin anew. None for the weights that `initialisation` draws.
    initial_weights: Option<PathBuf> = None,
    /// What training minimises.
    loss: Loss = Loss::CrossEntropy,
    /// How the learning rate changes in the course of training.
    schedule: Schedule = Schedule::Step,
    /// The highest rate of the schedule. It multiplies the sum of the batch's gradients, not their
    /// mean.
    learning_rate: f32 = 0.02,
    /// μ: how much of its velocity a weight keeps from step to step; 0 for none.
    momentum: f32 = 0.0,
    /// The probability that a hidden unit is dropped in a training step; 0 for none.
    dropout: f32 = 0.0,
    /// Where dropout sets a dropped unit to 0: its activation, as is usual, or the sum before it,
    /// as the coursework does, so that a dropped sigmoid is ½.
    dropout_after_activation: bool = false,
    /// λ of the L2 penalty; 0 for none.
    weight_decay: f32 = 1e-5,
    /// How the training images are deformed, anew in each epoch; None for not at all.
    deformation: Option<Deformation> = None,
    /// Images in a batch. The last batch of an epoch is smaller where the training set is no
    /// multiple.
    batch_size: usize = 16,
    /// How often training sees each image.
    epochs: usize = 20,
    /// Where every random choice comes from: another seed, another network.
    seed: u64 = 1,
    /// How many networks are trained, with the seeds from `seed` on, to see how much is chance.
    seeds: u64 = 1,
    /// How many of the training images, the last ones, are held out of training and take the test
    /// set's place. Choices that are made on them leave the test set unseen. 0 for the test set.
    held_out: usize = 0,
    /// The name of each class; none where its number says it all, as for digits.
    class_names: Vec<&'static str> = vec![],
    /// The folder with the four IDX files.
    data: PathBuf = "raw_data".into(),
    /// Whether the files have each image column by column, as EMNIST's do.
    transposed: bool = false,
    /// The folder for what training leaves.
    output: PathBuf = "runs/latest".into(),
}

impl Config {
    /// [`Config::fields`] for a reader who does not know Rust: lists without brackets, and what is
    /// not there as "none".
    pub fn shown(&self) -> Vec<(&'static str, String)> {
        let shown = |(name, text): (_, String)| {
            let text = match name {
                "data" | "output" => text,
                "class_names" => self.class_names.join(", "),
                "initial_weights" => self
                    .initial_weights
                    .as_ref()
                    .map_or(String::new(), |path| path.display().to_string()),
                _ => text
                    .trim_start_matches("Some(Deformation { ")
                    .trim_matches(['[', ']', '}', ')', ' '])
                    .into(),
            };
            (name, if ["", "None"].contains(&&*text) { "none".into() } else { text })
        };
        self.fields().into_iter().map(shown).collect()
    }

    /// What the images that training does not see are called.
    pub fn tested_on(&self) -> &'static str {
        if self.held_out == 0 { "test" } else { "held-out" }
    }

    /// The widths of the network for `images` of `image_size` pixels: theirs, the hidden layers',
    /// and the number of classes.
    ///
    /// # Errors
    /// A batch larger than all images, and a network or a batch larger than memory.
    pub fn widths(&self, image_size: usize, images: usize) -> Result<Vec<usize>> {
        let widths = [&[image_size], &self.hidden_layers[..], &[self.classes]].concat();
        let weights = widths.windows(2).map(|pair| pair[0].saturating_mul(pair[1]));
        let weights = weights.fold(0, usize::saturating_add);
        let activations = widths.iter().fold(0, |sum: usize, width| sum.saturating_add(*width));
        let activations = activations.saturating_mul(self.batch_size.max(EVALUATION_BATCH));
        let batch_size = self.batch_size;
        if batch_size > images {
            let expected = format!("at most {images}, the size of the training set");
            return Err(Error::in_config("batch_size", batch_size.to_string(), expected));
        }
        let most = format!("at most {MOST_NUMBERS}");
        if weights > MOST_NUMBERS {
            return Err(Error::in_config("hidden_layers", format!("{weights} weights"), most));
        }
        if activations > MOST_NUMBERS {
            let found =
                format!("{batch_size} images, which have {activations} activations in all layers");
            return Err(Error::in_config("batch_size", found, most));
        }
        Ok(widths)
    }

    /// Checks every field that can be checked without the data; the deformer checks its own.
    ///
    /// # Errors
    /// The first field that makes no sense, with what it may be.
    pub fn validate(&self) -> Result<()> {
        let Config { hidden_layers, learning_rate, momentum, dropout, weight_decay, .. } = self;
        let check = |holds: bool, field: &str, found: &dyn ToString, expected: &str| {
            if holds { Ok(()) } else { Err(Error::in_config(field, found.to_string(), expected)) }
        };
        let share = |share: f32| (0.0..1.0).contains(&share);
        let layers = format!("{} layers", hidden_layers.len());
        check(hidden_layers.len() <= 1000, "hidden_layers", &layers, "at most 1000 layers")?;
        for (i, width) in hidden_layers.iter().enumerate() {
            let found = format!("{width} units in layer {}", i + 1);
            let holds = (1..=1 << 20).contains(width);
            check(holds, "hidden_layers", &found, "from 1 to 1048576 units in every layer")?;
        }
        let classes = "from 2 to 256, since a label is one byte";
        check((2..=256).contains(&self.classes), "classes", &self.classes, classes)?;
        let names = self.class_names.len();
        let one_each = format!("none, or {} names, one a class", self.classes);
        let some = format!("{names} names");
        check([0, self.classes].contains(&names), "class_names", &some, &one_each)?;
        let holds = *learning_rate > 0.0 && learning_rate.is_finite();
        check(holds, "learning_rate", learning_rate, "a finite number above 0, such as 0.02")?;
        let below_1 = "from 0 up to, but not including, 1, such as 0.9";
        check(share(*momentum), "momentum", momentum, below_1)?;
        let probability = "a probability from 0 up to, but not including, 1";
        check(share(*dropout), "dropout", dropout, probability)?;
        let holds = *weight_decay >= 0.0 && weight_decay.is_finite();
        let decay = "0 or a small finite number above, such as 1e-5";
        check(holds, "weight_decay", weight_decay, decay)?;
        check(self.batch_size > 0, "batch_size", &self.batch_size, "at least 1 image, such as 16")?;
        let holds = (1..=1 << 20).contains(&self.epochs);
        check(holds, "epochs", &self.epochs, "from 1 to 1048576 epochs")?;
        let last = self.seed.checked_add(self.seeds.saturating_sub(1));
        let seeds = (1..=1000).contains(&self.seeds) && last.is_some();
        check(seeds, "seeds", &self.seeds, "from 1 to 1000 seeds from seed on, such as 5")?;
        let is_named = |folder: &PathBuf| !folder.as_os_str().is_empty();
        check(is_named(&self.data), "data", &"no name", "the name of a folder, such as raw_data")?;
        let output = "the name of a folder, such as runs/latest";
        check(is_named(&self.output), "output", &"no name", output)
    }
}
