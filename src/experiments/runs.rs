//! The runs of all experiments in one file: a row for each run, written when the run ends.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::experiments::Experiment;
use crate::output;

/// The name of the file.
pub const FILE: &str = "runs.csv";

const HEADER: &str = "experiment,configuration,seed,epochs,train_accuracy,test_accuracy,\
                      best_test_accuracy,best_epoch,running_train_accuracies,test_accuracies";

/// Below this final test accuracy a run has never left the plateau it starts on.
const PLATEAU: f64 = 0.5;

/// One experiment with one seed, from the first epoch to the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The experiment's name.
    pub experiment: String,
    /// What [`Experiment::configuration`] was when it ran.
    pub configuration: u64,
    /// The seed.
    pub seed: u64,
    /// The share of training images that are classified right after the last epoch, in evaluation
    /// mode.
    pub train_accuracy: f64,
    /// For each epoch, the share of training images that were classified right as their batch came
    /// by.
    pub running_accuracies: Vec<f64>,
    /// For each epoch, the share of test images that are classified right after it.
    pub test_accuracies: Vec<f64>,
}

impl Run {
    /// The test accuracy after the last epoch.
    pub fn test_accuracy(&self) -> f64 {
        self.test_accuracies.last().copied().unwrap_or(0.0)
    }

    /// The highest test accuracy of an epoch, and the first epoch that reached it, counted from 1.
    pub fn best_test_accuracy(&self) -> (f64, usize) {
        let later = |best: (f64, usize), (accuracy, i)| {
            if accuracy > best.0 { (accuracy, i) } else { best }
        };
        self.test_accuracies.iter().copied().zip(1..).fold((-1.0, 0), later)
    }

    /// Whether training got anywhere: the final test accuracy is at least 0.5.
    pub fn left_the_plateau(&self) -> bool {
        self.test_accuracy() >= PLATEAU
    }

    /// The first epoch, counted from 1, whose test accuracy is at least 0.5.
    pub fn plateau_ends(&self) -> Option<usize> {
        self.test_accuracies.iter().position(|&accuracy| accuracy >= PLATEAU).map(|i| i + 1)
    }

    fn row(&self) -> String {
        let list = |accuracies: &[f64]| {
            accuracies.iter().map(|a| format!("{a:.6}")).collect::<Vec<_>>().join(" ")
        };
        let Run {
            experiment,
            configuration,
            seed,
            train_accuracy,
            running_accuracies,
            test_accuracies,
        } = self;
        let epochs = test_accuracies.len();
        let test_accuracy = self.test_accuracy();
        let (best, best_epoch) = self.best_test_accuracy();
        format!(
            "{experiment},{configuration:016x},{seed},{epochs},{train_accuracy:.6},\
             {test_accuracy:.6},{best:.6},{best_epoch},{},{}\n",
            list(running_accuracies),
            list(test_accuracies)
        )
    }

    /// The run of that line, if it is just what [`Run::row`] makes.
    fn of_row(line: &str) -> Option<Run> {
        let accuracy =
            |text: &str| text.parse().ok().filter(|accuracy| (0.0..=1.0).contains(accuracy));
        let list = |text: &str| text.split(' ').map(accuracy).collect::<Option<Vec<f64>>>();
        let fields: Vec<&str> = line.split(',').collect();
        let &[experiment, configuration, seed, _, train_accuracy, _, _, _, running, test] =
            &fields[..]
        else {
            return None;
        };
        let run = Run {
            experiment: experiment.into(),
            configuration: u64::from_str_radix(configuration, 16).ok()?,
            seed: seed.parse().ok()?,
            train_accuracy: accuracy(train_accuracy)?,
            running_accuracies: list(running)?,
            test_accuracies: list(test)?,
        };
        let is_whole = run.running_accuracies.len() == run.test_accuracies.len()
            && run.row().trim_end() == line;
        is_whole.then_some(run)
    }
}

/// The runs of the experiment of that name.
pub fn of<'a>(runs: &'a [Run], name: &str) -> impl Iterator<Item = &'a Run> + Clone {
    runs.iter().filter(move |run| run.experiment == name)
}

/// The runs in `path`; none if there is no such file.
///
/// # Errors
/// What the disk says; a row that no sweep has written, or that is there twice.
pub fn read(path: &Path) -> Result<Vec<Run>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        text => text.map_err(|error| Error::reading(path, &error))?,
    };
    let wrong = |number: usize, line: &str, expected: &str, next: &str| {
        let found = format!("\"{}\"", line.chars().take(60).collect::<String>());
        Err(Error::new(format!("{}, line {number}", path.display()), found, expected, next))
    };
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    if header != HEADER {
        return wrong(1, header, HEADER, "delete the file, and run the experiments again");
    }
    let again = "delete the line, and run its experiment again";
    let mut runs = Vec::new();
    let mut seen = HashSet::new();
    for (number, line) in (2..).zip(lines) {
        let Some(run) = Run::of_row(line) else {
            return wrong(number, line, "a row as a sweep writes it", again);
        };
        if !seen.insert((run.experiment.clone(), run.seed)) {
            return wrong(number, line, "no second run with the same seed", again);
        }
        runs.push(run);
    }
    Ok(runs)
}

/// Those of the runs in `path` that belong to `experiments` as they are now, and a line for each
/// experiment with others: it, or its configuration, has changed since, so they must not be
/// counted.
///
/// # Errors
/// Those of [`read`].
pub fn read_current(path: &Path, experiments: &[Experiment]) -> Result<(Vec<Run>, Vec<String>)> {
    let is_current = |run: &Run| {
        let mut same = experiments.iter().filter(|experiment| experiment.name == run.experiment);
        same.any(|experiment| experiment.configuration() == run.configuration)
    };
    let (runs, others): (Vec<_>, Vec<_>) = read(path)?.into_iter().partition(is_current);
    let line = |run: Run| {
        let name = run.experiment;
        format!("{}: not counting runs of {name}: its configuration has changed", path.display())
    };
    let mut lines: Vec<String> = others.into_iter().map(line).collect();
    lines.dedup();
    Ok((runs, lines))
}

/// Adds the runs that have `ended` to those in `path`, in the order of `experiments` and then of
/// the seeds. A run takes the place of an earlier one with its experiment and seed, and of all
/// earlier runs of its experiment that had another configuration: of these a line is returned, for
/// each experiment.
///
/// The file is written whole. Several processes may add to it at once: each waits for the lock of
/// the file `runs.lock` beside it. Where the file system has no locks, each needs a folder of its
/// own.
///
/// # Errors
/// Those of [`read`] and of [`output::write`].
pub fn add(path: &Path, experiments: &[Experiment], ended: &[Run]) -> Result<Vec<String>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| Error::writing(folder, &error))?;
    let lock_path = path.with_extension("lock");
    let lock = File::create(&lock_path).map_err(|error| Error::writing(&lock_path, &error))?;
    match lock.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => {
            return Err(Error::writing(&lock_path, &error));
        }
        _ => {}
    }
    let mut runs = read(path)?;
    let mut lines = Vec::new();
    for run in ended {
        let name = &run.experiment;
        let before = runs.len();
        runs.retain(|other| other.experiment != *name || other.configuration == run.configuration);
        if runs.len() < before {
            let count = before - runs.len();
            let path = path.display();
            lines.push(format!(
                "{path}: removed {count} runs of {name}: its configuration has changed"
            ));
        }
        runs.retain(|other| (&other.experiment, other.seed) != (name, run.seed));
        runs.push(run.clone());
    }
    let position =
        |run: &Run| experiments.iter().position(|experiment| experiment.name == run.experiment);
    runs.sort_by_key(|run| (position(run).unwrap_or(usize::MAX), run.seed));
    let rows: String = runs.iter().map(Run::row).collect();
    output::write(&[(path, format!("{HEADER}\n{rows}").as_bytes())])?;
    Ok(lines)
}
