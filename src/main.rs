//! `make run`: trains the network that `get_config` describes. To try something else, change a line of it.

use std::process::ExitCode;

use mnist_mlp::config::Config;
use mnist_mlp::data::Data;
use mnist_mlp::error::Result;
use mnist_mlp::network::layer::Initialisation;
use mnist_mlp::network::loss::Loss;
use mnist_mlp::session;
use mnist_mlp::training::schedule::Schedule;

/// The best row of the coursework (§7).
fn get_config() -> Config {
    Config {
        hidden_layers: vec![128, 64, 64],
        classes: 10,
        initialisation: Initialisation::Xavier, // Zero, Normal, Xavier
        loss: Loss::CrossEntropy,               // CrossEntropy, MeanSquaredError
        schedule: Schedule::Step,               // Constant, Step, Cosine, Cycle
        learning_rate: 0.02,
        dropout: 0.0,       // the share of hidden units left out, 0.2 or 0.5 in §6
        weight_decay: 1e-5, // λ of the L2 penalty
        batch_size: 16,
        epochs: 20,
        seed: 1,
        data: "raw_data".into(),
        output: "runs/latest".into(),
    }
}

fn main() -> ExitCode {
    session::exit_code(run(&get_config()))
}

fn run(config: &Config) -> Result<()> {
    session::no_arguments()?;
    session::check(config)?;
    let data = Data::load(&config.data, config.classes)?;
    let trained = session::train(config, &data)?;
    let saved = session::save(config, &data, &trained);
    session::summarise(&data, &trained)?; // even where there is no room to save it
    saved
}
