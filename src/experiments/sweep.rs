//! Running experiments: many at once, each on one thread.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::data::Data;
use crate::error::{Error, Result};
use crate::experiments::runs::Run;
use crate::experiments::{Experiment, in_experiment};
use crate::math::kernel::Kernel;
use crate::output::progress::{Console, duration};
use crate::training::{self, Event, Trainer};

/// An experiment and the seed to run it with.
type Job<'a> = (&'a Experiment, u64);

/// What a worker tells of a run, by its name: that it has ended, and how, or else that one of its epochs has.
type Message = (String, Option<(Result<Run>, Duration)>);

/// Runs each of `experiments` with each of `seeds`, `workers` runs at a time, the longest first so that the workers end
/// together. When a run ends it gets a line on the console, and `save` is given all runs that have ended so far.
/// Nothing but the seconds and the order depends on `workers`.
///
/// # Errors
/// Those of `save` and of the console, at once. A run that fails does not keep the others from ending: after them, the
/// first such error, which names the run.
pub fn sweep(
    experiments: &[&Experiment],
    seeds: RangeInclusive<u64>,
    data: &Data,
    workers: usize,
    console: &mut Console,
    mut save: impl FnMut(&[Run]) -> Result<()>,
) -> Result<()> {
    let mut jobs: Vec<Job> = seeds.flat_map(|seed| experiments.iter().map(move |&e| (e, seed))).collect();
    // Dropout draws a number for each unit, which takes longer than anything else that an experiment adds.
    jobs.sort_by_key(|(experiment, _)| Reverse((experiment.config.epochs, experiment.config.dropout > 0.0)));
    let width = jobs.iter().map(|job| job.0.name.len()).max().unwrap_or(0).max("experiment".len());
    console.line(&format!("{:width$}  seed   train    test  best (epoch)  seconds", "experiment"))?;
    let (start, all, queue) = (Instant::now(), jobs.len(), Mutex::new(jobs.iter().copied()));
    let all_epochs: usize = jobs.iter().map(|job| job.0.config.epochs).sum();
    let (mut epochs, mut done, mut running, mut runs, mut failure) = (0, 0, Vec::new(), Vec::new(), None);
    thread::scope(|scope| {
        // When this closure returns, the receiver is gone, and the workers end with their epoch.
        let (sender, receiver) = mpsc::channel();
        for _ in 0..workers.min(all) {
            let (queue, sender) = (&queue, sender.clone());
            thread::Builder::new().spawn_scoped(scope, move || work(queue, data, &sender)).map_err(|error| {
                let expected = format!("{workers} threads, one for each core");
                Error::new("the system", format!("no more threads: {error}"), expected, "stop other programs")
            })?;
        }
        drop(sender);
        for (name, ended) in receiver {
            if ended.is_some() {
                done += 1;
                running.retain(|other| *other != name);
            }
            match ended {
                None => {
                    epochs += 1;
                    running.extend((!running.contains(&name)).then_some(name));
                }
                Some((Ok(run), took)) => {
                    let Run { experiment, seed, train_accuracy: train, .. } = &run;
                    let (test, (best, epoch), seconds) =
                        (run.test_accuracy(), run.best_test_accuracy(), took.as_secs_f64());
                    let line = format!(
                        "{experiment:width$}  {seed:4}  {train:6.4}  {test:6.4}  {best:.4} ({epoch:3})  {seconds:7.1}"
                    );
                    runs.push(run);
                    save(&runs)?;
                    console.line(&line)?;
                }
                Some((Err(error), _)) => {
                    console.line(&format!("{name} failed"))?;
                    failure.get_or_insert(error);
                }
            }
            console.live(|| {
                let left = start.elapsed().as_secs_f64() / epochs.max(1) as f64 * (all_epochs - epochs) as f64;
                format!("{done} of {all} runs done, ETA {}, now {}", duration(left), running.join(", "))
            })?;
        }
        Ok(())
    })?;
    // A line that stays, so that the live one does not.
    console.line(&format!("{done} of {all} runs in {}", duration(start.elapsed().as_secs_f64())))?;
    failure.map_or(Ok(()), Err)
}

/// Takes jobs until there is none left, or nobody who wants to know.
fn work<'a>(queue: &Mutex<impl Iterator<Item = Job<'a>>>, data: &Data, sender: &Sender<Message>) {
    let next = || queue.lock().ok()?.next();
    while let Some((experiment, seed)) = next() {
        let (start, name) = (Instant::now(), format!("{} seed {seed}", experiment.name));
        let tell = |ended| sender.send((name.clone(), ended)).map_err(|_| Error::ClosedPipe);
        let run = train(experiment, seed, data, || tell(None));
        let run = run.map_err(|error| in_experiment(error, &format!("{name}: ")));
        if tell(Some((run, start.elapsed()))).is_err() {
            break;
        }
    }
}

/// One run on this thread. `epoch` is called after each of its epochs.
fn train(experiment: &Experiment, seed: u64, data: &Data, epoch: impl Fn() -> Result<()>) -> Result<Run> {
    let config = Config { seed, ..experiment.config.clone() };
    let trainer = Trainer::new(&config, &data.train, Kernel::best())?;
    let trained = training::train(trainer, &data.test, 1, &mut |event| match event {
        Event::Batch { .. } => Ok(()),
        Event::Epoch(_) => epoch(),
    })?;
    Ok(Run {
        experiment: experiment.name.into(),
        configuration: experiment.configuration(),
        seed,
        train_accuracy: trained.train_accuracy,
        running_accuracies: trained.history.iter().map(|epoch| epoch.running_accuracy).collect(),
        test_accuracies: trained.history.iter().map(|epoch| epoch.test_accuracy).collect(),
    })
}
