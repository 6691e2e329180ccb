//! How the learning rate of the mean squared error was chosen, and that it is the one chosen.
//!
//! The test set takes no part in it: the last 10,000 training images are held out, the others are trained on, with
//! seeds that no experiment has. Made again with
//! `cargo test --release --test all learning_rates -- --ignored --nocapture`, which takes some minutes.

use std::fs;
use std::path::Path;

use mnist_mlp::config::Config;
use mnist_mlp::data::{Data, Dataset, Images};
use mnist_mlp::experiments::runs;
use mnist_mlp::experiments::sweep::{self, Job};
use mnist_mlp::experiments::{self, Experiment};
use mnist_mlp::output;
use mnist_mlp::session;

const TABLE: &str = "results/learning-rates.csv";
const HEADER: &str = "loss,learning_rate,mean_accuracy,least_accuracy,greatest_accuracy";
const HELD_OUT: usize = 10_000;
const SEEDS: [u64; 3] = [101, 102, 103];
/// Experiment and rates. Of cross-entropy too, so that neither loss has a rate that suits it worse.
const RATES: [(&str, &[f32]); 2] =
    [("xavier-constant", &[0.01, 0.02, 0.05, 0.1]), ("xavier-constant-mse", &[0.2, 0.5, 1.0, 2.0, 5.0])];

#[test]
#[ignore = "minutes of training; writes results/learning-rates.csv"]
fn scan() {
    let all = experiments::all();
    let data = held_out(Data::load(Path::new("raw_data"), 10).expect("the data"));
    let mut table = format!("{HEADER}\n");
    for (name, rates) in RATES {
        let experiment = experiments::find(&all, name).expect("a row");
        for &learning_rate in rates {
            let config = Config { learning_rate, ..experiment.config.clone() };
            let experiment = Experiment { config, ..experiment.clone() };
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rate-{learning_rate}"));
            let jobs = SEEDS.map(|seed| Job { experiment: &experiment, seed });
            sweep::sweep(&jobs, &data, &folder, session::threads()).expect("a sweep");
            let runs = runs::read_all(&folder, &[name]).expect("the runs");
            let accuracies: Vec<f64> = runs.iter().map(|run| run.test_accuracy()).collect();
            let (least, greatest) = accuracies.iter().fold((1.0_f64, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
            let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
            table += &format!("{:?},{learning_rate},{mean:.4},{least:.4},{greatest:.4}\n", experiment.config.loss);
        }
    }
    output::write_whole(Path::new(TABLE), table.as_bytes()).expect("the table");
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

#[test]
fn the_rates_are_the_best_of_the_scan() {
    let table = fs::read_to_string(TABLE).expect("the committed scan");
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let number = |text: &str| text.parse::<f32>().expect("a number");
    for (experiment, loss) in [("xavier-constant", "CrossEntropy"), ("xavier-constant-mse", "MeanSquaredError")] {
        let of_loss = rows.iter().filter(|row| row[0] == loss);
        let best = of_loss.max_by(|a, b| number(a[2]).total_cmp(&number(b[2]))).expect("a row");
        let chosen = experiments::find(&experiments::all(), experiment).expect("a row").config.learning_rate;
        assert_eq!(chosen, number(best[1]), "{loss}");
    }
}
