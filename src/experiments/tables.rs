//! The tables and figures of the experiments, from the files of the runs alone.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{Error, Result};
use crate::experiments::findings::{self, Finding};
use crate::experiments::runs::{self, Epoch, Run, epochs_to, of};
use crate::experiments::statistics::{SEEN, Spread};
use crate::experiments::{Experiment, Reported};
use crate::output;
use crate::output::plot::{Figure, Line};
use crate::output::progress::Console;

/// Rows that stand in one table and one figure.
struct Comparison {
    /// The name of its figures.
    file: &'static str,
    title: &'static str,
    /// What a reader should know of it.
    text: &'static str,
    rows: &'static [&'static str],
}

const COMPARISONS: [Comparison; 6] = [
    Comparison {
        file: "initialisation",
        title: "Initialisation (§3)",
        text: "Constant schedule, 10 epochs.",
        rows: &["zero-constant", "normal-constant", "xavier-constant"],
    },
    Comparison {
        file: "loss",
        title: "Loss (§4)",
        text: "Xavier, constant schedule, 10 epochs. The coursework promises this comparison and has only cross-entropy.",
        rows: &["xavier-constant", "xavier-constant-mse"],
    },
    Comparison {
        file: "schedule-normal",
        title: "Schedule with Normal initialisation (§5)",
        text: "10 epochs. Cycle's half period is one epoch, which the coursework does not say.",
        rows: &["normal-constant", "normal-step", "normal-cosine", "normal-cycle"],
    },
    Comparison {
        file: "schedule-xavier",
        title: "Schedule with Xavier initialisation",
        text: "The same four without the plateau that Normal starts on.",
        rows: &["xavier-constant", "xavier-step", "xavier-cosine", "xavier-cycle"],
    },
    Comparison {
        file: "regularisation",
        title: "Regularisation (§6)",
        text: "Cosine, 20 epochs. The coursework compares with its 10 epochs of `normal-cosine`; `normal-cosine-20` is the \
               fair baseline. `xavier-cosine-dropout-0.5` shows whether dropout 0.5 or Normal's plateau is in the way.",
        rows: &[
            "normal-cosine",
            "normal-cosine-20",
            "normal-cosine-dropout-0.2",
            "normal-cosine-dropout-0.5",
            "xavier-cosine-dropout-0.5",
            "normal-cosine-l2-1e-5",
            "normal-cosine-l2-1e-7",
        ],
    },
    Comparison {
        file: "best",
        title: "The best (§7)",
        text: "The coursework's best row beside the two that come nearest to it in the coursework and the same with half \
               of the epochs and no L2.",
        rows: &["xavier-step-l2-1e-5", "normal-cosine-l2-1e-5", "normal-cosine-l2-1e-7", "xavier-step"],
    },
];

/// Where the top-level README takes what [`summary`] makes.
const MARKS: [&str; 2] = ["<!-- from results, by `experiments --report`: begin -->\n", "<!-- from results: end -->"];

/// Makes `runs.csv`, `README.md` and the figures in `folder` from the files of the runs there, and renews the summary in
/// the `README.md` beside the folder if there is one with the marks for it.
///
/// # Errors
/// What the disk says, and what [`runs::read_all`] finds.
pub fn report(folder: &Path, experiments: &[Experiment]) -> Result<()> {
    let names: Vec<&str> = experiments.iter().map(|experiment| experiment.name).collect();
    let runs = runs::read_all(folder, &names)?;
    if runs.is_empty() {
        return Err(Error::new(folder.display(), "no run", "the files of at least one", "run make experiments first"));
    }
    let files = files(experiments, &runs, &text_of(&folder.join("learning-rates.csv"))?);
    for (name, content) in &files {
        output::write_whole(&folder.join(name), content.as_bytes())?;
    }
    let readme = folder.parent().unwrap_or(Path::new("")).join("README.md");
    if let Some(renewed) = with_summary(&text_of(&readme)?, &summary(experiments, &runs)) {
        output::write_whole(&readme, renewed.as_bytes())?;
    }
    Console::stdout().line(&format!("{} files from {} runs in {}", files.len(), runs.len(), folder.display()))
}

/// What is in the file, nothing if it is not there.
fn text_of(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|error| Error::reading(path, &error)),
    }
}

/// `readme` with `summary` between its marks, if it has them.
pub fn with_summary(readme: &str, summary: &str) -> Option<String> {
    let (before, rest) = readme.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some([before, MARKS[0], summary, MARKS[1], after].concat())
}

/// The name and content of every file of a report. `learning_rates` is the table of the scan, empty for none.
pub fn files(experiments: &[Experiment], runs: &[Run], learning_rates: &str) -> Vec<(String, String)> {
    let mut files =
        vec![("runs.csv".into(), runs::csv(runs)), ("README.md".into(), readme(experiments, runs, learning_rates))];
    for comparison in &COMPARISONS {
        for (suffix, bounds, title) in [("", (0.0, 1.0), ""), ("-top", (0.9, 1.0), ", from 0.9")] {
            let title = format!("{}{title}", comparison.title);
            files.push((format!("{}{suffix}.svg", comparison.file), figure(comparison, runs, title, bounds)));
        }
    }
    files
}

/// The accuracies of a comparison's rows by epoch, all seeds of a row as one line with a band.
fn figure(comparison: &Comparison, runs: &[Run], title: String, bounds: (f64, f64)) -> String {
    let line = |name: &str, dashed, accuracy: fn(&Epoch) -> f64| {
        let of_row = of(runs, name);
        let epochs = of_row.iter().map(|run| run.history.len()).min().unwrap_or(0);
        let spread = |i: usize| of_row.iter().map(|run| accuracy(&run.history[i])).collect();
        let spreads: Vec<Spread> = (0..epochs).map(spread).collect();
        Line {
            name: name.into(),
            dashed,
            points: (1..).zip(&spreads).map(|(epoch, spread)| (f64::from(epoch), spread.mean)).collect(),
            band: spreads.iter().map(|s| (s.mean - s.deviation, s.mean + s.deviation)).collect(),
        }
    };
    let rows = comparison.rows.iter();
    Figure {
        title,
        x_label: "epoch".into(),
        y_label: "accuracy".into(),
        y_bounds: bounds,
        solid: "test".into(),
        dashed: "train (running)".into(),
        band: "± one standard deviation over the seeds".into(),
        lines: rows
            .flat_map(|row| [line(row, true, |e| e.train_accuracy), line(row, false, |e| e.test_accuracy)])
            .collect(),
    }
    .svg()
}

/// The train, final test and best test accuracies of the runs of a row that left the plateau, of all if none did.
fn accuracies(runs: &[&Run]) -> [Spread; 3] {
    let left: Vec<&Run> = runs.iter().copied().filter(|run| run.left_the_plateau()).collect();
    let counted = if left.is_empty() { runs } else { &left };
    let measures: [fn(&Run) -> f64; 3] =
        [|run| run.train_accuracy, |run| run.test_accuracy(), |run| run.best_test_accuracy().0];
    measures.map(|measure| counted.iter().map(|run| measure(run)).collect())
}

/// The coursework's figures beside ours, a line for each of `rows`.
fn table<'a>(rows: impl Iterator<Item = &'a Experiment>, runs: &[Run]) -> String {
    let mut table = String::from(
        "| row | epochs | coursework: train, test, best | train | test | best test | passes 0.5 in epoch | ends below 0.5 |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for Experiment { name, config, reported } in rows {
        let told = match reported {
            Reported::Accuracies(told) => told.map(|accuracy| format!("{accuracy:.3}")).join(", "),
            Reported::Fails(words) => format!("fails: “{words}”"),
            Reported::Nothing => "–".into(),
        };
        let runs = of(runs, name);
        let [train, test, best] = accuracies(&runs);
        let stuck = runs.iter().filter(|run| !run.left_the_plateau()).count();
        table += &format!(
            "| `{name}` | {} | {told} | {train} | {test} | {best} | {} | {stuck} of {} |\n",
            config.epochs,
            epochs_to(0.5, &runs),
            runs.len()
        );
    }
    table
}

/// The findings, each with the first `most` of what we see.
fn findings(runs: &[Run], most: usize) -> String {
    let mut table = String::from(
        "| the coursework | what we see: difference ± standard error | verdict | what may be concluded |\n|---|---|---|---|\n",
    );
    for Finding { claim, seen, verdict, conclusion } in findings::all(runs) {
        let seen: Vec<String> = seen.into_iter().take(most).collect();
        table += &format!("| {claim} | {} | {verdict} | {conclusion} |\n", seen.join("<br>"));
    }
    table
}

/// How many seeds a row has.
fn seeds(experiments: &[Experiment], runs: &[Run]) -> String {
    let counts = || experiments.iter().map(|experiment| of(runs, experiment.name).len());
    match (counts().min().unwrap_or(0), counts().max().unwrap_or(0)) {
        (least, most) if least == most => most.to_string(),
        (least, most) => format!("{least} to {most}"),
    }
}

fn rows<'a>(experiments: &'a [Experiment], names: &'a [&str]) -> impl Iterator<Item = &'a Experiment> {
    names.iter().filter_map(|name| experiments.iter().find(|experiment| experiment.name == *name))
}

fn readme(experiments: &[Experiment], runs: &[Run], learning_rates: &str) -> String {
    let mut page = format!(
        "# The experiments\n\n\
         Made by `experiments --report` from the {} runs in `runs/` and `histories/`; edit nothing here by hand.\n\n\
         Every number is mean ± standard deviation over the seeds ({} in each row, from 1 on, none chosen by its \
         result), of the runs that left the plateau that training begins with; where none did, of all. A run that ends \
         with a test accuracy below 0.5 never left it: the last column counts them. *train* and *test* are the accuracies \
         after the last epoch, *best test* is the highest of any epoch, which is looked for on the test set itself and so \
         flatters a little. The coursework's figures are from one run each.\n\n",
        runs.len(),
        seeds(experiments, runs),
    );
    page += &format!(
        "## The findings\n\n\
         Differences are taken seed by seed, since the same seed gives two rows the same order of the images and the same \
         random numbers for their weights. One is called seen if it is more than {SEEN} standard errors from zero. All of \
         it is about one network, one data set, learning rate 0.02 and batches of 16. The standard error is over seeds; \
         that the 10,000 test images are a sample too adds about 0.0015 to what an accuracy says of other images.\n\n{}",
        findings(runs, usize::MAX)
    );
    for comparison in &COMPARISONS {
        let Comparison { file, title, text, rows: names } = comparison;
        page += &format!(
            "\n## {title}\n\n{text}\n\n{}\n![{title}: train and test accuracy by epoch]({file}.svg)\n\
             ![{title}: the same from 0.9]({file}-top.svg)\n",
            table(rows(experiments, names), runs)
        );
    }
    page + &rates(learning_rates) + &departures(experiments, runs)
}

/// How the rate for the squared error was chosen.
fn rates(learning_rates: &str) -> String {
    if learning_rates.is_empty() {
        return String::new();
    }
    let mut section = String::from(
        "\n## The learning rate of the mean squared error\n\n\
         The error is the mean over the ten classes, and its gradient passes the softmax: where all probabilities are \
         still 0.1 it is 0.2 · 0.1 = 1/50 of cross-entropy's, so a rate near 50 · 0.02 = 1 is the place to look. The rate \
         is the one with the highest mean in the scan below, 0.5. The scan has not seen the test set: the last 10,000 \
         training images were held out, and the seeds are other ones (101 to 103). Cross-entropy keeps the coursework's \
         0.02, the best for it in the scan too. Final accuracy on the images held out (`tests/learning_rates.rs` makes this):\n\n",
    );
    for (i, line) in learning_rates.lines().enumerate() {
        section += &format!("| {} |\n", line.replace(',', " | ").replace('_', " "));
        if i == 0 {
            section += &format!("|{}\n", "---|".repeat(line.split(',').count()));
        }
    }
    section
}

/// Where our accuracies are below the coursework's, or a failure looks different, and why.
fn departures(experiments: &[Experiment], runs: &[Run]) -> String {
    let mut section = String::from("\n## Where ours is lower, or looks different\n\n");
    for Experiment { name, reported, .. } in experiments {
        let of_row = of(runs, name);
        let spreads = accuracies(&of_row);
        match reported {
            _ if of_row.is_empty() => {}
            Reported::Accuracies(told) => {
                let columns = ["train", "test", "best test"].iter().zip(told).zip(spreads);
                let lower: Vec<_> = columns.filter(|((_, told), ours)| ours.mean < **told).collect();
                let words = lower.iter().map(|((column, told), ours)| format!("{column} by {:.4}", *told - ours.mean));
                let within = lower.iter().all(|((_, told), ours)| **told - ours.mean <= 2.0 * ours.deviation);
                if !lower.is_empty() {
                    let words: Vec<String> = words.collect();
                    let why = if within { WITHIN.into() } else { why_lower(name, runs) };
                    section += &format!("- `{name}` is lower: {}. {why}\n", words.join(", "));
                }
            }
            Reported::Fails(words) => {
                let [_, test, best] = spreads;
                section += &format!(
                    "- `{name}` fails (“{words}”): ours ends at {test}, its best epoch at {best}. {}\n",
                    why_failing(best)
                );
            }
            Reported::Nothing => {}
        }
    }
    section
}

const WITHIN: &str = "That is within two standard deviations of a run: one run may well come out so.";

fn why_lower(name: &str, runs: &[Run]) -> String {
    let third = |name: &str| -> Spread {
        of(runs, name).into_iter().filter_map(|run| Some(run.history.get(2)?.test_accuracy)).collect()
    };
    match name {
        "normal-step" => format!(
            "Its plateau ends in epoch {} and the rate falls to a tenth in the middle of epoch 4: after epoch 3 its test \
             accuracy is {}, where `xavier-step`, which has no plateau, is at {}, and the small rates after that bring it \
             little further. The coursework's Step run did not pay for the plateau; what differs there it does not tell.",
            epochs_to(0.5, &of(runs, name)),
            third(name),
            third("xavier-step"),
        ),
        _ => "We have no explanation.".into(),
    }
}

/// What a failure looks like. Guessing one digit for all images is right for about a tenth of them.
fn why_failing(best: Spread) -> String {
    if best.mean < 0.15 {
        "It guesses one digit for all images to the end, as the coursework tells it.".into()
    } else {
        "That is more than guessing one digit: a single unit in each layer still gives each image one number, by which \
         it can sort the digits only roughly, and after two or three epochs it gets no better. The coursework may have meant \
         this by its words, or seen less; it does not say."
            .into()
    }
}

/// What the top-level README shows: the rows, the findings in short and the figures.
pub fn summary(experiments: &[Experiment], runs: &[Run]) -> String {
    let mut figures = String::from("| accuracy by epoch | the same from 0.9 |\n|---|---|\n");
    for Comparison { file, title, .. } in &COMPARISONS {
        figures += &format!("| ![{title}](results/{file}.svg) | ![{title}, from 0.9](results/{file}-top.svg) |\n");
    }
    format!(
        "Each row has been run with {} seeds: mean ± standard deviation of the runs that left the plateau that training \
         begins with (of all, where none did). The coursework's figures are from one run each; *best test* is of any \
         epoch.\n\n{}\n\
         What becomes of its findings, with the differences paired by seed, ± standard error:\n\n{}\n\
         Lines are means, bands one standard deviation over the seeds. [results/](results/README.md) has the same by \
         comparison, with all differences, how MSE's learning rate was chosen, and where ours is lower and why.\n\n\
         {figures}",
        seeds(experiments, runs),
        table(experiments.iter(), runs),
        findings(runs, 1),
    )
}
