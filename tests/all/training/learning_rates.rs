//! Which learning rate suits which configuration.
//!
//! The test set takes no part in it: the last 10,000 training images are held out, the others are trained on, with
//! seeds that no experiment has. Made again with
//! `cargo test --release --test all learning_rates -- --ignored --nocapture`, which takes some minutes.

use std::path::Path;

use mnist_mlp::config::Config;
use mnist_mlp::data::{Data, Dataset, Images};
use mnist_mlp::experiments::runs::Run;
use mnist_mlp::experiments::statistics::Spread;
use mnist_mlp::experiments::{self, Experiment, sweep};
use mnist_mlp::network::activation::Activation::{ReLU, SiLU, Sigmoid, Tanh};
use mnist_mlp::network::layer::Initialisation::{He, Xavier};
use mnist_mlp::output;
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;

const TABLE: &str = "results/learning-rates.csv";
const HEADER: &str = "configuration,learning_rate,mean_accuracy,least_accuracy,greatest_accuracy";
const HELD_OUT: usize = 10_000;

#[test]
#[ignore = "minutes of training; writes results/learning-rates.csv"]
fn scan() {
    let all = experiments::all();
    let row = |name| experiments::find(&all, name).expect("a row").config.clone();
    let shipped = |activation, initialisation| Config { activation, initialisation, ..Config::default() };
    // What is to be scanned, a line each: its name in the table, its configuration, the rates.
    let scans: [(&str, Config, &[f32]); 6] = [
        ("xavier-constant", row("xavier-constant"), &[0.01, 0.02, 0.05, 0.1]),
        ("xavier-constant-mse", row("xavier-constant-mse"), &[0.2, 0.5, 1.0, 2.0, 5.0]),
        ("sigmoid", shipped(Sigmoid, Xavier), &[0.01, 0.02, 0.05, 0.1]),
        ("tanh", shipped(Tanh, Xavier), &[0.001, 0.002, 0.005, 0.01, 0.02]),
        ("relu-he", shipped(ReLU, He), &[0.001, 0.002, 0.005, 0.01, 0.02]),
        ("silu-he", shipped(SiLU, He), &[0.001, 0.002, 0.005, 0.01, 0.02]),
    ];
    let data = held_out(Data::load(Path::new("raw_data"), 10).expect("the data"));
    let mut table = format!("{HEADER}\n");
    for (name, config, rates) in scans {
        for &learning_rate in rates {
            let config = Config { learning_rate, ..config.clone() };
            let mut accuracies = Vec::new();
            let save = |runs: &[Run]| {
                accuracies = runs.iter().map(Run::test_accuracy).collect();
                Ok(())
            };
            let experiment = Experiment { name, config, reported: "" };
            sweep::sweep(&[&experiment], 101..=103, &data, session::threads(), &mut Console::stdout(), save).ok();
            accuracies.resize(3, 0.0); // training that diverges counts as 0
            let (least, greatest) = accuracies.iter().fold((1.0_f64, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
            let mean = accuracies.into_iter().collect::<Spread>().mean;
            table += &format!("{name},{learning_rate},{mean:.4},{least:.4},{greatest:.4}\n");
        }
    }
    output::write(&[(TABLE, table.as_bytes())]).expect("the table");
}

/// The training set alone, its last images in the place of the test set.
fn held_out(data: Data) -> Data {
    let Dataset { images: Images { rows, columns, pixels }, labels } = data.train;
    let kept = labels.len() - HELD_OUT;
    let (pixels, held_out) = pixels.split_at(kept * rows * columns);
    let set = |pixels: &[u8], labels: &[u8]| Dataset {
        images: Images { rows, columns, pixels: pixels.into() },
        labels: labels.into(),
    };
    Data { train: set(pixels, &labels[..kept]), test: set(held_out, &labels[kept..]) }
}
