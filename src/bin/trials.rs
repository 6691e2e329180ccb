//! Choices that are made on training images held out: learning rates, and how the coursework's
//! network does best. The test set takes no part in them: the last 10,000 training images are held
//! out, the others are trained on, with seeds that no experiment has.

use std::path::Path;
use std::process::ExitCode;

use mnist_mlp::command;
use mnist_mlp::config::Config;
use mnist_mlp::data::Data;
use mnist_mlp::data::deformation::Deformation;
use mnist_mlp::error::{Error, Result};
use mnist_mlp::experiments::runs::Run;
use mnist_mlp::experiments::statistics::Spread;
use mnist_mlp::experiments::{self, Experiment, sweep};
use mnist_mlp::network::activation::Activation::{ReLU, SiLU, Sigmoid, Tanh};
use mnist_mlp::network::layer::Initialisation::{He, Xavier};
use mnist_mlp::output;
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;
use mnist_mlp::training::schedule::Schedule;

const HEADER: &str = "mean_accuracy,least_accuracy,greatest_accuracy";

fn main() -> ExitCode {
    command::with_arguments(|arguments| match *arguments {
        ["rates"] => learning_rates(),
        ["best"] => trials(),
        _ => {
            let found = arguments.join(" ");
            let expected = "rates, for a quarter of an hour, or best, for 90 minutes";
            Err(Error::new("the arguments", found, expected, "call it again like that"))
        }
    })
}

fn config(experiment: &str) -> Result<Config> {
    experiments::find(&experiments::all(), experiment).map(|experiment| experiment.config.clone())
}

/// Writes `results/learning-rates.csv`.
fn learning_rates() -> Result<()> {
    let shipped =
        |activation, initialisation| Config { activation, initialisation, ..Config::default() };
    // What is to be scanned, a line each: its name in the table, its configuration, the rates.
    let scans: [(&str, Config, &[f32]); 6] = [
        ("xavier-constant", config("xavier-constant")?, &[0.01, 0.02, 0.05, 0.1]),
        ("xavier-constant-mse", config("xavier-constant-mse")?, &[0.2, 0.5, 1.0, 2.0, 5.0]),
        ("sigmoid", shipped(Sigmoid, Xavier), &[0.01, 0.02, 0.05, 0.1]),
        ("tanh", shipped(Tanh, Xavier), &[0.001, 0.002, 0.005, 0.01, 0.02]),
        ("relu-he", shipped(ReLU, He), &[0.001, 0.002, 0.005, 0.01, 0.02]),
        ("silu-he", shipped(SiLU, He), &[0.001, 0.002, 0.005, 0.01, 0.02]),
    ];
    let mut rows = Vec::new();
    for (name, config, rates) in scans {
        let row = |&learning_rate: &f32| {
            (format!("{name},{learning_rate}"), Config { learning_rate, ..config.clone() })
        };
        rows.extend(rates.iter().map(row));
    }
    measure("learning-rates.csv", "configuration,learning_rate", &rows)
}

/// Writes `results/trials.csv`.
fn trials() -> Result<()> {
    let best = Config { epochs: 130, ..config("best")? };
    let wide = config("wide")?;
    let usual = Deformation::default();
    let deformed = |deformation| Config { deformation: Some(deformation), ..best.clone() };
    let scaled = |by: f32| {
        let Deformation { rotation, scale, shear, shift, elastic, smoothness } = usual;
        let [rotation, scale, shear, shift, elastic] =
            [rotation, scale, shear, shift, elastic].map(|x| x * by);
        Deformation { rotation, scale, shear, shift, elastic, smoothness }
    };
    let activation = |activation, initialisation, learning_rate| Config {
        activation,
        initialisation,
        learning_rate,
        ..best.clone()
    };
    let momentum =
        |learning_rate, config: &Config| Config { momentum: 0.9, learning_rate, ..config.clone() };
    let dropout = |dropout, config: &Config| Config {
        dropout,
        dropout_after_activation: true,
        ..config.clone()
    };
    let wide_100 = Config { epochs: 100, weight_decay: 1e-4, ..wide.clone() };
    let rows = [
        ("best", best.clone()),
        ("no deformation", Config { deformation: None, ..best.clone() }),
        ("elastic: 0", deformed(Deformation { elastic: 0.0, ..usual })),
        ("only elastic", deformed(Deformation { elastic: usual.elastic, ..scaled(0.0) })),
        ("all strengths × 0.7", deformed(scaled(0.7))),
        ("all strengths × 1.4", deformed(scaled(1.4))),
        ("smoothness: 3", deformed(Deformation { smoothness: 3.0, ..usual })),
        ("smoothness: 6", deformed(Deformation { smoothness: 6.0, ..usual })),
        ("Sigmoid with Xavier; learning_rate: 0.02", activation(Sigmoid, Xavier, 0.02)),
        ("Tanh with Xavier; learning_rate: 0.006", activation(Tanh, Xavier, 0.006)),
        ("ReLU", activation(ReLU, He, 0.006)),
        ("learning_rate: 0.003", Config { learning_rate: 0.003, ..best.clone() }),
        ("learning_rate: 0.012", Config { learning_rate: 0.012, ..best.clone() }),
        ("momentum: 0.9; learning_rate: 0.0006", momentum(0.0006, &best)),
        ("weight_decay: 0", Config { weight_decay: 0.0, ..best.clone() }),
        ("weight_decay: 1e-3", Config { weight_decay: 1e-3, ..best.clone() }),
        ("dropout: 0.05 after the activation", dropout(0.05, &best)),
        ("schedule: Step", Config { schedule: Schedule::Step, ..best.clone() }),
        (
            "batch_size: 8; learning_rate: 0.004",
            Config { batch_size: 8, learning_rate: 0.004, ..best.clone() },
        ),
        ("batch_size: 32", Config { batch_size: 32, ..best.clone() }),
        ("epochs: 65", Config { epochs: 65, ..best.clone() }),
        ("epochs: 260", Config { epochs: 260, ..best.clone() }),
        ("wide; epochs: 100", wide_100.clone()),
        ("wide; epochs: 100; momentum: 0.9; learning_rate: 0.001", momentum(0.001, &wide_100)),
        (
            "wide; epochs: 100; all strengths × 1.4",
            Config { deformation: Some(scaled(1.4)), ..wide_100.clone() },
        ),
        ("wide; epochs: 100; dropout: 0.1 after the activation", dropout(0.1, &wide_100)),
        ("wide; epochs: 300", Config { epochs: 300, ..wide_100 }),
        ("wide; epochs: 300; weight_decay: 1e-3", Config { epochs: 300, ..wide }),
    ];
    measure("trials.csv", "changed", &rows.map(|(name, config)| (name.to_string(), config)))
}

/// Trains each row with three seeds and writes the final accuracies on the images held out to
/// `results/FILE`.
fn measure(file: &str, names: &str, rows: &[(String, Config)]) -> Result<()> {
    let data = Data::load_or_hold_out(Path::new("raw_data"), 10, 10_000)?;
    let mut console = Console::stdout();
    let mut table = format!("{names},{HEADER}\n");
    for (name, config) in rows {
        let mut accuracies = Vec::new();
        let save = |run: Run, _| {
            accuracies.push(run.test_accuracy());
            Ok(vec![])
        };
        let trial =
            Experiment { name: "trial", config: config.clone(), seeds: 101..=103, reported: "" };
        sweep::sweep(&[trial], &data, session::threads(), &mut console, save).ok();
        accuracies.resize(3, 0.0); // training that diverges counts as 0
        let (least, greatest) =
            accuracies.iter().fold((1.0_f64, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
        let mean = accuracies.into_iter().collect::<Spread>().mean;
        table += &format!("{name},{mean:.4},{least:.4},{greatest:.4}\n");
        console.line(&format!("{name}: {mean:.4} ({least:.4} to {greatest:.4})"))?;
    }
    output::write(&[(Path::new("results").join(file), table.as_bytes())])
}
