//! Running experiments: many at once, each on one thread.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::data::Data;
use crate::error::{Error, Result};
use crate::experiments::runs::Run;
use crate::experiments::{Experiment, not_of_main};
use crate::math::kernel::Kernel;
use crate::output::progress::{Console, duration};
use crate::training::{self, Event};

/// How often the live line is drawn while nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// The columns that the live line may take: those of a terminal that nobody has made wider.
const COLUMNS: usize = 79;

/// An experiment with one of its seeds.
#[derive(Clone, Copy)]
struct Job<'a> {
    experiment: &'a Experiment,
    seed: u64,
}

/// What a worker tells of a job.
enum Message<'a> {
    Begins(Job<'a>),
    Epoch,
    Ended(Job<'a>, Result<Run>, Duration),
}

/// Runs each of `experiments` with each of `seeds`, `workers` runs at a time, the longest first so that the workers end
/// together. When a run ends it gets a line on standard output, and `save` is given all runs that have ended so far.
/// Nothing but the seconds and the order depends on `workers`.
///
/// # Errors
/// What `save` or standard output says, at once. A run that fails does not keep the others from ending: after them, the
/// first such error, which names the run.
pub fn sweep(
    experiments: &[&Experiment],
    seeds: RangeInclusive<u64>,
    data: &Data,
    workers: usize,
    save: impl FnMut(&[Run]) -> Result<()>,
) -> Result<()> {
    let of_seed = |seed| experiments.iter().map(move |experiment| Job { experiment, seed });
    let mut jobs: Vec<Job> = seeds.flat_map(of_seed).collect();
    // Dropout draws a number for each unit, which takes longer than anything else that an experiment adds.
    jobs.sort_by_key(|job| Reverse((job.experiment.config.epochs, job.experiment.config.dropout > 0.0)));
    let queue = Mutex::new(jobs.iter().copied());
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            let (queue, sender) = (&queue, sender.clone());
            thread::Builder::new().spawn_scoped(scope, move || work(queue, data, &sender)).map_err(|error| {
                let expected = format!("{workers} threads, one for each core");
                Error::new("the system", format!("no more threads: {error}"), expected, "stop other programs")
            })?;
        }
        drop(sender);
        // When this returns, the receiver is gone, and the workers end with their epoch.
        collect(&jobs, receiver, save)
    })
}

/// Takes jobs until there is none left, or nobody who wants to know.
fn work<'a>(queue: &Mutex<impl Iterator<Item = Job<'a>>>, data: &Data, sender: &Sender<Message<'a>>) {
    let tell = |message| sender.send(message).map_err(|_| Error::ClosedPipe);
    let next = || queue.lock().ok()?.next();
    while let Some(job) = next() {
        let start = Instant::now();
        let told = tell(Message::Begins(job)).and_then(|()| {
            let run = job.run(data, || tell(Message::Epoch));
            tell(Message::Ended(job, run, start.elapsed()))
        });
        if told.is_err() {
            break;
        }
    }
}

impl Job<'_> {
    fn name(self) -> String {
        format!("{} seed {}", self.experiment.name, self.seed)
    }

    /// Trains the network. `epoch` is called after each epoch.
    fn run(self, data: &Data, epoch: impl Fn() -> Result<()>) -> Result<Run> {
        let config = Config { seed: self.seed, ..self.experiment.config.clone() };
        let trained = training::train(&config, data, Kernel::best(), 1, &mut |event| match event {
            Event::Batch { .. } => Ok(()),
            Event::Epoch(_) => epoch(),
        });
        let trained = trained.map_err(|error| match not_of_main(error) {
            Error::Problem { place, found, expected, next } => {
                Error::new(format!("{}: {place}", self.name()), found, expected, next)
            }
            closed => closed,
        })?;
        Ok(Run {
            experiment: self.experiment.name.into(),
            configuration: self.experiment.configuration(),
            seed: self.seed,
            train_accuracy: trained.train_accuracy,
            running_accuracies: trained.history.iter().map(|epoch| epoch.train_accuracy).collect(),
            test_accuracies: trained.history.iter().map(|epoch| epoch.test_accuracy).collect(),
        })
    }
}

/// Saves what the workers have done, and shows how far they are.
fn collect(jobs: &[Job], receiver: Receiver<Message>, mut save: impl FnMut(&[Run]) -> Result<()>) -> Result<()> {
    let mut console = Console::default();
    let width = jobs.iter().map(|job| job.experiment.name.len()).max().unwrap_or(0).max("experiment".len());
    console.line(&format!("{:width$}  seed   train    test  best (epoch)  seconds", "experiment"))?;
    let (start, all) = (Instant::now(), jobs.len());
    let all_epochs: usize = jobs.iter().map(|job| job.experiment.config.epochs).sum();
    let (mut epochs, mut done, mut runs, mut failure) = (0, 0, Vec::new(), None);
    let mut running: Vec<String> = Vec::new();
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Message::Begins(job)) => running.push(job.name()),
            Ok(Message::Epoch) => epochs += 1,
            Ok(Message::Ended(job, run, took)) => {
                done += 1;
                running.retain(|other| *other != job.name());
                match run {
                    Ok(run) => {
                        let (Job { experiment, seed }, seconds) = (job, took.as_secs_f64());
                        let (train, test, (best, epoch)) =
                            (run.train_accuracy, run.test_accuracy(), run.best_test_accuracy());
                        runs.push(run);
                        save(&runs)?;
                        console.line(&format!(
                            "{:width$}  {seed:4}  {train:6.4}  {test:6.4}  {best:.4} ({epoch:3})  {seconds:7.1}",
                            experiment.name
                        ))?;
                    }
                    Err(error) => {
                        console.line(&format!("{} failed", job.name()))?;
                        failure = failure.or(Some(error));
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        console.live(|| {
            let eta = match epochs {
                0 => "unknown".into(),
                _ => duration(start.elapsed().as_secs_f64() / epochs as f64 * (all_epochs - epochs) as f64),
            };
            let line = format!("{done} of {all} runs done, ETA {eta}, now {}", running.join(", "));
            line.chars().take(COLUMNS).collect()
        })?;
    }
    // A line that stays, so that the live one does not.
    console.line(&format!("{done} of {all} runs in {}", duration(start.elapsed().as_secs_f64())))?;
    failure.map_or(Ok(()), Err)
}
