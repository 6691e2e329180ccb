//! Running experiments: many at once, each on one thread.

use std::cmp::Reverse;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::config::Config;
use crate::data::Data;
use crate::error::Result;
use crate::experiments::Experiment;
use crate::experiments::runs::Run;
use crate::math::kernels::Cpu;
use crate::output::progress::{Console, duration};
use crate::training::{self, Event, Trained, Trainer};

/// What happens to a run, to be shown.
enum News {
    Begins,
    Epoch,
    /// It has ended, after these seconds.
    Ended(Result<Box<(Run, Trained)>>, f64),
}

/// Runs each of `experiments` with its seeds, `workers` runs at a time, the longest first so that
/// the workers end together. When a run ends, `save` is given it with its network, and returns
/// lines for the console, where it gets one too. Nothing but the seconds and the order depends on
/// `workers`.
///
/// # Errors
/// Those of `save` and of the console, at once. A run that fails does not keep the others from
/// ending: after them, the first such error, which names the run.
pub fn sweep(
    experiments: &[Experiment],
    data: &Data,
    workers: usize,
    console: &mut Console,
    mut save: impl FnMut(Run, Trained) -> Result<Vec<String>> + Send,
) -> Result<()> {
    let mut jobs: Vec<(&Experiment, u64)> = experiments
        .iter()
        .flat_map(|experiment| experiment.seeds.clone().map(move |seed| (experiment, seed)))
        .collect();
    // Dropout draws a number for each unit, which takes longer than anything else that these
    // experiments add.
    jobs.sort_by_key(|(experiment, seed)| {
        (Reverse((experiment.config.epochs, experiment.config.dropout > 0.0)), *seed)
    });
    let width = jobs.iter().map(|job| job.0.name.len()).max().unwrap_or(0).max("experiment".len());
    let tested_on = experiments.first().map_or("test", |experiment| experiment.config.tested_on());
    let test_width = tested_on.len().max(6);
    console.line(&format!(
        "{:width$}  seed   train  {tested_on:>test_width$}  best (epoch)  seconds",
        "experiment"
    ))?;
    let start = Instant::now();
    let all = jobs.len();
    let all_epochs = jobs.iter().map(|job| job.0.config.epochs).sum::<usize>();
    let mut done = 0;
    let mut epochs = 0;
    let mut running = Vec::new();
    let mut failure = Ok(());
    let mut stop = Ok(());
    let mut show = |name: &str, news| match news {
        News::Begins => {
            running.push(name.to_string());
            Ok(())
        }
        News::Epoch => {
            epochs += 1;
            console.live(|| {
                let eta =
                    start.elapsed().as_secs_f64() / epochs as f64 * (all_epochs - epochs) as f64;
                format!(
                    "{done} of {all} runs done, ETA {}, now {}",
                    duration(eta),
                    running.join(", ")
                )
            })
        }
        News::Ended(run, seconds) => {
            done += 1;
            running.retain(|other| other != name);
            let line = match run {
                Ok(ended) => {
                    let (run, trained) = *ended;
                    let Run { experiment, seed, train_accuracy, .. } = &run;
                    let test = run.test_accuracy();
                    let (best, epoch) = run.best_test_accuracy();
                    let line = format!(
                        "{experiment:width$}  {seed:4}  {train_accuracy:6.4}  \
                         {test:test_width$.4}  {best:.4} ({epoch:3})  {seconds:7.1}"
                    );
                    save(run, trained)?.iter().try_for_each(|line| console.line(line))?;
                    line
                }
                Err(error) => {
                    failure = failure.clone().and(Err(error.within(name)));
                    format!("{name} failed")
                }
            };
            console.line(&line)
        }
    };
    // For one worker at a time; after the first error none shows anything more.
    let show = Mutex::new(|name: &str, news| {
        stop = stop.clone().and_then(|()| show(name, news));
        stop.clone()
    });
    let show = |name: &str, news| (show.lock().unwrap_or_else(PoisonError::into_inner))(name, news);
    Cpu::best().on_threads(workers).each(jobs.into_iter(), |(experiment, seed)| {
        let start = Instant::now();
        let name = format!("{} seed {seed}", experiment.name);
        let run = show(&name, News::Begins)
            .and_then(|()| train(experiment, seed, data, || show(&name, News::Epoch)));
        show(&name, News::Ended(run, start.elapsed().as_secs_f64())).ok(); // kept in `stop`
    });
    stop?;
    // A line that stays, so that the live one does not.
    console
        .line(&format!("{done} of {all} runs in {}", duration(start.elapsed().as_secs_f64())))?;
    failure
}

/// One run on this thread. `epoch` is called after each of its epochs.
fn train(
    experiment: &Experiment,
    seed: u64,
    data: &Data,
    epoch: impl Fn() -> Result<()>,
) -> Result<Box<(Run, Trained)>> {
    let config = Config { seed, ..experiment.config.clone() };
    let trainer = Trainer::new(&config, &data.train, Cpu::best())?;
    let trained = training::fit(trainer, &data.test, &mut |event| match event {
        Event::Batch { .. } => Ok(()),
        Event::Epoch(..) => epoch(),
    })?;
    let run = Run {
        experiment: experiment.name.into(),
        configuration: experiment.configuration(),
        seed,
        train_accuracy: trained.train_accuracy,
        running_accuracies: trained.history.iter().map(|epoch| epoch.running_accuracy).collect(),
        test_accuracies: trained.history.iter().map(|epoch| epoch.test_accuracy).collect(),
    };
    Ok(Box::new((run, trained)))
}
