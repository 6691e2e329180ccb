//! `make run`: trains a network with the settings in `get_config`. To try something else, change one of them.

use std::process::ExitCode;

use mnist_mlp::command;
use mnist_mlp::config::Config;
use mnist_mlp::data::deformation::Deformation;
use mnist_mlp::network::activation::Activation;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::network::loss::Loss;
use mnist_mlp::output::progress::Console;
use mnist_mlp::session;
use mnist_mlp::training::schedule::Schedule;

/// The best row of the coursework.
fn get_config() -> Config {
    Config {
        hidden_layers: vec![128, 64, 64],
        classes: 10,
        activation: Activation::Sigmoid,        // Sigmoid, Tanh, ReLU, SiLU
        initialisation: Initialisation::Xavier, // Zero, Normal, Xavier, He (for ReLU and SiLU)
        initial_weights: None,                  // or go on from Some("runs/latest/model.safetensors".into())
        loss: Loss::CrossEntropy,               // CrossEntropy, MeanSquaredError
        schedule: Schedule::Step,               // Constant, Step, Cosine, Cycle
        learning_rate: 0.02,                    // 0.005 for Tanh, ReLU and SiLU; 0.5 for MeanSquaredError
        momentum: 0.0,                          // such as 0.9, with a tenth of the learning_rate
        dropout: 0.0,                           // the probability that a hidden unit is dropped, such as 0.2
        dropout_after_activation: false,
        weight_decay: 1e-5,               // λ of the L2 penalty
        deformation: None::<Deformation>, // or Some(Deformation::default())
        batch_size: 16,
        epochs: 20,
        seed: 1,
        seeds: 1,            // 5 for as many networks, with the seeds from seed on, and how they differ
        held_out: 0,         // 10_000 to choose on so many training images, and leave the test set unseen
        class_names: vec![], // such as vec!["T-shirt", "trouser", …]
        data: "raw_data".into(),
        transposed: false, // true for EMNIST, whose files have each image by columns
        output: "runs/latest".into(),
    }
}

fn main() -> ExitCode {
    let run = || session::run(&get_config(), &mut Console::stdout());
    command::exit_code(command::no_arguments().and_then(|()| run()))
}
