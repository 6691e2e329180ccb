//! The fast program against the plain one, `src/bin/tiny.rs`: the same training, but for rounding.

use std::io;
use std::path::Path;

use crate::common::{MNIST, first, parameters, plain_config};
use crate::tiny;
use mnist_mlp::config::Config;
use mnist_mlp::math::kernels::Cpu;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::network::loss::Loss;
use mnist_mlp::output::progress::Console;
use mnist_mlp::training::Trainer;
use mnist_mlp::training::schedule::Schedule;

/// Trains both on the first `count` images; checks that no weight, bias or mean loss differs by
/// more than `tolerance`, and that training has changed the weights by far more.
fn compare(
    config: &Config,
    (images, labels): &(Vec<Vec<f32>>, Vec<u8>),
    count: usize,
    tolerance: f64,
) {
    let set = first(count, &MNIST.train);
    let mut trainer = Trainer::new(config, &set, Cpu::best()).unwrap();
    let before = parameters(&trainer.network);
    let losses = (0..config.epochs).map(|_| trainer.train_epoch(|_| Ok(())).unwrap().1);
    let loss = losses.sum::<f64>() / config.epochs as f64;

    let set = (images[..count].to_vec(), labels[..count].to_vec());
    let mut out = Console::new(Box::new(io::sink()), false);
    let (layers, plain_loss) = tiny::train(config, &set, &mut out).unwrap();
    let plain: Vec<f32> = layers
        .iter()
        .flat_map(|layer| [layer.weight.concat(), layer.bias.clone()].concat())
        .collect();

    let largest = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
    };
    let difference = largest(&parameters(&trainer.network), &plain);
    let change = largest(&parameters(&trainer.network), &before);
    assert!(
        difference <= tolerance && change > 1000.0 * tolerance,
        "{config:?}: {difference:e} of {change:e}"
    );
    assert!(
        (loss - plain_loss).abs() <= tolerance,
        "{config:?}: a loss of {loss}, not {plain_loss}"
    );
}

#[test]
fn the_plain_program_trains_the_same_network() {
    let set =
        tiny::read_set(&Path::new(env!("CARGO_MANIFEST_DIR")).join("raw_data"), "train").unwrap();
    // So large a decay that even at a hundredth of the rate the fast program holds none back.
    let hidden_layers = vec![128, 64, 64];
    let weight_decay = 0.2;
    let coursework = Config { hidden_layers, weight_decay, epochs: 1, ..plain_config() };
    for activation in Activation::ALL {
        for (loss, learning_rate) in [(Loss::CrossEntropy, 0.01), (Loss::MeanSquaredError, 0.1)] {
            let config = Config { activation, loss, learning_rate, ..coursework.clone() };
            compare(&config, &set, 16, 1e-6);
            // 38 steps, in which rounding grows; batches of which the last is smaller; rates that
            // change.
            let initialisation = Initialisation::He;
            compare(
                &Config { initialisation, schedule: Schedule::Step, epochs: 2, ..config },
                &set,
                300,
                3e-5,
            );
        }
    }
}
