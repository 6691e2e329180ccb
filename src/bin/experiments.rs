//! `make experiments`: every table and figure of the coursework, with its spread.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;

use mnist_mlp::data::Data;
use mnist_mlp::error::{Error, Result};
use mnist_mlp::experiments::sweep::{self, Job};
use mnist_mlp::experiments::tables;
use mnist_mlp::experiments::{self, Experiment};
use mnist_mlp::output;
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;

/// Where all files go.
const RESULTS: &str = "results";
/// How many seeds a row is run with.
const SEEDS: u64 = 5;

const HELP: &str = "\
Usage: experiments [NAME] [--seeds N | --seed S] [--workers N]
       experiments --report
       experiments --list

Runs the experiment NAME, or all of them, and leaves the files of each run in results/. After all
of them, makes the tables and figures there.

  --seeds N    with the seeds from 1 to N (default 5)
  --seed S     with that seed alone
  --workers N  so many runs at a time (default: as many as there are cores)
  --report     makes tables and figures from the runs that are there, and runs nothing
  --list       lists the names
  --help       shows this
";

fn main() -> ExitCode {
    session::exit_code(parse(session::arguments()).and_then(run))
}

/// What the command line asks for.
enum Command {
    Help,
    List,
    Report,
    Run { name: Option<String>, seeds: Vec<u64>, workers: usize, report: bool },
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command> {
    let (mut name, mut one_seed, mut seeds, mut workers) = (None, None, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--help" => return Ok(Command::Help),
            "--list" => return Ok(Command::List),
            "--report" => return Ok(Command::Report),
            "--seed" => one_seed = Some(number(&argument, arguments.next(), 0..=u64::MAX)?),
            "--seeds" => seeds = Some(number(&argument, arguments.next(), 1..=1_000_000)?),
            "--workers" => workers = Some(number(&argument, arguments.next(), 1..=1024)?),
            _ if name.is_none() && !argument.starts_with('-') => name = Some(argument),
            _ => return Err(Error::new("the arguments", format!("{argument:?}"), "what --help lists", "leave it out")),
        }
    }
    let seeds_of_all = match (one_seed, seeds) {
        (Some(_), Some(_)) => {
            return Err(Error::new("the arguments", "--seed and --seeds", "one of them", "leave the other out"));
        }
        (Some(seed), None) => vec![seed],
        (None, seeds) => (1..=seeds.unwrap_or(SEEDS)).collect(),
    };
    let workers = workers.map_or_else(session::threads, |workers| workers as usize);
    Ok(Command::Run { report: name.is_none() && one_seed.is_none(), name, seeds: seeds_of_all, workers })
}

/// The number that follows `option`.
fn number(option: &str, found: Option<String>, range: RangeInclusive<u64>) -> Result<u64> {
    let found = found.unwrap_or_else(|| "nothing".into());
    found.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        Error::new(format!("the argument after {option}"), found, expected, "--help shows how to use it")
    })
}

fn run(command: Command) -> Result<()> {
    let all = experiments::all();
    let folder = Path::new(RESULTS);
    match command {
        Command::Help => Console::stdout().line(HELP.trim_end()),
        Command::List => all.iter().try_for_each(|experiment| Console::stdout().line(experiment.name)),
        Command::Report => tables::report(folder, &all),
        Command::Run { name, seeds, workers, report } => {
            let chosen: Vec<&Experiment> = match name {
                None => all.iter().collect(),
                Some(name) => vec![experiments::find(&all, &name)?],
            };
            let of_seed = |&seed| chosen.iter().map(move |experiment| Job { experiment, seed });
            let jobs: Vec<Job> = seeds.iter().flat_map(of_seed).collect();
            output::prepare(folder)?;
            let data = Data::load(&all[0].config.data, all[0].config.classes)?;
            sweep::sweep(&jobs, &data, folder, workers)?;
            if report { tables::report(folder, &all) } else { Ok(()) }
        }
    }
}
