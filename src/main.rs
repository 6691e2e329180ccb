//! `make run`: trains a network with the settings in `get_config`. To try something else, change
//! one of them.

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
        activation: Activation::Sigmoid, // Sigmoid, Tanh, ReLU, SiLU
        initialisation: Initialisation::Xavier, // Zero, Normal, Xavier, He (ReLU, SiLU)
        initial_weights: None,           // or Some("runs/latest/model.safetensors".into())
        loss: Loss::CrossEntropy,        // CrossEntropy, MeanSquaredError (rate 0.5)
        schedule: Schedule::Step,        // Constant, Step, Cosine, Cycle
        learning_rate: 0.02,             // 0.005 for Tanh, ReLU, SiLU
        momentum: 0.0,                   // such as 0.9, with a tenth of the learning_rate
        dropout: 0.0,                    // the probability of a drop, such as 0.2
        dropout_after_activation: false,
        weight_decay: 1e-5,               // λ of the L2 penalty
        deformation: None::<Deformation>, // or Some(Deformation::default())
        batch_size: 16,
        epochs: 20,
        seed: 1,
        seeds: 1,            // 5 to compare five, from seed on
        held_out: 0,         // 10_000 to test on training images instead
        class_names: vec![], // such as vec!["T-shirt", "trouser", …]
        data: "raw_data".into(),
        transposed: false, // true for EMNIST, stored by columns
        output: "runs/latest".into(),
    }
}

fn main() -> ExitCode {
    command::without_arguments(|| session::train_and_save(&get_config(), &mut Console::stdout()))
}
