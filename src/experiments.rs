//! The coursework's experiments, row by row as its tables have them, and the rows that make its comparisons fair.

pub mod runs;
pub mod statistics;
pub mod sweep;
pub mod tables;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::network::layer::Initialisation::{self, Normal, Xavier, Zero};
use crate::network::loss::Loss;
use crate::training::schedule::Schedule::{self, Constant, Cosine, Cycle, Step};

/// With how many seeds each experiment is run, from 1 on. The findings in `results/README.md` rest on so many.
pub const SEEDS: u64 = 10;

/// One row of a table: a configuration that is run with several seeds.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What it is called on the command line, in files and in tables.
    pub name: &'static str,
    /// What is trained. Each run puts its own seed in.
    pub config: Config,
    /// What the coursework reports, from one run: the accuracies on the training set after the last epoch, on the test
    /// set after the last epoch, and on the test set after its best epoch; or in which words it says that training fails.
    pub reported: &'static str,
}

/// The fields that are part of every [`Experiment::configuration`]. Any other is where it is not at its default, so that the
/// runs of before still count when [`Config`] gets a new one. Whoever changes such a default runs the experiments again.
const ALWAYS: &str =
    "hidden_layers classes initialisation loss schedule learning_rate dropout weight_decay batch_size epochs";

impl Experiment {
    /// A hash of the configuration without its seed and paths: 64-bit FNV-1a (Fowler, Noll and Vo). By it a run is known
    /// to belong to this experiment as it is now.
    pub fn configuration(&self) -> u64 {
        let Config { seed, data, output, .. } = self.config.clone();
        let defaults = Config { seed, data, output, ..Config::default() }.fields();
        let counts =
            |field: &(&str, String)| ALWAYS.split(' ').any(|name| name == field.0) || !defaults.contains(field);
        let fields = self.config.fields().into_iter().filter(counts);
        let text: String = fields.map(|(name, value)| format!("{name}: {value}\n")).collect();
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}

/// The reported accuracies of a row that is not in the coursework.
const NOT_REPORTED: &str = "–";

/// All rows, in the order of the coursework.
pub fn all() -> Vec<Experiment> {
    let row = |name, config, reported| Experiment { name, config, reported };
    let dropout = |dropout, config| Config { dropout, ..config };
    let after = |config| Config { dropout_after_activation: true, ..config };
    let l2 = |weight_decay, config| Config { weight_decay, ..config };
    // `results/learning-rates.csv` says how this rate was chosen.
    let squares = |config| Config { loss: Loss::MeanSquaredError, learning_rate: 0.5, ..config };
    vec![
        // Initialisation.
        row("zero-constant", epochs(10, Zero, Constant), "fails: “accuracy never improves”"),
        row("normal-constant", epochs(10, Normal, Constant), "0.959, 0.950, 0.956"),
        row("xavier-constant", epochs(10, Xavier, Constant), "0.980, 0.969, 0.974"),
        // Loss, which the coursework promises to compare.
        row("xavier-constant-mse", squares(epochs(10, Xavier, Constant)), NOT_REPORTED),
        // Schedule, and the same with the better initialisation.
        row("normal-step", epochs(10, Normal, Step), "0.970, 0.955, 0.962"),
        row("normal-cosine", epochs(10, Normal, Cosine), "0.967, 0.955, 0.959"),
        row("normal-cycle", epochs(10, Normal, Cycle), "0.941, 0.937, 0.939"),
        row("xavier-step", epochs(10, Xavier, Step), NOT_REPORTED),
        row("xavier-cosine", epochs(10, Xavier, Cosine), NOT_REPORTED),
        row("xavier-cycle", epochs(10, Xavier, Cycle), NOT_REPORTED),
        // Regularisation, for 20 epochs. The coursework's baseline ran for 10, so here is one for 20; then dropout in its
        // usual place, and both with the better initialisation.
        row("normal-cosine-20", epochs(20, Normal, Cosine), NOT_REPORTED),
        row("normal-cosine-dropout-0.2", dropout(0.2, epochs(20, Normal, Cosine)), "0.958, 0.949, 0.954"),
        row("normal-cosine-dropout-0.5", dropout(0.5, epochs(20, Normal, Cosine)), "fails: “learns almost nothing”"),
        row("normal-cosine-dropout-0.2-after", after(dropout(0.2, epochs(20, Normal, Cosine))), NOT_REPORTED),
        row("normal-cosine-dropout-0.5-after", after(dropout(0.5, epochs(20, Normal, Cosine))), NOT_REPORTED),
        row("normal-cosine-l2-1e-5", l2(1e-5, epochs(20, Normal, Cosine)), "0.984, 0.964, 0.971"),
        row("normal-cosine-l2-1e-7", l2(1e-7, epochs(20, Normal, Cosine)), "0.983, 0.966, 0.967"),
        row("xavier-cosine-20", epochs(20, Xavier, Cosine), NOT_REPORTED),
        row("xavier-cosine-dropout-0.2", dropout(0.2, epochs(20, Xavier, Cosine)), NOT_REPORTED),
        row("xavier-cosine-dropout-0.5", dropout(0.5, epochs(20, Xavier, Cosine)), NOT_REPORTED),
        row("xavier-cosine-dropout-0.2-after", after(dropout(0.2, epochs(20, Xavier, Cosine))), NOT_REPORTED),
        row("xavier-cosine-dropout-0.5-after", after(dropout(0.5, epochs(20, Xavier, Cosine))), NOT_REPORTED),
        // The best of all.
        row("xavier-step-l2-1e-5", l2(1e-5, epochs(20, Xavier, Step)), "0.992, 0.976, 0.977"),
    ]
}

/// The experiment of that name.
///
/// # Errors
/// If there is none: the list of those there are.
pub fn find<'a>(experiments: &'a [Experiment], name: &str) -> Result<&'a Experiment> {
    experiments.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let names: Vec<&str> = experiments.iter().map(|experiment| experiment.name).collect();
        Error::new("the experiment", format!("{name:?}"), format!("one of {}", names.join(", ")), "take one of these")
    })
}

/// `error` as it reads where the configuration is an experiment's, and so not in `get_config`; its place after `prefix`.
pub fn in_experiment(error: Error, prefix: &str) -> Error {
    let here =
        |text: String| text.replace("get_config", "src/experiments.rs").replace("src/main.rs", "src/experiments.rs");
    match error {
        Error::Problem([place, found, expected, next]) => {
            Error::new(format!("{prefix}{}", here(place)), found, expected, here(next))
        }
        Error::ClosedPipe => error,
    }
}

/// The coursework's network and training, without regularisation.
fn epochs(epochs: usize, initialisation: Initialisation, schedule: Schedule) -> Config {
    Config { epochs, initialisation, schedule, weight_decay: 0.0, ..Config::default() }
}
