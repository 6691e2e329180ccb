//! Running experiments: many at once, each on one thread, each leaving its files as soon as it has ended.

use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::data::Data;
use crate::error::{Error, Result};
use crate::experiments::Experiment;
use crate::experiments::runs::{Epoch, Run};
use crate::math::kernel::Kernel;
use crate::output::progress::{Console, duration};
use crate::training::{self, Event, Trainer};

/// How often the live line is drawn where nothing happens.
const TICK: Duration = Duration::from_millis(500);
/// The columns that the live line may take: those of a terminal that nobody has made wider.
const LINE: usize = 79;

/// An experiment with one of its seeds.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// The seed.
    pub seed: u64,
}

impl Job<'_> {
    fn name(self) -> String {
        format!("{} seed {}", self.experiment.name, self.seed)
    }

    /// Trains the network. `epoch` is called after each epoch.
    fn run(self, data: &Data, epoch: impl Fn() -> Result<()>) -> Result<Run> {
        let config = Config { seed: self.seed, ..self.experiment.config.clone() };
        let start = Instant::now();
        let trainer = Trainer::new(&config, &data.train, Kernel::best());
        let trained = trainer.and_then(|trainer| {
            training::train(trainer, &data.test, 1, &mut |event| match event {
                Event::Batch { .. } => Ok(()),
                Event::Epoch(_) => epoch(),
            })
        });
        let trained = trained.map_err(|error| match error {
            Error::Problem { place, found, expected, next } => {
                Error::new(format!("{}: {place}", self.name()), found, expected, next)
            }
            Error::ClosedPipe => error,
        })?;
        let epochs = trained.history.iter().map(|epoch| Epoch {
            learning_rate: epoch.learning_rate.into(),
            loss: epoch.loss,
            train_accuracy: epoch.running_accuracy,
            test_accuracy: epoch.test_accuracy,
        });
        Ok(Run {
            experiment: self.experiment.name.into(),
            seed: self.seed,
            train_accuracy: trained.train_accuracy,
            seconds: start.elapsed().as_secs_f64(),
            history: epochs.collect(),
        })
    }
}

/// What a worker tells of the job of that number.
enum Message {
    Begins(usize),
    Epoch,
    Ended(usize, Result<Run>),
}

/// Runs all `jobs`, `workers` at a time, the longest first so that the workers end together, and writes the files of each
/// into `folder` when it ends, with a line that stays. Nothing but the seconds depends on `workers`.
///
/// # Errors
/// What the disk or standard output says, at once. A run that fails does not keep the others from ending: after them,
/// the first such error, which names the run.
pub fn sweep(jobs: &[Job], data: &Data, folder: &Path, workers: usize) -> Result<()> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    // Dropout draws a number for each unit, which takes longer than anything else a row adds.
    let effort = |job: Job| (job.experiment.config.epochs, job.experiment.config.dropout > 0.0);
    order.sort_by_key(|&i| std::cmp::Reverse(effort(jobs[i])));
    let queue = Mutex::new(order.into_iter());
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..workers.min(jobs.len()) {
            let (queue, sender) = (&queue, sender.clone());
            thread::Builder::new().spawn_scoped(scope, move || work(jobs, queue, data, &sender)).map_err(|error| {
                Error::new(
                    "--workers",
                    format!("a thread that the system refuses ({error})"),
                    "as many as it gives",
                    "lower it",
                )
            })?;
        }
        drop(sender);
        // When this returns, the receiver is gone, and the workers end with their epoch.
        collect(jobs, receiver, folder)
    })
}

/// Takes jobs until there is none left, or nobody who wants to know.
fn work(jobs: &[Job], queue: &Mutex<impl Iterator<Item = usize>>, data: &Data, sender: &Sender<Message>) {
    let tell = |message| sender.send(message).map_err(|_| Error::ClosedPipe);
    let next = || queue.lock().ok()?.next();
    while let Some(i) = next() {
        let told = tell(Message::Begins(i)).and_then(|()| {
            let run = jobs[i].run(data, || tell(Message::Epoch));
            tell(Message::Ended(i, run))
        });
        if told.is_err() {
            break;
        }
    }
}

/// Writes what the workers have done, and shows how far they are.
fn collect(jobs: &[Job], receiver: Receiver<Message>, folder: &Path) -> Result<()> {
    let mut console = Console::stdout();
    let width = jobs.iter().map(|job| job.experiment.name.len()).max().unwrap_or(0).max("experiment".len());
    console.line(&format!("{:width$}  seed   train    test  best (epoch)  seconds", "experiment"))?;
    let start = Instant::now();
    let all_epochs: usize = jobs.iter().map(|job| job.experiment.config.epochs).sum();
    let (mut epochs, mut done, mut failure) = (0, 0, None);
    let mut running: Vec<usize> = Vec::new();
    loop {
        match receiver.recv_timeout(TICK) {
            Ok(Message::Begins(i)) => running.push(i),
            Ok(Message::Epoch) => epochs += 1,
            Ok(Message::Ended(i, run)) => {
                running.retain(|&other| other != i);
                done += 1;
                match run {
                    Ok(run) => {
                        run.write(folder)?;
                        let (best, epoch) = run.best_test_accuracy();
                        console.line(&format!(
                            "{:width$}  {:4}  {:6.4}  {:6.4}  {best:.4} ({epoch:3})  {:7.1}",
                            run.experiment,
                            run.seed,
                            run.train_accuracy,
                            run.test_accuracy(),
                            run.seconds
                        ))?;
                    }
                    Err(error) => {
                        console.line(&format!("{} failed", jobs[i].name()))?;
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
            let name = |&i: &usize| format!("{}-{}", jobs[i].experiment.name, jobs[i].seed);
            progress(done, jobs.len(), &eta, &running.iter().map(name).collect::<Vec<_>>())
        })?;
    }
    // A line that stays, so that the live one does not.
    console.line(&format!("{done} of {} runs in {}", jobs.len(), duration(start.elapsed().as_secs_f64())))?;
    failure.map_or(Ok(()), Err)
}

/// The live line, with as many of the names of what is running as it has room for, at least one.
fn progress(done: usize, all: usize, eta: &str, running: &[String]) -> String {
    let line = |shown: usize| {
        let more = match running.len() - shown {
            0 => String::new(),
            more => format!(" +{more}"),
        };
        format!("{done} of {all} runs done, ETA {eta}, now {}{more}", running[..shown].join(", "))
    };
    let fits = |shown: &usize| line(*shown).chars().count() <= LINE;
    line((1..=running.len()).rev().find(fits).unwrap_or(running.len().min(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_line_names_what_it_has_room_for() {
        let names = |count| (1..=count).map(|seed| format!("normal-cosine-dropout-0.2-{seed}")).collect::<Vec<_>>();
        let line = |count| progress(159, 170, "58 min 03 s", &names(count));
        assert_eq!(line(0), "159 of 170 runs done, ETA 58 min 03 s, now ");
        assert_eq!(line(1), "159 of 170 runs done, ETA 58 min 03 s, now normal-cosine-dropout-0.2-1");
        assert_eq!(line(2), "159 of 170 runs done, ETA 58 min 03 s, now normal-cosine-dropout-0.2-1 +1");
        let short = progress(1, 2, "1 s", &["a".into(), "b".into(), names(1).remove(0), names(1).remove(0)]);
        assert_eq!(short, "1 of 2 runs done, ETA 1 s, now a, b, normal-cosine-dropout-0.2-1 +1");
    }
}
