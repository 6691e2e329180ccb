//! The coursework's experiments, row by row as its tables have them, and the rows that make its comparisons fair.

pub mod findings;
pub mod runs;
pub mod statistics;
pub mod sweep;
pub mod tables;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::network::layer::Initialisation::{self, Normal, Xavier, Zero};
use crate::network::loss::Loss;
use crate::training::schedule::Schedule::{self, Constant, Cosine, Cycle, Step};

/// One row of a table: a configuration that is run with several seeds.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// What it is called on the command line, in files and in tables.
    pub name: &'static str,
    /// What is trained; its seed stands for all.
    pub config: Config,
    /// What the coursework reports of it.
    pub reported: Reported,
}

/// What the coursework reports of a row, from one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reported {
    /// The accuracies: on the training set after the last epoch, on the test set after the last epoch, and the best of
    /// an epoch on the test set.
    Accuracies([f64; 3]),
    /// Training fails: the words it has for that.
    Fails(&'static str),
    /// The row is not in the coursework.
    Nothing,
}

/// The rate for the mean squared error. Chosen on a part of the training set: `results/learning-rates.csv` has the scan,
/// `tests/learning_rates.rs` makes it.
const LEARNING_RATE_OF_SQUARES: f32 = 0.5;

/// All rows, in the order of the coursework's sections.
pub fn all() -> Vec<Experiment> {
    let told = |train, test, best| Reported::Accuracies([train, test, best]);
    let not_told = Reported::Nothing;
    let never_improves = Reported::Fails("accuracy never improves");
    let learns_nothing = Reported::Fails("learns almost nothing");
    let row = |name, config, reported| Experiment { name, config, reported };
    let squares = |config| Config { loss: Loss::MeanSquaredError, learning_rate: LEARNING_RATE_OF_SQUARES, ..config };
    let dropout = |dropout, config| Config { dropout, ..config };
    let l2 = |weight_decay, config| Config { weight_decay, ..config };
    vec![
        // Initialisation (§3).                                          final train, final test, best test
        row("zero-constant", epochs(10, Zero, Constant), never_improves),
        row("normal-constant", epochs(10, Normal, Constant), told(0.959, 0.950, 0.956)),
        row("xavier-constant", epochs(10, Xavier, Constant), told(0.980, 0.969, 0.974)),
        // Loss (§4), which the coursework promises to compare.
        row("xavier-constant-mse", squares(epochs(10, Xavier, Constant)), not_told),
        // Schedule (§5), and the same with the better initialisation.
        row("normal-step", epochs(10, Normal, Step), told(0.970, 0.955, 0.962)),
        row("normal-cosine", epochs(10, Normal, Cosine), told(0.967, 0.955, 0.959)),
        row("normal-cycle", epochs(10, Normal, Cycle), told(0.941, 0.937, 0.939)),
        row("xavier-step", epochs(10, Xavier, Step), not_told),
        row("xavier-cosine", epochs(10, Xavier, Cosine), not_told),
        row("xavier-cycle", epochs(10, Xavier, Cycle), not_told),
        // Regularisation (§6). Its baseline ran for half as long, here is one that did not; and dropout 0.5 was only
        // tried with the initialisation that has a plateau.
        row("normal-cosine-20", epochs(20, Normal, Cosine), not_told),
        row("normal-cosine-dropout-0.2", dropout(0.2, epochs(20, Normal, Cosine)), told(0.958, 0.949, 0.954)),
        row("normal-cosine-dropout-0.5", dropout(0.5, epochs(20, Normal, Cosine)), learns_nothing),
        row("xavier-cosine-dropout-0.5", dropout(0.5, epochs(20, Xavier, Cosine)), not_told),
        row("normal-cosine-l2-1e-5", l2(1e-5, epochs(20, Normal, Cosine)), told(0.984, 0.964, 0.971)),
        row("normal-cosine-l2-1e-7", l2(1e-7, epochs(20, Normal, Cosine)), told(0.983, 0.966, 0.967)),
        // The best of all (§7).
        row("xavier-step-l2-1e-5", l2(1e-5, epochs(20, Xavier, Step)), told(0.992, 0.976, 0.977)),
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

/// The network and the training of §2, without regularisation.
fn epochs(epochs: usize, initialisation: Initialisation, schedule: Schedule) -> Config {
    Config { initialisation, schedule, epochs, weight_decay: 0.0, output: "results".into(), ..Config::default() }
}
