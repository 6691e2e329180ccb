//! A training run as a person sees it: what is checked before, shown during and left behind after
//! it.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::data::Data;
use crate::data::deformation::Deformer;
use crate::error::{Error, Result};
use crate::experiments::runs::Run;
use crate::experiments::statistics::Spread;
use crate::experiments::{Experiment, sweep};
use crate::math::kernels::Cpu;
use crate::metrics::argmax;
use crate::network::Network;
use crate::network::activation::Activation;
use crate::network::layer::Initialisation;
use crate::network::loss::Loss;
use crate::output::json::quote;
use crate::output::progress::{Console, duration, rate, thousands};
use crate::output::{self, history, report, weights};
use crate::training::{self, Epoch, Event, Trained, Trainer};

/// What a run leaves in its folder.
const FILES: [&str; 4] = ["history.csv", "curves.svg", "model.safetensors", "report.html"];
/// The folder in it for what the run before left, until this one has ended.
const BEFORE: &str = "before";
/// How often the files of a run that has not ended are renewed.
const KEEP: Duration = Duration::from_secs(10);

/// A run from the files to what it leaves: loads the data, trains, saves what came of it and sums
/// it up.
///
/// # Errors
/// Those of all that it does.
pub fn train_and_save(config: &Config, console: &mut Console) -> Result<()> {
    config.validate()?; // whose messages come before those that follow from a wrong value
    let data = Data::load_or_hold_out(&config.data, config.classes, config.held_out)?
        .upright(config.transposed);
    let trainer = Trainer::new(config, &data.train, Cpu::best().on_threads(threads()))?;
    // Before the work whose result it is to hold.
    output::prepare(&config.output).map_err(|error| error.within("output in get_config"))?;
    introduce(config, &data, &trainer.network, console)?;
    let before = set_aside(&config.output)?;
    let trained = match config.seeds {
        1 => train(config, trainer, &data, console).map(|trained| (trained, vec![])),
        _ => train_seeds(config, &data, console),
    };
    if let (Err(_), Some(before)) = (&trained, &before) {
        console.line(&format!("{} has what the run before this one left", before.display()))?;
    }
    let (trained, runs) = trained?;
    let saved = save(config, &data, &trained, &runs);
    let summary =
        if runs.is_empty() { accuracies(config, &data, &trained) } else { means(config, &runs) };
    for (what, accuracy) in summary {
        console.line(&format!("{what} {accuracy}"))?; // even where there is no room to save it
    }
    saved?;
    before.into_iter().for_each(|before| drop(fs::remove_dir_all(before)));
    console.line(&format!(
        "{} has history.csv, curves.svg and model.safetensors",
        config.output.display()
    ))?;
    console
        .line(&format!("open {} to draw a digit", config.output.join("report.html").display()))?;
    has_not_learnt(config, &trained, data.train.labels.len())
        .map_or(Ok(()), |why| console.line(&why))
}

/// How many threads this machine can run at once.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What a network is made of: its layers, as many as a line has room for, its weights and
/// biases.
pub fn summary(network: &Network) -> String {
    let widths: Vec<String> = network.widths().iter().map(usize::to_string).collect();
    let layers = match &widths[..] {
        [first, second, .., before, last] if widths.len() > 7 => {
            format!("{first}-{second}-…-{before}-{last} ({} layers)", network.layers.len())
        }
        _ => widths.join("-"),
    };
    let count =
        network.layers.iter().map(|layer| (layer.weight.rows() + 1) * layer.bias.len()).sum();
    format!("{layers}, {} weights and biases, {:?}", thousands(count), network.activation)
}

/// The first lines: what is trained, on what, with what.
fn introduce(config: &Config, data: &Data, network: &Network, console: &mut Console) -> Result<()> {
    let cpu = network.cpu;
    let [train, test] = [&data.train, &data.test].map(|set| thousands(set.labels.len()));
    let tested_on = config.tested_on();
    let folder = config.data.display();
    console.line(&summary(network))?;
    console.line(&format!("{folder}: {train} training and {test} {tested_on} images"))?;
    console.line(&format!("{cpu} cpu, {} threads", threads()))
}

/// Puts the files that an earlier run left into a folder of their own, so that none of them is
/// taken for this run's if this one does not end; and removes what a killed one has half-written.
/// Returns that folder if there was anything for it.
fn set_aside(folder: &Path) -> Result<Option<PathBuf>> {
    let own = format!(".{}.partial", std::process::id());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = FILES.iter().any(|file| name.starts_with(file)) && name.ends_with(".partial");
        if is_ours && !name.ends_with(&own) {
            let _ = fs::remove_file(entry.path()); // it does no harm
        }
    }
    let before = folder.join(BEFORE);
    let earlier = || FILES.iter().filter(|file| folder.join(file).is_file());
    if earlier().next().is_none() {
        return Ok(None);
    }
    let _ = fs::remove_dir_all(&before);
    let moved = fs::create_dir(&before).and_then(|()| {
        earlier().try_for_each(|file| fs::rename(folder.join(file), before.join(file)))
    });
    moved.map_err(|error| Error::writing(&before, &error))?;
    Ok(Some(before))
}

/// Trains with all cores, showing a line for each epoch and, on a terminal, one that is live.
fn train(config: &Config, trainer: Trainer, data: &Data, console: &mut Console) -> Result<Trained> {
    let count = data.train.labels.len();
    let tested_on = config.tested_on();
    let width = tested_on.len().max(6);
    console.line(&format!(
        "running accuracy: each batch before its step; {tested_on} accuracy: after the epoch"
    ))?;
    console
        .line(&format!("epoch  learning rate  mean loss  running  {tested_on:>width$}  seconds"))?;
    let start = Instant::now();
    let mut kept = Instant::now();
    let mut history = Vec::new();
    training::fit(trainer, &data.test, &mut |event| match event {
        Event::Epoch(e, network) => {
            history.push(*e);
            if kept.elapsed() >= KEEP && e.epoch < config.epochs {
                // A full disk is told at the end, unless there is room by then.
                save_unfinished(config, data, network, &history).ok();
                kept = Instant::now();
            }
            console.line(&format!(
                "{:5}  {:>13}  {:9.5}  {:7.4}  {:width$.4}  {:7.2}",
                e.epoch,
                rate(e.learning_rate),
                e.loss,
                e.running_accuracy,
                e.test_accuracy,
                e.seconds
            ))
        }
        Event::Batch { epoch, images } => console.live(|| {
            let done = (epoch - 1) * count + images;
            let rate = done as f64 / start.elapsed().as_secs_f64();
            let eta = duration((config.epochs * count - done) as f64 / rate);
            let images = thousands(images);
            let total = thousands(count);
            let rate = thousands(rate as usize);
            format!(
                "epoch {epoch} of {}, ETA {eta}: {images} of {total} images, {rate}/s",
                config.epochs
            )
        }),
    })
}

/// Trains with each of the seeds, as many at once as there are cores. Returns what the first seed
/// gave, and the runs of all.
fn train_seeds(config: &Config, data: &Data, console: &mut Console) -> Result<(Trained, Vec<Run>)> {
    let seeds = config.seed..=config.seed + (config.seeds - 1);
    let experiment = Experiment { name: "get_config", config: config.clone(), seeds, reported: "" };
    let mut first = None;
    let mut runs = Vec::new();
    sweep::sweep(&[experiment], data, threads(), console, |run, trained| {
        if run.seed == config.seed {
            // As in a single run, a full disk is told at the end.
            save_unfinished(config, data, &trained.network, &trained.history).ok();
            first = Some(trained);
        }
        runs.push(run);
        Ok(vec![])
    })?;
    runs.sort_by_key(|run| run.seed);
    Ok((first.expect("every seed has ended"), runs))
}

/// Writes the history, the curves, the weights and the report into the output folder: those of
/// `trained`, and the curves of all `runs` where there are several.
///
/// # Errors
/// What the disk says.
pub fn save(config: &Config, data: &Data, trained: &Trained, runs: &[Run]) -> Result<()> {
    let mut accuracies = accuracies(config, data, trained).to_vec();
    if !runs.is_empty() {
        accuracies.extend(means(config, runs));
    }
    let (history, curves, weights) =
        files(config, data, &trained.network, &trained.history, runs, &accuracies);
    let images = &data.train.images;
    let deformer =
        |strengths| Deformer::new(strengths, config.seed, Cpu::best(), images.rows, images.columns);
    let deformer = config.deformation.map(deformer).transpose()?;
    let examples = deformer.map_or(vec![], |mut deformer| deformer.examples(images));
    let report = report::html(config, &accuracies, &curves, &weights, data, &examples, trained);
    write(config, &[history.as_bytes(), curves.as_bytes(), &weights, report.as_bytes()])
}

/// Writes the history, the curves and the weights of a run that has not ended; each says so.
///
/// # Errors
/// What the disk says.
pub fn save_unfinished(
    config: &Config,
    data: &Data,
    network: &Network,
    history: &[Epoch],
) -> Result<()> {
    let done = match config.seeds {
        1 => format!("{} of {} epochs", history.len(), config.epochs),
        seeds => format!("one of {seeds} seeds"),
    };
    let facts = [("unfinished", done)];
    let (history, curves, weights) = files(config, data, network, history, &[], &facts);
    write(config, &[history.as_bytes(), curves.as_bytes(), &weights])
}

/// The content of the first three of [`FILES`]; the weights file also has these `facts`.
fn files(
    config: &Config,
    data: &Data,
    network: &Network,
    history: &[Epoch],
    runs: &[Run],
    facts: &[(&'static str, String)],
) -> (String, String, Vec<u8>) {
    let Config { initialisation, schedule, epochs, .. } = *config;
    let done = history.len();
    let mut title = format!("{initialisation:?} initialisation, {schedule:?} schedule");
    let mut curves: Vec<[Vec<f64>; 2]> = runs
        .iter()
        .map(|run| [run.running_accuracies.clone(), run.test_accuracies.clone()])
        .collect();
    if runs.is_empty() {
        let column = |accuracy: fn(&Epoch) -> f64| history.iter().map(accuracy).collect();
        curves.push([column(|epoch| epoch.running_accuracy), column(|epoch| epoch.test_accuracy)]);
    } else {
        title += &format!(": mean ± standard deviation of {} seeds", runs.len());
    }
    if done < epochs {
        title += &format!(", stopped after {done} of {epochs} epochs");
    }
    let names: Vec<String> = config.class_names.iter().map(|name| quote(name)).collect();
    let fields =
        config.fields().into_iter().chain(facts.iter().cloned()).map(|(name, text)| match name {
            "class_names" => (name.into(), format!("[{}]", names.join(","))),
            _ => (name.replace([' ', '-'], "_"), text),
        });
    let image_size = (data.test.images.rows, data.test.images.columns);
    (
        history::csv(history, epochs, config.tested_on()),
        history::curves(&curves, config.tested_on(), title),
        weights::encode(network, image_size, &fields.collect::<Vec<_>>()),
    )
}

/// Writes these contents of [`FILES`], all of them or none.
fn write(config: &Config, contents: &[&[u8]]) -> Result<()> {
    let files =
        FILES.iter().zip(contents).map(|(name, content)| (config.output.join(name), *content));
    output::write(&files.collect::<Vec<_>>())
}

/// The coursework's three columns, each with its name.
pub fn accuracies(config: &Config, data: &Data, trained: &Trained) -> [(&'static str, String); 3] {
    let (best, epoch) = trained.best_test_accuracy();
    let [last, highest] = if config.held_out == 0 { TEST } else { HELD_OUT };
    [
        ("final train accuracy", format!("{:.4}", trained.train_accuracy)),
        (last, with_standard_error(trained.test_accuracy(), data.test.labels.len())),
        (highest, format!("{best:.4} (epoch {epoch})")),
    ]
}

/// The same three as means of several seeds, ± the standard deviation.
fn means(config: &Config, runs: &[Run]) -> [(&'static str, String); 3] {
    let mean = |accuracy: fn(&Run) -> f64| {
        let spread: Spread = runs.iter().map(accuracy).collect();
        format!("{spread} ({} seeds)", runs.len())
    };
    let [last, highest] = if config.held_out == 0 { MEAN_TEST } else { MEAN_HELD_OUT };
    [
        ("mean final train accuracy", mean(|run| run.train_accuracy)),
        (last, mean(Run::test_accuracy)),
        (highest, mean(|run| run.best_test_accuracy().0)),
    ]
}

const TEST: [&str; 2] = ["final test accuracy", "best test accuracy"];
const HELD_OUT: [&str; 2] = ["final held-out accuracy", "best held-out accuracy"];
const MEAN_TEST: [&str; 2] = ["mean final test accuracy", "mean best test accuracy"];
const MEAN_HELD_OUT: [&str; 2] = ["mean final held-out accuracy", "mean best held-out accuracy"];

/// The line about a network that has learnt next to nothing, and what to try.
fn has_not_learnt(config: &Config, trained: &Trained, images: usize) -> Option<String> {
    let probabilities = &trained.test_probabilities;
    let tests = probabilities.rows();
    let classes = probabilities.columns();
    let mut named = vec![0; classes];
    (0..tests).for_each(|i| named[usize::from(argmax(probabilities.row(i)))] += 1);
    let most = named.iter().copied().max().unwrap_or(0);
    let never = named.iter().filter(|&&count| count == 0).count();
    // That of a network which gives every class the same probability.
    let guessing = match config.loss {
        Loss::CrossEntropy => (classes as f64).ln(),
        Loss::MeanSquaredError => (classes - 1) as f64 / (classes * classes) as f64,
    };
    let loss = trained.history.last().map_or(0.0, |epoch| epoch.loss);
    let share = most as f64 / tests as f64;
    let what = if share > 0.9 {
        format!("takes {:.0} % of the images for one class", 100.0 * share)
    } else if loss > 0.95 * guessing {
        format!("has a mean loss of {loss:.2}, and {guessing:.2} is that of guessing")
    } else if never > 0 {
        format!("never names {never} of {classes} classes")
    } else {
        return None;
    };
    Some(format!("this network has not learnt: it {what};\n{}", remedy(config, images)))
}

/// What to try: the first thing in the configuration that is known to keep a network from learning.
fn remedy(config: &Config, images: usize) -> String {
    let Config { activation, loss, learning_rate, momentum, weight_decay, dropout, .. } = *config;
    let steps = config.epochs * images.div_ceil(config.batch_size);
    let scale = if loss == Loss::MeanSquaredError { 25.0 } else { 1.0 };
    let usual = scale * if activation == Activation::Sigmoid { 0.02 } else { 0.005 };
    if config.initialisation == Initialisation::Zero {
        "try initialisation: Xavier or He, with which the units of a layer differ".into()
    } else if momentum > 0.0 && learning_rate > usual * (1.0 - momentum) {
        format!(
            "try learning_rate: {:.4} with this momentum, or momentum: 0.0",
            usual * (1.0 - momentum)
        )
    } else if learning_rate > usual {
        format!("try learning_rate: {usual}")
    } else if weight_decay > 1e-3 {
        "try weight_decay: 1e-5".into()
    } else if config.hidden_layers.len() > 4 {
        "try fewer hidden_layers, or activation: ReLU with initialisation: He".into()
    } else if steps < 2000 {
        format!("try a smaller batch_size or more epochs: it has taken only {steps} steps")
    } else if dropout > 0.0 {
        "try dropout: 0.0".into()
    } else {
        "try half the learning_rate, or more epochs".into()
    }
}

/// An accuracy over `count` images, ± one binomial standard error: √(p(1 − p)/n).
pub fn with_standard_error(accuracy: f64, count: usize) -> String {
    format!("{accuracy:.4} ± {:.4}", (accuracy * (1.0 - accuracy) / count as f64).sqrt())
}
