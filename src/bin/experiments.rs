//! `make experiments`: every table and figure of the coursework, with its spread.

use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;

use mnist_mlp::command;
use mnist_mlp::data::Data;
use mnist_mlp::error::{Error, Result};
use mnist_mlp::experiments::{self, Experiment, RESULTS, runs, sweep, tables};
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;

/// More seeds than anybody waits for.
const MOST_SEEDS: u64 = 1000;

const HELP: &str = "\
Usage: experiments [NAME...] [--seeds N | --seed S] [--output FOLDER]
       experiments --report [FOLDER...] [--output FOLDER]
       experiments --list | --help

Runs the experiments of these names, or all of them, on all cores. Each run that
ends becomes a row of runs.csv in the output folder, in the place of an earlier
run of its experiment with its seed. Where an experiment's configuration has
changed, the first run that ends takes the place of all its earlier ones. After
all experiments, makes the report.

  --seeds N        with the seeds from 1 to N (default 10; 3 for wide)
  --seed S         with this seed alone
  --output FOLDER  the output folder (default results)
  --report         runs nothing: adds the runs of these folders to those of the
                   output folder, fills in the tables of its README.md and
                   draws its figures
  --list           lists the names
  --help           shows this
";
/// What a message ends with.
const SEE_HELP: &str = "--help says what each does";

/// What the arguments ask for.
struct Request<'a> {
    is_report: bool,
    /// Of experiments; or of folders with runs, for a report.
    names: Vec<&'a str>,
    seeds: Option<RangeInclusive<u64>>,
    output: &'a Path,
}

fn main() -> ExitCode {
    command::with_arguments(execute)
}

fn execute(arguments: &[&str]) -> Result<()> {
    let all = experiments::all();
    let mut console = Console::stdout();
    match *arguments {
        ["--help"] => console.line(HELP.trim_end()),
        ["--list"] => all.iter().try_for_each(|experiment| console.line(experiment.name)),
        _ => {
            let request = parse(arguments)?;
            let work = if request.is_report { report } else { train };
            work(&request, &all, &mut console)
        }
    }
}

fn parse<'a>(arguments: &[&'a str]) -> Result<Request<'a>> {
    let mut request =
        Request { is_report: false, names: vec![], seeds: None, output: Path::new(RESULTS) };
    let mut rest = arguments.iter().copied();
    while let Some(argument) = rest.next() {
        let mut value = |expected: &str| match rest.next() {
            Some(value) if !value.is_empty() && !value.starts_with('-') => Ok(value),
            other => {
                let place = format!("the argument after {argument}");
                let found = other.unwrap_or("nothing");
                Err(Error::new(place, found, expected, SEE_HELP))
            }
        };
        let mut number = |most| {
            let expected = format!("a whole number from 1 to {most}");
            let text = value(&expected)?;
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number.ok_or_else(|| {
                Error::new(format!("the argument after {argument}"), text, expected, SEE_HELP)
            })
        };
        match argument {
            "--report" => request.is_report = true,
            "--seeds" => request.seeds = Some(1..=number(MOST_SEEDS)?),
            "--seed" => request.seeds = number(u64::MAX).map(|seed| Some(seed..=seed))?,
            "--output" => request.output = Path::new(value("a folder")?),
            name if !name.starts_with('-') => request.names.push(name),
            _ => return Err(Error::new("the arguments", argument, "names and options", SEE_HELP)),
        }
    }
    if request.is_report && request.seeds.is_some() {
        return Err(Error::new("the arguments", "seeds for --report", "folders alone", SEE_HELP));
    }
    Ok(request)
}

/// Adds the runs of the named folders to those of the output folder, and makes tables and figures
/// of all.
fn report(request: &Request, all: &[Experiment], console: &mut Console) -> Result<()> {
    let mut added = Vec::new();
    for folder in request.names.iter().map(Path::new) {
        let (runs, lines) = runs::read_current(&folder.join(runs::FILE), all)?;
        lines.iter().try_for_each(|line| console.line(line))?;
        if runs.is_empty() {
            return Err(Error::new(folder.display(), "no run", "a folder with runs.csv", SEE_HELP));
        }
        added.extend(runs);
    }
    if !added.is_empty() {
        let lines = runs::add(&request.output.join(runs::FILE), all, &added)?;
        lines.iter().try_for_each(|line| console.line(line))?;
    }
    tables::report(request.output, all, console)
}

/// Runs the named experiments, or all.
fn train(request: &Request, all: &[Experiment], console: &mut Console) -> Result<()> {
    let find = |name: &&str| experiments::find(all, name).cloned();
    let mut chosen = request.names.iter().map(find).collect::<Result<Vec<_>>>()?;
    if chosen.is_empty() {
        chosen = all.to_vec();
    }
    if let Some(seeds) = &request.seeds {
        chosen.iter_mut().for_each(|experiment| experiment.seeds = seeds.clone());
    }
    let config = &chosen[0].config;
    let data = Data::load(&config.data, config.classes).map_err(experiments::in_experiment)?;
    let data = data.upright(config.transposed);
    // Before the work: that its runs can be added to those of the output folder.
    let path = request.output.join(runs::FILE);
    runs::add(&path, all, &[])?;
    let save = |ended, _| runs::add(&path, all, &[ended]);
    sweep::sweep(&chosen, &data, session::threads(), console, save)
        .map_err(experiments::in_experiment)?;
    console.line(&format!("added to {}", path.display()))?;
    if request.names.is_empty() { tables::report(request.output, all, console) } else { Ok(()) }
}
