//! The tables of `results/README.md` and its figures, from the runs alone. What they mean is
//! written there by people.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::experiments::runs::{self, Run, of};
use crate::experiments::statistics::Spread;
use crate::experiments::{self, Experiment, RESULTS};
use crate::output;
use crate::output::plot::{Figure, Line};
use crate::output::progress::Console;

/// Experiments that stand in one table and in its two figures: the name of these, the title, the
/// experiments.
const COMPARISONS: [(&str, &str, &str); 9] = [
    ("initialisation", "Initialisation", "zero-constant normal-constant xavier-constant"),
    ("loss", "Loss", "xavier-constant xavier-constant-mse"),
    (
        "schedule-normal",
        "Schedule, Normal",
        "normal-constant normal-step normal-cosine normal-cycle",
    ),
    (
        "schedule-xavier",
        "Schedule, Xavier",
        "xavier-constant xavier-step xavier-cosine xavier-cycle",
    ),
    ("l2", "L2", "normal-cosine normal-cosine-20 normal-cosine-l2-1e-5 normal-cosine-l2-1e-7"),
    (
        "dropout-normal",
        "Dropout, Normal",
        "normal-cosine-20 normal-cosine-dropout-0.2 normal-cosine-dropout-0.2-after \
         normal-cosine-dropout-0.5 normal-cosine-dropout-0.5-after",
    ),
    (
        "dropout-xavier",
        "Dropout, Xavier",
        "xavier-cosine-20 xavier-cosine-dropout-0.2 xavier-cosine-dropout-0.2-after \
         xavier-cosine-dropout-0.5 xavier-cosine-dropout-0.5-after",
    ),
    ("best", "The best", "xavier-step-l2-1e-5 xavier-step xavier-cosine-20 normal-cosine-l2-1e-5"),
    ("deformation", "Deformation", "xavier-step-l2-1e-5 xavier-step-l2-1e-5-deformed best wide"),
];

/// Renews `README.md` and the figures in `folder` from the runs there. A folder without a page, or
/// without the two CSV files, gets what [`RESULTS`] has. In the page it fills in
///
/// - the lines between `<!-- NAME: begin -->` and `<!-- NAME: end -->`, for each comparison and for
///   two CSV files;
/// - the second cell of each line ``| `ROW` − `BASE` | | above |``, the paired difference of
///   the final test accuracies, or after an epoch: ``| `ROW` − `BASE`, after epoch 3 | | below |``;
/// - the second cell of each line ``| `ROW` ends below 0.5 | | all |``, how many runs do.
///
/// The third cell is what the page's authors say, and the text around it rests on.
///
/// # Errors
/// What the disk says, what [`runs::read`] finds, a table without its marks, and a line of evidence
/// that is none. When all is written: the first third cell that the numbers contradict, if they are
/// of as many seeds as the page rests on.
pub fn report(folder: &Path, experiments: &[Experiment], console: &mut Console) -> Result<()> {
    let (runs, lines) = runs::read_current(&folder.join(runs::FILE), experiments)?;
    lines.iter().try_for_each(|line| console.line(line))?;
    if runs.is_empty() {
        return Err(Error::new(
            folder.display(),
            "no run",
            "at least one",
            "run make experiments first",
        ));
    }
    let read = |name: &str| {
        let own = folder.join(name);
        let path = if own.exists() { own } else { Path::new(RESULTS).join(name) };
        fs::read_to_string(&path).map_err(|error| Error::reading(&path, &error))
    };
    let path = folder.join("README.md");
    let mut page = read("README.md")?;
    findings(&path, &page, experiments, &runs)?; // before the lines get other numbers
    for name in ["learning-rates", "trials"] {
        page = fill(&path, &page, name, &as_table(&read(&format!("{name}.csv"))?))?;
    }
    for (name, _, rows) in COMPARISONS {
        page = fill(&path, &page, name, &comparison(experiments, rows, &runs))?;
    }
    let (page, contradiction) = findings(&path, &page, experiments, &runs)?;
    output::write(&[(&path, page.as_bytes())])?;
    for (name, title, rows) in COMPARISONS {
        for (suffix, bounds) in [("", (0.0, 1.0)), ("-top", (0.9, 1.0))] {
            let figure = figure(title, rows, &runs, bounds);
            output::write(&[(folder.join(format!("{name}{suffix}.svg")), figure.as_bytes())])?;
        }
    }
    console.line(&format!(
        "tables and figures from {} runs in {}",
        runs.len(),
        folder.display()
    ))?;
    contradiction.map_or(Ok(()), Err)
}

/// `page` with `table` between the marks of that name.
fn fill(path: &Path, page: &str, name: &str, table: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|mark| format!("<!-- {name}: {mark} -->"));
    let parts =
        page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = parts.ok_or_else(|| {
        let next = "put these two lines where the table belongs";
        Error::new(
            path.display(),
            format!("no place for a table, {name}"),
            format!("{begin} and {end}"),
            next,
        )
    })?;
    Ok(format!("{before}{begin}\n\n{table}\n{end}{after}"))
}

/// `page` with the numbers of its findings, and the first of its words that is not what these say.
fn findings(
    path: &Path,
    page: &str,
    experiments: &[Experiment],
    runs: &[Run],
) -> Result<(String, Option<Error>)> {
    let mut filled = String::new();
    let mut contradiction = None;
    for (number, line) in (1..).zip(page.lines()) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        filled += &match cells[..] {
            ["", what, _, said, ""] if what.starts_with('`') => {
                let wrong = |found: String, expected: &str, next: &str| {
                    Error::new(format!("{}, line {number}", path.display()), found, expected, next)
                };
                let (seen, word, is_whole) = seen(what, experiments, runs).ok_or_else(|| {
                    let expected = "`ROW` − `BASE`, the same with \", after epoch N\", or `ROW` \
                                    ends below 0.5";
                    let next = "`experiments --list` has the names of all rows";
                    wrong(format!("\"{what}\""), expected, next)
                })?;
                if word != said && is_whole {
                    let expected = format!("{word}, since it is {seen}");
                    let next = "write that there, and what follows from it in the text around it";
                    contradiction.get_or_insert(wrong(format!("{what}: {said}"), &expected, next));
                }
                format!("| {what} | {seen} | {said} |\n")
            }
            _ => format!("{line}\n"),
        };
    }
    Ok((filled, contradiction))
}

/// The measured difference and its verdict, and whether all seeds are there.
/// None if it is no finding.
fn seen(
    what: &str,
    experiments: &[Experiment],
    runs: &[Run],
) -> Option<(String, &'static str, bool)> {
    let seeds =
        |name| experiments::find(experiments, name).ok().map(|row| row.seeds.clone().count());
    let row = |name| seeds(name).map(|_| of(runs, name));
    match what.split('`').collect::<Vec<_>>()[..] {
        ["", name, " ends below 0.5"] => {
            let (stuck, all) = stuck(row(name)?);
            let word = match stuck {
                0 => "none",
                _ if stuck == all => "all",
                _ => "some",
            };
            Some((format!("{stuck} of {all}"), word, all >= seeds(name)?))
        }
        ["", name, " − ", base_name, when] => {
            let epoch = match when {
                "" => None,
                _ => Some(
                    when.strip_prefix(", after epoch ")?.parse::<usize>().ok()?.checked_sub(1)?,
                ),
            };
            let accuracy = |run: &Run| {
                epoch.map_or(run.test_accuracies.last(), |i| run.test_accuracies.get(i)).copied()
            };
            // Seed by seed: the same seed gives both the same order of the images and the same
            // random numbers for their weights. Without the pairs in which either stayed on the
            // plateau.
            let base: Vec<&Run> = row(base_name)?.filter(|run| run.left_the_plateau()).collect();
            let pair = |run: &Run| {
                Some(accuracy(run)? - accuracy(base.iter().find(|base| base.seed == run.seed)?)?)
            };
            let difference: Spread =
                row(name)?.filter(|run| run.left_the_plateau()).filter_map(pair).collect();
            let Spread { count, mean, .. } = difference;
            let seen = match count {
                0 => "–".into(),
                1 => format!("{mean:+.4} (1 seed)"),
                _ => format!("{mean:+.4} ± {:.4} ({count} seeds)", difference.standard_error()),
            };
            let word = match difference.sign() {
                Greater => "above",
                Less => "below",
                Equal => "not told apart",
            };
            Some((seen.replace('-', "−"), word, count >= seeds(name)?.min(seeds(base_name)?)))
        }
        _ => None,
    }
}

/// How many of the runs end below 0.5, and how many there are.
fn stuck<'a>(runs: impl Iterator<Item = &'a Run>) -> (usize, usize) {
    runs.fold((0, 0), |(stuck, all), run| (stuck + usize::from(!run.left_the_plateau()), all + 1))
}

/// The coursework's accuracies beside ours, a line for each of `names`. Ours are of the runs that
/// left the plateau, of all runs if none did.
fn comparison(experiments: &[Experiment], names: &str, runs: &[Run]) -> String {
    let mut table = String::from(
        "| row | epochs | coursework: train, test, best | train | test | best test \
         | passes 0.5 in epoch | ends below 0.5 |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let rows = names.split(' ').filter_map(|name| experiments.iter().find(|row| row.name == name));
    for Experiment { name, config, reported, .. } in rows {
        let (stuck, all) = stuck(of(runs, name));
        let counted = || of(runs, name).filter(|run| run.left_the_plateau() || stuck == all);
        let measures: [fn(&Run) -> f64; 3] =
            [|run| run.train_accuracy, Run::test_accuracy, |run| run.best_test_accuracy().0];
        let [train, test, best] =
            measures.map(|measure| counted().map(measure).collect::<Spread>());
        let ends = || of(runs, name).filter_map(Run::plateau_ends);
        let ends = match ends().min().zip(ends().max()) {
            None => "–".into(),
            Some((first, last)) if first == last => first.to_string(),
            Some((first, last)) => format!("{first}–{last}"),
        };
        let epochs = config.epochs;
        table += &format!(
            "| `{name}` | {epochs} | {reported} | {train} | {test} | {best} | {ends} | {stuck} \
             of {all} |\n"
        );
    }
    table
}

/// The accuracies of the experiments by epoch, all seeds of a row as one line with a band.
fn figure(title: &str, names: &str, runs: &[Run], y_bounds: (f64, f64)) -> String {
    let line = |name: &str, dashed, accuracies: fn(&Run) -> &[f64]| {
        Line::of_seeds(name, dashed, of(runs, name).map(accuracies))
    };
    let both = |row| {
        [
            line(row, true, |run| &run.running_accuracies),
            line(row, false, |run| &run.test_accuracies),
        ]
    };
    let title =
        if y_bounds.0 > 0.0 { format!("{title}, from {}", y_bounds.0) } else { title.into() };
    Figure { title, y_bounds, lines: names.split(' ').flat_map(both).collect() }.svg()
}

/// A CSV file as a table.
fn as_table(csv: &str) -> String {
    let mut lines: Vec<String> =
        csv.lines().map(|line| format!("| {} |\n", line.replace(',', " | "))).collect();
    let columns = csv.lines().next().map_or(0, |line| line.split(',').count());
    lines.insert(lines.len().min(1), format!("|{}\n", "---|".repeat(columns)));
    lines.concat().replace('_', " ")
}
