//! The coursework's experiments, row by row as its tables have them, and the rows that make its
//! comparisons fair.

pub mod runs;
pub mod statistics;
pub mod sweep;
pub mod tables;

use std::ops::RangeInclusive;

use crate::config::Config;
use crate::data::deformation::Deformation;
use crate::error::{Error, Result};
use crate::network::activation::Activation;
use crate::network::layer::Initialisation::{self, Normal, Xavier, Zero};
use crate::network::loss::Loss;
use crate::training::schedule::Schedule::{self, Constant, Cosine, Cycle, Step};

/// The folder of the committed runs, their page and its figures.
pub const RESULTS: &str = "results";

/// With how many seeds an experiment is run, from 1 on, unless it takes too long. The findings in
/// `results/README.md` rest on ten.
pub const SEEDS: u64 = 10;

/// One row of a table: a configuration that is run with several seeds.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What it is called on the command line, in files and in tables.
    pub name: &'static str,
    /// What is trained. Each run puts its own seed in.
    pub config: Config,
    /// With which seeds.
    pub seeds: RangeInclusive<u64>,
    /// What the coursework reports, from one run: the accuracies on the training set after the last
    /// epoch, on the test set after the last epoch, and on the test set after its best epoch; or in
    /// which words it says that training fails.
    pub reported: &'static str,
}

impl Experiment {
    /// A hash of what the configuration changes in [`Config::default`], but for its seed and paths:
    /// 64-bit FNV-1a (Fowler, Noll and Vo). By it a run is known to belong to this experiment as it
    /// is now, and a new field of `Config` changes nothing. A default that changes goes unnoticed:
    /// whoever changes one runs the experiments again.
    pub fn configuration(&self) -> u64 {
        let fields = self.config.fields().into_iter().zip(Config::default().fields());
        let counts = |name: &str| !["seed", "data", "output"].contains(&name);
        let changed = fields.filter(|(field, default)| field != default && counts(field.0));
        let text: String = changed.map(|((name, value), _)| format!("{name}: {value}\n")).collect();
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        })
    }
}

/// The reported accuracies of a row that is not in the coursework.
const NOT_REPORTED: &str = "–";

/// All rows, in the order of the coursework.
pub fn all() -> Vec<Experiment> {
    let row = |name, config, reported| Experiment { name, config, seeds: 1..=SEEDS, reported };
    let cosine = |initialisation| epochs(20, initialisation, Cosine);
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
        // Regularisation, for 20 epochs. The coursework's baseline ran for 10, so here is one for
        // 20; then dropout in its usual place, and both with the better initialisation.
        row("normal-cosine-20", cosine(Normal), NOT_REPORTED),
        row("normal-cosine-dropout-0.2", dropout(0.2, cosine(Normal)), "0.958, 0.949, 0.954"),
        row(
            "normal-cosine-dropout-0.5",
            dropout(0.5, cosine(Normal)),
            "fails: “learns almost nothing”",
        ),
        row("normal-cosine-dropout-0.2-after", after(dropout(0.2, cosine(Normal))), NOT_REPORTED),
        row("normal-cosine-dropout-0.5-after", after(dropout(0.5, cosine(Normal))), NOT_REPORTED),
        row("normal-cosine-l2-1e-5", l2(1e-5, cosine(Normal)), "0.984, 0.964, 0.971"),
        row("normal-cosine-l2-1e-7", l2(1e-7, cosine(Normal)), "0.983, 0.966, 0.967"),
        row("xavier-cosine-20", cosine(Xavier), NOT_REPORTED),
        row("xavier-cosine-dropout-0.2", dropout(0.2, cosine(Xavier)), NOT_REPORTED),
        row("xavier-cosine-dropout-0.5", dropout(0.5, cosine(Xavier)), NOT_REPORTED),
        row("xavier-cosine-dropout-0.2-after", after(dropout(0.2, cosine(Xavier))), NOT_REPORTED),
        row("xavier-cosine-dropout-0.5-after", after(dropout(0.5, cosine(Xavier))), NOT_REPORTED),
        // The best of all.
        row("xavier-step-l2-1e-5", l2(1e-5, epochs(20, Xavier, Step)), "0.992, 0.976, 0.977"),
        // Beyond the coursework: its best row with deformation as the only change, its network at
        // its best, a wide one.
        row("xavier-step-l2-1e-5-deformed", deformed(Config::default()), NOT_REPORTED),
        row("best", best(), NOT_REPORTED),
        Experiment { seeds: 1..=3, ..row("wide", wide(), NOT_REPORTED) },
    ]
}

/// The coursework's network, trained as well as we know how. `results/README.md` says how this was
/// chosen.
pub fn best() -> Config {
    deformed(Config {
        activation: Activation::SiLU,
        initialisation: Initialisation::He,
        schedule: Cosine,
        learning_rate: 0.006,
        weight_decay: 1e-4,
        epochs: 120,
        ..Config::default()
    })
}

/// [`best`] for 1.29 million weights.
fn wide() -> Config {
    let hidden_layers = vec![1000, 500];
    Config {
        hidden_layers,
        learning_rate: 0.01,
        weight_decay: 1e-3,
        batch_size: 32,
        epochs: 600,
        ..best()
    }
}

fn deformed(config: Config) -> Config {
    Config { deformation: Some(Deformation::default()), ..config }
}

/// The experiment of that name.
///
/// # Errors
/// If there is none: the list of those there are.
pub fn find<'a>(experiments: &'a [Experiment], name: &str) -> Result<&'a Experiment> {
    experiments.iter().find(|experiment| experiment.name == name).ok_or_else(|| {
        let names: Vec<&str> = experiments.iter().map(|experiment| experiment.name).collect();
        Error::new(
            "the experiment",
            format!("\"{name}\""),
            format!("one of {}", names.join(", ")),
            "take one of these",
        )
    })
}

/// `error` as it reads where the configuration is an experiment's, and so not in `get_config`.
pub fn in_experiment(error: Error) -> Error {
    let here = |text: String| {
        text.replace("get_config", "src/experiments.rs")
            .replace("src/main.rs", "src/experiments.rs")
    };
    match error {
        Error::Problem([place, found, expected, next]) => {
            Error::Problem([here(place), found, expected, here(next)])
        }
        Error::System([what, why, next]) => Error::System([here(what), why, here(next)]),
        Error::ClosedPipe => error,
    }
}

/// The coursework's network and training, without regularisation.
fn epochs(epochs: usize, initialisation: Initialisation, schedule: Schedule) -> Config {
    Config { epochs, initialisation, schedule, weight_decay: 0.0, ..Config::default() }
}
