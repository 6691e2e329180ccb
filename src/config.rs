//! What a training run is: every choice of the coursework, one field each.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::network::layer::Initialisation;
use crate::network::loss::Loss;
use crate::training::schedule::Schedule;

/// A training run. The same configuration gives the same network, bit by bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Units of each hidden layer, from the images to the classes (§2).
    pub hidden_layers: Vec<usize>,
    /// How many classes the labels tell apart: 10 digits.
    pub classes: usize,
    /// Initial weights and biases (§3).
    pub initialisation: Initialisation,
    /// What training minimises (§4).
    pub loss: Loss,
    /// How the learning rate changes (§5).
    pub schedule: Schedule,
    /// The highest rate of the schedule. The gradient is summed over the batch, so a larger batch wants a smaller rate.
    pub learning_rate: f32,
    /// The share of hidden units left out in each training step (§6); 0 for none.
    pub dropout: f32,
    /// λ of the L2 penalty (§6); 0 for none.
    pub weight_decay: f32,
    /// Images in a batch. The last of an epoch is smaller where the training set is not a multiple.
    pub batch_size: usize,
    /// How often training sees each image.
    pub epochs: usize,
    /// Where every random choice comes from: another seed, another network.
    pub seed: u64,
    /// The folder with the four IDX files.
    pub data: PathBuf,
    /// The folder for what training leaves.
    pub output: PathBuf,
}

impl Config {
    /// Every field's name and value, written as in `get_config`; paths without quotes.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        // Taken apart without `..`, so that no field is forgotten.
        let Config {
            hidden_layers,
            classes,
            initialisation,
            loss,
            schedule,
            learning_rate,
            dropout,
            weight_decay,
            batch_size,
            epochs,
            seed,
            data,
            output,
        } = self;
        vec![
            ("hidden_layers", format!("{hidden_layers:?}")),
            ("classes", format!("{classes:?}")),
            ("initialisation", format!("{initialisation:?}")),
            ("loss", format!("{loss:?}")),
            ("schedule", format!("{schedule:?}")),
            ("learning_rate", format!("{learning_rate:?}")),
            ("dropout", format!("{dropout:?}")),
            ("weight_decay", format!("{weight_decay:?}")),
            ("batch_size", format!("{batch_size:?}")),
            ("epochs", format!("{epochs:?}")),
            ("seed", format!("{seed:?}")),
            ("data", data.display().to_string()),
            ("output", output.display().to_string()),
        ]
    }

    /// Checks every field that can be checked without the data.
    ///
    /// # Errors
    /// The first field that makes no sense, with what it may be.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, found: String, expected: &str| {
            Err(Error::new(format!("{field} in get_config"), found, expected, "change that line in src/main.rs"))
        };
        if let Some(layer) = self.hidden_layers.iter().position(|&width| width == 0) {
            return wrong("hidden_layers", format!("0 units in layer {}", layer + 1), "at least 1 unit in every layer");
        }
        if self.hidden_layers.len() > 1000 {
            return wrong("hidden_layers", format!("{} layers", self.hidden_layers.len()), "at most 1000 layers");
        }
        // More weights than this cannot be numbered, let alone trained.
        if let Some(width) = self.hidden_layers.iter().find(|&&width| width > 1 << 20) {
            return wrong("hidden_layers", format!("a layer of {width} units"), "at most 1048576 units in a layer");
        }
        if !(2..=256).contains(&self.classes) {
            return wrong("classes", self.classes.to_string(), "from 2 to 256, since a label is one byte");
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return wrong("learning_rate", self.learning_rate.to_string(), "a finite number above 0, such as 0.02");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong("dropout", self.dropout.to_string(), "a share from 0 up to, but not including, 1");
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay.is_finite()) {
            return wrong(
                "weight_decay",
                self.weight_decay.to_string(),
                "0 or a small finite number above, such as 1e-5",
            );
        }
        if self.batch_size == 0 {
            return wrong("batch_size", "0".into(), "at least 1 image, such as 16");
        }
        if !(1..=1 << 20).contains(&self.epochs) {
            return wrong("epochs", self.epochs.to_string(), "from 1 to 1048576 epochs");
        }
        Ok(())
    }
}
