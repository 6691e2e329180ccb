//! Runs of experiments as files: what a sweep leaves, and what tables and figures are made from.
//!
//! A run that has ended is two files, each written whole: `histories/NAME-SEED.csv`, a row for each epoch, and then
//! `runs/NAME-SEED.csv`, the run in one line. Only the second has the seconds, so the first is the same bytes wherever
//! it is made.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::output;

const RUN_HEADER: &str = "experiment,seed,epochs,train_accuracy,test_accuracy,best_test_accuracy,best_epoch,seconds";
const HISTORY_HEADER: &str = "epoch,learning_rate,loss,train_accuracy,test_accuracy";

/// Below this final test accuracy a run has never left the plateau it starts on.
const PLATEAU: f64 = 0.5;

/// One experiment with one seed, from the first epoch to the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The experiment's name.
    pub experiment: String,
    /// The seed.
    pub seed: u64,
    /// The share of training images that are classified right after the last epoch, in evaluation mode.
    pub train_accuracy: f64,
    /// How long it took.
    pub seconds: f64,
    /// Every epoch.
    pub history: Vec<Epoch>,
}

/// One epoch of a run, as [`crate::training::Epoch`] has it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Epoch {
    pub learning_rate: f64,
    pub loss: f64,
    pub train_accuracy: f64,
    pub test_accuracy: f64,
}

impl Run {
    /// The test accuracy after the last epoch.
    pub fn test_accuracy(&self) -> f64 {
        self.history.last().map_or(0.0, |epoch| epoch.test_accuracy)
    }

    /// The highest test accuracy of an epoch, and the first epoch that reached it, counted from 1.
    pub fn best_test_accuracy(&self) -> (f64, usize) {
        let later = |best: (f64, usize), (i, epoch): (usize, &Epoch)| {
            if epoch.test_accuracy > best.0 { (epoch.test_accuracy, i + 1) } else { best }
        };
        self.history.iter().enumerate().fold((-1.0, 0), later)
    }

    /// Whether training got anywhere: the final test accuracy is at least 0.5.
    pub fn left_the_plateau(&self) -> bool {
        self.test_accuracy() >= PLATEAU
    }

    /// The first epoch, counted from 1, whose test accuracy is at least `accuracy`.
    pub fn reaches(&self, accuracy: f64) -> Option<usize> {
        self.history.iter().position(|epoch| epoch.test_accuracy >= accuracy).map(|i| i + 1)
    }

    /// Writes the run's two files below `folder`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let file = format!("{}-{}.csv", self.experiment, self.seed);
        output::write_whole(&folder.join("histories").join(&file), self.history_csv().as_bytes())?;
        output::write_whole(&folder.join("runs").join(&file), csv([self]).as_bytes())
    }

    fn history_csv(&self) -> String {
        let mut csv = format!("{HISTORY_HEADER}\n");
        for (number, epoch) in (1..).zip(&self.history) {
            let Epoch { learning_rate, loss, train_accuracy, test_accuracy } = epoch;
            // Writing to a string does not fail.
            let _ = writeln!(csv, "{number},{learning_rate:.8},{loss:.6},{train_accuracy:.6},{test_accuracy:.6}");
        }
        csv
    }
}

/// The runs as CSV: a header, then a line for each.
pub fn csv<'a>(runs: impl IntoIterator<Item = &'a Run>) -> String {
    let mut csv = format!("{RUN_HEADER}\n");
    for run in runs {
        let Run { experiment, seed, train_accuracy, seconds, history } = run;
        let (epochs, test_accuracy, (best, best_epoch)) =
            (history.len(), run.test_accuracy(), run.best_test_accuracy());
        let _ = writeln!(
            csv,
            "{experiment},{seed},{epochs},{train_accuracy:.6},{test_accuracy:.6},{best:.6},{best_epoch},{seconds:.3}"
        );
    }
    csv
}

/// The runs of the experiment of that name.
pub fn of<'a>(runs: &'a [Run], name: &str) -> Vec<&'a Run> {
    runs.iter().filter(|run| run.experiment == name).collect()
}

/// The epochs in which those of `runs` that ever reach a test accuracy of `accuracy` do so, as text: "3–5", "3" or "–".
pub fn epochs_to(accuracy: f64, runs: &[&Run]) -> String {
    let epochs = || runs.iter().filter_map(|run| run.reaches(accuracy));
    match epochs().min().zip(epochs().max()) {
        None => "–".into(),
        Some((first, last)) if first == last => first.to_string(),
        Some((first, last)) => format!("{first}–{last}"),
    }
}

/// All runs that have left their files below `folder`, experiment by experiment in the order of `experiments`, each by
/// seed. No run if the folder is missing.
///
/// # Errors
/// What the disk says, and a file that is not what [`Run::write`] makes: its history is missing or another's, or it is
/// of no experiment.
pub fn read_all(folder: &Path, experiments: &[&str]) -> Result<Vec<Run>> {
    let folder_of_runs = folder.join("runs");
    let failed = |error: &io::Error| Error::reading(&folder_of_runs, error);
    let entries = match fs::read_dir(&folder_of_runs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(&error))?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| failed(&error))?.path();
        // A run that is being written has another extension.
        if path.extension().is_some_and(|extension| extension == "csv") {
            let run = read(folder, &path)?;
            let Some(position) = experiments.iter().position(|&name| name == run.experiment) else {
                return Err(malformed(
                    &path,
                    format!("a run of {}", run.experiment),
                    "a run of one of the experiments",
                ));
            };
            runs.push((position, run));
        }
    }
    runs.sort_by_key(|(position, run)| (*position, run.seed));
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// Reads the run whose line is in `path`.
fn read(folder: &Path, path: &Path) -> Result<Run> {
    let text = |path: &Path| fs::read_to_string(path).map_err(|error| Error::reading(path, &error));
    let line = text(path)?;
    let fields: Vec<&str> = line.lines().nth(1).unwrap_or_default().split(',').collect();
    let &[experiment, seed, _, train_accuracy, _, _, _, seconds] = &fields[..] else {
        return Err(malformed(path, "something else", &format!("{RUN_HEADER} and a line of that")));
    };
    let file = format!("{experiment}-{seed}.csv");
    if path.file_name().is_none_or(|name| name != file.as_str()) {
        return Err(malformed(
            path,
            format!("a run of {experiment} with seed {seed}"),
            "the run that the file is named after",
        ));
    }
    let history_path = folder.join("histories").join(file);
    let history = text(&history_path)?;
    let run = Run {
        experiment: experiment.into(),
        seed: number(path, seed)?,
        train_accuracy: accuracy(path, train_accuracy)?,
        seconds: number(path, seconds)?,
        history: epochs(&history_path, &history)?,
    };
    if run.history_csv() != history {
        return Err(malformed(&history_path, "epochs that do not follow one another", "every epoch from 1 on"));
    }
    // The rest of the line follows from the history, so this also says whether the two belong together.
    if csv([&run]) != line {
        return Err(malformed(
            path,
            "a line that does not follow from the history of that run",
            csv([&run]).trim_end(),
        ));
    }
    Ok(run)
}

/// Reads the history in `text`, the content of `path`.
fn epochs(path: &Path, text: &str) -> Result<Vec<Epoch>> {
    let mut epochs = Vec::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let &[_, learning_rate, loss, train_accuracy, test_accuracy] = &fields[..] else {
            return Err(malformed(path, format!("the line {line:?}"), HISTORY_HEADER));
        };
        epochs.push(Epoch {
            learning_rate: number(path, learning_rate)?,
            loss: number(path, loss)?,
            train_accuracy: accuracy(path, train_accuracy)?,
            test_accuracy: accuracy(path, test_accuracy)?,
        });
    }
    Ok(epochs)
}

fn accuracy(path: &Path, text: &str) -> Result<f64> {
    let accuracy = number(path, text)?;
    let wrong = || malformed(path, text, "an accuracy from 0 to 1");
    (0.0..=1.0).contains(&accuracy).then_some(accuracy).ok_or_else(wrong)
}

fn number<T: FromStr>(path: &Path, text: &str) -> Result<T> {
    text.parse().map_err(|_| malformed(path, format!("{text:?}"), "a number"))
}

fn malformed(path: &Path, found: impl Into<String>, expected: &str) -> Error {
    Error::new(path.display(), found, expected, "delete the file, and run the experiment again if it is still wanted")
}
