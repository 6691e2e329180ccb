//! A training run as a person sees it: what is checked before, shown during and left behind after it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use crate::config::Config;
use crate::data::Data;
use crate::data::deformation::Deformer;
use crate::error::{Error, Result};
use crate::math::kernel::Kernel;
use crate::output::progress::{Console, duration, thousands};
use crate::output::{self, history, report, weights};
use crate::training::{self, Event, Trained, Trainer};

/// A run from the files to what it leaves: loads the data, trains, saves what came of it and sums it up.
///
/// # Errors
/// Those of all that it does.
pub fn run(config: &Config, console: &mut Console) -> Result<()> {
    config.validate()?; // whose messages come before those that follow from a wrong value
    let data = Data::load(&config.data, config.classes)?.upright(config.transposed);
    let trained = train(config, &data, console)?;
    let saved = save(config, &data, &trained);
    for (what, accuracy) in accuracies(&data, &trained) {
        console.line(&format!("{what} {accuracy}"))?; // even where there is no room to save it
    }
    saved.and_then(|files| console.line(&files))
}

/// The arguments of the command, after its name. One that is not Unicode is shown as far as it is.
pub fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned())
}

/// Refuses arguments where a command takes none.
///
/// # Errors
/// If there is one.
pub fn no_arguments() -> Result<()> {
    arguments().next().map_or(Ok(()), |argument| {
        let next = "change get_config in src/main.rs and run it again";
        Err(Error::new("the arguments", argument, "none", next))
    })
}

/// How many threads this machine can run at once.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Trains with the fastest kernel and all cores, showing a line for each epoch and, on a terminal, one that is live.
fn train(config: &Config, data: &Data, console: &mut Console) -> Result<Trained> {
    let (threads, count) = (threads(), data.train.labels.len());
    let kernel = Kernel::best().on_threads(threads);
    let trainer = Trainer::new(config, &data.train, kernel)?;
    output::prepare(&config.output).map_err(|error| error.within("output in get_config"))?; // before the work whose result it is to hold
    let (images, tests) = (thousands(count), thousands(data.test.labels.len()));
    console.line(&format!("{images} training and {tests} test images; {kernel} kernel, {threads} threads"))?;
    console.line("accuracies: running, on each batch just before it is trained on; test, after the epoch")?;
    console.line("epoch  learning rate  mean loss  running    test  seconds")?;
    let start = Instant::now();
    training::train(trainer, &data.test, &mut |event| match event {
        Event::Epoch(e) => console.line(&format!(
            "{:5}  {:13.6}  {:9.5}  {:7.4}  {:6.4}  {:7.2}",
            e.epoch, e.learning_rate, e.loss, e.running_accuracy, e.test_accuracy, e.seconds
        )),
        Event::Batch { epoch, images } => console.live(|| {
            let done = (epoch - 1) * count + images;
            let rate = done as f64 / start.elapsed().as_secs_f64();
            let eta = duration((config.epochs * count - done) as f64 / rate);
            let (images, total, rate) = (thousands(images), thousands(count), thousands(rate as usize));
            format!("epoch {epoch} of {}, ETA {eta}: {images} of {total} images, {rate}/s", config.epochs)
        }),
    })
}

/// Writes the history, the curves, the weights and the report into the output folder; returns what it left there, as a line
/// to print.
///
/// # Errors
/// What the disk says.
pub fn save(config: &Config, data: &Data, trained: &Trained) -> Result<String> {
    let title = format!("{:?} initialisation, {:?} schedule", config.initialisation, config.schedule);
    let curves = history::curves(&trained.history, title);
    let (fields, accuracies) = (config.fields(), accuracies(data, trained));
    let facts = fields.iter().chain(&accuracies).map(|(name, text)| (name.replace(' ', "_"), text.clone()));
    let image_size = (data.test.images.rows, data.test.images.columns);
    let weights = weights::encode(&trained.network, image_size, &facts.collect::<Vec<_>>());
    let images = &data.train.images;
    let deformer = |strengths| Deformer::new(strengths, config.seed, Kernel::best(), images.rows, images.columns);
    let deformer = config.deformation.map(deformer).transpose()?;
    let examples = deformer.map_or(vec![], |mut deformer| deformer.examples(images));
    let report = report::html(config, &accuracies, &curves, &weights, data, &examples, trained);
    let history = history::csv(&trained.history);
    let path = |name| config.output.join(name);
    output::write(&[
        (path("history.csv"), history.as_bytes()),
        (path("curves.svg"), curves.as_bytes()),
        (path("model.safetensors"), &weights),
        (path("report.html"), report.as_bytes()),
    ])?;
    let folder = config.output.display();
    Ok(format!("{folder} has history.csv, curves.svg and model.safetensors; open {}", path("report.html").display()))
}

/// The coursework's three columns, each with its name.
pub fn accuracies(data: &Data, trained: &Trained) -> [(&'static str, String); 3] {
    let (best, epoch) = trained.best_test_accuracy();
    [
        ("final train accuracy", format!("{:.4}", trained.train_accuracy)),
        ("final test accuracy", with_standard_error(trained.test_accuracy(), data.test.labels.len())),
        ("best test accuracy", format!("{best:.4} (epoch {epoch})")),
    ]
}

/// An accuracy over `count` images, ± one binomial standard error: √(p(1 − p)/n).
pub fn with_standard_error(accuracy: f64, count: usize) -> String {
    format!("{accuracy:.4} ± {:.4}", (accuracy * (1.0 - accuracy) / count as f64).sqrt())
}

/// What a command ends with: 0, or 1 after one message on standard error. A closed pipe is no failure: its reader has
/// seen what it wanted.
pub fn exit_code(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) | Err(Error::ClosedPipe) => ExitCode::SUCCESS,
        Err(problem) => {
            // Where standard error is closed too, there is nobody left to tell.
            let _ = writeln!(io::stderr(), "error: {problem}");
            ExitCode::FAILURE
        }
    }
}
