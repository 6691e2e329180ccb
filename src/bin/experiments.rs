//! `make experiments`: every table and figure of the coursework, with its spread.

use std::path::Path;
use std::process::ExitCode;

use mnist_mlp::data::Data;
use mnist_mlp::error::{Error, Result};
use mnist_mlp::experiments::{self, runs, sweep, tables};
use mnist_mlp::output;
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;

/// Where all files go.
const RESULTS: &str = "results";
/// More seeds than anybody waits for.
const MOST_SEEDS: u64 = 1000;

const HELP: &str = "\
Usage: experiments [NAME] [--seeds N]
       experiments --report | --list | --help

Runs the experiment NAME, or all of them, on all cores. Each run that ends is a row of
results/runs.csv, where the rows of its experiment replace those of an earlier time. After all
experiments, fills in the tables of results/README.md and draws the figures there.

  --seeds N    with the seeds from 1 to N (default 10; 3 for wide)
  --report     makes tables and figures from the runs that are there, and runs nothing
  --list       lists the names
  --help       shows this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = session::arguments().collect();
    session::exit_code(run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn run(arguments: &[&str]) -> Result<()> {
    let (all, folder, mut console) = (experiments::all(), Path::new(RESULTS), Console::stdout());
    let (name, seeds) = match *arguments {
        ["--help"] => return console.line(HELP.trim_end()),
        ["--list"] => return all.iter().try_for_each(|experiment| console.line(experiment.name)),
        ["--report"] => return tables::report(folder, &all, &mut console),
        [] => (None, None),
        ["--seeds", n] => (None, Some(seeds(n)?)),
        [name] if !name.starts_with('-') => (Some(name), None),
        [name, "--seeds", n] | ["--seeds", n, name] if !name.starts_with('-') => (Some(name), Some(seeds(n)?)),
        _ => {
            let expected = "[NAME] [--seeds N], or one of --report, --list and --help alone";
            return Err(Error::new("the arguments", format!("{arguments:?}"), expected, "--help says what each does"));
        }
    };
    let mut chosen = match name {
        Some(name) => vec![experiments::find(&all, name)?.clone()],
        None => all.clone(),
    };
    chosen.iter_mut().for_each(|experiment| experiment.seeds = 1..=seeds.unwrap_or(*experiment.seeds.end()));
    // What is there is read first, so that nobody learns after the work that it cannot be added to.
    output::prepare(folder)?;
    let path = folder.join(runs::FILE);
    let (_, dropped) = runs::read(&path, &all)?;
    dropped.iter().try_for_each(|line| console.line(line))?;
    let config = &chosen[0].config;
    let here = experiments::in_experiment;
    let data = Data::load(&config.data, config.classes).map_err(here)?;
    let mut ended = Vec::new();
    let save = |run, _| {
        ended.push(run);
        runs::replace(&path, &all, &ended)
    };
    sweep::sweep(&chosen, &data, session::threads(), &mut console, save).map_err(here)?;
    if name.is_none() { tables::report(folder, &all, &mut console) } else { Ok(()) }
}

fn seeds(text: &str) -> Result<u64> {
    text.parse().ok().filter(|seeds| (1..=MOST_SEEDS).contains(seeds)).ok_or_else(|| {
        let expected = format!("a whole number from 1 to {MOST_SEEDS}");
        Error::new("the argument after --seeds", text, expected, "--help says how to use it")
    })
}
